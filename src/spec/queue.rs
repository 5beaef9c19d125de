//! Message queues: the language of brokers, their products' settings, and who handles the messages.

use super::dist::Distribution;
use super::quantity::Seconds;
pub use super::queue_kafka::{Kafka, KafkaAssignor, KafkaCommit, KafkaConsumer};
pub use super::queue_rabbit::{
    RabbitConsumer, RabbitFailure, RabbitMemory, RabbitMq, RabbitOverflow, RabbitQueueType,
};
use super::source::Spanned;
use crate::{choice, record};

choice! {
    /// A message queue of some product, and who handles its messages. A message is published by the step `Publish`,
    /// and handled as a request to an endpoint of a service: through the workers, the queue and the CPU of the
    /// instance whose consumer got it. Nobody waits for the answer: if the endpoint succeeds the message is
    /// acknowledged, if it fails or its process dies the message is delivered again by the rules of the product.
    /// Delivery is at least once; the metric `duplicates` counts what was done more than once.
    pub enum MessageQueue {
        /// Amazon SQS.
        Sqs(Sqs),
        /// A topic of Apache Kafka with one consumer group.
        Kafka(Kafka),
        /// A queue of RabbitMQ.
        RabbitMq(RabbitMq),
    }
}

record! {
    /// Puts a message into a queue, and goes on when the broker has confirmed that. If the broker refuses the
    /// message, the request fails. The message carries the request's key, tenant and priority.
    pub struct Publish [queue] {
        /// The queue.
        queue: Spanned<String>,
    }
}

record! {
    /// An Amazon SQS queue (developer guide and API reference, 2023). Surprising: the visibility timeout counts from
    /// the receive, so a message of a batch that waits for its turn uses it up, and a handler that takes longer
    /// works on what somebody else has received again; deleting with a receipt that is not the latest deletes
    /// nothing. A dead letter keeps the time of its first enqueue, so the dead-letter queue must keep messages for
    /// longer than its source. While the queue is `Down`, sending fails, and nothing is received or deleted;
    /// visibility timeouts go on. Left out: extending the visibility timeout, deduplication within 5 minutes, and
    /// the throughput limits of FIFO queues.
    pub struct Sqs {
        /// Whether messages of a group are delivered in order, and a group waits while one of its messages is in
        /// flight. The group is the request's key, or its user if it has none. A standard queue promises no order;
        /// here its oldest message goes first.
        fifo: bool = false,
        /// How long a message that was received is invisible to others (`VisibilityTimeout`); 0 to 12 hours.
        visibility_timeout: Seconds = "30s",
        /// How long a new message is invisible (`DelaySeconds`); up to 15 minutes.
        delay: Seconds = "0s",
        /// How long a message is kept, from its first enqueue (`MessageRetentionPeriod`); 60 seconds to 14 days.
        message_retention_period: Seconds = "4d",
        /// The most messages in flight, beyond which receives return nothing; 120,000 for a standard queue and
        /// 20,000 for FIFO if not given, which only AWS can change.
        max_in_flight: Option<u32> = None,
        /// What becomes of messages that are received again and again; for ever, if not given.
        redrive_policy: Option<RedrivePolicy> = None,
        /// The time from sending a message until the queue has it and has confirmed that.
        publish_latency: Distribution = "0s",
        /// Who handles the messages.
        consumer: Option<SqsConsumer> = None,
    }
}

record! {
    /// Moves messages that were received too often to another queue.
    pub struct RedrivePolicy {
        /// The dead-letter queue (`deadLetterTargetArn`): another SQS queue of the same kind. Without one, dead
        /// letters are only counted.
        dead_letter: Option<Spanned<String>> = None,
        /// The most receives (`maxReceiveCount`): a message that would be received once more is moved instead. The
        /// console proposes 10.
        max_receive_count: u32 = 10,
    }
}

record! {
    /// Pollers of an SQS queue. Each receives a batch, handles its messages one after the other, deletes each that
    /// was handled well, and receives again.
    pub struct SqsConsumer {
        /// What handles a message: `service/endpoint`. Each instance that runs has its pollers.
        endpoint: Spanned<String>,
        /// How many pollers each instance has.
        pollers: u32 = 1,
        /// The most messages of a receive (`MaxNumberOfMessages`), 1 to 10.
        max_number_of_messages: u32 = 1,
        /// How long a receive waits for a message (`WaitTimeSeconds`), up to 20 seconds: long polling, renewed at
        /// once. At 0, a receive that finds nothing returns at once (short polling).
        wait_time: Seconds = "0s",
        /// With short polling, the pause before the next receive after one that found nothing.
        poll_interval: Seconds = "1s",
        /// What is done with a message whose handler failed.
        on_failure: SqsFailure = Wait,
        /// The time from a message's receive to the start of its handler, and from the handler's end to the delete.
        latency: Seconds = "0s",
    }
}

choice! {
    /// What a poller does with a message whose handler failed.
    pub enum SqsFailure {
        /// Nothing: it is received again after the visibility timeout.
        Wait,
        /// Makes it visible at once (`ChangeMessageVisibility` to 0).
        Release,
    }
}

/// A consumer, whatever the product.
#[derive(Clone, Copy, Debug)]
pub struct AnyConsumer<'q> {
    /// What handles a message.
    pub endpoint: &'q Spanned<String>,
    /// How many each instance has.
    pub count: u32,
    /// One way between broker and consumer.
    pub latency: Seconds,
}

impl MessageQueue {
    /// Who handles its messages.
    pub fn consumer(&self) -> Option<AnyConsumer<'_>> {
        match self {
            Self::Sqs(q) => q.consumer.as_ref().map(|c| AnyConsumer {
                endpoint: &c.endpoint,
                count: c.pollers,
                latency: c.latency,
            }),
            Self::Kafka(q) => q.consumer.as_ref().map(|c| AnyConsumer {
                endpoint: &c.endpoint,
                count: c.consumers,
                latency: c.latency,
            }),
            Self::RabbitMq(q) => q.consumer.as_ref().map(|c| AnyConsumer {
                endpoint: &c.endpoint,
                count: c.consumers,
                latency: c.latency,
            }),
        }
    }

    /// Where its dead letters go.
    pub fn dead_letter(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Sqs(q) => q.redrive_policy.as_ref().and_then(|r| r.dead_letter.as_ref()),
            Self::Kafka(q) => q.consumer.as_ref().and_then(|c| c.dead_letter.as_ref()),
            Self::RabbitMq(q) => q.dead_letter.as_ref(),
        }
    }

    /// How long publishing takes.
    pub fn publish_latency(&self) -> &Distribution {
        match self {
            Self::Sqs(q) => &q.publish_latency,
            Self::Kafka(q) => &q.publish_latency,
            Self::RabbitMq(q) => &q.publish_latency,
        }
    }
}
