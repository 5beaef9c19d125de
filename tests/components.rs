//! The small models of `models/components`: each shows one component by itself, and would not hold without it.
//!
//! Each file is an experiment with its topology. Its variant `with` has the component, and in `without` it is taken
//! out or switched off. What is expected of both must hold; and of what is expected of `with`, something must fail
//! under the settings of `without`.

mod autoscalers;
mod balancing;
mod beliefs;
mod connections;
mod deadlines;
mod deployments;
mod guards;
mod life;
mod pools;
mod queues;
mod retries;
mod runtime;
mod spot;
use crate::support;

#[test]
fn each_component_does_something() {
    support::small_models::each_shows_something("models/components");
}
