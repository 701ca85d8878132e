//! Results in columns: a block of the rows of one window.

use crate::key::Key;
use crate::time::EventTime;

/// The most rows in one block; a window with more keys leaves in several blocks.
pub const ROWS_MAX: usize = 1_024;

/// Rows of one window, keys beside values: `keys[i]` has the value `values[i]`. In no particular order.
///
/// The caller keeps one and lends it to [`Owner::poll`](crate::Owner::poll), which clears it first; take what is in it,
/// or drain it, before polling again.
#[derive(Debug)]
pub struct Rows<K: Key + ?Sized, O> {
    /// First time of the window.
    pub start: EventTime,
    /// End of the window, exclusive; its label. The event time of these rows is `end − 1 ms`.
    pub end: EventTime,
    /// The window began before the stream was read, so that records may be missing.
    pub partial: bool,
    /// Which output of this window this is: 0 on time, more for corrections.
    pub firing: u32,
    /// This is the last block of this firing.
    pub last: bool,
    /// At most [`ROWS_MAX`] keys.
    pub keys: Vec<K::Owned>,
    /// As many values as keys.
    pub values: Vec<O>,
}

impl<K: Key + ?Sized, O> Rows<K, O> {
    /// An empty block; allocates when it is first filled.
    pub const fn new() -> Self {
        Self {
            start: EventTime::MIN,
            end: EventTime::MIN,
            partial: false,
            firing: 0,
            last: false,
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    /// How many rows are in the block.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no row is in the block.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes the rows out, and keeps the memory.
    pub fn drain(&mut self) -> impl Iterator<Item = (K::Owned, O)> + '_ {
        self.keys.drain(..).zip(self.values.drain(..))
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.last = false;
    }
}

impl<K: Key + ?Sized, O> Default for Rows<K, O> {
    fn default() -> Self {
        Self::new()
    }
}
