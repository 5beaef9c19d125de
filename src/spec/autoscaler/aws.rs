//! Autoscalers of Amazon Web Services.

use super::super::quantity::Seconds;
use super::super::source::Spanned;
use crate::{choice, record};

choice! {
    /// What a policy of Amazon's Auto Scaling watches, a datapoint for each period.
    pub enum AwsMetric {
        /// CPU in use in per cent of the CPU that an instance has, the mean of all (`ASGAverageCPUUtilization`,
        /// `ECSServiceAverageCPUUtilization`).
        AverageCpuUtilization,
        /// Requests of a minute over instances in service (`ALBRequestCountPerTarget`).
        RequestCountPerTarget,
        /// Requests waiting or executed at an instance, the mean of all (a custom metric).
        InFlight,
    }
}

record! {
    /// Target tracking of Amazon EC2 Auto Scaling and Application Auto Scaling (guides of 2023): keeps a metric at a
    /// target by changing the capacity in proportion. It makes two alarms: one when 3 datapoints in a row are above the
    /// target, one when 15 are below 90 % of it. So load that doubles is answered after 3 minutes at the earliest, and
    /// nothing is taken away in the first 15. Both alarms act every minute while they last; capacities are rounded so
    /// that there is too much rather than too little, and missing data take nothing away. Several policies may scale
    /// one service: each adds by itself, but fewer there are only when all that track targets would have fewer.
    pub struct TargetTracking {
        /// The service whose replicas it sets.
        service: Spanned<String>,
        /// The fewest replicas (`MinCapacity`, `MinSize`).
        min_capacity: u32 = 1,
        /// The most replicas (`MaxCapacity`, `MaxSize`).
        max_capacity: u32,
        /// What it watches (`PredefinedMetricType`).
        metric: AwsMetric = AverageCpuUtilization,
        /// What the metric should be, in its unit: per cent of CPU, requests per minute, requests (`TargetValue`).
        target_value: f64,
        /// How long after a scale-out only more than what was added is added (`ScaleOutCooldown`).
        scale_out_cooldown: Seconds = "300s",
        /// How long after a scale-in nothing is taken away; a scale-out ends it (`ScaleInCooldown`).
        scale_in_cooldown: Seconds = "300s",
        /// Whether it only ever adds (`DisableScaleIn`).
        disable_scale_in: bool = false,
        /// For EC2, in the place of cooldowns: how long an instance warms up once it is in service
        /// (`EstimatedInstanceWarmup`, 300 s if nothing is said). Meanwhile it is not in the metric, counts as there
        /// when more are added, and nothing is taken away.
        estimated_instance_warmup: Option<Seconds> = None,
        /// From one datapoint to the next: a minute, or five with EC2's basic monitoring.
        period: Seconds = "60s",
        /// How long after its period a datapoint is seen.
        metric_lag: Seconds = "0s",
    }
}

choice! {
    /// How an alarm compares a datapoint with its threshold.
    pub enum ComparisonOperator {
        /// More than the threshold.
        GreaterThanThreshold,
        /// At least the threshold.
        GreaterThanOrEqualToThreshold,
        /// Less than the threshold.
        LessThanThreshold,
        /// At most the threshold.
        LessThanOrEqualToThreshold,
    }
}

choice! {
    /// What missing datapoints count as, for an alarm.
    pub enum TreatMissingData {
        /// Nothing; if all are missing the state is not known.
        Missing,
        /// Nothing; the state stays as it is.
        Ignore,
        /// As breaching.
        Breaching,
        /// As not breaching.
        NotBreaching,
    }
}

record! {
    /// A CloudWatch alarm: in alarm when so many of the last datapoints breach the threshold. It looks at two periods
    /// more than `evaluation_periods`, and missing ones count as something only if there are too few that exist; if
    /// all that exist breach and the oldest is `datapoints_to_alarm` periods old, that is an alarm as well.
    pub struct CloudWatchAlarm {
        /// What it watches.
        metric: AwsMetric = AverageCpuUtilization,
        /// Against what, in the metric's unit (`Threshold`).
        threshold: f64,
        /// How (`ComparisonOperator`).
        comparison: ComparisonOperator = GreaterThanOrEqualToThreshold,
        /// From one datapoint to the next (`Period`).
        period: Seconds = "60s",
        /// How many of the last periods are looked at (`EvaluationPeriods`).
        evaluation_periods: u32 = 1,
        /// How many of them must breach; all if not given (`DatapointsToAlarm`).
        datapoints_to_alarm: Option<u32> = None,
        /// What missing datapoints count as (`TreatMissingData`).
        treat_missing_data: TreatMissingData = Missing,
        /// How long after its period a datapoint is seen.
        metric_lag: Seconds = "0s",
    }
}

