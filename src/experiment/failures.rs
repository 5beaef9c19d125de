//! Random failures, from the experiment's text to the script.

use super::plan::in_zone;
use crate::model::Model;
use crate::sim::script::{Blow, Effect, Fault, RandomFailure, Script, Which};
use crate::spec::experiment::{Action, Down, Errors, Hang, Instances, Number, Slow};
use crate::spec::failure::{FailureTarget, FailureUnit, Failures, LastingEffect};
use crate::spec::fault_instances::{CpuSteal, DiskSlow, GcStorm, MemoryLeak, ZoneDown, ZoneLoss};
use crate::spec::quantity::Seconds;
use crate::spec::source::{Places, Span, Spanned};

/// What strikes all that a failure strikes, for good: all instances, or so many.
pub(super) fn actions(number: usize, failure: &Failures, count: Option<u32>) -> Vec<Action> {
    let (span, lasts, ramp) = (Span::default(), None, Seconds(0.0));
    let places = Places::default;
    let name = |at: usize| Some(format!("failure-{}-{}", number + 1, at + 1));
    let instances =
        || count.map_or(Instances::All, |count| Instances::Number(Number { count, span, places: places() }));
    let on = |at: usize, target: Spanned<String>| {
        let (name, instances, places) = (name(at), instances(), places());
        match &failure.what {
            LastingEffect::Down => Action::Down(Down { target, instances, lasts, name, span, places }),
            LastingEffect::Hang => Action::Hang(Hang { target, instances, lasts, name, span, places }),
            LastingEffect::Errors(e) => {
                let ratio = e.ratio;
                Action::Errors(Errors { target, ratio, instances, lasts, name, ramp, span, places })
            }
            LastingEffect::Slow(s) => {
                let (factor, latency) = (Some(s.factor), None);
                Action::Slow(Slow { target, factor, latency, instances, lasts, name, ramp, span, places })
            }
            LastingEffect::CpuSteal(s) => {
                let share = s.share;
                Action::CpuSteal(CpuSteal { target, share, instances, lasts, name, ramp, span, places })
            }
            LastingEffect::DiskSlow(d) => {
                let factor = d.factor;
                Action::DiskSlow(DiskSlow { target, factor, instances, lasts, name, ramp, span, places })
            }
            LastingEffect::MemoryLeak(l) => {
                let rate = l.rate;
                Action::MemoryLeak(MemoryLeak { target, rate, instances, lasts, name, ramp, span, places })
            }
            LastingEffect::GcStorm(s) => {
                let (pause, every) = (s.pause.clone(), s.every);
                Action::GcStorm(GcStorm { target, pause, every, instances, lasts, name, span, places })
            }
        }
    };
    let first = match &failure.target {
        FailureTarget::Component(target) => on(0, target.clone()),
        FailureTarget::Zone(z) => Action::ZoneDown(ZoneDown {
            zone: z.zone.clone(),
            how: if matches!(failure.what, LastingEffect::Hang) {
                ZoneLoss::Network
            } else {
                ZoneLoss::Power
            },
            lasts,
            name: name(0),
            span,
            places: places(),
        }),
    };
    let more = failure.with.iter().enumerate().map(|(at, target)| on(at + 1, target.clone()));
    std::iter::once(first).chain(more).collect()
}

impl Script {
    /// Adds a random failure, which must come after all faults of the timeline and in the order of the catalog.
    pub(super) fn push_failure(&mut self, name: &str, failure: &Failures, model: &Model) {
        let blow = match &failure.what {
            LastingEffect::Down => Blow::Down,
            LastingEffect::Hang => Blow::Hang,
            LastingEffect::Errors(errors) => Blow::Errors(errors.ratio.0),
            LastingEffect::Slow(slow) => Blow::Slow(slow.factor),
            LastingEffect::CpuSteal(steal) => Blow::Steal(steal.share.0),
            LastingEffect::DiskSlow(disk) => Blow::Disk(disk.factor),
            LastingEffect::MemoryLeak(leak) => Blow::Leak(leak.rate.0 as f64),
            LastingEffect::GcStorm(storm) => {
                Blow::Pauses { pause: storm.pause.dist.clone(), every: storm.every.duration() }
            }
        };
        let group_of = |name: &str| model.groups.iter().position(|g| g.name == name).map(|g| g as u32);
        let (mut on, mut queues, mut zone) = (Vec::new(), Vec::new(), None);
        let mut add = |name: &str| match group_of(name) {
            Some(group) => on.push((group, Which::All)),
            None => queues.extend(model.queues.iter().position(|q| q.name == name).map(|q| q as u32)),
        };
        match &failure.target {
            FailureTarget::Component(target) => add(&target.value),
            FailureTarget::Zone(z) => zone = model.zones.iter().position(|name| *name == z.zone.value),
        }
        failure.with.iter().for_each(|more| add(&more.value));
        on.extend(zone.into_iter().flat_map(|zone| in_zone(model, zone as u32)));
        let group = on.first().map_or(0, |(group, _)| *group);
        let is_alone = matches!(on.as_slice(), [(_, Which::All)]) && queues.is_empty();
        let fault = self.faults.len() as u32;
        let effect = match is_alone {
            true => Effect::Strike { group, which: Which::All, blow },
            false => Effect::Strikes { on, queues, blow },
        };
        self.faults.push(Fault::new(format!("failures.{name}"), effect));
        self.failures.push(RandomFailure {
            name: name.to_string(),
            group,
            each: is_alone && matches!(failure.each, FailureUnit::Instance),
            fault,
            up: failure.up.dist.clone(),
            down: failure.down.dist.clone(),
        });
    }
}
