//! A topic of Apache Kafka 3.9 with one consumer group, as the classic protocol has it (consumer configuration of
//! 3.9).
//!
//! - A partition is consumed by one member, in order: there is no more parallelism than partitions.
//! - What counts is the committed offset. A member that is lost has done everything since its last commit for
//!   nothing: it is consumed again by whoever gets the partition. Offsets are committed in `poll`, where all that
//!   the last poll returned has been handled, so nothing is lost.
//! - A member that crashes or hangs is noticed when its session times out; one that handles the records of a poll for
//!   longer than `max.poll.interval.ms` leaves by itself; one that closes leaves at once.
//! - **A rebalance waits for the slowest member**: each joins at its next poll after a heartbeat has told it, so
//!   after the records that it has. A process that died and came back joins as a new member, and the rebalance that
//!   it begins waits for its dead predecessor's session to time out. With the eager protocol (`Range`) nobody
//!   consumes meanwhile; with the cooperative one only what moves stops, and it moves in a second round.
//!
//! How long the rounds take in a real cluster is not claimed: requests to the coordinator take no time here,
//! heartbeats are sent at whole intervals from the join.

use super::{Delivery, Message, Outbox, Published, Tally};
use crate::base::{SimDuration, SimTime, mix};
use std::collections::VecDeque;

/// Who decides on partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Ranges of partitions, with the eager protocol.
    Range,
    /// As few moves as possible, with the cooperative protocol.
    CooperativeSticky,
}

/// When offsets are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// In the first poll after so long.
    Auto(SimDuration),
    /// Once the records of a poll are handled.
    EachPoll,
    /// After each record.
    EachRecord,
}

/// The settings of a topic, its group and its consumers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KafkaConfig {
    /// Partitions of the topic: never changes.
    pub partitions: u32,
    /// Who decides on partitions.
    pub assignor: Assignor,
    /// After how long without a heartbeat a member is lost.
    pub session_timeout: SimDuration,
    /// From one heartbeat to the next.
    pub heartbeat_interval: SimDuration,
    /// The longest time from poll to poll, and for which a rebalance waits for its members.
    pub max_poll_interval: SimDuration,
    /// The most records of a poll.
    pub max_poll_records: u32,
    /// When offsets are committed.
    pub commit: Commit,
    /// How long an empty group waits for more members.
    pub initial_rebalance_delay: SimDuration,
    /// How often a record is tried before it is skipped.
    pub attempts: u32,
    /// Whether what is skipped goes somewhere else.
    pub has_dead_letters: bool,
}

/// How far a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Waiting,
    InFlight,
    /// Handled or skipped, and not committed.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    message: Message,
    since: SimTime,
    receipt: u32,
    place: Place,
    is_handled: bool,
    is_skipped: bool,
}

#[derive(Clone, Debug)]
struct Partition {
    /// Records from the committed offset on.
    log: VecDeque<Record>,
    committed: u64,
    /// The next offset that is fetched.
    position: u64,
    /// Its consumer; `NOBODY` if none, or if that is dead.
    owner: u32,
}

const NOBODY: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Member {
    consumer: u32,
    since: SimTime,
    /// When its session times out, once it is silent.
    lost_at: Option<SimTime>,
    /// When it must have polled again, while it handles records.
    poll_by: SimTime,
    /// Records of its last poll that are not settled.
    outstanding: u32,
    is_polling: bool,
    /// Whether it takes part in the rebalance under way, and when it learns of that.
    has_joined: bool,
    learns_at: SimTime,
    commit_at: SimTime,
    assigned: Vec<u32>,
    /// Partitions that it has to give up.
    revoked: Vec<u32>,
    /// Which of its partitions is fetched first.
    turn: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Empty,
    /// The first members come: until when, whether one came since that was set, and the latest end.
    Initial(SimTime, bool, SimTime),
    Joining(SimTime),
    Stable,
}

