//! Alerts: when they would have fired, from what a run recorded second by second. The rules are those of
//! [`crate::metrics::rules`]; a run evaluates them itself only if something reacts to them.
//!
//! Everything counts from the start of the run, warm-up included.

use super::plan::{SubjectPlan, VariantPlan};
use super::results::{AlertResult, AlertRun, LogLine};
use crate::base::units::{Unit, duration_text};
use crate::metrics::estimate::binomial;
use crate::metrics::{Bound, Estimate, Proportion, Rows, Rule, Source, Watch};
use crate::model::Model;
use crate::spec::alert::{Alert, BurnRate, Limit, Threshold};
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::experiment::Experiment;
use crate::spec::expression::{Comparison, Measure, Operator, Statistic, Window};
use crate::spec::quantity::Seconds;
use crate::spec::source::{Span, Spanned};

/// An alert, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct AlertPlan {
    /// Its name.
    pub name: String,
    /// What it is, such as `BurnRate`.
    pub kind: &'static str,
    /// What it is about, for people.
    pub text: String,
    /// When it holds.
    pub rule: Rule,
    /// Seconds from one evaluation to the next.
    pub interval_s: usize,
    /// Seconds for which the rule must hold at every evaluation.
    pub for_s: f64,
}

/// What an alert did: the metrics `alerts.NAME.…`, for expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertMeasure {
    /// `fired`: when it first fired. A run in which it never did has no value, and meets no upper limit.
    Fired,
    /// `firing`: how long it was firing.
    Firing,
    /// `budget_spent`: the share of the error budget that was spent when it first fired.
    BudgetSpent,
}

impl AlertMeasure {
    /// All of them: name in paths, unit and meaning.
    pub const ALL: [(&'static str, Self, Unit, &'static str); 3] = [
        ("fired", Self::Fired, Unit::Seconds, "when the alert first fired, from the start of the run"),
        ("firing", Self::Firing, Unit::Seconds, "how long the alert was firing, all times together"),
        (
            "budget_spent",
            Self::BudgetSpent,
            Unit::Ratio,
            "share of the error budget of a period that was spent when the alert first fired",
        ),
    ];

    /// The measure of one run.
    pub fn of(self, run: &AlertRun) -> Option<f64> {
        match self {
            Self::Fired => run.fired_s,
            Self::Firing => Some(run.firing_s),
            Self::BudgetSpent => run.budget_spent,
        }
    }
}

impl AlertPlan {
    /// Whether a measure can ever have a value.
    pub fn has(&self, measure: AlertMeasure) -> bool {
        measure != AlertMeasure::BudgetSpent || matches!(self.rule, Rule::BurnRate { .. })
    }
}

// ---- planning ----

