//! Breakers and limits with the names of their products, in small systems whose every moment can be counted by hand.

use crate::support::{Files, Run, close, run_of, whole_experiment};

/// Plays requests at given moments on clients `u` that ask an external `x` through layers.
#[track_caller]
fn at(times: &[f64], settings: &str, layers: &str, fields: &str) -> Run {
    system(
        times,
        &format!(
            "clients: {{ \"u\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"x/q\": 1 }}, through: \"p\") }}, \
             externals: {{ \"x\": External({settings}) }}, policies: {{ \"p\": [{layers}] }}"
        ),
        fields,
    )
}

/// The same, with a service between them that keeps the layers.
#[track_caller]
fn behind(times: &[f64], settings: &str, layers: &str, fields: &str) -> Run {
    system(
        times,
        &format!(
            "clients: {{ \"u\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"s/e\": 1 }}) }}, \
             services: {{ \"s\": Service(endpoints: {{ \"e\": [Call(\"x/q\", \"p\")] }}) }}, \
             externals: {{ \"x\": External({settings}) }}, policies: {{ \"p\": [{layers}] }}"
        ),
        fields,
    )
}

#[track_caller]
fn system(times: &[f64], topology: &str, fields: &str) -> Run {
    let fields = format!("duration: \"20s\", {fields}");
    let files = Files::new(&format!("Topology(name: \"t\", {topology})"), Some(&whole_experiment(&fields)));
    files.write("times.csv", &times.iter().map(|t| format!("{t}\n")).collect::<String>());
    run_of(files.plan(), 0)
}

/// Requests that ended as `outcome`.
fn ended(run: &Run, outcome: &str) -> f64 {
    run.total(&format!("clients.u.outcomes.{outcome}"))
}

#[track_caller]
fn nothing_is_left(run: &Run) {
    assert_eq!(run.played.summary.rest, Default::default());
}

/// `count` moments from `from`, so far apart.
fn every(from: f64, step: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| from + step * i as f64).collect()
}

const FAILS: &str = "latency: \"10ms\", error_ratio: 1";

// ---- resilience4j's breaker ----

const R4J: &str = "sliding_window_size: 4, minimum_number_of_calls: 2, \
                   permitted_number_of_calls_in_half_open_state: 2, ";

#[test]
fn resilience4j_is_half_open_lazily_or_by_a_timer() {
    let times = [1.0, 1.1, 2.0, 5.0];
    let lazy = format!("Resilience4jBreaker({R4J} wait_duration_in_open_state: \"2s\")");
    let run = at(&times, FAILS, &lazy, "");
    assert_eq!(run.times_of("breaker_opened"), [1.11]);
    assert_eq!(run.times_of("breaker_half_opened"), [5.0]);
    assert_eq!((ended(&run, "error"), ended(&run, "rejected")), (3.0, 1.0));
    let of = |metric: &str| run.value(&format!("clients.u.calls.x.breaker.{metric}"));
    assert_eq!((of("opened"), of("closed"), of("trials")), (1.0, 0.0, 1.0));
    nothing_is_left(&run);

    let automatic =
        lazy.replace("\"2s\"", "\"2s\", automatic_transition_from_open_to_half_open_enabled: true");
    assert_eq!(at(&times, FAILS, &automatic, "").times_of("breaker_half_opened"), [3.11]);
}

#[test]
fn resilience4j_waits_strictly_and_longer_each_time() {
    let wait = |wait: &str| format!("Resilience4jBreaker({R4J} wait_duration_in_open_state: {wait})");
    // It opens at 1.11. A call at 2.11 comes with the end of the wait, and is turned away.
    let run = at(&[1.0, 1.1, 2.11, 2.12], FAILS, &wait("\"1s\""), "");
    assert_eq!(run.times_of("breaker_half_opened"), [2.12]);
    // One second, two, then no longer than three. Two trials open it again.
    let grows = wait("OfExponentialBackoff(\"1s\", 2, \"3s\")");
    let run = at(&every(1.0, 0.1, 150), FAILS, &grows, "");
    assert_eq!(run.times_of("breaker_opened"), [1.11, 2.31, 4.51, 7.71, 10.91, 14.11]);
}

