//! What rate limits, hedges, breakers and pools do: in small systems whose every moment can be counted by hand, and in
//! large ones whose averages are known.

use crate::support;

use support::{Files, Run, close, run_of, whole_experiment};

/// Plays requests at given moments on a topology whose clients `u` read `times.csv`.
#[track_caller]
fn at(times: &[f64], topology: &str, fields: &str) -> Run {
    let files = Files::new(&format!("Topology(name: \"t\", {topology})"), Some(&whole_experiment(fields)));
    files.write("times.csv", &times.iter().map(|t| format!("{t}\n")).collect::<String>());
    run_of(files.plan(), 0)
}

/// Clients `u` that ask `to` at the moments of `times.csv`.
fn u(to: &str, more: &str) -> String {
    format!(
        "clients: {{ \"u\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"{to}\": 1 }}, {more}) }}"
    )
}

/// An external `x` that clients ask through a policy.
fn x(settings: &str, layers: &str) -> String {
    format!("externals: {{ \"x\": External({settings}) }}, policies: {{ \"p\": [{layers}] }}")
}

/// Clients that ask an external directly through a policy.
fn direct(settings: &str, layers: &str) -> String {
    format!("{}, {}", u("x/q", "through: \"p\""), x(settings, layers))
}

/// Clients that ask a service, which asks an external through a policy.
fn behind(service: &str, settings: &str, layers: &str) -> String {
    format!(
        "{}, services: {{ \"s\": Service({service} endpoints: {{ \"e\": [Call(\"x/q\", \"p\")] }}) }}, {}",
        u("s/e", ""),
        x(settings, layers)
    )
}

/// Requests that ended as `outcome`.
fn ended(run: &Run, outcome: &str) -> f64 {
    run.total(&format!("clients.u.outcomes.{outcome}"))
}

/// Requests that ended ok and rejected.
fn passed(run: &Run) -> (f64, f64) {
    (ended(run, "ok"), ended(run, "rejected"))
}

#[track_caller]
fn mean_is(run: &Run, expected: f64) {
    close("mean latency", run.value("clients.u.latency.mean"), expected, 1e-6);
}

/// Attempts that the external saw.
#[track_caller]
fn attempts_are(run: &Run, expected: f64) {
    close("attempts", run.total("externals.x.rate"), expected, 1e-9);
}

#[track_caller]
fn nothing_is_left(run: &Run) {
    assert_eq!(run.played.summary.rest, Default::default());
}

/// `count` moments from `from`, so far apart.
fn every(from: f64, step: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| from + step * i as f64).collect()
}

const TEN: &str = "duration: \"10s\"";

// ---- rate limits ----

#[test]
fn each_algorithm_lets_through_what_it_should() {
    // Eight calls from 1.7 on, 100 ms apart: two before 2.0, and 2.0 itself.
    let times = every(1.7, 0.1, 8);
    for (algorithm, ok) in [
        // Three at once; then one more accrues at 2.2 (half of it until 1.9).
        ("TokenBucket(rate: \"2/s\", burst: 3)", 4.0),
        ("Gcra(rate: \"2/s\", burst: 3)", 4.0),
        ("Gcra(\"2/s\", 3)", 4.0),
        // 1.7, 1.8 and 1.9; 2.0, 2.1 and 2.2.
        ("FixedWindow(limit: 3, window: \"1s\")", 6.0),
        // 1.7, 1.8 and 1.9; then none until 2.7.
        ("SlidingWindow(limit: 3, window: \"1s\")", 3.0),
        // 1.7, 1.8 and 1.9; 2.1, as the window before counts 3·0.9 then; and 2.4, with 1 + 3·0.6.
        ("SlidingCounter(limit: 3, window: \"1s\")", 5.0),
    ] {
        let run = at(&times, &direct("latency: \"0s\"", &format!("RateLimit(algorithm: {algorithm})")), TEN);
        assert_eq!(passed(&run), (ok, 8.0 - ok), "{algorithm}");
        attempts_are(&run, ok);
        close("admitted", run.value("clients.u.calls.x.rate_limit.admitted") * 10.0, ok, 1e-9);
        close("rejected", run.value("clients.u.calls.x.rate_limit.rejected") * 10.0, 8.0 - ok, 1e-9);
    }
}

