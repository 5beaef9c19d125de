//! What strikes random systems beside the faults that the first swarm knew: a table, one line for each fault. Whoever
//! adds a fault to the language adds a line here.
//!
//! A line looks at the system as text, and says nothing if the fault has no place in it.

use super::Dice;
use std::fmt::Write;

/// The system that is struck.
pub struct System<'t> {
    /// Its topology, as text.
    pub topology: &'t str,
}

impl System<'_> {
    fn has(&self, what: &str) -> bool {
        self.topology.contains(what)
    }

    /// The names of those entries whose line starts like `"s0": Service(` and contains `what`.
    fn with(&self, kind: &str, what: &str) -> Vec<String> {
        let (mut found, like) = (Vec::new(), format!("\": {kind}("));
        for line in self.topology.lines() {
            let starts = line.match_indices(&like).map(|(at, _)| at);
            for at in starts.filter(|_| line.contains(what)) {
                found.extend(line[..at].rsplit('"').next().map(str::to_string));
            }
        }
        found
    }

    /// The policies with a layer that is written so, and that somebody's calls go through.
    fn policies(&self, layers: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for line in self.topology.lines() {
            let Some((name, stack)) = line.trim().split_once("\": [") else { continue };
            let name = name.trim_start_matches('"');
            let is_used = self.has(&format!(", \"{name}\")")) || self.has(&format!("through: \"{name}\""));
            if name.starts_with('p') && is_used && layers.iter().any(|layer| stack.contains(layer)) {
                found.push(name.to_string());
            }
        }
        found
    }

    fn pick(dice: &mut Dice, of: &[String]) -> Option<String> {
        (!of.is_empty()).then(|| of[dice.from(0, of.len() as u64 - 1) as usize].clone())
    }

    fn any(&self, dice: &mut Dice, kind: &str, what: &str) -> Option<String> {
        Self::pick(dice, &self.with(kind, what))
    }
}

/// A fault of the table: its action up to `lasts` and `name`, which are added if there is room for them.
type Draw = fn(&mut Dice, &System) -> Option<String>;

/// How long a fault lasts.
#[derive(Clone, Copy, PartialEq)]
pub enum Lasts {
    /// It strikes once.
    Once,
    /// For a while.
    While,
    /// For a while, and it may have a ramp.
    Ramp,
    /// It is done by an operator: it has no name.
    Operator,
}

const ZONES: [&str; 3] = ["a", "b", "c"];

fn which(dice: &mut Dice) -> String {
    match dice.from(0, 5) {
        0 => ", instances: Number(1)".into(),
        1 => ", instances: Share(0.5)".into(),
        2 => ", instances: Unhealthy".into(),
        _ => String::new(),
    }
}

/// Which instances, for those that have zones.
fn which_of(dice: &mut Dice, system: &System, name: &str) -> String {
    let zoned = system.with("Service", "zones: [\"a\", \"b\", \"c\"]").contains(&name.to_string());
    match zoned && dice.chance(0.4) {
        true => format!(", instances: Zone(\"{}\")", dice.pick(&ZONES)),
        false => which(dice),
    }
}

