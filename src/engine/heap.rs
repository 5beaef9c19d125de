//! A heap of keys: the least on top, four children to a parent, one cache line to a family.
//!
//! The tree lives in one array. Siblings share an aligned line of 64 bytes, so a step down touches one line and
//! compares within it. The root sits at position 3, alone in its line, which makes the arithmetic plain: the
//! children of position `p` are line `p - 2`, and the parent of position `p` is `p / 4 + 2`.
//!
//! ```text
//! line 0: ─ ─ ─ root     line 1: children of the root     line 2: children of position 4     line 3: of 5 …
//! ```
//!
//! Two habits make it fast. Taking the top leaves a *hole* there: a simulated event mostly schedules another, and
//! that one fills the hole by one walk down, where pop and push would walk twice. And a walk down does not ask at
//! each step whether the key belongs there, as a key taken from the bottom nearly always returns to the bottom: the
//! hole sinks all the way, then the key rises (Wegener 1993, "Bottom-up heapsort").
//!
//! Measured in prototype with the hold model (pop one, push one), ns at 100 / 10,000 / 1,000,000 pending:
//!
//! ```text
//! this heap                                          21 /  41 / 465
//! the same without the lasting hole                  26 /  44 / 475
//! the same asking at each step down                  24 /  48 / 572
//! std's binary heap, its top replaced in place       24 /  50 / 750
//! std's binary heap                                  35 /  63 / 800
//! ```
//!
//! Invariants: no key is less than its parent; all positions from `end` on are `Key::NONE`; a hole, if there is one,
//! is at the root.

use super::key::Key;

/// The position of the root.
const ROOT: usize = 3;

/// Four children of one parent.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Siblings([Key; 4]);

const _: () = assert!(size_of::<Siblings>() == 64);

impl Siblings {
    const NONE: Self = Self([Key::NONE; 4]);

    /// The least of the four and its place: two rounds of a tournament over the high halves, written so that the
    /// compiler takes conditional moves. Equal halves are rare (one time and rank, or no child at all).
    #[inline(always)]
    fn least(&self) -> (usize, Key) {
        let (a, b) = (self.0[0].high(), self.0[1].high());
        let (c, d) = (self.0[2].high(), self.0[3].high());
        let (left, right) = (a.min(b), c.min(d));
        if a == b || c == d || left == right {
            return self.least_of_ties();
        }
        let (left_place, right_place) = (usize::from(b < a), 2 + usize::from(d < c));
        let place = if right < left { right_place } else { left_place };
        (place, self.0[place % 4])
    }

    #[cold]
    #[inline(never)]
    fn least_of_ties(&self) -> (usize, Key) {
        let [a, b, c, d] = self.0;
        let (left, right) = (a.min(b), c.min(d));
        let (left_place, right_place) = (usize::from(b < a), 2 + usize::from(d < c));
        (if right < left { right_place } else { left_place }, left.min(right))
    }
}

/// A heap of keys, least first.
#[derive(Clone, Debug)]
pub struct KeyHeap {
    lines: Vec<Siblings>,
    /// One past the last position in use.
    end: usize,
    /// Whether the root has been taken and not yet filled again.
    hole: bool,
}

impl Default for KeyHeap {
    fn default() -> Self {
        Self { lines: vec![Siblings::NONE], end: ROOT, hole: false }
    }
}

impl KeyHeap {
    /// Puts `key` in.
    #[inline]
    pub fn insert(&mut self, key: Key) {
        if self.hole {
            self.hole = false;
            self.sink(key);
        } else {
            self.append(key);
        }
    }

    /// How many keys there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - ROOT - usize::from(self.hole)
    }

    /// Whether there is no key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The least key, left where it is; [`Key::NONE`] if there is none.
    #[inline]
    pub fn peek(&mut self) -> Key {
        if self.hole {
            self.hole = false;
            self.fill_from_the_end();
        }
        self.lines[0].0[ROOT]
    }

    /// Removes the key just seen by [`peek`](Self::peek); the next insertion takes its place.
    #[inline]
    pub fn take(&mut self) {
        debug_assert!(self.end > ROOT && !self.hole, "peek first");
        self.hole = true;
    }

    /// Hands over all keys, in no order.
    pub fn drain(&mut self, to: impl FnMut(Key)) {
        let first = ROOT + usize::from(self.hole);
        self.lines.iter().flat_map(|line| line.0).take(self.end).skip(first).for_each(to);
        self.clear();
    }

    /// Removes all and keeps the memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.lines.push(Siblings::NONE);
        self.end = ROOT;
        self.hole = false;
    }

    #[inline]
    fn append(&mut self, key: Key) {
        let position = self.end;
        if position / 4 == self.lines.len() {
            self.lines.push(Siblings::NONE);
        }
        self.end += 1;
        self.rise(position, key);
    }

    /// Closes the hole at the root with the last key, if any other is left.
    fn fill_from_the_end(&mut self) {
        self.end -= 1;
        let last = std::mem::replace(self.at(self.end), Key::NONE);
        if self.end > ROOT {
            self.sink(last);
        }
    }

    /// Lets the hole at the root sink to the bottom along the least children, then `key` rise from there.
    fn sink(&mut self, key: Key) {
        let lines = self.lines.as_mut_slice();
        let (mut line, mut place) = (ROOT / 4, ROOT % 4);
        loop {
            let below = 4 * line + place - 2;
            let Some(children) = lines.get(below) else { break };
            let (next, least) = children.least();
            if least.high() == Key::NONE.high() {
                break;
            }
            lines[line].0[place % 4] = least;
            (line, place) = (below, next);
        }
        self.rise(4 * line + place, key);
    }

    /// Puts `key` at the hole at `position`, or above it, moving greater parents down.
    #[inline]
    fn rise(&mut self, mut position: usize, key: Key) {
        while position > ROOT {
            let above = position / 4 + 2;
            let parent = *self.at(above);
            if parent < key {
                break;
            }
            *self.at(position) = parent;
            position = above;
        }
        *self.at(position) = key;
    }

    #[inline(always)]
    fn at(&mut self, position: usize) -> &mut Key {
        &mut self.lines[position / 4].0[position % 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimTime;
    use crate::engine::Rank;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(heap: &mut KeyHeap) {
        for position in ROOT + 1..heap.end {
            let parent = position / 4 + 2;
            let (above, below) = (*heap.at(parent), *heap.at(position));
            assert!((heap.hole && parent == ROOT) || above < below);
        }
        for position in heap.end..4 * heap.lines.len() {
            assert_eq!(*heap.at(position), Key::NONE);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_set(steps in prop::collection::vec(prop::option::weighted(0.6, 0u64..50), 0..400)) {
            let mut heap = KeyHeap::default();
            let mut model = BTreeSet::new();
            for (sequence, step) in steps.into_iter().enumerate() {
                if let Some(at) = step {
                    let key = Key::new(SimTime::from_ns(at), Rank::Timer, sequence as u64, 0);
                    heap.insert(key);
                    model.insert(key);
                } else {
                    let least = heap.peek();
                    prop_assert_eq!(least, model.pop_first().unwrap_or(Key::NONE));
                    if least != Key::NONE {
                        heap.take();
                    }
                }
                check(&mut heap);
                prop_assert_eq!(heap.len(), model.len());
            }
            while let Some(least) = model.pop_first() {
                prop_assert_eq!(heap.peek(), least);
                heap.take();
            }
            prop_assert!(heap.is_empty() && heap.peek() == Key::NONE);
        }
    }
}
