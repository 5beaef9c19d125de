//! What faults cost, and what keeps a system down: recovery measured, with controls that must say no.

use brownout::base::SimDuration;
use brownout::experiment::plan::FaultMeasure;
use brownout::experiment::results::{ExperimentResult, FaultRun, VariantResult};
use brownout::experiment::{Changes, Plan, plan, recovery, run};
use brownout::metrics::Change;
use brownout::spec::load::Loader;

fn planned(text: &str) -> Plan {
    let mut loader = Loader::default();
    let document = loader.load_text("t", text).expect("a document");
    let Some(plan) = plan(&mut loader, document, &Changes::default()) else {
        panic!("no plan: {:?}", loader.diagnostics)
    };
    plan
}

fn played(text: &str) -> ExperimentResult {
    run(&planned(text), 2, &()).expect("a result")
}

fn struck(variant: &VariantResult) -> FaultRun {
    variant.faults[0].per_run[0]
}

/// An experiment about one service of ten workers and 100 requests/s, with 80/s that give up after 1 s.
fn service(clients: &str, more: &str) -> String {
    format!(
        "Experiment(topology: Topology(name: \"t\", \
         clients: {{ \"u\": Clients(arrivals: Poisson(\"80/s\"), requests: {{ \"s/e\": 1 }}, {clients}) }}, \
         services: {{ \"s\": Service(workers: 10, queue: Queue(capacity: 100000), \
         endpoints: {{ \"e\": [Wait(Exponential(\"100ms\"))] }}) }}), \
         warmup: \"20s\", duration: \"5m\", runs: 1, timeline: [At(\"1m\", Hang(target: \"s\", lasts: \"20s\"))], {more})"
    )
}

const STORM: &str = "timeout: \"1s\", retry: Retry(max: 3, backoff: Constant(\"100ms\"))";

#[test]
fn a_retry_storm_is_metastable_and_its_retries_sustain_it() {
    let result = played(&service(STORM, ""));
    let storm = struck(&result.variants[0]);
    assert!(storm.metastable && storm.recover_s.is_none() && storm.impact.mitigate_s.is_none(), "{storm:?}");
    let sustained = storm.impact.sustained.expect("the fault was over");
    // Each call is tried four times: three of four attempts.
    assert!((0.72..=0.76).contains(&sustained.retries), "{sustained:?}");
    assert!(sustained.work_for_nobody > 0.99 && sustained.cold_cache == 0.0 && sustained.restarts == 0.0);
    assert!((3.8..=4.0).contains(&storm.impact.retry_amplification), "{storm:?}");
    // What it costs without retries: the backlog drains, and then all is well.
    let result = played(&service("timeout: \"1s\"", ""));
    let backlog = struck(&result.variants[0]);
    assert!(!backlog.metastable, "{backlog:?}");
    let sustained = backlog.impact.sustained.expect("it had to be got over");
    assert!(sustained.retries == 0.0 && sustained.work_for_nobody > 0.5, "{sustained:?}");
    assert_eq!(backlog.impact.retry_amplification, 1.0);
    let (mitigated, recovered) = (backlog.impact.mitigate_s.unwrap(), backlog.recover_s.unwrap());
    assert!(mitigated > 20.0 && mitigated <= recovered, "{backlog:?}");
}

/// 80/s are 80 * 86,400 requests a day, of which 1 % may fail: 69,120. What fails is counted.
#[test]
fn the_budget_burnt_is_what_failed_of_what_may_fail_in_a_period() {
    let objective = "objectives: { \"u\": Objective(availability: \"99%\", period: \"1d\") }";
    let fault = struck(&played(&service("timeout: \"1s\"", objective)).variants[0]);
    let (burnt, rate) = (fault.impact.budget_burnt.unwrap(), fault.goodput_before);
    let expected = fault.unserved / (0.01 * rate * 86_400.0);
    assert!((burnt / expected - 1.0).abs() < 0.01, "{burnt} and {expected}");
}

/// Nobody gives up: those who came during the hang are answered, but late.
#[test]
fn late_requests_are_those_that_end_well_above_the_objective() {
    let objective = "objectives: { \"u\": Objective(latency: { \"p50\": \"200ms\", \"p99\": \"2s\" }) }";
    let fault = struck(&played(&service("", objective)).variants[0]);
    // 18 s of 80/s wait for more than 2 s of the hang, and as many again as the queue takes to shrink below 200.
    let late = fault.impact.late.unwrap();
    assert!((3_000.0..=12_000.0).contains(&late), "{fault:?}");
    assert_eq!(fault.unserved, 0.0);
    assert_eq!(struck(&played(&service("", "")).variants[0]).impact.late, None);
}

