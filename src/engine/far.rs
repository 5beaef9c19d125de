//! Keys of events that are not due for a while, in buckets that nobody sorts.
//!
//! A heap of a million keys costs a walk through ten lines of memory for each event, few of them in the cache. But what
//! is due in ten seconds need not be in order yet. So the halves of keys that are compared first are read as numbers of
//! eleven digits, and a key goes to the bucket of its first digit that differs from where the simulation stands
//! (`base`): level by level, as one sorts letters by country, then by town. When the first bucket is due and holds
//! many, `base` moves to its beginning and its keys go to the buckets of later digits; when it holds few, they are
//! handed over as they are, to be sorted. (Ahuja, Mehlhorn, Orlin and Tarjan 1990, "Faster algorithms for the shortest
//! path problem", call it a radix heap; wheels of timers are of the same kind.) So a key is moved twice or three times,
//! each time from one end of a row to the other, which processors are good at.
//!
//! ```text
//! base    … 4 7 2 0 0        level 0: 4 7 2 0 s     level 1: 4 7 2 s ∙     level 2: 4 7 s ∙ ∙     …
//! ```
//!
//! A bucket is a chain of chunks of one large row, so that memory is used for what is pending, whichever bucket it is
//! in: 16 bytes a key, and half a chunk for each bucket in use.
//!
//! Invariants: no key is below `base`; a key is at the level of the highest digit in which it differs from `base`, at
//! level 0 if it does not; a bucket's bit is set while it holds something, a level's bit while a bucket's is. From this
//! follows that the least key is in the first bucket of the lowest level that has any.

use super::key::Key;

/// Bits of a digit; a level has a word of bits for its buckets.
const DIGIT: u32 = 6;
/// Buckets of a level.
const BUCKETS: usize = 1 << DIGIT;
/// Levels: digits of 64 bits.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;
/// Keys in a chunk. Few, as it is what a bucket in use costs; so many that links are rarely followed.
const CHUNK: usize = 32;
/// Room for so many chunks is made at once: enough for some hundred keys, however they are spread.
const CHUNKS: usize = 256;
/// The end of the list of free chunks.
const NO_CHUNK: u32 = u32::MAX;

/// Keys, first chunk to last.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The first chunk.
    first: u32,
    /// One past the place of the last key: at the end of a chunk if that is full, and 0 if the bucket is empty.
    end: u32,
}

/// The bucket with the least keys, as [`Far::first`] finds it.
#[derive(Clone, Copy, Debug)]
pub struct First {
    level: u32,
    digit: u32,
    /// No key in it has a lower high half, and none outside has one from here to the bucket's end.
    pub start: u64,
    /// How many keys it holds, if that is no more than a chunk; otherwise more than any chunk.
    pub len: usize,
}

impl First {
    /// Whether it holds more than a chunk.
    pub fn is_long(self) -> bool {
        self.len > CHUNK
    }

    /// Whether the high halves of all its keys are the same.
    pub fn is_one_instant(self) -> bool {
        self.level == 0
    }

    fn bucket(self) -> usize {
        self.level as usize * BUCKETS + self.digit as usize
    }
}

/// Keys, in no order within a bucket.
#[derive(Clone, Debug)]
pub struct Far {
    base: u64,
    len: usize,
    /// Which levels have a bucket in use.
    levels: u32,
    /// Which buckets are in use, level by level.
    used: [u64; LEVELS],
    /// All buckets, level by level; none before they are needed.
    buckets: Vec<Bucket>,
    /// All chunks.
    places: Vec<Key>,
    /// The chunk after each chunk, in its bucket or in the list of free ones.
    next: Vec<u32>,
    /// The first free chunk.
    free: u32,
}

impl Default for Far {
    fn default() -> Self {
        Self {
            base: 0,
            len: 0,
            levels: 0,
            used: [0; LEVELS],
            buckets: Vec::new(),
            places: Vec::new(),
            next: Vec::new(),
            free: NO_CHUNK,
        }
    }
}

