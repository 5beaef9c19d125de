//! Distributions as people state them: by mean, median, percentiles and coefficient of variation.

use super::csv_file::read_numbers;
use super::decode::{Context, Declarations, Decode};
use super::node::{Kind, Node};
use super::quantity::{Ratio, Seconds};
use super::source::{Places, Span, Spanned};
use crate::base::dist::{Dist, DistError};
use crate::{choice, record};

/// A distribution of times, ready to be sampled.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// The distribution, in seconds.
    pub dist: Dist,
    /// Where it was written.
    pub span: Span,
}

record! {
    /// Always the same time.
    pub struct Constant [value] {
        /// The time.
        value: Seconds,
    }
}
record! {
    /// Exponentially distributed times.
    pub struct Exponential [mean] {
        /// The mean.
        mean: Seconds,
    }
}
record! {
    /// Any time between two limits, equally likely.
    pub struct Uniform [min, max] {
        /// The shortest.
        min: Seconds,
        /// The longest.
        max: Seconds,
    }
}
record! {
    /// A normal distribution cut off at 0: `mean` and `sd` are those before the cut.
    pub struct Normal [mean, sd] {
        /// The mean before the cut.
        mean: Seconds,
        /// The standard deviation before the cut.
        sd: Seconds,
    }
}
record! {
    /// A log-normal distribution, given by two of: median and p99, mean and p99, mean and cv.
    pub struct LogNormal {
        /// The median.
        median: Option<Seconds> = None,
        /// The mean.
        mean: Option<Seconds> = None,
        /// The time that 99 % stay below.
        p99: Option<Seconds> = None,
        /// The coefficient of variation: standard deviation over mean.
        cv: Option<f64> = None,
    }
}
record! {
    /// A gamma distribution.
    pub struct Gamma [mean, cv] {
        /// The mean.
        mean: Seconds,
        /// The coefficient of variation: standard deviation over mean.
        cv: f64,
    }
}
record! {
    /// The sum of `k` exponential stages.
    pub struct Erlang [k, mean] {
        /// The number of stages.
        k: u32,
        /// The mean of the sum.
        mean: Seconds,
    }
}
record! {
    /// A Weibull distribution, given by its shape and either mean or scale.
    pub struct Weibull {
        /// The shape: below 1 heavy-tailed, 1 exponential, above 1 light-tailed.
        shape: f64,
        /// The mean.
        mean: Option<Seconds> = None,
        /// The scale (the 63rd percentile).
        scale: Option<Seconds> = None,
    }
}
record! {
    /// A Pareto distribution: heavy-tailed, bounded if `max` is given.
    pub struct Pareto {
        /// The shape (alpha): the smaller, the heavier the tail; the mean is infinite at 1 and below.
        shape: f64,
        /// The shortest time.
        min: Seconds,
        /// The longest time.
        max: Option<Seconds> = None,
    }
}
record! {
    /// One branch of a hyperexponential distribution.
    pub struct Branch [weight, mean] {
        /// How often, relative to the other branches.
        weight: f64,
        /// The mean of this branch.
        mean: Seconds,
    }
}
record! {
    /// A mixture of exponentials, given by its branches, or by mean and cv (two branches of balanced means).
    pub struct HyperExponential {
        /// The branches.
        branches: Vec<Branch> = [],
        /// The mean.
        mean: Option<Seconds> = None,
        /// The coefficient of variation, above 1.
        cv: Option<f64> = None,
    }
}
record! {
    /// One point of an empirical distribution.
    pub struct Quantile [p, value] {
        /// The share of times at or below `value`.
        p: Ratio,
        /// The time.
        value: Seconds,
    }
}
record! {
    /// Measured times: samples drawn as they are, or quantiles joined by straight lines.
    pub struct Empirical {
        /// The samples, each as likely as the others.
        samples: Vec<Seconds> = [],
        /// Quantiles from 0 to 1.
        quantiles: Vec<Quantile> = [],
        /// A CSV file of samples (one column, seconds), relative to this file.
        file: Option<Spanned<String>> = None,
        /// A CSV file of quantiles (two columns: share, seconds), relative to this file.
        quantile_file: Option<Spanned<String>> = None,
    }
}
record! {
    /// One part of a mixture.
    pub struct Part [weight, of] {
        /// How often, relative to the other parts.
        weight: f64,
        /// What is drawn then.
        of: Distribution,
    }
}
record! {
    /// Draws from one of several distributions.
    pub struct Mixture [parts] {
        /// The parts.
        parts: Vec<Part>,
    }
}
record! {
    /// Adds a constant time.
    pub struct Shifted [by, of] {
        /// The time added.
        by: Seconds,
        /// To what.
        of: Box<Distribution>,
    }
}
record! {
    /// Multiplies by a constant factor.
    pub struct Scaled [by, of] {
        /// The factor.
        by: f64,
        /// Of what.
        of: Box<Distribution>,
    }
}

