//! The incomplete beta function and its inverse, from which the quantiles of Student's t and of the binomial come.
//!
//! On `libm` alone, so that confidence intervals have the same bytes on all platforms. The continued fraction is DLMF
//! 8.17.22 (<https://dlmf.nist.gov/8.17>), evaluated by the modified method of Lentz as in Press et al., "Numerical
//! Recipes" (3rd edition, 2007), section 6.4.

/// Terms of the continued fraction; it takes some times the square root of the greater shape.
const TERMS_MAX: u32 = 100_000;
/// The fraction is done when a term changes it by less.
const PRECISION: f64 = 1e-15;
/// Stands for zero where it would be divided by.
const TINY: f64 = 1e-300;

/// The probability of at most `x` under the beta distribution with positive shapes `a` and `b`.
pub fn cdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // The fraction converges quickly below the mean; above it, the tails change places.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - below_mean(b, a, 1.0 - x);
    }
    below_mean(a, b, x)
}

fn below_mean(a: f64, b: f64, x: f64) -> f64 {
    let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    libm::exp(a * libm::log(x) + b * libm::log1p(-x) - ln_beta) / a * fraction(a, b, x)
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let nonzero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for term in 1..TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / nonzero(1.0 + coefficient * d);
            c = nonzero(1.0 + coefficient / c);
            change = c * d;
            h *= change;
        }
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    h
}

/// The quantile of order `p` of the beta distribution with positive shapes `a` and `b`: by halving, until no number
/// is left between the bounds.
pub fn quantile(a: f64, b: f64, p: f64) -> f64 {
    assert!(a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&p));
    let (mut lo, mut hi) = (0.0, 1.0);
    loop {
        let middle = lo + (hi - lo) / 2.0;
        if middle <= lo || middle >= hi {
            return hi;
        }
        if cdf(a, b, middle) < p {
            lo = middle;
        } else {
            hi = middle;
        }
    }
}

/// The point `t` that Student's t with `freedom` degrees of freedom stays between `-t` and `t` with probability
/// `within`.
pub fn student_t(freedom: f64, within: f64) -> f64 {
    // t² / (freedom + t²) is beta distributed.
    let part = quantile(0.5, freedom / 2.0, within);
    (freedom * part / (1.0 - part)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use statrs::distribution::{Beta, ContinuousCDF, StudentsT};

    #[test]
    fn agrees_with_statrs() {
        for (a, b) in [(0.5, 0.5), (1.0, 1.0), (1.0, 20.0), (3.0, 8.0), (40.0, 2.5), (200.0, 300.0)] {
            let beta = Beta::new(a, b).unwrap();
            for i in 1..50 {
                let x = f64::from(i) / 50.0;
                assert!((cdf(a, b, x) - beta.cdf(x)).abs() < 1e-12, "{a} {b} {x}");
                let value = quantile(a, b, x);
                assert_relative_eq!(beta.cdf(value), x, max_relative = 1e-10);
            }
        }
        for freedom in [1.0, 2.0, 3.0, 5.0, 9.0, 30.0, 199.0, 5_000.0] {
            let t = StudentsT::new(0.0, 1.0, freedom).unwrap().inverse_cdf(0.975);
            assert_relative_eq!(student_t(freedom, 0.95), t, max_relative = 1e-9);
        }
    }

    #[test]
    fn closed_forms() {
        assert_eq!((cdf(2.0, 3.0, 0.0), cdf(2.0, 3.0, 1.0)), (0.0, 1.0));
        assert_relative_eq!(quantile(1.0, 10.0, 0.975), 1.0 - libm::pow(0.025, 0.1), max_relative = 1e-13);
        // One degree of freedom is Cauchy's distribution, two have a closed inverse.
        let cauchy = libm::tan(std::f64::consts::PI * 0.475);
        assert_relative_eq!(student_t(1.0, 0.95), cauchy, max_relative = 1e-12);
        let two = 0.95 * (2.0f64 / (1.0 - 0.95 * 0.95)).sqrt();
        assert_relative_eq!(student_t(2.0, 0.95), two, max_relative = 1e-12);
        // With very many, it is normal.
        assert_relative_eq!(student_t(1e6, 0.95), 1.959_966_357, max_relative = 1e-9);
    }

    #[test]
    fn the_bits_are_pinned() {
        let bits = [student_t(2.0, 0.95), student_t(29.0, 0.95), quantile(3.0, 8.0, 0.025)].map(f64::to_bits);
        assert_eq!(bits, [4_616_530_374_734_988_983, 4_611_787_866_527_115_371, 4_589_473_509_265_899_866]);
    }
}
