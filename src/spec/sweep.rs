//! Sweeps: which settings are tried with which values, and what is measured of each.

use super::decode::{Anything, Context, Decode, Map};
use super::diagnostic::Diagnostic;
use super::node::{Kind, Node};
use super::source::{Places, Span, Spanned};
use crate::base::units::{self, Unit};
use crate::{choice, record};

record! {
    /// How an answer moves with some settings, for `brownout sweep`.
    pub struct Sweep {
        /// The settings and their values, by path. `load` multiplies the load of all clients, `variant` names variants
        /// of the experiment. Pictures have the first numeric setting along their axis.
        settings: Map<SweptValues>,
        /// Which combinations of values are played.
        design: Design = Grid,
        /// What is measured at each point: formulas, `P(…)`, or either with a comparison, which is then judged. If not
        /// given: what is expected of the variant, or else latency and errors of the clients.
        measures: Vec<Spanned<String>> = [],
        /// The variant; must be given if the experiment has several and `variant` is no setting.
        variant: Option<Spanned<String>> = None,
    }
}

choice! {
    /// The values of a setting.
    pub enum SweptValues as "Swept values" {
        /// These.
        Values(Values),
        /// From one to another with equal differences.
        Linear(Linear),
        /// From one to another with equal ratios.
        Log(Log),
    }
    shorthand "a list, for `Values`" => list_shorthand
}

record! {
    /// Values as they are listed: whatever the setting takes, be it a number or a whole stack of layers.
    pub struct Values [values] {
        /// The values.
        values: Vec<Anything>,
    }
}

record! {
    /// Values with equal differences. A setting that takes whole numbers gets them, rounded, each once.
    pub struct Linear [from, to, points] {
        /// The first: a number or a quantity.
        from: Anything,
        /// The last, greater than the first.
        to: Anything,
        /// How many; for a grid only, where it is 10 if not given. A Latin hypercube draws from the whole range.
        points: Option<u32> = None,
    }
}

record! {
    /// Values with equal ratios. A setting that takes whole numbers gets them, rounded, each once.
    pub struct Log [from, to, points] {
        /// The first: a number or a quantity, greater than 0.
        from: Anything,
        /// The last, greater than the first.
        to: Anything,
        /// How many; for a grid only, where it is 10 if not given. A Latin hypercube draws from the whole range.
        points: Option<u32> = None,
    }
}

choice! {
    /// Which combinations of values are played.
    pub enum Design {
        /// Each value of each setting with each of all others.
        Grid,
        /// So many points spread over the whole space.
        LatinHypercube(LatinHypercube),
    }
}

record! {
    /// Points such that each setting has one value in each of so many equal parts of its range, in random order (McKay,
    /// Beckman and Conover, A Comparison of Three Methods for Selecting Values of Input Variables, 1979, section 2).
    pub struct LatinHypercube [points] {
        /// How many.
        points: u32,
    }
}

fn list_shorthand(node: &Node, cx: &mut Context) -> Option<Option<SweptValues>> {
    matches!(node.kind, Kind::List(_)).then(|| {
        let values = Vec::<Anything>::decode(node, cx)?;
        Some(SweptValues::Values(Values { values, span: node.span, places: Places::default() }))
    })
}

/// The most values of one setting, and the most points of a Latin hypercube.
pub const VALUES_MAX: u32 = 10_000;

/// Values between two ends.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// The first.
    pub from: &'a Node,
    /// The last.
    pub to: &'a Node,
    /// How many, if it is said.
    pub points: Option<u32>,
    /// Whether ratios are equal, and not differences.
    pub is_log: bool,
    /// Where it was written.
    pub span: Span,
}

