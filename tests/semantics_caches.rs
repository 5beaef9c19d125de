//! What caches do: in small systems counted by hand, and in larger ones against the theory of caches.

use crate::support;

use brownout::experiment::Changes;
use support::{Files, Run, close, experiment, run_of, whole_experiment};

const CACHE: &str = "clients.u.calls.x.cache";

/// Requests at given moments to an external through a policy; `more` are further fields of the clients.
#[track_caller]
fn at(times: &[f64], more: &str, external: &str, layers: &str, fields: &str) -> Run {
    let topology = format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Times(\"times.csv\"), {more} \
         requests: {{ \"x/q\": 1 }}, through: \"p\") }}, externals: {{ \"x\": External({external}) }}, \
         policies: {{ \"p\": [{layers}] }})"
    );
    let files = Files::new(&topology, Some(&whole_experiment(fields)));
    files.write("times.csv", &times.iter().map(|t| format!("{t}\n")).collect::<String>());
    run_of(files.plan(), 0)
}

/// All requests ask for the same.
const ONE: &str = "keys: Uniform(count: 1),";
const TEN: &str = "duration: \"10s\"";

/// Calls that hit, that missed, and that waited for another's fetch.
fn found(run: &Run) -> [f64; 3] {
    ["hits", "misses", "coalesced"].map(|what| run.total(&format!("{CACHE}.{what}")).round())
}

fn ended(run: &Run, outcome: &str) -> f64 {
    run.total(&format!("clients.u.outcomes.{outcome}")).round()
}

#[track_caller]
fn mean_is(run: &Run, expected: f64) {
    close("mean latency", run.value("clients.u.latency.mean"), expected, 1e-6);
}

/// Poisson requests to an external that answers at once, for 400 s after 50 s of warm-up.
fn theory(rate: u32, keys: &str, external: &str, cache: &str) -> Run {
    let topology = format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Poisson(\"{rate}/s\"), keys: {keys}, \
         requests: {{ \"x/q\": 1 }}, through: \"p\") }}, externals: {{ \"x\": External({external}) }}, \
         policies: {{ \"p\": [Cache({cache})] }})"
    );
    experiment(&topology, "warmup: \"50s\", duration: \"450s\", seed: 5")
}

fn hit_ratio(run: &Run) -> f64 {
    run.value(&format!("{CACHE}.hit_ratio"))
}

// ---- by hand ----

#[test]
fn an_answer_is_fresh_for_its_time_counted_from_when_it_came() {
    // Comes at 1.5 and is fresh until 3.5; at 3.5 it is not.
    let run = at(&[1.0, 2.0, 3.4, 3.5], ONE, "latency: \"500ms\"", "Cache(ttl: \"2s\")", TEN);
    assert_eq!(found(&run), [2.0, 2.0, 0.0]);
    mean_is(&run, 0.25);
    // Live from 1.5 to 3.5 and from 4.0 to 6.0, exactly.
    close("entries", run.value(&format!("{CACHE}.entries")), 0.4, 1e-9);
    assert_eq!(run.total(&format!("{CACHE}.evictions")), 0.0);
}

#[test]
fn renewed_by_access_an_answer_stays() {
    let times = [1.0, 2.5, 4.0, 5.5, 7.5];
    let run = at(&times, ONE, "latency: \"0s\"", "Cache(ttl: \"2s\", renew: true)", TEN);
    assert_eq!(found(&run), [3.0, 2.0, 0.0]);
}

#[test]
fn a_hit_takes_its_time() {
    let run = at(&[1.0, 3.0], ONE, "latency: \"1s\"", "Cache(hit: \"100ms\")", TEN);
    mean_is(&run, 0.55);
    assert_eq!((found(&run), ended(&run, "ok")), ([1.0, 1.0, 0.0], 2.0));
}

