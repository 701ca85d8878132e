//! An owner's panes: who has how much in each stretch of event time, ahead of and in the running totals.

use std::collections::VecDeque;

use crate::arena::{Arena, Column};
use crate::index::small;
use crate::time::EventTime;

/// One pane: accumulators of the keys that occur in it, in the order in which they came.
///
/// A key has one entry, or a few: an entry is found again only through the key's [`Latest`], and where that has gone to
/// another pane meanwhile, a second one is made. Everything is counted in entries, so that this costs room and nothing
/// else; [`Pane::compact`] makes room.
pub(crate) struct Pane<A> {
    pub(crate) end: EventTime,
    pub(crate) records: u64,
    /// How many entries, from the first, are in the running totals.
    pub(crate) entered: usize,
    /// What a [`Latest`] that leads here is marked with: no other pane and no other time has it.
    mark: u32,
    ids: Column<u32>,
    accumulators: Column<A>,
    arena: Arena,
}

/// The entry that a key got last, in whatever pane.
#[derive(Clone, Copy)]
pub(crate) struct Latest {
    mark: u32,
    position: u32,
}

impl Latest {
    /// Of a key that has no entry.
    pub(crate) const NONE: Self = Self { mark: 0, position: 0 };
}

impl<A> Pane<A> {
    fn new_in(arena: Arena, mark: u32, end: EventTime, capacity: usize) -> Self {
        let (ids, accumulators) = (arena.column(capacity), arena.column_to_clear(capacity));
        Self { end, records: 0, entered: 0, mark, ids, accumulators, arena }
    }

    /// The pane's memory, empty, for the next one.
    fn recycled(mut self, mark: u32, end: EventTime, capacity: usize) -> Self {
        self.accumulators.clear(&self.arena);
        Self::new_in(std::mem::take(&mut self.arena).reset(), mark, end, capacity)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    fn bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// The entries from position `from`, at most `count`: ids beside accumulators.
    #[inline]
    pub(crate) fn entries(&self, from: usize, count: usize) -> impl Iterator<Item = (usize, &A)> {
        let range = from..from + count;
        let ids = &self.ids.slice(&self.arena)[range.clone()];
        ids.iter().map(|id| *id as usize).zip(&self.accumulators.slice(&self.arena)[range])
    }

    /// Where the latest entry of a key is, if that is in this pane.
    #[inline]
    pub(crate) fn position(&self, latest: Latest) -> Option<usize> {
        (latest.mark == self.mark).then_some(latest.position as usize)
    }

    /// Makes an entry for `id`, which is now its latest.
    #[inline]
    pub(crate) fn push(&mut self, id: u32, latest: &mut Latest, accumulator: A) {
        *latest = Latest { mark: self.mark, position: small(self.len()) };
        self.ids.push(&self.arena, id);
        self.accumulators.push(&self.arena, accumulator);
    }

    fn compact(
        &mut self,
        mark: u32,
        latest: &mut [Latest],
        combine: impl Fn(&mut A, &A),
        mut merged: impl FnMut(usize),
    ) {
        debug_assert!(self.entered == 0, "what is in the totals is counted there");
        self.mark = mark;
        let (ids, accumulators) = (self.ids.slice_mut(&self.arena), self.accumulators.slice_mut(&self.arena));
        let mut kept = 0;
        for from in 0..ids.len() {
            let id = ids[from];
            let latest = &mut latest[id as usize];
            if latest.mark == mark {
                let (before, after) = accumulators.split_at_mut(from);
                combine(&mut before[latest.position as usize], &after[0]);
                merged(id as usize);
            } else {
                *latest = Latest { mark, position: small(kept) };
                ids[kept] = id;
                accumulators.swap(kept, from);
                kept += 1;
            }
        }
        self.ids.truncate(&self.arena, kept);
        self.accumulators.truncate(&self.arena, kept);
    }

    /// Drops the accumulators from position `from`, `count` of them, and leaves `empty` ones: so that what they own is given
    /// back in slices, and not all at once when the pane is.
    pub(crate) fn empty(&mut self, from: usize, count: usize, empty: impl FnMut() -> A) {
        self.accumulators.slice_mut(&self.arena)[from..from + count].fill_with(empty);
    }

    #[inline]
    pub(crate) fn accumulator_mut(&mut self, position: usize) -> &mut A {
        &mut self.accumulators.slice_mut(&self.arena)[position]
    }
}

impl<A> Drop for Pane<A> {
    fn drop(&mut self) {
        // Nothing is left of a pane whose memory another one has.
        if !self.accumulators.is_empty() {
            self.accumulators.clear(&self.arena);
        }
    }
}

/// All retained panes, ascending.
///
/// ```text
/// |leaving, in    |in            |in, or entering|ahead        |ahead        |
/// 0                              entered                                    len
/// ```
pub(crate) struct Panes<A> {
    panes: VecDeque<Pane<A>>,
    /// How many panes, from the oldest, are wholly in the running totals.
    entered: usize,
    /// By id. Of a free id: stale, and leads nowhere, for the panes it could lead to are gone.
    latest: Vec<Latest>,
    /// The mark of the pane opened last.
    mark: u32,
    spare: Vec<Pane<A>>,
    spare_max: usize,
}

impl<A> Panes<A> {
    /// Keeps the memory of up to `spare_max` panes that left.
    pub(crate) fn new(spare_max: usize) -> Self {
        Self { panes: VecDeque::new(), entered: 0, latest: Vec::new(), mark: 0, spare: Vec::new(), spare_max }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        let panes = self.panes.iter().chain(&self.spare).map(Pane::bytes);
        panes.sum::<usize>() + self.latest.capacity() * size_of::<Latest>()
    }

