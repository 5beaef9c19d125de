//! A queue of RabbitMQ 4.0 with manual acknowledgement (documentation: consumers, quorum queues, TTL, length limits).
//!
//! - Messages are pushed to consumers, one to each in turn, until a consumer has `prefetch` of them that it has not
//!   acknowledged; 0 is no limit. Throughput of a consumer is at most prefetch over (round trip + handling).
//! - What is returned (a handler failed, a channel or a connection closed) keeps its place in the queue.
//! - A quorum queue counts returns: a message that has been returned more often than the delivery limit (20 since
//!   4.0) is a dead letter, or dropped. A classic queue has no such limit, and a message that cannot be handled goes
//!   round for ever.
//! - Messages expire at the head of the queue, and only while they are ready.
//! - A queue that is too long drops its head, or refuses what is published. Only ready messages count.
//! - A consumer that does not acknowledge a message in time has its channel closed; all that it holds is returned.
//! - Above the memory watermark publishers are blocked, not refused: nobody reads from their connections.

use super::{Delivery, Message, Outbox, Published, Tally};
use crate::base::{SimDuration, SimTime};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What a queue that is too long does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Drops the message at its head.
    DropHead,
    /// Refuses what is published.
    RejectPublish,
}

/// The settings of a queue and its consumers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RabbitConfig {
    /// The most messages that a consumer has and has not acknowledged; 0 for no limit.
    pub prefetch: u32,
    /// How often a message may be returned before it is a dead letter.
    pub delivery_limit: Option<u32>,
    /// How long a message stays before it expires.
    pub message_ttl: Option<SimDuration>,
    /// The most messages that are ready.
    pub max_length: Option<u32>,
    /// What is done about more.
    pub overflow: Overflow,
    /// The highest priority that is told apart; 0 for first in, first out.
    pub max_priority: u8,
    /// The longest time to an acknowledgement.
    pub consumer_timeout: SimDuration,
    /// More messages than this block publishers.
    pub messages_max: u64,
    /// Whether a message that was handled badly is returned; otherwise it is a dead letter at once.
    pub requeues: bool,
    /// Whether dead letters go somewhere else; otherwise they are dropped.
    pub has_dead_letters: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Ready,
    /// With a consumer.
    Unacked(u32),
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    message: Message,
    since: SimTime,
    /// When it came to this queue.
    came: SimTime,
    receipt: u32,
    place: Place,
    is_handled: bool,
}

/// Why a message leaves without having been handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reason {
    Expired,
    TooMany,
    Rejected,
}

/// A consumer of the queue.
#[derive(Clone, Copy, Debug)]
struct Subscription {
    consumer: u32,
    unacked: u32,
    is_on: bool,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Rabbit {
    config: RabbitConfig,
    /// All messages from number `first` on, those that have left included until they are at the head.
    log: VecDeque<Entry>,
    first: u64,
    /// Messages that are ready: highest priority first, then oldest. Those that are not any more may be in it.
    ready: BinaryHeap<(u8, Reverse<u64>)>,
    /// Consumers, the next in turn first.
    ring: VecDeque<Subscription>,
    /// When deliveries must have been acknowledged: moment, number, receipt.
    due: BinaryHeap<Reverse<(SimTime, u64, u32)>>,
    /// Whether the node is down.
    is_down: bool,
    tally: Tally,
}

impl Rabbit {
    /// An empty queue without consumers.
    pub fn new(config: RabbitConfig) -> Self {
        Self {
            config,
            log: VecDeque::new(),
            first: 0,
            ready: BinaryHeap::new(),
            ring: VecDeque::new(),
            due: BinaryHeap::new(),
            is_down: false,
            tally: Tally::default(),
        }
    }

    /// New settings, as of a policy that is applied to the queue.
    pub fn reconfigure(&mut self, config: RabbitConfig) {
        self.config = config;
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let at = id.checked_sub(self.first)?;
        self.log.get_mut(at as usize).filter(|e| e.place != Place::Gone)
    }

    /// Whether publishers are blocked.
    pub fn is_blocked(&self) -> bool {
        self.room() == 0
    }

    /// How many messages there is room for below the watermark.
    pub fn room(&self) -> u64 {
        self.config.messages_max.saturating_sub(self.tally.waiting + self.tally.in_flight)
    }

