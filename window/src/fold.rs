//! The worker's half of a window: records folded into one delta per pane, handed over as blocks.
//!
//! The hot path is [`Fold::accumulate_all`]: two comparisons while records stay in one pane, one hash, one probe, one
//! addition, each done for a lot of records before the next, so that they overlap. No lock, no clock, and once the fold has seen its panes and keys, no allocation: deltas give their indexes
//! back, and the arenas of blocks come home from the owners.

use std::collections::VecDeque;

use crate::aggregate::Aggregate;
use crate::arena::Arena;
use crate::block::Block;
use crate::index::{Index, LOT, small};
use crate::key::{HashSeed, Key, KeyColumn};
use crate::spec::WindowSpec;
use crate::time::EventTime;

/// Emptied deltas kept for their indexes: more than are open at once unless records are very disordered.
const SPARE_DELTAS_MAX: usize = 64;
/// Empty arenas kept for each owner.
const SPARE_ARENAS_MAX: usize = 16;

/// The owner of a hash: owner `i` of `n` has the `i`-th `n`-th of the range, so that neighbouring hashes share an owner.
///
/// # Panics
/// In debug builds, if there is no owner.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "hash × owners ÷ 2^64 is less than owners")]
pub fn owner_of(hash: u64, owners: u16) -> u16 {
    debug_assert!(owners > 0, "a job has at least one owner");
    ((u128::from(hash) * u128::from(owners)) >> 64) as u16
}

/// What one worker folded for one window operator and has not handed over yet.
pub struct Fold<K: Key + ?Sized, A> {
    spec: WindowSpec,
    seed: HashSeed,
    owners: u16,
    first: EventTime, // the current delta covers first..=last; there is none if first > last
    last: EventTime,
    current: Delta<K, A>, // here and not in `others`, so that a record finds it without a search
    others: VecDeque<Delta<K, A>>, // ascending by pane, each at most once, without the current one
    handed_over: u64,     // records
    newest: EventTime,    // the greatest pane end so far
    entries_expected: Vec<usize>, // by owner: how many keys the next newest pane is likely to have
    spare_deltas: Vec<Delta<K, A>>,
    spare_arenas: Vec<Arena>,
}

/// One pane's contributions, a part for each owner.
struct Delta<K: Key + ?Sized, A> {
    pane_end: EventTime,
    parts: Vec<Part<K, A>>,
}

struct Part<K: Key + ?Sized, A> {
    index: Index, // over the block's entries; stays here when the block leaves
    block: Option<Block<K, A>>,
}

