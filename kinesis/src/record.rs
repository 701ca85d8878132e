//! Records as they come from a stream: a batch in two flat buffers, and handles into it.
//!
//! A `GetRecords` answer becomes one [`RecordBatch`]: text (partition keys and sequence numbers) in one buffer, data in
//! another, and a row of offsets for each record. A [`Record`] is a counted reference to its batch and an index: passing
//! it on, filtering it and reading its key allocate nothing. The price: one record kept keeps its whole batch, and the
//! batch's share of the memory budget with it. [`Record::to_owned`] is for keeping one.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use weir_window::EventTime;

/// What one `GetRecords` answer held, in the order of the shard. `Send`, so that it may be decoded anywhere.
pub struct RecordBatch {
    shard: Arc<str>,
    /// Each record's partition key followed by its sequence number.
    text: String,
    data: Vec<u8>,
    rows: Vec<Row>,
    /// Held until the last record is gone; a charge on the memory budget.
    guard: Option<Box<dyn Any + Send>>,
}

/// Where a record's parts end; they begin where the row before it ends.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    key_end: u32,
    sequence_end: u32,
    data_end: u32,
    arrival_ms: i64,
}

impl RecordBatch {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory held, counted by capacity: what a budget should be charged.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.data.capacity() + self.rows.capacity() * size_of::<Row>()
    }

    /// Bytes of keys and data: what the service counts.
    pub fn payload_bytes(&self) -> usize {
        let keys: usize = (0..self.len()).map(|index| self.key_range(index).len()).sum();
        keys + self.data.len()
    }

    /// The shard it was read from; empty until [`attribute`](Self::attribute) said so.
    pub fn shard(&self) -> &str {
        &self.shard
    }

    /// Says which shard it was read from.
    pub fn attribute(&mut self, shard: Arc<str>) {
        self.shard = shard;
    }

    /// Keeps `guard` for as long as any record of this batch lives; replaces one given before.
    pub fn hold(&mut self, guard: Box<dyn Any + Send>) {
        self.guard = Some(guard);
    }

    /// Partition key of record `index`; empty if the stream places records without keys. Panics if there is no such record.
    pub fn partition_key(&self, index: usize) -> &str {
        &self.text[self.key_range(index)]
    }

    /// Data of record `index`. Panics if there is no such record.
    pub fn data(&self, index: usize) -> &[u8] {
        &self.data[self.before(index).data_end as usize..self.rows[index].data_end as usize]
    }

    /// Sequence number of record `index`, in decimal. Panics if there is no such record.
    pub fn sequence(&self, index: usize) -> &str {
        let row = self.rows[index];
        &self.text[row.key_end as usize..row.sequence_end as usize]
    }

    /// Arrival time of record `index` as the service stamped it, in ms since 1970. Panics if there is no such record.
    pub fn arrival_ms(&self, index: usize) -> i64 {
        self.rows[index].arrival_ms
    }

    /// A handle to record `index`. Panics if there is no such record. Allocates nothing.
    pub fn record(self: &Rc<Self>, index: u32) -> Record {
        assert!((index as usize) < self.len(), "record {index} of a batch of {}", self.len());
        Record { batch: Rc::clone(self), index }
    }

    /// Handles to the records in `range`, in order. Panics if the range is not within `0..len()`.
    pub fn records(self: &Rc<Self>, range: Range<usize>) -> impl Iterator<Item = Record> + use<> {
        assert!(range.end <= self.len(), "records {range:?} of a batch of {}", self.len());
        let batch = Rc::clone(self);
        range.map(move |index| Record {
            batch: Rc::clone(&batch),
            index: u32::try_from(index).expect("the builder admits at most u32::MAX records"),
        })
    }

    fn key_range(&self, index: usize) -> Range<usize> {
        self.before(index).sequence_end as usize..self.rows[index].key_end as usize
    }

    fn before(&self, index: usize) -> Row {
        match index {
            0 => Row::default(),
            _ => self.rows[index - 1],
        }
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch")
            .field("shard", &self.shard)
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// One record: a handle to its batch. Cloning it counts one reference up and copies nothing.
#[derive(Clone)]
pub struct Record {
    batch: Rc<RecordBatch>,
    index: u32,
}

impl Record {
    /// Partition key, 1 to 256 characters; empty if the stream places records without keys.
    #[inline]
    pub fn partition_key(&self) -> &str {
        self.batch.partition_key(self.index as usize)
    }

    /// The data as the producer gave it.
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.batch.data(self.index as usize)
    }

    /// Sequence number in decimal, up to 129 digits; rises within a shard, compare with
    /// [`SequenceNumber`](crate::protocol::id::SequenceNumber).
    #[inline]
    pub fn sequence(&self) -> &str {
        self.batch.sequence(self.index as usize)
    }

    /// When the service says it arrived, in ms since 1970. May fall by a little within a shard.
    #[inline]
    pub fn arrival_ms(&self) -> i64 {
        self.batch.arrival_ms(self.index as usize)
    }

    /// [`arrival_ms`](Self::arrival_ms) as event time.
    #[inline]
    pub fn arrival(&self) -> EventTime {
        EventTime::from_millis(self.arrival_ms())
    }

    /// The shard it was read from.
    #[inline]
    pub fn shard(&self) -> &str {
        self.batch.shard()
    }

    /// A copy that holds nothing but itself. Allocates.
    pub fn to_owned(&self) -> OwnedRecord {
        OwnedRecord {
            shard: Arc::clone(&self.batch.shard),
            partition_key: self.partition_key().to_owned(),
            data: self.data().to_owned(),
            sequence: self.sequence().to_owned(),
            arrival_ms: self.arrival_ms(),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("shard", &self.shard())
            .field("sequence", &self.sequence())
            .field("partition_key", &self.partition_key())
            .field("data_bytes", &self.data().len())
            .field("arrival_ms", &self.arrival_ms())
            .finish()
    }
}

/// A record on its own, free of any batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The shard it was read from.
    pub shard: Arc<str>,
    /// Partition key; empty if the stream places records without keys.
    pub partition_key: String,
    /// The data as the producer gave it.
    pub data: Vec<u8>,
    /// Sequence number in decimal.
    pub sequence: String,
    /// When the service says it arrived, in ms since 1970.
    pub arrival_ms: i64,
}

