//! What theory says: values and tolerances that can be met.

use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Experiment, Over};

pub(super) fn check(experiment: &Experiment, cx: &mut Context) {
    let Some(theory) = &experiment.theory else { return };
    if theory.source.trim().is_empty() {
        cx.fail::<()>(theory.place("source"), "`source` is empty: nobody could look the values up");
    }
    if theory.values.is_empty() {
        cx.fail::<()>(theory.place("values"), "theory says nothing: `values` is empty");
    }
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    for (name, _, value) in theory.values.spanned() {
        if value.absolute < 0.0 {
            cx.fail::<()>(value.place("absolute"), "`absolute` must not be negative");
        }
        if let Some(variant) = value.variant.as_ref().filter(|v| !variants.contains(&v.value.as_str())) {
            cx.diagnostics.push(
                Diagnostic::error(variant.span, format!("there is no variant `{}`", variant.value))
                    .nearest(&variant.value, variants.iter().copied()),
            );
        }
        if experiment.runs.at_most() == 1
            && matches!(value.over, Over::Mean)
            && (value.within.0 > 0.0 || value.absolute > 0.0)
        {
            let message = format!("one run cannot tell how far `{name}` can be trusted");
            cx.diagnostics.push(
                Diagnostic::error(value.span, message)
                    .help("give `runs: 10` or so, or `over: Max` if chance plays no part"),
            );
        }
    }
}
