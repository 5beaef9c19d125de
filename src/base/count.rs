//! Distributions of whole numbers from 1 on: how many come at once.
//!
//! As in `dist.rs` a variate is a pure function of one uniform number, the inverse of the distribution function.

use super::units::count_text;
use thiserror::Error;

/// The most that can be drawn by [`Count::Constant`], [`Count::Uniform`] and [`Count::Weighted`], and the highest
/// mean of [`Count::Geometric`].
pub const COUNT_MAX: u32 = 100_000;

/// A distribution of whole numbers, each at least 1. Build it with the constructors, which refuse what is impossible.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// Always the same.
    Constant(u32),
    /// Every whole number from `min` to `max`, equally likely.
    Uniform {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// How often a coin is thrown until it shows heads: `P(n) = (1 - 1/mean)^(n - 1) / mean`.
    Geometric {
        /// The mean, at least 1.
        mean: f64,
    },
    /// Listed numbers, with the cumulative share of each; the last share is 1.
    Weighted(Vec<(u32, f64)>),
}

/// Why there is no such distribution.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum CountError {
    /// A number out of range.
    #[error("{what} ({}) must be from 1 to {}", count_text(*value), count_text(f64::from(COUNT_MAX)))]
    Range {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// The limits are in the wrong order.
    #[error("max ({max}) must not be less than min ({min})")]
    Limits {
        /// The lower limit.
        min: u32,
        /// The upper limit.
        max: u32,
    },
    /// A list without elements.
    #[error("there are no numbers to choose from")]
    Empty,
    /// A weight below zero, infinite or undefined.
    #[error("weight ({}) must be zero or more, and finite", count_text(*value))]
    Weight {
        /// The weight.
        value: f64,
    },
    /// Weights that are zero, all of them, or too large to be added up.
    #[error("weights must add up to a finite number above zero, not to {}", count_text(*total))]
    Weights {
        /// What they add up to.
        total: f64,
    },
}

fn in_range(what: &'static str, value: u32) -> Result<u32, CountError> {
    let is_possible = (1..=COUNT_MAX).contains(&value);
    if is_possible { Ok(value) } else { Err(CountError::Range { what, value: f64::from(value) }) }
}

impl Count {
    /// Always `value`.
    ///
    /// # Errors
    /// If it is 0, or more than [`COUNT_MAX`].
    pub fn constant(value: u32) -> Result<Self, CountError> {
        in_range("value", value).map(Self::Constant)
    }

    /// Every whole number from `min` to `max` alike.
    ///
    /// # Errors
    /// If one is 0 or more than [`COUNT_MAX`], or `max` is less than `min`.
    pub fn uniform(min: u32, max: u32) -> Result<Self, CountError> {
        let (min, max) = (in_range("min", min)?, in_range("max", max)?);
        if max < min { Err(CountError::Limits { min, max }) } else { Ok(Self::Uniform { min, max }) }
    }

    /// A geometric distribution from 1 on.
    ///
    /// # Errors
    /// If the mean is less than 1, or more than [`COUNT_MAX`].
    pub fn geometric(mean: f64) -> Result<Self, CountError> {
        if (1.0..=f64::from(COUNT_MAX)).contains(&mean) {
            Ok(Self::Geometric { mean })
        } else {
            Err(CountError::Range { what: "mean", value: mean })
        }
    }

