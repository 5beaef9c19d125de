//! Pools of all makes behind one face.

use super::hikari::{HikariConfig, HikariPool};
use super::http::{HttpConfig, HttpPool};
use super::pg::{PgConfig, PgPool};
use super::proxy::{ProxyConfig, ProxyPool};
use super::{ConnId, Pool, PoolAction, PoolConfig};
use crate::base::{SimDuration, SimTime};

/// The settings of a pool of any make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnyPoolConfig {
    /// sequelize-pool's.
    Sequelize(PoolConfig),
    /// HikariCP's.
    Hikari(HikariConfig),
    /// node-postgres'.
    Pg(PgConfig),
    /// That of a proxy in front of a database.
    Proxy(ProxyConfig),
    /// Envoy's, and those of plain HTTP clients.
    Http(HttpConfig),
}

impl AnyPoolConfig {
    /// Most connections at once; of a proxy, the reserve included.
    pub fn max(&self) -> u32 {
        match self {
            Self::Sequelize(c) => c.max,
            Self::Hikari(c) => c.maximum_pool_size,
            Self::Pg(c) => c.max,
            Self::Proxy(c) => {
                let all = c.pool_size + c.reserve_pool_size;
                c.max_db_connections.map_or(all, |most| most.min(all))
            }
            Self::Http(c) => c.max_connections.max(1),
        }
    }

    /// How long a call waits for a connection; `None` for ever.
    pub fn acquire_timeout(&self) -> Option<SimDuration> {
        match self {
            Self::Sequelize(c) => Some(c.acquire_timeout),
            Self::Hikari(c) => Some(c.connection_timeout),
            Self::Pg(c) => c.connection_timeout,
            Self::Proxy(c) => c.query_wait_timeout,
            Self::Http(_) => None,
        }
    }

    /// The longest time that the making of a connection takes; `None` for no limit of the pool's.
    pub fn connect_timeout(&self) -> Option<SimDuration> {
        match self {
            Self::Sequelize(_) => None,
            Self::Hikari(c) => Some(c.connection_timeout),
            Self::Pg(c) => c.connection_timeout,
            Self::Proxy(c) => c.server_connect_timeout,
            Self::Http(c) => c.connect_timeout,
        }
    }
}

/// A pool of any make.
#[derive(Clone, Debug)]
pub enum AnyPool<W> {
    /// sequelize-pool's.
    Sequelize(Pool<W>),
    /// HikariCP's.
    Hikari(HikariPool<W>),
    /// node-postgres'.
    Pg(PgPool<W>),
    /// That of a proxy.
    Proxy(ProxyPool<W>),
    /// That of an HTTP client.
    Http(HttpPool<W>),
}

/// Calls the same method of whichever store of connections a pool has.
macro_rules! of_store {
    ($pool:expr, $sequelize:ident => $own:expr, $store:ident => $shared:expr) => {
        match $pool {
            AnyPool::Sequelize($sequelize) => $own,
            AnyPool::Hikari(p) => {
                let $store = p.store();
                $shared
            }
            AnyPool::Pg(p) => {
                let $store = p.store();
                $shared
            }
            AnyPool::Proxy(p) => {
                let $store = p.store();
                $shared
            }
            AnyPool::Http(p) => {
                let $store = p.store();
                $shared
            }
        }
    };
}

impl<W: Copy + PartialEq> AnyPool<W> {
    /// A pool without connections, not started.
    pub fn new(config: AnyPoolConfig) -> Self {
        match config {
            AnyPoolConfig::Sequelize(c) => Self::Sequelize(Pool::new(c)),
            AnyPoolConfig::Hikari(c) => Self::Hikari(HikariPool::new(c)),
            AnyPoolConfig::Pg(c) => Self::Pg(PgPool::new(c)),
            AnyPoolConfig::Proxy(c) => Self::Proxy(ProxyPool::new(c)),
            AnyPoolConfig::Http(c) => Self::Http(HttpPool::new(c)),
        }
    }

