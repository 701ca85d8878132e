//! The service as a plain value: streams, shards, records, and every rule about them.
//!
//! Pure: each call takes the time in ms since the epoch, the only randomness is a generator seeded by the settings, and
//! nothing waits. The same calls with the same times give the same answers. Time never goes back in here: a call with an
//! earlier time than one before it is taken as if at that one. Arrival stamps do not fall either, unless the settings let
//! them follow a clock that steps back.
//!
//! Not modelled yet: pushing to consumers, resource policies, calls a second of the control plane, growth and warm
//! throughput of on-demand streams, the automatic record distribution strategy, channels and queues. Encryption and
//! monitoring are noted and change nothing: records and put answers do not say an EncryptionType. DELETING streams refuse
//! reads and writes at once, which the service may do later. A SequenceNumberForOrdering is looked at but never changes
//! anything.

mod attributes;
mod consumers;
mod error;
mod hash_key;
mod list;
mod memory;
mod put;
mod read;
mod reshard;
mod retention;
mod sequence;
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
pub use list::{
    ListShardsAnswer, ListShardsRequest, ListStreamsAnswer, ListStreamsRequest, ShardFilter, StreamDescription,
    StreamSummary,
};
pub use put::{Placed, PutAnswer, PutEntry, PutFailure, PutThrottle, RECORDS_MAX};
pub use read::{ChildShard, GetRecordsAnswer, IteratorPosition, RecordView, Records};
pub use reshard::ShardCountUpdate;
pub use sequence::{NotASequenceNumber, SEQUENCE_DIGITS, SequenceNumber};
pub use shard::{ShardDescription, ShardId};
pub use stream::{StreamMode, StreamStatus};
pub use tags::{Tags, TagsPage};
pub use validation::Violations;

use stream::{NewStream, Stream};

/// Streams that may be CREATING at once (API reference, CreateStream).
const CREATING_MAX: usize = 5;
/// Shards an on-demand stream starts with (developer guide, capacity modes).
const ON_DEMAND_SHARDS: u32 = 4;
/// Key and data of one record, in KiB, unless the stream says more (API reference, MaxRecordSizeInKiB).
const RECORD_KIB: i64 = 1_024;
const RECORD_KIB_MAX: i64 = 10_240;

/// What a model is like.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Region in ARNs.
    pub region: String,
    /// Account number in ARNs and messages.
    pub account: String,
    /// Seeds sequence gaps, empty pages and the check in tokens.
    pub seed: u64,
    /// How long a stream stays CREATING, in ms; 0: it is ACTIVE at once.
    pub create_delay_ms: i64,
    /// How long a stream stays DELETING, in ms; 0: it is gone at once.
    pub delete_delay_ms: i64,
    /// How long a split, a merge, and each round of UpdateShardCount takes, in ms; 0: it is done at once.
    pub update_delay_ms: i64,
    /// How a reader learns that a closed shard has ended.
    pub shard_end: ShardEnd,
    /// Shards the account may have.
    pub shard_limit: u32,
    /// A record is to be read so many ms after it was stamped, as with the service; until then a reader is told that it
    /// has caught up. 0: at once.
    pub visible_after_ms: i64,
    /// May a record's stamp be earlier than its predecessor's when the clock has stepped back?
    pub stamps_may_fall: bool,
    /// Memory that records may take; the oldest go when it is reached. `None`: any.
    pub memory_bytes_max: Option<u64>,
    /// Are the limits kept on what a shard takes and gives in a second?
    pub throughput_limits: bool,
    /// One of so many GetRecords calls with records ahead answers none of them, as the service may; 0: never.
    pub empty_page_one_in: u32,
}

impl Default for ModelSettings {
    fn default() -> ModelSettings {
        ModelSettings {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            seed: 0,
            create_delay_ms: 500,
            delete_delay_ms: 500,
            update_delay_ms: 500,
            shard_end: ShardEnd::BySeed,
            shard_limit: 20_000,
            visible_after_ms: 0,
            stamps_may_fall: false,
            memory_bytes_max: None,
            throughput_limits: false,
            empty_page_one_in: 0,
        }
    }
}

/// Where GetRecords says that a closed shard has ended: both are legal, and the service does either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShardEnd {
    /// On the page with its last records.
    WithLastRecords,
    /// On a page of its own, without records, behind that.
    OnExtraPage,
    /// Either, as the settings' seed has it for each shard.
    #[default]
    BySeed,
}

impl ShardEnd {
    fn is_on_extra_page(self, seed: u64, shard: ShardId) -> bool {
        match self {
            ShardEnd::WithLastRecords => false,
            ShardEnd::OnExtraPage => true,
            ShardEnd::BySeed => fastrand::Rng::with_seed(seed ^ u64::from(shard.number()) << 32).bool(),
        }
    }
}

