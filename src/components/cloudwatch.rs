//! An alarm of Amazon CloudWatch: M of the last N datapoints, and what becomes of those that are missing.
//!
//! Three things surprise people. An alarm looks further back than its N periods for datapoints that exist, and lets
//! missing ones count as something only if there are fewer than N of those. A few breaching datapoints followed by
//! nothing are an alarm although M were never seen. And with datapoints that are missing the alarm stays as it is while
//! it cannot know, rather than go back to OK.
//!
//! Source: Amazon CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data"
//! (2025); the tests play the guide's own tables. How much further back an alarm looks is not published; the guide's
//! example is 5 periods for N = 3, so it is two more here.

use std::collections::VecDeque;

/// How many periods more than `evaluation_periods` an alarm looks back.
const LOOKS_BACK: usize = 2;

/// How a datapoint is compared with the threshold (`ComparisonOperator`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `GreaterThanThreshold`
    Greater,
    /// `GreaterThanOrEqualToThreshold`
    GreaterOrEqual,
    /// `LessThanThreshold`
    Less,
    /// `LessThanOrEqualToThreshold`
    LessOrEqual,
}

impl Comparison {
    /// Whether a datapoint breaches a threshold.
    pub fn is_breached(self, datapoint: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => datapoint > threshold,
            Self::GreaterOrEqual => datapoint >= threshold,
            Self::Less => datapoint < threshold,
            Self::LessOrEqual => datapoint <= threshold,
        }
    }

    /// Whether high values breach.
    pub fn is_high(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }
}

/// What missing datapoints count as (`TreatMissingData`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TreatMissingData {
    /// Nothing; if all are missing, the state is not known. The default.
    Missing,
    /// Nothing; the state stays as it is.
    Ignore,
    /// As breaching.
    Breaching,
    /// As not breaching.
    NotBreaching,
}

/// The settings of an [`Alarm`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlarmConfig {
    /// N: of how many periods datapoints are looked at (`EvaluationPeriods`).
    pub evaluation_periods: u32,
    /// M: how many of them must breach (`DatapointsToAlarm`).
    pub datapoints_to_alarm: u32,
    /// Against what they are compared (`Threshold`).
    pub threshold: f64,
    /// How (`ComparisonOperator`).
    pub comparison: Comparison,
    /// What missing datapoints count as (`TreatMissingData`).
    pub treat_missing_data: TreatMissingData,
}

/// The state of an alarm (`StateValue`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlarmState {
    /// Too few breach.
    Ok,
    /// Enough breach.
    Alarm,
    /// Nothing is known, as at the start.
    InsufficientData,
}

/// An alarm and the datapoints that it looks at.
#[derive(Clone, Debug)]
pub struct Alarm {
    config: AlarmConfig,
    state: AlarmState,
    /// The last datapoints, the newest last; as many as it looks back.
    points: VecDeque<Option<f64>>,
}

impl Alarm {
    /// An alarm that has seen nothing.
    pub fn new(config: AlarmConfig) -> Self {
        let mut this = Self { config, state: AlarmState::InsufficientData, points: VecDeque::new() };
        this.reconfigure(config);
        this
    }

    /// Follows other settings from the next datapoint on, and remembers what it has seen.
    pub fn reconfigure(&mut self, config: AlarmConfig) {
        let range = config.evaluation_periods as usize + LOOKS_BACK;
        while self.points.len() > range {
            self.points.pop_front();
        }
        while self.points.len() < range {
            self.points.push_front(None);
        }
        self.config = config;
    }

    /// Its state.
    pub fn state(&self) -> AlarmState {
        self.state
    }

    /// The datapoint of another period, or none if it is missing; returns the state from now on.
    pub fn evaluate(&mut self, datapoint: Option<f64>) -> AlarmState {
        self.points.pop_front();
        self.points.push_back(datapoint);
        self.state = self.judge();
        self.state
    }

