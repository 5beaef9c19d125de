//! What holds for all brokers, whatever consumers do: messages add up, and nothing leaves but by the rules.

use super::kafka::{Assignor, Commit, KafkaConfig};
use super::rabbit::{Overflow, RabbitConfig};
use super::sqs::SqsConfig;
use super::{Broker, BrokerConfig, Delivery, Message, Outbox, Published};
use crate::base::{SimDuration, SimTime};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What may happen to a small system.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody publishes.
    Publish(u8),
    /// Time passes, in seconds.
    Pass(u8),
    /// A consumer asks.
    Poll(u8),
    /// A consumer has handled what it got first, well or not.
    Settle(u8, bool),
    /// A consumer's process dies, with all that it was given.
    Crash(u8),
    /// A consumer's process hangs, or goes on if it did.
    Hang(u8),
    /// A consumer ends in good order.
    Leave(u8),
    /// The broker cannot be reached, or can again if it could not.
    Down,
}

const CONSUMERS: u8 = 3;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8).prop_map(Step::Publish),
        2 => (1..20u8).prop_map(Step::Pass),
        3 => (0..CONSUMERS).prop_map(Step::Poll),
        4 => (0..CONSUMERS, prop::bool::weighted(0.8)).prop_map(|(c, ok)| Step::Settle(c, ok)),
        1 => (0..CONSUMERS).prop_map(Step::Crash),
        1 => (0..CONSUMERS).prop_map(Step::Hang),
        1 => (0..CONSUMERS).prop_map(Step::Leave),
        1 => Just(Step::Down),
    ]
}

fn sqs() -> impl Strategy<Value = BrokerConfig> {
    let times = (1..40u64, 0..5u64, prop::option::of(60..120u64));
    (times, 1..6u32, any::<bool>(), prop::option::of(1..4u32), 1..10u32, any::<bool>()).prop_map(
        |((visible, delay, kept), in_flight_max, fifo, max_receive_count, batch, releases)| {
            BrokerConfig::Sqs(SqsConfig {
                visibility_timeout: SimDuration::from_secs(visible),
                delay: SimDuration::from_secs(delay),
                retention: SimDuration::from_secs(kept.unwrap_or(1_000_000)),
                in_flight_max,
                fifo,
                max_receive_count,
                batch,
                releases,
            })
        },
    )
}

fn kafka() -> impl Strategy<Value = BrokerConfig> {
    let times = (5..60u64, 1..5u64, 5..90u64, 0..4u64);
    let commit = prop_oneof![
        (1..8u64).prop_map(|s| Commit::Auto(SimDuration::from_secs(s))),
        Just(Commit::EachPoll),
        Just(Commit::EachRecord)
    ];
    (1..5u32, any::<bool>(), times, 1..6u32, commit, 1..4u32, any::<bool>()).prop_map(
        |(partitions, is_range, (session, beat, poll, delay), most, commit, attempts, has_dead_letters)| {
            BrokerConfig::Kafka(KafkaConfig {
                partitions,
                assignor: if is_range { Assignor::Range } else { Assignor::CooperativeSticky },
                session_timeout: SimDuration::from_secs(session),
                heartbeat_interval: SimDuration::from_secs(beat),
                max_poll_interval: SimDuration::from_secs(poll),
                max_poll_records: most,
                commit,
                initial_rebalance_delay: SimDuration::from_secs(delay),
                attempts,
                has_dead_letters,
            })
        },
    )
}

fn rabbit() -> impl Strategy<Value = BrokerConfig> {
    let limits = (prop::option::of(0..4u32), prop::option::of(5..60u64), prop::option::of(1..8u32));
    let more = (any::<bool>(), 0..3u8, 5..60u64, 2..30u64, any::<bool>(), any::<bool>());
    (0..5u32, limits, more).prop_map(|(prefetch, (delivery_limit, ttl, max_length), more)| {
        let (rejects, max_priority, timeout, messages_max, requeues, has_dead_letters) = more;
        BrokerConfig::Rabbit(RabbitConfig {
            prefetch,
            delivery_limit,
            message_ttl: ttl.map(SimDuration::from_secs),
            max_length,
            overflow: if rejects { Overflow::RejectPublish } else { Overflow::DropHead },
            max_priority,
            consumer_timeout: SimDuration::from_secs(timeout),
            messages_max,
            requeues,
            has_dead_letters,
        })
    })
}

/// A broker with consumers that may fail in any way.
struct System {
    broker: Broker,
    out: Outbox,
    now: SimTime,
    /// What each consumer was given and has not settled.
    given: BTreeMap<u32, Vec<Delivery>>,
    hung: BTreeSet<u32>,
    is_down: bool,
    /// Keys of messages accepted, handled well by somebody, and dead.
    accepted: BTreeSet<u64>,
    handled: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    acknowledged: u64,
    tried: u64,
}

