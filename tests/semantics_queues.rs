//! Batches, patience, feedback, priorities and slowdown: by hand where every moment can be counted, against queueing
//! theory where it is known. One run each, so tolerances are wide: `queueing.rs` is the place for precision.

use crate::support;

use support::{Files, Run, close, experiment, run_of, whole_experiment};

const TEN: &str = "duration: \"10s\"";

/// Plays requests of clients `u` (at `times`) and `v` (at `more`), whose files are `times.csv` and `more.csv`.
#[track_caller]
fn at_two(times: &[f64], more: &[f64], topology: &str, fields: &str) -> Run {
    let files = Files::new(&format!("Topology(name: \"t\", {topology})"), Some(&whole_experiment(fields)));
    let lines = |times: &[f64]| times.iter().map(|t| format!("{t}\n")).collect::<String>();
    files.write("times.csv", &lines(times));
    files.write("more.csv", &lines(more));
    run_of(files.plan(), 0)
}

#[track_caller]
fn at(times: &[f64], topology: &str) -> Run {
    at_two(times, &[1e6], topology, TEN)
}

/// Clients `u` that ask `s/e` at the moments of `times.csv`.
const U: &str = "clients: { \"u\": Clients(arrivals: Times(\"times.csv\"), requests: { \"s/e\": 1 }) }";
/// These, and clients `v` of priority 5 at the moments of `more.csv`.
const U_AND_V: &str = "clients: { \"u\": Clients(arrivals: Times(\"times.csv\"), requests: { \"s/e\": 1 }), \
     \"v\": Clients(arrivals: Times(\"more.csv\"), requests: { \"s/e\": 1 }, priority: 5) }";

/// A service `s` with one endpoint.
fn s(settings: &str, program: &str) -> String {
    format!("services: {{ \"s\": Service({settings} endpoints: {{ \"e\": [{program}] }}) }}")
}

