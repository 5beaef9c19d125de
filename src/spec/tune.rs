//! Tuning: which settings are tried, and what is wanted of them.

use super::decode::{Anything, Map};
use super::diagnostic::Diagnostic;
use super::node::{self, Node};
use super::quantity::Seconds;
use super::source::{Places, Span, Spanned};
use crate::base::units::parse_duration;
use crate::{choice, record};

record! {
    /// Settings that are to be found, and what is wanted of them, for `brownout tune`.
    pub struct Tune {
        /// What may be changed, by the path of the setting.
        settings: Map<Knob> = {},
        /// Formulas that are to be small. Several aims together lead to a front of compromises.
        minimise: Vec<Spanned<String>> = [],
        /// Formulas that are to be large.
        maximise: Vec<Spanned<String>> = [],
        /// Expectations that must hold.
        subject_to: Vec<Spanned<String>> = [],
        /// Expectations that must hold in other experiments, with the same settings, by their file, relative to this
        /// one. Of an experiment with variants the one of the same name is played.
        and: Map<Vec<Spanned<String>>> = {},
        /// How many runs may be played for the search and for the final look at what it found.
        budget: u32 = 400,
        /// The variant that is tuned; it must be named if there are several.
        variant: Option<Spanned<String>> = None,
        /// Whether it is found out, with further runs, which settings matter.
        sensitivity: Option<Sensitivity> = None,
    }
}

record! {
    /// Whole numbers from one to another.
    pub struct WholeRange [from, to] as "Whole range" {
        /// The least.
        from: u32,
        /// The greatest.
        to: u32,
        /// From one to the next.
        step: u32 = 1,
        /// Whether equal ratios are equally far apart, instead of equal differences.
        log: bool = false,
    }
}
record! {
    /// Numbers from one to another, with three digits.
    pub struct RealRange [from, to] as "Real range" {
        /// The least.
        from: f64,
        /// The greatest.
        to: f64,
        /// What stands behind the number, such as `/s`, `%` or `MiB`.
        unit: String = "",
        /// Whether equal ratios are equally far apart, instead of equal differences.
        log: bool = false,
    }
}
record! {
    /// Durations from one to another, with two digits.
    pub struct DurationRange [from, to] as "Duration range" {
        /// The shortest.
        from: Seconds,
        /// The longest.
        to: Seconds,
        /// Whether equal ratios are equally far apart, instead of equal differences.
        log: bool = true,
    }
}
record! {
    /// Values to choose from.
    pub struct Choices [values] {
        /// The values, as they are written in a file.
        values: Vec<Anything>,
    }
}

choice! {
    /// What a setting may be.
    pub enum Knob as "Setting range" {
        /// A whole number.
        Whole(WholeRange),
        /// A number.
        Real(RealRange),
        /// A duration.
        Duration(DurationRange),
        /// One of several values, of any type.
        Choice(Choices),
    }
}

record! {
    /// Elementary effects: one setting is changed at a time, along random paths through the whole range of all (Morris,
    /// "Factorial sampling plans for preliminary computational experiments", Technometrics 33, 1991).
    pub struct MorrisDesign [trajectories] as "Morris" {
        /// How many paths, each of one candidate more than there are settings.
        trajectories: u32 = 10,
    }
}
record! {
    /// Shares of the variance over the whole range of all settings (Saltelli et al., "Variance based sensitivity
    /// analysis of model output", Computer Physics Communications 181, 2010).
    pub struct SobolDesign [samples] as "Sobol" {
        /// How many samples, each of two candidates more than there are settings.
        samples: u32 = 64,
    }
}
choice! {
    /// How it is found out which settings matter.
    pub enum Sensitivity {
        /// By elementary effects: few runs, and the order of importance.
        Morris(MorrisDesign),
        /// By shares of variance: many runs, and how much each setting explains.
        Sobol(SobolDesign),
    }
}

/// The fewest runs that tuning can do anything with.
pub const BUDGET_MIN: u32 = 40;
/// The most runs.
pub const BUDGET_MAX: u32 = 1_000_000;

