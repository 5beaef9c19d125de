//! resilience4j's `FixedThreadPoolBulkhead` (2.3.0): calls run on the threads of a Java `ThreadPoolExecutor` with a
//! bounded queue. Written after the documentation of both; it has not been compared with recordings.
//!
//! - Below `core` threads, a call starts a new one, even if others are idle.
//! - Beyond that it goes into the queue. **Only when the queue is full** is another thread started, up to `max`, and it
//!   runs the call that found no room: before all those who wait. Then calls are rejected.
//! - A thread that found nothing to do while there were more than `core` ends after `keep_alive`, if there are still
//!   more then.

use super::Enter;
use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// The sizes of a [`ThreadPool`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadPoolConfig {
    /// Threads that are started before anybody queues (`coreThreadPoolSize`).
    pub core: u32,
    /// The most threads, at least one and not fewer than `core` (`maxThreadPoolSize`).
    pub max: u32,
    /// How many calls can wait (`queueCapacity`).
    pub queue_capacity: u32,
    /// How long an idle thread beyond `core` stays (`keepAliveDuration`).
    pub keep_alive: SimDuration,
}

/// The pool. `W` names who waits: an id.
#[derive(Clone, Debug)]
pub struct ThreadPool<W> {
    config: ThreadPoolConfig,
    threads: u32,
    /// When idle threads end, the longest idle first; `None` for those that stay.
    idle: VecDeque<Option<SimTime>>,
    waiting: VecDeque<W>,
}

impl<W: Copy + PartialEq> ThreadPool<W> {
    /// A pool without threads.
    pub fn new(config: ThreadPoolConfig) -> Self {
        Self { config, threads: 0, idle: VecDeque::new(), waiting: VecDeque::new() }
    }

    /// Changes the sizes while it runs. Nobody running or waiting is put out.
    pub fn reconfigure(&mut self, config: ThreadPoolConfig) {
        self.config = config;
    }

    /// A call comes.
    pub fn enter(&mut self, now: SimTime, who: W) -> Enter {
        self.end_idle(now);
        if self.threads < self.config.core {
            self.threads += 1;
            return Enter::Admitted;
        }
        // Through the queue, and at once to the thread that has been idle longest.
        if self.waiting.is_empty() && self.idle.pop_front().is_some() {
            return Enter::Admitted;
        }
        if self.waiting() < self.config.queue_capacity {
            self.waiting.push_back(who);
            return Enter::Queued;
        }
        if self.threads < self.config.max {
            self.threads += 1;
            return Enter::Admitted;
        }
        Enter::Rejected
    }

    /// A call has ended: whose turn it is on its thread.
    pub fn leave(&mut self, now: SimTime) -> Option<W> {
        debug_assert!(self.in_use() > 0, "who leaves has entered");
        self.end_idle(now);
        if self.threads > self.config.max {
            self.threads -= 1;
            return None;
        }
        if let Some(next) = self.waiting.pop_front() {
            return Some(next);
        }
        let beyond = self.threads > self.config.core;
        self.idle.push_back(beyond.then(|| now + self.config.keep_alive));
        None
    }

    /// Gives an idle or, after a change of settings, a new core thread to the one who has waited longest.
    pub fn admit(&mut self, now: SimTime) -> Option<W> {
        self.end_idle(now);
        if self.waiting.is_empty() {
            return None;
        }
        if self.idle.pop_front().is_none() {
            if self.threads >= self.config.core {
                return None;
            }
            self.threads += 1;
        }
        self.waiting.pop_front()
    }

    /// Takes out one who waits; `false` if they do not.
    pub fn abandon(&mut self, who: W) -> bool {
        let at = self.waiting.iter().position(|w| *w == who);
        at.is_some_and(|at| self.waiting.remove(at).is_some())
    }

    /// Takes out any who waits.
    pub fn evict(&mut self) -> Option<W> {
        self.waiting.pop_front()
    }

    /// Calls that run.
    pub fn in_use(&self) -> u32 {
        self.threads - self.idle.len() as u32
    }

    /// Calls that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }

