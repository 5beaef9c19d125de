//! What tuning found: the summary, JSON, a table of all candidates, and the settings as a file.

use super::json::Number;
use super::words::{estimate_text, many, value_text};
use crate::base::units::Unit;
use crate::experiment::results::{ExpectationResult, Verdict};
use crate::experiment::tune::sensitivity::Effect;
use crate::experiment::tune::{Confirmed, SensitivityResult, State, TuneResult};
use crate::metrics::Estimate;
use crate::metrics::estimate::stable;
use serde::Serialize;
use std::fmt::Write as _;

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether verdicts are red and green.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Files that were written, to be listed.
    pub files: Vec<String>,
    /// The command that plays what was found, if it was written to a file.
    pub again: Option<String>,
    /// The command that gives the same results again.
    pub reproduce: String,
    /// Only the settings found, or what is wrong.
    pub quiet: bool,
}

type Interval = Option<(f64, f64)>;

/// A value as written in a file, without the quotes of RON.
pub fn plain(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

// ---- for people ----

/// The summary, with a newline at the end.
pub fn human(result: &TuneResult, options: &Options) -> String {
    let mut sections = vec![headline(result, options.color)];
    let chosen = result.found.first();
    if let Some(chosen) = chosen {
        sections.push(settings_table(result, chosen));
    }
    if !options.quiet {
        if result.aims.len() > 1 && !result.found.is_empty() {
            sections.push(front(result));
        }
        sections.extend(chosen.map(|chosen| aims(result, chosen)));
    }
    sections.extend(chosen.map(|chosen| constraints(result, chosen, options)));
    if !options.quiet {
        sections.extend(result.sensitivity.as_ref().map(|s| what_matters(result, s)));
        sections.push(search(result));
        if !options.files.is_empty() {
            let files = options.files.iter().fold(String::new(), |text, file| text + "  " + file + "\n");
            sections.push(format!("Files\n{files}"));
        }
    }
    let mut closing = String::new();
    if let Some(again) = &options.again {
        let _ = writeln!(closing, "play it:   {again}");
    }
    let _ = writeln!(closing, "reproduce: {}", options.reproduce);
    sections.push(closing);
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn mark(state: State, color: bool) -> String {
    let (mark, paint) = match state {
        State::Feasible => ("✓", "\x1b[32m"),
        State::Inconclusive => ("?", "\x1b[33m"),
        State::Infeasible | State::Impossible => ("✗", "\x1b[31m"),
    };
    if color { format!("{paint}{mark}\x1b[0m") } else { mark.to_string() }
}

fn headline(result: &TuneResult, color: bool) -> String {
    let best = |state| result.found.iter().filter(|one| one.state == state).count();
    let (feasible, open) = (best(State::Feasible), best(State::Inconclusive));
    let runs = result.found.first().map_or(0, |one| one.runs);
    let seen = format!("{} that the search has not seen", many(u64::from(runs), "run"));
    let (state, text) = match (feasible, open) {
        _ if result.constraints.is_empty() && feasible > 0 => {
            (State::Feasible, format!("the best settings found, on {seen}"))
        }
        (1.., _) if result.aims.len() > 1 => (
            State::Feasible,
            format!(
                "{feasible} of {} on the front meet every constraint, on {seen} each",
                result.found.len()
            ),
        ),
        (1.., _) => (State::Feasible, format!("settings that meet every constraint, on {seen}")),
        (0, 1..) => (
            State::Inconclusive,
            format!(
                "inconclusive: no constraint fails, and not all of them hold with their interval, on {seen}"
            ),
        ),
        (0, 0) if result.found.is_empty() => {
            (State::Infeasible, "no settings that can be played were found".to_string())
        }
        (0, 0) => (
            State::Infeasible,
            format!("no settings found that meet the constraints; the nearest, on {seen}"),
        ),
    };
    format!("{} {} ({}): {text}\n", mark(state, color), result.name, result.variant)
}

/// Lines of cells, each column as wide as its widest cell; the first row may be a heading.
fn table(rows: &[Vec<String>], has_heading: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // A heading begins at the edge, and its columns stand above those of the rows.
            let _ = match has_heading && number == 0 && at == 0 {
                true => write!(line, "{cell:width$}", width = width + 2),
                false => write!(line, "  {cell:width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A value that may be long, such as a stack of layers.
fn short(value: &str) -> String {
    let value = plain(value).split_whitespace().collect::<Vec<_>>().join(" ");
    if value.chars().count() <= 44 { value } else { value.chars().take(43).chain(['…']).collect() }
}

fn settings_table(result: &TuneResult, chosen: &Confirmed) -> String {
    let head = ["Settings", "present", "found", "of"].map(str::to_string).to_vec();
    let rows = result.settings.iter().zip(&chosen.values).map(|(setting, value)| {
        let present = setting.present.as_deref().map_or("(default)".to_string(), short);
        vec![setting.path.clone(), present, short(value), setting.range.clone()]
    });
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    table(&rows, true)
}

fn with_interval(unit: Unit, value: Option<f64>, ci95: Interval) -> String {
    match (value, ci95) {
        (None, _) => "no value".to_string(),
        (Some(value), Some((lo, hi))) if lo < hi => {
            format!("{} ({} to {})", value_text(unit, value), value_text(unit, lo), value_text(unit, hi))
        }
        (Some(value), _) => value_text(unit, value),
    }
}

fn wanted(is_large: bool) -> &'static str {
    if is_large { "maximise" } else { "minimise" }
}

fn aims(result: &TuneResult, chosen: &Confirmed) -> String {
    let runs = many(u64::from(result.present.runs), "run");
    let mut text = format!("Aims, with 95 % intervals; present settings on {runs}, differences run by run\n");
    for (number, aim) in result.aims.iter().enumerate() {
        let of = |one: &Confirmed| with_interval(aim.unit, one.aims[number].0, one.aims[number].1);
        let _ = writeln!(text, "  {} {}", wanted(aim.is_large), aim.text);
        let difference = match chosen.differences[number] {
            Some(difference) => estimate_text(aim.unit, Some(difference)),
            None => "unknown".to_string(),
        };
        let _ =
            writeln!(text, "      {}; present {}; difference {difference}", of(chosen), of(&result.present));
    }
    text
}

fn constraints(result: &TuneResult, chosen: &Confirmed, options: &Options) -> String {
    let shown = |found: &ExpectationResult| !options.quiet || found.verdict != Verdict::Held;
    let mut text = String::new();
    for ((file, written, unit), (number, found)) in
        result.constraints.iter().zip(chosen.constraints.iter().enumerate()).filter(|(_, (_, f))| shown(f))
    {
        let state = match found.verdict {
            Verdict::Held => State::Feasible,
            Verdict::Inconclusive => State::Inconclusive,
            Verdict::Failed => State::Infeasible,
        };
        let place = if file.is_empty() { String::new() } else { format!(" in {file}") };
        let before = with_interval(*unit, result.present.constraints[number].value, None);
        let _ = writeln!(
            text,
            "  {} {written}{place}\n      {}; present {before}",
            mark(state, options.color),
            with_interval(*unit, found.value, found.ci95),
        );
    }
    if text.is_empty() { text } else { format!("Constraints\n{text}") }
}

fn front(result: &TuneResult) -> String {
    let mut head = vec!["Front".to_string()];
    head.extend(result.aims.iter().map(|aim| short(&format!("{} {}", wanted(aim.is_large), aim.text))));
    head.extend(result.settings.iter().map(|s| s.path.clone()));
    let mut rows = vec![head];
    for (number, one) in result.found.iter().enumerate() {
        let chosen = if number == 0 { " (chosen)" } else { "" };
        let beaten = if one.is_dominated { ", beaten" } else { "" };
        let mut row = vec![format!("{}{chosen} {}{beaten}", number + 1, one.state.name())];
        row.extend(result.aims.iter().zip(&one.aims).map(|(aim, (v, ci))| with_interval(aim.unit, *v, *ci)));
        row.extend(one.values.iter().map(|value| short(value)));
        rows.push(row);
    }
    table(&rows, true)
}

fn what_matters(result: &TuneResult, found: &SensitivityResult) -> String {
    let how = match found.method {
        "Morris" => "mean size of the effect of a change through the whole range, and its spread",
        _ => "share of the variance that the setting explains with others, and alone",
    };
    let mut text = format!(
        "What matters ({}, {}, {}): {how}\n",
        found.method,
        many(found.candidates as u64, "candidate"),
        many(u64::from(found.runs), "run")
    );
    for (output, unit, effects) in &found.outputs {
        let _ = writeln!(text, "  {output}");
        let rows: Vec<Vec<String>> = effects.iter().map(|effect| effect_row(result, effect, *unit)).collect();
        match rows.is_empty() {
            true => text.push_str("    no candidate has a value\n"),
            false => table(&rows, false).lines().for_each(|line| {
                let _ = writeln!(text, "  {line}");
            }),
        }
    }
    text
}

fn effect_row(result: &TuneResult, effect: &Effect, unit: Unit) -> Vec<String> {
    let path = result.settings[effect.setting].path.clone();
    match effect.total {
        Some(total) => vec![
            path,
            estimate_text(Unit::Ratio, Some(total)),
            format!("alone {}", estimate_text(Unit::Ratio, effect.main)),
        ],
        None => {
            let spread = effect.spread.map_or(String::new(), |s| format!("spread {}", value_text(unit, s)));
            vec![path, estimate_text(unit, effect.main), spread]
        }
    }
}

fn search(result: &TuneResult) -> String {
    let tried = result.trials.iter().filter(|t| t.stage != "present" && t.stage != "sensitivity");
    let (mut all, mut meets, mut impossible) = (0u64, 0u64, 0u64);
    for trial in tried {
        all += 1;
        meets += u64::from(trial.meets);
        impossible += u64::from(trial.state == State::Impossible);
    }
    let most = result.trials.iter().skip(1).map(|t| t.runs).max().unwrap_or(0);
    let mut text = format!(
        "Search: {}, {} each at first and up to {most} for the best\n  by {}\n",
        many(all, "candidate"),
        many(u64::from(result.first_runs), "run"),
        result.method,
    );
    let misses = all - meets - impossible;
    let _ = writeln!(
        text,
        "  {meets} meet the constraints in the mean, {misses} do not, {impossible} cannot be played\n  {} of a budget of \
         {}, seed {} and for the final look {}",
        many(u64::from(result.runs), "run"),
        result.budget,
        result.seed,
        result.fresh_seed,
    );
    if result.refuted > 0 {
        let _ = writeln!(
            text,
            "  {} looked good in the search and did not stand the final look",
            many(result.refuted as u64, "candidate")
        );
    }
    text
}

// ---- as a file of settings ----

/// The settings of a candidate, for `--set @FILE`.
pub fn settings(result: &TuneResult, one: &Confirmed, command: &str) -> String {
    let mut text = format!("// Found by: {command}\n");
    for (aim, (value, ci95)) in result.aims.iter().zip(&one.aims) {
        let found = with_interval(aim.unit, *value, *ci95);
        let _ = writeln!(text, "// {} {}: {found}", wanted(aim.is_large), aim.text);
    }
    for ((file, written, unit), found) in result.constraints.iter().zip(&one.constraints) {
        let place = if file.is_empty() { String::new() } else { format!(" in {file}") };
        let value = with_interval(*unit, found.value, found.ci95);
        let _ = writeln!(text, "// {written}{place}: {}, {value}", found.verdict.name());
    }
    let _ = writeln!(
        text,
        "// On {} with seed {}. Play it with: --set @THIS_FILE",
        many(u64::from(one.runs), "run"),
        result.fresh_seed
    );
    let mut set = "{\n".to_string();
    for (setting, value) in result.settings.iter().zip(&one.values) {
        let _ = writeln!(set, "    {:?}: {value},", setting.path);
    }
    set.push('}');
    match result.is_variant {
        true => text + &format!("Settings(variant: {:?}, set: {set})\n", result.variant),
        false => text + &set + "\n",
    }
}

// ---- for machines ----

#[derive(Serialize)]
struct Document<'a> {
    brownout: &'static str,
    name: &'a str,
    variant: &'a str,
    seed: u64,
    fresh_seed: u64,
    budget: u32,
    runs: u32,
    method: &'a str,
    settings: Vec<Setting<'a>>,
    aims: Vec<Aim<'a>>,
    constraints: Vec<Constraint<'a>>,
    candidates: usize,
    refuted: usize,
    present: Found<'a>,
    found: Vec<Found<'a>>,
    sensitivity: Option<Matters<'a>>,
}

#[derive(Serialize)]
struct Setting<'a> {
    path: &'a str,
    range: &'a str,
    present: Option<&'a str>,
}

#[derive(Serialize)]
struct Aim<'a> {
    text: &'a str,
    unit: &'static str,
    wanted: &'static str,
}

#[derive(Serialize)]
struct Constraint<'a> {
    file: Option<&'a str>,
    text: &'a str,
    unit: &'static str,
}

