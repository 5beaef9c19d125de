//! What happens when something else does: conditions, runbooks, settings that change in any order. Systems whose every
//! moment can be counted by hand.

use crate::support;

use support::{Files, Run, experiment, run_of, whole_experiment};

/// Ten requests a second, of which `errors` fail, on a service of one instance.
const SYSTEM: &str = r#"Topology(
    name: "t",
    clients: { "u": Clients(arrivals: Regular(rate: "10/s"), requests: { "s/e": 1 }) },
    services: { "s": Service(replicas: 1, workers: 10, endpoints: { "e": [ Wait("10ms"), Fail("0%") ] }) },
    policies: { "p": [ Timeout(limit: "1s"), Retry(max: 1), Bulkhead(max: 1) ] },
)"#;

/// The moments at which something of this kind stands in the log, with its detail.
fn log(run: &Run, kind: &str) -> Vec<(f64, String)> {
    let lines = brownout::experiment::log::lines(&run.plan.variants[0], &run.played.record);
    lines.into_iter().filter(|l| l.kind == kind).map(|l| (l.time_s, l.detail)).collect()
}

fn times(run: &Run, kind: &str) -> Vec<f64> {
    log(run, kind).into_iter().map(|(at, _)| at).collect()
}

/// From second 10 on all requests fail, and the rule that sees it.
const BROKEN: &str = r#"duration: "60s",
    timeline: [ At("10s", Errors(target: "s")) ],
    alerts: { "errors": Threshold(metric: "clients.u.error_ratio", above: "50%", window: "5s", interval: "5s") },"#;

#[test]
fn a_runbook_takes_its_steps_when_its_alert_fires() {
    let fields = format!(
        r#"{BROKEN} runbooks: {{ "night": Runbook(
            on: Alert("errors"), notify: Constant("1s"), react: Constant("2s"),
            steps: [ Do(Set("services.s.replicas", 2)), Do(action: Restart("s"), after: Constant("4s")) ],
        ) }}"#
    );
    let run = experiment(SYSTEM, &fields);
    // At 15 s all requests of the last five seconds have failed, at 10 s none had.
    assert_eq!(times(&run, "reacts"), [18.0]);
    assert_eq!(log(&run, "setting"), [(18.0, "services.s.replicas = 2".into())]);
    assert_eq!(times(&run, "restarted"), [22.0, 22.0], "both instances");
    assert_eq!(times(&run, "reacted"), [22.0]);
}

#[test]
fn an_alert_fires_in_the_run_when_it_fires_in_the_report() {
    let fields = format!(r#"{BROKEN} when: [ When(Alert("errors"), Set("services.s.workers", 11)) ]"#);
    let run = experiment(SYSTEM, &fields);
    let variant = &run.plan.variants[0];
    let columns = &variant.recorded.columns;
    let fired = brownout::experiment::alerts::examine(&variant.alerts, columns, &run.played.record.rows);
    assert_eq!(fired[0].fired_s, Some(15.0));
    assert_eq!(times(&run, "setting"), [15.0]);
}

#[test]
fn a_fault_waits_for_another_and_ends_by_itself() {
    let run = experiment(
        SYSTEM,
        r#"duration: "60s",
        timeline: [ At("10s", Hang(target: "s", lasts: "2s", name: "pause")) ],
        when: [ When(condition: Ended("pause"), action: Errors(target: "s", lasts: "5s"), after: Constant("3s")) ]"#,
    );
    assert_eq!(log(&run, "fault_began"), [(10.0, "pause (Hang)".into()), (15.0, "s (Errors)".into())]);
    assert_eq!(times(&run, "fault_ended"), [12.0, 20.0]);
    assert_eq!(run.played.summary.tallies[0].ended[brownout::base::Outcome::Error as usize], 50);
}

#[test]
fn what_is_seen_starts_what_waits_for_it_as_often_as_it_may() {
    let run = |times: u32| {
        let fields = format!(
            r#"duration: "60s",
            timeline: [ At("10s", Crash(target: "s", name: "a")), At("20s", Crash(target: "s", name: "b")),
                        At("30s", Crash(target: "s", name: "c")) ],
            when: [ When(condition: Seen(Crashed, "s"), action: Set("services.s.workers", 3),
                after: Constant("1s"), times: {times}) ]"#
        );
        times_of_setting(&experiment(SYSTEM, &fields))
    };
    assert_eq!(run(1), [11.0]);
    assert_eq!(run(2), [11.0, 21.0]);
    assert_eq!(run(9), [11.0, 21.0, 31.0]);
}

fn times_of_setting(run: &Run) -> Vec<f64> {
    times(run, "setting")
}

#[test]
fn a_runbook_is_put_away_when_its_alert_is_resolved() {
    let run = |stop: bool| {
        let fields = format!(
            r#"duration: "60s",
            timeline: [ At("10s", Errors(target: "s", lasts: "10s")) ],
            alerts: {{
                "errors": Threshold(metric: "clients.u.error_ratio", above: "50%", window: "5s", interval: "5s"),
            }},
            runbooks: {{ "night": Runbook(
                on: Alert("errors"), react: Constant("20s"), stop_when_resolved: {stop},
                steps: [ Do(Set("services.s.workers", 3)) ],
            ) }}"#
        );
        times_of_setting(&experiment(SYSTEM, &fields))
    };
    assert_eq!(run(false), [35.0]);
    assert_eq!(run(true), [] as [f64; 0], "it was resolved at 25 s");
}

/// The share of failed requests is what the settings in force say, whatever led to them.
#[test]
fn settings_add_up_in_whatever_order_they_change() {
    let errors = |fields: &str, from: f64, to: f64| {
        let fields = format!("duration: \"60s\", {fields}");
        let run = experiment(SYSTEM, &fields);
        let ends = |at: f64| at - 0.5;
        let rows = &run.played.record.rows;
        let columns = &run.plan.variants[0].recorded.columns;
        let column = columns
            .iter()
            .position(|c| {
                let catalog = &run.plan.variants[0].model.catalog;
                catalog.find("clients.u.error_ratio").unwrap().source == *c
            })
            .unwrap();
        let seconds = ends(from).ceil() as usize + 1..to as usize;
        let values: Vec<f64> = seconds.map(|s| rows[s * columns.len() + column]).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let push = |at: &str, lasts: &str| {
        format!(
            r#"At("{at}", ConfigPush(
                name: "push", set: {{ "services.s.endpoints.e.1": Fail("100%") }}, lasts: "{lasts}",
            )),"#
        )
    };
    // A push is undone when it ends, and what was set meanwhile elsewhere stays.
    let fields = format!(r#"timeline: [ {} At("20s", Set("services.s.workers", 3)) ]"#, push("10s", "20s"));
    assert_eq!(errors(&fields, 12.0, 29.0), 1.0);
    assert_eq!(errors(&fields, 32.0, 60.0), 0.0);
    // It comes before, during or after what a condition sets: the end is the same.
    for crash in ["5s", "15s", "35s"] {
        let fields = format!(
            r#"timeline: [ {} At("{crash}", Crash(target: "s", name: "c")) ],
            when: [ When(Seen(Crashed, "s"), Set("services.s.endpoints.e.0", Wait("20ms"))) ]"#,
            push("10s", "20s")
        );
        assert_eq!(errors(&fields, 17.0, 29.0), 1.0, "{crash}");
        assert_eq!(errors(&fields, 37.0, 60.0), 0.0, "{crash}");
    }
    // What is reverted is as at the start, above and below the path.
    let fields = r#"timeline: [ At("10s", Set("services.s.endpoints.e.1", Fail("100%"))),
                                At("20s", Revert("services.s.endpoints")) ]"#;
    assert_eq!(errors(fields, 12.0, 19.0), 1.0);
    assert_eq!(errors(fields, 22.0, 60.0), 0.0);
}

