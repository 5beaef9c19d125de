//! A circuit breaker: stop asking whom asking only hurts.
//!
//! It counts what happened lately and, when too large a share of it failed, turns every call away at once for a
//! while; then it lets a single call through to see. The caller is spared waiting for what will fail, and the
//! callee is spared the calls that it cannot serve.
//!
//! ```text
//!            failures / fires > threshold                 reset timer
//!   Closed ───────────────────────────────► Open ───────────────────────► HalfOpen
//!     ▲                                       ▲                            │    │
//!     │                                       └──── any result: failure ───┘    │
//!     └──────────────────────────── any result: success ────────────────────────┘
//! ```
//!
//! The semantics are those of opossum 10.0.0 (Node), `lib/circuit.js`, `lib/status.js` and `lib/semaphore.js`,
//! and recordings of it are replayed line by line by `tests/conformance.rs`. Some of them surprise:
//!
//! - The rate is looked at only when a failure is counted, and it must be *above* the threshold: 50 % of
//!   failures leave a threshold of 50 closed.
//! - Its denominator is all fires, those still running and those rejected too; so rejections dilute the rate. A
//!   fire is counted when it starts and a failure when it ends: the rate of a window can exceed 100 %.
//! - A call that finds no free permit is a failure, and may open the breaker.
//! - The result that settles a half open breaker need not be the trial's: a call admitted before the breaker
//!   opened may close it, or open it again.
//! - A timeout gives the permit back while the work goes on: `capacity` does not bound the callee's load.
//! - The window outlives every change of state: after closing, old failures still count.

pub mod consecutive;
pub mod family;
pub mod polly;
pub mod resilience4j;
mod window;

use self::window::Window;
use crate::base::time::{SimDuration, SimTime};

/// What can be set on a [`Breaker`]. Names and defaults (in the constant [`BreakerConfig::OPOSSUM`]) are those of
/// opossum 10.0.0, whose `timeout` (10 s) is not among them: the caller enforces it, then tells `on_timeout`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BreakerConfig {
    /// `errorThresholdPercentage`, in percent (default 50): a rate of failures strictly above it opens.
    pub error_threshold_percentage: f64,
    /// `resetTimeout` (default 30 s): how long the breaker stays open before it lets one trial through.
    pub reset_timeout: SimDuration,
    /// `rollingCountTimeout` (default 10 s): the length of the window over which is counted.
    pub rolling_count_timeout: SimDuration,
    /// `rollingCountBuckets` (default 10, at least 1): into how many parts the window is cut.
    pub rolling_count_buckets: u32,
    /// `volumeThreshold` (default 0): with fewer fires than this in the window, a closed breaker stays closed.
    pub volume_threshold: u32,
    /// `capacity` (default none, which is no limit): how many calls may run at once.
    pub capacity: Option<u32>,
    /// `allowWarmUp` (default false): for one window's length after its making, the breaker only counts.
    pub allow_warm_up: bool,
}

impl BreakerConfig {
    /// The defaults of opossum 10.0.0.
    pub const OPOSSUM: Self = Self {
        error_threshold_percentage: 50.0,
        reset_timeout: SimDuration::from_secs(30),
        rolling_count_timeout: SimDuration::from_secs(10),
        rolling_count_buckets: 10,
        volume_threshold: 0,
        capacity: None,
        allow_warm_up: false,
    };

    /// Time between two rotations: as in opossum, whole milliseconds, rounded down, and never none.
    fn bucket_length(&self) -> SimDuration {
        let per_bucket = self.rolling_count_timeout.ns() / u64::from(self.rolling_count_buckets);
        SimDuration::from_ms((per_bucket / 1_000_000).max(1))
    }
}

/// Whether calls pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are rejected until the reset timer is due.
    Open,
    /// One trial passes, the rest are rejected until a result is known.
    HalfOpen,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go ahead, and tell the result by exactly one of the other methods.
    Pass,
    /// Turned away because the breaker is open, or half open with its trial under way. Not counted as a failure.
    RejectOpen,
    /// Turned away because `capacity` calls run already. Counted as a failure already, which may have opened it.
    RejectCapacity,
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The state before.
    pub from: BreakerState,
    /// The state after.
    pub to: BreakerState,
}

