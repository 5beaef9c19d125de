//! Runs until an answer is precise, a warm-up that is found, and what is said of runs that are too short or do not
//! settle. `benches/coverage.rs` looks closer, and takes minutes.

use crate::support;

use brownout::experiment::run::{merged, play};
use brownout::experiment::{Changes, ExperimentResult, Plan, plan, run, stationary};
use brownout::metrics::Estimate;
use brownout::metrics::estimate::paired_difference;
use brownout::report::{human, json};
use brownout::spec::load::Loader;
use std::process::Command;
use support::Files;

/// A queue with one worker of 100 per second, in two variants, whose answers theory knows.
fn queue(rate: f64, fields: &str) -> String {
    format!(
        r#"Experiment(
            topology: Topology(
                name: "mm1",
                clients: {{ "users": Clients(arrivals: Poisson("{rate}/s"), requests: {{ "server/serve": 1 }}) }},
                services: {{ "server": Service(workers: 1, endpoints: {{ "serve": [ Wait(Exponential("10ms")) ] }}) }},
            ),
            variants: {{ "a": {{}}, "b": {{ "services.server.endpoints.serve": [ Wait(Exponential("9ms")) ] }} }},
            {fields}
        )"#
    )
}

fn planned(text: &str, changes: &Changes) -> Plan {
    let mut loader = Loader::default();
    let document = loader.load_text("queue.ron", text);
    let plan = document.and_then(|document| plan(&mut loader, document, changes));
    plan.unwrap_or_else(|| panic!("{}", loader.diagnostics.render(&loader.sources, false)))
}

fn played(rate: f64, fields: &str) -> ExperimentResult {
    run(&planned(&queue(rate, fields), &Changes::default()), 2, &()).unwrap()
}

/// The one warning with these words.
#[track_caller]
fn warning<'r>(result: &'r ExperimentResult, words: &str) -> &'r str {
    let found: Vec<&String> = result.warnings.iter().filter(|w| w.contains(words)).collect();
    assert_eq!(found.len(), 1, "{:#?}", result.warnings);
    found[0]
}

fn summary(result: &ExperimentResult) -> String {
    let options = human::Options {
        color: false,
        width: 110,
        files: Vec::new(),
        reproduce: "brownout run".into(),
        quiet: false,
    };
    human::summary(result, &options)
}

// ---- runs until the answer is precise ----

const PRECISE: &str = r#"warmup: "2s", duration: "22s", series: false,
    runs: Precise(metric: ["p(99) of clients.users.latency", "clients.users.rate"], within: "20%", at_most: 300)"#;

#[test]
fn runs_are_added_until_every_variant_is_precise() {
    let result = played(80.0, PRECISE);
    assert!([15, 23, 35, 53, 80, 120].contains(&result.runs), "{} runs", result.runs);
    assert_eq!((result.runs_at_most, result.precision.len()), (300, 4));
    for p in &result.precision {
        let half = p.half_width.unwrap() / p.value.unwrap();
        assert!(p.is_reached && half <= 0.2 / 1.2, "{p:?}");
    }
    for variant in &result.variants {
        assert_eq!(variant.fingerprints.len(), result.runs as usize);
        assert!(variant.metrics.iter().all(|m| m.per_run.len() == result.runs as usize));
    }
    assert!(!result.warnings.iter().any(|w| w.contains("precision")), "{:?}", result.warnings);
    // One checkpoint earlier it was not precise enough.
    let fewer = (result.runs * 2 / 3).max(10);
    let changes = Changes { runs: Some(fewer), ..Changes::default() };
    let short = run(&planned(&queue(80.0, PRECISE), &changes), 2, &()).unwrap();
    assert_eq!((short.runs, short.runs_at_most), (fewer, fewer));
    assert!(short.precision.iter().any(|p| !p.is_reached));
    let said = warning(&short, "the precision asked for was not reached");
    assert!(said.contains("p(99) of clients.users.latency is") && said.contains("--runs"), "{said}");
    let text = summary(&short);
    assert!(text.contains(&format!("Precision: not reached in {fewer} runs of at most {fewer}")), "{text}");
    let document: serde_json::Value = serde_json::from_str(&json::summary(&result)).unwrap();
    assert_eq!(document["precision"][0]["reached"], true);
    assert_eq!(document["runs"], result.runs);
}

