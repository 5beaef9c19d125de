//! The timeline compiled: what happens when, by id.

use crate::base::dist::Dist;
use crate::base::{SimDuration, SimTime};

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
    /// An operator drains a zone, or ends that.
    DrainZone {
        /// The zone.
        zone: u32,
        /// Whether it is drained from now on.
        is_drained: bool,
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
    /// Those in a zone: a number in [`crate::model::Model::zones`].
    Zone(u32),
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name, of which the random choice of instances depends.
    pub name: String,
    /// What it does.
    pub effect: Effect,
    /// Over which time its effect grows, and shrinks before the end; zero to strike at once.
    pub ramp: SimDuration,
    /// How long it lasts, if that is known when it begins.
    pub lasts: Option<SimDuration>,
}

impl Fault {
    /// A fault that strikes at once, until somebody ends it.
    pub fn new(name: String, effect: Effect) -> Self {
        Self { name, effect, ramp: SimDuration::ZERO, lasts: None }
    }
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
    /// Strikes several groups and queues at once.
    Strikes {
        /// The groups, and which of their instances.
        on: Vec<(u32, Which)>,
        /// The queues.
        queues: Vec<u32>,
        /// How.
        blow: Blow,
    },
    /// Writes take longer to reach replicas.
    Lag {
        /// The group of the replicas.
        group: u32,
        /// How much longer.
        lag: SimDuration,
    },
    /// Multiplies the requests of one tenant.
    Tenant {
        /// The population.
        client: u32,
        /// The tenant, in order of name.
        tenant: u32,
        /// The factor.
        factor: f64,
    },
    /// Extra requests at each multiple of a time.
    Burst {
        /// The population.
        client: u32,
        /// From one burst to the next.
        every: SimDuration,
        /// How many requests.
        requests: u32,
        /// Within which time.
        within: SimDuration,
    },
    /// All users who think ask at once.
    Reconnect {
        /// The population.
        client: u32,
        /// Within which time.
        within: SimDuration,
    },
    /// Breaks all connections to a group.
    Disconnect {
        /// The group.
        group: u32,
    },
    /// Empties caches, and keeps them away while it lasts.
    Caches {
        /// Which.
        caches: Vec<u32>,
        /// Whether they are away meanwhile.
        away: bool,
    },
    /// Poisons the next messages of a queue.
    Poison {
        /// The queue.
        queue: u32,
        /// How many.
        count: u32,
    },
    /// Connections of pools are lent and never given back.
    LoseConnections {
        /// The pools.
        pools: Vec<u32>,
        /// From one to the next.
        every: SimDuration,
    },
    /// Restarts the instances of a group again and again.
    Recycle {
        /// The group.
        group: u32,
        /// How long each runs.
        every: SimDuration,
        /// What is added to that.
        jitter: Dist,
        /// Whether the first restarts come at equal distances.
        in_turn: bool,
    },
}

impl Effect {
    /// How it strikes instances or queues, if it does.
    pub fn blow(&self) -> Option<&Blow> {
        match self {
            Self::Strike { blow, .. } | Self::Strikes { blow, .. } => Some(blow),
            _ => None,
        }
    }

    /// The groups of instances that it strikes, and which of their instances.
    pub fn strikes(&self) -> impl Iterator<Item = (u32, Which)> + '_ {
        let (one, more) = match self {
            Self::Strike { group, which, .. } => (Some((*group, *which)), &[][..]),
            Self::Strikes { on, .. } => (None, on.as_slice()),
            _ => (None, &[][..]),
        };
        one.into_iter().chain(more.iter().copied())
    }
}

/// No instance in particular: a turn of a fault itself.
pub const NO_INSTANCE: u32 = u32::MAX;

impl Blow {
    /// Whether it does something to an instance again and again.
    pub fn has_turns(&self) -> bool {
        matches!(self, Self::Leak(_) | Self::Pauses { .. })
    }
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
    /// Such a share of its CPU time is not there.
    Steal(f64),
    /// Its storage takes so many times as long.
    Disk(f64),
    /// The credits of its storage are used up.
    NoCredits,
    /// It leaks so many bytes per second.
    Leak(f64),
    /// It stands still again and again.
    Pauses {
        /// For how long.
        pause: Dist,
        /// From one to the next.
        every: SimDuration,
    },
}
