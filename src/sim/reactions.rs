//! What happens when something else does: rules that are evaluated every second, and what follows from them.
//!
//! Who reacts knows of the system what its metrics say, at the end of each second, and what the log says, at once.

use super::World;
use super::event::Event;
use super::script::{Script, Sight, Trigger, What};
use crate::base::dist::Dist;
use crate::base::{SimDuration, SimTime};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};

/// How far a reaction is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReactionState {
    /// How many times it has started.
    starts: u32,
    /// Whether it is under way.
    is_running: bool,
}

/// Whether something reacts to changes of state.
pub(super) fn minds_changes(script: &Script) -> bool {
    let of_rules = |trigger: &Trigger| matches!(trigger, Trigger::Fires(_) | Trigger::Resolved(_));
    script.reactions.iter().any(|reaction| !of_rules(&reaction.trigger))
}

impl Trigger {
    fn meets(&self, change: &Change) -> bool {
        let seen = |sight: Sight, number: u32| match self {
            Self::Seen(awaited, all) => *awaited == sight && all.contains(&number),
            _ => false,
        };
        match *change {
            Change::FaultBegan { fault } => matches!(self, Self::Began(f) if *f == fault),
            Change::FaultEnded { fault } => matches!(self, Self::Ended(f) if *f == fault),
            Change::Crashed { instance } => seen(Sight::Crashed, instance),
            Change::OutOfMemory { instance } => seen(Sight::OutOfMemory, instance),
            Change::TargetUnhealthy { balancer, .. } => seen(Sight::TargetUnhealthy, balancer),
            Change::FailedOpen { balancer } => seen(Sight::FailedOpen, balancer),
            Change::BreakerOpened { layer, .. } => seen(Sight::BreakerOpened, layer),
            Change::FailedOver { instance } => seen(Sight::FailedOver, instance),
            Change::ProbeFailed { instance } => seen(Sight::ProbeFailed, instance),
            Change::Up { instance } => seen(Sight::Up, instance),
            Change::Scaled { autoscaler, .. } => seen(Sight::Scaled, autoscaler),
            _ => false,
        }
    }
}

impl<O: Observer> World<'_, O> {
    /// A change of state goes into the log, and starts what waits for it.
    pub(super) fn note(&mut self, now: SimTime, change: Change) {
        self.observer.change(now, change);
        if self.minds_changes {
            let script = self.script;
            for (number, reaction) in script.reactions.iter().enumerate() {
                if reaction.trigger.meets(&change) {
                    self.start_reaction(now, number as u32);
                }
            }
        }
    }

    /// Evaluates the rules that are due at the end of a second.
    pub(super) fn look_at_rules(&mut self, now: SimTime) {
        let script = self.script;
        let second = now.seconds() as usize;
        for (number, rule) in script.rules.iter().enumerate() {
            if second == 0 || !second.is_multiple_of(rule.interval_s) {
                continue;
            }
            let holds = rule.rule.holds(&self.observer.rows(), second);
            let Some(fires) = self.watches[number].look(second, rule.for_s, holds) else { continue };
            for (at, reaction) in script.reactions.iter().enumerate() {
                let is_ours = match reaction.trigger {
                    Trigger::Fires(rule) => fires && rule as usize == number,
                    Trigger::Resolved(rule) => !fires && rule as usize == number,
                    _ => false,
                };
                if is_ours {
                    self.start_reaction(now, at as u32);
                }
            }
        }
    }

    /// Whether a rule of the script fires.
    pub(super) fn fires(&self, rule: u32) -> bool {
        self.watches[rule as usize].firing_since().is_some()
    }

    fn start_reaction(&mut self, now: SimTime, reaction: u32) {
        let script = self.script;
        let settings = &script.reactions[reaction as usize];
        let state = &mut self.reactions[reaction as usize];
        if state.is_running || state.starts >= settings.times {
            return;
        }
        state.is_running = true;
        state.starts += 1;
        let start = state.starts;
        let wait = self.reaction_time(reaction, "notify", &settings.notify)
            + self.reaction_time(reaction, "react", &settings.react);
        self.queue.schedule(now + wait, Rank::Fault, Event::Reaction { reaction, step: 0, start });
    }

    /// A time of a reaction: each start has its own.
    fn reaction_time(&self, reaction: u32, what: &str, time: &Dist) -> SimDuration {
        let path = format!(
            "{}#{}",
            self.script.reactions[reaction as usize].name, self.reactions[reaction as usize].starts
        );
        time.sample_duration(&mut self.streams.stream(&path, what))
    }

    /// Somebody is there, or the next step of a reaction works; event `n + 1` is that of step `n`.
    pub(super) fn on_reaction(&mut self, now: SimTime, reaction: u32, step: u32, start: u32) {
        let script = self.script;
        let settings = &script.reactions[reaction as usize];
        if start != self.reactions[reaction as usize].starts {
            return;
        }
        let is_over = match settings.trigger {
            Trigger::Fires(rule) => settings.stops && !self.fires(rule),
            _ => false,
        };
        match step.checked_sub(1).filter(|_| !is_over) {
            Some(done) => {
                let done_step = &settings.steps[done as usize];
                self.note(now, Change::Step { reaction, step: done });
                self.take_step(now, &done_step.what, done_step.lasts);
            }
            None => self.note(now, Change::Reacts { reaction }),
        }
        match settings.steps.get(step as usize).filter(|_| !is_over) {
            Some(next) => {
                let wait = self.reaction_time(reaction, &format!("step {step}"), &next.after);
                let event = Event::Reaction { reaction, step: step + 1, start };
                self.queue.schedule(now + wait, Rank::Fault, event);
            }
            None => {
                self.reactions[reaction as usize].is_running = false;
                self.note(now, Change::Reacted { reaction });
            }
        }
    }

    /// What a step does. A fault that lasts already is not begun again.
    fn take_step(&mut self, now: SimTime, what: &What, lasts: Option<SimDuration>) {
        if let What::Begin(fault) = what {
            if self.lasting.contains(fault) {
                return;
            }
            if let Some(lasts) = lasts {
                self.queue.schedule(now + lasts, Rank::Fault, Event::FaultOver { fault: *fault });
            }
        }
        self.perform(now, what);
    }
}
