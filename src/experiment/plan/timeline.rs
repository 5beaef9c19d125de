//! The timeline: from what happens, by name, to the script of a run.

use super::settings::{Chain, Changing, Op};
use super::{FaultPlan, deployments, overrides, timeline_instances};
mod network;
use crate::base::SimTime;
use crate::base::dist::Dist;
use crate::experiment::alerts::{self, AlertPlan};
use crate::experiment::log;
use crate::experiment::measures::find_fault;
use crate::model::versions::NO_VERSION;
use crate::model::{LayerKind, Model};
use crate::sim::script::{
    Blow, Effect, Fault, Reaction, ReactionStep, Reclaim, Script, ScriptAction, Sight, Trigger, WatchedRule,
    What, Which,
};
use crate::spec::check::{self, Component};
use crate::spec::deployment::Deploy;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::dist::Distribution;
use crate::spec::experiment::{Action, At, Experiment, Instances};
use crate::spec::load::{Loader, Override};
use crate::spec::runbook::{self as spec, Condition, FaultBegins, FaultEnds, Runbook, Seen};
use crate::spec::source::Spanned;
use crate::spec::topology::{Arrivals, Topology};

/// What happens to a variant: at its times, and when something else does.
pub(super) struct Happenings<'e> {
    /// What happens at a time, in order of time and then of writing.
    pub timeline: Vec<&'e At>,
    /// What reacts.
    pub reactions: Vec<Reacting<'e>>,
}

/// What reacts to something: a runbook, or an action that waits for its moment.
pub(super) struct Reacting<'e> {
    /// Its name, by which its times are found: `runbooks.NAME` or `when.NUMBER`.
    pub name: String,
    /// What starts it.
    pub on: &'e Condition,
    /// How it is followed, unless it is a single action.
    pub runbook: Option<&'e Runbook>,
    /// What is done, and how long each step takes.
    pub steps: Vec<(&'e Action, &'e Distribution)>,
    /// How many times.
    pub times: u32,
}

impl<'e> Happenings<'e> {
    /// All that happens to a variant.
    pub fn new(experiment: &'e Experiment, variant: &str) -> Self {
        let own = experiment.variants.get(variant).into_iter().flat_map(|v| &v.0.timeline);
        let mut timeline: Vec<&At> = experiment.timeline.iter().chain(own).collect();
        // In order of time, then of writing: the sort is stable.
        timeline.sort_by_key(|at| at.at.duration());
        let mut reactions = Vec::new();
        for (name, runbook) in experiment.runbooks_of(variant) {
            reactions.push(Reacting {
                name: format!("runbooks.{name}"),
                on: &runbook.on,
                runbook: Some(runbook),
                steps: runbook.steps.iter().map(|step| (&step.action, &step.after)).collect(),
                times: runbook.times,
            });
        }
        for (number, when) in experiment.when_of(variant).into_iter().enumerate() {
            reactions.push(Reacting {
                name: format!("when.{number}"),
                on: &when.condition,
                runbook: None,
                steps: vec![(&when.action, &when.after)],
                times: when.times,
            });
        }
        Self { timeline, reactions }
    }

    /// What is deployed, at its time or when something else happens.
    pub fn deploys(&self) -> Vec<&'e Deploy> {
        let reactions =
            self.reactions.iter().flat_map(|reacting| reacting.steps.iter().map(|(action, _)| *action));
        let deploy = |action: &'e Action| match action {
            Action::Deploy(deploy) => Some(deploy),
            _ => None,
        };
        self.timeline.iter().map(|at| &at.action).chain(reactions).filter_map(deploy).collect()
    }

    /// The changes of settings in all of it, and the numbers of those that each action makes.
    pub fn changes(&self, loader: &Loader) -> (Changing, Numbers) {
        let mut changing = Changing::default();
        let mut numbers = Numbers::default();
        let mut order = Vec::new();
        for at in &self.timeline {
            let own = push_changes(&mut changing, &at.action, loader);
            let begin = SimTime::ZERO + at.at.duration();
            order.extend(own.first().map(|change| (begin, *change)));
            if let (Some(end), Some(lasts)) = (own.get(1), at.action.fault().and_then(|f| f.lasts)) {
                order.push((begin + lasts.duration(), *end));
            }
            numbers.timeline.push(own);
        }
        order.sort_by_key(|(at, _)| *at);
        changing.timeline.changes = order.into_iter().map(|(_, change)| change).collect();
        for reacting in &self.reactions {
            let mut chain = Chain { changes: Vec::new(), repeats: reacting.times > 1 };
            let mut steps = Vec::new();
            for (action, _) in &reacting.steps {
                let own = push_changes(&mut changing, action, loader);
                match own[..] {
                    // A push ends by itself, whatever the next step is.
                    [_, _] => changing.reactions.push(Chain { changes: own.clone(), repeats: true }),
                    _ => chain.changes.extend(&own),
                }
                steps.push(own);
            }
            if !chain.changes.is_empty() {
                changing.reactions.push(chain);
            }
            numbers.reactions.push(steps);
        }
        (changing, numbers)
    }
}

