//! The waiting room of an instance: who waits for a worker, who is called next, and who is turned away.
//!
//! Intuition: a waiting room holds the line, not the clock. Under overload first-come-first-served keeps everybody
//! waiting for longer than they have patience; last-come-first-served serves the fresh and lets the stale give up.
//!
//! Those who give up leave a gap in the [`Line`] that is closed when it reaches an end, or when gaps outnumber the
//! waiting. Callers who lose patience after the same time give up in the order in which they came, so that the one
//! who leaves is found at the front at once, however many wait behind. If each has a patience of their own, the line is
//! searched from the front.
//!
//! Sources: Kleinrock, Queueing Systems (1975) for the classical orders; Golestani, "A Self-Clocked Fair Queueing
//! Scheme for Broadband Applications" (INFOCOM 1994); Liu and Layland, "Scheduling Algorithms for Multiprogramming in a
//! Hard-Real-Time Environment" (JACM 1973) for deadlines; Maurer, "Fail at Scale" (ACM Queue 2015) for adaptive LIFO.

mod line;
mod shed;

use crate::base::{SimDuration, SimTime};
pub use line::Line;
pub use shed::{Shed, ShedConfig};

/// In which order the waiting are called.
#[derive(Clone, PartialEq, Debug)]
pub enum Discipline {
    /// First come, first served.
    Fifo,
    /// Last come, first served.
    Lifo,
    /// First come, first served up to so many; last come, first served while more wait (Facebook).
    AdaptiveLifo {
        /// How many may wait in order.
        above: u32,
    },
    /// Higher priority first; first come, first served among equals.
    Priority,
    /// Classes share the calls by their weights as far as they have somebody waiting (self-clocked fair queueing).
    WeightedFair {
        /// The weight of each class; 1 for those beyond.
        weights: Vec<f64>,
    },
    /// Whose deadline is first; first come, first served among equals.
    EarliestDeadline,
}

/// How a [`WaitQueue`] behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct QueueConfig {
    /// In which order.
    pub discipline: Discipline,
    /// Who is turned away before it is full.
    pub shed: ShedConfig,
    /// How many may wait; `None` for no bound.
    pub capacity: Option<u32>,
    /// How many bytes those who wait may have together; `None` for no bound.
    pub bytes_max: Option<u64>,
}

impl QueueConfig {
    /// First come, first served, any number.
    pub const UNBOUNDED: Self =
        Self { discipline: Discipline::Fifo, shed: ShedConfig::None, capacity: None, bytes_max: None };
}

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<W> {
    /// The token by which it is called.
    pub waiter: W,
    /// When it came.
    pub at: SimTime,
    /// Its priority, higher first.
    pub priority: u8,
    /// Its class, for fair shares.
    pub class: u32,
    /// When it should be served.
    pub deadline: SimTime,
    /// How large it is.
    pub bytes: u64,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// It waits, no longer than this if that is limited.
    Waits(Option<SimDuration>),
    /// There is no room.
    Full,
    /// There is room, and it is turned away all the same.
    Shed,
}

/// Who is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Called<W> {
    /// To be served.
    Serve(W),
    /// To be turned away.
    Shed(W),
}

#[derive(Clone, Copy, Debug)]
struct Waiting<W> {
    waiter: W,
    at: SimTime,
    bytes: u64,
    /// What the order goes by, where there are classes: smaller first.
    tag: f64,
    /// Newcomers are numbered: earlier first among equals.
    number: u64,
}

