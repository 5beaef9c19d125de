//! Many machines: shards that are played anywhere, in any order, and more than once, merge to the bytes of one machine;
//! whatever does not belong together is refused; engines are handed what they understand.

#![allow(clippy::disallowed_methods, reason = "tests of the command line may see the wall clock")]

use crate::support;

use brownout::experiment::ledger::{Ledger, LedgerError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};
use support::repository;

const SYSTEM: &str = r#"Topology(
    name: "small shop",
    clients: { "users": Clients(arrivals: Poisson("30/s"), requests: { "shop/buy": 1 }, timeout: "1s") },
    services: { "shop": Service(replicas: 2, workers: 4, endpoints: {
        "buy": [ Call("bank/charge", "bank"), Work(Empirical(file: "times.csv")) ] }) },
    externals: { "bank": External(latency: Exponential("20ms")) },
    policies: { "bank": [ Retry(max: 2) ] },
)"#;

const EXPERIMENT: &str = r#"Experiment(
    name: "bank is slow",
    topology: "models/shop.ron",
    variants: { "bare": {}, "guarded": { "policies.bank": [ Timeout("100ms") ] } },
    warmup: "1s",
    duration: "12s",
    runs: 8,
    timeline: [ At("4s", Slow(target: "bank", latency: Constant("3s"), lasts: "3s")) ],
    objectives: { "users": Objective(availability: "90%") },
    recovery: Recovery(window: "1s", stable: "1s"),
    alerts: { "slow": Threshold(
        metric: "clients.users.latency.p99", above: "500ms", for: "1s", interval: "1s", window: "1s",
    ) },
    expect: {
        "bare": [ "p(99) of clients.users.latency > 100ms", "P(recovered within 60s) >= 0.1" ],
        "guarded": [ "P(alerts.slow.fired <= 12s) <= 100%", "clients.users.error_ratio < 0.1%" ],
    },
)"#;

/// A folder with the shop and its experiment.
fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("models")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("models/shop.ron", SYSTEM);
    write("models/times.csv", "seconds\n0.004\n0.007\n0.012\n");
    write("slow bank.ron", EXPERIMENT);
    folder
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(args).current_dir(folder).env_remove("BROWNOUT_SEED");
    command
}

fn brownout(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Plays without a word about anything that went wrong.
#[track_caller]
fn quietly(folder: &Path, args: &[&str]) -> Output {
    let output = brownout(folder, args);
    assert!(output.stderr.is_empty(), "{args:?}: {}", text(&output.stderr));
    output
}

/// Ends with 2 and one message that has all the words.
#[track_caller]
fn refused(folder: &Path, args: &[&str], words: &[&str]) {
    let output = brownout(folder, args);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
    assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
    assert_eq!(message.matches("error: ").count(), 1, "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{args:?}: {message}");
}

/// All files of a folder by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_keys().collect()
}

/// Plays a file whole and in shards of every number, and compares what is left and what is said.
fn shards_are_the_whole(folder: &Path, file: &str, flags: &[&str], counts: &[u32]) {
    let whole = quietly(folder, &[&["run", file, "--out", "out"], flags].concat());
    let expected = files(&folder.join("out"));
    assert!(expected.contains_key("timeseries.csv") && expected.contains_key("latency.png"));
    for count in counts {
        let shards = format!("shards-{count}");
        let mut given = vec!["merge".to_string()];
        // From the last to the first, which are given in another order yet.
        for index in (1..=*count).rev() {
            let shard = format!("{index}/{count}");
            let played = [&["run", file, "--shard", &shard, "--out", &shards], flags].concat();
            let output = quietly(folder, &played);
            assert_eq!(output.status.code(), Some(0));
            let mut left = names(&folder.join(&shards));
            assert_eq!(left.len() as u32, count - index + 1, "{left:?}");
            left.retain(|name| name.ends_with(&format!(".{index}-of-{count}.shard")));
            let [name] = left.as_slice() else { panic!("{left:?}") };
            given.insert(1 + index as usize % given.len(), format!("{shards}/{name}"));
        }
        // One is played again, with other threads, and given twice.
        let again = files(&folder.join(&shards));
        quietly(
            folder,
            &[&["run", file, "--shard", &format!("1/{count}"), "--out", &shards, "--jobs", "3"], flags]
                .concat(),
        );
        assert!(again == files(&folder.join(&shards)), "a shard that was played again differs");
        given.push(given[1].clone());
        // The folder says the same.
        let folders = (*count == 3).then(|| vec!["merge".to_string(), shards.clone()]);
        for given in std::iter::once(given).chain(folders) {
            std::fs::rename(folder.join("out"), folder.join("whole")).unwrap();
            let given: Vec<&str> = given.iter().map(String::as_str).chain(["--out", "out"]).collect();
            let merged = quietly(folder, &given);
            let found = files(&folder.join("out"));
            assert_eq!(names(&folder.join("out")), expected.keys().cloned().collect::<Vec<_>>());
            for (name, bytes) in &expected {
                assert!(found[name] == *bytes, "{count} shards: {name} differs");
            }
            assert_eq!(text(&merged.stdout), text(&whole.stdout));
            assert_eq!(merged.status.code(), whole.status.code());
            std::fs::remove_dir_all(folder.join("whole")).unwrap();
        }
    }
}

