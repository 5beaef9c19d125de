//! Clients: when they ask, and what becomes of their requests.

use super::event::Event;
use super::frame::{Call, Frame, Kind, NO_POOL, NO_USER, Request};
use super::ongoing::eased;
use super::script::Effect;
use super::{FrameId, World};
use crate::base::{Outcome, Rng, SimDuration, SimTime, Streams, mix, uniform_of};
use crate::engine::{EventQueue, LaneId, Rank};
use crate::metrics::Observer;
use crate::model::catalog::ClientMeters;
use crate::model::profile::line;
use crate::model::{Arrivals, Client, ClientShape, LayerKind, Model};
use std::collections::BTreeSet;
use std::ops::Range;

/// Salts of what belongs to a request.
const MIX: u64 = 1;
const TENANT: u64 = 2;
const AFFINITY: u64 = 3;
const THINK: u64 = 4;
/// The salts that tell users and batches from requests: the second is no number of a request.
const USER: u64 = 5;
const BATCH: u64 = u64::MAX;
/// The salt of what a request asks for.
const KEY: u64 = 6;

/// Steps in which a changing rate is integrated from one regular request to the next.
const REGULAR_STEPS: f64 = 8.0;

/// What a client population's source remembers.
#[derive(Debug)]
pub(super) struct Source<'m> {
    /// The settings in force.
    settings: &'m Client,
    /// Whether all its requests are alike: of one kind, without tenants, keys and sites.
    is_plain: bool,
    /// What a request is, if all are alike, none has more around it than its own timeout, and nothing but its latency
    /// and its outcome is asked about its answer.
    plain: Option<Plain>,
    /// The mean time between requests, in seconds, of a Poisson process whose rate does not change by itself.
    mean_gap: Option<f64>,
    /// Draws the moments of requests.
    rng: Rng,
    /// The key of the population's requests.
    key: u64,
    /// Requests sent (open loop).
    sent: u64,
    /// Batches sent.
    batches: u64,
    /// Raised whenever the next request is scheduled anew.
    generation: u32,
    /// Product of the spikes that strike now.
    pub spike: f64,
    /// Cumulative shares of the tenants, if a spike of some of them strikes; else empty.
    tenants: Vec<f64>,
    /// When each user asks next; `NEVER` for those who do not think.
    due: Vec<SimTime>,
    /// The state of a modulated source.
    state: usize,
    /// When it enters the next one.
    modulates_at: SimTime,
    /// Whether the number of users is looked at once a second.
    follows_profile: bool,
    /// From when regular requests are counted, and how many requests were scheduled since.
    base: SimTime,
    counted: u64,
    /// Users that exist.
    users: u32,
    /// Requests of each user.
    asked: Vec<u32>,
    /// Users that pause, since fewer are wanted.
    paused: BTreeSet<u32>,
}

impl<'m> Source<'m> {
    pub fn all(model: &'m Model, streams: Streams) -> Vec<Self> {
        let make = |(shape, settings): (&ClientShape, &'m Client)| {
            let path = format!("clients.{}", shape.name);
            Self {
                settings,
                is_plain: is_plain(shape, settings),
                plain: None,
                mean_gap: None,
                rng: streams.stream(&path, "arrivals"),
                key: streams.key(&path, "requests"),
                sent: 0,
                batches: 0,
                generation: 0,
                spike: 1.0,
                tenants: Vec::new(),
                due: Vec::new(),
                state: 0,
                modulates_at: SimTime::ZERO,
                follows_profile: false,
                base: SimTime::ZERO,
                counted: 0,
                users: 0,
                asked: Vec::new(),
                paused: BTreeSet::new(),
            }
        };
        model.clients.iter().zip(&model.epochs[0].clients).map(make).collect()
    }
}

