//! The language of Apache Kafka.

use super::dist::Distribution;
use super::quantity::Seconds;
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// A topic of Apache Kafka 3.9 with one consumer group (names and defaults of the consumer configuration 3.9,
    /// classic protocol). A record goes to the partition of its key, or of its user if it has none, and stays in
    /// order there. There is no more parallelism than partitions. Surprising: a rebalance waits for the slowest
    /// member, as each joins only when it has handled the records that it has; a process that died and came back is
    /// a new member, and the rebalance that it begins waits until the session of the old one has timed out.
    /// `backlog` is what was not delivered; `lag` is what was not committed. How long rebalances take in a real
    /// cluster is not claimed: requests to the coordinator take no time here. While the brokers are `Down`,
    /// producers go on trying for 120 s (`delivery.timeout.ms`) before the request fails, nothing is fetched or
    /// committed, and sessions begin anew afterwards. Left out: retention, compaction, and single brokers that fail.
    pub struct Kafka {
        /// Partitions of the topic; they never change during a run.
        partitions: u32 = 1,
        /// The time from sending a record until all replicas have it and that is confirmed (`acks=all`).
        publish_latency: Distribution = "0s",
        /// Who handles the records.
        consumer: Option<KafkaConsumer> = None,
    }
}

record! {
    /// The consumers of a group. Each polls, handles the records one after the other, and polls again.
    pub struct KafkaConsumer {
        /// What handles a record: `service/endpoint`. Each instance that runs has its consumers, and all of them are
        /// one group.
        endpoint: Spanned<String>,
        /// How many consumers (threads) each instance has.
        consumers: u32 = 1,
        /// How partitions are assigned. Clients propose `Range` and `CooperativeSticky` by default, which means
        /// `Range` until the former is taken off the list.
        partition_assignment_strategy: KafkaAssignor = Range,
        /// How long a member may send no heartbeat before it is lost (`session.timeout.ms`): what a crash or a hang
        /// takes to be noticed.
        session_timeout: Seconds = "45s",
        /// From one heartbeat to the next, by which members learn of rebalances (`heartbeat.interval.ms`).
        heartbeat_interval: Seconds = "3s",
        /// The longest time between polls before a member leaves the group, and for which a rebalance waits
        /// (`max.poll.interval.ms`).
        max_poll_interval: Seconds = "300s",
        /// The most records of a poll (`max.poll.records`).
        max_poll_records: u32 = 500,
        /// When offsets are committed. What was handled since the last commit is handled again if the consumer is
        /// lost.
        commit: KafkaCommit = Auto,
        /// With `Auto`, the least time from commit to commit (`auto.commit.interval.ms`).
        auto_commit_interval: Seconds = "5s",
        /// How long an empty group waits for more members (`group.initial.rebalance.delay.ms`).
        group_initial_rebalance_delay: Seconds = "3s",
        /// How often a record is delivered in all before a handler that fails makes it skipped: at once, again and
        /// again, while the partition waits. Kafka itself has no such rule; 10 is what Spring for Apache Kafka does
        /// (`DefaultErrorHandler`: 9 retries).
        attempts: u32 = 10,
        /// The queue to which skipped records are published when their offset is committed; without one they are
        /// dropped.
        dead_letter: Option<Spanned<String>> = None,
        /// The time from a poll that finds records to the start of the first handler.
        latency: Seconds = "0s",
    }
}

choice! {
    /// How the partitions of a topic are assigned to the members of a group.
    pub enum KafkaAssignor {
        /// Consecutive partitions for each member, with the eager protocol: everybody gives up all partitions when
        /// joining a rebalance, and nobody consumes until it ends.
        Range,
        /// As few moves as possible, with the cooperative protocol: only what moves stops, and moves in a second
        /// round.
        CooperativeSticky,
    }
}

choice! {
    /// When a consumer commits offsets.
    pub enum KafkaCommit {
        /// In the first poll after an interval (`enable.auto.commit`).
        Auto,
        /// When all records of a poll are handled (`commitSync` after the loop).
        EachPoll,
        /// After each record.
        EachRecord,
    }
}
