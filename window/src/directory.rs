//! The owner's directory: a small dense number for every key that some retained pane holds.
//!
//! Ids are dense, so that running totals are an array; an id is free for another key as soon as no pane holds its key, so
//! that keys that come and go leave nothing behind.

use crate::arena::Arena;
use crate::index::{Index, small};
use crate::key::{Key, KeyColumn};

/// Keys and their ids. Positions of the index are ids.
pub(crate) struct Directory<K: Key + ?Sized> {
    index: Index,
    hashes: Vec<u64>,
    keys: Vec<K::Owned>, // of a free id: stale, its memory is used again
    retained: Vec<u32>,  // by id: entries that some pane has for it; 0 = free
    free: Vec<u32>,
}

impl<K: Key + ?Sized> Directory<K> {
    pub(crate) fn new() -> Self {
        Self { index: Index::new(), hashes: Vec::new(), keys: Vec::new(), retained: Vec::new(), free: Vec::new() }
    }

    /// How many ids were ever in use at once: all ids are less.
    pub(crate) fn ids(&self) -> usize {
        self.keys.len()
    }

    /// How many keys have an id now.
    pub(crate) fn live(&self) -> usize {
        self.ids() - self.free.len()
    }

    pub(crate) fn key(&self, id: usize) -> &K::Owned {
        &self.keys[id]
    }

    /// Memory held; what keys hold beyond their own size is not seen.
    pub(crate) fn bytes(&self) -> usize {
        // Each by itself: the capacity of a vector of keys without a size is the greatest number there is.
        let keys = if size_of::<K::Owned>() == 0 { 0 } else { self.keys.capacity() * size_of::<K::Owned>() };
        self.index.bytes()
            + keys
            + self.hashes.capacity() * size_of::<u64>()
            + self.retained.capacity() * size_of::<u32>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// What [`Index::guess`] says of `hash`; to be confirmed by [`Directory::id_of`] or [`Directory::id_of_key`].
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> u32 {
        self.index.guess(hash)
    }

    /// The id of the key at `position` of a block's columns; a new one if it has none.
    ///
    /// A new id is held by nobody yet: [`Directory::retain`] it.
    #[inline]
    pub(crate) fn id_of(&mut self, hash: u64, guess: u32, keys: &K::Column, arena: &Arena, position: usize) -> u32 {
        if self.keys.get(guess as usize).is_some_and(|key| keys.matches_owned(arena, position, key)) {
            return guess;
        }
        match self.index.find(hash, |id| keys.matches_owned(arena, position, &self.keys[id])) {
            Some(id) => small(id),
            None => self.new_id(hash, |key| keys.copy_to(arena, position, key), || keys.owned(arena, position)),
        }
    }

    /// The id of `key`; a new one if it has none. A new id is held by nobody yet: [`Directory::retain`] it.
    #[inline]
    pub(crate) fn id_of_key(&mut self, hash: u64, guess: u32, key: &K) -> u32 {
        if self.keys.get(guess as usize).is_some_and(|owned| key.is(owned)) {
            return guess;
        }
        match self.index.find(hash, |id| key.is(&self.keys[id])) {
            Some(id) => small(id),
            None => self.new_id(hash, |owned| key.copy_to(owned), || key.to_owned_key()),
        }
    }

    /// Gives a key an id: a free one, whose key is overwritten, or the next.
    #[cold]
    #[inline(never)]
    fn new_id(&mut self, hash: u64, overwrite: impl FnOnce(&mut K::Owned), make: impl FnOnce() -> K::Owned) -> u32 {
        let id = match self.free.pop() {
            Some(id) => {
                self.hashes[id as usize] = hash;
                overwrite(&mut self.keys[id as usize]);
                id
            }
            None => {
                self.hashes.push(hash);
                self.keys.push(make());
                self.retained.push(0);
                small(self.ids() - 1)
            }
        };
        self.index.insert(hash, id as usize, |id| self.hashes[id]);
        id
    }

    /// One entry more, in whatever pane, is of `id`.
    #[inline]
    pub(crate) fn retain(&mut self, id: usize) {
        self.retained[id] += 1;
    }

    /// One entry less, in whatever pane, is of `id`; after the last, the id is free.
    #[inline]
    pub(crate) fn release(&mut self, id: usize) {
        self.retained[id] -= 1;
        if self.retained[id] == 0 {
            self.index.remove(self.hashes[id], id);
            self.free.push(small(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::index::NOWHERE;

    fn column(arena: &Arena, keys: &[&str]) -> <str as Key>::Column {
        let mut column = <str as Key>::Column::new_in(arena, keys.len());
        keys.iter().for_each(|key| KeyColumn::<str>::push(&mut column, arena, key));
        column
    }

    #[test]
    fn keys_without_a_size_weigh_nothing() {
        let (arena, mut directory) = (Arena::new(), Directory::<()>::new());
        let keys = <() as Key>::Column::new_in(&arena, 1);
        let id = directory.id_of(0, NOWHERE, &keys, &arena, 0);
        directory.retain(id as usize);
        assert!((1..1_024).contains(&directory.bytes()), "{} bytes for one key", directory.bytes());
    }

    #[test]
    fn id_is_reused_when_the_last_pane_lets_go_and_not_before() {
        let arena = Arena::new();
        let keys = column(&arena, &["a", "b", "c"]);
        let mut directory = Directory::<str>::new();
        let a = directory.id_of(1, NOWHERE, &keys, &arena, 0);
        directory.retain(a as usize);
        directory.retain(a as usize);
        let b = directory.id_of(1, NOWHERE, &keys, &arena, 1); // the same hash: told apart by its bytes
        directory.retain(b as usize);
        assert_eq!((a, b, directory.id_of(1, NOWHERE, &keys, &arena, 0)), (0, 1, 0));
        directory.release(a as usize);
        assert_eq!(directory.live(), 2);
        directory.release(a as usize);
        assert_eq!(directory.live(), 1);
        let c = directory.id_of(2, NOWHERE, &keys, &arena, 2);
        directory.retain(c as usize);
        assert_eq!((c, directory.key(c as usize).as_str(), directory.ids()), (a, "c", 2));
        assert_eq!(directory.id_of(1, NOWHERE, &keys, &arena, 1), b);
    }

    #[test]
    fn keys_that_come_and_go_leave_nothing_behind() {
        let mut directory = Directory::<u64>::new();
        for round in 0..100_u64 {
            let arena = Arena::new();
            let mut keys = <u64 as Key>::Column::new_in(&arena, 50);
            (0..50).for_each(|i| keys.push(&arena, &(round * 50 + i)));
            let ids: Vec<_> =
                (0..50).map(|i| directory.id_of(round * 50 + i as u64, NOWHERE, &keys, &arena, i)).collect();
            ids.iter().for_each(|id| directory.retain(*id as usize));
            ids.iter().for_each(|id| directory.release(*id as usize));
        }
        assert_eq!((directory.ids(), directory.live()), (50, 0));
    }
}
