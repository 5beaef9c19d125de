//! The search: where candidates come from, and which of them are played again.
//!
//! Optimisers are behind [`Optimiser`], a trait of one function, so that they can be replaced. They see the unit box
//! and numbers, and nothing of systems. All of them are from `heuropt`, whose tree-structured Parzen estimator is not
//! used: it is worse than random search.

use super::bench::{Bench, Standing};
use crate::base::mix;
use crate::experiment::run::RunError;
use heuropt::prelude::{
    BayesianOpt, BayesianOptConfig, CompositeVariation, Evaluation, Nsga2, Nsga2Config, Objective,
    ObjectiveSpace, Optimizer as _, PolynomialMutation, Problem, RealBounds, SimulatedBinaryCrossover,
};
use std::sync::Mutex;

/// What an optimiser is told of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The aims, each to be small.
    pub aims: Vec<f64>,
    /// How far constraints are missed; 0 if none is.
    pub violation: f64,
}

/// Something that proposes points of a box, one after the other, and is told what each is worth.
pub trait Optimiser {
    /// Looks for small aims within `bounds`. The points that come first, before anything has been told, depend on
    /// `seed` alone.
    fn search(&self, bounds: &[(f64, f64)], seed: u64, look: &(dyn Fn(&[f64]) -> Look + Sync));
}

/// A surrogate of Gaussian processes with expected improvement, for one aim.
#[derive(Clone, Copy, Debug)]
pub struct Bayesian {
    /// Points at random before the first guess.
    pub initial: usize,
    /// Guesses.
    pub guesses: usize,
}

/// A population that approaches the front of several aims.
#[derive(Clone, Copy, Debug)]
pub struct Evolution {
    /// Members, an even number.
    pub population: usize,
    /// How often the population is renewed.
    pub generations: usize,
    /// How many aims there are.
    pub aims: usize,
}

/// A problem as `heuropt` wants it.
struct Asked<'l> {
    aims: usize,
    look: &'l (dyn Fn(&[f64]) -> Look + Sync),
}

impl Problem for Asked<'_> {
    type Decision = Vec<f64>;
    fn objectives(&self) -> ObjectiveSpace {
        ObjectiveSpace::new((0..self.aims).map(|aim| Objective::minimize(format!("{aim}"))).collect())
    }
    fn evaluate(&self, point: &Vec<f64>) -> Evaluation {
        let look = (self.look)(point);
        Evaluation::constrained(look.aims, look.violation)
    }
}

impl Optimiser for Bayesian {
    fn search(&self, bounds: &[(f64, f64)], seed: u64, look: &(dyn Fn(&[f64]) -> Look + Sync)) {
        // Two points at random are a third of the box apart in each direction; correlation is to reach as far.
        let reach = 0.25 * (bounds.len() as f64).sqrt().min(3.0);
        let config = BayesianOptConfig {
            initial_samples: self.initial.max(2),
            iterations: self.guesses,
            length_scales: Some(bounds.iter().map(|(lo, hi)| reach * (hi - lo).max(1e-9)).collect()),
            signal_variance: 1.0,
            // Common random numbers leave a function that is rough and not noisy.
            noise_variance: 1e-3,
            acquisition_samples: 1_000,
            seed,
        };
        BayesianOpt::new(config, RealBounds::new(bounds.to_vec())).run(&Asked { aims: 1, look });
    }
}

impl Optimiser for Evolution {
    fn search(&self, bounds: &[(f64, f64)], seed: u64, look: &(dyn Fn(&[f64]) -> Look + Sync)) {
        let config = Nsga2Config { population_size: self.population, generations: self.generations, seed };
        let variation = CompositeVariation {
            crossover: SimulatedBinaryCrossover::new(bounds.to_vec(), 15.0, 0.9),
            mutation: PolynomialMutation::new(bounds.to_vec(), 20.0, (1.0 / bounds.len() as f64).max(0.1)),
        };
        Nsga2::new(config, RealBounds::new(bounds.to_vec()), variation).run(&Asked { aims: self.aims, look });
    }
}

