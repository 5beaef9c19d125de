//! How often and for how long an experiment is played, where that follows from what is found: runs until an answer is
//! precise, a warm-up until the system has settled.

use super::decode::{Context, Declarations, Decode, bare};
use super::node::{Kind, Node};
use super::quantity::{Ratio, Seconds};
use super::source::Spanned;
use crate::base::SimDuration;
use crate::record;

/// How many times each variant is run.
#[derive(Clone, Debug)]
pub enum Runs {
    /// So many times.
    Number(u32),
    /// Until something is known precisely enough.
    Precise(Precise),
}

record! {
    /// Runs are added until the 95 % confidence interval of a metric is narrow enough in every variant. Whether it is
    /// is asked only after `at_least` runs, after half as many again, and so on, and of an interval that is 6 % wider
    /// than usual: who stops when the spread happens to look small is too sure of himself. All variants get the same
    /// number of runs.
    pub struct Precise {
        /// What is to be known, such as `p(99) of clients.users.latency` or `P(recovered within 60s)`; or a list, if
        /// several things are.
        metric: Metrics,
        /// How wide half the interval may be, relative to the mean. With `absolute` as well, one of them will do.
        within: Option<Ratio> = None,
        /// How wide half the interval may be, in the metric's unit, such as `"5ms"` or `"2%"`.
        absolute: Option<Spanned<String>> = None,
        /// The fewest runs. With less than 10, intervals say more than is known.
        at_least: u32 = 10,
        /// The most runs. If they do not suffice, the summary says so.
        at_most: u32 = 200,
    }
}

impl Decode for Runs {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Number(_) => u32::decode(node, cx).map(Self::Number),
            _ if node.name().is_some() => Precise::decode(node, cx).map(Self::Precise),
            _ => cx.expected(node, "a whole number or `Precise(…)`"),
        }
    }
    fn type_name() -> String {
        "whole number or Precise".into()
    }
    fn declare(into: &mut Declarations) {
        Precise::declare(into);
    }
}

impl Runs {
    /// The most runs that there can be.
    pub fn at_most(&self) -> u32 {
        match self {
            Self::Number(number) => *number,
            Self::Precise(precise) => precise.at_most,
        }
    }
}

/// One or several things that are to be known.
#[derive(Clone, Debug)]
pub struct Metrics(pub Vec<Spanned<String>>);

impl Decode for Metrics {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Text(_) => Spanned::decode(node, cx).map(|one| Self(vec![one])),
            Kind::List(_) => Vec::decode(node, cx).map(Self),
            _ => cx.expected(node, "a metric, such as \"p(99) of clients.users.latency\", or a list of them"),
        }
    }
    fn type_name() -> String {
        "string or list of string".into()
    }
}

/// Simulated time before measuring begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// So long.
    For(Seconds),
    /// Until the system has settled, as far as some runs that are played beforehand tell.
    Auto,
}

impl Warmup {
    /// How long, if the file says so; nothing yet if it is to be found.
    pub fn stated(self) -> SimDuration {
        match self {
            Self::For(seconds) => seconds.duration(),
            Self::Auto => SimDuration::from_secs(0),
        }
    }
}

impl Decode for Warmup {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match node.name().map(|name| name.value.as_str()) {
            Some("Auto") => bare("Auto", node, cx).map(|()| Self::Auto),
            Some(_) => cx.expected(node, "a duration such as \"30s\", or `Auto`"),
            None => Seconds::decode(node, cx).map(Self::For),
        }
    }
    fn type_name() -> String {
        "a duration or Auto".into()
    }
}
