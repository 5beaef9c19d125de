//! Systems that are too large to write: made when they are needed.

use std::fmt::Write as _;

/// So many instances behind a balancer, each with something to do now and then.
pub fn instances(count: u32) -> String {
    format!(
        r#"Topology(
    name: "instances",
    clients: {{ "users": Clients(arrivals: Poisson("1000/s"), requests: {{ "lb/serve": 1 }}, timeout: "1s") }},
    balancers: {{ "lb": Balancer(targets: "app", policy: RoundRobin) }},
    services: {{
        "app": Service(
            replicas: {count},
            workers: None,
            cpu: Cpu(cores: 4, discipline: Fifo),
            endpoints: {{ "serve": [ Work(Exponential("10ms")) ] }},
        ),
    }},
)
"#
    )
}

/// Requests that take ten seconds, under a timeout of eleven: in the end there are ten seconds' worth in flight.
pub fn in_flight(per_second: u32) -> String {
    format!(
        r#"Topology(
    name: "in-flight",
    clients: {{ "users": Clients(
        arrivals: Poisson("{per_second}/s"),
        requests: {{ "server/serve": 1 }},
        timeout: "11s",
    ) }},
    services: {{ "server": Service(workers: None, endpoints: {{ "serve": [ Wait("10s") ] }}) }},
)
"#
    )
}

/// Requests that wait for an exponential time, so that a number of them is pending on average, in no order.
pub fn pending(count: u32, per_second: u32) -> String {
    let mean_us = f64::from(count) / f64::from(per_second) * 1e6;
    format!(
        r#"Topology(
    name: "pending",
    clients: {{ "users": Clients(arrivals: Poisson("{per_second}/s"), requests: {{ "server/serve": 1 }}) }},
    services: {{
        "server": Service(workers: None, endpoints: {{ "serve": [ Wait(Exponential("{mean_us}us")) ] }}),
    }},
)
"#
    )
}

/// A topology of so many lines: services in tiers that call the next tier through policies, with a database below.
pub fn lines(wanted: usize) -> String {
    /// Services of a tier, and lines that a service and its policy take.
    const TIER: usize = 20;
    const EACH: usize = 18;
    let services = (wanted - 40) / EACH;
    let (mut requests, mut apps, mut policies) = (String::new(), String::new(), String::new());
    for n in 0..TIER {
        let _ = writeln!(requests, r#"                "s{n}/serve": 1,"#);
    }
    for n in 0..services {
        let below = n + TIER;
        let to = if below < services { format!("s{below}/serve") } else { "db/read".to_string() };
        let _ = write!(
            apps,
            r#"        "s{n}": Service(
            replicas: 3,
            workers: 8,
            cpu: Cpu(
                cores: 2,
            ),
            endpoints: {{
                "serve": [ Work(Exponential("2ms")), Call("{to}", "p{n}") ],
            }},
        ),
"#
        );
        let _ = write!(
            policies,
            r#"        "p{n}": [
            Timeout("2s"),
            Retry(
                max: 1,
            ),
            Bulkhead(50),
            Pool(max: 20),
        ],
"#
        );
    }
    format!(
        r#"Topology(
    name: "lines",
    clients: {{
        "users": Clients(
            arrivals: Poisson("100/s"),
            requests: {{
{requests}            }},
        ),
    }},
    services: {{
{apps}    }},
    databases: {{
        "db": Database(
            cores: 16,
            max_connections: 5000,
            queries: {{ "read": [ Work("1ms") ] }},
        ),
    }},
    policies: {{
{policies}    }},
)
"#
    )
}
