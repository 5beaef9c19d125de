//! Costs: who pays for what, in whole billionths.
//!
//! Every payment moves three meters: that of the whole system, that of its line of the bill, and that of the component.
//! So each total is the sum of its parts, to the last billionth. Parts of a billionth wait until they are a whole one.

use super::frame::{Exec, Kind, NO_BALANCER, Request};
use super::{FrameId, World};
use crate::base::{Outcome, SimDuration, SimTime, mix, uniform_of};
use crate::metrics::Observer;
use crate::model::catalog::costs::Account;
use crate::model::cost::{CostKind, Payer};
use crate::model::{Caller, GroupKind, Model};

/// What was paid, but for whole billionths.
#[derive(Debug)]
pub(super) struct Bill {
    /// Parts of a billionth, by payer and line.
    rests: Vec<[f64; CostKind::ALL.len()]>,
    /// What the instances of each group cost per hour now, in billionths.
    paid: Vec<i64>,
}

impl Bill {
    pub fn new(model: &Model) -> Self {
        let payers = model.groups.len() + model.balancers.len() + model.clients.len() + 1;
        let payers = if model.costs.is_any { payers } else { 0 };
        Self { rests: vec![[0.0; CostKind::ALL.len()]; payers], paid: vec![0; model.groups.len()] }
    }
}

/// Who called.
enum Asker {
    Client { edge: u32 },
    Instance(u32),
    Nobody,
}

