//! Sticky sessions: a session stays with the target of its first request.
//!
//! Intuition: what a target remembers of a session is found again; in return, load moves to new targets only as fast as
//! sessions end, and a target that fails takes all of its sessions with it.
//!
//! Source: AWS ALB `lb_cookie`, user guide of June 2023: the cookie is renewed by every request; who finds its target
//! unhealthy or gone gets a new one, and stays there.

use crate::base::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// The sessions of one balancer.
#[derive(Clone, Debug, Default)]
pub struct Sticky {
    /// By session: its target, and until when that holds.
    bound: BTreeMap<u64, (u32, SimTime)>,
}

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// It has no target, or had none for too long.
    Free,
    /// It has this one.
    To(u32),
}

impl Sticky {
    /// Where a session's next request goes.
    pub fn target(&self, now: SimTime, session: u64) -> Bound {
        match self.bound.get(&session) {
            Some((target, until)) if now < *until => Bound::To(*target),
            _ => Bound::Free,
        }
    }

    /// A session's request goes to a target, and the session is bound to it for so long from now.
    pub fn bind(&mut self, now: SimTime, session: u64, target: u32, duration: SimDuration) {
        self.bound.insert(session, (target, now + duration));
    }

    /// Forgets all sessions.
    pub fn clear(&mut self) {
        self.bound.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_renews_the_binding() {
        let at = |s| SimTime::ZERO + SimDuration::from_secs(s);
        let (mut sticky, duration) = (Sticky::default(), SimDuration::from_secs(10));
        assert_eq!(sticky.target(at(0), 7), Bound::Free);
        sticky.bind(at(0), 7, 3, duration);
        assert_eq!(sticky.target(at(9), 7), Bound::To(3));
        assert_eq!(sticky.target(at(9), 8), Bound::Free);
        sticky.bind(at(9), 7, 3, duration);
        assert_eq!(sticky.target(at(18), 7), Bound::To(3));
        assert_eq!(sticky.target(at(19), 7), Bound::Free);
    }
}
