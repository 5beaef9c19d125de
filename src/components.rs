//! The mechanisms: pure state machines with no clock, no engine, no world and no I/O.
//!
//! A component is told what happened and when, and answers with a decision. It never schedules, sends or logs;
//! randomness is handed to it.

pub mod analysis;
pub mod aws_scaling;
pub mod back_off;
pub mod balancer;
pub mod breaker;
pub mod broker;
pub mod budget;
pub mod bulkhead;
pub mod cache;
pub mod cloudwatch;
pub mod concurrency;
pub mod cpu;
pub mod credits;
pub mod deadline;
pub mod dns;
pub mod envoy;
pub mod fleet;
pub mod haproxy;
pub mod health;
pub mod heap;
pub mod hpa;
pub mod keda;
pub mod kpa;
pub mod lambda;
pub mod locks;
pub mod nginx;
pub mod nodes;
pub mod outlier;
pub mod percentile;
pub mod pool;
pub mod probe;
pub mod queue;
pub mod rate_limit;
pub mod replication;
pub mod retry;
pub mod rollout;
pub mod schedule;
pub mod shedding;
pub mod task_health;
pub mod tcp;
pub mod termination;
pub mod throttling;
pub mod volume;
pub mod warm_up;
