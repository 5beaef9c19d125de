//! Axes: where a value is, and which values are labeled how.

use crate::base::units::{Unit, duration_text, ratio_text};
use crate::report::words::{clock, value_text};

/// From values to places along an axis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scale {
    /// Equal differences are equal distances.
    Linear {
        /// The value at the beginning.
        lo: f64,
        /// The value at the end.
        hi: f64,
    },
    /// Equal ratios are equal distances.
    Log {
        /// The value at the beginning, positive.
        lo: f64,
        /// The value at the end.
        hi: f64,
    },
}

impl Scale {
    /// The place of a value: 0 at the beginning of the axis, 1 at its end, and never outside.
    pub fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { lo, hi } => (value - lo) / (hi - lo),
            Self::Log { lo, .. } if value <= lo => 0.0,
            Self::Log { lo, hi } => libm::log10(value / lo) / libm::log10(hi / lo),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }
}

/// An axis.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// Its scale.
    pub scale: Scale,
    /// Values and their labels, ascending.
    pub ticks: Vec<(f64, String)>,
    /// Whether lines cross the panel at the ticks.
    pub grid: bool,
}

/// Steps that clocks and calendars know, in seconds.
const TIME_STEPS: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
    21_600.0, 43_200.0, 86_400.0, 604_800.0,
];

/// Multiples of `step` from 0 to `hi`.
fn multiples(step: f64, hi: f64) -> impl Iterator<Item = f64> {
    let count = (hi / step + 1e-9).floor().min(1e4) as u32;
    (0..=count).map(move |i| f64::from(i) * step)
}

fn time_step(hi: f64, ticks_max: f64) -> f64 {
    let step = TIME_STEPS.iter().copied().find(|step| hi / step <= ticks_max);
    step.unwrap_or_else(|| nice_step(hi, ticks_max))
}

/// The least of 1, 2 and 5 times a power of ten that gives at most `ticks_max` steps.
fn nice_step(hi: f64, ticks_max: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(hi / ticks_max)));
    [1.0, 2.0, 5.0].map(|m| m * power).into_iter().find(|step| hi / step <= ticks_max).unwrap_or(10.0 * power)
}

/// A step that leads to `hi` in three to five steps, if `hi` is a small whole number: 12 targets in steps of 3.
fn whole_step(hi: f64) -> Option<f64> {
    let steps = [3.0, 4.0, 5.0].map(|count| hi / count);
    steps.into_iter().rev().find(|step| hi <= 60.0 && *step >= 1.0 && *step == step.round())
}

/// Something positive to end an axis at.
fn or_one(hi: f64) -> f64 {
    if hi.is_finite() && hi > 1e-12 { hi } else { 1.0 }
}

/// The time of a run, in minutes and seconds.
pub fn time(duration_s: f64) -> Axis {
    let hi = or_one(duration_s);
    let ticks = multiples(time_step(hi, 8.0), hi).map(|t| (t, clock(t))).collect();
    Axis { scale: Scale::Linear { lo: 0.0, hi }, ticks, grid: true }
}

/// Quantities of a unit from zero on, with some room above `hi`.
pub fn from_zero(hi: f64, unit: Unit) -> Axis {
    let hi = or_one(hi);
    let step = match unit {
        Unit::Seconds if hi > 5.0 => time_step(hi, 5.0),
        Unit::Count(_) | Unit::Level => whole_step(hi).unwrap_or_else(|| nice_step(hi, 5.0).max(1.0)),
        _ => nice_step(hi, 5.0),
    };
    let top = hi * 1.06;
    let ticks = multiples(step, top).map(|v| (v, value_text(unit, v))).collect();
    Axis { scale: Scale::Linear { lo: 0.0, hi: top }, ticks, grid: true }
}

/// Durations on a logarithmic scale.
pub fn log_durations(lo: f64, hi: f64) -> Axis {
    let (lo, hi) = (lo * 0.8, hi * 1.25);
    let decades = libm::log10(hi / lo);
    let (mantissas, long): (&[f64], &[f64]) = match decades {
        ..1.4 => (&[1.0, 2.0, 5.0], &[60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0]),
        1.4..4.2 => (&[1.0, 3.0], &[60.0, 300.0, 600.0, 1800.0, 3600.0]),
        _ => (&[1.0], &[60.0, 600.0, 3600.0]),
    };
    let short = (-9..=1).flat_map(|k| mantissas.iter().map(move |m| m * libm::pow(10.0, f64::from(k))));
    let longer = long.iter().copied().chain([10_800.0, 43_200.0, 172_800.0]);
    let within = |t: &f64| *t >= lo && *t <= hi;
    let ticks =
        short.filter(|t| *t < 59.0).chain(longer).filter(within).map(|t| (t, duration_text(t))).collect();
    Axis { scale: Scale::Log { lo, hi }, ticks, grid: true }
}

