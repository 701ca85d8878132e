//! Memory for answers that are still to come: which shard of a source on this worker may fetch next.
//!
//! A fetch claims about what the last answer took, before it is sent. While the budget has room nobody waits. When it has
//! not, the shard that is furthest behind in event time goes first: it is the one that windows wait for, and so shards stay
//! side by side. A shard of which nothing is in memory may go beyond the budget, or a budget that is smaller than an answer
//! would stop it for ever; but one at a time: the next only when that one's records are folded, or if nothing has moved for
//! [`STALLED`], since what is in memory may itself wait for a shard that is further behind.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weir_runtime::memory::{Charge, MemoryBudget};

use crate::protocol::Moment;

/// How long the only shard that goes beyond the budget keeps the next from it. As often a shard may be asked at all.
const STALLED: Duration = Duration::from_millis(200);
/// What an answer is taken for before there was one.
const ANSWER_BYTES_FIRST: u64 = 1 << 20;
/// What an empty answer takes, about: nobody may count on its being empty again.
const ANSWER_BYTES_MIN: u64 = 16 << 10;
/// What the largest answer takes while it is decoded: 10 MiB of keys and data, beside their body in base64.
const ANSWER_BYTES_MAX: u64 = 24 << 20;

/// How far a shard has been read, then who it is: the least goes first.
type Rank = (i64, u64);

/// The claims of a source's shards on one worker. See the module's head.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Who waits, and since when.
    waiting: BTreeMap<Rank, Moment>,
    /// Of these, who has nothing in memory.
    empty_handed: BTreeSet<Rank>,
    /// Held by each grant that went beyond the budget.
    beyond: Arc<()>,
    last_granted: Moment,
    joined: u64,
}

/// Leave to fetch; held by what was fetched for as long as it is in memory.
#[derive(Debug)]
pub(super) struct Grant {
    charge: Charge,
    _beyond: Option<Arc<()>>,
}

impl Grant {
    /// What the answer takes in truth.
    pub(super) fn settle(&mut self, bytes: u64) {
        self.charge.set(bytes);
    }
}

impl Claims {
    fn ask(&mut self, rank: Rank, bytes: u64, empty_handed: bool, budget: &MemoryBudget, now: Moment) -> Option<Grant> {
        let since = *self.waiting.entry(rank).or_insert(now);
        if empty_handed {
            let _ = self.empty_handed.insert(rank);
        } else {
            let _ = self.empty_handed.remove(&rank);
        }
        let first = self.waiting.first_key_value().is_some_and(|(first, _)| *first == rank);
        let mut grant = match first {
            true => budget.try_charge(bytes).map(|charge| Grant { charge, _beyond: None }),
            false => None,
        };
        if grant.is_none() && self.empty_handed.first() == Some(&rank) {
            let alone = Arc::strong_count(&self.beyond) == 1;
            if alone || now.since(since.max(self.last_granted)) >= STALLED {
                grant = Some(Grant { charge: budget.charge(bytes), _beyond: Some(Arc::clone(&self.beyond)) });
            }
        }
        if grant.is_some() {
            self.leave(rank);
            self.last_granted = now;
        }
        grant
    }

    fn leave(&mut self, rank: Rank) {
        let _ = self.waiting.remove(&rank);
        let _ = self.empty_handed.remove(&rank);
    }
}

/// One shard's part in the claims of its source; leaves them when dropped.
#[derive(Debug)]
pub(super) struct Claimant {
    claims: Rc<RefCell<Claims>>,
    number: u64,
    waits_as: Cell<Option<Rank>>,
    read_to_ms: Cell<i64>,
    expected: Cell<u64>,
    /// Also held by each batch of this shard that is in memory.
    in_memory: Arc<()>,
}

/// What a batch holds while it is in memory.
#[derive(Debug)]
pub(super) struct Held {
    _grant: Grant,
    _in_memory: Arc<()>,
}

impl Claimant {
    pub(super) fn join(claims: Rc<RefCell<Claims>>) -> Claimant {
        let mut joining = claims.borrow_mut();
        joining.joined += 1;
        let number = joining.joined;
        drop(joining);
        Claimant {
            claims,
            number,
            waits_as: Cell::new(None),
            read_to_ms: Cell::new(i64::MIN),
            expected: Cell::new(ANSWER_BYTES_FIRST),
            in_memory: Arc::new(()),
        }
    }

    /// The shard has been read up to this time.
    pub(super) fn read_to(&self, time_ms: i64) {
        self.read_to_ms.set(self.read_to_ms.get().max(time_ms));
    }

    /// Leave to fetch the next answer, unless it has to wait: then ask again.
    pub(super) fn ask(&self, budget: &MemoryBudget, now: Moment) -> Option<Grant> {
        let rank = self.waits_as.get().unwrap_or((self.read_to_ms.get(), self.number));
        let empty_handed = Arc::strong_count(&self.in_memory) == 1;
        let grant = self.claims.borrow_mut().ask(rank, self.expected.get(), empty_handed, budget, now);
        self.waits_as.set(grant.is_none().then_some(rank));
        grant
    }

    /// An answer came: it took `decoding_bytes` while it was decoded, and keeps `kept_bytes`. Gives what its batch is to hold.
    pub(super) fn settle(&self, mut grant: Grant, decoding_bytes: u64, kept_bytes: u64) -> Held {
        grant.settle(kept_bytes);
        // A shard that falls silent between two bursts is not forgotten at once.
        let expected = decoding_bytes.max(self.expected.get() / 2);
        self.expected.set(expected.clamp(ANSWER_BYTES_MIN, ANSWER_BYTES_MAX));
        Held { _grant: grant, _in_memory: Arc::clone(&self.in_memory) }
    }
}

