//! Autoscalers of Amazon Web Services.

use super::{MANY, at_least_one, positive_time};
use crate::spec::autoscaler::Autoscaler;
use crate::spec::autoscaler::aws::{
    AwsMetric, CloudWatchAlarm, ComparisonOperator, ScalingStep, Scheduled, SimpleScaling, StepScaling,
    TargetTracking,
};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;

/// The bounds of a policy, and where it was written.
fn bounds_of(autoscaler: &Autoscaler) -> Option<(u32, u32, Span)> {
    match autoscaler {
        Autoscaler::TargetTracking(a) => Some((a.min_capacity, a.max_capacity, a.span)),
        Autoscaler::StepScaling(a) => Some((a.min_capacity, a.max_capacity, a.span)),
        Autoscaler::SimpleScaling(a) => Some((a.min_capacity, a.max_capacity, a.span)),
        _ => None,
    }
}

/// Whether it is a policy of which a service may have several.
pub(super) fn is_policy(autoscaler: &Autoscaler) -> bool {
    bounds_of(autoscaler).is_some()
}

/// Bounds are the service's, and each of its policies says them.
pub(super) fn same_bounds(
    seen: &[(&Spanned<String>, &Autoscaler)],
    service: &Spanned<String>,
    autoscaler: &Autoscaler,
    cx: &mut Context,
) {
    let Some((min, max, span)) = bounds_of(autoscaler) else { return };
    let others = seen.iter().filter(|(name, _)| name.value == service.value);
    let other = others.filter_map(|(_, other)| bounds_of(other)).find(|o| (o.0, o.1) != (min, max));
    if let Some((_, _, first)) = other {
        cx.diagnostics.push(
            Diagnostic::error(span, format!("two policies give `{}` different bounds", service.value))
                .context(first, "the other is here")
                .help("write the same `min_capacity` and `max_capacity` in both"),
        );
    }
}

fn bounds(min: u32, max: u32, places: (Span, Span), cx: &mut Context) {
    at_least_one(min, "min_capacity", places.0, cx);
    if max < min {
        cx.diagnostics.push(
            Diagnostic::error(places.1, "`max_capacity` must not be less than `min_capacity`")
                .label(format!("min_capacity is {min}, max_capacity is {max}")),
        );
    }
    if max > MANY {
        cx.fail::<()>(places.1, format!("`max_capacity` must be at most {MANY}"));
    }
}

fn metric(metric: &AwsMetric, service: &str, at: Span, topology: &Topology, cx: &mut Context) {
    let has_cpu = topology.services.get(service).is_none_or(|s| s.cpu.is_some());
    if matches!(metric, AwsMetric::AverageCpuUtilization) && !has_cpu {
        cx.diagnostics.push(
            Diagnostic::error(at, format!("`{service}` has no `cpu` that could be in use")).help(
                "give the service `cpu: Cpu(cores: 2)`, or watch `RequestCountPerTarget` or `InFlight`",
            ),
        );
    }
}

pub(super) fn target_tracking(a: &TargetTracking, topology: &Topology, cx: &mut Context) {
    bounds(a.min_capacity, a.max_capacity, (a.place("min_capacity"), a.place("max_capacity")), cx);
    metric(&a.metric, &a.service.value, a.place("metric"), topology, cx);
    if !(1e-6..=1e12).contains(&a.target_value) {
        cx.fail::<()>(a.place("target_value"), "`target_value` must be more than 0");
    }
    positive_time(a.period, "period", a.place("period"), cx);
    let given = ["scale_out_cooldown", "scale_in_cooldown"].iter().find(|f| a.places.of(f).is_some());
    if let (Some(_), Some(cooldown)) = (&a.estimated_instance_warmup, given) {
        no_cooldown(cooldown, a.place(cooldown), a.place("estimated_instance_warmup"), cx);
    }
}

fn no_cooldown(cooldown: &str, at: Span, warmup: Span, cx: &mut Context) {
    cx.diagnostics.push(
        Diagnostic::error(at, format!("with a warm-up there is no `{cooldown}`"))
            .context(warmup, "the warm-up is here")
            .help("EC2 has warm-ups and Application Auto Scaling has cooldowns: leave one of them out"),
    );
}

fn alarm(a: &CloudWatchAlarm, service: &str, topology: &Topology, cx: &mut Context) {
    metric(&a.metric, service, a.place("metric"), topology, cx);
    positive_time(a.period, "period", a.place("period"), cx);
    at_least_one(a.evaluation_periods, "evaluation_periods", a.place("evaluation_periods"), cx);
    if a.evaluation_periods > 1440 {
        cx.fail::<()>(a.place("evaluation_periods"), "`evaluation_periods` must be at most 1440");
    }
    if a.datapoints_to_alarm.is_some_and(|m| m == 0 || m > a.evaluation_periods) {
        let message =
            format!("`datapoints_to_alarm` must be from 1 to `evaluation_periods`, {}", a.evaluation_periods);
        cx.fail::<()>(a.place("datapoints_to_alarm"), message);
    }
}

