//! What a system costs: by line of the bill, by component, and all together.

use super::Builder;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::cost::{CostKind, HOURS_PER_MONTH};
use crate::model::{Caller, GroupKind, Model};

/// A gauge of billionths per hour, and a counter of billionths.
pub type Account = (u32, u32);

/// Ids of the meters of costs.
#[derive(Clone, Debug, Default)]
pub struct CostMeters {
    /// Each line of the bill that can have anything on it.
    pub kinds: [Option<Account>; CostKind::ALL.len()],
    /// Of each group that can cost anything.
    pub groups: Vec<Option<Account>>,
    /// Of each balancer.
    pub balancers: Vec<Option<Account>>,
    /// Of each client population.
    pub clients: Vec<Option<Account>>,
    /// Counter: bytes logged, by group.
    pub logged: Vec<Option<u32>>,
    /// How instances are bought, by group, where some are spot.
    pub spots: Vec<Option<SpotMeters>>,
}

/// Ids of the meters of a service with spot instances.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpotMeters {
    /// Gauge: spot instances that there are.
    pub spot: u32,
    /// Gauge: instances on demand that there are.
    pub on_demand: u32,
    /// Gauge: places that wait for capacity.
    pub missing: u32,
    /// Counter: spot instances that got a notice.
    pub reclaims: u32,
}

impl Builder {
    /// The metrics `cost` of all that has a price; none if nothing has.
    pub(super) fn costs(&mut self, model: &Model) {
        let costs = &model.costs;
        let mut meters = CostMeters {
            spots: vec![None; model.groups.len()],
            logged: vec![None; model.groups.len()],
            groups: vec![None; model.groups.len()],
            balancers: vec![None; model.balancers.len()],
            clients: vec![None; model.clients.len()],
            ..CostMeters::default()
        };
        for (number, group) in model.groups.iter().enumerate() {
            if costs.spots[number].is_some() {
                meters.spots[number] = Some(self.spot(&format!("services.{}", group.name)));
            }
        }
        if costs.is_any {
            self.bill(model, &mut meters);
        }
        self.catalog.costs = meters;
    }

    fn spot(&mut self, path: &str) -> SpotMeters {
        let meters = SpotMeters {
            spot: self.gauge(),
            on_demand: self.gauge(),
            missing: self.gauge(),
            reclaims: self.counter(),
        };
        let unit = Unit::Count("instances");
        self.level(format!("{path}.spot"), unit, "spot instances that there are", meters.spot, 1.0);
        let meaning = "instances on demand that there are, reserved ones included";
        self.level(format!("{path}.on_demand"), unit, meaning, meters.on_demand, 1.0);
        let meaning = "places whose spot instance was taken back, or cannot be had";
        self.level(format!("{path}.spot_missing"), unit, meaning, meters.missing, 1.0);
        let (unit, meaning) = (Unit::Count("instances"), "spot instances that got a notice");
        self.add(format!("{path}.reclaims"), unit, meaning, Source::CounterTotal(meters.reclaims));
        meters
    }

    fn account(&mut self) -> Account {
        (self.gauge(), self.counter())
    }

    fn bill(&mut self, model: &Model, meters: &mut CostMeters) {
        let costs = &model.costs;
        let total = self.account();
        self.catalog.cost = Some(total);
        let meaning = "cost per hour of all that has a price";
        self.add("system.cost".to_string(), Unit::PerHour, meaning, Source::Spent(total.0, total.1));
        self.add("cost.per_hour".to_string(), Unit::PerHour, meaning, Source::Spent(total.0, total.1));
        let meaning = "cost of all that has a price, in this time";
        self.add("cost.total".to_string(), Unit::Level, meaning, Source::SpentInAll(total.0, total.1));
        let source = Source::SpentTimes(total.0, total.1, HOURS_PER_MONTH);
        self.add(
            "cost.month".to_string(),
            Unit::Level,
            "cost of a month of 730 hours, if all of it were like this time",
            source,
        );
        let any = |prices: &[f64]| prices.iter().any(|price| *price > 0.0);
        let moves = costs.answers.iter().any(|bytes| *bytes > 0);
        let has_price = |kind: GroupKind| model.groups.iter().any(|g| g.kind == kind && g.price > 0.0);
        for (number, (kind, name, meaning)) in CostKind::ALL.into_iter().enumerate() {
            let by_use = match kind {
                CostKind::Instances => has_price(GroupKind::Service),
                CostKind::Databases => has_price(GroupKind::Database),
                CostKind::Requests => has_price(GroupKind::External),
                CostKind::Balancers => moves && any(&costs.balancers),
                CostKind::Transfer => {
                    moves && (any(&costs.egress) || any(&costs.cdn) || costs.between_zones > 0.0)
                }
                CostKind::Nat => moves && any(&costs.nat),
                CostKind::Logs => costs.logs.iter().any(Option::is_some),
                CostKind::Storage => false,
            };
            if by_use || costs.fixed.iter().any(|(fixed, ..)| *fixed == kind) {
                let account = self.account();
                meters.kinds[number] = Some(account);
                self.two_costs(&format!("cost.{name}"), meaning, account);
            }
        }
        for (number, group) in model.groups.iter().enumerate() {
            let (family, meaning) = match group.kind {
                GroupKind::Service => ("services", "instances, log lines and answers to other zones"),
                GroupKind::Database => ("databases", "its servers"),
                GroupKind::External => ("externals", "requests, and answers through the NAT gateway"),
            };
            let zones = moves && costs.between_zones > 0.0 && !group.zones.is_empty();
            let nat = moves && costs.nat[number] > 0.0;
            if group.price > 0.0 || costs.logs[number].is_some() || zones || nat {
                let account = self.account();
                meters.groups[number] = Some(account);
                self.two_costs(&format!("{family}.{}.cost", group.name), meaning, account);
            }
            if costs.logs[number].is_some() {
                let counter = self.counter();
                meters.logged[number] = Some(counter);
                let path = format!("services.{}.logged", group.name);
                self.add(path, Unit::PerSecond, "bytes logged", Source::CounterRate(counter));
            }
        }
        for (number, balancer) in model.balancers.iter().enumerate() {
            let by_hour = costs
                .fixed
                .iter()
                .any(|(_, payer, _)| *payer == crate::model::cost::Payer::Balancer(number as u32));
            if by_hour || (moves && costs.balancers[number] > 0.0) {
                let account = self.account();
                meters.balancers[number] = Some(account);
                self.two_costs(
                    &format!("balancers.{}.cost", balancer.name),
                    "hours, and GB of answers",
                    account,
                );
            }
        }
        for (number, client) in model.clients.iter().enumerate() {
            let ours = |edge: usize| model.edges[edge].caller == Caller::Client(number as u32);
            let priced = |edge: usize| costs.egress[edge] > 0.0 || costs.cdn[edge] > 0.0;
            if moves && (0..model.edges.len()).any(|edge| ours(edge) && priced(edge)) {
                let account = self.account();
                meters.clients[number] = Some(account);
                self.two_costs(&format!("clients.{}.cost", client.name), "what is sent to them", account);
            }
        }
    }

    fn two_costs(&mut self, path: &str, of: &str, (gauge, counter): Account) {
        let source = Source::Spent(gauge, counter);
        self.add(path.to_string(), Unit::PerHour, format!("cost per hour: {of}"), source);
        let source = Source::SpentTimes(gauge, counter, HOURS_PER_MONTH);
        self.add(format!("{path}.month"), Unit::Level, format!("cost of a month of 730 hours: {of}"), source);
    }
}
