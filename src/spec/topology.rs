//! A system as its team describes it.

use super::autoscaler::Autoscaler;
use super::balancer::BalancerProduct;
use super::balancing::{
    EnvoyPeakEwma, HaproxyConsistentHash, LeastRequest, Maglev, PeakEwma, PowerOfChoices, SlowStart,
    Stickiness, ZoneRouting,
};
use super::cost::{Logs, Prices, Purchase};
use super::count::NumberDistribution;
use super::csv_file::{RatesFile, TimesFile, WeightsFile};
pub use super::database::{Contention, Failover, Io, Lock, Replication, Storage};
use super::decode::Map;
use super::dist::Distribution;
use super::life::{EcsService, Probe, Restart, Termination};
use super::policy::concurrency::Admission;
use super::policy::{Layer, Retry};
use super::pooler::Pooler;
use super::quantity::{Cores, Rate, Ratio, Seconds, Size};
use super::queue::{MessageQueue, Publish};
use super::runtime::{Cfs, Runtime};
use super::shedding::Shedding;
use super::source::Spanned;
pub use super::waiting::{Discipline, Queue};
use crate::{choice, record};

record! {
    /// A system: who asks, what answers, and the policies between them.
    pub struct Topology {
        /// What it is called, in reports and in the output folder.
        name: String,
        /// Files merged underneath this one, relative to it; this file's settings win.
        include: Vec<String> = [],
        /// Who sends requests.
        clients: Map<Clients> = {},
        /// Load balancers in front of services.
        balancers: Map<Balancer> = {},
        /// Services that run in replicas.
        services: Map<Service> = {},
        /// Databases.
        databases: Map<Database> = {},
        /// Dependencies outside the system.
        externals: Map<External> = {},
        /// Stacks of layers, by the name that calls go `through`; outermost layer first.
        policies: Map<Vec<Layer>> = {},
        /// What changes the number of replicas of services.
        autoscalers: Map<Autoscaler> = {},
        /// Message queues: work that is done later, by whoever consumes them.
        queues: Map<MessageQueue> = {},
        /// What is paid for beside instances, balancers and requests.
        prices: Prices = (),
    }
}

// ---- clients ----

record! {
    /// A population that sends requests.
    pub struct Clients {
        /// When requests are sent.
        arrivals: Arrivals,
        /// How the rate (or the number of users) changes over time; several multiply. Recorded times and renewal
        /// arrivals are played faster or slower.
        profile: Vec<Profile> = [],
        /// What is asked for: `component/endpoint` and how often, relative to the others.
        requests: Map<f64>,
        /// Which of many things a request asks for: what caches keep answers by, and what a hash ring follows.
        keys: Option<Keys> = None,
        /// Parts of the population that are told apart.
        tenants: Map<Tenant> = {},
        /// Priority of the requests, higher first, where a queue looks at it.
        priority: u8 = 0,
        /// How long a client waits for an answer; the system is not told when it stops waiting.
        timeout: Option<Seconds> = None,
        /// How clients try again. The timeout holds for each attempt.
        retry: Option<Retry> = None,
        /// How long a client waits in all before it gives up and calls the request off.
        patience: Option<Distribution> = None,
        /// The policy around each request, inside timeout and retry.
        through: Option<Spanned<String>> = None,
    }
}

record! {
    /// A part of a population.
    pub struct Tenant {
        /// Its share of the requests, relative to the other tenants.
        share: f64,
        /// Its priority; the population's if not given.
        priority: Option<u8> = None,
    }
}