#[test]
fn resilience4j_counts_slow_calls_from_their_admission() {
    let slow = format!("Resilience4jBreaker({R4J} slow_call_duration_threshold: \"100ms\")");
    assert_eq!(at(&[1.0, 1.1], "latency: \"101ms\"", &slow, "").times_of("breaker_opened"), [1.201]);
    assert!(at(&[1.0, 1.1], "latency: \"100ms\"", &slow, "").times_of("breaker_opened").is_empty());
}

#[test]
fn resilience4j_may_be_half_open_for_ever() {
    // Both fail at once; the two trials of 4.0 never answer, and no place is free for those after them.
    let hang = "timeline: [At(\"3s\", Hang(target: \"x\", lasts: \"1h\"))]";
    let breaker = format!("Resilience4jBreaker({R4J} wait_duration_in_open_state: \"1s\")");
    let times = [1.0, 1.1, 4.0, 4.0, 5.0, 10.0, 15.0];
    let run = at(&times, FAILS, &breaker, hang);
    assert_eq!(run.times_of("breaker_opened"), [1.11]);
    assert_eq!(ended(&run, "rejected"), 3.0);
    // Unless it is told when to open, or to close.
    let most = breaker.replace("\"1s\"", "\"1s\", max_wait_duration_in_half_open_state: \"2s\"");
    let run = at(&times, FAILS, &most, hang);
    assert_eq!(run.times_of("breaker_opened"), [1.11, 6.0, 12.0, 17.0]);
    let closes = most.replace("\"2s\"", "\"2s\", transition_to_state_after_wait_duration: Closed");
    assert_eq!(at(&times, FAILS, &closes, hang).times_of("breaker_closed"), [6.0]);
}

#[test]
fn late_answers_decide_resilience4j_when_it_is_half_open() {
    // The calls of 1.0 and 1.1 are answered at 5.0 and 5.1; those of 1.2 and 1.3 fail at once.
    let fields = "timeline: [At(\"1150ms\", Errors(target: \"x\", lasts: \"1s\"))]";
    let breaker = format!("Resilience4jBreaker({R4J} wait_duration_in_open_state: \"1s\")");
    let run = at(&[1.0, 1.1, 1.2, 1.3, 4.0], "latency: \"4s\"", &breaker, fields);
    assert_eq!(run.times_of("breaker_half_opened"), [4.0]);
    assert_eq!(run.times_of("breaker_closed"), [5.1]);
}

#[test]
fn a_new_process_has_a_new_breaker_and_settings_can_change() {
    let breaker = format!("Resilience4jBreaker({R4J} wait_duration_in_open_state: \"1h\")");
    let times = [1.0, 1.1, 2.0, 5.0, 5.1, 6.0];
    let kill = "timeline: [At(\"3s\", Crash(target: \"s\"))]";
    let run = behind(&times, FAILS, &breaker, kill);
    assert_eq!(run.times_of("breaker_opened"), [1.11, 5.11]);
    nothing_is_left(&run);
    // A shared breaker stays as it is.
    let shared = breaker.replace("\"1h\"", "\"1h\", per: Service");
    assert_eq!(behind(&times, FAILS, &shared, kill).times_of("breaker_opened"), [1.11]);
    let set = "timeline: [At(\"500ms\", Set(\"policies.p.Resilience4jBreaker.minimum_number_of_calls\", 4))]";
    let run = behind(&times, FAILS, &breaker, set);
    assert_eq!(run.times_of("breaker_opened"), [5.01]);
    // Another make is another breaker.
    let set = "timeline: [At(\"1500ms\", Set(\"policies.p\", [PollyBreaker(minimum_throughput: 2)]))]";
    let run = behind(&times, FAILS, &breaker, set);
    assert_eq!(run.times_of("breaker_opened"), [1.11, 5.01]);
}

// ---- Polly's ----

