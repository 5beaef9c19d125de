//! From what metrics propose to what is done: stabilisation, rates and bounds.

use super::{Amount, Behavior, Decision, Hpa, Reason, Rules, SelectPolicy};
use crate::base::{SimDuration, SimTime};

/// The factor and the number up to which one sync may always grow, without `behavior`.
const GROWTH_FACTOR: u32 = 2;
const GROWTH_MIN: u32 = 4;

/// What was recommended, before anything held it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recommendation {
    pub at: SimTime,
    pub replicas: u32,
}

/// How many replicas were added or taken away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    at: SimTime,
    replicas: u32,
    /// Whether another may take its place.
    outdated: bool,
}

/// Whether `at` lies less than `window` before `now`.
fn is_younger(at: SimTime, now: SimTime, window: SimDuration) -> bool {
    now.since(at) < window
}

/// Whether `at` lies more than `window` before `now`.
fn is_older(at: SimTime, now: SimTime, window: SimDuration) -> bool {
    now.since(at) > window
}

impl Hpa {
    pub(super) fn normalize(&mut self, now: SimTime, current: u32, proposed: u32) -> Decision {
        let Some(behavior) = self.config.behavior.take() else {
            return self.by_the_older_rule(now, current, proposed);
        };
        let stable = self.stabilize(now, current, proposed, &behavior);
        let decision = self.limit(now, current, stable, &behavior);
        self.config.behavior = Some(behavior);
        let reason = match decision.reason {
            Reason::Proposed if stable != proposed => Reason::Stabilized,
            reason => reason,
        };
        Decision { reason, ..decision }
    }

    /// Without `behavior`: the highest recommendation of the window counts (one exactly as old as the window, too),
    /// and one sync at most doubles.
    fn by_the_older_rule(&mut self, now: SimTime, current: u32, proposed: u32) -> Decision {
        let window = self.config.downscale_stabilization;
        let mut stable = proposed;
        let mut expired = None;
        for (index, past) in self.recommendations.iter().enumerate() {
            if is_older(past.at, now, window) {
                expired = Some(index);
            } else {
                stable = stable.max(past.replicas);
            }
        }
        self.recommend(now, proposed, expired);
        let (min, max) = (self.config.min_replicas, self.config.max_replicas);
        let growth = current.saturating_mul(GROWTH_FACTOR).max(GROWTH_MIN);
        if stable < min {
            Decision { desired: min, reason: Reason::Bounded }
        } else if stable > max.min(growth) {
            let reason = if max > growth { Reason::RateLimited } else { Reason::Bounded };
            Decision { desired: max.min(growth), reason }
        } else {
            let reason = if stable == proposed { Reason::Proposed } else { Reason::Stabilized };
            Decision { desired: stable, reason }
        }
    }

    /// With `behavior`: replicas stay as they are between the lowest recommendation of the window for growing and
    /// the highest of the one for shrinking, and move to the nearer of the two otherwise.
    fn stabilize(&mut self, now: SimTime, current: u32, proposed: u32, behavior: &Behavior) -> u32 {
        let up = behavior.scale_up.stabilization_window.unwrap_or(SimDuration::ZERO);
        let down = behavior.scale_down.stabilization_window.unwrap_or(self.config.downscale_stabilization);
        let (mut lowest, mut highest) = (proposed, proposed);
        let mut expired = None;
        for (index, past) in self.recommendations.iter().enumerate() {
            if is_younger(past.at, now, up) {
                lowest = lowest.min(past.replicas);
            }
            if is_younger(past.at, now, down) {
                highest = highest.max(past.replicas);
            }
            if is_older(past.at, now, up) && is_older(past.at, now, down) {
                expired = Some(index);
            }
        }
        self.recommend(now, proposed, expired);
        current.max(lowest).min(highest)
    }

