//! Replicas that follow a primary, and how long it takes until one of them is promoted.
//!
//! A write is on its way for a time, and then applied behind all that came before it, one at a time. The lag of a
//! replica is what it has not applied yet; what it had not even received when the primary was lost is lost, too.
//!
//! Sources: PostgreSQL 16, "Log-Shipping Standby Servers" (one process applies); Patroni 3, "Dynamic Configuration
//! Settings" and `ha.py` for the times of [`FailoverConfig::Patroni`].

use crate::base::{SimDuration, SimTime};
use std::collections::VecDeque;

/// A write that a replica has not applied.
#[derive(Clone, Copy, Debug)]
struct Write {
    committed: SimTime,
    arrives: SimTime,
}

/// A replica and what it has not applied.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    behind: VecDeque<Write>,
    /// Writes that were on their way when the primary was lost.
    held: VecDeque<Write>,
    is_applying: bool,
}

impl Replica {
    /// Writes that are not applied.
    pub fn backlog(&self) -> usize {
        self.behind.len() + self.held.len()
    }

    /// A write was committed, and will arrive then. Writes arrive in order: one that is overtaken is waited for.
    pub fn write(&mut self, committed: SimTime, arrives: SimTime) {
        let last = self.held.back().or(self.behind.back()).map_or(SimTime::ZERO, |w| w.arrives);
        self.behind.push_back(Write { committed, arrives: arrives.max(last) });
    }

    /// A write was committed that cannot arrive until the primary reaches the replica again.
    pub fn hold(&mut self, committed: SimTime, arrives: SimTime) {
        self.held.push_back(Write { committed, arrives });
    }

    /// When applying the next write can begin, if there is one and none is being applied: the caller begins.
    pub fn begin(&mut self, now: SimTime) -> Option<SimTime> {
        if self.is_applying {
            return None;
        }
        let next = self.behind.front()?;
        self.is_applying = true;
        Some(next.arrives.max(now))
    }

    /// The write that was being applied is done; returns when it was committed.
    pub fn applied(&mut self) -> Option<SimTime> {
        self.is_applying = false;
        self.behind.pop_front().map(|w| w.committed)
    }

    /// Applying has stopped and the write under way must be begun again.
    pub fn interrupt(&mut self) {
        self.is_applying = false;
    }

    /// The primary is lost: what has not arrived does not until the primary is back. True if the write that was being
    /// waited for is among that, so that nothing is being applied any more.
    pub fn primary_lost(&mut self, now: SimTime) -> bool {
        let arrived = self.behind.partition_point(|w| w.arrives <= now);
        self.held.extend(self.behind.drain(arrived..));
        let is_idle = self.is_applying && self.behind.is_empty();
        self.is_applying &= !is_idle;
        is_idle
    }

    /// The primary is back and sends again what had not arrived.
    pub fn primary_back(&mut self, now: SimTime) {
        while let Some(write) = self.held.pop_front() {
            self.behind.push_back(Write { arrives: write.arrives.max(now), ..write });
        }
    }

    /// Another has taken the primary's place: what had not arrived never does. Returns how many writes that were.
    pub fn lose(&mut self) -> usize {
        let lost = self.held.len();
        self.held.clear();
        lost
    }

    /// Begins anew, with everything applied; returns how many writes it had been behind.
    pub fn resync(&mut self) -> usize {
        let behind = self.backlog();
        *self = Self::default();
        behind
    }
}

/// Who promotes a replica, and how fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailoverConfig {
    /// By the expiry of the leader's key.
    Patroni {
        /// How long the key lives.
        ttl: SimDuration,
        /// From one look to the next.
        loop_wait: SimDuration,
        /// How long a crashed process may take to start again.
        primary_start_timeout: SimDuration,
    },
    /// By a service that publishes a range of times.
    Managed {
        /// The shortest.
        min: SimDuration,
        /// The longest.
        max: SimDuration,
    },
    /// By somebody who says so, never by itself.
    Manual,
}

