//! Functions: services whose requests have environments of their own.

use super::event::Event;
use super::{FrameId, World};
use crate::base::{SimTime, mix};
use crate::components::lambda::{Environments, Invocation};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::metrics::trace::Wait;
use crate::model::{Epoch, GroupShape, Model};

/// The environments of a function, and what its gauge shows.
#[derive(Debug)]
pub(super) struct LambdaState {
    environments: Environments,
    shown: u32,
}

/// By instance.
pub(super) fn lambdas(model: &Model, epoch: &Epoch) -> Vec<Option<Box<LambdaState>>> {
    let of_group = |(group, shape): (usize, &GroupShape)| {
        let lambda = epoch.groups[group].lambda.as_ref().map(|(config, _)| *config);
        (0..shape.capacity).map(move |_| {
            let environments = Environments::new(lambda?, SimTime::ZERO);
            Some(Box::new(LambdaState { environments, shown: 0 }))
        })
    };
    model.groups.iter().enumerate().flat_map(of_group).collect()
}

impl<O: Observer> World<'_, O> {
    /// A request asks a function for an environment; `None` if the instance is no function.
    pub(super) fn invoke(&mut self, now: SimTime, instance: u32) -> Option<Invocation> {
        let state = self.lambdas[instance as usize].as_mut()?;
        let met = state.environments.enter(now);
        let group = self.instances[instance as usize].group as usize;
        let meters = self.model.catalog.lambdas[group];
        match met {
            Invocation::Warm => {}
            Invocation::Cold => self.observer.count(meters.cold),
            Invocation::Throttled => self.observer.count(meters.throttled),
        }
        self.show_environments(now, instance);
        Some(met)
    }

    /// A new environment is initialised, and then the request begins.
    pub(super) fn initialise(&mut self, now: SimTime, id: FrameId, instance: u32, key: u64) {
        let Some((_, init)) = &self.group_of(instance).lambda else { return };
        let time = super::layers::sample(init, mix(key, u64::from(instance)));
        self.frames.waits(id, Wait::ColdStart);
        self.queue.schedule(now + time, Rank::Completion, Event::StepDone(id));
    }

    /// A request has ended that had a worker.
    pub(super) fn leave_environment(&mut self, now: SimTime, instance: u32) {
        if let Some(state) = &mut self.lambdas[instance as usize] {
            state.environments.leave(now);
            self.show_environments(now, instance);
        }
    }

    /// New settings for functions, or a new process behind one.
    pub(super) fn reset_environments(&mut self, now: SimTime, instance: u32, is_new: bool) {
        let config = self.group_of(instance).lambda.as_ref().map(|(config, _)| *config);
        match (&mut self.lambdas[instance as usize], config) {
            (Some(state), Some(config)) if !is_new => state.environments.reconfigure(now, config),
            (Some(state), Some(config)) => state.environments = Environments::new(config, now),
            // Whether a service is a function does not change during a run.
            _ => return,
        }
        self.show_environments(now, instance);
    }

    fn show_environments(&mut self, now: SimTime, instance: u32) {
        let Some(state) = &mut self.lambdas[instance as usize] else { return };
        let is = state.environments.count();
        let was = std::mem::replace(&mut state.shown, is);
        if is != was {
            let group = self.instances[instance as usize].group as usize;
            let gauge = self.model.catalog.lambdas[group].environments;
            self.observer.moved(now, gauge, i64::from(is) - i64::from(was));
        }
    }
}
