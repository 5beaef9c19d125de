//! Cascades: variants that exist, paths that say something. Faults and components are found when each variant is
//! planned.

use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;

pub(super) fn check(experiment: &Experiment, cx: &mut Context) {
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    for (name, span, cascades) in experiment.cascades.spanned() {
        if !variants.contains(&name) {
            let error = Diagnostic::error(span, format!("there is no variant `{name}`"));
            cx.diagnostics.push(error.nearest(name, variants.iter().copied()));
        }
        for cascade in &cascades.0 {
            if cascade.path.is_empty() && cascade.absent.is_empty() {
                let message = "this says nothing: neither what falls nor what must not";
                cx.fail::<()>(cascade.span, message);
            }
            if cascade.share.0 <= 0.0 {
                cx.fail::<()>(cascade.place("share"), "`share` must be more than 0");
            }
            for (at, component) in cascade.path.iter().enumerate() {
                let is_again = cascade.path[..at].iter().any(|c| c.value == component.value);
                let is_absent = cascade.absent.iter().any(|c| c.value == component.value);
                if is_again || is_absent {
                    let message = format!("`{}` falls once, or not at all", component.value);
                    cx.fail::<()>(component.span, message);
                }
            }
        }
    }
}