impl Far {
    /// How many keys there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.levels == 0
    }

    /// Puts in a key that is not below the base.
    #[inline]
    pub fn push(&mut self, key: Key) {
        self.len += 1;
        self.place(key);
    }

    #[inline(always)]
    fn place(&mut self, key: Key) {
        let index = self.bucket_of(key);
        let end = self.buckets[index].end as usize;
        if end.is_multiple_of(CHUNK) {
            // The last thing done, so that no register has to be saved before.
            return self.place_in_new_chunk(key);
        }
        self.places[end] = key;
        self.buckets[index].end = end as u32 + 1;
    }

    /// The number of the bucket to which a key belongs.
    #[inline(always)]
    fn bucket_of(&self, key: Key) -> usize {
        let high = key.high();
        debug_assert!(high >= self.base && !self.buckets.is_empty(), "no key is below the base");
        let level = self.level_of(high);
        let digit = (high >> (level * DIGIT)) as usize % BUCKETS;
        level as usize * BUCKETS + digit
    }

    /// The highest digit in which this differs from the base; 0 if it does not.
    #[inline(always)]
    fn level_of(&self, high: u64) -> u32 {
        (u64::BITS - 1 - ((high ^ self.base) | 1).leading_zeros()) / DIGIT
    }

    /// Places a key whose bucket is empty, or whose last chunk is full.
    #[inline(never)]
    fn place_in_new_chunk(&mut self, key: Key) {
        let index = self.bucket_of(key);
        if self.free == NO_CHUNK {
            self.free = self.next.len() as u32;
            self.places.resize(self.places.len() + CHUNK, Key::NONE);
            self.next.push(NO_CHUNK);
        }
        let chunk = self.free as usize;
        self.free = self.next[chunk];
        let (level, digit) = (index / BUCKETS, index % BUCKETS);
        self.levels |= 1 << level;
        self.used[level] |= 1 << digit;
        let Bucket { first, end } = &mut self.buckets[index];
        if *end == 0 {
            *first = chunk as u32;
        } else {
            self.next[*end as usize / CHUNK - 1] = chunk as u32;
        }
        self.places[chunk * CHUNK] = key;
        *end = (chunk * CHUNK) as u32 + 1;
    }

    /// The bucket with the least keys; `None` if there is none.
    #[inline]
    pub fn first(&self) -> Option<First> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let digit = self.used[level as usize].trailing_zeros();
        let shift = level * DIGIT;
        let start = ((self.base >> shift) & !(BUCKETS as u64 - 1) | u64::from(digit)) << shift;
        let Bucket { first, end } = self.buckets[level as usize * BUCKETS + digit as usize];
        let len = if (end as usize - 1) / CHUNK == first as usize {
            (end as usize - 1) % CHUNK + 1
        } else {
            CHUNK + 1
        };
        Some(First { level, digit, start, len })
    }

    /// Hands all keys of the first bucket to `to`, and moves the base to its beginning.
    #[inline]
    pub fn hand_over(&mut self, first: First, mut to: impl FnMut(Key)) {
        self.base = first.start;
        let mut handed = 0;
        self.empty(first, |_, key| {
            handed += 1;
            to(key);
        });
        self.len -= handed;
    }

    /// Spreads the first bucket over the levels below its own.
    #[inline(never)]
    pub fn split(&mut self, first: First) {
        debug_assert!(first.level > 0, "one instant cannot be split");
        self.base = first.start;
        self.empty(first, Self::place);
    }

    /// Takes all keys out of a bucket.
    #[inline(always)]
    fn empty(&mut self, bucket: First, mut take: impl FnMut(&mut Self, Key)) {
        let level = bucket.level as usize;
        self.used[level] &= !(1 << bucket.digit);
        if self.used[level] == 0 {
            self.levels &= !(1 << bucket.level);
        }
        let Bucket { first, end } = self.buckets[bucket.bucket()];
        self.buckets[bucket.bucket()].end = 0;
        let (mut chunk, end) = (first as usize, end as usize);
        let last = (end - 1) / CHUNK;
        loop {
            let from = chunk * CHUNK;
            let is_last = chunk == last;
            for place in from..(if is_last { end } else { from + CHUNK }) {
                let key = self.places[place];
                take(self, key);
            }
            let next = std::mem::replace(&mut self.next[chunk], self.free);
            self.free = chunk as u32;
            if is_last {
                return;
            }
            chunk = next as usize;
        }
    }

    /// How many keys are moved if the base is moved back to `base`, and no fewer than that many chunks hold.
    pub fn cost_of_lowering(&self, base: u64) -> usize {
        let mut chunks = 0;
        for level in 0..self.level_of(base) {
            let mut used = self.used[level as usize];
            while used != 0 {
                let Bucket { first, end } =
                    self.buckets[level as usize * BUCKETS + used.trailing_zeros() as usize];
                let (mut chunk, last) = (first as usize, (end as usize - 1) / CHUNK);
                chunks += 1;
                while chunk != last {
                    chunk = self.next[chunk] as usize;
                    chunks += 1;
                }
                used &= used - 1;
            }
        }
        chunks * CHUNK
    }

    /// Moves the base back to `base`, if it is beyond, so that lower keys can be put in.
    pub fn lower(&mut self, base: u64) {
        if self.buckets.is_empty() {
            self.buckets = vec![Bucket { first: NO_CHUNK, end: 0 }; LEVELS * BUCKETS];
            self.places.reserve(CHUNKS * CHUNK);
            self.next.reserve(CHUNKS);
        }
        if base > self.base && !self.is_empty() {
            return;
        }
        // What differs from the old base in a lower digit than the new base does now differs where that does: all these
        // go to one bucket, which was empty.
        let level = self.level_of(base);
        self.base = base;
        for below in 0..level {
            while self.used[below as usize] != 0 {
                let digit = self.used[below as usize].trailing_zeros();
                let bucket = First { level: below, digit, start: 0, len: 0 };
                self.empty(bucket, Self::place);
            }
        }
    }

    /// Removes all and keeps the memory.
    pub fn clear(&mut self) {
        (self.base, self.len, self.levels, self.used) = (0, 0, 0, [0; LEVELS]);
        self.buckets.iter_mut().for_each(|bucket| bucket.end = 0);
        self.places.clear();
        self.next.clear();
        self.free = NO_CHUNK;
    }
}
