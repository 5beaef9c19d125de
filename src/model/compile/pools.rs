//! Pools of all makes, and proxies in front of databases.

use super::policies::Spec;
use super::settings::shared;
use super::{Compiler, draw};
use crate::base::{SimDuration, salt};
use crate::components::pool::family::AnyPoolConfig;
use crate::components::pool::hikari::HikariConfig;
use crate::components::pool::http::HttpConfig;
use crate::components::pool::pg::PgConfig;
use crate::components::pool::proxy::ProxyConfig;
use crate::model::{Callee, Draw, GroupKind, LayerKind, Sessions};
use crate::spec::policy::http::{EnvoyLimits, Http1Pool, HttpProtocol};
use crate::spec::policy::pools::{HikariPool, PgPool};
use crate::spec::pooler::{PoolMode, Pooler};
use crate::spec::quantity::Seconds;
use crate::spec::topology::{Database, Topology};

/// How soon RDS Proxy tries again to reach a database: AWS does not say.
const RDS_RETRY: SimDuration = SimDuration::from_secs(1);

/// A time of which 0 means never.
fn unless_zero(time: Seconds) -> Option<SimDuration> {
    Some(time.duration()).filter(|t| !t.is_zero())
}

pub(super) fn hikari(p: &HikariPool, path: &str) -> (LayerKind, bool) {
    let config = HikariConfig {
        maximum_pool_size: p.maximum_pool_size,
        minimum_idle: p.minimum_idle.unwrap_or(p.maximum_pool_size),
        connection_timeout: p.connection_timeout.duration(),
        idle_timeout: unless_zero(p.idle_timeout),
        max_lifetime: unless_zero(p.max_lifetime),
        keepalive_time: unless_zero(p.keepalive_time),
    };
    let kind = LayerKind::Pool {
        config: AnyPoolConfig::Hikari(config),
        connect: draw(&p.connect.dist, &format!("{path}.connect")),
        statement_timeout: p.statement_timeout.map(|t| t.duration()),
        sessions: None,
    };
    (kind, shared(&p.per))
}

pub(super) fn pg(p: &PgPool, path: &str) -> (LayerKind, bool) {
    let config = PgConfig {
        max: p.max,
        min: p.min,
        idle_timeout: unless_zero(p.idle_timeout),
        connection_timeout: unless_zero(p.connection_timeout),
        max_uses: p.max_uses,
        max_lifetime: unless_zero(p.max_lifetime),
    };
    let kind = LayerKind::Pool {
        config: AnyPoolConfig::Pg(config),
        connect: draw(&p.connect.dist, &format!("{path}.connect")),
        statement_timeout: p.statement_timeout.map(|t| t.duration()),
        sessions: None,
    };
    (kind, shared(&p.per))
}

