//! Concurrency limits against Netflix' concurrency-limits (snapshot 78a74b9), sample by sample.
//!
//! The headers name algorithm and initial limit; everything else is at the library's defaults, but: probes are off
//! where the name says so, as their times are random; and the lowest limit of `gradient2` is below the default of 20.
//! The recording goes down to 8, and any lowest limit from 1 to 8 agrees with it.

use super::{Recording, recordings, report};
use brownout::base::time::{SimDuration, SimTime};
use brownout::components::concurrency::limits::{AimdConfig, Gradient2Config, GradientConfig, VegasConfig};
use brownout::components::concurrency::{LimitConfig, Limiter, LimiterConfig, Sample};

#[test]
fn conformance_of_concurrency_limits() {
    let recordings = recordings("concurrency-limits");
    let deviations: Vec<String> =
        recordings.iter().flat_map(|recording| replay(recording, config_of(recording))).collect();
    let steps = recordings.iter().map(|recording| recording.lines.len()).sum();
    report(
        "concurrency limits against concurrency-limits 78a74b9",
        recordings.len(),
        steps,
        deviations.len(),
    );
    assert!(deviations.is_empty(), "{}", deviations[..deviations.len().min(20)].join("\n"));
}

#[test]
fn conformance_notices_a_wrong_concurrency_limit() {
    let recordings = recordings("concurrency-limits");
    type Spoil = fn(&mut LimitConfig);
    let wrong: [(&str, Spoil); 14] = [
        ("AIMD ratio", |c| aimd(c, |c| c.backoff_ratio = 0.89)),
        ("AIMD lowest", |c| aimd(c, |c| c.min_limit = 150)),
        ("AIMD highest", |c| aimd(c, |c| c.max_limit += 1)),
        ("AIMD timeout", |c| aimd(c, |c| c.timeout = SimDuration::from_ms(491))),
        ("Vegas smoothing", |c| vegas(c, |c| c.smoothing = 0.99)),
        ("Vegas highest", |c| vegas(c, |c| c.max_concurrency = 113)),
        ("Vegas probe", |c| vegas(c, |c| c.probe_multiplier = Some(1))),
        ("Gradient tolerance", |c| gradient(c, |c| c.rtt_tolerance = 1.99)),
        ("Gradient smoothing", |c| gradient(c, |c| c.smoothing = 0.21)),
        ("Gradient ratio", |c| gradient(c, |c| c.backoff_ratio = 0.91)),
        ("Gradient probe", |c| gradient(c, |c| c.probe_interval = Some(1_000))),
        ("Gradient2 tolerance", |c| gradient2(c, |c| c.rtt_tolerance = 1.49)),
        ("Gradient2 window", |c| gradient2(c, |c| c.long_window += 1)),
        ("Gradient2 queue", |c| gradient2(c, |c| c.queue_size += 1)),
    ];
    for (what, spoil) in wrong {
        let noticed = recordings.iter().any(|recording| {
            let mut config = config_of(recording);
            let right = config;
            spoil(&mut config);
            config != right && !replay(recording, config).is_empty()
        });
        assert!(noticed, "a wrong {what} goes unnoticed");
    }
}

#[test]
fn conformance_notices_a_skipped_sample() {
    for mut recording in recordings("concurrency-limits") {
        // One of those after which the limit is another.
        let of = |line: &serde_json::Value| line["limit_after"].as_u64();
        let at =
            (1..recording.lines.len()).find(|i| of(&recording.lines[*i]) != of(&recording.lines[*i - 1]));
        recording.lines.remove(at.unwrap());
        assert!(!replay(&recording, config_of(&recording)).is_empty(), "{}", recording.name);
    }
}

fn aimd(config: &mut LimitConfig, change: fn(&mut AimdConfig)) {
    if let LimitConfig::Aimd(config) = config {
        change(config);
    }
}

fn vegas(config: &mut LimitConfig, change: fn(&mut VegasConfig)) {
    if let LimitConfig::Vegas(config) = config {
        change(config);
    }
}

fn gradient(config: &mut LimitConfig, change: fn(&mut GradientConfig)) {
    if let LimitConfig::Gradient(config) = config {
        change(config);
    }
}

fn gradient2(config: &mut LimitConfig, change: fn(&mut Gradient2Config)) {
    if let LimitConfig::Gradient2(config) = config {
        change(config);
    }
}

fn config_of(recording: &Recording) -> LimitConfig {
    let initial = recording.header["initial"].as_u64().unwrap() as u32;
    match recording.header["limit"].as_str().unwrap() {
        "aimd" => LimitConfig::Aimd(AimdConfig { initial_limit: initial, ..AimdConfig::DEFAULT }),
        "vegas_noprobe" => LimitConfig::Vegas(VegasConfig {
            initial_limit: initial,
            probe_multiplier: None,
            ..VegasConfig::DEFAULT
        }),
        "gradient1_noprobe" => LimitConfig::Gradient(GradientConfig {
            initial_limit: initial,
            probe_interval: None,
            ..GradientConfig::DEFAULT
        }),
        "gradient2_default" => {
            LimitConfig::Gradient2(Gradient2Config { initial_limit: initial, ..Gradient2Config::DEFAULT })
        }
        "gradient2" => LimitConfig::Gradient2(Gradient2Config {
            initial_limit: initial,
            min_limit: 4,
            ..Gradient2Config::DEFAULT
        }),
        other => panic!("no limit {other}"),
    }
}

fn replay(recording: &Recording, limit: LimitConfig) -> Vec<String> {
    let config = LimiterConfig { limit, window: None, backlog: None };
    let mut limiter: Limiter<u32> = Limiter::new(config, SimTime::ZERO);
    let mut deviations = Vec::new();
    for line in &recording.lines {
        let ns = |field: &str| line[field].as_u64().unwrap();
        limiter.on_sample(Sample {
            since: SimTime::ZERO + SimDuration::from_ns(ns("start_ns")),
            rtt: SimDuration::from_ns(ns("rtt_ns")),
            in_flight: ns("inflight") as u32,
            dropped: line["dropped"].as_bool().unwrap(),
            dice: 0.5,
        });
        if u64::from(limiter.limit()) != ns("limit_after") {
            deviations.push(format!("{}: the limit is {} at {line}", recording.name, limiter.limit()));
        }
    }
    deviations
}