#[test]
fn pollys_probe_is_the_first_call_from_the_very_moment_on() {
    let polly = "PollyBreaker(minimum_throughput: 2, failure_ratio: 0.5, break_duration: \"1s\")";
    let run = at(&[1.0, 1.1, 2.109, 2.11, 2.111, 4.0], FAILS, polly, "");
    assert_eq!(run.times_of("breaker_opened"), [1.11, 2.12, 4.01]);
    assert_eq!(run.times_of("breaker_half_opened"), [2.11, 4.0]);
    assert_eq!(ended(&run, "rejected"), 2.0);
    nothing_is_left(&run);
}

#[test]
fn pollys_stuck_probe_blocks_for_ever() {
    let polly = "PollyBreaker(minimum_throughput: 2, failure_ratio: 0.5, break_duration: \"1s\")";
    let hang = "timeline: [At(\"3s\", Hang(target: \"x\", lasts: \"1h\"))]";
    let times = [1.0, 1.1, 4.0, 5.0, 10.0, 19.0];
    let run = at(&times, FAILS, polly, hang);
    assert_eq!(run.times_of("breaker_half_opened"), [4.0]);
    assert_eq!(ended(&run, "rejected"), 3.0);
    // With a timeout inside, the probe fails.
    let run = at(&times, FAILS, &format!("{polly}, Timeout(\"500ms\")"), hang);
    assert_eq!(run.times_of("breaker_opened"), [1.11, 4.5, 10.5, 19.5]);
}

// ---- opossum under its own names ----

#[test]
fn an_opossum_breaker_is_a_breaker_with_a_timeout_inside() {
    let fields = "timeline: [At(\"2s\", Slow(target: \"x\", latency: \"5s\", lasts: \"4s\"))]";
    let preset = "OpossumBreaker(timeout: \"500ms\", error_threshold_percentage: 40, reset_timeout: \"2s\", \
                  rolling_count_timeout: \"4s\", rolling_count_buckets: 8, volume_threshold: 3, capacity: 4)";
    let spelled = "Breaker(error_percent: 40, reset: \"2s\", window: \"4s\", buckets: 8, volume: 3, capacity: 4), \
                   Timeout(\"500ms\")";
    let times = every(1.0, 0.05, 300);
    let (a, b) =
        (at(&times, "latency: \"30ms\"", preset, fields), at(&times, "latency: \"30ms\"", spelled, fields));
    assert!(a.value("clients.u.calls.x.breaker.opened") > 1.0 && ended(&a, "timeout") > 0.0);
    assert_eq!(a.played.summary.fingerprint, b.played.summary.fingerprint);
    // Ten seconds, unless switched off.
    let hang = "timeline: [At(\"0s\", Hang(target: \"x\", lasts: \"1h\"))]";
    let run = at(&[1.0], "latency: \"30ms\"", "OpossumBreaker()", hang);
    close("timeout", run.value("clients.u.latency.max"), 10.0, 1e-2);
    assert_eq!(
        ended(&at(&[1.0], "latency: \"30ms\"", "OpossumBreaker(timeout: None)", hang), "timeout"),
        0.0
    );
}

// ---- concurrency limits ----

#[test]
fn a_concurrency_limit_grows_shrinks_and_is_given_back() {
    // Three pass at once; each answer of 100 ms makes room for one more, as half of the limit is used.
    let aimd = "ConcurrencyLimit(Aimd(initial_limit: 3, min_limit: 2, max_limit: 5))";
    let run = at(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0], "latency: \"100ms\"", aimd, "");
    // The first of three counts 1 in progress, less than half of the limit: only the two others let it grow, to 5.
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (8.0, 2.0));
    let of = |metric: &str| format!("clients.u.calls.x.concurrency_limit.{metric}");
    assert_eq!(run.series(&of("limit"))[10], 5.0);
    close("in use", run.value(&of("in_use")) * 20.0, 0.8, 1e-6);
    close("rejected", run.value(&of("rejected")) * 20.0, 2.0, 1e-6);
    nothing_is_left(&run);
    // Timeouts are drops: 5 x 0.9 is 4, then 3, then 2.
    let slow = "timeline: [At(\"3s\", Slow(target: \"x\", latency: \"1s\", lasts: \"10s\"))]";
    let layers = format!("{aimd}, Timeout(\"500ms\")");
    let times: Vec<f64> = [1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0].to_vec();
    let run = at(&times, "latency: \"100ms\"", &layers, slow);
    assert_eq!(run.series(&of("limit"))[15], 2.0);
    // Errors teach nothing.
    let run = at(&[1.0, 1.0, 1.0, 2.0], FAILS, aimd, "");
    assert_eq!(run.series(&of("limit"))[10], 3.0);
}

