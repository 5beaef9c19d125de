//! A resolver's cache of one name, and the time that a lookup takes.
//!
//! | resolver | keeps answers | keeps failures | a query is given up after |
//! | --- | --- | --- | --- |
//! | JVM | 30 s (for ever with a security manager) | 10 s | as the system's |
//! | glibc | not at all | not at all | 5 s, and asked again once for each server |
//!
//! A query or its answer that is lost costs the whole timeout: five seconds are the mark of glibc.

use crate::base::rng::Rng;
use crate::base::time::{SimDuration, SimTime};

/// How names are looked up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DnsConfig {
    /// How long an answer is kept.
    pub ttl: SimDuration,
    /// How long a failure is kept.
    pub negative_ttl: SimDuration,
    /// When a query is given up.
    pub timeout: SimDuration,
    /// How often each query is asked.
    pub attempts: u32,
    /// Queries for a name, one after the other: search domains are tried first (`ndots`).
    pub queries: u32,
    /// The chance that a query, or its answer, is lost.
    pub loss: f64,
}

/// What a cache knows of the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// Nothing: it has to be looked up.
    Nothing,
    /// Its address.
    Address,
    /// That it could not be looked up.
    Failure,
}

/// The cache of one caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct DnsCache {
    until: Option<(SimTime, bool)>,
}

impl DnsCache {
    /// What is known at `now`.
    pub fn known(&self, now: SimTime) -> Known {
        match self.until {
            Some((until, true)) if now < until => Known::Address,
            Some((until, false)) if now < until => Known::Failure,
            _ => Known::Nothing,
        }
    }

    /// A lookup has ended.
    pub fn store(&mut self, config: &DnsConfig, now: SimTime, found: bool) {
        let ttl = if found { config.ttl } else { config.negative_ttl };
        self.until = Some((now + ttl, found));
    }
}

/// How long a lookup takes whose queries take `each`, and whether it finds anything: queries that go unanswered as
/// often as they may be asked end it.
pub fn lookup(config: &DnsConfig, each: SimDuration, rng: &mut Rng) -> (SimDuration, bool) {
    let mut total = SimDuration::ZERO;
    for _ in 0..config.queries {
        let mut lost = 0;
        while lost < config.attempts && rng.chance(config.loss) {
            total = total + config.timeout;
            lost += 1;
        }
        if lost == config.attempts {
            return (total, false);
        }
        total = total + each;
    }
    (total, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GLIBC: DnsConfig = DnsConfig {
        ttl: SimDuration::ZERO,
        negative_ttl: SimDuration::ZERO,
        timeout: SimDuration::from_secs(5),
        attempts: 2,
        queries: 1,
        loss: 0.0,
    };
    const JVM: DnsConfig =
        DnsConfig { ttl: SimDuration::from_secs(30), negative_ttl: SimDuration::from_secs(10), ..GLIBC };

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    #[test]
    fn the_jvm_remembers_and_glibc_does_not() {
        let mut cache = DnsCache::default();
        assert_eq!(cache.known(at(0)), Known::Nothing);
        cache.store(&JVM, at(0), true);
        assert_eq!((cache.known(at(29)), cache.known(at(30))), (Known::Address, Known::Nothing));
        cache.store(&JVM, at(30), false);
        assert_eq!((cache.known(at(39)), cache.known(at(40))), (Known::Failure, Known::Nothing));
        cache.store(&GLIBC, at(50), true);
        assert_eq!(cache.known(at(50)), Known::Nothing);
    }

    #[test]
    fn what_is_lost_costs_five_seconds() {
        let each = SimDuration::from_ms(2);
        let mut rng = crate::base::rng::Rng::from_seed(1);
        assert_eq!(lookup(&GLIBC, each, &mut rng), (each, true));
        let four = DnsConfig { queries: 4, ..GLIBC };
        assert_eq!(lookup(&four, each, &mut rng), (SimDuration::from_ms(8), true));
        let dead = DnsConfig { loss: 1.0, ..GLIBC };
        assert_eq!(lookup(&dead, each, &mut rng), (SimDuration::from_secs(10), false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_lookup_ends_within_its_timeouts(
            attempts in 1u32..5, queries in 1u32..6, loss in 0.0f64..1.0, seed: u64,
        ) {
            let config = DnsConfig { attempts, queries, loss, ..GLIBC };
            let each = SimDuration::from_ms(1);
            let (time, found) = lookup(&config, each, &mut crate::base::rng::Rng::from_seed(seed));
            let most = config.timeout.scaled(f64::from(attempts * queries)) + each.scaled(f64::from(queries));
            prop_assert!(time <= most);
            prop_assert!(found || time >= config.timeout.scaled(f64::from(attempts)));
        }
    }
}
