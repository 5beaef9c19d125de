//! Which variant is better: what is compared, with which, and what difference matters.

use super::decode::{Context, Declarations, Decode, Variant as _};
use super::node::{Kind, Node};
use super::quantity::Ratio;
use super::source::{Places, Spanned};
use crate::{choice, record};

record! {
    /// How variants are compared, for `brownout compare`.
    pub struct Compare {
        /// What is compared; of each client population latency, errors and goodput, of each fault recovery, unserved
        /// requests and depth if not given.
        measures: Vec<Compared> = [],
        /// The variant that all others are compared with; `before` or `base` if there is one, the first else.
        baseline: Option<Spanned<String>> = None,
        /// A difference that does not matter: a percentage of the baseline's mean such as `"2%"`, or an amount in the
        /// measure's unit such as `"5ms"`.
        tolerance: Option<Spanned<String>> = None,
        /// Whether all variants are compared with each other, and not with the baseline only.
        all_pairs: bool = false,
        /// Which variant is the best, with a stated probability.
        select: Option<Select> = None,
    }
}

record! {
    /// A measure that variants are compared by; its formula alone is enough where it is known what is better.
    pub struct ComparedMeasure as "Compared" {
        /// A formula such as `p(99) of clients.users.latency`, or an event such as `P(recovered within 60s)`.
        of: Spanned<String>,
        /// What is better; known of latencies, errors, recovery, goodput and the like.
        better: Option<Better> = None,
        /// A difference that does not matter; that of all measures if not given.
        tolerance: Option<Spanned<String>> = None,
    }
}

choice! {
    /// What is better.
    pub enum Better {
        /// Less.
        Less,
        /// More.
        More,
    }
}

record! {
    /// Selects the best variant: adds runs to those still in contention until one is left.
    pub struct Select {
        /// The measure, a formula.
        of: Spanned<String>,
        /// What is better; known of latencies, errors, recovery, goodput and the like.
        better: Option<Better> = None,
        /// A difference that does not matter, in the measure's unit, such as `"5ms"`.
        indifference: Spanned<String>,
        /// The probability of selecting the best, if it is better than the others by the indifference.
        probability: Ratio = "95%",
        /// Runs of each variant before any is left out, at least 10.
        first: u32 = 10,
        /// Runs of each variant at most; if more than one is left then, there is no winner.
        at_most: u32 = 1000,
    }
}

/// A measure, written as its formula alone or with more.
#[derive(Clone, Debug)]
pub struct Compared(pub ComparedMeasure);

impl Decode for Compared {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Text(_) => Spanned::decode(node, cx).map(|of| {
                let (span, places) = (node.span, Places::default());
                Self(ComparedMeasure { of, better: None, tolerance: None, span, places })
            }),
            Kind::Record { .. } => ComparedMeasure::decode_as("Compared", node, cx).map(Self),
            _ => cx.expected(node, "a formula such as \"clients.users.latency.mean\" or `Compared(…)`"),
        }
    }
    fn type_name() -> String {
        "Compared or a formula".into()
    }
    fn declare(into: &mut Declarations) {
        ComparedMeasure::declare(into);
    }
}