#[test]
fn calls_beyond_the_limit_may_wait_and_the_last_goes_first() {
    let lifo = "ConcurrencyLimit(algorithm: Fixed(1), lifo_blocking: LifoBlocking(backlog_size: 3, backlog_timeout: \"250ms\"))";
    // The first runs from 1.0 to 1.1, then the call of 1.03 does, then that of 1.02; the one of 1.01 gives up at 1.26,
    // and that of 1.04 found no place.
    let run = at(&[1.0, 1.01, 1.02, 1.03, 1.04], "latency: \"100ms\"", lifo, "");
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (3.0, 2.0));
    close("mean latency", run.value("clients.u.latency.mean"), (0.1 + 0.17 + 0.28 + 0.25) / 5.0, 1e-6);
    close(
        "waiting",
        run.value("clients.u.calls.x.concurrency_limit.waiting") * 20.0,
        0.07 + 0.18 + 0.25,
        1e-6,
    );
    nothing_is_left(&run);
}

#[test]
fn a_limit_goes_with_its_process_and_follows_settings() {
    let fixed = "ConcurrencyLimit(Fixed(1))";
    let kill = "timeline: [At(\"1050ms\", Crash(target: \"s\"))]";
    let run = behind(&[1.0, 1.06, 1.07], "latency: \"1s\"", fixed, kill);
    // The call of the dead process holds no place in the new one.
    // What the limit rejects is an error of the service.
    assert_eq!((ended(&run, "ok"), ended(&run, "error")), (1.0, 2.0));
    nothing_is_left(&run);
    // Who waits in a shared limit when the process dies is called no more.
    let shared = "ConcurrencyLimit(algorithm: Fixed(1), lifo_blocking: LifoBlocking(backlog_timeout: \"9s\"), per: Service)";
    let run = behind(&[1.0, 1.01, 1.02, 1.06], "latency: \"1s\"", shared, kill);
    assert_eq!((ended(&run, "ok"), ended(&run, "error")), (1.0, 3.0));
    nothing_is_left(&run);
    // Room that a change makes is given at once.
    let set = "timeline: [At(\"1100ms\", Set(\"policies.p.ConcurrencyLimit.algorithm.limit\", 2))]";
    let run = behind(&[1.0, 1.01, 1.02], "latency: \"1s\"", shared, set);
    close("longest", run.value("clients.u.latency.max"), 1.98, 1e-2);
    let of = |metric: &str| run.series(&format!("services.s.calls.x.concurrency_limit.{metric}"));
    assert_eq!((of("limit")[5], of("in_use")[5]), (2.0, 0.0));
}

#[test]
fn envoys_limit_is_three_while_it_measures() {
    // 60 calls a second of 100 ms: of the first 50 answers, only 3 at a time.
    let envoy = "ConcurrencyLimit(EnvoyAdaptive())";
    let run = at(&every(1.0, 1.0 / 60.0, 600), "latency: \"100ms\"", envoy, "");
    let rejected = run.series("clients.u.calls.x.concurrency_limit.rejected");
    assert!(rejected[1] > 20.0, "{rejected:?}");
    assert_eq!(rejected[8], 0.0);
}

// ---- doors ----

