//! What comes to an owner in blocks: each entry into its pane, and into the totals as far as that pane is in them.

use super::Owner;
use crate::aggregate::Aggregate;
use crate::arena::Arena;
use crate::block::Block;
use crate::index::LOT;
use crate::key::Key;

impl<K: Key + ?Sized, A: Clone + Send + 'static> Owner<K, A> {
    /// Combines a block into its pane, and gives back its memory, which should go home to the worker that made it.
    ///
    /// A block that no window wants any more is counted in [`OwnerCounters::late_records`](super::OwnerCounters) and
    /// dropped. Cost: a probe and a place in the pane for each entry; allocates only for keys and panes beyond the most
    /// there were.
    pub fn combine<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        mut block: Block<K, A>,
    ) -> Arena {
        self.counters.blocks += 1;
        let (pane_end, records) = (block.pane_end, block.records);
        if self.is_late(pane_end) {
            self.counters.late_records += records;
            return block.into_arena();
        }
        if block.entries() == 0 {
            return block.into_arena();
        }
        let at = self.panes.open(pane_end, block.entries());
        self.count_in(at, pane_end, records);
        self.counters.entries_combined += block.entries() as u64;
        let mut parts = block.accumulators.take_all(&block.arena);
        for (lot, hashes) in block.hashes.slice(&block.arena).chunks(LOT).enumerate() {
            let mut ids = [0; LOT];
            let ids = &mut ids[..hashes.len()];
            for (guess, hash) in ids.iter_mut().zip(hashes) {
                *guess = self.directory.guess(*hash);
            }
            for (i, (id, hash)) in ids.iter_mut().zip(hashes).enumerate() {
                *id = self.directory.id_of(*hash, *id, &block.keys, &block.arena, lot * LOT + i);
            }
            self.merge(aggregate, at, ids, &mut parts);
        }
        drop(parts);
        self.compact_if_full(aggregate, at);
        block.into_arena()
    }

    /// Merges as many parts as there are ids into the pane at `at`, each under its id.
    pub(super) fn merge<T: ?Sized, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        at: usize,
        ids: &[u32],
        parts: &mut impl Iterator<Item = A>,
    ) {
        let is_in = self.panes.is_in(at);
        let combine = |into: &mut A, other: &A| aggregate.combine(into, other);
        self.totals.reach(self.directory.ids(), || aggregate.identity());
        let (pane, latest) = self.panes.pane(at, self.directory.ids());
        let is_ahead = !is_in && pane.entered == 0;
        for (small, part) in ids.iter().zip(parts) {
            let id = *small as usize;
            let latest = &mut latest[id];
            if let Some(position) = pane.position(*latest) {
                combine(pane.accumulator_mut(position), &part);
                if !is_ahead && position < pane.entered {
                    self.totals.add(id, &part, combine);
                }
            } else {
                if is_in {
                    self.totals.enter(id, &part, combine);
                    pane.entered += 1;
                }
                pane.push(*small, latest, part);
                self.directory.retain(id);
            }
        }
    }

    /// Merges what a pane has twice, once that must be more than half of it.
    pub(super) fn compact_if_full<T: ?Sized, G: Aggregate<T, Accumulator = A>>(&mut self, aggregate: &G, at: usize) {
        let keys = self.directory.live();
        let (pane, _) = self.panes.pane(at, 0);
        if pane.len() > 2 * keys + LOT && pane.entered == 0 && !self.panes.is_in(at) {
            let directory = &mut self.directory;
            self.panes.compact(at, |into, other| aggregate.combine(into, other), |id| directory.release(id));
        }
    }
}
