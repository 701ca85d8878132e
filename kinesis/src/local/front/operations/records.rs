//! Records: put, and read at shard iterators.

use bytes::Bytes;
use serde::Deserialize;

use super::super::request::{AtMost, Data, NotBase64, Text, Time, plain};
use super::super::value::Map;
use super::{Answer, Call, Refusal, invalid, not_in_set, required};
use crate::local::front::answer;
use crate::local::model::{IteratorPosition, Model, PutEntry, PutFailure, RECORDS_MAX, Violations};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIterator<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_id: Option<Text<'a>>,
    #[serde(borrow)]
    shard_iterator_type: Option<Text<'a>>,
    #[serde(borrow)]
    starting_sequence_number: Option<Text<'a>>,
    timestamp: Option<Time>,
}

pub fn get_shard_iterator<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: GetShardIterator<'_> = call.read()?;
    let [shard, kind] =
        required([("shardId", plain(&request.shard_id)), ("shardIteratorType", plain(&request.shard_iterator_type))])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let position = iterator_position(kind, &request)?;
    let shard_iterator = model.get_shard_iterator(call.now_ms, stream, shard, position)?;
    Ok(Map::new().with("ShardIterator", shard_iterator).into())
}

fn iterator_position<'a>(kind: &str, request: &'a GetShardIterator<'_>) -> Result<IteratorPosition<'a>, Refusal> {
    const KINDS: [&str; 5] = ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"];
    let sequence = plain(&request.starting_sequence_number);
    let mismatch = |which: &str| {
        invalid(format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or \
             (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {kind} and {which} \
             StartingSequenceNumber."
        ))
    };
    match (kind, sequence) {
        ("AT_SEQUENCE_NUMBER", Some(number)) => Ok(IteratorPosition::AtSequence(number)),
        ("AFTER_SEQUENCE_NUMBER", Some(number)) => Ok(IteratorPosition::AfterSequence(number)),
        ("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER", None) => Err(mismatch("no")),
        ("TRIM_HORIZON", None) => Ok(IteratorPosition::TrimHorizon),
        ("LATEST", None) => Ok(IteratorPosition::Latest),
        ("TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP", Some(_)) => Err(mismatch("also a")),
        ("AT_TIMESTAMP", None) => match request.timestamp {
            Some(time) => Ok(IteratorPosition::AtTimestamp(time.as_millis())),
            None => Err(invalid(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no \
                 timestamp parameter.",
            )),
        },
        _ => Err(not_in_set("shardIteratorType", kind, &KINDS)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecords<'a> {
    #[serde(borrow)]
    shard_iterator: Option<Text<'a>>,
    limit: Option<i64>,
}

pub fn get_records<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: GetRecords<'_> = call.read()?;
    let [iterator] = required([("shardIterator", plain(&request.shard_iterator))])?;
    Ok(Answer::Records(model.get_records(call.now_ms, iterator, request.limit)?))
}

// The entry's members are spelled out here too: serde's `flatten` would go through a buffer that forgets which encoding
// it came from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecord<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    sequence_number_for_ordering: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(borrow)]
    partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    explicit_hash_key: Option<Text<'a>>,
}

pub fn put_record<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: PutRecord<'_> = call.read()?;
    let mut missing = Violations::new();
    if request.partition_key.is_none() {
        missing.missing("partitionKey");
    }
    if request.data.is_none() {
        missing.missing("data");
    }
    missing.finish()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let mut data = Vec::new();
    request.data.iter().try_for_each(|encoded| encoded.append_to(&mut data))?;
    let entry = PutEntry {
        partition_key: plain(&request.partition_key).unwrap_or_default(),
        explicit_hash_key: plain(&request.explicit_hash_key),
        data: data.into(),
    };
    let placed = model.put_record(call.now_ms, stream, entry, plain(&request.sequence_number_for_ordering))??;
    Ok(answer::placed(placed).into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecords<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    records: Option<AtMost<Entry<'a>, RECORDS_MAX>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(borrow)]
    partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    explicit_hash_key: Option<Text<'a>>,
}

pub fn put_records<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: PutRecords<'_> = call.read()?;
    let mut missing = Violations::new();
    if request.records.is_none() {
        missing.missing("records");
    }
    let records = request.records.as_ref().map_or(&[][..], |records| &records.0);
    for (i, entry) in records.iter().enumerate() {
        if entry.partition_key.is_none() {
            missing.missing(&format!("records.{}.member.partitionKey", i + 1));
        }
        if entry.data.is_none() {
            missing.missing(&format!("records.{}.member.data", i + 1));
        }
    }
    missing.finish()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;

    let mut data = decode_all(records)?.into_iter();
    let entries = records.iter().map(|entry| PutEntry {
        partition_key: plain(&entry.partition_key).unwrap_or_default(),
        explicit_hash_key: plain(&entry.explicit_hash_key),
        data: data.next().expect("one for one"),
    });
    let entries = entries.collect();
    let put = model.put_records(call.now_ms, stream, entries)?;
    let failed = put.iter().filter(|record| record.is_err()).count();
    let records: Vec<_> = put.into_iter().map(|record| record.map_or_else(failure, answer::placed)).collect();
    Ok(Map::new().with("FailedRecordCount", failed).with("Records", records).into())
}

/// The data of a call's records: parts of one buffer.
fn decode_all(records: &[Entry<'_>]) -> Result<Vec<Bytes>, Refusal> {
    let encoded = || records.iter().filter_map(|entry| entry.data.as_ref());
    let mut data = Vec::with_capacity(encoded().map(Data::length_max).sum());
    let mut ends = Vec::with_capacity(records.len());
    for encoded in encoded() {
        encoded.append_to(&mut data)?;
        ends.push(data.len());
    }
    let (data, mut start) = (Bytes::from(data), 0);
    Ok(ends.into_iter().map(|end| data.slice(std::mem::replace(&mut start, end)..end)).collect())
}

fn failure(failure: PutFailure) -> Map {
    Map::new().with("ErrorCode", failure.code).with("ErrorMessage", failure.message)
}

impl From<PutFailure> for Refusal {
    fn from(failure: PutFailure) -> Refusal {
        Refusal::Said { exception: failure.code, message: Some(failure.message) }
    }
}

impl From<NotBase64> for Refusal {
    fn from(NotBase64: NotBase64) -> Refusal {
        let message = "Data can not be converted to a Blob: it is not Base64 with padding".to_owned();
        Refusal::Said { exception: "SerializationException", message: Some(message) }
    }
}
