//! How a pod that was deleted ends: two branches that know nothing of each other.
//!
//! ```text
//!   deleted ──┬── endpoint controller ── endpoint_propagation ──► nobody sends requests any more
//!             │
//!             └── kubelet ── pre_stop ──► SIGTERM ── what is left of grace_period ──► SIGKILL
//! ```
//!
//! Intuition: the race is the point. If the server closes its listener at SIGTERM before everybody has learnt that the
//! pod is gone, the requests in between are refused. A `pre_stop` sleep longer than the propagation is the remedy.
//!
//! What surprises: the grace period includes the hook. A hook that is still running at its end is given up, SIGTERM is
//! sent then, and two seconds are left before SIGKILL: so much is always left, however short the grace period is.
//!
//! Source: Kubernetes, "Termination of Pods"; `killContainer` in `pkg/kubelet/kuberuntime` (1.20).

use crate::base::SimDuration;

/// The least time between SIGTERM and SIGKILL (`minimumGracePeriodInSeconds`).
const LEAST_NS: u64 = 2_000_000_000;

/// How a pod ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminationConfig {
    /// From deletion to SIGKILL (`terminationGracePeriodSeconds`).
    pub grace_period: SimDuration,
    /// How long the hook runs before SIGTERM.
    pub pre_stop: SimDuration,
    /// Whether the server closes its listener at SIGTERM and ends once it is idle.
    pub closes_listener: bool,
}

impl TerminationConfig {
    /// From deletion to SIGTERM.
    pub fn sigterm_after(&self) -> SimDuration {
        self.pre_stop.min(self.grace_period)
    }

    /// From deletion to SIGKILL.
    pub fn sigkill_after(&self) -> SimDuration {
        let hook = self.sigterm_after().ns();
        let left = self.grace_period.ns() - hook;
        SimDuration::from_ns(hook + left.max(LEAST_NS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(grace_s: u64, pre_stop_s: u64) -> (u64, u64) {
        let config = TerminationConfig {
            grace_period: SimDuration::from_secs(grace_s),
            pre_stop: SimDuration::from_secs(pre_stop_s),
            closes_listener: true,
        };
        (config.sigterm_after().ns() / 1_000_000_000, config.sigkill_after().ns() / 1_000_000_000)
    }

    #[test]
    fn the_hook_is_part_of_the_grace_period() {
        assert_eq!(times(30, 0), (0, 30));
        assert_eq!(times(30, 10), (10, 30));
        assert_eq!(times(30, 29), (29, 31));
        assert_eq!(times(30, 100), (30, 32));
        assert_eq!(times(1, 0), (0, 2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn sigkill_is_at_the_end_of_grace_or_two_seconds_after_sigterm(grace in 0u64..100, hook in 0u64..200) {
            let (term, kill) = times(grace, hook);
            prop_assert_eq!(term, hook.min(grace));
            prop_assert!(kill >= grace && kill <= grace + 2);
            prop_assert!(kill == grace || kill == term + 2);
        }
    }
}
