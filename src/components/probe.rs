//! A Kubernetes probe: what a container's last checks made the kubelet publish of it.
//!
//! Intuition: what counts is not the last answer but a run of equal ones. The published result changes only when the
//! run is as long as the threshold; until then it stays what it was, however the single answers went.
//!
//! ```text
//!               success_threshold successes in a row
//!   Failure ────────────────────────────────────────► Success
//!      ▲                                                 │
//!      └──────── failure_threshold failures in a row ────┘        a startup probe begins as Unknown
//! ```
//!
//! What surprises:
//!
//! - The run is the worker's, not the container's: it goes on when a container is replaced, unless this probe had it
//!   killed. What is *published* begins anew with each container: liveness as `Success`, readiness as `Failure`.
//! - A probe that had its container killed is on hold until there is another one.
//! - A worker probes one at a time. A tick that comes meanwhile is kept, a second one is lost (Go's `time.Ticker`).
//!
//! Source: `pkg/kubelet/prober/worker.go` of Kubernetes 1.20. Newer releases wait for a random part of the period only
//! right after the kubelet has started.

use crate::base::SimDuration;

/// What a probe decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// Whether the container has started: until then the others do nothing. A failure kills it.
    Startup,
    /// Whether it gets requests. Never kills it.
    Readiness,
    /// Whether it works. A failure kills it.
    Liveness,
}

impl ProbeKind {
    /// All of them, in the order in which states are kept.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];
}

/// How a probe is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeConfig {
    /// From one probe to the next (`periodSeconds`).
    pub period: SimDuration,
    /// The longest wait for an answer (`timeoutSeconds`).
    pub timeout: SimDuration,
    /// Successes in a row that change the result (`successThreshold`); at least 1.
    pub success_threshold: u32,
    /// Failures in a row that change the result (`failureThreshold`); at least 1.
    pub failure_threshold: u32,
    /// How long after the start of the container the first probe is (`initialDelaySeconds`).
    pub initial_delay: SimDuration,
}

/// What is published of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeResult {
    /// Nothing yet.
    Unknown,
    /// It passed.
    Success,
    /// It did not.
    Failure,
}

/// A worker of the kubelet: one probe of one container.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    kind: ProbeKind,
    published: ProbeResult,
    last: ProbeResult,
    run: u32,
    on_hold: bool,
    is_asking: bool,
    has_tick: bool,
}

impl Probe {
    /// A worker whose container has just started.
    pub fn new(kind: ProbeKind) -> Self {
        Self {
            kind,
            published: initial(kind),
            last: ProbeResult::Unknown,
            run: 0,
            on_hold: false,
            is_asking: false,
            has_tick: false,
        }
    }

    /// A worker whose container has passed it long ago.
    pub fn passed(kind: ProbeKind) -> Self {
        let passed = ProbeResult::Success;
        Self { published: passed, last: passed, run: 1, ..Self::new(kind) }
    }

    /// What is published.
    #[inline]
    pub fn published(&self) -> ProbeResult {
        self.published
    }

    /// Another container takes the place of the one before.
    pub fn on_container(&mut self) {
        self.published = initial(self.kind);
        self.on_hold = false;
    }

    /// It is time to probe a container that runs. Answers whether to ask it now.
    pub fn on_tick(&mut self) -> bool {
        if self.on_hold {
            return false;
        }
        if self.is_asking {
            self.has_tick = true;
            return false;
        }
        self.is_asking = true;
        true
    }

    /// The one that was asked has answered, or has not in time. Answers whether to tick at once.
    pub fn on_answer(&mut self) -> bool {
        self.is_asking = false;
        std::mem::take(&mut self.has_tick)
    }

    /// A container was asked: takes note of what came of it. Answers with what is published, if that is to be acted on:
    /// a result that changed, or one more failure of a container that should be killed.
    pub fn on_result(&mut self, config: &ProbeConfig, passed: bool) -> Option<ProbeResult> {
        debug_assert!(config.success_threshold > 0 && config.failure_threshold > 0);
        let (result, threshold) = match passed {
            true => (ProbeResult::Success, config.success_threshold),
            false => (ProbeResult::Failure, config.failure_threshold),
        };
        self.run = if result == self.last { self.run.saturating_add(1) } else { 1 };
        self.last = result;
        if self.run < threshold {
            return None;
        }
        let changed = self.published != result;
        self.published = result;
        if !passed && self.kind != ProbeKind::Readiness {
            self.on_hold = true;
            self.run = 0;
            return Some(result);
        }
        changed.then_some(result)
    }
}

