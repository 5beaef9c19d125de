//! The pool, against recordings of the real thing.

#[path = "conformance/sequelize_pool.rs"]
mod sequelize_pool;
