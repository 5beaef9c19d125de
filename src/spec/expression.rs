//! Expectations: `p(99) of clients.users.latency during(weather) < 200ms`, `P(recovered within 60s) >= 0.95`.
//!
//! The grammar is that of k6's thresholds over metric paths, with windows and with probabilities over runs; see
//! [`GRAMMAR`].

use super::diagnostic::Diagnostic;
use super::source::{Span, Spanned};
use crate::base::units::{self, Unit};

/// What an expectation may say, as the reference shows it.
pub const GRAMMAR: &str = r#"expectation = formula comparison | "P(" event ")" comparison
formula     = measure | number | formula (" + " | " - " | " * " | " / ") formula | "(" formula ")"
measure     = [statistic "of"] path [window]
statistic   = "mean" | "min" | "max" | "p(" number ")" | "variance" | "moment(2)" | "count"
            | "above(" value ")" | "rises(" value ")" | "first(" value ")" | "last(" value ")"
            | "at(" duration ")"
            | "cycle_max(" duration ")" | "cycle_min(" duration ")" | "cycle_peak(" duration ")"
window      = "before(" fault ")" | "during(" fault ")" | "after(" fault ")"
comparison  = ("<" | "<=" | ">" | ">=" | "==") value | "in" value ".." value
event       = "recovered" ["within" duration] ["from" fault] | "metastable" ["from" fault] | formula comparison
"#;

/// A parsed expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// What is judged.
    pub subject: Subject,
    /// How.
    pub comparison: Comparison,
    /// The text as written.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// What an expectation judges.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// The mean over runs of a number that every run has.
    Formula(Formula),
    /// The share of runs in which something happens.
    Probability(Event),
}

/// A number that every run has: a measure, or several and numbers joined by arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// What was measured.
    Measure(Measure),
    /// A number, in the base unit if it has one.
    Number(f64, Option<Unit>),
    /// Two joined.
    Join(Arithmetic, Box<Formula>, Box<Formula>),
}

/// How two numbers are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Their sum.
    Plus,
    /// Their difference.
    Minus,
    /// Their product.
    Times,
    /// Their quotient.
    Over,
}

impl Arithmetic {
    /// The result; none where there is none, as of a division by nothing.
    pub fn apply(self, a: f64, b: f64) -> Option<f64> {
        let result = match self {
            Self::Plus => a + b,
            Self::Minus => a - b,
            Self::Times => a * b,
            Self::Over => a / b,
        };
        result.is_finite().then_some(result)
    }

    /// The unit of the result, as far as units can say it; a plain number else.
    pub fn unit(self, a: Option<Unit>, b: Option<Unit>) -> Option<Unit> {
        // A plain number or a share scales the other side and leaves its unit.
        let is_scale = |unit: Option<Unit>| matches!(unit, None | Some(Unit::Ratio | Unit::Level));
        match self {
            Self::Plus | Self::Minus if a == b => a,
            Self::Plus | Self::Minus if a.is_none() || b.is_none() => a.or(b),
            Self::Times if is_scale(a) => b.or(a),
            Self::Times | Self::Over if is_scale(b) => a,
            _ => Some(Unit::Level),
        }
    }
}

/// What is taken of a metric, and over which part of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What is taken of the metric.
    pub statistic: Statistic,
    /// The metric's path.
    pub path: String,
    /// The part of the run that is looked at.
    pub window: Window,
}

/// What is taken of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistic {
    /// Its value over the whole window.
    Value,
    /// The mean of a timer, or of the time series of another metric.
    Mean,
    /// The least of a timer, or of the time series of another metric.
    Min,
    /// The greatest of a timer, or of the time series of another metric.
    Max,
    /// A percentile of a timer, or of a level over time, from 0 to 100.
    Percentile(f64),
    /// The variance of a timer, or of a level over time.
    Variance,
    /// The mean of the squares of a timer.
    Square,
    /// How many values a timer has.
    Count,
    /// The share of a timer's values, or of the time of a level, that is greater than a value, still as written.
    Above(String),
    /// How often a level rises above a value.
    Rises(String),
    /// When a level is first above a value.
    First(String),
    /// Until when a level is last above a value.
    Last(String),
    /// The value in the second that ends at so many seconds of the run.
    At(f64),
    /// Of the time series, folded by a period in seconds and averaged over the cycles: the greatest.
    CycleMax(f64),
    /// The same: the least.
    CycleMin(f64),
    /// The same: when in the cycle the peak comes, by the first harmonic.
    CyclePeak(f64),
}

