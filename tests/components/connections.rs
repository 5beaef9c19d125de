//! New connections, in whole systems.

use super::retries::at;
use crate::support::{Run, close, experiment, quick};

const TIMES: &str = "Times(\"times.csv\")";

/// Clients who call an external, over connections.
fn system(arrivals: &str, connect: &str) -> String {
    format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: {arrivals}, requests: {{ \"x/get\": 1 }}, through: \"p\") }}, \
         externals: {{ \"x\": External(latency: \"10ms\") }}, policies: {{ \"p\": [Connect({connect})] }})"
    )
}

/// A call at 10 s to a callee that is down from 9 s until `until`.
fn while_down(until: f64, connect: &str) -> Run {
    let fields = format!(
        "duration: \"19s\", timeline: [At(\"9s\", Down(target: \"x\", lasts: \"{}ms\"))]",
        ((until - 9.0) * 1e3) as u64
    );
    at(&[10.0], &system(TIMES, connect), &fields)
}

#[test]
fn handshakes_take_their_round_trips() {
    let with = |tls: &str| {
        let connect = format!("rtt: \"20ms\", tls: {tls}, tls_time: \"2ms\"");
        quick(&system("Regular(\"1/s\")", &connect), 10).value("clients.u.latency.mean")
    };
    close("plain", with("Plain"), 0.030, 1e-6);
    close("TLS 1.2", with("Tls12"), 0.072, 1e-6);
    close("TLS 1.3", with("Tls13"), 0.052, 1e-6);
    close("early data", with("Tls13Early"), 0.032, 1e-6);
}

#[test]
fn syns_are_repeated_every_second_since_linux_6_5() {
    let latency = |until: f64, linear: &str| {
        let run = while_down(until, &format!("when_down: BlackHole{linear}"));
        assert_eq!(run.total("clients.u.outcomes.ok"), 1.0);
        run.value("clients.u.latency.max")
    };
    let older = ", tcp_syn_linear_timeouts: 0";
    // The SYN after the address is back: at 14 s, and at 17 s.
    close("since 6.5", latency(13.5, ""), 4.011, 1e-3);
    close("before", latency(13.5, older), 7.011, 1e-3);
    close("both", latency(15.5, ""), 7.011, 1e-3);
    close("both", latency(15.5, older), 7.011, 1e-3);
}

#[test]
fn who_is_refused_knows_at_once_and_who_is_not_answered_waits() {
    let refused = while_down(18.0, "");
    close("refused", refused.value("clients.u.latency.max"), 0.001, 0.02);
    assert_eq!(refused.total("clients.u.outcomes.error"), 1.0);
    assert_eq!(refused.total("clients.u.calls.x.connect.failed"), 1.0);
    let limited = while_down(18.0, "when_down: BlackHole, connect_timeout: \"2500ms\"");
    close("limited", limited.value("clients.u.latency.max"), 2.5, 1e-3);
    assert_eq!(limited.total("clients.u.outcomes.timeout"), 1.0);
    let gone = |linear: u32| {
        let topology = system(TIMES, &format!("when_down: BlackHole, tcp_syn_linear_timeouts: {linear}"));
        let run = at(&[100.0], &topology, "duration: \"240s\", timeline: [At(\"50s\", Down(target: \"x\"))]");
        run.value("clients.u.latency.max")
    };
    close("given up since 6.5", gone(4), 131.0, 1e-2);
    close("given up before", gone(0), 127.0, 1e-2);
}

#[test]
fn open_connections_are_used_again() {
    let opened = |keep: &str| {
        let run = quick(&system("Regular(\"1/s\")", &format!("rtt: \"5ms\"{keep}")), 30);
        run.total("clients.u.calls.x.connect.opened") / run.total("clients.u.rate")
    };
    assert!(opened(", keep_alive: \"10s\"") < 0.05);
    assert_eq!(opened(", keep_alive: \"500ms\""), 1.0);
    assert_eq!(opened(""), 1.0);
}

#[test]
fn an_open_connection_to_a_peer_that_is_gone_seems_to_live() {
    // Calls at 10 and 20 s; the peer is gone from 15 s on.
    let play = |connect: &str, down: &str| {
        let topology = system(TIMES, &format!("keep_alive: \"1h\", {connect}"));
        at(
            &[10.0, 20.0],
            &topology,
            &format!("duration: \"28s\", timeline: [At(\"15s\", Down(target: \"x\"{down}))]"),
        )
    };
    let in_vain = play("when_down: BlackHole", "");
    assert_eq!((in_vain.total("clients.u.outcomes.ok"), in_vain.total("clients.u.throughput")), (1.0, 1.0));
    let limited = play("when_down: BlackHole, tcp_user_timeout: \"3s\"", "");
    close("user timeout", limited.value("clients.u.latency.max"), 3.0, 1e-3);
    assert_eq!(limited.total("clients.u.outcomes.error"), 1.0);
    let few = play("when_down: BlackHole, tcp_retries2: 2", "");
    // 201.5 ms, doubled twice.
    close("few repetitions", few.value("clients.u.latency.max"), 7.0 * 0.2015, 0.01);
    // Back at 21 s: the repetition at 20 + 7 x 0.2 s is answered by a reset.
    let back = play("when_down: BlackHole", ", lasts: \"6s\"");
    close("reset", back.value("clients.u.latency.max"), 7.0 * 0.201, 0.01);
    let refused = play("", "");
    close("reset at once", refused.value("clients.u.latency.max"), 0.011, 0.02);
}

#[test]
fn names_are_looked_up_when_they_are_not_known() {
    let lookups = |dns: &str| {
        let run = quick(&system("Regular(\"1/s\")", &format!("dns: Dns(latency: \"4ms\", {dns})")), 59);
        (run.total("clients.u.calls.x.connect.lookups"), run.value("clients.u.latency.max"))
    };
    let (jvm, latency) = lookups("ttl: \"30s\", negative_ttl: \"10s\"");
    assert_eq!(jvm, 2.0);
    close("a lookup", latency, 0.015, 0.02);
    assert!(lookups("timeout: \"5s\"").0 >= 58.0);
    close("ndots", lookups("queries: 5").1, 0.031, 0.02);
    // Whoever loses a query waits five seconds.
    let lost = lookups("loss: \"20%\"").1;
    assert!((5.0..11.0).contains(&lost), "{lost}");
}

#[test]
fn a_failed_lookup_is_remembered() {
    let connect = "dns: Dns(loss: \"99.99%\", timeout: \"100ms\", negative_ttl: \"10s\")";
    let run = quick(&system("Regular(\"1/s\")", connect), 30);
    let (asked, failed) =
        (run.total("clients.u.calls.x.connect.lookups"), run.total("clients.u.outcomes.error"));
    assert!((3.0..=4.0).contains(&asked) && failed >= 28.0, "{asked} lookups, {failed} failures");
}

#[test]
fn no_connection_is_left_whoever_dies_and_whatever_changes() {
    let connect = "rtt: \"30ms\", tls: Tls12, loss: \"10%\", keep_alive: \"1s\", when_down: BlackHole, \
                   connect_timeout: \"300ms\", tcp_user_timeout: \"1s\", dns: Dns(ttl: \"2s\", loss: \"5%\", timeout: \"200ms\")";
    let topology = format!(
        "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Poisson(\"40/s\"), requests: {{ \"s/run\": 1 }}) }}, \
         services: {{ \"s\": Service(replicas: 2, restart_delay: \"1s\", endpoints: {{ \"run\": [Call(\"x/a\", \"p\")] }}) }}, \
         externals: {{ \"x\": External(latency: \"20ms\") }}, \
         policies: {{ \"p\": [Timeout(limit: \"700ms\", cancel: true), Retry(max: 1), Connect({connect}), \
         Network(latency: \"5ms\", loss: \"1%\", retransmission: Rfc6298)] }})"
    );
    let fields = "duration: \"60s\", timeline: [At(\"5s\", Crash(target: \"s\", instances: Number(1), name: \"crash\")), \
                  At(\"10s\", Hang(target: \"s\", lasts: \"2s\")), At(\"15s\", Down(target: \"x\", lasts: \"4s\")), \
                  At(\"25s\", Set(\"policies.p.Connect.keep_alive\", None)), \
                  At(\"30s\", Set(\"policies.p.Connect.tls\", Plain)), \
                  At(\"35s\", Set(\"clients.u.arrivals\", Poisson(\"0.001/s\")))]";
    let run = experiment(&topology, fields);
    assert_eq!(run.played.summary.rest, Default::default());
    assert!(run.total("services.s.calls.x.connect.opened") > 100.0);
    assert!(run.total("services.s.calls.x.connect.failed") > 10.0);
}
