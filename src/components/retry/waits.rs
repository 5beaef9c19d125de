//! How long to wait before a retry: backoffs, and what chance makes of them.
//!
//! The forms of jitter named `Full`, `Equal` and `Decorrelated` are those of M. Brooker, "Exponential Backoff And
//! Jitter" (AWS, 2015). Products have others, and some that bear the same names are not the same:
//!
//! | product | wait before retry n (from 0) |
//! | --- | --- |
//! | AWS SDKs (botocore 1.44.5) | U(0, 1) · min(scale · 2^n, 20 s); scale 1 s after throttling, else 50 ms |
//! | gRPC (proposal A6) | min(initial · multiplier^n, max) · U(0.8, 1.2) |
//! | Envoy (router) | U(0, min(base · (2^(n+1) - 1), max)) |
//! | Polly v8, exponential | differences of base / 1.4 · 2^t · tanh(sqrt(4t)) at t = n + U(0, 1) |
//! | Polly v8, constant and linear | v · U(0.75, 1.25) |
//! | resilience4j 2.3 (`IntervalFunction.java`) | min(v · U(0.5, 1.5), max): the limit comes after chance |
//! | Finagle (`Backoff.scala`) | the first wait is `start`, without chance; see [`Jitter`] |
//!
//! (AWS: `retries/standard.py`. Polly: `RetryHelper.cs`.)

use crate::base::outcome::Outcome;
use crate::base::rng::Rng;
use crate::base::time::SimDuration;

/// How long to wait before a retry, before jitter.
#[derive(Clone, PartialEq, Debug)]
pub enum Backoff {
    /// Not at all.
    None,
    /// Always as long.
    Constant(SimDuration),
    /// `min(max, base * factor^retry)`, the first retry being number 0.
    Exponential {
        /// The wait before the first retry.
        base: SimDuration,
        /// By how much each wait is longer than the one before (1 or more, usually 2).
        factor: f64,
        /// The longest wait.
        max: SimDuration,
    },
    /// One wait after the other; the last one repeats.
    Steps(Vec<SimDuration>),
    /// `min(max, base + step * retry)`.
    Linear {
        /// The wait before the first retry.
        base: SimDuration,
        /// By how much each wait is longer than the one before.
        step: SimDuration,
        /// The longest wait.
        max: SimDuration,
    },
    /// `min(max, base * (2^(retry + 1) - 1))`, as Envoy's router has it.
    Envoy {
        /// The longest wait before the first retry.
        base: SimDuration,
        /// The longest wait of all.
        max: SimDuration,
    },
    /// `min(max, scale * 2^retry)`, with another scale after throttling, as the AWS SDKs have it.
    Aws {
        /// The scale after any other failure.
        scale: SimDuration,
        /// The scale after the outcome `Rejected`.
        throttling_scale: SimDuration,
        /// The longest wait.
        max: SimDuration,
    },
}

impl Backoff {
    /// The wait before retry number `retry` (from 0), after `failure`.
    pub fn delay(&self, retry: u32, failure: Outcome) -> SimDuration {
        let power = |factor: f64, exponent: u32| libm::pow(factor, f64::from(exponent));
        match self {
            Self::None => SimDuration::ZERO,
            Self::Constant(delay) => *delay,
            Self::Exponential { base, factor, max } => base.scaled(power(*factor, retry)).min(*max),
            Self::Steps(steps) => steps.get(retry as usize).or(steps.last()).copied().unwrap_or_default(),
            Self::Linear { base, step, max } => (*base + step.scaled(f64::from(retry))).min(*max),
            Self::Envoy { base, max } => base.scaled(power(2.0, retry.saturating_add(1)) - 1.0).min(*max),
            Self::Aws { scale, throttling_scale, max } => {
                let scale = if failure == Outcome::Rejected { throttling_scale } else { scale };
                scale.scaled(power(2.0, retry)).min(*max)
            }
        }
    }

    /// The longest wait that it knows.
    fn longest(&self) -> SimDuration {
        match self {
            Self::None => SimDuration::ZERO,
            Self::Constant(delay) => *delay,
            Self::Steps(steps) => steps.iter().max().copied().unwrap_or_default(),
            Self::Exponential { max, .. }
            | Self::Linear { max, .. }
            | Self::Envoy { max, .. }
            | Self::Aws { max, .. } => *max,
        }
    }
}