/// A part of the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// All that is measured: from the warm-up to the end.
    Measured,
    /// Before a fault began, warm-up left out.
    Before(String),
    /// While a fault lasted.
    During(String),
    /// After a fault ended.
    After(String),
}

/// Something that happens in a run or does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The objectives hold again after the fault (each fault, if none is named), within so many seconds.
    Recovered {
        /// Seconds from the fault's start.
        within: Option<f64>,
        /// The fault.
        from: Option<String>,
    },
    /// The fault is over, load and capacity are back, and goodput is not.
    Metastable {
        /// The fault.
        from: Option<String>,
    },
    /// A number meets a comparison.
    Holds(Formula, Comparison),
}

/// A comparison with a limit, still as written: its unit is the metric's.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How.
    pub operator: Operator,
    /// The limit; the lower one of `in`.
    pub limit: String,
    /// The upper limit of `in`.
    pub upper: Option<String>,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// More.
    More,
    /// More or equal.
    AtLeast,
    /// Equal.
    Equal,
    /// Between two limits, both included.
    Between,
}

/// A comparison with limits in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// How.
    pub operator: Operator,
    /// The limit; the lower one of `in`.
    pub limit: f64,
    /// The upper limit of `in`, or the limit again.
    pub upper: f64,
}

impl Limits {
    /// Whether `value` meets the comparison.
    pub fn holds(&self, value: f64) -> bool {
        match self.operator {
            Operator::Less => value < self.limit,
            Operator::AtMost => value <= self.limit,
            Operator::More => value > self.limit,
            Operator::AtLeast => value >= self.limit,
            Operator::Equal => value == self.limit,
            Operator::Between => value >= self.limit && value <= self.upper,
        }
    }

    /// How far `value` is on the right side of the nearest limit; negative on the wrong side.
    pub fn margin(&self, value: f64) -> f64 {
        match self.operator {
            Operator::Less | Operator::AtMost => self.limit - value,
            Operator::More | Operator::AtLeast => value - self.limit,
            Operator::Equal => -(value - self.limit).abs(),
            Operator::Between => (value - self.limit).min(self.upper - value),
        }
    }
}

impl Comparison {
    /// The limits in a metric's unit.
    pub fn limits(&self, unit: Unit, span: Span) -> Result<Limits, Diagnostic> {
        let limit = parse_value(&self.limit, unit, span)?;
        let upper = match &self.upper {
            Some(text) => parse_value(text, unit, span)?,
            None => limit,
        };
        if upper < limit {
            return Err(Diagnostic::error(span, "the upper limit is below the lower one"));
        }
        Ok(Limits { operator: self.operator, limit, upper })
    }
}

/// A value in a metric's unit.
pub fn parse_value(text: &str, unit: Unit, span: Span) -> Result<f64, Diagnostic> {
    let parsed = match unit {
        Unit::Seconds => units::parse_duration(text),
        Unit::PerSecond => units::parse_rate(text),
        Unit::Ratio => units::parse_ratio(text),
        Unit::Bytes => units::parse_size(text).map(|bytes| bytes as f64),
        Unit::Cores => units::parse_cores(text),
        Unit::Count(_) | Unit::Level | Unit::PerHour => {
            return text
                .replace('_', "")
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| Diagnostic::error(span, format!("`{text}` is not a number")));
        }
    };
    parsed.map_err(|error| Diagnostic::error(span, error.to_string()))
}

/// Parses one expectation.
pub fn parse(text: &Spanned<String>) -> Result<Expectation, Diagnostic> {
    let mut parser = Parser::new(&text.value, text.span);
    let (subject, comparison) = parser.expectation()?;
    if let Some(word) = parser.peek() {
        let message = format!("`{word}` is left over at the end");
        return Err(parser.error_ahead(&message));
    }
    Ok(Expectation { subject, comparison, text: text.value.clone(), span: text.span })
}

/// Parses what an expectation is about, without its comparison: a formula, or `P(…)`.
pub fn parse_subject(text: &Spanned<String>) -> Result<Subject, Diagnostic> {
    let mut parser = Parser::new(&text.value, text.span);
    let subject = parser.subject()?;
    match parser.peek() {
        Some(word) => {
            let message = format!("`{word}` is left over at the end");
            Err(parser.error_ahead(&message))
        }
        None => Ok(subject),
    }
}

/// Parses a formula, without a comparison.
pub fn parse_formula(text: &Spanned<String>) -> Result<Formula, Diagnostic> {
    let mut parser = Parser::new(&text.value, text.span);
    let formula = parser.formula()?;
    match parser.peek() {
        Some(word) => {
            let message = format!("`{word}` is left over at the end");
            Err(parser.error_ahead(&message))
        }
        None => Ok(formula),
    }
}

