//! Random systems, random features, random timelines: nothing breaks, nothing is lost, nothing is left behind.
//!
//! Every case is RON text made from its number, so that a failure can be read, kept and made smaller. All load stops
//! a while before the end (a profile's factor falls to 0) and by then all faults are over: whatever is still held at
//! the end has leaked. `BROWNOUT_SWARM=5000` plays so many cases, `BROWNOUT_SWARM_FIRST=17` begins with case 17. A
//! case that fails is made small (`swarm/shrink.rs`; not with `BROWNOUT_SWARM_WHOLE=1`). Most of what strikes is drawn
//! from a table (`swarm/faults.rs`): whoever adds a fault to the language adds a line there.

use crate::support;
pub mod faults;
pub mod shrink;

use brownout::base::{Rng, SimDuration};
use brownout::experiment::Changes;
use brownout::metrics::Source;
use brownout::sim::Rest;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{Files, Run, run_of};

/// When all load and all faults are over, and when the run ends: long after every timeout and retry.
const QUIET_S: u64 = 20;
const END_S: u64 = 80;

/// Chooses.
pub(crate) struct Dice(Rng);

impl Dice {
    fn chance(&mut self, p: f64) -> bool {
        self.0.chance(p)
    }

    fn from(&mut self, lo: u64, hi: u64) -> u64 {
        lo + self.0.below(hi - lo + 1)
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.0.below(of.len() as u64) as usize]
    }

    /// A short time in whole milliseconds.
    fn ms(&mut self, lo: u64, hi: u64) -> String {
        format!("\"{}ms\"", self.from(lo, hi))
    }

    fn dist(&mut self, lo: u64, hi: u64) -> String {
        let mean = self.ms(lo.max(1), hi);
        match self.from(0, 4) {
            0 => format!("Constant({mean})"),
            1 => format!("LogNormal(mean: {mean}, cv: 1.5)"),
            2 => format!("Uniform(\"0ms\", {mean})"),
            _ => format!("Exponential({mean})"),
        }
    }
}

/// A case: its topology and the fields of its experiment.
struct Case {
    topology: String,
    experiment: String,
}

fn case(number: u64) -> Case {
    let mut dice = Dice(Rng::from_seed(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed));
    let services = dice.from(1, 3);
    let has_db = dice.chance(0.6);
    let has_external = dice.chance(0.6);
    let balanced: Vec<bool> = (0..services).map(|_| dice.chance(0.6)).collect();
    let checked: Vec<bool> = balanced.iter().map(|b| *b && dice.chance(0.6)).collect();
    let policies = dice.from(0, 3);
    let mut t = String::from("Topology(\n    name: \"swarm\",\n");
    let has_tenants = clients(&mut dice, &mut t, services, &balanced, policies);
    t.push_str("    balancers: {\n");
    for (i, _) in balanced.iter().enumerate().filter(|(_, b)| **b) {
        balancer(&mut dice, &mut t, i, checked[i]);
    }
    t.push_str("    },\n    services: {\n");
    let has_replicas = has_db && dice.chance(0.5);
    let shape = Shape { services, has_db, has_replicas, has_external, policies, has_tenants };
    for i in 0..services {
        service(&mut dice, &mut t, i, &balanced, &shape);
    }
    t.push_str("    },\n");
    if has_db {
        let max = dice.from(2, 12);
        let (primary, replicas) = if has_replicas { followers(&mut dice) } else { Default::default() };
        let _ = writeln!(
            t,
            "    databases: {{ \"db\": Database(cores: {}, max_connections: {}, reserved: 1, start_up: {}, {}queries: {{ \"q\": [Work({}){}] }}{}){} }},",
            dice.from(1, 4),
            max + 1,
            dice.dist(1, 500),
            database(&mut dice) + &primary,
            dice.dist(1, 20),
            query(&mut dice),
            in_front(&mut dice),
            replicas,
        );
    }
    if has_external {
        let limit =
            if dice.chance(0.3) { format!("max_in_flight: {}, ", dice.from(1, 10)) } else { String::new() };
        let _ = writeln!(
            t,
            "    externals: {{ \"ext\": External(latency: {}, {limit}error_ratio: \"{}%\") }},",
            dice.dist(1, 60),
            dice.from(0, 20)
        );
    }
    t.push_str("    policies: {\n");
    for i in 0..policies {
        let stack = stack(&mut dice, &shape);
        let _ = writeln!(t, "        \"p{i}\": [{stack}],");
    }
    t.push_str("    },\n");
    autoscalers(&mut Dice(Rng::from_seed(number ^ 0xa5ca_1e55)), &mut t, services);
    t.push_str(")\n");
    let mut more = Dice(Rng::from_seed(number ^ 0x20_4e5));
    t = faults::extended(&mut more, &t, services);
    let mut timeline = timeline(&mut dice, &shape, &balanced, &checked, &t);
    timeline += &network(&mut Dice(Rng::from_seed(number ^ 0x0e7f_a017)), &shape, &balanced, &t);
    timeline += &faults::timeline(&mut more, &t, QUIET_S);
    let mut failures = failures(&mut Dice(Rng::from_seed(number ^ 0xfa11_ed00)), services);
    failures =
        failures.replacen("failures: { ", &format!("failures: {{ {}", faults::failures(&mut more, &t)), 1);
    let experiment = format!(
        "duration: \"{END_S}s\", warmup: \"1s\", runs: 1, seed: {number}, {failures}timeline: [\n{timeline}]"
    );
    Case { topology: t, experiment }
}

/// What fails and is repaired all the time, even when nobody asks any more: repairs are short.
fn failures(dice: &mut Dice, services: u64) -> String {
    let mut all = String::new();
    for i in 0..services {
        if dice.chance(0.7) {
            continue;
        }
        let what = dice.pick(&["Down", "Down", "Slow(3)", "Errors(\"30%\")", "Hang"]);
        let each = dice.pick(&["Instance", "Component"]);
        let _ = write!(
            all,
            "\"f{i}\": Failures(target: \"s{i}\", each: {each}, what: {what}, up: {}, down: {}), ",
            dice.dist(800, 8000),
            dice.ms(1, 300)
        );
    }
    format!("failures: {{ {all}}}, ")
}

struct Shape {
    services: u64,
    has_db: bool,
    has_replicas: bool,
    has_external: bool,
    policies: u64,
    has_tenants: bool,
}

fn through(dice: &mut Dice, policies: u64) -> String {
    if policies > 0 && dice.chance(0.75) {
        format!(", \"p{}\"", dice.from(0, policies - 1))
    } else {
        String::new()
    }
}

