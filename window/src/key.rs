//! What records are grouped by: keys, their hashes, and the columns they lie in.
//!
//! A key is hashed once, where its record is folded; the hash travels with it. Integers lie in a plain column and pay
//! nothing for strings; `()`, the key of an ungrouped window, takes no memory and no probe.

use std::fmt::Debug;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

use crate::arena::Arena;

mod bytes;
mod ints;

pub use bytes::BytesColumn;
pub use ints::IntColumn;

/// What makes the hashes of one job: the same seed gives the same hashes in every process.
///
/// Random per job, so that nobody can choose keys that collide: all that is mixed into a hash follows from the seed, none of
/// it is the same for everybody.
pub struct HashSeed {
    seed: u64,
    shared: SharedSeed,
}

impl HashSeed {
    /// The seed that follows from this number. Costs about as much as hashing ten keys.
    pub const fn new(seed: u64) -> Self {
        Self { seed, shared: SharedSeed::from_u64(seed) }
    }

    /// The number it was made from.
    pub const fn number(&self) -> u64 {
        self.seed
    }

    /// A hasher for one key.
    #[inline]
    pub fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.seed, &self.shared)
    }
}

impl Clone for HashSeed {
    fn clone(&self) -> Self {
        Self::new(self.seed)
    }
}

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HashSeed").field(&self.seed).finish()
    }
}

/// What records are grouped by.
pub trait Key: 'static {
    /// The key in a row of results.
    type Owned: Clone + Debug + Send + 'static;
    /// Where keys lie inside an arena.
    type Column: KeyColumn<Self>;
    /// All keys of this type are equal, so there is nothing to look up.
    const ONLY_ONE: bool = false;

    /// The hash, all 64 bits of it: the upper ones choose the owner, the lower ones the slot.
    fn hash(&self, seed: &HashSeed) -> u64;

    /// Whether `owned` is this key.
    fn is(&self, owned: &Self::Owned) -> bool;

    /// A copy that stands alone; allocates for strings and bytes.
    fn to_owned_key(&self) -> Self::Owned;

    /// Overwrites `owned` with this key, in the memory it has where that is enough.
    fn copy_to(&self, owned: &mut Self::Owned) {
        *owned = self.to_owned_key();
    }
}

/// Keys side by side in an [`Arena`]. Like [`Column`](crate::Column), it panics if it is used with another arena.
pub trait KeyColumn<K: Key + ?Sized>: Send + 'static {
    /// A column with room for `capacity` keys.
    fn new_in(arena: &Arena, capacity: usize) -> Self;
    /// Appends a key.
    fn push(&mut self, arena: &Arena, key: &K);
    /// Whether the key at `position` is `key`.
    fn matches(&self, arena: &Arena, position: usize, key: &K) -> bool;
    /// Whether the key at `position` is `owned`.
    fn matches_owned(&self, arena: &Arena, position: usize, owned: &K::Owned) -> bool;
    /// A copy of the key at `position`.
    fn owned(&self, arena: &Arena, position: usize) -> K::Owned;
    /// Overwrites `owned` with the key at `position`, in the memory it has where that is enough.
    fn copy_to(&self, arena: &Arena, position: usize, owned: &mut K::Owned) {
        *owned = self.owned(arena, position);
    }
}

/// The keys of an ungrouped window: nothing at all.
#[derive(Debug)]
pub struct NoColumn;

impl Key for () {
    type Owned = ();
    type Column = NoColumn;
    const ONLY_ONE: bool = true;

    #[inline]
    fn hash(&self, _seed: &HashSeed) -> u64 {
        0
    }

    #[inline]
    fn is(&self, _owned: &()) -> bool {
        true
    }

    #[inline]
    fn to_owned_key(&self) {}
}

impl KeyColumn<()> for NoColumn {
    fn new_in(_arena: &Arena, _capacity: usize) -> Self {
        Self
    }

    fn push(&mut self, _arena: &Arena, _key: &()) {}

    fn matches(&self, _arena: &Arena, _position: usize, _key: &()) -> bool {
        true
    }

    fn matches_owned(&self, _arena: &Arena, _position: usize, _owned: &()) -> bool {
        true
    }

    fn owned(&self, _arena: &Arena, _position: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fixed_by_the_seed() {
        assert_eq!(Key::hash("tweet", &HashSeed::new(7)), Key::hash("tweet", &HashSeed::new(7)));
        assert_ne!(Key::hash("tweet", &HashSeed::new(7)), Key::hash("tweet", &HashSeed::new(8)));
        assert_eq!(Key::hash("tweet", &HashSeed::new(7)), Key::hash(b"tweet".as_slice(), &HashSeed::new(7)));
        assert_ne!(Key::hash(&1_u64, &HashSeed::new(7)), Key::hash(&2_u64, &HashSeed::new(7)));
        assert_eq!(Key::hash(&(), &HashSeed::new(7)), 0);
        assert_eq!(Key::hash(&-1_i64, &HashSeed::new(1)), Key::hash(&u64::MAX, &HashSeed::new(1)));
    }

    /// With seeds that are the same for everybody, these bytes made every key that ends in them hash to 0, whatever the
    /// job's own seed: a writer of keys could put all of them into one place.
    #[test]
    fn no_suffix_makes_all_keys_collide_whatever_the_seed() {
        let keys = (0..64_u64).map(|front| [front.to_le_bytes(), [0x17, 0x09, 0x47, 0xb5, 0xb5, 0xd5, 0x84, 0x3f]]);
        let hashes = keys.map(|key| Key::hash(key.as_flattened(), &HashSeed::new(7)));
        assert_eq!(hashes.collect::<std::collections::BTreeSet<_>>().len(), 64);
    }

    #[test]
    fn string_column_gives_back_what_was_pushed() {
        let arena = Arena::new();
        let mut column = <str as Key>::Column::new_in(&arena, 1);
        let words = ["", "é", "longer than the others", "", "x"];
        words.iter().for_each(|word| KeyColumn::<str>::push(&mut column, &arena, word));
        let mut owned = String::from("stale");
        for (i, word) in words.iter().enumerate() {
            assert!(KeyColumn::<str>::matches(&column, &arena, i, word));
            assert!(!KeyColumn::<str>::matches(&column, &arena, i, "other"));
            KeyColumn::<str>::copy_to(&column, &arena, i, &mut owned);
            assert_eq!(owned, *word);
            assert!(KeyColumn::<str>::matches_owned(&column, &arena, i, &word.to_string()));
        }
    }
}
