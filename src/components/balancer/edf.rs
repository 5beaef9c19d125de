//! Earliest deadline first: weighted turns by due dates.
//!
//! Intuition: a target of weight w is due every 1/w. The one due first is served and is due again 1/w later; among
//! those due at the same moment the one that was put in line first comes first.
//!
//! Source: Envoy 1.40.0, `EdfScheduler` (`source/common/upstream/edf_scheduler.h`). As long as a weight stays, due
//! dates are turns / weight, not sums of 1 / weight: dates that are equal are so to the last bit, as in the recorded
//! orders.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Who is due when.
#[derive(Clone, Debug, Default)]
pub(super) struct Edf {
    line: BinaryHeap<Reverse<Due>>,
    /// The due date of the one served last.
    now: f64,
    /// How many were put in line so far.
    order: u64,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    deadline: f64,
    order: u64,
    target: u32,
    /// Since `from`, with this weight, the turn that is due.
    turn: u32,
    from: f64,
    weight: f64,
}

impl Edf {
    /// Empties the line and puts the candidates in it, in their order. Weights must be above 0.
    pub(super) fn rebuild(&mut self, candidates: &[u32], weight: impl Fn(u32) -> f64) {
        self.line.clear();
        self.now = 0.0;
        self.order = 0;
        for target in candidates {
            self.add(Due {
                target: *target,
                weight: weight(*target),
                turn: 1,
                from: 0.0,
                deadline: 0.0,
                order: 0,
            });
        }
    }

    /// The one due first, put in line again with the weight it has now.
    #[inline]
    pub(super) fn next(&mut self, weight: impl Fn(u32) -> f64) -> Option<u32> {
        let Reverse(due) = self.line.pop()?;
        self.now = due.deadline;
        let weight = weight(due.target);
        let is_same = weight == due.weight && due.turn < u32::MAX;
        let (turn, from) = if is_same { (due.turn + 1, due.from) } else { (1, self.now) };
        self.add(Due { turn, from, weight, ..due });
        Some(due.target)
    }

    fn add(&mut self, due: Due) {
        debug_assert!(due.weight > 0.0);
        let deadline = due.from + f64::from(due.turn) / due.weight;
        self.line.push(Reverse(Due { deadline, order: self.order, ..due }));
        self.order += 1;
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline.total_cmp(&other.deadline).then(self.order.cmp(&other.order))
    }
}
