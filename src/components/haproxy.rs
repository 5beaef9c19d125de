//! HAProxy's servers: one counter of checks, errors of traffic, and a line for those who wait for a connection.
//!
//! Intuition: `maxconn` keeps a server at the load where it is fast, and the rest waits in HAProxy, where waiting is
//! cheap and comes to an end. Health is one number: below `rise` the server is down.
//!
//! ```text
//!   health:   0 … rise − 1    │  rise … rise + fall − 1
//!             DOWN            │  UP
//!   pass:     + 1, and from rise on at once to the top      fail: − 1, and from below rise on at once to 0
//! ```
//!
//! At the start of the process the counter is at `rise`: the server is up, but the first failed check takes it down.
//!
//! Source: HAProxy 2.6.12, `src/check.c`, `src/queue.c`, `src/backend.c`, compared with recordings
//! (`tests/conformance/haproxy`).

use crate::base::SimDuration;
use std::collections::VecDeque;

/// How a server is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckConfig {
    /// Passed checks that bring it up; at least 1.
    pub rise: u32,
    /// Failed checks that take it down; at least 1.
    pub fall: u32,
    /// From the end of a check to the next, where nothing is in doubt.
    pub inter: SimDuration,
    /// The same in between.
    pub fastinter: SimDuration,
    /// The same where it is down for sure.
    pub downinter: SimDuration,
}

/// What errors of traffic do once there are too many in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnError {
    /// The next check comes soon.
    Fastinter,
    /// They count as a failed check.
    FailCheck,
    /// One more failed check takes the server down.
    SuddenDeath,
    /// They take the server down.
    MarkDown,
}

/// The health of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    health: u32,
    errors: u32,
}

impl Health {
    /// At the start of the process, or of the server.
    pub fn new(config: &CheckConfig) -> Self {
        Self { health: config.rise, errors: 0 }
    }

    /// Whether it gets requests.
    #[inline]
    pub fn is_up(&self, config: &CheckConfig) -> bool {
        self.health >= config.rise
    }

    /// Whether nothing is in doubt.
    fn is_full(&self, config: &CheckConfig) -> bool {
        self.health >= config.rise + config.fall - 1
    }

    /// The state as the statistics page has it: up, and the counter within that state and its top.
    pub fn status(&self, config: &CheckConfig) -> (bool, u32, u32) {
        match self.is_up(config) {
            true => (true, self.health - config.rise + 1, config.fall),
            false => (false, self.health, config.rise),
        }
    }

    /// A check ended.
    pub fn on_check(&mut self, config: &CheckConfig, passed: bool) {
        let top = config.rise + config.fall - 1;
        if passed {
            self.health = (self.health + 1).min(top);
            if self.health >= config.rise {
                self.health = top;
            }
        } else {
            self.health = self.health.saturating_sub(1);
            if self.health < config.rise {
                self.health = 0;
            }
        }
    }

    /// A request did well or not, where traffic is observed. Answers whether the next check is to come soon.
    pub fn on_traffic(&mut self, config: &CheckConfig, failed: bool, limit: u32, on_error: OnError) -> bool {
        if !failed {
            self.errors = 0;
            return false;
        }
        self.errors += 1;
        if self.errors < limit {
            return false;
        }
        self.errors = 0;
        match on_error {
            OnError::Fastinter => return true,
            OnError::SuddenDeath if self.health > config.rise => self.health = config.rise + 1,
            OnError::MarkDown => self.health = self.health.min(config.rise),
            OnError::SuddenDeath | OnError::FailCheck => {}
        }
        self.on_check(config, false);
        true
    }

    /// From the end of a check to the next.
    pub fn inter(&self, config: &CheckConfig) -> SimDuration {
        match self.health {
            0 => config.downinter,
            _ if self.is_full(config) => config.inter,
            _ => config.fastinter,
        }
    }

