//! What edges are called.

use crate::model::{Caller, EdgeShape, Model};

/// The path of an edge: `services.api.calls.db`, with `:policy` where one callee is called through several.
pub(crate) fn edge_path(model: &Model, edge: &EdgeShape) -> String {
    let same = model.edges.iter().filter(|e| e.caller == edge.caller && e.callee == edge.callee).count();
    path_of_edge(model, edge, same > 1)
}

/// The same, where it is known whether the callee is called through several policies.
pub(super) fn path_of_edge(model: &Model, edge: &EdgeShape, is_one_of_several: bool) -> String {
    let family = match edge.caller {
        Caller::Client(_) => "clients",
        Caller::Group(_) => "services",
    };
    let policy = match (is_one_of_several, edge.policy.as_str()) {
        (false, _) => String::new(),
        (true, "") => ":direct".to_string(),
        (true, name) => format!(":{name}"),
    };
    format!("{family}.{}.calls.{}{policy}", model.caller_name(edge.caller), model.callee_name(edge.callee))
}
