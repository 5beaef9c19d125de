//! Alerts, from the text of an experiment to the moment at which they fire, in every place that tells of them.

use crate::support;

use brownout::base::units::Unit;
use brownout::experiment::alerts::alert_columns;
use brownout::experiment::results::{ExperimentResult, Verdict};
use brownout::experiment::{Changes, alerts, run};
use brownout::metrics::Recorder;
use brownout::report::{human, json};
use brownout::sim::World;
use support::{Files, close, whole_experiment};

/// Clients `u` that ask an external so often.
fn asked(rate: &str) -> String {
    format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"{rate}\"), requests: {{ \"x/q\": 1 }}) }}, \
         externals: {{ \"x\": External(latency: \"10ms\") }})"
    )
}

fn played(topology: &str, fields: &str) -> ExperimentResult {
    run(&Files::new(topology, Some(&whole_experiment(fields))).plan(), 1, &()).unwrap()
}

fn mistakes(fields: &str) -> String {
    let files = Files::new(&asked("10/s"), Some(&whole_experiment(&format!("duration: \"1m\", {fields}"))));
    files.try_plan(&Changes::default()).expect_err("a mistake")
}

#[test]
fn a_tenth_of_errors_spends_two_percent_of_the_budget_until_the_page() {
    // Of 360,000 requests in an hour 1.44 % must fail: 5,184, which takes 518.4 s at 10 of 100 each second. They are
    // 2 % of the 259,200 that may fail in 30 days.
    let result = played(
        &asked("100/s"),
        "duration: \"5500s\", runs: 3, \
         timeline: [At(\"3600s\", Errors(target: \"x\", ratio: \"10%\", lasts: \"1800s\"))], \
         alerts: { \"page\": BurnRate(client: \"u\", objective: \"99.9%\", threshold: 14.4, window: \"3600s\") }, \
         expect: { \"base\": [ \"alerts.page.fired in 4080s..4160s\", \"alerts.page.budget_spent in 1.95%..2.05%\", \
         \"alerts.page.firing > 1300s\", \"P(alerts.page.fired < 4000s) <= 0\", \
         \"P(alerts.page.firing > 0s) >= 1\" ] }",
    );
    let alert = &result.variants[0].alerts[0];
    close("fired", alert.fired_s.unwrap().mean, 3600.0 + 518.4, 0.03 * 518.4 / 4118.4);
    close("spent", alert.budget_spent.unwrap().mean, 0.02, 0.005);
    for run in &alert.per_run {
        assert_eq!(run.changes, [(run.fired_s.unwrap(), true)]);
        assert_eq!(run.firing_s, 5500.0 - run.fired_s.unwrap());
    }
    let held: Vec<Verdict> = result.expectations.iter().map(|e| e.verdict).collect();
    // Three runs leave the interval of a share wide.
    assert_eq!(held[..3], [Verdict::Held, Verdict::Held, Verdict::Held]);
    assert_eq!((result.expectations[3].value, result.expectations[4].value), (Some(0.0), Some(1.0)));
    assert_eq!((result.expectations[0].unit, result.expectations[1].unit), (Unit::Seconds, Unit::Ratio));
    // The alert is what detects it: no target, no breaker, no reaction of the system.
    let fault = &result.variants[0].faults[0];
    assert!(fault.per_run.iter().all(|run| run.reaction_s.is_none()));
    close("detected", fault.detect_s.unwrap().mean, 518.4, 0.03 * 518.4);
}

/// Half of the requests fail from 60 s to 180 s.
const HALF: &str = "duration: \"300s\", runs: 2, \
    timeline: [At(\"60s\", Errors(target: \"x\", ratio: \"100%\", lasts: \"2m\"))], alerts: { \
    \"errors\": Threshold(metric: \"clients.u.error_ratio\", above: \"5%\", for: \"1m\"), \
    \"few\": Threshold(metric: \"clients.u.goodput\", below: \"5/s\", window: \"1s\", interval: \"1s\"), \
    \"never\": Threshold(metric: \"clients.u.error_ratio\", above: 1) }, \
    expect: { \"base\": [ \"alerts.errors.fired == 135s\", \"alerts.never.fired <= 5m\", \"alerts.never.firing == 0s\", \
    \"alerts.never.fired >= 5m\" ] }";

