//! An arena: slots that are used again, and ids that know when theirs has been.
//!
//! An id is a slot and a generation. Freeing a slot raises its generation, so a timer that outlives the thing it
//! was set for finds nothing, and cancelling it is not doing anything.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The name of a `T` in an [`Arena`]: 8 bytes, `Copy`, stale once the thing is gone.
pub struct Id<T> {
    slot: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// An id that names nothing.
    pub const NONE: Self = Self { slot: u32::MAX, generation: u32::MAX, of: PhantomData };

    /// An id that names nothing in any arena, but what its owner knows by this number, which is not the greatest.
    #[inline]
    pub const fn outside(number: u32) -> Self {
        Self { slot: u32::MAX, generation: number, of: PhantomData }
    }

    /// The number of what is outside, if it names that.
    #[inline]
    pub fn number_outside(self) -> Option<u32> {
        (self.slot == u32::MAX && self.generation != u32::MAX).then_some(self.generation)
    }

    /// Whether this id names nothing by construction.
    #[inline]
    pub fn is_none(self) -> bool {
        self.slot == u32::MAX
    }

    /// The slot, for tables kept beside the arena.
    #[inline]
    pub fn slot(self) -> u32 {
        self.slot
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> Default for Id<T> {
    fn default() -> Self {
        Self::NONE
    }
}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot && self.generation == other.generation
    }
}
impl<T> Eq for Id<T> {}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.slot, self.generation).hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.slot, self.generation)
    }
}

/// A store of `T` with stable ids; freed slots are used again, last freed first.
///
/// Whether a slot is taken is the parity of its generation: odd while something lives there. So a look-up is one
/// comparison, and what lived in a free slot stays in it until the next comes.
#[derive(Debug, Clone)]
pub struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Slot<T> {
    generation: u32,
    value: T,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T: Copy> Arena<T> {
    /// An empty arena.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many things live here.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nothing lives here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores `value` and returns its id.
    // One place where the value is written, so that it is made there and not copied there.
    #[inline(always)]
    pub fn insert(&mut self, value: T) -> Id<T>
    where
        T: Default,
    {
        if self.free.is_empty() {
            self.grow();
        }
        let slot = self.free.pop().unwrap_or_default();
        let s = &mut self.slots[slot as usize];
        s.value = value;
        s.generation = s.generation.wrapping_add(1);
        Id { slot, generation: s.generation, of: PhantomData }
    }

    /// One more slot.
    #[cold]
    #[inline(never)]
    fn grow(&mut self)
    where
        T: Default,
    {
        let slot = self.slots.len() as u32;
        self.slots.push(Slot { generation: 0, value: T::default() });
        // Room to free every slot, so that removing never allocates.
        self.free.reserve(self.slots.capacity());
        self.free.push(slot);
    }

    /// Takes the thing out; `None` if it is gone already.
    #[inline]
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        let s = self.slots.get_mut(id.slot as usize)?;
        if s.generation != id.generation {
            return None;
        }
        s.generation = s.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(s.value)
    }

    /// Takes the thing out as [`remove`](Self::remove) does, and leaves it where it is until the next comes there: so
    /// that who needs little of it need not copy all.
    #[inline(always)]
    pub fn free(&mut self, id: Id<T>) -> Option<&T> {
        let s = self.slots.get_mut(id.slot as usize)?;
        if s.generation != id.generation {
            return None;
        }
        s.generation = s.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(&s.value)
    }

    /// Whether the thing still lives.
    #[inline]
    pub fn contains(&self, id: Id<T>) -> bool {
        self.slots.get(id.slot as usize).is_some_and(|s| s.generation == id.generation)
    }

    /// The thing, if it still lives.
    #[inline]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        let s = self.slots.get(id.slot as usize)?;
        (s.generation == id.generation).then_some(&s.value)
    }

    /// The thing, to be changed, if it still lives.
    #[inline]
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        let s = self.slots.get_mut(id.slot as usize)?;
        (s.generation == id.generation).then_some(&mut s.value)
    }

    /// All that lives here, in order of slot.
    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.generation % 2 == 1)
            .map(|(slot, s)| (Id { slot: slot as u32, generation: s.generation, of: PhantomData }, &s.value))
    }

    /// Forgets everything and keeps the memory. Ids handed out before must not be used again.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_stale_id_finds_nothing() {
        let mut arena = Arena::new();
        let a = arena.insert("a");
        assert_eq!(arena.remove(a), Some("a"));
        let b = arena.insert("b");
        assert_eq!(a.slot(), b.slot());
        assert_eq!(arena.get(a), None);
        assert_eq!(arena.remove(a), None);
        assert_eq!(arena.get(b), Some(&"b"));
        assert_eq!(arena.get(Id::NONE), None);
    }

    #[test]
    fn behaves_like_a_map() {
        let mut arena = Arena::new();
        let mut model = BTreeMap::new();
        let mut ids = Vec::new();
        for step in 0u64..2_000 {
            let pick = (step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as usize;
            if ids.is_empty() || !pick.is_multiple_of(3) {
                ids.push(arena.insert(step));
                model.insert(ids.len() - 1, step);
            } else {
                let at = pick % ids.len();
                assert_eq!(arena.remove(ids[at]), model.remove(&at));
            }
            assert_eq!(arena.len(), model.len());
        }
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(arena.get(*id), model.get(&at));
        }
    }
}