impl Knob {
    /// Where it was written.
    pub fn span(&self) -> Span {
        match self {
            Self::Whole(r) => r.span,
            Self::Real(r) => r.span,
            Self::Duration(r) => r.span,
            Self::Choice(c) => c.span,
        }
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// If a range is empty or cannot be what it says.
    pub fn check(&self) -> Result<(), Diagnostic> {
        let (is_empty, is_log, least, step) = match self {
            Self::Whole(r) => (r.from >= r.to, r.log, f64::from(r.from), r.step),
            Self::Real(r) => (r.from >= r.to, r.log, r.from, 1),
            Self::Duration(r) => (r.from.0 >= r.to.0, r.log, r.from.0, 1),
            Self::Choice(c) if c.values.len() < 2 => {
                return Err(Diagnostic::error(c.span, "there is nothing to choose from")
                    .help("give two values or more, such as `Choice([RoundRobin, LeastOutstanding])`"));
            }
            Self::Choice(_) => return Ok(()),
        };
        if is_empty {
            let message = "`from` must be less than `to`: there is nothing to search";
            return Err(Diagnostic::error(self.span(), message));
        }
        if is_log && least <= 0.0 {
            return Err(Diagnostic::error(self.span(), "a logarithmic range cannot begin at 0")
                .help("let it begin above, or write `log: false`"));
        }
        if step == 0 {
            return Err(Diagnostic::error(self.span(), "`step` must be at least 1"));
        }
        Ok(())
    }
}

/// Reads `PATH=RANGE` of a flag: `5..100` are whole numbers, `0.5..8.0` numbers, `100ms..30s` durations,
/// `RoundRobin|LeastOutstanding` values to choose from.
///
/// # Errors
/// If it is none of these.
pub fn knob_of_flag(text: &Spanned<String>) -> Result<(String, Knob), Diagnostic> {
    let wrong = |message: &str| {
        Diagnostic::error(text.span, message.to_string()).help(
            "for example policies.database.Pool.max=5..100, or balancers.front.policy=Random|RoundRobin",
        )
    };
    let Some((path, range)) = text.value.split_once('=') else {
        return Err(wrong("a setting to be found is written PATH=RANGE"));
    };
    let (span, places) = (text.span, Places::default());
    let start = text.value.len() - range.len();
    let knob = if let Some((from, to)) = range.split_once("..").filter(|_| !range.contains('|')) {
        let (from, to) = (from.trim(), to.trim());
        if let (Ok(from), Ok(to)) = (from.parse(), to.parse()) {
            Knob::Whole(WholeRange { from, to, step: 1, log: false, span, places })
        } else if let (Ok(from), Ok(to)) = (parse_duration(from), parse_duration(to)) {
            let (from, to) = (Seconds(from), Seconds(to));
            Knob::Duration(DurationRange { from, to, log: true, span, places })
        } else {
            let apart = |t: &str| {
                let end = t.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(t.len());
                let number = t[..end].parse::<f64>().ok().filter(|v| v.is_finite())?;
                Some((number, t[end..].to_string()))
            };
            match (apart(from), apart(to)) {
                (Some((from, a)), Some((to, b))) if a == b || a.is_empty() => {
                    Knob::Real(RealRange { from, to, unit: b, log: false, span, places })
                }
                _ => return Err(wrong(&format!("`{range}` is not a range of numbers or durations"))),
            }
        }
    } else if !range.contains('|') {
        return Err(wrong(&format!("`{range}` is not a range, nor are there values to choose from")));
    } else {
        let mut values = Vec::new();
        let mut at = start;
        for value in range.split('|') {
            values.push(Anything(choice_of(span.source, at, value)));
            at += value.len() + 1;
        }
        Knob::Choice(Choices { values, span, places })
    };
    knob.check()?;
    Ok((path.trim().to_string(), knob))
}

/// A value of a flag as a node: RON if it is, a string if not.
fn choice_of(source: u32, at: usize, value: &str) -> Node {
    let span = Span { source, start: at as u32, end: (at + value.len()) as u32 };
    let mut scratch = super::diagnostic::Diagnostics::default();
    let padded = format!("{}{value}", " ".repeat(at));
    let is_word = value.trim().starts_with(|c: char| c.is_lowercase());
    match node::parse(source, &padded, &mut scratch).filter(|_| !is_word) {
        Some(node) => Node { span, ..node },
        None => Node { kind: node::Kind::Text(value.trim().to_string()), span },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str) -> Result<(String, Knob), String> {
        let span = Span { source: 0, start: 0, end: text.len() as u32 };
        knob_of_flag(&Spanned { value: text.into(), span }).map_err(|d| format!("{d:?}"))
    }

    #[test]
    fn flags_say_what_a_setting_may_be() {
        let (path, knob) = flag("policies.database.Pool.max=5..100").unwrap();
        assert_eq!(path, "policies.database.Pool.max");
        assert!(matches!(knob, Knob::Whole(WholeRange { from: 5, to: 100, .. })));
        let Knob::Duration(range) = flag("a.b=100ms..30s").unwrap().1 else { panic!("durations") };
        assert!(range.log && range.from.0 == 0.1 && range.to.0 == 30.0);
        let Knob::Real(range) = flag("a.b=0.5..8.0").unwrap().1 else { panic!("numbers") };
        assert_eq!((range.from, range.to, range.unit.as_str()), (0.5, 8.0, ""));
        let Knob::Real(range) = flag("a.b=10..90%").unwrap().1 else { panic!("per cent") };
        assert_eq!((range.from, range.to, range.unit.as_str()), (10.0, 90.0, "%"));
        let Knob::Choice(choices) = flag("a.b=RoundRobin|LeastOutstanding").unwrap().1 else {
            panic!("choices")
        };
        assert_eq!(choices.values.len(), 2);
        for bad in ["a.b", "a.b=5", "a.b=5..5", "a.b=9..2", "a.b=1s..5", "a.b=x..y", "a.b=0s..1s"] {
            assert!(flag(bad).is_err(), "{bad}");
        }
    }
}