/// Client populations; whether any has tenants.
fn clients(dice: &mut Dice, t: &mut String, services: u64, balanced: &[bool], policies: u64) -> bool {
    t.push_str("    clients: {\n");
    let mut has_tenants = false;
    for i in 0..dice.from(1, 2) {
        let rate = dice.from(1, 60);
        let arrivals = match dice.from(0, 5) {
            0 => format!("Regular(\"{rate}/s\")"),
            1 => format!("Users(count: {}, think: {})", dice.from(1, 30), dice.dist(100, 2000)),
            2 => format!(
                "Mmpp([MmppState(\"{rate}/s\", \"2s\"), MmppState(\"0/s\", \"1s\"), MmppState(\"5/s\", \"1s\")])"
            ),
            3 => format!(
                "Batches(rate: \"{}/s\", size: {})",
                rate / 4 + 1,
                dice.pick(&["5", "Uniform(1, 8)", "Geometric(4)", "[(1, 3), (12, 1)]"])
            ),
            _ => format!("Poisson(\"{rate}/s\")"),
        };
        let swing = if dice.chance(0.3) { "Diurnal(period: \"10s\", amplitude: 0.5), " } else { "" };
        let mut fields = String::new();
        if dice.chance(0.5) {
            let _ = write!(fields, "timeout: {}, ", dice.ms(20, 1500));
        }
        if dice.chance(0.4) {
            let _ = write!(fields, "retry: {}, ", retry(dice));
        }
        if dice.chance(0.25) {
            let _ = write!(fields, "patience: {}, ", dice.dist(20, 2000));
        }
        if policies > 0 && dice.chance(0.5) {
            let _ = write!(fields, "through: \"p{}\", ", dice.from(0, policies - 1));
        }
        let keys = dice.pick(&["Uniform(count: ", "Zipf(exponent: 0.9, count: "]);
        let _ = write!(fields, "keys: {keys}{}), ", dice.from(1, 20));
        if dice.chance(0.3) {
            has_tenants = true;
            fields.push_str("tenants: { \"a\": Tenant(share: 3), \"b\": Tenant(share: 1, priority: 7) }, ");
        }
        let to = dice.from(0, services - 1) as usize;
        let to = if balanced[to] { format!("lb{to}") } else { format!("s{to}") };
        let _ = writeln!(
            t,
            "        \"c{i}\": Clients(arrivals: {arrivals}, requests: {{ \"{to}/e\": 3, \"{to}/h\": 1 }}, {fields}profile: [{swing}Steps([Point(\"{QUIET_S}s\", 0)])]),"
        );
    }
    t.push_str("    },\n");
    has_tenants
}

fn balancer(dice: &mut Dice, t: &mut String, i: usize, checked: bool) {
    let policy = dice.pick(&[
        "RoundRobin",
        "Random",
        "LeastOutstanding",
        "PowerOfTwo",
        "RingHash",
        "WeightedRoundRobin",
        "WeightedRandom",
    ]);
    let mut fields = String::new();
    if checked {
        let _ = write!(fields, "health_check: {}, ", health_check(dice));
    }
    if dice.chance(0.4) {
        let _ = write!(fields, "idle_timeout: {}, ", dice.ms(20, 1500));
    }
    let none = dice.pick(&["FailOpen", "Refuse"]);
    let delay = dice.ms(10, 3000);
    let _ = writeln!(
        t,
        "        \"lb{i}\": Balancer(targets: \"s{i}\", policy: {policy}, when_none_healthy: {none}, deregistration_delay: {delay}, {fields}),"
    );
}

fn autoscalers(dice: &mut Dice, t: &mut String, services: u64) {
    t.push_str("    autoscalers: {\n");
    for i in 0..services {
        if !dice.chance(0.3) {
            continue;
        }
        let min = dice.from(1, 3);
        let max = min + dice.from(0, 4);
        let mut fields = String::new();
        if dice.chance(0.7) {
            let rules = |dice: &mut Dice| {
                format!(
                    "Rules(stabilization_window: {}, select_policy: {}, policies: [{}])",
                    dice.ms(0, 5000),
                    dice.pick(&["Max", "Min"]),
                    dice.pick(&[
                        "Pods(1, \"2s\")",
                        "Percent(100, \"1s\")",
                        "Pods(2, \"1s\"), Percent(50, \"3s\")"
                    ]),
                )
            };
            let (up, down) = (rules(dice), rules(dice));
            let _ = write!(fields, "behavior: Behavior(scale_up: {up}, scale_down: {down}), ");
        }
        let _ = writeln!(
            t,
            "        \"a{i}\": Hpa(service: \"s{i}\", min: {min}, max: {max}, metrics: [{}], sync: {}, metric_resolution: {}, downscale_stabilization: {}, cpu_initialization_period: {}, {fields}),",
            dice.pick(&["Cpu(\"50%\", 0.05)", "InFlight(1)", "Cpu(\"150%\", 0.02), InFlight(2)"]),
            dice.ms(300, 4000),
            dice.ms(300, 4000),
            dice.ms(0, 6000),
            dice.ms(0, 6000),
        );
    }
    t.push_str("    },\n");
}

fn health_check(dice: &mut Dice) -> String {
    format!(
        "HealthCheck(endpoint: \"{}\", interval: {}, timeout: {}, healthy: {}, unhealthy: {}, initial: {})",
        dice.pick(&["e", "h"]),
        dice.ms(100, 2000),
        dice.ms(10, 1000),
        dice.from(1, 3),
        dice.from(1, 3),
        dice.pick(&["Initial", "Healthy", "Unhealthy"]),
    )
}

/// What a database has whose writes are replicated, and its replicas.
fn followers(dice: &mut Dice) -> (String, String) {
    let failover = dice.pick(&[
        "None",
        "Patroni(ttl: \"2s\", loop_wait: \"1s\", primary_start_timeout: \"300ms\", promote: \"100ms\")",
        "Patroni(ttl: \"1s\", loop_wait: \"100ms\", synchronous_mode: true)",
        "RdsMultiAz(min: \"500ms\", max: \"2s\")",
        "Aurora(min: \"0s\", max: \"1s\")",
    ]);
    let primary = format!("writes: [\"q\"], failover: {failover}, ");
    let replicas = format!(
        ", \"r\": Database(cores: 1, start_up: {}, replication: Replication(of: \"db\", count: {}, delay: {}, apply: {}), \
         queries: {{ \"q\": [Work({})] }})",
        dice.dist(1, 500),
        dice.from(1, 3),
        dice.dist(1, 50),
        dice.dist(0, 20),
        dice.dist(1, 20),
    );
    (primary, replicas)
}

/// What a database may have; storage always, for its query.
fn database(dice: &mut Dice) -> String {
    let storage = dice.pick(&["Disk(500)", "Gp2(size: \"100GiB\", credits: \"0%\")", "Gp3()"]).to_string();
    let mut fields = format!("storage: {storage}, ");
    if dice.chance(0.3) {
        let _ = write!(fields, "statement_timeout: {}, ", dice.ms(5, 500));
    }
    if dice.chance(0.5) {
        let _ = write!(fields, "lock_timeout: {}, ", dice.ms(5, 500));
    }
    if dice.chance(0.3) {
        fields.push_str("contention: Contention(sigma: 0.05, kappa: 0.01), ");
    }
    fields
}

