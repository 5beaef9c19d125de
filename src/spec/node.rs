//! The tree of a RON document, with spans: what includes are merged on and settings are overridden in.

use super::brackets;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::{Span, Spanned};
use ron2::ast::{self, Expr, StructBody};
use std::cmp::Ordering;
use std::collections::BTreeMap;

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

    /// Points every span of the tree at one place.
    pub fn move_to(&mut self, span: Span) {
        self.span = span;
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|n| n.move_to(span)),
            Kind::Map(entries) => entries.iter_mut().for_each(|(k, n)| {
                k.span = span;
                n.move_to(span);
            }),
            Kind::Record { name, fields } => {
                name.iter_mut().for_each(|n| n.span = span);
                fields.iter_mut().for_each(|(k, n)| {
                    k.span = span;
                    n.move_to(span);
                });
            }
            Kind::Tuple { name, items } => {
                name.iter_mut().for_each(|n| n.span = span);
                items.iter_mut().for_each(|n| n.move_to(span));
            }
            Kind::Nothing | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {}
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
    let mut known: BTreeMap<String, usize> =
        base.iter().enumerate().map(|(at, (k, _))| (k.value.clone(), at)).collect();
    for (key, value) in new {
        match known.get(&key.value) {
            Some(at) => base[*at].1.merge(value),
            None => {
                known.insert(key.value.clone(), base.len());
                base.push((key, value));
            }
        }
    }
}

/// Parses one RON document (or one RON value, for `--set`).
pub fn parse(source: u32, text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    if let Some(diagnostic) = brackets::check(source, text) {
        diagnostics.push(diagnostic);
        return None;
    }
    let (document, errors) = ast::parse_document_lossy(text);
    // What a parser makes of the text after a first mistake is seldom worth reading.
    if let Some(error) = errors.first() {
        let (start, end) = (error.span().start_offset, error.span().end_offset);
        diagnostics.push(not_ron(source, text, start, end, &error.kind().to_string()));
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

/// Says what the parser stumbled over.
fn not_ron(source: u32, text: &str, start: usize, end: usize, kind: &str) -> Diagnostic {
    let span = Span { source, start: start as u32, end: end.max(start) as u32 };
    let rest = text.get(start..).unwrap_or("").trim_start();
    let found = rest.chars().next();
    let before = text.get(..start).unwrap_or("").trim_end();
    if found.is_none() {
        let last = before.len().saturating_sub(1) as u32;
        let span = Span { source, start: last, end: before.len() as u32 };
        return Diagnostic::error(span, "the text ends in the middle of a value");
    }
    if kind.starts_with("Non-whitespace trailing") {
        return Diagnostic::error(span, "there is something after the end")
            .help("a file holds one `Topology(…)` or one `Experiment(…)`");
    }
    if kind.contains("comma in tuple") && found == Some(':') {
        return Diagnostic::error(span, "values with and without names are mixed")
            .help("name all of them, or none");
    }
    if found == Some('=') {
        return Diagnostic::error(span, "expected `:`, found `=`");
    }
    let separates = kind.starts_with("Expected closing") || kind.contains("comma");
    if separates && before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Diagnostic::error(span, "expected `:`, `,` or a closing bracket before this");
    }
    if separates {
        return Diagnostic::error(span, "expected `,` or a closing bracket before this");
    }
    Diagnostic::error(span, format!("this is not RON: {}", lower_first(kind)))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
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
    let mut seen = BTreeMap::new();
    for field in fields {
        let key = Spanned { value: field.name.name.to_string(), span: place(source, &field.name.span) };
        let value = convert(source, &field.value, diagnostics)?;
        push_unique(&mut entries, &mut seen, key, value, diagnostics);
    }
    Some(entries)
}

fn convert_map(
    source: u32,
    map: &ast::MapExpr<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(Spanned<String>, Node)>> {
    let mut entries: Vec<(Spanned<String>, Node)> = Vec::with_capacity(map.entries.len());
    let mut seen = BTreeMap::new();
    for entry in &map.entries {
        let key = convert(source, &entry.key, diagnostics)?;
        let Kind::Text(name) = key.kind else {
            let message = format!("a key must be a string, not {}", key.describe());
            diagnostics.push(Diagnostic::error(key.span, message).help("write it in double quotes"));
            return None;
        };
        let value = convert(source, &entry.value, diagnostics)?;
        push_unique(&mut entries, &mut seen, Spanned { value: name, span: key.span }, value, diagnostics);
    }
    Some(entries)
}

/// Adds an entry, or says that its key is there already. `seen` has the keys once they are too many to look through.
fn push_unique(
    entries: &mut Vec<(Spanned<String>, Node)>,
    seen: &mut BTreeMap<String, Span>,
    key: Spanned<String>,
    value: Node,
    diagnostics: &mut Diagnostics,
) {
    const FEW: usize = 16;
    let first = match entries.len() {
        ..=FEW => entries.iter().find(|(k, _)| k.value == key.value).map(|(k, _)| k.span),
        _ => seen.get(&key.value).copied(),
    };
    if let Some(first) = first {
        diagnostics.push(
            Diagnostic::error(key.span, format!("`{}` is given twice", key.value))
                .context(first, "first given here"),
        );
        return;
    }
    entries.push((key, value));
    match entries.len().cmp(&(FEW + 1)) {
        Ordering::Less => {}
        Ordering::Equal => seen.extend(entries.iter().map(|(k, _)| (k.value.clone(), k.span))),
        Ordering::Greater => seen.extend(entries.last().map(|(k, _)| (k.value.clone(), k.span))),
    }
}

/// Replaces the setting at `path` (segments between dots) by `value`.
///
/// Segments name fields, map keys, list positions (`2`) or the first list element of a name (`Retry`). What happens on
/// a timeline is found by its position, by what it is (`Slow`) or by the fault's name, and its fields without a further
/// segment: `timeline.weather.lasts`.
/// Intermediate fields that are left to their defaults are made; intermediate map keys must exist.
pub fn set_path(
    root: &mut Node,
    path: &Spanned<String>,
    value: Node,
    positional: &dyn Fn(&str) -> &'static [&'static str],
) -> Result<(), Diagnostic> {
    *find_path(root, path, positional)? = value;
    Ok(())
}

/// The setting at `path`, made if it is left to its default.
pub fn find_path<'n>(
    root: &'n mut Node,
    path: &Spanned<String>,
    positional: &dyn Fn(&str) -> &'static [&'static str],
) -> Result<&'n mut Node, Diagnostic> {
    let segments: Vec<&str> = path.value.split('.').collect();
    if path.value.is_empty() {
        return Err(Diagnostic::error(path.span, "the path of a setting is empty")
            .help("write a path such as `services.api.replicas`"));
    }
    if segments.len() > brackets::DEPTH_MAX {
        return Err(Diagnostic::error(path.span, "this path is longer than any setting's"));
    }
    let mut here = root;
    for (depth, segment) in segments.iter().enumerate() {
        if segment.is_empty() {
            return Err(Diagnostic::error(path.span, format!("`{}` has an empty part", path.value)));
        }
        let is_last = depth + 1 == segments.len();
        let so_far = segments[..depth].join(".");
        name_positions(here, positional);
        if is_moment(here) && !["at", "action"].contains(segment) {
            here = action(here).expect("a moment has an action");
            if here.name().is_some_and(|n| n.value == *segment) {
                continue;
            }
            name_positions(here, positional);
        }
        here = step(here, segment, is_last, &so_far, path)?;
    }
    Ok(here)
}

