//! Reading quantities: a decimal number and a unit, as people write them.
//!
//! A unit that is a power of ten away from the base unit is applied to the decimal text itself (`"99.9%"` is read
//! as `99.9e-2`), so that the number is the nearest to what was written: 0.999, not 0.9990000000000001.

use crate::base::time::TIME_NS_MAX;
use std::fmt;
use thiserror::Error;

/// The kinds of quantities that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// A length of time.
    Duration,
    /// Events per unit of time.
    Rate,
    /// A part of a whole.
    Ratio,
    /// Use over what there is, which may be more than there is.
    Usage,
    /// An amount of memory or data.
    Size,
    /// An amount of processing power.
    Cores,
}

impl fmt::Display for Quantity {
    /// The kind with examples, to follow "write".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => r#"a duration such as "250ms", "30s" or "1h30m""#,
            Self::Rate => r#"a rate such as "1200/s", "90/min" or "5/h""#,
            Self::Ratio => r#"a ratio from 0 to 1 such as "99.9%" or "0.25""#,
            Self::Usage => r#"a share such as "60%", "150%" or "1.5""#,
            Self::Size => r#"a size such as "512MiB", "2GiB" or "1500B""#,
            Self::Cores => r#"a number of cores such as "2", "0.5 cores" or "500m""#,
        })
    }
}

/// Why a text is not a quantity.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UnitError {
    /// A number without its unit.
    #[error("{found:?} has no unit: write {expected}")]
    NoUnit {
        /// The number that lacks a unit.
        found: String,
        /// What was to be read.
        expected: Quantity,
    },
    /// A unit that is not known.
    #[error("unknown unit {unit:?} in {found:?}{}: write {expected}", did_you_mean(*.nearest))]
    UnknownUnit {
        /// The whole text.
        found: String,
        /// The unit in it.
        unit: String,
        /// The known unit that looks most like it, if any does.
        nearest: Option<&'static str>,
        /// What was to be read.
        expected: Quantity,
    },
    /// A quantity below zero.
    #[error("{found:?} is negative: write {expected}")]
    Negative {
        /// The whole text.
        found: String,
        /// What was to be read.
        expected: Quantity,
    },
    /// A quantity beyond the largest allowed one.
    #[error("{found:?} is too large (the limit is {limit}): write {expected}")]
    TooLarge {
        /// The whole text.
        found: String,
        /// The largest allowed quantity.
        limit: &'static str,
        /// What was to be read.
        expected: Quantity,
    },
    /// Neither a number nor a quantity.
    #[error("{found:?} cannot be read: write {expected}")]
    Malformed {
        /// The whole text.
        found: String,
        /// What was to be read.
        expected: Quantity,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |unit| format!(" (did you mean {unit:?}?)"))
}

/// A named unit: a number `n` of it is `n * 10^power * factor` base units.
struct Named {
    name: &'static str,
    power: i32,
    factor: f64,
}

const fn named(name: &'static str, power: i32, factor: f64) -> Named {
    Named { name, power, factor }
}

/// Units of time over the second. Months and years are left out: they have no fixed length, and "M" is not "m".
const TIMES: &[Named] = &[
    named("ms", -3, 1.0),
    named("s", 0, 1.0),
    named("m", 0, 60.0),
    named("h", 0, 3600.0),
    named("us", -6, 1.0),
    named("µs", -6, 1.0), // U+00B5, the micro sign
    named("μs", -6, 1.0), // U+03BC, the Greek letter
    named("ns", -9, 1.0),
    named("d", 0, 86_400.0),
    named("w", 0, 604_800.0),
    named("sec", 0, 1.0),
    named("secs", 0, 1.0),
    named("second", 0, 1.0),
    named("seconds", 0, 1.0),
    named("min", 0, 60.0),
    named("mins", 0, 60.0),
    named("minute", 0, 60.0),
    named("minutes", 0, 60.0),
    named("hr", 0, 3600.0),
    named("hrs", 0, 3600.0),
    named("hour", 0, 3600.0),
    named("hours", 0, 3600.0),
    named("day", 0, 86_400.0),
    named("days", 0, 86_400.0),
    named("week", 0, 604_800.0),
    named("weeks", 0, 604_800.0),
];

