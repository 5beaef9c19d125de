//! Message queues, compiled.

use crate::base::SimDuration;
use crate::components::broker::BrokerConfig;

/// A message queue, as far as it never changes.
#[derive(Clone, Debug)]
pub struct QueueShape {
    /// Its name.
    pub name: String,
    /// The group whose instances consume it, if any do.
    pub consumer: Option<u32>,
    /// The most consumers that an instance ever has.
    pub consumers_max: u32,
}

/// A message queue's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// How the broker behaves.
    pub config: BrokerConfig,
    /// The queue that its dead letters go to.
    pub dead_letter: Option<u32>,
    /// Who handles the messages.
    pub consumer: Option<ConsumerSettings>,
}

/// How instances consume a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerSettings {
    /// The endpoint that handles a message.
    pub endpoint: u32,
    /// How many consumers each instance has.
    pub count: u32,
    /// The time that messages take to a consumer.
    pub latency: SimDuration,
    /// The time from the end of a handler until the broker learns of it.
    pub tells_after: SimDuration,
    /// The pause after asking in vain; without it, asking waits for messages.
    pub pause: Option<SimDuration>,
}
