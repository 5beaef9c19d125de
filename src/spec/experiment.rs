//! An experiment: a topology, variants of it, what happens to it, and what is expected.

use super::alert::Alert;
use super::blast::Blast;
use super::capacity::Capacity;
use super::cascade::Cascades;
use super::check_baseline::Check;
use super::compare::Compare;
use super::decode::{Anything, Context, Declarations, Decode, Map, Variant as _};
use super::failure::Failures;
pub use super::fault::{
    Action, ConfigPush, Crash, Down, Errors, FailOver, FaultView, Hang, Instances, KillQueries, Number,
    Restart, Revert, Set, Share, Slow, TrafficSpike,
};
use super::node::{Kind, Node};
use super::quantity::{Ratio, Seconds};
use super::rare::Rare;
use super::runbook::{Runbook, When};
use super::runs::{Runs, Warmup};
use super::source::{Places, Spanned};
use super::sweep::Sweep;
use super::tune::Tune;
use crate::{choice, record};
use std::collections::BTreeMap;

record! {
    /// What is done to a topology, how often, and what is expected of it.
    pub struct Experiment {
        /// What it is called, in reports and in the output folder; the file's name if not given.
        name: Option<String> = None,
        /// The topology: its file, relative to this one, or the topology itself.
        topology: TopologySource,
        /// The topology with other settings, by name; the topology as it is (`base`) if not given.
        variants: Map<Variant> = {},
        /// Simulated time before measuring begins; `Auto` looks for it in five runs that are played beforehand (MSER-5
        /// on what clients have in flight and on latency; the latest end of a transient counts, for all variants).
        warmup: Warmup = "0s",
        /// Simulated time in all, warm-up included.
        duration: Seconds,
        /// What happens when; a variant may add to it.
        timeline: Vec<At> = [],
        /// How many times each variant is run, each time with other random numbers; the same for all variants. Or how
        /// precise the answer is to be.
        runs: Runs = 10,
        /// The seed of all random numbers.
        seed: u64 = 42,
        /// What counts as working, by the name of the client population.
        objectives: Map<Objective> = {},
        /// What counts as recovered.
        recovery: Recovery = (),
        /// What is expected, by the name of the variant.
        expect: Map<Vec<Spanned<String>>> = {},
        /// What fails and is repaired at random, by name; a variant may add to it.
        failures: Map<Failures> = {},
        /// What would tell somebody, by name.
        alerts: Map<Alert> = {},
        /// Whether all metrics are kept second by second. Very long runs need no series, only what measures and
        /// faults ask for.
        series: bool = true,
        /// The share of the clients' requests that is traced, such as `"0.1%"`. `brownout run` writes what
        /// became of each of them into `traces.jsonl`, for Jaeger and the like.
        traces: Ratio = 0,
        /// What theory says of the system, for `brownout validate`.
        theory: Option<Theory> = None,
        /// How variants are compared, for `brownout compare`.
        compare: Option<Compare> = None,
        /// What `brownout check` compares with the baseline of this file.
        check: Option<Check> = None,
        /// What fails, one after another, for `brownout blast`.
        blast: Option<Blast> = None,
        /// How the answer moves with some settings, for `brownout sweep`.
        sweep: Option<Sweep> = None,
        /// Settings that are to be found, for `brownout tune`.
        tune: Option<Tune> = None,
        /// How much load the system can take, for `brownout capacity`.
        capacity: Option<Capacity> = None,
        /// What an outage is, for `brownout rare`.
        rare: Option<Rare> = None,
        /// What happens when something else does; a variant may add to it.
        when: Vec<When> = [],
        /// What people or machines do about it, by name; a variant may add to it.
        runbooks: Map<Runbook> = {},
        /// In which order components fall, by the name of the variant.
        cascades: Map<Cascades> = {},
    }
}

/// Where an experiment's topology is.
#[derive(Clone, Debug)]
pub enum TopologySource {
    /// In a file.
    File(Spanned<String>),
    /// Here.
    Inline(Node),
}

impl Decode for TopologySource {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Record { name: Some(name), .. } if name.value == "Topology" => {
                Some(Self::Inline(node.clone()))
            }
            Kind::Text(_) => Spanned::decode(node, cx).map(Self::File),
            _ => cx.expected(node, "the name of a file or `Topology(…)`"),
        }
    }
    fn type_name() -> String {
        "string or Topology".into()
    }
}

record! {
    /// What theory says of a system whose answer is known.
    pub struct Theory {
        /// Where the values come from: author, title, year, section.
        source: String,
        /// What is measured and what it must be.
        values: Map<KnownValue>,
    }
}

record! {
    /// A value that is known. The simulation agrees if its mean over the runs lies within the tolerance, and its 95 %
    /// confidence interval is narrow enough to tell.
    pub struct KnownValue as "Value" {
        /// The formula of what is measured, such as `mean of clients.users.latency`.
        of: Spanned<String>,
        /// What it is in theory, in seconds, per second, and so on.
        is: f64,
        /// How far the simulation may be off, relative to the value.
        within: Ratio = 0,
        /// How far it may be off in any case, in the value's own unit.
        absolute: f64 = 0,
        /// What is taken of the runs.
        over: Over = Mean,
        /// The variant; the first in order of name if not given.
        variant: Option<Spanned<String>> = None,
    }
}

