//! Nodes below pods.

use super::{MANY, positive_time};
use crate::spec::autoscaler::Autoscaler;
use crate::spec::autoscaler::nodes::ClusterAutoscaler;
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::topology::Topology;

/// The most nodes: Kubernetes' own limit for a cluster.
const NODES_MAX: u32 = 5_000;

pub(super) fn cluster_autoscaler(a: &ClusterAutoscaler, topology: &Topology, cx: &mut Context) {
    if a.pods.is_empty() {
        cx.diagnostics.push(
            Diagnostic::error(a.place("pods"), "no pods run on these nodes")
                .help("name services: `pods: { \"api\": NodePod(request: \"500m\") }`"),
        );
    }
    if !(0.001..=f64::from(MANY)).contains(&a.node_cores.0) {
        cx.fail::<()>(a.place("node_cores"), "`node_cores` must be at least a thousandth of a core");
        return;
    }
    for (name, span, pod) in a.pods.spanned() {
        if topology.services.get(name).is_none() {
            cx.diagnostics.push(
                Diagnostic::error(span, format!("there is no service `{name}`"))
                    .nearest(name, topology.services.names()),
            );
            continue;
        }
        if pod.request.0 < 0.001 || pod.request.0 > a.node_cores.0 {
            cx.diagnostics.push(
                Diagnostic::error(pod.place("request"), format!("a pod of `{name}` fits on no node"))
                    .context(a.place("node_cores"), "a node has so much")
                    .help("give a `request` from a thousandth of a core to `node_cores`"),
            );
            continue;
        }
        let mut others = topology.autoscalers.iter().filter_map(|(_, other)| match other {
            Autoscaler::ClusterAutoscaler(other) if other.span != a.span => Some(other),
            _ => None,
        });
        if let Some(at) = others.find_map(|other| other.pods.span(name)) {
            cx.diagnostics.push(
                Diagnostic::error(span, format!("the pods of `{name}` run on the nodes of two autoscalers"))
                    .context(at, "the other is here"),
            );
        }
    }
    if a.max_nodes == 0 || a.max_nodes < a.min_nodes || a.max_nodes > NODES_MAX {
        let message = format!("`max_nodes` must be from 1 to {NODES_MAX}, and not less than `min_nodes`");
        cx.fail::<()>(a.place("max_nodes"), message);
    }
    positive_time(a.scan_interval, "scan_interval", a.place("scan_interval"), cx);
}
