//! Faults of zones, machines, processes, connections, caches, replicas, queues and clients.

use super::dist::Distribution;
use super::fault::Instances;
use super::quantity::{Ratio, Seconds, Size};
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// The instances in a zone, as the service's or database's `zones` place them.
    pub struct InZone [zone] as "Instances in a zone" {
        /// The zone.
        zone: Spanned<String>,
    }
}

choice! {
    /// How a zone is lost.
    pub enum ZoneLoss {
        /// The machines are gone: requests fail, instances are killed and start again when the zone is back.
        Power,
        /// Only the network is: instances keep what they have, answer nobody, and go on where they were when the zone
        /// is back.
        Network,
    }
}

record! {
    /// Takes away a zone: every instance of a service or database in it, at once, and those that are placed there
    /// meanwhile. More replicas that are asked for meanwhile take places in other zones, as far as there are any.
    pub struct ZoneDown {
        /// The zone.
        zone: Spanned<String>,
        /// How.
        how: ZoneLoss = Power,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; the zone if not given.
        name: Option<String> = None,
    }
}

record! {
    /// An operator drains a zone, as a zonal shift does (Amazon Application Recovery Controller): balancers and direct
    /// calls send nothing new to instances in it, and requests that run there finish. Instances go on running.
    pub struct DrainZone [zone] {
        /// The zone.
        zone: Spanned<String>,
    }
}

record! {
    /// An operator ends the draining of a zone. Balancers have yet to check its instances.
    pub struct RestoreZone [zone] {
        /// The zone.
        zone: Spanned<String>,
    }
}

record! {
    /// A noisy neighbour: a share of the CPU time is not there, as `steal` in `/proc/stat` shows it. Work that runs
    /// slows down at once, waits do not. The metric `services.NAME.cpu_stolen` (`databases.NAME…`) shows the share,
    /// over all running instances.
    pub struct CpuSteal {
        /// The service or database.
        target: Spanned<String>,
        /// The share of CPU time that is stolen, less than all of it.
        share: Ratio,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// Makes the storage of a database slow: operations and bytes take so many times as long, its line included.
    pub struct DiskSlow {
        /// The database, which must have `storage`.
        target: Spanned<String>,
        /// Multiplies the time of each operation.
        factor: f64,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// Uses up all credits of a database's storage at once. They accrue again at the baseline, as ever.
    pub struct OutOfIoCredits {
        /// The database, whose `storage` must have credits (`Gp2`).
        target: Spanned<String>,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// Processes begin to leak memory, second by second, whatever they do. What has leaked stays until the process
    /// ends; beyond its limit it is killed.
    pub struct MemoryLeak {
        /// The service, which must have `memory`.
        target: Spanned<String>,
        /// How much each leaks in a second.
        rate: Size,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// Over this time the rate grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// Stop-the-world pauses, again and again: a process stands still, takes requests and answers none. Each instance
    /// has its own phase.
    pub struct GcStorm {
        /// The service or database.
        target: Spanned<String>,
        /// How long a pause is.
        pause: Distribution,
        /// From the start of one pause to the start of the next; one that would begin within another is left out.
        every: Seconds,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// Connections that are lent by pools and never given back: each time that passes, one of the pools between caller
    /// and callee, chosen at random, loses the next connection that it should get back. It stays lent until the
    /// calling process ends; for clients, for ever.
    pub struct ConnectionLeak {
        /// The calling service or client population.
        target: Spanned<String>,
        /// What it calls through a pool: a service, database or external dependency.
        to: Spanned<String>,
        /// From one lost connection to the next, over all pools together.
        every: Seconds,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// Empties caches at once. Who fetches goes on fetching.
    pub struct CacheFlush {
        /// The caches: the name of the policy with the `Cache` layer, wherever it is used; or one edge as metrics name
        /// it, such as `services.api.calls.db`.
        target: Spanned<String>,
        /// What to call the fault; its target if not given, which is then a policy: an edge's path is no name.
        name: Option<String> = None,
    }
}

record! {
    /// Caches are away and come back empty: meanwhile calls go past them, count as misses, and nothing is kept.
    pub struct CacheRestart {
        /// The caches: the name of the policy with the `Cache` layer, wherever it is used; or one edge as metrics name
        /// it, such as `services.api.calls.db`.
        target: Spanned<String>,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given, which is then a policy: an edge's path is no name.
        name: Option<String> = None,
    }
}

record! {
    /// Writes take longer to reach replicas.
    pub struct ReplicaLag {
        /// The database of the replicas: one with `replication`.
        target: Spanned<String>,
        /// What is added to the way of each write.
        lag: Seconds,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// The server that is written to is lost. Who takes over, and when, its `failover` says; the lost server comes back
    /// at the end.
    pub struct PrimaryLoss {
        /// The database, which must have a `failover`.
        target: Spanned<String>,
        /// For how long the server is away; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// The next messages that a queue takes are poisoned: whoever handles one does all its work and fails, at each
    /// attempt, until it is a dead letter, or for ever.
    pub struct PoisonedMessage {
        /// The queue.
        target: Spanned<String>,
        /// How many messages.
        count: u32 = 1,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// One tenant's requests multiply; those of the others stay as many as they were.
    pub struct TenantSpike {
        /// The client population.
        target: Spanned<String>,
        /// The tenant.
        tenant: Spanned<String>,
        /// Multiplies the tenant's requests.
        factor: f64,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// All connections to a component break at once, as when a firewall or a proxy is restarted: what runs there fails,
    /// pools have to connect anew, and the server lives on. Health checks are not struck.
    pub struct DropConnections {
        /// The service or database.
        target: Spanned<String>,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// A thundering herd: all users who think ask at once, as after their connections broke.
    pub struct Reconnect {
        /// The client population, which must have `Users`.
        target: Spanned<String>,
        /// Each asks at a moment of its own within this time.
        within: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

record! {
    /// A burst by the clock, as of cron: so many extra requests at each multiple of a time, counted from the start of
    /// the run.
    pub struct Burst {
        /// The client population whose requests they are.
        target: Spanned<String>,
        /// From one burst to the next.
        every: Seconds,
        /// How many requests a burst has.
        requests: u32,
        /// Each comes at a moment of its own within this time.
        within: Seconds = "0s",
        /// For how long there are bursts; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

choice! {
    /// When instances are recycled for the first time.
    pub enum RecycleOrder {
        /// Each at a moment of its own, at random within `every`.
        Random,
        /// One after another, at equal distances within `every`.
        InTurn,
    }
}

record! {
    /// Process recycling: each instance is restarted again and again on a schedule, by its `termination` if it has one.
    /// Heroku restarts each dyno every 24 hours plus up to 216 minutes at random (Dev Center, "Dyno management").
    pub struct Recycle {
        /// The service.
        target: Spanned<String>,
        /// How long an instance runs between restarts.
        every: Seconds = "24h",
        /// What is added to that, drawn anew for each restart.
        jitter: Distribution = "0s",
        /// When each is restarted for the first time.
        order: RecycleOrder = Random,
        /// For how long there are restarts; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