const KIB: f64 = 1024.0;

/// Units of size over the byte. "KB" and "M" are left out: some mean 1000 by them and some 1024.
const SIZES: &[Named] = &[
    named("MiB", 0, KIB * KIB),
    named("GiB", 0, KIB * KIB * KIB),
    named("KiB", 0, KIB),
    named("TiB", 0, KIB * KIB * KIB * KIB),
    named("PiB", 0, KIB * KIB * KIB * KIB * KIB),
    named("MB", 6, 1.0),
    named("GB", 9, 1.0),
    named("kB", 3, 1.0),
    named("TB", 12, 1.0),
    named("PB", 15, 1.0),
    named("B", 0, 1.0),
    named("Mi", 0, KIB * KIB),
    named("Gi", 0, KIB * KIB * KIB),
    named("Ki", 0, KIB),
    named("Ti", 0, KIB * KIB * KIB * KIB),
];

const RATIOS: &[Named] = &[named("", 0, 1.0), named("%", -2, 1.0)];

const CORES: &[Named] =
    &[named("cores", 0, 1.0), named("core", 0, 1.0), named("", 0, 1.0), named("m", -3, 1.0)];

/// Seconds of the longest duration, about 833 days: what [`crate::base::SimDuration`] can hold.
const DURATION_MAX: f64 = TIME_NS_MAX as f64 / 1e9;
/// Events per second of the highest rate: one per nanosecond, the grain of time.
const RATE_MAX: f64 = 1e9;
/// Bytes of the largest size: 8 PiB, up to which every whole number of bytes is exact.
const SIZE_MAX: f64 = (1u64 << 53) as f64;
/// Cores of the largest number of cores.
const CORES_MAX: f64 = 1e6;

/// A text being read, with what is expected of it, for error messages.
#[derive(Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    expected: Quantity,
}

impl<'a> Text<'a> {
    /// Refuses negative quantities by name.
    fn new(text: &'a str, expected: Quantity) -> Result<Self, UnitError> {
        let text = text.trim();
        if text.starts_with(['-', '\u{2212}']) {
            return Err(UnitError::Negative { found: text.to_owned(), expected });
        }
        Ok(Self { text, expected })
    }

    fn malformed(self) -> UnitError {
        UnitError::Malformed { found: self.text.to_owned(), expected: self.expected }
    }

    fn no_unit(self, number: &str) -> UnitError {
        UnitError::NoUnit { found: number.to_owned(), expected: self.expected }
    }

    /// The unit called `name`; an empty name that is not in the table is a missing unit.
    fn unit(self, number: &str, name: &str, table: &'static [Named]) -> Result<&'static Named, UnitError> {
        if let Some(unit) = table.iter().find(|unit| unit.name == name) {
            return Ok(unit);
        }
        if name.is_empty() {
            return Err(self.no_unit(number));
        }
        Err(UnitError::UnknownUnit {
            found: self.text.to_owned(),
            unit: name.to_owned(),
            nearest: nearest(name, table),
            expected: self.expected,
        })
    }

    /// The decimal `number` times ten to the `power`, rounded once. Digits may be grouped by underscores.
    fn decimal(self, number: &str, power: i32) -> Result<f64, UnitError> {
        let is_digit = |c: char| c.is_ascii_digit();
        if !(number.starts_with(is_digit) && number.ends_with(is_digit)) {
            return Err(self.malformed());
        }
        let digits = number.replace('_', "");
        format!("{digits}e{power}").parse().map_err(|_| self.malformed())
    }

    /// `value`, unless it is above `max`, which is described by `limit`.
    fn at_most(self, value: f64, max: f64, limit: &'static str) -> Result<f64, UnitError> {
        if value <= max {
            return Ok(value);
        }
        Err(UnitError::TooLarge { found: self.text.to_owned(), limit, expected: self.expected })
    }

    /// A number with one unit of the table, in base units.
    fn single(self, table: &'static [Named]) -> Result<f64, UnitError> {
        let (number, name) = split_number(self.text);
        if number.is_empty() {
            return Err(self.malformed());
        }
        let unit = self.unit(number, name.trim_start(), table)?;
        Ok(self.decimal(number, unit.power)? * unit.factor)
    }
}

/// The leading number of a text, and what follows it.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '_')).unwrap_or(text.len());
    text.split_at(end)
}

