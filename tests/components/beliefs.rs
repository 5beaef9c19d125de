//! What balancers of several products believe of their targets, in whole systems.

use crate::support;
use support::{Files, Run, experiment, run_of, whole_experiment};

/// A balancer of a product in front of `api`, asked so often per second.
fn system(product: &str, rate: u32, service: &str, client: &str) -> String {
    format!(
        "Topology(name: \"t\", \
         clients: {{ \"u\": Clients(arrivals: Regular(\"{rate}/s\"), requests: {{ \"lb/e\": 1 }}, {client}) }}, \
         balancers: {{ \"lb\": Balancer(targets: \"api\", product: {product}) }}, \
         services: {{ \"api\": Service({service} endpoints: {{ \"e\": [Wait(\"10ms\")], \"h\": [Wait(\"1ms\")] }}) }})"
    )
}

fn play(product: &str, service: &str, fields: &str) -> Run {
    experiment(&system(product, 100, service, ""), fields)
}

const ILL: &str = "duration: \"60s\", \
    timeline: [At(\"5s\", Errors(target: \"api\", instances: Number(1), lasts: \"20s\"))]";

#[test]
fn envoy_ejects_nobody_of_fewer_than_ten_hosts() {
    let product = "Envoy(outlier_detection: OutlierDetection())";
    let nine = play(product, "replicas: 9,", ILL);
    assert_eq!(nine.value("balancers.lb.outlier_detection.ejections_enforced_total"), 0.0);
    assert!(nine.value("balancers.lb.outlier_detection.ejections_overflow") > 10.0);
    let ten = play(product, "replicas: 10,", ILL);
    assert_eq!(ten.value("balancers.lb.outlier_detection.ejections_enforced_total"), 1.0);
    // Five errors, and the first ejection is heard of at once.
    assert_eq!(ten.total("clients.u.outcomes.error"), 5.0);
    let one = "Envoy(outlier_detection: OutlierDetection(always_eject_one_host: true))";
    let two = play(one, "replicas: 2,", ILL);
    assert_eq!(two.total("clients.u.outcomes.error"), 5.0);
    assert_eq!(two.times_of("target_healthy"), [40.0], "at the first sweep after thirty seconds");
}

#[test]
fn envoy_hears_of_a_second_ejection_a_window_later() {
    let detection = "OutlierDetection(max_ejection_percent: 100)";
    let fields = "duration: \"20s\", timeline: [At(\"5s\", Errors(target: \"api\", instances: Number(2)))]";
    let errors = |window: &str| {
        let product = format!("Envoy({window} outlier_detection: {detection})");
        play(&product, "replicas: 10,", fields).total("clients.u.outcomes.error")
    };
    assert_eq!(errors("update_merge_window: \"0s\","), 10.0);
    // Ten requests a second to each host, eleven when one is out.
    assert!((20.0..=22.0).contains(&errors("")), "{}", errors(""));
}

#[test]
fn an_ejected_host_is_picked_only_in_a_panic() {
    // Six of ten are ejected: four are fewer than half.
    let product = |more: &str| {
        format!(
            "Envoy(update_merge_window: \"0s\", {more} outlier_detection: OutlierDetection(max_ejection_percent: 100))"
        )
    };
    let fields = "duration: \"20s\", timeline: [At(\"5s\", Errors(target: \"api\", instances: Number(6)))]";
    let spread = play(&product(""), "replicas: 10,", fields);
    assert!(spread.count("balancers.lb.failed_open", 8, 20) > 1_190.0);
    let errors = spread.count("clients.u.outcomes.error", 8, 20);
    assert!((715.0..=725.0).contains(&errors), "{errors}");
    let refused = play(&product("fail_traffic_on_panic: true,"), "replicas: 10,", fields);
    assert_eq!(refused.count("balancers.lb.http_503", 8, 20), 1_200.0);
    let calm = play(&product("healthy_panic_threshold: 40,"), "replicas: 10,", fields);
    assert_eq!(calm.count("clients.u.outcomes.error", 8, 20), 0.0);
}

