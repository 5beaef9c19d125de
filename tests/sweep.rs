//! `brownout sweep` as a user meets it: points, tables, mistakes, and going on after an interruption.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use crate::support;

use brownout::experiment::{Changes, run};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::Files;

const SYSTEM: &str = r#"Topology(
    name: "one worker",
    clients: { "users": Clients(arrivals: Poisson("40/s"), requests: { "server/serve": 1 }) },
    services: { "server": Service(workers: 1, endpoints: { "serve": [ Wait(Exponential("10ms")) ] }) },
)"#;

const EXPERIMENT: &str = r#"Experiment(
    topology: "topology.ron",
    variants: { "narrow": {}, "wide": { "services.server.workers": 3 } },
    warmup: "2s", duration: "42s", runs: 4,
    timeline: [ At("20s", Spike(target: "users", factor: 1.5, lasts: "5s", name: "surge")) ],
    sweep: Sweep(
        settings: { "services.server.workers": [1, 2], "load": Linear(from: 1, to: 2, points: 3) },
        measures: [ "p(99) of clients.users.latency before(surge) < 100ms", "clients.users.rate" ],
        variant: "wide",
    ),
)"#;

fn command(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(args).current_dir(folder).env_remove("BROWNOUT_SEED").env("NO_COLOR", "1");
    command
}