    pub(crate) fn oldest(&self) -> Option<&Pane<A>> {
        self.panes.front()
    }

    pub(crate) fn oldest_mut(&mut self) -> Option<&mut Pane<A>> {
        self.panes.front_mut()
    }

    /// Where the pane that ends at `end` is; opened, with room for `capacity` entries, if need be. Good until a pane is
    /// opened or retired.
    ///
    /// One that is opened between panes that are in the totals is in them from the start.
    pub(crate) fn open(&mut self, end: EventTime, capacity: usize) -> usize {
        let at = self.panes.partition_point(|pane| pane.end < end);
        if self.panes.get(at).is_none_or(|pane| pane.end != end) {
            let mark = self.next_mark();
            let pane = match self.spare.pop() {
                Some(spare) => spare.recycled(mark, end, capacity),
                None => Pane::new_in(Arena::new(), mark, end, capacity),
            };
            self.panes.insert(at, pane);
            if at < self.entered {
                self.entered += 1;
            }
        }
        at
    }

    /// Whether the pane at `at` is wholly in the running totals, so that whatever it gets must enter them at once.
    pub(crate) fn is_in(&self, at: usize) -> bool {
        at < self.entered
    }

    /// The pane at `at`, and the latest entries of all ids less than `ids`.
    #[inline]
    pub(crate) fn pane(&mut self, at: usize, ids: usize) -> (&mut Pane<A>, &mut [Latest]) {
        if self.latest.len() < ids {
            self.latest.resize(ids, Latest::NONE);
        }
        (&mut self.panes[at], &mut self.latest)
    }

    /// How many entries the newest pane has: as many as the next one is likely to get.
    pub(crate) fn newest_len(&self) -> usize {
        self.panes.back().map_or(0, Pane::len)
    }

    /// Merges the entries of each key in the pane at `at`, which is in the totals in no part, and tells `merged` of every id
    /// that has an entry less. O(entries).
    pub(crate) fn compact(&mut self, at: usize, combine: impl Fn(&mut A, &A), merged: impl FnMut(usize)) {
        debug_assert!(!self.is_in(at), "what is in the totals is counted there");
        let mark = self.next_mark();
        self.panes[at].compact(mark, &mut self.latest, combine, merged);
    }

    fn next_mark(&mut self) -> u32 {
        if self.mark == u32::MAX {
            // Marks begin anew: nothing leads anywhere until it is marked again.
            self.latest.fill(Latest::NONE);
            self.mark = 0;
            for pane in &mut self.panes {
                self.mark += 1;
                pane.mark = self.mark;
            }
        }
        self.mark += 1;
        self.mark
    }

    /// The oldest pane that is not wholly in the running totals.
    pub(crate) fn entering(&mut self) -> Option<&mut Pane<A>> {
        self.panes.get_mut(self.entered)
    }

    /// The pane that was [`Panes::entering`] is in.
    pub(crate) fn on_entered(&mut self) {
        self.entered += 1;
    }

