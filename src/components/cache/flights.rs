//! Single flight: of all who want the same key at once, one fetches it, and the others wait for what comes.
//!
//! Without it, a hot key that expires sends as many fetches down as requests come until the first is back: a stampede.
//!
//! The semantics are those of Go's `golang.org/x/sync/singleflight` (0.7): what the fetch ends with is shared, errors
//! too, and a fetch that hangs keeps all waiting. One thing differs: a fetch that is called off has no answer to share,
//! and the first of those who wait makes its own (as behind nginx's `proxy_cache_lock`).

use super::index::Index;

const NONE: u32 = u32::MAX;

/// What becomes of one who wants a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joined {
    /// Fetches it, and must [`pop`](Flights::pop) all who wait and [`end`](Flights::end) the flight, by this number.
    Leads(u32),
    /// Waits, under this number.
    Waits(u32),
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    key: u64,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Waiter<W> {
    who: W,
    flight: u32,
    before: u32,
    after: u32,
}

/// Fetches under way, and who waits for them. `W` names who waits: an id.
#[derive(Clone, Debug)]
pub struct Flights<W> {
    index: Index,
    flights: Vec<Flight>,
    free_flights: Vec<u32>,
    waiters: Vec<Waiter<W>>,
    free_waiters: Vec<u32>,
}

impl<W: Copy> Default for Flights<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Copy> Flights<W> {
    /// No flights.
    pub fn new() -> Self {
        Self {
            index: Index::new(),
            flights: Vec::new(),
            free_flights: Vec::new(),
            waiters: Vec::new(),
            free_waiters: Vec::new(),
        }
    }

    /// Somebody wants a key.
    pub fn join(&mut self, key: u64, who: W) -> Joined {
        let flights = &self.flights;
        let Some(flight) = self.index.get(key, |flight| flights[flight as usize].key == key) else {
            let new = Flight { key, first: NONE, last: NONE };
            let flight = put(&mut self.flights, &mut self.free_flights, new);
            self.index.insert(key, flight);
            return Joined::Leads(flight);
        };
        let last = self.flights[flight as usize].last;
        let new = Waiter { who, flight, before: last, after: NONE };
        let waiter = put(&mut self.waiters, &mut self.free_waiters, new);
        match last {
            NONE => self.flights[flight as usize].first = waiter,
            last => self.waiters[last as usize].after = waiter,
        }
        self.flights[flight as usize].last = waiter;
        Joined::Waits(waiter)
    }

    /// Takes out the one who has waited longest for a flight: to be given its answer, or to lead it from now on.
    pub fn pop(&mut self, flight: u32) -> Option<W> {
        let first = self.flights[flight as usize].first;
        (first != NONE).then(|| {
            let who = self.waiters[first as usize].who;
            self.leave(first);
            who
        })
    }

    /// Takes out one who waits.
    pub fn leave(&mut self, waiter: u32) {
        let Waiter { flight, before, after, .. } = self.waiters[waiter as usize];
        let flight = &mut self.flights[flight as usize];
        match before {
            NONE => flight.first = after,
            before => self.waiters[before as usize].after = after,
        }
        match after {
            NONE => flight.last = before,
            after => self.waiters[after as usize].before = before,
        }
        self.free_waiters.push(waiter);
    }

    /// A flight that nobody waits for is over.
    pub fn end(&mut self, flight: u32) {
        debug_assert_eq!(self.flights[flight as usize].first, NONE, "all who wait are told first");
        self.index.remove(self.flights[flight as usize].key, |value| value == flight);
        self.free_flights.push(flight);
    }

    /// Forgets all flights; gives those who waited, in no order that means anything, but always the same.
    pub fn reset(&mut self) -> Vec<W> {
        let mut is_free = vec![false; self.waiters.len()];
        self.free_waiters.iter().for_each(|w| is_free[*w as usize] = true);
        let old = std::mem::take(self);
        old.waiters.iter().zip(is_free).filter(|(_, free)| !free).map(|(w, _)| w.who).collect()
    }

    /// Fetches under way.
    pub fn len(&self) -> usize {
        self.flights.len() - self.free_flights.len()
    }

    /// Whether nothing is fetched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiters.len() - self.free_waiters.len()
    }
}

fn put<T>(all: &mut Vec<T>, free: &mut Vec<u32>, new: T) -> u32 {
    match free.pop() {
        Some(at) => {
            all[at as usize] = new;
            at
        }
        None => {
            all.push(new);
            all.len() as u32 - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn one_fetches_and_the_others_wait_in_order() {
        let mut flights = Flights::new();
        let Joined::Leads(a) = flights.join(7, 'a') else { panic!("nobody fetches 7") };
        let Joined::Waits(b) = flights.join(7, 'b') else { panic!("a fetches 7") };
        assert!(matches!(flights.join(8, 'c'), Joined::Leads(_)));
        assert!(matches!(flights.join(7, 'd'), Joined::Waits(_)));
        assert!(matches!(flights.join(7, 'e'), Joined::Waits(_)));
        assert_eq!((flights.len(), flights.waiting()), (2, 3));
        flights.leave(b);
        assert_eq!((flights.pop(a), flights.pop(a), flights.pop(a)), (Some('d'), Some('e'), None));
        flights.end(a);
        assert!(matches!(flights.join(7, 'f'), Joined::Leads(_)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn agrees_with_lists(steps in prop::collection::vec((0u8..5, 0u64..4, 0usize..6), 1..40)) {
            let mut flights = Flights::new();
            // By key: the flight, and who waits under which number.
            let mut model: BTreeMap<u64, (u32, Vec<(usize, u32)>)> = BTreeMap::new();
            for (who, (step, key, pick)) in steps.into_iter().enumerate() {
                match (step, model.get_mut(&key)) {
                    (0..=2, known) => match (flights.join(key, who), known) {
                        (Joined::Leads(flight), None) => {
                            model.insert(key, (flight, Vec::new()));
                        }
                        (Joined::Waits(number), Some((_, waiting))) => waiting.push((who, number)),
                        other => prop_assert!(false, "{other:?}"),
                    },
                    (3, Some((flight, waiting))) => {
                        for (expected, _) in waiting.drain(..) {
                            prop_assert_eq!(flights.pop(*flight), Some(expected));
                        }
                        prop_assert_eq!(flights.pop(*flight), None);
                        flights.end(*flight);
                        model.remove(&key);
                    }
                    (_, Some((_, waiting))) if pick < waiting.len() => flights.leave(waiting.remove(pick).1),
                    _ => {}
                }
                prop_assert_eq!(flights.len(), model.len());
                prop_assert_eq!(flights.waiting(), model.values().map(|(_, w)| w.len()).sum::<usize>());
            }
            let mut left: Vec<usize> = model.values().flat_map(|(_, w)| w.iter().map(|(who, _)| *who)).collect();
            let mut given = flights.reset();
            left.sort_unstable();
            given.sort_unstable();
            prop_assert_eq!(given, left);
            prop_assert!(flights.is_empty() && flights.waiting() == 0);
        }
    }
}