/// All faults: what they are called in the language, how long they last, and how they are drawn.
pub const TABLE: &[(&str, Lasts, Draw)] = &[
    ("ZoneDown", Lasts::While, |dice, system| {
        system.has("zones: [\"a\", \"b\", \"c\"]").then(|| {
            format!("ZoneDown(zone: \"{}\", how: {}", dice.pick(&ZONES), dice.pick(&["Power", "Network"]))
        })
    }),
    ("DrainZone", Lasts::Operator, |dice, system| {
        system
            .has("zones: [\"a\", \"b\", \"c\"]")
            .then(|| format!("{}(\"{}\")", dice.pick(&["DrainZone", "RestoreZone"]), dice.pick(&ZONES)))
    }),
    ("Down", Lasts::While, |dice, system| {
        let zoned = system.any(dice, "Service", "zones: [\"a\", \"b\", \"c\"]")?;
        Some(format!("Down(target: \"{zoned}\", instances: Zone(\"{}\")", dice.pick(&ZONES)))
    }),
    ("Restart", Lasts::Operator, |dice, system| {
        let zoned = system.any(dice, "Service", "zones: [\"a\", \"b\", \"c\"]")?;
        Some(format!("Restart(\"{zoned}\", Zone(\"{}\"))", dice.pick(&ZONES)))
    }),
    ("CpuSteal", Lasts::Ramp, |dice, system| {
        let service = system.any(dice, "Service", "")?;
        let which = which_of(dice, system, &service);
        Some(format!("CpuSteal(target: \"{service}\", share: \"{}%\"{which}", dice.from(0, 99)))
    }),
    ("Slow", Lasts::Ramp, |dice, system| {
        let service = system.any(dice, "Service", "")?;
        let which = which_of(dice, system, &service);
        Some(format!("Slow(target: \"{service}\", factor: {}{which}", dice.from(0, 12)))
    }),
    ("Errors", Lasts::Ramp, |dice, system| {
        let service = system.any(dice, "Service", "")?;
        let which = which_of(dice, system, &service);
        Some(format!("Errors(target: \"{service}\", ratio: \"{}%\"{which}", dice.from(0, 100)))
    }),
    ("Spike", Lasts::Ramp, |dice, _| Some(format!("Spike(target: \"c0\", factor: {}", dice.from(0, 5)))),
    ("DiskSlow", Lasts::Ramp, |dice, system| {
        let database = system.any(dice, "Database", "storage: ").filter(|name| name == "db")?;
        Some(format!("DiskSlow(target: \"{database}\", factor: {}", dice.from(1, 20)))
    }),
    ("OutOfIoCredits", Lasts::Once, |_, system| {
        system.has("storage: Gp2").then(|| "OutOfIoCredits(target: \"db\"".to_string())
    }),
    ("MemoryLeak", Lasts::Ramp, |dice, system| {
        let service = system.any(dice, "Service", "memory: Memory(")?;
        let which = which_of(dice, system, &service);
        Some(format!("MemoryLeak(target: \"{service}\", rate: \"{}MiB\"{which}", dice.from(1, 30)))
    }),
    ("GcStorm", Lasts::While, |dice, system| {
        let service = system.any(dice, "Service", "")?;
        let which = which_of(dice, system, &service);
        let (pause, every) = (dice.dist(1, 800), dice.ms(50, 3000));
        Some(format!("GcStorm(target: \"{service}\", pause: {pause}, every: {every}{which}"))
    }),
    ("ConnectionLeak", Lasts::While, |dice, system| {
        // Whoever waits for a connection must do so for a time that ends.
        if system.has("EnvoyLimits(") || system.has("Http1Pool(") {
            return None;
        }
        let pools = system.policies(&["Pool(max: ", "HikariPool(", "PgPool("]);
        let mut edges = Vec::new();
        for service in system.with("Service", "Call(\"db/q\"") {
            let own = format!("\"{service}\": Service(");
            let line = system.topology.lines().find(|line| line.contains(&own))?;
            let is_there = |pool: &String| line.contains(&format!("Call(\"db/q\", \"{pool}\")"));
            edges.extend(pools.iter().any(is_there).then_some(service));
        }
        let from = System::pick(dice, &edges)?;
        Some(format!("ConnectionLeak(target: \"{from}\", to: \"db\", every: {}", dice.ms(50, 2000)))
    }),
    ("CacheFlush", Lasts::Once, |dice, system| {
        let policy = System::pick(dice, &system.policies(&["Cache(coalesce"]))?;
        Some(format!("CacheFlush(target: \"{policy}\""))
    }),
    ("CacheRestart", Lasts::While, |dice, system| {
        let policy = System::pick(dice, &system.policies(&["Cache(coalesce"]))?;
        Some(format!("CacheRestart(target: \"{policy}\""))
    }),
    ("ReplicaLag", Lasts::Ramp, |dice, system| {
        let lag = dice.ms(1, 3000);
        system.has("replication: Replication(").then(|| format!("ReplicaLag(target: \"r\", lag: {lag}"))
    }),
    ("PrimaryLoss", Lasts::While, |_, system| {
        let fails_over = system.has("failover: ") && !system.has("failover: None");
        fails_over.then(|| "PrimaryLoss(target: \"db\"".to_string())
    }),
    ("PoisonedMessage", Lasts::Once, |dice, system| {
        let queue = system.has("\"q0\": ").then_some("q0")?;
        Some(format!("PoisonedMessage(target: \"{queue}\", count: {}", dice.from(1, 5)))
    }),
    ("Queues", Lasts::Ramp, |dice, system| {
        system.has("\"q0\": ").then_some(())?;
        Some(match dice.chance(0.5) {
            true => format!("Slow(target: \"q0\", latency: {}", dice.dist(1, 1500)),
            false => format!("Errors(target: \"q0\", ratio: \"{}%\"", dice.from(1, 100)),
        })
    }),
    ("Brokers", Lasts::While, |dice, system| {
        system.has("\"q0\": ").then_some(())?;
        Some(format!("{}(target: \"q0\"", dice.pick(&["Hang", "Down"])))
    }),
    ("TenantSpike", Lasts::Ramp, |dice, system| {
        let client = system.any(dice, "Clients", "tenants: ")?;
        let (tenant, factor) = (dice.pick(&["a", "b"]), dice.from(0, 20));
        Some(format!("TenantSpike(target: \"{client}\", tenant: \"{tenant}\", factor: {factor}"))
    }),
    ("DropConnections", Lasts::Once, |dice, system| {
        let service = system.any(dice, "Service", "")?;
        let target = if system.has("\"db\": ") && dice.chance(0.6) { "db".into() } else { service };
        Some(format!("DropConnections(target: \"{target}\""))
    }),
    ("Reconnect", Lasts::Once, |dice, system| {
        let client = system.any(dice, "Clients", "arrivals: Users(")?;
        Some(format!("Reconnect(target: \"{client}\", within: {}", dice.ms(0, 1000)))
    }),
    ("Burst", Lasts::While, |dice, _| {
        let (every, requests, within) = (dice.ms(200, 5000), dice.from(1, 40), dice.ms(0, 1000));
        Some(format!("Burst(target: \"c0\", every: {every}, requests: {requests}, within: {within}"))
    }),
    ("Recycle", Lasts::While, |dice, system| {
        let service = system.any(dice, "Service", "")?;
        let (every, jitter) = (dice.ms(1000, 6000), dice.dist(1, 2000));
        let order = dice.pick(&["Random", "InTurn"]);
        Some(format!("Recycle(target: \"{service}\", every: {every}, jitter: {jitter}, order: {order}"))
    }),
];

