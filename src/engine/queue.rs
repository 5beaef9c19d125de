//! The event queue: what happens next.
//!
//! Three parts. [`Keys`] orders the keys ([`super::key`]): a sorted row, and buckets behind it. A slab holds the
//! events, so that 16 bytes are moved whatever an event weighs. And *lanes* hold what needs no sorting: events of one
//! constant delay (timeouts, intervals, hedges) fall due in the order in which they were scheduled, so each such
//! delay has a queue of its own, first in, first out, of which only the head is among the keys. Thirty thousand
//! pending timeouts of 1 s then weigh as one key.
//!
//! ```text
//! keys    3 ─ 5 ─ 9 ─ 12 …              least key first
//!         │   │   └──────────► slab     any delay: the event waits in a slot
//!         │   └──────────────► lane     one delay: head, next, next, …
//!         └──────────────────► itself   an event that is no more than a number
//! ```
//!
//! Most timeouts are *dead* long before they are due: what they were set for has ended. Who pops and schedules may say
//! which events are dead; they are then dropped from their lane when it is full, before it grows, or when the head
//! leaves it. So a lane holds at most about twice as many events as are alive, and a dead timer costs no event.
//!
//! Invariants: events leave in order of `(time, rank, sequence)`, and sequence numbers are given when an event is
//! scheduled, to a lane or not: a lane changes the cost of an event, never its turn. The keys of a lane rise from
//! head to tail, since the clock never goes back. After warm-up nothing is allocated: slots and lanes are used again.

use super::key::{EVENTS_MAX, Key, Rank};
use super::keys::Keys;
use crate::base::{SimDuration, SimTime};

/// Names a lane of one [`EventQueue`]: a queue of events with the same delay and rank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneId(u16);

/// What may be pending in an [`EventQueue`].
pub trait Pending: Copy {
    /// The number below 2^30 that says all of the event, if there is one: it then waits in its key.
    #[inline]
    fn as_number(&self) -> Option<u32> {
        None
    }

    /// The event whose number this is.
    #[inline]
    fn of_number(_number: u32) -> Self {
        unreachable!("no event has a number")
    }
}

/// Pending events of type `E`, and the clock that they move.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    now: SimTime,
    sequence: u64,
    keys: Keys,
    slab: Slab<E>,
    lanes: Vec<Lane<E>>,
    /// Which lane was last found for delays of the same hash.
    found: [LaneId; FOUND],
}

impl<E: Pending> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Pending> EventQueue<E> {
    /// An empty queue at time zero.
    pub fn new() -> Self {
        Self {
            now: SimTime::ZERO,
            sequence: 0,
            keys: Keys::default(),
            slab: Slab { events: Vec::new(), free: Vec::new() },
            lanes: Vec::new(),
            found: [LaneId(0); FOUND],
        }
    }

    /// The time of the last event popped; zero at the start.
    #[inline]
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// How many events are pending; dead ones may count.
    pub fn len(&self) -> usize {
        let behind: usize = self.lanes.iter().map(|lane| lane.waiting.len().saturating_sub(1)).sum();
        self.keys.len() + behind
    }

    /// Whether no event is pending.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many events have been scheduled since the start; a run must stay below [`EVENTS_MAX`].
    #[inline]
    pub fn scheduled(&self) -> u64 {
        self.sequence
    }

    /// Schedules `event` for the instant `at`, which must not be past.
    #[inline(always)]
    pub fn schedule(&mut self, at: SimTime, rank: Rank, event: E) {
        debug_assert!(at >= self.now, "nothing can be scheduled for {at}: it is {} already", self.now);
        let slot = match event.as_number() {
            Some(number) => NUMBER | number,
            None => match self.slab.insert(event) {
                Some(slot) => slot,
                None => return self.schedule_anew(at, rank, event),
            },
        };
        let key = self.next_key(at.max(self.now).min(SimTime::NEVER), rank, slot);
        self.keys.insert_newest(key);
    }

    /// As [`schedule`](Self::schedule), when no slot is free. Apart, and the last thing done there, as all that is then
    /// left of it needs no register saved.
    #[cold]
    #[inline(never)]
    fn schedule_anew(&mut self, at: SimTime, rank: Rank, event: E) {
        self.slab.grow(event);
        self.schedule(at, rank, event);
    }

