//! What can happen, and when it was said to.

use super::FrameId;
use super::frame::Frame;
use crate::base::{Arena, Outcome};
use crate::components::pool::ConnId;
use crate::components::probe::ProbeKind;
use crate::engine::Pending;

/// Something that happens at a moment. Named by what is about to happen; at most 16 bytes.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A client population sends its next request, unless its source was set anew since.
    Arrive {
        /// The population.
        client: u32,
        /// The source's generation when this was scheduled.
        generation: u32,
    },
    /// A user has thought and asks again.
    Think {
        /// The population.
        client: u32,
        /// The user.
        user: u32,
    },
    /// A modulated source enters its next state.
    Modulate {
        /// The population.
        client: u32,
    },
    /// The number of active users follows the profile.
    Population {
        /// The population.
        client: u32,
    },
    /// A CPU's alarm rings.
    Cpu {
        /// The instance.
        instance: u32,
    },
    /// A step without a CPU is done.
    StepDone(FrameId),
    /// An instance stops working on a request.
    RequestTimeout(FrameId),
    /// A request has waited too long for a worker.
    QueueTimeout(FrameId),
    /// The timer of a layer, a balancer or a check.
    Timer(FrameId),
    /// A retry's wait is over.
    Retry(FrameId),
    /// A message has crossed the network towards the callee.
    Sent(FrameId),
    /// An answer has crossed the network towards the caller.
    Answered(FrameId, Outcome),
    /// A breaker's reset timer.
    BreakerReset {
        /// The breaker.
        breaker: u32,
    },
    /// A connection stands, or the server refuses it.
    PoolConnected {
        /// The pool.
        pool: u32,
        /// The connection.
        conn: ConnId,
    },
    /// A pool looks through its idle connections.
    PoolReap {
        /// The pool.
        pool: u32,
    },
    /// A balancer checks a target.
    Check {
        /// The balancer.
        balancer: u32,
        /// The target.
        target: u32,
        /// The generation of the balancer's schedule.
        generation: u32,
    },
    /// An instance has started.
    InstanceUp {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
    },
    /// An instance that drains is stopped.
    DrainEnd {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
    },
    /// An autoscaler looks and decides.
    Autoscale {
        /// The autoscaler.
        autoscaler: u32,
        /// The generation of its schedule.
        generation: u32,
    },
    /// The instances that an autoscaler looks at are measured.
    MeasurePods {
        /// The autoscaler.
        autoscaler: u32,
    },
    /// A node has come.
    NodeReady {
        /// The autoscaler.
        autoscaler: u32,
        /// The node.
        node: u32,
    },
    /// An entry of a cache expires.
    CacheExpiry {
        /// The cache.
        cache: u32,
    },
    /// A replica has applied a write.
    Applied {
        /// The instance.
        instance: u32,
        /// What it was applying then.
        generation: u32,
    },
    /// Somebody takes over from a database's lost server.
    Failover {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
    },
    /// Something on the timeline.
    Script {
        /// Its number.
        index: u32,
    },
    /// The one who has waited longest at a rate limit may go on.
    RateTurn {
        /// The rate limit.
        limiter: u32,
    },
    /// A random failure strikes, or is repaired.
    Failure {
        /// Its number.
        failure: u32,
        /// Which of its processes.
        member: u32,
    },
    /// It is the turn of a fault that lasts, or of one at an instance.
    FaultTurn {
        /// The fault.
        fault: u32,
        /// The instance; or the number of an extra request, or `NO_INSTANCE`.
        instance: u32,
        /// Which turns it belongs to: later ones end them.
        turn: u32,
    },
    /// The making of a connection has taken as long as its pool allows.
    PoolConnectTimeout {
        /// The pool.
        pool: u32,
        /// The connection.
        conn: ConnId,
    },
    /// Something is due at a message broker.
    Broker {
        /// The queue.
        queue: u32,
    },
    /// A message arrives at a consumer, or a consumer asks again.
    Consume {
        /// The queue.
        queue: u32,
        /// The consumer.
        consumer: u32,
    },
    /// What a consumer has told its broker arrives.
    Told {
        /// The queue.
        queue: u32,
        /// The consumer.
        consumer: u32,
    },
    /// Publishers that cannot reach the broker have tried for long enough.
    PublishersGiveUp {
        /// The queue.
        queue: u32,
    },
    /// The age of the oldest messages is looked at.
    LookAtQueues,
    /// A window of measuring ends.
    Window,
    /// An Envoy looks for outliers.
    OutlierSweep {
        /// The balancer.
        balancer: u32,
        /// The generation of the schedule.
        generation: u32,
    },
    /// An Envoy's balancer may hear of changes of health.
    MergedUpdate {
        /// The balancer.
        balancer: u32,
    },
    /// A second is over.
    Second,
    /// A probe of an instance is due.
    Probe {
        /// The instance.
        instance: u32,
        /// Which of its probes.
        kind: ProbeKind,
        /// The generation of its schedule.
        generation: u32,
    },
    /// A container that waited to be restarted is started.
    ContainerStarts {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
    },
    /// An instance that ends gets SIGTERM.
    Sigterm {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
    },
    /// Everybody knows that an instance is gone.
    EndpointGone {
        /// The instance.
        instance: u32,
        /// Which of its ends.
        generation: u32,
    },
    /// A health check of a container is due.
    TaskCheck {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
        /// Which schedule of checks.
        schedule: u32,
    },
    /// A pause of garbage collection is over.
    PauseEnd {
        /// The instance.
        instance: u32,
        /// Which of its lives.
        life: u32,
    },
    /// An instance may have no CPU credits left.
    CreditsOut {
        /// The instance.
        instance: u32,
    },
    /// A step of a reaction is due; the first is that somebody is there.
    Reaction {
        /// The reaction.
        reaction: u32,
        /// Which of its steps.
        step: u32,
        /// Which of its starts.
        start: u32,
    },
    /// The regions of a site are looked at.
    SiteCheck {
        /// The site.
        site: u32,
    },
    /// A fault that a reaction began is over.
    FaultOver {
        /// The fault.
        fault: u32,
    },
    /// A deployment has waited long enough.
    Rollout {
        /// The group.
        group: u32,
    },
    /// A spot instance is taken back at random.
    SpotNotice {
        /// The instance.
        instance: u32,
        /// Which of its launches.
        generation: u32,
    },
    /// The notice of a spot instance is over.
    SpotGone {
        /// The instance.
        instance: u32,
        /// Which of its launches.
        generation: u32,
    },
    /// A place may have an instance again.
    SpotBack {
        /// The instance.
        instance: u32,
    },
}

