//! Faults of the network and of dependencies in whole systems: times and counts that can be worked out by hand.

use crate::support::{Files, Run, close, experiment, run_of, whole_experiment};
use brownout::experiment::Changes;

/// A shop that asks a bank once a second, through a policy, and what happens.
fn shop(policy: &str, duration: &str, fault: &str) -> Run {
    let topology = format!(
        "Topology(name: \"t\",
            clients: {{ \"u\": Clients(arrivals: Regular(\"1/s\"), requests: {{ \"shop/buy\": 1 }}) }},
            services: {{ \"shop\": Service(endpoints: {{ \"buy\": [ Call(\"bank/pay\", \"bank\") ] }}) }},
            externals: {{ \"bank\": External(latency: \"20ms\") }},
            policies: {{ \"bank\": [{policy}] }})"
    );
    experiment(&topology, &format!("duration: \"{duration}\", timeline: [ {fault} ]"))
}

fn mistakes(topology: &str, fields: &str) -> String {
    let files = Files::new(topology, Some(&whole_experiment(fields)));
    files.try_plan(&Changes::default()).expect_err("a mistake")
}

#[test]
fn what_is_sent_into_a_cut_gets_through_when_tcp_repeats_it() {
    // The request of 20.5 s is sent again after 0.2, 0.6, 1.4, 3, 6.2 and 12.6 s, which is at 33.1 s. That of 29.5 s is
    // sent again at 29.7 and 30.1 s.
    let run = shop("", "60s", "At(\"20s\", Partition(from: \"shop\", to: \"bank\", lasts: \"10s\"))");
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
    close("the longest wait", run.value("clients.u.latency.max"), 12.62, 1e-6);
    assert_eq!(run.value("externals.bank.work_for_nobody"), 0.0);
    let latency = run.series("clients.u.latency.max");
    close("that of 24.5 s", latency[30], 6.22, 1e-6);
}

#[test]
fn a_kernel_gives_up_after_a_quarter_of_an_hour() {
    let cut = "At(\"20s\", Partition(from: \"shop\", to: \"bank\", lasts: \"30min\"))";
    let run = shop("", "20min", cut);
    // 924.6 s after 20.5 s.
    assert_eq!(run.total("clients.u.outcomes.error"), 1200.0_f64.floor() - 944.0 - 1.0);
    close("its time", run.value("clients.u.latency.max"), 924.6, 1e-6);
    // Or sooner, if the socket says so.
    let run = shop("Connect(keep_alive: \"60s\", tcp_user_timeout: \"30s\")", "2min", cut);
    close("the user timeout", run.value("clients.u.latency.max"), 30.0, 2e-3);
}

#[test]
fn new_connections_send_syn_after_syn() {
    // SYNs at 0, 1, 2, 3, 4, 5, 7 and 11 s: that of 20.5 s gets through at 31.5 s.
    let cut = "At(\"20s\", Partition(from: \"shop\", to: \"bank\", lasts: \"10s\"))";
    let run = shop("Connect(rtt: \"0s\")", "60s", cut);
    close("the longest wait", run.value("clients.u.latency.max"), 11.02, 1e-6);
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
    let run = shop("Connect(rtt: \"0s\", connect_timeout: \"2s\")", "60s", cut);
    close("the connect timeout", run.value("clients.u.latency.max"), 2.02, 1e-6);
    // Those from 20.5 to 27.5 s; the others had a SYN left after the end.
    assert_eq!(run.total("services.shop.calls.bank.outcomes.timeout"), 8.0);
}

#[test]
fn one_way_loses_requests_or_answers() {
    let cut = |from: &str, to: &str| {
        let fault = format!(
            "At(\"20s\", Partition(from: \"{from}\", to: \"{to}\", ways: OneWay, lasts: \"10s\", name: \"cut\"))"
        );
        shop("Timeout(\"100ms\")", "60s", &fault)
    };
    let requests = cut("shop", "bank");
    let answers = cut("bank", "shop");
    for run in [&requests, &answers] {
        assert_eq!(run.total("services.shop.calls.bank.outcomes.timeout"), 10.0);
    }
    // Nobody wants them any more when they could get through.
    assert_eq!(requests.count("externals.bank.rate", 20, 30), 0.0);
    assert_eq!(requests.total("externals.bank.throughput"), 50.0);
    assert_eq!(answers.total("externals.bank.throughput"), 60.0);
    close("work for nobody", answers.value("externals.bank.work_for_nobody"), 10.0 / 60.0, 1e-9);
}

#[test]
fn a_call_that_is_called_off_across_a_cut_is_worked_on() {
    let topology = |cancel: bool| {
        format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"1/s\"), requests: {{ \"s/e\": 1 }}, through: \"p\") }},
                services: {{ \"s\": Service(endpoints: {{ \"e\": [ Wait(\"1s\") ] }}) }},
                policies: {{ \"p\": [ Timeout(limit: \"700ms\", cancel: {cancel}) ] }})"
        )
    };
    // Cut while they work.
    let fields = "duration: \"4s\", timeline: [ At(\"600ms\", Partition(from: \"u\", to: \"s\")) ]";
    let run = experiment(&topology(true), fields);
    assert_eq!(run.total("services.s.outcomes.cancelled"), 0.0);
    assert_eq!(run.total("services.s.outcomes.ok"), 1.0);
    let run = experiment(&topology(true), "duration: \"4s\"");
    assert_eq!(run.total("services.s.outcomes.cancelled"), 3.0);
}

const BALANCED: &str = "Topology(name: \"t\",
    clients: { \"u\": Clients(arrivals: Regular(\"40/s\"), profile: [ Steps([ Point(\"0s\", 1),
        Point(\"40s\", 0) ]) ], requests: { \"lb/get\": 1 }, through: \"patient\") },
    balancers: { \"lb\": Balancer(targets: \"web\" PRODUCT,
        health_check: HealthCheck(endpoint: \"health\", interval: \"5s\", timeout: \"2s\")) },
    services: { \"web\": Service(replicas: 4, endpoints: { \"get\": [ Wait(\"10ms\") ], \"health\": [ Work(\"1ms\") ] }) },
    policies: { \"patient\": [ Timeout(\"1s\") ] })";

#[test]
fn a_balancer_that_is_cut_off_from_a_target_counts_what_it_sent() {
    let cut = "At(\"10s\", Partition(from: \"lb\", to: \"web\", instances: Number(1), lasts: \"20s\"))";
    for ways in ["Both", "OneWay"] {
        let fault = cut.replace("lasts", &format!("ways: {ways}, lasts"));
        let run = experiment(
            &BALANCED.replace("PRODUCT", ""),
            &format!("duration: \"100s\", timeline: [ {fault} ]"),
        );
        let in_flight = run.series("balancers.lb.in_flight.max");
        assert!(in_flight[12] > 10.0, "ten a second of them are not answered: {}", in_flight[12]);
        // Seconds in which windows end have no values.
        assert_eq!(*in_flight.last().unwrap(), 0.0, "{ways}");
        assert_eq!(run.series("balancers.lb.healthy")[28], 3.0);
        assert_eq!(*run.series("balancers.lb.healthy").last().unwrap(), 4.0);
        assert_eq!(run.played.summary.rest, brownout::sim::Rest::default(), "{ways}");
        // Nobody is hurt but who was sent there before it was taken out.
        let failed = run.total("clients.u.outcomes.timeout");
        assert!((60.0..150.0).contains(&failed), "{failed}");
    }
}

#[test]
fn clients_that_are_cut_off_from_a_balancer_reach_nobody() {
    let run = experiment(
        &BALANCED.replace("PRODUCT", ""),
        "duration: \"100s\", timeline: [ At(\"10s\", Partition(from: \"u\", to: \"lb\", lasts: \"20s\")) ]",
    );
    assert_eq!(run.count("balancers.lb.rate", 11, 29), 0.0);
    assert_eq!(run.value("balancers.lb.checks.error_ratio"), 0.0);
    assert_eq!(run.played.summary.rest, brownout::sim::Rest::default());
}

#[test]
fn everything_is_given_back_whatever_strikes() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Poisson(\"40/s\"), profile: [ Steps([ Point(\"0s\", 1),
            Point(\"40s\", 0) ]) ], requests: { \"lb/get\": 3, \"web/slow\": 1 }, keys: Uniform(count: 30),
            through: \"patient\") },
        balancers: { \"lb\": Balancer(targets: \"web\" PRODUCT) },
        services: { \"web\": Service(replicas: 3, workers: 30, queue: Queue(capacity: 20), request_timeout: \"8s\",
            endpoints: {
                \"get\": [ Parallel(branches: [ [ Call(\"db/read\", \"db\") ], [ Optional([ Call(\"bank/pay\", \"bank\") ]) ] ]) ],
                \"slow\": [ Call(\"db/read\", \"db\"), Work(\"5ms\") ],
            }) },
        databases: { \"db\": Database(cores: 2, queries: { \"read\": [ Work(\"2ms\") ] }) },
        externals: { \"bank\": External(latency: Exponential(\"50ms\")) },
        policies: {
            \"patient\": [ Timeout(limit: \"3s\", cancel: true) ],
            \"db\": [ Cache(ttl: \"500ms\", capacity: 10, coalesce: true), Timeout(\"2s\"),
                HikariPool(maximum_pool_size: 5, connect: \"5ms\") ],
            \"bank\": [ Fallback([ Cache(\"10s\"), Value ]), Retry(max: 1, backoff: Constant(\"50ms\")),
                Timeout(\"1s\"), Connect(rtt: \"5ms\", tls: Tls13, dns: Dns(ttl: \"3s\"), keep_alive: \"5s\"),
                Network(\"1ms\") ],
        })";
    let faults = [
        "Partition(from: \"lb\", to: \"web\", instances: Number(2)",
        "Partition(from: \"web\", to: \"lb\", ways: OneWay",
        "Partition(from: \"web\", to: \"db\"",
        "Partition(from: \"db\", to: \"web\", ways: OneWay",
        "Partition(from: \"u\", to: \"web\"",
        "Partition(to: \"web\", instances: Share(0.5)",
        "Partition(to: \"bank\", ways: OneWay",
        "Latency(to: \"web\", latency: Exponential(\"300ms\"), jitter: \"10ms\"",
        "Loss(to: \"db\", ratio: 0.4",
        "Resets(to: \"db\", ratio: 0.5",
        "Resets(to: \"web\", ratio: 0.5",
        "DnsFailure(target: \"bank\", answer: NxDomain",
        "Throttling(target: \"bank\", rate: \"5/s\", retry_after: \"2s\"",
        "WrongAnswers(target: \"db\", ratio: 0.5",
        "CertificateExpiry(target: \"bank\"",
        "FullConnectionTable(target: \"db\", max: 2",
        "FullConnectionTable(target: \"bank\", max: 2",
        "SlowClients(target: \"u\", reads: \"2s\", ratio: 0.5",
    ];
    let products = ["", ", product: Envoy()", ", product: Nginx()", ", product: Haproxy()"];
    for (number, fault) in faults.iter().enumerate() {
        let topology = topology.replace("PRODUCT", products[number % products.len()]);
        let fields =
            format!("duration: \"4min\", timeline: [ At(\"10s\", {fault}, lasts: \"25s\", name: \"f\")) ]");
        let files = Files::new(&topology, Some(&whole_experiment(&fields)));
        let run = run_of(files.plan(), 0);
        let mut rest = run.played.summary.rest;
        // Connections of pools that nobody uses stay open, and are no part of this.
        rest.connections = 0;
        assert_eq!(rest, brownout::sim::Rest::default(), "{fault}");
        let again = run_of(files.plan(), 0);
        assert_eq!(run.played.summary, again.played.summary, "{fault}");
    }
}

#[test]
fn a_primary_that_nobody_reaches_is_replaced_and_comes_back_as_a_replica() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"20/s\"), requests: { \"db/store\": 1 }, through: \"p\") },
        databases: {
            \"db\": Database(cores: 4, queries: { \"store\": [ Work(\"2ms\") ] }, writes: [\"store\"],
                failover: Patroni()),
            \"replica\": Database(cores: 4, replication: Replication(of: \"db\", delay: \"100ms\"),
                queries: { \"find\": [ Work(\"1ms\") ] }),
        },
        policies: { \"p\": [ Timeout(\"1s\") ] })";
    let cut = |fault: &str| {
        experiment(topology, &format!("duration: \"5min\", timeline: [ At(\"1min\", {fault}) ]"))
    };
    let run = cut("Partition(to: \"db\", lasts: \"2min\")");
    assert_eq!(run.value("databases.db.failovers"), 1.0);
    let over = run.times_of("failed over")[0] - 60.0;
    assert!((20.0..45.0).contains(&over), "{over} s");
    // From then on it answers, though the old server is still cut off.
    assert_eq!(run.count("clients.u.outcomes.ok", 110, 119), 180.0);
    assert_eq!(run.series("databases.replica.up")[150], 0.0);
    assert_eq!(*run.series("databases.replica.up").last().unwrap(), 1.0);
    // Whoever watches sees a primary that only its clients cannot reach.
    let run = cut("Partition(from: \"u\", to: \"db\", lasts: \"2min\")");
    assert_eq!(run.value("databases.db.failovers"), 0.0);
    assert_eq!(run.count("clients.u.outcomes.ok", 62, 179), 0.0);
}

#[test]
fn a_replica_that_is_cut_off_catches_up() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"10/s\"), requests: { \"db/store\": 1 }) },
        databases: {
            \"db\": Database(cores: 4, queries: { \"store\": [ Work(\"2ms\") ] }, writes: [\"store\"]),
            \"replica\": Database(cores: 4, replication: Replication(of: \"db\", delay: \"10ms\", apply: \"1ms\"),
                queries: { \"find\": [ Work(\"1ms\") ] }),
        })";
    let fields = "duration: \"60s\", timeline: [ At(\"10s\", Partition(from: \"db\", to: \"replica\", lasts: \"20s\")) ]";
    let run = experiment(topology, fields);
    let backlog = run.series("databases.replica.replication_backlog.max");
    assert!((backlog[28] - 190.0).abs() <= 10.0, "{}", backlog[28]);
    assert!(backlog[32] <= 1.0, "{}", backlog[32]);
    close("the oldest", run.value("databases.replica.replication_lag.max"), 20.0, 0.01);
    // The other way nothing is lost.
    let run = experiment(topology, &fields.replace("to: \"replica\"", "to: \"replica\", ways: OneWay"));
    assert!(run.series("databases.replica.replication_backlog.max")[28] > 180.0);
    let back = fields.replace("from: \"db\", to: \"replica\"", "from: \"replica\", to: \"db\", ways: OneWay");
    assert!(experiment(topology, &back).series("databases.replica.replication_backlog.max")[28] <= 1.0);
}

#[test]
fn publishers_wait_for_a_queue_that_they_cannot_reach() {
    let play = |queue: &str, sides: &str, lasts: u32| {
        let topology = format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), requests: {{ \"api/order\": 1 }}) }},
                services: {{
                    \"api\": Service(endpoints: {{ \"order\": [ Publish(\"orders\") ] }}),
                    \"worker\": Service(endpoints: {{ \"handle\": [ Wait(\"10ms\") ] }}),
                }},
                queues: {{ \"orders\": {queue} }})"
        );
        let fault = format!("At(\"10s\", Partition({sides}, lasts: \"{lasts}s\"))");
        experiment(&topology, &format!("duration: \"200s\", timeline: [ {fault} ]"))
    };
    let kafka = "Kafka(partitions: 4, consumer: KafkaConsumer(endpoint: \"worker/handle\"))";
    for queue in [
        "Sqs(consumer: SqsConsumer(endpoint: \"worker/handle\"))",
        "RabbitMq(consumer: RabbitConsumer(endpoint: \"worker/handle\", prefetch: 5))",
        kafka,
    ] {
        let run = play(queue, "from: \"api\", to: \"orders\"", 20);
        assert_eq!(run.value("clients.u.error_ratio"), 0.0, "{queue}");
        close("the first waits to the end", run.value("clients.u.latency.max"), 19.95, 1e-3);
        assert_eq!(run.played.summary.queues[0].published, 2000, "{queue}");
        // The answer of the broker is lost: who hears nothing publishes again.
        let run = play(queue, "from: \"orders\", to: \"api\", ways: OneWay", 20);
        assert_eq!(run.value("clients.u.error_ratio"), 0.0, "{queue}");
        assert_eq!(run.played.summary.queues[0].published, 2200, "{queue}");
    }
    // Kafka's producer tries for two minutes: those of the first 30 s of 150 fail.
    let run = play(kafka, "from: \"api\", to: \"orders\"", 150);
    assert_eq!(run.total("clients.u.outcomes.error"), 300.0);
    close("delivery.timeout.ms", run.value("clients.u.latency.max"), 120.0, 1e-6);
}

#[test]
fn a_consumer_that_is_cut_off_loses_its_messages_to_others() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"10/s\"), requests: { \"api/order\": 1 }) },
        services: {
            \"api\": Service(endpoints: { \"order\": [ Publish(\"orders\") ] }),
            \"worker\": Service(replicas: 2, endpoints: { \"handle\": [ Wait(\"500ms\") ] }),
        },
        queues: { \"orders\": Kafka(partitions: 8, consumer: KafkaConsumer(endpoint: \"worker/handle\",
            session_timeout: \"10s\")) })";
    let fault =
        "At(\"30s\", Partition(from: \"worker\", to: \"orders\", instances: Number(1), lasts: \"60s\"))";
    let calm = experiment(topology, "duration: \"3min\"");
    let run = experiment(topology, &format!("duration: \"3min\", timeline: [ {fault} ]"));
    let rebalances = |run: &Run| run.value("queues.orders.rebalances");
    assert!(rebalances(&run) > rebalances(&calm), "{} and {}", rebalances(&run), rebalances(&calm));
    assert!(run.played.summary.queues[0].is_conserved());
}

#[test]
fn latency_is_added_each_way_and_one_way() {
    let run = |ways: &str| {
        let fault = format!("At(\"20s\", Latency(to: \"bank\", latency: \"100ms\", {ways} lasts: \"20s\"))");
        shop("", "60s", &fault).value("clients.u.latency.max")
    };
    close("both", run(""), 0.22, 1e-6);
    close("one", run("ways: OneWay,"), 0.12, 1e-6);
    // TLS 1.2 takes three round trips, the last two behind the SYN's.
    let policy = "Connect(rtt: \"10ms\", tls: Tls12, tls_time: \"0s\")";
    let fault = "At(\"20s\", Latency(to: \"bank\", latency: \"100ms\", lasts: \"20s\"))";
    let run = shop(policy, "60s", fault);
    close("handshakes", run.value("clients.u.latency.max"), 3.0 * 0.21 + 0.22, 1e-6);
}

#[test]
fn lookups_fail_once_the_address_is_forgotten() {
    let fault =
        |answer: &str| format!("At(\"20s\", DnsFailure(target: \"bank\", answer: {answer}, lasts: \"60s\"))");
    let policy = "Connect(rtt: \"0s\", dns: Dns(latency: \"2ms\", ttl: \"30s\", negative_ttl: \"10s\"))";
    // Looked up at 0.5 s and at 30.502 s; known until 60.5 s by then, were it not for the fault.
    for (answer, first) in [("NxDomain", 31.0), ("ServFail", 31.0), ("Timeout", 40.0)] {
        let run = shop(policy, "100s", &fault(answer));
        let errors = run.series("clients.u.outcomes.error");
        let at = errors.iter().position(|e| *e > 0.0).unwrap() as f64;
        assert!((at - first).abs() <= 1.0, "{answer}: first error in second {at}");
        assert_eq!(*errors.last().unwrap(), 0.0);
    }
    // Who has an open connection looks nothing up.
    let open = "Connect(rtt: \"0s\", keep_alive: \"60s\", dns: Dns())";
    assert_eq!(shop(open, "100s", &fault("NxDomain")).value("clients.u.error_ratio"), 0.0);
}

#[test]
fn throttling_lets_a_rate_through_and_says_when_to_come_again() {
    let run = |fault: &str, policy: &str| {
        let topology = format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), requests: {{ \"bank/pay\": 1 }},
                    through: \"p\") }},
                externals: {{ \"bank\": External(latency: \"20ms\") }},
                policies: {{ \"p\": [{policy}] }})"
        );
        experiment(
            &topology,
            &format!("duration: \"60s\", timeline: [ At(\"20s\", {fault}, lasts: \"20s\")) ]"),
        )
    };
    // Two tokens, and two a second for 20 s.
    let limited = run("Throttling(target: \"bank\", rate: \"2/s\"", "");
    let rejected = limited.total("clients.u.outcomes.rejected");
    assert!((rejected - 158.0).abs() <= 1.0, "{rejected}");
    let share = run("Throttling(target: \"bank\", ratio: 0.25", "");
    assert!((share.total("clients.u.outcomes.rejected") - 50.0).abs() < 20.0);
    let all = run("Throttling(target: \"bank\", ratio: 1, retry_after: \"30s\"", "Retry(max: 1)");
    assert_eq!(all.total("clients.u.outcomes.rejected"), 0.0);
    close("told to wait", all.value("clients.u.latency.max"), 30.02, 1e-6);
}

#[test]
fn wrong_answers_reach_whoever_uses_them_and_stay_in_caches() {
    let run = |program: &str, policy: &str, keys: &str| {
        let topology = format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), requests: {{ \"a/e\": 1 }}, {keys}) }},
                services: {{
                    \"a\": Service(endpoints: {{ \"e\": [ Call(\"b/e\") ] }}),
                    \"b\": Service(endpoints: {{ \"e\": [ {program} ] }}),
                }},
                externals: {{ \"x\": External(latency: \"1ms\"), \"y\": External(latency: \"3ms\") }},
                policies: {{ \"p\": [{policy}] }})"
        );
        let fault = "At(\"20s\", WrongAnswers(target: \"x\", lasts: \"10s\"))";
        let run = experiment(&topology, &format!("duration: \"60s\", timeline: [ {fault} ]"));
        assert_eq!(run.value("clients.u.error_ratio"), 0.0);
        run.meters()
            .value(run.plan.variants[0].model.catalog.find("clients.u.wrong").unwrap().source)
            .unwrap()
            * 60.0
    };
    let count = |program: &str| run(program, "", "");
    close("called", count("Call(\"x/e\", \"p\")"), 100.0, 1e-9);
    close("called first", count("Call(\"x/e\", \"p\"), Call(\"y/e\"), Work(\"1ms\")"), 100.0, 1e-9);
    close(
        "beside another",
        count("Parallel(branches: [ [ Call(\"y/e\") ], [ Call(\"x/e\", \"p\") ] ])"),
        100.0,
        1e-9,
    );
    close("repeated", count("Repeat(2, [ Call(\"x/e\", \"p\") ])"), 100.0, 1e-9);
    close("optional", count("Optional([ Call(\"x/e\", \"p\") ]), Call(\"y/e\")"), 100.0, 1e-9);
    assert_eq!(count("Call(\"y/e\", \"p\")"), 0.0);
    for layer in ["Timeout(\"1s\")", "Retry(max: 2)", "Hedge(\"500us\")", "Network(\"1ms\")", "Bulkhead(10)"]
    {
        close(layer, run("Call(\"x/e\", \"p\")", layer, ""), 100.0, 1e-9);
    }
    // One key, kept for 8 s from 0.05 s on: fetched at about 24 s, and then not before 32 s.
    let cached = run("Call(\"x/e\", \"p\")", "Cache(ttl: \"8s\", capacity: 10)", "keys: Uniform(count: 1)");
    close("cached", cached, 80.0, 0.03);
}

#[test]
fn an_expired_certificate_shows_when_connections_age() {
    let fault = "At(\"20s\", CertificateExpiry(target: \"bank\", lasts: \"30s\"))";
    // A connection that is used every second is never closed.
    let kept = shop("Connect(tls: Tls13, keep_alive: \"5s\")", "60s", fault);
    assert_eq!(kept.value("clients.u.error_ratio"), 0.0);
    let fresh = shop("Connect(tls: Tls13)", "60s", fault);
    assert_eq!(fresh.total("clients.u.outcomes.error"), 30.0);
    let mistake = mistakes(
        "Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Regular(\"1/s\"), requests: { \"x/e\": 1 },
            through: \"p\") }, externals: { \"x\": External(latency: \"1ms\") }, policies: { \"p\": [ Connect() ] })",
        "duration: \"60s\", timeline: [ At(\"1s\", CertificateExpiry(target: \"x\")) ]",
    );
    assert!(mistake.contains("nobody opens connections with TLS to `x`"), "{mistake}");
}

#[test]
fn a_full_table_drops_syns_and_leaves_open_connections() {
    // One open connection is enough for one request a second.
    let fault = "At(\"20s\", FullConnectionTable(target: \"bank\", max: 1, lasts: \"20s\"))";
    let kept = shop("Connect(keep_alive: \"30s\", connect_timeout: \"3s\")", "60s", fault);
    assert_eq!(kept.value("clients.u.error_ratio"), 0.0);
    let none = fault.replace("max: 1", "max: 0");
    let run = shop("Connect(connect_timeout: \"3s\")", "60s", &none);
    // Those from 20.5 to 37.5 s; the others have a SYN left after the end.
    assert_eq!(run.total("services.shop.calls.bank.outcomes.timeout"), 18.0);
    let run = shop(
        "HikariPool(maximum_pool_size: 2, connection_timeout: \"2s\", max_lifetime: \"30s\")",
        "2min",
        fault,
    );
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
}

#[test]
fn slow_readers_hold_workers_unless_nginx_reads_for_them() {
    let run = |front: &str, call: &str| {
        let topology = format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), requests: {{ \"{call}\": 1 }}) }},
                balancers: {{ {front} }},
                services: {{ \"s\": Service(workers: 100, endpoints: {{ \"e\": [ Wait(\"10ms\"), Choose([
                    Way(1, [ Wait(\"10ms\") ]), Way(1, [ Wait(\"10ms\") ]) ]) ] }}) }})"
        );
        let fault = "At(\"20s\", SlowClients(target: \"u\", reads: \"1s\", lasts: \"20s\"))";
        experiment(&topology, &format!("duration: \"60s\", timeline: [ {fault} ]"))
    };
    let direct = run("", "s/e");
    close("ten a second for 1.02 s", direct.series("services.s.busy")[30], 10.2, 0.01);
    close("latency", direct.value("clients.u.latency.max"), 1.02, 1e-6);
    let alb = run("\"lb\": Balancer(targets: \"s\")", "lb/e");
    close("through an ALB", alb.series("services.s.busy")[30], 10.2, 0.01);
    let fault = "At(\"20s\", SlowClients(target: \"u\", reads: \"1s\"))";
    let mistake = mistakes(
        "Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Regular(\"1/s\"), requests: { \"lb/e\": 1 }) },
            balancers: { \"lb\": Balancer(targets: \"s\", product: Nginx()) },
            services: { \"s\": Service(endpoints: { \"e\": [ Work(\"1ms\") ] }) })",
        &format!("duration: \"60s\", timeline: [ {fault} ]"),
    );
    assert!(mistake.contains("nginx keeps answers until they are read"), "{mistake}");
}

#[test]
fn a_fault_between_two_that_do_not_talk_is_a_mistake() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"1/s\"), requests: { \"lb/e\": 1 }) },
        balancers: { \"lb\": Balancer(targets: \"s\") },
        services: { \"s\": Service(endpoints: { \"e\": [ Call(\"x/e\") ] }) },
        externals: { \"x\": External(latency: \"1ms\") })";
    let told =
        |fault: &str| mistakes(topology, &format!("duration: \"60s\", timeline: [ At(\"1s\", {fault}) ]"));
    let through = told("Partition(from: \"u\", to: \"s\")");
    assert!(through.contains("nothing passes between `u` and `s`"), "{through}");
    assert!(through.contains("the balancer `lb` is between them"), "{through}");
    assert!(told("Latency(from: \"u\", to: \"x\", latency: \"1s\")").contains("nothing passes between"));
    assert!(told("DnsFailure(target: \"x\")").contains("nobody looks up the name of `x`"));
    assert!(told("FullConnectionTable(target: \"x\", max: 1)").contains("nobody opens connections to `x`"));
    assert!(told("Latency(to: \"u\", latency: \"1s\")").contains("nobody calls `u`"));
}

#[test]
fn wrong_answers_count_as_failures_if_an_objective_says_so() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"20/s\"), requests: { \"x/e\": 1 }) },
        externals: { \"x\": External(latency: \"1ms\") })";
    let play = |objective: &str| {
        let fields = format!(
            "duration: \"3min\", runs: 1, timeline: [ At(\"60s\", WrongAnswers(target: \"x\", lasts: \"20s\")) ],
             objectives: {{ \"u\": Objective({objective}) }}"
        );
        let files = Files::new(topology, Some(&whole_experiment(&fields)));
        let result = brownout::experiment::run(&files.plan(), 1, &()).unwrap();
        result.variants[0].faults[0].per_run[0]
    };
    let blind = play("availability: \"99%\"");
    assert_eq!((blind.recover_s, blind.unserved), (Some(0.0), 0.0));
    let strict = play("availability: \"99%\", right: true");
    assert!(strict.recover_s.is_some_and(|s| (18.0..22.0).contains(&s)), "{:?}", strict.recover_s);
    assert!((strict.unserved - 400.0).abs() <= 20.0, "{}", strict.unserved);
    assert!(strict.depth < 0.1, "{}", strict.depth);
}

#[test]
fn pools_feel_the_latency_of_the_network() {
    let policy = "HikariPool(maximum_pool_size: 1, max_lifetime: \"30s\", connect: \"0s\")";
    let fault = "At(\"20s\", Latency(to: \"bank\", latency: \"300ms\", lasts: \"40s\"))";
    let run = shop(policy, "60s", fault);
    let wait = run.value("services.shop.calls.bank.pool.wait.max");
    assert!((0.3..1.5).contains(&wait), "{wait}");
    assert!(shop(policy, "60s", "").value("services.shop.calls.bank.pool.wait.max") < 0.1);
}

#[test]
fn one_of_several_callers_can_be_cut_off() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"40/s\"), requests: { \"web/get\": 1 }) },
        services: { \"web\": Service(replicas: 4, endpoints: { \"get\": [ Call(\"db/read\", \"db\") ] }) },
        databases: { \"db\": Database(cores: 2, queries: { \"read\": [ Work(\"1ms\") ] }) },
        policies: { \"db\": [ Timeout(\"100ms\") ] })";
    for sides in
        ["from: \"web\", to: \"db\"", "from: \"db\", to: \"web\"", "from: \"web\", to: \"db\", ways: OneWay"]
    {
        let fault = format!("At(\"10s\", Partition({sides}, instances: Number(1), lasts: \"10s\"))");
        let run = experiment(topology, &format!("duration: \"30s\", timeline: [ {fault} ]"));
        let failed = run.total("clients.u.outcomes.error");
        assert!((failed - 100.0).abs() <= 1.0, "{sides}: {failed}");
    }
}

/// Who consumes a queue and is called by nobody can be cut off from it, and goes on where it was.
#[test]
fn a_consumer_can_be_isolated_from_its_queue() {
    let topology = r#"Topology(
        name: "t",
        clients: { "u": Clients(arrivals: Regular(rate: "10/s"), requests: { "web/e": 1 }) },
        services: {
            "web": Service(endpoints: { "e": [ Publish("mail") ] }),
            "worker": Service(endpoints: { "send": [ Wait("1ms") ] }),
        },
        queues: { "mail": Sqs(
            visibility_timeout: "5s", consumer: SqsConsumer(endpoint: "worker/send", wait_time: "1s"),
        ) },
    )"#;
    let fields =
        r#"duration: "60s", timeline: [ At("20s", Partition(to: "worker", lasts: "10s", name: "cut")) ]"#;
    let run = experiment(topology, fields);
    let lag = run.series("queues.mail.lag");
    assert!(lag[18] < 2.0 && lag[28] > 80.0 && lag[58] < 2.0, "{:?}", [lag[18], lag[28], lag[58]]);
}
