//! The owner's half of a window: blocks and watermarks in, rows out.
//!
//! Blocks are combined into panes as they arrive, so that when the watermark passes a window's end only the slide is
//! left, and it touches the entering and leaving panes only, however many panes the window has:
//! ```text
//! Waiting -> Entering -> Emitting -> [Clearing] -> Leaving -> Waiting …      W >= end starts it
//!            add panes    rows of     only if       deduct what is not in
//!            to totals    one window  no deduct     the next window
//! ```
//! Each step is cut into slices by a [`Budget`]; between two slices blocks may arrive. An aggregate that cannot deduct is
//! recomputed from the panes of each window: its totals are cleared after each.
//!
//! **Late blocks.** `decided` is the line: every window that ends at or before it has begun to be emitted, or was passed
//! over because it held nothing. A block whose pane is in a later window is combined, and reaches the totals too as far as
//! its pane has entered them. Any other is counted and dropped.

use crate::aggregate::{Aggregate, Deduct};
use crate::arena::Arena;
use crate::block::Block;
use crate::budget::Budget;
use crate::directory::Directory;
use crate::key::{HashSeed, Key};
use crate::pane::Panes;
use crate::rows::{ROWS_MAX, Rows};
use crate::slide::Totals;
use crate::spec::WindowSpec;
use crate::time::{EventTime, TimeSpan};

/// The state of one window operator for one range of key hashes.
pub struct Owner<K: Key + ?Sized, A: Copy> {
    spec: WindowSpec,
    seed: HashSeed,
    partial_before: Option<EventTime>,
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
}

