//! Scaling policies of Amazon EC2 Auto Scaling and Application Auto Scaling: target tracking, steps, and simple ones.
//!
//! A policy hangs on alarms ([`crate::components::cloudwatch`]). Whoever drives it hands over the datapoint of each
//! period ([`ScalingPolicy::observe`]), and asks every minute what to do ([`ScalingPolicy::act`]): an alarm acts once
//! when its state changes, but actions of Auto Scaling are repeated every minute while it lasts.
//!
//! How a policy keeps from acting on what it has done already is one of two things. With cooldowns (Application Auto
//! Scaling: ECS and others) more is added during a scale-out cooldown only as far as it is more than was added, and
//! nothing is taken away during a scale-in cooldown, which a scale-out ends. With a warm-up (EC2) instances that warm
//! up count as there for the next decision, but not for the metric, and nothing is taken away meanwhile.
//!
//! Source: Amazon EC2 Auto Scaling User Guide and Application Auto Scaling User Guide (2023). The alarms that target
//! tracking makes are those that it is seen to make (3 x 1 min above the target, 15 x 1 min below 90 % of it); how it
//! computes with their datapoints is not published, so it is not claimed that it is the same to the last instance.

pub mod adjustment;
pub mod policies;

use crate::base::{SimDuration, SimTime};
pub use adjustment::{Adjustment, AdjustmentType, StepAdjustment};
pub use policies::{ScalingPolicy, SimpleConfig, StepConfig, TargetTrackingConfig};

/// How many instances there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The fewest (`MinCapacity`, `MinSize`).
    pub min: u32,
    /// The most (`MaxCapacity`, `MaxSize`).
    pub max: u32,
}

impl Bounds {
    /// The nearest number within.
    pub fn clamp(self, capacity: u32) -> u32 {
        capacity.min(self.max).max(self.min)
    }
}

/// How a policy keeps from acting on what it has done already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Application Auto Scaling.
    Cooldown {
        /// After a scale-out (`ScaleOutCooldown`).
        scale_out: SimDuration,
        /// After a scale-in (`ScaleInCooldown`).
        scale_in: SimDuration,
    },
    /// EC2 Auto Scaling (`EstimatedInstanceWarmup`).
    Warmup(SimDuration),
}

/// What there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fleet {
    /// How many instances there should be.
    pub desired: u32,
    /// How many of them are not in service yet, or warm up.
    pub warming: u32,
    /// Since when all that should be there are in service; `None` while some are not.
    pub settled: Option<SimTime>,
    /// Whether the other policies that track targets would have fewer, too.
    pub may_shrink: bool,
}

/// What a policy remembers of what it has done.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Until when the scale-out cooldown lasts, and how many instances there were before it.
    out: Option<(SimTime, u32)>,
    /// Until when the scale-in cooldown lasts.
    r#in: Option<SimTime>,
}

impl Done {
    /// How many instances there were before what is under way was begun: what metrics and adjustments are about.
    fn base(&self, now: SimTime, pace: Pace, fleet: Fleet) -> u32 {
        match (pace, self.out) {
            (Pace::Warmup(_), _) => fleet.desired.saturating_sub(fleet.warming),
            (Pace::Cooldown { .. }, Some((until, base))) if now < until => base.min(fleet.desired),
            (Pace::Cooldown { .. }, _) => fleet.desired,
        }
    }

    /// More are wanted.
    fn scale_out(&mut self, now: SimTime, pace: Pace, fleet: Fleet, wanted: u32) -> Option<u32> {
        if wanted <= fleet.desired {
            return None;
        }
        if let Pace::Cooldown { scale_out, .. } = pace {
            self.out = Some((now + scale_out, self.base(now, pace, fleet)));
            self.r#in = None;
        }
        Some(wanted)
    }

    /// Fewer are wanted.
    fn scale_in(&mut self, now: SimTime, pace: Pace, fleet: Fleet, wanted: u32) -> Option<u32> {
        let is_held = match pace {
            Pace::Warmup(_) => fleet.warming > 0,
            Pace::Cooldown { .. } => self.r#in.is_some_and(|until| now < until),
        };
        if is_held || wanted >= fleet.desired {
            return None;
        }
        if let Pace::Cooldown { scale_in, .. } = pace {
            self.r#in = Some(now + scale_in);
            self.out = None;
        }
        Some(wanted)
    }
}