/// The leading word of a text, and what follows it.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    text.split_at(end)
}

/// The unit of the table that `name` was meant to be: the same but for case, else misspelt, else cut short.
fn nearest(name: &str, table: &'static [Named]) -> Option<&'static str> {
    let name = name.to_lowercase();
    let distance = |unit: &Named| strsim::damerau_levenshtein(&name, &unit.name.to_lowercase());
    let known = || table.iter().filter(|unit| !unit.name.is_empty());
    known()
        .map(|unit| (distance(unit), unit.name))
        .filter(|&(distance, _)| distance <= name.chars().count() / 2)
        .min_by_key(|&(distance, _)| distance)
        .or_else(|| known().find(|u| u.name.to_lowercase().starts_with(&name)).map(|u| (0, u.name)))
        .map(|(_, unit)| unit)
}

/// Reads a duration, in seconds: `"250ms"`, `"1.5s"`, `"1h30m"`, `"2 min 5 s"`, `"0"`. At most about 833 days.
pub fn parse_duration(text: &str) -> Result<f64, UnitError> {
    let text = Text::new(text, Quantity::Duration)?;
    if text.text == "0" {
        return Ok(0.0);
    }
    let (mut seconds, mut rest) = (0.0, text.text);
    loop {
        let (number, after) = split_number(rest);
        if number.is_empty() {
            return Err(text.malformed());
        }
        let (name, after) = split_word(after.trim_start());
        if name.is_empty() && !after.is_empty() {
            return Err(text.malformed());
        }
        let unit = text.unit(number, name, TIMES)?;
        seconds += text.decimal(number, unit.power)? * unit.factor;
        rest = after.trim_start();
        if rest.is_empty() {
            return text.at_most(seconds, DURATION_MAX, "833 days");
        }
    }
}

/// Reads a rate, in events per second: `"1200/s"`, `"90/min"`, `"5/h"`, `"0.5/ms"`, `"3/day"`. At most 10^9 per second.
pub fn parse_rate(text: &str) -> Result<f64, UnitError> {
    let text = Text::new(text, Quantity::Rate)?;
    let (number, after) = split_number(text.text);
    if number.is_empty() {
        return Err(text.malformed());
    }
    let after = after.trim_start();
    let Some(name) = after.strip_prefix('/') else {
        return Err(if after.is_empty() { text.no_unit(number) } else { text.malformed() });
    };
    let unit = text.unit(text.text, name.trim_start(), TIMES)?;
    let rate = text.decimal(number, -unit.power)? / unit.factor;
    text.at_most(rate, RATE_MAX, "one per nanosecond")
}

/// Reads a ratio from 0 to 1: `"99.9%"` is 0.999 and `"0.25"` is 0.25.
pub fn parse_ratio(text: &str) -> Result<f64, UnitError> {
    let text = Text::new(text, Quantity::Ratio)?;
    text.at_most(text.single(RATIOS)?, 1.0, "1, or 100%")
}

/// Reads a share that may be more than 1: `"60%"` is 0.6 and `"150%"` is 1.5. At most 100.
pub fn parse_usage(text: &str) -> Result<f64, UnitError> {
    let text = Text::new(text, Quantity::Usage)?;
    text.at_most(text.single(RATIOS)?, 100.0, "100, or 10000%")
}

/// Reads a size, in whole bytes (rounded to the nearest): `"512MiB"`, `"1kB"` (1000 bytes), `"200 MiB"`, `"1500B"`. At
/// most 8 PiB.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let text = Text::new(text, Quantity::Size)?;
    if text.text == "0" {
        return Ok(0);
    }
    let bytes = text.at_most(text.single(SIZES)?, SIZE_MAX, "8 PiB")?;
    Ok(bytes.round() as u64)
}

