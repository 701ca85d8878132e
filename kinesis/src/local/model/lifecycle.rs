//! CreateStream and DeleteStream, and what a stream allows on its way from one to the other.

use super::stream::{Distribution, NewStream, Stream, StreamMode, StreamStatus};
use super::tags::{self, Tags};
use super::validation::Violations;
use super::{Context, ErrorCode, Model, ModelError, attributes, invalid, shard_limit_exceeded};

/// Streams that may be CREATING at once (API reference, CreateStream).
const CREATING_MAX: usize = 5;
/// Shards an on-demand stream starts with (developer guide, capacity modes).
const ON_DEMAND_SHARDS: u32 = 4;
/// Key and data of one record, in KiB, unless the stream says more (API reference, MaxRecordSizeInKiB).
pub(super) const RECORD_KIB: i64 = 1_024;
pub(super) const RECORD_KIB_MAX: i64 = 10_240;

/// What CreateStream is told.
#[derive(Clone, Debug, Default)]
pub struct CreateStreamRequest<'a> {
    /// Name of the stream, 1 to 128 of `[a-zA-Z0-9_.-]`.
    pub stream: &'a str,
    /// Shards to begin with; needed unless on demand.
    pub shard_count: Option<i64>,
    /// Who scales it.
    pub mode: StreamMode,
    /// Who chooses the shard of a record; only on demand may it be the service.
    pub distribution: Distribution,
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

impl Model {
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
        attributes::check_distribution(request.mode, request.distribution)?;
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
            distribution: request.distribution,
            now_ms,
            active_from_ms: now_ms.saturating_add(self.settings.create_delay_ms),
            record_bytes_max: usize::try_from(record_kib * 1_024).expect("within 10 MiB"),
            tags,
            shard_count,
        });
        self.streams.insert(request.stream.into(), stream);
        self.journal.iter_mut().for_each(|journal| journal.changed(request.stream));
        Ok(())
    }

    /// Ends a stream's CREATING before its time: for whoever runs the endpoint and need not wait.
    pub fn activate(&mut self, stream: &str) {
        let now_ms = self.now_ms;
        self.streams.get_mut(stream).into_iter().for_each(|stream| stream.active_from_ms = now_ms);
        self.journal.iter_mut().for_each(|journal| journal.changed(stream));
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
            if let (Some(gone), Some(journal)) = (self.streams.remove(&name), &mut self.journal) {
                journal.gone(now_ms, &gone);
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Refuses control calls on a stream that is on its way to or from somewhere.
    pub fn active(&self, now_ms: i64, cx: Context<'_>) -> Result<(), ModelError> {
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
    pub fn usable(&self, now_ms: i64, cx: Context<'_>) -> Result<(), ModelError> {
        if self.is_usable(now_ms) { Ok(()) } else { Err(cx.no_stream(&self.name)) }
    }
}
