//! Prices, from the language's types to billionths by id.

use super::draw;
use crate::base::dist::Dist;
use crate::base::salt;
use crate::components::fleet::Fleet;
use crate::model::cost::{CostKind, Costs, HOURS_PER_MONTH, LogSettings, Payer, SpotSettings};
use crate::model::{Caller, Draw, EdgeShape, GroupKind, GroupShape, Model};
use crate::spec::cost as sc;
use crate::spec::policy::Layer;
use crate::spec::topology::Topology;

/// Bytes of a GB, as prices have it.
const GB: f64 = 1e9;

/// What everything costs; the model's groups, edges and endpoints are all there.
pub(super) fn costs(model: &Model, topology: &Topology) -> Costs {
    let groups = || model.groups.iter();
    let prices = &topology.prices;
    let mut costs = Costs {
        fleets: groups().map(|group| fleet(group, topology)).collect(),
        spots: groups().map(|group| spot(group, topology)).collect(),
        fixed: fixed(topology),
        answers: model
            .endpoints
            .iter()
            .map(|e| {
                let group = &model.groups[e.group as usize];
                match group.kind {
                    GroupKind::Service => topology
                        .services
                        .get(&group.name)
                        .and_then(|s| s.answers.get(&e.name))
                        .map_or(0, |size| size.0),
                    GroupKind::External => topology.externals.get(&group.name).map_or(0, |x| x.answer.0),
                    GroupKind::Database => 0,
                }
            })
            .collect(),
        logs: groups().map(|group| logs(group, model, topology)).collect(),
        log_byte: prices.logs_per_gb,
        egress: model.edges.iter().map(|edge| egress(edge, topology)).collect(),
        cdn: model.edges.iter().map(|e| cdn(e, topology).map_or(0.0, |cdn| cdn.price_per_gb)).collect(),
        balancers: topology.balancers.iter().map(|(_, b)| b.price_per_gb).collect(),
        between_zones: prices.between_zones_per_gb,
        nat: groups().map(|group| nat(group, topology)).collect(),
        has_answers: false,
        is_any: false,
    };
    let any = |prices: &[f64]| prices.iter().any(|p| *p > 0.0);
    let moves = costs.answers.iter().any(|bytes| *bytes > 0)
        && (any(&costs.egress)
            || any(&costs.cdn)
            || any(&costs.balancers)
            || any(&costs.nat)
            || costs.between_zones > 0.0);
    costs.has_answers = moves || costs.logs.iter().any(Option::is_some);
    let priced = model.groups.iter().any(|group| group.price > 0.0);
    costs.is_any = costs.has_answers || priced || !costs.fixed.is_empty();
    costs
}

fn fleet(group: &GroupShape, topology: &Topology) -> Fleet {
    let price = if group.kind == GroupKind::External { 0.0 } else { group.price };
    let plain = Fleet { price, base: 0, above_base: 1.0, spot_discount: 0.0, reserved: (0, 0.0) };
    let service = topology.services.get(&group.name).filter(|_| group.kind == GroupKind::Service);
    let reserved = |r: &sc::Reserved| (r.count, r.discount.0);
    match service.map(|s| &s.purchase) {
        None | Some(sc::Purchase::OnDemand) => plain,
        Some(sc::Purchase::Spot(s)) => Fleet { above_base: 0.0, spot_discount: s.discount.0, ..plain },
        Some(sc::Purchase::Reserved(r)) => Fleet { reserved: reserved(r), ..plain },
        Some(sc::Purchase::Mixed(m)) => Fleet {
            base: m.base_on_demand,
            above_base: m.on_demand_above_base.0,
            spot_discount: m.spot.discount.0,
            reserved: m.reserved.as_ref().map_or((0, 0.0), reserved),
            ..plain
        },
    }
}

fn spot(group: &GroupShape, topology: &Topology) -> Option<SpotSettings> {
    let service = topology.services.get(&group.name).filter(|_| group.kind == GroupKind::Service)?;
    let spot = match &service.purchase {
        sc::Purchase::Spot(spot) => spot,
        sc::Purchase::Mixed(mixed) => &mixed.spot,
        sc::Purchase::OnDemand | sc::Purchase::Reserved(_) => return None,
    };
    let drawn =
        |dist: &Dist, what: &str| -> Draw { draw(dist, &format!("services.{}.purchase.{what}", group.name)) };
    Some(SpotSettings {
        reclaimed_after: spot.reclaimed_after.as_ref().map(|d| drawn(&d.dist, "reclaimed_after")),
        notice: spot.notice.duration(),
        drains: spot.drain,
        replace_when_gone: matches!(spot.replace, sc::Replace::WhenGone),
        replacement_delay: drawn(&spot.replacement_delay.dist, "replacement_delay"),
        falls_back: spot.fall_back_to_on_demand,
    })
}

fn fixed(topology: &Topology) -> Vec<(CostKind, Payer, i64)> {
    let mut fixed = Vec::new();
    let mut add = |kind, payer, per_hour: f64| {
        if per_hour > 0.0 {
            fixed.push((kind, payer, (per_hour * 1e9).round() as i64));
        }
    };
    for (number, (_, balancer)) in (0..).zip(topology.balancers.iter()) {
        add(CostKind::Balancers, Payer::Balancer(number), balancer.price_per_hour);
    }
    if let Some(nat) = &topology.prices.nat {
        add(CostKind::Nat, Payer::System, f64::from(nat.gateways) * nat.price_per_hour);
    }
    for (_, stored) in topology.prices.stored.iter() {
        let per_month = stored.size.0 as f64 / GB * stored.price_per_gb_month;
        add(CostKind::Storage, Payer::System, per_month / HOURS_PER_MONTH);
    }
    fixed
}

fn logs(group: &GroupShape, model: &Model, topology: &Topology) -> Option<LogSettings> {
    let service = topology.services.get(&group.name).filter(|_| group.kind == GroupKind::Service)?;
    let logs = service.logs.as_ref()?;
    let share = |endpoint: u32| {
        let own = logs.endpoints.get(&model.endpoints[endpoint as usize].name);
        own.unwrap_or(&logs.share).0
    };
    Some(LogSettings {
        bytes: logs.bytes.0,
        shares: group.endpoints.clone().map(share).collect(),
        errors: logs.errors,
        slower_than: logs.slower_than.map(|t| t.duration()),
        salt: salt(&format!("services.{}.logs", group.name)),
    })
}

/// The content delivery network between a population and the system.
fn cdn<'t>(edge: &EdgeShape, topology: &'t Topology) -> Option<&'t sc::Cdn> {
    let Caller::Client(_) = edge.caller else { return None };
    topology.policies.get(&edge.policy)?.iter().find_map(|layer| match layer {
        Layer::Cache(cache) => cache.cdn.as_ref(),
        _ => None,
    })
}

fn egress(edge: &EdgeShape, topology: &Topology) -> f64 {
    let Caller::Client(_) = edge.caller else { return 0.0 };
    let whole = topology.prices.egress_per_gb;
    cdn(edge, topology).map_or(whole, |cdn| cdn.origin_per_gb.unwrap_or(whole))
}

fn nat(group: &GroupShape, topology: &Topology) -> f64 {
    let external = topology.externals.get(&group.name).filter(|_| group.kind == GroupKind::External);
    match (&topology.prices.nat, external) {
        (Some(nat), Some(external)) if external.through_nat => nat.price_per_gb,
        _ => 0.0,
    }
}
