//! nginx's upstream: smooth weighted round robin over the servers that have not failed of late.
//!
//! Intuition: nginx sends no checks. It counts the failures of requests, leaves a server out for a while once there
//! were too many, and then tries it with a real request: the user's. It never fails open: if all servers are left
//! out, there are "no live upstreams", and users get a 502 until the time is over.
//!
//! ```text
//!          fails + 1 with each failure                 now − checked > fail_timeout: one request is let
//!   in ──────────────────────────────► left out ─────────────────────────────────────────────────────► on trial
//!    ▲     fails = max_fails              ▲         (checked = now: no other for another period)          │
//!    │                                    └───────────────────────── it fails ────────────────────────────┤
//!    └─────────────────────────────────────────────────────────────── it does well: fails = 0 ────────────┘
//! ```
//!
//! The clock has whole seconds, and a server comes back when *more* than `fail_timeout` of them have passed: it is
//! out for `fail_timeout` to a second longer.
//!
//! Source: nginx 1.22.1, `ngx_http_upstream_round_robin.c` and `ngx_http_upstream.c`, compared with recordings
//! (`tests/conformance/nginx`).

/// The settings of every server of an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// Failures that leave a server out; 0: none do.
    pub max_fails: u32,
    /// For how long failures count, and a server is left out: in whole seconds.
    pub fail_timeout: i64,
}

/// Which servers a request has tried: of the first 128 of an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tried([u64; 2]);

impl Tried {
    /// Whether a server was tried.
    #[inline]
    pub fn has(self, server: u32) -> bool {
        server < 128 && self.0[server as usize / 64] & (1 << (server % 64)) != 0
    }

    /// Notes that a server was tried.
    #[inline]
    pub fn note(&mut self, server: u32) {
        if server < 128 {
            self.0[server as usize / 64] |= 1 << (server % 64);
        }
    }
}

/// Longer ago than anything.
const NEVER: i64 = i64::MIN / 4;

/// One server.
#[derive(Clone, Copy, Debug)]
struct Server {
    is_member: bool,
    weight: i64,
    effective: i64,
    current: i64,
    fails: u32,
    accessed: i64,
    checked: i64,
}

impl Server {
    fn new(weight: u32, is_member: bool) -> Self {
        let weight = i64::from(weight);
        Self { is_member, weight, effective: weight, current: 0, fails: 0, accessed: NEVER, checked: NEVER }
    }

    fn is_left_out(&self, config: &ServerConfig, now: i64) -> bool {
        config.max_fails > 0 && self.fails >= config.max_fails && now - self.checked <= config.fail_timeout
    }
}

/// The servers of an upstream, as one worker process knows them.
#[derive(Clone, Debug)]
pub struct Upstream {
    servers: Vec<Server>,
    members: u32,
}

impl Upstream {
    /// Servers with these weights, none of them a member yet.
    pub fn new(weights: &[u32]) -> Self {
        Self { servers: weights.iter().map(|w| Server::new(*w, false)).collect(), members: 0 }
    }

    /// A server joins, and nothing is known of it, or leaves.
    pub fn set_member(&mut self, server: u32, is_member: bool) {
        let place = &mut self.servers[server as usize];
        if place.is_member != is_member {
            *place = Server::new(place.weight as u32, is_member);
            self.members = if is_member { self.members + 1 } else { self.members - 1 };
        }
    }

    /// Other weights.
    pub fn set_weights(&mut self, weights: &[u32]) {
        for (server, weight) in self.servers.iter_mut().zip(weights) {
            let weight = i64::from(*weight);
            if server.weight != weight {
                (server.weight, server.effective) = (weight, weight);
            }
        }
    }

    /// How many servers there are: a request has as many tries.
    #[inline]
    pub fn members(&self) -> u32 {
        self.members
    }

    /// Whether a server may get a request that has tried these. A single server always may.
    pub fn is_usable(&self, config: &ServerConfig, now: i64, tried: Tried, server: u32) -> bool {
        let place = &self.servers[server as usize];
        place.is_member && (self.members == 1 || (!tried.has(server) && !place.is_left_out(config, now)))
    }