/// What was counted within the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BreakerStats {
    /// Calls that arrived, the rejected ones included.
    pub fires: u32,
    /// Calls that succeeded in time, filtered errors included.
    pub successes: u32,
    /// Calls that failed, timed out or found no permit.
    pub failures: u32,
    /// Calls that timed out (each is among the failures too).
    pub timeouts: u32,
    /// Calls rejected because the breaker was open or half open.
    pub rejects: u32,
    /// Fallbacks run.
    pub fallbacks: u32,
    /// Calls rejected for want of a permit (each is among the failures too).
    pub semaphore: u32,
}

/// The breaker. Apply [`advance`](Breaker::advance) before each `on_*`: they do not look at the clock themselves.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    pending_close: bool,
    half_open_at: Option<SimTime>,
    in_use: u32,
    made_at: SimTime,
    window: Window,
}

impl Breaker {
    /// A closed breaker that starts counting at `now`.
    pub fn new(config: BreakerConfig, now: SimTime) -> Self {
        assert!(config.rolling_count_buckets > 0, "a window has at least one bucket");
        Self {
            config,
            state: BreakerState::Closed,
            pending_close: false,
            half_open_at: None,
            in_use: 0,
            made_at: now,
            window: Window::new(config.rolling_count_buckets, config.bucket_length(), now),
        }
    }

    /// Changes the settings while it runs. State, permits and an armed reset timer stay as they are; the window
    /// starts anew only if its buckets change in number or length. (opossum itself would need a restart.)
    pub fn reconfigure(&mut self, config: BreakerConfig, now: SimTime) {
        assert!(config.rolling_count_buckets > 0, "a window has at least one bucket");
        let same_number = self.config.rolling_count_buckets == config.rolling_count_buckets;
        if !same_number || self.config.bucket_length() != config.bucket_length() {
            self.window = Window::new(config.rolling_count_buckets, config.bucket_length(), now);
        }
        self.config = config;
    }

    /// A call arrives.
    #[inline]
    pub fn on_request(&mut self, now: SimTime) -> (Verdict, Option<Transition>) {
        self.check();
        self.window.count(|c| &mut c.fires);
        if self.state != BreakerState::Closed && !self.pending_close {
            self.window.count(|c| &mut c.rejects);
            return (Verdict::RejectOpen, None);
        }
        self.pending_close = false;
        if self.config.capacity.is_some_and(|capacity| self.in_use >= capacity) {
            self.window.count(|c| &mut c.semaphore);
            return (Verdict::RejectCapacity, self.fail(now));
        }
        self.in_use += 1;
        (Verdict::Pass, None)
    }

    /// An admitted call was answered in time. Closes a half open breaker, whichever call it was.
    #[inline]
    pub fn on_success(&mut self, _now: SimTime) -> Option<Transition> {
        self.check();
        self.release();
        self.window.count(|c| &mut c.successes);
        if self.state == BreakerState::HalfOpen { Some(self.go(BreakerState::Closed)) } else { None }
    }

    /// An admitted call failed in time. Its fallback, if any, comes next.
    pub fn on_failure(&mut self, now: SimTime) -> Option<Transition> {
        self.check();
        self.release();
        self.fail(now)
    }

    /// An admitted call was not answered in time. Whatever its answer will be, it must not be reported.
    pub fn on_timeout(&mut self, now: SimTime) -> Option<Transition> {
        self.check();
        self.release();
        self.window.count(|c| &mut c.timeouts);
        self.fail(now)
    }

    /// An admitted call failed with an error that `errorFilter` lets pass: to the breaker it is a success. The
    /// caller still gets the error, and no fallback runs.
    pub fn on_filtered_error(&mut self, now: SimTime) -> Option<Transition> {
        self.on_success(now)
    }

    /// An admitted call was called off by its caller: nothing is counted. If that leaves a half open breaker
    /// without any result to wait for, another trial may pass. opossum has no such thing.
    pub fn on_cancelled(&mut self) {
        self.check();
        self.release();
        if self.state == BreakerState::HalfOpen && self.in_use == 0 {
            self.pending_close = true;
        }
    }

    /// A fallback ran for a rejected or failed call.
    pub fn on_fallback(&mut self) {
        self.window.count(|c| &mut c.fallbacks);
    }

    /// When the one reset timer is due; `None` unless open.
    pub fn half_open_at(&self) -> Option<SimTime> {
        self.half_open_at
    }

