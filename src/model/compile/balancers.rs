//! Balancers by product, from the language's types to the model's.

use crate::base::SimDuration;
use crate::components::envoy::CheckConfig;
use crate::components::haproxy::{self, OnError};
use crate::components::health::{HealthConfig, TargetHealth};
use crate::components::nginx::{Failure, Failures, ServerConfig};
use crate::components::outlier::OutlierConfig;
use crate::model::HealthCheck;
use crate::model::balancers::{Alb, CheckRule, Envoy, Haproxy, Nginx, Observe, Product};
use crate::spec::balancer as sp;
use crate::spec::quantity::Seconds;
use crate::spec::topology::Balancer;

pub(super) fn product(product: &sp::BalancerProduct) -> Product {
    match product {
        sp::BalancerProduct::Alb(alb) => Product::Alb(Alb {
            minimum_count: alb.minimum_healthy_targets_count,
            minimum_percent: alb.minimum_healthy_targets_percentage,
        }),
        sp::BalancerProduct::Envoy(e) => Product::Envoy(Envoy {
            outlier: e.outlier_detection.as_ref().map(outlier),
            panic_threshold: e.healthy_panic_threshold,
            fail_traffic_on_panic: e.fail_traffic_on_panic,
            update_merge_window: e.update_merge_window.duration(),
        }),
        sp::BalancerProduct::Nginx(n) => {
            let next: Vec<Failure> = n.proxy_next_upstream.iter().map(failure).collect();
            Product::Nginx(Nginx {
                server: ServerConfig { max_fails: n.max_fails, fail_timeout: n.fail_timeout.0 as i64 },
                next: Failures::of(&next),
                tries_max: n.proxy_next_upstream_tries,
                next_timeout: n.proxy_next_upstream_timeout.duration(),
            })
        }
        sp::BalancerProduct::Haproxy(h) => Product::Haproxy(Haproxy {
            check: h.check.as_ref().map(haproxy_check),
            observe: h.observe.as_ref().map(|o| match o {
                sp::HaproxyObserve::Layer4 => Observe::Layer4,
                sp::HaproxyObserve::Layer7 => Observe::Layer7,
            }),
            error_limit: h.error_limit,
            on_error: match h.on_error {
                sp::HaproxyOnError::Fastinter => OnError::Fastinter,
                sp::HaproxyOnError::FailCheck => OnError::FailCheck,
                sp::HaproxyOnError::SuddenDeath => OnError::SuddenDeath,
                sp::HaproxyOnError::MarkDown => OnError::MarkDown,
            },
            maxconn: h.maxconn,
            minconn: h.minconn,
            fullconn: h.fullconn,
            maxqueue: h.maxqueue,
            timeout_queue: h.timeout_queue.unwrap_or(h.timeout_connect).duration(),
            turn_around: h.timeout_connect.duration().min(SimDuration::from_secs(1)),
            retries: h.retries,
            redispatch: h.redispatch,
        }),
    }
}

/// How long a balancer waits for an answer.
pub(super) fn patience(b: &Balancer) -> Option<SimDuration> {
    let limit = match &b.product {
        sp::BalancerProduct::Alb(_) => return b.idle_timeout.map(|t| t.duration()),
        sp::BalancerProduct::Envoy(e) => e.timeout.duration(),
        sp::BalancerProduct::Nginx(n) => n.proxy_read_timeout.duration(),
        sp::BalancerProduct::Haproxy(h) => return h.timeout_server.map(|t| t.duration()),
    };
    (!limit.is_zero()).then_some(limit)
}

