//! Planted bugs, by which the simulator is shown to be worth something. Only in builds that ask for them.

use std::cell::Cell;

/// A bug that can be planted on the current thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A worker says its watermark before it hands over the deltas that the watermark covers.
    WatermarkBeforeDelta,
    /// A child is read without waiting for its parents.
    ChildBeforeParents,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug, or none.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted here.
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
