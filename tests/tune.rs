//! Tuning: known optima are found, the same on any number of threads, and what is found can be played again.

use crate::support;

use brownout::experiment::study::Study;
use brownout::experiment::tune::knobs::Dial;
use brownout::experiment::tune::{Question, QuestionFile, State, TuneResult, tune};
use brownout::experiment::{Changes, plan, run};
use brownout::report;
use brownout::spec::load::Loader;
use std::path::Path;
use std::process::{Command, Output};
use support::Files;

/// Calls at 100/s that each keep a connection for 100 ms on average: 10 erlangs.
const SYSTEM: &str = r#"Topology(
    name: "pool",
    clients: { "users": Clients(arrivals: Poisson("100/s"), requests: { "api/get": 1 }) },
    services: { "api": Service(workers: None, endpoints: { "get": [ Call("db/read", "database") ] }) },
    databases: { "db": Database(cores: 100, max_connections: 500, queries: {
        "read": [ Wait(Exponential("100ms")) ],
    }) },
    policies: { "database": [ Pool(max: 40, idle: "1h", acquire_timeout: "1h") ] },
)"#;

/// An experiment on it with something to be found.
fn experiment(tune: &str) -> String {
    format!(
        r#"Experiment(
    topology: "topology.ron", warmup: "60s", duration: "160s", runs: 5,
    tune: Tune({tune}),
)"#
    )
}

/// The question that a file asks, as the command line would put it.
fn question(path: &Path) -> Question {
    let mut loader = Loader::default();
    let document = loader.load(path, &[]).expect("a document");
    let study = Study::new(loader, document);
    let tune = study.experiment().and_then(|e| e.tune.clone()).expect("something to be found");
    let aims = |texts: &[brownout::spec::Spanned<String>], is_large| {
        texts.iter().map(|t| (t.clone(), is_large)).collect::<Vec<_>>()
    };
    Question {
        dials: tune.settings.iter().map(|(path, knob)| Dial::new(path, knob, &study)).collect(),
        aims: [aims(&tune.minimise, false), aims(&tune.maximise, true)].concat(),
        files: vec![QuestionFile {
            name: String::new(),
            study,
            variant: None,
            subject_to: tune.subject_to.clone(),
        }],
        budget: tune.budget,
        fresh: None,
        sensitivity: tune.sensitivity.clone(),
        changes: Changes::default(),
    }
}

fn found(files: &Files, jobs: usize) -> TuneResult {
    tune(&question(&files.path("experiment.ron")), jobs, &()).expect("an answer")
}

/// The mean wait in M/M/c, by Erlang's C formula (Kleinrock, Queueing Systems I, 1975, section 3.5).
fn erlang_wait(servers: u32, load: f64, mean_s: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    let room = f64::from(servers) - load;
    let waits = f64::from(servers) * blocked / (room + load * blocked);
    waits * mean_s / room
}

#[test]
fn the_pool_that_costs_least_is_the_one_that_theory_knows() {
    // A connection costs 1, a second of mean waiting 600: too few make people wait, too many cost.
    let cost = |c: u32| f64::from(c) + 600.0 * erlang_wait(c, 10.0, 0.1);
    let best = (11..=40).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap();
    assert_eq!(best, 15);
    let files = Files::new(
        SYSTEM,
        Some(&experiment(
            r#"settings: { "policies.database.Pool.max": Whole(11, 40) },
            minimise: [ "mean of services.api.calls.db.pool.size + 600 * mean of services.api.calls.db.pool.wait" ],
            budget: 200"#,
        )),
    );
    let result = found(&files, 2);
    assert_eq!(result.found[0].values, ["15"], "{:?}", result.found[0]);
    let (value, ci95) = result.found[0].aims[0];
    let (lo, hi) = ci95.unwrap();
    assert!(
        (value.unwrap() - cost(15)).abs() < 0.05 * cost(15) && lo < cost(15) * 1.02 && hi > cost(15) * 0.98
    );
    assert_eq!((result.settings[0].present.as_deref(), result.found[0].state), (Some("40"), State::Feasible));
    assert!(result.runs <= 200, "{} runs of a budget of 200", result.runs);
    // Every candidate that theory puts far from the best is worse, too, in the runs that all have played.
    let tried =
        |c: &str| result.trials.iter().find(|t| t.values == [c.to_string()]).and_then(|t| t.aims[0].0);
    assert!(tried("12").unwrap() > tried("15").unwrap() && tried("20").unwrap() > tried("15").unwrap());
}