#[test]
fn any_number_of_shards_merges_to_the_bytes_of_one_machine() {
    let folder = shop();
    shards_are_the_whole(folder.path(), "slow bank.ron", &[], &[1, 2, 3, 7, 8]);
}

#[test]
fn settings_seeds_and_runs_are_part_of_it() {
    let folder = shop();
    let flags = ["--set", "services.shop.replicas=3", "--seed", "7", "--runs", "3", "--duration", "9s"];
    shards_are_the_whole(folder.path(), "slow bank.ron", &flags, &[2, 8]);
    // A topology on its own is played in shards as well.
    let folder = shop();
    shards_are_the_whole(folder.path(), "models/shop.ron", &["--duration", "6s"], &[2]);
}

#[test]
fn a_little_of_everything_in_shards() {
    let folder = tempfile::tempdir().unwrap();
    let file = repository("experiments/smoke.ron");
    shards_are_the_whole(folder.path(), file.to_str().unwrap(), &["--runs", "8"], &[1, 2, 3, 7, 8]);
}

#[test]
fn merging_needs_no_other_file() {
    let (folder, elsewhere) = (shop(), tempfile::tempdir().unwrap());
    for index in 1..=2 {
        quietly(
            folder.path(),
            &["run", "slow bank.ron", "--runs", "2", "--shard", &format!("{index}/2"), "--out", "s"],
        );
    }
    let whole = quietly(folder.path(), &["run", "slow bank.ron", "--runs", "2", "--no-out"]);
    // A file of the same name that says something else does not confuse it.
    std::fs::write(elsewhere.path().join("slow bank.ron"), "nonsense").unwrap();
    let merged = quietly(elsewhere.path(), &["merge", folder.path().join("s").to_str().unwrap(), "--no-out"]);
    assert_eq!(text(&merged.stdout), text(&whole.stdout));
    assert_eq!(names(elsewhere.path()), ["slow bank.ron"]);
}

