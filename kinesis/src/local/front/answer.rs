//! What callers get: the members of each answer as JSON 1.1.

use bytes::Bytes;
use serde::Serialize;

use crate::local::model;
use crate::local::model::{GetRecordsAnswer, HashKeyRange, PutAnswer};

/// Bytes of a record's JSON beside its key and data, roughly; only to reserve room.
const RECORD_JSON_BYTES: usize = 170;

#[derive(Serialize)]
struct Error<'a> {
    __type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// The body of a refusal.
pub fn error(exception: &str, message: Option<&str>) -> Bytes {
    json(&Error { __type: exception, message })
}

pub fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("plain structs with text keys always serialize").into()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStream {
    stream_description: StreamDescription,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStreamSummary {
    stream_description_summary: StreamDescriptionSummary,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamDescription {
    #[serde(flatten)]
    common: Common,
    shards: Vec<Shard>,
    has_more_shards: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamDescriptionSummary {
    #[serde(flatten)]
    common: Common,
    open_shard_count: usize,
    consumer_count: usize,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Common {
    stream_name: String,
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    stream_status: &'static str,
    stream_mode_details: StreamModeDetails,
    retention_period_hours: i64,
    stream_creation_timestamp: f64,
    enhanced_monitoring: [EnhancedMetrics; 1],
    encryption_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamModeDetails {
    stream_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EnhancedMetrics {
    shard_level_metrics: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shard {
    shard_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_shard_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adjacent_parent_shard_id: Option<String>,
    hash_key_range: Range,
    sequence_number_range: SequenceNumberRange,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Range {
    starting_hash_key: String,
    ending_hash_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceNumberRange {
    starting_sequence_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending_sequence_number: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListStreams {
    stream_names: Vec<String>,
    has_more_streams: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    stream_summaries: Vec<StreamSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamSummary {
    stream_name: String,
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    stream_status: &'static str,
    stream_mode_details: StreamModeDetails,
    stream_creation_timestamp: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListShards {
    shards: Vec<Shard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetShardIterator {
    pub shard_iterator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecord {
    pub shard_id: String,
    pub sequence_number: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecords {
    failed_record_count: usize,
    records: Vec<PutRecordsEntry>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PutRecordsEntry {
    Placed(PutRecord),
    #[serde(rename_all = "PascalCase")]
    Failed {
        error_code: &'static str,
        error_message: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChildShard {
    shard_id: String,
    parent_shards: Vec<String>,
    hash_key_range: Range,
}

impl From<model::StreamDescription> for DescribeStream {
    fn from(model: model::StreamDescription) -> DescribeStream {
        DescribeStream {
            stream_description: StreamDescription {
                common: model.summary.into(),
                shards: model.shards.iter().map(Shard::from).collect(),
                has_more_shards: model.has_more_shards,
            },
        }
    }
}

impl From<model::StreamSummary> for DescribeStreamSummary {
    fn from(model: model::StreamSummary) -> DescribeStreamSummary {
        DescribeStreamSummary {
            stream_description_summary: StreamDescriptionSummary {
                open_shard_count: model.open_shards,
                consumer_count: 0,
                max_record_size_in_kib: model.record_kib_max,
                common: model.into(),
            },
        }
    }
}

impl From<model::StreamSummary> for Common {
    fn from(model: model::StreamSummary) -> Common {
        Common {
            stream_name: model.name,
            stream_arn: model.arn,
            stream_status: model.status.name(),
            stream_mode_details: StreamModeDetails { stream_mode: model.mode.name() },
            retention_period_hours: model.retention_hours,
            stream_creation_timestamp: seconds(model.created_ms),
            enhanced_monitoring: [EnhancedMetrics { shard_level_metrics: [] }],
            encryption_type: "NONE",
        }
    }
}

impl From<&model::ShardDescription> for Shard {
    fn from(model: &model::ShardDescription) -> Shard {
        Shard {
            shard_id: model.id.to_string(),
            parent_shard_id: model.parent.map(|id| id.to_string()),
            adjacent_parent_shard_id: model.adjacent_parent.map(|id| id.to_string()),
            hash_key_range: model.range.into(),
            sequence_number_range: SequenceNumberRange {
                starting_sequence_number: model.first_sequence.to_string(),
                ending_sequence_number: model.last_sequence.map(|number| number.to_string()),
            },
        }
    }
}

impl From<HashKeyRange> for Range {
    fn from(model: HashKeyRange) -> Range {
        Range { starting_hash_key: model.first.to_string(), ending_hash_key: model.last.to_string() }
    }
}

impl From<model::ListStreamsAnswer> for ListStreams {
    fn from(model: model::ListStreamsAnswer) -> ListStreams {
        ListStreams {
            stream_names: model.streams.iter().map(|stream| stream.name.clone()).collect(),
            has_more_streams: model.has_more_streams,
            next_token: model.next_token,
            stream_summaries: model
                .streams
                .into_iter()
                .map(|stream| StreamSummary {
                    stream_name: stream.name,
                    stream_arn: stream.arn,
                    stream_status: stream.status.name(),
                    stream_mode_details: StreamModeDetails { stream_mode: stream.mode.name() },
                    stream_creation_timestamp: seconds(stream.created_ms),
                })
                .collect(),
        }
    }
}

impl From<model::ListShardsAnswer> for ListShards {
    fn from(model: model::ListShardsAnswer) -> ListShards {
        ListShards { shards: model.shards.iter().map(Shard::from).collect(), next_token: model.next_token }
    }
}

impl From<model::Placed> for PutRecord {
    fn from(model: model::Placed) -> PutRecord {
        PutRecord { shard_id: model.shard.to_string(), sequence_number: model.sequence.to_string() }
    }
}

impl From<PutAnswer> for PutRecords {
    fn from(model: PutAnswer) -> PutRecords {
        let failed_record_count = model.iter().filter(|record| record.is_err()).count();
        let records = model
            .into_iter()
            .map(|record| match record {
                Ok(placed) => PutRecordsEntry::Placed(placed.into()),
                Err(failure) => PutRecordsEntry::Failed { error_code: failure.code, error_message: failure.message },
            })
            .collect();
        PutRecords { failed_record_count, records }
    }
}

/// The one answer that may be large is written straight into its body.
pub fn get_records(model: GetRecordsAnswer<'_>) -> Bytes {
    let room = |record: model::RecordView<'_>| {
        record.data.len().div_ceil(3) * 4 + record.partition_key.len() + RECORD_JSON_BYTES
    };
    let mut body = Vec::with_capacity(512 + model.records.clone().map(room).sum::<usize>());
    body.extend_from_slice(b"{\"Records\":[");
    for (i, record) in model.records.enumerate() {
        body.extend_from_slice(if i == 0 { b"{\"SequenceNumber\":\"" } else { b",{\"SequenceNumber\":\"" });
        body.extend_from_slice(&record.sequence.digits());
        body.extend_from_slice(b"\",\"ApproximateArrivalTimestamp\":");
        push_seconds(&mut body, record.arrival_ms);
        body.extend_from_slice(b",\"Data\":\"");
        base64_simd::STANDARD.encode_append(record.data, &mut body);
        body.extend_from_slice(b"\",\"PartitionKey\":");
        push_json(&mut body, record.partition_key);
        body.push(b'}');
    }
    body.extend_from_slice(b"],\"NextShardIterator\":");
    push_json(&mut body, &model.next_iterator);
    body.extend_from_slice(b",\"MillisBehindLatest\":");
    body.extend_from_slice(model.millis_behind_latest.to_string().as_bytes());
    if !model.child_shards.is_empty() {
        body.extend_from_slice(b",\"ChildShards\":");
        let children: Vec<_> = model.child_shards.into_iter().map(ChildShard::from).collect();
        push_json(&mut body, &children);
    }
    body.push(b'}');
    body.into()
}

impl From<model::ChildShard> for ChildShard {
    fn from(model: model::ChildShard) -> ChildShard {
        ChildShard {
            shard_id: model.id.to_string(),
            parent_shards: model.parents.iter().map(ToString::to_string).collect(),
            hash_key_range: model.range.into(),
        }
    }
}

fn push_json(body: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(body, value).expect("plain values always serialize into memory");
}

/// Seconds with the milliseconds as decimals: `1795395060.708`.
pub fn push_seconds(body: &mut Vec<u8>, time_ms: i64) {
    use std::io::Write as _;
    let sign = if time_ms < 0 { "-" } else { "" };
    let (whole, millis) = (time_ms.unsigned_abs() / 1_000, time_ms.unsigned_abs() % 1_000);
    write!(body, "{sign}{whole}.{millis:03}").expect("memory takes all");
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1_000.0
}
