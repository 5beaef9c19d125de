//! What is compared with a baseline: formulas that can be read, variants that exist, and which way is worse.

use crate::spec::check_baseline::worse_of;
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::expression::parse_subject;

pub(super) fn check(experiment: &Experiment, cx: &mut Context) {
    let Some(check) = &experiment.check else { return };
    let variants: Vec<&str> =
        if experiment.variants.is_empty() { vec!["base"] } else { experiment.variants.names().collect() };
    let named = check.measures.iter().filter_map(|w| w.0.variant.as_ref());
    for variant in check.variants.iter().chain(named) {
        if !variants.contains(&variant.value.as_str()) {
            cx.diagnostics.push(
                Diagnostic::error(variant.span, format!("there is no variant `{}`", variant.value))
                    .nearest(&variant.value, variants.iter().copied()),
            );
        }
    }
    for watch in check.measures.iter().map(|w| &w.0) {
        match parse_subject(&watch.of) {
            Err(diagnostic) => cx.diagnostics.push(diagnostic),
            Ok(subject) if watch.worse.is_none() && worse_of(&subject).is_none() => {
                let example = format!("write `Watch(of: \"{}\", worse: Higher)`, or `Lower`", watch.of.value);
                cx.diagnostics.push(
                    Diagnostic::error(watch.of.span, "more of this may be better or worse: say which")
                        .label("which way is worse?")
                        .help(example),
                );
            }
            Ok(_) => {}
        }
    }
}