impl System {
    fn new(config: BrokerConfig) -> Self {
        Self {
            broker: Broker::new(config),
            out: Outbox::default(),
            now: SimTime::ZERO,
            given: BTreeMap::new(),
            hung: BTreeSet::new(),
            is_down: false,
            accepted: BTreeSet::new(),
            handled: BTreeSet::new(),
            dead: BTreeSet::new(),
            acknowledged: 0,
            tried: 0,
        }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Publish(about) if !self.is_down => {
                self.tried += 1;
                let key = self.tried;
                let message = Message { key, about: u32::from(about), priority: about, ..Message::default() };
                let published = self.broker.publish(self.now, self.now, message, false, &mut self.out);
                if published == Published::Accepted {
                    self.accepted.insert(key);
                }
            }
            Step::Publish(_) => {}
            Step::Pass(seconds) => {
                let end = self.now + SimDuration::from_secs(u64::from(seconds));
                while let Some(at) = self.broker.alarm().filter(|at| *at <= end) {
                    self.now = self.now.max(at);
                    self.broker.advance(self.now, &mut self.out);
                    self.deliver();
                }
                self.now = end;
            }
            Step::Poll(consumer) => {
                let consumer = u32::from(consumer);
                let given = self.given.entry(consumer).or_default();
                given.retain(|d| self.broker.is_current(consumer, d));
                if !self.is_down && !self.hung.contains(&consumer) && given.is_empty() {
                    self.broker.poll(self.now, consumer, &mut self.out);
                }
            }
            Step::Settle(consumer, is_done) => {
                let consumer = u32::from(consumer);
                let given = self.given.entry(consumer).or_default();
                if !self.hung.contains(&consumer) && !given.is_empty() {
                    let delivery = given.remove(0);
                    if is_done {
                        self.handled.insert(delivery.message.key);
                    }
                    self.broker.settle(consumer, &delivery, is_done, &mut self.out);
                }
            }
            Step::Crash(consumer) => {
                let consumer = u32::from(consumer);
                self.given.remove(&consumer);
                self.hung.remove(&consumer);
                self.broker.lose(self.now, consumer, &mut self.out);
            }
            Step::Hang(consumer) => {
                let consumer = u32::from(consumer);
                let goes_on = self.hung.remove(&consumer) || !self.hung.insert(consumer);
                self.broker.hear(self.now, consumer, goes_on, &mut self.out);
            }
            Step::Down => {
                self.is_down = !self.is_down;
                self.broker.set_down(self.now, self.is_down, &mut self.out);
            }
            Step::Leave(consumer) => {
                let consumer = u32::from(consumer);
                if !self.hung.contains(&consumer) {
                    self.given.remove(&consumer);
                    self.broker.leave(self.now, consumer, &mut self.out);
                }
            }
        }
        self.deliver();
        self.check();
    }

    fn deliver(&mut self) {
        let mut batch = Vec::new();
        while let Some(consumer) = self.broker.deliver(self.now, &mut batch, &mut self.out) {
            self.given.entry(consumer).or_default().append(&mut batch);
        }
    }

    fn check(&mut self) {
        self.acknowledged += self.out.acknowledged.drain(..).len() as u64;
        for (_, message) in self.out.dead.drain(..) {
            assert!(self.dead.insert(message.key), "{message:?} is dead twice");
        }
        let tally = *self.broker.tally();
        assert!(tally.is_conserved(), "{tally:?}");
        assert_eq!((tally.waiting, tally.in_flight), self.broker.counted());
        assert_eq!(tally.published, self.accepted.len() as u64);
        assert_eq!(tally.acknowledged, self.acknowledged);
        assert_eq!(tally.dead_lettered, self.dead.len() as u64);
        assert!(tally.acknowledged <= self.handled.len() as u64, "acknowledged without being handled");
        assert!(self.broker.alarm().is_none_or(|at| at >= self.now), "an alarm in the past");
    }

    /// Everybody works well from now on; returns what is left when nothing more happens.
    fn recover(&mut self) -> u64 {
        if self.is_down {
            self.play(&Step::Down);
        }
        for consumer in self.hung.clone() {
            self.play(&Step::Hang(consumer as u8));
        }
        for _ in 0..10_000 {
            let tally = *self.broker.tally();
            if tally.waiting + tally.in_flight == 0 {
                return 0;
            }
            for consumer in 0..CONSUMERS {
                self.play(&Step::Poll(consumer));
                while self.given.get(&u32::from(consumer)).is_some_and(|g| !g.is_empty()) {
                    self.play(&Step::Settle(consumer, true));
                }
            }
            self.play(&Step::Pass(1));
        }
        let tally = self.broker.tally();
        tally.waiting + tally.in_flight
    }
}

/// Plays a script, and then lets everybody recover: what was accepted was handled, or left by a rule that counts it.
fn nothing_is_lost(config: BrokerConfig, steps: &[Step]) {
    let mut system = System::new(config);
    steps.iter().for_each(|s| system.play(s));
    assert_eq!(system.recover(), 0, "something stays for ever: {:?}", system.broker.tally());
    let never = system.accepted.difference(&system.handled).filter(|key| !system.dead.contains(key));
    let never = never.count() as u64;
    let tally = system.broker.tally();
    let excused = tally.expired + tally.dropped;
    assert!(never <= excused, "{never} were never handled, {tally:?}");
    if excused + tally.dead_lettered == 0 {
        assert_eq!(tally.acknowledged, system.accepted.len() as u64);
    }
}

proptest! {

    #[test]
    fn sqs_loses_nothing(config in sqs(), steps in prop::collection::vec(step(), 1..60)) {
        nothing_is_lost(config, &steps);
    }

    #[test]
    fn rabbit_loses_nothing(config in rabbit(), steps in prop::collection::vec(step(), 1..60)) {
        nothing_is_lost(config, &steps);
    }

    #[test]
    fn kafka_loses_nothing(config in kafka(), steps in prop::collection::vec(step(), 1..60)) {
        nothing_is_lost(config, &steps);
    }
}