impl Drop for Claimant {
    fn drop(&mut self) {
        if let Some(rank) = self.waits_as.get() {
            self.claims.borrow_mut().leave(rank);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    /// Shards that have been read up to these times and expect answers of 100 KiB.
    fn claimants(read_to_ms: &[i64]) -> Vec<Claimant> {
        let claims: Rc<RefCell<Claims>> = Rc::default();
        let claimant = |time_ms: &i64| {
            let claimant = Claimant::join(claims.clone());
            claimant.read_to(*time_ms);
            claimant.expected.set(100 * KIB);
            claimant
        };
        read_to_ms.iter().map(claimant).collect()
    }

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn while_there_is_room_nobody_waits() {
        let budget = MemoryBudget::of(300 * KIB);
        let shards = claimants(&[5, 1, 3]);
        let grants: Vec<_> = shards.iter().map(|shard| shard.ask(&budget, at(0)).expect("it fits")).collect();
        assert_eq!(budget.used_bytes(), 300 * KIB);
        drop(grants);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn furthest_behind_goes_first_when_memory_is_short() {
        let budget = MemoryBudget::of(150 * KIB);
        let others = budget.charge(100 * KIB);
        let shards = claimants(&[5, 1, 3]);
        let busy: Vec<_> = shards.iter().map(|shard| shard.in_memory.clone()).collect();
        assert!(shards.iter().all(|shard| shard.ask(&budget, at(0)).is_none()), "all have something in memory");
        drop(others);
        assert!(shards[0].ask(&budget, at(1)).is_none(), "it would fit, but others are further behind");
        let first = shards[1].ask(&budget, at(1)).expect("it is the first");
        assert!(shards[0].ask(&budget, at(2)).is_none() && shards[2].ask(&budget, at(2)).is_none());
        drop(first);
        assert!(shards[0].ask(&budget, at(3)).is_none());
        assert!(shards[2].ask(&budget, at(3)).is_some());
        drop(busy);
    }

    #[test]
    fn one_shard_at_a_time_goes_beyond_a_budget_that_is_smaller_than_an_answer() {
        let budget = MemoryBudget::of(KIB);
        let shards = claimants(&[5, 1, 3]);
        assert!(shards[1].ask(&budget, at(0)).is_some_and(|grant| grant.charge.bytes() == 100 * KIB));
        let _ = shards[1].ask(&budget, at(1)).map(|grant| {
            let held = shards[1].settle(grant, 100 * KIB, 40 * KIB);
            assert_eq!(budget.used_bytes(), 40 * KIB);
            assert!(shards.iter().all(|shard| shard.ask(&budget, at(2)).is_none()), "until its records are folded");
            drop(held);
        });
        assert_eq!(budget.used_bytes(), 0);
        shards[1].read_to(9);
        assert!(shards[0].ask(&budget, at(3)).is_none(), "whoever waits is asked in order: the third is behind it");
        assert!(shards[1].ask(&budget, at(3)).is_some(), "it waits where it asked");
        assert!(shards[2].ask(&budget, at(4)).is_some());
        assert!(shards[0].ask(&budget, at(5)).is_some());
    }

    // What is in memory is ahead of its time and waits for a shard that comes later: it must not wait for that in turn.
    #[test]
    fn shard_with_nothing_in_memory_is_not_held_up_for_ever_by_one_that_is_beyond() {
        let budget = MemoryBudget::of(KIB);
        let shards = claimants(&[5, 1, 3]);
        let ahead = shards[0].ask(&budget, at(0)).expect("it is alone");
        let _held = shards[0].settle(ahead, 100 * KIB, 100 * KIB);
        for ms in [1, 100, 200] {
            assert!(shards.iter().all(|shard| shard.ask(&budget, at(ms)).is_none()), "at {ms}");
        }
        let _second = shards[1].ask(&budget, at(201)).expect("nothing has moved");
        assert!(shards[2].ask(&budget, at(202)).is_none() && shards[2].ask(&budget, at(400)).is_none());
        assert!(shards[2].ask(&budget, at(401)).is_some());
        assert!(shards[0].ask(&budget, at(900)).is_none(), "it has something in memory");
    }

    #[test]
    fn shard_that_ends_while_it_waits_holds_up_nobody() {
        let budget = MemoryBudget::of(150 * KIB);
        let mut shards = claimants(&[1, 2]);
        let busy: Vec<_> = shards.iter().map(|shard| shard.in_memory.clone()).collect();
        let others = budget.charge(100 * KIB);
        assert!(shards.iter().all(|shard| shard.ask(&budget, at(0)).is_none()));
        drop(others);
        drop(shards.remove(0));
        assert!(shards[0].ask(&budget, at(1)).is_some());
        drop(busy);
    }

    #[test]
    fn expectation_follows_answers_up_at_once_and_down_by_halves_within_bounds() {
        let budget = MemoryBudget::of(1 << 40);
        let shard = Claimant::join(Rc::default());
        let mut expected = Vec::new();
        for bytes in [3 << 20, 100 << 20, 0, 0, 0] {
            let grant = shard.ask(&budget, at(0)).expect("there is room");
            expected.push(grant.charge.bytes());
            drop(shard.settle(grant, bytes, 0));
        }
        assert_eq!(expected, [1 << 20, 3 << 20, 24 << 20, 12 << 20, 6 << 20]);
        for _ in 0..20 {
            let grant = shard.ask(&budget, at(0)).expect("there is room");
            drop(shard.settle(grant, 0, 0));
        }
        assert_eq!(shard.expected.get(), 16 << 10);
        assert_eq!(budget.used_bytes(), 0);
    }
}
