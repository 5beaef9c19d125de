//! What faults do while they last: ramps, and turns of those that act again and again.
//!
//! A fault has a *strength*, from 0 to 1. Without a ramp it is 1 from its begin to its end. With one it grows in steps of
//! at most a second, each at the mean that the straight line has within the step, and shrinks likewise before the end.
//!
//! A turn is an event of a fault itself, or of a fault at one instance. It carries the number of the begin that it
//! belongs to, so turns of a fault that has ended since find nothing.

use super::World;
use super::event::Event;
use super::instances::Condition;
use super::script::{Blow, Effect, NO_INSTANCE, Script};
use crate::base::{SimDuration, SimTime, Streams, mix, uniform_of};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};

/// How often processes leak, and the longest step of a ramp.
const STEP: SimDuration = SimDuration::from_secs(1);

/// The salts of a fault's draws.
const PHASE: u64 = 1;
const PAUSE: u64 = 2;
const JITTER: u64 = 3;
const BURST: u64 = 4;
const POOL: u64 = 5;
const HERD: u64 = 6;

/// What the world keeps of a fault.
#[derive(Clone, Debug)]
pub(super) struct Ongoing {
    /// When it began last.
    begun: SimTime,
    /// Raised at each begin and end.
    turn: u32,
    /// How strong it is now.
    pub strength: f64,
    /// How often it has acted so far: each time draws anew.
    count: u64,
    /// The key of its random numbers.
    key: u64,
}

impl Ongoing {
    /// A fault that has not begun.
    pub fn new(key: u64) -> Self {
        Self { begun: SimTime::ZERO, turn: 0, strength: 1.0, count: 0, key }
    }

    fn draw(&mut self, salt: u64) -> f64 {
        self.count += 1;
        uniform_of(mix(mix(self.key, salt), self.count))
    }
}

/// The states of all faults: none has begun.
pub(super) fn all(script: &Script, streams: Streams) -> Vec<Ongoing> {
    script.faults.iter().map(|fault| Ongoing::new(streams.key(&fault.name, "fault"))).collect()
}

/// The strength of a ramp at `at` after the begin, and when it changes next, counted from the begin.
fn ramp_at(at: SimDuration, ramp: SimDuration, lasts: Option<SimDuration>) -> (f64, Option<SimDuration>) {
    let steps = ramp.ns().div_ceil(STEP.ns()).max(1);
    let step = (ramp.ns() / steps).max(1);
    let share = |number: u64| ((number.min(steps - 1) as f64) + 0.5) / steps as f64;
    let (at, top) = (at.ns(), step * steps);
    // Where it begins to shrink.
    let turns = lasts.map(|lasts| lasts.ns().saturating_sub(top).max(top));
    if at < top {
        let number = at / step;
        return (share(number), Some(SimDuration::from_ns(step * (number + 1))));
    }
    match turns {
        None => (1.0, None),
        Some(turns) if at < turns => (1.0, Some(SimDuration::from_ns(turns))),
        Some(turns) => {
            let number = (at - turns) / step;
            let next = (number + 1 < steps).then(|| SimDuration::from_ns(turns + step * (number + 1)));
            (1.0 - share(number), next)
        }
    }
}

/// A number between what is without a fault and what is under its full strength.
pub(super) fn eased(without: f64, with: f64, strength: f64) -> f64 {
    if strength >= 1.0 { with } else { without + (with - without) * strength }
}

