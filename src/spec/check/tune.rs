//! Tuning: ranges that hold something, budgets that suffice, a variant that exists.

use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::tune::{BUDGET_MAX, BUDGET_MIN, Sensitivity};

pub(super) fn check(experiment: &Experiment, cx: &mut Context) {
    let Some(tune) = &experiment.tune else { return };
    for (_, knob) in tune.settings.iter() {
        if let Err(diagnostic) = knob.check() {
            cx.diagnostics.push(diagnostic);
        }
    }
    if !(BUDGET_MIN..=BUDGET_MAX).contains(&tune.budget) {
        let message = format!("the budget must be from {BUDGET_MIN} to {BUDGET_MAX} runs");
        cx.fail::<()>(tune.place("budget"), message);
    }
    let names: Vec<&str> = experiment.variants.names().collect();
    if let Some(variant) = tune.variant.as_ref().filter(|v| !names.contains(&v.value.as_str())) {
        cx.diagnostics.push(
            Diagnostic::error(variant.span, format!("there is no variant `{}`", variant.value))
                .nearest(&variant.value, names.iter().copied()),
        );
    }
    let few = match &tune.sensitivity {
        Some(Sensitivity::Morris(m)) if m.trajectories < 2 => {
            Some((m.span, "`trajectories` must be at least 2"))
        }
        Some(Sensitivity::Sobol(s)) if s.samples < 8 => Some((s.span, "`samples` must be at least 8")),
        _ => None,
    };
    if let Some((span, message)) = few {
        cx.fail::<()>(span, message);
    }
}