/// A topic and its group.
#[derive(Clone, Debug)]
pub struct Kafka {
    config: KafkaConfig,
    partitions: Vec<Partition>,
    /// In the order in which they joined.
    members: Vec<Member>,
    phase: Phase,
    /// Consumers for which there may be records.
    candidates: VecDeque<u32>,
    /// Whether nobody can reach the brokers: nothing is fetched or committed, and nobody is missed.
    is_down: bool,
    tally: Tally,
}

/// How long producers go on trying (`delivery.timeout.ms`).
pub const DELIVERY_TIMEOUT: SimDuration = SimDuration::from_secs(120);

/// The partition and the offset of a record.
fn place_of(id: u64) -> (usize, u64) {
    ((id >> 44) as usize, id & ((1 << 44) - 1))
}

impl Kafka {
    /// An empty topic, and a group without members.
    pub fn new(config: KafkaConfig) -> Self {
        let empty = Partition { log: VecDeque::new(), committed: 0, position: 0, owner: NOBODY };
        Self {
            config,
            partitions: vec![empty; config.partitions as usize],
            members: Vec::new(),
            phase: Phase::Empty,
            candidates: VecDeque::new(),
            is_down: false,
            tally: Tally::default(),
        }
    }

    /// New settings. The number of partitions stays.
    pub fn reconfigure(&mut self, config: KafkaConfig) {
        debug_assert_eq!(self.config.partitions, config.partitions, "partitions are never added");
        self.config = config;
    }

    /// Nobody can reach the brokers, or everybody can again: sessions begin anew then.
    pub fn set_down(&mut self, now: SimTime, is_down: bool, out: &mut Outbox) {
        self.is_down = is_down;
        if !is_down {
            for member in &mut self.members {
                member.lost_at = member.lost_at.map(|_| now + self.config.session_timeout);
                self.candidates.push_back(member.consumer);
            }
            self.advance(now, out);
        }
    }

    /// A record is appended to the partition of its key.
    pub fn publish(&mut self, since: SimTime, message: Message) -> Published {
        let at = mix(u64::from(message.about), 1) % self.partitions.len() as u64;
        let partition = &mut self.partitions[at as usize];
        partition.log.push_back(Record {
            message,
            since,
            receipt: 0,
            place: Place::Waiting,
            is_handled: false,
            is_skipped: false,
        });
        self.tally.published += 1;
        self.tally.waiting += 1;
        if partition.owner != NOBODY {
            self.candidates.push_back(partition.owner);
        }
        Published::Accepted
    }

    fn member(&self, consumer: u32) -> Option<usize> {
        self.members.iter().position(|m| m.consumer == consumer)
    }

    // ---- consumers ----

    /// A consumer polls: it has handled what the last poll returned.
    pub fn poll(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        let Some(at) = self.member(consumer) else { return self.join(now, consumer, out) };
        debug_assert_eq!(
            self.members[at].outstanding, 0,
            "a poll comes after all that the last one returned"
        );
        self.members[at].is_polling = true;
        self.candidates.push_back(consumer);
        self.go_on(now, consumer, out);
    }

    /// What a member does in a poll, and whenever it is due while it waits there.
    fn go_on(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        let Some(at) = self.member(consumer).filter(|_| !self.is_down) else { return };
        let member = &self.members[at];
        if !member.is_polling || member.outstanding > 0 || member.lost_at.is_some() {
            return;
        }
        let is_due = match self.config.commit {
            Commit::Auto(interval) => {
                let is_due = member.commit_at <= now;
                if is_due {
                    self.members[at].commit_at = now + interval;
                }
                is_due
            }
            Commit::EachPoll | Commit::EachRecord => true,
        };
        if is_due {
            self.commit(at, out);
        }
        if !self.members[at].revoked.is_empty() {
            self.commit(at, out);
            let revoked = std::mem::take(&mut self.members[at].revoked);
            self.members[at].assigned.retain(|p| !revoked.contains(p));
            revoked.iter().for_each(|p| self.release(*p));
            self.begin_round(now);
            self.members[at].learns_at = now;
        }
        let member = &self.members[at];
        if matches!(self.phase, Phase::Joining(_)) && !member.has_joined && member.learns_at <= now {
            if self.config.assignor == Assignor::Range {
                self.commit(at, out);
                let assigned = std::mem::take(&mut self.members[at].assigned);
                assigned.iter().for_each(|p| self.release(*p));
            }
            self.members[at].has_joined = true;
            self.end_round_if_all(now, out);
        }
    }

