//! The cache by hand, and against one that a child would write.

use super::*;
use proptest::prelude::*;

const PLAIN: CacheConfig = CacheConfig {
    ttl: None,
    renew: false,
    capacity: None,
    eviction: Eviction::Lru,
    negative_ttl: None,
    stale_while_revalidate: SimDuration::ZERO,
    stale_if_error: SimDuration::ZERO,
};

const HIT: Lookup = Lookup::Hit(Outcome::Ok);

fn at(ns: u64) -> SimTime {
    SimTime::from_ns(ns)
}

fn ns(ns: u64) -> SimDuration {
    SimDuration::from_ns(ns)
}

fn put(cache: &mut Cache, now: u64, key: u64) {
    assert_eq!(cache.fetched(at(now), key, Outcome::Ok, 0), Outcome::Ok);
}

/// Which of the keys 1 to 9 are there, asked of a copy, as asking changes what is there next.
fn keys(cache: &Cache, now: u64) -> Vec<u64> {
    (1..10).filter(|key| cache.clone().lookup(at(now), *key) == HIT).collect()
}

#[test]
fn an_entry_is_fresh_until_its_time_is_over_and_renewed_by_access_if_it_is_to_be() {
    let ttl = Some(ns(10));
    let mut fixed = Cache::new(CacheConfig { ttl, ..PLAIN });
    put(&mut fixed, 5, 1);
    assert_eq!(fixed.next_expiry(), Some(at(15)));
    assert_eq!((fixed.lookup(at(14), 1), fixed.lookup(at(15), 1)), (HIT, Lookup::Miss));
    assert_eq!((fixed.len(), fixed.evictions(), fixed.next_expiry()), (0, 0, None));
    let mut sliding = Cache::new(CacheConfig { ttl, renew: true, ..PLAIN });
    put(&mut sliding, 5, 1);
    assert_eq!((sliding.lookup(at(14), 1), sliding.lookup(at(23), 1)), (HIT, HIT));
    assert_eq!(sliding.lookup(at(33), 1), Lookup::Miss);
}

#[test]
fn who_makes_room_depends_on_the_order() {
    let left = |eviction| {
        let mut cache = Cache::new(CacheConfig { capacity: Some(3), eviction, ..PLAIN });
        (1..4).for_each(|key| put(&mut cache, key, key));
        // 1 is used twice, 2 once and last, 3 never.
        [1, 1, 2].iter().for_each(|key| assert_eq!(cache.lookup(at(5), *key), HIT));
        put(&mut cache, 6, 4);
        put(&mut cache, 7, 5);
        assert_eq!((cache.len(), cache.evictions()), (3, 2));
        keys(&cache, 8)
    };
    assert_eq!(left(Eviction::Lru), [2, 4, 5]);
    assert_eq!(left(Eviction::Fifo), [3, 4, 5]);
    assert_eq!(left(Eviction::Lfu), [1, 2, 5]);
    assert!(left(Eviction::Random).contains(&5));
}

#[test]
fn random_eviction_takes_whom_the_number_names() {
    let full = || {
        let mut cache = Cache::new(CacheConfig { capacity: Some(4), eviction: Eviction::Random, ..PLAIN });
        (1..5).for_each(|key| put(&mut cache, 0, key));
        cache
    };
    let mut gone: Vec<u64> = (0..4)
        .map(|quarter| {
            let mut cache = full();
            cache.fetched(at(1), 9, Outcome::Ok, (quarter << 62) + 12345);
            (1..5).find(|key| !keys(&cache, 1).contains(key)).unwrap()
        })
        .collect();
    gone.sort_unstable();
    assert_eq!(gone, [1, 2, 3, 4]);
}

#[test]
fn stale_answers_are_served_while_one_fetches_anew() {
    let config = CacheConfig { ttl: Some(ns(10)), stale_while_revalidate: ns(5), ..PLAIN };
    let mut cache = Cache::new(config);
    put(&mut cache, 0, 1);
    assert_eq!(cache.lookup(at(10), 1), Lookup::Stale { refresh: true });
    assert_eq!(cache.lookup(at(11), 1), Lookup::Stale { refresh: false });
    assert_eq!((cache.live(), cache.len()), (0, 1));
    // The fetch failed: the stale answer stays, and another may try.
    assert_eq!(cache.fetched(at(12), 1, Outcome::Error, 0), Outcome::Error);
    assert_eq!(cache.lookup(at(13), 1), Lookup::Stale { refresh: true });
    put(&mut cache, 14, 1);
    assert_eq!((cache.lookup(at(23), 1), cache.live()), (HIT, 1));
    assert_eq!(cache.lookup(at(29), 1), Lookup::Miss);
}

