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
fn a_backlog_of_rabbitmq_drains_in_backlog_over_spare_capacity() {
    drains_as_theory_says(
        r#""orders": RabbitMq(consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: 1))"#,
    );
}

#[test]
fn a_consumer_of_rabbitmq_does_prefetch_over_round_trip_and_handling() {
    for (prefetch, expected) in [(1, 40.0), (2, 80.0), (4, 160.0), (5, 200.0), (20, 200.0)] {
        let queue = format!(
            r#""orders": RabbitMq(consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: {prefetch},
                latency: "10ms"))"#
        );
        let run = quick(&system(400, &queue, r#"endpoints: { "handle": [ Wait("5ms") ] }"#), 30);
        let throughput = run.value("queues.orders.throughput");
        assert!((throughput / expected - 1.0).abs() < 0.03, "{prefetch}: {throughput}/s, not {expected}/s");
    }
}

#[test]
fn the_memory_alarm_lets_publishers_wait_and_loses_nothing() {
    let queue = r#""orders": RabbitMq(
        memory: RabbitMemory(size: "1MB", high_watermark: "50%", message_size: "5kB"),
        consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: 1))"#;
    let topology = system(20, queue, WORKER);
    // Consumers hang for a minute. There is room for 100 messages, which is 5 s; all others wait to be published.
    let fields =
        r#"duration: "300s", timeline: [ At("20s", Hang(target: "worker", lasts: "60s", name: "stop")) ]"#;
    let run = experiment(&topology, fields);
    conserved(&run);
    assert_eq!(run.value("queues.orders.lag.max"), 100.0);
    assert_eq!((run.value("queues.orders.refused"), run.value("clients.shop.error_ratio")), (0.0, 0.0));
    let longest = run.value("clients.shop.latency.max");
    assert!((50.0..62.0).contains(&longest), "{longest}");
    let [tally] = run.played.summary.queues[..] else { panic!() };
    assert!(tally.published - tally.acknowledged < 20, "{tally:?}");
}

#[test]
fn a_full_queue_of_rabbitmq_refuses_or_drops_the_oldest() {
    let run = |overflow| {
        let queue = format!(
            r#""orders": RabbitMq(max_length: 10, overflow: {overflow},
                consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: 1))"#
        );
        let run = quick(&system(80, &queue, WORKER), 100);
        conserved(&run);
        run
    };
    let (rejects, drops) = (run("RejectPublish"), run("DropHead"));
    // Four at a time, 100 ms each: half of what comes.
    for run in [&rejects, &drops] {
        assert!((run.value("queues.orders.throughput") - 40.0).abs() < 1.0);
    }
    assert!((rejects.value("clients.shop.error_ratio") - 0.5).abs() < 0.05);
    assert_eq!(drops.value("clients.shop.error_ratio"), 0.0);
    assert!((drops.value("queues.orders.dropped") - 4000.0).abs() < 400.0);
}

