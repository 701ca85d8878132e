//! One shard: its place in the hash key space, its ancestors, and its records in order.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::hash_key::HashKeyRange;
use super::sequence::{INDEX_MAX, SEQUENCE_DIGITS, SequenceNumber};
use super::throughput::Throughput;

/// A shard's number within its stream; shown as `shardId-` and twelve digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct ShardId(u32);

impl TryFrom<u32> for ShardId {
    type Error = String;

    fn try_from(number: u32) -> Result<ShardId, String> {
        ShardId::from_number(number).ok_or_else(|| format!("{number} is no shard's number: it has 31 bits"))
    }
}

impl ShardId {
    /// Greatest number the service accepts in a shard's id.
    pub const NUMBER_MAX: u32 = i32::MAX as u32;

    /// The shard of this number.
    ///
    /// # Panics
    /// Above [`ShardId::NUMBER_MAX`].
    pub const fn new(number: u32) -> ShardId {
        assert!(number <= ShardId::NUMBER_MAX, "a shard's number has 31 bits");
        ShardId(number)
    }

    /// The shard of this number, if a shard can have it.
    pub(super) fn from_number(number: u32) -> Option<ShardId> {
        (number <= ShardId::NUMBER_MAX).then_some(ShardId(number))
    }

    /// The number, counted from 0 over the stream's life.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// What the service makes of a shard's id: the number behind the first `-`, or all of it. `None` where the service
    /// could not find a number.
    pub fn parse(text: &str) -> Option<ShardId> {
        let number = text.split('-').nth(1).unwrap_or(text);
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        ShardId::from_number(plain.then(|| number.parse().ok())??)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardId-{:012}", self.0)
    }
}

/// A record as it is kept: 128 bytes beside its key and data, which are stored once.
///
/// Of a record's encoded form only the digits of its number are kept, 56 of these bytes: both encodings need them, and
/// they are what costs most to make. With them a page of 100-byte records is written in some 60 ns a record; keeping
/// the whole JSON would take 240 more bytes a record to save some 50 of those (`bench/benches/local.rs`).
#[derive(Debug)]
pub(super) struct StoredRecord {
    /// Rises over the stream; what orders a shard's sequence numbers.
    pub index: u64,
    /// The sequence number as readers are told it.
    pub digits: [u8; SEQUENCE_DIGITS],
    /// When it was taken; never falls.
    pub arrival_ms: i64,
    /// When it was taken as readers are told it: the same unless stamps may fall.
    pub stamp_ms: i64,
    pub partition_key: Box<str>,
    pub data: Bytes,
}

impl StoredRecord {
    /// Bytes as the limits count them: key and data.
    pub fn bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

/// When a shard stopped taking records.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Closed {
    pub at_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shard {
    pub id: ShardId,
    pub range: HashKeyRange,
    /// None for the shards a stream begins with, one after a split, two after a merge.
    pub parents: Vec<ShardId>,
    pub created_ms: i64,
    /// What its sequence numbers begin with; greater than its parents'.
    pub created_s: u64,
    pub closed: Option<Closed>,
    #[serde(skip, default = "Throughput::new")]
    pub throughput: Throughput,
    /// Memory that the records take, about.
    #[serde(skip)]
    pub held_bytes: u64,
    /// Rising by index. Trimmed at the front.
    #[serde(skip)]
    pub records: VecDeque<StoredRecord>,
}

impl Shard {
    /// An open shard whose numbers begin with the second of `created_ms`, or a later one if `created_s_min` says so.
    pub fn new(id: ShardId, range: HashKeyRange, parents: Vec<ShardId>, created_ms: i64, created_s_min: u64) -> Shard {
        let created_s = seconds(created_ms).max(created_s_min);
        Shard {
            id,
            range,
            parents,
            created_ms,
            created_s,
            closed: None,
            throughput: Throughput::new(),
            held_bytes: 0,
            records: VecDeque::new(),
        }
    }

    pub fn sequence(&self, index: u64, time_ms: i64) -> SequenceNumber {
        SequenceNumber::new(self.id, self.created_s, index, seconds(time_ms))
    }

    pub fn first_sequence(&self) -> SequenceNumber {
        SequenceNumber::new(self.id, self.created_s, 0, self.created_s)
    }

    pub fn last_sequence(&self) -> Option<SequenceNumber> {
        self.closed.map(|closed| self.sequence(INDEX_MAX, closed.at_ms))
    }

    /// Forgets records that came before `horizon_ms`. O(records forgotten).
    pub fn trim(&mut self, horizon_ms: i64) {
        let mut trimmed = false;
        while let Some(record) = self.records.pop_front_if(|record| record.arrival_ms < horizon_ms) {
            self.held_bytes -= held_bytes(&record);
            trimmed = true;
        }
        // A queue keeps the room that it once had; half of it unused is enough.
        if trimmed && self.records.capacity() / 4 > self.records.len() {
            self.records.shrink_to(self.records.len() * 2);
        }
    }

    /// Takes a record behind all others.
    pub fn push(&mut self, record: StoredRecord) {
        self.held_bytes += held_bytes(&record);
        self.records.push_back(record);
    }

    /// Where the first record stands that lies at or behind the index and came at or after the time. O(log n).
    pub fn position(&self, index: u64, since_ms: i64) -> usize {
        self.records.partition_point(|record| record.index < index || record.arrival_ms < since_ms)
    }

    pub fn describe(&self) -> ShardDescription {
        ShardDescription {
            id: self.id,
            parent: self.parents.first().copied(),
            adjacent_parent: self.parents.get(1).copied(),
            range: self.range,
            first_sequence: self.first_sequence(),
            last_sequence: self.last_sequence(),
        }
    }
}

fn held_bytes(record: &StoredRecord) -> u64 {
    u64::try_from(record.held_bytes()).expect("memory has less than 2^64 bytes")
}

/// Whole seconds since the epoch, 0 before it: what fits a sequence number.
fn seconds(time_ms: i64) -> u64 {
    u64::try_from(time_ms.div_euclid(1_000)).unwrap_or(0)
}

/// What the listing calls say of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDescription {
    /// The shard.
    pub id: ShardId,
    /// The shard it was split from, or the one of two that were merged.
    pub parent: Option<ShardId>,
    /// The other of two that were merged.
    pub adjacent_parent: Option<ShardId>,
    /// The hash keys whose records it takes.
    pub range: HashKeyRange,
    /// Where its sequence numbers begin.
    pub first_sequence: SequenceNumber,
    /// Where they ended; `None` while the shard is open.
    pub last_sequence: Option<SequenceNumber>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_id_is_read_as_leniently_as_the_service_reads_it() {
        for (text, number) in [
            ("shardId-000000000007", Some(7)),
            ("shardId-7", Some(7)),
            ("7", Some(7)),
            ("-7", Some(7)),
            ("shardId-2147483647", Some(ShardId::NUMBER_MAX)),
            ("shardId-2147483648", None),
            ("shardId-", None),
            ("first", None),
            ("2.14E4", None),
            ("", None),
        ] {
            assert_eq!(ShardId::parse(text).map(ShardId::number), number, "{text}");
        }
        assert_eq!(ShardId::new(12).to_string(), "shardId-000000000012");
    }
}
