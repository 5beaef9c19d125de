//! Settings of balancers that differ by product.

use super::Balancer;
use crate::base::SimDuration;
use crate::components::nginx::{Failures, ServerConfig};
use crate::components::outlier::OutlierConfig;
use crate::components::{envoy, haproxy};

/// Whose balancer it is.
#[derive(Clone, Debug)]
pub enum Product {
    /// AWS's Application Load Balancer.
    Alb(Alb),
    /// Envoy.
    Envoy(Envoy),
    /// nginx.
    Nginx(Nginx),
    /// HAProxy.
    Haproxy(Haproxy),
}

/// A backend of HAProxy.
#[derive(Clone, Copy, Debug)]
pub struct Haproxy {
    /// How servers are checked.
    pub check: Option<haproxy::CheckConfig>,
    /// Which requests tell of health.
    pub observe: Option<Observe>,
    /// Failed ones in a row that are too many.
    pub error_limit: u32,
    /// What they do.
    pub on_error: haproxy::OnError,
    /// Requests that a server has at once; 0 for any number.
    pub maxconn: u32,
    /// The fewest that it may have while the backend is not full.
    pub minconn: u32,
    /// When the backend is full.
    pub fullconn: u32,
    /// The most that wait for one server; 0 for any number.
    pub maxqueue: u32,
    /// How long a request waits for a server.
    pub timeout_queue: SimDuration,
    /// The wait before the same server is tried again.
    pub turn_around: SimDuration,
    /// How often a connection is tried again.
    pub retries: u32,
    /// Whether another server may be tried.
    pub redispatch: bool,
}

/// Which requests tell of a server's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observe {
    /// Connections.
    Layer4,
    /// Answers.
    Layer7,
}

/// The health of an ALB's target group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alb {
    /// With fewer healthy targets it fails open; at least 1.
    pub minimum_count: u32,
    /// With a smaller share of healthy targets, in percent, as well.
    pub minimum_percent: u32,
}

/// An upstream of nginx.
#[derive(Clone, Copy, Debug)]
pub struct Nginx {
    /// Its servers.
    pub server: ServerConfig,
    /// Which failures go on to another server.
    pub next: Failures,
    /// The most tries; 0 for any number.
    pub tries_max: u32,
    /// How long another server may be tried; zero for ever.
    pub next_timeout: SimDuration,
}

/// An Envoy cluster.
#[derive(Clone, Copy, Debug)]
pub struct Envoy {
    /// How it ejects hosts.
    pub outlier: Option<OutlierConfig>,
    /// Percent of healthy hosts below which it panics.
    pub panic_threshold: u32,
    /// Whether it refuses everything then.
    pub fail_traffic_on_panic: bool,
    /// How long changes of health are gathered.
    pub update_merge_window: SimDuration,
}

/// What makes a balancer believe what its checks say.
#[derive(Clone, Copy, Debug)]
pub enum CheckRule {
    /// Checks in a row, at fixed times.
    Alb,
    /// Envoy's.
    Envoy(envoy::CheckConfig),
    /// HAProxy's.
    Haproxy(haproxy::CheckConfig),
}

impl Product {
    /// Whether requests are watched on their way, try by try.
    pub fn watches(&self) -> bool {
        !matches!(self, Self::Alb(_))
    }
}

impl Balancer {
    /// Whether it sends to targets whatever it believes of them, or to none: too few are believed healthy.
    pub fn opens(&self, healthy: u32, targets: u32) -> bool {
        match &self.product {
            Product::Alb(alb) => {
                let is_few = u64::from(healthy) * 100 < u64::from(targets) * u64::from(alb.minimum_percent);
                self.fail_open && (healthy < alb.minimum_count || is_few)
            }
            Product::Envoy(e) => envoy::panics(e.panic_threshold, healthy, targets),
            Product::Nginx(_) | Product::Haproxy(_) => false,
        }
    }

    /// Whether it then sends to all targets, and not to none.
    pub fn sends_when_open(&self) -> bool {
        !matches!(&self.product, Product::Envoy(e) if e.fail_traffic_on_panic)
    }

    /// Whether it never learns that a target is gone.
    pub fn is_blind(&self) -> bool {
        let is_passive = match &self.product {
            Product::Alb(_) => false,
            Product::Envoy(e) => e.outlier.is_some(),
            Product::Nginx(n) => n.server.max_fails > 0,
            Product::Haproxy(_) => false,
        };
        self.check.is_none() && !is_passive
    }
}
