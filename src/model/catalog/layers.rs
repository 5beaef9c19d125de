//! The metrics of layers that keep a state.

use super::{Builder, LayerMeters};
use crate::base::units::Unit;
use crate::components::pool::family::AnyPoolConfig;
use crate::components::rate_limit::RateLimitConfig;
use crate::components::throttling::ThrottleConfig;
use crate::metrics::Source;
use crate::model::{LayerKind, SlotUse};
use std::collections::BTreeSet;

impl Builder {
    /// The metrics of the layer of a slot, one of `all`; `taken` are the paths of those before it.
    pub(super) fn layer(
        &mut self,
        slot: &SlotUse,
        kind: &LayerKind,
        edge: &str,
        all: &[SlotUse],
        taken: &mut BTreeSet<String>,
    ) {
        let name = match kind {
            LayerKind::Breaker(_) => "breaker",
            LayerKind::Pool { sessions: Some(_), .. } => "pooler",
            LayerKind::Pool { config: AnyPoolConfig::Http(_), .. } => "http",
            LayerKind::Pool { .. } => "pool",
            LayerKind::Bulkhead { .. } => "bulkhead",
            LayerKind::Retry { .. } | LayerKind::Hedge { budget: Some(_), .. } => "retry_budget",
            LayerKind::Deadline { .. } => "deadline",
            LayerKind::Connect(_) => "connect",
            LayerKind::RateLimit { config: RateLimitConfig::AwsAdaptive(_), .. } => "aws_adaptive",
            LayerKind::RateLimit { .. } => "rate_limit",
            LayerKind::Cache { .. } => "cache",
            LayerKind::ConcurrencyLimit { .. } => "concurrency_limit",
            LayerKind::Throttle { config: ThrottleConfig::Adaptive { .. }, .. } => "adaptive_throttling",
            LayerKind::Throttle { .. } => "admission_control",
            LayerKind::Fallback { .. }
            | LayerKind::Timeout { .. }
            | LayerKind::Patience(_)
            | LayerKind::Network { .. }
            | LayerKind::Hedge { .. } => {
                self.catalog.layers.push(LayerMeters::default());
                return;
            }
        };
        // A second layer of the same kind on the same edge: pool2, pool3, …
        let mut path = format!("{edge}.{name}");
        if taken.contains(&path) {
            let before = all[..slot.meters as usize].iter().filter(|s| s.edge == slot.edge).count();
            for number in 2..=before + 2 {
                if !taken.contains(&path) {
                    break;
                }
                path = format!("{edge}.{name}{number}");
            }
        }
        taken.insert(path.clone());
        let gauge = self.catalog.gauges;
        let meters = LayerMeters { gauge, rejected: self.counter(), ..LayerMeters::default() };
        let meters = match kind {
            LayerKind::Pool { config: AnyPoolConfig::Sequelize(_), .. } => {
                LayerMeters { wait: self.timer(), ..meters }
            }
            LayerKind::Pool { .. } => {
                let more = self.counter();
                self.counter();
                self.counter();
                LayerMeters { wait: self.timer(), more, ..meters }
            }
            LayerKind::Connect(_) => {
                let (wait, opened) = (self.timer(), self.counter());
                self.counter();
                self.counter();
                LayerMeters { wait, more: opened, ..meters }
            }
            LayerKind::Breaker(_) => {
                let opened = self.counter();
                self.counter();
                self.counter();
                LayerMeters { more: opened, ..meters }
            }
            LayerKind::RateLimit { .. }
            | LayerKind::Throttle { .. }
            | LayerKind::Retry { .. }
            | LayerKind::Hedge { .. } => LayerMeters { more: self.counter(), ..meters },
            _ => meters,
        };
        self.catalog.layers.push(meters);
        let connections = Unit::Count("connections");
        match kind {
            LayerKind::Pool { config, sessions, .. } => {
                let (size, in_use, waiting) = (self.gauge(), self.gauge(), self.gauge());
                self.level(format!("{path}.size"), connections, "connections, all pools", size, 1.0);
                let is_http = matches!(config, AnyPoolConfig::Http(_));
                let (unit, lent) = match is_http {
                    true => (Unit::Count("calls"), "requests on connections, all pools"),
                    false => (connections, "connections lent, all pools"),
                };
                self.level(format!("{path}.in_use"), unit, lent, in_use, 1.0);
                self.level(
                    format!("{path}.waiting"),
                    Unit::Count("calls"),
                    "calls waiting for a connection",
                    waiting,
                    1.0,
                );
                let (name, timeouts) = match is_http {
                    true => ("rejected", "calls turned away"),
                    false => ("timeouts", "calls that waited too long for a connection"),
                };
                self.add(
                    format!("{path}.{name}"),
                    Unit::PerSecond,
                    timeouts,
                    Source::CounterRate(meters.rejected),
                );
                self.timer_metrics(
                    &format!("{path}.wait"),
                    meters.wait,
                    "waiting for a connection, zero included; calls that got none are not in it",
                );
                if !matches!(config, AnyPoolConfig::Sequelize(_)) {
                    self.attempts(&path, meters.more);
                }
                if sessions.is_some() {
                    self.clients(&path, meters.more);
                }
            }
            LayerKind::Cache { .. } => self.cache(&path, meters.rejected),
            LayerKind::ConcurrencyLimit { .. } => self.concurrency_limit(&path, meters),
            LayerKind::Throttle { .. } => self.throttle(&path, meters),
            LayerKind::Connect(_) => {
                for (name, meaning, counter) in [
                    ("opened", "connections opened", meters.more),
                    ("failed", "calls that got no connection, or one that broke", meters.rejected),
                    ("lookups", "names looked up", meters.more + 1),
                    ("lookups_failed", "calls whose name could not be looked up", meters.more + 2),
                ] {
                    let rate = Source::CounterRate(counter);
                    self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, rate);
                }
                let meaning = "opening a connection, from lookup to handshake, of those that opened";
                self.timer_metrics(&format!("{path}.time"), meters.wait, meaning);
            }
            LayerKind::Deadline { .. } => {
                self.add(
                    format!("{path}.exceeded"),
                    Unit::PerSecond,
                    "calls whose deadline came before their answer",
                    Source::CounterRate(meters.rejected),
                );
            }
            LayerKind::Breaker(_) => {
                let open = self.gauge();
                self.level(format!("{path}.open"), Unit::Count("breakers"), "breakers not closed", open, 1.0);
                self.add(
                    format!("{path}.rejected"),
                    Unit::PerSecond,
                    "calls turned away",
                    Source::CounterRate(meters.rejected),
                );
                for (number, name, unit, meaning) in [
                    (0, "opened", "openings", "how often a breaker opened, from closed or half open"),
                    (1, "closed", "closings", "how often a breaker closed"),
                    (2, "trials", "calls", "calls let through while half open"),
                ] {
                    let total = Source::CounterTotal(meters.more + number);
                    self.add(format!("{path}.{name}"), Unit::Count(unit), meaning, total);
                }
            }
            LayerKind::RateLimit { .. } => {
                let waiting = self.gauge();
                let calls = Unit::Count("calls");
                self.level(
                    format!("{path}.waiting"),
                    calls,
                    "calls waiting for their turn (leaky bucket, AWS adaptive mode)",
                    waiting,
                    1.0,
                );
                for (name, meaning, counter) in [
                    ("admitted", "calls let through", meters.more),
                    ("rejected", "calls turned away", meters.rejected),
                ] {
                    let rate = Source::CounterRate(counter);
                    self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, rate);
                }
            }
            LayerKind::Bulkhead { .. } => {
                let (in_use, waiting) = (self.gauge(), self.gauge());
                let calls = Unit::Count("calls");
                self.level(format!("{path}.in_use"), calls, "calls in progress", in_use, 1.0);
                self.level(format!("{path}.waiting"), calls, "calls waiting for their turn", waiting, 1.0);
                self.add(
                    format!("{path}.rejected"),
                    Unit::PerSecond,
                    "calls turned away",
                    Source::CounterRate(meters.rejected),
                );
            }
            _ => {
                self.add(
                    format!("{path}.refused"),
                    Unit::PerSecond,
                    "retries and hedges that the budget did not allow",
                    Source::CounterRate(meters.rejected),
                );
                self.add(
                    format!("{path}.allowed"),
                    Unit::PerSecond,
                    "retries and hedges that the budget allowed",
                    Source::CounterRate(meters.more),
                );
            }
        }
    }

    /// How often a pool begins to make a connection, and how often it fails.
    fn attempts(&mut self, path: &str, more: u32) {
        for (number, name, meaning) in [
            (0, "attempts", "connections that were begun to be made"),
            (1, "failed", "connections that could not be made"),
        ] {
            let rate = Source::CounterRate(more + number);
            self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, rate);
        }
    }

    /// The clients of a proxy. Their gauge is the fourth of its pool.
    fn clients(&mut self, path: &str, more: u32) {
        let clients = self.gauge();
        let unit = Unit::Count("connections");
        self.level(format!("{path}.clients"), unit, "client connections", clients, 1.0);
        let rate = Source::CounterRate(more + 2);
        self.add(format!("{path}.refused"), Unit::PerSecond, "client connections refused", rate);
    }

    /// The metrics of a cache, whose first counter is there already.
    fn cache(&mut self, path: &str, calls: u32) {
        let entries = self.gauge();
        let unit = Unit::Count("entries");
        self.level(
            format!("{path}.entries"),
            unit,
            "entries that have not expired, all caches",
            entries,
            1.0,
        );
        let counted = [
            ("hits", "calls answered from the cache at once"),
            ("misses", "calls that found nothing and went down"),
            ("coalesced", "calls that waited for another's fetch of the same key"),
            ("stale", "calls answered from an entry that had expired"),
            ("evictions", "entries that made room for others; those that expired are not among them"),
        ];
        for (number, (name, meaning)) in (1..).zip(counted) {
            let counter = self.counter();
            debug_assert_eq!(counter, calls + number, "the world finds them by the first");
            self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, Source::CounterRate(counter));
        }
        let meaning = "share of the calls that were answered from the cache at once";
        self.add(format!("{path}.hit_ratio"), Unit::Ratio, meaning, Source::CounterRatio(calls + 1, calls));
    }
}
