//! What became of single requests: spans, by the ids of the model. Names are found by whoever reports them.

use crate::base::Outcome;
use serde::{Deserialize, Serialize};

/// The most spans that are kept of one run. Requests that are sampled from there on leave no trace, and those under
/// way get no further spans; both are counted.
pub const TRACE_SPANS_MAX: usize = 50_000;

/// No span: the parent of a root.
pub const NO_SPAN: u32 = u32::MAX;

/// The sampled requests of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// The spans of all requests; a parent comes before its children.
    pub spans: Vec<Span>,
    /// What happened at a moment, in order of time.
    pub notes: Vec<Note>,
    /// Requests that were sampled.
    pub sampled: u64,
    /// How many of them have no trace, since too many spans were there.
    pub left_out: u64,
    /// Spans left out of traces that had begun before.
    pub cut: u64,
}

/// A part of a request's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The request's own span.
    pub root: u32,
    /// The span that this one is a part of; [`NO_SPAN`] for a request's own.
    pub parent: u32,
    /// When it began, in nanoseconds from the start of the run.
    pub from_ns: u64,
    /// When it ended; the end of the run if it was under way then.
    pub to_ns: u64,
    /// What it is.
    pub what: What,
    /// How it ended.
    pub end: End,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It was under way when the run ended.
    Open,
    /// It was over; nobody answers a wait.
    Over,
    /// Whoever waited was gone before there was an answer.
    Left,
    /// With an outcome, by number in [`Outcome::ALL`].
    Answered(u8),
}

impl End {
    /// With an outcome.
    pub fn of(outcome: Outcome) -> Self {
        Self::Answered(outcome as u8)
    }

    /// The outcome, if there is one.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Answered(number) => Outcome::ALL.get(usize::from(number)).copied(),
            Self::Open | Self::Over | Self::Left => None,
        }
    }
}

/// What a span is; the numbers are ids of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A client's request.
    Request {
        /// The population.
        client: u32,
        /// Which request of its mix.
        request: u32,
        /// Which tenant.
        tenant: u32,
        /// The key of its random numbers.
        key: u64,
    },
    /// A call of a program, from the first to the last of its layers.
    Call {
        /// The route.
        route: u32,
    },
    /// One attempt of a retry or a hedge.
    Attempt {
        /// The layer.
        layer: u32,
        /// Which attempt, from 1.
        number: u32,
    },
    /// The call of a fallback.
    Fallback {
        /// The layer.
        layer: u32,
    },
    /// A request at an instance.
    Exec {
        /// The instance.
        instance: u32,
        /// The endpoint.
        endpoint: u32,
        /// The balancer that sent it; `u32::MAX` if none.
        balancer: u32,
        /// Which version of its service the instance was.
        version: u16,
    },
    /// Time in which nothing was done for the request.
    Wait(Wait),
    /// A step that uses the CPU, with what it waited for it.
    Work {
        /// How long it takes with a core of its own, in nanoseconds; what it takes more, it waits for one or shares it.
        work_ns: u64,
    },
    /// A step that takes time and no CPU, such as an external's latency.
    Pause,
    /// Operations of a volume.
    Io,
    /// A message is put into a queue.
    Publish {
        /// The queue.
        queue: u32,
    },
    /// Branches that run at once.
    Parallel,
    /// One of them.
    Branch {
        /// Which, from 1.
        number: u32,
    },
    /// A program that runs several times.
    Repeat,
    /// One time of them.
    Round {
        /// Which, from 1.
        number: u32,
    },
    /// A program that may fail.
    Optional,
    /// A program under a lock, with what it waited for it.
    Lock {
        /// Which lock.
        lock: u32,
    },
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// A layer of a policy: a connection of a pool, a turn at a limit, a message that crosses the network.
    Layer(u32),
    /// The next attempt of a retry.
    Backoff(u32),
    /// A worker of the instance.
    Queue,
    /// The environment of a function.
    ColdStart,
    /// A connection that the call opens for itself.
    Connection,
    /// The latency that a fault adds.
    Fault,
    /// A balancer that holds the request back.
    Balancer(u32),
    /// A lock.
    Lock(u32),
    /// A message that a fault of the network delays.
    Network,
}

/// Something that happened within a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The span.
    pub span: u32,
    /// When, in nanoseconds from the start of the run.
    pub at_ns: u64,
    /// What.
    pub what: Noted,
    /// The layer.
    pub layer: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noted {
    /// A layer turned the call away.
    Rejected,
    /// A layer answered by itself, as a cache does.
    Answered,
    /// A layer stopped waiting.
    GaveUp,
    /// A layer failed before the call went on below it.
    Failed,
}

impl Traces {
    /// Adds a span; [`NO_SPAN`] if there are too many.
    pub fn open(&mut self, span: Span) -> u32 {
        if self.spans.len() >= TRACE_SPANS_MAX {
            self.cut += 1;
            return NO_SPAN;
        }
        self.spans.push(span);
        self.spans.len() as u32 - 1
    }

    /// Takes note of something within a span.
    pub fn note(&mut self, note: Note) {
        if note.span != NO_SPAN && self.notes.len() < TRACE_SPANS_MAX {
            self.notes.push(note);
        }
    }
}
