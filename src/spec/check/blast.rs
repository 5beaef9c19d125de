//! The blast radius: targets that exist, and times in which something can be seen.

use super::names::{Component, find};
use crate::spec::blast::Blast;
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::failure::FailureEffect;
use crate::spec::topology::Topology;

pub(super) fn check(blast: &Blast, topology: &Topology, cx: &mut Context) {
    if blast.faults.is_empty() {
        cx.fail::<()>(blast.place("faults"), "`faults` is empty: nothing would fail");
    }
    for effect in &blast.faults {
        if let FailureEffect::Slow(slow) = effect
            && slow.factor < 0.0
        {
            cx.fail::<()>(slow.place("factor"), "`factor` must not be negative");
        }
    }
    for target in &blast.targets {
        match find(topology, &target.value) {
            Some(Component::Service(_) | Component::Database(_) | Component::External(_)) => {}
            Some(Component::Balancer(_)) => {
                let message =
                    format!("`{}` is a balancer: what fails is what stands behind it", target.value);
                cx.fail::<()>(target.span, message);
            }
            None => {
                let names = topology
                    .services
                    .names()
                    .chain(topology.databases.names())
                    .chain(topology.externals.names());
                cx.diagnostics.push(
                    Diagnostic::error(target.span, format!("nothing called `{}` can fail", target.value))
                        .nearest(&target.value, names),
                );
            }
        }
    }
    // Whole seconds: what happens is looked at second by second.
    for (field, seconds, least) in
        [("at", blast.at.0, 1.0), ("lasts", blast.lasts.0, 1.0), ("rest", blast.rest.0, 1.0)]
    {
        if seconds < least {
            cx.fail::<()>(blast.place(field), format!("`{field}` must be at least 1 s"));
        }
    }
    for (field, share) in [("spof", blast.spof.0), ("falls", blast.falls.0), ("noticed", blast.noticed.0)] {
        if share <= 0.0 {
            cx.fail::<()>(blast.place(field), format!("`{field}` must be more than 0"));
        }
    }
}
