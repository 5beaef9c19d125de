//! Shedding by priority: under load, what matters least is turned away first.
//!
//! Each threshold names the priorities that it gives up, the level of a signal from which it does, and the level below
//! which it stops: between the two it does as before, or it would flap. The signal is how full a queue is, or how busy
//! workers are. It is looked at when requests come, and at no other time.
//!
//! This is the common pattern, not one product's (Netflix, "Keeping Netflix Reliable Using Prioritized Load Shedding",
//! 2020, has it with other signals). Strict priority starves: whoever is of the lowest priority may never be served.

/// One threshold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ShedThreshold {
    /// The highest priority that is turned away.
    pub priority: u8,
    /// The level at which, and above which, it is.
    pub from: f64,
    /// The level below which it is no more: at most `from`.
    pub until: f64,
}

/// The thresholds of one instance, and which of them are crossed.
#[derive(Clone, Debug)]
pub struct Shedder {
    thresholds: Vec<(ShedThreshold, bool)>,
}

impl Shedder {
    /// None of the thresholds is crossed.
    pub fn new(thresholds: &[ShedThreshold]) -> Self {
        Self { thresholds: thresholds.iter().map(|threshold| (*threshold, false)).collect() }
    }

    /// A request comes while the signal is at a level: whether it is let in.
    pub fn on_request(&mut self, level: f64, priority: u8) -> bool {
        let mut passes = true;
        for (threshold, crossed) in &mut self.thresholds {
            *crossed = level >= threshold.from || *crossed && level >= threshold.until;
            passes &= !(*crossed && priority <= threshold.priority);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lowest_goes_first_and_comes_back_last() {
        let low = ShedThreshold { priority: 0, from: 10.0, until: 5.0 };
        let middle = ShedThreshold { priority: 1, from: 20.0, until: 15.0 };
        let mut shedder = Shedder::new(&[low, middle]);
        let let_in = |shedder: &mut Shedder, level| [0, 1, 2].map(|p| shedder.on_request(level, p));
        assert_eq!(let_in(&mut shedder, 9.0), [true, true, true]);
        assert_eq!(let_in(&mut shedder, 10.0), [false, true, true]);
        assert_eq!(let_in(&mut shedder, 20.0), [false, false, true]);
        assert_eq!(let_in(&mut shedder, 15.0), [false, false, true]);
        assert_eq!(let_in(&mut shedder, 14.0), [false, true, true]);
        assert_eq!(let_in(&mut shedder, 5.0), [false, true, true]);
        assert_eq!(let_in(&mut shedder, 4.0), [true, true, true]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_higher_priority_is_never_turned_away_where_a_lower_one_passes(
            thresholds in prop::collection::vec((0u8..5, 1u8..40, 0u8..40), 1..5),
            levels in prop::collection::vec(0u8..50, 1..40),
        ) {
            let thresholds: Vec<ShedThreshold> = thresholds
                .into_iter()
                .map(|(priority, a, b)| {
                    let (until, from) = (f64::from(a.min(b)), f64::from(a.max(b)));
                    ShedThreshold { priority, from, until }
                })
                .collect();
            let mut shedder = Shedder::new(&thresholds);
            for level in levels.into_iter().map(f64::from) {
                let let_in: Vec<bool> = (0..6).map(|p| shedder.on_request(level, p)).collect();
                prop_assert!(let_in.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", let_in);
                prop_assert!(let_in[5]);
                for t in &thresholds {
                    prop_assert!(level < t.from || !let_in[t.priority as usize]);
                }
                if thresholds.iter().all(|t| level < t.until) {
                    prop_assert!(let_in[0]);
                }
            }
        }
    }
}
