//! Estimates over replications: a mean or a share, and how far it can be trusted.
//!
//! Runs are independent and alike, so the values of a metric, one per run, are a sample in the textbook's sense; the
//! requests within a run are not, as they wait in the same queues. So every interval here is over runs. Two variants
//! on common random numbers are compared by their difference run by run, in which the dice cancel.
//!
//! Invariants: values are folded in order of run, so the bytes of a result do not depend on threads. What runs lack
//! (a latency where nothing was asked) is left out and the number of runs says so.

use super::beta;

/// The confidence level of all intervals.
pub const CONFIDENCE: f64 = 0.95;

/// A mean over runs with its 95 % confidence interval, in the unit of the values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The mean over the runs that have the metric.
    pub mean: f64,
    /// Half the width of the interval; none for a single run, which says nothing about its own error.
    pub half_width: Option<f64>,
    /// The lower end of the interval, `mean - half_width`.
    pub lo: Option<f64>,
    /// The upper end of the interval, `mean + half_width`.
    pub hi: Option<f64>,
    /// How many runs counted.
    pub runs: usize,
}

impl Estimate {
    /// The mean of one value per run, in order of run; none of no values. The half width is t s / sqrt(n), with s the
    /// sample's standard deviation and t the 97.5 % point of Student's t with n - 1 degrees of freedom (Law,
    /// "Simulation Modeling and Analysis", section 4.5).
    pub fn of(values: &[f64]) -> Option<Self> {
        Self::with(values, CONFIDENCE)
    }

    /// As [`of`](Self::of), with an interval of another confidence.
    pub fn with(values: &[f64], confidence: f64) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = fold_sum(values.iter().copied()) / n;
        if values.len() == 1 {
            return Some(Self { mean, half_width: None, lo: None, hi: None, runs: 1 });
        }
        let variance = fold_sum(values.iter().map(|x| (x - mean) * (x - mean))) / (n - 1.0);
        let half = student_t(values.len() - 1, confidence) * (variance / n).sqrt();
        Some(Self {
            mean,
            half_width: Some(half),
            lo: Some(mean - half),
            hi: Some(mean + half),
            runs: values.len(),
        })
    }

    /// As [`of`](Self::of), over the runs in which the metric exists; `runs` says how many did.
    pub fn of_present(values: &[Option<f64>]) -> Option<Self> {
        if let [value] = values {
            return value.and_then(|value| Self::of(&[value]));
        }
        let present: Vec<f64> = values.iter().copied().flatten().collect();
        Self::of(&present)
    }

    /// Half the width of the interval relative to the mean's size; none for a single run or a mean of zero.
    pub fn relative_half_width(&self) -> Option<f64> {
        self.half_width.filter(|_| self.mean != 0.0).map(|half| half / self.mean.abs())
    }
}

/// The mean of `after - before`, run by run: run k of both is played on the same random numbers. The values of both
/// must be as many.
pub fn paired_difference(before: &[f64], after: &[f64]) -> Option<Estimate> {
    assert_eq!(before.len(), after.len(), "a pair of runs is missing a half");
    let differences: Vec<f64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
    Estimate::of(&differences)
}

/// As [`paired_difference`], over the pairs in which both halves have the metric.
pub fn paired_difference_present(before: &[Option<f64>], after: &[Option<f64>]) -> Option<Estimate> {
    assert_eq!(before.len(), after.len(), "a pair of runs is missing a half");
    let differences: Vec<f64> = before.iter().zip(after).filter_map(|(b, a)| Some((*a)? - (*b)?)).collect();
    Estimate::of(&differences)
}

/// The share of runs in which something happened, with its 95 % confidence interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Proportion {
    /// Runs in which it happened.
    pub successes: u64,
    /// All runs.
    pub runs: u64,
    /// `successes / runs`.
    pub share: f64,
    /// The lower end of the interval; 0 if it never happened.
    pub lo: f64,
    /// The upper end of the interval; 1 if it always happened.
    pub hi: f64,
}

