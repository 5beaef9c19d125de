//! The blast radius: who suffers from what, as a matrix for people, and in full for machines.

mod json;
mod table;

use crate::base::units::{count_text, duration_text, ratio_text};
use crate::experiment::blast::{BlastResult, BlastVariant, Failure, Kind, Suffered};
use crate::experiment::results::Verdict;
use crate::metrics::Estimate;
use crate::metrics::estimate::stable;
use crate::report::human::Options;
use crate::report::human::grid::{self, Row};
use crate::report::words::{clock, many, share_text};
use std::fmt::Write as _;

pub use json::json;
pub use table::{csv, markdown};

/// The summary for people. Quiet, it names the single points of failure and nothing else.
pub fn human(result: &BlastResult, options: &Options) -> String {
    let mut text = String::new();
    for variant in &result.variants {
        let several = result.variants.len() > 1;
        if several && !(options.quiet && variant.single_points().is_empty()) {
            let _ = writeln!(text, "{}{}", if text.is_empty() { "" } else { "\n" }, variant.name);
        }
        text.push_str(&single_points(result, variant, options));
        if options.quiet {
            continue;
        }
        let _ = write!(text, "\n{}", matrix(variant, options.width));
        text.push_str(&falls(variant));
        text.push_str(&others(result, variant));
    }
    if options.quiet && text.is_empty() {
        return text;
    }
    text.push('\n');
    if !options.files.is_empty() {
        text.push_str("Files\n");
        options.files.iter().for_each(|file| {
            let _ = writeln!(text, "  {file}");
        });
        text.push('\n');
    }
    let _ = writeln!(text, "{}", effort(result));
    let _ = writeln!(text, "reproduce: {}", options.reproduce);
    text
}

fn single_points(result: &BlastResult, variant: &BlastVariant, options: &Options) -> String {
    let found = variant.single_points();
    let spof = ratio_text(result.question.spof.0);
    if found.is_empty() {
        if options.quiet {
            return String::new();
        }
        return format!("No single point of failure: nothing takes {spof} of a population's goodput\n");
    }
    let mut text = format!("Single points of failure: they take {spof} or more of a population's goodput\n");
    for (failure, who, verdict) in found {
        let (mark, paint) = match verdict {
            Verdict::Held => ("✗", "\x1b[31m"),
            _ => ("?", "\x1b[33m"),
        };
        let mark = if options.color { format!("{paint}{mark}\x1b[0m") } else { mark.to_string() };
        let doubt = if verdict == Verdict::Held { "" } else { " (play more runs to be sure)" };
        let _ = writeln!(text, "  {mark} {}: {}{doubt}", failure.label, taken(variant, failure, &who));
    }
    text
}

