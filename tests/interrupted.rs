//! Long work that is interrupted: what was finished is kept, and whoever goes on ends with the bytes of a run that
//! nothing disturbed.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SYSTEM: &str = r#"Topology(
    name: "long",
    clients: { "users": Clients(arrivals: Poisson("400/s"), requests: { "shop/buy": 1 }) },
    services: { "shop": Service(replicas: 2, workers: 8, endpoints: { "buy": [ Wait(Exponential("20ms")) ] }) },
)"#;

const EXPERIMENT: &str = r#"Experiment(
    name: "long work",
    topology: "long.ron",
    variants: { "narrow": { "services.shop.workers": 7 }, "wide": {} },
    warmup: "1s",
    duration: "31s",
    runs: 100,
    expect: { "wide": [ "clients.users.latency.p99 > 1s" ] },
)"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("long.ron"), SYSTEM).unwrap();
    std::fs::write(folder.path().join("work.ron"), EXPERIMENT).unwrap();
    folder
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(args).args(["--jobs", "2"]).current_dir(folder).env_remove("BROWNOUT_SEED");
    command
}

fn brownout(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

/// Begins, and waits until some runs are kept.
fn begun(folder: &Path, args: &[&str]) -> Child {
    let mut command = command(folder, args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    let partial = folder.join("out/long work/long-work.partial");
    // Several runs: each has half a minute of series.
    while std::fs::metadata(&partial).map_or(0, |m| m.len()) < 60_000 {
        assert!(since.elapsed() < Duration::from_secs(120), "nothing is kept");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// How many runs a resumed process went on after.
fn went_on_after(output: &Output) -> usize {
    let text = err(output);
    let count = text.strip_prefix("going on after ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() {
    let folder = folder();
    let folder = folder.path();
    let whole = brownout(folder, &["run", "work.ron"]);
    assert_eq!((whole.status.code(), err(&whole).as_str()), (Some(1), ""));
    let results = folder.join("out/long work");
    let expected = files(&results);
    assert!(!expected.contains_key("long-work.partial"));
    std::fs::remove_dir_all(&results).unwrap();

    // Ctrl-C: what is under way is finished, what is done is kept and summed up.
    let child = begun(folder, &["run", "work.ron"]);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", err(&output));
    assert!(
        err(&output).contains("go on with: brownout run work.ron --seed 42 --runs 100 --resume\n"),
        "{}",
        err(&output)
    );
    let summary = out(&output);
    assert!(
        summary.contains("long work (interrupted)") && summary.contains("of 100 runs of each variant"),
        "{summary}"
    );
    assert!(summary.ends_with("--resume\n"), "{summary}");
    assert_eq!(files(&results).into_keys().collect::<Vec<_>>(), ["long-work.partial"]);

    // Other inputs are refused, and leave it as it is.
    let partial = files(&results);
    for (flags, words) in [
        (&["--seed", "7"][..], "is of other inputs: seed 42 instead of seed 7"),
        (&["--runs", "101"], "is of other inputs: 100 runs instead of 101 runs"),
        (
            &["--set", "services.shop.workers=9"],
            "is of other inputs: no --set instead of --set services.shop.workers=9",
        ),
    ] {
        let output = brownout(folder, &[&["run", "work.ron", "--resume"], flags].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(words), "{}", err(&output));
        assert!(files(&results) == partial);
    }

    // Killed, after it has gone on for a while.
    let kept = partial["long-work.partial"].len() as u64;
    let mut child = command(folder, &["run", "work.ron", "--resume"]).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while std::fs::metadata(results.join("long-work.partial")).unwrap().len() < kept + 60_000 {
        assert!(since.elapsed() < Duration::from_secs(120), "nothing more is kept");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "KILL");
    assert_eq!(child.wait().unwrap().code(), None);
    assert_eq!(files(&results).into_keys().collect::<Vec<_>>(), ["long-work.partial"]);

    // Whoever dies in the middle of writing leaves half a run.
    let path = results.join("long-work.partial");
    let torn = std::fs::read(&path).unwrap();
    std::fs::write(&path, &torn[..torn.len() - 77]).unwrap();

    let output = brownout(folder, &["run", "work.ron", "--resume"]);
    assert_eq!(output.status.code(), Some(1));
    let kept = went_on_after(&output);
    assert!((4..200).contains(&kept), "{kept}");
    assert_eq!(out(&output), out(&whole));
    assert!(files(&results) == expected, "the results are not those of an undisturbed run");
}

#[test]
fn what_is_damaged_is_played_again() {
    let folder = folder();
    let folder = folder.path();
    let child = begun(folder, &["run", "work.ron", "--runs", "60"]);
    signal(&child, "KILL");
    child.wait_with_output().unwrap();
    let path = folder.join("out/long work/long-work.partial");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let resumed = brownout(folder, &["run", "work.ron", "--runs", "60", "--resume"]);
    assert!(resumed.status.code() == Some(1) && went_on_after(&resumed) < 120);
    let results = files(&folder.join("out/long work"));
    assert!(!results.contains_key("long-work.partial"));
    let whole = brownout(folder, &["run", "work.ron", "--runs", "60"]);
    assert_eq!((out(&resumed), err(&whole).as_str()), (out(&whole), ""));
    assert!(files(&folder.join("out/long work")) == results);
    // No header, no runs.
    std::fs::write(&path, &bytes[..100]).unwrap();
    let output = brownout(folder, &["run", "work.ron", "--runs", "2", "--resume"]);
    assert!(err(&output).contains("note: there are no runs in"), "{}", err(&output));
    std::fs::write(&path, "something else altogether").unwrap();
    let output = brownout(folder, &["run", "work.ron", "--runs", "2", "--resume"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("this is no file of runs"), "{}", err(&output));
}

#[test]
fn two_processes_do_not_write_to_one_file() {
    let folder = folder();
    let folder = folder.path();
    let mut child = begun(folder, &["run", "work.ron", "--runs", "1000"]);
    let second = brownout(folder, &["run", "work.ron", "--runs", "2"]);
    assert!(err(&second).contains("note: another process keeps its runs"), "{}", err(&second));
    assert_eq!(second.status.code(), Some(1));
    let third = brownout(folder, &["run", "work.ron", "--runs", "1000", "--resume"]);
    assert!(
        third.status.code() == Some(2) && err(&third).contains("another process is at it"),
        "{}",
        err(&third)
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_interrupted_shard_leaves_nothing() {
    let folder = folder();
    let folder = folder.path();
    let args = ["run", "work.ron", "--runs", "4000", "--shard", "1/2", "--out", "shards"];
    let child = command(folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while !folder.join("shards").exists() || files(&folder.join("shards")).is_empty() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(130), ""));
    assert!(err(&output).contains("no shard was written"), "{}", err(&output));
    assert!(files(&folder.join("shards")).is_empty());
}
