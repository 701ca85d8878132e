//! Records straight into an owner's panes: the way of a job with one worker, which needs neither deltas nor blocks.
//!
//! Records come in lots, and each pass goes over a whole lot: hash, guess, compare, accumulate. See
//! [`Index`](crate::index::Index).

use super::Owner;
use crate::aggregate::Aggregate;
use crate::index::LOT;
use crate::key::{HashSeed, Key};
use crate::time::{EventTime, TimeSpan};

impl<K: Key + ?Sized, A: Clone + Send + 'static> Owner<K, A> {
    /// Accumulates records: items at `times` under `keys`, each into its pane.
    ///
    /// Records that no window wants any more are counted in [`OwnerCounters::late_records`](super::OwnerCounters) and
    /// dropped. Does not allocate once warm. Cost: a hash, a probe and a place in the pane for each.
    ///
    /// # Panics
    /// If there are not as many times and keys as items.
    pub fn accumulate<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        seed: &HashSeed,
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        assert!(times.len() == items.len() && keys.len() == items.len(), "a record has a time, a key and an item");
        for ((times, keys), items) in times.chunks(LOT).zip(keys.chunks(LOT)).zip(items.chunks(LOT)) {
            self.accumulate_lot(aggregate, seed, times, keys, items);
        }
    }

    fn accumulate_lot<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        seed: &HashSeed,
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        let earliest = times.iter().min().expect("a lot is not empty");
        if self.is_late(self.spec.pane_end(*earliest)) {
            self.accumulate_what_is_in_time(aggregate, seed, times, keys, items);
            return;
        }
        let mut ids = [0; LOT];
        let ids = &mut ids[..keys.len()];
        if !K::ONLY_ONE || self.directory.live() == 0 {
            self.ids_of(seed, keys, ids);
        }
        let mut from = 0;
        while from < times.len() {
            let run = from..from + self.run_length(&times[from..]);
            self.accumulate_run(aggregate, &times[run.clone()], &ids[run.clone()], &items[run.clone()]);
            from = run.end;
        }
    }

    /// Some of the lot are late: they must not get an id, for nothing would release it.
    #[cold]
    #[inline(never)]
    fn accumulate_what_is_in_time<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        seed: &HashSeed,
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        let mut from = 0;
        while from < times.len() {
            let run = from..from + self.run_length(&times[from..]);
            if self.is_late(self.spec.pane_end(times[from])) {
                self.counters.late_records += run.len() as u64;
            } else {
                self.accumulate_lot(aggregate, seed, &times[run.clone()], &keys[run.clone()], &items[run.clone()]);
            }
            from = run.end;
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

    /// How many of `times`, from the first, are in one pane.
    fn run_length(&self, times: &[EventTime]) -> usize {
        let end = self.spec.pane_end(times[0]);
        let first = self.spec.pane_first(end);
        // The last pane of all covers its own end, because nothing is later.
        let last = if end == EventTime::MAX { end } else { end.saturating_sub(TimeSpan::from_millis(1)) };
        times.iter().position(|time| *time < first || *time > last).unwrap_or(times.len())
    }

    /// Accumulates items of one pane.
    fn accumulate_run<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        times: &[EventTime],
        ids: &[u32],
        items: &[T],
    ) {
        let pane_end = self.spec.pane_end(times[0]);
        let expected = self.panes.newest_len();
        let at = self.panes.open(pane_end, expected);
        self.count_in(at, pane_end, items.len() as u64);
        let is_in = self.panes.is_in(at);
        let (pane, latest) = self.panes.pane(at, self.directory.ids());
        if is_in || pane.entered > 0 {
            for ((id, item), time) in ids.iter().zip(items).zip(times) {
                let mut part = aggregate.identity();
                aggregate.accumulate_at(&mut part, item, *time);
                self.merge(aggregate, at, &[*id], &mut std::iter::once(part));
            }
            return;
        }
        for ((id, item), time) in ids.iter().zip(items).zip(times) {
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
        self.totals.reach(self.directory.ids(), || aggregate.identity());
        self.compact_if_full(aggregate, at);
    }
}
