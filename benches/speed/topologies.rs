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

/// A topology of 10,000 lines: services in tiers that call the next tier through policies, with databases below.
pub fn lines(wanted: usize) -> String {
    // A service takes 10 lines and a policy 8; the rest is frame.
    const TIER: usize = 20;
    let services = (wanted - 40) / 18;
    let mut text = String::from("Topology(\n    name: \"lines\",\n    clients: {\n");
    text +=
        "        \"users\": Clients(\n            arrivals: Poisson(\"100/s\"),\n            requests: {\n";
    (0..TIER).for_each(|n| writeln!(text, "                \"s{n}/serve\": 1,").expect("a string"));
    text += "            },\n        ),\n    },\n    services: {\n";
    for n in 0..services {
        let below = n + TIER;
        let call = if below < services {
            format!("Call(\"s{below}/serve\", \"p{n}\")")
        } else {
            format!("Call(\"db/read\", \"p{n}\")")
        };
        let _ = write!(
            text,
            "        \"s{n}\": Service(\n            replicas: 3,\n            workers: 8,\n            cpu: Cpu(\n                \
             cores: 2,\n            ),\n            endpoints: {{\n                \"serve\": [ \
             Work(Exponential(\"2ms\")), {call} ],\n            }},\n        ),\n"
        );
    }
    text += "    },\n    databases: {\n        \"db\": Database(\n            cores: 16,\n            max_connections: 5000,\n";
    text += "            queries: { \"read\": [ Work(\"1ms\") ] },\n        ),\n    },\n    policies: {\n";
    for n in 0..services {
        let _ = write!(
            text,
            "        \"p{n}\": [\n            Timeout(\"2s\"),\n            Retry(\n                max: 1,\n            \
             ),\n            Bulkhead(50),\n            Pool(max: 20),\n        ],\n"
        );
    }
    text += "    },\n)\n";
    text
}
