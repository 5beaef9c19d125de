//! What happens to a system: faults, and what operators do.

use super::decode::{Anything, Map};
use super::deployment::{Deploy, RollBack};
use super::dist::Distribution;
use super::fault_instances::{
    Burst, CacheFlush, CacheRestart, ConnectionLeak, CpuSteal, DiskSlow, DrainZone, DropConnections, GcStorm,
    InZone, MemoryLeak, OutOfIoCredits, PoisonedMessage, PrimaryLoss, Reconnect, Recycle, ReplicaLag,
    RestoreZone, TenantSpike, ZoneDown,
};
use super::quantity::{Ratio, Seconds};
use super::source::{Span, Spanned};
use crate::{choice, record};

pub mod network;
use network::{
    CertificateExpiry, DnsFailure, FullConnectionTable, LatencyFault, LossFault, Partition, ResetsFault,
    SlowClients, Throttling, WrongAnswers,
};

choice! {
    /// Which instances are struck.
    pub enum Instances {
        /// All of them.
        All,
        /// Some, chosen at random.
        Number(Number),
        /// A share, chosen at random, rounded up.
        Share(Share),
        /// Those that some balancer believes unhealthy.
        Unhealthy,
        /// Those in a zone, and those that are placed there meanwhile.
        Zone(InZone),
    }
}
record! {
    /// A number of instances, chosen at random.
    pub struct Number [count] {
        /// How many.
        count: u32,
    }
}
record! {
    /// A share of the instances, chosen at random, rounded up.
    pub struct Share [ratio] {
        /// Which share.
        ratio: Ratio,
    }
}

