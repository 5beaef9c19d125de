//! Load balancing: which target gets the next request, among those believed able.
//!
//! Intuition: blind policies split arrivals evenly, policies that see split the queue evenly; a little sight (two
//! looks) buys most of the difference.
//!
//! [`Balancer`] knows the targets: weights, who is eligible, requests in flight. A policy only chooses among
//! candidates. A candidate list is sorted by index, so that a choice does not depend on the history of health.
//!
//! Sources: nginx 1.22.1 (weighted round robin, least connections), HAProxy 2.6.12 (round robin, least connections,
//! consistent hashing), Envoy 1.40.0 (round robin, least request, ring hash, Maglev), Finagle (two choices, peak EWMA),
//! AWS ALB (round robin, least outstanding requests, weighted random, fail open); the file of each policy says more.

mod bounded;
mod choices;
mod connections;
mod edf;
mod envoy;
mod haproxy;
mod least_outstanding;
mod maglev;
mod nginx_least_conn;
mod peak_ewma;
mod power_of_two;
mod random;
mod ring_hash;
mod round_robin;
mod slow_start;
pub mod sticky;
pub mod zone_aware;

use crate::base::{Rng, SimDuration, SimTime};
use bounded::{Bounded, HaproxyShares};
use choices::PowerOfChoices;
use connections::Connections;
use envoy::{EnvoyRoundRobin, LeastRequest};
use haproxy::{HaproxyRoundRobin, LeastConn};
use least_outstanding::LeastOutstanding;
use maglev::Maglev;
use nginx_least_conn::NginxLeastConn;
use peak_ewma::PeakEwma;
use power_of_two::PowerOfTwo;
use random::{Random, WeightedRandom};
use ring_hash::RingHash;
use round_robin::{RoundRobin, WeightedRoundRobin};
use slow_start::SlowStart;

pub use choices::CHOICES_MAX;
pub use connections::Reuse;
pub use peak_ewma::Flavour;
pub use slow_start::SlowStartConfig;

/// Which policy chooses, and its settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PolicyConfig {
    /// Each in turn, in order of index.
    RoundRobin,
    /// In turn by weight, evenly spread (nginx 1.22.1). Weight 0 gets nothing.
    WeightedRoundRobin,
    /// Uniformly at random.
    Random,
    /// At random by weight. Weight 0 gets nothing.
    WeightedRandom,
    /// Fewest requests in flight; among equals, uniformly at random.
    LeastOutstanding,
    /// Two different ones at random, the one with fewer requests in flight; among equals, at random.
    PowerOfTwo,
    /// By key, so that one key stays with one target while that is eligible. Weight 0 gets nothing.
    RingHash {
        /// Entries on the ring, at least: 1024 is used if this is less.
        ring_size: u32,
        /// How much of the mean a target may have in flight, in per cent; 0 is any number (Envoy's bound).
        hash_balance_factor: u32,
    },
    /// In turn by weight, as Envoy does. Weight 0 gets nothing, also in what follows.
    EnvoyRoundRobin,
    /// In turn by weight, as HAProxy does.
    HaproxyRoundRobin,
    /// Fewest requests in flight for its weight, as HAProxy counts; equals take turns.
    LeastConn,
    /// Fewest requests in flight for its weight, as nginx counts; equals take weighted turns.
    NginxLeastConn,
    /// The best of some draws with replacement; with unequal weights, turns by weight over load (Envoy).
    LeastRequest {
        /// How many draws.
        choice_count: u32,
        /// How much load counts where weights differ; 0 is not at all.
        active_request_bias: f64,
    },
    /// The least loaded of several different ones at random, at most [`CHOICES_MAX`].
    PowerOfChoices {
        /// How many.
        choices: u32,
    },
    /// Two different ones at random, the one whose recent latency times its requests is less.
    PeakEwma {
        /// How long latency is remembered: the time constant.
        decay: SimDuration,
        /// Whose.
        flavour: Flavour,
    },
    /// By key, through a table that targets fill in turns.
    Maglev {
        /// Places in the table: a prime.
        table_size: u32,
        /// As for the ring.
        hash_balance_factor: u32,
    },
    /// By key on a ring with 16 entries for each unit of weight, as HAProxy does.
    HaproxyHash {
        /// How much of the mean a target may have in flight, in per cent; 0 is any number (HAProxy's bound).
        hash_balance_factor: u32,
    },
    /// By connections that are kept, each to one target.
    Connections {
        /// Which idle one is lent.
        reuse: Reuse,
        /// How many pools there are; the key says which.
        pools: u32,
    },
}