impl Source<'_> {
    /// The settings or the spikes have changed, and with them the mean gap.
    fn settle_gap(&mut self) {
        let rate = match self.settings.arrivals {
            Arrivals::Poisson(rate) if self.settings.profile.is_constant() => {
                rate * (self.settings.profile.max() * self.spike)
            }
            _ => 0.0,
        };
        self.mean_gap = (rate > 0.0).then(|| 1.0 / rate);
    }
}

/// What a request asks for.
struct Wish {
    /// Which request of the mix.
    request: u32,
    route: u32,
    tenant: u32,
    /// The number of the tenant among those of all populations.
    tenant_number: u8,
    priority: u8,
    key: Option<u32>,
}

/// Whether all requests of a population are alike.
fn is_plain(shape: &ClientShape, settings: &Client) -> bool {
    let has_tenants = !settings.tenants.is_empty() || !shape.tenant_numbers.is_empty();
    settings.mix.len() == 1 && settings.sites.is_empty() && settings.keys.is_none() && !has_tenants
}

impl<O: Observer> World<'_, O> {
    /// Settings have changed: sources follow them.
    pub(super) fn settle_sources(&mut self) {
        let clients = self.model.clients.iter().zip(&self.model.epochs[self.epoch].clients);
        let clients = clients.zip(&self.model.catalog.clients);
        for (source, ((shape, settings), meters)) in self.sources.iter_mut().zip(clients) {
            source.settings = settings;
            source.is_plain = is_plain(shape, settings);
            let may_be = source.is_plain
                && !(self.has_tables | meters.has_edges | self.model.costs.is_any | self.net.has_wires);
            source.plain = match may_be {
                true => Plain::of(self.model, meters, settings, &mut self.queue),
                false => None,
            };
            source.settle_gap();
        }
    }

    /// Schedules a population's first requests.
    pub(super) fn start_source(&mut self, now: SimTime, client: u32) {
        let settings = &self.settings().clients[client as usize];
        match &settings.arrivals {
            Arrivals::Users { .. } => self.on_population(now, client),
            Arrivals::Mmpp(states) => {
                self.sources[client as usize].state = 0;
                self.stay(now, client, states[0].1);
                self.schedule_arrival(now, client);
            }
            _ => self.schedule_arrival(now, client),
        }
    }

    /// Settings changed: the next request is scheduled anew.
    pub(super) fn reconfigure_source(&mut self, now: SimTime, client: u32) {
        let [before, after] =
            [self.previous_epoch(), self.epoch].map(|e| &self.model.epochs[e].clients[client as usize]);
        if before.arrivals == after.arrivals && before.profile == after.profile {
            return;
        }
        let same_kind = std::mem::discriminant(&before.arrivals) == std::mem::discriminant(&after.arrivals);
        let source = &mut self.sources[client as usize];
        match &after.arrivals {
            Arrivals::Users { .. } if same_kind => self.on_population(now, client),
            // Another record, or the same kind of distances: the next one is due when it was.
            Arrivals::Times(_) | Arrivals::Renewal(_) if same_kind => {}
            Arrivals::Mmpp(states) if same_kind => {
                source.state %= states.len();
                self.rescheduled(now, client);
            }
            _ if same_kind => self.rescheduled(now, client),
            _ => {
                source.generation += 1;
                source.base = now;
                source.counted = match &after.arrivals {
                    Arrivals::Times(times) => times.partition_point(|at| *at < now) as u64,
                    _ => 0,
                };
                self.start_source(now, client);
            }
        }
    }

    /// A modulated source stays in a state for a while.
    fn stay(&mut self, now: SimTime, client: u32, mean: f64) {
        let source = &mut self.sources[client as usize];
        source.modulates_at = now + exponential(mean, &mut source.rng);
        self.queue.schedule(source.modulates_at, Rank::Control, Event::Modulate { client });
    }

    /// The rate of a population has changed.
    pub(super) fn rescheduled(&mut self, now: SimTime, client: u32) {
        let settings = &self.settings().clients[client as usize];
        match &settings.arrivals {
            Arrivals::Users { .. } => self.adjust_users(now, client),
            // These follow their records, whatever else happens.
            Arrivals::Times(_) | Arrivals::Renewal(_) => {}
            _ => {
                let source = &mut self.sources[client as usize];
                source.generation += 1;
                source.base = now;
                source.counted = 0;
                self.schedule_arrival(now, client);
            }
        }
    }

    #[inline(always)]
    fn schedule_arrival(&mut self, now: SimTime, client: u32) {
        let source = &mut self.sources[client as usize];
        let next = match source.mean_gap {
            Some(mean) => Some(now + exponential(mean, &mut source.rng)),
            None => next_arrival(source.settings, source, now, self.script.end),
        };
        let Some(at) = next else { return };
        let generation = source.generation;
        self.queue.schedule(at, Rank::Arrival, Event::Arrive { client, generation });
    }

    /// An open population sends its next request.
    #[inline(always)]
    pub(super) fn on_arrive(&mut self, now: SimTime, client: u32, generation: u32) {
        let source = &mut self.sources[client as usize];
        if source.generation != generation {
            return;
        }
        if let Some(mean) = source.mean_gap {
            let at = now + exponential(mean, &mut source.rng);
            self.queue.schedule(at, Rank::Arrival, Event::Arrive { client, generation });
            return self.send_next(now, client);
        }
        let settings = source.settings;
        let accepted = is_accepted(settings, source, now);
        self.schedule_arrival(now, client);
        if !accepted {
            return;
        }
        let source = &mut self.sources[client as usize];
        let size = match &settings.arrivals {
            Arrivals::Batches { size, .. } => {
                source.batches += 1;
                size.variate(uniform_of(mix(mix(source.key, BATCH), source.batches)))
            }
            _ => 1,
        };
        for _ in 0..size {
            self.send_next(now, client);
        }
    }

    /// An open population sends one request.
    #[inline(always)]
    fn send_next(&mut self, now: SimTime, client: u32) {
        let source = &mut self.sources[client as usize];
        source.sent += 1;
        let key = mix(source.key, source.sent);
        let affinity = mix(key, AFFINITY);
        match source.plain {
            Some(plain) if !self.frames.samples(key) => {
                self.send_plainly(now, client, plain, key, affinity);
            }
            _ => self.send(now, client, NO_USER, key, affinity),
        }
    }

    /// A request that needs no frame before it waits for something else than its execution.
    #[inline(always)]
    fn send_plainly(&mut self, now: SimTime, client: u32, plain: Plain, key: u64, affinity: u64) {
        self.observer.arrival(plain.requests);
        self.begin_tally(now, client, plain.in_flight);
        let call = Call {
            key,
            route: plain.route,
            owner: 0,
            life: 0,
            affinity: (affinity >> 32) as u32,
            pool_layer: NO_POOL,
            priority: plain.priority,
            tenant: 0,
            is_keyed: false,
        };
        self.route(now, &self.model.routes[plain.route as usize], &call, FrameId::outside(client));
    }

    /// A modulated source enters its next state.
    pub(super) fn on_modulate(&mut self, now: SimTime, client: u32) {
        let Arrivals::Mmpp(states) = &self.settings().clients[client as usize].arrivals else { return };
        let source = &mut self.sources[client as usize];
        if source.modulates_at != now {
            return;
        }
        source.state = (source.state + 1) % states.len();
        let mean = states[source.state].1;
        self.stay(now, client, mean);
        self.rescheduled(now, client);
    }

    // ---- users ----

    /// The number of users follows the profile, looked at once a second.
    pub(super) fn on_population_tick(&mut self, now: SimTime, client: u32) {
        self.sources[client as usize].follows_profile = false;
        self.on_population(now, client);
    }

    fn on_population(&mut self, now: SimTime, client: u32) {
        self.adjust_users(now, client);
        let settings = &self.settings().clients[client as usize];
        let is_followed = self.sources[client as usize].follows_profile;
        let has_users = matches!(settings.arrivals, Arrivals::Users { .. });
        if has_users && !is_followed && !settings.profile.is_constant() {
            self.sources[client as usize].follows_profile = true;
            self.after(SimDuration::from_secs(1), Rank::Control, Event::Population { client });
        }
    }

    fn wanted_users(&self, now: SimTime, client: u32) -> u32 {
        let settings = &self.settings().clients[client as usize];
        let Arrivals::Users { count, .. } = settings.arrivals else { return 0 };
        let factor = settings.profile.at(now) * self.sources[client as usize].spike;
        (f64::from(count) * factor + 0.5) as u32
    }

    fn adjust_users(&mut self, now: SimTime, client: u32) {
        let wanted = self.wanted_users(now, client);
        let source = &mut self.sources[client as usize];
        let mut woken: Vec<u32> = source.paused.range(..wanted).copied().collect();
        source.paused.retain(|user| *user >= wanted);
        let fresh = source.users..wanted.max(source.users);
        source.users = fresh.end;
        source.asked.resize(source.users as usize, 0);
        source.due.resize(source.users as usize, SimTime::NEVER);
        woken.extend(fresh);
        for user in woken {
            let key = self.user_key(client, user);
            self.think(now, client, user, mix(key, 0));
        }
    }

    fn user_key(&self, client: u32, user: u32) -> u64 {
        mix(mix(self.sources[client as usize].key, USER), u64::from(user))
    }

    fn think(&mut self, now: SimTime, client: u32, user: u32, key: u64) {
        let Arrivals::Users { think, .. } = &self.settings().clients[client as usize].arrivals else {
            return;
        };
        let delay = SimDuration::from_seconds(think.variate(uniform_of(mix(key, THINK))));
        self.sources[client as usize].due[user as usize] = now + delay;
        self.queue.schedule(now + delay, Rank::Arrival, Event::Think { client, user });
    }

    /// A user asks, unless fewer are wanted by now.
    pub(super) fn on_think(&mut self, now: SimTime, client: u32, user: u32) {
        // Somebody else's moment: the user has asked earlier, in a hurry.
        let due = &mut self.sources[client as usize].due[user as usize];
        if *due != now {
            return;
        }
        *due = SimTime::NEVER;
        if user >= self.wanted_users(now, client) {
            self.sources[client as usize].paused.insert(user);
            return;
        }
        let asked = &mut self.sources[client as usize].asked[user as usize];
        *asked += 1;
        let number = u64::from(*asked);
        let user_key = self.user_key(client, user);
        self.send(now, client, user, mix(user_key, number), mix(user_key, AFFINITY));
    }

    // ---- requests ----

    #[inline(always)]
    fn send(&mut self, now: SimTime, client: u32, user: u32, key: u64, affinity: u64) {
        let source = &self.sources[client as usize];
        let settings = source.settings;
        let wish = if source.is_plain {
            let (route, priority) = (settings.mix[0].1, settings.priority);
            Wish { request: 0, route, tenant: 0, tenant_number: 0, priority, key: None }
        } else {
            self.wish(now, client, key)
        };
        let Wish { request, route, tenant, .. } = wish;
        let meters = self.model.catalog.clients[client as usize];
        self.observer.arrival(meters.requests + request);
        if !settings.tenants.is_empty() {
            self.observer.arrival(meters.tenants + tenant);
        }
        if meters.has_edges {
            self.observer.arrival(self.model.routes[route as usize].red);
        }
        self.begin_tally(now, client, meters.in_flight);
        let call = Call {
            key,
            route,
            owner: 0,
            life: 0,
            affinity: wish.key.unwrap_or((affinity >> 32) as u32),
            pool_layer: NO_POOL,
            priority: wish.priority,
            tenant: wish.tenant_number,
            is_keyed: wish.key.is_some(),
        };
        let is_sampled = self.frames.samples(key);
        let place = &self.model.routes[route as usize];
        let layers = place.layers.clone();
        // A timeout around all of it needs no frame of its own: the request's timer is its.
        let is_plain = !(self.has_tables | is_sampled);
        let own_timeout = if is_plain { own_timeout(self.model, &layers) } else { None };
        let below = layers.start + u32::from(own_timeout.is_some())..layers.end;
        let request = Request { client, request, tenant, user, at: now, key, route };
        let frame = self.push_frame(Frame::new(FrameId::NONE, Kind::Request(request)));
        if is_sampled {
            self.frames.begin_trace(frame);
        }
        if let Some(limit) = own_timeout {
            self.after(limit, Rank::Timer, Event::Timer(frame));
            self.call_below(now, place, call, frame, below);
        } else {
            self.call(now, place, call, frame);
        }
    }

    /// The frame of who gets the answer to a call that has just been sent: that of its request is put in place if it
    /// has none yet.
    #[inline]
    pub(super) fn framed(&mut self, now: SimTime, parent: FrameId, call: &Call) -> FrameId {
        match parent.number_outside() {
            Some(client) => self.put_in_place(plain_request(client, now, call.key), call.route),
            None => parent,
        }
    }

    #[inline(never)]
    fn put_in_place(&mut self, request: Request, route: u32) -> FrameId {
        let frame = self.push_frame(Frame::new(FrameId::NONE, Kind::Request(Request { route, ..request })));
        self.set_own_timeout(request.client, frame);
        frame
    }

    /// Sets the timer of a plain request that has just been sent, at the frame that stands for it.
    #[inline(always)]
    pub(super) fn set_own_timeout(&mut self, client: u32, frame: FrameId) {
        if let Some(Plain { timeout: Some(lane), .. }) = self.sources[client as usize].plain {
            let frames = &self.frames;
            self.queue.schedule_mortal(lane, Event::Timer(frame), |event| event.is_dead(frames));
        }
    }

    /// What the owner of a key asks for, by the mix, the tenants and the keys of the population.
    #[inline(never)]
    fn wish(&mut self, now: SimTime, client: u32, key: u64) -> Wish {
        let settings = self.sources[client as usize].settings;
        let request = pick(&settings.mix, |(sum, _)| *sum, mix(key, MIX));
        let shares = &self.sources[client as usize].tenants;
        let tenant = match shares.is_empty() {
            true => pick(&settings.tenants, |(sum, _)| *sum, mix(key, TENANT)),
            false => pick(shares, |sum| *sum, mix(key, TENANT)),
        };
        let priority = settings.tenants.get(tenant).map_or(settings.priority, |(_, p)| *p);
        let route = match settings.sites.get(request) {
            Some(Some((site, routes))) => routes[self.region_of(now, *site, key)],
            _ => settings.mix[request].1,
        };
        let numbers = &self.model.clients[client as usize].tenant_numbers;
        Wish {
            request: request as u32,
            route,
            tenant: tenant as u32,
            tenant_number: numbers.get(tenant).copied().unwrap_or(0),
            priority,
            key: settings.keys.as_ref().map(|keys| keys.pick(uniform_of(mix(key, KEY)))),
        }
    }

    /// A request beside those that the population's arrivals make.
    pub(super) fn send_extra(&mut self, now: SimTime, client: u32, key: u64) {
        let key = mix(self.sources[client as usize].key, key);
        self.send(now, client, NO_USER, key, mix(key, AFFINITY));
    }

    /// Every user who thinks asks after `wait` at the latest.
    pub(super) fn hurry_users(&mut self, now: SimTime, client: u32, wait: impl Fn(u32) -> SimDuration) {
        for user in 0..self.sources[client as usize].users {
            let at = now + wait(user);
            let due = &mut self.sources[client as usize].due[user as usize];
            if *due != SimTime::NEVER && at < *due {
                *due = at;
                self.queue.schedule(at, Rank::Arrival, Event::Think { client, user });
            }
        }
    }

    /// Spikes have begun, ended or changed: the product of what strikes now, rather than a division that leaves a rest.
    pub(super) fn respike(&mut self, now: SimTime, client: u32) {
        let (mut spike, mut tenants) = (1.0, Vec::new());
        let settings = &self.settings().clients[client as usize];
        for fault in &self.lasting {
            let strength = self.strength(*fault);
            match &self.script.faults[*fault as usize].effect {
                Effect::Spike { client: c, factor } if *c == client => spike *= eased(1.0, *factor, strength),
                Effect::Tenant { client: c, tenant, factor } if *c == client => {
                    if tenants.is_empty() {
                        let before = std::iter::once(0.0).chain(settings.tenants.iter().map(|t| t.0));
                        tenants.extend(before.zip(&settings.tenants).map(|(before, t)| t.0 - before));
                    }
                    if let Some(share) = tenants.get_mut(*tenant as usize) {
                        *share *= eased(1.0, *factor, strength);
                    }
                }
                _ => {}
            }
        }
        if !tenants.is_empty() {
            let total: f64 = tenants.iter().sum();
            spike *= total;
            let mut sum = 0.0;
            for share in &mut tenants {
                sum += *share;
                *share = if total > 0.0 { sum / total } else { 1.0 };
            }
        }
        let source = &mut self.sources[client as usize];
        (source.spike, source.tenants) = (spike, tenants);
        source.settle_gap();
        self.rescheduled(now, client);
    }

    /// Settings changed: a spike of a tenant goes on with the shares that tenants have now.
    pub(super) fn reconfigure_tenants(&mut self, now: SimTime, client: u32) {
        if !self.sources[client as usize].tenants.is_empty() {
            self.respike(now, client);
        }
    }

    /// Takes note of a completion in the run's fingerprint.
    #[inline]
    pub(super) fn stamp(&mut self, now: SimTime, what: u64, outcome: Outcome) {
        self.fingerprint = mix(self.fingerprint ^ now.ns(), (what << 3) | outcome as u64);
    }

    /// A request has its answer, or the client has given up.
    #[inline(always)]
    pub(super) fn end_request(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(&Frame { kind: Kind::Request(request), .. }) = self.frames.free(id) else { return };
        if let Some(first) = self.model.catalog.wrong_answers
            && outcome.is_success()
            && self.wrong.get(id)
        {
            self.observer.count(first + request.client);
        }
        self.request_ended(now, request, outcome);
    }

    /// The same for a plain request, of which an execution was all there was.
    #[inline(always)]
    pub(super) fn plain_request_ended(
        &mut self,
        now: SimTime,
        client: u32,
        (at, key): (SimTime, u64),
        outcome: Outcome,
    ) {
        let Some(plain) = self.sources[client as usize].plain else {
            // Settings have changed since it was sent.
            return self.request_ended(now, plain_request(client, at, key), outcome);
        };
        let timer = plain.ended + u32::from(!outcome.is_success());
        self.observer.outcome_apart(plain.requests, timer, outcome, now.since(at));
        self.end_tally(now, client, plain.in_flight, (key, outcome));
    }

    /// A request is in flight from now on.
    #[inline(always)]
    fn begin_tally(&mut self, now: SimTime, client: u32, in_flight: u32) {
        self.observer.moved(now, in_flight, 1);
        let tally = &mut self.tallies[client as usize];
        tally.sent += 1;
        tally.in_flight += 1;
    }

    /// A request is no longer in flight.
    #[inline(always)]
    fn end_tally(&mut self, now: SimTime, client: u32, in_flight: u32, (key, outcome): (u64, Outcome)) {
        self.observer.moved(now, in_flight, -1);
        let tally = &mut self.tallies[client as usize];
        tally.in_flight -= 1;
        tally.ended[outcome as usize] += 1;
        debug_assert!(tally.is_conserved());
        self.stamp(now, key, outcome);
    }

    /// The same for a request whatever stands for it.
    fn request_ended(&mut self, now: SimTime, request: Request, outcome: Outcome) {
        let client = request.client;
        let meters = self.model.catalog.clients[client as usize];
        let latency = now.since(request.at);
        let timer = meters.ended + 2 * request.request + u32::from(!outcome.is_success());
        self.observer.outcome_apart(meters.requests + request.request, timer, outcome, latency);
        let settings = self.sources[client as usize].settings;
        if !settings.tenants.is_empty() {
            self.observer.outcome(meters.tenants + request.tenant, outcome, latency);
        }
        if meters.has_edges {
            self.observer.outcome(self.model.routes[request.route as usize].red, outcome, latency);
        }
        if outcome.is_success() && self.model.costs.has_answers {
            self.pay_delivery(&request);
        }
        self.end_tally(now, client, meters.in_flight, (request.key, outcome));
        if request.user == NO_USER {
            return;
        }
        if matches!(settings.arrivals, Arrivals::Users { .. }) {
            self.think(now, client, request.user, request.key);
        } else {
            // Users come back if the population is one of users again.
            self.sources[client as usize].paused.insert(request.user);
        }
    }
}

