//! The policies: what their alarms watch, and what they do while one is in alarm.

use super::{Adjustment, Bounds, Done, Fleet, Pace, StepAdjustment};
use crate::base::{SimDuration, SimTime};
use crate::components::cloudwatch::{Alarm, AlarmConfig, AlarmState, Comparison, TreatMissingData};

/// Periods of the alarms that target tracking makes, and the share of the target that is clearly below it.
const HIGH_PERIODS: u32 = 3;
const LOW_PERIODS: u32 = 15;
const CLEARLY_BELOW: f64 = 0.9;

/// Keeps a metric at a target (`TargetTrackingScaling`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TargetTrackingConfig {
    /// What the metric should be (`TargetValue`).
    pub target_value: f64,
    /// Whether it only ever adds (`DisableScaleIn`).
    pub disable_scale_in: bool,
    /// Cooldowns or warm-up.
    pub pace: Pace,
    /// How many there may be.
    pub bounds: Bounds,
}

/// Changes the capacity by more the further the metric is off (`StepScaling`).
#[derive(Clone, PartialEq, Debug)]
pub struct StepConfig {
    /// What it hangs on.
    pub alarm: AlarmConfig,
    /// What is done at which distance from the threshold (`StepAdjustments`).
    pub steps: Vec<StepAdjustment>,
    /// What the steps' numbers mean.
    pub adjustment: Adjustment,
    /// Cooldown or warm-up.
    pub pace: Pace,
    /// How many there may be.
    pub bounds: Bounds,
}

/// Changes the capacity by one number, and waits (`SimpleScaling`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SimpleConfig {
    /// What it hangs on.
    pub alarm: AlarmConfig,
    /// The number (`ScalingAdjustment`).
    pub number: i32,
    /// What it means.
    pub adjustment: Adjustment,
    /// How long after all is in service it does nothing (`Cooldown`).
    pub cooldown: SimDuration,
    /// How many there may be.
    pub bounds: Bounds,
}

/// A policy's settings.
#[derive(Clone, PartialEq, Debug)]
pub enum PolicyConfig {
    /// Keeps a metric at a target.
    TargetTracking(TargetTrackingConfig),
    /// By more the further off.
    Step(StepConfig),
    /// By one number.
    Simple(SimpleConfig),
}

impl PolicyConfig {
    /// How many there may be.
    pub fn bounds_mut(&mut self) -> &mut Bounds {
        match self {
            Self::TargetTracking(config) => &mut config.bounds,
            Self::Step(config) => &mut config.bounds,
            Self::Simple(config) => &mut config.bounds,
        }
    }

    fn bounds(&self) -> Bounds {
        match self {
            Self::TargetTracking(config) => config.bounds,
            Self::Step(config) => config.bounds,
            Self::Simple(config) => config.bounds,
        }
    }

    /// How long a new instance warms up before it counts.
    pub fn warmup(&self) -> SimDuration {
        match self {
            Self::TargetTracking(TargetTrackingConfig { pace: Pace::Warmup(time), .. })
            | Self::Step(StepConfig { pace: Pace::Warmup(time), .. }) => *time,
            _ => SimDuration::ZERO,
        }
    }

    /// The alarms that it has.
    fn alarms(&self) -> [Option<AlarmConfig>; 2] {
        match self {
            Self::TargetTracking(config) => {
                let alarm = |periods: u32, threshold: f64, comparison: Comparison| AlarmConfig {
                    evaluation_periods: periods,
                    datapoints_to_alarm: periods,
                    threshold,
                    comparison,
                    treat_missing_data: TreatMissingData::Missing,
                };
                let low = alarm(LOW_PERIODS, config.target_value * CLEARLY_BELOW, Comparison::Less);
                [Some(alarm(HIGH_PERIODS, config.target_value, Comparison::Greater)), Some(low)]
            }
            Self::Step(config) => [Some(config.alarm), None],
            Self::Simple(config) => [Some(config.alarm), None],
        }
    }
}

/// A policy, its alarms and what it remembers.
#[derive(Clone, Debug)]
pub struct ScalingPolicy {
    config: PolicyConfig,
    /// Its alarm; of target tracking the one on high values, and the one on low values.
    alarm: Alarm,
    low: Option<Alarm>,
    /// The last datapoint that there was.
    last: Option<f64>,
    done: Done,
    /// Whether what a simple policy has begun is not known to be complete.
    is_busy: bool,
}

