//! Distributions of whole numbers, as people state them.

use super::decode::{Context, Declarations, Decode};
use super::node::{Kind, Node};
use super::source::{Places, Span};
use crate::base::count::{Count, CountError};
use crate::{choice, record};

/// A distribution of whole numbers, ready to be sampled.
#[derive(Clone, Debug)]
pub struct NumberDistribution {
    /// The distribution.
    pub count: Count,
    /// Where it was written.
    pub span: Span,
}

record! {
    /// Always the same number.
    pub struct ConstantNumber [value] as "Constant number" {
        /// The number.
        value: u32,
    }
}
record! {
    /// Any whole number between two limits, both included, equally likely.
    pub struct UniformNumber [min, max] as "Uniform number" {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    }
}
record! {
    /// Whole numbers from 1 on, each less likely than the one before by the same factor.
    pub struct GeometricNumber [mean] as "Geometric number" {
        /// The mean, at least 1.
        mean: f64,
    }
}
record! {
    /// One of several numbers.
    pub struct WeightedNumber [value, weight] as "Weighted number" {
        /// The number.
        value: u32,
        /// How often, relative to the other numbers.
        weight: f64,
    }
}
record! {
    /// Draws one of several numbers.
    pub struct WeightedNumbers [values] as "Weighted numbers" {
        /// The numbers.
        values: Vec<WeightedNumber>,
    }
}

choice! {
    /// A distribution of whole numbers from 1 on; what is written may be at most 100,000. Every draw takes one random
    /// number.
    pub enum NumberChoice as "Number distribution" {
        /// Always the same.
        Constant(ConstantNumber),
        /// Between two limits, equally likely.
        Uniform(UniformNumber),
        /// Without memory: mostly small, sometimes large.
        Geometric(GeometricNumber),
        /// One of several.
        Weighted(WeightedNumbers),
    }
    shorthand "a whole number, for a constant; a list of `(value, weight)`, for `Weighted`" => number_shorthand
}

fn number_shorthand(node: &Node, cx: &mut Context) -> Option<Option<NumberChoice>> {
    let (span, places) = (node.span, Places::default());
    match node.kind {
        Kind::Number(_) => Some(
            u32::decode(node, cx).map(|value| NumberChoice::Constant(ConstantNumber { value, span, places })),
        ),
        Kind::List(_) => Some(
            Vec::decode(node, cx)
                .map(|values| NumberChoice::Weighted(WeightedNumbers { values, span, places })),
        ),
        _ => None,
    }
}

impl Decode for NumberDistribution {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match build(NumberChoice::decode(node, cx)?) {
            Ok(count) => Some(Self { count, span: node.span }),
            Err(error) => cx.fail(node.span, error.to_string()),
        }
    }
    fn type_name() -> String {
        NumberChoice::type_name()
    }
    fn declare(into: &mut Declarations) {
        NumberChoice::declare(into);
    }
}

fn build(choice: NumberChoice) -> Result<Count, CountError> {
    match choice {
        NumberChoice::Constant(n) => Count::constant(n.value),
        NumberChoice::Uniform(n) => Count::uniform(n.min, n.max),
        NumberChoice::Geometric(n) => Count::geometric(n.mean),
        NumberChoice::Weighted(n) => {
            Count::weighted(&n.values.iter().map(|v| (v.value, v.weight)).collect::<Vec<_>>())
        }
    }
}
