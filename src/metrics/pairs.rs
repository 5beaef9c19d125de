//! Pairs of runs on the same random numbers: events that happened in one and not in the other, equivalence, the
//! smallest difference that would have been seen, and what pairing was worth.
//!
//! Pure functions on `libm`, folded in order of run.

use super::comparison::{moments, upper_tail};
use super::estimate::stable;
use super::{beta, comparison};
use crate::base::dist::normal_quantile;

/// How an event fell out in pairs of runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct YesNo {
    /// Pairs in which it happened in both.
    pub both: u64,
    /// Pairs in which it happened in the first only.
    pub only_a: u64,
    /// Pairs in which it happened in the second only.
    pub only_b: u64,
    /// Pairs in which it happened in neither.
    pub neither: u64,
}

impl YesNo {
    /// Counts pairs; both lists must be as long.
    pub fn of(a: &[bool], b: &[bool]) -> Self {
        assert_eq!(a.len(), b.len(), "a pair is missing a half");
        let mut counts = Self::default();
        for pair in a.iter().zip(b) {
            *match pair {
                (true, true) => &mut counts.both,
                (true, false) => &mut counts.only_a,
                (false, true) => &mut counts.only_b,
                (false, false) => &mut counts.neither,
            } += 1;
        }
        counts
    }

    /// All pairs.
    pub fn pairs(self) -> u64 {
        self.both + self.only_a + self.only_b + self.neither
    }

    /// Pairs in which it happened in the first.
    pub fn in_a(self) -> u64 {
        self.both + self.only_a
    }

    /// Pairs in which it happened in the second.
    pub fn in_b(self) -> u64 {
        self.both + self.only_b
    }

    /// The share of the second less that of the first; none of no pairs.
    pub fn difference(self) -> Option<f64> {
        (self.pairs() > 0).then(|| (self.only_b as f64 - self.only_a as f64) / self.pairs() as f64)
    }

    /// The two-sided p value of no difference: those pairs that differ would fall to either side like a coin. McNemar,
    /// "Note on the sampling error of the difference between correlated proportions", Psychometrika 12, 1947, with the
    /// exact binomial in place of its normal approximation (Agresti, "Categorical Data Analysis", 3rd edition, 2013,
    /// section 11.1).
    pub fn p_value(self) -> f64 {
        let (fewer, more) = (self.only_a.min(self.only_b) as f64, self.only_a.max(self.only_b) as f64);
        if fewer == more {
            return 1.0;
        }
        // At most `fewer` heads of a coin thrown `fewer + more` times.
        stable((2.0 * beta::cdf(more, fewer + 1.0, 0.5)).min(1.0))
    }

    /// The interval of the difference of shares at a level of confidence; none of no pairs. Method 10 of Newcombe,
    /// "Improved confidence intervals for the difference between binomial proportions based on paired data", Statistics
    /// in Medicine 17, 1998, pages 2635 to 2650. An approximation that covers well; verdicts come from the exact
    /// [`p_value`](Self::p_value).
    pub fn interval(self, confidence: f64) -> Option<(f64, f64)> {
        let difference = self.difference()?;
        let n = self.pairs() as f64;
        let z = normal_quantile(0.5 + confidence / 2.0);
        let (a, b) = (self.in_a() as f64, self.in_b() as f64);
        let ((share_a, lo_a, hi_a), (share_b, lo_b, hi_b)) = (wilson(a, n, z), wilson(b, n, z));
        let spread = a * (n - a) * b * (n - b);
        let agree = self.both as f64 * self.neither as f64 - self.only_a as f64 * self.only_b as f64;
        let agree = if agree > 0.0 { (agree - n / 2.0).max(0.0) } else { agree };
        let phi = if spread > 0.0 { agree / spread.sqrt() } else { 0.0 };
        let joined = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
        let below = joined(share_b - lo_b, hi_a - share_a);
        let above = joined(hi_b - share_b, share_a - lo_a);
        Some((stable((difference - below).max(-1.0)), stable((difference + above).min(1.0))))
    }
}

