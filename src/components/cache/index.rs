//! Where a key's entry is: open addressing with linear probing, at most half full, without tombstones.
//!
//! Keys themselves are with their entries: a place has half of a key's hash and a number, eight bytes in place of
//! sixteen, so that the indices of many caches share the processor's own. Who looks something up says whether the key
//! of a number is the one.

use crate::base::mix;

/// Nothing here.
const EMPTY: u32 = u32::MAX;

/// A key's hash, as far as it is kept, and its number.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    value: u32,
}

/// A map from keys to numbers. It is never walked through: its order would be an accident.
#[derive(Clone, Debug)]
pub(super) struct Index {
    places: Vec<Place>,
    len: usize,
}

#[inline]
fn hash_of(key: u64) -> u32 {
    mix(key, 0) as u32
}

impl Index {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    /// The place where a key belongs if nothing is in the way.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// The place of a key, or the free one where it would be put.
    #[inline]
    fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> usize {
        let mut place = self.home(hash);
        loop {
            let Place { hash: found, value } = self.places[place];
            if value == EMPTY || found == hash && is_it(value) {
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
        let value = self.places[self.find(hash_of(key), is_it)].value;
        (value != EMPTY).then_some(value)
    }

    /// Puts a key that is not there.
    pub(super) fn insert(&mut self, key: u64, value: u32) {
        if 2 * (self.len + 1) > self.places.len() {
            let size = (2 * self.places.len()).max(8);
            let none = Place { hash: 0, value: EMPTY };
            let old = std::mem::replace(&mut self.places, vec![none; size]);
            old.into_iter().filter(|place| place.value != EMPTY).for_each(|place| self.put(place));
        }
        self.put(Place { hash: hash_of(key), value });
        self.len += 1;
    }

    fn put(&mut self, one: Place) {
        let place = self.find(one.hash, |_| false);
        self.places[place] = one;
    }

    /// Removes a key, where `is_it` says whether a number is of that key.
    pub(super) fn remove(&mut self, key: u64, is_it: impl Fn(u32) -> bool) {
        if self.places.is_empty() {
            return;
        }
        let mut hole = self.find(hash_of(key), is_it);
        if self.places[hole].value == EMPTY {
            return;
        }
        self.len -= 1;
        // Those behind it move up, unless that would put them before their home.
        let mut place = self.next(hole);
        let size = self.places.len();
        while self.places[place].value != EMPTY {
            let home = self.home(self.places[place].hash);
            let way = |to: usize| to.wrapping_sub(home) & (size - 1);
            if way(hole) < way(place) {
                self.places[hole] = self.places[place];
                hole = place;
            }
            place = self.next(place);
        }
        self.places[hole].value = EMPTY;
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
