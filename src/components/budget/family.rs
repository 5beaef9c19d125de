//! All retry budgets under one interface.
//!
//! Whatever the law, it is told of the same things: a call sets out, an attempt ends, a retry is wanted, a retry is
//! sent, a call has succeeded, a call is called off. Calls and retries under way are counted for all of them.

use super::aws::{AwsStandard, AwsStandardConfig};
use super::envoy::EnvoyLimit;
use super::finagle::{Finagle, FinagleConfig};
use super::grpc::{GrpcThrottling, GrpcThrottlingConfig};
use super::{Budget, BudgetConfig};
use crate::base::outcome::Outcome;
use crate::base::time::SimTime;

/// Which budget, and its settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AnyBudgetConfig {
    /// The general bucket.
    Tokens(BudgetConfig),
    /// The AWS SDKs' quota in standard mode.
    AwsStandard(AwsStandardConfig),
    /// gRPC's throttling.
    Grpc(GrpcThrottlingConfig),
    /// Finagle's `RetryBudget`.
    Finagle(FinagleConfig),
    /// Envoy's limits.
    Envoy(EnvoyLimit),
}

#[derive(Clone, Debug)]
enum Law {
    Tokens(Budget),
    AwsStandard(AwsStandard),
    Grpc(GrpcThrottling),
    Finagle(Finagle),
    Envoy(EnvoyLimit),
}

impl Law {
    fn new(config: &AnyBudgetConfig, now: SimTime) -> Self {
        match config {
            AnyBudgetConfig::Tokens(c) => Self::Tokens(Budget::new(c, now)),
            AnyBudgetConfig::AwsStandard(c) => Self::AwsStandard(AwsStandard::new(*c)),
            AnyBudgetConfig::Grpc(c) => Self::Grpc(GrpcThrottling::new(*c)),
            AnyBudgetConfig::Finagle(c) => Self::Finagle(Finagle::new(*c, now)),
            AnyBudgetConfig::Envoy(limit) => Self::Envoy(*limit),
        }
    }
}

/// A budget of retries, shared by the calls of one client.
#[derive(Clone, Debug)]
pub struct AnyBudget {
    law: Law,
    /// Attempts without an answer.
    attempts: u32,
    /// Retries decided on, waiting or without an answer.
    retries: u32,
}

impl AnyBudget {
    /// A budget that starts at `now`.
    pub fn new(config: &AnyBudgetConfig, now: SimTime) -> Self {
        Self { law: Law::new(config, now), attempts: 0, retries: 0 }
    }

    /// Changes the settings while it runs. The same law keeps what it knows, another one starts anew; what is under
    /// way stays under way.
    pub fn reconfigure(&mut self, config: &AnyBudgetConfig, now: SimTime) {
        match (&mut self.law, config) {
            (Law::Tokens(budget), AnyBudgetConfig::Tokens(c)) => budget.reconfigure(c, now),
            (Law::AwsStandard(quota), AnyBudgetConfig::AwsStandard(c)) => quota.reconfigure(*c),
            (Law::Grpc(tokens), AnyBudgetConfig::Grpc(c)) => tokens.reconfigure(*c),
            (Law::Finagle(budget), AnyBudgetConfig::Finagle(c)) => budget.reconfigure(*c),
            (law, config) => *law = Law::new(config, now),
        }
    }

    /// A call sets out, with its first attempt.
    #[inline]
    pub fn on_request(&mut self, now: SimTime) {
        self.attempts += 1;
        match &mut self.law {
            Law::Tokens(budget) => budget.on_request(now),
            Law::Finagle(budget) => budget.deposit(now),
            Law::AwsStandard(_) | Law::Grpc(_) | Law::Envoy(_) => {}
        }
    }

    /// An attempt has ended; `failed` if in a way that is worth another one.
    #[inline]
    pub fn on_answer(&mut self, outcome: Outcome, failed: bool, was_retry: bool) {
        self.attempts = self.attempts.saturating_sub(1);
        self.retries = self.retries.saturating_sub(u32::from(was_retry));
        self.on_hedge_answer(outcome, failed);
    }

    /// An attempt of a hedge has ended. Hedges are not counted as retries under way.
    #[inline]
    pub fn on_hedge_answer(&mut self, outcome: Outcome, failed: bool) {
        if let Law::Grpc(tokens) = &mut self.law {
            if failed {
                tokens.on_failure();
            } else if outcome.is_success() {
                tokens.on_success();
            }
        }
    }

    /// Whether another attempt of a hedge may be sent.
    pub fn allows_hedge(&self) -> bool {
        if let Law::Grpc(tokens) = &self.law { tokens.allows() } else { true }
    }

    /// Pays for a retry after `failure`: what it cost, for [`on_success`](Self::on_success); `None` if there must be
    /// no retry.
    pub fn try_retry(&mut self, now: SimTime, failure: Outcome) -> Option<u32> {
        let cost = match &mut self.law {
            Law::Tokens(budget) => budget.try_retry(now).then_some(0),
            Law::AwsStandard(quota) => quota.acquire(failure),
            Law::Grpc(tokens) => tokens.allows().then_some(0),
            Law::Finagle(budget) => budget.try_withdraw(now).then_some(0),
            Law::Envoy(limit) => limit.allows(self.retries, self.attempts).then_some(0),
        }?;
        self.retries += 1;
        Some(cost)
    }