/// The share, and Wilson's score interval of it ("Probable inference, the law of succession, and statistical
/// inference", Journal of the American Statistical Association 22, 1927).
fn wilson(successes: f64, n: f64, z: f64) -> (f64, f64, f64) {
    let share = successes / n;
    let middle = 2.0 * successes + z * z;
    let half = z * (z * z + 4.0 * successes * (1.0 - share)).sqrt();
    let of = 2.0 * (n + z * z);
    (share, (middle - half) / of, (middle + half) / of)
}

/// The p value of not being equivalent: the greater of those of two one-sided t tests, that the mean of `above` is
/// not above zero and that the mean of `below` is not below; none of fewer than two values. For a tolerance δ on the
/// difference, `above` is the difference plus δ, and `below` the difference less δ, run by run. Schuirmann, "A
/// comparison of the two one-sided tests procedure and the power approach", Journal of Pharmacokinetics and
/// Biopharmaceutics 15, 1987.
pub fn equivalence(above: &[f64], below: &[f64]) -> Option<f64> {
    let opposite: Vec<f64> = below.iter().map(|x| -x).collect();
    Some(above_zero(above)?.max(above_zero(&opposite)?))
}

/// The one-sided p value of a mean that is not above zero.
fn above_zero(values: &[f64]) -> Option<f64> {
    let comparison::Moments { n, mean, variance } = moments(values)?;
    if variance == 0.0 {
        return Some(if mean > 0.0 { 0.0 } else { 1.0 });
    }
    Some(upper_tail(mean / (variance / n).sqrt(), n - 1.0))
}

/// The smallest true mean that a two-sided t test at `level` would find in as many such values with probability
/// `power` (more than a half): (t(1 - level / 2) + t(power)) s / sqrt(n), with n - 1 degrees of freedom; none of fewer
/// than two values. Bloom, "Minimum detectable effects", Evaluation Review 19, 1995.
pub fn detectable(values: &[f64], level: f64, power: f64) -> Option<f64> {
    let comparison::Moments { n, variance, .. } = moments(values)?;
    let t = beta::student_t(n - 1.0, 1.0 - level) + beta::student_t(n - 1.0, 2.0 * power - 1.0);
    Some(stable(t * (variance / n).sqrt()))
}

/// The fewest pairs that must differ, all to one side, for McNemar's exact test to see it at `level`: 2 / 2^k is at
/// most the level.
pub fn detectable_pairs(level: f64) -> u64 {
    let mut pairs = 1;
    let mut p_value = 1.0;
    while p_value > level && pairs < 1_000 {
        pairs += 1;
        p_value /= 2.0;
    }
    pairs
}

