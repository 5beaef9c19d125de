//! Message brokers: who gets which message when, and what becomes of it.
//!
//! One machine for each product. Each holds its messages, is told what happened and when, and answers whom it delivers
//! to. Two things are the same for all: every message that was accepted is, at any moment, in exactly one of the places
//! that [`Tally::is_conserved`] adds up; and nothing but an acknowledgement, a limit that the product has (retention,
//! TTL, length) or a dead-letter rule ever takes a message away: delivery is at least once.

pub mod kafka;
pub mod rabbit;
pub mod sqs;

use crate::base::{SimDuration, SimTime};
use kafka::{Kafka, KafkaConfig};
use rabbit::{Rabbit, RabbitConfig};
use sqs::{Sqs, SqsConfig};

/// What a message carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The key of its random numbers.
    pub key: u64,
    /// What it is about: the message group (SQS), the record's key (Kafka).
    pub about: u32,
    /// Its priority.
    pub priority: u8,
    /// The number of the tenant that it is made for; 0 if none.
    pub tenant: u8,
    /// Whether `about` is a key that others may ask for, too.
    pub is_keyed: bool,
    /// Whether nobody can handle it.
    pub is_poisoned: bool,
}

/// A message on its way to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message's number in its queue.
    pub id: u64,
    /// How often it has been delivered, this time included: what tells this delivery from others of the message.
    pub receipt: u32,
    /// What it carries.
    pub message: Message,
}

/// What became of something that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The broker has it.
    Accepted,
    /// The broker does not take it; the publisher learns that.
    Refused,
    /// The broker does not read from its publishers now: they wait.
    Blocked,
}

/// Where messages went that left a queue: filled by the machines, emptied by whoever calls them.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// When those were published that have been acknowledged.
    pub acknowledged: Vec<SimTime>,
    /// Dead letters, and when they were first published.
    pub dead: Vec<(SimTime, Message)>,
}

/// Messages of one queue: they always add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages accepted.
    pub published: u64,
    /// Messages that left because a consumer had handled them.
    pub acknowledged: u64,
    /// Messages that left as dead letters.
    pub dead_lettered: u64,
    /// Messages that left because they were too old.
    pub expired: u64,
    /// Messages that left because the queue was too long, or because nobody could handle them.
    pub dropped: u64,
    /// Messages that can be delivered, now or after a delay.
    pub waiting: u64,
    /// Messages that are with a consumer.
    pub in_flight: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Deliveries of messages that had been delivered before.
    pub redelivered: u64,
    /// Times that a message was handled well which had been handled well before.
    pub duplicates: u64,
    /// Messages that were not accepted.
    pub refused: u64,
    /// Times that partitions were given out anew (Kafka).
    pub rebalances: u64,
}

impl Tally {
    /// Whether messages published = acknowledged + dead-lettered + expired + dropped + waiting + in flight.
    pub fn is_conserved(&self) -> bool {
        let gone = self.acknowledged + self.dead_lettered + self.expired + self.dropped;
        self.published == gone + self.waiting + self.in_flight
    }
}

/// The settings of a broker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BrokerConfig {
    /// Amazon SQS.
    Sqs(SqsConfig),
    /// Apache Kafka.
    Kafka(KafkaConfig),
    /// RabbitMQ.
    Rabbit(RabbitConfig),
}

/// A broker of any product.
#[derive(Clone, Debug)]
pub enum Broker {
    /// Amazon SQS.
    Sqs(Sqs),
    /// Apache Kafka.
    Kafka(Kafka),
    /// RabbitMQ.
    Rabbit(Rabbit),
}

/// Does the same with whichever product it is.
macro_rules! each {
    ($broker:expr, $b:ident => $do:expr) => {
        match $broker {
            Broker::Sqs($b) => $do,
            Broker::Kafka($b) => $do,
            Broker::Rabbit($b) => $do,
        }
    };
}

impl Broker {
    /// An empty one.
    pub fn new(config: BrokerConfig) -> Self {
        match config {
            BrokerConfig::Sqs(config) => Self::Sqs(Sqs::new(config)),
            BrokerConfig::Kafka(config) => Self::Kafka(Kafka::new(config)),
            BrokerConfig::Rabbit(config) => Self::Rabbit(Rabbit::new(config)),
        }
    }

    /// New settings, of the same product.
    pub fn reconfigure(&mut self, config: BrokerConfig) {
        match (self, config) {
            (Self::Sqs(b), BrokerConfig::Sqs(config)) => b.reconfigure(config),
            (Self::Kafka(b), BrokerConfig::Kafka(config)) => b.reconfigure(config),
            (Self::Rabbit(b), BrokerConfig::Rabbit(config)) => b.reconfigure(config),
            (_, other) => debug_assert!(false, "a queue is made {other:?}"),
        }
    }

