//! One function an operation: body in, model called, body out.

use bytes::Bytes;
use serde::Deserialize;

use super::request::{self, Text, plain};
use super::{Refusal, answer};
use crate::local::model::{
    CreateStreamRequest, ErrorCode, IteratorPosition, ListShardsRequest, ListStreamsRequest, Model, ModelError,
    PutEntry, ShardFilter, ShardId, StreamMode, Violations,
};

pub type Operation = fn(&mut Model, i64, &[u8]) -> Result<Bytes, Refusal>;

/// The operation of this name, if this endpoint has it.
pub fn find(name: &str) -> Option<Operation> {
    Some(match name {
        "CreateStream" => create_stream,
        "DeleteStream" => delete_stream,
        "DescribeStream" => describe_stream,
        "DescribeStreamSummary" => describe_stream_summary,
        "GetRecords" => get_records,
        "GetShardIterator" => get_shard_iterator,
        "ListShards" => list_shards,
        "ListStreams" => list_streams,
        "PutRecord" => put_record,
        "PutRecords" => put_records,
        _ => return None,
    })
}

fn create_stream(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::CreateStream<'_> = parse(body)?;
    let [stream] = required([("streamName", plain(&request.stream_name))])?;
    let mode = request.stream_mode_details.as_ref().and_then(|details| plain(&details.stream_mode));
    let mode = match mode {
        None | Some("PROVISIONED") => StreamMode::Provisioned,
        Some("ON_DEMAND") => StreamMode::OnDemand,
        Some(other) => {
            return Err(not_in_set("streamModeDetails.streamMode", other, &["PROVISIONED", "ON_DEMAND"]));
        }
    };
    let request = CreateStreamRequest {
        stream,
        shard_count: request.shard_count,
        mode,
        record_kib_max: request.max_record_size_in_kib,
        tags: request.tags.unwrap_or_default().into_iter().collect(),
    };
    model.create_stream(now_ms, request)?;
    Ok(Bytes::new())
}

fn delete_stream(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::StreamOnly<'_> = parse(body)?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    model.delete_stream(now_ms, stream)?;
    Ok(Bytes::new())
}

fn describe_stream(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::DescribeStream<'_> = parse(body)?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let described = model.describe_stream(now_ms, stream, plain(&request.exclusive_start_shard_id), request.limit)?;
    Ok(answer::json(&answer::DescribeStream::from(described)))
}

fn describe_stream_summary(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::StreamOnly<'_> = parse(body)?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let summary = model.describe_stream_summary(now_ms, stream)?;
    Ok(answer::json(&answer::DescribeStreamSummary::from(summary)))
}

fn list_streams(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::ListStreams<'_> = parse(body)?;
    let listed = model.list_streams(
        now_ms,
        ListStreamsRequest {
            limit: request.limit,
            exclusive_start: plain(&request.exclusive_start_stream_name),
            next_token: plain(&request.next_token),
        },
    )?;
    Ok(answer::json(&answer::ListStreams::from(listed)))
}

fn list_shards(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::ListShards<'_> = parse(body)?;
    let (name, arn) = (plain(&request.stream_name), plain(&request.stream_arn));
    if name.is_none() && arn.is_some() && request.next_token.is_some() {
        return Err(invalid("NextToken and StreamARN cannot be provided together.".to_owned()));
    }
    let listed = model.list_shards(
        now_ms,
        ListShardsRequest {
            stream: if name.or(arn).is_some() { Some(model.stream_name(name, arn)?) } else { None },
            next_token: plain(&request.next_token),
            exclusive_start: plain(&request.exclusive_start_shard_id),
            max_results: request.max_results,
            filter: request.shard_filter.as_ref().map(shard_filter).transpose()?,
        },
    )?;
    Ok(answer::json(&answer::ListShards::from(listed)))
}

fn shard_filter(filter: &request::ShardFilter<'_>) -> Result<ShardFilter, Refusal> {
    const KINDS: [&str; 6] =
        ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"];
    let [kind] = required([("shardFilter.type", plain(&filter.kind))])?;
    let time_ms = || {
        let time = filter.timestamp.map(request::Seconds::as_millis);
        time.ok_or_else(|| invalid(format!("Timestamp must be given with a ShardFilter of type {kind}.")))
    };
    Ok(match kind {
        "AFTER_SHARD_ID" => {
            let id = plain(&filter.shard_id).and_then(ShardId::parse);
            ShardFilter::AfterShardId(id.ok_or_else(|| {
                invalid("A valid ShardId must be given with a ShardFilter of type AFTER_SHARD_ID.".to_owned())
            })?)
        }
        "AT_TRIM_HORIZON" => ShardFilter::AtTrimHorizon,
        "FROM_TRIM_HORIZON" => ShardFilter::FromTrimHorizon,
        "AT_LATEST" => ShardFilter::AtLatest,
        "AT_TIMESTAMP" => ShardFilter::AtTimestamp(time_ms()?),
        "FROM_TIMESTAMP" => ShardFilter::FromTimestamp(time_ms()?),
        other => return Err(not_in_set("shardFilter.type", other, &KINDS)),
    })
}

