//! The event log with names.

use super::plan::VariantPlan;
use super::results::LogLine;
use crate::metrics::observer::{DeploymentChange, RollbackCause};
use crate::metrics::{Change, Record};
use crate::model::{Caller, GroupKind, Model};
use crate::spec::source::Span;

/// The state changes of a run, with the names of what changed.
pub fn lines(variant: &VariantPlan, record: &Record) -> Vec<LogLine> {
    record.log.iter().map(|(at, change)| line(variant, at.seconds(), change)).collect()
}

fn line(variant: &VariantPlan, time_s: f64, change: &Change) -> LogLine {
    let model = &variant.model;
    let made = |kind: &str, component: String, instance: String, detail: String| LogLine {
        time_s,
        kind: kind.to_string(),
        component,
        instance,
        detail,
    };
    let of_target = |kind: &str, balancer: u32, instance: u32| {
        let component = format!("balancers.{}", model.balancers[balancer as usize].name);
        made(kind, component, model.instance_name(instance), String::new())
    };
    let of_breaker = |kind: &str, layer: u32, caller: u32| {
        let (component, instance) = breaker(model, layer, caller);
        made(kind, component, instance, String::new())
    };
    let of_instance = |kind: &str, instance: u32| {
        made(kind, group(model, instance), model.instance_name(instance), String::new())
    };
    let of_reaction = |kind: &str, reaction: u32, detail: String| {
        made(kind, variant.script.reactions[reaction as usize].name.clone(), String::new(), detail)
    };
    let of_zone = |kind: &str, zone: u32| {
        let name = model.zones.get(zone as usize).cloned().unwrap_or_default();
        made(kind, String::new(), String::new(), name)
    };
    match *change {
        Change::ZoneDrained { zone } => of_zone("zone_drained", zone),
        Change::ZoneRestored { zone } => of_zone("zone_restored", zone),
        Change::TargetHealthy { balancer, instance } => of_target("target_healthy", balancer, instance),
        Change::TargetUnhealthy { balancer, instance } => of_target("target_unhealthy", balancer, instance),
        Change::FailedOpen { balancer } => {
            let component = format!("balancers.{}", model.balancers[balancer as usize].name);
            made("failed_open", component, String::new(), "no target is healthy: sends to all".into())
        }
        Change::BreakerOpened { layer, caller } => of_breaker("breaker_opened", layer, caller),
        Change::BreakerHalfOpened { layer, caller } => of_breaker("breaker_half_opened", layer, caller),
        Change::BreakerClosed { layer, caller } => of_breaker("breaker_closed", layer, caller),
        Change::Crashed { instance } => of_instance("crashed", instance),
        Change::OutOfMemory { instance } => of_instance("out_of_memory", instance),
        Change::FailedOver { instance } => of_instance("failed over", instance),
        Change::Restarted { instance } => of_instance("restarted", instance),
        Change::Up { instance } => of_instance("up", instance),
        Change::Starting { instance } => of_instance("starting", instance),
        Change::Draining { instance } => of_instance("draining", instance),
        Change::Stopped { instance } => of_instance("stopped", instance),
        Change::FaultBegan { fault } => of_fault(variant, time_s, "fault_began", fault),
        Change::FaultEnded { fault } => of_fault(variant, time_s, "fault_ended", fault),
        Change::Scaled { autoscaler, from, to } => {
            let component = format!("autoscalers.{}", model.autoscalers[autoscaler as usize].name);
            made("scaled", component, String::new(), format!("from {from} to {to} replicas"))
        }
        Change::NodesAsked { autoscaler, count } => {
            let component = format!("autoscalers.{}", model.autoscalers[autoscaler as usize].name);
            made("nodes_asked", component, String::new(), format!("{count} nodes"))
        }
        Change::NodeReady { autoscaler } => {
            let component = format!("autoscalers.{}", model.autoscalers[autoscaler as usize].name);
            made("node_ready", component, String::new(), String::new())
        }
        Change::NodesGone { autoscaler, count } => {
            let component = format!("autoscalers.{}", model.autoscalers[autoscaler as usize].name);
            made("nodes_gone", component, String::new(), format!("{count} nodes"))
        }
        Change::Setting { change } => {
            let detail = variant.settings.get(change as usize).cloned().unwrap_or_default();
            made("setting", String::new(), String::new(), detail)
        }
        Change::Failed { failure, instance } => of_failure(variant, time_s, "failed", failure, instance),
        Change::Repaired { failure, instance } => of_failure(variant, time_s, "repaired", failure, instance),
        Change::Unready { instance } => of_instance("unready", instance),
        Change::Ready { instance } => of_instance("ready", instance),
        Change::ProbeFailed { instance } => of_instance("probe_failed", instance),
        Change::BackOff { instance } => of_instance("back_off", instance),
        Change::TaskUnhealthy { instance } => of_instance("task_unhealthy", instance),
        Change::Reacts { reaction } => of_reaction("reacts", reaction, String::new()),
        Change::Step { reaction, step } => of_reaction("step", reaction, format!("step {}", step + 1)),
        Change::Reacted { reaction } => of_reaction("reacted", reaction, String::new()),
        Change::SpotNotice { instance } => of_instance("spot_notice", instance),
        Change::Reclaimed { instance } => of_instance("reclaimed", instance),
        Change::Deployment { version, what } => deployment(model, time_s, version, what),
    }
}

