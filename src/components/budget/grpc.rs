//! gRPC's retry throttling (proposal A6, `retryThrottling` of a service config).
//!
//! Every attempt that fails takes a token, every call that succeeds adds a fraction of one, and while no more than
//! half of the tokens are left there are neither retries nor hedges. First attempts are never held back, but their
//! failures count: it is the share of failures that decides, and it does so before the bucket is empty.

/// Tokens are counted in thousandths: `tokenRatio` has three decimals.
const MILLI: f64 = 1e3;

/// How many tokens there are, and what a success adds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GrpcThrottlingConfig {
    /// The most tokens, and those at the start (`maxTokens`, at most 1000).
    pub max_tokens: u32,
    /// What a success adds (`tokenRatio`, three decimals; more are cut off).
    pub token_ratio: f64,
}

/// The tokens of one server name.
#[derive(Clone, Copy, Debug)]
pub struct GrpcThrottling {
    max: u32,
    ratio: u32,
    tokens: u32,
}

impl GrpcThrottling {
    /// All tokens are there.
    pub fn new(config: GrpcThrottlingConfig) -> Self {
        let max = config.max_tokens.saturating_mul(MILLI as u32);
        // A product such as 0.3 · 1000 may end just below a whole number.
        Self { max, ratio: (config.token_ratio * MILLI + 1e-6) as u32, tokens: max }
    }

    /// Changes the settings while it runs; the share of tokens that are left stays (as in grpc-go and grpc-core).
    pub fn reconfigure(&mut self, config: GrpcThrottlingConfig) {
        let new = Self::new(config);
        let share = if self.max == 0 { 1.0 } else { f64::from(self.tokens) / f64::from(self.max) };
        *self = Self { tokens: (f64::from(new.max) * share) as u32, ..new };
    }

    /// Tokens left, in thousandths.
    pub fn milli_tokens(&self) -> u32 {
        self.tokens
    }

    /// Whether retries and hedges are allowed now: more than half are left.
    pub fn allows(&self) -> bool {
        self.tokens > self.max / 2
    }

    /// An attempt failed in a way that would be tried again, or told not to try again.
    pub fn on_failure(&mut self) {
        self.tokens = self.tokens.saturating_sub(MILLI as u32);
    }

    /// An attempt succeeded.
    pub fn on_success(&mut self) {
        self.tokens = (self.tokens + self.ratio).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn play(max_tokens: u32, token_ratio: f64, script: &str) -> String {
        let mut tokens = GrpcThrottling::new(GrpcThrottlingConfig { max_tokens, token_ratio });
        let step = |step| {
            match step {
                'x' => tokens.on_failure(),
                _ => tokens.on_success(),
            }
            if tokens.allows() { 'y' } else { 'n' }
        };
        script.chars().map(step).collect()
    }

    #[test]
    fn half_of_the_tokens_is_not_enough() {
        // Of ten, the fifth failure leaves five: not more than half.
        assert_eq!(play(10, 0.1, "xxxxx"), "yyyyn");
        // A tenth more is.
        assert_eq!(play(10, 0.1, "xxxxx."), "yyyyny");
        assert_eq!(play(10, 0.1, "xxxxxx..........."), "yyyynnnnnnnnnnnny");
        // Three decimals count, the fourth does not.
        assert_eq!(play(2, 0.0019, "x."), "ny");
        assert_eq!(play(2, 0.0009, "x."), "nn");
        assert_eq!(play(10, 0.3, "xxxxxx...."), "yyyynnnnny");
    }

    #[test]
    fn tokens_neither_fall_below_none_nor_rise_above_all() {
        assert_eq!(play(2, 1.0, "xxxxxx.."), "ynnnnnny".replacen('y', "n", 1));
        let mut tokens = GrpcThrottling::new(GrpcThrottlingConfig { max_tokens: 4, token_ratio: 0.5 });
        tokens.on_success();
        assert_eq!(tokens.milli_tokens(), 4_000);
        tokens.on_failure();
        tokens.reconfigure(GrpcThrottlingConfig { max_tokens: 8, token_ratio: 0.5 });
        assert_eq!(tokens.milli_tokens(), 6_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn retries_stop_if_failures_outweigh_successes(
            max_tokens in 1u32..1000, ratio in 1u32..1000, steps in prop::collection::vec(any::<bool>(), 1..80),
        ) {
            let config = GrpcThrottlingConfig { max_tokens, token_ratio: f64::from(ratio) / 1e3 };
            let mut tokens = GrpcThrottling::new(config);
            let mut level = i64::from(max_tokens) * 1_000;
            for failed in steps {
                if failed { tokens.on_failure() } else { tokens.on_success() }
                level += if failed { -1_000 } else { i64::from(ratio) };
                level = level.clamp(0, i64::from(max_tokens) * 1_000);
                prop_assert_eq!(i64::from(tokens.milli_tokens()), level);
                prop_assert_eq!(tokens.allows(), level * 2 > i64::from(max_tokens) * 1_000);
            }
        }
    }
}