/// Clients `u` of this kind that ask a service `s` with one endpoint.
fn asked(arrivals: &str, settings: &str, program: &str) -> String {
    format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: {arrivals}, requests: {{ \"s/e\": 1 }}) }}, {})",
        s(settings, program)
    )
}

fn ended(run: &Run, outcome: &str) -> f64 {
    run.total(&format!("clients.u.outcomes.{outcome}"))
}

#[track_caller]
fn mean_is(run: &Run, expected: f64) {
    close("mean latency", run.value("clients.u.latency.mean"), expected, 1e-6);
}

#[track_caller]
fn nothing_is_left(run: &Run) {
    assert_eq!(run.played.summary.rest, Default::default());
}

// ---- batches ----

#[test]
fn all_requests_of_a_batch_come_at_once() {
    // One worker, 1 ms each: the third of a batch waits for two. Batches are seconds apart.
    let t = asked("Batches(rate: \"0.2/s\", size: 3)", "workers: 1,", "Wait(\"1ms\")");
    let run = experiment(&t, "duration: \"100s\"");
    let sent = run.total("clients.u.rate");
    assert!(sent >= 30.0 && sent % 3.0 == 0.0, "{sent}");
    mean_is(&run, 0.002);
    close("the most at once", run.value("clients.u.in_flight.max"), 3.0, 1e-9);
}

#[test]
fn sizes_of_batches_are_drawn_from_what_is_written() {
    let t = |size: &str| asked(&format!("Batches(rate: \"20/s\", size: {size})"), "", "Wait(\"1ms\")");
    let mean = |size: &str| experiment(&t(size), "duration: \"100s\"").total("clients.u.rate") / 2_000.0;
    // Two thousand batches, whose number strays by 2 %.
    for (size, expected) in [
        ("4", 4.0),
        ("Constant(4)", 4.0),
        ("Uniform(1, 7)", 4.0),
        ("Geometric(4)", 4.0),
        ("[(1, 3), (13, 1)]", 4.0),
    ] {
        close(size, mean(size), expected, 0.1);
    }
    // Too short a time for two batches to meet.
    let rare = t("[(1, 3), (13, 1)]").replace("20/s", "2/s").replace("1ms", "1us");
    let rare = experiment(&rare, "duration: \"20s\"");
    close("the most", rare.value("clients.u.in_flight.max"), 13.0, 1e-9);
    // The same draws: who changes sizes changes no moments.
    let events =
        |size| experiment(&t(size), TEN).series("clients.u.rate").iter().filter(|r| **r > 0.0).count();
    assert_eq!(events("1"), events("9"));
}

#[test]
fn batches_follow_profiles_spikes_and_settings() {
    let t = "Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Batches(\"10/s\", 2), requests: { \"x/q\": 1 }, \
             profile: [Steps([Point(\"100s\", 3), Point(\"200s\", 0)])]) }, externals: { \"x\": External(latency: \"1ms\") })";
    let run = experiment(t, "duration: \"300s\"");
    close("before", run.count("clients.u.rate", 0, 100), 2_000.0, 0.1);
    close("raised", run.count("clients.u.rate", 100, 200), 6_000.0, 0.06);
    assert_eq!(run.count("clients.u.rate", 201, 300), 0.0);
    let t = asked("Batches(rate: \"10/s\", size: 2)", "", "Wait(\"1ms\")");
    let timeline = "duration: \"300s\", timeline: [At(\"100s\", Spike(target: \"u\", factor: 4, lasts: \"100s\")), \
                    At(\"200s\", Set(\"clients.u.arrivals.size\", 6))]";
    let run = experiment(&t, timeline);
    close("spike", run.count("clients.u.rate", 100, 200), 8_000.0, 0.06);
    close("set", run.count("clients.u.rate", 200, 300), 6_000.0, 0.1);
}

#[test]
fn batches_on_one_worker_wait_as_theory_says() {
    // M^X/M/1: (1 + (E[X^2] / E[X] - 1) / 2) / (mu - lambda E[X]).
    let t = asked("Batches(rate: \"14/s\", size: 5)", "workers: 1,", "Wait(Exponential(\"10ms\"))");
    let run = experiment(&t, "warmup: \"60s\", duration: \"6000s\"");
    close("response", run.value("clients.u.latency.mean"), 0.1, 0.04);
}

// ---- patience ----

#[test]
fn patience_may_be_drawn_and_a_duration_is_enough() {
    // Taken at 1.0 and 2.0; the others give up at 2.7 and 2.8.
    for max_wait in ["\"1500ms\"", "Constant(\"1500ms\")", "Shifted(by: \"500ms\", of: \"1s\")"] {
        let queue = format!("workers: 1, queue: Queue(max_wait: {max_wait}),");
        let run = at(&[1.0, 1.1, 1.2, 1.3], &format!("{U}, {}", s(&queue, "Wait(\"1s\")")));
        assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (2.0, 2.0));
        mean_is(&run, (1.0 + 1.9 + 1.5 + 1.5) / 4.0);
        close("abandoned", run.total("services.s.abandoned"), 2.0, 1e-9);
        close("who got a worker", run.value("services.s.wait.mean"), (0.0 + 0.9) / 2.0, 1e-6);
        nothing_is_left(&run);
    }
}

#[test]
fn each_request_draws_its_own_patience() {
    // The worker is busy for 9 s: forty requests give up after 1 s or 2 s.
    let queue = "workers: 1, queue: Queue(max_wait: Empirical(samples: [\"1s\", \"2s\"])),";
    let times: Vec<f64> = (0..41).map(|i| 0.5 + 0.01 * f64::from(i)).collect();
    let run = at(&times, &format!("{U}, {}", s(queue, "Wait(\"9s\")")));
    let gave_up = |from, to| run.count("services.s.abandoned", from, to);
    let (early, late) = (gave_up(1, 2), gave_up(2, 3));
    assert_eq!(early + late, 40.0);
    assert!(early > 8.0 && late > 8.0, "{early} and {late}");
}

#[test]
fn a_request_turned_away_at_the_door_has_not_abandoned() {
    let queue = "workers: 1, queue: Queue(capacity: 1, max_wait: \"500ms\"),";
    let run = at(&[1.0, 1.1, 1.2], &format!("{U}, {}", s(queue, "Wait(\"1s\")")));
    assert_eq!(ended(&run, "rejected"), 2.0);
    close("abandoned", run.total("services.s.abandoned"), 1.0, 1e-9);
}