/// How many times greater the variance of the difference would be had the runs of `a` and `b` been independent: the
/// sum of the two variances over that of the difference, pair by pair; none of fewer than two pairs, or where either
/// sample or the difference does not vary. Law, "Simulation Modeling and Analysis", 5th edition, 2015, section 11.2.
pub fn variance_ratio(a: &[f64], b: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let [of_a, of_b, paired] = [moments(a)?, moments(b)?, moments(&differences)?].map(|m| m.variance);
    let ratio = (of_a + of_b) / paired;
    (ratio.is_finite() && of_a > 0.0 && of_b > 0.0).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn counts(both: u64, only_a: u64, only_b: u64, neither: u64) -> YesNo {
        YesNo { both, only_a, only_b, neither }
    }

    #[test]
    fn mcnemar_agrees_with_the_binomial() {
        // scipy.stats.binomtest(only_a, only_a + only_b, 0.5). The first are the approval ratings of Agresti, section
        // 11.1.
        for (only_a, only_b, p) in [
            (150, 86, 3.715_936_139_571e-5),
            (0, 5, 0.0625),
            (6, 0, 0.031_25),
            (3, 9, 0.145_996_093_75),
            (10, 0, 0.001_953_125),
            (7, 7, 1.0),
            (0, 0, 1.0),
            (1, 0, 1.0),
        ] {
            assert_relative_eq!(counts(794, only_a, only_b, 570).p_value(), p, max_relative = 1e-9);
        }
    }

    #[test]
    fn intervals_of_shares_are_newcombes() {
        // His table III has 0.0569 to 0.3404 for the first and -0.0664 to 0.0664 for the third; all agree with the
        // formulas evaluated in Python. His difference is the first less the second.
        for (table, lo, hi) in [
            (counts(36, 12, 2, 0), 0.056_929_584, 0.340_427_603),
            (counts(20, 24, 2, 4), 0.260_760_915, 0.582_372_620),
            (counts(54, 0, 0, 0), -0.066_413_588, 0.066_413_588),
            (counts(1, 1, 7, 21), -0.384_227_270, -0.007_471_591),
            (counts(30, 0, 0, 24), -0.035_837_622, 0.035_837_622),
            (counts(0, 10, 0, 0), 0.607_509_350, 1.0),
            (counts(794, 150, 86, 570), 0.021_230_424, 0.058_703_873),
        ] {
            let (ours_lo, ours_hi) = table.interval(0.95).unwrap();
            assert!(
                (ours_lo + hi).abs() < 1e-8 && (ours_hi + lo).abs() < 1e-8,
                "{table:?} {ours_lo} {ours_hi}"
            );
        }
        assert_eq!(YesNo::default().interval(0.95), None);
    }

    #[test]
    fn pairs_are_counted() {
        let (a, b) = ([true, true, false, false, true], [true, false, true, false, false]);
        let found = YesNo::of(&a, &b);
        assert_eq!(found, counts(1, 2, 1, 1));
        assert_eq!((found.pairs(), found.in_a(), found.in_b(), found.difference()), (5, 3, 2, Some(-0.2)));
    }

    /// Student's sleep data of 1908: ten differences.
    const DIFFERENCES: [f64; 10] = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];

    #[test]
    fn two_one_sided_tests() {
        // scipy.stats.ttest_1samp with alternative "greater" and "less".
        for (delta, p) in [(1.0, 0.914_944_114_551), (2.0, 0.154_157_236_669), (3.0, 0.002_655_570_293)] {
            let above: Vec<f64> = DIFFERENCES.iter().map(|d| d + delta).collect();
            let below: Vec<f64> = DIFFERENCES.iter().map(|d| d - delta).collect();
            assert_relative_eq!(equivalence(&above, &below).unwrap(), p, max_relative = 1e-8);
        }
        assert_eq!(equivalence(&[0.5; 3], &[-0.5; 3]), Some(0.0));
        assert_eq!(equivalence(&[0.5; 3], &[0.5; 3]), Some(1.0));
        assert_eq!(equivalence(&[0.5], &[-0.5]), None);
    }

    #[test]
    fn the_smallest_difference_that_would_be_seen() {
        // (t.ppf(0.975, 9) + t.ppf(0.8, 9)) s / sqrt(10).
        assert_relative_eq!(
            detectable(&DIFFERENCES, 0.05, 0.8).unwrap(),
            1.223_493_401_2,
            max_relative = 1e-9
        );
        assert_eq!(detectable(&[1.0; 4], 0.05, 0.8), Some(0.0));
        // 2 / 2^6 = 0.031, 2 / 2^5 = 0.0625.
        assert_eq!((detectable_pairs(0.05), detectable_pairs(0.5), detectable_pairs(0.0)), (6, 2, 1_000));
        assert!(counts(0, 6, 0, 0).p_value() <= 0.05 && counts(0, 5, 0, 0).p_value() > 0.05);
    }

    #[test]
    fn what_pairing_is_worth() {
        let a = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let b = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        assert_relative_eq!(variance_ratio(&a, &b).unwrap(), 4.765_423_031_7, max_relative = 1e-9);
        assert_eq!(variance_ratio(&a, &a), None);
        assert_eq!(variance_ratio(&[1.0, 1.0], &[2.0, 3.0]), None);
    }
}
