//! Planted bugs, so that a simulator can show that it would find them; only with the feature `sabotage`.

use std::cell::Cell;

/// A bug that can be planted on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// An [`OwnerWatermark`](crate::OwnerWatermark) forgets the holds it is told of, at the start and when a parent is
    /// done: windows may then fire before the records of a shard that was not read yet.
    DropHold,
    /// An [`OwnerWatermark`](crate::OwnerWatermark) holds for a child only until some worker says its next watermark, and not
    /// until whoever reads the child has said so.
    HoldUnacknowledged,
}

thread_local! {
    static PLANTED: Cell<Option<Sabotage>> = const { Cell::new(None) };
}

/// Plants `bug` on this thread, or takes away what was planted.
pub fn plant(bug: Option<Sabotage>) {
    PLANTED.set(bug);
}

/// Whether `bug` is planted on this thread.
pub fn is_planted(bug: Sabotage) -> bool {
    PLANTED.get() == Some(bug)
}