/// The position of the first entry whose cumulative share exceeds the number that `key` stands for.
#[inline]
fn pick<T>(entries: &[T], sum: impl Fn(&T) -> f64, key: u64) -> usize {
    if entries.len() <= 1 {
        return 0;
    }
    let u = uniform_of(key);
    entries.iter().position(|e| u < sum(e)).unwrap_or(entries.len() - 1)
}

/// What plain requests of a population have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    route: u32,
    priority: u8,
    /// Where its own timeout waits, if it has one.
    timeout: Option<LaneId>,
    /// Meters.
    requests: u32,
    ended: u32,
    in_flight: u32,
}

impl Plain {
    /// What the requests of a population are, unless they have more around them than their own timeout.
    fn of(
        model: &Model,
        meters: &ClientMeters,
        settings: &Client,
        queue: &mut EventQueue<Event>,
    ) -> Option<Self> {
        let route = settings.mix.first()?.1;
        let layers = &model.routes[route as usize].layers;
        let timeout = own_timeout(model, layers);
        if layers.len() > usize::from(timeout.is_some()) {
            return None;
        }
        let timeout = timeout.map(|limit| queue.lane(limit, Rank::Timer));
        let ClientMeters { requests, ended, in_flight, .. } = *meters;
        Some(Self { route, priority: settings.priority, timeout, requests, ended, in_flight })
    }
}

