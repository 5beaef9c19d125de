//! The specification compiled: dense ids, programs as flat step lists, policies as flat layer lists.
//!
//! A [`Model`] is immutable, total and shared by all runs. It holds one or more [`Epoch`]s: the settings at the
//! start, and those after each `Set` on the timeline. Programs, routes and layers of all epochs lie in the same
//! tables, so a request that began under one epoch ends under it, while new ones see the new settings.
//! Strings stop here: beyond the model there are ids, and names come back through the [`catalog::Catalog`].

pub mod autoscaler;
pub mod balancers;
pub mod catalog;
pub mod compile;
pub mod cost;
pub mod keys;
pub mod layers;
pub mod life;
pub mod profile;
pub mod runtime;
pub mod sites;
pub mod versions;
use balancers::{CheckRule, Product};
pub mod queues;

use crate::base::count::Count;
use crate::base::dist::Dist;
use crate::base::{SimDuration, SimTime};
use crate::components::balancer::zone_aware::ZoneAware;
use crate::components::balancer::{PolicyConfig, SlowStartConfig};
use crate::components::concurrency::LimiterConfig;
use crate::components::cpu::CpuDiscipline;
use crate::components::health::{HealthConfig, TargetHealth};
use crate::components::lambda::LambdaConfig;
use crate::components::queue::QueueConfig;
use crate::components::replication::FailoverConfig;
use crate::components::shedding::ShedThreshold;
use crate::components::volume::VolumeConfig;
pub use autoscaler::{Autoscaler, Measure};
use catalog::Catalog;
use keys::Keys;
pub use layers::{
    Connect, DnsLookup, FallbackOption, HedgeDelay, Layer, LayerKind, Sessions, SlotCounts, SlotUse,
};
use profile::{Factor, Profile};
use queues::{QueueSettings, QueueShape};
use sites::{SiteSettings, SiteShape};
use std::ops::Range;
use versions::VersionShape;

/// A compiled system.
#[derive(Debug)]
pub struct Model {
    /// What the system is called.
    pub name: String,
    /// Client populations, in order of name.
    pub clients: Vec<ClientShape>,
    /// Balancers, in order of name.
    pub balancers: Vec<BalancerShape>,
    /// Services, then databases, then externals, each in order of name.
    pub groups: Vec<GroupShape>,
    /// All endpoints of all groups.
    pub endpoints: Vec<EndpointShape>,
    /// Who calls whom through which policy.
    pub edges: Vec<EdgeShape>,
    /// Autoscalers, in order of name.
    pub autoscalers: Vec<AutoscalerShape>,
    /// Locks of all groups.
    pub locks: Vec<LockShape>,
    /// Instances of all groups together.
    pub instances: u32,
    /// The steps of all programs of all epochs.
    pub steps: Vec<Step>,
    /// The ways to go on of all `Choose` steps: cumulative weight and first step.
    pub ways: Vec<(f64, u32)>,
    /// The first steps of the branches of all `Parallel` steps.
    pub branches: Vec<u32>,
    /// All calls of all programs.
    pub routes: Vec<Route>,
    /// The layers of all policy stacks.
    pub layers: Vec<Layer>,
    /// How many states of each kind the layers keep.
    pub slots: SlotCounts,
    /// The settings at the start and after each change.
    pub epochs: Vec<Epoch>,
    /// Every metric, with its path, unit and meaning.
    pub catalog: Catalog,
    /// The names of all zones, in order.
    pub zones: Vec<String>,
    /// Message queues, in order of name.
    pub queues: Vec<QueueShape>,
    /// Names that lead to regions, in order of name.
    pub sites: Vec<SiteShape>,
    /// Versions of the services that are deployed, by service; of each the one at the start comes first.
    pub versions: Vec<VersionShape>,
    /// What everything costs.
    pub costs: cost::Costs,
}

