//! The tree of a RON document, with spans: what includes are merged on and settings are overridden in.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::{Span, Spanned};
use ron2::ast::{self, Expr, StructBody};

/// A value as written, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// The shapes a value can have.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `None`: explicitly nothing.
    Nothing,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A string.
    Text(String),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{"key": value}`
    Map(Vec<(Spanned<String>, Node)>),
    /// `Name(field: value)`, `(field: value)`, `Name`, `Name()` or `()`.
    Record {
        /// The name before the parenthesis.
        name: Option<Spanned<String>>,
        /// The fields, in order.
        fields: Vec<(Spanned<String>, Node)>,
    },
    /// `Name(a, b)` or `(a, b)`.
    Tuple {
        /// The name before the parenthesis.
        name: Option<Spanned<String>>,
        /// The values, in order.
        items: Vec<Node>,
    },
}

impl Node {
    /// An anonymous record without fields, as if `()` had been written at `span`.
    pub fn empty_record(span: Span) -> Self {
        Self { kind: Kind::Record { name: None, fields: Vec::new() }, span }
    }

    /// A few words that say what this is, for messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Nothing => "None".into(),
            Kind::Bool(b) => format!("{b}"),
            Kind::Number(n) => format!("the number {n}"),
            Kind::Text(t) => format!("the string {t:?}"),
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a map".into(),
            Kind::Record { name: Some(name), .. } | Kind::Tuple { name: Some(name), .. } => {
                format!("`{}`", name.value)
            }
            Kind::Record { .. } => "a record".into(),
            Kind::Tuple { .. } => "a tuple".into(),
        }
    }

    /// The name of a record or tuple, if it has one.
    pub fn name(&self) -> Option<&Spanned<String>> {
        match &self.kind {
            Kind::Record { name, .. } | Kind::Tuple { name, .. } => name.as_ref(),
            _ => None,
        }
    }

    /// The value of a record's field.
    pub fn field(&self, wanted: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Record { fields, .. } => fields.iter().find(|(k, _)| k.value == wanted).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Takes a field out of a record.
    pub fn take_field(&mut self, wanted: &str) -> Option<Self> {
        match &mut self.kind {
            Kind::Record { fields, .. } => {
                let at = fields.iter().position(|(k, _)| k.value == wanted)?;
                Some(fields.remove(at).1)
            }
            _ => None,
        }
    }

    /// Lays `over` on top of this tree: maps and records of the same name merge entry by entry, everything else
    /// is replaced.
    pub fn merge(&mut self, over: Self) {
        match (&mut self.kind, over.kind) {
            (Kind::Map(base), Kind::Map(new)) => merge_entries(base, new),
            (Kind::Record { name, fields: base }, Kind::Record { name: new_name, fields: new })
                if same_name(name.as_ref(), new_name.as_ref()) =>
            {
                if new_name.is_some() {
                    *name = new_name;
                }
                merge_entries(base, new);
            }
            (kind, new) => *kind = new,
        }
        self.span = over.span;
    }
}

fn same_name(a: Option<&Spanned<String>>, b: Option<&Spanned<String>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.value == b.value,
        _ => true,
    }
}

fn merge_entries(base: &mut Vec<(Spanned<String>, Node)>, new: Vec<(Spanned<String>, Node)>) {
    for (key, value) in new {
        match base.iter_mut().find(|(k, _)| k.value == key.value) {
            Some((_, old)) => old.merge(value),
            None => base.push((key, value)),
        }
    }
}

/// Parses one RON document (or one RON value, for `--set`).
pub fn parse(source: u32, text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    let (document, errors) = ast::parse_document_lossy(text);
    for error in errors.iter().take(3) {
        let span =
            Span { source, start: error.span().start_offset as u32, end: error.span().end_offset as u32 };
        diagnostics.push(Diagnostic::error(span, format!("this is not RON: {}", error.kind())));
    }
    if !errors.is_empty() {
        return None;
    }
    for attribute in &document.attributes {
        diagnostics.push(
            Diagnostic::error(place(source, &attribute.span), "attributes are not part of the language")
                .help("remove this line: `implicit_some` is always on"),
        );
    }
    match &document.value {
        Some(value) => convert(source, value, diagnostics),
        None => {
            let span = Span { source, start: 0, end: 0 };
            diagnostics.push(Diagnostic::error(span, "there is nothing in this file"));
            None
        }
    }
}

fn place(source: u32, span: &ron2::error::Span) -> Span {
    Span { source, start: span.start_offset as u32, end: span.end_offset as u32 }
}

fn convert(source: u32, expr: &Expr<'_>, diagnostics: &mut Diagnostics) -> Option<Node> {
    let span = place(source, expr.span());
    let kind = match expr {
        Expr::Unit(_) => Kind::Record { name: None, fields: Vec::new() },
        Expr::Bool(b) => Kind::Bool(b.value),
        Expr::Number(n) => Kind::Number(n.raw.to_string()),
        Expr::String(s) => Kind::Text(s.value.clone()),
        Expr::Option(o) => match &o.value {
            None => Kind::Nothing,
            Some(inner) => return convert(source, &inner.expr, diagnostics),
        },
        Expr::Seq(s) => Kind::List(
            s.items.iter().map(|item| convert(source, &item.expr, diagnostics)).collect::<Option<_>>()?,
        ),
        Expr::Map(m) => Kind::Map(convert_map(source, m, diagnostics)?),
        Expr::Tuple(t) => Kind::Tuple { name: None, items: convert_items(source, &t.elements, diagnostics)? },
        Expr::AnonStruct(s) => {
            Kind::Record { name: None, fields: convert_fields(source, &s.fields, diagnostics)? }
        }
        Expr::Struct(s) => {
            let name = Some(Spanned { value: s.name.name.to_string(), span: place(source, &s.name.span) });
            match &s.body {
                None => Kind::Record { name, fields: Vec::new() },
                Some(StructBody::Tuple(t)) if t.elements.is_empty() => {
                    Kind::Record { name, fields: Vec::new() }
                }
                Some(StructBody::Tuple(t)) => {
                    Kind::Tuple { name, items: convert_items(source, &t.elements, diagnostics)? }
                }
                Some(StructBody::Fields(f)) => {
                    Kind::Record { name, fields: convert_fields(source, &f.fields, diagnostics)? }
                }
            }
        }
        Expr::Char(_) | Expr::Byte(_) | Expr::Bytes(_) | Expr::Error(_) => {
            diagnostics.push(
                Diagnostic::error(span, "characters and bytes are not part of the language")
                    .help("write a string in double quotes"),
            );
            return None;
        }
    };
    Some(Node { kind, span })
}

fn convert_items(
    source: u32,
    items: &[ast::TupleElement<'_>],
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Node>> {
    items.iter().map(|item| convert(source, &item.expr, diagnostics)).collect()
}

fn convert_fields(
    source: u32,
    fields: &[ast::StructField<'_>],
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(Spanned<String>, Node)>> {
    let mut entries: Vec<(Spanned<String>, Node)> = Vec::with_capacity(fields.len());
    for field in fields {
        let key = Spanned { value: field.name.name.to_string(), span: place(source, &field.name.span) };
        let value = convert(source, &field.value, diagnostics)?;
        push_unique(&mut entries, key, value, "field", diagnostics);
    }
    Some(entries)
}

fn convert_map(
    source: u32,
    map: &ast::MapExpr<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(Spanned<String>, Node)>> {
    let mut entries: Vec<(Spanned<String>, Node)> = Vec::with_capacity(map.entries.len());
    for entry in &map.entries {
        let key = convert(source, &entry.key, diagnostics)?;
        let Kind::Text(name) = key.kind else {
            let message = format!("a key must be a string, not {}", key.describe());
            diagnostics.push(Diagnostic::error(key.span, message).help("write it in double quotes"));
            return None;
        };
        let value = convert(source, &entry.value, diagnostics)?;
        push_unique(&mut entries, Spanned { value: name, span: key.span }, value, "key", diagnostics);
    }
    Some(entries)
}

fn push_unique(
    entries: &mut Vec<(Spanned<String>, Node)>,
    key: Spanned<String>,
    value: Node,
    what: &str,
    diagnostics: &mut Diagnostics,
) {
    // Linear for small records, which nearly all are; maps of thousands stay well below a second.
    if let Some((first, _)) = entries.iter().find(|(k, _)| k.value == key.value) {
        diagnostics.push(
            Diagnostic::error(key.span, format!("the {what} `{}` is given twice", key.value))
                .context(first.span, "first given here"),
        );
        return;
    }
    entries.push((key, value));
}

/// Replaces the setting at `path` (segments between dots) by `value`.
///
/// Segments name fields, map keys, list positions (`2`) or the first list element of a name (`Retry`).
/// Intermediate fields that are left to their defaults are made; intermediate map keys must exist.
pub fn set_path(
    root: &mut Node,
    path: &Spanned<String>,
    value: Node,
    positional: &dyn Fn(&str) -> &'static [&'static str],
) -> Result<(), Diagnostic> {
    let segments: Vec<&str> = path.value.split('.').collect();
    let mut here = root;
    for (depth, segment) in segments.iter().enumerate() {
        if segment.is_empty() {
            return Err(Diagnostic::error(path.span, format!("`{}` has an empty part", path.value)));
        }
        let is_last = depth + 1 == segments.len();
        let so_far = segments[..depth].join(".");
        name_positions(here, positional);
        here = step(here, segment, is_last, &so_far, path)?;
    }
    *here = value;
    Ok(())
}

/// Gives the values of `Name(a, b)` their field names, so that a path can reach them.
fn name_positions(node: &mut Node, positional: &dyn Fn(&str) -> &'static [&'static str]) {
    let Kind::Tuple { name: Some(name), items } = &mut node.kind else { return };
    let names = positional(&name.value);
    if items.len() > names.len() {
        return;
    }
    let fields = names
        .iter()
        .zip(std::mem::take(items))
        .map(|(field, item)| (Spanned { value: (*field).to_string(), span: item.span }, item))
        .collect();
    node.kind = Kind::Record { name: Some(name.clone()), fields };
}

fn step<'n>(
    here: &'n mut Node,
    segment: &str,
    is_last: bool,
    so_far: &str,
    path: &Spanned<String>,
) -> Result<&'n mut Node, Diagnostic> {
    let span = here.span;
    let described = here.describe();
    match &mut here.kind {
        Kind::Record { fields, .. } => {
            if let Some(at) = fields.iter().position(|(k, _)| k.value == segment) {
                return Ok(&mut fields[at].1);
            }
            fields.push((
                Spanned { value: segment.to_string(), span: path.span },
                Node::empty_record(path.span),
            ));
            Ok(&mut fields.last_mut().expect("just pushed").1)
        }
        Kind::Map(entries) => {
            if let Some(at) = entries.iter().position(|(k, _)| k.value == segment) {
                return Ok(&mut entries[at].1);
            }
            if is_last {
                entries.push((
                    Spanned { value: segment.to_string(), span: path.span },
                    Node::empty_record(path.span),
                ));
                return Ok(&mut entries.last_mut().expect("just pushed").1);
            }
            let place = if so_far.is_empty() { "the file".to_string() } else { format!("`{so_far}`") };
            Err(Diagnostic::error(path.span, format!("{place} has no `{segment}`"))
                .nearest(segment, entries.iter().map(|(k, _)| k.value.as_str())))
        }
        Kind::List(items) => {
            let at = match segment.parse::<usize>() {
                Ok(index) => (index < items.len()).then_some(index),
                Err(_) => items.iter().position(|i| i.name().is_some_and(|n| n.value == segment)),
            };
            match at {
                Some(at) => Ok(&mut items[at]),
                None => Err(Diagnostic::error(
                    path.span,
                    format!("`{so_far}` is a list of {} and has no `{segment}`", items.len()),
                )
                .help("name an element by its position, counted from 0, or by its name, such as `Retry`")),
            }
        }
        _ => Err(Diagnostic::error(path.span, format!("`{so_far}` is {described}: it has no `{segment}`"))
            .context(span, "it was given here")),
    }
}
