//! The least sizes that carry a load: a first guess from utilizations, then one setting after the other, each step
//! confirmed by simulation.

use super::probe::{Point, Prober};
use super::resources::Resource;
use super::search::Found;
use super::{CapacityError, Setting};
use crate::experiment::results::Verdict;

/// The most runs at each try.
const RUNS: u32 = 10;
/// The most tries to find sizes that hold.
const GROWTHS: u32 = 14;
/// The most tries in all.
const TRIES: u32 = 80;

/// The size of one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Its path.
    pub path: String,
    /// What it is in the file.
    pub now: u32,
    /// What it must be.
    pub needed: u32,
    /// Whether it has reached the greatest that is allowed.
    pub is_at_limit: bool,
}

/// Sizes for a load.
#[derive(Clone, Debug)]
pub struct Sized {
    /// Each setting that may change.
    pub sizes: Vec<Size>,
    /// What was found with these sizes.
    pub point: Point,
    /// Whether the objectives hold with them; if not, these are the last that were tried.
    pub holds: bool,
    /// The fullest resource with these sizes, by number, and its usage.
    pub fullest: Option<(usize, f64)>,
    /// Whether the tries ran out before every setting had been made as small as it may be.
    pub out_of_tries: bool,
}

/// One attempt to size a system for a load.
struct Sizer<'s, 'a> {
    prober: &'s mut Prober<'a>,
    settings: Vec<Setting>,
    resources: &'s [Resource],
    load: f64,
    tries: u32,
}

/// The least sizes at which the objectives hold at a load; none if nothing may change.
pub(super) fn least(
    prober: &mut Prober<'_>,
    found: &Found,
    resources: &[Resource],
    load: f64,
) -> Result<Option<Sized>, CapacityError> {
    let settings = prober.question.scale.clone();
    let (false, Some(reference)) = (settings.is_empty(), found.reference()) else { return Ok(None) };
    let runs = RUNS.min(prober.question.runs);
    let guess = guess(&settings, resources, reference, load, prober.question.busy);
    let mut sizer = Sizer { prober, settings, resources, load, tries: 0 };
    let mut sizes = guess;
    let mut point = sizer.play(&sizes, runs)?;
    for _ in 0..GROWTHS {
        if point.verdict == Verdict::Held || !sizer.grow(&mut sizes, &point) {
            break;
        }
        point = sizer.play(&sizes, runs)?;
    }
    let holds = point.verdict == Verdict::Held;
    if holds {
        sizer.shrink(&mut sizes, &mut point, runs)?;
    }
    let fullest = point.usage.iter().enumerate().filter_map(|(at, usage)| Some((at, (*usage)?.mean)));
    let fullest = fullest.reduce(|a, b| if b.1 > a.1 { b } else { a });
    let of_each = sizer.settings.iter().zip(&sizes).map(|(setting, needed)| Size {
        path: setting.path.clone(),
        now: setting.now,
        needed: *needed,
        is_at_limit: *needed == setting.to,
    });
    let out_of_tries = sizer.tries >= TRIES;
    Ok(Some(Sized { sizes: of_each.collect(), point, holds, fullest, out_of_tries }))
}

/// How much of a resource is used for each unit of a setting's size.
fn usage_of(setting: &Setting, resources: &[Resource], point: &Point) -> Option<f64> {
    let of_it = resources.iter().zip(&point.usage).filter(|(r, _)| r.settings.contains(&setting.path));
    of_it.filter_map(|(_, usage)| usage.map(|u| u.mean)).reduce(f64::max)
}

