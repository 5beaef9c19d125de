//! What every room shares: time, ids, arenas, random streams, distributions, units and outcomes.

pub mod arena;
pub mod count;
pub mod dist;
pub mod outcome;
pub mod rng;
pub mod time;
pub mod units;

pub use arena::{Arena, Id};
pub use outcome::Outcome;
pub use rng::{Rng, Streams, mix, salt, uniform_of};
pub use time::{SimDuration, SimTime};
