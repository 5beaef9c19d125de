//! The language of RabbitMQ.

use super::dist::Distribution;
use super::quantity::{Ratio, Seconds, Size};
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// A durable queue of RabbitMQ 4.0 with persistent messages, manual acknowledgement and publisher confirms
    /// (documentation of 4.0). Messages are pushed to consumers in turn. Surprising: what a process has prefetched
    /// nobody else gets, even if it is slow or hangs, until its connection closes or an acknowledgement is overdue;
    /// a message that cannot be handled goes round for ever in a classic queue; the memory alarm does not refuse
    /// what is published, it blocks those who publish. A process that dies closes its connection at once, and a
    /// message in flight is delivered again at the place in the queue that it had. While the node is `Down`,
    /// publishing fails, and all channels are closed. Left out: a network that loses connections without closing
    /// them, and nodes of a cluster that fail one by one.
    pub struct RabbitMq {
        /// What kind of queue it is.
        queue_type: RabbitQueueType = Quorum,
        /// How often a message may be returned before it is a dead letter (`delivery-limit`), in a quorum queue; 20
        /// if not given. A message can be delivered once more than that.
        delivery_limit: Option<u32> = None,
        /// How long a message may wait before it expires (`message-ttl`): it leaves once it is at the head of the
        /// queue. Messages with consumers do not expire.
        message_ttl: Option<Seconds> = None,
        /// The most messages that are ready (`max-length`).
        max_length: Option<u32> = None,
        /// What is done about more.
        overflow: RabbitOverflow = DropHead,
        /// The highest priority that is told apart (`max-priority`), in a classic queue: higher ones go first, and
        /// are dropped first if the queue is too long. Without it, first in, first out.
        max_priority: Option<u8> = None,
        /// The queue that gets dead letters (`dead-letter-exchange`): those returned too often, rejected, expired,
        /// or dropped from the head. Their TTL begins anew there. Without one they are gone.
        dead_letter: Option<Spanned<String>> = None,
        /// The memory of the node, if its alarm is to be looked at.
        memory: Option<RabbitMemory> = None,
        /// The time from publishing a message until the broker has it and has confirmed that.
        publish_latency: Distribution = "0s",
        /// Who handles the messages.
        consumer: Option<RabbitConsumer> = None,
    }
}

record! {
    /// The memory of a node, of which this queue takes what its messages take. Above the watermark publishers are
    /// blocked.
    pub struct RabbitMemory {
        /// What the node has.
        size: Size,
        /// The share of it above which the alarm goes off (`vm_memory_high_watermark.relative`); 60 % since 4.0, 40 %
        /// before.
        high_watermark: Ratio = 0.6,
        /// What a message takes, ready or with a consumer.
        message_size: Size,
    }
}

record! {
    /// The consumers of a queue, each with a channel of its own. Each handles its messages one after the other and
    /// acknowledges each.
    pub struct RabbitConsumer {
        /// What handles a message: `service/endpoint`. Each instance that runs has its consumers.
        endpoint: Spanned<String>,
        /// How many consumers each instance has.
        consumers: u32 = 1,
        /// The most messages that a consumer has and has not acknowledged (`basic.qos`, per consumer); 0 is no
        /// limit, which is the default of the protocol.
        prefetch: u32 = 0,
        /// What is done with a message whose handler failed.
        on_failure: RabbitFailure = Requeue,
        /// The longest time to an acknowledgement (`consumer_timeout`), beyond which the channel is closed and all
        /// that the consumer has is returned; the consumer subscribes again when it has nothing left to do.
        consumer_timeout: Seconds = "30m",
        /// One way between broker and consumer: a delivery takes it, and so does an acknowledgement. Throughput of a
        /// consumer is at most prefetch over (both ways and the handling).
        latency: Seconds = "0s",
    }
}

choice! {
    /// What kind of queue it is.
    pub enum RabbitQueueType {
        /// Replicated, with a delivery limit.
        Quorum,
        /// Classic: no delivery limit; may have priorities.
        Classic,
    }
}

choice! {
    /// What a queue does that is too long.
    pub enum RabbitOverflow {
        /// Drops the message at its head, the oldest.
        DropHead,
        /// Refuses what is published: the publisher's request fails.
        RejectPublish,
    }
}

choice! {
    /// What a consumer does with a message whose handler failed.
    pub enum RabbitFailure {
        /// Returns it to its place in the queue (`basic.nack` with requeue): it is delivered again at once.
        Requeue,
        /// Rejects it: it is a dead letter.
        Reject,
    }
}
