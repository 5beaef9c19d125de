//! What a system costs: the metrics `cost` of what has a price, and of all together.

use crate::support;

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

/// A service behind a balancer, in two zones, that asks a database-like service in the same zones, and an external.
const MOVING: &str = r#"Topology(
    name: "moving",
    clients: {
        "users": Clients(arrivals: Poisson("50/s"), requests: { "front/page": 9, "front/save": 1 }),
        "browsers": Clients(
            arrivals: Poisson("40/s"), requests: { "front/image": 1 },
            keys: Zipf(count: 200, exponent: 1.0), through: "cdn",
        ),
    },
    balancers: { "front": Balancer(targets: "web", price_per_hour: 0.0225, price_per_gb: 0.008) },
    services: {
        "web": Service(
            replicas: 4, price_per_hour: 0.1, zones: ["a", "b"],
            answers: { "page": "15kB", "save": "1kB", "image": "200kB" },
            logs: Logs(bytes: "1.2kB", share: "10%", endpoints: { "image": "0%" }, slower_than: "30ms"),
            endpoints: {
                "page": [ Call("search/ask"), Call("partner/ask"), Wait(Exponential("10ms")) ],
                "save": [ Fail("20%"), Call("s3/put") ],
                "image": [ Wait("1ms") ],
            },
        ),
        "search": Service(replicas: 2, zones: ["a", "b"], answers: { "ask": "4kB" }, endpoints: {
            "ask": [ Wait("1ms") ],
        }),
    },
    externals: {
        "partner": External(latency: Constant("5ms"), answer: "30kB"),
        "s3": External(latency: Constant("5ms"), answer: "9kB", through_nat: false, price_per_request: 0.000005),
    },
    policies: { "cdn": [ Cache(ttl: "1h", per: Service, cdn: Cdn(price_per_gb: 0.02, origin_per_gb: 0.05)) ] },
    prices: Prices(
        egress_per_gb: 0.09, between_zones_per_gb: 0.02, logs_per_gb: 0.5,
        nat: Nat(gateways: 2, price_per_hour: 0.045, price_per_gb: 0.045),
        stored: { "images": Stored("40TB", 0.023) },
    ),
)"#;

const KINDS: [&str; 8] =
    ["instances", "databases", "requests", "balancers", "transfer", "nat", "logs", "storage"];

