//! The world: clients, balancers, instances and the requests between them, played event by event.
//!
//! The life of a request, and the file that each part of it is in:
//!
//! ```text
//!  sources ──► down ───────────────► route ──────► arrive ──► start ──► advance ──► finish
//!  a client    through the layers    a balancer    a queue,   a worker   step by     worker freed,
//!  asks        of a policy           picks         a limit    is taken   step        next in line
//!     ▲            │ rejected            │ no target    │ full    ▲         │ Call        │
//!     │            ▼                     ▼              ▼         └─ up ◄───┴── down …    │
//!     └─────────── up ◄──────────────────┴──────────────┴─────────────────────────────────┘
//!              each layer may retry, record, fall back
//!  (sources.rs) (layers.rs)          (targets.rs)  (instances.rs)  (programs.rs)
//! ```
//!
//! Everything that waits is a `Frame` in one arena: a request, a layer of a policy, an execution; a request with
//! nothing but an execution has no frame beside that. A frame knows its parent, so an answer travels up; a frame that
//! is gone leaves a stale id behind, so an answer to who has given up finds nobody. What follows from an event at the
//! same instant is a `Task`, played first in, first out, before the next event: handlers never call each other in
//! circles.

mod asks;
mod autoscalers;
mod balanced;
mod breakers;
mod caches;
mod choosing;
mod concurrency;
mod connects;
mod cores;
mod costs;
mod databases;
mod deadlines;
mod deployments;
mod endings;
pub mod event;
mod failures;
mod faults;
mod frame;
mod haproxy;
mod health;
mod hedges;
mod instances;
mod lambdas;
mod layers;
mod limits;
mod lives;
mod minds;
mod network;
mod nginx;
mod ongoing;
mod past;
mod pods;
mod poolers;
mod pools;
mod programs;
mod queues;
mod reactions;
mod replication;
mod retries;
mod runtimes;
pub mod script;
mod shedding;
mod sites;
mod sources;
mod spot;
mod targets;
mod tasks;
mod throttling;
mod todo;
mod tracing;
mod troubles;
mod versions;
mod wires;

use crate::base::{Id, Outcome, SimDuration, SimTime, Streams};
use crate::components::breaker::family::AnyBreaker;
use crate::components::budget::family::AnyBudget;
use crate::components::bulkhead::family::AnyBulkhead;
use crate::components::locks::LockTable;
use crate::components::percentile::Percentile;
use crate::components::pool::PoolAction;
use crate::components::pool::family::AnyPool;
use crate::components::rate_limit::RateLimiter;
use crate::components::throttling::Throttle;
use crate::engine::{EventQueue, Rank};
use crate::metrics::trace::Traces;
use crate::metrics::{Change, Observer, Watch};
use crate::model::{Epoch, Group, HedgeDelay, LayerKind, Model, SlotUse};
use autoscalers::AutoscalerState;
use caches::CacheState;
use concurrency::LimiterState;
use connects::ConnectState;
use deadlines::FrameTable;
use event::Event;
use failures::FailureState;
use frame::{Call, Frame};
use instances::Instance;
use network::NetState;
use pods::Pod;
use pools::PoolState;
use queues::QueueState;
use reactions::ReactionState;
use runtimes::RuntimeState;
use script::{Script, What};
use sources::Source;
use targets::{BalancerState, GroupState};
use tasks::TaskState;
use throttling::ThrottleState;
use todo::{Task, Tasks};
use tracing::Frames;

/// Names a frame.
pub(crate) type FrameId = Id<Frame>;

/// Requests of one client population: they always add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent.
    pub sent: u64,
    /// Requests ended, by outcome.
    pub ended: [u64; Outcome::COUNT],
    /// Requests in flight.
    pub in_flight: u64,
}

impl Tally {
    /// Whether requests sent = requests ended + in flight.
    pub fn is_conserved(&self) -> bool {
        self.sent == self.ended.iter().sum::<u64>() + self.in_flight
    }
}

/// Why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its time was over.
    End,
    /// More events happened at one instant than a sane model can have.
    TimeStandsStill,
}

/// What a run was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Events played.
    pub events: u64,
    /// Requests by client population.
    pub tallies: Vec<Tally>,
    /// A hash over all completions, in order.
    pub fingerprint: u64,
    /// Why it stopped.
    pub stop: Stop,
    /// What was still held at the end.
    pub rest: Rest,
    /// Messages by queue.
    pub queues: Vec<crate::components::broker::Tally>,
    /// What became of the sampled requests.
    pub traces: Traces,
}

