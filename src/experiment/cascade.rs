//! The cascade's path: the order in which components fell after something struck, and what carried each step.
//!
//! A component has *fallen* when one of its signs leaves its own normal, which is measured in the minute before, beyond
//! chance and by a stated factor:
//!
//! - **errors**: over 5 s, more than twice the normal share fails, and at least 1 percentage point more, by more than
//!   three standard deviations of a Poisson count and two more;
//! - **piling up, waiting, latency**: for 3 s at least twice the normal mean, four standard deviations above it, and
//!   more than in any normal second;
//! - **all busy**: for 3 s at least 98 % of workers or CPU in use, where normal is below 90 %;
//! - **health**: at most half of the targets that are normally healthy, or of the instances that normally run;
//! - **memory**: an instance is killed for it.
//!
//! What was struck comes first. Then in order of time; what happens within one second is ordered along the calls: who
//! is called falls before who calls, as errors and waits travel up, unless the caller sends more than it is asked
//! for (retries, misses of a cache), as overload travels down.
//! The *carrier* of a step is the edge by which it came: a call of something that had fallen, a call with more load
//! than normal, a pool that is empty, health checks.

mod expected;
mod map;
mod path;
mod result;
#[cfg(test)]
mod tests;

pub use expected::{ExpectedPath, expected};
pub use map::{Component, Link, Map, Trigger, record};
pub use path::{Carrier, Path, Shown, Sign, Step};
pub use result::{examine, result};

use super::recovery::Columns;
use crate::base::SimTime;
use crate::metrics::{Change, Record};
use map::Seen;

/// By which factor a sign must leave its normal.
const FACTOR: f64 = 2.0;
/// By which factor the load on an edge must have grown to carry a step down.
const LOAD_FACTOR: f64 = 1.5;
/// By how much more than its caller's own load an edge must have grown to be the caller's doing.
const OWN_DOING: f64 = 1.25;
/// The share of failing requests above normal that counts.
const ERRORS_LEAST: f64 = 0.01;
/// Seconds for which levels must have left their normal.
const HOLDS_S: usize = 3;
/// Seconds over which errors are counted.
const ERRORS_S: usize = 5;
/// Seconds over which is told what was seen.
const SEEN_S: usize = 10;
/// Components that fall within so many seconds fall at once.
const TIE_S: usize = 1;
/// Use from which there is nothing left, and below which it must normally be.
const FULL: (f64, f64) = (0.98, 0.9);
/// The share of targets or instances that must be left.
const HALF: f64 = 0.5;
/// Fewer normal seconds say nothing.
const NORMAL_LEAST: usize = 3;

/// From when to when a trigger is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    /// When it struck.
    pub start: SimTime,
    /// The seconds of the series that are normal.
    pub normal: (usize, usize),
    /// The second at which nothing is followed any more.
    pub until: usize,
}

/// The normal seconds before a moment: up to a minute, as far as measuring has begun; without any, the last half of
/// the time before.
pub fn normal_before(start: usize, warmup: usize) -> (usize, usize) {
    let from = start.saturating_sub(60).max(warmup.min(start));
    if start - from >= NORMAL_LEAST { (from, start) } else { (start / 2, start) }
}

/// The cascade of one trigger in one run.
pub fn follow(map: &Map, trigger: &Trigger, record: &Record, columns: &Columns<'_>, span: Followed) -> Path {
    let run = Run { map, record, columns, span };
    let mut fallen: Vec<Fallen> = Vec::new();
    for component in 0..map.components.len() {
        let mut shown = run.signs(component);
        // Of what shows in the same second, an empty pool says most.
        shown.sort_by_key(|(second, _, pool)| (*second, pool.is_none()));
        if let Some((second, ..)) = shown.first() {
            fallen.push(Fallen { component, second: *second, shown });
        }
    }
    let mut path = Path::new();
    // What was struck falls first, whether it shows or not.
    if trigger.targets.is_empty() {
        path.push(Step { component: None, first: STRUCK, later: Vec::new(), carrier: None });
    }
    for target in &trigger.targets {
        let own = fallen.iter().position(|f| f.component == *target).map(|at| fallen.remove(at));
        let later = own.map_or_else(Vec::new, |own| own.shown.iter().map(|s| s.1).collect());
        path.push(Step { component: Some(*target), first: STRUCK, later, carrier: None });
    }
    while let Some(next) = run.next(&fallen) {
        let next = fallen.remove(next);
        let carrier = run.carrier(&next, &path);
        let mut shown = next.shown.into_iter().map(|s| s.1);
        let Some(first) = shown.next() else { continue };
        path.push(Step { component: Some(next.component), first, later: shown.collect(), carrier });
    }
    path
}

