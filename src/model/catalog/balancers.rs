//! Meters and metrics of what balancers answer themselves, and of what single products do.

use super::{BalancerMeters, Builder};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Model;
use crate::model::balancers::Product;

impl Builder {
    /// The meters of a balancer's products, and the metrics of those that it is at some time.
    pub(super) fn balancer_product(&mut self, index: usize, path: &str, model: &Model) {
        let meters = BalancerMeters {
            http_502: self.counter(),
            http_503: self.counter(),
            http_504: self.counter(),
            retries: self.counter(),
            ejections: self.counter(),
            ejections_overflow: self.counter(),
            queue: self.gauge(),
            ejected: self.gauge(),
            ..self.catalog.balancers[index]
        };
        self.catalog.balancers[index] = meters;
        let mut rate = |name: &str, meaning: &str, counter: u32| {
            self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, Source::CounterRate(counter));
        };
        rate("http_502", "requests that the balancer itself answered with a 502", meters.http_502);
        rate("http_503", "requests that the balancer itself answered with a 503", meters.http_503);
        rate("http_504", "requests that the balancer itself answered with a 504", meters.http_504);
        let products = || model.epochs.iter().map(|epoch| &epoch.balancers[index].product);
        if products().any(|p| matches!(p, Product::Nginx(_) | Product::Haproxy(_))) {
            let meaning = "tries after one that failed: at another target, or, with HAProxy, at the same one";
            self.add(
                format!("{path}.retries"),
                Unit::PerSecond,
                meaning,
                Source::CounterRate(meters.retries),
            );
        }
        if products().any(|p| matches!(p, Product::Haproxy(_))) {
            let unit = Unit::Count("requests");
            self.level(format!("{path}.queue"), unit, "requests that wait for a server", meters.queue, 1.0);
        }
        if products().any(|p| matches!(p, Product::Envoy(e) if e.outlier.is_some())) {
            let path = format!("{path}.outlier_detection");
            for (name, meaning, counter) in [
                ("ejections_enforced_total", "hosts ejected", meters.ejections),
                (
                    "ejections_overflow",
                    "ejections left out because of `max_ejection_percent`",
                    meters.ejections_overflow,
                ),
            ] {
                let unit = Unit::Count("ejections");
                self.add(format!("{path}.{name}"), unit, meaning, Source::CounterTotal(counter));
            }
            let unit = Unit::Count("hosts");
            let path = format!("{path}.ejections_active");
            self.level(path, unit, "hosts ejected", meters.ejected, 1.0);
        }
    }
}
