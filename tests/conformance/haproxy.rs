//! Checks and lines against HAProxy 2.6.12, recorded in real time.
//!
//! Checks: `rise 2`, `fall 3`, `inter 400ms`. Two servers, whose first checks are spread over one interval. When the
//! process has started, and how late its timer runs each time, is not recorded: there is a place and a lateness from
//! which every state follows within 50 ms. The states were asked for from 0.1 s on.

use super::{documents, report};
use brownout::base::time::SimDuration;
use brownout::components::haproxy::{CheckConfig, Health, Queues, limit};
use serde_json::Value;

const NEAR_S: f64 = 0.05;
/// The state was first asked for then.
const FIRST_LOOK_S: f64 = 0.1;
const INTER_S: f64 = 0.4;

fn recording() -> Value {
    documents("haproxy").remove(0).1
}

fn config(rise: u32, fall: u32) -> CheckConfig {
    let inter = SimDuration::from_seconds(INTER_S);
    CheckConfig { rise, fall, inter, fastinter: inter, downinter: inter }
}

/// The state as the statistics page writes it.
fn text(health: &Health, config: &CheckConfig) -> String {
    match health.status(config) {
        (true, at, of) if at == of => "UP".into(),
        (true, at, of) => format!("UP {at}/{of}"),
        (false, 0, _) => "DOWN".into(),
        (false, at, of) => format!("DOWN {at}/{of}"),
    }
}

/// The states that a server takes on, as somebody sees them who looks from the first look on.
fn states(config: &CheckConfig, first: f64, late: f64, passes: impl Fn(f64) -> bool) -> Vec<(f64, String)> {
    let mut health = Health::new(config);
    let mut seen = vec![(FIRST_LOOK_S, text(&health, config))];
    let mut t = first;
    while t < 9.0 {
        health.on_check(config, passes(t));
        let now = text(&health, config);
        if t <= FIRST_LOOK_S {
            seen[0].1 = now;
        } else if seen.last().unwrap().1 != now {
            seen.push((t, now));
        }
        assert_eq!(health.inter(config), SimDuration::from_seconds(INTER_S));
        t += INTER_S + late;
    }
    seen
}

/// Where the states of the recording differ from ours, for the best place and lateness.
fn check_deviations(config: &CheckConfig) -> (usize, Vec<String>) {
    let recording = recording();
    let events = recording["check_events"].as_array().unwrap();
    let note = |words: &str| {
        let found = events.iter().find(|e| e["note"].as_str().is_some_and(|n| n == words));
        found.expect("the note")["t"].as_f64().unwrap()
    };
    let (ill, well) = (note("chk2 upstream starts failing"), note("both recover"));
    let seen_of = |server: &str| -> Vec<(f64, String)> {
        let of = events.iter().filter(|e| e["server"] == server);
        of.map(|e| (e["t"].as_f64().unwrap(), e["status"].as_str().unwrap().to_string())).collect()
    };
    let try_with = |first: f64, late: f64| {
        let mut wrong = Vec::new();
        for (server, first) in [("chk", first), ("chk2", first + INTER_S / 2.0)] {
            let passes = |t: f64| t > well || (server == "chk2" && t < ill);
            let (ours, theirs) = (states(config, first, late, passes), seen_of(server));
            for at in 0..ours.len().max(theirs.len()) {
                match (ours.get(at), theirs.get(at)) {
                    (Some(o), Some(t)) if o.1 == t.1 && (o.0 - t.0).abs() <= NEAR_S => {}
                    pair => wrong.push(format!("{server}: {pair:?}")),
                }
            }
        }
        wrong
    };
    let places = (0..40).flat_map(|first| (0..10).map(move |late| (first, late)));
    let all = places.map(|(first, late)| try_with(f64::from(first) / 200.0, f64::from(late) / 1000.0));
    (events.len() - 2, all.min_by_key(Vec::len).unwrap())
}

#[test]
fn conformance_of_the_check_timeline() {
    let (steps, wrong) = check_deviations(&config(2, 3));
    report("checks against HAProxy 2.6.12", 1, steps, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (rise, fall) in [(1, 3), (3, 3), (2, 2), (2, 4)] {
        assert!(
            !check_deviations(&config(rise, fall)).1.is_empty(),
            "rise {rise} fall {fall} goes unnoticed"
        );
    }
}

/// The answers to twenty requests at once to one server: status and time, in the order of the times.
fn queue_answers(maxconn: u32, timeout: u32, service: u32) -> Vec<(u32, u32)> {
    let (mut queues, mut answers) = (Queues::new(1), Vec::new());
    let (mut busy, mut waiting): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    for request in 0..20 {
        match (busy.len() as u32) < limit(maxconn, 0, 0, request) {
            true => busy.push(service),
            false => {
                queues.push(None, request);
                waiting.push(request);
            }
        }
    }
    // In hundredths of a second.
    for tick in 0..200 {
        let done = busy.iter().filter(|end| **end == tick).count();
        busy.retain(|end| *end != tick);
        for _ in 0..done {
            answers.push((200, tick));
            if let Some(next) = queues.pop(0) {
                waiting.retain(|w| *w != next);
                busy.push(tick + service);
            }
        }
        if tick == timeout {
            for request in waiting.drain(..) {
                assert!(queues.remove(request));
                answers.push((503, tick));
            }
        }
    }
    assert_eq!(queues.waiting(), 0);
    answers
}

#[test]
fn conformance_of_the_queue() {
    let recording = recording();
    let name = "queue_maxconn2_timeoutqueue500ms_service300ms_20_at_once";
    let recorded: Vec<(u32, f64)> = recording[name]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["status"].as_u64().unwrap() as u32, a["t"].as_f64().unwrap()))
        .collect();
    let differ = |ours: &[(u32, u32)]| {
        let pairs = ours.iter().zip(&recorded);
        let far = |((ours, t), (theirs, at)): &(&(u32, u32), &(u32, f64))| {
            ours != theirs || (f64::from(*t) / 100.0 - at).abs() > NEAR_S
        };
        pairs.filter(far).count() + ours.len().abs_diff(recorded.len())
    };
    let wrong = differ(&queue_answers(2, 50, 30));
    report("maxconn and timeout queue against HAProxy 2.6.12", 1, recorded.len(), wrong);
    assert_eq!(wrong, 0);
    for (maxconn, timeout) in [(1, 50), (3, 50), (2, 25), (2, 65)] {
        assert!(differ(&queue_answers(maxconn, timeout, 30)) > 0, "{maxconn} {timeout}");
    }
}