#[test]
fn a_leaky_bucket_makes_calls_wait_for_their_turn() {
    let t = direct("latency: \"10ms\"", "RateLimit(LeakyBucket(rate: \"10/s\", capacity: 2))");
    // 1.0 passes, 1.01 waits until 1.1 and 1.02 until 1.2; the line is full at 1.03, and at 1.15 it is not.
    let run = at(&[1.0, 1.01, 1.02, 1.03, 1.15], &t, TEN);
    assert_eq!(passed(&run), (4.0, 1.0));
    mean_is(&run, (0.01 + 0.1 + 0.19 + 0.0 + 0.16) / 5.0);
    close("waiting", run.series("clients.u.calls.x.rate_limit.waiting.max")[1], 2.0, 1e-9);
    close(
        "waited",
        run.series("clients.u.calls.x.rate_limit.waiting").iter().sum(),
        0.09 + 0.18 + 0.15,
        1e-6,
    );
    close("admitted", run.total("clients.u.calls.x.rate_limit.admitted"), 4.0, 1e-9);
    nothing_is_left(&run);
}

#[test]
fn who_gives_up_leaves_the_line_only_if_it_cancels() {
    let t = |cancel: bool| {
        direct(
            "latency: \"10ms\"",
            &format!("Timeout(limit: \"50ms\", cancel: {cancel}), RateLimit(LeakyBucket(\"10/s\", 1))"),
        )
    };
    // The call of 1.01 gives up at 1.06; the one of 1.08 has its place, if it has left, and its turn at 1.1.
    let (leaves, stays) = (at(&[1.0, 1.01, 1.08], &t(true), TEN), at(&[1.0, 1.01, 1.08], &t(false), TEN));
    assert_eq!((passed(&leaves), ended(&leaves, "timeout")), ((2.0, 0.0), 1.0));
    mean_is(&leaves, (0.01 + 0.05 + 0.03) / 3.0);
    assert_eq!((passed(&stays), ended(&stays, "timeout")), ((1.0, 1.0), 1.0));
    close("nobody", stays.value("externals.x.work_for_nobody"), 0.5, 1e-9);
    for run in [leaves, stays] {
        attempts_are(&run, 2.0);
        nothing_is_left(&run);
    }
}

#[test]
fn each_instance_has_its_own_limit_unless_the_service_shares_it() {
    for (per, ok) in [("Instance", 4.0), ("Service", 2.0)] {
        let limit = format!("RateLimit(algorithm: FixedWindow(limit: 2, window: \"5s\"), per: {per})");
        let run = at(&every(1.0, 0.1, 10), &behind("replicas: 2,", "latency: \"0s\"", &limit), TEN);
        assert_eq!(ended(&run, "ok"), ok, "{per}");
        close("rejected", run.total("services.s.calls.x.outcomes.rejected"), 10.0 - ok, 1e-9);
    }
}

