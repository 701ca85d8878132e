//! The service as a plain value: streams, shards, records, and every rule about them.
//!
//! Pure: each call takes the time in ms since the epoch, the only randomness is a generator seeded by the settings, and
//! nothing waits. The same calls with the same times give the same answers. Time never goes back in here: a call with an
//! earlier time than one before it is taken as if at that one. Arrival stamps do not fall either, unless the settings let
//! them follow a clock that steps back.
//!
//! Not modelled yet: pushing to consumers, resource policies, calls a second of the control plane, growth and warm
//! throughput of on-demand streams, channels and queues. Encryption is noted,
//! and said of records, and nothing is encrypted; monitoring is noted. DELETING streams refuse
//! reads and writes at once, which the service may do later. A SequenceNumberForOrdering is looked at but never changes
//! anything.

mod attributes;
mod consumers;
mod context;
mod error;
mod hash_key;
mod journal;
mod lifecycle;
mod list;
mod memory;
mod put;
mod read;
mod reshard;
mod retention;
mod sequence;
mod settings;
mod shard;
mod shards;
mod stream;
mod tags;
mod throughput;
mod token;
mod validation;

use std::collections::BTreeMap;

pub use attributes::{Limits, MonitoringChange, SHARD_METRICS};
pub use consumers::{ConsumerDescription, ConsumerName, ConsumerStatus, ListConsumersAnswer};
pub use error::{ErrorCode, ModelError};
pub use hash_key::{HashKeyRange, even_range, hash_key_of};
pub use journal::{PutEntryHead, beginning_entries, put_entry_head};
pub use lifecycle::CreateStreamRequest;
pub use list::{
    ListShardsAnswer, ListShardsRequest, ListStreamsAnswer, ListStreamsRequest, ShardFilter, StreamDescription,
    StreamSummary,
};
pub use put::{Placed, PutAnswer, PutEntry, PutFailure, PutThrottle, RECORDS_MAX};
pub use read::{ChildShard, GetRecordsAnswer, IteratorPosition, RecordView, Records};
pub use reshard::ShardCountUpdate;
pub use sequence::{NotASequenceNumber, SEQUENCE_DIGITS, SequenceNumber};
pub use settings::{ModelSettings, ShardEnd};
pub use shard::{ShardDescription, ShardId};
pub use stream::{Distribution, StreamMode, StreamStatus};
pub use tags::{Tags, TagsPage};
pub use validation::{PARTITION_KEY_CHARS_MAX, Violations};

use context::{Context, invalid, shard_limit_exceeded, take_arn_apart};
use journal::Journal;
use stream::Stream;

/// One account's streams in one region. See the module's head.
#[derive(Debug)]
pub struct Model {
    settings: ModelSettings,
    rng: fastrand::Rng,
    /// What tokens are checked by: outlives the process if what is here does.
    token_seed: u64,
    /// The latest time any call has told.
    now_ms: i64,
    /// The time that the present call has told.
    told_ms: i64,
    generations: u64,
    streams: BTreeMap<Box<str>, Stream>,
    /// What is to happen to the records of the next put call, and what did to those of the last.
    put_throttle: Option<PutThrottle>,
    throttled_puts: u64,
    /// Not less than what records take, as counted last and added to since.
    held_bytes_at_most: u64,
    trimmed_for_memory: u64,
    /// What has changed, if that is to be noted.
    journal: Option<Journal>,
}

impl Model {
    /// An account without streams.
    pub fn new(settings: ModelSettings) -> Model {
        let seed = settings.seed();
        Model {
            settings,
            rng: fastrand::Rng::with_seed(seed),
            token_seed: seed,
            now_ms: i64::MIN,
            told_ms: i64::MIN,
            generations: 0,
            streams: BTreeMap::new(),
            put_throttle: None,
            throttled_puts: 0,
            held_bytes_at_most: 0,
            trimmed_for_memory: 0,
            journal: None,
        }
    }

