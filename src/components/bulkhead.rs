//! A bulkhead: no dependency may take more than its share of the workers.
//!
//! Without one, a single slow callee holds every worker of its caller, and all that needed no such call sinks
//! with it. A bulkhead lets so many calls run at once, so many more wait for a place, first come first served,
//! and turns the rest away.
//!
//! The semantics are those of resilience4j's `SemaphoreBulkhead` (fair), with a bound on how many wait, which
//! it does not have. A call that waits too long is taken out by [`Bulkhead::abandon`]; the caller owns the timer.

pub mod family;
pub mod threads;

use crate::base::time::SimDuration;
use std::collections::VecDeque;

/// The sizes of a [`Bulkhead`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkheadConfig {
    /// How many may run at once (resilience4j: `maxConcurrentCalls`, default 25).
    pub max_concurrent: u32,
    /// How many may wait (resilience4j: no limit).
    pub max_queue: u32,
    /// How long one may wait; `None` is without end (resilience4j: `maxWaitDuration`, default 0). With none at
    /// all (zero) nobody waits, whatever `max_queue` says.
    pub max_wait: Option<SimDuration>,
}

/// What becomes of one who wants to enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enter {
    /// It runs, and must leave.
    Admitted,
    /// It waits: for its turn, or for `max_wait` to end and be abandoned.
    Queued,
    /// It is turned away.
    Rejected,
}

/// A semaphore with a bounded queue. `W` names who waits: an id.
#[derive(Clone, Debug)]
pub struct Bulkhead<W> {
    config: BulkheadConfig,
    in_use: u32,
    waiting: VecDeque<W>,
}

impl<W: Copy + PartialEq> Bulkhead<W> {
    /// An empty bulkhead.
    pub fn new(config: BulkheadConfig) -> Self {
        Self { config, in_use: 0, waiting: VecDeque::new() }
    }

    /// Changes the sizes while it runs. Nobody inside or waiting is put out; more room is given to those who
    /// wait by calling [`admit`](Bulkhead::admit) until it returns `None`.
    pub fn reconfigure(&mut self, config: BulkheadConfig) {
        self.config = config;
    }

    /// Somebody wants to enter.
    pub fn enter(&mut self, who: W) -> Enter {
        // Nobody passes those who wait, not even while a place is free that is still to be given to them.
        if self.has_room() && self.waiting.is_empty() {
            self.in_use += 1;
            return Enter::Admitted;
        }
        if self.config.max_wait == Some(SimDuration::ZERO) || self.waiting() >= self.config.max_queue {
            return Enter::Rejected;
        }
        self.waiting.push_back(who);
        Enter::Queued
    }

    /// Somebody who ran leaves. Returns whose turn it is: they run from now on.
    pub fn leave(&mut self) -> Option<W> {
        debug_assert!(self.in_use > 0, "who leaves has entered");
        self.in_use = self.in_use.saturating_sub(1);
        self.admit()
    }