    /// A new member joins.
    fn join(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        self.members.push(Member {
            consumer,
            since: now,
            lost_at: None,
            poll_by: SimTime::NEVER,
            outstanding: 0,
            is_polling: true,
            has_joined: true,
            learns_at: now,
            commit_at: match self.config.commit {
                Commit::Auto(interval) => now + interval,
                _ => now,
            },
            assigned: Vec::new(),
            revoked: Vec::new(),
            turn: 0,
        });
        match &mut self.phase {
            Phase::Empty => {
                let delay = self.config.initial_rebalance_delay;
                self.phase = Phase::Initial(now + delay, false, now + self.config.max_poll_interval);
            }
            Phase::Initial(_, has_more, _) => *has_more = true,
            Phase::Joining(_) => {}
            Phase::Stable => {
                self.begin_round(now);
                if let Some(last) = self.members.last_mut() {
                    last.has_joined = true;
                }
            }
        }
        self.end_round_if_all(now, out);
    }

    /// A consumer asks no more.
    pub fn stop_polling(&mut self, consumer: u32) {
        if let Some(at) = self.member(consumer) {
            self.members[at].is_polling = false;
        }
    }

    /// A consumer closes: it commits and leaves the group at once.
    pub fn leave(&mut self, now: SimTime, consumer: u32, out: &mut Outbox) {
        if let Some(at) = self.member(consumer) {
            self.commit(at, out);
            self.remove(now, at, out);
        }
    }

    /// A consumer's process dies: nobody hears of it again.
    pub fn lose(&mut self, now: SimTime, consumer: u32) {
        self.hear(now, consumer, false);
        if let Some(at) = self.member(consumer) {
            let member = &mut self.members[at];
            member.consumer = NOBODY;
            member.is_polling = false;
            member.outstanding = 0;
            let assigned = member.assigned.clone();
            for partition in assigned {
                self.partitions[partition as usize].owner = NOBODY;
            }
        }
    }

    /// A consumer's process hangs, or goes on: its heartbeats stop and go on with it.
    pub fn hear(&mut self, now: SimTime, consumer: u32, is_heard: bool) {
        let (interval, timeout) = (self.config.heartbeat_interval, self.config.session_timeout);
        let Some(at) = self.member(consumer) else { return };
        let member = &mut self.members[at];
        if is_heard {
            member.lost_at = None;
            self.candidates.push_back(consumer);
        } else if member.lost_at.is_none() {
            let last = next_heartbeat(member.since, interval, now);
            // The one before the next: the last that was sent.
            let last = SimTime::from_ns(last.ns().saturating_sub(interval.ns())).max(member.since);
            member.lost_at = Some((last + timeout).max(now));
        }
    }

    // ---- records ----