record! {
    /// Makes a component slow. Requests that it has begun on are not touched.
    pub struct Slow {
        /// The service, database or external dependency; or the message queue, of which publishers then wait for their
        /// confirmations and consumers for their messages so much longer.
        target: Spanned<String>,
        /// Multiplies the time of each `Work` and `Wait`, and an external's latency.
        factor: Option<f64> = None,
        /// Replaces an external's latency; a service or database waits this long before each request.
        latency: Option<Distribution> = None,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
    }
}
record! {
    /// Makes a component answer with errors, at once.
    pub struct Errors {
        /// The service, database or external dependency; or the message queue, whose broker then refuses that share of
        /// what is published.
        target: Spanned<String>,
        /// The share of requests.
        ratio: Ratio = 1,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
    }
}
record! {
    /// Stops instances without closing their connections: requests are taken and not worked on.
    pub struct Hang {
        /// The service, database or external dependency; or the message queue, whose publishers then wait as long as
        /// they have patience.
        target: Spanned<String>,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Kills instances: their requests fail, and they start again after restart delay and start-up time.
    pub struct Crash {
        /// The service or database.
        target: Spanned<String>,
        /// Which instances.
        instances: Instances = All,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Takes a component away: its requests fail, and new ones are refused until it is back.
    pub struct Down {
        /// The service, database or external dependency; or the message queue, whose broker then cannot be reached.
        target: Spanned<String>,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Multiplies a client population's rate, or its number of users.
    pub struct TrafficSpike as "Traffic spike" {
        /// The client population.
        target: Spanned<String>,
        /// The factor.
        factor: f64,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
        /// Over this time the effect grows in steps of at most a second, and over this time it shrinks before the end.
        ramp: Seconds = "0s",
    }
}
record! {
    /// An operator changes a setting. Requests that have begun go on under the old one.
    pub struct Set [path, value] {
        /// The setting, such as `balancers.alb.health_check.endpoint`.
        path: Spanned<String>,
        /// Its new value.
        value: Anything,
    }
}
record! {
    /// An operator restarts instances: their requests fail, and they are back after restart delay and start-up
    /// time.
    pub struct Restart [target, instances] {
        /// The service or database.
        target: Spanned<String>,
        /// Which instances.
        instances: Instances = All,
    }
}

record! {
    /// An operator ends queries that have run for too long, as `pg_terminate_backend` does: they fail, and what they
    /// held is given back.
    pub struct KillQueries [target, longer_than] {
        /// The database.
        target: Spanned<String>,
        /// Queries that have been at it for at least so long, waiting for locks and disks included.
        longer_than: Seconds = "0s",
    }
}

record! {
    /// Undoes what has been set at a path during the run, and above and below it: the settings of the start are back
    /// there.
    pub struct Revert [path] {
        /// The setting.
        path: Spanned<String>,
    }
}

record! {
    /// A bad push: settings change all at once, and change back when the fault ends. Requests that have begun go on
    /// under the old ones.
    pub struct ConfigPush {
        /// What to call the fault.
        name: Spanned<String>,
        /// Settings by path.
        set: Map<Anything>,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
    }
}

record! {
    /// An operator has another server take over from the one that a database writes to. If that one answers, nothing
    /// is lost but the connections; if it is lost, the replica is promoted that has most of the writes.
    pub struct FailOver [target] as "Fail over" {
        /// The database.
        target: Spanned<String>,
    }
}

record! {
    /// Spot instances of a service are taken back: they get a notice, drain if their `purchase` says so, and are gone
    /// at its end. The fleet replaces them as its `purchase` says. It counts as over when the notice is, and capacity
    /// can be had again.
    pub struct SpotReclaim as "Spot reclaim" {
        /// The service.
        target: Spanned<String>,
        /// Which of its spot instances.
        instances: Instances = All,
        /// Only those in this zone.
        zone: Option<Spanned<String>> = None,
        /// The time from the notice to the end.
        notice: Seconds = "2m",
        /// For how long, from the notice on, no new spot instance can be had for this service.
        unavailable_for: Seconds = "0s",
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

choice! {
    /// A fault, or what an operator does.
    pub enum Action {
        /// Makes a component slow.
        Slow(Slow),
        /// Makes a component answer with errors.
        Errors(Errors),
        /// Stops instances without closing their connections.
        Hang(Hang),
        /// Kills instances.
        Crash(Crash),
        /// Takes a component away.
        Down(Down),
        /// More traffic.
        Spike(TrafficSpike),
        /// An operator changes a setting.
        Set(Set),
        /// An operator restarts instances.
        Restart(Restart),
        /// An operator ends queries.
        KillQueries(KillQueries),
        /// An operator undoes changes of settings.
        Revert(Revert),
        /// Settings change, and change back.
        ConfigPush(ConfigPush),
        /// An operator has another server take over.
        FailOver(FailOver),
        /// Another version of a service.
        Deploy(Deploy),
        /// An operator brings back the version before.
        RollBack(RollBack),
        /// Takes away a zone.
        ZoneDown(ZoneDown),
        /// An operator drains a zone.
        DrainZone(DrainZone),
        /// An operator ends the draining of a zone.
        RestoreZone(RestoreZone),
        /// Takes a share of the CPU time away.
        CpuSteal(CpuSteal),
        /// Makes storage slow.
        DiskSlow(DiskSlow),
        /// Uses up the credits of storage.
        OutOfIoCredits(OutOfIoCredits),
        /// Lets processes leak memory.
        MemoryLeak(MemoryLeak),
        /// Makes processes pause again and again.
        GcStorm(GcStorm),
        /// Lets connections of pools be lost.
        ConnectionLeak(ConnectionLeak),
        /// Empties caches.
        CacheFlush(CacheFlush),
        /// Takes caches away, which come back empty.
        CacheRestart(CacheRestart),
        /// Makes replicas lag.
        ReplicaLag(ReplicaLag),
        /// Takes a primary away.
        PrimaryLoss(PrimaryLoss),
        /// Poisons messages.
        PoisonedMessage(PoisonedMessage),
        /// More traffic of one tenant.
        TenantSpike(TenantSpike),
        /// Breaks all connections to a component.
        DropConnections(DropConnections),
        /// All users ask at once.
        Reconnect(Reconnect),
        /// Extra requests by the clock.
        Burst(Burst),
        /// Restarts instances on a schedule.
        Recycle(Recycle),
        /// Spot instances are taken back.
        SpotReclaim(SpotReclaim),
        /// Cuts two sides off from each other.
        Partition(Partition),
        /// Makes messages between components take longer.
        Latency(LatencyFault),
        /// Loses messages between components.
        Loss(LossFault),
        /// Resets connections.
        Resets(ResetsFault),
        /// Makes lookups of a name fail.
        DnsFailure(DnsFailure),
        /// Makes a component turn requests away with 429.
        Throttling(Throttling),
        /// Makes answers wrong that look right.
        WrongAnswers(WrongAnswers),
        /// Makes new TLS connections fail.
        CertificateExpiry(CertificateExpiry),
        /// Makes SYNs disappear while a table is full.
        FullConnectionTable(FullConnectionTable),
        /// Makes clients read slowly.
        SlowClients(SlowClients),
    }
}

impl Action {
    /// The fault's name, where it strikes and how long it lasts; `None` for what operators do.
    pub fn fault(&self) -> Option<FaultView<'_>> {
        let (name, target, lasts, instant) = match self {
            Self::Slow(f) => (&f.name, &f.target, f.lasts, false),
            Self::Errors(f) => (&f.name, &f.target, f.lasts, false),
            Self::Hang(f) => (&f.name, &f.target, f.lasts, false),
            Self::Down(f) => (&f.name, &f.target, f.lasts, false),
            Self::Spike(f) => (&f.name, &f.target, f.lasts, false),
            Self::Crash(f) => (&f.name, &f.target, None, true),
            Self::Partition(f) => (&f.name, &f.to, f.lasts, false),
            Self::Latency(f) => (&f.name, &f.to, f.lasts, false),
            Self::Loss(f) => (&f.name, &f.to, f.lasts, false),
            Self::Resets(f) => (&f.name, &f.to, f.lasts, false),
            Self::DnsFailure(f) => (&f.name, &f.target, f.lasts, false),
            Self::Throttling(f) => (&f.name, &f.target, f.lasts, false),
            Self::WrongAnswers(f) => (&f.name, &f.target, f.lasts, false),
            Self::CertificateExpiry(f) => (&f.name, &f.target, f.lasts, false),
            Self::FullConnectionTable(f) => (&f.name, &f.target, f.lasts, false),
            Self::SlowClients(f) => (&f.name, &f.target, f.lasts, false),
            Self::SpotReclaim(f) => {
                let lasts = Seconds(f.notice.0.max(f.unavailable_for.0));
                (&f.name, &f.target, Some(lasts), lasts.0 <= 0.0)
            }
            Self::ZoneDown(f) => (&f.name, &f.zone, f.lasts, false),
            Self::CpuSteal(f) => (&f.name, &f.target, f.lasts, false),
            Self::DiskSlow(f) => (&f.name, &f.target, f.lasts, false),
            Self::MemoryLeak(f) => (&f.name, &f.target, f.lasts, false),
            Self::GcStorm(f) => (&f.name, &f.target, f.lasts, false),
            Self::ConnectionLeak(f) => (&f.name, &f.target, f.lasts, false),
            Self::CacheRestart(f) => (&f.name, &f.target, f.lasts, false),
            Self::ReplicaLag(f) => (&f.name, &f.target, f.lasts, false),
            Self::PrimaryLoss(f) => (&f.name, &f.target, f.lasts, false),
            Self::TenantSpike(f) => (&f.name, &f.target, f.lasts, false),
            Self::Burst(f) => (&f.name, &f.target, f.lasts, false),
            Self::Recycle(f) => (&f.name, &f.target, f.lasts, false),
            Self::OutOfIoCredits(f) => (&f.name, &f.target, None, true),
            Self::CacheFlush(f) => (&f.name, &f.target, None, true),
            Self::PoisonedMessage(f) => (&f.name, &f.target, None, true),
            Self::DropConnections(f) => (&f.name, &f.target, None, true),
            Self::Reconnect(f) => (&f.name, &f.target, None, true),
            Self::DrainZone(_) | Self::RestoreZone(_) => return None,
            Self::ConfigPush(f) => {
                return Some(FaultView { name: &f.name.value, target: &f.name, lasts: f.lasts });
            }
            Self::Set(_) | Self::Restart(_) | Self::KillQueries(_) | Self::Revert(_) | Self::FailOver(_) => {
                return None;
            }
            Self::Deploy(_) | Self::RollBack(_) => return None,
        };
        Some(FaultView {
            name: name.as_deref().unwrap_or(&target.value),
            target,
            lasts: if instant { Some(Seconds(0.0)) } else { lasts },
        })
    }

