//! Metrics of the life of instances: probes, restarts, termination. Only services that have any of these have them.

use super::Builder;
use crate::base::units::Unit;
use crate::components::probe::ProbeKind;
use crate::metrics::Source;
use crate::model::Model;

/// Ids of the meters of how instances of a group live and end.
#[derive(Clone, Copy, Debug, Default)]
pub struct LifeMeters {
    /// Reds: probes, by kind, if there are such.
    pub probes: [u32; 3],
    /// Gauge: instances that are ready.
    pub ready: u32,
    /// Gauge: instances that wait to be restarted.
    pub back_off: u32,
    /// Gauge: instances that are ending.
    pub terminating: u32,
    /// Counter: restarts of a process.
    pub restarts: u32,
    /// Counter: processes killed because of a probe.
    pub probe_kills: u32,
    /// Counter: instances killed at the end of their grace period.
    pub sigkills: u32,
    /// Counter: requests refused by instances that are ending or gone.
    pub refused: u32,
    /// Red: health checks of containers (ECS), if there are such.
    pub task_checks: u32,
    /// Gauge: tasks that are to be replaced (ECS).
    pub unhealthy_tasks: u32,
    /// Counter: tasks that were found unhealthy (ECS).
    pub replaced: u32,
}

/// The names of probes in metrics.
fn name(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Startup => "startup",
        ProbeKind::Readiness => "readiness",
        ProbeKind::Liveness => "liveness",
    }
}

/// Whether a group ever has this kind of probe.
fn is_probed(model: &Model, group: usize, kind: ProbeKind) -> bool {
    model.all_settings().any(|epoch| epoch.groups[group].life.probes[kind as usize].is_some())
}

/// Whether containers of a group are ever checked for ECS.
fn has_checks(model: &Model, group: usize) -> bool {
    let ecs = |epoch: &crate::model::Epoch| epoch.groups[group].life.ecs;
    model.all_settings().any(|epoch| ecs(epoch).is_some_and(|e| e.check.is_some()))
}

impl Builder {
    /// The reds of probes, which come with the other reds.
    pub(super) fn probe_reds(&mut self, model: &Model) {
        for group in 0..model.groups.len() {
            let is_plain = model.all_settings().all(|epoch| epoch.groups[group].life.is_plain());
            let meters = (!is_plain).then(|| {
                let red = |kind| if is_probed(model, group, kind) { self.red() } else { 0 };
                let probes = ProbeKind::ALL.map(red);
                let task_checks = if has_checks(model, group) { self.red() } else { 0 };
                LifeMeters { probes, task_checks, ..LifeMeters::default() }
            });
            self.catalog.lives.push(meters);
        }
    }

    pub(super) fn lives(&mut self, model: &Model) {
        for (group, shape) in model.groups.iter().enumerate() {
            let Some(LifeMeters { probes, task_checks, .. }) = self.catalog.lives[group] else { continue };
            let meters = LifeMeters {
                probes,
                ready: self.gauge(),
                back_off: self.gauge(),
                terminating: self.gauge(),
                restarts: self.counter(),
                probe_kills: self.counter(),
                sigkills: self.counter(),
                refused: self.counter(),
                task_checks,
                unhealthy_tasks: self.gauge(),
                replaced: self.counter(),
            };
            self.catalog.lives[group] = Some(meters);
            let path = format!("services.{}", shape.name);
            for (kind, red) in ProbeKind::ALL.into_iter().zip(probes) {
                if is_probed(model, group, kind) {
                    let name = name(kind);
                    self.red_metrics(&format!("{path}.probes.{name}"), red, &format!("{name} probes"));
                }
            }
            if has_checks(model, group) {
                self.red_metrics(&format!("{path}.task_checks"), task_checks, "health checks of containers");
            }
            if model.all_settings().any(|epoch| epoch.groups[group].life.ecs.is_some()) {
                let unit = Unit::Count("instances");
                let meaning = "tasks that were found unhealthy and are to be replaced (ECS)";
                self.level(format!("{path}.unhealthy_tasks"), unit, meaning, meters.unhealthy_tasks, 1.0);
                let source = Source::CounterTotal(meters.replaced);
                let meaning = "tasks that were found unhealthy (ECS)";
                self.add(format!("{path}.tasks_found_unhealthy"), Unit::Count("tasks"), meaning, source);
            }
            for (name, gauge, meaning) in [
                ("ready", meters.ready, "instances that run and are ready, by their probes"),
                ("back_off", meters.back_off, "instances that wait to be restarted (CrashLoopBackOff)"),
                ("terminating", meters.terminating, "instances that are ending (`termination`)"),
            ] {
                self.level(format!("{path}.{name}"), Unit::Count("instances"), meaning, gauge, 1.0);
            }
            for (name, counter, unit, meaning) in [
                ("restarts", meters.restarts, "restarts", "times that a process was started again"),
                ("probe_kills", meters.probe_kills, "kills", "kills because of a startup or liveness probe"),
                ("sigkills", meters.sigkills, "kills", "instances killed at the end of their grace period"),
            ] {
                let source = Source::CounterTotal(counter);
                self.add(format!("{path}.{name}"), Unit::Count(unit), meaning, source);
            }
            self.add(
                format!("{path}.refused_at_end"),
                Unit::PerSecond,
                "requests refused since the instance has closed its listener or is gone (`termination`)",
                Source::CounterRate(meters.refused),
            );
        }
    }
}
