//! Message queues from the specification.

use super::{Compiler, ShapeError, draw};
use crate::base::dist::Dist;
use crate::base::{SimDuration, salt};
use crate::components::broker::BrokerConfig;
use crate::components::broker::kafka::{Assignor, Commit, KafkaConfig};
use crate::components::broker::rabbit::{Overflow, RabbitConfig};
use crate::components::broker::sqs::SqsConfig;
use crate::model::queues::{ConsumerSettings, QueueSettings, QueueShape};
use crate::model::{GroupKind, Model, Step};
use crate::spec::quantity::Seconds;
use crate::spec::queue::{
    Kafka, KafkaAssignor, KafkaCommit, KafkaConsumer, MessageQueue, Publish, RabbitFailure, RabbitMemory,
    RabbitMq, RabbitOverflow, RabbitQueueType, Sqs, SqsFailure,
};
use crate::spec::topology::Topology;

/// What never changes of the queues.
pub(super) fn shapes(epochs: &[Topology]) -> Vec<QueueShape> {
    let first = &epochs[0];
    let shape = |(name, queue): (&str, &MessageQueue)| QueueShape {
        name: name.to_string(),
        consumer: service_of(first, queue),
        consumers_max: epochs
            .iter()
            .filter_map(|e| e.queues.get(name)?.consumer().map(|c| c.count))
            .max()
            .unwrap_or(0),
    };
    first.queues.iter().map(shape).collect()
}

/// The group that consumes a queue: services come first among the groups.
fn service_of(topology: &Topology, queue: &MessageQueue) -> Option<u32> {
    let (service, _) = queue.consumer()?.endpoint.value.split_once('/')?;
    topology.services.position(service).map(|at| at as u32)
}

fn product(queue: &MessageQueue) -> &'static str {
    match queue {
        MessageQueue::Sqs(q) if q.fifo => "a FIFO queue of SQS",
        MessageQueue::Sqs(_) => "a standard queue of SQS",
        MessageQueue::RabbitMq(_) => "a queue of RabbitMQ of another type",
        MessageQueue::Kafka(_) => "a topic of Kafka with another number of partitions",
    }
}

/// Why an epoch's queues do not fit those at the start.
pub(super) fn same_shape(model: &Model, topology: &Topology, epoch: usize) -> Result<(), ShapeError> {
    let fail = |what: String| Err(ShapeError { what, epoch });
    if let Some(name) = topology.queues.names().find(|n| model.queues.iter().all(|q| q.name != *n)) {
        return fail(format!("add the queue `{name}`"));
    }
    for (at, shape) in model.queues.iter().enumerate() {
        let Some(queue) = topology.queues.get(&shape.name) else {
            return fail(format!("remove the queue `{}`", shape.name));
        };
        if service_of(topology, queue) != shape.consumer {
            return fail(format!("change which service consumes the queue `{}`", shape.name));
        }
        let first = model.epochs.first().and_then(|e| e.queues.get(at));
        if first.is_some_and(|first| !is_same_kind(&first.config, &config(queue))) {
            return fail(format!("make the queue `{}` {}", shape.name, product(queue)));
        }
    }
    Ok(())
}

fn is_same_kind(a: &BrokerConfig, b: &BrokerConfig) -> bool {
    match (a, b) {
        (BrokerConfig::Sqs(a), BrokerConfig::Sqs(b)) => a.fifo == b.fifo,
        // A policy can change all but the type, which is what has the limits of deliveries and the priorities.
        (BrokerConfig::Rabbit(a), BrokerConfig::Rabbit(b)) => {
            a.delivery_limit.is_some() == b.delivery_limit.is_some() && a.max_priority == b.max_priority
        }
        (BrokerConfig::Kafka(a), BrokerConfig::Kafka(b)) => a.partitions == b.partitions,
        _ => false,
    }
}

/// The settings of all queues.
pub(super) fn settings(model: &Model, topology: &Topology) -> Vec<QueueSettings> {
    topology.queues.iter().map(|(_, queue)| one(model, topology, queue)).collect()
}

fn one(model: &Model, topology: &Topology, queue: &MessageQueue) -> QueueSettings {
    let consumer = queue.consumer().and_then(|consumer| {
        let (service, name) = consumer.endpoint.value.split_once('/')?;
        let is_it = |g: &&crate::model::GroupShape| g.kind == GroupKind::Service && g.name == service;
        let group = model.groups.iter().find(is_it)?;
        let endpoint = group.endpoints.clone().find(|e| model.endpoints[*e as usize].name == name)?;
        Some(ConsumerSettings {
            endpoint,
            count: consumer.count,
            latency: consumer.latency.duration(),
            // Consumers of Kafka keep account themselves, and commit when they poll.
            tells_after: match queue {
                MessageQueue::Kafka(_) => SimDuration::ZERO,
                MessageQueue::Sqs(_) | MessageQueue::RabbitMq(_) => consumer.latency.duration(),
            },
            pause: pause(queue),
        })
    });
    QueueSettings {
        config: config(queue),
        dead_letter: queue
            .dead_letter()
            .and_then(|to| topology.queues.position(&to.value))
            .map(|at| at as u32),
        consumer,
    }
}