/// A client population, as far as it never changes during a run.
#[derive(Clone, Debug)]
pub struct ClientShape {
    /// Its name.
    pub name: String,
    /// Names of its requests, `component/endpoint`, in order of name.
    pub requests: Vec<String>,
    /// Names of its tenants, in order of name.
    pub tenants: Vec<String>,
    /// The number of each of them among the tenants of all populations, from 1; 0 is for no tenant.
    pub tenant_numbers: Vec<u8>,
}

/// A balancer, as far as it never changes.
#[derive(Clone, Debug)]
pub struct BalancerShape {
    /// Its name.
    pub name: String,
    /// The group it balances.
    pub group: u32,
}

/// No group of instances.
pub const NO_GROUP: u32 = u32::MAX;

/// An autoscaler, as far as it never changes.
#[derive(Clone, Debug)]
pub struct AutoscalerShape {
    /// Its name.
    pub name: String,
    /// The group it scales: a service; `NO_GROUP` if it has nodes instead.
    pub group: u32,
    /// The groups whose pods run on its nodes.
    pub pods: Vec<u32>,
}

/// A lock: each instance of the group has a table of its own.
#[derive(Clone, Debug)]
pub struct LockShape {
    /// Its name.
    pub name: String,
    /// The group whose programs use it.
    pub group: u32,
}

/// What a group of instances is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupKind {
    /// A service that runs in replicas.
    Service,
    /// A database: one instance with a limit on connections.
    Database,
    /// A dependency outside the system: one instance that takes any load.
    External,
}

/// A group of instances, as far as it never changes.
#[derive(Clone, Debug)]
pub struct GroupShape {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: GroupKind,
    /// The first of its instances.
    pub first: u32,
    /// The most instances it ever has.
    pub capacity: u32,
    /// Its endpoints, a range of [`Model::endpoints`].
    pub endpoints: Range<u32>,
    /// What each instance costs per hour; of an external, what each request costs.
    pub price: f64,
    /// Whether its instances have different data: a call goes where its key leads.
    pub is_sharded: bool,
    /// The group whose writes its instances apply.
    pub replicates: Option<u32>,
    /// The zones over which its instances are spread, one after the other: numbers in [`Model::zones`]; empty if zones
    /// do not matter.
    pub zones: Vec<u32>,
}