#[test]
fn constraints_come_before_aims() {
    // The smallest pool that lets people wait for at most 5 ms in the mean: 14, with 4.35 ms in theory.
    assert!(erlang_wait(13, 10.0, 0.1) > 0.009 && erlang_wait(14, 10.0, 0.1) < 0.0045);
    let smallest = |subject_to: &str| {
        let text = format!(
            r#"settings: {{ "policies.database.Pool.max": Whole(8, 40) }},
            minimise: [ "mean of services.api.calls.db.pool.size" ],
            subject_to: [ "{subject_to}" ], budget: 240"#
        );
        found(&Files::new(SYSTEM, Some(&experiment(&text))), 2)
    };
    let result = smallest("mean of services.api.calls.db.pool.wait < 6ms");
    let best = &result.found[0];
    assert_eq!(
        (best.values.as_slice(), best.state),
        (["14".to_string()].as_slice(), State::Feasible),
        "{best:?}"
    );
    // What cannot be met is said, with the candidate that comes nearest.
    let result = smallest("mean of clients.users.latency < 50ms");
    assert!(result.found.iter().all(|one| one.state == State::Infeasible), "{:?}", result.found);
    assert!(!result.found.is_empty());
}

#[test]
fn several_aims_have_a_front() {
    let files = Files::new(
        SYSTEM,
        Some(&experiment(
            r#"settings: { "policies.database.Pool.max": Whole(11, 40) },
            minimise: [ "mean of services.api.calls.db.pool.size", "mean of services.api.calls.db.pool.wait" ],
            budget: 160"#,
        )),
    );
    let result = found(&files, 2);
    let front: Vec<&_> = result.found.iter().skip(1).filter(|one| !one.is_dominated).collect();
    assert!(front.len() >= 3, "{:?}", result.found);
    let pairs: Vec<(f64, f64)> =
        front.iter().map(|one| (one.aims[0].0.unwrap(), one.aims[1].0.unwrap())).collect();
    assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 > w[1].1), "{pairs:?}");
    // The wait at the ends is what theory says.
    for one in &front {
        let size: u32 = one.values[0].parse().unwrap();
        let theory = erlang_wait(size, 10.0, 0.1);
        let wait = one.aims[1].0.unwrap();
        assert!(size > 16 || (wait - theory).abs() < 0.25 * theory, "{size}: {wait} {theory}");
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let files = Files::new(
        SYSTEM,
        Some(&experiment(
            r#"settings: {
                "policies.database.Pool.max": Whole(8, 100),
                "policies.database.Pool.acquire_timeout": Duration("10ms", "10s"),
            },
            minimise: [ "mean of services.api.calls.db.pool.size" ],
            subject_to: [ "clients.users.error_ratio < 1%" ], budget: 60, sensitivity: Morris(2)"#,
        )),
    );
    let bytes = |jobs: usize| {
        let result = found(&files, jobs);
        assert!(result.runs <= 60);
        (
            report::tune::json(&result),
            report::tune::csv(&result).unwrap(),
            report::plot::tune(&result).unwrap(),
        )
    };
    let (one, three) = (bytes(1), bytes(3));
    assert_eq!(one.0, three.0);
    assert!(one == three);
    // Below ten connections nobody's wait ends, and with a short one calls fail: the size matters, and is at the top.
    assert!(one.0.contains("\"method\": \"Morris\""), "{}", one.0);
}

// ---- the command ----

