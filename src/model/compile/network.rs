//! The network and connections, from the language's types to the components' own.

use super::draw;
use super::settings::shared;
use crate::base::{SimDuration, salt};
use crate::components::dns::DnsConfig;
use crate::components::tcp::{SynRetries, Tls, rto};
use crate::model::{Connect, DnsLookup, LayerKind};
use crate::spec::policy as sp;
use crate::spec::policy::connect as cs;
use crate::spec::quantity::Seconds;

/// Linux's shortest retransmission timeout.
const RTO_MIN: SimDuration = SimDuration::from_ms(200);

pub(super) fn network(n: &sp::Network, path: &str) -> (LayerKind, bool) {
    let dist = &n.latency.dist;
    let rto = match n.retransmission {
        sp::Retransmission::Minimum => RTO_MIN,
        // There and back: twice the mean, and twice the variance of independent ways.
        sp::Retransmission::Rfc6298 => rto(
            SimDuration::from_seconds(2.0 * dist.mean()),
            SimDuration::from_seconds(libm::sqrt(2.0 * dist.variance())),
        ),
    };
    let latency = draw(dist, &format!("{path}.latency"));
    (LayerKind::Network { latency, loss: n.loss.0, rto }, false)
}

pub(super) fn connect(c: &cs::Connect, path: &str) -> (LayerKind, bool) {
    let dns = c.dns.as_ref().map(|d| DnsLookup {
        config: DnsConfig {
            ttl: d.ttl.duration(),
            negative_ttl: d.negative_ttl.duration(),
            timeout: d.timeout.duration(),
            attempts: d.attempts,
            queries: d.queries,
            loss: d.loss.0,
        },
        latency: draw(&d.latency.dist, &format!("{path}.dns")),
    });
    let kind = LayerKind::Connect(Connect {
        rtt: draw(&c.rtt.dist, &format!("{path}.rtt")),
        tls: match c.tls {
            cs::Tls::Plain => Tls::None,
            cs::Tls::Tls12 => Tls::Tls12,
            cs::Tls::Tls13 => Tls::Tls13,
            cs::Tls::Tls13Early => Tls::Tls13Early,
        },
        tls_time: draw(&c.tls_time.dist, &format!("{path}.tls")),
        dns,
        connect_timeout: c.connect_timeout.map(Seconds::duration),
        keep_alive: c.keep_alive.map(Seconds::duration),
        loss: c.loss.0,
        syn: SynRetries { retries: c.tcp_syn_retries, linear: c.tcp_syn_linear_timeouts },
        retries2: c.tcp_retries2,
        user_timeout: c.tcp_user_timeout.map(Seconds::duration),
        is_black_hole: matches!(c.when_down, cs::WhenDown::BlackHole),
        salt: salt(&format!("{path}.loss")),
    });
    (kind, shared(&c.per))
}