#[test]
fn each_line_of_the_bill_follows_from_what_happened() {
    let run = experiment(MOVING, r#"duration: "60s""#);
    let rate = |path: &str| run.value(path);
    // Money per hour of so many bytes per second at a price per GB.
    let per_hour = |bytes: f64, price: f64| bytes * 3600.0 / 1e9 * price;
    let good = |endpoint: &str| rate(&format!("services.web.endpoints.{endpoint}.goodput"));
    let answered = good("page") * 15e3 + good("save") * 1e3;
    let missed = good("image") * 200e3;
    let delivered = rate("clients.browsers.goodput") * 200e3;
    assert!(missed > 0.0 && missed < 0.5 * delivered, "{missed} of {delivered}");
    close("users", rate("clients.users.cost"), per_hour(answered, 0.09), 1e-6);
    let browsers = per_hour(missed, 0.05) + per_hour(delivered, 0.02);
    close("browsers", rate("clients.browsers.cost"), browsers, 1e-6);
    close("nat", rate("cost.nat"), 0.09 + per_hour(rate("externals.partner.goodput") * 30e3, 0.045), 1e-6);
    let balanced = per_hour(answered + missed, 0.008);
    close("balancer", rate("balancers.front.cost"), 0.0225 + balanced, 1e-6);
    close("storage", rate("cost.storage.month"), 40e3 * 0.023, 1e-9);
    close("put", rate("cost.requests"), rate("externals.s3.rate") * 3600.0 * 5e-6, 1e-6);
    // Web in one zone asks search in turn: every other answer comes from the other zone.
    let asked = rate("services.search.goodput") * 4e3;
    close("zones", rate("services.search.cost"), per_hour(asked * 0.5, 0.02), 0.1);
    let logged = rate("services.web.logged");
    close("logs", rate("cost.logs"), per_hour(logged, 0.5), 1e-6);
    close("web", rate("services.web.cost"), 0.4 + rate("cost.logs"), 1e-9);
}

#[test]
fn what_is_sampled_keeps_errors_and_slow_requests() {
    let lines = |logs: &str| {
        let text = MOVING.replace(
            r#"Logs(bytes: "1.2kB", share: "10%", endpoints: { "image": "0%" }, slower_than: "30ms")"#,
            logs,
        );
        assert_ne!(text, MOVING);
        let run = experiment(&text, r#"duration: "120s""#);
        let all = run.value("services.web.endpoints.page.throughput");
        let saves = run.value("services.web.endpoints.save.throughput");
        let errors = saves - run.value("services.web.endpoints.save.goodput");
        (run.value("services.web.logged") / 1e3, all, saves, errors)
    };
    let only = |endpoints: &str, more: &str| {
        lines(&format!("Logs(bytes: \"1kB\", share: \"0%\", endpoints: {{ {endpoints} }}, {more})"))
    };
    let (logged, all, ..) = only("\"page\": \"10%\"", "errors: false");
    close("a tenth of the pages", logged, 0.1 * all, 0.12);
    let (logged, .., errors) = only("", "");
    close("all errors", logged, errors, 1e-9);
    let (logged, .., saves, errors) = only("\"save\": \"100%\"", "");
    assert!(errors > 0.0 && errors < saves);
    close("all saves, errors once", logged, saves, 1e-9);
    // A page waits 6 ms for others and then exponentially with mean 10 ms: exp(-2.4) of them take more than 30 ms.
    let (logged, all, ..) = only("", "errors: false, slower_than: \"30ms\"");
    close("slow pages", logged, all * libm::exp(-2.4), 0.15);
}

#[test]
fn the_total_is_the_sum_of_its_parts_whatever_happens() {
    // Settings drawn from a list by number, not at random: a failure names its case.
    let replicas = [1, 2, 5];
    let purchases = [
        "OnDemand",
        "Spot(discount: \"70%\", reclaimed_after: Exponential(\"20s\"), notice: \"5s\")",
        "Reserved(count: 3)",
        "Mixed(base_on_demand: 1, on_demand_above_base: \"25%\", reserved: Reserved(count: 1))",
    ];
    let faults = [
        "",
        r#"At("7s", Crash(target: "web"))"#,
        r#"At("7s", SpotReclaim(target: "web", instances: Share("50%"), notice: "3s", unavailable_for: "9s"))"#,
        r#"At("7s", Errors(target: "partner", lasts: "5s")), At("12s", Set("services.web.replicas", 3))"#,
    ];
    for case in 0..36 {
        let (purchase, fault) = (purchases[case % 4], faults[case / 4 % 4]);
        let text = MOVING
            .replace("replicas: 4,", &format!("replicas: {}, purchase: {purchase},", replicas[case % 3]))
            .replace("price_per_hour: 0.1,", "price_per_hour: 0.0971234567,")
            .replace("Poisson(\"50/s\")", &format!("Poisson(\"{}/s\")", 10 + 7 * case));
        let fields = format!("duration: \"20s\", warmup: \"3s\", seed: {case}, timeline: [{fault}]");
        let run = experiment(&text, &fields);
        let catalog = &run.plan.variants[0].model.catalog;
        let lines = KINDS.iter().map(|kind| format!("cost.{kind}"));
        let lines: f64 = lines.filter(|path| catalog.find(path).is_some()).map(|path| run.value(&path)).sum();
        let total = run.value("cost.per_hour");
        assert!(total > 0.0);
        close(&format!("case {case}, lines"), lines, total, 1e-12);
        close("month", run.value("cost.month"), total * 730.0, 1e-12);
        close("in all", run.value("cost.total"), total * 17.0 / 3600.0, 1e-9);
        // Components, the gateways and what is stored.
        let own = |m: &&brownout::model::catalog::Metric| {
            m.path.ends_with(".cost") && m.path.split('.').count() == 3
        };
        let parts: f64 = catalog.metrics.iter().filter(own).map(|m| run.value(&m.path)).sum();
        close(&format!("case {case}, parts"), parts + 0.09 + run.value("cost.storage"), total, 1e-9);
    }
}

#[test]
fn reserved_capacity_is_paid_for_unused() {
    let cost = |purchase: &str, replicas: u32| {
        let text = SYSTEM.replace("replicas: 3,", &format!("replicas: {replicas}, purchase: {purchase},"));
        experiment(&text, r#"duration: "5s""#).value("services.api.cost")
    };
    let reserved = "Reserved(count: 4, discount: \"40%\")";
    close("two used", cost(reserved, 2), 0.096 * 4.0 * 0.6, 1e-9);
    close("six used", cost(reserved, 6), 0.096 * (4.0 * 0.6 + 2.0), 1e-9);
    let mixed = "Mixed(base_on_demand: 1, on_demand_above_base: \"25%\", reserved: Reserved(count: 1))";
    // One and a quarter of eight on demand, six spot.
    close("mixed", cost(mixed, 9), 0.096 * (0.6 + 2.0 + 6.0 * 0.3), 1e-9);
}

#[test]
fn an_incident_costs_what_was_paid_more_and_what_was_lost() {
    // Two instances more for 30 s, and 10 requests a second that fail meanwhile.
    let text = whole(
        r#"duration: "120s", warmup: "10s", runs: 2, recovery: Recovery(lost_request: 0.05),
        timeline: [
            At("40s", Errors(target: "bank", lasts: "30s", name: "outage")),
            At("40s", Set("services.api.replicas", 5)),
            At("70s", Set("services.api.replicas", 3)),
        ],
        expect: { "base": [ "faults.outage.cost in 14.5..15.5" ] }"#,
    );
    let files = Files::new(SYSTEM, Some(&text));
    let plan = files.plan();
    let result = brownout::experiment::run(&plan, 1, &()).unwrap();
    let outage = &result.variants[0].faults[0];
    let unserved = outage.unserved.unwrap().mean;
    assert!((295.0..=301.0).contains(&unserved), "{unserved}");
    // Requests to the bank go on as before.
    let paid = 2.0 * 0.096 * 30.0 / 3600.0;
    close("in all", outage.cost.unwrap().mean, paid + 0.05 * unserved, 0.002);
    assert_eq!(result.expectations[0].verdict, brownout::experiment::results::Verdict::Held);
    let options = brownout::report::human::Options {
        color: false,
        width: 100,
        files: Vec::new(),
        reproduce: String::new(),
        quiet: false,
    };
    let summary = brownout::report::human::summary(&result, &options);
    assert!(summary.contains("Cost of a month of 730 hours"), "{summary}");
    assert!(summary.contains("cost more than normal"), "{summary}");
}

fn whole(fields: &str) -> String {
    support::whole_experiment(fields)
}