#[derive(Serialize)]
struct Value {
    value: Option<Number>,
    ci95: Option<[Number; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
}

#[derive(Serialize)]
struct Measured {
    mean: Number,
    ci95: Option<[Number; 2]>,
}

impl Measured {
    fn of(estimate: Estimate) -> Self {
        let ends = estimate.lo.zip(estimate.hi);
        Self { mean: Number(estimate.mean), ci95: ends.map(|(lo, hi)| [Number(lo), Number(hi)]) }
    }
}

#[derive(Serialize)]
struct Found<'a> {
    candidate: usize,
    state: &'static str,
    runs: u32,
    is_dominated: bool,
    settings: Vec<&'a str>,
    aims: Vec<Value>,
    constraints: Vec<Value>,
}

#[derive(Serialize)]
struct Matters<'a> {
    method: &'a str,
    candidates: usize,
    runs: u32,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    text: &'a str,
    unit: &'static str,
    effects: Vec<EffectOf<'a>>,
}

#[derive(Serialize)]
struct EffectOf<'a> {
    path: &'a str,
    main: Option<Measured>,
    spread: Option<Number>,
    total: Option<Measured>,
}

fn value_of(value: Option<f64>, ci95: Interval) -> Value {
    let ci95 = ci95.map(|(lo, hi)| [Number(lo), Number(hi)]);
    Value { value: value.map(Number), ci95, difference: None, verdict: None }
}

