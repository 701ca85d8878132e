//! Streams: made, described, listed, deleted.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::request::{Text, plain};
use super::super::value::{Map, Value};
use super::{Answer, Call, Refusal, not_in_set, required};
use crate::local::front::answer;
use crate::local::model::{CreateStreamRequest, Distribution, ListStreamsRequest, Model, StreamMode, StreamSummary};

/// The stream, by name or ARN or both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamOnly<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateStream<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    shard_count: Option<i64>,
    #[serde(borrow)]
    stream_mode_details: Option<StreamModeDetails<'a>>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: Option<i64>,
    tags: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    record_distribution_strategy: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamModeDetails<'a> {
    #[serde(borrow)]
    stream_mode: Option<Text<'a>>,
}

/// Who chooses the shard of a record, if that is said.
pub fn distribution(word: Option<&str>) -> Result<Option<Distribution>, Refusal> {
    const WORDS: [Distribution; 2] = [Distribution::Auto, Distribution::UserPartitionKey];
    let Some(word) = word else { return Ok(None) };
    let found = WORDS.into_iter().find(|strategy| strategy.name() == word);
    found.map(Some).ok_or_else(|| not_in_set("recordDistributionStrategy", word, &WORDS.map(Distribution::name)))
}

pub fn create_stream<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: CreateStream<'_> = call.read()?;
    let [stream] = required([("streamName", plain(&request.stream_name))])?;
    let mode = stream_mode(request.stream_mode_details.as_ref())?;
    let distribution = distribution(plain(&request.record_distribution_strategy))?.unwrap_or_default();
    let request = CreateStreamRequest {
        stream,
        shard_count: request.shard_count,
        mode,
        distribution,
        record_kib_max: request.max_record_size_in_kib,
        tags: request.tags,
    };
    model.create_stream(call.now_ms, request)?;
    Ok(Answer::Empty)
}

/// The mode that is named, PROVISIONED without one.
pub fn stream_mode(details: Option<&StreamModeDetails<'_>>) -> Result<StreamMode, Refusal> {
    let Some(details) = details else { return Ok(StreamMode::Provisioned) };
    let [mode] = required([("streamModeDetails.streamMode", plain(&details.stream_mode))])?;
    match mode {
        "PROVISIONED" => Ok(StreamMode::Provisioned),
        "ON_DEMAND" => Ok(StreamMode::OnDemand),
        other => Err(not_in_set("streamModeDetails.streamMode", other, &["PROVISIONED", "ON_DEMAND"])),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteStream<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    enforce_consumer_deletion: Option<bool>,
}

pub fn delete_stream<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: DeleteStream<'_> = call.read()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    model.delete_stream(call.now_ms, stream, request.enforce_consumer_deletion.unwrap_or_default())?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeStream<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    limit: Option<i64>,
    #[serde(borrow)]
    exclusive_start_shard_id: Option<Text<'a>>,
}

pub fn describe_stream<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: DescribeStream<'_> = call.read()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let after = plain(&request.exclusive_start_shard_id);
    let described = model.describe_stream(call.now_ms, stream, after, request.limit)?;
    let description = answer::stream(described.summary)
        .with("Shards", answer::shards(&described.shards))
        .with("HasMoreShards", described.has_more_shards);
    Ok(Map::new().with("StreamDescription", description).into())
}

pub fn describe_stream_summary<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: StreamOnly<'_> = call.read()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let summary = model.describe_stream_summary(call.now_ms, stream)?;
    // Only streams on demand have it.
    let distribution = (summary.mode == StreamMode::OnDemand).then(|| summary.distribution.name());
    let more = Map::new()
        .with_some("RecordDistributionStrategy", distribution)
        .with("OpenShardCount", summary.open_shards)
        .with("ConsumerCount", summary.consumers)
        .with("MaxRecordSizeInKiB", summary.record_kib_max);
    Ok(Map::new().with("StreamDescriptionSummary", answer::stream(summary).with_all(more)).into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreams<'a> {
    limit: Option<i64>,
    #[serde(borrow)]
    exclusive_start_stream_name: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
}

pub fn list_streams<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: ListStreams<'_> = call.read()?;
    let listed = model.list_streams(
        call.now_ms,
        ListStreamsRequest {
            limit: request.limit,
            exclusive_start: plain(&request.exclusive_start_stream_name),
            next_token: plain(&request.next_token),
        },
    )?;
    let names: Vec<_> = listed.streams.iter().map(|stream| stream.name.clone()).collect();
    let summaries: Vec<_> = listed.streams.into_iter().map(listed_stream).collect();
    let members = Map::new()
        .with("StreamNames", names)
        .with("HasMoreStreams", listed.has_more_streams)
        .with_some("NextToken", listed.next_token)
        .with("StreamSummaries", summaries);
    Ok(members.into())
}

fn listed_stream(summary: StreamSummary) -> Map {
    Map::new()
        .with("StreamName", summary.name)
        .with("StreamARN", summary.arn)
        .with("StreamStatus", summary.status.name())
        .with("StreamModeDetails", answer::stream_mode(summary.mode))
        .with("StreamCreationTimestamp", Value::Time(summary.created_ms))
}