/// Reads a number of cores: `"2"`, `"0.5 cores"`, `"1 core"`, `"500m"` (thousandths). At most a million.
pub fn parse_cores(text: &str) -> Result<f64, UnitError> {
    let text = Text::new(text, Quantity::Cores)?;
    text.at_most(text.single(CORES)?, CORES_MAX, "a million cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [
            ("0", 0.0),
            ("0s", 0.0),
            ("250ms", 0.25),
            ("1.5s", 1.5),
            ("1.5m", 90.0),
            ("0.001h", 3.6),
            ("1h30m", 5400.0),
            ("1h 30m", 5400.0),
            (" 2 min 5 s ", 125.0),
            ("100us", 1e-4),
            ("100µs", 1e-4),
            ("100μs", 1e-4),
            ("7ns", 7e-9),
            ("0.1ms", 1e-4),
            ("0.0123456789012s", 0.0123456789012),
            ("1d", 86_400.0),
            ("2 weeks", 1_209_600.0),
            ("10_000ms", 10.0),
            ("833d", 71_971_200.0),
        ];
        for (text, seconds) in good {
            assert_eq!(parse_duration(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn durations_agree_with_humantime() {
        let texts = "0s 1ns 250ms 1.5s 1h30m 100us 1d 2h15m30s500ms 3w 1.25h 90min 4hours 12.5ms 1day";
        for text in texts.split(' ') {
            let theirs = humantime::parse_duration(text).unwrap().as_nanos() as f64 / 1e9;
            assert!((parse_duration(text).unwrap() - theirs).abs() <= 1e-15 * theirs, "{text}");
        }
    }

    #[test]
    fn bad_durations() {
        let bad = [
            ("10", r#""10" has no unit: write a duration such as "250ms", "30s" or "1h30m""#),
            ("1h30", r#""30" has no unit: write a duration such as "250ms", "30s" or "1h30m""#),
            ("-3s", r#""-3s" is negative: write a duration such as "250ms", "30s" or "1h30m""#),
            ("", r#""" cannot be read: write a duration such as "250ms", "30s" or "1h30m""#),
            (
                "834d",
                r#""834d" is too large (the limit is 833 days): write a duration such as "250ms", "30s" or "1h30m""#,
            ),
            (
                "5M",
                r#"unknown unit "M" in "5M" (did you mean "m"?): write a duration such as "250ms", "30s" or "1h30m""#,
            ),
            (
                "5 secnds",
                r#"unknown unit "secnds" in "5 secnds" (did you mean "seconds"?): write a duration such as "250ms", "30s" or "1h30m""#,
            ),
            ("5x", r#"unknown unit "x" in "5x": write a duration such as "250ms", "30s" or "1h30m""#),
        ];
        for (text, message) in bad {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message);
        }
        for text in ["NaN", "inf", "s", "1.s", ".5s", "1.2.3s", "5s!", "1,5s", "+5s", "1/s", "_1s"] {
            assert!(matches!(parse_duration(text), Err(UnitError::Malformed { .. })), "{text}");
        }
        assert!(matches!(parse_duration(&"9".repeat(400)), Err(UnitError::NoUnit { .. })));
        assert!(matches!(parse_duration(&format!("{}s", "9".repeat(400))), Err(UnitError::TooLarge { .. })));
    }

    #[test]
    fn rates() {
        let good = [
            ("1200/s", 1200.0),
            ("90/min", 1.5),
            ("90/m", 1.5),
            ("5/h", 5.0 / 3600.0),
            ("0.5/ms", 500.0),
            ("0.3/us", 300_000.0),
            ("3/day", 3.0 / 86_400.0),
            ("0/s", 0.0),
            ("10_000 / s", 10_000.0),
        ];
        for (text, rate) in good {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        let bad = [
            ("1200", r#""1200" has no unit: write a rate such as "1200/s", "90/min" or "5/h""#),
            ("1200/", r#""1200/" has no unit: write a rate such as "1200/s", "90/min" or "5/h""#),
            ("1200rps", r#""1200rps" cannot be read: write a rate such as "1200/s", "90/min" or "5/h""#),
            ("/s", r#""/s" cannot be read: write a rate such as "1200/s", "90/min" or "5/h""#),
            ("-1/s", r#""-1/s" is negative: write a rate such as "1200/s", "90/min" or "5/h""#),
            (
                "5/minuts",
                r#"unknown unit "minuts" in "5/minuts" (did you mean "minute"?): write a rate such as "1200/s", "90/min" or "5/h""#,
            ),
            (
                "2/ns",
                r#""2/ns" is too large (the limit is one per nanosecond): write a rate such as "1200/s", "90/min" or "5/h""#,
            ),
        ];
        for (text, message) in bad {
            assert_eq!(parse_rate(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn ratios() {
        let good = [
            ("99.9%", 0.999),
            ("99.99 %", 0.9999),
            ("0.25", 0.25),
            ("0", 0.0),
            ("1", 1.0),
            ("100%", 1.0),
            ("0.1%", 0.001),
        ];
        for (text, ratio) in good {
            assert_eq!(parse_ratio(text), Ok(ratio), "{text}");
        }
        let bad = [
            (
                "50",
                r#""50" is too large (the limit is 1, or 100%): write a ratio from 0 to 1 such as "99.9%" or "0.25""#,
            ),
            (
                "101%",
                r#""101%" is too large (the limit is 1, or 100%): write a ratio from 0 to 1 such as "99.9%" or "0.25""#,
            ),
            ("-1%", r#""-1%" is negative: write a ratio from 0 to 1 such as "99.9%" or "0.25""#),
            ("NaN", r#""NaN" cannot be read: write a ratio from 0 to 1 such as "99.9%" or "0.25""#),
            ("5‰", r#"unknown unit "‰" in "5‰": write a ratio from 0 to 1 such as "99.9%" or "0.25""#),
        ];
        for (text, message) in bad {
            assert_eq!(parse_ratio(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn sizes() {
        let good = [
            ("512MiB", 512 << 20),
            ("2GiB", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("1kB", 1000),
            ("1.1kB", 1100),
            ("200 MiB", 200 << 20),
            ("1500B", 1500),
            ("0", 0),
            ("256Mi", 256 << 20),
            ("8PiB", 1 << 53),
        ];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        let nearest = [("5mib", "MiB"), ("5KB", "kB"), ("512M", "MiB"), ("1G", "GiB"), ("5Mb", "MB")];
        for (text, unit) in nearest {
            let Err(UnitError::UnknownUnit { nearest, .. }) = parse_size(text) else { panic!("{text}") };
            assert_eq!(nearest, Some(unit), "{text}");
        }
        assert_eq!(
            parse_size("1500").unwrap_err().to_string(),
            r#""1500" has no unit: write a size such as "512MiB", "2GiB" or "1500B""#
        );
        assert!(matches!(parse_size("-1B"), Err(UnitError::Negative { .. })));
        assert!(matches!(parse_size("9PiB"), Err(UnitError::TooLarge { .. })));
        assert!(matches!(parse_size("MiB"), Err(UnitError::Malformed { .. })));
    }

    #[test]
    fn cores() {
        let good =
            [("2", 2.0), ("0.5 cores", 0.5), ("1 core", 1.0), ("500m", 0.5), ("100m", 0.1), ("4cores", 4.0)];
        for (text, cores) in good {
            assert_eq!(parse_cores(text), Ok(cores), "{text}");
        }
        assert_eq!(
            parse_cores("2 coers").unwrap_err().to_string(),
            r#"unknown unit "coers" in "2 coers" (did you mean "cores"?): write a number of cores such as "2", "0.5 cores" or "500m""#
        );
        assert!(matches!(parse_cores("-2"), Err(UnitError::Negative { .. })));
        assert!(matches!(parse_cores(""), Err(UnitError::Malformed { .. })));
        assert!(matches!(parse_cores("10000000"), Err(UnitError::TooLarge { .. })));
    }
}
