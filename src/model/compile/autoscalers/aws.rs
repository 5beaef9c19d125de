//! Amazon's policies, from the language's types to the components' own.

use crate::base::SimTime;
use crate::components::aws_scaling::policies::PolicyConfig;
use crate::components::aws_scaling::{
    Adjustment, AdjustmentType, Bounds, Pace, SimpleConfig, StepAdjustment, StepConfig, TargetTrackingConfig,
};
use crate::components::cloudwatch::{AlarmConfig, Comparison, TreatMissingData};
use crate::components::schedule::ScheduledAction;
use crate::model::Autoscaler;
use crate::model::autoscaler::{AwsMetric, AwsSettings};
use crate::spec::autoscaler::aws as sa;
use crate::spec::quantity::Seconds;

fn metric(metric: &sa::AwsMetric) -> AwsMetric {
    match metric {
        sa::AwsMetric::AverageCpuUtilization => AwsMetric::CpuUtilization,
        sa::AwsMetric::RequestCountPerTarget => AwsMetric::RequestCountPerTarget,
        sa::AwsMetric::InFlight => AwsMetric::InFlight,
    }
}

fn pace(scale_out: Seconds, scale_in: Seconds, warmup: Option<Seconds>) -> Pace {
    match warmup {
        Some(warmup) => Pace::Warmup(warmup.duration()),
        None => Pace::Cooldown { scale_out: scale_out.duration(), scale_in: scale_in.duration() },
    }
}

pub(super) fn target_tracking(a: &sa::TargetTracking) -> Autoscaler {
    Autoscaler::Aws(AwsSettings {
        policy: PolicyConfig::TargetTracking(TargetTrackingConfig {
            target_value: a.target_value,
            disable_scale_in: a.disable_scale_in,
            pace: pace(a.scale_out_cooldown, a.scale_in_cooldown, a.estimated_instance_warmup),
            bounds: Bounds { min: a.min_capacity, max: a.max_capacity },
        }),
        metric: metric(&a.metric),
        period: a.period.duration(),
        metric_lag: a.metric_lag.duration(),
    })
}

fn alarm(a: &sa::CloudWatchAlarm) -> AlarmConfig {
    AlarmConfig {
        evaluation_periods: a.evaluation_periods,
        datapoints_to_alarm: a.datapoints_to_alarm.unwrap_or(a.evaluation_periods),
        threshold: a.threshold,
        comparison: match a.comparison {
            sa::ComparisonOperator::GreaterThanThreshold => Comparison::Greater,
            sa::ComparisonOperator::GreaterThanOrEqualToThreshold => Comparison::GreaterOrEqual,
            sa::ComparisonOperator::LessThanThreshold => Comparison::Less,
            sa::ComparisonOperator::LessThanOrEqualToThreshold => Comparison::LessOrEqual,
        },
        treat_missing_data: match a.treat_missing_data {
            sa::TreatMissingData::Missing => TreatMissingData::Missing,
            sa::TreatMissingData::Ignore => TreatMissingData::Ignore,
            sa::TreatMissingData::Breaching => TreatMissingData::Breaching,
            sa::TreatMissingData::NotBreaching => TreatMissingData::NotBreaching,
        },
    }
}

fn adjustment(kind: &sa::AdjustmentType, min_magnitude: u32) -> Adjustment {
    let kind = match kind {
        sa::AdjustmentType::ChangeInCapacity => AdjustmentType::ChangeInCapacity,
        sa::AdjustmentType::ExactCapacity => AdjustmentType::ExactCapacity,
        sa::AdjustmentType::PercentChangeInCapacity => AdjustmentType::PercentChangeInCapacity,
    };
    Adjustment { kind, min_magnitude }
}

fn on(a: &sa::CloudWatchAlarm, policy: PolicyConfig) -> Autoscaler {
    Autoscaler::Aws(AwsSettings {
        policy,
        metric: metric(&a.metric),
        period: a.period.duration(),
        metric_lag: a.metric_lag.duration(),
    })
}

pub(super) fn step_scaling(a: &sa::StepScaling) -> Autoscaler {
    let step = |s: &sa::ScalingStep| StepAdjustment {
        lower: s.lower,
        upper: s.upper,
        adjustment: s.adjustment as i32,
    };
    let config = StepConfig {
        alarm: alarm(&a.alarm),
        steps: a.step_adjustments.iter().map(step).collect(),
        adjustment: adjustment(&a.adjustment_type, a.min_adjustment_magnitude),
        pace: pace(a.cooldown, a.cooldown, a.estimated_instance_warmup),
        bounds: Bounds { min: a.min_capacity, max: a.max_capacity },
    };
    on(&a.alarm, PolicyConfig::Step(config))
}

pub(super) fn simple_scaling(a: &sa::SimpleScaling) -> Autoscaler {
    let config = SimpleConfig {
        alarm: alarm(&a.alarm),
        number: a.scaling_adjustment as i32,
        adjustment: adjustment(&a.adjustment_type, a.min_adjustment_magnitude),
        cooldown: a.cooldown.duration(),
        bounds: Bounds { min: a.min_capacity, max: a.max_capacity },
    };
    on(&a.alarm, PolicyConfig::Simple(config))
}

pub(super) fn scheduled(a: &sa::Scheduled) -> Autoscaler {
    let action = |x: &sa::ScheduledAction| ScheduledAction {
        at: SimTime::ZERO + x.at.duration(),
        every: x.every.map(|e| e.duration()),
        min: x.min_capacity,
        max: x.max_capacity,
        desired: x.desired_capacity,
    };
    Autoscaler::Scheduled(a.actions.iter().map(action).collect())
}
