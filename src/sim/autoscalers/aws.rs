//! Policies of Amazon's Auto Scaling in the world: datapoints, alarms, and what is in service.

use super::{Condition, Kind, Totals, moment};
use crate::base::SimTime;
use crate::components::aws_scaling::{Fleet, ScalingPolicy};
use crate::metrics::Observer;
use crate::model::Autoscaler;
use crate::model::autoscaler::{AwsMetric, AwsSettings};
use crate::sim::World;
use std::collections::VecDeque;

/// A policy as a run has it.
#[derive(Debug)]
pub(super) struct AwsState {
    pub policy: ScalingPolicy,
    /// Datapoints that are still to be seen, and when they are.
    datapoints: VecDeque<(SimTime, Option<f64>)>,
    /// What each instance had used at the last datapoint.
    totals: Vec<Totals>,
}

impl AwsState {
    pub fn new(settings: &AwsSettings, capacity: u32) -> Self {
        Self {
            policy: ScalingPolicy::new(settings.policy.clone()),
            datapoints: VecDeque::new(),
            totals: vec![Totals::default(); capacity as usize],
        }
    }
}

impl<O: Observer> World<'_, O> {
    /// The datapoint of the period since `last`: of instances in service that have warmed up.
    pub(super) fn take_datapoint(&mut self, now: SimTime, autoscaler: u32, last: SimTime) {
        let Autoscaler::Aws(settings) = &self.settings().autoscalers[autoscaler as usize] else { return };
        let group = self.model.autoscalers[autoscaler as usize].group as usize;
        let shape = &self.model.groups[group];
        let cores = self.model.epochs[self.epoch].groups[group].cores.unwrap_or(1.0);
        let warmup = settings.policy.warmup().ns() as i64;
        let Kind::Aws(state) = &mut self.autoscalers[autoscaler as usize].kind else { return };
        let (mut in_service, mut requests, mut used, mut held, mut there_ns) = (0u32, 0u64, 0.0, 0.0, 0.0);
        for (number, before) in state.totals.iter_mut().enumerate() {
            let instance = &mut self.instances[shape.first as usize + number];
            let Some(meter) = &mut instance.meter else { continue };
            meter.advance(now);
            let totals = meter.totals;
            let before = std::mem::replace(before, totals);
            requests += totals.requests - before.requests;
            if instance.condition != Condition::Up || meter.transition.saturating_add(warmup) > moment(now) {
                continue;
            }
            in_service += 1;
            let same = before.turns == totals.turns;
            used += totals.core_ns - if same { before.core_ns } else { 0.0 };
            held += totals.request_ns - if same { before.request_ns } else { 0.0 };
            there_ns += (moment(now) - meter.transition.max(moment(last))) as f64;
        }
        let minutes = now.since(last).seconds() / 60.0;
        let datapoint = match settings.metric {
            AwsMetric::RequestCountPerTarget => {
                (in_service > 0 && minutes > 0.0).then(|| requests as f64 / minutes / f64::from(in_service))
            }
            AwsMetric::CpuUtilization => (there_ns > 0.0).then(|| used / (there_ns * cores) * 100.0),
            AwsMetric::InFlight => (there_ns > 0.0).then(|| held / there_ns),
        };
        state.datapoints.push_back((now + settings.metric_lag, datapoint));
    }

    /// Alarms are evaluated with the datapoints that can be seen by now, and act.
    pub(super) fn evaluate_alarms(&mut self, now: SimTime, autoscaler: u32) {
        let group = self.model.autoscalers[autoscaler as usize].group;
        let fleet = self.fleet(now, autoscaler, group);
        let Kind::Aws(state) = &mut self.autoscalers[autoscaler as usize].kind else { return };
        let mut alarms = 0;
        while let Some((at, datapoint)) = state.datapoints.front().copied()
            && at <= now
        {
            state.datapoints.pop_front();
            alarms += state.policy.observe(datapoint);
        }
        let desired = state.policy.act(now, fleet);
        let meter = self.model.catalog.autoscalers[autoscaler as usize].alarms;
        self.observer.count_many(meter, u64::from(alarms));
        if let Some(desired) = desired {
            self.rescale(now, autoscaler, desired);
        }
    }

    /// What there is of a group, as a policy of it sees that.
    fn fleet(&self, now: SimTime, autoscaler: u32, group: u32) -> Fleet {
        let shape = &self.model.groups[group as usize];
        let desired = self.groups[group as usize].wanted;
        let Kind::Aws(state) = &self.autoscalers[autoscaler as usize].kind else {
            return Fleet { desired, warming: 0, settled: Some(now), may_shrink: true };
        };
        let warmup = state.policy.config().warmup().ns() as i64;
        let all = &self.instances[shape.first as usize..(shape.first + shape.capacity) as usize];
        let is_deployed = self.is_deployed(group);
        let (mut warming, mut settled) = (0, Some(0));
        for (target, instance) in (0..).zip(all) {
            // Where versions are deployed an instance may stand anywhere.
            let is_wanted = match is_deployed {
                true => !matches!(instance.condition, Condition::Off | Condition::Draining),
                false => target < desired,
            };
            if !is_wanted {
                continue;
            }
            let since = instance.meter.as_ref().map_or(0, |meter| meter.transition);
            if instance.condition != Condition::Up {
                settled = None;
            }
            settled = settled.map(|moment: i64| moment.max(since));
            let is_warm = instance.condition == Condition::Up && since.saturating_add(warmup) <= moment(now);
            warming += u32::from(!is_warm);
        }
        let others = self.model.autoscalers.iter().zip(&self.autoscalers).enumerate();
        let others = others.filter(|(i, (shape, _))| *i != autoscaler as usize && shape.group == group);
        let may_shrink = others
            .filter_map(|(_, (_, other))| match &other.kind {
                Kind::Aws(other) => Some(other.policy.agrees_to_scale_in()),
                _ => None,
            })
            .all(|agrees| agrees);
        let settled = settled.map(|moment| SimTime::from_ns(moment as u64));
        Fleet { desired, warming, settled, may_shrink }
    }
}
