//! Where a call goes: balancers choose among targets, direct calls among the instances that run.

use super::endings::Sent;
use super::event::Event;
use super::frame::{Call, Frame, Kind, NO_BALANCER};
use super::instances::{Arrival, Condition};
use super::minds::Mind;
use super::{FrameId, Task, World};
use crate::base::{Outcome, Rng, SimDuration, SimTime, Streams, mix, salt, uniform_of};
use crate::components::balancer::sticky::Sticky;
use crate::components::balancer::{Balancer, PolicyConfig};
use crate::components::health::{Health, TargetHealth};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{Balancer as BalancerSettings, Callee, Epoch, GroupShape, Model, Route, ZoneRouting};

/// The salt of the shard that a key belongs to.
const SHARD: u64 = 0x5ba4d;

/// A balancer and what it believes.
#[derive(Debug)]
pub(super) struct BalancerState {
    /// The policy and its targets.
    pub policy: Balancer,
    /// What is believed of each target, by checks.
    pub health: Vec<Health>,
    /// Which targets are registered.
    pub registered: Vec<bool>,
    /// The generation of the schedule of checks: raised to drop what is scheduled.
    pub generation: u32,
    /// The key of the checks' random numbers.
    pub key: u64,
    /// What it believes in a way of its product's own.
    pub mind: Mind,
    /// How many targets are registered.
    pub members: u32,
    /// Whether the next check of a target is on its way, where the answer to one brings the next.
    pub is_checking: Vec<bool>,
    /// Which targets are believed healthy.
    believed: Vec<bool>,
    /// How many those are.
    healthy: u32,
    /// Whether it sends to all since it believes none healthy, or too few.
    pub is_open: bool,
    /// Who sticks to which target.
    pub sticky: Sticky,
    /// What the next choice draws from.
    pub rng: Rng,
    /// Whether the policy draws.
    pub is_random: bool,
    /// The salt of a request's draws here.
    pub salt: u64,
    /// Whether a request only ever asks the policy: no sessions, zones, slow starts or second version, and never a
    /// product that watches tries. Nearly all are so, and skip what the others have.
    is_plain: bool,
    /// Whether the product watches tries, or did before.
    has_watched: bool,
    /// What a request through a plain one needs to know.
    idle_timeout: Option<SimDuration>,
    /// Its first target.
    first: u32,
    /// Meters.
    red: u32,
    /// Red of what its targets answer, less the number of the endpoint.
    pub sent: u32,
    in_flight: u32,
    /// The same policy for the targets of a version that has a share of the requests of its own.
    pub second: Option<Box<Balancer>>,
}

/// Who answers direct calls to a group.
#[derive(Debug)]
pub(super) struct GroupState {
    /// Round robin over the instances that run.
    pub discovery: Balancer,
    /// The same for a version that has a share of the calls of its own.
    pub second: Option<Box<Balancer>>,
    /// Connections open (databases).
    pub connections: u32,
    /// Clients of the proxy in front (databases).
    pub clients: u32,
    /// The pool of the proxy in front (databases).
    pub pooler: Option<u32>,
    /// How many instances there should be.
    pub wanted: u32,
    /// Whether its instances are not at the first places: a zone was lost when they came.
    pub is_scattered: bool,
}

impl GroupState {
    pub fn all(model: &Model, epoch: &Epoch) -> Vec<Self> {
        let make = |capacity: u32, wanted: u32| {
            let weights = vec![1; capacity as usize];
            let discovery = Balancer::new(PolicyConfig::RoundRobin, &weights);
            Self {
                discovery,
                second: None,
                connections: 0,
                clients: 0,
                pooler: None,
                wanted,
                is_scattered: false,
            }
        };
        model.groups.iter().zip(&epoch.groups).map(|(g, s)| make(g.capacity, s.replicas)).collect()
    }
}

fn is_random(policy: &PolicyConfig) -> bool {
    !matches!(
        policy,
        PolicyConfig::RoundRobin
            | PolicyConfig::WeightedRoundRobin
            | PolicyConfig::RingHash { .. }
            | PolicyConfig::HaproxyRoundRobin
            | PolicyConfig::LeastConn
            | PolicyConfig::NginxLeastConn
            | PolicyConfig::Maglev { .. }
            | PolicyConfig::HaproxyHash { .. }
    )
}

/// The weights of all targets that a balancer may ever have.
pub(super) fn weights(given: &[u32], capacity: u32) -> Vec<u32> {
    (0..capacity as usize).map(|i| given.get(i).copied().unwrap_or(1)).collect()
}

