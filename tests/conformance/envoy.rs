//! Outlier detection, the window in which changes of health are merged, and panic, against Envoy 1.40.0 in real time.
//!
//! The recorded requests are played: who answered what, and when. Our detector must eject the same hosts in the same
//! order on the same answers. Sweeps are not recorded; where they stand within the interval, and how late Envoy's timer
//! runs (a millisecond or so each time), is taken from the recorded un-ejections.

use super::{documents, recordings_in, report};
use brownout::base::Rng;
use brownout::base::time::{SimDuration, SimTime};
use brownout::components::balancer::{Balancer, PolicyConfig};
use brownout::components::envoy::{MergeWindow, Update, panics};
use brownout::components::outlier::{Outlier, OutlierConfig, Verdict};
use serde_json::Value;

/// How far times may be apart: Envoy ran in real time.
const NEAR_S: f64 = 0.05;

fn at(seconds: f64) -> SimTime {
    SimTime::ZERO + SimDuration::from_seconds(seconds)
}

fn document(name: &str) -> Value {
    documents("envoy").into_iter().find(|(n, _)| n == name).expect("the document").1
}

/// An ejection (`true`) or its end.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Event {
    t: f64,
    host: u32,
    is_ejection: bool,
}

fn recorded_events() -> Vec<Event> {
    let events = document("outlier_events.json");
    let event = |e: &Value| Event {
        t: e["t"].as_f64().unwrap(),
        host: e["host"].as_u64().unwrap() as u32,
        is_ejection: e["action"] == "EJECT",
    };
    events.as_array().unwrap().iter().map(event).collect()
}

fn config_of(header: &Value) -> OutlierConfig {
    let given = &header["config"];
    let seconds = |name: &str| SimDuration::from_seconds(given[name].as_f64().unwrap());
    OutlierConfig {
        interval: seconds("interval_s"),
        base_ejection_time: seconds("base_ejection_time_s"),
        max_ejection_time: seconds("max_ejection_time_s"),
        max_ejection_percent: given["max_ejection_percent"].as_u64().unwrap() as u32,
        consecutive_5xx: given["consecutive_5xx"].as_u64().unwrap() as u32,
        ..OutlierConfig::ENVOY
    }
}

/// The moments of the sweeps: those of the recorded un-ejections, and a line through them where there is none.
fn sweeps(events: &[Event], interval: f64, end: f64) -> Vec<f64> {
    let known: Vec<(f64, f64)> =
        events.iter().filter(|e| !e.is_ejection).map(|e| ((e.t / interval).floor(), e.t)).collect();
    let n = known.len() as f64;
    let (mx, my) = (known.iter().map(|k| k.0).sum::<f64>() / n, known.iter().map(|k| k.1).sum::<f64>() / n);
    let slope = known.iter().map(|k| (k.0 - mx) * (k.1 - my)).sum::<f64>()
        / known.iter().map(|k| (k.0 - mx) * (k.0 - mx)).sum::<f64>();
    assert!((interval..interval + 0.002).contains(&slope), "{slope}");
    let recorded = |number: f64| known.iter().find(|k| k.0 == number).map(|k| k.1);
    let all = (0..).map(f64::from).map(|k| recorded(k).unwrap_or(my + slope * (k - mx)));
    all.take_while(|t| *t < end).filter(|t| *t > 0.0).collect()
}

