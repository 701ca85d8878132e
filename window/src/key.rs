//! What records are grouped by: keys, their hashes, and the columns they lie in.
//!
//! A key is hashed once, where its record is folded; the hash travels with it. Integers lie in a plain column and pay
//! nothing for strings; `()`, the key of an ungrouped window, takes no memory and no probe.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;

use foldhash::fast::{FixedState, FoldHasher};

use crate::arena::{Arena, Column};

/// What makes the hashes of one job: the same seed gives the same hashes in every process.
///
/// Random per job, so that nobody can choose keys that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed(pub u64);

impl HashSeed {
    /// A hasher for one key.
    #[inline]
    pub fn hasher(self) -> FoldHasher<'static> {
        FixedState::with_seed(self.0).build_hasher()
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
    fn hash(&self, seed: HashSeed) -> u64;

    /// A copy that stands alone; allocates for strings and bytes.
    fn to_owned_key(&self) -> Self::Owned;
}

/// Keys side by side in an [`Arena`]. Like [`Column`], it panics if it is used with another arena.
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

/// Keys that are integers: one plain column.
#[derive(Debug)]
pub struct IntColumn<T: Copy> {
    keys: Column<T>,
}

/// Keys that are strings of bytes: where each one ends, and all their bytes.
#[derive(Debug)]
pub struct BytesColumn<O> {
    ends: Column<usize>,
    bytes: Column<u8>,
    owned: PhantomData<fn() -> O>,
}

/// The keys of an ungrouped window: nothing at all.
#[derive(Debug)]
pub struct NoColumn;

macro_rules! int_key {
    ($int:ty, $to_u64:expr) => {
        impl Key for $int {
            type Owned = $int;
            type Column = IntColumn<$int>;

            #[inline]
            fn hash(&self, seed: HashSeed) -> u64 {
                let mut hasher = seed.hasher();
                hasher.write_u64($to_u64(*self));
                hasher.finish()
            }

            #[inline]
            fn to_owned_key(&self) -> $int {
                *self
            }
        }

        impl KeyColumn<$int> for IntColumn<$int> {
            fn new_in(arena: &Arena, capacity: usize) -> Self {
                Self { keys: arena.column(capacity) }
            }

            #[inline]
            fn push(&mut self, arena: &Arena, key: &$int) {
                self.keys.push(arena, *key);
            }

            #[inline]
            fn matches(&self, arena: &Arena, position: usize, key: &$int) -> bool {
                self.keys.slice(arena)[position] == *key
            }

            #[inline]
            fn matches_owned(&self, arena: &Arena, position: usize, owned: &$int) -> bool {
                self.keys.slice(arena)[position] == *owned
            }

            #[inline]
            fn owned(&self, arena: &Arena, position: usize) -> $int {
                self.keys.slice(arena)[position]
            }
        }
    };
}

int_key!(u64, |key: u64| key);
int_key!(i64, i64::cast_unsigned);

impl<O> BytesColumn<O> {
    fn new_in(arena: &Arena, capacity: usize) -> Self {
        Self { ends: arena.column(capacity), bytes: arena.column(0), owned: PhantomData }
    }

    fn push(&mut self, arena: &Arena, key: &[u8]) {
        self.bytes.extend(arena, key);
        self.ends.push(arena, self.bytes.len());
    }

    #[inline]
    fn get<'a>(&'a self, arena: &'a Arena, position: usize) -> &'a [u8] {
        let ends = self.ends.slice(arena);
        let first = if position == 0 { 0 } else { ends[position - 1] };
        &self.bytes.slice(arena)[first..ends[position]]
    }
}

#[inline]
fn hash_bytes(key: &[u8], seed: HashSeed) -> u64 {
    let mut hasher = seed.hasher();
    hasher.write(key);
    hasher.finish()
}

impl Key for [u8] {
    type Owned = Vec<u8>;
    type Column = BytesColumn<Vec<u8>>;

    #[inline]
    fn hash(&self, seed: HashSeed) -> u64 {
        hash_bytes(self, seed)
    }

    fn to_owned_key(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl KeyColumn<[u8]> for BytesColumn<Vec<u8>> {
    fn new_in(arena: &Arena, capacity: usize) -> Self {
        Self::new_in(arena, capacity)
    }

    fn push(&mut self, arena: &Arena, key: &[u8]) {
        self.push(arena, key);
    }

    #[inline]
    fn matches(&self, arena: &Arena, position: usize, key: &[u8]) -> bool {
        self.get(arena, position) == key
    }

    #[inline]
    fn matches_owned(&self, arena: &Arena, position: usize, owned: &Vec<u8>) -> bool {
        self.get(arena, position) == owned.as_slice()
    }

    fn owned(&self, arena: &Arena, position: usize) -> Vec<u8> {
        self.get(arena, position).to_vec()
    }

    fn copy_to(&self, arena: &Arena, position: usize, owned: &mut Vec<u8>) {
        owned.clear();
        owned.extend_from_slice(self.get(arena, position));
    }
}

impl Key for str {
    type Owned = String;
    type Column = BytesColumn<String>;

    #[inline]
    fn hash(&self, seed: HashSeed) -> u64 {
        hash_bytes(self.as_bytes(), seed)
    }

    fn to_owned_key(&self) -> String {
        self.to_owned()
    }
}

/// Strings are compared as bytes, and checked to be UTF-8 only when an owner meets a new one.
impl KeyColumn<str> for BytesColumn<String> {
    fn new_in(arena: &Arena, capacity: usize) -> Self {
        Self::new_in(arena, capacity)
    }

    fn push(&mut self, arena: &Arena, key: &str) {
        self.push(arena, key.as_bytes());
    }

    #[inline]
    fn matches(&self, arena: &Arena, position: usize, key: &str) -> bool {
        self.get(arena, position) == key.as_bytes()
    }

    #[inline]
    fn matches_owned(&self, arena: &Arena, position: usize, owned: &String) -> bool {
        self.get(arena, position) == owned.as_bytes()
    }

    fn owned(&self, arena: &Arena, position: usize) -> String {
        let mut owned = String::new();
        KeyColumn::<str>::copy_to(self, arena, position, &mut owned);
        owned
    }

    fn copy_to(&self, arena: &Arena, position: usize, owned: &mut String) {
        owned.clear();
        owned.push_str(str::from_utf8(self.get(arena, position)).expect("only whole strings are pushed"));
    }
}

impl Key for () {
    type Owned = ();
    type Column = NoColumn;
    const ONLY_ONE: bool = true;

    #[inline]
    fn hash(&self, _seed: HashSeed) -> u64 {
        0
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
        assert_eq!(Key::hash("tweet", HashSeed(7)), Key::hash("tweet", HashSeed(7)));
        assert_ne!(Key::hash("tweet", HashSeed(7)), Key::hash("tweet", HashSeed(8)));
        assert_eq!(Key::hash("tweet", HashSeed(7)), Key::hash(b"tweet".as_slice(), HashSeed(7)));
        assert_ne!(Key::hash(&1_u64, HashSeed(7)), Key::hash(&2_u64, HashSeed(7)));
        assert_eq!(Key::hash(&(), HashSeed(7)), 0);
        assert_eq!(Key::hash(&-1_i64, HashSeed(1)), Key::hash(&u64::MAX, HashSeed(1)));
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
