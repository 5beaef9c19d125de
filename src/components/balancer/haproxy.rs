//! HAProxy's weighted round robin and least connections.
//!
//! Intuition: round robin gives every server places on a line as long as all weights together, one each total/weight
//! places, and goes along it; a server whose place is in the next line waits for that. Least connections orders
//! servers by how loaded they *would be* with one more request, but takes idle ones first, whatever they weigh.
//!
//! Source: HAProxy 2.6.12, `lb_fwrr.c` and `lb_fwlc.c`, without saturated servers. Weights are scaled by 16, which is
//! also how fine the steps of a slow start are; they are from 0 to 256.

use super::round_robin::RoundRobin;
use super::{Among, Targets};

/// `BE_WEIGHT_SCALE`.
const SCALE: f64 = 16.0;
/// `SRV_EWGHT_MAX`, 256 by the scale.
const WEIGHT_MAX: u64 = 4096;
/// `SRV_UWGHT_RANGE`.
const RANGE: u64 = 257;

/// A server's weight as HAProxy counts: in sixteenths, rounded up; 0 if it gets nothing.
fn effective(targets: &Targets, target: u32) -> u64 {
    libm::ceil(targets.weight(target) * SCALE - 1e-9) as u64
}

/// In which tree a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Tree {
    /// In none: it is down.
    #[default]
    None,
    /// Not yet on the line.
    Init,
    /// On the line.
    Current,
    /// On the next line.
    Next,
}

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    tree: Tree,
    key: u64,
    /// When it was put in its tree: equal keys are served in that order.
    order: u64,
    weight: u64,
    last_place: u64,
    next_place: u64,
    rest: u64,
}

/// `balance roundrobin`. Takes time in proportion to the number of servers (HAProxy's trees take its logarithm).
#[derive(Clone, Debug, Default)]
pub(super) struct HaproxyRoundRobin {
    servers: Vec<Server>,
    order: u64,
    line_weight: u64,
    next_weight: u64,
    place: u64,
    /// Nobody was served yet: whoever is there is there from the start.
    has_begun: bool,
    /// For those who send to servers that are down, as HAProxy does not.
    fail_open: RoundRobin,
}

impl HaproxyRoundRobin {
    pub(super) fn on_targets_changed(&mut self, targets: &Targets) {
        if !self.has_begun {
            self.begin(targets);
            return;
        }
        self.servers.resize(targets.weights.len().max(self.servers.len()), Server::default());
        for target in 0..self.servers.len() as u32 {
            let is_there = targets.is_eligible.get(target as usize).is_some_and(|yes| *yes);
            let weight = if is_there { effective(targets, target) } else { 0 };
            let was = self.servers[target as usize].weight;
            if weight != was {
                self.set_weight(target as usize, was, weight);
            }
        }
    }

    fn begin(&mut self, targets: &Targets) {
        self.servers.clear();
        self.servers.resize(targets.weights.len(), Server::default());
        self.next_weight = 0;
        for target in &targets.eligible {
            let weight = effective(targets, *target);
            if weight > 0 {
                self.servers[*target as usize].weight = weight;
                self.next_weight += weight;
                self.queue_by_weight(*target as usize, Tree::Init);
            }
        }
        self.place = self.next_weight;
        self.line_weight = self.next_weight;
    }

    /// A server goes down (weight 0), comes up, or weighs something else.
    fn set_weight(&mut self, at: usize, was: u64, weight: u64) {
        self.next_weight = self.next_weight - was + weight;
        self.servers[at].weight = weight;
        if weight == 0 {
            self.servers[at].tree = Tree::None;
            return;
        }
        if was == 0 {
            let left = (self.next_weight + self.line_weight).saturating_sub(self.place);
            self.servers[at].next_place = self.place + left / weight;
            self.servers[at].rest %= weight;
            self.queue(at);
            return;
        }
        match self.servers[at].tree {
            Tree::Init => self.queue_by_weight(at, Tree::Init),
            Tree::None => {}
            Tree::Current | Tree::Next => {
                let (line, place, step) = (self.line_weight, self.place, self.next_weight / weight);
                let server = &mut self.servers[at];
                if server.tree == Tree::Next {
                    server.next_place += line;
                }
                server.rest = 0;
                server.next_place = server.next_place.min(server.last_place + step);
                if server.next_place < place + 2 {
                    server.next_place = place + step;
                }
                self.queue(at);
            }
        }
    }

