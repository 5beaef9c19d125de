//! Where a key's entry is: open addressing with linear probing, at most half full, without tombstones.
//!
//! Keys themselves are with their entries. A place is a word: the number of an entry, and above it as much of its key's
//! hash as has room, so that the indices of many caches share the processor's own; who looks something up says whether
//! the key of a number is the one. Whole hashes are kept apart, for when places move.

use crate::base::mix;

/// Nothing here. No number has as many bits.
const EMPTY: u32 = u32::MAX;

/// A map from keys to numbers. It is never walked through: its order would be an accident.
#[derive(Clone, Debug)]
pub(super) struct Index {
    places: Vec<u32>,
    /// The hash of each number's key.
    hashes: Vec<u32>,
    len: usize,
}

#[inline]
fn hash_of(key: u64) -> u32 {
    mix(key, 0) as u32
}

impl Index {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), hashes: Vec::new(), len: 0 }
    }

    /// The bits that number a place. Those of a place's own number are among them, those of its hash are the others.
    #[inline]
    fn mask(&self) -> u32 {
        (self.places.len() as u32).wrapping_sub(1)
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// The place of a key, or the free one where it would be put.
    #[inline]
    fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> usize {
        let mask = self.mask();
        let mut place = (hash & mask) as usize;
        loop {
            let found = self.places[place];
            if found == EMPTY || (found ^ hash) & !mask == 0 && is_it(found & mask) {
                return place;
            }
            place = self.next(place);
        }
    }

    /// The number of a key, where `is_it` says whether a number is of that key.
    #[inline]
    pub(super) fn get(&self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let found = self.places[self.find(hash_of(key), is_it)];
        (found != EMPTY).then_some(found & self.mask())
    }

    /// Puts a key that is not there, with a number that is not there.
    pub(super) fn insert(&mut self, key: u64, number: u32) {
        let needed = 2 * (self.len.max(number as usize) + 1);
        if needed > self.places.len() {
            let (mask, old) = (self.mask(), std::mem::take(&mut self.places));
            self.places = vec![EMPTY; needed.next_power_of_two().max(8)];
            self.hashes.resize(self.places.len() / 2, 0);
            old.into_iter().filter(|place| *place != EMPTY).for_each(|place| self.put(place & mask));
        }
        self.hashes[number as usize] = hash_of(key);
        self.put(number);
        self.len += 1;
    }

    fn put(&mut self, number: u32) {
        let hash = self.hashes[number as usize];
        let place = self.find(hash, |_| false);
        self.places[place] = hash & !self.mask() | number;
    }

    /// Removes a key, where `is_it` says whether a number is of that key.
    pub(super) fn remove(&mut self, key: u64, is_it: impl Fn(u32) -> bool) {
        if self.places.is_empty() {
            return;
        }
        let mut hole = self.find(hash_of(key), is_it);
        if self.places[hole] == EMPTY {
            return;
        }
        self.len -= 1;
        // Those behind it move up, unless that would put them before their home.
        let mask = self.mask();
        let mut place = self.next(hole);
        while self.places[place] != EMPTY {
            let home = self.hashes[(self.places[place] & mask) as usize] as usize;
            let way = |to: usize| to.wrapping_sub(home) & mask as usize;
            if way(hole) < way(place) {
                self.places[hole] = self.places[place];
                hole = place;
            }
            place = self.next(place);
        }
        self.places[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn is_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..40), 1..40)) {
            let mut index = Index::new();
            let mut map = BTreeMap::new();
            let keys: Vec<u64> = steps.iter().map(|(_, key)| *key).collect();
            for (number, (puts, key)) in (0u32..).zip(steps) {
                if puts && !map.contains_key(&key) {
                    index.insert(key, number);
                    map.insert(key, number);
                } else if !puts {
                    index.remove(key, |number| keys[number as usize] == key);
                    map.remove(&key);
                }
                prop_assert_eq!(index.len, map.len());
                let found = index.get(key, |number| keys[number as usize] == key);
                prop_assert_eq!(found, map.get(&key).copied());
            }
            for key in 0..40 {
                let found = index.get(key, |number| keys[number as usize] == key);
                prop_assert_eq!(found, map.get(&key).copied());
            }
        }
    }
}
