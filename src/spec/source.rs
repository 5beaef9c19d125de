//! Where text came from: files, `--set` arguments, defaults; and spans that point into them.

use std::path::{Path, PathBuf};

/// A range of bytes in one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Which source, an index into [`Sources`].
    pub source: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The empty place just before this span's end: where something is missing.
    pub fn at_end(self) -> Self {
        Self { start: self.end.saturating_sub(1).max(self.start), ..self }
    }
}

/// Where each field of a record was written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places(Vec<(&'static str, Span)>);

impl Places {
    /// From the fields that were given.
    pub fn new(given: Vec<(&'static str, Span)>) -> Self {
        Self(given)
    }

    /// Where `field` was given, if it was.
    pub fn of(&self, field: &str) -> Option<Span> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, span)| *span)
    }
}

/// A value and where it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// One piece of text that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// What to call it in messages: a path as the user typed it, or `--set`.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// The folder that relative paths inside it start from.
    pub folder: PathBuf,
}

/// All text read for one command, in order of reading.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// Adds a text and returns its index.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>, folder: &Path) -> u32 {
        self.list.push(Source { name: name.into(), text: text.into(), folder: folder.to_path_buf() });
        (self.list.len() - 1) as u32
    }

    /// The source with this index.
    pub fn get(&self, index: u32) -> Option<&Source> {
        self.list.get(index as usize)
    }

    /// The text a span covers; empty when it covers none.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).and_then(|s| s.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// Line and column (1-based, in characters) at which a span starts.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let Some(source) = self.get(span.source) else { return (1, 1) };
        let before = source.text.get(..span.start as usize).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// All sources, in order of reading.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.list.iter()
    }
}
