//! The small models of `models/components`: each shows one component by itself, and would not hold without it.
//!
//! Each file is an experiment with its topology. Its variant `with` has the component, and in `without` it is taken
//! out or switched off. What is expected of both must hold; and of what is expected of `with`, something must fail
//! under the settings of `without`.

mod components {
    pub mod autoscalers;
    pub mod balancing;
    pub mod beliefs;
    pub mod connections;
    pub mod deadlines;
    pub mod deployments;
    pub mod guards;
    pub mod life;
    pub mod pools;
    pub mod queues;
    pub mod retries;
    pub mod runtime;
    pub mod spot;
}
mod support;

#[test]
fn each_component_does_something() {
    support::small_models::each_shows_something("models/components");
}
