//! The timeline: from what happens, by name, to the script of a run.

mod network;

use super::FaultPlan;
use crate::base::SimTime;
use crate::model::Model;
use crate::sim::script::{Blow, Effect, Fault, Script, ScriptAction, What, Which};
use crate::spec::check::{self, Component};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Action, At, Instances};
use crate::spec::load::{Loader, Override};
use crate::spec::node::Node;
use crate::spec::source::Spanned;
use crate::spec::topology::{Arrivals, Topology};

/// The topology at the start and after each `Set`.
pub(super) fn epochs(loader: &mut Loader, node: &mut Node, timeline: &[&At]) -> Option<Vec<Topology>> {
    let mut epochs = vec![loader.topology(node)?];
    for at in timeline {
        let Action::Set(set) = &at.action else { continue };
        loader.apply(node, &[Override { path: set.path.clone(), value: set.value.0.clone() }]);
        epochs.push(loader.topology(node)?);
    }
    Some(epochs)
}

pub(super) fn script(
    epochs: &[Topology],
    model: &Model,
    timeline: &[&At],
    warmup: SimTime,
    end: SimTime,
    diagnostics: &mut crate::spec::Diagnostics,
) -> (Script, Vec<FaultPlan>) {
    let mut script = Script { end, ..Script::default() };
    let mut faults: Vec<FaultPlan> = Vec::new();
    let mut epoch = 0;
    for at in timeline {
        let start = SimTime::ZERO + at.at.duration();
        match &at.action {
            Action::Set(_) => {
                epoch += 1;
                script.actions.push(ScriptAction { at: start, what: What::Epoch(epoch) });
            }
            Action::Restart(r) => {
                let what = What::Restart {
                    group: group(&epochs[0], model, &r.target.value),
                    which: which(&r.instances),
                    name: format!("restart.{}.{}", r.target.value, start.ns()),
                };
                script.actions.push(ScriptAction { at: start, what });
            }
            Action::KillQueries(k) => {
                let group = group(&epochs[0], model, &k.target.value);
                let what = What::KillQueries { group, longer_than: k.longer_than.duration() };
                script.actions.push(ScriptAction { at: start, what });
            }
            action => {
                if let Some(message) = cannot_spike(action, &epochs[0]) {
                    diagnostics.push(Diagnostic::error(action.span(), message));
                }
                if let Some(mistake) = network::mistake(action, &epochs[0], model) {
                    diagnostics.push(mistake);
                }
                let number = script.faults.len() as u32;
                let Some(view) = action.fault() else { continue };
                let ends = view.lasts.map(|l| start + l.duration()).filter(|t| *t < end);
                faults.push(FaultPlan {
                    name: view.name.to_string(),
                    kind: kind(action),
                    target: view.target.value.clone(),
                    start,
                    end: ends,
                });
                let effect = effect(action, &epochs[0], model);
                script.faults.push(Fault { name: view.name.to_string(), effect });
                script.actions.push(ScriptAction { at: start, what: What::Begin(number) });
                if let Some(ends) = ends.filter(|t| *t > start) {
                    script.actions.push(ScriptAction { at: ends, what: What::End(number) });
                }
            }
        }
    }
    script.actions.sort_by_key(|a| a.at);
    let bounds = faults.iter().flat_map(|f| [Some(f.start), f.end]).flatten().chain([warmup]);
    script.windows = bounds.filter(|t| *t > SimTime::ZERO && *t < end).collect();
    script.windows.sort_unstable();
    script.windows.dedup();
    (script, faults)
}

fn cannot_spike(action: &Action, topology: &Topology) -> Option<String> {
    let Action::Spike(spike) = action else { return None };
    let clients = topology.clients.get(&spike.target.value)?;
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

fn which(instances: &Instances) -> Which {
    match instances {
        Instances::All => Which::All,
        Instances::Number(n) => Which::Number(n.count),
        Instances::Share(s) => Which::Share(s.ratio.0),
        Instances::Unhealthy => Which::Unhealthy,
    }
}

fn effect(action: &Action, topology: &Topology, model: &Model) -> Effect {
    if let Some(effect) = network::effect(action, topology, model) {
        return effect;
    }
    let strike = |target: &Spanned<String>, instances: &Instances, blow| Effect::Strike {
        group: group(topology, model, &target.value),
        which: which(instances),
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
        // Operators' actions, and what the network's faults have taken above.
        _ => {
            unreachable!("operators' actions are no faults")
        }
    }
}
