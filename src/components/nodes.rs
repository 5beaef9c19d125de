//! The nodes below pods: where a pod runs, who waits for a node, and Kubernetes' Cluster Autoscaler.
//!
//! A pod goes to the ready node that has the most left of those on which it fits, by what it *requests*, not by what
//! it uses; if it fits on none, it is pending. At every scan the autoscaler packs pending pods onto what is free or
//! being started, and asks for as many nodes more as the rest needs. A node of which less than half is requested for
//! ten minutes, and whose pods fit elsewhere, goes: empty ones ten at a time, others one by one, after their pods have
//! moved.
//!
//! Surprising: nothing goes in the ten minutes after a node was asked for; a node that is too long in coming is given
//! up and the group backs off, while pods wait; and images are pulled once for each node, so the first pods of a kind
//! on a new node are the slow ones.
//!
//! Source: Cluster Autoscaler FAQ and its defaults (1.30, 2024), kube-scheduler's `NodeResourcesFit` with
//! `LeastAllocated`. Left out: disruption budgets, several node groups and expanders, resources other than CPU.

use crate::base::{SimDuration, SimTime};

/// Empty nodes that go at once (`max-empty-bulk-delete`).
const EMPTY_AT_ONCE: usize = 10;
/// How long a group is left alone whose node did not come, at first and at most
/// (`initial-node-group-backoff-duration`, `max-node-group-backoff-duration`).
const BACKOFF: SimDuration = SimDuration::from_secs(300);
const BACKOFF_MAX: SimDuration = SimDuration::from_secs(1800);

/// The settings of [`Nodes`], with the product's names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodesConfig {
    /// What a node has for pods, in thousandths of a core.
    pub allocatable_milli: u64,
    /// The fewest nodes.
    pub min_nodes: u32,
    /// The most.
    pub max_nodes: u32,
    /// How long a node may take to come (`max-node-provision-time`).
    pub max_node_provision_time: SimDuration,
    /// A node is unneeded below this share (`scale-down-utilization-threshold`).
    pub utilization_threshold: f64,
    /// and goes when it has been for so long (`scale-down-unneeded-time`),
    pub unneeded_time: SimDuration,
    /// but not so soon after a node was asked for (`scale-down-delay-after-add`).
    pub delay_after_add: SimDuration,
}

/// How a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// It was asked for then.
    Booting(SimTime),
    /// It takes pods.
    Ready,
    /// It takes no more, and goes when the last has left.
    Draining,
    /// It is gone, or never came.
    Gone,
}

#[derive(Clone, Debug)]
struct Node {
    state: NodeState,
    used: u64,
    pods: Vec<u32>,
    /// Which images it has, and from when on.
    images: Vec<(u32, SimTime)>,
    unneeded_since: Option<SimTime>,
}

/// A pod: who it is, what it requests, and its image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PodSpec {
    /// Whatever names it.
    pub id: u32,
    /// In thousandths of a core.
    pub request_milli: u64,
    /// Pods of one image share what was pulled.
    pub image: u32,
}

/// Where a pod has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The pod.
    pub pod: PodSpec,
    /// The node.
    pub node: u32,
    /// From when on its image is there; `None` if it is still to be pulled.
    pub image_at: Option<SimTime>,
}

/// What a scan decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The numbers of the nodes that were asked for.
    pub added: Vec<u32>,
    /// How many nodes went, and how many that were asked for are given up.
    pub removed: u32,
    /// See above.
    pub given_up: u32,
    /// Pods that must leave their node.
    pub evicted: Vec<u32>,
}

/// Nodes, the pods on them, and those that wait.
#[derive(Clone, Debug)]
pub struct Nodes {
    config: NodesConfig,
    nodes: Vec<Node>,
    /// All pods that are on a node: pod and node.
    placed: Vec<(PodSpec, u32)>,
    pending: Vec<PodSpec>,
    last_add: Option<SimTime>,
    backoff: Option<(SimTime, SimDuration)>,
}

impl Nodes {
    /// The nodes that these pods need at the start, and at least the fewest.
    pub fn new(config: NodesConfig, pods: impl Iterator<Item = PodSpec>) -> Self {
        let mut this = Self {
            config,
            nodes: Vec::new(),
            placed: Vec::new(),
            pending: Vec::new(),
            last_add: None,
            backoff: None,
        };
        for pod in pods {
            if this.room(&pod).is_none() && pod.request_milli <= config.allocatable_milli {
                this.add(NodeState::Ready);
            }
            if let Some(placed) = this.place(pod)
                && placed.image_at.is_none()
            {
                this.pulls(placed, SimTime::ZERO);
            }
        }
        while (this.nodes.len() as u32) < config.min_nodes {
            this.add(NodeState::Ready);
        }
        this
    }

