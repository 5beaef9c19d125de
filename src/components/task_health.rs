//! A container's health check as Docker makes it and Amazon ECS reads it.
//!
//! Intuition: so many failures in a row make a container unhealthy, and one success makes it healthy again. Failures
//! within the start period do not count, but the first success ends that period.
//!
//! What surprises: the first check comes an interval after the start, and each next one an interval after the *end* of
//! the one before, so checks that time out are further apart. With ECS' defaults a dead container is found after 75 to
//! 105 seconds.
//!
//! Source: `daemon/health.go` of Docker; Amazon ECS, API reference, `HealthCheck` (2023).

use crate::base::SimDuration;

/// How a container is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskHealthConfig {
    /// From the end of a check to the next.
    pub interval: SimDuration,
    /// The longest wait for a check.
    pub timeout: SimDuration,
    /// Failures in a row that make it unhealthy; at least 1.
    pub retries: u32,
    /// How long after its start failures do not count.
    pub start_period: SimDuration,
}

/// What is known of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskStatus {
    /// Nothing yet.
    Unknown,
    /// The last check succeeded.
    Healthy,
    /// So many checks in a row have failed.
    Unhealthy,
}

/// A container as its checks see it.
#[derive(Clone, Copy, Debug)]
pub struct TaskHealth {
    status: TaskStatus,
    failures: u32,
}

impl TaskHealth {
    /// A container that is believed to be so.
    pub fn new(status: TaskStatus) -> Self {
        Self { status, failures: 0 }
    }

    /// What is known.
    #[inline]
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// A check of a container has ended that started so long ago.
    pub fn on_check(&mut self, config: &TaskHealthConfig, age: SimDuration, passed: bool) {
        if passed {
            *self = Self::new(TaskStatus::Healthy);
            return;
        }
        if self.status == TaskStatus::Unknown && age < config.start_period {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= config.retries {
            self.status = TaskStatus::Unhealthy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(start_period_s: u64) -> TaskHealthConfig {
        TaskHealthConfig {
            interval: SimDuration::from_secs(30),
            timeout: SimDuration::from_secs(5),
            retries: 3,
            start_period: SimDuration::from_secs(start_period_s),
        }
    }

    /// Plays checks 30 s apart and writes the status after each.
    fn replay(config: &TaskHealthConfig, checks: &str) -> String {
        let mut health = TaskHealth::new(TaskStatus::Unknown);
        let step = |(i, c)| {
            health.on_check(config, SimDuration::from_secs(30 * (i as u64 + 1)), c == '+');
            match health.status() {
                TaskStatus::Unknown => '?',
                TaskStatus::Healthy => 'h',
                TaskStatus::Unhealthy => 'u',
            }
        };
        checks.chars().enumerate().map(step).collect()
    }

    #[test]
    fn three_failures_in_a_row_and_one_success() {
        assert_eq!(replay(&config(0), "---+--+---"), "??uhhhhhhu");
    }

    #[test]
    fn the_start_period_forgives_until_the_first_success() {
        assert_eq!(replay(&config(100), "------"), "?????u");
        assert_eq!(replay(&config(1_000), "+---"), "hhhu");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn unhealthy_needs_its_retries(checks in prop::collection::vec(any::<bool>(), 1..40), start in 0u64..600) {
            let config = config(start);
            let mut health = TaskHealth::new(TaskStatus::Unknown);
            for (i, passed) in checks.iter().enumerate() {
                let before = health.status();
                health.on_check(&config, SimDuration::from_secs(30 * (i as u64 + 1)), *passed);
                prop_assert_eq!(*passed, *passed && health.status() == TaskStatus::Healthy);
                if before != TaskStatus::Unhealthy && health.status() == TaskStatus::Unhealthy {
                    prop_assert!(i >= 2 && checks[i - 2..=i].iter().all(|c| !c));
                    let forgiven = checks[..=i].iter().all(|c| !c) && 30 * (i as u64 - 1) < start;
                    prop_assert!(!forgiven);
                }
            }
        }
    }
}
