//! The highest load at which the objectives hold, the curve up to it, its knee, and what gives out first.

use super::CapacityError;
use super::probe::{Effort, Point, Prober};
use crate::experiment::plan::Plan;
use crate::experiment::results::Verdict;
use crate::metrics::estimate::stable;
use crate::spec::experiment::At;
use crate::spec::expression::Limits;

/// The lowest load that is looked at.
const LOAD_MIN: f64 = 1.0 / 64.0;
/// A resource is full when so much of it is used, on average over time: beyond it, waiting takes over.
const FULL: f64 = 0.95;
/// The least usage that is prolonged to higher loads.
const USED: f64 = 0.01;

/// What was found of one system.
#[derive(Clone, Debug)]
pub struct Found {
    /// The highest load up to which the objectives surely hold; none if they hold at no load that was looked at.
    pub holds: Option<f64>,
    /// The lowest load at which they surely fail; none if they do at none that was looked at.
    pub fails: Option<f64>,
    /// Where the means over runs meet the limits; none where not both are known.
    pub estimate: Option<f64>,
    /// All loads that were played, ascending.
    pub points: Vec<Point>,
    limits: Vec<Limits>,
}

/// A resource that gives out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Full {
    /// Its number.
    pub resource: usize,
    /// The load at which it is full.
    pub load: f64,
    /// Whether it was seen; if not, its usage was prolonged in proportion to the load.
    pub is_measured: bool,
}

/// Where throughput over latency is greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knee {
    /// The load.
    pub load: f64,
    /// The loads beside it that were played: the knee is between them.
    pub between: (f64, f64),
}

/// A load with four significant digits: as fine as any answer, and readable.
fn rounded(load: f64) -> f64 {
    format!("{load:.3e}").parse().unwrap_or(load)
}

/// The place of a load among the points, played if need be.
pub(super) fn at(
    prober: &mut Prober<'_>,
    lost: &[At],
    load: f64,
    runs: u32,
    points: &mut Vec<Point>,
) -> Result<Verdict, CapacityError> {
    if let Some(known) = points.iter().find(|p| p.load == load) {
        return Ok(known.verdict);
    }
    let point = prober.point(lost, &[], load, runs)?;
    let verdict = point.verdict;
    points.push(point);
    points.sort_by(|a, b| a.load.total_cmp(&b.load));
    Ok(verdict)
}

/// Looks for the highest load that holds and the lowest that fails, and adds all loads that it plays to `points`.
pub(super) fn search(
    prober: &mut Prober<'_>,
    lost: &[At],
    effort: Effort,
    points: &mut Vec<Point>,
) -> Result<(), CapacityError> {
    let Effort { within, runs } = effort;
    let up_to = prober.question.up_to;
    // First a load that holds and one that does not.
    let mut load = up_to.min(1.0);
    if at(prober, lost, load, runs, points)? == Verdict::Held {
        while load < up_to {
            load = (2.0 * load).min(up_to);
            if at(prober, lost, load, runs, points)? != Verdict::Held {
                break;
            }
        }
    } else {
        while load > LOAD_MIN {
            load /= 2.0;
            if at(prober, lost, load, runs, points)? == Verdict::Held {
                break;
            }
        }
    }
    // The upper end of what surely holds.
    while let (Some(holds), Some(open)) = (holds(points), first(points, |v| v != Verdict::Held)) {
        let middle = rounded((holds * open).sqrt());
        if open <= holds * (1.0 + within) || middle <= holds || middle >= open {
            break;
        }
        at(prober, lost, middle, runs, points)?;
    }
    // The lower end of what surely fails.
    if first(points, |v| v == Verdict::Failed).is_none() {
        let open = first(points, |v| v != Verdict::Held);
        for factor in [1.0 + within, 1.05, 1.1, 1.25, 1.5, 2.0] {
            let Some(next) = open.map(|open| rounded(open * factor)).filter(|next| *next <= up_to) else {
                break;
            };
            if at(prober, lost, next, runs, points)? == Verdict::Failed {
                break;
            }
        }
    }
    while let Some(fails) = first(points, |v| v == Verdict::Failed) {
        let Some(open) = points.iter().map(|p| p.load).filter(|load| *load < fails).reduce(f64::max) else {
            break;
        };
        let middle = rounded((open * fails).sqrt());
        if fails <= open * (1.0 + within) || middle <= open || middle >= fails {
            break;
        }
        at(prober, lost, middle, runs, points)?;
    }
    Ok(())
}

/// Adds loads at even distances up to beyond the capacity, so that a curve can be drawn.
pub(super) fn curve(
    prober: &mut Prober<'_>,
    runs: u32,
    points: &mut Vec<Point>,
) -> Result<(), CapacityError> {
    let fails = first(points, |v| v == Verdict::Failed);
    let Some(top) = fails.or(holds(points)) else { return Ok(()) };
    for tenth in 1..=9 {
        at(prober, &[], rounded(top * f64::from(tenth) / 10.0), runs, points)?;
    }
    if fails.is_some() {
        at(prober, &[], rounded(top * 1.1), runs, points)?;
    }
    Ok(())
}

/// The least load with a verdict that is looked for.
fn first(points: &[Point], is_it: impl Fn(Verdict) -> bool) -> Option<f64> {
    points.iter().find(|p| is_it(p.verdict)).map(|p| p.load)
}

/// The highest load that holds, below the first that does not.
fn holds(points: &[Point]) -> Option<f64> {
    points.iter().take_while(|p| p.verdict == Verdict::Held).last().map(|p| p.load)
}

