//! Quantities with units: reading what people write and printing what they read, in one place.
//!
//! Inside the program every quantity is a plain number in its base unit: seconds, events per second, ratios from
//! 0 to 1, bytes, cores. Text enters through the `parse_…` functions, which refuse whatever is not plainly a
//! quantity of its kind, and leaves through the `…_text` functions, which keep three significant digits.

mod parse;
mod print;

pub use parse::{
    Quantity, UnitError, parse_cores, parse_duration, parse_rate, parse_ratio, parse_size, parse_usage,
};
pub use print::{count_text, duration_text, rate_text, ratio_text, size_text};

/// The unit of a metric: the symbol under which it is exported and the way in which its values are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A length of time, in seconds.
    Seconds,
    /// A rate, in events per second.
    PerSecond,
    /// A part of a whole, from 0 to 1; printed in per cent.
    Ratio,
    /// An amount of memory or data, in bytes.
    Bytes,
    /// An amount of processing power, in cores.
    Cores,
    /// A number of things, named by their regular English plural: "requests", "connections", "retries".
    Count(&'static str),
    /// Money for each hour, in whatever currency the prices are.
    PerHour,
    /// A number without a unit, such as the state of a breaker or an amplification.
    Level,
}

impl Unit {
    /// The symbol in exports: "s", "1/s", "B", "cores", "1/h" for money per hour, the name of the counted things, and
    /// "1" for pure numbers.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::PerSecond => "1/s",
            Self::Ratio | Self::Level => "1",
            Self::Bytes => "B",
            Self::Cores => "cores",
            Self::PerHour => "1/h",
            Self::Count(things) => things,
        }
    }

    /// A value (in the base unit) with its unit, for people: "187 ms", "1,200/s", "67.1 %", "1 core", "12 requests".
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Seconds => duration_text(value),
            Self::PerSecond => rate_text(value),
            Self::Ratio => ratio_text(value),
            Self::Bytes => size_text(value),
            Self::Cores => print::things_text(value, "cores"),
            Self::PerHour => format!("{} per hour", count_text(value)),
            Self::Count(things) => print::things_text(value, things),
            Self::Level => count_text(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_texts_of_units() {
        let table = [
            (Unit::Seconds, 0.187, "s", "187 ms"),
            (Unit::PerSecond, 1200.0, "1/s", "1,200/s"),
            (Unit::Ratio, 0.671, "1", "67.1 %"),
            (Unit::Bytes, 536_870_912.0, "B", "512 MiB"),
            (Unit::Cores, 1.0, "cores", "1 core"),
            (Unit::Cores, 0.5, "cores", "0.5 cores"),
            (Unit::Count("requests"), 1234.0, "requests", "1,234 requests"),
            (Unit::Count("requests"), 1.0, "requests", "1 request"),
            (Unit::Count("retries"), 1.0, "retries", "1 retry"),
            (Unit::Level, 2.5, "1", "2.5"),
            (Unit::PerHour, 0.384, "1/h", "0.384 per hour"),
        ];
        for (unit, value, symbol, text) in table {
            assert_eq!(unit.symbol(), symbol);
            assert_eq!(unit.text(value), text);
        }
    }

    #[test]
    fn what_is_printed_can_be_read() {
        for seconds in [0.0, 1.2e-6, 85e-9, 0.187, 34.0, 59.9, 125.0, 5400.0, 97_200.0, 864_000.0] {
            let text = duration_text(seconds);
            assert_eq!(parse_duration(&text), Ok(seconds), "{text}");
        }
        for rate in [0.0, 0.5, 1.5, 12.3, 999.0, 90.0 / 86_400.0] {
            let (text, got) = (rate_text(rate), parse_rate(&rate_text(rate)).unwrap());
            assert!((got - rate).abs() <= 1e-12 * rate, "{text}");
        }
        for ratio in [0.0, 0.0001, 0.25, 0.671, 0.999, 0.9995, 1.0] {
            assert_eq!(parse_ratio(&ratio_text(ratio)), Ok(ratio));
        }
        for size in [0, 999, 1024, 1536, 512 << 20, 2 << 30] {
            assert_eq!(parse_size(&size_text(size as f64)), Ok(size));
        }
    }
}
