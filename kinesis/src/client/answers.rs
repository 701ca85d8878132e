//! What calls give and take, in plain types: nothing outside `client` names the SDK's.

use std::time::Instant;

use bytes::Bytes;

use crate::record::RecordBatch;

/// When a call was sent and answered, on our clock, and what the service's clock said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTiming {
    /// Just before the request that was answered went out.
    pub sent_at: Instant,
    /// When the head of the answer was here.
    pub received_at: Instant,
    /// The `Date` header in ms since 1970, whole seconds; `None` if there was none to read.
    pub date_ms: Option<i64>,
}

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `CREATING`, `ACTIVE`, `UPDATING` or `DELETING`.
    pub status: String,
    /// How many shards take records.
    pub open_shards: u32,
    /// How long records are kept, in hours.
    pub retention_hours: u32,
    /// When it was created, in ms since 1970.
    pub created_ms: i64,
    /// Longest record, key and data together, in bytes.
    pub max_record_bytes: u64,
    /// Of this answer.
    pub timing: Option<CallTiming>,
}

/// A shard as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDescription {
    /// Its id.
    pub id: String,
    /// What it came from, by a split or merge.
    pub parent: Option<String>,
    /// The other half of a merge.
    pub adjacent_parent: Option<String>,
    /// First hash key of its range.
    pub first_hash: u128,
    /// Last hash key of its range, inclusive.
    pub last_hash: u128,
    /// Where its sequence numbers begin.
    pub first_sequence: String,
    /// Where they end; `None` while it is open.
    pub last_sequence: Option<String>,
}

/// Where an iterator is to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IteratorPosition {
    /// At the oldest record kept.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
    /// At the first record that arrived at that time or later, in ms since 1970.
    AtTimestamp(i64),
    /// At this sequence number.
    AtSequence(String),
    /// Behind this sequence number.
    AfterSequence(String),
}

/// A shard that continues one that is at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildShard {
    /// Its id.
    pub id: String,
    /// One parent after a split, two after a merge.
    pub parents: Vec<String>,
    /// First and last hash key of its range, if said.
    pub hash_range: Option<(u128, u128)>,
}

/// One page of a shard.
#[derive(Debug)]
pub struct GetRecordsAnswer {
    /// The records in the order of the shard; not yet attributed to it.
    pub batch: RecordBatch,
    /// `None` at the end of a closed shard.
    pub next_iterator: Option<String>,
    /// How far the end of this page is behind the tip, in ms.
    pub behind_ms: Option<u64>,
    /// At the end of a closed shard, if the service says them.
    pub children: Vec<ChildShard>,
    /// Of this answer.
    pub timing: CallTiming,
    /// Length of the answer's body.
    pub bytes: usize,
}

/// One record to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutEntry {
    /// Partition key, 1 to 256 characters.
    pub key: String,
    /// Decimal hash key that places the record instead of the key's MD5.
    pub explicit_hash: Option<String>,
    /// The record.
    pub data: Bytes,
}

/// Where a record landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The shard.
    pub shard: String,
    /// Its sequence number there.
    pub sequence: String,
}

/// Why one record of many was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutFailure {
    /// `ProvisionedThroughputExceededException` or `InternalFailure`.
    pub code: String,
    /// The service's words.
    pub message: String,
}

/// What became of each record, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRecordsAnswer {
    /// As many as were put.
    pub entries: Vec<Result<Placed, PutFailure>>,
    /// Of this answer.
    pub timing: Option<CallTiming>,
}
