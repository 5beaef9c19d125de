//! The page for planners: sections of sentences and tables, for a terminal or in Markdown.

use super::Options;
use crate::base::units::{Unit, count_text, duration_text, rate_text, ratio_text};
use crate::experiment::capacity::{Bounds, CapacityResult, Found, Measured, Multiple, Point};
use crate::experiment::results::Verdict;
use crate::report::words::{many, value_text};
use std::fmt::Write as _;

/// Hours of a month, as clouds bill it.
const HOURS_OF_A_MONTH: f64 = 730.0;
/// Resources in the table, at most.
const RESOURCES_MAX: usize = 8;

/// A page.
pub(super) struct Page {
    sections: Vec<Section>,
    /// What was played to find out.
    effort: String,
}

/// A part of a page: a title, sentences, and a table.
#[derive(Default)]
struct Section {
    title: String,
    lines: Vec<String>,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Page {
    /// All that was found; only the verdict if `quiet`.
    pub fn of(result: &CapacityResult, quiet: bool) -> Self {
        let effort = format!(
            "{} of {}, {} events",
            many(result.runs_played as u64, "run"),
            duration_text(result.duration_s),
            count_text(result.events as f64)
        );
        let mut sections = vec![capacity(result)];
        if quiet {
            if result.at_least.1 == Verdict::Held {
                sections.clear();
            }
            return Self { sections, effort };
        }
        sections.push(objectives(result));
        sections.push(resources(result));
        sections.extend(sizes(result));
        sections.extend(without(result));
        let warnings = result.warnings.clone();
        if !warnings.is_empty() {
            sections.push(Section { title: "Read this first".into(), lines: warnings, ..Section::default() });
        }
        Self { sections, effort }
    }

    /// For a terminal.
    pub fn text(&self, options: &Options) -> String {
        let mut text = String::new();
        for section in &self.sections {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", section.title);
            for line in &section.lines {
                let _ = writeln!(text, "  {line}");
            }
            text.push_str(&table(&section.header, &section.rows, options.color));
            for note in &section.notes {
                let _ = writeln!(text, "  {note}");
            }
        }
        if text.is_empty() {
            return text;
        }
        if !options.quiet {
            let _ = writeln!(text, "\n{}", self.effort);
            for (at, file) in options.files.iter().enumerate() {
                let head = if at == 0 { "written:" } else { "        " };
                let _ = writeln!(text, "{head} {file}");
            }
        }
        let _ = writeln!(text, "\nreproduce: {}", options.reproduce);
        text
    }

    /// In Markdown.
    pub fn markdown(&self, options: &Options) -> String {
        let mut text = String::new();
        for (at, section) in self.sections.iter().enumerate() {
            let level = if at == 0 { "##" } else { "###" };
            let _ = writeln!(text, "{level} {}\n", escaped(&section.title));
            for line in &section.lines {
                let _ = writeln!(text, "- {}", escaped(line));
            }
            if !section.rows.is_empty() {
                let row = |cells: &[String]| {
                    let cells: Vec<String> = cells.iter().map(|c| escaped(c).replace('|', "\\|")).collect();
                    format!("| {} |\n", cells.join(" | "))
                };
                let lead = if section.lines.is_empty() { "" } else { "\n" };
                let _ = write!(text, "{lead}{}", row(&section.header));
                let _ = writeln!(text, "|{}", " --- |".repeat(section.header.len()));
                section.rows.iter().for_each(|cells| text.push_str(&row(cells)));
            }
            for note in &section.notes {
                let _ = write!(text, "\n{}\n", escaped(note));
            }
            text.push('\n');
        }
        if !text.is_empty() {
            let _ = writeln!(text, "Reproduce: `{}`", options.reproduce);
        }
        text
    }
}

/// Text that Markdown takes as it is. Names of files and settings stand in backticks already.
fn escaped(text: &str) -> String {
    let mut inside = false;
    let mut safe = String::new();
    for c in text.chars() {
        inside ^= c == '`';
        if !inside && matches!(c, '<' | '*' | '_') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// Headers of the columns that hold words.
const WORDS: [&str; 6] = ["load", "objective", "resource", "setting", "missing", "because"];

/// Columns side by side, two blanks between them; words to the left, numbers to the right.
fn table(header: &[String], rows: &[Vec<String>], color: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..header.len())
        .map(|at| {
            rows.iter()
                .chain([&header.to_vec()])
                .map(|r| r.get(at).map_or(0, |c| width(c)))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let mut text = String::from(" ");
        for (at, cell) in cells.iter().enumerate() {
            let gap = " ".repeat(widths[at].saturating_sub(width(cell)));
            let lead = if at == 0 { " " } else { "  " };
            let _ = match WORDS.contains(&header[at].as_str()) {
                true => write!(text, "{lead}{cell}{gap}"),
                false => write!(text, "{lead}{gap}{cell}"),
            };
        }
        text.trim_end().to_string() + "\n"
    };
    let mut text = line(header);
    for cells in rows {
        let mut row = line(cells);
        if color {
            for (mark, paint) in [("✓", "\x1b[32m"), ("✗", "\x1b[31m"), ("?", "\x1b[33m")] {
                row = row.replacen(mark, &format!("{paint}{mark}\x1b[0m"), 1);
            }
        }
        text.push_str(&row);
    }
    text
}

fn times(load: f64) -> String {
    format!("{}x", count_text(load))
}

fn with_rate(found: &Found, load: f64) -> String {
    match found.rate(load) {
        Some(rate) => format!("{} ({})", times(load), rate_text(rate)),
        None => times(load),
    }
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "✓",
        Verdict::Failed => "✗",
        Verdict::Inconclusive => "?",
    }
}

/// The load at which something breaks, in a few words.
fn in_short(found: &Found, up_to: f64) -> String {
    match (found.estimate, found.holds, found.fails) {
        (Some(load), ..) => times(load),
        (None, Some(holds), None) if holds >= up_to => format!("more than {}", times(holds)),
        (None, Some(holds), None) => format!("at least {}", times(holds)),
        (None, None, Some(fails)) => format!("less than {}", times(fails)),
        _ => "not known".into(),
    }
}

/// Why the lowest load that fails does.
fn why(found: &Found, result: &CapacityResult) -> String {
    let Some(point) = found.points.iter().find(|p| Some(p.load) == found.fails) else { return String::new() };
    if let Some(pile) = &point.pile {
        let levels = format!("{} to {} in flight", count_text(pile.early), count_text(pile.late));
        return format!("requests pile up at `{}` ({levels})", pile.place);
    }
    found.broken().map_or(String::new(), |at| {
        let (info, measured) = (&result.objectives[at], &point.objectives[at]);
        format!("`{}`: {}", info.text, value(info.unit, measured))
    })
}

fn capacity(result: &CapacityResult) -> Section {
    let found = &result.found;
    let mut lines = Vec::new();
    if let Some(holds) = found.holds {
        lines.push(format!("surely holds up to {}", with_rate(found, holds)));
    } else {
        lines.push(format!(
            "holds at no load that was played, down to {}",
            times(found.points.first().map_or(1.0, |p| p.load))
        ));
    }
    if let Some(fails) = found.fails {
        lines.push(format!("surely fails from {} on: {}", with_rate(found, fails), why(found, result)));
    } else if let Some(holds) = found.holds {
        lines.push(format!("no load up to {} was found at which it fails", times(holds.max(result.up_to))));
    }
    if let Some(knee) = result.knee {
        lines.push(format!(
            "knee at {}, between {} and {}: beyond it waiting grows faster than throughput",
            with_rate(found, knee.load),
            times(knee.between.0),
            times(knee.between.1)
        ));
    }
    let (load, verdict) = result.at_least;
    lines.push(format!("{} the objectives at {}: {}", mark(verdict), times(load), verdict.name()));
    let confidence = ratio_text(result.confidence);
    let estimate = match found.estimate {
        Some(load) => format!("about {}", with_rate(found, load)),
        None => in_short(found, result.up_to),
    };
    let variant = result.variant.as_ref().map_or(String::new(), |v| format!(", {v}"));
    Section {
        title: format!(
            "Capacity of {}{variant}: {estimate} of the load ({confidence} confidence)",
            result.name
        ),
        lines,
        ..Section::default()
    }
}

fn value(unit: Unit, measured: &Measured) -> String {
    measured.value.map_or("no value".into(), |v| interval(unit, v))
}

/// "187 ms (180 ms to 194 ms)".
fn interval(unit: Unit, bounds: Bounds) -> String {
    let text = |v: f64| value_text(unit, v);
    if bounds.hi - bounds.lo <= 1e-9 * bounds.mean.abs() {
        return text(bounds.mean);
    }
    // No count, share, duration or rate is negative; a symmetric interval does not know that.
    let lo = if bounds.mean >= 0.0 { bounds.lo.max(0.0) } else { bounds.lo };
    format!("{} ({} to {})", text(bounds.mean), text(lo), text(bounds.hi))
}

fn objectives(result: &CapacityResult) -> Section {
    let header = ["load", "objective", "value", "margin", "runs"].map(String::from).to_vec();
    let mut rows = Vec::new();
    for multiple in &result.multiples {
        let point = &multiple.point;
        let mut first = match point.rate {
            Some(rate) => format!("{} ({})", times(point.load), rate_text(rate.mean)),
            None => times(point.load),
        };
        for (measured, info) in point.objectives.iter().zip(&result.objectives) {
            let margin = measured.margin.map_or("–".into(), |m| value_text(info.unit, m));
            let text = format!("{} {}", mark(measured.verdict), info.text);
            let cells = [text, value(info.unit, measured), margin];
            let head = std::mem::take(&mut first);
            rows.push([head].into_iter().chain(cells).chain([point.runs.to_string()]).collect());
        }
        if let Some(pile) = &point.pile {
            let levels = format!("{} to {} in flight", count_text(pile.early), count_text(pile.late));
            let cells = [format!("✗ requests pile up at {}", pile.place), levels, "–".into()];
            rows.push([String::new()].into_iter().chain(cells).chain([point.runs.to_string()]).collect());
        }
    }
    let notes = match result.multiples.iter().any(|m| m.point.pile.is_some()) {
        true => {
            vec!["Where requests pile up, values grow with the length of the run: the load fails.".into()]
        }
        false => Vec::new(),
    };
    Section { title: "Do the objectives hold?".into(), header, rows, notes, ..Section::default() }
}

fn resources(result: &CapacityResult) -> Section {
    let mut sentences = Vec::new();
    for (at, full) in result.full.iter().take(3).enumerate() {
        let lead = if at == 0 { "first" } else { "then" };
        let how = if full.is_measured { "95 % in use at" } else { "by extrapolation 95 % in use at" };
        sentences.push(format!("{lead} {} ({how} {})", result.resources[full.resource], times(full.load)));
    }
    let points = &result.found.points;
    let find = |load: f64| points.iter().find(|p| p.load == load);
    let mut shown: Vec<&Point> =
        [Some(1.0), result.found.holds, result.found.fails].into_iter().flatten().filter_map(find).collect();
    shown.sort_by(|a, b| a.load.total_cmp(&b.load));
    shown.dedup_by(|a, b| a.load == b.load);
    let mut header = vec!["resource".to_string()];
    header.extend(shown.iter().map(|p| format!("in use at {}", times(p.load))));
    header.extend(shown.last().map(|p| format!("mean wait at {}", times(p.load))));
    header.push("full at".into());
    let rows = result.full.iter().take(RESOURCES_MAX).map(|full| {
        let mut row = vec![result.resources[full.resource].replace('`', "")];
        for point in &shown {
            row.push(point.usage[full.resource].map_or("–".into(), |u| interval(Unit::Ratio, u)));
        }
        if let Some(point) = shown.last() {
            row.push(point.wait[full.resource].map_or("–".into(), |w| interval(Unit::Seconds, w)));
        }
        row.push(format!("{}{}", times(full.load), if full.is_measured { "" } else { " *" }));
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut notes = Vec::new();
    if result.full.iter().take(RESOURCES_MAX).any(|full| !full.is_measured) {
        notes.push(
            "* usage prolonged in proportion to the load: what is full first keeps the others from it".into(),
        );
    }
    let beyond = result.full.len().saturating_sub(RESOURCES_MAX);
    if beyond > 0 {
        notes.push(format!("{} left out", many(beyond as u64, "resource")));
    }
    let lines = if sentences.is_empty() { Vec::new() } else { vec![sentences.join(", ")] };
    Section { title: "What gives out first?".into(), lines, header, rows, notes }
}

fn sizes(result: &CapacityResult) -> Option<Section> {
    let sized: Vec<(&Multiple, _)> =
        result.multiples.iter().filter_map(|m| Some((m, m.sized.as_ref()?))).collect();
    let (_, first) = sized.first()?;
    let mut header = vec!["setting".to_string(), "now".to_string()];
    header.extend(sized.iter().map(|(m, _)| times(m.point.load)));
    let mut rows = Vec::new();
    for (at, size) in first.sizes.iter().enumerate() {
        let mut row = vec![size.path.clone(), count_text(f64::from(size.now))];
        row.extend(sized.iter().map(|(_, sized)| match sized.holds {
            true => count_text(f64::from(sized.sizes[at].needed)),
            false => "–".to_string(),
        }));
        rows.push(row);
    }
    let now = result.found.points.iter().find(|p| p.load == 1.0).and_then(|p| p.cost);
    for (name, factor) in [("cost per hour", 1.0), ("cost per month (730 h)", HOURS_OF_A_MONTH)] {
        let text = |cost: Option<Bounds>| {
            let scaled = |b: Bounds| Bounds { mean: b.mean * factor, lo: b.lo * factor, hi: b.hi * factor };
            cost.map_or("–".to_string(), |cost| interval(Unit::Level, scaled(cost)))
        };
        if now.is_some() {
            let costs = sized.iter().map(|(_, s)| if s.holds { text(s.point.cost) } else { "–".into() });
            rows.push([name.to_string(), text(now)].into_iter().chain(costs).collect());
        }
    }
    let mut notes = vec![String::from(
        "The least sizes at which the objectives surely hold, each setting made as small as it may be while the \
         others stand, the dearest first.",
    )];
    if now.is_some() && first.sizes.iter().any(|size| !size.path.ends_with(".replicas")) {
        let note =
            "Prices are of instances as they stand in the file: more cores or workers in each cost no more.";
        notes.push(note.into());
    }
    for (multiple, sized) in &sized {
        let load = times(multiple.point.load);
        if !sized.holds {
            let fullest = sized.fullest.map_or(String::new(), |(resource, usage)| {
                format!("; the fullest is then {} ({} in use)", result.resources[resource], ratio_text(usage))
            });
            let last: Vec<String> = sized.sizes.iter().map(|s| format!("{}={}", s.path, s.needed)).collect();
            notes.push(format!(
                "{load}: no sizes were found at which the objectives hold, up to {}{fullest}: let something else \
                 change (`scale`)",
                last.join(" ")
            ));
        } else if sized.out_of_tries {
            notes.push(format!("{load}: the tries ran out; smaller sizes may do"));
        }
    }
    Some(Section { title: "What does each multiple need?".into(), header, rows, notes, ..Section::default() })
}

fn without(result: &CapacityResult) -> Option<Section> {
    if result.without.is_empty() {
        return None;
    }
    let header =
        ["missing", "capacity", "surely holds", "surely fails", "because"].map(String::from).to_vec();
    let mut notes = Vec::new();
    let mut rows = vec![row("nothing", &result.found, result)];
    for without in &result.without {
        rows.push(row(&without.name, &without.found, result));
        let note = if without.note.is_empty() { String::new() } else { format!("; {}", without.note) };
        notes.push(format!("{}: {}{note}.", without.name, without.what));
    }
    notes.push(
        "Instances have no zones: a share of them, chosen at random in each run, stands for one.".into(),
    );
    Some(Section { title: "And with something missing?".into(), header, rows, notes, ..Section::default() })
}

fn row(name: &str, found: &Found, result: &CapacityResult) -> Vec<String> {
    let load = |load: Option<f64>, none: &str| load.map_or(none.to_string(), times);
    vec![
        name.replace('`', ""),
        in_short(found, result.up_to),
        load(found.holds, "at none"),
        load(found.fails, "at none"),
        why(found, result).replace('`', ""),
    ]
}