#[test]
fn the_runs_are_those_of_a_fixed_number_and_threads_do_not_matter() {
    let bytes = |jobs: usize| {
        let result = run(&planned(&queue(80.0, PRECISE), &Changes::default()), jobs, &()).unwrap();
        (json::summary(&result), result.runs, result.variants[0].fingerprints.clone())
    };
    let (one, runs, fingerprints) = bytes(1);
    assert_eq!(one, bytes(3).0);
    let fixed = format!(r#"warmup: "2s", duration: "22s", series: false, runs: {runs}"#);
    assert_eq!(played(80.0, &fixed).variants[0].fingerprints, fingerprints);
}

#[test]
fn shares_of_runs_and_absolute_limits() {
    let result = played(
        80.0,
        r#"warmup: "2s", duration: "12s", series: false, runs: Precise(
            metric: "P(p(99) of clients.users.latency < 200ms)", absolute: "20%", at_least: 5, at_most: 100)"#,
    );
    assert!(result.runs > 10 && result.precision.iter().all(|p| p.is_reached), "{:?}", result.precision);
    let result = played(
        50.0,
        r#"warmup: "2s", duration: "22s", series: false, runs: Precise(
            metric: "mean of clients.users.latency", absolute: "50ms", at_least: 4)"#,
    );
    assert_eq!(result.runs, 4);
    assert!(result.warnings.iter().any(|w| w.contains("4 runs only")), "{:?}", result.warnings);
}

#[test]
fn the_command_line_asks_for_precision() {
    let files = Files::new("", None);
    files.write("queue.ron", &queue(80.0, r#"warmup: "2s", duration: "32s", runs: 3"#));
    let brownout = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
        let output = command.args(["run", "queue.ron", "--no-out"]).args(args).current_dir(files.path("."));
        let output = output.env_remove("BROWNOUT_SEED").output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), out, err)
    };
    let args = ["--precision", "10%", "--precision-of", "mean of clients.users.latency", "--warmup", "auto"];
    let (code, out, err) = brownout(&args);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("Precision: reached in") && out.contains("of at most 200"), "{out}");
    assert!(out.contains("found by MSER-5"), "{out}");
    let again = "--precision 0.1 --precision-of 'mean of clients.users.latency' --warmup auto";
    assert!(out.trim_end().ends_with(&format!("--seed 42 --runs 200 {again}")), "{out}");
    let (_, out, _) = brownout(&["--precision", "1%", "--runs", "12", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["runs"], &document["precision"][0]["reached"]), (&12.into(), &false.into()));
    assert_eq!(document["precision"][1]["text"], "p(99) of clients.users.latency");
    for wrong in [&["--precision", "0"][..], &["--warmup", "soon"], &["--precision-of", "clients.users.rate"]]
    {
        assert_eq!(brownout(wrong).0, Some(2), "{wrong:?}");
    }
    let (code, _, err) = brownout(&["--precision", "5%", "--precision-of", "clients.users.rat"]);
    assert!(code == Some(2) && err.contains("--precision-of") && err.contains("clients.users.rate"), "{err}");
}

// ---- warm-up ----

