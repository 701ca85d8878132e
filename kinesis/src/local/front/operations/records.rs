//! Records: put, and read at shard iterators.

use bytes::Bytes;
use serde::Deserialize;

use super::super::request::{AtMost, Data, NotBase64, Text, Time, plain};
use super::super::value::Map;
use super::{Answer, Call, Refusal, invalid, not_in_set, required, unless_dry};
use crate::local::front::{answer, common};
use crate::local::model::{
    IteratorPosition, Model, PARTITION_KEY_CHARS_MAX, PutEntry, PutFailure, RECORDS_MAX, Violations,
};

/// In the order in which the service names them.
pub const ITERATOR_TYPES: [&str; 5] =
    ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"];

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
    dry_run: Option<bool>,
}

pub fn get_shard_iterator<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: GetShardIterator<'_> = call.read()?;
    let [shard, kind] =
        required([("shardId", plain(&request.shard_id)), ("shardIteratorType", plain(&request.shard_iterator_type))])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let position = iterator_position(kind, &request)?;
    let shard_iterator = model.get_shard_iterator(call.now_ms, stream, shard, position)?;
    unless_dry(request.dry_run)?;
    Ok(Map::new().with("ShardIterator", shard_iterator).into())
}

fn iterator_position<'a>(kind: &str, request: &'a GetShardIterator<'_>) -> Result<IteratorPosition<'a>, Refusal> {
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
        _ => Err(not_in_set("shardIteratorType", kind, &ITERATOR_TYPES)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecords<'a> {
    #[serde(borrow)]
    shard_iterator: Option<Text<'a>>,
    limit: Option<i64>,
    #[serde(borrow)]
    stream_id: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    dry_run: Option<bool>,
}

pub fn get_records<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: GetRecords<'_> = call.read()?;
    let [iterator] = required([("shardIterator", plain(&request.shard_iterator))])?;
    check_stream(&request.stream_id, &request.stream_arn)?;
    if let Some(arn) = plain(&request.stream_arn) {
        let stream = model.stream_name(None, Some(arn))?;
        if model.place_of(iterator).is_some_and(|(of, _)| of != stream) {
            return Err(invalid(format!("ShardIterator is not of the stream that StreamARN {arn} names.")));
        }
    }
    let page = model.get_records(call.now_ms, iterator, request.limit)?;
    unless_dry(request.dry_run)?;
    Ok(Answer::Records(page))
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
    #[serde(borrow)]
    stream_id: Option<Text<'a>>,
    dry_run: Option<bool>,
}

pub fn put_record<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: PutRecord<'_> = call.read()?;
    let mut missing = Violations::new();
    let auto = needs_no_key(model, &request.stream_name, &request.stream_arn);
    check_key(&mut missing, &request.partition_key, auto, || "partitionKey".to_owned());
    if request.data.is_none() {
        missing.missing("data");
    }
    missing.finish()?;
    check_stream(&request.stream_id, &request.stream_arn)?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let mut data = Vec::new();
    request.data.iter().try_for_each(|encoded| encoded.append_to(&mut data))?;
    let entry = PutEntry {
        partition_key: plain(&request.partition_key).unwrap_or_default(),
        explicit_hash_key: plain(&request.explicit_hash_key),
        data: data.into(),
    };
    let ordering = plain(&request.sequence_number_for_ordering);
    if request.dry_run == Some(true) {
        let _ = model.check_put_record(call.now_ms, stream, &entry, ordering)?;
    }
    unless_dry(request.dry_run)?;
    let placed = model.put_record(call.now_ms, stream, entry, ordering)??;
    Ok(answer::placed(placed).with_some("EncryptionType", encryption(model, stream)).into())
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
    #[serde(borrow)]
    stream_id: Option<Text<'a>>,
    dry_run: Option<bool>,
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
    let auto = needs_no_key(model, &request.stream_name, &request.stream_arn);
    for (i, entry) in records.iter().enumerate() {
        check_key(&mut missing, &entry.partition_key, auto, || format!("records.{}.member.partitionKey", i + 1));
        if entry.data.is_none() {
            missing.missing(&format!("records.{}.member.data", i + 1));
        }
    }
    missing.finish()?;
    check_stream(&request.stream_id, &request.stream_arn)?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;

    let mut data = decode_all(records)?.into_iter();
    let entries = records.iter().map(|entry| PutEntry {
        partition_key: plain(&entry.partition_key).unwrap_or_default(),
        explicit_hash_key: plain(&entry.explicit_hash_key),
        data: data.next().expect("one for one"),
    });
    let entries: Vec<_> = entries.collect();
    if request.dry_run == Some(true) {
        let _ = model.check_put_records(call.now_ms, stream, &entries)?;
    }
    unless_dry(request.dry_run)?;
    let put = model.put_records(call.now_ms, stream, entries)?;
    let failed = put.iter().filter(|record| record.is_err()).count();
    let records: Vec<_> = put.into_iter().map(|record| record.map_or_else(failure, answer::placed)).collect();
    Ok(Map::new()
        .with("FailedRecordCount", failed)
        .with("Records", records)
        .with_some("EncryptionType", encryption(model, stream))
        .into())
}

/// What is said of records put into an encrypted stream. Of others nothing is.
fn encryption(model: &Model, stream: &str) -> Option<&'static str> {
    model.is_encrypted(stream).then_some("KMS")
}

fn needs_no_key(model: &Model, name: &Option<Text<'_>>, arn: &Option<Text<'_>>) -> bool {
    model.stream_name(plain(name), plain(arn)).is_ok_and(|stream| model.takes_records_without_key(stream))
}

/// A record must have a key unless the service distributes it. One of no characters is none that it could have.
fn check_key(violations: &mut Violations, key: &Option<Text<'_>>, auto: bool, at: impl Fn() -> String) {
    match plain(key) {
        None if !auto => violations.missing(&at()),
        Some("") if auto => violations.characters(&at(), "", 1, PARTITION_KEY_CHARS_MAX),
        _ => {}
    }
}

/// The constraints of the members that name the stream, but for its name.
fn check_stream(id: &Option<Text<'_>>, arn: &Option<Text<'_>>) -> Result<(), Refusal> {
    let mut violations = Violations::new();
    common::stream_id(&mut violations, plain(id));
    if let Some(arn) = plain(arn) {
        common::stream_arn(&mut violations, arn);
    }
    Ok(violations.finish()?)
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
