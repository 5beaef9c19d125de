//! What a balancer believes about one target: not whether it works, but what its last checks said.
//!
//! Intuition: belief lags. A dead target keeps its traffic until enough checks in a row have failed, and a healed
//! one stays idle until enough have passed.
//!
//! ```text
//!              first pass                     unhealthy_threshold fails in a row
//!   Initial ──────────────────► Healthy ─────────────────────────────────────────► Unhealthy
//!      │                           ▲                                                 │   ▲
//!      │                           └──────── healthy_threshold passes in a row ──────┘   │
//!      └─────────────────── unhealthy_threshold fails in a row ──────────────────────────┘
//! ```
//!
//! Source: AWS Application Load Balancer, user guide of June 2023: "a newly registered target needs only one
//! passing check".

/// How many checks in a row change the belief.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthConfig {
    /// Passes in a row after which an unhealthy target is healthy; at least 1 (ALB: 5, from 2 to 10).
    pub healthy_threshold: u32,
    /// Fails in a row after which a target is unhealthy; at least 1 (ALB: 2, from 2 to 10).
    pub unhealthy_threshold: u32,
}

/// The belief.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetHealth {
    /// Registered, and nothing is known yet.
    Initial,
    /// Gets traffic.
    Healthy,
    /// Gets none, unless the balancer fails open.
    Unhealthy,
}

/// One target as its balancer sees it.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    state: TargetHealth,
    /// Checks in a row that spoke against the present state.
    contrary: u32,
}

impl Health {
    /// A target of which `initial` is believed: `Initial` when it registers, `Healthy` to begin in steady state.
    pub fn new(initial: TargetHealth) -> Self {
        Self { state: initial, contrary: 0 }
    }

    /// What is believed now.
    #[inline]
    pub fn state(&self) -> TargetHealth {
        self.state
    }

    /// A check ended. Answers with the new belief if it changed.
    pub fn on_check(&mut self, config: &HealthConfig, passed: bool) -> Option<TargetHealth> {
        debug_assert!(config.healthy_threshold > 0 && config.unhealthy_threshold > 0);
        let (other, threshold) = match (self.state, passed) {
            (TargetHealth::Initial, true) => (TargetHealth::Healthy, 1),
            (TargetHealth::Unhealthy, true) => (TargetHealth::Healthy, config.healthy_threshold),
            (TargetHealth::Initial | TargetHealth::Healthy, false) => {
                (TargetHealth::Unhealthy, config.unhealthy_threshold)
            }
            (TargetHealth::Healthy, true) | (TargetHealth::Unhealthy, false) => {
                self.contrary = 0;
                return None;
            }
        };
        self.contrary += 1;
        if self.contrary < threshold {
            return None;
        }
        *self = Self::new(other);
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays checks (`+` passed, `-` failed) with thresholds 3 up and 2 down, and writes the belief after each.
    fn replay(initial: TargetHealth, checks: &str) -> String {
        let config = HealthConfig { healthy_threshold: 3, unhealthy_threshold: 2 };
        let mut health = Health::new(initial);
        let letter = |state| match state {
            TargetHealth::Initial => 'i',
            TargetHealth::Healthy => 'h',
            TargetHealth::Unhealthy => 'u',
        };
        let step = |check| {
            let before = health.state();
            let change = health.on_check(&config, check == '+');
            assert_eq!(change.unwrap_or(before), health.state());
            assert_ne!(change, Some(before));
            letter(health.state())
        };
        checks.chars().map(step).collect()
    }

    #[test]
    fn a_new_target_needs_only_one_pass() {
        assert_eq!(replay(TargetHealth::Initial, "+"), "h");
        assert_eq!(replay(TargetHealth::Initial, "-+"), "ih");
    }

    #[test]
    fn a_new_target_that_fails_is_unhealthy_and_then_needs_all_passes() {
        assert_eq!(replay(TargetHealth::Initial, "--+++"), "iuuuh");
    }

    #[test]
    fn only_checks_in_a_row_count() {
        assert_eq!(replay(TargetHealth::Healthy, "-+-+--"), "hhhhhu");
        assert_eq!(replay(TargetHealth::Unhealthy, "++-++-+++"), "uuuuuuuuh");
    }

    #[test]
    fn counting_begins_anew_in_each_state() {
        assert_eq!(replay(TargetHealth::Healthy, "--+++--+++"), "huuuhhuuuh");
    }
}