    /// A message comes. Dead letters of other queues are not blocked: the broker moves them itself.
    pub fn publish(
        &mut self,
        now: SimTime,
        since: SimTime,
        message: Message,
        is_dead_letter: bool,
        out: &mut Outbox,
    ) -> Published {
        if self.is_blocked() && !is_dead_letter {
            return Published::Blocked;
        }
        let is_full = self.config.max_length.is_some_and(|max| self.tally.waiting >= u64::from(max));
        if is_full && self.config.overflow == Overflow::RejectPublish {
            self.tally.refused += 1;
            return Published::Refused;
        }
        let id = self.first + self.log.len() as u64;
        let entry = Entry { message, since, came: now, receipt: 0, place: Place::Ready, is_handled: false };
        self.log.push_back(entry);
        self.ready.push((message.priority.min(self.config.max_priority), Reverse(id)));
        self.tally.published += 1;
        self.tally.waiting += 1;
        self.shorten(out);
        Published::Accepted
    }

    /// The number of the message that is delivered next.
    fn head(&mut self) -> Option<u64> {
        while let Some((_, Reverse(id))) = self.ready.peek().copied() {
            if self.entry(id).is_some_and(|e| e.place == Place::Ready) {
                return Some(id);
            }
            self.ready.pop();
        }
        None
    }

    /// A queue that is too long drops its head.
    fn shorten(&mut self, out: &mut Outbox) {
        let Some(max) = self.config.max_length else { return };
        while self.config.overflow == Overflow::DropHead && self.tally.waiting > u64::from(max) {
            let Some(id) = self.head() else { return };
            self.bury(id, Reason::TooMany, out);
        }
    }

    /// A message leaves that is ready, without having been handled.
    fn bury(&mut self, id: u64, reason: Reason, out: &mut Outbox) {
        let has_dead_letters = self.config.has_dead_letters;
        let Some(entry) = self.entry(id) else { return };
        entry.place = Place::Gone;
        let (since, message) = (entry.since, entry.message);
        self.tally.waiting -= 1;
        if has_dead_letters {
            out.dead.push((since, message));
            self.tally.dead_lettered += 1;
        } else if reason == Reason::Expired {
            self.tally.expired += 1;
        } else {
            self.tally.dropped += 1;
        }
        self.tidy();
    }

    /// Forgets what has left at the head of the log.
    fn tidy(&mut self) {
        while self.log.front().is_some_and(|e| e.place == Place::Gone) {
            self.log.pop_front();
            self.first += 1;
        }
    }

    // ---- consumers ----

    /// A consumer subscribes, if it does not yet.
    pub fn poll(&mut self, consumer: u32) {
        match self.ring.iter_mut().find(|s| s.consumer == consumer) {
            Some(subscription) => subscription.is_on = true,
            None => self.ring.push_back(Subscription { consumer, unacked: 0, is_on: true }),
        }
    }

    /// A consumer is cancelled; what it has it may still acknowledge.
    pub fn stop_polling(&mut self, consumer: u32) {
        if let Some(subscription) = self.ring.iter_mut().find(|s| s.consumer == consumer) {
            subscription.is_on = false;
        }
    }

    /// A channel is closed, by the client, the broker or the end of a process: what its consumer has is returned.
    pub fn close(&mut self, consumer: u32, out: &mut Outbox) {
        let Some(at) = self.ring.iter().position(|s| s.consumer == consumer) else { return };
        self.ring.remove(at);
        let is_its = |(_, e): &(usize, &Entry)| e.place == Place::Unacked(consumer);
        let ids: Vec<u64> =
            self.log.iter().enumerate().filter(is_its).map(|(n, _)| self.first + n as u64).collect();
        for id in ids {
            self.give_back(id);
            self.requeue(id, out);
        }
        self.shorten(out);
    }

    /// The node is down, or up again: all channels are gone, and nothing that was ready or with consumers is lost.
    pub fn set_down(&mut self, is_down: bool, out: &mut Outbox) {
        self.is_down = is_down;
        while let Some(consumer) = self.ring.front().map(|s| s.consumer) {
            self.close(consumer, out);
        }
    }

    /// A message is with its consumer no more.
    fn give_back(&mut self, id: u64) {
        let Some(entry) = self.entry(id) else { return };
        let Place::Unacked(consumer) = std::mem::replace(&mut entry.place, Place::Ready) else { return };
        self.tally.in_flight -= 1;
        self.tally.waiting += 1;
        if let Some(subscription) = self.ring.iter_mut().find(|s| s.consumer == consumer) {
            subscription.unacked -= 1;
        }
    }

    /// A message that was returned takes its place again, unless that has happened too often.
    fn requeue(&mut self, id: u64, out: &mut Outbox) {
        let (limit, most) = (self.config.delivery_limit, self.config.max_priority);
        let Some(entry) = self.entry(id) else { return };
        // Each delivery so far has been returned.
        if limit.is_some_and(|limit| entry.receipt > limit) {
            return self.bury(id, Reason::Rejected, out);
        }
        let priority = entry.message.priority.min(most);
        self.ready.push((priority, Reverse(id)));
    }

    // ---- messages ----

