//! From the formulas of expectations and of theory to what is computed of every run.

use super::alerts::{self, AlertMeasure, AlertPlan};
use super::objectives::{self, Slo, SloMeasure};
use super::plan::{FaultMeasure, FaultPlan, WindowPlan};
use crate::base::SimTime;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Model;
use crate::model::catalog::Metric;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::expression::{Arithmetic, Formula, Measure, Statistic, Window, parse_value};
use crate::spec::source::Span;

/// What is recorded of a run beside the meters of its windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// The columns of the series, second by second.
    pub columns: Vec<Source>,
    /// Gauges whose every move is looked at.
    pub tracked: Vec<u32>,
    /// What of the time series is kept.
    pub series: SeriesKept,
}

/// What is kept of the time series of an experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeriesKept {
    /// The experiment has none: seconds are told apart only if something that is asked for needs them.
    #[default]
    None,
    /// Seconds are told apart as for a series, so that all numbers are the same, but nobody sees it: only the columns
    /// that something needs are kept.
    Unseen,
    /// All metrics, in order of path, for reports.
    All,
}

impl Recorded {
    /// What the series needs; nothing of what is asked beside it yet.
    pub fn new(model: &Model, series: SeriesKept) -> Self {
        let columns = match series {
            SeriesKept::None => Vec::new(),
            // Whether requests pile up is told from these.
            SeriesKept::Unseen => {
                model.catalog.clients.iter().map(|c| Source::Level(c.in_flight, 1.0)).collect()
            }
            SeriesKept::All => model.catalog.metrics.iter().map(|m| m.source).collect(),
        };
        Self { columns, tracked: Vec::new(), series }
    }

    /// The column of a metric.
    pub fn column(&mut self, source: Source) -> usize {
        self.columns.iter().position(|c| *c == source).unwrap_or_else(|| {
            self.columns.push(source);
            self.columns.len() - 1
        })
    }

    fn track(&mut self, gauge: u32) -> u32 {
        let at = self.tracked.iter().position(|g| *g == gauge).unwrap_or_else(|| {
            self.tracked.push(gauge);
            self.tracked.len() - 1
        });
        at as u32
    }
}

/// A number that every run has, ready to be computed.
#[derive(Clone, Debug)]
pub enum FormulaPlan {
    /// What was measured.
    Measure(MeasurePlan),
    /// What a fault did.
    Fault(usize, FaultMeasure),
    /// What an alert did.
    Alert(usize, AlertMeasure),
    /// How an objective was met.
    Slo(SloMeasure),
    /// A number.
    Number(f64),
    /// Two joined.
    Join(Arithmetic, Box<FormulaPlan>, Box<FormulaPlan>),
}

/// A metric over a part of the run.
#[derive(Clone, Debug)]
pub struct MeasurePlan {
    /// What is taken of it.
    pub taken: Taken,
    /// The part of the run.
    pub window: WindowPlan,
}

/// What is taken of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Taken {
    /// Something that the meters of the whole part tell.
    Whole(Source),
    /// Something of a column of the series.
    Series(usize, OfSeries),
}

/// What is taken of a series; times and periods in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfSeries {
    /// The mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The value of the second that ends then.
    At(usize),
    /// Of the mean over all cycles: the greatest.
    CycleMax(usize),
    /// Of the mean over all cycles: the least.
    CycleMin(usize),
    /// When in the cycle the first harmonic has its peak.
    CyclePeak(usize),
}

/// What formulas are about.
pub struct Subject<'p> {
    /// The system.
    pub model: &'p Model,
    /// What strikes it.
    pub faults: &'p [FaultPlan],
    /// What would tell somebody.
    pub alerts: &'p [AlertPlan],
    /// What counts as working.
    pub slos: &'p [Slo],
    /// When measuring begins, and when the run ends.
    pub run: (SimTime, SimTime),
    /// What is recorded; formulas add what they need.
    pub recorded: &'p mut Recorded,
    /// Where the formula stands.
    pub span: Span,
}

