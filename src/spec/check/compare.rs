//! Comparisons: names that exist, and numbers with which a selection can keep its word.

use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;

/// The fewest runs of a first stage: fewer do not estimate variances well enough.
pub const FIRST_MIN: u32 = 10;

pub(super) fn check(experiment: &Experiment, cx: &mut Context) {
    let Some(compare) = &experiment.compare else { return };
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    if let Some(baseline) = compare.baseline.as_ref().filter(|b| !variants.contains(&b.value.as_str())) {
        cx.diagnostics.push(
            Diagnostic::error(baseline.span, format!("there is no variant `{}`", baseline.value))
                .nearest(&baseline.value, variants.iter().copied()),
        );
    }
    let Some(select) = &compare.select else { return };
    if select.first < FIRST_MIN {
        cx.fail::<()>(select.place("first"), format!("`first` must be at least {FIRST_MIN}"));
    }
    if select.at_most < select.first {
        cx.fail::<()>(select.place("at_most"), "`at_most` must not be less than `first`");
    }
    if !(0.5..1.0).contains(&select.probability.0) {
        let message = "`probability` must be at least 50% and less than 100%";
        cx.fail::<()>(select.place("probability"), message);
    }
}