/// What CreateStream is told.
#[derive(Clone, Debug, Default)]
pub struct CreateStreamRequest<'a> {
    /// Name of the stream, 1 to 128 of `[a-zA-Z0-9_.-]`.
    pub stream: &'a str,
    /// Shards to begin with; needed unless on demand.
    pub shard_count: Option<i64>,
    /// Who scales it.
    pub mode: StreamMode,
    /// Key and data of one record, in KiB, 1,024 to 10,240.
    pub record_kib_max: Option<i64>,
    /// Labels.
    pub tags: Option<Tags>,
}

impl<'a> CreateStreamRequest<'a> {
    /// A stream of so many shards.
    pub fn provisioned(stream: &'a str, shard_count: u32) -> CreateStreamRequest<'a> {
        CreateStreamRequest { stream, shard_count: Some(i64::from(shard_count)), ..CreateStreamRequest::default() }
    }
}

/// One account's streams in one region. See the module's head.
#[derive(Debug)]
pub struct Model {
    settings: ModelSettings,
    rng: fastrand::Rng,
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
}

impl Model {
    /// An account without streams.
    pub fn new(settings: ModelSettings) -> Model {
        let rng = fastrand::Rng::with_seed(settings.seed);
        Model {
            settings,
            rng,
            now_ms: i64::MIN,
            told_ms: i64::MIN,
            generations: 0,
            streams: BTreeMap::new(),
            put_throttle: None,
            throttled_puts: 0,
            held_bytes_at_most: 0,
            trimmed_for_memory: 0,
        }
    }

    /// What the model was made with.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// CreateStream: ACTIVE once `create_delay_ms` have passed.
    ///
    /// # Errors
    /// `ValidationException`; `InvalidArgumentException` without a shard count; `ResourceInUseException` if the name is
    /// taken; `LimitExceededException` beyond the shard limit or five streams in creation.
    pub fn create_stream(&mut self, now_ms: i64, request: CreateStreamRequest<'_>) -> Result<(), ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.range("shardCount", request.shard_count, 1, i64::MAX);
        violations.range("maxRecordSizeInKiB", request.record_kib_max, RECORD_KIB, RECORD_KIB_MAX);
        request.tags.iter().for_each(|tags| tags::check_tags(&mut violations, tags));
        violations.name("streamName", request.stream);
        violations.finish()?;

        let Model { settings, streams, .. } = &*self;
        if streams.contains_key(request.stream) {
            let message = format!("Stream {} under account {} already exists.", request.stream, settings.account);
            return Err(ModelError::new(ErrorCode::ResourceInUse, message));
        }
        let shard_count = match (request.mode, request.shard_count) {
            (StreamMode::Provisioned, Some(count)) => count,
            (StreamMode::OnDemand, None) => i64::from(ON_DEMAND_SHARDS),
            (StreamMode::Provisioned, None) => {
                return Err(invalid("ShardCount must be given for a stream in PROVISIONED mode."));
            }
            (StreamMode::OnDemand, Some(_)) => {
                return Err(invalid("ShardCount must not be given for a stream in ON_DEMAND mode."));
            }
        };
        if streams.values().filter(|s| s.status(now_ms) == StreamStatus::Creating).count() >= CREATING_MAX {
            let message = format!("No more than {CREATING_MAX} streams may be in the CREATING state at once.");
            return Err(ModelError::new(ErrorCode::LimitExceeded, message));
        }
        let present: usize = streams.values().map(|stream| stream.shards.open_count()).sum();
        let limit = settings.shard_limit;
        let additional = usize::try_from(shard_count).unwrap_or(usize::MAX);
        if present.saturating_add(additional) > limit as usize {
            return Err(shard_limit_exceeded(&settings.account, &settings.region, present, limit, additional));
        }
        let shard_count = u32::try_from(shard_count).expect("within the shard limit");

        let arn = self.stream_arn(request.stream);
        let mut tags = Tags::new();
        let cx = Context { account: &self.settings.account };
        tags::add(&mut tags, request.tags.unwrap_or_default(), &format!("stream {}", request.stream), cx)?;
        // A number that no stream of an earlier model with this seed has, unless that one's clock was ahead.
        self.generations = (self.generations + 1).max(u64::try_from(now_ms).unwrap_or(0));
        let record_kib = request.record_kib_max.unwrap_or(RECORD_KIB);
        let stream = Stream::new(NewStream {
            name: request.stream,
            arn,
            generation: self.generations,
            mode: request.mode,
            now_ms,
            active_from_ms: now_ms.saturating_add(self.settings.create_delay_ms),
            record_bytes_max: usize::try_from(record_kib * 1_024).expect("within 10 MiB"),
            tags,
            shard_count,
        });
        self.streams.insert(request.stream.into(), stream);
        Ok(())
    }

    /// Ends a stream's CREATING before its time: for whoever runs the endpoint and need not wait.
    pub fn activate(&mut self, stream: &str) {
        let now_ms = self.now_ms;
        self.streams.get_mut(stream).into_iter().for_each(|stream| stream.active_from_ms = now_ms);
    }

