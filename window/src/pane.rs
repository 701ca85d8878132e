//! An owner's panes: who has how much in each stretch of event time, ahead of and in the running totals.

use std::collections::VecDeque;

use crate::arena::{Arena, Column};
use crate::probe::{Found, Probe};
use crate::time::EventTime;

/// One pane: an accumulator for each key that occurs in it, in the order in which they came.
pub(crate) struct Pane<A: Copy> {
    pub(crate) end: EventTime,
    pub(crate) records: u64,
    /// How many entries, from the first, are in the running totals.
    pub(crate) entered: usize,
    ids: Column<u32>,
    accumulators: Column<A>,
    index: Probe, // from ids to positions
    arena: Arena,
}

impl<A: Copy> Pane<A> {
    fn new_in(arena: Arena, index: Probe, end: EventTime) -> Self {
        let (ids, accumulators) = (arena.column(0), arena.column(0));
        Self { end, records: 0, entered: 0, ids, accumulators, index, arena }
    }

    /// The pane's memory, empty, for the next one.
    fn recycled(mut self, end: EventTime) -> Self {
        self.index.clear();
        Self::new_in(self.arena.reset(), self.index, end)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    fn bytes(&self) -> usize {
        self.arena.bytes() + self.index.bytes()
    }

    /// The entries from position `from`, at most `count`: ids beside accumulators.
    #[inline]
    pub(crate) fn entries(&self, from: usize, count: usize) -> impl Iterator<Item = (usize, &A)> {
        let range = from..from + count;
        let ids = &self.ids.slice(&self.arena)[range.clone()];
        ids.iter().map(|id| *id as usize).zip(&self.accumulators.slice(&self.arena)[range])
    }

    /// Where the entry of `id` is, and whether it was made just now, holding `accumulator`. One that was there is left
    /// as it is: combine into it.
    #[inline]
    pub(crate) fn entry(&mut self, id: usize, accumulator: A) -> (usize, bool) {
        let small = u32::try_from(id).expect("fewer than 2^32 keys at one owner");
        let ids = self.ids.slice(&self.arena);
        match self.index.find(spread(small), |position| ids[position] == small) {
            Found::At(position) => (position, false),
            Found::Vacant(slot) => {
                let position = self.len();
                self.ids.push(&self.arena, small);
                self.accumulators.push(&self.arena, accumulator);
                let ids = self.ids.slice(&self.arena);
                self.index.insert(slot, spread(small), position, |position| spread(ids[position]));
                (position, true)
            }
        }
    }

    #[inline]
    pub(crate) fn accumulator_mut(&mut self, position: usize) -> &mut A {
        &mut self.accumulators.slice_mut(&self.arena)[position]
    }
}

/// A hash of an id: Fibonacci hashing, with the well-mixed upper half in front, where slots are chosen.
#[inline]
fn spread(id: u32) -> u64 {
    u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

/// All retained panes, ascending.
///
/// ```text
/// |leaving, in    |in            |in, or entering|ahead        |ahead        |
/// 0                              entered                                    len
/// ```
pub(crate) struct Panes<A: Copy> {
    panes: VecDeque<Pane<A>>,
    /// How many panes, from the oldest, are wholly in the running totals.
    entered: usize,
    spare: Vec<Pane<A>>,
    spare_max: usize,
}

impl<A: Copy> Panes<A> {
    /// Keeps the memory of up to `spare_max` panes that left.
    pub(crate) fn new(spare_max: usize) -> Self {
        Self { panes: VecDeque::new(), entered: 0, spare: Vec::new(), spare_max }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.panes.iter().chain(&self.spare).map(Pane::bytes).sum()
    }

    pub(crate) fn oldest(&self) -> Option<&Pane<A>> {
        self.panes.front()
    }

    pub(crate) fn oldest_mut(&mut self) -> Option<&mut Pane<A>> {
        self.panes.front_mut()
    }

    /// The pane that ends at `end`, opened if need be, and whether it is wholly in the running totals, so that whatever
    /// it gets must enter them at once.
    ///
    /// One that is opened between panes that are in the totals is in them from the start.
    pub(crate) fn pane(&mut self, end: EventTime) -> (&mut Pane<A>, bool) {
        let at = self.panes.partition_point(|pane| pane.end < end);
        if self.panes.get(at).is_none_or(|pane| pane.end != end) {
            let pane = match self.spare.pop() {
                Some(spare) => spare.recycled(end),
                None => Pane::new_in(Arena::new(), Probe::new(), end),
            };
            self.panes.insert(at, pane);
            if at < self.entered {
                self.entered += 1;
            }
        }
        (&mut self.panes[at], at < self.entered)
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

    #[test]
    fn entries_are_found_again_and_keep_their_order() {
        let mut panes = Panes::<u64>::new(1);
        let (pane, is_in) = panes.pane(at(10));
        assert!(!is_in);
        for id in [5, 3, 5_000_000, 3] {
            let (position, is_new) = pane.entry(id, 0);
            assert_eq!(is_new, position + 1 == pane.len() && *pane.accumulator_mut(position) == 0);
            *pane.accumulator_mut(position) += id as u64;
        }
        let entries: Vec<_> = pane.entries(0, 3).map(|(id, sum)| (id, *sum)).collect();
        assert_eq!(entries, [(5, 5), (3, 6), (5_000_000, 5_000_000)]);
    }

    #[test]
    fn pane_opened_among_those_in_the_totals_is_in_them() {
        let mut panes = Panes::<u64>::new(1);
        for end in [10, 30, 50] {
            let _ = panes.pane(at(end)).0.entry(1, 1);
        }
        panes.on_entered();
        panes.on_entered();
        assert!(panes.pane(at(20)).1 && panes.pane(at(30)).1);
        assert!(!panes.pane(at(40)).1 && !panes.pane(at(50)).1);
        panes.retire_oldest();
        assert!(panes.pane(at(30)).1 && !panes.pane(at(40)).1);
        panes.on_totals_dropped();
        assert!(!panes.pane(at(20)).1);
    }

    #[test]
    fn retired_pane_is_used_again_and_empty() {
        let mut panes = Panes::<u64>::new(1);
        (0..1_000).for_each(|id| assert!(panes.pane(at(1)).0.entry(id, 1).1));
        panes.retire_oldest();
        let (pane, _) = panes.pane(at(2));
        assert_eq!((pane.len(), pane.records, pane.entered), (0, 0, 0));
        assert!(pane.bytes() > 4_000);
        (0..1_000).for_each(|id| assert!(pane.entry(id, 1).1));
    }
}
