//! Rare events: how often a system is out, how it comes to be, and how sure that is.

use crate::base::units::{count_text, duration_text};
use crate::experiment::rare::{RareResult, RareVariant, Share};
use crate::metrics::Estimate;
use crate::report::human::Options;
use crate::report::json::{Interval, Number, interval_of};
use crate::report::words::many;
use serde::Serialize;
use std::fmt::Write as _;

/// How many beginnings of outages are shown to people.
const SHARES_MAX: usize = 10;

/// The summary for people.
pub fn human(result: &RareResult, options: &Options) -> String {
    let mut text = String::new();
    for variant in &result.variants {
        if !text.is_empty() {
            text.push('\n');
        }
        if result.variants.len() > 1 {
            let _ = writeln!(text, "{}", variant.name);
        }
        text.push_str(&answer(result, variant));
        if !options.quiet {
            text.push_str(&beginnings(result, variant));
            text.push_str(&played(variant));
        }
    }
    text.push('\n');
    if !options.files.is_empty() {
        text.push_str("Files\n");
        options.files.iter().for_each(|file| {
            let _ = writeln!(text, "  {file}");
        });
        text.push('\n');
    }
    if !options.quiet {
        let runs = result.runs.map_or_else(String::new, |runs| {
            let sets: usize = result.variants.iter().map(|v| v.played.len()).sum();
            format!(", {} of failures × {} played", many(sets as u64, "set"), many(u64::from(runs), "run"))
        });
        let tried: u64 = result.variants.iter().map(|v| v.sampled.tried).sum();
        let hits: u64 = result.variants.iter().map(|v| v.sampled.hits).sum();
        let _ = writeln!(
            text,
            "{}: {} sampled, {} of them outages{runs}, seed {}",
            result.name,
            many(tried, "beginning"),
            count_text(hits as f64),
            result.seed
        );
    }
    let _ = writeln!(text, "reproduce: {}", options.reproduce);
    text
}

fn answer(result: &RareResult, variant: &RareVariant) -> String {
    let per = duration_text(result.question.per.0);
    if variant.played.first().is_some_and(|p| p.is_outage()) {
        return "The objectives are broken while nothing fails: every moment is an outage\n".to_string();
    }
    let lasting = match result.question.lasting.0 {
        0.0 => String::new(),
        seconds => format!(" of {} or more", duration_text(seconds)),
    };
    let Some(outages) = variant.sampled.outages.filter(|_| variant.sampled.hits > 0) else {
        return format!("No outage{lasting} was found\n");
    };
    let mut text = format!("Outages{lasting} in {per}\n");
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "  {what:24} {value}");
    };
    line("how many", relative(Some(outages), &scientific));
    if outages.mean > 0.0 {
        line("one in", duration_or_years(result.question.per.0 / outages.mean));
    }
    line("chance of any", scientific(-libm::expm1(-outages.mean)));
    line("time out", relative(variant.sampled.seconds, &span));
    if let Some(duration) = variant.sampled.duration_s {
        line("one lasts (mean)", duration_text(duration));
    }
    let share = variant.sampled.seconds.map_or(0.0, |e| e.mean) / result.question.per.0;
    line("share of time out", scientific(share));
    if let Some(exact) = variant.exact.filter(|_| result.question.lasting.0 == 0.0) {
        let (number, time) =
            (exact.rate * result.question.per.0, exact.unavailability * result.question.per.0);
        line("all states added up", format!("{} outages, {} out", scientific(number), span(time)));
    }
    if let Some(beyond) = variant.beyond {
        let note = format!(
            "at most {}, if every set of more failures were an outage",
            span(beyond * result.question.per.0)
        );
        line("time out in any case", note);
    }
    text
}

/// A mean and half the width of its interval relative to it: "3.12e-6 ± 1.1 %".
fn relative(estimate: Option<Estimate>, shown: &dyn Fn(f64) -> String) -> String {
    let Some(e) = estimate else { return "–".to_string() };
    let error = e.relative_half_width().map_or_else(String::new, |r| format!(" ± {:.1} %", r * 100.0));
    shown(e.mean) + &error
}

