//! The cpu.
