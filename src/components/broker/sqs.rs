//! Amazon SQS (developer guide, 2023): a message that was received is invisible to others for a while, and if nobody
//! deletes it meanwhile, it is received again.
//!
//! - The visibility timeout counts from the receive. A handler that takes longer works on a message that somebody
//!   else has received again: duplicate work. Deleting with a receipt handle that is not the latest deletes nothing
//!   (`DeleteMessage`: the request succeeds, but the message is not deleted).
//! - Each receive raises the receive count. A message whose count would exceed `max_receive_count` is moved to the
//!   dead-letter queue instead of being delivered; there it keeps the time of its first enqueue, so the retention of
//!   the dead-letter queue counts from then.
//! - A FIFO queue delivers the messages of a group in order. A group is blocked while one of its messages is in
//!   flight; a delete after the visibility timeout fails even if nobody has received the message again.
//! - With the most messages in flight (120,000; 20,000 for FIFO), receives return nothing.
//! - A standard queue promises no order. Here the oldest message goes first.

use super::{Delivery, Message, Outbox, Published, Tally};
use crate::base::{SimDuration, SimTime};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// The settings of a queue and of the receives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SqsConfig {
    /// How long a message that was received is invisible.
    pub visibility_timeout: SimDuration,
    /// How long a new message is invisible.
    pub delay: SimDuration,
    /// How long a message is kept, from its first enqueue.
    pub retention: SimDuration,
    /// The most messages in flight.
    pub in_flight_max: u32,
    /// Whether messages of a group come in order.
    pub fifo: bool,
    /// The most receives of a message before it is a dead letter.
    pub max_receive_count: Option<u32>,
    /// The most messages of a receive.
    pub batch: u32,
    /// Whether a message that was handled badly is made visible at once.
    pub releases: bool,
}

/// Where a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Delayed,
    Visible,
    InFlight,
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    message: Message,
    since: SimTime,
    receipt: u32,
    place: Place,
    /// Whether somebody has handled it well.
    is_handled: bool,
}

/// The messages of a group that can be received, and how many of it are in flight (FIFO).
#[derive(Clone, Debug, Default)]
struct Group {
    visible: BinaryHeap<Reverse<u64>>,
    in_flight: u32,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Sqs {
    config: SqsConfig,
    /// All messages from number `first` on, those that have left included until they are at the head.
    log: VecDeque<Entry>,
    first: u64,
    /// Messages that have not left, in order of age; those that have may still be in it.
    by_age: VecDeque<u64>,
    /// Numbers of messages that can be received (standard).
    visible: BinaryHeap<Reverse<u64>>,
    /// Groups by what their messages are about, and the heads of those that may be received (FIFO).
    groups: BTreeMap<u32, Group>,
    heads: BinaryHeap<Reverse<(u64, u32)>>,
    /// When messages become visible: moment, number, and the receipt for which that holds.
    due: BinaryHeap<Reverse<(SimTime, u64, u32)>>,
    /// Consumers that wait for messages, in the order in which they asked.
    polls: VecDeque<u32>,
    /// Whether nobody can reach it: nothing is received or deleted.
    is_down: bool,
    tally: Tally,
}

impl Sqs {
    /// An empty queue.
    pub fn new(config: SqsConfig) -> Self {
        Self {
            config,
            log: VecDeque::new(),
            first: 0,
            by_age: VecDeque::new(),
            visible: BinaryHeap::new(),
            groups: BTreeMap::new(),
            heads: BinaryHeap::new(),
            due: BinaryHeap::new(),
            polls: VecDeque::new(),
            is_down: false,
            tally: Tally::default(),
        }
    }

    /// New settings: for new messages and receives; retention also for those that are there.
    pub fn reconfigure(&mut self, config: SqsConfig) {
        debug_assert_eq!(self.config.fifo, config.fifo, "whether a queue is FIFO never changes");
        self.config = config;
    }

    /// Nobody can reach the queue, or everybody can again.
    pub fn set_down(&mut self, is_down: bool) {
        self.is_down = is_down;
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let at = id.checked_sub(self.first)?;
        self.log.get_mut(at as usize).filter(|e| e.place != Place::Gone)
    }