/// How many runs go where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Runs of each candidate at first.
    pub first: u32,
    /// Candidates that are looked at.
    pub candidates: u32,
    /// Runs to tell the better ones apart.
    pub halving: u32,
    /// Runs of what was found, which the search has not seen.
    pub fresh: u32,
    /// Runs of the settings as they are, to compare with.
    pub present: u32,
}

impl Split {
    /// Of a budget of runs for so many files.
    pub fn of(budget: u32, files: u32) -> Self {
        let share = |percent: u32| budget / files * percent / 100;
        let explored = share(45);
        let first = (libm::round(f64::from(explored).sqrt() / 5.0) as u32).clamp(2, 20);
        let candidates = (explored / first).saturating_sub(1).max(4);
        Self { first, candidates, halving: share(25), fresh: share(20).max(2), present: share(10).max(2) }
    }
}

/// A way to look at points, until the candidates are used up or somebody says to stop.
struct Looks<'l, 'b> {
    bench: &'l mut Bench<'b>,
    left: u32,
    first: u32,
    failed: Option<RunError>,
}

impl Looks<'_, '_> {
    /// The candidate at a point; `None` if it may not be looked at any more.
    fn at(&mut self, stage: &'static str, point: &[f64]) -> Option<usize> {
        let before = self.bench.trials.len();
        let (number, is_new) = self.bench.at(stage, point);
        if is_new && (self.left == 0 || self.failed.is_some()) {
            self.bench.forget(before);
            return None;
        }
        if is_new {
            self.left -= 1;
            if let Err(error) = self.bench.play(&[number], self.first) {
                self.failed = Some(error);
            }
        }
        Some(number)
    }

    /// Looks at many points side by side.
    fn all(&mut self, stage: &'static str, points: &[Vec<f64>]) {
        let mut numbers = Vec::new();
        for point in points {
            let before = self.bench.trials.len();
            let (number, is_new) = self.bench.at(stage, point);
            match is_new {
                true if self.left == 0 => self.bench.forget(before),
                true => {
                    self.left -= 1;
                    numbers.push(number);
                }
                false => (),
            }
        }
        if let Err(error) = self.bench.play(&numbers, self.first) {
            self.failed = Some(error);
        }
    }

    fn best(&self) -> Option<usize> {
        let standings = self.standings();
        standings.into_iter().min_by(|a, b| a.1.order(&b.1).then(a.0.cmp(&b.0))).map(|(number, _)| number)
    }

    fn standings(&self) -> Vec<(usize, Standing)> {
        let trials = self.bench.trials.iter().enumerate().skip(1);
        trials.map(|(number, trial)| (number, self.bench.standing(trial))).collect()
    }
}

