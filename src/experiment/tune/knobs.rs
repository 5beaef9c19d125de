//! Settings as coordinates: from a point of the unit box to values that people would write.
//!
//! Every coordinate is rounded to a value with few digits before anything is played. So what is found can be written
//! down and played again, neighbours that differ in nothing that matters are one candidate, and the last bits of an
//! optimiser's arithmetic, which may differ between platforms, do not reach a result.

use crate::experiment::study::Study;
use crate::spec::node::Kind;
use crate::spec::tune::Knob;

/// A setting that is to be found.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Its path.
    pub path: String,
    /// What it may be.
    pub range: Range,
}

/// What a setting may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Whole numbers.
    Whole {
        /// The least.
        from: u32,
        /// The greatest.
        to: u32,
        /// From one to the next.
        step: u32,
        /// Whether equal ratios are equally far apart.
        log: bool,
    },
    /// Numbers with three digits, or durations in seconds with two.
    Real {
        /// The least.
        from: f64,
        /// The greatest.
        to: f64,
        /// What stands behind it; `None` for a duration.
        unit: Option<String>,
        /// Whether equal ratios are equally far apart.
        log: bool,
    },
    /// Values as they are written.
    Choice(Vec<String>),
}

impl Dial {
    /// A setting as the language has it; `study` knows the texts that its choices stand in.
    pub fn new(path: &str, knob: &Knob, study: &Study) -> Self {
        let range = match knob {
            Knob::Whole(r) => Range::Whole { from: r.from, to: r.to, step: r.step.max(1), log: r.log },
            Knob::Real(r) => Range::Real { from: r.from, to: r.to, unit: Some(r.unit.clone()), log: r.log },
            Knob::Duration(r) => Range::Real { from: r.from.0, to: r.to.0, unit: None, log: r.log },
            Knob::Choice(c) => Range::Choice(
                c.values
                    .iter()
                    .map(|value| match &value.0.kind {
                        Kind::Text(text) => format!("{text:?}"),
                        _ => study.text(value.0.span).trim().to_string(),
                    })
                    .collect(),
            ),
        };
        Self { path: path.to_string(), range }
    }

    /// The value at a coordinate from 0 to 1, as RON.
    pub fn value(&self, at: f64) -> String {
        let at = at.clamp(0.0, 1.0);
        match &self.range {
            Range::Whole { from, to, step, log } => {
                let (lo, hi) = (f64::from(*from), f64::from(*to));
                // A whole number has the stretch from half a step below it to half a step above.
                let half = f64::from(*step) / 2.0;
                let value =
                    if *log { between(lo, hi, at, true) } else { lo - half + at * (hi - lo + 2.0 * half) };
                let steps = libm::round((value - lo) / f64::from(*step));
                let most = libm::floor((hi - lo) / f64::from(*step));
                format!("{}", lo + steps.clamp(0.0, most) * f64::from(*step))
            }
            Range::Real { from, to, unit, log } => {
                let digits = if unit.is_some() { 3 } else { 2 };
                let value = rounded(between(*from, *to, at, *log), digits).clamp(*from, *to);
                match unit.as_deref() {
                    Some("") => format!("{value:?}"),
                    Some(unit) => format!("\"{value}{unit}\""),
                    None => format!("\"{}\"", duration(value)),
                }
            }
            Range::Choice(values) => values[choice(values.len(), at)].clone(),
        }
    }

    /// How many values there are, if they can be counted.
    pub fn count(&self) -> Option<u64> {
        match &self.range {
            Range::Whole { from, to, step, .. } => Some(u64::from((to - from) / step) + 1),
            Range::Choice(values) => Some(values.len() as u64),
            Range::Real { .. } => None,
        }
    }

    /// The coordinate of the value number `index`, of those that can be counted.
    pub fn coordinate(&self, index: u64) -> f64 {
        let count = self.count().unwrap_or(1) as f64;
        match &self.range {
            Range::Whole { from, to, step, log: true } => {
                let value = f64::from(*from) + index as f64 * f64::from(*step);
                libm::log(value / f64::from(*from)) / libm::log(f64::from(*to) / f64::from(*from))
            }
            Range::Whole { from, to, step, .. } => {
                // The last stretch may hold less than a step.
                let step = f64::from(*step);
                (index as f64 * step + step / 2.0) / (f64::from(to - from) + step)
            }
            _ => (index as f64 + 0.5) / count,
        }
    }

