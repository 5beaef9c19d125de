//! A cache: answers that are kept for a while, so that not every question goes all the way down.
//!
//! Two things end an entry, and they are not the same. It *expires* when it is too old; it is *evicted* when room is
//! needed for another. An expired entry counts as absent from that very moment, takes no room and is no eviction:
//! where real caches free memory later (Redis 7 looks at 20 keys every 100 ms), nothing but the memory differs, except
//! for windows of stale answers, whose entries do take room.
//!
//! Ages follow Caffeine 3's `expireAfterWrite` (from the fetch) and `expireAfterAccess` (`renew`); what a changed time
//! to live means for entries that are there already, too: they have the new one. An entry of time `t` is fresh while
//! `now < t + ttl`. Windows of stale answers are those of RFC 5861. Evictions are exact: by the last access (`Lru`),
//! by the time of storing (`Fifo`, where storing a key again counts as new), any (`Random`), or by the fewest accesses
//! since the entry came, the least recent of equals first (`Lfu`, as in Shah, Mitra and Matani 2010).
//!
//! Keys are numbers. Every operation takes O(log n) steps at most: entries in a heap by worth, and in lists by age.

mod flights;
mod index;

use crate::base::{Outcome, SimDuration, SimTime, mix};
pub use flights::{Flights, Joined};
use index::Index;

/// Which entry makes room for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Eviction {
    /// The one whose last access is longest ago.
    Lru,
    /// The one that was stored first.
    Fifo,
    /// Any.
    Random,
    /// The one with the fewest accesses; of equals, the one whose last access is longest ago.
    Lfu,
}

/// How a [`Cache`] behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheConfig {
    /// How long an entry is fresh; `None` is for ever.
    pub ttl: Option<SimDuration>,
    /// Whether an access makes an entry as good as new.
    pub renew: bool,
    /// The most entries; `None` is any number.
    pub capacity: Option<u32>,
    /// Which entry makes room.
    pub eviction: Eviction,
    /// How long a failure is kept; `None` is not at all.
    pub negative_ttl: Option<SimDuration>,
    /// How long after its end an entry is still served while it is fetched anew.
    pub stale_while_revalidate: SimDuration,
    /// How long after its end an entry is still served if fetching it anew fails.
    pub stale_if_error: SimDuration,
}

/// What a cache has for a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// An answer: `Ok`, or the failure that is kept.
    Hit(Outcome),
    /// An answer that is too old, to be served all the same.
    Stale {
        /// Whether the caller is to fetch it anew: `false` while somebody does.
        refresh: bool,
    },
    /// Nothing.
    Miss,
}

/// Nothing in a list, a heap or an index.
const NONE: u32 = u32::MAX;

/// The lists of entries by age, each in order of `since`.
const FRESH: usize = 0;
const STALE: usize = 1;
const FAILED: usize = 2;

// An entry is a line of the processor's cache: using one, most of what costs time is to get it and its neighbours.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Entry {
    key: u64,
    /// From when its age counts.
    since: SimTime,
    /// Numbers of the operations that stored it and that used it last.
    stored: u64,
    used: u64,
    /// How often it was used, storing included.
    uses: u64,
    /// What it answers.
    outcome: Outcome,
    /// Whether a stale entry is being fetched anew.
    is_refreshing: bool,
    list: u8,
    before: u32,
    after: u32,
    /// Its place in the heap.
    place: u32,
    /// Its neighbours by worth, if those are listed.
    less: u32,
    more: u32,
}

const _: () = assert!(size_of::<Entry>() == 64);

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl List {
    const EMPTY: Self = Self { first: NONE, last: NONE, len: 0 };
}

/// A cache of answers.
#[derive(Clone, Debug)]
pub struct Cache {
    config: CacheConfig,
    index: Index,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Entries as a binary heap: the first is the next to make room. In no order if that is any, or the first of the
    /// line.
    heap: Vec<u32>,
    /// Entries by worth, where each new or used one is worth most: a step in place of a heap's many.
    line: List,
    /// Whether all is kept in the heap, whatever makes room.
    in_heap: bool,
    lists: [List; 3],
    /// Nothing expires before.
    due: SimTime,
    operations: u64,
    evictions: u64,
}

impl Cache {
    /// An empty cache.
    pub fn new(config: CacheConfig) -> Self {
        Self {
            config,
            index: Index::new(),
            entries: Vec::new(),
            free: Vec::new(),
            heap: Vec::new(),
            line: List::EMPTY,
            in_heap: false,
            lists: [List::EMPTY; 3],
            due: SimTime::NEVER,
            operations: 0,
            evictions: 0,
        }
    }

