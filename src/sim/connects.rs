//! New connections: the world around DNS, TCP and TLS. One timer at a time moves a call from stage to stage.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState};
use super::layers::{Passage, sample};
use super::{FrameId, Task, World};
use crate::base::{Outcome, Rng, SimDuration, SimTime, mix};
use crate::components::dns::{DnsCache, Known, lookup};
use crate::components::tcp::{Idle, backed_off, dead_after, rto};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{Callee, Connect, LayerKind};

/// Where a call is on its way to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The name is being looked up, and will be found.
    Found,
    /// The name is being looked up in vain.
    NotFound,
    /// SYN number so many is on its way, or has to be sent.
    Syn(u8),
    /// The handshakes are on their way, and will end.
    Shaking,
    /// A connection is refused.
    Refused,
    /// No connection opens in time.
    TimedOut,
    /// The call has a connection.
    Open,
    /// The peer of an open connection is gone; so many repetitions have not found it.
    Dead(u8),
    /// The peer has reset an open connection, or it is given up.
    Broken,
}

/// What one caller knows: open connections, and the address.
#[derive(Clone, Debug)]
pub(super) struct ConnectState {
    pub idle: Idle,
    pub dns: DnsCache,
    /// Open connections that calls use.
    used: u32,
}

impl ConnectState {
    pub fn new(config: &Connect) -> Self {
        Self { idle: Idle::new(config.keep_alive), dns: DnsCache::default(), used: 0 }
    }

    /// Open connections, used or not.
    pub fn open(&mut self, now: SimTime) -> u32 {
        self.used + self.idle.live(now)
    }

    /// A call is called off: its connection is closed.
    pub fn close(&mut self, stage: Stage) {
        if stage == Stage::Open {
            self.used = self.used.saturating_sub(1);
        }
    }
}

/// The counters of a layer, from its first.
const OPENED: u32 = 0;
const LOOKUPS: u32 = 1;
const NOT_FOUND: u32 = 2;

