//! Deployments: versions of a service, and how one takes the place of another.

use super::decode::{Anything, Context, Decode, Map};
use super::node::{Kind, Node};
use super::quantity::{Ratio, Seconds};
use super::source::Spanned;
use crate::{choice, record};

/// A number of instances, or a share of the replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InstanceCount {
    /// So many.
    Number(u32),
    /// Such a share, from 0 to 1.
    Share(f64),
}

impl Decode for InstanceCount {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Number(_) => u32::decode(node, cx).map(Self::Number),
            Kind::Text(_) => Ratio::decode(node, cx).map(|share| Self::Share(share.0)),
            _ => cx.expected(node, "a number of instances such as 1, or a share such as \"25%\""),
        }
    }
    fn type_name() -> String {
        "whole number or ratio".into()
    }
}

record! {
    /// Puts another version of a service in the place of the one that runs. New instances start with the settings of
    /// the version, old ones end; whatever start-up, probes, termination and balancers do to an instance, they do to
    /// these. What has begun goes on under the version that it came to.
    pub struct Deploy [target, version, strategy] {
        /// The service.
        target: Spanned<String>,
        /// The new version.
        version: Version,
        /// How it takes the place of the old one.
        strategy: DeployStrategy,
        /// What has the old version brought back: any of these. Kubernetes never does so by itself; nothing does if not
        /// given. The analysis of a canary brings it back in any case.
        rollback: Vec<RollbackRule> = [],
        /// Whether an instance counts as ready only once all balancers in front that check it believe it healthy, as
        /// with the pod readiness gates of the AWS Load Balancer Controller. Without them only probes count.
        readiness_gates: bool = false,
    }
}

record! {
    /// A version of a service: settings that its instances have in place of the topology's. What runs at the start is
    /// the version `base`.
    pub struct Version [name, set] {
        /// Its name. Whoever deploys it again leaves `set` as it was.
        name: Spanned<String>,
        /// Settings by path: those of the service, such as `services.api.endpoints.list`, and those of policies that
        /// it calls through, such as `policies.database`. A version cannot change what all instances share: replicas,
        /// price, zones, or which endpoints there are. A later change of the topology's settings reaches the versions,
        /// too, but for what they set themselves.
        set: Map<Anything> = {},
    }
}

choice! {
    /// How a version takes the place of another.
    pub enum DeployStrategy as "Deployment strategy" {
        /// Instance by instance.
        RollingUpdate(RollingUpdate),
        /// All old instances end before new ones start.
        Recreate(Recreate),
        /// A second fleet, and all traffic at once.
        BlueGreen(BlueGreen),
        /// A few first, and more as long as they do well.
        Canary(Canary),
    }
}

record! {
    /// A Deployment of Kubernetes (1.30) with `RollingUpdate`: as many new instances start as `max_surge` allows, and
    /// old ones end as far as `max_unavailable` allows; those that are not ready go first. Instances that are ending
    /// count for neither. A version that never becomes ready blocks the rollout.
    pub struct RollingUpdate {
        /// How many more instances than replicas there may be (`maxSurge`); a share is rounded up.
        max_surge: InstanceCount = "25%",
        /// How many replicas may be missing (`maxUnavailable`); a share is rounded down. If both come to 0, this is 1.
        max_unavailable: InstanceCount = "25%",
        /// How long a new instance must be ready before it counts as available (`minReadySeconds`).
        min_ready: Seconds = "0s",
        /// How long the rollout may go without progress before it counts as failed (`progressDeadlineSeconds`). It goes
        /// on even then.
        progress_deadline: Seconds = "600s",
    }
}

record! {
    /// A Deployment of Kubernetes (1.30) with `Recreate`: new instances start once all old ones are gone.
    pub struct Recreate {
        /// How long a new instance must be ready before it counts as available.
        min_ready: Seconds = "0s",
        /// How long it may go without progress before it counts as failed.
        progress_deadline: Seconds = "600s",
    }
}

record! {
    /// A blue-green deployment as that of Argo Rollouts (1.7): as many new instances as replicas start beside the old
    /// ones and get no requests, though balancers check them; once all are available, all requests go to them at once.
    /// The old ones are kept for a while, so that a rollback is one more switch. Needs balancers whose targets can be
    /// weighted: not those of nginx and HAProxy.
    pub struct BlueGreen {
        /// How long the new fleet must be available before traffic is switched (`autoPromotionSeconds`).
        auto_promotion: Seconds = "0s",
        /// What is looked at after the switch (`postPromotionAnalysis`). The old fleet is kept until it is over, and
        /// gets the traffic back if it fails.
        analysis: Option<Analysis> = None,
        /// How long the old fleet is kept after the switch, and a new one that failed (`scaleDownDelaySeconds`).
        scale_down_delay: Seconds = "30s",
        /// How long a new instance must be ready before it counts as available.
        min_ready: Seconds = "0s",
        /// How long the new fleet may be without progress before it counts as failed.
        progress_deadline: Seconds = "600s",
    }
}

