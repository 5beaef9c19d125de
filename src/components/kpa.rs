//! Knative's pod autoscaler (KPA): replicas by requests in flight, with a window for calm and one for panic.
//!
//! Every tick (2 s) it compares two means of the concurrency, over the stable window (60 s) and over the panic window
//! (a tenth of it), with what a pod should have. If the short one asks for twice the pods that are ready, it panics:
//! for at least a stable window from then on the larger of both counts, and nothing shrinks. In calm times the stable
//! one counts, so that load that goes away leaves its pods for a minute. One tick at most halves what is ready, or
//! multiplies it by a thousand. When nothing was asked for a stable window and the grace after it, no pod remains.
//!
//! Surprising: rates are about pods that are *ready*, so pods that are slow to start do not hold back the next tick;
//! the threshold of panic is about pods before any rate; and an autoscaler that starts with more than one ready pod
//! starts in panic.
//!
//! Source: Knative Serving `pkg/autoscaler/scaling/autoscaler.go` and `config-autoscaler` (1.12, 2023). Left out:
//! `scale-down-delay`, and the activator as a buffer before pods that are ready (`target-burst-capacity`), which has no
//! influence on how many there are.

use crate::base::{SimDuration, SimTime};
use std::collections::VecDeque;

/// The settings of a [`Kpa`], with the product's names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KpaConfig {
    /// Requests that a pod should have at once: `container-concurrency-target-default` times
    /// `container-concurrency-target-percentage`.
    pub target: f64,
    /// The window of calm (`stable-window`), in whole seconds.
    pub stable_window: SimDuration,
    /// The window of panic in seconds (`panic-window-percentage` of the stable one).
    pub panic_window: SimDuration,
    /// So many times the ready pods asked for is panic (`panic-threshold-percentage` / 100).
    pub panic_threshold: f64,
    /// At most so many times the ready pods (`max-scale-up-rate`).
    pub max_scale_up_rate: f64,
    /// At least the ready pods over this (`max-scale-down-rate`).
    pub max_scale_down_rate: f64,
    /// How long after the last was asked for the last pod goes (`scale-to-zero-grace-period`).
    pub scale_to_zero_grace_period: SimDuration,
    /// The fewest pods if there are any (`activation-scale`).
    pub activation_scale: u32,
    /// The fewest pods (`min-scale`).
    pub min_scale: u32,
    /// The most pods (`max-scale`).
    pub max_scale: u32,
}

/// The autoscaler and what it remembers.
#[derive(Clone, Debug)]
pub struct Kpa {
    config: KpaConfig,
    /// The mean concurrency of each of the last seconds, the newest last.
    seconds: VecDeque<f64>,
    /// When panic was last seen to be called for, and the most pods since it began.
    panic: Option<(SimTime, u32)>,
    /// Since when there are any.
    active_since: SimTime,
    /// Since when none are wanted.
    idle_since: Option<SimTime>,
}

impl Kpa {
    /// An autoscaler that starts with so many ready pods.
    pub fn new(config: KpaConfig, now: SimTime, ready: u32) -> Self {
        let panic = (ready > 1).then_some((now, ready));
        Self { config, seconds: VecDeque::new(), panic, active_since: now, idle_since: None }
    }

    /// How it behaves.
    pub fn config(&self) -> &KpaConfig {
        &self.config
    }

    /// Behaves differently from now on, and remembers what it has seen.
    pub fn reconfigure(&mut self, config: KpaConfig) {
        self.config = config;
    }

    /// Whether it panics.
    pub fn panics(&self) -> bool {
        self.panic.is_some()
    }

    /// The mean concurrency of the second that is over: of all pods together, and of who waits for one.
    pub fn observe(&mut self, concurrency: f64) {
        self.seconds.push_back(concurrency);
        while self.seconds.len() > seconds(self.config.stable_window) {
            self.seconds.pop_front();
        }
    }

    /// The mean over the last seconds, or over those that there are.
    fn mean(&self, window: SimDuration) -> Option<f64> {
        let count = seconds(window).min(self.seconds.len());
        let sum: f64 = self.seconds.iter().rev().take(count).sum();
        (count > 0).then(|| sum / count as f64)
    }

    /// A tick: how many pods there should be, given how many should be so far and how many are ready.
    pub fn decide(&mut self, now: SimTime, current: u32, ready: u32) -> u32 {
        let config = self.config;
        let means = (self.mean(config.stable_window), self.mean(config.panic_window));
        let (Some(stable), Some(panic)) = means else { return current };
        let pods = f64::from(ready.max(1));
        let (most, least) =
            (libm::ceil(config.max_scale_up_rate * pods), libm::floor(pods / config.max_scale_down_rate));
        let wanted = |mean: f64| libm::ceil(mean / config.target);
        let bounded = |wanted: f64| {
            let pods = wanted.max(least).min(most).min(f64::from(u32::MAX)) as u32;
            if wanted > 0.0 { pods.max(config.activation_scale) } else { pods }
        };
        let (by_stable, by_panic) = (bounded(wanted(stable)), bounded(wanted(panic)));
        if wanted(panic) / pods >= config.panic_threshold {
            let most_so_far = self.panic.map_or(0, |(_, pods)| pods);
            self.panic = Some((now, most_so_far));
        } else if self.panic.is_some_and(|(since, _)| since + config.stable_window < now) {
            self.panic = None;
        }
        let desired = match &mut self.panic {
            Some((_, most)) => {
                *most = (*most).max(by_stable).max(by_panic);
                *most
            }
            None => by_stable,
        };
        // Who has been there for less than a window has not been seen idle for one.
        let is_new = now.since(self.active_since) < config.stable_window;
        let least = config.min_scale.max(u32::from(is_new && current > 0));
        let desired = desired.max(least).min(config.max_scale);
        self.idle_since = (desired == 0).then(|| self.idle_since.unwrap_or(now));
        match self.idle_since {
            Some(since) if now.since(since) < config.scale_to_zero_grace_period => current.min(1),
            _ => desired,
        }
    }

