//! What is still to do at this instant, first in, first out.

use super::FrameId;
use crate::base::Outcome;

/// What follows from an event at the same instant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// An answer reaches a frame.
    Up(FrameId, Outcome),
    /// A call goes on below a layer.
    Down(FrameId),
    /// A fallback's call begins.
    Fallback(FrameId, u32),
    /// An execution that waited has a worker and begins.
    Begin(FrameId),
    /// An execution goes on with its next step.
    Advance(FrameId),
    /// A timer of a layer rang while its process hung.
    Timer(FrameId),
    /// An execution ran out of time while its process hung.
    RequestTimeout(FrameId),
    /// An execution waited too long for a worker while its process hung.
    QueueTimeout(FrameId),
    /// An instance goes on that hung: those who wait get its free workers.
    Serve(u32),
    /// A turn at a rate limit came while its process hung.
    RateTurn(u32),
    /// A consumer of a queue goes on.
    Consume(u32, u32),
    /// The instances of a deployed group have changed.
    Fit(u32),
}

const _: () = assert!(size_of::<Task>() <= 16);

/// Tasks, in the order in which they are done. All are done before the next event: so they lie in one row, which is
/// begun anew when all are done, and no ring is needed.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    row: Vec<Task>,
    /// The next.
    next: usize,
}

/// Tasks done that may lie at the beginning of the row.
const DONE_MAX: usize = 1_024;

impl Tasks {
    /// Adds a task behind all others.
    #[inline]
    pub fn push_back(&mut self, task: Task) {
        self.row.push(task);
    }

    /// Adds tasks behind all others.
    pub fn extend(&mut self, tasks: impl IntoIterator<Item = Task>) {
        self.row.extend(tasks);
    }

    /// The next task, which is no longer one.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Task> {
        let Some(task) = self.row.get(self.next).copied() else {
            self.row.clear();
            self.next = 0;
            return None;
        };
        self.next += 1;
        if self.next >= DONE_MAX && 2 * self.next >= self.row.len() {
            self.forget_done();
        }
        Some(task)
    }

    /// What is done goes: at least half of the row, so it costs each task a move or two.
    #[cold]
    #[inline(never)]
    fn forget_done(&mut self) {
        self.row.drain(..self.next);
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn first_in_first_out() {
        let mut tasks = Tasks::default();
        let mut plain = VecDeque::new();
        let mut number = 0;
        for step in 0u32..20_000 {
            // Grows for the first half, shrinks in the second.
            let more = if step < 10_000 { 3 } else { 1 };
            for _ in 0..more {
                number += 1;
                tasks.push_back(Task::Serve(number));
                plain.push_back(number);
            }
            for _ in 0..2 {
                let next = tasks.pop_front().map(|task| match task {
                    Task::Serve(number) => number,
                    _ => 0,
                });
                assert_eq!(next, plain.pop_front());
            }
            assert!(tasks.row.len() <= 2 * plain.len() + DONE_MAX);
        }
    }
}
