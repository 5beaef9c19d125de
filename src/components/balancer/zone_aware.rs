//! Zone-aware routing: a caller prefers targets in its own zone, as long as no zone gets more than its targets can
//! take.
//!
//! Intuition: a zone with its share of the callers and less than its share of the targets sends the rest to zones that
//! have more targets than callers. So every target gets the same, and as little as possible crosses zones.
//!
//! Source: Envoy 1.40.0, `ZoneAwareLoadBalancerBase`, in ten-thousandths as there. The share of requests that comes
//! from a zone is taken to be its share of the callers.

use crate::base::Rng;

/// The most zones.
pub const ZONES_MAX: usize = 16;

/// A whole, in Envoy's integers.
const ALL: u64 = 10_000;

/// Envoy's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ZoneAware {
    /// `min_cluster_size`: with fewer healthy targets zones do not matter.
    pub min_cluster_size: u32,
    /// `routing_enabled`: for this share of the requests zones matter.
    pub routing_enabled: f64,
}

/// Where requests of one zone go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares {
    /// So many of 10,000 stay.
    pub local: u64,
    /// What each zone takes of the others, relative to the other zones.
    pub residual: [u64; ZONES_MAX],
}

impl ZoneAware {
    /// Where requests from zone `own` go, given the callers that run and the targets that are healthy by zone, of
    /// `registered` in all; `None` if zones do not matter.
    pub fn shares(&self, own: usize, callers: &[u32], targets: &[u32], registered: u32) -> Option<Shares> {
        let healthy: u32 = targets.iter().sum();
        let calling: u32 = callers.iter().sum();
        let in_panic = u64::from(healthy) * 2 < u64::from(registered);
        let with_targets = targets.iter().filter(|n| **n > 0).count();
        if in_panic
            || healthy < self.min_cluster_size
            || with_targets < 2
            || targets[own] == 0
            || calling == 0
        {
            return None;
        }
        let of = |n: u32, all: u32| ALL * u64::from(n) / u64::from(all);
        let (local, upstream) = (of(callers[own], calling), of(targets[own], healthy));
        let mut residual = [0; ZONES_MAX];
        if upstream >= local {
            return Some(Shares { local: ALL, residual });
        }
        for (zone, rest) in residual.iter_mut().enumerate().take(targets.len()) {
            *rest = of(targets[zone], healthy).saturating_sub(of(callers[zone], calling));
        }
        Some(Shares { local: upstream * ALL / local, residual })
    }

    /// The zone of one request; `None` if any will do.
    pub fn route(
        &self,
        own: usize,
        callers: &[u32],
        targets: &[u32],
        registered: u32,
        rng: &mut Rng,
    ) -> Option<usize> {
        let shares = self.shares(own, callers, targets, registered)?;
        if !rng.chance(self.routing_enabled) {
            return None;
        }
        if shares.local == ALL || rng.below(ALL) < shares.local {
            return Some(own);
        }
        let total: u64 = shares.residual.iter().sum();
        if total == 0 {
            // Nobody has room, by rounding: any zone.
            return Some(rng.below(targets.len() as u64) as usize);
        }
        let draw = rng.below(total);
        let mut sum = 0;
        shares.residual.iter().position(|rest| {
            sum += rest;
            draw < sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;

    const ENVOY: ZoneAware = ZoneAware { min_cluster_size: 6, routing_enabled: 1.0 };

    #[test]
    fn all_stays_where_targets_are_at_least_as_many_as_callers() {
        let shares = ENVOY.shares(0, &[1, 1, 1], &[3, 2, 1], 6).unwrap();
        assert_eq!(shares.local, 10_000);
    }

    #[test]
    fn what_is_too_much_goes_where_there_is_room() {
        // A third of the callers, and a sixth of the targets: half stays, the rest goes to the zone that has half of
        // them.
        let shares = ENVOY.shares(2, &[1, 1, 1], &[3, 2, 1], 6).unwrap();
        assert_eq!((shares.local, &shares.residual[..3]), (4_998, &[1_667, 0, 0][..]));
    }

    #[test]
    fn zones_do_not_matter_in_small_or_sick_clusters_or_without_a_target_nearby() {
        assert_eq!(ENVOY.shares(0, &[1, 1], &[3, 2], 5), None);
        assert!(ENVOY.shares(0, &[1, 1], &[3, 3], 12).is_some());
        assert_eq!(ENVOY.shares(0, &[1, 1], &[3, 3], 13), None);
        assert_eq!(ENVOY.shares(0, &[1, 1, 1], &[0, 3, 3], 6), None);
        assert_eq!(ENVOY.shares(0, &[1, 1], &[6, 0], 6), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn every_zone_gets_what_its_targets_can_take(
            zones in prop::collection::vec((1u32..20, 3u32..20), 2..6),
        ) {
            let callers: Vec<u32> = zones.iter().map(|z| z.0).collect();
            let targets: Vec<u32> = zones.iter().map(|z| z.1).collect();
            let (calling, healthy) = (callers.iter().sum::<u32>(), targets.iter().sum());
            let mut load = vec![0.0; zones.len()];
            for own in 0..zones.len() {
                let comes = f64::from(callers[own]) / f64::from(calling);
                let shares = ENVOY.shares(own, &callers, &targets, healthy).unwrap();
                let local = shares.local as f64 / ALL as f64;
                load[own] += comes * local;
                let total: u64 = shares.residual.iter().sum();
                prop_assert_eq!(total == 0 && shares.local < ALL, false);
                for (zone, rest) in shares.residual.iter().enumerate().filter(|(_, rest)| **rest > 0) {
                    load[zone] += comes * (1.0 - local) * *rest as f64 / total as f64;
                }
            }
            for (load, targets) in load.iter().zip(&targets) {
                prop_assert!((load - f64::from(*targets) / f64::from(healthy)).abs() < 2e-3);
            }
        }

        #[test]
        fn no_request_goes_to_a_zone_without_targets(
            zones in prop::collection::vec((0u32..5, 0u32..5), 2..6),
            own in 0usize..6,
            seed in any::<u64>(),
        ) {
            let callers: Vec<u32> = zones.iter().map(|z| z.0).collect();
            let targets: Vec<u32> = zones.iter().map(|z| z.1).collect();
            let own = own % zones.len();
            let mut rng = Rng::from_seed(seed);
            if let Some(zone) = ENVOY.route(own, &callers, &targets, targets.iter().sum(), &mut rng) {
                prop_assert!(targets[zone] > 0);
            }
        }
    }
}