/// A request of which a population makes no others.
#[inline(always)]
pub(super) fn plain_request(client: u32, at: SimTime, key: u64) -> Request {
    Request { client, request: 0, tenant: 0, user: NO_USER, at, key, route: u32::MAX }
}

/// The time after which a client gives up on a request with these layers, if the outermost is a timeout that leaves
/// the work to go on.
#[inline]
fn own_timeout(model: &Model, layers: &Range<u32>) -> Option<SimDuration> {
    if layers.is_empty() {
        return None;
    }
    match &model.layers[layers.start as usize].kind {
        LayerKind::Timeout { limit, cancel: false } => Some(*limit),
        _ => None,
    }
}

#[inline(always)]
fn exponential(mean: f64, rng: &mut Rng) -> SimDuration {
    SimDuration::from_seconds(-mean * libm::log(rng.uniform()))
}

/// Whether a candidate of a thinned Poisson process is a request (Lewis and Shedler 1979).
#[inline]
fn is_accepted(settings: &Client, source: &mut Source, now: SimTime) -> bool {
    let share = match &settings.arrivals {
        Arrivals::Rates(points) => {
            line(points, now.seconds()) / highest(points) * settings.profile.at(now) / settings.profile.max()
        }
        Arrivals::Poisson(_) | Arrivals::Mmpp(_) | Arrivals::Batches { .. }
            if !settings.profile.is_constant() =>
        {
            settings.profile.at(now) / settings.profile.max()
        }
        _ => return true,
    };
    source.rng.chance(share)
}

