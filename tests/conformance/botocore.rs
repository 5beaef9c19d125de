//! Retries against botocore 1.44.5: the quota of standard mode, its waits, and the limit of adaptive mode.
//!
//! A recording is played open loop: the outcomes are those of the recording, one attempt after the other. Capacity
//! before and after, whether there is a retry, and its longest wait are compared on every line.

use super::{Recording, recordings_in, report};
use brownout::base::outcome::Outcome;
use brownout::base::time::SimDuration;
use brownout::components::budget::aws::{AwsStandard, AwsStandardConfig};
use brownout::components::rate_limit::{AwsAdaptive, AwsAdaptiveConfig};
use brownout::components::retry::Backoff;
use serde_json::{Value, json};

#[test]
fn conformance_of_the_retry_quota() {
    let recordings = recordings_in("botocore", "aws-retry-quota/1");
    let deviations: Vec<String> = recordings.iter().flat_map(|r| replay(r, Settings::of(r))).collect();
    let steps = recordings.iter().map(|recording| recording.lines.len()).sum();
    report("retry quota against botocore 1.44.5", recordings.len(), steps, deviations.len());
    assert!(deviations.is_empty(), "{}", deviations[..deviations.len().min(20)].join("\n"));
}

#[test]
fn conformance_notices_a_wrong_retry_quota() {
    let recordings = recordings_in("botocore", "aws-retry-quota/1");
    type Spoil = fn(&mut Settings);
    let wrong: [(&str, Spoil); 8] = [
        ("capacity", |s| s.quota.initial -= 1),
        ("cost", |s| s.quota.retry_cost += 1),
        ("cost after throttling", |s| s.quota.throttling_retry_cost -= 1),
        ("increment", |s| s.quota.no_retry_increment += 1),
        ("number of attempts", |s| s.max_attempts += 1),
        ("scale", |s| s.scale = SimDuration::from_ms(51)),
        ("scale after throttling", |s| s.throttling_scale = SimDuration::from_ms(1_001)),
        ("limit of waits", |s| s.max = SimDuration::from_ms(99)),
    ];
    for (what, spoil) in wrong {
        let noticed = recordings.iter().any(|recording| {
            let mut settings = Settings::of(recording);
            spoil(&mut settings);
            !replay(recording, settings).is_empty()
        });
        assert!(noticed, "a wrong {what} goes unnoticed");
    }
}

#[test]
fn conformance_notices_a_missing_success() {
    let mut recording = recordings_in("botocore", "aws-retry-quota/1").swap_remove(0);
    let at = recording.lines.iter().position(|l| l["capacity_before"] != l["capacity_after"]).unwrap();
    recording.lines.remove(at);
    assert!(!replay(&recording, Settings::of(&recording)).is_empty());
}

/// What the recording was made with; waits as botocore has them by default.
struct Settings {
    quota: AwsStandardConfig,
    max_attempts: u64,
    scale: SimDuration,
    throttling_scale: SimDuration,
    max: SimDuration,
}

impl Settings {
    fn of(recording: &Recording) -> Self {
        let number = |name: &str| u32::try_from(recording.header[name].as_u64().unwrap()).unwrap();
        Self {
            quota: AwsStandardConfig {
                initial: number("initial"),
                retry_cost: number("retry_cost"),
                timeout_retry_cost: number("retry_cost"),
                throttling_retry_cost: number("throttling_retry_cost"),
                no_retry_increment: number("no_retry_increment"),
            },
            max_attempts: recording.header["max_attempts"].as_u64().unwrap(),
            scale: SimDuration::from_ms(50),
            throttling_scale: SimDuration::from_secs(1),
            max: SimDuration::from_secs(20),
        }
    }
}

