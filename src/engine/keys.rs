//! The keys of pending events, least first: a sorted row while they are few, a heap when they are many.
//!
//! A system in which every machine has one alarm set has a few dozen events pending. Then nothing beats a sorted
//! row: the least key is at its end, taking it is counting down, and a new key mostly belongs near the end, as what
//! is scheduled is mostly due soon. Measured on a dozen instances and a database, instructions for scheduling and
//! playing an event: heap 300, row 150.
//!
//! The row keeps the halves of its keys apart: the high ones are compared, the low ones only follow. Keys make room
//! four at a time where all four have to.
//!
//! Invariants: the row is sorted, greatest first, after four times [`Key::NONE`] at its beginning, which no key passes;
//! all keys are in the row or all are in the heap.

use super::heap::KeyHeap;
use super::key::Key;

/// Places in the row.
const PLACES: usize = 64;
/// Keys that make room at once; so many places at the beginning of the row are `Key::NONE`.
const BLOCK: usize = 4;
/// So many keys are left in the heap when they move back to the row: far fewer than fit, so that it takes many events
/// to fill it again.
const FEW: usize = 16;

/// Halves of the keys in the row; so many more than places that a block after the last place needs no check.
type Halves = [u64; PLACES + BLOCK];

/// The keys of all pending events.
#[derive(Clone, Debug)]
pub struct Keys {
    highs: Halves,
    lows: Halves,
    /// The place of the least key in the row.
    last: usize,
    heap: KeyHeap,
    /// Whether the keys are in the heap.
    is_heap: bool,
}

impl Default for Keys {
    fn default() -> Self {
        let none = Key::NONE;
        let (highs, lows) = ([none.high(); PLACES + BLOCK], [none.low(); PLACES + BLOCK]);
        Self { highs, lows, last: BLOCK - 1, heap: KeyHeap::default(), is_heap: false }
    }
}

impl Keys {
    /// How many there are.
    pub fn len(&self) -> usize {
        if self.is_heap { self.heap.len() } else { self.last - (BLOCK - 1) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts in the key with the highest sequence of all: of equal time and rank, it is the last.
    #[inline]
    pub fn insert_newest(&mut self, key: Key) {
        self.insert_by(key, |high, _, before, _| high < before);
    }

    /// Puts `key` in.
    #[inline]
    pub fn insert(&mut self, key: Key) {
        self.insert_by(key, |high, low, before, low_before| {
            high < before || high == before && low < low_before
        });
    }

    #[inline(always)]
    fn insert_by(&mut self, key: Key, is_less: impl Fn(u64, u64, u64, u64) -> bool) {
        if self.is_heap {
            return self.heap.insert(key);
        }
        // Masks instead of checks: all these are places.
        let mut to = (self.last + 1) % PLACES;
        if to == 0 {
            return self.fill_heap(key);
        }
        self.last = to;
        let (high, low) = (key.high(), key.low());
        loop {
            let block = (to - BLOCK) % PLACES;
            if is_less(high, low, self.highs[block], self.lows[block]) {
                break;
            }
            move_block(&mut self.highs, block);
            move_block(&mut self.lows, block);
            to = block;
        }
        loop {
            let before = (to - 1) % PLACES;
            if is_less(high, low, self.highs[before], self.lows[before]) {
                break;
            }
            self.highs[to] = self.highs[before];
            self.lows[to] = self.lows[before];
            to = before;
        }
        self.highs[to] = high;
        self.lows[to] = low;
    }

    /// The least key, left where it is; [`Key::NONE`] if there is none.
    #[inline]
    pub fn peek(&mut self) -> Key {
        if self.is_heap { self.heap.peek() } else { self.at(self.last) }
    }

    #[inline]
    fn at(&self, place: usize) -> Key {
        Key::of_halves(self.highs[place % PLACES], self.lows[place % PLACES])
    }

    /// Removes the key just seen by [`peek`](Self::peek).
    #[inline]
    pub fn take(&mut self) {
        if self.is_heap {
            return self.take_from_heap();
        }
        debug_assert!(self.last >= BLOCK, "peek first");
        self.last -= 1;
    }

    /// Removes all and keeps the memory.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.is_heap = false;
        self.last = BLOCK - 1;
    }

    #[inline(never)]
    fn take_from_heap(&mut self) {
        self.heap.take();
        if self.heap.len() > FEW {
            return;
        }
        self.is_heap = false;
        self.last = BLOCK - 1 + self.heap.len();
        for place in (BLOCK..=self.last).rev() {
            let key = self.heap.peek();
            (self.highs[place], self.lows[place]) = (key.high(), key.low());
            self.heap.take();
        }
        self.heap.clear();
    }

    /// The row is full: all move to the heap.
    #[cold]
    #[inline(never)]
    fn fill_heap(&mut self, key: Key) {
        self.is_heap = true;
        self.heap.insert(key);
        // In rising order, so that none rises in the heap.
        for place in (BLOCK..=self.last).rev() {
            self.heap.insert(self.at(place));
        }
        self.last = BLOCK - 1;
    }
}

/// Moves a block by one place towards the end.
#[inline(always)]
fn move_block(halves: &mut Halves, block: usize) {
    let at = &mut halves[block % PLACES..][..BLOCK + 1];
    let [a, b, c, d] = [at[0], at[1], at[2], at[3]];
    (at[1], at[2], at[3], at[4]) = (a, b, c, d);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimTime;
    use crate::engine::Rank;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// More come in the first half than leave, and fewer in the second: through the heap and back.
        #[test]
        fn agrees_with_a_sorted_set(
            up in prop::collection::vec(prop::option::weighted(0.8, 0u64..50), 0..200),
            down in prop::collection::vec(prop::option::weighted(0.2, 0u64..50), 0..200),
        ) {
            let mut keys = Keys::default();
            let mut model = BTreeSet::new();
            for (sequence, step) in up.into_iter().chain(down).enumerate() {
                if let Some(at) = step {
                    // Every third key comes late, as the next of a lane does.
                    let is_newest = sequence % 3 != 0;
                    let sequence = if is_newest { sequence + 1_000 } else { sequence } as u64;
                    let key = Key::new(SimTime::from_ns(at), Rank::Timer, sequence, 0);
                    if is_newest { keys.insert_newest(key) } else { keys.insert(key) }
                    model.insert(key);
                } else {
                    let least = keys.peek();
                    prop_assert_eq!(least, model.pop_first().unwrap_or(Key::NONE));
                    if least != Key::NONE {
                        keys.take();
                    }
                }
                prop_assert_eq!(keys.len(), model.len());
            }
            while let Some(least) = model.pop_first() {
                prop_assert_eq!(keys.peek(), least);
                keys.take();
            }
            prop_assert!(keys.is_empty() && keys.peek() == Key::NONE);
        }
    }
}