#[test]
fn a_stampede_is_one_fetch_if_calls_are_coalesced() {
    let times = [1.0, 1.1, 1.2, 3.0];
    let apart = at(&times, ONE, "latency: \"1s\"", "Cache(ttl: \"1min\")", TEN);
    assert_eq!(found(&apart), [1.0, 3.0, 0.0]);
    mean_is(&apart, 0.75);
    let shared = at(&times, ONE, "latency: \"1s\"", "Cache(ttl: \"1min\", coalesce: true)", TEN);
    assert_eq!(found(&shared), [1.0, 1.0, 2.0]);
    mean_is(&shared, (1.0 + 0.9 + 0.8) / 4.0);
}

#[test]
fn errors_are_shared_by_those_who_wait_and_kept_only_if_they_are_to_be() {
    let times = [1.0, 1.1, 3.0];
    let failing = "latency: \"1s\", error_ratio: \"100%\"";
    let run = at(&times, ONE, failing, "Cache(coalesce: true)", TEN);
    assert_eq!((found(&run), ended(&run, "error")), ([0.0, 2.0, 1.0], 3.0));
    let run = at(&times, ONE, failing, "Cache(coalesce: true, negative_ttl: \"5s\")", TEN);
    assert_eq!((found(&run), ended(&run, "error")), ([1.0, 1.0, 1.0], 3.0));
}

#[test]
fn a_fetch_whose_caller_gave_up_still_serves_the_others_and_is_work_for_somebody() {
    // The first gives up at 1.5; what it asked for comes at 2.0, to the second and for the third.
    let stack = "Timeout(\"500ms\"), Cache(coalesce: true)";
    let run = at(&[1.0, 1.6, 3.0], ONE, "latency: \"1s\"", stack, TEN);
    assert_eq!((found(&run), ended(&run, "ok"), ended(&run, "timeout")), ([1.0, 1.0, 1.0], 2.0, 1.0));
    assert_eq!(run.total("externals.x.work_for_nobody"), 0.0);
    assert_eq!(run.played.summary.rest, Default::default());
}

#[test]
fn a_fetch_that_is_called_off_is_made_by_the_next_who_waits() {
    // The first would take 5 s and is called off at 1.5; the second, waiting since 1.4, asks then and has its answer
    // at 1.8, and so has the third.
    let stack = "Timeout(limit: \"500ms\", cancel: true), Cache(coalesce: true)";
    let slow = "Slow(target: \"x\", latency: \"5s\", lasts: \"700ms\")";
    let fields = format!("{TEN}, timeline: [At(\"500ms\", {slow})]");
    let run = at(&[1.0, 1.4, 1.45], ONE, "latency: \"300ms\"", stack, &fields);
    assert_eq!((ended(&run, "timeout"), ended(&run, "ok"), found(&run)), (1.0, 2.0, [0.0, 1.0, 2.0]));
    mean_is(&run, (0.5 + 0.4 + 0.35) / 3.0);
    close("attempts", run.total("clients.u.calls.x.attempts"), 2.0, 1e-9);
    assert_eq!(run.played.summary.rest, Default::default());
}

#[test]
fn a_stale_answer_is_served_while_one_fetch_brings_a_new_one() {
    // Comes at 2.0, is stale from 4.0 to 7.0. At 4.5 a fetch goes out, and none at 5.0; it is back at 5.5.
    let cache = "Cache(ttl: \"2s\", stale_while_revalidate: \"3s\")";
    let run = at(&[1.0, 4.5, 5.0, 6.0], ONE, "latency: \"1s\"", cache, TEN);
    assert_eq!((found(&run), ended(&run, "ok")), ([3.0, 1.0, 0.0], 4.0));
    mean_is(&run, 0.25);
    close("stale", run.total(&format!("{CACHE}.stale")), 2.0, 1e-9);
    close("attempts", run.total("clients.u.calls.x.attempts"), 2.0, 1e-9);
    assert_eq!(run.total("externals.x.work_for_nobody"), 0.0);
    assert_eq!(run.played.summary.rest, Default::default());
}