#[test]
fn a_wrong_status_is_unhealthy_at_once_and_no_answer_only_after_some() {
    let product =
        "Envoy(health_check: EnvoyHealthCheck(endpoint: \"h\", interval: \"1s\", unhealthy_threshold: 3))";
    let wrong = play(product, "replicas: 4,", ILL);
    let at = wrong.times_of("target_unhealthy")[0];
    assert!((5.0..=6.01).contains(&at), "{at}");
    let gone = "duration: \"60s\", timeline: [At(\"5s\", Down(target: \"api\", instances: Number(1), lasts: \"20s\"))]";
    let run = play(product, "replicas: 4,", gone);
    let at = run.times_of("target_unhealthy")[0];
    assert!((7.0..=8.01).contains(&at), "{at}");
    // Refused connections are 503 of the balancer; there are no errors of hosts that answer.
    assert_eq!(run.total("balancers.lb.http_503"), run.total("clients.u.outcomes.error"));
    assert_eq!(wrong.total("balancers.lb.http_503"), 0.0);
}

#[test]
fn envoy_gives_up_after_its_timeout_and_takes_it_for_a_gateway_failure() {
    let detection = "OutlierDetection(always_eject_one_host: true, consecutive_5xx: 1000, \
                     enforcing_consecutive_gateway_failure: 100)";
    let product = format!("Envoy(timeout: \"1s\", outlier_detection: {detection})");
    let fields = "duration: \"30s\", \
                  timeline: [At(\"5s\", Hang(target: \"api\", instances: Number(1), lasts: \"5s\"))]";
    let run = play(&product, "replicas: 2,", fields);
    assert_eq!(run.value("balancers.lb.outlier_detection.ejections_enforced_total"), 1.0);
    assert!(run.total("balancers.lb.http_504") >= 5.0);
    assert_eq!(run.total("balancers.lb.http_504"), run.total("clients.u.outcomes.timeout"));
}

#[test]
fn an_operator_can_change_outlier_detection() {
    let product = "Envoy(outlier_detection: OutlierDetection(always_eject_one_host: true))";
    let fields = "duration: \"30s\", timeline: [\
                  At(\"5s\", Errors(target: \"api\", instances: Number(1))), \
                  At(\"10s\", Set(\"balancers.lb.product\", Envoy())), \
                  At(\"20s\", Set(\"balancers.lb.product\", \
                  Envoy(outlier_detection: OutlierDetection(always_eject_one_host: true)))), \
                  At(\"25s\", Set(\"balancers.lb.product\", Alb))]";
    let run = play(product, "replicas: 2,", fields);
    assert_eq!(run.count("clients.u.outcomes.error", 7, 10), 0.0);
    assert_eq!(run.count("clients.u.outcomes.error", 11, 20), 450.0);
    assert_eq!(run.count("clients.u.outcomes.error", 22, 25), 0.0);
    assert_eq!(run.count("clients.u.outcomes.error", 26, 29), 150.0);
    let active = run.series("balancers.lb.outlier_detection.ejections_active");
    assert_eq!((active[8], active[15], active[23], active[27]), (1.0, 0.0, 1.0, 0.0));
}

#[test]
fn nginx_hides_failures_and_leaves_a_server_out() {
    let gone = "duration: \"40s\", timeline: [At(\"5s\", Down(target: \"api\", instances: Number(1), lasts: \"20s\"))]";
    let run = play("Nginx()", "replicas: 3,", gone);
    assert_eq!(run.total("clients.u.outcomes.error"), 0.0);
    // At once, and once in each ten to eleven seconds.
    assert_eq!(run.total("balancers.lb.retries"), 2.0);
    assert_eq!(run.count("balancers.lb.http_502", 0, 40), 0.0);
    let healthy = run.series("balancers.lb.healthy");
    assert_eq!((healthy[3], healthy[10], healthy[38]), (3.0, 2.0, 3.0));
    // Bad answers count only where they are listed.
    let ill = play("Nginx()", "replicas: 3,", ILL);
    assert!(ill.total("clients.u.outcomes.error") > 600.0);
    let listed = play("Nginx(proxy_next_upstream: [Error, Timeout, Http500])", "replicas: 3,", ILL);
    assert_eq!(listed.total("clients.u.outcomes.error"), 0.0);
    assert_eq!(listed.total("balancers.lb.retries"), 2.0);
}

