//! If X fails, what else breaks, for every X?
//!
//! Every component fails in turn, alone, while the system is played as it always is; every run has a twin with the
//! same number in which nothing fails. Both are played on the same random numbers, so the difference between them is
//! what the failure did: the goodput that clients lost, the errors they got in addition, how slow they became, how
//! long it took, and which components fell although nothing had struck them.
//!
//! Invariant: runs are compared in order of fault, variant and run, whoever played them.

mod compare;
pub(super) mod prepare;
mod rows;
mod watch;

use super::plan::{Changes, Plan};
use super::results::Verdict;
use super::run::{Progress, RunError, play};
use super::study::{Mistakes, Study};
use super::team::Team;
use super::{judge, recovery};
use crate::metrics::{Estimate, Proportion};
use crate::sim::Stop;
use crate::spec::blast::Blast;
use crate::spec::expression::{Limits, Operator};
use compare::Frame;
use watch::{Seen, Watch};

pub use prepare::{Wishes, study};
pub use rows::{Blow, Struck, action};
pub use watch::{Kind, Sufferer};

/// What the failures did.
#[derive(Clone, Debug)]
pub struct BlastResult {
    /// The experiment's name.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each failure in each variant.
    pub runs: u32,
    /// Simulated seconds of each run, warm-up included.
    pub duration_s: f64,
    /// Simulated seconds before measuring began.
    pub warmup_s: f64,
    /// When the failure begins, from the start of the run.
    pub start_s: f64,
    /// When it ends.
    pub end_s: f64,
    /// Events played, all together.
    pub events: u64,
    /// The question: what counts as a single point of failure, and so on.
    pub question: Blast,
    /// The variants, in order of name.
    pub variants: Vec<BlastVariant>,
}

/// What the failures did to a variant.
#[derive(Clone, Debug)]
pub struct BlastVariant {
    /// Its name; `base` for a topology as it is.
    pub name: String,
    /// Who may suffer: client populations, each with its requests, then balancers, services, databases, externals.
    pub sufferers: Vec<Sufferer>,
    /// How each of them does while nothing fails, over the same time.
    pub normal: Vec<Normal>,
    /// The failures, worst first.
    pub failures: Vec<Failure>,
}

/// How somebody does while nothing fails.
#[derive(Clone, Debug)]
pub struct Normal {
    /// Requests that end well, per second.
    pub goodput: Option<Estimate>,
    /// The share of errors.
    pub errors: Option<Estimate>,
    /// The latency that 99 % stay below, in seconds.
    pub p99_s: Option<Estimate>,
}

/// A failure and what it did.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its name for machines, such as `db:down` or `shop/1:slow*10`; pairs are joined by `+`.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// What was struck: one component, or two.
    pub struck: Vec<Struck>,
    /// What became of everybody, in the order of the variant's sufferers.
    pub suffered: Vec<Suffered>,
    /// For each client population and request, whether this takes as much of it as a single point of failure does:
    /// the sufferer's number and the verdict. Failed ones are left out.
    pub takes: Vec<(usize, Verdict)>,
    /// Whether clients notice.
    pub is_noticed: bool,
    /// The components that fall with it, in the order in which they fall.
    pub cascade: Vec<usize>,
    /// The share of runs in which the system recovered.
    pub recovered: Proportion,
    /// Seconds from the failure's start to recovery, over the runs that did.
    pub recover_s: Option<Estimate>,
    /// Seconds to the system's first reaction, over the runs in which there was one.
    pub detect_s: Option<Estimate>,
    /// The share of runs that stayed down after the failure was over.
    pub metastable: Proportion,
}

impl Failure {
    /// Whether two components fail together.
    pub fn is_pair(&self) -> bool {
        self.struck.len() > 1
    }
}

