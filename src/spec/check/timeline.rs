//! The timeline and the objectives: targets that exist, moments within the run, names that tell faults apart.

mod network;

use super::names::{Component, find};
use super::objectives;
use super::{deployments, fault_instances};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Action, At, Experiment, Instances};
use crate::spec::runbook::Condition;
use crate::spec::runs::Runs;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;
use std::collections::BTreeMap;

pub(super) fn check(experiment: &Experiment, topology: &Topology, cx: &mut Context) {
    let duration = experiment.duration.0;
    if duration <= 0.0 {
        cx.fail::<()>(experiment.place("duration"), "`duration` must be more than 0");
    } else if experiment.warmup.stated().seconds() >= duration {
        cx.diagnostics.push(
            Diagnostic::error(
                experiment.place("warmup"),
                "nothing is measured: the warm-up takes the whole run",
            )
            .help("`duration` is the whole simulated time, warm-up included"),
        );
    }
    runs(experiment, cx);
    for (name, _, variant) in experiment.variants.spanned() {
        let mut names = BTreeMap::new();
        for at in experiment.timeline.iter().chain(&variant.0.timeline) {
            event(at, duration, topology, cx);
            distinct(&at.action, &mut names, cx);
        }
        reactions(experiment, name, topology, &mut names, cx);
        deployments::order(experiment.timeline.iter().chain(&variant.0.timeline).collect(), cx);
        legal(name, "a variant", experiment.variants.span(name).unwrap_or_default(), cx);
    }
    if experiment.variants.is_empty() {
        let mut names = BTreeMap::new();
        for at in &experiment.timeline {
            event(at, duration, topology, cx);
            distinct(&at.action, &mut names, cx);
        }
        reactions(experiment, "", topology, &mut names, cx);
        deployments::order(experiment.timeline.iter().collect(), cx);
    }
    for (name, span, objective) in experiment.objectives.spanned() {
        if topology.clients.get(name).is_none() {
            cx.diagnostics.push(
                Diagnostic::error(span, format!("there is no client population `{name}`"))
                    .nearest(name, topology.clients.names()),
            );
        }
        objectives::check(objective, name, topology, cx);
    }
    if experiment.recovery.window.0 < 1.0 {
        cx.fail::<()>(
            experiment.recovery.place("window"),
            "`window` must be at least 1s, the resolution of the series",
        );
    }
    recovery_targets(experiment, cx);
    super::values::price(
        experiment.recovery.lost_request,
        "lost_request",
        experiment.recovery.place("lost_request"),
        cx,
    );
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    for (name, span, _) in experiment.expect.spanned() {
        if !variants.contains(&name) {
            cx.diagnostics.push(
                Diagnostic::error(span, format!("there is no variant `{name}`"))
                    .nearest(name, variants.iter().copied()),
            );
        }
    }
}

/// Targets for recovery are more than nothing, and of variants that there are.
fn recovery_targets(experiment: &Experiment, cx: &mut Context) {
    let recovery = &experiment.recovery;
    if recovery.rto.as_ref().is_some_and(|rto| rto.value.0 <= 0.0) {
        cx.fail::<()>(recovery.place("rto"), "`rto` must be more than 0: nothing recovers at once");
    }
    if !recovery.targets_of.is_empty() && recovery.rto.is_none() && recovery.rpo.is_none() {
        cx.fail::<()>(recovery.place("targets_of"), "there is no target: neither `rto` nor `rpo`");
    }
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    for name in &recovery.targets_of {
        if !variants.contains(&name.value.as_str()) {
            let error = Diagnostic::error(name.span, format!("there is no variant `{}`", name.value));
            cx.diagnostics.push(error.nearest(&name.value, variants.iter().copied()));
        }
    }
}

fn runs(experiment: &Experiment, cx: &mut Context) {
    let precise = match &experiment.runs {
        Runs::Number(0) => {
            return cx.fail(experiment.place("runs"), "`runs` must be at least 1").unwrap_or_default();
        }
        Runs::Number(_) => return,
        Runs::Precise(precise) => precise,
    };
    if precise.metric.0.is_empty() {
        cx.fail::<()>(precise.place("metric"), "nothing is to be known precisely: `metric` is empty");
    }
    if precise.within.is_none() && precise.absolute.is_none() {
        let message = "`Precise` needs `within` or `absolute`: how precise?";
        let help = "write `within: \"5%\"` of the mean, or `absolute: \"5ms\"`";
        cx.diagnostics.push(Diagnostic::error(precise.span, message).help(help));
    }
    if precise.within.is_some_and(|within| within.0 <= 0.0) {
        cx.fail::<()>(precise.place("within"), "`within` must be more than 0: no number of runs is perfect");
    }
    if precise.at_least < 2 {
        let message = "`at_least` must be at least 2: one run says nothing about its own error";
        cx.fail::<()>(precise.place("at_least"), message);
    }
    if precise.at_most < precise.at_least {
        cx.fail::<()>(precise.place("at_most"), "`at_most` must not be less than `at_least`");
    }
}