    /// The time over which a fault's effect grows and shrinks; zero for those that strike at once.
    pub fn ramp(&self) -> Seconds {
        match self {
            Self::Slow(f) => f.ramp,
            Self::Errors(f) => f.ramp,
            Self::Spike(f) => f.ramp,
            Self::CpuSteal(f) => f.ramp,
            Self::DiskSlow(f) => f.ramp,
            Self::MemoryLeak(f) => f.ramp,
            Self::ReplicaLag(f) => f.ramp,
            Self::TenantSpike(f) => f.ramp,
            _ => Seconds(0.0),
        }
    }

    /// Whether it is a fault that strikes at one moment and does not last.
    pub fn is_instant(&self) -> bool {
        matches!(
            self,
            Self::Crash(_)
                | Self::OutOfIoCredits(_)
                | Self::CacheFlush(_)
                | Self::PoisonedMessage(_)
                | Self::DropConnections(_)
                | Self::Reconnect(_)
        )
    }

    /// Where a field of it was written, or the whole if it was not.
    pub fn place(&self, field: &str) -> Span {
        match self {
            Self::Slow(f) => f.place(field),
            Self::Errors(f) => f.place(field),
            Self::Hang(f) => f.place(field),
            Self::Crash(f) => f.place(field),
            Self::Down(f) => f.place(field),
            Self::Spike(f) => f.place(field),
            Self::Set(f) => f.place(field),
            Self::Restart(f) => f.place(field),
            Self::KillQueries(f) => f.place(field),
            Self::Revert(f) => f.place(field),
            Self::ConfigPush(f) => f.place(field),
            Self::FailOver(f) => f.place(field),
            Self::Deploy(f) => f.place(field),
            Self::RollBack(f) => f.place(field),
            Self::ZoneDown(f) => f.place(field),
            Self::DrainZone(f) => f.place(field),
            Self::RestoreZone(f) => f.place(field),
            Self::CpuSteal(f) => f.place(field),
            Self::DiskSlow(f) => f.place(field),
            Self::OutOfIoCredits(f) => f.place(field),
            Self::MemoryLeak(f) => f.place(field),
            Self::GcStorm(f) => f.place(field),
            Self::ConnectionLeak(f) => f.place(field),
            Self::CacheFlush(f) => f.place(field),
            Self::CacheRestart(f) => f.place(field),
            Self::ReplicaLag(f) => f.place(field),
            Self::PrimaryLoss(f) => f.place(field),
            Self::PoisonedMessage(f) => f.place(field),
            Self::TenantSpike(f) => f.place(field),
            Self::DropConnections(f) => f.place(field),
            Self::Reconnect(f) => f.place(field),
            Self::Burst(f) => f.place(field),
            Self::Recycle(f) => f.place(field),
            Self::SpotReclaim(f) => f.place(field),
            Self::Partition(f) => f.place(field),
            Self::Latency(f) => f.place(field),
            Self::Loss(f) => f.place(field),
            Self::Resets(f) => f.place(field),
            Self::DnsFailure(f) => f.place(field),
            Self::Throttling(f) => f.place(field),
            Self::WrongAnswers(f) => f.place(field),
            Self::CertificateExpiry(f) => f.place(field),
            Self::FullConnectionTable(f) => f.place(field),
            Self::SlowClients(f) => f.place(field),
        }
    }

