//! How a rate changes over time: a product of factors.

use crate::base::{SimDuration, SimTime};

/// One factor over time; times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Factor {
    /// Jumps at given times; 1 before the first.
    Steps(Vec<(f64, f64)>),
    /// Straight lines between corners; constant outside.
    Lines(Vec<(f64, f64)>),
    /// `1 + amplitude sin(2 pi (t - shift) / period)`.
    Sine {
        /// Seconds.
        period: f64,
        /// From 0 to 1.
        amplitude: f64,
        /// Seconds.
        shift: f64,
    },
}

/// The product of all factors; without any it is always 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The factors.
    pub factors: Vec<Factor>,
}

impl Factor {
    fn at(&self, t: f64) -> f64 {
        match self {
            Self::Steps(points) => {
                let next = points.partition_point(|(at, _)| *at <= t);
                if next == 0 { 1.0 } else { points[next - 1].1 }
            }
            Self::Lines(points) => line(points, t),
            Self::Sine { period, amplitude, shift } => {
                1.0 + amplitude * libm::sin(std::f64::consts::TAU * (t - shift) / period)
            }
        }
    }

    /// The factor just before `t`: at a jump that from which it jumps.
    fn before(&self, t: f64) -> f64 {
        match self {
            Self::Steps(points) => {
                let next = points.partition_point(|(at, _)| *at < t);
                if next == 0 { 1.0 } else { points[next - 1].1 }
            }
            Self::Lines(points) => {
                // The last of several corners at one time is where a jump ends; before it, the first counts.
                let next = points.partition_point(|(at, _)| *at < t);
                match points.get(next) {
                    Some((at, factor)) if *at == t => *factor,
                    _ => line(points, t),
                }
            }
            Self::Sine { .. } => self.at(t),
        }
    }

    /// The first corner or jump after `t`.
    fn corner(&self, t: f64) -> Option<f64> {
        match self {
            Self::Steps(points) | Self::Lines(points) => {
                points.get(points.partition_point(|(at, _)| *at <= t)).map(|(at, _)| *at)
            }
            Self::Sine { .. } => None,
        }
    }

    fn max(&self) -> f64 {
        match self {
            Self::Steps(points) => points.iter().fold(1.0, |m, (_, f)| m.max(*f)),
            Self::Lines(points) => points.iter().fold(0.0, |m, (_, f)| m.max(*f)),
            Self::Sine { amplitude, .. } => 1.0 + amplitude,
        }
    }
}

/// The value at `t` of straight lines between corners, constant before the first and after the last.
pub fn line(points: &[(f64, f64)], t: f64) -> f64 {
    let next = points.partition_point(|(at, _)| *at <= t);
    match (next.checked_sub(1).and_then(|i| points.get(i)), points.get(next)) {
        (None, Some((_, first))) => *first,
        (Some((_, last)), None) => *last,
        (Some((t0, f0)), Some((t1, f1))) => f0 + (f1 - f0) * (t - t0) / (t1 - t0),
        (None, None) => 1.0,
    }
}

impl Profile {
    /// Whether the factor is always 1.
    pub fn is_constant(&self) -> bool {
        self.factors.is_empty()
    }

    /// The factor at an instant.
    pub fn at(&self, now: SimTime) -> f64 {
        let t = now.seconds();
        self.factors.iter().fold(1.0, |product, factor| product * factor.at(t))
    }

    /// The factor just before an instant: at a jump that from which it jumps.
    pub fn before(&self, now: SimTime) -> f64 {
        let t = now.seconds();
        self.factors.iter().fold(1.0, |product, factor| product * factor.before(t))
    }

    /// The first instant after `now` at which a factor jumps or has a corner.
    pub fn corner(&self, now: SimTime) -> Option<SimTime> {
        let t = now.seconds();
        let next = self.factors.iter().filter_map(|factor| factor.corner(t)).reduce(f64::min)?;
        Some(SimTime::ZERO + SimDuration::from_seconds(next))
    }

    /// A bound that the factor never exceeds.
    pub fn max(&self) -> f64 {
        self.factors.iter().fold(1.0, |product, factor| product * factor.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_and_stay_below_their_bound() {
        let profile = Profile {
            factors: vec![
                Factor::Steps(vec![(10.0, 2.0), (20.0, 0.5)]),
                Factor::Lines(vec![(0.0, 1.0), (40.0, 3.0)]),
                Factor::Sine { period: 8.0, amplitude: 0.5, shift: 0.0 },
            ],
        };
        let at = |s: f64| profile.at(SimTime::ZERO + crate::base::SimDuration::from_seconds(s));
        assert!((at(0.0) - 1.0).abs() < 1e-12);
        assert!((at(10.0) - 2.0 * 1.5 * 1.5).abs() < 1e-9);
        assert!((at(24.0) - 0.5 * 2.2).abs() < 1e-9);
        assert!((0..600).all(|i| at(f64::from(i) / 10.0) <= profile.max()));
    }

    #[test]
    fn jumps_and_corners_are_found() {
        let profile = Profile {
            factors: vec![
                Factor::Steps(vec![(10.0, 2.0), (20.0, 0.0)]),
                Factor::Lines(vec![(5.0, 1.0), (15.0, 1.0), (15.0, 3.0)]),
            ],
        };
        let at = |s: f64| SimTime::ZERO + SimDuration::from_seconds(s);
        assert_eq!((profile.before(at(10.0)), profile.at(at(10.0))), (1.0, 2.0));
        assert_eq!((profile.before(at(15.0)), profile.at(at(15.0))), (2.0, 6.0));
        assert_eq!((profile.before(at(20.0)), profile.at(at(20.0))), (6.0, 0.0));
        let corners: Vec<Option<SimTime>> =
            [0.0, 5.0, 10.0, 15.0, 20.0].map(|s| profile.corner(at(s))).to_vec();
        assert_eq!(corners, [Some(at(5.0)), Some(at(10.0)), Some(at(15.0)), Some(at(20.0)), None]);
    }

    #[test]
    fn lines_are_constant_outside_their_corners() {
        let points = [(5.0, 2.0), (10.0, 4.0)];
        assert_eq!(line(&points, 0.0), 2.0);
        assert_eq!(line(&points, 7.5), 3.0);
        assert_eq!(line(&points, 99.0), 4.0);
    }
}
