//! Random failures: availability and queues that can be calculated, the same times whatever else changes, and faults
//! that lie over one another.

use crate::support;

use brownout::base::{SimDuration, SimTime};
use brownout::metrics::{Observer, Recorder};
use brownout::sim::World;
use support::{Files, Run, close, experiment, run_of, whole_experiment};

/// A service `s` that nobody asks.
fn idle(replicas: u32, more: &str) -> String {
    format!(
        "Topology(name: \"t\", services: {{ \"s\": Service(replicas: {replicas}, {more} \
         endpoints: {{ \"e\": [Wait(\"1ms\")] }}) }})"
    )
}

/// A service `s` that is asked ten times a second for `work` of its one core.
fn asked(replicas: u32, work: &str) -> String {
    format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), \
         requests: {{ \"s/e\": 1 }}) }}, services: {{ \"s\": Service(replicas: {replicas}, cpu: Cpu(cores: 1), \
         endpoints: {{ \"e\": [Work(\"{work}\")] }}) }})"
    )
}

fn failures(fields: &str) -> String {
    format!("failures: {{ \"f\": Failures(target: \"s\", {fields}) }}")
}

/// The moments of failures and repairs, with what failed.
fn moments(run: &Run) -> Vec<String> {
    run.log().into_iter().filter(|l| l.contains(" failed ") || l.contains(" repaired ")).collect()
}

/// Watches how long a gauge is at each level.
struct Levels {
    gauge: u32,
    level: usize,
    since: SimTime,
    seconds: Vec<f64>,
    counts: u64,
    ticks: u64,
}

impl Levels {
    fn settle(&mut self, now: SimTime) {
        self.seconds[self.level] += now.since(self.since).seconds();
        self.since = now;
    }
}

impl Observer for &mut Levels {
    fn moved(&mut self, now: SimTime, gauge: u32, delta: i64) {
        if gauge == self.gauge {
            self.settle(now);
            self.level =
                self.level.checked_add_signed(delta as isize).expect("no more repairs than failures");
        }
    }
    fn count(&mut self, _: u32) {
        self.counts += 1;
    }
    fn second(&mut self, _: SimTime) {
        self.ticks += 1;
    }
}

#[test]
fn two_of_three_are_down_as_often_as_calculated() {
    // 1 in 21 is down: two or three of three are for 3 p^2 (1 - p) + p^3 = 0.006587 of the time.
    let fields = "duration: \"20000000s\", ".to_string()
        + &failures("up: Exponential(mean: \"1000s\"), down: Exponential(mean: \"50s\")");
    let plan = Files::new(&idle(3, ""), Some(&whole_experiment(&fields))).plan();
    let variant = &plan.variants[0];
    let gauge = variant.model.catalog.failures[0].down;
    let mut levels =
        Levels { gauge, level: 0, since: SimTime::ZERO, seconds: vec![0.0; 4], counts: 0, ticks: 0 };
    let (summary, _) = World::new(&variant.model, &variant.script, 42, 0, &mut levels).run();
    levels.settle(plan.end);
    let share = |level: usize| levels.seconds[level] / 2e7;
    let p = 50.0 / 1050.0;
    close("none down", share(0), (1.0 - p) * (1.0 - p) * (1.0 - p), 0.005);
    close("one down", share(1), 3.0 * p * (1.0 - p) * (1.0 - p), 0.02);
    close("two or three down", share(2) + share(3), 0.006_587, 0.06);
    // Nothing happens but failures, repairs and starts: 3 in each of 57,143 cycles.
    assert_eq!(levels.ticks, 0);
    assert!((165_000..178_000).contains(&summary.events), "{} events", summary.events);
}

#[test]
fn without_a_series_nothing_is_recorded_second_by_second() {
    let fields = "duration: \"20000000s\", ".to_string()
        + &failures("up: Exponential(mean: \"1000s\"), down: Exponential(mean: \"50s\")");
    let plan = Files::new(&idle(10, ""), Some(&whole_experiment(&fields))).plan();
    let variant = &plan.variants[0];
    let catalog = &variant.model.catalog;
    let recorder = Recorder::new(catalog.sizes(), &catalog.sums, Vec::new(), &[]);
    let (_, recorder) = World::new(&variant.model, &variant.script, 42, 0, recorder).run();
    let record = recorder.finish(plan.end);
    assert!(record.rows.is_empty());
    let meters = &record.windows[0].meters;
    let value = |path: &str| meters.value(variant.model.catalog.find(path).expect(path).source).unwrap();
    close("down", value("failures.f.down"), 10.0 * 50.0 / 1050.0, 0.02);
    close("failures", value("failures.f.failures"), 10.0 * 2e7 / 1050.0, 0.01);
    close("up", value("services.s.up"), 10.0 - value("failures.f.down"), 1e-6);
    assert!(value("failures.f.down.max") >= 4.0);
}

