//! Requests in balancers that watch how their tries end: whom they go to, and what becomes of the answer.

use super::event::Event;
use super::frame::{Balanced, Call, Exec, Frame, Kind, NO_BALANCER};
use super::instances::{Arrival, Ending};
use super::{FrameId, Task, World};
use crate::base::{Outcome, Rng, SimTime, mix};
use crate::components::outlier::{Cause, code};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::balancers::Product;

/// The salt of a request's further tries.
const TRY: u64 = 0x7472_7900;

impl<O: Observer> World<'_, O> {
    /// A request comes to a balancer that watches.
    pub(super) fn enter_balanced(&mut self, now: SimTime, call: Call, parent: FrameId, balancer: u32) {
        let kind = Balanced { call, at: now, balancer, target: 0, tries: 0, cause: Cause::Answered };
        let id = self.push_frame(Frame::new(parent, Kind::Balanced(kind)));
        self.try_target(now, id);
    }

    /// Sends a request to a target, or answers that there is none.
    fn try_target(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return };
        let Balanced { call, balancer, tries, .. } = *request;
        let meters = self.model.catalog.balancers[balancer as usize];
        let state = &mut self.balancers[balancer as usize];
        let key = if tries == 0 { call.key } else { mix(call.key, TRY + u64::from(tries)) };
        if state.is_random {
            state.rng = Rng::from_seed(mix(key, state.salt));
        }
        let Some(target) = state.policy.pick(&mut state.rng, u64::from(call.affinity)) else {
            let http = meters.http_503;
            return self.answer_balanced(now, id, Outcome::Unavailable, http);
        };
        if state.is_open {
            self.observer.count(meters.failed_open);
        }
        state.policy.on_start(target);
        self.observer.moved(now, meters.in_flight, 1);
        self.envoy_sends(balancer);
        if let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get_mut(id) {
            request.target = target;
            request.tries = request.tries.saturating_add(1);
            request.cause = Cause::Answered;
        }
        if let Some(limit) = self.settings().balancers[balancer as usize].idle_timeout {
            self.after(limit, Rank::Timer, Event::Timer(id));
        }
        let group = self.model.balancers[balancer as usize].group;
        let arrival = Arrival {
            parent: id,
            instance: self.model.groups[group as usize].first + target,
            endpoint: self.model.routes[call.route as usize].endpoint,
            balancer,
            measures_balancer: false,
            is_check: false,
        };
        self.arrive(now, arrival, &Call { key, ..call });
    }

    /// A balancer answers itself.
    fn answer_balanced(&mut self, now: SimTime, id: FrameId, outcome: Outcome, http: u32) {
        let Some(Frame { kind: Kind::Balanced(request), parent, .. }) = self.frames.remove(id) else { return };
        self.observer.count(http);
        let red = self.model.catalog.balancers[request.balancer as usize].red;
        self.observer.outcome(red, outcome, now.since(request.at));
        self.tasks.push_back(Task::Up(parent, outcome));
    }

    /// A target's answer reaches its balancer: what goes on up, or `None` if it is held back.
    pub(super) fn balanced_answered(
        &mut self,
        now: SimTime,
        id: FrameId,
        outcome: Outcome,
    ) -> Option<Outcome> {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.remove(id) else { return None };
        let Balanced { balancer, target, at, cause, .. } = request;
        let meters = self.model.catalog.balancers[balancer as usize];
        if cause != Cause::Answered {
            self.observer.count(meters.http_503);
        }
        self.learn(now, balancer, target, outcome, cause);
        self.observer.outcome(meters.red, outcome, now.since(at));
        Some(outcome)
    }

    /// A balancer gives up waiting for an answer.
    pub(super) fn balanced_timed_out(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), child, .. }) = self.frames.get(id) else { return };
        let (Balanced { balancer, target, .. }, child) = (*request, *child);
        self.anybody_left = true;
        self.detach(now, child);
        self.learn(now, balancer, target, Outcome::Timeout, Cause::GaveUp);
        let http = self.model.catalog.balancers[balancer as usize].http_504;
        self.answer_balanced(now, id, Outcome::Timeout, http);
    }

    /// A request is called off while a balancer has it.
    pub(super) fn drop_balanced(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), child, .. }) = self.frames.remove(id) else { return };
        self.detach(now, child);
        let red = self.model.catalog.balancers[request.balancer as usize].red;
        self.observer.outcome(red, Outcome::Cancelled, now.since(request.at));
    }

    /// The balancer stops counting an execution that goes on.
    fn detach(&mut self, now: SimTime, execution: FrameId) {
        if let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(execution) {
            let (instance, balancer) = (exec.instance, exec.balancer);
            exec.balancer = NO_BALANCER;
            if balancer != NO_BALANCER {
                self.end_at_balancer(now, balancer, instance);
            }
        }
    }

    /// A balancer learns how a try at a target ended.
    fn learn(&mut self, now: SimTime, balancer: u32, target: u32, outcome: Outcome, cause: Cause) {
        match &self.settings().balancers[balancer as usize].product {
            Product::Alb => {}
            Product::Envoy(_) => {
                if let Some(code) = code(outcome, cause) {
                    self.envoy_heard(now, balancer, target, code);
                }
            }
        }
    }

    // ---- why a try ended ----

    /// Why an execution ends.
    pub(super) fn cause_of(&self, exec: &Exec, ending: Ending) -> Cause {
        match ending {
            Ending::Died => Cause::Broken,
            Ending::Done if !self.instances[exec.instance as usize].answers() => Cause::Refused,
            Ending::Done | Ending::Stopped => Cause::Answered,
        }
    }

    /// Tells who waits for an execution why it ends.
    pub(super) fn note_cause(&mut self, waiting: FrameId, why: Cause) {
        match self.frames.get_mut(waiting).map(|f| &mut f.kind) {
            Some(Kind::Balanced(Balanced { cause, .. }) | Kind::Check { cause, .. }) => *cause = why,
            _ => {}
        }
    }

    /// A balancer's request ends at an instance.
    pub(super) fn note_ending(
        &mut self,
        _now: SimTime,
        parent: FrameId,
        exec: &Exec,
        outcome: Outcome,
        ending: Ending,
    ) {
        let why = self.cause_of(exec, ending);
        self.note_cause(parent, why);
        let is_alb = matches!(self.settings().balancers[exec.balancer as usize].product, Product::Alb);
        if is_alb && why != Cause::Answered && outcome == Outcome::Error {
            self.observer.count(self.model.catalog.balancers[exec.balancer as usize].http_502);
        }
    }
}
