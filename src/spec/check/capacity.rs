//! Questions about capacity: numbers that make sense, and names that exist.

use crate::spec::capacity::{Capacity, Loss};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::expression;
use crate::spec::source::Spanned;
use crate::spec::topology::Topology;

/// The highest multiple of the load that is ever simulated.
pub const LOAD_MAX: f64 = 1000.0;

pub(super) fn check(experiment: &Experiment, topology: &Topology, cx: &mut Context) {
    let Some(capacity) = &experiment.capacity else { return };
    numbers(capacity, cx);
    for text in &capacity.objective {
        if let Err(diagnostic) = expression::parse(text) {
            cx.diagnostics.push(diagnostic);
        }
    }
    for (path, span, range) in capacity.scale.spanned() {
        if range.from == 0 || range.to < range.from {
            let message = format!("the sizes of `{path}` must go from 1 or more to as many or more");
            cx.diagnostics.push(Diagnostic::error(range.span, message).context(span, "this setting"));
        }
    }
    if let Some(variant) = &capacity.variant
        && experiment.variants.get(&variant.value).is_none()
    {
        let message = format!("there is no variant `{}`", variant.value);
        let diagnostic = Diagnostic::error(variant.span, message);
        cx.diagnostics.push(diagnostic.nearest(&variant.value, experiment.variants.names()));
    }
    for (_, loss) in capacity.without.iter().flat_map(|losses| losses.iter()) {
        match loss {
            Loss::Instances(lost) => {
                if lost.count == 0 {
                    cx.fail::<()>(lost.place("count"), "`count` must be at least 1");
                }
                services(&lost.of, topology, cx);
            }
            Loss::Zone(lost) => {
                if lost.share.0 <= 0.0 || lost.share.0 >= 1.0 {
                    cx.fail::<()>(lost.place("share"), "`share` must be more than 0 and less than all");
                }
                services(&lost.of, topology, cx);
            }
            Loss::Fault(lost) => fault(&lost.name, experiment, cx),
        }
    }
}

fn numbers(capacity: &Capacity, cx: &mut Context) {
    if !(0.5..1.0).contains(&capacity.confidence.0) {
        cx.fail::<()>(capacity.place("confidence"), "`confidence` must be at least 50 % and less than 100 %");
    }
    if !(1e-4..=0.5).contains(&capacity.within.0) {
        cx.fail::<()>(capacity.place("within"), "`within` must be from 0.01 % to 50 %");
    }
    if !(0.05..=1.0).contains(&capacity.busy.0) {
        cx.fail::<()>(capacity.place("busy"), "`busy` must be from 5 % to 100 %");
    }
    if !(3..=1_000_000).contains(&capacity.runs) {
        cx.fail::<()>(capacity.place("runs"), "`runs` must be at least 3: two runs tell too little");
    }
    let mut load = |value: f64, field: &str| {
        if !(value > 0.0 && value <= LOAD_MAX) {
            let message = format!("`{field}` must be more than 0 and at most {LOAD_MAX}");
            cx.diagnostics
                .push(Diagnostic::error(capacity.place(field), message).label(format!("this is {value}")));
        }
    };
    load(capacity.up_to, "up_to");
    load(capacity.at_least, "at_least");
    capacity.multiples.iter().for_each(|multiple| load(*multiple, "multiples"));
}

fn services(names: &[Spanned<String>], topology: &Topology, cx: &mut Context) {
    for name in names.iter().filter(|name| topology.services.get(&name.value).is_none()) {
        let diagnostic = Diagnostic::error(name.span, format!("there is no service `{}`", name.value));
        cx.diagnostics.push(diagnostic.nearest(&name.value, topology.services.names()));
    }
}

fn fault(name: &Spanned<String>, experiment: &Experiment, cx: &mut Context) {
    let known: Vec<&str> =
        experiment.timeline.iter().filter_map(|at| at.action.fault()).map(|fault| fault.name).collect();
    if !known.contains(&name.value.as_str()) {
        let message = format!("no fault of the timeline is called `{}`", name.value);
        cx.diagnostics.push(Diagnostic::error(name.span, message).nearest(&name.value, known));
    }
}
