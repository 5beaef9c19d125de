//! `brownout validate` as a user meets it: what it prints, what it writes, and how it ends.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use std::path::Path;
use std::process::{Command, Output};

/// An M/M/infinity queue of mean 2, of which theory says `values`.
fn system(values: &str) -> String {
    format!(
        r#"Experiment(
            topology: Topology(
                name: "t",
                clients: {{ "users": Clients(arrivals: Poisson("20/s"), requests: {{ "server/serve": 1 }}) }},
                services: {{ "server": Service(endpoints: {{ "serve": [ Wait(Exponential("100ms")) ] }}) }},
            ),
            warmup: "2s", duration: "102s", runs: 5, series: false,
            theory: Theory(source: "Takacs 1962", values: {{ {values} }}),
        )"#
    )
}

const RIGHT: &str = r#""in_flight": Value(of: "services.server.in_flight", is: 2.0, within: "10%"),
    "median": Value(of: "p(50) of services.server.in_flight", is: 2.0, within: "0%", over: Median)"#;
const WRONG: &str = r#""in_flight": Value(of: "services.server.in_flight", is: 3.0, within: "10%")"#;
const VAGUE: &str = r#""in_flight": Value(of: "services.server.in_flight", is: 2.0, within: "10%"),
    "latency": Value(of: "max of clients.users.latency", is: 0.85, within: "20%")"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("writable");
    }
    folder
}

fn validate(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.arg("validate").args(args).current_dir(folder).env_remove("BROWNOUT_SEED").env_remove("NO_COLOR");
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn systems_that_agree_end_with_0_and_leave_three_tables() {
    let right = system(RIGHT);
    let folder =
        folder(&[("models/a.ron", &right), ("models/deep/b.ron", &right), ("models/c.txt", "no model")]);
    let (code, out, err) = validate(folder.path(), &["models"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("a (Takacs 1962)\n") && out.contains("\nb (Takacs 1962)\n"), "{out}");
    assert!(out.contains("2 systems, 4 values: 4 agree\n"), "{out}");
    let file = |name: &str| {
        std::fs::read_to_string(folder.path().join("out/validation").join(name)).expect("a file")
    };
    assert_eq!(file("validation.md").matches("| agrees |").count(), 4);
    assert_eq!(file("validation.csv").lines().count(), 5);
    let json: serde_json::Value = serde_json::from_str(&file("validation.json")).expect("JSON");
    assert_eq!(json[1]["system"], "b");
    assert_eq!(json[0]["values"][0]["reference"], 2.0);
    assert_eq!(json[0]["values"][0]["verdict"], "held");
    let (_, printed, _) = validate(folder.path(), &["models", "--no-out", "--format", "json"]);
    assert_eq!(printed, file("validation.json"));
    let (code, quiet, _) = validate(folder.path(), &["models", "--no-out", "--quiet"]);
    assert_eq!(code, Some(0));
    assert!(quiet.starts_with("2 systems, 4 values: 4 agree\n"), "{quiet}");
}

#[test]
fn the_same_seed_gives_the_same_table_on_any_number_of_threads() {
    let folder = folder(&[("a.ron", &system(RIGHT))]);
    let one = validate(folder.path(), &["a.ron", "--no-out", "--jobs", "1"]);
    assert_eq!(one, validate(folder.path(), &["a.ron", "--no-out", "--jobs", "3"]));
    assert_ne!(one, validate(folder.path(), &["a.ron", "--no-out", "--seed", "7"]));
}

#[test]
fn what_disagrees_ends_with_1_and_what_cannot_be_told_with_3() {
    let folder = folder(&[("wrong.ron", &system(WRONG)), ("vague.ron", &system(VAGUE))]);
    let (code, out, _) = validate(folder.path(), &["wrong.ron", "--no-out"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("  ✗ in_flight") && out.contains("1 disagree"), "{out}");
    let (code, out, _) = validate(folder.path(), &["vague.ron", "--no-out", "--runs", "2"]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("inconclusive"), "{out}");
    let (code, out, _) = validate(folder.path(), &["wrong.ron", "vague.ron", "--no-out", "--quiet"]);
    assert_eq!(code, Some(1));
    assert!(out.contains('✗') && !out.contains('✓'), "{out}");
    // A wrong setting makes a right system disagree.
    let set = ["wrong.ron", "--no-out", "--set", "clients.users.arrivals.rate=30/s"];
    assert_eq!(validate(folder.path(), &set).0, Some(0));
    // `run` judges by theory, too.
    let mut run = Command::new(env!("CARGO_BIN_EXE_brownout"));
    let output =
        run.args(["run", "wrong.ron", "--no-out"]).current_dir(folder.path()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Theory: Takacs 1962"));
}

#[test]
fn nothing_to_compare_is_an_error() {
    let topology = "Topology(name: \"t\")";
    let whole = system(RIGHT);
    let no_theory = format!("{})", whole.split("theory:").next().expect("its beginning"));
    let broken = system("\"x\": Value(of: \"services.server.in_flght\", is: 1)");
    let folder = folder(&[
        ("models/t.ron", topology),
        ("empty/readme.md", ""),
        ("theory/none.ron", &system("")),
        ("broken.ron", &broken),
        ("plain.ron", &no_theory),
        ("no-source.ron", &whole.replace("Takacs 1962", "")),
    ]);
    for (args, words) in [
        (&["models"][..], "no file states what theory says"),
        (&["models/t.ron"], "error"),
        (&["empty"], "there is no .ron file in empty"),
        (&["nowhere.ron"], "cannot open nowhere.ron"),
        (&["theory/none.ron"], "`values` is empty"),
        (&["broken.ron"], "did you mean"),
        (&["no-source.ron"], "`source` is empty"),
        (&[], "cannot open models/oracle"),
        (&["plain.ron"], "plain.ron does not state what theory says of it"),
        (&["broken.ron", "--runs", "0"], "--runs"),
    ] {
        let (code, out, err) = validate(folder.path(), args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?}: {err}");
    }
    assert!(!folder.path().join("out").exists(), "nothing is written");
}