impl PolicyConfig {
    /// Whether the key alone decides, as long as nobody leaves.
    pub fn is_hash(&self) -> bool {
        matches!(self, Self::RingHash { .. } | Self::Maglev { .. } | Self::HaproxyHash { .. })
    }
}

/// One balancer: its targets, numbered from 0, and its policy.
#[derive(Clone, Debug)]
pub struct Balancer {
    targets: Targets,
    config: PolicyConfig,
    policy: Policy,
    slow_start: SlowStart,
    /// Where zones matter: one more balancer for each, which has the targets of its zone only.
    zones: Option<Zones>,
}

#[derive(Clone, Debug)]
struct Zones {
    /// By target: its zone.
    of: Vec<u32>,
    inner: Vec<Balancer>,
}

/// What a balancer knows of its targets.
#[derive(Clone, Debug, Default)]
struct Targets {
    weights: Vec<u32>,
    is_eligible: Vec<bool>,
    /// Requests in flight. Never shrinks: a target that is gone may still have some.
    outstanding: Vec<u32>,
    /// The eligible, in order of index.
    eligible: Vec<u32>,
    /// All of them, in order of index.
    all: Vec<u32>,
    now: SimTime,
    /// What part of its weight each has: less than 1 in a slow start.
    factors: Vec<f64>,
    /// Whether some are in a slow start.
    is_warming: bool,
}

/// Whom a policy may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Among {
    Eligible,
    All,
}

#[derive(Clone, Debug)]
enum Policy {
    RoundRobin(RoundRobin),
    WeightedRoundRobin(WeightedRoundRobin),
    Random(Random),
    WeightedRandom(WeightedRandom),
    LeastOutstanding(LeastOutstanding),
    PowerOfTwo(PowerOfTwo),
    RingHash(RingHash, Bounded),
    EnvoyRoundRobin(EnvoyRoundRobin),
    HaproxyRoundRobin(HaproxyRoundRobin),
    LeastConn(LeastConn),
    NginxLeastConn(NginxLeastConn),
    LeastRequest(LeastRequest),
    PowerOfChoices(PowerOfChoices),
    PeakEwma(PeakEwma),
    Maglev(Maglev, Bounded),
    HaproxyHash(RingHash, HaproxyShares, u32),
    Connections(Connections),
}

impl Balancer {
    /// A balancer of as many targets as `weights`, all eligible and idle.
    pub fn new(config: PolicyConfig, weights: &[u32]) -> Self {
        let mut targets = Targets::default();
        targets.set_weights(weights);
        let mut policy = Policy::new(config, &targets);
        policy.on_targets_changed(&targets);
        Self { targets, config, policy, slow_start: SlowStart::default(), zones: None }
    }

    /// Changes policy and targets. Targets keep their index: those added at the end are eligible and idle, those
    /// cut off the end are gone. A rotation goes on where it was, unless the policy is another.
    pub fn reconfigure(&mut self, config: PolicyConfig, weights: &[u32]) {
        self.targets.set_weights(weights);
        // Rings depend on weights alone, and have nothing to remember.
        let is_ring = matches!(self.policy, Policy::RingHash(..) | Policy::HaproxyHash(..));
        if config != self.config || is_ring {
            self.policy = Policy::new(config, &self.targets);
            self.config = config;
        }
        self.policy.on_targets_changed(&self.targets);
        self.each_zone(|inner| inner.reconfigure(config, weights));
    }

