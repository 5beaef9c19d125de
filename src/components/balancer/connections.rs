//! Connections that are used again: a caller keeps open connections in a pool, each to one target for good, and a
//! request takes the one that was given back last, or the one that was given back first.
//!
//! Intuition: of requests that were sent together, the one that met the slowest target comes back last. A pool that
//! lends the last returned first then begins with that very connection the next time: load goes where it is slow, and
//! stays there. A pool that lends the first returned first uses all its connections in turn.
//!
//! ```text
//!   given back:  b  c  a  a'      (a and a' are connections to the same, slow target)
//!   lent next:   most recent → a' a c b        least recent → b c a a'
//! ```
//!
//! Where no connection is idle, a new one is opened, to a target drawn at random, as a hash of its ports would. It is
//! kept for good. Callers are told apart by the request's key; each has a pool of its own.
//!
//! Source: Bronson, "Solving the Mystery of Link Imbalance: A Metastable Failure State at Scale", Facebook Engineering,
//! 2014, where targets are the links of an aggregated link.

use super::{Among, Targets};
use crate::base::Rng;
use std::collections::VecDeque;

/// Which idle connection is lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reuse {
    /// The one that was given back last.
    MostRecent,
    /// The one that was given back first.
    LeastRecent,
}

/// Pools of connections, each connection to one target.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    reuse: Reuse,
    /// By pool: the targets of idle connections, the last returned at the back.
    idle: Vec<VecDeque<u32>>,
}

impl Connections {
    pub(super) fn new(reuse: Reuse, pools: u32) -> Self {
        Self { reuse, idle: vec![VecDeque::new(); pools.max(1) as usize] }
    }

    #[inline]
    fn pool_of(&self, key: u64) -> usize {
        (key % self.idle.len() as u64) as usize
    }

    /// Lends a connection of the key's pool to its target. One draw always, so that streams stay in step.
    #[inline]
    pub(super) fn lend(&mut self, targets: &Targets, among: Among, rng: &mut Rng, key: u64) -> u32 {
        let candidates = targets.candidates(among);
        let drawn = candidates[rng.below(candidates.len() as u64) as usize];
        let may = |t: &u32| match among {
            Among::Eligible => targets.is_eligible.get(*t as usize).is_some_and(|yes| *yes),
            Among::All => (*t as usize) < targets.all.len(),
        };
        let pool = self.pool_of(key);
        let idle = &mut self.idle[pool];
        let found = match self.reuse {
            Reuse::MostRecent => idle.iter().rposition(may),
            Reuse::LeastRecent => idle.iter().position(may),
        };
        found.and_then(|at| idle.remove(at)).unwrap_or(drawn)
    }

    /// A connection to a target comes back to the key's pool.
    #[inline]
    pub(super) fn give_back(&mut self, target: u32, key: u64) {
        let pool = self.pool_of(key);
        self.idle[pool].push_back(target);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use super::Reuse;
    use crate::base::Rng;
    use proptest::prelude::*;

    fn balancer(reuse: Reuse, pools: u32, targets: usize) -> Balancer {
        Balancer::new(PolicyConfig::Connections { reuse, pools }, &vec![1; targets])
    }

    #[test]
    fn the_last_or_the_first_returned_is_lent() {
        for (reuse, order) in [(Reuse::MostRecent, [2, 0, 1]), (Reuse::LeastRecent, [1, 0, 2])] {
            let (mut balancer, mut rng) = (balancer(reuse, 2, 3), Rng::from_seed(1));
            [1, 0, 2].into_iter().for_each(|target| balancer.give_back(target, 7));
            // Those of another caller are another's.
            [2, 2, 2].into_iter().for_each(|target| balancer.give_back(target, 8));
            let lent: Vec<u32> = (0..3).filter_map(|_| balancer.pick(&mut rng, 7)).collect();
            assert_eq!(lent, order);
        }
    }

    #[test]
    fn new_connections_go_to_targets_at_random_and_only_to_the_eligible() {
        let (mut balancer, mut rng) = (balancer(Reuse::MostRecent, 1, 4), Rng::from_seed(5));
        balancer.set_eligible(2, false);
        let mut counts = [0u32; 4];
        (0..9_000).for_each(|_| counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1);
        // 3,000 each; four standard deviations are 180.
        assert!(counts[2] == 0 && [0, 1, 3].iter().all(|t| counts[*t].abs_diff(3_000) < 200), "{counts:?}");
        // An idle connection to a target that is out is left alone, and used again later.
        balancer.give_back(1, 0);
        balancer.give_back(2, 0);
        assert_eq!(balancer.pick(&mut rng, 0), Some(1));
        balancer.set_eligible(2, true);
        assert_eq!(balancer.pick(&mut rng, 0), Some(2));
    }

    proptest! {
        #[test]
        fn only_the_eligible_are_lent(
            is_most in any::<bool>(),
            targets in 1usize..10,
            steps in prop::collection::vec((0u8..5, 0u32..10, 0u64..4), 0..200),
        ) {
            let reuse = if is_most { Reuse::MostRecent } else { Reuse::LeastRecent };
            let (mut balancer, mut rng) = (balancer(reuse, 3, targets), Rng::from_seed(3));
            let mut lent: Vec<(u32, u64)> = Vec::new();
            for (action, target, key) in steps {
                match action {
                    0 | 1 => balancer.set_eligible(target % targets as u32, action == 0),
                    2 => if let Some((target, key)) = lent.pop() { balancer.give_back(target, key); },
                    _ => {
                        let picked = balancer.pick(&mut rng, key);
                        prop_assert_eq!(picked.is_some(), balancer.eligible_count() > 0);
                        if let Some(target) = picked {
                            prop_assert!(balancer.is_eligible(target));
                            lent.push((target, key));
                        }
                    }
                }
            }
        }
    }
}