impl<O: Observer> World<'_, O> {
    /// A call comes to a place where it needs a connection.
    pub(super) fn enter_connect(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        let LayerKind::Connect(config) = &self.model.layers[layer as usize].kind else {
            return Passage::Through(parent);
        };
        let has_idle = self.connects[slot].idle.take(now);
        let is_there = self.is_there(call);
        let stage = match has_idle {
            true if is_there => Stage::Open,
            true => Stage::Dead(0),
            false => Stage::Syn(0),
        };
        let state = LayerState::Connect { stage, since: now };
        let id = self.push_frame(Frame::new(parent, Kind::Layer { layer, call: *call, state }));
        match stage {
            Stage::Open => {
                self.connects[slot].used += 1;
                return Passage::Through(id);
            }
            Stage::Dead(_) => self.peer_is_gone(now, id, call, config, now, 0),
            _ => self.look_up(now, slot, id, call, config),
        }
        Passage::Waits
    }

    /// Whether anybody would answer a packet to the callee.
    fn is_there(&self, call: &Call) -> bool {
        match self.model.routes[call.route as usize].callee {
            Callee::Balancer(_) => true,
            Callee::Group(group) => {
                let shape = &self.model.groups[group as usize];
                let all = shape.first as usize..(shape.first + shape.capacity) as usize;
                self.instances[all].iter().any(|instance| instance.answers())
            }
        }
    }

    /// Sets the stage that a call reaches after a time.
    fn stage_after(&mut self, now: SimTime, id: FrameId, since: SimTime, stage: Stage, delay: SimDuration) {
        self.set_state(id, LayerState::Connect { stage, since });
        self.queue.schedule(now + delay, Rank::Completion, Event::Timer(id));
    }

    fn look_up(&mut self, now: SimTime, slot: usize, id: FrameId, call: &Call, config: &Connect) {
        let Some(dns) = &config.dns else { return self.send_syn(now, id, call, config, now, 0) };
        let known = self.connects[slot].dns.known(now);
        let (stage, time) = match known {
            Known::Address => return self.send_syn(now, id, call, config, now, 0),
            // A failure that is remembered is told at once, but not within the call.
            Known::Failure => (Stage::NotFound, SimDuration::ZERO),
            Known::Nothing => {
                self.count_connect(slot, LOOKUPS);
                let mut rng = Rng::from_seed(mix(mix(call.key, config.salt), u64::MAX));
                let mut rules = dns.config;
                let failure = self.net.is_used.then(|| self.dns_failure(call.route)).flatten();
                if failure == Some(true) {
                    rules.loss = 1.0;
                }
                let (time, found) = lookup(&rules, sample(&dns.latency, call.key), &mut rng);
                let found = found && failure.is_none();
                (if found { Stage::Found } else { Stage::NotFound }, time)
            }
        };
        self.stage_after(now, id, now, stage, time);
    }

    /// Sends a SYN, and knows what becomes of it.
    fn send_syn(&mut self, now: SimTime, id: FrameId, call: &Call, config: &Connect, since: SimTime, n: u8) {
        let mut rtt = sample(&config.rtt, call.key);
        let mut rng = Rng::from_seed(mix(mix(call.key, config.salt), u64::from(n)));
        let mut is_lost = rng.chance(config.loss);
        let mut is_expired = false;
        if self.net.is_used {
            match self.syn_meets(now, call, n) {
                Some(longer) => rtt = rtt + longer,
                None => is_lost = true,
            }
            is_expired = config.has_tls() && self.is_expired(call.route);
        }
        // The kernel's clock starts with the first SYN; a limit set by the caller counts the lookup, too.
        let limit = config.connect_timeout.map(|limit| since + limit);
        let (stage, at) = if is_lost || (!self.is_there(call) && config.is_black_hole) {
            let next = config.syn.sent_at(u32::from(n) + 1);
            let step = next.unwrap_or(config.syn.given_up_at());
            let before = config.syn.sent_at(u32::from(n)).unwrap_or_default();
            let stage = if next.is_some() { Stage::Syn(n.saturating_add(1)) } else { Stage::TimedOut };
            (stage, now + (step - before))
        } else if !self.is_there(call) {
            (Stage::Refused, now + rtt)
        } else {
            let stage = if is_expired { Stage::Refused } else { Stage::Shaking };
            (stage, now + rtt + self.handshake(config, call, rtt, &mut rng))
        };
        // Nobody waits longer than the limit, whatever would come of it then.
        let (stage, at) = match limit {
            Some(limit) if limit < at => (Stage::TimedOut, limit.max(now)),
            _ => (stage, at),
        };
        self.stage_after(now, id, since, stage, at.since(now));
    }

    /// What TLS takes once TCP's handshake is done, lost round trips included.
    fn handshake(&self, config: &Connect, call: &Call, rtt: SimDuration, rng: &mut Rng) -> SimDuration {
        let trips = config.tls.round_trips();
        let mut time = if config.has_tls() { sample(&config.tls_time, call.key) } else { SimDuration::ZERO };
        // One measurement is known by now, so its deviation is taken for half of it (RFC 6298).
        let first = rto(rtt, rtt.scaled(0.5));
        for _ in 0..trips {
            let mut lost = 0;
            while lost < config.retries2 && rng.chance(config.loss) {
                time = time + backed_off(first, lost);
                lost += 1;
            }
            time = time + rtt;
        }
        time
    }

    /// A call uses a connection whose peer is gone: its host refuses to know it, or nobody answers.
    fn peer_is_gone(
        &mut self,
        now: SimTime,
        id: FrameId,
        call: &Call,
        config: &Connect,
        since: SimTime,
        n: u8,
    ) {
        let rtt = sample(&config.rtt, call.key);
        let first = rto(rtt, rtt.scaled(0.5));
        if self.is_there(call) || !config.is_black_hole {
            // Whoever is there now does not know the connection.
            return self.stage_after(now, id, since, Stage::Broken, rtt);
        }
        let end = since + config.user_timeout.unwrap_or(dead_after(first, config.retries2));
        let next = now + backed_off(first, u32::from(n));
        if next < end && u32::from(n) < config.retries2 {
            self.stage_after(now, id, since, Stage::Dead(n + 1), next.since(now));
        } else {
            self.stage_after(now, id, since, Stage::Broken, end.max(now).since(now));
        }
    }

    /// The timer of a call that waits for a connection.
    pub(super) fn connect_goes_on(&mut self, now: SimTime, slot: usize, id: FrameId) {
        let Some(Frame { kind: Kind::Layer { layer, call, state }, parent, .. }) = self.frames.get(id) else {
            return;
        };
        let (layer, call, parent) = (*layer, *call, *parent);
        let LayerState::Connect { stage, since } = *state else { return };
        let LayerKind::Connect(config) = &self.model.layers[layer as usize].kind else { return };
        let failed = match stage {
            Stage::Open => return,
            Stage::Found => {
                if let Some(dns) = &config.dns {
                    self.connects[slot].dns.store(&dns.config, now, true);
                }
                return self.send_syn(now, id, &call, config, since, 0);
            }
            Stage::Syn(n) => return self.send_syn(now, id, &call, config, since, n),
            Stage::Dead(n) => return self.peer_is_gone(now, id, &call, config, since, n),
            Stage::Shaking => {
                self.count_connect(slot, OPENED);
                let meters = self.model.catalog.layers[self.connect_meters[slot] as usize];
                self.observer.timed(meters.wait, now.since(since));
                self.connects[slot].used += 1;
                self.set_state(id, LayerState::Connect { stage: Stage::Open, since });
                self.tasks.push_back(Task::Down(id));
                return;
            }
            Stage::NotFound => {
                self.count_connect(slot, NOT_FOUND);
                let dns =
                    config.dns.as_ref().filter(|_| self.connects[slot].dns.known(now) == Known::Nothing);
                if let Some(dns) = dns {
                    self.connects[slot].dns.store(&dns.config, now, false);
                }
                Outcome::Error
            }
            Stage::Refused => Outcome::Error,
            Stage::Broken => {
                // All others lead to the same peer.
                self.connects[slot].idle.clear();
                Outcome::Error
            }
            Stage::TimedOut => Outcome::Timeout,
        };
        let meters = self.model.catalog.layers[self.connect_meters[slot] as usize];
        self.observer.count(meters.rejected);
        self.frames.remove(id);
        self.tasks.push_back(Task::Up(parent, failed));
    }

    /// A call is answered: its connection may serve others.
    pub(super) fn leave_connect(&mut self, now: SimTime, slot: usize, outcome: Outcome) {
        self.connects[slot].close(Stage::Open);
        // An error may mean that the connection broke; who cannot tell closes it.
        if outcome.is_success() {
            self.connects[slot].idle.give_back(now);
        }
    }

    fn count_connect(&mut self, slot: usize, which: u32) {
        let meters = self.model.catalog.layers[self.connect_meters[slot] as usize];
        self.observer.count(meters.more + which);
    }
}
