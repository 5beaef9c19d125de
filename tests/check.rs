//! `brownout check` as a CI service meets it: a configuration change that makes the outcome worse fails the build, and
//! other dice do not.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use saphyr::{LoadableYamlNode, Yaml};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An M/M/1 queue with a load of one half, which all dice treat alike.
const TOPOLOGY: &str = r#"Topology(
    name: "one worker",
    include: ["parts.ron"],
    clients: { "users": Clients(arrivals: Poisson("50/s"), requests: { "server/serve": 1 }) },
)"#;

const PARTS: &str = r#"Topology(
    name: "parts",
    services: { "server": Service(
        workers: 1,
        endpoints: { "serve": [ Wait(Empirical(file: "times.csv")), Wait(Exponential("10ms")) ] },
    ) },
)"#;

/// The second line of its expectations is the tenth of the file.
const EXPERIMENT: &str = r#"Experiment(
    topology: "../models/one.ron",
    warmup: "2s",
    duration: "42s",
    runs: 6,
    variants: { "plain": {}, "wide": { "services.server.workers": 2 } },
    expect: {
        "plain": [
            "p(99) of clients.users.latency < 10s",
            "clients.users.error_ratio < 1%",
        ],
    },
)"#;

/// A repository with all of it committed, and a baseline if one is wanted.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self::without_git();
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit();
        repository
    }

    fn without_git() -> Self {
        let repository = Self(tempfile::tempdir().expect("a folder"));
        repository.write("models/one.ron", TOPOLOGY);
        repository.write("models/parts.ron", PARTS);
        repository.write("models/times.csv", "0.000001\n0.000002\n");
        repository.write("experiments/x.ron", EXPERIMENT);
        repository
    }

    fn with_baseline() -> Self {
        let repository = Self::new();
        let (code, out, err) = repository.check(&["--update-baselines"]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        repository.commit();
        repository
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("writable");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("readable")
    }

    /// Changes a text of a file that must have it.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, &text.replace(from, to));
    }

    fn git(&self, args: &[&str]) {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").args(who).args(args).current_dir(self.0.path()).output();
        let output = output.expect("git is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "t"]);
    }

    fn check(&self, args: &[&str]) -> (Option<i32>, String, String) {
        self.brownout(&[&["check"], args].concat())
    }

    fn brownout(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
        command.args(args).current_dir(self.0.path()).env_remove("BROWNOUT_SEED").env("NO_COLOR", "1");
        // Whoever runs the tests may do so in a hook of git's.
        command.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE");
        let Output { status, stdout, stderr } = command.output().expect("the command starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }
}

const SLOWER: (&str, &str) = ("Exponential(\"10ms\")", "Exponential(\"10.3ms\")");

#[test]
fn the_same_files_are_green_and_their_baseline_keeps_its_bytes() {
    let repository = Repository::with_baseline();
    let (code, out, err) = repository.check(&[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("experiments/x.ron (2 variants × 6 runs, seed 42)\n"), "{out}");
    // Five measures of each variant, what the expectations are about among them.
    assert!(out.contains("baseline: 10 the same\n"), "{out}");
    assert!(out.ends_with("reproduce: brownout check experiments\n"), "{out}");
    let bytes = repository.read("experiments/x.baseline.json");
    assert!(bytes.len() < 4096 && bytes.lines().count() < 30, "{bytes}");
    let (_, out, _) = repository.check(&["experiments/x.ron", "--update-baselines", "--jobs", "1"]);
    assert!(out.contains("baseline unchanged: experiments/x.baseline.json (10 measures)"), "{out}");
    assert_eq!(repository.read("experiments/x.baseline.json"), bytes);
    assert_eq!(repository.check(&["--quiet"]), (Some(0), String::new(), String::new()));
}

#[test]
fn a_change_that_makes_p99_a_few_per_cent_worse_fails_the_build() {
    let repository = Repository::with_baseline();
    repository.edit("models/parts.ron", SLOWER.0, SLOWER.1);
    let (code, out, _) = repository.check(&[]);
    assert_eq!(code, Some(1), "{out}");
    let lines: Vec<&str> = out.lines().filter(|l| l.contains("✗ experiments/x.ron: plain: p99 of")).collect();
    let [line] = lines.as_slice() else { panic!("{out}") };
    let (_, by) = line.split_once("p99 of clients.users.latency got worse by ").expect("by how much");
    let by: f64 = by.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    // Three per cent more work at half the load: the mean of an M/M/1 queue grows by 6 %, and so do its quantiles.
    assert!((4.0..9.0).contains(&by), "{line}");
    assert!(line.contains(" %): ") && line.contains("ms, was "), "{line}");
    // On github.com it stands at the variant of the experiment.
    let (code, out, _) = repository.check(&["--format", "github"]);
    assert_eq!(code, Some(1));
    let title = "::error file=experiments/x.ron,line=6,col=17,title=brownout%3A regression::plain: ";
    let line = out.lines().find(|l| l.starts_with(title)).unwrap_or_else(|| panic!("{out}"));
    assert!(
        line.contains("%0Ap99 of clients.users.latency got worse by ") && line.contains(" %25 ("),
        "{line}"
    );
    // Who accepts it says so, and it is the baseline from then on.
    let (code, out, _) = repository.check(&["--update-baselines"]);
    assert!(
        code == Some(0) && out.contains("accepted: plain: p99 of clients.users.latency got worse"),
        "{out}"
    );
    assert_eq!(repository.check(&[]).0, Some(0));
    // The way back is an improvement, which fails nothing.
    repository.edit("models/parts.ron", SLOWER.1, SLOWER.0);
    let (code, out, _) = repository.check(&[]);
    assert_eq!(code, Some(0));
    assert!(out.contains("✓ experiments/x.ron: plain: p99 of clients.users.latency got better by"), "{out}");
    assert!(
        out.contains("to keep what is now: brownout check experiments/x.ron --update-baselines"),
        "{out}"
    );
}

#[test]
fn other_dice_alone_are_no_regression_and_a_large_one_shows_through_them() {
    let repository = Repository::with_baseline();
    for seed in ["7", "8", "9"] {
        let (code, out, _) = repository.check(&["--seed", seed]);
        assert_eq!(code, Some(0), "{out}");
        assert!(
            out.contains(&format!("(seed {seed} and 6 runs, the baseline has seed 42 and 6 runs")),
            "{out}"
        );
    }
    let (code, out, _) = repository.check(&["--runs", "4"]);
    assert!(code == Some(0) && out.contains("compared without pairs"), "{out}");
    repository.edit("models/parts.ron", SLOWER.0, "Exponential(\"16ms\")");
    assert_eq!(repository.check(&["--seed", "7"]).0, Some(1));
}

/// Of 100 changes of the seed alone, at most 5 may look like a regression.
#[test]
#[expect(clippy::print_stdout, reason = "how many there are is worth knowing")]
fn a_hundred_changes_of_the_seed_are_hardly_ever_a_regression() {
    let (alarms, improvements) = false_alarms(100);
    println!("{alarms} false alarms and {improvements} false improvements in 100 changes of the seed");
    assert!(alarms <= 5 && improvements <= 5, "{alarms} and {improvements} of 100");
}

fn false_alarms(changes: u64) -> (usize, usize) {
    use brownout::experiment::check::{ChangeVerdict, answer, compare, question};
    use brownout::experiment::{Changes, team::Team};
    use brownout::spec::load::Loader;
    // Noisy on purpose, with a fault and rare errors, and without a tolerance that would hide anything.
    let system = r#"Experiment(
        topology: Topology(
            name: "t",
            clients: { "users": Clients(arrivals: Poisson("20/s"), requests: { "s/e": 1 }, timeout: "1s") },
            services: { "s": Service(workers: 1, queue: Queue(capacity: 20), endpoints: {
                "e": [ Wait(LogNormal(mean: "30ms", cv: 1.5)), Fail("0.5%") ] }) },
        ),
        duration: "20s", runs: 5,
        timeline: [ At("8s", Slow(target: "s", factor: 3, lasts: "3s")) ],
        recovery: Recovery(window: "1s", stable: "2s"),
        check: Check(tolerance: 0),
        expect: { "base": [ "P(recovered) >= 0%", "max of services.s.queue >= 0" ] },
    )"#;
    let team = Team::new(2).expect("threads");
    let taken = |seed: u64| {
        let mut loader = Loader::default();
        let document = loader.load_text("t", system);
        let changes = Changes { seed: Some(seed), ..Changes::default() };
        let question = document.and_then(|d| question(&mut loader, d, &changes));
        let question =
            question.unwrap_or_else(|| panic!("{}", loader.diagnostics.render(&loader.sources, false)));
        let baseline = answer(&question, &team, &()).expect("time goes by").baseline(&question, "0");
        (question, baseline)
    };
    let (_, mut before) = taken(1_000);
    let (mut alarms, mut improvements) = (0, 0);
    for change in 1..=changes {
        let (question, now) = taken(1_000 + change);
        let comparison = compare(&question, &now, &before, "b").expect("comparable");
        assert!(!comparison.is_paired && comparison.changes.len() == 11, "{}", comparison.changes.len());
        let any = |verdict| usize::from(comparison.changes.iter().any(|c| c.verdict == verdict));
        alarms += any(ChangeVerdict::Worse);
        improvements += any(ChangeVerdict::Better);
        before = now;
    }
    (alarms, improvements)
}

#[test]
fn what_fails_points_at_its_line_and_column() {
    let repository = Repository::new();
    repository.edit("experiments/x.ron", "clients.users.error_ratio < 1%", "clients.users.goodput < 10/s");
    let (code, out, _) = repository.check(&["--format", "github"]);
    assert_eq!(code, Some(1));
    let line = out.lines().next().expect("an annotation");
    let start = "::error file=experiments/x.ron,line=10,col=13,title=brownout%3A expectation failed::plain: \
                 clients.users.goodput < 10/s is failed: ";
    assert!(line.starts_with(start), "{out}");
    // An absurdly tight range is met by chance or not at all: the interval straddles it.
    let (_, out, _) = repository.check(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let failed = &json["files"][0]["expectations"][1];
    assert_eq!((failed["line"].as_u64(), failed["column"].as_u64()), (Some(10), Some(13)));
    assert_eq!((failed["verdict"].as_str(), json["failed"].as_u64()), (Some("failed"), Some(1)));
    assert!(failed["margin"].as_f64().is_some_and(|m| m < -30.0), "{failed}");
    assert!(failed["ci95"][0].is_number(), "{failed}");
}

#[test]
fn every_format_comes_from_one_run() {
    let repository = Repository::with_baseline();
    repository.edit("models/parts.ron", SLOWER.0, SLOWER.1);
    repository.write("experiments/bad.ron", "Experiment(topolgy: \"x\", duration: \"1s\", expect: {})");
    let outputs = ["--output", "junit=out/junit.xml", "--output", "markdown=out/summary.md"];
    let (code, out, err) = repository.check(&[&outputs[..], &["--format", "json"]].concat());
    // A mistake in one file is told, and the other is checked.
    assert_eq!(code, Some(2), "{out}");
    assert!(err.contains("experiments/bad.ron:1:12"), "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (json["wrong"].as_u64(), json["files"][0]["problems"][0]["line"].as_u64()),
        (Some(1), Some(1))
    );
    assert!(json["worse"].as_u64() > Some(0));
    assert_eq!(json["files"][1]["baseline"]["paired"], true);
    let change = &json["files"][1]["baseline"]["changes"][0];
    assert!(change["p_corrected"].is_number() && change["worse"] == "higher", "{change}");

    let xml = repository.read("out/junit.xml");
    let document = roxmltree::Document::parse(&xml).expect("XML");
    let named = |name: &'static str| document.descendants().filter(move |n| n.has_tag_name(name));
    assert_eq!(named("testsuite").count(), 2);
    assert_eq!(named("testcase").count(), 1 + 2 + 10);
    assert_eq!(named("error").count(), 1);
    assert_eq!(named("failure").count() as u64, json["worse"].as_u64().expect("a number"));
    let message = named("failure").find_map(|n| n.attribute("message")).expect("a message");
    assert!(message.contains("got worse by"), "{message}");

    let markdown = repository.read("out/summary.md");
    assert!(markdown.starts_with("### ❌ brownout check\n"), "{markdown}");
    assert!(
        markdown.contains("| ❌ | experiments/x.ron | plain | against the baseline | p99 of"),
        "{markdown}"
    );
    let (code, _, err) = repository.check(&["--format", "csv"]);
    assert!(code == Some(2) && err.contains("there is: human, json, junit, github, markdown"), "{err}");
}

#[test]
fn what_cannot_be_told_is_up_to_the_caller() {
    let repository = Repository::new();
    // Nobody can tell whether the mean of six runs is above that of six hundred.
    let (_, out, _) = repository.check(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let p99 = json["files"][0]["expectations"][0]["value"].as_f64().expect("a value");
    repository.edit("experiments/x.ron", "latency < 10s", &format!("latency < {}us", (p99 * 1e6) as u64));
    let code = |how: &[&str]| repository.check(how).0;
    assert_eq!(code(&[]), Some(3));
    assert_eq!(code(&["--on-inconclusive", "exit3"]), Some(3));
    assert_eq!(code(&["--on-inconclusive", "pass"]), Some(0));
    assert_eq!(code(&["--on-inconclusive", "fail"]), Some(1));
    let (_, out, _) = repository.check(&["--format", "github"]);
    assert!(out.starts_with("::warning file=experiments/x.ron,line=9,col=13,"), "{out}");
    let skipped = repository.check(&["--format", "junit"]).1;
    assert!(skipped.contains("<skipped") && !skipped.contains("<failure"), "{skipped}");
    let failed = repository.check(&["--format", "junit", "--on-inconclusive", "fail"]).1;
    assert!(failed.contains("<failure") && !failed.contains("<skipped"), "{failed}");
}

#[test]
fn nothing_to_check_is_a_mistake() {
    let repository = Repository::without_git();
    let (code, _, err) = repository.check(&["nowhere.ron"]);
    assert!(code == Some(2) && err.contains("cannot open nowhere.ron"), "{err}");
    std::fs::create_dir(repository.path("empty")).expect("a folder");
    let (code, _, err) = repository.check(&["empty"]);
    assert_eq!((code, err.as_str()), (Some(2), "error: there is no .ron file in empty\n"));
    // Topologies in a folder have nothing to check; with something else beside them they are counted.
    let (code, _, err) = repository.check(&["models"]);
    assert!(code == Some(2) && err.contains("there is nothing to check in models"), "{err}");
    let (code, out, _) = repository.check(&["models", "experiments"]);
    assert!(code == Some(0) && out.contains("2 skipped, with nothing to check"), "{out}");
    // Named, it is a mistake.
    let (code, _, err) = repository.check(&["models/one.ron", "experiments/x.ron"]);
    assert!(code == Some(2) && err.contains("there is nothing to check: no expectations"), "{err}");
    // Unless it has a baseline.
    assert_eq!(repository.check(&["models/one.ron", "--update-baselines"]).0, Some(0));
    let (code, out, _) = repository.check(&["models/one.ron"]);
    assert!(code == Some(0) && out.contains("baseline: 5 the same"), "{out}");
    for args in [&["--update-baselines", "--seed", "1"][..], &["--update-baselines", "--set", "runs=2"]] {
        assert_eq!(repository.check(args).0, Some(2));
    }
}

#[test]
fn a_baseline_that_cannot_be_used_says_why() {
    let repository = Repository::with_baseline();
    let kept = repository.read("experiments/x.baseline.json");
    let with = |from: &str, to: &str| {
        assert!(kept.contains(from), "{kept}");
        repository.write("experiments/x.baseline.json", &kept.replace(from, to));
        repository.check(&[])
    };
    let (code, _, err) = with("  \"seed\"", "<<<<<<< HEAD\n  \"seed\"");
    assert!(code == Some(2) && err.contains("--> experiments/x.baseline.json:4:"), "{err}");
    let (code, _, err) = with("\"brownout_baseline\": 1", "\"brownout_baseline\": 9");
    assert!(code == Some(2) && err.contains("format 9") && err.contains("--update-baselines"), "{err}");
    let (code, _, err) = with("\"duration_s\": 42.0", "\"duration_s\": 60.0");
    assert!(code == Some(2) && err.contains("runs of 60 s") && err.contains("now of 42 s"), "{err}");
    // Missing variants and measures, there or here, are inconclusive.
    let (code, out, _) = with("\"wide\"", "\"narrow\"");
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("wide: this variant is not in the baseline"), "{out}");
    assert!(out.contains("narrow: this variant is in the baseline, and no longer compared"), "{out}");
    let (code, out, _) = with("clients.users.goodput", "clients.users.gladness");
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("plain: `clients.users.goodput` is not in the baseline"), "{out}");
    assert!(out.contains("`clients.users.gladness` is in the baseline, and no longer measured"), "{out}");
    let (code, out, _) = with(env!("CARGO_PKG_VERSION"), "0.0.1");
    assert!(code == Some(0) && out.contains("the baseline was taken by brownout 0.0.1"), "{out}");
    // A new one mends it all, even a damaged one.
    assert_eq!(with("{", "[").0, Some(2));
    assert_eq!(repository.check(&["--update-baselines"]).0, Some(0));
    assert_eq!(repository.read("experiments/x.baseline.json"), kept);
}

#[test]
fn the_file_says_what_is_compared() {
    let repository = Repository::new();
    let with = |check: &str| {
        repository.write(
            "experiments/x.ron",
            &EXPERIMENT.replace("    expect:", &format!("    check: Check({check}),\n    expect:")),
        );
        repository.check(&["--update-baselines"])
    };
    let measures = r#"measures: [ "clients.users.goodput",
        Watch(of: "services.server.worker_utilization", worse: Higher, tolerance: "2%", absolute: "0.1%",
            variant: "plain") ], tolerance: "5%", variants: ["plain"]"#;
    let (code, out, _) = with(measures);
    assert!(code == Some(0) && out.contains("x.baseline.json (2 measures)"), "{out}");
    repository.edit("models/parts.ron", SLOWER.0, SLOWER.1);
    let (code, out, _) = repository.check(&[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("baseline: 1 the same, 1 worse"), "{out}");
    assert!(out.contains("plain: services.server.worker_utilization got worse by 3"), "{out}");
    // Within a tolerance of 5 % it is none.
    assert_eq!(repository.check(&["--set", "check.measures.1.tolerance=5%"]).0, Some(0));
    let (code, out, _) = with("baseline: false");
    assert!(code == Some(0) && !out.contains("baseline written"), "{out}");
    let (code, _, err) = with("measures: [ \"services.server.cpu_utilization\" ]");
    assert!(code == Some(2) && err.contains("say which") && err.contains("worse: Higher"), "{err}");
    let (code, _, err) = with("variants: [\"plane\"]");
    assert!(code == Some(2) && err.contains("did you mean `plain`?"), "{err}");
    let (code, _, err) = with("measures: [ Watch(of: \"clients.users.goodput\", absolute: \"1ms\") ]");
    assert!(code == Some(2) && err.contains("1ms"), "{err}");
}

#[test]
fn only_what_changed_is_checked() {
    let repository = Repository::with_baseline();
    repository.write("experiments/y.ron", &EXPERIMENT.replace("../models/one.ron", "../models/other.ron"));
    repository.write(
        "models/other.ron",
        &TOPOLOGY.replace("include: [\"parts.ron\"],", "include: [\"more.ron\"],"),
    );
    repository.write("models/more.ron", &PARTS.replace("times.csv", "more.csv"));
    repository.write("models/more.csv", "0.000001\n");
    repository.commit();
    let checked = |args: &[&str]| {
        let (code, out, err) = repository.check(&[&["--changed-only", "--format", "json"], args].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let files = json["files"].as_array().expect("a list").iter();
        let files: Vec<String> = files.filter_map(|f| Some(f["file"].as_str()?.to_string())).collect();
        assert_eq!(files.len() + json["unchanged"].as_u64().expect("a number") as usize, 2);
        files
    };
    // Nothing changed: nothing is wrong with that.
    assert!(checked(&[]).is_empty());
    let touched = [
        ("models/parts.ron", "experiments/x.ron"),
        ("models/more.csv", "experiments/y.ron"),
        ("models/other.ron", "experiments/y.ron"),
        ("experiments/x.ron", "experiments/x.ron"),
    ];
    for (touched, affected) in touched {
        let before = repository.read(touched);
        let comment = if touched.ends_with("csv") { "# more" } else { "// more" };
        repository.write(touched, &format!("{before}\n{comment}\n"));
        assert_eq!(checked(&[]), [affected], "{touched}");
        repository.write(touched, &before);
    }
    // A baseline that git does not know yet, and what other commits did.
    assert_eq!(repository.check(&["experiments/y.ron", "--update-baselines"]).0, Some(0));
    assert_eq!(checked(&[]), ["experiments/y.ron"]);
    repository.commit();
    assert!(checked(&[]).is_empty());
    assert_eq!(checked(&["--since", "HEAD~1"]), ["experiments/y.ron"]);
    assert_eq!(checked(&["--since", "HEAD~2"]), ["experiments/y.ron"]);
    let (code, _, err) = repository.check(&["--changed-only", "--since", "--nonsense"]);
    assert_eq!(code, Some(2), "{err}");
    let (code, _, err) = repository.check(&["--changed-only", "--since", "nowhere"]);
    assert!(code == Some(2) && err.contains("--since nowhere: git knows no such commit"), "{err}");
    let lonely = Repository::without_git();
    let (code, _, err) = lonely.check(&["--changed-only"]);
    assert!(
        code == Some(2) && err.contains("--changed-only asks git") && err.contains("not a git repo"),
        "{err}"
    );
}

fn in_this_repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(text: &str) -> Yaml<'_> {
    Yaml::load_from_str(text).expect("YAML").into_iter().next().expect("a document")
}

/// Runs a command line of an example, as a shell would take it apart, in a repository of its own.
fn run_example(repository: &Repository, command: &str) {
    let summary = repository.path("summary.md").display().to_string();
    let words = command.replace("\"$GITHUB_STEP_SUMMARY\"", &summary).replace("\\\n", " ");
    let mut words = words.split_whitespace();
    assert_eq!(words.next(), Some("brownout"), "{command}");
    let args: Vec<&str> = words.collect();
    let (code, out, err) = repository.brownout(&args);
    assert_eq!(code, Some(0), "{command}: {out}{err}");
}

#[test]
fn the_example_of_a_workflow_is_what_it_seems() {
    let text = in_this_repository("experiments/ci/github-actions.yml");
    let workflow = yaml(&text);
    let steps = workflow["jobs"]["check"]["steps"].as_vec().expect("steps");
    let runs: Vec<&str> = steps.iter().filter_map(|s| s.as_mapping_get("run")?.as_str()).collect();
    let commands: Vec<&str> = runs.into_iter().filter(|r| r.trim_start().starts_with("brownout")).collect();
    assert!(!commands.is_empty());
    let repository = Repository::with_baseline();
    for command in commands {
        run_example(&repository, command);
    }
    roxmltree::Document::parse(&repository.read("out/junit.xml")).expect("XML");
    assert!(repository.read("summary.md").starts_with("### ✅ brownout check"));
    // The whole history is there, which the merge base asks for, and what was written is kept.
    assert!(text.contains("fetch-depth: 0") && text.contains("path: out/junit.xml"), "{text}");
}

#[test]
fn the_examples_for_pre_commit_fit_together() {
    let (hooks, config) = (
        in_this_repository(".pre-commit-hooks.yaml"),
        in_this_repository("experiments/ci/pre-commit-config.yaml"),
    );
    let (hooks, config) = (yaml(&hooks), yaml(&config));
    let repository = Repository::with_baseline();
    let hooks = hooks.as_vec().expect("hooks");
    assert!(!hooks.is_empty());
    for hook in hooks {
        assert_eq!(hook["language"].as_str(), Some("rust"));
        // Topologies are no arguments of it.
        assert_eq!(
            (hook["pass_filenames"].as_bool(), hook["files"].as_str()),
            (Some(false), Some("\\.(ron|csv)$"))
        );
        run_example(&repository, hook["entry"].as_str().expect("an entry"));
    }
    let entry =
        |id: &str| hooks.iter().find(|h| h["id"].as_str() == Some(id)).and_then(|h| h["entry"].as_str());
    let mut used = 0;
    for hook in config["repos"].as_vec().expect("repositories")[0]["hooks"].as_vec().expect("hooks") {
        let id = hook["id"].as_str().expect("an id");
        let mut command = entry(id).unwrap_or_else(|| panic!("there is no hook {id}")).to_string();
        for arg in hook.as_mapping_get("args").and_then(|a| a.as_vec()).into_iter().flatten() {
            command += " ";
            command += arg.as_str().expect("a word");
        }
        run_example(&repository, &command);
        used += 1;
    }
    assert!(used > 0);
}