/// Fills a [`RecordBatch`], record by record, in the order of the shard.
#[derive(Default)]
pub struct RecordBatchBuilder {
    text: String,
    data: Vec<u8>,
    rows: Vec<Row>,
}

/// Why a record was not taken into a batch. The batch is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The data was not base64 with padding.
    #[error("record data is not base64")]
    NotBase64,
    /// Offsets are 32 bits wide; the service sends at most 10 MiB an answer.
    #[error("a batch of records would exceed 4 GiB")]
    TooLarge,
}

impl RecordBatchBuilder {
    /// An empty one.
    pub fn new() -> RecordBatchBuilder {
        RecordBatchBuilder::default()
    }

    /// An empty one with room for `records` that hold `text_bytes` of keys and sequence numbers and `data_bytes` of data.
    pub fn with_capacity(records: usize, text_bytes: usize, data_bytes: usize) -> RecordBatchBuilder {
        RecordBatchBuilder {
            text: String::with_capacity(text_bytes),
            data: Vec::with_capacity(data_bytes),
            rows: Vec::with_capacity(records),
        }
    }

    /// Takes one record; `key` is empty if it has none.
    pub fn push(&mut self, key: &str, data: &[u8], sequence: &str, arrival_ms: i64) -> Result<(), PushError> {
        let begun = self.data.len();
        self.data.extend_from_slice(data);
        self.close_row(begun, key, sequence, arrival_ms)
    }

