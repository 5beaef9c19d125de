//! The kubelet's back-off between restarts of a container: the wait doubles with each end of a container that did not
//! run for long (`CrashLoopBackOff`).
//!
//! Intuition: the first restart is free; each further one within ten minutes of the last costs twice as much as the
//! one before. Defaults: at once, then 10, 20, 40, 80, 160, 300, 300 ... seconds from the end of the container.
//!
//! What surprises: it is reset only if a container ends *more than* twice the maximum after it was last restarted, so
//! a container that ran for nine minutes still waits longer next time. Why it ended does not matter: exit code 0
//! counts, too. The kubelet looks once a second or less often, so real waits are a little longer.
//!
//! Source: `doBackOff` in `pkg/kubelet/kuberuntime` and `client-go/util/flowcontrol/backoff.go` of Kubernetes 1.20.

use crate::base::{SimDuration, SimTime};

/// How long to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackOffConfig {
    /// The wait before the second restart (10 s).
    pub initial: SimDuration,
    /// The longest wait (300 s).
    pub max: SimDuration,
}

/// The restarts of one container.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackOff {
    /// The next wait, and when the container was last restarted.
    entry: Option<(SimDuration, SimTime)>,
}

impl BackOff {
    /// A container has ended; answers how long from then it is restarted.
    pub fn on_end(&mut self, config: &BackOffConfig, now: SimTime) -> SimDuration {
        let longest_ns = config.max.ns().saturating_mul(2);
        let wait = match self.entry {
            Some((wait, restarted)) if now.ns().saturating_sub(restarted.ns()) <= longest_ns => wait,
            _ => {
                self.entry = Some((config.initial.min(config.max), now));
                return SimDuration::ZERO;
            }
        };
        let next = SimDuration::from_ns(wait.ns().saturating_mul(2).min(config.max.ns()));
        self.entry = Some((next, now + wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kubernetes() -> BackOffConfig {
        BackOffConfig { initial: SimDuration::from_secs(10), max: SimDuration::from_secs(300) }
    }

    /// Waits in seconds of a container that runs for so many seconds each time.
    fn waits(runs: &[u64]) -> Vec<u64> {
        let (mut back_off, mut now) = (BackOff::default(), SimTime::ZERO);
        let mut wait = |run: &u64| {
            now += SimDuration::from_secs(*run);
            let wait = back_off.on_end(&kubernetes(), now);
            now += wait;
            wait.ns() / 1_000_000_000
        };
        runs.iter().map(&mut wait).collect()
    }

    #[test]
    fn the_wait_doubles_up_to_five_minutes() {
        assert_eq!(waits(&[1; 9]), [0, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn more_than_ten_minutes_of_running_reset_it() {
        assert_eq!(waits(&[1, 1, 1, 600, 600]), [0, 10, 20, 40, 80]);
        assert_eq!(waits(&[1, 1, 1, 601, 1]), [0, 10, 20, 0, 10]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn waits_are_none_or_double(runs in prop::collection::vec(0u64..1_000, 1..30)) {
            let waits = waits(&runs);
            prop_assert_eq!(waits[0], 0);
            for i in 1..waits.len() {
                let expected = match (runs[i] > 600, waits[i - 1]) {
                    (true, _) => 0,
                    (false, 0) => 10,
                    (false, before) => (before * 2).min(300),
                };
                prop_assert_eq!(waits[i], expected);
            }
        }
    }
}
