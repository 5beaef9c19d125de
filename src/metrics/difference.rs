//! Whether two sets of runs differ: Student's t on pairs, Welch's t without, and Holm's correction for many questions.
//!
//! Runs with the same seed are played on the same random numbers, run by run, so they are compared in pairs and what
//! the dice do cancels. Runs with other seeds have nothing in common and are compared as two samples.

use super::beta::{student_t, student_t_beyond};
use super::estimate::{CONFIDENCE, stable};

/// The difference of two means, in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// After less before.
    pub mean: f64,
    /// The lower end of its 95 % confidence interval.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
    /// The probability of a difference at least as large, on either side, if there is none in truth.
    pub p: f64,
}

impl Difference {
    /// The difference of values run by run, of as many runs: Student's t over the differences (Law, "Simulation
    /// Modeling and Analysis", section 10.2.1). None with fewer than two.
    pub fn of_pairs(before: &[f64], after: &[f64]) -> Option<Self> {
        assert_eq!(before.len(), after.len(), "a pair of runs is missing a half");
        let differences: Vec<f64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
        let (mean, variance) = moments(&differences)?;
        let n = differences.len() as f64;
        Some(Self::new(mean, (variance / n).sqrt(), n - 1.0, 0.0))
    }

    /// The difference of two independent samples whose variances may differ: Welch's t with the degrees of freedom of
    /// Satterthwaite (Welch, "The generalization of Student's problem when several different population variances are
    /// involved", Biometrika 34, 1947; Law, section 10.2.2). None with fewer than two values on either side.
    ///
    /// If neither side varies at all, t says nothing: the probability is then that of all `n` values of one kind
    /// falling on one side by chance, as in Fisher's exact test.
    pub fn of_samples(before: &[f64], after: &[f64]) -> Option<Self> {
        let ((b, b_variance), (a, a_variance)) = (moments(before)?, moments(after)?);
        let (m, n) = (before.len() as f64, after.len() as f64);
        let (b_part, a_part) = (b_variance / m, a_variance / n);
        let sum = b_part + a_part;
        if sum == 0.0 {
            return Some(Self::new(a - b, 0.0, 1.0, of_a_split(before.len(), after.len())));
        }
        let freedom = sum * sum / (b_part * b_part / (m - 1.0) + a_part * a_part / (n - 1.0));
        Some(Self::new(a - b, sum.sqrt(), freedom, 0.0))
    }

    fn new(mean: f64, error: f64, freedom: f64, p_without_error: f64) -> Self {
        if error == 0.0 {
            let p = if mean == 0.0 { 1.0 } else { p_without_error };
            return Self { mean, lo: mean, hi: mean, p };
        }
        let half = stable(student_t(freedom, CONFIDENCE)) * error;
        let p = stable(student_t_beyond(freedom, mean / error));
        Self { mean, lo: mean - half, hi: mean + half, p }
    }
}

/// Mean and variance of a sample, folded in order; none of fewer than two values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    // What is the same in all runs has no variance, whatever rounding makes of its mean.
    if values.iter().all(|v| *v == values[0]) {
        return Some((values[0], 0.0));
    }
    let n = values.len() as f64;
    let mean = values.iter().fold(0.0, |sum, v| sum + v) / n;
    let squares = values.iter().fold(0.0, |sum, v| sum + (v - mean) * (v - mean));
    Some((mean, squares / (n - 1.0)))
}

/// Twice the share of the ways to choose `n` of `m + n` that is a single one.
fn of_a_split(m: usize, n: usize) -> f64 {
    let ways = (1..=n).fold(1.0, |ways, k| ways * (m + k) as f64 / k as f64);
    (2.0 / ways).min(1.0)
}

/// Probabilities corrected for how many there are, so that all that are at most 5 % together are wrong in at most 5 %
/// of all cases (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics
/// 6, 1979).
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]).then(a.cmp(b)));
    let mut corrected = vec![0.0; probabilities.len()];
    let mut greatest = 0.0f64;
    for (rank, index) in order.into_iter().enumerate() {
        let left = (probabilities.len() - rank) as f64;
        greatest = greatest.max((probabilities[index] * left).min(1.0));
        corrected[index] = greatest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn pairs_agree_with_the_textbook() {
        // Student's own data: hours of sleep gained with two soporifics ("The probable error of a mean", Biometrika 6,
        // 1908); R's t.test(paired = TRUE) gives t = 4.0621, p = 0.002833, interval 0.7001 to 2.4599.
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let found = Difference::of_pairs(&first, &second).unwrap();
        assert_relative_eq!(found.mean, 1.58, max_relative = 1e-12);
        assert!((found.p - 0.002_833).abs() < 1e-6, "{found:?}");
        assert!((found.lo - 0.700_114).abs() < 1e-6 && (found.hi - 2.459_886).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn samples_agree_with_the_textbook() {
        // The same data unpaired: R's t.test gives t = 1.8608, df = 17.776, p = 0.07939, interval -0.2055 to 3.3655.
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let found = Difference::of_samples(&first, &second).unwrap();
        assert!((found.p - 0.079_39).abs() < 1e-5, "{found:?}");
        assert!((found.lo + 0.205_483).abs() < 1e-6 && (found.hi - 3.365_483).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn what_does_not_vary() {
        let same = Difference { mean: 0.0, lo: 0.0, hi: 0.0, p: 1.0 };
        assert_eq!(Difference::of_pairs(&[0.1; 3], &[0.1; 3]), Some(same));
        assert_eq!(Difference::of_samples(&[0.1; 3], &[0.1; 7]), Some(same));
        assert_eq!(Difference::of_pairs(&[1.0], &[2.0]), None);
        assert_eq!(Difference::of_samples(&[1.0], &[2.0, 3.0]), None);
        // The same dice and always one more: that is no chance. Other dice, and 3 against 3: two ways of 20.
        assert_eq!(Difference::of_pairs(&[1.0; 3], &[2.0; 3]).unwrap().p, 0.0);
        assert_relative_eq!(Difference::of_samples(&[1.0; 3], &[2.0; 3]).unwrap().p, 0.1);
    }

    #[test]
    fn holm_by_hand() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, by_hand) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert_relative_eq!(*found, by_hand, max_relative = 1e-12);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