/// What a failure did to somebody, compared run by run with what happens without it.
#[derive(Clone, Debug)]
pub struct Suffered {
    /// Whether it was struck itself, as a whole.
    pub is_struck: bool,
    /// The share of its goodput that was lost while the failure lasted.
    pub lost: Option<Estimate>,
    /// The share of its requests that ended badly meanwhile, less what it is without the failure.
    pub errors: Option<Estimate>,
    /// The latency that 99 % stay below meanwhile, in seconds: of client populations, the requests that end well; of
    /// others, all requests.
    pub p99_s: Option<Estimate>,
    /// The same, less what it is without the failure.
    pub slower_s: Option<Estimate>,
    /// How many requests it got meanwhile, relative to what it gets without the failure.
    pub load: Option<Estimate>,
    /// Requests that did not end well because of the failure, from its start to the end of the run.
    pub lost_requests: Option<Estimate>,
    /// Seconds from the failure's start until its goodput was back, over the runs in which it was back by the end.
    pub over_s: Option<Estimate>,
    /// The share of runs in which it was not.
    pub not_over: Proportion,
    /// The share of runs in which it fell: got many errors, or had no workers or CPU left.
    pub fell: Proportion,
    /// Whether that was because workers or CPU came to their end, in most of the runs in which it fell.
    pub is_full: bool,
    /// Seconds from the failure's start until it fell, over the runs in which it did for some seconds on end.
    pub fell_s: Option<Estimate>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum BlastError {
    /// The file or a flag is wrong.
    Mistakes(Mistakes),
    /// The runs could not be played.
    Run(RunError),
}

impl From<Mistakes> for BlastError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl From<RunError> for BlastError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// Fails everything in turn, on `jobs` threads. The study must come from [`study`], which leaves its question there.
///
/// # Errors
/// If the file or a flag is wrong, a model lets time stand still, or `progress` says to stop.
pub fn blast(
    study: &Study,
    changes: &Changes,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<BlastResult, BlastError> {
    let team = Team::new(jobs)?;
    let Some((question, experiment)) = study.experiment().and_then(|e| Some((e.blast.clone()?, e))) else {
        unreachable!("a study of a blast has a question")
    };
    let frame = Frame::new(&question, experiment);
    let changes = Changes { duration: Some(frame.duration()), series: Some(false), ..changes.clone() };
    let mut undisturbed = study.plan("--set", &[], &changes)?;
    frame.cut(&mut undisturbed);
    let rows = rows::rows(&question, &undisturbed);
    let mut plans = vec![undisturbed];
    for row in &rows {
        let timeline = rows::timeline(row, &frame);
        plans.push(study.plan("--set", &[], &Changes { timeline, ..changes.clone() })?);
    }
    let watches: Vec<Vec<Watch>> =
        plans.iter_mut().map(|plan| plan.variants.iter_mut().map(Watch::new).collect()).collect();
    let (runs, variants) = (plans[0].runs, plans[0].variants.len());
    let units: Vec<(usize, usize, u32)> = (0..plans.len())
        .flat_map(|p| (0..variants).flat_map(move |v| (0..runs).map(move |r| (p, v, r))))
        .collect();
    let mut normal: Vec<Vec<Seen>> = vec![Vec::new(); variants];
    let mut effects = vec![vec![Vec::new(); variants]; rows.len()];
    let mut events = 0;
    team.each(
        &units,
        |(p, v, r)| seen(&plans[*p], *v, *r, &watches[*p][*v], &frame),
        |done, (stop, seen)| {
            let (p, v, r) = units[done];
            if stop == Stop::TimeStandsStill {
                return Err(RunError::TimeStandsStill { variant: plans[p].variants[v].name.clone() });
            }
            events += seen.events;
            match p.checked_sub(1) {
                None => normal[v].push(seen),
                Some(row) => {
                    let twin = &normal[v][r as usize];
                    effects[row][v].push(compare::effects(twin, &seen, &rows[row], &watches[p][v], &frame));
                }
            }
            match progress.runs_done(done + 1, units.len()) {
                true => Ok(()),
                false => Err(RunError::Interrupted { done: done + 1, total: units.len() }),
            }
        },
    )?;
    let variants = (0..variants).map(|v| {
        let watch = &watches[0][v];
        let failures =
            rows.iter().zip(&effects).map(|(row, of)| compare::failure(row, &of[v], watch, &frame));
        let mut failures: Vec<Failure> = failures.collect();
        sort(&mut failures, &watch.sufferers);
        BlastVariant {
            name: plans[0].variants[v].name.clone(),
            sufferers: watch.sufferers.clone(),
            normal: compare::normal(&normal[v], watch),
            failures,
        }
    });
    let variants = variants.collect();
    let plan = &plans[0];
    Ok(BlastResult {
        name: plan.name.clone(),
        seed: plan.seed,
        runs,
        duration_s: plan.end.seconds(),
        warmup_s: plan.warmup.seconds(),
        start_s: frame.start.seconds(),
        end_s: frame.end.seconds(),
        events,
        question,
        variants,
    })
}

/// Plays one run and keeps what is compared.
fn seen(plan: &Plan, variant: usize, run: u32, watch: &Watch, frame: &Frame) -> (Stop, Seen) {
    let variant = &plan.variants[variant];
    let played = play(variant, plan.seed, u64::from(run));
    let faults = recovery::examine(plan, variant, &played.record, &[]);
    (played.summary.stop, Seen::of(&played, variant, faults.first().copied(), watch, frame))
}

/// Worst first: by the greatest share that any client population loses, then by requests lost, then by name.
fn sort(failures: &mut [Failure], sufferers: &[Sufferer]) {
    let key = |failure: &Failure| {
        let clients = || {
            let all = failure.suffered.iter().zip(sufferers);
            all.filter(|(_, who)| who.kind == Kind::Clients).map(|(suffered, _)| suffered)
        };
        let lost = clients().filter_map(|s| s.lost).map(|e| e.mean).fold(0.0, f64::max);
        let requests: f64 = clients().filter_map(|s| s.lost_requests).map(|e| e.mean).fold(0.0, |a, b| a + b);
        // What differs by less than a hundredth of a per cent is equally bad.
        ((lost * 1e4).round(), requests)
    };
    failures.sort_by(|a, b| {
        let ((lost_a, requests_a), (lost_b, requests_b)) = (key(a), key(b));
        lost_b.total_cmp(&lost_a).then(requests_b.total_cmp(&requests_a)).then_with(|| a.id.cmp(&b.id))
    });
}

/// Whether a share that was lost is as much as `limit`.
fn takes(lost: Option<Estimate>, limit: f64) -> Verdict {
    let limits = Limits { operator: Operator::AtLeast, limit, upper: limit };
    let rounded = |x: f64| if (x - limit).abs() < 1e-9 { limit } else { x };
    let interval = lost.and_then(|e| Some((rounded(e.lo?), rounded(e.hi?))));
    judge::judge(lost.map(|e| rounded(e.mean)), interval, &limits)
}

impl BlastVariant {
    /// The failures of one component or instance that take as much of a whole client population as a single point of
    /// failure does: each with the populations, and the verdict.
    pub fn single_points(&self) -> Vec<(&Failure, Vec<usize>, Verdict)> {
        self.that_take(|kind| kind == Kind::Clients)
    }

    /// The failures that do so for some kind of requests, but for no whole population.
    pub fn request_points(&self) -> Vec<(&Failure, Vec<usize>, Verdict)> {
        let whole: Vec<&str> = self.single_points().iter().map(|(f, ..)| f.id.as_str()).collect();
        let mut found = self.that_take(|kind| matches!(kind, Kind::Request(_)));
        found.retain(|(failure, ..)| !whole.contains(&failure.id.as_str()));
        found
    }

    fn that_take(&self, of: impl Fn(Kind) -> bool) -> Vec<(&Failure, Vec<usize>, Verdict)> {
        let mut found = Vec::new();
        for failure in self.failures.iter().filter(|f| !f.is_pair()) {
            let takes = || failure.takes.iter().filter(|(who, _)| of(self.sufferers[*who].kind));
            let certain: Vec<usize> =
                takes().filter(|(_, v)| *v == Verdict::Held).map(|(who, _)| *who).collect();
            if !certain.is_empty() {
                found.push((failure, certain, Verdict::Held));
            } else if takes().next().is_some() {
                found.push((failure, takes().map(|(who, _)| *who).collect(), Verdict::Inconclusive));
            }
        }
        found
    }

    /// Pairs that take as much of a client population as a single point of failure does, though neither of the two
    /// does so alone: each with those populations.
    pub fn only_together(&self) -> Vec<(&Failure, Vec<usize>)> {
        let alone =
            |struck: &Struck| self.failures.iter().find(|f| f.struck.len() == 1 && f.struck[0] == *struck);
        let holds = |failure: &Failure, who: usize| failure.takes.contains(&(who, Verdict::Held));
        let pairs = self.failures.iter().filter(|f| f.is_pair());
        let found = pairs.map(|pair| {
            let whole = |who: &usize| self.sufferers[*who].kind == Kind::Clients;
            let hurt = (0..self.sufferers.len()).filter(whole).filter(|who| {
                let singles = || pair.struck.iter().filter_map(alone);
                holds(pair, *who) && !singles().any(|single| single.takes.iter().any(|(w, _)| w == who))
            });
            (pair, hurt.collect::<Vec<_>>())
        });
        found.filter(|(_, hurt)| !hurt.is_empty()).collect()
    }

    /// The failures that no client notices.
    pub fn unnoticed(&self) -> Vec<&Failure> {
        self.failures.iter().filter(|f| !f.is_noticed && !f.is_pair()).collect()
    }
}

impl BlastResult {
    /// Whether there is a single point of failure: held if so, failed if there is none.
    pub fn has_single_point(&self) -> Verdict {
        let verdicts: Vec<Verdict> =
            self.variants.iter().flat_map(|v| v.single_points().into_iter().map(|(.., v)| v)).collect();
        if verdicts.contains(&Verdict::Held) {
            Verdict::Held
        } else if verdicts.is_empty() {
            Verdict::Failed
        } else {
            Verdict::Inconclusive
        }
    }
}