/// A number with or without a unit, in the base unit.
fn number(word: &str) -> Option<(f64, Option<Unit>)> {
    if !word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = word.replace('_', "").parse::<f64>().ok().filter(|v| v.is_finite()).map(|v| (v, None));
    plain
        .or_else(|| units::parse_duration(word).ok().map(|v| (v, Some(Unit::Seconds))))
        .or_else(|| units::parse_rate(word).ok().map(|v| (v, Some(Unit::PerSecond))))
        .or_else(|| units::parse_ratio(word).ok().map(|v| (v, Some(Unit::Ratio))))
        .or_else(|| units::parse_size(word).ok().map(|v| (v as f64, Some(Unit::Bytes))))
}

/// Words, comparison signs and parentheses, each with where it begins; `p(99)`, `during(x)` and the like come as
/// three or more words.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    // Where the word begins that is being read.
    let mut start: Option<usize> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let sign = match c {
            '<' | '>' | '=' | '!' => 1 + usize::from(next == Some('=')),
            '(' | ')' => 1,
            '.' if next == Some('.') => 2,
            _ => 0,
        };
        if sign == 0 && !c.is_whitespace() {
            start.get_or_insert(at);
            continue;
        }
        if let Some(from) = start.take() {
            words.push((from, text[from..at].to_string()));
        }
        if sign > 0 {
            words.push((at, text[at..at + sign].to_string()));
        }
        if sign > 1 {
            chars.next();
        }
    }
    if let Some(from) = start {
        words.push((from, text[from..].to_string()));
    }
    words
}

/// How deep parentheses may be nested.
const DEPTH_MAX: usize = 64;

/// Words that stand before `of`.
const WORDS: [&str; 6] = ["mean", "avg", "min", "max", "variance", "count"];

const STATISTICS: &str = "there is: mean, min, max, p(99), variance, moment(2), count, above(x), rises(x), first(x), \
                          last(x), at(t), cycle_max(t), cycle_min(t), cycle_peak(t)";

struct Parser {
    words: Vec<(usize, String)>,
    at: usize,
    span: Span,
    /// Whether the text stands in the source as it is, between quotes, so that words can be pointed at.
    is_verbatim: bool,
    /// Parentheses open now.
    depth: usize,
}

impl Parser {
    fn new(text: &str, span: Span) -> Self {
        let is_verbatim = span.end.saturating_sub(span.start) as usize == text.len() + 2;
        Self { words: words(text), at: 0, span, is_verbatim, depth: 0 }
    }

    /// An error at the word that was read last, or at the whole text if it ended too early.
    fn error(&self, message: &str) -> Diagnostic {
        let last = self.at.checked_sub(1).and_then(|at| self.words.get(at));
        let span = match last {
            Some((offset, word)) if self.is_verbatim => {
                let start = self.span.start + 1 + *offset as u32;
                Span { start, end: start + word.len() as u32, ..self.span }
            }
            _ => self.span,
        };
        Diagnostic::error(span, message.to_string())
            .help("an expectation reads like `p(99) of clients.users.latency during(db) < 200ms`")
    }