/// A service with a door and one endpoint of 100 ms, asked directly.
#[track_caller]
fn door(times: &[f64], service: &str, admission: &str, fields: &str) -> Run {
    system(
        times,
        &format!(
            "clients: {{ \"u\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"s/e\": 1 }}) }}, \
             services: {{ \"s\": Service({service} endpoints: {{ \"e\": [Wait(\"100ms\")] }}, \
             admission: Admission({admission})) }}"
        ),
        fields,
    )
}

#[test]
fn a_door_turns_away_before_the_queue() {
    // One worker, and a limit of two: of four at once two come in, one of which waits for the worker.
    let run = door(&[1.0, 1.0, 1.0, 1.0, 2.0], "workers: 1,", "Fixed(2)", "");
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (3.0, 2.0));
    close("in use", run.value("services.s.admission.in_use") * 20.0, 0.1 + 0.2 + 0.1, 1e-6);
    close("rejected", run.value("services.s.admission.rejected") * 20.0, 2.0, 1e-6);
    assert_eq!(run.series("services.s.admission.limit")[10], 2.0);
    nothing_is_left(&run);
}

#[test]
fn a_door_learns_from_times_at_the_instance() {
    // Six at once and one worker: the last is answered after 0.6 s, more than the timeout of 0.55 s.
    let aimd = "Aimd(initial_limit: 10, min_limit: 5, timeout: \"550ms\")";
    let run = door(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "workers: 1,", aimd, "");
    // Those that found 5 in progress grow it by one; then 11 x 0.9 is 9.
    assert_eq!(run.series("services.s.admission.limit")[10], 9.0);
    // A crash brings a new limit, and what was inside is gone.
    let kill = "timeline: [At(\"1050ms\", Crash(target: \"s\"))]";
    let run = door(&[1.0, 1.0, 1.06, 1.06, 1.06], "", "Fixed(2)", kill);
    assert_eq!((ended(&run, "ok"), ended(&run, "error"), ended(&run, "rejected")), (2.0, 2.0, 1.0));
    close("in use", run.value("services.s.admission.in_use") * 20.0, 0.1 + 0.2, 1e-6);
    nothing_is_left(&run);
}

#[test]
fn a_door_can_be_opened_and_shut_during_a_run() {
    let set = "timeline: [At(\"2s\", Set(\"services.s.admission\", None)), \
               At(\"3050ms\", Set(\"services.s.admission\", Admission(Fixed(1))))]";
    let run = door(&[1.0, 1.0, 2.5, 2.5, 3.0, 3.0, 3.1, 3.1, 4.0, 4.0], "", "Fixed(1)", set);
    // One of two; both; both, whom the new door does not count; one of two; one of two.
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (7.0, 3.0));
    assert_eq!(run.series("services.s.admission.in_use").last(), Some(&0.0));
    nothing_is_left(&run);
}

#[test]
fn health_checks_pass_every_door() {
    let run = system(
        &[1.0, 1.0],
        "clients: { \"u\": Clients(arrivals: Times(\"times.csv\"), requests: { \"b/e\": 1 }) }, \
         balancers: { \"b\": Balancer(targets: \"s\", health_check: HealthCheck(endpoint: \"h\", interval: \"1s\", timeout: \"500ms\")) }, \
         services: { \"s\": Service(endpoints: { \"e\": [Wait(\"10s\")], \"h\": [Wait(\"1ms\")] }, \
         admission: Admission(Fixed(1))) }",
        "",
    );
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (1.0, 1.0));
    assert!(run.times_of("target_unhealthy").is_empty());
    assert_eq!(run.series("services.s.admission.in_use")[5], 1.0);
}

// ---- throttles at the client ----