#[test]
fn a_threshold_must_hold_for_its_time_at_every_evaluation() {
    let result = played(&asked("10/s"), HALF);
    let [errors, few, never] = result.variants[0].alerts.as_slice() else { panic!("three alerts") };
    // First seen at 75 s, and so at 135 s; at 195 s the last errors are out of the window.
    for run in &errors.per_run {
        assert_eq!(run.changes, [(135.0, true), (195.0, false)]);
    }
    assert_eq!((errors.fired_s.unwrap().mean, errors.firing_s.unwrap().mean), (135.0, 60.0));
    assert!(errors.budget_spent.is_none());
    // Errors are answered at once: the second from 60 s to 61 s holds what was asked before.
    assert_eq!((few.fired_s.unwrap().mean, few.firing_s.unwrap().mean), (61.0, 120.0));
    assert_eq!((never.fired.successes, never.fired.runs), (0, 2));
    let verdicts: Vec<Verdict> = result.expectations.iter().map(|e| e.verdict).collect();
    // That an alert never fires misses any limit on when it does, from above and from below.
    assert_eq!(verdicts, [Verdict::Held, Verdict::Failed, Verdict::Held, Verdict::Failed]);
}

#[test]
fn all_reports_tell_of_alerts() {
    let result = played(&asked("10/s"), HALF);
    let log = &result.variants[0].log[0].lines;
    let line = |at: f64, kind: &str| {
        let found = log.iter().find(|l| l.time_s == at && l.kind == kind && l.component == "alerts.errors");
        found.unwrap_or_else(|| panic!("{kind} at {at} in {log:#?}")).detail.clone()
    };
    assert_eq!(line(135.0, "alert_fired"), "clients.u.error_ratio above 5%");
    assert_eq!(line(195.0, "alert_resolved"), "clients.u.error_ratio above 5%");
    assert!(log.windows(2).all(|pair| pair[0].time_s <= pair[1].time_s));
    let options = human::Options {
        color: false,
        width: 100,
        files: Vec::new(),
        reproduce: String::new(),
        quiet: false,
    };
    let text = human::summary(&result, &options);
    assert!(text.contains("Alert errors: clients.u.error_ratio above 5%"), "{text}");
    assert!(text.contains("2 min 15 s") && text.contains("never"), "{text}");
    let summary: serde_json::Value = serde_json::from_str(&json::summary(&result)).unwrap();
    let alert = &summary["variants"]["base"]["alerts"]["errors"];
    assert_eq!((&alert["fired_s"], &alert["firing_s"]), (&135.0.into(), &60.0.into()));
    assert_eq!(alert["per_run"][1]["fired_s"], 135.0);
    assert_eq!(summary["variants"]["base"]["alerts"]["never"]["fired_s"], serde_json::Value::Null);
}

#[test]
fn the_columns_that_alerts_need_are_enough() {
    let plan = Files::new(&asked("10/s"), Some(&whole_experiment(HALF))).plan();
    let variant = &plan.variants[0];
    let columns = alert_columns(&variant.alerts);
    assert_eq!(columns.len(), 2);
    let catalog = &variant.model.catalog;
    let recorder = Recorder::new(catalog.sizes(), &catalog.sums, columns.clone(), &[]);
    let (_, recorder) = World::new(&variant.model, &variant.script, plan.seed, 0, recorder).run();
    let record = recorder.finish(plan.end);
    assert_eq!(record.rows.len(), 2 * 300);
    let few = alerts::examine(&variant.alerts, &columns, &record.rows);
    assert_eq!(
        few,
        run(&plan, 1, &()).unwrap().variants[0]
            .alerts
            .iter()
            .map(|a| a.per_run[0].clone())
            .collect::<Vec<_>>()
    );
}

#[test]
fn alerts_watch_random_failures_too() {
    let result = played(
        &asked("10/s"),
        "duration: \"20s\", runs: 1, failures: { \"f\": Failures(target: \"x\", up: \"5s\", down: \"3s\") }, \
         alerts: { \"f\": Threshold(metric: \"failures.f.down\", above: 0, window: \"1s\", interval: \"1s\") }",
    );
    assert_eq!(
        result.variants[0].alerts[0].per_run[0].changes,
        [(6.0, true), (9.0, false), (14.0, true), (17.0, false)]
    );
}

#[test]
fn expectations_on_alerts_are_checked() {
    let alert = "alerts: { \"a\": Threshold(metric: \"clients.u.rate\", above: \"1/s\") }";
    let said = |expectation: &str| mistakes(&format!("{alert}, expect: {{ \"base\": [\"{expectation}\"] }}"));
    assert!(said("alerts.b.fired < 1m").contains("no alert is called `b`"));
    assert!(said("alerts.a.fierd < 1m").contains("did you mean `fired`"));
    assert!(said("max of alerts.a.fired < 1m").contains("neither statistics nor windows"));
    assert!(said("alerts.a.budget_spent < 1%").contains("no error budget"));
    assert!(said("alerts.a.fired.max < 1m").contains("neither statistics nor windows"));
    assert!(said("P(alerts.a.fired < 5%) > 0").contains("error"));
}