    /// Chooses within zones from now on, given the zone of each target; or no more.
    pub fn set_zones(&mut self, zones: Option<(&[u32], u32)>) {
        let Some((of, count)) = zones else {
            self.zones = None;
            return;
        };
        if self.zones.as_ref().is_some_and(|zones| zones.of == of) {
            return;
        }
        let inner = |zone: u32| {
            let mut inner = Self { zones: None, ..self.clone() };
            inner.policy = Policy::new(self.config, &inner.targets);
            for (target, its) in (0u32..).zip(of) {
                inner.targets.set_eligible(target, *its == zone && self.is_eligible(target));
            }
            inner.policy.on_targets_changed(&inner.targets);
            inner
        };
        self.zones = Some(Zones { of: of.to_vec(), inner: (0..count).map(inner).collect() });
    }

    /// How many targets of a zone are believed able; 0 if zones do not matter.
    pub fn eligible_in(&self, zone: usize) -> usize {
        self.zones.as_ref().map_or(0, |zones| zones.inner[zone].eligible_count())
    }

    /// Chooses among the eligible of a zone.
    pub fn pick_in(&mut self, zone: usize, rng: &mut Rng, key: u64) -> Option<u32> {
        match &mut self.zones {
            Some(zones) => zones.inner[zone].pick(rng, key),
            None => self.pick(rng, key),
        }
    }

    #[inline]
    fn each_zone(&mut self, act: impl Fn(&mut Self)) {
        if let Some(zones) = &mut self.zones {
            zones.inner.iter_mut().for_each(act);
        }
    }

    /// The balancer of a target's zone.
    #[inline]
    fn zone_of(&mut self, target: u32) -> Option<&mut Self> {
        let zones = self.zones.as_mut()?;
        let zone = *zones.of.get(target as usize)?;
        zones.inner.get_mut(zone as usize)
    }

    /// Believes a target able, or not.
    pub fn set_eligible(&mut self, target: u32, yes: bool) {
        if self.targets.set_eligible(target, yes) {
            self.policy.on_targets_changed(&self.targets);
        }
        if let Some(inner) = self.zone_of(target) {
            inner.set_eligible(target, yes);
        }
    }

    /// How many targets are believed able.
    #[inline]
    pub fn eligible_count(&self) -> usize {
        self.targets.eligible.len()
    }

    /// Whether a target is believed able.
    #[inline]
    pub fn is_eligible(&self, target: u32) -> bool {
        self.targets.is_eligible.get(target as usize).is_some_and(|yes| *yes)
    }

    /// A request was sent to a target.
    #[inline(always)]
    pub fn on_start(&mut self, target: u32) {
        self.targets.outstanding[target as usize] += 1;
        self.policy.on_load_changed(&self.targets, target);
        if let Some(inner) = self.zone_of(target) {
            inner.on_start(target);
        }
    }

    /// A request to a target ended, in whatever way.
    #[inline]
    pub fn on_end(&mut self, target: u32) {
        let outstanding = &mut self.targets.outstanding[target as usize];
        debug_assert!(*outstanding > 0);
        *outstanding = outstanding.saturating_sub(1);
        self.policy.on_load_changed(&self.targets, target);
        if let Some(inner) = self.zone_of(target) {
            inner.on_end(target);
        }
    }

    /// Looks at the clock, and chooses; from numbers of its own that begin with a seed, for policies that draw. Only
    /// for a balancer without slow starts and zones.
    #[inline(always)]
    pub fn pick_at(&mut self, now: SimTime, seed: Option<u64>, key: u64) -> Option<u32> {
        debug_assert!(self.slow_start.len() == 0 && self.zones.is_none());
        self.targets.now = now;
        match &mut self.policy {
            Policy::RoundRobin(policy) if !self.targets.eligible.is_empty() => {
                Some(policy.pick(&self.targets.eligible))
            }
            // What does not draw does not care for the seed.
            _ => self.pick(&mut Rng::from_seed(seed.unwrap_or(0)), key),
        }
    }