/// Whether this is `At(…)` with something that happens.
fn is_moment(node: &Node) -> bool {
    node.name().is_some_and(|n| n.value == "At") && happens(node).is_some()
}

/// What happens at a moment.
fn happens(moment: &Node) -> Option<&Node> {
    match &moment.kind {
        Kind::Tuple { items, .. } => items.get(1),
        _ => moment.field("action"),
    }
}

fn action(moment: &mut Node) -> Option<&mut Node> {
    match &mut moment.kind {
        Kind::Tuple { items, .. } => items.get_mut(1),
        Kind::Record { fields, .. } => {
            fields.iter_mut().find(|(key, _)| key.value == "action").map(|(_, node)| node)
        }
        _ => None,
    }
}

/// Whether an element of a list goes by this name: that before its parenthesis; on a timeline also that of what
/// happens, and the fault's.
fn is_called(element: &Node, name: &str) -> bool {
    if element.name().is_some_and(|n| n.value == name) {
        return true;
    }
    let Some(action) = happens(element).filter(|_| is_moment(element)) else { return false };
    let fault = action.field("name").or(action.field("target"));
    action.name().is_some_and(|n| n.value == name)
        || fault.is_some_and(|fault| matches!(&fault.kind, Kind::Text(text) if text == name))
}

/// The setting at `path`, if it was written; a setting that is left to its default is not there.
pub fn get_path<'n>(
    root: &'n Node,
    path: &str,
    positional: &dyn Fn(&str) -> &'static [&'static str],
) -> Option<&'n Node> {
    let mut here = root;
    for segment in path.split('.') {
        here = match &here.kind {
            Kind::Record { fields: entries, .. } | Kind::Map(entries) => {
                &entries.iter().find(|(key, _)| key.value == segment)?.1
            }
            Kind::Tuple { name: Some(name), items } => {
                items.get(positional(&name.value).iter().position(|field| *field == segment)?)?
            }
            Kind::List(items) => match segment.parse::<usize>() {
                Ok(index) => items.get(index)?,
                Err(_) => items.iter().find(|item| is_called(item, segment))?,
            },
            _ => return None,
        };
    }
    Some(here)
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
                Err(_) => items.iter().position(|item| is_called(item, segment)),
            };
            match at {
                Some(at) => Ok(&mut items[at]),
                None => {
                    let names: Vec<String> = items
                        .iter()
                        .enumerate()
                        .take(12)
                        .map(|(at, n)| n.name().map_or(at.to_string(), |n| format!("{at} or {}", n.value)))
                        .collect();
                    let error =
                        Diagnostic::error(path.span, format!("`{so_far}` has no element `{segment}`"));
                    Err(match names.is_empty() {
                        true => error.help("this list is empty"),
                        false => error.help(format!("there is: {}", names.join(", "))),
                    })
                }
            }
        }
        _ => Err(Diagnostic::error(path.span, format!("`{so_far}` is {described}: it has no `{segment}`"))
            .context(span, "it was given here")),
    }
}