impl Subject<'_> {
    /// Plans a formula; its unit is none if it is a plain number.
    pub fn formula(&mut self, formula: &Formula) -> Result<(FormulaPlan, Option<Unit>), Diagnostic> {
        match formula {
            Formula::Number(value, unit) => Ok((FormulaPlan::Number(*value), *unit)),
            Formula::Join(how, a, b) => {
                let ((a, a_unit), (b, b_unit)) = (self.formula(a)?, self.formula(b)?);
                Ok((FormulaPlan::Join(*how, Box::new(a), Box::new(b)), how.unit(a_unit, b_unit)))
            }
            Formula::Measure(measure) if measure.path.starts_with("faults.") => {
                let (fault, what, unit) = self.fault(measure)?;
                Ok((FormulaPlan::Fault(fault, what), Some(unit)))
            }
            Formula::Measure(measure) if measure.path.starts_with("alerts.") => {
                let (alert, what, unit) = alerts::find(measure, self.alerts, self.span)?;
                Ok((FormulaPlan::Alert(alert, what), Some(unit)))
            }
            Formula::Measure(measure) if measure.path.starts_with("objectives.") => {
                let (plan, unit) = objectives::find(self, measure, self.span)?;
                Ok((FormulaPlan::Slo(plan), Some(unit)))
            }
            Formula::Measure(measure) => {
                let (plan, unit) = self.measure(measure)?;
                Ok((FormulaPlan::Measure(plan), Some(unit)))
            }
        }
    }

    /// `faults.NAME.recover` and the like.
    fn fault(&self, measure: &Measure) -> Result<(usize, FaultMeasure, Unit), Diagnostic> {
        let mut parts = measure.path.split('.').skip(1);
        let fault = find_fault(parts.next().unwrap_or_default(), self.faults, self.span)?;
        let name = parts.collect::<Vec<_>>().join(".");
        let name = name.as_str();
        let known = FaultMeasure::ALL.iter().find(|(known, ..)| *known == name);
        match known {
            Some((_, what, unit, _))
                if measure.statistic == Statistic::Value && measure.window == Window::Measured =>
            {
                Ok((fault, *what, *unit))
            }
            Some(_) => {
                Err(Diagnostic::error(self.span, "what a fault did has neither statistics nor windows")
                    .help("write `faults.NAME.recover < 60s`"))
            }
            None => Err(Diagnostic::error(self.span, format!("there is no metric `{}`", measure.path))
                .nearest(name, FaultMeasure::ALL.iter().map(|(known, ..)| *known))),
        }
    }

    fn measure(&mut self, measure: &Measure) -> Result<(MeasurePlan, Unit), Diagnostic> {
        let (taken, unit) = self.taken(measure)?;
        let window = self.window(&measure.window)?;
        Ok((MeasurePlan { taken, window }, unit))
    }

    fn find(&self, path: &str) -> Option<&Metric> {
        self.model.catalog.find(path)
    }

    fn unknown(&self, path: &str) -> Diagnostic {
        if self.find(&format!("{path}.mean")).is_some() {
            return Diagnostic::error(self.span, format!("`{path}` has many values: say which"))
                .help(format!("write `p(99) of {path}` or `{path}.mean`"));
        }
        let diagnostic = Diagnostic::error(self.span, format!("there is no metric `{path}`"));
        match self.model.catalog.suggestion(path) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    fn taken(&mut self, measure: &Measure) -> Result<(Taken, Unit), Diagnostic> {
        let path = measure.path.as_str();
        // `p(99) of clients.users.latency`: all values of a timer.
        let timer = self.find(&format!("{path}.mean")).and_then(|m| match m.source {
            Source::TimerMean(timer) => Some((timer, m.unit)),
            _ => None,
        });
        if let Some((timer, unit)) = timer {
            return self.of_timer(measure, timer, unit);
        }
        let metric = self.find(path).ok_or_else(|| self.unknown(path))?;
        let (source, unit) = (metric.source, metric.unit);
        let of_series = match measure.statistic {
            Statistic::Value => return Ok((Taken::Whole(source), unit)),
            Statistic::Mean => OfSeries::Mean,
            Statistic::Min => OfSeries::Min,
            Statistic::Max => OfSeries::Max,
            Statistic::At(at) => {
                if at > self.run.1.seconds() {
                    return Err(Diagnostic::error(self.span, "the run is over by then"));
                }
                OfSeries::At(at as usize)
            }
            Statistic::CycleMax(period) => OfSeries::CycleMax(period as usize),
            Statistic::CycleMin(period) => OfSeries::CycleMin(period as usize),
            Statistic::CyclePeak(period) => OfSeries::CyclePeak(period as usize),
            _ => return self.of_level(measure, source, unit),
        };
        let unit = if matches!(of_series, OfSeries::CyclePeak(_)) { Unit::Seconds } else { unit };
        Ok((Taken::Series(self.recorded.column(source), of_series), unit))
    }

    fn of_timer(&self, measure: &Measure, timer: u32, unit: Unit) -> Result<(Taken, Unit), Diagnostic> {
        let (source, unit) = match &measure.statistic {
            Statistic::Mean => (Source::TimerMean(timer), unit),
            Statistic::Min => (Source::TimerMin(timer), unit),
            Statistic::Max => (Source::TimerMax(timer), unit),
            Statistic::Percentile(p) => (Source::TimerQuantile(timer, p / 100.0), unit),
            Statistic::Variance => (Source::TimerVariance(timer), Unit::Level),
            Statistic::Square => (Source::TimerSquare(timer), Unit::Level),
            Statistic::Count => (Source::TimerCount(timer), Unit::Count("values")),
            Statistic::Above(limit) => {
                let limit = parse_value(limit, unit, self.span)?;
                (Source::TimerAbove(timer, (limit * 1e9).max(0.0) as u64), Unit::Ratio)
            }
            Statistic::Value => return Err(self.unknown(&measure.path)),
            _ => {
                let message = format!("`{}` is a timer: it has no level that rises and falls", measure.path);
                return Err(Diagnostic::error(self.span, message));
            }
        };
        Ok((Taken::Whole(source), unit))
    }

    fn of_level(
        &mut self,
        measure: &Measure,
        source: Source,
        unit: Unit,
    ) -> Result<(Taken, Unit), Diagnostic> {
        let Source::Level(gauge, 1.0) = source else {
            let message = format!("`{}` is neither a latency nor a level that counts things", measure.path);
            return Err(Diagnostic::error(self.span, message)
                .help("percentiles, variances and the like are of latencies and of levels"));
        };
        if unit == Unit::Bytes {
            return Err(Diagnostic::error(self.span, "bytes are not counted one by one"));
        }
        let tracked = self.recorded.track(gauge);
        let level = |text: &String| parse_value(text, unit, self.span);
        let (source, unit) = match &measure.statistic {
            Statistic::Percentile(p) => (Source::LevelQuantile(tracked, p / 100.0), unit),
            Statistic::Variance => (Source::LevelVariance(tracked), Unit::Level),
            Statistic::Above(limit) => (Source::LevelAbove(tracked, level(limit)?), Unit::Ratio),
            Statistic::Rises(limit) => (Source::LevelRises(tracked, level(limit)?), Unit::Count("rises")),
            Statistic::First(limit) => (Source::LevelFirst(tracked, level(limit)?), Unit::Seconds),
            Statistic::Last(limit) => (Source::LevelLast(tracked, level(limit)?), Unit::Seconds),
            _ => {
                let message = format!("`{}` is a level: this is of latencies only", measure.path);
                return Err(Diagnostic::error(self.span, message));
            }
        };
        Ok((Taken::Whole(source), unit))
    }

    pub(super) fn window(&self, window: &Window) -> Result<WindowPlan, Diagnostic> {
        let (warmup, end) = self.run;
        let fault = |name: &String| match &self.faults[find_fault(name, self.faults, self.span)?] {
            fault if fault.is_conditional() => {
                let message =
                    format!("nobody knows beforehand when `{name}` begins: it waits for something else");
                let help = format!("measure all of the run, or what the fault did: `faults.{name}.recover`");
                Err(Diagnostic::error(self.span, message).help(help))
            }
            fault => Ok(fault),
        };
        let plan = match window {
            Window::Measured => WindowPlan { from: warmup, to: end },
            Window::Before(name) => WindowPlan { from: warmup, to: fault(name)?.start },
            Window::During(name) => {
                let fault = fault(name)?;
                WindowPlan { from: fault.start, to: fault.end.unwrap_or(end) }
            }
            Window::After(name) => WindowPlan { from: fault(name)?.end.unwrap_or(end), to: end },
        };
        if plan.from >= plan.to {
            let message = "this part of the run is empty: nothing is measured in it";
            return Err(Diagnostic::error(self.span, message));
        }
        Ok(plan)
    }
}

