//! Throttling at the client.

use super::{OutcomeName, Per};
use crate::record;
use crate::spec::quantity::{Ratio, Seconds};

record! {
    /// Google's adaptive throttling ("Site Reliability Engineering", 2016, chapter 21): a call is turned away with the
    /// probability max(0, (requests - k x accepts) / (requests + 1)). Requests are all calls of the window, those
    /// turned away here too. The callee gets about k times what it accepts, however much is asked.
    pub struct AdaptiveThrottling {
        /// How many times as much as is accepted may be sent: at least 1.
        k: f64 = 2,
        /// Over what time is counted, at least a second; in parts of a second.
        window: Seconds = "2m",
        /// The outcomes with which the callee has accepted a call. An error that it took its time for might be one,
        /// too.
        accepts: Vec<OutcomeName> = [Ok, Degraded],
        /// Who shares what is counted.
        per: Per = Instance,
    }
}

record! {
    /// Envoy's admission control filter (v3 API, after its source; not compared with recordings): a call is turned away
    /// with the probability ((n - successes / sr_threshold) / (n + 1))^(1 / aggression). What it turns away itself does
    /// not count, unlike with Google's. A call that is called off counts as failed.
    pub struct AdmissionControl {
        /// Over what time is counted, at least a second; in parts of a second.
        sampling_window: Seconds = "30s",
        /// The success rate below which it begins to turn calls away; more than 0.
        sr_threshold: Ratio = "95%",
        /// How steeply the probability grows: 1 or more.
        aggression: f64 = 1,
        /// Below so many calls per second nothing is turned away.
        rps_threshold: u32 = 0,
        /// The highest probability.
        max_rejection_probability: Ratio = "80%",
        /// Who shares what is counted.
        per: Per = Instance,
    }
}