/// How chance changes a wait. Each form but `None`, and but Finagle's before their first retry, takes one draw.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Jitter {
    /// `v`, the wait that backoff says.
    None,
    /// `U(0, v)`.
    Full,
    /// `v/2 + U(0, v/2)`.
    Equal,
    /// `min(max, U(base, 3 * previous))`: `base` is the first wait of the backoff, `max` its longest, and
    /// `previous` the wait before the retry before, or `base` if there was none. It is of use with an exponential
    /// backoff, whose factor it then ignores; a constant one stays constant.
    Decorrelated,
    /// `min(max, v * U(low, high))`.
    Spread {
        /// The least factor.
        low: f64,
        /// The greatest.
        high: f64,
        /// The longest wait, chance included.
        max: SimDuration,
    },
    /// Polly's smooth exponential: `v` of the first retry is its base, which is near the median of the first wait.
    Polly {
        /// The longest wait (`MaxDelay`).
        max: SimDuration,
    },
    /// Finagle's `decorrelatedJittered`: `U(previous, min(max, 3 * previous))`, so waits never get shorter.
    FinagleDecorrelated,
    /// Finagle's `equalJittered`: `h + U(0, h)`, `h` being the base before the second retry and twice as long each
    /// time. Once that reaches the longest wait, it stays there.
    FinagleEqual,
    /// Finagle's `exponentialJittered`: `U(0, 2^n * previous)` before retry `n`. It starts from its own last draw, and
    /// once `2^n * previous` reaches the longest wait, it stays there.
    FinagleExponential,
}

/// A wait, and what has to be remembered of it for the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// How long.
    pub delay: SimDuration,
    /// For [`wait`] before the next retry.
    pub memory: SimDuration,
}

/// The wait before retry number `retry` (from 0) after `failure`; `memory` is what the wait before left, or zero.
pub fn wait(
    backoff: &Backoff,
    jitter: Jitter,
    retry: u32,
    failure: Outcome,
    memory: SimDuration,
    rng: &mut Rng,
) -> Wait {
    let v = backoff.delay(retry, failure);
    let max = backoff.longest();
    let delay = match jitter {
        Jitter::None => v,
        Jitter::Full => between(SimDuration::ZERO, v, rng),
        Jitter::Equal => between(v.scaled(0.5), v, rng),
        Jitter::Decorrelated => {
            let base = backoff.delay(0, failure);
            between(base, memory.max(base).scaled(3.0), rng).min(max)
        }
        Jitter::Spread { low, high, max } => v.scaled(low + (high - low) * rng.uniform()).min(max),
        Jitter::Polly { max } => {
            let t = f64::from(retry) + rng.uniform();
            let base = backoff.delay(0, failure).scaled(1.0 / 1.4);
            let next = base.scaled(libm::exp2(t) * libm::tanh(libm::sqrt(4.0 * t)));
            // A sum of waits, whatever the limit made of them.
            return Wait { delay: (next - memory).min(max), memory: next };
        }
        Jitter::FinagleDecorrelated | Jitter::FinagleEqual | Jitter::FinagleExponential if retry == 0 => v,
        Jitter::FinagleDecorrelated => between(memory, memory.scaled(3.0).min(max), rng),
        Jitter::FinagleEqual => {
            let half = backoff.delay(0, failure).scaled(libm::exp2(f64::from(retry) - 1.0)).min(max);
            if memory == max { max } else { between(half, half.scaled(2.0), rng).min(max) }
        }
        Jitter::FinagleExponential => {
            let most = memory.scaled(libm::exp2(f64::from(retry))).min(max);
            if most == max { max } else { between(SimDuration::ZERO, most, rng) }
        }
    };
    Wait { delay, memory: delay }
}

