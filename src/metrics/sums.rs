//! Meters that are sums of others: recorded once, added up when somebody looks.
//!
//! Many meters see the same requests: those of a client population see what those of its kinds of requests see, those
//! of a group what those of its endpoints see. While a run plays, only the parts are recorded; what they amount to is
//! computed when a second or a window ends. All of it are sums of integers, so nothing is lost by that.

use super::Meters;

/// A meter that has all that some others have, and what it records itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The meter.
    pub target: u32,
    /// The others, as far as they record something themselves.
    pub parts: Vec<u32>,
}

/// What of a red a counter has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Its arrivals.
    Arrivals(u32),
    /// The requests that ended.
    Ended(u32),
}

/// All meters that are sums of others. A sum whose target is part of another comes after it, so that each adds what
/// its parts have recorded themselves.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Reds, without their timers.
    pub reds: Vec<Sum>,
    /// Timers.
    pub timers: Vec<Sum>,
    /// Counters that have what a red has, sums included.
    pub counters: Vec<(u32, Counted)>,
}

impl Sums {
    /// Adds everything up in meters of which only the parts are recorded.
    pub fn add_up(&self, meters: &mut Meters) {
        self.add_numbers(meters);
        for sum in &self.timers {
            add_timers(sum, meters);
        }
    }

    /// Adds up all but timers.
    fn add_numbers(&self, meters: &mut Meters) {
        for Sum { target, parts } in &self.reds {
            let mut red = meters.reds[*target as usize];
            parts.iter().for_each(|part| red.add(&meters.reds[*part as usize]));
            meters.reds[*target as usize] = red;
        }
        for (counter, counted) in &self.counters {
            meters.counters[*counter as usize] += match counted {
                Counted::Arrivals(red) => meters.reds[*red as usize].arrivals,
                Counted::Ended(red) => meters.reds[*red as usize].ended(),
            };
        }
    }

    /// Adds up as little as is needed to look at the meters of a second, and says in `views` which timer has what each
    /// timer should: where one part alone has values, it is that part.
    pub fn view(&self, meters: &mut Meters, views: &mut [u32]) {
        self.add_numbers(meters);
        for sum in &self.timers {
            let mut seen = sum.parts.iter().filter(|part| !meters.timers[**part as usize].is_empty());
            let is_empty = meters.timers[sum.target as usize].is_empty();
            views[sum.target as usize] = match (seen.next(), seen.next()) {
                (Some(part), None) if is_empty => *part,
                (None, _) => sum.target,
                _ => {
                    add_timers(sum, meters);
                    sum.target
                }
            };
        }
    }
}

fn add_timers(sum: &Sum, meters: &mut Meters) {
    let mut whole = std::mem::take(&mut meters.timers[sum.target as usize]);
    for part in &sum.parts {
        let part = &meters.timers[*part as usize];
        if !part.is_empty() {
            whole.merge(part);
        }
    }
    meters.timers[sum.target as usize] = whole;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Outcome;
    use crate::metrics::{Sizes, Source};

    fn sum(target: u32, parts: &[u32]) -> Sum {
        Sum { target, parts: parts.to_vec() }
    }

    /// Red 0 is the sum of 1, 2 and 3; red 1 of itself and 3; counter 0 has what ended of 0, counter 1 what arrived
    /// at 1.
    fn recorded(values: &[(u32, u64)]) -> (Meters, Sums) {
        let sums = Sums {
            reds: vec![sum(0, &[1, 2, 3]), sum(1, &[3])],
            timers: vec![sum(0, &[1, 2, 3]), sum(1, &[3])],
            counters: vec![(0, Counted::Ended(0)), (1, Counted::Arrivals(1))],
        };
        let mut meters = Meters::new(Sizes { reds: 4, timers: 4, counters: 2, ..Sizes::default() });
        meters.seconds = 1.0;
        for (red, ns) in values {
            meters.reds[*red as usize].arrivals += 1;
            meters.reds[*red as usize].outcomes[Outcome::Ok as usize] += 1;
            meters.timers[*red as usize].record(*ns);
        }
        (meters, sums)
    }

    #[test]
    fn a_whole_has_what_its_parts_have() {
        let (mut meters, sums) = recorded(&[(1, 10), (2, 20), (3, 30), (3, 40)]);
        sums.add_up(&mut meters);
        let ended: Vec<u64> = meters.reds.iter().map(|red| red.ended()).collect();
        assert_eq!(ended, [4, 3, 1, 2]);
        assert_eq!(meters.counters, [4, 3]);
        let sums: Vec<u128> = meters.timers.iter().map(|timer| timer.sum_ns()).collect();
        assert_eq!(sums, [100, 80, 20, 70]);
    }

    #[test]
    fn a_view_of_a_second_says_the_same() {
        for values in [
            &[][..],
            &[(3, 30)],
            &[(1, 10)],
            &[(1, 10), (3, 30)],
            &[(0, 5), (2, 7), (3, 9)],
            &[(2, 1), (1, 9)],
        ] {
            let (mut whole, sums) = recorded(values);
            let mut views: Vec<u32> = (0..4).collect();
            let mut second = whole.clone();
            sums.view(&mut second, &mut views);
            sums.add_up(&mut whole);
            for timer in 0..4u32 {
                for source in [Source::TimerMean, Source::TimerMax, Source::TimerMin, Source::TimerCount] {
                    assert_eq!(
                        second.value(source(views[timer as usize])),
                        whole.value(source(timer)),
                        "{values:?}"
                    );
                }
                assert_eq!(second.value(Source::Rate(timer)), whole.value(Source::Rate(timer)));
            }
            assert_eq!(second.counters, whole.counters);
        }
    }
}
