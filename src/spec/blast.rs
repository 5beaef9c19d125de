//! The blast radius: what fails, one after another, and what counts as suffering.

use super::failure::FailureEffect;
use super::quantity::{Ratio, Seconds};
use super::source::Spanned;
use crate::record;

record! {
    /// If X fails, what else breaks, for every X? What `brownout blast` fails, and what it calls a blow. The
    /// experiment's own timeline, runbooks and random failures are left out: one thing fails at a time.
    pub struct Blast {
        /// What happens to each component, one after another.
        faults: Vec<FailureEffect> = [Down],
        /// Which services, databases and external dependencies fail; all if none is named.
        targets: Vec<Spanned<String>> = [],
        /// Whether services with several replicas also lose one instance alone.
        instances: bool = true,
        /// Whether any two components also fail together, in the same way.
        pairs: bool = false,
        /// When it fails, from the end of the warm-up.
        at: Seconds = "30s",
        /// How long it lasts.
        lasts: Seconds = "60s",
        /// How long the system is watched afterwards.
        rest: Seconds = "90s",
        /// Who takes at least this share of a client population's goodput is a single point of failure.
        spof: Ratio = "50%",
        /// A component that was not struck falls with the one that was if it gets this share of errors in addition,
        /// or if its workers or its CPU come to their end.
        falls: Ratio = "10%",
        /// A failure goes unnoticed if no client population and none of its requests loses this share of its goodput,
        /// or gets this share of errors in addition, or has a p99 half as long again.
        noticed: Ratio = "1%",
    }
}
