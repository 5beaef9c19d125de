//! Message queues: programs publish, brokers deliver, and consumers make executions of their endpoints.
//!
//! A consumer belongs to a process. It asks the broker, keeps what it was given until it can begin with it, handles
//! one message after the other, and tells the broker how that went. When the process dies it forgets all of that;
//! what the broker then does is the product's affair.

use super::event::Event;
use super::frame::{Call, Frame, Kind, NO_BALANCER, NO_POOL};
use super::instances::{Arrival, Condition};
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime, mix};
use crate::components::broker::{Broker, Delivery, Message, Outbox, Published, Tally};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{Epoch, Model};
use std::collections::VecDeque;

/// The place of the messages refused among the counters.
const REFUSED: u32 = 8;

/// How often the age of the oldest message is looked at.
const LOOK: SimDuration = SimDuration::from_secs(1);

/// One consumer of a queue.
#[derive(Debug, Default)]
struct Consumer {
    /// Its instance.
    instance: u32,
    /// Its number among those of its instance.
    number: u32,
    /// Whether it consumes.
    is_on: bool,
    /// Whether it stops once what it does is done.
    leaves: bool,
    /// Whether it handles a message.
    is_busy: bool,
    /// Raised when its process dies.
    generation: u32,
    /// When it asks again, after asking in vain.
    asks_at: SimTime,
    /// Messages that it was given, and when they arrive.
    given: VecDeque<(SimTime, Delivery)>,
    /// What it has told the broker, and when that arrives.
    told: VecDeque<(SimTime, Delivery, bool)>,
}

/// A message queue.
#[derive(Debug)]
pub(super) struct QueueState {
    broker: Broker,
    out: Outbox,
    /// What the meters show.
    shown: Tally,
    /// When the broker's alarm rings.
    alarm: Option<SimTime>,
    /// So many for each instance of the group.
    consumers: Vec<Consumer>,
    /// Publishers that the broker lets wait.
    blocked: VecDeque<(SimTime, FrameId)>,
    /// Faults that keep everybody away from the broker.
    down: u32,
    /// What faults do to it beside that.
    pub trouble: super::troubles::Trouble,
    batch: Vec<Delivery>,
}

/// What can be read of a queue at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueLevels {
    /// Messages that wait.
    pub backlog: u64,
    /// Messages with consumers.
    pub in_flight: u64,
    /// The age of the oldest message that has not left.
    pub oldest_age: SimDuration,
}

impl QueueState {
    /// All queues, empty.
    pub fn all(model: &Model, epoch: &Epoch) -> Vec<Self> {
        let one = |(shape, settings): (&crate::model::queues::QueueShape, _)| {
            let settings: &crate::model::queues::QueueSettings = settings;
            let mut consumers = Vec::new();
            if let Some(group) = shape.consumer {
                let group = &model.groups[group as usize];
                for instance in group.first..group.first + group.capacity {
                    consumers.extend((0..shape.consumers_max).map(|number| Consumer {
                        instance,
                        number,
                        ..Consumer::default()
                    }));
                }
            }
            Self {
                broker: Broker::new(settings.config),
                out: Outbox::default(),
                shown: Tally::default(),
                alarm: None,
                consumers,
                blocked: VecDeque::new(),
                down: 0,
                trouble: super::troubles::Trouble::default(),
                batch: Vec::new(),
            }
        };
        model.queues.iter().zip(&epoch.queues).map(one).collect()
    }

    /// Faults that keep everybody away from the broker.
    pub fn down_count(&self) -> u32 {
        self.down
    }

    /// What became of its messages; they add up.
    pub fn tally(&self) -> Tally {
        let tally = *self.broker.tally();
        assert!(tally.is_conserved(), "published = gone + waiting + in flight: {tally:?}");
        let counted = self.broker.counted();
        assert_eq!((tally.waiting, tally.in_flight), counted, "messages counted one by one");
        tally
    }
}

