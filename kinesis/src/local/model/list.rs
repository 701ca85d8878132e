//! DescribeStream, DescribeStreamSummary, ListStreams and ListShards.

use super::shard::{Shard, ShardDescription, ShardId};
use super::stream::{Distribution, Stream, StreamMode, StreamStatus};
use super::token::{ListToken, TOKEN_LIFE_MS};
use super::validation::{LISTING_LIMIT_MAX, Violations};
use super::{ErrorCode, Model, ModelError, invalid};

/// Shards that DescribeStream, and streams that ListStreams, gives at most in one answer, and unless told otherwise.
const DESCRIBE_PAGE: usize = 100;
/// Shards that ListShards gives at most in one answer, and unless told otherwise.
const LIST_SHARDS_PAGE: usize = 1_000;

/// What is known of a stream without its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it stands.
    pub status: StreamStatus,
    /// Who scales it.
    pub mode: StreamMode,
    /// Who chooses the shard of a record.
    pub distribution: Distribution,
    /// How long it keeps records.
    pub retention_hours: i64,
    /// When it was made, ms since the epoch.
    pub created_ms: i64,
    /// Shards that take records; 0 while CREATING.
    pub open_shards: usize,
    /// Key and data of one record, in KiB.
    pub record_kib_max: usize,
    /// Consumers registered.
    pub consumers: usize,
    /// The key that it would be encrypted with.
    pub key_id: Option<String>,
    /// The metrics wanted of each shard.
    pub shard_metrics: Vec<&'static str>,
}

/// A stream and one page of its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// All but the shards.
    pub summary: StreamSummary,
    /// This page's shards.
    pub shards: Vec<ShardDescription>,
    /// Are there more behind them?
    pub has_more_shards: bool,
}

/// What ListStreams is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListStreamsRequest<'a> {
    /// Streams wanted, 1 to 10,000; at most 100 are given.
    pub limit: Option<i64>,
    /// Go on behind this name.
    pub exclusive_start: Option<&'a str>,
    /// Go on where an answer left off.
    pub next_token: Option<&'a str>,
}

/// One page of streams, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStreamsAnswer {
    /// The streams.
    pub streams: Vec<StreamSummary>,
    /// Are there more behind them?
    pub has_more_streams: bool,
    /// If there are: how to go on.
    pub next_token: Option<String>,
}

/// Which shards ListShards gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardFilter {
    /// All behind this one.
    AfterShardId(ShardId),
    /// Those that were open at the trim horizon: they cover every hash key once.
    AtTrimHorizon,
    /// All that hold anything, which is also what no filter means.
    FromTrimHorizon,
    /// Those open now.
    AtLatest,
    /// Those that were open at this time: they cover every hash key once.
    AtTimestamp(i64),
    /// Those that were open at this time or later, or closed at it.
    FromTimestamp(i64),
}

/// What ListShards is told: a stream or a token, never both.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListShardsRequest<'a> {
    /// The stream.
    pub stream: Option<&'a str>,
    /// Where an answer left off; it knows stream and filter.
    pub next_token: Option<&'a str>,
    /// Go on behind this shard.
    pub exclusive_start: Option<&'a str>,
    /// Shards wanted, 1 to 10,000; at most 1,000 are given.
    pub max_results: Option<i64>,
    /// Which ones.
    pub filter: Option<ShardFilter>,
    /// When the stream was made, to the second: tells it from others that had its name.
    pub created_ms: Option<i64>,
}

impl<'a> ListShardsRequest<'a> {
    /// All shards of a stream.
    pub fn of(stream: &'a str) -> ListShardsRequest<'a> {
        ListShardsRequest { stream: Some(stream), ..ListShardsRequest::default() }
    }
}

/// One page of shards, by rising id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListShardsAnswer {
    /// The shards.
    pub shards: Vec<ShardDescription>,
    /// If there are more: how to go on, for five minutes.
    pub next_token: Option<String>,
}

impl Model {
    /// DescribeStreamSummary.
    ///
    /// # Errors
    /// `ValidationException`, `ResourceNotFoundException`.
    pub fn describe_stream_summary(&mut self, now_ms: i64, stream: &str) -> Result<StreamSummary, ModelError> {
        let now_ms = self.advance(now_ms);
        Ok(self.look_up(stream)?.0.summary(now_ms))
    }