    /// Somebody publishes a message, which first came to a queue at `since`: now, or earlier if it is a dead letter.
    pub fn publish(
        &mut self,
        now: SimTime,
        since: SimTime,
        message: Message,
        is_dead_letter: bool,
        out: &mut Outbox,
    ) -> Published {
        match self {
            Self::Sqs(b) => b.publish(now, since, message),
            Self::Kafka(b) => b.publish(since, message),
            Self::Rabbit(b) => b.publish(now, since, message, is_dead_letter, out),
        }
    }

    /// A consumer asks for messages, and waits until it gets some.
    pub fn poll(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        match self {
            Self::Sqs(b) => b.poll(consumer),
            Self::Kafka(b) => b.poll(now, consumer, out),
            Self::Rabbit(b) => b.poll(consumer),
        }
    }

    /// A consumer asks no more.
    pub fn stop_polling(&mut self, consumer: u32) {
        each!(self, b => b.stop_polling(consumer));
    }

    /// A consumer ends in good order: it gives up what it was given and has not settled.
    pub fn leave(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        match self {
            Self::Sqs(b) => b.stop_polling(consumer),
            Self::Kafka(b) => b.leave(now, consumer, out),
            Self::Rabbit(b) => b.close(consumer, out),
        }
    }

    /// The process of a consumer dies.
    pub fn lose(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        match self {
            Self::Sqs(b) => b.stop_polling(consumer),
            Self::Kafka(b) => b.lose(now, consumer),
            Self::Rabbit(b) => b.close(consumer, out),
        }
    }

    /// The process of a consumer hangs, or goes on.
    pub fn hear(&mut self, now: SimTime, consumer: u32, is_heard: bool, out: &mut Outbox) {
        if let Self::Kafka(b) = self {
            b.hear(now, consumer, is_heard);
            b.advance(now, out);
        }
    }

    /// The next consumer that gets messages, which are added to `batch`; `None` if nobody does now.
    pub fn deliver(&mut self, now: SimTime, batch: &mut Vec<Delivery>, out: &mut Outbox) -> Option<u32> {
        match self {
            Self::Sqs(b) => b.deliver(now, batch, out),
            Self::Kafka(b) => b.deliver(now, batch),
            Self::Rabbit(b) => b.deliver(now, batch, out),
        }
    }

    /// Whether a consumer should still begin with what it was given: a consumer of SQS cannot know.
    pub fn is_current(&self, consumer: u32, delivery: &Delivery) -> bool {
        match self {
            Self::Sqs(_) => true,
            Self::Kafka(b) => b.is_current(consumer, delivery),
            Self::Rabbit(b) => b.is_current(consumer, delivery),
        }
    }

    /// A consumer has handled a message, well or not.
    pub fn settle(&mut self, consumer: u32, delivery: &Delivery, is_done: bool, out: &mut Outbox) {
        match self {
            Self::Sqs(b) => b.settle(delivery, is_done, out),
            Self::Kafka(b) => b.settle(consumer, delivery, is_done, out),
            Self::Rabbit(b) => b.settle(consumer, delivery, is_done, out),
        }
    }

    /// Time has passed: does what was due.
    pub fn advance(&mut self, now: SimTime, out: &mut Outbox) {
        match self {
            Self::Sqs(b) => b.advance(now),
            Self::Kafka(b) => b.advance(now, out),
            Self::Rabbit(b) => b.advance(now, out),
        }
    }

    /// The broker cannot be reached any more, or can again.
    pub fn set_down(&mut self, now: SimTime, is_down: bool, out: &mut Outbox) {
        match self {
            Self::Sqs(b) => b.set_down(is_down),
            Self::Kafka(b) => b.set_down(now, is_down, out),
            Self::Rabbit(b) => b.set_down(is_down, out),
        }
    }

    /// How long those who publish go on trying while the broker cannot be reached, before they fail; Kafka's producers
    /// have a buffer and `delivery.timeout.ms`, the others have neither.
    pub fn patience(&self) -> Option<SimDuration> {
        match self {
            Self::Kafka(_) => Some(kafka::DELIVERY_TIMEOUT),
            Self::Sqs(_) | Self::Rabbit(_) => None,
        }
    }

    /// How many more messages it takes before those who publish have to wait.
    pub fn room(&self) -> u64 {
        match self {
            Self::Rabbit(b) => b.room(),
            Self::Sqs(_) | Self::Kafka(_) => u64::MAX,
        }
    }

    /// When something is due next.
    pub fn alarm(&mut self) -> Option<SimTime> {
        each!(self, b => b.alarm())
    }

    /// When the oldest message was published that has not left.
    pub fn oldest(&mut self) -> Option<SimTime> {
        each!(self, b => b.oldest())
    }

    /// What became of all messages.
    pub fn tally(&self) -> &Tally {
        each!(self, b => b.tally())
    }

    /// Messages waiting and in flight, counted one by one.
    pub fn counted(&self) -> (u64, u64) {
        each!(self, b => b.counted())
    }
}

#[cfg(test)]
mod tests;