    /// Threads that have idled for long enough end, while there are more than `core`.
    fn end_idle(&mut self, now: SimTime) {
        let mut at = 0;
        while let Some(end) = self.idle.get(at).copied() {
            match end {
                Some(end) if end <= now && self.threads > self.config.core => {
                    self.idle.remove(at);
                    self.threads -= 1;
                }
                Some(end) if end <= now => {
                    self.idle[at] = None;
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    const CONFIG: ThreadPoolConfig =
        ThreadPoolConfig { core: 1, max: 3, queue_capacity: 2, keep_alive: SimDuration::from_ms(20) };

    #[test]
    fn more_threads_are_started_only_when_the_queue_is_full() {
        let mut pool = ThreadPool::new(CONFIG);
        let entries: Vec<Enter> = (0..6).map(|who| pool.enter(at(0), who)).collect();
        use Enter::{Admitted, Queued, Rejected};
        // The fourth and fifth pass those who wait.
        assert_eq!(entries, [Admitted, Queued, Queued, Admitted, Admitted, Rejected]);
        assert_eq!((pool.leave(at(1)), pool.leave(at(1)), pool.leave(at(1))), (Some(1), Some(2), None));
    }

    #[test]
    fn threads_beyond_the_core_go_after_a_while() {
        let busy = || {
            let mut pool = ThreadPool::new(CONFIG);
            (0..5).for_each(|who| assert_ne!(pool.enter(at(0), who), Enter::Rejected));
            for next in [Some(1), Some(2), None, None, None] {
                assert_eq!(pool.leave(at(10)), next);
            }
            pool
        };
        let admitted = |pool: &mut ThreadPool<u32>, ms| {
            (0..3).filter(|w| pool.enter(at(ms), *w) == Enter::Admitted).count()
        };
        assert_eq!(busy().in_use(), 0);
        assert_eq!(admitted(&mut busy(), 29), 3);
        // One is left, and the next calls queue.
        assert_eq!(admitted(&mut busy(), 30), 1);
    }

    #[test]
    fn the_last_thread_to_idle_was_no_more_than_the_core() {
        let config = ThreadPoolConfig { core: 2, max: 2, queue_capacity: 0, ..CONFIG };
        let mut pool = ThreadPool::new(config);
        assert_eq!(
            [0, 1, 2].map(|who| pool.enter(at(0), who)),
            [Enter::Admitted, Enter::Admitted, Enter::Rejected]
        );
        assert_eq!([pool.leave(at(1)), pool.leave(at(1))], [None, None]);
        assert_eq!([0, 1].map(|who| pool.enter(at(9_999), who)), [Enter::Admitted, Enter::Admitted]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn sizes_are_kept_and_nobody_waits_beside_an_idle_thread(
            core in 1u32..4, more in 0u32..4, queue_capacity in 0u32..4,
            steps in prop::collection::vec((0u64..30, 0u8..6), 1..60),
        ) {
            let config = ThreadPoolConfig { core, max: core + more, queue_capacity, ..CONFIG };
            let mut pool = ThreadPool::new(config);
            let (mut now, mut running, mut waiting) = (SimTime::ZERO, 0u32, VecDeque::new());
            for (who, (wait, step)) in steps.into_iter().enumerate() {
                now += SimDuration::from_ms(wait);
                match step {
                    0..=2 => match pool.enter(now, who) {
                        Enter::Admitted => {
                            running += 1;
                            // Beyond the core only a full queue, or an idle thread, lets anybody run at once.
                            let is_full = waiting.len() as u32 == queue_capacity;
                            prop_assert!(running <= core || waiting.is_empty() || is_full);
                        }
                        Enter::Queued => {
                            prop_assert!(running >= core);
                            waiting.push_back(who);
                        }
                        Enter::Rejected => {
                            prop_assert_eq!((running, waiting.len() as u32), (config.max, queue_capacity));
                        }
                    },
                    3 | 4 if running > 0 => {
                        let next = pool.leave(now);
                        prop_assert_eq!(next, waiting.pop_front());
                        running -= u32::from(next.is_none());
                    }
                    5 if !waiting.is_empty() => {
                        let who = waiting.remove(waiting.len() / 2).unwrap();
                        prop_assert!(pool.abandon(who));
                    }
                    _ => {}
                }
                prop_assert!(running <= config.max && waiting.len() as u32 <= queue_capacity);
                prop_assert_eq!((pool.in_use(), pool.waiting()), (running, waiting.len() as u32));
                prop_assert!(waiting.is_empty() || pool.idle.is_empty());
            }
        }
    }
}