    /// DescribeStream: at most 100 shards an answer, behind `exclusive_start` if that is given.
    ///
    /// # Errors
    /// `ValidationException`, `ResourceNotFoundException`.
    pub fn describe_stream(
        &mut self,
        now_ms: i64,
        stream: &str,
        exclusive_start: Option<&str>,
        limit: Option<i64>,
    ) -> Result<StreamDescription, ModelError> {
        let mut violations = Violations::new();
        violations.range("limit", limit, 1, LISTING_LIMIT_MAX);
        exclusive_start.inspect(|shard| violations.name("exclusiveStartShardId", shard));
        violations.finish()?;
        let now_ms = self.advance(now_ms);
        let (found, cx) = self.look_up(stream)?;
        let after = exclusive_start.map(|shard| cx.shard_id(shard, stream)).transpose()?;
        let all = found.visible_shards(now_ms).iter();
        let (shards, has_more_shards) = page(all.filter(|shard| Some(shard.id) > after), limit, DESCRIBE_PAGE);
        let shards = shards.into_iter().map(Shard::describe).collect();
        Ok(StreamDescription { summary: found.summary(now_ms), shards, has_more_shards })
    }

    /// ListStreams: at most 100 an answer, by name.
    ///
    /// # Errors
    /// `ValidationException`; `InvalidArgumentException` for a token that is not ours.
    pub fn list_streams(
        &mut self,
        now_ms: i64,
        request: ListStreamsRequest<'_>,
    ) -> Result<ListStreamsAnswer, ModelError> {
        let mut violations = Violations::new();
        violations.range("limit", request.limit, 1, LISTING_LIMIT_MAX);
        request.exclusive_start.inspect(|stream| violations.name("exclusiveStartStreamName", stream));
        violations.finish()?;
        let now_ms = self.advance(now_ms);
        // The token is the last name given, behind a check that it is one of ours.
        let by_token = match request.next_token {
            None => None,
            Some(token) => {
                let token = ListToken::open(ListToken::STREAMS, self.token_seed, token)
                    .ok_or_else(|| invalid("Invalid NextToken."))?;
                not_expired(&token, now_ms)?;
                Some(token.stream)
            }
        };
        let after = by_token.as_deref().or(request.exclusive_start);
        let all = self.streams.values().filter(|stream| after.is_none_or(|after| &*stream.name > after));
        let (streams, has_more_streams) = page(all, request.limit, DESCRIBE_PAGE);
        let streams: Vec<_> = streams.into_iter().map(|stream| stream.summary(now_ms)).collect();
        let next_token = streams.last().filter(|_| has_more_streams).map(|last| {
            let token = ListToken {
                issued_ms: now_ms,
                generation: 0,
                after: ShardId::new(0),
                filter: String::new(),
                stream: last.name.clone(),
            };
            token.seal(ListToken::STREAMS, self.token_seed)
        });
        Ok(ListStreamsAnswer { streams, has_more_streams, next_token })
    }

    /// ListShards: at most 1,000 an answer.
    ///
    /// # Errors
    /// `ValidationException`; `InvalidArgumentException` for a token that is not ours or comes with a stream's name;
    /// `ExpiredNextTokenException`; `ResourceInUseException` while CREATING or DELETING; `ResourceNotFoundException`.
    pub fn list_shards(&mut self, now_ms: i64, request: ListShardsRequest<'_>) -> Result<ListShardsAnswer, ModelError> {
        let mut violations = Violations::new();
        violations.range("maxResults", request.max_results, 1, LISTING_LIMIT_MAX);
        request.exclusive_start.inspect(|shard| violations.name("exclusiveStartShardId", shard));
        violations.finish()?;
        let now_ms = self.advance(now_ms);
        let seed = self.token_seed;
        let token = match (request.stream, request.next_token) {
            (Some(_), Some(_)) => {
                return Err(invalid("NextToken and StreamName cannot be provided together."));
            }
            (None, None) => {
                return Err(invalid("Either NextToken or StreamName should be provided."));
            }
            (Some(_), None) => None,
            (None, Some(_)) if request.exclusive_start.is_some() => {
                return Err(invalid("NextToken and ExclusiveStartShardId cannot be provided together."));
            }
            (None, Some(_)) if request.created_ms.is_some() => {
                return Err(invalid("NextToken and StreamCreationTimestamp cannot be provided together."));
            }
            (None, Some(_)) if request.filter.is_some() => {
                return Err(invalid("NextToken and ShardFilter cannot be provided together."));
            }
            (None, Some(token)) => {
                let token =
                    ListToken::open(ListToken::SHARDS, seed, token).ok_or_else(|| invalid("Invalid NextToken."))?;
                not_expired(&token, now_ms)?;
                Some(token)
            }
        };
        let name = token.as_ref().map_or(request.stream, |token| Some(&token.stream)).unwrap_or_default();
        let (found, cx) = self.look_up(name)?;
        let second = |time_ms: i64| time_ms.div_euclid(1_000);
        if request.created_ms.is_some_and(|created_ms| second(created_ms) != second(found.created_ms)) {
            return Err(cx.no_stream(name));
        }
        found.listable(now_ms, cx)?;
        let (after, filter) = match &token {
            Some(token) if token.generation != found.generation => return Err(cx.no_stream(name)),
            Some(token) => (Some(token.after), ShardFilter::from_text(&token.filter)),
            None => {
                let after = request.exclusive_start.map(|shard| cx.shard_id(shard, name)).transpose()?;
                (after, request.filter.unwrap_or(ShardFilter::FromTrimHorizon))
            }
        };
        let horizon_ms = found.horizon_ms(now_ms).max(found.created_ms);
        let all = found.visible_shards(now_ms).iter();
        let wanted = all.filter(|shard| Some(shard.id) > after && filter.takes(shard, horizon_ms));
        let (shards, more) = page(wanted, request.max_results, LIST_SHARDS_PAGE);
        let next_token = shards.last().filter(|_| more).map(|last| {
            let token = ListToken {
                issued_ms: now_ms,
                generation: found.generation,
                after: last.id,
                filter: filter.to_text(),
                stream: name.to_owned(),
            };
            token.seal(ListToken::SHARDS, seed)
        });
        Ok(ListShardsAnswer { shards: shards.into_iter().map(Shard::describe).collect(), next_token })
    }
}

