//! Strings and byte strings as keys: where each one ends, and all their bytes.

use std::hash::Hasher;
use std::marker::PhantomData;

use super::{HashSeed, Key, KeyColumn};
use crate::arena::{Arena, Column};

/// Keys that are strings of bytes: where each one ends, and all their bytes.
#[derive(Debug)]
pub struct BytesColumn<O> {
    ends: Column<usize>,
    bytes: Column<u8>,
    owned: PhantomData<fn() -> O>,
}

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
fn hash_bytes(key: &[u8], seed: &HashSeed) -> u64 {
    let mut hasher = seed.hasher();
    hasher.write(key);
    hasher.finish()
}

impl Key for [u8] {
    type Owned = Vec<u8>;
    type Column = BytesColumn<Vec<u8>>;

    #[inline]
    fn hash(&self, seed: &HashSeed) -> u64 {
        hash_bytes(self, seed)
    }

    #[inline]
    fn is(&self, owned: &Vec<u8>) -> bool {
        self == owned.as_slice()
    }

    fn to_owned_key(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn copy_to(&self, owned: &mut Vec<u8>) {
        owned.clear();
        owned.extend_from_slice(self);
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
    fn hash(&self, seed: &HashSeed) -> u64 {
        hash_bytes(self.as_bytes(), seed)
    }

    #[inline]
    fn is(&self, owned: &String) -> bool {
        self == owned.as_str()
    }

    fn to_owned_key(&self) -> String {
        self.to_owned()
    }

    fn copy_to(&self, owned: &mut String) {
        owned.clear();
        owned.push_str(self);
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