/// A uniform length between `low` and `high`.
fn between(low: SimDuration, high: SimDuration, rng: &mut Rng) -> SimDuration {
    low + (high - low).scaled(rng.uniform())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use proptest::prelude::*;

    const fn ms(ms: u64) -> SimDuration {
        SimDuration::from_ms(ms)
    }

    /// The first waits of a backoff, in milliseconds.
    fn waits<const N: usize>(backoff: &Backoff, failure: Outcome) -> [u64; N] {
        std::array::from_fn(|retry| backoff.delay(retry as u32, failure).ns() / 1_000_000)
    }

    fn exponential() -> Backoff {
        Backoff::Exponential { base: ms(100), factor: 2.0, max: ms(1_000) }
    }

    fn aws() -> Backoff {
        Backoff::Aws { scale: ms(50), throttling_scale: ms(1_000), max: ms(20_000) }
    }

    #[test]
    fn backoffs_wait_as_they_say() {
        let error = |backoff: &Backoff| waits::<5>(backoff, Outcome::Error);
        assert_eq!(error(&Backoff::None), [0, 0, 0, 0, 0]);
        assert_eq!(error(&Backoff::Constant(ms(7))), [7, 7, 7, 7, 7]);
        assert_eq!(error(&exponential()), [100, 200, 400, 800, 1_000]);
        assert_eq!(error(&Backoff::Steps(vec![ms(1), ms(5), ms(3)])), [1, 5, 3, 3, 3]);
        assert_eq!(error(&Backoff::Steps(vec![])), [0, 0, 0, 0, 0]);
        assert_eq!(
            error(&Backoff::Linear { base: ms(100), step: ms(100), max: ms(350) }),
            [100, 200, 300, 350, 350]
        );
        assert_eq!(error(&Backoff::Envoy { base: ms(25), max: ms(250) }), [25, 75, 175, 250, 250]);
        assert_eq!(error(&aws()), [50, 100, 200, 400, 800]);
        assert_eq!(waits::<6>(&aws(), Outcome::Rejected), [1_000, 2_000, 4_000, 8_000, 16_000, 20_000]);
    }

    #[test]
    fn growth_stops_at_the_cap_however_many_retries() {
        assert_eq!(exponential().delay(u32::MAX, Outcome::Error), ms(1_000));
        assert_eq!(aws().delay(u32::MAX, Outcome::Rejected), ms(20_000));
        assert_eq!(Backoff::Envoy { base: ms(25), max: ms(250) }.delay(u32::MAX, Outcome::Error), ms(250));
    }

    /// The range of the waits before retry `retry`, in milliseconds, and their mean, over many draws.
    fn spread(jitter: Jitter, retry: u32, memory: SimDuration) -> (u64, u64, u64) {
        let mut rng = Rng::from_seed(7);
        let mut draw =
            || wait(&exponential(), jitter, retry, Outcome::Error, memory, &mut rng).delay.ns() / 1_000;
        let drawn: Vec<u64> = (0..20_000).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<u64>() / drawn.len() as u64;
        let round = |us: u64| (us + 5_000) / 10_000 * 10;
        (
            round(drawn.iter().copied().min().unwrap()),
            round(drawn.iter().copied().max().unwrap()),
            round(mean),
        )
    }

    #[test]
    fn jitter_spreads_as_its_formula_says() {
        assert_eq!(spread(Jitter::None, 1, ms(0)), (200, 200, 200));
        assert_eq!(spread(Jitter::Full, 1, ms(0)), (0, 200, 100));
        assert_eq!(spread(Jitter::Equal, 1, ms(0)), (100, 200, 150));
        assert_eq!(spread(Jitter::Decorrelated, 0, ms(0)), (100, 300, 200));
        assert_eq!(spread(Jitter::Decorrelated, 1, ms(200)), (100, 600, 350));
        assert_eq!(spread(Jitter::Decorrelated, 2, ms(1_000)).1, 1_000);
        let grpc = Jitter::Spread { low: 0.8, high: 1.2, max: SimDuration::MAX };
        assert_eq!(spread(grpc, 1, ms(0)), (160, 240, 200));
        // The limit comes after chance.
        let resilience4j = Jitter::Spread { low: 0.5, high: 1.5, max: ms(250) };
        assert_eq!(spread(resilience4j, 1, ms(0)), (100, 250, 190));
        assert_eq!(spread(grpc, 5, ms(0)).1, 1_200);
    }

    #[test]
    fn finagles_own_forms_differ_from_brookers() {
        for jitter in [Jitter::FinagleDecorrelated, Jitter::FinagleEqual, Jitter::FinagleExponential] {
            assert_eq!(spread(jitter, 0, ms(0)), (100, 100, 100), "the first wait knows no chance");
        }
        assert_eq!(spread(Jitter::FinagleDecorrelated, 1, ms(250)), (250, 750, 500));
        assert_eq!(spread(Jitter::FinagleDecorrelated, 2, ms(1_000)), (1_000, 1_000, 1_000));
        assert_eq!(spread(Jitter::FinagleEqual, 1, ms(100)), (100, 200, 150));
        assert_eq!(spread(Jitter::FinagleEqual, 3, ms(300)), (400, 800, 600));
        assert_eq!(spread(Jitter::FinagleEqual, 3, ms(1_000)), (1_000, 1_000, 1_000));
        assert_eq!(spread(Jitter::FinagleExponential, 2, ms(150)), (0, 600, 300));
        assert_eq!(spread(Jitter::FinagleExponential, 2, ms(250)), (1_000, 1_000, 1_000));
        // Who once drew nothing waits no more.
        assert_eq!(spread(Jitter::FinagleExponential, 9, ms(0)), (0, 0, 0));
    }

    #[test]
    fn pollys_waits_have_their_base_as_median() {
        let (jitter, mut rng) = (Jitter::Polly { max: SimDuration::MAX }, Rng::from_seed(3));
        let mut first = Vec::new();
        for _ in 0..20_000 {
            let mut memory = SimDuration::ZERO;
            let mut total = SimDuration::ZERO;
            for retry in 0..4 {
                let next = wait(&exponential(), jitter, retry, Outcome::Error, memory, &mut rng);
                memory = next.memory;
                total = total + next.delay;
                if retry == 0 {
                    first.push(next.delay.ns());
                }
            }
            assert_eq!(total, memory, "the waits are differences of one curve");
        }
        first.sort_unstable();
        let median = first[10_000] as f64 / 1e6;
        assert!((median - 90.0).abs() < 5.0, "{median}");
        // Between nothing and 2 / 1.4 of the base, as 2^1 · tanh(2) = 1.93.
        assert!(*first.last().unwrap() <= 138_000_000 && first[0] < 1_500_000);
    }

    #[test]
    fn jitter_takes_one_draw_and_none_takes_none() {
        let all = [
            Jitter::Full,
            Jitter::Equal,
            Jitter::Decorrelated,
            Jitter::Spread { low: 0.8, high: 1.2, max: SimDuration::MAX },
            Jitter::Polly { max: SimDuration::MAX },
            Jitter::FinagleDecorrelated,
            Jitter::FinagleEqual,
            Jitter::FinagleExponential,
        ];
        for jitter in all {
            let (mut drawn, mut expected) = (Rng::from_seed(1), Rng::from_seed(1));
            wait(&exponential(), jitter, 3, Outcome::Error, ms(20), &mut drawn);
            expected.bits();
            assert_eq!(drawn.bits(), expected.bits());
        }
        let mut rng = Rng::from_seed(1);
        wait(&exponential(), Jitter::None, 3, Outcome::Error, ms(0), &mut rng);
        assert_eq!(rng.bits(), Rng::from_seed(1).bits());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_wait_is_longer_than_the_longest(
            base in 1u64..5_000, factor in 1.0f64..4.0, max in 0u64..60_000, seed: u64,
        ) {
            let max = ms(max.max(base));
            let all = [
                Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated,
                Jitter::Spread { low: 0.5, high: 1.5, max }, Jitter::Polly { max },
                Jitter::FinagleDecorrelated, Jitter::FinagleEqual, Jitter::FinagleExponential,
            ];
            let backoff = Backoff::Exponential { base: ms(base), factor, max };
            for jitter in all {
                let (mut rng, mut memory, mut before) = (Rng::from_seed(seed), SimDuration::ZERO, SimDuration::ZERO);
                for retry in 0..20 {
                    let next = wait(&backoff, jitter, retry, Outcome::Error, memory, &mut rng);
                    memory = next.memory;
                    prop_assert!(next.delay <= max);
                    prop_assert!(jitter != Jitter::Decorrelated || next.delay >= ms(base));
                    prop_assert!(jitter != Jitter::FinagleDecorrelated || next.delay >= before);
                    before = next.delay;
                }
            }
        }
    }
}