    /// The reset timer went off. One that is not due, or no longer wanted, changes nothing.
    pub fn on_reset_timer(&mut self, now: SimTime) -> Option<Transition> {
        self.check();
        if self.half_open_at? > now {
            return None;
        }
        let transition = self.go(BreakerState::HalfOpen);
        self.pending_close = true;
        Some(transition)
    }

    /// Applies all rotations due at or before `now`, in at most as many steps as there are buckets.
    #[inline]
    pub fn advance(&mut self, now: SimTime) {
        if self.window.next_rotation() <= now {
            self.window.advance(now);
        }
    }

    /// When the window moves on by one bucket.
    pub fn next_rotation(&self) -> SimTime {
        self.window.next_rotation()
    }

    /// Moves the window on by one bucket.
    pub fn rotate(&mut self) {
        self.window.rotate();
    }

    /// Whether calls pass.
    #[inline]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether the next call will be the trial of a half open breaker.
    pub fn pending_close(&self) -> bool {
        self.pending_close
    }

    /// The sums over the window, up to the last rotation applied.
    pub fn stats(&self) -> BreakerStats {
        self.window.total()
    }

    /// How many more calls `capacity` lets run now; `None` if there is no limit.
    pub fn free_permits(&self) -> Option<u32> {
        self.config.capacity.map(|capacity| capacity.saturating_sub(self.in_use))
    }

    #[inline]
    fn release(&mut self) {
        debug_assert!(self.in_use > 0, "a result is told once, for a call that passed");
        self.in_use = self.in_use.saturating_sub(1);
    }

    fn fail(&mut self, now: SimTime) -> Option<Transition> {
        self.window.count(|c| &mut c.failures);
        if self.is_open() || self.warming_up(now) || !self.too_many_failures() {
            return None;
        }
        let transition = self.go(BreakerState::Open);
        self.half_open_at = Some(now + self.config.reset_timeout);
        Some(transition)
    }

    fn is_open(&self) -> bool {
        self.state == BreakerState::Open
    }

    fn warming_up(&self, now: SimTime) -> bool {
        self.config.allow_warm_up && now < self.made_at + self.config.rolling_count_timeout
    }

    fn too_many_failures(&self) -> bool {
        let BreakerStats { fires, failures, .. } = self.window.total();
        if self.state == BreakerState::HalfOpen {
            return true;
        }
        // With no fire left in the window the rate is infinite, and it opens.
        let percentage = f64::from(failures) / f64::from(fires) * 100.0;
        fires >= self.config.volume_threshold && percentage > self.config.error_threshold_percentage
    }

