//! Means and variances, exact. Sums run in the order of the parts.
//!
//! Formulas: N. L. Johnson, S. Kotz, N. Balakrishnan, "Continuous Univariate Distributions" (1994): chapters 13
//! (normal, cut off: section 10.1), 14 (log-normal), 17 (gamma), 19 (exponential), 20 (Pareto) and 21 (Weibull).

use super::{Dist, normal, pareto_below};

impl Dist {
    /// The mean, exact; infinite where there is none (a Pareto without end and with a shape of at most 1).
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Exponential { mean } | Self::Erlang { mean, .. } => *mean,
            Self::Uniform { min, max } => min + 0.5 * (max - min),
            Self::Normal { mean, sd } => mean + sd * hazard(-mean / sd),
            Self::LogNormal { mu, sigma } => libm::exp(mu + 0.5 * sigma * sigma),
            Self::Gamma { shape, scale } => shape * scale,
            Self::Weibull { shape, scale } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Self::Pareto { shape, min, max } => pareto_moment(1.0, *shape, *min, *max),
            Self::HyperExponential { parts } => parts.iter().map(|(w, mean)| w * mean).sum(),
            Self::Samples(values) => values.iter().sum::<f64>() / values.len() as f64,
            Self::Quantiles(points) => pieces(points).map(|(w, a, b)| w * 0.5 * (a + b)).sum(),
            Self::Mixture(parts) => parts.iter().map(|(w, part)| w * part.mean()).sum(),
            Self::Shifted { by, of } => by + of.mean(),
            Self::Scaled { by, of } => by * of.mean(),
        }
    }

    /// The variance, exact, in the unit squared; infinite where there is none.
    pub fn variance(&self) -> f64 {
        let all = self.mean();
        if all == f64::INFINITY {
            return f64::INFINITY;
        }
        match self {
            Self::Constant(_) => 0.0,
            Self::Exponential { mean } => mean * mean,
            Self::Uniform { min, max } => (max - min) * (max - min) / 12.0,
            Self::Normal { mean, sd } => {
                let (cut, h) = (-mean / sd, hazard(-mean / sd));
                sd * sd * (1.0 - h * (h - cut))
            }
            Self::LogNormal { sigma, .. } => all * all * libm::expm1(sigma * sigma),
            Self::Gamma { shape, scale } => shape * scale * scale,
            Self::Erlang { k, mean } => mean * mean / f64::from(*k),
            Self::Weibull { shape, scale } => scale * scale * libm::tgamma(1.0 + 2.0 / shape) - all * all,
            Self::Pareto { shape, min, max } => pareto_moment(2.0, *shape, *min, *max) - all * all,
            Self::HyperExponential { parts } => {
                parts.iter().map(|(w, mean)| w * (mean * mean + square(mean - all))).sum()
            }
            Self::Samples(values) => {
                values.iter().map(|v| square(v - all)).sum::<f64>() / values.len() as f64
            }
            Self::Quantiles(points) => {
                pieces(points).map(|(w, a, b)| w * uniform_square(a - all, b - all)).sum()
            }
            Self::Mixture(parts) => {
                parts.iter().map(|(w, part)| w * (part.variance() + square(part.mean() - all))).sum()
            }
            Self::Shifted { of, .. } => of.variance(),
            Self::Scaled { by, of } => by * by * of.variance(),
        }
    }

    /// The coefficient of variation: the standard deviation over the mean. Zero if the mean is zero, infinite where
    /// the variance is.
    pub fn cv(&self) -> f64 {
        let (mean, variance) = (self.mean(), self.variance());
        if variance == f64::INFINITY {
            return f64::INFINITY;
        }
        if mean == 0.0 { 0.0 } else { variance.max(0.0).sqrt() / mean }
    }
}

fn square(x: f64) -> f64 {
    x * x
}

/// The mean square of a uniform value between `a` and `b`.
fn uniform_square(a: f64, b: f64) -> f64 {
    (a * a + a * b + b * b) / 3.0
}

/// The straight pieces between quantiles, as weight and both ends.
fn pieces(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64, f64)> {
    points.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0].1, pair[1].1))
}

/// The hazard of the standard normal distribution at `z`: its density over what lies above.
fn hazard(z: f64) -> f64 {
    normal::density(z) / normal::cdf(-z)
}

/// The mean of the `k`-th power. With `r = min / max` and `gap = shape - k` it is
/// `shape min^k (1 - r^gap) / (gap (1 - r^shape))`, whose limit at a gap of zero is a logarithm.
fn pareto_moment(k: f64, shape: f64, min: f64, max: Option<f64>) -> f64 {
    let gap = shape - k;
    let first = shape * libm::pow(min, k);
    let Some(end) = max else {
        return if gap > 0.0 { first / gap } else { f64::INFINITY };
    };
    let log_ratio = libm::log(min / end);
    let integral = if gap == 0.0 { -log_ratio } else { -libm::expm1(gap * log_ratio) / gap };
    first * integral / pareto_below(shape, min, max)
}
