//! Who is turned away before the waiting room is full: by how long those who are called have waited, or by how many
//! wait.
//!
//! Sources: [`CoDel`] is folly's `Codel` (folly/executors/Codel.cpp, 2023); [`ControlledDelay`] is the pseudo-code of
//! Maurer, "Fail at Scale" (ACM Queue 13(8), 2015); [`RandomEarly`] is Floyd and Jacobson, "Random Early Detection
//! Gateways for Congestion Avoidance" (IEEE/ACM Transactions on Networking 1(4), 1993), Fig. 2, without bytes.

use crate::base::{SimDuration, SimTime};

/// How some are turned away before the room is full.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ShedConfig {
    /// Nobody is.
    None,
    /// folly's: while even the shortest wait of an interval was above the target, who has waited more than twice the
    /// target is turned away when called.
    CoDel {
        /// The wait that is accepted; folly has 5 ms.
        target: SimDuration,
        /// How long the shortest wait is watched; folly has 100 ms.
        interval: SimDuration,
    },
    /// Facebook's: who comes may wait for `interval`, or for `target` only if the room was not empty for the last
    /// `interval`.
    ControlledDelay {
        /// The longest wait while a queue stands (M); 5 ms.
        target: SimDuration,
        /// The longest wait otherwise, and how long a queue must stand (N); 100 ms.
        interval: SimDuration,
    },
    /// RED: by a chance that grows with a moving average of how many wait.
    RandomEarly {
        /// Nobody is turned away while the average is below (`min_th`).
        min: f64,
        /// Everybody is, from here on (`max_th`).
        max: f64,
        /// The chance just below `max` (`max_p`), from 0 to 1.
        probability: f64,
        /// The weight of the present length in the average (`w_q`), from 0 to 1.
        weight: f64,
        /// How long it takes to serve one, for the average over a time in which nobody waits (`s`).
        service: SimDuration,
    },
}

/// The state of a [`ShedConfig`].
#[derive(Clone, Debug)]
pub struct Shed {
    config: ShedConfig,
    /// CoDel: when the interval ends, the shortest wait in it, and whether that of the last one was too long.
    interval_ends: SimTime,
    shortest: SimDuration,
    is_overloaded: bool,
    /// When the room was last empty, as far as somebody came or was called; it begins empty.
    last_empty: SimTime,
    /// RED: the average, and how many came since one was turned away; -1 while the average is below the minimum.
    average: f64,
    count: f64,
}

impl Shed {
    /// As [`Shed::new`]; `None` if nobody is ever turned away.
    pub fn of(config: ShedConfig) -> Option<Box<Self>> {
        (config != ShedConfig::None).then(|| Box::new(Self::new(config)))
    }

    /// At the start nobody waits.
    pub fn new(config: ShedConfig) -> Self {
        Self {
            config,
            interval_ends: SimTime::ZERO,
            shortest: SimDuration::ZERO,
            is_overloaded: false,
            last_empty: SimTime::ZERO,
            average: 0.0,
            count: -1.0,
        }
    }

    /// The longest that somebody who comes now may wait, if that is limited.
    pub fn limit(&mut self, now: SimTime, waiting: usize) -> Option<SimDuration> {
        let ShedConfig::ControlledDelay { target, interval } = self.config else { return None };
        if waiting == 0 {
            self.last_empty = now;
        }
        Some(if now.since(self.last_empty) > interval { target } else { interval })
    }

    /// Whether somebody who comes while so many wait is turned away. `random` is uniform from 0 to 1.
    pub fn turns_away(&mut self, now: SimTime, waiting: usize, random: f64) -> bool {
        let ShedConfig::RandomEarly { min, max, probability, weight, service } = self.config else {
            return false;
        };
        if waiting == 0 {
            let missed = now.since(self.last_empty).seconds() / service.seconds();
            self.average *= libm::pow(1.0 - weight, missed);
            self.last_empty = now;
        } else {
            self.average += weight * (waiting as f64 - self.average);
        }
        if self.average < min {
            self.count = -1.0;
            return false;
        }
        self.count += 1.0;
        let is_away = self.average >= max || {
            let chance = probability * (self.average - min) / (max - min);
            let spread = 1.0 - self.count * chance;
            spread <= 0.0 || random < chance / spread
        };
        if is_away {
            self.count = 0.0;
        }
        is_away
    }

