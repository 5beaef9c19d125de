//! Consistent hashing on a ring: a key stays with its target, and when a target leaves only its keys move.
//!
//! Intuition: every target owns many small arcs of a circle; a key falls on an arc. Shares are as even as the arcs
//! are many, and a hot key is hot for one target.
//!
//! Sources: Karger et al., Consistent Hashing and Random Trees, 1997; Envoy 1.40.0 `RING_HASH` (xxHash64, ring of
//! 1024 to 8 M entries, entries in proportion to weight). Entries are hashes of target numbers, not of addresses, so
//! single keys do not go where a real Envoy would send them.

use xxhash_rust::xxh64::xxh64;

/// Fewest entries (Envoy's `minimum_ring_size`).
const RING_MIN: u64 = 1024;

/// Most entries, more or less (Envoy's `maximum_ring_size`).
const RING_MAX: u64 = 8 << 20;

/// The ring of all targets. The ineligible are passed over, as if they were not on it.
#[derive(Clone, Debug)]
pub(super) struct RingHash {
    /// Where arcs end, and whose they are; sorted.
    ring: Vec<(u64, u32)>,
}

impl RingHash {
    /// Draws the ring: the lightest target has at least one entry, the others in proportion.
    pub(super) fn new(ring_size: u32, weights: &[u32]) -> Self {
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let lightest = u64::from(weights.iter().copied().filter(|w| *w > 0).min().unwrap_or(1));
        let size = u64::from(ring_size).max(RING_MIN);
        let entries_min = (lightest * size).div_ceil(total.max(1)).max(1);
        let mut ring = Vec::new();
        for (target, weight) in (0u32..).zip(weights) {
            let share = u64::from(*weight) * RING_MAX / total.max(1);
            for entry in 0..(u64::from(*weight) * entries_min / lightest).min(share.max(1)) {
                ring.push((entry_hash(target, entry), target));
            }
        }
        ring.sort_unstable();
        Self { ring }
    }

    /// HAProxy's: 16 entries for each unit of weight (`BE_WEIGHT_SCALE`).
    pub(super) fn of_haproxy(weights: &[u32]) -> Self {
        let targets = (0u32..).zip(weights);
        let mut ring: Vec<(u64, u32)> = targets
            .flat_map(|(target, weight)| {
                (0..u64::from(*weight) * 16).map(move |entry| (entry_hash(target, entry), target))
            })
            .collect();
        ring.sort_unstable();
        Self { ring }
    }

    /// The owner of the arc on which `hash` falls, or of the next arc whose owner `is_candidate`.
    #[inline]
    pub(super) fn pick(&self, hash: u64, is_candidate: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.ring.partition_point(|(end, _)| *end < hash);
        let from_there = self.ring[at..].iter().chain(&self.ring[..at]);
        from_there.map(|(_, target)| *target).find(|target| is_candidate(*target))
    }
}

/// Where a key is on the ring.
#[inline]
pub(super) fn hash_of(key: u64) -> u64 {
    xxh64(&key.to_le_bytes(), 0)
}

fn entry_hash(target: u32, entry: u64) -> u64 {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&target.to_le_bytes());
    bytes[4..].copy_from_slice(&entry.to_le_bytes());
    xxh64(&bytes, 0)
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use super::*;
    use crate::base::Rng;

    const CONFIG: PolicyConfig = PolicyConfig::RingHash { ring_size: 1024, hash_balance_factor: 0 };

    fn owners(balancer: &mut Balancer) -> Vec<u32> {
        let mut rng = Rng::from_seed(1);
        (0..20_000).map(|key| balancer.pick(&mut rng, key).unwrap()).collect()
    }

    #[test]
    fn only_the_keys_of_a_lost_target_move_and_they_come_back() {
        let mut balancer = Balancer::new(CONFIG, &[1; 10]);
        let before = owners(&mut balancer);
        balancer.set_eligible(4, false);
        let without = owners(&mut balancer);
        assert!(before.iter().zip(&without).all(|(was, is)| was == is || *was == 4));
        assert!(!without.contains(&4));
        balancer.set_eligible(4, true);
        assert_eq!(before, owners(&mut balancer));
    }

    #[test]
    fn entries_and_shares_are_in_proportion_to_weight() {
        let ring = RingHash::new(5_000, &[3, 1, 0, 2]);
        let count = |target| ring.ring.iter().filter(|(_, t)| *t == target).count();
        assert_eq!([count(0), count(1), count(2), count(3)], [2_502, 834, 0, 1_668]);
        let owners = owners(&mut Balancer::new(CONFIG, &[3, 1]));
        let share = owners.iter().filter(|t| **t == 0).count() as f64 / owners.len() as f64;
        assert!((share - 0.75).abs() < 0.05, "{share}");
    }

    #[test]
    fn a_ring_is_never_smaller_than_the_least_nor_far_above_the_most() {
        assert_eq!(RingHash::new(1, &[1]).ring.len(), 1024);
        let ring = RingHash::new(1024, &[1, u32::MAX]);
        assert!(ring.ring.len() as u64 <= RING_MAX);
        assert_eq!(ring.pick(hash_of(0), |target| target == 0), Some(0));
    }
}