/// Looks at candidates: all there are if they are few, else those that an optimiser proposes. Says what it did.
///
/// # Errors
/// If somebody says to stop.
pub fn explore(bench: &mut Bench<'_>, split: &Split, seed: u64) -> Result<&'static str, RunError> {
    let is_single = bench.aims.len() == 1;
    let mut looks = Looks { bench, left: split.candidates, first: split.first, failed: None };
    let how = if let Some(points) = enumerated(looks.bench, split.candidates) {
        looks.all("all", &points);
        "every combination"
    } else if is_single {
        single(&mut looks, split.candidates as usize, seed);
        "a Gaussian process with expected improvement, then closer around the best"
    } else {
        several(&mut looks, split.candidates as usize, seed);
        "NSGA-II"
    };
    match looks.failed {
        Some(error) => Err(error),
        None => Ok(how),
    }
}

/// Every combination of values, if they are at most so many.
fn enumerated(bench: &Bench<'_>, most: u32) -> Option<Vec<Vec<f64>>> {
    let counts: Vec<u64> = bench.dials.iter().map(|dial| dial.count()).collect::<Option<_>>()?;
    let total = counts.iter().try_fold(1u64, |total, count| total.checked_mul(*count))?;
    if total > u64::from(most) {
        return None;
    }
    let point = |mut index: u64| {
        let coordinate = |(dial, count): (&super::knobs::Dial, &u64)| {
            let at = dial.coordinate(index % count);
            index /= count;
            at
        };
        bench.dials.iter().zip(&counts).map(coordinate).collect::<Vec<f64>>()
    };
    Some((0..total).map(point).collect())
}

/// The points that an optimiser begins with, before it is told anything.
fn beginning(optimiser: &dyn Optimiser, bounds: &[(f64, f64)], seed: u64, aims: usize) -> Vec<Vec<f64>> {
    let points = Mutex::new(Vec::new());
    optimiser.search(bounds, seed, &|point| {
        if let Ok(mut points) = points.lock() {
            points.push(point.to_vec());
        }
        Look { aims: vec![0.0; aims], violation: 0.0 }
    });
    points.into_inner().unwrap_or_default()
}

/// One aim: at random, by surrogate over the whole box, by surrogate in two smaller boxes around the best, and at last
/// the neighbours of the best among whole numbers.
fn single(looks: &mut Looks<'_, '_>, candidates: usize, seed: u64) {
    let dials = looks.bench.dials.len();
    let polish =
        if looks.bench.dials.iter().any(|d| d.step(0.5, true).is_some()) { candidates / 8 } else { 0 };
    let searched = candidates - polish;
    let share = |percent: usize| (searched * percent / 100).max(2);
    surrogate(looks, "search", &vec![(0.0, 1.0); dials], (share(25), share(25)), mix(seed, 1));
    for (number, reach) in [0.18, 0.06].into_iter().enumerate() {
        let Some(best) = looks.best() else { return };
        let center = looks.bench.trials[best].point.clone();
        let around = |(dial, at): (&super::knobs::Dial, &f64)| match dial.is_choice() {
            true => (0.0, 1.0),
            false => ((at - reach).max(0.0), (at + reach).min(1.0)),
        };
        let bounds: Vec<(f64, f64)> = looks.bench.dials.iter().zip(&center).map(around).collect();
        surrogate(looks, "closer", &bounds, (share(7), share(18)), mix(seed, 2 + number as u64));
    }
    neighbours(looks);
}

/// Searches a box by surrogate.
fn surrogate(
    looks: &mut Looks<'_, '_>,
    stage: &'static str,
    bounds: &[(f64, f64)],
    (initial, guesses): (usize, usize),
    seed: u64,
) {
    let first = beginning(&Bayesian { initial, guesses: 0 }, bounds, seed, 1);
    looks.all(stage, &first);
    if looks.failed.is_some() {
        return;
    }
    let scale = Scale::of(looks.standings().iter().map(|(_, standing)| standing));
    let shared = Mutex::new(looks);
    Bayesian { initial, guesses }.search(bounds, seed, &|point| {
        let Ok(mut looks) = shared.lock() else { return Look { aims: vec![0.0], violation: 0.0 } };
        let standing = looks.at(stage, point).map(|number| looks.bench.standing(&looks.bench.trials[number]));
        // What is not looked at any more is told as no better than anything.
        Look { aims: vec![standing.map_or(0.0, |standing| scale.score(&standing))], violation: 0.0 }
    });
}

/// Steps to the neighbours of the best among whole numbers for as long as one is better.
fn neighbours(looks: &mut Looks<'_, '_>) {
    let Some(mut best) = looks.best() else { return };
    while looks.left > 0 && looks.failed.is_none() {
        let center = looks.bench.trials[best].point.clone();
        let mut points = Vec::new();
        for (number, dial) in looks.bench.dials.iter().enumerate() {
            for at in [false, true].into_iter().filter_map(|up| dial.step(center[number], up)) {
                let mut point = center.clone();
                point[number] = at;
                points.push(point);
            }
        }
        looks.all("neighbour", &points);
        match looks.best() {
            Some(better) if better != best => best = better,
            _ => return,
        }
    }
}

/// Several aims: a population.
fn several(looks: &mut Looks<'_, '_>, candidates: usize, seed: u64) {
    let aims = looks.bench.aims.len();
    let bounds = vec![(0.0, 1.0); looks.bench.dials.len()];
    let population = (candidates / 6).clamp(4, 40).next_multiple_of(2);
    let first = beginning(&Evolution { population, generations: 0, aims }, &bounds, seed, aims);
    looks.all("search", &first);
    // Proposals that have been looked at already cost nothing, so there may be more generations than the budget says.
    let generations = 3 * candidates / population;
    let shared = Mutex::new(looks);
    Evolution { population, generations, aims }.search(&bounds, seed, &|point| {
        let lost = Look { aims: vec![f64::MAX; aims], violation: f64::MAX };
        let Ok(mut looks) = shared.lock() else { return lost };
        let Some(number) = looks.at("search", point) else { return lost };
        let standing = looks.bench.standing(&looks.bench.trials[number]);
        let finite = |x: f64| if x.is_finite() { x } else { f64::MAX };
        Look {
            aims: standing.aims.iter().map(|aim| finite(*aim)).collect(),
            violation: finite(standing.violation),
        }
    });
}

/// From standings to one number of moderate size: what a surrogate with mean 0 and variance 1 can follow. Feasible
/// candidates keep their order and, near the middle, their distances; infeasible ones come after all of them, by
/// violation.
struct Scale {
    middle: f64,
    width: f64,
}

/// The worst score of a feasible candidate.
const SCORE_MAX: f64 = 1.5;

impl Scale {
    fn of<'s>(standings: impl Iterator<Item = &'s Standing>) -> Self {
        let feasible = standings.filter(|s| s.is_feasible());
        let mut aims: Vec<f64> = feasible.map(|s| s.aims[0]).filter(|aim| aim.is_finite()).collect();
        aims.sort_by(f64::total_cmp);
        if aims.is_empty() {
            return Self { middle: 0.0, width: 1.0 };
        }
        let quantile = |q: f64| aims[(q * (aims.len() - 1) as f64) as usize];
        let middle = quantile(0.5);
        // The better half is what matters: outliers above are cut off.
        let width = (middle - quantile(0.0)).max(1e-6 * middle.abs()).max(1e-12);
        Self { middle, width }
    }

    fn score(&self, standing: &Standing) -> f64 {
        if standing.is_feasible() {
            let aim = (standing.aims[0] - self.middle) / self.width;
            return libm::asinh(aim).min(SCORE_MAX);
        }
        SCORE_MAX + 0.5 + libm::log1p(standing.violation.min(50.0)) / 2.0
    }
}