    /// A message comes, which first came to a queue at `since`.
    pub fn publish(&mut self, now: SimTime, since: SimTime, message: Message) -> Published {
        let id = self.first + self.log.len() as u64;
        let is_delayed = !self.config.delay.is_zero();
        let place = if is_delayed { Place::Delayed } else { Place::Visible };
        self.log.push_back(Entry { message, since, receipt: 0, place, is_handled: false });
        let older = self.by_age.iter().rev().take_while(|other| {
            self.log.get((**other).wrapping_sub(self.first) as usize).is_some_and(|e| e.since > since)
        });
        let at = self.by_age.len() - older.count();
        self.by_age.insert(at, id);
        self.tally.published += 1;
        self.tally.waiting += 1;
        if is_delayed {
            self.due.push(Reverse((now + self.config.delay, id, 0)));
        } else {
            self.show(id, message.about);
        }
        Published::Accepted
    }

    /// Puts a message that is visible where receives find it.
    fn show(&mut self, id: u64, about: u32) {
        if !self.config.fifo {
            self.visible.push(Reverse(id));
            return;
        }
        let group = self.groups.entry(about).or_default();
        group.visible.push(Reverse(id));
        self.offer(about);
    }

    /// A group whose messages may be received is put in line by its first message.
    fn offer(&mut self, about: u32) {
        let Some(group) = self.groups.get_mut(&about) else { return };
        if group.in_flight > 0 {
            return;
        }
        while let Some(Reverse(id)) = group.visible.peek().copied() {
            let at = id.checked_sub(self.first).map(|at| at as usize);
            if at.and_then(|at| self.log.get(at)).is_some_and(|e| e.place == Place::Visible) {
                self.heads.push(Reverse((id, about)));
                return;
            }
            group.visible.pop();
        }
        self.groups.remove(&about);
    }

    /// A consumer waits for messages.
    pub fn poll(&mut self, consumer: u32) {
        if !self.polls.contains(&consumer) {
            self.polls.push_back(consumer);
        }
    }

    /// A consumer waits no more.
    pub fn stop_polling(&mut self, consumer: u32) {
        self.polls.retain(|c| *c != consumer);
    }

    /// The consumer that has waited longest receives messages, if there are any.
    pub fn deliver(&mut self, now: SimTime, batch: &mut Vec<Delivery>, out: &mut Outbox) -> Option<u32> {
        let consumer = *self.polls.front().filter(|_| !self.is_down)?;
        let before = batch.len();
        if self.config.fifo {
            self.receive_groups(now, batch, out);
        } else {
            while batch.len() - before < self.config.batch as usize && !self.is_full() {
                let Some(Reverse(id)) = self.visible.pop() else { break };
                self.receive(now, id, batch, out);
            }
        }
        if batch.len() == before {
            return None;
        }
        self.polls.pop_front();
        Some(consumer)
    }

    fn is_full(&self) -> bool {
        self.tally.in_flight >= u64::from(self.config.in_flight_max)
    }

    /// As many as possible of a group, then of the next.
    fn receive_groups(&mut self, now: SimTime, batch: &mut Vec<Delivery>, out: &mut Outbox) {
        let most = batch.len() + self.config.batch as usize;
        while batch.len() < most && !self.is_full() {
            let Some(Reverse((head, about))) = self.heads.pop() else { return };
            let is_next = |g: &Group| g.in_flight == 0 && g.visible.peek() == Some(&Reverse(head));
            if !self.groups.get(&about).is_some_and(is_next) {
                continue;
            }
            while batch.len() < most && !self.is_full() {
                let Some(group) = self.groups.get_mut(&about) else { break };
                let Some(Reverse(id)) = group.visible.pop() else { break };
                if self.receive(now, id, batch, out)
                    && let Some(group) = self.groups.get_mut(&about)
                {
                    group.in_flight += 1;
                }
            }
            self.offer(about);
        }
    }

    /// A message is received, or is a dead letter by now.
    fn receive(&mut self, now: SimTime, id: u64, batch: &mut Vec<Delivery>, out: &mut Outbox) -> bool {
        let (most, timeout) = (self.config.max_receive_count, self.config.visibility_timeout);
        let Some(entry) = self.entry(id).filter(|e| e.place == Place::Visible) else { return false };
        if most.is_some_and(|most| entry.receipt >= most) {
            out.dead.push((entry.since, entry.message));
            entry.place = Place::Gone;
            self.tally.waiting -= 1;
            self.tally.dead_lettered += 1;
            return false;
        }
        entry.receipt += 1;
        entry.place = Place::InFlight;
        let (receipt, message) = (entry.receipt, entry.message);
        batch.push(Delivery { id, receipt, message });
        self.due.push(Reverse((now + timeout, id, receipt)));
        self.tally.waiting -= 1;
        self.tally.in_flight += 1;
        self.tally.delivered += 1;
        self.tally.redelivered += u64::from(receipt > 1);
        true
    }