    /// Takes one record whose data is base64 (standard alphabet, padded), decoded straight into the batch.
    pub fn push_base64(&mut self, key: &str, base64: &[u8], sequence: &str, arrival_ms: i64) -> Result<(), PushError> {
        let begun = self.data.len();
        if base64_simd::STANDARD.decode_append(base64, &mut self.data).is_err() {
            self.data.truncate(begun);
            return Err(PushError::NotBase64);
        }
        self.close_row(begun, key, sequence, arrival_ms)
    }

    /// Number of records taken.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none was taken yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The batch, not yet attributed to a shard.
    pub fn finish(self) -> RecordBatch {
        RecordBatch { shard: Arc::from(""), text: self.text, data: self.data, rows: self.rows, guard: None }
    }

    fn close_row(&mut self, data_begun: usize, key: &str, sequence: &str, arrival_ms: i64) -> Result<(), PushError> {
        let text_begun = self.text.len();
        let end = |bytes: usize| u32::try_from(bytes).map_err(|_| PushError::TooLarge);
        let row = (|| {
            Ok(Row {
                key_end: end(text_begun + key.len())?,
                sequence_end: end(text_begun + key.len() + sequence.len())?,
                data_end: end(self.data.len())?,
                arrival_ms,
            })
        })()
        .inspect_err(|_| self.data.truncate(data_begun))?;
        self.text.push_str(key);
        self.text.push_str(sequence);
        self.rows.push(row);
        Ok(())
    }
}

impl fmt::Debug for RecordBatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatchBuilder").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> RecordBatch {
        let mut builder = RecordBatchBuilder::new();
        builder.push("3", b"tweet-0042", "495001", 1_700).unwrap();
        builder.push("", b"", "495002", 1_699).unwrap();
        builder.push_base64("schlüssel", b"dHdlZXQ=", "495003", -5).unwrap();
        let mut batch = builder.finish();
        batch.attribute(Arc::from("shardId-000000000000"));
        batch
    }

    #[test]
    fn each_record_shows_its_own_parts() {
        let batch = Rc::new(batch());
        let records: Vec<Record> = batch.records(0..3).collect();
        let seen: Vec<_> =
            records.iter().map(|r| (r.partition_key(), r.data(), r.sequence(), r.arrival_ms())).collect();
        assert_eq!(
            seen,
            [
                ("3", &b"tweet-0042"[..], "495001", 1_700),
                ("", &b""[..], "495002", 1_699),
                ("schlüssel", &b"tweet"[..], "495003", -5),
            ]
        );
        assert_eq!(records[2].shard(), "shardId-000000000000");
        assert_eq!(batch.payload_bytes(), 1 + 10 + 10 + 5);
    }

    #[test]
    fn bad_base64_is_refused_and_leaves_the_batch_as_it_was() {
        let mut builder = RecordBatchBuilder::new();
        builder.push_base64("a", b"dHdlZXQ=", "1", 0).unwrap();
        assert_eq!(builder.push_base64("b", b"dHdlZ!Q=", "2", 0), Err(PushError::NotBase64));
        builder.push("c", b"x", "3", 0).unwrap();
        let batch = builder.finish();
        assert_eq!(
            (batch.len(), batch.data(0), batch.partition_key(1), batch.data(1)),
            (2, &b"tweet"[..], "c", &b"x"[..])
        );
    }

    #[test]
    fn guard_is_released_with_the_last_record() {
        let guard = Arc::new(());
        let mut batch = batch();
        batch.hold(Box::new(Arc::clone(&guard)));
        let batch = Rc::new(batch);
        let kept = batch.records(1..2).next().unwrap();
        drop(batch);
        assert_eq!(Arc::strong_count(&guard), 2, "one record keeps its batch");
        let owned = kept.to_owned();
        drop(kept);
        assert_eq!(Arc::strong_count(&guard), 1, "an owned record keeps nothing");
        assert_eq!(owned.sequence, "495002");
    }

    #[test]
    fn a_batch_may_be_sent_to_another_thread() {
        fn send<T: Send>(_: &T) {}
        send(&batch());
    }
}
