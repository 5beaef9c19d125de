//! Baselines as files: JSON with one line for each measure, so that a change of one is a change of one line.

use crate::experiment::check::{Baseline, Kept};
use crate::report::json::Number;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The number of this format.
const FORMAT: u64 = 1;

/// The baseline as text: keys in order, numbers with twelve significant digits, a newline at the end.
pub fn write(baseline: &Baseline) -> String {
    let mut text = String::from("{\n");
    let _ = writeln!(text, "  \"brownout_baseline\": {FORMAT},");
    let _ = writeln!(text, "  \"version\": {},", json(&baseline.version));
    let _ = writeln!(text, "  \"seed\": {},", baseline.seed);
    let _ = writeln!(text, "  \"runs\": {},", baseline.runs);
    let _ = writeln!(text, "  \"warmup_s\": {},", json(&Number(baseline.warmup_s)));
    let _ = writeln!(text, "  \"duration_s\": {},", json(&Number(baseline.duration_s)));
    text.push_str("  \"variants\": {");
    let mut is_first = true;
    for (name, measures) in &baseline.variants {
        text.push_str(if is_first { "\n" } else { ",\n" });
        is_first = false;
        let lines: Vec<String> = measures.iter().map(|(measure, kept)| line(measure, kept)).collect();
        let _ = write!(text, "    {}: {{\n{}\n    }}", json(name), lines.join(",\n"));
    }
    text.push_str("\n  }\n}\n");
    text
}

fn line(measure: &str, kept: &Kept) -> String {
    let runs: Vec<Option<Number>> = kept.per_run.iter().map(|value| value.map(Number)).collect();
    format!("      {}: {{ \"unit\": {}, \"runs\": {} }}", json(measure), json(&kept.unit), json(&runs))
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(_) => unreachable!("strings and finite numbers are always JSON"),
    }
}

/// Why a text is no baseline that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Damage {
    /// What is wrong.
    pub message: String,
    /// Line and column, from 1, if it is anywhere.
    pub position: Option<(usize, usize)>,
}

#[derive(Deserialize)]
struct Head {
    brownout_baseline: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(rename = "brownout_baseline")]
    _format: u64,
    version: String,
    seed: u64,
    runs: u32,
    warmup_s: f64,
    duration_s: f64,
    variants: BTreeMap<String, BTreeMap<String, Line>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    unit: String,
    runs: Vec<Option<f64>>,
}

/// Reads what [`write()`] has written.
///
/// # Errors
/// If the text is damaged, or of a format that this version does not know.
pub fn read(text: &str) -> Result<Baseline, Damage> {
    let head: Head = serde_json::from_str(text).map_err(|e| damaged(&e))?;
    let elsewhere = |message: String| Damage { message, position: None };
    match head.brownout_baseline {
        None => return Err(elsewhere("this is no baseline: it has no `brownout_baseline`".into())),
        Some(format) if format != FORMAT => {
            return Err(elsewhere(format!(
                "the baseline is of format {format}, and this version of brownout reads format {FORMAT}: take a new \
                 one with --update-baselines"
            )));
        }
        Some(_) => {}
    }
    let whole: Whole = serde_json::from_str(text).map_err(|e| damaged(&e))?;
    let mut variants = BTreeMap::new();
    for (variant, measures) in whole.variants {
        let mut kept = BTreeMap::new();
        for (measure, line) in measures {
            if line.runs.len() != whole.runs as usize {
                return Err(elsewhere(format!(
                    "the baseline is damaged: `{measure}` of `{variant}` has {} values for {} runs",
                    line.runs.len(),
                    whole.runs
                )));
            }
            kept.insert(measure, Kept { unit: line.unit, per_run: line.runs });
        }
        variants.insert(variant, kept);
    }
    Ok(Baseline {
        version: whole.version,
        seed: whole.seed,
        runs: whole.runs,
        warmup_s: whole.warmup_s,
        duration_s: whole.duration_s,
        variants,
    })
}

fn damaged(error: &serde_json::Error) -> Damage {
    let position = (error.line() > 0).then_some((error.line(), error.column().max(1)));
    // The position is told apart.
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    Damage {
        message: format!(
            "the baseline is damaged: {message}; mend it, or take a new one with --update-baselines"
        ),
        position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        let kept = |values: &[Option<f64>]| Kept { unit: "s".into(), per_run: values.to_vec() };
        let measures = BTreeMap::from([
            ("clients.a.latency.p99".to_string(), kept(&[Some(0.125), Some(2.0 / 3.0)])),
            ("faults.\"x\".recover".to_string(), kept(&[None, Some(30.0)])),
        ]);
        Baseline {
            version: "0.1.0".into(),
            seed: 42,
            runs: 2,
            warmup_s: 1.5,
            duration_s: 20.0,
            variants: BTreeMap::from([("base".to_string(), measures)]),
        }
    }

    #[test]
    fn the_bytes_of_a_baseline() {
        let text = r#"{
  "brownout_baseline": 1,
  "version": "0.1.0",
  "seed": 42,
  "runs": 2,
  "warmup_s": 1.5,
  "duration_s": 20.0,
  "variants": {
    "base": {
      "clients.a.latency.p99": { "unit": "s", "runs": [0.125,0.666666666667] },
      "faults.\"x\".recover": { "unit": "s", "runs": [null,30.0] }
    }
  }
}
"#;
        assert_eq!(write(&baseline()), text);
        assert_eq!(write(&read(text).unwrap()), text);
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let text = write(&baseline());
        let damage = |from: &str, to: &str| read(&text.replace(from, to)).unwrap_err();
        assert_eq!(damage("  \"seed\"", "<<<<<<< HEAD\n  \"seed\"").position, Some((4, 1)));
        let other = damage("\"brownout_baseline\": 1", "\"brownout_baseline\": 2");
        assert!(
            other.message.contains("format 2") && other.message.contains("--update-baselines"),
            "{other:?}"
        );
        assert!(damage("[null,30.0]", "[30.0]").message.contains("1 values for 2 runs"));
        assert!(damage("\"seed\": 42", "\"seed\": \"x\"").message.contains("damaged"));
        assert!(damage("\"seed\"", "\"sead\"").message.contains("sead"));
        assert!(read("[]").is_err() && read("").is_err());
        assert!(read("{}").unwrap_err().message.contains("no baseline"));
    }
}