#[test]
fn each_tenant_has_its_own_limit_if_the_limit_says_so() {
    let tenants = |key: &str, per: &str, replicas: u32| {
        let population = |name: &str, tenants: &str| {
            format!(
                "\"{name}\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"s/e\": 1 }}, {tenants})"
            )
        };
        // Two populations with one tenant of the same name, one with another, and one without.
        let t = format!(
            "clients: {{ {}, {}, {}, {} }}, services: {{ \"s\": Service(replicas: {replicas}, endpoints: {{ \
             \"e\": [Parallel(branches: [[Call(\"x/q\", \"p\")]])] }}) }}, {}",
            population("u", "tenants: { \"a\": Tenant(share: 1) },"),
            population("v", "tenants: { \"b\": Tenant(share: 1) },"),
            population("w", "tenants: { \"a\": Tenant(share: 1) },"),
            population("y", ""),
            x(
                "latency: \"0s\"",
                &format!("RateLimit(algorithm: FixedWindow(3, \"10s\"), key: {key}, per: {per})")
            )
        );
        let run = at(&every(1.0, 0.1, 10), &t, TEN);
        nothing_is_left(&run);
        ["u", "v", "w", "y"].map(|c| run.total(&format!("clients.{c}.outcomes.ok")))
    };
    assert_eq!(tenants("All", "Instance", 1).iter().sum::<f64>(), 3.0);
    let [u, v, w, y] = tenants("Tenant", "Instance", 1);
    assert_eq!((u + w, v, y), (3.0, 3.0, 3.0));
    // Four calls at a time over three instances: each population meets all of them.
    let [u, v, w, y] = tenants("Tenant", "Instance", 3);
    assert_eq!((u + w, v, y), (9.0, 9.0, 9.0));
    let [u, v, w, y] = tenants("Tenant", "Service", 3);
    assert_eq!((u + w, v, y), (3.0, 3.0, 3.0));
}

#[test]
fn limits_that_are_set_during_a_run_hold_at_once() {
    let t = direct("latency: \"10ms\"", "RateLimit(LeakyBucket(rate: \"1/s\", capacity: 5))");
    let set = |change: &str| format!("duration: \"10s\", timeline: [At(\"1500ms\", Set({change}))]");
    // Turns at 2.0 and 3.0; with ten times the rate at 1.5 and 1.6.
    mean_is(&at(&[1.0, 1.1, 1.2], &t, TEN), (0.01 + 0.91 + 1.81) / 3.0);
    let faster = at(&[1.0, 1.1, 1.2], &t, &set("\"policies.p.RateLimit.algorithm.rate\", \"10/s\""));
    mean_is(&faster, (0.01 + 0.41 + 0.41) / 3.0);
    // Under another algorithm nobody waits; and without any.
    let other = "\"policies.p.RateLimit.algorithm\", FixedWindow(limit: 1, window: \"1s\")";
    let run = at(&[1.0, 1.1, 1.2, 1.6, 1.7], &t, &set(other));
    assert_eq!(passed(&run), (4.0, 1.0));
    mean_is(&run, (0.01 + 0.41 + 0.31 + 0.01) / 5.0);
    nothing_is_left(&run);
    let run = at(&[1.0, 1.1, 1.2, 1.6], &t, &set("\"policies.p\", []"));
    mean_is(&run, (0.01 + 0.91 + 1.81 + 0.01) / 4.0);
    nothing_is_left(&run);
}

#[test]
fn the_line_of_a_process_goes_with_it() {
    let limit = "RateLimit(LeakyBucket(rate: \"1/s\", capacity: 5))";
    let t = behind("start_up: \"1s\",", "latency: \"10ms\"", limit);
    let crash = "duration: \"10s\", timeline: [At(\"1500ms\", Crash(target: \"s\"))]";
    // The new process of 2.5 has its limit to itself: 3.0 passes and 3.1 waits until 4.0.
    let run = at(&[1.0, 1.1, 1.2, 3.0, 3.1], &t, crash);
    assert_eq!((ended(&run, "ok"), ended(&run, "error")), (3.0, 2.0));
    mean_is(&run, (0.01 + 0.4 + 0.3 + 0.01 + 0.91) / 5.0);
    attempts_are(&run, 3.0);
    nothing_is_left(&run);
    // While a process hangs its line stands still; afterwards it moves at its pace.
    let hang = "duration: \"10s\", timeline: [At(\"1500ms\", Hang(target: \"s\", lasts: \"3s\"))]";
    let run = at(&[1.0, 1.1, 1.2], &t, hang);
    mean_is(&run, (0.01 + 3.41 + 4.31) / 3.0);
    nothing_is_left(&run);
}

// ---- hedges ----

/// The external takes a second until 1.01, and 10 ms from then on.
const SLOW_AT_FIRST: &str =
    "duration: \"10s\", timeline: [At(\"500ms\", Slow(target: \"x\", latency: \"1s\", lasts: \"510ms\"))]";

