//! Values of pools and of proxies in front of databases.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::http::{EnvoyLimits, Http1Pool, HttpProtocol};
use crate::spec::policy::pools::{HikariPool, PgPool};
use crate::spec::pooler::{PgBouncer, Pooler, RdsProxy};
use crate::spec::quantity::Seconds;
use crate::spec::source::Span;
use crate::spec::topology::Database;

/// HikariCP's shortest `connectionTimeout`.
const HIKARI_TIMEOUT_MIN: f64 = 0.25;

/// RDS Proxy's longest `ConnectionBorrowTimeout`.
const BORROW_MAX: f64 = 300.0;

/// More connections than any server has.
const CONNECTIONS_MAX: u32 = 1_000_000;

fn not_above(less: (u32, &str), more: (u32, &str), span: Span, cx: &mut Context) {
    if less.0 > more.0 {
        cx.diagnostics.push(
            Diagnostic::error(span, format!("`{}` must not be more than `{}`", less.1, more.1))
                .label(format!("{} is {}, {} is {}", less.1, less.0, more.1, more.0)),
        );
    }
}

fn size(value: u32, what: &str, span: Span, cx: &mut Context) {
    at_least_one(value, what, span, cx);
    if value > CONNECTIONS_MAX {
        cx.fail::<()>(span, format!("`{what}` must be at most {CONNECTIONS_MAX}"));
    }
}

fn statement(limit: Option<Seconds>, span: Span, cx: &mut Context) {
    if let Some(limit) = limit {
        positive_time(limit, "statement_timeout", span, cx);
    }
}

pub(super) fn hikari(p: &HikariPool, cx: &mut Context) {
    size(p.maximum_pool_size, "maximum_pool_size", p.place("maximum_pool_size"), cx);
    let idle = p.minimum_idle.unwrap_or(0);
    let most = (p.maximum_pool_size, "maximum_pool_size");
    not_above((idle, "minimum_idle"), most, p.place("minimum_idle"), cx);
    if p.connection_timeout.0 < HIKARI_TIMEOUT_MIN {
        cx.diagnostics.push(
            Diagnostic::error(p.place("connection_timeout"), "`connection_timeout` must be at least 250ms")
                .help("HikariCP refuses less"),
        );
    }
    statement(p.statement_timeout, p.place("statement_timeout"), cx);
}

pub(super) fn pg(p: &PgPool, cx: &mut Context) {
    size(p.max, "max", p.place("max"), cx);
    not_above((p.min, "min"), (p.max, "max"), p.place("min"), cx);
    if let Some(uses) = p.max_uses {
        at_least_one(uses, "max_uses", p.place("max_uses"), cx);
    }
    statement(p.statement_timeout, p.place("statement_timeout"), cx);
}

pub(super) fn database(d: &Database, cx: &mut Context) {
    match &d.pooler {
        None => {}
        Some(Pooler::PgBouncer(p)) => bouncer(p, cx),
        Some(Pooler::RdsProxy(p)) => rds(p, d, cx),
    }
}

fn bouncer(p: &PgBouncer, cx: &mut Context) {
    size(p.max_client_conn, "max_client_conn", p.place("max_client_conn"), cx);
    size(p.default_pool_size, "default_pool_size", p.place("default_pool_size"), cx);
    let most = (p.default_pool_size, "default_pool_size");
    not_above((p.min_pool_size, "min_pool_size"), most, p.place("min_pool_size"), cx);
    if p.reserve_pool_size > CONNECTIONS_MAX {
        let message = format!("`reserve_pool_size` must be at most {CONNECTIONS_MAX}");
        cx.fail::<()>(p.place("reserve_pool_size"), message);
    }
}

fn rds(p: &RdsProxy, d: &Database, cx: &mut Context) {
    let percent = p.max_connections_percent;
    if !(1.0..=100.0).contains(&percent) {
        cx.fail::<()>(p.place("max_connections_percent"), "`max_connections_percent` must be from 1 to 100");
    } else if f64::from(d.max_connections) * percent / 100.0 < 1.0 {
        cx.fail::<()>(p.place("max_connections_percent"), "that is less than one connection");
    }
    if p.max_idle_connections_percent.is_some_and(|idle| !(0.0..=percent).contains(&idle)) {
        let message = "`max_idle_connections_percent` must be from 0 to `max_connections_percent`";
        cx.fail::<()>(p.place("max_idle_connections_percent"), message);
    }
    positive_time(
        p.connection_borrow_timeout,
        "connection_borrow_timeout",
        p.place("connection_borrow_timeout"),
        cx,
    );
    if p.connection_borrow_timeout.0 > BORROW_MAX {
        let message = "`connection_borrow_timeout` must be at most 300s";
        cx.fail::<()>(p.place("connection_borrow_timeout"), message);
    }
}

pub(super) fn envoy(e: &EnvoyLimits, cx: &mut Context) {
    if let HttpProtocol::Http2(h) = &e.protocol {
        at_least_one(
            h.max_concurrent_streams,
            "max_concurrent_streams",
            h.place("max_concurrent_streams"),
            cx,
        );
    }
    positive_time(e.connect_timeout, "connect_timeout", e.place("connect_timeout"), cx);
}

pub(super) fn http1(p: &Http1Pool, cx: &mut Context) {
    size(p.max_connections, "max_connections", p.place("max_connections"), cx);
    if p.keep_alive.0 > 0.0 && p.race.0 >= p.keep_alive.0 {
        cx.diagnostics.push(
            Diagnostic::error(p.place("race"), "`race` must be shorter than `keep_alive`")
                .label(format!("race is {} s, keep_alive is {} s", p.race.0, p.keep_alive.0)),
        );
    }
}