    /// DeleteStream: gone once `delete_delay_ms` have passed.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` unless the stream is ACTIVE, and if
    /// it has consumers, unless `with_consumers`.
    pub fn delete_stream(&mut self, now_ms: i64, stream: &str, with_consumers: bool) -> Result<(), ModelError> {
        let now_ms = self.advance(now_ms);
        let gone_at_ms = now_ms.saturating_add(self.settings.delete_delay_ms);
        let (stream, cx) = self.stream_mut(stream)?;
        stream.active(now_ms, cx)?;
        if !stream.consumers.is_empty() && !with_consumers {
            let message = format!(
                "Stream {} under account {} has {} registered consumers: deregister them first, or set \
                 EnforceConsumerDeletion.",
                stream.name,
                cx.account,
                stream.consumers.len()
            );
            return Err(ModelError::new(ErrorCode::ResourceInUse, message));
        }
        stream.gone_at_ms = Some(gone_at_ms);
        if gone_at_ms <= now_ms {
            let name = stream.name.clone();
            self.streams.remove(&name);
        }
        Ok(())
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
        let shards = self.streams.get(stream).map_or(&[][..], |stream| stream.shards.all());
        shards.iter().flat_map(|shard| Records::whole(shard).map(|record| (shard.id, record)))
    }

    /// Takes note of the time and does what is due by then: resharding, and forgetting of what is too old.
    fn advance(&mut self, now_ms: i64) -> i64 {
        self.told_ms = now_ms;
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        self.streams.retain(|_, stream| stream.gone_at_ms.is_none_or(|gone_at_ms| now_ms < gone_at_ms));
        let round_ms = self.settings.update_delay_ms;
        for stream in self.streams.values_mut() {
            let changed_ms = stream.reshape(now_ms, round_ms);
            stream.shards.forget_closed_before(stream.horizon_ms(now_ms));
            stream.consumers.retain(|_, consumer| consumer.gone_at_ms.is_none_or(|gone_at_ms| now_ms < gone_at_ms));
            self.now_ms = self.now_ms.max(changed_ms.unwrap_or(now_ms));
        }
        self.now_ms
    }

    fn open_shard_count(&self) -> usize {
        self.streams.values().map(|stream| stream.shards.open_count()).sum()
    }

    fn stream_mut(&mut self, name: &str) -> Result<(&mut Stream, Context<'_>), ModelError> {
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

impl Stream {
    /// Refuses control calls on a stream that is on its way to or from somewhere.
    fn active(&self, now_ms: i64, cx: Context<'_>) -> Result<(), ModelError> {
        match self.status(now_ms) {
            StreamStatus::Active => Ok(()),
            other => Err(ModelError::new(
                ErrorCode::ResourceInUse,
                format!(
                    "Stream {} under account {} not ACTIVE, instead in state {}",
                    self.name,
                    cx.account,
                    other.name()
                ),
            )),
        }
    }

    /// Refuses reads and writes on a stream that is not there yet or no longer, as if there were none.
    fn usable(&self, now_ms: i64, cx: Context<'_>) -> Result<(), ModelError> {
        if self.is_usable(now_ms) { Ok(()) } else { Err(cx.no_stream(&self.name)) }
    }
}

/// What messages need to know besides the stream.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    account: &'a str,
}

impl Context<'_> {
    fn no_stream(self, name: &str) -> ModelError {
        let message = format!("Stream {name} under account {} not found.", self.account);
        ModelError::new(ErrorCode::ResourceNotFound, message)
    }

    fn no_shard(self, shard: ShardId, stream: &str) -> ModelError {
        let message = format!("Shard {shard} in stream {stream} under account {} does not exist", self.account);
        ModelError::new(ErrorCode::ResourceNotFound, message)
    }

    fn shard_id(self, text: &str, stream: &str) -> Result<ShardId, ModelError> {
        ShardId::parse(text).map_or_else(|| self.shard_id_missing(text, stream), Ok)
    }

    fn shard_id_missing<T>(self, text: &str, stream: &str) -> Result<T, ModelError> {
        let message = format!("Could not find shard {text} in stream {stream} under account {}.", self.account);
        Err(ModelError::new(ErrorCode::ResourceNotFound, message))
    }
}

fn shard_limit_exceeded(account: &str, region: &str, present: usize, limit: u32, additional: usize) -> ModelError {
    let message = format!(
        "This request would exceed the shard limit for the account {account} in {region}. Current shard count for the \
         account: {present}. Limit: {limit}. Number of additional shards that would have resulted from this request: \
         {additional}. Refer to the AWS Service Limits page \
         (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request \
         higher limits."
    );
    ModelError::new(ErrorCode::LimitExceeded, message)
}

fn invalid(message: impl Into<String>) -> ModelError {
    ModelError::new(ErrorCode::InvalidArgument, message)
}

/// Region, account and stream of `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`.
fn take_arn_apart(arn: &str) -> Option<(&str, &str, &str)> {
    let (head, stream) = arn.split_once(":stream/")?;
    let (head, account) = head.rsplit_once(':')?;
    let partition = head.strip_prefix("arn:aws")?;
    let (_, region) = partition.split_once(":kinesis:")?;
    let whole = account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && !stream.is_empty()
        && !stream.contains(char::is_whitespace);
    whole.then_some((region, account, stream))
}

#[cfg(test)]
mod tests;