    fn judge(&self) -> AlarmState {
        let AlarmConfig { threshold, comparison, .. } = self.config;
        let (n, m) = (self.config.evaluation_periods as usize, self.config.datapoints_to_alarm as usize);
        let of = |alarm: bool| if alarm { AlarmState::Alarm } else { AlarmState::Ok };
        // Those that exist, the newest first: how old in periods from 1 on, and whether it breaches.
        let newest = self.points.iter().rev().enumerate();
        let real = newest.filter_map(|(age, p)| Some((age + 1, comparison.is_breached((*p)?, threshold))));
        let real = real.take(n);
        let (mut count, mut breaching, mut oldest) = (0, 0, 0);
        for (age, breaches) in real {
            count += 1;
            breaching += usize::from(breaches);
            oldest = age;
        }
        let treat = self.config.treat_missing_data;
        if count >= n || breaching >= m {
            return of(breaching >= m);
        }
        match treat {
            TreatMissingData::Breaching => of(breaching + (n - count) >= m),
            TreatMissingData::NotBreaching => AlarmState::Ok,
            TreatMissingData::Missing if count == 0 => AlarmState::InsufficientData,
            // All that exist breach: an alarm once that was long enough ago, and else the next could be another.
            TreatMissingData::Missing if breaching == count && oldest >= m => AlarmState::Alarm,
            TreatMissingData::Missing | TreatMissingData::Ignore if breaching == count => self.state,
            TreatMissingData::Missing | TreatMissingData::Ignore => AlarmState::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MISSING: [TreatMissingData; 4] = [
        TreatMissingData::Missing,
        TreatMissingData::Ignore,
        TreatMissingData::Breaching,
        TreatMissingData::NotBreaching,
    ];

    fn config(n: u32, m: u32, treat: TreatMissingData) -> AlarmConfig {
        AlarmConfig {
            evaluation_periods: n,
            datapoints_to_alarm: m,
            threshold: 50.0,
            comparison: Comparison::Greater,
            treat_missing_data: treat,
        }
    }

    fn point(sign: char) -> Option<f64> {
        match sign {
            '0' => Some(1.0),
            'X' => Some(99.0),
            _ => None,
        }
    }

    /// The state after these datapoints: `A`larm, `O`k, `I`nsufficient data; `R` if it was retained, whatever it was.
    fn states(n: u32, m: u32, points: &str) -> String {
        let one = |treat: TreatMissingData| {
            let after = |state: AlarmState| {
                let mut alarm = Alarm::new(config(n, m, treat));
                points.chars().take(4).for_each(|c| {
                    alarm.evaluate(point(c));
                });
                alarm.state = state;
                alarm.evaluate(points.chars().last().and_then(point))
            };
            let ends = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData].map(after);
            match ends {
                [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData] => 'R',
                [AlarmState::Ok, AlarmState::Ok, AlarmState::Ok] => 'O',
                [AlarmState::Alarm, AlarmState::Alarm, AlarmState::Alarm] => 'A',
                [AlarmState::InsufficientData, ..] => 'I',
                other => panic!("{other:?}"),
            }
        };
        MISSING.into_iter().map(one).collect()
    }

    /// The tables of the user guide, in its order: missing, ignore, breaching, not breaching.
    #[test]
    fn the_tables_of_the_guide() {
        for (points, expected) in
            [("0-X-X", "OOOO"), ("----0", "OOOO"), ("-----", "IRAO"), ("0XX-X", "AAAA"), ("--X--", "ARAO")]
        {
            assert_eq!(states(3, 3, points), expected, "3 of 3: {points}");
        }
        for (points, expected) in
            [("0-X-X", "AAAA"), ("00X0X", "AAAA"), ("0-X--", "OOAO"), ("----0", "OOAO"), ("---X-", "ARAO")]
        {
            assert_eq!(states(2, 2, points).len(), 4);
            assert_eq!(states(3, 2, points), expected, "2 of 3: {points}");
        }
        // Not at once: the next could be another.
        assert!(states(3, 3, "----X").starts_with('R'));
        assert!(states(3, 3, "---X-").starts_with('R'));
    }

    #[test]
    fn comparisons_are_strict_or_not() {
        let breached = |c: Comparison| [49.0, 50.0, 51.0].map(|v| c.is_breached(v, 50.0));
        assert_eq!(breached(Comparison::Greater), [false, false, true]);
        assert_eq!(breached(Comparison::GreaterOrEqual), [false, true, true]);
        assert_eq!(breached(Comparison::Less), [true, false, false]);
        assert_eq!(breached(Comparison::LessOrEqual), [true, true, false]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Without missing datapoints an alarm is M of the last N, whatever missing ones would count as; it is never
        /// in alarm with less than M unless some are missing, and never without any that breaches but by `Breaching`.
        #[test]
        fn m_of_n(
            n in 1u32..6, of in 0u32..6, signs in prop::collection::vec(0usize..3, 1..30), treat in 0usize..4,
            missing in any::<bool>(),
        ) {
            let m = (of % n) + 1;
            let mut alarm = Alarm::new(config(n, m, MISSING[treat]));
            let mut seen: Vec<Option<f64>> = Vec::new();
            for sign in signs {
                let one = point(if missing { ['0', 'X', '-'][sign] } else { ['0', 'X', 'X'][sign] });
                seen.push(one);
                let state = alarm.evaluate(one);
                let last = &seen[seen.len().saturating_sub(n as usize)..];
                let breaching = last.iter().filter(|p| p.is_some_and(|v| v > 50.0)).count();
                if last.len() == n as usize && last.iter().all(Option::is_some) {
                    prop_assert_eq!(state == AlarmState::Alarm, breaching >= m as usize);
                    prop_assert_ne!(state, AlarmState::InsufficientData);
                }
                let range = &seen[seen.len().saturating_sub(n as usize + LOOKS_BACK)..];
                if range.iter().all(|p| p.is_none_or(|v| v <= 50.0)) && range.iter().any(Option::is_some)
                    && treat != 2
                {
                    prop_assert_eq!(state, AlarmState::Ok);
                }
            }
        }
    }
}
