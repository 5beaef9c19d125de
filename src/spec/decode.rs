//! From the tree to typed values, gathering every mistake on the way.
//!
//! [`record!`](crate::record) and [`choice!`](crate::choice) declare a type of the language once: its fields, their
//! documentation, their types and defaults. The decoder, the language reference and the messages all follow from
//! that one declaration. Defaults are written as RON and go through the same decoder as the user's text.

use super::diagnostic::{Diagnostic, Diagnostics, nearest};
use super::files::Files;
use super::node::{self, Kind, Node};
use super::source::{Places, Span, Spanned};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What decoding needs beside the tree: a place for mistakes.
#[derive(Debug, Default)]
pub struct Context {
    /// The mistakes found so far.
    pub diagnostics: Diagnostics,
    /// The folder of each source, from which relative paths start.
    pub folders: Vec<PathBuf>,
    /// Where files are read.
    pub files: Files,
    /// The trees of defaults that were needed: a large topology needs the same few hundred again and again.
    pub defaults: BTreeMap<&'static str, Node>,
}

impl Context {
    /// Reports an error at `span` and returns `None`, for use with `return`.
    pub fn fail<T>(&mut self, span: Span, message: impl Into<String>) -> Option<T> {
        self.report(span, message.into());
        None
    }

    #[cold]
    fn report(&mut self, span: Span, message: String) {
        self.diagnostics.push(Diagnostic::error(span, message));
    }

    /// Reports that `node` is not what was expected.
    pub fn expected<T>(&mut self, node: &Node, what: &str) -> Option<T> {
        self.report_expected(node, what);
        None
    }

    #[cold]
    fn report_expected(&mut self, node: &Node, what: &str) {
        self.diagnostics.push(
            Diagnostic::error(node.span, format!("expected {what}, found {}", node.describe()))
                .label(format!("expected {what}")),
        );
    }
}

/// A type of the language.
pub trait Decode: Sized {
    /// The value of `node`, or `None` after reporting why not.
    fn decode(node: &Node, cx: &mut Context) -> Option<Self>;
    /// How the reference names the type.
    fn type_name() -> String;
    /// Adds the declarations of this type and those it is made of to the reference.
    fn declare(_into: &mut Declarations) {}
}

/// A type that can be decoded under the name of an enum's variant.
pub trait Variant: Decode {
    /// Decodes a record that may be written with the name `name` or without any.
    fn decode_as(name: &str, node: &Node, cx: &mut Context) -> Option<Self>;
    /// The names of the fields that may be given by position.
    fn positional() -> &'static [&'static str];
}

/// One field in the reference.
#[derive(Clone, Debug)]
pub struct FieldDoc {
    /// Its name.
    pub name: &'static str,
    /// Its type, as the reference names it.
    pub type_name: String,
    /// Its default, as RON; `None` if it must be given.
    pub default: Option<&'static str>,
    /// What it means.
    pub doc: String,
}

impl FieldDoc {
    /// A field, its type's name, its default and what it means, line by line.
    #[inline(never)]
    pub fn of(
        name: &'static str,
        type_name: fn() -> String,
        default: Option<&'static str>,
        lines: &str,
    ) -> Self {
        Self { name, type_name: type_name(), default, doc: doc_text(lines) }
    }
}

/// One type in the reference.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub doc: String,
    /// Fields of a record.
    pub fields: Vec<FieldDoc>,
    /// Names of the fields that may be given by position.
    pub positional: &'static [&'static str],
    /// Variants of a choice: name, meaning, and the record that each carries.
    pub variants: Vec<(&'static str, String, Option<String>)>,
    /// What may be written instead of a variant.
    pub shorthand: &'static str,
}

/// The declarations of the reference, in order of first use.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    /// The types.
    pub list: Vec<Declaration>,
}

impl Declarations {
    /// Starts a declaration unless the type is there already; `true` if it was started.
    pub fn start(&mut self, declaration: Declaration) -> bool {
        if let Some(known) = self.list.iter().find(|d| d.name == declaration.name) {
            debug_assert_eq!(known.doc, declaration.doc, "two types share the name {}", known.name);
            return false;
        }
        self.list.push(declaration);
        true
    }
}

/// Joins the lines of a doc comment.
pub fn doc_text(lines: &str) -> String {
    lines.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_string()
}

