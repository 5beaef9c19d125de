//! Deployments: from versions and strategies, by name, to topologies and the script of a run.

use super::overrides;
use crate::base::dist::Dist;
use crate::experiment::alerts::AlertPlan;
use crate::model::Model;
use crate::model::compile::Deployed;
use crate::sim::script::{
    Amount, AnalysisConfig, AnalysisPlan, CanaryStep, Deployment, Reaction, ReactionStep, RollbackRule,
    Script, Strategy, Trigger, What,
};
use crate::spec::Span;
use crate::spec::check::timeline::percentile_quantile;
use crate::spec::deployment as sd;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::load::Loader;
use crate::spec::node::Node;
use crate::spec::topology::Topology;
use std::borrow::Cow;

/// The versions of all services that are deployed.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// Which services, and which versions of them.
    pub deployed: Vec<Deployed>,
    /// For each version in this order, what the topology is with its settings in each state.
    pub topologies: Vec<Topology>,
    /// Where each version is declared.
    pub places: Vec<Span>,
}

/// What the topology is with the settings of each version that is deployed.
pub(super) fn versions(
    loader: &mut Loader,
    states: &[Cow<'_, Node>],
    deploys: &[&sd::Deploy],
) -> Option<Versions> {
    let mut versions = Versions::default();
    if deploys.is_empty() {
        return Some(versions);
    }
    let mut services: Vec<&str> = deploys.iter().map(|d| d.target.value.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    for service in services {
        let ours = || deploys.iter().filter(|d| d.target.value == service);
        // For so many replicas as there may be, the largest is found where they are known.
        let surges = ours().map(|d| surge(&d.strategy));
        let surge = surges.reduce(|a, b| if b.up(100) > a.up(100) { b } else { a });
        let mut deployed = Deployed {
            service: service.to_string(),
            surge: surge.unwrap_or(Amount::Share(1.0)),
            versions: Vec::new(),
        };
        for deploy in ours() {
            let name = &deploy.version.name.value;
            if deployed.versions.contains(name) {
                if !deploy.version.set.is_empty() {
                    let message = format!("the version `{name}` is declared twice");
                    let error = Diagnostic::error(deploy.version.span, message);
                    let help = "leave out its `set` where it is deployed again";
                    loader.diagnostics.push(error.help(help));
                }
                continue;
            }
            deployed.versions.push(name.clone());
            versions.places.push(deploy.version.span);
            let sets = overrides(&deploy.version.set);
            for state in states {
                let mut node = state.as_ref().clone();
                loader.apply(&mut node, &sets);
                versions.topologies.push(loader.topology(&node)?);
            }
        }
        versions.deployed.push(deployed);
    }
    Some(versions)
}

fn amount(count: sd::InstanceCount) -> Amount {
    match count {
        sd::InstanceCount::Number(number) => Amount::Number(number),
        sd::InstanceCount::Share(share) => Amount::Share(share),
    }
}

/// How many more instances there may be than replicas.
fn surge(strategy: &sd::DeployStrategy) -> Amount {
    match strategy {
        sd::DeployStrategy::RollingUpdate(r) => amount(r.max_surge),
        sd::DeployStrategy::Recreate(_) => Amount::Number(0),
        sd::DeployStrategy::BlueGreen(_) => Amount::Share(1.0),
        sd::DeployStrategy::Canary(c) => match c.routing {
            sd::CanaryRouting::Balancer => Amount::Share(1.0),
            sd::CanaryRouting::Replicas => amount(c.max_surge),
        },
    }
}

/// A deployment of the script.
pub(super) fn deployment(deploy: &sd::Deploy, model: &Model) -> Deployment {
    let group = model.groups.iter().position(|g| g.name == deploy.target.value).unwrap_or(0) as u32;
    let (min_ready, progress_deadline) = match &deploy.strategy {
        sd::DeployStrategy::RollingUpdate(s) => (s.min_ready, s.progress_deadline),
        sd::DeployStrategy::Recreate(s) => (s.min_ready, s.progress_deadline),
        sd::DeployStrategy::BlueGreen(s) => (s.min_ready, s.progress_deadline),
        sd::DeployStrategy::Canary(s) => (s.min_ready, s.progress_deadline),
    };
    let strategy = match &deploy.strategy {
        sd::DeployStrategy::RollingUpdate(s) => {
            Strategy::Rolling { surge: amount(s.max_surge), unavailable: amount(s.max_unavailable) }
        }
        sd::DeployStrategy::Recreate(_) => Strategy::Recreate,
        sd::DeployStrategy::BlueGreen(s) => Strategy::BlueGreen {
            auto_promotion: s.auto_promotion.duration(),
            analysis: s.analysis.as_ref().map(analysis),
            keep: s.scale_down_delay.duration(),
        },
        sd::DeployStrategy::Canary(s) => Strategy::Canary {
            steps: s.steps.iter().map(step).collect(),
            by_weight: matches!(s.routing, sd::CanaryRouting::Balancer),
            surge: amount(s.max_surge),
            unavailable: amount(s.max_unavailable),
            keep: s.scale_down_delay.duration(),
        },
    };
    let rule = |rule: &sd::RollbackRule| match rule {
        sd::RollbackRule::OnDeadline => Some(RollbackRule::OnDeadline),
        sd::RollbackRule::OnRestarts(r) => Some(RollbackRule::OnRestarts(r.times)),
        sd::RollbackRule::OnErrors(e) => Some(RollbackRule::OnErrors {
            above: e.above.0,
            window: e.window.duration(),
            min_requests: e.min_requests,
        }),
        // What an alert does is a reaction.
        sd::RollbackRule::OnAlert(_) => None,
    };
    Deployment {
        group,
        version: model.version_named(group, &deploy.version.name.value).unwrap_or(0),
        strategy,
        min_ready: min_ready.duration(),
        progress_deadline: progress_deadline.duration(),
        rollback: deploy.rollback.iter().filter_map(rule).collect(),
        gates: deploy.readiness_gates,
    }
}

/// What alerts do to deployments: reactions of the script, whose deployments are in this order.
pub(super) fn reactions(
    deploys: &[&sd::Deploy],
    alerts: &[AlertPlan],
    script: &mut Script,
    diagnostics: &mut Diagnostics,
) {
    for (deployment, deploy) in (0..).zip(deploys) {
        for rule in &deploy.rollback {
            let sd::RollbackRule::OnAlert(rule) = rule else { continue };
            let name = rule.alert.value.as_str();
            let Some(alert) = alerts.iter().position(|alert| alert.name == name) else {
                let error = Diagnostic::error(rule.alert.span, format!("no alert is called `{name}`"));
                diagnostics.push(error.nearest(name, alerts.iter().map(|alert| alert.name.as_str())));
                continue;
            };
            let what = What::GiveUp { deployment, within: rule.within.duration() };
            script.reactions.push(Reaction {
                name: format!("deployments.{deployment}.{name}"),
                trigger: Trigger::Fires(alert as u32),
                notify: Dist::Constant(0.0),
                react: Dist::Constant(0.0),
                steps: vec![ReactionStep { after: Dist::Constant(0.0), what, lasts: None }],
                times: u32::MAX,
                stops: false,
            });
        }
    }
}

fn step(step: &sd::CanaryStep) -> CanaryStep {
    match step {
        sd::CanaryStep::Weight(w) => CanaryStep::Weight(w.weight.0),
        sd::CanaryStep::Pause(p) => CanaryStep::Pause(p.duration.duration()),
        sd::CanaryStep::Analysis(a) => CanaryStep::Analysis(analysis(a)),
    }
}

fn analysis(a: &sd::Analysis) -> AnalysisPlan {
    AnalysisPlan {
        interval: a.interval.duration(),
        config: AnalysisConfig {
            count: a.count,
            failure_limit: a.failure_limit,
            max_error_ratio: a.max_error_ratio.map(|r| r.0),
            max_error_ratio_over_stable: a.max_error_ratio_over_stable.map(|r| r.0),
            max_latency_s: a.max_latency.map(|l| l.0),
            max_latency_times_stable: a.max_latency_times_stable,
        },
        quantile: percentile_quantile(&a.percentile.value).unwrap_or(0.95),
    }
}
