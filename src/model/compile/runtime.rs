//! Runtimes, from the language's types to the components' own.

use super::draw;
use crate::base::dist::Dist;
use crate::components::cpu::quota::QuotaConfig;
use crate::components::credits::CreditConfig;
use crate::components::heap::HeapConfig;
use crate::components::warm_up::WarmUpConfig;
use crate::model::runtime::{Credits, Runtime};
use crate::spec::runtime::{Collector, CpuCredits, CreditMode, TInstance};
use crate::spec::topology::Service;

/// The pauses of G1 and ZGC in seconds, and of a full collection in nanoseconds for each byte: a second for a GB.
const G1_S: f64 = 0.2;
const ZGC_S: f64 = 0.001;
const FULL_NS_PER_BYTE: f64 = 1.0;

pub(super) fn runtime(name: &str, service: &Service) -> Runtime {
    let given = &service.runtime;
    let quota = service.cpu.as_ref().and_then(|cpu| {
        let (cfs, limit) = (cpu.quota.as_ref()?, cpu.limit?);
        let period = cfs.period.duration();
        let cores = if given.event_loop { cpu.cores.0.min(1.0) } else { cpu.cores.0 };
        Some((QuotaConfig { period, quota_ns: limit.0 * period.ns() as f64 }, cores))
    });
    let gc = given.gc.as_ref().map(|gc| {
        let (pause, full_ns_per_byte) = match &gc.collector {
            Collector::G1 => (Dist::Constant(G1_S), FULL_NS_PER_BYTE),
            Collector::Zgc => (Dist::Constant(ZGC_S), FULL_NS_PER_BYTE),
            // A second for 10^9 bytes is a nanosecond for a byte.
            Collector::StopTheWorld(s) => (s.pause.dist.clone(), s.full_pause_per_gb.0),
        };
        let config = HeapConfig {
            size: gc.heap.0,
            young: gc.young.0,
            per_request: gc.per_request.0,
            full_ns_per_byte,
        };
        (config, draw(&pause, &format!("services.{name}.runtime.gc.pause")))
    });
    Runtime {
        quota,
        event_loop: given.event_loop,
        gc,
        warm_up: given.warm_up.as_ref().map(|w| WarmUpConfig { factor: w.factor, requests: w.requests }),
        credits: given.credits.as_ref().map(credits),
        leak: service.memory.as_ref().map_or(0, |m| m.leak_per_request.0),
    }
}

fn credits(c: &CpuCredits) -> Credits {
    let earn_per_hour = match &c.instance {
        TInstance::T3Micro => 12.0,
        TInstance::T3Small | TInstance::T3Medium => 24.0,
        TInstance::T3Large => 36.0,
        TInstance::Earns(e) => e.per_hour,
    };
    let config = CreditConfig {
        earn_per_hour,
        cap: earn_per_hour * 24.0,
        unlimited: matches!(c.mode, CreditMode::Unlimited),
    };
    Credits { config, initial: c.initial.unwrap_or(config.cap), launch: c.launch }
}