#[test]
fn adaptive_throttling_counts_what_it_turns_away() {
    // A callee that accepts nothing: after the first, call n passes with a chance of 1/n.
    let fails = "latency: \"1ms\", error_ratio: 1";
    let run = at(&every(1.0, 0.01, 1000), fails, "AdaptiveThrottling()", "");
    let passed = ended(&run, "error");
    assert!((2.0..20.0).contains(&passed), "{passed}");
    assert_eq!(passed + ended(&run, "rejected"), 1000.0);
    let ratio = run.value("clients.u.calls.x.adaptive_throttling.rejected_ratio");
    close("ratio", ratio, 1.0 - passed / 1000.0, 1e-9);
    nothing_is_left(&run);
    // If errors are accepted, nothing is turned away.
    let run = at(&every(1.0, 0.01, 1000), fails, "AdaptiveThrottling(accepts: [Ok, Error])", "");
    assert_eq!(ended(&run, "rejected"), 0.0);
    // One in five fails: with k = 2 that is nothing, with 1 it is.
    let some = "latency: \"1ms\", error_ratio: 0.2";
    assert_eq!(ended(&at(&every(1.0, 0.01, 1000), some, "AdaptiveThrottling()", ""), "rejected"), 0.0);
    assert!(ended(&at(&every(1.0, 0.01, 1000), some, "AdaptiveThrottling(k: 1)", ""), "rejected") > 300.0);
}

#[test]
fn a_throttle_goes_with_its_process_and_follows_settings() {
    let fails = "latency: \"1ms\", error_ratio: 1";
    let kill = "timeline: [At(\"6s\", Crash(target: \"s\"))]";
    let run = behind(&[1.0, 2.0, 3.0, 7.0], fails, "AdaptiveThrottling()", kill);
    // The first call of a process always passes.
    assert_eq!(run.count("externals.x.rate", 5, 10), 1.0);
    let set =
        "timeline: [At(\"6s\", Set(\"policies.p.AdmissionControl.max_rejection_probability\", \"100%\"))]";
    let times: Vec<f64> = every(1.0, 0.01, 1000);
    let run = behind(&times, fails, "AdmissionControl()", set);
    let ratio = run.series("services.s.calls.x.admission_control.rejected_ratio");
    // Four in five, then nearly all.
    assert!((0.7..0.9).contains(&ratio[4]) && ratio[8] > 0.95, "{ratio:?}");
}

// ---- resilience4j's rate limiter and thread pool ----

#[test]
fn resilience4j_rate_limiter_reserves_and_lets_the_denied_wait() {
    let limit = "RateLimit(Resilience4j(limit_for_period: 1, limit_refresh_period: \"1s\", timeout_duration: \"1500ms\"))";
    // One passes at 1.1; those of 1.2 and 1.6 go on at 2.0 and 3.0, as 1.4 s are soon enough. Those of 1.3 and 1.65
    // are denied, and told so 1.5 s later.
    let run = at(&[1.1, 1.2, 1.3, 1.6, 1.65], "latency: \"10ms\"", limit, "");
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (3.0, 2.0));
    let total = 0.01 + 0.81 + 1.5 + 1.41 + 1.5;
    close("mean latency", run.value("clients.u.latency.mean"), total / 5.0, 1e-6);
    let of = |metric: &str| run.value(&format!("clients.u.calls.x.rate_limit.{metric}")) * 20.0;
    assert_eq!((of("admitted").round(), of("rejected").round()), (3.0, 2.0));
    close("waiting", of("waiting"), 0.8 + 1.5 + 1.4 + 1.5, 1e-6);
    nothing_is_left(&run);
    // Who is called off leaves the line, and its permit is lost; the one behind it still has its turn.
    let patient = "clients: { \"u\": Clients(arrivals: Times(\"times.csv\"), requests: { \"x/q\": 1 }, through: \"p\") }, \
                   externals: { \"x\": External(latency: \"10ms\") }, policies: { \"p\": [Timeout(limit: \"700ms\", \
                   cancel: true), RateLimit(Resilience4j(limit_for_period: 1, limit_refresh_period: \"1s\"))] }";
    let run = system(&[1.1, 1.2, 2.35, 2.9], patient, "");
    assert_eq!((ended(&run, "ok"), ended(&run, "timeout")), (2.0, 2.0));
    nothing_is_left(&run);
}