    /// A request to a target ended: [`Balancer::give_back`], [`Balancer::on_end`] and [`Balancer::observe`] at once.
    #[inline(always)]
    pub fn on_answer(&mut self, now: SimTime, target: u32, key: u64, took: SimDuration) {
        if self.zones.is_none() && !self.policy.minds_answers() {
            let outstanding = &mut self.targets.outstanding[target as usize];
            debug_assert!(*outstanding > 0);
            *outstanding = outstanding.saturating_sub(1);
        } else {
            self.give_back(target, key);
            self.on_end(target);
            self.observe(now, target, took);
        }
    }

    /// The connection to a target that was lent for a request with this key is idle again; for policies that mind.
    #[inline]
    pub fn give_back(&mut self, target: u32, key: u64) {
        if let Policy::Connections(policy) = &mut self.policy {
            policy.give_back(target, key);
        }
    }

    /// What a request to a target took; for policies that mind.
    #[inline]
    pub fn observe(&mut self, now: SimTime, target: u32, took: SimDuration) {
        if let Policy::PeakEwma(policy) = &mut self.policy {
            policy.observe(now, target, took);
        }
        if let Some(inner) = self.zone_of(target) {
            inner.observe(now, target, took);
        }
    }

    /// What time it is, for the choices that follow.
    #[inline]
    pub fn tick(&mut self, now: SimTime) {
        self.targets.now = now;
        if self.slow_start.len() > 0 && self.slow_start.apply(now, &mut self.targets.factors) {
            self.on_factors_changed();
        }
        self.each_zone(|inner| inner.tick(now));
    }

    /// Sets how targets start, from now on; `None` is at once.
    pub fn set_slow_start(&mut self, config: Option<SlowStartConfig>) {
        self.slow_start.configure(config);
        if config.is_none() && self.targets.is_warming {
            self.targets.factors.fill(1.0);
            self.on_factors_changed();
        }
        self.each_zone(|inner| inner.set_slow_start(config));
    }

    /// A target has become able, by joining or by recovering, and so many others are; it may start slowly. To be told
    /// before it is eligible.
    pub fn on_able(&mut self, now: SimTime, target: u32, others: u32) {
        if self.slow_start.begin(now, target, others as usize) {
            self.slow_start.apply(now, &mut self.targets.factors);
            self.on_factors_changed();
        }
        if let Some(inner) = self.zone_of(target) {
            inner.on_able(now, target, others.min(inner.eligible_count() as u32));
        }
    }

    /// A target is able no more: a slow start ends.
    pub fn on_unable(&mut self, target: u32) {
        self.slow_start.end(target);
        if self.targets.is_warming {
            self.targets.factors[target as usize] = 1.0;
            self.on_factors_changed();
        }
        if let Some(inner) = self.zone_of(target) {
            inner.on_unable(target);
        }
    }

    /// How many targets are in a slow start.
    #[inline]
    pub fn slow_starting(&self) -> usize {
        self.slow_start.len()
    }

    fn on_factors_changed(&mut self) {
        let was = std::mem::replace(&mut self.targets.is_warming, self.slow_start.len() > 0);
        // Envoy's schedules look at weights at each turn; they are drawn anew only when slow starts begin or are over.
        let is_envoy = matches!(self.policy, Policy::EnvoyRoundRobin(_) | Policy::LeastRequest(_));
        if !is_envoy || was != self.targets.is_warming {
            self.policy.on_targets_changed(&self.targets);
        }
    }

    /// Requests in flight to a target.
    #[inline]
    pub fn outstanding(&self, target: u32) -> u32 {
        self.targets.outstanding[target as usize]
    }

