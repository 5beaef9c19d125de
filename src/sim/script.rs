//! The timeline compiled: what happens when, by id.

pub mod network;

use crate::base::dist::Dist;
use crate::base::{SimDuration, SimTime};
use network::NetFault;

/// Everything that happens to a run from outside.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// When the run ends.
    pub end: SimTime,
    /// What happens, in order of time and then of writing.
    pub actions: Vec<ScriptAction>,
    /// The faults that actions begin and end, then those of random failures.
    pub faults: Vec<Fault>,
    /// When windows of measuring end, in order, the end of the run left out.
    pub windows: Vec<SimTime>,
    /// What fails and is repaired at random, in order of name.
    pub failures: Vec<RandomFailure>,
}

/// Something that fails and is repaired at random, again and again.
#[derive(Clone, Debug)]
pub struct RandomFailure {
    /// Its name, by which its times are found.
    pub name: String,
    /// The group.
    pub group: u32,
    /// Whether each instance fails by itself.
    pub each: bool,
    /// What strikes meanwhile: a number in [`Script::faults`], behind those of the timeline.
    pub fault: u32,
    /// The time to a failure.
    pub up: Dist,
    /// The time to the repair.
    pub down: Dist,
}

/// Something on the timeline.
#[derive(Clone, Debug)]
pub struct ScriptAction {
    /// When.
    pub at: SimTime,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// A fault begins.
    Begin(u32),
    /// A fault ends.
    End(u32),
    /// Settings change.
    Epoch(u32),
    /// An operator restarts instances of a group.
    Restart {
        /// The group.
        group: u32,
        /// Which of its instances.
        which: Which,
        /// The name of the random choice.
        name: String,
    },
    /// An operator ends queries.
    KillQueries {
        /// The database.
        group: u32,
        /// Those that have run for at least so long.
        longer_than: SimDuration,
    },
}

/// Which instances of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Which {
    /// All.
    All,
    /// So many, at random.
    Number(u32),
    /// Such a share, at random, rounded up.
    Share(f64),
    /// Those that some balancer believes unhealthy.
    Unhealthy,
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name, of which the random choice of instances depends.
    pub name: String,
    /// What it does.
    pub effect: Effect,
}

/// What a fault does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Strikes instances of a group.
    Strike {
        /// The group.
        group: u32,
        /// Which of its instances.
        which: Which,
        /// How.
        blow: Blow,
    },
    /// Takes away the broker of a queue.
    Broker {
        /// The queue.
        queue: u32,
    },
    /// Multiplies a client population's rate.
    Spike {
        /// The population.
        client: u32,
        /// The factor.
        factor: f64,
    },
    /// Strikes what passes between components, or how a dependency answers.
    Net(NetFault),
}

/// How an instance is struck.
#[derive(Clone, Debug)]
pub enum Blow {
    /// Work and waits take so many times as long.
    Slow(f64),
    /// Every request waits so long before its program; an external's latency is replaced.
    Latency(Dist),
    /// Such a share of requests fails at once.
    Errors(f64),
    /// Requests are taken and not worked on.
    Hang,
    /// It is killed and starts again.
    Crash,
    /// It is killed and stays away until the fault ends.
    Down,
}
