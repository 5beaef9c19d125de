//! Messages between components, where a fault of the network may strike them: a frame between caller and callee that
//! holds the request, and then the answer, until it has crossed. There is none where no fault of the run could strike.
//!
//! ```text
//!   Sending ──► Coming ──► Across ──► Answering ──► Going ──► (up)
//!   lost: sent  under way  at the     lost: sent    under
//!   again       to callee  callee     again         way back
//! ```
//!
//! What is lost is sent again as TCP does it: 200 ms later, then 400, 800, … up to 120 s. A balancer counts its
//! requests here, so one whose answer is lost is still in flight for it.

use super::event::Event;
use super::frame::{Call, Frame, Kind, NO_BALANCER};
use super::instances::Arrival;
use super::network::{ANY, BACK, BROKEN, End, THERE, given_up_after};
use super::script::network::Party;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime};
use crate::components::outlier::Cause;
use crate::components::tcp::{backed_off, rto};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::balancers::Product;
use crate::model::{LayerKind, Model};

/// Where a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The request has yet to get through.
    Sending,
    /// It is under way.
    Coming,
    /// The callee has it.
    Across,
    /// The answer has yet to get through.
    Answering,
    /// It is under way.
    Going,
}

/// A message between two components.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// The call.
    pub call: Call,
    /// When it began.
    pub at: SimTime,
    /// When the message was first sent.
    pub since: SimTime,
    /// The instance that is called; `ANY` if it is a balancer.
    pub instance: u32,
    /// The endpoint.
    pub endpoint: u32,
    /// The balancer that calls, or that is called; `NO_BALANCER` if none.
    pub balancer: u32,
    /// Where it is.
    pub way: Way,
    /// How often it was repeated.
    pub repeated: u8,
    /// The answer.
    pub outcome: Outcome,
    /// How it came about.
    pub cause: Cause,
    /// Whether it is a health check.
    pub is_check: bool,
    /// Whether the balancer counts it.
    pub is_counted: bool,
    /// Whether the balancer's measures are taken here.
    pub measures: bool,
    /// Whether it was seen that nobody waits for the answer.
    pub is_for_nobody: bool,
}