    /// Chooses among the eligible; `None` if there are none, or none with a weight for a policy that weighs.
    #[inline]
    pub fn pick(&mut self, rng: &mut Rng, key: u64) -> Option<u32> {
        self.policy.pick(&self.targets, Among::Eligible, rng, key)
    }

    /// [`Balancer::pick`], written out for turns: for direct calls, which always take them.
    #[inline(always)]
    pub fn pick_in_turn(&mut self) -> Option<u32> {
        match &mut self.policy {
            Policy::RoundRobin(policy) if !self.targets.is_warming && !self.targets.eligible.is_empty() => {
                Some(policy.pick(&self.targets.eligible))
            }
            _ => self.pick(&mut Rng::from_seed(0), 0),
        }
    }

    /// Fails open: chooses among all targets, whatever is believed of them.
    pub fn pick_any(&mut self, rng: &mut Rng, key: u64) -> Option<u32> {
        self.policy.pick(&self.targets, Among::All, rng, key)
    }
}

impl Targets {
    fn set_weights(&mut self, weights: &[u32]) {
        self.weights.clear();
        self.weights.extend_from_slice(weights);
        self.is_eligible.resize(weights.len(), true);
        self.factors.resize(weights.len(), 1.0);
        self.outstanding.resize(self.outstanding.len().max(weights.len()), 0);
        self.all.clear();
        self.all.extend(0..weights.len() as u32);
        self.eligible.clear();
        self.eligible.extend(self.all.iter().filter(|t| self.is_eligible[**t as usize]));
    }

    /// Keeps the sorted list; false if nothing changed.
    fn set_eligible(&mut self, target: u32, yes: bool) -> bool {
        match self.is_eligible.get_mut(target as usize) {
            Some(was) if *was != yes => *was = yes,
            _ => return false,
        }
        let at = self.eligible.partition_point(|t| *t < target);
        if yes {
            self.eligible.insert(at, target);
        } else {
            self.eligible.remove(at);
        }
        true
    }

    /// A target's weight at present.
    #[inline]
    fn weight(&self, target: u32) -> f64 {
        f64::from(self.weights[target as usize]) * self.factors[target as usize]
    }

    #[inline]
    fn candidates(&self, among: Among) -> &[u32] {
        match among {
            Among::Eligible => &self.eligible,
            Among::All => &self.all,
        }
    }
}

impl Policy {
    fn new(config: PolicyConfig, targets: &Targets) -> Self {
        match config {
            PolicyConfig::RoundRobin => Self::RoundRobin(RoundRobin::default()),
            PolicyConfig::WeightedRoundRobin => Self::WeightedRoundRobin(WeightedRoundRobin::default()),
            PolicyConfig::Random => Self::Random(Random),
            PolicyConfig::WeightedRandom => Self::WeightedRandom(WeightedRandom::default()),
            PolicyConfig::LeastOutstanding => Self::LeastOutstanding(LeastOutstanding),
            PolicyConfig::PowerOfTwo => Self::PowerOfTwo(PowerOfTwo),
            PolicyConfig::RingHash { ring_size, hash_balance_factor } => {
                Self::RingHash(RingHash::new(ring_size, &targets.weights), Bounded::new(hash_balance_factor))
            }
            PolicyConfig::EnvoyRoundRobin => Self::EnvoyRoundRobin(EnvoyRoundRobin::default()),
            PolicyConfig::HaproxyRoundRobin => Self::HaproxyRoundRobin(HaproxyRoundRobin::default()),
            PolicyConfig::LeastConn => Self::LeastConn(LeastConn::default()),
            PolicyConfig::NginxLeastConn => Self::NginxLeastConn(NginxLeastConn::default()),
            PolicyConfig::LeastRequest { choice_count, active_request_bias } => {
                Self::LeastRequest(LeastRequest::new(choice_count, active_request_bias))
            }
            PolicyConfig::PowerOfChoices { choices } => Self::PowerOfChoices(PowerOfChoices::new(choices)),
            PolicyConfig::PeakEwma { decay, flavour } => Self::PeakEwma(PeakEwma::new(decay, flavour)),
            PolicyConfig::Maglev { table_size, hash_balance_factor } => {
                Self::Maglev(Maglev::new(table_size), Bounded::new(hash_balance_factor))
            }
            PolicyConfig::HaproxyHash { hash_balance_factor } => {
                let ring = RingHash::of_haproxy(&targets.weights);
                Self::HaproxyHash(ring, HaproxyShares::default(), hash_balance_factor)
            }
            PolicyConfig::Connections { reuse, pools } => Self::Connections(Connections::new(reuse, pools)),
        }
    }

