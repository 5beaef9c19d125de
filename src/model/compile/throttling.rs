//! Throttles at the client, from the language's types to the components' own.

use super::settings::{outcome, shared};
use crate::base::salt;
use crate::components::retry::OutcomeSet;
use crate::components::throttling::ThrottleConfig;
use crate::model::LayerKind;
use crate::spec::policy::OutcomeName;
use crate::spec::policy::throttling::{AdaptiveThrottling, AdmissionControl};

pub(super) fn adaptive(t: &AdaptiveThrottling, path: &str) -> (LayerKind, bool) {
    let config = ThrottleConfig::Adaptive { k: t.k, window: t.window.duration() };
    (kind(config, &t.accepts, path), shared(&t.per))
}

pub(super) fn admission_control(t: &AdmissionControl, path: &str) -> (LayerKind, bool) {
    let config = ThrottleConfig::AdmissionControl {
        sampling_window: t.sampling_window.duration(),
        sr_threshold: t.sr_threshold.0,
        aggression: t.aggression,
        rps_threshold: t.rps_threshold,
        max_rejection_probability: t.max_rejection_probability.0,
    };
    (kind(config, &[OutcomeName::Ok, OutcomeName::Degraded], path), shared(&t.per))
}

fn kind(config: ThrottleConfig, accepts: &[OutcomeName], path: &str) -> LayerKind {
    let accepts: Vec<_> = accepts.iter().map(outcome).collect();
    LayerKind::Throttle {
        config,
        accepts: OutcomeSet::of(&accepts),
        salt: salt(&format!("{path}.rejections")),
    }
}
