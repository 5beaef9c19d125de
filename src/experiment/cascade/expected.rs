//! Paths that cascades are expected to take.

use super::{Map, Path};
use crate::base::units::Unit;
use crate::experiment::plan::{ExpectationPlan, SubjectPlan, VariantPlan};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::expression::{Comparison, Event, Expectation, Limits, Operator, Subject};
use crate::spec::load::Loader;
use crate::spec::source::Spanned;

/// A path that a cascade is expected to take.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedPath {
    /// The trigger: its number in the map.
    pub trigger: usize,
    /// The components in order; others may fall in between.
    pub path: Vec<usize>,
    /// The components that must not fall.
    pub absent: Vec<usize>,
}

impl ExpectedPath {
    /// Whether a run took it.
    pub fn is_taken(&self, path: &Path) -> bool {
        let mut fallen = path.iter().filter_map(|step| step.component);
        let in_order = self.path.iter().all(|wanted| fallen.any(|component| component == *wanted));
        in_order && !path.iter().any(|step| step.component.is_some_and(|c| self.absent.contains(&c)))
    }
}

/// What is expected of the cascades of a variant; mistakes are left in the loader's diagnostics.
pub fn expected(loader: &mut Loader, experiment: &Experiment, variant: &VariantPlan) -> Vec<ExpectationPlan> {
    let mut planned = Vec::new();
    for cascade in experiment.cascades.get(&variant.name).into_iter().flat_map(|list| &list.0) {
        let trigger = match trigger(cascade, &variant.cascade) {
            Ok(trigger) => trigger,
            Err(diagnostic) => {
                loader.diagnostics.push(diagnostic);
                continue;
            }
        };
        let mut find = |names: &[Spanned<String>]| -> Vec<usize> {
            let mut found = Vec::new();
            for name in names {
                match component(name, &variant.cascade) {
                    Ok(number) => found.push(number),
                    Err(diagnostic) => loader.diagnostics.push(diagnostic),
                }
            }
            found
        };
        let (path, absent) = (find(&cascade.path), find(&cascade.absent));
        let mut text = format!(
            "cascade({}): {}",
            variant.cascade.triggers[trigger].name,
            names(&cascade.path).join(" → ")
        );
        if !absent.is_empty() {
            text += &format!(", without {}", names(&cascade.absent).join(", "));
        }
        let share = cascade.share.0;
        let limits = Limits { operator: Operator::AtLeast, limit: share, upper: share };
        let comparison =
            Comparison { operator: Operator::AtLeast, limit: format!("{}%", share * 100.0), upper: None };
        // What it is about stands in the plan; an event of all faults is the nearest that formulas know.
        let subject = Subject::Probability(Event::Recovered { within: None, from: None });
        let file = loader.sources.get(cascade.span.source).map_or("", |s| s.name.as_str());
        planned.push(ExpectationPlan {
            expectation: Expectation { subject, comparison, text, span: cascade.span },
            subject: SubjectPlan::Cascade(ExpectedPath { trigger, path, absent }),
            limits,
            unit: Unit::Ratio,
            place: (file.to_string(), loader.sources.position(cascade.span).0),
        });
    }
    planned
}

fn names(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|name| name.value.as_str()).collect()
}

fn trigger(cascade: &crate::spec::cascade::Cascade, map: &Map) -> Result<usize, Diagnostic> {
    let names = || map.triggers.iter().map(|t| t.name.as_str());
    match &cascade.fault {
        Some(name) => names().position(|n| n == name.value).ok_or_else(|| {
            Diagnostic::error(name.span, format!("no fault of this variant is called `{}`", name.value))
                .nearest(&name.value, names())
        }),
        None if map.triggers.len() == 1 => Ok(0),
        None if map.triggers.is_empty() => {
            Err(Diagnostic::error(cascade.span, "nothing strikes this variant, so nothing can fall"))
        }
        None => Err(Diagnostic::error(cascade.span, "several faults strike this variant: which one?")
            .help(format!("write `fault: \"{}\"`", map.triggers[0].name))),
    }
}

fn component(name: &Spanned<String>, map: &Map) -> Result<usize, Diagnostic> {
    let paths = || map.components.iter().map(|c| c.path.as_str());
    paths().position(|path| path == name.value).ok_or_else(|| {
        Diagnostic::error(name.span, format!("there is no component `{}`", name.value))
            .label("not a component, such as `services.api` or `clients.users`")
            .nearest(&name.value, paths())
    })
}