    /// Weights or the eligible changed: what a policy derives from them is derived anew.
    fn on_targets_changed(&mut self, targets: &Targets) {
        match self {
            Self::WeightedRoundRobin(policy) => policy.on_targets_changed(targets),
            Self::WeightedRandom(policy) => policy.on_targets_changed(targets),
            Self::EnvoyRoundRobin(policy) => policy.on_targets_changed(),
            Self::HaproxyRoundRobin(policy) => policy.on_targets_changed(targets),
            Self::LeastConn(policy) => policy.on_targets_changed(targets),
            Self::NginxLeastConn(policy) => policy.on_targets_changed(targets),
            Self::LeastRequest(policy) => policy.on_targets_changed(),
            Self::PeakEwma(policy) => policy.on_targets_changed(targets.weights.len()),
            Self::Maglev(policy, _) => policy.on_targets_changed(),
            Self::RoundRobin(_)
            | Self::Random(_)
            | Self::LeastOutstanding(_)
            | Self::PowerOfTwo(_)
            | Self::PowerOfChoices(_)
            | Self::RingHash(..)
            | Self::HaproxyHash(..)
            | Self::Connections(_) => {}
        }
    }

    /// Whether the end of a request tells the policy more than that one less is in flight.
    #[inline]
    fn minds_answers(&self) -> bool {
        matches!(self, Self::LeastConn(_) | Self::PeakEwma(_) | Self::Connections(_))
    }

    /// More or less is in flight to a target.
    #[inline]
    fn on_load_changed(&mut self, targets: &Targets, target: u32) {
        if let Self::LeastConn(policy) = self {
            policy.on_load_changed(targets, target);
        }
    }

