//! The settings that were in force before.

/// Settings that are no longer in force, by epoch: each once, in the order in which they were left last. A runbook that
/// sets and undoes all day leaves the same few again and again.
#[derive(Debug, Default)]
pub(super) struct Past {
    left: Vec<usize>,
    changes: usize,
}

impl Past {
    /// The settings of an epoch are left.
    pub fn leave(&mut self, epoch: usize) {
        self.left.retain(|past| *past != epoch);
        self.left.push(epoch);
        self.changes += 1;
    }

    /// Those that were left last.
    pub fn last(&self) -> Option<usize> {
        self.left.last().copied()
    }

    /// All of them, those that were left last at the end.
    pub fn iter(&self) -> impl Iterator<Item = &usize> {
        self.left.iter()
    }

    /// How often settings have changed.
    pub fn changes(&self) -> usize {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_again_is_kept_once() {
        let mut past = Past::default();
        [0, 1, 0, 2, 0].into_iter().for_each(|epoch| past.leave(epoch));
        assert_eq!(past.iter().copied().collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!((past.last(), past.changes()), (Some(0), 5));
    }
}