fn highest(points: &[(f64, f64)]) -> f64 {
    points.iter().fold(0.0, |m, (_, rate)| f64::max(m, *rate))
}

/// When the next request (or candidate for one) comes; `None` if none comes any more.
#[inline]
fn next_arrival(settings: &Client, source: &mut Source, now: SimTime, end: SimTime) -> Option<SimTime> {
    let bound = settings.profile.max() * source.spike;
    let poisson =
        |rate: f64, source: &mut Source| (rate > 0.0).then(|| now + exponential(1.0 / rate, &mut source.rng));
    match &settings.arrivals {
        Arrivals::Poisson(rate) => poisson(rate * bound, source),
        Arrivals::Batches { rate, .. } => poisson(rate * bound, source),
        Arrivals::Mmpp(states) => poisson(states[source.state].0 * bound, source),
        Arrivals::Rates(points) => poisson(highest(points) * bound, source),
        Arrivals::Renewal(dist) => {
            let gap = dist.sample(&mut source.rng);
            stretched(settings, now, gap, end)
        }
        Arrivals::Times(times) => {
            let number = source.counted as usize;
            source.counted += 1;
            let at = *times.get(number)?;
            if settings.profile.is_constant() {
                return Some(at.max(now));
            }
            let before = number.checked_sub(1).map_or(SimTime::ZERO, |n| times[n]);
            stretched(settings, now, at.since(before).seconds(), end)
        }
        Arrivals::Regular(rate) if settings.profile.is_constant() => {
            let rate = rate * source.spike;
            if rate <= 0.0 {
                return None;
            }
            // Counted from a base, so that rounding to nanoseconds does not add up.
            source.counted += 1;
            Some(source.base + SimDuration::from_seconds((source.counted as f64 - 0.5) / rate))
        }
        Arrivals::Regular(rate) => {
            let amount = if source.counted == 0 { 0.5 } else { 1.0 };
            source.counted += 1;
            integrate(settings, rate * source.spike, now, amount, end)
        }
        Arrivals::Users { .. } => None,
    }
}