record! {
    /// Independent requests at random moments.
    pub struct Poisson [rate] {
        /// How many per second on average.
        rate: Rate,
    }
}
record! {
    /// Requests at equal distances; the first comes after half a distance.
    pub struct Regular [rate] {
        /// How many per second.
        rate: Rate,
    }
}
record! {
    /// Requests at random distances from any distribution.
    pub struct Renewal [interval] {
        /// The time from one request to the next.
        interval: Distribution,
    }
}
record! {
    /// One state of a Markov-modulated Poisson process.
    pub struct MmppState [rate, mean] {
        /// The rate in this state.
        rate: Rate,
        /// The mean time spent in it, exponentially distributed.
        mean: Seconds,
    }
}
record! {
    /// Poisson requests whose rate jumps from state to state: bursts.
    pub struct Mmpp [states] {
        /// The states, visited in order and round again.
        states: Vec<MmppState>,
    }
}
record! {
    /// Requests at the recorded times of a CSV file.
    pub struct Times [file] {
        /// The file, relative to this one: one column, seconds from the start.
        file: TimesFile,
    }
}
record! {
    /// Poisson requests whose rate follows a CSV file.
    pub struct Rates [file] {
        /// The file, relative to this one: seconds from the start, requests per second; straight lines between.
        file: RatesFile,
    }
}
record! {
    /// A fixed number of users who wait for an answer, think, and ask again (a closed loop).
    pub struct Users [count, think] {
        /// How many.
        count: u32,
        /// How long each thinks between an answer and the next request.
        think: Distribution,
    }
}

record! {
    /// Batches of requests at random moments: jobs that a schedule starts, pages that ask for many things at once.
    pub struct Batches [rate, size] {
        /// How many batches per second on average.
        rate: Rate,
        /// How many requests each batch has; all of them come at the same instant.
        size: NumberDistribution,
    }
}

record! {
    /// Keys of which a few are asked for often: key i, from 1 on, in proportion to i^-exponent.
    pub struct ZipfKeys as "Zipf keys" {
        /// How many keys there are.
        count: u32,
        /// How unequal they are; 0 is not at all.
        exponent: f64,
    }
}
record! {
    /// Keys that are all asked for equally often.
    pub struct UniformKeys as "Uniform keys" {
        /// How many keys there are.
        count: u32,
    }
}
record! {
    /// Keys as often asked for as a CSV file says.
    pub struct FileKeys [file] as "File keys" {
        /// The file, relative to this one: one column, the weight of key 1, of key 2 and so on.
        file: WeightsFile,
    }
}
choice! {
    /// What a request asks for: one key for the request and all calls that it leads to. Key 1 of one population is the
    /// same thing as key 1 of another. Health checks ask for one thing of their own.
    pub enum Keys {
        /// A few are asked for often.
        Zipf(ZipfKeys),
        /// All equally often.
        Uniform(UniformKeys),
        /// As recorded.
        File(FileKeys),
    }
}

choice! {
    /// When requests are sent.
    pub enum Arrivals {
        /// Independent requests at random moments (open loop).
        Poisson(Poisson),
        /// Requests at equal distances (open loop).
        Regular(Regular),
        /// Requests at random distances (open loop).
        Renewal(Renewal),
        /// Bursts: a Poisson process whose rate jumps (open loop).
        Mmpp(Mmpp),
        /// Recorded times (open loop).
        Times(Times),
        /// A recorded rate (open loop).
        Rates(Rates),
        /// Users who wait for the answer before they ask again (closed loop).
        Users(Users),
        /// Batches at random moments, all requests of one at the same instant (open loop).
        Batches(Batches),
    }
}

record! {
    /// A factor from a moment on.
    pub struct Point [at, factor] {
        /// From when.
        at: Seconds,
        /// The factor on the rate.
        factor: f64,
    }
}
record! {
    /// A factor that jumps.
    pub struct Steps [points] {
        /// The jumps, in order of time; before the first the factor is 1.
        points: Vec<Point>,
    }
}
record! {
    /// A factor that moves along straight lines.
    pub struct Piecewise [points] {
        /// The corners, in order of time; constant before the first and after the last.
        points: Vec<Point>,
    }
}
record! {
    /// A factor that moves from one value to another.
    pub struct Ramp {
        /// The factor before.
        from: f64 = 1.0,
        /// The factor after.
        to: f64,
        /// When it begins to move.
        start: Seconds = "0s",
        /// How long it takes.
        lasts: Seconds,
    }
}
record! {
    /// A factor that swings like a sine: 1 + amplitude x sin(2 pi (t - shift) / period).
    pub struct Diurnal {
        /// The length of a day.
        period: Seconds = "24h",
        /// How far it swings.
        amplitude: Ratio,
        /// When it first rises through 1.
        shift: Seconds = "0s",
    }
}
record! {
    /// A factor for a while.
    pub struct Spike {
        /// From when.
        at: Seconds,
        /// The factor.
        factor: f64,
        /// For how long.
        lasts: Seconds,
    }
}

