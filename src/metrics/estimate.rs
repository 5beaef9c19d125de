//! Estimates across runs.