/// Some faults of the table; all of them are over `quiet_s` seconds after the start.
pub fn timeline(dice: &mut Dice, topology: &str, quiet_s: u64) -> String {
    let system = System { topology };
    let mut all = String::new();
    for number in 0..dice.from(0, 6) {
        let (_, lasts, draw) = TABLE[dice.from(0, TABLE.len() as u64 - 1) as usize];
        let Some(action) = draw(dice, &system) else { continue };
        let at = dice.from(1500, 16_000);
        let length = dice.from(100, (quiet_s * 1000 - at).min(8000));
        let mut end = String::new();
        if lasts == Lasts::While || lasts == Lasts::Ramp {
            let _ = write!(end, ", lasts: \"{length}ms\"");
        }
        if lasts == Lasts::Ramp && dice.chance(0.4) {
            let _ = write!(end, ", ramp: \"{}ms\"", dice.from(1, length / 2));
        }
        if lasts != Lasts::Operator {
            let _ = write!(end, ", name: \"t{number}\")");
        }
        let _ = writeln!(all, "    At(\"{at}ms\", {action}{end}),");
    }
    // What is drained at the end has nobody to ask, but nothing is left there either.
    all
}

/// Gives some services zones, lets the first one publish, and the last one handle what was published. Every message
/// leaves the queue after a few attempts.
pub fn extended(dice: &mut Dice, topology: &str, services: u64) -> String {
    let mut text = topology.to_string();
    for i in 0..services {
        if dice.chance(0.4) {
            let own = format!("\"s{i}\": Service(");
            text = text.replacen(&own, &format!("{own}zones: [\"a\", \"b\", \"c\"], "), 1);
        }
    }
    if !dice.chance(0.5) {
        return text;
    }
    let own = "\"s0\": Service(";
    let Some(line) = text.lines().find(|line| line.contains(own)).map(str::to_string) else { return text };
    text = text.replacen(&line, &line.replacen("\"e\": [", "\"e\": [Publish(\"q0\"), ", 1), 1);
    let last = format!("\"s{}\": Service(", services - 1);
    let Some(line) = text.lines().find(|line| line.contains(&last)).map(str::to_string) else { return text };
    let fails = if dice.chance(0.5) { format!(", Fail(\"{}%\")", dice.from(0, 60)) } else { String::new() };
    let handler = format!("\"m\": [Work({}){fails}], \"h\": [", dice.dist(1, 60));
    // A consumer that runs out of memory sooner than it commits never gets on: that is no leak of ours.
    let sound = line.replace("leak_per_request: \"30KiB\"", "leak_per_request: \"0KiB\"");
    text = text.replacen(&line, &sound.replacen("\"h\": [", &handler, 1), 1);
    let endpoint = format!("endpoint: \"s{}/m\"", services - 1);
    let (dead, many) = (dice.chance(0.5), dice.from(1, 4));
    let to = if dead { "dead_letter: \"dead\", " } else { "" };
    let queue = match dice.from(0, 2) {
        0 => format!(
            "Sqs(fifo: {}, visibility_timeout: {}, redrive_policy: RedrivePolicy({to}max_receive_count: {}), \
             consumer: SqsConsumer({endpoint}, pollers: {many}, max_number_of_messages: {}, wait_time: {}, on_failure: {}))",
            dice.chance(0.3),
            dice.ms(500, 3000),
            dice.from(1, 4),
            dice.from(1, 5),
            dice.pick(&["\"0s\"", "\"5s\""]),
            dice.pick(&["Wait", "Release"])
        ),
        // Who fails every few seconds has to commit more often than that, or never gets on.
        1 => format!(
            "Kafka(partitions: {}, consumer: KafkaConsumer({endpoint}, consumers: {many}, session_timeout: \"600ms\", \
             heartbeat_interval: \"100ms\", auto_commit_interval: \"100ms\", max_poll_interval: \"8s\", max_poll_records: {}, commit: {}, \
             group_initial_rebalance_delay: \"100ms\", attempts: {}{}))",
            dice.from(1, 4),
            dice.from(1, 20),
            dice.pick(&["Auto", "EachPoll", "EachRecord"]),
            dice.from(1, 4),
            if dead { ", dead_letter: \"dead\"" } else { "" }
        ),
        _ => format!(
            "RabbitMq(queue_type: Quorum, delivery_limit: {}, {to}{}consumer: RabbitConsumer({endpoint}, \
             consumers: {many}, prefetch: {}, on_failure: {}))",
            dice.from(1, 4),
            dice.pick(&[
                "",
                "max_length: 10, ",
                "max_length: 10, overflow: RejectPublish, ",
                "message_ttl: \"2s\", "
            ]),
            dice.from(0, 10),
            dice.pick(&["Requeue", "Reject"])
        ),
    };
    // A dead-letter queue is one of the same product.
    let dead = match (dead, &queue) {
        (false, _) => String::new(),
        (true, q) if q.starts_with("Sqs(fifo: true") => ", \"dead\": Sqs(fifo: true)".into(),
        (true, q) if q.starts_with("Sqs") => ", \"dead\": Sqs()".into(),
        (true, q) if q.starts_with("Kafka") => ", \"dead\": Kafka()".into(),
        (true, _) => ", \"dead\": RabbitMq(queue_type: Quorum)".into(),
    };
    text.replacen(
        "    policies: {\n",
        &format!("    queues: {{ \"q0\": {queue}{dead} }},\n    policies: {{\n"),
        1,
    )
}

