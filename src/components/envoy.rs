//! What an Envoy cluster makes of its hosts' health: when the balancer hears of a change, and when it panics.
//!
//! Intuition: changes of health are gathered, so that the balancer is not built anew for each. The first after a quiet
//! time takes effect at once, the next ones up to a window later. And if too few hosts are healthy, health is no longer
//! looked at: all hosts together may carry what the healthy ones cannot.
//!
//! Source: Envoy 1.40.0, `source/common/upstream/cluster_manager_impl.cc` (`scheduleUpdate`) and
//! `load_balancer_impl.cc` (`recalculatePerPriorityPanic`), compared with recordings (`tests/conformance/envoy`).

use crate::base::{SimDuration, SimTime};

/// Hosts that are healthy are taken to carry 1.4 times their share.
const OVERPROVISIONING: u64 = 140;

/// Whether a cluster panics: fewer than `threshold` percent of its hosts are healthy. Strictly fewer; and never where
/// the healthy ones, overprovisioned by 1.4, carry everything (from 71.43 % on).
pub fn panics(threshold: u32, healthy: u32, hosts: u32) -> bool {
    if hosts == 0 {
        return threshold > 0;
    }
    let availability = (OVERPROVISIONING * u64::from(healthy) / u64::from(hosts)).min(100);
    availability < 100 && 100.0 * f64::from(healthy) / f64::from(hosts) < f64::from(threshold.min(100))
}

/// What to do about a change of health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// The balancer hears of all changes now.
    Now,
    /// It hears of them then: ask for [`MergeWindow::on_time`] at this moment.
    At(SimTime),
    /// It hears of them when it hears of those before.
    Pending,
}

/// The window in which changes of health are merged (`update_merge_window`).
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeWindow {
    last: Option<SimTime>,
    pending: Option<SimTime>,
}

impl MergeWindow {
    /// The health of some host changed.
    pub fn on_change(&mut self, now: SimTime, window: SimDuration) -> Update {
        let is_out = self.last.is_none_or(|last| now.since(last) > window);
        if is_out || window.is_zero() {
            self.on_members(now);
            return Update::Now;
        }
        if self.pending.is_some() {
            return Update::Pending;
        }
        let then = now + window;
        self.pending = Some(then);
        Update::At(then)
    }

    /// A host was added or removed: the balancer hears of everything at once.
    pub fn on_members(&mut self, now: SimTime) {
        *self = Self { last: Some(now), pending: None };
    }

    /// A moment that was asked for: whether the balancer hears of changes now.
    pub fn on_time(&mut self, now: SimTime) -> bool {
        let is_due = self.pending == Some(now);
        if is_due {
            self.on_members(now);
        }
        is_due
    }
}

/// Envoy's HTTP health check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckConfig {
    /// From an answer to the next check.
    pub interval: SimDuration,
    /// The most that is added at random.
    pub interval_jitter: SimDuration,
    /// Checks without an answer in a row that make a host unhealthy; at least 1.
    pub unhealthy_threshold: u32,
    /// Passed checks in a row that make a host healthy; at least 1.
    pub healthy_threshold: u32,
    /// The interval as long as there was never a request.
    pub no_traffic_interval: SimDuration,
    /// The interval after a failed check.
    pub unhealthy_interval: SimDuration,
    /// The interval after a failed check that has changed nothing yet.
    pub unhealthy_edge_interval: SimDuration,
    /// The interval after a passed check that has changed nothing yet.
    pub healthy_edge_interval: SimDuration,
}

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckResult {
    /// With the expected status.
    Passed,
    /// With another status.
    WrongStatus,
    /// Without an answer: a timeout, a refused or broken connection.
    NoAnswer,
}

/// What a check did to what is believed of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transition {
    /// Nothing.
    Unchanged,
    /// It is healthy now and was not, or the other way round.
    Changed,
    /// More such checks will change it.
    ChangePending,
}

/// One host by its active checks. Source: `source/common/upstream/health_checker_impl.cc` and
/// `health_checker_base_impl.cc` of Envoy 1.40.0; read, not recorded.
#[derive(Clone, Copy, Debug)]
pub struct HostCheck {
    is_healthy: bool,
    is_first: bool,
    passed: u32,
    failed: u32,
}

impl HostCheck {
    /// A host that was just added: unhealthy until its first check.
    pub fn added() -> Self {
        Self { is_healthy: false, is_first: true, passed: 0, failed: 0 }
    }

    /// A host of which that is known.
    pub fn known(is_healthy: bool) -> Self {
        Self { is_healthy, is_first: false, passed: 0, failed: 0 }
    }

    /// What is believed.
    #[inline]
    pub fn is_healthy(&self) -> bool {
        self.is_healthy
    }

