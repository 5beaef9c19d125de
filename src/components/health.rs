//! The health.