fn replay(recording: &Recording, settings: Settings) -> Vec<String> {
    let Settings { quota, max_attempts, scale, throttling_scale, max } = settings;
    let backoff = Backoff::Aws { scale, throttling_scale, max };
    let mut quota = AwsStandard::new(quota);
    let mut last_cost = None;
    let mut deviations = Vec::new();
    for line in &recording.lines {
        let attempt = line["attempt"].as_u64().unwrap();
        if attempt == 1 {
            last_cost = None;
        }
        let before = quota.capacity();
        let failure = match line["outcome"].as_str().unwrap() {
            "ok" => None,
            "transient" => Some(Outcome::Error),
            "throttle" => Some(Outcome::Rejected),
            other => panic!("no outcome {other}"),
        };
        let (mut retry, mut wait) = (Value::Null, Value::Null);
        if let Some(failure) = failure {
            let cost = if attempt < max_attempts { quota.acquire(failure) } else { None };
            retry = json!(cost.is_some());
            if cost.is_some() {
                last_cost = cost;
                wait = json!(backoff.delay(attempt as u32 - 1, failure).seconds());
            }
        } else {
            quota.release(last_cost);
        }
        let ours = [
            ("capacity_before", json!(before)),
            ("retry", retry),
            ("max_delay_s", wait),
            ("capacity_after", json!(quota.capacity())),
        ];
        for (field, ours) in ours {
            if ours != line[field] {
                let theirs = &line[field];
                deviations
                    .push(format!("{}: {field} should be {theirs}, is {ours}, at {line}", recording.name));
            }
        }
        if deviations.len() > 10 {
            break;
        }
    }
    deviations
}

#[test]
fn conformance_of_the_adaptive_limit() {
    let recordings = recordings_in("botocore", "aws-adaptive-rate/1");
    let deviations: Vec<String> = recordings.iter().flat_map(|r| replay_adaptive(r, constants(r))).collect();
    let steps = recordings.iter().map(|recording| recording.lines.len()).sum();
    report("adaptive limit against botocore 1.44.5", recordings.len(), steps, deviations.len());
    assert!(deviations.is_empty(), "{}", deviations[..deviations.len().min(20)].join("\n"));
}

#[test]
fn conformance_notices_a_wrong_adaptive_limit() {
    let recordings = recordings_in("botocore", "aws-adaptive-rate/1");
    type Spoil = fn(&mut AwsAdaptiveConfig);
    let wrong: [(&str, Spoil); 6] = [
        ("scale", |c| c.scale_constant += 0.001),
        ("beta", |c| c.beta += 0.001),
        ("smoothing", |c| c.smoothing -= 0.001),
        ("bucket of time", |c| c.time_bucket_range = 1.0),
        ("least rate", |c| c.min_rate += 0.001),
        ("limit by what is measured", |c| c.max_rate_adjust_scale += 0.001),
    ];
    for (what, spoil) in wrong {
        let noticed = recordings.iter().any(|recording| {
            let mut config = constants(recording);
            spoil(&mut config);
            !replay_adaptive(recording, config).is_empty()
        });
        assert!(noticed, "a wrong {what} goes unnoticed");
    }
}

fn constants(recording: &Recording) -> AwsAdaptiveConfig {
    let number = |name: &str| recording.header[name].as_f64().unwrap();
    AwsAdaptiveConfig {
        scale_constant: number("scale_constant"),
        beta: number("beta"),
        smoothing: number("smoothing"),
        time_bucket_range: number("bucket_s"),
        min_rate: number("min_rate"),
        max_rate_adjust_scale: number("max_rate_adjust"),
    }
}

/// Powers differ in their last bits between C libraries, so numbers are the same if they agree to a billionth.
fn same(ours: f64, theirs: &Value) -> bool {
    theirs.as_f64().is_some_and(|theirs| (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0))
}

fn replay_adaptive(recording: &Recording, config: AwsAdaptiveConfig) -> Vec<String> {
    let mut limit = AwsAdaptive::starting_at(config, recording.header["start_time"].as_f64().unwrap());
    let mut deviations = Vec::new();
    for line in &recording.lines {
        let now = line["t"].as_f64().unwrap();
        let acquired = limit.is_enabled().then(|| limit.take_at(now));
        if line["acquired"] != json!(acquired) {
            deviations.push(format!("{}: acquired is {acquired:?} at {line}", recording.name));
        }
        let response = line["response"].as_str();
        if let Some(response) = response {
            limit.on_response_at(now, response == "throttle");
        }
        let ours = [
            ("measured", limit.measured(), response.is_some()),
            ("fill_rate", limit.fill_rate(), response.is_some()),
            ("tokens", limit.tokens(), true),
        ];
        for (field, ours, is_recorded) in ours {
            if is_recorded && !same(ours, &line[field]) {
                let theirs = &line[field];
                deviations
                    .push(format!("{}: {field} should be {theirs}, is {ours}, at {line}", recording.name));
            }
        }
        if deviations.len() > 10 {
            break;
        }
    }
    deviations
}