/// What a failure takes of whom: "100 % of shoppers, 67 ± 2 % of members".
fn taken(variant: &BlastVariant, failure: &Failure, who: &[usize]) -> String {
    let one = |at: &usize| format!("{} of {}", percent(failure.suffered[*at].lost), name(variant, *at));
    who.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The name of a sufferer, with its population where others are called the same.
pub(super) fn name(variant: &BlastVariant, at: usize) -> String {
    let who = &variant.sufferers[at];
    match who.kind {
        Kind::Request(population)
            if variant.sufferers.iter().filter(|other| other.name == who.name).count() > 1 =>
        {
            format!("{} {}", variant.sufferers[population].name, who.name)
        }
        _ => who.name.clone(),
    }
}

/// The failures that are shown to people: all single ones, and pairs that take more than the worse of the two.
pub(super) fn shown(variant: &BlastVariant) -> Vec<&Failure> {
    let worst = |failure: &Failure| {
        let clients = failure.suffered.iter().zip(&variant.sufferers);
        let clients = clients.filter(|(_, who)| who.kind.is_client());
        clients.map(|(s, _)| s.lost.map_or(0.0, |e| e.mean)).collect::<Vec<f64>>()
    };
    let is_more = |pair: &Failure| {
        let singles: Vec<Vec<f64>> = variant
            .failures
            .iter()
            .filter(|f| !f.is_pair() && pair.struck.contains(&f.struck[0]))
            .map(worst)
            .collect();
        let lost = worst(pair);
        (0..lost.len()).any(|at| singles.iter().all(|single| lost[at] >= single[at] + 0.01))
    };
    variant.failures.iter().filter(|f| !f.is_pair() || is_more(f)).collect()
}

/// The clients that are shown: populations, and their requests if there are several kinds.
pub(super) fn client_columns(variant: &BlastVariant) -> Vec<usize> {
    let kinds = |population| variant.sufferers.iter().filter(|s| s.kind == Kind::Request(population)).count();
    let is_shown = |at: &usize| match variant.sufferers[*at].kind {
        Kind::Clients => true,
        Kind::Request(population) => kinds(population) > 1,
        _ => false,
    };
    (0..variant.sufferers.len()).filter(is_shown).collect()
}

/// The components.
pub(super) fn component_columns(variant: &BlastVariant) -> Vec<usize> {
    (0..variant.sufferers.len()).filter(|at| !variant.sufferers[*at].kind.is_client()).collect()
}

fn matrix(variant: &BlastVariant, width: usize) -> String {
    // Who hurts nobody is named below, and who is never hurt has no column.
    let mut shown = shown(variant);
    let hidden = variant.failures.len() - shown.len();
    shown.retain(|f| f.is_noticed || !f.cascade.is_empty());
    let (clients, mut components) = (client_columns(variant), component_columns(variant));
    let is_hurt = |at: usize, f: &&Failure| {
        let text = fell_text(&f.suffered[at]);
        text != "·" && text != "struck"
    };
    components.retain(|at| shown.iter().any(|f| is_hurt(*at, f)));
    let mut text = String::from(
        "Goodput that clients lose while it lasts, how long until it is back, and p99 of what still ends well\n",
    );
    let heads: Vec<String> = clients.iter().map(|at| name(variant, *at)).collect();
    let populations: Vec<usize> =
        clients.iter().copied().filter(|at| variant.sufferers[*at].kind == Kind::Clients).collect();
    let p99 = populations.iter().map(|at| match populations.len() {
        1 => "p99".to_string(),
        _ => format!("{} p99", name(variant, *at)),
    });
    let heads: Vec<String> = heads.into_iter().chain(p99).chain(["recovered".to_string()]).collect();
    let calm = |at: usize| variant.normal[at].p99_s.map_or("–".to_string(), |e| duration_text(e.mean));
    let normal = Row {
        label: "(nothing fails)".to_string(),
        cells: clients
            .iter()
            .map(|_| String::new())
            .chain(populations.iter().map(|at| calm(*at)))
            .chain([String::new()])
            .collect(),
    };
    let rows = shown.iter().map(|failure| {
        let lost = clients.iter().map(|at| lost_text(&failure.suffered[*at]));
        let slow = populations.iter().map(|at| slow_text(&failure.suffered[*at]));
        let cells = lost.chain(slow).chain([recovered(failure)]).collect();
        Row { label: failure.label.clone(), cells }
    });
    let rows: Vec<Row> = [normal].into_iter().chain(rows).collect();
    text.push_str(&grid::render(&refs(&heads), &rows, width));
    if components.is_empty() {
        text.push_str("\nNo component gets more errors, or comes to the end of its workers or CPU\n");
    } else {
        text.push_str(&component_matrix(variant, &shown, &components, width));
    }
    if hidden > 0 {
        let pairs = many(hidden as u64, "pair");
        let _ = writeln!(text, "Not shown: {pairs} that took no more than the worse of the two does alone");
    }
    text
}

fn component_matrix(
    variant: &BlastVariant,
    shown: &[&Failure],
    components: &[usize],
    width: usize,
) -> String {
    let mut text = String::new();
    let _ = write!(text, "\nErrors that components get in addition; full: no workers or no CPU left\n");
    let heads: Vec<String> = components.iter().map(|at| name(variant, *at)).collect();
    let rows = shown.iter().map(|failure| Row {
        label: failure.label.clone(),
        cells: components.iter().map(|at| fell_text(&failure.suffered[*at])).collect(),
    });
    text.push_str(&grid::render(&refs(&heads), &rows.collect::<Vec<_>>(), width));
    text
}

fn refs(heads: &[String]) -> Vec<&str> {
    heads.iter().map(String::as_str).collect()
}

/// "33 ± 1 %, 64 s"; a dot for nothing.
fn lost_text(suffered: &Suffered) -> String {
    let is_nothing = suffered.lost.is_none_or(|e| e.mean < 0.005);
    let back = match suffered.over_s {
        _ if suffered.not_over.share > 0.5 => ", stays".to_string(),
        Some(e) if e.mean >= 1.0 => format!(", {}", short(e.mean)),
        _ => String::new(),
    };
    match (is_nothing, back.as_str()) {
        (true, "") => "·".to_string(),
        _ => percent(suffered.lost) + &back,
    }
}

fn slow_text(suffered: &Suffered) -> String {
    let Some((p99, slower)) = suffered.p99_s.zip(suffered.slower_s) else { return "–".to_string() };
    let normal = p99.mean - slower.mean;
    if (slower.mean / normal).abs() < 0.1 { "·".to_string() } else { duration_text(p99.mean) }
}

fn recovered(failure: &Failure) -> String {
    if failure.metastable.share > 0.0 {
        return format!("metastable: {}", share_text(failure.metastable));
    }
    match failure.recover_s {
        Some(e) if failure.recovered.share == 1.0 => after(e),
        _ => share_text(failure.recovered),
    }
}

/// Seconds with half the width of their interval: "64 ± 2 s".
fn after(e: Estimate) -> String {
    match e.half_width.filter(|half| *half >= 0.5 && e.mean < 600.0) {
        Some(half) => format!("{:.0} ± {half:.0} s", e.mean),
        None if e.mean < 0.5 => "at once".to_string(),
        None => short(e.mean),
    }
}

/// Whole seconds, as long as they are not too many.
fn short(seconds: f64) -> String {
    if seconds < 599.5 { format!("{seconds:.0} s") } else { duration_text(seconds.round()) }
}

fn fell_text(suffered: &Suffered) -> String {
    if suffered.is_struck {
        return "struck".to_string();
    }
    let full = if suffered.is_full && suffered.fell.share >= 0.5 { "full " } else { "" };
    match suffered.errors {
        Some(e) if e.mean >= 0.005 => format!("{full}{}", percent(Some(e))),
        _ if !full.is_empty() => "full".to_string(),
        _ => "·".to_string(),
    }
}

/// A share with half the width of its interval: "100 %", "33 ± 1 %", "0.4 ± 0.2 %".
pub(super) fn percent(share: Option<Estimate>) -> String {
    let Some(e) = share else { return "–".to_string() };
    let (mean, half) = (e.mean * 100.0, e.half_width.unwrap_or(0.0) * 100.0);
    let digits = usize::from(mean.abs() < 9.95 && (half < 1.0));
    let unsigned = |x: f64| format!("{x:.digits$}").replace("-0.0", "0.0");
    let (mean, half) = (unsigned(mean).trim_end_matches(".0").to_string(), unsigned(half));
    match half.trim_end_matches(".0") {
        "0" => format!("{mean} %"),
        half => format!("{mean} ± {half} %"),
    }
}

/// What falls with what, in order.
fn falls(variant: &BlastVariant) -> String {
    let cascades = shown(variant).into_iter().filter(|f| !f.cascade.is_empty());
    let mut text = String::new();
    for failure in cascades {
        let one = |at: &usize| {
            let s = &failure.suffered[*at];
            let when = s.fell_s.map_or_else(String::new, |e| format!(" {}", after_text(e.mean)));
            let what = if s.is_full { " (full)" } else { "" };
            format!("{}{what}{when}", name(variant, *at))
        };
        let order = failure.cascade.iter().map(one).collect::<Vec<_>>().join(", then ");
        let _ = writeln!(text, "  {}: {order}", failure.label);
    }
    if text.is_empty() { text } else { format!("\nWhat falls with it, in this order\n{text}") }
}

/// The first second in which something shows is no time at all.
fn after_text(seconds: f64) -> String {
    if seconds < 0.5 { "at once".to_string() } else { format!("after {}", short(seconds)) }
}

fn others(result: &BlastResult, variant: &BlastVariant) -> String {
    let mut text = String::new();
    let spof = ratio_text(result.question.spof.0);
    let requests = variant.request_points();
    if !requests.is_empty() {
        let _ = writeln!(text, "\nTake {spof} or more of one kind of requests, and of no whole population");
    }
    for (failure, who, _) in requests {
        let _ = writeln!(text, "  {}: {}", failure.label, taken(variant, failure, &who));
    }
    let together = variant.only_together();
    if !together.is_empty() {
        let _ = writeln!(text, "\nTake {spof} or more only together");
    }
    for (failure, who) in together {
        let _ = writeln!(text, "  {}: {}", failure.label, taken(variant, failure, &who));
    }
    let unnoticed: Vec<&str> = variant.unnoticed().iter().map(|f| f.label.as_str()).collect();
    if !unnoticed.is_empty() {
        let _ = writeln!(text, "\nNo client notices\n  {}", unnoticed.join("\n  "));
    }
    text
}

fn effort(result: &BlastResult) -> String {
    let failures = result.variants.first().map_or(0, |v| v.failures.len());
    format!(
        "{}: {} from {} to {}, {} × {} of {}, {} events, seed {}",
        result.name,
        many(failures as u64, "failure"),
        clock(result.start_s),
        clock(result.end_s),
        many(result.variants.len() as u64, "variant"),
        many(u64::from(result.runs), "run"),
        duration_text(result.duration_s),
        count_text(result.events as f64),
        result.seed
    )
}

/// Mean and ends of the interval, as machines read them.
pub(super) fn numbers(estimate: Option<Estimate>) -> [String; 3] {
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| (stable(v) + 0.0).to_string());
    [
        number(estimate.map(|e| e.mean)),
        number(estimate.and_then(|e| e.lo)),
        number(estimate.and_then(|e| e.hi)),
    ]
}