fn get_shard_iterator(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::GetShardIterator<'_> = parse(body)?;
    let [shard, kind] =
        required([("shardId", plain(&request.shard_id)), ("shardIteratorType", plain(&request.shard_iterator_type))])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let position = iterator_position(kind, &request)?;
    let shard_iterator = model.get_shard_iterator(now_ms, stream, shard, position)?;
    Ok(answer::json(&answer::GetShardIterator { shard_iterator }))
}

fn iterator_position<'a>(
    kind: &str,
    request: &'a request::GetShardIterator<'_>,
) -> Result<IteratorPosition<'a>, Refusal> {
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
                 timestamp parameter."
                    .to_owned(),
            )),
        },
        _ => Err(not_in_set("shardIteratorType", kind, &KINDS)),
    }
}

fn get_records(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::GetRecords<'_> = parse(body)?;
    let [iterator] = required([("shardIterator", plain(&request.shard_iterator))])?;
    Ok(answer::get_records(model.get_records(now_ms, iterator, request.limit)?))
}

fn put_record(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::PutRecord<'_> = parse(body)?;
    let entry = &request.entry;
    let [key, data] = required([("partitionKey", plain(&entry.partition_key)), ("data", plain(&entry.data))])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let entry = PutEntry {
        partition_key: key,
        explicit_hash_key: plain(&entry.explicit_hash_key),
        data: base64_simd::STANDARD.decode_to_vec(data).map_err(|_| not_base64())?.into(),
    };
    let ordering = plain(&request.sequence_number_for_ordering);
    match model.put_record(now_ms, stream, entry, ordering)? {
        Ok(placed) => Ok(answer::json(&answer::PutRecord::from(placed))),
        Err(failure) => Err(Refusal::Json { exception: failure.code, message: Some(failure.message) }),
    }
}

fn put_records(model: &mut Model, now_ms: i64, body: &[u8]) -> Result<Bytes, Refusal> {
    let request: request::PutRecords<'_> = parse(body)?;
    let mut missing = Violations::new();
    if request.records.is_none() {
        missing.missing("records");
    }
    let records = request.records.as_deref().unwrap_or_default();
    let mut encoded_bytes = 0;
    for (i, entry) in records.iter().enumerate() {
        encoded_bytes += entry.data.as_ref().map_or(0, |data| data.as_str().len());
        if entry.partition_key.is_none() {
            missing.missing(&format!("records.{}.member.partitionKey", i + 1));
        }
        if entry.data.is_none() {
            missing.missing(&format!("records.{}.member.data", i + 1));
        }
    }
    missing.finish()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;

    // One buffer for the call's data; each record keeps its part of it.
    let mut data = Vec::with_capacity(encoded_bytes / 4 * 3);
    let mut ends = Vec::with_capacity(records.len());
    for encoded in records.iter().filter_map(|entry| entry.data.as_ref()) {
        base64_simd::STANDARD.decode_append(encoded.as_str(), &mut data).map_err(|_| not_base64())?;
        ends.push(data.len());
    }
    let mut data = Bytes::from(data);
    let mut start = 0;
    let entries = records.iter().zip(ends).map(|(entry, end)| PutEntry {
        partition_key: entry.partition_key.as_ref().map(Text::as_str).unwrap_or_default(),
        explicit_hash_key: plain(&entry.explicit_hash_key),
        data: data.split_to(end - std::mem::replace(&mut start, end)),
    });
    let entries = entries.collect();
    let put = model.put_records(now_ms, stream, entries)?;
    Ok(answer::json(&answer::PutRecords::from(put)))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    Ok(serde_json::from_slice(body)?)
}

/// All of them, or a refusal that names those which are absent.
fn required<'a, const N: usize>(members: [(&str, Option<&'a str>); N]) -> Result<[&'a str; N], Refusal> {
    let mut missing = Violations::new();
    for (at, _) in members.iter().filter(|(_, value)| value.is_none()) {
        missing.missing(at);
    }
    missing.finish()?;
    Ok(members.map(|(_, value)| value.expect("the absent ones were refused above")))
}

fn not_in_set(at: &str, value: &str, allowed: &[&str]) -> Refusal {
    let mut violations = Violations::new();
    violations.not_in_set(at, value, allowed);
    violations.finish().expect_err("one violation").into()
}

fn invalid(message: String) -> Refusal {
    ModelError::new(ErrorCode::InvalidArgument, message).into()
}

fn not_base64() -> Refusal {
    let message = "Data can not be converted to a Blob: it is not Base64 with padding".to_owned();
    Refusal::Json { exception: "SerializationException", message: Some(message) }
}