choice! {
    /// A distribution of times, never negative. Every draw takes one random number, so a distribution that is
    /// exchanged for another leaves all other chance as it was.
    pub enum DistributionChoice as "Distribution" {
        /// Always the same.
        Constant(Constant),
        /// Exponential: memoryless.
        Exponential(Exponential),
        /// Between two limits, equally likely.
        Uniform(Uniform),
        /// Normal, cut off at 0.
        Normal(Normal),
        /// Log-normal: what latencies most often look like.
        LogNormal(LogNormal),
        /// Gamma: from very irregular to nearly constant, by its coefficient of variation.
        Gamma(Gamma),
        /// Erlang: a sum of exponentials.
        Erlang(Erlang),
        /// Weibull: heavy or light tail, by its shape.
        Weibull(Weibull),
        /// Pareto, bounded or not.
        Pareto(Pareto),
        /// Hyperexponential: more variable than exponential.
        HyperExponential(HyperExponential),
        /// From measured samples or quantiles.
        Empirical(Empirical),
        /// One of several.
        Mixture(Mixture),
        /// Plus a constant.
        Shifted(Shifted),
        /// Times a constant.
        Scaled(Scaled),
    }
    shorthand "a duration, for a constant" => constant_shorthand
}

fn constant_shorthand(node: &Node, cx: &mut Context) -> Option<Option<DistributionChoice>> {
    match node.kind {
        Kind::Text(_) | Kind::Number(_) => {
            Some(Seconds::decode(node, cx).map(|value| constant(value, node.span)))
        }
        _ => None,
    }
}

fn constant(value: Seconds, span: Span) -> DistributionChoice {
    DistributionChoice::Constant(Constant { value, span, places: Places::default() })
}

impl Decode for Distribution {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let choice = DistributionChoice::decode(node, cx)?;
        match build(choice, cx)? {
            Ok(dist) => Some(Self { dist, span: node.span }),
            Err(error) => cx.fail(node.span, error.to_string()),
        }
    }
    fn type_name() -> String {
        DistributionChoice::type_name()
    }
    fn declare(into: &mut Declarations) {
        DistributionChoice::declare(into);
    }
}

/// Builds the distribution; the outer `None` means that the mistake is reported already.
fn build(choice: DistributionChoice, cx: &mut Context) -> Option<Result<Dist, DistError>> {
    use DistributionChoice as D;
    Some(match choice {
        D::Constant(d) => Dist::constant(d.value.0),
        D::Exponential(d) => Dist::exponential(d.mean.0),
        D::Uniform(d) => Dist::uniform(d.min.0, d.max.0),
        D::Normal(d) => Dist::normal(d.mean.0, d.sd.0),
        D::LogNormal(d) => return log_normal(&d, cx),
        D::Gamma(d) => Dist::gamma_mean_cv(d.mean.0, d.cv),
        D::Erlang(d) => Dist::erlang(d.k, d.mean.0),
        D::Weibull(d) => match (d.mean, d.scale) {
            (Some(mean), None) => Dist::weibull_shape_mean(d.shape, mean.0),
            (None, Some(scale)) => Dist::weibull_shape_scale(d.shape, scale.0),
            _ => return cx.fail(d.span, "`Weibull` needs its shape and either mean or scale"),
        },
        D::Pareto(d) => Dist::pareto(d.shape, d.min.0, d.max.map(|m| m.0)),
        D::HyperExponential(d) => match (d.branches.is_empty(), d.mean, d.cv) {
            (false, None, None) => Dist::hyper_exponential(
                &d.branches.iter().map(|b| b.weight).collect::<Vec<_>>(),
                &d.branches.iter().map(|b| b.mean.0).collect::<Vec<_>>(),
            ),
            (true, Some(mean), Some(cv)) => Dist::hyper_exponential_mean_cv(mean.0, cv),
            _ => return cx.fail(d.span, "`HyperExponential` needs either branches, or mean and cv"),
        },
        D::Empirical(d) => return empirical(&d, cx),
        D::Mixture(d) => Dist::mixture(d.parts.into_iter().map(|p| (p.weight, p.of.dist)).collect()),
        D::Shifted(d) => Dist::shifted(d.by.0, d.of.dist),
        D::Scaled(d) => Dist::scaled(d.by, d.of.dist),
    })
}

fn log_normal(d: &LogNormal, cx: &mut Context) -> Option<Result<Dist, DistError>> {
    Some(match (d.median, d.mean, d.p99, d.cv) {
        (Some(median), None, Some(p99), None) => Dist::log_normal_median_p99(median.0, p99.0),
        (None, Some(mean), Some(p99), None) => Dist::log_normal_mean_p99(mean.0, p99.0),
        (None, Some(mean), None, Some(cv)) => Dist::log_normal_mean_cv(mean.0, cv),
        _ => {
            return cx
                .fail(d.span, "`LogNormal` needs exactly: median and p99, or mean and p99, or mean and cv");
        }
    })
}

fn empirical(d: &Empirical, cx: &mut Context) -> Option<Result<Dist, DistError>> {
    let given = usize::from(!d.samples.is_empty())
        + usize::from(!d.quantiles.is_empty())
        + usize::from(d.file.is_some())
        + usize::from(d.quantile_file.is_some());
    if given != 1 {
        return cx
            .fail(d.span, "`Empirical` needs exactly one of samples, quantiles, file and quantile_file");
    }
    Some(if let Some(file) = &d.file {
        Dist::empirical_samples(read_numbers(file, 1, cx)?.into_iter().map(|row| row[0]).collect())
    } else if let Some(file) = &d.quantile_file {
        Dist::empirical_quantiles(
            read_numbers(file, 2, cx)?.into_iter().map(|row| (row[0], row[1])).collect(),
        )
    } else if d.samples.is_empty() {
        Dist::empirical_quantiles(d.quantiles.iter().map(|q| (q.p.0, q.value.0)).collect())
    } else {
        Dist::empirical_samples(d.samples.iter().map(|s| s.0).collect())
    })
}