#[test]
fn nginx_does_not_fail_open_but_answers_502() {
    // A second of errors of both servers is up to eleven seconds of 502.
    let both = "duration: \"30s\", timeline: [At(\"5s\", Errors(target: \"api\", lasts: \"1s\"))]";
    let run = play("Nginx(proxy_next_upstream: [Error, Timeout, Http500])", "replicas: 2,", both);
    let refused = run.total("balancers.lb.http_502");
    assert!((950.0..1_100.0).contains(&refused), "{refused}");
    assert_eq!(run.total("clients.u.outcomes.unavailable"), refused);
    // A single server is asked whatever it did.
    let one = play("Nginx(proxy_next_upstream: [Error, Timeout, Http500])", "", both);
    assert_eq!(one.total("clients.u.outcomes.error"), 100.0);
    assert_eq!(one.total("balancers.lb.http_502"), 0.0);
}

#[test]
fn nginx_tries_as_often_and_as_long_as_it_may() {
    let hang = "duration: \"20s\", timeline: [At(\"5s\", Hang(target: \"api\", lasts: \"100s\"))]";
    let asked = |more: &str| {
        let product = format!("Nginx(proxy_read_timeout: \"1s\", max_fails: 0, {more})");
        let run = play(&product, "replicas: 4,", hang);
        let timeouts = run.total("clients.u.outcomes.timeout");
        assert_eq!(run.total("balancers.lb.http_504"), timeouts);
        run.value("clients.u.latency.max").round()
    };
    assert_eq!(asked(""), 4.0);
    assert_eq!(asked("proxy_next_upstream_tries: 2"), 2.0);
    assert_eq!(asked("proxy_next_upstream_timeout: \"2500ms\""), 3.0);
    assert_eq!(asked("proxy_next_upstream: [Error]"), 1.0);
}

#[test]
fn other_policies_of_nginx_leave_the_same_servers_out() {
    let gone = "duration: \"40s\", timeline: [At(\"5s\", Down(target: \"api\", instances: Number(1), lasts: \"20s\"))]";
    let product = "Nginx(), policy: LeastOutstanding";
    let run = play(product, "replicas: 3,", gone);
    assert_eq!(run.total("clients.u.outcomes.error"), 0.0);
    assert!(run.total("balancers.lb.retries") <= 3.0);
}

/// Twenty requests at once, and what becomes of them.
fn twenty(product: &str, service: &str) -> Run {
    let topology = format!(
        "Topology(name: \"t\", \
         clients: {{ \"u\": Clients(arrivals: Times(\"times.csv\"), requests: {{ \"lb/e\": 1 }}) }}, \
         balancers: {{ \"lb\": Balancer(targets: \"api\", product: {product}) }}, \
         services: {{ \"api\": Service({service} endpoints: {{ \"e\": [Wait(\"300ms\")] }}) }})",
    );
    let files = Files::new(&topology, Some(&whole_experiment("duration: \"10s\"")));
    files.write("times.csv", &"1.0\n".repeat(20));
    run_of(files.plan(), 0)
}

#[test]
fn haproxy_lets_so_many_through_and_the_rest_wait() {
    let run = twenty("Haproxy(maxconn: 2, timeout_queue: \"500ms\")", "");
    assert_eq!(run.total("clients.u.outcomes.ok"), 4.0);
    assert_eq!(run.total("balancers.lb.http_503"), 16.0);
    support::close("last answer", run.value("clients.u.success_latency.max"), 0.6, 1e-9);
    assert_eq!((run.value("services.api.busy.max"), run.value("balancers.lb.queue.max")), (2.0, 18.0));
    // `timeout_connect` holds if there is no `timeout_queue`; enough for all.
    let patient = twenty("Haproxy(maxconn: 2)", "");
    assert_eq!(patient.total("clients.u.outcomes.ok"), 20.0);
    support::close("last answer", patient.value("clients.u.success_latency.max"), 3.0, 1e-9);
    // Each of two servers.
    assert_eq!(
        twenty("Haproxy(maxconn: 2, timeout_queue: \"500ms\")", "replicas: 2,")
            .total("clients.u.outcomes.ok"),
        8.0
    );
    // While the backend is not full, fewer: 20 of 100 is a fifth of ten.
    let fewer = twenty("Haproxy(minconn: 1, maxconn: 10, fullconn: 100)", "");
    assert_eq!(fewer.value("services.api.busy.max"), 2.0);
    // With a hash each waits for its own server, in a line that ends.
    let own = twenty("Haproxy(maxconn: 2, maxqueue: 3), policy: RingHash()", "replicas: 2,");
    assert_eq!(own.total("clients.u.outcomes.ok"), 10.0, "two and three of each");
    assert_eq!(own.total("balancers.lb.http_503"), 10.0);
}

