//! What happens to a system: faults, and what operators do.

use super::decode::Anything;
use super::dist::Distribution;
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
        /// The service, database or external dependency.
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
    }
}
record! {
    /// Makes a component answer with errors, at once.
    pub struct Errors {
        /// The service, database or external dependency.
        target: Spanned<String>,
        /// The share of requests.
        ratio: Ratio = 1,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Stops instances without closing their connections: requests are taken and not worked on.
    pub struct Hang {
        /// The service, database or external dependency.
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
            Self::Set(_) | Self::Restart(_) | Self::KillQueries(_) => return None,
        };
        Some(FaultView {
            name: name.as_deref().unwrap_or(&target.value),
            target,
            lasts: if instant { Some(Seconds(0.0)) } else { lasts },
        })
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
