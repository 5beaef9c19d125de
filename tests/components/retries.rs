//! Retries and their budgets in whole systems.

use crate::support::{Files, Run, close, experiment, quick, run_of, whole_experiment};

/// Clients who call an external through a policy.
fn system(external: &str, policy: &str, arrivals: &str) -> String {
    format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: {arrivals}, requests: {{ \"x/get\": 1 }}, \
         through: \"p\") }}, externals: {{ \"x\": External({external}) }}, policies: {{ \"p\": [{policy}] }})"
    )
}

/// Plays an experiment whose clients ask at the given moments.
pub fn at(times: &[f64], topology: &str, fields: &str) -> Run {
    let files = Files::new(topology, Some(&whole_experiment(fields)));
    files.write("times.csv", &times.iter().map(|t| format!("{t}\n")).collect::<String>());
    run_of(files.plan(), 0)
}

const FAILS: &str = "latency: \"10ms\", error_ratio: 1";

/// Attempts, and retries refused, in ten seconds of ten calls each.
fn attempts(policy: &str) -> (f64, f64) {
    let run = quick(&system(FAILS, policy, "Regular(\"10/s\")"), 10);
    let refused = run.total("clients.u.calls.x.retry_budget.refused");
    assert_eq!(run.total("clients.u.calls.x.retry_budget.allowed"), run.total("clients.u.calls.x.retries"));
    (run.total("externals.x.rate") - run.total("clients.u.rate"), refused)
}

#[test]
fn each_budget_refuses_by_its_own_law() {
    let with = |budget: &str| attempts(&format!("Retry(max: 1, budget: {budget})"));
    // 35 times 14 of 500, and nothing comes back.
    let (retries, refused) = with("AwsStandard");
    assert_eq!(retries, 35.0);
    assert!(refused > 60.0);
    // The first failure leaves 9 of 10, the retry 8; then 7 and 6: the fifth failure leaves half.
    assert_eq!(with("GrpcThrottling(10, 0.1)").0, 2.0);
    // One in five of about a hundred.
    close("finagle", with("Finagle(min_retries_per_sec: 0)").0, 20.0, 0.06);
    // Retries end after 10 ms: there is never more than one.
    assert_eq!(with("Envoy(1)").1, 0.0);
    assert_eq!(with("EnvoyBudget").1, 0.0);
    assert_eq!(with("Envoy(0)").0, 0.0);
    // The old way to write it.
    close("unnamed", with("(ratio: 0.5, capacity: 100)").0, 50.0, 0.06);
}

#[test]
fn throttling_costs_less_than_errors() {
    // Everything beyond the first call of the run is turned away within the retry, by a limit.
    let policy = "Retry(max: 1, budget: AwsStandard(initial: 50)), RateLimit(TokenBucket(\"1/h\", 1))";
    let run = quick(&system("latency: \"10ms\"", policy, "Regular(\"10/s\")"), 10);
    assert_eq!(run.total("clients.u.calls.x.retries"), 10.0);
}

#[test]
fn a_success_after_a_retry_gives_back_its_cost() {
    let policy = "Retry(max: 1, backoff: Constant(\"1s\"), budget: AwsStandard(initial: 14))";
    let fields = "duration: \"20s\", timeline: [At(\"0s\", Errors(target: \"x\", lasts: \"1.5s\"))]";
    let run = experiment(&system("latency: \"10ms\"", policy, "Regular(\"1/s\")"), fields);
    let all = run.total("clients.u.calls.x.retries") + run.total("clients.u.calls.x.retry_budget.refused");
    // One retry takes all there is; the second failure comes before its success.
    assert!((1.0..=2.0).contains(&all), "{all}");
    assert_eq!(run.total("clients.u.calls.x.retries"), 1.0);
}

#[test]
fn all_grpc_calls_to_a_server_share_its_tokens() {
    // Two populations of one service's requests, through two policies with the same throttling.
    let grpc = "GrpcRetry(max_attempts: 2, initial_backoff: \"1ms\", max_backoff: \"1ms\", backoff_multiplier: 1, \
                throttling: GrpcThrottling(20, 0.001))";
    let topology = format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), requests: {{ \"s/run\": 1 }}) }}, \
         services: {{ \"s\": Service(endpoints: {{ \"run\": [Optional([Call(\"x/a\", \"p\")]), \
         Optional([Call(\"x/b\", \"q\")])] }}) }}, \
         externals: {{ \"x\": External({FAILS}) }}, policies: {{ \"p\": [{grpc}], \"q\": [{grpc}] }})"
    );
    let run = quick(&topology, 10);
    let retries = run.total("externals.x.rate") - 2.0 * run.total("services.s.rate");
    // Ten failures of twenty end all retries: five by calls, five by retries, whichever policy.
    assert_eq!(retries, 5.0);
}

#[test]
fn killed_and_hung_callers_leave_no_retry_behind() {
    for budget in
        ["AwsStandard", "GrpcThrottling(100, 1)", "Finagle", "Envoy(2, Service)", "EnvoyBudget(per: Service)"]
    {
        let budget = budget.replace("Envoy(2, Service)", "Envoy(max_retries: 2, per: Service)");
        let topology = format!(
            "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Poisson(\"50/s\"), requests: {{ \"s/run\": 1 }}, \
             timeout: \"300ms\") }}, services: {{ \"s\": Service(replicas: 2, restart_delay: \"1s\", endpoints: {{ \"run\": \
             [Call(\"x/a\", \"p\")] }}) }}, externals: {{ \"x\": External(latency: \"100ms\", error_ratio: 0.5) }}, \
             policies: {{ \"p\": [Timeout(limit: \"250ms\", cancel: true), Retry(max: 2, backoff: Constant(\"80ms\"), \
             budget: {budget}), Network(\"5ms\")] }})"
        );
        let fields = "duration: \"40s\", timeline: [At(\"5s\", Crash(target: \"s\", instances: Number(1), name: \"crash\")), \
                      At(\"10s\", Hang(target: \"s\", lasts: \"2s\")), \
                      At(\"15s\", Set(\"policies.p.Retry.budget\", Envoy(1))), \
                      At(\"20s\", Set(\"policies.p.Retry.budget\", None)), \
                      At(\"30s\", Set(\"clients.u.arrivals\", Poisson(\"0.001/s\")))]";
        let run = experiment(&topology, fields);
        assert_eq!(run.played.summary.rest, Default::default(), "{budget}");
        assert!(run.total("services.s.calls.x.retries") > 100.0, "{budget}");
    }
}

/// When the attempts of the first call come to a limit that turns all but one away, asking for a wait.
fn attempts_at(policy: &str, retry_after: &str) -> Vec<usize> {
    let limit = format!("RateLimit(algorithm: TokenBucket(\"1/h\", 1), retry_after: \"{retry_after}\")");
    let topology = system("latency: \"10ms\"", &format!("{policy}, {limit}"), "Times(\"times.csv\")");
    let run = at(&[0.5, 2.5, 4.5, 6.5, 8.5], &topology, "duration: \"20s\"");
    let rejected = run.series("clients.u.calls.x.rate_limit.rejected");
    // The first request passes; count the seconds from the second one.
    let hits = rejected.iter().enumerate().skip(2).filter(|(_, n)| **n > 0.0).map(|(s, _)| s - 2);
    hits.take(3).collect()
}

#[test]
fn a_rejection_that_asks_for_a_wait_gets_it() {
    let one = |policy: &str, wait: &str| {
        let calls = attempts_at(policy, wait);
        assert!(!calls.is_empty(), "{policy}");
        calls
    };
    // Others come every two seconds; odd seconds are retries.
    assert_eq!(one("Retry(max: 1)", "1s"), [0, 1, 2]);
    assert_eq!(one("Retry(max: 1, retry_after: Ignore)", "1s"), [0, 2, 4]);
    assert_eq!(one("Resilience4jRetry(max_attempts: 2, wait_duration: \"1ms\")", "1s"), [0, 2, 4]);
    // gRPC takes the wait instead of its own ten seconds.
    let grpc =
        "GrpcRetry(max_attempts: 2, initial_backoff: \"10s\", max_backoff: \"10s\", backoff_multiplier: 1)";
    assert_eq!(one(grpc, "1s"), [0, 1, 2]);
}

#[test]
fn fatal_failures_end_a_grpc_hedge_and_others_send_the_next_at_once() {
    let hedges = |non_fatal: &str| {
        let policy = format!("GrpcHedge(max_attempts: 4, hedging_delay: \"1s\", non_fatal: [{non_fatal}])");
        let run = quick(&system(FAILS, &policy, "Regular(\"1/s\")"), 10);
        close(
            "latency",
            run.value("clients.u.latency.max"),
            if non_fatal.is_empty() { 0.01 } else { 0.04 },
            0.02,
        );
        run.total("clients.u.calls.x.hedges") / run.total("clients.u.rate")
    };
    assert_eq!((hedges(""), hedges("Error")), (0.0, 3.0));
}

#[test]
fn polly_hedges_after_two_seconds() {
    let run = quick(&system("latency: \"5s\"", "PollyHedge", "Regular(\"0.1/s\")"), 30);
    assert_eq!(run.total("clients.u.calls.x.hedges"), run.total("clients.u.rate"));
}
