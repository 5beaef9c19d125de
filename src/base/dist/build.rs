//! Constructors from what people know about a distribution, and why they refuse.

use super::{Dist, normal::Z99};
use crate::base::units::{count_text, duration_text};
use std::cmp::Ordering;
use thiserror::Error;

/// Why there is no such distribution. Values of the quantity itself are printed as durations.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum DistError {
    /// A value below zero, infinite or undefined.
    #[error("{what} ({}) must be zero or more, and finite", duration_text(*value))]
    Negative {
        /// The parameter.
        what: &'static str,
        /// Its value, in seconds.
        value: f64,
    },
    /// A value that is zero, below zero, infinite or undefined.
    #[error("{what} ({}) must be greater than zero, and finite", duration_text(*value))]
    NotPositive {
        /// The parameter.
        what: &'static str,
        /// Its value, in seconds.
        value: f64,
    },
    /// A number without a unit that is zero, below zero, infinite or undefined.
    #[error("{what} ({}) must be greater than zero, and finite", count_text(*value))]
    NotPositiveNumber {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Two values in the wrong order, or equal.
    #[error("{what} ({}) must be greater than {than} ({})", duration_text(*value), duration_text(*bound))]
    NotGreater {
        /// The parameter that must be greater.
        what: &'static str,
        /// Its value, in seconds.
        value: f64,
        /// The other parameter.
        than: &'static str,
        /// The value of the other parameter, in seconds.
        bound: f64,
    },
    /// No log-normal distribution has its p99 so far above its mean.
    #[error(
        "p99 ({}) is {} times the mean ({}), but in no log-normal distribution is it more than {} times the mean",
        duration_text(*p99), count_text(p99 / mean), duration_text(*mean), count_text(p99_over_mean_max())
    )]
    P99TooFar {
        /// The wanted mean, in seconds.
        mean: f64,
        /// The wanted 99th percentile, in seconds.
        p99: f64,
    },
    /// A hyper-exponential distribution with less variation than an exponential one.
    #[error("cv ({}) of a hyper-exponential distribution must be greater than 1", count_text(*cv))]
    CvTooSmall {
        /// The wanted coefficient of variation.
        cv: f64,
    },
    /// An Erlang distribution without stages.
    #[error("k (0) must be at least 1")]
    NoStages,
    /// A list without elements.
    #[error("{what} must have at least {least}, and {found} found")]
    TooFew {
        /// The list.
        what: &'static str,
        /// How many elements are needed, with their name.
        least: &'static str,
        /// How many there are, with the verb.
        found: &'static str,
    },
    /// Lists that belong together but differ in length.
    #[error("there are {weights} weights for {means} means: each part must have one of both")]
    Lengths {
        /// How many weights there are.
        weights: usize,
        /// How many means there are.
        means: usize,
    },
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
    /// Quantiles that do not reach from 0 to 1.
    #[error("quantiles must go from p = 0 to p = 1, not from p = {first} to p = {last}")]
    QuantileEnds {
        /// The first probability.
        first: f64,
        /// The last probability.
        last: f64,
    },
    /// Probabilities of quantiles that do not rise.
    #[error("p = {after} follows p = {before}: the probabilities of quantiles must rise strictly")]
    QuantileOrder {
        /// A probability.
        before: f64,
        /// The next one.
        after: f64,
    },
    /// Quantiles that fall.
    #[error(
        "the quantile at p = {p} ({}) must not be less than the one before it ({})",
        duration_text(*value), duration_text(*before)
    )]
    QuantileFalls {
        /// The probability.
        p: f64,
        /// Its quantile, in seconds.
        value: f64,
        /// The quantile before it, in seconds.
        before: f64,
    },
}

/// How many times the mean the p99 of a log-normal distribution can be: `exp(z^2 / 2)` with `z` the normal p99.
fn p99_over_mean_max() -> f64 {
    libm::exp(0.5 * Z99 * Z99)
}

fn non_negative(what: &'static str, value: f64) -> Result<f64, DistError> {
    if value >= 0.0 && value.is_finite() { Ok(value) } else { Err(DistError::Negative { what, value }) }
}

fn positive(what: &'static str, value: f64) -> Result<f64, DistError> {
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(DistError::NotPositive { what, value }) }
}

fn positive_number(what: &'static str, value: f64) -> Result<f64, DistError> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(DistError::NotPositiveNumber { what, value })
    }
}

fn greater(what: &'static str, value: f64, than: &'static str, bound: f64) -> Result<f64, DistError> {
    let value = positive(what, value)?;
    if value > bound { Ok(value) } else { Err(DistError::NotGreater { what, value, than, bound }) }
}