    /// An empty cache that may be told later to make room by chance: which entry chance hits depends on the order of
    /// the heap, so it keeps one from the start.
    pub fn in_heap(config: CacheConfig) -> Self {
        Self { in_heap: true, ..Self::new(config) }
    }

    /// Changes the settings; entries that are there follow the new ones. `random` picks who makes room.
    pub fn reconfigure(&mut self, now: SimTime, config: CacheConfig, random: u64) {
        self.expire(now);
        self.config = config;
        // Stale entries are all older than fresh ones: together they are in order, and may all be fresh now.
        while self.lists[STALE].len > 0 {
            let youngest = self.lists[STALE].last;
            self.unlink(youngest);
            self.push_front(FRESH, youngest);
        }
        self.due = SimTime::ZERO;
        self.put_in_order();
        self.expire(now);
        let mut number = 0;
        while config.capacity.is_some_and(|c| self.heap.len() > c as usize) {
            self.evict(mix(random, number));
            number += 1;
        }
    }

    /// Looks a key up.
    #[inline]
    pub fn lookup(&mut self, now: SimTime, key: u64) -> Lookup {
        self.expire(now);
        let Some(slot) = self.find(key) else { return Lookup::Miss };
        let entry = &self.entries[slot as usize];
        if usize::from(entry.list) == FRESH && !self.config.renew {
            let outcome = entry.outcome;
            self.touch(slot);
            return Lookup::Hit(outcome);
        }
        let entry = *entry;
        match usize::from(entry.list) {
            STALE => {
                if now >= self.end(&entry, self.config.stale_while_revalidate) {
                    return Lookup::Miss;
                }
                self.entries[slot as usize].is_refreshing = true;
                self.touch(slot);
                Lookup::Stale { refresh: !entry.is_refreshing }
            }
            FRESH if self.config.renew => {
                self.entries[slot as usize].since = now;
                self.unlink(slot);
                self.push_back(FRESH, slot);
                self.touch(slot);
                Lookup::Hit(entry.outcome)
            }
            _ => {
                self.touch(slot);
                Lookup::Hit(entry.outcome)
            }
        }
    }

    /// What has been fetched for a key comes in; returns what its callers get. `Ok` is kept, and so are failures if
    /// they are to be; a degraded answer is passed on and not kept. `random` picks who makes room.
    pub fn fetched(&mut self, now: SimTime, key: u64, outcome: Outcome, random: u64) -> Outcome {
        self.expire(now);
        match outcome {
            Outcome::Ok => self.store(now, key, outcome, random),
            Outcome::Degraded | Outcome::Cancelled => self.abandoned(key),
            _ => match self.find(key) {
                Some(slot) if self.list_of(slot) == STALE => {
                    self.abandoned(key);
                    let end = self.end(&self.entries[slot as usize], self.config.stale_if_error);
                    if now < end {
                        self.touch(slot);
                        return Outcome::Degraded;
                    }
                }
                // Somebody else has fetched a good answer meanwhile.
                Some(slot) if self.list_of(slot) == FRESH => {}
                _ if self.config.negative_ttl.is_some() => self.store(now, key, outcome, random),
                _ => {}
            },
        }
        outcome
    }

    /// A fetch has ended without an answer: the next who meets a stale entry may fetch it anew.
    pub fn abandoned(&mut self, key: u64) {
        if let Some(slot) = self.find(key) {
            self.entries[slot as usize].is_refreshing = false;
        }
    }

    /// Entries that are too old become stale or go.
    #[inline]
    pub fn expire(&mut self, now: SimTime) {
        if now >= self.due {
            self.expire_now(now);
        }
    }

    #[inline(never)]
    fn expire_now(&mut self, now: SimTime) {
        let window = self.config.stale_while_revalidate.max(self.config.stale_if_error);
        while let Some(at) = self.fresh_until()
            && at <= now
        {
            let slot = self.lists[FRESH].first;
            self.unlink(slot);
            self.push_back(STALE, slot);
        }
        while let Some(entry) = self.first(STALE)
            && self.end(entry, window) <= now
        {
            self.remove(self.lists[STALE].first);
        }
        while let Some(at) = self.failed_until()
            && at <= now
        {
            self.remove(self.lists[FAILED].first);
        }
        let stale = self.first(STALE).map(|entry| self.end(entry, window));
        self.due = [self.next_expiry(), stale].into_iter().flatten().min().unwrap_or(SimTime::NEVER);
    }