/// The alerts of a variant, in order of name; mistakes are left in the diagnostics.
pub fn plan(experiment: &Experiment, model: &Model, diagnostics: &mut Diagnostics) -> Vec<AlertPlan> {
    let mut planned = Vec::new();
    for (name, alert) in experiment.alerts.iter() {
        let alert = match alert {
            Alert::BurnRate(rule) => Ok(burn_rate(name, rule, model)),
            Alert::Threshold(rule) => threshold(name, rule, model),
        };
        match alert {
            Ok(alert) => planned.push(alert),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    planned
}

fn whole(seconds: Seconds) -> usize {
    seconds.0 as usize
}

fn burn_rate(name: &str, rule: &BurnRate, model: &Model) -> AlertPlan {
    let client = model.clients.iter().position(|c| c.name == rule.client.value).unwrap_or(0);
    let windows: Vec<Seconds> = [Some(rule.window), rule.short].into_iter().flatten().collect();
    let over: Vec<String> = windows.iter().map(|w| duration_text(w.0)).collect();
    AlertPlan {
        name: name.to_string(),
        kind: "BurnRate",
        text: format!(
            "burn rate of {} at least {} over {}",
            rule.client.value,
            rule.threshold,
            over.join(" and ")
        ),
        rule: Rule::BurnRate {
            red: model.catalog.clients[client].red,
            budget: 1.0 - rule.objective.0,
            threshold: rule.threshold,
            windows: windows.into_iter().map(whole).collect(),
            period_s: rule.period.0,
        },
        interval_s: whole(rule.interval),
        for_s: rule.r#for.0,
    }
}

/// A rule on a metric, by itself or as an alert.
pub(super) fn threshold(name: &str, rule: &Threshold, model: &Model) -> Result<AlertPlan, Diagnostic> {
    let path = rule.metric.value.as_str();
    let metric = model.catalog.find(path).ok_or_else(|| {
        let diagnostic = Diagnostic::error(rule.metric.span, format!("there is no metric `{path}`"));
        match model.catalog.suggestion(path) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    })?;
    let side = |limit: &Option<Spanned<Limit>>, word, operator| {
        limit.as_ref().map(|limit| (limit.clone(), word, operator))
    };
    let side = side(&rule.above, "above", Operator::More).or(side(&rule.below, "below", Operator::Less));
    let Some((limit, word, operator)) = side else { unreachable!("an alert without a limit was refused") };
    let comparison = Comparison { operator, limit: limit.value.0.clone(), upper: None };
    let limits = comparison.limits(metric.unit, limit.span)?;
    Ok(AlertPlan {
        name: name.to_string(),
        kind: "Threshold",
        text: format!("{path} {word} {}", limit.value.0),
        rule: Rule::Threshold {
            source: metric.source,
            bound: match operator {
                Operator::Less => Bound::Below(limits.limit),
                _ => Bound::Above(limits.limit),
            },
            window: whole(rule.window),
        },
        interval_s: whole(rule.interval),
        for_s: rule.r#for.0,
    })
}

/// `alerts.NAME.fired` and the like: which alert, what of it, and its unit.
pub fn find(
    measure: &Measure,
    alerts: &[AlertPlan],
    span: Span,
) -> Result<(usize, AlertMeasure, Unit), Diagnostic> {
    let mut parts = measure.path.split('.').skip(1);
    let name = parts.next().unwrap_or_default();
    let number = alerts.iter().position(|a| a.name == name).ok_or_else(|| {
        Diagnostic::error(span, format!("no alert is called `{name}`"))
            .nearest(name, alerts.iter().map(|a| a.name.as_str()))
    })?;
    let what = parts.next().unwrap_or_default();
    match AlertMeasure::ALL.iter().find(|(known, ..)| *known == what) {
        Some((_, known, ..)) if !alerts[number].has(*known) => {
            Err(Diagnostic::error(span, format!("`{name}` has no error budget: it is no `BurnRate`")))
        }
        Some((_, known, unit, _))
            if parts.next().is_none()
                && measure.statistic == Statistic::Value
                && measure.window == Window::Measured =>
        {
            Ok((number, *known, *unit))
        }
        Some(_) => Err(Diagnostic::error(span, "what an alert did has neither statistics nor windows")
            .help("write `alerts.NAME.fired < 10m`")),
        None => Err(Diagnostic::error(span, format!("there is no metric `{}`", measure.path))
            .nearest(what, AlertMeasure::ALL.iter().map(|(known, ..)| *known))),
    }
}

/// What an expectation on `alerts.NAME.…` judges.
pub fn subject(
    measure: &Measure,
    alerts: &[AlertPlan],
    span: Span,
) -> Result<(SubjectPlan, Unit), Diagnostic> {
    find(measure, alerts, span).map(|(number, what, unit)| (SubjectPlan::Alert(number, what), unit))
}

// ---- evaluating ----

/// The metrics whose values second by second alerts are evaluated on, each once.
pub fn alert_columns(alerts: &[AlertPlan]) -> Vec<Source> {
    let mut columns = Vec::new();
    for source in alerts.iter().flat_map(|alert| alert.rule.columns()) {
        if !columns.contains(&source) {
            columns.push(source);
        }
    }
    columns
}

/// The sums of a rate over all seconds before each: whole numbers of requests, exact up to 2^53.
fn sums(rows: &Rows<'_>, source: Source) -> Vec<f64> {
    let mut sum = 0.0;
    let values = rows.values(source, 0, rows.seconds());
    let later = values.map(|v| if v.is_nan() { 0.0 } else { v.round() }).map(|v| {
        sum += v;
        sum
    });
    let mut sums = vec![0.0];
    sums.extend(later);
    sums
}

/// What every alert did in one run, whose `rows` hold the values of `columns`.
pub fn examine(alerts: &[AlertPlan], columns: &[Source], rows: &[f64]) -> Vec<AlertRun> {
    let rows = Rows { columns, rows };
    alerts.iter().map(|alert| examine_one(alert, &rows)).collect()
}

fn examine_one(alert: &AlertPlan, rows: &Rows<'_>) -> AlertRun {
    match &alert.rule {
        Rule::BurnRate { red, budget, threshold, windows, period_s } => {
            let (ended, good) = (sums(rows, Source::Throughput(*red)), sums(rows, Source::Goodput(*red)));
            let bad = |to: usize, from: usize| (ended[to] - ended[from]) - (good[to] - good[from]);
            let burns = |at: usize, window: &usize| {
                let from = at.saturating_sub(*window);
                let all = ended[at] - ended[from];
                all > 0.0 && bad(at, from) / all / budget >= *threshold
            };
            let mut run = evaluate(alert, rows.seconds(), |at| windows.iter().all(|w| burns(at, w)));
            let arrivals = sums(rows, Source::Rate(*red)).last().copied().unwrap_or(0.0);
            let budgeted = budget * arrivals / rows.seconds().max(1) as f64 * period_s;
            run.budget_spent =
                run.fired_s.filter(|_| budgeted > 0.0).map(|at| bad(at as usize, 0) / budgeted);
            run
        }
        Rule::Threshold { .. } => evaluate(alert, rows.seconds(), |at| alert.rule.holds(rows, at)),
    }
}

/// Evaluates a rule at every interval; `holds` answers for the end of a second.
fn evaluate(alert: &AlertPlan, seconds: usize, holds: impl Fn(usize) -> bool) -> AlertRun {
    let mut run = AlertRun { fired_s: None, firing_s: 0.0, budget_spent: None, changes: Vec::new() };
    let mut watch = Watch::default();
    for at in (alert.interval_s..=seconds).step_by(alert.interval_s.max(1)) {
        let since = watch.firing_since();
        match watch.look(at, alert.for_s, holds(at)) {
            Some(true) => {
                run.fired_s.get_or_insert(at as f64);
                run.changes.push((at as f64, true));
            }
            Some(false) => {
                run.firing_s += since.map_or(0.0, |since| (at - since) as f64);
                run.changes.push((at as f64, false));
            }
            None => {}
        }
    }
    if let Some(since) = watch.firing_since() {
        run.firing_s += (seconds - since) as f64;
    }
    run
}

/// The log of a run with the moments at which alerts fired and were resolved, behind what happened at the same time.
pub fn with_alerts(mut lines: Vec<LogLine>, variant: &VariantPlan, runs: &[AlertRun]) -> Vec<LogLine> {
    for (alert, run) in variant.alerts.iter().zip(runs) {
        lines.extend(run.changes.iter().map(|(time_s, fires)| LogLine {
            time_s: *time_s,
            kind: if *fires { "alert_fired" } else { "alert_resolved" }.to_string(),
            component: format!("alerts.{}", alert.name),
            instance: String::new(),
            detail: alert.text.clone(),
        }));
    }
    lines.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
    lines
}

/// What an alert did in all runs.
pub fn result(alert: &AlertPlan, runs: Vec<AlertRun>) -> AlertResult {
    let estimate = |what: AlertMeasure| {
        Estimate::of_present(&runs.iter().map(|run| what.of(run)).collect::<Vec<Option<f64>>>())
    };
    let fired = runs.iter().filter(|run| run.fired_s.is_some()).count() as u64;
    let unknown = Proportion { successes: 0, runs: 0, share: 0.0, lo: 0.0, hi: 1.0 };
    AlertResult {
        name: alert.name.clone(),
        kind: alert.kind.to_string(),
        text: alert.text.clone(),
        fired: binomial(fired, runs.len() as u64).unwrap_or(unknown),
        fired_s: estimate(AlertMeasure::Fired),
        firing_s: estimate(AlertMeasure::Firing),
        budget_spent: estimate(AlertMeasure::BudgetSpent),
        per_run: runs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn burn(windows: Vec<usize>, threshold: f64, interval_s: usize, for_s: f64) -> AlertPlan {
        let rule = Rule::BurnRate { red: 0, budget: 0.001, threshold, windows, period_s: 2_592_000.0 };
        AlertPlan { name: "a".into(), kind: "BurnRate", text: String::new(), rule, interval_s, for_s }
    }

    fn above(source: Source, limit: f64, window: usize, interval_s: usize, for_s: f64) -> AlertPlan {
        let bound = Bound::Above(limit);
        let rule = Rule::Threshold { source, bound, window };
        AlertPlan { name: "a".into(), kind: "Threshold", text: String::new(), rule, interval_s, for_s }
    }

    /// Arrivals, ended and good in every second.
    fn red(seconds: &[(f64, f64)]) -> Vec<f64> {
        seconds.iter().flat_map(|(ended, bad)| [*ended, *ended, ended - bad]).collect()
    }

    fn examined(alert: &AlertPlan, rows: &[f64]) -> AlertRun {
        let columns = [Source::Rate(0), Source::Throughput(0), Source::Goodput(0)];
        examine(std::slice::from_ref(alert), &columns, rows).remove(0)
    }

    #[test]
    fn a_total_outage_is_found_in_52_seconds_and_with_the_short_window_as_soon() {
        // 14.4 / 1000 of an hour are 51.84 s, and of five minutes 4.3 s.
        let mut seconds = vec![(100.0, 0.0); 7200];
        seconds[5000..5600].fill((100.0, 100.0));
        let long = examined(&burn(vec![3600], 14.4, 1, 0.0), &red(&seconds));
        let short = examined(&burn(vec![300], 14.4, 1, 0.0), &red(&seconds));
        let both = examined(&burn(vec![3600, 300], 14.4, 1, 0.0), &red(&seconds));
        assert_eq!((long.fired_s, short.fired_s, both.fired_s), (Some(5052.0), Some(5005.0), Some(5052.0)));
        // The long window burns to the end; the short one ends it five minutes after the outage, but for 4 s.
        assert_eq!(long.firing_s, 7200.0 - 5052.0);
        assert_eq!(both.changes, [(5052.0, true), (5896.0, false)]);
        assert_eq!(both.firing_s, 5896.0 - 5052.0);
        // 5,200 of 0.001 * 100/s * 30 d = 259,200.
        assert!((both.budget_spent.unwrap() - 5_200.0 / 259_200.0).abs() < 1e-12);
    }

    #[test]
    fn before_the_run_there_were_no_requests() {
        let mut seconds = vec![(0.0, 0.0); 100];
        seconds[49] = (1.0, 1.0);
        let run = examined(&burn(vec![3600], 14.4, 1, 0.0), &red(&seconds));
        assert_eq!((run.fired_s, run.firing_s), (Some(50.0), 50.0));
        assert_eq!(examined(&burn(vec![3600], 14.4, 1, 0.0), &red(&[(5.0, 0.0); 9])).fired_s, None);
        assert_eq!(examined(&burn(vec![3600], 14.4, 1, 0.0), &[]).firing_s, 0.0);
    }

    #[test]
    fn one_evaluation_at_which_it_does_not_hold_starts_the_wait_anew() {
        let level = Source::Level(0, 1.0);
        let values =
            |rows: &[f64], for_s: f64| examine(&[above(level, 0.5, 1, 1, for_s)], &[level], rows).remove(0);
        let rows = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, f64::NAN, 1.0];
        assert_eq!(
            values(&rows, 0.0).changes,
            [(1.0, true), (3.0, false), (4.0, true), (7.0, false), (8.0, true)]
        );
        assert_eq!(values(&rows, 2.0).changes, [(6.0, true), (7.0, false)]);
        assert_eq!(values(&rows, 2.5).changes, []);
        // Evaluated every 15 s, two minutes are nine evaluations.
        let run = examine(&[above(level, 0.5, 15, 15, 120.0)], &[level], &[1.0; 300]).remove(0);
        assert_eq!((run.fired_s, run.firing_s, run.budget_spent), (Some(135.0), 165.0, None));
    }

    #[test]
    fn windows_take_of_a_metric_what_it_is() {
        let columns = [
            Source::Throughput(0),
            Source::Goodput(0),
            Source::CounterTotal(0),
            Source::LevelMax(0, 1.0),
            Source::TimerMean(0),
        ];
        let rows = [10.0, 10.0, 1.0, 3.0, f64::NAN, 30.0, 10.0, 2.0, 1.0, 4.0];
        let rows = Rows { columns: &columns, rows: &rows };
        let of = |source| rows.value(source, 0, 2);
        assert_eq!(of(Source::ErrorRatio(0)), Some(0.5));
        assert_eq!(of(Source::Goodput(0)), Some(10.0));
        assert_eq!(of(Source::CounterTotal(0)), Some(3.0));
        assert_eq!(of(Source::LevelMax(0, 1.0)), Some(3.0));
        assert_eq!(of(Source::TimerMean(0)), Some(4.0));
        assert_eq!(rows.value(Source::TimerMean(0), 0, 1), None);
    }

    #[test]
    fn columns_are_those_that_rules_need_each_once() {
        let alerts = [
            burn(vec![60], 1.0, 1, 0.0),
            above(Source::ErrorRatio(0), 0.5, 1, 1, 0.0),
            above(Source::ErrorRatio(1), 0.5, 1, 1, 0.0),
            above(Source::Level(3, 1.0), 0.5, 1, 1, 0.0),
        ];
        let expected = [
            Source::Rate(0),
            Source::Throughput(0),
            Source::Goodput(0),
            Source::Throughput(1),
            Source::Goodput(1),
            Source::Level(3, 1.0),
        ];
        assert_eq!(alert_columns(&alerts), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Firing is what changes say, and what a naive evaluation of every window says.
        #[test]
        fn burn_rates_agree_with_sums_over_windows(
            seconds in prop::collection::vec((0u8..5, 0u8..5), 0..60),
            windows in prop::collection::vec(1usize..20, 1..3),
            interval in 1usize..5,
            wait in 0usize..8,
        ) {
            let seconds: Vec<(f64, f64)> =
                seconds.into_iter().map(|(a, b)| (f64::from(a.max(b)), f64::from(a.min(b)))).collect();
            let alert = burn(windows.clone(), 500.0, interval, wait as f64);
            let run = examined(&alert, &red(&seconds));
            let holds = |at: usize| windows.iter().all(|w| {
                let part = &seconds[at.saturating_sub(*w)..at];
                let (ended, bad) = part.iter().fold((0.0, 0.0), |(e, b), s| (e + s.0, b + s.1));
                ended > 0.0 && bad / ended / 0.001 >= 500.0
            });
            let evaluations: Vec<usize> = (1..=seconds.len() / interval).map(|k| k * interval).collect();
            let mut changes = Vec::new();
            let mut was = false;
            for at in &evaluations {
                // True at this evaluation and at all before it, back to one that is long enough ago.
                let first = evaluations.iter().rev().skip_while(|e| *e > at).take_while(|e| holds(**e)).last();
                let is = first.is_some_and(|first| at - first >= wait);
                if is != was {
                    changes.push((*at as f64, is));
                }
                was = is;
            }
            prop_assert_eq!(&run.changes, &changes);
            prop_assert_eq!(run.fired_s, changes.first().map(|(at, _)| *at));
            let ends = changes.iter().map(|(at, _)| *at).chain([seconds.len() as f64]);
            let lasts: Vec<f64> = ends.collect();
            let firing: f64 = lasts.windows(2).step_by(2).map(|pair| pair[1] - pair[0]).sum();
            prop_assert_eq!(run.firing_s, firing);
        }
    }
}
