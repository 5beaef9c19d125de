//! Rate limits: so many calls per time, whatever becomes of them.
//!
//! A bulkhead bounds how many calls run at once; a rate limit bounds how many begin. The algorithms differ in what
//! they do with a burst:
//!
//! | algorithm | a burst | found in |
//! | --- | --- | --- |
//! | [`TokenBucket`] | passes as far as unused calls were saved up | AWS API Gateway, Envoy's local rate limit |
//! | [`Gcra`] | the same, told by one time instead of a level | ATM Forum's traffic management 4.0, redis-cell |
//! | [`LeakyBucket`] | waits in line and leaves at a constant pace | nginx's `limit_req` without `nodelay` |
//! | [`FixedWindow`] | passes up to the limit, and again right after the boundary | counters per minute |
//! | [`SlidingWindow`] | passes up to the limit within any window | an exact log of times |
//! | [`AwsAdaptive`] | waits, once answers have been throttled | AWS SDKs in adaptive mode |
//! | [`Periods`] | passes up to the period's limit; the rest reserve places in later ones | resilience4j |
//! | [`SlidingCounter`] | as the sliding window, were the previous window's calls spread evenly | Cloudflare, Upstash |
//!
//! All arithmetic is in whole numbers: a rate is kept in billionths of a call per second, so what accrues in a
//! nanosecond is a whole number of 10⁻¹⁸ calls, and no rounding ever lets a call too many through.

mod aws_adaptive;
mod buckets;
mod leaky;
mod periods;
mod windows;

pub use self::aws_adaptive::{AwsAdaptive, AwsAdaptiveConfig};
pub use self::buckets::{Gcra, TokenBucket};
pub use self::leaky::LeakyBucket;
pub use self::periods::{Periods, Reservation};
pub use self::windows::{FixedWindow, SlidingCounter, SlidingWindow};

use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// Calls per second, in billionths: at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallRate(u64);

/// One call, in units of 10⁻¹⁸ calls: what a rate of one billionth per second lets accrue in a nanosecond.
pub const ONE_CALL: u128 = 1_000_000_000_000_000_000;

impl CallRate {
    /// So many calls per second, rounded to billionths, and never none.
    pub fn per_second(rate: f64) -> Self {
        // The cast saturates: NaN and negatives become 0.
        Self(((rate * 1e9 + 0.5) as u64).max(1))
    }

    /// What accrues in `ns` nanoseconds, in units of 10⁻¹⁸ calls.
    #[inline]
    pub fn accrued(self, ns: u64) -> u128 {
        u128::from(self.0) * u128::from(ns)
    }

    /// The time from one call to the next, rounded up to whole nanoseconds.
    pub fn spacing(self) -> SimDuration {
        let ns = ONE_CALL.div_ceil(u128::from(self.0));
        SimDuration::from_ns(u64::try_from(ns).unwrap_or(u64::MAX).min(SimDuration::MAX.ns()))
    }
}

/// Which algorithm, and its limits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RateLimitConfig {
    /// Tokens accrue at a rate up to a burst; a call takes one.
    TokenBucket {
        /// Tokens per second.
        rate: CallRate,
        /// The most tokens; also those at the start.
        burst: u32,
    },
    /// Calls leave a line at a constant pace.
    LeakyBucket {
        /// Calls per second.
        rate: CallRate,
        /// How many may wait.
        capacity: u32,
    },
    /// The generic cell rate algorithm.
    Gcra {
        /// Calls per second.
        rate: CallRate,
        /// The most calls at once.
        burst: u32,
    },
    /// So many calls in each window.
    FixedWindow {
        /// How many.
        limit: u32,
        /// Windows begin at multiples of it.
        window: SimDuration,
    },
    /// So many calls in any window.
    SlidingWindow {
        /// How many.
        limit: u32,
        /// Its length.
        window: SimDuration,
    },
    /// So many calls in any window, if those of the previous one were spread evenly.
    SlidingCounter {
        /// How many.
        limit: u32,
        /// Windows begin at multiples of it.
        window: SimDuration,
    },
    /// As fast as answers that are not throttled allow.
    AwsAdaptive(AwsAdaptiveConfig),
    /// So many calls in each period; the rest reserve places in later ones.
    Periods {
        /// How many.
        limit: u32,
        /// The length of a period.
        period: SimDuration,
        /// The longest wait.
        timeout: SimDuration,
    },
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It goes on.
    Admitted,
    /// It waits for its [`turn`](RateLimiter::turn).
    Queued,
    /// It is turned away.
    Rejected,
}