#[test]
fn a_thread_pool_grows_only_when_its_queue_is_full() {
    let pool = "ThreadPoolBulkhead(core_thread_pool_size: 1, max_thread_pool_size: 2, queue_capacity: 2)";
    // The first runs, two queue, the fourth gets a new thread before them, the fifth is rejected.
    let run = at(&[1.0, 1.01, 1.02, 1.03, 1.04], "latency: \"100ms\"", pool, "");
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (4.0, 1.0));
    // The queued ones go on at 1.1 and 1.13.
    close("mean latency", run.value("clients.u.latency.mean"), (0.1 + 0.19 + 0.21 + 0.1) / 5.0, 1e-6);
    let of = |metric: &str| run.value(&format!("clients.u.calls.x.bulkhead.{metric}")) * 20.0;
    close("in use", of("in_use"), 0.4, 1e-6);
    close("waiting", of("waiting"), 0.09 + 0.11, 1e-6);
    nothing_is_left(&run);
    // The threads of a process die with it.
    let kill = "timeline: [At(\"1050ms\", Crash(target: \"s\"))]";
    let run = behind(&[1.0, 1.01, 1.02, 1.03, 1.06], "latency: \"100ms\"", pool, kill);
    assert_eq!((ended(&run, "ok"), ended(&run, "error")), (1.0, 4.0));
    nothing_is_left(&run);
    // A larger core takes those who wait.
    let set = "timeline: [At(\"1050ms\", Set(\"policies.p.ThreadPoolBulkhead.core_thread_pool_size\", 2))]";
    let run = behind(&[1.0, 1.01], "latency: \"100ms\"", pool, set);
    close("mean latency", run.value("clients.u.latency.mean"), (0.1 + 0.14) / 2.0, 1e-6);
}

// ---- shedding by priority ----

/// Clients of priorities 0 and 1 that ask at the same moments, and a service with one worker.
#[track_caller]
fn shed(times: &[f64], shedding: &str, fields: &str) -> Run {
    let clients = |name: &str, priority: u8| {
        format!(
            "\"{name}\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"s/e\": 1 }}, priority: {priority})"
        )
    };
    let topology = format!(
        "clients: {{ {}, {} }}, services: {{ \"s\": Service(workers: 2, endpoints: {{ \"e\": [Wait(\"1s\")] }}, \
         shedding: {shedding}) }}",
        clients("u", 0),
        clients("v", 1)
    );
    system(times, &topology, fields)
}

#[test]
fn low_priorities_are_turned_away_first_and_come_back_last() {
    let queue = "Queue([QueueThreshold(priority: 0, from: 2, until: 1)])";
    // Each moment brings one of each. Two run from 1.0; two queue at 1.1; from 1.2 on only the others come in.
    let run = shed(&[1.0, 1.1, 1.2, 1.3], queue, "");
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (2.0, 2.0));
    assert_eq!(run.total("clients.v.outcomes.ok"), 4.0);
    assert_eq!(run.total("services.s.shed"), 2.0);
    nothing_is_left(&run);
    // At 2.05 two wait; at 3.05 none does, which is below 1.
    let run = shed(&[1.0, 1.1, 1.2, 1.3, 2.05, 5.05], queue, "");
    assert_eq!((ended(&run, "ok"), ended(&run, "rejected")), (3.0, 3.0));
    // By busy workers: one of two is below 60 %, both are not.
    let run = shed(&[1.0, 1.1, 3.0], "Busy([BusyThreshold(1, \"60%\")])", "");
    assert_eq!((ended(&run, "ok"), run.total("clients.v.outcomes.ok")), (2.0, 2.0));
    // Thresholds can be set, and go with the process.
    let set = "timeline: [At(\"1150ms\", Set(\"services.s.shedding\", None))]";
    assert_eq!(ended(&shed(&[1.0, 1.1, 1.2, 1.3], queue, set), "rejected"), 0.0);
    let kill = "timeline: [At(\"1250ms\", Crash(target: \"s\"))]";
    assert_eq!(ended(&shed(&[1.0, 1.1, 1.2, 1.3], queue, kill), "rejected"), 1.0);
}
