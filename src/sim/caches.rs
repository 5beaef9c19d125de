//! Caches: the world around the pure cache. A call that hits is answered; one that misses leaves a frame that keeps the
//! answer when it comes up; one that finds its key being fetched waits in a frame of its own.
//!
//! A fetch whose caller has given up goes on for the cache and for those who wait. One that is called off hands over to
//! the first of those. A stale answer sends a fetch down that has no caller at all: a frame below nobody.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState};
use super::layers::{Passage, sample};
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimTime, mix};
use crate::components::cache::{Cache, CacheConfig, Eviction, Flights, Joined, Lookup};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::catalog::LayerMeters;
use crate::model::{Caller, Layer, LayerKind, Model, SlotUse};
use std::collections::BTreeSet;

/// The counters of a cache, from its first on.
const CALLS: u32 = 0;
const HITS: u32 = 1;
const MISSES: u32 = 2;
const COALESCED: u32 = 3;
const STALE: u32 = 4;
const EVICTIONS: u32 = 5;

/// What the world keeps of a cache.
#[derive(Clone, Debug)]
pub(super) struct CacheState {
    cache: Cache,
    config: CacheConfig,
    flights: Flights<FrameId>,
    /// The group and the number of the instance whose process it lives in, if it does.
    home: Option<(u32, u32)>,
    meters: LayerMeters,
    /// Whether some cache of the model makes room by chance.
    in_heap: bool,
    /// Entries and evictions when the meters were last moved.
    shown: (u32, u64),
    /// When the next alarm for an entry that expires is due.
    alarm: Option<SimTime>,
    /// Faults that keep it away.
    pub away: u32,
    /// The keys whose answers are wrong, of those that it has.
    wrong: BTreeSet<u64>,
}

impl CacheState {
    pub fn new(config: CacheConfig, slot: &SlotUse, number: u32, model: &Model, shared: bool) -> Self {
        let caller = model.edges[slot.edge as usize].caller;
        let by_chance = |layer: &Layer| match &layer.kind {
            LayerKind::Cache { config, .. } => config.eviction == Eviction::Random,
            _ => false,
        };
        let home = match caller {
            Caller::Group(group) if !shared => Some((group, number - slot.first)),
            _ => None,
        };
        let flights = Flights::new();
        // Settings may change to it.
        let in_heap = model.layers.iter().any(by_chance);
        Self {
            cache: if in_heap { Cache::in_heap(config) } else { Cache::new(config) },
            in_heap,
            config,
            flights,
            home,
            meters: model.catalog.layers[slot.meters as usize],
            shown: (0, 0),
            alarm: None,
            away: 0,
            wrong: BTreeSet::new(),
        }
    }

    fn empty(&self) -> Cache {
        if self.in_heap { Cache::in_heap(self.config) } else { Cache::new(self.config) }
    }

    /// Takes note of whether what was fetched is wrong.
    fn note_taint(&mut self, key: u64, is_wrong: bool) {
        if is_wrong {
            self.wrong.insert(key);
        } else {
            self.wrong.remove(&key);
        }
    }

    /// Fetches under way and calls that wait for them.
    pub fn under_way(&self) -> u64 {
        (self.flights.len() + self.flights.waiting()) as u64
    }
}

