//! The power of d choices: look at d different targets, take the least loaded.
//!
//! Intuition: from one look to two the longest queue shrinks from log n / log log n to log log n / log 2; each further
//! look divides by the logarithm of the number of looks, so three or more buy little.
//!
//! Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001. The d are different from each
//! other (Envoy's least request draws with replacement instead).

use crate::base::Rng;

/// The most looks.
pub const CHOICES_MAX: u32 = 16;

/// Keeps no state.
#[derive(Clone, Debug)]
pub(super) struct PowerOfChoices {
    choices: u32,
}

impl PowerOfChoices {
    pub(super) fn new(choices: u32) -> Self {
        Self { choices: choices.clamp(1, CHOICES_MAX) }
    }

    /// One draw for each look (Floyd's sampling). The first of equals is taken.
    #[inline]
    pub(super) fn pick(&self, candidates: &[u32], outstanding: &[u32], rng: &mut Rng) -> u32 {
        let n = candidates.len() as u64;
        let looks = u64::from(self.choices).min(n);
        let mut seen = [0u64; CHOICES_MAX as usize];
        let mut best: Option<u32> = None;
        for look in 0..looks {
            let top = n - looks + look;
            let drawn = rng.below(top + 1);
            let drawn = if seen[..look as usize].contains(&drawn) { top } else { drawn };
            seen[look as usize] = drawn;
            let target = candidates[drawn as usize];
            if best.is_none_or(|b| outstanding[target as usize] < outstanding[b as usize]) {
                best = Some(target);
            }
        }
        best.unwrap_or(candidates[0])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;

    fn counts(choices: u32, loads: &[u32]) -> Vec<u32> {
        let mut balancer = Balancer::new(PolicyConfig::PowerOfChoices { choices }, &vec![1; loads.len()]);
        for (target, load) in (0..).zip(loads) {
            (0..*load).for_each(|_| balancer.on_start(target));
        }
        let (mut rng, mut counts) = (Rng::from_seed(5), vec![0; loads.len()]);
        for _ in 0..40_000 {
            counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn the_least_loaded_of_three_different_ones_is_picked() {
        // Of the four triples, three have target 0 in them, one is 1, 2 and 3.
        let counts = counts(3, &[0, 1, 2, 3]);
        assert!(counts[0].abs_diff(30_000) < 350, "{counts:?}");
        assert_eq!((counts[2], counts[3]), (0, 0));
    }

    #[test]
    fn as_many_choices_as_targets_see_all() {
        assert_eq!(counts(16, &[2, 0, 1]), [0, 40_000, 0]);
    }

    #[test]
    fn one_choice_is_blind_and_even() {
        assert!(counts(1, &[0, 9, 9, 9]).iter().all(|count| count.abs_diff(10_000) < 350));
    }
}