    #[inline]
    pub(super) fn pick(&mut self, targets: &Targets, among: Among) -> Option<u32> {
        if among == Among::All {
            return Some(self.fail_open.pick(&targets.all));
        }
        self.has_begun = true;
        if self.line_weight == 0 {
            self.line_weight = self.next_weight;
            self.place = self.next_weight;
        }
        let at = match self.first() {
            Some(at) => at,
            None => {
                // The line is done, and the next one takes its place.
                for server in &mut self.servers {
                    if server.tree == Tree::Next {
                        server.tree = Tree::Init;
                    }
                }
                self.line_weight = self.next_weight;
                self.place = self.line_weight;
                self.first()?
            }
        };
        let server = &mut self.servers[at];
        if server.next_place == 0 {
            server.next_place = self.place;
        }
        server.last_place = server.next_place;
        server.next_place += self.next_weight / server.weight;
        server.rest += self.next_weight % server.weight;
        if server.rest >= server.weight {
            server.rest -= server.weight;
            server.next_place += 1;
        }
        self.place += 1;
        self.queue(at);
        Some(at as u32)
    }

    /// Who is first: on the line if its place has come, otherwise who is not on it yet, otherwise on the line.
    fn first(&mut self) -> Option<usize> {
        let (mut current, mut init): (Option<usize>, Option<usize>) = (None, None);
        for (at, server) in self.servers.iter().enumerate() {
            let best = match server.tree {
                Tree::Current => &mut current,
                Tree::Init => &mut init,
                Tree::Next | Tree::None => continue,
            };
            if best.is_none_or(|b| (server.key, server.order) < (self.servers[b].key, self.servers[b].order))
            {
                *best = Some(at);
            }
        }
        match (current, init) {
            (Some(at), _) if self.servers[at].next_place <= self.place => Some(at),
            (_, Some(at)) => {
                self.servers[at].next_place = 0;
                self.servers[at].rest = 0;
                Some(at)
            }
            (at, None) => at,
        }
    }

    fn queue(&mut self, at: usize) {
        let server = &self.servers[at];
        let next = server.next_place;
        if next >= 2 * self.line_weight || next >= self.line_weight + self.next_weight {
            self.servers[at].next_place = next.saturating_sub(self.line_weight);
            self.queue_by_weight(at, Tree::Next);
        } else {
            let key = RANGE * next + (WEIGHT_MAX + server.rest - server.weight) / SCALE as u64;
            self.put(at, Tree::Current, key);
        }
    }

    fn queue_by_weight(&mut self, at: usize, tree: Tree) {
        let key = WEIGHT_MAX - self.servers[at].weight.min(WEIGHT_MAX);
        self.put(at, tree, key);
    }

    fn put(&mut self, at: usize, tree: Tree, key: u64) {
        let server = &mut self.servers[at];
        server.tree = tree;
        server.key = key;
        server.order = self.order;
        self.order += 1;
    }
}

/// `balance leastconn`.
#[derive(Clone, Debug, Default)]
pub(super) struct LeastConn {
    /// By server: its key, and when it got it. Equal keys take turns.
    keys: Vec<(u64, u64)>,
    is_there: Vec<bool>,
    order: u64,
}

impl LeastConn {
    /// Who comes up stands behind those that are as loaded.
    pub(super) fn on_targets_changed(&mut self, targets: &Targets) {
        self.keys.resize(targets.weights.len(), (u64::MAX, u64::MAX));
        self.is_there.resize(targets.weights.len(), false);
        for target in 0..targets.weights.len() as u32 {
            let is = targets.is_eligible[target as usize];
            let was = std::mem::replace(&mut self.is_there[target as usize], is);
            if is && !was {
                self.keys[target as usize].0 = u64::MAX;
            }
            self.on_load_changed(targets, target);
        }
    }

