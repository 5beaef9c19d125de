//! What a process runs in, in a whole system: quotas, pauses, one thread, warming up, credits, leaks.

use crate::support::{Run, close, experiment};

fn api(clients: &str, fields: &str, endpoints: &str) -> String {
    format!(
        "Topology(
            name: \"t\",
            clients: {{ {clients} }},
            services: {{ \"api\": Service({fields} endpoints: {{ {endpoints} }}) }},
        )"
    )
}

const ONE: &str = "\"users\": Clients(arrivals: Regular(\"1/s\"), requests: { \"api/show\": 1 })";

fn plays(clients: &str, fields: &str, endpoints: &str, seconds: u32) -> Run {
    experiment(&api(clients, fields, endpoints), &format!("duration: \"{seconds}s\""))
}

#[test]
fn fifty_milliseconds_at_half_a_core_run_and_stall_only_if_the_quota_is_used_up() {
    let cpu = "cpu: Cpu(cores: 4, limit: 0.5, quota: Cfs()),";
    // One request of 50 ms uses up 50 ms of quota: within one period, or over two with no stall at all.
    let run = plays(ONE, cpu, "\"show\": [ Work(\"50ms\") ]", 20);
    close("one", run.value("clients.users.latency.max"), 0.050, 0.01);
    // Without the quota the same limit is half a core.
    let run = plays(ONE, "cpu: Cpu(cores: 4, limit: 0.5),", "\"show\": [ Work(\"50ms\") ]", 20);
    close("fluid", run.value("clients.users.latency.max"), 0.100, 0.01);
    // 500 ms in ten periods, of which the first may be a rest: 50 ms of each, the last one without the stall.
    let run = plays(ONE, cpu, "\"show\": [ Work(\"500ms\") ]", 20);
    let (least, most) = (run.value("clients.users.latency.p50"), run.value("clients.users.latency.max"));
    assert!(least > 0.90 && most <= 1.01, "{least} to {most}");
    close("it stands still half of the time", run.value("services.api.throttled"), 0.47, 0.1);
}

#[test]
fn eight_threads_stand_still_for_most_of_the_period() {
    let clients =
        "\"users\": Clients(arrivals: Batches(rate: \"0.2/s\", size: 8), requests: { \"api/show\": 1 })";
    let cpu = "cpu: Cpu(cores: 8, limit: 1, quota: Cfs()),";
    let run = plays(clients, cpu, "\"show\": [ Work(\"25ms\") ]", 200);
    // 200 ms of CPU: 12.5 ms of wall time in each of two periods, or of three if the batch comes late in one.
    let most = run.value("clients.users.latency.max");
    assert!((0.1..=0.2126).contains(&most), "{most}");
    close("CPU in use", run.value("services.api.cpu.max"), 8.0, 1e-9);
    assert!(run.value("services.api.cpu") < 1.0);
}

#[test]
fn liveness_kills_pods_that_are_throttled() {
    let clients = "\"users\": Clients(arrivals: Regular(\"10/s\"), requests: { \"api/show\": 1 })";
    let fields = |cpu: &str| {
        format!("cpu: Cpu(cores: 8{cpu}), workers: 400, liveness_probe: Probe(endpoint: \"live\"),")
    };
    let endpoints = "\"show\": [ Work(\"300ms\") ], \"live\": [ Work(\"5ms\") ]";
    let free = plays(clients, &fields(""), endpoints, 120);
    assert_eq!(free.value("services.api.probe_kills"), 0.0);
    let run = plays(clients, &fields(", limit: 1, quota: Cfs()"), endpoints, 120);
    assert!(run.value("services.api.probe_kills") >= 1.0, "healthy, but slow");
}

#[test]
fn a_pause_is_added_to_whatever_is_under_way_and_probes_miss_it() {
    let gc = "memory: Memory(limit: \"4GB\", base: \"200MB\"), readiness_probe: Probe(endpoint: \"show\", period: \"1s\",
        failure_threshold: 1), runtime: Runtime(gc: Gc(heap: \"1GB\", young: \"500MB\", per_request: \"10MB\",
        collector: StopTheWorld(pause: \"2500ms\"))),";
    let clients = "\"users\": Clients(arrivals: Regular(\"10/s\"), requests: { \"api/show\": 1 })";
    let run = plays(clients, gc, "\"show\": [ Wait(\"20ms\") ]", 60);
    let most = run.value("clients.users.latency.max");
    assert!((2.4..=2.53).contains(&most), "{most}");
    assert!(!run.times_of("unready").is_empty(), "a probe met a pause of more than its timeout");
    assert!(run.value("services.api.gc.pause.max") > 2.4);
    assert_eq!(run.value("services.api.gc.full"), 0.0);
}

#[test]
fn a_heap_that_fills_up_is_a_death_spiral() {
    // 80 requests of 5 MB each are under way: 600 MB live, 400 are free, and the young generation fits. With ten times
    // as long answers it does not fit any more, and each collection takes most of a second.
    let gc = "memory: Memory(limit: \"8GB\", base: \"200MB\", per_request: \"5MB\"),
        runtime: Runtime(gc: Gc(heap: \"1GB\", young: \"300MB\", per_request: \"3MB\")),";
    let clients = "\"users\": Clients(arrivals: Regular(\"80/s\"), requests: { \"api/show\": 1 })";
    let topology = api(clients, gc, "\"show\": [ Call(\"dep/x\") ]")
        .replace("services:", "externals: { \"dep\": External(latency: \"500ms\") }, services:");
    let fields = "duration: \"120s\", timeline: [
        At(\"40s\", Slow(target: \"dep\", factor: 4, lasts: \"20s\", name: \"slow\")) ]";
    let run = experiment(&topology, fields);
    let paused = run.series("services.api.gc.paused");
    let share = |from: usize, to: usize| paused[from..to].iter().sum::<f64>() / (to - from) as f64;
    close("young collections", share(10, 40), 0.16, 0.15);
    assert!(share(50, 60) > 0.8, "{}", share(50, 60));
    assert!(run.value("services.api.gc.full") > 10.0);
    assert!(share(100, 120) > 0.8, "it does not recover by itself: {}", share(100, 120));
}

#[test]
fn a_blocking_callback_delays_timers_answers_and_probes() {
    let clients = "\"users\": Clients(arrivals: Regular(\"10/s\"), requests: { \"api/show\": 1 }),
        \"reports\": Clients(arrivals: Regular(\"0.1/s\"), requests: { \"api/report\": 1 })";
    let fields =
        "cpu: Cpu(cores: 4), runtime: Runtime(event_loop: true), readiness_probe: Probe(endpoint: \"live\",
        failure_threshold: 1, period: \"1s\"),";
    let endpoints = "\"show\": [ Wait(\"10ms\") ], \"live\": [], \"report\": [ Work(\"2s\") ]";
    let run = plays(clients, fields, endpoints, 60);
    // Who came just before the block, or just after its begin, waits for its end.
    let most = run.value("clients.users.latency.max");
    assert!((1.9..=2.02).contains(&most), "{most}");
    assert!(!run.times_of("unready").is_empty());
    close("others", run.value("clients.users.latency.p50"), 0.010, 0.05);
    close("one thread", run.value("services.api.cpu.max"), 1.0, 1e-9);
}

#[test]
fn an_event_loop_computes_one_thing_after_the_other() {
    let clients =
        "\"users\": Clients(arrivals: Batches(rate: \"0.1/s\", size: 4), requests: { \"api/show\": 1 })";
    let run = plays(
        clients,
        "cpu: Cpu(cores: 4), runtime: Runtime(event_loop: true),",
        "\"show\": [ Work(\"10ms\"), Wait(\"1ms\"), Work(\"10ms\") ]",
        100,
    );
    // Four first halves; the second halves follow in the same order, since their waits are over meanwhile.
    close("the last", run.value("clients.users.latency.max"), 0.080, 0.01);
    close("the first", run.meters().value(min_of(&run)).unwrap_or(0.0), 0.050, 0.01);
}

/// The shortest latency.
fn min_of(run: &Run) -> brownout::metrics::Source {
    let catalog = &run.plan.variants[0].model.catalog;
    match catalog.find("clients.users.latency.max").map(|m| m.source) {
        Some(brownout::metrics::Source::TimerMax(timer)) => brownout::metrics::Source::TimerMin(timer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn code_is_cold_after_a_restart_only() {
    let clients = "\"users\": Clients(arrivals: Regular(\"10/s\"), requests: { \"api/show\": 1 })";
    let fields = "cpu: Cpu(cores: 1), runtime: Runtime(warm_up: WarmUp(factor: 5, requests: 100)),";
    let topology = api(clients, fields, "\"show\": [ Work(\"10ms\") ]");
    let run = experiment(&topology, "duration: \"60s\", timeline: [ At(\"20s\", Crash(target: \"api\")) ]");
    let series = run.series("clients.users.latency.mean");
    close("warm", series[10], 0.010, 1e-6);
    // The first ten of a hundred: 5 - 4 · 0.01 to 5 - 4 · 0.10 times as long.
    close("cold", series[20], 0.010 * (5.0 - 4.0 * 0.055), 0.01);
    close("warm again", series[40], 0.010, 1e-6);
}

#[test]
fn standard_is_capped_at_the_baseline_and_unlimited_is_billed() {
    let clients =
        "\"users\": Clients(arrivals: Users(count: 2, think: \"0s\"), requests: { \"api/show\": 1 })";
    let fields = |mode: &str| {
        format!(
            "cpu: Cpu(cores: 2), runtime: Runtime(credits: CpuCredits(instance: T3Micro, mode: {mode}, initial: 3)),"
        )
    };
    // Two cores, of which 1.8 are not earned: 3 credits last 100 s.
    let run = plays(clients, &fields("Standard"), "\"show\": [ Work(\"100ms\") ]", 200);
    let cpu = run.series("services.api.cpu");
    close("burst", cpu[90], 2.0, 1e-6);
    close("baseline", cpu[150], 0.2, 1e-6);
    close("capped", run.value("services.api.capped") * 200.0, 100.0, 0.001);
    let run = plays(clients, &fields("Unlimited"), "\"show\": [ Work(\"100ms\") ]", 200);
    close("no cap", run.series("services.api.cpu")[150], 2.0, 1e-6);
    // 100 s of 1.8 cores are 3 credits.
    close("billed", run.value("services.api.surplus_millicredits"), 3000.0, 0.01);
}

#[test]
fn credits_come_back_while_the_cpu_idles() {
    let clients = "\"users\": Clients(arrivals: Poisson(\"10/s\"), requests: { \"api/show\": 1 },
        profile: [ Steps([ Point(\"200s\", 0), Point(\"800s\", 1) ]) ])";
    let fields = "workers: 20, queue: Queue(capacity: 5), cpu: Cpu(cores: 2),
        runtime: Runtime(credits: CpuCredits(instance: T3Micro, mode: Standard, initial: 1)),";
    let run = plays(clients, fields, "\"show\": [ Work(\"100ms\") ]", 1000);
    let cpu = run.series("services.api.cpu");
    let mean = |from: usize, to: usize| cpu[from..to].iter().sum::<f64>() / (to - from) as f64;
    close("capped", mean(150, 199), 0.2, 0.01);
    // Ten minutes of idling earn two credits: 120 core-seconds, enough for a core until the end of 150 s.
    assert!(mean(820, 900) > 0.8, "{}", mean(820, 900));
}

#[test]
fn a_leak_ends_with_its_process() {
    let clients = "\"users\": Clients(arrivals: Regular(\"10/s\"), requests: { \"api/show\": 1 })";
    let fields = "memory: Memory(limit: \"100MiB\", base: \"50MiB\", leak_per_request: \"1MiB\"), restart_delay: \"1s\",";
    let run = plays(clients, fields, "\"show\": [ Wait(\"10ms\") ]", 60);
    // 50 requests fit, and the next one is too much: every 6 s.
    let times = run.times_of("out_of_memory");
    close("first", times[0], 5.05, 1e-6);
    close("second", times[1] - times[0], 6.1, 0.02);
    assert_eq!(run.value("services.api.leaked.max"), 51.0 * 1024.0 * 1024.0);
    assert_eq!(run.played.summary.rest.memory, 0);
}

#[test]
fn work_is_done_in_time_when_credits_come_back_in_its_midst() {
    // Capped at a fifth of a core; then the work of one of two requests ends, and half a second later all of it.
    let clients = "\"users\": Clients(arrivals: Poisson(\"3/s\"), requests: { \"api/show\": 1 })";
    let fields = "cpu: Cpu(cores: 2, discipline: Fifo),
        runtime: Runtime(credits: CpuCredits(instance: Earns(30), mode: Standard, initial: 0)),";
    let run = plays(clients, fields, "\"show\": [ Work(\"20ms\"), Work(Exponential(\"100ms\")) ]", 300);
    assert!(run.value("services.api.capped") > 0.0);
    close("what is asked for is done", run.value("services.api.cpu"), 0.36, 0.15);
}

#[test]
fn a_function_has_an_environment_for_each_request_and_gives_all_of_them_back() {
    let lambda = "lambda: Lambda(init: \"1s\", concurrency: 20, scaling_batch: 10, idle_timeout: \"5s\"),";
    let wait = "\"show\": [ Wait(\"3s\") ]";
    // One a second, each there for three seconds and a second of initialising: the fifth finds the first's.
    let run = plays(ONE, lambda, wait, 40);
    close("environments", run.value("services.api.environments.max"), 4.0, 1e-9);
    close("the slowest is the first", run.value("clients.users.latency.max"), 4.0, 0.01);
    close("four are cold", run.value("services.api.cold_starts") * 40.0, 4.0, 0.01);
    // A batch of thirty: ten new environments, and the others are throttled.
    let batch =
        "\"users\": Clients(arrivals: Batches(rate: \"0.02/s\", size: 30), requests: { \"api/show\": 1 })";
    let run = plays(batch, lambda, wait, 400);
    let (sent, throttled) = (run.value("services.api.rate"), run.value("services.api.throttled"));
    close("two thirds are turned away", throttled / sent, 2.0 / 3.0, 0.02);
}

#[test]
fn a_function_that_hangs_or_is_killed_keeps_no_environment() {
    let clients = "\"users\": Clients(arrivals: Poisson(\"20/s\"), requests: { \"api/show\": 1 }, \
         timeout: \"1s\", profile: [ Steps([Point(\"40s\", 0)]) ])";
    let lambda = "lambda: Lambda(init: \"200ms\", concurrency: 30), restart_delay: \"1s\",";
    let run = experiment(
        &api(clients, lambda, "\"show\": [ Wait(Exponential(\"300ms\")) ]"),
        "duration: \"100s\", timeline: [
            At(\"10s\", Hang(target: \"api\", lasts: \"3s\")),
            At(\"20s\", Crash(target: \"api\", name: \"crash\")),
            At(\"30s\", Hang(target: \"api\", lasts: \"2s\", name: \"again\")),
        ]",
    );
    assert_eq!(run.played.summary.rest, brownout::sim::Rest::default());
    assert!(run.value("services.api.environments.max") <= 30.0);
    assert!(run.value("services.api.throttled") > 0.0, "who waited for the hung one comes all at once");
}
