//! Samplers against their own formulas, golden hashes of the variates, and refusals.

use super::*;
use xxhash_rust::xxh64::Xxh64;

/// Every kind of distribution, some in several shapes, with the hash of its first 10,000 variates.
///
/// A change of these hashes changes every result: it belongs under "Results change" in the changelog.
fn all() -> Vec<(&'static str, Dist, u64)> {
    let steps = vec![(0.0, 0.010), (0.5, 0.020), (0.9, 0.020), (0.99, 0.1), (1.0, 0.5)];
    let parts = vec![
        (3.0, Dist::log_normal_median_p99(0.001, 0.006).unwrap()),
        (1.0, Dist::gamma_mean_cv(0.05, 0.8).unwrap()),
        (0.5, Dist::constant(0.004).unwrap()),
    ];
    let nested = Dist::mixture(vec![
        (0.001, Dist::uniform(1.0, 2.0).unwrap()),
        (0.999, Dist::hyper_exponential_mean_cv(0.2, 2.0).unwrap()),
    ]);
    let table = [
        ("constant", Dist::constant(0.25), 0xb2a3_3b8d_d394_4f01),
        ("exponential", Dist::exponential(0.002), 0xc791_bc48_7f3a_eccc),
        ("uniform", Dist::uniform(0.5, 2.0), 0x1900_a65a_5da9_911d),
        ("normal", Dist::normal(0.1, 0.01), 0xcaad_cb20_2795_7a62),
        ("normal, much cut", Dist::normal(0.01, 0.05), 0x8fe9_e9a7_1cb2_fbf1),
        ("normal, half", Dist::normal(0.0, 1.0), 0xd777_1d92_9bfa_9239),
        ("log-normal", Dist::log_normal_median_p99(0.09, 0.4), 0x0de7_1832_0518_c935),
        ("log-normal, mean and cv", Dist::log_normal_mean_cv(1.0, 0.5), 0xf68c_0b0b_5531_a3f2),
        ("gamma, shape 0.25", Dist::gamma_mean_cv(0.05, 2.0), 0xc31f_ea16_c8e8_506c),
        ("gamma, shape 4", Dist::gamma_mean_cv(0.05, 0.5), 0x8c21_ad60_1f88_7b3e),
        ("erlang, 1 stage", Dist::erlang(1, 3.0), 0xa7f9_67c2_a767_bb42),
        ("erlang, 5 stages", Dist::erlang(5, 3.0), 0xe3a2_4ad7_d051_3f15),
        ("weibull, shape 0.7", Dist::weibull_shape_mean(0.7, 3600.0), 0xcdff_c294_a444_8935),
        ("weibull, shape 2", Dist::weibull_shape_scale(2.0, 10.0), 0xd6b2_731e_cfb7_40d9),
        ("pareto", Dist::pareto(6.0, 0.01, None), 0xfc27_db3b_5956_f6df),
        ("pareto with an end", Dist::pareto(1.0, 0.01, Some(10.0)), 0x2fa3_024c_1b64_4f91),
        ("hyper-exponential", Dist::hyper_exponential(&[9.0, 1.0], &[0.01, 0.2]), 0x38b4_0bca_0f10_dc0d),
        ("hyper-exponential, mean and cv", Dist::hyper_exponential_mean_cv(0.1, 3.0), 0x0377_2664_0c06_e533),
        ("samples", Dist::empirical_samples(vec![0.3, 0.1, 0.2, 0.1, 5.0]), 0xc787_0593_4123_f60d),
        ("quantiles", Dist::empirical_quantiles(steps), 0x692e_5a3b_da7d_f471),
        ("mixture", Dist::mixture(parts), 0x0cee_6d41_fbf1_1859),
        ("nested mixture", nested, 0xf657_e3e6_0e42_2831),
        ("shifted", Dist::shifted(0.5, Dist::exponential(0.1).unwrap()), 0x85f8_e89a_745b_3e40),
        ("scaled", Dist::scaled(2.0, Dist::erlang(3, 0.1).unwrap()), 0x89e6_9724_10c2_c766),
    ];
    table.map(|(name, dist, hash)| (name, dist.unwrap(), hash)).to_vec()
}

const N: usize = 200_000;

fn draw(dist: &Dist, seed: u64, n: usize) -> Vec<f64> {
    let mut rng = Rng::from_seed(seed);
    (0..n).map(|_| dist.sample(&mut rng)).collect()
}