/// What a run still holds: nothing at all once the last request has ended and no caller is left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Frames: requests, calls and executions that somebody waits for, or nobody any more.
    pub frames: u64,
    /// Workers, and requests at instances.
    pub executions: u64,
    /// Requests that wait for a worker.
    pub queued: u64,
    /// Pieces of work on a CPU or in line for it.
    pub cpu: u64,
    /// Bytes taken by requests.
    pub memory: u64,
    /// Connections lent, and calls that wait for one.
    pub connections: u64,
    /// Calls in bulkheads and concurrency limits, or in line for them.
    pub bulkheads: u64,
    /// Calls in line at rate limits.
    pub rate_limits: u64,
    /// Requests that balancers count at their targets.
    pub balanced: u64,
    /// Rows that are locked, and requests that wait for one.
    pub locks: u64,
    /// Fetches that are shared through caches, and calls that wait for them.
    pub flights: u64,
}

/// The most events and tasks at one instant.
const AT_ONE_INSTANT_MAX: u64 = 20_000_000;

/// A system being played.
pub struct World<'m, O> {
    model: &'m Model,
    script: &'m Script,
    observer: O,
    streams: Streams,
    queue: EventQueue<Event>,
    tasks: Tasks,
    frames: Frames,
    /// The settings in force: an index into the model's epochs.
    epoch: usize,
    /// The settings that were in force before.
    past: past::Past,
    sources: Vec<Source<'m>>,
    balancers: Vec<BalancerState>,
    groups: Vec<GroupState>,
    autoscalers: Vec<AutoscalerState>,
    instances: Vec<Instance<'m>>,
    /// The environments of functions.
    lambdas: Vec<Option<Box<lambdas::LambdaState>>>,
    /// The volumes of instances that have one.
    volumes: Vec<Option<Box<databases::VolumeState>>>,
    /// Replicas, by instance, and who takes over, by group.
    replicas: Vec<replication::ReplicaState>,
    failovers: Vec<replication::FailoverState>,
    /// By lock and by instance within its group.
    locks: Vec<Vec<LockTable<FrameId>>>,
    breakers: Vec<AnyBreaker>,
    pools: Vec<AnyPool<FrameId>>,
    pool_states: Vec<PoolState>,
    bulkheads: Vec<AnyBulkhead<FrameId>>,
    budgets: Vec<AnyBudget>,
    /// When each fallback cache last saw a success.
    caches: Vec<Option<SimTime>>,
    rate_limits: Vec<RateLimiter<FrameId>>,
    /// Caches that are layers of their own.
    stores: Vec<CacheState>,
    /// The meters of each state, by kind.
    limiters: Vec<LimiterState>,
    throttles: Vec<ThrottleState>,
    breaker_meters: Vec<u32>,
    bulkhead_meters: Vec<u32>,
    budget_meters: Vec<u32>,
    rate_limit_meters: Vec<u32>,
    deadline_meters: Vec<u32>,
    /// Open connections, and what is known of names.
    connects: Vec<ConnectState>,
    connect_meters: Vec<u32>,
    /// What hedges know of latencies.
    latencies: Vec<Percentile>,
    /// When nobody waits any more for what a frame does.
    deadlines: FrameTable<SimTime>,
    /// The wait that the last answer asked a frame for.
    told: FrameTable<SimDuration>,
    /// Whether frames have anything beside their own content: a deadline, a wait told, a wrong answer.
    has_tables: bool,
    pool_actions: Vec<PoolAction<FrameId>>,
    scratch: Vec<FrameId>,
    /// Whether anybody has ever given up on work that went on: only then can there be work for nobody.
    anybody_left: bool,
    /// Whether an instance was ever killed: only then can calls outlive the process that made them.
    anybody_killed: bool,
    /// Instances that hang now.
    hung: u32,
    /// Faults that last now, in the order in which they began.
    lasting: Vec<u32>,
    /// What each fault does while it lasts, and how many turns of faults at instances there have been.
    ongoing: Vec<ongoing::Ongoing>,
    turns: u32,
    /// Which zones are drained.
    drained: Vec<bool>,
    /// What fails at random, in the order of the script.
    failures: Vec<FailureState>,
    /// Message queues.
    queues: Vec<QueueState>,
    tallies: Vec<Tally>,
    fingerprint: u64,
    events: u64,
    /// What stands at the place of each instance.
    pods: Vec<Pod>,
    /// The same places, as Amazon ECS sees them.
    tasks_of_ecs: Vec<TaskState>,
    /// What the process of each instance runs in.
    runtimes: Vec<RuntimeState>,
    /// Names that lead to regions.
    sites: Vec<sites::SiteState>,
    /// The rules of the script, and its reactions.
    watches: Vec<Watch>,
    reactions: Vec<ReactionState>,
    /// Whether something reacts to changes of state.
    minds_changes: bool,
    /// Deployed groups, by group; empty if nothing is deployed.
    fleets: Vec<Option<Box<deployments::FleetState>>>,
    /// What each version has done.
    version_stats: Vec<versions::VersionStats>,
    /// How requests to each group are shared out between versions.
    splits: Vec<Option<versions::Split>>,
    /// What was paid, but for whole billionths.
    bill: costs::Bill,
    /// How instances are bought, by group, and which are spot.
    purchases: Vec<spot::PurchaseState>,
    spots: Vec<spot::SpotState>,
    /// Faults of the network and of dependencies.
    net: NetState,
    /// Which frames have got something that is wrong.
    wrong: FrameTable<bool>,
}