impl<O: Observer> World<'_, O> {
    /// Consumers of the instances that run at the start begin.
    pub(super) fn start_queues(&mut self, now: SimTime) {
        if self.queues.is_empty() {
            return;
        }
        for instance in 0..self.instances.len() as u32 {
            if self.instances[instance as usize].condition == Condition::Up {
                self.consumers_begin(now, instance);
            }
        }
        self.after(LOOK, Rank::Probe, Event::LookAtQueues);
    }

    /// The age of the oldest messages is shown once a second, and who might have been forgotten goes on: a publisher
    /// that was let on and whose process died before it could publish.
    pub(super) fn on_look_at_queues(&mut self, now: SimTime) {
        self.after(LOOK, Rank::Probe, Event::LookAtQueues);
        (0..self.queues.len() as u32).for_each(|queue| self.pump(now, queue));
    }

    // ---- publishers ----

    /// A message that reaches its broker may be one of those that nobody can work on.
    fn publish_poisoned(&mut self, now: SimTime, queue: u32, mut message: Message) -> Published {
        message.is_poisoned = self.queues[queue as usize].trouble.poison > 0;
        let published = self.publish_to(now, queue, now, message, false);
        let poison = &mut self.queues[queue as usize].trouble.poison;
        *poison -= u32::from(message.is_poisoned && published == Published::Accepted);
        published
    }

    /// A program publishes a message.
    pub(super) fn publish(&mut self, now: SimTime, id: FrameId, queue: u32, message: Message) -> Published {
        if self.is_refused(queue, message.key) {
            self.observer.count(self.model.catalog.queues[queue as usize].counters + REFUSED);
            return Published::Refused;
        }
        if self.net.has_wires
            && let Some((_, host)) = self.runner(now, id)
            && self.is_queue_cut(host.instance, queue)
        {
            // Who hears nothing publishes again.
            if self.reaches_queue(host.instance, queue) && self.queues[queue as usize].down == 0 {
                self.publish_poisoned(now, queue, message);
            }
            if let Some(patience) = self.queues[queue as usize].broker.patience() {
                self.after(patience, Rank::Timer, Event::PublishersGiveUp { queue });
            }
            self.await_queue(now, queue, id);
            return Published::Blocked;
        }
        let state = &self.queues[queue as usize];
        let patience = state.broker.patience();
        let published = match (state.down > 0, patience) {
            (false, _) => self.publish_poisoned(now, queue, message),
            // Who has no limit of its own waits for a broker that hangs.
            (true, None) if !state.refuses() => Published::Blocked,
            (true, None) => {
                self.observer.count(self.model.catalog.queues[queue as usize].counters + REFUSED);
                Published::Refused
            }
            (true, Some(patience)) => {
                self.after(patience, Rank::Timer, Event::PublishersGiveUp { queue });
                Published::Blocked
            }
        };
        if published == Published::Blocked {
            self.queues[queue as usize].blocked.push_back((now, id));
        }
        published
    }

    fn publish_to(
        &mut self,
        now: SimTime,
        queue: u32,
        since: SimTime,
        message: Message,
        is_dead_letter: bool,
    ) -> Published {
        let state = &mut self.queues[queue as usize];
        let published = state.broker.publish(now, since, message, is_dead_letter, &mut state.out);
        self.pump(now, queue);
        published
    }

    // ---- brokers ----

    /// Something has happened to a broker: whoever can get messages gets them, and what follows is done and shown.
    fn pump(&mut self, now: SimTime, queue: u32) {
        let consumer = self.settings().queues[queue as usize].consumer.as_ref();
        let latency = consumer.map_or(SimDuration::ZERO, |c| c.latency);
        loop {
            let state = &mut self.queues[queue as usize];
            let mut batch = std::mem::take(&mut state.batch);
            let to = state.broker.deliver(now, &mut batch, &mut state.out);
            let key = batch.first().map_or(0, |d| mix(d.message.key, u64::from(d.receipt)));
            let slow = self.slow_broker(queue, key);
            let state = &mut self.queues[queue as usize];
            if let Some(to) = to {
                let at = now + latency + slow.unwrap_or(SimDuration::ZERO);
                let given = batch.drain(..).map(|delivery| (at, delivery));
                state.consumers[to as usize].given.extend(given);
            }
            batch.clear();
            state.batch = batch;
            let Some(consumer) = to else { break };
            if let Some(more) = slow {
                self.queue.schedule(now + latency + more, Rank::Delivery, Event::Consume { queue, consumer });
            } else {
                self.wake_consumer(latency, queue, consumer);
            }
        }
        let state = &mut self.queues[queue as usize];
        let alarm = state.broker.alarm();
        if alarm != state.alarm {
            state.alarm = alarm;
            if let Some(at) = alarm {
                self.queue.schedule(at.max(now), Rank::Timer, Event::Broker { queue });
            }
        }
        self.show_queue(now, queue);
        let state = &mut self.queues[queue as usize];
        let mut room = if state.down > 0 { 0 } else { state.broker.room() };
        while room > 0
            && let Some((_, id)) = state.blocked.pop_front()
        {
            // Each tries again, and may have to wait once more.
            if self.frames.get(id).is_some() {
                self.tasks.push_back(Task::Advance(id));
                room -= 1;
            }
        }
        if state.out.dead.is_empty() {
            return;
        }
        let dead = std::mem::take(&mut state.out.dead);
        if let Some(to) = self.settings().queues[queue as usize].dead_letter {
            for (since, message) in dead {
                self.publish_to(now, to, since, message, true);
            }
        }
    }

    fn wake_consumer(&mut self, after: SimDuration, queue: u32, consumer: u32) {
        if after.is_zero() {
            self.tasks.push_back(Task::Consume(queue, consumer));
        } else {
            self.after(after, Rank::Delivery, Event::Consume { queue, consumer });
        }
    }

    /// Moves the meters to where the broker is.
    fn show_queue(&mut self, now: SimTime, queue: u32) {
        let meters = self.model.catalog.queues[queue as usize];
        let state = &mut self.queues[queue as usize];
        let tally = *state.broker.tally();
        let shown = std::mem::replace(&mut state.shown, tally);
        for since in state.out.acknowledged.drain(..) {
            self.observer.timed(meters.latency, now.since(since));
        }
        for (counter, (is, was)) in (meters.counters..).zip(counts(&tally).into_iter().zip(counts(&shown))) {
            if is > was {
                self.observer.count_many(counter, is - was);
            }
        }
        let levels = self.levels_of_queue(now, queue);
        if tally.waiting != shown.waiting {
            self.observer.level(now, meters.backlog, levels.backlog);
        }
        if tally.in_flight != shown.in_flight {
            self.observer.level(now, meters.in_flight, levels.in_flight);
        }
        if tally.waiting + tally.in_flight != shown.waiting + shown.in_flight {
            self.observer.level(now, meters.lag, levels.backlog + levels.in_flight);
        }
        self.observer.level(now, meters.oldest, levels.oldest_age.ns() / 1_000_000);
    }

    /// What can be read of a queue by whoever watches it.
    pub(super) fn levels_of_queue(&mut self, now: SimTime, queue: u32) -> QueueLevels {
        let broker = &mut self.queues[queue as usize].broker;
        let oldest_age = broker.oldest().map_or(SimDuration::ZERO, |since| now.since(since));
        QueueLevels { backlog: broker.tally().waiting, in_flight: broker.tally().in_flight, oldest_age }
    }

    /// Something is due at a broker.
    pub(super) fn on_broker(&mut self, now: SimTime, queue: u32) {
        let state = &mut self.queues[queue as usize];
        // An earlier alarm was set since, and rang.
        if state.alarm != Some(now) {
            return;
        }
        state.alarm = None;
        state.broker.advance(now, &mut state.out);
        self.pump(now, queue);
    }

    /// The broker of a queue cannot be reached any more, or can again.
    pub(super) fn broker_fails(&mut self, now: SimTime, queue: u32, begins: bool) {
        let state = &mut self.queues[queue as usize];
        let before = state.down > 0;
        state.down = if begins { state.down + 1 } else { state.down.saturating_sub(1) };
        let is_down = state.down > 0;
        let fails = begins && state.refuses() && state.broker.patience().is_none();
        if is_down != before {
            state.broker.set_down(now, is_down, &mut state.out);
            if !is_down {
                let all = 0..state.consumers.len() as u32;
                self.tasks.extend(all.map(|consumer| Task::Consume(queue, consumer)));
            }
        }
        if fails {
            // Who waits for a broker's memory, or for one that hung, loses the connection.
            let waiting: Vec<FrameId> = state.blocked.drain(..).map(|(_, id)| id).collect();
            waiting.into_iter().for_each(|id| self.fail_publish(now, id));
        }
        if is_down != before {
            self.pump(now, queue);
        }
    }

    /// Those who have tried to publish for too long fail.
    pub(super) fn on_publishers_give_up(&mut self, now: SimTime, queue: u32) {
        let state = &mut self.queues[queue as usize];
        let Some(patience) = state.broker.patience() else { return };
        let late = state.blocked.iter().take_while(|(since, _)| *since + patience <= now).count();
        let mut late: Vec<FrameId> = state.blocked.drain(..late).map(|(_, id)| id).collect();
        late.extend(self.impatient(now, queue, patience));
        for id in late {
            self.fail_publish(now, id);
        }
    }

    // ---- consumers ----

    /// A consumer goes on: it begins with the next message that it has, or asks for more.
    pub(super) fn consume(&mut self, now: SimTime, queue: u32, consumer: u32) {
        let Some(settings) = &self.settings().queues[queue as usize].consumer else { return };
        let state = &mut self.queues[queue as usize];
        let one = &mut state.consumers[consumer as usize];
        if !one.is_on || one.is_busy {
            return;
        }
        let instance = one.instance;
        if self.instances[instance as usize].is_hung {
            return self.park(instance, Task::Consume(queue, consumer));
        }
        match one.given.front() {
            // It is still on its way, and comes with an event of its own.
            Some((at, _)) if *at > now => return,
            Some(_) => {
                while let Some((_, delivery)) = one.given.pop_front() {
                    if state.broker.is_current(consumer, &delivery) {
                        return self.handle_message(now, queue, consumer, delivery);
                    }
                }
            }
            None => {}
        }
        // Who cannot reach the broker asks once it can.
        let is_cut = self.is_queue_cut(instance, queue);
        let state = &mut self.queues[queue as usize];
        let one = &mut state.consumers[consumer as usize];
        if is_cut || state.down > 0 || one.leaves || one.number >= settings.count || one.asks_at > now {
            return;
        }
        state.broker.poll(now, consumer, &mut state.out);
        self.pump(now, queue);
        let one = &mut self.queues[queue as usize].consumers[consumer as usize];
        if let Some(pause) = settings.pause
            && one.given.is_empty()
        {
            one.asks_at = now + pause;
            self.queues[queue as usize].broker.stop_polling(consumer);
            self.after(pause, Rank::Timer, Event::Consume { queue, consumer });
        }
    }

    fn handle_message(&mut self, now: SimTime, queue: u32, consumer: u32, delivery: Delivery) {
        let Some(settings) = &self.settings().queues[queue as usize].consumer else { return };
        let one = &mut self.queues[queue as usize].consumers[consumer as usize];
        one.is_busy = true;
        let (instance, generation) = (one.instance, one.generation);
        let kind = Kind::Message { queue, consumer, generation, delivery };
        let parent = self.push_frame(Frame::new(FrameId::NONE, kind));
        let message = delivery.message;
        let call = Call {
            // What is tried again is drawn anew.
            key: mix(message.key, u64::from(delivery.receipt)),
            route: 0,
            owner: 0,
            life: 0,
            affinity: message.about,
            pool_layer: NO_POOL,
            priority: message.priority,
            tenant: message.tenant,
            is_keyed: message.is_keyed,
        };
        let arrival = Arrival {
            parent,
            instance,
            endpoint: settings.endpoint,
            balancer: NO_BALANCER,
            measures_balancer: false,
            is_check: false,
        };
        self.arrive(now, arrival, &call);
    }

    /// A message has been handled, well or not.
    pub(super) fn end_message(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(Frame { kind: Kind::Message { queue, consumer, generation, delivery }, .. }) =
            self.frames.remove(id)
        else {
            return;
        };
        let is_poisoned = delivery.message.is_poisoned && outcome.is_success();
        let outcome = if is_poisoned { Outcome::Error } else { outcome };
        self.stamp(now, delivery.message.key, outcome);
        let settings = self.settings().queues[queue as usize].consumer.as_ref();
        let latency = settings.map_or(SimDuration::ZERO, |c| c.tells_after);
        let one = &mut self.queues[queue as usize].consumers[consumer as usize];
        // The process that would have told the broker is gone.
        if one.generation != generation {
            return;
        }
        one.is_busy = false;
        one.told.push_back((now + latency, delivery, outcome.is_success()));
        if latency.is_zero() {
            self.on_told(now, queue, consumer);
        } else {
            self.after(latency, Rank::Delivery, Event::Told { queue, consumer });
        }
        self.tasks.push_back(Task::Consume(queue, consumer));
    }

    /// A broker learns how a message was handled.
    pub(super) fn on_told(&mut self, now: SimTime, queue: u32, consumer: u32) {
        let instance = self.queues[queue as usize].consumers[consumer as usize].instance;
        if self.is_queue_cut(instance, queue) {
            return;
        }
        let state = &mut self.queues[queue as usize];
        let one = &mut state.consumers[consumer as usize];
        while let Some((at, delivery, is_done)) = one.told.front().copied()
            && at <= now
        {
            one.told.pop_front();
            state.broker.settle(consumer, &delivery, is_done, &mut state.out);
        }
        self.pump(now, queue);
        self.leave_if_done(now, queue, consumer);
    }

    /// A consumer that leaves and has nothing to do any more is gone.
    fn leave_if_done(&mut self, now: SimTime, queue: u32, consumer: u32) {
        let one = &mut self.queues[queue as usize].consumers[consumer as usize];
        if one.leaves && one.is_on && !one.is_busy && one.told.is_empty() {
            one.is_on = false;
            let state = &mut self.queues[queue as usize];
            state.broker.leave(now, consumer, &mut state.out);
            self.pump(now, queue);
        }
    }

    /// The consumers of an instance, queue by queue.
    fn each_consumer(&mut self, instance: u32, mut visit: impl FnMut(&mut Self, u32, u32)) {
        let (group, target) = self.place_of(instance);
        for queue in 0..self.queues.len() as u32 {
            let shape = &self.model.queues[queue as usize];
            if shape.consumer == Some(group) {
                let first = target * shape.consumers_max;
                (first..first + shape.consumers_max).for_each(|consumer| visit(self, queue, consumer));
            }
        }
    }

    /// An instance has started, or drains no more: its consumers begin.
    pub(super) fn consumers_begin(&mut self, _now: SimTime, instance: u32) {
        self.each_consumer(instance, |world, queue, consumer| {
            let one = &mut world.queues[queue as usize].consumers[consumer as usize];
            one.leaves = false;
            one.is_on = true;
            world.tasks.push_back(Task::Consume(queue, consumer));
        });
    }

    /// An instance drains: its consumers ask no more, and give up what they have not begun.
    pub(super) fn consumers_leave(&mut self, now: SimTime, instance: u32) {
        self.each_consumer(instance, |world, queue, consumer| {
            let state = &mut world.queues[queue as usize];
            let one = &mut state.consumers[consumer as usize];
            one.leaves = true;
            one.given.clear();
            state.broker.stop_polling(consumer);
            world.leave_if_done(now, queue, consumer);
        });
    }

    /// A process has died, and its consumers with it.
    pub(super) fn consumers_die(&mut self, now: SimTime, instance: u32) {
        self.each_consumer(instance, |world, queue, consumer| {
            let state = &mut world.queues[queue as usize];
            let one = &mut state.consumers[consumer as usize];
            one.generation += 1;
            one.is_busy = false;
            one.given.clear();
            one.told.clear();
            if std::mem::take(&mut one.is_on) {
                state.broker.lose(now, consumer, &mut state.out);
                world.pump(now, queue);
            }
        });
    }

    /// A process hangs, or goes on.
    pub(super) fn consumers_hang(&mut self, now: SimTime, instance: u32, is_hung: bool) {
        self.each_consumer(instance, |world, queue, consumer| {
            let state = &mut world.queues[queue as usize];
            if state.consumers[consumer as usize].is_on {
                state.broker.hear(now, consumer, !is_hung, &mut state.out);
                world.pump(now, queue);
            }
        });
    }

    /// All consumers: queue, number and instance.
    pub(super) fn all_consumers(&self) -> Vec<(u32, u32, u32)> {
        let queues = (0..).zip(&self.queues);
        queues
            .flat_map(|(q, state)| (0..).zip(&state.consumers).map(move |(c, one)| (q, c, one.instance)))
            .collect()
    }

    /// A consumer is cut off from the broker, or is no more.
    pub(super) fn consumer_is_cut(&mut self, now: SimTime, queue: u32, consumer: u32, begins: bool) {
        let state = &mut self.queues[queue as usize];
        if begins {
            state.broker.stop_polling(consumer);
        }
        if state.consumers[consumer as usize].is_on {
            state.broker.hear(now, consumer, !begins, &mut state.out);
        }
        self.pump(now, queue);
        if !begins {
            self.on_told(now, queue, consumer);
            self.tasks.push_back(Task::Consume(queue, consumer));
        }
    }

    /// New settings for all queues.
    pub(super) fn reconfigure_queues(&mut self, now: SimTime) {
        for queue in 0..self.queues.len() as u32 {
            let settings = &self.settings().queues[queue as usize];
            let state = &mut self.queues[queue as usize];
            state.broker.reconfigure(settings.config);
            for consumer in 0..state.consumers.len() as u32 {
                let is_wanted = settings
                    .consumer
                    .as_ref()
                    .is_some_and(|c| state.consumers[consumer as usize].number < c.count);
                if is_wanted {
                    self.tasks.push_back(Task::Consume(queue, consumer));
                } else {
                    state.broker.stop_polling(consumer);
                }
            }
            self.pump(now, queue);
        }
    }
}

/// What is counted, in the order of the catalog.
fn counts(tally: &Tally) -> [u64; 10] {
    [
        tally.published,
        tally.delivered,
        tally.acknowledged,
        tally.redelivered,
        tally.duplicates,
        tally.dead_lettered,
        tally.expired,
        tally.dropped,
        tally.refused,
        tally.rebalances,
    ]
}
