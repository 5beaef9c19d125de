//! Sweeps: settings with values, and measures that can be read.

use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::expression;
use crate::spec::source::Spanned;

pub(super) fn check(experiment: &Experiment, cx: &mut Context) {
    let Some(sweep) = &experiment.sweep else { return };
    if sweep.settings.is_empty() {
        cx.fail::<()>(sweep.place("settings"), "a sweep without settings has one point only");
    }
    for (path, span, values) in sweep.settings.spanned() {
        let path = Spanned { value: path.to_string(), span };
        if let Err(diagnostic) = values.check(&path, &sweep.design) {
            cx.diagnostics.push(diagnostic);
        }
    }
    if let Err(diagnostic) = sweep.design.check() {
        cx.diagnostics.push(diagnostic);
    }
    for measure in &sweep.measures {
        if expression::parse_subject(measure).is_err()
            && let Err(diagnostic) = expression::parse(measure)
        {
            cx.diagnostics.push(diagnostic);
        }
    }
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    if let Some(variant) = sweep.variant.as_ref().filter(|v| !variants.contains(&v.value.as_str())) {
        let message = format!("there is no variant `{}`", variant.value);
        cx.diagnostics
            .push(Diagnostic::error(variant.span, message).nearest(&variant.value, variants.iter().copied()));
    }
}