/// The parts with weights that add up to 1. Parts without weight are left out.
fn weighted<T>(what: &'static str, parts: Vec<(f64, T)>) -> Result<Vec<(f64, T)>, DistError> {
    if parts.is_empty() {
        return Err(DistError::TooFew { what, least: "one part", found: "none was" });
    }
    if let Some(&(value, _)) = parts.iter().find(|(weight, _)| !(*weight >= 0.0 && weight.is_finite())) {
        return Err(DistError::Weight { value });
    }
    let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(DistError::Weights { total });
    }
    let shares = parts.into_iter().map(|(weight, part)| (weight / total, part));
    Ok(shares.filter(|(weight, _)| *weight > 0.0).collect())
}

/// The simple families, by their own parameters.
impl Dist {
    /// Always `value`.
    pub fn constant(value: f64) -> Result<Self, DistError> {
        Ok(Self::Constant(non_negative("value", value)?))
    }

    /// Exponential with the given mean.
    pub fn exponential(mean: f64) -> Result<Self, DistError> {
        Ok(Self::Exponential { mean: positive("mean", mean)? })
    }

    /// Uniform from `min` to `max`.
    pub fn uniform(min: f64, max: f64) -> Result<Self, DistError> {
        let min = non_negative("min", min)?;
        Ok(Self::Uniform { min, max: greater("max", max, "min", min)? })
    }

    /// Normal with the given mean and standard deviation, then cut off below zero, which raises the mean.
    pub fn normal(mean: f64, sd: f64) -> Result<Self, DistError> {
        Ok(Self::Normal { mean: non_negative("mean", mean)?, sd: positive("sd", sd)? })
    }

    /// Gamma with the given mean and coefficient of variation: `shape = 1 / cv^2`.
    pub fn gamma_mean_cv(mean: f64, cv: f64) -> Result<Self, DistError> {
        let (mean, cv) = (positive("mean", mean)?, positive_number("cv", cv)?);
        let shape = positive_number("shape, which is one over the square of cv,", 1.0 / (cv * cv))?;
        Ok(Self::Gamma { shape, scale: positive("scale, which is the mean over the shape,", mean / shape)? })
    }

    /// Erlang of `k` stages with the given mean of their sum.
    pub fn erlang(k: u32, mean: f64) -> Result<Self, DistError> {
        if k == 0 {
            return Err(DistError::NoStages);
        }
        Ok(Self::Erlang { k, mean: positive("mean", mean)? })
    }

    /// Weibull with the given shape and mean: `scale = mean / Gamma(1 + 1 / shape)`.
    pub fn weibull_shape_mean(shape: f64, mean: f64) -> Result<Self, DistError> {
        let (shape, mean) = (positive_number("shape", shape)?, positive("mean", mean)?);
        let scale = mean / libm::tgamma(1.0 + 1.0 / shape);
        Ok(Self::Weibull { shape, scale: positive("scale, which follows from shape and mean,", scale)? })
    }

    /// Weibull with the given shape and scale (the 63rd percentile).
    pub fn weibull_shape_scale(shape: f64, scale: f64) -> Result<Self, DistError> {
        Ok(Self::Weibull { shape: positive_number("shape", shape)?, scale: positive("scale", scale)? })
    }

    /// Pareto with the given tail index from `min` on, up to `max` if there is one.
    pub fn pareto(shape: f64, min: f64, max: Option<f64>) -> Result<Self, DistError> {
        let (shape, min) = (positive_number("shape", shape)?, positive("min", min)?);
        let max = max.map(|max| greater("max", max, "min", min)).transpose()?;
        Ok(Self::Pareto { shape, min, max })
    }
}

/// The log-normal, by what is measured of it.
impl Dist {
    /// Log-normal with the given median and 99th percentile: `sigma = ln(p99 / median) / z` with `z` the normal p99.
    pub fn log_normal_median_p99(median: f64, p99: f64) -> Result<Self, DistError> {
        let median = positive("median", median)?;
        let p99 = greater("p99", p99, "the median", median)?;
        Ok(Self::LogNormal { mu: libm::log(median), sigma: (libm::log(p99) - libm::log(median)) / Z99 })
    }

    /// Log-normal with the given median and coefficient of variation: `sigma^2 = ln(1 + cv^2)`.
    pub fn log_normal_median_cv(median: f64, cv: f64) -> Result<Self, DistError> {
        let (median, cv) = (positive("median", median)?, positive_number("cv", cv)?);
        let sigma = positive_number("sigma, which follows from cv,", libm::log1p(cv * cv).sqrt())?;
        Ok(Self::LogNormal { mu: libm::log(median), sigma })
    }

    /// Log-normal with the given mean and coefficient of variation: `sigma^2 = ln(1 + cv^2)`.
    pub fn log_normal_mean_cv(mean: f64, cv: f64) -> Result<Self, DistError> {
        let (mean, cv) = (positive("mean", mean)?, positive_number("cv", cv)?);
        let sigma = positive_number("sigma, which follows from cv,", libm::log1p(cv * cv).sqrt())?;
        Ok(Self::LogNormal { mu: libm::log(mean) - 0.5 * sigma * sigma, sigma })
    }