    /// Follows other settings from now on.
    pub fn reconfigure(&mut self, config: NodesConfig) {
        self.config = config;
    }

    fn add(&mut self, state: NodeState) -> u32 {
        self.nodes.push(Node { state, used: 0, pods: Vec::new(), images: Vec::new(), unneeded_since: None });
        self.nodes.len() as u32 - 1
    }

    /// Nodes that take pods or are about to leave.
    pub fn ready(&self) -> u32 {
        self.count(|s| matches!(s, NodeState::Ready | NodeState::Draining))
    }

    fn count(&self, is: impl Fn(NodeState) -> bool) -> u32 {
        self.nodes.iter().filter(|n| is(n.state)).count() as u32
    }

    /// How many pods wait for a node.
    pub fn pending(&self) -> u32 {
        self.pending.len() as u32
    }

    /// Whether a pod waits for a node.
    pub fn is_pending(&self, pod: u32) -> bool {
        self.pending.iter().any(|p| p.id == pod)
    }

    /// Whether a pod is to leave its node.
    pub fn is_evicted(&self, pod: u32) -> bool {
        let node = self.placed.iter().find(|(p, _)| p.id == pod).map(|(_, node)| *node);
        node.is_some_and(|node| self.nodes[node as usize].state == NodeState::Draining)
    }

    /// The ready node with the most room, if the pod fits there.
    fn room(&self, pod: &PodSpec) -> Option<u32> {
        let ready = (0..).zip(&self.nodes).filter(|(_, n)| n.state == NodeState::Ready);
        let (node, used) = ready.map(|(i, n)| (i, n.used)).min_by_key(|(i, used)| (*used, *i))?;
        (used + pod.request_milli <= self.config.allocatable_milli).then_some(node)
    }

    /// A pod is to run: it is placed, or waits.
    pub fn place(&mut self, pod: PodSpec) -> Option<Placed> {
        let Some(node) = self.room(&pod) else {
            self.pending.push(pod);
            return None;
        };
        let to = &mut self.nodes[node as usize];
        let image_at = to.images.iter().find(|(image, _)| *image == pod.image).map(|(_, at)| *at);
        to.used += pod.request_milli;
        to.pods.push(pod.id);
        self.placed.push((pod, node));
        Some(Placed { pod, node, image_at })
    }

    /// The image of a pod that was placed will be on its node from then on; others of it wait for the same pull.
    pub fn pulls(&mut self, placed: Placed, until: SimTime) {
        self.nodes[placed.node as usize].images.push((placed.pod.image, until));
    }

    /// A pod is no more; returns whether its node is gone with it.
    pub fn remove(&mut self, pod: u32) -> bool {
        self.pending.retain(|p| p.id != pod);
        let Some(at) = self.placed.iter().position(|(p, _)| p.id == pod) else { return false };
        let (spec, node) = self.placed.swap_remove(at);
        let node = &mut self.nodes[node as usize];
        node.used -= spec.request_milli;
        node.pods.retain(|p| *p != pod);
        let goes = node.state == NodeState::Draining && node.pods.is_empty();
        if goes {
            node.state = NodeState::Gone;
        }
        goes
    }

    /// The next of those who wait that fits somewhere.
    pub fn next_placed(&mut self) -> Option<Placed> {
        let at = (0..self.pending.len()).find(|at| self.room(&self.pending[*at]).is_some())?;
        let pod = self.pending.remove(at);
        self.place(pod)
    }

    /// A node has come; `false` if it was given up meanwhile.
    pub fn node_ready(&mut self, node: u32) -> bool {
        let node = &mut self.nodes[node as usize];
        let comes = matches!(node.state, NodeState::Booting(_));
        if comes {
            node.state = NodeState::Ready;
            self.backoff = None;
        }
        comes
    }

