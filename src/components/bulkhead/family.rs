//! Bulkheads of all makes behind one face.

use super::threads::{ThreadPool, ThreadPoolConfig};
use super::{Bulkhead, BulkheadConfig, Enter};
use crate::base::time::{SimDuration, SimTime};

/// The settings of a bulkhead of any make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnyBulkheadConfig {
    /// Places, and a line.
    Semaphore(BulkheadConfig),
    /// Threads, and a queue.
    Threads(ThreadPoolConfig),
}

impl AnyBulkheadConfig {
    /// How long one may wait; `None` is without end.
    pub fn max_wait(&self) -> Option<SimDuration> {
        match self {
            Self::Semaphore(config) => config.max_wait,
            Self::Threads(_) => None,
        }
    }
}

/// A bulkhead of any make.
#[derive(Clone, Debug)]
pub enum AnyBulkhead<W> {
    /// Places, and a line.
    Semaphore(Bulkhead<W>),
    /// Threads, and a queue.
    Threads(ThreadPool<W>),
}

impl<W: Copy + PartialEq> AnyBulkhead<W> {
    /// An empty one.
    pub fn new(config: AnyBulkheadConfig) -> Self {
        match config {
            AnyBulkheadConfig::Semaphore(config) => Self::Semaphore(Bulkhead::new(config)),
            AnyBulkheadConfig::Threads(config) => Self::Threads(ThreadPool::new(config)),
        }
    }

    /// Changes the sizes while it runs. The makes do not change: each has states of its own.
    pub fn reconfigure(&mut self, config: AnyBulkheadConfig) {
        match (self, config) {
            (Self::Semaphore(bulkhead), AnyBulkheadConfig::Semaphore(config)) => bulkhead.reconfigure(config),
            (Self::Threads(pool), AnyBulkheadConfig::Threads(config)) => pool.reconfigure(config),
            _ => debug_assert!(false, "a bulkhead stays of its make"),
        }
    }

    /// Somebody wants to enter.
    pub fn enter(&mut self, now: SimTime, who: W) -> Enter {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.enter(who),
            Self::Threads(pool) => pool.enter(now, who),
        }
    }

    /// Somebody who ran leaves. Returns whose turn it is: they run from now on.
    pub fn leave(&mut self, now: SimTime) -> Option<W> {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.leave(),
            Self::Threads(pool) => pool.leave(now),
        }
    }

    /// Gives room that there is to the one who has waited longest.
    pub fn admit(&mut self, now: SimTime) -> Option<W> {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.admit(),
            Self::Threads(pool) => pool.admit(now),
        }
    }

    /// Takes out one who waits; `false` if they do not.
    pub fn abandon(&mut self, who: W) -> bool {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.abandon(who),
            Self::Threads(pool) => pool.abandon(who),
        }
    }

    /// Takes out any who waits, as the bulkhead is to go.
    pub fn evict(&mut self) -> Option<W> {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.evict(),
            Self::Threads(pool) => pool.evict(),
        }
    }

    /// How many run.
    pub fn in_use(&self) -> u32 {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.in_use(),
            Self::Threads(pool) => pool.in_use(),
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        match self {
            Self::Semaphore(bulkhead) => bulkhead.waiting(),
            Self::Threads(pool) => pool.waiting(),
        }
    }
}
