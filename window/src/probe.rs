//! An index from hashes to positions: open addressing, 8 bytes a slot, cleared in O(1).
//!
//! It holds no keys. A slot has the position and 16 bits of the hash; whoever asks compares the key at that position,
//! which it has to touch anyway. The delta of a worker, the owner's directory and each pane use the same index over
//! their own columns.
//!
//! A slot also has the generation it was written in, and counts as empty in any other: emptying the index is adding one,
//! where filling it with zeros would cost as much as the work it was for.
//! ```text
//! slot   | generation 16 | tag 16 | position 32 |        found: one comparison of the upper half, then the key
//! ```

/// See the module head. Positions are those of the caller's columns.
pub(crate) struct Probe {
    slots: Box<[u64]>, // a power of two, at most half of them used
    used: usize,
    generation: u64, // 1..=GENERATION_MAX, so that a zeroed slot is empty
}

/// Where a hash leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// To this position.
    At(usize),
    /// To this empty slot; good for one [`Probe::insert`] if nothing happens in between.
    Vacant(usize),
}

/// The table is kept at least half empty, so that most probes end where they begin: when it was filled to three quarters, a
/// profile of folding into ten keys showed about 40 % of the samples at the loads and branches of the probe. What this
/// change alone saves was not measured. 32 slots are 4 cache lines.
const SLOTS_MIN: usize = 32;
const GENERATION_MAX: u64 = 0xffff;
const POSITION_BITS: u32 = 32;

impl Probe {
    pub(crate) fn new() -> Self {
        Self { slots: vec![0; SLOTS_MIN].into(), used: 0, generation: 1 }
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Empties the index and keeps its memory. O(1), but once in 65 535 times.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        if self.generation == GENERATION_MAX {
            self.slots.fill(0);
            self.generation = 0;
        }
        self.generation += 1;
    }

    /// Looks for a position with this hash for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Found {
        let mask = self.slots.len() - 1;
        let upper = self.upper(hash);
        let mut at = home(hash) & mask;
        loop {
            let slot = self.slots[at];
            if slot >> POSITION_BITS == upper {
                let position = position_of(slot);
                if is_it(position) {
                    return Found::At(position);
                }
            } else if self.is_empty_slot(slot) {
                return Found::Vacant(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// Enters `position` at the `vacant` slot that [`Probe::find`] has just given for this hash.
    ///
    /// Grows when half full, and then needs the hash of every position (sequential, so cheap to fetch).
    #[inline]
    pub(crate) fn insert(&mut self, vacant: usize, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        debug_assert!(self.is_empty_slot(self.slots[vacant]));
        let low = u32::try_from(position).expect("fewer than 2^32 keys in one place");
        self.slots[vacant] = self.upper(hash) << POSITION_BITS | u64::from(low);
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            self.grow(hash_of);
        }
    }

    /// Forgets `position`, which is in the index under this hash, and closes the gap, so that no probe ends too early.
    pub(crate) fn remove(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        let mask = self.slots.len() - 1;
        let mut gap = home(hash) & mask;
        loop {
            let slot = self.slots[gap];
            assert!(!self.is_empty_slot(slot), "position {position} to be removed is not in the index");
            if position_of(slot) == position {
                break;
            }
            gap = (gap + 1) & mask;
        }
        // Whatever was pushed past the gap, and may stand in it, moves into it and leaves the next gap.
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if self.is_empty_slot(slot) {
                break;
            }
            let wanted = home(hash_of(position_of(slot))) & mask;
            let (from_wanted, from_gap) = (at.wrapping_sub(wanted) & mask, at.wrapping_sub(gap) & mask);
            if from_wanted >= from_gap {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap] = 0;
        self.used -= 1;
    }

    #[inline]
    fn upper(&self, hash: u64) -> u64 {
        // The owner is chosen by the upper bits and the slot by the lower ones; these are in between.
        let tag = hash >> 32 & 0xffff;
        self.generation << 16 | tag
    }

    #[inline]
    fn is_empty_slot(&self, slot: u64) -> bool {
        slot >> 48 != self.generation
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, hash_of: impl Fn(usize) -> u64) {
        let double = vec![0; self.slots.len() * 2].into();
        let old = std::mem::replace(&mut self.slots, double).into_vec();
        let mask = self.slots.len() - 1;
        for slot in old {
            if self.is_empty_slot(slot) {
                continue;
            }
            let mut at = home(hash_of(position_of(slot))) & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are wanted, on any machine")]
fn home(hash: u64) -> usize {
    hash as usize
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half of a slot is the position")]
fn position_of(slot: u64) -> usize {
    slot as u32 as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Bad on purpose: few homes, few tags, so that probes run long and round the end.
    fn poor_hash(key: usize) -> u64 {
        (key % 7 + 10) as u64 | ((key % 3) as u64) << 32
    }

    proptest! {
        #[test]
        fn behaves_like_a_map_under_collisions(ops in prop::collection::vec((0_usize..120, 0..10), 1..400)) {
            let mut probe = Probe::new();
            let mut model = BTreeMap::new();
            for (key, op) in ops {
                match (probe.find(poor_hash(key), |position| position == key), op) {
                    (Found::At(position), 0..5) => {
                        prop_assert_eq!(model.remove(&position), Some(()));
                        probe.remove(poor_hash(key), key, poor_hash);
                    }
                    (Found::At(position), _) => prop_assert!(model.contains_key(&position)),
                    (Found::Vacant(slot), 0..9) => {
                        prop_assert!(model.insert(key, ()).is_none());
                        probe.insert(slot, poor_hash(key), key, poor_hash);
                    }
                    (Found::Vacant(_), _) => { probe.clear(); model.clear(); }
                }
                prop_assert_eq!(probe.used, model.len());
            }
            for key in 0..120 {
                let found = probe.find(poor_hash(key), |position| position == key);
                prop_assert_eq!(matches!(found, Found::At(_)), model.contains_key(&key));
            }
        }
    }

    #[test]
    fn stale_slots_stay_empty_when_generations_come_round() {
        let mut probe = Probe::new();
        for round in 0..70_000 {
            let Found::Vacant(slot) = probe.find(5, |_| true) else { panic!("stale position in round {round}") };
            probe.insert(slot, 5, round, |_| 5);
            assert_eq!(probe.find(5, |_| true), Found::At(round));
            probe.clear();
        }
    }
}