    /// Other settings: the counter stays in its range, and the server as it is.
    pub fn reconfigure(&mut self, before: &CheckConfig, config: &CheckConfig) {
        self.health = match self.is_up(before) {
            true => config.rise + config.fall - 1,
            false => 0,
        };
    }
}

/// How many requests a server may have at once: `maxconn`, or less while the backend is not full, but at least
/// `minconn`. 0 is any number.
pub fn limit(maxconn: u32, minconn: u32, fullconn: u32, backend_connections: u32) -> u32 {
    // Only `minconn`, or one above `maxconn`: that is the limit.
    let maxconn = maxconn.max(minconn);
    if maxconn == 0 || minconn == 0 || minconn == maxconn || backend_connections >= fullconn {
        return maxconn;
    }
    let share = u64::from(backend_connections) * u64::from(maxconn) / u64::from(fullconn);
    minconn.max(share as u32)
}

/// Those who wait: for one server each, or for any.
#[derive(Clone, Debug)]
pub struct Queues<T> {
    any: VecDeque<(u64, T)>,
    servers: Vec<VecDeque<(u64, T)>>,
    came: u64,
}

impl<T: Copy + PartialEq> Queues<T> {
    /// Empty ones for so many servers.
    pub fn new(servers: usize) -> Self {
        Self { any: VecDeque::new(), servers: vec![VecDeque::new(); servers], came: 0 }
    }

    /// Somebody begins to wait for a server, or for any.
    pub fn push(&mut self, server: Option<u32>, who: T) {
        self.came += 1;
        let line = server.map_or(&mut self.any, |s| &mut self.servers[s as usize]);
        line.push_back((self.came, who));
    }

    /// A server has room: who has waited longest, of those who wait for it and of those who wait for any.
    pub fn pop(&mut self, server: u32) -> Option<T> {
        let own = &mut self.servers[server as usize];
        let line = match (own.front(), self.any.front()) {
            (Some((own_came, _)), Some((any_came, _))) if any_came < own_came => &mut self.any,
            (Some(_), _) => own,
            (None, _) => &mut self.any,
        };
        line.pop_front().map(|(_, who)| who)
    }

    /// One of those who wait for a server that is down: each looks for another.
    pub fn pop_own(&mut self, server: u32) -> Option<T> {
        self.servers[server as usize].pop_front().map(|(_, who)| who)
    }

    /// Somebody waits no more; whether it did wait.
    pub fn remove(&mut self, who: T) -> bool {
        for line in std::iter::once(&mut self.any).chain(&mut self.servers) {
            // Who has waited longest gives up first, as a rule.
            if let Some(at) = line.iter().position(|(_, other)| *other == who) {
                line.remove(at);
                return true;
            }
        }
        false
    }