    /// An error at the word that comes next.
    fn error_ahead(&mut self, message: &str) -> Diagnostic {
        self.at += 1;
        self.error(message)
    }

    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(|(_, word)| word.as_str())
    }

    fn next(&mut self, what: &str) -> Result<String, Diagnostic> {
        let word = self.words.get(self.at).map(|(_, word)| word.clone());
        self.at += 1;
        word.ok_or_else(|| self.error(&format!("expected {what} at the end")))
    }

    fn accept(&mut self, word: &str) -> bool {
        let is = self.peek() == Some(word);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, word: &str) -> Result<(), Diagnostic> {
        let found = self.next(&format!("`{word}`"))?;
        if found == word { Ok(()) } else { Err(self.error(&format!("expected `{word}`, found `{found}`"))) }
    }

    fn in_parentheses(&mut self, what: &str) -> Result<String, Diagnostic> {
        self.expect("(")?;
        let inner = self.next(what)?;
        self.expect(")")?;
        Ok(inner)
    }

    fn expectation(&mut self) -> Result<(Subject, Comparison), Diagnostic> {
        Ok((self.subject()?, self.comparison()?))
    }

    fn subject(&mut self) -> Result<Subject, Diagnostic> {
        if self.accept("P") {
            self.expect("(")?;
            let event = self.event()?;
            self.expect(")")?;
            return Ok(Subject::Probability(event));
        }
        self.formula().map(Subject::Formula)
    }

    fn event(&mut self) -> Result<Event, Diagnostic> {
        if self.accept("recovered") {
            let within = if self.accept("within") {
                let text = self.next("a duration")?;
                Some(units::parse_duration(&text).map_err(|e| self.error(&e.to_string()))?)
            } else {
                None
            };
            return Ok(Event::Recovered { within, from: self.from()? });
        }
        if self.accept("metastable") {
            return Ok(Event::Metastable { from: self.from()? });
        }
        let formula = self.formula()?;
        Ok(Event::Holds(formula, self.comparison()?))
    }

    fn from(&mut self) -> Result<Option<String>, Diagnostic> {
        if self.accept("from") { self.next("the name of a fault").map(Some) } else { Ok(None) }
    }

    /// Terms joined by plus and minus.
    fn formula(&mut self) -> Result<Formula, Diagnostic> {
        self.joined(&[("+", Arithmetic::Plus), ("-", Arithmetic::Minus)], |parser| {
            parser.joined(&[("*", Arithmetic::Times), ("/", Arithmetic::Over)], Self::factor)
        })
    }

    fn joined(
        &mut self,
        signs: &[(&str, Arithmetic)],
        part: impl Fn(&mut Self) -> Result<Formula, Diagnostic>,
    ) -> Result<Formula, Diagnostic> {
        let mut formula = part(self)?;
        while let Some((_, how)) = signs.iter().find(|(sign, _)| self.peek() == Some(sign)) {
            self.at += 1;
            formula = Formula::Join(*how, Box::new(formula), Box::new(part(self)?));
        }
        Ok(formula)
    }

    fn factor(&mut self) -> Result<Formula, Diagnostic> {
        if self.accept("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.error("too many parentheses"));
            }
            let formula = self.formula()?;
            self.depth -= 1;
            self.expect(")")?;
            return Ok(formula);
        }
        if let Some((value, unit)) = self.peek().and_then(number) {
            self.at += 1;
            return Ok(Formula::Number(value, unit));
        }
        self.measure().map(Formula::Measure)
    }

    fn measure(&mut self) -> Result<Measure, Diagnostic> {
        let first = self.next("a metric")?;
        let statistic = self.statistic(&first)?;
        let path = if statistic == Statistic::Value {
            first
        } else {
            self.expect("of")?;
            self.next("a metric")?
        };
        if statistic == Statistic::Value && self.peek() == Some("of") {
            return Err(self.error(&format!("unknown statistic `{path}`")).help(STATISTICS));
        }
        if WORDS.contains(&path.as_str()) {
            return Err(self.error(&format!("expected `of` after `{path}`")));
        }
        if !path.contains('.') {
            return Err(self.error(&format!("`{path}` is not the path of a metric")));
        }
        let window = match self.peek() {
            Some("before") => Window::Before(self.window_fault()?),
            Some("during") => Window::During(self.window_fault()?),
            Some("after") => Window::After(self.window_fault()?),
            _ => Window::Measured,
        };
        Ok(Measure { statistic, path, window })
    }

    /// The statistic that begins with a word; `Value` if it is none.
    fn statistic(&mut self, word: &str) -> Result<Statistic, Diagnostic> {
        if self.peek() == Some("of") {
            return Ok(match word {
                "mean" | "avg" => Statistic::Mean,
                "min" => Statistic::Min,
                "max" => Statistic::Max,
                "variance" => Statistic::Variance,
                "count" => Statistic::Count,
                _ => Statistic::Value,
            });
        }
        if self.peek() != Some("(") || word.contains('.') {
            return Ok(Statistic::Value);
        }
        let what = match word {
            "p" => "a percentile",
            "moment" => "2",
            "above" | "rises" | "first" | "last" => "a value",
            "at" | "cycle_max" | "cycle_min" | "cycle_peak" => "a duration",
            _ => return Err(self.error(&format!("unknown statistic `{word}`")).help(STATISTICS)),
        };
        let text = self.in_parentheses(what)?;
        let seconds = |parser: &Self| {
            let seconds = units::parse_duration(&text).map_err(|e| parser.error(&e.to_string()))?;
            let is_whole = seconds >= 1.0 && seconds == libm::floor(seconds);
            is_whole.then_some(seconds).ok_or_else(|| {
                parser.error(&format!(
                    "`{text}` is not a whole number of seconds: the series has one value each"
                ))
            })
        };
        Ok(match word {
            "p" => {
                let value = text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 100.0);
                let value = value.ok_or_else(|| self.error(&format!("`{text}` is not a percentile")))?;
                Statistic::Percentile(value)
            }
            "moment" if text == "2" => Statistic::Square,
            "moment" => return Err(self.error("there is `moment(2)` only, the mean of the squares")),
            "above" => Statistic::Above(text),
            "rises" => Statistic::Rises(text),
            "first" => Statistic::First(text),
            "last" => Statistic::Last(text),
            "at" => Statistic::At(seconds(self)?),
            "cycle_max" => Statistic::CycleMax(seconds(self)?),
            "cycle_min" => Statistic::CycleMin(seconds(self)?),
            _ => Statistic::CyclePeak(seconds(self)?),
        })
    }

    fn window_fault(&mut self) -> Result<String, Diagnostic> {
        self.at += 1;
        self.in_parentheses("the name of a fault")
    }

    fn comparison(&mut self) -> Result<Comparison, Diagnostic> {
        let sign = self.next("a comparison such as `<`")?;
        let operator = match sign.as_str() {
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::More,
            ">=" => Operator::AtLeast,
            "==" | "=" => Operator::Equal,
            "in" => Operator::Between,
            _ => return Err(self.error(&format!("expected <, <=, >, >=, == or in, found `{sign}`"))),
        };
        let limit = self.next("a limit")?;
        let upper = if operator == Operator::Between {
            self.expect("..")?;
            Some(self.next("an upper limit")?)
        } else {
            None
        };
        Ok(Comparison { operator, limit, upper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Expectation, Diagnostic> {
        parse(&Spanned { value: text.into(), span: Span::default() })
    }

    #[test]
    fn statistics_windows_and_ranges() {
        let e = parsed("p(99.9) of clients.users.latency during(weather) in 30s..36s").unwrap();
        let Subject::Formula(Formula::Measure(measure)) = &e.subject else { panic!("a measure") };
        assert_eq!(measure.statistic, Statistic::Percentile(99.9));
        assert_eq!(measure.window, Window::During("weather".into()));
        let limits = e.comparison.limits(Unit::Seconds, e.span).unwrap();
        assert!(limits.holds(30.0) && limits.holds(36.0) && !limits.holds(36.1));
        assert!((limits.margin(31.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn formulas_bind_as_usual() {
        let formula = |text: &str| parse_formula(&Spanned { value: text.into(), span: Span::default() });
        let join = |how, a, b| Formula::Join(how, Box::new(a), Box::new(b));
        let n = |value| Formula::Number(value, None);
        let sum = join(Arithmetic::Plus, n(1.0), join(Arithmetic::Times, n(2.0), n(3.0)));
        assert_eq!(formula("1 + 2 * 3").unwrap(), sum);
        let left = join(Arithmetic::Minus, join(Arithmetic::Minus, n(1.0), n(2.0)), n(3.0));
        assert_eq!(formula("1 - 2 - 3").unwrap(), left);
        let product = join(Arithmetic::Times, join(Arithmetic::Plus, n(1.0), n(2.0)), n(3.0));
        assert_eq!(formula("(1 + 2) * 3").unwrap(), product);
        let drained = formula("last(0) of services.s-1.queue after(x) - 110s").unwrap();
        let Formula::Join(Arithmetic::Minus, measure, number) = drained else { panic!("a difference") };
        assert_eq!(*number, Formula::Number(110.0, Some(Unit::Seconds)));
        let Formula::Measure(measure) = *measure else { panic!("a measure") };
        assert_eq!(measure.statistic, Statistic::Last("0".into()));
        assert_eq!(measure.path, "services.s-1.queue");
        for bad in ["1 +", "(1", "1 2", "moment(3) of a.b", "at(0.5s) of a.b", "q(1) of a.b", "()"] {
            assert!(formula(bad).is_err(), "{bad}");
        }
        assert!(formula(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn probabilities() {
        let e = parsed("P(recovered within 60s from db) >= 0.95").unwrap();
        let event = Event::Recovered { within: Some(60.0), from: Some("db".into()) };
        assert_eq!(e.subject, Subject::Probability(event));
        assert!(parsed("P(max of balancers.alb.healthy<2)>5%").is_ok());
        assert!(parsed("P(metastable) == 0").is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        for bad in [
            "",
            "clients.users.rate",
            "clients.users.rate <",
            "rate < 5",
            "p(0) of a.b < 1",
            "a.b < 5 6",
            "a.b ! 5",
            "a.b in 5",
            "P(a.b < 5",
            "P(recovered within soon) > 0",
            "a.b during() < 4",
            "min a.b < 3",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
