//! Consumers of enhanced fan-out: registered, described, listed; not pushed to yet.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::request::{Text, plain};
use super::super::value::{Map, Value};
use super::records::ITERATOR_TYPES;
use super::{Answer, Call, Refusal, invalid, missing_if, required, unless_dry};
use crate::local::model::{ConsumerDescription, ConsumerName, Model, Violations};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Register<'a> {
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    consumer_name: Option<Text<'a>>,
    tags: Option<BTreeMap<String, String>>,
}

pub fn register<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: Register<'_> = call.read()?;
    let [name, arn] =
        required([("consumerName", plain(&request.consumer_name)), ("streamARN", plain(&request.stream_arn))])?;
    let consumer = model.register_consumer(call.now_ms, arn, name, request.tags)?;
    Ok(Map::new().with("Consumer", shown(consumer)).into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named<'a> {
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    consumer_name: Option<Text<'a>>,
    #[serde(rename = "ConsumerARN", borrow)]
    consumer_arn: Option<Text<'a>>,
}

impl Named<'_> {
    fn name(&self) -> Result<ConsumerName<'_>, Refusal> {
        match (plain(&self.consumer_arn), plain(&self.stream_arn), plain(&self.consumer_name)) {
            (Some(arn), _, _) => Ok(ConsumerName::Arn(arn)),
            (None, Some(stream_arn), Some(name)) => Ok(ConsumerName::Of { stream_arn, name }),
            _ => Err(invalid("Either ConsumerARN or both StreamARN and ConsumerName must be given.")),
        }
    }
}

pub fn deregister<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: Named<'_> = call.read()?;
    model.deregister_consumer(call.now_ms, request.name()?)?;
    Ok(Answer::Empty)
}

pub fn describe<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: Named<'_> = call.read()?;
    let consumer = model.describe_consumer(call.now_ms, request.name()?)?;
    let stream_arn = consumer.stream_arn.clone();
    let description = shown(consumer).with("StreamARN", stream_arn);
    Ok(Map::new().with("ConsumerDescription", description).into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List<'a> {
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
    max_results: Option<i64>,
}

pub fn list<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: List<'_> = call.read()?;
    let [arn] = required([("streamARN", plain(&request.stream_arn))])?;
    let listed = model.list_consumers(call.now_ms, arn, request.max_results, plain(&request.next_token))?;
    let consumers: Vec<_> = listed.consumers.into_iter().map(shown).collect();
    Ok(Map::new().with("Consumers", consumers).with_some("NextToken", listed.next_token).into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Subscribe<'a> {
    #[serde(rename = "ConsumerARN", borrow)]
    consumer_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_id: Option<Text<'a>>,
    #[serde(borrow)]
    starting_position: Option<Position<'a>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Position<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    sequence_number: Option<Text<'a>>,
}

/// Checks what can be checked, and then says that it cannot be done.
pub fn subscribe<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: Subscribe<'_> = call.read()?;
    missing_if([
        ("startingPosition", request.starting_position.is_none()),
        ("shardId", request.shard_id.is_none()),
        ("consumerARN", request.consumer_arn.is_none()),
    ])?;
    let mut violations = Violations::new();
    violations.name("shardId", plain(&request.shard_id).unwrap_or_default());
    if let Some(position) = &request.starting_position {
        match plain(&position.kind) {
            None => violations.missing("startingPosition.type"),
            Some(kind) if ITERATOR_TYPES.contains(&kind) => {}
            Some(other) => violations.not_in_set("startingPosition.type", other, &ITERATOR_TYPES),
        }
        if let Some(number) = plain(&position.sequence_number) {
            violations.decimal(|| "startingPosition.sequenceNumber".to_owned(), number, 129);
        }
    }
    violations.finish()?;
    let arn = plain(&request.consumer_arn).unwrap_or_default();
    let _ = model.describe_consumer(call.now_ms, ConsumerName::Arn(arn))?;
    unless_dry(request.dry_run)?;
    Err(invalid("SubscribeToShard is not served by this local endpoint yet: read the shard with GetRecords."))
}

fn shown(consumer: ConsumerDescription) -> Map {
    Map::new()
        .with("ConsumerName", consumer.name)
        .with("ConsumerARN", consumer.arn)
        .with("ConsumerStatus", consumer.status.name())
        .with("ConsumerCreationTimestamp", Value::Time(consumer.created_ms))
}