#[test]
fn a_setting_changes_the_patience_of_those_who_come_after() {
    let t = format!("{U}, {}", s("workers: 1, queue: Queue(max_wait: \"3s\"),", "Wait(\"9s\")"));
    let set = "duration: \"10s\", timeline: [At(\"2s\", Set(\"services.s.queue.max_wait\", Shifted(by: \"1s\", of: \"1s\")))]";
    let run = at_two(&[0.5, 1.05, 2.25], &[1e6], &t, set);
    // Gave up at 4.05 and 4.25.
    mean_is(&run, (9.0 + 3.0 + 2.0) / 3.0);
    assert_eq!(run.count("services.s.abandoned", 4, 5), 2.0);
}

#[test]
fn impatient_callers_leave_as_erlang_a_says() {
    // M/M/n + M: 95/s, 10 workers of 100 ms, patience of 200 ms (Palm 1957; Garnett, Mandelbaum and Reiman 2002).
    let settings = "workers: 10, queue: Queue(max_wait: Exponential(\"200ms\")),";
    let t = asked("Poisson(\"95/s\")", settings, "Wait(Exponential(\"100ms\"))");
    let run = experiment(&t, "warmup: \"20s\", duration: \"5000s\"");
    close("abandoned", run.value("clients.u.error_ratio"), 0.084452, 0.03);
    close("abandoned per second", run.value("services.s.abandoned"), 95.0 * 0.084452, 0.03);
    close("wait of the served", run.value("services.s.wait.mean"), 0.016027, 0.03);
}

// ---- feedback ----

#[test]
fn rounds_go_on_by_chance_and_each_is_drawn_anew() {
    let x = "externals: { \"x\": External(latency: \"1ms\") }";
    let times: Vec<f64> = (0..2_000).map(|i| 0.001 * f64::from(i)).collect();
    let rounds = |chance: &str| {
        let program =
            format!("Wait(\"1ms\"), While(chance: {chance}, steps: [Call(\"x/q\")]), Wait(\"1ms\")");
        let run = at(&times, &format!("{U}, {}, {x}", s("", &program)));
        nothing_is_left(&run);
        let rounds = run.total("externals.x.rate") / 2_000.0;
        mean_is(&run, 0.002 + 0.001 * rounds);
        rounds
    };
    assert_eq!(rounds("0"), 0.0);
    close("a half", rounds("0.5"), 1.0, 0.1);
    close("three quarters", rounds("\"75%\""), 3.0, 0.1);
}

#[test]
fn a_round_that_fails_fails_the_request_and_an_answer_in_part_degrades_it() {
    let times: Vec<f64> = (0..1_000).map(|i| 0.005 * f64::from(i)).collect();
    let run = at(&times, &format!("{U}, {}", s("", "While(0.5, [Wait(\"1ms\"), Fail()])")));
    close("failed", ended(&run, "error"), 500.0, 0.1);
    mean_is(&run, 0.001 * ended(&run, "error") / 1_000.0);
    let run = at(&times, &format!("{U}, {}", s("", "While(0.5, [Optional([Fail(0.5)])])")));
    // One round or more with a part missing: 0.5 * 0.5 / (1 - 0.5 * 0.5) = 1/3.
    close("degraded", ended(&run, "degraded"), 1_000.0 / 3.0, 0.12);
    nothing_is_left(&run);
}

#[test]
fn rounds_end_with_their_request() {
    let t = |settings: &str| {
        format!("{U}, {}", s(settings, "While(0.999, [Work(\"30ms\"), While(0.9, [Work(\"1ms\")])])"))
    };
    let run = at(&[1.0], &t("cpu: Cpu(cores: 1), request_timeout: \"500ms\","));
    assert_eq!(ended(&run, "timeout"), 1.0);
    close("cpu seconds", run.series("services.s.cpu").iter().sum(), 0.5, 1e-6);
    nothing_is_left(&run);
    let crash = "duration: \"10s\", timeline: [At(\"1200ms\", Crash(target: \"s\"))]";
    let run = at_two(&[1.0], &[1e6], &t("cpu: Cpu(cores: 1), restart_delay: \"100ms\","), crash);
    assert_eq!(ended(&run, "error"), 1.0);
    nothing_is_left(&run);
}