impl<O: Observer> World<'_, O> {
    /// How strong a fault is now.
    #[inline]
    pub(super) fn strength(&self, fault: u32) -> f64 {
        self.ongoing[fault as usize].strength
    }

    /// A fault begins: its ramp and its own turns are set in motion.
    pub(super) fn ongoing_begins(&mut self, now: SimTime, fault: u32) {
        let plan = &self.script.faults[fault as usize];
        let state = &mut self.ongoing[fault as usize];
        state.begun = now;
        state.turn += 1;
        state.strength = 1.0;
        let turn = state.turn;
        let event = Event::FaultTurn { fault, instance: NO_INSTANCE, turn };
        if !plan.ramp.is_zero() {
            let (strength, next) = ramp_at(SimDuration::ZERO, plan.ramp, plan.lasts);
            state.strength = strength;
            if let Some(next) = next {
                self.queue.schedule(now + next, Rank::Fault, event);
            }
            return;
        }
        match &plan.effect {
            Effect::Burst { every, .. } => {
                let next = now.ns().div_ceil(every.ns().max(1)) * every.ns().max(1);
                self.queue.schedule(SimTime::from_ns(next), Rank::Fault, event);
            }
            Effect::LoseConnections { every, .. } => self.queue.schedule(now + *every, Rank::Fault, event),
            Effect::Recycle { group, every, in_turn, .. } => {
                let shape = &self.model.groups[*group as usize];
                let many = u64::from(self.groups[*group as usize].wanted.max(1));
                for target in 0..shape.capacity {
                    let phase = match in_turn {
                        true => (u64::from(target) % many + 1) as f64 / many as f64,
                        false => uniform_of(mix(mix(state.key, PHASE), u64::from(target))),
                    };
                    let event = Event::FaultTurn { fault, instance: shape.first + target, turn };
                    self.queue.schedule(now + every.scaled(phase), Rank::Fault, event);
                }
            }
            _ => {}
        }
    }

    /// A fault is over: turns that are scheduled find nothing.
    pub(super) fn ongoing_ends(&mut self, fault: u32) {
        self.ongoing[fault as usize].turn += 1;
    }

    /// A fault that acts at an instance again and again has struck it.
    pub(super) fn turns_begin(&mut self, now: SimTime, fault: u32, instance: u32) {
        let Some(blow) = self.script.faults[fault as usize].effect.blow() else { return };
        if !blow.has_turns() {
            return;
        }
        let state = &mut self.ongoing[fault as usize];
        let phase = uniform_of(mix(mix(state.key, PHASE), u64::from(instance)));
        let first = match blow {
            Blow::Pauses { every, .. } => every.scaled(phase),
            _ => STEP,
        };
        self.turns += 1;
        let turn = self.turns;
        let turning = &mut self.runtimes[instance as usize].turning;
        turning.retain(|(f, _)| *f != fault);
        turning.push((fault, turn));
        self.queue.schedule(now + first, Rank::Fault, Event::FaultTurn { fault, instance, turn });
    }

    /// It is the turn of a fault, or of a fault at an instance.
    pub(super) fn on_fault_turn(&mut self, now: SimTime, fault: u32, instance: u32, turn: u32) {
        let script = self.script;
        match &script.faults[fault as usize].effect {
            Effect::Strike { blow, .. } | Effect::Strikes { blow, .. } if instance != NO_INSTANCE => {
                self.on_turn_at(now, fault, (instance, turn), blow);
            }
            _ if self.ongoing[fault as usize].turn != turn => {}
            Effect::Burst { client, every, requests, within } => {
                if instance != NO_INSTANCE {
                    return self.send_extra(now, *client, self.burst_key(fault, instance));
                }
                self.queue.schedule(now + *every, Rank::Fault, Event::FaultTurn { fault, instance, turn });
                for _ in 0..*requests {
                    let draw = self.ongoing[fault as usize].draw(BURST);
                    let number = self.ongoing[fault as usize].count as u32;
                    if within.is_zero() {
                        self.send_extra(now, *client, self.burst_key(fault, number));
                    } else {
                        // Numbers start at 1 and never come to what means no instance.
                        let event = Event::FaultTurn { fault, instance: number, turn };
                        self.queue.schedule(now + within.scaled(draw), Rank::Arrival, event);
                    }
                }
            }
            Effect::LoseConnections { pools, every } => {
                self.queue.schedule(now + *every, Rank::Fault, Event::FaultTurn { fault, instance, turn });
                let draw = self.ongoing[fault as usize].draw(POOL);
                self.lose_connection(pools, draw);
            }
            Effect::Recycle { every, jitter, .. } => {
                self.recycle(now, instance);
                let key = mix(mix(self.ongoing[fault as usize].key, JITTER), u64::from(instance));
                let more = jitter.variate(uniform_of(mix(key, now.ns())));
                let next = now + *every + SimDuration::from_seconds(more);
                self.queue.schedule(next, Rank::Fault, Event::FaultTurn { fault, instance, turn });
            }
            _ => self.on_ramp(now, fault, turn),
        }
    }

    fn burst_key(&self, fault: u32, number: u32) -> u64 {
        mix(mix(self.ongoing[fault as usize].key, BURST), u64::from(number))
    }

    /// The next step of a ramp.
    fn on_ramp(&mut self, now: SimTime, fault: u32, turn: u32) {
        let plan = &self.script.faults[fault as usize];
        let state = &mut self.ongoing[fault as usize];
        let (strength, next) = ramp_at(now.since(state.begun), plan.ramp, plan.lasts);
        state.strength = strength;
        if let Some(next) = next {
            let event = Event::FaultTurn { fault, instance: NO_INSTANCE, turn };
            self.queue.schedule(state.begun + next, Rank::Fault, event);
        }
        self.feel(now, fault);
    }

    /// The strength of a fault has changed: whoever it strikes feels that.
    fn feel(&mut self, now: SimTime, fault: u32) {
        let script = self.script;
        let effect = &script.faults[fault as usize].effect;
        match effect {
            Effect::Spike { client, .. } | Effect::Tenant { client, .. } => self.respike(now, *client),
            Effect::Strikes { queues, .. } => queues.iter().for_each(|queue| self.trouble_queue(*queue)),
            _ => {}
        }
        for (group, _) in effect.strikes() {
            let shape = &self.model.groups[group as usize];
            for instance in shape.first..shape.first + shape.capacity {
                if self.instances[instance as usize].faults.contains(&fault) {
                    self.apply_faults(now, instance);
                }
            }
        }
    }

    /// A fault acts at an instance.
    fn on_turn_at(&mut self, now: SimTime, fault: u32, (instance, turn): (u32, u32), blow: &Blow) {
        let turning = &mut self.runtimes[instance as usize].turning;
        if !turning.contains(&(fault, turn)) {
            return;
        }
        if !self.instances[instance as usize].faults.contains(&fault) {
            return turning.retain(|(f, _)| *f != fault);
        }
        let every = match blow {
            Blow::Pauses { every, .. } => *every,
            _ => STEP,
        };
        self.queue.schedule(now + every, Rank::Fault, Event::FaultTurn { fault, instance, turn });
        if !self.instances[instance as usize].answers() {
            return;
        }
        match blow {
            Blow::Leak(rate) => {
                let bytes = rate * self.strength(fault) * STEP.seconds();
                self.leak(now, instance, bytes as u64);
            }
            Blow::Pauses { pause, .. } => {
                let key = mix(mix(self.ongoing[fault as usize].key, PAUSE), u64::from(instance));
                let time = pause.variate(uniform_of(mix(key, now.ns())));
                self.pause(now, instance, SimDuration::from_seconds(time));
            }
            _ => {}
        }
    }

    // ---- recycling ----

    /// An instance has run for as long as it may.
    fn recycle(&mut self, now: SimTime, instance: u32) {
        let state = &self.instances[instance as usize];
        if state.condition != Condition::Up {
            return;
        }
        let group = state.group as usize;
        if self.begin_termination(now, instance, true) {
            self.forget_back_off(instance);
            self.spread_end(now, instance);
            self.note(now, Change::Restarted { instance });
            self.observer.count(self.model.catalog.groups[group].kills);
        } else {
            self.restart(now, instance);
        }
    }

    // ---- zones ----

    /// The zone of an instance, if it has one.
    pub(super) fn zone_of(&self, instance: u32) -> Option<u32> {
        let (group, target) = self.place_of(instance);
        self.model.groups[group as usize].zone_of(target)
    }

    /// Whether an instance's zone is drained.
    pub(super) fn is_drained(&self, instance: u32) -> bool {
        self.drained.iter().any(|yes| *yes)
            && self.is_service(instance)
            && self.zone_of(instance).is_some_and(|zone| self.drained[zone as usize])
    }

    /// An operator drains a zone, or ends that: it is about services, as what is in one database cannot be asked
    /// of another.
    pub(super) fn drain_zone(&mut self, now: SimTime, zone: u32, is_drained: bool) {
        if std::mem::replace(&mut self.drained[zone as usize], is_drained) == is_drained {
            return;
        }
        let change = if is_drained { Change::ZoneDrained { zone } } else { Change::ZoneRestored { zone } };
        self.note(now, change);
        for instance in 0..self.instances.len() as u32 {
            if self.zone_of(instance) != Some(zone) || !self.is_service(instance) {
                continue;
            }
            if is_drained {
                self.leave_balancers(now, instance);
                self.discover(instance);
            } else if self.instances[instance as usize].condition == Condition::Up {
                self.join(now, instance, false);
            }
        }
    }

    fn is_service(&self, instance: u32) -> bool {
        let group = self.instances[instance as usize].group as usize;
        self.model.groups[group].kind == crate::model::GroupKind::Service
    }

    /// Whether the zone of an instance is lost now.
    pub(super) fn is_in_lost_zone(&self, instance: u32) -> bool {
        let (group, target) = self.place_of(instance);
        !self.lasting.is_empty() && self.is_lost(group, target)
    }

    /// Whether a zone is lost now, by a fault that keeps its instances of a group away.
    fn is_lost(&self, group: u32, target: u32) -> bool {
        use super::script::Which;
        let zone = self.model.groups[group as usize].zone_of(target);
        let takes = |fault: &u32| {
            let effect = &self.script.faults[*fault as usize].effect;
            matches!(effect.blow(), Some(Blow::Down | Blow::Hang))
                && effect.strikes().any(|(g, which)| match which {
                    Which::Zone(z) => g == group && Some(z) == zone,
                    _ => false,
                })
        };
        zone.is_some() && self.lasting.iter().any(takes)
    }

    /// Whether the places of a group's instances are not simply the first ones, or will not be: a zone is lost.
    pub(super) fn is_scattered(&self, group: u32) -> bool {
        self.groups[group as usize].is_scattered
            || (!self.lasting.is_empty()
                && (0..self.model.groups[group as usize].zones.len() as u32).any(|t| self.is_lost(group, t)))
    }

    /// Lets so many instances run as there should be while a zone is lost or was: new ones take places in other zones
    /// as long as there are any; the last places are the first to be given up.
    pub(super) fn fit_scattered(&mut self, now: SimTime, group: u32) {
        let shape = &self.model.groups[group as usize];
        let (first, capacity) = (shape.first, shape.capacity);
        let is_there = |world: &Self, target: u32| {
            let condition = world.instances[(first + target) as usize].condition;
            matches!(condition, Condition::Starting | Condition::Up | Condition::Down)
        };
        let wanted = self.groups[group as usize].wanted;
        let mut there = (0..capacity).filter(|t| is_there(self, *t)).count() as u32;
        for target in (0..capacity).rev() {
            if there > wanted && is_there(self, target) {
                self.scale_in(now, first + target);
                there -= 1;
            }
        }
        for lost in [false, true] {
            for target in 0..capacity {
                if there < wanted && !is_there(self, target) && self.is_lost(group, target) == lost {
                    self.scale_out(now, first + target);
                    there += 1;
                }
            }
        }
        self.groups[group as usize].is_scattered =
            (0..capacity).any(|target| is_there(self, target) != (target < wanted));
    }

    // ---- clients ----

    /// A thundering herd: every user who thinks asks within a time.
    pub(super) fn reconnect(&mut self, now: SimTime, fault: u32, client: u32, within: SimDuration) {
        let key = mix(self.ongoing[fault as usize].key, HERD);
        self.hurry_users(now, client, |user| within.scaled(uniform_of(mix(key, u64::from(user)))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> SimDuration {
        SimDuration::from_seconds(s)
    }

    #[test]
    fn a_ramp_rises_in_steps_stays_and_falls() {
        let at = |s: f64| ramp_at(seconds(s), seconds(4.0), Some(seconds(20.0)));
        assert_eq!(at(0.0), (0.125, Some(seconds(1.0))));
        assert_eq!(at(3.0), (0.875, Some(seconds(4.0))));
        assert_eq!(at(4.0), (1.0, Some(seconds(16.0))));
        assert_eq!(at(16.0), (0.875, Some(seconds(17.0))));
        assert_eq!(at(19.0), (0.125, None));
        assert_eq!(ramp_at(seconds(9.0), seconds(4.0), None), (1.0, None));
    }

    #[test]
    fn a_short_ramp_is_one_step() {
        assert_eq!(ramp_at(seconds(0.0), seconds(0.2), Some(seconds(1.0))), (0.5, Some(seconds(0.2))));
        assert_eq!(ramp_at(seconds(0.8), seconds(0.2), Some(seconds(1.0))), (0.5, None));
    }
}