impl<K: Key + ?Sized, A: Clone + Send + 'static> Fold<K, A> {
    /// An empty fold for windows of `spec`, whose keys are spread over `owners`.
    ///
    /// # Panics
    /// If there is no owner.
    pub fn new(spec: WindowSpec, seed: HashSeed, owners: u16) -> Self {
        assert!(owners > 0, "a job has at least one owner");
        Self {
            spec,
            seed,
            owners,
            first: EventTime::MAX,
            last: EventTime::MIN,
            current: Delta::none(),
            others: VecDeque::new(),
            handed_over: 0,
            newest: EventTime::MIN,
            entries_expected: vec![0; usize::from(owners)],
            spare_deltas: Vec::new(),
            spare_arenas: Vec::new(),
        }
    }

    /// Folds one record. See [`Fold::accumulate_all`], which costs a fraction of it for each of many.
    pub fn accumulate<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        time: EventTime,
        key: &K,
        item: &T,
    ) {
        self.accumulate_all(aggregate, &[time], &[key], std::slice::from_ref(item));
    }

    /// Folds records: items at `times` under `keys`, each into the open delta of its pane.
    ///
    /// A record of a pane that was handed over already opens a new delta for it; whether it is too late is for the owner
    /// to say. Does not allocate once warm. Cost: a hash and a probe for each; a division and a search when the pane
    /// changes.
    ///
    /// # Panics
    /// If there are not as many times and keys as items.
    pub fn accumulate_all<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        assert!(times.len() == items.len() && keys.len() == items.len(), "a record has a time, a key and an item");
        let mut from = 0;
        while from < times.len() {
            if times[from] < self.first || times[from] > self.last {
                self.turn_to(times[from]);
            }
            let lot = &times[from..times.len().min(from + LOT)];
            let (first, last) = (self.first, self.last);
            let run = lot.iter().position(|time| *time < first || *time > last).unwrap_or(lot.len());
            let run = from..from + run;
            from = run.end;
            self.accumulate_run(aggregate, &times[run.clone()], &keys[run.clone()], &items[run]);
        }
    }

    /// Folds at most a lot of records into the current delta.
    fn accumulate_run<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        let mut hashes = [0; LOT];
        let hashes = &mut hashes[..keys.len()];
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = key.hash(&self.seed);
        }
        // A job with one owner is common. Its block stays in hand here: one loop for both cost 13 to 20 % more at 10 000 keys.
        if self.owners == 1 {
            self.accumulate_for_one(aggregate, hashes, times, keys, items);
            return;
        }
        let owners = self.owners;
        let owner = |hash: &u64| usize::from(owner_of(*hash, owners));
        let mut positions = [0; LOT];
        let positions = &mut positions[..keys.len()];
        for (guess, hash) in positions.iter_mut().zip(&*hashes) {
            *guess = self.current.parts[owner(hash)].index.guess(*hash);
        }
        for ((position, hash), key) in positions.iter_mut().zip(&*hashes).zip(keys) {
            let owner = owner(hash);
            self.open_part(owner);
            *position = self.current.parts[owner].position_of(*hash, *position, key, || aggregate.identity());
        }
        for (((position, hash), item), time) in positions.iter().zip(&*hashes).zip(items).zip(times) {
            if let Some(block) = &mut self.current.parts[owner(hash)].block {
                block.records += 1;
                let accumulators = block.accumulators.slice_mut(&block.arena);
                aggregate.accumulate_at(&mut accumulators[*position as usize], item, *time);
            }
        }
    }

    fn accumulate_for_one<T, G: Aggregate<T, Accumulator = A>>(
        &mut self,
        aggregate: &G,
        hashes: &[u64],
        times: &[EventTime],
        keys: &[&K],
        items: &[T],
    ) {
        self.open_part(0);
        let part = &mut self.current.parts[0];
        let mut positions = [0; LOT];
        let positions = &mut positions[..keys.len()];
        if !K::ONLY_ONE {
            for (guess, hash) in positions.iter_mut().zip(hashes) {
                *guess = part.index.guess(*hash);
            }
        }
        for ((position, hash), key) in positions.iter_mut().zip(hashes).zip(keys) {
            *position = part.position_of(*hash, *position, key, || aggregate.identity());
        }
        let Some(block) = &mut part.block else { return };
        block.records += items.len() as u64;
        let accumulators = block.accumulators.slice_mut(&block.arena);
        for ((position, item), time) in positions.iter().zip(items).zip(times) {
            aggregate.accumulate_at(&mut accumulators[*position as usize], item, *time);
        }
    }

    /// Gives an owner's part of the current delta a block, if it has none.
    #[inline]
    fn open_part(&mut self, owner: usize) {
        let part = &mut self.current.parts[owner];
        if part.block.is_none() {
            let is_newest = self.current.pane_end == self.newest;
            let capacity = if is_newest { self.entries_expected[owner] } else { 0 };
            open_block(&mut part.block, &mut self.spare_arenas, self.current.pane_end, capacity);
        }
    }

    /// Gives every delta whose pane ends at or before `up_to` to `out`, oldest pane first: at most one block an owner
    /// and pane, none without records.
    pub fn hand_over(&mut self, up_to: EventTime, out: &mut dyn FnMut(u16, Block<K, A>)) {
        if !self.has_due(up_to) {
            return;
        }
        self.park();
        while let Some(mut delta) = self.others.pop_front_if(|oldest| oldest.pane_end <= up_to) {
            for (owner, part) in (0..self.owners).zip(&mut delta.parts) {
                if let Some(block) = part.block.take() {
                    part.index.clear();
                    self.handed_over += block.records;
                    let expected = &mut self.entries_expected[usize::from(owner)];
                    *expected = block.entries().max(*expected - *expected / 8);
                    out(owner, block);
                }
            }
            if self.spare_deltas.len() < SPARE_DELTAS_MAX {
                self.spare_deltas.push(delta);
            }
        }
    }

    /// Gives everything to `out`: at a checkpoint, at the end, or when memory is short.
    pub fn hand_over_all(&mut self, out: &mut dyn FnMut(u16, Block<K, A>)) {
        self.hand_over(EventTime::MAX, out);
    }

    /// Whether [`Fold::hand_over`] with this time would give anything. O(1).
    pub fn has_due(&self, up_to: EventTime) -> bool {
        let current = self.has_current().then_some(&self.current);
        current.into_iter().chain(self.others.front()).any(|delta| delta.pane_end <= up_to)
    }

    /// Whether nothing is waiting to be handed over.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.has_current()
    }

    /// How many records were folded since the fold was made. O(open panes × owners).
    pub fn records_folded(&self) -> u64 {
        self.handed_over + self.records_waiting()
    }

    /// How many records were folded and not handed over yet. O(open panes × owners).
    pub fn records_waiting(&self) -> u64 {
        let deltas = self.others.iter().chain([&self.current]);
        deltas.flat_map(|delta| &delta.parts).filter_map(|part| part.block.as_ref()).map(Block::records).sum()
    }

    /// Memory held in bytes: open blocks, spare arenas, indexes; not what accumulators own elsewhere. O(open panes × owners).
    pub fn bytes(&self) -> usize {
        let deltas = self.others.iter().chain(&self.spare_deltas).chain([&self.current]);
        let parts = deltas.flat_map(|delta| &delta.parts);
        let parts = parts.map(|part| part.index.bytes() + part.block.as_ref().map_or(0, Block::bytes));
        parts.sum::<usize>() + self.spare_arenas.iter().map(Arena::bytes).sum::<usize>()
    }

    /// Takes the memory of a block back from its owner, for the next one. Best effort: beyond a few for each owner it is
    /// freed.
    pub fn take_home(&mut self, arena: Arena) {
        if self.spare_arenas.len() < SPARE_ARENAS_MAX * usize::from(self.owners) {
            self.spare_arenas.push(arena);
        }
    }

    fn has_current(&self) -> bool {
        self.first <= self.last
    }

    /// Puts the current delta back among the others: the next record looks for its own.
    fn park(&mut self) {
        if self.has_current() {
            let delta = std::mem::replace(&mut self.current, Delta::none());
            let at = self.others.partition_point(|other| other.pane_end < delta.pane_end);
            self.others.insert(at, delta);
            (self.first, self.last) = (EventTime::MAX, EventTime::MIN);
        }
    }

    /// Makes the delta of the pane that covers `time` the current one.
    #[cold]
    #[inline(never)]
    fn turn_to(&mut self, time: EventTime) {
        self.park();
        let pane_end = self.spec.pane_end(time);
        let at = self.others.partition_point(|delta| delta.pane_end < pane_end);
        self.current = match self.others.get(at) {
            Some(delta) if delta.pane_end == pane_end => self.others.remove(at).expect("seen just now"),
            _ => {
                let mut delta = self.spare_deltas.pop().unwrap_or_else(|| Delta::new(self.owners));
                delta.pane_end = pane_end;
                self.newest = self.newest.max(pane_end);
                delta
            }
        };
        self.first = self.spec.pane_first(pane_end);
        self.last = self.spec.pane_last(pane_end);
    }
}

