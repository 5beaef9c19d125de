//! All states added up, where they are few enough.
//!
//! The processes are independent, so in the long run each is down with probability mean down over mean up and down,
//! whatever the distributions; an outage begins when one fails that makes the difference (Barlow and Proschan,
//! "Statistical Theory of Reliability and Life Testing", 1975, section 7.4: the system's failure rate by Birnbaum's
//! importance).

use super::{Class, Structure};

/// The most states that are added up.
const STATES_MAX: u64 = 200_000;

/// How often outages begin, and how long they last in all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// Outages per second.
    pub rate: f64,
    /// The share of time in outages.
    pub unavailability: f64,
}

/// The exact answer; none if there are too many states.
pub fn exact(classes: &[Class], structure: &Structure) -> Option<Exact> {
    let states = classes.iter().try_fold(1u64, |all, c| all.checked_mul(u64::from(c.members) + 1));
    if states.is_none_or(|states| states > STATES_MAX) {
        return None;
    }
    let pmf = |members: u32, q: f64| -> Vec<f64> { (0..=members).map(|k| binomial(members, k, q)).collect() };
    let all: Vec<Vec<f64>> = classes.iter().map(|c| pmf(c.members, c.unavailability())).collect();
    let mut unavailability = 0.0;
    each(classes, None, &mut |down| {
        if structure.is_out(down) {
            unavailability += down.iter().zip(&all).map(|(k, pmf)| pmf[*k as usize]).product::<f64>();
        }
    });
    let mut rate = 0.0;
    for (at, class) in classes.iter().enumerate().filter(|(_, c)| c.members > 0) {
        let mut others = all.clone();
        others[at] = pmf(class.members - 1, class.unavailability());
        let mut share = 0.0;
        each(classes, Some(at), &mut |down| {
            if structure.is_out(down) {
                return;
            }
            let p = down.iter().zip(&others).map(|(k, pmf)| pmf[*k as usize]).product::<f64>();
            let mut then = down.to_vec();
            then[at] += 1;
            if structure.is_out(&then) {
                share += p;
            }
        });
        rate += f64::from(class.members) * class.frequency() * share;
    }
    Some(Exact { rate, unavailability })
}

/// Every state of all processes but one of a class.
fn each(classes: &[Class], without: Option<usize>, visit: &mut dyn FnMut(&[u32])) {
    let most: Vec<u32> =
        classes.iter().enumerate().map(|(at, c)| c.members - u32::from(without == Some(at))).collect();
    let mut down = vec![0; classes.len()];
    loop {
        visit(&down);
        let Some(at) = (0..down.len()).find(|at| down[*at] < most[*at]) else { return };
        down[..at].fill(0);
        down[at] += 1;
    }
}

/// The probability that `k` of `n` are down.
fn binomial(n: u32, k: u32, q: f64) -> f64 {
    let choose = |n: u32, k: u32| {
        (0..k).fold(0.0, |sum, i| sum + libm::log(f64::from(n - i)) - libm::log(f64::from(i + 1)))
    };
    let up = f64::from(n - k) * libm::log1p(-q);
    let down = if k > 0 { f64::from(k) * libm::log(q) } else { 0.0 };
    libm::exp(choose(n, k) + up + down)
}
