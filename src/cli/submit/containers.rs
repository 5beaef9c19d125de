//! What is submitted to engines that run containers: Kubernetes' Indexed Job and AWS Batch's array job.

use super::Work;
use serde_json::{Value, json};

/// How often a shard is tried.
const ATTEMPTS: u32 = 3;

/// Exit codes that another try would only repeat: wrong input, and time that stands still.
const FINAL: [i32; 2] = [2, 4];

/// An Indexed Job. Each pod finds its index in JOB_COMPLETION_INDEX. Pods that a node takes away with it are replaced
/// and not counted; wrong input ends the job at once.
pub fn kubernetes(work: &Work, image: &str, claim: &str) -> Value {
    let mut container = json!({
        "name": "shard",
        "image": image,
        "command": with_shard(work),
        "workingDir": "/work",
        "volumeMounts": [{ "name": "work", "mountPath": "/work" }],
    });
    if let Some(jobs) = work.jobs {
        container["resources"] =
            json!({ "requests": { "cpu": jobs.to_string() }, "limits": { "cpu": jobs.to_string() } });
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": work.name,
            "labels": { "app.kubernetes.io/name": "brownout", "app.kubernetes.io/instance": work.name },
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": work.shards,
            "parallelism": work.at_once.unwrap_or(work.shards).min(work.shards),
            // The limit of each index counts; that of all of them is out of its way.
            "backoffLimit": work.shards.saturating_mul(ATTEMPTS),
            "backoffLimitPerIndex": ATTEMPTS - 1,
            // A pod that is still ending might write the same shard.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                    { "action": "FailJob", "onExitCodes": {
                        "containerName": "shard", "operator": "In", "values": FINAL } },
                ],
            },
            "template": {
                "metadata": { "labels": { "app.kubernetes.io/name": "brownout", "app.kubernetes.io/instance": work.name } },
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [container],
                    "volumes": [{ "name": "work", "persistentVolumeClaim": { "claimName": claim } }],
                },
            },
        },
    })
}

/// Makes what is given to `submit-job`, from the job that it depends on.
pub type AwsJob = Box<dyn Fn(&str) -> Value>;

/// An array job, and one that waits for all of it.
pub fn aws_batch(work: &Work, queue: &str, definition: &str) -> Result<[AwsJob; 2], String> {
    if !(2..=10_000).contains(&work.shards) {
        return Err(format!("--shards {}: an array of AWS Batch has 2 to 10000 jobs", work.shards));
    }
    let base = |name: String, command: Vec<String>| {
        let mut rules: Vec<Value> =
            FINAL.iter().map(|code| json!({ "onExitCode": code.to_string(), "action": "EXIT" })).collect();
        rules.push(json!({ "onReason": "*", "action": "RETRY" }));
        json!({
            "jobName": name,
            "jobQueue": queue,
            "jobDefinition": definition,
            "containerOverrides": { "command": command },
            "retryStrategy": { "attempts": ATTEMPTS, "evaluateOnExit": rules },
        })
    };
    let mut shards = base(work.name.clone(), with_shard(work));
    shards["arrayProperties"] = json!({ "size": work.shards });
    // A verdict is no reason to merge again.
    let mut merge = base(format!("{}-merge", work.name), work.merge.clone());
    merge["retryStrategy"] = json!({ "attempts": 1 });
    let waiting = move |id: &str| {
        let mut merge = merge.clone();
        merge["dependsOn"] = json!([{ "jobId": id }]);
        merge
    };
    Ok([Box::new(move |_| shards.clone()), Box::new(waiting)])
}

/// The command of every container: its environment says which shard it plays.
fn with_shard(work: &Work) -> Vec<String> {
    let which = ["--shard".to_string(), "auto".to_string(), "--shards".to_string(), work.shards.to_string()];
    work.run.iter().cloned().chain(which).collect()
}
