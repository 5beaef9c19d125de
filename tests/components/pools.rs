//! Pools, proxies and connections of HTTP in whole systems.

use crate::support::{close, experiment, quick};

/// Two services with pools of `pool` on a database with `database`'s fields.
fn two_services(pool: &str, database: &str) -> String {
    format!(
        r#"Topology(
            name: "t",
            clients: {{
                "a": Clients(arrivals: Regular("50/s"), requests: {{ "one/get": 1 }}),
                "b": Clients(arrivals: Regular("50/s"), requests: {{ "two/get": 1 }}),
            }},
            services: {{
                "one": Service(replicas: 2, endpoints: {{ "get": [Call("db/q", "p")] }}),
                "two": Service(replicas: 2, endpoints: {{ "get": [Call("db/q", "p")] }}),
            }},
            databases: {{ "db": Database(cores: 8, queries: {{ "q": [Wait("50ms")] }}, {database}) }},
            policies: {{ "p": [{pool}] }},
        )"#
    )
}

#[test]
fn three_levels_of_connections_count_each_for_itself() {
    let pooler = "pooler: PgBouncer(pool_mode: Transaction, default_pool_size: 7)";
    let run = quick(&two_services("HikariPool(maximum_pool_size: 5)", pooler), 10);
    // Four processes with five connections each, all to the proxy; five calls are under way on average.
    assert_eq!(run.series("databases.db.pooler.clients")[9], 20.0);
    let most = run.series("databases.db.connections").into_iter().fold(0.0, f64::max);
    assert!((5.0..=7.0).contains(&most), "{most}");
    close("lent", run.value("databases.db.pooler.in_use"), 5.0, 0.1);
    assert_eq!(run.value("clients.a.error_ratio") + run.value("clients.b.error_ratio"), 0.0);
}

#[test]
fn a_proxy_refuses_more_clients_than_it_may_have() {
    let pooler = "pooler: PgBouncer(max_client_conn: 3)";
    let run = quick(&two_services("", pooler), 10);
    // Without a pool each call is a client: five at once are too many.
    assert!(run.total("databases.db.pooler.refused") > 100.0);
    assert!(run.series("databases.db.pooler.clients").into_iter().all(|clients| clients <= 3.0));
    assert!(run.value("clients.a.error_ratio") > 0.1);
}

#[test]
fn a_session_keeps_its_server_connection() {
    let play = |mode: &str| {
        let pooler =
            format!("pooler: PgBouncer(pool_mode: {mode}, default_pool_size: 6, query_wait_timeout: \"1s\")");
        quick(&two_services("Pool(max: 5, acquire_timeout: \"2s\")", &pooler), 20)
    };
    let (session, transaction) = (play("Session"), play("Transaction"));
    assert_eq!(session.series("databases.db.connections")[15], 6.0);
    assert_eq!(transaction.total("databases.db.pooler.timeouts"), 0.0);
    assert_eq!(transaction.value("clients.a.error_ratio"), 0.0);
    // Those who came later find nothing: connections that are kept are nobody else's.
    let light = |mode: &str| {
        let pooler =
            format!("pooler: PgBouncer(pool_mode: {mode}, default_pool_size: 3, query_wait_timeout: \"1s\")");
        let calm = two_services("Pool(max: 1, idle: \"1h\")", &pooler).replace("50/s", "2/s");
        quick(&calm, 20).total("databases.db.pooler.timeouts")
    };
    assert!(light("Session") > 5.0);
    assert_eq!(light("Transaction"), 0.0);
    assert_eq!(light("Statement"), 0.0);
}

#[test]
fn a_pinned_connection_of_rds_proxy_is_a_session() {
    let play = |pinning: &str| {
        let pooler = format!(
            "max_connections: 4, pooler: RdsProxy(max_connections_percent: 75, connection_borrow_timeout: \"1s\", \
             pinning: \"{pinning}\")"
        );
        let calm = two_services("Pool(max: 1, idle: \"1h\")", &pooler).replace("50/s", "2/s");
        quick(&calm, 20).total("databases.db.pooler.timeouts")
    };
    assert_eq!(play("0%"), 0.0);
    assert!(play("100%") > 5.0);
}

#[test]
fn clients_of_a_proxy_outlive_its_server() {
    let crash = "duration: \"30s\", timeline: [At(\"10s\", Crash(target: \"db\"))]";
    let pooler =
        "restart_delay: \"2s\", pooler: PgBouncer(pool_mode: Transaction, server_login_retry: \"1s\")";
    let run = experiment(&two_services("HikariPool(maximum_pool_size: 5)", pooler), crash);
    // Who was in the middle is cut off; who comes while the server is away waits.
    let failures = |run: &crate::support::Run| {
        30.0 * (run.value("clients.a.outcomes.error") + run.value("clients.b.outcomes.error"))
    };
    let failed = failures(&run);
    assert!((1.0..=12.0).contains(&failed), "{failed}");
    let direct = experiment(&two_services("PgPool()", "restart_delay: \"2s\""), crash);
    let failed = failures(&direct);
    assert!((150.0..=220.0).contains(&failed), "{failed}");
}

