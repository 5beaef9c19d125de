//! Policies: calls go down through the layers, answers come up through them.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState, NO_POOL, RetryState};
use super::{FrameId, Task, World};
use crate::base::{Outcome, Rng, SimDuration, SimTime, mix, uniform_of};
use crate::components::bulkhead::Enter;
use crate::components::outlier::Cause;
use crate::components::tcp::backed_off;
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::metrics::trace::Noted;
use crate::model::{Caller, Draw, FallbackOption, Layer, LayerKind, Route};
use std::ops::Range;

/// How often a message is sent again before it is given up as delivered.
const RETRANSMITS_MAX: u32 = 15;

/// The salt of a retry around others; more than any number of retries.
const NESTED: u64 = 1 << 32;

/// What a layer does with a call on its way down.
pub(super) enum Passage {
    /// It goes on, below a new frame.
    Through(FrameId),
    /// It waits in its frame.
    Waits,
    /// It is turned away.
    Rejected,
    /// It is answered.
    Answered(Outcome),
}

impl<O: Observer> World<'_, O> {
    /// Begins a call for `parent`.
    #[inline(always)]
    pub(super) fn call(&mut self, now: SimTime, route: &Route, call: Call, parent: FrameId) {
        if self.is_too_late(now, parent) {
            self.tasks.push_back(Task::Up(parent, Outcome::Timeout));
        } else {
            self.call_below(now, route, call, parent, route.layers.clone());
        }
    }

    /// Begins a call through these of its layers.
    #[inline(always)]
    pub(super) fn call_below(
        &mut self,
        now: SimTime,
        route: &Route,
        mut call: Call,
        parent: FrameId,
        layers: Range<u32>,
    ) {
        if layers.is_empty() {
            self.route(now, route, &call, parent);
        } else {
            self.down(now, route, &mut call, parent, layers);
        }
    }

    /// Takes a call down through `layers`.
    fn down(
        &mut self,
        now: SimTime,
        route: &Route,
        call: &mut Call,
        mut parent: FrameId,
        layers: Range<u32>,
    ) {
        for layer in layers {
            match self.enter(now, call, parent, layer) {
                Passage::Through(frame) => parent = frame,
                Passage::Waits => return,
                Passage::Rejected => {
                    self.frames.noted(parent, layer, Noted::Rejected);
                    let wait = match self.model.layers[layer as usize].kind {
                        LayerKind::RateLimit { retry_after, .. } => retry_after,
                        _ => None,
                    };
                    return self.reject_until(parent, wait);
                }
                Passage::Answered(outcome) => {
                    self.frames.noted(parent, layer, Noted::Answered);
                    self.tasks.push_back(Task::Up(parent, outcome));
                    return;
                }
            }
        }
        self.route(now, route, call, parent);
    }

    /// A call that waited in a layer goes on below it.
    pub(super) fn go_on_below(&mut self, now: SimTime, frame: FrameId) {
        let Some(Frame { kind: Kind::Layer { layer, call, state }, .. }) = self.frames.get(frame) else {
            return self.try_target(now, frame);
        };
        let (layer, mut call, state) = (*layer, *call, *state);
        if self.is_caller_gone(&call) {
            // Nobody is left to make the call. A state that others share gets back what the call holds of it.
            let parent = self.frames.get(frame).map_or(FrameId::NONE, |f| f.parent);
            self.drop_layer(now, frame, layer, &call, state);
            self.tasks.push_back(Task::Up(parent, Outcome::Error));
            return;
        }
        if let Some(instance) = self.hung_caller(layer, &call) {
            return self.park(instance, Task::Down(frame));
        }
        if self.is_too_late(now, frame) {
            // As if what is below answered so at once.
            self.tasks.push_back(Task::Up(frame, Outcome::Timeout));
            return;
        }
        match state {
            LayerState::Retry(retry) if retry.done > 0 => {
                self.send_retry(frame, layer, &call, retry);
                call.key = self.attempt_key(&call, layer, retry.done);
            }
            LayerState::Pool { .. } => self.note_pool(&mut call, layer),
            _ => {}
        }
        let route = &self.model.routes[call.route as usize];
        self.down(now, route, &mut call, frame, layer + 1..route.layers.end);
    }

    /// The key of an attempt: each has random numbers of its own, and the first has the call's. Where one retry
    /// stands around another, the second attempt of the outer is not the second of the inner.
    fn attempt_key(&self, call: &Call, layer: u32, done: u32) -> u64 {
        let inside = layer as usize + 1..self.model.routes[call.route as usize].layers.end as usize;
        let is_retry = |layer: &&Layer| matches!(layer.kind, LayerKind::Retry { .. });
        let key = match self.model.layers[inside].iter().filter(is_retry).count() {
            0 => call.key,
            depth => mix(call.key, NESTED + depth as u64),
        };
        mix(key, u64::from(done))
    }

    // Inlined into the one loop that calls it: most layers only put a frame in place.
    #[inline(always)]
    fn enter(&mut self, now: SimTime, call: &mut Call, parent: FrameId, layer: u32) -> Passage {
        let model = self.model;
        let is = &model.layers[layer as usize];
        let slot = is.slot_of(call.owner);
        let frame = |state| Frame::new(parent, Kind::Layer { layer, call: *call, state });
        match &is.kind {
            LayerKind::Timeout { limit, .. } => {
                let id = self.push_frame(frame(LayerState::Plain));
                self.after(*limit, Rank::Timer, Event::Timer(id));
                Passage::Through(id)
            }
            LayerKind::Retry { budget, .. } => {
                if budget.is_some() {
                    self.budgets[slot].on_request(now);
                }
                Passage::Through(self.push_frame(frame(LayerState::Retry(RetryState::default()))))
            }
            LayerKind::Breaker(_) => self.enter_breaker(now, slot, call, parent, layer),
            LayerKind::Pool { .. } => self.enter_pool(now, slot, call, parent, layer),
            _ => self.enter_rarer(now, call, parent, layer),
        }
    }

    /// The same for layers that fewer calls have.
    #[inline(never)]
    fn enter_rarer(&mut self, now: SimTime, call: &mut Call, parent: FrameId, layer: u32) -> Passage {
        let model = self.model;
        let slot = self.slot(layer, call);
        let frame = |state| Frame::new(parent, Kind::Layer { layer, call: *call, state });
        match &model.layers[layer as usize].kind {
            LayerKind::Timeout { .. }
            | LayerKind::Retry { .. }
            | LayerKind::Breaker(_)
            | LayerKind::Pool { .. } => unreachable!("these are entered elsewhere"),
            LayerKind::Patience(draw) => {
                let limit = sample(draw, call.key);
                let id = self.push_frame(frame(LayerState::Plain));
                self.queue.schedule(now + limit, Rank::Timer, Event::Timer(id));
                Passage::Through(id)
            }
            LayerKind::Bulkhead { config } => {
                let id = self.push_frame(frame(LayerState::Bulkhead { queued: false }));
                self.enter_bulkhead(now, slot, id, config.max_wait())
            }
            LayerKind::Fallback { .. } => {
                let state = LayerState::Fallback { next: 0, calling: false, at: now };
                Passage::Through(self.push_frame(frame(state)))
            }
            LayerKind::Network { latency, loss, rto } => {
                let delay = self.crossing(latency, *loss, *rto, call.key, 0);
                let id = self.push_frame(frame(LayerState::Plain));
                self.queue.schedule(now + delay, Rank::Delivery, Event::Sent(id));
                Passage::Waits
            }
            LayerKind::RateLimit { .. } => self.enter_rate_limit(now, call, parent, layer),
            LayerKind::Hedge { max, .. } => {
                let id = self.push_frame(frame(LayerState::Hedge { sent: 0, running: 0, due: now }));
                Passage::Through(self.first_attempt(now, id, *max))
            }
            LayerKind::Connect(_) => self.enter_connect(now, slot, call, parent, layer),
            LayerKind::Deadline { limit, .. } => self.enter_deadline(now, call, parent, layer, *limit),
            LayerKind::Cache { .. } => self.enter_cache(now, slot, layer, call, parent),
            LayerKind::ConcurrencyLimit { .. } => self.enter_limiter(now, slot, call, parent, layer),
            LayerKind::Throttle { .. } => self.enter_throttle(now, slot, call, parent, layer),
        }
    }

    fn enter_bulkhead(
        &mut self,
        now: SimTime,
        slot: usize,
        id: FrameId,
        max_wait: Option<SimDuration>,
    ) -> Passage {
        let meters = self.model.catalog.layers[self.bulkhead_meters[slot] as usize];
        match self.bulkheads[slot].enter(now, id) {
            Enter::Admitted => {
                self.observer.moved(now, meters.gauge, 1);
                Passage::Through(id)
            }
            Enter::Queued => {
                self.observer.moved(now, meters.gauge + 1, 1);
                self.set_state(id, LayerState::Bulkhead { queued: true });
                if let Some(wait) = max_wait {
                    self.after(wait, Rank::Timer, Event::Timer(id));
                }
                Passage::Waits
            }
            Enter::Rejected => {
                self.observer.count(meters.rejected);
                self.frames.remove(id);
                Passage::Rejected
            }
        }
    }

    /// Whether the process that made a call, and this layer with its state, has been killed since.
    #[inline]
    pub(super) fn outlived_its_process(&self, layer: u32, call: &Call) -> bool {
        self.anybody_killed && !self.model.layers[layer as usize].shared && self.is_caller_dead(call)
    }

    /// Whether the process that made a call has been killed since.
    #[inline]
    pub(super) fn is_caller_gone(&self, call: &Call) -> bool {
        self.anybody_killed && self.is_caller_dead(call)
    }

    #[inline(never)]
    fn is_caller_dead(&self, call: &Call) -> bool {
        let edge = self.model.routes[call.route as usize].edge as usize;
        match self.model.edges[edge].caller {
            Caller::Client(_) => false,
            Caller::Group(group) => self.life_of(group, call.owner) != call.life,
        }
    }

    /// The instance whose process keeps this layer, if it hangs: what reaches the layer waits until it goes on.
    #[inline]
    pub(super) fn hung_caller(&self, layer: u32, call: &Call) -> Option<u32> {
        if self.hung == 0 { None } else { self.hung_host(layer, call) }
    }

    #[inline(never)]
    fn hung_host(&self, layer: u32, call: &Call) -> Option<u32> {
        // Of a retry only the budget is shared.
        let place = &self.model.layers[layer as usize];
        if place.shared && !matches!(place.kind, LayerKind::Retry { .. }) {
            return None;
        }
        let edge = self.model.routes[call.route as usize].edge as usize;
        let Caller::Group(group) = self.model.edges[edge].caller else { return None };
        let instance = self.model.groups[group as usize].first + call.owner;
        let state = &self.instances[instance as usize];
        (state.is_hung && state.answers() && state.life == call.life).then_some(instance)
    }

    /// A call that waited for a bulkhead has its turn.
    pub(super) fn bulkhead_admitted(&mut self, now: SimTime, slot: u32, frame: FrameId) {
        let meters = self.model.catalog.layers[self.bulkhead_meters[slot as usize] as usize];
        self.observer.moved(now, meters.gauge + 1, -1);
        self.observer.moved(now, meters.gauge, 1);
        self.set_state(frame, LayerState::Bulkhead { queued: false });
        self.tasks.push_back(Task::Down(frame));
    }

    fn leave_bulkhead(&mut self, now: SimTime, slot: usize) {
        let meters = self.model.catalog.layers[self.bulkhead_meters[slot] as usize];
        self.observer.moved(now, meters.gauge, -1);
        if let Some(next) = self.bulkheads[slot].leave(now) {
            self.bulkhead_admitted(now, slot as u32, next);
        }
    }

    pub(super) fn set_state(&mut self, frame: FrameId, new: LayerState) {
        if let Some(Frame { kind: Kind::Layer { state, .. }, .. }) = self.frames.get_mut(frame) {
            *state = new;
        }
    }

    // ---- up ----

    /// An answer reaches a frame and goes up from there as far as nothing holds it.
    pub(super) fn up(&mut self, now: SimTime, frame: FrameId, outcome: Outcome) {
        let (mut id, mut outcome) = (frame, outcome);
        loop {
            self.frames.answered(id, outcome);
            let Some(frame) = self.frames.get(id) else { return };
            let parent = frame.parent;
            match &frame.kind {
                Kind::Layer { layer, call, state } => {
                    let is_plain = self.hung == 0 && !self.anybody_killed;
                    let layer_of = &self.model.layers[*layer as usize];
                    let slot = layer_of.slot_of(call.owner);
                    // Most answers pass most layers, for which the frame need not be copied.
                    let passes = is_plain
                        && match (&layer_of.kind, *state) {
                            (LayerKind::Timeout { .. } | LayerKind::Patience(_), _) => true,
                            (LayerKind::Deadline { .. }, _) => true,
                            (LayerKind::Breaker(_), LayerState::Breaker { ticket, since }) => {
                                let breaker = &mut self.breakers[slot];
                                let turn = breaker.on_outcome(now, ticket, since, outcome);
                                if let Some(turn) = turn {
                                    self.breaker_changed(now, slot, turn);
                                }
                                true
                            }
                            (LayerKind::Pool { .. }, LayerState::Pool { conn, waiting: false, .. })
                                if !self.pool_states[slot].is_pooler =>
                            {
                                self.release(now, slot, conn);
                                true
                            }
                            (LayerKind::Retry { config, budget, .. }, LayerState::Retry(retry))
                                if !config.on.contains(outcome) =>
                            {
                                let has_budget = budget.is_some();
                                self.passes_retry(now, id, has_budget.then_some(slot), retry, outcome);
                                true
                            }
                            _ => false,
                        };
                    if passes {
                        self.frames.free(id);
                        self.pass_on(id, parent);
                        id = parent;
                        continue;
                    }
                    let Some(Frame { kind: Kind::Layer { layer, call, state }, .. }) = self.frames.get(id)
                    else {
                        return;
                    };
                    let (layer, call, state) = (*layer, *call, *state);
                    if let Some(instance) = self.hung_caller(layer, &call) {
                        return self.park(instance, Task::Up(id, outcome));
                    }
                    match self.leave(now, id, layer, &call, state, outcome) {
                        Some(passed) => {
                            outcome = passed;
                            self.pass_on(id, parent);
                        }
                        None => return,
                    }
                }
                Kind::Attempt { .. } => {
                    self.end_attempt(now, id, outcome);
                    self.pass_on(id, parent);
                }
                Kind::Balanced(_) => match self.balanced_answered(now, id, outcome) {
                    Some(passed) => {
                        outcome = passed;
                        self.pass_on(id, parent);
                    }
                    None => return,
                },
                Kind::Wire(_) => match self.wire_answered(now, id, outcome) {
                    Some(passed) => {
                        outcome = passed;
                        self.pass_on(id, parent);
                    }
                    None => return,
                },
                Kind::Request(_) => return self.end_request(now, id, outcome),
                Kind::Check { .. } => return self.end_check(now, id, outcome),
                Kind::Probe { .. } => return self.end_probe(now, id, outcome),
                Kind::TaskCheck { .. } => return self.end_task_check(now, id, outcome),
                Kind::Message { .. } => return self.end_message(now, id, outcome),
                Kind::Exec(_) | Kind::Branch(_) => return self.answered(now, id, outcome),
                Kind::Join { .. } | Kind::Repeat { .. } | Kind::Optional | Kind::Lock { .. } => {
                    return self.branch_ended(now, id, outcome);
                }
                Kind::Connecting { .. } => return,
            }
            id = parent;
        }
    }

    /// An answer passes a layer: what goes on up, or `None` if the layer holds it back.
    #[inline(never)]
    fn leave(
        &mut self,
        now: SimTime,
        id: FrameId,
        layer: u32,
        call: &Call,
        state: LayerState,
        outcome: Outcome,
    ) -> Option<Outcome> {
        let model = self.model;
        if self.outlived_its_process(layer, call) {
            self.frames.remove(id);
            return Some(outcome);
        }
        let slot = self.slot(layer, call);
        match &model.layers[layer as usize].kind {
            LayerKind::Timeout { .. } | LayerKind::Patience(_) | LayerKind::Deadline { .. } => {}
            LayerKind::Retry { .. } => {
                let LayerState::Retry(retry) = state else { return None };
                if self.tries_again(now, id, layer, call, retry, outcome) {
                    return None;
                }
            }
            LayerKind::Breaker(_) => self.report_to_breaker(now, slot, state, outcome),
            LayerKind::RateLimit { .. } => self.rate_limit_answered(now, layer, call, outcome),
            LayerKind::Hedge { .. } => return self.hedge_answered(now, id, layer, state, outcome),
            LayerKind::Bulkhead { .. } => self.leave_bulkhead(now, slot),
            LayerKind::Connect(_) => self.leave_connect(now, slot, outcome),
            LayerKind::ConcurrencyLimit { .. } => {
                self.leave_limiter(now, (slot, layer, id), call, state, outcome);
            }
            LayerKind::Throttle { .. } => self.report_to_throttle(now, slot, layer, outcome),
            LayerKind::Pool { .. } => self.leave_pool(now, slot, call, id, state),
            LayerKind::Fallback { options, salt } => {
                return self.fall_back(now, id, (options, *salt), call, state, outcome);
            }
            LayerKind::Network { latency, loss, rto } => {
                let delay = self.crossing(latency, *loss, *rto, call.key, 1);
                self.queue.schedule(now + delay, Rank::Delivery, Event::Answered(id, outcome));
                return None;
            }
            LayerKind::Cache { .. } => {
                let outcome = self.leave_cache(now, slot, (layer, id), call, state, outcome);
                self.frames.remove(id);
                return Some(outcome);
            }
        }
        self.frames.remove(id);
        Some(outcome)
    }

    fn fall_back(
        &mut self,
        now: SimTime,
        id: FrameId,
        (options, salt): (&[FallbackOption], u64),
        call: &Call,
        state: LayerState,
        outcome: Outcome,
    ) -> Option<Outcome> {
        let LayerState::Fallback { next, calling, at } = state else { return None };
        let Some(Frame { kind: Kind::Layer { layer, .. }, .. }) = self.frames.get(id) else { return None };
        let slot = self.slot(*layer, call);
        let edge = self.model.routes[call.route as usize].edge as usize;
        let result = if calling {
            // The answer of the fallback's own call.
            let route = options.get(next as usize - 1);
            if let Some(FallbackOption::Call(route)) = route {
                let red = self.model.routes[*route as usize].red;
                self.observer.outcome(red, outcome, now.since(at));
            }
            outcome.is_success().then_some(Outcome::Degraded)
        } else if outcome.is_success() || outcome == Outcome::Cancelled {
            if outcome == Outcome::Ok {
                self.caches[slot] = Some(now);
                self.keep_taint(slot, id);
            }
            self.frames.remove(id);
            return Some(outcome);
        } else {
            None
        };
        let mut next = next;
        let mut result = result;
        while result.is_none() {
            let Some(option) = options.get(next as usize) else { break };
            next += 1;
            match option {
                FallbackOption::Value => result = Some(Outcome::Degraded),
                FallbackOption::Cache { ttl, coverage } => {
                    let fresh = self.caches[slot].is_some_and(|at| now.since(at) <= *ttl);
                    if fresh && uniform_of(mix(call.key, salt)) < *coverage {
                        result = Some(Outcome::Degraded);
                        self.taint_from_kept(slot, id);
                    }
                }
                FallbackOption::Call(route) => {
                    self.set_state(id, LayerState::Fallback { next, calling: true, at: now });
                    self.tasks.push_back(Task::Fallback(id, *route));
                    return None;
                }
            }
        }
        self.frames.remove(id);
        if result.is_some() {
            self.observer.count(self.model.catalog.edges[edge].fallbacks);
        }
        Some(result.unwrap_or(outcome))
    }

    pub(super) fn call_fallback(&mut self, now: SimTime, frame: FrameId, route: u32) {
        let Some(Frame { kind: Kind::Layer { call, .. }, parent, .. }) = self.frames.get(frame) else {
            return;
        };
        let (call, parent) = (*call, *parent);
        if self.is_caller_gone(&call) {
            self.frames.remove(frame);
            self.tasks.push_back(Task::Up(parent, Outcome::Error));
            return;
        }
        let place = &self.model.routes[route as usize];
        let call = Call { route, key: mix(call.key, place.salt), pool_layer: NO_POOL, ..call };
        self.observer.arrival(place.red);
        self.call(now, place, call, frame);
    }

    /// An answer has crossed the network.
    pub(super) fn on_answered(&mut self, frame: FrameId, outcome: Outcome) {
        if let Some(gone) = self.frames.remove(frame) {
            self.pass_on(frame, gone.parent);
            self.tasks.push_back(Task::Up(gone.parent, outcome));
        }
    }

    /// The time a message takes, lost messages sent again included.
    fn crossing(&mut self, latency: &Draw, loss: f64, rto: SimDuration, key: u64, way: u64) -> SimDuration {
        let mut rng = Rng::from_seed(mix(mix(key, latency.salt), way));
        let mut delay = latency.dist.sample_duration(&mut rng);
        if loss > 0.0 {
            let mut losses = 0;
            while losses < RETRANSMITS_MAX && rng.chance(loss) {
                delay = delay + backed_off(rto, losses);
                losses += 1;
            }
        }
        delay
    }

    // ---- timers ----

    /// The timer of a layer, an attempt or a check: whoever still waits gives up.
    pub(super) fn on_timer(&mut self, now: SimTime, id: FrameId) {
        let Some(frame) = self.frames.get(id) else { return };
        let (parent, child) = (frame.parent, frame.child);
        match &frame.kind {
            Kind::Layer { layer, call, state } => {
                let (layer, call, state) = (*layer, *call, *state);
                if self.outlived_its_process(layer, &call) {
                    self.frames.remove(id);
                    self.tasks.push_back(Task::Up(parent, Outcome::Error));
                    return;
                }
                if let Some(instance) = self.hung_caller(layer, &call) {
                    return self.park(instance, Task::Timer(id));
                }
                let slot = self.slot(layer, &call);
                match (&self.model.layers[layer as usize].kind, state) {
                    (LayerKind::Timeout { cancel, .. }, _) => {
                        self.give_up(now, (id, layer), child, *cancel);
                        self.tasks.push_back(Task::Up(parent, Outcome::Timeout));
                    }
                    (LayerKind::Connect(_), _) => self.connect_goes_on(now, slot, id),
                    (LayerKind::Deadline { cancel, .. }, _) => {
                        self.deadline_exceeded(slot);
                        self.give_up(now, (id, layer), child, *cancel);
                        self.tasks.push_back(Task::Up(parent, Outcome::Timeout));
                    }
                    (LayerKind::Patience(_), _) => {
                        self.give_up(now, (id, layer), child, true);
                        self.tasks.push_back(Task::Up(parent, Outcome::Cancelled));
                    }
                    (LayerKind::Bulkhead { .. }, LayerState::Bulkhead { queued: true }) => {
                        self.bulkheads[slot].abandon(id);
                        let meters = self.model.catalog.layers[self.bulkhead_meters[slot] as usize];
                        self.observer.moved(now, meters.gauge + 1, -1);
                        self.observer.count(meters.rejected);
                        self.frames.remove(id);
                        self.tasks.push_back(Task::Up(parent, Outcome::Rejected));
                    }
                    (LayerKind::ConcurrencyLimit { .. }, LayerState::Limited { in_flight: 0, .. }) => {
                        self.limiter_timed_out(now, slot, id, parent);
                    }
                    // A timer that was set before the last attempt was sent is void.
                    (LayerKind::Hedge { .. }, LayerState::Hedge { due, .. }) if due <= now => {
                        self.send_hedge(now, id);
                    }
                    (LayerKind::Pool { .. }, LayerState::Pool { waiting: true, .. }) => {
                        self.acquire_timed_out(now, slot, &call, id, state);
                        self.frames.remove(id);
                        self.tasks.push_back(Task::Up(parent, Outcome::Timeout));
                    }
                    _ => {}
                }
            }
            Kind::Lock { .. } => self.lock_timed_out(now, id),
            // Timeouts without a frame of their own.
            Kind::Request(_) => {
                self.anybody_left = true;
                self.tasks.push_back(Task::Up(id, Outcome::Timeout));
            }
            Kind::Exec(exec) => {
                let Some(client) = parent.number_outside() else { return };
                let request = (exec.at, exec.run.key);
                self.anybody_left = true;
                if let Some(frame) = self.frames.get_mut(id) {
                    frame.parent = FrameId::NONE;
                }
                self.plain_request_ended(now, client, request, Outcome::Timeout);
            }
            Kind::Attempt { .. } => {
                self.end_attempt(now, id, Outcome::Timeout);
                self.anybody_left = true;
                self.tasks.push_back(Task::Up(parent, Outcome::Timeout));
            }
            Kind::Balanced(_) => self.balanced_timed_out(now, id),
            Kind::Wire(_) => self.wire_timer(now, id),
            Kind::Check { .. } => {
                self.anybody_left = true;
                self.note_cause(id, Cause::GaveUp);
                self.end_check(now, id, Outcome::Timeout);
            }
            Kind::Probe { .. } => {
                self.anybody_left = true;
                self.end_probe(now, id, Outcome::Timeout);
            }
            Kind::TaskCheck { .. } => {
                self.anybody_left = true;
                self.end_task_check(now, id, Outcome::Timeout);
            }
            _ => {}
        }
    }

    fn give_up(&mut self, now: SimTime, (id, layer): (FrameId, u32), child: FrameId, cancel: bool) {
        self.frames.noted(id, layer, Noted::GaveUp);
        self.frames.remove(id);
        self.anybody_left = true;
        if cancel {
            self.cancel(now, child);
        }
    }

    /// Calls off everything below and including a frame: work stops, what was held is given back.
    pub(super) fn cancel(&mut self, now: SimTime, id: FrameId) {
        let Some(frame) = self.frames.get(id) else { return };
        let child = frame.child;
        match &frame.kind {
            Kind::Layer { layer, call, state } => {
                let (layer, call, state) = (*layer, *call, *state);
                self.drop_layer(now, id, layer, &call, state);
                if matches!(state, LayerState::Hedge { .. }) {
                    return self.cancel_attempts(now, child);
                }
            }
            Kind::Exec(_) => {
                // Its own calls first, so that nothing answers it any more.
                self.cancel(now, child);
                self.finish(now, id, Outcome::Cancelled);
                return;
            }
            Kind::Branch(_) => return self.cancel_branch(now, id),
            Kind::Join { .. } => {
                self.cancel_branches(now, child);
                self.frames.remove(id);
                return;
            }
            Kind::Attempt { .. } => self.end_attempt(now, id, Outcome::Cancelled),
            Kind::Lock { .. } => {
                // What runs under the lock first, so that nobody else has it meanwhile.
                self.cancel(now, child);
                return self.unlock(now, id);
            }
            Kind::Balanced(_) => self.drop_balanced(now, id),
            Kind::Wire(_) => {
                if !self.cancel_wire(now, id) {
                    return;
                }
            }
            Kind::Repeat { .. }
            | Kind::Optional
            | Kind::Request(_)
            | Kind::Check { .. }
            | Kind::Probe { .. }
            | Kind::TaskCheck { .. }
            | Kind::Message { .. } => {
                self.frames.remove(id);
            }
            Kind::Connecting { .. } => return,
        }
        self.cancel(now, child);
    }

    /// Takes a call out of a layer, giving back what it holds.
    pub(super) fn drop_layer(
        &mut self,
        now: SimTime,
        id: FrameId,
        layer: u32,
        call: &Call,
        state: LayerState,
    ) {
        if self.outlived_its_process(layer, call) {
            self.frames.remove(id);
            return;
        }
        let slot = self.slot(layer, call);
        match (&self.model.layers[layer as usize].kind, state) {
            (LayerKind::Breaker(_), _) => self.report_to_breaker(now, slot, state, Outcome::Cancelled),
            (LayerKind::RateLimit { .. }, LayerState::RateLimit { waiting: true }) => {
                self.leave_line(now, layer, call, id);
            }
            (LayerKind::Bulkhead { .. }, LayerState::Bulkhead { queued: true }) => {
                self.bulkheads[slot].abandon(id);
                let meters = self.model.catalog.layers[self.bulkhead_meters[slot] as usize];
                self.observer.moved(now, meters.gauge + 1, -1);
            }
            (LayerKind::Bulkhead { .. }, _) => self.leave_bulkhead(now, slot),
            (LayerKind::Pool { .. }, _) => self.leave_pool(now, slot, call, id, state),
            (LayerKind::Connect(_), LayerState::Connect { stage, .. }) => self.connects[slot].close(stage),
            (LayerKind::Cache { .. }, state) => self.drop_from_cache(slot, call, state),
            (LayerKind::Throttle { .. }, _) => {
                self.report_to_throttle(now, slot, layer, Outcome::Cancelled);
            }
            (LayerKind::ConcurrencyLimit { .. }, _) => {
                self.leave_limiter(now, (slot, layer, id), call, state, Outcome::Cancelled);
            }
            (LayerKind::Retry { budget: Some(_), .. }, LayerState::Retry(retry)) => {
                self.budgets[slot].on_abandoned(!retry.waits, retry.done > 0);
            }
            _ => {}
        }
        self.frames.remove(id);
    }
}

/// Draws a time for the owner of `key`.
#[inline(always)]
pub(super) fn sample(draw: &Draw, key: u64) -> SimDuration {
    // One uniform number decides it, so the same request meets the same time whatever else is drawn.
    SimDuration::from_seconds(draw.dist.variate(uniform_of(mix(key, draw.salt))))
}
