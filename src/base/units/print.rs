//! Printing quantities: three significant digits, in the unit that suits the size.
//!
//! Trailing zeros tell rounded values from exact ones: 34.02 seconds are "34.0 s", and 34 seconds are "34 s".

/// Significant digits of every printed value.
const DIGITS: i32 = 3;

/// What `value` (positive, finite) is when rounded to three significant digits, and its decimal exponent.
fn rounded(value: f64) -> (f64, i32) {
    // The text, unlike a logarithm, is right at powers of ten, and where rounding carries to the next one.
    let text = format!("{value:.*e}", (DIGITS - 1) as usize);
    let exponent = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    (text.parse().unwrap_or(value), exponent)
}

/// A finite number with the given decimals; zeros at the end are dropped if nothing was lost by rounding.
fn decimals(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let printed: f64 = text.parse().unwrap_or(value);
    if places == 0 || (printed - value).abs() > 1e-9 * value.abs() {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A whole number with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints what `positive` makes of the absolute value; zero, negative, infinite and undefined values are handled here.
fn signed(value: f64, suffix: &str, positive: impl Fn(f64) -> String) -> String {
    match value {
        v if v.is_nan() => "n/a".to_owned(),
        v if v == f64::INFINITY => "∞".to_owned(),
        v if v == f64::NEG_INFINITY => "-∞".to_owned(),
        0.0 => format!("0{suffix}"),
        v if v < 0.0 => format!("-{}", positive(-v)),
        v => positive(v),
    }
}

/// A positive number: whole and grouped from a thousand on, in powers of ten where it has too many zeros.
fn positive_count(value: f64) -> String {
    let (short, exponent) = rounded(value);
    match exponent {
        ..-6 => format!("{short:e}"),
        -6..3 => decimals(value, (DIGITS - 1 - exponent).max(0) as usize),
        3..15 => grouped(value),
        15.. => format!("{short:e}"),
    }
}

/// A number without a unit: "1,234", "12.3", "0.00123".
pub fn count_text(value: f64) -> String {
    signed(value, "", positive_count)
}

/// A number of things, named by their regular English plural: "1 request", "12 requests".
pub(super) fn things_text(value: f64, things: &str) -> String {
    let number = count_text(value);
    if number != "1" {
        return format!("{number} {things}");
    }
    match things.strip_suffix("ies") {
        Some(stem) => format!("1 {stem}y"),
        None => format!("1 {}", things.strip_suffix('s').unwrap_or(things)),
    }
}

/// Two neighbouring units, as in "2 min 5 s"; the smaller one is left out where it is zero.
fn compound(whole: u64, parts: u64, (large, small): (&str, &str)) -> String {
    let head = format!("{} {large}", grouped((whole / parts) as f64));
    match whole % parts {
        0 => head,
        rest => format!("{head} {rest} {small}"),
    }
}

fn positive_duration(seconds: f64) -> String {
    let (short, exponent) = rounded(seconds);
    if short < 60.0 {
        let (scale, unit) = match exponent {
            ..-6 => (1e9, "ns"),
            -6..-3 => (1e6, "µs"),
            -3..0 => (1e3, "ms"),
            0.. => (1.0, "s"),
        };
        return format!("{} {unit}", positive_count(seconds * scale));
    }
    // Each step rounds to its smaller unit, and goes on to the next one where that carries.
    if seconds.round() < 3600.0 {
        return compound(seconds.round() as u64, 60, ("min", "s"));
    }
    let minutes = (seconds / 60.0).round();
    if minutes < 1440.0 {
        return compound(minutes as u64, 60, ("h", "min"));
    }
    compound((seconds / 3600.0).round() as u64, 24, ("d", "h"))
}

/// A length of time given in seconds: "187 ms", "34.0 s", "2 min 5 s", "1.2 µs".
pub fn duration_text(seconds: f64) -> String {
    signed(seconds, " s", positive_duration)
}

fn positive_rate(per_second: f64) -> String {
    if per_second >= 0.1 {
        return format!("{}/s", positive_count(per_second));
    }
    let (scale, unit) = [(60.0, "min"), (3600.0, "h")]
        .into_iter()
        .find(|(scale, _)| per_second * scale >= 1.0)
        .unwrap_or((86_400.0, "day"));
    format!("{}/{unit}", positive_count(per_second * scale))
}

/// A rate given in events per second: "1,200/s". Rare events are counted by the minute, hour or day: "5/h".
pub fn rate_text(per_second: f64) -> String {
    signed(per_second, "/s", positive_rate)
}

fn positive_ratio(ratio: f64) -> String {
    // What people look at is the distance from nothing or from all: 99.95 % must not be rounded to 100 %.
    let rest = (1.0 - ratio).abs();
    let small = if rest > 1e-12 { ratio.min(rest) } else { ratio };
    let (_, exponent) = rounded(small * 100.0);
    let places = if exponent >= 0 { 1 } else { 1 - exponent };
    format!("{} %", decimals(ratio * 100.0, places as usize))
}

/// A ratio in per cent: "67.1 %", "0.010 %", "99.95 %", "100 %".
///
/// One decimal; where the ratio or what is missing to 1 is below one per cent, two significant digits of that.
pub fn ratio_text(ratio: f64) -> String {
    signed(ratio, " %", positive_ratio)
}

fn positive_size(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value.round() < 1024.0 {
            return format!("{} {unit}", positive_count(value));
        }
        value /= 1024.0;
    }
    format!("{} PiB", positive_count(value))
}

/// A size given in bytes: "512 MiB", "1.5 GiB", "200 B".
pub fn size_text(bytes: f64) -> String {
    signed(bytes, " B", positive_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: impl Fn(f64) -> String, table: &[(f64, &str)]) {
        for &(value, expected) in table {
            assert_eq!(text(value), expected, "{value}");
        }
    }

    #[test]
    fn durations() {
        check(
            duration_text,
            &[
                (0.0, "0 s"),
                (-0.0, "0 s"),
                (85e-9, "85 ns"),
                (1.2e-6, "1.2 µs"),
                (1.204e-6, "1.20 µs"),
                (0.187, "187 ms"),
                (0.187_432, "187 ms"),
                (0.05, "50 ms"),
                (0.012_345, "12.3 ms"),
                (0.999_4, "999 ms"),
                (0.999_6, "1.00 s"),
                (1.0, "1 s"),
                (34.02, "34.0 s"),
                (34.0, "34 s"),
                (59.94, "59.9 s"),
                (59.96, "1 min"),
                (125.0, "2 min 5 s"),
                (120.2, "2 min"),
                (3599.7, "1 h"),
                (5400.0, "1 h 30 min"),
                (86_399.0, "1 d"),
                (97_200.0, "1 d 3 h"),
                (-0.25, "-250 ms"),
                (f64::INFINITY, "∞"),
                (f64::NAN, "n/a"),
                (1e-12, "0.001 ns"),
            ],
        );
    }

    #[test]
    fn rates() {
        check(
            rate_text,
            &[
                (0.0, "0/s"),
                (1200.0, "1,200/s"),
                (1_234_567.8, "1,234,568/s"),
                (12.34, "12.3/s"),
                (0.5, "0.5/s"),
                (0.05, "3/min"),
                (5.0 / 3600.0, "5/h"),
                (3.0 / 86_400.0, "3/day"),
                (-2.0, "-2/s"),
            ],
        );
    }

    #[test]
    fn ratios() {
        check(
            ratio_text,
            &[
                (0.0, "0 %"),
                (0.671, "67.1 %"),
                (0.670_04, "67.0 %"),
                (0.67, "67 %"),
                (0.000_100_4, "0.010 %"),
                (0.000_1, "0.01 %"),
                (0.005, "0.5 %"),
                (0.999, "99.9 %"),
                (0.9995, "99.95 %"),
                (0.999_951_4, "99.9951 %"),
                (1.0, "100 %"),
                (1.0 - 1e-15, "100 %"),
                (1.304, "130.4 %"),
                (-0.012, "-1.2 %"),
            ],
        );
    }

    #[test]
    fn sizes() {
        check(
            size_text,
            &[
                (0.0, "0 B"),
                (1.0, "1 B"),
                (1000.0, "1,000 B"),
                (1024.0, "1 KiB"),
                (536_870_912.0, "512 MiB"),
                (1_610_612_736.0, "1.5 GiB"),
                (1_610_700_000.0, "1.50 GiB"),
                (1024.0 * 1023.7, "1.00 MiB"),
                (1e18, "888 PiB"),
            ],
        );
    }

    #[test]
    fn counts() {
        check(
            count_text,
            &[
                (0.0, "0"),
                (7.0, "7"),
                (12.34, "12.3"),
                (1234.0, "1,234"),
                (999.96, "1,000"),
                (1_234_567.0, "1,234,567"),
                (0.001_234, "0.00123"),
                (1e-9, "1e-9"),
                (1.5e20, "1.5e20"),
                (-1234.0, "-1,234"),
                (f64::NEG_INFINITY, "-∞"),
            ],
        );
    }
}