impl<'m, O: Observer> World<'m, O> {
    /// A world at the start of a run.
    pub fn new(model: &'m Model, script: &'m Script, seed: u64, run: u64, observer: O) -> Self {
        let streams = Streams::new(seed, run);
        let epoch = &model.epochs[0];
        let (has_deadlines, has_waits) = deadlines::uses(model);
        let net = NetState::new(model, script);
        let has_told = has_waits || NetState::tells(script);
        let mut world = Self {
            model,
            script,
            observer,
            streams,
            queue: EventQueue::new(),
            tasks: Tasks::default(),
            frames: Frames::new(),
            epoch: 0,
            past: past::Past::default(),
            sources: Source::all(model, streams),
            balancers: BalancerState::all(model, epoch, streams),
            groups: GroupState::all(model, epoch),
            autoscalers: AutoscalerState::all(model, epoch),
            instances: Instance::all(model, epoch),
            lambdas: lambdas::lambdas(model, epoch),
            volumes: databases::volumes(model, epoch),
            replicas: replication::replicas(model),
            failovers: replication::failovers(model),
            locks: databases::lock_tables(model),
            breakers: Vec::new(),
            pools: Vec::new(),
            pool_states: Vec::new(),
            bulkheads: Vec::new(),
            budgets: Vec::new(),
            caches: vec![None; model.slots.caches as usize],
            rate_limits: Vec::new(),
            stores: Vec::new(),
            limiters: Vec::new(),
            throttles: Vec::new(),
            breaker_meters: Vec::new(),
            bulkhead_meters: Vec::new(),
            budget_meters: Vec::new(),
            rate_limit_meters: Vec::new(),
            deadline_meters: Vec::new(),
            connects: Vec::new(),
            connect_meters: Vec::new(),
            latencies: Vec::new(),
            deadlines: FrameTable::new(SimTime::NEVER, has_deadlines),
            told: FrameTable::new(SimDuration::ZERO, has_told),
            has_tables: has_deadlines || has_told || net.taints,
            pool_actions: Vec::new(),
            scratch: Vec::new(),
            anybody_left: false,
            anybody_killed: false,
            hung: 0,
            lasting: Vec::new(),
            ongoing: ongoing::all(script, streams),
            turns: 0,
            drained: vec![false; model.zones.len()],
            failures: FailureState::all(
                &script.failures,
                |group| model.groups[group as usize].capacity,
                streams,
            ),
            queues: QueueState::all(model, epoch),
            tallies: vec![Tally::default(); model.clients.len()],
            fingerprint: 0,
            events: 0,
            pods: Pod::all(model, streams),
            tasks_of_ecs: TaskState::all(model),
            runtimes: RuntimeState::all(model),
            sites: sites::SiteState::all(model),
            watches: vec![Watch::default(); script.rules.len()],
            reactions: vec![ReactionState::default(); script.reactions.len()],
            minds_changes: reactions::minds_changes(script),
            fleets: deployments::FleetState::all(model, script),
            version_stats: model.versions.iter().map(|_| Default::default()).collect(),
            splits: vec![None; if model.versions.is_empty() { 0 } else { model.groups.len() }],
            bill: costs::Bill::new(model),
            purchases: spot::PurchaseState::all(model),
            spots: spot::SpotState::all(model),
            wrong: FrameTable::new(false, net.taints),
            net,
        };
        world.make_states();
        world.settle_instances();
        world.start();
        world
    }

