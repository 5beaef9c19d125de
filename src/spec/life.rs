//! The life of an instance: probes, restarts, termination.

use super::dist::Distribution;
use super::quantity::Seconds;
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// A probe that the kubelet of Kubernetes makes on each instance (`httpGet`): a request like any other, through the
    /// same workers and CPU, so an overloaded instance fails it. The first comes after a random part of a period.
    /// As in Kubernetes 1.20; what is published changes only after so many equal results in a row, and runs are counted
    /// on when a container is replaced. Instances of the start of the run have passed all probes long ago.
    pub struct Probe {
        /// The endpoint that is asked.
        endpoint: Spanned<String>,
        /// From one probe to the next (`periodSeconds`).
        period: Seconds = "10s",
        /// The longest wait for an answer (`timeoutSeconds`). A slow instance is as bad as a dead one: with these
        /// defaults a liveness probe kills what takes more than a second for 20 to 30 seconds.
        timeout: Seconds = "1s",
        /// Successes in a row after which it has passed (`successThreshold`); 1 for liveness and startup.
        success_threshold: u32 = 1,
        /// Failures in a row after which it has failed (`failureThreshold`).
        failure_threshold: u32 = 3,
        /// How long after the start of a container there is no probe yet (`initialDelaySeconds`). It counts from the
        /// start of the process, so `start_up` is part of it.
        initial_delay: Seconds = "0s",
    }
}

choice! {
    /// When a process starts again that was killed or has crashed.
    pub enum Restart as "Restart policy" {
        /// After the service's `restart_delay`, each time anew.
        Delayed,
        /// After the kubelet's back-off, and `restart_delay` on top.
        KubernetesBackOff(KubernetesBackOff),
    }
}

record! {
    /// The kubelet's back-off between restarts (`CrashLoopBackOff`), as in Kubernetes 1.20: the first restart is at
    /// once; those after it wait 10, 20, 40, 80, 160, 300, 300 ... seconds from the end of the container. It is reset
    /// once a container has run for more than twice the maximum; running for less counts for nothing.
    pub struct KubernetesBackOff {
        /// The wait before the second restart.
        initial: Seconds = "10s",
        /// The longest wait (`maxContainerRestartPeriod`).
        max: Seconds = "300s",
    }
}

choice! {
    /// What a server does when it gets SIGTERM.
    pub enum OnSigterm {
        /// Closes its listener, finishes what it has, and ends: new requests are refused.
        CloseListener,
        /// Nothing, as a process 1 without a handler: it serves until SIGKILL.
        KeepServing,
    }
}

record! {
    /// How an instance ends that is taken out, or whose probe has failed: as a pod of Kubernetes, in two branches that
    /// do not wait for each other. Proxies and balancers learn that it is gone after `endpoint_propagation`; meanwhile
    /// `pre_stop` runs, then the process gets SIGTERM, and at the end of the grace period SIGKILL. Requests that come
    /// in between meet whatever the server does at SIGTERM: at a closed listener they are refused. A balancer's
    /// `deregistration_delay` does not keep an instance that ends so. A place that is wanted again meanwhile gets a new
    /// instance once the old one is gone.
    pub struct Termination {
        /// From deletion to SIGKILL, `pre_stop` included (`terminationGracePeriodSeconds`). At least 2 seconds are left
        /// after SIGTERM.
        grace_period: Seconds = "30s",
        /// How long the `preStop` hook sleeps before SIGTERM.
        pre_stop: Seconds = "0s",
        /// How long proxies and balancers go on sending requests to an instance that was deleted.
        endpoint_propagation: Distribution,
        /// What the server does at SIGTERM.
        on_sigterm: OnSigterm = CloseListener,
    }
}

record! {
    /// A service of Amazon ECS: tasks that are found unhealthy, by the health check of their container or by that of a
    /// balancer in front, are replaced. The replacement starts first if `maximum_percent` allows; once it is healthy,
    /// the old task leaves its balancers, has their `deregistration_delay` to finish, and then `stop_timeout`. As ECS
    /// had it in 2023, where the health check of an ALB that shares the fate of a dependency replaces all tasks, again
    /// and again.
    pub struct EcsService {
        /// The health check of the container; without it only balancers find tasks unhealthy.
        health_check: Option<ContainerCheck> = None,
        /// How long after its start a task is not replaced, whatever checks say (`healthCheckGracePeriodSeconds`).
        health_check_grace_period: Seconds = "0s",
        /// The most tasks at a time, in per cent of the replicas, cut off to a whole number (`maximumPercent`). With
        /// 100 an unhealthy task is stopped before its replacement starts.
        maximum_percent: u32 = 200,
        /// From SIGTERM to SIGKILL (`stopTimeout`).
        stop_timeout: Seconds = "30s",
    }
}

record! {
    /// The health check of a container (`healthCheck` of an ECS container definition, carried out by Docker). The first
    /// comes an interval after the start, each next one an interval after the end of the one before.
    pub struct ContainerCheck {
        /// The endpoint that is asked.
        endpoint: Spanned<String>,
        /// From the end of a check to the next.
        interval: Seconds = "30s",
        /// The longest wait for an answer.
        timeout: Seconds = "5s",
        /// Failures in a row that make a container unhealthy; one success makes it healthy.
        retries: u32 = 3,
        /// How long after its start failures do not count (`startPeriod`); the first success ends it.
        start_period: Seconds = "0s",
    }
}
