//! Maglev hashing: a table in which every target has as good as the same number of places.
//!
//! Intuition: targets take turns at choosing places, each in an order of its own. Shares are much more even than on a
//! ring of the same size; in return, when one of n leaves, a little more than its 1/n of the keys move.
//!
//! Sources: Eisenbud et al., Maglev, NSDI 2016, section 3.4; Envoy 1.40.0 `MAGLEV` (places by weight). Orders come
//! from hashes of target numbers, not of addresses, so single keys do not go where a real Envoy would send them.

use super::{Among, Targets};
use xxhash_rust::xxh64::xxh64;

/// The tables of one balancer: of the eligible, and of all for those who fail open.
#[derive(Clone, Debug)]
pub(super) struct Maglev {
    table_size: u32,
    of: [Table; 2],
}

#[derive(Clone, Debug, Default)]
struct Table {
    is_current: bool,
    places: Vec<u32>,
}

/// A target that chooses places.
struct Chooser {
    target: u32,
    offset: u64,
    skip: u64,
    next: u64,
    weight: f64,
    count: f64,
}

const NOBODY: u32 = u32::MAX;

impl Maglev {
    pub(super) fn new(table_size: u32) -> Self {
        Self { table_size, of: [Table::default(), Table::default()] }
    }

    /// The tables are drawn anew when they are next looked at.
    pub(super) fn on_targets_changed(&mut self) {
        self.of.iter_mut().for_each(|table| table.is_current = false);
    }

    #[inline]
    pub(super) fn pick(&mut self, hash: u64, targets: &Targets, among: Among) -> Option<u32> {
        let size = u64::from(self.table_size);
        let table = &mut self.of[usize::from(among == Among::All)];
        if !table.is_current {
            table.is_current = true;
            table.draw(size, targets.candidates(among), &targets.weights);
        }
        table.places.get((hash % size) as usize).copied()
    }
}

impl Table {
    fn draw(&mut self, size: u64, candidates: &[u32], weights: &[u32]) {
        self.places.clear();
        let weighing = candidates.iter().filter(|t| weights[**t as usize] > 0);
        let mut choosers: Vec<Chooser> = weighing
            .map(|target| Chooser {
                target: *target,
                offset: xxh64(&target.to_le_bytes(), 0) % size,
                skip: xxh64(&target.to_le_bytes(), 1) % (size - 1) + 1,
                next: 0,
                weight: f64::from(weights[*target as usize]),
                count: 0.0,
            })
            .collect();
        if choosers.is_empty() {
            return;
        }
        let heaviest = choosers.iter().map(|c| c.weight).fold(0.0, f64::max);
        self.places.resize(size as usize, NOBODY);
        let (mut left, mut round) = (size, 1.0);
        loop {
            for chooser in &mut choosers {
                // The heaviest chooses in every round, one of a third of its weight in every third.
                if round * chooser.weight < chooser.count {
                    continue;
                }
                chooser.count += heaviest;
                let place = loop {
                    let place = (chooser.offset + chooser.skip * chooser.next) % size;
                    chooser.next += 1;
                    if self.places[place as usize] == NOBODY {
                        break place;
                    }
                };
                self.places[place as usize] = chooser.target;
                left -= 1;
                if left == 0 {
                    return;
                }
            }
            round += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;
    use proptest::prelude::*;

    fn owners(balancer: &mut Balancer, keys: u64) -> Vec<u32> {
        let mut rng = Rng::from_seed(1);
        (0..keys).map(|key| balancer.pick(&mut rng, key).unwrap()).collect()
    }

    fn of(weights: &[u32], table_size: u32) -> Balancer {
        Balancer::new(PolicyConfig::Maglev { table_size, hash_balance_factor: 0 }, weights)
    }

    #[test]
    fn when_a_target_leaves_its_keys_move_and_few_others() {
        let mut balancer = of(&[1; 10], 65_537);
        let before = owners(&mut balancer, 100_000);
        balancer.set_eligible(4, false);
        let without = owners(&mut balancer, 100_000);
        assert!(!without.contains(&4));
        let moved = before.iter().zip(&without).filter(|(was, is)| was != is).count();
        let own = before.iter().filter(|t| **t == 4).count();
        // Its own tenth, and some churn: the paper sees a few per cent.
        assert!(moved >= own && moved - own < 5_000, "{own} {moved}");
        balancer.set_eligible(4, true);
        assert_eq!(before, owners(&mut balancer, 100_000));
    }

    #[test]
    fn shares_are_more_even_than_on_a_ring() {
        let share = |owners: &[u32]| {
            let counts = (0..10).map(|t| owners.iter().filter(|o| **o == t).count());
            counts.max().unwrap_or(0) as f64 / (owners.len() as f64 / 10.0)
        };
        let maglev = share(&owners(&mut of(&[1; 10], 65_537), 200_000));
        let ring = PolicyConfig::RingHash { ring_size: 1024, hash_balance_factor: 0 };
        let ring = share(&owners(&mut Balancer::new(ring, &[1; 10]), 200_000));
        assert!(maglev < 1.03 && ring > 1.1, "{maglev} {ring}");
    }

    proptest! {
        #[test]
        fn places_are_in_proportion_to_weight(weights in prop::collection::vec(1u32..6, 1..8)) {
            let size = 1_009u32;
            let mut balancer = of(&weights, size);
            let mut rng = Rng::from_seed(1);
            balancer.pick(&mut rng, 0);
            let super::super::Policy::Maglev(maglev, _) = &balancer.policy else { panic!() };
            let total: u32 = weights.iter().sum();
            for (target, weight) in (0u32..).zip(&weights) {
                let places = maglev.of[0].places.iter().filter(|t| **t == target).count() as f64;
                let share = f64::from(size) * f64::from(*weight) / f64::from(total);
                // A round is cut off at the end of the table.
                prop_assert!((places - share).abs() <= 1.0 + f64::from(*weight), "{} {}", places, share);
            }
        }
    }
}
