//! Runtimes: values that fit one another.

use super::values::positive_time;
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::runtime::{CpuCredits, Gc, TInstance};
use crate::spec::topology::{CpuDiscipline, Service, Topology};

/// The most cores' worth of credits that an instance can earn: more than any burstable instance has.
const EARN_MAX: f64 = 60_000.0;

/// The shortest and the longest period that the kernel takes, in seconds.
const PERIOD_S: std::ops::RangeInclusive<f64> = 0.001..=1.0;

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    for (name, service) in topology.services.iter() {
        quota(service, cx);
        let runtime = &service.runtime;
        if runtime.event_loop {
            match &service.cpu {
                None => cx.diagnostics.push(
                    Diagnostic::error(
                        runtime.place("event_loop"),
                        format!("`{name}` has no `cpu` for its loop"),
                    )
                    .help("give `cpu: Cpu(cores: 1)`"),
                ),
                Some(cpu) if matches!(cpu.discipline, CpuDiscipline::Priority) => {
                    cx.fail::<()>(cpu.place("discipline"), "an event loop knows no priorities");
                }
                Some(_) => {}
            }
        }
        if let Some(gc) = &runtime.gc {
            check_gc(gc, cx);
        }
        if let Some(warm_up) = &runtime.warm_up
            && !(1.0..=1e6).contains(&warm_up.factor)
        {
            cx.fail::<()>(warm_up.place("factor"), "`factor` must be from 1 to 1000000");
        }
        if let Some(credits) = &runtime.credits {
            if service.cpu.is_none() {
                cx.diagnostics.push(
                    Diagnostic::error(credits.span, format!("`{name}` has no `cpu` to spend credits on"))
                        .help("give `cpu: Cpu(cores: 2)`"),
                );
            }
            check_credits(credits, cx);
        }
    }
}

fn quota(service: &Service, cx: &mut Context) {
    let Some(cpu) = &service.cpu else { return };
    let Some(cfs) = &cpu.quota else { return };
    positive_time(cfs.period, "period", cfs.place("period"), cx);
    if !PERIOD_S.contains(&cfs.period.0) {
        cx.fail::<()>(cfs.place("period"), "`period` must be from 1ms to 1s, as the kernel has it");
    }
    if cpu.limit.is_none() {
        cx.diagnostics.push(
            Diagnostic::error(cfs.span, "there is no limit that a quota could enforce")
                .help("give the `limit` of the `Cpu`, or leave out `quota`"),
        );
    }
}

fn check_gc(gc: &Gc, cx: &mut Context) {
    if gc.young.0 == 0 || gc.young.0 > gc.heap.0 {
        cx.fail::<()>(gc.place("young"), "`young` must be more than 0 and at most `heap`");
    }
    if gc.per_request.0 == 0 {
        cx.fail::<()>(
            gc.place("per_request"),
            "`per_request` must be more than 0: there would be no garbage",
        );
    }
}

fn check_credits(credits: &CpuCredits, cx: &mut Context) {
    if let TInstance::Earns(earns) = &credits.instance
        && !(0.001..=EARN_MAX).contains(&earns.per_hour)
    {
        cx.fail::<()>(earns.place("per_hour"), format!("`per_hour` must be from 0.001 to {EARN_MAX}"));
    }
    for (value, what) in [(credits.initial.unwrap_or(0.0), "initial"), (credits.launch, "launch")] {
        if !(0.0..=1e9).contains(&value) {
            cx.fail::<()>(credits.place(what), format!("`{what}` must be from 0 to 1e9"));
        }
    }
}