fn brownout(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brownout")).current_dir(folder).args(args).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_found_can_be_played_by_any_verb() {
    let files = Files::new(SYSTEM, None);
    files.write(
        "two.ron",
        r#"Experiment(topology: "topology.ron", warmup: "5s", duration: "25s", runs: 2,
            variants: {
                "slim": { "policies.database.Pool.max": 11 },
                "tight": { "policies.database.Pool.max": 10 },
            })"#,
    );
    let folder = files.path("");
    let output = brownout(
        &folder,
        &[
            "tune",
            "two.ron",
            "--variant",
            "slim",
            "--setting",
            "policies.database.Pool.max=9..30",
            "--minimise",
            "p(99) of clients.users.latency",
            "--subject-to",
            "clients.users.error_ratio < 1%",
            "--budget",
            "60",
            "--out",
            "o",
            "--jobs",
            "2",
        ],
    );
    let (shown, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{shown}{errors}");
    assert!(shown.contains("policies.database.Pool.max") && shown.contains("--set @o/tuned.ron"), "{shown}");
    for part in [
        "✓ two (slim): settings that meet every constraint, on 12 runs",
        "present  found",
        "Search: ",
        "difference -",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let again = shown.lines().find_map(|line| line.strip_prefix("reproduce: brownout ")).unwrap();
    assert!(
        again.contains("--minimise 'p(99) of clients.users.latency'") && again.contains("--seed 42"),
        "{again}"
    );
    for name in ["tuned.ron", "tune.json", "tune.csv", "tune.svg", "tune.png"] {
        assert!(files.path("o").join(name).exists(), "{name}");
    }
    // `play it` gives the value that was reported, to the last digit.
    let line = shown.lines().find_map(|line| line.strip_prefix("play it:   brownout ")).unwrap();
    let mut args: Vec<&str> = line.split_whitespace().collect();
    args.extend(["--no-out", "--format", "json"]);
    let played: serde_json::Value = serde_json::from_slice(&brownout(&folder, &args).stdout).unwrap();
    let tuned: serde_json::Value =
        serde_json::from_slice(&std::fs::read(files.path("o/tune.json")).unwrap()).unwrap();
    let of =
        |variant: &str| played["variants"][variant]["metrics"]["clients.users.latency.p99"]["mean"].clone();
    assert_eq!(of("slim"), tuned["found"][0]["aims"][0]["value"]);
    // They are for the variant that was tuned, and leave the others as they are.
    assert_ne!(of("slim"), of("tight"));
    // A map is for all variants, which then differ in nothing.
    let size = tuned["found"][0]["settings"][0].as_str().unwrap();
    files.write("all.ron", &format!("{{ \"policies.database.Pool.max\": {size} }}"));
    let played = brownout(&folder, &["run", "two.ron", "--set", "@all.ron", "--no-out", "--format", "json"]);
    let played: serde_json::Value = serde_json::from_slice(&played.stdout).unwrap();
    assert_eq!(played["variants"]["slim"]["fingerprints"], played["variants"]["tight"]["fingerprints"]);
    let lines = text(&std::fs::read(files.path("o/tune.csv")).unwrap()).lines().count();
    assert!(lines > 10, "{lines}");
}

#[test]
fn a_file_of_settings_is_checked_like_any_other() {
    let files = Files::new(SYSTEM, None);
    let folder = files.path("");
    for (settings, wanted) in [
        (r#"{ "policies.database.Pool.mx": 3 }"#, "did you mean `max`?"),
        (r#"{ "policies.databse.Pool.max": 3 }"#, "database"),
        ("[ 3 ]", "expected a map of settings, found a list"),
        (r#"Settings(variant: "a", set: {})"#, "a topology has no variants"),
        (r#"Settings(varant: "a", set: {})"#, "did you mean `variant`?"),
        (r#"{ "policies.database.Pool.max": 3, "policies.database.Pool.max": 4 }"#, "given twice"),
    ] {
        files.write("tuned.ron", settings);
        let output = brownout(&folder, &["run", "topology.ron", "--set", "@tuned.ron", "--no-out"]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{settings}");
        assert!(errors.contains(wanted) && errors.contains("tuned.ron:1:"), "{errors}");
    }
    let output = brownout(&folder, &["run", "topology.ron", "--set", "@missing.ron", "--no-out"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("missing.ron"));
}

#[test]
fn what_is_not_told_is_asked_for() {
    let files = Files::new(SYSTEM, None);
    files.write(
        "two.ron",
        r#"Experiment(topology: "topology.ron", duration: "25s", variants: { "a": {}, "b": {} })"#,
    );
    let folder = files.path("");
    let setting = "policies.database.Pool.max=9..30";
    let aim = ["--minimise", "mean of clients.users.latency"];
    let cases: [(&[&str], &str); 9] = [
        (&["topology.ron"], "is not told which settings may be changed"),
        (&["topology.ron", "--setting", setting], "is not told what is to be small or large"),
        (&["topology.ron", "--setting", "policies.database.Pool.max=9"], "is not a range"),
        (
            &["topology.ron", "--setting", "policies.database.Pool.mx=9..30", aim[0], aim[1]],
            "did you mean `max`?",
        ),
        (&["topology.ron", "--setting", setting, "--setting", setting, aim[0], aim[1]], "given twice"),
        (&["topology.ron", "--setting", setting, "--minimise", "mean of clients.usrs.latency"], "usrs"),
        (
            &["topology.ron", "--setting", setting, aim[0], aim[1], "--subject-to", "clients.users.rate"],
            "--subject-to",
        ),
        (&["topology.ron", "--setting", setting, aim[0], aim[1], "--budget", "5"], "40"),
        (&["two.ron", "--setting", setting, aim[0], aim[1]], "which variant is to be tuned?"),
    ];
    for (args, wanted) in cases {
        let output = brownout(&folder, &[&["tune", "--no-out"], args].concat());
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        let is_said =
            errors.contains(wanted) || wanted.starts_with("is not a range") && errors.contains("not a range");
        assert!(is_said, "{args:?}: {errors}");
    }
}

#[test]
fn constraints_of_another_experiment_count_as_well() {
    let files = Files::new(
        SYSTEM,
        Some(&experiment(
            r#"settings: { "policies.database.Pool.max": Whole(11, 40) },
            minimise: [ "mean of services.api.calls.db.pool.size" ],
            and: { "spike.ron": [ "p(99) of services.api.calls.db.pool.wait < 10ms" ] }, budget: 160"#,
        )),
    );
    // Twice the load: 20 erlangs.
    files.write(
        "spike.ron",
        r#"Experiment(topology: "topology.ron", warmup: "30s", duration: "90s",
            variants: { "base": { "clients.users.arrivals.rate": "200/s" } })"#,
    );
    let output = brownout(&files.path(""), &["tune", "experiment.ron", "--out", "o", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let size: u32 = found["found"][0]["settings"][0].as_str().unwrap().parse().unwrap();
    // Alone 11 would be the least. With 30 connections at 20 erlangs 2.5 % wait at all, for 10 ms on average.
    assert!((24..=36).contains(&size), "{size}");
    assert_eq!(found["constraints"][0]["file"], "spike.ron");
}

#[test]
fn the_guards_of_incident_a_can_be_better_than_those_of_its_operators() {
    let mut question = question(&support::repository("experiments/pool-exhaustion.ron"));
    question.files[0].variant = Some("guards".into());
    question.budget = 60;
    question.changes.duration = Some(brownout::base::SimDuration::from_secs(240));
    let result = tune(&question, 2, &()).unwrap();
    let (best, present) = (&result.found[0], &result.present);
    let goodput = |one: &brownout::experiment::tune::Confirmed| one.aims[0].0.unwrap();
    assert!(goodput(best) > 5.0 * goodput(present), "{best:?} {present:?}");
    assert!(best.differences[0].unwrap().lo.unwrap() > 0.0);
}

#[test]
fn the_figures_of_incident_a_hold() {
    let mut loader = Loader::default();
    let document = loader.load(&support::repository("experiments/pool-exhaustion.ron"), &[]);
    let plan =
        document.and_then(|document| plan(&mut loader, document, &Changes::default())).expect("a plan");
    let result = run(&plan, 2, &()).unwrap();
    for expectation in &result.expectations {
        assert_eq!(expectation.verdict.name(), "held", "{expectation:?}");
    }
    assert!(result.expectations.len() >= 20);
}