    /// Chooses by smooth weighted round robin; `None`: no live upstreams. `now` is in whole seconds.
    pub fn pick(&mut self, config: &ServerConfig, now: i64, tried: Tried) -> Option<u32> {
        let is_single = self.members == 1;
        let (mut best, mut total): (Option<usize>, i64) = (None, 0);
        for index in 0..self.servers.len() {
            if !self.is_usable(config, now, tried, index as u32) || self.servers[index].weight == 0 {
                continue;
            }
            if is_single {
                return Some(index as u32);
            }
            let server = &mut self.servers[index];
            server.current += server.effective;
            total += server.effective;
            server.effective += i64::from(server.effective < server.weight);
            let current = server.current;
            if best.is_none_or(|best| current > self.servers[best].current) {
                best = Some(index);
            }
        }
        let best = best?;
        self.servers[best].current -= total;
        self.sent(config, now, best as u32);
        Some(best as u32)
    }

    /// A request is sent to a server that something else has chosen.
    pub fn sent(&mut self, config: &ServerConfig, now: i64, server: u32) {
        let place = &mut self.servers[server as usize];
        if now - place.checked > config.fail_timeout {
            place.checked = now;
        }
    }

    /// A request to a server ended, badly or not.
    pub fn free(&mut self, config: &ServerConfig, now: i64, server: u32, failed: bool) {
        let place = &mut self.servers[server as usize];
        if !place.is_member || self.members == 1 {
            return;
        }
        if failed {
            place.fails += 1;
            (place.accessed, place.checked) = (now, now);
            if config.max_fails > 0 {
                place.effective = (place.effective - place.weight / i64::from(config.max_fails)).max(0);
            }
        } else if place.accessed < place.checked {
            place.fails = 0;
        }
    }
}

/// What `proxy_next_upstream` may list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The connection was refused or broke.
    Error,
    /// There was no answer in time.
    Timeout,
    /// The server answered 500.
    Http500,
    /// The server answered 503.
    Http503,
    /// The server answered 504.
    Http504,
}

/// Which failures go on to the next server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Failures(u8);

impl Failures {
    /// These.
    pub fn of(list: &[Failure]) -> Self {
        Self(list.iter().fold(0, |bits, f| bits | (1 << *f as u8)))
    }

    /// Whether this is among them.
    #[inline]
    pub fn has(self, failure: Failure) -> bool {
        self.0 & (1 << failure as u8) != 0
    }
}

/// What becomes of a request after a failed try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Next {
    /// Whether the failure counts against the server.
    pub counts: bool,
    /// Whether the next server is tried.
    pub goes_on: bool,
}

