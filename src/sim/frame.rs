//! What waits for an answer: one frame each in one arena.

use super::FrameId;
use super::connects::Stage as ConnectStage;
use super::layers::sample;
use super::wires::Wire;
use crate::base::{SimDuration, SimTime};
use crate::components::breaker::consecutive::Ticket;
use crate::components::broker::Delivery;
use crate::components::nginx::Tried;
use crate::components::outlier::Cause;
use crate::components::pool::ConnId;
use crate::components::probe::ProbeKind;
use crate::model::Draw;

/// Something that waits, and for whom.
#[derive(Clone, Copy, Default, Debug)]
pub struct Frame {
    /// Who gets the answer; stale if nobody does any more. It names a client population, by its number, where an
    /// execution is all there is of a request.
    pub parent: FrameId,
    /// The last frame put below this one; stale once it is gone.
    pub child: FrameId,
    /// What it is.
    pub kind: Kind,
}

/// A call on its way through a policy.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The key of its random numbers.
    pub key: u64,
    /// What it calls.
    pub route: u32,
    /// The calling instance, counted within its group.
    pub owner: u32,
    /// Which of the calling instance's lives: its layers die with the process.
    pub life: u32,
    /// The key that ring hashing follows; what is asked for, if it has a key.
    pub affinity: u32,
    /// The pool layer whose connection it holds; `NO_POOL` if none.
    pub pool_layer: u32,
    /// Its priority.
    pub priority: u8,
    /// The number of the tenant that it is made for; 0 if none.
    pub tenant: u8,
    /// Whether the request has a key that others may ask for, too.
    pub is_keyed: bool,
}

const _: () =
    assert!(size_of::<Call>() <= 32 && size_of::<Frame>() <= 96, "frames stay small: they are many");

/// No pool lends a connection to this call.
pub const NO_POOL: u32 = u32::MAX;

/// What a frame is.
#[derive(Clone, Copy, Default, Debug)]
pub enum Kind {
    /// A client's request.
    Request(Request),
    /// A balancer's health check.
    Check {
        /// The balancer.
        balancer: u32,
        /// The target.
        target: u32,
        /// When it was sent.
        at: SimTime,
        /// The generation of the balancer's schedule.
        generation: u32,
        /// Why there was no answer, if there was none.
        cause: Cause,
    },
    /// A layer of a policy.
    Layer {
        /// The layer.
        layer: u32,
        /// The call.
        call: Call,
        /// What the layer remembers.
        state: LayerState,
    },
    /// An attempt that a balancer may give up on.
    Attempt {
        /// The balancer.
        balancer: u32,
        /// When it was sent.
        at: SimTime,
    },
    /// A request at an instance.
    Exec(Exec),
    /// A program inside a program, on the same instance.
    Branch(Branch),
    /// Branches that run at once.
    Join {
        /// Successes still needed.
        need: u32,
        /// Branches still running.
        running: u32,
        /// Whether some answer so far was degraded.
        degraded: bool,
    },
    /// A program that runs several times.
    Repeat {
        /// Its first step.
        body: u32,
        /// What decides on the next round.
        rounds: Rounds,
        /// The key of its random numbers.
        key: u64,
        /// Whether some answer so far was degraded.
        degraded: bool,
    },
    /// A program that may fail.
    #[default]
    Optional,
    /// A message of a queue: the root of the execution that handles it.
    Message {
        /// The queue.
        queue: u32,
        /// Its consumer.
        consumer: u32,
        /// The consumer's generation: it dies with its process.
        generation: u32,
        /// What was delivered.
        delivery: Delivery,
    },
    /// A probe of an instance.
    Probe {
        /// The instance.
        instance: u32,
        /// What it decides.
        kind: ProbeKind,
        /// The life of the instance that is probed.
        life: u32,
        /// When it was sent.
        at: SimTime,
    },
    /// A health check of a container.
    TaskCheck {
        /// The instance.
        instance: u32,
        /// The life of the instance that is checked.
        life: u32,
        /// Which schedule of checks it belongs to.
        schedule: u32,
        /// When it was sent.
        at: SimTime,
    },
    /// A program under a lock.
    Lock {
        /// Which lock.
        lock: u32,
        /// Which of its rows.
        row: u32,
        /// The program's first step.
        body: u32,
        /// The instance.
        instance: u32,
        /// The key of its random numbers.
        key: u64,
        /// Since when it wanted the lock.
        since: SimTime,
        /// Whether it waits for it.
        waits: bool,
    },
    /// A connection that a server's CPU works on. Nobody waits for it as for an answer: its pool is told.
    Connecting {
        /// The pool.
        pool: u32,
        /// The connection.
        conn: ConnId,
        /// The server.
        instance: u32,
        /// The life of the server that it was begun in.
        life: u32,
    },
    /// A request in a balancer that watches how its tries end.
    Balanced(Balanced),
    /// A message between components that a fault of the network may strike.
    Wire(Wire),
}

