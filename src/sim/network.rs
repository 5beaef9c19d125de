//! Faults of the network and of dependencies: who is cut off from whom, and what that does to replicas, queues and
//! new connections. What it does to calls under way is in `wires.rs`.

use super::frame::{Call, Frame, Kind};
use super::layers::sample;
use super::script::network::{NetBlow, NetFault, Party};
use super::script::{Effect, Script, Which};
use super::{FrameId, Task, World};
use crate::base::{Outcome, Rng, SimDuration, SimTime, mix, uniform_of};
use crate::components::pool::ConnId;
use crate::components::rate_limit::{Admission, CallRate, RateLimitConfig, RateLimiter};
use crate::components::tcp::{SynRetries, backed_off};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::balancers::Product;
use crate::model::{Callee, Caller, Connect, Draw, LayerKind, Model};

use super::event::Event;

/// How often one message can be lost.
const LOSSES_MAX: u32 = 15;
/// The salt of messages to the callee, of messages back, and of what is no message of a call.
pub(super) const THERE: u64 = 0;
pub(super) const BACK: u64 = 1;
const JITTER: u64 = 2;
const READS: u64 = 3;
const SYN: u64 = 16;

/// No instance of its party in particular.
pub(super) const ANY: u32 = u32::MAX;

/// An end of a way over the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub party: Party,
    /// Which of its instances, or `ANY`.
    pub instance: u32,
}

/// A fault of the network that lasts.
#[derive(Debug)]
struct Lasting {
    fault: u32,
    /// The instances struck, in order; `None` for all of them.
    struck: Option<Vec<u32>>,
    /// Those that another server has taken the place of since.
    spared: Vec<u32>,
}

/// What the world keeps of the network's faults.
#[derive(Debug)]
pub(super) struct NetState {
    /// Whether any fault of this kind is in the script.
    pub is_used: bool,
    /// Whether any strikes messages.
    pub has_wires: bool,
    /// Whether any makes answers wrong.
    pub taints: bool,
    lasting: Vec<Lasting>,
    throttles: Vec<(u32, RateLimiter<FrameId>)>,
    /// Programs that cannot reach their queue: since when, and which queue.
    publishers: Vec<(SimTime, u32, FrameId)>,
    /// Consumers that are cut off.
    consumers: Vec<(u32, u32)>,
    /// Connections of pools whose SYNs are lost: since when, and how many.
    syns: Vec<(u32, ConnId, SimTime, u32)>,
    /// The edges of `Connect` layers' states.
    connect_edges: Vec<u32>,
    /// The edge of each pool and the calling instance, counted within its group, if it is one's own.
    pool_edges: Vec<(u32, Option<u32>)>,
    /// Whether what the cache of each fallback keeps is wrong.
    kept: Vec<bool>,
}

impl NetState {
    pub fn new(model: &Model, script: &Script) -> Self {
        let faults = || {
            script.faults.iter().filter_map(|fault| match &fault.effect {
                Effect::Net(net) => Some(net),
                _ => None,
            })
        };
        let is_used = faults().next().is_some();
        let (mut connect_edges, mut pool_edges) = (Vec::new(), Vec::new());
        for slot in model.epochs.iter().flat_map(|epoch| &epoch.slots).filter(|_| is_used) {
            let layer = &model.layers[slot.layer as usize];
            for number in slot.first..slot.first + slot.count {
                match &layer.kind {
                    LayerKind::Connect(_) if number as usize == connect_edges.len() => {
                        connect_edges.push(slot.edge);
                    }
                    LayerKind::Pool { .. } if number as usize == pool_edges.len() => {
                        pool_edges.push((slot.edge, (!layer.shared).then_some(number - slot.first)));
                    }
                    _ => {}
                }
            }
        }
        Self {
            is_used,
            has_wires: faults().any(|net| net.how.strikes_messages()),
            taints: faults().any(|net| matches!(net.how, NetBlow::Wrong(_))),
            lasting: Vec::new(),
            throttles: Vec::new(),
            publishers: Vec::new(),
            consumers: Vec::new(),
            syns: Vec::new(),
            connect_edges,
            pool_edges,
            kept: Vec::new(),
        }
    }

    /// Whether some fault tells those whom it turns away when to come again.
    pub fn tells(script: &Script) -> bool {
        let tells = |net: &NetFault| matches!(net.how, NetBlow::Throttle { retry_after: Some(_), .. });
        script.faults.iter().any(|f| matches!(&f.effect, Effect::Net(net) if tells(net)))
    }
}

