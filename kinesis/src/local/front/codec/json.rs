//! JSON 1.1: blobs as base64, timestamps as seconds with three decimals.

use serde::{Deserialize, Serialize};

use super::super::value::{Map, Value};
use super::pieced::{Pieced, Pieces};
use super::{BadBody, page_tail};
use crate::local::model::{GetRecordsAnswer, RecordView};

/// Bytes of a record's JSON beside its key and data, roughly; only to reserve room.
const RECORD_BYTES: usize = 195;
/// Bytes of a page beside its records, roughly.
const PAGE_BYTES: usize = 640;

pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    // A derived decoder would take `["a"]` for `{"StreamName": "a"}`; the service does not.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(BadBody { message: None });
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = (error.classify() == serde_json::error::Category::Data).then(|| error.to_string());
        BadBody { message }
    })
}

pub fn push_map(body: &mut Vec<u8>, members: &Map) {
    body.push(b'{');
    push_members(body, members);
    body.push(b'}');
}

/// The members without the braces around them.
fn push_members(body: &mut Vec<u8>, members: &Map) {
    for (i, (name, value)) in members.members().iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        push_json(body, *name);
        body.push(b':');
        push(body, value);
    }
}

fn push(body: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => body.extend_from_slice(b"null"),
        Value::Bool(value) => push_json(body, value),
        Value::Int(number) => push_json(body, number),
        Value::Text(text) => push_json(body, &**text),
        Value::Time(time_ms) => push_seconds(body, *time_ms),
        Value::List(items) => {
            body.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    body.push(b',');
                }
                push(body, item);
            }
            body.push(b']');
        }
        Value::Map(members) => push_map(body, members),
    }
}

/// The one answer that may be large, written without a tree.
pub fn get_records(page: GetRecordsAnswer<'_>) -> Pieces {
    let room = |record: &RecordView<'_>| record.data.len().div_ceil(3) * 4 + record.partition_key.len() + RECORD_BYTES;
    let mut body = Pieced::new(page.records.len());
    body.room(PAGE_BYTES).extend_from_slice(b"{\"Records\":[");
    for (i, record) in page.records.enumerate() {
        let body = body.room(room(&record));
        body.extend_from_slice(if i == 0 { b"{\"SequenceNumber\":\"" } else { b",{\"SequenceNumber\":\"" });
        body.extend_from_slice(record.sequence_digits);
        body.extend_from_slice(b"\",\"ApproximateArrivalTimestamp\":");
        push_seconds(body, record.arrival_ms);
        body.extend_from_slice(b",\"Data\":");
        push_base64(body, record.data);
        if !record.partition_key.is_empty() {
            body.extend_from_slice(b",\"PartitionKey\":");
            push_key(body, record.partition_key);
        }
        body.extend_from_slice(if record.encrypted { b",\"EncryptionType\":\"KMS\"}" } else { b"}" });
    }
    let tail = body.room(PAGE_BYTES);
    tail.extend_from_slice(b"],");
    push_members(tail, &page_tail(page.next_iterator, page.millis_behind_latest, page.child_shards));
    tail.push(b'}');
    body.finish()
}

fn push_json(body: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(body, value).expect("plain values always serialize into memory");
}

fn push_base64(body: &mut Vec<u8>, data: &[u8]) {
    body.push(b'"');
    base64_simd::STANDARD.encode_append(data, body);
    body.push(b'"');
}

/// A text that most often needs no escapes, which serde_json would look for byte by byte.
fn push_key(body: &mut Vec<u8>, key: &str) {
    if key.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        return push_json(body, key);
    }
    body.push(b'"');
    body.extend_from_slice(key.as_bytes());
    body.push(b'"');
}

/// Seconds with the milliseconds as decimals: `1795395060.708`.
fn push_seconds(body: &mut Vec<u8>, time_ms: i64) {
    let (whole, millis) = (time_ms.unsigned_abs() / 1_000, time_ms.unsigned_abs() % 1_000);
    if time_ms < 0 {
        body.push(b'-');
    }
    push_json(body, &whole);
    let digit = |value: u64| b'0' + u8::try_from(value % 10).expect("a digit");
    body.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_keeps_the_zeros_of_its_milliseconds() {
        let mut body = Vec::new();
        for time_ms in [1_795_395_060_007, 1_795_395_060_000, -1_500] {
            push_seconds(&mut body, time_ms);
            body.push(b' ');
        }
        assert_eq!(String::from_utf8(body).unwrap(), "1795395060.007 1795395060.000 -1.500 ");
    }

    #[test]
    fn tree_is_written_in_its_order() {
        let inner = Map::new().with("List", vec![1_i64, -2]).with("No", Value::Null).with("Yes", true);
        let tree = Map::new()
            .with("Text", "a \"quote\"")
            .with_some("Absent", None::<String>)
            .with("At", Value::Time(1_500))
            .with("Inner", inner);
        let mut body = Vec::new();
        push_map(&mut body, &tree);
        let expected = r#"{"Text":"a \"quote\"","At":1.500,"Inner":{"List":[1,-2],"No":null,"Yes":true}}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
