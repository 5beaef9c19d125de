//! Brownout: a capacity and failure simulator.
//!
//! `(topology, experiment, seed) -> results` is a pure function, computed by playing typed events in order of
//! `(time, rank, sequence)`. The rooms below import one another in one direction only; `ARCHITECTURE.md` has
//! the table and `tests/tidy.rs` keeps it.

pub mod base;
pub mod cli;
pub mod components;
pub mod engine;
pub mod experiment;
pub mod metrics;
pub mod model;
pub mod report;
pub mod sim;
pub mod spec;