#[test]
fn a_stale_answer_stands_in_for_an_error() {
    let fault = "duration: \"20s\", timeline: [At(\"3s\", Down(target: \"x\", lasts: \"15s\"))]";
    let stack = "Cache(ttl: \"2s\", stale_if_error: \"5s\")";
    // Fresh until 3.0, stands in until 8.0.
    let run = at(&[1.0, 4.0, 7.9, 8.1], ONE, "latency: \"0s\"", stack, fault);
    let bad = ended(&run, "error") + ended(&run, "unavailable");
    assert_eq!((ended(&run, "ok"), ended(&run, "degraded"), bad), (1.0, 2.0, 1.0));
}

#[test]
fn who_has_no_key_always_goes_down_and_keys_of_populations_are_the_same() {
    let clients = |name: &str, keys: &str| {
        format!("\"{name}\": Clients(arrivals: Regular(\"1/s\"), {keys} requests: {{ \"s/e\": 1 }})")
    };
    let topology = format!(
        "Topology(name: \"t\", clients: {{ {}, {}, {} }}, services: {{ \"s\": Service(endpoints: {{ \
         \"e\": [Call(\"x/q\", \"p\")] }}) }}, externals: {{ \"x\": External(latency: \"0s\") }}, \
         policies: {{ \"p\": [Cache()] }})",
        clients("a", ONE),
        clients("b", ONE),
        clients("c", "")
    );
    let run = experiment(&topology, "duration: \"10s\"");
    let total = |what: &str| run.total(&format!("services.s.calls.x.cache.{what}")).round();
    // The first of a or b fetches for both; c always.
    assert_eq!((total("hits"), total("misses")), (19.0, 11.0));
}

#[test]
fn a_cache_of_an_instance_dies_with_it_and_one_of_the_service_does_not() {
    let misses = |per: &str| {
        let topology = format!(
            "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"10/s\"), {ONE} \
             requests: {{ \"s/e\": 1 }}) }}, services: {{ \"s\": Service(replicas: 2, restart_delay: \"1s\", \
             endpoints: {{ \"e\": [Call(\"x/q\", \"p\")] }}) }}, \
             externals: {{ \"x\": External(latency: \"10ms\") }}, policies: {{ \"p\": [Cache(per: {per})] }})"
        );
        let crash = "duration: \"10s\", timeline: [At(\"5s\", Crash(target: \"s\", instances: Number(1)))]";
        let run = experiment(&topology, crash);
        let entries = run.series("services.s.calls.x.cache.entries");
        (run.total("services.s.calls.x.cache.misses").round(), entries[3], entries[9])
    };
    assert_eq!(misses("Instance"), (3.0, 2.0, 2.0));
    assert_eq!(misses("Service"), (1.0, 1.0, 1.0));
}

#[test]
fn health_checks_ask_for_one_thing_of_their_own() {
    let topology = format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"1/s\"), {ONE} \
         requests: {{ \"lb/e\": 1 }}) }}, balancers: {{ \"lb\": Balancer(targets: \"s\", \
         health_check: HealthCheck(endpoint: \"e\", interval: \"1s\")) }}, \
         services: {{ \"s\": Service(endpoints: {{ \"e\": [Call(\"x/q\", \"p\")] }}) }}, \
         externals: {{ \"x\": External(latency: \"0s\") }}, policies: {{ \"p\": [Cache()] }})"
    );
    let run = experiment(&topology, "duration: \"10s\"");
    assert_eq!(run.total("services.s.calls.x.cache.misses").round(), 2.0);
}

#[test]
fn a_shorter_time_to_live_holds_for_what_is_kept_already() {
    let set = "duration: \"10s\", timeline: [At(\"3s\", Set(\"policies.p.Cache.ttl\", \"3s\"))]";
    let run = at(&[1.0, 3.5, 4.5], ONE, "latency: \"0s\"", "Cache(ttl: \"1h\")", set);
    assert_eq!(found(&run), [1.0, 2.0, 0.0]);
}

