//! From hashes to positions: who asks compares the keys, which lie in columns of its own.
//!
//! The delta of a worker and the owner's directory use it alike. Looking up many hashes at once is done in passes, each
//! over the whole lot (hash, [`Index::guess`], compare), because loads of different records then overlap, where one
//! record after the other would wait for each: at 10 000 keys that halved the cost of a record, at 100 000 it was a
//! quarter.

use hashbrown::HashTable;

/// Positions by hash. 4 bytes and one byte of control a slot, at most 7/8 of them used.
pub(crate) struct Index {
    positions: HashTable<u32>,
}

/// How many records or entries the engine's passes go over: enough to overlap, few enough to lie in the nearest cache.
pub const LOT: usize = 128;

/// What [`Index::guess`] gives for a hash that is certainly not there: greater than any position.
pub(crate) const NOWHERE: u32 = u32::MAX;

impl Index {
    pub(crate) const fn new() -> Self {
        Self { positions: HashTable::new() }
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.positions.allocation_size()
    }

    /// Empties the index and keeps its memory. Cost: a byte a slot.
    pub(crate) fn clear(&mut self) {
        self.positions.clear();
    }

    /// Where `hash` most likely is, without a look at its key: compare it, and on a mismatch [`Index::find`] it.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> u32 {
        self.positions.find(mixed(hash), |_| true).copied().unwrap_or(NOWHERE)
    }

    /// The position with this hash for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        self.positions.find(mixed(hash), |position| is_it(*position as usize)).map(|position| *position as usize)
    }

    /// Enters `position`, which is not there yet. Grows when full, and then asks for the hash of every position.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        let small = small(position);
        let _ = self.positions.insert_unique(mixed(hash), small, |position| mixed(hash_of(*position as usize)));
    }

    /// Forgets `position`, which is in the index under this hash.
    pub(crate) fn remove(&mut self, hash: u64, position: usize) {
        let entry = self.positions.find_entry(mixed(hash), |other| *other as usize == position);
        let _ = entry.expect("a position to be removed is in the index").remove();
    }
}

/// The table tells keys apart by the uppermost bits, which are all alike at an owner, for they chose it: these come from the
/// middle instead.
#[inline]
const fn mixed(hash: u64) -> u64 {
    hash.rotate_left(32)
}

/// A position as the index and the panes keep it.
///
/// # Panics
/// If there are 2^32 − 1 keys in one place: their columns alone would take 64 GiB.
#[inline]
pub(crate) fn small(position: usize) -> u32 {
    match u32::try_from(position) {
        Ok(small) if small != NOWHERE => small,
        _ => too_many(),
    }
}

#[cold]
#[inline(never)]
fn too_many() -> ! {
    panic!("fewer than 2^32 - 1 keys in one place")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Bad on purpose: few places, few tags.
    fn poor_hash(key: usize) -> u64 {
        (key % 7 + 10) as u64 | ((key % 3) as u64) << 57
    }

    proptest! {
        #[test]
        fn behaves_like_a_map_under_collisions(ops in prop::collection::vec((0_usize..120, 0..10), 1..400)) {
            let (mut index, mut model) = (Index::new(), BTreeMap::new());
            for (key, op) in ops {
                match (index.find(poor_hash(key), |position| position == key), op) {
                    (Some(position), 0..5) => {
                        prop_assert_eq!(model.remove(&position), Some(()));
                        index.remove(poor_hash(key), key);
                    }
                    (Some(position), _) => prop_assert!(model.contains_key(&position)),
                    (None, 0..9) => {
                        prop_assert!(model.insert(key, ()).is_none());
                        index.insert(poor_hash(key), key, poor_hash);
                    }
                    (None, _) => { index.clear(); model.clear(); }
                }
            }
            for key in 0..120 {
                let found = index.find(poor_hash(key), |position| position == key);
                prop_assert_eq!(found.is_some(), model.contains_key(&key));
                if found.is_some() {
                    prop_assert_ne!(index.guess(poor_hash(key)), NOWHERE);
                }
            }
        }
    }
}
