//! The service's client: the AWS SDK on our own connections, behind plain types.
//!
//! The only place that names the SDK. Nothing here is a generic `async fn`, so that the SDK's futures are compiled in this crate,
//! once. Signing, endpoints, credentials and the retries of control-plane calls are the SDK's; connections
//! (`connector`), the decoding of records (`decode`) and the pace of reading and putting are ours.

mod answers;
mod connector;
mod credentials;
mod decode;
mod endpoint;
mod error;
mod proxy;
mod settings;
mod timing;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{HashKeyRange, PutRecordsRequestEntry, Shard, ShardIteratorType};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

pub use answers::{
    CallTiming, ChildShard, GetRecordsAnswer, IteratorPosition, Placed, PutEntry, PutFailure, PutRecordsAnswer,
    ShardDescription, StreamSummary,
};
pub use error::{ErrorKind, ServiceError};
pub use settings::ServiceSettings;
pub(crate) use settings::is_local;

use credentials::Snapshot;
use timing::TimingSlot;

/// What a call gives: a future of the executor it was made on.
pub type Call<T> = LocalBoxFuture<'static, Result<T, ServiceError>>;

/// A listing may outlive its token on a slow day; it is begun anew that often.
const LISTINGS_MAX: usize = 3;
/// What a stream takes unless it says otherwise. Source: "Quotas and limits", Kinesis developer guide (read November 2026).
const RECORD_KIB_DEFAULT: i32 = 1_024;

/// A client of one executor; clones share it. Streams are named by name or ARN.
#[derive(Clone, Debug)]
pub struct Client(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    /// One attempt a call: for reading and putting, which have their own pace, and for what must not be done twice.
    data: aws_sdk_kinesis::Client,
    /// Repeats what may pass by itself.
    control: aws_sdk_kinesis::Client,
    last_timing: Cell<Option<CallTiming>>,
    /// Whose credentials are used, unless they are keys of the settings.
    snapshot: Option<Arc<Snapshot>>,
    /// Where requests go, if it was said anywhere; else to AWS itself.
    endpoint: Option<String>,
}

impl Inner {
    /// Takes an error down that says something about the credentials.
    fn sorted(&self, error: ServiceError) -> ServiceError {
        if let (ErrorKind::Credentials, Some(snapshot)) = (error.kind, &self.snapshot) {
            snapshot.distrust();
        }
        error
    }
}

/// A stream's name or ARN, as requests have them apart.
struct Named {
    name: Option<String>,
    arn: Option<String>,
}

impl Named {
    fn of(stream: String) -> Named {
        if stream.starts_with("arn:") {
            Named { name: None, arn: Some(stream) }
        } else {
            Named { name: Some(stream), arn: None }
        }
    }
}

/// Sends a built request, takes its timing down and sorts its error.
macro_rules! send {
    ($client:expr, $operation:literal, $request:expr $(, $interceptor:expr)?) => {{
        let slot = TimingSlot::default();
        let answer = $request.customize().interceptor(slot.clone())$(.interceptor($interceptor))?.send().await;
        let timing = slot.take();
        $client.0.last_timing.set(timing.or($client.0.last_timing.get()));
        answer
            .map(|answer| (answer, timing))
            .map_err(|error| $client.0.sorted(ServiceError::from_sdk($operation, error)))
    }};
}

// Behind `send!`, which it uses.
mod reshard;

impl Client {
    /// The client of this executor for these settings; shared with whoever holds one with the same settings.
    ///
    /// Errors: `Credentials` and `Region`, each with its remedy; also `Region` for an endpoint that cannot be called.
    pub fn connect(settings: &ServiceSettings) -> Call<Client> {
        settings::connect(settings.clone()).boxed_local()
    }

    /// The address of the settings, the environment or the profile, as far as it is none of AWS itself.
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// Timing of the last answer to any call, for whoever needs the service's clock.
    pub fn last_timing(&self) -> Option<CallTiming> {
        self.0.last_timing.get()
    }

    /// `CreateStream`, provisioned, one attempt: were one repeated whose answer was lost, it would report as `InUse` what it
    /// did itself. The stream is `CREATING` for a while afterwards.
    pub fn create_stream(&self, name: &str, shards: u32) -> Call<()> {
        let (this, name) = (self.clone(), name.to_owned());
        async move {
            let shards = i32::try_from(shards).unwrap_or(i32::MAX);
            send!(this, "CreateStream", this.0.data.create_stream().stream_name(name).shard_count(shards)).map(drop)
        }
        .boxed_local()
    }