/// The waiting room of one instance, holding tokens `W`.
#[derive(Clone, Debug)]
pub struct WaitQueue<W> {
    discipline: Discipline,
    capacity: Option<u32>,
    bytes_max: Option<u64>,
    /// Who is turned away before it is full. Most rooms turn nobody away, and stay small.
    shed: Option<Box<Shed>>,
    /// The line of all, for orders that know no classes.
    line: Line<Waiting<W>>,
    /// One line for each class that was ever seen, each in order of its tags.
    classes: Vec<Class<W>>,
    /// The tag of the one called last (fair shares).
    clock: f64,
    newcomers: u64,
    len: usize,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Class<W> {
    id: u32,
    /// The tag of the last who came.
    last: f64,
    line: Line<Waiting<W>>,
}

impl<W: Copy + PartialEq> WaitQueue<W> {
    /// An empty waiting room.
    pub fn new(config: QueueConfig) -> Self {
        let QueueConfig { discipline, shed, capacity, bytes_max } = config;
        let (line, classes) = (Line::new(), Vec::new());
        let shed = Shed::of(shed);
        Self {
            discipline,
            capacity,
            bytes_max,
            shed,
            line,
            classes,
            clock: 0.0,
            newcomers: 0,
            len: 0,
            bytes: 0,
        }
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

    /// Changes the bounds. Those who wait stay, even if they are now too many.
    pub fn set_bounds(&mut self, capacity: Option<u32>, bytes_max: Option<u64>) {
        self.capacity = capacity;
        self.bytes_max = bytes_max;
    }

    /// Turns away by another rule from now on.
    pub fn set_shed(&mut self, shed: ShedConfig) {
        self.shed = Shed::of(shed);
    }

    /// Somebody comes. `random` is uniform from 0 to 1, and counts where chance decides.
    #[inline]
    pub fn push(&mut self, now: SimTime, newcomer: Newcomer<W>, random: f64) -> Entry {
        let bytes = self.bytes + newcomer.bytes;
        if self.capacity.is_some_and(|capacity| self.len >= capacity as usize)
            || self.bytes_max.is_some_and(|max| bytes > max)
        {
            return Entry::Full;
        }
        let mut limit = None;
        if let Some(shed) = &mut self.shed {
            if shed.turns_away(now, self.len, random) {
                return Entry::Shed;
            }
            limit = shed.limit(now, self.len);
        }
        self.bytes = bytes;
        self.len += 1;
        self.newcomers += 1;
        let Newcomer { waiter, at, bytes, .. } = newcomer;
        let mut waiting = Waiting { waiter, at, bytes, tag: 0.0, number: self.newcomers };
        let class = match &self.discipline {
            Discipline::Fifo | Discipline::Lifo | Discipline::AdaptiveLifo { .. } => {
                self.line.push(waiting);
                return Entry::Waits(limit);
            }
            Discipline::Priority => {
                waiting.tag = -f64::from(newcomer.priority);
                u32::from(newcomer.priority)
            }
            Discipline::EarliestDeadline => {
                waiting.tag = newcomer.deadline.ns() as f64;
                newcomer.class
            }
            Discipline::WeightedFair { weights } => {
                let weight = weights.get(newcomer.class as usize).copied().unwrap_or(1.0);
                let last = self.classes.iter().find(|c| c.id == newcomer.class).map_or(0.0, |c| c.last);
                waiting.tag = last.max(self.clock) + 1.0 / weight;
                newcomer.class
            }
        };
        self.class(class, waiting);
        Entry::Waits(limit)
    }

    /// Calls the next; `None` if nobody waits.
    #[inline]
    pub fn pop(&mut self, now: SimTime) -> Option<Called<W>> {
        if self.len == 0 {
            return None;
        }
        let next = self.take_next()?;
        self.len -= 1;
        self.bytes -= next.bytes;
        self.clock = next.tag;
        if let Some(shed) = &mut self.shed {
            if self.len == 0 {
                shed.emptied(now);
            }
            if shed.drops(now, now.since(next.at)) {
                return Some(Called::Shed(next.waiter));
            }
        }
        Some(Called::Serve(next.waiter))
    }

    fn take_next(&mut self) -> Option<Waiting<W>> {
        match self.discipline {
            Discipline::Fifo => self.line.pop(),
            Discipline::Lifo => self.line.pop_last(),
            Discipline::AdaptiveLifo { above } if self.len > above as usize => self.line.pop_last(),
            Discipline::AdaptiveLifo { .. } => self.line.pop(),
            _ => {
                let mut best: Option<(usize, f64, u64)> = None;
                for (at, class) in self.classes.iter_mut().enumerate() {
                    let Some(first) = class.line.front() else { continue };
                    if best.is_none_or(|(_, tag, number)| (first.tag, first.number) < (tag, number)) {
                        best = Some((at, first.tag, first.number));
                    }
                }
                best.and_then(|(at, ..)| self.classes[at].line.pop())
            }
        }
    }

    /// `waiter` gives up; false if it does not wait here.
    pub fn remove(&mut self, waiter: W) -> bool {
        let lines = std::iter::once(&mut self.line).chain(self.classes.iter_mut().map(|c| &mut c.line));
        let mut found = lines.filter_map(|line| line.take_while(|_| true, |w| w.waiter == waiter));
        let found = found.next();
        if let Some(gone) = &found {
            self.len -= 1;
            self.bytes -= gone.bytes;
        }
        found.is_some()
    }

    /// Sends everybody away, appending them to `out` in the order in which they would have been called.
    pub fn drain(&mut self, out: &mut Vec<W>) {
        while let Some(next) = self.take_next() {
            self.len -= 1;
            self.bytes -= next.bytes;
            out.push(next.waiter);
        }
    }

    /// Joins the line of a class, opened on first use. The lines are in order of class.
    fn class(&mut self, id: u32, waiting: Waiting<W>) {
        let at = self.classes.partition_point(|c| c.id < id);
        if self.classes.get(at).is_none_or(|c| c.id != id) {
            self.classes.insert(at, Class { id, last: 0.0, line: Line::new() });
        }
        self.classes[at].last = waiting.tag;
        self.classes[at].line.push(waiting);
    }
}

#[cfg(test)]
mod tests;
