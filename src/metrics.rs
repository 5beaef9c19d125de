//! Measures: histograms, time averages, windows, counters. They cannot influence a run.

mod beta;
pub mod comparison;
pub mod estimate;
pub mod gauge;
pub mod histogram;
pub mod meters;
pub mod observer;
pub mod occupancy;
pub mod pairs;
pub mod recorder;
pub mod rules;
pub mod selection;
pub mod sums;
mod tally;
pub mod trace;

pub use estimate::{Estimate, Proportion};
pub use gauge::TimeAverage;
pub use histogram::Histogram;
pub use meters::{Meters, Red, Sizes, Source};
pub use observer::{Change, Observer};
pub use recorder::{Record, Recorder, Window};
pub use rules::{Bound, Rows, Rule, Watch};
pub use sums::Sums;
