//! The keys of pending events, least first: the few that are next in a sorted row, what is due later in unsorted
//! buckets.
//!
//! While all fit the row, that is all there is. When it is full, what is due after some instant, the *bound*, goes to
//! buckets ([`super::far`]), and when the row is empty, the next bucket fills it and moves the bound. So each key is
//! sorted among a dozen others, however many there are.
//!
//! ```text
//! row   3 5 9 ∙ bound ∙ buckets   12 17 14   ∙   21   ∙   33 31 38 …
//! ```
//!
//! Sometimes many more keys come before the bound than there were when it was set: the first burst after a time of
//! few events, or ten thousand timers of one instant. They are kept in a heap, and if it gets large, its keys go to the
//! buckets as well and the bound is set anew. What this costs is less than a few moves for each key that made the heap
//! so large.
//!
//! Invariants: keys with a high half below the bound are in the row, or all of them in the heap; others are in the
//! buckets. Row and heap are empty only if the buckets are.

use super::far::Far;
use super::heap::KeyHeap;
use super::key::Key;
use super::row::Row;
use crate::base::SimTime;

/// So many keys are left in the heap when they move back to the row: far fewer than fit, so that it takes many events
/// to fill it again.
const FEW: usize = 16;
/// A bucket with few keys is added to the row while that holds no more with it.
const ENOUGH: usize = 8;
/// A heap of so many keys or more is spread over the buckets if no more than so many times its keys have to be moved
/// within these.
const WORTH: usize = 4;
/// With so many keys, their events fill the caches that are near.
const VERY_MANY: usize = 4_096;

/// The keys of all pending events.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Keys with this high half or a higher one are not for the row: the bound, and 0 while there is a heap.
    limit: u64,
    /// Whether there is more than the row.
    is_big: bool,
    is_heap: bool,
    row: Row,
    heap: KeyHeap,
    bound: u64,
    /// The size of the heap at which it is spread over the buckets.
    crowd: usize,
    far: Far,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            limit: u64::MAX,
            is_big: false,
            is_heap: false,
            row: Row::default(),
            heap: KeyHeap::default(),
            bound: u64::MAX,
            crowd: 0,
            far: Far::default(),
        }
    }
}

impl Keys {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.row.len() + self.heap.len() + self.far.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts in the key with the highest sequence of all: of equal time and rank, it is the last.
    #[inline]
    pub fn insert_newest(&mut self, key: Key) {
        if key.high() >= self.limit {
            return self.insert_apart(key);
        }
        if !self.row.insert_newest(key) {
            self.fill_heap(key);
        }
    }

    /// Puts `key` in.
    #[inline]
    pub fn insert(&mut self, key: Key) {
        if key.high() >= self.limit {
            return self.insert_apart(key);
        }
        if !self.row.insert(key) {
            self.fill_heap(key);
        }
    }

    /// The least key, left where it is; [`Key::NONE`] if there is none.
    #[inline]
    pub fn peek(&mut self) -> Key {
        let least = self.row.least();
        if least != Key::NONE { least } else { self.peek_apart() }
    }

    /// The least key, left where it is, if its time is before `end`.
    #[inline]
    pub fn peek_before(&mut self, end: SimTime) -> Option<Key> {
        let least = self.row.least();
        // The row is empty while there is a heap, and no key at all is as good as one at the end of time.
        if least.time() < end {
            return Some(least);
        }
        Some(self.peek_apart()).filter(|key| key.time() < end)
    }

    #[inline(never)]
    fn peek_apart(&mut self) -> Key {
        if self.is_heap { self.heap.peek() } else { self.row.least() }
    }

    /// Removes the key just seen by [`peek`](Self::peek). Says whether others, of so many that their events are hardly
    /// in the cache, have just become the [`next`](Self::next) ones.
    #[inline]
    pub fn take(&mut self) -> bool {
        if self.is_big {
            return self.take_of_many();
        }
        self.row.take();
        false
    }

    /// The keys in the row.
    pub fn next(&self) -> impl Iterator<Item = Key> {
        self.row.iter()
    }

    /// Removes all and keeps the memory.
    pub fn clear(&mut self) {
        self.row.clear();
        self.heap.clear();
        self.far.clear();
        (self.is_heap, self.is_big, self.limit, self.bound) = (false, false, u64::MAX, u64::MAX);
    }

    /// Puts in what is not for the row.
    #[inline(never)]
    fn insert_apart(&mut self, key: Key) {
        if key.high() >= self.bound {
            self.far.push(key);
        } else {
            self.insert_into_heap(key);
        }
    }

    #[inline(never)]
    fn insert_into_heap(&mut self, key: Key) {
        self.heap.insert(key);
        let len = self.heap.len();
        if len >= self.crowd {
            // Worth it only if not many more are moved for it.
            if self.far.cost_of_lowering(self.heap.peek().high()) <= WORTH * len {
                self.spread();
            } else {
                self.crowd = 2 * len;
            }
        }
    }

    // Small, and what it calls is the last thing done, so that no register has to be saved.
    #[inline(never)]
    fn take_of_many(&mut self) -> bool {
        if self.is_heap {
            return self.take_from_heap();
        }
        self.row.take();
        if !self.row.is_empty() {
            return false;
        }
        self.refill()
    }