    /// A check ended.
    pub fn on_result(&mut self, config: &CheckConfig, result: CheckResult) -> Transition {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let passed = result == CheckResult::Passed;
        if passed {
            self.failed = 0;
            if self.is_healthy {
                return Transition::Unchanged;
            }
            self.passed += 1;
            if !is_first && self.passed < config.healthy_threshold {
                return Transition::ChangePending;
            }
        } else {
            self.passed = 0;
            if !self.is_healthy {
                return Transition::Unchanged;
            }
            self.failed += 1;
            if result == CheckResult::NoAnswer && self.failed < config.unhealthy_threshold {
                return Transition::ChangePending;
            }
        }
        *self = Self::known(passed);
        Transition::Changed
    }
}

impl CheckConfig {
    /// From an answer to the next check. `jitter` is uniform from 0 to 1.
    pub fn wait(&self, passed: bool, did: Transition, had_traffic: bool, jitter: f64) -> SimDuration {
        let base = match (had_traffic, passed, did) {
            (false, ..) => self.no_traffic_interval,
            (true, true, Transition::ChangePending) => self.healthy_edge_interval,
            (true, true, _) => self.interval,
            (true, false, Transition::ChangePending) => self.unhealthy_edge_interval,
            (true, false, _) => self.unhealthy_interval,
        };
        base + self.interval_jitter.scaled(jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    #[test]
    fn it_panics_strictly_below_the_threshold() {
        assert!(!panics(50, 5, 10));
        assert!(panics(50, 4, 10));
        assert!(!panics(70, 7, 10) && panics(70, 6, 10));
        assert!(!panics(0, 0, 10) && panics(1, 0, 10));
        // Healthy hosts that carry everything are no reason to panic, whatever the threshold.
        assert!(!panics(100, 5, 7) && panics(100, 7, 10));
    }

    #[test]
    fn the_first_change_is_heard_at_once_and_the_next_a_window_later() {
        let (mut merge, window) = (MergeWindow::default(), SimDuration::from_secs(1));
        assert_eq!(merge.on_change(at(2121), window), Update::Now);
        assert_eq!(merge.on_change(at(2149), window), Update::At(at(3149)));
        assert_eq!(merge.on_change(at(3000), window), Update::Pending);
        assert!(merge.on_time(at(3149)));
        assert_eq!(merge.on_change(at(3600), window), Update::At(at(4600)));
        // A new host brings the news with it.
        merge.on_members(at(4000));
        assert!(!merge.on_time(at(4600)));
        assert_eq!(merge.on_change(at(4600), window), Update::At(at(5600)));
        assert_eq!(merge.on_change(at(4700), SimDuration::ZERO), Update::Now);
    }

    fn checks(host: HostCheck, results: &str) -> String {
        let s = SimDuration::from_secs;
        let config = CheckConfig {
            interval: s(5),
            interval_jitter: s(0),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
            no_traffic_interval: s(60),
            unhealthy_interval: s(7),
            unhealthy_edge_interval: s(1),
            healthy_edge_interval: s(2),
        };
        let mut host = host;
        let mut step = |letter| {
            let result = match letter {
                '+' => CheckResult::Passed,
                '!' => CheckResult::WrongStatus,
                _ => CheckResult::NoAnswer,
            };
            let did = host.on_result(&config, result);
            let wait = config.wait(letter == '+', did, true, 0.5).seconds();
            format!("{}{wait} ", if host.is_healthy() { 'h' } else { 'u' })
        };
        results.chars().map(&mut step).collect()
    }

    #[test]
    fn a_wrong_status_makes_a_host_unhealthy_at_once_and_no_answer_only_after_some() {
        assert_eq!(checks(HostCheck::known(true), "!++"), "u7 u2 h5 ");
        assert_eq!(checks(HostCheck::known(true), "--+---"), "h1 h1 h5 h1 h1 u7 ");
    }

    #[test]
    fn the_first_check_of_a_host_is_enough() {
        assert_eq!(checks(HostCheck::added(), "+"), "h5 ");
        assert_eq!(checks(HostCheck::added(), "-+-++"), "u7 u2 u7 u2 h5 ");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_change_is_heard_of_later_than_a_window(
            window in 0u64..50,
            waits in prop::collection::vec((0u64..60, any::<bool>()), 1..50),
        ) {
            let (mut merge, mut now) = (MergeWindow::default(), 0);
            let mut unheard: Option<u64> = None;
            let mut due: Option<u64> = None;
            for (wait, is_member) in waits {
                now += wait;
                if let Some(then) = due.filter(|then| *then <= now) {
                    due = None;
                    if merge.on_time(at(then)) { unheard = None; }
                }
                prop_assert!(unheard.is_none_or(|since| now - since <= window));
                if is_member {
                    merge.on_members(at(now));
                    unheard = None;
                    continue;
                }
                match merge.on_change(at(now), SimDuration::from_ms(window)) {
                    Update::Now => unheard = None,
                    Update::At(then) => {
                        due = Some(then.ns() / 1_000_000);
                        unheard.get_or_insert(now);
                    }
                    Update::Pending => prop_assert!(unheard.is_some()),
                }
            }
        }
    }
}