#[test]
fn pgbouncer_turns_new_clients_away_while_the_server_is_away() {
    let pooler = "pooler: PgBouncer(pool_mode: Transaction, server_login_retry: \"5s\")";
    let run = experiment(
        &two_services("", pooler),
        "duration: \"30s\", timeline: [At(\"10s\", Down(target: \"db\", lasts: \"5s\"))]",
    );
    assert!(run.count("databases.db.pooler.refused", 11, 15) > 300.0);
    assert_eq!(run.count("databases.db.pooler.refused", 21, 30), 0.0);
}

#[test]
fn hikari_makes_no_more_than_33_connections_a_second_and_process() {
    let crash = "duration: \"20s\", timeline: [At(\"10s\", Crash(target: \"db\"))]";
    let topology =
        two_services("HikariPool(maximum_pool_size: 100, minimum_idle: 0)", "").replace("50/s", "500/s");
    let run = experiment(&topology, crash);
    let attempts = run.series("services.one.calls.db.pool.attempts");
    // Two processes; a connection every 30 ms each.
    assert!(attempts.iter().all(|a| a.is_nan() || *a <= 68.0), "{attempts:?}");
    let storm = run.count("services.one.calls.db.pool.attempts", 10, 11);
    assert!(storm > 40.0, "{storm}");
}

#[test]
fn hikari_is_full_before_anybody_asks_and_fills_again_in_a_new_process() {
    let topology = two_services("HikariPool(maximum_pool_size: 6)", "").replace("50/s", "1/s");
    let run = experiment(&topology, "duration: \"20s\", timeline: [At(\"10s\", Crash(target: \"one\"))]");
    assert_eq!(run.series("services.one.calls.db.pool.size")[1], 12.0);
    assert_eq!(run.series("services.one.calls.db.pool.size")[19], 12.0);
    assert_eq!(run.series("databases.db.connections")[19], 24.0);
}

#[test]
fn a_new_connection_costs_the_database_s_cpu() {
    // Without a pool every call connects: a hundred times 20 ms in a second.
    let run = quick(&two_services("", "connect_cost: \"20ms\""), 20);
    close("CPU", run.value("databases.db.cpu"), 2.0, 0.02);
    let pooled = quick(&two_services("Pool(max: 5)", "connect_cost: \"20ms\""), 20);
    assert!(pooled.value("databases.db.cpu") < 0.1);
}

#[test]
fn a_refused_connection_costs_nothing_and_fails_at_once() {
    let run = quick(&two_services("", "connect_cost: \"20ms\", max_connections: 4, reserved: 3"), 10);
    assert!(run.value("clients.a.error_ratio") > 0.5);
    assert!(run.value("databases.db.cpu") < 0.4);
    assert!(run.value("clients.a.latency.p50") < 0.001);
}

#[test]
fn a_connection_that_takes_too_long_is_given_up_and_its_work_goes_on_for_nobody() {
    // One core, and connections that cost it a second each: none stands within half a second.
    let database = "connect_cost: \"1s\"";
    let pool = "PgPool(max: 4, connection_timeout: \"500ms\")";
    let topology = two_services(pool, database).replace("cores: 8", "cores: 1");
    let run = quick(&topology, 20);
    assert!(run.value("clients.a.error_ratio") > 0.95);
    assert!(run.value("databases.db.cpu") > 0.9);
    assert!(run.total("services.one.calls.db.pool.failed") > 10.0);
}

#[test]
fn settings_of_pools_take_effect_during_a_run() {
    let topology = two_services("HikariPool(maximum_pool_size: 2)", "");
    let more = "At(\"5s\", Set(\"policies.p.HikariPool.maximum_pool_size\", 6))";
    let none = "At(\"35s\", Set(\"policies.p\", []))";
    let again = "At(\"40s\", Set(\"policies.p\", [HikariPool(maximum_pool_size: 3)]))";
    let run = experiment(&topology, &format!("duration: \"45s\", timeline: [{more}, {none}, {again}]"));
    let size = |at: usize| run.series("services.one.calls.db.pool.size")[at];
    // The housekeeper fills it up on its next round, 30.1 s after the start of the process.
    assert_eq!((size(4), size(28), size(33)), (4.0, 4.0, 12.0));
    assert_eq!((size(37), size(43)), (0.0, 6.0));
    let pooler = "pooler: PgBouncer(pool_mode: Transaction, default_pool_size: 1)";
    let run = experiment(
        &two_services("Pool(max: 9)", pooler),
        "duration: \"20s\", timeline: [At(\"10s\", Set(\"databases.db.pooler.default_pool_size\", 9))]",
    );
    assert_eq!(run.series("databases.db.connections")[9], 1.0);
    assert!(run.series("databases.db.connections")[15] > 4.0);
}

#[test]
fn http2_shares_one_connection_and_http1_takes_one_for_each_request() {
    let play = |protocol: &str| {
        let limits = format!("EnvoyLimits(protocol: {protocol})");
        quick(&two_services(&limits, ""), 10).series("services.one.calls.db.http.size")[9]
    };
    assert_eq!(play("Http2()"), 2.0);
    assert!(play("Http1") >= 2.0 + 1.0);
}