impl Found {
    /// Everything that the points tell.
    pub(super) fn new(points: Vec<Point>, plan: &Plan) -> Self {
        let limits: Vec<Limits> = plan.variants[0].expectations.iter().map(|e| e.limits).collect();
        let (holds, fails) = (holds(&points), first(&points, |v| v == Verdict::Failed));
        let estimate = holds.zip(fails).map(|(holds, fails)| meeting(&points, &limits, holds, fails));
        Self { holds, fails, estimate, points, limits }
    }

    /// A load that fails and a higher one that holds, if there are such.
    pub fn not_monotone(&self) -> Option<(f64, f64)> {
        let fails = self.fails?;
        let holds = self.points.iter().rev().find(|p| p.verdict == Verdict::Held)?.load;
        (holds > fails).then_some((fails, holds))
    }

    /// Requests per second at a load, in proportion to the nearest load that was played.
    pub fn rate(&self, load: f64) -> Option<f64> {
        // What is sent is in proportion to the load, but for whole users.
        let near = self.points.iter().filter(|p| p.rate.is_some()).min_by(|a, b| {
            let off = |p: &Point| (libm::log(p.load / load)).abs();
            off(a).total_cmp(&off(b))
        })?;
        near.rate.map(|rate| rate.mean * load / near.load)
    }

    /// The first objective that fails at the lowest load that fails; none if requests pile up there, or nothing fails.
    pub fn broken(&self) -> Option<usize> {
        let point = self.points.iter().find(|p| Some(p.load) == self.fails)?;
        let worst = |at: &usize| {
            let scale = if self.limits[*at].limit == 0.0 { 1.0 } else { self.limits[*at].limit.abs() };
            point.objectives[*at].margin.map_or(-1.0, |margin| margin / scale)
        };
        let failed =
            (0..point.objectives.len()).filter(|at| point.objectives[*at].verdict == Verdict::Failed);
        failed.min_by(|a, b| worst(a).total_cmp(&worst(b)))
    }

    /// What gives out, in order of load. Where a resource was seen to be full, straight lines join the loads beside
    /// that; else its usage at the highest load that holds is prolonged in proportion to the load, as the utilization
    /// law says (Denning and Buzen, "The Operational Analysis of Queueing Network Models", 1978).
    pub(super) fn full(&self, resources: usize) -> Vec<Full> {
        let reference = self.reference();
        let mut found: Vec<Full> = (0..resources).filter_map(|r| self.full_at(r, reference?)).collect();
        found.sort_by(|a, b| a.load.total_cmp(&b.load));
        found
    }

    /// The highest load that holds, or the lowest that was played if none does.
    pub(super) fn reference(&self) -> Option<&Point> {
        let holds = self.points.iter().find(|p| Some(p.load) == self.holds);
        holds.or(self.points.first())
    }

    fn full_at(&self, resource: usize, reference: &Point) -> Option<Full> {
        let usage = |p: &Point| p.usage.get(resource).copied().flatten().map(|u| u.mean);
        let seen: Vec<(f64, f64)> = self.points.iter().filter_map(|p| Some((p.load, usage(p)?))).collect();
        if let Some(over) = seen.iter().position(|(_, usage)| *usage >= FULL) {
            let (load, used) = seen[over];
            let load = match over.checked_sub(1).map(|before| seen[before]) {
                Some((below, less)) => below + (load - below) * (FULL - less) / (used - less),
                None => load,
            };
            return Some(Full { resource, load, is_measured: true });
        }
        // What is hardly used at all is not prolonged: chance would be.
        let used = usage(reference).filter(|used| *used >= USED)?;
        Some(Full { resource, load: reference.load * FULL / used, is_measured: false })
    }

    /// The knee of the curve: where the power, throughput over mean latency, is greatest (Kleinrock, "Power and
    /// deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979). Loads at which
    /// requests pile up have no steady latency and are left out. None if the power still rises at the last load.
    pub(super) fn knee(&self) -> Option<Knee> {
        let power: Vec<(f64, f64)> = self
            .points
            .iter()
            .filter(|p| p.pile.is_none())
            .filter_map(|p| Some((p.load, p.goodput?.mean / p.latency.filter(|l| l.mean > 0.0)?.mean)))
            .collect();
        let top = (0..power.len()).max_by(|a, b| power[*a].1.total_cmp(&power[*b].1))?;
        let (before, after) = (power.get(top.checked_sub(1)?)?, power.get(top + 1)?);
        // The vertex of the parabola through the three points.
        let ((x, y), (x0, y0), (x1, y1)) = (power[top], *before, *after);
        let (left, right) = ((y - y0) / (x - x0), (y1 - y) / (x1 - x));
        let curvature = (right - left) / (x1 - x0);
        let vertex = if curvature < 0.0 { (x0 + x) / 2.0 - left / (2.0 * curvature) } else { x };
        Some(Knee { load: stable(vertex.clamp(x0, x1)), between: (x0, x1) })
    }
}

/// Where the least margin crosses zero between two loads: a straight line joins the last point on the right side and
/// the first on the wrong one.
fn meeting(points: &[Point], limits: &[Limits], holds: f64, fails: f64) -> f64 {
    let within: Vec<(f64, f64)> = points
        .iter()
        .filter(|p| p.load >= holds && p.load <= fails)
        .map(|p| (p.load, p.margin(limits)))
        .collect();
    let crossing = within.windows(2).find(|pair| pair[0].1 >= 0.0 && pair[1].1 < 0.0);
    match crossing {
        Some(&[(a, above), (b, below)]) => stable(a + (b - a) * above / (above - below)),
        _ => stable((holds * fails).sqrt()),
    }
}