impl ScalingPolicy {
    /// A policy that has seen nothing.
    pub fn new(config: PolicyConfig) -> Self {
        let [alarm, low] = config.alarms();
        let alarm = Alarm::new(alarm.unwrap_or(AlarmConfig {
            evaluation_periods: 1,
            datapoints_to_alarm: 1,
            threshold: f64::INFINITY,
            comparison: Comparison::Greater,
            treat_missing_data: TreatMissingData::Missing,
        }));
        let low = low.map(Alarm::new);
        Self { config, alarm, low, last: None, done: Done::default(), is_busy: false }
    }

    /// Its settings.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Follows other settings from now on. Another kind of policy begins anew.
    pub fn reconfigure(&mut self, config: PolicyConfig) {
        if std::mem::discriminant(&config) != std::mem::discriminant(&self.config) {
            *self = Self::new(config);
            return;
        }
        let [alarm, low] = config.alarms();
        if let Some(alarm) = alarm {
            self.alarm.reconfigure(alarm);
        }
        if let (Some(mine), Some(low)) = (&mut self.low, low) {
            mine.reconfigure(low);
        }
        self.config = config;
    }

    /// The datapoint of another period, or none if it is missing; returns how many alarms that set off.
    pub fn observe(&mut self, datapoint: Option<f64>) -> u32 {
        self.last = datapoint.or(self.last);
        let rings = |alarm: &mut Alarm| {
            let before = alarm.state();
            u32::from(alarm.evaluate(datapoint) == AlarmState::Alarm && before != AlarmState::Alarm)
        };
        rings(&mut self.alarm) + self.low.as_mut().map_or(0, rings)
    }

    /// Whether it would have fewer, as far as others ask: of several policies that track targets, all that may scale
    /// in must agree. Policies of other kinds are not asked.
    pub fn agrees_to_scale_in(&self) -> bool {
        match &self.config {
            PolicyConfig::TargetTracking(config) if !config.disable_scale_in => {
                self.low.as_ref().is_some_and(|alarm| alarm.state() == AlarmState::Alarm)
            }
            _ => true,
        }
    }

    /// What to do now: how many instances there should be, if that is to change.
    pub fn act(&mut self, now: SimTime, fleet: Fleet) -> Option<u32> {
        let bounds = self.config.bounds();
        if bounds.clamp(fleet.desired) != fleet.desired {
            return Some(bounds.clamp(fleet.desired));
        }
        let last = self.last?;
        let is_ringing = self.alarm.state() == AlarmState::Alarm;
        match &self.config {
            PolicyConfig::TargetTracking(config) => {
                let base = self.done.base(now, config.pace, fleet);
                let wanted = libm::ceil(f64::from(base) * last / config.target_value);
                let wanted = bounds.clamp(wanted.min(f64::from(u32::MAX)) as u32);
                let is_low = self.low.as_ref().is_some_and(|low| low.state() == AlarmState::Alarm);
                if is_ringing {
                    self.done.scale_out(now, config.pace, fleet, wanted)
                } else if is_low && !config.disable_scale_in && fleet.may_shrink {
                    self.done.scale_in(now, config.pace, fleet, wanted)
                } else {
                    None
                }
            }
            PolicyConfig::Step(config) if is_ringing => {
                let delta = last - config.alarm.threshold;
                let is_high = config.alarm.comparison.is_high();
                let step = config.steps.iter().find(|step| step.holds(delta, is_high))?;
                let base = self.done.base(now, config.pace, fleet);
                let up = config.adjustment.apply(base, step.adjustment, bounds);
                if up > base {
                    return self.done.scale_out(now, config.pace, fleet, up);
                }
                let down = config.adjustment.apply(fleet.desired, step.adjustment, bounds);
                self.done.scale_in(now, config.pace, fleet, down)
            }
            PolicyConfig::Simple(config) => {
                // What was begun must be complete, and then time must pass.
                if self.is_busy {
                    let settled = fleet.settled?;
                    self.is_busy = false;
                    self.done.r#in = Some(settled + config.cooldown);
                }
                if !is_ringing || self.done.r#in.is_some_and(|until| now < until) {
                    return None;
                }
                let wanted = config.adjustment.apply(fleet.desired, config.number, bounds);
                self.is_busy = wanted != fleet.desired;
                self.is_busy.then_some(wanted)
            }
            PolicyConfig::Step(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
