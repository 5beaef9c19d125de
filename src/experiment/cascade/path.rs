//! What is kept of a cascade: who fell when, how it showed, and what carried it.

use serde::{Deserialize, Serialize};

/// How it shows that a component has fallen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sign {
    /// It is what was struck.
    Struck,
    /// Share of requests that fail.
    Errors,
    /// Requests in flight.
    Held,
    /// Mean latency in seconds.
    Latency,
    /// Requests that wait for a worker.
    Waiting,
    /// Share of workers that are busy.
    Workers,
    /// Share of CPU in use.
    Cpu,
    /// Calls that wait for a connection of a pool that has none left.
    Pool,
    /// Targets believed healthy.
    Health,
    /// Instances that run.
    Up,
    /// Instances killed for their memory.
    Memory,
    /// Messages not acknowledged.
    Backlog,
}

impl Sign {
    /// The word used in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Struck => "struck",
            Self::Errors => "errors",
            Self::Held => "held",
            Self::Latency => "latency",
            Self::Waiting => "waiting",
            Self::Workers => "workers",
            Self::Cpu => "cpu",
            Self::Pool => "pool",
            Self::Health => "health",
            Self::Up => "up",
            Self::Memory => "memory",
            Self::Backlog => "backlog",
        }
    }
}

/// A sign that showed in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Seconds since what struck began.
    pub after_s: f64,
    /// Which sign.
    pub sign: Sign,
    /// Its value in the ten seconds from then on, at its worst; in the unit of the sign.
    pub value: f64,
    /// What is normal.
    pub normal: f64,
}

/// What carried a step: a link of the map, by number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carrier {
    /// The link.
    pub link: usize,
    /// The load on it per second, normal and then, if more load is what it carried.
    pub load: Option<(f64, f64)>,
}

/// A component that fell in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The component: its number in the map; `None` if what was struck is no component.
    pub component: Option<usize>,
    /// What showed first.
    pub first: Shown,
    /// What showed later, in order of time.
    pub later: Vec<Shown>,
    /// By what it came; `None` for what was struck, and for what nothing is known to have carried.
    pub carrier: Option<Carrier>,
}

/// The order in which components fell in one run, of one trigger; empty if it did not strike in this run.
pub type Path = Vec<Step>;