/// Gives a balancer the zones of its targets, if it minds them.
fn set_zones(policy: &mut Balancer, group: &GroupShape, routing: ZoneRouting) {
    let zones = group.zones.len() as u32;
    let of: Vec<u32> = (0..group.capacity).map(|target| target % zones.max(1)).collect();
    policy.set_zones((routing != ZoneRouting::CrossZone && zones > 0).then_some((of.as_slice(), zones)));
}

impl BalancerState {
    /// Whether it believes a target healthy.
    pub fn has_healthy(&self) -> bool {
        self.healthy > 0
    }

    pub fn all(model: &Model, epoch: &Epoch, streams: Streams) -> Vec<Self> {
        let make = |index: usize| {
            let shape = &model.balancers[index];
            let settings = &epoch.balancers[index];
            let group = &model.groups[shape.group as usize];
            let capacity = group.capacity as usize;
            let initial = settings.check.as_ref().map_or(TargetHealth::Healthy, |c| c.initial);
            let path = format!("balancers.{}", shape.name);
            let mut policy = Balancer::new(settings.policy, &weights(&settings.weights, group.capacity));
            // Who is there joins when the run begins.
            (0..group.capacity).for_each(|target| policy.set_eligible(target, false));
            policy.set_slow_start(settings.slow_start);
            set_zones(&mut policy, group, settings.zone_routing);
            Self {
                policy,
                health: vec![Health::new(initial); capacity],
                registered: vec![false; capacity],
                generation: 0,
                key: streams.key(&path, "checks"),
                believed: vec![false; capacity],
                healthy: 0,
                is_open: false,
                sticky: Sticky::default(),
                rng: Rng::from_seed(0),
                is_random: is_random(&settings.policy),
                salt: salt(&path),
                mind: Mind::new(settings, capacity, streams.stream(&path, "product")),
                members: 0,
                is_checking: vec![false; capacity],
                second: None,
                is_plain: false,
                has_watched: false,
                idle_timeout: None,
                first: group.first,
                red: model.catalog.balancers[index].red,
                sent: model.catalog.balancers[index].sent,
                in_flight: model.catalog.balancers[index].in_flight,
            }
        };
        let mut all: Vec<Self> = (0..model.balancers.len()).map(make).collect();
        for (index, state) in all.iter_mut().enumerate() {
            state.note_settings(&epoch.balancers[index], model, index);
        }
        all
    }

    /// Takes note of what settings say of each request; to be called whenever they or its versions change.
    pub fn note_settings(&mut self, settings: &BalancerSettings, model: &Model, index: usize) {
        self.is_random = is_random(&settings.policy);
        self.has_watched |= settings.product.watches();
        self.idle_timeout = settings.idle_timeout;
        self.is_plain = !self.has_watched
            && self.second.is_none()
            && settings.stickiness.is_none()
            && settings.slow_start.is_none()
            && matches!(settings.zone_routing, ZoneRouting::CrossZone)
            && model.catalog.balancers[index].balancing.zones.is_none();
    }
}

