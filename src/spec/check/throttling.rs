//! Values of throttles at the client.

use crate::spec::decode::Context;
use crate::spec::policy::throttling::{AdaptiveThrottling, AdmissionControl};
use crate::spec::quantity::Seconds;
use crate::spec::source::Span;

/// The longest window, in seconds: a count is kept of each.
const WINDOW_MAX: f64 = 86_400.0;

fn window(value: Seconds, name: &str, at: Span, cx: &mut Context) {
    if !(1.0..=WINDOW_MAX).contains(&value.0) {
        cx.fail::<()>(at, format!("`{name}` must be from a second to a day"));
    }
}

fn at_least_1(value: f64, name: &str, at: Span, cx: &mut Context) {
    if !(value >= 1.0 && value.is_finite()) {
        cx.fail::<()>(at, format!("`{name}` must be at least 1"));
    }
}

pub(super) fn adaptive(t: &AdaptiveThrottling, cx: &mut Context) {
    at_least_1(t.k, "k", t.place("k"), cx);
    window(t.window, "window", t.place("window"), cx);
    if t.accepts.is_empty() {
        cx.fail::<()>(t.place("accepts"), "`accepts` needs at least one outcome");
    }
}

pub(super) fn admission_control(t: &AdmissionControl, cx: &mut Context) {
    window(t.sampling_window, "sampling_window", t.place("sampling_window"), cx);
    at_least_1(t.aggression, "aggression", t.place("aggression"), cx);
    if t.sr_threshold.0 <= 0.0 {
        cx.fail::<()>(t.place("sr_threshold"), "`sr_threshold` must be more than 0");
    }
}
