//! The power of two choices: look at two at random, take the less loaded.
//!
//! Intuition: the second look removes nearly all of the bunching of random choice, costs nothing, and unlike least
//! outstanding does not send everybody to the same idle target when information is stale.
//!
//! Sources: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001; Finagle `p2c` (two different
//! targets; Envoy 1.40.0 samples with replacement instead).

use crate::base::Rng;

/// Keeps no state.
#[derive(Clone, Debug)]
pub(super) struct PowerOfTwo;

impl PowerOfTwo {
    /// Two draws, none if there is no choice. The first of two equals is taken: it is as random as the second.
    #[inline]
    pub(super) fn pick(&self, candidates: &[u32], outstanding: &[u32], rng: &mut Rng) -> u32 {
        let n = candidates.len() as u64;
        if n == 1 {
            return candidates[0];
        }
        let first = rng.below(n);
        let second = rng.below(n - 1);
        let second = second + u64::from(second >= first);
        let (a, b) = (candidates[first as usize], candidates[second as usize]);
        if outstanding[a as usize] <= outstanding[b as usize] { a } else { b }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;

    fn counts(loads: &[u32]) -> Vec<u32> {
        let mut balancer = Balancer::new(PolicyConfig::PowerOfTwo, &vec![1; loads.len()]);
        for (target, load) in (0..).zip(loads) {
            (0..*load).for_each(|_| balancer.on_start(target));
        }
        let (mut rng, mut counts) = (Rng::from_seed(5), vec![0; loads.len()]);
        for _ in 0..30_000 {
            counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn of_two_the_busier_is_never_picked_since_the_two_differ() {
        assert_eq!(counts(&[1, 0]), [0, 30_000]);
        assert_eq!(counts(&[5]), [30_000]);
    }

    #[test]
    fn the_less_loaded_of_each_pair_is_picked() {
        // Of the three pairs, two have target 0 in them, one is 1 and 2: shares 2/3, 1/3, 0.
        let counts = counts(&[0, 1, 2]);
        assert!(counts[0].abs_diff(20_000) < 330, "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn ties_are_even() {
        assert!(counts(&[3, 3, 3]).iter().all(|count| count.abs_diff(10_000) < 330));
    }
}
