//! A shard's place among the others: its name and what it came from.

use std::sync::Arc;

/// A shard as a listing or the last answer of its parent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// The shard id, `shardId-000000000007`.
    pub id: Arc<str>,
    /// None for an original shard, one after a split, two after a merge.
    pub parents: Vec<Arc<str>>,
}

impl ShardInfo {
    /// Whether it came from `shard`, alone or with another.
    pub fn is_child_of(&self, shard: &str) -> bool {
        self.parents.iter().any(|parent| &**parent == shard)
    }
}