#[test]
fn a_queue_whose_server_breaks_down_is_as_long_as_calculated() {
    // M/M/1 with breakdowns at any time and preemptive resume: (l ((x + h)^2 + m x)) / ((x + h) (m h - l (x + h))) with
    // arrivals l = 50/s, service m = 100/s, breakdowns x = 1/10 s and repairs h = 1/2 s.
    let (l, m, x, h) = (50.0, 100.0, 0.1, 0.5);
    let expected = l * ((x + h) * (x + h) + m * x) / ((x + h) * (m * h - l * (x + h)));
    close("in system", expected, 43.17, 1e-4);
    let topology = "Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Poisson(\"50/s\"), \
                    requests: { \"s/e\": 1 }) }, services: { \"s\": Service(replicas: 1, cpu: Cpu(cores: 1, discipline: \
                    Fifo), endpoints: { \"e\": [Work(Exponential(\"10ms\"))] }) })";
    let fields = "warmup: \"100s\", duration: \"6100s\", ".to_string()
        + &failures("what: Hang, up: Exponential(mean: \"10s\"), down: Exponential(mean: \"2s\")");
    let run = experiment(topology, &fields);
    close("in system", run.value("services.s.in_flight"), expected, 0.12);
    close("down", run.value("failures.f.down"), 1.0 / 6.0, 0.1);
    assert_eq!(run.value("services.s.kills"), 0.0);
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
}

#[test]
fn what_is_down_is_killed_and_starts_when_it_is_repaired() {
    // Down from 5 to 7, from 12 to 14 and from 19 to 21; each start takes one more second.
    let topology = idle(1, "start_up: \"1s\", restart_delay: \"3s\",");
    let fields = "duration: \"23s\", ".to_string() + &failures("up: \"5s\", down: \"2s\"");
    let run = experiment(&topology, &fields);
    let log = run.log();
    let expected = [
        "5.000 failed services.s s.0",
        "5.000 crashed services.s s.0",
        "7.000 repaired services.s s.0",
        "8.000 up services.s s.0",
    ];
    assert_eq!(log[..4], expected);
    close("down", run.value("failures.f.down"), 6.0 / 23.0, 1e-9);
    close("up", run.value("services.s.up"), (23.0 - 9.0) / 23.0, 1e-9);
    assert_eq!(run.value("failures.f.failures"), 3.0);
    assert_eq!(run.value("services.s.kills"), 3.0);
}

#[test]
fn a_shared_cause_strikes_all_at_once_and_so_does_it_a_newcomer() {
    let topology = idle(2, "");
    let fields = "duration: \"10s\", timeline: [At(\"6s\", Set(\"services.s.replicas\", 3))], ".to_string()
        + &failures("each: Component, up: \"5s\", down: \"2s\"");
    let run = experiment(&topology, &fields);
    assert_eq!(moments(&run), ["5.000 failed services.s", "7.000 repaired services.s"]);
    assert_eq!(run.times_of("up"), [7.0, 7.0, 7.0]);
    assert_eq!(run.value("failures.f.down.max"), 1.0);
    close("up", run.value("services.s.up"), (2.0 * 5.0 + 3.0 * 3.0) / 10.0, 1e-9);
}

#[test]
fn places_without_an_instance_fail_unseen_and_newcomers_find_their_place_as_it_is() {
    // Both places are down from 5 to 7, from 12 to 14 and so on; the second instance comes at 6 and goes at 13.
    let topology = idle(1, "");
    let sets = "timeline: [At(\"6s\", Set(\"services.s.replicas\", 2)), At(\"13s\", Set(\"services.s.replicas\", 1))]";
    let fields = format!("duration: \"20s\", {sets}, {}", failures("up: \"5s\", down: \"2s\""));
    let run = experiment(&topology, &fields);
    let second: Vec<String> = run.log().into_iter().filter(|l| l.ends_with("s.1")).collect();
    let expected = [
        "7.000 repaired services.s s.1",
        "7.000 up services.s s.1",
        "12.000 failed services.s s.1",
        "12.000 crashed services.s s.1",
    ];
    assert_eq!(second, expected);
    assert_eq!(run.value("failures.f.failures"), 4.0);
    // The first for 5 seconds and the second for 1 each.
    close("down", run.value("failures.f.down"), (5.0 + 1.0 + 1.0) / 20.0, 1e-9);
}