impl GroupShape {
    /// The zone of one of its instances, counted within the group: a number in [`Model::zones`].
    pub fn zone_of(&self, target: u32) -> Option<u32> {
        self.zones.get((target as usize).checked_rem(self.zones.len())?).copied()
    }
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct EndpointShape {
    /// Its name.
    pub name: String,
    /// The group it belongs to.
    pub group: u32,
}

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Caller {
    /// A client population.
    Client(u32),
    /// A service.
    Group(u32),
}

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Callee {
    /// Through a balancer.
    Balancer(u32),
    /// A group, one instance after the other among those that are up.
    Group(u32),
}

/// A caller, a callee and the policy between them.
#[derive(Clone, Debug)]
pub struct EdgeShape {
    /// Who calls.
    pub caller: Caller,
    /// What is called.
    pub callee: Callee,
    /// The name of the policy; empty if there is none.
    pub policy: String,
}

/// A call that some program makes.
#[derive(Clone, Debug)]
pub struct Route {
    /// What is called.
    pub callee: Callee,
    /// The endpoint there.
    pub endpoint: u32,
    /// The policy stack, outermost layer first: a range of [`Model::layers`].
    pub layers: Range<u32>,
    /// The edge it belongs to.
    pub edge: u32,
    /// The red of that edge, which each call moves, known when the catalog is.
    pub red: u32,
    /// Its counter of attempts, likewise.
    pub attempts: u32,
    /// The salt of its random numbers.
    pub salt: u64,
}

/// A time to be drawn.
#[derive(Clone, Debug)]
pub struct Draw {
    /// From what.
    pub dist: Dist,
    /// The salt of its random numbers.
    pub salt: u64,
}

/// A step of a program. Its kind is a byte of its own: hidden in the distribution of a draw, it would take ten
/// instructions to find at every step.
#[derive(Clone, Debug)]
#[repr(u8)]
pub enum Step {
    /// Uses the CPU.
    Work(Draw),
    /// Waits without the CPU.
    Wait(Draw),
    /// Calls and waits for the answer.
    Call(u32),
    /// Runs branches at once; goes on when `need` of them have succeeded.
    Parallel {
        /// A range of [`Model::branches`].
        branches: Range<u32>,
        /// How many must succeed.
        need: u32,
        /// The salt of the branches' random numbers.
        salt: u64,
    },
    /// Goes on at one of several steps.
    Choose {
        /// A range of [`Model::ways`].
        ways: Range<u32>,
        /// The salt of the choice.
        salt: u64,
    },
    /// Runs a program several times.
    Repeat {
        /// Its first step.
        body: u32,
        /// How often.
        times: u32,
        /// The salt of the repetitions' random numbers.
        salt: u64,
    },
    /// Runs a program that may fail.
    Optional {
        /// Its first step.
        body: u32,
        /// The salt of its random numbers.
        salt: u64,
    },
    /// Takes memory, in bytes, until the request ends.
    Hold(u64),
    /// Runs a program again and again while chance will have it.
    While {
        /// Its first step.
        body: u32,
        /// The chance of a round, below 1.
        chance: f64,
        /// The salt of the rounds' random numbers.
        salt: u64,
    },
    /// Fails with a probability.
    Fail {
        /// How often.
        ratio: f64,
        /// The salt of the draw.
        salt: u64,
    },
    /// Reads or writes, and waits for it.
    Io {
        /// How many operations, and the salt of the draw.
        operations: (Count, u64),
        /// The bytes of each.
        bytes: u64,
    },
    /// Runs a program under a lock.
    Lock {
        /// Which: an index into [`Model::locks`].
        lock: u32,
        /// How many rows there are.
        rows: u32,
        /// Its first step.
        body: u32,
        /// The salt of the row and of the program's random numbers.
        salt: u64,
    },
    /// Puts a message into a queue.
    Publish {
        /// The queue.
        queue: u32,
        /// The salt of the message's random numbers.
        salt: u64,
    },
    /// Goes on elsewhere.
    Jump(u32),
    /// The end of a program.
    End,
}

/// All settings from one moment on.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Client populations.
    pub clients: Vec<Client>,
    /// Balancers.
    pub balancers: Vec<Balancer>,
    /// Groups.
    pub groups: Vec<Group>,
    /// The first step of each endpoint's program.
    pub programs: Vec<u32>,
    /// The layers with state.
    pub slots: Vec<SlotUse>,
    /// Autoscalers.
    pub autoscalers: Vec<Autoscaler>,
    /// Message queues.
    pub queues: Vec<QueueSettings>,
    /// Sites.
    pub sites: Vec<SiteSettings>,
}

/// When a population sends requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// A Poisson process of so many per second.
    Poisson(f64),
    /// At equal distances, so many per second.
    Regular(f64),
    /// At random distances.
    Renewal(Dist),
    /// A Poisson process whose rate jumps: rates per second and mean seconds.
    Mmpp(Vec<(f64, f64)>),
    /// At recorded moments.
    Times(Vec<SimTime>),
    /// A Poisson process whose rate moves along straight lines between (seconds, per second).
    Rates(Vec<(f64, f64)>),
    /// Users who think between an answer and the next request.
    Users {
        /// How many.
        count: u32,
        /// How long each thinks.
        think: Dist,
    },
    /// A Poisson process of so many batches per second.
    Batches {
        /// Batches per second.
        rate: f64,
        /// Requests of a batch.
        size: Count,
    },
}

/// A client population's settings.
#[derive(Clone, Debug)]
pub struct Client {
    /// When it sends.
    pub arrivals: Arrivals,
    /// How that changes over time.
    pub profile: Profile,
    /// Cumulative weight and route of each request of the mix.
    pub mix: Vec<(f64, u32)>,
    /// Of each request that asks for a site: the site, and the route to each of its regions; empty if none does.
    pub sites: Vec<Option<(u32, Vec<u32>)>>,
    /// What its requests ask for.
    pub keys: Option<Keys>,
    /// Cumulative share and priority of each tenant.
    pub tenants: Vec<(f64, u8)>,
    /// The priority without tenants.
    pub priority: u8,
}

