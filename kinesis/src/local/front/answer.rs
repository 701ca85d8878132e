//! Parts that several answers share.

use super::value::{Map, Value};
use crate::local::model::{ChildShard, HashKeyRange, Placed, ShardDescription, ShardId, StreamMode, StreamSummary};

/// What every description of a stream says.
pub fn stream(summary: StreamSummary) -> Map {
    let metrics = Map::new().with("ShardLevelMetrics", summary.shard_metrics);
    let encryption = if summary.key_id.is_some() { "KMS" } else { "NONE" };
    Map::new()
        .with("StreamName", summary.name)
        .with("StreamARN", summary.arn)
        .with("StreamStatus", summary.status.name())
        .with("StreamModeDetails", stream_mode(summary.mode))
        .with("RetentionPeriodHours", summary.retention_hours)
        .with("StreamCreationTimestamp", Value::Time(summary.created_ms))
        .with("EnhancedMonitoring", vec![metrics])
        .with("EncryptionType", encryption)
        .with_some("KeyId", summary.key_id)
}

pub fn stream_mode(mode: StreamMode) -> Map {
    Map::new().with("StreamMode", mode.name())
}

pub fn shards(shards: &[ShardDescription]) -> Vec<Map> {
    shards.iter().map(shard).collect()
}

fn shard(shard: &ShardDescription) -> Map {
    let numbers = Map::new()
        .with("StartingSequenceNumber", shard.first_sequence.to_string())
        .with_some("EndingSequenceNumber", shard.last_sequence.map(|number| number.to_string()));
    let id = |id: ShardId| id.to_string();
    Map::new()
        .with("ShardId", id(shard.id))
        .with_some("ParentShardId", shard.parent.map(id))
        .with_some("AdjacentParentShardId", shard.adjacent_parent.map(id))
        .with("HashKeyRange", range(shard.range))
        .with("SequenceNumberRange", numbers)
}

pub fn child_shard(child: ChildShard) -> Map {
    let parents: Vec<String> = child.parents.iter().map(ToString::to_string).collect();
    Map::new()
        .with("ShardId", child.id.to_string())
        .with("ParentShards", parents)
        .with("HashKeyRange", range(child.range))
}

fn range(range: HashKeyRange) -> Map {
    Map::new().with("StartingHashKey", range.first.to_string()).with("EndingHashKey", range.last.to_string())
}

pub fn placed(placed: Placed) -> Map {
    Map::new().with("ShardId", placed.shard.to_string()).with("SequenceNumber", placed.sequence.to_string())
}