    /// Keeps a recommendation, in the place of one that has expired if there is one.
    fn recommend(&mut self, now: SimTime, replicas: u32, expired: Option<usize>) {
        let new = Recommendation { at: now, replicas };
        match expired {
            Some(index) => self.recommendations[index] = new,
            None => self.recommendations.push(new),
        }
    }

    /// The rates of `behavior`, and the bounds.
    fn limit(&self, now: SimTime, current: u32, stable: u32, behavior: &Behavior) -> Decision {
        let here = i64::from(current);
        let wanted = i64::from(stable);
        let (min, max) = (i64::from(self.config.min_replicas), i64::from(self.config.max_replicas));
        let (desired, reason) = if wanted > here {
            let limit = self.most(now, here, &behavior.scale_up).max(here);
            let reason = if max > limit { Reason::RateLimited } else { Reason::Bounded };
            (wanted.min(max.min(limit)), reason)
        } else if wanted < here {
            let limit = self.least(now, here, &behavior.scale_down).min(here);
            let reason = if min < limit { Reason::RateLimited } else { Reason::Bounded };
            (wanted.max(min.max(limit)), reason)
        } else {
            (wanted, Reason::Proposed)
        };
        let reason = if desired == wanted { Reason::Proposed } else { reason };
        Decision { desired: desired as u32, reason }
    }

    /// Replicas at the start of a period that ends now.
    fn at_start(&self, now: SimTime, current: i64, period: SimDuration) -> i64 {
        let sum = |changes: &[Change]| {
            let recent = changes.iter().filter(|c| is_younger(c.at, now, period));
            recent.map(|c| i64::from(c.replicas)).sum::<i64>()
        };
        current - sum(&self.ups) + sum(&self.downs)
    }

    /// The most replicas that the rules for growing allow.
    fn most(&self, now: SimTime, current: i64, rules: &Rules) -> i64 {
        let limits = rules.policies.iter().map(|policy| {
            let start = self.at_start(now, current, policy.period);
            match policy.amount {
                Amount::Pods(pods) => start + i64::from(pods),
                Amount::Percent(percent) => {
                    libm::ceil(start as f64 * (1.0 + f64::from(percent) / 100.0)) as i64
                }
            }
        });
        let limit = match rules.select_policy {
            SelectPolicy::Disabled => None,
            SelectPolicy::Min => limits.min(),
            SelectPolicy::Max => limits.max(),
        };
        limit.unwrap_or(current)
    }

    /// The fewest replicas that the rules for shrinking allow.
    fn least(&self, now: SimTime, current: i64, rules: &Rules) -> i64 {
        let limits = rules.policies.iter().map(|policy| {
            let start = self.at_start(now, current, policy.period);
            match policy.amount {
                Amount::Pods(pods) => start - i64::from(pods),
                // The cast cuts off towards 0.
                Amount::Percent(percent) => (start as f64 * (1.0 - f64::from(percent) / 100.0)) as i64,
            }
        });
        let limit = match rules.select_policy {
            SelectPolicy::Disabled => None,
            SelectPolicy::Min => limits.max(),
            SelectPolicy::Max => limits.min(),
        };
        limit.unwrap_or(current)
    }

    /// Keeps a change for the rates of `behavior`. Changes older than all periods of their direction are
    /// overwritten, one at a time.
    pub(super) fn remember_change(&mut self, now: SimTime, from: u32, to: u32) {
        let Some(behavior) = &self.config.behavior else { return };
        let (changes, rules) = if to > from {
            (&mut self.ups, &behavior.scale_up)
        } else {
            (&mut self.downs, &behavior.scale_down)
        };
        let longest = rules.policies.iter().map(|p| p.period).max().unwrap_or(SimDuration::ZERO);
        for change in changes.iter_mut().filter(|c| is_older(c.at, now, longest)) {
            change.outdated = true;
        }
        let new = Change { at: now, replicas: to.abs_diff(from), outdated: false };
        match changes.iter_mut().rfind(|c| c.outdated) {
            Some(old) => *old = new,
            None => changes.push(new),
        }
    }
}