impl<K: Key + ?Sized, A> Part<K, A> {
    /// Where the key is in the block of this part, which is open; pushed with `identity` if it is not there.
    #[inline]
    fn position_of(&mut self, hash: u64, guess: u32, key: &K, identity: impl FnOnce() -> A) -> u32 {
        let block = self.block.as_mut().expect("the block was opened");
        if (guess as usize) < block.entries() && block.keys.matches(&block.arena, guess as usize, key) {
            return guess;
        }
        match self.index.find(hash, |position| block.keys.matches(&block.arena, position, key)) {
            Some(position) => small(position),
            None => {
                let position = block.push(hash, key, identity());
                if !K::ONLY_ONE {
                    let hashes = block.hashes.slice(&block.arena);
                    self.index.insert(hash, position, |position| hashes[position]);
                }
                small(position)
            }
        }
    }
}

impl<K: Key + ?Sized, A> Delta<K, A> {
    /// Stands where no delta is. Does not allocate.
    const fn none() -> Self {
        Self { pane_end: EventTime::MIN, parts: Vec::new() }
    }

    fn new(owners: u16) -> Self {
        let parts = (0..owners).map(|_| Part { index: Index::new(), block: None }).collect();
        Self { pane_end: EventTime::MIN, parts }
    }
}

/// Opens the block of a part: `capacity` is as many keys as the last newest pane had. A pane behind the newest gets a few
/// late records, and no room in advance.
#[cold]
#[inline(never)]
fn open_block<K: Key + ?Sized, A>(
    block: &mut Option<Block<K, A>>,
    spare_arenas: &mut Vec<Arena>,
    pane_end: EventTime,
    capacity: usize,
) {
    let arena = spare_arenas.pop().unwrap_or_default();
    *block = Some(Block::new_in(arena, pane_end, capacity));
}

impl<K: Key + ?Sized, A> std::fmt::Debug for Fold<K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fold")
            .field("spec", &self.spec)
            .field("owners", &self.owners)
            .field("is_empty", &(self.others.is_empty() && self.first > self.last))
            .field("handed_over", &self.handed_over)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
