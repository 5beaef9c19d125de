//! Envoy's limits on retries (data-plane-api `circuit_breaker.proto`,
//! `source/common/upstream/resource_manager_impl.h`).
//!
//! They count what is under way and remember nothing: a retry is active from the moment it is decided on, its wait
//! included, until its answer. Unlike a token bucket they do not stop a client whose retries all end quickly.

/// How many retries may be under way at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum EnvoyLimit {
    /// So many (`max_retries`).
    MaxRetries(u32),
    /// A share of the requests under way, retries included (`retry_budget`).
    Budget {
        /// Per cent of the requests under way (`budget_percent`).
        budget_percent: f64,
        /// But at least so many (`min_retry_concurrency`).
        min_retry_concurrency: u32,
    },
}

impl EnvoyLimit {
    /// Whether another retry may begin, with so many retries and requests under way.
    pub fn allows(self, retries: u32, requests: u32) -> bool {
        let most = match self {
            Self::MaxRetries(most) => most,
            Self::Budget { budget_percent, min_retry_concurrency } => {
                ((budget_percent / 100.0 * f64::from(requests)) as u32).max(min_retry_concurrency)
            }
        };
        retries < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_by_default_and_a_fifth_of_many() {
        let most = |limit: EnvoyLimit, requests| (0..).take_while(|n| limit.allows(*n, requests)).count();
        assert_eq!(most(EnvoyLimit::MaxRetries(3), 1_000), 3);
        let budget = EnvoyLimit::Budget { budget_percent: 20.0, min_retry_concurrency: 3 };
        assert_eq!([0, 15, 19, 20, 100, 104].map(|requests| most(budget, requests)), [3, 3, 3, 4, 20, 20]);
    }
}