/// What a query does after its work.
fn query(dice: &mut Dice) -> String {
    match dice.from(0, 3) {
        0 => format!(", Io(Uniform(1, {}))", dice.from(1, 20)),
        1 => format!(
            ", Lock(name: \"row\", rows: {}, steps: [Work({}), Io()])",
            dice.from(1, 3),
            dice.dist(1, 20)
        ),
        _ => String::new(),
    }
}

fn service(dice: &mut Dice, t: &mut String, i: u64, balanced: &[bool], shape: &Shape) {
    let mut fields = format!("replicas: {}, ", dice.from(1, 4));
    if dice.chance(0.7) {
        let _ = write!(fields, "workers: {}, ", dice.from(1, 8));
        if dice.chance(0.6) {
            let wait = match dice.from(0, 4) {
                0 => format!("max_wait: {}, ", dice.ms(5, 400)),
                1 => format!("max_wait: {}, ", dice.dist(5, 400)),
                _ => String::new(),
            };
            let _ = write!(
                fields,
                "queue: Queue(capacity: {}, discipline: {}, {}{wait}), ",
                dice.from(0, 20),
                dice.pick(&[
                    "Fifo",
                    "Lifo",
                    "Priority",
                    "AdaptiveLifo(above: 2)",
                    "WeightedFair({})",
                    "EarliestDeadline(deadlines: { \"h\": \"10ms\" })",
                ]),
                dice.pick(&[
                    "",
                    "shed: CoDel(), ",
                    "shed: ControlledDelay(), ",
                    "shed: RandomEarly(min: 1, max: 8, weight: 0.5), ",
                    "bytes: ByteLimit(\"10kB\", Uniform(1, 4000)), ",
                ])
            );
        }
    }
    if dice.chance(0.6) {
        let discipline = dice.pick(&["ProcessorSharing", "Fifo", "Priority"]);
        let _ = write!(
            fields,
            "cpu: Cpu(cores: {}, {}discipline: {discipline}), ",
            dice.pick(&["0.5", "1", "2", "4"]),
            dice.pick(&["", "", "limit: 0.3, quota: Cfs(), "])
        );
    }
    if dice.chance(0.4) {
        let _ = write!(
            fields,
            "memory: Memory(limit: \"{}MiB\", base: \"5MiB\", per_request: \"1MiB\", leak_per_request: \"{}KiB\"), ",
            dice.from(8, 60),
            dice.pick(&["0", "0", "30"])
        );
    }
    if dice.chance(0.4) {
        let _ = write!(fields, "request_timeout: {}, ", dice.ms(10, 1000));
    }
    if dice.chance(0.5) {
        let _ = write!(fields, "restart_delay: {}, start_up: {}, ", dice.dist(1, 500), dice.dist(1, 2000));
    }
    if dice.chance(0.3) {
        let _ = write!(fields, "admission: Admission({}), ", limit_algorithm(dice));
    }
    fields += &life(dice);
    // The first service's CPU may be taken away, and an event loop knows no priorities.
    let keeps_cpu = i > 0 && fields.contains("cpu: ");
    fields += &runtime(dice, keeps_cpu, keeps_cpu && !fields.contains("Priority"));
    if fields.contains("workers") && dice.chance(0.2) {
        fields.push_str("shedding: Queue([QueueThreshold(priority: 0, from: 3, until: 1)]), ");
    }
    let program = program(dice, i, balanced, shape, 0);
    let _ = writeln!(
        t,
        "        \"s{i}\": Service({fields}endpoints: {{ \"e\": [{program}], \"h\": [Work({})] }}),",
        dice.dist(1, 3)
    );
}

fn probe(dice: &mut Dice) -> String {
    format!(
        "Probe(endpoint: \"h\", period: {}, timeout: {}, failure_threshold: {}, initial_delay: {})",
        dice.ms(100, 2000),
        dice.ms(5, 3000),
        dice.from(1, 4),
        dice.ms(0, 1000)
    )
}

/// Probes, restarts and termination.
fn life(dice: &mut Dice) -> String {
    let mut fields = String::new();
    if dice.chance(0.1) {
        let _ = write!(
            fields,
            "ecs: EcsService(health_check: ContainerCheck(endpoint: \"h\", interval: {}, timeout: {}, retries: {}), \
             health_check_grace_period: {}, maximum_percent: {}, stop_timeout: {}), ",
            dice.ms(100, 2000),
            dice.ms(5, 1000),
            dice.from(1, 3),
            dice.ms(0, 2000),
            dice.from(100, 250),
            dice.ms(1, 4000)
        );
        return fields;
    }
    for kind in ["startup", "readiness", "liveness"] {
        if dice.chance(0.15) {
            let _ = write!(fields, "{kind}_probe: {}, ", probe(dice));
        }
    }
    if dice.chance(0.2) {
        fields += "restart: KubernetesBackOff(initial: \"500ms\", max: \"4s\"), ";
    }
    if dice.chance(0.3) {
        let _ = write!(
            fields,
            "termination: Termination(grace_period: {}, pre_stop: {}, endpoint_propagation: {}, on_sigterm: {}), ",
            dice.ms(1, 6000),
            dice.ms(0, 4000),
            dice.dist(1, 3000),
            dice.pick(&["CloseListener", "KeepServing"])
        );
    }
    fields
}

/// What processes run in.
fn runtime(dice: &mut Dice, has_cpu: bool, may_loop: bool) -> String {
    let mut fields = String::new();
    if may_loop && dice.chance(0.15) {
        fields += "event_loop: true, ";
    }
    if dice.chance(0.2) {
        let collector = match dice.from(0, 2) {
            0 => "G1".into(),
            1 => "Zgc".into(),
            _ => {
                format!("StopTheWorld(pause: {}, full_pause_per_gb: {})", dice.dist(1, 300), dice.ms(0, 9000))
            }
        };
        let young = dice.from(1, 20);
        let _ = write!(
            fields,
            "gc: Gc(heap: \"{}MiB\", young: \"{young}MiB\", per_request: \"{}KiB\", collector: {collector}), ",
            dice.from(young, 60),
            dice.from(1, 3000)
        );
    }
    if dice.chance(0.15) {
        let _ =
            write!(fields, "warm_up: WarmUp(factor: {}, requests: {}), ", dice.from(1, 9), dice.from(0, 300));
    }
    if has_cpu && dice.chance(0.2) {
        let _ = write!(
            fields,
            "credits: CpuCredits(instance: Earns({}), mode: {}, initial: 0.0{}), ",
            dice.from(1, 90),
            dice.pick(&["Standard", "Unlimited"]),
            dice.from(1, 99)
        );
    }
    format!("runtime: Runtime({fields}), ")
}

