//! Message queues in whole systems: messages add up, drain as theory says, and survive their consumers.

use crate::support::{Run, experiment, quick};

/// A system in which `queue` lies between those who publish and workers of 100 ms each.
fn system(rate: u32, queue: &str, worker: &str) -> String {
    format!(
        r#"Topology(
            name: "q",
            clients: {{ "shop": Clients(arrivals: Poisson("{rate}/s"), requests: {{ "api/order": 1 }}) }},
            services: {{
                "api": Service(endpoints: {{ "order": [ Publish("orders") ] }}),
                "worker": Service({worker}),
            }},
            queues: {{ {queue} }},
        )"#
    )
}

const WORKER: &str = r#"replicas: 4, restart_delay: "3s", endpoints: { "handle": [ Wait("100ms") ] }"#;

fn conserved(run: &Run) {
    for tally in &run.played.summary.queues {
        assert!(tally.is_conserved(), "{tally:?}");
    }
}

/// Backlog over (what all consumers do less what comes) is the time to drain, and the oldest message is as old as it
/// takes to publish the backlog.
fn drains_as_theory_says(queue: &str) {
    // Consumers hang for a minute, at 20 messages per second; afterwards they handle 40 per second.
    let topology = system(20, queue, WORKER);
    let fields =
        r#"duration: "200s", timeline: [ At("20s", Hang(target: "worker", lasts: "60s", name: "stop")) ]"#;
    let run = experiment(&topology, fields);
    conserved(&run);
    let backlog = run.series("queues.orders.backlog.max");
    let most = backlog[79];
    assert!((most - 1200.0).abs() < 120.0, "60 s at 20/s: {most}");
    let age = run.series("queues.orders.oldest_age.max")[79];
    assert!((age - most / 20.0).abs() < 4.0, "{age} s old at a backlog of {most}");
    let drained = (80..200).find(|second| backlog[*second] < 10.0).expect("it drains") as f64 - 80.0;
    let expected = most / (40.0 - 20.0);
    assert!((drained / expected - 1.0).abs() < 0.15, "{drained} s instead of {expected} s");
    let tally = run.played.summary.queues[0];
    assert_eq!(tally.dead_lettered + tally.expired + tally.dropped, 0);
    assert!(tally.published - tally.acknowledged < 40, "{tally:?}");
}

#[test]
fn a_backlog_of_sqs_drains_in_backlog_over_spare_capacity() {
    drains_as_theory_says(
        r#""orders": Sqs(visibility_timeout: "2m",
            consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "20s"))"#,
    );
}

#[test]
fn a_backlog_of_kafka_drains_in_backlog_over_spare_capacity() {
    // Many partitions, and keys that spread evenly; hanging for less than the session's time rebalances nothing.
    drains_as_theory_says(
        r#""orders": Kafka(partitions: 400, consumer: KafkaConsumer(endpoint: "worker/handle",
            session_timeout: "10m", max_poll_records: 1, commit: EachPoll))"#,
    );
}

#[test]
fn consumers_beyond_the_partitions_do_nothing() {
    let backlog = |partitions, replicas| {
        let queue = format!(
            r#""orders": Kafka(partitions: {partitions},
                consumer: KafkaConsumer(endpoint: "worker/handle", commit: EachRecord,
                    group_initial_rebalance_delay: "0s"))"#
        );
        let worker = format!(r#"replicas: {replicas}, endpoints: {{ "handle": [ Wait("100ms") ] }}"#);
        quick(&system(20, &queue, &worker), 100).value("queues.orders.throughput")
    };
    assert!((backlog(1, 8) - 10.0).abs() < 0.5, "one at a time, each 100 ms");
    assert!(backlog(16, 8) > 18.5);
}