#[test]
fn one_key_meets_one_target_of_a_ring() {
    let served = |keys: &str| {
        let topology = format!(
            "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Regular(\"100/s\"), {keys} \
             requests: {{ \"lb/e\": 1 }}) }}, balancers: {{ \"lb\": Balancer(targets: \"s\", policy: RingHash) }}, \
             services: {{ \"s\": Service(replicas: 4, endpoints: {{ \"e\": [Call(\"x/q\", \"p\")] }}) }}, \
             externals: {{ \"x\": External(latency: \"0s\") }}, policies: {{ \"p\": [Cache()] }})"
        );
        experiment(&topology, "duration: \"20s\"").total("services.s.calls.x.cache.misses").round()
    };
    // Each of the keys is fetched once, by the one instance that it belongs to.
    assert_eq!(served("keys: Uniform(count: 20),"), 20.0);
}

#[test]
fn keys_come_as_often_as_a_file_says() {
    let topology = "Topology(name: \"t\", clients: { \"u\": Clients(arrivals: Regular(\"100/s\"), \
         keys: File(\"popularity.csv\"), requests: { \"x/q\": 1 }, through: \"p\") }, \
         externals: { \"x\": External(latency: \"0s\") }, policies: { \"p\": [Cache()] })";
    let files = Files::new(topology, Some(&whole_experiment(TEN)));
    files.write("popularity.csv", "weight\n1\n0\n3\n2\n0\n");
    let plan = files.try_plan(&Changes::default()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let run = run_of(plan, 0);
    assert_eq!(found(&run), [997.0, 3.0, 0.0]);
}

// ---- theory ----

#[test]
fn a_time_to_live_has_the_hit_ratio_of_theory() {
    // Each key on its own: of lambda T + 1 requests one misses; renewed, a gap longer than T is a miss, e^(-lambda T).
    let zipf = "Zipf(count: 1000, exponent: 0.8)";
    let fixed = theory(1000, zipf, "latency: \"0s\"", "ttl: \"10s\"");
    close("hit ratio", hit_ratio(&fixed), 0.91711, 0.002);
    close("entries", fixed.value(&format!("{CACHE}.entries")), 828.9, 0.01);
    let renewed = theory(1000, zipf, "latency: \"0s\"", "ttl: \"10s\", renew: true");
    close("miss ratio", 1.0 - hit_ratio(&renewed), 1.0 - 0.993137, 0.04);
    let power = |i: u32| libm::pow(f64::from(i), -0.8);
    let whole: f64 = (1..=1000).map(power).sum();
    let live: f64 = (1..=1000).map(|i| 1.0 - libm::exp(-10.0 * 1000.0 * power(i) / whole)).sum();
    close("entries", renewed.value(&format!("{CACHE}.entries")), live, 0.005);
}

#[test]
fn a_single_flight_has_the_shares_of_theory() {
    // A cycle has a fetch, lambda L who wait for it, and lambda T hits: 1, 10 and 80.
    let run = theory(40, "Uniform(count: 1)", "latency: \"250ms\"", "ttl: \"2s\", coalesce: true");
    let calls = run.value("clients.u.rate");
    let share = |what: &str| run.value(&format!("{CACHE}.{what}")) / calls;
    close("fetches", share("misses"), 0.010989, 0.02);
    close("coalesced", share("coalesced"), 0.10989, 0.03);
    close("hits", share("hits"), 0.879121, 0.01);
}

#[test]
fn evictions_have_the_hit_ratios_of_theory() {
    let of = |keys: &str, cache: &str| hit_ratio(&theory(500, keys, "latency: \"0s\"", cache));
    let lru = of("Zipf(count: 200, exponent: 0.8)", "capacity: 20");
    close("lru", lru, 0.305465, 0.015);
    // King 1971, Gelenbe 1973: first in, first out is as good as any.
    let keys = "Zipf(count: 300, exponent: 0.7)";
    close("fifo", of(keys, "capacity: 40, eviction: Fifo"), 0.280337, 0.015);
    close("random", of(keys, "capacity: 40, eviction: Random"), 0.280337, 0.015);
    // Counts of all time find the most popular, but for those that come and go in the last places.
    let sum = |n: u32| (1..=n).map(|i| libm::pow(f64::from(i), -0.7)).sum::<f64>();
    let best = sum(40) / sum(300);
    let lfu = of(keys, "capacity: 40, eviction: Lfu");
    assert!(lfu > 0.30 && lfu < best, "{lfu} is not between 0.30 and {best}");
}