#[test]
fn times_are_the_same_whatever_else_changes() {
    let random = "up: Exponential(mean: \"10s\"), down: LogNormal(mean: \"3s\", cv: 0.5)";
    let fields = format!(
        "duration: \"200s\", variants: {{ \"a\": {{}}, \"b\": Variant(set: {{ \"services.s.replicas\": 3, \
         \"services.s.start_up\": \"500ms\" }}, timeline: [At(\"20s\", Crash(target: \"s\")), At(\"30s\", \
         Slow(target: \"s\", factor: 2, name: \"t\"))], failures: {{ \"e\": Failures(target: \"s\", what: Slow(3), {random}) }}) }}, \
         {}",
        failures(random)
    );
    let files = Files::new(&asked(2, "1ms"), Some(&whole_experiment(&fields)));
    let plan = files.plan();
    let log = |variant: usize| {
        let played = brownout::experiment::run::play(&plan.variants[variant], plan.seed, 0);
        let lines = brownout::experiment::log::lines(&plan.variants[variant], &played.record);
        let ours = lines.into_iter().filter(|l| {
            ["failed", "repaired"].contains(&l.kind.as_str()) && l.detail == "f" && l.instance != "s.2"
        });
        ours.map(|l| (l.time_s, l.kind, l.instance)).collect::<Vec<_>>()
    };
    let (a, b) = (log(0), log(1));
    assert_eq!(a, b);
    assert!(a.len() > 30);
    // Each instance has its own times, and each run others.
    let of = |log: &[(f64, String, String)], name: &str| {
        log.iter().filter(|l| l.2 == name).map(|l| l.0).collect::<Vec<f64>>()
    };
    assert_ne!(of(&a, "s.0"), of(&a, "s.1"));
    assert_ne!(moments(&run_of(files.plan(), 0)), moments(&run_of(files.plan(), 1)));
}

#[test]
fn a_planned_fault_on_the_same_instance_lies_over_a_failure() {
    // Down at random from 5 to 7, from 12 to 14; down on purpose from 6 to 13. It is away from 5 to 14.
    let topology = asked(1, "1ms");
    let planned =
        "duration: \"18s\", timeline: [At(\"6s\", Down(target: \"s\", lasts: \"7s\", name: \"planned\"))], ";
    let run = experiment(&topology, &(planned.to_string() + &failures("up: \"5s\", down: \"2s\"")));
    close("up", run.value("services.s.up"), 9.0 / 18.0, 1e-9);
    assert_eq!(run.times_of("up"), [14.0]);
    assert_eq!(run.value("services.s.kills"), 1.0);
    close("down", run.value("failures.f.down"), 4.0 / 18.0, 1e-9);
    // The failure is no fault: only what was planned is judged.
    assert_eq!(run.plan.variants[0].faults.len(), 1);
    let run =
        experiment(&topology, &(planned.to_string() + &failures("what: Hang, up: \"5s\", down: \"2s\"")));
    // Hangs from 5 to 7, is killed at 6, and hangs again from 12: repaired at 14, it goes on with nothing.
    assert_eq!(run.times_of("up"), [13.0]);
    close("served from 14 on", run.count("clients.u.goodput", 14, 18), 40.0, 0.3);
    assert_eq!(run.count("services.s.throughput", 13, 14), 0.0);
}

#[test]
fn failures_slow_down_and_break_as_faults_do() {
    let topology = asked(1, "10ms");
    let slow = experiment(
        &topology,
        &("duration: \"14s\", ".to_string() + &failures("what: Slow(5), up: \"5s\", down: \"2s\"")),
    );
    close("as ever", slow.series("clients.u.latency.max")[4], 0.01, 1e-6);
    close("slow", slow.series("clients.u.latency.max")[6], 0.05, 1e-6);
    close("as ever again", slow.series("clients.u.latency.max")[8], 0.01, 1e-6);
    let errors = experiment(
        &topology,
        &("duration: \"14s\", ".to_string() + &failures("what: Errors(\"100%\"), up: \"5s\", down: \"2s\"")),
    );
    assert_eq!(errors.count("clients.u.outcomes.error", 5, 7), 20.0);
    assert_eq!(errors.total("clients.u.outcomes.error"), 40.0);
}

#[test]
fn failures_do_not_wait_for_the_warm_up() {
    let fields = "warmup: \"6s\", duration: \"10s\", ".to_string() + &failures("up: \"5s\", down: \"2s\"");
    let run = experiment(&idle(1, ""), &fields);
    assert_eq!(moments(&run).len(), 2);
    close("down", run.value("failures.f.down"), 1.0 / 4.0, 1e-9);
    assert_eq!(run.value("failures.f.failures"), 0.0);
    assert_eq!(run.meters_between(0, 6).seconds, SimDuration::from_secs(6).seconds());
}
