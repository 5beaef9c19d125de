//! From a file to what is measured of each of its variants.

use super::Place;
use crate::base::units::Unit;
use crate::experiment::plan::{Changes, FaultMeasure, Plan, SubjectPlan, VariantPlan, plan};
use crate::spec::check_baseline::{Watch, Worse, worse_of, worse_of_expectation};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::expression::{parse_subject, parse_value};
use crate::spec::load::{Document, Loader};
use crate::spec::source::{Span, Spanned};

/// A share that changes by less than this has not changed, unless the file says otherwise: 0.01 percentage points.
const SHARE_TOLERANCE: f64 = 1e-4;

/// A tolerance for what is compared in files that state none: 1 %.
const TOLERANCE: f64 = 0.01;

/// What a file is asked.
#[derive(Debug)]
pub struct Question {
    /// What is played; variants that are compared have measures.
    pub plan: Plan,
    /// What is asked of each variant, as its measures are.
    pub asked: Vec<Vec<Asked>>,
    /// Where each variant stands.
    pub places: Vec<Place>,
    /// Whether the file wants a baseline at all.
    pub wants_baseline: bool,
}

/// A measure that is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which way is worse.
    pub worse: Worse,
    /// How far it may get worse, relative to the baseline.
    pub tolerance: f64,
    /// How far it may get worse in any case, in its unit.
    pub absolute: f64,
}

/// A measure before it is planned.
struct Wanted<'e> {
    text: Spanned<String>,
    worse: Worse,
    watch: Option<&'e Watch>,
}

/// The question that a file asks; mistakes are left in the loader's diagnostics.
pub fn question(loader: &mut Loader, document: Document, changes: &Changes) -> Option<Question> {
    let experiment = match &document {
        Document::Experiment(document) => Some(document.experiment.clone()),
        Document::Topology(_) => None,
    };
    let check = experiment.as_ref().and_then(|e| e.check.as_ref());
    // Nothing is kept second by second unless something asks for it.
    let changes = Changes { series: Some(false), ..changes.clone() };
    let mut whole = plan(loader, document.clone(), &changes)?;
    let tolerance = check.map_or(TOLERANCE, |c| c.tolerance.0);
    let mut question_asked = Vec::new();
    for variant in &mut whole.variants {
        let is_compared = check.is_none_or(|c| {
            c.baseline && (c.variants.is_empty() || c.variants.iter().any(|v| v.value == variant.name))
        });
        let wanted = match check {
            _ if !is_compared => Vec::new(),
            Some(check) if !check.measures.is_empty() => {
                let ours = check.measures.iter().map(|w| &w.0);
                let ours = ours.filter(|w| w.variant.as_ref().is_none_or(|v| v.value == variant.name));
                ours.filter_map(chosen).collect()
            }
            _ => usual(loader, variant),
        };
        let measures: Vec<_> = wanted.iter().map(|w| w.text.clone()).collect();
        if !measures.is_empty() {
            // A topology has no variants to choose from.
            let of_variant = experiment.as_ref().map(|_| variant.name.clone());
            let changes = Changes { variant: of_variant, measures, ..changes.clone() };
            *variant = plan(loader, document.clone(), &changes)?.variants.pop()?;
        }
        question_asked.push(asked(loader, variant, &wanted, tolerance)?);
    }
    let places = whole.variants.iter().map(|v| place_of(loader, experiment.as_ref(), &v.name)).collect();
    let wants_baseline = check.is_none_or(|c| c.baseline);
    Some(Question { plan: whole, asked: question_asked, places, wants_baseline })
}

/// A measure that the file lists. That it is clear which way is worse was checked.
fn chosen(watch: &Watch) -> Option<Wanted<'_>> {
    let worse = watch.worse.clone().or_else(|| worse_of(&parse_subject(&watch.of).ok()?))?;
    Some(Wanted { text: watch.of.clone(), worse, watch: Some(watch) })
}

/// What matters to those who use a system, in the order in which it is told.
fn usual(loader: &mut Loader, variant: &VariantPlan) -> Vec<Wanted<'static>> {
    let mut all: Vec<(String, Worse)> = Vec::new();
    for client in &variant.model.clients {
        let of = |what: &str| format!("clients.{}.{what}", client.name);
        for latency in ["latency.mean", "latency.p50", "latency.p99", "error_ratio"] {
            all.push((of(latency), Worse::Higher));
        }
        all.push((of("goodput"), Worse::Lower));
    }
    for fault in &variant.faults {
        for (what, measure, ..) in FaultMeasure::ALL {
            let worse = match measure {
                FaultMeasure::Recover | FaultMeasure::Unserved => Worse::Higher,
                FaultMeasure::Depth => Worse::Lower,
                FaultMeasure::Detect | FaultMeasure::Cost => continue,
            };
            all.push((format!("faults.{}.{what}", fault.name), worse));
        }
        // A run that does not recover has no time to recovery: it shows here.
        all.push((format!("P(recovered from {})", fault.name), Worse::Lower));
    }
    for expectation in &variant.expectations {
        // A path is taken or not; nothing of it gets worse by degrees.
        if matches!(expectation.subject, SubjectPlan::Cascade(_)) {
            continue;
        }
        let expectation = &expectation.expectation;
        let worse = worse_of_expectation(&expectation.subject, expectation.comparison.operator);
        all.extend(worse.map(|worse| (subject_of(&expectation.text), worse)));
    }
    let costs = variant.model.catalog.metrics.iter().map(|m| m.path.as_str());
    all.extend(costs.filter(|path| is_cost(path)).map(|path| (path.to_string(), Worse::Higher)));
    let mut wanted: Vec<Wanted<'static>> = Vec::new();
    for (text, worse) in all {
        let metric = metric_of(&text);
        if wanted.iter().all(|w| w.text.value != text && Some(&w.text.value) != metric.as_ref()) {
            wanted.push(Wanted { text: loader.quoted("what is compared", &text), worse, watch: None });
        }
    }
    wanted
}

