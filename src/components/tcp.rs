//! TCP of Linux, as far as a call notices it: how long a connection takes to open, when what was lost is sent again,
//! and when a dead peer is noticed.
//!
//! ```text
//!   SYN:   since 6.5 at 0, 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s, given up at 131 s  (tcp_syn_linear_timeouts = 4)
//!          before    at 0, 1, 3, 7, 15, 31 and 63 s, given up at 127 s               (tcp_syn_retries = 6)
//!   RTO:   SRTT + max(4 RTTVAR, 200 ms), doubling up to 120 s
//!   peer:  given up after 15 retransmissions: 924.6 s with an RTO of 200 ms          (tcp_retries2 = 15)
//! ```
//!
//! (Observed on Linux 6.18, with a full backlog: 1.0, 2.0, 3.1, 4.1, 5.1, 7.1, 11.3, 19.5 and 35.6 s. RFC 6298 and
//! `net/ipv4/tcp_timer.c` for the rest.) The linear part is older folklore's surprise: a SYN that is lost twice costs
//! two seconds, not three.

use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// The least that variance adds to a retransmission timeout.
const RTO_MIN: SimDuration = SimDuration::from_ms(200);

/// The longest retransmission timeout.
const RTO_MAX: SimDuration = SimDuration::from_secs(120);

/// The first timeout of a SYN, before anything is known of the way.
const SYN_RTO: SimDuration = SimDuration::from_secs(1);

/// How SYNs are repeated: `net.ipv4.tcp_syn_retries` and, since Linux 6.5, `tcp_syn_linear_timeouts`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SynRetries {
    /// Repetitions whose timeout doubles.
    pub retries: u32,
    /// Repetitions before those, a second from one to the next; 0 before Linux 6.5.
    pub linear: u32,
}

impl SynRetries {
    /// Linux 6.5 and later.
    pub const LINUX_6_5: Self = Self { retries: 6, linear: 4 };

    /// When SYN number `n` (from 0) is sent, after `connect` was called; `None` if there is none.
    pub fn sent_at(self, n: u32) -> Option<SimDuration> {
        (n <= self.retries + self.linear).then(|| self.at(n))
    }

    /// When `connect` fails.
    pub fn given_up_at(self) -> SimDuration {
        self.at(self.retries + self.linear + 1)
    }

    fn at(self, n: u32) -> SimDuration {
        if n <= self.linear {
            return SYN_RTO.scaled(f64::from(n));
        }
        // Doubling begins with the second that the linear part would have waited next.
        let doubled = libm::exp2(f64::from(n - self.linear)) - 1.0;
        SYN_RTO.scaled(f64::from(self.linear) + doubled)
    }
}

/// The retransmission timeout of a way whose round trips have this mean and deviation.
pub fn rto(srtt: SimDuration, rttvar: SimDuration) -> SimDuration {
    (srtt + rttvar.scaled(4.0).max(RTO_MIN)).min(RTO_MAX)
}

/// From a message, or its repetition number `n`, to the next repetition.
pub fn backed_off(rto: SimDuration, n: u32) -> SimDuration {
    rto.scaled(libm::exp2(f64::from(n.min(64)))).min(RTO_MAX)
}

/// When a peer that answers no more is given up, after the first message to it (`net.ipv4.tcp_retries2`).
pub fn dead_after(rto: SimDuration, retries2: u32) -> SimDuration {
    (0..=retries2).fold(SimDuration::ZERO, |sum, n| sum + backed_off(rto, n))
}

/// What TLS adds to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// Nothing.
    None,
    /// Version 1.2: two round trips.
    Tls12,
    /// Version 1.3: one.
    Tls13,
    /// Version 1.3 with early data: none.
    Tls13Early,
}

impl Tls {
    /// Round trips of a full handshake.
    pub fn round_trips(self) -> u32 {
        match self {
            Self::None | Self::Tls13Early => 0,
            Self::Tls13 => 1,
            Self::Tls12 => 2,
        }
    }
}

/// The open connections of one caller that nobody uses, last used first.
#[derive(Clone, Debug)]
pub struct Idle {
    keep: Option<SimDuration>,
    since: VecDeque<SimTime>,
}