/// Three digits: "0.0312", "3.12e-6".
fn scientific(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    match rounded.abs() {
        x if x == 0.0 || (1e-3..1e6).contains(&x) => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

/// A time out, which may be very short: "4 min 12 s", "3.1e-4 s".
fn span(seconds: f64) -> String {
    if seconds >= 1e-3 { duration_text(seconds) } else { format!("{} s", scientific(seconds)) }
}

fn duration_or_years(seconds: f64) -> String {
    let years = seconds / (365.25 * 86_400.0);
    if years >= 2.0 { format!("{} years", scientific(years)) } else { duration_text(seconds) }
}

/// "db × 2 + rack".
fn set_text(variant: &RareVariant, down: &[u32]) -> String {
    let parts = variant.classes.iter().zip(down).filter(|(_, k)| **k > 0).map(|(class, k)| match k {
        1 => class.name.clone(),
        k => format!("{} × {k}", class.name),
    });
    let text = parts.collect::<Vec<_>>().join(" + ");
    if text.is_empty() { "nothing".to_string() } else { text }
}

fn beginnings(result: &RareResult, variant: &RareVariant) -> String {
    let all = variant.sampled.outages.map_or(0.0, |e| e.mean);
    if variant.sampled.shares.is_empty() || all <= 0.0 {
        return String::new();
    }
    let mut text = format!("\nWhat is down when they begin, in {}\n", duration_text(result.question.per.0));
    let shown: Vec<(&Share, String)> =
        variant.sampled.shares.iter().take(SHARES_MAX).map(|s| (s, set_text(variant, &s.down))).collect();
    let width = shown.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0);
    for (share, name) in &shown {
        let part = share.outages.map_or(0.0, |e| e.mean) / all * 100.0;
        let pad = " ".repeat(width - name.chars().count());
        let _ = writeln!(
            text,
            "  {name}{pad}  {part:5.1} %  {:>20}  out for {}",
            relative(share.outages, &scientific),
            relative(share.seconds, &span)
        );
    }
    let rest = variant.sampled.shares.len() - shown.len();
    if rest > 0 {
        let _ = writeln!(text, "  and {} that are rarer", many(rest as u64, "set"));
    }
    text
}

fn played(variant: &RareVariant) -> String {
    let found: Vec<_> = variant.played.iter().filter(|p| p.broken > 0).collect();
    if variant.played.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nPlayed with these down, the objectives are broken\n");
    for p in &found {
        let doubt =
            if p.broken < p.runs { format!(" (in {} of {} runs)", p.broken, p.runs) } else { String::new() };
        let _ = writeln!(text, "  {}{doubt}", set_text(variant, &p.down));
    }
    if found.is_empty() {
        text.push_str("  never\n");
    }
    let fine: Vec<String> =
        variant.played.iter().filter(|p| p.broken == 0).map(|p| set_text(variant, &p.down)).collect();
    if fine.len() <= SHARES_MAX {
        let _ = writeln!(text, "and with these they hold: {}", fine.join(", "));
    } else {
        let _ = writeln!(text, "and with {} others they hold", fine.len());
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    brownout: &'static str,
    name: &'a str,
    seed: u64,
    runs: Option<u32>,
    per_s: Number,
    lasting_s: Number,
    outage: Vec<&'a str>,
    variants: Vec<Variant<'a>>,
}

#[derive(Serialize)]
struct Variant<'a> {
    name: &'a str,
    outages: Value,
    time_out_s: Value,
    chance_of_any: Option<Number>,
    duration_mean_s: Option<Number>,
    tried: u64,
    hits: u64,
    exact: Option<Exact>,
    time_out_at_most_s: Option<Number>,
    failures: Vec<Class<'a>>,
    beginnings: Vec<Beginning>,
    played: Vec<Set>,
}

#[derive(Serialize)]
struct Exact {
    outages: Number,
    time_out_s: Number,
}

#[derive(Serialize)]
struct Class<'a> {
    name: &'a str,
    members: u32,
    unavailability: Number,
    failures: Number,
}

#[derive(Serialize)]
struct Beginning {
    down: Vec<u32>,
    outages: Value,
    time_out_s: Value,
}

#[derive(Serialize)]
struct Set {
    down: Vec<u32>,
    broken_runs: u32,
    runs: u32,
    outage: bool,
}

type Value = Option<Mean>;

#[derive(Serialize)]
struct Mean {
    mean: Number,
    ci95: Interval,
}

fn value(estimate: Option<Estimate>) -> Value {
    estimate.map(|e| Mean { mean: Number(e.mean), ci95: interval_of(estimate) })
}

/// Everything, pretty, with a newline at the end.
pub fn json(result: &RareResult) -> String {
    let per = result.question.per.0;
    let variants = result.variants.iter().map(|v| Variant {
        name: &v.name,
        outages: value(v.sampled.outages),
        time_out_s: value(v.sampled.seconds),
        chance_of_any: v.sampled.outages.map(|e| Number(-libm::expm1(-e.mean))),
        duration_mean_s: v.sampled.duration_s.map(Number),
        tried: v.sampled.tried,
        hits: v.sampled.hits,
        exact: v
            .exact
            .map(|e| Exact { outages: Number(e.rate * per), time_out_s: Number(e.unavailability * per) }),
        time_out_at_most_s: v.beyond.map(|share| Number(share * per)),
        failures: v
            .classes
            .iter()
            .map(|c| Class {
                name: &c.name,
                members: c.members,
                unavailability: Number(c.unavailability()),
                failures: Number(f64::from(c.members) * c.frequency() * per),
            })
            .collect(),
        beginnings: v
            .sampled
            .shares
            .iter()
            .map(|s| Beginning {
                down: s.down.clone(),
                outages: value(s.outages),
                time_out_s: value(s.seconds),
            })
            .collect(),
        played: v
            .played
            .iter()
            .map(|p| Set { down: p.down.clone(), broken_runs: p.broken, runs: p.runs, outage: p.is_outage() })
            .collect(),
    });
    let document = Document {
        brownout: env!("CARGO_PKG_VERSION"),
        name: &result.name,
        seed: result.seed,
        runs: result.runs,
        per_s: Number(per),
        lasting_s: Number(result.question.lasting.0),
        outage: result.question.outage.iter().map(|text| text.value.as_str()).collect(),
        variants: variants.collect(),
    };
    match serde_json::to_string_pretty(&document) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}