impl<K: Key + ?Sized, A: Copy + Send + 'static> Owner<K, A> {
    /// An owner without state. Windows that start before `partial_before` are flagged as partial.
    ///
    /// `seed` must be that of the folds: keys arrive with their hashes.
    ///
    /// # Panics
    /// If `spec` has a lateness: late firings are not there yet, and must be refused before.
    pub fn new(spec: WindowSpec, seed: HashSeed, partial_before: Option<EventTime>) -> Self {
        assert_eq!(spec.lateness(), TimeSpan::ZERO, "windows with a lateness are to be refused before they get here");
        Self {
            spec,
            seed,
            partial_before,
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

    /// What fixes the hashes of the keys.
    pub fn seed(&self) -> HashSeed {
        self.seed
    }

    /// Combines a block into its pane, and gives back its memory, which should go home to the worker that made it.
    ///
    /// A block that no window wants any more is counted in [`OwnerCounters::late_records`] and dropped. Cost: two probes an
    /// entry; allocates only for keys and panes beyond the most there were.
    pub fn combine<T: ?Sized, G: Aggregate<T, Accumulator = A>>(&mut self, aggregate: &G, block: Block<K, A>) -> Arena {
        self.counters.blocks += 1;
        let (pane_end, records) = (block.pane_end, block.records);
        if self.spec.last_window_end(pane_end) <= self.decided {
            self.counters.late_records += records;
            return block.into_arena();
        }
        if block.entries() == 0 {
            return block.into_arena();
        }
        self.counters.entries_combined += block.entries() as u64;
        self.open_records += records;
        let combine = |into: &mut A, other: &A| aggregate.combine(into, other);
        let (pane, is_in) = self.panes.pane(pane_end);
        pane.records += records;
        let (hashes, parts) = (block.hashes.slice(&block.arena), block.accumulators.slice(&block.arena));
        for (at, (hash, part)) in hashes.iter().zip(parts).enumerate() {
            let id = self.directory.id_of(*hash, &block.keys, &block.arena, at);
            self.totals.reach(self.directory.ids(), || aggregate.identity());
            let (position, is_new) = pane.entry(id, *part);
            if is_new {
                self.directory.retain(id);
                if is_in {
                    self.totals.enter(id, part, combine);
                    pane.entered += 1;
                }
            } else {
                combine(pane.accumulator_mut(position), part);
                if position < pane.entered {
                    self.totals.add(id, part, combine);
                }
            }
        }
        block.into_arena()
    }

    /// Takes a new watermark: no further record before `watermark` is expected. One that would fall is ignored.
    pub fn advance(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark);
    }

    /// Works until a block of rows is full, the budget is spent or everything up to the watermark is done.
    ///
    /// Windows come in ascending order, each in one or more blocks of at most [`ROWS_MAX`] rows, the last one marked; a
    /// block may be short when the budget ends. A window without records is not emitted, and silence is jumped over in
    /// O(1). `rows` is cleared first.
    pub fn poll<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        budget: &mut Budget,
        rows: &mut Rows<K, G::Output>,
    ) -> OwnerPoll {
        rows.clear();
        loop {
            let done = match self.phase {
                Phase::Waiting => match self.next_window_end().filter(|end| *end <= self.watermark) {
                    Some(end) => {
                        // From here the totals are those of this window: an earlier one, were it to get records now,
                        // could not be emitted any more.
                        self.decided = end.saturating_sub(TimeSpan::from_millis(1));
                        self.phase = Phase::Entering { end };
                        true
                    }
                    None => {
                        self.decided = self.decided.max(self.watermark);
                        return OwnerPoll::Settled(self.watermark);
                    }
                },
                Phase::Entering { end } => self.enter(end, aggregate, budget),
                Phase::Emitting { end, row } => {
                    if self.emit(end, row, aggregate, budget, rows) {
                        return OwnerPoll::Emitted;
                    }
                    false
                }
                Phase::Clearing { end } => self.clear(end, budget),
                Phase::Leaving { limit, entry } => {
                    let deduct = self.deduct_of(aggregate);
                    self.leave(limit, entry, deduct, budget)
                }
            };
            if !done {
                return OwnerPoll::Working;
            }
        }
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

    /// Memory held in bytes, but for what string keys hold. O(panes).
    pub fn bytes(&self) -> usize {
        self.panes.bytes() + self.directory.bytes() + self.totals.bytes()
    }

    /// What was done so far.
    pub fn counters(&self) -> OwnerCounters {
        self.counters
    }

    /// The first window after those decided that the oldest pane is in: O(1), however long the silence before it was.
    fn next_window_end(&self) -> Option<EventTime> {
        let oldest = self.panes.oldest()?;
        let undecided = self.spec.window_end_after(self.decided);
        Some(undecided.max(self.spec.first_window_end(oldest.end)))
    }

    /// How entries leave the totals; `None` if the totals are to be cleared instead.
    ///
    /// Windows that do not overlap deduct nothing, whatever the aggregate: all their entries leave before the totals are
    /// read again.
    fn deduct_of<T: ?Sized, G: Aggregate<T, Accumulator = A>>(&self, aggregate: &G) -> Option<Deduct<A>> {
        if self.spec.slide() == self.spec.size() { Some(|_, _| ()) } else { aggregate.deduct() }
    }

    /// Adds the panes of the window that are not in the totals yet. Says whether all are.
    fn enter<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        end: EventTime,
        aggregate: &G,
        budget: &mut Budget,
    ) -> bool {
        while let Some(pane) = self.panes.entering().filter(|pane| pane.end <= end) {
            let count = budget.take_up_to(pane.len() - pane.entered);
            for (id, entry) in pane.entries(pane.entered, count) {
                self.totals.enter(id, entry, |total, entry| aggregate.combine(total, entry));
            }
            pane.entered += count;
            self.counters.entries_slid += count as u64;
            if pane.entered < pane.len() {
                return false;
            }
            self.panes.on_entered();
        }
        self.decided = end;
        self.phase = Phase::Emitting { end, row: 0 };
        true
    }

    /// Fills `rows` with the live keys from `row` on. Says whether there are any rows in it.
    fn emit<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        end: EventTime,
        row: usize,
        aggregate: &G,
        budget: &mut Budget,
        rows: &mut Rows<K, G::Output>,
    ) -> bool {
        let left = &self.totals.live()[row..];
        let count = budget.take_up_to(left.len().min(ROWS_MAX));
        if count == 0 {
            return false;
        }
        rows.start = self.spec.window_start(end);
        rows.end = end;
        rows.partial = self.partial_before.is_some_and(|from| rows.start < from);
        rows.firing = 0;
        rows.last = count == left.len();
        for id in &left[..count] {
            rows.keys.push(self.directory.key(*id).clone());
            rows.values.push(aggregate.finish(self.totals.value(*id)));
        }
        self.counters.rows += count as u64;
        self.phase = if !rows.last {
            Phase::Emitting { end, row: row + count }
        } else {
            self.counters.windows += 1;
            if self.deduct_of(aggregate).is_some() {
                Phase::Leaving { limit: self.leave_limit(end), entry: 0 }
            } else {
                self.panes.on_totals_dropped();
                Phase::Clearing { end }
            }
        };
        true
    }

    /// Empties the totals. Says whether they are.
    fn clear(&mut self, end: EventTime, budget: &mut Budget) -> bool {
        let count = budget.take_up_to(self.totals.live().len());
        self.totals.drop_last(count);
        let done = self.totals.live().is_empty();
        if done {
            self.phase = Phase::Leaving { limit: self.leave_limit(end), entry: 0 };
        }
        done
    }

    /// Panes that end here or before are in no window after the one that ends at `end`.
    fn leave_limit(&self, end: EventTime) -> EventTime {
        if end == EventTime::MAX {
            return EventTime::MAX;
        }
        self.spec.window_start(self.spec.window_end_after(end))
    }

    /// Lets go of the panes that no later window wants. Says whether all are gone.
    fn leave(&mut self, limit: EventTime, mut from: usize, deduct: Option<Deduct<A>>, budget: &mut Budget) -> bool {
        while let Some(pane) = self.panes.oldest_mut().filter(|pane| pane.end <= limit) {
            self.open_records -= std::mem::take(&mut pane.records);
            let count = budget.take_up_to(pane.len() - from);
            for (id, entry) in pane.entries(from, count) {
                if let Some(deduct) = deduct {
                    self.totals.leave(id, entry, deduct);
                }
                self.directory.release(id);
            }
            self.counters.entries_slid += count as u64;
            from += count;
            if from < pane.len() {
                self.phase = Phase::Leaving { limit, entry: from };
                return false;
            }
            self.panes.retire_oldest();
            from = 0;
        }
        self.phase = Phase::Waiting;
        true
    }
}

impl<K: Key + ?Sized, A: Copy> std::fmt::Debug for Owner<K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("spec", &self.spec)
            .field("watermark", &self.watermark)
            .field("decided", &self.decided)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