fn deployment(model: &Model, time_s: f64, version: u32, what: DeploymentChange) -> LogLine {
    let version = &model.versions[version as usize];
    let name = &version.name;
    let (kind, detail) = match what {
        DeploymentChange::Began => ("deployment_began", name.clone()),
        DeploymentChange::Progressed { available, of } => {
            ("deployment_progressed", format!("{name}: {available} of {of} available"))
        }
        DeploymentChange::Shifted { permille } => {
            ("traffic_shifted", format!("{name}: {} % of the requests", f64::from(permille) / 10.0))
        }
        DeploymentChange::Late => ("progress_deadline_exceeded", name.clone()),
        DeploymentChange::Complete => ("deployment_complete", name.clone()),
        DeploymentChange::GivenUp { cause } => {
            let why = match cause {
                RollbackCause::Operator => "an operator brings back the version before",
                RollbackCause::Deadline => "no progress within the deadline",
                RollbackCause::Restarts => "too many restarts",
                RollbackCause::Errors => "too many errors",
                RollbackCause::Analysis => "the analysis failed",
            };
            ("deployment_given_up", format!("{name}: {why}"))
        }
        DeploymentChange::RolledBack => ("rolled_back", format!("{name} is gone")),
    };
    LogLine {
        time_s,
        kind: kind.to_string(),
        component: format!("services.{}", model.groups[version.group as usize].name),
        instance: String::new(),
        detail,
    }
}

fn of_fault(variant: &VariantPlan, time_s: f64, kind: &str, fault: u32) -> LogLine {
    let fault = &variant.faults[fault as usize];
    LogLine {
        time_s,
        kind: kind.to_string(),
        component: fault.target.clone(),
        instance: String::new(),
        detail: format!("{} ({})", fault.name, fault.kind),
    }
}

fn of_failure(
    variant: &VariantPlan,
    time_s: f64,
    kind: &str,
    failure: u32,
    instance: Option<u32>,
) -> LogLine {
    let failure = &variant.script.failures[failure as usize];
    let first = variant.model.groups[failure.group as usize].first;
    LogLine {
        time_s,
        kind: kind.to_string(),
        component: group(&variant.model, first),
        instance: instance.map_or(String::new(), |i| variant.model.instance_name(i)),
        detail: failure.name.clone(),
    }
}

fn group(model: &Model, instance: u32) -> String {
    let Some(group) = model.groups.iter().rfind(|g| g.first <= instance) else { return String::new() };
    let family = match group.kind {
        GroupKind::Service => "services",
        GroupKind::Database => "databases",
        GroupKind::External => "externals",
    };
    format!("{family}.{}", group.name)
}

/// The path of a breaker, without its metric, and the instance that calls through it.
fn breaker(model: &Model, layer: u32, caller: u32) -> (String, String) {
    let slot = model.all_settings().flat_map(|e| &e.slots).find(|s| s.meters == layer);
    let Some(slot) = slot else { return (String::new(), String::new()) };
    let edge = &model.edges[slot.edge as usize];
    let from = model.caller_name(edge.caller);
    let to = model.callee_name(edge.callee);
    let family = match edge.caller {
        Caller::Client(_) => "clients",
        Caller::Group(_) => "services",
    };
    let instance = match edge.caller {
        Caller::Group(g) if slot.count > 1 => model.instance_name(model.groups[g as usize].first + caller),
        _ => String::new(),
    };
    (format!("{family}.{from}.calls.{to}.breaker"), instance)
}

/// What a `Set` says, for the log.
pub fn setting(path: &str, value: &str) -> String {
    format!("{path} = {value}")
}

/// The text of a span, for the log; long texts are cut.
pub fn text_of(sources: &crate::spec::Sources, span: Span) -> String {
    let text: String = sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= 80 { text } else { text.chars().take(79).chain(['…']).collect() }
}
