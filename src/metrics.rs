//! Measures: histograms, time averages, windows, counters. They cannot influence a run.

pub mod estimate;
pub mod histogram;
