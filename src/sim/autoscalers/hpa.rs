//! Kubernetes' horizontal pod autoscaler in the world: what it is shown of its pods.

use super::{Condition, Kind};
use crate::base::SimTime;
use crate::components::hpa::{Hpa, Phase, Pod, Proposal, Reading, Sample, Scale};
use crate::metrics::Observer;
use crate::model::autoscaler::HpaSettings;
use crate::model::{Autoscaler, Measure};
use crate::sim::World;

/// A horizontal pod autoscaler as a run has it.
#[derive(Debug)]
pub(super) struct HpaState {
    pub hpa: Hpa,
    /// Kept for their memory.
    pods: Vec<Pod>,
    samples: Vec<Option<Sample>>,
    proposals: Vec<Proposal>,
}

impl HpaState {
    pub fn new(settings: &HpaSettings) -> Self {
        Self {
            hpa: Hpa::new(settings.config.clone()),
            pods: Vec::new(),
            samples: Vec::new(),
            proposals: Vec::new(),
        }
    }
}

impl<O: Observer> World<'_, O> {
    /// Takes the use of all pods since `last`.
    pub(super) fn measure_pods(&mut self, now: SimTime, autoscaler: u32, last: SimTime) {
        let Autoscaler::Hpa(settings) = &self.settings().autoscalers[autoscaler as usize] else { return };
        let group = self.model.autoscalers[autoscaler as usize].group as usize;
        let shape = &self.model.groups[group];
        let base = self.settings().groups[group].memory.map_or(0, |m| m.base);
        let lag = settings.metric_lag;
        for instance in shape.first..shape.first + shape.capacity {
            let memory = base + self.runtimes[instance as usize].leaked;
            let state = &mut self.instances[instance as usize];
            if let Some(meter) = &mut state.meter {
                meter.measure(now, last, lag, state.condition, memory + state.taken);
            }
        }
    }

    /// A sync.
    pub(super) fn sync_hpa(&mut self, now: SimTime, autoscaler: u32) {
        let Autoscaler::Hpa(settings) = &self.settings().autoscalers[autoscaler as usize] else { return };
        let group = self.model.autoscalers[autoscaler as usize].group;
        let current = self.groups[group as usize].wanted;
        let shape = &self.model.groups[group as usize];
        let instances = &mut self.instances[shape.first as usize..(shape.first + shape.capacity) as usize];
        instances.iter_mut().filter_map(|i| i.meter.as_mut()).for_each(|meter| meter.show(now));
        let pods = || instances.iter().filter(|i| i.condition != Condition::Off);
        let Kind::Hpa(state) = &mut self.autoscalers[autoscaler as usize].kind else { return };
        state.proposals.clear();
        for (number, measure) in settings.measures.iter().enumerate() {
            state.pods.clear();
            state.samples.clear();
            for instance in pods() {
                let Some(meter) = &instance.meter else { continue };
                let (request_milli, sample) = match measure {
                    Measure::Cpu { request_milli } => (Some(*request_milli), meter.cpu),
                    Measure::InFlight => (None, meter.in_flight),
                    Measure::Memory { request_milli } => (Some(*request_milli), meter.memory),
                };
                state.samples.push(sample);
                state.pods.push(Pod {
                    phase: if meter.is_pending { Phase::Pending } else { Phase::Running },
                    deleted: instance.condition == Condition::Draining && !instance.pod.returns,
                    ready: Some(instance.condition == Condition::Up && !instance.pod.unready),
                    started: (!meter.is_pending).then_some(meter.started),
                    transition: meter.transition,
                    request_milli,
                });
            }
            let scale = Scale { spec: current, status: state.pods.len() as u32 };
            let reading = Reading::Pods(&state.samples);
            state.proposals.push(state.hpa.propose(number, now, scale, &state.pods, reading));
        }
        let desired = state.hpa.decide(now, current, &state.proposals).desired;
        self.rescale(now, autoscaler, desired);
    }
}