/// A request in a balancer that watches how its tries end.
#[derive(Clone, Copy, Debug)]
pub struct Balanced {
    /// The call.
    pub call: Call,
    /// When it came.
    pub at: SimTime,
    /// The balancer.
    pub balancer: u32,
    /// The target that it was sent to last.
    pub target: u32,
    /// How often it was sent.
    pub tries: u16,
    /// Why the last try has ended as it has.
    pub cause: Cause,
    /// To whom it was sent before, where none is tried twice.
    pub tried: Tried,
    /// Where it is.
    pub place: Place,
}

/// Where a request in a balancer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// On its way to a target, at one, or on its way back.
    Sent,
    /// In line for a target.
    Queued,
    /// Its turn has come, and the target counts it.
    Assigned,
    /// It waits before the same target is tried again.
    TurnAround,
}

/// How often a program runs.
#[derive(Clone, Copy, Debug)]
pub enum Rounds {
    /// So many times more, the round that runs included.
    Left(u32),
    /// One round more, by a chance.
    Chance {
        /// The chance.
        chance: f64,
        /// The round that runs, from 1.
        round: u32,
    },
}

/// A client's request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The population.
    pub client: u32,
    /// Which request of the mix.
    pub request: u32,
    /// Which tenant.
    pub tenant: u32,
    /// Which user, in a closed loop; `NO_USER` in an open one.
    pub user: u32,
    /// When it was sent.
    pub at: SimTime,
    /// The key of its random numbers.
    pub key: u64,
    /// Its call.
    pub route: u32,
}

/// Nobody waits for the answer before asking again.
pub const NO_USER: u32 = u32::MAX;

/// What a retry remembers of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryState {
    /// Retries done.
    pub done: u32,
    /// Retries after which its backoff began anew.
    pub from: u32,
    /// What its budget took for the last.
    pub cost: u32,
    /// What the wait before the last left to remember.
    pub memory: SimDuration,
    /// Whether it waits before the next.
    pub waits: bool,
}

/// What a layer remembers of a call.
#[derive(Clone, Copy, Debug)]
pub enum LayerState {
    /// Nothing.
    Plain,
    /// A retry.
    Retry(RetryState),
    /// A bulkhead: whether the call still waits for its turn.
    Bulkhead {
        /// Waiting.
        queued: bool,
    },
    /// A pool.
    Pool {
        /// The connection, once it is lent.
        conn: ConnId,
        /// Since when the call waits, or waited.
        since: SimTime,
        /// Whether it still waits.
        waiting: bool,
        /// Whether the call is a client of a proxy by itself, without a pool in front.
        is_client: bool,
        /// Whether the client of a proxy keeps the connection after the call.
        is_kept: bool,
    },
    /// A fallback.
    Fallback {
        /// The next option to try.
        next: u32,
        /// Whether a fallback's call is under way.
        calling: bool,
        /// When that call began.
        at: SimTime,
    },
    /// A breaker that let the call through.
    Breaker {
        /// When it did so, as the breaker counts.
        ticket: Ticket,
        /// When it did so, by the clock.
        since: SimTime,
    },
    /// A rate limit.
    RateLimit {
        /// Whether the call still waits for its turn.
        waiting: bool,
    },
    /// A hedge. Its attempts are frames below it, of the same layer: `child` is the last one put in place.
    Hedge {
        /// Attempts sent.
        sent: u32,
        /// Attempts without an answer yet.
        running: u32,
        /// When the next attempt is sent, if any is left.
        due: SimTime,
    },
    /// An attempt of a hedge.
    Attempt {
        /// The attempt put below the same hedge before this one, of those without an answer.
        next: FrameId,
        /// When it was sent.
        at: SimTime,
    },
    /// A concurrency limit.
    Limited {
        /// When the call was let through.
        since: SimTime,
        /// How many were in progress then, itself included; 0 while it waits.
        in_flight: u32,
    },
    /// A connection.
    Connect {
        /// How far it is.
        stage: ConnectStage,
        /// Since when it is wanted, or used in vain.
        since: SimTime,
    },
    /// A cache: the answer is to be kept.
    Fetching,
    /// A cache: the answer is to be kept, and others wait for it.
    Leading {
        /// The number of the flight.
        flight: u32,
    },
    /// A cache: somebody else fetches the answer.
    Waiting {
        /// The number among those who wait.
        waiter: u32,
    },
}

