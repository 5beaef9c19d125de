//! Message queues: names that exist, dead letters that come to rest, values within the products' limits.

use super::each_step;
use super::names::{Component, find};
use super::values::{MANY, at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::quantity::Seconds;
use crate::spec::queue::{Kafka, MessageQueue, RabbitMq, RabbitQueueType, Sqs};
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::{Step, Topology};

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    for (_, service) in topology.services.iter() {
        for (_, steps) in service.endpoints.iter() {
            each_step(steps, &mut |step| {
                if let Step::Publish(publish) = step {
                    known(topology, &publish.queue, cx);
                }
            });
        }
    }
    for (_, database) in topology.databases.iter() {
        for (_, steps) in database.queries.iter() {
            each_step(steps, &mut |step| {
                if let Step::Publish(publish) = step {
                    cx.fail::<()>(publish.span, "a query cannot publish messages");
                }
            });
        }
    }
    for (name, queue) in topology.queues.iter() {
        if let Some(consumer) = queue.consumer() {
            endpoint(topology, consumer.endpoint, cx);
            if !(1..=CONSUMERS_MAX).contains(&consumer.count) {
                cx.fail::<()>(
                    consumer.endpoint.span,
                    format!("each instance must have from 1 to {CONSUMERS_MAX} consumers of a queue"),
                );
            }
        }
        dead_letter(topology, name, queue, cx);
        match queue {
            MessageQueue::Sqs(q) => sqs(q, cx),
            MessageQueue::Kafka(q) => kafka(q, cx),
            MessageQueue::RabbitMq(q) => rabbit(q, cx),
        }
    }
}

/// The most consumers of a queue that an instance has.
const CONSUMERS_MAX: u32 = 10_000;

fn known(topology: &Topology, queue: &Spanned<String>, cx: &mut Context) -> bool {
    let is_known = topology.queues.get(&queue.value).is_some();
    if !is_known {
        cx.diagnostics.push(
            Diagnostic::error(queue.span, format!("there is no queue `{}`", queue.value))
                .nearest(&queue.value, topology.queues.names()),
        );
    }
    is_known
}

/// Messages are handled by an endpoint of a service.
fn endpoint(topology: &Topology, to: &Spanned<String>, cx: &mut Context) {
    let Some((name, endpoint)) = to.value.split_once('/') else {
        cx.diagnostics.push(
            Diagnostic::error(to.span, format!("`{}` names no endpoint", to.value))
                .help("write `service/endpoint`, such as \"worker/handle\""),
        );
        return;
    };
    let Some(service) = topology.services.get(name) else {
        let error = Diagnostic::error(to.span, format!("there is no service `{name}`"));
        cx.diagnostics.push(match find(topology, name) {
            Some(Component::Balancer(_)) => error.help(
                "instances take messages themselves: name the service, not the balancer in front of it",
            ),
            Some(_) => error.help("messages are handled by services"),
            None => error.nearest(name, topology.services.names()),
        });
        return;
    };
    if service.endpoints.get(endpoint).is_none() {
        cx.diagnostics.push(
            Diagnostic::error(to.span, format!("`{name}` has no endpoint `{endpoint}`"))
                .nearest(endpoint, service.endpoints.names()),
        );
    }
}

/// Dead letters go to another queue, and come to rest somewhere.
fn dead_letter(topology: &Topology, name: &str, queue: &MessageQueue, cx: &mut Context) {
    let Some(first) = queue.dead_letter() else { return };
    if !known(topology, first, cx) {
        return;
    }
    if let (MessageQueue::Sqs(from), Some(to)) = (queue, topology.queues.get(&first.value)) {
        match to {
            MessageQueue::Sqs(to) if to.fifo == from.fifo => {}
            _ => {
                let kind = if from.fifo { "a FIFO queue" } else { "a standard queue" };
                cx.fail::<()>(first.span, format!("the dead-letter queue of {kind} of SQS must be one, too"));
            }
        }
    }
    let mut trail = vec![name];
    let mut next = Some(first);
    while let Some(to) = next {
        if trail.contains(&to.value.as_str()) {
            trail.push(&to.value);
            // Said once, at the first of them by name.
            if to.value == name && trail.iter().min() == Some(&name) {
                let circle = trail.join(" -> ");
                cx.fail::<()>(first.span, format!("these dead letters never come to rest: {circle}"));
            }
            return;
        }
        trail.push(&to.value);
        next = topology.queues.get(&to.value).and_then(MessageQueue::dead_letter);
    }
}

