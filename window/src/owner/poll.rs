//! The owner's work, in slices: which window is next, what enters, what is emitted, what leaves.

use std::mem::needs_drop;

use super::{Owner, OwnerPoll, Phase};
use crate::aggregate::Aggregate;
use crate::budget::Budget;
use crate::key::Key;
use crate::rows::{ROWS_MAX, Rows};
use crate::time::{EventTime, TimeSpan};

impl<K: Key + ?Sized, A: Clone + Send + 'static> Owner<K, A> {
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
                Phase::Clearing { end } => self.clear(end, aggregate, budget),
                Phase::Leaving { limit, entry } => self.leave(limit, entry, aggregate, budget),
            };
            if !done {
                return OwnerPoll::Working;
            }
        }
    }

    /// The first window after those decided that the oldest pane is in: O(1), however long the silence before it was.
    fn next_window_end(&self) -> Option<EventTime> {
        let oldest = self.panes.oldest()?;
        let undecided = self.spec.window_end_after(self.decided);
        Some(undecided.max(self.spec.first_window_end(oldest.end)))
    }

    /// Whether windows do not overlap. Then nothing is deducted, whatever the aggregate: all entries of a window leave before
    /// the totals are read again.
    fn is_tumbling(&self) -> bool {
        self.spec.slide() == self.spec.size()
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
        let cut = end.saturating_sub(TimeSpan::from_millis(1)) > self.complete_up_to;
        rows.partial = cut || self.partial_before.is_some_and(|from| rows.start < from);
        rows.firing = 0;
        rows.last = count == left.len();
        for id in &left[..count] {
            rows.keys.push(self.directory.key(*id as usize).clone());
            rows.values.push(aggregate.finish(self.totals.value(*id as usize)));
        }
        self.counters.rows += count as u64;
        self.phase = if !rows.last {
            Phase::Emitting { end, row: row + count }
        } else {
            self.counters.windows += 1;
            if self.is_tumbling() || aggregate.deduct().is_some() {
                Phase::Leaving { limit: self.leave_limit(end), entry: 0 }
            } else {
                self.panes.on_totals_dropped();
                Phase::Clearing { end }
            }
        };
        true
    }

    /// Empties the totals. Says whether they are.
    fn clear<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        end: EventTime,
        aggregate: &G,
        budget: &mut Budget,
    ) -> bool {
        let count = budget.take_up_to(self.totals.live().len());
        self.totals.drop_last(count, || aggregate.identity());
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
    fn leave<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        limit: EventTime,
        mut from: usize,
        aggregate: &G,
        budget: &mut Budget,
    ) -> bool {
        let (is_tumbling, deduct) = (self.is_tumbling(), aggregate.deduct());
        let empty = || aggregate.identity();
        while let Some(pane) = self.panes.oldest_mut().filter(|pane| pane.end <= limit) {
            self.open_records -= std::mem::take(&mut pane.records);
            let count = budget.take_up_to(pane.len() - from);
            for (id, entry) in pane.entries(from, count) {
                if is_tumbling {
                    self.totals.leave(id, entry, |_, _| (), empty);
                } else if let Some(deduct) = &deduct {
                    self.totals.leave(id, entry, deduct, empty);
                }
                self.directory.release(id);
            }
            if needs_drop::<A>() {
                pane.empty(from, count, empty);
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
