//! Rare events: what an outage is, in terms of what has failed.

use super::diagnostic::Diagnostic;
use super::expression::{self, Arithmetic, Formula, Limits, Operator, Statistic, Subject, Window};
use super::quantity::Seconds;
use super::source::{Span, Spanned};
use crate::base::units::Unit;
use crate::record;

record! {
    /// How often do random failures coincide so that the system is out? What `brownout rare` answers for the
    /// experiment's `failures`, however rare that is.
    pub struct Rare {
        /// What an outage is: any of these, such as `failures.db.down >= 2 and failures.rack.down >= 1`. If none is
        /// given, the system is played with everything down that may be down, and an outage is what breaks its
        /// objectives.
        outage: Vec<Spanned<String>> = [],
        /// The period for which numbers are given.
        per: Seconds = "365d",
        /// Outages that are over sooner do not count.
        lasting: Seconds = "0s",
        /// How many failures at once are played, if no outage is stated.
        size: u32 = 2,
        /// How many beginnings of outages are tried.
        samples: u32 = 1_000_000,
    }
}

/// At least so many are down: a part of what an outage is.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What is counted: the numbers of the failures, one for each time that it counts.
    pub of: Vec<usize>,
    /// How many must be down.
    pub least: f64,
}

/// What is wrong with a text that is to say what an outage is.
const SAYS: &str =
    "an outage is written like `failures.db.down >= 2 and failures.rack.down + failures.hall.down >= 1`";

/// Parses what an outage is, given the names of all failures: all clauses must hold.
pub fn parse(text: &Spanned<String>, names: &[&str]) -> Result<Vec<Clause>, Diagnostic> {
    let parts = text.value.split(" and ");
    parts.map(|part| clause(part, text.span, names)).collect()
}

fn clause(part: &str, span: Span, names: &[&str]) -> Result<Clause, Diagnostic> {
    let wrong = |message: String| Diagnostic::error(span, message).help(SAYS);
    let event = Spanned { value: format!("P({part}) > 0"), span };
    let parsed = expression::parse(&event)?;
    let Subject::Probability(expression::Event::Holds(formula, comparison)) = parsed.subject else {
        return Err(wrong(format!("`{}` does not say how many are down", part.trim())));
    };
    let Limits { operator, limit, .. } = comparison.limits(Unit::Level, span)?;
    let least = match operator {
        Operator::AtLeast => limit,
        // Counts are whole numbers.
        Operator::More => limit.floor() + 1.0,
        _ => return Err(wrong("repairs cannot make an outage: compare with `>=` or `>`".into())),
    };
    let mut of = Vec::new();
    counted(&formula, span, names, &mut of)?;
    if least <= 0.0 {
        return Err(wrong(format!("`{}` always holds", part.trim())));
    }
    Ok(Clause { of, least })
}

/// Gathers what a sum counts.
fn counted(formula: &Formula, span: Span, names: &[&str], of: &mut Vec<usize>) -> Result<(), Diagnostic> {
    match formula {
        Formula::Join(Arithmetic::Plus, a, b) => {
            counted(a, span, names, of)?;
            counted(b, span, names, of)
        }
        Formula::Measure(m) if m.statistic == Statistic::Value && m.window == Window::Measured => {
            let name = m.path.strip_prefix("failures.").and_then(|rest| rest.strip_suffix(".down"));
            match name.and_then(|name| names.iter().position(|n| *n == name)) {
                Some(at) => of.push(at),
                None => {
                    let message = format!("`{}` does not count what is down", m.path);
                    let name = name.unwrap_or(&m.path);
                    return Err(Diagnostic::error(span, message).nearest(name, names.iter().copied()));
                }
            }
            Ok(())
        }
        _ => Err(Diagnostic::error(span, "only what is down is counted, and summed up").help(SAYS)),
    }
}
