//! Reports: results to bytes.
//!
//! Pure functions from an [`ExperimentResult`](crate::experiment::results::ExperimentResult) to strings and bytes; who
//! calls them writes the files. The same results give the same bytes, on every platform: there are no dates, no orders
//! of hashing, and no digits that a platform could compute otherwise.

pub mod blast;
pub mod capacity;
pub mod check;
pub mod comparison;
pub mod events_jsonl;
pub mod human;
pub mod json;
pub mod plot;
pub mod rare;
pub mod series_csv;
pub mod sweep;
pub mod traces;
pub mod tune;
pub mod validation;
pub mod waterfall;
mod words;

#[cfg(test)]
mod fixture;