#[test]
fn a_failed_fetch_is_answered_by_what_is_stale() {
    let mut cache = Cache::new(CacheConfig { ttl: Some(ns(10)), stale_if_error: ns(5), ..PLAIN });
    put(&mut cache, 0, 1);
    assert_eq!(cache.lookup(at(10), 1), Lookup::Miss);
    assert_eq!(cache.fetched(at(14), 1, Outcome::Timeout, 0), Outcome::Degraded);
    assert_eq!(cache.fetched(at(15), 1, Outcome::Timeout, 0), Outcome::Timeout);
}

#[test]
fn failures_are_kept_if_they_are_to_be_and_never_replace_a_good_answer() {
    let mut cache = Cache::new(CacheConfig { negative_ttl: Some(ns(10)), ..PLAIN });
    cache.fetched(at(0), 1, Outcome::Error, 0);
    assert_eq!(cache.lookup(at(9), 1), Lookup::Hit(Outcome::Error));
    assert_eq!(cache.lookup(at(10), 1), Lookup::Miss);
    cache.fetched(at(10), 1, Outcome::Error, 0);
    put(&mut cache, 11, 1);
    cache.fetched(at(12), 1, Outcome::Error, 0);
    assert_eq!(cache.lookup(at(99), 1), HIT);
    // What is degraded or called off is not kept.
    cache.fetched(at(12), 2, Outcome::Degraded, 0);
    cache.fetched(at(12), 3, Outcome::Cancelled, 0);
    assert_eq!(keys(&cache, 12), [1]);
}

#[test]
fn entries_follow_new_settings() {
    let mut cache = Cache::new(CacheConfig { ttl: Some(ns(10)), stale_if_error: ns(90), ..PLAIN });
    (1..8).for_each(|key| put(&mut cache, key, key));
    cache.expire(at(14));
    assert_eq!((cache.live(), cache.len()), (3, 7));
    let longer = CacheConfig { ttl: Some(ns(20)), ..PLAIN };
    cache.reconfigure(at(14), longer, 0);
    assert_eq!((cache.live(), cache.next_expiry()), (7, Some(at(21))));
    assert_eq!(cache.lookup(at(14), 1), HIT);
    cache.reconfigure(at(14), CacheConfig { capacity: Some(2), ..longer }, 0);
    assert_eq!((keys(&cache, 14), cache.evictions()), (vec![1, 7], 5));
    cache.reconfigure(at(14), CacheConfig { ttl: Some(ns(8)), ..PLAIN }, 0);
    assert_eq!(keys(&cache, 14), [7]);
}

/// A list of entries that is searched from end to end.
struct Naive {
    config: CacheConfig,
    entries: Vec<Plain>,
    operations: u64,
}

#[derive(Clone, Copy)]
struct Plain {
    key: u64,
    since: u64,
    stored: u64,
    used: u64,
    uses: u64,
    outcome: Outcome,
    is_refreshing: bool,
}

impl Naive {
    fn ttl(&self) -> u64 {
        self.config.ttl.map_or(1 << 40, |t| t.ns())
    }

    fn is_fresh(&self, e: &Plain, now: u64) -> bool {
        match e.outcome {
            Outcome::Ok => now < e.since + self.ttl(),
            _ => now < e.since + self.config.negative_ttl.map_or(0, |t| t.ns()),
        }
    }

    fn purge(&mut self, now: u64) {
        let window = self.config.stale_while_revalidate.max(self.config.stale_if_error).ns();
        let ttl = self.ttl();
        let mut all = std::mem::take(&mut self.entries);
        all.retain(|e| self.is_fresh(e, now) || e.outcome == Outcome::Ok && now < e.since + ttl + window);
        self.entries = all;
    }

    fn live(&self, now: u64) -> u32 {
        self.entries.iter().filter(|e| self.is_fresh(e, now)).count() as u32
    }

    fn lookup(&mut self, now: u64, key: u64) -> Lookup {
        self.purge(now);
        let Some(at) = self.entries.iter().position(|e| e.key == key) else { return Lookup::Miss };
        let e = self.entries[at];
        let fresh = self.is_fresh(&e, now);
        if !fresh && now >= e.since + self.ttl() + self.config.stale_while_revalidate.ns() {
            return Lookup::Miss;
        }
        self.operations += 1;
        let slot = &mut self.entries[at];
        (slot.used, slot.uses) = (self.operations, e.uses + 1);
        if !fresh {
            slot.is_refreshing = true;
            return Lookup::Stale { refresh: !e.is_refreshing };
        }
        if self.config.renew && e.outcome == Outcome::Ok {
            slot.since = now;
        }
        Lookup::Hit(e.outcome)
    }

