//! RON text as a tree, just so far that it can be written anew: in another order, in other units.

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A number, a name, a string with its quotes.
    Atom(String),
    /// `[a, b]`.
    List(Vec<Tree>),
    /// `{ key: value }`.
    Map(Vec<(Tree, Tree)>),
    /// `Name(field: value)`; a field without a name is by position.
    Record(String, Vec<(Option<String>, Tree)>),
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn skip(&mut self) {
        while let Some(c) = self.text.get(self.at) {
            if c.is_ascii_whitespace() || *c == b',' {
                self.at += 1;
            } else if self.text[self.at..].starts_with(b"//") {
                while self.text.get(self.at).is_some_and(|c| *c != b'\n') {
                    self.at += 1;
                }
            } else {
                break;
            }
        }
    }

    /// Whether the next thing is `c`, which is then taken.
    fn takes(&mut self, c: u8) -> bool {
        self.skip();
        let is = self.text.get(self.at) == Some(&c);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self) -> String {
        self.skip();
        let from = self.at;
        if self.text[from] == b'"' {
            self.at += 1;
            while self.text[self.at] != b'"' {
                self.at += 1;
            }
            self.at += 1;
        } else {
            let is_part = |c: &u8| c.is_ascii_alphanumeric() || b"_-.+".contains(c);
            while self.text.get(self.at).is_some_and(is_part) {
                self.at += 1;
            }
        }
        assert!(self.at > from, "nothing that this reader knows: {:?}", &self.text[from..][..20]);
        String::from_utf8(self.text[from..self.at].to_vec()).unwrap()
    }

    fn value(&mut self) -> Tree {
        if self.takes(b'[') {
            let mut all = Vec::new();
            while !self.takes(b']') {
                all.push(self.value());
            }
            return Tree::List(all);
        }
        if self.takes(b'{') {
            let mut all = Vec::new();
            while !self.takes(b'}') {
                let key = self.value();
                assert!(self.takes(b':'));
                all.push((key, self.value()));
            }
            return Tree::Map(all);
        }
        if self.takes(b'(') {
            return self.record(String::new());
        }
        let word = self.word();
        if !word.starts_with('"') && self.takes(b'(') { self.record(word) } else { Tree::Atom(word) }
    }

    fn record(&mut self, name: String) -> Tree {
        let mut all = Vec::new();
        while !self.takes(b')') {
            let value = self.value();
            match value {
                Tree::Atom(field) if !field.starts_with('"') && self.takes(b':') => {
                    all.push((Some(field), self.value()));
                }
                value => all.push((None, value)),
            }
        }
        Tree::Record(name, all)
    }
}

impl Tree {
    /// Reads a text.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let tree = reader.value();
        reader.skip();
        assert_eq!(reader.at, text.len(), "all of it is read");
        tree
    }

    /// Writes it.
    pub fn write(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Atom(word) => word.clone(),
            Self::List(all) => format!("[{}]", joined(all.iter().map(Self::write).collect())),
            Self::Map(all) => {
                let entries = all.iter().map(|(k, v)| format!("{}: {}", k.write(), v.write()));
                format!("{{{}}}", joined(entries.collect()))
            }
            Self::Record(name, all) => {
                let field = |(name, value): &(Option<String>, Self)| match name {
                    Some(name) => format!("{name}: {}", value.write()),
                    None => value.write(),
                };
                format!("{name}({})", joined(all.iter().map(field).collect()))
            }
        }
    }

    /// Puts what is in no order (maps, and fields with names) into another: `pick(n)` is a number below `n`.
    pub fn shuffle(&mut self, pick: &mut dyn FnMut(usize) -> usize) {
        match self {
            Self::Atom(_) => {}
            Self::List(all) => all.iter_mut().for_each(|value| value.shuffle(pick)),
            Self::Map(all) => {
                all.iter_mut().for_each(|(_, value)| value.shuffle(pick));
                (1..all.len()).for_each(|i| all.swap(i, pick(i + 1)));
            }
            Self::Record(_, all) => {
                all.iter_mut().for_each(|(_, value)| value.shuffle(pick));
                if all.iter().all(|(name, _)| name.is_some()) {
                    (1..all.len()).for_each(|i| all.swap(i, pick(i + 1)));
                }
            }
        }
    }

    /// Writes every string that is a value anew, without its quotes: what `change` returns is written as it is.
    pub fn change(&mut self, change: &mut dyn FnMut(&str) -> Option<String>) {
        match self {
            Self::Atom(word) => {
                let inner = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
                if let Some(new) = inner.and_then(change) {
                    *word = new;
                }
            }
            Self::List(all) => all.iter_mut().for_each(|value| value.change(change)),
            Self::Map(all) => all.iter_mut().for_each(|(_, value)| value.change(change)),
            Self::Record(_, all) => all.iter_mut().for_each(|(_, value)| value.change(change)),
        }
    }
}