    /// The settings in force.
    #[inline]
    fn settings(&self) -> &'m Epoch {
        &self.model.epochs[self.epoch]
    }

    /// The settings that were in force before those that are.
    #[inline]
    fn previous_epoch(&self) -> usize {
        self.past.last().unwrap_or(0)
    }

    /// The settings of an instance, which are those of its version.
    #[inline]
    fn settings_of(&self, instance: u32) -> &'m Epoch {
        self.model.settings_of(self.instances[instance as usize].version, self.epoch)
    }

    /// What the settings of an instance say of its group.
    #[inline]
    fn group_of(&self, instance: u32) -> &'m Group {
        self.instances[instance as usize].settings
    }

    /// Plays to the end and returns what the run was, and the observer.
    pub fn run(mut self) -> (RunSummary, O) {
        let stop = self.play();
        for tally in &self.tallies {
            assert!(tally.is_conserved(), "requests sent = ended + in flight: {tally:?}");
        }
        let rest = self.rest();
        // They add up, too.
        let queues = self.queues.iter().map(QueueState::tally).collect();
        let traces = self.finish_traces();
        let summary = RunSummary {
            events: self.events,
            tallies: self.tallies,
            fingerprint: self.fingerprint,
            stop,
            rest,
            queues,
            traces,
        };
        (summary, self.observer)
    }

    /// What is held now.
    fn rest(&self) -> Rest {
        let mut rest = Rest { frames: self.frames.len() as u64, ..Rest::default() };
        for instance in &self.instances {
            rest.executions += instance.execs.len() as u64 + u64::from(instance.busy);
            rest.queued += instance.queue.len() as u64;
            rest.cpu += instance.cpu.as_ref().map_or(0, |cpu| cpu.running() + cpu.waiting()) as u64;
            rest.memory += instance.taken;
        }
        let kept = |state: &PoolState| state.sessions.len();
        let gone = |state: &PoolState| kept(state) + state.lost as usize;
        let lent = self.pools.iter().zip(&self.pool_states);
        let lent = lent.map(|(p, s)| (p.in_use() + p.waiting()).saturating_sub(gone(s)));
        rest.connections = lent.sum::<usize>() as u64;
        rest.flights = self.stores.iter().map(CacheState::under_way).sum();
        rest.bulkheads = self.bulkheads.iter().map(|b| u64::from(b.in_use() + b.waiting())).sum();
        let tables = self.locks.iter().flatten();
        rest.locks = tables.map(|table| (table.held() + table.waiting()) as u64).sum();
        rest.bulkheads += self.limiters.iter().map(LimiterState::holds).sum::<u64>();
        rest.rate_limits = self.rate_limits.iter().map(|l| u64::from(l.waiting())).sum();
        for balancer in &self.balancers {
            let targets = 0..balancer.registered.len() as u32;
            rest.balanced += targets.map(|t| u64::from(balancer.policy.outstanding(t))).sum::<u64>();
        }
        rest
    }

    fn play(&mut self) -> Stop {
        let end = self.script.end;
        let mut instant = SimTime::ZERO;
        let mut at_instant: u64 = 0;
        while let Some((now, event)) = self.queue.pop_alive_until(
            end,
            |event| event.is_dead(&self.frames),
            |event| event.fetch(&self.frames),
        ) {
            if now != instant {
                instant = now;
                at_instant = 0;
                self.frames.now = now;
            }
            self.events += 1;
            at_instant += 1 + self.handle(now, event);
            if at_instant > AT_ONE_INSTANT_MAX {
                return Stop::TimeStandsStill;
            }
        }
        Stop::End
    }

    /// Plays an event and what follows from it at once; returns how many tasks that were.
    #[inline(always)]
    fn handle(&mut self, now: SimTime, event: Event) -> u64 {
        match event {
            Event::Arrive { client, generation } => self.on_arrive(now, client, generation),
            Event::Think { client, user } => self.on_think(now, client, user),
            Event::Modulate { client } => self.on_modulate(now, client),
            Event::Population { client } => self.on_population_tick(now, client),
            Event::Cpu { instance } => self.on_cpu(now, instance),
            Event::StepDone(frame) => self.on_step_done(now, frame),
            Event::RequestTimeout(frame) => self.on_request_timeout(now, frame),
            Event::QueueTimeout(frame) => self.on_queue_timeout(now, frame),
            Event::Timer(frame) => self.on_timer(now, frame),
            Event::Retry(frame) => self.tasks.push_back(Task::Down(frame)),
            Event::Sent(frame) => self.tasks.push_back(Task::Down(frame)),
            Event::Answered(frame, outcome) => self.on_answered(frame, outcome),
            Event::BreakerReset { breaker } => self.on_breaker_reset(now, breaker),
            Event::RateTurn { limiter } => self.on_rate_turn(now, limiter),
            Event::PoolConnected { pool, conn } => self.on_pool_connected(now, pool, conn),
            Event::PoolReap { pool } => self.on_pool_reap(now, pool),
            Event::Check { balancer, target, generation } => self.on_check(now, balancer, target, generation),
            Event::InstanceUp { instance, life } => self.on_instance_up(now, instance, life),
            Event::DrainEnd { instance, life } => self.on_drain_end(now, instance, life),
            Event::Autoscale { autoscaler, generation } => self.on_autoscale(now, autoscaler, generation),
            Event::MeasurePods { autoscaler } => self.on_measure_pods(now, autoscaler),
            Event::NodeReady { autoscaler, node } => self.on_node_ready(now, autoscaler, node),
            Event::CacheExpiry { cache } => self.on_cache_expiry(now, cache),
            Event::Applied { instance, generation } => self.on_applied(now, instance, generation),
            Event::Failover { instance, life } => self.on_failover(now, instance, life),
            Event::Script { index } => self.on_script(now, index),
            Event::Failure { failure, member } => self.on_failure(now, failure, member),
            Event::FaultTurn { fault, instance, turn } => self.on_fault_turn(now, fault, instance, turn),
            Event::PoolConnectTimeout { pool, conn } => self.on_pool_connect_timeout(now, pool, conn),
            Event::OutlierSweep { balancer, generation } => self.on_outlier_sweep(now, balancer, generation),
            Event::MergedUpdate { balancer } => self.on_merged_update(now, balancer),
            Event::Broker { queue } => self.on_broker(now, queue),
            Event::Consume { queue, consumer } => self.consume(now, queue, consumer),
            Event::Told { queue, consumer } => self.on_told(now, queue, consumer),
            Event::PublishersGiveUp { queue } => self.on_publishers_give_up(now, queue),
            Event::LookAtQueues => self.on_look_at_queues(now),
            Event::Window => self.observer.window(now),
            Event::Second => {
                self.observer.second(now);
                self.look_at_rules(now);
                let lane = self.queue.lane(SimDuration::from_secs(1), Rank::Sample);
                self.queue.schedule_lane(lane, Event::Second);
            }
            Event::Probe { instance, kind, generation } => self.on_probe(now, instance, kind, generation),
            Event::ContainerStarts { instance, life } => self.on_container_starts(now, instance, life),
            Event::Sigterm { instance, life } => self.on_sigterm(now, instance, life),
            Event::EndpointGone { instance, generation } => self.on_endpoint_gone(now, instance, generation),
            Event::TaskCheck { instance, life, schedule } => {
                self.on_task_check(now, instance, life, schedule);
            }
            Event::PauseEnd { instance, life } => self.on_pause_end(now, instance, life),
            Event::CreditsOut { instance } => self.on_credits_out(now, instance),
            Event::Reaction { reaction, step, start } => self.on_reaction(now, reaction, step, start),
            Event::SiteCheck { site } => self.on_site_check(now, site),
            Event::FaultOver { fault } => self.perform(now, &What::End(fault)),
            Event::Rollout { group } => self.on_rollout(now, group),
            Event::SpotNotice { instance, generation } => self.on_spot_notice(now, instance, generation),
            Event::SpotGone { instance, generation } => self.on_spot_gone(now, instance, generation),
            Event::SpotBack { instance } => self.on_spot_back(now, instance),
        }
        let mut tasks = 0;
        while let Some(task) = self.tasks.pop_front() {
            tasks += 1;
            match task {
                Task::Up(frame, outcome) => self.up(now, frame, outcome),
                Task::Down(frame) => self.go_on_below(now, frame),
                Task::Fallback(frame, route) => self.call_fallback(now, frame, route),
                Task::Begin(frame) => self.begin(now, frame),
                Task::Advance(frame) => self.advance(now, frame),
                Task::Timer(frame) => self.on_timer(now, frame),
                Task::RequestTimeout(frame) => self.on_request_timeout(now, frame),
                Task::QueueTimeout(frame) => self.on_queue_timeout(now, frame),
                Task::Serve(instance) => self.serve_next(now, instance),
                Task::RateTurn(limiter) => self.on_rate_turn(now, limiter),
                Task::Consume(queue, consumer) => self.consume(now, queue, consumer),
                Task::Fit(group) => self.fit_fleet(now, group),
            }
            if tasks > AT_ONE_INSTANT_MAX {
                break;
            }
        }
        tasks
    }

    /// Schedules what begins by itself.
    fn start(&mut self) {
        let now = SimTime::ZERO;
        for (index, action) in self.script.actions.iter().enumerate() {
            self.queue.schedule(action.at, Rank::Fault, Event::Script { index: index as u32 });
        }
        for at in &self.script.windows {
            // Before the faults of the same instant would be as right: nothing is measured in no time.
            self.queue.schedule(*at, Rank::Sample, Event::Window);
        }
        if self.observer.wants_seconds() {
            self.queue.schedule(now + SimDuration::from_secs(1), Rank::Sample, Event::Second);
        }
        self.start_failures();
        self.start_levels(now);
        self.start_volumes(now);
        self.start_pools(now);
        self.start_queues(now);
        self.start_checks(now);
        self.start_sweeps();
        self.start_pods(now);
        self.start_tasks(now);
        self.start_runtimes(now);
        self.start_autoscalers(now);
        self.start_sites(now);
        self.start_fleets();
        for client in 0..self.sources.len() as u32 {
            self.start_source(now, client);
        }
    }

    /// Makes the states of layers, configured by the epoch in which each first appears.
    fn make_states(&mut self) {
        let model = self.model;
        let now = SimTime::ZERO;
        for epoch in model.all_settings() {
            for slot in &epoch.slots {
                let layer = &model.layers[slot.layer as usize];
                for number in slot.first..slot.first + slot.count {
                    let index = number as usize;
                    match &layer.kind {
                        LayerKind::Breaker(config) if index == self.breakers.len() => {
                            self.breakers.push(AnyBreaker::new(*config, now));
                            self.breaker_meters.push(slot.meters);
                        }
                        LayerKind::Pool { config, .. } if index == self.pools.len() => {
                            self.pools.push(AnyPool::new(*config));
                            self.pool_states.push(PoolState::new(slot, number, model));
                            if self.pool_states[index].is_pooler {
                                self.groups[slot.callee_group as usize].pooler = Some(number);
                            }
                        }
                        LayerKind::Bulkhead { config } if index == self.bulkheads.len() => {
                            self.bulkheads.push(AnyBulkhead::new(*config));
                            self.bulkhead_meters.push(slot.meters);
                        }
                        LayerKind::Retry { budget: Some(config), .. } if index == self.budgets.len() => {
                            self.budgets.push(AnyBudget::new(config, now));
                            self.budget_meters.push(slot.meters);
                        }
                        LayerKind::RateLimit { config, .. } if index == self.rate_limits.len() => {
                            self.rate_limits.push(RateLimiter::new(*config, now));
                            self.rate_limit_meters.push(slot.meters);
                        }
                        LayerKind::Cache { config, .. } if index == self.stores.len() => {
                            self.stores.push(CacheState::new(*config, slot, number, model, layer.shared));
                        }
                        LayerKind::ConcurrencyLimit { config, .. } if index == self.limiters.len() => {
                            self.limiters.push(LimiterState::new(*config, slot.meters, now));
                        }
                        LayerKind::Throttle { config, .. } if index == self.throttles.len() => {
                            let throttle = Throttle::new(*config);
                            self.throttles.push(ThrottleState { throttle, meters: slot.meters });
                        }
                        LayerKind::Hedge { budget: Some(config), .. } if index == self.budgets.len() => {
                            self.budgets.push(AnyBudget::new(config, now));
                            self.budget_meters.push(slot.meters);
                        }
                        LayerKind::Hedge { delay: HedgeDelay::Percentile(config), .. }
                            if index == self.latencies.len() =>
                        {
                            self.latencies.push(Percentile::new(*config, now));
                        }
                        LayerKind::Connect(config) if index == self.connects.len() => {
                            self.connects.push(ConnectState::new(config));
                            self.connect_meters.push(slot.meters);
                        }
                        LayerKind::Deadline { .. } if index == self.deadline_meters.len() => {
                            self.deadline_meters.push(slot.meters);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// A change of settings happens: new requests and all states of layers follow the new ones.
    fn change_settings(&mut self, now: SimTime, change: u32) {
        let model = self.model;
        let epoch = self.script.transitions[self.epoch][change as usize] as usize;
        self.past.leave(std::mem::replace(&mut self.epoch, epoch));
        self.settle_instances();
        self.note(now, Change::Setting { change });
        for slot in &model.epochs[self.epoch].slots {
            for index in slot.first..slot.first + slot.count {
                self.reconfigure_state(now, slot, index);
            }
        }
        self.reconfigure_versions(now);
        self.retire_pools(now);
        self.start_pools(now);
        self.reconfigure_groups(now);
        self.reconfigure_volumes(now);
        for instance in 0..self.instances.len() as u32 {
            self.reset_environments(now, instance, false);
        }
        self.reconfigure_balancers(now);
        self.reconfigure_autoscalers(now);
        self.reconfigure_queues(now);
        for client in 0..self.sources.len() as u32 {
            self.reconfigure_source(now, client);
            self.reconfigure_tenants(now, client);
        }
    }

    /// One of the states of a layer follows new settings.
    fn reconfigure_state(&mut self, now: SimTime, slot: &SlotUse, index: u32) {
        let model = self.model;
        match &model.layers[slot.layer as usize].kind {
            LayerKind::Breaker(config) => self.breakers[index as usize].reconfigure(*config, now),
            LayerKind::Pool { config, .. } => {
                self.pool_states[index as usize].layer = slot.layer;
                self.reconfigure_pool(now, index as usize, *config);
            }
            LayerKind::Bulkhead { config } => {
                self.bulkheads[index as usize].reconfigure(*config);
                while let Some(frame) = self.bulkheads[index as usize].admit(now) {
                    self.bulkhead_admitted(now, index, frame);
                }
            }
            LayerKind::Retry { budget: Some(config), .. } | LayerKind::Hedge { budget: Some(config), .. } => {
                self.budgets[index as usize].reconfigure(config, now);
            }
            LayerKind::Hedge { delay: HedgeDelay::Percentile(config), .. } => {
                self.latencies[index as usize].reconfigure(*config);
            }
            LayerKind::Connect(config) => {
                self.connects[index as usize].idle.reconfigure(config.keep_alive, now);
            }
            LayerKind::RateLimit { config, .. } => {
                self.rate_limits[index as usize].reconfigure(*config, now);
                self.watch_line(now, index);
            }
            LayerKind::Cache { config, salt, .. } => {
                self.reconfigure_cache(now, index as usize, *config, *salt);
            }
            LayerKind::ConcurrencyLimit { config, .. } => {
                self.reconfigure_limiter(now, index as usize, *config);
            }
            LayerKind::Throttle { config, .. } => {
                self.throttles[index as usize].throttle.reconfigure(*config);
            }
            _ => {}
        }
    }

    /// Schedules an event after a delay that recurs, through the lane of that delay.
    #[inline]
    fn after(&mut self, delay: SimDuration, rank: Rank, event: Event) {
        let lane = self.queue.lane(delay, rank);
        let frames = &self.frames;
        self.queue.schedule_mortal(lane, event, |event| event.is_dead(frames));
    }

    /// Whether an answer from `frame` would still reach a client or a balancer that waits for it, or a cache that
    /// keeps it.
    fn is_awaited(&self, frame: FrameId) -> bool {
        let mut id = frame;
        loop {
            let Some(frame) = self.frames.get(id) else { return id.number_outside().is_some() };
            if frame.is_root() || self.is_kept(frame) {
                return true;
            }
            id = frame.parent;
        }
    }

    /// Puts a frame below its parent.
    // Always inlined: the frame is then made in its place in the arena, and not copied there.
    #[inline(always)]
    fn push_frame(&mut self, frame: Frame) -> FrameId {
        let parent = frame.parent;
        let id = self.frames.push(frame);
        if self.has_tables {
            self.inherit(parent, id);
        }
        id
    }

    /// The state of a layer that a call uses.
    #[inline]
    fn slot(&self, layer: u32, call: &Call) -> usize {
        self.model.layers[layer as usize].slot_of(call.owner)
    }
}
