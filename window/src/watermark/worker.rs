//! The watermark of one shard, and of one worker: the minimum over its shards.

use std::collections::BTreeMap;

use super::ShardName;
use crate::time::{EventTime, TimeSpan};

/// What one shard has promised so far. It never falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardWatermark {
    lag: TimeSpan,
    at: EventTime,
}

impl ShardWatermark {
    /// A shard whose records may be up to `lag` out of order, attached at `at`.
    pub fn new(lag: TimeSpan, at: EventTime) -> Self {
        Self { lag, at }
    }

    /// Everything up to a batch whose highest event time is `highest` has been folded.
    pub fn on_folded(&mut self, highest: EventTime) {
        self.at = self.at.max(highest.saturating_sub(self.lag));
    }

    /// The shard was caught up at `evidence` (its margin already taken off), and all that was fetched before has been
    /// folded.
    pub fn on_evidence(&mut self, evidence: EventTime) {
        self.at = self.at.max(evidence.saturating_sub(self.lag));
    }

    /// Nothing more will come, of this shard or of any that follows it.
    pub fn end(&mut self) {
        self.at = EventTime::MAX;
    }

    /// No further record of this shard before this time is expected.
    pub fn current(&self) -> EventTime {
        self.at
    }
}

/// What a worker tells the owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMark {
    /// It has no shard, and is not in the minimum.
    Absent,
    /// No further record from it before this time is expected.
    At(EventTime),
}

/// The minimum over the shards that one worker reads.
#[derive(Clone, Debug, Default)]
pub struct WorkerWatermark {
    shards: BTreeMap<ShardName, ShardWatermark>,
}

impl WorkerWatermark {
    /// A worker without shards.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins `shard`; a shard that is attached already starts anew.
    pub fn attach(&mut self, shard: ShardName, watermark: ShardWatermark) {
        let _ = self.shards.insert(shard, watermark);
    }

    /// The watermark of a shard that is attached.
    pub fn shard_mut(&mut self, shard: &str) -> Option<&mut ShardWatermark> {
        self.shards.get_mut(shard)
    }

    /// Ends the part of `shard`, and gives its last watermark.
    pub fn detach(&mut self, shard: &str) -> Option<ShardWatermark> {
        self.shards.remove(shard)
    }

    /// The minimum. O(shards): once per batch, not per record.
    pub fn mark(&self) -> WorkerMark {
        self.shards.values().map(ShardWatermark::current).min().map_or(WorkerMark::Absent, WorkerMark::At)
    }

    /// The shard at the minimum, for people; the first by name if there are several.
    pub fn holder(&self) -> Option<&ShardName> {
        self.shards.iter().min_by_key(|(_, watermark)| watermark.current()).map(|(shard, _)| shard)
    }
}