#[test]
fn stale_messages_that_expire_shorten_what_the_rest_waits_for() {
    let latency = |ttl: &str| {
        let queue = format!(
            r#""orders": RabbitMq({ttl} consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: 1))"#
        );
        let fields = r#"duration: "140s", timeline: [ At("20s", Hang(target: "worker", lasts: "60s", name: "stop")) ]"#;
        let run = experiment(&system(20, &queue, WORKER), fields);
        conserved(&run);
        run.series("queues.orders.latency.mean")[100]
    };
    assert!(latency("") > 10.0);
    assert!(latency(r#"message_ttl: "5s","#) < 1.0);
}

/// Systems whose consumers crash, hang, are taken away and are started again at random, on every broker: what was
/// published is acknowledged in the end.
#[test]
fn nothing_published_is_lost_whatever_happens_to_consumers() {
    let queues = [
        r#"Sqs(visibility_timeout: "7s", consumer: SqsConsumer(endpoint: "worker/handle", pollers: 2, LATENCY
            max_number_of_messages: 3, wait_time: "20s"))"#,
        r#"Sqs(fifo: true, visibility_timeout: "7s", consumer: SqsConsumer(endpoint: "worker/handle", LATENCY
            max_number_of_messages: 3, on_failure: Release))"#,
        r#"Kafka(partitions: 5, consumer: KafkaConsumer(endpoint: "worker/handle", session_timeout: "8s", LATENCY
            max_poll_records: 20, max_poll_interval: "20s", attempts: 1000))"#,
        r#"Kafka(partitions: 5, consumer: KafkaConsumer(endpoint: "worker/handle", session_timeout: "8s", LATENCY
            max_poll_records: 20, partition_assignment_strategy: CooperativeSticky, attempts: 1000,
            commit: EachPoll))"#,
        r#"RabbitMq(queue_type: Classic, consumer: RabbitConsumer(endpoint: "worker/handle", consumers: 2, LATENCY
            prefetch: 5, consumer_timeout: "15s"))"#,
        r#"RabbitMq(delivery_limit: 1000, memory: RabbitMemory(size: "1MB", message_size: "20kB"),
            consumer: RabbitConsumer(endpoint: "worker/handle", LATENCY))"#,
    ];
    let latencies = ["", r#"latency: "20ms","#];
    let mut redelivered = vec![0; queues.len()];
    for number in 0..48_usize {
        let queue = queues[number % queues.len()].replace("LATENCY", latencies[number / 6 % 2]);
        let queue = format!(r#""orders": {queue}"#).replace(", )", ")");
        let topology = system(10, &queue, WORKER_THAT_FAILS)
            .replace(r#"Clients(arrivals"#, r#"Clients(profile: [ Steps([Point("60s", 0)]) ], arrivals"#);
        let fields = format!(
            r#"duration: "400s", seed: {number}, timeline: [
                At("10s", Crash(target: "worker", instances: Number(2), name: "crash")),
                At("18s", Hang(target: "worker", instances: Number(2), lasts: "12s", name: "hang")),
                At("25s", Down(target: "worker", instances: Number(1), lasts: "15s", name: "down")),
                At("33s", Down(target: "orders", lasts: "5s", name: "broker")),
                At("41s", Set("services.worker.replicas", 1)),
                At("47s", Set("services.worker.replicas", 4)),
                At("52s", Crash(target: "worker", name: "all")),
            ]"#
        );
        let run = experiment(&topology, &fields);
        conserved(&run);
        let [tally] = run.played.summary.queues[..] else { panic!() };
        assert_eq!(
            tally.acknowledged, tally.published,
            "{queue}
{tally:?}"
        );
        assert!(tally.published > 400);
        assert_eq!(run.played.summary.rest, Default::default(), "{queue}");
        redelivered[number % queues.len()] += tally.redelivered;
    }
    assert!(redelivered.iter().all(|n| *n > 20), "faults do something: {redelivered:?}");
}

const WORKER_THAT_FAILS: &str = r#"replicas: 4, workers: 4, restart_delay: "3s",
    endpoints: { "handle": [ Work("30ms"), Fail("5%"), Wait(Exponential("40ms")) ] }"#;

#[test]
fn without_a_broker_publishers_fail_and_those_of_kafka_go_on_trying() {
    let run = |queue: &str, lasts| {
        let fields = format!(
            r#"duration: "400s", timeline: [ At("50s", Down(target: "orders", lasts: "{lasts}", name: "out")) ]"#
        );
        let run = experiment(&system(20, &format!(r#""orders": {queue}"#), WORKER), &fields);
        conserved(&run);
        let tally = run.played.summary.queues[0];
        assert!(tally.published - tally.acknowledged < 200, "{tally:?}");
        run
    };
    let sqs = r#"Sqs(consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "20s"))"#;
    let rabbit = r#"RabbitMq(consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: 2))"#;
    for queue in [sqs, rabbit] {
        let run = run(queue, "30s");
        assert!((run.value("clients.shop.error_ratio") - 0.075).abs() < 0.02, "30 of 400 s");
        assert!((run.value("queues.orders.refused") - 600.0).abs() < 100.0);
        assert_eq!(run.series("queues.orders.delivered")[60], 0.0);
        assert!(run.series("queues.orders.delivered")[90] > 5.0);
    }
    let kafka =
        r#"Kafka(partitions: 40, consumer: KafkaConsumer(endpoint: "worker/handle", commit: EachRecord))"#;
    let short = run(kafka, "30s");
    assert_eq!(short.value("clients.shop.error_ratio"), 0.0);
    assert!((29.0..=30.0).contains(&short.value("clients.shop.latency.max")));
    // Longer than `delivery.timeout.ms`: who came in the first 30 s of 150 has given up.
    let long = run(kafka, "150s");
    assert!((long.value("clients.shop.error_ratio") - 0.075).abs() < 0.02);
    assert!((long.value("clients.shop.latency.max") - 120.0).abs() < 1.0);
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

#[test]
fn settings_of_queues_and_consumers_follow_the_timeline() {
    let throughput = |queue: &str, set: &str| {
        let topology = system(200, &format!(r#""orders": {queue}"#), WORKER);
        let fields = format!(r#"duration: "100s", timeline: [ At("50s", {set}) ]"#);
        let run = experiment(&topology, &fields);
        conserved(&run);
        (
            run.count("queues.orders.acknowledged", 10, 49) / 39.0,
            run.count("queues.orders.acknowledged", 60, 99) / 39.0,
        )
    };
    let near = |is: f64, expected: f64| (is / expected - 1.0).abs() < 0.05;
    // Four instances, 100 ms each: 40/s for one consumer each.
    let sqs = r#"Sqs(consumer: SqsConsumer(endpoint: "worker/handle", wait_time: "20s"))"#;
    for (set, after) in [
        (r#"Set("queues.orders.consumer.pollers", 3)"#, 120.0),
        (r#"Set("queues.orders.max_in_flight", 2)"#, 20.0),
        (r#"Set("services.worker.replicas", 2)"#, 20.0),
    ] {
        let (first, second) = throughput(sqs, set);
        assert!(near(first, 40.0) && near(second, after), "{set}: {first}/s, then {second}/s");
    }
    let rabbit =
        r#"RabbitMq(consumer: RabbitConsumer(endpoint: "worker/handle", prefetch: 1, latency: "50ms"))"#;
    let (first, second) = throughput(rabbit, r#"Set("queues.orders.consumer.prefetch", 2)"#);
    assert!(near(first, 20.0) && near(second, 40.0), "{first}/s, then {second}/s");
    let kafka = r#"Kafka(partitions: 40, consumer: KafkaConsumer(endpoint: "worker/handle", max_poll_records: 10,
        commit: EachPoll))"#;
    let (first, second) = throughput(kafka, r#"Set("queues.orders.consumer.consumers", 2)"#);
    assert!(near(first, 40.0) && near(second, 80.0), "{first}/s, then {second}/s");
}

#[test]
fn what_a_queue_is_cannot_change_during_a_run() {
    let queue = r#""orders": Sqs(consumer: SqsConsumer(endpoint: "worker/handle"))"#;
    for (set, what) in [
        (r#"Set("queues.orders.fifo", true)"#, "make the queue `orders` a FIFO queue of SQS"),
        (r#"Set("queues.orders.consumer", None)"#, "change which service consumes the queue `orders`"),
        (r#"Set("queues", {})"#, "there is no queue `orders`"),
    ] {
        let fields = format!(r#"duration: "100s", timeline: [ At("50s", {set}) ]"#);
        let files = crate::support::Files::new(
            &system(1, queue, WORKER),
            Some(&crate::support::whole_experiment(&fields)),
        );
        let mistakes = files.try_plan(&Default::default()).map(|_| ()).unwrap_err();
        assert!(mistakes.contains(what), "{mistakes}");
    }
}
