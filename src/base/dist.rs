//! Distributions of times and other quantities that are never negative.
//!
//! A variate is a pure function of one uniform number: the inverse of the cumulative distribution where that has a
//! closed form. So every distribution takes exactly one draw from its stream. Streams stay in step when one
//! distribution is exchanged for another, and two variants meet the same luck: a service twice as slow is twice as
//! slow for each request. Three exceptions to the inverse keep to the single draw:
//!
//! * `Gamma` and `Erlang` (which is `Gamma` with a whole shape) have no closed inverse. The draw seeds a generator
//!   of its own, that lives for this one variate and feeds the rejection method of Marsaglia and Tsang.
//! * `Mixture` and `HyperExponential` pick a part by the draw, and use its place within the part as the part's own
//!   draw. It has 52 bits, of which a part of weight `w` spends `log2(1/w)`.
//!
//! Everything on the way to a variate is arithmetic, square roots and `libm` by name, so the bytes are the same on
//! all platforms; golden hashes in the tests pin them. Reference: L. Devroye, "Non-Uniform Random Variate
//! Generation" (1986), chapters II, IX and XIV.

mod build;
mod gamma;
mod moments;
mod normal;
#[cfg(test)]
mod tests;

pub use build::DistError;
pub use normal::quantile as normal_quantile;

use crate::base::{Rng, SimDuration};
use std::sync::Arc;

/// A distribution of a non-negative quantity (seconds for times; unit-free for counts).
///
/// Build it with the constructors, which refuse impossible parameters; the formulas rely on what they checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Dist {
    /// Always the same value.
    Constant(f64),
    /// Without memory: `F(x) = 1 - exp(-x / mean)`.
    Exponential {
        /// The mean, above zero.
        mean: f64,
    },
    /// Every value from `min` to `max` alike.
    Uniform {
        /// The smallest value.
        min: f64,
        /// The largest value, above `min`.
        max: f64,
    },
    /// The normal distribution with its part below zero cut off and the rest scaled up to 1.
    Normal {
        /// The mean before the cut; [`Dist::mean`] is the one after it.
        mean: f64,
        /// The standard deviation before the cut, above zero.
        sd: f64,
    },
    /// `exp(mu + sigma Z)` with `Z` standard normal.
    LogNormal {
        /// The logarithm of the median.
        mu: f64,
        /// The standard deviation of the logarithm, above zero.
        sigma: f64,
    },
    /// The gamma distribution, with mean `shape * scale`.
    Gamma {
        /// The shape, above zero, unit-free.
        shape: f64,
        /// The scale, above zero.
        scale: f64,
    },
    /// The sum of `k` exponential stages of equal mean.
    Erlang {
        /// The number of stages, at least 1.
        k: u32,
        /// The mean of the sum, above zero.
        mean: f64,
    },
    /// `F(x) = 1 - exp(-(x / scale)^shape)`: failures that come early (shape below 1) or by wear (above 1).
    Weibull {
        /// The shape, above zero, unit-free.
        shape: f64,
        /// The scale, above zero.
        scale: f64,
    },
    /// `F(x) = 1 - (min / x)^shape` from `min` on; with a `max`, cut off there and scaled up to 1.
    Pareto {
        /// The tail index, above zero, unit-free: the mean is finite above 1 and the variance above 2.
        shape: f64,
        /// The smallest value, above zero.
        min: f64,
        /// The largest value, above `min`, if there is one.
        max: Option<f64>,
    },
    /// One of several exponential distributions, by chance: more variable than any one of them.
    HyperExponential {
        /// The weight (all add up to 1) and the mean (above zero) of each part.
        parts: Vec<(f64, f64)>,
    },
    /// Recorded values, each as likely as the others, drawn as they are. Ascending.
    Samples(Arc<[f64]>),
    /// Quantiles, as points `(p, value)` with `p` rising from 0 to 1, and straight lines between them.
    Quantiles(Arc<[(f64, f64)]>),
    /// One of several distributions, by chance, as pairs of weight (all add up to 1) and distribution.
    Mixture(Vec<(f64, Dist)>),
    /// Another distribution plus a constant.
    Shifted {
        /// What is added, zero or more.
        by: f64,
        /// The distribution before the shift.
        of: Box<Dist>,
    },
    /// Another distribution times a constant.
    Scaled {
        /// The factor, above zero, unit-free.
        by: f64,
        /// The distribution before the scaling.
        of: Box<Dist>,
    },
}

