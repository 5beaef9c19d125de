//! Simulated time: whole nanoseconds since the start of the run.
//!
//! An instant and a length of time are distinct types; only what makes sense is defined between them.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// An instant of simulated time, in nanoseconds since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SimTime(u64);

/// A length of simulated time, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SimDuration(u64);

/// The longest time the simulator knows: 2^56 ns, about 833 days. Longer lengths are cut to it.
pub const TIME_NS_MAX: u64 = (1 << 56) - 1;

/// A time in nanoseconds as a float. Times fit a signed number, from which the conversion is one instruction.
#[inline]
fn float(ns: u64) -> f64 {
    debug_assert!(ns <= i64::MAX as u64);
    ns as i64 as f64
}

/// A float in whole nanoseconds, cut to what there is. The cast saturates, NaN becomes 0; to a signed number it takes a
/// third of the instructions.
#[inline]
fn whole(ns: f64) -> u64 {
    (ns as i64).clamp(0, TIME_NS_MAX as i64) as u64
}

impl SimTime {
    /// The start of every run.
    pub const ZERO: Self = Self(0);
    /// A time that no run reaches.
    pub const NEVER: Self = Self(TIME_NS_MAX);

    /// The instant `ns` nanoseconds after the start.
    #[inline]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the start.
    #[inline]
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    #[inline]
    pub fn seconds(self) -> f64 {
        float(self.0) / 1e9
    }

    /// The time since `earlier`; zero if `earlier` is in fact later.
    #[inline]
    pub const fn since(self, earlier: Self) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any run.
    pub const MAX: Self = Self(TIME_NS_MAX);

    /// A length of `ns` nanoseconds.
    #[inline]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// A length of `ms` milliseconds.
    #[inline]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// A length of `s` whole seconds.
    #[inline]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000_000_000)
    }

    /// A length of `s` seconds, rounded to the nearest nanosecond; negative and NaN become zero, too long is cut.
    #[inline]
    pub fn from_seconds(s: f64) -> Self {
        Self(whole(s * 1e9 + 0.5))
    }

    /// The length in nanoseconds.
    #[inline]
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// The length in seconds.
    #[inline]
    pub fn seconds(self) -> f64 {
        float(self.0) / 1e9
    }

    /// Whether this is no time at all.
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This length times `factor` (zero or more), rounded to the nearest nanosecond.
    #[inline]
    pub fn scaled(self, factor: f64) -> Self {
        Self(whole(float(self.0) * factor + 0.5))
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    #[inline]
    fn add(self, d: SimDuration) -> Self {
        Self((self.0 + d.0).min(TIME_NS_MAX))
    }
}

impl AddAssign<SimDuration> for SimTime {
    #[inline]
    fn add_assign(&mut self, d: SimDuration) {
        *self = *self + d;
    }
}

impl Add for SimDuration {
    type Output = Self;
    #[inline]
    fn add(self, d: Self) -> Self {
        Self((self.0 + d.0).min(TIME_NS_MAX))
    }
}

impl Sub for SimDuration {
    type Output = Self;
    #[inline]
    fn sub(self, d: Self) -> Self {
        Self(self.0.saturating_sub(d.0))
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SimDuration(self.0).fmt(f)
    }
}

impl fmt::Display for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(std::time::Duration::from_nanos(self.0)).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_to_the_nearest_nanosecond_and_never_wrap() {
        assert_eq!(SimDuration::from_seconds(1e-9).ns(), 1);
        assert_eq!(SimDuration::from_seconds(0.25).ns(), 250_000_000);
        assert_eq!(SimDuration::from_seconds(-1.0), SimDuration::ZERO);
        assert_eq!(SimDuration::from_seconds(f64::NAN), SimDuration::ZERO);
        assert_eq!(SimDuration::from_seconds(f64::INFINITY), SimDuration::MAX);
        assert_eq!(SimTime::NEVER + SimDuration::MAX, SimTime::NEVER);
    }

    #[test]
    fn since_is_never_negative() {
        assert_eq!(SimTime::ZERO.since(SimTime::from_ns(5)), SimDuration::ZERO);
    }
}
