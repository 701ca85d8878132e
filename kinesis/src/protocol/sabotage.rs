//! Bugs that a test can plant, to see whether the simulator finds them. Absent without the feature `sabotage`.

#[cfg(feature = "sabotage")]
use std::cell::Cell;

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// `LATEST` is asked for at the first read instead of being pinned to `T0`: what arrives between is skipped.
    LatestNotPinned,
    /// Nothing is taken off evidence for what is stamped and not yet readable.
    MarginForgotten,
    /// Silence is taken as proved up to the moment its answer came, not only up to when it was asked for.
    EvidenceOfReceipt,
    /// The first answers are believed in what they say of the time, whoever gives them.
    FirstDateBelieved,
    /// The position stays at the start: an iterator that expired is taken anew there, and records come twice.
    PositionNotKept,
    /// A page of an answer has the position behind the whole answer: who reads on from there has never seen the rest.
    PositionOfAnswer,
}

#[cfg(feature = "sabotage")]
thread_local! {
    static PLANTED: Cell<Option<Sabotage>> = const { Cell::new(None) };
}

/// Plants a bug in all machines of this thread, or none.
#[cfg(feature = "sabotage")]
pub fn plant(bug: Option<Sabotage>) {
    PLANTED.set(bug);
}

/// Whether `bug` is planted in this thread.
#[cfg(feature = "sabotage")]
pub(crate) fn is_planted(bug: Sabotage) -> bool {
    PLANTED.get() == Some(bug)
}

/// Never.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is_planted(_: Sabotage) -> bool {
    false
}