    /// A scan.
    pub fn scan(&mut self, now: SimTime) -> Scan {
        let mut scan = Scan { given_up: self.give_up(now), ..Scan::default() };
        let backs_off = self.backoff.is_some_and(|(until, _)| now < until);
        let missing = if backs_off { 0 } else { self.missing() };
        let there = self.count(|s| s != NodeState::Gone);
        let more = missing.min(self.config.max_nodes.saturating_sub(there));
        scan.added = (0..more).map(|_| self.add(NodeState::Booting(now))).collect();
        if more > 0 {
            self.last_add = Some(now);
            return scan;
        }
        self.look_for_unneeded(now);
        let is_early = self.last_add.is_some_and(|at| now.since(at) < self.config.delay_after_add);
        if !is_early {
            self.scale_down(now, &mut scan);
        }
        scan
    }

    fn give_up(&mut self, now: SimTime) -> u32 {
        let limit = self.config.max_node_provision_time;
        let late = |n: &&mut Node| matches!(n.state, NodeState::Booting(at) if now.since(at) > limit);
        let mut count = 0;
        for node in self.nodes.iter_mut().filter(late) {
            node.state = NodeState::Gone;
            count += 1;
        }
        if count > 0 {
            let wait = self.backoff.map_or(BACKOFF, |(_, last)| {
                SimDuration::from_ns(last.ns().saturating_mul(2)).min(BACKOFF_MAX)
            });
            self.backoff = Some((now + wait, wait));
        }
        count
    }

    /// How many nodes more those who wait need: packed onto what is free or coming, the largest first.
    fn missing(&self) -> u32 {
        if self.pending.is_empty() {
            return 0;
        }
        let size = self.config.allocatable_milli;
        let comes = |n: &&Node| matches!(n.state, NodeState::Ready | NodeState::Booting(_));
        let mut free: Vec<u64> =
            self.nodes.iter().filter(comes).map(|n| size.saturating_sub(n.used)).collect();
        let known = free.len();
        let mut requests: Vec<u64> = self.pending.iter().map(|p| p.request_milli).collect();
        requests.sort_unstable_by(|a, b| b.cmp(a));
        for request in requests.into_iter().filter(|r| *r <= size) {
            match free.iter_mut().find(|f| **f >= request) {
                Some(f) => *f -= request,
                None => free.push(size - request),
            }
        }
        (free.len() - known) as u32
    }

    /// Whether the pods of a node fit on the others.
    fn fits_elsewhere(&self, node: u32) -> bool {
        let size = self.config.allocatable_milli;
        let others = (0..).zip(&self.nodes).filter(|(i, n)| *i != node && n.state == NodeState::Ready);
        let mut free: Vec<u64> = others.map(|(_, n)| size.saturating_sub(n.used)).collect();
        let mine = self.placed.iter().filter(|(_, at)| *at == node);
        let mut requests: Vec<u64> = mine.map(|(p, _)| p.request_milli).collect();
        requests.sort_unstable_by(|a, b| b.cmp(a));
        requests.into_iter().all(|request| match free.iter_mut().find(|f| **f >= request) {
            Some(f) => {
                *f -= request;
                true
            }
            None => false,
        })
    }

    fn look_for_unneeded(&mut self, now: SimTime) {
        let most = self.config.utilization_threshold * self.config.allocatable_milli as f64;
        for node in 0..self.nodes.len() as u32 {
            let state = &self.nodes[node as usize];
            let is_low = state.state == NodeState::Ready && (state.used as f64) < most;
            let is_unneeded = is_low && self.fits_elsewhere(node);
            let since = &mut self.nodes[node as usize].unneeded_since;
            *since = is_unneeded.then(|| since.unwrap_or(now));
        }
    }

    fn scale_down(&mut self, now: SimTime, scan: &mut Scan) {
        let is_due = |n: &Node, config: &NodesConfig| {
            n.state == NodeState::Ready
                && n.unneeded_since.is_some_and(|at| now.since(at) >= config.unneeded_time)
        };
        let mut spare = self.count(|s| s == NodeState::Ready).saturating_sub(self.config.min_nodes);
        for node in self.nodes.iter_mut() {
            if spare > 0
                && (scan.removed as usize) < EMPTY_AT_ONCE
                && node.pods.is_empty()
                && is_due(node, &self.config)
            {
                node.state = NodeState::Gone;
                scan.removed += 1;
                spare -= 1;
            }
        }
        let is_busy = self.nodes.iter().any(|n| n.state == NodeState::Draining);
        if scan.removed > 0 || spare == 0 || is_busy {
            return;
        }
        if let Some(node) = self.nodes.iter_mut().find(|n| is_due(n, &self.config)) {
            node.state = NodeState::Draining;
            scan.evicted.extend_from_slice(&node.pods);
        }
    }
}

#[cfg(test)]
#[path = "nodes/tests.rs"]
mod tests;