choice! {
    /// What is taken of the values of all runs.
    pub enum Over {
        /// Their mean.
        Mean,
        /// The middle one.
        Median,
        /// The least.
        Min,
        /// The greatest.
        Max,
    }
}

record! {
    /// A variant: settings that differ, and what happens to it alone.
    pub struct VariantSettings as "Variant" {
        /// Settings by path, such as `"services.api.replicas": 24`.
        set: Map<Anything> = {},
        /// What happens to this variant in addition.
        timeline: Vec<At> = [],
        /// What fails at random in this variant in addition, or otherwise if the experiment has a failure of that name.
        failures: Map<Failures> = {},
        /// What happens to this variant when something else does, in addition.
        when: Vec<When> = [],
        /// What is done in this variant in addition, or otherwise if the experiment has a runbook of that name.
        runbooks: Map<Runbook> = {},
    }
}

impl Experiment {
    /// What reacts in a variant, in order of name: the experiment's runbooks and its own, which win.
    pub fn runbooks_of(&self, variant: &str) -> BTreeMap<&str, &Runbook> {
        let own = self.variants.get(variant).into_iter().flat_map(|v| v.0.runbooks.iter());
        self.runbooks.iter().chain(own).collect()
    }

    /// What waits for something else in a variant: the experiment's, then its own.
    pub fn when_of(&self, variant: &str) -> Vec<&When> {
        let own = self.variants.get(variant).into_iter().flat_map(|v| v.0.when.iter());
        self.when.iter().chain(own).collect()
    }

    /// What fails at random in a variant, in order of name: the experiment's failures and its own, which win.
    pub fn failures_of(&self, variant: &str) -> BTreeMap<&str, &Failures> {
        let own = self.variants.get(variant).into_iter().flat_map(|v| v.0.failures.iter());
        self.failures.iter().chain(own).collect()
    }
}

/// A variant, written as its settings alone or with a timeline.
#[derive(Clone, Debug)]
pub struct Variant(pub VariantSettings);

impl Decode for Variant {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => Map::<Anything>::decode(node, cx).map(|set| {
                Self(VariantSettings {
                    set,
                    timeline: Vec::new(),
                    failures: Map::default(),
                    when: Vec::new(),
                    runbooks: Map::default(),
                    span: node.span,
                    places: Places::default(),
                })
            }),
            _ => VariantSettings::decode_as("Variant", node, cx).map(Self),
        }
    }
    fn type_name() -> String {
        "Variant or settings by path".into()
    }
    fn declare(into: &mut Declarations) {
        VariantSettings::declare(into);
    }
}

record! {
    /// Something that happens at a moment.
    pub struct At [at, action] {
        /// When, from the start of the run.
        at: Seconds,
        /// What.
        action: Action,
    }
}

record! {
    /// What counts as working for a client population.
    pub struct Objective {
        /// The share of requests that must succeed.
        availability: Ratio = "99%",
        /// Limits on latency by percentile, such as `"p95": "200ms"`.
        latency: Map<Seconds> = {},
        /// Whether a wrong answer (see `WrongAnswers`) counts as a failure in what is said of recovery; if not, it
        /// looks like a success there, as it does to whoever got it.
        right: bool = false,
        /// What the error budget is for: as many requests may fail as `availability` allows of those that come in this
        /// time at the rate of normal operation.
        period: Seconds = "30d",
        /// The same for single requests of the population, such as `"api/list": Objective(latency: { "p99": "1s" })`.
        /// They are told and can be expected (`objectives.users.api/list.budget_left`); recovery looks at the
        /// population as a whole.
        endpoints: Map<Objective> = {},
    }
}

record! {
    /// When a system has recovered from a fault: its objectives hold again, goodput is back, and both stay so. Counts
    /// may stray by three standard deviations of a Poisson count: take longer windows where requests are few.
    pub struct Recovery {
        /// Objectives are judged over windows of this length.
        window: Seconds = "10s",
        /// How long they must hold.
        stable: Seconds = "30s",
        /// The share of the goodput before the fault that must be back.
        goodput: Ratio = "90%",
        /// The target for the time to recover (RTO) from each fault, which every variant that is struck is expected to
        /// meet: `faults.NAME.recover`.
        rto: Option<Spanned<Seconds>> = None,
        /// The target for what may be lost (RPO) by each fault, as the age of the oldest write that was acknowledged
        /// and lost: `faults.NAME.rpo`, of variants whose databases fail over.
        rpo: Option<Spanned<Seconds>> = None,
        /// The variants that are to meet these targets; all if none is given.
        targets_of: Vec<Spanned<String>> = [],
        /// What a request is worth that was not served, in the currency of the prices: part of `faults.NAME.cost`.
        lost_request: f64 = 0,
    }
}