/// A number of an adjustment: whole.
fn whole(value: f64, what: &str, at: Span, cx: &mut Context) {
    if value.fract() != 0.0 || value.abs() > f64::from(MANY) {
        cx.fail::<()>(at, format!("`{what}` must be a whole number from -{MANY} to {MANY}"));
    }
}

pub(super) fn step_scaling(a: &StepScaling, topology: &Topology, cx: &mut Context) {
    bounds(a.min_capacity, a.max_capacity, (a.place("min_capacity"), a.place("max_capacity")), cx);
    alarm(&a.alarm, &a.service.value, topology, cx);
    if a.step_adjustments.is_empty() {
        cx.diagnostics.push(
            Diagnostic::error(a.place("step_adjustments"), "there are no steps")
                .help("write `step_adjustments: [ScalingStep(lower: 0, adjustment: 1)]`"),
        );
    }
    steps(a, cx);
    if let (Some(_), Some(_)) = (&a.estimated_instance_warmup, a.places.of("cooldown")) {
        no_cooldown("cooldown", a.place("cooldown"), a.place("estimated_instance_warmup"), cx);
    }
}

/// Steps leave no gap and do not overlap, and lie on the side of the threshold on which the alarm is.
fn steps(a: &StepScaling, cx: &mut Context) {
    let is_high = matches!(
        a.alarm.comparison,
        ComparisonOperator::GreaterThanThreshold | ComparisonOperator::GreaterThanOrEqualToThreshold
    );
    let lower = |s: &ScalingStep| s.lower.unwrap_or(f64::NEG_INFINITY);
    let upper = |s: &ScalingStep| s.upper.unwrap_or(f64::INFINITY);
    let mut sorted: Vec<&ScalingStep> = a.step_adjustments.iter().collect();
    sorted.sort_by(|x, y| lower(x).total_cmp(&lower(y)));
    for step in &sorted {
        whole(step.adjustment, "adjustment", step.place("adjustment"), cx);
        if lower(step) >= upper(step) {
            cx.fail::<()>(step.span, "a step's `lower` must be less than its `upper`");
        }
    }
    for pair in sorted.windows(2) {
        if upper(pair[0]) != lower(pair[1]) {
            let what = if upper(pair[0]) > lower(pair[1]) { "overlap" } else { "leave a gap" };
            cx.diagnostics.push(
                Diagnostic::error(pair[1].span, format!("two steps {what}"))
                    .context(pair[0].span, "the step below is here")
                    .help("a step begins where the one below it ends"),
            );
        }
    }
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return };
    let reaches = if is_high { lower(first) <= 0.0 } else { upper(last) >= 0.0 };
    if !reaches {
        let message = "the steps leave out what lies right at the threshold";
        cx.fail::<()>(a.place("step_adjustments"), message);
    }
}

pub(super) fn simple_scaling(a: &SimpleScaling, topology: &Topology, cx: &mut Context) {
    bounds(a.min_capacity, a.max_capacity, (a.place("min_capacity"), a.place("max_capacity")), cx);
    alarm(&a.alarm, &a.service.value, topology, cx);
    whole(a.scaling_adjustment, "scaling_adjustment", a.place("scaling_adjustment"), cx);
}

pub(super) fn scheduled(a: &Scheduled, cx: &mut Context) {
    if a.actions.is_empty() {
        cx.fail::<()>(a.place("actions"), "there are no scheduled actions");
    }
    for action in &a.actions {
        if let Some(every) = action.every {
            positive_time(every, "every", action.place("every"), cx);
        }
        let given = [
            ("min_capacity", action.min_capacity),
            ("max_capacity", action.max_capacity),
            ("desired_capacity", action.desired_capacity),
        ];
        if given.iter().all(|(_, value)| value.is_none()) {
            let help = "give `min_capacity`, `max_capacity` or `desired_capacity`";
            cx.diagnostics.push(Diagnostic::error(action.span, "this action sets nothing").help(help));
        }
        for (field, value) in given {
            if let Some(value) = value {
                at_least_one(value, field, action.place(field), cx);
                if value > MANY {
                    cx.fail::<()>(action.place(field), format!("`{field}` must be at most {MANY}"));
                }
            }
        }
        if let (Some(min), Some(max)) = (action.min_capacity, action.max_capacity)
            && max < min
        {
            let message = "`max_capacity` must not be less than `min_capacity`";
            cx.fail::<()>(action.place("max_capacity"), message);
        }
    }
}
