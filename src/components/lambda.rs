//! AWS Lambda's execution environments: each serves one request at a time, and a request for which none is free gets
//! a new one, which has to be initialised first.
//!
//! The limits: so many environments at once (the function's reserved concurrency, or what is left of the account's),
//! and so many new ones in a time, refilled continuously and not saved up beyond one batch. A request beyond them is
//! throttled (429). Provisioned environments are initialised beforehand, are never taken down, and cost nothing of the
//! rate.
//!
//! Source: AWS Lambda developer guide, "Understanding Lambda function scaling" (2024): 1,000 environments every 10
//! seconds for each function, account limit 1,000. How long an idle environment is kept is not published; some
//! minutes are usually seen. The one used last is used first, as is usually seen, too.

use crate::base::{SimDuration, SimTime};
use std::collections::VecDeque;

/// How [`Environments`] behave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LambdaConfig {
    /// The most environments at once.
    pub concurrency_max: u32,
    /// Environments that are always initialised.
    pub provisioned: u32,
    /// How many new ones may be had at once.
    pub batch: u32,
    /// In how long a time a batch is refilled.
    pub refill: SimDuration,
    /// How long an idle one is kept.
    pub idle: SimDuration,
}

/// What a request meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invocation {
    /// An environment that is ready.
    Warm,
    /// A new one, which has to be initialised.
    Cold,
    /// None: it is turned away.
    Throttled,
}

/// The execution environments of a function.
#[derive(Clone, Debug)]
pub struct Environments {
    config: LambdaConfig,
    busy: u32,
    /// Since when those are idle that are ready, in that order; provisioned ones are not told apart.
    idle: VecDeque<SimTime>,
    /// New environments that may be had, and when that was true.
    tokens: f64,
    at: SimTime,
}

impl Environments {
    /// The provisioned ones are ready.
    pub fn new(config: LambdaConfig, now: SimTime) -> Self {
        let idle = (0..config.provisioned.min(config.concurrency_max)).map(|_| now).collect();
        Self { config, busy: 0, idle, tokens: f64::from(config.batch), at: now }
    }

    /// Other limits. Environments that are too many are not used again.
    pub fn reconfigure(&mut self, now: SimTime, config: LambdaConfig) {
        self.refill(now);
        let before = std::mem::replace(&mut self.config, config);
        self.tokens = self.tokens.min(f64::from(config.batch));
        for _ in before.provisioned..config.provisioned {
            self.idle.push_back(now);
        }
        self.trim(now);
    }

    /// A request comes.
    pub fn enter(&mut self, now: SimTime) -> Invocation {
        self.refill(now);
        self.trim(now);
        if self.busy >= self.config.concurrency_max {
            return Invocation::Throttled;
        }
        if self.idle.pop_back().is_some() {
            self.busy += 1;
            return Invocation::Warm;
        }
        if self.tokens < 1.0 {
            return Invocation::Throttled;
        }
        self.tokens -= 1.0;
        self.busy += 1;
        Invocation::Cold
    }

    /// A request that was let in has ended, and its environment is free.
    pub fn leave(&mut self, now: SimTime) {
        self.busy = self.busy.saturating_sub(1);
        self.idle.push_back(now);
        self.trim(now);
    }

    /// Environments, busy and idle, as of the last request.
    pub fn count(&self) -> u32 {
        self.busy + self.idle.len() as u32
    }

    fn refill(&mut self, now: SimTime) {
        let batch = f64::from(self.config.batch);
        let gained = batch * now.since(self.at).seconds() / self.config.refill.seconds();
        self.tokens = (self.tokens + gained).min(batch);
        self.at = now;
    }

    /// Takes down those that were idle for too long, or are too many.
    fn trim(&mut self, now: SimTime) {
        while let Some(since) = self.idle.front().copied() {
            let is_spare = self.count() > self.config.provisioned;
            let is_old = now.since(since) >= self.config.idle;
            if !(self.count() > self.config.concurrency_max || is_spare && is_old) {
                return;
            }
            self.idle.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(seconds)
    }

    fn config(concurrency_max: u32, provisioned: u32, batch: u32) -> LambdaConfig {
        let (refill, idle) = (SimDuration::from_secs(10), SimDuration::from_secs(300));
        LambdaConfig { concurrency_max, provisioned, batch, refill, idle }
    }

    #[test]
    fn the_first_is_cold_and_the_next_warm_until_it_was_idle_for_too_long() {
        let mut function = Environments::new(config(10, 0, 5), at(0));
        assert_eq!(function.enter(at(0)), Invocation::Cold);
        assert_eq!(function.enter(at(0)), Invocation::Cold);
        function.leave(at(1));
        assert_eq!(function.enter(at(300)), Invocation::Warm);
        function.leave(at(301));
        function.leave(at(302));
        assert_eq!(function.enter(at(601)), Invocation::Warm);
        assert_eq!(function.count(), 1);
        assert_eq!(function.enter(at(601)), Invocation::Cold);
    }

    #[test]
    fn new_ones_come_at_a_rate_and_are_not_saved_up() {
        let mut function = Environments::new(config(1_000, 0, 10), at(0));
        let cold = |function: &mut Environments, now| {
            (0..100).filter(|_| function.enter(at(now)) == Invocation::Cold).count()
        };
        assert_eq!(cold(&mut function, 0), 10);
        assert_eq!(cold(&mut function, 5), 5);
        assert_eq!(cold(&mut function, 1_000), 10);
    }

    #[test]
    fn provisioned_ones_are_ready_and_stay() {
        let mut function = Environments::new(config(3, 2, 0), at(0));
        assert_eq!(function.enter(at(10_000)), Invocation::Warm);
        assert_eq!(function.enter(at(10_000)), Invocation::Warm);
        assert_eq!(function.enter(at(10_000)), Invocation::Throttled);
        function.leave(at(10_001));
        assert_eq!(function.enter(at(99_999)), Invocation::Warm);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Never more at once than the limit, never more new ones than rate x time + a batch.
        #[test]
        fn limits_hold(
            (most, provisioned, batch) in (1u32..20, 0u32..5, 0u32..10),
            script in prop::collection::vec((any::<bool>(), 0u64..8), 1..80),
        ) {
            let mut function = Environments::new(config(most, provisioned, batch), at(0));
            let (mut now, mut busy, mut cold) = (0, 0u32, 0u32);
            for (comes, gap) in script {
                now += gap;
                if comes {
                    let met = function.enter(at(now));
                    busy += u32::from(met != Invocation::Throttled);
                    cold += u32::from(met == Invocation::Cold);
                } else if busy > 0 {
                    busy -= 1;
                    function.leave(at(now));
                }
                prop_assert!(busy <= most && function.count() >= busy);
                prop_assert!(function.count() <= most.max(provisioned));
                let allowed = f64::from(batch) * (1.0 + now as f64 / 10.0);
                prop_assert!(f64::from(cold) <= allowed + 1e-6);
            }
        }
    }
}
