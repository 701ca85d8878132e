//! Shards: split, merged, scaled.

use serde::Deserialize;

use super::super::request::{Text, plain};
use super::super::value::Map;
use super::{Answer, Call, Refusal, missing_if, not_in_set, required};
use crate::local::model::Model;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SplitShard<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_to_split: Option<Text<'a>>,
    #[serde(borrow)]
    new_starting_hash_key: Option<Text<'a>>,
}

pub fn split_shard<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: SplitShard<'_> = call.read()?;
    let [at, shard] = required([
        ("newStartingHashKey", plain(&request.new_starting_hash_key)),
        ("shardToSplit", plain(&request.shard_to_split)),
    ])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    model.split_shard(call.now_ms, stream, shard, at)?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MergeShards<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_to_merge: Option<Text<'a>>,
    #[serde(borrow)]
    adjacent_shard_to_merge: Option<Text<'a>>,
}

pub fn merge_shards<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: MergeShards<'_> = call.read()?;
    let [adjacent, shard] = required([
        ("adjacentShardToMerge", plain(&request.adjacent_shard_to_merge)),
        ("shardToMerge", plain(&request.shard_to_merge)),
    ])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    model.merge_shards(call.now_ms, stream, shard, adjacent)?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateShardCount<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    target_shard_count: Option<i64>,
    #[serde(borrow)]
    scaling_type: Option<Text<'a>>,
}

pub fn update_shard_count<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    const KINDS: [&str; 1] = ["UNIFORM_SCALING"];
    let request: UpdateShardCount<'_> = call.read()?;
    missing_if([
        ("targetShardCount", request.target_shard_count.is_none()),
        ("scalingType", request.scaling_type.is_none()),
    ])?;
    let kind = plain(&request.scaling_type).unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(not_in_set("scalingType", kind, &KINDS));
    }
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let update = model.update_shard_count(call.now_ms, stream, request.target_shard_count.unwrap_or_default())?;
    let arn = model.stream_arn(stream);
    Ok(Map::new()
        .with("StreamName", stream.to_owned())
        .with("CurrentShardCount", update.current)
        .with("TargetShardCount", i64::from(update.target))
        .with("StreamARN", arn)
        .into())
}
