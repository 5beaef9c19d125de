//! Beginnings of outages, drawn and weighted, and what follows them.

use super::{Class, RareError, Share, Structure};
use crate::base::dist::Dist;
use crate::base::{Rng, Streams, mix};
use crate::experiment::run::{Progress, RunError};
use crate::experiment::team::Team;
use crate::metrics::Estimate;
use crate::spec::rare::Rare;
use std::collections::BTreeMap;

/// Independent parts of the sample, from which intervals come.
const BATCHES: u32 = 50;
/// How many processes are down on average, beside the one that fails, in each part of the mixture: those that spread
/// them over all classes, and those that draw them from one.
const SPREAD: [f64; 4] = [0.7, 1.5, 3.0, 6.0];
/// Points at which a distribution's quantiles are taken for what is left of a time.
const POINTS: usize = 1 << 14;
/// Failures and repairs within one outage, after which nobody waits for its end any more.
const CHANGES_MAX: u32 = 10_000_000;

/// What was sampled.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// Outages per period that last as long as was asked.
    pub outages: Option<Estimate>,
    /// Seconds in such outages, per period.
    pub seconds: Option<Estimate>,
    /// Seconds that one lasts on average.
    pub duration_s: Option<f64>,
    /// How they begin: what is down, the most outages first.
    pub shares: Vec<Share>,
    /// Beginnings tried, and those that were outages.
    pub tried: u64,
    /// How many of them were.
    pub hits: u64,
}

/// What is to be sampled.
pub struct Task<'t> {
    /// What fails.
    pub classes: &'t [Class],
    /// What an outage is.
    pub structure: &'t Structure,
    /// The question.
    pub question: &'t Rare,
    /// The seed.
    pub seed: u64,
}

/// Sums over a batch: weighted outages and seconds, by what is down.
#[derive(Clone, Debug, Default)]
struct Batch {
    sets: BTreeMap<Vec<u32>, (f64, f64)>,
    hits: u64,
}

impl Task<'_> {
    /// Samples, in batches.
    pub fn sample(&self, name: &str, team: &Team, progress: &dyn Progress) -> Result<Sampled, RareError> {
        let numbers: Vec<u32> = (0..BATCHES).collect();
        let each = self.question.samples / BATCHES;
        let key = Streams::new(self.seed, 0).key(name, "rare");
        let sampler = Sampler::new(self);
        let mut batches = Vec::new();
        team.each(
            &numbers,
            |batch| sampler.batch(Rng::from_seed(mix(key, u64::from(*batch))), each),
            |done, batch| {
                batches.push(batch);
                match progress.runs_done(done + 1, numbers.len()) {
                    true => Ok(()),
                    false => Err(RunError::Interrupted { done: done + 1, total: numbers.len() }),
                }
            },
        )?;
        Ok(self.summed_up(&batches, each))
    }

    fn summed_up(&self, batches: &[Batch], each: u32) -> Sampled {
        let per = self.question.per.0 / f64::from(each);
        let estimate = |of: &dyn Fn(&Batch) -> f64| {
            Estimate::of(&batches.iter().map(|batch| of(batch) * per).collect::<Vec<f64>>())
        };
        let sum = |batch: &Batch, what: fn(&(f64, f64)) -> f64| {
            batch.sets.values().map(what).fold(0.0, |sum, x| sum + x)
        };
        let outages = estimate(&|b| sum(b, |set| set.0));
        let seconds = estimate(&|b| sum(b, |set| set.1));
        let mut sets: Vec<&Vec<u32>> = batches.iter().flat_map(|b| b.sets.keys()).collect();
        sets.sort();
        sets.dedup();
        let of = |set: &Vec<u32>, what: fn(&(f64, f64)) -> f64| {
            estimate(&|b: &Batch| b.sets.get(set).map_or(0.0, what))
        };
        let share = |down: &Vec<u32>| Share {
            down: down.clone(),
            outages: of(down, |set| set.0),
            seconds: of(down, |set| set.1),
        };
        let mut shares: Vec<Share> = sets.into_iter().map(share).collect();
        let mean = |e: Option<Estimate>| e.map_or(0.0, |e| e.mean);
        shares.sort_by(|a, b| mean(b.outages).total_cmp(&mean(a.outages)).then_with(|| a.down.cmp(&b.down)));
        let duration = mean(seconds) / mean(outages);
        Sampled {
            outages,
            seconds,
            duration_s: duration.is_finite().then_some(duration),
            shares,
            tried: u64::from(each) * batches.len() as u64,
            hits: batches.iter().map(|b| b.hits).sum(),
        }
    }
}

