//! A sorted row of keys, least last, for the few that are next.
//!
//! A system in which every machine has one alarm set has a few dozen events pending. Then nothing beats a sorted
//! row: the least key is at its end, taking it is counting down, and a new key mostly belongs near the end, as what
//! is scheduled is mostly due soon. Measured on a dozen instances and a database, instructions for scheduling and
//! playing an event: heap 300, row 150.
//!
//! The row keeps the halves of its keys apart: the high ones are compared, the low ones only follow. Keys make room
//! four at a time where all four have to.
//!
//! Invariant: the row is sorted, greatest first, after four times [`Key::NONE`] at its beginning, which no key passes.

use super::key::Key;

/// Places in the row.
const PLACES: usize = 64;
/// Keys that make room at once; so many places at the beginning of the row are `Key::NONE`.
const BLOCK: usize = 4;

/// Halves of the keys in the row; so many more than places that a block after the last place needs no check.
type Halves = [u64; PLACES + BLOCK];

/// At most 60 keys, sorted.
#[derive(Clone, Debug)]
pub struct Row {
    highs: Halves,
    lows: Halves,
    /// The place of the least key.
    last: usize,
}

impl Default for Row {
    fn default() -> Self {
        let none = Key::NONE;
        let (highs, lows) = ([none.high(); PLACES + BLOCK], [none.low(); PLACES + BLOCK]);
        Self { highs, lows, last: BLOCK - 1 }
    }
}

impl Row {
    /// How many keys there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.last - (BLOCK - 1)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.last == BLOCK - 1
    }

    /// Puts in the key with the highest sequence of all: of equal time and rank, it is the last. Says whether there was
    /// room.
    #[inline(always)]
    pub fn insert_newest(&mut self, key: Key) -> bool {
        self.insert_by(key, |high, _, before, _| high < before)
    }

    /// Puts `key` in. Says whether there was room.
    #[inline(always)]
    pub fn insert(&mut self, key: Key) -> bool {
        self.insert_by(key, |high, low, before, low_before| {
            high < before || high == before && low < low_before
        })
    }

    #[inline(always)]
    fn insert_by(&mut self, key: Key, is_less: impl Fn(u64, u64, u64, u64) -> bool) -> bool {
        // Masks instead of checks: all these are places.
        let mut to = (self.last + 1) % PLACES;
        if to == 0 {
            return false;
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
        true
    }

    /// The least key, left where it is; [`Key::NONE`] if there is none.
    #[inline]
    pub fn least(&self) -> Key {
        Key::of_halves(self.highs[self.last % PLACES], self.lows[self.last % PLACES])
    }

    /// All keys, greatest first.
    pub fn iter(&self) -> impl Iterator<Item = Key> {
        (BLOCK..=self.last).map(|place| Key::of_halves(self.highs[place], self.lows[place]))
    }

    /// Removes the least key.
    #[inline]
    pub fn take(&mut self) {
        debug_assert!(self.last >= BLOCK, "look first");
        self.last -= 1;
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.last = BLOCK - 1;
    }
}

/// Moves a block by one place towards the end.
#[inline(always)]
fn move_block(halves: &mut Halves, block: usize) {
    let block = block % PLACES;
    if let Some(keys) = halves[block..].first_chunk::<BLOCK>().copied()
        && let Some(to) = halves[block + 1..].first_chunk_mut::<BLOCK>()
    {
        *to = keys;
    }
}