#[derive(Clone, Debug)]
enum Algorithm {
    TokenBucket(TokenBucket),
    LeakyBucket(LeakyBucket),
    Gcra(Gcra),
    FixedWindow(FixedWindow),
    SlidingWindow(SlidingWindow),
    SlidingCounter(SlidingCounter),
    AwsAdaptive(AwsAdaptive),
    Periods(Periods),
}

impl Algorithm {
    fn new(config: RateLimitConfig, now: SimTime) -> Self {
        match config {
            RateLimitConfig::TokenBucket { rate, burst } => {
                Self::TokenBucket(TokenBucket::new(rate, burst, now))
            }
            RateLimitConfig::LeakyBucket { rate, capacity } => {
                Self::LeakyBucket(LeakyBucket::new(rate, capacity))
            }
            RateLimitConfig::Gcra { rate, burst } => Self::Gcra(Gcra::new(rate, burst)),
            RateLimitConfig::FixedWindow { limit, window } => {
                Self::FixedWindow(FixedWindow::new(limit, window))
            }
            RateLimitConfig::SlidingWindow { limit, window } => {
                Self::SlidingWindow(SlidingWindow::new(limit, window))
            }
            RateLimitConfig::SlidingCounter { limit, window } => {
                Self::SlidingCounter(SlidingCounter::new(limit, window))
            }
            RateLimitConfig::AwsAdaptive(config) => Self::AwsAdaptive(AwsAdaptive::new(config, now)),
            RateLimitConfig::Periods { limit, period, timeout } => {
                Self::Periods(Periods::new(limit, period, timeout, now))
            }
        }
    }
}

/// A rate limit with those who wait for their turn. `W` names who waits: an id.
#[derive(Clone, Debug)]
pub struct RateLimiter<W> {
    algorithm: Algorithm,
    waiting: VecDeque<W>,
}

impl<W: Copy + PartialEq> RateLimiter<W> {
    /// A limiter that starts at `now` with all that its algorithm allows at once.
    pub fn new(config: RateLimitConfig, now: SimTime) -> Self {
        Self { algorithm: Algorithm::new(config, now), waiting: VecDeque::new() }
    }

    /// Changes the settings while it runs. The same algorithm keeps what it knows, as far as it fits; another one
    /// starts anew. Those who wait stay in line: their next turn may have moved.
    pub fn reconfigure(&mut self, config: RateLimitConfig, now: SimTime) {
        match (&mut self.algorithm, config) {
            (Algorithm::TokenBucket(b), RateLimitConfig::TokenBucket { rate, burst }) => {
                b.reconfigure(rate, burst, now);
            }
            (Algorithm::Gcra(g), RateLimitConfig::Gcra { rate, burst }) => g.reconfigure(rate, burst, now),
            (Algorithm::LeakyBucket(b), RateLimitConfig::LeakyBucket { rate, capacity }) => {
                b.reconfigure(rate, capacity);
            }
            (Algorithm::FixedWindow(w), RateLimitConfig::FixedWindow { limit, window }) => {
                w.reconfigure(limit, window);
            }
            (Algorithm::SlidingWindow(w), RateLimitConfig::SlidingWindow { limit, window }) => {
                w.reconfigure(limit, window);
            }
            (Algorithm::SlidingCounter(w), RateLimitConfig::SlidingCounter { limit, window }) => {
                w.reconfigure(limit, window);
            }
            (Algorithm::AwsAdaptive(a), RateLimitConfig::AwsAdaptive(config)) => a.reconfigure(config),
            (Algorithm::Periods(p), RateLimitConfig::Periods { limit, period, timeout }) => {
                p.reconfigure(limit, period, timeout, now);
            }
            (other, config) => {
                *other = Algorithm::new(config, now);
                if let Algorithm::Periods(periods) = other {
                    // They waited under another algorithm, which is gone.
                    let free = Reservation { at: now, passes: true };
                    periods.line.extend(self.waiting.iter().map(|_| free));
                }
            }
        }
    }

