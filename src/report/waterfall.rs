//! Single requests as indented text: what each waited for, step by step, and where its time went.

use super::traces::{trace_id, traces, words};
use super::words::many;
use crate::base::Outcome;
use crate::base::units::{count_text, ratio_text};
use crate::experiment::results::{ExperimentResult, VariantResult};
use crate::experiment::traces::{RunTraces, TraceBook};
use crate::metrics::trace::{End, NO_SPAN, Span, Traces, What};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many characters a bar has.
const BAR: usize = 24;
/// The most lines of one request.
const LINES_MAX: usize = 120;
/// The most places where time went that are told.
const PLACES_MAX: usize = 5;

/// The least share that is told.
const SHARE_MIN: f64 = 0.005;

/// Which requests are shown.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many of each variant, the slowest first.
    pub slowest: usize,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
}

/// One trace.
struct Trace<'a> {
    book: &'a TraceBook,
    run: &'a RunTraces,
    spans: Vec<u32>,
}

impl Trace<'_> {
    fn traces(&self) -> &Traces {
        &self.run.traces
    }

    fn span(&self, number: u32) -> &Span {
        &self.run.traces.spans[number as usize]
    }

    fn root(&self) -> &Span {
        self.span(self.spans[0])
    }
}

/// The slowest sampled requests of each variant.
pub fn write(result: &ExperimentResult, options: &Options) -> String {
    let mut out = String::new();
    for variant in &result.variants {
        if let Some(book) = &variant.traces {
            of_variant(&mut out, result, variant, book, options);
        }
    }
    for warning in &result.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn of_variant(
    out: &mut String,
    result: &ExperimentResult,
    variant: &VariantResult,
    book: &TraceBook,
    options: &Options,
) {
    let all = book.runs.iter().flat_map(|run| {
        traces(&run.traces).into_iter().filter(|spans| !spans.is_empty()).map(move |spans| Trace {
            book,
            run,
            spans,
        })
    });
    let all: Vec<Trace> = all.collect();
    let sampled = all.len() as u64;
    let mut fit: Vec<Trace> = all
        .into_iter()
        .filter(|t| options.outcome.is_none_or(|outcome| t.root().end.outcome() == Some(outcome)))
        .collect();
    let found = fit.len();
    // Stable: among equals the first of the first run.
    fit.sort_by_key(|trace| std::cmp::Reverse(trace.root().to_ns - trace.root().from_ns));
    fit.truncate(options.slowest);
    let _ = writeln!(
        out,
        "{}, {}: {} of {} sampled ({})",
        result.name,
        variant.name,
        many(sampled, "request"),
        many(variant.requests, "request"),
        ratio_text(book.share)
    );
    if let Some(outcome) = options.outcome {
        let _ = writeln!(out, "{} of them ended as {}", count_text(found as f64), outcome.name());
    }
    for (place, trace) in fit.iter().enumerate() {
        let _ = writeln!(out);
        one(out, variant, place, trace);
    }
    let _ = writeln!(out);
}

fn one(out: &mut String, variant: &VariantResult, place: usize, trace: &Trace) {
    let root = trace.root();
    let named = words::named(trace.book, trace.traces(), trace.spans[0]);
    let _ = writeln!(
        out,
        "{}. {} asks {} at {:.3} s of run {}: {} after {} ms (trace {})",
        place + 1,
        named.service,
        named.name,
        root.from_ns as f64 / 1e9,
        trace.run.run,
        ending(root),
        ms(root.to_ns - root.from_ns),
        trace_id(&variant.name, trace.run.run, root)
    );
    let _ = writeln!(out, "\n   {:>12} {:>12} {:>6}", "at ms", "took ms", "share");
    let children = children(trace);
    let mut lines = 0;
    rows(out, trace, &children, trace.spans[0], 0, &mut lines);
    if lines > LINES_MAX {
        let _ = writeln!(out, "   … and {}", many((lines - LINES_MAX) as u64, "line"));
    }
    where_it_went(out, trace, &children);
}

/// The spans below each, in order of time.
fn children(trace: &Trace) -> BTreeMap<u32, Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for number in &trace.spans {
        let parent = trace.span(*number).parent;
        if parent != NO_SPAN {
            children.entry(parent).or_default().push(*number);
        }
    }
    children
}