#[test]
fn a_hedge_asks_again_when_the_answer_is_late_and_takes_the_first() {
    for (cancel, nobody) in [(true, 0.0), (false, 0.5)] {
        let t = direct("latency: \"10ms\"", &format!("Hedge(delay: \"50ms\", cancel: {cancel})"));
        let run = at(&[1.0], &t, SLOW_AT_FIRST);
        mean_is(&run, 0.06);
        attempts_are(&run, 2.0);
        close("hedges", run.total("clients.u.calls.x.hedges"), 1.0, 1e-9);
        close("attempts of the edge", run.total("clients.u.calls.x.attempts"), 2.0, 1e-9);
        // From 1.0 to 1.06, or to 2.0, and from 1.05 to 1.06.
        let seconds = if cancel { 0.07 } else { 1.01 };
        close("in flight", run.series("externals.x.in_flight").iter().sum(), seconds, 1e-6);
        let ends = run.total("externals.x.outcomes.cancelled");
        assert_eq!((ended(&run, "ok"), ends), (1.0, f64::from(u8::from(cancel))));
        close("nobody", run.value("externals.x.work_for_nobody"), nobody, 1e-9);
        nothing_is_left(&run);
    }
    // Who answers in time is asked once.
    let run = at(&[3.0], &direct("latency: \"10ms\"", "Hedge(\"50ms\")"), TEN);
    attempts_are(&run, 1.0);
    mean_is(&run, 0.01);
}

#[test]
fn a_late_first_answer_still_wins_before_the_second() {
    // Attempts at 1.0, 1.05 and 1.1, all of 120 ms.
    let run = at(&[1.0], &direct("latency: \"120ms\"", "Hedge(delay: \"50ms\", max: 2)"), TEN);
    mean_is(&run, 0.12);
    attempts_are(&run, 3.0);
    close("cancelled", run.total("externals.x.outcomes.cancelled"), 2.0, 1e-9);
    // With no delay at all they are sent together.
    let run = at(&[1.0], &direct("latency: \"120ms\"", "Hedge(delay: \"0s\", max: 2)"), TEN);
    mean_is(&run, 0.12);
    attempts_are(&run, 3.0);
    nothing_is_left(&run);
}

#[test]
fn an_attempt_that_fails_sends_the_next_at_once_and_the_delay_begins_anew() {
    let run = at(&[1.0], &direct("latency: \"10ms\", error_ratio: 1", "Hedge(delay: \"1s\", max: 2)"), TEN);
    assert_eq!(ended(&run, "error"), 1.0);
    mean_is(&run, 0.03);
    attempts_are(&run, 3.0);
    nothing_is_left(&run);
    // Sent at 0, 30, 60 and 90 ms, as each times out after 30; the timer set for 50 ms is void.
    let t = direct("latency: \"1s\"", "Hedge(delay: \"50ms\", max: 3), Timeout(\"30ms\")");
    let run = at(&[1.0], &t, TEN);
    assert_eq!(ended(&run, "timeout"), 1.0);
    mean_is(&run, 0.12);
    attempts_are(&run, 4.0);
    nothing_is_left(&run);
    // Sent at 0 and 50 ms; the first times out at 70 and the third is sent then; the last one fails at 140.
    let run =
        at(&[1.0], &direct("latency: \"1s\"", "Hedge(delay: \"50ms\", max: 2), Timeout(\"70ms\")"), TEN);
    mean_is(&run, 0.14);
    attempts_are(&run, 3.0);
    // What is rejected on the way has failed, too.
    let run =
        at(&[1.0], &direct("latency: \"1s\"", "Hedge(\"50ms\"), RateLimit(TokenBucket(\"1/h\", 1))"), TEN);
    assert_eq!(passed(&run), (1.0, 0.0));
    mean_is(&run, 1.0);
    attempts_are(&run, 1.0);
    close("hedges", run.total("clients.u.calls.x.hedges"), 1.0, 1e-9);
    nothing_is_left(&run);
}

