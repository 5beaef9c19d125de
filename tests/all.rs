//! All tests of whole systems in one program: three dozen of them took as many times as long to link, and on several
//! cores the last test of each left the others idle. `cargo test --test all swarm::` runs those of one file.
//!
//! Programs of their own are `allocations.rs`, which counts those of the whole process, `floor.rs` and `tidy.rs`.

mod alerts;
mod bad_input;
mod blast;
mod capacity;
mod cascades;
mod check;
mod cli;
mod compare;
mod components;
mod conformance;
mod cost;
mod determinism;
mod faults;
mod incidents;
mod interrupted;
mod metamorphic;
mod oracle;
mod precision;
mod questions;
mod queueing;
mod quickstart;
mod rare;
mod reactions;
mod recovery;
mod reference;
mod samplers;
mod semantics;
mod semantics_caches;
mod semantics_failures;
mod semantics_hpa;
mod semantics_limits;
mod semantics_queues;
mod shards;
mod sites;
mod submit;
mod support;
mod swarm;
mod sweep;
mod traces;
mod tune;
mod validate;