    /// A request has come while there is no pod: how many there should be.
    pub fn activate(&mut self, now: SimTime) -> u32 {
        (self.active_since, self.idle_since) = (now, None);
        self.config.activation_scale.max(1).min(self.config.max_scale)
    }
}

/// A window in whole seconds, one at least.
fn seconds(window: SimDuration) -> usize {
    (window.ns() / 1_000_000_000).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: KpaConfig = KpaConfig {
        target: 70.0,
        stable_window: SimDuration::from_secs(60),
        panic_window: SimDuration::from_secs(6),
        panic_threshold: 2.0,
        max_scale_up_rate: 1000.0,
        max_scale_down_rate: 2.0,
        scale_to_zero_grace_period: SimDuration::from_secs(30),
        activation_scale: 1,
        min_scale: 0,
        max_scale: 100,
    };

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    /// Plays a concurrency for each second; pods are ready at once. Returns the pods after each tick of 2 s.
    fn play(kpa: &mut Kpa, from: u64, mut pods: u32, seconds: &[f64]) -> Vec<u32> {
        let mut all = Vec::new();
        for (i, concurrency) in (1..).zip(seconds) {
            kpa.observe(*concurrency);
            if i % 2 == 0 {
                pods = kpa.decide(at(from + i), pods, pods);
                all.push(pods);
            }
        }
        all
    }

    #[test]
    fn a_surge_is_met_in_panic_and_nothing_shrinks_for_a_minute() {
        let mut kpa = Kpa::new(CONFIG, at(0), 1);
        assert_eq!(play(&mut kpa, 0, 1, &[50.0; 60]), [1; 30]);
        assert!(!kpa.panics());
        // 50, 50, 50, 50, 700, 700: 267 over 70 is 4 pods, four times what is ready; then 484 (7), 700 (10).
        assert_eq!(play(&mut kpa, 60, 1, &[700.0; 6]), [4, 7, 10]);
        assert!(kpa.panics());
        // Panic was last called for at 62 s, with 1 pod; 484 / 70 are not twice the 4 that are ready then.
        let after = play(&mut kpa, 66, 10, &[50.0; 70]);
        assert_eq!(after[..28], [10; 28], "{after:?}");
        // The stable window has nothing but calm at 126 s; one tick at most halves.
        assert_eq!(after[28..], [5, 2, 1, 1, 1, 1, 1], "{after:?}");
    }

    #[test]
    fn none_remain_after_a_window_without_requests_and_the_grace() {
        let mut kpa = Kpa::new(CONFIG, at(0), 1);
        play(&mut kpa, 0, 1, &[10.0; 60]);
        let after = play(&mut kpa, 60, 1, &[0.0; 100]);
        // Nothing in the window at 120 s, and 30 s later none.
        let first = after.iter().position(|pods| *pods == 0).unwrap();
        assert_eq!(60 + 2 * (first + 1), 150);
        assert_eq!(kpa.activate(at(170)), 1);
    }

    #[test]
    fn more_than_one_pod_at_the_start_is_panic() {
        assert!(Kpa::new(CONFIG, at(0), 2).panics());
        let mut kpa = Kpa::new(CONFIG, at(0), 8);
        let all = play(&mut kpa, 0, 8, &[10.0; 80]);
        assert_eq!(all[..30], [8; 30]);
        assert_eq!(all[30..34], [4, 2, 1, 1]);
    }

    #[test]
    fn without_measurements_nothing_changes() {
        assert_eq!(Kpa::new(CONFIG, at(0), 1).decide(at(2), 7, 3), 7);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// The bounds and the rates hold, nothing shrinks in panic, and zero comes only after a window without
        /// requests and the grace.
        #[test]
        fn bounds_rates_and_panic(
            loads in prop::collection::vec((0.0f64..900.0, 1usize..20, 0usize..3), 1..12), start in 1u32..20,
            min in 0u32..3, up in 1u32..4, lag in 0u32..3,
        ) {
            let config = KpaConfig {
                min_scale: min, max_scale: 40, max_scale_up_rate: f64::from(up) + 0.5,
                stable_window: SimDuration::from_secs(20), panic_window: SimDuration::from_secs(2),
                scale_to_zero_grace_period: SimDuration::from_secs(10), ..CONFIG
            };
            let mut kpa = Kpa::new(config, at(0), start);
            let (mut pods, mut now, mut quiet) = (start, 0u64, 0u64);
            for (load, length, kind) in loads {
                let load = if kind == 0 { 0.0 } else { load };
                for _ in 0..length {
                    now += 1;
                    kpa.observe(load);
                    quiet = if load > 0.0 { 0 } else { quiet + 1 };
                    if now % 2 != 0 { continue; }
                    let ready = pods.saturating_sub(lag);
                    let before = pods;
                    pods = kpa.decide(at(now), pods, ready);
                    prop_assert!(pods >= min.min(before) && pods <= 40.max(before));
                    if kpa.panics() { prop_assert!(pods >= before.min(40) || pods > 0, "{before} {pods}"); }
                    let most = libm::ceil(config.max_scale_up_rate * f64::from(ready.max(1))) as u32;
                    prop_assert!(pods <= most.max(before).max(min));
                    if pods == 0 && before > 0 { prop_assert!(quiet >= 20 + 9, "{quiet}"); }
                }
            }
        }
    }
}
