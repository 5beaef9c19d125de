//! Scripts for a queue of SQS.

use super::super::{Delivery, Message, Outbox};
use super::{Sqs, SqsConfig};
use crate::base::{SimDuration, SimTime};

const CONFIG: SqsConfig = SqsConfig {
    visibility_timeout: SimDuration::from_secs(30),
    delay: SimDuration::ZERO,
    retention: SimDuration::from_secs(345_600),
    in_flight_max: 120_000,
    fifo: false,
    max_receive_count: None,
    batch: 1,
    releases: false,
};

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(seconds)
}

fn send(queue: &mut Sqs, seconds: u64, about: u32) {
    queue.publish(at(seconds), at(seconds), Message { about, ..Message::default() });
}

/// What a consumer receives.
fn receive(queue: &mut Sqs, seconds: u64, out: &mut Outbox) -> Vec<Delivery> {
    let mut batch = Vec::new();
    queue.advance(at(seconds));
    queue.poll(7);
    assert!(queue.deliver(at(seconds), &mut batch, out).is_none_or(|c| c == 7));
    queue.stop_polling(7);
    batch
}

fn ids(batch: &[Delivery]) -> Vec<u64> {
    batch.iter().map(|d| d.id).collect()
}

#[test]
fn a_message_is_invisible_from_the_receive_on() {
    let (mut queue, mut out) = (Sqs::new(CONFIG), Outbox::default());
    send(&mut queue, 0, 0);
    let first = receive(&mut queue, 10, &mut out);
    assert_eq!(first.len(), 1);
    assert!(receive(&mut queue, 39, &mut out).is_empty());
    assert_eq!(queue.alarm(), Some(at(40)));
    let again = receive(&mut queue, 40, &mut out);
    assert_eq!((again[0].id, again[0].receipt), (first[0].id, 2));
    assert_eq!(queue.tally().redelivered, 1);
}

#[test]
fn a_receipt_that_is_not_the_latest_deletes_nothing() {
    let (mut queue, mut out) = (Sqs::new(CONFIG), Outbox::default());
    send(&mut queue, 0, 0);
    let first = receive(&mut queue, 0, &mut out)[0];
    let second = receive(&mut queue, 30, &mut out)[0];
    queue.settle(&first, true, &mut out);
    assert_eq!(queue.tally().acknowledged, 0);
    queue.settle(&second, true, &mut out);
    let tally = *queue.tally();
    assert_eq!((tally.acknowledged, tally.duplicates), (1, 1));
    // Whoever is even later has worked in vain, too.
    queue.settle(&first, true, &mut out);
    assert_eq!(queue.tally().duplicates, 2);
}

#[test]
fn a_late_delete_works_for_a_standard_queue_and_fails_for_fifo() {
    for (fifo, acknowledged) in [(false, 1), (true, 0)] {
        let (mut queue, mut out) = (Sqs::new(SqsConfig { fifo, ..CONFIG }), Outbox::default());
        send(&mut queue, 0, 0);
        let first = receive(&mut queue, 0, &mut out)[0];
        queue.advance(at(31));
        queue.settle(&first, true, &mut out);
        assert_eq!(queue.tally().acknowledged, acknowledged, "fifo: {fifo}");
    }
}

#[test]
fn the_receive_beyond_the_count_moves_a_message_with_its_first_time() {
    let (mut queue, mut out) =
        (Sqs::new(SqsConfig { max_receive_count: Some(2), ..CONFIG }), Outbox::default());
    send(&mut queue, 5, 0);
    for seconds in [10, 40] {
        assert_eq!(receive(&mut queue, seconds, &mut out).len(), 1);
        assert!(out.dead.is_empty());
    }
    // It waits for a receive: nothing moves it by itself.
    queue.advance(at(500));
    assert_eq!(queue.tally().waiting, 1);
    assert!(receive(&mut queue, 501, &mut out).is_empty());
    assert_eq!(out.dead, [(at(5), Message::default())]);
    assert_eq!((queue.tally().dead_lettered, queue.tally().waiting), (1, 0));
}

#[test]
fn a_dead_letter_queue_counts_retention_from_the_first_enqueue() {
    let mut dead = Sqs::new(SqsConfig { retention: SimDuration::from_secs(100), ..CONFIG });
    send(&mut dead, 60, 0);
    // Moved here at 90 s, first enqueued at 5 s.
    dead.publish(at(90), at(5), Message::default());
    assert_eq!((dead.oldest(), dead.alarm()), (Some(at(5)), Some(at(105))));
    dead.advance(at(105));
    assert_eq!((dead.tally().expired, dead.oldest()), (1, Some(at(60))));
}

#[test]
fn a_group_waits_while_one_of_its_messages_is_in_flight() {
    let (mut queue, mut out) = (Sqs::new(SqsConfig { fifo: true, batch: 2, ..CONFIG }), Outbox::default());
    for about in [1, 1, 1, 2] {
        send(&mut queue, 0, about);
    }
    let first = receive(&mut queue, 1, &mut out);
    assert_eq!(ids(&first), [0, 1]);
    assert_eq!(ids(&receive(&mut queue, 2, &mut out)), [3], "the other group");
    queue.settle(&first[0], true, &mut out);
    assert!(receive(&mut queue, 3, &mut out).is_empty(), "one is still in flight");
    queue.settle(&first[1], true, &mut out);
    assert_eq!(ids(&receive(&mut queue, 4, &mut out)), [2]);
}

#[test]
fn a_group_goes_on_in_order_after_a_failure() {
    let config = SqsConfig { fifo: true, batch: 10, releases: true, ..CONFIG };
    let (mut queue, mut out) = (Sqs::new(config), Outbox::default());
    (0..3).for_each(|_| send(&mut queue, 0, 1));
    let all = receive(&mut queue, 1, &mut out);
    queue.settle(&all[1], false, &mut out);
    assert!(receive(&mut queue, 2, &mut out).is_empty());
    queue.settle(&all[0], false, &mut out);
    queue.settle(&all[2], false, &mut out);
    assert_eq!(ids(&receive(&mut queue, 3, &mut out)), [0, 1, 2]);
}

#[test]
fn nothing_is_received_beyond_the_most_in_flight() {
    let config = SqsConfig { in_flight_max: 3, batch: 10, ..CONFIG };
    let (mut queue, mut out) = (Sqs::new(config), Outbox::default());
    (0..5).for_each(|_| send(&mut queue, 0, 0));
    let first = receive(&mut queue, 0, &mut out);
    assert_eq!(first.len(), 3);
    assert!(receive(&mut queue, 1, &mut out).is_empty());
    queue.settle(&first[0], true, &mut out);
    assert_eq!(receive(&mut queue, 2, &mut out).len(), 1);
}

#[test]
fn delays_end_and_messages_in_flight_expire_too() {
    let config =
        SqsConfig { delay: SimDuration::from_secs(10), retention: SimDuration::from_secs(60), ..CONFIG };
    let (mut queue, mut out) = (Sqs::new(config), Outbox::default());
    send(&mut queue, 0, 0);
    assert!(receive(&mut queue, 9, &mut out).is_empty());
    assert_eq!(queue.tally().waiting, 1, "a delayed message waits");
    assert_eq!(receive(&mut queue, 10, &mut out).len(), 1);
    assert_eq!(receive(&mut queue, 59, &mut out).len(), 1);
    queue.advance(at(60));
    assert_eq!((queue.tally().expired, queue.tally().in_flight), (1, 0));
    assert_eq!(queue.alarm(), None);
}
