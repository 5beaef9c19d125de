//! Which failures at once are an outage: found by playing the system with them.

use super::{Class, RareError};
use crate::experiment::failures;
use crate::experiment::judge::SubjectValue;
use crate::experiment::plan::{Changes, Plan, VariantPlan};
use crate::experiment::run::{Progress, RunError, examine};
use crate::experiment::study::Study;
use crate::experiment::team::Team;
use crate::sim::Stop;
use crate::spec::experiment::At;
use crate::spec::failure::{FailureUnit, Failures};
use crate::spec::load::Loader;
use crate::spec::quantity::Seconds;
use crate::spec::source::{Places, Span};

/// A set of failures that was played.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// How many of each class were down.
    pub down: Vec<u32>,
    /// Runs in which the objectives were broken.
    pub broken: u32,
    /// Runs.
    pub runs: u32,
}

impl Played {
    /// Whether it is an outage: in more than half of the runs.
    pub fn is_outage(&self) -> bool {
        2 * self.broken > self.runs
    }
}

/// What is to be played.
pub struct Task<'t> {
    /// The system.
    pub study: &'t Study,
    /// Seed, runs and the like.
    pub changes: &'t Changes,
    /// The variant.
    pub variant: &'t str,
    /// What fails in it.
    pub failures: &'t [(String, Failures)],
    /// The same.
    pub classes: &'t [Class],
}

impl Task<'_> {
    /// Plays all sets of up to `size` failures, those that contain an outage left out. That nothing fails at all is
    /// played first.
    pub fn play(&self, size: u32, team: &Team, progress: &dyn Progress) -> Result<Vec<Played>, RareError> {
        let mut played: Vec<Played> = Vec::new();
        for many in 0..=size {
            let contains = |set: &Vec<u32>, other: &Vec<u32>| other.iter().zip(set).all(|(o, s)| o <= s);
            let mut sets = Vec::new();
            self.sets(many, &mut Vec::new(), &mut sets);
            sets.retain(|set| !played.iter().any(|p| p.is_outage() && contains(set, &p.down)));
            let mut plans = Vec::new();
            for set in &sets {
                plans.push(self.plan(set)?);
            }
            let runs = plans.first().map_or(0, |plan| plan.runs);
            let units: Vec<(usize, u32)> =
                (0..plans.len()).flat_map(|p| (0..runs).map(move |r| (p, r))).collect();
            let mut broken = vec![0; sets.len()];
            team.each(
                &units,
                |(p, run)| {
                    let data = examine(&plans[*p], &plans[*p].variants[0], *run);
                    (data.stop, is_broken(&plans[*p].variants[0], &data.subjects))
                },
                |done, (stop, is_broken)| {
                    if stop == Stop::TimeStandsStill {
                        return Err(RunError::TimeStandsStill { variant: self.variant.to_string() });
                    }
                    broken[units[done].0] += u32::from(is_broken);
                    match progress.runs_done(done + 1, units.len()) {
                        true => Ok(()),
                        false => Err(RunError::Interrupted { done: done + 1, total: units.len() }),
                    }
                },
            )?;
            let found = sets.into_iter().zip(broken);
            played.extend(found.map(|(down, broken)| Played { down, broken, runs }));
        }
        Ok(played)
    }

    /// All sets of so many failures.
    fn sets(&self, many: u32, begun: &mut Vec<u32>, all: &mut Vec<Vec<u32>>) {
        let Some(class) = self.classes.get(begun.len()) else {
            if many == 0 {
                all.push(begun.clone());
            }
            return;
        };
        for down in 0..=many.min(class.members) {
            begun.push(down);
            self.sets(many - down, begun, all);
            begun.pop();
        }
    }

    /// The system with a set of failures, from before it is measured to the end.
    fn plan(&self, set: &[u32]) -> Result<Plan, RareError> {
        let Some(experiment) = self.study.experiment() else { unreachable!("a study of an experiment") };
        let at = Seconds((experiment.warmup.stated().seconds() / 2.0).min(1.0));
        let mut timeline = Vec::new();
        for (number, ((_, failure), down)) in self.failures.iter().zip(set).enumerate() {
            let all = !matches!(failure.each, FailureUnit::Instance) || *down == self.classes[number].members;
            if *down > 0 {
                let struck = failures::actions(number, failure, (!all).then_some(*down)).into_iter();
                timeline.extend(struck.map(|action| At {
                    at,
                    action,
                    span: Span::default(),
                    places: Places::default(),
                }));
            }
        }
        let mut loader = Loader::default();
        let mut measures = Vec::new();
        let has_any = !experiment.objectives.is_empty();
        let populations: Vec<String> = match has_any {
            true => experiment.objectives.names().map(str::to_string).collect(),
            false => self.populations()?,
        };
        for population in &populations {
            measures.push(loader.quoted("an objective", &format!("clients.{population}.rate")));
            measures.push(loader.quoted("an objective", &format!("clients.{population}.error_ratio")));
            for (percentile, _) in experiment.objectives.get(population).iter().flat_map(|o| o.latency.iter())
            {
                let p = percentile.trim_start_matches('p');
                let text = format!("p({p}) of clients.{population}.latency");
                measures.push(loader.quoted("an objective", &text));
            }
        }
        let changes = Changes {
            variant: Some(self.variant.to_string()).filter(|_| !experiment.variants.is_empty()),
            timeline,
            measures,
            ..self.changes.clone()
        };
        Ok(self.study.plan("--set", &[], &changes)?)
    }

    fn populations(&self) -> Result<Vec<String>, RareError> {
        let plan = self.study.plan("--set", &[], self.changes)?;
        let clients = plan.variants.first().map(|v| v.model.clients.iter());
        Ok(clients.into_iter().flatten().map(|c| c.name.clone()).collect())
    }
}

/// Whether a run breaks an objective; the measures come as the plan asked for them. A population that asks and gets
/// no answer at all has none.
fn is_broken(variant: &VariantPlan, subjects: &[SubjectValue]) -> bool {
    let mut values = subjects.iter().skip(variant.expectations.len()).map(|s| s.number());
    let mut next = || values.next().flatten();
    let objectives = &variant.objectives;
    let mut broken = false;
    let clients = variant.model.clients.len();
    let judged: Vec<(f64, &[(f64, f64)])> = if objectives.is_empty() {
        vec![(0.99, &[][..]); clients]
    } else {
        objectives.iter().map(|o| (o.availability, o.latency.as_slice())).collect()
    };
    for (availability, latency) in judged {
        let (rate, errors) = (next(), next());
        broken |= match errors {
            Some(errors) => errors > 1.0 - availability,
            None => rate.is_some_and(|rate| rate > 0.0),
        };
        for (_, limit) in latency {
            broken |= next().is_some_and(|value| value > *limit);
        }
    }
    broken
}
