//! The orders of weighted round robin, and the split of least connections, against nginx 1.22.1, HAProxy 2.6.12 and
//! Envoy 1.40.0, recorded over loopback with one worker each.

use super::{documents, report};
use brownout::base::Rng;
use brownout::components::balancer::{Balancer, PolicyConfig};
use serde_json::Value;
use std::collections::BTreeSet;

/// A recorded order.
struct Order {
    name: String,
    weights: Vec<u32>,
    order: String,
}

fn order(policy: PolicyConfig, weights: &[u32], picks: usize) -> String {
    let (mut balancer, mut rng) = (Balancer::new(policy, weights), Rng::from_seed(1));
    let letter = |t: Option<u32>| t.map_or('_', |t| char::from(b'A' + t as u8));
    (0..picks).map(|_| letter(balancer.pick(&mut rng, 0))).collect()
}

/// The orders of a product whose recordings name the weights.
fn orders(product: &str, prefix: &str) -> Vec<Order> {
    let mut orders = Vec::new();
    for (_, document) in documents(product) {
        for (name, entry) in document.as_object().unwrap() {
            if name.starts_with(prefix) && entry["order"].is_string() {
                let weights = entry["weights"].as_array().unwrap();
                orders.push(Order {
                    name: format!("{product} {name}"),
                    weights: weights.iter().map(|w| w.as_u64().unwrap() as u32).collect(),
                    order: entry["order"].as_str().unwrap().to_string(),
                });
            }
        }
    }
    orders
}

/// Envoy's: the weights are the digits of the name.
fn envoy_orders() -> Vec<Order> {
    let (_, document) = documents("envoy").into_iter().find(|(n, _)| n == "round_robin_order.json").unwrap();
    let of = |(name, order): (&String, &Value)| Order {
        name: format!("envoy {name}"),
        weights: name.chars().filter_map(|c| c.to_digit(10)).collect(),
        order: order.as_str().unwrap().to_string(),
    };
    document.as_object().unwrap().iter().map(of).collect()
}

/// Places at which ours differs, from the start of both.
fn deviations(policy: PolicyConfig, recorded: &Order) -> usize {
    let ours = order(policy, &recorded.weights, recorded.order.len());
    ours.chars().zip(recorded.order.chars()).filter(|(a, b)| a != b).count()
}

/// The same where the start is arbitrary: from that place of the first cycle of ours at which they differ least.
fn rotated_deviations(policy: PolicyConfig, recorded: &Order) -> usize {
    let cycle: u32 = recorded.weights.iter().sum();
    let ours = order(policy, &recorded.weights, recorded.order.len() + cycle as usize);
    let differ =
        |from: usize| ours[from..].chars().zip(recorded.order.chars()).filter(|(a, b)| a != b).count();
    (0..cycle as usize).map(differ).min().unwrap()
}

#[test]
fn conformance_of_the_orders_of_weighted_round_robin() {
    let products = [
        ("nginx 1.22.1", PolicyConfig::WeightedRoundRobin, orders("nginx", "w"), false),
        ("HAProxy 2.6.12", PolicyConfig::HaproxyRoundRobin, orders("haproxy", "rr"), false),
        ("Envoy 1.40.0", PolicyConfig::EnvoyRoundRobin, envoy_orders(), true),
    ];
    let mut wrong = Vec::new();
    for (product, policy, recorded, any_start) in &products {
        assert!(recorded.len() >= 3, "{product}");
        let differ =
            |r: &Order| if *any_start { rotated_deviations(*policy, r) } else { deviations(*policy, r) };
        let differences: Vec<usize> = recorded.iter().map(differ).collect();
        let steps = recorded.iter().map(|r| r.order.len()).sum();
        let what = format!("weighted round robin against {product}");
        report(&what, recorded.len(), steps, differences.iter().sum());
        let bad = recorded.iter().zip(&differences).filter(|(_, d)| **d > 0);
        wrong.extend(bad.map(|(r, d)| format!("{}: {d}", r.name)));
        // Any weight that is off by one is noticed, and so is another product's rule.
        for order in recorded {
            for at in 0..order.weights.len() {
                let mut weights = order.weights.clone();
                weights[at] += 1;
                let other = Order { name: String::new(), weights, order: order.order.clone() };
                assert!(differ(&other) > 0, "{}: weight {at} off by one goes unnoticed", order.name);
            }
        }
        for (_, other, ..) in &products {
            let differs = |r: &Order| {
                if *any_start { rotated_deviations(*other, r) > 0 } else { deviations(*other, r) > 0 }
            };
            assert!(other == policy || recorded.iter().any(differs), "{product} as {other:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// How many of `requests` each of two servers gets from closed-loop clients that wait 50 ms at one, 500 at the other.
fn split(policy: PolicyConfig, clients: u64, requests: u32) -> [u32; 2] {
    let (mut balancer, mut rng) = (Balancer::new(policy, &[1, 1]), Rng::from_seed(1));
    let mut counts = [0; 2];
    // Answers: when, the client, the server.
    let mut due: BTreeSet<(u64, u64, u32)> = BTreeSet::new();
    let mut ask = |now: u64, client: u64, due: &mut BTreeSet<(u64, u64, u32)>, balancer: &mut Balancer| {
        let server = balancer.pick(&mut rng, client).unwrap();
        balancer.on_start(server);
        counts[server as usize] += 1;
        due.insert((now + [50, 500][server as usize], client, server));
    };
    (0..clients).for_each(|client| ask(0, client, &mut due, &mut balancer));
    for _ in clients..u64::from(requests) {
        let (now, client, server) = due.pop_first().unwrap();
        balancer.on_end(server);
        ask(now, client, &mut due, &mut balancer);
    }
    counts
}

#[test]
fn conformance_of_the_split_of_leastconn() {
    let (_, document) = documents("haproxy").swap_remove(0);
    let recorded = &document["leastconn_6_closed_loop_clients_50ms_vs_500ms"];
    let recorded = [recorded["19005"].as_u64().unwrap() as u32, recorded["19006"].as_u64().unwrap() as u32];
    let total = recorded.iter().sum();
    // The recorded run is of real time, and cut off somewhere within its last half second: three requests.
    let deviates = |policy| split(policy, 6, total)[1].abs_diff(recorded[1]) > 3;
    let steps = total as usize;
    report(
        "leastconn against HAProxy 2.6.12 (requests)",
        1,
        steps,
        usize::from(deviates(PolicyConfig::LeastConn)),
    );
    assert!(
        !deviates(PolicyConfig::LeastConn),
        "{:?} {recorded:?}",
        split(PolicyConfig::LeastConn, 6, total)
    );
    for other in [PolicyConfig::HaproxyRoundRobin, PolicyConfig::Random] {
        assert!(deviates(other), "{other:?} goes unnoticed: {:?}", split(other, 6, total));
    }
}
