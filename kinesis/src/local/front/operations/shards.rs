//! Shards: listed, by filter and page.

use serde::Deserialize;

use super::super::request::{Text, Time, plain};
use super::super::value::Map;
use super::{Answer, Call, Refusal, invalid, not_in_set, required};
use crate::local::front::answer;
use crate::local::model::{ListShardsRequest, Model, ShardFilter, ShardId, Violations};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListShards<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
    #[serde(borrow)]
    exclusive_start_shard_id: Option<Text<'a>>,
    max_results: Option<i64>,
    #[serde(borrow)]
    shard_filter: Option<Filter<'a>>,
    stream_creation_timestamp: Option<Time>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    shard_id: Option<Text<'a>>,
    timestamp: Option<Time>,
}

pub fn list_shards<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: ListShards<'_> = call.read()?;
    let (name, arn) = (plain(&request.stream_name), plain(&request.stream_arn));
    if name.is_none() && arn.is_some() && request.next_token.is_some() {
        return Err(invalid("NextToken and StreamARN cannot be provided together."));
    }
    let listed = model.list_shards(
        call.now_ms,
        ListShardsRequest {
            stream: if name.or(arn).is_some() { Some(model.stream_name(name, arn)?) } else { None },
            next_token: plain(&request.next_token),
            exclusive_start: plain(&request.exclusive_start_shard_id),
            max_results: request.max_results,
            filter: request.shard_filter.as_ref().map(shard_filter).transpose()?,
            created_ms: request.stream_creation_timestamp.map(Time::as_millis),
        },
    )?;
    let shards = answer::shards(&listed.shards);
    Ok(Map::new().with("Shards", shards).with_some("NextToken", listed.next_token).into())
}

fn shard_filter(filter: &Filter<'_>) -> Result<ShardFilter, Refusal> {
    const KINDS: [&str; 6] =
        ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"];
    let [kind] = required([("shardFilter.type", plain(&filter.kind))])?;
    if !KINDS.contains(&kind) {
        return Err(not_in_set("shardFilter.type", kind, &KINDS));
    }
    if let Some(shard) = plain(&filter.shard_id) {
        let mut violations = Violations::new();
        violations.name("shardFilter.shardId", shard);
        violations.finish()?;
    }
    let by_time = matches!(kind, "AT_TIMESTAMP" | "FROM_TIMESTAMP");
    if filter.shard_id.is_some() && kind != "AFTER_SHARD_ID" {
        return Err(invalid(format!("ShardId must not be given with a ShardFilter of type {kind}.")));
    }
    if filter.timestamp.is_some() && !by_time {
        return Err(invalid(format!("Timestamp must not be given with a ShardFilter of type {kind}.")));
    }
    let time_ms = || {
        let time = filter.timestamp.map(Time::as_millis);
        time.ok_or_else(|| invalid(format!("Timestamp must be given with a ShardFilter of type {kind}.")))
    };
    Ok(match kind {
        "AFTER_SHARD_ID" => {
            let id = plain(&filter.shard_id).and_then(ShardId::parse);
            ShardFilter::AfterShardId(
                id.ok_or_else(|| invalid("A valid ShardId must be given with a ShardFilter of type AFTER_SHARD_ID."))?,
            )
        }
        "AT_TRIM_HORIZON" => ShardFilter::AtTrimHorizon,
        "FROM_TRIM_HORIZON" => ShardFilter::FromTrimHorizon,
        "AT_LATEST" => ShardFilter::AtLatest,
        "AT_TIMESTAMP" => ShardFilter::AtTimestamp(time_ms()?),
        _ => ShardFilter::FromTimestamp(time_ms()?),
    })
}
