//! nginx: which servers are left out, and what becomes of a failed try.

use super::frame::{Balanced, Call};
use super::minds::Mind;
use super::targets::weights;
use super::{FrameId, World};
use crate::base::{Outcome, SimTime};
use crate::components::balancer::PolicyConfig;
use crate::components::nginx::{Failure, Tried, Upstream, next};
use crate::components::outlier::Cause;
use crate::metrics::{Change, Observer};
use crate::model::Balancer;
use crate::model::balancers::{Nginx, Product};

/// What nginx believes.
#[derive(Debug)]
pub(super) struct NginxMind {
    upstream: Upstream,
    /// Which servers are left out, as far as anybody has looked.
    is_out: Vec<bool>,
    /// When its seconds begin, in seconds.
    phase: f64,
}

impl NginxMind {
    pub fn new(settings: &Balancer, capacity: usize, phase: f64) -> Self {
        let upstream = Upstream::new(&own_weights(settings, capacity));
        Self { upstream, is_out: vec![false; capacity], phase }
    }

    /// Whether a server is left out.
    pub fn is_out(&self, target: u32) -> bool {
        self.is_out[target as usize]
    }

    /// A server joins or leaves.
    pub fn set_member(&mut self, target: u32, is_member: bool) {
        self.upstream.set_member(target, is_member);
        self.is_out[target as usize] = false;
    }

    /// nginx's clock, in whole seconds.
    fn clock(&self, now: SimTime) -> i64 {
        (now.seconds() + self.phase).floor() as i64
    }

    /// Looks at a server: whether it is left out now, if that is new.
    fn look(&mut self, nginx: &Nginx, now: i64, target: u32) -> bool {
        let out = !self.upstream.is_usable(&nginx.server, now, Tried::default(), target);
        std::mem::replace(&mut self.is_out[target as usize], out) != out
    }
}

/// Weights for nginx's own rotation: equal ones, where they are not looked at.
fn own_weights(settings: &Balancer, capacity: usize) -> Vec<u32> {
    match settings.policy {
        PolicyConfig::WeightedRoundRobin => weights(&settings.weights, capacity as u32),
        _ => vec![1; capacity],
    }
}

impl<O: Observer> World<'_, O> {
    /// nginx chooses a server that is neither left out nor tried.
    pub(super) fn nginx_picks(
        &mut self,
        now: SimTime,
        balancer: u32,
        nginx: &Nginx,
        tried: Tried,
        (call, id): (&Call, FrameId),
    ) -> Option<u32> {
        let policy = self.settings().balancers[balancer as usize].policy;
        let is_own = matches!(policy, PolicyConfig::RoundRobin | PolicyConfig::WeightedRoundRobin);
        let targets = self.balancers[balancer as usize].registered.len() as u32;
        // Time alone brings servers back.
        (0..targets).for_each(|target| self.look_at_server(now, balancer, nginx, target));
        let state = &mut self.balancers[balancer as usize];
        let Mind::Nginx(mind) = &mut state.mind else { return None };
        let clock = mind.clock(now);
        let picked = if is_own {
            mind.upstream.pick(&nginx.server, clock, tried)
        } else {
            let members = mind.upstream.members();
            let is_hidden = |t: u32, mind: &Mind| match mind {
                Mind::Nginx(mind) => {
                    members > 1 && tried.has(t) && !mind.is_out(t) && state.registered[t as usize]
                }
                Mind::Alb | Mind::Envoy(_) | Mind::Haproxy(_) => false,
            };
            let hidden: Vec<u32> = (0..targets).filter(|t| is_hidden(*t, &state.mind)).collect();
            hidden.iter().for_each(|t| state.policy.set_eligible(*t, false));
            let picked = self.choose(now, balancer, call, id);
            let state = &mut self.balancers[balancer as usize];
            hidden.iter().for_each(|t| state.policy.set_eligible(*t, true));
            if let (Some(target), Mind::Nginx(mind)) = (picked, &mut state.mind) {
                mind.upstream.sent(&nginx.server, clock, target);
            }
            picked
        };
        if let Some(target) = picked {
            // One on trial is left out for others at once.
            self.look_at_server(now, balancer, nginx, target);
        }
        picked
    }

    fn look_at_server(&mut self, now: SimTime, balancer: u32, nginx: &Nginx, target: u32) {
        let state = &mut self.balancers[balancer as usize];
        let Mind::Nginx(mind) = &mut state.mind else { return };
        let clock = mind.clock(now);
        if state.registered[target as usize] && mind.look(nginx, clock, target) {
            self.believe(now, balancer, target);
        }
    }

    /// nginx learns how a try ended, and says whether it tries another server.
    pub(super) fn nginx_learns(
        &mut self,
        now: SimTime,
        request: &Balanced,
        nginx: &Nginx,
        outcome: Outcome,
        cause: Cause,
    ) -> bool {
        let Balanced { balancer, target, .. } = *request;
        let failure = match (outcome, cause) {
            (Outcome::Ok | Outcome::Degraded | Outcome::Cancelled, _) => None,
            (_, Cause::Refused | Cause::Broken) => Some(Failure::Error),
            (_, Cause::GaveUp) => Some(Failure::Timeout),
            (Outcome::Error, Cause::Answered) => Some(Failure::Http500),
            (Outcome::Timeout, Cause::Answered) => Some(Failure::Http504),
            (Outcome::Rejected | Outcome::Unavailable, Cause::Answered) => Some(Failure::Http503),
        };
        let Mind::Nginx(mind) = &mut self.balancers[balancer as usize].mind else { return false };
        let most = match nginx.tries_max {
            0 => mind.upstream.members(),
            most => most.min(mind.upstream.members()),
        };
        let left = (most + 1).saturating_sub(u32::from(request.tries));
        let in_time = nginx.next_timeout.is_zero() || now.since(request.at) < nginx.next_timeout;
        let what = failure.map(|failure| next(failure, nginx.next, left, in_time));
        let (counts, goes_on) = what.map_or((false, false), |what| (what.counts, what.goes_on));
        let clock = mind.clock(now);
        let was_out = !mind.upstream.is_usable(&nginx.server, clock, Tried::default(), target);
        mind.upstream.free(&nginx.server, clock, target, counts);
        let is_out = !mind.upstream.is_usable(&nginx.server, clock, Tried::default(), target);
        if was_out != is_out {
            let group = self.model.balancers[balancer as usize].group;
            let instance = self.model.groups[group as usize].first + target;
            let change = match is_out {
                true => Change::TargetUnhealthy { balancer, instance },
                false => Change::TargetHealthy { balancer, instance },
            };
            self.note(now, change);
        }
        self.look_at_server(now, balancer, nginx, target);
        goes_on
    }

    /// Settings changed: weights, and all servers if it is nginx only now.
    pub(super) fn reconfigure_nginx(&mut self, now: SimTime, balancer: u32, is_new: bool) {
        let settings = &self.model.epochs[self.epoch].balancers[balancer as usize];
        let Product::Nginx(nginx) = &settings.product else { return };
        let state = &mut self.balancers[balancer as usize];
        let Mind::Nginx(mind) = &mut state.mind else { return };
        let targets = state.registered.len();
        mind.upstream.set_weights(&own_weights(settings, targets));
        let clock = mind.clock(now);
        for target in 0..targets as u32 {
            let is_member = state.registered[target as usize];
            if is_new {
                mind.set_member(target, is_member);
            }
            if is_member {
                mind.look(nginx, clock, target);
            }
        }
    }
}