    /// Where it was written.
    pub fn span(&self) -> Span {
        match self {
            Self::Slow(f) => f.span,
            Self::Errors(f) => f.span,
            Self::Hang(f) => f.span,
            Self::Crash(f) => f.span,
            Self::Down(f) => f.span,
            Self::Spike(f) => f.span,
            Self::Set(f) => f.span,
            Self::Restart(f) => f.span,
            Self::KillQueries(f) => f.span,
            Self::Revert(f) => f.span,
            Self::ConfigPush(f) => f.span,
            Self::FailOver(f) => f.span,
            Self::Deploy(f) => f.span,
            Self::RollBack(f) => f.span,
            Self::ZoneDown(f) => f.span,
            Self::DrainZone(f) => f.span,
            Self::RestoreZone(f) => f.span,
            Self::CpuSteal(f) => f.span,
            Self::DiskSlow(f) => f.span,
            Self::OutOfIoCredits(f) => f.span,
            Self::MemoryLeak(f) => f.span,
            Self::GcStorm(f) => f.span,
            Self::ConnectionLeak(f) => f.span,
            Self::CacheFlush(f) => f.span,
            Self::CacheRestart(f) => f.span,
            Self::ReplicaLag(f) => f.span,
            Self::PrimaryLoss(f) => f.span,
            Self::PoisonedMessage(f) => f.span,
            Self::TenantSpike(f) => f.span,
            Self::DropConnections(f) => f.span,
            Self::Reconnect(f) => f.span,
            Self::Burst(f) => f.span,
            Self::Recycle(f) => f.span,
            Self::SpotReclaim(f) => f.span,
            Self::Partition(f) => f.span,
            Self::Latency(f) => f.span,
            Self::Loss(f) => f.span,
            Self::Resets(f) => f.span,
            Self::DnsFailure(f) => f.span,
            Self::Throttling(f) => f.span,
            Self::WrongAnswers(f) => f.span,
            Self::CertificateExpiry(f) => f.span,
            Self::FullConnectionTable(f) => f.span,
            Self::SlowClients(f) => f.span,
        }
    }
}

/// What all faults have.
#[derive(Clone, Copy, Debug)]
pub struct FaultView<'a> {
    /// What it is called in `during(…)` and in reports.
    pub name: &'a str,
    /// The component it strikes.
    pub target: &'a Spanned<String>,
    /// How long it lasts; `None` to the end of the run.
    pub lasts: Option<Seconds>,
}