/// The quantile (0 to 1) that `p99` or `p99.9` names, to the bit that of the metric of that name.
pub fn percentile_quantile(name: &str) -> Option<f64> {
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)]
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Whether a name may become part of paths; `what` it would be the name of.
pub(super) fn legal(name: &str, what: &str, span: Span, cx: &mut Context) {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(legal) {
        cx.diagnostics.push(
            Diagnostic::error(span, format!("`{name}` cannot be the name of {what}"))
                .help("a name is made of letters, digits, `_` and `-`"),
        );
    }
}

fn event(at: &At, duration: f64, topology: &Topology, cx: &mut Context) {
    if at.at.0 >= duration {
        cx.diagnostics.push(
            Diagnostic::error(at.place("at"), "this happens only after the end of the run")
                .help("move it, or make the run longer by `duration`"),
        );
    }
    action(&at.action, topology, cx);
}

/// A fault or an operators' action: targets that exist, values that are possible.
fn action(action: &Action, topology: &Topology, cx: &mut Context) {
    if let Some(fault) = action.fault() {
        let span = fault.target.span;
        if let Some(lasts) = fault.lasts
            && lasts.0 <= 0.0
            && !action.is_instant()
            && !matches!(action, Action::SpotReclaim(_))
        {
            cx.fail::<()>(action.place("lasts"), "`lasts` must be more than 0");
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if fault.name.is_empty() || !fault.name.chars().all(legal) {
            cx.fail::<()>(span, format!("`{}` cannot be the name of a fault", fault.name));
        }
    }
    fault_instances::ramp(action, cx);
    match action {
        Action::Slow(f) if fault_instances::is_queue(topology, &f.target) => {
            if f.latency.is_none() {
                let message = format!("`{}` is a queue: `Slow` needs a `latency` there", f.target.value);
                cx.fail::<()>(f.span, message);
            }
            fault_instances::whole_queue(topology, &f.target, &f.instances, f.place("instances"), cx);
        }
        Action::Errors(f) if fault_instances::is_queue(topology, &f.target) => {
            fault_instances::whole_queue(topology, &f.target, &f.instances, f.place("instances"), cx);
        }
        Action::Hang(f) if fault_instances::is_queue(topology, &f.target) => {
            fault_instances::whole_queue(topology, &f.target, &f.instances, f.place("instances"), cx);
        }
        Action::Slow(f) => {
            let component = target(topology, &f.target, true, cx);
            if f.factor.is_none() == f.latency.is_none() {
                cx.fail::<()>(f.span, "`Slow` needs either a factor or a latency");
            }
            if f.factor.is_some_and(|x| x < 0.0) {
                cx.fail::<()>(f.place("factor"), "`factor` must not be negative");
            }
            instances(&f.instances, component, &f.target.value, f.place("instances"), cx);
            fault_instances::selected(&f.instances, topology, &f.target.value, cx);
        }
        Action::Errors(f) => {
            let component = target(topology, &f.target, true, cx);
            instances(&f.instances, component, &f.target.value, f.place("instances"), cx);
            fault_instances::selected(&f.instances, topology, &f.target.value, cx);
        }
        Action::Hang(f) => {
            let component = target(topology, &f.target, true, cx);
            instances(&f.instances, component, &f.target.value, f.place("instances"), cx);
            fault_instances::selected(&f.instances, topology, &f.target.value, cx);
        }
        Action::Down(f) if fault_instances::is_queue(topology, &f.target) => {
            fault_instances::whole_queue(topology, &f.target, &f.instances, f.place("instances"), cx);
        }
        Action::Down(f) => {
            let component = target(topology, &f.target, true, cx);
            instances(&f.instances, component, &f.target.value, f.place("instances"), cx);
            fault_instances::selected(&f.instances, topology, &f.target.value, cx);
        }
        Action::Crash(f) => {
            let component = target(topology, &f.target, false, cx);
            instances(&f.instances, component, &f.target.value, f.place("instances"), cx);
            fault_instances::selected(&f.instances, topology, &f.target.value, cx);
        }
        Action::Restart(f) => {
            target(topology, &f.target, false, cx);
            fault_instances::selected(&f.instances, topology, &f.target.value, cx);
        }
        Action::KillQueries(f) => {
            if topology.databases.get(&f.target.value).is_none() {
                let message = format!("there is no database `{}`", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                cx.diagnostics.push(error.nearest(&f.target.value, topology.databases.names()));
            }
        }
        Action::Spike(f) => {
            if topology.clients.get(&f.target.value).is_none() {
                cx.diagnostics.push(
                    Diagnostic::error(
                        f.target.span,
                        format!("there is no client population `{}`", f.target.value),
                    )
                    .nearest(&f.target.value, topology.clients.names()),
                );
            }
            if f.factor < 0.0 {
                cx.fail::<()>(f.place("factor"), "`factor` must not be negative");
            }
        }
        Action::SpotReclaim(f) => super::costs::reclaim(f, topology, cx),
        Action::ZoneDown(_)
        | Action::DrainZone(_)
        | Action::RestoreZone(_)
        | Action::CpuSteal(_)
        | Action::DiskSlow(_)
        | Action::OutOfIoCredits(_)
        | Action::MemoryLeak(_)
        | Action::GcStorm(_)
        | Action::ConnectionLeak(_)
        | Action::CacheFlush(_)
        | Action::CacheRestart(_)
        | Action::ReplicaLag(_)
        | Action::PrimaryLoss(_)
        | Action::PoisonedMessage(_)
        | Action::TenantSpike(_)
        | Action::DropConnections(_)
        | Action::Reconnect(_)
        | Action::Burst(_)
        | Action::Recycle(_) => fault_instances::event(action, topology, cx),
        Action::Deploy(d) => deployments::deploy(d, topology, cx),
        Action::RollBack(r) => deployments::service(&r.target, topology, cx).map_or((), |_| ()),
        // Whether somebody can take over is seen in each variant: see the plan.
        Action::FailOver(f) => {
            if topology.databases.get(&f.target.value).is_none() {
                let message = format!("there is no database `{}`", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                cx.diagnostics.push(error.nearest(&f.target.value, topology.databases.names()));
            }
        }
        Action::SwitchSite(s) => super::sites::switch(s, topology, cx),
        Action::ConfigPush(f) => {
            if f.set.is_empty() {
                cx.fail::<()>(f.place("set"), "`set` is empty: nothing is pushed");
            }
        }
        // They are checked by doing them: see the plan.
        Action::Set(_) | Action::Revert(_) => {}
        action => network::event(action, topology, cx),
    }
}

pub(super) fn target(
    topology: &Topology,
    name: &Spanned<String>,
    external: bool,
    cx: &mut Context,
) -> Option<Component> {
    let found = find(topology, &name.value);
    match found {
        Some(Component::Service(_) | Component::Database(_)) => found,
        Some(Component::External(_)) if external => found,
        Some(Component::External(_)) => {
            let message =
                format!("`{}` is outside the system: it can neither crash nor be restarted", name.value);
            cx.fail(name.span, message)
        }
        Some(Component::Balancer(_)) => {
            let message = format!("`{}` is a balancer: what strikes it must strike its targets", name.value);
            cx.fail(name.span, message)
        }
        _ => {
            let names = topology
                .services
                .names()
                .chain(topology.databases.names())
                .chain(topology.externals.names().filter(|_| external));
            cx.diagnostics.push(
                Diagnostic::error(name.span, format!("nothing called `{}` can be struck", name.value))
                    .nearest(&name.value, names),
            );
            None
        }
    }
}

pub(super) fn instances(
    which: &Instances,
    component: Option<Component>,
    name: &str,
    span: Span,
    cx: &mut Context,
) {
    if matches!(component, Some(Component::Database(_) | Component::External(_)))
        && !matches!(which, Instances::All | Instances::Zone(_))
    {
        cx.fail::<()>(span, format!("`{name}` has no instances to choose from"));
    }
}

/// What reacts in a variant: steps that can be taken, and names that tell faults apart. Alerts and metrics are found
/// when the variant is planned.
fn reactions<'e>(
    experiment: &'e Experiment,
    variant: &str,
    topology: &Topology,
    names: &mut BTreeMap<&'e str, Span>,
    cx: &mut Context,
) {
    for when in experiment.when_of(variant) {
        condition(&when.condition, cx);
        at_least_once(when.times, when.place("times"), cx);
        action(&when.action, topology, cx);
        distinct(&when.action, names, cx);
    }
    for (name, runbook) in experiment.runbooks_of(variant) {
        legal(name, "a runbook", runbook.span, cx);
        condition(&runbook.on, cx);
        at_least_once(runbook.times, runbook.place("times"), cx);
        if runbook.steps.is_empty() {
            cx.fail::<()>(runbook.place("steps"), "`steps` is empty: nothing is done");
        }
        if runbook.stop_when_resolved && !matches!(runbook.on, Condition::Alert(_) | Condition::Threshold(_))
        {
            let message = "only an alert or a threshold can fire no more: `stop_when_resolved` needs one";
            cx.fail::<()>(runbook.place("stop_when_resolved"), message);
        }
        for step in &runbook.steps {
            action(&step.action, topology, cx);
            distinct(&step.action, names, cx);
        }
    }
}

fn at_least_once(times: u32, span: Span, cx: &mut Context) {
    if times == 0 {
        cx.fail::<()>(span, "`times` must be at least 1");
    }
}

fn condition(condition: &Condition, cx: &mut Context) {
    if let Condition::Threshold(rule) = condition {
        super::alerts::threshold(rule, cx);
    }
}

fn distinct<'e>(action: &'e Action, names: &mut BTreeMap<&'e str, Span>, cx: &mut Context) {
    let Some(fault) = action.fault() else { return };
    match names.get(fault.name) {
        Some(first) => cx.diagnostics.push(
            Diagnostic::error(action.span(), format!("two faults are called `{}`", fault.name))
                .context(*first, "the first is here")
                .help("tell them apart with `name: \"…\"`"),
        ),
        None => {
            names.insert(fault.name, action.span());
        }
    }
}
