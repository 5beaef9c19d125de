//! The timeline compiled: what happens when, by id.

pub mod network;

use crate::base::dist::Dist;
use crate::base::{SimDuration, SimTime};
pub use crate::components::analysis::AnalysisConfig;
pub use crate::components::rollout::Amount;
use crate::metrics::Rule;
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
    /// What is deployed by actions.
    pub deployments: Vec<Deployment>,
    /// The settings that follow when a change happens to others: by number of the settings, then of the change.
    pub transitions: Vec<Vec<u32>>,
    /// What is evaluated every second, if anything reacts to it.
    pub rules: Vec<WatchedRule>,
    /// What happens when something else does.
    pub reactions: Vec<Reaction>,
}

/// A rule that is evaluated while the run goes on.
#[derive(Clone, Debug)]
pub struct WatchedRule {
    /// The rule.
    pub rule: Rule,
    /// Seconds from one evaluation to the next.
    pub interval_s: usize,
    /// Seconds for which it must hold at every evaluation.
    pub for_s: f64,
}

/// What happens when something else does: a runbook, or a fault that is waiting for its moment.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// Its name, by which its random times are found.
    pub name: String,
    /// What starts it.
    pub trigger: Trigger,
    /// From the trigger until somebody is told.
    pub notify: Dist,
    /// From then until the first step begins.
    pub react: Dist,
    /// What is done, one step after the other.
    pub steps: Vec<ReactionStep>,
    /// How many times it can start.
    pub times: u32,
    /// Whether it stops when the rule that started it fires no more.
    pub stops: bool,
}

/// A step of a reaction.
#[derive(Clone, Debug)]
pub struct ReactionStep {
    /// The time that it takes before it works.
    pub after: Dist,
    /// What happens.
    pub what: What,
    /// When the fault that it begins ends; `None` if it is no fault or lasts to the end of the run.
    pub lasts: Option<SimDuration>,
}

/// What starts a reaction.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// A rule begins to fire.
    Fires(u32),
    /// A rule fires no more.
    Resolved(u32),
    /// A fault begins.
    Began(u32),
    /// A fault ends.
    Ended(u32),
    /// A state changes: what, and the numbers of the instances, balancers, layers or autoscalers that it may be of.
    Seen(Sight, Vec<u32>),
}

/// A change of state that something may react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// An instance was killed by a fault.
    Crashed,
    /// An instance ran out of memory.
    OutOfMemory,
    /// A balancer believes a target unhealthy.
    TargetUnhealthy,
    /// A balancer sends to all, as it believes no target healthy.
    FailedOpen,
    /// A breaker around calls of an instance opened.
    BreakerOpened,
    /// Another server has taken over from a lost one.
    FailedOver,
    /// A probe has failed, and the instance is killed.
    ProbeFailed,
    /// An instance answers again, or for the first time.
    Up,
    /// An autoscaler changed the number of instances.
    Scaled,
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
    /// Settings change, by number of the change.
    Settings(u32),
    /// Another server takes over from a database's primary.
    FailOver(u32),
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
    /// A deployment begins: a number in [`Script::deployments`].
    Deploy(u32),
    /// An operator brings back the version of a group that ran before.
    RollBack(u32),
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
    /// Changes settings, and changes them back.
    Settings {
        /// The change when it begins.
        begin: u32,
        /// The change when it ends.
        end: u32,
    },
    /// Takes spot instances back.
    Reclaim(Reclaim),
    /// Multiplies a client population's rate.
    Spike {
        /// The population.
        client: u32,
        /// The factor.
        factor: f64,
    },
    /// Strikes what passes between components, or how a dependency answers.
    Net(NetFault),
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

/// Spot instances that are taken back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reclaim {
    /// The group.
    pub group: u32,
    /// The share of its spot instances, rounded up.
    pub share: f64,
    /// At most so many.
    pub most: u32,
    /// Only those in this zone: a number in the model's list.
    pub zone: Option<u32>,
    /// From the notice to the end.
    pub notice: SimDuration,
    /// For how long, from the notice on, there are no others.
    pub unavailable: SimDuration,
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

/// A deployment of a version of a group.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The group.
    pub group: u32,
    /// Which of [`crate::model::Model::versions`] is to run.
    pub version: u16,
    /// How it takes the place of the one that runs.
    pub strategy: Strategy,
    /// How long a new instance must be ready before it counts as available.
    pub min_ready: SimDuration,
    /// How long there may be no progress.
    pub progress_deadline: SimDuration,
    /// What has the version before brought back.
    pub rollback: Vec<RollbackRule>,
    /// Whether balancers must believe an instance healthy before it counts as ready.
    pub gates: bool,
}

/// How a version takes the place of another.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// Instance by instance.
    Rolling {
        /// How many more instances there may be.
        surge: Amount,
        /// How many may be missing.
        unavailable: Amount,
    },
    /// All old instances end first.
    Recreate,
    /// A second fleet, then all traffic at once.
    BlueGreen {
        /// How long the new fleet must be available before the switch.
        auto_promotion: SimDuration,
        /// What is looked at after the switch.
        analysis: Option<AnalysisPlan>,
        /// How long the fleet without traffic is kept.
        keep: SimDuration,
    },
    /// Step by step.
    Canary {
        /// The steps.
        steps: Vec<CanaryStep>,
        /// Whether requests are shared out by weight; otherwise by the number of instances.
        by_weight: bool,
        /// How many more instances there may be, if not by weight.
        surge: Amount,
        /// How many may be missing, if not by weight.
        unavailable: Amount,
        /// How long the fleet without traffic is kept, if by weight.
        keep: SimDuration,
    },
}

/// A step of a canary.
#[derive(Clone, Debug)]
pub enum CanaryStep {
    /// Such a share of the requests.
    Weight(f64),
    /// Nothing for so long.
    Pause(SimDuration),
    /// A look at what the new version does.
    Analysis(AnalysisPlan),
}

/// What an analysis looks at, and how often.
#[derive(Clone, Copy, Debug)]
pub struct AnalysisPlan {
    /// From one measurement to the next.
    pub interval: SimDuration,
    /// The limits.
    pub config: AnalysisConfig,
    /// The quantile of latency, from 0 to 1.
    pub quantile: f64,
}

/// What has the version before brought back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RollbackRule {
    /// There was no progress for too long.
    OnDeadline,
    /// So many restarts of containers of the new version.
    OnRestarts(u32),
    /// Too large a share of failed requests.
    OnErrors {
        /// More than this.
        above: f64,
        /// In a window of this length.
        window: SimDuration,
        /// Of so many requests at least.
        min_requests: u32,
    },
}
