//! Scripts for a topic of Kafka and its group.

use super::super::{Delivery, Message, Outbox};
use super::{Assignor, Commit, Kafka, KafkaConfig};
use crate::base::{SimDuration, SimTime};

const CONFIG: KafkaConfig = KafkaConfig {
    partitions: 4,
    assignor: Assignor::Range,
    session_timeout: SimDuration::from_secs(45),
    heartbeat_interval: SimDuration::from_secs(3),
    max_poll_interval: SimDuration::from_secs(300),
    max_poll_records: 500,
    commit: Commit::Auto(SimDuration::from_secs(5)),
    initial_rebalance_delay: SimDuration::from_secs(3),
    attempts: 10,
    has_dead_letters: false,
};

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(seconds)
}

/// A topic, and what its consumers hold.
struct Group {
    topic: Kafka,
    now: SimTime,
    out: Outbox,
    given: Vec<Vec<Delivery>>,
}

impl Group {
    /// Consumers that have just joined and got their partitions, at 3 s.
    fn new(config: KafkaConfig, consumers: u32) -> Self {
        let mut group = Self {
            topic: Kafka::new(config),
            now: SimTime::ZERO,
            out: Outbox::default(),
            given: vec![Vec::new(); 8],
        };
        (0..consumers).for_each(|c| group.poll(c));
        group.until(6);
        group
    }

    fn until(&mut self, seconds: u64) {
        while let Some(due) = self.topic.alarm().filter(|due| *due <= at(seconds)) {
            self.now = due;
            self.topic.advance(due, &mut self.out);
            self.deliver();
        }
        self.now = at(seconds);
    }

    fn deliver(&mut self) {
        let mut batch = Vec::new();
        while let Some(consumer) = self.topic.deliver(self.now, &mut batch) {
            self.given[consumer as usize].append(&mut batch);
        }
    }

    fn poll(&mut self, consumer: u32) {
        self.topic.poll(self.now, consumer, &mut self.out);
        self.deliver();
    }

    /// So many records for each partition.
    fn publish(&mut self, each: usize) {
        let mut wanted = vec![each; self.topic.partitions.len()];
        for about in 0.. {
            let before: Vec<usize> = self.topic.partitions.iter().map(|p| p.log.len()).collect();
            let mut trial = self.topic.clone();
            let message = Message { about, ..Message::default() };
            trial.publish(self.now, message);
            let to = trial.partitions.iter().zip(&before).position(|(p, n)| p.log.len() > *n).unwrap();
            if wanted[to] > 0 {
                wanted[to] -= 1;
                self.topic.publish(self.now, message);
            }
            if wanted.iter().all(|n| *n == 0) {
                break;
            }
        }
        self.deliver();
    }

    /// A consumer handles all that it has.
    fn handle(&mut self, consumer: u32) -> usize {
        let given = std::mem::take(&mut self.given[consumer as usize]);
        for delivery in &given {
            self.topic.settle(consumer, delivery, true, &mut self.out);
        }
        given.len()
    }

    fn shares(&self) -> Vec<usize> {
        self.topic.assignment().iter().map(|a| a.len()).collect()
    }
}

#[test]
fn ranges_are_as_equal_as_can_be_and_parallelism_ends_at_the_partitions() {
    let group = Group::new(CONFIG, 3);
    assert_eq!(group.topic.assignment(), [&[0, 1][..], &[2], &[3]]);
    let group = Group::new(CONFIG, 6);
    assert_eq!(group.shares(), [1, 1, 1, 1, 0, 0]);
}

#[test]
fn the_first_members_wait_for_more() {
    let mut group =
        Group { topic: Kafka::new(CONFIG), now: at(0), out: Outbox::default(), given: vec![vec![]; 8] };
    group.poll(0);
    group.publish(1);
    group.until(2);
    group.poll(1);
    group.until(5);
    assert!(group.given.iter().all(Vec::is_empty), "another one came, so 3 s more");
    group.until(6);
    assert_eq!((group.given[0].len(), group.given[1].len()), (2, 2));
}

#[test]
fn a_crash_is_noticed_by_the_session_and_repeats_what_was_not_committed() {
    let mut group = Group::new(CONFIG, 2);
    group.until(20);
    group.publish(3);
    assert_eq!((group.handle(0), group.handle(1)), (6, 6));
    // Handled, and not committed: nobody has polled since.
    group.topic.lose(group.now, 0);
    group.poll(1);
    assert_eq!(group.topic.tally().acknowledged, 6);
    // The last heartbeat was at 18 s.
    group.until(62);
    assert!(group.given[1].is_empty());
    // It is told by its next heartbeat, at 66 s.
    group.until(66);
    assert_eq!(group.handle(1), 6);
    let tally = *group.topic.tally();
    assert_eq!((tally.redelivered, tally.duplicates), (6, 6));
}