/// The number of the fault with this name.
pub fn find_fault(name: &str, faults: &[FaultPlan], span: Span) -> Result<usize, Diagnostic> {
    faults.iter().position(|f| f.name == name).ok_or_else(|| {
        Diagnostic::error(span, format!("no fault of this variant is called `{name}`"))
            .nearest(name, faults.iter().map(|f| f.name.as_str()))
    })
}

impl OfSeries {
    /// What it is of one column over seconds `from..to`; the column begins with the first second of the run, NaN where
    /// it has no value.
    pub fn of(self, column: &[f64], from: usize, to: usize) -> Option<f64> {
        let to = to.min(column.len());
        let values = || column[from.min(to)..to].iter().copied().filter(|v| !v.is_nan());
        match self {
            Self::Mean => mean(values()),
            Self::Min => values().reduce(f64::min),
            Self::Max => values().reduce(f64::max),
            Self::At(second) => column.get(second.checked_sub(1)?).copied().filter(|v| !v.is_nan()),
            Self::CycleMax(period) => cycle(column, from, to, period).into_iter().flatten().reduce(f64::max),
            Self::CycleMin(period) => cycle(column, from, to, period).into_iter().flatten().reduce(f64::min),
            Self::CyclePeak(period) => peak(&cycle(column, from, to, period)),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The mean over all cycles, second by second; phase 0 is the start of the run.
fn cycle(column: &[f64], from: usize, to: usize, period: usize) -> Vec<Option<f64>> {
    let of_phase = |phase: usize| {
        let seconds = (from..to).filter(move |second| second % period == phase);
        mean(seconds.map(|second| column[second]).filter(|v| !v.is_nan()))
    };
    (0..period).map(of_phase).collect()
}

/// When in the cycle its first harmonic is greatest, in seconds; each value stands for the middle of its second.
fn peak(cycle: &[Option<f64>]) -> Option<f64> {
    let period = cycle.len() as f64;
    let turn = |second: usize| std::f64::consts::TAU * (second as f64 + 0.5) / period;
    let (mut cosine, mut sine) = (0.0, 0.0);
    for (second, value) in cycle.iter().enumerate() {
        cosine += (*value)? * libm::cos(turn(second));
        sine += (*value)? * libm::sin(turn(second));
    }
    let angle = libm::atan2(sine, cosine);
    let angle = if angle < 0.0 { angle + std::f64::consts::TAU } else { angle };
    Some(angle / std::f64::consts::TAU * period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_has_its_peak_and_its_bounds() {
        // 100 + 50 sin(2 pi (t - 3) / 20), averaged over each second: its peak comes at 8 s.
        let turn = std::f64::consts::TAU / 20.0;
        let integral = |t: f64| 100.0 * t - 50.0 / turn * libm::cos(turn * (t - 3.0));
        let column: Vec<f64> =
            (0..400).map(|s| integral(f64::from(s) + 1.0) - integral(f64::from(s))).collect();
        let of = |what: OfSeries| what.of(&column, 20, 400).unwrap();
        assert!((of(OfSeries::CyclePeak(20)) - 8.0).abs() < 1e-9);
        assert!((of(OfSeries::CycleMax(20)) - 150.0).abs() < 1.0);
        assert!((of(OfSeries::CycleMin(20)) - 50.0).abs() < 1.0);
        assert!((of(OfSeries::Mean) - 100.0).abs() < 1e-9);
        assert_eq!(of(OfSeries::At(30)), column[29]);
    }

    #[test]
    fn seconds_without_value_are_left_out() {
        let column = [1.0, f64::NAN, 4.0, f64::NAN];
        assert_eq!(OfSeries::Min.of(&column, 1, 4), Some(4.0));
        assert_eq!(OfSeries::Mean.of(&column, 0, 4), Some(2.5));
        assert_eq!(OfSeries::Max.of(&column, 3, 4), None);
        assert_eq!(OfSeries::At(2).of(&column, 0, 4), None);
        assert_eq!(OfSeries::At(0).of(&column, 0, 4), None);
    }
}