impl Dist {
    /// A variate: zero or more, and finite. Takes exactly one draw.
    #[inline]
    pub fn sample(&self, rng: &mut Rng) -> f64 {
        self.variate(rng.uniform())
    }

    /// A variate in seconds, as a length of simulated time. Takes exactly one draw.
    #[inline]
    pub fn sample_duration(&self, rng: &mut Rng) -> SimDuration {
        SimDuration::from_seconds(self.sample(rng))
    }

    /// The variate that the uniform number `u` of the open interval (0, 1) stands for: zero or more, and finite.
    #[inline(always)]
    pub fn variate(&self, u: f64) -> f64 {
        debug_assert!(u > 0.0 && u < 1.0);
        // Most draws are of these two, and their values are zero or more, and finite, without a further look.
        match self {
            Self::Exponential { mean } => exponential_quantile(*mean, u),
            Self::Constant(value) if *value >= 0.0 => *value,
            _ => self.any_variate(u),
        }
    }

    #[inline(never)]
    fn any_variate(&self, u: f64) -> f64 {
        let value = match self {
            Self::Gamma { shape, scale } => scale * gamma::variate(*shape, u),
            Self::Erlang { k, mean } => mean / f64::from(*k) * gamma::variate(f64::from(*k), u),
            Self::HyperExponential { parts } => {
                let (part, u) = pick(parts, u);
                exponential_quantile(parts[part].1, u)
            }
            Self::Mixture(parts) => {
                let (part, u) = pick(parts, u);
                parts[part].1.variate(u)
            }
            Self::Shifted { by, of } => by + of.variate(u),
            Self::Scaled { by, of } => by * of.variate(u),
            _ => self.quantile(u),
        };
        value.clamp(0.0, f64::MAX)
    }

    /// The probability of a value of at most `x`.
    ///
    /// For `Gamma` and `Erlang` the last bits depend on the platform: for tests and for people, not for simulation.
    pub fn cdf(&self, x: f64) -> f64 {
        if x < 0.0 {
            return 0.0;
        }
        match self {
            Self::Constant(value) => f64::from(u8::from(x >= *value)),
            Self::Exponential { mean } => exponential_cdf(*mean, x),
            Self::Uniform { min, max } => ((x - min) / (max - min)).clamp(0.0, 1.0),
            Self::Normal { mean, sd } => normal::truncated_cdf(*mean, *sd, x),
            Self::LogNormal { mu, sigma } => normal::cdf((libm::log(x) - mu) / sigma),
            Self::Gamma { shape, scale } => gamma::cdf(*shape, x / scale),
            Self::Erlang { k, mean } => gamma::cdf(f64::from(*k), x / mean * f64::from(*k)),
            Self::Weibull { shape, scale } => -libm::expm1(-libm::pow(x / scale, *shape)),
            Self::Pareto { shape, min, max } => pareto_cdf(*shape, *min, *max, x),
            Self::HyperExponential { parts } => {
                parts.iter().map(|(w, mean)| w * exponential_cdf(*mean, x)).sum()
            }
            Self::Samples(values) => values.partition_point(|v| *v <= x) as f64 / values.len() as f64,
            Self::Quantiles(points) => points_cdf(points, x),
            Self::Mixture(parts) => parts.iter().map(|(w, part)| w * part.cdf(x)).sum(),
            Self::Shifted { by, of } => of.cdf(x - by),
            Self::Scaled { by, of } => of.cdf(x / by),
        }
    }

