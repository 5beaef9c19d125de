//! A garbage-collected heap: requests leave garbage, and now and then everything stops while it is collected.
//!
//! Intuition: what lives is what requests under way hold, and what leaks. The rest of the heap fills with garbage; when
//! the young generation is full, or whatever of it still fits beside what lives, there is a collection. As long as the
//! young generation fits, that is a young one with a short pause. If it does not, the collector has to go through all
//! that lives, and does so the more often the less is free.
//!
//! That is a death spiral: pauses let requests pile up, these hold memory, less is free, pauses come more often and
//! grow.
//!
//! ```text
//!   heap │ live │ garbage ............ │ free │      young collection when garbage reaches `young`
//!   heap │ live ........ │ garbage │ free │          full collection when garbage reaches what is free
//! ```
//!
//! Times: a full collection takes about a second for each GB that lives; G1 aims at pauses of 200 ms
//! (`MaxGCPauseMillis`) and is not bound to that; ZGC pauses for less than a millisecond, but whoever allocates while
//! the heap is full waits for the collection (an allocation stall).

use crate::base::SimDuration;

/// A heap.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HeapConfig {
    /// Its size in bytes (`-Xmx`).
    pub size: u64,
    /// Garbage after which there is a young collection, in bytes (`-Xmn`).
    pub young: u64,
    /// What each request leaves, in bytes.
    pub per_request: u64,
    /// The pause of a full collection for each byte that lives, in nanoseconds.
    pub full_ns_per_byte: f64,
}

/// A collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Collection {
    /// Of the young generation.
    Young,
    /// Of everything, with its pause.
    Full(SimDuration),
}

/// How much garbage there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap {
    garbage: u64,
}

impl Heap {
    /// Garbage there is, in bytes.
    #[inline]
    pub fn garbage(&self) -> u64 {
        self.garbage
    }

    /// A request allocates, while so many bytes live. Answers with the collection that this takes, if it takes one.
    pub fn on_request(&mut self, config: &HeapConfig, live: u64) -> Option<Collection> {
        self.garbage = self.garbage.saturating_add(config.per_request);
        let free = config.size.saturating_sub(live);
        if self.garbage < config.young.min(free) {
            return None;
        }
        self.garbage = 0;
        if config.young <= free {
            return Some(Collection::Young);
        }
        // What does not fit at all is collected as if it did: whether the process dies is its memory limit's affair.
        let ns = live.min(config.size) as f64 * config.full_ns_per_byte;
        Some(Collection::Full(SimDuration::from_ns(ns as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MB: u64 = 1_000_000;

    fn config() -> HeapConfig {
        HeapConfig { size: 1_000 * MB, young: 300 * MB, per_request: MB, full_ns_per_byte: 1.0 }
    }

    /// Requests from one collection to the next, and what that is.
    fn cycle(live: u64) -> (u64, Collection) {
        let mut heap = Heap::default();
        (1..).find_map(|n| heap.on_request(&config(), live).map(|c| (n, c))).unwrap()
    }

    #[test]
    fn less_free_means_longer_pauses_more_often() {
        assert_eq!(cycle(0), (300, Collection::Young));
        assert_eq!(cycle(700 * MB), (300, Collection::Young));
        assert_eq!(cycle(800 * MB), (200, Collection::Full(SimDuration::from_ms(800))));
        assert_eq!(cycle(990 * MB), (10, Collection::Full(SimDuration::from_ms(990))));
        assert_eq!(cycle(1_500 * MB), (1, Collection::Full(SimDuration::from_secs(1))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn garbage_always_fits(lives in prop::collection::vec(0u64..1_200, 1..100)) {
            let mut heap = Heap::default();
            for live in lives {
                let live = live * MB;
                let before = heap.garbage();
                let collection = heap.on_request(&config(), live);
                prop_assert!(heap.garbage() < 300 * MB);
                prop_assert!(live >= config().size || live + heap.garbage() < config().size);
                prop_assert_eq!(heap.garbage() == 0, collection.is_some());
                if collection.is_none() {
                    prop_assert_eq!(heap.garbage(), before + MB);
                }
            }
        }
    }
}
