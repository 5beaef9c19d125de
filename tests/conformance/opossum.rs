//! The breaker against opossum 10.0.0, recorded under @sinonjs/fake-timers 15.5.0.
//!
//! A recording is played open loop: arrivals, results, timeouts and the reset timer come when they came. Rotations
//! of the window are not recorded; they follow from the clock. Timers of the same millisecond go off in the order
//! in which they were set: arrivals were all set before anything else, results and timeouts at their arrival, the
//! reset timer at the opening, and the interval that rotates is set anew by each rotation.

use super::{Recording, recordings, report};
use brownout::base::time::{SimDuration, SimTime};
use brownout::components::breaker::{
    Breaker, BreakerConfig, BreakerState, BreakerStats, Transition, Verdict,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn conformance_of_the_breaker() {
    let recordings = recordings("opossum");
    let deviations: Vec<String> =
        recordings.iter().flat_map(|recording| replay(recording, config_of(recording))).collect();
    let steps = recordings.iter().map(|recording| recording.lines.len()).sum();
    report("breaker against opossum 10.0.0", recordings.len(), steps, deviations.len());
    assert!(deviations.is_empty(), "{}", deviations[..deviations.len().min(20)].join("\n"));
}

#[test]
fn conformance_notices_a_wrong_breaker() {
    let recordings = recordings("opossum");
    type Spoil = fn(&mut BreakerConfig);
    let wrong: [(&str, Spoil); 8] = [
        ("comparison, at or above the threshold", |c| c.error_threshold_percentage -= 1e-9),
        ("threshold", |c| c.error_threshold_percentage -= 1.0),
        ("volume", |c| c.volume_threshold += 300),
        ("reset", |c| c.reset_timeout = c.reset_timeout + SimDuration::from_ms(1)),
        ("buckets", |c| c.rolling_count_buckets += 1),
        ("window", |c| c.rolling_count_timeout = c.rolling_count_timeout + SimDuration::from_secs(1)),
        ("capacity", |c| c.capacity = c.capacity.map(|capacity| capacity.saturating_sub(1))),
        ("warm-up", |c| c.allow_warm_up = !c.allow_warm_up),
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
fn conformance_notices_a_skipped_call() {
    let mut recording = recordings("opossum").swap_remove(0);
    recording.lines.remove(0);
    assert!(!replay(&recording, config_of(&recording)).is_empty());
}

/// The options of a recording; opossum's defaults where it names none.
fn config_of(recording: &Recording) -> BreakerConfig {
    let options = &recording.header["options"];
    let ms = |name: &str, default| options[name].as_u64().map_or(default, SimDuration::from_ms);
    let defaults = BreakerConfig::OPOSSUM;
    BreakerConfig {
        error_threshold_percentage: options["errorThresholdPercentage"]
            .as_f64()
            .unwrap_or(defaults.error_threshold_percentage),
        reset_timeout: ms("resetTimeout", defaults.reset_timeout),
        rolling_count_timeout: ms("rollingCountTimeout", defaults.rolling_count_timeout),
        rolling_count_buckets: whole(&options["rollingCountBuckets"])
            .filter(|buckets| *buckets > 0)
            .unwrap_or(defaults.rolling_count_buckets),
        volume_threshold: whole(&options["volumeThreshold"]).unwrap_or(defaults.volume_threshold),
        capacity: whole(&options["capacity"]),
        allow_warm_up: options["allowWarmUp"] == json!(true),
    }
}

/// The call timeout; `None` where it is switched off (`false` or 0). 10 s where the recording does not name it.
fn timeout_of(recording: &Recording) -> Option<u64> {
    match &recording.header["options"]["timeout"] {
        Value::Null => Some(10_000),
        timeout => timeout.as_u64().filter(|ms| *ms > 0),
    }
}

fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

fn at(ms: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_ms(ms)
}

/// What the script says of a call under way.
struct Call {
    fired_at: u64,
    latency: u64,
    planned: String,
    set: u64,
    timed_out: bool,
}

/// A breaker following a recording.
struct Replay<'r> {
    recording: &'r Recording,
    timeout: Option<u64>,
    has_fallback: bool,
    has_filter: bool,
    breaker: Breaker,
    calls: BTreeMap<u64, Call>,
    /// Counts timers as they are set, from 1: those of the arrivals are 0.
    set: u64,
    rotation_set: u64,
    reset_set: u64,
}

/// What a breaker did: the fields of a line, by name.
type Deed = Vec<(&'static str, Value)>;

fn replay(recording: &Recording, config: BreakerConfig) -> Vec<String> {
    let mut replay = Replay {
        recording,
        timeout: timeout_of(recording),
        has_fallback: recording.header["fallback"] == json!(true),
        has_filter: !recording.header["error_filter"].is_null(),
        breaker: Breaker::new(config, SimTime::ZERO),
        calls: BTreeMap::new(),
        set: 1,
        rotation_set: 1,
        reset_set: 0,
    };
    let mut deviations = Vec::new();
    for line in &recording.lines {
        let step = replay.step(line);
        deviations.extend(step.err());
        if deviations.len() > 10 {
            break;
        }
    }
    deviations
}

impl Replay<'_> {
    /// Does what the line says was done, and compares.
    fn step(&mut self, line: &Value) -> Result<(), String> {
        let now = line["time_ms"].as_u64().unwrap();
        self.rotate(at(now), self.set_when(line));
        let mut deed = self.before(at(now));
        deed.extend(match line["action"].as_str().unwrap() {
            "fire" => self.fire(now, line),
            "timeout" => self.time_out(now, line),
            "complete" => self.complete(now, line),
            "reset_timer" => self.reset(now),
            other => panic!("no action {other}"),
        });
        deed.extend(self.after(line));
        for (field, ours) in deed {
            let theirs = line.get(field).unwrap_or(&Value::Null);
            if ours != *theirs {
                let name = &self.recording.name;
                return Err(format!("{name}: {field} should be {theirs}, is {ours}, at {line}"));
            }
        }
        Ok(())
    }

    /// When, in the order of all timers, the one behind this line was set.
    fn set_when(&self, line: &Value) -> u64 {
        match line["action"].as_str() {
            Some("fire") => 0,
            Some("reset_timer") => self.reset_set,
            _ => line["call"].as_u64().and_then(|call| self.calls.get(&call)).map_or(0, |call| call.set),
        }
    }

    fn next_set(&mut self) -> u64 {
        self.set += 1;
        self.set
    }

    /// All rotations before `now`, and the one at `now` if it was set before the timer that is to go off.
    fn rotate(&mut self, now: SimTime, set: u64) {
        while self.breaker.next_rotation() < now
            || self.breaker.next_rotation() == now && self.rotation_set < set
        {
            self.breaker.rotate();
            self.rotation_set = self.next_set();
        }
    }

    fn before(&self, now: SimTime) -> Deed {
        let overdue = self.breaker.half_open_at().is_some_and(|due| due < now);
        let state = if overdue { json!("overdue for half open") } else { state_name(self.breaker.state()) };
        vec![("state_before", state), ("pending_close_before", json!(self.breaker.pending_close()))]
    }

    fn after(&self, line: &Value) -> Deed {
        let BreakerStats { fires, successes, failures, timeouts, rejects, fallbacks, semaphore } =
            self.breaker.stats();
        let mut deed = vec![
            ("state_after", state_name(self.breaker.state())),
            ("pending_close_after", json!(self.breaker.pending_close())),
            (
                "stats",
                json!({"fires": fires, "successes": successes, "failures": failures, "timeouts": timeouts,
                "rejects": rejects, "fallbacks": fallbacks, "semaphore": semaphore}),
            ),
        ];
        // The line of a reset timer does not say how many permits are free.
        if line["action"] != json!("reset_timer") {
            deed.push(("free_permits", json!(self.breaker.free_permits())));
        }
        deed
    }

    fn fire(&mut self, now: u64, line: &Value) -> Deed {
        let set = self.next_set();
        let (verdict, transition) = self.breaker.on_request(at(now));
        let (outcome, reason, mut events) = match verdict {
            Verdict::Pass => ("admitted", None, vec![]),
            Verdict::RejectOpen => ("rejected", Some("open"), vec!["reject"]),
            Verdict::RejectCapacity => ("rejected", Some("semaphore"), vec!["semaphoreLocked", "failure"]),
        };
        self.conclude(&mut events, transition, reason.is_some());
        if reason.is_none() {
            let call = Call {
                fired_at: now,
                latency: line["latency_ms"].as_u64().unwrap(),
                planned: line["planned_outcome"].as_str().unwrap().to_owned(),
                set,
                timed_out: false,
            };
            self.calls.insert(line["call"].as_u64().unwrap(), call);
        }
        vec![
            ("outcome", json!(outcome)),
            ("rejected", json!(reason.is_some())),
            ("reject_reason", json!(reason)),
            ("events", json!(events)),
        ]
    }

    fn time_out(&mut self, now: u64, line: &Value) -> Deed {
        let Some(call) = self.calls.get_mut(&line["call"].as_u64().unwrap()) else {
            return vec![("outcome", json!("a call that was not admitted"))];
        };
        call.timed_out = true;
        let due = self.timeout.map(|timeout| call.fired_at + timeout);
        let mut events = vec!["timeout", "failure"];
        let transition = self.breaker.on_timeout(at(now));
        self.conclude(&mut events, transition, true);
        vec![("outcome", json!("timeout")), ("time_ms", json!(due)), ("events", json!(events))]
    }

    fn complete(&mut self, now: u64, line: &Value) -> Deed {
        let Some(call) = self.calls.remove(&line["call"].as_u64().unwrap()) else {
            return vec![("outcome", json!("a call that was not admitted"))];
        };
        let outcome = match call.planned.as_str() {
            _ if call.timed_out => "late_ignored",
            "ok" => "success",
            "filtered_error" if self.has_filter => "filtered_error_as_success",
            _ => "failure",
        };
        let (mut events, transition) = match outcome {
            "late_ignored" => (vec![], None),
            "success" => (vec!["success"], self.breaker.on_success(at(now))),
            "failure" => (vec!["failure"], self.breaker.on_failure(at(now))),
            _ => (vec!["success"], self.breaker.on_filtered_error(at(now))),
        };
        self.conclude(&mut events, transition, outcome == "failure");
        let due = call.fired_at + call.latency;
        vec![("outcome", json!(outcome)), ("time_ms", json!(due)), ("events", json!(events))]
    }

    fn reset(&mut self, now: u64) -> Deed {
        let due = self.breaker.half_open_at().map(|due| due.ns() / 1_000_000);
        let mut events = vec![];
        let transition = self.breaker.on_reset_timer(at(now));
        self.conclude(&mut events, transition, false);
        vec![("time_ms", json!(due)), ("events", json!(events))]
    }

    /// Adds the event of a transition in its place, sets the reset timer, and runs the fallback of a failure.
    fn conclude(&mut self, events: &mut Vec<&str>, transition: Option<Transition>, failed: bool) {
        match transition.map(|transition| transition.to) {
            // The breaker listens to its own `success` first, so that it closes before others hear of it.
            Some(BreakerState::Closed) => events.insert(0, "close"),
            Some(BreakerState::HalfOpen) => events.push("halfOpen"),
            Some(BreakerState::Open) => {
                events.push("open");
                self.reset_set = self.next_set();
            }
            None => {}
        }
        if failed && self.has_fallback {
            self.breaker.on_fallback();
            events.push("fallback");
        }
    }
}

fn state_name(state: BreakerState) -> Value {
    json!(match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    })
}