#[test]
fn feedback_with_a_worker_held_is_a_longer_exponential() {
    // A geometric number of exponential stages is exponential: M/M/1 with a mean of 10 ms / 0.85.
    let program = "Wait(Exponential(\"10ms\")), While(0.15, [Wait(Exponential(\"10ms\"))])";
    let run = experiment(
        &asked("Poisson(\"60/s\")", "workers: 1,", program),
        "warmup: \"20s\", duration: \"4000s\"",
    );
    close("response", run.value("clients.u.latency.mean"), 0.04, 0.04);
}

// ---- priorities on the CPU ----

#[test]
fn the_urgent_take_the_core_and_the_others_go_on_where_they_were() {
    let cpu = "cpu: Cpu(cores: 1, discipline: Priority),";
    let run = at_two(&[1.0, 1.5], &[1.25, 5.0], &format!("{U_AND_V}, {}", s(cpu, "Work(\"1s\")")), TEN);
    // The urgent run 1.25 to 2.25 and 5 to 6; the others 1 to 1.25 and 2.25 to 3, and 3 to 4.
    close("urgent", run.value("clients.v.latency.mean"), 1.0, 1e-6);
    mean_is(&run, (2.0 + 2.5) / 2.0);
    close("cpu", run.series("services.s.cpu").iter().sum(), 4.0, 1e-6);
    nothing_is_left(&run);
}

#[test]
fn a_query_has_the_priority_of_the_request() {
    let db =
        "databases: { \"d\": Database(cores: 1, discipline: Priority, queries: { \"q\": [Work(\"1s\")] }) }";
    let program = "Optional([Call(\"d/q\")])";
    let run = at_two(&[1.0], &[1.5], &format!("{U_AND_V}, {}, {db}", s("", program)), TEN);
    close("urgent", run.value("clients.v.latency.mean"), 1.0, 1e-6);
    mean_is(&run, 2.0);
}

#[test]
fn interrupted_work_can_be_called_off() {
    let settings = "request_timeout: \"1s\", cpu: Cpu(cores: 1, discipline: Priority),";
    let run = at_two(&[1.0], &[1.2], &format!("{U_AND_V}, {}", s(settings, "Work(\"900ms\")")), TEN);
    assert_eq!(ended(&run, "timeout"), 1.0);
    close("urgent", run.value("clients.v.latency.mean"), 0.9, 1e-6);
    // 0.2 s until it was interrupted, and no more after the timeout at 2.0.
    close("cpu", run.series("services.s.cpu").iter().sum(), 1.1, 1e-6);
    nothing_is_left(&run);
}

#[test]
fn two_classes_wait_as_theory_says() {
    // M/M/1, preemptive resume: the urgent see only themselves, the others the busy periods of all.
    let clients = "clients: { \"u\": Clients(arrivals: Poisson(\"50/s\"), requests: { \"s/e\": 1 }), \
                   \"v\": Clients(arrivals: Poisson(\"30/s\"), requests: { \"s/e\": 1 }, priority: 1) }";
    let t = format!(
        "Topology(name: \"t\", {clients}, {})",
        s("cpu: Cpu(cores: 1, discipline: Priority),", "Work(Exponential(\"10ms\"))")
    );
    let run = experiment(&t, "warmup: \"60s\", duration: \"6000s\"");
    close("urgent", run.value("clients.v.latency.mean"), 0.0142857, 0.02);
    close("others", run.value("clients.u.latency.mean"), 0.0714286, 0.05);
}

// ---- slowdown ----