    /// The next consumer that may have one more gets the message at the head.
    pub fn deliver(&mut self, now: SimTime, batch: &mut Vec<Delivery>, out: &mut Outbox) -> Option<u32> {
        if self.is_down {
            return None;
        }
        self.expire(now, out);
        let prefetch = self.config.prefetch;
        let at = self.ring.iter().position(|s| s.is_on && (prefetch == 0 || s.unacked < prefetch))?;
        let id = self.head()?;
        self.ready.pop();
        // Those without room keep their turn.
        let mut subscription = self.ring.remove(at)?;
        subscription.unacked += 1;
        let consumer = subscription.consumer;
        self.ring.push_back(subscription);
        let by = now + self.config.consumer_timeout;
        let entry = self.entry(id)?;
        entry.receipt += 1;
        entry.place = Place::Unacked(consumer);
        let (receipt, message) = (entry.receipt, entry.message);
        batch.push(Delivery { id, receipt, message });
        self.due.push(Reverse((by, id, receipt)));
        self.tally.waiting -= 1;
        self.tally.in_flight += 1;
        self.tally.delivered += 1;
        self.tally.redelivered += u64::from(receipt > 1);
        Some(consumer)
    }

    /// Whether the channel on which a message was delivered is still open.
    pub fn is_current(&self, consumer: u32, delivery: &Delivery) -> bool {
        let at = delivery.id.checked_sub(self.first);
        at.and_then(|at| self.log.get(at as usize))
            .is_some_and(|e| e.place == Place::Unacked(consumer) && e.receipt == delivery.receipt)
    }

    /// A message was handled: it is acknowledged, returned or rejected.
    pub fn settle(&mut self, consumer: u32, delivery: &Delivery, is_done: bool, out: &mut Outbox) {
        let (is_current, requeues) = (self.is_current(consumer, delivery), self.config.requeues);
        let id = delivery.id;
        let Some(entry) = self.entry(id) else {
            self.tally.duplicates += u64::from(is_done);
            return;
        };
        if is_done {
            let is_repeated = std::mem::replace(&mut entry.is_handled, true);
            let since = entry.since;
            self.tally.duplicates += u64::from(is_repeated);
            if is_current {
                self.give_back(id);
                if let Some(entry) = self.entry(id) {
                    entry.place = Place::Gone;
                }
                self.tally.waiting -= 1;
                self.tally.acknowledged += 1;
                out.acknowledged.push(since);
                self.tidy();
            }
        } else if is_current {
            self.give_back(id);
            if requeues {
                self.requeue(id, out);
                self.shorten(out);
            } else {
                self.bury(id, Reason::Rejected, out);
            }
        }
    }

    // ---- time ----

    fn expire(&mut self, now: SimTime, out: &mut Outbox) {
        let Some(ttl) = self.config.message_ttl else { return };
        while let Some(id) = self.head()
            && self.entry(id).is_some_and(|e| e.came + ttl <= now)
        {
            self.bury(id, Reason::Expired, out);
        }
    }

    /// Messages at the head expire; channels are closed on which an acknowledgement is overdue.
    pub fn advance(&mut self, now: SimTime, out: &mut Outbox) {
        if self.is_down {
            return;
        }
        while let Some(Reverse((at, id, receipt))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            let entry = self.entry(id).filter(|e| e.receipt == receipt);
            if let Some(Entry { place: Place::Unacked(consumer), .. }) = entry {
                let consumer = *consumer;
                self.close(consumer, out);
            }
        }
        self.expire(now, out);
    }

    /// When something is due next.
    pub fn alarm(&mut self) -> Option<SimTime> {
        if self.is_down {
            return None;
        }
        while let Some(Reverse((_, id, receipt))) = self.due.peek().copied()
            && !self.entry(id).is_some_and(|e| e.receipt == receipt && matches!(e.place, Place::Unacked(_)))
        {
            self.due.pop();
        }
        let due = self.due.peek().map(|Reverse((at, ..))| *at);
        let ttl = self.config.message_ttl;
        let expiry = ttl.and_then(|ttl| {
            let id = self.head()?;
            self.entry(id).map(|e| e.came + ttl)
        });
        due.into_iter().chain(expiry).min()
    }

    /// When the oldest message was first published.
    pub fn oldest(&mut self) -> Option<SimTime> {
        self.tidy();
        self.log.front().map(|e| e.since)
    }

    /// What became of all messages.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Messages waiting and in flight, counted one by one.
    pub fn counted(&self) -> (u64, u64) {
        let count = |is: fn(&Place) -> bool| self.log.iter().filter(|e| is(&e.place)).count() as u64;
        (count(|p| *p == Place::Ready), count(|p| matches!(p, Place::Unacked(_))))
    }
}

#[cfg(test)]
mod tests;
