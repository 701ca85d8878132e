//! What a model notes of its changes, as bytes, for whoever keeps them: applied in order they make an equal model again.
//!
//! An entry says what has become, not what was asked for, so that a later version of these rules reads it as it was meant:
//! a stream with its shards and settings but without records, a stream that is gone, the records that one call put. A
//! log may begin anywhere with [`Model::beginning`]: who the model is and which streams there are, then each of them.
//!
//! Not noted: what a shard has had of its limits this second, and anything that only a reader did.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::shard::{ShardId, StoredRecord};
use super::stream::Stream;
use super::{Model, ModelSettings};

// The first byte of an entry. JSON follows, but for records: they are many.
const BEGINNING: u8 = 1;
const STREAM: u8 = 2;
const GONE: u8 = 3;
/// Then, integers in little-endian: generation u64, arrival i64, stamp i64, and for each record shard u32, index u64,
/// bytes of its key u32, of its data u32, key, data.
const PUT: u8 = 4;

#[derive(Debug, Serialize, Deserialize)]
struct Beginning {
    account: String,
    region: String,
    token_seed: u64,
    now_ms: i64,
    generations: u64,
    /// The generations of all streams there are; each follows.
    streams: Vec<u64>,
}

#[derive(Serialize)]
struct ChangedStream<'a> {
    now_ms: i64,
    stream: &'a Stream,
}

#[derive(Deserialize)]
struct WrittenStream {
    now_ms: i64,
    stream: Stream,
}

#[derive(Debug, Serialize, Deserialize)]
struct Gone {
    now_ms: i64,
    generation: u64,
}

/// Changes that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Streams whose present state is to be noted.
    changed: BTreeSet<Box<str>>,
    entries: Vec<Vec<u8>>,
}

impl Journal {
    /// Something of the stream is not as noted, or may not be.
    pub fn changed(&mut self, stream: &str) {
        if !self.changed.contains(stream) {
            self.changed.insert(stream.into());
        }
    }

    pub fn gone(&mut self, now_ms: i64, stream: &Stream) {
        self.changed.remove(&stream.name);
        self.entries.push(json(GONE, &Gone { now_ms, generation: stream.generation }));
    }

    pub fn put(&mut self, note: PutNote) {
        if note.0.len() > PUT_HEAD_BYTES {
            self.entries.push(note.0);
        }
    }
}

/// The records that one call put, on their way into the journal.
pub(super) struct PutNote(Vec<u8>);

const PUT_HEAD_BYTES: usize = 1 + 8 + 8 + 8;

impl PutNote {
    pub fn new(generation: u64, arrival_ms: i64, stamp_ms: i64) -> PutNote {
        let mut entry = vec![PUT];
        entry.extend_from_slice(&generation.to_le_bytes());
        entry.extend_from_slice(&arrival_ms.to_le_bytes());
        entry.extend_from_slice(&stamp_ms.to_le_bytes());
        PutNote(entry)
    }

    pub fn record(&mut self, shard: ShardId, index: u64, partition_key: &str, data: &[u8]) {
        let length = |bytes: usize| u32::try_from(bytes).expect("at most 10 MiB").to_le_bytes();
        self.0.extend_from_slice(&shard.number().to_le_bytes());
        self.0.extend_from_slice(&index.to_le_bytes());
        self.0.extend_from_slice(&length(partition_key.len()));
        self.0.extend_from_slice(&length(data.len()));
        self.0.extend_from_slice(partition_key.as_bytes());
        self.0.extend_from_slice(data);
    }
}

/// What tells of an entry of records whether any of them is still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutEntryHead {
    /// Their stream.
    pub generation: u64,
    /// When all of them came.
    pub arrival_ms: i64,
}

/// Of an entry of records; `None` of any other.
pub fn put_entry_head(entry: &[u8]) -> Option<PutEntryHead> {
    let mut rest = Rest(entry.strip_prefix(&[PUT])?);
    Some(PutEntryHead { generation: rest.number().ok()?, arrival_ms: i64::from_le_bytes(rest.array().ok()?) })
}

/// How many entries a log begins with, by the first of them; `None` if that is another one.
pub fn beginning_entries(first: &[u8]) -> Option<usize> {
    let beginning: Beginning = parse(first.strip_prefix(&[BEGINNING])?).ok()?;
    Some(1 + beginning.streams.len())
}

impl Model {
    /// From now on changes are noted.
    pub fn keep_journal(&mut self) {
        self.journal.get_or_insert_default();
    }

    /// What has changed since this was asked last: entries in their order.
    pub fn take_entries(&mut self) -> Vec<Vec<u8>> {
        self.note_changed();
        self.journal.as_mut().map(|journal| std::mem::take(&mut journal.entries)).unwrap_or_default()
    }

    /// The latest time that any call has told, or any entry that was applied; `i64::MIN` before the first.
    pub fn reached_ms(&self) -> i64 {
        self.now_ms
    }

    /// The entries with which a log begins from which nothing but records is missing.
    pub fn beginning(&self) -> Vec<Vec<u8>> {
        let beginning = Beginning {
            account: self.settings.account.clone(),
            region: self.settings.region.clone(),
            token_seed: self.token_seed,
            now_ms: self.now_ms,
            generations: self.generations,
            streams: self.streams.values().map(|stream| stream.generation).collect(),
        };
        let stream = |stream| json(STREAM, &ChangedStream { now_ms: self.now_ms, stream });
        [json(BEGINNING, &beginning)].into_iter().chain(self.streams.values().map(stream)).collect()
    }

