//! Experiments: the plan, the replications, what they mean together, and whether expectations hold.
//!
//! The only room with threads. A run is a pure function of `(model, script, seed, run number)`; runs are played in
//! any order and merged in order of number, so the results do not depend on how many threads played them.

pub mod alerts;
pub mod blast;
pub mod capacity;
pub mod cascade;
pub mod check;
pub mod compare;
pub mod doubts;
mod failures;
pub mod fold;
pub mod impact;
pub mod judge;
pub mod ledger;
pub mod log;
pub mod measures;
pub mod objectives;
pub mod plan;
pub mod precision;
pub mod rare;
pub mod recovery;
pub mod results;
pub mod run;
pub mod shards;
pub mod stationary;
pub mod study;
pub mod sweep;
pub mod team;
pub mod theory;
pub mod traces;
pub mod tune;
pub mod warmup;

pub use plan::{Changes, Plan, plan};
pub use results::ExperimentResult;
pub use run::{RunError, run};
