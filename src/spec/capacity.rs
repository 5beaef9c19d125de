//! How much load a system can take, as an experiment asks it.

use super::decode::Map;
use super::quantity::Ratio;
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// How much load the system can take until an objective breaks, for `brownout capacity`. Load is a multiple of the
    /// file's: the rates of all client populations, and the users of closed loops. Timeline, random failures and
    /// expectations of the experiment are left out, unless `without` names a fault.
    pub struct Capacity {
        /// What must hold, such as `p(99) of clients.users.latency < 200ms`; the experiment's `objectives` if none is
        /// given.
        objective: Vec<Spanned<String>> = [],
        /// How sure the answer is to be.
        confidence: Ratio = "95%",
        /// The highest multiple of the load that is looked for.
        up_to: f64 = 20,
        /// How closely the capacity is looked for, relative to it.
        within: Ratio = "1%",
        /// The most runs at each load. It begins with five, and takes more while chance leaves it open whether the
        /// objectives hold.
        runs: u32 = 40,
        /// The multiples of the load that are asked about.
        multiples: Vec<f64> = [1, 2, 10],
        /// The multiple that the capacity must reach: the command fails below.
        at_least: f64 = 1,
        /// Sizes that may change to carry the multiples, by the path of the setting; the replicas of all services
        /// that no autoscaler scales may in any case.
        scale: Map<SizeRange> = {},
        /// How busy a resource may be: where the search for sizes begins.
        busy: Ratio = "70%",
        /// What may be missing, by name; one instance of each service, and one of three zones, if not given.
        without: Option<Map<Loss>> = None,
        /// The variant that is asked about; needed if there are several.
        variant: Option<Spanned<String>> = None,
    }
}

record! {
    /// The sizes that a setting may have.
    pub struct SizeRange [from, to] as "Sizes" {
        /// The least.
        from: u32,
        /// The greatest.
        to: u32,
    }
}

record! {
    /// Instances that are gone from the start.
    pub struct LostInstances [count] as "Lost instances" {
        /// How many of each service.
        count: u32 = 1,
        /// The services; all that have more instances than are lost, if none is given.
        of: Vec<Spanned<String>> = [],
    }
}

record! {
    /// A zone that is gone from the start. Instances have no zones: a share of the instances of each service, chosen
    /// at random and rounded up, stands for those of one zone.
    pub struct LostZone [share] as "Lost zone" {
        /// The share of the instances in the zone.
        share: Ratio = "33%",
        /// The services; all that have several instances, if none is given.
        of: Vec<Spanned<String>> = [],
    }
}

record! {
    /// A fault of the experiment's timeline.
    pub struct LostToFault [name] as "Lost to a fault" {
        /// Its name.
        name: Spanned<String>,
    }
}

choice! {
    /// What may be missing when the load comes.
    pub enum Loss {
        /// Some instances.
        Instances(LostInstances),
        /// A share of the instances of each service.
        Zone(LostZone),
        /// What a fault of the timeline takes.
        Fault(LostToFault),
    }
}