/// Sizes at which every resource would be as busy as it may be, if its usage grew in proportion to the load: those of
/// whole services and databases first, then those that each instance has for itself.
fn guess(settings: &[Setting], resources: &[Resource], reference: &Point, load: f64, busy: f64) -> Vec<u32> {
    let growth = load / reference.load;
    let is_replicas = |setting: &Setting| setting.path.ends_with(".replicas");
    let mut sizes: Vec<u32> = settings.iter().map(|setting| setting.now).collect();
    for (size, setting) in sizes.iter_mut().zip(settings).filter(|(_, s)| is_replicas(s)) {
        *size = scaled(setting, usage_of(setting, resources, reference), growth, busy);
    }
    for at in 0..settings.len() {
        let setting = &settings[at];
        if is_replicas(setting) {
            continue;
        }
        // The more instances there are, the less each of them has to do.
        let service = resources.iter().find(|r| r.settings.contains(&setting.path));
        let service = service.and_then(|r| r.service.as_ref());
        let replicas = service.map(|service| format!("services.{service}.replicas"));
        let replicas = settings.iter().position(|s| Some(&s.path) == replicas.as_ref());
        let more = replicas.map_or(1.0, |r| f64::from(sizes[r]) / f64::from(settings[r].now.max(1)));
        sizes[at] = scaled(setting, usage_of(setting, resources, reference), growth / more, busy);
    }
    sizes
}

fn scaled(setting: &Setting, usage: Option<f64>, growth: f64, busy: f64) -> u32 {
    let needed = f64::from(setting.now) * usage.unwrap_or(busy) * growth / busy;
    // As a size that is a shade above a whole number for rounding alone.
    ((needed - 1e-9).ceil().max(1.0) as u32).clamp(setting.from, setting.to)
}

impl Sizer<'_, '_> {
    fn play(&mut self, sizes: &[u32], runs: u32) -> Result<Point, CapacityError> {
        self.tries += 1;
        let pairs = self.settings.iter().zip(sizes);
        let settings: Vec<String> = pairs.map(|(s, size)| format!("{}={size}", s.path)).collect();
        self.prober.point(&[], &settings, self.load, runs)
    }

    /// Makes what is busier than it may be larger, or else what is busiest; `false` if nothing can be.
    fn grow(&self, sizes: &mut [u32], point: &Point) -> bool {
        let busy = self.prober.question.busy;
        let usages: Vec<Option<f64>> =
            self.settings.iter().map(|s| usage_of(s, self.resources, point)).collect();
        let open: Vec<usize> = (0..sizes.len()).filter(|at| sizes[*at] < self.settings[*at].to).collect();
        let mut chosen: Vec<usize> =
            open.iter().copied().filter(|at| usages[*at].is_some_and(|u| u >= busy)).collect();
        if chosen.is_empty() {
            let most = |a: &usize, b: &usize| usages[*a].unwrap_or(0.0).total_cmp(&usages[*b].unwrap_or(0.0));
            chosen.extend(open.iter().copied().max_by(most));
        }
        for at in &chosen {
            let usage = usages[*at].unwrap_or(busy);
            let factor = (usage / busy).clamp(1.1, 2.0);
            let larger = (f64::from(sizes[*at]) * factor).ceil() as u32;
            sizes[*at] = larger.max(sizes[*at] + 1).min(self.settings[*at].to);
        }
        !chosen.is_empty()
    }

    /// Makes one setting after the other as small as it may be, the dearest first. `sizes` hold before and after.
    fn shrink(&mut self, sizes: &mut [u32], point: &mut Point, runs: u32) -> Result<(), CapacityError> {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        // The sort is stable: what costs the same comes in order of path.
        order.sort_by(|a, b| self.settings[*b].price.total_cmp(&self.settings[*a].price));
        for at in order {
            // Below the lower end nothing is tried; what is smaller than what is used cannot be enough.
            let used = usage_of(&self.settings[at], self.resources, point).unwrap_or(0.0);
            let least = (f64::from(sizes[at]) * used).floor() as u32;
            let (mut low, mut high) = (self.settings[at].from.max(least), sizes[at]);
            while low < high && self.tries < TRIES {
                let middle = low + (high - low) / 2;
                let mut smaller = sizes.to_vec();
                smaller[at] = middle;
                let tried = self.play(&smaller, runs)?;
                if tried.verdict == Verdict::Held {
                    (high, *point) = (middle, tried);
                    sizes[at] = middle;
                } else {
                    low = middle + 1;
                }
            }
        }
        Ok(())
    }
}
