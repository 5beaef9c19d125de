//! A just-in-time compiler that warms up: the first requests of a process take several times as long.
//!
//! Intuition: code is interpreted until it has run often enough to be compiled. The factor on CPU falls in a straight
//! line from its first value to 1 over so many requests. A process that is restarted begins anew, which is why
//! balancers have a slow start. Typical: 2 to 10 times as slow for the first 1,000 to 10,000 calls of each method
//! (HotSpot).

/// How a process warms up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WarmUpConfig {
    /// How many times as long the first request's work takes; at least 1.
    pub factor: f64,
    /// Requests after which it takes its time.
    pub requests: u32,
}

/// How far a process is.
#[derive(Clone, Copy, Debug, Default)]
pub struct WarmUp {
    seen: u32,
}

impl WarmUp {
    /// A process that is warm already.
    pub fn done() -> Self {
        Self { seen: u32::MAX }
    }

    /// A request begins.
    pub fn on_request(&mut self) {
        self.seen = self.seen.saturating_add(1);
    }

    /// How many times as long work takes now.
    pub fn factor(&self, config: &WarmUpConfig) -> f64 {
        if self.seen >= config.requests {
            return 1.0;
        }
        let cold = 1.0 - f64::from(self.seen) / f64::from(config.requests);
        1.0 + (config.factor - 1.0) * cold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_falls_in_a_straight_line() {
        let config = WarmUpConfig { factor: 5.0, requests: 4 };
        let mut warm_up = WarmUp::default();
        let mut factor = || {
            let factor = warm_up.factor(&config);
            warm_up.on_request();
            factor
        };
        assert_eq!([factor(), factor(), factor(), factor(), factor()], [5.0, 4.0, 3.0, 2.0, 1.0]);
        assert_eq!(WarmUp::done().factor(&config), 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn it_never_rises_and_ends_at_one(factor in 1.0f64..20.0, requests in 0u32..200) {
            let config = WarmUpConfig { factor, requests };
            let (mut warm_up, mut last) = (WarmUp::default(), factor);
            for _ in 0..requests {
                let now = warm_up.factor(&config);
                prop_assert!(now <= last && now > 1.0 - 1e-12);
                last = now;
                warm_up.on_request();
            }
            prop_assert_eq!(warm_up.factor(&config), 1.0);
        }
    }
}