/// The numbers of the changes that actions make: none, one, or one at the begin and one at the end.
#[derive(Default)]
pub(super) struct Numbers {
    timeline: Vec<Vec<u32>>,
    reactions: Vec<Vec<Vec<u32>>>,
}

fn push_changes(changing: &mut Changing, action: &Action, loader: &Loader) -> Vec<u32> {
    let text = |path: &str, span| log::setting(path, &log::text_of(&loader.sources, span));
    match action {
        Action::Set(set) => {
            let change = Override { path: set.path.clone(), value: set.value.0.clone() };
            let text = text(&set.path.value, set.value.0.span);
            vec![changing.push(Op::Apply(vec![change]), text, set.span)]
        }
        Action::Revert(revert) => {
            let text = format!("{} as at the start", revert.path.value);
            vec![changing.push(Op::Revert(revert.path.clone()), text, revert.span)]
        }
        Action::ConfigPush(push) => {
            let texts: Vec<String> = push.set.iter().map(|(path, value)| text(path, value.0.span)).collect();
            let begin = changing.push(Op::Apply(overrides(&push.set)), texts.join(", "), push.span);
            let end = format!("{} is undone", push.name.value);
            vec![begin, changing.push(Op::Undo(begin), end, push.span)]
        }
        _ => Vec::new(),
    }
}

/// What a script is made for.
pub(super) struct Stage<'p> {
    /// The settings of the start.
    pub topology: &'p Topology,
    /// The system.
    pub model: &'p Model,
    /// The alerts of the experiment.
    pub alerts: &'p [AlertPlan],
    /// The end of the warm-up.
    pub warmup: SimTime,
}