    /// What the model was made with.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// The name that a call means by StreamName, StreamARN or both.
    ///
    /// # Errors
    /// `ValidationException` for a malformed ARN; `InvalidArgumentException` if neither is given or they differ;
    /// `ResourceNotFoundException` for an ARN of another account.
    pub fn stream_name<'a>(&self, name: Option<&'a str>, arn: Option<&'a str>) -> Result<&'a str, ModelError> {
        let Some(arn) = arn else {
            return name.ok_or_else(|| invalid("Either StreamName or StreamARN must be given."));
        };
        let Some((region, account, by_arn)) = take_arn_apart(arn) else {
            let mut violations = Violations::new();
            violations.stream_arn("streamARN", arn);
            return Err(violations.finish().expect_err("one violation"));
        };
        if account != self.settings.account || region != self.settings.region {
            return Err(Context { account }.no_stream(by_arn));
        }
        match name {
            Some(name) if name != by_arn => {
                Err(invalid(format!("StreamName {name} and StreamARN {arn} do not name the same stream.")))
            }
            _ => Ok(by_arn),
        }
    }

    /// The ARN of a stream of this name, there or not.
    pub fn stream_arn(&self, stream: &str) -> String {
        format!("arn:aws:kinesis:{}:{}:stream/{stream}", self.settings.region, self.settings.account)
    }

    /// Records a stream has ever taken, 0 if there is no such stream. O(1).
    pub fn record_count(&self, stream: &str) -> u64 {
        self.streams.get(stream).map_or(0, |stream| stream.records_taken)
    }

    /// Everything a stream still holds, shard by shard, each in order. For oracles: no state or limit is looked at.
    pub fn all_records(&self, stream: &str) -> impl Iterator<Item = (ShardId, RecordView<'_>)> {
        let shards = self
            .streams
            .get(stream)
            .into_iter()
            .flat_map(|stream| stream.shards.all().iter().map(move |shard| (stream, shard)));
        shards.flat_map(|(stream, shard)| Records::whole(stream, shard).map(|record| (shard.id, record)))
    }

    /// Takes note of the time and does what is due by then: resharding, and forgetting of what is too old.
    fn advance(&mut self, now_ms: i64) -> i64 {
        self.told_ms = now_ms;
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        let mut journal = self.journal.as_mut();
        self.streams.retain(|_, stream| {
            let stays = stream.gone_at_ms.is_none_or(|gone_at_ms| now_ms < gone_at_ms);
            if let Some(journal) = journal.as_mut().filter(|_| !stays) {
                journal.gone(now_ms, stream);
            }
            stays
        });
        let round_ms = self.settings.update_delay_ms;
        for stream in self.streams.values_mut() {
            let was_reshaping = stream.reshaping.as_ref().is_some_and(|reshaping| reshaping.due_ms <= now_ms);
            let changed_ms = stream.reshape(now_ms, round_ms);
            let shards = stream.shards.all().len();
            stream.shards.forget_closed_before(stream.horizon_ms(now_ms));
            let consumers = stream.consumers.len();
            stream.consumers.retain(|_, consumer| consumer.gone_at_ms.is_none_or(|gone_at_ms| now_ms < gone_at_ms));
            self.now_ms = self.now_ms.max(changed_ms.unwrap_or(now_ms));
            let has_changed =
                was_reshaping || stream.shards.all().len() != shards || stream.consumers.len() != consumers;
            if let Some(journal) = journal.as_mut().filter(|_| has_changed) {
                journal.changed(&stream.name);
            }
        }
        self.now_ms
    }

    fn open_shard_count(&self) -> usize {
        self.streams.values().map(|stream| stream.shards.open_count()).sum()
    }

    /// The stream, to change anything of it but its records.
    fn stream_mut(&mut self, name: &str) -> Result<(&mut Stream, Context<'_>), ModelError> {
        self.journal.iter_mut().for_each(|journal| journal.changed(name));
        self.look_up(name)
    }

    /// The stream, to look at it, or for its records: what becomes of those is noted elsewhere.
    fn look_up(&mut self, name: &str) -> Result<(&mut Stream, Context<'_>), ModelError> {
        let mut violations = Violations::new();
        violations.name("streamName", name);
        violations.finish()?;
        let cx = Context { account: &self.settings.account };
        match self.streams.get_mut(name) {
            Some(stream) => Ok((stream, cx)),
            None => Err(cx.no_stream(name)),
        }
    }
}

#[cfg(test)]
pub(super) mod histories;
#[cfg(test)]
mod tests;