/// Calls go to services of higher number, so that there are no circles.
fn call(dice: &mut Dice, i: u64, balanced: &[bool], shape: &Shape) -> String {
    let mut to: Vec<String> = (i + 1..shape.services)
        .map(|s| if balanced[s as usize] { format!("lb{s}/e") } else { format!("s{s}/e") })
        .collect();
    if shape.has_db {
        to.push("db/q".into());
        if shape.has_replicas {
            to.push("r/q".into());
        }
    }
    if shape.has_external {
        to.push("ext/x".into());
    }
    if to.is_empty() {
        return format!("Wait({})", dice.dist(1, 20));
    }
    let to = to[dice.0.below(to.len() as u64) as usize].clone();
    let through = through(dice, shape.policies);
    format!("Call(\"{to}\"{through})")
}

fn program(dice: &mut Dice, i: u64, balanced: &[bool], shape: &Shape, depth: u32) -> String {
    let mut steps = Vec::new();
    for _ in 0..dice.from(1, 3) {
        let kind = if depth >= 2 { dice.from(0, 5) } else { dice.from(0, 12) };
        steps.push(match kind {
            0 => format!("Work({})", dice.dist(1, 20)),
            1 => format!("Wait({})", dice.dist(1, 40)),
            2 => format!("Fail(\"{}%\")", dice.from(0, 30)),
            3 => format!("Hold(\"{}KiB\")", dice.from(0, 4000)),
            4 | 5 => call(dice, i, balanced, shape),
            6 | 7 => {
                let branches: Vec<String> = (0..dice.from(1, 3))
                    .map(|_| format!("[{}]", program(dice, i, balanced, shape, depth + 1)))
                    .collect();
                let count = branches.len() as u64;
                let need = match dice.from(0, 2) {
                    0 => "All".to_string(),
                    1 => "Any".to_string(),
                    _ => format!("AtLeast({})", dice.from(1, count)),
                };
                format!("Parallel(branches: [{}], need: {need})", branches.join(", "))
            }
            8 => {
                let one = program(dice, i, balanced, shape, depth + 1);
                format!("Choose([Way(2, [{one}]), Way(1, [])])")
            }
            9 => {
                let one = program(dice, i, balanced, shape, depth + 1);
                match dice.chance(0.5) {
                    true => format!("Repeat({}, [{one}])", dice.from(1, 3)),
                    false => format!("While(\"{}%\", [{one}])", dice.from(0, 70)),
                }
            }
            10 | 11 => {
                let one = program(dice, i, balanced, shape, depth + 1);
                format!("Optional([{one}])")
            }
            _ => {
                let one = program(dice, i, balanced, shape, depth + 1);
                // A lock has no lock inside.
                match one.contains("Lock(") {
                    true => format!("Optional([{one}])"),
                    false => format!("Lock(name: \"l\", rows: {}, steps: [{one}])", dice.from(1, 3)),
                }
            }
        });
    }
    steps.join(", ")
}

fn retry(dice: &mut Dice) -> String {
    let backoff = match dice.from(0, 4) {
        0 => "None".to_string(),
        1 => format!("Constant({})", dice.ms(1, 300)),
        2 => format!("Exponential(base: {}, max: \"1s\")", dice.ms(1, 200)),
        3 => format!("Steps([{}, {}])", dice.ms(1, 100), dice.ms(1, 300)),
        _ => format!("Random({})", dice.dist(1, 300)),
    };
    let jitter = dice.pick(&["None", "Full", "Equal", "Decorrelated"]);
    let budget = if dice.chance(0.5) { format!(", budget: {}", budget(dice)) } else { String::new() };
    format!("Retry(max: {}, backoff: {backoff}, jitter: {jitter}{budget})", dice.from(1, 3))
}

/// What a new connection costs a database, and what stands in front of it.
fn in_front(dice: &mut Dice) -> String {
    let cost = if dice.chance(0.3) { format!(", connect_cost: {}", dice.dist(1, 40)) } else { String::new() };
    let connect = if dice.chance(0.5) { "\"0s\"".into() } else { dice.dist(1, 30) };
    let (least, lifetime) = least_and_lifetime(dice, 2);
    let pooler = match dice.from(0, 5) {
        0 | 1 => format!(
            "pooler: PgBouncer(pool_mode: {}, max_client_conn: {}, default_pool_size: {}, min_pool_size: {}, \
             reserve_pool_size: {}, reserve_pool_timeout: {}, server_lifetime: {}, server_idle_timeout: {}, \
             server_connect_timeout: {}, server_login_retry: {}, query_wait_timeout: {}, server_round_robin: {}, \
             connect: {connect})",
            dice.pick(&["Session", "Transaction"]),
            dice.from(1, 30),
            dice.from(2, 8),
            least,
            dice.from(0, 3),
            dice.ms(1, 200),
            lifetime,
            dice.ms(1, 2000),
            dice.ms(1, 200),
            dice.ms(0, 2000),
            dice.ms(5, 800),
            dice.chance(0.5),
        ),
        2 => format!(
            "pooler: RdsProxy(connection_borrow_timeout: {}, pinning: \"{}%\", connect: {connect})",
            dice.ms(5, 800),
            dice.from(0, 50),
        ),
        _ => return cost,
    };
    format!("{cost}, {pooler}")
}

/// How many connections a pool keeps at least, and how long they live. Where some are kept lives are long: they would
/// be made again and again, and nothing would ever rest.
fn least_and_lifetime(dice: &mut Dice, most: u64) -> (u64, String) {
    match dice.chance(0.5) {
        true => (0, dice.ms(50, 3000)),
        false => (dice.from(0, most), "\"100h\"".to_string()),
    }
}

/// A pool of one of the makes that are newer here.
fn newer_pool(dice: &mut Dice, per: &str) -> String {
    let connect = if dice.chance(0.4) { "\"0s\"".into() } else { dice.dist(1, 30) };
    if dice.chance(0.5) {
        let most = dice.from(1, 6);
        let (least, lifetime) = least_and_lifetime(dice, most);
        return format!(
            "HikariPool(maximum_pool_size: {most}, minimum_idle: {}, connection_timeout: {}, idle_timeout: {}, \
             max_lifetime: {}, keepalive_time: {}, connect: {connect}, per: {per})",
            least,
            dice.ms(250, 900),
            dice.ms(50, 3000),
            lifetime,
            dice.ms(50, 3000),
        );
    }
    if dice.chance(0.3) {
        return format!(
            "EnvoyLimits(max_connections: {}, max_pending_requests: {}, max_requests: {}, protocol: {}, \
             connect_timeout: {}, idle_timeout: {}, connect: {connect}, per: {per})",
            dice.from(0, 5),
            dice.from(0, 5),
            dice.from(1, 9),
            dice.pick(&["Http1", "Http2(max_concurrent_streams: 3)", "Http2()"]),
            dice.ms(1, 30),
            dice.ms(0, 2000),
        );
    }
    if dice.chance(0.3) {
        return format!(
            "Http1Pool(max_connections: {}, idle_timeout: {}, keep_alive: {}, race: {}, connect: {connect}, per: {per})",
            dice.from(1, 6),
            dice.ms(0, 2000),
            dice.ms(21, 2000),
            dice.ms(0, 20),
        );
    }
    let uses = if dice.chance(0.2) { "max_uses: 5, " } else { "" };
    format!(
        "PgPool(max: {}, min: 1, idle_timeout: {}, connection_timeout: {}, max_lifetime: {}, {uses}connect: {connect}, \
         per: {per})",
        dice.from(1, 5),
        dice.ms(1, 2000),
        dice.ms(5, 800),
        dice.ms(1, 3000),
    )
}