#[test]
fn a_warm_up_is_found_for_all_variants_and_on_any_number_of_threads() {
    let text = queue(90.0, r#"warmup: Auto, duration: "400s", series: false, runs: 5"#);
    let found = |jobs: usize, seed: u64| {
        let mut changes = Changes { seed: Some(seed), ..Changes::default() };
        changes.pilot.jobs = Some(jobs);
        planned(&text, &changes)
    };
    let plan = found(1, 1);
    let warmup = plan.warmup_found.unwrap();
    assert_eq!((plan.warmup.seconds(), plan.warmup.ns() % 1_000_000_000), (warmup.seconds as f64, 0));
    assert_eq!(found(3, 1).warmup_found, Some(warmup));
    // A queue at 90 % that starts empty lacks 9 request-seconds of 3,600, for some seconds (relaxation time 3.8 s):
    // there is next to nothing to leave out, and hardly ever more than what chance lets look like a start.
    let mut all: Vec<u64> = (1..=9).map(|seed| found(2, seed).warmup_found.unwrap().seconds).collect();
    all.sort_unstable();
    assert!(all[4] <= 60 && all[8] < 200, "{all:?}");
    // One variant alone has the warm-up of all.
    let mut changes = Changes { variant: Some("b".into()), seed: Some(1), ..Changes::default() };
    changes.pilot.jobs = Some(2);
    assert_eq!(planned(&text, &changes).warmup_found, Some(warmup));
}

#[test]
fn a_load_that_rises_at_the_start_is_left_out() {
    // From a tenth of 50/s to all of it within 80 s: what is in flight rises 20-fold, most of it at the end. What
    // chance lets look like a start comes on top.
    let text = queue(50.0, r#"warmup: Auto, duration: "600s", series: false"#)
        .replace("requests:", r#"profile: [ Ramp(from: 0.1, to: 1, start: "0s", lasts: "80s") ], requests:"#);
    let found =
        |seed| planned(&text, &Changes { seed: Some(seed), ..Changes::default() }).warmup_found.unwrap();
    let mut all: Vec<u64> = (1..=7).map(|seed| found(seed).seconds).collect();
    all.sort_unstable();
    assert!(all[0] >= 50 && all[3] <= 150 && all[6] < 300, "{all:?}");
}

#[test]
fn what_happens_on_the_timeline_is_no_transient_of_the_start() {
    let fault = r#"timeline: [ At("200s", Slow(target: "server", factor: 20, lasts: "30s")) ]"#;
    let fields = |more: &str| format!(r#"warmup: Auto, duration: "400s", series: false, {more}"#);
    let found = |fields: String| planned(&queue(50.0, &fields), &Changes::default()).warmup_found.unwrap();
    let (with, without) = (found(fields(fault)), found(fields("")));
    assert!(with.seconds <= 60 && without.seconds <= 60, "{with:?} {without:?}");
}

#[test]
fn a_warm_up_that_takes_the_run_is_warned_of() {
    let result = played(130.0, r#"warmup: Auto, duration: "100s", runs: 3"#);
    assert_eq!(result.warmup_s, 50.0);
    warning(&result, "the warm-up that was found takes half of the run or more");
    let result = played(50.0, r#"warmup: "70s", duration: "100s", runs: 5"#);
    warning(&result, "takes more than half of the run");
}

// ---- requests that pile up ----

#[test]
fn overload_is_said_instead_of_a_mean() {
    for series in [true, false] {
        let fields = format!(r#"warmup: "10s", duration: "130s", runs: 4, series: {series}"#);
        let result = played(108.0, &fields);
        // Variant b serves 111 per second, and copes.
        let [a, b] = result.variants.as_slice() else { panic!("two variants") };
        assert!(!a.stationary[0].is_stationary && b.stationary[0].is_stationary, "{:?}", b.stationary);
        // Eight more each second.
        assert!((a.stationary[0].rise_per_s - 8.0).abs() < 3.0, "{:?}", a.stationary);
        warning(&result, "pile up");
        let text = summary(&result);
        let row = text.lines().find(|l| l.contains("latency p99")).unwrap();
        assert!(
            row.contains("grows") && row.matches("ms").count() + row.matches(" s").count() >= 1,
            "{text}"
        );
        assert!(text.contains("grows: requests pile up"), "{text}");
        let document: serde_json::Value = serde_json::from_str(&json::summary(&result)).unwrap();
        let [a, b] = ["a", "b"].map(|v| &document["variants"][v]);
        assert_eq!((&a["stationary"], &b["stationary"]), (&false.into(), &true.into()));
        assert_eq!(a["populations"]["users"]["stationary"], false);
        assert!(a["populations"]["users"]["reason"].as_str().unwrap().contains("in flight"));
    }
}

#[test]
fn a_busy_queue_is_no_overload() {
    // 60 experiments of five runs, at 90 % and 81 %: no alarm in at least 99 % of the cases, says the benchmark.
    let plan = planned(&queue(90.0, r#"warmup: "20s", duration: "60s", series: false"#), &Changes::default());
    let mut alarms = 0;
    for seed in 1..=30 {
        for variant in &plan.variants {
            let levels = |run: u64| {
                let record = play(variant, seed, run).record;
                stationary::levels(variant, &record, plan.warmup, plan.end).remove(0)
            };
            let runs: Vec<Vec<f64>> = (0..5).map(levels).collect();
            alarms += u32::from(stationary::trend(&runs).unwrap().grows);
        }
    }
    // Three of 60 and more have a probability of 0.02 at 1 %.
    assert!(alarms <= 3, "{alarms} false alarms");
}

#[test]
fn faults_and_profiles_switch_the_test_off() {
    let fault = r#"timeline: [ At("30s", Slow(target: "server", factor: 3)) ], warmup: "5s", duration: "60s", runs: 3"#;
    let result = played(80.0, fault);
    assert!(result.variants.iter().all(|v| v.stationary.is_empty()));
    let document: serde_json::Value = serde_json::from_str(&json::summary(&result)).unwrap();
    assert_eq!(document["variants"]["a"]["stationary"], serde_json::Value::Null);
    let ramp = queue(120.0, r#"warmup: "5s", duration: "60s", runs: 3"#)
        .replace("requests:", r#"profile: [ Ramp(from: 1, to: 2, start: "0s", lasts: "60s") ], requests:"#);
    let result = run(&planned(&ramp, &Changes::default()), 2, &()).unwrap();
    assert!(result.variants.iter().all(|v| v.stationary.is_empty()));
}

// ---- too short, too few ----

#[test]
fn percentiles_of_few_requests_are_warned_of() {
    // 40 s x 20/s = 800 requests: 8 beyond p99, 40 beyond p95, and less than one beyond p99.9.
    let fields = |seconds: u32| {
        format!(
            r#"warmup: "5s", duration: "{}s", runs: 5,
            expect: {{ "a": [ "p(99.9) of clients.users.latency < 1h" ] }}"#,
            seconds + 5
        )
    };
    let result = played(20.0, &fields(40));
    let said = warning(&result, "p99 of clients.users.latency");
    assert!(said.contains("look at p95") && said.contains("--duration"), "{said}");
    let said = warning(&result, "p99.9 of `p(99.9)");
    assert!(said.contains("look at p95"), "{said}");
    // What is to be known within 10 % must have 80 beyond it.
    let precise = r#"warmup: "5s", duration: "45s", runs: Precise(
        metric: "p(99) of clients.users.latency", within: "50%", at_most: 10)"#;
    assert!(warning(&played(35.0, precise), "p99 of").contains("(16 should lie beyond it)"));
    let result = played(20.0, &fields(80));
    assert!(!result.warnings.iter().any(|w| w.contains("p99 of")), "{:?}", result.warnings);
    warning(&result, "p99.9 of `p(99.9)");
}

#[test]
fn few_runs_are_warned_of_once_and_wide_intervals_are_marked() {
    let result = played(80.0, r#"warmup: "2s", duration: "12s", runs: 2"#);
    warning(&result, "2 runs only");
    let text = summary(&result);
    assert!(text.contains(" ?") && text.contains("wider than half of the mean"), "{text}");
    let result = played(50.0, r#"warmup: "2s", duration: "62s", runs: 8"#);
    assert!(result.warnings.is_empty(), "{:?}", result.warnings);
}

// ---- honest intervals ----

#[test]
fn intervals_contain_the_truth() {
    let fields = r#"warmup: "5s", duration: "65s", series: false"#;
    let plan = planned(&queue(60.0, fields), &Changes::default());
    let numbers = |variant: usize, seed: u64, run: u64| {
        let variant = &plan.variants[variant];
        let played = play(variant, seed, run);
        let meters = merged(&played.record.windows, plan.warmup, plan.end, variant);
        let timer = &meters.timers[variant.model.catalog.clients[0].red as usize];
        [timer.mean().unwrap(), timer.quantile(0.99).unwrap()]
    };
    // Exponential with the rates' difference (Kleinrock, Queueing Systems I, 1975, section 3.2).
    let [slow, fast] = [0.010, 0.009].map(|service| 1.0 / (1.0 / service - 60.0));
    let p99 = slow * libm::log(100.0);
    let (repetitions, mut covered) = (100, [0; 3]);
    for seed in 1..=repetitions {
        let runs: Vec<[[f64; 2]; 2]> = (0..10).map(|run| [0, 1].map(|v| numbers(v, seed, run))).collect();
        let of = |v: usize, what: usize| runs.iter().map(|r| r[v][what]).collect::<Vec<f64>>();
        let estimates = [
            (Estimate::of(&of(0, 0)).unwrap(), slow),
            (Estimate::of(&of(0, 1)).unwrap(), p99),
            (paired_difference(&of(0, 0), &of(1, 0)).unwrap(), fast - slow),
        ];
        for (count, (e, truth)) in covered.iter_mut().zip(estimates) {
            *count += u32::from(e.lo.unwrap() <= truth && truth <= e.hi.unwrap());
        }
    }
    // Three standard errors of a share of 95 % of 100 are 6.5 %.
    assert!(covered.iter().all(|count| (88..=100).contains(count)), "{covered:?} of {repetitions}");
}