#[test]
fn haproxy_tries_a_refused_connection_again_with_the_same_server_after_a_second() {
    let gone = "duration: \"20s\", timeline: [At(\"5s\", Down(target: \"api\", instances: Number(1), lasts: \"10s\"))]";
    let same = play("Haproxy()", "replicas: 2,", gone);
    // Four tries at 0, 1, 2 and 3 s.
    support::close("503 after three seconds", same.value("clients.u.latency.max"), 3.0, 0.01);
    assert_eq!(same.total("balancers.lb.http_503"), same.total("clients.u.outcomes.error"));
    assert!(
        (345.0..=355.0).contains(&same.total("clients.u.outcomes.error")),
        "those of the first seven seconds"
    );
    let other = play("Haproxy(redispatch: true)", "replicas: 2,", gone);
    assert_eq!(other.total("clients.u.outcomes.error"), 0.0);
    support::close("at once", other.value("clients.u.latency.max"), 0.01, 1e-6);
}

#[test]
fn haproxy_does_not_fail_open() {
    let check = "check: HaproxyCheck(endpoint: \"h\", inter: \"400ms\")";
    let ill = "duration: \"20s\", timeline: [At(\"5s\", Errors(target: \"api\", lasts: \"5s\"))]";
    let run = play(&format!("Haproxy({check})"), "replicas: 2,", ill);
    let down = run.times_of("target_unhealthy");
    assert_eq!(down.len(), 2);
    assert!(down.iter().all(|t| (5.8..=6.21).contains(t)), "three failed checks: {down:?}");
    let up = run.times_of("target_healthy");
    assert!(up.iter().all(|t| (10.4..=10.82).contains(t)), "two passed checks: {up:?}");
    assert_eq!(run.count("balancers.lb.http_503", 7, 10), 300.0);
    assert_eq!(run.count("clients.u.outcomes.unavailable", 7, 10), 300.0);
    // At the start one failed check is enough.
    let first = "duration: \"3s\", timeline: [At(\"0s\", Errors(target: \"api\"))]";
    let run = play(&format!("Haproxy({check})"), "replicas: 2,", first);
    let down = run.times_of("target_unhealthy");
    assert!(down.iter().all(|t| *t <= 0.21), "{down:?}");
    // Errors of traffic are found sooner than by checks that pass.
    let observe = "Haproxy(observe: Layer7, on_error: MarkDown, check: HaproxyCheck(endpoint: \"h\"))";
    let only = "duration: \"20s\", timeline: [At(\"5s\", Set(\"services.api.endpoints.e\", [Fail]))]";
    let run = play(observe, "", only);
    support::close("ten errors", run.times_of("target_unhealthy")[0], 5.1, 0.003);
}

/// An ALB, whose settings are told beside its product.
fn alb(service: &str, settings: &str, fields: &str) -> Run {
    play(&format!("Alb(), {settings}"), service, fields)
}

