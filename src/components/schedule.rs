//! Scheduled scaling: at set times there may be, or should be, another number of instances.
//!
//! An action sets what it names and leaves the rest; what there should be is then brought within the bounds. Between
//! actions the bounds that were set stay, and whatever else scales the group keeps within them.
//!
//! Source: Amazon EC2 Auto Scaling and Application Auto Scaling, "Scheduled scaling" (2023). A recurrence is a period
//! here, where the product has a cron expression.

use crate::base::{SimDuration, SimTime};

/// A scheduled action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduledAction {
    /// When it is taken first (`StartTime`).
    pub at: SimTime,
    /// From then on again after each such time (`Recurrence`); once if `None`.
    pub every: Option<SimDuration>,
    /// The fewest instances from then on (`MinCapacity`).
    pub min: Option<u32>,
    /// The most (`MaxCapacity`).
    pub max: Option<u32>,
    /// How many there should be (`DesiredCapacity`).
    pub desired: Option<u32>,
}

impl ScheduledAction {
    /// The first time at or after a moment at which it is taken.
    fn next(&self, from: SimTime) -> Option<SimTime> {
        if self.at >= from {
            return Some(self.at);
        }
        let every = self.every?.ns().max(1);
        let rounds = from.since(self.at).ns().div_ceil(every);
        Some(self.at + SimDuration::from_ns(rounds * every))
    }
}

/// The actions of a group and what they have set.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    actions: Vec<ScheduledAction>,
    /// The bounds that actions have set.
    min: Option<u32>,
    max: Option<u32>,
}

impl Schedule {
    /// A schedule of which nothing has been done yet.
    pub fn new(actions: Vec<ScheduledAction>) -> Self {
        Self { actions, min: None, max: None }
    }

    /// Follows other actions from now on; the bounds that were set stay.
    pub fn reconfigure(&mut self, actions: Vec<ScheduledAction>) {
        self.actions = actions;
    }

    /// The first time at or after a moment at which something is to be done.
    pub fn next(&self, from: SimTime) -> Option<SimTime> {
        self.actions.iter().filter_map(|a| a.next(from)).min()
    }

    /// Takes the actions of this moment, in order; returns how many instances there should be, of so many before.
    pub fn act(&mut self, now: SimTime, mut desired: u32) -> u32 {
        for action in self.actions.iter().filter(|a| a.next(now) == Some(now)) {
            self.min = action.min.or(self.min);
            self.max = action.max.or(self.max);
            desired = action.desired.unwrap_or(desired);
        }
        let (min, max) = self.bounds(0, u32::MAX);
        desired.clamp(min, max)
    }

    /// The bounds in force where these hold otherwise; the least is at most the most.
    pub fn bounds(&self, min: u32, max: u32) -> (u32, u32) {
        let max = self.max.unwrap_or(max);
        (self.min.unwrap_or(min).min(max), max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    fn action(s: u64, every: Option<u64>, of: [Option<u32>; 3]) -> ScheduledAction {
        let [min, max, desired] = of;
        ScheduledAction { at: at(s), every: every.map(SimDuration::from_secs), min, max, desired }
    }

    #[test]
    fn actions_recur_and_set_what_they_name() {
        let morning = action(8, Some(24), [Some(4), Some(20), None]);
        let evening = action(20, Some(24), [Some(1), None, Some(2)]);
        let mut schedule = Schedule::new(vec![morning, evening, action(9, None, [None, None, Some(30)])]);
        let mut all = Vec::new();
        let (mut now, mut desired) = (at(0), 2);
        for _ in 0..5 {
            now = schedule.next(now).unwrap();
            desired = schedule.act(now, desired);
            all.push((now.seconds(), desired, schedule.bounds(3, 5)));
            now += SimDuration::from_ns(1);
        }
        // 30 is more than the most; the evening brings back 2, and the next morning 4.
        let expected = [
            (8.0, 4, (4, 20)),
            (9.0, 20, (4, 20)),
            (20.0, 2, (1, 20)),
            (32.0, 4, (4, 20)),
            (44.0, 2, (1, 20)),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn without_actions_nothing_is_due() {
        assert_eq!(Schedule::default().next(at(0)), None);
        assert_eq!(Schedule::new(vec![action(5, None, [None; 3])]).next(at(6)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Every moment that is said to be next is an action's, and what comes of it keeps the bounds.
        #[test]
        fn what_is_next_is_due(
            actions in prop::collection::vec(
                (0u64..50, prop::option::of(1u64..30), prop::option::of(0u32..9), prop::option::of(0u32..9),
                 prop::option::of(0u32..12)), 1..5),
        ) {
            let list: Vec<_> =
                actions.iter().map(|(s, every, a, b, c)| action(*s, *every, [*a, *b, *c])).collect();
            let mut schedule = Schedule::new(list.clone());
            let (mut now, mut desired) = (at(0), 3);
            for _ in 0..20 {
                let Some(next) = schedule.next(now) else { break };
                prop_assert!(next >= now);
                let is_due = |a: &ScheduledAction| match a.every {
                    Some(every) => next >= a.at && next.since(a.at).ns() % every.ns() == 0,
                    None => next == a.at,
                };
                prop_assert!(list.iter().any(is_due));
                desired = schedule.act(next, desired);
                let (min, max) = schedule.bounds(0, u32::MAX);
                prop_assert!(min <= desired && desired <= max);
                now = next + SimDuration::from_ns(1);
            }
        }
    }
}