/// Plays the better candidates again, fewer and fewer of them with more and more runs (successive halving; Jamieson and
/// Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016), and returns those that
/// are left, the best first.
///
/// # Errors
/// If somebody says to stop.
pub fn halve(bench: &mut Bench<'_>, split: &Split) -> Result<Vec<usize>, RunError> {
    let sizes: [usize; 3] = if bench.aims.len() == 1 { [12, 6, 3] } else { [16, 12, 8] };
    let mut left = ranked(bench, (1..bench.trials.len()).collect());
    let mut runs = split.first;
    for size in sizes {
        left.truncate(size);
        let playable = left.iter().filter(|n| bench.trials[**n].impossible.is_none()).count() as u32;
        let more = (split.halving / 3).checked_div(playable).unwrap_or(0);
        runs += more;
        bench.play(&left, runs)?;
        left = ranked(bench, left);
    }
    Ok(left)
}

/// Candidates in order of standing; with several aims those come first that none dominates, then those that only they
/// dominate, and so on, within each of them the lonelier first.
pub fn ranked(bench: &Bench<'_>, numbers: Vec<usize>) -> Vec<usize> {
    let mut all: Vec<(usize, Standing)> =
        numbers.into_iter().map(|n| (n, bench.standing(&bench.trials[n]))).collect();
    if bench.aims.len() == 1 {
        all.sort_by(|a, b| a.1.order(&b.1).then(a.0.cmp(&b.0)));
        return all.into_iter().map(|(number, _)| number).collect();
    }
    let mut ranked = Vec::new();
    while !all.is_empty() {
        let is_front = |one: &Standing| !all.iter().any(|(_, other)| other.dominates(one));
        let (front, rest): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|(_, standing)| is_front(standing));
        ranked.extend(by_loneliness(front));
        all = rest;
    }
    ranked
}

