//! Envoy's outlier detection: a host that answers badly is ejected for a while, on the evidence of traffic alone.
//!
//! Intuition: each host is watched by its answers. Failures in a row eject it at once; a sweep every `interval` ejects
//! who stands out, and lets back who has served its time. How many may be out at the same time is limited.
//!
//! ```text
//!                 consecutive failures == limit, or an outlier at a sweep,
//!                 if the share ejected stays within max_ejection_percent
//!    in ────────────────────────────────────────────────────────────────────► ejected
//!     ▲   a sweep after min(base · m, max) + jitter, or a passed active check    │
//!     └──────────────────────────────────────────────────────────────────────────┘
//!    m: one more with each ejection; one less with each sweep at which the host has been back for an interval
//! ```
//!
//! Source: Envoy 1.40.0, `source/common/upstream/outlier_detection_impl.cc`, compared with its own event log
//! (`tests/conformance/envoy`). Not modelled: `split_external_local_origin_errors` (errors without an answer count as
//! the codes of [`code`]).

use crate::base::{Outcome, Rng, SimDuration, SimTime};

/// The settings, with Envoy's names and defaults. Percentages are whole, as Envoy's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutlierConfig {
    /// From one sweep to the next.
    pub interval: SimDuration,
    /// How long a host is ejected, times the multiplier.
    pub base_ejection_time: SimDuration,
    /// The longest that it is ejected, but for jitter; not shorter than the base.
    pub max_ejection_time: SimDuration,
    /// The most that is added at random, in whole milliseconds.
    pub max_ejection_time_jitter: SimDuration,
    /// The most hosts that may be ejected, in percent of all.
    pub max_ejection_percent: u32,
    /// Whether one host may always be ejected, whatever its percentage.
    pub always_eject_one_host: bool,
    /// 5xx in a row that eject.
    pub consecutive_5xx: u32,
    /// The chance in percent that they do.
    pub enforcing_consecutive_5xx: u32,
    /// 502, 503 and 504 in a row that eject.
    pub consecutive_gateway_failure: u32,
    /// The chance in percent that they do.
    pub enforcing_consecutive_gateway_failure: u32,
    /// Hosts with enough requests that success rates are compared among.
    pub success_rate_minimum_hosts: u32,
    /// Enough requests in an interval.
    pub success_rate_request_volume: u32,
    /// Standard deviations below the mean, in thousandths, beyond which a success rate ejects.
    pub success_rate_stdev_factor: u32,
    /// The chance in percent that it does.
    pub enforcing_success_rate: u32,
    /// The share of failures, in percent, from which it ejects.
    pub failure_percentage_threshold: u32,
    /// The chance in percent that it does.
    pub enforcing_failure_percentage: u32,
    /// Hosts with enough requests that the share of failures is looked at among.
    pub failure_percentage_minimum_hosts: u32,
    /// Enough requests in an interval.
    pub failure_percentage_request_volume: u32,
    /// Whether a passed active check lets an ejected host back at once.
    pub successful_active_health_check_uneject_host: bool,
}

impl OutlierConfig {
    /// Envoy's defaults.
    pub const ENVOY: Self = Self {
        interval: SimDuration::from_secs(10),
        base_ejection_time: SimDuration::from_secs(30),
        max_ejection_time: SimDuration::from_secs(300),
        max_ejection_time_jitter: SimDuration::ZERO,
        max_ejection_percent: 10,
        always_eject_one_host: false,
        consecutive_5xx: 5,
        enforcing_consecutive_5xx: 100,
        consecutive_gateway_failure: 5,
        enforcing_consecutive_gateway_failure: 0,
        success_rate_minimum_hosts: 5,
        success_rate_request_volume: 100,
        success_rate_stdev_factor: 1900,
        enforcing_success_rate: 100,
        failure_percentage_threshold: 85,
        enforcing_failure_percentage: 0,
        failure_percentage_minimum_hosts: 5,
        failure_percentage_request_volume: 50,
        successful_active_health_check_uneject_host: true,
    };
}

/// How an answer came about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cause {
    /// The host gave it.
    #[default]
    Answered,
    /// The host refused the connection.
    Refused,
    /// The connection broke before there was an answer.
    Broken,
    /// The proxy gave up waiting.
    GaveUp,
}

