//! The gamma distribution of scale 1.
//!
//! G. Marsaglia and W. W. Tsang, "A Simple Method for Generating Gamma Variables", ACM Transactions on Mathematical
//! Software 26 (2000), pages 363 to 372. Its normal variates come by inversion rather than from a ziggurat, whose
//! tail would use the platform's logarithm.

use super::normal;
use crate::base::Rng;

/// A gamma variate of the given shape (above zero) and scale 1, from the uniform number `u`.
pub(super) fn variate(shape: f64, u: f64) -> f64 {
    let mut rng = Rng::from_seed(u.to_bits());
    if shape >= 1.0 {
        return of_large_shape(shape, &mut rng);
    }
    // G(a) = G(a + 1) U^(1/a), section 6 of the article.
    let boost = libm::pow(rng.uniform(), 1.0 / shape);
    boost * of_large_shape(shape + 1.0, &mut rng)
}

/// The rejection method itself, for shapes from 1 on. It accepts more than 95 % of its proposals.
fn of_large_shape(shape: f64, rng: &mut Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal::quantile(rng.uniform());
        let root = 1.0 + c * x;
        if root <= 0.0 {
            continue;
        }
        let v = root * root * root;
        let u = rng.uniform();
        let squared = x * x;
        let surely = u < 1.0 - 0.0331 * squared * squared;
        if surely || libm::log(u) < 0.5 * squared + d * (1.0 - v + libm::log(v)) {
            return d * v;
        }
    }
}

/// The regularised lower incomplete gamma function: the probability of a value of at most `x` at scale 1.
pub(super) fn cdf(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    // The only refusal left is an infinite x.
    statrs::function::gamma::checked_gamma_lr(shape, x).unwrap_or(1.0)
}
