//! The owner's half of a window: blocks, or records themselves where there is one worker, and watermarks in, rows out.
//!
//! They are combined into panes as they arrive, so that when the watermark passes a window's end only the slide is
//! left, and it touches the entering and leaving panes only, however many panes the window has:
//! ```text
//! Waiting -> Entering -> Emitting -> [Clearing] -> Leaving -> Waiting …      W >= end starts it
//!            add panes    rows of     only if       deduct what is not in
//!            to totals    one window  no deduct     the next window
//! ```
//! Each step is cut into slices by a [`Budget`](crate::Budget); between two slices blocks may arrive. An aggregate that cannot deduct is
//! recomputed from the panes of each window: its totals are cleared after each.
//!
//! **Late blocks.** `decided` is the line: every window that ends at or before it has begun to be emitted, or was passed
//! over because it held nothing. A block whose pane is in a later window is combined, and reaches the totals too as far as
//! its pane has entered them; if an earlier window wanted it as well, that is counted. Any other is counted and dropped.

use crate::directory::Directory;
use crate::key::Key;
use crate::pane::Panes;
use crate::slide::Totals;
use crate::spec::WindowSpec;
use crate::time::{EventTime, TimeSpan};

mod combine;
mod direct;
mod poll;

/// The state of one window operator for one range of key hashes.
pub struct Owner<K: Key + ?Sized, A> {
    spec: WindowSpec,
    partial_before: Option<EventTime>,
    complete_up_to: EventTime,
    directory: Directory<K>,
    panes: Panes<A>,
    totals: Totals<A>,
    watermark: EventTime,
    decided: EventTime, // ..=watermark; see the module head
    phase: Phase,
    open_records: u64,
    counters: OwnerCounters,
}

#[derive(Clone, Copy)]
enum Phase {
    Waiting,
    Entering {
        end: EventTime,
    },
    Emitting {
        end: EventTime,
        row: usize,
    },
    Clearing {
        end: EventTime,
    },
    /// Panes up to `limit` leave; of the oldest, the entries before `entry` have left.
    Leaving {
        limit: EventTime,
        entry: usize,
    },
}

/// What [`Owner::poll`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum OwnerPoll {
    /// The rows hold a block of one window: take them, and poll again.
    Emitted,
    /// The budget is spent and there is more to do.
    Working,
    /// All is done up to this watermark; it may be passed on behind the rows.
    Settled(EventTime),
}

/// What an owner has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounters {
    /// Blocks that arrived.
    pub blocks: u64,
    /// Entries of blocks combined into panes.
    pub entries_combined: u64,
    /// Entries added to or taken from running totals by slides.
    pub entries_slid: u64,
    /// Rows emitted.
    pub rows: u64,
    /// Windows emitted.
    pub windows: u64,
    /// Records dropped because no window that is still to be emitted wants them.
    pub late_records: u64,
    /// Records that came too late for some of their windows and in time for others.
    pub partly_late_records: u64,
}

impl<K: Key + ?Sized, A: Clone + Send + 'static> Owner<K, A> {
    /// An owner without state. Windows that start before `partial_before` are flagged as partial.
    ///
    /// # Panics
    /// If `spec` has a lateness: late firings are not there yet, and must be refused before.
    pub fn new(spec: WindowSpec, partial_before: Option<EventTime>) -> Self {
        assert_eq!(spec.lateness(), TimeSpan::ZERO, "windows with a lateness are to be refused before they get here");
        Self {
            spec,
            partial_before,
            complete_up_to: EventTime::MAX,
            directory: Directory::new(),
            // Enough that a slide, and some disorder around it, takes no new memory.
            panes: Panes::new(2 * spec.panes_per_slide() + 16),
            totals: Totals::new(),
            watermark: EventTime::MIN,
            decided: EventTime::MIN,
            phase: Phase::Waiting,
            open_records: 0,
            counters: OwnerCounters::default(),
        }
    }

    /// Whether no window that is still to be emitted wants what is in this pane.
    fn is_late(&self, pane_end: EventTime) -> bool {
        self.spec.last_window_end(pane_end) <= self.decided
    }

    /// Counts `records` into the pane at `at`.
    fn count_in(&mut self, at: usize, pane_end: EventTime, records: u64) {
        if self.spec.first_window_end(pane_end) <= self.decided {
            self.counters.partly_late_records += records;
        }
        self.open_records += records;
        self.panes.pane(at, 0).0.records += records;
    }

    /// Takes a new watermark: no further record before `watermark` is expected. One that would fall is ignored.
    pub fn advance(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark);
    }

    /// What is stamped later than this is not all in: windows that reach beyond it are flagged as partial.
    pub fn cut_at(&mut self, complete_up_to: EventTime) {
        self.complete_up_to = complete_up_to;
    }

    /// Records in panes of windows that were not all emitted: what would be lost by stopping now.
    pub fn open_records(&self) -> u64 {
        self.open_records
    }

    /// Whether no pane is retained and no work begun.
    pub fn is_empty(&self) -> bool {
        self.panes.is_empty() && matches!(self.phase, Phase::Waiting)
    }

    /// How many keys some retained pane holds.
    pub fn keys(&self) -> usize {
        self.directory.live()
    }

    /// Memory held in bytes, but for what string keys and accumulators own elsewhere. O(panes).
    pub fn bytes(&self) -> usize {
        self.panes.bytes() + self.directory.bytes() + self.totals.bytes()
    }

    /// What was done so far.
    pub fn counters(&self) -> OwnerCounters {
        self.counters
    }
}

impl<K: Key + ?Sized, A> std::fmt::Debug for Owner<K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("spec", &self.spec)
            .field("watermark", &self.watermark)
            .field("decided", &self.decided)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