fn brownout(args: &[&str], files: &Files) -> Output {
    command(args, &files.path("")).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The standard output of a command that succeeds.
#[track_caller]
fn printed(args: &[&str], files: &Files) -> String {
    let output = brownout(args, files);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command that must be refused says.
#[track_caller]
fn refused(args: &[&str], files: &Files) -> String {
    let output = brownout(args, files);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    text(&output.stderr)
}

/// A CSV as rows by column.
fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
    let row = |row: csv::StringRecord| header.iter().cloned().zip(row.iter().map(String::from)).collect();
    reader.records().map(|r| row(r.unwrap())).collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    let cell = row.get(column).unwrap_or_else(|| panic!("no column {column} in {:?}", row.keys()));
    cell.parse().unwrap_or_else(|_| panic!("{column} is {cell:?}"))
}

#[test]
fn a_sweep_of_a_file_is_what_its_points_are_when_run_alone() {
    let files = Files::new(SYSTEM, Some(EXPERIMENT));
    let csv = printed(&["sweep", "experiment.ron", "--format", "csv", "--no-out"], &files);
    let rows = rows(&csv);
    let settings = |column| rows.iter().map(|r| number(r, column)).collect::<Vec<_>>();
    // In order of writing, the last fastest.
    assert_eq!(settings("services.server.workers"), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    assert_eq!(settings("load"), [1.0, 1.5, 2.0, 1.0, 1.5, 2.0]);
    for row in &rows {
        let changes =
            Changes { load: Some(number(row, "load")), variant: Some("wide".into()), ..Changes::default() };
        let mut loader = brownout::spec::load::Loader::default();
        let document = loader.load(&files.path("experiment.ron"), &[]).unwrap();
        let set = format!("services.server.workers={}", number(row, "services.server.workers"));
        let document = loader.changed(&document, "--set", &[set]).unwrap();
        let plan = brownout::experiment::plan(&mut loader, document, &changes).unwrap();
        let result = run(&plan, 2, &()).unwrap();
        let rate = result.variants[0].metrics.iter().find(|m| m.path == "clients.users.rate").unwrap();
        let estimate = rate.estimate.unwrap();
        assert!((number(row, "clients.users.rate mean") - estimate.mean).abs() < 1e-9 * estimate.mean);
        assert!((number(row, "clients.users.rate lo") - estimate.lo.unwrap()).abs() < 1e-9 * estimate.mean);
        assert_eq!(number(row, "clients.users.rate runs"), 4.0);
    }
    let verdicts: Vec<&str> = rows
        .iter()
        .map(|r| r["p(99) of clients.users.latency before(surge) < 100ms verdict"].as_str())
        .collect();
    // A worker at 40 % and two at 40 % hold; one at 80 % does not.
    assert_eq!((verdicts[0], verdicts[2], verdicts[5]), ("held", "failed", "held"));
}

#[test]
fn results_do_not_depend_on_threads_and_files_hold_every_run() {
    let files = Files::new(SYSTEM, Some(EXPERIMENT));
    for jobs in ["1", "3"] {
        printed(&["sweep", "experiment.ron", "--out", jobs, "--jobs", jobs], &files);
    }
    let names = ["sweep.csv", "sweep-runs.csv", "sweep.json", "sweep.svg", "sweep.png", "sweep-map-1.svg"];
    for name in names {
        let [one, three] = ["1", "3"].map(|jobs| std::fs::read(files.path(jobs).join(name)).unwrap());
        assert!(one == three && !one.is_empty(), "{name}");
    }
    assert!(!files.path("1").join("sweep.journal").exists());
    let runs = rows(&std::fs::read_to_string(files.path("1").join("sweep-runs.csv")).unwrap());
    assert_eq!(runs.len(), 6 * 4);
    let points = rows(&std::fs::read_to_string(files.path("1").join("sweep.csv")).unwrap());
    for (at, point) in points.iter().enumerate() {
        let of: Vec<f64> = runs[at * 4..at * 4 + 4].iter().map(|r| number(r, "clients.users.rate")).collect();
        let mean = of.iter().sum::<f64>() / 4.0;
        assert!((mean - number(point, "clients.users.rate mean")).abs() < 1e-9 * mean);
    }
    // Run k of all points is played on the same random numbers: as many workers as one likes, the same requests come.
    let rate = |at: usize| number(&runs[at], "clients.users.rate");
    assert!((0..12).all(|at| rate(at) == rate(at + 12)));
    assert_ne!(rate(0), rate(1));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(files.path("1").join("sweep.json")).unwrap()).unwrap();
    assert_eq!(json["points"][5]["settings"], serde_json::json!([2.0, 2.0]));
    assert_eq!(json["points"][5]["measures"][0]["per_run"].as_array().unwrap().len(), 4);
}

#[test]
fn flags_ask_of_a_bare_topology() {
    let files = Files::new(SYSTEM, None);
    let csv = printed(
        &[
            "sweep",
            "topology.ron",
            "--over",
            "services.server.workers=1..3/10",
            "--duration",
            "12s",
            "--runs",
            "2",
            "--measure",
            "P(clients.users.error_ratio < 1%)",
            "--format",
            "csv",
            "--no-out",
        ],
        &files,
    );
    let rows = rows(&csv);
    // Workers are whole: rounded, and each once.
    let workers: Vec<f64> = rows.iter().map(|r| number(r, "services.server.workers")).collect();
    assert_eq!(workers, [1.0, 2.0, 3.0]);
    assert!(rows.iter().all(|r| number(r, "P(clients.users.error_ratio < 1%) mean") == 1.0));
    // Whole stacks, names and quantities.
    let human = printed(
        &[
            "sweep",
            "topology.ron",
            "--over",
            "clients.users.timeout=10ms,1s",
            "--over",
            r#"services.server.endpoints.serve=[Wait("5ms")],[Wait("5ms"), Wait("5ms")]"#,
            "--duration",
            "12s",
            "--runs",
            "2",
            "--no-out",
        ],
        &files,
    );
    assert!(human.contains("error_ratio") && human.contains(r#"[Wait("5ms"), Wait("5ms")]"#), "{human}");
    assert!(
        human.contains("reproduce: brownout sweep topology.ron --over clients.users.timeout=10ms,1s"),
        "{human}"
    );
}

#[test]
fn a_latin_hypercube_spreads_its_points() {
    let files = Files::new(SYSTEM, Some(EXPERIMENT));
    let args = [
        "sweep",
        "experiment.ron",
        "--over",
        "load=0.5..1.5",
        "--over",
        "clients.users.timeout=10ms..10s log",
    ];
    let args: Vec<&str> =
        args.into_iter().chain(["--points", "8", "--runs", "1", "--format", "csv", "--no-out"]).collect();
    let found = rows(&printed(&args, &files));
    let parts = |column: &str, part: &dyn Fn(f64) -> f64| {
        let mut parts: Vec<usize> = found.iter().map(|r| part(number(r, column)) as usize).collect();
        parts.sort_unstable();
        parts
    };
    let all: Vec<usize> = (0..8).collect();
    assert_eq!(parts("load", &|v| (v - 0.5) * 8.0), all);
    assert_eq!(parts("clients.users.timeout", &|v| (v / 0.01).log10() / 3.0 * 8.0), all);
    let other: Vec<&str> = args.iter().copied().chain(["--seed", "7"]).collect();
    assert_ne!(found[0]["load"], rows(&printed(&other, &files))[0]["load"]);
}

#[test]
fn what_happens_on_the_timeline_is_a_setting() {
    let files = Files::new(SYSTEM, Some(EXPERIMENT));
    let csv = |path: &str| {
        let over = format!("{path}=1,3");
        let args =
            ["sweep", "experiment.ron", "--measure", "clients.users.rate during(surge)", "--over", &over];
        let args: Vec<&str> = args.into_iter().chain(["--format", "csv", "--no-out"]).collect();
        printed(&args, &files)
    };
    let paths =
        ["timeline.0.action.factor", "timeline.0.Spike.factor", "timeline.0.factor", "timeline.surge.factor"];
    let all: Vec<String> = paths.iter().map(|path| csv(path).replace(path, "factor")).collect();
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    let rate = |row: usize| number(&rows(&all[0])[row], "clients.users.rate during(surge) mean");
    // 800 and 2,400 requests: the standard error of the quotient is 4 %, less what they have in common.
    assert!((rate(1) / rate(0) - 3.0).abs() < 0.3, "{} {}", rate(0), rate(1));
    let when = printed(
        &[
            "sweep",
            "experiment.ron",
            "--over",
            "timeline.surge.at=10s,30s",
            "--over",
            "timeline.Spike.lasts=1s,2s",
            "--measure",
            "at(12s) of clients.users.rate",
            "--runs",
            "2",
            "--format",
            "csv",
            "--no-out",
        ],
        &files,
    );
    assert_eq!(rows(&when).len(), 4);
    let mistake =
        refused(&["sweep", "experiment.ron", "--over", "timeline.storm.factor=1,2", "--no-out"], &files);
    assert!(mistake.contains("`timeline` has no element `storm`"), "{mistake}");
}

#[test]
fn a_point_that_overloads_says_so() {
    let files = Files::new(SYSTEM, None);
    let args =
        ["sweep", "topology.ron", "--over", "load=1,4", "--measure", "p(99) of clients.users.latency < 1h"];
    let csv: Vec<&str> = args.into_iter().chain(["--runs", "3", "--no-out", "--format", "csv"]).collect();
    let found = rows(&printed(&csv, &files));
    let overloaded: Vec<&str> = found.iter().map(|r| r["overloaded"].as_str()).collect();
    assert_eq!(overloaded, ["false", "true"]);
    // It is below any limit that is long enough, but not for good.
    let verdicts: Vec<&str> =
        found.iter().map(|r| r["p(99) of clients.users.latency < 1h verdict"].as_str()).collect();
    assert_eq!(verdicts, ["held", "inconclusive"]);
    let human: Vec<&str> = args.into_iter().chain(["--runs", "3", "--no-out"]).collect();
    let human = printed(&human, &files);
    assert!(human.contains("Requests pile up") && human.contains("users: "), "{human}");
    let line = human.lines().find(|line| line.trim_start().starts_with("4 ")).unwrap();
    assert!(line.contains("? (") && !line.contains('±'), "{line}");
}

#[test]
fn mistakes_are_found_before_anything_is_played() {
    let files = Files::new(SYSTEM, Some(EXPERIMENT));
    let says = |args: &[&str], words: &[&str]| {
        let args: Vec<&str> =
            ["sweep", "experiment.ron", "--no-out"].into_iter().chain(args.iter().copied()).collect();
        let said = refused(&args, &files);
        assert!(words.iter().all(|word| said.contains(word)), "{args:?}: {said}");
    };
    says(
        &["--over", "load=1,2", "--over", "services.server.workers=1,0"],
        &["point 2 of 4 makes no sense: load=1, services.server.workers=0", "--over:1:27"],
    );
    says(&["--over", "services.server.wrkers=1,2"], &["did you mean `workers`?"]);
    says(&["--over", "load=0,2"], &["`load` is a factor greater than 0, not the number 0"]);
    says(&["--over", "load=1s,2s"], &["`load` is a factor"]);
    says(&["--over", "load=2..1"], &["must end above its beginning"]);
    says(&["--over", "clients.users.timeout=1..10s"], &["units of one kind"]);
    says(&["--over", "clients.users.timeout=0s..2s log"], &["must begin above 0"]);
    says(&["--over", "load=1..2/1"], &["at least 2 values"]);
    says(&["--over", "load=1..2/5", "--points", "5"], &["draws from the whole range"]);
    says(&["--over", "load=1..2", "--points", "1"], &["at least 2 points"]);
    says(
        &["--over", "load=1..2/10000", "--over", "services.server.workers=1,2,3,4,5,6,7,8,9,10,11"],
        &["110000 points"],
    );
    says(&["--over", "runs=1,2"], &["the same for all points"]);
    says(&["--over", "load=1,2", "--over", "load=3,4"], &["`load` is swept twice"]);
    says(&["--over", "load"], &["a swept setting is written PATH=VALUES"]);
    says(&["--over", "variant=narrow,wied"], &["point 2 of 2", "did you mean `wide`?"]);
    says(&["--variant", "wied"], &["there is no variant `wied`", "did you mean `wide`?"]);
    says(&["--measure", "clients.users.latncy.p99"], &["there is no metric `clients.users.latncy.p99`"]);
    says(&["--measure", "clients.users.rate <"], &["expected a limit"]);
    says(&["--format", "junit"], &["`sweep` has no format `junit`"]);
    let plain =
        EXPERIMENT.replace("sweep: Sweep(", "sweep: Sweep(variant: None, ").replace("variant: \"wide\",", "");
    files.write("experiment.ron", &plain);
    says(&[], &["there are several variants", "--over variant=narrow,wide"]);
    let bare = Files::new(SYSTEM, None);
    let said = refused(&["sweep", "topology.ron", "--no-out"], &bare);
    assert!(said.contains("nothing is swept") && said.contains("--over"), "{said}");
}

/// A small sweep of 200 points.
const POINTS: [&str; 12] = [
    "sweep",
    "topology.ron",
    "--over",
    "services.server.workers=1,2,3,4,5,6,7,8",
    "--over",
    "load=0.5..1.5/25",
    "--runs",
    "2",
    "--duration",
    "20s",
    "--format",
    "csv",
];

fn begun(files: &Files, folder: &str) -> Child {
    let mut command = command(&POINTS, &files.path(""));
    command.args(["--out", folder]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the command starts")
}

/// Every file of a folder but those that were never finished.
fn whole(files: &Files, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(files.path(folder)).unwrap().map(|e| e.unwrap());
    let named = entries.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path()));
    let finished = named.filter(|(name, _)| !name.starts_with('.'));
    finished.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

/// SplitMix64, for moments.
fn share(state: &mut u64) -> f64 {
    *state = brownout::base::mix(*state, 1);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn killed_ten_times_a_sweep_ends_with_the_same_bytes() {
    let files = Files::new(SYSTEM, None);
    let start = Instant::now();
    let undisturbed = begun(&files, "undisturbed").wait_with_output().unwrap();
    let took = start.elapsed();
    assert!(undisturbed.status.success(), "{}", text(&undisturbed.stderr));
    let expected = whole(&files, "undisturbed");
    assert_eq!(rows(&text(&undisturbed.stdout)).len(), 200);
    let (mut kills, mut moments, mut taken_over) = (0, 42, 0);
    while kills < 10 {
        let mut child = begun(&files, "killed");
        std::thread::sleep(took.mul_f64(0.05 + 0.3 * share(&mut moments)));
        if child.try_wait().unwrap().is_some() {
            // It was done before its time had come: once more from the start.
            assert!(whole(&files, "killed") == expected);
            std::fs::remove_dir_all(files.path("killed")).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let journal = files.path("killed").join("sweep.journal");
        let lines = std::fs::read(journal).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count());
        taken_over = taken_over.max(lines.saturating_sub(1));
    }
    assert!(taken_over > 0, "no kill struck while points were played");
    let output = begun(&files, "killed").wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stdout == undisturbed.stdout);
    assert!(whole(&files, "killed") == expected);
}

#[cfg(unix)]
#[test]
fn interrupted_a_sweep_ends_with_130_and_goes_on() {
    let files = Files::new(SYSTEM, None);
    let child = begun(&files, "out");
    let journal = files.path("out").join("sweep.journal");
    let patience = Instant::now();
    let lines = || std::fs::read(&journal).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count());
    while lines() < 5 {
        assert!(patience.elapsed() < Duration::from_secs(60), "nothing was played");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        output.stdout.is_empty() && said.contains("interrupted after") && said.contains("goes on"),
        "{said}"
    );
    // What is there belongs to this sweep, and to no other.
    let other: Vec<&str> = POINTS.into_iter().chain(["--out", "out", "--seed", "7"]).collect();
    let refusal = refused(&other, &files);
    assert!(refusal.contains("--fresh starts anew"), "{refusal}");
    let known = lines() - 1;
    let output = begun(&files, "out").wait_with_output().unwrap();
    assert!(output.status.success());
    let expected = format!("{known} of 400 runs are taken over");
    assert!(text(&output.stderr).contains(&expected), "{expected}: {}", text(&output.stderr));
    assert!(!journal.exists());
}