    /// A member that polls gets records of its partitions, from one after the other.
    pub fn deliver(&mut self, now: SimTime, batch: &mut Vec<Delivery>) -> Option<u32> {
        while !self.is_down
            && let Some(consumer) = self.candidates.pop_front()
        {
            let Some(at) = self.member(consumer) else { continue };
            let member = &mut self.members[at];
            if !member.is_polling || member.lost_at.is_some() || member.assigned.is_empty() {
                continue;
            }
            let most = self.config.max_poll_records as usize;
            let count = member.assigned.len();
            let first = member.turn;
            member.turn = (first + 1) % count;
            let before = batch.len();
            for number in 0..count {
                let partition = member.assigned[(first + number) % count];
                if member.revoked.contains(&partition) {
                    continue;
                }
                let p = &mut self.partitions[partition as usize];
                while batch.len() - before < most {
                    let Some(record) = p.log.get_mut((p.position - p.committed) as usize) else { break };
                    record.place = Place::InFlight;
                    record.receipt += 1;
                    let id = u64::from(partition) << 44 | p.position;
                    batch.push(Delivery { id, receipt: record.receipt, message: record.message });
                    self.tally.redelivered += u64::from(record.receipt > 1);
                    p.position += 1;
                }
            }
            let got = (batch.len() - before) as u32;
            if got > 0 {
                member.outstanding = got;
                member.is_polling = false;
                member.poll_by = now + self.config.max_poll_interval;
                self.tally.waiting -= u64::from(got);
                self.tally.in_flight += u64::from(got);
                self.tally.delivered += u64::from(got);
                return Some(consumer);
            }
        }
        None
    }

    /// Whether a record is still a consumer's to handle.
    pub fn is_current(&self, consumer: u32, delivery: &Delivery) -> bool {
        let (partition, offset) = place_of(delivery.id);
        let p = &self.partitions[partition];
        let at = offset.checked_sub(p.committed);
        p.owner == consumer
            && at
                .and_then(|at| p.log.get(at as usize))
                .is_some_and(|record| record.receipt == delivery.receipt && record.place == Place::InFlight)
    }

    /// A record was handled. If that failed it is tried again, and those behind it in its partition after it.
    pub fn settle(&mut self, consumer: u32, delivery: &Delivery, is_done: bool, out: &mut Outbox) {
        let (partition, offset) = place_of(delivery.id);
        let is_current = self.is_current(consumer, delivery);
        let p = &mut self.partitions[partition];
        let at = offset.checked_sub(p.committed).map(|at| at as usize);
        let Some(at) = at.filter(|at| *at < p.log.len()) else {
            self.tally.duplicates += u64::from(is_done);
            return;
        };
        let record = &mut p.log[at];
        if is_done {
            self.tally.duplicates += u64::from(std::mem::replace(&mut record.is_handled, true));
        }
        if !is_current {
            return;
        }
        let Some(member) = self.members.iter_mut().find(|m| m.consumer == consumer) else { return };
        if is_done || record.receipt >= self.config.attempts {
            record.is_skipped = !is_done && !record.is_handled;
            record.place = Place::Done;
            member.outstanding -= 1;
        } else {
            let mut back = 0;
            for record in p.log.iter_mut().skip(at).filter(|r| r.place == Place::InFlight) {
                record.place = Place::Waiting;
                back += 1;
            }
            p.position = offset;
            member.outstanding -= back as u32;
            self.tally.in_flight -= back;
            self.tally.waiting += back;
        }
        if self.config.commit == Commit::EachRecord {
            self.commit_partition(partition, out);
        }
    }

    fn commit(&mut self, at: usize, out: &mut Outbox) {
        for number in 0..self.members[at].assigned.len() {
            self.commit_partition(self.members[at].assigned[number] as usize, out);
        }
    }

    /// Commits what was handled, from the committed offset on.
    fn commit_partition(&mut self, partition: usize, out: &mut Outbox) {
        let p = &mut self.partitions[partition];
        while !self.is_down
            && let Some(record) = p.log.front().copied().filter(|r| r.place == Place::Done)
        {
            p.log.pop_front();
            p.committed += 1;
            self.tally.in_flight -= 1;
            if !record.is_skipped {
                out.acknowledged.push(record.since);
                self.tally.acknowledged += 1;
            } else if self.config.has_dead_letters {
                out.dead.push((record.since, record.message));
                self.tally.dead_lettered += 1;
            } else {
                self.tally.dropped += 1;
            }
        }
    }