    /// A call arrives.
    pub fn enter(&mut self, now: SimTime, who: W) -> Admission {
        let passes = match &mut self.algorithm {
            Algorithm::TokenBucket(bucket) => bucket.take(now),
            Algorithm::Gcra(gcra) => gcra.take(now),
            Algorithm::FixedWindow(window) => window.take(now),
            Algorithm::SlidingWindow(window) => window.take(now),
            Algorithm::SlidingCounter(window) => window.take(now),
            Algorithm::Periods(periods) => match periods.reserve(now) {
                None => true,
                Some(denied) if !denied.passes && denied.at <= now => false,
                Some(reservation) => {
                    periods.line.push_back(reservation);
                    self.waiting.push_back(who);
                    return Admission::Queued;
                }
            },
            Algorithm::LeakyBucket(bucket) => {
                // Nobody passes those who wait.
                if self.waiting.is_empty() && bucket.take(now) {
                    true
                } else if self.waiting.len() < bucket.capacity() as usize {
                    self.waiting.push_back(who);
                    return Admission::Queued;
                } else {
                    false
                }
            }
            Algorithm::AwsAdaptive(limit) => {
                if !self.waiting.is_empty() || !limit.take(now) {
                    self.waiting.push_back(who);
                    return Admission::Queued;
                }
                true
            }
        };
        if passes { Admission::Admitted } else { Admission::Rejected }
    }

    /// Whether calls may be told to wait.
    pub fn has_line(&self) -> bool {
        matches!(
            self.algorithm,
            Algorithm::LeakyBucket(_) | Algorithm::AwsAdaptive(_) | Algorithm::Periods(_)
        )
    }

    /// A call that was let through is answered. Returns whether the next turn may have moved.
    pub fn on_response(&mut self, now: SimTime, throttled: bool) -> bool {
        let Algorithm::AwsAdaptive(limit) = &mut self.algorithm else { return false };
        limit.on_response(now, throttled);
        !self.waiting.is_empty()
    }

    /// When the one who has waited longest may go on; `None` if nobody waits.
    pub fn turn_at(&self) -> Option<SimTime> {
        self.waiting.front()?;
        match &self.algorithm {
            Algorithm::LeakyBucket(bucket) => Some(bucket.free_at()),
            Algorithm::AwsAdaptive(limit) => Some(limit.free_at()),
            Algorithm::Periods(periods) => periods.line.front().map(|reservation| reservation.at),
            // They waited under another algorithm, which is gone: they need not wait any longer.
            _ => Some(SimTime::ZERO),
        }
    }

    /// Ends the wait of the one who has waited longest, if that is due: who, and whether they go on. If not, they are
    /// turned away after all.
    pub fn turn(&mut self, now: SimTime) -> Option<(W, bool)> {
        if self.turn_at()? > now {
            return None;
        }
        match &mut self.algorithm {
            Algorithm::LeakyBucket(bucket) => {
                bucket.take(now);
            }
            Algorithm::AwsAdaptive(limit) => limit.take_due(now),
            _ => {}
        }
        let passes = match &mut self.algorithm {
            Algorithm::Periods(periods) => periods.line.pop_front().is_none_or(|one| one.passes),
            _ => true,
        };
        self.waiting.pop_front().map(|who| (who, passes))
    }

    /// Who has waited longest.
    pub fn head(&self) -> Option<W> {
        self.waiting.front().copied()
    }

