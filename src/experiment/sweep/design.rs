//! From settings and their ranges to points.

use super::question::Question;
use crate::base::rng::Streams;
use crate::base::units::Unit;
use crate::spec::load::Loader;
use crate::spec::node::{Kind, Node};
use crate::spec::source::Spanned;
use crate::spec::sweep::{Amount, Range, SweptValues};

/// The values of a range, if it does not say how many.
const POINTS: u32 = 10;
/// Values of ranges are rounded to so many significant digits, or as many more as it takes to tell them apart.
const DIGITS: usize = 4;
const DIGITS_MAX: usize = 12;

/// A setting and what it may be.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its path.
    pub path: Spanned<String>,
    /// The unit of its values, if all are numbers or quantities of one kind.
    pub unit: Option<Unit>,
    /// Whether pictures have it on a logarithmic axis.
    pub is_log: bool,
    /// The values of a grid, or those that a Latin hypercube chooses from if they are listed.
    pub values: Vec<Value>,
    range: Option<Between>,
}

/// A range that values are drawn from.
#[derive(Clone, Copy, Debug)]
struct Between {
    from: Amount,
    to: Amount,
    is_log: bool,
    is_whole: bool,
}

/// A value of a setting.
#[derive(Clone, Debug)]
pub struct Value {
    /// As a file would say it.
    pub node: Node,
    /// As people read it.
    pub text: String,
    /// As a number in the base unit, if it is one.
    pub number: Option<f64>,
}

impl Between {
    fn amount(&self, share: f64) -> Amount {
        let (from, to) = (self.from.value, self.to.value);
        let value = match share {
            // To the bit what was written.
            s if s <= 0.0 => from,
            s if s >= 1.0 => to,
            s if self.is_log => from * libm::pow(to / from, s),
            s => from + (to - from) * s,
        };
        Amount { value: if self.is_whole { libm::round(value) } else { value }, unit: self.from.unit }
    }

    fn value(&self, share: f64, digits: usize, at: &Node) -> Value {
        let digits = if share <= 0.0 || share >= 1.0 || self.is_whole { DIGITS_MAX } else { digits };
        let (kind, text, number) = self.amount(share).written(digits);
        Value { node: Node { kind, span: at.span }, text, number: Some(number) }
    }

    /// So many values, each once.
    fn values(&self, count: u32, at: &Node) -> Vec<Value> {
        let share = |n: u32| f64::from(n) / f64::from(count.max(2) - 1);
        let with = |digits: usize| {
            let mut values: Vec<Value> = (0..count).map(|n| self.value(share(n), digits, at)).collect();
            values.dedup_by(|a, b| a.text == b.text);
            values
        };
        let most = with(DIGITS_MAX).len();
        let digits = (DIGITS..=DIGITS_MAX).find(|digits| with(*digits).len() == most);
        with(digits.unwrap_or(DIGITS_MAX))
    }
}

/// The settings of a question. `is_whole` tells of a setting, by number, whether it takes whole numbers only, given a
/// value of each setting.
pub fn settings(
    loader: &Loader,
    question: &Question,
    is_whole: &dyn Fn(usize, &[Value]) -> bool,
) -> Vec<Setting> {
    let mut settings: Vec<Setting> = question
        .settings
        .iter()
        .map(|(path, values)| match values.range().and_then(|range| Some((range, range.ends().ok()?))) {
            Some((range, (from, to))) => {
                ranged(path, &range, Between { from, to, is_log: range.is_log, is_whole: false }, question)
            }
            None => listed(loader, path, values),
        })
        .collect();
    for at in 0..settings.len() {
        let Some(range) = settings[at].range.filter(|r| r.from.unit == Unit::Level) else { continue };
        let node = settings[at].values[0].node.clone();
        // A number that is surely none of them: were it taken, fractions would be.
        let fraction = Amount { value: range.from.value + 0.5, unit: Unit::Level };
        let fraction = match fraction.value == libm::floor(fraction.value) {
            true => Amount { value: fraction.value + 0.25, ..fraction },
            false => fraction,
        };
        let (kind, text, number) = fraction.written(DIGITS_MAX);
        let mut probe: Vec<Value> = settings.iter().map(|s| s.values[0].clone()).collect();
        probe[at] = Value { node: Node { kind, span: node.span }, text, number: Some(number) };
        if is_whole(at, &probe) {
            let range = Between { is_whole: true, ..range };
            let count = question.settings[at].1.range().and_then(|r| r.points).unwrap_or(POINTS);
            settings[at].range = Some(range);
            settings[at].values = range.values(count, &node);
        }
    }
    settings
}

fn ranged(path: &Spanned<String>, range: &Range<'_>, between: Between, question: &Question) -> Setting {
    let count = match question.latin {
        Some(_) => 2,
        None => range.points.unwrap_or(POINTS),
    };
    Setting {
        path: path.clone(),
        unit: Some(between.from.unit),
        is_log: between.is_log,
        values: between.values(count, range.from),
        range: Some(between),
    }
}

fn listed(loader: &Loader, path: &Spanned<String>, values: &SweptValues) -> Setting {
    let amounts: Vec<Option<Amount>> = values.listed().iter().map(|v| Amount::of(&v.0)).collect();
    let unit = amounts.first().copied().flatten().map(|a| a.unit);
    let unit = unit.filter(|unit| amounts.iter().all(|a| a.is_some_and(|a| a.unit == *unit)));
    let numbers: Vec<f64> = amounts.iter().flatten().map(|a| a.value).collect();
    let value = |(value, amount): (&crate::spec::decode::Anything, &Option<Amount>)| Value {
        node: value.0.clone(),
        text: match &value.0.kind {
            Kind::Text(text) => text.clone(),
            _ => crate::experiment::log::text_of(&loader.sources, value.0.span),
        },
        number: amount.filter(|_| unit.is_some()).map(|a| a.value),
    };
    Setting {
        path: path.clone(),
        unit,
        is_log: unit.is_some() && grows_by_ratios(&numbers),
        values: values.listed().iter().zip(&amounts).map(value).collect(),
        range: None,
    }
}

