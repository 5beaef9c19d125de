//! resilience4j's breaker against resilience4j-circuitbreaker 2.3.0, recorded on a clock that stands still between
//! the lines.
//!
//! A recording is played open loop, and every column is compared on every line: what came of the call, the states
//! before and after, both rates with four digits, and all counts.

use super::{Recording, recordings, report};
use brownout::base::time::{SimDuration, SimTime};
use brownout::components::breaker::BreakerState;
use brownout::components::breaker::resilience4j::{
    OpenWait, Resilience4jBreaker, Resilience4jConfig, SlidingWindow,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn conformance_of_resilience4j_breakers() {
    let recordings = recordings("resilience4j");
    let deviations: Vec<String> =
        recordings.iter().flat_map(|recording| replay(recording, config_of(recording))).collect();
    let steps = recordings.iter().map(|recording| recording.lines.len()).sum();
    report("breaker against resilience4j 2.3.0", recordings.len(), steps, deviations.len());
    assert!(deviations.is_empty(), "{}", deviations[..deviations.len().min(20)].join("\n"));
}

#[test]
fn conformance_notices_a_wrong_resilience4j_breaker() {
    let recordings = recordings("resilience4j");
    type Spoil = fn(&mut Resilience4jConfig);
    let wrong: [(&str, Spoil); 12] = [
        ("comparison, above the threshold", |c| c.failure_rate_threshold *= 1.000_001),
        ("threshold", |c| c.failure_rate_threshold -= 1.0),
        // The recordings open by it at 50 %, and have at most 16 % while closed.
        ("threshold of slow calls", |c| c.slow_call_rate_threshold = 50.001),
        ("slow call", |c| {
            c.slow_call_duration_threshold = c.slow_call_duration_threshold + SimDuration::from_ms(50)
        }),
        ("fewest calls", |c| c.minimum_number_of_calls += 1),
        ("trials", |c| c.permitted_number_of_calls_in_half_open_state += 1),
        ("window of calls", |c| {
            if let SlidingWindow::Count(size) = &mut c.sliding_window {
                *size += 1;
            }
        }),
        ("window of time", |c| {
            if let SlidingWindow::Time(seconds) = &mut c.sliding_window {
                *seconds += 1;
            }
        }),
        ("constant wait", |c| {
            if let OpenWait::Constant(wait) = &mut c.wait_in_open_state {
                *wait = *wait + SimDuration::from_ms(100);
            }
        }),
        ("factor", |c| {
            if let OpenWait::Exponential { multiplier, .. } = &mut c.wait_in_open_state {
                *multiplier += 0.5;
            }
        }),
        ("first wait", |c| {
            if let OpenWait::Exponential { initial, .. } = &mut c.wait_in_open_state {
                *initial = *initial + SimDuration::from_ms(100);
            }
        }),
        ("longest wait", |c| {
            if let OpenWait::Exponential { max, .. } = &mut c.wait_in_open_state {
                *max = Some(SimDuration::from_ms(3_000));
            }
        }),
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
fn conformance_notices_a_skipped_call_of_resilience4j() {
    let mut recording = recordings("resilience4j").swap_remove(0);
    recording.lines.remove(0);
    assert!(!replay(&recording, config_of(&recording)).is_empty());
}

/// The options of a recording, all of which it names.
fn config_of(recording: &Recording) -> Resilience4jConfig {
    let text = recording.header["options"].as_str().unwrap();
    let options: BTreeMap<&str, &str> =
        text.split(' ').map(|option| option.split_once('=').unwrap()).collect();
    let whole = |name: &str| options[name].parse::<u32>().unwrap();
    let size = whole("slidingWindowSize");
    Resilience4jConfig {
        sliding_window: match options["slidingWindowType"] {
            "COUNT_BASED" => SlidingWindow::Count(size),
            "TIME_BASED" => SlidingWindow::Time(size),
            other => panic!("no window {other}"),
        },
        minimum_number_of_calls: whole("minimumNumberOfCalls"),
        failure_rate_threshold: options["failureRateThreshold"].parse().unwrap(),
        slow_call_rate_threshold: options["slowCallRateThreshold"].parse().unwrap(),
        slow_call_duration_threshold: SimDuration::from_ms(u64::from(whole("slowCallDurationThresholdMs"))),
        permitted_number_of_calls_in_half_open_state: whole("permittedNumberOfCallsInHalfOpenState"),
        wait_in_open_state: match options.get("waitExp") {
            None => OpenWait::Constant(SimDuration::from_ms(u64::from(whole("waitDurationInOpenStateMs")))),
            Some(list) => {
                let parts: Vec<f64> = list.split(',').map(|part| part.parse().unwrap()).collect();
                let ms = |value: f64| SimDuration::from_ms(value as u64);
                let [initial, multiplier, max] = parts[..] else { panic!("waitExp={list}") };
                OpenWait::Exponential { initial: ms(initial), multiplier, max: Some(ms(max)) }
            }
        },
        ..Resilience4jConfig::DEFAULT
    }
}

fn replay(recording: &Recording, config: Resilience4jConfig) -> Vec<String> {
    let mut breaker = Resilience4jBreaker::new(config, SimTime::ZERO);
    let mut calls: BTreeMap<u64, u64> = BTreeMap::new();
    let mut deviations = Vec::new();
    for line in &recording.lines {
        for (field, ours) in step(&mut breaker, &mut calls, line) {
            let theirs = &line[field];
            if ours != *theirs {
                let name = &recording.name;
                deviations.push(format!("{name}: {field} should be {theirs}, is {ours}, at {line}"));
            }
        }
        if deviations.len() > 10 {
            break;
        }
    }
    deviations
}

/// Does what the line says was done; the fields of the line as they would be.
fn step(
    breaker: &mut Resilience4jBreaker,
    calls: &mut BTreeMap<u64, u64>,
    line: &Value,
) -> Vec<(&'static str, Value)> {
    let ms = line["time_ms"].as_u64().unwrap();
    let now = SimTime::ZERO + SimDuration::from_ms(ms);
    let call = line["call"].as_u64().unwrap();
    let mut deed = vec![("state_before", name(breaker.state()))];
    if line["action"] == "fire" {
        let (passes, _) = breaker.on_request(now);
        if passes {
            calls.insert(call, ms);
        }
        deed.push(("outcome", json!(if passes { "admitted" } else { "rejected" })));
        deed.push(("rejected", json!(!passes)));
    } else if let Some(since) = calls.remove(&call) {
        let planned = line["planned_outcome"].as_str().unwrap();
        match planned {
            "ignored" => breaker.on_cancelled(),
            _ => drop(breaker.on_result(now, SimDuration::from_ms(ms - since), planned == "error")),
        }
        deed.push(("outcome", json!(planned)));
        deed.push(("rejected", Value::Null));
        deed.push(("latency_ms", json!(ms - since)));
    } else {
        deed.push(("outcome", json!("a call that was not admitted")));
    }
    deed.push(("state_after", name(breaker.state())));
    let stats = breaker.stats(now);
    // As they are printed: with four digits.
    let rate = |rate: f32| json!(format!("{rate:.4}").parse::<f64>().unwrap());
    deed.push(("failure_rate", rate(stats.failure_rate)));
    deed.push(("slow_rate", rate(stats.slow_call_rate)));
    deed.push(("buffered", json!(stats.buffered)));
    deed.push(("failed", json!(stats.failed)));
    deed.push(("slow", json!(stats.slow)));
    deed.push(("not_permitted", json!(stats.not_permitted)));
    deed
}

fn name(state: BreakerState) -> Value {
    json!(match state {
        BreakerState::Closed => "CLOSED",
        BreakerState::Open => "OPEN",
        BreakerState::HalfOpen => "HALF_OPEN",
    })
}
