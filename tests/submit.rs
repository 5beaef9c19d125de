//! What `brownout submit` hands to engines: read as they read it, and carried out as they carry it out.
#![cfg(unix)]

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const TOPOLOGY: &str = r#"Topology(
    name: "it's 100% \"small\" {}",
    clients: { "users": Clients(arrivals: Poisson("20/s"), requests: { "api/a": 1 }) },
    services: { "api": Service(workers: 4, endpoints: { "a": [ Work(Exponential("2ms")) ] }) },
)"#;

/// The file's name has all that a shell, Slurm and parallel could take for something else.
const FILE: &str = "it's $HOME & 100% \"small\" {}.ron";

/// A folder with the small topology.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), TOPOLOGY).unwrap();
    folder
}

fn brownout(folder: &Path, path: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(args).current_dir(folder).env_remove("BROWNOUT_SEED").env("PATH", path).output().unwrap()
}

/// What everybody submits here, and into which folder.
fn submit<'a>(engine: &'a str, shards: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let all = ["submit", FILE, "--engine", engine, "--shards", shards, "--duration", "6s", "--out", "o u't"];
    [&all[..], &["--set", "services.api.replicas=2"], flags].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let plain = entries.filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    plain.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

/// What one machine leaves.
fn whole(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let args = ["run", FILE, "--duration", "6s", "--set", "services.api.replicas=2", "--out", "whole"];
    assert!(brownout(folder, "", &args).status.success());
    files(&folder.join("whole"))
}

/// A program that the engine is said to have, in a folder of its own.
fn program(folder: &Path, name: &str, script: &str) -> String {
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join(name), format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

/// Carries out the command of a container, whose program is not the one of an image, with what an engine sets.
fn contained(folder: &Path, command: &Value, variables: &[(&str, String)]) {
    let words: Vec<&str> = command.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words[0], "brownout");
    let mut command = Command::new(env!("CARGO_BIN_EXE_brownout"));
    command.args(&words[1..]).current_dir(folder).envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
}

#[test]
fn without_the_program_nothing_is_done() {
    let folder = folder();
    for (engine, flags, program) in [
        ("slurm", &[][..], "sbatch"),
        ("parallel", &[], "parallel"),
        ("k8s", &["--image", "i", "--claim", "c"], "kubectl"),
        ("aws-batch", &["--queue", "q", "--job-definition", "d"], "aws"),
    ] {
        let output = brownout(folder.path(), "/nowhere", &submit(engine, "4", flags));
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(
            message.contains(&format!("needs the program `{program}`, which is not installed")),
            "{message}"
        );
        assert!(output.stdout.is_empty() && !folder.path().join("o u't").exists());
        // Nobody needs it to look.
        let shown =
            brownout(folder.path(), "/nowhere", &submit(engine, "4", &[flags, &["--dry-run"]].concat()));
        assert!(shown.status.success() && !shown.stdout.is_empty() && !folder.path().join("o u't").exists());
    }
}

#[test]
fn what_cannot_be_submitted_is_refused() {
    let folder = folder();
    for (args, words) in [
        (submit("slurm", "6", &[]), "there are only 5 runs to divide"),
        (submit("slurm", "0", &[]), "--shards"),
        (submit("slurm", "2", &["--image", "i"]), "the engine slurm has no use for --image"),
        (submit("k8s", "2", &["--image", "i"]), "this engine needs --claim"),
        (submit("k8s", "2", &["--claim", "c"]), "this engine needs --image"),
        (submit("k8s", "2", &["--with", "x"]), "the engine k8s has no use for --with"),
        (submit("aws-batch", "2", &["--queue", "q"]), "this engine needs --job-definition"),
        (submit("aws-batch", "2", &["--at-once", "2"]), "the engine aws-batch has no use for --at-once"),
        (submit("aws-batch", "1", &["--queue", "q", "--job-definition", "d"]), "2 to 10000 jobs"),
        (submit("slurm", "2", &["--set", "services.api.workers=\n3"]), "goes over several lines"),
        (submit("slurm", "2", &["--set", "services.api.wrkers=3"]), "did you mean `workers`?"),
        (submit("lsf", "2", &[]), "possible values: slurm, k8s, aws-batch, parallel"),
    ] {
        let output = brownout(folder.path(), "/nowhere", &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(words), "{args:?}: {}", text(&output.stderr));
    }
}

/// Plays an array from its first index to its last, one after another, as sbatch would have it done.
const SBATCH: &str = r#"
set -eu
for flag in "$@"; do
    case $flag in
        --array=*) array=${flag#--array=} ;;
        --output=*) output=${flag#--output=} ;;
        --dependency=*) echo "${flag#--dependency=}" > dependency ;;
        --parsable | --job-name=* | --kill-on-invalid-dep=yes | --partition=long\ er) ;;
        *) echo "unknown flag $flag" >&2; exit 1 ;;
    esac
done
cat > job.sh
case $output in "o u't/jobs/"*) ;; *) exit 9 ;; esac
if [ -n "${array-}" ]; then
    for i in $(seq "${array%-*}" "${array#*-}"); do SLURM_ARRAY_TASK_ID=$i sh job.sh > /dev/null; done
    echo "17;cluster"
