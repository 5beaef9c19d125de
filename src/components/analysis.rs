//! The analysis of a canary: is the new version worse than it may be?
//!
//! Intuition: it counts failures, not successes. With `failure_limit: 0` the first bad measurement ends it, and a
//! version that is bad only now and then needs luck to be found in few measurements of few requests.
//!
//! Source: `AnalysisRun` of Argo Rollouts 1.7 (`analysis/analysis.go`: `assessMetricStatus`): more than `failureLimit`
//! failed measurements fail the run, `count` measurements that say something end it well. A measurement without data is
//! inconclusive and made again.

/// What is looked at, and what may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AnalysisConfig {
    /// How many measurements.
    pub count: u32,
    /// How many of them may fail.
    pub failure_limit: u32,
    /// The highest error ratio.
    pub max_error_ratio: Option<f64>,
    /// How much more of the requests may fail than with the old version.
    pub max_error_ratio_over_stable: Option<f64>,
    /// The highest latency, in seconds.
    pub max_latency_s: Option<f64>,
    /// The highest latency, in latencies of the old version.
    pub max_latency_times_stable: Option<f64>,
}

/// What the instances of a version did in an interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measurement {
    /// The share of requests that failed.
    pub error_ratio: f64,
    /// Their latency at the percentile that is looked at, in seconds.
    pub latency_s: f64,
}

/// What has become of an analysis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on.
    Running,
    /// It ended well.
    Passed,
    /// Too many measurements failed.
    Failed,
}

/// An analysis under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Analysis {
    measured: u32,
    failed: u32,
}

impl Analysis {
    /// An interval is over. Who had no request has no measurement.
    pub fn on_interval(
        &mut self,
        config: &AnalysisConfig,
        canary: Option<Measurement>,
        stable: Option<Measurement>,
    ) -> Verdict {
        let compares =
            config.max_error_ratio_over_stable.is_some() || config.max_latency_times_stable.is_some();
        let Some(canary) = canary.filter(|_| !compares || stable.is_some()) else { return Verdict::Running };
        let beyond = |value: f64, limit: Option<f64>| limit.is_some_and(|limit| value > limit);
        let mut is_bad = beyond(canary.error_ratio, config.max_error_ratio)
            || beyond(canary.latency_s, config.max_latency_s);
        if let Some(stable) = stable {
            let times = config.max_latency_times_stable.map(|times| times * stable.latency_s);
            is_bad |= beyond(canary.error_ratio - stable.error_ratio, config.max_error_ratio_over_stable)
                || beyond(canary.latency_s, times);
        }
        self.measured += 1;
        self.failed += u32::from(is_bad);
        if self.failed > config.failure_limit {
            Verdict::Failed
        } else if self.measured >= config.count {
            Verdict::Passed
        } else {
            Verdict::Running
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: AnalysisConfig = AnalysisConfig {
        count: 3,
        failure_limit: 1,
        max_error_ratio: None,
        max_error_ratio_over_stable: None,
        max_latency_s: None,
        max_latency_times_stable: None,
    };

    fn of(error_ratio: f64, latency_s: f64) -> Option<Measurement> {
        Some(Measurement { error_ratio, latency_s })
    }

    #[test]
    fn more_failures_than_allowed_fail_it() {
        let config = AnalysisConfig { max_error_ratio: Some(0.01), ..NONE };
        let mut analysis = Analysis::default();
        assert_eq!(analysis.on_interval(&config, of(0.02, 0.1), None), Verdict::Running);
        assert_eq!(analysis.on_interval(&config, of(0.01, 0.1), None), Verdict::Running);
        assert_eq!(analysis.on_interval(&config, of(0.02, 0.1), None), Verdict::Failed);
    }

    #[test]
    fn it_passes_after_so_many_measurements_that_say_something() {
        let config = AnalysisConfig { max_error_ratio: Some(0.01), failure_limit: 0, ..NONE };
        let mut analysis = Analysis::default();
        for _ in 0..10 {
            assert_eq!(analysis.on_interval(&config, None, None), Verdict::Running, "no request came");
        }
        assert_eq!(analysis.on_interval(&config, of(0.0, 0.1), None), Verdict::Running);
        assert_eq!(analysis.on_interval(&config, of(0.0, 0.1), None), Verdict::Running);
        assert_eq!(analysis.on_interval(&config, of(0.0, 0.1), None), Verdict::Passed);
    }

    #[test]
    fn what_both_versions_suffer_is_not_the_new_ones_fault() {
        let config = AnalysisConfig {
            max_error_ratio_over_stable: Some(0.01),
            max_latency_times_stable: Some(1.5),
            failure_limit: 0,
            count: 1,
            ..NONE
        };
        let passes = |canary, stable| Analysis::default().on_interval(&config, canary, stable);
        assert_eq!(passes(of(0.30, 1.0), of(0.30, 1.0)), Verdict::Passed);
        assert_eq!(passes(of(0.32, 1.0), of(0.30, 1.0)), Verdict::Failed);
        assert_eq!(passes(of(0.30, 1.6), of(0.30, 1.0)), Verdict::Failed);
        assert_eq!(passes(of(0.30, 1.6), None), Verdict::Running, "there is nothing to compare with");
    }
}