/// A balancer's settings.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// How it chooses.
    pub policy: PolicyConfig,
    /// Weights of the targets; empty for equal ones.
    pub weights: Vec<u32>,
    /// How it checks health.
    pub check: Option<HealthCheck>,
    /// Whether it sends to all targets when it believes none healthy.
    pub fail_open: bool,
    /// How long a target that is taken out may finish.
    pub deregistration_delay: SimDuration,
    /// How long it waits for an answer.
    pub idle_timeout: Option<SimDuration>,
    /// Whose it is.
    pub product: Product,
    /// How targets get their share.
    pub slow_start: Option<SlowStartConfig>,
    /// How long a session without requests is remembered; `None` if there are no sessions.
    pub stickiness: Option<SimDuration>,
    /// Whether zones matter.
    pub zone_routing: ZoneRouting,
}

/// Whether a balancer minds zones.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ZoneRouting {
    /// It does not.
    CrossZone,
    /// Each zone has a node that chooses among the targets of its zone.
    WithinZone,
    /// Callers prefer their own zone, as with Envoy.
    ZoneAware(ZoneAware),
}

/// How a balancer checks health.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// The endpoint that is asked.
    pub endpoint: u32,
    /// From one check to the next.
    pub interval: SimDuration,
    /// The longest wait.
    pub timeout: SimDuration,
    /// How many in a row.
    pub thresholds: HealthConfig,
    /// What is believed at the start.
    pub initial: TargetHealth,
    /// What makes one believe, and when the next check is.
    pub rule: CheckRule,
}

/// A group's settings.
#[derive(Clone, Debug)]
pub struct Group {
    /// Instances that should run.
    pub replicas: u32,
    /// Where the number of replicas was written: source and place. A change that names them differs in it, even if it
    /// names the number that there is.
    pub replicas_said: (u32, u32),
    /// Requests each executes at once.
    pub workers: Option<u32>,
    /// Where requests wait for a worker.
    pub queue: QueueConfig,
    /// How many bytes each request has, if bytes are limited, and the salt of the draw.
    pub queue_bytes: Option<(Count, u64)>,
    /// How long after it came a request of each endpoint is due; empty where that does not matter.
    pub queue_deadlines: Vec<SimDuration>,
    /// The salt of whom the queue turns away by chance.
    pub queue_salt: u64,
    /// The longest wait for a worker, drawn for each request.
    pub queue_wait_max: Option<Draw>,
    /// Cores of each instance, as far as it may use them; `None` for one core for everyone.
    pub cores: Option<f64>,
    /// How work shares them.
    pub cpu_discipline: CpuDiscipline,
    /// The memory of each instance.
    pub memory: Option<Memory>,
    /// How long an instance works on a request.
    pub request_timeout: Option<SimDuration>,
    /// From a kill to the start of the new process.
    pub restart_delay: Dist,
    /// From the start of the process until it answers.
    pub start_up: Dist,
    /// The most connections (databases), reserved ones left out.
    pub connections_max: Option<u32>,
    /// The most requests in flight (externals).
    pub in_flight_max: Option<u32>,
    /// Probes, restarts, termination (services).
    pub life: life::Life,
    /// What processes run in (services).
    pub runtime: runtime::Runtime,
    /// The work for each new connection (databases).
    pub connect_cost: Option<Draw>,
    /// The most clients of the proxy in front (databases).
    pub clients_max: Option<u32>,
    /// The wait that those rejected are told (externals).
    pub retry_after: Option<SimDuration>,
    /// The limit at the door of each instance (services).
    pub admission: Option<LimiterConfig>,
    /// The limits of a function, and the time to initialise an environment (services).
    pub lambda: Option<(LambdaConfig, Draw)>,
    /// The longest wait for a lock.
    pub lock_timeout: Option<SimDuration>,
    /// What `Io` steps are served by.
    pub volume: Option<VolumeConfig>,
    /// Which endpoints write; empty if none does.
    pub writes: Vec<bool>,
    /// How writes come to a replica and how long one takes to be applied.
    pub replication: Option<(Draw, Draw)>,
    /// What happens when its server is lost.
    pub failover: Option<Failover>,
    /// Gunther's sigma and kappa.
    pub contention: (f64, f64),
    /// When requests of low priority are turned away there (services).
    pub shedding: Option<ShedSettings>,
}

