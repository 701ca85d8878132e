//! What can be asked: the request's members, the call of the model, the answer's members; a file for each group.

mod consumers;
mod records;
mod reshard;
mod settings;
mod shards;
mod streams;
mod tags;

use serde::Deserialize;

use super::Refusal;
use super::codec::Codec;
use super::value::Map;
use crate::local::model::{ErrorCode, GetRecordsAnswer, Model, ModelError, Violations};

/// Reads the request, asks the model, says what to answer.
pub type Operation = for<'m> fn(&'m mut Model, &Call<'_>) -> Result<Answer<'m>, Refusal>;

/// One request to one operation.
#[derive(Debug)]
pub struct Call<'a> {
    /// When it came, ms since the epoch.
    pub now_ms: i64,
    pub codec: Codec,
    pub body: &'a [u8],
}

/// What is answered, in no encoding yet.
#[derive(Debug)]
pub enum Answer<'m> {
    /// No body at all, as of the operations that give nothing back.
    Empty,
    /// The members of the answer.
    Members(Map),
    /// A page of records, which may be large.
    Records(GetRecordsAnswer<'m>),
}

impl From<Map> for Answer<'_> {
    fn from(members: Map) -> Self {
        Answer::Members(members)
    }
}

/// The operation of this name, if this endpoint has it.
pub fn find(name: &str) -> Option<Operation> {
    Some(match name {
        "AddTagsToStream" => tags::add_tags,
        "CreateStream" => streams::create_stream,
        "DecreaseStreamRetentionPeriod" => settings::decrease_retention,
        "DeleteStream" => streams::delete_stream,
        "DeregisterStreamConsumer" => consumers::deregister,
        "DescribeAccountSettings" => settings::describe_account_settings,
        "DescribeLimits" => settings::describe_limits,
        "DescribeStream" => streams::describe_stream,
        "DescribeStreamConsumer" => consumers::describe,
        "DescribeStreamSummary" => streams::describe_stream_summary,
        "DisableEnhancedMonitoring" => settings::disable_monitoring,
        "EnableEnhancedMonitoring" => settings::enable_monitoring,
        "GetRecords" => records::get_records,
        "GetShardIterator" => records::get_shard_iterator,
        "IncreaseStreamRetentionPeriod" => settings::increase_retention,
        "ListShards" => shards::list_shards,
        "ListStreamConsumers" => consumers::list,
        "ListStreams" => streams::list_streams,
        "ListTagsForResource" => tags::list_tags_of_resource,
        "ListTagsForStream" => tags::list_tags,
        "MergeShards" => reshard::merge_shards,
        "PutRecord" => records::put_record,
        "PutRecords" => records::put_records,
        "RegisterStreamConsumer" => consumers::register,
        "RemoveTagsFromStream" => tags::remove_tags,
        "SplitShard" => reshard::split_shard,
        "StartStreamEncryption" => settings::start_encryption,
        "StopStreamEncryption" => settings::stop_encryption,
        "SubscribeToShard" => consumers::subscribe,
        "TagResource" => tags::tag_resource,
        "UntagResource" => tags::untag_resource,
        "UpdateMaxRecordSize" => settings::update_max_record_size,
        "UpdateShardCount" => reshard::update_shard_count,
        "UpdateStreamMode" => settings::update_stream_mode,
        "UpdateStreamRecordDistributionStrategy" => settings::update_distribution,
        _ => return None,
    })
}

impl<'a> Call<'a> {
    /// The request's members. Unknown ones are ignored.
    fn read<T: Deserialize<'a>>(&self) -> Result<T, Refusal> {
        Ok(self.codec.read(self.body)?)
    }
}

/// All of them, or a refusal that names those which are absent.
fn required<'a, const N: usize>(members: [(&str, Option<&'a str>); N]) -> Result<[&'a str; N], Refusal> {
    missing_if(members.map(|(at, value)| (at, value.is_none())))?;
    Ok(members.map(|(_, value)| value.expect("the absent ones were refused above")))
}

/// A refusal that names the members which are absent, if any are.
fn missing_if<const N: usize>(members: [(&str, bool); N]) -> Result<(), Refusal> {
    let mut missing = Violations::new();
    for (at, _) in members.iter().filter(|(_, absent)| *absent) {
        missing.missing(at);
    }
    Ok(missing.finish()?)
}

/// What is said of a call that was to be tried only, if that is what was wanted.
fn unless_dry(dry_run: Option<bool>) -> Result<(), Refusal> {
    if dry_run != Some(true) {
        return Ok(());
    }
    let message = "The request was rejected because the DryRun parameter was specified.";
    Err(ModelError::new(ErrorCode::DryRun, message).into())
}

fn not_in_set(at: &str, value: &str, allowed: &[&str]) -> Refusal {
    let mut violations = Violations::new();
    violations.not_in_set(at, value, allowed);
    violations.finish().expect_err("one violation").into()
}

fn invalid(message: impl Into<String>) -> Refusal {
    ModelError::new(ErrorCode::InvalidArgument, message).into()
}