/// Failures at random of zones, queues and of several by one cause.
pub fn failures(dice: &mut Dice, topology: &str) -> String {
    let system = System { topology };
    let mut all = String::new();
    if system.has("zones: [\"a\"") && dice.chance(0.3) {
        let what = dice.pick(&["Down", "Hang"]);
        let _ = write!(
            all,
            "\"zone\": Failures(target: Zone(\"{}\"), what: {what}, up: {}, down: {}), ",
            dice.pick(&ZONES),
            dice.dist(800, 8000),
            dice.ms(1, 300)
        );
    }
    let others: Vec<&str> =
        ["db", "ext", "q0"].into_iter().filter(|name| system.has(&format!("\"{name}\": "))).collect();
    if let Some(with) = others.first()
        && dice.chance(0.4)
    {
        let what = dice.pick(&["Down", "Hang", "Errors(\"50%\")"]);
        let _ = write!(
            all,
            "\"cause\": Failures(target: \"s0\", each: Component, with: [\"{with}\"], what: {what}, up: {}, down: {}), ",
            dice.dist(800, 8000),
            dice.ms(1, 300)
        );
    }
    if dice.chance(0.3) {
        let what = dice.pick(&["CpuSteal(\"50%\")", "GcStorm(\"100ms\", \"300ms\")"]);
        let each = dice.pick(&["Instance", "Component"]);
        let _ = write!(
            all,
            "\"more\": Failures(target: \"s0\", each: {each}, what: {what}, up: {}, down: {}), ",
            dice.dist(800, 8000),
            dice.ms(1, 900)
        );
    }
    all
}