fn found_of<'a>(one: &'a Confirmed, is_present: bool) -> Found<'a> {
    let difference = |at: usize| one.differences[at].filter(|_| !is_present).map(Measured::of);
    let aim = |(at, (value, ci95)): (usize, &(Option<f64>, Interval))| Value {
        difference: difference(at),
        ..value_of(*value, *ci95)
    };
    Found {
        candidate: one.trial,
        state: one.state.name(),
        runs: one.runs,
        is_dominated: one.is_dominated,
        settings: one.values.iter().map(|value| plain(value)).collect(),
        aims: one.aims.iter().enumerate().map(aim).collect(),
        constraints: one
            .constraints
            .iter()
            .map(|c| Value { verdict: Some(c.verdict.name()), ..value_of(c.value, c.ci95) })
            .collect(),
    }
}

/// All but the single candidates as JSON, with a newline at the end.
pub fn json(result: &TuneResult) -> String {
    let effect = |effect: &Effect| EffectOf {
        path: &result.settings[effect.setting].path,
        main: effect.main.map(Measured::of),
        spread: effect.spread.map(Number),
        total: effect.total.map(Measured::of),
    };
    let document = Document {
        brownout: env!("CARGO_PKG_VERSION"),
        name: &result.name,
        variant: &result.variant,
        seed: result.seed,
        fresh_seed: result.fresh_seed,
        budget: result.budget,
        runs: result.runs,
        method: result.method,
        settings: result
            .settings
            .iter()
            .map(|s| Setting { path: &s.path, range: &s.range, present: s.present.as_deref().map(plain) })
            .collect(),
        aims: result
            .aims
            .iter()
            .map(|a| Aim { text: &a.text, unit: a.unit.symbol(), wanted: wanted(a.is_large) })
            .collect(),
        constraints: result
            .constraints
            .iter()
            .map(|(file, text, unit)| Constraint {
                file: Some(file.as_str()).filter(|f| !f.is_empty()),
                text,
                unit: unit.symbol(),
            })
            .collect(),
        candidates: result.trials.iter().filter(|t| t.stage != "present").count(),
        refuted: result.refuted,
        present: found_of(&result.present, true),
        found: result.found.iter().map(|one| found_of(one, false)).collect(),
        sensitivity: result.sensitivity.as_ref().map(|s| Matters {
            method: s.method,
            candidates: s.candidates,
            runs: s.runs,
            outputs: s
                .outputs
                .iter()
                .map(|(text, unit, effects)| Output {
                    text,
                    unit: unit.symbol(),
                    effects: effects.iter().map(effect).collect(),
                })
                .collect(),
        }),
    };
    match serde_json::to_string_pretty(&document) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("numbers, strings and lists are always JSON"),
    }
}