#[test]
fn the_same_seed_plays_the_same_reactions() {
    let fields = format!(
        r#"{BROKEN} runbooks: {{ "night": Runbook(
            on: Alert("errors"), react: LogNormal(median: "5s", p99: "20s"), times: 3,
            steps: [ Do(action: Restart("s"), after: Exponential("1s")) ],
        ) }}"#
    );
    let files = Files::new(SYSTEM, Some(&whole_experiment(&fields)));
    let run = |number| run_of(files.plan(), number);
    assert_eq!(times(&run(0), "restarted"), times(&run(0), "restarted"));
    assert_ne!(times(&run(0), "restarted"), times(&run(1), "restarted"));
}

fn mistake(fields: &str) -> String {
    let files = Files::new(SYSTEM, Some(&whole_experiment(&format!("duration: \"60s\", {fields}"))));
    files.try_plan(&brownout::experiment::Changes::default()).expect_err("this should be a mistake")
}

#[test]
fn mistakes_are_told() {
    let when = |condition: &str| mistake(&format!(r#"when: [ When({condition}, Restart("s")) ]"#));
    assert!(when(r#"Alert("errrs")"#).contains("no alert is called `errrs`"));
    assert!(when(r#"Began("x")"#).contains("no fault of this variant is called `x`"));
    assert!(
        when(r#"Seen(BreakerOpened, "s")"#).contains("nothing called `s` has a breaker around its calls")
    );
    assert!(when(r#"Seen(Scaled, "hpa")"#).contains("there is no autoscaler `hpa`"));
    assert!(
        when(r#"Threshold(metric: "clients.u.errror_ratio", above: "5%")"#).contains("there is no metric")
    );
    let circle = mistake(
        r#"when: [ When(Began("b"), Errors(target: "s", name: "a")), When(Began("a"), Crash(target: "s", name: "b")) ]"#,
    );
    assert!(circle.contains("`b` never begins: it waits for itself"), "{circle}");
    let fault = r#"when: [ When(Seen(Crashed, "s"), Errors(target: "s")) ],
        expect: { "base": [ "clients.u.error_ratio during(s) > 5%" ] }"#;
    assert!(mistake(fault).contains("nobody knows beforehand when `s` begins"));
    let layers = [
        ("0.limit", "\"3s\""),
        ("1.max", "3"),
        ("2.max", "3"),
        ("Timeout.limit", "\"4s\""),
        ("Retry.max", "4"),
        ("Bulkhead.max", "4"),
    ];
    let many: String = layers
        .iter()
        .map(|(path, value)| format!(r#"When(Seen(Crashed, "s"), Set("policies.p.{path}", {value})),"#))
        .collect();
    let told = mistake(&format!("when: [ {many} ]"));
    assert!(told.contains("more than 512 different states"), "{told}");
}

/// A warm-up is looked for in runs that keep few metrics: what reacts waits for the real ones.
#[test]
fn a_warm_up_is_found_where_something_reacts() {
    let fields = format!(
        r#"{BROKEN} warmup: Auto, runs: 1,
        when: [ When(Threshold(metric: "services.s.busy", above: 1000, window: "1s", interval: "1s"), Restart("s")) ]"#
    );
    let run = run_of(Files::new(SYSTEM, Some(&whole_experiment(&fields))).plan(), 0);
    assert_eq!(times(&run, "restarted"), [] as [f64; 0]);
}
