//! Scripts for a queue of RabbitMQ.

use super::super::{Delivery, Message, Outbox, Published};
use super::{Overflow, Rabbit, RabbitConfig};
use crate::base::{SimDuration, SimTime};

const CONFIG: RabbitConfig = RabbitConfig {
    prefetch: 1,
    delivery_limit: Some(20),
    message_ttl: None,
    max_length: None,
    overflow: Overflow::DropHead,
    max_priority: 0,
    consumer_timeout: SimDuration::from_secs(1800),
    messages_max: u64::MAX,
    requeues: true,
    has_dead_letters: false,
};

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(seconds)
}

struct Queue {
    rabbit: Rabbit,
    out: Outbox,
}

impl Queue {
    fn new(config: RabbitConfig) -> Self {
        Self { rabbit: Rabbit::new(config), out: Outbox::default() }
    }

    fn publish(&mut self, seconds: u64) -> Published {
        self.rabbit.publish(at(seconds), at(seconds), Message::default(), false, &mut self.out)
    }

    /// Who gets what.
    fn deliver(&mut self, seconds: u64) -> Vec<(u32, Delivery)> {
        let (mut all, mut batch) = (Vec::new(), Vec::new());
        self.rabbit.advance(at(seconds), &mut self.out);
        while let Some(consumer) = self.rabbit.deliver(at(seconds), &mut batch, &mut self.out) {
            all.extend(batch.drain(..).map(|d| (consumer, d)));
        }
        all
    }
}

fn places(given: &[(u32, Delivery)]) -> Vec<(u32, u64)> {
    given.iter().map(|(consumer, d)| (*consumer, d.id)).collect()
}

#[test]
fn consumers_get_messages_in_turn_up_to_their_prefetch() {
    let mut queue = Queue::new(RabbitConfig { prefetch: 2, ..CONFIG });
    [7, 8].into_iter().for_each(|c| queue.rabbit.poll(c));
    (0..6).for_each(|_| assert_eq!(queue.publish(0), Published::Accepted));
    let given = queue.deliver(0);
    assert_eq!(places(&given), [(7, 0), (8, 1), (7, 2), (8, 3)]);
    assert!(queue.deliver(1).is_empty());
    queue.rabbit.settle(8, &given[1].1, true, &mut queue.out);
    assert_eq!(places(&queue.deliver(2)), [(8, 4)]);
}

#[test]
fn no_prefetch_is_no_limit() {
    let mut queue = Queue::new(RabbitConfig { prefetch: 0, ..CONFIG });
    queue.rabbit.poll(7);
    (0..500).for_each(|_| assert_eq!(queue.publish(0), Published::Accepted));
    assert_eq!(queue.deliver(0).len(), 500);
}

#[test]
fn what_is_returned_keeps_its_place() {
    let mut queue = Queue::new(CONFIG);
    queue.rabbit.poll(7);
    (0..3).for_each(|_| assert_eq!(queue.publish(0), Published::Accepted));
    let given = queue.deliver(0);
    queue.rabbit.settle(7, &given[0].1, false, &mut queue.out);
    let again = queue.deliver(1);
    assert_eq!((again[0].1.id, again[0].1.receipt), (0, 2));
    queue.rabbit.close(7, &mut queue.out);
    assert!(!queue.rabbit.is_current(7, &again[0].1));
    queue.rabbit.poll(8);
    assert_eq!(places(&queue.deliver(2)), [(8, 0)]);
}

#[test]
fn a_quorum_queue_gives_up_after_more_returns_than_its_limit() {
    let mut queue = Queue::new(RabbitConfig { has_dead_letters: true, ..CONFIG });
    queue.rabbit.poll(7);
    assert_eq!(queue.publish(5), Published::Accepted);
    for delivery in 1..=21 {
        assert!(queue.out.dead.is_empty(), "{delivery}");
        let given = queue.deliver(6);
        assert_eq!(given[0].1.receipt, delivery);
        queue.rabbit.settle(7, &given[0].1, false, &mut queue.out);
    }
    assert_eq!(queue.out.dead, [(at(5), Message::default())]);
    assert_eq!((queue.rabbit.tally().dead_lettered, queue.rabbit.tally().waiting), (1, 0));
}

#[test]
fn messages_expire_at_the_head_and_not_with_a_consumer() {
    let mut queue = Queue::new(RabbitConfig { message_ttl: Some(SimDuration::from_secs(60)), ..CONFIG });
    queue.rabbit.poll(7);
    assert_eq!(queue.publish(0), Published::Accepted);
    let given = queue.deliver(0);
    assert_eq!(queue.publish(10), Published::Accepted);
    assert_eq!(queue.rabbit.alarm(), Some(at(70)));
    queue.rabbit.advance(at(70), &mut queue.out);
    assert_eq!(queue.rabbit.tally().expired, 1);
    // Once returned, its time is over.
    queue.rabbit.settle(7, &given[0].1, false, &mut queue.out);
    assert!(queue.deliver(71).is_empty());
    assert_eq!(queue.rabbit.tally().expired, 2);
}

