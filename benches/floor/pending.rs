//! The floor's queue: one place for each core, and a tournament among them.
//!
//! Whoever has few things pending at once needs no heap. A core has one completion pending at most, so its turn has a
//! fixed leaf of a binary tree in which each node holds the lesser of its two children: the next event is at the root,
//! and a change costs one comparison for each level, without a branch that could be guessed wrong.

/// The turn of an event: its time in nanoseconds, and in the lowest eight bits what it is, which decides ties.
pub type Turn = u64;

/// Later than everything.
pub const NEVER: Turn = u64::MAX;

#[inline]
pub fn turn(at: u64, code: u64) -> Turn {
    at << 8 | code
}

/// Twice as many nodes as leaves, a power of two. Number 1 is the root, the children of k are 2 k and 2 k + 1.
pub struct Pending<const NODES: usize>([Turn; NODES]);

impl<const NODES: usize> Pending<NODES> {
    pub fn new() -> Self {
        assert!(NODES.is_power_of_two() && NODES > 1);
        Self([NEVER; NODES])
    }

    /// The next turn.
    #[inline]
    pub fn least(&self) -> Turn {
        self.0[1]
    }

    /// Changes the turn of a leaf.
    #[inline]
    pub fn set(&mut self, leaf: usize, turn: Turn) {
        let mut at = (NODES / 2 + leaf) & (NODES - 1);
        let mut least = turn;
        self.0[at] = turn;
        for _ in 1..NODES.trailing_zeros() {
            least = least.min(self.0[(at ^ 1) & (NODES - 1)]);
            at >>= 1;
            self.0[at & (NODES - 1)] = least;
        }
    }
}