record! {
    /// A canary deployment as that of Argo Rollouts (1.7): step by step a larger share of the requests goes to the new
    /// version; after the last step all of them do.
    pub struct Canary {
        /// The steps, in order.
        steps: Vec<CanaryStep>,
        /// How the share of the new version is made.
        routing: CanaryRouting = Balancer,
        /// How many more instances than replicas there may be, with `Replicas`; a share is rounded up.
        max_surge: InstanceCount = "25%",
        /// How many replicas may be missing, with `Replicas`; a share is rounded down.
        max_unavailable: InstanceCount = "25%",
        /// How long the old fleet is kept after the last step, and the canary after it failed, with `Balancer`
        /// (`scaleDownDelaySeconds`, `abortScaleDownDelaySeconds`).
        scale_down_delay: Seconds = "30s",
        /// How long a new instance must be ready before it counts as available.
        min_ready: Seconds = "0s",
        /// How long the canary may be without progress before it counts as failed. Pauses do not count.
        progress_deadline: Seconds = "600s",
    }
}

choice! {
    /// How a canary gets its share of the requests.
    pub enum CanaryRouting as "Canary routing" {
        /// Balancers, and callers without one, send it a share of the requests, whatever the number of its instances:
        /// that share of the replicas, rounded up, beside the whole old fleet. Needs balancers whose targets can be
        /// weighted: not those of nginx and HAProxy.
        Balancer,
        /// By its share of the replicas, to the nearest whole number but at least 1.
        Replicas,
    }
}

choice! {
    /// A step of a canary deployment.
    pub enum CanaryStep as "Canary step" {
        /// Another share of the requests; done once there are as many instances as it takes, and available.
        Weight(CanaryWeight),
        /// Nothing happens.
        Pause(CanaryPause),
        /// The new version is looked at.
        Analysis(Analysis),
    }
}

record! {
    /// The share of the requests that goes to the new version (`setWeight`).
    pub struct CanaryWeight [weight] as "Canary weight" {
        /// The share.
        weight: Ratio,
    }
}

record! {
    /// A pause between steps.
    pub struct CanaryPause [duration] as "Canary pause" {
        /// How long.
        duration: Seconds,
    }
}

record! {
    /// Looks at the requests that the instances of the new version answered, again and again, as an AnalysisRun of Argo
    /// Rollouts does: more than `failure_limit` measurements beyond a limit fail it, and the old version is brought
    /// back. A measurement is of the interval before it; one in which the new version had no request says nothing, and
    /// another one is made in its place.
    pub struct Analysis {
        /// From one measurement to the next; the first is an interval after the start.
        interval: Seconds = "30s",
        /// How many measurements.
        count: u32 = 1,
        /// How many of them may fail (`failureLimit`).
        failure_limit: u32 = 0,
        /// The most errors.
        max_error_ratio: Option<Ratio> = None,
        /// How much more of its requests may fail than of those of the old version, as a difference of ratios.
        max_error_ratio_over_stable: Option<Ratio> = None,
        /// Which percentile of latency the limits are for: p50, p90, p95, p99 or p99.9.
        percentile: Spanned<String> = "p95",
        /// The highest latency at that percentile.
        max_latency: Option<Seconds> = None,
        /// How many times the old version's latency at that percentile it may be.
        max_latency_times_stable: Option<f64> = None,
    }
}

choice! {
    /// What has the old version brought back.
    pub enum RollbackRule as "Rollback rule" {
        /// The progress deadline has passed.
        OnDeadline,
        /// Containers of the new version have crashed, or were killed, so often.
        OnRestarts(RestartLimit),
        /// Too many of the requests that the new version answered failed.
        OnErrors(ErrorLimit),
    }
}

record! {
    /// Containers of the new version that crashed or were killed: by a probe, for memory, or by a fault.
    pub struct RestartLimit [times] as "Restart limit" {
        /// How many since the deployment began.
        times: u32,
    }
}

record! {
    /// A share of failed requests, looked at window by window while the deployment goes on.
    pub struct ErrorLimit as "Error limit" {
        /// More than this.
        above: Ratio,
        /// Of the requests that ended in a window of this length.
        window: Seconds = "30s",
        /// If there were so many at least.
        min_requests: u32 = 10,
    }
}

record! {
    /// An operator brings back the version that ran before the last deployment: one that goes on is stopped, one that
    /// is complete is undone by its own strategy (`kubectl rollout undo`), a canary without its steps.
    pub struct RollBack [target] {
        /// The service.
        target: Spanned<String>,
    }
}
