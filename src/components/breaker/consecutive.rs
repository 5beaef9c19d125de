//! A breaker that counts failures in a row, as many service meshes and client libraries have it.
//!
//! It opens after so many failures without a success between them, rejects everything for a while, and then lets a
//! few probes through at once. Any probe that fails opens it again; so many that succeed in a row close it.
//!
//! The shape is that of gobreaker 2 (Go), which counts by *generation*: every change of state begins a new one, and a
//! result counts only in the generation in which its call was admitted. So the late answers of calls that were sent
//! before it opened neither close nor open it, unlike in [opossum's breaker](super::Breaker). Unlike gobreaker's
//! `MaxRequests`, the number of probes under way and the successes needed to close are two settings.

use super::{BreakerState, Transition};
use crate::base::time::{SimDuration, SimTime};

/// What can be set on a [`ConsecutiveBreaker`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsecutiveConfig {
    /// How many failures in a row open it: at least one.
    pub failures: u32,
    /// How long it stays open.
    pub reset: SimDuration,
    /// How many probes may be under way at once while it is half open: at least one.
    pub trials: u32,
    /// How many probes must succeed in a row to close it: at least one.
    pub successes: u32,
}

/// How a call ended, as far as a breaker cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Well.
    Success,
    /// Not well.
    Failure,
    /// Its caller called it off: that says nothing about the callee.
    Cancelled,
}

/// The generation in which a call was admitted; its result counts only there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket(u32);

impl Ticket {
    /// Of a breaker that does not ask for it.
    pub const NONE: Self = Self(u32::MAX);
}

/// The breaker.
#[derive(Clone, Debug)]
pub struct ConsecutiveBreaker {
    config: ConsecutiveConfig,
    state: BreakerState,
    generation: u32,
    /// Closed: failures in a row. Half open: successes in a row.
    in_a_row: u32,
    /// Probes under way.
    probes: u32,
    half_open_at: Option<SimTime>,
}

impl ConsecutiveBreaker {
    /// A closed breaker.
    pub fn new(config: ConsecutiveConfig) -> Self {
        Self {
            config,
            state: BreakerState::Closed,
            generation: 0,
            in_a_row: 0,
            probes: 0,
            half_open_at: None,
        }
    }

    /// Changes the settings while it runs. Its state, what it has counted and an armed reset timer stay; new limits
    /// are looked at with the next result.
    pub fn reconfigure(&mut self, config: ConsecutiveConfig) {
        self.config = config;
    }

    /// A call arrives: it passes with a ticket, to be told with its ending, or is rejected.
    pub fn on_request(&mut self) -> Option<Ticket> {
        match self.state {
            BreakerState::Closed => {}
            BreakerState::HalfOpen if self.probes < self.config.trials => self.probes += 1,
            BreakerState::HalfOpen | BreakerState::Open => return None,
        }
        Some(Ticket(self.generation))
    }

    /// An admitted call ended. Each ticket is told once.
    pub fn on_ending(&mut self, now: SimTime, ticket: Ticket, ending: Ending) -> Option<Transition> {
        if ticket.0 != self.generation {
            return None;
        }
        match self.state {
            BreakerState::Closed => match ending {
                Ending::Success => self.in_a_row = 0,
                Ending::Failure => {
                    self.in_a_row += 1;
                    if self.in_a_row >= self.config.failures {
                        return Some(self.open(now));
                    }
                }
                Ending::Cancelled => {}
            },
            BreakerState::HalfOpen => {
                debug_assert!(self.probes > 0, "a result is told once, for a call that passed");
                self.probes = self.probes.saturating_sub(1);
                match ending {
                    Ending::Success => {
                        self.in_a_row += 1;
                        if self.in_a_row >= self.config.successes {
                            return Some(self.go(BreakerState::Closed));
                        }
                    }
                    Ending::Failure => return Some(self.open(now)),
                    Ending::Cancelled => {}
                }
            }
            // Nothing is admitted while it is open, so no ticket is of this generation.
            BreakerState::Open => {}
        }
        None
    }

