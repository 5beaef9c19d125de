//! Comparing samples: paired and unpaired differences of means, and many verdicts at once.
//!
//! Pure functions of values over runs. Invariants: sums are folded in order of run, and all is computed on `libm`, so
//! that results have the same bytes everywhere.

use super::beta;
use super::estimate::stable;

/// The difference of two means, its interval, and how likely so great a difference is if there were none.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TTest {
    /// The mean of the second sample less that of the first, in the unit of the values.
    pub difference: f64,
    /// The lower end of the interval of the difference.
    pub lo: f64,
    /// The upper end of the interval of the difference.
    pub hi: f64,
    /// The probability of a difference as great, in either direction, if the true means were equal.
    pub p_value: f64,
    /// The degrees of freedom of Student's t.
    pub freedom: f64,
}

/// The mean of `b - a`, pair by pair, with its interval at a level of confidence such as 0.95, and the two-sided p
/// value of no difference; none of fewer than two pairs. Both samples must be as long: value k of both was played on
/// the same random numbers. Student's t with n - 1 degrees of freedom over the differences (Law, "Simulation Modeling
/// and Analysis", 5th edition, 2015, section 10.2.1). Differences that are all equal leave no doubt: the interval has
/// no width, and p is 0, or 1 if they are zero.
pub fn paired_t(a: &[f64], b: &[f64], confidence: f64) -> Option<TTest> {
    assert_eq!(a.len(), b.len(), "a pair is missing a half");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let Moments { n, mean, variance } = moments(&differences)?;
    Some(t_test(mean, variance / n, n - 1.0, confidence))
}

/// The mean of `b` less that of `a`, two independent samples with variances that may differ, with its interval at a
/// level of confidence such as 0.95, and the two-sided p value of no difference; none if either has fewer than two
/// values. Degrees of freedom after Welch ("The generalization of Student's problem when several different population
/// variances are involved", Biometrika 34, 1947) and Satterthwaite (1946). Of samples without any spread t says
/// nothing: p is then that of all values of one sample on one side by chance, as in Fisher's exact test.
pub fn welch_t(a: &[f64], b: &[f64], confidence: f64) -> Option<TTest> {
    let (a, b) = (moments(a)?, moments(b)?);
    let (of_a, of_b) = (a.variance / a.n, b.variance / b.n);
    let squared = of_a + of_b;
    let freedom = if squared > 0.0 {
        squared * squared / (of_a * of_a / (a.n - 1.0) + of_b * of_b / (b.n - 1.0))
    } else {
        a.n + b.n - 2.0
    };
    let test = t_test(b.mean - a.mean, squared, freedom, confidence);
    let p_value = match squared {
        0.0 if test.difference != 0.0 => of_a_split(a.n, b.n),
        _ => test.p_value,
    };
    Some(TTest { p_value, ..test })
}

/// Twice the share of the ways to choose `n` of `m + n` that is a single one.
fn of_a_split(m: f64, n: f64) -> f64 {
    let ways = (1..=n as u32).fold(1.0, |ways, k| ways * (m + f64::from(k)) / f64::from(k));
    (2.0 / ways).min(1.0)
}

/// The p values adjusted for being many, in the order given: a hypothesis may be rejected at level α if its adjusted
/// value is at most α, and then the probability of any false rejection among all is at most α, however they depend on
/// each other. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6,
/// 1979.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|x, y| p_values[*x].total_cmp(&p_values[*y]));
    let (mut adjusted, mut greatest) = (vec![1.0; p_values.len()], 0.0f64);
    for (rank, at) in order.into_iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        greatest = greatest.max((left * p_values[at]).min(1.0));
        adjusted[at] = greatest;
    }
    adjusted
}

/// Size, mean and variance of a sample of at least two values.
pub(super) struct Moments {
    pub(super) n: f64,
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// The moments; none of fewer than two values.
pub(super) fn moments(values: &[f64]) -> Option<Moments> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().fold(0.0, |sum, x| sum + x) / n;
    let squares = values.iter().fold(0.0, |sum, x| sum + (x - mean) * (x - mean));
    // Values that are equal have no spread, whatever rounding makes of their mean.
    let variance = if values.iter().all(|x| *x == values[0]) { 0.0 } else { squares / (n - 1.0) };
    let mean = if variance == 0.0 { values[0] } else { mean };
    Some(Moments { n, mean, variance })
}

/// The test of a difference whose estimate has a variance of `squared`.
fn t_test(difference: f64, squared: f64, freedom: f64, confidence: f64) -> TTest {
    let error = squared.sqrt();
    let half = stable(beta::student_t(freedom, confidence)) * error;
    let p_value = match difference {
        0.0 => 1.0,
        _ if error == 0.0 => 0.0,
        _ => (2.0 * upper_tail((difference / error).abs(), freedom)).min(1.0),
    };
    TTest { difference, lo: difference - half, hi: difference + half, p_value, freedom }
}