/// Every candidate as a row: where it was looked for, its settings, and what was found; then those of the final look.
///
/// # Errors
/// None that a result can cause: writing to memory succeeds.
pub fn csv(result: &TuneResult) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> =
        ["candidate", "stage", "seed", "runs", "state", "why"].map(str::to_string).to_vec();
    head.extend(result.settings.iter().map(|s| s.path.clone()));
    for aim in &result.aims {
        head.extend([aim.text.clone(), format!("{} lo", aim.text), format!("{} hi", aim.text)]);
    }
    head.extend(
        result
            .constraints
            .iter()
            .map(|(file, text, _)| if file.is_empty() { text.clone() } else { format!("{text} in {file}") }),
    );
    writer.write_record(&head)?;
    let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{}", stable(v) + 0.0));
    let aims = |aims: &[(Option<f64>, Interval)]| -> Vec<String> {
        let cells = |(v, ci): &(Option<f64>, Interval)| {
            [number(*v), number(ci.map(|c| c.0)), number(ci.map(|c| c.1))]
        };
        aims.iter().flat_map(cells).collect()
    };
    let values = |values: &[String]| -> Vec<String> {
        match values.is_empty() {
            true => {
                result.settings.iter().map(|s| s.present.as_deref().map_or("", plain).to_string()).collect()
            }
            false => values.iter().map(|value| plain(value).to_string()).collect(),
        }
    };
    for (at, trial) in result.trials.iter().enumerate() {
        let mut row = vec![at.to_string(), trial.stage.to_string(), result.seed.to_string()];
        row.extend([trial.runs.to_string(), trial.state.name().to_string()]);
        row.push(trial.impossible.clone().unwrap_or_default());
        row.extend(values(&trial.values));
        row.extend(aims(&trial.aims));
        row.extend(trial.constraints.iter().map(|value| number(*value)));
        writer.write_record(&row)?;
    }
    for one in [&result.present].into_iter().chain(&result.found) {
        let mut row = vec![one.trial.to_string(), "final".to_string(), result.fresh_seed.to_string()];
        row.extend([one.runs.to_string(), one.state.name().to_string(), String::new()]);
        row.extend(values(&one.values));
        row.extend(aims(&one.aims));
        row.extend(one.constraints.iter().map(|c| number(c.value)));
        writer.write_record(&row)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