    fn go(&mut self, to: BreakerState) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        debug_assert!(from != to, "a transition leads elsewhere");
        self.pending_close = false;
        self.half_open_at = None;
        Transition { from, to }
    }

    #[inline]
    fn check(&self) {
        debug_assert!(self.half_open_at.is_some() == self.is_open(), "the timer runs while open");
        debug_assert!(!self.pending_close || self.state == BreakerState::HalfOpen, "a trial needs half open");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCRIPTED: BreakerConfig = BreakerConfig {
        reset_timeout: SimDuration::from_secs(3),
        rolling_count_timeout: SimDuration::from_secs(10),
        ..BreakerConfig::OPOSSUM
    };

    /// Plays a script and returns one mark per step. Steps: `?` a call arrives; `+` one succeeds, `x` fails, `t`
    /// times out, `f` fails with a filtered error, `-` is called off; `b` a fallback runs; `.` a second passes;
    /// `!` the reset timer goes off. Marks: `P` pass, `R` rejected as open, `S` for want of a permit, `_` nothing
    /// to tell; and after it the new state if there is one: `O`, `H` or `C`.
    fn play(config: BreakerConfig, script: &str) -> String {
        let mut now = SimTime::ZERO;
        let mut breaker = Breaker::new(config, now);
        script.chars().map(|step| play_step(&mut breaker, &mut now, step)).collect()
    }

    fn play_step(breaker: &mut Breaker, now: &mut SimTime, step: char) -> String {
        breaker.advance(*now);
        let (mark, transition) = match step {
            '?' => match breaker.on_request(*now) {
                (Verdict::Pass, t) => ("P", t),
                (Verdict::RejectOpen, t) => ("R", t),
                (Verdict::RejectCapacity, t) => ("S", t),
            },
            '+' => ("_", breaker.on_success(*now)),
            'x' => ("_", breaker.on_failure(*now)),
            't' => ("_", breaker.on_timeout(*now)),
            'f' => ("_", breaker.on_filtered_error(*now)),
            '!' => ("_", breaker.on_reset_timer(*now)),
            '-' => {
                breaker.on_cancelled();
                ("_", None)
            }
            'b' => {
                breaker.on_fallback();
                ("_", None)
            }
            '.' => {
                *now += SimDuration::from_secs(1);
                ("_", None)
            }
            other => panic!("no step {other}"),
        };
        let state = transition.map_or("", |t| match t.to {
            BreakerState::Open => "O",
            BreakerState::HalfOpen => "H",
            BreakerState::Closed => "C",
        });
        format!("{mark}{state}")
    }

    #[test]
    fn exactly_the_threshold_stays_closed_and_more_opens() {
        assert_eq!(play(SCRIPTED, "?+?x"), "P_P_");
        assert_eq!(play(SCRIPTED, "?+?x?x"), "P_P_P_O");
    }

    #[test]
    fn a_timeout_is_a_failure() {
        assert_eq!(play(SCRIPTED, "?t?"), "P_OR");
    }

    #[test]
    fn a_filtered_error_is_a_success() {
        assert_eq!(play(SCRIPTED, "?f?f?x"), "P_P_P_");
        assert_eq!(play(SCRIPTED, "?x...!?f"), "P_O____HP_C");
    }

    #[test]
    fn running_calls_dilute_the_rate() {
        assert_eq!(play(SCRIPTED, "??x"), "PP_");
        assert_eq!(play(SCRIPTED, "??xx"), "PP__O");
    }

    #[test]
    fn rejected_calls_dilute_the_rate() {
        // 2 failures of 7 fires leave it closed; without the four rejected ones it is 2 of 3.
        assert_eq!(play(SCRIPTED, "?x????...!?+?x"), "P_ORRRR____HP_CP_");
        assert_eq!(play(SCRIPTED, "?x...!?+?x"), "P_O____HP_CP_O");
    }

    #[test]
    fn the_volume_threshold_lets_the_nth_fire_open() {
        let config = BreakerConfig { volume_threshold: 3, ..SCRIPTED };
        assert_eq!(play(config, "?x?x?x"), "P_P_P_O");
        // Half open, one failure suffices however few fires there are.
        assert_eq!(play(config, "?x?x?x..........!?x"), "P_P_P_O___________HP_O");
    }

    #[test]
    fn open_rejects_until_the_timer_and_one_trial_passes() {
        assert_eq!(play(SCRIPTED, "?x?..!?.!???"), "P_OR___R__HPRR");
    }

    #[test]
    fn the_trial_closes_or_opens() {
        assert_eq!(play(SCRIPTED, "?x...!?+?"), "P_O____HP_CP");
        assert_eq!(play(SCRIPTED, "?x...!?x?"), "P_O____HP_OR");
        assert_eq!(play(SCRIPTED, "?x...!?t?"), "P_O____HP_OR");
    }

    #[test]
    fn a_stale_timer_changes_nothing() {
        assert_eq!(play(SCRIPTED, "!?x!...!!"), "_P_O_____H_");
    }

    #[test]
    fn a_late_result_settles_half_open_before_the_trial() {
        // Three calls pass, two fail; the third answers when half open, with no trial sent yet.
        assert_eq!(play(SCRIPTED, "???xx...!+?"), "PPP__O____H_CP");
        assert_eq!(play(SCRIPTED, "???xx...!x?"), "PPP__O____H_OR");
        assert_eq!(play(SCRIPTED, "???xx...!?+"), "PPP__O____HP_C");
    }

    #[test]
    fn late_results_while_open_only_count() {
        assert_eq!(play(SCRIPTED, "????xxx+?"), "PPPP___O_R");
        assert_eq!(play(SCRIPTED, "????xxxx?"), "PPPP___O_R");
    }

    #[test]
    fn a_call_without_a_permit_is_a_failure() {
        let config = BreakerConfig { capacity: Some(1), ..SCRIPTED };
        assert_eq!(play(config, "??"), "PS");
        assert_eq!(play(config, "???"), "PSSO");
        assert_eq!(play(config, "?+?"), "P_P");
    }

    #[test]
    fn even_the_trial_needs_a_permit() {
        let config = BreakerConfig { capacity: Some(1), ..SCRIPTED };
        assert_eq!(play(config, "???...!??"), "PSSO____HSOR");
    }

    #[test]
    fn a_timeout_gives_the_permit_back() {
        let config = BreakerConfig { capacity: Some(1), volume_threshold: 9, ..SCRIPTED };
        assert_eq!(play(config, "?t?"), "P_P");
    }

    #[test]
    fn warm_up_only_counts() {
        let config = BreakerConfig { allow_warm_up: true, ..SCRIPTED };
        assert_eq!(play(config, "?x?x.........?x"), "P_P__________P_");
        assert_eq!(play(config, "?x?x..........?x"), "P_P___________P_O");
    }

    #[test]
    fn a_failure_is_counted_when_it_ends() {
        // The fires have left the window when the failure comes: 1 of 0.
        assert_eq!(play(SCRIPTED, "???..........x"), "PPP___________O");
    }

    #[test]
    fn a_cancelled_trial_makes_way_for_another() {
        assert_eq!(play(SCRIPTED, "?x...!?-??"), "P_O____HP_PR");
        // An older call still runs: its result will settle it, so no second trial.
        assert_eq!(play(SCRIPTED, "???xx...!?-?x"), "PPP__O____HP_R_O");
    }

    #[test]
    fn all_is_counted() {
        let mut now = SimTime::ZERO;
        let config = BreakerConfig { capacity: Some(2), error_threshold_percentage: 70.0, ..SCRIPTED };
        let mut breaker = Breaker::new(config, now);
        "???b+tb?xb?b".chars().for_each(|step| {
            play_step(&mut breaker, &mut now, step);
        });
        let all = BreakerStats {
            fires: 5,
            successes: 1,
            failures: 3,
            timeouts: 1,
            rejects: 1,
            fallbacks: 4,
            semaphore: 1,
        };
        assert_eq!(breaker.stats(), all);
        assert_eq!(breaker.free_permits(), Some(2));
    }

    #[test]
    fn reconfiguring_keeps_the_window_unless_it_changes_shape() {
        let mut breaker = Breaker::new(SCRIPTED, SimTime::ZERO);
        breaker.on_request(SimTime::ZERO);
        breaker.reconfigure(BreakerConfig { volume_threshold: 7, ..SCRIPTED }, SimTime::ZERO);
        assert_eq!(breaker.stats().fires, 1);
        breaker.reconfigure(BreakerConfig { rolling_count_buckets: 5, ..SCRIPTED }, SimTime::ZERO);
        assert_eq!(breaker.stats().fires, 0);
        assert_eq!(breaker.next_rotation(), SimTime::ZERO + SimDuration::from_secs(2));
    }

    #[test]
    fn buckets_are_whole_milliseconds() {
        let length = |ms, buckets| {
            let rolling_count_timeout = SimDuration::from_ms(ms);
            BreakerConfig { rolling_count_timeout, rolling_count_buckets: buckets, ..SCRIPTED }
                .bucket_length()
        };
        assert_eq!(length(10_000, 3), SimDuration::from_ms(3333));
        assert_eq!(length(5, 10), SimDuration::from_ms(1));
    }

    proptest! {
        #[test]
        fn half_open_passes_one_trial_until_a_result(steps in prop::collection::vec(0u8..8, 1..400)) {
            let mut now = SimTime::ZERO;
            let mut breaker = Breaker::new(BreakerConfig { capacity: Some(4), ..SCRIPTED }, now);
            let (mut running, mut trials) = (0u32, 0u32);
            for step in steps {
                let mark = match step {
                    0..=2 => play_step(&mut breaker, &mut now, '?'),
                    3 if running > 0 => play_step(&mut breaker, &mut now, '+'),
                    4 if running > 0 => play_step(&mut breaker, &mut now, 'x'),
                    5 if running > 0 => play_step(&mut breaker, &mut now, 't'),
                    6 => play_step(&mut breaker, &mut now, '!'),
                    _ => play_step(&mut breaker, &mut now, '.'),
                };
                let passed = mark.starts_with('P');
                let ended = (3..=5).contains(&step) && running > 0;
                running = running + u32::from(passed) - u32::from(ended);
                trials = match breaker.state() {
                    BreakerState::HalfOpen => trials + u32::from(passed),
                    _ => 0,
                };
                prop_assert!(trials <= 1);
                prop_assert_eq!(breaker.free_permits(), Some(4 - running));
                prop_assert!(breaker.state() == BreakerState::Closed || !passed || trials == 1);
            }
        }
    }
}