/// The HTTP status that Envoy makes of how a request to a host ended: what the host answered, or 503 for a connection
/// that was refused or broke and 504 for a timeout. `None` for a request that was called off, which tells nothing.
pub fn code(outcome: Outcome, cause: Cause) -> Option<u16> {
    match (outcome, cause) {
        (Outcome::Cancelled, _) => None,
        (Outcome::Ok | Outcome::Degraded, _) => Some(200),
        (Outcome::Timeout, _) | (_, Cause::GaveUp) => Some(504),
        (Outcome::Rejected | Outcome::Unavailable, _) | (_, Cause::Refused | Cause::Broken) => Some(503),
        (Outcome::Error, Cause::Answered) => Some(500),
    }
}

/// What an answer, or a sweep, made of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is ejected.
    Ejected,
    /// It would be, but too many are (`ejections_overflow`).
    Overflow,
    /// It would be, but the detector does not enforce it.
    NotEnforced,
    /// It is back.
    Unejected,
}

/// Requests of an interval.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    all: u32,
    ok: u32,
}

/// One host as the detector sees it.
#[derive(Clone, Debug, Default)]
struct Host {
    is_member: bool,
    consecutive_5xx: u32,
    consecutive_gateway_failure: u32,
    /// Since when it is ejected.
    ejected_at: Option<SimTime>,
    unejected_at: Option<SimTime>,
    /// The multiplier of the next ejection, less one.
    backoff: u32,
    jitter: SimDuration,
    /// The interval under way.
    current: Bucket,
    /// The interval before.
    finished: Bucket,
}

/// The detector of one cluster.
#[derive(Clone, Debug)]
pub struct Outlier {
    hosts: Vec<Host>,
    members: u32,
    ejected: u32,
}

impl Outlier {
    /// A detector that may come to know so many hosts; none is a member yet.
    pub fn new(capacity: usize) -> Self {
        Self { hosts: vec![Host::default(); capacity], members: 0, ejected: 0 }
    }

    /// A host joins, and nothing is known of it; or it leaves, and everything is forgotten.
    pub fn set_member(&mut self, host: u32, is_member: bool) {
        let place = &mut self.hosts[host as usize];
        if place.is_member == is_member {
            return;
        }
        self.ejected -= u32::from(place.ejected_at.is_some());
        *place = Host { is_member, ..Host::default() };
        self.members = if is_member { self.members + 1 } else { self.members - 1 };
    }

    /// Whether a host is ejected.
    #[inline]
    pub fn is_ejected(&self, host: u32) -> bool {
        self.hosts[host as usize].ejected_at.is_some()
    }

    /// How many are ejected.
    #[inline]
    pub fn ejected(&self) -> u32 {
        self.ejected
    }

    /// The multiplier that a host's ejection has, or had last.
    pub fn multiplier(&self, host: u32) -> u32 {
        self.hosts[host as usize].backoff
    }

    /// A host answered with a status (of [`code`], where there was no answer).
    pub fn on_code(
        &mut self,
        config: &OutlierConfig,
        now: SimTime,
        host: u32,
        code: u16,
        rng: &mut Rng,
    ) -> Option<Verdict> {
        let place = &mut self.hosts[host as usize];
        if !place.is_member {
            return None;
        }
        place.current.all += 1;
        if code < 500 {
            place.current.ok += 1;
            (place.consecutive_5xx, place.consecutive_gateway_failure) = (0, 0);
            return None;
        }
        let mut verdict = None;
        if (502..=504).contains(&code) {
            place.consecutive_gateway_failure += 1;
            // At the limit, not beyond it: an ejected host counts on, and is not ejected again.
            if place.consecutive_gateway_failure == config.consecutive_gateway_failure
                && place.ejected_at.is_none()
            {
                place.consecutive_gateway_failure = 0;
                let chance = config.enforcing_consecutive_gateway_failure;
                verdict = Some(self.eject(config, now, host, chance, rng));
            }
        } else {
            place.consecutive_gateway_failure = 0;
        }
        let place = &mut self.hosts[host as usize];
        place.consecutive_5xx += 1;
        if place.consecutive_5xx == config.consecutive_5xx && place.ejected_at.is_none() {
            place.consecutive_5xx = 0;
            verdict = Some(self.eject(config, now, host, config.enforcing_consecutive_5xx, rng));
        }
        verdict
    }