fn rows(
    out: &mut String,
    trace: &Trace,
    children: &BTreeMap<u32, Vec<u32>>,
    number: u32,
    depth: usize,
    lines: &mut usize,
) {
    let (root, span) = (trace.root(), trace.span(number));
    let took = span.to_ns - span.from_ns;
    let indent = "  ".repeat(depth);
    let mut push = |line: &str| {
        *lines += 1;
        if *lines <= LINES_MAX {
            let _ = writeln!(out, "   {}", line.trim_end());
        }
    };
    push(&format!(
        "{:>12} {:>12} {:>6}  {}  {indent}{}",
        ms(span.from_ns - root.from_ns),
        ms(took),
        share(took, root.to_ns - root.from_ns),
        bar(root, span),
        title(trace, number)
    ));
    for note in trace.traces().notes.iter().filter(|note| note.span == number) {
        let at = ms(note.at_ns - root.from_ns);
        push(&format!(
            "{at:>12} {:>12} {:>6}  {:BAR$}  {indent}  ! {}",
            "",
            "",
            "",
            words::note(&trace.book.names, note)
        ));
    }
    for child in children.get(&number).into_iter().flatten() {
        rows(out, trace, children, *child, depth + 1, lines);
    }
}

fn title(trace: &Trace, number: u32) -> String {
    let span = trace.span(number);
    let named = words::named(trace.book, trace.traces(), number);
    let mut title = if named.instance.is_empty() {
        named.name.into_owned()
    } else {
        format!("{} {}", named.instance, named.name)
    };
    if let What::Work { work_ns } = span.what {
        let waited = (span.to_ns - span.from_ns).saturating_sub(work_ns);
        let _ = write!(title, " ({} ms, and {} ms of waiting for it)", ms(work_ns), ms(waited));
    }
    match span.end {
        End::Over => {}
        End::Answered(_) if span.end.outcome() == Some(Outcome::Ok) => {}
        _ => {
            let _ = write!(title, ": {}", ending(span));
        }
    }
    // Said once, of the outermost part that goes on when nobody waits any more.
    let until = trace.root().to_ns;
    let is_below = span.parent != NO_SPAN && trace.span(span.parent).to_ns > until;
    if span.to_ns > until && !is_below {
        title.push_str(" (goes on for nobody)");
    }
    title
}

fn ending(span: &Span) -> &'static str {
    match span.end {
        End::Open => "still under way at the end",
        End::Left => "nobody waits any more",
        End::Over => "over",
        End::Answered(_) => span.end.outcome().map_or("", Outcome::name),
    }
}

/// Where in the request's time a span lies.
fn bar(root: &Span, span: &Span) -> String {
    let whole = (root.to_ns - root.from_ns).max(1) as u128;
    let place = |ns: u64| {
        (u128::from(ns.saturating_sub(root.from_ns)) * BAR as u128 / whole).min(BAR as u128) as usize
    };
    let from = place(span.from_ns).min(BAR - 1);
    let to = place(span.to_ns).max(from);
    let filled = if to == from { "▏".to_string() } else { "█".repeat(to - from) };
    format!("{:BAR$}", " ".repeat(from) + &filled)
}

fn ms(ns: u64) -> String {
    format!("{:.3}", ns as f64 / 1e6)
}

fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".into(),
        _ if part > whole => ">100 %".into(),
        _ => format!("{:.0} %", part as f64 / whole as f64 * 100.0),
    }
}

/// What the request's own time was spent on: of each span the part that none of those below it explain.
fn where_it_went(out: &mut String, trace: &Trace, children: &BTreeMap<u32, Vec<u32>>) {
    let root = trace.root();
    let whole = root.to_ns - root.from_ns;
    let mut places: BTreeMap<String, u64> = BTreeMap::new();
    let mut open = vec![(trace.spans[0], root.from_ns, root.to_ns)];
    while let Some((number, from, to)) = open.pop() {
        let below = children.get(&number).map(Vec::as_slice).unwrap_or_default();
        let (mut own, mut until) = (0, from);
        for child in below {
            let span = trace.span(*child);
            // Who gave up earlier does not spend what goes on below.
            let (start, end) = (span.from_ns.clamp(from, to), span.to_ns.clamp(from, to));
            own += start.saturating_sub(until);
            until = until.max(end);
            if end > start {
                open.push((*child, start, end));
            }
        }
        own += to.saturating_sub(until);
        if own == 0 {
            continue;
        }
        let named = words::named(trace.book, trace.traces(), number);
        let mut add =
            |what: &str, ns: u64| *places.entry(format!("{what} ({})", named.service)).or_default() += ns;
        match trace.span(number).what {
            What::Work { work_ns } => {
                let worked = work_ns.min(own);
                add("work on the CPU", worked);
                if own > worked {
                    add("wait for the CPU", own - worked);
                }
            }
            What::Exec { .. } => add("between steps", own),
            _ => add(&named.name, own),
        }
    }
    let mut places: Vec<(String, u64)> = places.into_iter().collect();
    places.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let told: Vec<String> = places
        .iter()
        .take(PLACES_MAX)
        .filter(|(_, ns)| *ns as f64 >= SHARE_MIN * whole as f64)
        .map(|(what, ns)| format!("{} {what}", share(*ns, whole)))
        .collect();
    if !told.is_empty() {
        let _ = writeln!(out, "\n   Where the time went: {}", told.join(", "));
    }
}