    /// A partition has no consumer any more: the next one begins where it was committed.
    fn release(&mut self, partition: u32) {
        let p = &mut self.partitions[partition as usize];
        p.owner = NOBODY;
        let back = p.position - p.committed;
        p.position = p.committed;
        for record in p.log.iter_mut().take(back as usize) {
            record.place = Place::Waiting;
            record.is_skipped = false;
        }
        self.tally.in_flight -= back;
        self.tally.waiting += back;
    }

    // ---- the group ----

    fn remove(&mut self, now: SimTime, at: usize, out: &mut Outbox) {
        let member = self.members.remove(at);
        member.assigned.iter().for_each(|p| self.release(*p));
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            return;
        }
        self.begin_round(now);
        self.end_round_if_all(now, out);
    }

    /// Everybody is to join anew, at the next poll after a heartbeat.
    fn begin_round(&mut self, now: SimTime) {
        if self.phase != Phase::Stable {
            return;
        }
        self.phase = Phase::Joining(now + self.config.max_poll_interval);
        for member in &mut self.members {
            member.has_joined = false;
            member.learns_at = next_heartbeat(member.since, self.config.heartbeat_interval, now);
        }
    }

    fn end_round_if_all(&mut self, now: SimTime, out: &mut Outbox) {
        if matches!(self.phase, Phase::Joining(_)) && self.members.iter().all(|m| m.has_joined) {
            self.end_round(now, out);
        }
    }

    /// All who have come get partitions; the others are members no more.
    fn end_round(&mut self, now: SimTime, out: &mut Outbox) {
        while let Some(at) = self.members.iter().position(|m| !m.has_joined) {
            let member = self.members.remove(at);
            member.assigned.iter().for_each(|p| self.release(*p));
        }
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            return;
        }
        self.phase = Phase::Stable;
        self.tally.rebalances += 1;
        match self.config.assignor {
            Assignor::Range => self.assign_ranges(),
            Assignor::CooperativeSticky => self.assign_sticky(),
        }
        self.candidates.extend(self.members.iter().map(|m| m.consumer));
        // Who waits in a poll gives up what moves at once; the others do so in their next one.
        let waiting: Vec<u32> = self
            .members
            .iter()
            .filter(|m| m.is_polling && !m.revoked.is_empty())
            .map(|m| m.consumer)
            .collect();
        for consumer in waiting {
            self.go_on(now, consumer, out);
        }
    }

    fn give(&mut self, partition: u32, at: usize) {
        self.partitions[partition as usize].owner = self.members[at].consumer;
        self.members[at].assigned.push(partition);
    }

    fn assign_ranges(&mut self) {
        let (partitions, members) = (self.partitions.len(), self.members.len());
        // Settings may have changed the assignor: what was kept is given out with the rest.
        for at in 0..members {
            let assigned = std::mem::take(&mut self.members[at].assigned);
            self.members[at].revoked.clear();
            assigned.iter().for_each(|p| self.release(*p));
        }
        let mut next = 0;
        for at in 0..members {
            let share = partitions / members + usize::from(at < partitions % members);
            for partition in next..next + share {
                self.give(partition as u32, at);
            }
            next += share;
        }
    }

    /// Everybody keeps what it has, up to a fair share; what is free is given to those who have less, and what
    /// somebody has too much of is to be given up, for the next round.
    fn assign_sticky(&mut self) {
        let (partitions, members) = (self.partitions.len(), self.members.len());
        let (share, mut extra) = (partitions / members, partitions % members);
        let mut wanted = vec![share; members];
        // Those that have more than a share keep one more first.
        let mut order: Vec<usize> = (0..members).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.members[*at].assigned.len()));
        for at in order {
            if extra == 0 {
                break;
            }
            wanted[at] += 1;
            extra -= 1;
        }
        let is_taken = |this: &Self, p: u32| this.members.iter().any(|m| m.assigned.contains(&p));
        let mut free: VecDeque<u32> = (0..partitions as u32).filter(|p| !is_taken(self, *p)).collect();
        for (at, wanted) in wanted.iter().enumerate() {
            while self.members[at].assigned.len() < *wanted {
                let Some(partition) = free.pop_front() else { break };
                self.give(partition, at);
            }
            let member = &mut self.members[at];
            member.revoked = member.assigned.iter().skip(*wanted).copied().collect();
        }
    }

    // ---- time ----

    /// Sessions and polls time out, members learn of rebalances, offsets are committed, rounds end.
    pub fn advance(&mut self, now: SimTime, out: &mut Outbox) {
        if self.is_down {
            return;
        }
        while let Some(at) = self
            .members
            .iter()
            .position(|m| m.lost_at.is_some_and(|at| at <= now) || (m.outstanding > 0 && m.poll_by <= now))
        {
            self.remove(now, at, out);
        }
        let waiting: Vec<u32> = self.members.iter().filter(|m| m.is_polling).map(|m| m.consumer).collect();
        for consumer in waiting {
            self.go_on(now, consumer, out);
        }
        match self.phase {
            Phase::Initial(until, has_more, limit) if until <= now => {
                if has_more && now < limit {
                    let delay = self.config.initial_rebalance_delay;
                    self.phase = Phase::Initial((now + delay).min(limit), false, limit);
                } else {
                    self.end_round(now, out);
                }
            }
            Phase::Joining(until) if until <= now => self.end_round(now, out),
            _ => {}
        }
    }

    /// When something is due next.
    pub fn alarm(&self) -> Option<SimTime> {
        if self.is_down {
            return None;
        }
        let is_joining = matches!(self.phase, Phase::Joining(_));
        let of_member = |m: &Member| {
            let is_idle = m.is_polling && m.outstanding == 0 && m.lost_at.is_none();
            let learns = (is_idle && is_joining && !m.has_joined).then_some(m.learns_at);
            let has_done = || {
                let mut mine = m.assigned.iter().map(|p| &self.partitions[*p as usize]);
                mine.any(|p| p.log.front().is_some_and(|r| r.place == Place::Done))
            };
            let commits = (is_idle && has_done()).then_some(m.commit_at);
            let polls = (m.outstanding > 0).then_some(m.poll_by);
            [learns, commits, polls, m.lost_at].into_iter().flatten().min()
        };
        let members = self.members.iter().filter_map(of_member).min();
        let phase = match self.phase {
            Phase::Initial(until, ..) | Phase::Joining(until) => Some(until),
            Phase::Empty | Phase::Stable => None,
        };
        members.into_iter().chain(phase).min()
    }

    /// When the oldest record was published that is not committed.
    pub fn oldest(&self) -> Option<SimTime> {
        self.partitions.iter().filter_map(|p| p.log.front().map(|r| r.since)).min()
    }

    /// What became of all records.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Records waiting and in flight, counted one by one.
    pub fn counted(&self) -> (u64, u64) {
        let all = || self.partitions.iter().flat_map(|p| &p.log);
        let waiting = all().filter(|r| r.place == Place::Waiting).count();
        ((waiting) as u64, (all().count() - waiting) as u64)
    }

    /// The partitions of each member, in the order in which they joined.
    pub fn assignment(&self) -> Vec<&[u32]> {
        self.members.iter().map(|m| m.assigned.as_slice()).collect()
    }
}

/// The first heartbeat after `now` of a member that joined at `since`.
fn next_heartbeat(since: SimTime, interval: SimDuration, now: SimTime) -> SimTime {
    let step = interval.ns().max(1);
    SimTime::from_ns(since.ns() + (now.since(since).ns() / step + 1) * step)
}

#[cfg(test)]
mod tests;