fn budget(dice: &mut Dice) -> String {
    let per = dice.pick(&["Instance", "Service"]);
    match dice.from(0, 6) {
        0 => format!("Budget(ratio: 0.3, min_per_second: 1, initial: 2, per: {per})"),
        1 => format!("AwsStandard(initial: {}, per: {per})", dice.from(10, 500)),
        2 => format!("GrpcThrottling(max_tokens: {}, token_ratio: 0.3, per: {per})", dice.from(1, 50)),
        3 => format!("Finagle(ttl: \"2s\", min_retries_per_sec: {}, per: {per})", dice.from(0, 5)),
        4 => format!("Envoy(max_retries: {}, per: {per})", dice.from(0, 5)),
        _ => format!("EnvoyBudget(min_retry_concurrency: 1, per: {per})"),
    }
}

/// Retries, hedges, deadlines and connections with the parameters of products.
fn products(dice: &mut Dice, per: &str) -> String {
    let throttling = if dice.chance(0.6) { "GrpcThrottling(10, 0.2)" } else { "None" };
    match dice.from(0, 9) {
        0 => format!(
            "AwsSdk(retry_mode: {}, throttling_base_scale: {}, quota: AwsStandard(per: {per}))",
            dice.pick(&["Standard", "Adaptive"]),
            dice.ms(1, 200)
        ),
        1 => format!(
            "GrpcRetry(max_attempts: {}, initial_backoff: {}, max_backoff: \"200ms\", backoff_multiplier: 2, \
             throttling: {throttling})",
            dice.from(2, 5),
            dice.ms(1, 100)
        ),
        2 => format!(
            "FinagleRetry(num_tries: 3, backoff: {}Jittered({}, \"300ms\"))",
            dice.pick(&["Decorrelated", "Equal", "Exponential"]),
            dice.ms(1, 100)
        ),
        3 => format!("PollyRetry(delay: {}, backoff_type: Exponential, use_jitter: true)", dice.ms(1, 100)),
        4 => format!("EnvoyRetry(num_retries: {})", dice.from(0, 3)),
        5 => format!("Deadline(limit: {}, cancel: {})", dice.ms(5, 800), dice.chance(0.4)),
        6 => format!(
            "Hedge(delay: Percentile(percentile: {}, initial: {}, min_samples: 5, window: \"2s\", per: {per}), cancel: {})",
            dice.from(10, 95),
            dice.ms(1, 100),
            dice.chance(0.6)
        ),
        7 => format!(
            "GrpcHedge(max_attempts: {}, hedging_delay: {}, throttling: {throttling})",
            dice.from(2, 5),
            dice.ms(0, 100)
        ),
        _ => format!(
            "Connect(rtt: {}, tls: {}, loss: \"{}%\", connect_timeout: {}, tcp_user_timeout: \"500ms\", when_down: {}, \
             keep_alive: {}, per: {per}{})",
            dice.dist(1, 20),
            dice.pick(&["Plain", "Tls12", "Tls13"]),
            dice.from(0, 10),
            dice.ms(10, 2000),
            dice.pick(&["Refuse", "BlackHole"]),
            if dice.chance(0.5) { dice.ms(50, 2000) } else { "None".into() },
            if dice.chance(0.4) { ", dns: Dns(ttl: \"1s\", loss: \"5%\", timeout: \"100ms\")" } else { "" },
        ),
    }
}

fn algorithm(dice: &mut Dice) -> String {
    let rate = format!("rate: \"{}/s\"", dice.from(1, 60));
    let limit = format!("limit: {}, window: {}", dice.from(1, 40), dice.ms(1, 2000));
    let burst = dice.from(1, 20);
    let algorithm = match dice.from(0, 6) {
        0 => format!("TokenBucket({rate}, burst: {burst})"),
        1 => format!("Gcra({rate}, burst: {burst})"),
        2 => format!("FixedWindow({limit})"),
        3 => format!("SlidingWindow({limit})"),
        4 => format!("SlidingCounter({limit})"),
        _ => format!("LeakyBucket({rate}, capacity: {})", burst - 1),
    };
    format!("algorithm: {algorithm}")
}

fn stack(dice: &mut Dice, shape: &Shape) -> String {
    let mut layers = Vec::new();
    for _ in 0..dice.from(0, 4) {
        let per = dice.pick(&["Instance", "Service"]);
        layers.push(match dice.from(0, 20) {
            0 => {
                let mut options = String::new();
                if dice.chance(0.5) {
                    let _ = write!(options, "Cache(ttl: {}, coverage: \"70%\"), ", dice.ms(10, 3000));
                }
                if shape.has_external && dice.chance(0.5) {
                    options.push_str("Call(\"ext/other\"), ");
                }
                if options.is_empty() || dice.chance(0.4) {
                    options.push_str("Value");
                }
                format!("Fallback([{}])", options.trim_end_matches(", "))
            }
            1 | 2 => retry(dice),
            3 => format!("Breaker(window: \"2s\", reset: {}, volume: 3, per: {per})", dice.ms(50, 2000)),
            4 => {
                let queue = dice.from(0, 5);
                let wait =
                    if queue > 0 && dice.chance(0.5) { format!("max_wait: {}, ", dice.ms(1, 300)) } else { String::new() };
                format!("Bulkhead(max: {}, queue: {queue}, {wait}per: {per})", dice.from(1, 5))
            }
            5 | 6 => format!("Timeout(limit: {}, cancel: {})", dice.ms(5, 800), dice.chance(0.5)),
            7 if dice.chance(0.5) => newer_pool(dice, per),
            7 => {
                let statement =
                    if dice.chance(0.3) { format!("statement_timeout: {}, ", dice.ms(1, 200)) } else { String::new() };
                let uses = if dice.chance(0.2) { "max_uses: 5, " } else { "" };
                format!(
                    "Pool(max: {}, min: 1, acquire_timeout: {}, idle: \"500ms\", connect: {}, {statement}{uses}per: {per})",
                    dice.from(1, 5),
                    dice.ms(5, 800),
                    if dice.chance(0.4) { "\"0s\"".into() } else { dice.dist(1, 30) },
                )
            }
            8 => {
                let key = if shape.has_tenants && dice.chance(0.4) { "key: Tenant, " } else { "" };
                format!("RateLimit({}, {key}per: {per})", algorithm(dice))
            }
            9 => format!(
                "Hedge(delay: {}, max: {}, cancel: {})",
                dice.ms(0, 100),
                dice.from(1, 3),
                dice.chance(0.6)
            ),
            10 => format!(
                "ConsecutiveBreaker(failures: {}, reset: {}, trials: {}, successes: {}, per: {per})",
                dice.from(1, 5),
                dice.ms(50, 2000),
                dice.from(1, 3),
                dice.from(1, 3)
            ),
            11 => format!("Network(latency: {}, loss: \"{}%\")", dice.dist(1, 10), dice.from(0, 5)),
            12 => cache(dice, per),
            13 | 14 => guard(dice, per),
            _ => products(dice, per),
        });
    }
    layers.join(", ")
}