    /// When the next entry expires; `None` if none ever does.
    pub fn next_expiry(&self) -> Option<SimTime> {
        [self.fresh_until(), self.failed_until()].into_iter().flatten().min()
    }

    /// A moment before which no entry expires, told without looking at any.
    #[inline]
    pub fn due(&self) -> SimTime {
        self.due
    }

    /// Entries that have not expired as of the last operation.
    #[inline]
    pub fn live(&self) -> u32 {
        self.lists[FRESH].len + self.lists[FAILED].len
    }

    /// Entries that take room: those that have not expired, and stale ones that may still be served.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Entries that have made room for others so far.
    #[inline]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    // ---- ages ----

    fn first(&self, list: usize) -> Option<&Entry> {
        self.entries.get(self.lists[list].first as usize)
    }

    fn fresh_until(&self) -> Option<SimTime> {
        let ttl = self.config.ttl?;
        self.first(FRESH).map(|e| e.since + ttl)
    }

    fn failed_until(&self) -> Option<SimTime> {
        let ttl = self.config.negative_ttl.unwrap_or(SimDuration::ZERO);
        self.first(FAILED).map(|e| e.since + ttl)
    }

    /// When a window after the end of an entry's freshness is over.
    fn end(&self, entry: &Entry, window: SimDuration) -> SimTime {
        self.config.ttl.map_or(SimTime::NEVER, |ttl| entry.since + ttl + window)
    }

    /// The entry of a key.
    #[inline]
    fn find(&self, key: u64) -> Option<u32> {
        self.index.get(key, |slot| self.entries[slot as usize].key == key)
    }

    #[inline]
    fn list_of(&self, slot: u32) -> usize {
        usize::from(self.entries[slot as usize].list)
    }

    #[inline]
    fn unlink(&mut self, slot: u32) {
        let Entry { list, before, after, .. } = self.entries[slot as usize];
        let list = usize::from(list);
        match before {
            NONE => self.lists[list].first = after,
            before => self.entries[before as usize].after = after,
        }
        match after {
            NONE => self.lists[list].last = before,
            after => self.entries[after as usize].before = before,
        }
        self.lists[list].len -= 1;
    }

    #[inline]
    fn push_back(&mut self, list: usize, slot: u32) {
        let last = std::mem::replace(&mut self.lists[list].last, slot);
        let entry = &mut self.entries[slot as usize];
        (entry.list, entry.before, entry.after) = (list as u8, last, NONE);
        match last {
            NONE => self.lists[list].first = slot,
            last => self.entries[last as usize].after = slot,
        }
        self.lists[list].len += 1;
    }

    fn push_front(&mut self, list: usize, slot: u32) {
        let first = std::mem::replace(&mut self.lists[list].first, slot);
        let entry = &mut self.entries[slot as usize];
        (entry.list, entry.before, entry.after) = (list as u8, NONE, first);
        match first {
            NONE => self.lists[list].last = slot,
            first => self.entries[first as usize].before = slot,
        }
        self.lists[list].len += 1;
    }

    // ---- room ----

    fn store(&mut self, now: SimTime, key: u64, outcome: Outcome, random: u64) {
        let list = if outcome == Outcome::Ok { FRESH } else { FAILED };
        let slot = match self.find(key) {
            Some(slot) => {
                self.unlink(slot);
                slot
            }
            None => {
                if self.config.capacity.is_some_and(|c| self.heap.len() >= c as usize) {
                    self.evict(random);
                }
                self.add(key)
            }
        };
        self.push_back(list, slot);
        let stored = self.operations + 1;
        let entry = &mut self.entries[slot as usize];
        (entry.since, entry.outcome, entry.is_refreshing, entry.stored) = (now, outcome, false, stored);
        let ends = if list == FRESH { self.fresh_until() } else { self.failed_until() };
        self.due = self.due.min(ends.unwrap_or(SimTime::NEVER));
        if self.config.eviction == Eviction::Fifo {
            self.move_to_end(slot);
        }
        self.touch(slot);
    }

