//! A percentile of the latencies of late, for whoever acts on it: a hedge that is sent when an answer is later than
//! most.
//!
//! Latencies are counted in buckets of at most 1/32 of their size, in two windows: the one under way, and the one
//! before. So what counts is between one and two windows old, and an old outage is forgotten.

use crate::base::time::{SimDuration, SimTime};

/// Buckets of one power of two.
const PER_OCTAVE: u64 = 32;
const BITS: u32 = PER_OCTAVE.trailing_zeros();

/// Times have 56 bits.
const BUCKETS: usize = ((56 - BITS as usize) + 1) * PER_OCTAVE as usize;

/// The percentile is computed anew when so many parts of a hundred of what it counts are new.
const FRESH: u64 = 2;

/// Which percentile of what.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PercentileConfig {
    /// From 0 to 100.
    pub percentile: f64,
    /// What it is taken for at the start.
    pub initial: SimDuration,
    /// How many latencies have to be known.
    pub min_samples: u32,
    /// The length of a window.
    pub window: SimDuration,
}

/// The latencies that one caller has seen.
#[derive(Clone, Debug)]
pub struct Percentile {
    config: PercentileConfig,
    current: Vec<u32>,
    previous: Vec<u32>,
    count: [u64; 2],
    began: SimTime,
    known: SimDuration,
    /// Latencies that are not in `known` yet; `None` if it has to be computed anew in any case.
    fresh: Option<u64>,
}

impl Percentile {
    /// Nothing is known yet.
    pub fn new(config: PercentileConfig, now: SimTime) -> Self {
        let none = vec![0; BUCKETS];
        Self {
            config,
            current: none.clone(),
            previous: none,
            count: [0, 0],
            began: now,
            known: config.initial,
            fresh: None,
        }
    }

    /// Changes the settings while it runs; what is known stays.
    pub fn reconfigure(&mut self, config: PercentileConfig) {
        self.config = config;
        self.fresh = None;
    }

    /// Takes note of a latency.
    pub fn observe(&mut self, now: SimTime, latency: SimDuration) {
        self.turn(now);
        self.current[bucket(latency.ns())] += 1;
        self.count[0] += 1;
        if let Some(fresh) = &mut self.fresh {
            *fresh += 1;
        }
    }

    /// The percentile, as far as it is known: at most 1/32 more than it really is.
    pub fn value(&mut self, now: SimTime) -> SimDuration {
        self.turn(now);
        let total = self.count[0] + self.count[1];
        if total < u64::from(self.config.min_samples.max(1)) {
            return self.config.initial;
        }
        if self.fresh.is_none_or(|fresh| fresh * 100 >= total * FRESH) {
            self.known = self.compute(total);
            self.fresh = Some(0);
        }
        self.known
    }

    fn compute(&self, total: u64) -> SimDuration {
        let rank = libm::ceil(self.config.percentile / 100.0 * total as f64).max(1.0) as u64;
        let mut sum = 0;
        for at in 0..BUCKETS {
            sum += u64::from(self.current[at]) + u64::from(self.previous[at]);
            if sum >= rank {
                return SimDuration::from_ns(greatest(at));
            }
        }
        self.config.initial
    }

    fn turn(&mut self, now: SimTime) {
        let windows = now.since(self.began).ns() / self.config.window.ns().max(1);
        if windows == 0 {
            return;
        }
        if windows == 1 {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.count = [0, self.count[0]];
        } else {
            self.previous.fill(0);
            self.count = [0, 0];
        }
        self.current.fill(0);
        self.began = now;
        self.fresh = None;
    }
}

fn bucket(ns: u64) -> usize {
    if ns < PER_OCTAVE {
        return ns as usize;
    }
    let shift = 63 - ns.leading_zeros() - BITS;
    let place = (u64::from(shift) + 1) * PER_OCTAVE + (ns >> shift) - PER_OCTAVE;
    (place as usize).min(BUCKETS - 1)
}

/// The greatest time in a bucket.
fn greatest(bucket: usize) -> u64 {
    let (octave, place) = (bucket as u64 / PER_OCTAVE, bucket as u64 % PER_OCTAVE);
    if octave == 0 { place } else { ((place + PER_OCTAVE + 1) << (octave - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: PercentileConfig = PercentileConfig {
        percentile: 90.0,
        initial: SimDuration::from_secs(1),
        min_samples: 10,
        window: SimDuration::from_secs(30),
    };

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    #[test]
    fn the_start_value_holds_until_enough_is_known() {
        let mut p = Percentile::new(CONFIG, at(0));
        for n in 1..=10u64 {
            assert_eq!(p.value(at(0)), CONFIG.initial);
            p.observe(at(0), SimDuration::from_ms(n));
        }
        let nine = p.value(at(0)).seconds();
        assert!((0.009..0.009 * 1.032).contains(&nine), "{nine}");
    }

    #[test]
    fn what_is_two_windows_old_is_forgotten() {
        let mut p = Percentile::new(CONFIG, at(0));
        (0..20).for_each(|_| p.observe(at(1), SimDuration::from_secs(5)));
        assert!(p.value(at(29)) >= SimDuration::from_secs(5));
        (0..10).for_each(|_| p.observe(at(31), SimDuration::from_ms(1)));
        assert!(p.value(at(31)) >= SimDuration::from_secs(5), "the window before still counts");
        assert!(p.value(at(61)) < SimDuration::from_ms(2));
        assert_eq!(p.value(at(200)), CONFIG.initial);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn it_is_the_percentile_to_a_thirty_second(
            percentile in 1u32..100, values in prop::collection::vec(0u64..10_000_000_000, 1..40),
        ) {
            let config = PercentileConfig { percentile: f64::from(percentile), min_samples: 1, ..CONFIG };
            let mut p = Percentile::new(config, at(0));
            values.iter().for_each(|ns| p.observe(at(1), SimDuration::from_ns(*ns)));
            let mut sorted = values;
            sorted.sort_unstable();
            let rank = (f64::from(percentile) / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
            let (exact, ours) = (sorted[rank - 1], p.value(at(1)).ns());
            prop_assert!(ours >= exact && ours as f64 <= exact as f64 * (1.0 + 1.0 / 32.0) + 1.0);
        }
    }
}