impl<O: Observer> World<'_, O> {
    /// What is asked for: an endpoint and a key.
    #[inline]
    fn cache_key(&self, call: &Call) -> u64 {
        let endpoint = self.model.routes[call.route as usize].endpoint;
        u64::from(endpoint) << 32 | u64::from(call.affinity)
    }

    #[inline]
    fn count_in_cache(&mut self, slot: usize, counter: u32) {
        self.observer.count(self.stores[slot].meters.rejected + counter);
    }

    /// A frame gets what a cache keeps, right or wrong.
    fn taint_from_cache(&mut self, slot: usize, key: u64, id: FrameId) {
        if self.net.taints && self.stores[slot].wrong.contains(&key) {
            self.taint(id);
        }
    }

    /// A call reaches a cache.
    pub(super) fn enter_cache(
        &mut self,
        now: SimTime,
        slot: usize,
        layer: u32,
        call: &Call,
        parent: FrameId,
    ) -> Passage {
        let LayerKind::Cache { coalesce, .. } = &self.model.layers[layer as usize].kind else {
            return Passage::Through(parent);
        };
        self.count_in_cache(slot, CALLS);
        if !call.is_keyed || self.stores[slot].away > 0 {
            self.count_in_cache(slot, MISSES);
            return Passage::Through(parent);
        }
        let key = self.cache_key(call);
        let store = &mut self.stores[slot];
        let found = store.cache.lookup(now, key);
        // Nothing has expired meanwhile, nearly always: then there is nothing new to show.
        if (store.cache.live(), store.cache.evictions()) != store.shown {
            self.show_cache(now, slot);
        }
        match found {
            Lookup::Hit(outcome) => {
                self.count_in_cache(slot, HITS);
                self.taint_from_cache(slot, key, parent);
                self.answer_from_cache(now, layer, call, parent, outcome)
            }
            Lookup::Stale { refresh } => {
                self.count_in_cache(slot, HITS);
                self.count_in_cache(slot, STALE);
                self.taint_from_cache(slot, key, parent);
                if refresh && let Some(id) = self.fetch(slot, layer, call, FrameId::NONE, *coalesce) {
                    self.tasks.push_back(Task::Down(id));
                }
                self.answer_from_cache(now, layer, call, parent, Outcome::Ok)
            }
            Lookup::Miss => match self.fetch(slot, layer, call, parent, *coalesce) {
                Some(id) => {
                    self.count_in_cache(slot, MISSES);
                    Passage::Through(id)
                }
                None => {
                    self.count_in_cache(slot, COALESCED);
                    Passage::Waits
                }
            },
        }
    }

    /// A frame that fetches an answer for `parent`; `None` if somebody fetches it already, and `parent`, if there is
    /// one, waits for that.
    fn fetch(
        &mut self,
        slot: usize,
        layer: u32,
        call: &Call,
        parent: FrameId,
        coalesce: bool,
    ) -> Option<FrameId> {
        let frame = |state| Frame::new(parent, Kind::Layer { layer, call: *call, state });
        if !coalesce {
            return Some(self.push_frame(frame(LayerState::Fetching)));
        }
        let id = self.push_frame(frame(LayerState::Plain));
        let key = self.cache_key(call);
        match self.stores[slot].flights.join(key, id) {
            Joined::Leads(flight) => {
                self.set_state(id, LayerState::Leading { flight });
                Some(id)
            }
            Joined::Waits(waiter) if parent.is_none() => {
                self.stores[slot].flights.leave(waiter);
                self.frames.remove(id);
                None
            }
            Joined::Waits(waiter) => {
                self.set_state(id, LayerState::Waiting { waiter });
                None
            }
        }
    }

    fn answer_from_cache(
        &mut self,
        now: SimTime,
        layer: u32,
        call: &Call,
        parent: FrameId,
        outcome: Outcome,
    ) -> Passage {
        let LayerKind::Cache { hit, .. } = &self.model.layers[layer as usize].kind else {
            return Passage::Answered(outcome);
        };
        let delay = sample(hit, call.key);
        if delay.is_zero() {
            return Passage::Answered(outcome);
        }
        let kind = Kind::Layer { layer, call: *call, state: LayerState::Plain };
        let id = self.push_frame(Frame::new(parent, kind));
        self.queue.schedule(now + delay, Rank::Completion, Event::Answered(id, outcome));
        Passage::Waits
    }

    /// An answer comes up through a cache: what the caller gets.
    pub(super) fn leave_cache(
        &mut self,
        now: SimTime,
        slot: usize,
        (layer, id): (u32, FrameId),
        call: &Call,
        state: LayerState,
        outcome: Outcome,
    ) -> Outcome {
        if !matches!(state, LayerState::Fetching | LayerState::Leading { .. }) {
            // What another has fetched.
            return outcome;
        }
        let LayerKind::Cache { salt, .. } = &self.model.layers[layer as usize].kind else { return outcome };
        let key = self.cache_key(call);
        if self.net.taints && outcome.is_success() {
            let is_wrong = self.wrong.get(id);
            self.stores[slot].note_taint(key, is_wrong);
        }
        let is_away = self.stores[slot].away > 0;
        let gets = match is_away {
            true => outcome,
            false => self.stores[slot].cache.fetched(now, key, outcome, mix(call.key, *salt)),
        };
        self.show_cache(now, slot);
        if gets != outcome {
            self.count_in_cache(slot, STALE);
            self.taint_from_cache(slot, key, id);
        }
        if let LayerState::Leading { flight } = state {
            while let Some(waiter) = self.stores[slot].flights.pop(flight) {
                if gets != outcome {
                    self.count_in_cache(slot, STALE);
                }
                self.set_state(waiter, LayerState::Plain);
                self.pass_taint(id, waiter);
                self.tasks.push_back(Task::Up(waiter, gets));
            }
            self.stores[slot].flights.end(flight);
        }
        gets
    }

    /// A call in a cache is called off, or its process is gone.
    pub(super) fn drop_from_cache(&mut self, slot: usize, call: &Call, state: LayerState) {
        let key = self.cache_key(call);
        let store = &mut self.stores[slot];
        match state {
            LayerState::Waiting { waiter } => store.flights.leave(waiter),
            LayerState::Fetching => store.cache.abandoned(key),
            LayerState::Leading { flight } => match store.flights.pop(flight) {
                Some(next) => {
                    self.set_state(next, LayerState::Leading { flight });
                    self.tasks.push_back(Task::Down(next));
                }
                None => {
                    store.flights.end(flight);
                    store.cache.abandoned(key);
                }
            },
            _ => {}
        }
    }

    /// Whether what comes up to a frame is kept by a cache, even if nobody waits for it.
    pub(super) fn is_kept(&self, frame: &Frame) -> bool {
        match &frame.kind {
            Kind::Layer { layer, call, state: LayerState::Fetching | LayerState::Leading { .. } } => {
                !self.outlived_its_process(*layer, call)
            }
            _ => false,
        }
    }

    /// An entry expires, unless it has been fetched, renewed or evicted since.
    pub(super) fn on_cache_expiry(&mut self, now: SimTime, cache: u32) {
        let store = &mut self.stores[cache as usize];
        // An earlier alarm was set since, and rang.
        if store.alarm != Some(now) {
            return;
        }
        store.alarm = None;
        store.cache.expire(now);
        self.show_cache(now, cache as usize);
    }

    /// New settings for a cache.
    pub(super) fn reconfigure_cache(&mut self, now: SimTime, slot: usize, config: CacheConfig, salt: u64) {
        let random = mix(mix(self.streams.key("caches", "eviction"), salt), mix(slot as u64, now.ns()));
        let store = &mut self.stores[slot];
        store.config = config;
        store.cache.reconfigure(now, config, random);
        self.show_cache(now, slot);
    }

    /// Moves the meters to where the cache is now, and sets the alarm for the next entry that expires.
    fn show_cache(&mut self, now: SimTime, slot: usize) {
        let store = &mut self.stores[slot];
        let meters = store.meters;
        let is = (store.cache.live(), store.cache.evictions());
        let was = std::mem::replace(&mut store.shown, is);
        // The first comparison is enough, nearly always, and needs no entry.
        if store.alarm.is_none_or(|alarm| store.cache.due() < alarm)
            && let Some(at) = store.cache.next_expiry()
            && store.alarm.is_none_or(|alarm| at < alarm)
        {
            store.alarm = Some(at);
            self.queue.schedule(at, Rank::Timer, Event::CacheExpiry { cache: slot as u32 });
        }
        if is.0 != was.0 {
            self.observer.moved(now, meters.gauge, i64::from(is.0) - i64::from(was.0));
        }
        for _ in was.1..is.1 {
            self.observer.count(meters.rejected + EVICTIONS);
        }
    }

    /// A cache loses all that it has.
    pub(super) fn empty_cache(&mut self, now: SimTime, slot: usize) {
        let store = &mut self.stores[slot];
        store.cache = store.empty();
        store.shown.1 = 0;
        self.show_cache(now, slot);
    }

    /// A process is gone, and the caches that lived in it: the next begins cold.
    pub(super) fn reset_caches(&mut self, now: SimTime, group: u32, target: u32) {
        for slot in 0..self.stores.len() {
            if self.stores[slot].home != Some((group, target)) {
                continue;
            }
            let store = &mut self.stores[slot];
            store.cache = store.empty();
            store.shown.1 = 0;
            // Who waited without a parent in the process has no timer that would find it.
            for waiter in store.flights.reset() {
                if let Some(gone) = self.frames.remove(waiter) {
                    self.tasks.push_back(Task::Up(gone.parent, Outcome::Error));
                }
            }
            self.show_cache(now, slot);
        }
    }
}
