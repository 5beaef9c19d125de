//! Whose turn it is: the order of events, packed into one number.
//!
//! Events are played in order of `(time, rank, sequence)`. The three, and the slot where the event itself waits,
//! fill one `u128`, so that a comparison of keys is one comparison of numbers and a key takes 16 bytes:
//!
//! ```text
//!  127            72 71    68 67                32 31           0
//! ┌─────────────────┬────────┬────────────────────┬──────────────┐
//! │ time, 56 bits   │ rank 4 │ sequence, 36 bits  │ slot, 32     │
//! └─────────────────┴────────┴────────────────────┴──────────────┘
//! ```
//!
//! That is 833 days at a nanosecond and 68 billion events per run. Invariant: no two keys of a run have the same
//! sequence, so the order is total and the slot never decides.

use std::cmp::Ordering;

use crate::base::SimTime;
use crate::base::time::TIME_NS_MAX;

/// Who goes first among events of the same instant; lowest first. This is part of the model's meaning:
///
/// - faults strike first, so that nothing of that instant escapes them;
/// - completions free capacity, and deliveries bring answers, before anybody asks for more: an arrival sees what
///   has just been freed, and an answer beats the timeout that it meets;
/// - timers fire before new work arrives;
/// - controllers (autoscalers, deployments) decide on the work that has arrived;
/// - probes see the settled state;
/// - samples see all.
///
/// Within a rank: first scheduled, first played.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Rank {
    /// Something breaks or heals, or a setting changes.
    Fault = 0,
    /// A unit of work ends.
    Completion = 1,
    /// A message or an answer reaches its receiver.
    Delivery = 2,
    /// A timeout, a backoff or another wait is over.
    Timer = 3,
    /// New work enters.
    Arrival = 4,
    /// A controller looks and decides.
    Control = 5,
    /// A health check is sent.
    Probe = 6,
    /// A measurement is taken.
    Sample = 7,
}

/// How many events one run may schedule before sequence numbers wrap: 2^36, about 68 billion.
pub const EVENTS_MAX: u64 = 1 << SEQUENCE_BITS;

const TIME_BITS: u32 = 56;
const RANK_BITS: u32 = 4;
const SEQUENCE_BITS: u32 = 36;
const SLOT_BITS: u32 = 32;

const SEQUENCE_SHIFT: u32 = SLOT_BITS;
const RANK_SHIFT: u32 = SEQUENCE_SHIFT + SEQUENCE_BITS;
const TIME_SHIFT: u32 = RANK_SHIFT + RANK_BITS;

const _: () = assert!(TIME_BITS + RANK_BITS + SEQUENCE_BITS + SLOT_BITS == u128::BITS);
const _: () = assert!(TIME_NS_MAX < 1 << TIME_BITS);
// One rank is left free, so that no key is all ones: `Key::NONE` sorts after every real key.
const _: () = assert!((Rank::Sample as u8) < (1 << RANK_BITS) - 1);
const _: () = assert!(size_of::<Key>() == 16);

/// The turn of one event, and the slot where it waits. The least key is played next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u128);

// Not derived: the heap lives by these, and the derived ones compare by way of an `Ordering`, with a jump.
impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }

    #[inline]
    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl PartialOrd for Key {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    #[inline]
    fn lt(&self, other: &Self) -> bool {
        self.0 < other.0
    }
}

impl Key {
    /// Later than every key there is.
    pub const NONE: Self = Self(u128::MAX);

    /// The key of an event: `at` no later than [`SimTime::NEVER`], `sequence` below [`EVENTS_MAX`].
    #[inline]
    pub fn new(at: SimTime, rank: Rank, sequence: u64, slot: u32) -> Self {
        debug_assert!(at <= SimTime::NEVER, "times have 56 bits");
        debug_assert!(sequence < EVENTS_MAX, "a run schedules at most 2^36 events");
        Self(
            u128::from(at.ns()) << TIME_SHIFT
                | u128::from(rank as u8) << RANK_SHIFT
                | u128::from(sequence) << SEQUENCE_SHIFT
                | u128::from(slot),
        )
    }

    /// When the event is played.
    #[inline]
    pub fn time(self) -> SimTime {
        SimTime::from_ns((self.0 >> TIME_SHIFT) as u64)
    }

    /// Time, rank and the first bits of the sequence: most pairs of keys differ here.
    #[inline]
    pub fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The rest of the sequence, and the slot.
    #[inline]
    pub fn low(self) -> u64 {
        self.0 as u64
    }

    /// The key of two halves.
    #[inline]
    pub fn of_halves(high: u64, low: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }

    /// Where the event waits.
    #[inline]
    pub fn slot(self) -> u32 {
        self.0 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_before_rank_before_sequence_before_slot() {
        let key = |at, rank, sequence, slot| Key::new(SimTime::from_ns(at), rank, sequence, slot);
        let in_order = [
            key(1, Rank::Fault, 7, 0),
            key(1, Rank::Completion, 3, 9),
            key(1, Rank::Completion, 4, 8),
            key(1, Rank::Sample, 0, 0),
            key(2, Rank::Fault, 0, 0),
            key(TIME_NS_MAX, Rank::Sample, EVENTS_MAX - 1, u32::MAX),
            Key::NONE,
        ];
        assert!(in_order.is_sorted());
    }

    #[test]
    fn what_goes_in_comes_out() {
        let key = Key::new(SimTime::NEVER, Rank::Sample, EVENTS_MAX - 1, 0x8000_0001);
        assert_eq!(key.time(), SimTime::NEVER);
        assert_eq!(key.slot(), 0x8000_0001);
    }
}