/// An alert that fires is a detection, but no reaction of the system.
#[test]
fn an_alert_detects_what_nothing_reacts_to() {
    let alert = "alerts: { \"errors\": Threshold(metric: \"clients.u.error_ratio\", above: \"50%\", \
                 window: \"5s\", interval: \"1s\", for: \"10s\") }";
    let fault = struck(&played(&service("timeout: \"1s\"", alert)).variants[0]);
    assert_eq!(fault.reaction_s, None);
    let detected = fault.detect_s.expect("an alert");
    assert!((10.0..=16.0).contains(&detected), "{detected}");
    assert_eq!(struck(&played(&service("timeout: \"1s\"", "")).variants[0]).detect_s, None);
}

/// A target for the time to recover is an expectation of every fault.
#[test]
fn targets_for_recovery_are_held_or_failed() {
    for (rto, verdict) in [("4m", "held"), ("30s", "failed")] {
        let recovery = format!("recovery: Recovery(rto: \"{rto}\")");
        let result = played(&service("timeout: \"1s\"", &recovery));
        let found: Vec<_> = result.expectations.iter().map(|e| (e.text.as_str(), e.verdict.name())).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].0.starts_with("faults.s.recover <= "), "{found:?}");
        assert_eq!(found[0].1, verdict);
    }
    // Of a storm that never ends, no target is met.
    let result = played(&service(STORM, "recovery: Recovery(rto: \"1h\")"));
    assert_eq!(result.expectations[0].verdict.name(), "failed");
}

/// Writes of the last second before the primary is lost are gone: the oldest of them is as old as the way to the
/// replica is long.
#[test]
fn the_recovery_point_is_the_age_of_the_oldest_write_that_is_lost() {
    let text = |latency: &str, recovery: &str| {
        format!(
            "Experiment(topology: Topology(name: \"t\", \
             clients: {{ \"u\": Clients(arrivals: Poisson(\"50/s\"), requests: {{ \"s/e\": 1 }}, timeout: \"1s\") }}, \
             services: {{ \"s\": Service(endpoints: {{ \"e\": [Call(\"db/put\")] }}) }}, \
             databases: {{ \"db\": Database(cores: 1, queries: {{ \"put\": [Work(\"1ms\")] }}, writes: [\"put\"], \
             failover: Patroni()), \"copy\": Database(cores: 1, queries: {{ \"get\": [Work(\"1ms\")] }}, \
             replication: Replication(of: \"db\", delay: Constant(\"{latency}\"))) }}), \
             warmup: \"20s\", duration: \"4m\", runs: 1, {recovery} \
             timeline: [At(\"1m\", Down(target: \"db\"))])"
        )
    };
    let result = played(&text("2s", "recovery: Recovery(rpo: \"5s\"),"));
    let rpo = struck(&result.variants[0]).impact.rpo_s.expect("a database that fails over");
    assert!((1.8..=2.0).contains(&rpo), "{rpo}");
    let metric = |path: &str| {
        result.variants[0]
            .metrics
            .iter()
            .find(|m| m.path == path)
            .and_then(|m| m.per_run[0])
            .expect("a value")
    };
    assert_eq!(metric("databases.db.rpo"), rpo);
    assert!((70.0..=130.0).contains(&metric("databases.db.lost_writes")));
    assert_eq!(result.expectations[0].verdict.name(), "held");
    let result = played(&text("20s", "recovery: Recovery(rpo: \"5s\"),"));
    assert_eq!(result.expectations[0].verdict.name(), "failed");
}

/// A flushed cache sends everybody to a database that can only take the normal misses. Nobody waits long enough for an
/// answer to be kept, so the cache stays cold.
#[test]
fn a_cache_flush_is_metastable_and_the_cold_cache_sustains_it() {
    let text = |cache: &str| {
        format!(
            "Experiment(topology: Topology(name: \"t\", \
             clients: {{ \"u\": Clients(arrivals: Poisson(\"30/s\"), keys: Uniform(count: 300), \
             requests: {{ \"s/e\": 1 }}) }}, \
             services: {{ \"s\": Service(start_up: Constant(\"1s\"), endpoints: {{ \"e\": [Call(\"db/q\", \"p\")] }}) }}, \
             databases: {{ \"db\": Database(cores: 1, queries: {{ \"q\": [Work(\"20ms\")] }}) }}, \
             policies: {{ \"p\": [{cache} Timeout(\"500ms\")] }}), \
             warmup: \"90s\", duration: \"6m\", runs: 1, timeline: [ \
             At(\"60s\", Set(\"clients.u.arrivals\", Poisson(\"200/s\"))), \
             At(\"2m30s\", Down(target: \"s\", lasts: \"2s\"))])"
        )
    };
    let flushed = struck(&played(&text("Cache(),")).variants[0]);
    assert!(flushed.metastable, "{flushed:?}");
    let sustained = flushed.impact.sustained.expect("the fault was over");
    assert!(sustained.cold_cache > 0.9 && sustained.retries == 0.0, "{sustained:?}");
    // A cache of its own outlives the service's process: nothing has to be got over.
    let shared = struck(&played(&text("Cache(per: Service),")).variants[0]);
    assert!(!shared.metastable && shared.recover_s.is_some_and(|s| s < 15.0), "{shared:?}");
    assert!(shared.impact.sustained.is_none_or(|s| s.cold_cache < 0.2), "{shared:?}");
}