#[test]
fn a_queue_that_is_too_long_drops_its_head_or_refuses() {
    for (overflow, published, counts, next) in [
        (Overflow::DropHead, Published::Accepted, (1, 0), 1),
        (Overflow::RejectPublish, Published::Refused, (0, 1), 0),
    ] {
        let mut queue = Queue::new(RabbitConfig { max_length: Some(2), overflow, ..CONFIG });
        (0..2).for_each(|_| assert_eq!(queue.publish(0), Published::Accepted));
        assert_eq!(queue.publish(1), published);
        let tally = *queue.rabbit.tally();
        assert_eq!((tally.dropped, tally.refused), counts);
        queue.rabbit.poll(7);
        assert_eq!(places(&queue.deliver(1)), [(7, next)]);
        // Only ready messages count.
        assert_eq!(queue.publish(2), Published::Accepted);
        assert_eq!(
            *queue.rabbit.tally(),
            super::Tally { published: tally.published + 1, waiting: 2, ..*queue.rabbit.tally() }
        );
    }
}

#[test]
fn an_overdue_acknowledgement_closes_the_channel_and_returns_all_of_it() {
    let mut queue = Queue::new(RabbitConfig { prefetch: 3, ..CONFIG });
    queue.rabbit.poll(7);
    assert_eq!(queue.publish(0), Published::Accepted);
    let first = queue.deliver(0);
    (0..2).for_each(|_| assert_eq!(queue.publish(1000), Published::Accepted));
    assert_eq!(queue.deliver(1000).len(), 2);
    assert_eq!(queue.rabbit.alarm(), Some(at(1800)));
    assert!(queue.deliver(1800).is_empty());
    assert_eq!(queue.rabbit.tally().waiting, 3);
    // What it had done all the same was in vain.
    queue.rabbit.settle(7, &first[0].1, true, &mut queue.out);
    queue.rabbit.poll(8);
    let again = queue.deliver(1801);
    queue.rabbit.settle(8, &again[0].1, true, &mut queue.out);
    assert_eq!((queue.rabbit.tally().duplicates, queue.rabbit.tally().acknowledged), (1, 1));
}

#[test]
fn the_memory_alarm_blocks_publishers_but_not_dead_letters() {
    let mut queue = Queue::new(RabbitConfig { messages_max: 2, ..CONFIG });
    (0..2).for_each(|_| assert_eq!(queue.publish(0), Published::Accepted));
    assert_eq!(queue.publish(1), Published::Blocked);
    let dead = queue.rabbit.publish(at(1), at(0), Message::default(), true, &mut queue.out);
    assert_eq!(dead, Published::Accepted);
    queue.rabbit.poll(7);
    // Messages with consumers take memory, too.
    for _ in 0..2 {
        let given = queue.deliver(2);
        assert!(queue.rabbit.is_blocked());
        queue.rabbit.settle(7, &given[0].1, true, &mut queue.out);
    }
    assert!(!queue.rabbit.is_blocked());
    assert_eq!(queue.publish(3), Published::Accepted);
}

#[test]
fn priorities_go_first_up_to_the_highest_that_is_told_apart() {
    let mut queue = Queue::new(RabbitConfig { max_priority: 2, prefetch: 0, ..CONFIG });
    for priority in [0, 1, 2, 9] {
        let message = Message { priority, ..Message::default() };
        queue.rabbit.publish(at(0), at(0), message, false, &mut queue.out);
    }
    queue.rabbit.poll(7);
    assert_eq!(places(&queue.deliver(0)), [(7, 2), (7, 3), (7, 1), (7, 0)]);
}

#[test]
fn a_restart_of_the_node_returns_what_consumers_have() {
    let mut queue = Queue::new(RabbitConfig { prefetch: 2, ..CONFIG });
    [7, 8].into_iter().for_each(|c| queue.rabbit.poll(c));
    (0..3).for_each(|_| assert_eq!(queue.publish(0), Published::Accepted));
    assert_eq!(queue.deliver(0).len(), 3);
    queue.rabbit.set_down(true, &mut queue.out);
    queue.rabbit.set_down(false, &mut queue.out);
    assert!(queue.deliver(5).is_empty(), "nobody has a channel");
    queue.rabbit.poll(8);
    assert_eq!(places(&queue.deliver(6)), [(8, 0), (8, 1)]);
    assert_eq!(queue.rabbit.tally().redelivered, 2);
}