/// Fills in what happens; mistakes are left in the diagnostics.
pub(super) fn script(
    happenings: &Happenings,
    numbers: &Numbers,
    stage: &Stage,
    script: &mut Script,
    diagnostics: &mut Diagnostics,
) -> Vec<FaultPlan> {
    let end = script.end;
    let mut faults: Vec<FaultPlan> = Vec::new();
    for (at, changes) in happenings.timeline.iter().zip(&numbers.timeline) {
        let start = SimTime::ZERO + at.at.duration();
        let name = format!("{}", start.ns());
        let Some(what) = what(&at.action, &name, changes, stage, script, &mut faults, diagnostics) else {
            continue;
        };
        if let What::Begin(number) = what {
            let lasts = at.action.fault().and_then(|view| view.lasts);
            let ends = lasts.map(|l| start + l.duration()).filter(|t| *t < end);
            let fault = &mut faults[number as usize];
            (fault.start, fault.end) = (start, ends);
            script.actions.push(ScriptAction { at: start, what });
            if let Some(ends) = ends.filter(|t| *t > start) {
                script.actions.push(ScriptAction { at: ends, what: What::End(number) });
            }
        } else {
            script.actions.push(ScriptAction { at: start, what });
        }
    }
    script.actions.sort_by_key(|a| a.at);
    for (reacting, changes) in happenings.reactions.iter().zip(&numbers.reactions) {
        let mut steps = Vec::new();
        for (number, ((action, after), changes)) in reacting.steps.iter().zip(changes).enumerate() {
            let name = format!("{}.{number}", reacting.name);
            let Some(what) = what(action, &name, changes, stage, script, &mut faults, diagnostics) else {
                continue;
            };
            let lasts = action.fault().and_then(|view| view.lasts).map(|lasts| lasts.duration());
            steps.push(ReactionStep { after: after.dist.clone(), what, lasts });
        }
        script.reactions.push(Reaction {
            name: reacting.name.clone(),
            // Found below, once all faults are known.
            trigger: Trigger::Began(u32::MAX),
            notify: reacting.runbook.map_or(Dist::Constant(0.0), |r| r.notify.dist.clone()),
            react: reacting.runbook.map_or(Dist::Constant(0.0), |r| r.react.dist.clone()),
            steps,
            times: reacting.times,
            stops: reacting.runbook.is_some_and(|r| r.stop_when_resolved),
        });
    }
    deployments::reactions(&happenings.deploys(), stage.alerts, script, diagnostics);
    if !script.reactions.is_empty() {
        // All alerts, so that they have the same numbers, then what only reactions ask for.
        script.rules = stage.alerts.iter().map(watched).collect();
    }
    for (number, reacting) in happenings.reactions.iter().enumerate() {
        match trigger(reacting.on, stage, &faults, script) {
            Ok(trigger) => script.reactions[number].trigger = trigger,
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    waits_for_itself(happenings, script, &faults).into_iter().for_each(|found| diagnostics.push(found));
    let known = faults.iter().filter(|f| !f.is_conditional());
    let bounds = known.flat_map(|f| [Some(f.start), f.end]).flatten().chain([stage.warmup]);
    script.windows = bounds.filter(|t| *t > SimTime::ZERO && *t < end).collect();
    script.windows.sort_unstable();
    script.windows.dedup();
    faults
}

/// Reactions that wait for faults which only they, or others that wait for them, would begin.
fn waits_for_itself(happenings: &Happenings, script: &Script, faults: &[FaultPlan]) -> Vec<Diagnostic> {
    let mut begins: Vec<bool> = faults.iter().map(|fault| !fault.is_conditional()).collect();
    let mut starts = vec![false; script.reactions.len()];
    let awaited = |reaction: &Reaction| match reaction.trigger {
        Trigger::Began(fault) | Trigger::Ended(fault) if (fault as usize) < faults.len() => {
            Some(fault as usize)
        }
        _ => None,
    };
    // Each round starts at least one more of them.
    for _ in 0..starts.len() {
        for (starts, reaction) in starts.iter_mut().zip(&script.reactions) {
            *starts |= awaited(reaction).is_none_or(|fault| begins[fault]);
            for step in reaction.steps.iter().filter(|_| *starts) {
                if let What::Begin(fault) = step.what {
                    begins[fault as usize] = true;
                }
            }
        }
    }
    let never =
        starts.iter().zip(&script.reactions).zip(&happenings.reactions).filter(|((starts, _), _)| !**starts);
    never
        .filter_map(|((_, reaction), reacting)| {
            let (Condition::Began(FaultBegins { fault, .. }) | Condition::Ended(FaultEnds { fault, .. })) =
                reacting.on
            else {
                return None;
            };
            let name = &faults[awaited(reaction)?].name;
            let message = format!("`{name}` never begins: it waits for itself");
            Some(
                Diagnostic::error(fault.span, message)
                    .help("let something else begin it, or begin it at a time"),
            )
        })
        .collect()
}

/// What an action does. A fault is added to the script, and to the faults as one of which nobody knows when it begins.
fn what(
    action: &Action,
    name: &str,
    changes: &[u32],
    stage: &Stage,
    script: &mut Script,
    faults: &mut Vec<FaultPlan>,
    diagnostics: &mut Diagnostics,
) -> Option<What> {
    let (topology, model) = (stage.topology, stage.model);
    Some(match action {
        Action::Set(_) | Action::Revert(_) => What::Settings(*changes.first()?),
        Action::Restart(r) => What::Restart {
            group: group(topology, model, &r.target.value),
            which: which(&r.instances, model),
            name: format!("restart.{}.{name}", r.target.value),
        },
        Action::KillQueries(k) => {
            let group = group(topology, model, &k.target.value);
            What::KillQueries { group, longer_than: k.longer_than.duration() }
        }
        Action::FailOver(f) => {
            if topology.databases.get(&f.target.value).is_some_and(|d| d.failover.is_none()) {
                let message = format!("nothing can take over from `{}`", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                diagnostics.push(error.help("give it a `failover`, such as `Manual()`"));
            }
            What::FailOver(group(topology, model, &f.target.value))
        }
        Action::Deploy(d) => {
            script.deployments.push(deployments::deployment(d, model));
            What::Deploy(script.deployments.len() as u32 - 1)
        }
        Action::SwitchSite(s) => {
            let (site, declared) =
                (topology.sites.position(&s.site.value)?, topology.sites.get(&s.site.value)?);
            let region = declared.regions.iter().position(|region| region.value == s.to.value)?;
            What::SwitchSite { site: site as u32, region: region as u32 }
        }
        Action::RollBack(r) => {
            let group = group(topology, model, &r.target.value);
            if model.first_version(group) == NO_VERSION {
                let message = format!("nothing is ever deployed to `{}`", r.target.value);
                diagnostics.push(Diagnostic::error(r.target.span, message));
            }
            What::RollBack(group)
        }
        Action::DrainZone(_) | Action::RestoreZone(_) => timeline_instances::operation(action, model)?,
        action => {
            if let Some((message, help)) = timeline_instances::missing(action, model) {
                diagnostics.push(Diagnostic::error(action.span(), message).help(help));
            }
            if let Some(message) = cannot_spike(action, topology) {
                diagnostics.push(Diagnostic::error(action.span(), message));
            }
            if let Some(mistake) = network::mistake(action, topology, model) {
                diagnostics.push(mistake);
            }
            let number = script.faults.len() as u32;
            let view = action.fault()?;
            faults.push(FaultPlan {
                name: view.name.to_string(),
                kind: kind(action),
                target: view.target.value.clone(),
                start: SimTime::NEVER,
                end: None,
            });
            let effect = match (action, changes) {
                (Action::ConfigPush(_), [begin, end]) => Effect::Settings { begin: *begin, end: *end },
                _ => timeline_instances::effect(action, topology, model)
                    .unwrap_or_else(|| effect(action, topology, model)),
            };
            script.faults.push(Fault {
                ramp: action.ramp().duration(),
                lasts: view.lasts.map(|l| l.duration()),
                ..Fault::new(view.name.to_string(), effect)
            });
            What::Begin(number)
        }
    })
}

fn watched(alert: &AlertPlan) -> WatchedRule {
    WatchedRule { rule: alert.rule.clone(), interval_s: alert.interval_s, for_s: alert.for_s }
}

/// What starts a reaction; a rule of its own is added to the script.
fn trigger(
    on: &Condition,
    stage: &Stage,
    faults: &[FaultPlan],
    script: &mut Script,
) -> Result<Trigger, Diagnostic> {
    let alert = |name: &Spanned<String>| {
        let found = stage.alerts.iter().position(|a| a.name == name.value).map(|at| at as u32);
        found.ok_or_else(|| {
            Diagnostic::error(name.span, format!("no alert is called `{}`", name.value))
                .nearest(&name.value, stage.alerts.iter().map(|a| a.name.as_str()))
        })
    };
    let fault = |name: &Spanned<String>| find_fault(&name.value, faults, name.span).map(|at| at as u32);
    Ok(match on {
        Condition::Alert(on) => Trigger::Fires(alert(&on.alert)?),
        Condition::Resolved(on) => Trigger::Resolved(alert(&on.alert)?),
        Condition::Began(on) => Trigger::Began(fault(&on.fault)?),
        Condition::Ended(on) => Trigger::Ended(fault(&on.fault)?),
        Condition::Threshold(rule) => {
            let alert = alerts::threshold("", rule, stage.model)?;
            script.rules.push(watched(&alert));
            Trigger::Fires(script.rules.len() as u32 - 1)
        }
        Condition::Seen(seen) => Trigger::Seen(sight(&seen.what), seen_of(seen, stage.model)?),
    })
}

fn sight(what: &spec::Sight) -> Sight {
    match what {
        spec::Sight::Crashed => Sight::Crashed,
        spec::Sight::OutOfMemory => Sight::OutOfMemory,
        spec::Sight::ProbeFailed => Sight::ProbeFailed,
        spec::Sight::Up => Sight::Up,
        spec::Sight::BreakerOpened => Sight::BreakerOpened,
        spec::Sight::FailedOver => Sight::FailedOver,
        spec::Sight::TargetUnhealthy => Sight::TargetUnhealthy,
        spec::Sight::FailedOpen => Sight::FailedOpen,
        spec::Sight::Scaled => Sight::Scaled,
    }
}

/// The numbers of what is looked at: instances, balancers, autoscalers, or the layers of a caller.
fn seen_of(seen: &Seen, model: &Model) -> Result<Vec<u32>, Diagnostic> {
    let name = seen.of.value.as_str();
    let missing = |what: &str, known: Vec<&str>| {
        Diagnostic::error(seen.of.span, format!("there is no {what} `{name}`")).nearest(name, known)
    };
    let one = |at: Option<usize>| at.map(|at| vec![at as u32]);
    match seen.what {
        spec::Sight::TargetUnhealthy | spec::Sight::FailedOpen => {
            one(model.balancers.iter().position(|b| b.name == name))
                .ok_or_else(|| missing("balancer", model.balancers.iter().map(|b| b.name.as_str()).collect()))
        }
        spec::Sight::Scaled => one(model.autoscalers.iter().position(|a| a.name == name)).ok_or_else(|| {
            missing("autoscaler", model.autoscalers.iter().map(|a| a.name.as_str()).collect())
        }),
        spec::Sight::BreakerOpened => {
            let mut layers: Vec<u32> = Vec::new();
            for slot in model.epochs.iter().flat_map(|epoch| &epoch.slots) {
                let is_breaker = matches!(model.layers[slot.layer as usize].kind, LayerKind::Breaker(_));
                let edge = &model.edges[slot.edge as usize];
                if is_breaker && model.caller_name(edge.caller) == name && !layers.contains(&slot.meters) {
                    layers.push(slot.meters);
                }
            }
            match layers.is_empty() {
                false => Ok(layers),
                true => {
                    let breaker = "a breaker around its calls";
                    Err(Diagnostic::error(seen.of.span, format!("nothing called `{name}` has {breaker}")))
                }
            }
        }
        _ => model
            .groups
            .iter()
            .find(|g| g.name == name)
            .map(|g| (g.first..g.first + g.capacity).collect())
            .ok_or_else(|| {
                missing("service or database", model.groups.iter().map(|g| g.name.as_str()).collect())
            }),
    }
}

fn cannot_spike(action: &Action, topology: &Topology) -> Option<String> {
    let target = match action {
        Action::Spike(spike) => &spike.target,
        Action::TenantSpike(spike) => &spike.target,
        _ => return None,
    };
    let clients = topology.clients.get(&target.value)?;
    matches!(clients.arrivals, Arrivals::Times(_) | Arrivals::Renewal(_))
        .then(|| "a spike cannot change recorded times or renewal arrivals".to_string())
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Slow(_) => "Slow",
        Action::Errors(_) => "Errors",
        Action::Hang(_) => "Hang",
        Action::Crash(_) => "Crash",
        Action::Down(_) => "Down",
        Action::Spike(_) => "Spike",
        Action::Set(_) => "Set",
        Action::Restart(_) => "Restart",
        Action::KillQueries(_) => "KillQueries",
        Action::Revert(_) => "Revert",
        Action::ConfigPush(_) => "ConfigPush",
        Action::FailOver(_) => "FailOver",
        Action::SwitchSite(_) => "SwitchSite",
        Action::Deploy(_) => "Deploy",
        Action::RollBack(_) => "RollBack",
        Action::ZoneDown(_) => "ZoneDown",
        Action::DrainZone(_) => "DrainZone",
        Action::RestoreZone(_) => "RestoreZone",
        Action::CpuSteal(_) => "CpuSteal",
        Action::DiskSlow(_) => "DiskSlow",
        Action::OutOfIoCredits(_) => "OutOfIoCredits",
        Action::MemoryLeak(_) => "MemoryLeak",
        Action::GcStorm(_) => "GcStorm",
        Action::ConnectionLeak(_) => "ConnectionLeak",
        Action::CacheFlush(_) => "CacheFlush",
        Action::CacheRestart(_) => "CacheRestart",
        Action::ReplicaLag(_) => "ReplicaLag",
        Action::PrimaryLoss(_) => "PrimaryLoss",
        Action::PoisonedMessage(_) => "PoisonedMessage",
        Action::TenantSpike(_) => "TenantSpike",
        Action::DropConnections(_) => "DropConnections",
        Action::Reconnect(_) => "Reconnect",
        Action::Burst(_) => "Burst",
        Action::Recycle(_) => "Recycle",
        Action::SpotReclaim(_) => "SpotReclaim",
        Action::Partition(_) => "Partition",
        Action::Latency(_) => "Latency",
        Action::Loss(_) => "Loss",
        Action::Resets(_) => "Resets",
        Action::DnsFailure(_) => "DnsFailure",
        Action::Throttling(_) => "Throttling",
        Action::WrongAnswers(_) => "WrongAnswers",
        Action::CertificateExpiry(_) => "CertificateExpiry",
        Action::FullConnectionTable(_) => "FullConnectionTable",
        Action::SlowClients(_) => "SlowClients",
    }
}

fn group(topology: &Topology, model: &Model, name: &str) -> u32 {
    debug_assert!(matches!(
        check::find(topology, name),
        Some(Component::Service(_) | Component::Database(_) | Component::External(_))
    ));
    model.groups.iter().position(|g| g.name == name).unwrap_or(0) as u32
}

pub(super) fn which(instances: &Instances, model: &Model) -> Which {
    match instances {
        Instances::All => Which::All,
        Instances::Number(n) => Which::Number(n.count),
        Instances::Share(s) => Which::Share(s.ratio.0),
        Instances::Unhealthy => Which::Unhealthy,
        Instances::Zone(z) => Which::Zone(timeline_instances::zone(model, &z.zone.value)),
    }
}

fn effect(action: &Action, topology: &Topology, model: &Model) -> Effect {
    if let Some(effect) = network::effect(action, topology, model) {
        return effect;
    }
    let strike = |target: &Spanned<String>, instances: &Instances, blow| Effect::Strike {
        group: group(topology, model, &target.value),
        which: which(instances, model),
        blow,
    };
    match action {
        Action::Slow(f) => {
            let blow = match &f.latency {
                Some(latency) => Blow::Latency(latency.dist.clone()),
                None => Blow::Slow(f.factor.unwrap_or(1.0)),
            };
            strike(&f.target, &f.instances, blow)
        }
        Action::Errors(f) => strike(&f.target, &f.instances, Blow::Errors(f.ratio.0)),
        Action::Hang(f) => strike(&f.target, &f.instances, Blow::Hang),
        Action::Crash(f) => strike(&f.target, &f.instances, Blow::Crash),
        Action::Down(f) => match topology.queues.position(&f.target.value) {
            Some(queue) => Effect::Broker { queue: queue as u32 },
            None => strike(&f.target, &f.instances, Blow::Down),
        },
        Action::Spike(f) => {
            let client = topology.clients.position(&f.target.value).unwrap_or(0) as u32;
            Effect::Spike { client, factor: f.factor }
        }
        Action::SpotReclaim(f) => {
            let (share, most) = match &f.instances {
                Instances::Number(n) => (1.0, n.count),
                Instances::Share(s) => (s.ratio.0, u32::MAX),
                _ => (1.0, u32::MAX),
            };
            let zone = f.zone.as_ref().and_then(|z| model.zones.iter().position(|name| *name == z.value));
            Effect::Reclaim(Reclaim {
                group: group(topology, model, &f.target.value),
                share,
                most,
                zone: zone.map(|z| z as u32),
                notice: f.notice.duration(),
                unavailable: f.unavailable_for.duration(),
            })
        }
        // Operators' actions, changes of settings, and faults that have effects of their own.
        _ => unreachable!("their effects were found before"),
    }
}
