//! The autoscaler against recordings of the Kubernetes HorizontalPodAutoscaler.
//!
//! The recordings come from a transcription of the current controller that agrees with the real one (Debian's
//! kubernetes 1.20.2 with the newer function bodies) on 59,356 syncs. A recording is played open loop: each line
//! holds all pods that the controller saw, and what every metric proposed and the sync decided.

use super::{Recording, recordings, report};
use brownout::base::time::{SimDuration, SimTime};
use brownout::components::hpa::{
    Amount, Behavior, Hpa, HpaConfig, Metric, Phase, Pod, Policy, Reading, Resource, Rules, Sample, Scale,
    SelectPolicy,
};
use serde_json::Value;

#[test]
fn conformance_of_the_autoscaler() {
    let recordings = recordings("hpa");
    let deviations: Vec<String> =
        recordings.iter().flat_map(|recording| replay(recording, config_of(recording))).collect();
    let steps = recordings.iter().map(|recording| recording.lines.len()).sum();
    report("autoscaler against the Kubernetes HPA", recordings.len(), steps, deviations.len());
    assert!(deviations.is_empty(), "{}", deviations[..deviations.len().min(20)].join("\n"));
    assert!(steps >= 500, "only {steps} steps");
}

#[test]
fn conformance_notices_a_wrong_autoscaler() {
    let recordings = recordings("hpa");
    type Spoil = fn(&mut HpaConfig);
    let wrong: [(&str, Spoil); 13] = [
        ("target", |c| {
            for metric in &mut c.metrics {
                if let Metric::Utilization { percent, .. } = metric {
                    *percent += 1;
                }
            }
        }),
        ("resource", |c| {
            for metric in &mut c.metrics {
                if let Metric::Utilization { resource, .. } = metric {
                    *resource = Resource::Memory;
                }
            }
        }),
        ("minimum", |c| c.min_replicas += 3),
        ("maximum", |c| c.max_replicas -= 16),
        ("tolerance", |c| c.tolerance = 0.12),
        ("tolerance upwards", |c| {
            if let Some(b) = &mut c.behavior {
                b.scale_up.tolerance = Some(0.0);
            }
        }),
        ("older stabilisation, longer by a millisecond", |c| {
            if c.behavior.is_none() {
                c.downscale_stabilization = c.downscale_stabilization - SimDuration::from_ms(1);
            }
        }),
        ("stabilisation, longer by a millisecond", |c| {
            if c.behavior.is_some() {
                c.downscale_stabilization = c.downscale_stabilization + SimDuration::from_ms(1);
            }
        }),
        ("initialization", |c| c.cpu_initialization_period = SimDuration::ZERO),
        ("behavior, empty for absent", |c| {
            c.behavior.get_or_insert_default();
        }),
        ("behavior, absent for empty", |c| c.behavior = None),
        ("policy", |c| {
            if let Some(b) = &mut c.behavior {
                b.scale_up.policies[0].amount = Amount::Pods(3);
            }
        }),
        ("period", |c| {
            if let Some(b) = &mut c.behavior {
                b.scale_down.policies[0].period =
                    b.scale_down.policies[0].period - SimDuration::from_secs(20);
            }
        }),
    ];
    for (what, spoil) in wrong {
        let noticed = recordings.iter().any(|recording| {
            let mut config = config_of(recording);
            spoil(&mut config);
            !replay(recording, config).is_empty()
        });
        assert!(noticed, "a wrong {what} goes unnoticed");
    }
}