impl SweptValues {
    /// The range, unless the values are listed.
    pub fn range(&self) -> Option<Range<'_>> {
        match self {
            Self::Values(_) => None,
            Self::Linear(Linear { from, to, points, span, .. }) => {
                Some(Range { from: &from.0, to: &to.0, points: *points, is_log: false, span: *span })
            }
            Self::Log(Log { from, to, points, span, .. }) => {
                Some(Range { from: &from.0, to: &to.0, points: *points, is_log: true, span: *span })
            }
        }
    }

    /// The values that are listed; none of a range.
    pub fn listed(&self) -> &[Anything] {
        match self {
            Self::Values(list) => &list.values,
            Self::Linear(_) | Self::Log(_) => &[],
        }
    }

    /// Leaves out how many values a range has.
    pub fn forget_points(&mut self) {
        match self {
            Self::Values(_) => {}
            Self::Linear(range) => range.points = None,
            Self::Log(range) => range.points = None,
        }
    }

    /// Where they were written.
    pub fn span(&self) -> Span {
        match self {
            Self::Values(v) => v.span,
            Self::Linear(v) => v.span,
            Self::Log(v) => v.span,
        }
    }

    /// What is wrong with them, of a setting whose path is `path`.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self, path: &Spanned<String>, design: &Design) -> Result<(), Diagnostic> {
        match path.value.as_str() {
            "runs" | "seed" => {
                let message = format!("`{}` is the same for all points of a sweep", path.value);
                return Err(
                    Diagnostic::error(path.span, message).help("give it beside the sweep, or by its flag")
                );
            }
            "load" => self.check_load()?,
            _ => {}
        }
        let Some(range) = self.range() else {
            let count = self.listed().len();
            return match count {
                0 => Err(Diagnostic::error(self.span(), format!("`{}` has no values", path.value))),
                _ if count > VALUES_MAX as usize => Err(too_many(self.span())),
                _ => Ok(()),
            };
        };
        range.check(design)
    }

    fn check_load(&self) -> Result<(), Diagnostic> {
        let ends = self.range().map(|range| [range.from, range.to]);
        for node in self.listed().iter().map(|v| &v.0).chain(ends.into_iter().flatten()) {
            let is_factor = Amount::of(node)
                .is_some_and(|a| matches!(a.unit, Unit::Level | Unit::Ratio) && a.value > 0.0);
            if !is_factor {
                let message = format!("`load` is a factor greater than 0, not {}", node.describe());
                return Err(Diagnostic::error(node.span, message).help("2 is twice the load of all clients"));
            }
        }
        Ok(())
    }
}

impl Range<'_> {
    /// Its ends, in their unit.
    ///
    /// # Errors
    /// If they are none, of different kinds, or upside down.
    pub fn ends(&self) -> Result<(Amount, Amount), Diagnostic> {
        let end = |node: &Node| {
            Amount::of(node).ok_or_else(|| {
                let message = format!(
                    "a range goes from a number or quantity to another, not from {}",
                    node.describe()
                );
                Diagnostic::error(node.span, message).help("other values are listed: `Values([…])`")
            })
        };
        let (from, to) = (end(self.from)?, end(self.to)?);
        if from.unit != to.unit {
            return Err(Diagnostic::error(self.to.span, "the ends of a range must have units of one kind")
                .context(self.from.span, "it begins here"));
        }
        if from.value >= to.value {
            return Err(Diagnostic::error(self.to.span, "a range must end above its beginning")
                .context(self.from.span, "it begins here"));
        }
        if self.is_log && from.value <= 0.0 {
            return Err(Diagnostic::error(self.from.span, "a range of equal ratios must begin above 0"));
        }
        Ok((from, to))
    }

    fn check(&self, design: &Design) -> Result<(), Diagnostic> {
        self.ends()?;
        match (self.points, design) {
            (Some(_), Design::LatinHypercube(_)) => {
                let message = "a Latin hypercube draws from the whole range: leave its number of values out";
                Err(Diagnostic::error(self.span, message))
            }
            (Some(0 | 1), _) => Err(Diagnostic::error(self.span, "a range has at least 2 values")),
            (Some(points), _) if points > VALUES_MAX => Err(too_many(self.span)),
            _ => Ok(()),
        }
    }
}

fn too_many(span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("a sweep has at most {VALUES_MAX} values of a setting"))
}

impl Design {
    /// What is wrong with it.
    ///
    /// # Errors
    /// If there are too few points, or too many.
    pub fn check(&self) -> Result<(), Diagnostic> {
        match self {
            Self::LatinHypercube(l) if l.points < 2 => {
                Err(Diagnostic::error(l.place("points"), "a Latin hypercube has at least 2 points"))
            }
            Self::LatinHypercube(l) if l.points > VALUES_MAX => Err(too_many(l.place("points"))),
            Self::LatinHypercube(_) | Self::Grid => Ok(()),
        }
    }
}