    /// A retry that was paid for is sent.
    pub fn on_retry_sent(&mut self) {
        self.attempts += 1;
    }

    /// A call has succeeded, after a last retry that cost so much; `None` if it had none.
    #[inline]
    pub fn on_success(&mut self, now: SimTime, last_cost: Option<u32>) {
        match &mut self.law {
            Law::Tokens(budget) => budget.on_success(now, last_cost.is_some()),
            Law::AwsStandard(quota) => quota.release(last_cost),
            Law::Grpc(_) | Law::Finagle(_) | Law::Envoy(_) => {}
        }
    }

    /// A call is called off, with an attempt (`sent`) or in the wait before one.
    pub fn on_abandoned(&mut self, sent: bool, was_retry: bool) {
        self.attempts = self.attempts.saturating_sub(u32::from(sent));
        self.retries = self.retries.saturating_sub(u32::from(was_retry));
    }

    /// Retries decided on and without an answer.
    pub fn retries(&self) -> u32 {
        self.retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> [AnyBudgetConfig; 6] {
        [
            AnyBudgetConfig::Tokens(BudgetConfig::ratio(0.2, 1.0, 10.0)),
            AnyBudgetConfig::AwsStandard(AwsStandardConfig { initial: 60, ..AwsStandardConfig::BOTOCORE }),
            AnyBudgetConfig::Grpc(GrpcThrottlingConfig { max_tokens: 10, token_ratio: 0.1 }),
            AnyBudgetConfig::Finagle(FinagleConfig { min_retries_per_sec: 1, ..FinagleConfig::DEFAULT }),
            AnyBudgetConfig::Envoy(EnvoyLimit::MaxRetries(3)),
            AnyBudgetConfig::Envoy(EnvoyLimit::Budget { budget_percent: 20.0, min_retry_concurrency: 2 }),
        ]
    }

    #[test]
    fn each_law_runs_out_of_retries_if_nothing_succeeds() {
        let paid = all().map(|config| {
            let mut budget = AnyBudget::new(&config, SimTime::ZERO);
            // Every call fails, and so does its retry, in the same instant.
            let one = |_: &u32| {
                budget.on_request(SimTime::ZERO);
                budget.on_answer(Outcome::Error, true, false);
                let is_paid = budget.try_retry(SimTime::ZERO, Outcome::Error).is_some();
                if is_paid {
                    budget.on_retry_sent();
                    budget.on_answer(Outcome::Error, true, true);
                }
                is_paid
            };
            (0..100).filter(one).count()
        });
        // A full bucket loses the first deposit. Envoy's remember nothing: with never two calls under way, they allow
        // everything.
        assert_eq!(paid, [29, 4, 2, 30, 100, 100]);
    }

    #[test]
    fn envoy_allows_so_many_at_once() {
        let mut budget = AnyBudget::new(&AnyBudgetConfig::Envoy(EnvoyLimit::MaxRetries(3)), SimTime::ZERO);
        let mut wanted =
            |n| (0..n).filter(|_| budget.try_retry(SimTime::ZERO, Outcome::Error).is_some()).count();
        assert_eq!(wanted(5), 3);
        budget.on_retry_sent();
        budget.on_answer(Outcome::Ok, false, true);
        assert_eq!(budget.retries(), 2);
        budget.on_abandoned(false, true);
        assert!(budget.try_retry(SimTime::ZERO, Outcome::Error).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn what_is_under_way_ends(law in 0usize..6, script in prop::collection::vec((0u8..4, 0u64..2_000), 1..60)) {
            let mut budget = AnyBudget::new(&all()[law], SimTime::ZERO);
            let mut now = SimTime::ZERO;
            // Calls under way: whether each is in its retry, and whether that waits.
            let mut calls: Vec<(bool, bool)> = Vec::new();
            for (step, ms) in script {
                now += crate::base::time::SimDuration::from_ms(ms);
                match (step, calls.pop()) {
                    (0, call) => {
                        calls.extend(call);
                        budget.on_request(now);
                        calls.push((false, false));
                    }
                    (1, Some((was_retry, false))) => {
                        budget.on_answer(Outcome::Error, true, was_retry);
                        if !was_retry && budget.try_retry(now, Outcome::Error).is_some() {
                            calls.push((true, true));
                        }
                    }
                    (2, Some((was_retry, waits))) => budget.on_abandoned(!waits, was_retry),
                    (_, Some((was_retry, true))) => {
                        budget.on_retry_sent();
                        calls.push((was_retry, false));
                    }
                    (_, Some((was_retry, false))) => {
                        budget.on_answer(Outcome::Ok, false, was_retry);
                        budget.on_success(now, was_retry.then_some(0));
                    }
                    (_, None) => {}
                }
                let retries = calls.iter().filter(|(retry, _)| *retry).count();
                prop_assert_eq!(budget.retries() as usize, retries);
                prop_assert_eq!(budget.attempts as usize, calls.iter().filter(|(_, waits)| !waits).count());
            }
        }
    }
}