#[test]
fn conformance_notices_a_skipped_sync() {
    let mut recording = recordings("hpa").swap_remove(0);
    recording.lines.retain(|line| line["time_ms"] != 405_000);
    assert!(!replay(&recording, config_of(&recording)).is_empty());
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn small(value: &Value) -> u32 {
    u32::try_from(whole(value)).unwrap()
}

fn seconds(value: &Value) -> SimDuration {
    SimDuration::from_secs(u64::from(small(value)))
}

fn config_of(recording: &Recording) -> HpaConfig {
    assert_eq!(recording.header["variant"], "current");
    let hpa = &recording.header["hpa"];
    let metrics = if recording.header["pod_model"]["two_metrics"] == Value::Bool(true) { 2 } else { 1 };
    let metric = Metric::Utilization { resource: Resource::Cpu, percent: small(&hpa["target"]) };
    HpaConfig {
        min_replicas: small(&hpa["min_replicas"]),
        max_replicas: small(&hpa["max_replicas"]),
        metrics: vec![metric; metrics],
        behavior: (!hpa["behavior"].is_null()).then(|| Behavior {
            scale_up: rules(&hpa["behavior"]["up"], Rules::up()),
            scale_down: rules(&hpa["behavior"]["down"], Rules::down()),
        }),
        sync_period: SimDuration::from_ms(u64::from(small(&hpa["sync_ms"]))),
        tolerance: hpa["tolerance"].as_f64().unwrap(),
        downscale_stabilization: seconds(&hpa["downscale_stabilization_s"]),
        cpu_initialization_period: seconds(&hpa["cpu_initialization_period_s"]),
        initial_readiness_delay: seconds(&hpa["initial_readiness_delay_s"]),
    }
}

fn rules(given: &Value, mut rules: Rules) -> Rules {
    if !given["window"].is_null() {
        rules.stabilization_window = Some(seconds(&given["window"]));
    }
    match given["select"].as_str() {
        Some("Min") => rules.select_policy = SelectPolicy::Min,
        Some("Disabled") => rules.select_policy = SelectPolicy::Disabled,
        _ => {}
    }
    if let Some(policies) = given["policies"].as_array() {
        let policy = |p: &Value| Policy {
            amount: match p[0].as_str() {
                Some("Percent") => Amount::Percent(small(&p[1])),
                _ => Amount::Pods(small(&p[1])),
            },
            period: seconds(&p[2]),
        };
        rules.policies = policies.iter().map(policy).collect();
    }
    rules
}

const MS: i64 = 1_000_000;

fn pod_of(line: &Value) -> (Pod, Option<Sample>) {
    let pod = Pod {
        phase: match line["phase"].as_str() {
            Some("Running") => Phase::Running,
            Some("Pending") => Phase::Pending,
            Some("Failed") => Phase::Failed,
            _ => panic!("an unknown phase: {line}"),
        },
        deleted: line["deleted"] == Value::Bool(true),
        ready: line["ready"].as_str().map(|ready| ready == "True"),
        started: line["start"].as_i64().map(|ms| ms * MS),
        transition: whole(&line["transition"]) * MS,
        request_milli: line["request"].as_i64(),
    };
    let sample = line["usage"].as_i64().map(|milli| Sample {
        milli,
        at: whole(&line["mts"]) * MS,
        window_ns: whole(&line["window"]) * MS,
    });
    (pod, sample)
}

/// Plays a recording and says where the autoscaler deviates.
fn replay(recording: &Recording, config: HpaConfig) -> Vec<String> {
    let metrics = config.metrics.len();
    let mut hpa = Hpa::new(config);
    let mut deviations = Vec::new();
    for line in &recording.lines {
        let ms = line["time_ms"].as_u64().unwrap();
        let now = SimTime::ZERO + SimDuration::from_ms(ms);
        let current = small(&line["current"]);
        let lists: Vec<&Value> = match metrics {
            1 => vec![&line["pods"]],
            _ => line["pods"].as_array().unwrap().iter().collect(),
        };
        assert_eq!(lists.len(), metrics);
        let proposals: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(metric, list)| {
                let (pods, samples): (Vec<Pod>, Vec<_>) = list.as_array().unwrap().iter().map(pod_of).unzip();
                let scale = Scale { spec: current, status: current };
                hpa.propose(metric, now, scale, &pods, Reading::Pods(&samples))
            })
            .collect();
        let desired = hpa.decide(now, current, &proposals).desired;
        let expected: Vec<_> = line["proposals"].as_array().unwrap().iter().map(|p| Ok(small(p))).collect();
        if proposals != expected || desired != small(&line["desired"]) {
            deviations.push(format!(
                "{} at {ms} ms: ours {proposals:?} and {desired}, real {} and {}",
                recording.name, line["proposals"], line["desired"]
            ));
        }
    }
    deviations
}
