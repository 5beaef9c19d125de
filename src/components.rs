//! The mechanisms: pure state machines with no clock, no engine, no world and no I/O.
//!
//! A component is told what happened and when, and answers with a decision. It never schedules, sends or logs;
//! randomness is handed to it.

pub mod balancer;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod cache;
pub mod cpu;
pub mod deadline;
pub mod dns;
pub mod health;
pub mod hpa;
pub mod percentile;
pub mod pool;
pub mod queue;
pub mod rate_limit;
pub mod retry;
pub mod tcp;