/// How a database fails over.
#[derive(Clone, Debug)]
pub struct Failover {
    /// Who decides, and when.
    pub config: FailoverConfig,
    /// How long the promotion takes.
    pub promote: Draw,
    /// Whether a write that no replica has received is lost.
    pub loses_writes: bool,
    /// Whether a read replica takes over; otherwise a standby does.
    pub takes_replica: bool,
    /// From one backup to the next, where the new server is restored from the last.
    pub backup: Option<SimDuration>,
}

/// What shedding by priority looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedSignal {
    /// Requests that wait for a worker.
    Queue,
    /// The share of workers that are busy.
    Busy,
}

/// Shedding by priority.
#[derive(Clone, Debug, PartialEq)]
pub struct ShedSettings {
    /// By what.
    pub signal: ShedSignal,
    /// When, whom.
    pub thresholds: Vec<ShedThreshold>,
}

/// The memory of an instance, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Beyond this it is killed.
    pub limit: u64,
    /// Without requests.
    pub base: u64,
    /// For each request.
    pub per_request: u64,
}

impl Model {
    /// Multiplies the load of all client populations: rates, the speed at which records are played, and the number of
    /// users. The requests of a population are the same ones in the same order, only closer together.
    pub fn scale_load(&mut self, factor: f64) {
        for client in self.epochs.iter_mut().flat_map(|epoch| &mut epoch.clients) {
            match &mut client.arrivals {
                Arrivals::Poisson(rate) | Arrivals::Regular(rate) | Arrivals::Batches { rate, .. } => {
                    *rate *= factor
                }
                Arrivals::Mmpp(points) => points.iter_mut().for_each(|(rate, _)| *rate *= factor),
                Arrivals::Rates(points) => points.iter_mut().for_each(|(_, rate)| *rate *= factor),
                Arrivals::Users { count, .. } => *count = (f64::from(*count) * factor + 0.5) as u32,
                Arrivals::Renewal(_) | Arrivals::Times(_) if factor != 1.0 => {
                    client.profile.factors.push(Factor::Steps(vec![(0.0, factor)]));
                }
                Arrivals::Renewal(_) | Arrivals::Times(_) => {}
            }
        }
    }

    /// The group a callee leads to.
    pub fn callee_group(&self, callee: Callee) -> u32 {
        match callee {
            Callee::Balancer(b) => self.balancers[b as usize].group,
            Callee::Group(g) => g,
        }
    }

    /// The name of an instance, such as `api.3`; of a group with one instance, its name alone.
    pub fn instance_name(&self, instance: u32) -> String {
        let group = self.groups.iter().rfind(|g| g.first <= instance);
        match group {
            Some(g) if g.kind == GroupKind::Service || g.capacity > 1 => {
                format!("{}.{}", g.name, instance - g.first)
            }
            Some(g) => g.name.clone(),
            None => String::new(),
        }
    }

    /// The name of a caller.
    pub fn caller_name(&self, caller: Caller) -> &str {
        match caller {
            Caller::Client(c) => &self.clients[c as usize].name,
            Caller::Group(g) => &self.groups[g as usize].name,
        }
    }

    /// The name of a callee.
    pub fn callee_name(&self, callee: Callee) -> &str {
        match callee {
            Callee::Balancer(b) => &self.balancers[b as usize].name,
            Callee::Group(g) => &self.groups[g as usize].name,
        }
    }
}