fn pause(queue: &MessageQueue) -> Option<SimDuration> {
    match queue {
        MessageQueue::Sqs(Sqs { consumer: Some(c), .. }) if c.wait_time.0 == 0.0 => {
            Some(c.poll_interval.duration())
        }
        MessageQueue::Sqs(_) | MessageQueue::Kafka(_) | MessageQueue::RabbitMq(_) => None,
    }
}

fn config(queue: &MessageQueue) -> BrokerConfig {
    match queue {
        MessageQueue::Sqs(q) => BrokerConfig::Sqs(sqs(q)),
        MessageQueue::Kafka(q) => BrokerConfig::Kafka(kafka(q)),
        MessageQueue::RabbitMq(q) => BrokerConfig::Rabbit(rabbit(q)),
    }
}

/// A topic that nobody consumes has a group without members: what it would be like does not matter.
fn kafka(q: &Kafka) -> KafkaConfig {
    let c = q.consumer.as_ref();
    let time = |of: fn(&KafkaConsumer) -> Seconds| c.map_or(SimDuration::from_secs(1), |c| of(c).duration());
    KafkaConfig {
        partitions: q.partitions,
        assignor: match c.map(|c| &c.partition_assignment_strategy) {
            Some(KafkaAssignor::CooperativeSticky) => Assignor::CooperativeSticky,
            Some(KafkaAssignor::Range) | None => Assignor::Range,
        },
        session_timeout: time(|c| c.session_timeout),
        heartbeat_interval: time(|c| c.heartbeat_interval),
        max_poll_interval: time(|c| c.max_poll_interval),
        max_poll_records: c.map_or(1, |c| c.max_poll_records),
        commit: match c.map(|c| &c.commit) {
            Some(KafkaCommit::EachPoll) => Commit::EachPoll,
            Some(KafkaCommit::EachRecord) => Commit::EachRecord,
            Some(KafkaCommit::Auto) | None => Commit::Auto(time(|c| c.auto_commit_interval)),
        },
        initial_rebalance_delay: time(|c| c.group_initial_rebalance_delay),
        attempts: c.map_or(1, |c| c.attempts),
        has_dead_letters: c.is_some_and(|c| c.dead_letter.is_some()),
    }
}

/// The delivery limit of quorum queues since RabbitMQ 4.0.
const DELIVERY_LIMIT: u32 = 20;

fn rabbit(q: &RabbitMq) -> RabbitConfig {
    let c = q.consumer.as_ref();
    let room = |m: &RabbitMemory| (m.size.0 as f64 * m.high_watermark.0 / m.message_size.0 as f64) as u64;
    RabbitConfig {
        prefetch: c.map_or(0, |c| c.prefetch),
        delivery_limit: match q.queue_type {
            RabbitQueueType::Quorum => Some(q.delivery_limit.unwrap_or(DELIVERY_LIMIT)),
            RabbitQueueType::Classic => None,
        },
        message_ttl: q.message_ttl.map(|ttl| ttl.duration()),
        max_length: q.max_length,
        overflow: match q.overflow {
            RabbitOverflow::DropHead => Overflow::DropHead,
            RabbitOverflow::RejectPublish => Overflow::RejectPublish,
        },
        max_priority: q.max_priority.unwrap_or(0),
        consumer_timeout: c.map_or(SimDuration::MAX, |c| c.consumer_timeout.duration()),
        messages_max: q.memory.as_ref().map_or(u64::MAX, room),
        requeues: c.is_none_or(|c| matches!(c.on_failure, RabbitFailure::Requeue)),
        has_dead_letters: q.dead_letter.is_some(),
    }
}

/// The most messages in flight (developer guide, 2023).
const IN_FLIGHT_MAX: [u32; 2] = [120_000, 20_000];

fn sqs(q: &Sqs) -> SqsConfig {
    SqsConfig {
        visibility_timeout: q.visibility_timeout.duration(),
        delay: q.delay.duration(),
        retention: q.message_retention_period.duration(),
        in_flight_max: q.max_in_flight.unwrap_or(IN_FLIGHT_MAX[usize::from(q.fifo)]),
        fifo: q.fifo,
        max_receive_count: q.redrive_policy.as_ref().map(|r| r.max_receive_count),
        batch: q.consumer.as_ref().map_or(1, |c| c.max_number_of_messages),
        releases: q.consumer.as_ref().is_some_and(|c| matches!(c.on_failure, SqsFailure::Release)),
    }
}

impl Compiler {
    /// Publishing is a wait until the broker has the message, and then what the broker says.
    pub(super) fn publish(&mut self, topology: &Topology, step: &Publish, path: &str, out: &mut Vec<Step>) {
        let Some(queue) = topology.queues.get(&step.queue.value) else { return };
        let latency = &queue.publish_latency().dist;
        if !matches!(latency, Dist::Constant(time) if *time == 0.0) {
            out.push(Step::Wait(draw(latency, &format!("{path}.publish_latency"))));
        }
        let number = topology.queues.position(&step.queue.value).unwrap_or(0) as u32;
        out.push(Step::Publish { queue: number, salt: salt(path) });
    }
}
