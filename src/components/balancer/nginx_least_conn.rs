//! nginx's least connections: the fewest requests for their weight; equals take weighted turns.
//!
//! Source: nginx 1.22.1, `ngx_http_upstream_least_conn_module.c`, with no failures counted.

use super::{Among, Targets};

/// `least_conn`.
#[derive(Clone, Debug, Default)]
pub(super) struct NginxLeastConn {
    /// Per target, how much of a turn it is owed.
    current: Vec<i64>,
}

impl NginxLeastConn {
    /// Keeps what is owed; new targets are owed nothing.
    pub(super) fn on_targets_changed(&mut self, targets: &Targets) {
        self.current.resize(targets.weights.len(), 0);
    }

    #[inline]
    pub(super) fn pick(&mut self, targets: &Targets, among: Among) -> Option<u32> {
        let weight = |t: u32| u64::from(targets.weights[t as usize]);
        let load = |t: u32| u64::from(targets.outstanding[t as usize]);
        let candidates = targets.candidates(among);
        let (mut least, mut many) = (None, false);
        for target in candidates.iter().copied().filter(|t| weight(*t) > 0) {
            let Some(best) = least else {
                least = Some(target);
                continue;
            };
            match (load(target) * weight(best)).cmp(&(load(best) * weight(target))) {
                std::cmp::Ordering::Less => (least, many) = (Some(target), false),
                std::cmp::Ordering::Equal => many = true,
                std::cmp::Ordering::Greater => {}
            }
        }
        let least = least?;
        if !many {
            return Some(least);
        }
        let is_equal = |t: &u32| weight(*t) > 0 && load(*t) * weight(least) == load(least) * weight(*t);
        let (mut best, mut most, mut total) = (least, i64::MIN, 0);
        for target in candidates.iter().copied().filter(is_equal) {
            let current = &mut self.current[target as usize];
            *current += weight(target) as i64;
            total += weight(target) as i64;
            if *current > most {
                (best, most) = (target, *current);
            }
        }
        self.current[best as usize] -= total;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;

    #[test]
    fn load_is_relative_to_weight_and_equals_take_weighted_turns() {
        let mut balancer = Balancer::new(PolicyConfig::NginxLeastConn, &[5, 1, 1]);
        let mut rng = Rng::from_seed(1);
        // All idle: equal, so the order is that of smooth weighted round robin.
        let order: String =
            (0..7).map(|_| char::from(b'A' + balancer.pick(&mut rng, 0).unwrap() as u8)).collect();
        assert_eq!(order, "AABACAA");
        balancer.on_start(0);
        assert!((0..8).all(|_| balancer.pick(&mut rng, 0) != Some(0)));
        balancer.on_start(1);
        balancer.on_start(2);
        // 1/5 against 1/1 until A has four more.
        for _ in 0..4 {
            assert_eq!(balancer.pick(&mut rng, 0), Some(0));
            balancer.on_start(0);
        }
        let order: String =
            (0..7).map(|_| char::from(b'A' + balancer.pick(&mut rng, 0).unwrap() as u8)).collect();
        assert_eq!(order, "AABACAA");
    }
}
