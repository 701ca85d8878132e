//! An owner's watermark: the minimum over the workers' last messages and over holds; it never falls.
//!
//! Messages of one worker arrive in order, those of different workers in any. When a shard passes from one worker to
//! another, or a parent's range to its child, some entry stands in for it at every moment:
//! ```text
//! worker A   … parent at 70 in its mark …  done: hold child at 70 | mark without parent
//! worker B                                                    begun: child is mine, my mark is 70 | …
//! owner      A's mark ≤ 70                 hold ≤ 70              B's mark ≤ 70
//! ```
//! If B's message overtakes A's, the hold that arrives later is the past: the owner remembers the pair (child, parent)
//! until then, and drops it.

use std::collections::{BTreeMap, BTreeSet};

use super::{ShardName, WorkerMark};
use crate::time::EventTime;

/// See the module head.
#[derive(Clone, Debug)]
pub struct OwnerWatermark {
    workers: Vec<WorkerMark>,
    /// Shards that nobody reads yet, by the parent that asked for it; `None`: listed at the start.
    holds: BTreeMap<(ShardName, Option<ShardName>), EventTime>,
    /// Children that have begun, with a parent whose hold is still to come.
    overtaken: BTreeSet<(ShardName, ShardName)>,
    highest: EventTime,
}

/// What keeps an owner's watermark where it is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The mark of this worker, by index.
    Worker(usize),
    /// A shard that nobody has begun to read.
    Unread {
        /// The shard.
        shard: ShardName,
        /// The drained parent it follows; `None` if it was listed at the start.
        parent: Option<ShardName>,
    },
}

impl OwnerWatermark {
    /// `worker_count` workers that have said nothing, and a hold for every shard listed at the start.
    pub fn new(worker_count: usize, initial_holds: impl IntoIterator<Item = (ShardName, EventTime)>) -> Self {
        let holds = initial_holds.into_iter().map(|(shard, at)| ((shard, None), at));
        let mut this = Self {
            workers: vec![WorkerMark::Absent; worker_count],
            holds: if drops_holds() { BTreeMap::new() } else { holds.collect() },
            overtaken: BTreeSet::new(),
            highest: EventTime::MIN,
        };
        this.rise();
        this
    }

    /// A worker's mark has risen, or it has no shard left.
    ///
    /// # Panics
    /// If the mark falls: only [`OwnerWatermark::on_begun`] may do that.
    pub fn on_watermark(&mut self, worker: usize, mark: WorkerMark) {
        if let (WorkerMark::At(before), WorkerMark::At(now)) = (self.workers[worker], mark) {
            assert!(before <= now, "the mark of worker {worker} falls from {before:?} to {now:?}");
        }
        self.workers[worker] = mark;
        if releases_holds() {
            self.holds.retain(|(_, parent), _| parent.is_none());
        }
        self.rise();
    }

    /// A worker has drained `shard`: each of its children is held at its time, unless it has begun already.
    ///
    /// The worker's mark without `shard` comes in a later message.
    pub fn on_done(&mut self, worker: usize, shard: &ShardName, children: &[(ShardName, EventTime)]) {
        assert!(worker < self.workers.len(), "worker {worker} of {} is done with a shard", self.workers.len());
        for (child, at) in children {
            let has_begun = self.overtaken.remove(&(child.clone(), shard.clone()));
            if !has_begun && !drops_holds() {
                let _ = self.holds.insert((child.clone(), Some(shard.clone())), *at);
            }
        }
        self.rise();
    }

    /// A worker has begun `shard`, which follows `parents`, and its mark, with this shard in it, is `mark`: it may be less
    /// than before. The shard's holds end, those of `parents` that are still to come included.
    ///
    /// `parents` are those that were or will be drained in this run, and no other: their pairs are remembered until they
    /// are done.
    pub fn on_begun(&mut self, worker: usize, shard: &ShardName, parents: &[ShardName], mark: WorkerMark) {
        self.workers[worker] = mark;
        for parent in parents {
            if !self.holds.contains_key(&(shard.clone(), Some(parent.clone()))) {
                let _ = self.overtaken.insert((shard.clone(), parent.clone()));
            }
        }
        self.holds.retain(|(held, _), _| held != shard);
        self.rise();
    }

    /// No further record before this time is expected by this owner. Never falls; [`EventTime::MIN`] until something is
    /// known. With neither marks nor holds it stays where it was. O(1).
    pub fn current(&self) -> EventTime {
        self.highest
    }

    /// What is at the minimum; `None` if there are neither marks nor holds. The minimum itself may be less than
    /// [`OwnerWatermark::current`], when a shard was begun that lags.
    pub fn holder(&self) -> Option<Holder> {
        let workers = self.marks().map(|(worker, at)| (at, Holder::Worker(worker)));
        let holds = self.holds.iter().map(|((shard, parent), at)| {
            let (shard, parent) = (shard.clone(), parent.clone());
            (*at, Holder::Unread { shard, parent })
        });
        workers.chain(holds).min_by_key(|(at, _)| *at).map(|(_, holder)| holder)
    }

    /// How many holds and overtaken pairs there are: none, once every shard has begun and every parent is done.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.holds.len() + self.overtaken.len()
    }

    fn marks(&self) -> impl Iterator<Item = (usize, EventTime)> {
        self.workers.iter().enumerate().filter_map(|(worker, mark)| match mark {
            WorkerMark::Absent => None,
            WorkerMark::At(at) => Some((worker, *at)),
        })
    }

    /// Lifts the watermark to the minimum of now. O(workers + holds), once a message.
    fn rise(&mut self) {
        let minimum = self.marks().map(|(_, at)| at).chain(self.holds.values().copied()).min();
        self.highest = minimum.map_or(self.highest, |minimum| minimum.max(self.highest));
    }
}

/// Whether holds are forgotten, a bug that a simulator plants to show that it finds it.
fn drops_holds() -> bool {
    #[cfg(feature = "sabotage")]
    return crate::sabotage::is_planted(crate::sabotage::Sabotage::DropHold);
    #[cfg(not(feature = "sabotage"))]
    false
}

/// Whether a child's hold ends before the child is read, another such bug.
fn releases_holds() -> bool {
    #[cfg(feature = "sabotage")]
    return crate::sabotage::is_planted(crate::sabotage::Sabotage::HoldUnacknowledged);
    #[cfg(not(feature = "sabotage"))]
    false
}