/// The name of a field: `for` is written `r#for` in Rust.
pub const fn field_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// The fields of a record while it is being decoded.
#[derive(Debug)]
pub struct Fields<'n> {
    record: &'static str,
    span: Span,
    found: Vec<(&'static str, &'n Node)>,
    /// The known names that unknown fields were probably meant to be.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens `node` as a record that is called `name`, reporting a wrong shape, a wrong name and unknown fields.
    pub fn open(
        name: &str,
        record: &'static str,
        known: &'static [&'static str],
        positional: &'static [&'static str],
        node: &'n Node,
        cx: &mut Context,
    ) -> Option<Self> {
        if let Some(given) = node.name()
            && given.value != name
        {
            let inner = if positional.is_empty() { "…".to_string() } else { positional.join(", ") };
            cx.diagnostics.push(
                Diagnostic::error(given.span, format!("expected `{name}`, found `{}`", given.value))
                    .help(format!("write `{name}({inner})`")),
            );
            return None;
        }
        let mut meant = Vec::new();
        let found = match &node.kind {
            Kind::Record { fields, .. } => {
                let mut found = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    match known.iter().find(|k| **k == key.value) {
                        Some(field) => found.push((*field, value)),
                        None => {
                            meant.extend(nearest(&key.value, known));
                            cx.diagnostics.push(unknown_field(name, key, known));
                        }
                    }
                }
                found
            }
            Kind::Tuple { items, .. } if items.len() <= positional.len() => {
                positional.iter().copied().zip(items.iter()).collect()
            }
            Kind::Tuple { items, .. } => {
                let at = items.get(positional.len()).map_or(node.span, |n| n.span);
                let help = match positional {
                    [] => format!(
                        "write the fields by name: `{name}({}: …)`",
                        known.first().unwrap_or(&"field")
                    ),
                    _ => format!("without names, `{name}` takes only: {}", positional.join(", ")),
                };
                let message = format!("`{name}` has a value too many without a name");
                cx.diagnostics.push(Diagnostic::error(at, message).help(help));
                return None;
            }
            // A record whose first field may go by position may also be written as that bare value.
            _ if positional.len() == 1 && known.len() == 1 => vec![(positional[0], node)],
            _ => return cx.expected(node, &format!("`{name}(…)`")),
        };
        Some(Self { record, span: node.span, found, meant })
    }

    /// Decodes one field; `default` is RON.
    pub fn take<T: Decode>(
        &mut self,
        field: &'static str,
        default: Option<&'static str>,
        cx: &mut Context,
    ) -> Option<T> {
        // In two parts, as there are hundreds of types: all but the decoding itself is the same code for all.
        self.given(field, default, cx).and_then(|node| T::decode(&node, cx))
    }

    /// What was given for a field, or its default.
    fn given(
        &self,
        field: &'static str,
        default: Option<&'static str>,
        cx: &mut Context,
    ) -> Option<Cow<'n, Node>> {
        if let Some((_, node)) = self.found.iter().find(|(name, _)| *name == field) {
            return Some(Cow::Borrowed(*node));
        }
        match default {
            Some(text) => default_node(text, self.span, cx).map(Cow::Owned),
            // A misspelt name is reported once, as such.
            None if self.meant.contains(&field) => None,
            None => {
                cx.diagnostics.push(
                    Diagnostic::error(
                        self.span.at_end(),
                        format!("`{}` needs the field `{field}`", self.record),
                    )
                    .label(format!("`{field}` is missing")),
                );
                None
            }
        }
    }
}

impl Fields<'_> {
    /// Where the fields that were given stand.
    pub fn places(&self) -> Places {
        Places::new(self.found.iter().map(|(name, node)| (*name, node.span)).collect())
    }
}

fn unknown_field(record: &str, key: &Spanned<String>, known: &'static [&'static str]) -> Diagnostic {
    Diagnostic::error(key.span, format!("`{record}` has no field `{}`", key.value))
        .label("unknown field")
        .nearest(&key.value, known.iter().copied())
}

/// A default, which stands nowhere in the user's text: mistakes point at the record.
fn default_node(text: &'static str, span: Span, cx: &mut Context) -> Option<Node> {
    let mut node = match cx.defaults.get(text) {
        Some(node) => node.clone(),
        None => {
            let node = node::parse(span.source, text, &mut cx.diagnostics)?;
            cx.defaults.insert(text, node.clone());
            node
        }
    };
    node.move_to(span);
    Some(node)
}