    /// Ejects a host, if as many may be and the dice say so.
    fn eject(
        &mut self,
        config: &OutlierConfig,
        now: SimTime,
        host: u32,
        enforcing: u32,
        rng: &mut Rng,
    ) -> Verdict {
        let percent = 100.0 * f64::from(self.ejected + 1) / f64::from(self.members);
        let may = percent <= f64::from(config.max_ejection_percent.min(100))
            || (config.always_eject_one_host && self.ejected == 0);
        if !may {
            return Verdict::Overflow;
        }
        // No dice for what is certain.
        if enforcing == 0 || (enforcing < 100 && rng.below(100) >= u64::from(enforcing)) {
            return Verdict::NotEnforced;
        }
        let jitter_ms = config.max_ejection_time_jitter.ns() / 1_000_000;
        let jitter = if jitter_ms == 0 { 0 } else { rng.below(jitter_ms + 1) };
        let place = &mut self.hosts[host as usize];
        self.ejected += 1;
        place.ejected_at = Some(now);
        place.jitter = SimDuration::from_ms(jitter);
        let longest = config.max_ejection_time.ns().saturating_add(config.base_ejection_time.ns());
        if config.base_ejection_time.ns().saturating_mul(u64::from(place.backoff)) < longest {
            place.backoff += 1;
        }
        Verdict::Ejected
    }

    fn uneject(&mut self, now: SimTime, host: u32) {
        let place = &mut self.hosts[host as usize];
        place.ejected_at = None;
        place.unejected_at = Some(now);
        (place.consecutive_5xx, place.consecutive_gateway_failure) = (0, 0);
        self.ejected -= 1;
    }

    /// A host passed an active check and is healthy by these: whether that lets it back.
    pub fn on_check_passed(&mut self, config: &OutlierConfig, now: SimTime, host: u32) -> bool {
        let lets = config.successful_active_health_check_uneject_host && self.is_ejected(host);
        if lets {
            self.uneject(now, host);
        }
        lets
    }

    /// Settings without outlier detection: everyone is let back.
    pub fn clear(&mut self) {
        for host in &mut self.hosts {
            *host = Host { is_member: host.is_member, ..Host::default() };
        }
        self.ejected = 0;
    }

    /// The sweep: lets hosts back, ejects those that stand out by the interval that is over, and lowers multipliers.
    /// Says of each host what became of it.
    pub fn sweep(
        &mut self,
        config: &OutlierConfig,
        now: SimTime,
        rng: &mut Rng,
        mut tell: impl FnMut(u32, Verdict),
    ) {
        for host in 0..self.hosts.len() as u32 {
            let place = &mut self.hosts[host as usize];
            place.finished = std::mem::take(&mut place.current);
            let Some(at) = place.ejected_at else { continue };
            let time = config.base_ejection_time.ns().saturating_mul(u64::from(place.backoff));
            let time = time.min(config.max_ejection_time.ns()) + place.jitter.ns();
            if now.since(at).ns() >= time {
                self.uneject(now, host);
                tell(host, Verdict::Unejected);
            }
        }
        let is_candidate = |h: &Host, volume: u32| {
            h.is_member && h.ejected_at.is_none() && h.finished.all > 0 && h.finished.all >= volume
        };
        // Who is looked at is settled before anybody is ejected.
        let threshold = self.success_rate_threshold(config, is_candidate);
        let volume = config.failure_percentage_request_volume;
        let enough = self.hosts.iter().filter(|h| is_candidate(h, volume)).count();
        let by_failures = enough > 0 && enough >= config.failure_percentage_minimum_hosts as usize;
        if let Some(threshold) = threshold {
            self.eject_outliers(config, now, rng, &mut tell, config.enforcing_success_rate, |h| {
                is_candidate(h, config.success_rate_request_volume) && h.finished.success_rate() < threshold
            });
        }
        if by_failures {
            let limit = f64::from(config.failure_percentage_threshold);
            // Who was ejected a moment ago is not ejected twice (Envoy only asserts that).
            self.eject_outliers(config, now, rng, &mut tell, config.enforcing_failure_percentage, |h| {
                is_candidate(h, volume) && 100.0 - h.finished.success_rate() >= limit
            });
        }
        for place in self.hosts.iter_mut().filter(|h| h.ejected_at.is_none()) {
            if place.unejected_at.is_some_and(|at| now.since(at) >= config.interval) {
                place.backoff = place.backoff.saturating_sub(1);
            }
        }
    }

    /// The success rate below which a host stands out: mean less so many standard deviations, of the population.
    fn success_rate_threshold(
        &self,
        config: &OutlierConfig,
        is_candidate: impl Fn(&Host, u32) -> bool,
    ) -> Option<f64> {
        let volume = config.success_rate_request_volume;
        let rates = || {
            let candidates = self.hosts.iter().filter(|h| is_candidate(h, volume));
            candidates.map(|h| h.finished.success_rate())
        };
        let count = rates().count();
        if count == 0 || count < config.success_rate_minimum_hosts as usize {
            return None;
        }
        let mean = rates().sum::<f64>() / count as f64;
        let variance = rates().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / count as f64;
        Some(mean - f64::from(config.success_rate_stdev_factor) / 1000.0 * variance.sqrt())
    }

