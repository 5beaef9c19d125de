//! The small models of `models/faults`: each shows one fault by itself, and would not hold without it.
//!
//! Each file is an experiment with its topology. Its variant `with` has the fault on its timeline, and `without` has
//! not. What is expected of both must hold; and of what is expected of `with`, something must fail without the fault.

mod instances;
mod network;
use crate::support;

#[test]
fn each_fault_does_something() {
    support::small_models::each_shows_something("models/faults");
}