/// The share of `successes` among `runs`, with the exact interval of Clopper and Pearson ("The use of confidence or
/// fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934); none of no runs. It covers the
/// true share with at least 95 % for every share and number of runs: a verdict that holds by it may be believed.
pub fn binomial(successes: u64, runs: u64) -> Option<Proportion> {
    binomial_with(successes, runs, CONFIDENCE)
}

/// As [`binomial`], with an interval of another confidence.
pub fn binomial_with(successes: u64, runs: u64, confidence: f64) -> Option<Proportion> {
    assert!(successes <= runs, "{successes} of {runs} runs");
    if runs == 0 {
        return None;
    }
    let (k, n) = (successes as f64, runs as f64);
    let tail = (1.0 - confidence) / 2.0;
    let lo = if successes == 0 { 0.0 } else { beta_quantile(k, n - k + 1.0, tail) };
    let hi = if successes == runs { 1.0 } else { 1.0 - beta_quantile(n - k, k + 1.0, tail) };
    Some(Proportion { successes, runs, share: k / n, lo, hi })
}

/// The 95 % confidence interval of the median, from values in rising order: the order statistics that a Binomial(n,
/// 1/2) count puts around it, whatever the distribution (Conover, "Practical Nonparametric Statistics", section 3.2);
/// none below 6 values, where even the least and the greatest are too close.
pub fn median_interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let n = sorted.len();
    // Weights of 0, 1, 2, … successes relative to that of the middle, so that none vanishes or overflows.
    let mut weights = vec![1.0; n + 1];
    for k in (0..n / 2).rev() {
        weights[k] = weights[k + 1] * (k + 1) as f64 / (n - k) as f64;
    }
    for k in n / 2 + 1..=n {
        weights[k] = weights[k - 1] * (n - k + 1) as f64 / k as f64;
    }
    let tail = (1.0 - CONFIDENCE) / 2.0 * fold_sum(weights.iter().copied());
    let mut below = 0.0;
    let outside = weights.iter().take_while(|weight| {
        below += **weight;
        below <= tail
    });
    let outside = outside.count();
    (outside > 0).then(|| (sorted[outside - 1], sorted[n - outside]))
}

/// `x` rounded to 12 significant digits: finer than any interval needs, and as far as the quantiles below are right.
pub fn stable(x: f64) -> f64 {
    // Whole numbers have no more digits than that.
    if x.trunc() == x && x.abs() < 1e11 {
        return x;
    }
    format!("{x:.11e}").parse().unwrap_or(x)
}

/// The point that Student's t with `freedom` degrees of freedom, at least 1, stays within on both sides with
/// probability `within`.
pub fn student_t(freedom: usize, within: f64) -> f64 {
    stable(beta::student_t(freedom as f64, within))
}

/// The quantile of order `p` of the beta distribution with positive shapes `a` and `b`.
fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    stable(beta::quantile(a, b, p))
}