    /// Whether somebody who is called after such a wait is turned away.
    pub fn drops(&mut self, now: SimTime, waited: SimDuration) -> bool {
        let ShedConfig::CoDel { target, interval } = self.config else { return false };
        if now > self.interval_ends {
            self.is_overloaded = self.shortest > target;
            self.interval_ends = now + interval;
            self.shortest = waited;
            return false;
        }
        self.shortest = self.shortest.min(waited);
        self.is_overloaded && waited > target + target
    }

    /// Nobody waits any more.
    pub fn emptied(&mut self, now: SimTime) {
        self.last_empty = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> SimDuration {
        SimDuration::from_ms(ms)
    }
    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    const FOLLY: ShedConfig =
        ShedConfig::CoDel { target: SimDuration::from_ms(5), interval: SimDuration::from_ms(100) };

    #[test]
    fn codel_sloughs_only_after_an_interval_of_long_waits_and_never_its_first() {
        let mut shed = Shed::new(FOLLY);
        // The first interval begins with the first call.
        for t in (1..=101).step_by(10) {
            assert!(!shed.drops(at(t), ms(50)), "{t}");
        }
        // All waits of that interval were too long: the next has its first call for free, and then turns away.
        assert!(!shed.drops(at(102), ms(50)));
        assert!(shed.drops(at(103), ms(50)));
        assert!(!shed.drops(at(104), ms(10)), "twice the target is not beyond it");
        assert!(shed.drops(at(105), ms(10) + SimDuration::from_ns(1)));
        // One short wait, and the interval after this one is at peace.
        assert!(!shed.drops(at(106), ms(5)));
        assert!(shed.drops(at(202), ms(50)), "the interval ends after 100 ms, not with them");
        assert!(!shed.drops(at(203), ms(50)));
        assert!(!shed.drops(at(204), ms(50)));
    }

    #[test]
    fn a_standing_queue_shortens_patience() {
        let mut shed = Shed::new(ShedConfig::ControlledDelay { target: ms(5), interval: ms(100) });
        assert_eq!(shed.limit(at(1_000), 0), Some(ms(100)));
        assert_eq!(shed.limit(at(1_100), 3), Some(ms(100)));
        assert_eq!(shed.limit(at(1_101), 3), Some(ms(5)));
        shed.emptied(at(1_150));
        assert_eq!(shed.limit(at(1_200), 3), Some(ms(100)));
    }

    fn red(weight: f64) -> Shed {
        let (min, max, probability) = (5.0, 15.0, 0.1);
        Shed::new(ShedConfig::RandomEarly { min, max, probability, weight, service: ms(1) })
    }

    #[test]
    fn red_spreads_its_drops_evenly() {
        // With the present length as the average: chance 0.05 at 10. The count is 0 after a drop and raised before it
        // is used, so gaps are uniform on 1 .. 19.
        let (mut shed, mut rng) = (red(1.0), crate::base::Rng::from_seed(1));
        let (mut gaps, mut gap) = (Vec::new(), 0);
        for _ in 0..200_000 {
            gap += 1;
            if shed.turns_away(at(1), 10, rng.uniform()) {
                gaps.push(gap);
                gap = 0;
            }
        }
        let mean = gaps.iter().sum::<u32>() as f64 / gaps.len() as f64;
        assert!(gaps.iter().all(|gap| *gap <= 19), "{:?}", gaps.iter().max());
        // Their mean is 10 and their standard deviation 5.5; some 20,000 of them.
        assert!((mean - 10.0).abs() < 4.0 * 5.5 / (gaps.len() as f64).sqrt(), "{mean}");
    }

    #[test]
    fn red_turns_away_nobody_below_and_everybody_above() {
        let mut shed = red(1.0);
        assert!((0..1_000).all(|_| !shed.turns_away(at(1), 4, 0.0)));
        assert!((0..1_000).all(|_| shed.turns_away(at(1), 15, 0.999)));
    }

    #[test]
    fn reds_average_forgets_while_nobody_waits() {
        let mut shed = red(0.5);
        (0..50).for_each(|_| {
            shed.turns_away(at(1), 30, 0.5);
        });
        shed.emptied(at(10));
        // Three services' time later the average is an eighth of 30: below the minimum.
        assert!(!shed.turns_away(at(13), 0, 0.0));
        assert!((shed.average - 30.0 / 8.0).abs() < 1e-6);
    }
}