/// What our detector makes of the recorded requests, and the recorded requests to hosts that the balancer must have
/// taken for ejected.
fn replay(config: &OutlierConfig, window: f64, skip: usize) -> (Vec<Event>, usize, usize) {
    let recording = recordings_in("envoy", "envoy-outlier/1").remove(0);
    let hosts = recording.header["hosts"].as_u64().unwrap() as usize;
    let mut outlier = Outlier::new(hosts);
    (0..hosts as u32).for_each(|h| outlier.set_member(h, true));
    let (mut merge, mut rng) = (MergeWindow::default(), Rng::from_seed(1));
    let (mut applied, mut applied_since, mut pending) = (vec![true; hosts], vec![-1.0; hosts], None);
    let end = recording.lines.last().unwrap()["t"].as_f64().unwrap();
    let interval = config_of(&recording.header).interval.seconds();
    let sweeps = sweeps(&recorded_events(), interval, end);
    let mut sweeps = sweeps.into_iter().peekable();
    let (mut events, mut strays) = (Vec::new(), 0);
    let window = SimDuration::from_seconds(window);
    let mut turn = |t: f64, line: Option<(u32, u16)>| {
        if let Some(then) = pending.filter(|then: &SimTime| *then <= at(t)) {
            pending = None;
            if merge.on_time(then) {
                for host in 0..hosts {
                    if applied[host] == outlier.is_ejected(host as u32) {
                        (applied[host], applied_since[host]) = (!applied[host], then.seconds());
                    }
                }
            }
        }
        let mut told = Vec::new();
        match line {
            None => outlier.sweep(config, at(t), &mut rng, |host, verdict| told.push((host, verdict))),
            Some((host, status)) => {
                // The balancer sends nothing to who it has heard is ejected, but for requests under way.
                let settled = t - applied_since[host as usize] > NEAR_S;
                strays += usize::from(!applied[host as usize] && settled);
                let verdict = outlier.on_code(config, at(t), host, status, &mut rng);
                told.extend(verdict.map(|v| (host, v)));
            }
        }
        for (host, verdict) in told {
            let is_ejection = match verdict {
                Verdict::Ejected => true,
                Verdict::Unejected => false,
                Verdict::Overflow | Verdict::NotEnforced => continue,
            };
            events.push(Event { t, host, is_ejection });
            match merge.on_change(at(t), window) {
                Update::Now => {
                    for h in 0..hosts {
                        if applied[h] == outlier.is_ejected(h as u32) {
                            (applied[h], applied_since[h]) = (!applied[h], t);
                        }
                    }
                }
                Update::At(then) => pending = Some(then),
                Update::Pending => {}
            }
        }
    };
    for line in recording.lines.iter().skip(skip) {
        let t = line["t"].as_f64().unwrap();
        // Times are rounded to milliseconds; requests are noted when they were sent, a little before they count.
        while let Some(sweep) = sweeps.next_if(|sweep| *sweep < t) {
            turn(sweep, None);
        }
        turn(t, Some((line["host"].as_u64().unwrap() as u32, line["status"].as_u64().unwrap() as u16)));
    }
    (events, strays, recording.lines.len())
}

/// Where our events differ from the recorded ones. Hosts that one sweep lets back come in the order of a hash.
fn deviations(ours: &[Event], recorded: &[Event]) -> Vec<String> {
    let mut recorded = recorded.to_vec();
    recorded.sort_by(|a, b| {
        let (a_turn, b_turn) = (
            (a.t / 0.02) as i64 * i64::from(!a.is_ejection),
            (b.t / 0.02) as i64 * i64::from(!b.is_ejection),
        );
        match a_turn == b_turn && a_turn != 0 {
            true => a.host.cmp(&b.host),
            false => a.t.total_cmp(&b.t),
        }
    });
    let mut wrong = Vec::new();
    for i in 0..ours.len().max(recorded.len()) {
        match (ours.get(i), recorded.get(i)) {
            (Some(o), Some(r))
                if o.host == r.host && o.is_ejection == r.is_ejection && (o.t - r.t).abs() < NEAR_S => {}
            pair => wrong.push(format!("{i}: {pair:?}")),
        }
    }
    wrong
}

#[test]
fn conformance_of_outlier_detection() {
    let recording = recordings_in("envoy", "envoy-outlier/1").remove(0);
    let (ours, strays, requests) = replay(&config_of(&recording.header), 1.0, 0);
    let recorded = recorded_events();
    let wrong = deviations(&ours, &recorded);
    let component = "outlier detection and merged updates against Envoy 1.40.0";
    report(component, 1, requests + recorded.len(), wrong.len() + strays);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(strays, 0, "requests to hosts that the balancer must have taken for ejected");
}