#[test]
fn who_gives_up_on_a_hedge_calls_all_attempts_off() {
    let t = |cancel: bool| {
        format!(
            "{}, services: {{ \"s\": Service(cpu: Cpu(cores: 8), endpoints: {{ \"e\": [Work(\"2s\")] }}) }}, \
             policies: {{ \"p\": [Timeout(limit: \"100ms\", cancel: {cancel}), Hedge(delay: \"30ms\", max: 3)] }}",
            u("s/e", "through: \"p\"")
        )
    };
    let run = at(&[1.0], &t(true), TEN);
    assert_eq!(ended(&run, "timeout"), 1.0);
    close("cpu seconds", run.series("services.s.cpu").iter().sum(), 0.1 + 0.07 + 0.04 + 0.01, 1e-6);
    close("cancelled", run.total("services.s.outcomes.cancelled"), 4.0, 1e-9);
    nothing_is_left(&run);
    // Otherwise the hedge goes on by itself: the first answer calls the others off.
    let run = at(&[1.0], &t(false), TEN);
    close("cpu seconds", run.series("services.s.cpu").iter().sum(), 2.0 + 1.97 + 1.94 + 1.91, 1e-6);
    close("cancelled", run.total("services.s.outcomes.cancelled"), 3.0, 1e-9);
    nothing_is_left(&run);
}

#[test]
fn each_attempt_borrows_a_connection_and_gives_it_back() {
    let t = direct("latency: \"10ms\"", "Hedge(\"50ms\"), Pool(max: 3, idle: \"1h\")");
    let run = at(&[1.0], &t, SLOW_AT_FIRST);
    let in_use = run.series("clients.u.calls.x.pool.in_use.max");
    assert_eq!((in_use[1], in_use[2]), (2.0, 0.0), "{in_use:?}");
    nothing_is_left(&run);
    // Outside of the hedge, one connection serves all attempts.
    let run = at(&[1.0], &direct("latency: \"10ms\"", "Pool(max: 3), Hedge(\"50ms\")"), SLOW_AT_FIRST);
    close("in use", run.series("clients.u.calls.x.pool.in_use.max")[1], 1.0, 1e-9);
    nothing_is_left(&run);
}

#[test]
fn a_process_that_dies_or_hangs_hedges_no_more() {
    let t = behind("start_up: \"1s\",", "latency: \"4s\"", "Hedge(delay: \"300ms\", max: 5)");
    let crash = "duration: \"10s\", timeline: [At(\"1500ms\", Crash(target: \"s\"))]";
    let run = at(&[1.0], &t, crash);
    assert_eq!(ended(&run, "error"), 1.0);
    attempts_are(&run, 2.0);
    close("nobody", run.value("externals.x.work_for_nobody"), 1.0, 1e-9);
    nothing_is_left(&run);
    // The second attempt is due at 1.35 and sent at 3.15, when the process goes on; the third 300 ms later.
    let hang = "duration: \"10s\", timeline: [At(\"1100ms\", Hang(target: \"s\", lasts: \"2050ms\"))]";
    let run = at(&[1.05], &t, hang);
    let rate = run.series("externals.x.rate");
    assert_eq!(rate[..6], [0.0, 1.0, 0.0, 3.0, 2.0, 0.0], "{rate:?}");
    mean_is(&run, 4.0);
    nothing_is_left(&run);
}

#[test]
fn attempts_have_random_numbers_of_their_own_and_the_first_has_the_calls() {
    let mean = |layers: &str| {
        let t = direct("latency: Exponential(\"10ms\")", layers);
        at(&every(1.0, 0.01, 2000), &t, "duration: \"30s\"").value("clients.u.latency.mean")
    };
    // A hedge that comes too late changes nothing, to the last bit; two at once are the faster of two.
    assert_eq!(mean("Hedge(\"10s\")").to_bits(), mean("").to_bits());
    close("the faster of two", mean("Hedge(\"0s\")"), 0.005, 0.07);
}

// ---- breakers ----

