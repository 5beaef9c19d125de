//! Least outstanding requests: send to whoever has fewest in flight, as far as this balancer knows.
//!
//! Intuition: a slow target fills up and is spared, without anybody measuring latency. A target that fails at once
//! looks idle and attracts everything.
//!
//! Source: AWS ALB `least_outstanding_requests`. Ties are broken uniformly at random (AWS does not say how).

use crate::base::Rng;

/// Keeps no state. Takes time in proportion to the number of candidates.
#[derive(Clone, Debug)]
pub(super) struct LeastOutstanding;

impl LeastOutstanding {
    /// One draw always, so that streams stay in step.
    #[inline]
    pub(super) fn pick(&self, candidates: &[u32], outstanding: &[u32], rng: &mut Rng) -> u32 {
        let load = |target: &u32| outstanding[*target as usize];
        // Plain passes without branches on the loads, which nobody could predict.
        let least = candidates.iter().map(load).min().unwrap_or(0);
        let ties = candidates.iter().map(|t| u64::from(load(t) == least)).sum::<u64>();
        let draw = rng.below(ties.max(1)) as usize;
        let tied = candidates.iter().filter(|t| load(t) == least).nth(draw);
        let Some(target) = tied else { unreachable!("as many are tied as were counted") };
        *target
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;

    #[test]
    fn the_least_is_picked_and_ties_are_even() {
        let (mut balancer, mut rng) =
            (Balancer::new(PolicyConfig::LeastOutstanding, &[1; 4]), Rng::from_seed(5));
        balancer.on_start(1);
        balancer.set_eligible(3, false);
        let mut counts = [0u32; 4];
        for _ in 0..10_000 {
            counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        // 4 standard deviations of a fair coin thrown 10,000 times.
        assert!(counts[0].abs_diff(5_000) < 200, "{counts:?}");
        balancer.on_start(0);
        balancer.on_start(0);
        balancer.on_start(2);
        balancer.on_start(2);
        assert_eq!(balancer.pick(&mut rng, 0), Some(1));
    }
}