#[test]
fn conformance_notices_a_wrong_detector() {
    let recording = recordings_in("envoy", "envoy-outlier/1").remove(0);
    let (config, recorded) = (config_of(&recording.header), recorded_events());
    type Spoil = fn(&mut OutlierConfig);
    let wrong: [(&str, Spoil); 6] = [
        ("number of failures", |c| c.consecutive_5xx += 1),
        ("number of failures, too few", |c| c.consecutive_5xx -= 1),
        ("share that may be ejected", |c| c.max_ejection_percent += 20),
        ("share, one too few", |c| c.max_ejection_percent -= 1),
        ("time of ejection", |c| c.base_ejection_time = SimDuration::from_ms(1500)),
        // With a longer interval the multiplier is not lowered any more.
        ("decay of the multiplier", |c| c.interval = SimDuration::from_secs(20)),
    ];
    for (what, spoil) in wrong {
        let mut config = config;
        spoil(&mut config);
        assert!(
            !deviations(&replay(&config, 1.0, 0).0, &recorded).is_empty(),
            "a wrong {what} goes unnoticed"
        );
    }
    // Had changes of health reached the balancer sooner, it would not have sent what it sent.
    for window in [0.0, 0.5, 0.9] {
        assert!(replay(&config, window, 0).1 > 0, "a window of {window} s goes unnoticed");
    }
}

/// 400 requests, one after the other, to ten hosts of which so many are unhealthy: to healthy hosts, to unhealthy
/// ones, and refused.
fn panic_counts(threshold: u32, fails: bool, unhealthy: u32) -> (u64, u64, u64, usize) {
    let mut balancer = Balancer::new(PolicyConfig::RoundRobin, &[1; 10]);
    (0..unhealthy).for_each(|host| balancer.set_eligible(host, false));
    let (mut rng, mut hits) = (Rng::from_seed(1), [0u64; 10]);
    let (mut good, mut bad, mut refused) = (0, 0, 0);
    for _ in 0..400 {
        let picked = match panics(threshold, 10 - unhealthy, 10) {
            true if fails => None,
            true => balancer.pick_any(&mut rng, 0),
            false => balancer.pick(&mut rng, 0),
        };
        match picked {
            None => refused += 1,
            Some(host) => {
                hits[host as usize] += 1;
                *(if host < unhealthy { &mut bad } else { &mut good }) += 1;
            }
        }
    }
    (good, bad, refused, hits.iter().filter(|h| **h > 0).count())
}

fn panic_deviations(spoil: fn(u32) -> u32) -> (usize, Vec<String>) {
    let table = document("panic_threshold.json");
    let rows = table.as_array().unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let setting = row["setting"].as_str().unwrap();
        let threshold = match setting {
            "panic threshold 70%" => 70,
            "panic threshold 0 (disabled)" => 0,
            "panic threshold default (50%)" | "default threshold, fail_traffic_on_panic" => 50,
            other => panic!("{other}"),
        };
        let unhealthy = row["unhealthy"].as_u64().unwrap() as u32;
        let ours = panic_counts(spoil(threshold), setting.contains("fail_traffic"), unhealthy);
        let recorded = (
            row["hits_to_healthy"].as_u64().unwrap(),
            row["hits_to_unhealthy"].as_u64().unwrap(),
            row["status"]["503"].as_u64().unwrap_or(0),
            row["hosts_used"].as_u64().unwrap() as usize,
        );
        if ours != recorded {
            wrong.push(format!("{setting}, {unhealthy} unhealthy: ours {ours:?}, Envoy {recorded:?}"));
        }
    }
    (rows.len(), wrong)
}

#[test]
fn conformance_of_panic() {
    let (rows, wrong) = panic_deviations(|threshold| threshold);
    report("panic threshold against Envoy 1.40.0 (tables of 400 requests)", 1, rows, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Strictly below, and not at.
    assert!(!panic_deviations(|threshold| threshold + 1).1.is_empty());
    assert!(!panic_deviations(|threshold| threshold.saturating_sub(10)).1.is_empty());
}