    /// `DeleteStream`, with its records and consumers; one attempt, as with `CreateStream`.
    pub fn delete_stream(&self, stream: &str) -> Call<()> {
        let (this, named) = (self.clone(), Named::of(stream.to_owned()));
        async move {
            let request = this.0.data.delete_stream().set_stream_name(named.name).set_stream_arn(named.arn);
            send!(this, "DeleteStream", request.enforce_consumer_deletion(true)).map(drop)
        }
        .boxed_local()
    }

    /// `DescribeStreamSummary`.
    pub fn describe(&self, stream: &str) -> Call<StreamSummary> {
        let (this, named) = (self.clone(), Named::of(stream.to_owned()));
        async move {
            let request =
                this.0.control.describe_stream_summary().set_stream_name(named.name).set_stream_arn(named.arn);
            let (answer, timing) = send!(this, "DescribeStreamSummary", request)?;
            let summary = answer
                .stream_description_summary
                .ok_or_else(|| ServiceError::malformed("DescribeStreamSummary", "summary"))?;
            let record_kib = summary.max_record_size_in_kib.unwrap_or(RECORD_KIB_DEFAULT);
            Ok(StreamSummary {
                status: summary.stream_status.as_str().to_owned(),
                open_shards: u32::try_from(summary.open_shard_count).unwrap_or(0),
                retention_hours: u32::try_from(summary.retention_period_hours).unwrap_or(0),
                created_ms: rounded_ms(&summary.stream_creation_timestamp),
                max_record_bytes: u64::try_from(record_kib).unwrap_or(0) * 1_024,
                name: summary.stream_name,
                arn: summary.stream_arn,
                timing,
            })
        }
        .boxed_local()
    }

    /// `ListStreams`, all pages.
    pub fn list_streams(&self) -> Call<Vec<String>> {
        let this = self.clone();
        async move {
            let mut names: Vec<String> = Vec::new();
            let mut token = None;
            loop {
                let after = if token.is_some() { None } else { names.last().cloned() };
                let request =
                    this.0.control.list_streams().set_next_token(token).set_exclusive_start_stream_name(after);
                let (page, _) = send!(this, "ListStreams", request)?;
                let before = names.len();
                names.extend(page.stream_names);
                if !page.has_more_streams || names.len() == before {
                    return Ok(names);
                }
                token = page.next_token;
            }
        }
        .boxed_local()
    }

    /// `ListShards`, all pages; every shard that is kept, open or closed.
    pub fn list_shards(&self, stream: &str) -> Call<Vec<ShardDescription>> {
        let (this, stream) = (self.clone(), stream.to_owned());
        async move {
            let mut listings = 1;
            loop {
                match this.list_shards_once(&stream).await {
                    Err(error) if error.kind == ErrorKind::ExpiredToken && listings < LISTINGS_MAX => listings += 1,
                    done => return done,
                }
            }
        }
        .boxed_local()
    }

    async fn list_shards_once(&self, stream: &str) -> Result<Vec<ShardDescription>, ServiceError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // With a token the stream must not be named.
            let named = match &token {
                Some(_) => Named { name: None, arn: None },
                None => Named::of(stream.to_owned()),
            };
            let request = self
                .0
                .control
                .list_shards()
                .set_next_token(token)
                .set_stream_name(named.name)
                .set_stream_arn(named.arn);
            let (page, _) = send!(self, "ListShards", request)?;
            for shard in page.shards.unwrap_or_default() {
                shards.push(described(shard).ok_or_else(|| ServiceError::malformed("ListShards", "hash key range"))?);
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    /// `GetShardIterator`; it lives for five minutes.
    pub fn shard_iterator(&self, stream: &str, shard: &str, position: IteratorPosition) -> Call<String> {
        let (this, named, shard) = (self.clone(), Named::of(stream.to_owned()), shard.to_owned());
        async move {
            let request = this
                .0
                .control
                .get_shard_iterator()
                .set_stream_name(named.name)
                .set_stream_arn(named.arn)
                .shard_id(shard);
            let request = match position {
                IteratorPosition::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
                IteratorPosition::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
                IteratorPosition::AtTimestamp(ms) => {
                    request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(ms))
                }
                IteratorPosition::AtSequence(sequence) => {
                    request.shard_iterator_type(ShardIteratorType::AtSequenceNumber).starting_sequence_number(sequence)
                }
                IteratorPosition::AfterSequence(sequence) => request
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .starting_sequence_number(sequence),
            };
            let (answer, _) = send!(this, "GetShardIterator", request)?;
            answer.shard_iterator.ok_or_else(|| ServiceError::malformed("GetShardIterator", "iterator"))
        }
        .boxed_local()
    }