    /// Its process starts: HikariCP begins to fill, the others wait until they are asked.
    pub fn start(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        if let Self::Hikari(p) = self {
            p.start(now, out);
        }
    }

    /// Settings do not have it any more; it serves those who still use it.
    pub fn retire(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        if let Self::Hikari(p) = self {
            p.retire(now, out);
        }
    }

    /// Changes the settings; the make stays.
    pub fn reconfigure(&mut self, now: SimTime, config: AnyPoolConfig, out: &mut Vec<PoolAction<W>>) {
        match (self, config) {
            (Self::Sequelize(p), AnyPoolConfig::Sequelize(c)) => p.reconfigure(c),
            (Self::Hikari(p), AnyPoolConfig::Hikari(c)) => p.reconfigure(now, c, out),
            (Self::Pg(p), AnyPoolConfig::Pg(c)) => p.reconfigure(c, out),
            (Self::Proxy(p), AnyPoolConfig::Proxy(c)) => p.reconfigure(now, c, out),
            (Self::Http(p), AnyPoolConfig::Http(c)) => p.reconfigure(now, c, out),
            _ => debug_assert!(false, "each make has states of its own"),
        }
    }

    /// Forgets everything, as when its process dies.
    pub fn reset(&mut self) {
        match self {
            Self::Sequelize(p) => p.reset(),
            Self::Hikari(p) => p.reset(),
            Self::Pg(p) => p.reset(),
            Self::Proxy(p) => p.reset(),
            Self::Http(p) => p.reset(),
        }
    }