    /// How many wait for a server alone.
    pub fn waiting_for(&self, server: u32) -> u32 {
        self.servers[server as usize].len() as u32
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        (self.any.len() + self.servers.iter().map(VecDeque::len).sum::<usize>()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(rise: u32, fall: u32) -> CheckConfig {
        CheckConfig {
            rise,
            fall,
            inter: SimDuration::from_secs(2),
            fastinter: SimDuration::from_secs(1),
            downinter: SimDuration::from_secs(5),
        }
    }

    fn checks(results: &str) -> String {
        let config = config(2, 3);
        let mut health = Health::new(&config);
        let mut step = |check| {
            health.on_check(&config, check == '+');
            let (up, at, of) = health.status(&config);
            format!("{}{at}/{of}@{} ", if up { 'U' } else { 'D' }, health.inter(&config).seconds())
        };
        results.chars().map(&mut step).collect()
    }

    #[test]
    fn the_first_failed_check_takes_a_server_down_and_later_three_are_needed() {
        assert_eq!(checks("-++"), "D0/2@5 D1/2@1 U3/3@2 ");
        assert_eq!(checks("+--+---"), "U3/3@2 U2/3@1 U1/3@1 U3/3@2 U2/3@1 U1/3@1 D0/2@5 ");
        assert_eq!(checks("-+-++"), "D0/2@5 D1/2@1 D0/2@5 D1/2@1 U3/3@2 ");
    }

    #[test]
    fn errors_of_traffic_do_what_they_are_told() {
        let config = config(2, 3);
        let after = |on_error, errors: u32| {
            let mut health = Health::new(&config);
            health.on_check(&config, true);
            let soon = (0..errors).map(|_| health.on_traffic(&config, true, 10, on_error)).last();
            (health.status(&config), soon.unwrap())
        };
        assert_eq!(after(OnError::FailCheck, 9), ((true, 3, 3), false));
        assert_eq!(after(OnError::FailCheck, 10), ((true, 2, 3), true));
        assert_eq!(after(OnError::FailCheck, 30), ((false, 0, 2), true));
        assert_eq!(after(OnError::Fastinter, 10), ((true, 3, 3), true));
        assert_eq!(after(OnError::SuddenDeath, 10), ((true, 1, 3), true));
        assert_eq!(after(OnError::MarkDown, 10), ((false, 0, 2), true));
    }

    #[test]
    fn a_server_that_is_not_full_has_a_smaller_limit() {
        assert_eq!(limit(0, 0, 0, 50), 0);
        assert_eq!(limit(100, 0, 1000, 50), 100);
        assert_eq!(limit(100, 10, 1000, 50), 10);
        assert_eq!(limit(100, 10, 1000, 500), 50);
        assert_eq!(limit(100, 10, 1000, 1000), 100);
        assert_eq!(limit(0, 10, 1000, 0), 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn the_counter_stays_in_its_range_and_moves_by_its_rule(
            rise in 1u32..6,
            fall in 1u32..6,
            steps in prop::collection::vec(0u8..4, 1..60),
        ) {
            let config = config(rise, fall);
            let mut health = Health::new(&config);
            let (mut passes, mut fails) = (0, 0);
            for step in steps {
                let was = health.is_up(&config);
                match step {
                    0 | 1 => {
                        health.on_check(&config, step == 0);
                        if step == 0 { (passes, fails) = (passes + 1, 0) } else { (passes, fails) = (0, fails + 1) }
                        if passes >= rise { prop_assert!(health.is_up(&config)); }
                        if fails >= fall { prop_assert!(!health.is_up(&config)); }
                        if step == 0 { prop_assert!(!was || health.is_up(&config)); }
                        else { prop_assert!(was || !health.is_up(&config)); }
                    }
                    2 => {
                        health.on_traffic(&config, true, 2, OnError::SuddenDeath);
                        passes = 0;
                    }
                    _ => { health.on_traffic(&config, false, 2, OnError::SuddenDeath); }
                }
                prop_assert!(health.health < rise + fall);
            }
        }

        #[test]
        fn lines_are_first_come_first_served(steps in prop::collection::vec((0u8..4, 0u32..4), 0..80)) {
            let mut queues = Queues::new(4);
            let mut model: Vec<(Option<u32>, u32)> = Vec::new();
            for (number, (action, server)) in steps.into_iter().enumerate() {
                let who = number as u32;
                match action {
                    0 => { queues.push(Some(server), who); model.push((Some(server), who)); }
                    1 => { queues.push(None, who); model.push((None, who)); }
                    2 => {
                        let at = model.iter().position(|(to, _)| to.is_none_or(|to| to == server));
                        prop_assert_eq!(queues.pop(server), at.map(|at| model.remove(at).1));
                    }
                    _ => {
                        let who = model.get(server as usize).map(|m| m.1);
                        if let Some(who) = who {
                            prop_assert!(queues.remove(who));
                            model.remove(server as usize);
                            prop_assert!(!queues.remove(who));
                        }
                    }
                }
                prop_assert_eq!(queues.waiting() as usize, model.len());
            }
        }
    }
}
