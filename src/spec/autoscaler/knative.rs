//! Knative's autoscaler.

use super::super::quantity::{Ratio, Seconds, Usage};
use super::super::source::Spanned;
use crate::record;

record! {
    /// Knative's pod autoscaler (Serving 1.12): replicas by requests in flight. Every tick it compares the mean of a
    /// stable window and that of a short one with the target. If the short one asks for `panic_threshold_percentage`
    /// of the pods that are ready, it panics: then the larger counts, and nothing shrinks for a stable window. Without
    /// a request for a stable window and the grace no pod remains. Who asks then waits with Knative's activator for the
    /// first pod that is ready: in the service's `queue`, whose `capacity` and `max_wait` hold. That one is started
    /// at once, not at the next tick. The activator is in the way only while no pod is ready. Health checks of
    /// a balancer are requests as well, and keep a pod.
    pub struct KnativeKpa {
        /// The service whose replicas it sets. It starts from the service's `replicas`; with more than one, in panic.
        service: Spanned<String>,
        /// The fewest replicas (`min-scale`); with 0 the last one goes, too.
        min_scale: u32 = 0,
        /// The most replicas (`max-scale`).
        max_scale: u32,
        /// Requests that a pod can have at once (`container-concurrency-target-default`).
        container_concurrency_target: f64 = 100,
        /// How many of those it should have (`container-concurrency-target-percentage`).
        target_utilization: Usage = "70%",
        /// The window of calm (`stable-window`).
        stable_window: Seconds = "60s",
        /// The window of panic as a share of it, in whole seconds and at least one (`panic-window-percentage`).
        panic_window_percentage: Ratio = "10%",
        /// What share of the ready pods asked for is panic (`panic-threshold-percentage`).
        panic_threshold_percentage: Usage = "200%",
        /// At most so many times the ready pods in one tick (`max-scale-up-rate`).
        max_scale_up_rate: f64 = 1000,
        /// At least the ready pods over this (`max-scale-down-rate`).
        max_scale_down_rate: f64 = 2,
        /// How long after none are wanted the last pod goes (`scale-to-zero-grace-period`).
        scale_to_zero_grace_period: Seconds = "30s",
        /// The fewest replicas if there are any (`activation-scale`).
        activation_scale: u32 = 1,
        /// From one tick to the next (`tick-interval`).
        tick: Seconds = "2s",
    }
}