    /// Gives a free place to the one who has waited longest, if there are both.
    pub fn admit(&mut self) -> Option<W> {
        if !self.has_room() {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.in_use += 1;
        Some(next)
    }

    /// Takes out one who waits; `false` if they do not, or no longer. Those who waited longest are looked at
    /// first, so that ends of `max_wait` are found at once; any other costs a walk along the queue.
    pub fn abandon(&mut self, who: W) -> bool {
        let Some(at) = self.waiting.iter().position(|w| *w == who) else {
            return false;
        };
        self.waiting.remove(at).is_some()
    }

    /// Takes out the one who has waited longest.
    pub fn evict(&mut self) -> Option<W> {
        self.waiting.pop_front()
    }

    /// How many run.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }

    /// How long one may wait.
    pub fn max_wait(&self) -> Option<SimDuration> {
        self.config.max_wait
    }

    fn has_room(&self) -> bool {
        self.in_use < self.config.max_concurrent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO_AND_TWO: BulkheadConfig = BulkheadConfig { max_concurrent: 2, max_queue: 2, max_wait: None };

    /// Plays a script: a small letter wants to enter (`+` it runs, `~` it waits, `x` it is turned away), its
    /// capital gives up waiting (`y` or `n`), `.` somebody leaves (the letter whose turn it is, or `_`).
    fn play(config: BulkheadConfig, script: &str) -> String {
        let mut bulkhead = Bulkhead::new(config);
        script.chars().map(|step| play_step(&mut bulkhead, step)).collect()
    }

    fn play_step(bulkhead: &mut Bulkhead<char>, step: char) -> char {
        match step {
            '.' => bulkhead.leave().unwrap_or('_'),
            'A'..='Z' if bulkhead.abandon(step.to_ascii_lowercase()) => 'y',
            'A'..='Z' => 'n',
            _ => match bulkhead.enter(step) {
                Enter::Admitted => '+',
                Enter::Queued => '~',
                Enter::Rejected => 'x',
            },
        }
    }

    #[test]
    fn runs_two_queues_two_rejects_the_rest() {
        assert_eq!(play(TWO_AND_TWO, "abcde"), "++~~x");
    }

    #[test]
    fn first_come_first_served() {
        assert_eq!(play(TWO_AND_TWO, "abcd..e.."), "++~~cd~e_");
    }

    #[test]
    fn who_gives_up_is_passed_over_and_makes_room() {
        assert_eq!(play(TWO_AND_TWO, "abcdCe."), "++~~y~d");
        assert_eq!(play(TWO_AND_TWO, "abcC.."), "++~y__");
        assert_eq!(play(TWO_AND_TWO, "abAZ"), "++nn");
    }

    #[test]
    fn with_no_time_to_wait_nobody_does() {
        let config = BulkheadConfig { max_wait: Some(SimDuration::ZERO), ..TWO_AND_TWO };
        assert_eq!(play(config, "abc.c"), "++x_+");
    }

    #[test]
    fn new_room_goes_to_those_who_wait() {
        let mut bulkhead = Bulkhead::new(TWO_AND_TWO);
        "abcd".chars().for_each(|who| {
            bulkhead.enter(who);
        });
        bulkhead.reconfigure(BulkheadConfig { max_concurrent: 3, max_queue: 3, ..TWO_AND_TWO });
        assert_eq!(bulkhead.enter('e'), Enter::Queued);
        assert_eq!((bulkhead.admit(), bulkhead.admit()), (Some('c'), None));
        bulkhead.reconfigure(TWO_AND_TWO);
        assert_eq!((bulkhead.leave(), bulkhead.leave()), (None, Some('d')));
    }

    proptest! {
        #[test]
        fn never_too_many_in_order_and_nobody_lost(
            max_concurrent in 1u32..5, max_queue in 0u32..6,
            steps in prop::collection::vec((0u8..4, 0usize..8), 1..300),
        ) {
            let mut bulkhead = Bulkhead::new(BulkheadConfig { max_concurrent, max_queue, max_wait: None });
            let mut waiting: Vec<usize> = Vec::new();
            let mut running = 0u32;
            for (who, (step, pick)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => match bulkhead.enter(who) {
                        Enter::Admitted => running += 1,
                        Enter::Queued => waiting.push(who),
                        Enter::Rejected => prop_assert!(
                            running == max_concurrent && waiting.len() == max_queue as usize
                        ),
                    },
                    2 if running > 0 => {
                        let expected = if waiting.is_empty() { None } else { Some(waiting.remove(0)) };
                        running -= u32::from(expected.is_none());
                        prop_assert_eq!(bulkhead.leave(), expected);
                    }
                    _ => {
                        let gone = waiting.get(pick).copied();
                        waiting.retain(|w| Some(*w) != gone);
                        prop_assert_eq!(bulkhead.abandon(gone.unwrap_or(usize::MAX)), gone.is_some());
                    }
                }
                prop_assert!(running <= max_concurrent && waiting.len() <= max_queue as usize);
                prop_assert!(waiting.is_empty() || running == max_concurrent);
                prop_assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (running, waiting.len() as u32));
            }
        }
    }
}
