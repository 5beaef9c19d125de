//! Deadlines that are passed on, in whole systems.

use crate::support::{Run, close, experiment, quick};

/// Clients who call a service that calls an external.
fn chain(clients: &str, service: &str, external: &str, policies: &str) -> String {
    format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"1/s\"), requests: {{ \"s/run\": 1 }}, {clients}) }}, \
         services: {{ \"s\": Service({service}) }}, externals: {{ \"x\": External({external}) }}, policies: {{ {policies} }})"
    )
}

const TEN: u64 = 10;

fn outcomes(run: &Run, outcome: &str) -> f64 {
    run.total(&format!("clients.u.outcomes.{outcome}"))
}

#[test]
fn whoever_is_called_has_no_more_time_than_is_left() {
    let run = quick(
        &chain(
            "through: \"outer\"",
            "endpoints: { \"run\": [Wait(\"60ms\"), Call(\"x/get\", \"inner\")] }",
            "latency: \"500ms\"",
            "\"outer\": [Deadline(\"100ms\")], \"inner\": [Deadline(\"1s\")]",
        ),
        TEN,
    );
    close("the inner call", run.value("services.s.calls.x.latency.max"), 0.040, 0.01);
    close("the outer call", run.value("clients.u.latency.max"), 0.100, 0.01);
    assert_eq!(run.total("services.s.calls.x.deadline.exceeded"), run.total("clients.u.rate"));
}

#[test]
fn a_call_without_time_left_is_not_sent_and_a_timeout_knows_nothing_of_that() {
    let sent = |layer: &str| {
        let run = quick(
            &chain(
                "through: \"outer\"",
                "endpoints: { \"run\": [Wait(\"150ms\"), Call(\"x/get\")] }",
                "latency: \"5ms\"",
                &format!("\"outer\": [{layer}(\"100ms\")]"),
            ),
            TEN,
        );
        assert_eq!(run.played.summary.rest.frames, 0);
        run.total("externals.x.rate")
    };
    assert_eq!(sent("Deadline"), 0.0);
    assert!(sent("Timeout") >= 9.0);
}

#[test]
fn work_that_waited_too_long_is_not_begun() {
    let fields = "workers: 1, endpoints: { \"run\": [Wait(\"700ms\")] }";
    let arrivals = |t: String| t.replace("Regular(\"1/s\")", "Regular(\"4/s\")");
    let policy = "\"outer\": [Network(\"1ms\"), Deadline(\"1s\"), Network(\"1ms\")]";
    let run = quick(&arrivals(chain("through: \"outer\"", fields, "latency: \"5ms\"", policy)), 20);
    let (begun, expired) = (run.total("services.s.throughput"), run.total("services.s.expired"));
    // 20 s of work in pieces of 0.7 s, and four come each second.
    assert!(expired > 40.0, "{expired}");
    assert!(begun - expired < 30.0, "{begun} ended, {expired} of them not begun");
    close("all ended in time", run.value("clients.u.latency.max"), 1.002, 0.01);
}

#[test]
fn no_retry_begins_after_the_deadline() {
    let run = quick(
        &chain(
            "through: \"p\"",
            "endpoints: { \"run\": [Wait(\"10ms\"), Fail(1)] }",
            "latency: \"5ms\"",
            "\"p\": [Deadline(\"100ms\"), Retry(max: 9, backoff: Constant(\"60ms\"))]",
        ),
        TEN,
    );
    // At 0 and 70 ms; the next would be at 140 ms. The failure of 80 ms is the answer.
    close("attempts", run.total("services.s.rate"), 2.0 * run.total("clients.u.rate"), 1e-9);
    close("latency", run.value("clients.u.latency.max"), 0.080, 0.01);
    assert_eq!(run.total("clients.u.calls.s.deadline.exceeded"), 0.0);
}

#[test]
fn a_deadline_can_call_off_what_is_under_way() {
    let left = |cancel: &str| {
        let policy = format!("\"p\": [Deadline(limit: \"100ms\", cancel: {cancel})]");
        let run = quick(
            &chain(
                "through: \"p\"",
                "endpoints: { \"run\": [Wait(\"500ms\")] }",
                "latency: \"5ms\"",
                &policy,
            ),
            TEN,
        );
        run.value("services.s.latency.max")
    };
    close("called off", left("true"), 0.1, 0.02);
    close("goes on", left("false"), 0.5, 0.02);
}

#[test]
fn nothing_is_left_whoever_dies_and_whatever_changes() {
    let stack = "Deadline(\"200ms\"), Hedge(delay: Percentile(80, \"50ms\"), max: 2), Retry(max: 2, backoff: \
                 Constant(\"30ms\"), budget: Finagle), RateLimit(algorithm: TokenBucket(\"30/s\", 5), retry_after: \"60ms\"), \
                 Network(\"5ms\")";
    let topology = chain(
        "through: \"outer\"",
        "replicas: 2, workers: 3, restart_delay: \"1s\", endpoints: { \"run\": [Parallel(branches: [[Call(\"x/a\", \"p\")], \
         [Call(\"x/b\", \"p\")]])] }",
        "latency: Uniform(\"20ms\", \"150ms\"), error_ratio: 0.3, max_in_flight: 10, retry_after: \"20ms\"",
        &format!("\"outer\": [Deadline(\"300ms\")], \"p\": [{stack}]"),
    )
    .replace("Regular(\"1/s\")", "Poisson(\"30/s\")");
    let fields = "duration: \"40s\", timeline: [At(\"5s\", Crash(target: \"s\", instances: Number(1), name: \"crash\")), \
                  At(\"10s\", Hang(target: \"s\", lasts: \"2s\")), \
                  At(\"15s\", Set(\"policies.p.Hedge.delay\", \"20ms\")), \
                  At(\"18s\", Set(\"policies.p.0\", Timeout(\"150ms\"))), \
                  At(\"20s\", Set(\"policies.p.Hedge.delay\", Percentile(50, \"10ms\"))), \
                  At(\"30s\", Set(\"clients.u.arrivals\", Poisson(\"0.001/s\")))]";
    let run = experiment(&topology, fields);
    assert_eq!(run.played.summary.rest, Default::default());
    assert!(run.total("services.s.calls.x.hedges") > 50.0);
    assert!(run.total("services.s.calls.x.retries") > 20.0);
    assert!(outcomes(&run, "ok") + outcomes(&run, "error") + outcomes(&run, "timeout") > 500.0);
}