/// The sum, in order.
fn fold_sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, x| {
        debug_assert!(x.is_finite(), "{x} is no measurement");
        sum + x
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn intervals_of_the_median_are_those_of_the_tables() {
        // Conover's table of the binomial: n = 20 leaves five out on either side at 95.9 %, n = 10 one at 97.9 %.
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(median_interval(&values), Some((6.0, 15.0)));
        assert_eq!(median_interval(&values[..10]), Some((2.0, 9.0)));
        assert_eq!(median_interval(&values[..6]), Some((1.0, 6.0)));
        assert_eq!(median_interval(&values[..5]), None);
        assert_eq!(median_interval(&[]), None);
    }

    #[test]
    fn t_agrees_with_the_tables() {
        // NIST/SEMATECH e-Handbook, 1.3.6.7.2, to more digits.
        let table = [
            (1, 12.706_204_736),
            (2, 4.302_652_730),
            (4, 2.776_445_105),
            (9, 2.262_157_163),
            (29, 2.045_229_642),
            (100, 1.983_971_519),
            (1_000, 1.962_339_081),
        ];
        for (freedom, t) in table {
            assert_relative_eq!(student_t(freedom, CONFIDENCE), t, max_relative = 1e-9);
        }
    }

    #[test]
    fn an_estimate_by_hand() {
        let e = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((e.mean, e.runs), (3.0, 5));
        assert_relative_eq!(
            e.half_width.unwrap(),
            2.776_445_105 * (2.5f64 / 5.0).sqrt(),
            max_relative = 1e-9
        );
        assert_eq!((e.lo, e.hi), (Some(3.0 - e.half_width.unwrap()), Some(3.0 + e.half_width.unwrap())));
        assert_eq!(e.relative_half_width(), Some(e.half_width.unwrap() / 3.0));
    }

    #[test]
    fn more_confidence_makes_wider_intervals() {
        // t(4) at 99 %: 4.604094871; one of ten at 99 %: 0.0005011 to 0.5442871 (R's binom.test).
        let e = Estimate::with(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.99).unwrap();
        assert_relative_eq!(e.half_width.unwrap(), 4.604_094_871 * 0.5f64.sqrt(), max_relative = 1e-8);
        let p = binomial_with(1, 10, 0.99).unwrap();
        assert!((p.lo - 0.000_501_1).abs() < 1e-6 && (p.hi - 0.544_287_1).abs() < 1e-6, "{p:?}");
    }

    #[test]
    fn one_run_has_no_interval_and_none_no_mean() {
        assert_eq!(Estimate::of(&[]), None);
        let one = Estimate { mean: 7.0, half_width: None, lo: None, hi: None, runs: 1 };
        assert_eq!(Estimate::of(&[7.0]), Some(one));
        assert_eq!(Estimate::of_present(&[None, Some(7.0), None]), Some(one));
        assert_eq!(Estimate::of_present(&[None, None]), None);
    }

    #[test]
    fn pairs_cancel_what_they_share() {
        let (before, after) = ([10.0, 50.0, 30.0], [11.0, 51.0, 31.0]);
        let e = paired_difference(&before, &after).unwrap();
        assert_eq!((e.mean, e.half_width), (1.0, Some(0.0)));
        let e =
            paired_difference_present(&[Some(1.0), None, Some(2.0)], &[Some(4.0), Some(9.0), None]).unwrap();
        assert_eq!((e.mean, e.runs), (3.0, 1));
    }

    #[test]
    fn clopper_pearson_agrees_with_published_limits() {
        // With no success the upper limit is 1 - 0.025^(1/n); 7 of 20 and 5 of 10 as in R's binom.test.
        let cases = [
            (0, 10, 0.0, 0.308_497_1),
            (10, 10, 0.691_502_9, 1.0),
            (5, 10, 0.187_086_0, 0.812_914_0),
            (7, 20, 0.153_909_2, 0.592_188_5),
            (0, 200, 0.0, 0.018_275_34),
        ];
        for (successes, runs, lo, hi) in cases {
            let p = binomial(successes, runs).unwrap();
            assert!((p.lo - lo).abs() < 1e-7 && (p.hi - hi).abs() < 1e-7, "{p:?}");
            assert_eq!(p.share, successes as f64 / runs as f64);
        }
        assert_eq!(binomial(0, 0), None);
    }

    #[test]
    fn limits_enclose_the_share_and_mirror_each_other() {
        for runs in 1..60 {
            for successes in 0..=runs {
                let (p, q) = (binomial(successes, runs).unwrap(), binomial(runs - successes, runs).unwrap());
                assert!(p.lo <= p.share && p.share <= p.hi && 0.0 <= p.lo && p.hi <= 1.0, "{p:?}");
                assert!((p.lo - (1.0 - q.hi)).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn stable_forgets_the_last_bits_only() {
        assert_eq!(stable(2.0 / 3.0), 0.666_666_666_667);
        assert_eq!(stable(stable(12.706_204_736_432)), stable(12.706_204_736_432));
        assert_eq!((stable(0.0), stable(-1.5e-300)), (0.0, -1.5e-300));
        for whole in [-0.0, 1.0, -17.0, 99_999_999_999.0, 123_456_789_012.0, 1_234_567_890_123.0] {
            let written: f64 = format!("{whole:.11e}").parse().unwrap();
            assert_eq!(stable(whole).to_bits(), written.to_bits());
        }
        assert_eq!(stable(f64::INFINITY), f64::INFINITY);
        assert!(stable(f64::NAN).is_nan());
    }
}