/// A guard with the names of its product.
fn guard(dice: &mut Dice, per: &str) -> String {
    match dice.from(0, 8) {
        7 => format!(
            "ThreadPoolBulkhead(core_thread_pool_size: {}, max_thread_pool_size: 4, queue_capacity: {}, per: {per})",
            dice.from(1, 3),
            dice.from(1, 4)
        ),
        8 => format!(
            "RateLimit(algorithm: Resilience4j(limit_for_period: {}, limit_refresh_period: {}, timeout_duration: {}), per: {per})",
            dice.from(1, 5),
            dice.ms(10, 300),
            dice.ms(0, 400)
        ),
        5 => format!("AdaptiveThrottling(window: \"2s\", k: {}, per: {per})", dice.from(1, 2)),
        6 => {
            format!("AdmissionControl(sampling_window: \"2s\", aggression: {}, per: {per})", dice.from(1, 2))
        }
        0 => format!(
            "Resilience4jBreaker(sliding_window_type: {}, sliding_window_size: {}, minimum_number_of_calls: {}, \
             wait_duration_in_open_state: {}, max_wait_duration_in_half_open_state: {}, \
             permitted_number_of_calls_in_half_open_state: 2, \
             automatic_transition_from_open_to_half_open_enabled: {}, slow_call_duration_threshold: {}, per: {per})",
            dice.pick(&["Count", "Time"]),
            dice.from(1, 9),
            dice.from(1, 9),
            dice.ms(50, 2000),
            dice.pick(&["\"0s\"", "\"300ms\""]),
            dice.chance(0.5),
            dice.ms(20, 800),
        ),
        1 => format!(
            "PollyBreaker(minimum_throughput: {}, break_duration: \"700ms\", per: {per})",
            dice.from(2, 9)
        ),
        2 => format!(
            "OpossumBreaker(timeout: {}, reset_timeout: {}, per: {per})",
            dice.ms(20, 800),
            dice.ms(50, 900)
        ),
        _ => {
            let algorithm = limit_algorithm(dice);
            let wait = if dice.chance(0.5) {
                format!(
                    "lifo_blocking: LifoBlocking(backlog_size: 5, backlog_timeout: {}), ",
                    dice.ms(5, 500)
                )
            } else {
                String::new()
            };
            format!("ConcurrencyLimit(algorithm: {algorithm}, {wait}per: {per})")
        }
    }
}

fn limit_algorithm(dice: &mut Dice) -> String {
    match dice.from(0, 5) {
        0 => format!("Fixed({})", dice.from(1, 6)),
        1 => "Aimd(initial_limit: 3, min_limit: 1, max_limit: 9)".to_string(),
        2 => "Vegas(initial_limit: 2, max_concurrency: 9, probe_multiplier: 2)".to_string(),
        3 => "Gradient(initial_limit: 3, max_concurrency: 9, probe_interval: 9)".to_string(),
        4 => "Gradient2(initial_limit: 3, min_limit: 1)".to_string(),
        _ => "EnvoyAdaptive(interval: \"900ms\", request_count: 5)".to_string(),
    }
}

fn cache(dice: &mut Dice, per: &str) -> String {
    let mut fields = format!("coalesce: {}, per: {per}, ", dice.chance(0.6));
    if dice.chance(0.8) {
        let _ = write!(fields, "ttl: {}, renew: {}, ", dice.ms(10, 3000), dice.chance(0.3));
        if dice.chance(0.5) {
            let _ = write!(fields, "stale_while_revalidate: {}, ", dice.ms(10, 3000));
        }
        if dice.chance(0.3) {
            let _ = write!(fields, "stale_if_error: {}, ", dice.ms(10, 3000));
        }
    }
    if dice.chance(0.3) {
        let _ = write!(fields, "negative_ttl: {}, ", dice.ms(10, 1000));
    }
    if dice.chance(0.5) {
        let eviction = dice.pick(&["Lru", "Fifo", "Random", "Lfu"]);
        let _ = write!(fields, "capacity: {}, eviction: {eviction}, ", dice.from(1, 10));
    }
    if dice.chance(0.5) {
        let _ = write!(fields, "hit: {}, ", dice.dist(1, 5));
    }
    format!("Cache({})", fields.trim_end_matches(", "))
}

/// Where to strike: services mostly.
fn target(dice: &mut Dice, shape: &Shape) -> String {
    match dice.from(0, 5) {
        0 if shape.has_replicas && dice.chance(0.3) => "r".into(),
        0 if shape.has_db => "db".into(),
        1 if shape.has_external => "ext".into(),
        _ => format!("s{}", dice.from(0, shape.services - 1)),
    }
}

fn timeline(dice: &mut Dice, shape: &Shape, balanced: &[bool], checked: &[bool], topology: &str) -> String {
    let mut all = String::new();
    for i in 0..dice.from(0, 6) {
        let at = dice.from(1500, 16_000);
        let lasts = dice.from(100, (QUIET_S * 1000 - at).min(8000));
        let target = target(dice, shape);
        let which = if target.starts_with('s') {
            dice.pick(&[
                "",
                "",
                "instances: Number(1), ",
                "instances: Share(0.5), ",
                "instances: Unhealthy, ",
            ])
        } else {
            ""
        };
        let end = format!("{which}lasts: \"{lasts}ms\", name: \"f{i}\"");
        let action = match dice.from(0, 15) {
            0 => format!("Slow(target: \"{target}\", factor: {}, {end})", dice.from(0, 20)),
            1 => format!("Slow(target: \"{target}\", latency: {}, {end})", dice.dist(1, 3000)),
            2 if target == "db" => format!("KillQueries(\"db\", {})", dice.ms(1, 500)),
            2 => format!("Errors(target: \"{target}\", ratio: \"{}%\", {end})", dice.from(1, 100)),
            3 | 4 => format!("Hang(target: \"{target}\", {end})"),
            5 if target != "ext" => format!("Crash(target: \"{target}\", {which}name: \"f{i}\")"),
            6 => format!("Down(target: \"{target}\", {end})"),
            7 => format!(
                "Spike(target: \"c0\", factor: {}, lasts: \"{lasts}ms\", name: \"f{i}\")",
                dice.from(0, 5)
            ),
            8 if target != "ext" => {
                format!("Restart(\"{target}\", {})", dice.pick(&["All", "Number(1)", "Unhealthy"]))
            }
            _ => set(dice, shape, balanced, checked),
        };
        let _ = writeln!(all, "    At(\"{at}ms\", {action}),");
    }
    for i in 0..balanced.len() {
        let ours = format!("\"s{i}\": Service(");
        if topology.lines().any(|line| line.contains(&ours) && line.contains("ecs: EcsService")) {
            let _ = writeln!(all, "    At(\"50s\", Set(\"services.s{i}.ecs.health_check\", None)),");
            continue;
        }
        if dice.chance(0.1) {
            let kind = dice.pick(&["startup", "readiness", "liveness"]);
            let (at, probe) = (dice.from(0, 15), probe(dice));
            let _ = writeln!(all, "    At(\"{at}s\", Set(\"services.s{i}.{kind}_probe\", {probe})),");
        }
        for kind in ["startup", "readiness", "liveness"] {
            let _ = writeln!(all, "    At(\"50s\", Set(\"services.s{i}.{kind}_probe\", None)),");
        }
    }
    // Checks are requests too: without an end of them nothing ever rests.
    for i in (0..balanced.len()).filter(|i| balanced[*i]) {
        let _ = writeln!(all, "    At(\"50s\", Set(\"balancers.lb{i}.health_check\", None)),");
    }
    all
}

