//! What a stream is set to: retention, mode, record size, encryption, monitoring; and what the account may have.

use serde::Deserialize;

use super::super::request::{Text, plain};
use super::super::value::Map;
use super::streams::{StreamModeDetails, distribution, stream_mode};
use super::{Answer, Call, Refusal, invalid, missing_if, not_in_set, required};
use crate::local::model::{Model, ModelError};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retention<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    retention_period_hours: Option<i64>,
}

pub fn increase_retention<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    change_retention(model, call, Model::increase_retention)
}

pub fn decrease_retention<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    change_retention(model, call, Model::decrease_retention)
}

fn change_retention<'m>(
    model: &'m mut Model,
    call: &Call<'_>,
    change: fn(&mut Model, i64, &str, i64) -> Result<(), ModelError>,
) -> Result<Answer<'m>, Refusal> {
    let request: Retention<'_> = call.read()?;
    missing_if([("retentionPeriodHours", request.retention_period_hours.is_none())])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    change(model, call.now_ms, stream, request.retention_period_hours.unwrap_or_default())?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateStreamMode<'a> {
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    stream_mode_details: Option<StreamModeDetails<'a>>,
}

pub fn update_stream_mode<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: UpdateStreamMode<'_> = call.read()?;
    missing_if([
        ("streamARN", request.stream_arn.is_none()),
        ("streamModeDetails", request.stream_mode_details.is_none()),
    ])?;
    let mode = stream_mode(request.stream_mode_details.as_ref())?;
    let stream = model.stream_name(None, plain(&request.stream_arn))?;
    model.update_stream_mode(call.now_ms, stream, mode)?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateDistribution<'a> {
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    record_distribution_strategy: Option<Text<'a>>,
}

pub fn update_distribution<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: UpdateDistribution<'_> = call.read()?;
    let [arn, word] = required([
        ("streamARN", plain(&request.stream_arn)),
        ("recordDistributionStrategy", plain(&request.record_distribution_strategy)),
    ])?;
    let to = distribution(Some(word))?.unwrap_or_default();
    let stream = model.stream_name(None, Some(arn))?;
    model.update_distribution(call.now_ms, stream, to)?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateMaxRecordSize<'a> {
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: Option<i64>,
}

pub fn update_max_record_size<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: UpdateMaxRecordSize<'_> = call.read()?;
    missing_if([("maxRecordSizeInKiB", request.max_record_size_in_kib.is_none())])?;
    let arn = plain(&request.stream_arn).ok_or_else(|| invalid("StreamARN must be given."))?;
    let stream = model.stream_name(None, Some(arn))?;
    model.update_max_record_size(call.now_ms, stream, request.max_record_size_in_kib.unwrap_or_default())?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encryption<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    encryption_type: Option<Text<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
}

pub fn start_encryption<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    change_encryption(model, call, Model::start_encryption)
}

pub fn stop_encryption<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    change_encryption(model, call, Model::stop_encryption)
}

fn change_encryption<'m>(
    model: &'m mut Model,
    call: &Call<'_>,
    change: fn(&mut Model, i64, &str, &str) -> Result<(), ModelError>,
) -> Result<Answer<'m>, Refusal> {
    let request: Encryption<'_> = call.read()?;
    let [kind, key_id] =
        required([("encryptionType", plain(&request.encryption_type)), ("keyId", plain(&request.key_id))])?;
    match kind {
        "KMS" => {}
        "NONE" => return Err(invalid("EncryptionType NONE is no type to encrypt with: it must be KMS.")),
        other => return Err(not_in_set("encryptionType", other, &["NONE", "KMS"])),
    }
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    change(model, call.now_ms, stream, key_id)?;
    Ok(Answer::Empty)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Monitoring<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_level_metrics: Option<Vec<Text<'a>>>,
}

pub fn enable_monitoring<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    change_monitoring(model, call, true)
}

pub fn disable_monitoring<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    change_monitoring(model, call, false)
}

fn change_monitoring<'m>(model: &'m mut Model, call: &Call<'_>, on: bool) -> Result<Answer<'m>, Refusal> {
    let request: Monitoring<'_> = call.read()?;
    missing_if([("shardLevelMetrics", request.shard_level_metrics.is_none())])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let metrics = request.shard_level_metrics.iter().flatten().map(Text::as_str).collect::<Vec<_>>();
    let change = model.change_monitoring(call.now_ms, stream, on, metrics.into_iter())?;
    Ok(Map::new()
        .with("StreamName", stream.to_owned())
        .with("CurrentShardLevelMetrics", change.current)
        .with("DesiredShardLevelMetrics", change.desired)
        .with("StreamARN", model.stream_arn(stream))
        .into())
}

#[derive(Debug, Deserialize)]
struct Nothing {}

pub fn describe_limits<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let Nothing {} = call.read()?;
    let limits = model.limits(call.now_ms);
    Ok(Map::new()
        .with("ShardLimit", i64::from(limits.shard_limit))
        .with("OpenShardCount", limits.open_shards)
        .with("OnDemandStreamCount", limits.on_demand_streams)
        .with("OnDemandStreamCountLimit", limits.on_demand_stream_limit)
        .into())
}

/// The account has committed itself to nothing, which UpdateAccountSettings could change if it were here.
pub fn describe_account_settings<'m>(_: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let Nothing {} = call.read()?;
    let commitment = Map::new().with("Status", "DISABLED");
    Ok(Map::new().with("MinimumThroughputBillingCommitment", commitment).into())
}