/// Finds a choice's variant by the node's name and reports what there is if it is none.
pub fn variant_name<'n>(
    type_name: &str,
    known: &'static [&'static str],
    node: &'n Node,
    cx: &mut Context,
) -> Option<&'n str> {
    let Some(name) = node.name() else {
        let error = Diagnostic::error(
            node.span,
            format!("expected {}, found {}", with_article(&in_words(type_name)), node.describe()),
        );
        cx.diagnostics.push(match &node.kind {
            Kind::Text(text) if known.contains(&text.as_str()) => {
                error.help(format!("write it without quotes: `{text}`"))
            }
            Kind::Text(text) => error.nearest(text, known.iter().copied()),
            _ => error.help(format!("there is: {}", known.join(", "))),
        });
        return None;
    };
    if !known.contains(&name.value.as_str()) {
        if cx.diagnostics.is_full() {
            return cx.fail(name.span, "");
        }
        cx.diagnostics.push(
            Diagnostic::error(name.span, format!("unknown {} `{}`", in_words(type_name), name.value))
                .nearest(&name.value, known.iter().copied()),
        );
        return None;
    }
    Some(&name.value)
}

/// A type's name as people would say it: `BalancerPolicy` is a balancer policy.
fn in_words(type_name: &str) -> String {
    let mut words = String::new();
    for c in type_name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    let kind = words.strip_suffix(" choice").or_else(|| words.strip_suffix(" name"));
    kind.unwrap_or(&words).to_string()
}

fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    if words.ends_with('s') { words.to_string() } else { format!("{article} {words}") }
}

/// Declares a record of the language.
///
/// `struct Name [a, b] { /// doc \n field: Type = default, … }`: the fields in brackets may be given by position;
/// a field without a default must be given; the default is one token of RON. `as "Shown"` is what messages and the
/// reference call it, if not by its name; no two types may be called the same.
#[macro_export]
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident $([$($pos:ident),*])? $(as $shown:literal)? {
            $( $(#[doc = $fdoc:literal])+ $field:ident : $ftype:ty $(= $default:tt)? ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[doc = $fdoc])+ pub $field: $ftype, )*
            /// Where it was written.
            pub span: $crate::spec::Span,
            /// Where its fields were written.
            pub places: $crate::spec::source::Places,
        }

        impl $name {
            /// Where a field was written, or the whole if it was not.
            pub fn place(&self, field: &str) -> $crate::spec::Span {
                self.places.of(field).unwrap_or(self.span)
            }

            /// The names of all fields.
            pub fn fields() -> &'static [&'static str] {
                const { &[$($crate::spec::decode::field_name(stringify!($field))),*] }
            }
        }

        impl $crate::spec::decode::Variant for $name {
            fn decode_as(
                name: &str,
                node: &$crate::spec::node::Node,
                cx: &mut $crate::spec::decode::Context,
            ) -> Option<Self> {
                let known = Self::fields();
                let mut fields = $crate::spec::decode::Fields::open(
                    name, $crate::record!(@name $name $($shown)?), known, Self::positional(), node, cx)?;
                // Every field is decoded before the first failure returns, so that all are reported.
                $( let $field = fields.take::<$ftype>(
                    $crate::spec::decode::field_name(stringify!($field)),
                    $crate::record!(@default $($default)?), cx); )*
                let places = fields.places();
                Some(Self { $( $field: $field?, )* span: node.span, places })
            }
            fn positional() -> &'static [&'static str] {
                &[$($(stringify!($pos)),*)?]
            }
        }

        impl $crate::spec::decode::Decode for $name {
            fn decode(
                node: &$crate::spec::node::Node,
                cx: &mut $crate::spec::decode::Context,
            ) -> Option<Self> {
                <Self as $crate::spec::decode::Variant>::decode_as(
                    $crate::record!(@name $name $($shown)?), node, cx)
            }
            #[cold]
            fn type_name() -> String {
                $crate::record!(@name $name $($shown)?).to_string()
            }
            // Cold, as all of the kind: only the reference asks, and what is cold is small and lies apart.
            #[cold]
            fn declare(into: &mut $crate::spec::decode::Declarations) {
                let started = into.start($crate::spec::decode::Declaration {
                    name: $crate::record!(@name $name $($shown)?),
                    doc: $crate::spec::decode::doc_text(concat!($($doc, "\n"),+)),
                    fields: vec![$( $crate::spec::decode::FieldDoc::of(
                        $crate::spec::decode::field_name(stringify!($field)),
                        <$ftype as $crate::spec::decode::Decode>::type_name,
                        $crate::record!(@default $($default)?),
                        concat!($($fdoc, "\n"),+),
                    ) ),*],
                    positional: <Self as $crate::spec::decode::Variant>::positional(),
                    variants: Vec::new(),
                    shorthand: "",
                });
                if started {
                    $( <$ftype as $crate::spec::decode::Decode>::declare(into); )*
                }
            }
        }
    };
    (@default) => { None };
    (@default $default:tt) => { Some(stringify!($default)) };
    (@name $name:ident) => { stringify!($name) };
    (@name $name:ident $shown:literal) => { $shown };
}