impl FailoverConfig {
    /// From the loss of a primary to the decision to promote. `restart` is how long its process would take to
    /// be back by
    /// itself, `None` if its server is lost. `None` if nobody is promoted. The draws are uniform from 0 to 1.
    pub fn decides_after(&self, restart: Option<SimDuration>, draws: [f64; 2]) -> Option<SimDuration> {
        match *self {
            Self::Patroni { ttl, loop_wait, primary_start_timeout } => {
                let until_seen = loop_wait.scaled(draws[1]);
                match restart {
                    Some(restart) if restart <= primary_start_timeout => None,
                    // The leader gives its key up by itself.
                    Some(_) => Some(primary_start_timeout + until_seen),
                    None => {
                        let age = loop_wait.scaled(draws[0]);
                        let expires = SimDuration::from_ns(ttl.ns().saturating_sub(age.ns()));
                        Some(expires + until_seen)
                    }
                }
            }
            Self::Manual => None,
            Self::Managed { min, max } => {
                let spread = SimDuration::from_ns(max.ns().saturating_sub(min.ns()));
                let time = min + spread.scaled(draws[0]);
                restart.is_none_or(|restart| restart > time).then_some(time)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: u64) -> SimDuration {
        SimDuration::from_secs(seconds)
    }
    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + s(seconds)
    }

    const PATRONI: FailoverConfig = FailoverConfig::Patroni {
        ttl: SimDuration::from_secs(30),
        loop_wait: SimDuration::from_secs(10),
        primary_start_timeout: SimDuration::from_secs(300),
    };

    #[test]
    fn what_is_held_arrives_once_the_primary_reaches_the_replica() {
        let mut replica = Replica::default();
        replica.write(at(1), at(2));
        replica.hold(at(3), at(4));
        assert_eq!(replica.begin(at(5)), Some(at(5)));
        assert_eq!(replica.applied(), Some(at(1)));
        assert_eq!((replica.begin(at(6)), replica.backlog()), (None, 1));
        replica.primary_back(at(9));
        assert_eq!(replica.begin(at(9)), Some(at(9)));
        assert_eq!(replica.applied(), Some(at(3)));
    }

    #[test]
    fn patroni_waits_for_the_key_and_for_a_look() {
        assert_eq!(PATRONI.decides_after(None, [0.0, 0.0]), Some(s(30)));
        assert_eq!(PATRONI.decides_after(None, [1.0, 0.0]), Some(s(20)));
        assert_eq!(PATRONI.decides_after(None, [0.0, 1.0]), Some(s(40)));
    }

    #[test]
    fn patroni_restarts_what_crashed_unless_that_takes_too_long() {
        assert_eq!(PATRONI.decides_after(Some(s(300)), [0.5, 0.5]), None);
        assert_eq!(PATRONI.decides_after(Some(s(301)), [0.5, 0.5]), Some(s(305)));
    }

    #[test]
    fn who_is_back_before_the_standby_stays() {
        let rds = FailoverConfig::Managed { min: s(60), max: s(120) };
        assert_eq!(rds.decides_after(None, [0.5, 0.0]), Some(s(90)));
        assert_eq!(rds.decides_after(Some(s(90)), [0.5, 0.0]), None);
        assert_eq!(rds.decides_after(Some(s(91)), [0.5, 0.0]), Some(s(90)));
    }

    #[test]
    fn what_had_not_arrived_is_lost() {
        let mut replica = Replica::default();
        replica.write(at(1), at(2));
        replica.write(at(3), at(9));
        replica.write(at(4), at(5));
        // The third waits behind the second.
        assert!(!replica.primary_lost(at(8)));
        assert_eq!((replica.backlog(), replica.lose()), (3, 2));
        assert_eq!(replica.begin(at(8)), Some(at(8)));
        assert_eq!((replica.applied(), replica.backlog()), (Some(at(1)), 0));
    }

    #[test]
    fn a_primary_that_comes_back_sends_again() {
        let mut replica = Replica::default();
        replica.write(at(1), at(5));
        assert_eq!(replica.begin(at(1)), Some(at(5)));
        assert!(replica.primary_lost(at(2)));
        assert_eq!(replica.begin(at(6)), None);
        replica.primary_back(at(9));
        assert_eq!(replica.begin(at(9)), Some(at(9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Every write is applied once, in order, or lost; never more than was written.
        #[test]
        fn writes_are_applied_in_order(script in prop::collection::vec((0u8..4, 0u64..20), 1..60)) {
            let (mut replica, mut now) = (Replica::default(), 0);
            let (mut written, mut applied, mut lost, mut last) = (0, 0, 0, SimTime::ZERO);
            let mut is_applying = false;
            for (action, number) in script {
                now += 1;
                match action {
                    0 | 1 => {
                        replica.write(at(now), at(now + number));
                        written += 1;
                    }
                    2 if is_applying => {
                        let committed = replica.applied();
                        is_applying = false;
                        prop_assert!(committed.is_some_and(|c| c >= last));
                        last = committed.unwrap_or(last);
                        applied += 1;
                    }
                    2 => is_applying = replica.begin(at(now)).is_some(),
                    _ => {
                        is_applying &= !replica.primary_lost(at(now));
                        if number % 2 == 0 {
                            lost += replica.lose();
                        } else {
                            replica.primary_back(at(now));
                        }
                    }
                }
                prop_assert_eq!(written, applied + lost + replica.backlog());
            }
        }
    }
}
