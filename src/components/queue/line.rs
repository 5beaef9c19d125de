//! A line that anybody may leave.

use std::collections::VecDeque;

/// Gaps that a line may have beyond one for each who waits, before it is closed up.
const GAPS_SPARE: usize = 64;

/// A line that anybody may leave: a ring buffer whose gaps are skipped.
#[derive(Clone, Debug)]
pub struct Line<T> {
    /// The waiting from front to back; `None` where somebody left.
    places: VecDeque<Option<T>>,
    len: usize,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { places: VecDeque::new(), len: 0 }
    }
}

impl<T> Line<T> {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many stand in line.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody stands in line.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Joins at the back.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.len += 1;
        self.places.push_back(Some(item));
    }

    /// The one at the front.
    #[inline]
    pub fn front(&mut self) -> Option<&T> {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
        }
        self.places.front().and_then(Option::as_ref)
    }

    /// Who stands at the front.
    pub fn first(&self) -> Option<&T> {
        self.places.iter().flatten().next()
    }

    /// Takes the one at the front.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.places.pop_front()? {
                self.len -= 1;
                return Some(item);
            }
        }
    }

    /// Takes the one at the back.
    #[inline]
    pub fn pop_last(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.places.pop_back()? {
                self.len -= 1;
                return Some(item);
            }
        }
    }

    /// Takes out the first for whom `is_it` holds, searching from the front; false if there is none.
    pub fn remove(&mut self, is_it: impl Fn(&T) -> bool) -> bool {
        self.take_while(|_| true, is_it).is_some()
    }

    /// As [`Line::remove`], but gives up at the first for whom `may_be_behind` does not hold.
    pub fn remove_while(&mut self, may_be_behind: impl Fn(&T) -> bool, is_it: impl Fn(&T) -> bool) -> bool {
        self.take_while(may_be_behind, is_it).is_some()
    }

    /// As [`Line::remove_while`], and returns whom it took out.
    pub fn take_while(
        &mut self,
        may_be_behind: impl Fn(&T) -> bool,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<T> {
        self.front();
        for place in &mut self.places {
            let Some(item) = place else { continue };
            if is_it(item) {
                let taken = place.take();
                self.len -= 1;
                self.close_up();
                return taken;
            }
            if !may_be_behind(item) {
                return None;
            }
        }
        None
    }

    /// Sends everybody away.
    pub fn clear(&mut self) {
        self.places.clear();
        self.len = 0;
    }

    /// Removes all gaps once they are more than the waiting: constant work per departure, on average.
    fn close_up(&mut self) {
        if self.places.len() > 2 * self.len + GAPS_SPARE {
            self.places.retain(Option::is_some);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_fewer_than_a_bound() {
        let mut line = Line::new();
        line.push(0);
        for i in 1..10_000 {
            line.push(i);
            assert!(line.remove(|w| *w == i));
            assert!(line.places.len() <= 2 * line.len() + GAPS_SPARE + 1);
        }
        assert_eq!((line.len(), line.pop(), line.pop()), (1, Some(0), None));
    }

    #[test]
    fn the_search_ends_where_it_is_told() {
        let mut line = Line::new();
        (0..10).for_each(|i| line.push(i));
        assert!(!line.remove_while(|w| *w < 3, |w| *w == 7));
        assert!(line.remove_while(|w| *w < 3, |w| *w == 3));
        assert_eq!(line.len(), 9);
    }
}