/// Declares a choice of the language: an enum whose variants are bare names or carry a record.
///
/// `enum Name as "Shown"`: what messages and the reference call it, if not by its name.
/// `shorthand "what may be written instead" => path::to::function` adds another way to write it: the function
/// gets the node first and answers `None` if it is not the shorthand.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        $vis:vis enum $name:ident $(as $shown:literal)? {
            $( $(#[doc = $vdoc:literal])+ $variant:ident $(($payload:ty))? ),* $(,)?
        }
        $(shorthand $short_doc:literal => $short:path)?
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        $vis enum $name {
            $( $(#[doc = $vdoc])+ $variant $(($payload))?, )*
        }

        impl $crate::spec::decode::Decode for $name {
            fn decode(
                node: &$crate::spec::node::Node,
                cx: &mut $crate::spec::decode::Context,
            ) -> Option<Self> {
                $( if let Some(value) = $short(node, cx) { return value; } )?
                let known: &'static [&'static str] = &[$(stringify!($variant)),*];
                let shown = $crate::record!(@name $name $($shown)?);
                match $crate::spec::decode::variant_name(shown, known, node, cx)? {
                    $( stringify!($variant) => $crate::choice!(@decode $name $variant $($payload)? ; node cx), )*
                    _ => None,
                }
            }
            #[cold]
            fn type_name() -> String {
                $crate::record!(@name $name $($shown)?).to_string()
            }
            // Cold, as all of the kind: only the reference asks, and what is cold is small and lies apart.
            #[cold]
            fn declare(into: &mut $crate::spec::decode::Declarations) {
                #[allow(unused_mut, unused_assignments)]
                let mut shorthand = "";
                $( shorthand = $short_doc; )?
                let started = into.start($crate::spec::decode::Declaration {
                    name: $crate::record!(@name $name $($shown)?),
                    doc: $crate::spec::decode::doc_text(concat!($($doc, "\n"),+)),
                    fields: Vec::new(),
                    positional: &[],
                    variants: vec![$((
                        stringify!($variant),
                        $crate::spec::decode::doc_text(concat!($($vdoc, "\n"),+)),
                        $crate::choice!(@payload $($payload)?),
                    )),*],
                    shorthand,
                });
                if started {
                    $( $( <$payload as $crate::spec::decode::Decode>::declare(into); )? )*
                }
            }
        }
    };
    (@decode $name:ident $variant:ident $payload:ty ; $node:ident $cx:ident) => {
        <$payload as $crate::spec::decode::Variant>::decode_as(stringify!($variant), $node, $cx)
            .map(Self::$variant)
    };
    (@decode $name:ident $variant:ident ; $node:ident $cx:ident) => {
        $crate::spec::decode::bare(stringify!($variant), $node, $cx).map(|()| Self::$variant)
    };
    (@payload) => { None };
    (@payload $payload:ty) => { Some(<$payload as $crate::spec::decode::Decode>::type_name()) };
}

/// Checks that a variant without a record is written as a bare name.
pub fn bare(name: &str, node: &Node, cx: &mut Context) -> Option<()> {
    match &node.kind {
        Kind::Record { fields, .. } if fields.is_empty() => Some(()),
        _ => cx.fail(node.span, format!("`{name}` takes no settings")),
    }
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match node.kind {
            Kind::Bool(b) => Some(b),
            _ => cx.expected(node, "true or false"),
        }
    }
    fn type_name() -> String {
        "true or false".into()
    }
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Text(t) => Some(t.clone()),
            _ => cx.expected(node, "a string"),
        }
    }
    fn type_name() -> String {
        "string".into()
    }
}

/// A whole number as written in RON: underscores and hexadecimal are allowed.
fn whole_number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

macro_rules! decode_whole {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
                let Kind::Number(text) = &node.kind else {
                    return cx.expected(node, "a whole number");
                };
                match whole_number(text).and_then(|n| <$type>::try_from(n).ok()) {
                    Some(n) => Some(n),
                    None => {
                        let what = format!("a whole number from 0 to {}", <$type>::MAX);
                        cx.expected(node, &what)
                    }
                }
            }
            fn type_name() -> String {
                "whole number".into()
            }
        }
    )*};
}
decode_whole!(u8, u16, u32, u64);