    /// Numbers with their weights, relative to one another.
    ///
    /// # Errors
    /// If there is none, a number is 0 or more than [`COUNT_MAX`], or the weights are no weights.
    pub fn weighted(parts: &[(u32, f64)]) -> Result<Self, CountError> {
        if parts.is_empty() {
            return Err(CountError::Empty);
        }
        for (value, weight) in parts {
            in_range("value", *value)?;
            if !(*weight >= 0.0 && weight.is_finite()) {
                return Err(CountError::Weight { value: *weight });
            }
        }
        let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(CountError::Weights { total });
        }
        // Who has no weight is never drawn, not even as the last.
        let mut sum = 0.0;
        let mut shares: Vec<(u32, f64)> = parts
            .iter()
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(value, weight)| {
                sum += weight / total;
                (*value, sum)
            })
            .collect();
        if let Some(last) = shares.last_mut() {
            last.1 = 1.0;
        }
        Ok(Self::Weighted(shares))
    }

    /// The number that the uniform number `u` of the open interval (0, 1) stands for: at least 1.
    pub fn variate(&self, u: f64) -> u32 {
        debug_assert!(u > 0.0 && u < 1.0);
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { min, max } => {
                let many = f64::from(max - min + 1);
                (min + (u * many) as u32).min(*max)
            }
            // A mean of 1 divides by minus infinity. The cast cuts off, and saturates.
            Self::Geometric { mean } => {
                let more = libm::log1p(-u) / libm::log1p(-1.0 / mean);
                (more as u32).saturating_add(1)
            }
            Self::Weighted(shares) => {
                let at = shares.partition_point(|(_, share)| *share <= u);
                shares[at.min(shares.len() - 1)].0
            }
        }
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(value) => f64::from(*value),
            Self::Uniform { min, max } => (f64::from(*min) + f64::from(*max)) / 2.0,
            Self::Geometric { mean } => *mean,
            Self::Weighted(shares) => {
                let mut before = 0.0;
                let part = |(value, share): &(u32, f64)| {
                    let weight = share - before;
                    before = *share;
                    f64::from(*value) * weight
                };
                shares.iter().map(part).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;

    #[test]
    fn numbers_come_as_often_as_they_should() {
        let share_of = |count: &Count, n: u32| {
            let mut rng = Rng::from_seed(7);
            (0..100_000).filter(|_| count.variate(rng.uniform()) == n).count() as f64 / 1e5
        };
        let near = |ours: f64, expected: f64| assert!((ours - expected).abs() < 0.006, "{ours} {expected}");
        let dice = Count::uniform(1, 6).unwrap();
        (1..=6).for_each(|n| near(share_of(&dice, n), 1.0 / 6.0));
        let coin = Count::geometric(4.0).unwrap();
        near(share_of(&coin, 1), 0.25);
        near(share_of(&coin, 3), 0.25 * 0.75 * 0.75);
        let listed = Count::weighted(&[(10, 1.0), (1, 3.0), (7, 0.0)]).unwrap();
        near(share_of(&listed, 10), 0.25);
        near(share_of(&listed, 1), 0.75);
        assert_eq!(Count::geometric(1.0).unwrap().variate(0.999_999), 1);
        assert_eq!((dice.mean(), coin.mean(), listed.mean()), (3.5, 4.0, 3.25));
    }

    #[test]
    fn what_is_impossible_is_refused() {
        assert!(Count::constant(0).is_err() && Count::constant(COUNT_MAX + 1).is_err());
        assert!(Count::uniform(2, 1).is_err() && Count::uniform(0, 1).is_err());
        assert!(Count::geometric(0.5).is_err() && Count::geometric(f64::NAN).is_err());
        assert_eq!(Count::weighted(&[]), Err(CountError::Empty));
        for weights in [[0.0, 0.0], [-1.0, 2.0], [f64::INFINITY, 1.0], [f64::MAX, f64::MAX]] {
            assert!(Count::weighted(&[(1, weights[0]), (2, weights[1])]).is_err(), "{weights:?}");
        }
    }

    fn count() -> impl Strategy<Value = Count> {
        prop_oneof![
            (1..=COUNT_MAX).prop_map(|n| Count::constant(n).unwrap()),
            (1..=COUNT_MAX, 0..COUNT_MAX).prop_map(|(min, more)| Count::uniform(
                min,
                min.saturating_add(more).min(COUNT_MAX)
            )
            .unwrap()),
            (1.0..1e5f64).prop_map(|mean| Count::geometric(mean).unwrap()),
            prop::collection::vec((1..=COUNT_MAX, 1e-3..10.0f64), 1..6)
                .prop_map(|parts| Count::weighted(&parts).unwrap()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_variate_is_possible_and_rises_with_its_uniform(count in count(), u in 1e-9..0.999_999_999f64) {
            let n = count.variate(u);
            let is_possible = match &count {
                Count::Constant(value) => n == *value,
                Count::Uniform { min, max } => (*min..=*max).contains(&n),
                Count::Geometric { .. } => n >= 1,
                Count::Weighted(shares) => shares.iter().any(|(value, _)| *value == n),
            };
            prop_assert!(is_possible, "{}", n);
            if !matches!(count, Count::Weighted(_)) {
                prop_assert!(n <= count.variate(u + (1.0 - u) / 2.0));
            }
        }
    }
}