    /// Log-normal with the given mean and 99th percentile.
    ///
    /// `ln(p99 / mean) = z sigma - sigma^2 / 2` has two solutions; the one with the smaller sigma is taken (the
    /// other has a sigma above 2.3: half of the values below 7 % of the mean). It has none where p99 is more than
    /// 14.97 times the mean, and none of use where p99 is not above the mean.
    pub fn log_normal_mean_p99(mean: f64, p99: f64) -> Result<Self, DistError> {
        let mean = positive("mean", mean)?;
        let p99 = greater("p99", p99, "the mean", mean)?;
        let log_ratio = libm::log(p99) - libm::log(mean);
        let under_root = Z99 * Z99 - 2.0 * log_ratio;
        if under_root < 0.0 {
            return Err(DistError::P99TooFar { mean, p99 });
        }
        // z - root, written without its cancellation.
        let sigma = 2.0 * log_ratio / (Z99 + under_root.sqrt());
        Ok(Self::LogNormal { mu: libm::log(mean) - 0.5 * sigma * sigma, sigma })
    }
}

/// Distributions made of others, and of data.
impl Dist {
    /// One of several exponential distributions, chosen by weight. Weights are scaled to add up to 1.
    pub fn hyper_exponential(weights: &[f64], means: &[f64]) -> Result<Self, DistError> {
        if weights.len() != means.len() {
            return Err(DistError::Lengths { weights: weights.len(), means: means.len() });
        }
        for mean in means {
            positive("mean", *mean)?;
        }
        let parts = weights.iter().copied().zip(means.iter().copied()).collect();
        Ok(Self::HyperExponential { parts: weighted("a hyper-exponential distribution", parts)? })
    }

    /// Two exponential parts of balanced means (each adds half of the mean), with the given mean and a coefficient of
    /// variation above 1.
    ///
    /// W. Whitt, "Approximating a Point Process by a Renewal Process, I", Operations Research 30 (1982), section 3.
    pub fn hyper_exponential_mean_cv(mean: f64, cv: f64) -> Result<Self, DistError> {
        let (mean, cv) = (positive("mean", mean)?, positive_number("cv", cv)?);
        if cv <= 1.0 {
            return Err(DistError::CvTooSmall { cv });
        }
        let squared = positive_number("the square of cv", cv * cv)?;
        let root = ((squared - 1.0) / (squared + 1.0)).sqrt();
        // 1 - root, written without its cancellation.
        let rare = 1.0 / (squared + 1.0) / (1.0 + root);
        let common = 0.5 * (1.0 + root);
        let means = [mean / (2.0 * common), positive("mean of the rare part", mean / (2.0 * rare))?];
        Self::hyper_exponential(&[common, rare], &means)
    }

    /// Recorded values, each as likely as the others, drawn as they are.
    pub fn empirical_samples(mut values: Vec<f64>) -> Result<Self, DistError> {
        if values.is_empty() {
            return Err(DistError::TooFew { what: "samples", least: "one value", found: "none was" });
        }
        for value in &values {
            non_negative("sample", *value)?;
        }
        values.sort_by(f64::total_cmp);
        Ok(Self::Samples(values.into()))
    }

    /// Known quantiles `(p, value)`, with straight lines between them: from p = 0 to p = 1, p rising strictly and
    /// values not falling.
    pub fn empirical_quantiles(points: Vec<(f64, f64)>) -> Result<Self, DistError> {
        let [(first, _), .., (last, _)] = points[..] else {
            return Err(DistError::TooFew { what: "quantiles", least: "two points", found: "fewer were" });
        };
        if first != 0.0 || last != 1.0 {
            return Err(DistError::QuantileEnds { first, last });
        }
        for (_, value) in &points {
            non_negative("quantile", *value)?;
        }
        for pair in points.windows(2) {
            let ((before, low), (after, high)) = (pair[0], pair[1]);
            if before.partial_cmp(&after) != Some(Ordering::Less) {
                return Err(DistError::QuantileOrder { before, after });
            }
            if high < low {
                return Err(DistError::QuantileFalls { p: after, value: high, before: low });
            }
        }
        Ok(Self::Quantiles(points.into()))
    }

    /// One of several distributions, chosen by weight. Weights are scaled to add up to 1.
    pub fn mixture(parts: Vec<(f64, Self)>) -> Result<Self, DistError> {
        Ok(Self::Mixture(weighted("a mixture", parts)?))
    }

    /// `of` plus `by`, which is zero or more.
    pub fn shifted(by: f64, of: Self) -> Result<Self, DistError> {
        Ok(Self::Shifted { by: non_negative("shift", by)?, of: Box::new(of) })
    }

    /// `of` times `by`, which is above zero.
    pub fn scaled(by: f64, of: Self) -> Result<Self, DistError> {
        Ok(Self::Scaled { by: positive_number("factor", by)?, of: Box::new(of) })
    }
}