/// A number, or a quantity in its base unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// How much, in the unit.
    pub value: f64,
    /// The unit; a plain number has [`Unit::Level`].
    pub unit: Unit,
}

impl Amount {
    /// What a value as written amounts to; none if it is neither a number nor a quantity.
    pub fn of(node: &Node) -> Option<Self> {
        match &node.kind {
            Kind::Number(_) => {
                let value = f64::decode(node, &mut Context::default())?;
                Some(Self { value, unit: Unit::Level })
            }
            Kind::Text(text) => Self::read(text),
            _ => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let is_percent = text.trim_end().ends_with('%');
        let of = |parsed: Result<f64, units::UnitError>, unit| parsed.ok().map(|value| Self { value, unit });
        let plain = text.trim().parse::<f64>().is_ok();
        if plain {
            return None;
        }
        of(units::parse_duration(text), Unit::Seconds)
            .or_else(|| of(units::parse_rate(text), Unit::PerSecond))
            .or_else(|| if is_percent { of(units::parse_usage(text), Unit::Ratio) } else { None })
            .or_else(|| of(units::parse_size(text).map(|bytes| bytes as f64), Unit::Bytes))
            .or_else(|| of(units::parse_cores(text), Unit::Cores))
    }

    /// The same kind of quantity of another size, as a file would say it and as people read it: rounded to so many
    /// significant digits.
    pub fn written(self, digits: usize) -> (Kind, String, f64) {
        let rounded = |value: f64| format!("{value:.*e}", digits.max(1) - 1).parse::<f64>().unwrap_or(value);
        let text = |value: f64, scale: f64, symbol: &str| {
            let number = rounded(value * scale);
            let text = format!("{number}{symbol}");
            (Kind::Text(text.clone()), text, number / scale)
        };
        match self.unit {
            Unit::Seconds => match self.value {
                v if v >= 1.0 || v == 0.0 => text(v, 1.0, "s"),
                v if v >= 1e-3 => text(v, 1e3, "ms"),
                v if v >= 1e-6 => text(v, 1e6, "us"),
                v => text(libm::round(v * 1e9) / 1e9, 1e9, "ns"),
            },
            Unit::PerSecond => text(self.value, 1.0, "/s"),
            Unit::Ratio => text(self.value, 100.0, "%"),
            Unit::Cores => text(self.value, 1.0, " cores"),
            Unit::Bytes => {
                let bytes = libm::round(self.value);
                (Kind::Text(format!("{bytes}B")), units::size_text(bytes), bytes)
            }
            Unit::Level | Unit::PerHour | Unit::Count(_) => {
                let number = rounded(self.value);
                (Kind::Number(number.to_string()), number.to_string(), number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Option<Amount> {
        let kind = match text.parse::<f64>() {
            Ok(_) => Kind::Number(text.into()),
            Err(_) => Kind::Text(text.into()),
        };
        Amount::of(&Node { kind, span: Span::default() })
    }

    #[test]
    fn amounts_are_read_and_written() {
        let table = [
            ("10ms", 0.01, Unit::Seconds, "10ms"),
            ("90s", 90.0, Unit::Seconds, "90s"),
            ("90/min", 1.5, Unit::PerSecond, "1.5/s"),
            ("150%", 1.5, Unit::Ratio, "150%"),
            ("2KiB", 2048.0, Unit::Bytes, "2 KiB"),
            ("0.5 cores", 0.5, Unit::Cores, "0.5 cores"),
            ("3", 3.0, Unit::Level, "3"),
        ];
        for (text, value, unit, shown) in table {
            let found = amount(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((found.value, found.unit), (value, unit), "{text}");
            assert_eq!(found.written(4).1, shown);
            let again = Node { kind: found.written(12).0, span: Span::default() };
            assert_eq!(Amount::of(&again), Some(found), "{text}");
        }
        assert_eq!(amount("RoundRobin"), None);
        let third = Amount { value: 1.0 / 3.0, unit: Unit::Seconds };
        assert_eq!(third.written(4).1, "333.3ms");
    }
}