    /// A new entry, in the heap and the index, and in no list yet.
    fn add(&mut self, key: u64) -> u32 {
        let place = self.heap.len() as u32;
        let entry = Entry {
            key,
            since: SimTime::ZERO,
            stored: 0,
            used: 0,
            uses: 0,
            outcome: Outcome::Ok,
            is_refreshing: false,
            list: FRESH as u8,
            before: NONE,
            after: NONE,
            place,
            less: NONE,
            more: NONE,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.heap.push(slot);
        if self.is_listed() {
            self.join_line(slot);
        } else {
            self.sift_up(place as usize);
        }
        self.index.insert(key, slot);
        slot
    }

    fn evict(&mut self, random: u64) {
        if self.is_listed() {
            self.remove(self.line.first);
            self.evictions += 1;
            return;
        }
        let at = match self.config.eviction {
            Eviction::Random => ((u128::from(random) * self.heap.len() as u128) >> 64) as usize,
            Eviction::Lru | Eviction::Fifo | Eviction::Lfu => 0,
        };
        self.remove(self.heap[at]);
        self.evictions += 1;
    }

    fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        let Entry { key, place, .. } = self.entries[slot as usize];
        self.index.remove(key, |value| value == slot);
        let place = place as usize;
        self.heap.swap_remove(place);
        if let Some(moved) = self.heap.get(place) {
            self.entries[*moved as usize].place = place as u32;
            if !self.is_listed() {
                self.sift_down(place);
                self.sift_up(place);
            }
        }
        if self.is_listed() {
            self.leave_line(slot);
        }
        self.free.push(slot);
    }

    /// An entry is used.
    #[inline]
    fn touch(&mut self, slot: u32) {
        self.operations += 1;
        let entry = &mut self.entries[slot as usize];
        entry.used = self.operations;
        entry.uses += 1;
        // Used later and more often than before: it can only move away from the first place.
        let place = entry.place as usize;
        match self.config.eviction {
            Eviction::Lru => self.move_to_end(slot),
            Eviction::Fifo if self.is_listed() => {}
            Eviction::Fifo | Eviction::Random | Eviction::Lfu => self.sift_down(place),
        }
    }

    // ---- the line by worth ----

    /// Whether the worth of entries is their place in the line.
    #[inline]
    fn is_listed(&self) -> bool {
        !self.in_heap && matches!(self.config.eviction, Eviction::Lru | Eviction::Fifo)
    }

    /// An entry is worth most from now on.
    #[inline]
    fn move_to_end(&mut self, slot: u32) {
        if self.in_heap {
            self.sift_down(self.entries[slot as usize].place as usize);
        } else if self.line.last != slot {
            self.leave_line(slot);
            self.join_line(slot);
        }
    }

    #[inline]
    fn join_line(&mut self, slot: u32) {
        let last = std::mem::replace(&mut self.line.last, slot);
        let entry = &mut self.entries[slot as usize];
        (entry.less, entry.more) = (last, NONE);
        match last {
            NONE => self.line.first = slot,
            last => self.entries[last as usize].more = slot,
        }
    }

    #[inline]
    fn leave_line(&mut self, slot: u32) {
        let Entry { less, more, .. } = self.entries[slot as usize];
        match less {
            NONE => self.line.first = more,
            less => self.entries[less as usize].more = more,
        }
        match more {
            NONE => self.line.last = less,
            more => self.entries[more as usize].less = less,
        }
    }

    /// Brings line or heap in the order of new settings.
    fn put_in_order(&mut self) {
        self.line = List::EMPTY;
        if self.is_listed() {
            let mut slots = self.heap.clone();
            let is_lru = self.config.eviction == Eviction::Lru;
            slots.sort_unstable_by_key(|slot| {
                let entry = &self.entries[*slot as usize];
                if is_lru { entry.used } else { entry.stored }
            });
            slots.into_iter().for_each(|slot| self.join_line(slot));
            return;
        }
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
    }

    // ---- the heap by worth ----

    /// What an entry is worth: the least makes room.
    fn worth(&self, place: usize) -> (u64, u64) {
        let entry = &self.entries[self.heap[place] as usize];
        match self.config.eviction {
            Eviction::Lru => (0, entry.used),
            Eviction::Fifo => (0, entry.stored),
            Eviction::Random => (0, 0),
            Eviction::Lfu => (entry.uses, entry.used),
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.entries[self.heap[a] as usize].place = a as u32;
        self.entries[self.heap[b] as usize].place = b as u32;
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.worth(parent) <= self.worth(place) {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.worth(child) < self.worth(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }
}

#[cfg(test)]
mod tests;