#[test]
fn a_breaker_opens_after_failures_in_a_row_and_tries_again() {
    let breaker = "ConsecutiveBreaker(failures: 3, reset: \"2s\")";
    let run = at(&every(1.0, 0.1, 50), &direct("latency: \"10ms\", error_ratio: 1", breaker), TEN);
    // The third call, of 1.2, fails at 1.21; half open at 3.21, and the trial of 3.3 fails at 3.31.
    assert_eq!(run.times_of("breaker_opened"), [1.21, 3.31, 5.41]);
    assert_eq!(run.times_of("breaker_half_opened"), [3.21, 5.31, 7.41]);
    attempts_are(&run, 5.0);
    let of = |metric: &str| run.value(&format!("clients.u.calls.x.breaker.{metric}"));
    assert_eq!((of("opened"), of("closed"), of("trials")), (3.0, 0.0, 2.0));
    close("rejected", of("rejected") * 10.0, 45.0, 1e-9);
    close("open", of("open") * 10.0, 10.0 - 1.21, 1e-6);
    nothing_is_left(&run);
}

#[test]
fn a_breaker_needs_so_many_successes_to_close() {
    let fields = "duration: \"10s\", timeline: [At(\"0s\", Errors(target: \"x\", lasts: \"2s\"))]";
    let t = |settings: &str| {
        direct("latency: \"10ms\"", &format!("ConsecutiveBreaker(failures: 2, reset: \"2s\", {settings})"))
    };
    // Refused at once at 1.0 and 1.5; half open at 3.5, before the call of that moment.
    let run = at(&every(1.0, 0.5, 10), &t("successes: 2"), fields);
    assert_eq!(run.times_of("breaker_opened"), [1.5]);
    assert_eq!(run.times_of("breaker_closed"), [4.01]);
    let of = |metric: &str| run.value(&format!("clients.u.calls.x.breaker.{metric}"));
    assert_eq!((of("opened"), of("closed"), of("trials")), (1.0, 1.0, 2.0));
    // Of five calls within 10 ms one passes, or three.
    let burst = [1.0, 1.5, 3.6, 3.601, 3.602, 3.603, 3.604];
    assert_eq!(passed(&at(&burst, &t(""), fields)), (1.0, 4.0));
    assert_eq!(passed(&at(&burst, &t("trials: 3, successes: 3"), fields)), (3.0, 2.0));
}

#[test]
fn late_answers_close_opossums_breaker_and_not_the_other() {
    // The first call is answered well at 5.0; those after it fail at once, and the breaker is half open from 3.3 on.
    let fields = "duration: \"10s\", timeline: [At(\"1050ms\", Errors(target: \"x\", lasts: \"8s\"))]";
    let closed = |breaker: &str| {
        at(&[1.0, 1.1, 1.2, 1.3], &direct("latency: \"4s\"", breaker), fields).times_of("breaker_closed")
    };
    assert_eq!(closed("Breaker(volume: 3, reset: \"2s\")"), [5.0]);
    assert!(closed("ConsecutiveBreaker(failures: 3, reset: \"2s\")").is_empty());
}

#[test]
fn opossums_breaker_counts_what_it_does() {
    let fields = "duration: \"10s\", timeline: [At(\"0s\", Errors(target: \"x\", lasts: \"2s\"))]";
    let t = direct("latency: \"10ms\"", "Breaker(window: \"1s\", volume: 2, reset: \"2s\")");
    let run = at(&every(1.0, 0.5, 10), &t, fields);
    let of = |metric: &str| run.value(&format!("clients.u.calls.x.breaker.{metric}"));
    assert_eq!((of("opened"), of("closed"), of("trials")), (1.0, 1.0, 1.0));
}

#[test]
fn a_breaker_of_another_make_can_be_set_during_a_run() {
    let set = "duration: \"10s\", timeline: [\
        At(\"1030ms\", Set(\"policies.p\", [ConsecutiveBreaker(failures: 1)])), \
        At(\"3s\", Set(\"policies.p\", [Breaker(volume: 1)]))]";
    let t = direct("latency: \"50ms\", error_ratio: 1", "Breaker(volume: 50, capacity: 9)");
    // The first two calls, answered at 1.05 and 1.07, are the old breaker's.
    let run = at(&[1.0, 1.02, 2.0, 2.04, 2.2, 2.95, 4.0], &t, set);
    assert_eq!(run.times_of("breaker_opened"), [2.05, 4.05]);
    assert_eq!(passed(&run).1, 2.0);
    nothing_is_left(&run);
}

