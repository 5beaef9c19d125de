//! What decides about a deployment: progress, the rules of a rollback, and analyses.

use super::{Census, Rollout, Stage};
use crate::base::SimTime;
use crate::components::analysis::{Analysis, Measurement, Verdict};
use crate::metrics::Observer;
use crate::metrics::observer::{DeploymentChange, RollbackCause};
use crate::sim::World;
use crate::sim::script::{AnalysisPlan, CanaryStep, Deployment, RollbackRule, Strategy};

impl<O: Observer> World<'_, O> {
    pub(super) fn note_progress(
        &mut self,
        now: SimTime,
        group: u32,
        r: &mut Rollout,
        census: &Census,
        deployment: &Deployment,
    ) {
        let available = census.new.available + census.old.available;
        let is = [census.new.active, census.old.active, census.ready, available];
        let was = r.seen;
        let waits = match r.stage {
            Stage::Waiting(_) | Stage::Kept(_) | Stage::Aborting(_) => true,
            Stage::Step(step, _) => match &deployment.strategy {
                Strategy::Canary { steps, .. } => {
                    !matches!(steps.get(step as usize), Some(CanaryStep::Weight(_)) | None)
                }
                _ => false,
            },
            Stage::Going | Stage::Ending => false,
        };
        if waits || is[0] > was[0] || is[1] < was[1] || is[2] > was[2] || is[3] > was[3] {
            (r.progressed, r.is_late) = (now, false);
        }
        if census.new.available > r.best {
            r.best = census.new.available;
            let desired = self.groups[group as usize].wanted;
            let what = DeploymentChange::Progressed { available: census.new.available, of: desired };
            self.tell(now, r.to, what);
        }
        r.seen = is;
    }

    /// Whether one of the rules wants the version before back, and why.
    pub(super) fn must_roll_back(
        &mut self,
        now: SimTime,
        group: u32,
        r: &mut Rollout,
        deployment: &Deployment,
    ) -> Option<RollbackCause> {
        let deadline = r.progressed + deployment.progress_deadline;
        let is_waiting = matches!(r.stage, Stage::Waiting(_) | Stage::Kept(_) | Stage::Aborting(_));
        let mut found = None;
        if !is_waiting && !r.is_late && self.now_is_after(group, deadline) {
            r.is_late = true;
            self.tell(now, r.to, DeploymentChange::Late);
            found =
                deployment.rollback.contains(&RollbackRule::OnDeadline).then_some(RollbackCause::Deadline);
        }
        for rule in &deployment.rollback {
            match rule {
                RollbackRule::OnDeadline => {}
                RollbackRule::OnRestarts(times) => {
                    if r.restarts >= *times {
                        found = found.or(Some(RollbackCause::Restarts));
                    }
                }
                RollbackRule::OnErrors { above, window, min_requests } => {
                    if !self.now_is_after(group, r.window.0) {
                        continue;
                    }
                    let stats = &self.version_stats[usize::from(r.to)];
                    let (requests, errors) = (stats.requests - r.window.1, stats.errors - r.window.2);
                    r.window = (now + *window, stats.requests, stats.errors);
                    self.wake_rollout(group, r.window.0);
                    if requests >= u64::from(*min_requests) && errors as f64 > above * requests as f64 {
                        found = found.or(Some(RollbackCause::Errors));
                    }
                }
            }
        }
        self.set_rollout(group, Some(*r));
        let is_over = r.is_rollback || matches!(r.stage, Stage::Aborting(_));
        found.filter(|_| !is_over)
    }

    pub(super) fn begin_analysis(&mut self, now: SimTime, group: u32, r: &mut Rollout, plan: &AnalysisPlan) {
        for version in [r.to, r.from] {
            let stats = &mut self.version_stats[usize::from(version)];
            stats.is_watched = true;
            stats.latencies.clear();
            stats.analysed = (stats.requests, stats.errors);
        }
        let next = now + plan.interval;
        r.analysis = Some((Analysis::default(), next));
        self.wake_rollout(group, next);
    }

    /// An analysis measures, if an interval is over.
    pub(super) fn analyse(
        &mut self,
        now: SimTime,
        group: u32,
        r: &mut Rollout,
        plan: &AnalysisPlan,
    ) -> Verdict {
        let Some((mut analysis, next)) = r.analysis else {
            self.begin_analysis(now, group, r, plan);
            self.set_rollout(group, Some(*r));
            return Verdict::Running;
        };
        if !self.now_is_after(group, next) {
            return Verdict::Running;
        }
        let [canary, stable] = [r.to, r.from].map(|version| {
            let stats = &mut self.version_stats[usize::from(version)];
            let (requests, errors) = (stats.requests - stats.analysed.0, stats.errors - stats.analysed.1);
            let latency = stats.latencies.quantile(plan.quantile);
            stats.analysed = (stats.requests, stats.errors);
            stats.latencies.clear();
            latency
                .filter(|_| requests > 0)
                .map(|latency_s| Measurement { error_ratio: errors as f64 / requests as f64, latency_s })
        });
        let verdict = analysis.on_interval(&plan.config, canary, stable);
        let next = now + plan.interval;
        if verdict == Verdict::Running {
            r.analysis = Some((analysis, next));
            self.wake_rollout(group, next);
        } else {
            r.analysis = None;
            self.unwatch();
        }
        self.set_rollout(group, Some(*r));
        verdict
    }

    pub(super) fn unwatch(&mut self) {
        self.version_stats.iter_mut().for_each(|stats| stats.is_watched = false);
    }
}