#[test]
fn auto_commit_happens_in_the_first_poll_after_the_interval() {
    let mut group = Group::new(CONFIG, 1);
    group.publish(1);
    group.until(7);
    group.handle(0);
    assert_eq!(group.topic.tally().acknowledged, 0);
    // Joined at 0 s, so it is due by now.
    group.poll(0);
    assert_eq!(group.topic.tally().acknowledged, 4);
    group.publish(1);
    group.handle(0);
    group.poll(0);
    group.until(11);
    assert_eq!(group.topic.tally().acknowledged, 4);
    // A consumer that waits in a poll commits there.
    group.until(12);
    assert_eq!(group.topic.tally().acknowledged, 8);
}

#[test]
fn an_eager_rebalance_stops_everybody_until_the_slowest_has_polled() {
    let mut group = Group::new(CONFIG, 2);
    group.publish(1);
    group.handle(1);
    group.poll(1);
    // Consumer 0 is slow; a third one joins.
    group.until(10);
    group.poll(2);
    group.until(13);
    group.publish(1);
    group.until(100);
    assert_eq!((group.given[1].len(), group.given[2].len()), (0, 0));
    assert_eq!(group.handle(0), 2);
    group.poll(0);
    assert_eq!(group.shares(), [2, 1, 1]);
    assert_eq!((group.given[0].len(), group.given[1].len(), group.given[2].len()), (2, 1, 1));
    assert_eq!(group.topic.tally().redelivered, 0, "what was handled was committed before");
}

#[test]
fn in_a_cooperative_rebalance_others_go_on_and_only_what_moves_stops() {
    let config = KafkaConfig { assignor: Assignor::CooperativeSticky, ..CONFIG };
    let mut group = Group::new(config, 2);
    let before: Vec<Vec<u32>> = group.topic.assignment().iter().map(|a| a.to_vec()).collect();
    group.publish(1);
    group.handle(1);
    group.poll(1);
    group.until(10);
    group.poll(2);
    group.until(13);
    // The first still has not polled, and the second consumes.
    group.publish(1);
    assert_eq!(group.handle(1), 2);
    group.poll(1);
    group.handle(0);
    group.poll(0);
    assert_eq!(group.handle(0), 2);
    group.poll(0);
    group.until(30);
    let after = group.topic.assignment();
    assert_eq!(group.shares().iter().sum::<usize>(), 4);
    assert_eq!(group.shares(), [2, 1, 1]);
    assert!(before.iter().zip(&after).all(|(b, a)| a.iter().all(|p| b.contains(p))), "sticky");
}

#[test]
fn a_process_that_comes_back_waits_for_its_own_old_session() {
    let mut group = Group::new(CONFIG, 2);
    group.until(20);
    group.topic.lose(group.now, 0);
    group.until(21);
    group.poll(0);
    group.until(24);
    group.publish(1);
    // The other one has joined the rebalance, too, and consumes nothing meanwhile.
    group.until(62);
    assert!(group.given.iter().all(Vec::is_empty));
    group.until(63);
    assert_eq!((group.given[0].len(), group.given[1].len()), (2, 2));
}

#[test]
fn who_takes_too_long_from_poll_to_poll_leaves_and_its_work_is_done_again() {
    let mut group = Group::new(KafkaConfig { max_poll_interval: SimDuration::from_secs(30), ..CONFIG }, 2);
    group.until(20);
    group.publish(1);
    group.handle(1);
    group.poll(1);
    // Its first poll was at 20 s: by 50 s it is no member any more.
    group.until(54);
    assert_eq!(group.shares(), [4]);
    assert_eq!(group.handle(1), 2);
    let late = group.given[0][0];
    assert!(!group.topic.is_current(0, &late));
    group.topic.settle(0, &late, true, &mut group.out);
    assert_eq!(group.topic.tally().duplicates, 1);
}

#[test]
fn a_record_that_fails_holds_its_partition_and_is_skipped_in_the_end() {
    let config = KafkaConfig { partitions: 1, attempts: 3, has_dead_letters: true, ..CONFIG };
    let mut group = Group::new(config, 1);
    group.publish(3);
    for attempt in 1..=3 {
        let given = std::mem::take(&mut group.given[0]);
        assert_eq!((given.len(), given[0].receipt), (3, attempt));
        group.topic.settle(0, &given[0], false, &mut group.out);
        if attempt == 3 {
            group.given[0] = given[1..].to_vec();
            assert!(group.topic.is_current(0, &given[1]));
        } else {
            assert!(!group.topic.is_current(0, &given[1]), "it is read again after the first");
            group.poll(0);
        }
    }
    group.handle(0);
    group.until(11);
    group.poll(0);
    let tally = *group.topic.tally();
    assert_eq!((tally.dead_lettered, tally.acknowledged, group.out.dead.len()), (1, 2, 1));
}