// ---- pools ----

#[test]
fn the_wait_for_a_connection_is_that_of_calls_that_got_one() {
    let pool =
        "Pool(max: 1, acquire_timeout: \"1500ms\", connect: \"200ms\", idle: \"2s\", evict: \"500ms\")";
    let run = at(&[1.0, 1.1, 1.2], &direct("latency: \"1s\"", pool), TEN);
    // Lent at 1.2 and 2.2; the third gives up at 2.7.
    close("wait", run.value("clients.u.calls.x.pool.wait.mean"), (0.2 + 1.1) / 2.0, 1e-6);
    close("longest", run.value("clients.u.calls.x.pool.wait.max"), 1.1, 0.01);
    close("timeouts", run.total("clients.u.calls.x.pool.timeouts"), 1.0, 1e-9);
}

// ---- what theory says ----

/// A Poisson stream on an external through a policy, for a long time.
fn poisson(settings: &str, layers: &str, seconds: u64) -> Run {
    let clients =
        "clients: { \"u\": Clients(arrivals: Poisson(\"100/s\"), requests: { \"x/q\": 1 }, through: \"p\") }";
    at(&[], &format!("{clients}, {}", x(settings, layers)), &format!("duration: \"{seconds}s\""))
}

#[test]
fn limits_admit_the_share_that_theory_says() {
    for (algorithm, share) in [
        // The embedded chain of a bucket of 10 with 80 tokens per second under 100 calls per second.
        ("TokenBucket(rate: \"80/s\", burst: 10)", 0.797_876),
        ("Gcra(rate: \"80/s\", burst: 10)", 0.797_876),
        // E[min(N, 100)] / 100 of a Poisson N with mean 100.
        ("FixedWindow(limit: 100, window: \"1s\")", 0.960_139),
    ] {
        let run = poisson("latency: \"0s\"", &format!("RateLimit({algorithm})"), 2000);
        let admitted = run.value("clients.u.calls.x.rate_limit.admitted");
        let rejected = run.value("clients.u.calls.x.rate_limit.rejected");
        // The calls admitted vary less than the calls there are, so they say more.
        close(algorithm, admitted / 100.0, share, 0.004);
        close(algorithm, admitted / (admitted + rejected), share, 0.01);
    }
}

#[test]
fn a_hedge_cuts_the_tail_as_theory_says() {
    // P(T > t) = e^(-t/10ms) up to 23 ms, and times e^(-(t - 23ms)/10ms) from then on.
    let run = poisson("latency: Exponential(\"10ms\")", "Hedge(\"23ms\")", 2000);
    close("mean", run.value("clients.u.latency.mean"), 0.009_499, 0.01);
    close("p99", run.value("clients.u.latency.p99"), 0.034_526, 0.02);
    close("attempts for each call", run.value("clients.u.calls.x.amplification"), 1.100_259, 0.003);
    close("hedges", run.value("clients.u.calls.x.hedges"), 10.0259, 0.03);
}

#[test]
fn a_breaker_of_failures_in_a_row_rejects_what_theory_says() {
    // 62 calls until five failures in a row; then, twice in the mean, a second of 100 rejections and a trial.
    let breaker = "ConsecutiveBreaker(failures: 5, reset: \"1s\")";
    let run = poisson("latency: \"0s\", error_ratio: 0.5", breaker, 6000);
    let rejected = run.value("clients.u.calls.x.breaker.rejected");
    close("rejected share", rejected / run.value("clients.u.calls.x.rate"), 0.757_576, 0.02);
    close("opens per second", run.value("clients.u.calls.x.breaker.opened") / 6000.0, 0.757_576, 0.02);
}
