//! What a system costs: the metrics `cost` of what has a price, and of all together.

mod support;

use support::{Files, close, experiment};

const SYSTEM: &str = r#"Topology(
    name: "priced",
    clients: { "users": Clients(arrivals: Regular("10/s"), requests: { "api/pay": 1 }) },
    services: {
        "api": Service(replicas: 3, price_per_hour: 0.096, endpoints: {
            "pay": [ Call("bank/charge"), Call("db/write"), Call("free/ask") ],
        }),
        "unused": Service(endpoints: { "x": [ Wait("1ms") ] }),
    },
    databases: { "db": Database(cores: 2, price_per_hour: 0.5, queries: { "write": [ Wait("1ms") ] }) },
    externals: {
        "bank": External(latency: Constant("10ms"), price_per_request: 0.002),
        "free": External(latency: Constant("1ms")),
    },
)"#;

#[test]
fn replicas_are_paid_for_while_they_exist_and_requests_one_by_one() {
    // Three replicas for 20 s, then five for 20 s. Who is down is paid for all the same.
    let run = experiment(
        SYSTEM,
        r#"duration: "40s", timeline: [
            At("5s", Down(target: "api", instances: Number(1), lasts: "2s")),
            At("20s", Set("services.api.replicas", 5)),
        ]"#,
    );
    close("the service", run.value("services.api.cost"), 4.0 * 0.096, 1e-12);
    close("the database", run.value("databases.db.cost"), 0.5, 1e-12);
    let charges = run.value("externals.bank.rate");
    assert!(charges > 8.0, "{charges}");
    close("the bank", run.value("externals.bank.cost"), charges * 3600.0 * 0.002, 1e-12);
    let sum = ["services.api.cost", "databases.db.cost", "externals.bank.cost"].map(|path| run.value(path));
    close("all", run.value("system.cost"), sum.iter().sum(), 1e-9);
    close("the first half", run.series("services.api.cost")[9], 3.0 * 0.096, 1e-12);
    let catalog = &run.plan.variants[0].model.catalog;
    assert!(catalog.find("services.unused.cost").is_none() && catalog.find("externals.free.cost").is_none());
}

#[test]
fn autoscaled_replicas_cost_what_they_are() {
    let run = experiment(
        r#"Topology(
            name: "scaled",
            clients: { "users": Clients(arrivals: Regular("40/s"), requests: { "api/work": 1 }) },
            services: { "api": Service(replicas: 1, price_per_hour: 2, cpu: Cpu(cores: 1), endpoints: {
                "work": [ Work("20ms") ],
            }) },
            autoscalers: { "grow": Hpa(service: "api", min: 1, max: 4, metrics: [ Cpu("50%") ]) },
        )"#,
        r#"warmup: "1s", duration: "3m""#,
    );
    let replicas = run.value("services.api.replicas");
    assert!(replicas > 1.2, "{replicas}");
    close("cost", run.value("services.api.cost"), 2.0 * replicas, 1e-12);
    close("all", run.value("system.cost"), 2.0 * replicas, 1e-9);
}

#[test]
fn without_prices_there_is_no_cost_and_prices_are_checked() {
    let free = SYSTEM.replace("price_per_hour: 0.096,", "").replace("price_per_hour: 0.5,", "");
    let free = free.replace(", price_per_request: 0.002", "");
    let run = experiment(&free, r#"duration: "2s""#);
    assert!(run.plan.variants[0].model.catalog.metrics.iter().all(|m| !m.path.ends_with(".cost")));
    let wrong = |topology: &str, timeline: &str| {
        let text = support::whole_experiment(&format!("duration: \"9s\", timeline: [{timeline}]"));
        Files::new(topology, Some(&text)).try_plan(&Default::default()).unwrap_err()
    };
    let negative = wrong(&SYSTEM.replace("0.096", "-1"), "");
    assert!(negative.contains("`price_per_hour` must be from 0 to 1000000"), "{negative}");
    let set = wrong(SYSTEM, r#"At("5s", Set("databases.db.price_per_hour", 1))"#);
    assert!(set.contains("change the price of `db`"), "{set}");
}