    /// The running totals are given up: every pane is ahead of them.
    pub(crate) fn on_totals_dropped(&mut self) {
        self.panes.iter_mut().for_each(|pane| pane.entered = 0);
        self.entered = 0;
    }

    /// Retires the oldest pane.
    pub(crate) fn retire_oldest(&mut self) {
        let pane = self.panes.pop_front();
        self.entered = self.entered.saturating_sub(1);
        if self.spare.len() < self.spare_max {
            self.spare.extend(pane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> EventTime {
        EventTime::from_millis(ms)
    }

    /// Adds 1 to the entry of `id` in the pane that ends at `end`.
    fn count(panes: &mut Panes<u64>, end: i64, id: u32) {
        let pane = panes.open(at(end), 0);
        let (pane, latest) = panes.pane(pane, 10);
        let latest = &mut latest[id as usize];
        match pane.position(*latest) {
            Some(position) => *pane.accumulator_mut(position) += 1,
            None => pane.push(id, latest, 1),
        }
    }

    fn entries(panes: &mut Panes<u64>, end: i64) -> Vec<(usize, u64)> {
        let pane = panes.open(at(end), 0);
        let (pane, _) = panes.pane(pane, 0);
        pane.entries(0, pane.len()).map(|(id, count)| (id, *count)).collect()
    }

    #[test]
    fn entry_is_found_again_until_its_key_goes_to_another_pane() {
        let mut panes = Panes::<u64>::new(1);
        for (end, id) in [(10, 5), (10, 3), (10, 5), (20, 5), (10, 5), (10, 5), (10, 3)] {
            count(&mut panes, end, id);
        }
        assert_eq!(entries(&mut panes, 10), [(5, 2), (3, 2), (5, 2)]);
        assert_eq!(entries(&mut panes, 20), [(5, 1)]);
        let mut merged = Vec::new();
        panes.compact(0, |into, other| *into += other, |id| merged.push(id));
        assert_eq!((entries(&mut panes, 10), merged), (vec![(5, 4), (3, 2)], vec![5]));
        count(&mut panes, 10, 3);
        count(&mut panes, 10, 4);
        assert_eq!(entries(&mut panes, 10), [(5, 4), (3, 3), (4, 1)]);
    }

    #[test]
    fn marks_that_come_round_lead_nowhere() {
        let mut panes = Panes::<u64>::new(1);
        panes.mark = u32::MAX - 2;
        for end in [10, 20, 30, 40] {
            count(&mut panes, end, 7);
            count(&mut panes, end, 7);
        }
        for end in [10, 20, 30, 40] {
            assert_eq!(entries(&mut panes, end), [(7, 2)]);
        }
        count(&mut panes, 10, 7);
        assert_eq!(entries(&mut panes, 10), [(7, 2), (7, 1)]);
    }

    #[test]
    fn pane_opened_among_those_in_the_totals_is_in_them() {
        let mut panes = Panes::<u64>::new(1);
        for end in [10, 30, 50] {
            count(&mut panes, end, 1);
        }
        panes.on_entered();
        panes.on_entered();
        let is_in = |panes: &mut Panes<u64>, end| {
            let pane = panes.open(at(end), 0);
            panes.is_in(pane)
        };
        assert!(is_in(&mut panes, 20) && is_in(&mut panes, 30));
        assert!(!is_in(&mut panes, 40) && !is_in(&mut panes, 50));
        panes.retire_oldest();
        assert!(is_in(&mut panes, 30) && !is_in(&mut panes, 40));
        panes.on_totals_dropped();
        assert!(!is_in(&mut panes, 20));
    }

    #[test]
    fn retired_pane_is_used_again_and_empty() {
        let mut panes = Panes::<u64>::new(1);
        (0..10).for_each(|id| count(&mut panes, 1, id));
        let bytes = panes.bytes();
        panes.retire_oldest();
        let pane = panes.open(at(2), 0);
        let (pane, _) = panes.pane(pane, 0);
        assert_eq!((pane.len(), pane.records, pane.entered), (0, 0, 0));
        assert_eq!(panes.bytes(), bytes);
        (0..10).for_each(|id| count(&mut panes, 2, id));
        assert_eq!(entries(&mut panes, 2).len(), 10);
    }
}
