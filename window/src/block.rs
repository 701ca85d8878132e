//! A worker's contribution to one pane for one owner, in columns, with the memory it lies in.

use crate::arena::{Arena, Column};
use crate::key::{Key, KeyColumn};
use crate::time::EventTime;

/// What one worker folded into one pane since it last handed over, for the keys of one owner: hash, key and accumulator
/// of each key, once.
///
/// It owns its memory and is `Send`; what the owner gives back of it is the empty [`Arena`], to go home to the worker.
pub struct Block<K: Key + ?Sized, A> {
    pub(crate) pane_end: EventTime,
    pub(crate) records: u64,
    pub(crate) hashes: Column<u64>,
    pub(crate) keys: K::Column,
    pub(crate) accumulators: Column<A>,
    pub(crate) arena: Arena,
}

impl<K: Key + ?Sized, A> Block<K, A> {
    /// An empty block in `arena`, with room for `capacity` keys.
    pub(crate) fn new_in(arena: Arena, pane_end: EventTime, capacity: usize) -> Self {
        Self {
            pane_end,
            records: 0,
            hashes: arena.column(capacity),
            keys: K::Column::new_in(&arena, capacity),
            accumulators: arena.column_to_clear(capacity),
            arena,
        }
    }

    /// End of the pane all of it belongs to.
    pub fn pane_end(&self) -> EventTime {
        self.pane_end
    }

    /// How many keys there are.
    pub fn entries(&self) -> usize {
        self.hashes.len()
    }

    /// How many records were folded into it.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Memory held, in bytes, but for what accumulators own elsewhere.
    pub fn bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// Gives the block up and returns its memory, empty.
    pub fn into_arena(mut self) -> Arena {
        self.accumulators.clear(&self.arena);
        std::mem::take(&mut self.arena).reset()
    }

    /// Appends a key that is not in the block yet, and says where it is.
    pub(crate) fn push(&mut self, hash: u64, key: &K, accumulator: A) -> usize {
        let position = self.entries();
        self.hashes.push(&self.arena, hash);
        self.keys.push(&self.arena, key);
        self.accumulators.push(&self.arena, accumulator);
        position
    }
}

impl<K: Key + ?Sized, A> Drop for Block<K, A> {
    fn drop(&mut self) {
        // Nothing is left of a block that gave back its arena.
        if !self.accumulators.is_empty() {
            self.accumulators.clear(&self.arena);
        }
    }
}

impl<K: Key + ?Sized, A> std::fmt::Debug for Block<K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("pane_end", &self.pane_end)
            .field("entries", &self.entries())
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::counting;
    use crate::fold::Fold;
    use crate::key::HashSeed;
    use crate::spec::WindowSpec;
    use crate::time::millis;

    #[test]
    fn block_travels_to_another_thread_and_its_memory_comes_back_empty() {
        let spec = WindowSpec::tumbling(millis(10)).expect("valid");
        let mut fold = Fold::<str, u64>::new(spec, HashSeed::new(1), 1);
        for key in ["a", "b", "a"] {
            fold.accumulate(&counting(), EventTime::from_millis(3), key, &());
        }
        let mut blocks = Vec::new();
        fold.hand_over_all(&mut |_, block| blocks.push(block));
        let block = blocks.pop().expect("one pane, one owner");
        let arena = std::thread::spawn(move || {
            assert_eq!((block.entries(), block.records(), block.pane_end().as_millis()), (2, 3, 10));
            assert_eq!(block.accumulators.slice(&block.arena), [2, 1]);
            block.into_arena()
        });
        let arena = arena.join().expect("the assertions hold");
        assert!(arena.bytes() > 0);
        fold.take_home(arena);
        let before = fold.bytes();
        fold.accumulate(&counting(), EventTime::from_millis(13), "c", &());
        assert_eq!(fold.bytes(), before, "the memory is used again");
    }
}