/// Objectives of single requests are told apart: the slow one misses its own.
#[test]
fn objectives_of_requests_have_budgets_of_their_own() {
    let result = played(
        "Experiment(topology: Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Poisson(\"100/s\"), \
         requests: { \"s/good\": 1, \"s/bad\": 1 }) }, \
         services: { \"s\": Service(endpoints: { \"good\": [Wait(\"5ms\")], \
         \"bad\": [Wait(\"50ms\"), Fail(\"10%\")] }) }), \
         warmup: \"10s\", duration: \"110s\", runs: 3, \
         objectives: { \"u\": Objective(availability: \"90%\", period: \"1000s\", endpoints: { \
         \"s/bad\": Objective(availability: \"95%\", period: \"1000s\", latency: { \"p50\": \"20ms\" }), \
         \"s/good\": Objective(availability: \"95%\", period: \"1000s\", latency: { \"p50\": \"20ms\" }) }) }, \
         expect: { \"base\": [ \
         \"objectives.u.burn_rate in 0.4..0.6\", \
         \"objectives.u.s/bad.burn_rate in 1.7..2.3\", \
         \"objectives.u.s/bad.budget_left in 76%..84%\", \
         \"objectives.u.s/good.budget_left >= 100%\" ] })",
    );
    for expectation in &result.expectations {
        assert_eq!(expectation.verdict.name(), "held", "{expectation:?}");
    }
    let all = &result.variants[0].objectives;
    assert_eq!(all.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["u", "u.s/bad", "u.s/good"]);
    let [bad, good] = [1, 2].map(|at| all[at].latency[0].latency.expect("a latency").mean);
    assert!(bad > 0.04 && good < 0.01, "{all:?}");
}

/// When a fault began and ended is what the log of the run says; one that never began has no measures.
#[test]
fn faults_are_measured_from_when_they_began_in_the_run() {
    let plan = planned(&service("timeout: \"1s\"", ""));
    let variant = &plan.variants[0];
    let mut record = run::play(variant, plan.seed, 0).record;
    let of = |record: &_| recovery::examine(&plan, variant, record, &[])[0];
    let as_planned = of(&record);
    let is_of_fault =
        |change: &Change| matches!(change, Change::FaultBegan { .. } | Change::FaultEnded { .. });
    // It began 5 s later than planned: everything is over 5 s sooner after its start.
    for (at, _) in record.log.iter_mut().filter(|(_, change)| matches!(change, Change::FaultBegan { .. })) {
        *at += SimDuration::from_secs(5);
    }
    let later = of(&record);
    assert_eq!(later.recover_s.unwrap(), as_planned.recover_s.unwrap() - 5.0);
    record.log.retain(|(_, change)| !is_of_fault(change));
    let never = of(&record);
    assert!(!never.struck && as_planned.struck);
    for (name, measure, ..) in FaultMeasure::ALL {
        assert_eq!(measure.of(&never), None, "{name}");
    }
}

/// A queue with room for ten loses what does not fit while nobody consumes.
#[test]
fn messages_that_a_queue_has_no_room_for_are_lost() {
    let text = |room: &str| {
        format!(
            "Experiment(topology: Topology(name: \"t\", \
             clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), requests: {{ \"s/e\": 1 }}) }}, \
             services: {{ \"s\": Service(endpoints: {{ \"e\": [Publish(\"q\")] }}), \
             \"w\": Service(endpoints: {{ \"e\": [Wait(\"5ms\")] }}) }}, \
             queues: {{ \"q\": RabbitMq({room} consumer: RabbitConsumer(endpoint: \"w/e\", prefetch: 10)) }}), \
             warmup: \"10s\", duration: \"3m\", runs: 1, timeline: [ \
             At(\"1m\", Down(target: \"w\", lasts: \"20s\"))])"
        )
    };
    let lost = |room: &str| struck(&played(&text(room)).variants[0]).impact.lost_messages.expect("a queue");
    // 200 messages in 20 s, of which ten stay.
    let some = lost("max_length: 10,");
    assert!((185.0..=195.0).contains(&some), "{some}");
    assert_eq!(lost(""), 0.0);
}
