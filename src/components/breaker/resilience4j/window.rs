//! The sliding windows of `resilience4j-core`: the last results, or whole seconds of the clock.

use super::SlidingWindow;
use crate::base::time::SimTime;

/// Results added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// Results.
    pub calls: u32,
    /// Failures among them.
    pub failed: u32,
    /// Slow calls among them.
    pub slow: u32,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.slow += other.slow;
    }

    fn subtract(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }
}

/// A window: a ring of results, or of the sums of seconds.
#[derive(Clone, Debug)]
pub struct Window {
    ring: Vec<Sums>,
    head: usize,
    /// The second that `head` is for; `None` if it is for a result.
    second: Option<u64>,
    total: Sums,
}

fn second_of(now: SimTime) -> u64 {
    now.ns() / 1_000_000_000
}

impl Window {
    /// An empty window.
    pub fn new(size: SlidingWindow, now: SimTime) -> Self {
        let (length, second) = match size {
            SlidingWindow::Count(calls) => (calls, None),
            SlidingWindow::Time(seconds) => (seconds, Some(second_of(now))),
        };
        assert!(length > 0, "a window holds something");
        Self { ring: vec![Sums::default(); length as usize], head: 0, second, total: Sums::default() }
    }

    /// Forgets everything.
    pub fn clear(&mut self, now: SimTime) {
        self.ring.fill(Sums::default());
        self.head = 0;
        self.second = self.second.map(|_| second_of(now));
        self.total = Sums::default();
    }

    /// Counts a result.
    pub fn record(&mut self, now: SimTime, failed: bool, slow: bool) {
        let one = Sums { calls: 1, failed: u32::from(failed), slow: u32::from(slow) };
        self.total.add(one);
        if self.second.is_some() {
            self.advance(now);
            self.ring[self.head].add(one);
        } else {
            self.turn();
            self.ring[self.head] = one;
        }
    }

    /// The sums over the window.
    pub fn total(&mut self, now: SimTime) -> Sums {
        self.advance(now);
        self.total
    }

    /// Moves a window of time to the second of `now`.
    fn advance(&mut self, now: SimTime) {
        let Some(second) = self.second else { return };
        let steps = second_of(now).saturating_sub(second).min(self.ring.len() as u64);
        for _ in 0..steps {
            self.turn();
        }
        if steps > 0 {
            self.second = Some(second_of(now));
        }
    }

    /// The oldest part gives its place to an empty one.
    fn turn(&mut self) {
        self.head = (self.head + 1) % self.ring.len();
        self.total.subtract(std::mem::take(&mut self.ring[self.head]));
    }
}
