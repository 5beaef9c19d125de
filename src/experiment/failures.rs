//! Random failures, from the experiment's text to the script.

use crate::model::Model;
use crate::sim::script::{Blow, Effect, Fault, RandomFailure, Script, Which};
use crate::spec::failure::{FailureEffect, FailureUnit, Failures};

impl Script {
    /// Adds a random failure, which must come after all faults of the timeline and in the order of the catalog.
    pub(super) fn push_failure(&mut self, name: &str, failure: &Failures, model: &Model) {
        let target = &failure.target.value;
        let group = model.groups.iter().position(|g| g.name == *target).unwrap_or(0) as u32;
        let blow = match &failure.what {
            FailureEffect::Down => Blow::Down,
            FailureEffect::Hang => Blow::Hang,
            FailureEffect::Errors(errors) => Blow::Errors(errors.ratio.0),
            FailureEffect::Slow(slow) => Blow::Slow(slow.factor),
        };
        let fault = self.faults.len() as u32;
        let effect = Effect::Strike { group, which: Which::All, blow };
        self.faults.push(Fault { name: format!("failures.{name}"), effect });
        self.failures.push(RandomFailure {
            name: name.to_string(),
            group,
            each: matches!(failure.each, FailureUnit::Instance),
            fault,
            up: failure.up.dist.clone(),
            down: failure.down.dist.clone(),
        });
    }
}