choice! {
    /// How the rate changes over time.
    pub enum Profile {
        /// Jumps.
        Steps(Steps),
        /// Straight lines.
        Piecewise(Piecewise),
        /// From one value to another.
        Ramp(Ramp),
        /// Day and night.
        Diurnal(Diurnal),
        /// A factor for a while.
        Spike(Spike),
    }
}

// ---- balancers ----

record! {
    /// A load balancer in front of one service.
    pub struct Balancer {
        /// The service it balances.
        targets: Spanned<String>,
        /// How it chooses a target.
        policy: BalancerPolicy = RoundRobin,
        /// Weights of the targets in order of replica; 1 if not given. `RoundRobin`, `Random`, `LeastOutstanding`,
        /// `PowerOfTwo`, `PowerOfChoices`, `PeakEwma` and `EnvoyPeakEwma` do not mind them.
        weights: Vec<u32> = [],
        /// How it finds out which targets are healthy; without it all are taken to be.
        health_check: Option<HealthCheck> = None,
        /// What it does when it believes no target healthy.
        when_none_healthy: WhenNoneHealthy = FailOpen,
        /// How long a target that is taken out may finish its requests before they are cut off.
        deregistration_delay: Seconds = "300s",
        /// How long it waits for a target's answer before it gives up (a 504).
        idle_timeout: Option<Seconds> = None,
        /// How targets that have become healthy get their share; at once if not given.
        slow_start: Option<SlowStart> = None,
        /// Whether the requests of a session go to one target.
        stickiness: Option<Stickiness> = None,
        /// Whether it minds the zones of the service.
        zone_routing: ZoneRouting = CrossZone,
        /// Whose it is. What an ALB is told by `health_check`, `when_none_healthy` and `idle_timeout`, other
        /// products are told in here, in their own words.
        product: BalancerProduct = Alb,
        /// What it costs per hour, in any currency, for the metrics `cost`.
        price_per_hour: f64 = 0,
        /// What a GB of answers through it costs (with an ALB, capacity units).
        price_per_gb: f64 = 0,
    }
}

record! {
    /// Places each target many times on a ring and follows it from the request's key (Envoy 1.40.0 `RING_HASH`).
    pub struct RingHash {
        /// The fewest places on the ring (`minimum_ring_size`).
        ring_size: u32 = 1024,
        /// The most that a target may have in flight, in per cent of the mean, 100 or more: others than the key's own
        /// target are tried then, in an order that is always the same for one key. A target that has exactly that much
        /// takes one more. Without it there is no limit.
        hash_balance_factor: Option<u32> = None,
    }
}

choice! {
    /// How a balancer chooses a target.
    pub enum BalancerPolicy {
        /// One after the other.
        RoundRobin,
        /// One after the other in proportion to their weights (nginx 1.22.1, smooth weighted round robin): weights 5, 1
        /// and 2 give ACAABACA. Envoy and HAProxy have other orders for the same weights.
        WeightedRoundRobin,
        /// Any, equally likely.
        Random,
        /// Any, in proportion to their weights.
        WeightedRandom,
        /// The one with the fewest requests in flight; ties at random.
        LeastOutstanding,
        /// The better of two drawn at random.
        PowerOfTwo,
        /// By the hash of the request's key, so that the same key meets the same target.
        RingHash(RingHash),
        /// Envoy 1.40.0 `ROUND_ROBIN`: turns by due dates, from a point that each balancer draws; a change of targets,
        /// health or weights begins a new schedule. Weights 5, 1 and 2 give AACAABCA.
        EnvoyRoundRobin,
        /// HAProxy 2.6.12 `roundrobin`: weights 5, 1 and 2 give AACAABAC. Who comes up waits about its share of a
        /// round.
        HaproxyRoundRobin,
        /// HAProxy 2.6.12 `leastconn`: the fewest requests in flight, one more included, for its weight; but idle
        /// targets come first, whatever they weigh, and equals take turns.
        LeastConn,
        /// nginx 1.22.1 `least_conn`: the fewest requests in flight for its weight; equals take weighted turns.
        NginxLeastConn,
        /// The best of some random draws (Envoy).
        LeastRequest(LeastRequest),
        /// The best of some different targets drawn at random.
        PowerOfChoices(PowerOfChoices),
        /// By recent latency times requests in flight (Finagle).
        PeakEwma(PeakEwma),
        /// By recent latency times requests in flight (Envoy).
        EnvoyPeakEwma(EnvoyPeakEwma),
        /// By the hash of the request's key through a table (Envoy).
        Maglev(Maglev),
        /// By the hash of the request's key on a ring (HAProxy).
        HaproxyConsistentHash(HaproxyConsistentHash),
    }
}

