//! What is wrong with the input, said so that it can be mended.

use super::source::{Sources, Span};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One mistake (or warning) with the place it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the input cannot be used (`true`) or only deserves a second look.
    pub is_error: bool,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where, if it is anywhere.
    pub span: Option<Span>,
    /// A few words beside the underlined text.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
    /// A second place that explains the first.
    pub context: Option<(Span, String)>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            is_error: true,
            message: message.into(),
            span: Some(span),
            label: String::new(),
            help: None,
            context: None,
        }
    }

    /// An error that points at no text.
    pub fn general(message: impl Into<String>) -> Self {
        Self { span: None, ..Self::error(Span::default(), message) }
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { is_error: false, ..Self::error(span, message) }
    }

    /// Adds words beside the underlined text.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what would be right.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place.
    pub fn context(mut self, span: Span, label: impl Into<String>) -> Self {
        self.context = Some((span, label.into()));
        self
    }

    /// Adds the nearest right name and the list of names, for a name that was not found.
    pub fn nearest<'a>(self, found: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest_help(found, names) {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// `did you mean ...` and the names there are; `None` if there are none at all.
pub fn nearest_help<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() {
        return None;
    }
    let fits = |shown: &[&str]| shown.iter().map(|n| n.len() + 2).sum::<usize>() <= LIST_MAX;
    match nearest(found, &names) {
        Some(best) if names.len() == 1 || !fits(&names) => Some(format!("did you mean `{best}`?")),
        Some(best) => Some(format!("did you mean `{best}`? There is: {}", names.join(", "))),
        None if fits(&names) => Some(format!("there is: {}", names.join(", "))),
        None => {
            let shown = (1..names.len()).take_while(|n| fits(&names[..*n])).last().unwrap_or(1);
            Some(format!("there is: {}, … ({} in all)", names[..shown].join(", "), names.len()))
        }
    }
}

/// The name that is most like `found`, if one is like it at all.
pub fn nearest<'a>(found: &str, names: &[&'a str]) -> Option<&'a str> {
    if found.len() > NAME_MAX {
        return None;
    }
    let found_lower = found.to_lowercase();
    names
        .iter()
        .filter(|name| name.len() <= NAME_MAX)
        .take(NAMES_MAX)
        .map(|name| (strsim::osa_distance(&found_lower, &name.to_lowercase()), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= name.len().max(found.len()) / 2)
        .map(|(_, name)| name)
}

/// A list of names longer than this, in bytes, is cut.
const LIST_MAX: usize = 130;
/// Longer names are compared with none.
const NAME_MAX: usize = 256;
/// No more names than this are compared.
const NAMES_MAX: usize = 10_000;

/// All that was found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Errors beyond `KEPT_MAX`.
    dropped: usize,
}

/// More mistakes than this are counted, not shown.
const SHOWN_MAX: usize = 20;
/// More mistakes than this are counted, not kept.
const KEPT_MAX: usize = 1_000;

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.dropped += 1;
        } else if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether further mistakes are only counted, so that no work need go into their wording.
    pub fn is_full(&self) -> bool {
        self.list.len() >= KEPT_MAX
    }

    /// Whether the input cannot be used.
    pub fn has_errors(&self) -> bool {
        self.dropped > 0 || self.list.iter().any(|d| d.is_error)
    }

    /// All of them, in order of discovery.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Self) {
        self.dropped += other.dropped;
        for diagnostic in other.list {
            self.push(diagnostic);
        }
    }

    /// The messages as text: rustc's look, with file, line, column and the underlined source line.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|d| (!d.is_error, d.span.map(|s| (s.source, s.start))));
        let mut text = String::new();
        for diagnostic in sorted.iter().take(SHOWN_MAX) {
            text.push_str(&render_one(diagnostic, sources, &renderer));
            text.push_str("\n\n");
        }
        if sorted.len() > SHOWN_MAX {
            text.push_str(&format!("… and {} more\n\n", sorted.len() - SHOWN_MAX + self.dropped));
        }
        text
    }
}

fn render_one(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = if diagnostic.is_error { Level::ERROR } else { Level::WARNING };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    if let Some((span, source)) = diagnostic.span.and_then(|s| sources.get(s.source).map(|f| (s, f))) {
        let (range, text, line) = excerpt(&source.text, span);
        let mut snippet = Snippet::source(text).path(source.name.as_str()).line_start(line);
        let mark = AnnotationKind::Primary.span(range);
        snippet = snippet.annotation(if diagnostic.label.is_empty() {
            mark
        } else {
            mark.label(diagnostic.label.as_str())
        });
        group = group.element(snippet);
        if let Some((other, label)) = &diagnostic.context
            && let Some(source) = sources.get(other.source)
        {
            let (range, text, line) = excerpt(&source.text, *other);
            group = group.element(
                Snippet::source(text)
                    .path(source.name.as_str())
                    .line_start(line)
                    .annotation(AnnotationKind::Context.span(range).label(label.as_str())),
            );
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The lines around a span (so that huge sources cost nothing), the span within them, and the first line's number.
fn excerpt(text: &str, span: Span) -> (std::ops::Range<usize>, &str, usize) {
    let start = floor_boundary(text, span.start as usize);
    let end = floor_boundary(text, span.end as usize).max(start);
    let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
    // A construct that spans many lines is marked at its first line only.
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line_end = line_end - usize::from(line_end > start && text[..line_end].ends_with('\r'));
    let end = end.min(line_end.max(start));
    let (from, to) = clip(text, from, line_end, start, end);
    let end = end.min(to);
    let line = text.as_bytes()[..from].iter().filter(|b| **b == b'\n').count() + 1;
    (start - from..end.max(start) - from, &text[from..to], line)
}

/// Cuts a very long line down to what surrounds the span.
fn clip(text: &str, from: usize, to: usize, start: usize, end: usize) -> (usize, usize) {
    const AROUND: usize = 200;
    let from = if start - from > AROUND { floor_boundary(text, start - AROUND) } else { from };
    let to = if to > end + AROUND { floor_boundary(text, end.min(start + AROUND) + AROUND) } else { to };
    (from, to)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