fn initial(kind: ProbeKind) -> ProbeResult {
    match kind {
        ProbeKind::Startup => ProbeResult::Unknown,
        ProbeKind::Readiness => ProbeResult::Failure,
        ProbeKind::Liveness => ProbeResult::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(success_threshold: u32, failure_threshold: u32) -> ProbeConfig {
        ProbeConfig {
            period: SimDuration::from_secs(10),
            timeout: SimDuration::from_secs(1),
            success_threshold,
            failure_threshold,
            initial_delay: SimDuration::ZERO,
        }
    }

    /// Plays answers (`+`, `-`, and `c` for another container) and writes what is published after each.
    fn replay(kind: ProbeKind, config: &ProbeConfig, script: &str) -> String {
        let mut probe = Probe::new(kind);
        let step = |c| {
            if c == 'c' {
                probe.on_container();
            } else if probe.on_tick() {
                probe.on_result(config, c == '+');
                probe.on_answer();
            }
            match probe.published() {
                ProbeResult::Unknown => '?',
                ProbeResult::Success => 's',
                ProbeResult::Failure => 'f',
            }
        };
        script.chars().map(step).collect()
    }

    #[test]
    fn each_kind_begins_with_its_own_result() {
        let begins = |kind| Probe::new(kind).published();
        assert_eq!(
            ProbeKind::ALL.map(begins),
            [ProbeResult::Unknown, ProbeResult::Failure, ProbeResult::Success]
        );
    }

    #[test]
    fn only_runs_change_what_is_published() {
        assert_eq!(replay(ProbeKind::Readiness, &config(1, 3), "+--+---+"), "ssssssfs");
        assert_eq!(replay(ProbeKind::Readiness, &config(2, 1), "+-++-++"), "fffsffs");
    }

    #[test]
    fn a_container_that_was_killed_is_not_asked_until_there_is_another() {
        assert_eq!(replay(ProbeKind::Liveness, &config(1, 3), "---+++c--"), "ssffffsss");
        let mut probe = Probe::new(ProbeKind::Liveness);
        for _ in 0..3 {
            assert!(probe.on_tick());
            probe.on_result(&config(1, 3), false);
            probe.on_answer();
        }
        assert!(!probe.on_tick(), "on hold");
        probe.on_container();
        assert!(probe.on_tick());
    }

    #[test]
    fn the_run_outlives_the_container() {
        // Two failures before the container died for another reason, and one after: three in a row.
        assert_eq!(replay(ProbeKind::Liveness, &config(1, 3), "--c-"), "sssf");
    }

    #[test]
    fn one_tick_is_kept_while_a_probe_is_under_way() {
        let mut probe = Probe::new(ProbeKind::Liveness);
        assert!(probe.on_tick());
        assert!(!probe.on_tick() && !probe.on_tick());
        assert!(probe.on_answer(), "one is kept");
        assert!(probe.on_tick());
        assert!(!probe.on_answer(), "the other is lost");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn what_is_published_changes_at_thresholds_only(
            kind in prop_oneof![Just(ProbeKind::Startup), Just(ProbeKind::Readiness), Just(ProbeKind::Liveness)],
            successes in 1u32..4,
            failures in 1u32..5,
            answers in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let config = config(successes, failures);
            let mut probe = Probe::new(kind);
            for (i, passed) in answers.iter().enumerate() {
                if !probe.on_tick() {
                    prop_assert!(kind != ProbeKind::Readiness && probe.published() == ProbeResult::Failure);
                    probe.on_container();
                    prop_assert!(probe.on_tick());
                }
                let before = probe.published();
                let change = probe.on_result(&config, *passed);
                prop_assert!(!probe.on_answer());
                let threshold = if *passed { successes } else { failures } as usize;
                let all_alike = i + 1 >= threshold && answers[i + 1 - threshold..=i].iter().all(|a| a == passed);
                if probe.published() != before {
                    prop_assert!(all_alike && change == Some(probe.published()));
                }
                if all_alike && kind == ProbeKind::Readiness {
                    prop_assert_eq!(probe.published() == ProbeResult::Success, *passed);
                }
            }
        }
    }
}
