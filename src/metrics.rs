//! Measures: histograms, time averages, windows, counters. They cannot influence a run.

pub mod estimate;
pub mod gauge;
pub mod histogram;

pub use estimate::{Estimate, Proportion};
pub use gauge::TimeAverage;
pub use histogram::Histogram;