/// Faults of the network and of dependencies.
fn network(dice: &mut Dice, shape: &Shape, balanced: &[bool], topology: &str) -> String {
    let mut all = String::new();
    // Who only consumes a queue is called by nobody.
    let calls = topology.replace("Consumer(endpoint: \"", "");
    let is_called = |name: &str| calls.contains(&format!("\"{name}/"));
    let mut sides: Vec<(String, &str)> = Vec::new();
    for (i, is_balanced) in balanced.iter().enumerate() {
        if *is_balanced {
            sides.push((format!("from: \"lb{i}\", to: \"s{i}\""), "instances: Number(1), "));
            sides.push((format!("from: \"s{i}\", to: \"lb{i}\""), "instances: Share(0.5), "));
        }
        let name = if *is_balanced { format!("lb{i}") } else { format!("s{i}") };
        if is_called(&name) {
            sides.push((format!("to: \"{name}\""), ""));
        }
    }
    let others = ["db", "ext", "r"].into_iter().filter(|name| is_called(name));
    sides.extend(others.map(|name| (format!("to: \"{name}\""), "")));
    for i in 0..dice.from(0, 3) {
        let at = dice.from(1500, 16_000);
        let lasts = dice.from(100, (QUIET_S * 1000 - at).min(8000));
        let (sides, some) = &sides[dice.from(0, sides.len() as u64 - 1) as usize];
        let target = target(dice, shape);
        let ways = dice.pick(&["", "ways: OneWay, "]);
        let which = if dice.chance(0.5) { *some } else { "" };
        let end = format!("lasts: \"{lasts}ms\", name: \"n{i}\"");
        let action = match dice.from(0, 8) {
            0..=2 => format!("Partition({sides}, {ways}{which}{end})"),
            3 => format!(
                "Latency({sides}, {ways}{which}latency: {}, jitter: \"5ms\", {end})",
                dice.dist(1, 500)
            ),
            4 => format!("Loss({sides}, {ways}{which}ratio: \"{}%\", {end})", dice.from(1, 60)),
            5 => format!("Resets({sides}, {which}ratio: \"{}%\", {end})", dice.from(1, 100)),
            6 => format!(
                "Throttling(target: \"{target}\", rate: \"{}/s\", retry_after: \"1s\", {end})",
                dice.from(1, 20)
            ),
            7 => format!("WrongAnswers(target: \"{target}\", ratio: \"{}%\", {end})", dice.from(1, 100)),
            _ => format!("SlowClients(target: \"c0\", reads: {}, ratio: \"50%\", {end})", dice.dist(1, 2000)),
        };
        let _ = writeln!(all, "    At(\"{at}ms\", {action}),");
    }
    all
}

fn set(dice: &mut Dice, shape: &Shape, balanced: &[bool], checked: &[bool]) -> String {
    let i = dice.from(0, shape.services - 1) as usize;
    match dice.from(0, 11) {
        0..=2 => format!("Set(\"services.s{i}.replicas\", {})", dice.from(1, 5)),
        3 => format!("Set(\"services.s{i}.workers\", {})", dice.from(1, 8)),
        4 => {
            // What has been taken away has no cores to be set: the first service loses its limit, others change it.
            let cores = dice.pick(&["cpu.cores\", 1", "cpu.cores\", 3"]);
            let change = if i == 0 { "cpu\", None" } else { cores };
            format!("Set(\"services.s{i}.{change})")
        }
        5 => format!("Set(\"services.s{i}.request_timeout\", {})", dice.ms(5, 500)),
        6 if balanced[i] => {
            let check = if checked[i] && dice.chance(0.5) { "None".into() } else { health_check(dice) };
            format!("Set(\"balancers.lb{i}.health_check\", {check})")
        }
        7 if balanced[i] => format!(
            "Set(\"balancers.lb{i}.policy\", {})",
            dice.pick(&["RoundRobin", "LeastOutstanding", "Random"])
        ),
        8 if shape.policies > 0 => format!("Set(\"policies.p0\", [{}])", stack(dice, shape)),
        9 => {
            let arrivals = match dice.from(0, 3) {
                0 => format!("Poisson(\"{}/s\")", dice.from(1, 60)),
                1 => format!("Users(count: {}, think: {})", dice.from(1, 30), dice.dist(100, 1000)),
                2 => format!(
                    "Mmpp([MmppState(\"{}/s\", \"1s\"), MmppState(\"1/s\", \"1s\")])",
                    dice.from(1, 60)
                ),
                _ => format!("Regular(\"{}/s\")", dice.from(1, 60)),
            };
            format!("Set(\"clients.c0.arrivals\", {arrivals})")
        }
        10 => format!(
            "Set(\"services.s{i}.memory\", {})",
            dice.pick(&["None", "Memory(limit: \"30MiB\", base: \"2MiB\", per_request: \"512KiB\")"])
        ),
        _ => format!("Set(\"clients.c0.timeout\", {})", dice.ms(10, 800)),
    }
}

/// A whole experiment with its topology: what a case is played from, and what is printed of one that fails.
fn text_of(case: &Case) -> String {
    format!("Experiment(\n    topology: {},\n    {}\n)", case.topology.trim_end(), case.experiment)
}

fn play(text: &str, seconds: Option<u64>) -> Result<Run, String> {
    let files = Files::new("", Some(text));
    let changes = Changes { duration: seconds.map(SimDuration::from_secs), ..Changes::default() };
    Ok(run_of(files.try_plan(&changes)?, 0))
}

