//! What is looked at in every run: each client population and its requests, each component.

use super::compare::Frame;
use crate::base::SimTime;
use crate::experiment::plan::VariantPlan;
use crate::experiment::results::FaultRun;
use crate::experiment::run::{Played, merged};
use crate::metrics::Source;
use crate::model::GroupKind;

/// Who may suffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sufferer {
    /// The name; of requests `component/endpoint`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client population.
    Clients,
    /// A kind of request of the population with this number among the sufferers.
    Request(usize),
    /// A balancer.
    Balancer,
    /// A service.
    Service,
    /// A database.
    Database,
    /// An external dependency.
    External,
}

impl Kind {
    /// Whether it is a population or one of its requests.
    pub fn is_client(self) -> bool {
        matches!(self, Self::Clients | Self::Request(_))
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Request(_) => "request",
            Self::Balancer => "balancer",
            Self::Service => "service",
            Self::Database => "database",
            Self::External => "external",
        }
    }
}

/// Where the metrics of a sufferer are.
#[derive(Clone, Debug)]
struct Place {
    red: u32,
    /// The timer of its latency: of a population that of requests that end well, of others that of all.
    timer: u32,
    /// What is at its end when it is 1: workers, CPU.
    usage: Vec<Source>,
    /// Columns of requests that ended, and that ended well, second by second.
    ended: usize,
    good: usize,
    /// Columns of `usage`.
    used: Vec<usize>,
}

/// What is looked at in the runs of a variant of one plan.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Who may suffer.
    pub sufferers: Vec<Sufferer>,
    places: Vec<Place>,
    width: usize,
}

impl Watch {
    /// Looks at everything in a variant, and has it recorded.
    pub fn new(variant: &mut VariantPlan) -> Self {
        let VariantPlan { model, recorded, .. } = variant;
        let (mut sufferers, mut found) = (Vec::new(), Vec::new());
        let mut add = |name: &str, kind, red: u32, timer: u32, usage: Vec<Source>| {
            sufferers.push(Sufferer { name: name.to_string(), kind });
            found.push((red, timer, usage));
            sufferers.len() - 1
        };
        for (client, meters) in model.clients.iter().zip(&model.catalog.clients) {
            let population = add(&client.name, Kind::Clients, meters.red, meters.success, Vec::new());
            for (number, request) in client.requests.iter().enumerate() {
                let red = meters.requests + number as u32;
                add(request, Kind::Request(population), red, red, Vec::new());
            }
        }
        for (balancer, meters) in model.balancers.iter().zip(&model.catalog.balancers) {
            add(&balancer.name, Kind::Balancer, meters.red, meters.red, Vec::new());
        }
        for (group, meters) in model.groups.iter().zip(&model.catalog.groups) {
            let (kind, family) = match group.kind {
                GroupKind::Service => (Kind::Service, "services"),
                GroupKind::Database => (Kind::Database, "databases"),
                GroupKind::External => (Kind::External, "externals"),
            };
            let path = |metric: &str| format!("{family}.{}.{metric}", group.name);
            let usage = ["worker_utilization", "cpu_utilization"].into_iter();
            let usage = usage.filter_map(|m| model.catalog.find(&path(m))).map(|m| m.source);
            add(&group.name, kind, meters.red, meters.red, usage.collect());
        }
        let places = found.into_iter().map(|(red, timer, usage)| Place {
            red,
            timer,
            ended: recorded.column(Source::Throughput(red)),
            good: recorded.column(Source::Goodput(red)),
            used: usage.iter().map(|source| recorded.column(*source)).collect(),
            usage,
        });
        let places = places.collect();
        Self { sufferers, places, width: recorded.columns.len() }
    }
}

/// What was seen of one run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Events played.
    pub events: u64,
    /// What the failure did to the system as a whole; none if nothing failed.
    pub fault: Option<FaultRun>,
    /// What was seen of each sufferer.
    pub each: Vec<SeenOf>,
}

/// What was seen of one sufferer in one run.
#[derive(Clone, Debug)]
pub struct SeenOf {
    /// Requests begun while the failure lasts, per second.
    pub rate: f64,
    /// Requests that end well meanwhile, per second.
    pub goodput: f64,
    /// The share of errors meanwhile.
    pub errors: Option<f64>,
    /// The 99 % quantile of latency meanwhile, in seconds: for populations of requests that end well.
    pub p99_s: Option<f64>,
    /// The greatest share in use of workers or CPU meanwhile.
    pub usage: Option<f64>,
    /// Requests that end well from the failure's start to the end of the run.
    pub good: f64,
    /// The same, second by second from the failure's start on.
    pub good_by_second: Vec<f64>,
    /// The share of errors second by second; 0 where nothing ends.
    pub errors_by_second: Vec<f64>,
    /// The share in use second by second.
    pub usage_by_second: Vec<f64>,
}

impl Seen {
    /// What there is to see in a run.
    pub fn of(
        played: &Played,
        variant: &VariantPlan,
        fault: Option<FaultRun>,
        watch: &Watch,
        frame: &Frame,
    ) -> Self {
        let windows = &played.record.windows;
        let during = merged(windows, frame.start, frame.end, variant);
        let since = merged(windows, frame.start, frame.finish, variant);
        let seconds = (frame.finish.since(frame.start)).seconds();
        let number = |source| during.value(source).unwrap_or(0.0);
        let first = second(frame.start);
        let rows = played.record.rows.chunks(watch.width.max(1)).skip(first);
        let rows: Vec<&[f64]> = rows.collect();
        let column = |at: usize| rows.iter().map(move |row| row.get(at).copied().unwrap_or(f64::NAN));
        let zero = |x: f64| if x.is_nan() { 0.0 } else { x };
        let each = watch.places.iter().map(|place| {
            let good_by_second: Vec<f64> = column(place.good).map(zero).collect();
            let ended = column(place.ended).map(zero);
            let errors = ended.zip(&good_by_second);
            let used = |row: &&[f64]| {
                place.used.iter().filter_map(|at| row.get(*at)).copied().map(zero).fold(0.0, f64::max)
            };
            SeenOf {
                rate: number(Source::Rate(place.red)),
                goodput: number(Source::Goodput(place.red)),
                errors: during.value(Source::ErrorRatio(place.red)),
                p99_s: during.value(Source::TimerQuantile(place.timer, 0.99)),
                usage: place.usage.iter().filter_map(|source| during.value(*source)).reduce(f64::max),
                good: since.value(Source::Goodput(place.red)).unwrap_or(0.0) * seconds,
                errors_by_second: errors.map(|(e, g)| if e > 0.0 { 1.0 - g / e } else { 0.0 }).collect(),
                good_by_second,
                usage_by_second: rows.iter().map(used).collect(),
            }
        });
        Self { events: played.summary.events, fault, each: each.collect() }
    }
}

/// The number of the second that begins at an instant, or in which it lies.
fn second(at: SimTime) -> usize {
    at.seconds() as usize
}
