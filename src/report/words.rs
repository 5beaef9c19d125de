//! What several reports say in the same words: moments, estimates, shares, numbers of things.

use crate::base::units::{Unit, count_text, ratio_text};
use crate::metrics::{Estimate, Proportion};

/// A moment of a run as a clock shows it: "5:00", "1:05:00", with tenths of a second only where there are any.
pub fn clock(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_string();
    }
    let tenths = (seconds.abs() * 10.0).round() as u64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    let sign = if seconds < 0.0 && tenths > 0 { "-" } else { "" };
    let fraction = if tenth > 0 { format!(".{tenth}") } else { String::new() };
    match hours {
        0 => format!("{sign}{minutes}:{rest:02}{fraction}"),
        _ => format!("{sign}{hours}:{minutes:02}:{rest:02}{fraction}"),
    }
}

/// When a fault begins and ends: "5:00 to 17:00".
pub fn period(start_s: f64, end_s: Option<f64>) -> String {
    match end_s {
        Some(end) if end > start_s => format!("{} to {}", clock(start_s), clock(end)),
        Some(_) => format!("at {}", clock(start_s)),
        None => format!("{} to the end", clock(start_s)),
    }
}

/// A number of things, named in the singular: "1 run", "5 runs".
pub fn many(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count_text(number as f64))
}

/// A value for people; things are counted without their name, which the place says already.
pub fn value_text(unit: Unit, value: f64) -> String {
    match unit {
        _ if !value.is_finite() => "–".to_string(),
        Unit::Count(_) => count_text(value),
        _ => unit.text(value),
    }
}

/// A mean and half the width of its interval: "187 ms ± 1.2 ms". Half widths of rounding errors are left out.
pub fn estimate_text(unit: Unit, estimate: Option<Estimate>) -> String {
    let Some(estimate) = estimate.filter(|e| e.mean.is_finite()) else { return "–".to_string() };
    let mean = value_text(unit, estimate.mean);
    match estimate.half_width {
        Some(half) if half.is_finite() && half > 1e-9 * estimate.mean.abs() => {
            // Two digits of an error are more than it is worth.
            let half = format!("{half:.1e}").parse().unwrap_or(half);
            format!("{mean} ± {}", value_text(unit, half))
        }
        _ => mean,
    }
}

/// A share of runs: "2 of 5 runs".
pub fn share_text(share: Proportion) -> String {
    format!("{} of {}", share.successes, many(share.runs, "run"))
}

/// The interval of a share: "5.3 % to 85.3 %".
pub fn share_interval(share: Proportion) -> String {
    format!("{} to {}", ratio_text(share.lo), ratio_text(share.hi))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        let table = [
            (0.0, "0:00"),
            (59.96, "1:00"),
            (300.0, "5:00"),
            (3900.0, "1:05:00"),
            (2.5, "0:02.5"),
            (-1.0, "-0:01"),
            (f64::NAN, "?"),
        ];
        for (seconds, text) in table {
            assert_eq!(clock(seconds), text);
        }
        assert_eq!(period(300.0, Some(300.0)), "at 5:00");
        assert_eq!(period(300.0, None), "5:00 to the end");
    }

    #[test]
    fn estimates() {
        let text = |values: &[f64]| estimate_text(Unit::Seconds, Estimate::of(values));
        assert_eq!(text(&[]), "–");
        assert_eq!(text(&[0.187]), "187 ms");
        assert_eq!(text(&[0.1, 0.2]), "150 ms ± 640 ms");
        assert_eq!(text(&[0.1, 0.1]), "100 ms");
        assert_eq!(value_text(Unit::Count("targets"), 12.0), "12");
        assert_eq!((many(1, "run"), many(5, "run")), ("1 run".into(), "5 runs".into()));
    }
}