/// Plays `runs` runs of the experiment in shards.
fn play_shards(folder: &Path, into: &str, count: u32, flags: &[&str]) {
    for index in 1..=count {
        let shard = format!("{index}/{count}");
        quietly(folder, &[&["run", "slow bank.ron", "--shard", &shard, "--out", into], flags].concat());
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = shop();
    let folder = folder.path();
    let runs = ["--runs", "4"];
    play_shards(folder, "a", 2, &runs);
    let [a1, a2] = ["a/bank-is-slow.1-of-2.shard", "a/bank-is-slow.2-of-2.shard"];
    assert_eq!(names(&folder.join("a")), [&a1[2..], &a2[2..]]);
    // Missing.
    refused(folder, &["merge", a1], &["runs 2 to 3 of 4 are missing: shard 2/2"]);
    refused(folder, &["merge", a2, "--no-out"], &["runs 0 to 1 of 4 are missing: shard 1/2"]);
    std::fs::create_dir(folder.join("empty")).unwrap();
    refused(folder, &["merge", "empty"], &["there are no shards to merge"]);
    refused(folder, &["merge", "nowhere.shard"], &["nowhere.shard", "No such file"]);
    refused(folder, &["merge", "slow bank.ron"], &["slow bank.ron: this is no file of runs"]);
    // Of other inputs, each named.
    for (flags, words) in [
        (&["--seed", "7"][..], "seed 7 instead of seed 42"),
        (&["--set", "services.shop.replicas=3"], "--set services.shop.replicas=3 instead of no --set"),
        (&["--duration", "9s"], "--duration 9000000000ns instead of the duration of the file"),
        (&[], "5 runs instead of 4 runs"),
    ] {
        let other = if flags.is_empty() { vec!["--runs", "5"] } else { [&runs[..], flags].concat() };
        quietly(folder, &[&["run", "slow bank.ron", "--shard", "2/2", "--out", "b"], &other[..]].concat());
        refused(folder, &["merge", a1, "b"], &["b/bank-is-slow.2-of-2.shard does not belong to", a1, words]);
        std::fs::remove_dir_all(folder.join("b")).unwrap();
    }
    // So is a shard whose texts have changed, or the numbers that they read.
    std::fs::write(folder.join("models/times.csv"), "0.004\n0.007\n0.013\n").unwrap();
    quietly(folder, &["run", "slow bank.ron", "--shard", "2/2", "--out", "b", "--runs", "4"]);
    refused(folder, &["merge", a1, "b"], &["models/times.csv had another text"]);
    // Nothing was written by any of these.
    assert!(!folder.join("out").exists());
}

#[test]
fn overlapping_shards_are_taken_if_they_agree() {
    let folder = shop();
    let folder = folder.path();
    play_shards(folder, "a", 2, &["--runs", "4"]);
    play_shards(folder, "b", 3, &["--runs", "4"]);
    let one = quietly(folder, &["merge", "a", "--no-out"]);
    assert_eq!(quietly(folder, &["merge", "a", "b", "--no-out"]).stdout, one.stdout);
    // 1/2 has runs 0 and 1, 3/3 has 2 and 3.
    let mixed = ["merge", "a/bank-is-slow.1-of-2.shard", "b/bank-is-slow.3-of-3.shard", "--no-out"];
    assert_eq!(quietly(folder, &mixed).stdout, one.stdout);
}

#[test]
fn runs_that_are_missing_are_left_out_only_if_that_is_wanted_and_then_said() {
    let folder = shop();
    let folder = folder.path();
    play_shards(folder, "a", 4, &["--runs", "4"]);
    std::fs::remove_file(folder.join("a/bank-is-slow.2-of-4.shard")).unwrap();
    refused(folder, &["merge", "a", "--no-out"], &["run 1 of 4 is missing: shard 2/4"]);
    let output = quietly(folder, &["merge", "a", "--no-out", "--allow-missing", "--format", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = text(&output.stdout);
    assert!(found.contains("not all runs are there: these are 3 of 4 runs of each variant"), "{found}");
    assert!(found.contains("\"runs\": 3") || found.contains("\"runs\":3"), "{}", summary["runs"]);
}

#[test]
fn a_shard_is_not_played_again_if_that_is_not_wanted() {
    let folder = shop();
    let folder = folder.path();
    let play = ["run", "slow bank.ron", "--shard", "1/4", "--out", "a", "--runs", "4", "--resume"];
    let path = folder.join("a/bank-is-slow.1-of-4.shard");
    quietly(folder, &play);
    let whole = std::fs::read(&path).unwrap();
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert!(text(&quietly(folder, &play).stdout).contains("there already"));
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    // One that is cut is.
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let output = brownout(folder, &play);
    assert!(text(&output.stderr).contains("cut short") && output.status.success());
    assert!(std::fs::read(&path).unwrap() == whole);
    // One of other inputs is not touched.
    let other = [&play[..], &["--seed", "7"]].concat();
    refused(folder, &other, &["is of other inputs: seed 42 instead of seed 7"]);
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[test]
fn shards_have_no_results_of_their_own() {
    let folder = shop();
    let folder = folder.path();
    let run = ["run", "slow bank.ron", "--shard", "1/2"];
    let with = |flags: &[&'static str]| [&run[..], flags].concat();
    refused(folder, &with(&["--format", "json"]), &["--format and --output are for `brownout merge`"]);
    refused(folder, &with(&["--no-out"]), &["--no-out"]);
    refused(folder, &with(&["--shards", "3"]), &["--shard 1/2 and --shards 3 disagree"]);
    refused(folder, &["run", "slow bank.ron", "--shards", "3"], &["--shard"]);
    for wrong in ["0/2", "3/2", "2", "one/two"] {
        refused(folder, &["run", "slow bank.ron", "--shard", wrong], &["--shard"]);
    }
    assert!(!folder.join("out").exists());
}

#[test]
fn the_environment_says_which_shard() {
    let folder = shop();
    let folder = folder.path();
    play_shards(folder, "given", 3, &["--runs", "3"]);
    let expected = files(&folder.join("given"));
    type Variables = &'static [(&'static str, &'static str)];
    // What each engine sets for the last of three.
    let engines: [(Variables, &[&str]); 6] = [
        (&[("BROWNOUT_SHARD_INDEX", "2"), ("BROWNOUT_SHARD_COUNT", "3")], &[]),
        (
            &[
                ("SLURM_ARRAY_TASK_ID", "3"),
                ("SLURM_ARRAY_TASK_MIN", "1"),
                ("SLURM_ARRAY_TASK_MAX", "3"),
                ("SLURM_ARRAY_TASK_STEP", "1"),
                ("SLURM_ARRAY_TASK_COUNT", "3"),
            ],
            &[],
        ),
        (&[("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "3")], &[]),
        (&[("JOB_COMPLETION_INDEX", "2")], &["--shards", "3"]),
        (&[("CLOUD_RUN_TASK_INDEX", "2"), ("CLOUD_RUN_TASK_COUNT", "3")], &[]),
        (&[("HQ_TASK_ID", "3")], &["--shards", "3"]),
    ];
    let auto = ["run", "slow bank.ron", "--runs", "3", "--shard", "auto", "--out", "auto"];
    for (variables, flags) in engines {
        let output =
            command(folder, &[&auto[..], flags].concat()).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{variables:?}: {}", text(&output.stderr));
        let found = files(&folder.join("auto"));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["bank-is-slow.3-of-3.shard"]);
        assert!(found["bank-is-slow.3-of-3.shard"] == expected["bank-is-slow.3-of-3.shard"]);
        std::fs::remove_dir_all(folder.join("auto")).unwrap();
    }
    let disagree = command(folder, &auto)
        .envs([("CLOUD_RUN_TASK_INDEX", "2"), ("CLOUD_RUN_TASK_COUNT", "3"), ("JOB_COMPLETION_INDEX", "1")])
        .output()
        .unwrap();
    assert_eq!(disagree.status.code(), Some(2));
    assert!(text(&disagree.stderr).contains("2 by JOB_COMPLETION_INDEX and 3 by CLOUD_RUN_TASK_INDEX"));
    refused(folder, &auto, &["--shard auto: the environment has none of BROWNOUT_SHARD_INDEX"]);
}

/// A small shard, and the same again.
fn small_shard() -> Vec<u8> {
    let folder = shop();
    let flags = ["--runs", "2", "--duration", "9s", "--set", "series=false", "--out", "s"];
    quietly(folder.path(), &[&["run", "slow bank.ron", "--shard", "2/2"], &flags[..]].concat());
    files(&folder.path().join("s")).into_values().next().unwrap()
}

#[test]
fn no_byte_can_be_changed_and_none_be_cut_off() {
    let whole = small_shard();
    let open = |bytes: &[u8]| Ledger::open(Cursor::new(bytes.to_vec()));
    let is_whole = |bytes: &[u8]| open(bytes).is_ok_and(|ledger| ledger.fault().is_none());
    assert!(is_whole(&whole));
    let mut ledger = open(&whole).unwrap();
    let runs: Vec<(u32, usize)> = ledger.runs().collect();
    assert_eq!(runs, [(1, 0), (1, 1)]);
    assert!(ledger.run(1, 1).unwrap().is_some() && ledger.run(0, 0).unwrap().is_none());
    // Every seventh, and all of the first and the last hundred.
    let all = 0..whole.len();
    let tried = || all.clone().filter(|at| at % 7 == 0 || *at < 100 || *at + 100 > whole.len());
    for at in tried() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(!is_whole(&flipped), "byte {at} can be another");
        match open(&whole[..at]).map(|cut| cut.fault().cloned()) {
            Err(LedgerError::Cut(_)) | Ok(Some(LedgerError::Cut(_))) => {}
            other => panic!("cut at {at}: {other:?}"),
        }
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(!is_whole(&longer) && !is_whole(b"") && !is_whole(b"Experiment(topology: \"x.ron\")"));
    // Lengths beyond the file.
    let mut long = whole.clone();
    long[17..25].fill(0xFF);
    assert!(matches!(open(&long), Err(LedgerError::Cut(16))));
}

#[test]
fn damaged_shards_are_refused_by_name() {
    let folder = shop();
    let folder = folder.path();
    play_shards(folder, "a", 2, &["--runs", "2"]);
    let path = folder.join("a/bank-is-slow.2-of-2.shard");
    let whole = std::fs::read(&path).unwrap();
    let merge = ["merge", "a", "--no-out"];
    for (at, words) in
        [(3, "this is no file of runs"), (14, "another version"), (whole.len() / 2, "it is damaged")]
    {
        let mut flipped = whole.clone();
        flipped[at] ^= 8;
        std::fs::write(&path, flipped).unwrap();
        refused(folder, &merge, &["a/bank-is-slow.2-of-2.shard: ", words]);
    }
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    refused(folder, &merge, &["a/bank-is-slow.2-of-2.shard: it is cut short"]);
    std::fs::write(&path, whole).unwrap();
    quietly(folder, &merge);
}