    /// `GetRecords`, one attempt. `limit` is 1 to 10 000 records.
    pub fn get_records(&self, iterator: String, limit: u32) -> Call<GetRecordsAnswer> {
        let this = self.clone();
        async move {
            let limit = i32::try_from(limit).unwrap_or(i32::MAX);
            let decoder = decode::Decoder::default();
            let request = this.0.data.get_records().shard_iterator(iterator).limit(limit);
            let (output, timing) = send!(this, "GetRecords", request, decoder.clone())?;
            let timing = timing.ok_or_else(|| ServiceError::malformed("GetRecords", "timing"))?;
            let (decoded, bytes) =
                decoder.finish(output).ok_or_else(|| ServiceError::malformed("GetRecords", "records"))?;
            Ok(GetRecordsAnswer {
                batch: decoded.batch,
                next_iterator: decoded.next_iterator,
                behind_ms: decoded.behind_ms,
                children: decoded.children,
                timing,
                bytes,
            })
        }
        .boxed_local()
    }

    /// `PutRecord`, one attempt.
    pub fn put_record(&self, stream: &str, entry: PutEntry) -> Call<Placed> {
        let (this, named) = (self.clone(), Named::of(stream.to_owned()));
        async move {
            let request = this.0.data.put_record().set_stream_name(named.name).set_stream_arn(named.arn);
            let request =
                request.partition_key(entry.key).set_explicit_hash_key(entry.explicit_hash).data(Blob::new(entry.data));
            let (answer, _) = send!(this, "PutRecord", request)?;
            Ok(Placed { shard: answer.shard_id, sequence: answer.sequence_number })
        }
        .boxed_local()
    }

    /// `PutRecords`, one attempt; at most 500 entries. Records may be refused one by one.
    pub fn put_records(&self, stream: &str, entries: Vec<PutEntry>) -> Call<PutRecordsAnswer> {
        let (this, named) = (self.clone(), Named::of(stream.to_owned()));
        async move {
            let sent = entries.len();
            let entries = entries.into_iter().map(|entry| {
                let built = PutRecordsRequestEntry::builder()
                    .partition_key(entry.key)
                    .set_explicit_hash_key(entry.explicit_hash);
                built.data(Blob::new(entry.data)).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| {
                ServiceError::new("PutRecords", ErrorKind::InvalidArgument, "BadEntry", error.to_string())
            })?;
            let request = this
                .0
                .data
                .put_records()
                .set_stream_name(named.name)
                .set_stream_arn(named.arn)
                .set_records(Some(entries));
            let (answer, timing) = send!(this, "PutRecords", request)?;
            if answer.records.len() != sent {
                return Err(ServiceError::malformed("PutRecords", "result for each record"));
            }
            let entries = answer.records.into_iter().map(|entry| {
                match (entry.error_code, entry.shard_id, entry.sequence_number) {
                    (None, Some(shard), Some(sequence)) => Ok(Placed { shard, sequence }),
                    (code, ..) => Err(PutFailure {
                        code: code.unwrap_or_else(|| "InternalFailure".to_owned()),
                        message: entry.error_message.unwrap_or_default(),
                    }),
                }
            });
            Ok(PutRecordsAnswer { entries: entries.collect(), timing })
        }
        .boxed_local()
    }
}

fn described(shard: Shard) -> Option<ShardDescription> {
    let (first_hash, last_hash) = hash_range(shard.hash_key_range.as_ref()?)?;
    let sequences = shard.sequence_number_range?;
    Some(ShardDescription {
        id: shard.shard_id,
        parent: shard.parent_shard_id,
        adjacent_parent: shard.adjacent_parent_shard_id,
        first_hash,
        last_hash,
        first_sequence: sequences.starting_sequence_number,
        last_sequence: sequences.ending_sequence_number,
    })
}

fn hash_range(range: &HashKeyRange) -> Option<(u128, u128)> {
    Some((range.starting_hash_key.parse().ok()?, range.ending_hash_key.parse().ok()?))
}

/// Times travel as seconds in floating point, a little beside the ms they mean.
fn rounded_ms(time: &DateTime) -> i64 {
    i64::try_from((time.as_nanos() + 500_000).div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "../../../runtime/src/io/http/scripted.rs"]
#[expect(dead_code, reason = "shared with the tests of the HTTP client, which use all of it")]
mod scripted;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
