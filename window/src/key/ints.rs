//! Integers as keys: a plain column.

use std::hash::Hasher;

use super::{HashSeed, Key, KeyColumn};
use crate::arena::{Arena, Column};

/// Keys that are integers: one plain column.
#[derive(Debug)]
pub struct IntColumn<T: Copy> {
    keys: Column<T>,
}

macro_rules! int_key {
    ($int:ty, $to_u64:expr) => {
        impl Key for $int {
            type Owned = $int;
            type Column = IntColumn<$int>;

            #[inline]
            fn hash(&self, seed: &HashSeed) -> u64 {
                let mut hasher = seed.hasher();
                hasher.write_u64($to_u64(*self));
                hasher.finish()
            }

            #[inline]
            fn is(&self, owned: &$int) -> bool {
                self == owned
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