impl Stream {
    fn summary(&self, now_ms: i64) -> StreamSummary {
        let status = self.status(now_ms);
        StreamSummary {
            name: self.name.to_string(),
            arn: self.arn.clone(),
            status,
            mode: self.mode,
            distribution: self.distribution,
            retention_hours: self.retention_hours,
            created_ms: self.created_ms,
            open_shards: if status == StreamStatus::Creating { 0 } else { self.shards.open_count() },
            record_kib_max: self.record_bytes_max / 1_024,
            consumers: self.consumers.len(),
            key_id: self.key_id.clone(),
            shard_metrics: self.shard_metrics.clone(),
        }
    }

    fn listable(&self, now_ms: i64, cx: super::Context<'_>) -> Result<(), ModelError> {
        if self.is_usable(now_ms) { Ok(()) } else { self.active(now_ms, cx) }
    }
}

impl ShardFilter {
    fn takes(self, shard: &Shard, horizon_ms: i64) -> bool {
        let open_at = |at_ms: i64| shard.created_ms <= at_ms && shard.closed.is_none_or(|closed| at_ms < closed.at_ms);
        // A shard that closed at this very moment ends where it begins, and the service counts it in.
        let open_from = |at_ms: i64| shard.closed.is_none_or(|closed| at_ms <= closed.at_ms);
        match self {
            ShardFilter::AfterShardId(id) => shard.id > id,
            ShardFilter::AtTrimHorizon => open_at(horizon_ms),
            ShardFilter::FromTrimHorizon => open_from(horizon_ms),
            ShardFilter::AtLatest => shard.closed.is_none(),
            ShardFilter::AtTimestamp(at_ms) => open_at(at_ms.max(horizon_ms)),
            ShardFilter::FromTimestamp(at_ms) => open_from(at_ms.max(horizon_ms)),
        }
    }

    fn to_text(self) -> String {
        match self {
            ShardFilter::AfterShardId(id) => format!("a{}", id.number()),
            ShardFilter::AtTrimHorizon => "h".to_owned(),
            ShardFilter::FromTrimHorizon => "f".to_owned(),
            ShardFilter::AtLatest => "l".to_owned(),
            ShardFilter::AtTimestamp(at_ms) => format!("t{at_ms}"),
            ShardFilter::FromTimestamp(at_ms) => format!("s{at_ms}"),
        }
    }

    /// Only ever reads what [`ShardFilter::to_text`] wrote: tokens are checked.
    fn from_text(text: &str) -> ShardFilter {
        let (kind, value) = text.split_at(text.len().min(1));
        let number = value.parse().unwrap_or(i64::MIN);
        match kind {
            "a" => ShardFilter::AfterShardId(ShardId::parse(value).unwrap_or(ShardId::new(0))),
            "h" => ShardFilter::AtTrimHorizon,
            "l" => ShardFilter::AtLatest,
            "t" => ShardFilter::AtTimestamp(number),
            "s" => ShardFilter::FromTimestamp(number),
            _ => ShardFilter::FromTrimHorizon,
        }
    }
}

pub(super) fn not_expired(token: &ListToken, now_ms: i64) -> Result<(), ModelError> {
    if now_ms - token.issued_ms <= TOKEN_LIFE_MS {
        return Ok(());
    }
    Err(ModelError::new(ErrorCode::ExpiredNextToken, "The pagination token passed to the operation is expired."))
}

/// The first of `all`, as many as asked for and allowed, and whether there are more.
pub(super) fn page<T>(mut all: impl Iterator<Item = T>, wanted: Option<i64>, most: usize) -> (Vec<T>, bool) {
    let wanted = wanted.and_then(|n| usize::try_from(n).ok()).unwrap_or(most).min(most);
    let taken = all.by_ref().take(wanted).collect();
    (taken, all.next().is_some())
}