impl<O: Observer> World<'_, O> {
    /// Sends a request to an instance: from its caller, or from `balancer`.
    #[inline(always)]
    pub(super) fn deliver(&mut self, now: SimTime, arrival: Arrival, call: &Call, balancer: u32) {
        if !self.net.has_wires || !self.wire_to_instance(now, arrival, call, balancer) {
            self.arrive(now, arrival, call);
        }
    }

    /// Sends a request to an instance by wire; `false` if nothing can strike it on its way.
    #[inline(never)]
    fn wire_to_instance(&mut self, now: SimTime, arrival: Arrival, call: &Call, balancer: u32) -> bool {
        let callee = self.end_of(arrival.instance).party;
        let caller = match balancer {
            NO_BALANCER => self.caller_end(call).party,
            balancer => Party::Balancer(balancer),
        };
        if !self.may_strike(caller, callee) {
            return false;
        }
        let wire = Wire {
            is_counted: arrival.balancer != NO_BALANCER,
            measures: arrival.measures_balancer,
            is_check: arrival.is_check,
            ..new_wire(now, call, arrival.instance, arrival.endpoint, balancer)
        };
        let id = self.push_frame(Frame::new(arrival.parent, Kind::Wire(wire)));
        self.send_on_wire(now, id);
        true
    }

    /// Sends a request to a balancer; `false` if nothing can strike it on its way.
    pub(super) fn wire_to_balancer(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        balancer: u32,
        endpoint: u32,
    ) -> bool {
        let caller = self.caller_end(call).party;
        if !self.may_strike(caller, Party::Balancer(balancer)) {
            return false;
        }
        let wire = new_wire(now, call, ANY, endpoint, balancer);
        let id = self.push_frame(Frame::new(parent, Kind::Wire(wire)));
        self.send_on_wire(now, id);
        true
    }

    fn wire(&self, id: FrameId) -> Option<(Wire, FrameId)> {
        match self.frames.get(id)? {
            Frame { kind: Kind::Wire(wire), parent, .. } => Some((*wire, *parent)),
            _ => None,
        }
    }

    fn change_wire(&mut self, id: FrameId, change: impl FnOnce(&mut Wire)) {
        if let Some(Frame { kind: Kind::Wire(wire), .. }) = self.frames.get_mut(id) {
            change(wire);
        }
    }

    /// Caller and callee.
    fn ends(&self, wire: &Wire) -> (End, End) {
        if wire.instance == ANY {
            let balancer = End { party: Party::Balancer(wire.balancer), instance: ANY };
            return (self.caller_end(&wire.call), balancer);
        }
        let caller = match wire.balancer {
            NO_BALANCER => self.caller_end(&wire.call),
            balancer => End { party: Party::Balancer(balancer), instance: ANY },
        };
        (caller, self.end_of(wire.instance))
    }

    /// A message is sent, or sent again.
    fn send_on_wire(&mut self, now: SimTime, id: FrameId) {
        let Some((wire, parent)) = self.wire(id) else { return };
        let (caller, callee) = self.ends(&wire);
        let is_request = wire.way == Way::Sending;
        if is_request && wire.repeated == 0 && self.is_reset(caller, callee, wire.call.key) {
            self.break_connection(now, parent);
            self.change_wire(id, |w| w.cause = Cause::Broken);
            return self.end_wire(now, id, BROKEN);
        }
        let way = if is_request { THERE } else { BACK };
        let Some(delay) = self.crosses(caller, callee, way, wire.call.key) else {
            return self.repeat_on_wire(now, id, &wire, parent);
        };
        self.change_wire(id, |w| w.way = if is_request { Way::Coming } else { Way::Going });
        if delay.is_zero() {
            return self.wire_goes_on(now, id);
        }
        self.queue.schedule(now + delay, Rank::Delivery, Event::Timer(id));
    }

    /// A message was lost. Who has given up sends it no more; a kernel gives up some day, too.
    fn repeat_on_wire(&mut self, now: SimTime, id: FrameId, wire: &Wire, parent: FrameId) {
        if self.frames.get(parent).is_none() {
            self.note_nobody(id, wire);
            return self.drop_wire(now, id);
        }
        if !self.is_awaited(parent) {
            self.note_nobody(id, wire);
        }
        let is_direct = wire.balancer == NO_BALANCER || wire.instance == ANY;
        let connect = match is_direct && wire.way == Way::Sending {
            true => on_route(self.model, wire.call.route).find_map(|kind| match kind {
                LayerKind::Connect(config) => Some(config),
                _ => None,
            }),
            false => None,
        };
        let end = wire.since + given_up_after(connect);
        if now >= end {
            self.change_wire(id, |w| w.cause = Cause::Broken);
            return self.end_wire(now, id, BROKEN);
        }
        let step = backed_off(rto(SimDuration::ZERO, SimDuration::ZERO), u32::from(wire.repeated));
        self.change_wire(id, |w| w.repeated = w.repeated.saturating_add(1));
        self.queue.schedule((now + step).min(end), Rank::Delivery, Event::Timer(id));
    }

    /// The timer of a message.
    pub(super) fn wire_timer(&mut self, now: SimTime, id: FrameId) {
        match self.wire(id).map(|(wire, _)| wire.way) {
            Some(Way::Sending | Way::Answering) => self.send_on_wire(now, id),
            Some(Way::Coming | Way::Going) => self.wire_goes_on(now, id),
            Some(Way::Across) | None => {}
        }
    }

    /// A message has crossed.
    fn wire_goes_on(&mut self, now: SimTime, id: FrameId) {
        let Some((wire, parent)) = self.wire(id) else { return };
        if wire.way == Way::Going {
            if !self.is_awaited(parent) {
                self.note_nobody(id, &wire);
            }
            return self.end_wire(now, id, wire.outcome);
        }
        self.change_wire(id, |w| w.way = Way::Across);
        if wire.instance == ANY {
            return self.balance(now, &wire.call, id, wire.balancer, wire.endpoint);
        }
        let arrival = Arrival {
            parent: id,
            instance: wire.instance,
            endpoint: wire.endpoint,
            balancer: NO_BALANCER,
            measures_balancer: false,
            is_check: wire.is_check,
        };
        self.arrive(now, arrival, &wire.call);
    }

    /// The callee has answered: what goes on up at once, or `None` if the answer is under way.
    pub(super) fn wire_answered(&mut self, now: SimTime, id: FrameId, outcome: Outcome) -> Option<Outcome> {
        let (wire, parent) = self.wire(id)?;
        // Then that has been counted where it was done.
        let is_for_nobody = !self.is_awaited(parent);
        self.change_wire(id, |w| {
            (w.way, w.outcome, w.since, w.repeated) = (Way::Answering, outcome, now, 0);
            w.is_for_nobody = is_for_nobody;
        });
        let (caller, callee) = self.ends(&wire);
        if self.crosses(caller, callee, BACK, wire.call.key).is_some_and(SimDuration::is_zero) {
            self.leave_wire(now, id, outcome);
            return Some(outcome);
        }
        self.send_on_wire(now, id);
        None
    }

    /// A message ends, and its caller learns how.
    fn end_wire(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some((_, parent)) = self.wire(id) else { return };
        self.leave_wire(now, id, outcome);
        self.pass_on(id, parent);
        self.tasks.push_back(Task::Up(parent, outcome));
    }

    /// Takes a message off the wire.
    fn leave_wire(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some((wire, parent)) = self.wire(id) else { return };
        self.note_cause(parent, wire.cause);
        self.uncount_wire(now, &wire, outcome);
        let is_alb = wire.is_counted
            && matches!(self.settings().balancers[wire.balancer as usize].product, Product::Alb(_));
        if is_alb && wire.cause != Cause::Answered && outcome == Outcome::Error {
            self.observer.count(self.model.catalog.balancers[wire.balancer as usize].http_502);
        }
        self.frames.remove(id);
    }

    /// The balancer counts a message no more.
    fn uncount_wire(&mut self, now: SimTime, wire: &Wire, outcome: Outcome) {
        if wire.is_counted {
            self.end_at_balancer(now, wire.balancer, wire.instance, wire.at);
        }
        if wire.measures {
            let red = self.model.catalog.balancers[wire.balancer as usize].red;
            self.observer.outcome(red, outcome, now.since(wire.at));
        }
    }

    /// A balancer gives up on a message, which goes on for nobody.
    pub(super) fn detach_wire(&mut self, now: SimTime, id: FrameId) {
        let Some((wire, _)) = self.wire(id) else { return };
        self.uncount_wire(now, &Wire { measures: false, ..wire }, Outcome::Timeout);
        self.change_wire(id, |w| (w.is_counted, w.measures) = (false, false));
    }

    /// A request that has crossed goes over to another instance.
    pub(super) fn redirect_wire(&mut self, execution: FrameId, instance: u32) {
        let Some(parent) = self.frames.get(execution).map(|frame| frame.parent) else { return };
        let Some((wire, _)) = self.wire(parent) else { return };
        if wire.is_counted {
            let first = self.model.groups[self.model.balancers[wire.balancer as usize].group as usize].first;
            self.balancers[wire.balancer as usize].each_policy(|policy| {
                policy.on_end(wire.instance - first);
                policy.on_start(instance - first);
            });
        }
        self.change_wire(parent, |w| w.instance = instance);
    }

    /// A call is called off: its callee learns of it, unless it is cut off. Returns whether it does.
    pub(super) fn cancel_wire(&mut self, now: SimTime, id: FrameId) -> bool {
        let Some((wire, _)) = self.wire(id) else { return true };
        let (caller, callee) = self.ends(&wire);
        let learns = self.crosses(caller, callee, THERE, wire.call.key).is_some();
        self.drop_wire(now, id);
        learns
    }

    /// Takes a message off the wire whose caller wants it no more.
    fn drop_wire(&mut self, now: SimTime, id: FrameId) {
        let Some((wire, _)) = self.wire(id) else { return };
        self.uncount_wire(now, &wire, Outcome::Cancelled);
        self.frames.remove(id);
    }

    /// Work was done whose answer nobody waits for any more.
    fn note_nobody(&mut self, id: FrameId, wire: &Wire) {
        let is_answer = matches!(wire.way, Way::Answering | Way::Going);
        if is_answer && wire.instance != ANY && !wire.is_check && !wire.is_for_nobody {
            let group = self.instances[wire.instance as usize].group as usize;
            self.observer.count(self.model.catalog.groups[group].nobody);
            self.change_wire(id, |w| w.is_for_nobody = true);
        }
    }

    /// The connection that a call uses is reset: a pool that lent it loses it.
    fn break_connection(&mut self, now: SimTime, above: FrameId) {
        let mut up = above;
        while let Some(Frame { kind: Kind::Layer { layer, call, state }, parent, .. }) = self.frames.get(up) {
            if let super::frame::LayerState::Pool { conn, .. } = state {
                let slot = self.slot(*layer, call);
                let conn = *conn;
                return self.break_client(now, (slot as u32, conn));
            }
            up = *parent;
        }
    }
}

/// The layers of a route.
fn on_route(model: &Model, route: u32) -> impl Iterator<Item = &LayerKind> {
    let layers = &model.routes[route as usize].layers;
    model.layers[layers.start as usize..layers.end as usize].iter().map(|layer| &layer.kind)
}

fn new_wire(now: SimTime, call: &Call, instance: u32, endpoint: u32, balancer: u32) -> Wire {
    Wire {
        call: *call,
        at: now,
        since: now,
        instance,
        endpoint,
        balancer,
        way: Way::Sending,
        repeated: 0,
        outcome: Outcome::Ok,
        cause: Cause::Answered,
        is_check: false,
        is_counted: false,
        measures: false,
        is_for_nobody: false,
    }
}