/// What must hold of every run.
fn examine(run: &Run) -> Result<(), String> {
    for tally in &run.played.summary.tallies {
        if !tally.is_conserved() || tally.in_flight != 0 {
            return Err(format!("requests are missing: {tally:?}"));
        }
    }
    let rest = run.played.summary.rest;
    if rest != Rest::default() {
        return Err(format!("something is left: {rest:?}"));
    }
    for queue in &run.played.summary.queues {
        if !queue.is_conserved() || queue.in_flight != 0 {
            return Err(format!("messages are missing: {queue:?}"));
        }
    }
    let leaks = run.plan.variants[0].faults.iter().any(|fault| fault.kind == "ConnectionLeak");
    let metrics = &run.plan.variants[0].model.catalog.metrics;
    let last: Vec<f64> = run
        .played
        .record
        .rows
        .rchunks(run.plan.variants[0].recorded.columns.len())
        .next()
        .unwrap_or_default()
        .to_vec();
    for (metric, value) in metrics.iter().zip(&last) {
        let idle = ["in_flight", "queue", "busy", "cpu", "in_use", "waiting"];
        // What clients of a proxy keep between calls stays lent.
        let is_level = matches!(metric.source, Source::Level(..)) && !metric.path.ends_with(".pooler.in_use");
        // Nor what was lost for good.
        let is_lost = leaks && (metric.path.ends_with(".in_use") || metric.path.ends_with(".waiting"));
        if is_level
            && !is_lost
            && idle.iter().any(|name| metric.path.ends_with(&format!(".{name}")))
            && *value > 0.02
        {
            return Err(format!("{} is {value} at the end", metric.path));
        }
    }
    let is_negative = |v: &&f64| **v < 0.0 || v.is_infinite();
    if let Some(value) = run.played.record.rows.iter().find(is_negative) {
        return Err(format!("a metric is {value}"));
    }
    Ok(())
}

/// What is wrong with a case, if anything is: how it fails, in general and in detail.
#[derive(Debug)]
struct Failure {
    /// What stays the same while the case is made smaller.
    kind: String,
    what: String,
}

fn played(text: &str, mut end: Option<u64>) -> Result<(), Failure> {
    let failure = |kind: &str, what: String| Failure { kind: kind.to_string(), what };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let start = |end| play(text, end).map_err(|what| failure("not a case", what));
        let mut run = start(end)?;
        // A backlog takes its time, a leak stays.
        while let Some(seconds) = end
            && examine(&run).is_err()
            && seconds < 100 * END_S
        {
            end = Some(seconds * 10);
            run = start(end)?;
        }
        examine(&run).map_err(|what| {
            let kind = what.split(':').next().unwrap_or_default().to_string();
            Failure { kind, what }
        })?;
        let again = start(end)?;
        let same = run.played.summary == again.played.summary
            && run.played.record.rows.len() == again.played.record.rows.len()
            && run
                .played
                .record
                .rows
                .iter()
                .zip(&again.played.record.rows)
                .all(|(a, b)| a.to_bits() == b.to_bits());
        if !same {
            return Err(failure("another run", "the same run again is another".into()));
        }
        Ok(())
    }));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text =
            text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string())).unwrap_or_default();
        let kind: String = text.chars().take_while(|c| !c.is_ascii_digit()).take(60).collect();
        Err(Failure { kind: format!("a panic, {kind}"), what: text })
    })
}

/// Plays a case twice; `Err` says what is wrong, makes it small, and says how to play it again.
fn check(number: u64) -> Result<(), String> {
    let text = text_of(&case(number));
    let Err(failure) = played(&text, Some(END_S)) else { return Ok(()) };
    let again = format!("BROWNOUT_SWARM_FIRST={number} BROWNOUT_SWARM=1 cargo test --test all swarm");
    if failure.kind == "not a case" {
        return Err(format!("case {number}: {}\n{text}\n{again}", failure.what));
    }
    if std::env::var_os("BROWNOUT_SWARM_WHOLE").is_some() {
        return Err(format!("case {number}: {}\n{text}\n{again}", failure.what));
    }
    // What is left shows only once the load is over and a backlog has had its time; all else shows when it happens.
    let rests = failure.kind.contains("left") || failure.kind.contains("at the end");
    let end = rests.then_some(END_S);
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let fails = |text: &str| played(text, end).is_err_and(|smaller| smaller.kind == failure.kind);
    let (small, tries) = shrink::shrink(&text, !rests, fails);
    std::panic::set_hook(silent);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("swarm-{number}.ron"));
    std::fs::write(&file, &small).unwrap_or_default();
    Err(format!(
        "case {number}: {}\n\nmade small in {tries} tries, and written to {file}:\n{small}\n\n\
         the whole case again: {again}\nthe small one again: BROWNOUT_SWARM_FILE={file} cargo test --test all swarm",
        failure.what,
        file = file.display()
    ))
}

/// A case that was made small, once more: `BROWNOUT_SWARM_FILE=path`.
#[test]
fn a_case_that_was_kept_holds() {
    let Ok(file) = std::env::var("BROWNOUT_SWARM_FILE") else { return };
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    if let Err(failure) = played(&text, Some(END_S)) {
        panic!("{file}: {}", failure.what);
    }
}

#[test]
fn a_failing_case_becomes_small() {
    // What "fails" is that there is a crash of `b` and somebody who asks.
    let text = "Experiment(topology: Topology(clients: { \"u\": Clients(rate: 1), \"v\": Clients(rate: 2) }, \
                services: { \"a\": S(), \"b\": S(x: [1, 2, 3]) }), duration: \"80s\", \
                timeline: [At(\"1s\", Crash(target: \"b\")), At(\"2s\", Crash(target: \"a\"))])";
    let fails = |text: &str| text.contains("Crash(target: \"b\")") && text.contains("Clients(");
    let (small, tries) = shrink::shrink(text, true, fails);
    assert_eq!(
        small,
        "Experiment(topology: Topology(clients: {\"u\": Clients()}), duration: \"5s\", \
         timeline: [At(\"1s\", Crash(target: \"b\"))])"
    );
    assert!(tries < 100, "{tries}");
}

/// Every fault of the table is drawn by some case.
#[test]
fn every_fault_of_the_table_is_drawn() {
    let all: String = (0..600).map(|number| case(number).experiment).collect();
    for (name, lasts, _) in faults::TABLE {
        let written = match *name {
            "Queues" => "Errors(target: \"q0\"",
            "Brokers" => "Hang(target: \"q0\"",
            name => name,
        };
        assert!(all.contains(written), "{written} is never drawn");
        assert!(*lasts != faults::Lasts::Ramp || all.contains("ramp: "));
    }
}

#[test]
fn random_systems_break_nothing_and_leave_nothing_behind() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok()).unwrap_or(default)
    };
    let first = number("BROWNOUT_SWARM_FIRST", 0);
    let failures: Vec<String> =
        (first..first + number("BROWNOUT_SWARM", 1000)).filter_map(|n| check(n).err()).take(3).collect();
    assert!(
        failures.is_empty(),
        "{} cases failed, the first:\n{}",
        failures.len(),
        failures.join("\n----\n")
    );
}