    /// A server's key follows what it works on.
    #[inline]
    pub(super) fn on_load_changed(&mut self, targets: &Targets, target: u32) {
        let Some((key, order)) = self.keys.get_mut(target as usize) else { return };
        let in_flight = u64::from(targets.outstanding[target as usize]);
        let fresh = match (in_flight, effective(targets, target)) {
            (_, 0) => u64::MAX,
            (0, _) => 0,
            (n, weight) => (n + 1) * WEIGHT_MAX / weight,
        };
        if fresh != *key {
            *key = fresh;
            *order = self.order;
            self.order += 1;
        }
    }

    #[inline]
    pub(super) fn pick(&self, targets: &Targets, among: Among) -> Option<u32> {
        let weighs = |t: &u32| targets.weights[*t as usize] > 0;
        let candidates = targets.candidates(among).iter().copied().filter(weighs);
        candidates.min_by_key(|t| self.keys[*t as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;
    use proptest::prelude::*;

    fn order(balancer: &mut Balancer, picks: usize) -> String {
        let mut rng = Rng::from_seed(1);
        let letter = |t: Option<u32>| t.map_or('_', |t| char::from(b'A' + t as u8));
        (0..picks).map(|_| letter(balancer.pick(&mut rng, 0))).collect()
    }

    #[test]
    fn the_order_is_neither_that_of_nginx_nor_of_envoy() {
        let mut balancer = Balancer::new(PolicyConfig::HaproxyRoundRobin, &[5, 1, 2]);
        assert_eq!(order(&mut balancer, 16), "AACAABAC".repeat(2));
    }

    #[test]
    fn a_server_that_goes_down_gets_nothing_and_one_that_comes_up_waits_its_share() {
        let mut balancer = Balancer::new(PolicyConfig::HaproxyRoundRobin, &[1, 1, 1]);
        assert_eq!(order(&mut balancer, 4), "ABCA");
        balancer.set_eligible(1, false);
        assert!(!order(&mut balancer, 10).contains('B'));
        balancer.set_eligible(1, true);
        let after = order(&mut balancer, 300);
        let share = after.matches('B').count();
        assert!((95..=105).contains(&share), "{after}");
    }

    #[test]
    fn leastconn_takes_the_idle_first_whatever_they_weigh() {
        let mut balancer = Balancer::new(PolicyConfig::LeastConn, &[10, 1]);
        assert_eq!(order(&mut balancer, 1), "A");
        balancer.on_start(0);
        assert_eq!(order(&mut balancer, 1), "B");
        balancer.on_start(1);
        // (1 + 1) / 10 against (1 + 1) / 1: the heavy one until it has as much for its weight.
        for _ in 1..19 {
            assert_eq!(order(&mut balancer, 1), "A");
            balancer.on_start(0);
        }
        assert_eq!(order(&mut balancer, 1), "B");
    }

    #[test]
    fn leastconn_rotates_among_equals() {
        let mut balancer = Balancer::new(PolicyConfig::LeastConn, &[1; 3]);
        let mut rng = Rng::from_seed(1);
        let mut seen = Vec::new();
        for _ in 0..6 {
            let target = balancer.pick(&mut rng, 0).unwrap();
            seen.push(target);
            balancer.on_start(target);
            balancer.on_end(target);
        }
        assert_eq!(seen, [0, 1, 2, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn shares_over_a_line_differ_by_a_request_at_most(weights in prop::collection::vec(1u32..9, 1..7)) {
            let total: u32 = weights.iter().sum();
            let (mut rng, cycles) = (Rng::from_seed(1), 16);
            let mut balancer = Balancer::new(PolicyConfig::HaproxyRoundRobin, &weights);
            let mut counts = vec![0u32; weights.len()];
            for _ in 0..total * cycles {
                counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(count.abs_diff(weight * cycles) <= 1, "{:?} {:?}", counts, weights);
            }
        }
    }
}
