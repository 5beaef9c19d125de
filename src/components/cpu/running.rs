//! Who runs on a processor, in order of completion.
//!
//! Few jobs run at once on most processors: first come, first served never has more than there are cores. A short
//! sorted list is faster than a heap for those: who comes is put in its place by comparing from the end, and who is
//! done is the last one. Where many share a processor, those who are done later lie in a heap behind the list.

use std::collections::BinaryHeap;

/// Jobs that the sorted list holds at most.
const NEAR_MAX: usize = 16;

/// A running job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running<J> {
    /// When it is done: on a plain processor the nanosecond, elsewhere the bits of the progress at which it is. As
    /// progress is not negative, its bits have its order.
    pub due: u64,
    /// The order of starting; by priority, the turn.
    pub sequence: u64,
    pub job: J,
}

impl<J> Running<J> {
    /// One that is done at so much progress.
    #[inline]
    pub fn at(done_at: f64, sequence: u64, job: J) -> Self {
        debug_assert!(done_at >= 0.0);
        Self { due: done_at.to_bits(), sequence, job }
    }

    /// Progress at which it is done.
    #[inline]
    pub fn done_at(&self) -> f64 {
        f64::from_bits(self.due)
    }

    /// Whether it is done before another: earlier, or at the same progress and started before.
    #[inline]
    fn is_before(&self, other: &Self) -> bool {
        self.due < other.due || self.due == other.due && self.sequence < other.sequence
    }
}

/// The running jobs; the order of completion is total, so that how they are kept does not matter.
#[derive(Clone, Debug)]
pub(super) struct Soonest<J> {
    /// The first to be done, the very first one last.
    near: Vec<Running<J>>,
    /// Those who are done after all of the list; none while that is empty.
    far: BinaryHeap<Running<J>>,
}

impl<J: Copy> Soonest<J> {
    pub fn new() -> Self {
        Self { near: Vec::new(), far: BinaryHeap::new() }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.near.len() + self.far.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.near.is_empty()
    }

    /// Who is done first.
    #[inline]
    pub fn first(&self) -> Option<&Running<J>> {
        self.near.last()
    }

    #[inline(always)]
    pub fn push(&mut self, new: Running<J>) {
        if self.near.is_empty() {
            // Then the heap is empty, too.
            self.near.push(new);
            return;
        }
        if !self.far.is_empty() && !self.near.first().is_some_and(|last| new.is_before(last)) {
            self.far.push(new);
            return;
        }
        // As `Vec::insert` would: of these few, most are moved by a step or two.
        self.near.push(new);
        let mut rest = self.near.as_mut_slice();
        while let [before @ .., last] = rest {
            match before.last() {
                Some(other) if !new.is_before(other) => *last = *other,
                _ => {
                    *last = new;
                    break;
                }
            }
            rest = before;
        }
        if self.near.len() > NEAR_MAX {
            let last = self.near.remove(0);
            self.far.push(last);
        }
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Running<J>> {
        let first = self.near.pop();
        if self.near.is_empty() && !self.far.is_empty() {
            self.refill();
        }
        first
    }

    /// Takes half a list from the heap.
    #[cold]
    fn refill(&mut self) {
        while self.near.len() < NEAR_MAX / 2
            && let Some(next) = self.far.pop()
        {
            self.near.push(next);
        }
        self.near.reverse();
    }

    pub fn iter(&self) -> impl Iterator<Item = &Running<J>> {
        self.near.iter().chain(self.far.iter())
    }

    /// Keeps those for whom `stays` holds.
    pub fn retain(&mut self, mut stays: impl FnMut(&Running<J>) -> bool) {
        self.near.retain(&mut stays);
        self.far.retain(stays);
        if self.near.is_empty() {
            self.refill();
        }
    }

    /// Changes when each is done, in a way that keeps their order.
    pub fn change(&mut self, due: impl Fn(&Running<J>) -> u64) {
        let mut all = std::mem::take(&mut self.far).into_vec();
        for job in self.near.iter_mut().chain(&mut all) {
            job.due = due(job);
        }
        self.far = all.into();
    }
}

impl<J> PartialEq for Running<J> {
    fn eq(&self, other: &Self) -> bool {
        !self.is_before(other) && !other.is_before(self)
    }
}
impl<J> Eq for Running<J> {}
impl<J> PartialOrd for Running<J> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
/// Greater is done earlier, since the heap gives out its greatest.
impl<J> Ord for Running<J> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_out_in_order_of_completion(
            steps in prop::collection::vec((0u32..40, prop::bool::weighted(0.6), 0u32..60), 1..300),
        ) {
            let (mut ours, mut plain) = (Soonest::new(), Vec::new());
            for (number, (done_at, comes, gone)) in steps.into_iter().enumerate() {
                if comes {
                    let done_at = f64::from(done_at);
                    ours.push(Running::at(done_at, number as u64, number));
                    plain.push((done_at, number));
                    plain.sort_by(|a, b| a.partial_cmp(b).unwrap());
                } else if gone < 50 {
                    let expected = (!plain.is_empty()).then(|| plain.remove(0).1);
                    prop_assert_eq!(ours.pop().map(|r| r.job), expected);
                } else {
                    let goes = |job: usize| job % 4 == gone as usize % 4;
                    ours.retain(|r| !goes(r.job));
                    plain.retain(|(_, job)| !goes(*job));
                }
                prop_assert_eq!(ours.len(), plain.len());
                prop_assert_eq!(ours.first().map(|r| r.job), plain.first().map(|p| p.1));
                prop_assert_eq!(ours.is_empty(), plain.is_empty());
            }
            while let Some(first) = ours.pop() {
                prop_assert_eq!(first.job, plain.remove(0).1);
            }
        }
    }
}