/// Whether a fault strikes a message on the way between two ends, as far as parties go.
fn joins(f: &NetFault, caller: Party, callee: Party, to_callee: bool) -> bool {
    let (both, is_partition) = match f.how {
        NetBlow::Partition { both } => (both, true),
        NetBlow::Latency { both, .. } | NetBlow::Loss { both, .. } => (both, false),
        _ => (false, false),
    };
    let (sender, receiver) = if to_callee { (caller, callee) } else { (callee, caller) };
    match f.from {
        Some(from) => (from, f.to) == (sender, receiver) || both && (from, f.to) == (receiver, sender),
        None if is_partition => f.to == receiver || both && f.to == sender,
        None => f.to == callee && (to_callee || both),
    }
}

impl Lasting {
    /// Whether the instances of a way are struck.
    fn strikes(&self, f: &NetFault, ends: [End; 2]) -> bool {
        let Some(group) = f.which.0 else { return true };
        let is_struck = |end: &End| {
            end.party != Party::Group(group)
                || end.instance == ANY
                || !self.spared.contains(&end.instance)
                    && self.struck.as_ref().is_none_or(|s| s.binary_search(&end.instance).is_ok())
        };
        ends.iter().all(is_struck)
    }
}

impl<O: Observer> World<'_, O> {
    /// Faults that last, with what each does.
    fn net_faults(&self) -> impl Iterator<Item = (&Lasting, &NetFault)> {
        self.net.lasting.iter().filter_map(|lasting| {
            match &self.script.faults[lasting.fault as usize].effect {
                Effect::Net(net) => Some((lasting, net)),
                _ => None,
            }
        })
    }

    /// A fault of the network begins.
    pub(super) fn begin_net(&mut self, now: SimTime, fault: u32) {
        let script = self.script;
        let described = &script.faults[fault as usize];
        let Effect::Net(f) = &described.effect else { return };
        let struck = match f.which {
            (Some(group), which) if which != Which::All => Some(self.chosen(group, which, &described.name)),
            _ => None,
        };
        self.net.lasting.push(Lasting { fault, struck, spared: Vec::new() });
        match &f.how {
            NetBlow::Throttle { limit: Some((rate, burst)), .. } => {
                let bucket =
                    RateLimitConfig::TokenBucket { rate: CallRate::per_second(*rate), burst: *burst };
                self.net.throttles.push((fault, RateLimiter::new(bucket, now)));
            }
            NetBlow::Partition { .. } => self.cut_begins(now, f),
            _ => {}
        }
    }

    /// A fault of the network ends.
    pub(super) fn end_net(&mut self, now: SimTime, fault: u32) {
        self.net.lasting.retain(|lasting| lasting.fault != fault);
        self.net.throttles.retain(|(of, _)| *of != fault);
        if let Effect::Net(NetFault { how: NetBlow::Partition { .. }, .. }) =
            self.script.faults[fault as usize].effect
        {
            self.cut_ends(now);
        }
    }

    // ---- messages ----

    /// Whether any fault of the run could strike what passes between two parties.
    pub(super) fn may_strike(&self, caller: Party, callee: Party) -> bool {
        let strikes = |f: &NetFault| {
            f.how.strikes_messages() && (joins(f, caller, callee, true) || joins(f, caller, callee, false))
        };
        self.script.faults.iter().any(|f| matches!(&f.effect, Effect::Net(net) if strikes(net)))
    }

    /// How much longer a message takes, repetitions of what is lost included; `None` if it is lost as long as a
    /// partition lasts. `way` is `THERE` or `BACK`.
    pub(super) fn crosses(&self, caller: End, callee: End, way: u64, key: u64) -> Option<SimDuration> {
        let mut delay = SimDuration::ZERO;
        for (lasting, f) in self.net_faults() {
            if !joins(f, caller.party, callee.party, way == THERE) || !lasting.strikes(f, [caller, callee]) {
                continue;
            }
            let key = mix(mix(key, f.salt), way);
            match &f.how {
                NetBlow::Partition { .. } => return None,
                NetBlow::Latency { latency, jitter, .. } => {
                    let spread = (2.0 * uniform_of(mix(key, JITTER)) - 1.0) * jitter;
                    let more = latency.variate(uniform_of(key)) + spread;
                    delay = delay + SimDuration::from_seconds(more.max(0.0));
                }
                NetBlow::Loss { ratio, rto, .. } => {
                    let mut rng = Rng::from_seed(key);
                    let mut losses = 0;
                    while losses < LOSSES_MAX && rng.chance(*ratio) {
                        delay = delay + backed_off(*rto, losses);
                        losses += 1;
                    }
                }
                _ => {}
            }
        }
        Some(delay)
    }

    /// Whether a partition swallows what one end sends, either as a call or as an answer.
    fn is_cut_one_way(&self, sender: End, receiver: End) -> bool {
        self.net_faults().any(|(lasting, f)| {
            matches!(f.how, NetBlow::Partition { .. })
                && joins(f, sender.party, receiver.party, true)
                && lasting.strikes(f, [sender, receiver])
        })
    }

    /// Whether two ends cannot talk with each other.
    pub(super) fn is_cut(&self, one: End, other: End) -> bool {
        self.net.has_wires && (self.is_cut_one_way(one, other) || self.is_cut_one_way(other, one))
    }

    /// Whether a call is reset before it reaches the callee.
    pub(super) fn is_reset(&self, caller: End, callee: End, key: u64) -> bool {
        self.net_faults().any(|(lasting, f)| match f.how {
            NetBlow::Resets(ratio) => {
                joins(f, caller.party, callee.party, true)
                    && lasting.strikes(f, [caller, callee])
                    && uniform_of(mix(key, f.salt)) < ratio
            }
            _ => false,
        })
    }

    /// Where a call comes from.
    pub(super) fn caller_end(&self, call: &Call) -> End {
        let edge = self.model.routes[call.route as usize].edge as usize;
        match self.model.edges[edge].caller {
            Caller::Client(client) => End { party: Party::Client(client), instance: ANY },
            Caller::Group(group) => {
                let instance = self.model.groups[group as usize].first + call.owner;
                End { party: Party::Group(group), instance }
            }
        }
    }

    /// An instance on the network.
    pub(super) fn end_of(&self, instance: u32) -> End {
        End { party: Party::Group(self.instances[instance as usize].group), instance }
    }

    // ---- primaries, replicas and queues ----

    /// Whether an instance is cut off from everybody.
    pub(super) fn is_isolated(&self, instance: u32) -> bool {
        if !self.net.has_wires {
            return false;
        }
        let end = self.end_of(instance);
        self.net_faults().any(|(lasting, f)| {
            matches!(f.how, NetBlow::Partition { .. })
                && f.from.is_none()
                && f.to == end.party
                && lasting.strikes(f, [end, end])
        })
    }

    /// Another server takes the place of one that is cut off: the faults that cut it off strike it no more. Returns
    /// them: the old server is back when they are over.
    pub(super) fn spare(&mut self, instance: u32) -> Vec<u32> {
        let end = self.end_of(instance);
        let script = self.script;
        let mut spared = Vec::new();
        for lasting in &mut self.net.lasting {
            if let Effect::Net(f) = &script.faults[lasting.fault as usize].effect
                && matches!(f.how, NetBlow::Partition { .. })
                && f.to == end.party
                && f.from.is_none()
                && lasting.strikes(f, [end, end])
            {
                lasting.spared.push(instance);
                spared.push(lasting.fault);
            }
        }
        spared
    }

    /// Whether the writes of a primary do not reach a replica.
    pub(super) fn is_replica_cut(&self, primary: u32, replica: u32) -> bool {
        self.net.has_wires && self.is_cut_one_way(self.end_of(primary), self.end_of(replica))
    }

    /// Whether an instance cannot talk with a queue's broker.
    pub(super) fn is_queue_cut(&self, instance: u32, queue: u32) -> bool {
        let broker = End { party: Party::Queue(queue), instance: ANY };
        self.net.has_wires && self.is_cut(self.end_of(instance), broker)
    }

    /// Whether what an instance publishes reaches the broker, though no answer comes back.
    pub(super) fn reaches_queue(&self, instance: u32, queue: u32) -> bool {
        let broker = End { party: Party::Queue(queue), instance: ANY };
        !self.is_cut_one_way(self.end_of(instance), broker)
    }

    /// A program waits until its queue can be reached.
    pub(super) fn await_queue(&mut self, now: SimTime, queue: u32, id: FrameId) {
        self.net.publishers.push((now, queue, id));
    }

    /// The programs that have waited for a queue for `patience`.
    pub(super) fn impatient(&mut self, now: SimTime, queue: u32, patience: SimDuration) -> Vec<FrameId> {
        let is_late = |(since, of, _): &(SimTime, u32, FrameId)| *of == queue && *since + patience <= now;
        let late = self.net.publishers.iter().filter(|p| is_late(p)).map(|p| p.2).collect();
        self.net.publishers.retain(|p| !is_late(p));
        late
    }

    /// Every replica with its primary.
    fn replicas_of_all(&self) -> Vec<(u32, u32)> {
        let followers = self.model.groups.iter().filter_map(|shape| Some((shape.replicates?, shape)));
        followers
            .flat_map(|(primary, shape)| {
                let primary = self.model.groups[primary as usize].first;
                (shape.first..shape.first + shape.capacity).map(move |replica| (primary, replica))
            })
            .collect()
    }

    fn cut_begins(&mut self, now: SimTime, f: &NetFault) {
        for (primary, replica) in self.replicas_of_all() {
            if self.is_replica_cut(primary, replica) {
                self.hold_writes(now, replica);
            }
        }
        if let (None, Party::Group(group)) = (f.from, f.to) {
            let shape = &self.model.groups[group as usize];
            for instance in shape.first..shape.first + shape.capacity {
                if self.is_isolated(instance) && self.instances[instance as usize].answers() {
                    self.primary_lost(now, instance, None);
                }
            }
        }
        for (queue, consumer, instance) in self.all_consumers() {
            if self.is_queue_cut(instance, queue) && !self.net.consumers.contains(&(queue, consumer)) {
                self.net.consumers.push((queue, consumer));
                self.consumer_is_cut(now, queue, consumer, true);
            }
        }
    }

    fn cut_ends(&mut self, now: SimTime) {
        for (primary, replica) in self.replicas_of_all() {
            let state = &self.instances[primary as usize];
            if state.answers() && !state.is_hung && !self.is_isolated(primary) {
                self.send_writes(now, primary, replica);
            }
        }
        let waiting = std::mem::take(&mut self.net.publishers);
        self.tasks.extend(waiting.into_iter().map(|(_, _, id)| Task::Advance(id)));
        for (queue, consumer, instance) in self.all_consumers() {
            let at = self.net.consumers.iter().position(|one| *one == (queue, consumer));
            if let Some(at) = at
                && !self.is_queue_cut(instance, queue)
            {
                self.net.consumers.remove(at);
                self.consumer_is_cut(now, queue, consumer, false);
            }
        }
    }

    // ---- connections ----

    /// Whether nobody at the callee's end can be talked to.
    fn is_silent(&self, caller: End, callee: Callee) -> bool {
        match callee {
            Callee::Balancer(balancer) => {
                self.is_cut(caller, End { party: Party::Balancer(balancer), instance: ANY })
            }
            Callee::Group(group) => {
                let shape = &self.model.groups[group as usize];
                let mut all = shape.first..shape.first + shape.capacity;
                self.net.has_wires
                    && all
                        .all(|i| !self.instances[i as usize].answers() || self.is_cut(caller, self.end_of(i)))
                    && (shape.first..shape.first + shape.capacity)
                        .any(|i| self.instances[i as usize].answers())
            }
        }
    }

    /// What is called over an edge.
    fn callee_party(&self, edge: u32) -> Party {
        match self.model.edges[edge as usize].callee {
            Callee::Balancer(balancer) => Party::Balancer(balancer),
            Callee::Group(group) => Party::Group(group),
        }
    }

    /// Whether a fault that picks out `how` strikes a component.
    fn suffers(&self, party: Party, how: impl Fn(&NetBlow) -> bool) -> bool {
        self.net_faults().any(|(_, f)| f.to == party && how(&f.how))
    }

    /// Whether the certificate of what is called over a route has expired.
    pub(super) fn is_expired(&self, route: u32) -> bool {
        let party = self.callee_party(self.model.routes[route as usize].edge);
        self.suffers(party, |how| matches!(how, NetBlow::Certificate))
    }

    /// How lookups of the name of what is called over a route fail: whether in silence.
    pub(super) fn dns_failure(&self, route: u32) -> Option<bool> {
        let party = self.callee_party(self.model.routes[route as usize].edge);
        self.net_faults().find_map(|(_, f)| match f.how {
            NetBlow::Dns { is_silent } if f.to == party => Some(is_silent),
            _ => None,
        })
    }

    /// Whether what is called has no room for another connection.
    fn is_table_full(&mut self, now: SimTime, party: Party) -> bool {
        let limit = |f: &NetFault| match f.how {
            NetBlow::Table(max) if f.to == party => Some(max),
            _ => None,
        };
        let Some(max) = self.net_faults().filter_map(|(_, f)| limit(f)).min() else { return false };
        let mut open = 0;
        for slot in 0..self.net.connect_edges.len() {
            if self.callee_party(self.net.connect_edges[slot]) == party {
                open += self.connects[slot].open(now);
            }
        }
        for pool in 0..self.net.pool_edges.len() {
            if self.callee_party(self.net.pool_edges[pool].0) == party {
                open += self.pool_states[pool].open;
            }
        }
        open >= max
    }

    /// How much longer a round trip of a handshake takes; `None` if its SYN is lost, which is number `n`.
    pub(super) fn syn_meets(&mut self, now: SimTime, call: &Call, n: u8) -> Option<SimDuration> {
        let callee = self.model.routes[call.route as usize].callee;
        let party = self.callee_party(self.model.routes[call.route as usize].edge);
        let caller = self.caller_end(call);
        if self.is_silent(caller, callee) || self.is_table_full(now, party) {
            return None;
        }
        let end = End { party, instance: ANY };
        let mut trip = SimDuration::ZERO;
        for (_, f) in self.net_faults() {
            for way in [THERE, BACK] {
                if !joins(f, caller.party, end.party, way == THERE) {
                    continue;
                }
                let key = mix(mix(mix(call.key, f.salt), way), SYN + u64::from(n));
                match &f.how {
                    NetBlow::Loss { ratio, .. } if uniform_of(key) < *ratio => return None,
                    NetBlow::Latency { latency, .. } => {
                        trip = trip + SimDuration::from_seconds(latency.variate(uniform_of(key)));
                    }
                    _ => {}
                }
            }
        }
        Some(trip)
    }

    /// What a connection that a pool makes meets: `Some(true)` if it cannot be made, `Some(false)` if its SYN was lost
    /// and another one is on its way.
    pub(super) fn pool_meets(&mut self, now: SimTime, pool: usize, conn: ConnId) -> Option<bool> {
        let (edge, owner) = self.net.pool_edges[pool];
        let shape = &self.model.edges[edge as usize];
        let (party, callee) = (self.callee_party(edge), shape.callee);
        let caller = match shape.caller {
            Caller::Client(client) => End { party: Party::Client(client), instance: ANY },
            Caller::Group(group) => {
                let first = self.model.groups[group as usize].first;
                End { party: Party::Group(group), instance: owner.map_or(ANY, |owner| first + owner) }
            }
        };
        let at = self.net.syns.iter().position(|(p, c, ..)| *p == pool as u32 && *c == conn);
        if !self.is_silent(caller, callee) && !self.is_table_full(now, party) {
            if let Some(at) = at {
                self.net.syns.swap_remove(at);
            }
            return self.suffers(party, |how| matches!(how, NetBlow::Certificate)).then_some(true);
        }
        let at = at.unwrap_or_else(|| {
            let pools = &self.pools;
            self.net.syns.retain(|(p, c, ..)| pools[*p as usize].is_creating(*c));
            self.net.syns.push((pool as u32, conn, now, 0));
            if let Some(limit) = self.pools[pool].config().connect_timeout() {
                let event = Event::PoolConnectTimeout { pool: pool as u32, conn };
                self.queue.schedule(now + limit, Rank::Timer, event);
            }
            self.net.syns.len() - 1
        });
        let (_, _, since, sent) = &mut self.net.syns[at];
        if SynRetries::LINUX_6_5.sent_at(*sent).is_none() {
            self.net.syns.swap_remove(at);
            return Some(true);
        }
        *sent += 1;
        let next = SynRetries::LINUX_6_5.sent_at(*sent).unwrap_or(SynRetries::LINUX_6_5.given_up_at());
        let event = Event::PoolConnected { pool: pool as u32, conn };
        self.queue.schedule(*since + next, Rank::Completion, event);
        Some(false)
    }

    // ---- dependencies ----

    /// Whether a request to a group is answered with 429, and what it is told.
    pub(super) fn is_throttled(&mut self, now: SimTime, id: FrameId, group: u32, key: u64) -> bool {
        let script = self.script;
        for at in 0..self.net.lasting.len() {
            let fault = self.net.lasting[at].fault;
            let Effect::Net(f) = &script.faults[fault as usize].effect else { continue };
            let NetBlow::Throttle { ratio, retry_after, .. } = &f.how else { continue };
            if f.to != Party::Group(group) {
                continue;
            }
            let limiter = self.net.throttles.iter_mut().find(|(of, _)| *of == fault);
            let is_over = limiter.is_some_and(|(_, limit)| limit.enter(now, id) == Admission::Rejected);
            if is_over || uniform_of(mix(key, f.salt)) < *ratio {
                if let (Some(wait), Some(frame)) = (retry_after, self.frames.get(id)) {
                    self.told.set(frame.parent, *wait);
                }
                return true;
            }
        }
        false
    }

    /// An execution has ended well: its answer may be wrong, by itself or by what it has used.
    pub(super) fn taint_answer(&mut self, id: FrameId, instance: u32, key: u64, parent: FrameId) {
        let end = self.end_of(instance);
        let is_made_wrong = self.net_faults().any(|(lasting, f)| match f.how {
            NetBlow::Wrong(ratio) => {
                f.to == end.party && lasting.strikes(f, [end, end]) && uniform_of(mix(key, f.salt)) < ratio
            }
            _ => false,
        });
        if is_made_wrong || self.wrong.get(id) {
            self.taint(parent);
        }
    }

    /// What a frame gets is wrong.
    pub(super) fn taint(&mut self, id: FrameId) {
        if self.frames.get(id).is_some() {
            self.wrong.set(id, true);
        }
    }

    /// A fallback's cache keeps the answer that a frame has got, right or wrong.
    pub(super) fn keep_taint(&mut self, slot: usize, id: FrameId) {
        if self.net.taints {
            let wrong = self.wrong.get(id);
            let kept = &mut self.net.kept;
            kept.resize(kept.len().max(slot + 1), false);
            kept[slot] = wrong;
        }
    }

    /// A frame gets what a fallback's cache keeps.
    pub(super) fn taint_from_kept(&mut self, slot: usize, id: FrameId) {
        if self.net.kept.get(slot) == Some(&true) {
            self.taint(id);
        }
    }

    /// What goes from one frame to another is as wrong as it was.
    #[inline]
    pub(super) fn pass_taint(&mut self, from: FrameId, to: FrameId) {
        if self.net.taints && self.wrong.get(from) {
            self.taint(to);
        }
    }

    /// Whether a client reads the answer of an execution slowly: then the worker is held until it is read.
    pub(super) fn is_read_slowly(&mut self, now: SimTime, id: FrameId) -> bool {
        let Some(Frame { kind: Kind::Exec(exec), parent, .. }) = self.frames.get(id) else { return false };
        if exec.run.is_read {
            return false;
        }
        let key = exec.run.key;
        let mut up = *parent;
        let client = loop {
            let Some(frame) = self.frames.get(up) else { return false };
            match &frame.kind {
                Kind::Request(request) => break request.client,
                Kind::Balanced(request) => {
                    let product = &self.settings().balancers[request.balancer as usize].product;
                    if matches!(product, Product::Nginx(_)) {
                        return false;
                    }
                }
                Kind::Layer { .. } | Kind::Attempt { .. } | Kind::Wire(_) => {}
                _ => return false,
            }
            up = frame.parent;
        };
        let mut time = SimDuration::ZERO;
        for (_, f) in self.net_faults() {
            if let NetBlow::SlowClients { reads, ratio } = &f.how
                && f.to == Party::Client(client)
                && uniform_of(mix(key, f.salt)) < *ratio
            {
                let draw = Draw { dist: reads.clone(), salt: mix(f.salt, READS) };
                time = time + sample(&draw, key);
            }
        }
        if time.is_zero() {
            return false;
        }
        if let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(id) {
            exec.run.is_read = true;
        }
        self.queue.schedule(now + time, Rank::Completion, Event::StepDone(id));
        true
    }
}

/// When the kernel of a caller gives up a message that nobody confirms.
pub(super) fn given_up_after(connect: Option<&Connect>) -> SimDuration {
    use crate::components::tcp::{dead_after, rto};
    let first = rto(SimDuration::ZERO, SimDuration::ZERO);
    match connect {
        Some(config) => config.user_timeout.unwrap_or(dead_after(first, config.retries2)),
        None => dead_after(first, 15),
    }
}

/// The outcome of a call whose connection breaks.
pub(super) const BROKEN: Outcome = Outcome::Error;
