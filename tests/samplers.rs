//! Chance against theory: every distribution, every draw, every source of requests and every pair of streams.
//!
//! What is right is computed here, from statrs or from a textbook's formula, and never by the crate's own functions;
//! those are compared with it as well. Seeds are fixed and were chosen before anything was measured.
//!
//! **How certain.** The file makes fewer than [`CHECKS`] statistical checks. Each has the level [`ALPHA`] (Bonferroni),
//! so that all of them together refuse a right simulator with a probability below one in a thousand, for one choice of
//! seeds. The limits that follow from the level:
//!
//! * Kolmogorov and Smirnov: the distance times `sqrt(n)` stays below `sqrt(ln(2 / ALPHA) / 2)` (the first term of
//!   Kolmogorov's series), which is 2.63, where 1.95 would be the limit of a single test at one in a thousand. Where a
//!   law has atoms the distance is taken on both sides of each, and the limit errs on the safe side (Noether 1963).
//! * Numbers that are normal in the limit: 4.75 standard errors, [`Z`].
//! * Counts: exact binomial tails, and chi-squared.

use crate::support;

use brownout::base::dist::Dist;
use brownout::base::{Rng, Streams, mix, salt, uniform_of};
use brownout::metrics::Observer;
use brownout::sim::World;
use statrs::distribution::{
    Binomial, ChiSquared, Continuous as _, ContinuousCDF, DiscreteCDF, Normal, Poisson,
};
use statrs::function::gamma::gamma;
use std::collections::BTreeSet;
use support::Files;

/// More than the statistical checks that this file makes.
const CHECKS: f64 = 500.0;
/// The level of each.
const ALPHA: f64 = 1e-3 / CHECKS;
/// The two-sided normal quantile of the level.
const Z: f64 = 4.753;
/// Draws of each law.
const N: usize = 1_000_000;

#[test]
fn the_limits_are_those_of_the_level() {
    let z = Normal::standard().inverse_cdf(1.0 - ALPHA / 2.0);
    assert!((z - Z).abs() < 0.001, "{z}");
    assert!((ks_limit() - 2.628).abs() < 0.001, "{}", ks_limit());
    assert!((Normal::standard().pdf(0.0) - 0.398_942_28).abs() < 1e-8);
}

// ---- tests of fit ----

fn ks_limit() -> f64 {
    (libm::log(2.0 / ALPHA) / 2.0).sqrt()
}

/// The distance of Kolmogorov and Smirnov times `sqrt(n)`. `upto` is the probability of at most `x`, `below` that of
/// less. Sorts the values, which are zero or more.
fn ks(values: &mut [f64], upto: &dyn Fn(f64) -> f64, below: &dyn Fn(f64) -> f64) -> f64 {
    // Floats of one sign are ordered as their bits are.
    values.sort_unstable_by_key(|v| v.to_bits());
    let n = values.len() as f64;
    let (mut distance, mut before) = (0.0_f64, 0);
    for group in values.chunk_by(|a, b| a == b) {
        let after = before + group.len();
        distance = distance.max((below(group[0]) - before as f64 / n).abs());
        distance = distance.max((upto(group[0]) - after as f64 / n).abs());
        before = after;
    }
    distance * n.sqrt()
}

/// The chance of a chi-squared value of at least this.
fn chi_squared_p(value: f64, freedom: usize) -> f64 {
    ChiSquared::new(freedom as f64).unwrap().sf(value)
}

/// Pearson's statistic.
fn pearson(observed: &[u64], expected: impl Fn(usize) -> f64) -> f64 {
    observed.iter().enumerate().map(|(i, o)| (*o as f64 - expected(i)).powi(2) / expected(i)).sum()
}

#[track_caller]
fn assert_fits(what: &str, observed: &[u64], expected: impl Fn(usize) -> f64, freedom: usize) {
    let value = pearson(observed, expected);
    let p = chi_squared_p(value, freedom);
    assert!(p > ALPHA, "{what}: chi-squared {value} with {freedom} degrees of freedom, p {p:e}");
}

/// Asserts that `count` of `n` is what a probability gives.
#[track_caller]
fn assert_binomial(what: &str, count: u64, n: u64, p: f64) {
    if p <= 0.0 || p >= 1.0 {
        assert_eq!(count, if p <= 0.0 { 0 } else { n }, "{what}");
        return;
    }
    let law = Binomial::new(p, n).unwrap();
    let few = law.cdf(count);
    let many = if count == 0 { 1.0 } else { law.sf(count - 1) };
    assert!(few.min(many) > ALPHA / 2.0, "{what}: {count} of {n}, and not {}", p * n as f64);
}

#[track_caller]
fn assert_within(what: &str, got: f64, expected: f64, error: f64) {
    assert!(
        (got - expected).abs() <= Z * error,
        "{what}: {got} and not {expected}: {:.1} standard errors",
        (got - expected) / error
    );
}

// ---- laws, as the textbooks have them ----

/// The normal distribution by its power series (G. Marsaglia, "Evaluating the Normal Distribution", Journal of
/// Statistical Software 11, 2004), good to 1e-15; the error function of statrs is good to 1e-10 only.
fn phi(z: f64) -> f64 {
    if z.abs() > 8.5 {
        return f64::from(u8::from(z > 0.0));
    }
    let (mut term, mut sum, mut n) = (z, z, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 2.0;
        term *= z * z / n;
        sum += term;
    }
    0.5 + sum * libm::exp(-0.5 * z * z) / (2.0 * std::f64::consts::PI).sqrt()
}

