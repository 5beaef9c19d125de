//! What `brownout check` compares with the baseline of a file, and which way is worse.

use super::decode::{Context, Declarations, Decode, Variant as _};
use super::expression::{Event, Formula, Measure, Operator, Statistic, Subject};
use super::node::{Kind, Node};
use super::quantity::Ratio;
use super::source::{Places, Spanned};
use crate::{choice, record};

record! {
    /// What `brownout check` compares with the baseline that is kept beside the file.
    pub struct Check {
        /// Whether a baseline is kept at all.
        baseline: bool = true,
        /// What is compared, each a formula or an event as in expectations, or a `Watch`. If none is given: for each
        /// client population the latency's mean, median and 99th percentile, the error ratio and goodput; for each
        /// fault recovery, depth and requests unserved; what expectations are about; and what things cost, if there
        /// are such metrics.
        measures: Vec<Watched> = [],
        /// How much worse a measure may get before it matters, relative to the baseline.
        tolerance: Ratio = "1%",
        /// The variants that are compared; all if none is given.
        variants: Vec<Spanned<String>> = [],
    }
}

record! {
    /// A measure that is compared with the baseline.
    pub struct Watch [of] {
        /// The formula or event, such as `p(99) of clients.users.latency during(bank)`.
        of: Spanned<String>,
        /// Which way is worse. Known of latencies, waiting times, errors, queues, goodput and the like; of anything
        /// else it has to be said.
        worse: Option<Worse> = None,
        /// How much worse it may get before it matters, relative to the baseline.
        tolerance: Option<Ratio> = None,
        /// How much worse it may get in any case, in its own unit, such as `"2ms"`; 0.01 percentage points if not given
        /// for a share, nothing for anything else.
        absolute: Option<Spanned<String>> = None,
        /// The variant it is about; all if not given.
        variant: Option<Spanned<String>> = None,
    }
}

choice! {
    /// Which way is worse.
    pub enum Worse {
        /// The more, the worse, as with latency.
        Higher,
        /// The less, the worse, as with goodput.
        Lower,
    }
}

/// A measure, written as its formula alone or as a [`Watch`].
#[derive(Clone, Debug)]
pub struct Watched(pub Watch);

impl Decode for Watched {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        if !matches!(node.kind, Kind::Text(_)) {
            return Watch::decode_as("Watch", node, cx).map(Self);
        }
        let of = Spanned::decode(node, cx)?;
        let (span, places) = (node.span, Places::default());
        Some(Self(Watch { of, worse: None, tolerance: None, absolute: None, variant: None, span, places }))
    }
    fn type_name() -> String {
        "Watch or formula".into()
    }
    fn declare(into: &mut Declarations) {
        Watch::declare(into);
    }
}

/// Names of metrics of which more is worse, at the end of their paths.
const HIGHER_IS_WORSE: [&str; 22] = [
    "error_ratio",
    "work_for_nobody",
    "queue",
    "wait",
    "waiting",
    "latency",
    "success_latency",
    "slowdown",
    "refused",
    "rejected",
    "abandoned",
    "timeouts",
    "kills",
    "failed_open",
    "amplification",
    "retries",
    "in_flight",
    "recover",
    "detect",
    "unserved",
    "cost",
    "down",
];
/// Names of metrics of which less is worse.
const LOWER_IS_WORSE: [&str; 5] = ["goodput", "throughput", "depth", "healthy", "up"];
/// Outcomes that are no good.
const BAD_OUTCOMES: [&str; 6] = ["degraded", "error", "timeout", "rejected", "unavailable", "cancelled"];

/// Which way is worse, where that follows from what is measured.
pub fn worse_of(subject: &Subject) -> Option<Worse> {
    match subject {
        Subject::Formula(formula) => of_formula(formula),
        Subject::Probability(Event::Recovered { .. }) => Some(Worse::Lower),
        Subject::Probability(Event::Metastable { .. }) => Some(Worse::Higher),
        // Whether it is good that something is below a limit follows from whether it is good that it is small.
        Subject::Probability(Event::Holds(formula, comparison)) => {
            let is_small = match comparison.operator {
                Operator::Less | Operator::AtMost => true,
                Operator::More | Operator::AtLeast => false,
                Operator::Equal | Operator::Between => return None,
            };
            match (of_formula(formula)?, is_small) {
                (Worse::Higher, true) | (Worse::Lower, false) => Some(Worse::Lower),
                (Worse::Higher, false) | (Worse::Lower, true) => Some(Worse::Higher),
            }
        }
    }
}

