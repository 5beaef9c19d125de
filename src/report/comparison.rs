//! A comparison of variants for people and for machines: which is better, by how much, and how sure that is.

mod human;
mod json;
mod tables;
pub mod words;

pub use human::human;
pub use json::json;
pub use tables::{csv, markdown};
