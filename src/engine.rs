//! The engine: clock, event queue, delay lanes and ranks; generic over the event.

pub mod queue;