impl<O: Observer> World<'_, O> {
    /// What is paid from the start on.
    pub(super) fn start_costs(&mut self, now: SimTime) {
        let model = self.model;
        for (kind, payer, per_hour) in &model.costs.fixed {
            self.owe(now, *kind, *payer, *per_hour);
        }
        self.start_purchases(now);
        for group in 0..self.groups.len() as u32 {
            self.pay_instances(now, group);
        }
    }

    fn accounts(&self, kind: CostKind, payer: Payer) -> [Option<Account>; 3] {
        let catalog = &self.model.catalog;
        let own = match payer {
            Payer::Group(g) => catalog.costs.groups[g as usize],
            Payer::Balancer(b) => catalog.costs.balancers[b as usize],
            Payer::Client(c) => catalog.costs.clients[c as usize],
            Payer::System => None,
        };
        [catalog.cost, catalog.costs.kinds[kind as usize], own]
    }

    /// So many billionths per hour more are paid from now on, or fewer.
    fn owe(&mut self, now: SimTime, kind: CostKind, payer: Payer, more: i64) {
        for (gauge, _) in self.accounts(kind, payer).into_iter().flatten() {
            self.observer.moved(now, gauge, more);
        }
    }

    /// So many billionths are paid at once.
    fn spend(&mut self, kind: CostKind, payer: Payer, billionths: f64) {
        if billionths <= 0.0 {
            return;
        }
        let (groups, balancers) = (self.model.groups.len(), self.model.balancers.len());
        let number = match payer {
            Payer::Group(g) => g as usize,
            Payer::Balancer(b) => groups + b as usize,
            Payer::Client(c) => groups + balancers + c as usize,
            Payer::System => groups + balancers + self.model.clients.len(),
        };
        let rest = &mut self.bill.rests[number][kind as usize];
        let whole = libm::floor(*rest + billionths);
        *rest += billionths - whole;
        if whole >= 1.0 {
            for (_, counter) in self.accounts(kind, payer).into_iter().flatten() {
                self.observer.count_many(counter, whole as u64);
            }
        }
    }

    /// The instances of a group are others now, or more, or fewer.
    pub(super) fn pay_instances(&mut self, now: SimTime, group: u32) {
        let shape = &self.model.groups[group as usize];
        if shape.price == 0.0 || shape.kind == GroupKind::External {
            return;
        }
        let fleet = &self.model.costs.fleets[group as usize];
        let (on_demand, spot) = self.bought(group);
        let per_hour = (fleet.per_hour(on_demand, spot) * 1e9).round() as i64;
        let before = std::mem::replace(&mut self.bill.paid[group as usize], per_hour);
        let is_service = shape.kind == GroupKind::Service;
        let kind = if is_service { CostKind::Instances } else { CostKind::Databases };
        if per_hour != before {
            self.owe(now, kind, Payer::Group(group), per_hour - before);
        }
    }

    /// A request reaches an external.
    pub(super) fn pay_request(&mut self, group: u32) {
        let price = self.model.groups[group as usize].price * 1e9;
        self.spend(CostKind::Requests, Payer::Group(group), price);
    }

    /// An instance has worked on a request: it may be logged, and its answer travels.
    pub(super) fn pay_answer(
        &mut self,
        parent: FrameId,
        exec: &Exec,
        outcome: Outcome,
        latency: SimDuration,
    ) {
        let model = self.model;
        let costs = &model.costs;
        let group = self.instances[exec.instance as usize].group;
        if let Some(logs) = &costs.logs[group as usize] {
            let endpoint = exec.endpoint - model.groups[group as usize].endpoints.start;
            let is_logged = (logs.errors && !outcome.is_success())
                || logs.slower_than.is_some_and(|limit| latency > limit)
                || uniform_of(mix(exec.run.key, logs.salt)) < logs.shares[endpoint as usize];
            if is_logged {
                if let Some(counter) = model.catalog.costs.logged[group as usize] {
                    self.observer.count_many(counter, logs.bytes);
                }
                self.spend(CostKind::Logs, Payer::Group(group), logs.bytes as f64 * costs.log_byte);
            }
        }
        let bytes = costs.answers[exec.endpoint as usize] as f64;
        if bytes == 0.0 || !outcome.is_success() {
            return;
        }
        self.spend(CostKind::Nat, Payer::Group(group), bytes * costs.nat[group as usize]);
        let asker = self.asker(parent);
        if exec.balancer != NO_BALANCER && !matches!(asker, Asker::Nobody) {
            let price = costs.balancers[exec.balancer as usize];
            self.spend(CostKind::Balancers, Payer::Balancer(exec.balancer), bytes * price);
        }
        match asker {
            Asker::Client { edge } => {
                if let Caller::Client(client) = model.edges[edge as usize].caller {
                    let price = costs.egress[edge as usize];
                    self.spend(CostKind::Transfer, Payer::Client(client), bytes * price);
                }
            }
            Asker::Instance(caller) => {
                let zone = |instance: u32| {
                    let (group, place) = self.place_of(instance);
                    self.model.groups[group as usize].zone_of(place)
                };
                if let (Some(from), Some(to)) = (zone(exec.instance), zone(caller))
                    && from != to
                {
                    let price = bytes * costs.between_zones;
                    self.spend(CostKind::Transfer, Payer::Group(group), price);
                }
            }
            Asker::Nobody => {}
        }
    }

    /// A client has its answer, maybe from a content delivery network.
    pub(super) fn pay_delivery(&mut self, request: &Request) {
        let route = &self.model.routes[request.route as usize];
        let costs = &self.model.costs;
        let bytes = costs.answers[route.endpoint as usize] as f64;
        let price = costs.cdn[route.edge as usize];
        self.spend(CostKind::Transfer, Payer::Client(request.client), bytes * price);
    }

    /// Who gets the answer that goes up to a frame; nobody if whoever asked has given up.
    fn asker(&self, mut id: FrameId) -> Asker {
        while let Some(frame) = self.frames.get(id) {
            match &frame.kind {
                Kind::Layer { call, .. } => {
                    let edge = self.model.routes[call.route as usize].edge;
                    return match self.model.edges[edge as usize].caller {
                        Caller::Client(_) => Asker::Client { edge },
                        Caller::Group(g) => Asker::Instance(self.model.groups[g as usize].first + call.owner),
                    };
                }
                Kind::Request(request) => {
                    let edge = self.model.routes[request.route as usize].edge;
                    return Asker::Client { edge };
                }
                Kind::Exec(exec) => return Asker::Instance(exec.instance),
                Kind::Branch(branch) => return Asker::Instance(branch.instance),
                _ => id = frame.parent,
            }
        }
        Asker::Nobody
    }
}
