//! Deadlines: a moment that is passed on with a call, so that all who work for it know when nobody waits any more.
//!
//! A timeout ends the waiting of one caller, and whoever is called knows nothing of it. A deadline travels with the
//! call, as gRPC's does in `grpc-timeout`: whoever calls on has no more time than is left, a call for which no time is
//! left is not made, and work that waited in line too long is not begun. On its way down it can only come nearer.

use crate::base::time::{SimDuration, SimTime};

/// The deadline of a call made at `now` with a limit of its own, for somebody who has until `inherited`
/// ([`SimTime::NEVER`] without a deadline).
pub fn deadline(inherited: SimTime, now: SimTime, limit: SimDuration) -> SimTime {
    inherited.min(now + limit)
}

/// Whether it is too late to begin anything.
pub fn is_over(deadline: SimTime, now: SimTime) -> bool {
    deadline <= now
}

/// Whether a retry that waits for so long could still be sent before the deadline.
pub fn allows_wait(deadline: SimTime, now: SimTime, wait: SimDuration) -> bool {
    !is_over(deadline, now + wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(ms: u64) -> SimDuration {
        SimDuration::from_ms(ms)
    }

    #[test]
    fn what_is_left_is_passed_on() {
        let first = deadline(SimTime::NEVER, SimTime::ZERO, ms(100));
        assert_eq!(first, SimTime::ZERO + ms(100));
        // 80 ms later another second is asked for in vain.
        assert_eq!(deadline(first, SimTime::ZERO + ms(80), ms(1_000)), first);
        assert_eq!(deadline(first, SimTime::ZERO + ms(80), ms(10)), SimTime::ZERO + ms(90));
        assert!(!is_over(first, SimTime::ZERO + ms(99)) && is_over(first, SimTime::ZERO + ms(100)));
        assert!(allows_wait(first, SimTime::ZERO + ms(50), ms(49)));
        assert!(!allows_wait(first, SimTime::ZERO + ms(50), ms(50)));
        assert!(!is_over(SimTime::NEVER, SimTime::ZERO + ms(1_000_000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn deadlines_never_grow_on_the_way_down(hops in prop::collection::vec((0u64..10_000, 0u64..10_000), 1..20)) {
            let (mut now, mut until) = (SimTime::ZERO, SimTime::NEVER);
            for (gap, limit) in hops {
                now += ms(gap);
                let next = deadline(until, now, ms(limit));
                prop_assert!(next <= until);
                prop_assert!(next <= now + ms(limit));
                prop_assert!(is_over(next, next));
                until = next;
            }
        }
    }
}
