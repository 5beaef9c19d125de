//! Random failures and repairs: components that break by themselves, again and again.

use super::dist::Distribution;
use super::quantity::Ratio;
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// Instances that fail and are repaired at random, from the start of the run on: an alternating renewal process,
    /// up at first. Its times are found by its name, so nothing else that changes changes them.
    pub struct Failures [target] {
        /// The service, database or external dependency.
        target: Spanned<String>,
        /// Whether each instance fails by itself, or all together by one cause.
        each: FailureUnit = Instance,
        /// What a failure does.
        what: FailureEffect = Down,
        /// The time from the start, or from a repair, to the next failure.
        up: Distribution,
        /// The time from a failure to its repair.
        down: Distribution,
    }
}

choice! {
    /// What fails as one.
    pub enum FailureUnit {
        /// Each instance by itself, whatever the others do.
        Instance,
        /// All instances of the component at once, as by a power cut.
        Component,
    }
}

choice! {
    /// What a failure does to what fails.
    pub enum FailureEffect {
        /// It is killed, stays away until it is repaired, and then starts with its start-up time.
        Down,
        /// It stops working, keeps what it has, and goes on where it was when it is repaired.
        Hang,
        /// It answers with errors, at once.
        Errors(ErrorsFailure),
        /// It is slow.
        Slow(SlowFailure),
    }
}

record! {
    /// A failed instance answers with errors, at once.
    pub struct ErrorsFailure [ratio] as "Errors failure" {
        /// The share of requests.
        ratio: Ratio = 1,
    }
}

record! {
    /// A failed instance is slow. Requests that it has begun on are not touched.
    pub struct SlowFailure [factor] as "Slow failure" {
        /// Multiplies the time of each `Work` and `Wait`, and an external's latency.
        factor: f64,
    }
}