    #[inline]
    fn pick(&mut self, targets: &Targets, among: Among, rng: &mut Rng, key: u64) -> Option<u32> {
        let candidates = targets.candidates(among);
        if candidates.is_empty() {
            return None;
        }
        match self {
            Self::RoundRobin(policy) if targets.is_warming => {
                Some(policy.pick_slowly(candidates, &targets.factors))
            }
            Self::RoundRobin(policy) => Some(policy.pick(candidates)),
            Self::WeightedRoundRobin(policy) => policy.pick(candidates, &targets.weights),
            Self::Random(policy) => Some(policy.pick(candidates, rng)),
            Self::WeightedRandom(policy) => policy.pick(candidates, among, rng),
            Self::LeastOutstanding(policy) => Some(policy.pick(candidates, &targets.outstanding, rng)),
            Self::PowerOfTwo(policy) => Some(policy.pick(candidates, &targets.outstanding, rng)),
            Self::RingHash(policy, bound) => {
                let hash = ring_hash::hash_of(key);
                let home = policy.pick(hash, |t| among == Among::All || targets.is_eligible[t as usize]);
                bound.pick(home, hash, targets, among)
            }
            Self::EnvoyRoundRobin(policy) => policy.pick(targets, among, rng),
            Self::HaproxyRoundRobin(policy) => policy.pick(targets, among),
            Self::LeastConn(policy) => policy.pick(targets, among),
            Self::NginxLeastConn(policy) => policy.pick(targets, among),
            Self::LeastRequest(policy) => policy.pick(targets, among, rng),
            Self::PowerOfChoices(policy) => Some(policy.pick(candidates, &targets.outstanding, rng)),
            Self::PeakEwma(policy) => Some(policy.pick(targets.now, candidates, &targets.outstanding, rng)),
            Self::Maglev(policy, bound) => {
                let hash = ring_hash::hash_of(key);
                let home = policy.pick(hash, targets, among);
                bound.pick(home, hash, targets, among)
            }
            Self::HaproxyHash(ring, shares, factor) => {
                let may = shares.of(targets, among, *factor);
                ring.pick(ring_hash::hash_of(key), |t| may[t as usize])
            }
            Self::Connections(policy) => Some(policy.lend(targets, among, rng, key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// Every policy once, for the laws that all must keep.
    fn specimens() -> [PolicyConfig; 17] {
        [
            PolicyConfig::RoundRobin,
            PolicyConfig::WeightedRoundRobin,
            PolicyConfig::Random,
            PolicyConfig::WeightedRandom,
            PolicyConfig::LeastOutstanding,
            PolicyConfig::PowerOfTwo,
            PolicyConfig::RingHash { ring_size: 1024, hash_balance_factor: 0 },
            PolicyConfig::EnvoyRoundRobin,
            PolicyConfig::HaproxyRoundRobin,
            PolicyConfig::LeastConn,
            PolicyConfig::NginxLeastConn,
            PolicyConfig::LeastRequest { choice_count: 2, active_request_bias: 1.0 },
            PolicyConfig::PowerOfChoices { choices: 3 },
            PolicyConfig::PeakEwma { decay: SimDuration::from_secs(10), flavour: Flavour::Finagle },
            PolicyConfig::Maglev { table_size: 1_009, hash_balance_factor: 0 },
            PolicyConfig::RingHash { ring_size: 1024, hash_balance_factor: 125 },
            PolicyConfig::HaproxyHash { hash_balance_factor: 125 },
        ]
    }

    #[test]
    fn nobody_is_picked_where_nobody_is_eligible_unless_it_fails_open() {
        for config in specimens() {
            let (mut balancer, mut rng) = (Balancer::new(config, &[1, 2, 3]), Rng::from_seed(1));
            (0..3).for_each(|t| balancer.set_eligible(t, false));
            assert_eq!(balancer.pick(&mut rng, 7), None, "{config:?}");
            assert!(balancer.pick_any(&mut rng, 7).is_some(), "{config:?}");
            assert_eq!(Balancer::new(config, &[]).pick_any(&mut rng, 7), None, "{config:?}");
        }
    }

    #[test]
    fn nobody_starves() {
        for config in specimens() {
            let (mut balancer, mut rng) = (Balancer::new(config, &[1; 12]), Rng::from_seed(9));
            balancer.set_eligible(5, false);
            let (mut counts, mut in_flight) = ([0u32; 12], VecDeque::new());
            for request in 0..11_000 {
                let target = balancer.pick(&mut rng, request).unwrap();
                counts[target as usize] += 1;
                balancer.on_start(target);
                in_flight.push_back(target);
                if in_flight.len() > 20 {
                    balancer.on_end(in_flight.pop_front().unwrap());
                }
            }
            // An even share is 1,000; the arcs of a ring of 1,024 differ by a third.
            let is_fair = |(target, count): (usize, &u32)| target == 5 || *count > 500;
            assert!(counts.iter().enumerate().all(is_fair), "{config:?}: {counts:?}");
            assert_eq!(counts[5], 0);
        }
    }

    /// Mean number in the system seen by arrivals, for 10 exponential servers at load 0.9.
    fn queue_mean(config: PolicyConfig) -> f64 {
        const TARGETS: usize = 10;
        let (mut balancer, mut rng) = (Balancer::new(config, &[1; TARGETS]), Rng::from_seed(11));
        let mut coin = Rng::from_seed(12);
        let (mut total, mut arrivals) = (0u64, 0u64);
        for _ in 0..400_000 {
            // The embedded chain of the jumps: an arrival, or an end of service at one target if it is busy.
            let jump = coin.uniform() * (0.9 + 1.0) * TARGETS as f64;
            if jump < 0.9 * TARGETS as f64 {
                total += (0..TARGETS).map(|t| u64::from(balancer.outstanding(t as u32))).sum::<u64>();
                arrivals += 1;
                let target = balancer.pick(&mut rng, 0).unwrap();
                balancer.on_start(target);
            } else {
                let target = (jump - 0.9 * TARGETS as f64) as u32 % TARGETS as u32;
                if balancer.outstanding(target) > 0 {
                    balancer.on_end(target);
                }
            }
        }
        total as f64 / arrivals as f64
    }

    #[test]
    fn two_looks_buy_most_of_the_difference() {
        let random = queue_mean(PolicyConfig::Random);
        let two = queue_mean(PolicyConfig::PowerOfTwo);
        let least = queue_mean(PolicyConfig::LeastOutstanding);
        // Ten M/M/1 at load 0.9 hold 90 on average.
        assert!((75.0..105.0).contains(&random), "{random}");
        assert!(least * 1.1 < two && two * 2.0 < random, "{least} {two} {random}");
    }

    #[test]
    fn reconfiguring_keeps_what_is_known_of_the_targets() {
        let mut rng = Rng::from_seed(1);
        let mut balancer = Balancer::new(PolicyConfig::RoundRobin, &[1; 3]);
        balancer.on_start(2);
        balancer.set_eligible(1, false);
        assert_eq!(balancer.pick(&mut rng, 0), Some(0));
        balancer.reconfigure(PolicyConfig::RoundRobin, &[1; 4]);
        let order: Vec<_> = (0..4).filter_map(|_| balancer.pick(&mut rng, 0)).collect();
        assert_eq!(order, [2, 3, 0, 2]);
        balancer.reconfigure(PolicyConfig::Random, &[1; 1]);
        assert_eq!((balancer.eligible_count(), balancer.outstanding(2)), (1, 1));
        balancer.on_end(2);
        assert!(!balancer.is_eligible(2));
    }

    proptest! {
        #[test]
        fn never_picks_the_ineligible_and_always_somebody(
            which in 0usize..17,
            weights in prop::collection::vec(1u32..9, 1..40),
            seed in any::<u64>(),
            steps in prop::collection::vec((0u8..6, 0u32..40, any::<u64>()), 0..200),
        ) {
            let (mut balancer, mut rng) = (Balancer::new(specimens()[which], &weights), Rng::from_seed(seed));
            let mut is_eligible = vec![true; weights.len()];
            let mut in_flight = Vec::new();
            for (action, target, key) in steps {
                match action {
                    0 | 1 => {
                        balancer.set_eligible(target, action == 0);
                        if let Some(yes) = is_eligible.get_mut(target as usize) { *yes = action == 0; }
                    }
                    2 => if let Some(target) = in_flight.pop() { balancer.on_end(target); },
                    _ => {
                        let picked = balancer.pick(&mut rng, key);
                        prop_assert_eq!(picked.is_some(), is_eligible.contains(&true));
                        if let Some(target) = picked {
                            prop_assert!(is_eligible[target as usize]);
                            balancer.on_start(target);
                            in_flight.push(target);
                        }
                    }
                }
                prop_assert_eq!(balancer.eligible_count(), is_eligible.iter().filter(|yes| **yes).count());
            }
            for target in 0..weights.len() as u32 {
                let expected = in_flight.iter().filter(|t| **t == target).count();
                prop_assert_eq!(balancer.outstanding(target) as usize, expected);
            }
        }
    }
}
