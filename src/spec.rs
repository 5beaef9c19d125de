//! The language: RON text to a typed, checked specification.
//!
//! Text becomes a tree of [`node::Node`]s with spans; includes are merged and settings overridden on that tree,
//! by one mechanism for `--set`, variants and the timeline; the tree is decoded into the types of [`topology`]
//! and [`experiment`]; names are resolved and values checked against one another by [`check`]. Every mistake on
//! the way becomes a [`diagnostic::Diagnostic`] that points into the source, and several are reported at once.

pub mod alert;
pub mod autoscaler;
pub mod balancer;
pub mod balancing;
pub mod blast;
pub mod brackets;
pub mod capacity;
pub mod cascade;
pub mod check;
pub mod check_baseline;
pub mod compare;
pub mod cost;
pub mod count;
pub mod csv_file;
pub mod database;
pub mod decode;
pub mod deployment;
pub mod diagnostic;
pub mod dist;
pub mod experiment;
pub mod expression;
pub mod failure;
pub mod fault;
pub mod fault_instances;
pub mod files;
pub mod lambda;
pub mod life;
pub mod load;
pub mod node;
mod over;
pub mod policy;
pub mod pooler;
pub mod quantity;
pub mod queue;
pub mod queue_kafka;
pub mod queue_rabbit;
pub mod rare;
pub mod reference;
pub mod runbook;
pub mod runs;
pub mod runtime;
pub mod shedding;
pub mod source;
pub mod sweep;
pub mod topology;
pub mod tune;
pub mod waiting;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use source::{Sources, Span, Spanned};
