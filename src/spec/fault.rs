//! What happens to a system: faults, and what operators do.

use super::decode::{Anything, Map};
use super::deployment::{Deploy, RollBack};
use super::dist::Distribution;
use super::quantity::{Ratio, Seconds};
use super::source::{Span, Spanned};
use crate::{choice, record};

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