    /// A message was handled: deleted if that went well, and the receipt is the latest.
    pub fn settle(&mut self, delivery: &Delivery, is_done: bool, out: &mut Outbox) {
        let (fifo, releases, is_down) = (self.config.fifo, self.config.releases, self.is_down);
        let Some(entry) = self.entry(delivery.id) else {
            self.tally.duplicates += u64::from(is_done);
            return;
        };
        let is_latest = entry.receipt == delivery.receipt;
        if !is_done {
            if releases && is_latest && !is_down && entry.place == Place::InFlight {
                self.reappear(delivery.id);
            }
            return;
        }
        let is_repeated = std::mem::replace(&mut entry.is_handled, true);
        let place = entry.place;
        let is_deleted =
            is_latest && !is_down && (place == Place::InFlight || (place == Place::Visible && !fifo));
        if is_deleted {
            entry.place = Place::Gone;
            out.acknowledged.push(entry.since);
            self.tally.acknowledged += 1;
            match place {
                Place::InFlight => {
                    self.tally.in_flight -= 1;
                    self.leave_group(delivery.message.about);
                }
                _ => self.tally.waiting -= 1,
            }
        }
        self.tally.duplicates += u64::from(is_repeated);
    }

    /// A message of a group is in flight no more.
    fn leave_group(&mut self, about: u32) {
        if !self.config.fifo {
            return;
        }
        if let Some(group) = self.groups.get_mut(&about) {
            group.in_flight -= 1;
        }
        self.offer(about);
    }

    /// A message in flight can be received again.
    fn reappear(&mut self, id: u64) {
        let Some(entry) = self.entry(id) else { return };
        entry.place = Place::Visible;
        let about = entry.message.about;
        self.tally.in_flight -= 1;
        self.tally.waiting += 1;
        if self.config.fifo
            && let Some(group) = self.groups.get_mut(&about)
        {
            group.in_flight -= 1;
        }
        self.show(id, about);
    }

    /// Delays and visibility timeouts end; messages that are too old are deleted, wherever they are.
    pub fn advance(&mut self, now: SimTime) {
        while let Some(Reverse((at, id, receipt))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            let Some(entry) = self.entry(id).filter(|e| e.receipt == receipt) else { continue };
            match entry.place {
                Place::Delayed => {
                    entry.place = Place::Visible;
                    let about = entry.message.about;
                    self.show(id, about);
                }
                Place::InFlight => self.reappear(id),
                Place::Visible | Place::Gone => {}
            }
        }
        while let Some(since) = self.oldest()
            && since + self.config.retention <= now
        {
            let id = self.by_age[0];
            let Some(entry) = self.entry(id) else { return };
            let (place, about) = (entry.place, entry.message.about);
            entry.place = Place::Gone;
            self.tally.expired += 1;
            match place {
                Place::InFlight => {
                    self.tally.in_flight -= 1;
                    self.leave_group(about);
                }
                _ => {
                    self.tally.waiting -= 1;
                    self.offer(about);
                }
            }
        }
    }

    /// When something is due next.
    pub fn alarm(&mut self) -> Option<SimTime> {
        while let Some(Reverse((_, id, receipt))) = self.due.peek().copied()
            && !self
                .entry(id)
                .is_some_and(|e| e.receipt == receipt && matches!(e.place, Place::Delayed | Place::InFlight))
        {
            self.due.pop();
        }
        let due = self.due.peek().map(|Reverse((at, ..))| *at);
        let expiry = self.oldest().map(|since| since + self.config.retention);
        due.into_iter().chain(expiry).min()
    }

    /// When the oldest message was first published.
    pub fn oldest(&mut self) -> Option<SimTime> {
        while self.log.front().is_some_and(|e| e.place == Place::Gone) {
            self.log.pop_front();
            self.first += 1;
        }
        while let Some(id) = self.by_age.front().copied() {
            if let Some(entry) = self.entry(id) {
                return Some(entry.since);
            }
            self.by_age.pop_front();
        }
        None
    }

    /// What became of all messages.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Messages waiting and in flight, counted one by one.
    pub fn counted(&self) -> (u64, u64) {
        let in_flight = self.log.iter().filter(|e| e.place == Place::InFlight).count();
        let gone = self.log.iter().filter(|e| e.place == Place::Gone).count();
        ((self.log.len() - in_flight - gone) as u64, in_flight as u64)
    }
}

#[cfg(test)]
mod tests;