    #[inline(never)]
    fn take_from_heap(&mut self) -> bool {
        self.heap.take();
        if self.heap.len() > FEW {
            return false;
        }
        self.leave_heap();
        self.row.is_empty() && self.refill()
    }

    /// The keys of the heap go back to the row.
    fn leave_heap(&mut self) {
        while !self.heap.is_empty() {
            let key = self.heap.peek();
            self.heap.take();
            self.row.insert(key);
        }
        self.heap.clear();
        self.is_heap = false;
        self.is_big = !self.far.is_empty();
        self.limit = self.bound;
    }

    /// The row is full: all move to the heap.
    #[cold]
    #[inline(never)]
    fn fill_heap(&mut self, key: Key) {
        (self.is_heap, self.is_big, self.limit) = (true, true, 0);
        self.crowd = 0;
        self.heap.insert(key);
        while !self.row.is_empty() {
            self.heap.insert(self.row.least());
            self.row.take();
        }
    }

    /// Moves all keys from the heap to the buckets, and the next ones to the row.
    #[cold]
    #[inline(never)]
    fn spread(&mut self) {
        self.far.lower(self.heap.peek().high());
        let far = &mut self.far;
        self.heap.drain(|key| far.push(key));
        (self.is_heap, self.is_big) = (false, true);
        self.refill();
    }

    /// Fills the row, which is empty, with the next keys. Says whether there are very many.
    #[inline(never)]
    fn refill(&mut self) -> bool {
        self.bound = loop {
            let Some(first) = self.far.first() else {
                self.is_big = self.is_heap;
                break u64::MAX;
            };
            let is_begun = !self.row.is_empty();
            if self.is_heap || is_begun && self.row.len() + first.len > ENOUGH {
                break first.start;
            }
            if !first.is_long() {
                let row = &mut self.row;
                self.far.hand_over(first, |key| {
                    row.insert(key);
                });
            } else if first.is_one_instant() {
                let heap = &mut self.heap;
                self.far.hand_over(first, |key| heap.insert(key));
                self.is_heap = true;
                self.crowd = 2 * self.heap.len();
            } else {
                self.far.split(first);
            }
        };
        self.limit = if self.is_heap { 0 } else { self.bound };
        self.far.len() >= VERY_MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimTime;
    use crate::base::time::TIME_NS_MAX;
    use crate::engine::Rank;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    impl Keys {
        fn check(&self) {
            assert!(!self.is_heap || self.row.is_empty());
            assert_eq!(self.limit, if self.is_heap { 0 } else { self.bound });
            assert_eq!(self.is_big, self.is_heap || !self.far.is_empty());
            assert!(self.far.is_empty() || !self.row.is_empty() || !self.heap.is_empty());
        }
    }

    /// How far ahead a key is: ties, what is soon, what is late, and the end of time.
    fn delay() -> impl Strategy<Value = u64> {
        prop_oneof![
            2 => Just(0),
            3 => 0u64..10,
            3 => 0u64..100_000,
            3 => 0u64..10_000_000_000,
            1 => (0u32..57).prop_map(|bits| (1 << bits) - 1),
        ]
    }

    /// So many times in ten a key comes, otherwise one goes; how often; what comes, by turns.
    fn phase() -> impl Strategy<Value = (u64, u64, Vec<(u64, u8)>)> {
        (0u64..10, 1u64..400, prop::collection::vec((delay(), 0u8..3), 1..30))
    }

    proptest! {
        /// Few and many, up and down, of one instant and of all times: as from a sorted set.
        #[test]
        fn agrees_with_a_sorted_set(phases in prop::collection::vec(phase(), 1..12)) {
            let mut keys = Keys::default();
            let mut model = BTreeSet::new();
            let (mut now, mut sequence) = (0, 0u64);
            for (up, steps, delays) in phases {
                for (step, &(delay, rank)) in (0..steps).zip(delays.iter().cycle()) {
                    if step * 7 % 10 < up {
                        let at = SimTime::from_ns((now + delay).min(TIME_NS_MAX));
                        let rank = [Rank::Fault, Rank::Timer, Rank::Sample][usize::from(rank)];
                        // Every third key comes late, as the next of a lane does.
                        sequence += 1;
                        let is_newest = !sequence.is_multiple_of(3);
                        let turn = if is_newest { sequence + 10_000 } else { sequence };
                        let key = Key::new(at, rank, turn, sequence as u32);
                        if is_newest { keys.insert_newest(key) } else { keys.insert(key) }
                        model.insert(key);
                    } else {
                        let least = keys.peek();
                        prop_assert_eq!(least, model.pop_first().unwrap_or(Key::NONE));
                        if least != Key::NONE {
                            keys.take();
                            now = least.time().ns();
                        }
                    }
                    prop_assert_eq!(keys.len(), model.len());
                    keys.check();
                }
            }
            while let Some(least) = model.pop_first() {
                prop_assert_eq!(keys.peek(), least);
                keys.take();
                keys.check();
            }
            prop_assert!(keys.is_empty() && keys.peek() == Key::NONE);
        }
    }
}
