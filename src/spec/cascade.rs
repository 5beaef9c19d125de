//! The paths that cascades are expected to take.

use super::decode::{Context, Declarations, Decode, Variant as _};
use super::node::{Kind, Node};
use super::quantity::Ratio;
use super::source::Spanned;
use crate::record;

record! {
    /// The order in which components are expected to fall after a fault. A component has fallen when its errors, its
    /// waits, its latency, its use or its health leave their own normal by far; the summary says in which order they
    /// did, and by which edge.
    pub struct Cascade {
        /// The fault; may be left out if there is one only. Without faults, `settings` is the first `Set` on the
        /// timeline.
        fault: Option<Spanned<String>> = None,
        /// The components in the order in which they must fall, such as `["databases.db", "services.api",
        /// "clients.users"]`. Others may fall in between.
        path: Vec<Spanned<String>>,
        /// Components that must not fall.
        absent: Vec<Spanned<String>> = [],
        /// The share of the runs in which it must be so.
        share: Ratio = "90%",
    }
}

/// One or several paths.
#[derive(Clone, Debug)]
pub struct Cascades(pub Vec<Cascade>);

impl Decode for Cascades {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::List(_) => Vec::decode(node, cx).map(Self),
            _ => Cascade::decode_as("Cascade", node, cx).map(|one| Self(vec![one])),
        }
    }
    fn type_name() -> String {
        "Cascade or list of Cascade".into()
    }
    fn declare(into: &mut Declarations) {
        Cascade::declare(into);
    }
}
