//! Whether requests pile up: means of such a run depend on its length and say nothing about the system in the long run.

/// The least growth that counts, in requests.
const GROWTH_MIN: f64 = 10.0;
/// The least growth that counts, relative to the level before.
const GROWTH_FACTOR: f64 = 1.5;

/// Whether a level, such as requests in flight, has grown from the first third of the measured time to the last by so
/// much that it will go on: by half, and by ten.
pub fn piles_up(early: f64, late: f64) -> bool {
    late > GROWTH_FACTOR * early && late - early > GROWTH_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_growth_is_chance() {
        assert!(piles_up(100.0, 200.0));
        assert!(!piles_up(100.0, 140.0) && !piles_up(2.0, 9.0) && !piles_up(200.0, 100.0));
    }
}
