//! What a system costs beside its instances and requests, and how instances are bought.

use super::decode::Map;
use super::dist::Distribution;
use super::quantity::{Ratio, Seconds, Size};
use crate::{choice, record};

record! {
    /// The gateway between services and what is outside.
    pub struct Nat {
        /// How many gateways run; one in each zone is usual.
        gateways: u32 = 1,
        /// What each costs per hour.
        price_per_hour: f64 = 0,
        /// What each GB costs that passes: the answers of externals with `through_nat`.
        price_per_gb: f64 = 0,
    }
}

record! {
    /// Data that is kept.
    pub struct Stored [size, price_per_gb_month] {
        /// How much there is.
        size: Size,
        /// What a GB costs per month of 730 hours.
        price_per_gb_month: f64,
    }
}

record! {
    /// What is paid for beside instances, databases, balancers and requests, in any currency. A GB is 10^9 bytes, a
    /// month 730 hours. What moves is what `answers` say: answers that end well, at the moment when they are given.
    pub struct Prices {
        /// What a GB costs that leaves the system for its clients.
        egress_per_gb: f64 = 0,
        /// What a GB costs that is answered to a service in another zone. Amazon charges 0.01 on either side: 0.02 in
        /// all.
        between_zones_per_gb: f64 = 0,
        /// What a GB of log lines costs.
        logs_per_gb: f64 = 0,
        /// The gateway between services and externals.
        nat: Option<Nat> = None,
        /// Data that is kept, by name.
        stored: Map<Stored> = {},
    }
}

record! {
    /// What a content delivery network costs, for a `Cache` in a policy of clients.
    pub struct Cdn [price_per_gb] {
        /// What a GB costs that it hands to clients, found or fetched.
        price_per_gb: f64 = 0,
        /// What a GB costs that it fetches, instead of `egress_per_gb`; without it, as much as that.
        origin_per_gb: Option<f64> = None,
    }
}

record! {
    /// Log lines: one for each request that an instance has worked on, or for some of them.
    pub struct Logs [bytes] {
        /// How long a line is.
        bytes: Size,
        /// The share of requests that is logged, drawn for each.
        share: Ratio = "100%",
        /// The share of single endpoints, where it is another.
        endpoints: Map<Ratio> = {},
        /// Whether all requests are logged that did not end well.
        errors: bool = true,
        /// All requests are logged that took longer than this, waiting included.
        slower_than: Option<Seconds> = None,
    }
}

record! {
    /// Capacity that nobody else wants at the moment: cheap, and taken back at any time after a notice.
    pub struct Spot [discount] {
        /// What it costs less than on demand.
        discount: Ratio = "70%",
        /// How long after its launch an instance is taken back; without it, only faults take it.
        reclaimed_after: Option<Distribution> = None,
        /// The time from the notice to the end of such an instance; a fault says its own.
        notice: Seconds = "2m",
        /// What an instance does at the notice: whether it leaves its balancers and finishes what it has, as when it
        /// is taken out. Otherwise it goes on until it is cut off.
        drain: bool = true,
        /// When another instance is launched for it.
        replace: Replace = WhenGone,
        /// The time from then until it is launched: until the fleet has noticed.
        replacement_delay: Distribution = "0s",
        /// Whether an instance on demand takes the place while no spot capacity can be had. Without it the place stays
        /// empty meanwhile.
        fall_back_to_on_demand: bool = false,
    }
}

choice! {
    /// When a fleet replaces an instance that has its notice.
    pub enum Replace {
        /// Once it is gone: at the end of the notice (EC2 Auto Scaling without capacity rebalancing).
        WhenGone,
        /// Once it has finished what it had, or at the end of the notice.
        WhenDrained,
    }
}

record! {
    /// Capacity that is paid for whether it is used or not.
    pub struct Reserved [count, discount] {
        /// How many instances.
        count: u32,
        /// What each costs less than on demand.
        discount: Ratio = "40%",
    }
}

record! {
    /// A mixed instances policy of EC2 Auto Scaling (`InstancesDistribution`).
    pub struct Mixed {
        /// The first so many instances are on demand (`OnDemandBaseCapacity`).
        base_on_demand: u32 = 0,
        /// The share on demand of those above, rounded up (`OnDemandPercentageAboveBaseCapacity`). The others are spot.
        on_demand_above_base: Ratio = "100%",
        /// What spot instances cost, and how they end.
        spot: Spot = (),
        /// Reserved capacity, which instances on demand use first.
        reserved: Option<Reserved> = None,
    }
}

choice! {
    /// How instances are bought. `price_per_hour` is that of an instance on demand.
    pub enum Purchase {
        /// By the hour, as many as there should be.
        OnDemand,
        /// All of them where there is room.
        Spot(Spot),
        /// Some beforehand; what is more is on demand.
        Reserved(Reserved),
        /// Some on demand, some where there is room.
        Mixed(Mixed),
    }
}