#[test]
fn variates_are_pinned() {
    let mut wrong = Vec::new();
    for (name, dist, expected) in all() {
        let mut hash = Xxh64::new(0);
        for value in draw(&dist, 42, 10_000) {
            hash.update(&value.to_bits().to_le_bytes());
        }
        if hash.digest() != expected {
            wrong.push(format!("{name}: {:#018x}", hash.digest()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn samples_follow_their_cdf() {
    // Kolmogorov and Smirnov: the distance exceeds 1.63 / sqrt(n) for one true sampler in a hundred. Where the
    // distribution has steps the test is stricter than that says.
    let critical = 1.63 / (N as f64).sqrt();
    for (i, (name, dist, _)) in all().into_iter().enumerate() {
        let mut values = draw(&dist, 4000 + i as u64, N);
        values.sort_by(f64::total_cmp);
        let (mut distance, mut below) = (0.0_f64, 0);
        for group in values.chunk_by(|a, b| a == b) {
            let (x, upto) = (group[0], below + group.len());
            distance = distance.max((dist.cdf(x.next_down()) - below as f64 / N as f64).abs());
            distance = distance.max((dist.cdf(x) - upto as f64 / N as f64).abs());
            below = upto;
        }
        assert!(distance < critical, "{name}: {distance} is not below {critical}");
    }
}

#[test]
fn means_and_variances_are_right() {
    for (i, (name, dist, _)) in all().into_iter().enumerate() {
        let values = draw(&dist, 2000 + i as u64, N);
        let n = N as f64;
        let mean = values.iter().sum::<f64>() / n;
        let moment = |k: i32| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
        let (second, fourth) = (moment(2), moment(4));
        let mean_error = (second / n).sqrt();
        let variance_error = ((fourth - second * second).max(0.0) / n).sqrt();
        let tiny = 1e-12 * mean;
        assert!((mean - dist.mean()).abs() <= 4.0 * mean_error + tiny, "{name}: {mean}, not {}", dist.mean());
        let off = (second - dist.variance()).abs();
        assert!(off <= 4.0 * variance_error + tiny * mean, "{name}: {second}, not {}", dist.variance());
        assert!((dist.cv() - dist.variance().sqrt() / dist.mean()).abs() < 1e-12);
    }
}

#[test]
fn moments_agree_with_the_quantile_function() {
    // The mean is the integral of the quantile function. The midpoint rule is slow in the tails, hence the slack.
    let n = 100_000;
    for (name, dist, _) in all() {
        if matches!(dist, Dist::Mixture(_) | Dist::Scaled { .. } | Dist::Gamma { .. } | Dist::Erlang { .. }) {
            continue; // their quantiles are found by bisection, too slowly for this
        }
        let mean =
            (0..n).map(|i| dist.quantile((f64::from(i) + 0.5) / f64::from(n))).sum::<f64>() / f64::from(n);
        assert!((mean - dist.mean()).abs() < 2e-3 * dist.mean(), "{name}: {mean}, not {}", dist.mean());
    }
}

#[test]
fn quantile_and_cdf_invert_each_other() {
    for (name, dist, _) in all() {
        if matches!(dist, Dist::Constant(_) | Dist::Samples(_) | Dist::Quantiles(_)) || name == "mixture" {
            continue; // they have steps
        }
        for p in [0.001, 0.1, 0.5, 0.9, 0.99, 0.9999] {
            let x = dist.quantile(p);
            assert!((dist.cdf(x) - p).abs() < 1e-12, "{name}: p {p} became {}", dist.cdf(x));
            assert!((dist.quantile(dist.cdf(x)) - x).abs() < 1e-9 * x, "{name}: x {x}");
        }
        assert!(dist.quantile(0.0) <= dist.quantile(0.001), "{name}");
        assert!(dist.quantile(1.0) >= dist.quantile(0.9999), "{name}");
        assert_eq!(dist.cdf(-1.0), 0.0);
    }
}

#[test]
fn quantiles_of_distributions_with_steps() {
    let samples = Dist::empirical_samples((1..=100).map(f64::from).collect()).unwrap();
    for (p, value) in
        [(0.0, 1.0), (0.01, 1.0), (0.07, 7.0), (0.071, 8.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)]
    {
        assert_eq!(samples.quantile(p), value, "{p}");
    }
    let points = Dist::empirical_quantiles(vec![(0.0, 1.0), (0.5, 2.0), (0.9, 2.0), (1.0, 12.0)]).unwrap();
    for (p, value) in [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.7, 2.0), (0.9, 2.0), (0.95, 7.0), (1.0, 12.0)]
    {
        assert!((points.quantile(p) - value).abs() < 1e-12, "{p}");
    }
    for (x, p) in [(0.5, 0.0), (1.5, 0.25), (2.0, 0.9), (7.0, 0.95), (12.0, 1.0), (13.0, 1.0)] {
        assert!((points.cdf(x) - p).abs() < 1e-12, "{x}");
    }
    let mixture =
        Dist::mixture(vec![(1.0, Dist::constant(1.0).unwrap()), (3.0, Dist::constant(2.0).unwrap())])
            .unwrap();
    assert_eq!([0.0, 0.25, 0.26, 1.0].map(|p| mixture.quantile(p)), [1.0, 1.0, 2.0, 2.0]);
}

#[test]
fn each_sample_takes_one_draw() {
    for (name, dist, _) in all() {
        let (mut rng, mut twin) = (Rng::from_seed(7), Rng::from_seed(7));
        dist.sample(&mut rng);
        twin.bits();
        assert_eq!(rng.bits(), twin.bits(), "{name}");
    }
}

#[test]
fn samples_are_finite_at_both_ends() {
    let wild = [
        Dist::pareto(0.001, 1.0, None).unwrap(),
        Dist::log_normal_median_p99(1e-300, 1e300).unwrap(),
        Dist::gamma_mean_cv(1.0, 1e4).unwrap(),
        Dist::weibull_shape_scale(0.01, 1.0).unwrap(),
        Dist::scaled(1e300, Dist::exponential(1e300).unwrap()).unwrap(),
    ];
    let half_step = 0.5 / (1u64 << 52) as f64;
    for dist in all().into_iter().map(|(_, dist, _)| dist).chain(wild) {
        for u in [half_step, 1e-3, 0.5, 0.999, 1.0 - half_step] {
            let value = dist.variate(u);
            assert!(value >= 0.0 && value.is_finite(), "{dist:?} at {u}: {value}");
        }
    }
}

#[test]
fn constructors_meet_what_was_asked() {
    let close = |got: f64, wanted: f64| assert!((got - wanted).abs() < 1e-12 * wanted, "{got}, not {wanted}");
    let dist = Dist::log_normal_median_p99(0.09, 0.4).unwrap();
    close(dist.quantile(0.5), 0.09);
    close(dist.quantile(0.99), 0.4);
    let dist = Dist::log_normal_mean_p99(0.1, 0.5).unwrap();
    close(dist.mean(), 0.1);
    close(dist.quantile(0.99), 0.5);
    let dist = Dist::log_normal_median_cv(0.1, 1.5).unwrap();
    close(dist.quantile(0.5), 0.1);
    close(dist.cv(), 1.5);
    for (mean, cv) in [(0.1, 1.5), (30.0, 7.0)] {
        for dist in [
            Dist::log_normal_mean_cv(mean, cv),
            Dist::gamma_mean_cv(mean, cv),
            Dist::hyper_exponential_mean_cv(mean, cv),
        ] {
            let dist = dist.unwrap();
            close(dist.mean(), mean);
            close(dist.cv(), cv);
        }
    }
    close(Dist::weibull_shape_mean(0.5, 3.0).unwrap().mean(), 3.0);
    close(
        Dist::pareto(1.0, 1.0, Some(std::f64::consts::E)).unwrap().mean(),
        1.0 / (1.0 - 1.0 / std::f64::consts::E),
    );
    assert_eq!(Dist::pareto(1.0, 1.0, None).unwrap().mean(), f64::INFINITY);
    assert_eq!(Dist::pareto(1.5, 1.0, None).unwrap().variance(), f64::INFINITY);
    assert_eq!(Dist::pareto(1.5, 1.0, None).unwrap().cv(), f64::INFINITY);
    assert_eq!(Dist::constant(0.0).unwrap().cv(), 0.0);
    // Parts without weight are no parts.
    let dist = Dist::mixture(vec![(0.0, Dist::constant(1.0).unwrap()), (2.0, Dist::constant(3.0).unwrap())]);
    assert_eq!(dist, Ok(Dist::Mixture(vec![(1.0, Dist::Constant(3.0))])));
}

#[test]
fn impossible_parameters_are_refused() {
    let one = || Dist::Constant(1.0);
    let table = [
        (Dist::constant(-1.0), "value (-1 s) must be zero or more, and finite"),
        (Dist::constant(f64::NAN), "value (n/a) must be zero or more, and finite"),
        (Dist::exponential(0.0), "mean (0 s) must be greater than zero, and finite"),
        (Dist::exponential(f64::INFINITY), "mean (∞) must be greater than zero, and finite"),
        (Dist::uniform(0.02, 0.01), "max (10 ms) must be greater than min (20 ms)"),
        (Dist::uniform(0.02, 0.02), "max (20 ms) must be greater than min (20 ms)"),
        (Dist::normal(-0.1, 1.0), "mean (-100 ms) must be zero or more, and finite"),
        (Dist::normal(0.1, 0.0), "sd (0 s) must be greater than zero, and finite"),
        (Dist::log_normal_median_p99(0.09, 0.05), "p99 (50 ms) must be greater than the median (90 ms)"),
        (Dist::log_normal_mean_p99(0.09, 0.05), "p99 (50 ms) must be greater than the mean (90 ms)"),
        (
            Dist::log_normal_mean_p99(0.1, 2.0),
            "p99 (2 s) is 20 times the mean (100 ms), but in no log-normal distribution is it more than 15.0 times the mean",
        ),
        (Dist::log_normal_mean_cv(0.1, 0.0), "cv (0) must be greater than zero, and finite"),
        (Dist::log_normal_median_cv(0.1, -1.0), "cv (-1) must be greater than zero, and finite"),
        (Dist::gamma_mean_cv(0.1, 0.0), "cv (0) must be greater than zero, and finite"),
        (
            Dist::gamma_mean_cv(0.1, 1e200),
            "shape, which is one over the square of cv, (0) must be greater than zero, and finite",
        ),
        (Dist::erlang(0, 1.0), "k (0) must be at least 1"),
        (Dist::weibull_shape_scale(-2.0, 1.0), "shape (-2) must be greater than zero, and finite"),
        (
            Dist::weibull_shape_mean(0.001, 1.0),
            "scale, which follows from shape and mean, (0 s) must be greater than zero, and finite",
        ),
        (Dist::pareto(0.0, 1.0, None), "shape (0) must be greater than zero, and finite"),
        (Dist::pareto(1.0, 1.0, Some(0.5)), "max (500 ms) must be greater than min (1 s)"),
        (
            Dist::hyper_exponential(&[1.0], &[1.0, 2.0]),
            "there are 1 weights for 2 means: each part must have one of both",
        ),
        (
            Dist::hyper_exponential(&[], &[]),
            "a hyper-exponential distribution must have at least one part, and none was found",
        ),
        (Dist::hyper_exponential(&[-1.0], &[1.0]), "weight (-1) must be zero or more, and finite"),
        (
            Dist::hyper_exponential_mean_cv(1.0, 0.9),
            "cv (0.9) of a hyper-exponential distribution must be greater than 1",
        ),
        (Dist::empirical_samples(vec![]), "samples must have at least one value, and none was found"),
        (Dist::empirical_samples(vec![1.0, -2.0]), "sample (-2 s) must be zero or more, and finite"),
        (
            Dist::empirical_quantiles(vec![(0.0, 1.0)]),
            "quantiles must have at least two points, and fewer were found",
        ),
        (
            Dist::empirical_quantiles(vec![(0.5, 1.0), (1.0, 2.0)]),
            "quantiles must go from p = 0 to p = 1, not from p = 0.5 to p = 1",
        ),
        (
            Dist::empirical_quantiles(vec![(0.0, 1.0), (0.5, 1.0), (0.5, 2.0), (1.0, 3.0)]),
            "p = 0.5 follows p = 0.5: the probabilities of quantiles must rise strictly",
        ),
        (
            Dist::empirical_quantiles(vec![(0.0, 1.0), (0.5, 0.5), (1.0, 3.0)]),
            "the quantile at p = 0.5 (500 ms) must not be less than the one before it (1 s)",
        ),
        (Dist::mixture(vec![]), "a mixture must have at least one part, and none was found"),
        (Dist::mixture(vec![(0.0, one())]), "weights must add up to a finite number above zero, not to 0"),
        (Dist::shifted(-1.0, one()), "shift (-1 s) must be zero or more, and finite"),
        (Dist::scaled(0.0, one()), "factor (0) must be greater than zero, and finite"),
    ];
    for (result, message) in table {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}
