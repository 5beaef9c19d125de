//! The waiting room of an instance: who waits for a worker, and who is called next.
//!
//! Intuition: a waiting room holds the line, not the clock. Under overload first-come-first-served keeps everybody
//! waiting for longer than they have patience; last-come-first-served serves the fresh and lets the stale give up.
//!
//! Those who give up leave a gap in the [`Line`] that is closed when it reaches an end, or when gaps outnumber the
//! waiting. Callers who lose patience after the same time give up in the order in which they came, so that the one
//! who leaves is found at the front at once, however many wait behind. If each has a patience of their own, the line is
//! searched from the front.
//!
//! Source: the disciplines are those of queueing theory (Kleinrock, Queueing Systems, 1975).

use std::collections::VecDeque;

/// Gaps that a line may have beyond one for each who waits, before it is closed up.
const GAPS_SPARE: usize = 64;

/// In which order the waiting are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discipline {
    /// First come, first served.
    Fifo,
    /// Last come, first served.
    Lifo,
    /// Higher priority first; first come, first served among equals.
    Priority,
}

/// The waiting room of one instance: bounded or not, holding tokens `W`.
#[derive(Clone, Debug)]
pub struct WaitQueue<W> {
    discipline: Discipline,
    capacity: Option<usize>,
    /// The line of all under FIFO and LIFO; unused under priority.
    line: Line<W>,
    /// One line per priority that was ever seen, highest first.
    classes: Vec<(u8, Line<W>)>,
    len: usize,
}

impl<W: Copy + PartialEq> WaitQueue<W> {
    /// An empty waiting room with room for `capacity`, `None` for no bound.
    pub fn new(discipline: Discipline, capacity: Option<usize>) -> Self {
        Self { discipline, capacity, line: Line::new(), classes: Vec::new(), len: 0 }
    }

    /// How many wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Changes the bound. Those who wait stay, even if they are now too many.
    pub fn set_capacity(&mut self, capacity: Option<usize>) {
        self.capacity = capacity;
    }

    /// Lets `waiter` wait; false if the room is full. `priority` counts under [`Discipline::Priority`] only.
    #[inline]
    pub fn push(&mut self, waiter: W, priority: u8) -> bool {
        if self.capacity.is_some_and(|capacity| self.len >= capacity) {
            return false;
        }
        self.len += 1;
        if self.discipline == Discipline::Priority {
            self.class(priority).push(waiter);
        } else {
            self.line.push(waiter);
        }
        true
    }

    /// Calls the next; `None` if nobody waits.
    #[inline]
    pub fn pop(&mut self) -> Option<W> {
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        match self.discipline {
            Discipline::Fifo => self.line.pop(),
            Discipline::Lifo => self.line.pop_last(),
            Discipline::Priority => self.classes.iter_mut().find_map(|(_, line)| line.pop()),
        }
    }

    /// `waiter` gives up; false if it does not wait here.
    pub fn remove(&mut self, waiter: W) -> bool {
        let is_found = if self.discipline == Discipline::Priority {
            self.classes.iter_mut().any(|(_, line)| line.remove(|w| *w == waiter))
        } else {
            self.line.remove(|w| *w == waiter)
        };
        self.len -= usize::from(is_found);
        is_found
    }

    /// Sends everybody away, appending them to `out` in the order in which they would have been called.
    pub fn drain(&mut self, out: &mut Vec<W>) {
        while let Some(waiter) = self.pop() {
            out.push(waiter);
        }
    }