impl Event {
    /// Whether nothing follows from this any more: it is a timer, and who set it is gone.
    #[inline]
    pub fn is_dead(&self, frames: &Arena<Frame>) -> bool {
        match self {
            Self::Timer(frame) | Self::RequestTimeout(frame) | Self::QueueTimeout(frame) => {
                !frames.contains(*frame)
            }
            _ => false,
        }
    }

    /// Reads the frames that playing this begins with, for nothing but that they are in the cache then.
    #[inline]
    pub fn fetch(&self, frames: &Arena<Frame>) {
        let (Self::StepDone(id)
        | Self::RequestTimeout(id)
        | Self::QueueTimeout(id)
        | Self::Timer(id)
        | Self::Retry(id)
        | Self::Sent(id)
        | Self::Answered(id, _)) = self
        else {
            return;
        };
        if let Some(frame) = frames.get(*id) {
            std::hint::black_box((std::mem::discriminant(&frame.kind), frames.contains(frame.parent)));
        }
    }
}

/// Bits of the number of a source's generation, and the bit by which its request differs from the alarm of a CPU.
const GENERATION_BITS: u32 = 18;
const ARRIVES: u32 = 1 << 29;

/// Alarms and requests are most of what is pending.
impl Pending for Event {
    #[inline(always)]
    fn as_number(&self) -> Option<u32> {
        match *self {
            Self::Cpu { instance } => (instance < ARRIVES).then_some(instance),
            Self::Arrive { client, generation } => {
                let fits = generation < 1 << GENERATION_BITS && client < ARRIVES >> GENERATION_BITS;
                fits.then_some(ARRIVES | client << GENERATION_BITS | generation)
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn of_number(number: u32) -> Self {
        if number & ARRIVES == 0 {
            return Self::Cpu { instance: number };
        }
        let number = number & !ARRIVES;
        let generation = number & ((1 << GENERATION_BITS) - 1);
        Self::Arrive { client: number >> GENERATION_BITS, generation }
    }
}

const _: () = assert!(size_of::<Event>() <= 16, "events stay small: they are copied through the queue");