#[test]
fn slowdown_is_time_over_the_cpu_asked_for() {
    let slowdown = |times: &[f64], settings: &str, program: &str| {
        at(times, &format!("{U}, {}", s(settings, program))).value("services.s.slowdown.mean")
    };
    let one = "cpu: Cpu(cores: 1),";
    close("alone", slowdown(&[1.0], one, "Work(\"1s\")"), 1.0, 1e-6);
    close("shared", slowdown(&[1.0, 1.0], one, "Work(\"1s\")"), 2.0, 1e-6);
    close("waits", slowdown(&[1.0], one, "Work(\"500ms\"), Wait(\"1s\"), Work(\"500ms\")"), 2.0, 1e-6);
    close("in line", slowdown(&[1.0, 1.0], "workers: 1,", "Work(\"1s\")"), 1.5, 1e-6);
    // Work of all programs of a request counts, whoever does it.
    let branches = "Parallel(branches: [[Repeat(2, [Work(\"500ms\")])], [Work(\"1s\")]])";
    close("at once", slowdown(&[1.0], "cpu: Cpu(cores: 2),", branches), 0.5, 1e-6);
    close("one after the other", slowdown(&[1.0], one, branches), 1.0, 1e-6);
    // Without work there is none, nor if the request fails.
    assert!(slowdown(&[1.0], one, "Wait(\"1s\")").is_nan());
    assert!(slowdown(&[1.0], one, "Work(\"1s\"), Fail()").is_nan());
    assert!(slowdown(&[1.0], one, "Work(\"0s\"), Wait(\"1s\")").is_nan());
}

#[test]
fn a_slow_instance_shows_in_the_slowdown() {
    let slow = "duration: \"10s\", timeline: [At(\"0s\", Slow(target: \"s\", factor: 3, lasts: \"10s\"))]";
    let run = at_two(&[1.0], &[1e6], &format!("{U}, {}", s("cpu: Cpu(cores: 1),", "Work(\"1s\")")), slow);
    close("slowdown", run.value("services.s.slowdown.mean"), 3.0, 1e-6);
}

#[test]
fn databases_have_a_slowdown_and_health_checks_do_not_count() {
    let db = "databases: { \"d\": Database(cores: 1, queries: { \"q\": [Work(\"1s\")] }) }";
    let run = at(&[1.0, 1.0], &format!("{U}, {}, {db}", s("", "Call(\"d/q\")")));
    close("queries", run.value("databases.d.slowdown.mean"), 2.0, 1e-6);
    assert!(run.value("services.s.slowdown.mean").is_nan(), "the service itself asks for no CPU");
    let lb = "balancers: { \"lb\": Balancer(targets: \"s\", health_check: HealthCheck(endpoint: \"e\", interval: \"1s\")) }";
    let run = at(&[20.0], &format!("{U}, {lb}, {}", s("", "Work(\"10ms\")")));
    assert!(run.value("services.s.wait.mean") == 0.0 && run.value("services.s.slowdown.mean").is_nan());
}

#[test]
fn slowdown_is_a_number_without_a_unit() {
    let t = asked("Poisson(\"10/s\")", "cpu: Cpu(cores: 1),", "Work(\"10ms\")");
    let plan = |expected: &str| {
        let fields = format!("{TEN}, expect: {{ \"base\": [\"{expected}\"] }}");
        Files::new(&t, Some(&whole_experiment(&fields))).try_plan(&Default::default())
    };
    plan("p(99) of services.s.slowdown < 5").unwrap();
    plan("services.s.slowdown.mean in 1..2").unwrap();
    let mistakes = plan("p(99) of services.s.slowdown < 5s").unwrap_err();
    assert!(mistakes.contains("`5s` is not a number"), "{mistakes}");
    let plan = Files::new(&t, Some(&whole_experiment(TEN))).plan();
    let metric = plan.variants[0].model.catalog.find("services.s.slowdown.p999").unwrap();
    assert_eq!(metric.unit.text(3.25), "3.25");
}

#[test]
fn processor_sharing_slows_all_down_alike() {
    // M/G/1-PS: 1 / (1 - rho), whatever is asked for (Kleinrock 1967).
    let t = asked("Poisson(\"70/s\")", "cpu: Cpu(cores: 1),", "Work(Uniform(\"5ms\", \"15ms\"))");
    let run = experiment(&t, "warmup: \"20s\", duration: \"4000s\"");
    close("slowdown", run.value("services.s.slowdown.mean"), 1.0 / 0.3, 0.03);
}
