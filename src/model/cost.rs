//! What things cost, compiled: prices in billionths, by id. They are the same in all epochs.

use super::Draw;
use crate::base::SimDuration;
use crate::components::fleet::Fleet;

/// Hours of a month, as cloud bills have it: 8,760 hours of a year over 12.
pub const HOURS_PER_MONTH: f64 = 730.0;

/// A line of the bill: every payment belongs to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CostKind {
    /// Instances of services.
    Instances,
    /// Databases.
    Databases,
    /// Requests to externals.
    Requests,
    /// Balancers, by hours and by GB.
    Balancers,
    /// What leaves the system for clients, what a content delivery network hands out, what goes to other zones.
    Transfer,
    /// The NAT gateway, by hours and by GB.
    Nat,
    /// Log lines.
    Logs,
    /// Data that is kept.
    Storage,
}

impl CostKind {
    /// All lines, in the order of the bill: name in paths, and meaning.
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Instances, "instances", "instances of services"),
        (Self::Databases, "databases", "databases"),
        (Self::Requests, "requests", "requests to externals"),
        (Self::Balancers, "balancers", "balancers, by hours and by GB"),
        (Self::Transfer, "transfer", "data that goes to clients, and between zones"),
        (Self::Nat, "nat", "the NAT gateway, by hours and by GB"),
        (Self::Logs, "logs", "log lines"),
        (Self::Storage, "storage", "data that is kept"),
    ];
}

/// On whose account a payment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payer {
    /// A service, a database or an external.
    Group(u32),
    /// A balancer.
    Balancer(u32),
    /// A client population: what is sent to it.
    Client(u32),
    /// The system as a whole.
    System,
}

/// Which requests of a service are logged.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// The bytes of a line.
    pub bytes: u64,
    /// The share of requests of each endpoint of the group.
    pub shares: Vec<f64>,
    /// Whether all are logged that did not end well.
    pub errors: bool,
    /// All are logged that took longer.
    pub slower_than: Option<SimDuration>,
    /// The salt of the draw.
    pub salt: u64,
}

/// How spot instances of a service end, and what comes after them.
#[derive(Clone, Debug)]
pub struct SpotSettings {
    /// The time from its launch until one is taken back, if that happens at random.
    pub reclaimed_after: Option<Draw>,
    /// From the notice to the end of such an instance.
    pub notice: SimDuration,
    /// Whether it drains at the notice.
    pub drains: bool,
    /// Whether its place waits for the end of the notice.
    pub replace_when_gone: bool,
    /// From then until another is launched.
    pub replacement_delay: Draw,
    /// Whether that is one on demand while there are no spot instances.
    pub falls_back: bool,
}

impl PartialEq for SpotSettings {
    fn eq(&self, other: &Self) -> bool {
        // Salts follow from names.
        let draws =
            |s: &Self| (s.reclaimed_after.as_ref().map(|d| d.dist.clone()), s.replacement_delay.dist.clone());
        let flags = |s: &Self| (s.notice, s.drains, s.replace_when_gone, s.falls_back);
        draws(self) == draws(other) && flags(self) == flags(other)
    }
}

/// What everything costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// How the instances of each group are bought; externals have none.
    pub fleets: Vec<Fleet>,
    /// How spot instances of each group end, where there are any.
    pub spots: Vec<Option<SpotSettings>>,
    /// What is paid for whatever happens: in billionths per hour.
    pub fixed: Vec<(CostKind, Payer, i64)>,
    /// The bytes of an answer of each endpoint.
    pub answers: Vec<u64>,
    /// What each group logs.
    pub logs: Vec<Option<LogSettings>>,
    /// What a byte of log lines costs, in billionths.
    pub log_byte: f64,
    /// What a byte costs that is answered along each edge, in billionths: to clients.
    pub egress: Vec<f64>,
    /// What a byte costs that a content delivery network hands to the clients of each edge, in billionths.
    pub cdn: Vec<f64>,
    /// What a byte costs through each balancer, in billionths.
    pub balancers: Vec<f64>,
    /// What a byte costs that goes to another zone, in billionths.
    pub between_zones: f64,
    /// What a byte costs that each group answers through the NAT gateway, in billionths.
    pub nat: Vec<f64>,
    /// Whether any answer costs anything.
    pub has_answers: bool,
    /// Whether anything costs anything.
    pub is_any: bool,
}
