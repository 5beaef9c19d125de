//! Queues, from the language's types to the components' own.

use super::draw;
use super::limits::tenant_number;
use crate::base::count::Count;
use crate::base::{SimDuration, salt};
use crate::components::lambda::LambdaConfig;
use crate::components::queue::{Discipline, QueueConfig, ShedConfig};
use crate::model::Draw;
use crate::spec::lambda::Lambda;
use crate::spec::topology::{Service, Topology};
use crate::spec::waiting as sq;

pub(super) fn config(q: &sq::Queue, topology: &Topology) -> QueueConfig {
    let discipline = match &q.discipline {
        sq::Discipline::Fifo => Discipline::Fifo,
        sq::Discipline::Lifo => Discipline::Lifo,
        sq::Discipline::Priority => Discipline::Priority,
        sq::Discipline::AdaptiveLifo(a) => Discipline::AdaptiveLifo { above: a.above },
        sq::Discipline::EarliestDeadline(_) => Discipline::EarliestDeadline,
        sq::Discipline::WeightedFair(w) => {
            let mut weights = Vec::new();
            for (name, weight) in w.weights.iter() {
                let class = usize::from(tenant_number(topology, name));
                weights.resize(weights.len().max(class + 1), 1.0);
                weights[class] = *weight;
            }
            Discipline::WeightedFair { weights }
        }
    };
    let shed = match &q.shed {
        None => ShedConfig::None,
        Some(sq::Shed::CoDel(c)) => {
            ShedConfig::CoDel { target: c.target.duration(), interval: c.interval.duration() }
        }
        Some(sq::Shed::ControlledDelay(c)) => {
            ShedConfig::ControlledDelay { target: c.target.duration(), interval: c.interval.duration() }
        }
        Some(sq::Shed::RandomEarly(r)) => ShedConfig::RandomEarly {
            min: r.min,
            max: r.max,
            probability: r.probability.0,
            weight: r.weight,
            service: r.service.duration(),
        },
    };
    QueueConfig { discipline, shed, capacity: q.capacity, bytes_max: q.bytes.as_ref().map(|b| b.limit.0) }
}

pub(super) fn bytes(q: &sq::Queue, name: &str) -> Option<(Count, u64)> {
    let bytes = q.bytes.as_ref()?;
    Some((bytes.each.count.clone(), salt(&format!("services.{name}.queue.bytes"))))
}

/// The limits of a function, and how long a new environment takes.
pub(super) fn lambda(l: &Lambda, name: &str) -> (LambdaConfig, Draw) {
    let config = LambdaConfig {
        concurrency_max: l.concurrency,
        provisioned: l.provisioned,
        batch: l.scaling_batch,
        refill: l.scaling_period.duration(),
        idle: l.idle_timeout.duration(),
    };
    (config, draw(&l.init.dist, &format!("services.{name}.lambda.init")))
}

/// How long after it came a request is due, endpoint by endpoint.
pub(super) fn deadlines(s: &Service) -> Vec<SimDuration> {
    let sq::Discipline::EarliestDeadline(order) = &s.queue.discipline else { return Vec::new() };
    let due = |name: &str| order.deadlines.get(name).unwrap_or(&order.default).duration();
    s.endpoints.names().map(due).collect()
}
