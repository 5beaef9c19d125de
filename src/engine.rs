//! The engine: clock, event queue, delay lanes and ranks; generic over the event.

pub mod far;
pub mod heap;
pub mod key;
pub mod keys;
pub mod queue;
pub mod row;

pub use key::Rank;
pub use queue::{EventQueue, LaneId, Pending};
