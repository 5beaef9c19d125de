//! Nodes below pods.

use super::super::decode::Map;
use super::super::dist::Distribution;
use super::super::quantity::{Cores, Ratio, Seconds};
use crate::record;

record! {
    /// What a pod of a service needs of a node.
    pub struct NodePod [request, image_pull] {
        /// The CPU that it requests: what counts for its place, whatever it uses.
        request: Cores,
        /// The time to pull its image. The first pod of the service on a node pulls it; others wait for the
        /// same pull, and later ones have it.
        image_pull: Distribution = "0s",
    }
}

record! {
    /// Kubernetes' Cluster Autoscaler (1.30), and the nodes that it adds and takes away. Pods of the services named run
    /// on nodes: each goes to the one with the most CPU that is not requested, or is pending until one has room. At
    /// every scan as many nodes are asked for as the pending pods need. So a new instance comes at the end of a chain:
    /// the metric that lags, the autoscaler that looks, the node that boots, the image that is pulled, the process that
    /// starts, the check that must pass. The run starts with the nodes that its pods need. Pods that move to another
    /// node end on the old one before they begin on the new one. Processes that crash start again on their node.
    pub struct ClusterAutoscaler {
        /// The services whose pods run here.
        pods: Map<NodePod>,
        /// What a node has for pods (`allocatable`).
        node_cores: Cores,
        /// The fewest nodes.
        min_nodes: u32 = 1,
        /// The most nodes.
        max_nodes: u32,
        /// The time from asking for a node until pods can run on it.
        node_boot: Distribution = "2min",
        /// From one scan to the next (`scan-interval`).
        scan_interval: Seconds = "10s",
        /// How long a node may take to come. Then it is given up, and no other is asked for in the 5 minutes that
        /// follow, 10 the next time, and so on to 30 (`max-node-provision-time`).
        max_node_provision_time: Seconds = "15min",
        /// A node of which less than this is requested, and whose pods fit elsewhere, is unneeded
        /// (`scale-down-utilization-threshold`).
        scale_down_utilization_threshold: Ratio = "50%",
        /// How long it is unneeded before it goes (`scale-down-unneeded-time`).
        scale_down_unneeded_time: Seconds = "10min",
        /// How long after a node was asked for none goes (`scale-down-delay-after-add`).
        scale_down_delay_after_add: Seconds = "10min",
    }
}
