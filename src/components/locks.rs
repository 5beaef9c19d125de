//! Locks on rows: one holder each, the others in line.
//!
//! A row that many want is served one after the other, however many cores there are: at most one per time that the
//! lock is held. As PostgreSQL 16 has it for row locks of conflicting updates: first come, first served, held to the
//! end of the transaction, waited for without limit unless `lock_timeout` is set.

use crate::components::queue::Line;

/// The rows of one table that are locked now.
#[derive(Clone, Debug)]
pub struct LockTable<W> {
    /// In order of row.
    held: Vec<Held<W>>,
    /// Lines to be used again.
    spare: Vec<Line<W>>,
    waiting: usize,
}

#[derive(Clone, Debug)]
struct Held<W> {
    row: u32,
    holder: W,
    line: Line<W>,
}

impl<W> Default for LockTable<W> {
    fn default() -> Self {
        Self { held: Vec::new(), spare: Vec::new(), waiting: 0 }
    }
}

impl<W: Copy + PartialEq> LockTable<W> {
    /// Rows that are locked.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many wait for a row.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// `who` wants a row; true if it has it at once, otherwise it waits in line.
    pub fn acquire(&mut self, row: u32, who: W) -> bool {
        match self.find(row) {
            Ok(at) => {
                self.held[at].line.push(who);
                self.waiting += 1;
                false
            }
            Err(at) => {
                let line = self.spare.pop().unwrap_or_default();
                self.held.insert(at, Held { row, holder: who, line });
                true
            }
        }
    }

    /// `who` needs a row no more, whether it holds it or waits for it. Returns who holds it now, if that is somebody
    /// else than before.
    pub fn release(&mut self, row: u32, who: W) -> Option<W> {
        let at = self.find(row).ok()?;
        let held = &mut self.held[at];
        if held.holder != who {
            self.waiting -= usize::from(held.line.remove(|w| *w == who));
            return None;
        }
        match held.line.pop() {
            Some(next) => {
                held.holder = next;
                self.waiting -= 1;
                Some(next)
            }
            None => {
                let held = self.held.remove(at);
                self.spare.push(held.line);
                None
            }
        }
    }

    /// All locks are gone; returns who waited, in order of row.
    pub fn reset(&mut self) -> Vec<W> {
        let mut waited = Vec::with_capacity(self.waiting);
        for held in &mut self.held {
            waited.extend(std::iter::from_fn(|| held.line.pop()));
        }
        *self = Self::default();
        waited
    }

    fn find(&self, row: u32) -> Result<usize, usize> {
        self.held.binary_search_by_key(&row, |held| held.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_row_goes_from_hand_to_hand_in_order() {
        let mut table = LockTable::default();
        assert!(table.acquire(7, 'a'));
        assert!(table.acquire(8, 'x'));
        assert!(!table.acquire(7, 'b') && !table.acquire(7, 'c') && !table.acquire(7, 'd'));
        assert_eq!(table.release(7, 'c'), None);
        assert_eq!(table.release(7, 'a'), Some('b'));
        assert_eq!(table.release(7, 'b'), Some('d'));
        assert_eq!(table.release(7, 'd'), None);
        assert_eq!((table.held(), table.waiting()), (1, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Never two holders, nobody forgotten, first come first served.
        #[test]
        fn rows_have_one_holder_and_a_line(
            script in prop::collection::vec((0u32..4, 0u8..3, any::<prop::sample::Index>()), 1..60),
        ) {
            let mut table = LockTable::default();
            let mut model: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            for (number, (row, action, index)) in script.into_iter().enumerate() {
                let line = model.entry(row).or_default();
                if action == 0 || line.is_empty() {
                    prop_assert_eq!(table.acquire(row, number), line.is_empty());
                    line.push(number);
                } else {
                    let at = if action == 1 { 0 } else { index.index(line.len()) };
                    let gone = line.remove(at);
                    let next = if at == 0 { line.first().copied() } else { None };
                    prop_assert_eq!(table.release(row, gone), next);
                }
                let waiting: usize = model.values().map(|line| line.len().saturating_sub(1)).sum();
                prop_assert_eq!(table.waiting(), waiting);
                prop_assert_eq!(table.held(), model.values().filter(|line| !line.is_empty()).count());
            }
            let waiting: Vec<usize> = model.values().flat_map(|line| line.iter().skip(1).copied()).collect();
            prop_assert_eq!(table.reset(), waiting);
        }
    }
}
