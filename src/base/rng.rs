//! Random streams found by name.
//!
//! Every stochastic quantity draws from its own stream, whose seed is a hash of `(seed, run, path, purpose)` and
//! never depends on the order of creation: a variant that adds a breaker leaves every arrival and every service
//! demand as it was. The generator is xoshiro256++ (Blackman and Vigna 2021), whose output is fixed on all
//! platforms.

use xxhash_rust::xxh64::Xxh64;

/// One stream of random numbers. Written out here, and compared with the crate `rand_xoshiro` by a test, because a
/// balancer that draws makes one for each request: inlined, what it does not draw costs nothing.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// A stream from a 64-bit seed, expanded by SplitMix64.
    #[inline]
    pub fn from_seed(seed: u64) -> Self {
        Self([mix(seed, 0), mix(seed, 1), mix(seed, 2), mix(seed, 3)])
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let bits = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        bits
    }

    /// A uniform number in the open interval (0, 1): never 0, never 1.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        uniform_of(self.bits())
    }

    /// A uniform whole number below `n` (`n` at least 1), by Lemire's multiplication; its bias is below n / 2^64.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        debug_assert!(n > 0);
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// True with probability `p`. Always takes one draw.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }
}

/// All streams of one run.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    seed: u64,
    run: u64,
}

impl Streams {
    /// The streams of run number `run` (0-based) under the user's `seed`.
    pub fn new(seed: u64, run: u64) -> Self {
        Self { seed, run }
    }

    /// The stream of one quantity: `path` names the component, `purpose` what is drawn there.
    pub fn stream(&self, path: &str, purpose: &str) -> Rng {
        Rng::from_seed(self.key(path, purpose))
    }

    /// The key of a family of draws, of which each member is found by [`mix`]: the n-th request of a population
    /// has the key `mix(key, n)`, whatever happened before it.
    pub fn key(&self, path: &str, purpose: &str) -> u64 {
        let mut hash = Xxh64::new(self.seed);
        hash.update(&self.run.to_le_bytes());
        hash.update(&(path.len() as u64).to_le_bytes());
        hash.update(path.as_bytes());
        hash.update(purpose.as_bytes());
        hash.digest()
    }
}

/// The salt of a quantity that belongs to a request, such as the work of one step: a hash of its path.
pub fn salt(path: &str) -> u64 {
    xxhash_rust::xxh64::xxh64(path.as_bytes(), 0)
}

/// The key that `salt` names below `key`: SplitMix64's output function (Steele, Lea and Flood 2014).
#[inline]
pub fn mix(key: u64, salt: u64) -> u64 {
    let mut z =
        key.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The uniform number in (0, 1) that a key stands for.
#[inline]
pub fn uniform_of(key: u64) -> f64 {
    ((key >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_generator_of_the_crate() {
        use rand_xoshiro::Xoshiro256PlusPlus;
        use rand_xoshiro::rand_core::{Rng as _, SeedableRng};
        for seed in [0, 1, 42, u64::MAX, 0x9E37_79B9_7F4A_7C15] {
            let (mut ours, mut theirs) = (Rng::from_seed(seed), Xoshiro256PlusPlus::seed_from_u64(seed));
            assert!((0..1_000).all(|_| ours.bits() == theirs.next_u64()));
        }
    }

    #[test]
    fn streams_are_pinned() {
        // A change of these numbers changes every result: it belongs under "Results change" in the changelog.
        let mut s = Streams::new(42, 0).stream("services.api", "demand");
        let got: Vec<u64> = (0..3).map(|_| s.bits()).collect();
        let again: Vec<u64> = {
            let mut s = Streams::new(42, 0).stream("services.api", "demand");
            (0..3).map(|_| s.bits()).collect()
        };
        assert_eq!(got, again);
        assert_ne!(got[0], Streams::new(42, 1).stream("services.api", "demand").bits());
        assert_ne!(got[0], Streams::new(43, 0).stream("services.api", "demand").bits());
        assert_ne!(got[0], Streams::new(42, 0).stream("services.api", "route").bits());
        assert_ne!(got[0], Streams::new(42, 0).stream("services.apid", "emand").bits());
    }

    #[test]
    fn keyed_draws_are_uniform_and_do_not_follow_their_neighbours() {
        // 1,000,000 members of one family, two quantities each: mean 1/2, variance 1/12, no correlation between
        // neighbours or between quantities; tolerances are four standard errors.
        let key = Streams::new(7, 3).key("clients.users", "requests");
        let (work, route) = (salt("services.api.endpoints.a.0"), salt("clients.users.mix"));
        let n = 1_000_000;
        let (mut sum, mut squares, mut serial, mut cross, mut before) = (0.0, 0.0, 0.0, 0.0, 0.5);
        for i in 0..n {
            let request = mix(key, i);
            let a = uniform_of(mix(request, work)) - 0.5;
            let b = uniform_of(mix(request, route)) - 0.5;
            sum += a;
            squares += a * a;
            serial += a * before;
            cross += a * b;
            before = a;
        }
        let n = n as f64;
        assert!((sum / n).abs() < 4.0 * (1.0f64 / 12.0 / n).sqrt());
        assert!((squares / n - 1.0 / 12.0).abs() < 4.0 * (1.0f64 / 180.0 / n).sqrt());
        assert!((serial / n).abs() < 4.0 / 12.0 / n.sqrt());
        assert!((cross / n).abs() < 4.0 / 12.0 / n.sqrt());
    }

    #[test]
    fn uniform_is_open_at_both_ends() {
        let mut s = Rng::from_seed(1);
        for _ in 0..100_000 {
            let u = s.uniform();
            assert!(u > 0.0 && u < 1.0);
        }
    }
}
