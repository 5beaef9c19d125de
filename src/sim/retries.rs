//! Retries: the world around the pure decision, and what their budgets are told.

use super::event::Event;
use super::frame::{Call, LayerState, RetryState};
use super::{FrameId, Task, World};
use crate::base::{Outcome, Rng, SimTime, mix};
use crate::components::retry::{Attempt, Decision, GiveUp, decide};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::LayerKind;

impl<O: Observer> World<'_, O> {
    /// Whether a retry layer tries again; if so, the retry is on its way.
    pub(super) fn tries_again(
        &mut self,
        now: SimTime,
        id: FrameId,
        layer: u32,
        call: &Call,
        retry: RetryState,
        outcome: Outcome,
    ) -> bool {
        let LayerKind::Retry { config, random, budget, salt } = &self.model.layers[layer as usize].kind
        else {
            return false;
        };
        let done = retry.done;
        let slot = self.slot(layer, call);
        // An answer: nothing is drawn.
        if !config.on.contains(outcome) {
            self.passes_retry(now, id, budget.is_some().then_some(slot), retry, outcome);
            return false;
        }
        let attempt = Attempt {
            outcome,
            retries_done: done,
            backoff_from: retry.from,
            memory: retry.memory,
            told: self.take_told(id),
            deadline: self.deadlines.get(id),
        };
        let mut rng = Rng::from_seed(mix(mix(call.key, *salt), u64::from(done)));
        let mut budget = if budget.is_some() { self.budgets.get_mut(slot) } else { None };
        if let Some(budget) = &mut budget {
            budget.on_answer(outcome, config.on.contains(outcome), done > 0);
        }
        let has_budget = budget.is_some();
        match decide(config, budget, now, &attempt, &mut rng) {
            Decision::Retry { wait, cost, restarts } => {
                let (mut delay, mut memory) = (wait.delay, wait.memory);
                if let Some(dist) = random {
                    delay = dist.sample_duration(&mut rng);
                    memory = delay;
                }
                if has_budget {
                    let meters = self.budget_meters[slot];
                    self.observer.count(self.model.catalog.layers[meters as usize].more);
                }
                let cost = cost.unwrap_or(0);
                let from = if restarts { done + 1 } else { retry.from };
                let state = RetryState { done: done + 1, from, cost, memory, waits: true };
                self.set_state(id, LayerState::Retry(state));
                let edge = self.model.routes[call.route as usize].edge as usize;
                self.observer.count(self.model.catalog.edges[edge].retries);
                if delay.is_zero() {
                    self.tasks.push_back(Task::Down(id));
                } else {
                    self.queue.schedule(now + delay, Rank::Timer, Event::Retry(id));
                }
                true
            }
            Decision::GiveUp(why) => {
                if has_budget && outcome.is_success() {
                    self.budgets[slot].on_success(now, (done > 0).then_some(retry.cost));
                }
                if why == GiveUp::Budget {
                    let meters = self.budget_meters[slot];
                    self.observer.count(self.model.catalog.layers[meters as usize].rejected);
                }
                false
            }
        }
    }

    /// An answer passes a retry layer, which may have a budget.
    #[inline]
    pub(super) fn passes_retry(
        &mut self,
        now: SimTime,
        id: FrameId,
        budget: Option<usize>,
        retry: RetryState,
        outcome: Outcome,
    ) {
        if let Some(slot) = budget {
            let is_retry = retry.done > 0;
            let budget = &mut self.budgets[slot];
            budget.on_answer(outcome, false, is_retry);
            if outcome.is_success() {
                budget.on_success(now, is_retry.then_some(retry.cost));
            }
        }
        self.forget_told(id);
    }

    /// The wait before a retry is over.
    pub(super) fn send_retry(&mut self, id: FrameId, layer: u32, call: &Call, retry: RetryState) {
        if let LayerKind::Retry { budget: Some(_), .. } = self.model.layers[layer as usize].kind {
            let slot = self.slot(layer, call);
            self.budgets[slot].on_retry_sent();
        }
        self.set_state(id, LayerState::Retry(RetryState { waits: false, ..retry }));
    }
}