else
    sh job.sh > /dev/null
    echo 18
fi
"#;

#[test]
fn slurm_is_handed_an_array_and_what_depends_on_it() {
    let folder = folder();
    let expected = whole(folder.path());
    let path = program(folder.path(), "sbatch", SBATCH);
    let output = brownout(folder.path(), &path, &submit("slurm", "4", &["--with=--partition=long er"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "shards: job 17; merging: job 18\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("dependency")).unwrap(), "afterok:17\n");
    assert!(files(&folder.path().join("o u't")) == expected);
    assert_eq!(files(&folder.path().join("o u't/shards")).len(), 4);
    // What was done is what a dry run shows.
    let shown =
        brownout(folder.path(), &path, &submit("slurm", "4", &["--with=--partition=long er", "--dry-run"]));
    assert_eq!(shown.stdout, files(&folder.path().join("o u't/jobs"))["submit.sh"]);
}

/// Reads indices and runs the command for each, as GNU parallel does with one thread.
const PARALLEL: &str = r#"
for last; do :; done
while read -r i; do /bin/sh -c "$last $i" || exit 1; done
"#;

#[test]
fn parallel_is_handed_indices_and_one_command() {
    let folder = folder();
    let expected = whole(folder.path());
    let path = program(folder.path(), "parallel", PARALLEL);
    let output = brownout(folder.path(), &path, &submit("parallel", "3", &["--at-once", "2"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(files(&folder.path().join("o u't")) == expected);
    let script = text(&files(&folder.path().join("o u't/jobs"))["submit.sh"]);
    for words in ["--joblog 'o u'\\''t/jobs/parallel.log'", "--resume", "--halt soon,fail=1", "--jobs 2"] {
        assert!(script.contains(words), "{script}");
    }
    // A shard that fails is not merged over.
    let path = program(folder.path(), "parallel", "exit 1\n");
    let output = brownout(folder.path(), &path, &submit("parallel", "3", &[]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("the same command goes on"), "{}", text(&output.stderr));
}

/// The fields of `batch/v1` that are used, with their types, as the API's reference has them; others are refused, so
/// that none is misspelt or stands in the wrong place.
mod batch_v1 {
    use super::{BTreeMap, Deserialize};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Job {
        pub api_version: String,
        pub kind: String,
        pub metadata: Metadata,
        pub spec: JobSpec,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Metadata {
        pub name: Option<String>,
        pub labels: BTreeMap<String, String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct JobSpec {
        pub completion_mode: String,
        pub completions: i32,
        pub parallelism: i32,
        pub backoff_limit: i32,
        pub backoff_limit_per_index: i32,
        pub pod_replacement_policy: String,
        pub pod_failure_policy: PodFailurePolicy,
        pub template: PodTemplate,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PodFailurePolicy {
        pub rules: Vec<Rule>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Rule {
        pub action: String,
        pub on_exit_codes: Option<OnExitCodes>,
        pub on_pod_conditions: Option<Vec<OnPodCondition>>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct OnExitCodes {
        pub container_name: String,
        pub operator: String,
        pub values: Vec<i32>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct OnPodCondition {
        #[serde(rename = "type")]
        pub kind: String,
        pub status: String,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PodTemplate {
        pub metadata: Metadata,
        pub spec: PodSpec,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct PodSpec {
        pub restart_policy: String,
        pub containers: Vec<Container>,
        pub volumes: Vec<Volume>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Container {
        pub name: String,
        pub image: String,
        pub command: Vec<String>,
        pub working_dir: String,
        pub volume_mounts: Vec<Mount>,
        pub resources: Option<Resources>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Resources {
        pub requests: BTreeMap<String, String>,
        pub limits: BTreeMap<String, String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Mount {
        pub name: String,
        pub mount_path: String,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Volume {
        pub name: String,
        pub persistent_volume_claim: Claim,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Claim {
        pub claim_name: String,
    }
}

/// What the API server checks of such a job.
fn is_valid(job: &batch_v1::Job, shards: i32) {
    let is_label = |name: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&name.len())
            && name.chars().all(plain)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    assert_eq!((job.api_version.as_str(), job.kind.as_str()), ("batch/v1", "Job"));
    // Pods are called NAME-INDEX, and are hosts.
    let name = job.metadata.name.as_deref().unwrap();
    assert!(is_label(&format!("{name}-{}", shards - 1)), "{name}");
    assert!(
        job.metadata.labels.values().chain(job.spec.template.metadata.labels.values()).all(|v| v.len() <= 63)
    );
    let spec = &job.spec;
    assert_eq!((spec.completion_mode.as_str(), spec.completions), ("Indexed", shards));
    assert!(
        (1..=shards).contains(&spec.parallelism)
            && spec.backoff_limit > 0
            && spec.backoff_limit_per_index > 0
    );
    // Both a failure policy and a limit for each index ask for pods that are not started again in place.
    let pod = &spec.template.spec;
    assert_eq!((pod.restart_policy.as_str(), spec.pod_replacement_policy.as_str()), ("Never", "Failed"));
    assert!(spec.template.metadata.name.is_none());
    for rule in &spec.pod_failure_policy.rules {
        assert!(["Ignore", "FailJob"].contains(&rule.action.as_str()));
        assert!(rule.on_exit_codes.is_some() != rule.on_pod_conditions.is_some(), "one of them");
        if let Some(codes) = &rule.on_exit_codes {
            assert!(pod.containers.iter().any(|c| c.name == codes.container_name) && codes.operator == "In");
            assert!(codes.values.is_sorted_by(|a, b| a < b) && !codes.values.contains(&0));
        }
        for condition in rule.on_pod_conditions.iter().flatten() {
            assert_eq!((condition.kind.as_str(), condition.status.as_str()), ("DisruptionTarget", "True"));
        }
    }
    for container in &pod.containers {
        assert!(is_label(&container.name) && !container.image.is_empty() && !container.command.is_empty());
        assert!(container.working_dir.starts_with('/'));
        for mount in &container.volume_mounts {
            assert!(
                pod.volumes.iter().any(|v| v.name == mount.name) && container.working_dir == mount.mount_path
            );
        }
        if let Some(resources) = &container.resources {
            assert!(resources.requests == resources.limits && resources.limits["cpu"].parse::<u32>().is_ok());
        }
    }
    assert!(
        pod.volumes.iter().all(|v| is_label(&v.name) && !v.persistent_volume_claim.claim_name.is_empty())
    );
}

#[test]
fn kubernetes_is_handed_an_indexed_job() {
    let folder = folder();
    let expected = whole(folder.path());
    let flags = ["--image", "registry/brownout:1", "--claim", "models", "--jobs", "2"];
    let args = submit("k8s", "4", &flags);
    let shown = brownout(folder.path(), "", &[&args[..], &["--dry-run", "--at-once", "3"]].concat());
    let job: batch_v1::Job = serde_json::from_slice(&shown.stdout).unwrap();
    is_valid(&job, 4);
    assert_eq!(
        (job.spec.parallelism, job.spec.template.spec.containers[0].image.as_str()),
        (3, "registry/brownout:1")
    );
    // kubectl reads the same from its standard input.
    let path = program(folder.path(), "kubectl", "[ \"$*\" = 'apply -f -' ] && cat > applied.json\n");
    let output = brownout(folder.path(), &path, &args);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("brownout merge 'o u'\\''t/shards' --out 'o u'\\''t'"),
        "{}",
        text(&output.stderr)
    );
    let applied = std::fs::read(folder.path().join("applied.json")).unwrap();
    let value: Value = serde_json::from_slice(&applied).unwrap();
    is_valid(&serde_json::from_slice(&applied).unwrap(), 4);
    // Each pod has its index and nothing else; one is started a second time.
    for index in [2, 0, 3, 1, 2] {
        let command = &value["spec"]["template"]["spec"]["containers"][0]["command"];
        contained(folder.path(), command, &[("JOB_COMPLETION_INDEX", index.to_string())]);
    }
    assert!(brownout(folder.path(), "", &["merge", "o u't/shards", "--out", "o u't"]).status.success());
    assert!(files(&folder.path().join("o u't")) == expected);
}

#[test]
fn aws_batch_is_handed_an_array_and_what_waits_for_it() {
    let folder = folder();
    let expected = whole(folder.path());
    let args = submit("aws-batch", "5", &["--queue", "spot", "--job-definition", "brownout:3"]);
    // Answers as `--query jobId --output text` does.
    let script = "for last; do :; done\ntest \"$1 $2 $4 $6 $7\" = 'batch submit-job jobId text --cli-input-json' || exit 9\n\
                  n=$(ls | grep -c submitted)\nprintf %s \"$last\" > submitted-$n\necho job-$n\n";
    let path = program(folder.path(), "aws", script);
    let output = brownout(folder.path(), &path, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "shards: job job-0; merging: job job-1\n");
    let submitted = |n: u32| -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join(format!("submitted-{n}"))).unwrap()).unwrap()
    };
    let (shards, merge) = (submitted(0), submitted(1));
    for job in [&shards, &merge] {
        assert_eq!((&job["jobQueue"], &job["jobDefinition"]), (&"spot".into(), &"brownout:3".into()));
        let name = job["jobName"].as_str().unwrap();
        assert!(name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        assert!((1..=10).contains(&job["retryStrategy"]["attempts"].as_u64().unwrap()));
    }
    assert_eq!((&shards["arrayProperties"]["size"], &shards["dependsOn"]), (&5.into(), &Value::Null));
    assert_eq!(merge["dependsOn"], serde_json::json!([{ "jobId": "job-0" }]));
    for index in 0..5 {
        let variables =
            [("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()), ("AWS_BATCH_JOB_ARRAY_SIZE", "5".to_string())];
        contained(folder.path(), &shards["containerOverrides"]["command"], &variables);
    }
    contained(folder.path(), &merge["containerOverrides"]["command"], &[]);
    assert!(files(&folder.path().join("o u't")) == expected);
}
