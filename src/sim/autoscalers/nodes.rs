//! Nodes in the world: pods that wait for one, images that are pulled, and pods that move.

use super::{AutoscalerState, Kind};
use crate::base::{SimDuration, SimTime};
use crate::components::nodes::{Nodes, Placed, PodSpec};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::autoscaler::NodesSettings;
use crate::model::{Autoscaler, AutoscalerShape, Epoch, Model};
use crate::sim::World;
use crate::sim::event::Event;
use crate::sim::instances::Condition;

/// The nodes of an autoscaler with the pods of the start.
pub(super) fn at_start(
    model: &Model,
    epoch: &Epoch,
    shape: &AutoscalerShape,
    settings: &NodesSettings,
) -> Nodes {
    let groups = shape.pods.iter().zip(&settings.pods);
    let pods = groups.flat_map(|(group, pod)| {
        let first = model.groups[*group as usize].first;
        let replicas = epoch.groups[*group as usize].replicas;
        (first..first + replicas).map(|id| PodSpec { id, request_milli: pod.request_milli, image: *group })
    });
    Nodes::new(settings.config, pods)
}

impl<O: Observer> World<'_, O> {
    /// The autoscaler on whose nodes a group's pods run, and the group's number among its.
    fn nodes_of(&self, group: u32) -> Option<(u32, usize)> {
        let mut all = (0..).zip(&self.model.autoscalers);
        all.find_map(|(autoscaler, shape)| Some((autoscaler, shape.pods.iter().position(|g| *g == group)?)))
    }

    fn nodes(&mut self, autoscaler: u32) -> Option<&mut Nodes> {
        match &mut self.autoscalers[autoscaler as usize] {
            AutoscalerState { kind: Kind::Nodes(nodes), .. } => Some(nodes),
            _ => None,
        }
    }

    /// Gauges at the start.
    pub(super) fn start_nodes(&mut self, now: SimTime, autoscaler: u32) {
        let Some(nodes) = self.nodes(autoscaler) else { return };
        let (ready, pending) = (nodes.ready(), nodes.pending());
        let meters = self.model.catalog.autoscalers[autoscaler as usize];
        self.observer.moved(now, meters.nodes, i64::from(ready));
        self.observer.moved(now, meters.pending, i64::from(pending));
    }

    /// An instance is to run as a new pod: the time to pull its image, or `None` if it waits for a node first.
    pub(in crate::sim) fn place_pod(&mut self, now: SimTime, instance: u32) -> Option<SimDuration> {
        let group = self.instances[instance as usize].group;
        let Some((autoscaler, number)) = self.nodes_of(group) else { return Some(SimDuration::ZERO) };
        let Autoscaler::Nodes(settings) = &self.settings().autoscalers[autoscaler as usize] else {
            return Some(SimDuration::ZERO);
        };
        let request_milli = settings.pods[number].request_milli;
        let Some(nodes) = self.nodes(autoscaler) else { return Some(SimDuration::ZERO) };
        let placed = nodes.place(PodSpec { id: instance, request_milli, image: group });
        let is_pending = placed.is_none();
        if let Some(meter) = &mut self.instances[instance as usize].meter {
            meter.is_pending = is_pending;
        }
        if is_pending {
            let meters = self.model.catalog.autoscalers[autoscaler as usize];
            self.observer.moved(now, meters.pending, 1);
        }
        placed.map(|placed| self.pull_time(now, autoscaler, placed))
    }

    /// The time until a pod that has come to a node has its image.
    fn pull_time(&mut self, now: SimTime, autoscaler: u32, placed: Placed) -> SimDuration {
        if let Some(at) = placed.image_at {
            return if at > now { at.since(now) } else { SimDuration::ZERO };
        }
        let instance = placed.pod.id;
        let group = self.instances[instance as usize].group;
        let number = self.model.autoscalers[autoscaler as usize].pods.iter().position(|g| *g == group);
        let (Autoscaler::Nodes(settings), Some(number)) =
            (&self.settings().autoscalers[autoscaler as usize], number)
        else {
            return SimDuration::ZERO;
        };
        let life = self.instances[instance as usize].life;
        let path = format!("{}#{life}", self.model.instance_name(instance));
        let pull = settings.pods[number].image_pull.sample_duration(&mut self.streams.stream(&path, "image"));
        if let Some(nodes) = self.nodes(autoscaler) {
            nodes.pulls(placed, now + pull);
        }
        pull
    }

    /// Whether an instance waits for a node.
    pub(in crate::sim) fn is_pending(&mut self, instance: u32) -> bool {
        let group = self.instances[instance as usize].group;
        let Some((autoscaler, _)) = self.nodes_of(group) else { return false };
        self.nodes(autoscaler).is_some_and(|nodes| nodes.is_pending(instance))
    }

    /// Whether an instance drains since its node goes.
    pub(in crate::sim) fn is_evicted(&mut self, instance: u32) -> bool {
        let group = self.instances[instance as usize].group;
        let Some((autoscaler, _)) = self.nodes_of(group) else { return false };
        self.nodes(autoscaler).is_some_and(|nodes| nodes.is_evicted(instance))
    }

    /// A pod is no more: others may have its place, and if there should still be one, another comes for it.
    pub(in crate::sim) fn leave_node(&mut self, now: SimTime, instance: u32) {
        let (group, target) = self.place_of(instance);
        let Some((autoscaler, _)) = self.nodes_of(group) else { return };
        let Some(nodes) = self.nodes(autoscaler) else { return };
        let pending = nodes.pending();
        let is_gone = nodes.remove(instance);
        let fewer = i64::from(nodes.pending()) - i64::from(pending);
        let meters = self.model.catalog.autoscalers[autoscaler as usize];
        if fewer != 0 {
            self.observer.moved(now, meters.pending, fewer);
        }
        if is_gone {
            self.nodes_went(now, autoscaler, 1);
        }
        self.start_placed(now, autoscaler);
        if !self.is_deployed(group) && target < self.groups[group as usize].wanted {
            self.scale_out(now, instance);
        }
    }

    fn nodes_went(&mut self, now: SimTime, autoscaler: u32, count: u32) {
        if count > 0 {
            let meters = self.model.catalog.autoscalers[autoscaler as usize];
            self.observer.moved(now, meters.nodes, -i64::from(count));
            self.note(now, Change::NodesGone { autoscaler, count });
        }
    }

    /// Pods that waited start where there is room for them now.
    fn start_placed(&mut self, now: SimTime, autoscaler: u32) {
        while let Some(placed) = self.nodes(autoscaler).and_then(Nodes::next_placed) {
            let instance = placed.pod.id;
            let meters = self.model.catalog.autoscalers[autoscaler as usize];
            self.observer.moved(now, meters.pending, -1);
            let pull = self.pull_time(now, autoscaler, placed);
            self.pod_begins(now, instance);
            self.process_begins(now + pull, instance);
            if let Some(meter) = &mut self.instances[instance as usize].meter {
                meter.is_pending = false;
            }
            // One that a fault keeps down starts when that is over.
            if self.instances[instance as usize].condition == Condition::Starting {
                self.start_pod(now, instance, pull);
            }
        }
    }

    /// A pod on a node starts: its image is pulled, then its process comes up.
    pub(in crate::sim) fn start_pod(&mut self, now: SimTime, instance: u32, pull: SimDuration) {
        let life = self.instances[instance as usize].life;
        let settings = self.group_of(instance);
        let path = format!("{}#{life}", self.model.instance_name(instance));
        let delay = settings.start_up.sample_duration(&mut self.streams.stream(&path, "start"));
        self.queue.schedule(now + pull + delay, Rank::Control, Event::InstanceUp { instance, life });
    }

    /// A scan.
    pub(super) fn scan_nodes(&mut self, now: SimTime, autoscaler: u32) {
        let Autoscaler::Nodes(settings) = &self.settings().autoscalers[autoscaler as usize] else { return };
        let Some(nodes) = self.nodes(autoscaler) else { return };
        let scan = nodes.scan(now);
        let meters = self.model.catalog.autoscalers[autoscaler as usize];
        let path = format!("autoscalers.{}", self.model.autoscalers[autoscaler as usize].name);
        for node in &scan.added {
            let mut rng = self.streams.stream(&format!("{path}#{node}"), "boot");
            let boot = settings.boot.sample_duration(&mut rng);
            self.queue.schedule(now + boot, Rank::Control, Event::NodeReady { autoscaler, node: *node });
        }
        if !scan.added.is_empty() {
            self.observer.count(meters.ups);
            let count = scan.added.len() as u32;
            self.note(now, Change::NodesAsked { autoscaler, count });
        }
        self.observer.count_many(meters.given_up, u64::from(scan.given_up));
        if scan.removed > 0 || !scan.evicted.is_empty() {
            self.observer.count(meters.downs);
        }
        self.nodes_went(now, autoscaler, scan.removed);
        for instance in scan.evicted {
            self.scale_in(now, instance);
        }
    }

    /// A node has come.
    pub(in crate::sim) fn on_node_ready(&mut self, now: SimTime, autoscaler: u32, node: u32) {
        if self.nodes(autoscaler).is_some_and(|nodes| nodes.node_ready(node)) {
            let meters = self.model.catalog.autoscalers[autoscaler as usize];
            self.observer.moved(now, meters.nodes, 1);
            self.note(now, Change::NodeReady { autoscaler });
            self.start_placed(now, autoscaler);
        }
    }
}
