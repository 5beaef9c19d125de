//! Expectations: `p(99) of clients.users.latency during(weather) < 200ms`, `P(recovered within 60s) >= 0.95`.
//!
//! The grammar is that of k6's thresholds over metric paths, with windows and with probabilities over runs; see
//! [`GRAMMAR`].

use super::diagnostic::Diagnostic;
use super::source::{Span, Spanned};
use crate::base::units::{self, Unit};

/// What an expectation may say, as the reference shows it.
pub const GRAMMAR: &str = r#"expectation = measure comparison | "P(" event ")" comparison
measure     = [statistic "of"] path [window]
statistic   = "mean" | "min" | "max" | "p(" number ")"
window      = "before(" fault ")" | "during(" fault ")" | "after(" fault ")"
comparison  = ("<" | "<=" | ">" | ">=" | "==") value | "in" value ".." value
event       = "recovered" ["within" duration] ["from" fault] | "metastable" ["from" fault] | measure comparison
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
    /// The mean over runs of a measure.
    Measure(Measure),
    /// The share of runs in which something happens.
    Probability(Event),
}

/// A number that every run has.
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Its value over the whole window.
    Value,
    /// The mean of its time series.
    Mean,
    /// The least of its time series.
    Min,
    /// The greatest of its time series.
    Max,
    /// A percentile of a latency, from 0 to 100.
    Percentile(f64),
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
    /// A measure meets a comparison.
    Holds(Measure, Comparison),
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

fn parse_value(text: &str, unit: Unit, span: Span) -> Result<f64, Diagnostic> {
    let parsed = match unit {
        Unit::Seconds => units::parse_duration(text),
        Unit::PerSecond => units::parse_rate(text),
        Unit::Ratio => units::parse_ratio(text),
        Unit::Bytes => units::parse_size(text).map(|bytes| bytes as f64),
        Unit::Cores => units::parse_cores(text),
        Unit::Count(_) | Unit::Level => {
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

/// Parses `path` or `statistic of path [window]`, without a comparison.
pub fn parse_measure(text: &str, span: Span) -> Result<Measure, Diagnostic> {
    let mut parser = Parser::new(text, span);
    let measure = parser.measure()?;
    match parser.peek() {
        Some(word) => {
            let message = format!("`{word}` is left over at the end");
            Err(parser.error_ahead(&message))
        }
        None => Ok(measure),
    }
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

struct Parser {
    words: Vec<(usize, String)>,
    at: usize,
    span: Span,
    /// Whether the text stands in the source as it is, between quotes, so that words can be pointed at.
    is_verbatim: bool,
}

impl Parser {
    fn new(text: &str, span: Span) -> Self {
        let is_verbatim = span.end.saturating_sub(span.start) as usize == text.len() + 2;
        Self { words: words(text), at: 0, span, is_verbatim }
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
        if self.accept("P") {
            self.expect("(")?;
            let event = self.event()?;
            self.expect(")")?;
            return Ok((Subject::Probability(event), self.comparison()?));
        }
        let measure = self.measure()?;
        Ok((Subject::Measure(measure), self.comparison()?))
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
        let measure = self.measure()?;
        Ok(Event::Holds(measure, self.comparison()?))
    }

    fn from(&mut self) -> Result<Option<String>, Diagnostic> {
        if self.accept("from") { self.next("the name of a fault").map(Some) } else { Ok(None) }
    }

    fn measure(&mut self) -> Result<Measure, Diagnostic> {
        let first = self.next("a metric")?;
        let statistic = match first.as_str() {
            "mean" | "avg" if self.peek() == Some("of") => Statistic::Mean,
            "min" if self.peek() == Some("of") => Statistic::Min,
            "max" if self.peek() == Some("of") => Statistic::Max,
            "p" if self.peek() == Some("(") => {
                let text = self.in_parentheses("a percentile")?;
                let value = text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 100.0);
                let value = value.ok_or_else(|| self.error(&format!("`{text}` is not a percentile")))?;
                Statistic::Percentile(value)
            }
            _ => Statistic::Value,
        };
        let path = if statistic == Statistic::Value {
            first
        } else {
            self.expect("of")?;
            self.next("a metric")?
        };
        if statistic == Statistic::Value && self.peek() == Some("of") {
            return Err(self
                .error(&format!("unknown statistic `{path}`"))
                .help("there is: mean, min, max, p(99)"));
        }
        if ["mean", "avg", "min", "max"].contains(&path.as_str()) {
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
        let Subject::Measure(measure) = &e.subject else { panic!("a measure") };
        assert_eq!(measure.statistic, Statistic::Percentile(99.9));
        assert_eq!(measure.window, Window::During("weather".into()));
        let limits = e.comparison.limits(Unit::Seconds, e.span).unwrap();
        assert!(limits.holds(30.0) && limits.holds(36.0) && !limits.holds(36.1));
        assert!((limits.margin(31.0) - 1.0).abs() < 1e-12);
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
