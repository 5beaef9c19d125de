//! Requests in balancers that watch how their tries end: whom they go to, and what becomes of the answer.

use super::endings::{Ending, Sent};
use super::event::Event;
use super::frame::{Balanced, Call, Frame, Kind, NO_BALANCER, Place};
use super::instances::Arrival;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime, mix};
use crate::components::nginx::Tried;
use crate::components::outlier::{Cause, code};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::balancers::Product;

/// What a balancer does after a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum After {
    /// It passes on what came.
    Ends,
    /// It tries another target.
    TriesAnother,
    /// It tries the same one after a while.
    TriesTheSame(SimDuration),
}

/// The salt of a request's further tries.
const TRY: u64 = 0x7472_7900;

impl<O: Observer> World<'_, O> {
    /// A request comes to a balancer that watches.
    pub(super) fn enter_balanced(&mut self, now: SimTime, call: Call, parent: FrameId, balancer: u32) {
        let kind = Balanced {
            call,
            at: now,
            balancer,
            target: 0,
            tries: 0,
            cause: Cause::Answered,
            tried: Tried::default(),
            place: Place::Sent,
        };
        let id = self.push_frame(Frame::new(parent, Kind::Balanced(kind)));
        self.try_target(now, id);
    }

    /// Sends a request to a target, or answers that there is none.
    pub(super) fn try_target(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), parent, .. }) = self.frames.get(id) else { return };
        let (Balanced { call, balancer, tries, tried, place, target, .. }, parent) = (*request, *parent);
        if place == Place::Assigned {
            return self.send_to(now, id, target);
        }
        if tries > 0 && self.is_caller_gone(&call) {
            // Nobody is left to try for.
            self.drop_balanced(now, id);
            self.tasks.push_back(Task::Up(parent, Outcome::Error));
            return;
        }
        let meters = self.model.catalog.balancers[balancer as usize];
        let key = if tries == 0 { call.key } else { mix(call.key, TRY + u64::from(tries)) };
        let call = Call { key, ..call };
        let picked = match &self.settings().balancers[balancer as usize].product {
            Product::Nginx(nginx) => self.nginx_picks(now, balancer, nginx, tried, (&call, id)),
            Product::Haproxy(haproxy) => match self.haproxy_routes(now, id, haproxy, &call) {
                Some(target) => Some(target),
                None => return,
            },
            Product::Alb(_) | Product::Envoy(_) => {
                let group = self.model.balancers[balancer as usize].group;
                let picked = self.choose(now, balancer, &call, id);
                picked.or_else(|| self.activated(now, group))
            }
        };
        let Some(target) = picked else {
            let http = match &self.settings().balancers[balancer as usize].product {
                Product::Nginx(_) => meters.http_502,
                Product::Alb(_) | Product::Envoy(_) | Product::Haproxy(_) => meters.http_503,
            };
            return self.answer_balanced(now, id, Outcome::Unavailable, http);
        };
        let state = &mut self.balancers[balancer as usize];
        if state.is_open {
            self.observer.count(meters.failed_open);
        }
        state.on_start(target);
        self.observer.moved(now, meters.in_flight, 1);
        self.send_to(now, id, target);
    }

    /// Sends a request to a target that counts it already.
    fn send_to(&mut self, now: SimTime, id: FrameId, target: u32) {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return };
        let Balanced { call, balancer, tries, .. } = *request;
        let key = if tries == 0 { call.key } else { mix(call.key, TRY + u64::from(tries)) };
        self.envoy_sends(balancer);
        if let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get_mut(id) {
            request.target = target;
            request.tries = request.tries.saturating_add(1);
            request.cause = Cause::Answered;
            request.tried.note(target);
            request.place = Place::Sent;
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
        self.deliver(now, arrival, &Call { key, ..call }, balancer);
    }

    /// A balancer answers itself.
    pub(super) fn answer_balanced(&mut self, now: SimTime, id: FrameId, outcome: Outcome, http: u32) {
        let Some(Frame { kind: Kind::Balanced(request), parent, .. }) = self.frames.remove(id) else {
            return;
        };
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
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return None };
        let request = *request;
        let Balanced { balancer, at, cause, .. } = request;
        let meters = self.model.catalog.balancers[balancer as usize];
        match self.learn(now, &request, outcome, cause) {
            After::Ends => {}
            after => {
                self.try_again(id, after);
                return None;
            }
        }
        self.frames.remove(id);
        if cause != Cause::Answered {
            self.observer.count(match &self.settings().balancers[balancer as usize].product {
                Product::Haproxy(_) if cause == Cause::Refused => meters.http_503,
                Product::Alb(_) | Product::Nginx(_) | Product::Haproxy(_) => meters.http_502,
                Product::Envoy(_) => meters.http_503,
            });
        }
        self.observer.outcome(meters.red, outcome, now.since(at));
        Some(outcome)
    }

    /// A balancer gives up waiting for an answer.
    pub(super) fn balanced_timed_out(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), child, .. }) = self.frames.get(id) else { return };
        let (request, child) = (*request, *child);
        match request.place {
            Place::Sent => {}
            Place::Queued => return self.waited_too_long(now, id),
            Place::TurnAround => {
                let id = self.reframe(id, Place::TurnAround);
                return self.try_target(now, id);
            }
            Place::Assigned => return,
        }
        self.anybody_left = true;
        self.detach(now, child);
        match self.learn(now, &request, Outcome::Timeout, Cause::GaveUp) {
            After::Ends => {}
            after => return self.try_again(id, after),
        }
        let http = self.model.catalog.balancers[request.balancer as usize].http_504;
        self.answer_balanced(now, id, Outcome::Timeout, http);
    }

    /// A request is called off while a balancer has it.
    pub(super) fn drop_balanced(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), child, .. }) = self.frames.remove(id) else { return };
        match request.place {
            Place::Queued => self.out_of_line(now, request.balancer, id),
            Place::Assigned => {
                let group = self.model.balancers[request.balancer as usize].group;
                let instance = self.model.groups[group as usize].first + request.target;
                self.end_at_balancer(now, request.balancer, instance, now);
            }
            Place::Sent | Place::TurnAround => self.detach(now, child),
        }
        let red = self.model.catalog.balancers[request.balancer as usize].red;
        self.observer.outcome(red, Outcome::Cancelled, now.since(request.at));
    }

    /// The balancer stops counting an execution that goes on.
    fn detach(&mut self, now: SimTime, execution: FrameId) {
        if let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(execution) {
            let (instance, balancer, at) = (exec.instance, exec.balancer, exec.at);
            exec.balancer = NO_BALANCER;
            if balancer != NO_BALANCER {
                self.end_at_balancer(now, balancer, instance, at);
            }
        } else {
            self.detach_wire(now, execution);
        }
    }

    /// A balancer learns how a try at a target ended, and says whether it tries again.
    fn learn(&mut self, now: SimTime, request: &Balanced, outcome: Outcome, cause: Cause) -> After {
        match &self.settings().balancers[request.balancer as usize].product {
            Product::Alb(_) => After::Ends,
            Product::Envoy(_) => {
                if let Some(code) = code(outcome, cause) {
                    self.envoy_heard(now, request.balancer, request.target, code);
                }
                After::Ends
            }
            Product::Nginx(nginx) => match self.nginx_learns(now, request, nginx, outcome, cause) {
                true => After::TriesAnother,
                false => After::Ends,
            },
            Product::Haproxy(haproxy) => self.haproxy_learns(now, request, haproxy, outcome, cause),
        }
    }

    /// A request is sent again, at once or later.
    fn try_again(&mut self, id: FrameId, after: After) {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return };
        self.observer.count(self.model.catalog.balancers[request.balancer as usize].retries);
        match after {
            After::Ends | After::TriesAnother => {
                let id = self.reframe(id, Place::Sent);
                self.tasks.push_back(Task::Down(id));
            }
            After::TriesTheSame(wait) => {
                let id = self.reframe(id, Place::TurnAround);
                self.after(wait, Rank::Timer, Event::Timer(id));
            }
        }
    }

    /// A request goes on in a new frame: what may still come to the old one comes too late.
    pub(super) fn reframe(&mut self, id: FrameId, place: Place) -> FrameId {
        let Some(Frame { kind: Kind::Balanced(request), parent, .. }) = self.frames.remove(id) else {
            return id;
        };
        self.push_frame(Frame::new(parent, Kind::Balanced(Balanced { place, ..request })))
    }

    // ---- why a try ended ----

    /// Why an execution ends.
    pub(super) fn cause_of(&self, instance: u32, ending: Ending) -> Cause {
        match ending {
            Ending::Died => Cause::Broken,
            Ending::Done if !self.instances[instance as usize].answers() => Cause::Refused,
            Ending::Done | Ending::Stopped => Cause::Answered,
        }
    }

    /// Tells who waits for an execution why it ends.
    pub(super) fn note_cause(&mut self, waiting: FrameId, why: Cause) {
        let kind = self.frames.get_mut(waiting).map(|f| &mut f.kind);
        if let Some(Kind::Balanced(Balanced { cause, .. }) | Kind::Check { cause, .. }) = kind {
            *cause = why;
        } else if let Some(Kind::Wire(wire)) = kind {
            wire.cause = why;
        }
    }

    /// A balancer's request ends at an instance.
    pub(super) fn note_ending(&mut self, parent: FrameId, call: Sent) {
        self.note_cause(parent, self.cause_of(call.instance, call.ending));
        let is_alb = matches!(self.settings().balancers[call.balancer as usize].product, Product::Alb(_));
        if is_alb && call.outcome == Outcome::Error {
            self.note_broken(call);
        }
    }

    /// An ALB's request ends in an error: it answers itself if the target did not.
    pub(super) fn note_broken(&mut self, call: Sent) {
        if self.cause_of(call.instance, call.ending) != Cause::Answered {
            self.observer.count(self.model.catalog.balancers[call.balancer as usize].http_502);
        }
    }
}