    /// The distance to the neighbouring value, for settings whose values are in an order and can be counted.
    pub fn step(&self, at: f64, up: bool) -> Option<f64> {
        let Range::Whole { from, step, .. } = &self.range else { return None };
        let value: u64 = self.value(at).parse().ok()?;
        let index = (value - u64::from(*from)) / u64::from(*step);
        let next = if up { index + 1 } else { index.checked_sub(1)? };
        (next < self.count()?).then(|| self.coordinate(next))
    }

    /// Whether its values are in no order, so that no value is near another.
    pub fn is_choice(&self) -> bool {
        matches!(self.range, Range::Choice(_))
    }

    /// The range for people.
    pub fn range_text(&self) -> String {
        let log = |log: bool| if log { ", by ratios" } else { "" };
        match &self.range {
            Range::Whole { from, to, step: 1, log: l } => format!("{from} to {to}{}", log(*l)),
            Range::Whole { from, to, step, log: l } => format!("{from} to {to} by {step}{}", log(*l)),
            Range::Real { from, to, unit: Some(unit), log: l } => format!("{from} to {to}{unit}{}", log(*l)),
            Range::Real { from, to, unit: None, log: l } => {
                // Durations are searched by ratios unless they are told otherwise.
                format!(
                    "{} to {}{}",
                    duration(*from),
                    duration(*to),
                    if *l { "" } else { ", by differences" }
                )
            }
            Range::Choice(values) => format!("{} values", values.len()),
        }
    }
}

fn choice(count: usize, at: f64) -> usize {
    ((at * count as f64) as usize).min(count - 1)
}

fn between(lo: f64, hi: f64, at: f64, log: bool) -> f64 {
    if log { lo * libm::exp(at * libm::log(hi / lo)) } else { lo + at * (hi - lo) }
}

/// A number with so many significant digits.
fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits - 1).parse().unwrap_or(value)
}

/// A duration in the unit that people would take.
fn duration(seconds: f64) -> String {
    let (factor, unit) = match seconds {
        s if s >= 1.0 => (1.0, "s"),
        s if s >= 1e-3 => (1e3, "ms"),
        s if s >= 1e-6 => (1e6, "us"),
        _ => (1e9, "ns"),
    };
    format!("{}{unit}", rounded(seconds * factor, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(range: Range) -> Dial {
        Dial { path: "a.b".into(), range }
    }

    #[test]
    fn values_are_those_that_people_would_write() {
        let pool = dial(Range::Whole { from: 5, to: 100, step: 5, log: false });
        assert_eq!(
            (pool.value(0.0), pool.value(0.51), pool.value(1.0)),
            ("5".into(), "55".into(), "100".into())
        );
        let timeout = dial(Range::Real { from: 0.1, to: 30.0, unit: None, log: true });
        assert_eq!(timeout.value(0.0), "\"100ms\"");
        assert_eq!(timeout.value(0.5), "\"1.7s\"");
        assert_eq!(timeout.value(0.2), "\"310ms\"");
        assert_eq!(timeout.value(1.0), "\"30s\"");
        let cores = dial(Range::Real { from: 0.5, to: 8.0, unit: Some(String::new()), log: false });
        assert_eq!((cores.value(0.0), cores.value(0.3333)), ("0.5".into(), "3.0".into()));
        let rate = dial(Range::Real { from: 10.0, to: 20.0, unit: Some("/s".into()), log: false });
        assert_eq!(rate.value(0.5), "\"15/s\"");
        let policy = dial(Range::Choice(vec!["Random".into(), "RoundRobin".into()]));
        assert_eq!((policy.value(0.49), policy.value(1.0)), ("Random".into(), "RoundRobin".into()));
    }

    #[test]
    fn counted_values_are_found_by_their_number() {
        for (step, log) in [(1, false), (4, false), (3, true), (7, false)] {
            let pool = dial(Range::Whole { from: 5, to: 32, step, log });
            for index in 0..pool.count().unwrap() {
                let at = pool.coordinate(index);
                assert_eq!(pool.value(at), format!("{}", 5 + index * u64::from(step)), "{step} {log}");
                if index > 0 {
                    let down = pool.step(at, false).unwrap();
                    assert_eq!(pool.value(down), format!("{}", 5 + (index - 1) * u64::from(step)));
                }
            }
            assert_eq!(pool.step(1.0, true), None);
        }
    }
}