const STRUCK: Shown = Shown { after_s: 0.0, sign: Sign::Struck, value: 0.0, normal: 0.0 };

/// A component with its signs: the second in which each showed, and by which pool if it was one.
struct Fallen {
    component: usize,
    second: usize,
    shown: Vec<(usize, Shown, Option<usize>)>,
}

struct Run<'r> {
    map: &'r Map,
    record: &'r Record,
    columns: &'r Columns<'r>,
    span: Followed,
}

/// What is normal of a column.
#[derive(Clone, Copy, Debug, Default)]
struct Normal {
    mean: f64,
    deviation: f64,
    most: f64,
}

impl Run<'_> {
    fn normal(&self, column: usize) -> Option<Normal> {
        let (from, to) = self.span.normal;
        let values: Vec<f64> = (from..to).filter_map(|s| self.columns.get(column, s)).collect();
        if values.len() < NORMAL_LEAST {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Normal { mean, deviation: square.sqrt(), most })
    }

    fn seconds(&self) -> std::ops::Range<usize> {
        let start = self.span.start.seconds() as usize;
        start..self.span.until.min(self.columns.seconds())
    }

    fn mean(&self, column: usize, from: usize, length: usize) -> Option<f64> {
        self.columns.mean(column, from, from + length)
    }

    fn shown(&self, second: usize, sign: Sign, value: f64, normal: f64) -> Shown {
        let after_s = (second as f64 - self.span.start.seconds()).max(0.0);
        Shown { after_s, sign, value, normal }
    }

    /// The first second from which a level has left its normal upwards.
    fn rises(&self, column: usize, normal: Normal) -> Option<usize> {
        let chance = 4.0 * normal.deviation.max(normal.mean.max(0.0).sqrt());
        let limit = (FACTOR * normal.mean).max(normal.mean + chance).max(normal.most) + 1.0;
        self.holds(column, |value| value > limit)
    }

    /// The first second that has a value from which the column is so in every second that has one.
    fn holds(&self, column: usize, is_so: impl Fn(f64) -> bool) -> Option<usize> {
        let so = |s: usize| self.columns.get(column, s).is_none_or(&is_so);
        let is_there = |s: &usize| self.columns.get(column, *s).is_some();
        self.seconds().filter(is_there).find(|s| (*s..*s + HOLDS_S).all(so))
    }

    fn worst(&self, column: usize, from: usize, worse: fn(f64, f64) -> f64) -> f64 {
        let values = (from..from + SEEN_S).filter_map(|s| self.columns.get(column, s));
        values.reduce(worse).unwrap_or(0.0)
    }

    /// The signs that a component shows, each with its second.
    fn signs(&self, component: usize) -> Vec<(usize, Shown, Option<usize>)> {
        let component = &self.map.components[component];
        let mut all: Vec<(usize, Shown, Option<usize>)> = Vec::new();
        for seen in &component.seen {
            let link = if let Seen::Pool { link, .. } = seen { Some(*link) } else { None };
            let found = self.sign(seen);
            all.extend(found.map(|(second, shown)| (second, shown, link)));
        }
        // Killed for memory: the log says so.
        let range = component.instances.clone();
        let killed = self.record.log.iter().find_map(|(at, change)| match change {
            Change::OutOfMemory { instance } if range.contains(instance) && *at >= self.span.start => {
                Some(at.seconds() as usize)
            }
            _ => None,
        });
        if let Some(second) = killed.filter(|s| self.seconds().contains(s)) {
            all.push((second, self.shown(second, Sign::Memory, 1.0, 0.0), None));
        }
        all
    }

    fn sign(&self, seen: &Seen) -> Option<(usize, Shown)> {
        match *seen {
            Seen::Errors { ended, good } => {
                let second = self.fails(ended, good)?;
                let ratio = |from: usize, to: usize| {
                    let ended = self.columns.sum(ended, from, to);
                    if ended > 0.0 { 1.0 - self.columns.sum(good, from, to) / ended } else { 0.0 }
                };
                let (from, to) = self.span.normal;
                let shown = self.shown(second, Sign::Errors, ratio(second, second + SEEN_S), ratio(from, to));
                Some((second, shown))
            }
            Seen::Rises { column, sign } => {
                let normal = self.normal(column)?;
                let second = self.rises(column, normal)?;
                Some((second, self.shown(second, sign, self.worst(column, second, f64::max), normal.mean)))
            }
            Seen::Slower { column } => {
                let normal = self.normal(column)?;
                let limit = (FACTOR * normal.mean).max(normal.mean + 4.0 * normal.deviation).max(normal.most);
                let second = self.holds(column, |value| value > limit)?;
                let value = self.mean(column, second, SEEN_S).unwrap_or(0.0);
                Some((second, self.shown(second, Sign::Latency, value, normal.mean)))
            }
            Seen::Full { column, sign } => {
                let normal = self.normal(column).filter(|n| n.mean < FULL.1)?;
                let second = self.holds(column, |value| value >= FULL.0)?;
                Some((second, self.shown(second, sign, self.worst(column, second, f64::max), normal.mean)))
            }
            Seen::Fewer { column, sign } => {
                let normal = self.normal(column).filter(|n| n.mean > 0.0)?;
                let second = self.holds(column, |value| value <= HALF * normal.mean)?;
                Some((second, self.shown(second, sign, self.worst(column, second, f64::min), normal.mean)))
            }
            Seen::Pool { in_use, size, waiting, .. } => {
                let normal = self.normal(waiting)?;
                let second = self.rises(waiting, normal)?;
                let [used, size] = [in_use, size].map(|c| self.mean(c, second, HOLDS_S).unwrap_or(0.0));
                let waits = self.worst(waiting, second, f64::max);
                let shown = self.shown(second, Sign::Pool, waits, normal.mean);
                (used >= FULL.1 * size).then_some((second, shown))
            }
        }
    }

    fn fails(&self, ended: usize, good: usize) -> Option<usize> {
        let (from, to) = self.span.normal;
        let [before, well] = [ended, good].map(|c| self.columns.sum(c, from, to));
        let normal = if before > 0.0 { (before - well) / before } else { 0.0 };
        let bad =
            |from: usize, to: usize| self.columns.sum(ended, from, to) - self.columns.sum(good, from, to);
        let too_many = |s: usize| {
            let all = self.columns.sum(ended, s, s + ERRORS_S);
            let limit = (FACTOR * normal).max(normal + ERRORS_LEAST) * all;
            bad(s, s + ERRORS_S) > limit + 3.0 * limit.sqrt() + 2.0
        };
        self.seconds().find(|s| bad(*s, *s + 1) > 0.5 && too_many(*s))
    }

    /// By how much the load on a column has grown around a second: normal, then, and the factor.
    fn growth(&self, column: usize, second: usize) -> Option<(f64, f64, f64)> {
        let normal = self.mean(column, self.span.normal.0, self.span.normal.1 - self.span.normal.0)?;
        let then = self.mean(column, second, HOLDS_S)?;
        let chance = 3.0 * (normal.max(0.0) / HOLDS_S as f64).sqrt();
        let is_more = then > LOAD_FACTOR * normal + chance && then > 1.0;
        Some((normal, then, if is_more { then / normal.max(1e-9) } else { 1.0 }))
    }

    /// Whether a link carries more load, and that is its caller's own doing: it grew by more than what the caller is
    /// asked for.
    fn is_pushed(&self, link: &Link, second: usize) -> bool {
        let Some((.., grown)) = link.load.and_then(|c| self.growth(c, second)) else { return false };
        let asked = self.map.components[link.from].asked.and_then(|c| self.growth(c, second));
        grown > 1.0 && grown > OWN_DOING * asked.map_or(1.0, |a| a.2)
    }

    /// Who falls next: the first, or one of those that fall at once with it.
    fn next(&self, fallen: &[Fallen]) -> Option<usize> {
        let first = fallen.iter().map(|f| f.second).min()?;
        let ties: Vec<usize> = (0..fallen.len()).filter(|f| fallen[*f].second <= first + TIE_S).collect();
        let waits_for = |x: usize, y: usize| {
            let (a, b) = (&fallen[x], &fallen[y]);
            self.map.links.iter().any(|link| {
                let pushed = || self.is_pushed(link, a.second.max(b.second));
                (link.from == a.component && link.to == b.component && !pushed())
                    || (link.from == b.component && link.to == a.component && pushed())
            })
        };
        let free = |x: &&usize| !ties.iter().any(|y| *y != **x && waits_for(**x, *y));
        let earliest = |x: &&usize| (fallen[**x].second, self.map.components[fallen[**x].component].depth);
        ties.iter().filter(free).min_by_key(earliest).or_else(|| ties.iter().min_by_key(earliest)).copied()
    }

    /// What carried a step, given what fell before.
    fn carrier(&self, fallen: &Fallen, path: &Path) -> Option<Carrier> {
        let (_, first, _) = fallen.shown.first()?;
        let at_once = fallen.shown.iter().filter(|(second, ..)| *second <= fallen.second + TIE_S);
        if let Some(link) = at_once.filter_map(|(.., pool)| *pool).next() {
            return Some(Carrier { link, load: None });
        }
        let links = || self.map.links.iter().enumerate();
        let is_down = |component: usize| path.iter().any(|step| step.component == Some(component));
        if first.sign == Sign::Health {
            let checks = links().find(|(_, l)| l.from == fallen.component && l.is_checks)?.0;
            return Some(Carrier { link: checks, load: None });
        }
        // Errors and waits that came up: of several edges the one on which most pile up or fail.
        let up = links().filter(|(_, l)| l.from == fallen.component && !l.is_checks && is_down(l.to));
        let mut most: Option<(f64, usize)> = None;
        for (at, link) in up {
            let excess = self.excess(link, fallen.second);
            if most.is_none_or(|(value, _)| excess > value) {
                most = Some((excess, at));
            }
        }
        if let Some((_, link)) = most.filter(|(excess, _)| *excess > 0.0) {
            return Some(Carrier { link, load: None });
        }
        // Overload that came down: the edge whose load grew most.
        let mut pushed: Option<(f64, usize, (f64, f64))> = None;
        for (at, link) in links().filter(|(_, l)| l.to == fallen.component && !l.is_checks) {
            let Some((normal, then, grown)) = link.load.and_then(|c| self.growth(c, fallen.second)) else {
                continue;
            };
            if grown > 1.0 && pushed.is_none_or(|(more, ..)| then - normal > more) {
                pushed = Some((then - normal, at, (normal, then)));
            }
        }
        let pushed = pushed.map(|(_, link, load)| Carrier { link, load: Some(load) });
        pushed.or_else(|| most.map(|(_, link)| Carrier { link, load: None }))
    }

    /// What has piled up on a link and failed on it since the start, above normal.
    fn excess(&self, link: &Link, second: usize) -> f64 {
        let start = self.span.start.seconds() as usize;
        let Some((begun, ended, good)) = link.calls else { return 0.0 };
        let to = second + HOLDS_S;
        let of = |column| self.columns.sum(column, start, to);
        let (from, until) = self.span.normal;
        let [before, well] = [ended, good].map(|c| self.columns.sum(c, from, until));
        let normal = if before > 0.0 { (before - well) / before } else { 0.0 };
        let failed = of(ended) * (1.0 - normal) - of(good);
        (of(begun) - of(ended)).max(0.0) + failed.max(0.0)
    }
}