/// The checks that a product makes in its own way.
pub(super) fn check(product: &sp::BalancerProduct, find: impl Fn(&str) -> u32) -> Option<HealthCheck> {
    match product {
        sp::BalancerProduct::Alb(_) | sp::BalancerProduct::Nginx(_) => None,
        sp::BalancerProduct::Haproxy(h) => h.check.as_ref().map(|c| HealthCheck {
            endpoint: find(&c.endpoint.value),
            interval: c.inter.duration(),
            timeout: c.timeout_check.unwrap_or(c.inter).duration(),
            thresholds: HealthConfig { healthy_threshold: c.rise, unhealthy_threshold: c.fall },
            initial: TargetHealth::Healthy,
            rule: CheckRule::Haproxy(haproxy_check(c)),
        }),
        sp::BalancerProduct::Envoy(e) => e.health_check.as_ref().map(|c| {
            let or = |given: Option<Seconds>, other: SimDuration| given.map_or(other, |t| t.duration());
            let interval = c.interval.duration();
            let unhealthy_interval = or(c.unhealthy_interval, interval);
            HealthCheck {
                endpoint: find(&c.endpoint.value),
                interval,
                timeout: c.timeout.duration(),
                thresholds: HealthConfig {
                    healthy_threshold: c.healthy_threshold,
                    unhealthy_threshold: c.unhealthy_threshold,
                },
                initial: TargetHealth::Healthy,
                rule: CheckRule::Envoy(CheckConfig {
                    interval,
                    interval_jitter: c.interval_jitter.duration(),
                    unhealthy_threshold: c.unhealthy_threshold,
                    healthy_threshold: c.healthy_threshold,
                    no_traffic_interval: c.no_traffic_interval.duration(),
                    unhealthy_interval,
                    unhealthy_edge_interval: or(c.unhealthy_edge_interval, unhealthy_interval),
                    healthy_edge_interval: or(c.healthy_edge_interval, interval),
                }),
            }
        }),
    }
}

fn haproxy_check(c: &sp::HaproxyCheck) -> haproxy::CheckConfig {
    haproxy::CheckConfig {
        rise: c.rise,
        fall: c.fall,
        inter: c.inter.duration(),
        fastinter: c.fastinter.unwrap_or(c.inter).duration(),
        downinter: c.downinter.unwrap_or(c.inter).duration(),
    }
}

fn failure(failure: &sp::NextUpstream) -> Failure {
    match failure {
        sp::NextUpstream::Error => Failure::Error,
        sp::NextUpstream::Timeout => Failure::Timeout,
        sp::NextUpstream::Http500 => Failure::Http500,
        sp::NextUpstream::Http503 => Failure::Http503,
        sp::NextUpstream::Http504 => Failure::Http504,
    }
}

fn outlier(o: &sp::OutlierDetection) -> OutlierConfig {
    let base = o.base_ejection_time.duration();
    let longest = OutlierConfig::ENVOY.max_ejection_time.max(base);
    OutlierConfig {
        interval: o.interval.duration(),
        base_ejection_time: base,
        max_ejection_time: o.max_ejection_time.map_or(longest, |t| t.duration()),
        max_ejection_time_jitter: o.max_ejection_time_jitter.duration(),
        max_ejection_percent: o.max_ejection_percent,
        always_eject_one_host: o.always_eject_one_host,
        consecutive_5xx: o.consecutive_5xx,
        enforcing_consecutive_5xx: o.enforcing_consecutive_5xx,
        consecutive_gateway_failure: o.consecutive_gateway_failure,
        enforcing_consecutive_gateway_failure: o.enforcing_consecutive_gateway_failure,
        success_rate_minimum_hosts: o.success_rate_minimum_hosts,
        success_rate_request_volume: o.success_rate_request_volume,
        success_rate_stdev_factor: o.success_rate_stdev_factor,
        enforcing_success_rate: o.enforcing_success_rate,
        failure_percentage_threshold: o.failure_percentage_threshold,
        enforcing_failure_percentage: o.enforcing_failure_percentage,
        failure_percentage_minimum_hosts: o.failure_percentage_minimum_hosts,
        failure_percentage_request_volume: o.failure_percentage_request_volume,
        successful_active_health_check_uneject_host: o.successful_active_health_check_uneject_host,
    }
}