/// The crowding distance of NSGA-II (Deb et al., 2002, section III-B), the greatest first.
fn by_loneliness(front: Vec<(usize, Standing)>) -> Vec<usize> {
    let mut distance = vec![0.0; front.len()];
    for aim in 0..front.first().map_or(0, |(_, s)| s.aims.len()) {
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|a, b| front[*a].1.aims[aim].total_cmp(&front[*b].1.aims[aim]).then(a.cmp(b)));
        let value = |at: usize| front[order[at]].1.aims[aim];
        let width = value(order.len() - 1) - value(0);
        for at in 0..order.len() {
            let is_end = at == 0 || at + 1 == order.len();
            distance[order[at]] += match is_end {
                true => f64::INFINITY,
                false if width > 0.0 => (value(at + 1) - value(at - 1)) / width,
                false => 0.0,
            };
        }
    }
    let mut order: Vec<usize> = (0..front.len()).collect();
    order.sort_by(|a, b| distance[*b].total_cmp(&distance[*a]).then(a.cmp(b)));
    order.into_iter().map(|at| front[at].0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optimisers_find_a_valley_and_say_the_same_again() {
        let search = |optimiser: &dyn Optimiser, aims: usize| {
            let seen = Mutex::new(Vec::new());
            optimiser.search(&[(0.0, 1.0); 2], 7, &|p| {
                seen.lock().unwrap().push(p.to_vec());
                let square = |x: f64, at: f64| (x - at) * (x - at);
                let near = square(p[0], 0.3) + square(p[1], 0.6);
                let far = square(p[0], 0.8) + square(p[1], 0.6);
                Look { aims: [near, far][..aims].to_vec(), violation: 0.0 }
            });
            seen.into_inner().unwrap()
        };
        let near = |p: &Vec<f64>| (p[0] - 0.3) * (p[0] - 0.3) + (p[1] - 0.6) * (p[1] - 0.6);
        let points = search(&Bayesian { initial: 8, guesses: 32 }, 1);
        assert_eq!(points.len(), 40);
        let best = points.iter().map(near).fold(f64::INFINITY, f64::min);
        // The best of forty points at random is about 1 / (40 pi) = 0.008 away.
        assert!(best < 0.002, "{best}");
        assert_eq!(points, search(&Bayesian { initial: 8, guesses: 32 }, 1));
        // The beginning depends on the seed alone.
        let first = beginning(&Bayesian { initial: 8, guesses: 0 }, &[(0.0, 1.0); 2], 7, 1);
        assert_eq!(first[..], points[..8]);

        let points = search(&Evolution { population: 12, generations: 12, aims: 2 }, 2);
        // The front is the line from one valley to the other.
        let on_front = points.iter().rev().take(12).filter(|p| (p[1] - 0.6).abs() < 0.15);
        assert!(on_front.count() >= 8);
    }

    #[test]
    fn the_budget_is_kept() {
        for (budget, files) in [(40, 1), (60, 1), (400, 1), (400, 2), (1_000, 3), (20_000, 1)] {
            let split = Split::of(budget, files);
            // The settings as they are are a candidate, too.
            let runs = split.first * (split.candidates + 1) + split.halving + split.fresh + split.present;
            assert!(runs * files <= budget, "{budget} {files}: {split:?}");
            assert!(split.candidates >= 4);
        }
    }
}