impl Decode for f64 {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let Kind::Number(text) = &node.kind else { return cx.expected(node, "a number") };
        let value = text.replace('_', "").parse::<f64>().ok();
        let value = value.or_else(|| whole_number(text).map(|n| n as f64));
        match value.filter(|v| v.is_finite()) {
            Some(v) => Some(v),
            None => cx.expected(node, "a finite number"),
        }
    }
    fn type_name() -> String {
        "number".into()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match node.kind {
            Kind::Nothing => Some(None),
            _ => T::decode(node, cx).map(Some),
        }
    }
    fn type_name() -> String {
        format!("{} or None", T::type_name())
    }
    #[cold]
    fn declare(into: &mut Declarations) {
        T::declare(into);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        T::decode(node, cx).map(Self::new)
    }
    fn type_name() -> String {
        T::type_name()
    }
    #[cold]
    fn declare(into: &mut Declarations) {
        T::declare(into);
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        T::decode(node, cx).map(|value| Self { value, span: node.span })
    }
    fn type_name() -> String {
        T::type_name()
    }
    #[cold]
    fn declare(into: &mut Declarations) {
        T::declare(into);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            let words = in_words(&T::type_name());
            let plural = if words.ends_with('s') { words } else { format!("{words}s") };
            let message = format!("expected a list of {plural}, found {}", node.describe());
            cx.diagnostics.push(Diagnostic::error(node.span, message).help("put it in brackets: `[ … ]`"));
            return None;
        };
        // All items are decoded before a failure returns, so that all are reported.
        let mut decoded = Vec::with_capacity(items.len());
        for item in items {
            decoded.extend(T::decode(item, cx));
        }
        (decoded.len() == items.len()).then_some(decoded)
    }
    fn type_name() -> String {
        format!("list of {}", T::type_name())
    }
    #[cold]
    fn declare(into: &mut Declarations) {
        T::declare(into);
    }
}

/// A map from names to `T`, in order of name: the order of declaration changes nothing.
#[derive(Clone, Debug)]
pub struct Map<T> {
    /// In order of name: a list, as positions are asked for as often as values.
    entries: Vec<(String, Span, T)>,
}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Map<T> {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.position(name).map(|at| &self.entries[at].2)
    }

    /// Where a name is declared.
    pub fn span(&self, name: &str) -> Option<Span> {
        self.position(name).map(|at| self.entries[at].1)
    }

    /// The position of a name in order of name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.entries.binary_search_by(|(k, _, _)| k.as_str().cmp(name)).ok()
    }

    /// The name and the value at a position in order of name.
    pub fn at(&self, position: usize) -> Option<(&str, &T)> {
        self.entries.get(position).map(|(k, _, v)| (k.as_str(), v))
    }

    /// Names and values in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(k, _, v)| (k.as_str(), v))
    }

    /// Names, where they stand, and values, in order of name.
    pub fn spanned(&self) -> impl Iterator<Item = (&str, Span, &T)> {
        self.entries.iter().map(|(k, s, v)| (k.as_str(), *s, v))
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(k, _, _)| k.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry that no file declares, as a topology run on its own needs.
    pub fn insert(&mut self, name: &str, span: Span, value: T) {
        let entry = (name.to_string(), span, value);
        match self.entries.binary_search_by(|(k, _, _)| k.as_str().cmp(name)) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }
}

impl<T: Decode> Decode for Map<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            _ => return cx.expected(node, &format!("a map {{\"name\": {}}}", T::type_name())),
        };
        // In the order in which they stand, so that mistakes are told in that order.
        let mut decoded: Vec<Option<(String, Span, T)>> = Vec::new();
        decoded.resize_with(entries.len(), || None);
        for ((key, value), place) in entries.iter().zip(places_by_name(entries)) {
            decoded[place] = T::decode(value, cx).map(|value| (key.value.clone(), key.span, value));
        }
        decoded.into_iter().collect::<Option<_>>().map(|entries| Self { entries })
    }
    fn type_name() -> String {
        format!("map of {}", T::type_name())
    }
    #[cold]
    fn declare(into: &mut Declarations) {
        T::declare(into);
    }
}

/// The place of each entry in order of name. No name is there twice: the parser refuses that.
fn places_by_name(entries: &[(Spanned<String>, Node)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|a, b| entries[*a].0.value.cmp(&entries[*b].0.value));
    let mut places = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(place, entry)| places[entry] = place);
    places
}

/// Any RON value, kept as it is: for settings whose type depends on their path.
#[derive(Clone, Debug)]
pub struct Anything(pub Node);

impl Decode for Anything {
    fn decode(node: &Node, _: &mut Context) -> Option<Self> {
        Some(Self(node.clone()))
    }
    fn type_name() -> String {
        "any value".into()
    }
}