    /// The smallest value that is not exceeded with probability `p` (cut to 0..=1); infinite for `p` of 1 where the
    /// distribution has no end.
    ///
    /// A closed form where there is one, else bisection on [`Dist::cdf`] down to neighbouring numbers.
    pub fn quantile(&self, p: f64) -> f64 {
        let p = p.clamp(0.0, 1.0);
        match self {
            Self::Constant(value) => *value,
            Self::Exponential { mean } => exponential_quantile(*mean, p),
            Self::Uniform { min, max } => (min + p * (max - min)).min(*max),
            Self::Normal { mean, sd } => normal::truncated_quantile(*mean, *sd, p),
            Self::LogNormal { mu, sigma } => libm::exp(mu + sigma * normal::quantile(p)),
            Self::Weibull { shape, scale } => scale * libm::pow(-libm::log1p(-p), 1.0 / shape),
            Self::Pareto { shape, min, max } => pareto_quantile(*shape, *min, *max, p),
            Self::Samples(values) => values[sample_index(values.len(), p)],
            Self::Quantiles(points) => points_quantile(points, p),
            Self::Shifted { by, of } => by + of.quantile(p),
            Self::Scaled { by, of } => by * of.quantile(p),
            Self::Gamma { .. } | Self::Erlang { .. } | Self::HyperExponential { .. } if p == 1.0 => {
                f64::INFINITY
            }
            Self::Mixture(parts) if p == 1.0 => {
                parts.iter().map(|(_, part)| part.quantile(1.0)).fold(0.0, f64::max)
            }
            Self::Mixture(parts) if p == 0.0 => {
                parts.iter().map(|(_, part)| part.quantile(0.0)).fold(f64::INFINITY, f64::min)
            }
            Self::Gamma { .. } | Self::Erlang { .. } | Self::HyperExponential { .. } | Self::Mixture(_) => {
                bisect(|x| self.cdf(x), p)
            }
        }
    }
}

fn exponential_cdf(mean: f64, x: f64) -> f64 {
    -libm::expm1(-x / mean)
}

#[inline]
fn exponential_quantile(mean: f64, p: f64) -> f64 {
    -mean * libm::log1p(-p)
}

/// The part of an unbounded Pareto distribution that lies below `max`.
fn pareto_below(shape: f64, min: f64, max: Option<f64>) -> f64 {
    max.map_or(1.0, |max| 1.0 - libm::pow(min / max, shape))
}

fn pareto_cdf(shape: f64, min: f64, max: Option<f64>, x: f64) -> f64 {
    if x <= min {
        return 0.0;
    }
    ((1.0 - libm::pow(min / x, shape)) / pareto_below(shape, min, max)).min(1.0)
}

fn pareto_quantile(shape: f64, min: f64, max: Option<f64>, p: f64) -> f64 {
    let tail = 1.0 - p * pareto_below(shape, min, max);
    (min * libm::pow(tail, -1.0 / shape)).min(max.unwrap_or(f64::INFINITY))
}

/// The index of quantile `p` among `n` ascending samples: the smallest with at least `p n` samples up to it.
fn sample_index(n: usize, p: f64) -> usize {
    // The factor forgives the rounding of the product: 0.07 * 100 is a little above 7.
    let rank = (p * n as f64 * (1.0 - 1e-15)).ceil() as usize;
    rank.clamp(1, n) - 1
}

fn points_cdf(points: &[(f64, f64)], x: f64) -> f64 {
    match points.partition_point(|(_, value)| *value <= x) {
        0 => 0.0,
        n if n == points.len() => 1.0,
        n => {
            let ((p0, x0), (p1, x1)) = (points[n - 1], points[n]);
            p0 + (p1 - p0) * ((x - x0) / (x1 - x0))
        }
    }
}

fn points_quantile(points: &[(f64, f64)], p: f64) -> f64 {
    let n = points.partition_point(|(q, _)| *q <= p).clamp(1, points.len() - 1);
    let ((p0, x0), (p1, x1)) = (points[n - 1], points[n]);
    (x0 + (x1 - x0) * ((p - p0) / (p1 - p0))).min(x1)
}

/// Picks a part by its weight, and stretches the place of `u` within the part to the open interval (0, 1).
fn pick<T>(parts: &[(f64, T)], mut u: f64) -> (usize, f64) {
    let last = parts.len() - 1;
    let mut part = 0;
    while part < last && u >= parts[part].0 {
        u -= parts[part].0;
        part += 1;
    }
    let half_step = 0.5 / (1u64 << 52) as f64;
    (part, (u / parts[part].0).clamp(half_step, 1.0 - half_step))
}

/// The smallest number from zero on for which the rising function `cdf` reaches `p`.
fn bisect(cdf: impl Fn(f64) -> f64, p: f64) -> f64 {
    // Floats of one sign are ordered as their bits are, so that 63 steps find neighbours at any size.
    let (mut low, mut high) = (0, f64::MAX.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if cdf(f64::from_bits(middle)) >= p {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    f64::from_bits(low)
}