    /// The reset timer went off. One that is not due, or no longer wanted, changes nothing.
    pub fn on_reset_timer(&mut self, now: SimTime) -> Option<Transition> {
        if self.half_open_at? > now {
            return None;
        }
        Some(self.go(BreakerState::HalfOpen))
    }

    /// When the reset timer is due; `None` unless open.
    pub fn half_open_at(&self) -> Option<SimTime> {
        self.half_open_at
    }

    /// Whether calls pass.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    fn open(&mut self, now: SimTime) -> Transition {
        let transition = self.go(BreakerState::Open);
        self.half_open_at = Some(now + self.config.reset);
        transition
    }

    fn go(&mut self, to: BreakerState) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        debug_assert!(from != to, "a transition leads elsewhere");
        // Never that of `Ticket::NONE`.
        self.generation = (self.generation + 1) % u32::MAX;
        self.in_a_row = 0;
        self.probes = 0;
        self.half_open_at = None;
        Transition { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: ConsecutiveConfig =
        ConsecutiveConfig { failures: 3, reset: SimDuration::from_secs(2), trials: 2, successes: 3 };

    /// Plays a script and returns one mark for each step. Steps: `?` a call arrives; `+` the oldest call under way
    /// ends well, `x` fails, `-` is called off; `.` a second passes; `!` the reset timer goes off. Marks: `P` pass,
    /// `R` rejected, `_` nothing to tell; or the new state: `O`, `H`, `C`.
    fn play(config: ConsecutiveConfig, script: &str) -> String {
        let mut breaker = ConsecutiveBreaker::new(config);
        let mut now = SimTime::ZERO;
        let mut running = std::collections::VecDeque::new();
        let step = |step: char| {
            let transition = match step {
                '?' => match breaker.on_request() {
                    Some(ticket) => {
                        running.push_back(ticket);
                        return 'P';
                    }
                    None => return 'R',
                },
                '.' => {
                    now += SimDuration::from_secs(1);
                    None
                }
                '!' => breaker.on_reset_timer(now),
                _ => {
                    let ending = match step {
                        '+' => Ending::Success,
                        'x' => Ending::Failure,
                        _ => Ending::Cancelled,
                    };
                    breaker.on_ending(now, running.pop_front().expect("a call runs"), ending)
                }
            };
            match transition.map(|t| t.to) {
                None => '_',
                Some(BreakerState::Open) => 'O',
                Some(BreakerState::HalfOpen) => 'H',
                Some(BreakerState::Closed) => 'C',
            }
        };
        script.chars().map(step).collect()
    }

    #[test]
    fn failures_in_a_row_open_and_a_success_starts_the_count_anew() {
        assert_eq!(play(CONFIG, "???xxx?"), "PPP__OR");
        assert_eq!(play(CONFIG, "??????xx+xx?x?"), "PPPPPP_____POR");
        // One that is called off neither counts nor starts anew.
        assert_eq!(play(CONFIG, "????xx-x"), "PPPP___O");
    }

    #[test]
    fn it_is_half_open_when_the_timer_is_due() {
        assert_eq!(play(CONFIG, "???xxx.!?.!?"), "PPP__O__R_HP");
    }

    #[test]
    fn so_many_probes_at_once_and_so_many_successes() {
        assert_eq!(play(CONFIG, "???xxx..!???+?+?+?"), "PPP__O__HPPR_P_PCP");
        assert_eq!(play(CONFIG, "???xxx..!??+x"), "PPP__O__HPP_O");
        // The place of one that is called off is free again.
        assert_eq!(play(CONFIG, "???xxx..!??-?"), "PPP__O__HPP_P");
    }

    #[test]
    fn late_results_of_earlier_calls_count_for_nothing() {
        assert_eq!(play(CONFIG, "????xxx+..!?"), "PPPP__O___HP");
        // Half open: neither does it open again nor count as the probe's.
        let one = ConsecutiveConfig { trials: 1, successes: 1, ..CONFIG };
        assert_eq!(play(one, "?????xxx..!x+??+"), "PPPPP__O__H__PRC");
        // A probe of an earlier time half open: its place is not given back twice.
        assert_eq!(play(CONFIG, "???xxx..!??x..!??x?"), "PPP__O__HPPO__HPP_R");
    }

    #[test]
    fn settings_that_change_keep_the_count() {
        let mut breaker = ConsecutiveBreaker::new(CONFIG);
        let fail = |breaker: &mut ConsecutiveBreaker| {
            let ticket = breaker.on_request().expect("it passes");
            breaker.on_ending(SimTime::ZERO, ticket, Ending::Failure).is_some()
        };
        assert!(!fail(&mut breaker));
        breaker.reconfigure(ConsecutiveConfig { failures: 2, ..CONFIG });
        assert!(fail(&mut breaker));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn it_does_what_a_list_of_results_says(
            failures in 1u32..5, trials in 1u32..4, successes in 1u32..4,
            steps in prop::collection::vec((0u8..8, 0usize..6), 1..120),
        ) {
            let config = ConsecutiveConfig { failures, reset: SimDuration::from_secs(2), trials, successes };
            let mut breaker = ConsecutiveBreaker::new(config);
            let mut now = SimTime::ZERO;
            let mut running: Vec<(Ticket, u32)> = Vec::new();
            // The results of the calls that were admitted since the last change of state, and how many run of them.
            let (mut life, mut results, mut opened_at) = (0u32, Vec::<bool>::new(), SimTime::ZERO);
            for (step, pick) in steps {
                let before = breaker.state();
                let ours = running.iter().filter(|(_, l)| *l == life).count() as u32;
                let transition = match step {
                    0..=2 => {
                        let ticket = breaker.on_request();
                        prop_assert_eq!(ticket.is_some(), match before {
                            BreakerState::Closed => true,
                            BreakerState::Open => false,
                            BreakerState::HalfOpen => ours < trials,
                        });
                        running.extend(ticket.map(|t| (t, life)));
                        None
                    }
                    3..=6 if !running.is_empty() => {
                        let (ticket, of) = running.remove(pick % running.len());
                        let ending = match step {
                            3 => Ending::Success,
                            6 => Ending::Cancelled,
                            _ => Ending::Failure,
                        };
                        if of == life && ending != Ending::Cancelled {
                            results.push(ending == Ending::Success);
                        }
                        let transition = breaker.on_ending(now, ticket, ending);
                        let row = |well: bool| results.iter().rev().take_while(|r| **r == well).count() as u32;
                        let expected = match before {
                            _ if of != life || ending == Ending::Cancelled => None,
                            BreakerState::Closed => (row(false) >= failures).then_some(BreakerState::Open),
                            BreakerState::HalfOpen if row(false) > 0 => Some(BreakerState::Open),
                            BreakerState::HalfOpen => (row(true) >= successes).then_some(BreakerState::Closed),
                            BreakerState::Open => None,
                        };
                        prop_assert_eq!(transition.map(|t| t.to), expected);
                        transition
                    }
                    7 => {
                        let due = before == BreakerState::Open && now.since(opened_at) >= config.reset;
                        let transition = breaker.on_reset_timer(now);
                        prop_assert_eq!(transition.map(|t| t.to), due.then_some(BreakerState::HalfOpen));
                        transition
                    }
                    _ => {
                        now += SimDuration::from_secs(1);
                        None
                    }
                };
                if let Some(Transition { from, to }) = transition {
                    prop_assert_eq!((from, to), (before, breaker.state()));
                    life += 1;
                    results.clear();
                    opened_at = now;
                }
                let reset = (breaker.state() == BreakerState::Open).then_some(opened_at + config.reset);
                prop_assert_eq!(breaker.half_open_at(), reset);
            }
        }
    }
}
