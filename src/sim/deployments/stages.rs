//! The stages of a deployment, and how it comes from one to the next.

use super::{Census, Rollout, Stage};
use crate::base::SimTime;
use crate::components::analysis::Verdict;
use crate::components::rollout::canary_replicas;
use crate::metrics::Observer;
use crate::metrics::observer::{DeploymentChange, RollbackCause};
use crate::sim::World;
use crate::sim::script::{CanaryStep, Strategy};
use crate::sim::versions::Split;

impl<O: Observer> World<'_, O> {
    /// A deployment looks at what has become of it; answers whether something else is wanted now.
    pub(super) fn follow(&mut self, now: SimTime, group: u32, census: &Census) -> bool {
        let script = self.script;
        let Some(mut r) = self.rollout(group) else { return false };
        let deployment = &script.deployments[r.deployment as usize];
        let desired = self.groups[group as usize].wanted;
        self.note_progress(now, group, &mut r, census, deployment);
        self.set_rollout(group, Some(r));
        if let Some(cause) = self.must_roll_back(now, group, &mut r, deployment) {
            self.roll_back(now, group, cause);
            return true;
        }
        let all_new = census.new.available >= desired;
        let is_complete = all_new && census.new.active == desired && census.old.active == 0;
        match (&deployment.strategy, r.stage) {
            (_, Stage::Aborting(_)) => {
                if census.new.active == 0 && census.old.available >= desired {
                    return self.end_rollout(now, group, &r, DeploymentChange::RolledBack);
                }
                false
            }
            (Strategy::Rolling { .. } | Strategy::Recreate, _) | (_, Stage::Ending) => {
                let change =
                    if r.is_rollback { DeploymentChange::RolledBack } else { DeploymentChange::Complete };
                is_complete && self.end_rollout(now, group, &r, change)
            }
            (Strategy::Canary { by_weight: false, .. }, Stage::Going) => {
                let change =
                    if r.is_rollback { DeploymentChange::RolledBack } else { DeploymentChange::Complete };
                is_complete && self.end_rollout(now, group, &r, change)
            }
            // Only canaries have steps.
            (Strategy::BlueGreen { .. }, Stage::Step(..)) => false,
            (Strategy::Canary { steps, by_weight, .. }, Stage::Step(step, since)) => {
                self.follow_step(now, group, r, (steps, *by_weight), (step, since), census)
            }
            (Strategy::BlueGreen { auto_promotion, .. }, Stage::Going | Stage::Waiting(_)) => {
                let since = match r.stage {
                    Stage::Waiting(since) if all_new => since,
                    _ if all_new => now,
                    _ => {
                        let is_back = r.stage != Stage::Going;
                        self.set_rollout(group, Some(Rollout { stage: Stage::Going, ..r }));
                        return is_back;
                    }
                };
                let stage = Stage::Waiting(since);
                self.set_rollout(group, Some(Rollout { stage, ..r }));
                self.now_is_after(group, since + *auto_promotion) && self.switch(now, group, r)
            }
            (Strategy::Canary { .. }, Stage::Going | Stage::Waiting(_)) => {
                all_new && self.switch(now, group, r)
            }
            (Strategy::BlueGreen { keep, .. } | Strategy::Canary { keep, .. }, Stage::Kept(since)) => {
                if let (Strategy::BlueGreen { analysis: Some(plan), .. }, Some(_)) =
                    (&deployment.strategy, r.analysis)
                {
                    match self.analyse(now, group, &mut r, plan) {
                        Verdict::Running => return false,
                        Verdict::Failed => {
                            self.roll_back(now, group, RollbackCause::Analysis);
                            return true;
                        }
                        Verdict::Passed => {}
                    }
                }
                if !self.now_is_after(group, since + *keep) {
                    return false;
                }
                self.set_rollout(group, Some(Rollout { stage: Stage::Ending, ..r }));
                true
            }
        }
    }

    /// A step of a canary; answers whether the next one has begun.
    fn follow_step(
        &mut self,
        now: SimTime,
        group: u32,
        mut r: Rollout,
        (steps, by_weight): (&[CanaryStep], bool),
        (step, since): (u32, SimTime),
        census: &Census,
    ) -> bool {
        let desired = self.groups[group as usize].wanted;
        if by_weight {
            // Without an instance that could take them, no request is sent there.
            let is_there = census.new.available > 0;
            if let Some(split) = self.splits[group as usize]
                && split.share > 0.0
                && !is_there
            {
                self.shift(now, group, &r, 0.0);
            }
        }
        let is_done = match steps.get(step as usize) {
            None => {
                self.set_rollout(group, Some(Rollout { stage: Stage::Going, weight: 1.0, ..r }));
                return true;
            }
            Some(CanaryStep::Weight(weight)) => {
                if r.weight != *weight {
                    r.weight = *weight;
                    self.set_rollout(group, Some(r));
                    return true;
                }
                let new = if by_weight {
                    libm::ceil(weight * f64::from(desired) - 1e-9) as u32
                } else {
                    canary_replicas(*weight, desired)
                };
                let has_all = census.new.available >= new;
                if by_weight && has_all {
                    self.shift(now, group, &r, *weight);
                }
                has_all && (by_weight || census.new.active + census.old.active == desired)
            }
            Some(CanaryStep::Pause(duration)) => self.now_is_after(group, since + *duration),
            Some(CanaryStep::Analysis(plan)) => match self.analyse(now, group, &mut r, plan) {
                Verdict::Running => false,
                Verdict::Passed => true,
                Verdict::Failed => {
                    self.roll_back(now, group, RollbackCause::Analysis);
                    return true;
                }
            },
        };
        if by_weight && census.new.available > 0 && !is_done {
            self.shift_back(now, group, &r, steps, step);
        }
        if is_done {
            let stage = Stage::Step(step + 1, now);
            self.set_rollout(group, Some(Rollout { stage, analysis: None, ..r }));
        }
        is_done
    }

    /// A canary that had lost all its instances has some again: it gets the share that it had.
    fn shift_back(&mut self, now: SimTime, group: u32, r: &Rollout, steps: &[CanaryStep], step: u32) {
        let is_reached = !matches!(steps.get(step as usize), Some(CanaryStep::Weight(_)));
        if is_reached && self.splits[group as usize].is_some_and(|split| split.share == 0.0) {
            self.shift(now, group, r, r.weight);
        }
    }

    /// All requests go to the new fleet from now on.
    fn switch(&mut self, now: SimTime, group: u32, r: Rollout) -> bool {
        let script = self.script;
        self.shift(now, group, &r, 1.0);
        let mut r = Rollout { stage: Stage::Kept(now), weight: 1.0, ..r };
        if let Strategy::BlueGreen { analysis: Some(plan), .. } =
            &script.deployments[r.deployment as usize].strategy
            && !r.is_rollback
        {
            self.begin_analysis(now, group, &mut r, plan);
        }
        self.set_rollout(group, Some(r));
        true
    }

    pub(super) fn shift(&mut self, now: SimTime, group: u32, r: &Rollout, share: f64) {
        if self.splits[group as usize].is_none_or(|split| split.share != share) {
            self.split(group, Some(Split { version: r.to, share }));
            let permille = libm::round(share * 1e3) as u32;
            self.tell(now, r.to, DeploymentChange::Shifted { permille });
        }
    }

    fn end_rollout(&mut self, now: SimTime, group: u32, r: &Rollout, change: DeploymentChange) -> bool {
        let is_back = change == DeploymentChange::RolledBack;
        let gone = if r.is_rollback { r.from } else { r.to };
        self.tell(now, if is_back { gone } else { r.to }, change);
        self.set_rollout(group, None);
        self.split(group, None);
        if let Some(fleet) = self.fleet_of(group)
            && is_back
        {
            fleet.last = None;
        }
        true
    }
}