/// The regularised lower incomplete gamma function by its power series (Abramowitz and Stegun, 6.5.29).
fn gamma_lower(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x > a + 40.0 * a.sqrt() + 60.0 {
        return 1.0;
    }
    let (mut term, mut sum, mut n) = (1.0, 1.0, a);
    while term > 1e-18 * sum {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    libm::exp(a * libm::log(x) - x - libm::lgamma(a + 1.0)) * sum
}

/// Which moments of a sample say something at this size.
#[derive(Clone, Copy, PartialEq)]
enum Tail {
    /// The mean and the variance.
    Light,
    /// The mean alone: the variance of a sample is ruled by its largest values.
    Heavy,
    /// Neither, since the variance is infinite or hangs on events too rare for a million draws.
    Wild,
}

type Function = Box<dyn Fn(f64) -> f64>;

/// A distribution of the crate, and what is known about it.
struct Law {
    name: &'static str,
    dist: Dist,
    /// The probability of at most `x`, and that of less.
    upto: Function,
    below: Function,
    mean: f64,
    variance: f64,
    tail: Tail,
}

fn law<E: std::fmt::Debug>(
    name: &'static str,
    dist: Result<Dist, E>,
    cdf: impl Fn(f64) -> f64 + Clone + 'static,
    (mean, variance, tail): (f64, f64, Tail),
) -> Law {
    let upto = Box::new(cdf.clone());
    Law { name, dist: dist.unwrap(), upto, below: Box::new(cdf), mean, variance, tail }
}

impl Law {
    /// With atoms: the probability of less than `x` is another function.
    fn below(mut self, below: impl Fn(f64) -> f64 + 'static) -> Self {
        self.below = Box::new(below);
        self
    }
}

use Tail::{Heavy, Light, Wild};

fn step(at: f64) -> impl Fn(f64) -> f64 + Clone {
    move |x| f64::from(u8::from(x >= at))
}

fn step_below(at: f64) -> impl Fn(f64) -> f64 + Clone {
    move |x| f64::from(u8::from(x > at))
}

fn exponential_cdf(mean: f64) -> impl Fn(f64) -> f64 + Clone {
    move |x| if x <= 0.0 { 0.0 } else { 1.0 - libm::exp(-x / mean) }
}

fn exponential(name: &'static str, mean: f64) -> Law {
    law(name, Dist::exponential(mean), exponential_cdf(mean), (mean, mean * mean, Light))
}

fn uniform(name: &'static str, min: f64, max: f64) -> Law {
    let known = ((min + max) / 2.0, (max - min).powi(2) / 12.0, Light);
    law(name, Dist::uniform(min, max), move |x| ((x - min) / (max - min)).clamp(0.0, 1.0), known)
}

/// Normal, cut off at zero: Johnson, Kotz and Balakrishnan, section 13.10.1.
fn normal(name: &'static str, mean: f64, sd: f64) -> Law {
    let alpha = -mean / sd;
    let ratio = libm::exp(-alpha * alpha / 2.0) / (2.0 * std::f64::consts::PI).sqrt() / phi(-alpha);
    let known = (mean + sd * ratio, sd * sd * (1.0 + alpha * ratio - ratio * ratio), Light);
    let cdf = move |x: f64| {
        if x < 0.0 { 0.0 } else { (phi((x - mean) / sd) - phi(alpha)) / phi(-alpha) }
    };
    law(name, Dist::normal(mean, sd), cdf, known)
}

fn log_normal_cdf(mu: f64, sigma: f64) -> impl Fn(f64) -> f64 + Clone {
    move |x| if x <= 0.0 { 0.0 } else { phi((libm::log(x) - mu) / sigma) }
}

fn log_normal_moments(mu: f64, sigma: f64, tail: Tail) -> (f64, f64, Tail) {
    let square = sigma * sigma;
    (libm::exp(mu + square / 2.0), libm::expm1(square) * libm::exp(2.0 * mu + square), tail)
}

fn gamma_law(name: &'static str, mean: f64, cv: f64, tail: Tail) -> Law {
    let shape = 1.0 / (cv * cv);
    let known = (mean, mean * mean * cv * cv, tail);
    law(name, Dist::gamma_mean_cv(mean, cv), move |x| gamma_lower(shape, x / mean * shape), known)
}

/// Erlang: not fewer than `k` events of a Poisson process up to `x`.
fn erlang(name: &'static str, k: u32, mean: f64) -> Law {
    let cdf = move |x: f64| {
        if x <= 0.0 {
            return 0.0;
        }
        let events = x / mean * f64::from(k);
        let (mut term, mut fewer) = (libm::exp(-events), 0.0);
        for i in 0..k {
            fewer += term;
            term *= events / f64::from(i + 1);
        }
        1.0 - fewer
    };
    law(name, Dist::erlang(k, mean), cdf, (mean, mean * mean / f64::from(k), Light))
}

fn weibull(name: &'static str, shape: f64, scale: f64, tail: Tail) -> Law {
    let cdf = move |x: f64| if x <= 0.0 { 0.0 } else { 1.0 - libm::exp(-libm::pow(x / scale, shape)) };
    let mean = scale * gamma(1.0 + 1.0 / shape);
    let variance = scale * scale * (gamma(1.0 + 2.0 / shape) - gamma(1.0 + 1.0 / shape).powi(2));
    law(name, Dist::weibull_shape_scale(shape, scale), cdf, (mean, variance, tail))
}

fn pareto(name: &'static str, shape: f64, min: f64, tail: Tail) -> Law {
    let cdf = move |x: f64| if x <= min { 0.0 } else { 1.0 - libm::pow(min / x, shape) };
    let mean = if shape > 1.0 { shape * min / (shape - 1.0) } else { f64::INFINITY };
    let variance =
        if shape > 2.0 { min * min * shape / (shape - 1.0).powi(2) / (shape - 2.0) } else { f64::INFINITY };
    law(name, Dist::pareto(shape, min, None), cdf, (mean, variance, tail))
}

/// Pareto with an end; the moments are integrals of `x^k` times the density, by Simpson's rule on the logarithm.
fn bounded_pareto(name: &'static str, shape: f64, min: f64, max: f64, tail: Tail) -> Law {
    let whole = 1.0 - libm::pow(min / max, shape);
    let cdf = move |x: f64| {
        if x <= min {
            0.0
        } else if x >= max {
            1.0
        } else {
            (1.0 - libm::pow(min / x, shape)) / whole
        }
    };
    let (from, to, pieces) = (libm::log(min), libm::log(max), 20_000);
    let width = (to - from) / f64::from(pieces);
    let moment = |f: &dyn Fn(f64) -> f64| {
        let at = |i: u32| {
            let x = libm::exp(from + width * f64::from(i));
            // density dx = shape min^shape x^-(shape + 1) / whole dx, and dx = x d(log x)
            f(x) * shape * libm::pow(min / x, shape) / whole
        };
        let middle: f64 = (1..pieces).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (at(0) + middle + at(pieces)) * width / 3.0
    };
    let mean = moment(&|x| x);
    let variance = moment(&|x| (x - mean).powi(2));
    law(name, Dist::pareto(shape, min, Some(max)), cdf, (mean, variance, tail))
}

/// Exponential parts, by weights that add up to 1.
fn hyper<E: std::fmt::Debug>(
    name: &'static str,
    dist: Result<Dist, E>,
    parts: &'static [(f64, f64)],
    tail: Tail,
) -> Law {
    let mean: f64 = parts.iter().map(|(w, m)| w * m).sum();
    let square: f64 = parts.iter().map(|(w, m)| w * 2.0 * m * m).sum();
    let cdf = move |x: f64| parts.iter().map(|(w, m)| w * exponential_cdf(*m)(x)).sum();
    law(name, dist, cdf, (mean, square - mean * mean, tail))
}

/// The parts of a hyper-exponential law by mean and cv with balanced means (Tijms, "A First Course in Stochastic
/// Models", appendix B): weights `(1 +- sqrt((c^2 - 1) / (c^2 + 1))) / 2`, means `mean / (2 weight)`.
fn balanced(name: &'static str, mean: f64, cv: f64, tail: Tail) -> Law {
    let part = 0.5 * (1.0 + ((cv * cv - 1.0) / (cv * cv + 1.0)).sqrt());
    let cdf = move |x: f64| {
        part * exponential_cdf(mean / (2.0 * part))(x)
            + (1.0 - part) * exponential_cdf(mean / (2.0 * (1.0 - part)))(x)
    };
    law(name, Dist::hyper_exponential_mean_cv(mean, cv), cdf, (mean, mean * mean * cv * cv, tail))
}

fn samples(name: &'static str, values: Vec<f64>) -> Law {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let dist = Dist::empirical_samples(values.clone());
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    let again = sorted.clone();
    law(name, dist, move |x| sorted.partition_point(|v| *v <= x) as f64 / n, (mean, variance, Light))
        .below(move |x| again.partition_point(|v| *v < x) as f64 / n)
}

/// Quantiles with straight lines between, of which the second piece is an atom: 40 % are exactly 20 ms.
fn quantiles() -> Law {
    let points = vec![(0.0, 0.010), (0.5, 0.020), (0.9, 0.020), (1.0, 0.5)];
    let cdf = |atom: f64| {
        move |x: f64| match x {
            x if x < 0.010 => 0.0,
            x if x < 0.020 => 0.5 * (x - 0.010) / 0.010,
            0.020 => atom,
            x if x < 0.5 => 0.9 + 0.1 * (x - 0.020) / 0.480,
            _ => 1.0,
        }
    };
    let mean = 0.5 * 0.015 + 0.4 * 0.020 + 0.1 * 0.26;
    let square = |a: f64, b: f64| (a * a + a * b + b * b) / 3.0;
    let second = 0.5 * square(0.010, 0.020) + 0.4 * 0.020 * 0.020 + 0.1 * square(0.020, 0.5);
    law("quantiles", Dist::empirical_quantiles(points), cdf(0.9), (mean, second - mean * mean, Light))
        .below(cdf(0.5))
}

fn mixture_with_an_atom() -> Law {
    let (mu, sigma) = (libm::log(0.001), 0.5);
    let p99 = libm::exp(mu + sigma * Normal::standard().inverse_cdf(0.99));
    let dist = Dist::mixture(vec![
        (6.0, Dist::log_normal_median_p99(0.001, p99).unwrap()),
        (3.0, Dist::constant(0.004).unwrap()),
        (1.0, Dist::gamma_mean_cv(0.05, 0.5).unwrap()),
    ]);
    let smooth = move |x: f64| 0.6 * log_normal_cdf(mu, sigma)(x) + 0.1 * gamma_lower(4.0, x / 0.05 * 4.0);
    let (m, v, _) = log_normal_moments(mu, sigma, Light);
    let mean = 0.6 * m + 0.3 * 0.004 + 0.1 * 0.05;
    let second = 0.6 * (v + m * m) + 0.3 * 0.004 * 0.004 + 0.1 * 1.25 * 0.05 * 0.05;
    law(
        "mixture with an atom",
        dist,
        move |x| smooth(x) + 0.3 * step(0.004)(x),
        (mean, second - mean * mean, Light),
    )
    .below(move |x| smooth(x) + 0.3 * step_below(0.004)(x))
}

fn rare_mixture() -> Law {
    // One in ten thousand takes 10 to 20 s, others a hyper-exponential time: a mixture within a mixture.
    let inner = Dist::hyper_exponential(&[3.0, 1.0], &[0.01, 0.09]).unwrap();
    let dist = Dist::mixture(vec![(1.0, Dist::uniform(10.0, 20.0).unwrap()), (9_999.0, inner)]);
    let hyper = |x: f64| 0.75 * exponential_cdf(0.01)(x) + 0.25 * exponential_cdf(0.09)(x);
    let cdf = move |x: f64| 1e-4 * ((x - 10.0) / 10.0).clamp(0.0, 1.0) + 0.9999 * hyper(x);
    let mean = 1e-4 * 15.0 + 0.9999 * 0.03;
    let second = 1e-4 * 700.0 / 3.0 + 0.9999 * 2.0 * (0.75 * 0.0001 + 0.25 * 0.0081);
    law("rare mixture", dist, cdf, (mean, second - mean * mean, Heavy))
}

fn simple_laws() -> Vec<Law> {
    vec![
        law("constant", Dist::constant(0.25), step(0.25), (0.25, 0.0, Light)).below(step_below(0.25)),
        law("constant zero", Dist::constant(0.0), step(0.0), (0.0, 0.0, Light)).below(step_below(0.0)),
        exponential("exponential", 0.002),
        exponential("exponential, a microsecond", 1e-6),
        exponential("exponential, a day", 86_400.0),
        uniform("uniform", 0.5, 2.0),
        uniform("uniform from zero", 0.0, 3_600.0),
        uniform("uniform, narrow", 1.0, 1.000_001),
        normal("normal", 0.1, 0.01),
        normal("normal, cut", 0.01, 0.05),
        normal("normal, half", 0.0, 1.0),
        normal("normal, narrow", 1.0, 1e-6),
        normal("normal, nearly half", 0.001, 10.0),
    ]
}

fn log_normal_and_weibull_laws() -> Vec<Law> {
    let z99 = Normal::standard().inverse_cdf(0.99);
    let by = |median: f64, p99: f64| (libm::log(median), libm::log(p99 / median) / z99);
    let (m1, s1) = by(0.09, 0.4);
    let (m2, s2) = by(0.001, 1.0);
    let narrow = libm::log(1.0 + 1e-4).sqrt();
    let wide = libm::log(1.0 + 25.0).sqrt();
    // p99 as far above the mean as it can be: exp(z^2 / 2) times, where sigma is z.
    let farthest = libm::exp(z99 * z99 / 2.0) * (1.0 - 1e-5);
    let sigma = z99 - (z99 * z99 - 2.0 * libm::log(farthest)).sqrt();
    let mu = -sigma * sigma / 2.0;
    let third = libm::log(1.0 + 0.09).sqrt();
    vec![
        law(
            "log-normal, median and p99",
            Dist::log_normal_median_p99(0.09, 0.4),
            log_normal_cdf(m1, s1),
            log_normal_moments(m1, s1, Light),
        ),
        law(
            "log-normal, p99 a thousand times the median",
            Dist::log_normal_median_p99(0.001, 1.0),
            log_normal_cdf(m2, s2),
            log_normal_moments(m2, s2, Wild),
        ),
        law(
            "log-normal, cv 1 %",
            Dist::log_normal_mean_cv(1.0, 0.01),
            log_normal_cdf(-narrow * narrow / 2.0, narrow),
            log_normal_moments(-narrow * narrow / 2.0, narrow, Light),
        ),
        law(
            "log-normal, cv 5",
            Dist::log_normal_mean_cv(2.0, 5.0),
            log_normal_cdf(libm::log(2.0) - wide * wide / 2.0, wide),
            log_normal_moments(libm::log(2.0) - wide * wide / 2.0, wide, Heavy),
        ),
        law(
            "log-normal, median and cv",
            Dist::log_normal_median_cv(0.01, 0.3),
            log_normal_cdf(libm::log(0.01), third),
            log_normal_moments(libm::log(0.01), third, Light),
        ),
        law(
            "log-normal, p99 as far as can be",
            Dist::log_normal_mean_p99(1.0, farthest),
            log_normal_cdf(mu, sigma),
            log_normal_moments(mu, sigma, Wild),
        ),
        weibull("weibull, shape 0.7", 0.7, 3_600.0, Light),
        weibull("weibull, shape 2", 2.0, 10.0, Light),
        weibull("weibull, shape 0.3", 0.3, 0.001, Heavy),
        weibull("weibull, shape 30", 30.0, 1.0, Light),
        law(
            "weibull, by mean",
            Dist::weibull_shape_mean(0.5, 2.0),
            |x| if x <= 0.0 { 0.0 } else { 1.0 - libm::exp(-x.sqrt()) },
            (2.0, 20.0, Heavy),
        ),
    ]
}

fn gamma_laws() -> Vec<Law> {
    vec![
        gamma_law("gamma, shape 0.01", 1.0, 10.0, Heavy),
        gamma_law("gamma, shape 0.25", 0.05, 2.0, Light),
        gamma_law("gamma, shape 1", 3.0, 1.0, Light),
        gamma_law("gamma, shape 1.7", 0.1, 1.0 / 1.7_f64.sqrt(), Light),
        gamma_law("gamma, shape 4", 0.05, 0.5, Light),
        gamma_law("gamma, shape 2,500", 1.0, 0.02, Light),
        erlang("erlang, 1 stage", 1, 3.0),
        erlang("erlang, 5 stages", 5, 0.02),
        erlang("erlang, 100 stages", 100, 60.0),
    ]
}

fn pareto_laws() -> Vec<Law> {
    vec![
        pareto("pareto, shape 10", 10.0, 0.01, Light),
        pareto("pareto, shape 3", 3.0, 1.0, Heavy),
        pareto("pareto, shape 1.2", 1.2, 0.01, Wild),
        pareto("pareto, shape 0.5", 0.5, 0.01, Wild),
        bounded_pareto("pareto with an end, shape 1", 1.0, 0.01, 10.0, Light),
        bounded_pareto("pareto with an end, shape 2", 2.0, 1.0, 5.0, Light),
        bounded_pareto("pareto with an end, shape 0.01", 0.01, 1.0, 1e6, Light),
        bounded_pareto("pareto with an end, narrow", 20.0, 1.0, 1.01, Light),
        hyper(
            "hyper-exponential",
            Dist::hyper_exponential(&[9.0, 1.0], &[0.01, 0.2]),
            &[(0.9, 0.01), (0.1, 0.2)],
            Light,
        ),
        hyper(
            "hyper-exponential, four parts",
            Dist::hyper_exponential(&[0.5, 0.0, 0.3, 0.2], &[1.0, 7.0, 2.0, 1e-3]),
            &[(0.5, 1.0), (0.3, 2.0), (0.2, 1e-3)],
            Light,
        ),
        balanced("hyper-exponential, cv 3", 0.1, 3.0, Light),
        balanced("hyper-exponential, cv 30", 1.0, 30.0, Heavy),
    ]
}

fn composed_laws() -> Vec<Law> {
    let nested = Dist::shifted(2.0, Dist::scaled(0.5, Dist::constant(8.0).unwrap()).unwrap()).unwrap();
    let recorded: Vec<f64> = (0..1_000).map(|i| f64::from(i * 7_919 % 1_000) / 500.0).collect();
    vec![
        samples("samples with ties", vec![0.004, 0.001, 0.001, 0.25, 0.001, 0.004, 0.1]),
        samples("one sample", vec![0.03]),
        samples("a thousand samples", recorded),
        quantiles(),
        mixture_with_an_atom(),
        rare_mixture(),
        law(
            "shifted",
            Dist::shifted(0.01, Dist::exponential(0.002).unwrap()),
            |x| exponential_cdf(0.002)(x - 0.01),
            (0.012, 4e-6, Light),
        ),
        law("shifted and scaled constant", Dist::scaled(3.0, nested), step(18.0), (18.0, 0.0, Light))
            .below(step_below(18.0)),
        law(
            "scaled",
            Dist::scaled(
                1_000.0,
                Dist::shifted(1e-3, Dist::weibull_shape_scale(2.0, 1e-3).unwrap()).unwrap(),
            ),
            |x| if x <= 1.0 { 0.0 } else { 1.0 - libm::exp(-(x - 1.0) * (x - 1.0)) },
            (1.0 + gamma(1.5), 1.0 - gamma(1.5).powi(2), Light),
        ),
    ]
}

/// The kind of a distribution: a new one does not compile before it stands here, and is missed until it is tested.
fn kind(dist: &Dist) -> usize {
    match dist {
        Dist::Constant(_) => 0,
        Dist::Exponential { .. } => 1,
        Dist::Uniform { .. } => 2,
        Dist::Normal { .. } => 3,
        Dist::LogNormal { .. } => 4,
        Dist::Gamma { .. } => 5,
        Dist::Erlang { .. } => 6,
        Dist::Weibull { .. } => 7,
        Dist::Pareto { max: None, .. } => 8,
        Dist::Pareto { max: Some(_), .. } => 9,
        Dist::HyperExponential { .. } => 10,
        Dist::Samples(_) => 11,
        Dist::Quantiles(_) => 12,
        Dist::Mixture(_) => 13,
        Dist::Shifted { .. } => 14,
        Dist::Scaled { .. } => 15,
    }
}

fn all_laws() -> impl Iterator<Item = Law> {
    let parts = [simple_laws, log_normal_and_weibull_laws, gamma_laws, pareto_laws, composed_laws];
    parts.into_iter().flat_map(|part| part())
}

#[test]
fn no_kind_of_distribution_is_forgotten() {
    let kinds: BTreeSet<usize> = all_laws().map(|l| kind(&l.dist)).collect();
    assert_eq!(kinds, (0..=15).collect());
    let names: BTreeSet<&str> = all_laws().map(|l| l.name).collect();
    assert_eq!(names.len(), all_laws().count(), "every law has a name of its own");
    // Five checks of each, and fewer than 180 others.
    assert!((5 * names.len() + 180) as f64 <= CHECKS);
}

/// The smallest number for which a rising function reaches `p`.
fn inverse(cdf: &dyn Fn(f64) -> f64, p: f64) -> f64 {
    let (mut low, mut high) = (0, 1e300_f64.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if cdf(f64::from_bits(middle)) >= p { high = middle } else { low = middle + 1 }
    }
    f64::from_bits(low)
}

fn draws(dist: &Dist, name: &str) -> Vec<f64> {
    let mut rng = Streams::new(20_260, 0).stream("samplers", name);
    (0..N).map(|_| dist.sample(&mut rng)).collect()
}

/// Distance, moments and tails of a million draws.
fn check_draws(laws: Vec<Law>) {
    for law in laws {
        let Law { name, dist, upto, below, mean, variance, tail } = law;
        let mut values = draws(&dist, name);
        let n = N as f64;

        // Sums of sums, so that rounding does not add up.
        let average = |of: &dyn Fn(&f64) -> f64| -> f64 {
            values.chunks(1_000).map(|chunk| chunk.iter().map(of).sum::<f64>()).sum::<f64>() / n
        };
        let got = average(&|v| *v);
        let moment = |k: i32| average(&|v| (v - mean).powi(k));
        // The slack is for rounding in sums, where the law does not vary.
        if tail != Wild {
            assert_within(&format!("{name}: mean"), got, mean, (variance / n).sqrt() + 1e-12 * mean);
        }
        if tail == Light {
            let (second, fourth) = (moment(2), moment(4));
            let error = ((fourth - second * second).max(0.0) / n).sqrt();
            assert_within(&format!("{name}: variance"), second, variance, error + 1e-12 * mean * mean);
        }

        let distance = ks(&mut values, &*upto, &*below);
        assert!(distance < ks_limit(), "{name}: distance {distance} / sqrt(n)");

        for p in [1e-4, 0.9999] {
            let x = inverse(&*upto, p);
            let beyond = n as usize - values.partition_point(|v| *v <= x);
            assert_binomial(&format!("{name}: beyond {x}"), beyond as u64, N as u64, 1.0 - upto(x));
        }
    }
}

#[test]
fn simple_laws_are_drawn_right() {
    check_draws(simple_laws());
}

#[test]
fn log_normal_and_weibull_laws_are_drawn_right() {
    check_draws(log_normal_and_weibull_laws());
}

#[test]
fn gamma_laws_are_drawn_right() {
    check_draws(gamma_laws());
}

#[test]
fn pareto_and_hyper_exponential_laws_are_drawn_right() {
    check_draws(pareto_laws());
}

#[test]
fn composed_laws_are_drawn_right() {
    check_draws(composed_laws());
}

/// The crate's own functions against the same formulas, on a grid that reaches into both tails.
#[test]
fn functions_of_distributions_agree_with_the_textbooks() {
    for law in all_laws() {
        let Law { name, dist, upto, below, mean, variance, .. } = law;
        let near = |what: &str, got: f64, expected: f64, relative: f64| {
            let same = got == expected || (got - expected).abs() <= relative * expected.abs();
            assert!(same, "{name}: {what} is {got:e} and not {expected:e}");
        };
        near("mean", dist.mean(), mean, 1e-9);
        // Where a law hardly varies its variance is the small difference of large numbers, here and there.
        let spread = if variance == f64::INFINITY { 0.0 } else { mean * mean / variance.max(1e-300) };
        near("variance", dist.variance(), variance, 1e-9 + 1e-14 * spread);

        let grid = [1e-9, 1e-6, 1e-3, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0 - 1e-6, 1.0 - 1e-9];
        for p in grid {
            if upto(1e-300) > p {
                continue; // a gamma law of a small shape: no number is small enough
            }
            let x = dist.quantile(p);
            // Beside an atom or at a corner the quantile may lie one rounding off.
            let (left, right) = (x * (1.0 - 1e-12), x * (1.0 + 1e-12));
            assert!(
                below(left) - 1e-11 <= p && p <= upto(right) + 1e-11,
                "{name}: quantile {p} is {x:e}, where the probability is {} to {}",
                below(left),
                upto(right)
            );
            for x in [x.next_down(), x, x.next_up(), 0.9 * x, 1.1 * x] {
                let off = dist.cdf(x) - upto(x);
                assert!(off.abs() < 2e-11, "{name}: cdf({x:e}) is {} and not {}", dist.cdf(x), upto(x));
            }
        }
        assert_eq!(dist.cdf(-1e-9), 0.0, "{name}");
    }
}

/// The shares of recorded values, one by one: Kolmogorov and Smirnov see sums only.
#[test]
fn recorded_values_have_their_shares() {
    let dist = Dist::empirical_samples(vec![0.5, 0.001, 0.001, 0.02, 0.5, 0.001, 3.0]).unwrap();
    let (values, shares) = ([0.001, 0.02, 0.5, 3.0], [3.0, 1.0, 2.0, 1.0]);
    let mut counts = [0; 4];
    for value in draws(&dist, "shares") {
        counts[values.iter().position(|v| *v == value).unwrap()] += 1;
    }
    assert_fits("recorded values", &counts, |i| shares[i] / 7.0 * N as f64, 3);
}

/// What must be refused is: a law whose mean is 1 % off, a cut that is forgotten, an atom that is a little too heavy.
#[test]
fn wrong_laws_are_noticed() {
    let refused = |dist: Dist, upto: &dyn Fn(f64) -> f64, below: &dyn Fn(f64) -> f64| {
        ks(&mut draws(&dist, "wrong"), upto, below) > ks_limit()
    };
    let dist = Dist::exponential(1.0).unwrap();
    assert!(!refused(dist.clone(), &exponential_cdf(1.0), &exponential_cdf(1.0)));
    assert!(refused(dist, &exponential_cdf(1.01), &exponential_cdf(1.01)));
    // The uncut normal law has half of its weight where there are no times.
    let uncut = |x: f64| phi((x - 0.1) / 0.05);
    assert!(refused(Dist::normal(0.1, 0.05).unwrap(), &uncut, &uncut));
    let atom =
        Dist::mixture(vec![(0.3, Dist::constant(1.0).unwrap()), (0.7, Dist::uniform(0.0, 2.0).unwrap())]);
    let heavier = |x: f64| 0.69 * x / 2.0 + 0.31 * step(1.0)(x);
    let heavier_below = |x: f64| 0.69 * x / 2.0 + 0.31 * step_below(1.0)(x);
    assert!(refused(atom.unwrap(), &heavier, &heavier_below));
    let mut die = [0; 6];
    let mut rng = Rng::from_seed(6);
    (0..N).for_each(|_| die[rng.below(6) as usize] += 1);
    let loaded = |i: usize| N as f64 * if i == 0 { 1.03 / 6.03 } else { 1.0 / 6.03 };
    assert!(chi_squared_p(pearson(&die, loaded), 5) < ALPHA, "a die that is loaded by 3 %");
}

/// What people write becomes the law that they mean.
#[test]
fn the_language_means_what_it_says() {
    let z99 = Normal::standard().inverse_cdf(0.99);
    // Text, mean, and a point with its probability.
    let table: &[(&str, f64, f64, f64)] = &[
        ("\"250ms\"", 0.25, 0.25, 1.0),
        ("Constant(\"1.5s\")", 1.5, 1.5, 1.0),
        ("Exponential(\"2ms\")", 0.002, 0.002, 1.0 - libm::exp(-1.0)),
        ("Uniform(min: \"1s\", max: \"3s\")", 2.0, 1.5, 0.25),
        ("Normal(mean: \"0s\", sd: \"1s\")", (2.0 / std::f64::consts::PI).sqrt(), 1.0, 2.0 * phi(1.0) - 1.0),
        ("LogNormal(median: \"90ms\", p99: \"400ms\")", f64::NAN, 0.4, 0.99),
        ("LogNormal(mean: \"1s\", cv: 0.5)", 1.0, 1.0 / 1.25_f64.sqrt(), 0.5),
        ("LogNormal(mean: \"100ms\", p99: \"500ms\")", 0.1, 0.5, 0.99),
        ("Gamma(mean: \"10ms\", cv: 0.5)", 0.01, 0.01, gamma_lower(4.0, 4.0)),
        ("Erlang(k: 3, mean: \"3s\")", 3.0, 3.0, gamma_lower(3.0, 3.0)),
        ("Weibull(shape: 2, scale: \"10s\")", 10.0 * gamma(1.5), 10.0, 1.0 - libm::exp(-1.0)),
        ("Weibull(shape: 0.5, mean: \"2s\")", 2.0, 1.0, 1.0 - libm::exp(-1.0)),
        ("Pareto(shape: 2, min: \"1s\")", 2.0, 2.0, 0.75),
        ("Pareto(shape: 1, min: \"1s\", max: \"2s\")", 2.0 * libm::log(2.0), 4.0 / 3.0, 0.5),
        (
            "HyperExponential(branches: [Branch(9, \"10ms\"), Branch(1, \"200ms\")])",
            0.029,
            0.2,
            0.9 * (1.0 - libm::exp(-20.0)) + 0.1 * (1.0 - libm::exp(-1.0)),
        ),
        ("HyperExponential(mean: \"100ms\", cv: 2)", 0.1, 0.0, 0.0),
        ("Empirical(samples: [\"1s\", \"2s\", \"2s\", \"5s\"])", 2.5, 2.0, 0.75),
        (
            "Empirical(quantiles: [Quantile(0, \"1s\"), Quantile(\"50%\", \"2s\"), Quantile(1, \"4s\")])",
            2.25,
            3.0,
            0.75,
        ),
        ("Empirical(file: \"samples.csv\")", 2.0, 1.0, 0.5),
        ("Empirical(quantile_file: \"quantiles.csv\")", 2.0, 2.0, 0.5),
        (
            "Mixture([Part(1, \"1s\"), Part(3, Exponential(\"2s\"))])",
            1.75,
            1.0,
            0.25 + 0.75 * (1.0 - libm::exp(-0.5)),
        ),
        ("Shifted(by: \"1s\", of: Exponential(\"1s\"))", 2.0, 2.0, 1.0 - libm::exp(-1.0)),
        ("Scaled(by: 3, of: Uniform(\"0s\", \"1s\"))", 1.5, 1.0, 1.0 / 3.0),
    ];
    assert!(z99 > 2.3);
    let mut kinds = BTreeSet::new();
    for (text, mean, x, p) in table {
        let files = Files::new(
            &format!(
                "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Renewal({text}),
                    requests: {{ \"x/e\": 1 }}) }}, \
                 externals: {{ \"x\": External(latency: \"1ms\") }})"
            ),
            None,
        );
        files.write("samples.csv", "1\n3\n");
        files.write("quantiles.csv", "0,1\n1,3\n");
        let plan = files.plan();
        let epoch = &plan.variants[0].model.epochs[0];
        let brownout::model::Arrivals::Renewal(dist) = &epoch.clients[0].arrivals else { panic!("{text}") };
        kinds.insert(kind(dist));
        let off = (dist.mean() - mean).abs() / dist.mean();
        assert!(mean.is_nan() || off < 1e-9, "{text}: mean {} and not {mean}", dist.mean());
        assert!((dist.cdf(*x) - p).abs() < 1e-9, "{text}: {} and not {p} at {x}", dist.cdf(*x));
    }
    assert_eq!(kinds, (0..=15).collect(), "every kind can be written");
}

// ---- discrete draws ----

#[test]
fn whole_numbers_are_uniform() {
    let mut rng = Streams::new(20_260, 0).stream("samplers", "whole numbers");
    for n in [1, 2, 3, 6, 10, 97, 1_000] {
        let mut counts = vec![0; n];
        (0..N).for_each(|_| counts[rng.below(n as u64) as usize] += 1);
        if n == 1 {
            assert_eq!(counts, [N as u64]);
            continue;
        }
        assert_fits(&format!("below {n}"), &counts, |_| N as f64 / n as f64, n - 1);
    }
    // Numbers too large to be counted: in which of 64 equal parts they lie, and their last bits.
    let large = 3 * (1u64 << 62);
    let (mut parts, mut ends) = ([0; 64], [0; 16]);
    for _ in 0..N {
        let x = rng.below(large);
        parts[(u128::from(x) * 64 / u128::from(large)) as usize] += 1;
        ends[(x % 16) as usize] += 1;
    }
    assert_fits("parts of a large range", &parts, |_| N as f64 / 64.0, 63);
    assert_fits("ends in a large range", &ends, |_| N as f64 / 16.0, 15);
}

#[test]
fn chances_are_kept() {
    let mut rng = Streams::new(20_260, 0).stream("samplers", "chances");
    for p in [0.0, 1e-6, 0.001, 0.3, 0.5, 0.999, 1.0] {
        let hits = (0..N).filter(|_| rng.chance(p)).count();
        assert_binomial(&format!("chance {p}"), hits as u64, N as u64, p);
    }
}

/// Arrivals of one population: when, and what was asked for.
struct Watch {
    gauge: u32,
    requests: u32,
    tenants: u32,
    ends: u32,
    at: Vec<u64>,
    asked: Vec<u8>,
    tenant: Vec<u8>,
    outcomes: [u64; brownout::base::Outcome::COUNT],
    last: (u8, u8),
}

impl Observer for Watch {
    fn arrival(&mut self, red: u32) {
        if (self.requests..self.tenants).contains(&red) {
            self.last.0 = (red - self.requests) as u8;
        } else if (self.tenants..self.ends).contains(&red) {
            self.last.1 = (red - self.tenants) as u8;
        }
    }
    fn outcome(&mut self, red: u32, outcome: brownout::base::Outcome, _: brownout::base::SimDuration) {
        if red == self.requests {
            self.outcomes[outcome as usize] += 1;
        }
    }
    fn moved(&mut self, now: brownout::base::SimTime, gauge: u32, delta: i64) {
        if gauge == self.gauge && delta == 1 {
            self.at.push(now.ns());
            self.asked.push(self.last.0);
            self.tenant.push(self.last.1);
        }
    }
}

/// Plays run `run` of a population whose requests are answered after `latency`.
fn watch(client: &str, latency: &str, experiment: &str, run: u64) -> Watch {
    let topology = format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients({client}) }}, \
         externals: {{ \"x\": External(latency: {latency}) }})"
    );
    let files = Files::new(&topology, Some(&support::whole_experiment(experiment)));
    files.write("rates.csv", "0,500\n100,500\n200,2000\n300,0\n400,0\n");
    files.write("times.csv", "0.5\n0.5\n1.25\n7.000000001\n19.5\n");
    watch_plan(&files.plan(), run)
}

fn watch_plan(plan: &brownout::experiment::Plan, run: u64) -> Watch {
    let variant = &plan.variants[0];
    let (meters, shape) = (variant.model.catalog.clients[0], &variant.model.clients[0]);
    let watch = Watch {
        gauge: meters.in_flight,
        requests: meters.requests,
        tenants: meters.requests + shape.requests.len() as u32,
        ends: meters.requests + (shape.requests.len() + shape.tenants.len()) as u32,
        at: Vec::new(),
        asked: Vec::new(),
        tenant: Vec::new(),
        outcomes: Default::default(),
        last: (0, 0),
    };
    if !shape.tenants.is_empty() {
        assert_eq!(meters.tenants, watch.tenants, "tenants are counted right after requests");
    }
    World::new(&variant.model, &variant.script, plan.seed, run, watch).run().1
}

/// An open population that asks for one thing.
fn open(arrivals: &str, seconds: u64, run: u64) -> Vec<u64> {
    watch(
        &format!("arrivals: {arrivals}, requests: {{ \"x/e\": 1 }}"),
        "\"0s\"",
        &format!("duration: \"{seconds}s\""),
        run,
    )
    .at
}

#[test]
fn requests_and_tenants_have_their_shares() {
    let played = watch(
        "arrivals: Poisson(\"1000/s\"), requests: { \"x/a\": 0.7, \"x/b\": 0.2, \"x/c\": 0.0999, \"x/d\": 0.0001 }, \
         tenants: { \"large\": Tenant(share: 5), \"small\": Tenant(share: 1) }",
        "\"0s\"",
        "duration: \"500s\"",
        0,
    );
    let (shares, n) = ([0.7, 0.2, 0.0999, 0.0001], played.asked.len());
    let mut counts = [0; 4];
    played.asked.iter().for_each(|k| counts[usize::from(*k)] += 1);
    assert_fits("requests", &counts, |i| shares[i] * n as f64, 3);
    let small = played.tenant.iter().filter(|t| **t == 1).count();
    assert_binomial("the small tenant", small as u64, n as u64, 1.0 / 6.0);
    // One says nothing about the next, and the request nothing about the tenant.
    let (mut pairs, mut both) = ([0; 9], [0; 6]);
    for i in (1..n).filter(|i| played.asked[*i] < 3) {
        both[usize::from(played.asked[i] * 2 + played.tenant[i])] += 1;
        if played.asked[i - 1] < 3 {
            pairs[usize::from(played.asked[i - 1] * 3 + played.asked[i])] += 1;
        }
    }
    let all: u64 = pairs.iter().sum();
    assert_fits("pairs", &pairs, |i| shares[i / 3] * shares[i % 3] / 0.9999_f64.powi(2) * all as f64, 8);
    let all: u64 = both.iter().sum();
    let tenant = [5.0 / 6.0, 1.0 / 6.0];
    assert_fits("requests of tenants", &both, |i| shares[i / 2] / 0.9999 * tenant[i % 2] * all as f64, 5);
}

#[test]
fn steps_that_fail_and_choose_do_so_as_often_as_they_say() {
    let topology = "Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Poisson(\"1000/s\"),
        requests: { \"s/e\": 1 }) },
        services: { \"s\": Service(endpoints: { \"e\": [
            Choose([Way(3, [Call(\"x/a\")]), Way(2, [Call(\"x/b\")]), Way(5, [])]), Fail(\"2%\"),
        ] }) },
        externals: { \"x\": External(latency: \"0s\", endpoints: {
            \"a\": ExternalEndpoint(latency: \"0s\", error_ratio: \"10%\"),
                \"b\": ExternalEndpoint(latency: \"0s\") }) })";
    let run = support::experiment(topology, "duration: \"300s\"");
    let n = run.played.summary.tallies[0].sent;
    let seconds = 300.0;
    let count = |path: &str| (run.value(path) * seconds).round() as u64;
    assert_binomial("the first way", count("externals.x.endpoints.a.rate"), n, 0.3);
    assert_binomial("the second way", count("externals.x.endpoints.b.rate"), n, 0.2);
    let errors = run.played.summary.tallies[0].ended[brownout::base::Outcome::Error as usize];
    assert_binomial("errors", errors, n, 1.0 - (1.0 - 0.3 * 0.1) * 0.98);
}

/// Attempts of one call fail independently of each other, also where one retry stands around another: with two of two
/// attempts each, a call fails if four attempts fail.
#[test]
fn attempts_fail_independently() {
    let system = |retries: &str| {
        format!(
            "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Poisson(\"1000/s\"),
                requests: {{ \"x/a\": 1 }}, \
             through: \"p\") }}, externals: {{ \"x\": External(latency: \"1ms\", error_ratio: \"50%\") }}, \
             policies: {{ \"p\": [{retries}] }})"
        )
    };
    for (retries, failed) in [
        ("", 0.5),
        ("Retry(max: 2)", 0.125),
        ("Retry(max: 1), Retry(max: 1)", 0.0625),
        ("Retry(max: 2), Timeout(\"1s\"), Retry(max: 1)", 1.0 / 64.0),
    ] {
        let run = support::experiment(&system(retries), "duration: \"300s\"");
        let tally = run.played.summary.tallies[0];
        let errors = tally.ended[brownout::base::Outcome::Error as usize];
        assert_binomial(&format!("errors with [{retries}]"), errors, tally.sent - tally.in_flight, failed);
    }
}

// ---- sources of requests ----

/// Events in each of the windows of `width_ns` between two instants.
fn counts(at: &[u64], from_ns: u64, to_ns: u64, width_ns: u64) -> Vec<u64> {
    let mut counts = vec![0; ((to_ns - from_ns) / width_ns) as usize];
    for t in at.iter().filter(|t| **t >= from_ns) {
        if let Some(count) = counts.get_mut(((t - from_ns) / width_ns) as usize) {
            *count += 1;
        }
    }
    counts
}

/// The index of dispersion of counts about a known mean.
fn dispersion(counts: &[u64], mean: f64) -> f64 {
    counts.iter().map(|c| (*c as f64 - mean).powi(2)).sum::<f64>() / counts.len() as f64 / mean
}

fn gaps(at: &[u64]) -> Vec<f64> {
    at.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect()
}

/// The correlation of each value with the next.
fn serial(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / variance
}

const S: u64 = 1_000_000_000;

/// Counts of a Poisson process have the variance of their mean, in windows of any size; distances are exponential and
/// know nothing of each other.
#[test]
fn poisson_requests_are_poisson() {
    let at = open("Poisson(\"500/s\")", 2_000, 0);
    assert_within("requests", at.len() as f64, 1e6, 1e3);
    for (width, windows) in [(S / 500, 1e6), (S / 50, 1e5), (S, 2_000.0), (10 * S, 200.0)] {
        let mean = 500.0 * width as f64 / S as f64;
        let index = dispersion(&counts(&at, 0, 2_000 * S, width), mean);
        // The fourth moment of a Poisson count makes the variance of the index (2 + 1 / mean) / windows.
        assert_within(
            &format!("dispersion over {width} ns"),
            index,
            1.0,
            ((2.0 + 1.0 / mean) / windows).sqrt(),
        );
    }
    let mut gaps = gaps(&at);
    assert_within("serial correlation", serial(&gaps), 0.0, 1e-3);
    let distance = ks(&mut gaps, &exponential_cdf(0.002), &exponential_cdf(0.002));
    assert!(distance < ks_limit(), "{distance}");
}

#[test]
fn regular_requests_do_not_disperse() {
    // 7/s has no whole number of nanoseconds between two requests: roundings must not add up.
    let at = open("Regular(\"7/s\")", 100_000, 0);
    assert_eq!(at.len(), 700_000);
    assert!(counts(&at, 0, 100_000 * S, S).iter().all(|c| *c == 7));
    assert!(counts(&at, 0, 100_000 * S, S / 7 * 3).iter().all(|c| (2..=4).contains(c)));
    assert_eq!(at[0], 71_428_571);
    let exact = |i: usize| (i as f64 + 0.5) / 7.0 * 1e9;
    assert!(at.iter().enumerate().all(|(i, t)| (*t as f64 - exact(i)).abs() <= 1.0));
}

/// The variance of a renewal process's counts is `cv^2 t / mean + 1/6 + cv^4 / 2 - skew / 3` and what vanishes, where
/// `skew` is the third central moment over the mean cubed (Cox, "Renewal Theory", 1962, section 4.5, in equilibrium).
#[test]
fn renewal_requests_disperse_as_their_intervals_do() {
    // Gamma of shape 4: skew 2 / 16. Hyper-exponential of two parts: from its moments.
    let parts = [(0.9, 0.001), (0.1, 0.011)];
    let moment = |k: i32, factorial: f64| {
        parts.iter().map(|(w, m): &(f64, f64)| w * factorial * m.powi(k)).sum::<f64>()
    };
    let (m1, m2, m3) = (moment(1, 1.0), moment(2, 2.0), moment(3, 6.0));
    let square = m2 / m1 / m1 - 1.0;
    let skew = (m3 - 3.0 * m1 * m2 + 2.0 * m1.powi(3)) / m1.powi(3);
    for (text, mean, square, skew) in [
        ("Gamma(mean: \"2ms\", cv: 0.5)", 0.002, 0.25, 0.125),
        ("Exponential(\"2ms\")", 0.002, 1.0, 2.0),
        ("HyperExponential(branches: [Branch(9, \"1ms\"), Branch(1, \"11ms\")])", m1, square, skew),
    ] {
        let at = open(&format!("Renewal({text})"), 2_000, 0);
        let all = gaps(&at);
        assert_within(
            &format!("{text}: serial correlation"),
            serial(&all),
            0.0,
            1.0 / (all.len() as f64).sqrt(),
        );
        let expected = all.len() as f64 * mean;
        let error = mean * (square * all.len() as f64).sqrt();
        assert_within(&format!("{text}: time for all"), all.iter().sum(), expected, error);
        let width = S / 2;
        let mean_count = 0.5 / mean;
        let got = dispersion(&counts(&at, 0, 2_000 * S, width), mean_count);
        let index = square + (1.0 / 6.0 + square * square / 2.0 - skew / 3.0) / mean_count;
        // 4,000 windows of 250 requests or so, whose counts are nearly normal.
        assert_within(&format!("{text}: dispersion"), got, index, index * (2.0_f64 / 4_000.0).sqrt());
    }
}

/// Two states: `I(t) = 1 + A (1 - (1 - e^(-rt)) / (rt))` with `A = 2 (l1 - l2)^2 r1 r2 / (r^2 (l1 r2 + l2 r1))`, where
/// `r = r1 + r2` (Heffes and Lucantoni, "A Markov Modulated Characterization of Packetized Voice and Data Traffic",
/// IEEE JSAC 4, 1986). The index of each of 40 parts of a run varies, and the standard error is taken from that.
#[test]
fn modulated_requests_disperse_as_theory_says() {
    let (l1, l2, r1, r2): (f64, f64, f64, f64) = (300.0, 40.0, 2.0, 0.5);
    let r: f64 = r1 + r2;
    let rate = (l1 * r2 + l2 * r1) / r;
    let a = 2.0 * (l1 - l2).powi(2) * r1 * r2 / (r * r * (l1 * r2 + l2 * r1));
    let at = open("Mmpp([MmppState(\"300/s\", \"500ms\"), MmppState(\"40/s\", \"2s\")])", 8_020, 0);
    // The first 20 seconds, which are 50 times 1 / r, are left out: the source begins in its first state.
    let from = 20 * S;
    for width in [S / 20, S / 2, 5 * S, 20 * S] {
        let t = width as f64 / S as f64;
        let all = counts(&at, from, 8_020 * S, width);
        let indices: Vec<f64> =
            all.chunks(all.len() / 40).take(40).map(|c| dispersion(c, rate * t)).collect();
        let mean = indices.iter().sum::<f64>() / 40.0;
        let variance = indices.iter().map(|i| (i - mean).powi(2)).sum::<f64>() / 39.0;
        let expected = 1.0 + a * (1.0 - (1.0 - libm::exp(-r * t)) / (r * t));
        let error = (variance / 40.0).sqrt();
        assert!(error < 0.1 * expected, "tells something: {error} of {expected}");
        assert_within(&format!("dispersion over {t} s"), mean, expected, error);
    }
    let n = at.iter().filter(|t| **t >= from).count() as f64;
    // The variance of the count over so long is that of the index at its end.
    assert_within("requests", n, rate * 8_000.0, (rate * 8_000.0 * (1.0 + a)).sqrt());
}

/// Counts in windows against the integral of the rate. Windows end where the rate jumps.
#[test]
fn changing_rates_are_followed() {
    // Name, population, timeline, and the integral of the rate from the start.
    type Integral = fn(f64) -> f64;
    let sine = |t: f64| {
        1_000.0
            * (t + 0.8 * 60.0 / std::f64::consts::TAU * (1.0 - libm::cos(std::f64::consts::TAU * t / 60.0)))
    };
    let table: &[(&str, &str, &str, Integral)] = &[
        (
            "ramp",
            "arrivals: Poisson(\"1000/s\"), profile: [Ramp(from: 0.2, to: 2, start: \"20s\", lasts: \"60s\")]",
            "",
            |t| {
                let u = (t - 20.0).clamp(0.0, 60.0);
                1_000.0 * (0.2 * t.min(20.0) + 0.2 * u + 1.8 * u * u / 120.0 + 2.0 * (t - 80.0).max(0.0))
            },
        ),
        (
            "diurnal",
            "arrivals: Poisson(\"1000/s\"), profile: [Diurnal(period: \"60s\", amplitude: 0.8)]",
            "",
            sine,
        ),
        (
            "steps",
            "arrivals: Poisson(\"1000/s\"), profile: [Steps([Point(\"30s\", 3), Point(\"31s\", 0),
                Point(\"70s\", 0.5)])]",
            "",
            |t| 1_000.0 * (t.min(30.0) + 3.0 * (t - 30.0).clamp(0.0, 1.0) + 0.5 * (t - 70.0).max(0.0)),
        ),
        (
            "spike",
            "arrivals: Poisson(\"1000/s\"), profile: [Spike(at: \"50s\", factor: 10, lasts: \"5s\")]",
            "",
            |t| 1_000.0 * (t + 9.0 * (t - 50.0).clamp(0.0, 5.0)),
        ),
        (
            "two factors",
            "arrivals: Poisson(\"1000/s\"), profile: [Spike(at: \"50s\", factor: 0.1, lasts: \"20s\"), \
            Piecewise([Point(\"0s\", 2), Point(\"100s\", 0)])]",
            "",
            |t| {
                let line = |t: f64| 2.0 * t - t * t / 100.0;
                1_000.0 * (line(t) - 0.9 * (line(t.clamp(50.0, 70.0)) - line(50.0)))
            },
        ),
        ("recorded rates", "arrivals: Rates(\"rates.csv\")", "", |t| 500.0 * t),
        (
            "a fault",
            "arrivals: Poisson(\"1000/s\")",
            "At(\"10s\", Spike(target: \"u\", factor: 3, lasts: \"25s\", name: \"one\")), At(\"20s\",
                Spike(target: \"u\", factor: 0.5, lasts: \"40s\", name: \"two\"))",
            |t| {
                let both = 1.5 * (t - 20.0).clamp(0.0, 15.0) + 0.5 * (t - 35.0).clamp(0.0, 25.0);
                1_000.0 * (t.min(10.0) + 3.0 * (t - 10.0).clamp(0.0, 10.0) + both + (t - 60.0).max(0.0))
            },
        ),
        (
            "an operator",
            "arrivals: Poisson(\"1000/s\"), profile: [Ramp(from: 1, to: 2, lasts: \"100s\")]",
            "At(\"40s\", Set(\"clients.u.arrivals\", Poisson(\"100/s\"))), At(\"60s\",
                Set(\"clients.u.arrivals.rate\", \"2000/s\"))",
            |t| {
                let line = |t: f64| t + t * t / 200.0;
                let part = |from: f64, to: f64| line(t.clamp(from, to)) - line(from);
                1_000.0 * part(0.0, 40.0) + 100.0 * part(40.0, 60.0) + 2_000.0 * part(60.0, 100.0)
            },
        ),
        // Bursts are Poisson again if their states do not differ.
        (
            "modulated",
            "arrivals: Mmpp([MmppState(\"1000/s\", \"1s\"), MmppState(\"1000/s\", \"100ms\")]), \
            profile: [Ramp(from: 1, to: 0, lasts: \"100s\")]",
            "",
            |t| 1_000.0 * (t - t * t / 200.0),
        ),
    ];
    for (name, client, timeline, integral) in table {
        let played = watch(
            &format!("{client}, requests: {{ \"x/e\": 1 }}"),
            "\"0s\"",
            &format!("duration: \"100s\", timeline: [{timeline}]"),
            0,
        );
        let got = counts(&played.at, 0, 100 * S, S / 2);
        let expected: Vec<f64> =
            (0..200).map(|i| integral(f64::from(i + 1) / 2.0) - integral(f64::from(i) / 2.0)).collect();
        let (mut observed, mut of) = (Vec::new(), Vec::new());
        for (o, e) in got.iter().zip(&expected) {
            if *e < 1e-9 {
                assert_eq!(*o, 0, "{name}: nothing comes where the rate is zero");
            } else if *e >= 5.0 {
                observed.push(*o);
                of.push(*e);
            }
        }
        assert_fits(name, &observed, |i| of[i], observed.len());
        // Windows of too few are left out above, not here.
        let (rest, all) = (played.at.len() as f64, integral(100.0));
        assert_within(&format!("{name}: all"), rest, all, all.sqrt());
    }
}

/// A recorded rate moves along straight lines, and a source that a rate of zero silenced comes back.
#[test]
fn recorded_rates_and_times_are_followed() {
    let played =
        watch("arrivals: Rates(\"rates.csv\"), requests: { \"x/e\": 1 }", "\"0s\"", "duration: \"400s\"", 0);
    let rate = |t: f64| match t {
        t if t < 100.0 => 500.0 * t,
        t if t < 200.0 => 50_000.0 + 500.0 * (t - 100.0) + 7.5 * (t - 100.0).powi(2),
        t if t < 300.0 => 175_000.0 + 2_000.0 * (t - 200.0) - 10.0 * (t - 200.0).powi(2),
        _ => 275_000.0,
    };
    let got = counts(&played.at, 0, 298 * S, 2 * S);
    assert_fits("rates", &got, |i| rate(2.0 * i as f64 + 2.0) - rate(2.0 * i as f64), got.len());
    assert!(played.at.iter().all(|t| *t < 300 * S));

    let played =
        watch("arrivals: Times(\"times.csv\"), requests: { \"x/e\": 1 }", "\"0s\"", "duration: \"20s\"", 0);
    assert_eq!(played.at, [500_000_000, 500_000_000, 1_250_000_000, 7_000_000_001, 19_500_000_000]);

    // Regular requests under a profile: the n-th comes when the integral of the rate is n - 1/2.
    let played = watch(
        "arrivals: Regular(\"100/s\"), profile: [Ramp(from: 0.5, to: 2.5, lasts: \"100s\")],
            requests: { \"x/e\": 1 }",
        "\"0s\"",
        "duration: \"100s\"",
        0,
    );
    let integral = |t: f64| 100.0 * (0.5 * t + 0.01 * t * t);
    assert!(played.at.len().abs_diff(15_000) <= 1, "{}", played.at.len());
    for (i, t) in played.at.iter().enumerate() {
        let off = integral(*t as f64 / 1e9) - (i as f64 + 0.5);
        assert!(off.abs() < 1e-3, "request {i} comes {off} of a distance late");
    }
}

/// Users ask at a rate of `N / (think + response)`: each is a renewal process, so that the variance of the count over
/// a time `t` is `N cv^2 t / cycle`.
#[test]
fn users_ask_as_often_as_they_think() {
    for (think, latency, cycle, square) in [
        ("Exponential(\"100ms\")", "\"0s\"", 0.1, 1.0_f64),
        ("Exponential(\"100ms\")", "\"300ms\"", 0.4, 1.0 / 16.0),
        ("Uniform(\"0s\", \"200ms\")", "Exponential(\"100ms\")", 0.2, (1.0 / 3.0 + 1.0) / 4.0),
        ("Constant(\"250ms\")", "\"250ms\"", 0.5, 0.0),
    ] {
        let played = watch(
            &format!("arrivals: Users(count: 50, think: {think}), requests: {{ \"x/e\": 1 }}"),
            latency,
            "duration: \"410s\"",
            0,
        );
        let n = played.at.iter().filter(|t| **t >= 10 * S).count() as f64;
        let expected = 50.0 * 400.0 / cycle;
        // One request of each user may fall on either side of both ends.
        let error = (50.0 * square * 400.0 / cycle).sqrt() + 50.0 / Z;
        assert_within(&format!("{think} and {latency}"), n, expected, error);
    }
}

#[test]
fn jumps_of_a_profile_are_met_to_the_nanosecond() {
    // From 10 s to 11 s a thousand times as many, then none: 10 at one a second, and 1000.
    for (from, to) in [("10s", "11s"), ("10.05s", "11.05s"), ("10.00999s", "11.00999s")] {
        let profile = format!("profile: [Steps([Point(\"{from}\", 1000), Point(\"{to}\", 0)])]");
        for arrivals in ["Regular(\"1/s\")", "Renewal(\"1s\")"] {
            let played = watch(
                &format!("arrivals: {arrivals}, {profile}, requests: {{ \"x/e\": 1 }}"),
                "\"0s\"",
                "duration: \"20s\"",
                0,
            );
            let n = played.at.len();
            assert!((1009..=1010).contains(&n), "{arrivals} from {from}: {n}");
        }
    }
}

#[test]
fn wrong_sources_are_noticed() {
    // Bursts are not Poisson, though their rate is right.
    let at = open("Mmpp([MmppState(\"550/s\", \"100ms\"), MmppState(\"450/s\", \"100ms\")])", 400, 0);
    let index = dispersion(&counts(&at, 0, 400 * S, S), 500.0);
    assert!((index - 1.0).abs() > Z * (2.0_f64 / 400.0).sqrt(), "{index}");
    // A rate that is 5 % off for half of the time.
    let played = watch(
        "arrivals: Poisson(\"1000/s\"), profile: [Steps([Point(\"50s\", 1.05)])], requests: { \"x/e\": 1 }",
        "\"0s\"",
        "duration: \"100s\"",
        0,
    );
    let got = counts(&played.at, 0, 100 * S, 10 * S);
    assert!(chi_squared_p(pearson(&got, |_| 10_000.0), 10) < ALPHA);
}

// ---- streams against each other ----

/// Correlation, a chi-squared of 16 x 16 fields, and the correlation with the pair's neighbours.
fn pair_check(pairs: impl Iterator<Item = (f64, f64)>) -> Result<(), String> {
    let (mut n, mut cross, mut ahead, mut behind) = (0.0, 0.0, 0.0, 0.0);
    let mut fields = vec![0_u64; 256];
    let mut last = (0.0, 0.0);
    for (u, v) in pairs {
        fields[(u * 16.0) as usize * 16 + (v * 16.0) as usize] += 1;
        let (u, v) = (u - 0.5, v - 0.5);
        cross += u * v;
        ahead += u * last.1;
        behind += v * last.0;
        last = (u, v);
        n += 1.0;
    }
    for (what, sum) in [("each other", cross), ("the next", ahead), ("the one before", behind)] {
        // Products of two independent uniform numbers about zero have the variance 1 / 144.
        let correlation = 12.0 * sum / n;
        if correlation.abs() > Z / f64::sqrt(n) {
            return Err(format!("correlation with {what}: {correlation}"));
        }
    }
    let p = chi_squared_p(pearson(&fields, |_| n / 256.0), 255);
    if p > ALPHA { Ok(()) } else { Err(format!("the fields of a square: p {p:e}")) }
}

const PAIRS: u64 = 1_000_000;

#[test]
fn streams_know_nothing_of_each_other() {
    let stream = |seed, run, path: &str, purpose: &str| Streams::new(seed, run).stream(path, purpose);
    let ours = || stream(42, 0, "clients.a", "arrivals");
    let table = [
        ("the next seed", stream(43, 0, "clients.a", "arrivals")),
        ("the next run", stream(42, 1, "clients.a", "arrivals")),
        ("another population", stream(42, 0, "clients.b", "arrivals")),
        ("another purpose", stream(42, 0, "clients.a", "requests")),
        ("a longer name", stream(42, 0, "clients.aa", "rrivals")),
        ("seed and run exchanged", stream(0, 42, "clients.a", "arrivals")),
        (
            "a generator of the next seed",
            Rng::from_seed(Streams::new(42, 0).key("clients.a", "arrivals") + 1),
        ),
    ];
    for (name, mut other) in table {
        let mut one = ours();
        pair_check((0..PAIRS).map(|_| (one.uniform(), other.uniform())))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let mut one = ours();
    pair_check((0..PAIRS).map(|_| (one.uniform(), one.uniform()))).unwrap_or_else(|e| panic!("itself: {e}"));
    // The first draw of neighbours: what a gamma variate, a run or a stored generator begins with.
    let first = |seed: u64| Rng::from_seed(seed).uniform();
    pair_check((0..PAIRS).map(|s| (first(2 * s), first(2 * s + 1)))).unwrap_or_else(|e| panic!("seeds: {e}"));
    let first = |run: u64| Streams::new(42, run).stream("clients.a", "arrivals").uniform();
    pair_check((0..PAIRS).map(|r| (first(2 * r), first(2 * r + 1)))).unwrap_or_else(|e| panic!("runs: {e}"));
}

#[test]
fn draws_by_key_know_nothing_of_each_other() {
    let key = Streams::new(42, 0).key("clients.a", "requests");
    let other = Streams::new(42, 0).key("clients.b", "requests");
    let (first, second) = (salt("services.api.endpoints.e.0"), salt("services.api.endpoints.e.1"));
    let at = |key: u64, salt: u64| uniform_of(mix(key, salt));
    let user = |number: u64| mix(mix(key, 5), number);
    type Pair<'a> = Box<dyn Fn(u64) -> (f64, f64) + 'a>;
    let table: Vec<(&str, Pair)> = vec![
        ("neighbouring steps", Box::new(|i| (at(mix(key, i), first), at(mix(key, i), second)))),
        ("neighbouring requests", Box::new(|i| (at(mix(key, 2 * i), first), at(mix(key, 2 * i + 1), first)))),
        ("neighbouring salts", Box::new(|i| (at(mix(key, i), 1), at(mix(key, i), 2)))),
        ("two populations", Box::new(|i| (at(mix(key, i), first), at(mix(other, i), first)))),
        ("two users", Box::new(|i| (at(mix(user(1), i), first), at(mix(user(2), i), first)))),
        ("all users", Box::new(|i| (at(mix(user(i), 1), first), at(mix(user(i), 2), first)))),
        (
            "neighbouring attempts",
            Box::new(|i| {
                let k = mix(key, i);
                (at(mix(k, 1), first), at(mix(k, 2), first))
            }),
        ),
        ("an attempt and the first", Box::new(|i| (at(mix(key, i), first), at(mix(mix(key, i), 1), first)))),
        ("consecutive keys", Box::new(|i| (at(key + 2 * i, first), at(key + 2 * i + 1, first)))),
        ("keys one bit apart", Box::new(|i| (at(mix(key, i), first), at(mix(key, i) ^ 1, first)))),
        (
            "a branch and its request",
            Box::new(|i| (at(mix(mix(key, i), first), 0), at(mix(mix(key, i), first), 1))),
        ),
    ];
    for (name, pair) in &table {
        pair_check((0..PAIRS).map(pair)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    // Pairs that do know each other are noticed: one in a hundred is the same.
    let tied = |i: u64| (at(key, i), if i.is_multiple_of(100) { at(key, i) } else { at(other, i) });
    assert!(pair_check((0..PAIRS).map(tied)).is_err());
}

/// Draws of consecutive keys are uniform, and none follows from the one before.
#[test]
fn consecutive_keys_are_spread_evenly() {
    let key = Streams::new(1, 0).key("clients.u", "requests");
    let work = salt("services.api.endpoints.e.0");
    let families: [(&str, &dyn Fn(u64) -> u64); 4] = [
        ("requests", &|i| mix(mix(key, i), work)),
        ("keys that count", &|i| mix(i, work)),
        ("salts that count", &|i| mix(key, i)),
        ("times of checks", &|i| mix(key, i * 1_000_000_000)),
    ];
    let identity = |x: f64| x.clamp(0.0, 1.0);
    for (name, family) in families {
        let mut values: Vec<f64> = (0..PAIRS).map(|i| uniform_of(family(i))).collect();
        assert_within(
            &format!("{name}: serial correlation"),
            serial(&values),
            0.0,
            1.0 / (PAIRS as f64).sqrt(),
        );
        let distance = ks(&mut values, &identity, &identity);
        assert!(distance < ks_limit(), "{name}: {distance}");
    }
    let mut rng = Streams::new(1, 0).stream("clients.u", "arrivals");
    let mut values: Vec<f64> = (0..PAIRS).map(|_| rng.uniform()).collect();
    assert!(ks(&mut values, &identity, &identity) < ks_limit());
}

/// A bit of the key or of the salt that is flipped flips each bit of the result half of the time.
#[test]
fn mixing_is_an_avalanche() {
    let n = 40_000_u64;
    // Of 8,192 counts, all stay within this (5.4 standard errors) with a probability of 999 in a thousand.
    let limit = Normal::standard().inverse_cdf(1.0 - 1e-3 / (2.0 * 8_192.0));
    let mut rng = Rng::from_seed(99);
    let mut wrong = Vec::new();
    for salted in [false, true] {
        let mut worst = 0.0_f64;
        let mut all = 0;
        for input in 0..64 {
            let mut flips = [0_u64; 64];
            for _ in 0..n {
                let (key, salt) = (rng.bits(), rng.bits());
                let other =
                    if salted { mix(key, salt ^ (1 << input)) } else { mix(key ^ (1 << input), salt) };
                let changed = mix(key, salt) ^ other;
                flips.iter_mut().enumerate().for_each(|(i, f)| *f += (changed >> i) & 1);
            }
            all += flips.iter().sum::<u64>();
            for (output, count) in flips.iter().enumerate() {
                let off = (*count as f64 - n as f64 / 2.0) / (n as f64 / 4.0).sqrt();
                worst = worst.max(off.abs());
                if off.abs() > limit {
                    wrong.push(format!("bit {input} flips bit {output} in {count} of {n} ({off:.1})"));
                }
            }
        }
        let (bits, half) = (64.0 * 64.0 * n as f64, all as f64);
        assert!((half / bits - 0.5).abs() < 0.001, "{}", half / bits);
        assert!(worst > 3.0, "of 4,096 counts some are three standard errors off: {worst}");
    }
    assert!(wrong.is_empty(), "{} of 8,192: {wrong:#?}", wrong.len());
}

/// Keys of requests of several populations, runs and users do not meet, and halves of them meet as often as chance
/// lets them (birthdays: a Poisson number of pairs with the mean n^2 / 2^33).
#[test]
fn keys_collide_as_chance_lets_them() {
    let mut keys = Vec::new();
    for (run, name) in [(0, "clients.a"), (0, "clients.b"), (1, "clients.a"), (1, "clients.b")] {
        let key = Streams::new(42, run).key(name, "requests");
        keys.extend((1..=150_000).map(|i| mix(key, i)));
        keys.extend((0..300).flat_map(|user| (1..=300).map(move |i| mix(mix(mix(key, 5), user), i))));
    }
    let n = keys.len() as f64;
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "no two of {n} keys are the same");
    for (name, shift) in [("upper", 32), ("middle", 16), ("lower", 0)] {
        let mut half: Vec<u32> = keys.iter().map(|k| (k >> shift) as u32).collect();
        half.sort_unstable();
        let meet = half.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        let law = Poisson::new(n * n / 2.0_f64.powi(33)).unwrap();
        let (few, many) = (law.cdf(meet), law.sf(meet - 1));
        assert!(
            few.min(many) > ALPHA / 2.0,
            "{name} halves: {meet} pairs, and not {}",
            n * n / 2.0_f64.powi(33)
        );
    }
}