    /// Of each stream its generation and the time before which its records are no longer to be read.
    pub fn horizons(&self) -> impl Iterator<Item = (u64, i64)> {
        self.streams.values().map(|stream| (stream.generation, stream.horizon_ms(self.now_ms)))
    }

    /// Makes of a model what an entry says has become of it. Notes nothing itself.
    ///
    /// # Errors
    /// In words, for an entry that was not written behind those applied before it. The model is then good for nothing.
    pub fn apply(&mut self, entry: &[u8]) -> Result<(), String> {
        match entry.split_first() {
            Some((&BEGINNING, text)) => self.apply_beginning(parse(text)?),
            Some((&STREAM, text)) => {
                self.apply_stream(parse(text)?);
                Ok(())
            }
            Some((&GONE, text)) => {
                let Gone { now_ms, generation } = parse(text)?;
                self.now_ms = self.now_ms.max(now_ms);
                self.streams.retain(|_, stream| stream.generation != generation);
                Ok(())
            }
            Some((&PUT, _)) => self.apply_put(entry),
            Some((kind, _)) => Err(format!("kind {kind} of entry is unknown to this version")),
            None => Err("an empty entry".to_owned()),
        }
    }

    /// Keeps within memory what has been applied.
    pub fn after_applying(&mut self) {
        self.held_bytes_at_most = self.held_bytes();
        self.keep_within_memory(0);
    }

    /// Notes the streams that have changed.
    pub(super) fn note_changed(&mut self) {
        let Model { journal: Some(journal), streams, now_ms, .. } = self else { return };
        for name in std::mem::take(&mut journal.changed) {
            if let Some(stream) = streams.get(&name) {
                journal.entries.push(json(STREAM, &ChangedStream { now_ms: *now_ms, stream }));
            }
        }
    }

    fn apply_beginning(&mut self, beginning: Beginning) -> Result<(), String> {
        let ModelSettings { account, region, .. } = &self.settings;
        if beginning.account != *account || beginning.region != *region {
            return Err(format!(
                "it is of account {} in {}, not of {account} in {region}",
                beginning.account, beginning.region
            ));
        }
        self.token_seed = beginning.token_seed;
        self.now_ms = self.now_ms.max(beginning.now_ms);
        self.generations = self.generations.max(beginning.generations);
        self.streams.retain(|_, stream| beginning.streams.contains(&stream.generation));
        Ok(())
    }

    fn apply_stream(&mut self, WrittenStream { now_ms, mut stream }: WrittenStream) {
        self.now_ms = self.now_ms.max(now_ms);
        self.generations = self.generations.max(stream.generation);
        if let Some(mut before) = self.streams.remove(&stream.name).filter(|of| of.generation == stream.generation) {
            stream.shards.take_records(&mut before.shards);
            stream.shards.trim(stream.floor_ms);
        }
        self.streams.insert(stream.name.clone(), stream);
    }

    fn apply_put(&mut self, entry: &[u8]) -> Result<(), String> {
        let mut rest = Rest(&entry[1..]);
        let generation: u64 = rest.number()?;
        let arrival_ms = i64::from_le_bytes(rest.array()?);
        let stamp_ms = i64::from_le_bytes(rest.array()?);
        let stream = self.streams.values_mut().find(|stream| stream.generation == generation);
        let stream = stream.ok_or_else(|| format!("records of a stream, {generation}, that is not there"))?;
        if arrival_ms < stream.last_arrival_ms {
            return Err(format!("records of {arrival_ms} behind one of {}", stream.last_arrival_ms));
        }
        self.now_ms = self.now_ms.max(arrival_ms);
        stream.last_arrival_ms = arrival_ms;
        // One piece of memory for all data of a call, as when it was put.
        let (mut records, mut all) = (Vec::new(), Vec::with_capacity(rest.0.len()));
        while !rest.0.is_empty() {
            let shard = ShardId::try_from(u32::from_le_bytes(rest.array()?))?;
            let index = rest.number()?;
            let (key_bytes, data_bytes) = (u32::from_le_bytes(rest.array()?), u32::from_le_bytes(rest.array()?));
            let partition_key = std::str::from_utf8(rest.take(key_bytes)?).map_err(|error| error.to_string())?;
            let data = rest.take(data_bytes)?;
            all.extend_from_slice(data);
            records.push((shard, index, partition_key, data.len()));
        }
        all.shrink_to_fit();
        let mut all = Bytes::from(all);
        for (shard, index, partition_key, data_bytes) in records {
            let shard =
                stream.shards.get_mut(shard).ok_or_else(|| format!("a record of {shard}, which is not there"))?;
            if index <= stream.last_index {
                return Err(format!("a record numbered {index} behind one of {}", stream.last_index));
            }
            stream.last_index = index;
            stream.records_taken += 1;
            let digits = shard.sequence(index, arrival_ms).digits();
            let (partition_key, data) = (partition_key.into(), all.split_to(data_bytes));
            shard.push(StoredRecord { index, digits, arrival_ms, stamp_ms, partition_key, data });
        }
        Ok(())
    }
}

fn json<T: Serialize>(kind: u8, value: &T) -> Vec<u8> {
    let mut entry = vec![kind];
    serde_json::to_writer(&mut entry, value).expect("plain values, and memory to write to");
    entry
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// What is left of an entry.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: u32) -> Result<&'a [u8], String> {
        let bytes = usize::try_from(bytes).expect("at least 32 bits");
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or("an entry that is shorter than it says")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("an entry that is shorter than it says")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