    fn eject_outliers(
        &mut self,
        config: &OutlierConfig,
        now: SimTime,
        rng: &mut Rng,
        tell: &mut impl FnMut(u32, Verdict),
        enforcing: u32,
        stands_out: impl Fn(&Host) -> bool,
    ) {
        for host in 0..self.hosts.len() as u32 {
            if stands_out(&self.hosts[host as usize]) {
                tell(host, self.eject(config, now, host, enforcing, rng));
            }
        }
    }
}

impl Bucket {
    /// In percent.
    fn success_rate(self) -> f64 {
        f64::from(self.ok) * 100.0 / f64::from(self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    /// A cluster of so many hosts, all members.
    fn cluster(hosts: u32) -> Outlier {
        let mut outlier = Outlier::new(hosts as usize);
        (0..hosts).for_each(|h| outlier.set_member(h, true));
        outlier
    }

    fn answers(outlier: &mut Outlier, config: &OutlierConfig, host: u32, codes: &[u16]) -> Option<Verdict> {
        let mut rng = Rng::from_seed(1);
        codes.iter().map(|code| outlier.on_code(config, at(0), host, *code, &mut rng)).last().flatten()
    }

    fn sweep(outlier: &mut Outlier, config: &OutlierConfig, ms: u64) -> Vec<(u32, Verdict)> {
        let mut told = Vec::new();
        outlier.sweep(config, at(ms), &mut Rng::from_seed(1), |host, verdict| told.push((host, verdict)));
        told
    }

    #[test]
    fn by_default_nothing_is_ejected_with_fewer_than_ten_hosts() {
        let config = OutlierConfig::ENVOY;
        assert_eq!(answers(&mut cluster(9), &config, 0, &[500; 5]), Some(Verdict::Overflow));
        assert_eq!(answers(&mut cluster(10), &config, 0, &[500; 5]), Some(Verdict::Ejected));
        let one = OutlierConfig { always_eject_one_host: true, ..config };
        let mut two = cluster(2);
        assert_eq!(answers(&mut two, &one, 0, &[500; 5]), Some(Verdict::Ejected));
        assert_eq!(answers(&mut two, &one, 1, &[500; 5]), Some(Verdict::Overflow));
    }

    #[test]
    fn gateway_failures_and_failure_percentages_do_nothing_by_default() {
        let config = OutlierConfig { consecutive_5xx: 100, ..OutlierConfig::ENVOY };
        assert_eq!(answers(&mut cluster(10), &config, 0, &[503; 5]), Some(Verdict::NotEnforced));
        let mut outlier = cluster(10);
        for host in 0..10 {
            answers(&mut outlier, &config, host, &[if host == 0 { 500 } else { 200 }; 60]);
        }
        // Too few requests for success rates.
        assert_eq!(sweep(&mut outlier, &config, 10_000), [(0, Verdict::NotEnforced)]);
    }

    #[test]
    fn another_5xx_ends_a_row_of_gateway_failures_and_a_success_ends_both() {
        let config = OutlierConfig { enforcing_consecutive_gateway_failure: 100, ..OutlierConfig::ENVOY };
        assert_eq!(answers(&mut cluster(10), &config, 0, &[502, 503, 504, 503]), None);
        let mut outlier = cluster(10);
        assert_eq!(answers(&mut outlier, &config, 0, &[503, 503, 503, 503, 200, 500, 503, 503, 503]), None);
        assert_eq!(answers(&mut outlier, &config, 0, &[503]), Some(Verdict::Ejected));
    }

    #[test]
    fn ejections_end_at_a_sweep_and_the_multiplier_decays_with_each() {
        let config = OutlierConfig { max_ejection_percent: 100, ..OutlierConfig::ENVOY };
        let mut outlier = cluster(2);
        answers(&mut outlier, &config, 0, &[500; 5]);
        assert_eq!(sweep(&mut outlier, &config, 29_999), []);
        assert_eq!(sweep(&mut outlier, &config, 39_999), [(0, Verdict::Unejected)]);
        assert_eq!(outlier.multiplier(0), 1);
        // Twice as long if at once again.
        outlier.hosts[0].consecutive_5xx = 4;
        outlier.on_code(&config, at(40_000), 0, 500, &mut Rng::from_seed(1));
        assert_eq!(outlier.multiplier(0), 2);
        assert_eq!(sweep(&mut outlier, &config, 99_999), []);
        assert_eq!(sweep(&mut outlier, &config, 100_000), [(0, Verdict::Unejected)]);
        // Back for less than an interval: not yet.
        sweep(&mut outlier, &config, 109_000);
        assert_eq!(outlier.multiplier(0), 2);
        sweep(&mut outlier, &config, 110_000);
        sweep(&mut outlier, &config, 120_000);
        sweep(&mut outlier, &config, 130_000);
        assert_eq!(outlier.multiplier(0), 0);
    }

    #[test]
    fn a_host_stands_out_by_its_success_rate() {
        let config =
            OutlierConfig { consecutive_5xx: 1000, max_ejection_percent: 20, ..OutlierConfig::ENVOY };
        let mut outlier = cluster(5);
        // Envoy's own example: 50, 100, 100, 100, 100 has the threshold 52.
        for host in 0..5 {
            answers(&mut outlier, &config, host, &[if host == 0 { 500 } else { 200 }; 50]);
            answers(&mut outlier, &config, host, &[200; 50]);
        }
        assert_eq!(sweep(&mut outlier, &config, 10_000), [(0, Verdict::Ejected)]);
        // The interval before does not count again.
        assert_eq!(sweep(&mut outlier, &config, 20_000), []);
    }

    #[test]
    fn what_becomes_of_an_outcome() {
        assert_eq!(code(Outcome::Error, Cause::Answered), Some(500));
        assert_eq!(code(Outcome::Error, Cause::Refused), Some(503));
        assert_eq!(code(Outcome::Error, Cause::Broken), Some(503));
        assert_eq!(code(Outcome::Timeout, Cause::GaveUp), Some(504));
        assert_eq!(code(Outcome::Unavailable, Cause::Answered), Some(503));
        assert_eq!(code(Outcome::Cancelled, Cause::Answered), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn never_too_many_and_never_too_long(
            hosts in 1u32..12,
            percent in 0u32..=100,
            one in any::<bool>(),
            base in 1u64..40,
            steps in prop::collection::vec((0u32..12, 0u8..8, 1u64..20), 1..80),
        ) {
            let config = OutlierConfig {
                interval: SimDuration::from_secs(10),
                base_ejection_time: SimDuration::from_secs(base),
                max_ejection_time: SimDuration::from_secs(60),
                max_ejection_percent: percent,
                always_eject_one_host: one,
                consecutive_5xx: 2,
                success_rate_request_volume: 1,
                failure_percentage_request_volume: 1,
                enforcing_failure_percentage: 50,
                failure_percentage_minimum_hosts: 2,
                ..OutlierConfig::ENVOY
            };
            let (mut outlier, mut rng) = (cluster(hosts), Rng::from_seed(1));
            let (mut now, mut next_sweep) = (0, 10);
            let mut since = vec![None; hosts as usize];
            for (host, action, wait) in steps {
                now += wait;
                while next_sweep <= now {
                    let mut out = Vec::new();
                    outlier.sweep(&config, at(next_sweep * 1000), &mut rng, |h, v| out.push((h, v)));
                    for (h, v) in out {
                        match v {
                            Verdict::Unejected => {
                                let ejected: u64 = since[h as usize].take().unwrap();
                                prop_assert!(next_sweep - ejected >= base.min(60));
                                // Multiplier and sweep: at most the longest, and one interval.
                                prop_assert!(next_sweep - ejected < 60.max(base) + 10);
                            }
                            Verdict::Ejected => prop_assert_eq!(since[h as usize].replace(next_sweep), None),
                            Verdict::Overflow | Verdict::NotEnforced => {}
                        }
                    }
                    next_sweep += 10;
                }
                let host = host % hosts;
                let code = if action < 4 { 500 } else { 200 };
                let verdict = outlier.on_code(&config, at(now * 1000), host, code, &mut rng);
                if verdict == Some(Verdict::Ejected) {
                    prop_assert_eq!(since[host as usize].replace(now), None);
                }
                let out = since.iter().flatten().count() as u32;
                prop_assert_eq!(out, outlier.ejected());
                prop_assert!(out * 100 <= percent * hosts || (one && out == 1));
                for h in 0..hosts {
                    prop_assert_eq!(outlier.is_ejected(h), since[h as usize].is_some());
                    // The law: never more than one step beyond the longest.
                    prop_assert!(u64::from(outlier.multiplier(h)) * base < 60 + 2 * base);
                }
            }
        }
    }
}