choice! {
    /// What the number of an adjustment means.
    pub enum AdjustmentType {
        /// So many more, or fewer.
        ChangeInCapacity,
        /// So many in all.
        ExactCapacity,
        /// So many per cent more, or fewer: above 1 rounded down, between 0 and 1 up to 1, and the same towards less.
        PercentChangeInCapacity,
    }
}

record! {
    /// What is done while the metric is so far from the threshold. The bound nearer to the threshold belongs to the
    /// step: the lower one of an alarm on high values, the upper one of an alarm on low values.
    pub struct ScalingStep {
        /// From which distance on, metric minus threshold (`MetricIntervalLowerBound`); without end if not given.
        lower: Option<f64> = None,
        /// Up to which distance (`MetricIntervalUpperBound`); without end if not given.
        upper: Option<f64> = None,
        /// The number (`ScalingAdjustment`).
        adjustment: f64,
    }
}

record! {
    /// Step scaling of Amazon EC2 Auto Scaling and Application Auto Scaling (guides of 2023): an alarm, and by how
    /// much the capacity changes at which distance from its threshold. It acts every minute while the alarm lasts; what
    /// was added before counts as there, so a larger step adds the difference.
    pub struct StepScaling {
        /// The service whose replicas it sets.
        service: Spanned<String>,
        /// The fewest replicas (`MinCapacity`, `MinSize`).
        min_capacity: u32 = 1,
        /// The most replicas (`MaxCapacity`, `MaxSize`).
        max_capacity: u32,
        /// What it hangs on.
        alarm: CloudWatchAlarm,
        /// What the numbers of the steps mean (`AdjustmentType`).
        adjustment_type: AdjustmentType = ChangeInCapacity,
        /// The steps, without gaps between them (`StepAdjustments`).
        step_adjustments: Vec<ScalingStep>,
        /// The least change by per cent (`MinAdjustmentMagnitude`).
        min_adjustment_magnitude: u32 = 1,
        /// How long after a change only more than that is changed (`Cooldown`).
        cooldown: Seconds = "300s",
        /// For EC2, in the place of the cooldown: how long an instance warms up once it is in service
        /// (`EstimatedInstanceWarmup`).
        estimated_instance_warmup: Option<Seconds> = None,
    }
}

record! {
    /// Simple scaling of Amazon EC2 Auto Scaling (guide of 2023): an alarm and one number. It does nothing until all
    /// that it added is in service, and for the cooldown after that.
    pub struct SimpleScaling {
        /// The service whose replicas it sets.
        service: Spanned<String>,
        /// The fewest replicas (`MinSize`).
        min_capacity: u32 = 1,
        /// The most replicas (`MaxSize`).
        max_capacity: u32,
        /// What it hangs on.
        alarm: CloudWatchAlarm,
        /// What the number means (`AdjustmentType`).
        adjustment_type: AdjustmentType = ChangeInCapacity,
        /// The number (`ScalingAdjustment`).
        scaling_adjustment: f64,
        /// The least change by per cent (`MinAdjustmentMagnitude`).
        min_adjustment_magnitude: u32 = 1,
        /// How long it waits once all is in service (`Cooldown`, `DefaultCooldown`).
        cooldown: Seconds = "300s",
    }
}

record! {
    /// What is set at a time. What is not given stays.
    pub struct ScheduledAction {
        /// When, from the start of the run (`StartTime`).
        at: Seconds,
        /// From then on again after each such time (`Recurrence`, as a period).
        every: Option<Seconds> = None,
        /// The fewest replicas from then on (`MinCapacity`).
        min_capacity: Option<u32> = None,
        /// The most replicas (`MaxCapacity`).
        max_capacity: Option<u32> = None,
        /// How many there should be (`DesiredCapacity`).
        desired_capacity: Option<u32> = None,
    }
}

record! {
    /// Scheduled scaling of Amazon EC2 Auto Scaling and Application Auto Scaling (guides of 2023): sets bounds and
    /// replicas at set times. It may stand beside another autoscaler of the same service, whose bounds it then sets.
    pub struct Scheduled {
        /// The service whose replicas it sets.
        service: Spanned<String>,
        /// What is done when.
        actions: Vec<ScheduledAction>,
    }
}
