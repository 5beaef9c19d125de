//! The systems in `models/bench` are what the floor plays by hand: both draw the same random numbers, so both find the
//! same counts, sums of times to the nanosecond, quantiles and areas under levels.

mod support;

#[path = "../benches/floor/mod.rs"]
mod floor;

use brownout::base::{Outcome, SimDuration};
use brownout::experiment::Changes;
use brownout::experiment::run::{merged, play};
use brownout::spec::quantity::Seconds;
use brownout::spec::runs::Warmup;

const SEED: u64 = 42;
const SECONDS: u64 = 20;

/// Plays a system both ways and compares what they count.
///
/// `timers` and `levels` pair what the floor found with metrics of brownout: a mean time, and a mean level.
fn both(system: &str, timers: &[(&str, &str)], levels: &[(&str, &str)]) {
    let hand = floor::play(system, SECONDS, 1, SEED).expect("a system of the floor");
    let changes = Changes {
        duration: Some(SimDuration::from_secs(SECONDS)),
        warmup: Some(Warmup::For(Seconds(0.0))),
        ..Changes::default()
    };
    let plan = support::load(support::repository(&format!("models/bench/{system}.ron")), &[], &changes)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let variant = &plan.variants[0];
    let played = play(variant, SEED, 0);
    let tally = played.summary.tallies[0];
    assert_eq!(tally.sent, hand.sent, "{system}: requests");
    assert_eq!(tally.ended[Outcome::Ok as usize], hand.ok, "{system}: requests that ended well");
    assert_eq!(tally.ended[Outcome::Timeout as usize], hand.timeouts, "{system}: timeouts");

    let meters = merged(&played.record.windows, plan.warmup, plan.end, variant);
    let value = |metric: &str| {
        let found = variant.model.catalog.metrics.iter().find(|m| m.path == metric);
        let source = found.unwrap_or_else(|| panic!("{system} has no metric {metric}")).source;
        meters.value(source).unwrap_or(f64::NAN)
    };
    for (name, metric) in timers {
        let timer = &hand.timers.iter().find(|(timer, _)| timer == name).expect("a timer").1;
        assert_eq!(value(&format!("{metric}.mean")), timer.mean(), "{system}: mean of {name}");
        assert_eq!(value(&format!("{metric}.max")), timer.max_ns as f64 / 1e9, "{system}: most of {name}");
        for (order, ours) in ["p999", "p99", "p95", "p90", "p50"].iter().zip(timer.quantiles()) {
            assert_eq!(value(&format!("{metric}.{order}")), ours, "{system}: {order} of {name}");
        }
    }
    for (name, metric) in levels {
        let level = &hand.levels.iter().find(|(level, _)| level == name).expect("a level").1;
        let (ours, theirs) = (level.mean(), value(metric));
        assert!((ours - theirs).abs() <= 1e-9 * theirs, "{system}: mean of {name}: {ours} and {theirs}");
        assert_eq!(value(&format!("{metric}.max")), level.max as f64, "{system}: most of {name}");
    }
}

#[test]
fn w3_by_hand_is_w3() {
    both(
        "w3",
        &[
            ("latency", "clients.users.latency"),
            ("latency of app", "services.app.latency"),
            ("latency of db", "databases.db.latency"),
            ("wait for a connection", "services.app.calls.db.pool.wait"),
        ],
        &[
            ("in flight", "clients.users.in_flight"),
            ("in flight in app", "services.app.in_flight"),
            ("busy cores of app", "services.app.cpu"),
            ("connections in use", "services.app.calls.db.pool.in_use"),
            ("waiting for a connection", "services.app.calls.db.pool.waiting"),
            ("busy cores of db", "databases.db.cpu"),
        ],
    );
}

#[test]
fn one_server_by_hand_is_one_server() {
    let levels = [("in flight", "clients.users.in_flight"), ("busy cores", "services.server.cpu")];
    both("mm1", &[("latency", "clients.users.latency")], &levels);
}

#[test]
fn ten_servers_by_hand_are_ten_servers() {
    let levels = [("in flight", "clients.users.in_flight"), ("busy cores", "services.server.cpu")];
    both("mm10", &[("latency", "clients.users.latency")], &levels);
}