/// Where a program is.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    /// The next step.
    pub pc: u32,
    /// The call under way.
    pub route: u32,
    /// The key of its random numbers.
    pub key: u64,
    /// When the call under way began.
    pub called_at: SimTime,
    /// CPU that it has asked for, in nanoseconds: an execution's, that of its branches included.
    pub demand: f32,
    /// Whether some answer so far was degraded.
    pub degraded: bool,
    /// Whether its answer is being read.
    pub is_read: bool,
}

impl Runner {
    /// Begins a step of work, and answers with how much it is.
    #[inline(always)]
    pub fn begin_work(&mut self, draw: &Draw) -> SimDuration {
        self.pc += 1;
        let work = sample(draw, self.key);
        self.demand += work.ns() as i64 as f32;
        work
    }
}

/// How far an execution is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It waits for a worker.
    Queued,
    /// It is executed.
    Running,
}

/// A request at an instance.
#[derive(Clone, Copy, Debug)]
pub struct Exec {
    /// Where it is.
    pub run: Runner,
    /// When it came.
    pub at: SimTime,
    /// The instance.
    pub instance: u32,
    /// The endpoint.
    pub endpoint: u32,
    /// Its place among the instance's requests.
    pub place: u32,
    /// The balancer that sent it; `NO_BALANCER` if none, or if it has given up.
    pub balancer: u32,
    /// Memory it has taken, in bytes.
    pub held: u64,
    /// The key that ring hashing follows.
    pub affinity: u32,
    /// The pool layer whose statement timeout limits it; `NO_POOL` if none.
    pub pool_layer: u32,
    /// How far it is.
    pub stage: Stage,
    /// Its priority.
    pub priority: u8,
    /// The number of the tenant that it is made for; 0 if none.
    pub tenant: u8,
    /// Whether `affinity` is the request's key.
    pub is_keyed: bool,
    /// Whether it is a health check.
    pub is_check: bool,
    /// Whether the balancer's measures are taken here, not at an `Attempt` above.
    pub measures_balancer: bool,
    /// Whether it holds a database connection of its own.
    pub own_connection: bool,
    /// Whether it uses a core that no CPU model keeps.
    pub on_free_core: bool,
}

/// No balancer waits for this execution.
pub const NO_BALANCER: u32 = u32::MAX;

/// A program inside a program.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// Where it is.
    pub run: Runner,
    /// The instance.
    pub instance: u32,
    /// The life of the instance that it runs in.
    pub life: u32,
    /// The key that ring hashing follows.
    pub affinity: u32,
    /// Its priority.
    pub priority: u8,
    /// The number of the tenant that it is made for; 0 if none.
    pub tenant: u8,
    /// Whether `affinity` is the request's key.
    pub is_keyed: bool,
    /// Whether it uses a core that no CPU model keeps.
    pub on_free_core: bool,
    /// The branch put below the same `Join` before this one.
    pub next: FrameId,
    /// Whether it has ended, and stays only until its `Join` ends.
    pub is_done: bool,
}

const _: () =
    assert!(size_of::<Frame>() <= 96 && size_of::<Exec>() <= 80, "frames stay small: there are many");

impl Frame {
    /// A frame below `parent`.
    #[inline(always)]
    pub fn new(parent: FrameId, kind: Kind) -> Self {
        Self { parent, child: FrameId::NONE, kind }
    }

    /// Whether this is where answers end: a client's request, a check or a message.
    #[inline]
    pub fn is_root(&self) -> bool {
        matches!(
            self.kind,
            Kind::Request(_)
                | Kind::Check { .. }
                | Kind::Probe { .. }
                | Kind::TaskCheck { .. }
                | Kind::Message { .. }
        )
    }
}