    /// Somebody wants a connection.
    #[inline]
    pub fn acquire(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.acquire(now, waiter, out),
            Self::Hikari(p) => p.acquire(now, waiter, out),
            Self::Pg(p) => p.acquire(now, waiter, out),
            Self::Proxy(p) => p.acquire(now, waiter, out),
            Self::Http(p) => p.acquire(now, waiter, out),
        }
    }

    /// A waiter's patience is over; `true` if it still waited. It is gone now.
    pub fn on_acquire_timeout(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) -> bool {
        match self {
            Self::Sequelize(p) => p.on_acquire_timeout(now, waiter),
            Self::Hikari(p) => p.store_mut().leave(waiter),
            Self::Pg(p) => p.on_acquire_timeout(waiter, out),
            Self::Proxy(p) => p.store_mut().leave(waiter),
            Self::Http(p) => p.store_mut().leave(waiter),
        }
    }

    /// A waiter was called off; `true` if it still waited. It is gone now.
    pub fn abandon(&mut self, waiter: W) -> bool {
        match self {
            Self::Sequelize(p) => p.abandon(waiter),
            Self::Hikari(p) => p.store_mut().leave(waiter),
            Self::Pg(p) => p.abandon(waiter),
            Self::Proxy(p) => p.store_mut().leave(waiter),
            Self::Http(p) => p.store_mut().leave(waiter),
        }
    }

    /// A connection comes back.
    #[inline]
    pub fn release(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.release(now, conn, out),
            Self::Hikari(p) => p.release(now, conn, out),
            Self::Pg(p) => p.release(now, conn, out),
            Self::Proxy(p) => p.release(now, conn, out),
            Self::Http(p) => p.release(now, conn, out),
        }
    }

    /// A connection stands. `luck` is uniform in 0..1, for lives that differ.
    pub fn on_created(&mut self, now: SimTime, conn: ConnId, luck: f64, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.on_created(now, conn, out),
            Self::Hikari(p) => p.on_created(now, conn, luck, out),
            Self::Pg(p) => p.on_created(now, conn, out),
            Self::Proxy(p) => p.on_created(now, conn, out),
            Self::Http(p) => p.on_created(now, conn, out),
        }
    }

    /// A connection could not be made.
    pub fn on_create_failed(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.on_create_failed(now, conn, out),
            Self::Hikari(p) => p.on_create_failed(now, conn, out),
            Self::Pg(p) => p.on_create_failed(conn, out),
            Self::Proxy(p) => p.on_create_failed(now, conn, out),
            Self::Http(p) => p.on_create_failed(conn, out),
        }
    }

    /// The making of a connection has taken `connect_timeout`: it is given up if it is still under way.
    pub fn on_connect_timeout(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Pg(p) => p.on_connect_timeout(conn, out),
            other => other.on_create_failed(now, conn, out),
        }
    }

    /// A connection is closed for good.
    pub fn on_closed(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.on_closed(now, conn, out),
            Self::Hikari(p) => p.on_closed(now, conn, out),
            Self::Pg(p) => p.on_closed(conn, out),
            Self::Proxy(p) => p.on_closed(now, conn, out),
            Self::Http(p) => p.on_closed(conn, out),
        }
    }

    /// The time has come that the pool asked for.
    pub fn on_reap(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.on_reap(now, out),
            Self::Hikari(p) => p.on_timer(now, out),
            Self::Pg(p) => p.on_timer(now, out),
            Self::Proxy(p) => p.on_timer(now, out),
            Self::Http(p) => p.on_timer(now, out),
        }
    }

    /// The server dropped all connections that stand. Some pools notice at once, others when they lend.
    pub fn on_server_gone(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        match self {
            Self::Sequelize(p) => p.invalidate_all(),
            Self::Hikari(p) => p.store_mut().invalidate_all(),
            Self::Pg(p) => p.on_server_gone(out),
            Self::Proxy(p) => p.on_server_gone(now, out),
            Self::Http(p) => p.on_server_gone(out),
        }
    }

    /// The server dropped this connection.
    pub fn invalidate(&mut self, conn: ConnId) {
        match self {
            Self::Sequelize(p) => p.invalidate(conn),
            Self::Hikari(p) => p.store_mut().invalidate(conn),
            Self::Pg(p) => p.store_mut().invalidate(conn),
            Self::Proxy(p) => p.store_mut().invalidate(conn),
            Self::Http(p) => p.store_mut().invalidate(conn),
        }
    }

    /// A client connects to a proxy: `false` if it is turned away.
    pub fn on_client(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) -> bool {
        match self {
            Self::Proxy(p) => p.on_client(now, out),
            _ => true,
        }
    }

    /// Whether the server still knows a connection.
    pub fn is_valid(&self, conn: ConnId) -> bool {
        of_store!(self, p => p.is_valid(conn), store => store.is_valid(conn))
    }

    /// Whether a connection is still being made.
    pub fn is_creating(&self, conn: ConnId) -> bool {
        of_store!(self, p => p.is_creating(conn), store => store.is_creating(conn))
    }

    /// Connections that are being made, idle and lent.
    pub fn size(&self) -> usize {
        of_store!(self, p => p.size(), store => store.size())
    }

    /// Connections lent; of HTTP, requests on connections.
    pub fn in_use(&self) -> usize {
        match self {
            Self::Http(p) => p.requests() as usize,
            pool => of_store!(pool, p => p.in_use(), store => store.in_use()),
        }
    }

    /// Idle connections.
    pub fn available(&self) -> usize {
        of_store!(self, p => p.available(), store => store.idle.len())
    }

    /// Connections on their way out.
    pub fn closing(&self) -> usize {
        of_store!(self, p => p.closing(), store => store.closing())
    }

    /// Calls that wait for a connection.
    pub fn waiting(&self) -> usize {
        match self {
            Self::Pg(p) => p.waiting(),
            pool => of_store!(pool, p => p.waiting(), store => store.waiters.len()),
        }
    }

    /// The settings.
    pub fn config(&self) -> AnyPoolConfig {
        match self {
            Self::Sequelize(p) => AnyPoolConfig::Sequelize(*p.config()),
            Self::Hikari(p) => AnyPoolConfig::Hikari(*p.config()),
            Self::Pg(p) => AnyPoolConfig::Pg(*p.config()),
            Self::Proxy(p) => AnyPoolConfig::Proxy(*p.config()),
            Self::Http(p) => AnyPoolConfig::Http(*p.config()),
        }
    }
}

#[cfg(test)]
mod tests;