/// The layer that a database's proxy is to whoever calls it.
pub(super) fn pooler(name: &str, d: &Database) -> Option<(LayerKind, bool)> {
    let path = format!("databases.{name}.pooler");
    let sessions = |pin| Sessions { pin, salt: salt(&format!("{path}.pinning")) };
    let (config, connect, sessions) = match d.pooler.as_ref()? {
        Pooler::PgBouncer(p) => {
            let config = ProxyConfig {
                pool_size: p.default_pool_size,
                reserve_pool_size: p.reserve_pool_size,
                reserve_pool_timeout: unless_zero(p.reserve_pool_timeout),
                min_pool_size: p.min_pool_size,
                max_db_connections: Some(p.max_db_connections).filter(|most| *most > 0),
                attempts: 1,
                server_login_retry: p.server_login_retry.duration(),
                server_connect_timeout: unless_zero(p.server_connect_timeout),
                server_lifetime: Some(p.server_lifetime.duration()),
                server_idle_timeout: unless_zero(p.server_idle_timeout),
                max_idle: None,
                query_wait_timeout: unless_zero(p.query_wait_timeout),
                server_round_robin: p.server_round_robin,
                fails_fast: true,
            };
            let pin = if matches!(p.pool_mode, PoolMode::Session) { 1.0 } else { 0.0 };
            (config, &p.connect.dist, sessions(pin))
        }
        Pooler::RdsProxy(p) => {
            let share = |percent: f64| (f64::from(d.max_connections) * percent / 100.0) as u32;
            let idle = p.max_idle_connections_percent.unwrap_or(p.max_connections_percent / 2.0);
            let config = ProxyConfig {
                pool_size: share(p.max_connections_percent).max(1),
                reserve_pool_size: 0,
                reserve_pool_timeout: None,
                min_pool_size: 0,
                max_db_connections: None,
                attempts: u32::MAX,
                server_login_retry: RDS_RETRY,
                server_connect_timeout: None,
                server_lifetime: None,
                server_idle_timeout: None,
                max_idle: Some(share(idle)),
                query_wait_timeout: Some(p.connection_borrow_timeout.duration()),
                server_round_robin: false,
                fails_fast: false,
            };
            (config, &p.connect.dist, sessions(p.pinning.0))
        }
    };
    let kind = LayerKind::Pool {
        config: AnyPoolConfig::Proxy(config),
        connect: draw(connect, &format!("{path}.connect")),
        statement_timeout: None,
        sessions: Some(sessions),
    };
    Some((kind, true))
}

/// What stands in front of a database, by name, for the check that it is the same in all epochs.
pub(super) fn what_pools(d: &Database) -> &'static str {
    match d.pooler {
        None => "nothing",
        Some(Pooler::PgBouncer(_)) => "PgBouncer",
        Some(Pooler::RdsProxy(_)) => "RdsProxy",
    }
}

/// The most clients of a database's proxy, if it has one and limits them.
pub(super) fn clients_max(d: &Database) -> Option<u32> {
    match &d.pooler {
        Some(Pooler::PgBouncer(p)) => Some(p.max_client_conn),
        _ => None,
    }
}

impl Compiler {
    /// The proxy in front of what is called, if there is one, as the innermost layer.
    pub(super) fn pooler_of(&self, topology: &Topology, callee: Callee) -> Option<Spec> {
        let group = &self.model.groups[self.model.callee_group(callee) as usize];
        let database = topology.databases.get(&group.name).filter(|_| group.kind == GroupKind::Database)?;
        let (kind, _) = pooler(&group.name, database)?;
        Some(Spec::Pooler(Box::new(kind)))
    }
}

pub(super) fn envoy(e: &EnvoyLimits, path: &str) -> (LayerKind, bool) {
    let config = HttpConfig {
        max_connections: e.max_connections,
        max_pending_requests: e.max_pending_requests,
        max_requests: e.max_requests,
        streams: match &e.protocol {
            HttpProtocol::Http1 => 1,
            HttpProtocol::Http2(h) => h.max_concurrent_streams,
        },
        connect_timeout: Some(e.connect_timeout.duration()),
        idle_timeout: unless_zero(e.idle_timeout),
        keep_alive: None,
        race: SimDuration::ZERO,
    };
    http(config, draw(&e.connect.dist, &format!("{path}.connect")), shared(&e.per))
}

pub(super) fn http1(p: &Http1Pool, path: &str) -> (LayerKind, bool) {
    let config = HttpConfig {
        max_connections: p.max_connections,
        max_pending_requests: u32::MAX,
        max_requests: u32::MAX,
        streams: 1,
        connect_timeout: None,
        idle_timeout: unless_zero(p.idle_timeout),
        keep_alive: unless_zero(p.keep_alive),
        race: p.race.duration(),
    };
    http(config, draw(&p.connect.dist, &format!("{path}.connect")), shared(&p.per))
}

fn http(config: HttpConfig, connect: Draw, shared: bool) -> (LayerKind, bool) {
    let config = AnyPoolConfig::Http(config);
    (LayerKind::Pool { config, connect, statement_timeout: None, sessions: None }, shared)
}
