//! Experiments: the plan, the replications, what they mean together, and whether expectations hold.
//!
//! The only room with threads. A run is a pure function of `(model, script, seed, run number)`; runs are played in
//! any order and merged in order of number, so the results do not depend on how many threads played them.

pub mod alerts;
pub mod blast;
mod failures;
pub mod fold;
pub mod judge;

pub mod log;
pub mod measures;
pub mod plan;
pub mod rare;
pub mod recovery;
pub mod results;
pub mod run;
pub mod study;
pub mod team;
pub mod theory;

pub use plan::{Changes, Plan, plan};
pub use results::ExperimentResult;
pub use run::{RunError, run};
