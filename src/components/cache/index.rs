//! Where a key's entry is: open addressing with linear probing, at most half full, without tombstones.

use crate::base::mix;

/// Nothing here.
const EMPTY: u32 = u32::MAX;

/// A map from keys to numbers. It is never walked through: its order would be an accident.
#[derive(Clone, Debug)]
pub(super) struct Index {
    places: Vec<(u64, u32)>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    /// The place where a key belongs if nothing is in the way.
    #[inline]
    fn home(&self, key: u64) -> usize {
        mix(key, 0) as usize & (self.places.len() - 1)
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// The place of a key, or the free one where it would be put.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let mut place = self.home(key);
        while self.places[place].1 != EMPTY && self.places[place].0 != key {
            place = self.next(place);
        }
        place
    }

    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let value = self.places[self.find(key)].1;
        (value != EMPTY).then_some(value)
    }

    /// Puts a key that is not there.
    pub(super) fn insert(&mut self, key: u64, value: u32) {
        if 2 * (self.len + 1) > self.places.len() {
            let size = (2 * self.places.len()).max(8);
            let old = std::mem::replace(&mut self.places, vec![(0, EMPTY); size]);
            for (key, value) in old.into_iter().filter(|(_, value)| *value != EMPTY) {
                let place = self.find(key);
                self.places[place] = (key, value);
            }
        }
        let place = self.find(key);
        debug_assert_eq!(self.places[place].1, EMPTY, "a key is put once");
        self.places[place] = (key, value);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, key: u64) {
        if self.places.is_empty() {
            return;
        }
        let mut hole = self.find(key);
        if self.places[hole].1 == EMPTY {
            return;
        }
        self.len -= 1;
        // Those behind it move up, unless that would put them before their home.
        let mut place = self.next(hole);
        let size = self.places.len();
        while self.places[place].1 != EMPTY {
            let home = self.home(self.places[place].0);
            let way = |to: usize| to.wrapping_sub(home) & (size - 1);
            if way(hole) < way(place) {
                self.places[hole] = self.places[place];
                hole = place;
            }
            place = self.next(place);
        }
        self.places[hole].1 = EMPTY;
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
            for (number, (puts, key)) in (0u32..).zip(steps) {
                if puts && !map.contains_key(&key) {
                    index.insert(key, number);
                    map.insert(key, number);
                } else if !puts {
                    index.remove(key);
                    map.remove(&key);
                }
                prop_assert_eq!(index.len, map.len());
                prop_assert_eq!(index.get(key), map.get(&key).copied());
            }
            prop_assert!((0..40).all(|key| index.get(key) == map.get(&key).copied()));
        }
    }
}
