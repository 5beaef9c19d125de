//! Metrics of message queues.

use super::Builder;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::queues::QueueShape;

/// Ids of the meters that belong to a message queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueMeters {
    /// The first of the counters, in the order of [`COUNTERS`].
    pub counters: u32,
    /// Gauge: messages that wait.
    pub backlog: u32,
    /// Gauge: messages with consumers.
    pub in_flight: u32,
    /// Gauge: both together.
    pub lag: u32,
    /// Gauge, in milliseconds: age of the oldest message.
    pub oldest: u32,
    /// Timer: from publish to acknowledgement.
    pub latency: u32,
}

/// What is counted of a queue, and what it means.
pub const COUNTERS: [(&str, &str); 10] = [
    ("published", "messages that the broker accepted, dead letters from other queues included"),
    ("delivered", "deliveries to consumers"),
    ("acknowledged", "messages that left because they had been handled"),
    ("redelivered", "deliveries of messages that had been delivered before"),
    ("duplicates", "times that a message was handled well which had been handled well before"),
    ("dead_lettered", "messages that left as dead letters"),
    ("expired", "messages that left because they were too old"),
    ("dropped", "messages that left because the queue was too long, or because they could not be handled"),
    ("refused", "messages that the broker did not take, or that did not reach it"),
    ("rebalances", "times that partitions were given out anew (Kafka)"),
];

impl Builder {
    pub(super) fn queue(&mut self, shape: &QueueShape) {
        let path = format!("queues.{}", shape.name);
        let counters = self.catalog.counters;
        self.catalog.counters += COUNTERS.len() as u32;
        let meters = QueueMeters {
            counters,
            backlog: self.gauge(),
            in_flight: self.gauge(),
            lag: self.gauge(),
            oldest: self.gauge(),
            latency: self.timer(),
        };
        self.catalog.queues.push(meters);
        let messages = Unit::Count("messages");
        for (number, (name, meaning)) in (counters..).zip(COUNTERS) {
            self.add(format!("{path}.{name}"), messages, meaning, Source::CounterTotal(number));
        }
        for (name, meaning, at) in [
            ("rate", "messages accepted per second", 0),
            ("throughput", "messages acknowledged per second", 2),
        ] {
            self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, Source::CounterRate(counters + at));
        }
        for (name, meaning, gauge) in [
            ("backlog", "messages waiting to be delivered", meters.backlog),
            ("in_flight", "messages with consumers, not acknowledged", meters.in_flight),
            (
                "lag",
                "messages not acknowledged: backlog and in flight (Kafka: end less committed offset)",
                meters.lag,
            ),
        ] {
            self.level(format!("{path}.{name}"), messages, meaning, gauge, 1.0);
        }
        let meaning = "age of the oldest message, as of the last second or move of the queue";
        self.level(format!("{path}.oldest_age"), Unit::Seconds, meaning, meters.oldest, 1e-3);
        self.timer_metrics(
            &format!("{path}.latency"),
            meters.latency,
            "from first publish to acknowledgement, of messages acknowledged",
        );
    }
}