#[test]
fn a_crash_of_a_consumer_of_kafka_repeats_what_was_not_committed() {
    let queue = r#""orders": Kafka(partitions: 4,
        consumer: KafkaConsumer(endpoint: "worker/handle", session_timeout: "10s", auto_commit_interval: "4s"))"#;
    let worker = r#"replicas: 1, endpoints: { "handle": [ Wait("10ms") ] }"#;
    let fields = r#"duration: "100s", timeline: [ At("51.5s", Crash(target: "worker")) ]"#;
    let run = experiment(&system(20, queue, worker), fields);
    conserved(&run);
    let tally = run.played.summary.queues[0];
    // At most four seconds' records, and all of them were handled before.
    assert!((1..=100).contains(&tally.duplicates), "{tally:?}");
    assert!(tally.redelivered >= tally.duplicates && tally.redelivered <= tally.duplicates + 1, "{tally:?}");
    assert_eq!((tally.rebalances, tally.dropped), (2, 0));
    assert!(tally.published - tally.acknowledged < 100, "{tally:?}");
}

#[test]
fn a_killed_consumer_leaves_its_message_to_the_visibility_timeout() {
    let queue = r#""orders": Sqs(visibility_timeout: "10s",
        consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "20s"))"#;
    let worker = r#"endpoints: { "handle": [ Wait("4s") ] }"#;
    let topology = r#"Topology(name: "q",
        clients: { "shop": Clients(arrivals: Times("one.csv"), requests: { "api/order": 1 }) },
        services: { "api": Service(endpoints: { "order": [ Publish("orders") ] }), "worker": Service(WORKER) },
        queues: { QUEUE })"#;
    let topology = topology.replace("WORKER", worker).replace("QUEUE", queue);
    let topology = topology.replace("Times(\"one.csv\")", "Renewal(\"5s\")");
    // A message each 5 s: the one of 10 s is killed with its handler at 12 s, and visible again at 20 s.
    let run = experiment(&topology, r#"duration: "24s", timeline: [ At("12s", Crash(target: "worker")) ]"#);
    conserved(&run);
    let tally = run.played.summary.queues[0];
    assert_eq!((tally.published, tally.redelivered, tally.duplicates), (4, 1, 0), "{tally:?}");
    assert_eq!(run.played.summary.tallies[0].sent, 4, "handling messages is no request of clients");
}

#[test]
fn a_failed_handler_sends_messages_to_the_dead_letter_queue_in_the_end() {
    let queue = r#""orders": Sqs(visibility_timeout: "1s",
            redrive_policy: RedrivePolicy(dead_letter: "failed", max_receive_count: 3),
            consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "20s")),
        "failed": Sqs()"#;
    let worker = r#"replicas: 10, endpoints: { "handle": [ Wait("10ms"), Fail("50%") ] }"#;
    let run = experiment(&system(20, queue, worker), r#"duration: "200s""#);
    conserved(&run);
    let [failed, orders] = run.played.summary.queues[..] else { panic!() };
    assert_eq!(failed.published, orders.dead_lettered);
    assert_eq!(failed.waiting, failed.published);
    // Three failures in a row.
    let share = orders.dead_lettered as f64 / orders.published as f64;
    assert!((share - 0.125).abs() < 0.02, "{share}");
    let receives = orders.delivered as f64 / orders.published as f64;
    assert!((receives - 1.75).abs() < 0.06, "{receives}");
}

#[test]
fn publishing_takes_its_time_and_handling_does_not_count_for_clients() {
    let queue = r#""orders": Sqs(publish_latency: "30ms",
        consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "20s"))"#;
    let run = quick(&system(10, queue, WORKER), 60);
    assert_eq!(run.value("clients.shop.latency.p50"), run.value("clients.shop.latency.p99"));
    assert!((run.value("clients.shop.latency.mean") - 0.03).abs() < 1e-6);
    assert!((run.value("queues.orders.latency.mean") - 0.1).abs() < 0.01, "from publish to delete");
    assert!((run.value("services.worker.rate") - run.value("queues.orders.rate")).abs() < 0.1);
}

#[test]
fn short_polling_waits_for_its_next_turn() {
    let consumer = |wait| {
        let queue = format!(
            r#""orders": Sqs(consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "{wait}",
                poll_interval: "2s"))"#
        );
        let worker = r#"endpoints: { "handle": [ Wait("1ms") ] }"#;
        quick(&system(1, &queue, worker), 300).value("queues.orders.latency.mean")
    };
    let (long, short) = (consumer("1s"), consumer("0s"));
    assert!(long < 0.002, "{long}");
    // A pause of 2 s, half of which is left on average.
    assert!((0.8..1.3).contains(&short), "{short}");
}