/// What becomes of a failed try. `tries_left` counts this one; `in_time` is false if `proxy_next_upstream_timeout`
/// is over.
///
/// A connection that failed and a timeout always count. An answer with a bad status counts only if it is listed and the
/// request goes on to the next server: the last server's answer is passed on as it is, and nobody blames the server.
pub fn next(failure: Failure, listed: Failures, tries_left: u32, in_time: bool) -> Next {
    let goes_on = listed.has(failure) && tries_left > 1 && in_time;
    let is_answer = !matches!(failure, Failure::Error | Failure::Timeout);
    Next { counts: goes_on || !is_answer, goes_on }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upstream(weights: &[u32]) -> Upstream {
        let mut upstream = Upstream::new(weights);
        (0..weights.len() as u32).for_each(|s| upstream.set_member(s, true));
        upstream
    }

    const CONFIG: ServerConfig = ServerConfig { max_fails: 1, fail_timeout: 10 };

    fn order(upstream: &mut Upstream, picks: usize) -> String {
        let pick = |_| upstream.pick(&CONFIG, 0, Tried::default());
        (0..picks).map(pick).map(|s| s.map_or('_', |s| char::from(b'A' + s as u8))).collect()
    }

    #[test]
    fn turns_are_smooth() {
        assert_eq!(order(&mut upstream(&[5, 1, 1]), 14), "AABACAA".repeat(2));
        assert_eq!(order(&mut upstream(&[4, 3, 2, 1]), 10), "ABCABDACBA");
    }

    #[test]
    fn a_failure_leaves_a_server_out_and_lowers_its_weight_for_a_while() {
        let mut upstream = upstream(&[4, 4]);
        assert_eq!(upstream.pick(&CONFIG, 0, Tried::default()), Some(0));
        upstream.free(&CONFIG, 0, 0, true);
        for clock in 0..=10 {
            assert_eq!(upstream.pick(&CONFIG, clock, Tried::default()), Some(1), "{clock}");
        }
        // More than ten whole seconds: one request is let, and no other until it has done well.
        let picks: Vec<_> = (0..6).filter_map(|_| upstream.pick(&CONFIG, 11, Tried::default())).collect();
        assert_eq!(picks.iter().filter(|s| **s == 0).count(), 1, "{picks:?}");
        upstream.free(&CONFIG, 11, 0, false);
        assert!((0..8).any(|_| upstream.pick(&CONFIG, 11, Tried::default()) == Some(0)));
    }

    #[test]
    fn there_is_no_failing_open_but_a_single_server_is_always_tried() {
        let mut two = upstream(&[1, 1]);
        (0..2).for_each(|s| two.free(&CONFIG, 5, s, true));
        assert_eq!(two.pick(&CONFIG, 15, Tried::default()), None);
        assert!(two.pick(&CONFIG, 16, Tried::default()).is_some());
        let mut one = upstream(&[1]);
        one.free(&CONFIG, 5, 0, true);
        assert_eq!(one.pick(&CONFIG, 5, Tried::default()), Some(0));
    }

    #[test]
    fn an_answer_counts_only_if_the_request_goes_on() {
        let listed = Failures::of(&[Failure::Error, Failure::Timeout, Failure::Http500]);
        assert_eq!(next(Failure::Http500, listed, 2, true), Next { counts: true, goes_on: true });
        assert_eq!(next(Failure::Http500, listed, 1, true), Next { counts: false, goes_on: false });
        assert_eq!(next(Failure::Http503, listed, 3, true), Next { counts: false, goes_on: false });
        assert_eq!(next(Failure::Error, listed, 1, true), Next { counts: true, goes_on: false });
        assert_eq!(next(Failure::Error, Failures::default(), 3, true), Next { counts: true, goes_on: false });
        assert_eq!(next(Failure::Timeout, listed, 3, false), Next { counts: true, goes_on: false });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn who_is_left_out_is_not_picked_and_weights_stay_in_range(
            weights in prop::collection::vec(1u32..8, 2..7),
            max_fails in 0u32..4,
            fail_timeout in 0i64..6,
            steps in prop::collection::vec((0i64..3, any::<bool>()), 1..80),
        ) {
            let config = ServerConfig { max_fails, fail_timeout };
            let mut upstream = upstream(&weights);
            let (mut now, mut tried) = (0, Tried::default());
            for (wait, failed) in steps {
                now += wait;
                let usable: Vec<u32> = (0..weights.len() as u32)
                    .filter(|s| upstream.is_usable(&config, now, tried, *s))
                    .collect();
                let picked = upstream.pick(&config, now, tried);
                prop_assert_eq!(picked.is_some(), !usable.is_empty());
                let Some(server) = picked else { tried = Tried::default(); continue };
                prop_assert!(usable.contains(&server) && !tried.has(server));
                upstream.free(&config, now, server, failed);
                if failed { tried.note(server) } else { tried = Tried::default() }
                for s in &upstream.servers {
                    prop_assert!((0..=s.weight).contains(&s.effective));
                    prop_assert!(s.checked <= now && s.accessed <= s.checked);
                }
                let turns: i64 = upstream.servers.iter().map(|s| s.current).sum();
                prop_assert_eq!(turns, 0, "what one server is owed, others owe");
            }
        }
    }
}