/// The metric that is the same as a statistic of the whole run: `a.latency.p99` for `p(99) of a.latency`.
fn metric_of(text: &str) -> Option<String> {
    let (statistic, path) = text.split_once(" of ")?;
    let name = match statistic.strip_prefix("p(") {
        Some(percentile) => format!("p{}", percentile.strip_suffix(')')?.replace('.', "")),
        None => statistic.to_string(),
    };
    Some(format!("{path}.{name}"))
}

/// Whether a metric is what something costs: `cost.…` or `….cost`.
fn is_cost(path: &str) -> bool {
    path.starts_with("cost.") || path.ends_with(".cost")
}

/// What an expectation is about: all before the comparison that stands in no parentheses.
fn subject_of(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '<' | '>' | '=' if depth == 0 => return text[..at].trim_end().to_string(),
            ' ' if depth == 0 && text[at..].starts_with(" in ") => return text[..at].to_string(),
            _ => {}
        }
    }
    text
}

/// Tolerances in the units that the plan has found.
fn asked(
    loader: &mut Loader,
    variant: &VariantPlan,
    wanted: &[Wanted<'_>],
    tolerance: f64,
) -> Option<Vec<Asked>> {
    let mut all = Vec::new();
    for (wanted, planned) in wanted.iter().zip(&variant.measures) {
        let given = wanted.watch.and_then(|w| w.absolute.as_ref());
        let absolute = match given.map(|text| parse_value(&text.value, planned.unit, text.span)) {
            None if planned.unit == Unit::Ratio => SHARE_TOLERANCE,
            None => 0.0,
            Some(Ok(value)) if value >= 0.0 => value,
            Some(Ok(_)) => {
                let span = given.map_or(Span::default(), |text| text.span);
                loader.diagnostics.push(Diagnostic::error(span, "`absolute` must not be negative"));
                return None;
            }
            Some(Err(diagnostic)) => {
                loader.diagnostics.push(diagnostic);
                return None;
            }
        };
        let of_watch = wanted.watch.and_then(|w| w.tolerance);
        let tolerance = of_watch.map_or(tolerance, |ratio| ratio.0);
        all.push(Asked { worse: wanted.worse.clone(), tolerance, absolute });
    }
    Some(all)
}

/// Where a variant stands; the file as a whole if it has no place of its own.
fn place_of(loader: &Loader, experiment: Option<&Experiment>, variant: &str) -> Place {
    let span = experiment.map(|e| e.variants.span(variant).unwrap_or(e.span));
    place(loader, span.unwrap_or_default())
}

/// A span as file, line and column.
pub(super) fn place(loader: &Loader, span: Span) -> Place {
    let file = loader.sources.get(span.source).map_or(String::new(), |s| s.name.clone());
    Place { file, position: Some(loader.sources.position(span)) }
}

impl Question {
    /// Whether there is anything to judge but a baseline.
    pub fn has_expectations(&self) -> bool {
        self.plan.variants.iter().any(|v| !v.expectations.is_empty())
    }

    /// Where each expectation stands, in order of variant and of writing.
    pub fn expectation_places(&self, loader: &Loader) -> Vec<Place> {
        let all = self.plan.variants.iter().flat_map(|v| &v.expectations);
        all.map(|e| place(loader, e.expectation.span)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_under_two_names() {
        let table = [
            ("p(99) of clients.a.latency", Some("clients.a.latency.p99")),
            ("p(99.9) of clients.a.latency", Some("clients.a.latency.p999")),
            ("mean of clients.a.latency", Some("clients.a.latency.mean")),
            // Of a part of the run only: no metric is called so.
            ("p(99) of clients.a.latency during(x)", Some("clients.a.latency during(x).p99")),
            ("clients.a.goodput", None),
        ];
        for (text, metric) in table {
            assert_eq!(metric_of(text).as_deref(), metric);
        }
    }

    #[test]
    fn what_an_expectation_is_about() {
        let table = [
            ("clients.users.error_ratio < 1%", "clients.users.error_ratio"),
            ("p(99) of a.b during(x)  in 1s..2s", "p(99) of a.b during(x)"),
            ("P(a.b <= 1%) >= 95%", "P(a.b <= 1%)"),
            ("above(3) of a.b / (1 - above(0) of c.d)==100%", "above(3) of a.b / (1 - above(0) of c.d)"),
            ("services.in.queue > 3", "services.in.queue"),
        ];
        for (text, subject) in table {
            assert_eq!(subject_of(text), subject);
        }
    }
}
