//! Nodes: pods that wait, nodes that come and go, and what always holds.

use super::*;
use proptest::prelude::*;

const CONFIG: NodesConfig = NodesConfig {
    allocatable_milli: 2000,
    min_nodes: 1,
    max_nodes: 5,
    max_node_provision_time: SimDuration::from_secs(900),
    utilization_threshold: 0.5,
    unneeded_time: SimDuration::from_secs(600),
    delay_after_add: SimDuration::from_secs(600),
};

fn at(s: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(s)
}

fn pod(id: u32, request_milli: u64) -> PodSpec {
    PodSpec { id, request_milli, image: 0 }
}

#[test]
fn pods_wait_until_a_node_has_come_and_the_first_pulls_the_image() {
    let mut nodes = Nodes::new(CONFIG, (0..2).map(|i| pod(i, 1000)));
    assert_eq!((nodes.ready(), nodes.pending()), (1, 0));
    (2..5).for_each(|i| assert_eq!(nodes.place(pod(i, 1000)), None));
    // Three halves of a node are two nodes; while they come, no more are asked for.
    assert_eq!(nodes.scan(at(10)).added, [1, 2]);
    assert_eq!(nodes.scan(at(20)), Scan::default());
    assert!(nodes.node_ready(1));
    let first = nodes.next_placed().unwrap();
    assert_eq!((first.pod.id, first.node, first.image_at), (2, 1, None));
    nodes.pulls(first, at(40));
    // The second waits for the same pull.
    let second = nodes.next_placed().unwrap();
    assert_eq!((second.pod.id, second.image_at), (3, Some(at(40))));
    assert!(nodes.is_pending(4) && !nodes.is_pending(3));
    assert!(nodes.node_ready(2));
    assert_eq!(nodes.next_placed(), Some(Placed { pod: pod(4, 1000), node: 2, image_at: None }));
}

#[test]
fn a_node_that_does_not_come_is_given_up_and_the_group_backs_off() {
    let mut nodes = Nodes::new(CONFIG, (0..3).map(|i| pod(i, 1000)));
    nodes.place(pod(9, 2000));
    assert_eq!(nodes.scan(at(0)).added, [2]);
    assert_eq!(nodes.scan(at(900)).given_up, 0);
    let scan = nodes.scan(at(910));
    assert_eq!((scan.given_up, scan.added.len()), (1, 0));
    assert!(!nodes.node_ready(2));
    assert_eq!(nodes.scan(at(1200)).added, [] as [u32; 0]);
    assert_eq!(nodes.scan(at(1210)).added, [3]);
    // Twice as long the second time.
    assert_eq!(nodes.scan(at(2120)).given_up, 1);
    assert_eq!(nodes.scan(at(2710)).added, [] as [u32; 0]);
    assert_eq!(nodes.scan(at(2720)).added, [4]);
}

#[test]
fn unneeded_nodes_go_after_ten_minutes_and_ten_after_one_was_added() {
    let mut nodes = Nodes::new(CONFIG, (0..2).map(|i| pod(i, 900)));
    nodes.place(pod(2, 900));
    assert_eq!(nodes.scan(at(0)).added, [1]);
    nodes.node_ready(1);
    nodes.next_placed();
    nodes.remove(2);
    // Unneeded from 10 s on; ten minutes after the node was asked for are over at 600 s, of being unneeded at 610 s.
    assert_eq!(nodes.scan(at(10)), Scan::default());
    assert_eq!(nodes.scan(at(600)).removed, 0);
    assert_eq!(nodes.scan(at(610)).removed, 1);
    assert_eq!(nodes.ready(), 1);
    // Never below the least.
    nodes.remove(0);
    nodes.remove(1);
    (62..200).for_each(|i| assert_eq!(nodes.scan(at(i * 10)), Scan::default()));
}

#[test]
fn pods_move_from_a_node_that_goes() {
    let mut nodes = Nodes::new(CONFIG, (0..4).map(|i| pod(i, 900)));
    assert_eq!(nodes.ready(), 2);
    nodes.remove(0);
    // One pod is left on the first: it fits nowhere, as the second is full.
    nodes.scan(at(0));
    assert_eq!(nodes.scan(at(600)), Scan::default());
    nodes.remove(3);
    nodes.scan(at(610));
    assert_eq!(nodes.scan(at(1200)), Scan::default());
    assert_eq!(nodes.scan(at(1210)).evicted, [1]);
    assert!(nodes.is_evicted(1) && !nodes.is_evicted(2));
    assert!(nodes.remove(1));
    assert!(nodes.place(pod(1, 900)).is_some());
    assert_eq!((nodes.ready(), nodes.pending()), (1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever comes and goes: no node holds more than fits, every pod is on one node that is there or waits, there
    /// are never more nodes than may be, and no node goes with a pod on it or below the least.
    #[test]
    fn nodes_hold_what_fits(
        acts in prop::collection::vec((0u8..6, 0u32..40, 1u64..2500), 1..80), start in 0u32..6, seed in 0u64..1000,
    ) {
        let mut nodes = Nodes::new(CONFIG, (0..start).map(|i| pod(i, 700)));
        let (mut next, mut now, mut booting) = (start, 0u64, Vec::new());
        let mut alive: Vec<u32> = (0..start).collect();
        for (act, which, size) in acts {
            match act {
                0 | 1 => {
                    nodes.place(pod(next, size));
                    alive.push(next);
                    next += 1;
                }
                2 if !alive.is_empty() => {
                    let id = alive.swap_remove(which as usize % alive.len());
                    nodes.remove(id);
                }
                3 => {
                    while let Some(node) = booting.pop() {
                        nodes.node_ready(node);
                    }
                }
                _ => {
                    now += (seed + u64::from(which)) % 400;
                    let ready = nodes.ready();
                    let scan = nodes.scan(at(now));
                    prop_assert!(nodes.ready() == ready - scan.removed);
                    prop_assert!(scan.removed == 0 || nodes.ready() >= CONFIG.min_nodes);
                    booting.extend(scan.added);
                    for id in scan.evicted {
                        let spec = nodes.placed.iter().find(|(p, _)| p.id == id).unwrap().0;
                        nodes.remove(id);
                        nodes.place(spec);
                    }
                }
            }
            while nodes.next_placed().is_some() {}
            prop_assert!(nodes.count(|s| s != NodeState::Gone) <= CONFIG.max_nodes);
            for (index, node) in (0u32..).zip(&nodes.nodes) {
                let mine = nodes.placed.iter().filter(|(_, at)| *at == index);
                let used: u64 = mine.clone().map(|(p, _)| p.request_milli).sum();
                prop_assert!(used == node.used && used <= CONFIG.allocatable_milli);
                prop_assert_eq!(mine.count(), node.pods.len());
                prop_assert!(node.pods.is_empty() || matches!(node.state, NodeState::Ready | NodeState::Draining));
            }
            let held = nodes.placed.len() + nodes.pending.len();
            prop_assert_eq!(held, alive.len());
        }
    }
}