impl Idle {
    /// No connection is open. Without `keep` none ever stays so.
    pub fn new(keep: Option<SimDuration>) -> Self {
        Self { keep, since: VecDeque::new() }
    }

    /// Changes how long connections are kept.
    pub fn reconfigure(&mut self, keep: Option<SimDuration>, now: SimTime) {
        self.keep = keep;
        self.expire(now);
    }

    /// Takes an open connection, if there is one.
    pub fn take(&mut self, now: SimTime) -> bool {
        self.expire(now);
        self.since.pop_back().is_some()
    }

    /// A connection is used no more, and stays open for others.
    pub fn give_back(&mut self, now: SimTime) {
        if self.keep.is_some() {
            self.expire(now);
            self.since.push_back(now);
        }
    }

    /// How many there are at `now`.
    pub fn live(&mut self, now: SimTime) -> u32 {
        self.expire(now);
        self.since.len() as u32
    }

    /// All connections turn out to be dead.
    pub fn clear(&mut self) {
        self.since.clear();
    }

    /// How many there are, those that have expired since the last call included.
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    fn expire(&mut self, now: SimTime) {
        let keep = self.keep.unwrap_or(SimDuration::ZERO);
        while self.since.front().is_some_and(|since| self.keep.is_none() || now.since(*since) >= keep) {
            self.since.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(syn: SynRetries) -> Vec<f64> {
        (0..).map_while(|n| syn.sent_at(n)).map(SimDuration::seconds).collect()
    }

    #[test]
    fn syns_are_sent_as_the_kernel_sends_them() {
        assert_eq!(
            seconds(SynRetries::LINUX_6_5),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 11.0, 19.0, 35.0, 67.0]
        );
        assert_eq!(SynRetries::LINUX_6_5.given_up_at().seconds(), 131.0);
        let older = SynRetries { linear: 0, ..SynRetries::LINUX_6_5 };
        assert_eq!(seconds(older), [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0]);
        assert_eq!(older.given_up_at().seconds(), 127.0);
        // As it was observed.
        for (ours, theirs) in
            seconds(SynRetries::LINUX_6_5)[1..].iter().zip([1.0, 2.0, 3.1, 4.1, 5.1, 7.1, 11.3, 19.5, 35.6])
        {
            assert!((ours / theirs - 1.0).abs() < 0.04);
        }
    }

    #[test]
    fn a_dead_peer_is_noticed_after_a_quarter_of_an_hour() {
        let ms = SimDuration::from_ms;
        assert_eq!(dead_after(ms(200), 15).seconds(), 924.6);
        assert_eq!(rto(ms(10), ms(1)), ms(210));
        assert_eq!(rto(ms(100), ms(100)), ms(500));
        assert_eq!((backed_off(ms(210), 0), backed_off(ms(210), 2)), (ms(210), ms(840)));
        assert_eq!(backed_off(ms(210), 90), RTO_MAX);
    }

    #[test]
    fn handshakes_take_their_round_trips() {
        assert_eq!([Tls::None, Tls::Tls12, Tls::Tls13, Tls::Tls13Early].map(Tls::round_trips), [0, 2, 1, 0]);
    }

    #[test]
    fn the_connection_used_last_is_used_next_and_old_ones_are_closed() {
        let at = |s: u64| SimTime::ZERO + SimDuration::from_secs(s);
        let mut idle = Idle::new(Some(SimDuration::from_secs(60)));
        assert!(!idle.take(at(0)));
        idle.give_back(at(1));
        idle.give_back(at(50));
        assert!(idle.take(at(60)), "the younger one");
        assert!(!idle.take(at(61)), "the older one has expired");
        let mut none = Idle::new(None);
        none.give_back(at(1));
        assert!(none.is_empty() && !none.take(at(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn syns_come_later_and_later_and_then_there_is_an_end(retries in 0u32..12, linear in 0u32..12) {
            let syn = SynRetries { retries, linear };
            let all = seconds(syn);
            prop_assert_eq!(all.len() as u32, retries + linear + 1);
            for three in all.windows(3) {
                prop_assert!(three[2] - three[1] >= three[1] - three[0]);
            }
            prop_assert!(syn.given_up_at().seconds() > *all.last().unwrap());
        }
    }
}