/// Shares from `lo` to 1 on a logarithmic scale.
pub fn log_shares(lo: f64) -> Axis {
    let ticks: Vec<(f64, String)> = (-9..=0)
        .map(|k| libm::pow(10.0, f64::from(k)))
        .filter(|share| *share >= lo * 0.999)
        .map(|share| (share, share_text(share)))
        .collect();
    Axis { scale: Scale::Log { lo, hi: 1.2 }, ticks, grid: true }
}

/// A power of ten in per cent, without the zeros that other shares would need.
fn share_text(share: f64) -> String {
    let text = ratio_text(share);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// An axis over values that were chosen, with a label at each, and some room on both sides.
pub fn at_values(ticks: Vec<(f64, String)>, lo: f64, hi: f64, is_log: bool) -> Axis {
    let scale = match is_log && lo > 0.0 {
        true => {
            let room = libm::pow(hi / lo, 0.03).max(1.01);
            Scale::Log { lo: lo / room, hi: hi * room }
        }
        false => {
            let room = if hi > lo { (hi - lo) * 0.03 } else { hi.abs().max(1.0) * 0.5 };
            Scale::Linear { lo: lo - room, hi: hi + room }
        }
    };
    Axis { scale, ticks, grid: true }
}

/// Quantities of a unit from `lo` to `hi`, labeled at round ones.
pub fn range(lo: f64, hi: f64, unit: Unit, is_log: bool) -> Axis {
    let within = |v: &f64| *v >= lo * (1.0 - 1e-9 * lo.signum()) && *v <= hi * (1.0 + 1e-9 * hi.signum());
    let values: Vec<f64> = if is_log && lo > 0.0 {
        let decades = libm::log10(hi / lo);
        let mantissas: &[f64] = match decades {
            ..2.0 => &[1.0, 2.0, 5.0],
            2.0..4.5 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let powers = (-12..=15).map(|k| libm::pow(10.0, f64::from(k)));
        powers.flat_map(|power| mantissas.iter().map(move |m| m * power)).filter(within).collect()
    } else {
        let step = match unit {
            Unit::Seconds if hi - lo > 5.0 => time_step(or_one(hi - lo), 6.0),
            _ => nice_step(or_one(hi - lo), 6.0),
        };
        let first = libm::ceil(lo / step - 1e-9);
        (0..=20).map(|n| (first + f64::from(n)) * step).filter(within).collect()
    };
    let mut ticks: Vec<(f64, String)> = values.into_iter().map(|v| (v, value_text(unit, v))).collect();
    if ticks.len() < 2 {
        // No round value lies between: the ends do.
        ticks = vec![(lo, value_text(unit, lo)), (hi, value_text(unit, hi))];
        ticks.dedup_by(|a, b| a.1 == b.1);
    }
    at_values(ticks, lo, hi, is_log)
}

/// Names side by side, each in the middle of a stretch of 1.
pub fn names(names: &[String]) -> Axis {
    let ticks = names.iter().enumerate().map(|(i, name)| (i as f64 + 0.5, name.to_string())).collect();
    Axis { scale: Scale::Linear { lo: 0.0, hi: or_one(names.len() as f64) }, ticks, grid: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn labels_are_human() {
        assert_eq!(labels(&time(1800.0)), ["0:00", "5:00", "10:00", "15:00", "20:00", "25:00", "30:00"]);
        assert_eq!(labels(&time(f64::NAN)), ["0:00", "0:01"]);
        assert_eq!(labels(&from_zero(12.0, Unit::Count("targets"))), ["0", "3", "6", "9", "12"]);
        assert_eq!(labels(&from_zero(1200.0, Unit::PerSecond)), ["0/s", "500/s", "1,000/s"]);
        assert_eq!(labels(&from_zero(540.0, Unit::Seconds)), ["0 s", "2 min", "4 min", "6 min", "8 min"]);
        assert_eq!(labels(&log_durations(0.05, 30.0)), ["100 ms", "300 ms", "1 s", "3 s", "10 s", "30 s"]);
        assert_eq!(labels(&log_shares(1e-3)), ["0.1 %", "1 %", "10 %", "100 %"]);
    }

    #[test]
    fn places_are_on_the_axis() {
        let log = Scale::Log { lo: 0.01, hi: 100.0 };
        assert_eq!(
            [0.0, 0.01, 1.0, 100.0, 1e9, f64::NAN].map(|v| log.place(v)),
            [0.0, 0.0, 0.5, 1.0, 1.0, 0.0]
        );
        let linear = Scale::Linear { lo: 0.0, hi: 4.0 };
        assert_eq!([-1.0, 1.0, 9.0].map(|v| linear.place(v)), [0.0, 0.25, 1.0]);
    }
}