/// The probability of more than `t` under Student's t with `freedom` degrees of freedom.
pub(super) fn upper_tail(t: f64, freedom: f64) -> f64 {
    // freedom / (freedom + t²) is beta distributed; in this form small tails keep their digits.
    let beyond = 0.5 * beta::cdf(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    stable(if t >= 0.0 { beyond } else { 1.0 - beyond })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use statrs::distribution::{ContinuousCDF, StudentsT};

    /// The hours of additional sleep by two drugs on ten patients, from Student, "The probable error of a mean",
    /// Biometrika 6, 1908; R has them as `sleep`.
    const SLEEP: [[f64; 10]; 2] = [
        [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
        [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
    ];

    #[test]
    fn students_sleep_data_as_published() {
        // R's help page of t.test: t = -4.0621, df = 9, p = 0.002833, interval -2.4598858 to -0.7001142 (of a - b).
        let paired = paired_t(&SLEEP[0], &SLEEP[1], 0.95).unwrap();
        assert_relative_eq!(paired.difference, 1.58, max_relative = 1e-12);
        assert_relative_eq!(paired.lo, 0.700_114_2, max_relative = 1e-7);
        assert_relative_eq!(paired.hi, 2.459_885_8, max_relative = 1e-7);
        assert_relative_eq!(paired.p_value, 0.002_833, max_relative = 1e-3);
        assert_eq!(paired.freedom, 9.0);
        // The same page, unpaired: df = 17.776, p = 0.07939, interval -3.3654832 to 0.2054832.
        let welch = welch_t(&SLEEP[0], &SLEEP[1], 0.95).unwrap();
        assert_relative_eq!(welch.freedom, 17.776, max_relative = 1e-4);
        assert_relative_eq!(welch.lo, -0.205_483_2, max_relative = 1e-6);
        assert_relative_eq!(welch.hi, 3.365_483_2, max_relative = 1e-6);
        assert_relative_eq!(welch.p_value, 0.079_39, max_relative = 1e-3);
    }

    #[test]
    fn p_values_and_intervals_agree() {
        for confidence in [0.5, 0.9, 0.95, 0.999] {
            let (a, b) = (&SLEEP[0], &SLEEP[1]);
            for test in [paired_t(a, b, confidence).unwrap(), welch_t(a, b, confidence).unwrap()] {
                assert_eq!(test.p_value < 1.0 - confidence, test.lo > 0.0, "{test:?}");
            }
        }
    }

    #[test]
    fn tails_agree_with_statrs() {
        for freedom in [1.0, 2.0, 4.5, 9.0, 50.0, 3_000.0] {
            let t = StudentsT::new(0.0, 1.0, freedom).unwrap();
            for value in [-3.0, -0.5, 0.0, 0.1, 1.0, 4.0, 12.0] {
                assert_relative_eq!(upper_tail(value, freedom), t.sf(value), max_relative = 1e-9);
            }
        }
        // A tail so small that one less it is one: of Cauchy's distribution, about 1 / (π t).
        assert_relative_eq!(upper_tail(1e12, 1.0), 1e-12 / std::f64::consts::PI, max_relative = 1e-9);
    }

    #[test]
    fn samples_without_spread_leave_no_doubt() {
        let same = paired_t(&[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3], 0.95).unwrap();
        assert_eq!((same.difference, same.lo, same.hi, same.p_value), (0.0, 0.0, 0.0, 1.0));
        let other = welch_t(&[0.1; 3], &[0.3; 2], 0.95).unwrap();
        assert_eq!((other.freedom, other.hi - other.lo), (3.0, 0.0));
        // Two ways of ten to choose two of five.
        assert_relative_eq!(other.p_value, 0.2, max_relative = 1e-12);
        // The same dice and always one more: that is no chance.
        assert_eq!(paired_t(&[1.0; 3], &[2.0; 3], 0.95).unwrap().p_value, 0.0);
        assert_eq!(paired_t(&[1.0], &[2.0], 0.95), None);
        assert_eq!(welch_t(&[1.0, 2.0], &[2.0], 0.95), None);
    }

    #[test]
    fn pairs_see_what_independent_samples_cannot() {
        let (a, b) = ([10.0, 50.0, 30.0, 20.0], [11.0, 51.1, 31.0, 20.9]);
        assert!(paired_t(&a, &b, 0.95).unwrap().p_value < 1e-3);
        assert!(welch_t(&a, &b, 0.95).unwrap().p_value > 0.9);
    }

    #[test]
    fn holm_steps_down() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-12);
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert_eq!((holm(&[0.02]), holm(&[])), (vec![0.02], vec![]));
    }

    #[test]
    fn the_bits_are_pinned() {
        let (paired, welch) = (paired_t(&SLEEP[0], &SLEEP[1], 0.95), welch_t(&SLEEP[0], &SLEEP[1], 0.95));
        let bits = [paired.unwrap().p_value, welch.unwrap().p_value, welch.unwrap().lo].map(f64::to_bits);
        assert_eq!(bits, [4_568_678_622_583_811_123, 4_590_385_371_385_778_937, 13_819_943_370_755_430_472]);
    }
}