#[test]
fn an_alb_tells_502_503_and_504_apart() {
    let down = "timeline: [At(\"5s\", Down(target: \"api\", instances: Number(1), lasts: \"10s\"))]";
    let refused = alb("replicas: 2,", "", &format!("duration: \"20s\", {down}"));
    // Those that are under way when it goes have their connections broken, the others are refused.
    assert!(refused.total("balancers.lb.http_502") >= 499.0);
    assert_eq!(refused.total("balancers.lb.http_502"), refused.total("clients.u.outcomes.error"));
    let hang = "duration: \"20s\", timeline: [At(\"5s\", Hang(target: \"api\", lasts: \"5s\"))]";
    let silent = alb("", "idle_timeout: \"1s\",", hang);
    assert!((395.0..=402.0).contains(&silent.total("balancers.lb.http_504")));
    assert_eq!(silent.total("balancers.lb.http_504"), silent.total("clients.u.outcomes.timeout"));
    // What a target answers itself is none of the balancer's.
    let ill = alb("", "", ILL);
    assert!(ill.total("clients.u.outcomes.error") > 1_900.0);
    assert_eq!(ill.total("balancers.lb.http_502"), 0.0);
    // Cut off at the end of the deregistration delay.
    let slow = "replicas: 2, workers: 1, queue: Queue(capacity: 50),";
    let scaled = "duration: \"20s\", timeline: [At(\"5s\", Hang(target: \"api\", lasts: \"10s\")), \
                  At(\"6s\", Set(\"services.api.replicas\", 1))]";
    let cut = alb(slow, "deregistration_delay: \"2s\",", scaled);
    let at_the_end = cut.count("balancers.lb.http_502", 7, 9);
    assert!((45.0..=51.0).contains(&at_the_end), "{at_the_end}");
}

#[test]
fn an_alb_fails_open_below_its_minimum_of_healthy_targets() {
    let check = "health_check: HealthCheck(endpoint: \"h\", interval: \"1s\")";
    let ill = "duration: \"30s\", timeline: [At(\"5s\", Errors(target: \"api\", instances: Number(2)))]";
    let errors = |group: &str, more: &str| {
        let run = play(&format!("Alb({group}), {check}, {more}"), "replicas: 4,", ill);
        run.count("clients.u.outcomes.error", 10, 30)
    };
    assert_eq!(errors("", ""), 0.0);
    assert_eq!(errors("minimum_healthy_targets_count: 2", ""), 0.0);
    assert_eq!(errors("minimum_healthy_targets_count: 3", ""), 1_000.0);
    assert_eq!(errors("minimum_healthy_targets_percentage: 50", ""), 0.0);
    assert_eq!(errors("minimum_healthy_targets_percentage: 51", ""), 1_000.0);
    assert_eq!(errors("minimum_healthy_targets_percentage: 51", "when_none_healthy: Refuse"), 0.0);
}

/// What is left when nobody asks any more, after clients that give up, hosts that hang, die, join and leave.
#[test]
fn nothing_is_left_behind_in_balancers_that_watch() {
    for product in [
        "Envoy(timeout: \"500ms\", outlier_detection: OutlierDetection(always_eject_one_host: true))",
        "Nginx(proxy_read_timeout: \"300ms\", fail_timeout: \"2s\")",
        "Haproxy(maxconn: 2, timeout_server: \"300ms\", redispatch: true, observe: Layer7, \
         check: HaproxyCheck(endpoint: \"h\", inter: \"500ms\", fastinter: \"100ms\"))",
        "Haproxy(minconn: 1, maxconn: 3, fullconn: 30, timeout_queue: \"200ms\", maxqueue: 3), policy: RingHash()",
    ] {
        let client = "patience: Exponential(\"100ms\"), profile: [Steps([(\"0s\", 1), (\"30s\", 0)])]";
        let fields = "duration: \"120s\", timeline: [\
                      At(\"5s\", Hang(target: \"api\", instances: Number(1), lasts: \"3s\", name: \"h\")), \
                      At(\"10s\", Crash(target: \"api\", instances: Number(1), name: \"c\")), \
                      At(\"15s\", Set(\"services.api.replicas\", 2)), \
                      At(\"20s\", Set(\"services.api.replicas\", 4)), \
                      At(\"25s\", Down(target: \"api\", lasts: \"2s\"))]";
        let service = "replicas: 4, workers: 2, restart_delay: \"1s\",";
        let run = experiment(&system(product, 150, service, client), fields);
        assert!(run.total("clients.u.outcomes.cancelled") > 10.0);
        assert_eq!(run.played.summary.rest, Default::default(), "{product}");
    }
}