/// Which way is worse for what an expectation is about: by what is measured, or else by the side of the limit.
pub fn worse_of_expectation(subject: &Subject, operator: Operator) -> Option<Worse> {
    worse_of(subject).or(match operator {
        Operator::Less | Operator::AtMost => Some(Worse::Higher),
        Operator::More | Operator::AtLeast => Some(Worse::Lower),
        Operator::Equal | Operator::Between => None,
    })
}

fn of_formula(formula: &Formula) -> Option<Worse> {
    match formula {
        Formula::Measure(measure) => of_measure(measure),
        Formula::Number(..) | Formula::Join(..) => None,
    }
}

fn of_measure(measure: &Measure) -> Option<Worse> {
    let worse = of_path(&measure.path)?;
    match (&measure.statistic, &worse) {
        (Statistic::Value | Statistic::Mean | Statistic::Min | Statistic::Max, _)
        | (Statistic::Percentile(_) | Statistic::Above(_) | Statistic::At(_), _) => Some(worse),
        (Statistic::CycleMax(_) | Statistic::CycleMin(_), _) => Some(worse),
        // The longer something bad lasts, the worse; when it begins says little.
        (Statistic::Rises(_) | Statistic::Last(_), Worse::Higher) => Some(worse),
        _ => None,
    }
}

/// By the last name of the path that is not a statistic.
fn of_path(path: &str) -> Option<Worse> {
    let mut names = path.rsplit('.').filter(|name| !is_statistic(name));
    let (last, before) = (names.next()?, names.next().unwrap_or(""));
    if before == "outcomes" {
        let is_good = last == "ok";
        return (is_good || BAD_OUTCOMES.contains(&last)).then_some(if is_good {
            Worse::Lower
        } else {
            Worse::Higher
        });
    }
    if path.starts_with("cost.") || HIGHER_IS_WORSE.contains(&last) {
        return Some(Worse::Higher);
    }
    LOWER_IS_WORSE.contains(&last).then_some(Worse::Lower)
}

fn is_statistic(name: &str) -> bool {
    let is_percentile = name.strip_prefix('p').is_some_and(|digits| digits.parse::<u32>().is_ok());
    is_percentile || ["mean", "min", "max"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::expression::{parse, parse_subject};
    use crate::spec::source::Span;

    fn spanned(text: &str) -> Spanned<String> {
        Spanned { value: text.into(), span: Span::default() }
    }

    #[test]
    fn which_way_is_worse_follows_from_what_is_measured() {
        let table = [
            ("clients.users.latency.p99", Some('+')),
            ("p(99) of clients.users.latency during(weather)", Some('+')),
            ("above(1s) of clients.users.latency", Some('+')),
            ("clients.users.goodput", Some('-')),
            ("clients.users.requests.front/browse.error_ratio", Some('+')),
            ("clients.users.outcomes.ok", Some('-')),
            ("clients.users.outcomes.timeout", Some('+')),
            ("clients.users.rate", None),
            ("min of balancers.alb.healthy", Some('-')),
            ("services.api.cpu_utilization", None),
            ("last(0) of services.api.queue", Some('+')),
            ("first(0) of services.api.queue", None),
            ("variance of clients.users.latency", None),
            ("faults.weather.recover", Some('+')),
            ("faults.weather.depth", Some('-')),
            ("cost.total", Some('+')),
            ("services.api.cost", Some('+')),
            ("P(recovered within 60s)", Some('-')),
            ("P(metastable)", Some('+')),
            ("P(clients.users.error_ratio < 1%)", Some('-')),
            ("P(clients.users.error_ratio > 1%)", Some('+')),
            ("P(clients.users.goodput > 10/s)", Some('-')),
            ("clients.users.latency.p99 - clients.users.latency.p50", None),
        ];
        for (text, sign) in table {
            let worse = worse_of(&parse_subject(&spanned(text)).unwrap());
            let found = worse.map(|worse| if matches!(worse, Worse::Higher) { '+' } else { '-' });
            assert_eq!(found, sign, "{text}");
        }
    }

    #[test]
    fn what_is_measured_counts_for_more_than_the_side_of_the_limit() {
        // Somebody shows how bad it was; it is none the better for being worse.
        let shown = parse(&spanned("clients.users.error_ratio during(weather) > 50%")).unwrap();
        let worse = worse_of_expectation(&shown.subject, shown.comparison.operator);
        assert!(matches!(worse, Some(Worse::Higher)));
        let level = parse(&spanned("services.api.cpu_utilization < 80%")).unwrap();
        assert!(matches!(
            worse_of_expectation(&level.subject, level.comparison.operator),
            Some(Worse::Higher)
        ));
        let range = parse(&spanned("clients.users.rate in 1/s..2/s")).unwrap();
        assert!(worse_of_expectation(&range.subject, range.comparison.operator).is_none());
    }
}