    /// The lane of one delay and rank, opened if there is none yet.
    #[inline]
    pub fn lane(&mut self, delay: SimDuration, rank: Rank) -> LaneId {
        let hash = (delay.ns() ^ u64::from(rank as u8)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let at = (hash >> 32) as usize % FOUND;
        let found = self.found[at];
        match self.lanes.get(usize::from(found.0)) {
            Some(lane) if lane.delay == delay && lane.rank == rank => found,
            _ => {
                self.found[at] = self.search(delay, rank);
                self.found[at]
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn search(&mut self, delay: SimDuration, rank: Rank) -> LaneId {
        let known = self.lanes.iter().position(|lane| lane.delay == delay && lane.rank == rank);
        let index = known.unwrap_or_else(|| {
            self.lanes.push(Lane { delay, rank, waiting: Ring::default() });
            self.lanes.len() - 1
        });
        assert!(index <= usize::from(u16::MAX), "a queue has at most 65,536 lanes");
        LaneId(index as u16)
    }

    /// Schedules `event` after the delay of `lane`.
    #[inline]
    pub fn schedule_lane(&mut self, lane: LaneId, event: E) {
        self.schedule_mortal(lane, event, |_| false);
    }

    /// Schedules `event` after the delay of `lane`, where `is_dead` says of which events in the lane nothing follows
    /// any more: they may be dropped.
    #[inline]
    pub fn schedule_mortal(&mut self, lane: LaneId, event: E, is_dead: impl Fn(&E) -> bool) {
        let number = LANE | u32::from(lane.0);
        let lane = &mut self.lanes[usize::from(lane.0)];
        debug_assert!(self.sequence < EVENTS_MAX, "out of sequence numbers");
        let at = (self.now + lane.delay).min(SimTime::NEVER);
        let key = Key::new(at, lane.rank, self.sequence, number);
        self.sequence += 1;
        debug_assert!(lane.waiting.back().is_none_or(|(last, _)| last < key), "a lane is in order");
        if lane.waiting.is_empty() {
            self.keys.insert_newest(key);
        }
        if lane.waiting.is_full() {
            lane.make_room(is_dead);
        }
        lane.waiting.push_back((key, event));
    }

    /// Removes the next event and moves the clock to it.
    #[inline]
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let key = self.keys.peek();
        (key != Key::NONE).then(|| self.take(key, |_| false, |_| ()))
    }

    /// Removes the next event and moves the clock to it if its time is before `end`; otherwise leaves all as it is.
    #[inline]
    pub fn pop_until(&mut self, end: SimTime) -> Option<(SimTime, E)> {
        self.pop_alive_until(end, |_| false, |_| ())
    }

    /// As [`pop_until`](Self::pop_until), where `is_dead` says of which events nothing follows any more: those at the
    /// head of a lane are dropped. An event that was not dropped before it came to the keys is returned all the same.
    ///
    /// If very many are pending, each event is shown to `soon` before it is its turn, some events at a time: who reads
    /// what they name then waits once for memory, and not again and again.
    #[inline]
    pub fn pop_alive_until(
        &mut self,
        end: SimTime,
        is_dead: impl Fn(&E) -> bool,
        soon: impl Fn(&E),
    ) -> Option<(SimTime, E)> {
        let key = self.keys.peek_before(end)?;
        Some(self.take(key, is_dead, soon))
    }

    /// Back to an empty queue at time zero. Keeps the memory, and the lanes with their names.
    pub fn clear(&mut self) {
        self.now = SimTime::ZERO;
        self.sequence = 0;
        self.keys.clear();
        self.slab.clear();
        for lane in &mut self.lanes {
            lane.waiting.clear();
        }
    }

    /// The key of one more pending event.
    #[inline]
    fn next_key(&mut self, at: SimTime, rank: Rank, slot: u32) -> Key {
        debug_assert!(self.sequence < EVENTS_MAX, "out of sequence numbers");
        let key = Key::new(at, rank, self.sequence, slot);
        self.sequence += 1;
        key
    }

    /// Takes out the event with the least key. If it was the head of a lane, the next in the lane that is not dead
    /// takes its place among the keys at once.
    #[inline]
    fn take(&mut self, key: Key, is_dead: impl Fn(&E) -> bool, soon: impl Fn(&E)) -> (SimTime, E) {
        debug_assert!(key.time() >= self.now, "time never goes back");
        self.now = key.time();
        if self.keys.take() {
            self.keys.next().filter_map(|key| self.slab.events.get(key.slot() as usize)).for_each(soon);
        }
        let slot = key.slot();
        if slot & (LANE | NUMBER) == NUMBER {
            return (self.now, E::of_number(slot & !NUMBER));
        }
        if slot & LANE == 0 {
            return (self.now, self.slab.remove(slot));
        }
        let lane = &mut self.lanes[(slot & !LANE) as usize];
        let Some((head, event)) = lane.waiting.pop_front() else {
            unreachable!("the keys hold the head of a lane")
        };
        debug_assert!(head == key, "the keys hold the head of a lane");
        while let Some((next, waiting)) = lane.waiting.front() {
            if !is_dead(&waiting) {
                self.keys.insert(next);
                break;
            }
            lane.waiting.pop_front();
        }
        (self.now, event)
    }
}

/// Places in the memory of lanes found.
const FOUND: usize = 16;

/// The bit by which a key says that its event waits in a lane; the rest of the slot is then the lane.
const LANE: u32 = 1 << 31;

/// The bit by which a key without that one says that the rest of its slot is the number of its event.
const NUMBER: u32 = 1 << 30;

/// Events of one delay and rank, head first.
#[derive(Clone, Debug)]
struct Lane<E> {
    delay: SimDuration,
    rank: Rank,
    waiting: Ring<(Key, E)>,
}

impl<E: Copy> Lane<E> {
    /// Room for one more: what is dead goes, but for the head, which is among the keys; and if at least half is alive,
    /// the room is doubled. So it costs each event a look at one or two others.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, is_dead: impl Fn(&E) -> bool) {
        let mut is_head = true;
        self.waiting.retain(|(_, event)| std::mem::take(&mut is_head) || !is_dead(event));
        if 2 * self.waiting.len() >= self.waiting.size {
            self.waiting.grow();
        }
    }
}

/// Places in a ring at first.
const RING_MIN: usize = 64;

/// A queue whose places are a power of two, so that going round it is a mask, and whose growth is somebody else's care,
/// so that adding to it is a store.
#[derive(Clone, Debug)]
struct Ring<T> {
    /// Those that were ever used: new ones take memory one by one.
    places: Vec<T>,
    /// How many there are, the unused included.
    size: usize,
    first: usize,
    len: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { places: Vec::new(), size: 0, first: 0, len: 0 }
    }
}

impl<T: Copy> Ring<T> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len == self.size
    }

    /// The place of the one after so many others.
    #[inline]
    fn place(&self, number: usize) -> usize {
        self.first.wrapping_add(number) & self.size.wrapping_sub(1)
    }

    #[inline]
    fn front(&self) -> Option<T> {
        if self.is_empty() { None } else { self.places.get(self.place(0)).copied() }
    }

    fn back(&self) -> Option<T> {
        if self.is_empty() { None } else { self.places.get(self.place(self.len - 1)).copied() }
    }

    /// Adds one behind all others; there must be room.
    #[inline]
    fn push_back(&mut self, one: T) {
        let place = self.place(self.len);
        match self.places.get_mut(place) {
            Some(used) => *used = one,
            None => self.places.push(one),
        }
        self.len += 1;
    }

    #[inline]
    fn pop_front(&mut self) -> Option<T> {
        let one = self.front()?;
        self.first = self.place(1);
        self.len -= 1;
        Some(one)
    }

    /// Keeps those for which `keeps` says so.
    fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        let mut kept = 0;
        for number in 0..self.len {
            let one = self.places[self.place(number)];
            if keeps(&one) {
                let place = self.place(kept);
                self.places[place] = one;
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// Twice the places, when all were used.
    fn grow(&mut self) {
        self.places.rotate_left(self.first);
        self.first = 0;
        self.size = (2 * self.size).max(RING_MIN);
        self.places.reserve_exact(self.size - self.places.len());
    }

    fn clear(&mut self) {
        (self.first, self.len) = (0, 0);
    }
}

/// Events in slots; a free slot is used again, last freed first, while it is still in the cache.
#[derive(Clone, Debug)]
struct Slab<E> {
    events: Vec<E>,
    free: Vec<u32>,
}

impl<E: Copy> Slab<E> {
    /// The slot where an event now waits; `None` if none is free.
    #[inline]
    fn insert(&mut self, event: E) -> Option<u32> {
        let slot = self.free.pop()?;
        *self.events.get_mut(slot as usize)? = event;
        Some(slot)
    }

    /// One more free slot, with whatever event in it.
    fn grow(&mut self, event: E) {
        let slot = self.events.len() as u32;
        debug_assert!(slot < NUMBER, "at most 2^30 events can be pending");
        self.events.push(event);
        // Room to free every slot, so that removing never allocates.
        self.free.reserve(self.events.capacity());
        self.free.push(slot);
    }

    #[inline]
    fn remove(&mut self, slot: u32) -> E {
        self.free.push(slot);
        self.events[slot as usize]
    }

    fn clear(&mut self) {
        self.events.clear();
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANKS: [Rank; 8] = [
        Rank::Fault,
        Rank::Completion,
        Rank::Delivery,
        Rank::Timer,
        Rank::Arrival,
        Rank::Control,
        Rank::Probe,
        Rank::Sample,
    ];

    fn at(ns: u64) -> SimTime {
        SimTime::from_ns(ns)
    }

    /// Half of the numbers wait in their keys, half in slots.
    impl Pending for u64 {
        fn as_number(&self) -> Option<u32> {
            (self.is_multiple_of(2) && *self < 1 << 30).then_some(*self as u32)
        }

        fn of_number(number: u32) -> Self {
            Self::from(number)
        }
    }

    impl Pending for () {}
    impl Pending for i32 {}
    impl Pending for char {}
    impl Pending for (Rank, usize) {}

    fn drain<E: Pending>(queue: &mut EventQueue<E>) -> Vec<E> {
        std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect()
    }

    #[test]
    fn ties_go_by_rank_then_by_sequence() {
        let mut queue = EventQueue::new();
        for (number, rank) in RANKS.into_iter().rev().chain(RANKS).enumerate() {
            queue.schedule(at(5), rank, (rank, number));
        }
        queue.schedule(at(4), Rank::Sample, (Rank::Sample, 99));
        let order = drain(&mut queue);
        assert_eq!(order[0], (Rank::Sample, 99));
        assert!(order[1..].is_sorted(), "{order:?}");
        assert_eq!(order.len(), 17);
    }

    #[test]
    fn a_lane_is_found_again() {
        let mut queue = EventQueue::<()>::new();
        let a = queue.lane(SimDuration::from_ms(1), Rank::Timer);
        let b = queue.lane(SimDuration::from_ms(1), Rank::Probe);
        let c = queue.lane(SimDuration::from_ms(2), Rank::Timer);
        assert_eq!(queue.lane(SimDuration::from_ms(1), Rank::Timer), a);
        assert!(a != b && b != c && a != c);
        queue.clear();
        assert_eq!(queue.lane(SimDuration::from_ms(2), Rank::Timer), c);
    }

    #[test]
    fn pop_until_stops_before_its_end() {
        let mut queue = EventQueue::new();
        queue.schedule(at(10), Rank::Timer, 'a');
        queue.schedule(at(20), Rank::Timer, 'b');
        assert_eq!(queue.pop_until(at(20)), Some((at(10), 'a')));
        assert_eq!(queue.pop_until(at(20)), None);
        assert_eq!((queue.now(), queue.len()), (at(10), 1));
        assert_eq!(queue.pop_until(at(21)), Some((at(20), 'b')));
        assert_eq!(queue.pop_until(SimTime::NEVER), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_lies_beyond_the_end_of_time_is_cut_to_it() {
        let mut queue = EventQueue::new();
        let lane = queue.lane(SimDuration::MAX, Rank::Timer);
        queue.schedule(at(1), Rank::Timer, 0);
        queue.pop();
        queue.schedule(at(u64::MAX), Rank::Timer, 1);
        queue.schedule_lane(lane, 2);
        assert_eq!(queue.pop(), Some((SimTime::NEVER, 1)));
        assert_eq!(queue.pop(), Some((SimTime::NEVER, 2)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn dead_timers_go_and_change_no_turn() {
        let mut queue = EventQueue::new();
        let lane = queue.lane(SimDuration::from_secs(30), Rank::Timer);
        // One in a hundred stays alive: each lives 1,000 steps of 1 ms, but for those.
        let is_dead = |event: &u64, now: u64| !event.is_multiple_of(100) && event + 1_000 < now;
        let mut rang = Vec::new();
        for step in 0..100_000u64 {
            queue.schedule(at(step * 1_000_000), Rank::Arrival, u64::MAX);
            while let Some((_, event)) =
                queue.pop_alive_until(at(step * 1_000_000 + 1), |e| is_dead(e, step), |_| ())
            {
                if event == u64::MAX {
                    queue.schedule_mortal(lane, step, |e| is_dead(e, step));
                } else if !is_dead(&event, step) {
                    rang.push(event);
                }
            }
            assert!(
                queue.lanes[0].waiting.places.len() <= 4_096,
                "30 s alive are 300, and the last second 1,000"
            );
        }
        assert_eq!(rang, (0..70_000).step_by(100).collect::<Vec<u64>>());
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = EventQueue::new();
        for step in 0..1_000 {
            queue.schedule(at(step), Rank::Timer, step);
            queue.schedule(at(step), Rank::Timer, step);
            queue.pop();
            queue.pop();
        }
        assert_eq!(queue.slab.events.len(), 2);
    }

    /// What a test does next.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Schedule { delay: u64, rank: usize },
        Lane { number: usize },
        Many { delay: u64, rank: usize },
        Pop,
        PopMany,
        PopUntil { ahead: u64 },
        Clear,
    }

    /// Short delays, so that most events tie.
    const LANES: [(u64, Rank); 4] =
        [(0, Rank::Delivery), (3, Rank::Timer), (3, Rank::Fault), (7, Rank::Timer)];

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            30 => (0u64..10, 0usize..8).prop_map(|(delay, rank)| Step::Schedule { delay, rank }),
            30 => (0usize..4).prop_map(|number| Step::Lane { number }),
            40 => Just(Step::Pop),
            2 => (0u64..10_000_000, 0usize..8).prop_map(|(delay, rank)| Step::Many { delay, rank }),
            1 => Just(Step::PopMany),
            10 => (0u64..5).prop_map(|ahead| Step::PopUntil { ahead }),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..300)
    }

    /// The queue as one would explain it: a list, searched for the least.
    #[derive(Default)]
    struct Plain {
        now: u64,
        sequence: u64,
        pending: Vec<(u64, Rank, u64)>,
    }

    impl Plain {
        fn schedule(&mut self, delay: u64, rank: Rank) -> u64 {
            self.pending.push((self.now + delay, rank, self.sequence));
            self.sequence += 1;
            self.sequence - 1
        }

        fn pop_until(&mut self, end: u64) -> Option<(SimTime, u64)> {
            self.pending.sort_unstable();
            if self.pending.first()?.0 >= end {
                return None;
            }
            let (time, _, sequence) = self.pending.remove(0);
            self.now = time;
            Some((at(time), sequence))
        }
    }

    /// Plays the steps on the queue and on the list, which must agree; lanes are used only if `lanes` says so.
    fn replay(steps: &[Step], use_lanes: bool) -> Result<(), TestCaseError> {
        let mut queue = EventQueue::new();
        let lanes = LANES.map(|(delay, rank)| queue.lane(SimDuration::from_ns(delay), rank));
        let mut plain = Plain::default();
        for &step in steps {
            match step {
                Step::Schedule { delay, rank } => {
                    let event = plain.schedule(delay, RANKS[rank]);
                    queue.schedule(at(plain.now + delay), RANKS[rank], event);
                }
                Step::Lane { number } => {
                    let (delay, rank) = LANES[number];
                    let event = plain.schedule(delay, rank);
                    if use_lanes {
                        queue.schedule_lane(lanes[number], event);
                    } else {
                        queue.schedule(at(plain.now + delay), rank, event);
                    }
                }
                // From now to the given delay, so that the buckets behind the row are needed.
                Step::Many { delay, rank } => {
                    for part in 0..70 {
                        let delay = delay * part / 70;
                        let event = plain.schedule(delay, RANKS[rank]);
                        queue.schedule(at(plain.now + delay), RANKS[rank], event);
                    }
                }
                Step::PopMany => {
                    for _ in 0..50 {
                        prop_assert_eq!(queue.pop(), plain.pop_until(u64::MAX));
                    }
                }
                Step::Pop => prop_assert_eq!(queue.pop(), plain.pop_until(u64::MAX)),
                Step::PopUntil { ahead } => {
                    let end = plain.now + ahead;
                    prop_assert_eq!(queue.pop_until(at(end)), plain.pop_until(end));
                }
                Step::Clear => {
                    queue.clear();
                    plain = Plain::default();
                }
            }
            prop_assert_eq!(queue.len(), plain.pending.len());
            prop_assert_eq!(queue.now(), at(plain.now));
            prop_assert_eq!(queue.scheduled(), plain.sequence);
        }
        while let Some(expected) = plain.pop_until(u64::MAX) {
            prop_assert_eq!(queue.pop(), Some(expected));
        }
        prop_assert_eq!(queue.pop(), None);
        Ok(())
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list(steps in steps()) {
            replay(&steps, true)?;
        }

        #[test]
        fn lanes_change_no_turn(steps in steps()) {
            replay(&steps, false)?;
        }
    }
}