choice! {
    /// What a balancer does when it believes no target healthy.
    pub enum WhenNoneHealthy {
        /// Sends to all targets, as AWS's ALB does.
        FailOpen,
        /// Answers that the service is unavailable (a 503), as nginx and HAProxy do.
        Refuse,
    }
}

choice! {
    /// What a balancer believes of a target before the first check.
    pub enum InitialHealth {
        /// Nothing: the first passed check makes it healthy (a newly registered target of an ALB).
        Initial,
        /// That it is healthy.
        Healthy,
        /// That it is not.
        Unhealthy,
    }
}

record! {
    /// Checks that a balancer makes on each target: requests like any other, through the same workers.
    pub struct HealthCheck {
        /// The endpoint that is asked.
        endpoint: Spanned<String>,
        /// The time from one check to the next; a slow answer does not shift the schedule.
        interval: Seconds = "30s",
        /// The longest wait for an answer.
        timeout: Seconds = "5s",
        /// Passed checks in a row that make an unhealthy target healthy.
        healthy: u32 = 5,
        /// Failed checks in a row that make a healthy target unhealthy.
        unhealthy: u32 = 2,
        /// What is believed at the start of the run; targets that join later start as `Initial`.
        initial: InitialHealth = Healthy,
    }
}

// ---- what answers ----

record! {
    /// A service that runs in replicas.
    pub struct Service {
        /// How many instances run.
        replicas: u32 = 1,
        /// Requests that an instance executes at once; a worker is held across calls. Without a number the
        /// service is asynchronous: it executes any number.
        workers: Option<u32> = None,
        /// Where requests wait for a worker.
        queue: Queue = (),
        /// The CPU of each instance; without it `Work` takes its time as if there were a core for everyone.
        cpu: Option<Cpu> = None,
        /// The memory of each instance; without it memory does not matter.
        memory: Option<Memory> = None,
        /// How long an instance works on a request before it answers that it timed out; the clock starts when
        /// the request is taken by a worker, and calls that are under way go on for nobody.
        request_timeout: Option<Seconds> = None,
        /// The time from a crash or a kill to the start of the new process.
        restart_delay: Distribution = "0s",
        /// The time from the start of the process until it answers.
        start_up: Distribution = "0s",
        /// What can be asked for, each a program of steps.
        endpoints: Map<Vec<Step>>,
        /// What each instance costs per hour, in any currency, for the metrics `cost`. It is paid for as long as the
        /// instance should be there, whether it answers or not.
        price_per_hour: f64 = 0,
        /// A concurrency limit at the door of each instance; without it everything comes in.
        admission: Option<Admission> = None,
        /// The availability zones that the instances are spread over, one after the other; at most 16. With two
        /// zones the third instance is in the first again.
        zones: Vec<String> = [],
        /// Kubernetes' startup probe: the other two do nothing until it has passed, and a failure kills the instance.
        startup_probe: Option<Probe> = None,
        /// Kubernetes' readiness probe: an instance that has not passed it gets no direct calls and is no target of
        /// balancers. It never kills. There is no failing open: if no instance is ready, calls fail.
        readiness_probe: Option<Probe> = None,
        /// Kubernetes' liveness probe: a failure kills the instance, which then starts again.
        liveness_probe: Option<Probe> = None,
        /// When an instance starts again.
        restart: Restart = Delayed,
        /// How an instance ends that is taken out. Without it, it leaves its balancers at once, finishes its requests
        /// within their `deregistration_delay`, and is gone.
        termination: Option<Termination> = None,
        /// Amazon ECS, which replaces instances that are found unhealthy.
        ecs: Option<EcsService> = None,
        /// What each process runs in.
        runtime: Runtime = (),
        /// Runs it as an AWS Lambda function; it has one replica then, no `workers`, and no queue.
        lambda: Option<super::lambda::Lambda> = None,
        /// When requests of low priority are turned away at the door of an instance; without it never. They end as
        /// `Rejected`.
        shedding: Option<Shedding> = None,
        /// How its instances are bought.
        purchase: Purchase = OnDemand,
        /// How many bytes an answer of each endpoint has; of those that are not listed, none.
        answers: Map<Size> = {},
        /// What is logged, at the price that `prices` say.
        logs: Option<Logs> = None,
    }
}