    /// Takes out one who waits; `false` if they do not, or no longer. Costs a walk along the line.
    pub fn abandon(&mut self, who: W) -> bool {
        let Some(at) = self.waiting.iter().position(|w| *w == who) else {
            return false;
        };
        // A permit that was reserved is lost.
        if let Algorithm::Periods(periods) = &mut self.algorithm {
            periods.line.remove(at);
        }
        self.waiting.remove(at).is_some()
    }

    /// Takes out the one who has waited longest, due or not.
    pub fn evict(&mut self) -> Option<W> {
        if let Algorithm::Periods(periods) = &mut self.algorithm {
            periods.line.pop_front();
        }
        self.waiting.pop_front()
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Calls at times in milliseconds: which of them pass.
    fn play(config: RateLimitConfig, at_ms: &[u64]) -> String {
        let mut limiter = RateLimiter::new(config, SimTime::ZERO);
        let step = |(who, ms): (usize, &u64)| match limiter.enter(SimTime::from_ns(ms * 1_000_000), who) {
            Admission::Admitted => '+',
            Admission::Queued => '~',
            Admission::Rejected => 'x',
        };
        at_ms.iter().enumerate().map(step).collect()
    }

    const TEN: CallRate = CallRate(10_000_000_000);
    const SECOND: SimDuration = SimDuration::from_secs(1);

    #[test]
    fn each_algorithm_does_what_it_is_known_for() {
        let burst = [0, 0, 0, 0, 50, 99, 100, 101, 200, 1000, 1000, 1000, 1000];
        let bucket = RateLimitConfig::TokenBucket { rate: TEN, burst: 3 };
        assert_eq!(play(bucket, &burst), "+++xxx+x++++x");
        let gcra = RateLimitConfig::Gcra { rate: TEN, burst: 3 };
        assert_eq!(play(gcra, &burst), play(bucket, &burst));
        let leaky = RateLimitConfig::LeakyBucket { rate: TEN, capacity: 2 };
        assert_eq!(play(leaky, &[0, 0, 0, 0, 50]), "+~~xx");
        let fixed = RateLimitConfig::FixedWindow { limit: 2, window: SECOND };
        assert_eq!(play(fixed, &[900, 950, 990, 1000, 1001, 1002, 2000]), "++x++x+");
        let sliding = RateLimitConfig::SlidingWindow { limit: 2, window: SECOND };
        assert_eq!(play(sliding, &[900, 950, 990, 1000, 1899, 1900, 1949, 1950]), "++xxx+x+");
        // Cloudflare's example: 42 in the minute before, 18 so far, after 15 s: 42·0.75 + 18 = 49.5 of 50.
        let counter = RateLimitConfig::SlidingCounter { limit: 50, window: SimDuration::from_secs(60) };
        let mut calls = vec![1; 42];
        calls.extend([75_000; 20]);
        assert_eq!(play(counter, &calls)[42..], format!("{}x", "+".repeat(19)));
    }

    #[test]
    fn turns_come_at_a_constant_pace_and_who_leaves_makes_room() {
        let mut limiter =
            RateLimiter::new(RateLimitConfig::LeakyBucket { rate: TEN, capacity: 3 }, SimTime::ZERO);
        let at = |ms: u64| SimTime::from_ns(ms * 1_000_000);
        assert_eq!(limiter.enter(at(5), 'a'), Admission::Admitted);
        for who in ['b', 'c', 'd'] {
            assert_eq!(limiter.enter(at(6), who), Admission::Queued);
        }
        assert_eq!(limiter.enter(at(6), 'e'), Admission::Rejected);
        assert!(limiter.abandon('c') && !limiter.abandon('c'));
        assert_eq!(limiter.turn_at(), Some(at(105)));
        assert_eq!(
            (limiter.turn(at(104)), limiter.turn(at(105)), limiter.turn(at(105))),
            (None, Some(('b', true)), None)
        );
        assert_eq!((limiter.turn_at(), limiter.head()), (Some(at(205)), Some('d')));
        // Who is late is not made up for.
        assert_eq!(limiter.turn(at(260)), Some(('d', true)));
        assert_eq!(limiter.enter(at(300), 'f'), Admission::Queued);
        assert_eq!(limiter.turn_at(), Some(at(360)));
        // Another algorithm: whoever waits goes on.
        limiter.reconfigure(RateLimitConfig::FixedWindow { limit: 1, window: SECOND }, at(310));
        assert_eq!((limiter.turn(at(310)), limiter.turn(at(310))), (Some(('f', true)), None));
    }

    #[test]
    fn settings_that_change_keep_what_is_known() {
        let at = |ms: u64| SimTime::from_ns(ms * 1_000_000);
        for gcra in [false, true] {
            let config = |rate, burst| match gcra {
                true => RateLimitConfig::Gcra { rate, burst },
                false => RateLimitConfig::TokenBucket { rate, burst },
            };
            let mut limiter = RateLimiter::new(config(TEN, 4), SimTime::ZERO);
            let pass = |ms, limiter: &mut RateLimiter<u8>| limiter.enter(at(ms), 0) == Admission::Admitted;
            assert!((0..4).all(|_| pass(0, &mut limiter)) && !pass(0, &mut limiter), "{gcra}");
            // Half a token after 50 ms; the rest comes ten times as fast.
            limiter.reconfigure(config(CallRate(100_000_000_000), 2), at(50));
            assert!(!pass(54, &mut limiter) && pass(55, &mut limiter) && !pass(64, &mut limiter), "{gcra}");
            assert!(pass(500, &mut limiter) && pass(500, &mut limiter) && !pass(500, &mut limiter), "{gcra}");
        }
        let config = |limit| RateLimitConfig::SlidingWindow { limit, window: SECOND };
        let mut limiter = RateLimiter::new(config(1), SimTime::ZERO);
        assert_eq!(limiter.enter(at(1), 0), Admission::Admitted);
        limiter.reconfigure(config(2), at(2));
        assert_eq!(
            (limiter.enter(at(3), 0), limiter.enter(at(3), 0)),
            (Admission::Admitted, Admission::Rejected)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn never_more_than_rate_times_time_and_the_burst(
            rate in prop_oneof![1u64..40_000_000_000, 1u64..5_000_000_000_000],
            burst in 1u32..6,
            gaps in prop::collection::vec(0u64..400_000_000, 1..40),
        ) {
            let rate = CallRate(rate);
            let leaky = RateLimitConfig::LeakyBucket { rate, capacity: 0 };
            let bucket = RateLimitConfig::TokenBucket { rate, burst };
            for (config, burst) in [(bucket, burst), (RateLimitConfig::Gcra { rate, burst }, burst), (leaky, 1)] {
                let mut limiter = RateLimiter::new(config, SimTime::ZERO);
                let mut now = 0;
                let mut admitted: Vec<u64> = Vec::new();
                for gap in &gaps {
                    now += gap;
                    if limiter.enter(SimTime::from_ns(now), 0) == Admission::Admitted {
                        admitted.push(now);
                    }
                }
                for (i, from) in admitted.iter().enumerate() {
                    for (j, to) in admitted.iter().enumerate().skip(i) {
                        let allowed = rate.accrued(to - from) + u128::from(burst) * ONE_CALL;
                        prop_assert!((j - i + 1) as u128 * ONE_CALL <= allowed, "{config:?} {admitted:?}");
                    }
                }
            }
        }

        #[test]
        fn the_cell_rate_algorithm_is_a_token_bucket(
            rate in prop_oneof![1u64..40_000_000_000, 1u64..5_000_000_000_000],
            burst in 1u32..6,
            steps in prop::collection::vec((0u64..400_000_000, 0u8..20, 1u64..40_000_000_000, 1u32..6), 1..60),
        ) {
            let rate = CallRate(rate);
            let mut bucket = RateLimiter::new(RateLimitConfig::TokenBucket { rate, burst }, SimTime::ZERO);
            let mut gcra = RateLimiter::new(RateLimitConfig::Gcra { rate, burst }, SimTime::ZERO);
            let mut now = SimTime::ZERO;
            for (gap, kind, rate, burst) in steps {
                now += SimDuration::from_ns(gap);
                if kind == 0 {
                    let rate = CallRate(rate);
                    bucket.reconfigure(RateLimitConfig::TokenBucket { rate, burst }, now);
                    gcra.reconfigure(RateLimitConfig::Gcra { rate, burst }, now);
                } else {
                    prop_assert_eq!(bucket.enter(now, 0), gcra.enter(now, 0));
                }
            }
        }

        #[test]
        fn windows_hold_their_limit(
            limit in 1u32..6,
            window in 1u64..2_000,
            gaps in prop::collection::vec(0u64..600, 1..60),
        ) {
            let length = SimDuration::from_ns(window);
            let mut fixed = RateLimiter::new(RateLimitConfig::FixedWindow { limit, window: length }, SimTime::ZERO);
            let mut log = RateLimiter::new(RateLimitConfig::SlidingWindow { limit, window: length }, SimTime::ZERO);
            let mut counter =
                RateLimiter::new(RateLimitConfig::SlidingCounter { limit, window: length }, SimTime::ZERO);
            let mut admitted: [Vec<u64>; 3] = Default::default();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                let at = SimTime::from_ns(now);
                let in_window = |times: &[u64]| times.iter().filter(|t| **t / window == now / window).count() as u128;
                let before = |times: &[u64]| {
                    times.iter().filter(|t| *t / window + 1 == now / window).count() as u128
                };
                // What each of them must do, from the times alone.
                let expected = [
                    in_window(&admitted[0]) < u128::from(limit),
                    admitted[1].iter().filter(|t| **t + window > now).count() < limit as usize,
                    before(&admitted[2]) * u128::from(window - now % window)
                        + in_window(&admitted[2]) * u128::from(window)
                        < u128::from(limit) * u128::from(window),
                ];
                let passes = [fixed.enter(at, 0), log.enter(at, 0), counter.enter(at, 0)];
                for ((times, passes), expected) in admitted.iter_mut().zip(passes).zip(expected) {
                    prop_assert_eq!(passes == Admission::Admitted, expected);
                    if expected {
                        times.push(now);
                    }
                }
            }
        }

        #[test]
        fn a_leaky_bucket_serves_in_order_at_its_pace_and_loses_nobody(
            rate in 1u64..20_000_000_000,
            capacity in 0u32..5,
            steps in prop::collection::vec((0u64..300_000_000, 0u8..8), 1..60),
        ) {
            let rate = CallRate(rate);
            let mut limiter = RateLimiter::new(RateLimitConfig::LeakyBucket { rate, capacity }, SimTime::ZERO);
            let mut now = SimTime::ZERO;
            let mut waiting: Vec<usize> = Vec::new();
            let mut last: Option<SimTime> = None;
            let mut leaves = |at: SimTime| {
                let spaced = last.is_none_or(|last| rate.accrued(at.since(last).ns()) >= ONE_CALL);
                last = Some(at);
                spaced
            };
            for (who, (gap, step)) in steps.into_iter().enumerate() {
                let until = now + SimDuration::from_ns(gap);
                while let Some(due) = limiter.turn_at().filter(|due| *due <= until) {
                    now = due.max(now);
                    prop_assert_eq!(limiter.turn(now), Some((waiting.remove(0), true)));
                    prop_assert!(leaves(now));
                }
                now = until;
                if step == 0 {
                    let gone = waiting.first().copied();
                    waiting.retain(|w| Some(*w) != gone);
                    prop_assert_eq!(limiter.abandon(gone.unwrap_or(usize::MAX)), gone.is_some());
                } else {
                    match limiter.enter(now, who) {
                        Admission::Admitted => prop_assert!(waiting.is_empty() && leaves(now)),
                        Admission::Queued => waiting.push(who),
                        Admission::Rejected => prop_assert_eq!(waiting.len(), capacity as usize),
                    }
                }
                prop_assert!(waiting.len() <= capacity as usize);
                prop_assert_eq!(limiter.waiting() as usize, waiting.len());
            }
        }
    }
}