    fn fetched(&mut self, now: u64, key: u64, outcome: Outcome) -> Outcome {
        self.purge(now);
        let known = self.entries.iter().position(|e| e.key == key);
        if let Some(at) = known {
            let e = self.entries[at];
            let fresh = self.is_fresh(&e, now);
            if outcome != Outcome::Ok && !fresh {
                self.entries[at].is_refreshing = false;
                if now < e.since + self.ttl() + self.config.stale_if_error.ns() {
                    self.operations += 1;
                    (self.entries[at].used, self.entries[at].uses) = (self.operations, e.uses + 1);
                    return Outcome::Degraded;
                }
            }
            if outcome != Outcome::Ok && e.outcome == Outcome::Ok && fresh {
                return outcome;
            }
        }
        let at_end = known.is_some_and(|at| !self.is_fresh(&self.entries[at], now));
        let keeps = outcome == Outcome::Ok || self.config.negative_ttl.is_some() && !at_end;
        if !keeps {
            return outcome;
        }
        let before = known.map(|at| self.entries.remove(at));
        if before.is_none() && self.config.capacity.is_some_and(|c| self.entries.len() >= c as usize) {
            let worth = |e: &Plain| match self.config.eviction {
                Eviction::Lru => (0, e.used),
                Eviction::Fifo => (0, e.stored),
                Eviction::Lfu => (e.uses, e.used),
                Eviction::Random => unreachable!(),
            };
            let worst = (0..self.entries.len()).min_by_key(|i| worth(&self.entries[*i])).unwrap();
            self.entries.remove(worst);
        }
        self.operations += 1;
        let now_used = self.operations;
        self.entries.push(Plain {
            key,
            since: now,
            stored: now_used,
            used: now_used,
            uses: before.map_or(0, |e| e.uses) + 1,
            outcome,
            is_refreshing: false,
        });
        outcome
    }
}

fn config() -> impl Strategy<Value = CacheConfig> {
    let time = || prop::option::of((1u64..40).prop_map(ns));
    let eviction = prop::sample::select(vec![Eviction::Lru, Eviction::Fifo, Eviction::Lfu]);
    (time(), any::<bool>(), prop::option::of(1u32..6), eviction, time(), 0u64..20, 0u64..20).prop_map(
        |(ttl, renew, capacity, eviction, negative_ttl, swr, sie)| CacheConfig {
            ttl,
            renew,
            capacity,
            eviction,
            negative_ttl,
            stale_while_revalidate: ns(swr),
            stale_if_error: ns(sie),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn agrees_with_a_list(
        config in config(),
        then in prop::option::of((1usize..20, config())),
        steps in prop::collection::vec((0u8..6, 0u64..10, 0u64..8), 1..30),
    ) {
        let mut cache = Cache::new(config);
        let mut naive = Naive { config, entries: Vec::new(), operations: 0 };
        let mut now = 0;
        for (number, (step, wait, key)) in steps.into_iter().enumerate() {
            now += wait;
            if let Some((at_step, new)) = then && at_step == number {
                // What evicts is kept: the order in which several make room at once is tested by hand.
                let new = CacheConfig { capacity: config.capacity, ..new };
                cache.reconfigure(at(now), new, 0);
                naive.purge(now);
                naive.config = new;
                naive.purge(now);
            }
            match step {
                0..=2 => prop_assert_eq!(cache.lookup(at(now), key), naive.lookup(now, key)),
                3 | 4 => {
                    cache.fetched(at(now), key, Outcome::Ok, 0);
                    naive.fetched(now, key, Outcome::Ok);
                }
                _ => prop_assert_eq!(
                    cache.fetched(at(now), key, Outcome::Error, 0),
                    naive.fetched(now, key, Outcome::Error)
                ),
            }
            cache.expire(at(now));
            naive.purge(now);
            prop_assert_eq!((cache.live(), cache.len()), (naive.live(now), naive.entries.len()));
            prop_assert!(config.capacity.is_none_or(|c| cache.len() <= c as usize));
        }
    }

    #[test]
    fn any_eviction_keeps_to_the_capacity_and_serves_nothing_expired(
        capacity in 1u32..8, ttl in 1u64..40, renew: bool,
        steps in prop::collection::vec((any::<bool>(), 0u64..10, 0u64..12, any::<u64>()), 1..40),
    ) {
        let eviction = Eviction::Random;
        let config = CacheConfig { ttl: Some(ns(ttl)), renew, capacity: Some(capacity), eviction, ..PLAIN };
        let mut cache = Cache::new(config);
        let mut since = [None; 12];
        let mut now = 0;
        for (asks, wait, key, random) in steps {
            now += wait;
            let since = &mut since[key as usize];
            if asks {
                let found = cache.lookup(at(now), key) == HIT;
                prop_assert!(!found || since.is_some_and(|s| now < s + ttl));
                if found && renew {
                    *since = Some(now);
                }
            } else {
                cache.fetched(at(now), key, Outcome::Ok, random);
                *since = Some(now);
                prop_assert_eq!(cache.clone().lookup(at(now), key), HIT);
            }
            prop_assert!(cache.len() <= capacity as usize);
        }
    }
}