choice! {
    /// How running work shares the cores.
    pub enum CpuDiscipline {
        /// All at once, each with an equal share, at most one core each.
        ProcessorSharing,
        /// One piece of work per core, the others wait their turn.
        Fifo,
        /// One piece of work per core: those of the requests with the highest priority, first come first served
        /// within one. They take the cores from others at once; what was interrupted goes on later where it was.
        Priority,
    }
}

record! {
    /// The CPU of an instance.
    pub struct Cpu {
        /// The cores it has.
        cores: Cores,
        /// The most cores it may use, as a container's CPU limit.
        limit: Option<Cores> = None,
        /// How work shares the cores.
        discipline: CpuDiscipline = ProcessorSharing,
        /// How the limit is enforced. Without it work runs evenly at the speed that it allows.
        quota: Option<Cfs> = None,
    }
}

record! {
    /// The memory of an instance. Beyond the limit it is killed and starts again.
    pub struct Memory {
        /// The most it may use.
        limit: Size,
        /// What it uses without any request.
        base: Size = "0B",
        /// What each request takes while it is executed.
        per_request: Size = "0B",
        /// What each request leaves behind for as long as the process lives: a leak.
        leak_per_request: Size = "0B",
    }
}

record! {
    /// A database: one server with cores, and a limit on connections.
    pub struct Database {
        /// Its cores.
        cores: Cores,
        /// How running queries share the cores.
        discipline: CpuDiscipline = ProcessorSharing,
        /// The most connections (PostgreSQL's `max_connections`).
        max_connections: u32 = 100,
        /// Connections kept for administrators (`superuser_reserved_connections`).
        reserved: u32 = 3,
        /// The time from a crash to the start of the new process.
        restart_delay: Distribution = "0s",
        /// The time from the start of the process until it answers.
        start_up: Distribution = "0s",
        /// What can be asked, each a program of steps without calls.
        queries: Map<Vec<Step>>,
        /// What it costs per hour, in any currency, for the metrics `cost`.
        price_per_hour: f64 = 0,
        /// The longest time that it works on a query (PostgreSQL's `statement_timeout`); the query then ends as
        /// `Timeout`. Without it there is no limit.
        statement_timeout: Option<Seconds> = None,
        /// The longest wait for a lock (PostgreSQL's `lock_timeout`); the query then fails. Without it there is none.
        lock_timeout: Option<Seconds> = None,
        /// What its `Io` steps are served by.
        storage: Option<Storage> = None,
        /// How queries that run at once slow each other down.
        contention: Option<Contention> = None,
        /// The database that this one is the read replicas of.
        replication: Option<Replication> = None,
        /// The queries that write: replicas have to apply them.
        writes: Vec<Spanned<String>> = [],
        /// What happens when the server is lost; without it, it is waited for.
        failover: Option<Failover> = None,
        /// Over how many servers the data is spread, by the request's key; a request without a key goes to any. The
        /// settings are those of each; connections are counted over all of them.
        shards: u32 = 1,
        /// The work on its CPU for each new connection: a process, TLS, authentication; 5 to 50 ms in practice. The
        /// connection counts from the start of that work. One that is refused, as there are too many, costs nothing.
        connect_cost: Distribution = "0s",
        /// A proxy in front of it, shared by all callers.
        pooler: Option<Pooler> = None,
        /// The availability zones that its servers are spread over, one after the other; at most 16.
        zones: Vec<String> = [],
    }
}

record! {
    /// One thing that an external dependency answers.
    pub struct ExternalEndpoint {
        /// The time to answer.
        latency: Distribution,
        /// The share of answers that are errors.
        error_ratio: Ratio = 0,
    }
}