/// When a gap of so many seconds is over, of which a profile makes so many in a second: at a factor of 2 a record is
/// played twice as fast.
fn stretched(settings: &Client, now: SimTime, gap: f64, end: SimTime) -> Option<SimTime> {
    if settings.profile.is_constant() || gap <= 0.0 {
        return Some(now + SimDuration::from_seconds(gap));
    }
    integrate(settings, 1.0, now, gap, end)
}

/// When the integral of a changing rate has grown by `amount`: trapezoids of an eighth of that each, none of which
/// reaches over a jump or a corner of the profile.
fn integrate(settings: &Client, rate: f64, now: SimTime, amount: f64, end: SimTime) -> Option<SimTime> {
    let profile = &settings.profile;
    let mut at = now;
    let mut left = amount;
    while at < end {
        let here = rate * profile.at(at);
        let step = if here > 0.0 { (amount / (REGULAR_STEPS * here)).min(0.1) } else { 0.01 };
        let next = at + SimDuration::from_seconds(step).max(SimDuration::from_ns(1));
        let next = profile.corner(at).filter(|corner| *corner > at).map_or(next, |corner| corner.min(next));
        let grown = (here + rate * profile.before(next)) / 2.0 * next.since(at).seconds();
        if grown >= left {
            return Some(at + next.since(at).scaled(left / grown));
        }
        left -= grown;
        at = next;
    }
    None
}