/// A class, ready to be drawn from.
struct Drawn {
    members: u32,
    q: f64,
    up: Dist,
    down: Dist,
    up_left: Left,
    down_left: Left,
}

/// What is left of a time in whose midst somebody comes: its density is the share of times that are longer, over the
/// mean (Cox, "Renewal Theory", 1962, section 5.2).
enum Left {
    /// Without memory: as long as all of it.
    Exponential(f64),
    /// A part, each as likely as the others, of a time that is found in proportion to its length: the sums of the
    /// lengths so far, and the lengths.
    Points(Vec<f64>, Vec<f64>),
}

impl Left {
    fn of(dist: &Dist) -> Self {
        if let Dist::Exponential { mean } = dist {
            return Self::Exponential(*mean);
        }
        let points = if dist.variance() == 0.0 { 1 } else { POINTS };
        let lengths: Vec<f64> = (0..points).map(|i| dist.variate((i as f64 + 0.5) / points as f64)).collect();
        let mut sum = 0.0;
        let sums = lengths.iter().map(|x| {
            sum += x;
            sum
        });
        Self::Points(sums.collect(), lengths)
    }

    fn draw(&self, rng: &mut Rng) -> f64 {
        match self {
            Self::Exponential(mean) => -mean * libm::log(rng.uniform()),
            Self::Points(sums, lengths) => {
                let total = sums.last().copied().unwrap_or(0.0);
                let wanted = rng.uniform() * total;
                let at = sums.partition_point(|sum| *sum < wanted).min(lengths.len() - 1);
                lengths[at] * rng.uniform()
            }
        }
    }
}

struct Sampler<'t> {
    structure: &'t Structure,
    lasting_s: f64,
    classes: Vec<Drawn>,
    /// Which classes can fail, and how often each does, all members together.
    rates: Vec<(usize, f64)>,
    /// The probabilities of being down in each part of the mixture, by class; the first part is the truth.
    parts: Vec<Vec<f64>>,
}

impl<'t> Sampler<'t> {
    fn new(task: &Task<'t>) -> Self {
        let classes: Vec<Drawn> = task
            .classes
            .iter()
            .map(|c| Drawn {
                members: c.members,
                q: c.unavailability(),
                up: c.up.clone(),
                down: c.down.clone(),
                up_left: Left::of(&c.up),
                down_left: Left::of(&c.down),
            })
            .collect();
        let rate = |(at, c): (usize, &Class)| (at, f64::from(c.members) * c.frequency());
        let rates: Vec<(usize, f64)> =
            task.classes.iter().enumerate().map(rate).filter(|(_, rate)| *rate > 0.0).collect();
        let truth: Vec<f64> = classes.iter().map(|c| c.q).collect();
        let biased = |c: &Drawn, many: f64| (many / f64::from(c.members.max(1))).min(0.6).max(c.q);
        let mut parts = vec![truth.clone()];
        for many in SPREAD {
            let each = many / rates.len().max(1) as f64;
            parts.push(classes.iter().map(|c| biased(c, each)).collect());
            for at in 0..classes.len() {
                if rates.len() > 1 && classes[at].members > 1 {
                    let mut part = truth.clone();
                    part[at] = biased(&classes[at], many);
                    parts.push(part);
                }
            }
        }
        Self { structure: task.structure, lasting_s: task.question.lasting.0, classes, rates, parts }
    }