    /// The line of one priority, opened on first use.
    fn class(&mut self, priority: u8) -> &mut Line<W> {
        let at = self.classes.partition_point(|(p, _)| *p > priority);
        if self.classes.get(at).is_none_or(|(p, _)| *p != priority) {
            self.classes.insert(at, (priority, Line::new()));
        }
        &mut self.classes[at].1
    }
}

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
        self.remove_while(|_| true, is_it)
    }

    /// As [`Line::remove`], but gives up at the first for whom `may_be_behind` does not hold.
    pub fn remove_while(&mut self, may_be_behind: impl Fn(&T) -> bool, is_it: impl Fn(&T) -> bool) -> bool {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
        }
        for place in &mut self.places {
            let Some(item) = place else { continue };
            if is_it(item) {
                *place = None;
                self.len -= 1;
                self.close_up();
                return true;
            }
            if !may_be_behind(item) {
                return false;
            }
        }
        false
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
    use proptest::prelude::*;

    /// Plays a script: a letter joins with priority by case (upper 1, lower 0), `.` calls the next, `-x` x gives up.
    fn replay(discipline: Discipline, capacity: Option<usize>, script: &str) -> String {
        let mut queue = WaitQueue::new(discipline, capacity);
        let mut called = String::new();
        let mut letters = script.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '.' => called.push(queue.pop().unwrap_or('_')),
                '-' => called.push(if queue.remove(letters.next().unwrap()) { '-' } else { '?' }),
                _ if queue.push(letter, u8::from(letter.is_ascii_uppercase())) => {}
                _ => called.push('!'),
            }
        }
        called
    }

    #[test]
    fn each_discipline_calls_in_its_order() {
        assert_eq!(replay(Discipline::Fifo, None, "abC....ab.."), "abC_ab");
        assert_eq!(replay(Discipline::Lifo, None, "abC....ab.."), "Cba_ba");
        assert_eq!(replay(Discipline::Priority, None, "aBcD.b....."), "BDacb_");
    }

    #[test]
    fn a_full_room_sends_away_and_a_departure_makes_room() {
        assert_eq!(replay(Discipline::Fifo, Some(2), "abc.c..."), "!abc_");
        assert_eq!(replay(Discipline::Fifo, Some(2), "ab-ac.."), "-bc");
        assert_eq!(replay(Discipline::Fifo, Some(0), "a."), "!_");
    }

    #[test]
    fn who_gave_up_is_not_called() {
        assert_eq!(replay(Discipline::Fifo, None, "abcd-b-b.-d.."), "-?a-c_");
        assert_eq!(replay(Discipline::Lifo, None, "abcd-d-b.-a.."), "--c-__");
        assert_eq!(replay(Discipline::Priority, None, "aBcD-B-c..."), "--Da_");
    }

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

    proptest! {
        #[test]
        fn behaves_like_a_sorted_list(
            discipline in prop_oneof![Just(Discipline::Fifo), Just(Discipline::Lifo), Just(Discipline::Priority)],
            capacity in prop_oneof![Just(None), (0usize..20).prop_map(Some)],
            steps in prop::collection::vec((0u8..10, 0u8..4, any::<prop::sample::Index>()), 0..400),
        ) {
            let mut queue = WaitQueue::new(discipline, capacity);
            let mut model: Vec<(u8, u32)> = Vec::new();
            for (number, (action, priority, index)) in (0u32..).zip(steps) {
                match action {
                    0..5 => {
                        let has_room = capacity.is_none_or(|c| model.len() < c);
                        prop_assert_eq!(queue.push(number, priority), has_room);
                        if has_room {
                            model.push((priority, number));
                        }
                    }
                    5..8 => {
                        let next = match discipline {
                            Discipline::Fifo => (!model.is_empty()).then_some(0),
                            Discipline::Lifo => model.len().checked_sub(1),
                            Discipline::Priority => {
                                (0..model.len()).max_by_key(|i| (model[*i].0, std::cmp::Reverse(*i)))
                            }
                        };
                        prop_assert_eq!(queue.pop(), next.map(|i| model.remove(i).1));
                    }
                    _ if model.is_empty() => prop_assert!(!queue.remove(number)),
                    _ => {
                        let (_, gone) = model.remove(index.index(model.len()));
                        prop_assert!(queue.remove(gone));
                        prop_assert!(!queue.remove(gone));
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            let mut rest = Vec::new();
            queue.drain(&mut rest);
            prop_assert_eq!(rest.len(), model.len());
            prop_assert!(queue.is_empty());
        }
    }
}