/// Whether values that somebody has listed are better seen on a logarithmic axis.
fn grows_by_ratios(values: &[f64]) -> bool {
    let (lo, hi) =
        values.iter().fold((f64::INFINITY, 0.0), |(lo, hi): (f64, f64), v| (lo.min(*v), hi.max(*v)));
    values.len() > 2 && lo > 0.0 && hi / lo >= 20.0
}

/// How many points there are.
pub fn count(settings: &[Setting], question: &Question) -> usize {
    match question.latin {
        Some(points) => points as usize,
        None => settings.iter().fold(1, |count: usize, s| count.saturating_mul(s.values.len())),
    }
}

/// The points; in a grid, the last setting changes fastest.
pub fn points(settings: &[Setting], question: &Question, seed: u64) -> Vec<Vec<Value>> {
    if let Some(points) = question.latin {
        return latin_hypercube(settings, points, seed);
    }
    let mut points = vec![Vec::new()];
    for setting in settings {
        let with = |point: &Vec<Value>| {
            let point = point.clone();
            setting
                .values
                .iter()
                .map(move |value| point.iter().chain([value]).cloned().collect())
                .collect::<Vec<_>>()
        };
        points = points.iter().flat_map(with).collect();
    }
    points
}

/// Each setting draws from a stream of its own name: another setting leaves it as it is.
fn latin_hypercube(settings: &[Setting], count: u32, seed: u64) -> Vec<Vec<Value>> {
    let mut points = vec![Vec::new(); count as usize];
    for setting in settings {
        let mut rng = Streams::new(seed, 0).stream(&setting.path.value, "latin hypercube");
        let mut order: Vec<u32> = (0..count).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, rng.below(at as u64 + 1) as usize);
        }
        for (point, part) in points.iter_mut().zip(order) {
            let share = (f64::from(part) + rng.uniform()) / f64::from(count);
            point.push(match &setting.range {
                Some(range) => range.value(share, DIGITS, &setting.values[0].node),
                None => {
                    let at = (share * setting.values.len() as f64) as usize;
                    setting.values[at.min(setting.values.len() - 1)].clone()
                }
            });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: f64, to: f64, unit: Unit) -> Between {
        let amount = |value| Amount { value, unit };
        Between { from: amount(from), to: amount(to), is_log: false, is_whole: false }
    }

    fn texts(range: Between, count: u32) -> Vec<String> {
        let at = Node::empty_record(crate::spec::Span::default());
        range.values(count, &at).into_iter().map(|v| v.text).collect()
    }

    #[test]
    fn ranges_have_the_values_that_people_expect() {
        assert_eq!(texts(between(5.0, 50.0, Unit::Level), 4), ["5", "20", "35", "50"]);
        assert_eq!(texts(between(0.01, 1.0, Unit::Seconds), 4), ["10ms", "340ms", "670ms", "1s"]);
        let log = Between { is_log: true, ..between(0.5, 10.0, Unit::Level) };
        assert_eq!(texts(log, 4), ["0.5", "1.357", "3.684", "10"]);
        // Values that four digits could not tell apart have more.
        assert_eq!(texts(between(10_000.0, 10_003.0, Unit::Level), 4), ["10000", "10001", "10002", "10003"]);
        let whole = Between { is_whole: true, ..between(1.0, 4.0, Unit::Level) };
        assert_eq!(texts(whole, 10), ["1", "2", "3", "4"]);
    }

    #[test]
    fn a_latin_hypercube_has_one_value_in_each_part() {
        let setting = |path: &str, is_log| Setting {
            path: Spanned { value: path.into(), span: crate::spec::Span::default() },
            unit: Some(Unit::Level),
            is_log,
            values: vec![Value {
                node: Node::empty_record(crate::spec::Span::default()),
                text: String::new(),
                number: None,
            }],
            range: Some(Between { is_log, ..between(1.0, 16.0, Unit::Level) }),
        };
        let points = latin_hypercube(&[setting("a", false), setting("b", true)], 30, 42);
        let parts = |at: usize, share: &dyn Fn(f64) -> f64| {
            let mut parts: Vec<usize> =
                points.iter().map(|p| (share(p[at].number.unwrap()) * 30.0) as usize).collect();
            parts.sort_unstable();
            parts
        };
        let all: Vec<usize> = (0..30).collect();
        assert_eq!(parts(0, &|v| (v - 1.0) / 15.0), all);
        assert_eq!(parts(1, &|v| libm::log2(v) / 4.0), all);
        // The order is not that of the parts, nor the same for both.
        assert!(points.windows(2).any(|w| w[0][0].number > w[1][0].number));
        assert_ne!(
            points.iter().map(|p| p[0].number.unwrap() > 8.5).collect::<Vec<_>>(),
            points.iter().map(|p| p[1].number.unwrap() > 4.0).collect::<Vec<_>>()
        );
        // Another setting changes nothing about the first.
        let alone = latin_hypercube(&[setting("a", false)], 30, 42);
        assert!(alone.iter().zip(&points).all(|(a, b)| a[0].number == b[0].number));
    }
}
