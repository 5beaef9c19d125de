//! The floor: three systems written by hand, for nothing but to be fast.
//!
//! What does it cost to be able to play *any* system? The same system, in as few instructions as we could think of,
//! is what a simulator of any system can be compared with. There is no language here, no setting, no fault, no
//! component: what can be known beforehand is a constant, and what cannot happen is not asked about. What is measured
//! is measured all the same: a histogram for each kind of latency and wait, mean and maximum of each level over time,
//! outcomes, and if wanted a row of all of it for each second. Timeouts are timers that are called off.
//!
//! Random numbers are the simulator's, drawn by the same keys, so both must find the same to the nanosecond:
//! `tests/floor.rs` compares. Two events of one nanosecond, about ten pairs in a million requests, may come in another
//! order here, as a turn has no number of its own.

#![allow(dead_code, reason = "the benchmark prints, the test compares")]

pub mod meters;
mod pending;
mod random;
mod station;
mod w3;

use meters::{Level, Timer};
use std::fmt;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// What was found out about a system.
pub struct Found {
    /// Requests that came.
    pub sent: u64,
    /// Requests that were answered in time, that were given up, and answers to whoever had given up.
    pub ok: u64,
    pub timeouts: u64,
    pub for_nobody: u64,
    /// Arrivals and completions.
    pub events: u64,
    /// Times, and levels over time.
    pub timers: Vec<(&'static str, Timer)>,
    pub levels: Vec<(&'static str, Level)>,
    /// The series, row by row.
    pub rows: Vec<f64>,
}

/// The systems, by the names of their files in `models/bench`.
pub const SYSTEMS: [&str; 3] = ["w3", "mm1", "mm10"];

/// Plays so many seconds of a system, if there is one of that name, with a row of the series after every so many: one
/// second for a series, all of them for none.
pub fn play(name: &str, seconds: u64, every: u64, seed: u64) -> Option<Found> {
    assert!(every > 0 && seconds.is_multiple_of(every), "whole rows");
    match name {
        "w3" => Some(w3::play(seconds, every, seed)),
        "mm1" => Some(station::play::<1, 2>(0.0001, seconds, every, seed)),
        "mm10" => Some(station::play::<10, 32>(0.001, seconds, every, seed)),
        _ => None,
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "requests {}, events {}", self.sent, self.events)?;
        writeln!(f, "ok {}, timeouts {}, for nobody {}", self.ok, self.timeouts, self.for_nobody)?;
        for (name, timer) in &self.timers {
            let [p999, p99, p95, p90, p50] = timer.quantiles().map(|s| s * 1e3);
            write!(f, "{name}: mean {:.6} ms, p50 {p50:.4}, p90 {p90:.4}, p95 {p95:.4}", timer.mean() * 1e3)?;
            writeln!(f, ", p99 {p99:.4}, p999 {p999:.4}, max {:.4}", timer.max_ns as f64 / 1e6)?;
        }
        for (name, level) in &self.levels {
            writeln!(f, "{name}: mean {:.4}, max {}", level.mean(), level.max)?;
        }
        writeln!(f, "{} values in the series", self.rows.len())
    }
}
