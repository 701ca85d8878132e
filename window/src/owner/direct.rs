//! Records straight into an owner's panes: the way of a job with one worker, which needs neither deltas nor blocks.
//!
//! Records come in lots, and each pass goes over a whole lot: hash, guess, compare, accumulate. See
//! [`Index`](crate::index::Index).

use std::ops::Range;

use super::Owner;
use crate::aggregate::Aggregate;
use crate::index::LOT;
use crate::key::{HashSeed, Key};
use crate::time::EventTime;

/// Records side by side: as many times and keys as items.
struct Lot<'a, K: ?Sized, T> {
    times: &'a [EventTime],
    keys: &'a [&'a K],
    items: &'a [T],
}

impl<'a, K: ?Sized, T> Lot<'a, K, T> {
    fn part(&self, range: Range<usize>) -> Lot<'a, K, T> {
        Lot { times: &self.times[range.clone()], keys: &self.keys[range.clone()], items: &self.items[range] }
    }
}

impl<K: Key + ?Sized, A: Clone + Send + 'static> Owner<K, A> {
    /// Accumulates records: items at `times` under `keys`, each into its pane.
    ///
    /// Records that no window wants any more are counted in [`OwnerCounters::late_records`](super::OwnerCounters) and
    /// dropped. Does not allocate once warm. Cost: a hash, a probe and a place in the pane for each; a division and a search
    /// when the pane changes.
    ///
    /// # Panics
    /// If there are not as many times and keys as items.
    pub fn accumulate_all<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        seed: &HashSeed,
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        assert!(times.len() == items.len() && keys.len() == items.len(), "a record has a time, a key and an item");
        let all = Lot { times, keys, items };
        for from in (0..items.len()).step_by(LOT) {
            self.accumulate_lot(aggregate, seed, &all.part(from..items.len().min(from + LOT)));
        }
    }

    fn accumulate_lot<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        seed: &HashSeed,
        lot: &Lot<'_, K, T>,
    ) {
        let earliest = lot.times.iter().min().expect("a lot is not empty");
        if self.is_late(self.spec.pane_end(*earliest)) {
            self.accumulate_what_is_in_time(aggregate, seed, lot);
            return;
        }
        let mut ids = [0; LOT];
        let ids = &mut ids[..lot.keys.len()];
        if !K::ONLY_ONE || self.directory.live() == 0 {
            self.ids_of(seed, lot.keys, ids);
            self.totals.reach(self.directory.ids(), || aggregate.identity());
        }
        let mut from = 0;
        while from < ids.len() {
            let (pane_end, length) = self.run(&lot.times[from..]);
            let run = from..from + length;
            self.accumulate_run(aggregate, pane_end, &ids[run.clone()], &lot.part(run));
            from += length;
        }
    }

    /// Some of the lot are late: they must not get an id, for nothing would release it.
    #[cold]
    #[inline(never)]
    fn accumulate_what_is_in_time<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        seed: &HashSeed,
        lot: &Lot<'_, K, T>,
    ) {
        let mut from = 0;
        while from < lot.times.len() {
            let (pane_end, length) = self.run(&lot.times[from..]);
            if self.is_late(pane_end) {
                self.counters.late_records += length as u64;
            } else {
                self.accumulate_lot(aggregate, seed, &lot.part(from..from + length));
            }
            from += length;
        }
    }

    fn ids_of(&mut self, seed: &HashSeed, keys: &[&K], ids: &mut [u32]) {
        let mut hashes = [0; LOT];
        let hashes = &mut hashes[..keys.len()];
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = key.hash(seed);
        }
        for (guess, hash) in ids.iter_mut().zip(&*hashes) {
            *guess = self.directory.guess(*hash);
        }
        for ((id, hash), key) in ids.iter_mut().zip(&*hashes).zip(keys) {
            *id = self.directory.id_of_key(*hash, *id, key);
        }
    }

    /// The end of the pane of the first of `times`, and how many of them from there on are in it.
    fn run(&self, times: &[EventTime]) -> (EventTime, usize) {
        let pane_end = self.spec.pane_end(times[0]);
        let (first, last) = (self.spec.pane_first(pane_end), self.spec.pane_last(pane_end));
        (pane_end, times.iter().position(|time| *time < first || *time > last).unwrap_or(times.len()))
    }

    /// Accumulates items of one pane.
    fn accumulate_run<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        pane_end: EventTime,
        ids: &[u32],
        run: &Lot<'_, K, T>,
    ) {
        let expected = self.panes.newest_len();
        let at = self.panes.open(pane_end, expected);
        self.count_in(at, pane_end, ids.len() as u64);
        let is_in = self.panes.is_in(at);
        let (pane, latest) = self.panes.pane(at, self.directory.ids());
        let records = ids.iter().zip(run.items).zip(run.times);
        if is_in || pane.entered > 0 {
            for ((id, item), time) in records {
                let mut part = aggregate.identity();
                aggregate.accumulate_at(&mut part, item, *time);
                self.merge(aggregate, at, &[*id], &mut std::iter::once(part));
            }
            return;
        }
        for ((id, item), time) in records {
            let latest = &mut latest[*id as usize];
            if let Some(position) = pane.position(*latest) {
                aggregate.accumulate_at(pane.accumulator_mut(position), item, *time);
            } else {
                let mut part = aggregate.identity();
                aggregate.accumulate_at(&mut part, item, *time);
                pane.push(*id, latest, part);
                self.directory.retain(*id as usize);
            }
        }
        self.compact_if_full(aggregate, at);
    }
}
