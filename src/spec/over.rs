//! Swept settings as flags say them: `PATH=2,4,8`, `PATH=5..50/10`, `load=0.5..10/12 log`.

use super::diagnostic::Diagnostic;
use super::load::Loader;
use super::node::{Kind, Node};
use super::source::{Span, Spanned};
use super::sweep::SweptValues;
use std::path::Path;

const HOW: &str = "write PATH=2,4,8 or PATH=5..50/10 or PATH=0.5..10/12 log";

impl Loader {
    /// Reads a setting and its values as a flag says them; mistakes are left in the diagnostics. Values that hold
    /// commas or two dots themselves stand in quotes or brackets.
    pub fn over(&mut self, name: &str, text: &str) -> Option<(Spanned<String>, SweptValues)> {
        let source = self.sources.add(name, text, Path::new("."));
        let span = |start: usize, end: usize| Span { source, start: start as u32, end: end as u32 };
        let Some((path, rest)) = text.split_once('=').filter(|(path, _)| !path.trim().is_empty()) else {
            let whole = span(0, text.len());
            self.diagnostics
                .push(Diagnostic::error(whole, "a swept setting is written PATH=VALUES").help(HOW));
            return None;
        };
        let start = path.len() + 1;
        let setting = Spanned { value: path.trim().to_string(), span: span(0, path.len()) };
        let commas = outside(rest, ",");
        let values = match outside(rest, "..").as_slice() {
            [dots] if commas.is_empty() => self.range(rest, *dots, span(start, text.len()))?,
            _ => {
                let mut items = Vec::new();
                let mut begin = 0;
                for end in commas.into_iter().chain([rest.len()]) {
                    let place = span(start + begin, start + end);
                    if rest[begin..end].trim().is_empty() {
                        self.diagnostics
                            .push(Diagnostic::error(place, "there is a value missing here").help(HOW));
                        return None;
                    }
                    items.push(self.parse_value(place, &rest[begin..end])?);
                    begin = end + 1;
                }
                Node { kind: Kind::List(items), span: span(start, text.len()) }
            }
        };
        Some((setting, self.decode(&values)?))
    }

    /// `FROM..TO`, `FROM..TO/POINTS`, either with ` log` behind it.
    fn range(&mut self, text: &str, dots: usize, span: Span) -> Option<Node> {
        let part = |begin: usize, end: usize| Span {
            start: span.start + begin as u32,
            end: span.start + end as u32,
            ..span
        };
        let body = text.trim_end().strip_suffix("log").filter(|b| b.ends_with(char::is_whitespace));
        let (name, body) = match body {
            Some(body) => ("Log", body),
            None => ("Linear", text),
        };
        // A rate has a slash, too: only a whole number behind the last one says how many.
        let counted = body
            .rfind('/')
            .filter(|at| *at > dots && body[at + 1..].trim().starts_with(|c: char| c.is_ascii_digit()));
        let end = counted.unwrap_or(body.len());
        let mut fields = Vec::new();
        for (field, begin, end) in [("from", 0, dots), ("to", dots + 2, end)] {
            if body.get(begin..end).is_none_or(|value| value.trim().is_empty()) {
                self.diagnostics.push(Diagnostic::error(span, "a range needs two ends").help(HOW));
                return None;
            }
            fields.push((field, self.parse_value(part(begin, end), &body[begin..end])?));
        }
        if let Some(at) = counted {
            fields.push(("points", self.parse_value(part(at + 1, body.len()), &body[at + 1..])?));
        }
        let key = |field: &str| Spanned { value: field.to_string(), span };
        let fields = fields.into_iter().map(|(field, node)| (key(field), node)).collect();
        let name = Some(Spanned { value: name.to_string(), span });
        Some(Node { kind: Kind::Record { name, fields }, span })
    }
}

/// Where `sought` stands outside of brackets and quotes.
fn outside(text: &str, sought: &str) -> Vec<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(sought) => found.push(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SweptValues, String> {
        let mut loader = Loader::default();
        match loader.over("--over", text) {
            Some((_, values)) => Ok(values),
            None => Err(loader.diagnostics.render(&loader.sources, false)),
        }
    }

    #[test]
    fn lists_and_ranges_are_read() {
        let listed = |text: &str| -> Vec<String> {
            read(text).unwrap().listed().iter().map(|v| v.0.describe()).collect()
        };
        assert_eq!(listed("a.b=2, 4,8"), ["the number 2", "the number 4", "the number 8"]);
        assert_eq!(listed("a.b=10ms,1s"), ["the string \"10ms\"", "the string \"1s\""]);
        assert_eq!(listed("a.b=[Retry(max: 1), Timeout(\"1s\")],[]"), ["a list", "a list"]);
        assert_eq!(listed("a.b=RoundRobin,\"x,..y\""), ["`RoundRobin`", "the string \"x,..y\""]);
        let range = |text: &str| {
            let values = read(text).unwrap();
            let range = values.range().unwrap();
            let (from, to) = range.ends().unwrap();
            (from.value, to.value, range.points, range.is_log)
        };
        assert_eq!(range("a.b=5..50/10"), (5.0, 50.0, Some(10), false));
        assert_eq!(range("load=0.5..10/12 log"), (0.5, 10.0, Some(12), true));
        assert_eq!(range("a.b=10ms..1s"), (0.01, 1.0, None, false));
        assert_eq!(range("a.b=10/s..90/s"), (10.0, 90.0, None, false));
        assert_eq!(range("a.b=10/s..90/s/5"), (10.0, 90.0, Some(5), false));
    }

    #[test]
    fn mistakes_are_shown_where_they_stand() {
        for bad in ["a.b", "=3", "a.b=", "a.b=1,,2", "a.b=..5", "a.b=1../3", "a.b=1..2/3.5", "a.b=(1"] {
            let mistake = read(bad).unwrap_err();
            assert!(mistake.contains("--over"), "{bad}: {mistake}");
        }
    }
}