record! {
    /// A dependency outside the system: it answers after a time, whatever the load.
    pub struct External {
        /// The time to answer, for endpoints that are not listed.
        latency: Distribution,
        /// The share of answers that are errors, for endpoints that are not listed.
        error_ratio: Ratio = 0,
        /// The most requests it works on; more are rejected.
        max_in_flight: Option<u32> = None,
        /// Endpoints with a time of their own; any other name is answered too.
        endpoints: Map<ExternalEndpoint> = {},
        /// What each request that reaches it costs, in any currency, for the metrics `cost`.
        price_per_request: f64 = 0,
        /// The wait that those are told who are rejected (`Retry-After`); retries obey it in their own ways.
        retry_after: Option<Seconds> = None,
        /// How many bytes its answers have.
        answer: Size = "0B",
        /// Whether they come through the NAT gateway of `prices`; not so through an endpoint within the cloud.
        through_nat: bool = true,
    }
}

// ---- programs ----

record! {
    /// Uses the CPU.
    pub struct Work [time] {
        /// For how long, on a core of its own.
        time: Distribution,
    }
}
record! {
    /// Waits without using the CPU.
    pub struct Wait [time] {
        /// For how long.
        time: Distribution,
    }
}
record! {
    /// Asks another component and waits for the answer. If the call fails, so does the request.
    pub struct Call [to, through] {
        /// What is asked: `component/endpoint`.
        to: Spanned<String>,
        /// The policy around the call.
        through: Option<Spanned<String>> = None,
    }
}
record! {
    /// Runs several programs at once.
    pub struct Parallel {
        /// The programs.
        branches: Vec<Vec<Step>>,
        /// How many must succeed before the request goes on. It fails as soon as that cannot happen any more;
        /// branches that are not waited for work on for nobody.
        need: Need = All,
    }
}
record! {
    /// At least this many.
    pub struct AtLeast [count] {
        /// How many.
        count: u32,
    }
}
choice! {
    /// How many branches must succeed.
    pub enum Need {
        /// All of them.
        All,
        /// One of them.
        Any,
        /// A number of them.
        AtLeast(AtLeast),
    }
}
record! {
    /// One way to go on.
    pub struct Way [weight, steps] {
        /// How often, relative to the other ways.
        weight: f64,
        /// What is done then; may be nothing.
        steps: Vec<Step>,
    }
}
record! {
    /// Goes on in one of several ways, at random.
    pub struct Choose [ways] {
        /// The ways.
        ways: Vec<Way>,
    }
}
record! {
    /// Does the same several times, one after the other.
    pub struct Repeat [times, steps] {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    }
}
record! {
    /// A part that may be missing: if it fails, the request goes on and its answer is degraded.
    pub struct Optional [steps] {
        /// What.
        steps: Vec<Step>,
    }
}
record! {
    /// Takes memory until the request ends.
    pub struct Hold [size] {
        /// How much.
        size: Size,
    }
}
record! {
    /// Fails the request.
    pub struct Fail [ratio] {
        /// How often.
        ratio: Ratio = 1,
    }
}

record! {
    /// Does the same zero or more times, one after the other: before each round it goes on with a chance, anew.
    pub struct While [chance, steps] {
        /// The chance of one more round. There are chance / (1 - chance) rounds on average.
        chance: Ratio,
        /// What a round does.
        steps: Vec<Step>,
    }
}

choice! {
    /// A step of a program.
    pub enum Step {
        /// Uses the CPU.
        Work(Work),
        /// Waits without using the CPU.
        Wait(Wait),
        /// Asks another component.
        Call(Call),
        /// Runs several programs at once.
        Parallel(Parallel),
        /// Goes on in one of several ways.
        Choose(Choose),
        /// Does the same several times.
        Repeat(Repeat),
        /// A part that may be missing.
        Optional(Optional),
        /// Takes memory until the request ends.
        Hold(Hold),
        /// Fails the request.
        Fail(Fail),
        /// Does the same again and again, as long as chance will have it.
        While(While),
        /// Uses the storage of a database.
        Io(Io),
        /// Does something under a lock.
        Lock(Lock),
        /// Puts a message into a queue.
        Publish(Publish),
    }
}