fn range(value: Seconds, what: &str, [least, most]: [(f64, &str); 2], span: Span, cx: &mut Context) {
    if !(least.0..=most.0).contains(&value.0) {
        cx.fail::<()>(span, format!("`{what}` must be from {} to {}", least.1, most.1));
    }
}

fn sqs(q: &Sqs, cx: &mut Context) {
    let none = (0.0, "0s");
    let most = (43_200.0, "12h");
    range(q.visibility_timeout, "visibility_timeout", [none, most], q.place("visibility_timeout"), cx);
    range(q.delay, "delay", [none, (900.0, "15m")], q.place("delay"), cx);
    let place = q.place("message_retention_period");
    let limits = [(60.0, "60s"), (1_209_600.0, "14d")];
    range(q.message_retention_period, "message_retention_period", limits, place, cx);
    if q.max_in_flight == Some(0) {
        cx.fail::<()>(q.place("max_in_flight"), "`max_in_flight` must be at least 1");
    }
    if let Some(redrive) = &q.redrive_policy
        && !(1..=1000).contains(&redrive.max_receive_count)
    {
        let message = "`max_receive_count` must be from 1 to 1000";
        cx.fail::<()>(redrive.place("max_receive_count"), message);
    }
    let Some(c) = &q.consumer else { return };
    if !(1..=10).contains(&c.max_number_of_messages) {
        let message = "`max_number_of_messages` must be from 1 to 10";
        cx.fail::<()>(c.place("max_number_of_messages"), message);
    }
    range(c.wait_time, "wait_time", [none, (20.0, "20s")], c.place("wait_time"), cx);
    if c.wait_time.0 == 0.0 {
        let limits = [(0.001, "1ms"), (f64::from(MANY), "11d")];
        range(c.poll_interval, "poll_interval", limits, c.place("poll_interval"), cx);
    }
}

/// The most partitions of a topic: the brokers of a cluster have some thousands each.
const PARTITIONS_MAX: u32 = 10_000;

fn kafka(q: &Kafka, cx: &mut Context) {
    if !(1..=PARTITIONS_MAX).contains(&q.partitions) {
        cx.fail::<()>(q.place("partitions"), format!("`partitions` must be from 1 to {PARTITIONS_MAX}"));
    }
    let Some(c) = &q.consumer else { return };
    positive_time(c.session_timeout, "session_timeout", c.place("session_timeout"), cx);
    positive_time(c.heartbeat_interval, "heartbeat_interval", c.place("heartbeat_interval"), cx);
    positive_time(c.max_poll_interval, "max_poll_interval", c.place("max_poll_interval"), cx);
    if c.heartbeat_interval.0 >= c.session_timeout.0 {
        cx.fail::<()>(c.place("heartbeat_interval"), "`heartbeat_interval` must be below `session_timeout`");
    }
    at_least_one(c.max_poll_records, "max_poll_records", c.place("max_poll_records"), cx);
    at_least_one(c.attempts, "attempts", c.place("attempts"), cx);
    positive_time(c.auto_commit_interval, "auto_commit_interval", c.place("auto_commit_interval"), cx);
}

fn rabbit(q: &RabbitMq, cx: &mut Context) {
    match q.queue_type {
        RabbitQueueType::Quorum if q.max_priority.is_some() => {
            cx.fail::<()>(q.place("max_priority"), "only a classic queue has `max_priority`");
        }
        RabbitQueueType::Classic if q.delivery_limit.is_some() => {
            cx.fail::<()>(q.place("delivery_limit"), "only a quorum queue has a `delivery_limit`");
        }
        _ => {}
    }
    if let Some(ttl) = q.message_ttl {
        positive_time(ttl, "message_ttl", q.place("message_ttl"), cx);
    }
    if let Some(length) = q.max_length {
        at_least_one(length, "max_length", q.place("max_length"), cx);
    } else if q.places.of("overflow").is_some() {
        cx.fail::<()>(q.place("overflow"), "`overflow` has no effect without a `max_length`");
    }
    if let Some(memory) = &q.memory {
        if memory.message_size.0 == 0 {
            cx.fail::<()>(memory.place("message_size"), "`message_size` must be at least 1B");
        } else if memory.size.0 as f64 * memory.high_watermark.0 < memory.message_size.0 as f64 {
            cx.fail::<()>(memory.span, "there is no room for a single message below the watermark");
        }
    }
    if let Some(c) = &q.consumer {
        positive_time(c.consumer_timeout, "consumer_timeout", c.place("consumer_timeout"), cx);
    }
}
