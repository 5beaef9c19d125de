//! Which direction is better: known of the usual metrics by their names, and of what is made of them.

use crate::spec::compare::Better;
use crate::spec::expression::{Arithmetic, Event, Formula, Measure, Operator, Statistic, Subject};

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Less.
    Less,
    /// More.
    More,
}

impl Direction {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
        }
    }

    fn opposite(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::More => Self::Less,
        }
    }
}

impl From<&Better> for Direction {
    fn from(better: &Better) -> Self {
        match better {
            Better::Less => Self::Less,
            Better::More => Self::More,
        }
    }
}

/// The direction that is better; none where nobody can know without asking.
pub fn of_subject(subject: &Subject) -> Option<Direction> {
    match subject {
        Subject::Formula(formula) => of_formula(formula),
        Subject::Probability(Event::Recovered { .. }) => Some(Direction::More),
        Subject::Probability(Event::Metastable { .. }) => Some(Direction::Less),
        Subject::Probability(Event::Holds(formula, comparison)) => {
            let direction = of_formula(formula)?;
            // To be below a limit is good where less is better.
            match comparison.operator {
                Operator::Less | Operator::AtMost => Some(direction.opposite()),
                Operator::More | Operator::AtLeast => Some(direction),
                Operator::Equal | Operator::Between => None,
            }
        }
    }
}

fn of_formula(formula: &Formula) -> Option<Direction> {
    let is_number = |f: &Formula| matches!(f, Formula::Number(..));
    match formula {
        Formula::Number(..) => None,
        Formula::Measure(measure) => of_measure(measure),
        Formula::Join(how, a, b) => match how {
            Arithmetic::Plus if is_number(a) => of_formula(b),
            Arithmetic::Plus | Arithmetic::Minus if is_number(b) => of_formula(a),
            Arithmetic::Plus => of_formula(a).filter(|direction| of_formula(b) == Some(*direction)),
            Arithmetic::Times | Arithmetic::Over => match (&**a, &**b) {
                (a, Formula::Number(factor, _)) if *factor > 0.0 => of_formula(a),
                (Formula::Number(factor, _), b) if *factor > 0.0 && *how == Arithmetic::Times => {
                    of_formula(b)
                }
                _ => None,
            },
            Arithmetic::Minus => None,
        },
    }
}

fn of_measure(measure: &Measure) -> Option<Direction> {
    let direction = of_path(&measure.path);
    match measure.statistic {
        Statistic::Value
        | Statistic::Mean
        | Statistic::Min
        | Statistic::Max
        | Statistic::Percentile(_)
        | Statistic::Above(_) => direction,
        Statistic::Variance | Statistic::Square => direction.filter(|d| *d == Direction::Less),
        _ => None,
    }
}

/// By the words of a metric's path.
fn of_path(path: &str) -> Option<Direction> {
    const LESS: [&str; 13] = [
        "error_ratio",
        "recover",
        "unserved",
        "detect",
        "work_for_nobody",
        "amplification",
        "queue",
        "waiting",
        "cost",
        "kills",
        "timeouts",
        "abandoned",
        "budget_spent",
    ];
    const MORE: [&str; 5] = ["goodput", "throughput", "depth", "healthy", "availability"];
    const TIMERS: [&str; 5] = ["latency", "wait", "acquire", "slowdown", "sojourn"];
    let parts: Vec<&str> = path.split('.').collect();
    let last = *parts.last()?;
    // `clients.NAME.…`: names are no words of the language.
    let words = parts.get(2..).unwrap_or(&[]);
    if words.contains(&"outcomes") {
        return match last {
            "ok" => Some(Direction::More),
            "degraded" | "cancelled" => None,
            _ => Some(Direction::Less),
        };
    }
    if words.iter().any(|word| TIMERS.contains(word))
        || parts[0] == "cost"
        || words.contains(&"cost")
        || LESS.contains(&last)
    {
        return Some(Direction::Less);
    }
    MORE.contains(&last).then_some(Direction::More)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::expression::parse_subject;
    use crate::spec::source::{Span, Spanned};

    #[test]
    fn the_usual_measures_are_known() {
        let of = |text: &str| {
            of_subject(&parse_subject(&Spanned { value: text.into(), span: Span::default() }).unwrap())
        };
        for (text, direction) in [
            ("p(99) of clients.users.latency", Some(Direction::Less)),
            ("above(1s) of clients.users.latency during(weather)", Some(Direction::Less)),
            ("clients.users.latency.p50", Some(Direction::Less)),
            ("count of clients.users.latency", None),
            ("clients.users.error_ratio * 100", Some(Direction::Less)),
            ("1 - clients.users.error_ratio", None),
            ("clients.users.goodput", Some(Direction::More)),
            ("clients.users.outcomes.ok + clients.users.goodput", Some(Direction::More)),
            ("clients.users.outcomes.timeout", Some(Direction::Less)),
            ("clients.users.rate", None),
            ("clients.latency.rate", None),
            ("faults.weather.recover + 1s", Some(Direction::Less)),
            ("faults.weather.depth", Some(Direction::More)),
            ("mean of services.api.queue", Some(Direction::Less)),
            ("cost.total", Some(Direction::Less)),
            ("P(recovered within 60s)", Some(Direction::More)),
            ("P(metastable)", Some(Direction::Less)),
            ("P(clients.users.error_ratio < 1%)", Some(Direction::More)),
            ("P(clients.users.goodput < 10/s)", Some(Direction::Less)),
            ("P(clients.users.rate < 10/s)", None),
        ] {
            assert_eq!(of(text), direction, "{text}");
        }
    }
}