impl<O: Observer> World<'_, O> {
    /// Sends a call to a target.
    #[inline(always)]
    pub(super) fn route(&mut self, now: SimTime, route: &Route, call: &Call, parent: FrameId) {
        self.observer.count(route.attempts);
        let endpoint = route.endpoint;
        match route.callee {
            Callee::Balancer(balancer) => {
                if !self.net.has_wires || !self.wire_to_balancer(now, call, parent, balancer, endpoint) {
                    self.balance(now, call, parent, balancer, endpoint);
                }
            }
            Callee::Group(group) => {
                let first = self.model.groups[group as usize].first;
                let shape = &self.model.groups[group as usize];
                let picked = if shape.is_sharded {
                    let key = if call.is_keyed { u64::from(call.affinity) } else { call.key };
                    let shard = (uniform_of(mix(key, SHARD)) * f64::from(shape.capacity)) as u32;
                    self.groups[group as usize].discovery.is_eligible(shard).then_some(shard)
                } else {
                    self.pick_direct(group, call.key)
                };
                match picked.or_else(|| self.activated(now, group)) {
                    Some(target) => {
                        let arrival = Arrival {
                            parent,
                            instance: first + target,
                            endpoint,
                            balancer: NO_BALANCER,
                            measures_balancer: false,
                            is_check: false,
                        };
                        self.deliver(now, arrival, call, NO_BALANCER);
                    }
                    None => {
                        let parent = self.framed(now, parent, call);
                        self.tasks.push_back(Task::Up(parent, Outcome::Unavailable));
                    }
                }
            }
        }
    }

    /// A call comes to a balancer. Nearly every one is plain.
    #[inline(always)]
    pub(super) fn balance(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        balancer: u32,
        endpoint: u32,
    ) {
        let state = &mut self.balancers[balancer as usize];
        self.observer.arrival(state.red);
        if !state.is_plain {
            let parent = self.framed(now, parent, call);
            return self.balance_with_care(now, call, parent, balancer, endpoint);
        }
        let draws = state.is_random.then(|| mix(call.key, state.salt));
        match state.policy.pick_at(now, draws, u64::from(call.affinity)) {
            Some(target) => {
                state.policy.on_start(target);
                self.send_to_target(now, call, parent, (balancer, target, endpoint));
            }
            None => self.balance_to_nobody(now, call, parent, balancer, endpoint),
        }
    }

    #[inline(never)]
    fn balance_with_care(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        balancer: u32,
        endpoint: u32,
    ) {
        if self.settings().balancers[balancer as usize].product.watches() {
            return self.enter_balanced(now, *call, parent, balancer);
        }
        match self.choose(now, balancer, call, parent) {
            Some(target) => {
                self.balancers[balancer as usize].on_start(target);
                self.send_to_target(now, call, parent, (balancer, target, endpoint));
            }
            None => self.balance_to_nobody(now, call, parent, balancer, endpoint),
        }
    }

    /// There is no target, unless one is started by the request itself.
    #[cold]
    fn balance_to_nobody(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        balancer: u32,
        endpoint: u32,
    ) {
        let parent = self.framed(now, parent, call);
        let group = self.model.balancers[balancer as usize].group;
        let Some(target) = self.activated(now, group) else {
            let meters = &self.model.catalog.balancers[balancer as usize];
            self.observer.outcome(meters.red, Outcome::Unavailable, now.since(now));
            self.observer.count(meters.http_503);
            self.tasks.push_back(Task::Up(parent, Outcome::Unavailable));
            return;
        };
        self.balancers[balancer as usize].on_start(target);
        self.send_to_target(now, call, parent, (balancer, target, endpoint));
    }

    /// Sends a request to the target that counts it.
    #[inline(always)]
    fn send_to_target(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        (balancer, target, endpoint): (u32, u32, u32),
    ) {
        let state = &self.balancers[balancer as usize];
        let (limit, instance) = (state.idle_timeout, state.first + target);
        if state.is_open {
            self.observer.count(self.model.catalog.balancers[balancer as usize].failed_open);
        }
        self.observer.moved(now, state.in_flight, 1);
        let mut parent = parent;
        if let Some(limit) = limit {
            let above = self.framed(now, parent, call);
            parent = self.push_frame(Frame::new(above, Kind::Attempt { balancer, at: now }));
            self.after(limit, Rank::Timer, Event::Timer(parent));
        }
        let arrival = Arrival {
            parent,
            instance,
            endpoint,
            balancer,
            measures_balancer: limit.is_none(),
            is_check: false,
        };
        self.deliver(now, arrival, call, balancer);
    }

    /// A balancer's request ends at an instance.
    #[inline(always)]
    pub(super) fn ends_behind_balancer(&mut self, now: SimTime, parent: FrameId, call: Sent) {
        let state = &mut self.balancers[call.balancer as usize];
        if state.is_plain {
            let target = call.instance - state.first;
            state.policy.on_answer(now, target, u64::from(call.affinity), now.since(call.at));
            self.observer.moved(now, state.in_flight, -1);
            if call.outcome == Outcome::Error {
                self.note_broken(call);
            }
        } else {
            self.give_back(call.balancer, call.instance, call.affinity);
            self.end_at_balancer(now, call.balancer, call.instance, call.at);
            self.note_ending(parent, call);
        }
    }

    /// An attempt ends, by its answer or by the balancer's patience.
    pub(super) fn end_attempt(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(Frame { kind: Kind::Attempt { balancer, at }, child, .. }) = self.frames.remove(id) else {
            return;
        };
        let meters = self.model.catalog.balancers[balancer as usize];
        self.observer.outcome(meters.red, outcome, now.since(at));
        // Its answer would have ended the execution below first.
        if outcome == Outcome::Timeout && self.frames.get(child).is_some() {
            self.observer.count(meters.http_504);
        }
        // If the execution below still runs, the balancer stops counting it.
        if let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(child) {
            let (instance, affinity) = (exec.instance, exec.affinity);
            exec.balancer = NO_BALANCER;
            self.give_back(balancer, instance, affinity);
            self.end_at_balancer(now, balancer, instance, at);
        } else {
            self.detach_wire(now, child);
        }
    }

    /// The connection that a balancer's request went over is idle again.
    pub(super) fn give_back(&mut self, balancer: u32, instance: u32, affinity: u32) {
        let group = self.model.balancers[balancer as usize].group;
        let target = instance - self.model.groups[group as usize].first;
        self.balancers[balancer as usize].policy.give_back(target, u64::from(affinity));
    }

    /// A balancer's request to an instance, sent at `at`, is over.
    pub(super) fn end_at_balancer(&mut self, now: SimTime, balancer: u32, instance: u32, at: SimTime) {
        let group = self.model.balancers[balancer as usize].group;
        let target = instance - self.model.groups[group as usize].first;
        self.balancers[balancer as usize].on_end(now, target, now.since(at));
        self.observer.moved(now, self.model.catalog.balancers[balancer as usize].in_flight, -1);
        self.haproxy_serves(now, balancer, target);
    }

    // ---- what balancers believe ----

    pub(super) fn is_believed(&self, balancer: u32, target: u32) -> bool {
        let state = &self.balancers[balancer as usize];
        let has_checks = self.settings().balancers[balancer as usize].check.is_some();
        state.registered[target as usize]
            && match &state.mind {
                Mind::Alb => !has_checks || state.health[target as usize].state() == TargetHealth::Healthy,
                Mind::Envoy(envoy) => envoy.is_applied(target),
                Mind::Nginx(nginx) => !nginx.is_out(target),
                Mind::Haproxy(haproxy) => {
                    haproxy.is_up(&self.settings().balancers[balancer as usize].product, target)
                }
            }
    }

    /// Registers a target, or takes it out.
    pub(super) fn register(&mut self, now: SimTime, balancer: u32, target: u32, registered: bool) {
        let state = &mut self.balancers[balancer as usize];
        if state.registered[target as usize] == registered {
            return;
        }
        state.registered[target as usize] = registered;
        state.members = if registered { state.members + 1 } else { state.members - 1 };
        let meters = self.model.catalog.balancers[balancer as usize];
        self.observer.moved(now, meters.targets, if registered { 1 } else { -1 });
        self.registered_in_mind(now, balancer, target, registered);
        self.believe(now, balancer, target);
        self.haproxy_turned(now, balancer, target);
    }

    /// Takes note of what is believed of a target now.
    pub(super) fn believe(&mut self, now: SimTime, balancer: u32, target: u32) {
        let is = self.is_believed(balancer, target);
        let believed = &mut self.balancers[balancer as usize].believed[target as usize];
        let was = std::mem::replace(believed, is);
        let settings = &self.settings().balancers[balancer as usize];
        let meters = self.model.catalog.balancers[balancer as usize];
        if is != was {
            self.observer.moved(now, meters.healthy, if is { 1 } else { -1 });
            // Who is there when the run begins is there for long.
            if is && now > SimTime::ZERO {
                let able = |state: &mut BalancerState| {
                    let healthy = state.healthy;
                    state.each_policy(|policy| policy.on_able(now, target, healthy));
                };
                self.with_slow_starts(now, balancer, able);
            } else if !is {
                self.with_slow_starts(now, balancer, |state| {
                    state.each_policy(|policy| policy.on_unable(target));
                });
            }
        }
        let state = &mut self.balancers[balancer as usize];
        state.healthy = (state.healthy + u32::from(is && !was)) - u32::from(was && !is);
        let open = settings.opens(state.healthy, state.members);
        if open != state.is_open {
            state.is_open = open;
            self.reset_eligible(balancer);
            if open {
                self.note(now, Change::FailedOpen { balancer });
            }
        } else if open {
            let registered = state.registered[target as usize];
            self.let_in(balancer, target, registered && settings.sends_when_open());
        } else {
            self.let_in(balancer, target, is);
        }
        if is != was {
            self.fleet_moved(self.model.balancers[balancer as usize].group);
        }
    }

    /// Makes those targets eligible that are believed healthy, or registered if it is open.
    pub(super) fn reset_eligible(&mut self, balancer: u32) {
        let sends = self.settings().balancers[balancer as usize].sends_when_open();
        for target in 0..self.balancers[balancer as usize].registered.len() as u32 {
            let believed = self.is_believed(balancer, target);
            let state = &self.balancers[balancer as usize];
            let anyone = state.registered[target as usize] && sends;
            self.let_in(balancer, target, if state.is_open { anyone } else { believed });
        }
    }

    /// Whether some balancer in front of an instance believes it unhealthy.
    pub(super) fn is_doubted(&self, group: u32, target: u32) -> bool {
        let balancers = self.model.balancers.iter().enumerate().filter(|(_, b)| b.group == group);
        balancers
            .map(|(index, _)| index as u32)
            .any(|b| self.balancers[b as usize].registered[target as usize] && !self.is_believed(b, target))
    }

    /// An instance joins its balancers and direct calls; balancers have yet to check it, unless it is there from
    /// the start.
    pub(super) fn join(&mut self, now: SimTime, instance: u32, from_start: bool) {
        self.count_ready(now, instance);
        if self.instances[instance as usize].pod.unready || self.is_drained(instance) {
            return;
        }
        let (group, target) = self.place_of(instance);
        self.let_in_direct(group, target, true);
        for balancer in 0..self.model.balancers.len() as u32 {
            if self.model.balancers[balancer as usize].group != group {
                continue;
            }
            // Who never left keeps what is believed of it.
            let is_new = !self.balancers[balancer as usize].registered[target as usize];
            self.balancers[balancer as usize].mind.joins(target, from_start);
            if is_new && !from_start && self.settings().balancers[balancer as usize].check.is_some() {
                self.balancers[balancer as usize].health[target as usize] =
                    Health::new(TargetHealth::Initial);
            }
            self.register(now, balancer, target, true);
        }
    }

    /// An instance leaves its balancers.
    pub(super) fn leave_balancers(&mut self, now: SimTime, instance: u32) {
        let (group, target) = self.place_of(instance);
        for balancer in 0..self.model.balancers.len() as u32 {
            if self.model.balancers[balancer as usize].group == group {
                self.register(now, balancer, target, false);
            }
        }
    }

    /// Whether direct calls may go to an instance: it runs and is not being taken out.
    pub(super) fn discover(&mut self, instance: u32) {
        let (group, target) = self.place_of(instance);
        let state = &self.instances[instance as usize];
        let runs = state.condition == Condition::Up && !state.pod.unready || state.pod.lingers;
        let asked = runs && !self.is_drained(instance);
        self.let_in_direct(group, target, asked);
        self.fleet_moved(group);
    }

    /// New settings for all balancers.
    pub(super) fn reconfigure_balancers(&mut self, now: SimTime) {
        for balancer in 0..self.model.balancers.len() as u32 {
            let settings = &self.settings().balancers[balancer as usize];
            let group = self.model.balancers[balancer as usize].group;
            let capacity = self.model.groups[group as usize].capacity;
            let state = &mut self.balancers[balancer as usize];
            state.note_settings(settings, self.model, balancer as usize);
            state.each_policy(|policy| {
                policy.reconfigure(settings.policy, &weights(&settings.weights, capacity));
                set_zones(policy, &self.model.groups[group as usize], settings.zone_routing);
            });
            if settings.stickiness.is_none() {
                state.sticky.clear();
            }
            self.with_slow_starts(now, balancer, |state| {
                state.each_policy(|policy| policy.set_slow_start(settings.slow_start));
            });
            self.restart_checks(balancer);
            self.reconfigure_mind(now, balancer);
            // Belief may hang on settings that changed: count anew.
            self.believe_all(now, balancer);
            self.reschedule_checks(now, balancer);
            (0..capacity).for_each(|target| self.haproxy_turned(now, balancer, target));
        }
    }

    /// Takes note of what is believed of all targets now, at once.
    pub(super) fn believe_all(&mut self, now: SimTime, balancer: u32) {
        let settings = &self.settings().balancers[balancer as usize];
        let mut healthy = 0;
        for target in 0..self.balancers[balancer as usize].registered.len() as u32 {
            let is = self.is_believed(balancer, target);
            healthy += u32::from(is);
            self.balancers[balancer as usize].believed[target as usize] = is;
        }
        let state = &mut self.balancers[balancer as usize];
        let before = std::mem::replace(&mut state.healthy, healthy);
        let was_open = std::mem::replace(&mut state.is_open, settings.opens(healthy, state.members));
        if state.is_open && !was_open {
            self.note(now, Change::FailedOpen { balancer });
        }
        let meters = self.model.catalog.balancers[balancer as usize];
        self.observer.moved(now, meters.healthy, i64::from(healthy) - i64::from(before));
        self.reset_eligible(balancer);
    }

    /// The group of an instance and its number there.
    pub(super) fn place_of(&self, instance: u32) -> (u32, u32) {
        let group = self.instances[instance as usize].group;
        (group, instance - self.model.groups[group as usize].first)
    }
}
