//! resilience4j's `AtomicRateLimiter` (2.3.0, after its source): so many calls in each period, and whoever comes too
//! late reserves a place in a later one.
//!
//! - Periods begin at multiples of their length from the limiter's making. With each, the permits are set back to the
//!   limit, whatever was unused; permits reserved in advance are missing from it.
//! - A call without a permit reserves one and waits for the period that has it, if that begins within the timeout.
//! - Otherwise it is denied; yet it waits for the whole timeout before it is told so, as its thread sleeps.

use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// When a call that waits may go on, and whether it passes then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// The end of the wait.
    pub at: SimTime,
    /// Whether it has a permit.
    pub passes: bool,
}

/// The permits; who waits is kept by the [`RateLimiter`](super::RateLimiter), in the order of `line`.
#[derive(Clone, Debug)]
pub struct Periods {
    limit: i64,
    period: u64,
    timeout: SimDuration,
    made_at: SimTime,
    cycle: u64,
    /// Below zero for those reserved in advance.
    permits: i64,
    /// The reservations of those who wait, by the end of their wait.
    pub line: VecDeque<Reservation>,
}

impl Periods {
    /// With all the permits of its first period.
    pub fn new(limit: u32, period: SimDuration, timeout: SimDuration, now: SimTime) -> Self {
        let (limit, period) = (i64::from(limit), period.ns().max(1));
        Self { limit, period, timeout, made_at: now, cycle: 0, permits: limit, line: VecDeque::new() }
    }

    /// Changes the settings; reservations stay. Periods of another length are counted anew, from `now`.
    pub fn reconfigure(&mut self, limit: u32, period: SimDuration, timeout: SimDuration, now: SimTime) {
        if self.period != period.ns().max(1) {
            (self.period, self.made_at, self.cycle) = (period.ns().max(1), now, 0);
        }
        self.permits = self.permits.min(i64::from(limit));
        (self.limit, self.timeout) = (i64::from(limit), timeout);
    }

    /// A call arrives: it passes at once (`None`), or waits.
    pub fn reserve(&mut self, now: SimTime) -> Option<Reservation> {
        let since = now.since(self.made_at).ns();
        let cycle = since / self.period;
        if cycle != self.cycle {
            let elapsed = i64::try_from(cycle - self.cycle).unwrap_or(i64::MAX);
            self.permits = self.permits.saturating_add(elapsed.saturating_mul(self.limit)).min(self.limit);
            self.cycle = cycle;
        }
        if self.permits >= 1 {
            self.permits -= 1;
            return None;
        }
        let next = self.made_at + SimDuration::from_ns(self.period.saturating_mul(cycle + 1));
        // How many periods after the next one has a permit left.
        let more = (-self.permits / self.limit) as u64;
        let at = next + SimDuration::from_ns(self.period.saturating_mul(more));
        let passes = at.since(now) <= self.timeout;
        if passes {
            self.permits -= 1;
        }
        Some(Reservation { at: if passes { at } else { now + self.timeout }, passes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    /// When calls at these milliseconds go on, in milliseconds; negative if they are denied then.
    fn play(limit: u32, timeout_ms: u64, calls: &[u64]) -> Vec<i64> {
        let mut periods =
            Periods::new(limit, SimDuration::from_ms(100), SimDuration::from_ms(timeout_ms), SimTime::ZERO);
        let answer = |ms: &u64| match periods.reserve(at(*ms)) {
            None => *ms as i64,
            Some(Reservation { at, passes }) => {
                let ms = (at.ns() / 1_000_000) as i64;
                if passes { ms } else { -ms }
            }
        };
        calls.iter().map(answer).collect()
    }

    #[test]
    fn calls_reserve_permits_of_later_periods() {
        assert_eq!(play(2, 1_000, &[10, 20, 30, 40, 50]), [10, 20, 100, 100, 200]);
        // Those of the period that begins are reserved already.
        assert_eq!(
            play(2, 1_000, &[10, 20, 30, 40, 50, 110, 120, 210]),
            [10, 20, 100, 100, 200, 200, 300, 300]
        );
    }

    #[test]
    fn unused_permits_are_lost() {
        assert_eq!(play(1, 0, &[990, 991, 1_000, 1_001]), [990, -991, 1_000, -1_001]);
    }

    #[test]
    fn a_denied_call_waits_for_the_whole_timeout_and_reserves_nothing() {
        // 99 ms are too long at 1 and 2, and just right at 5.
        assert_eq!(play(1, 95, &[0, 1, 2, 5, 6, 100, 101]), [0, -96, -97, 100, -101, -195, -196]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_period_lets_more_through_and_waits_end_in_order(
            limit in 1u32..5, timeout in 0u64..400, waits in prop::collection::vec(0u64..60, 1..60),
        ) {
            let mut ms = 1;
            let calls: Vec<u64> = waits.iter().map(|wait| { ms += wait; ms }).collect();
            let ends = play(limit, timeout, &calls);
            let mut last = 0;
            let mut passed = std::collections::BTreeMap::<i64, u32>::new();
            for (end, call) in ends.iter().zip(&calls) {
                let waits = end.abs() - *call as i64;
                prop_assert!((0..=timeout as i64).contains(&waits));
                if waits > 0 {
                    prop_assert!(end.abs() >= last);
                    last = end.abs();
                }
                if *end >= 0 && (waits > 0 || timeout > 0 || *end == *call as i64) {
                    *passed.entry(end / 100).or_default() += 1;
                } else {
                    prop_assert_eq!(waits, timeout as i64);
                }
            }
            prop_assert!(passed.values().all(|n| *n <= limit), "{:?}", passed);
        }
    }
}