    fn batch(&self, mut rng: Rng, samples: u32) -> Batch {
        let mut batch = Batch::default();
        if self.rates.is_empty() {
            return batch;
        }
        for _ in 0..samples {
            // Every class fails as often as the others in the sample, so that none is missed.
            let (first, rate) = self.rates[rng.below(self.rates.len() as u64) as usize];
            let part = &self.parts[rng.below(self.parts.len() as u64) as usize];
            let mut down = vec![0; self.classes.len()];
            for (at, class) in self.classes.iter().enumerate() {
                let others = class.members - u32::from(at == first);
                down[at] = (0..others).map(|_| u32::from(rng.chance(part[at]))).sum();
            }
            if self.structure.is_out(&down) {
                continue;
            }
            let ratio = self.likelihood_ratio(&down, first);
            down[first] += 1;
            if !self.structure.is_out(&down) {
                continue;
            }
            batch.hits += 1;
            let weight = rate * self.rates.len() as f64 * ratio;
            let lasts = self.outage(&down, first, &mut rng);
            if lasts < self.lasting_s {
                continue;
            }
            let set = batch.sets.entry(self.least(down, first)).or_default();
            set.0 += weight;
            set.1 += weight * lasts;
        }
        batch
    }

    /// How much more likely the state of the others is in truth than in the mixture.
    fn likelihood_ratio(&self, down: &[u32], first: usize) -> f64 {
        let of_part = |part: &Vec<f64>| {
            let mut log = 0.0;
            for (at, class) in self.classes.iter().enumerate() {
                let (q, p) = (class.q, part[at]);
                if q == p {
                    continue;
                }
                let others = class.members - u32::from(at == first);
                log += f64::from(down[at]) * libm::log(p / q)
                    + f64::from(others - down[at]) * (libm::log1p(-p) - libm::log1p(-q));
            }
            libm::exp(log)
        };
        let sum = self.parts.iter().map(of_part).fold(0.0, |sum, x| sum + x);
        self.parts.len() as f64 / sum
    }

    /// Less than what is down, and still an outage that begins with this failure.
    fn least(&self, mut down: Vec<u32>, first: usize) -> Vec<u32> {
        for at in 0..down.len() {
            while down[at] > u32::from(at == first) {
                down[at] -= 1;
                if !self.structure.is_out(&down) {
                    down[at] += 1;
                    break;
                }
            }
        }
        down
    }

    /// Seconds from the beginning of an outage to its end.
    fn outage(&self, state: &[u32], first: usize, rng: &mut Rng) -> f64 {
        // The next change of every process: when, of which class, and whether it is down until then.
        let mut members: Vec<(f64, usize, bool)> = Vec::new();
        for (at, class) in self.classes.iter().enumerate() {
            let mut old = state[at];
            if at == first {
                // What fails now has all of its repair before it.
                members.push((class.down.sample(rng), at, true));
                old -= 1;
            }
            for member in 0..class.members - u32::from(at == first) {
                let is_down = member < old;
                let left = if is_down { class.down_left.draw(rng) } else { class.up_left.draw(rng) };
                members.push((left, at, is_down));
            }
        }
        let mut down = state.to_vec();
        let mut now = 0.0;
        for _ in 0..CHANGES_MAX {
            let next = (0..members.len()).reduce(|a, b| if members[b].0 < members[a].0 { b } else { a });
            let Some(next) = next else { break };
            let (at, class, was_down) = members[next];
            now = at;
            let drawn = &self.classes[class];
            members[next] = if was_down {
                down[class] -= 1;
                (at + drawn.up.sample(rng), class, false)
            } else {
                down[class] += 1;
                (at + drawn.down.sample(rng), class, true)
            };
            if was_down && !self.structure.is_out(&down) {
                break;
            }
        }
        now
    }
}
