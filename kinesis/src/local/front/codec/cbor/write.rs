//! Values into CBOR, definite lengths only.

use ciborium_ll::{Encoder, Header};

use super::super::super::value::{Map, Value};
use super::super::page_tail;
use super::super::pieced::{Pieced, Pieces};
use super::{FALSE, NULL, TIME_TAG, TRUE};
use crate::local::model::GetRecordsAnswer;

/// A head is one byte and up to eight of its number.
const HEAD_BYTES_MAX: usize = 9;
/// Bytes of a record beside its key and data, at most.
const RECORD_BYTES: usize = 160;
/// Bytes of a page beside its records, roughly.
const PAGE_BYTES: usize = 640;

#[inline]
fn head(body: &mut Vec<u8>, header: Header) {
    let mut room = [0; HEAD_BYTES_MAX];
    let mut rest = &mut room[..];
    Encoder::from(&mut rest).push(header).expect("room for the longest head");
    let used = HEAD_BYTES_MAX - rest.len();
    body.extend_from_slice(&room[..used]);
}

pub fn push_map(body: &mut Vec<u8>, members: &Map) {
    head(body, Header::Map(Some(members.members().len())));
    push_members(body, members);
}

/// The members without the map's head.
fn push_members(body: &mut Vec<u8>, members: &Map) {
    for (name, value) in members.members() {
        push_text(body, name);
        push(body, value);
    }
}

fn push(body: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => head(body, Header::Simple(NULL)),
        Value::Bool(value) => head(body, Header::Simple(if *value { TRUE } else { FALSE })),
        Value::Int(number) => push_int(body, *number),
        Value::Text(text) => push_text(body, text),
        Value::Time(time_ms) => push_time(body, *time_ms),
        Value::List(items) => {
            head(body, Header::Array(Some(items.len())));
            items.iter().for_each(|item| push(body, item));
        }
        Value::Map(members) => push_map(body, members),
    }
}

/// The one answer that may be large, written without a tree.
pub fn get_records(page: GetRecordsAnswer<'_>) -> Pieces {
    let mut body = Pieced::new(page.records.len());
    let tail = page_tail(page.next_iterator, page.millis_behind_latest, page.child_shards);
    let begin = body.room(PAGE_BYTES);
    head(begin, Header::Map(Some(1 + tail.members().len())));
    push_text(begin, "Records");
    head(begin, Header::Array(Some(page.records.len())));
    for record in page.records {
        let body = body.room(record.data.len() + record.partition_key.len() + RECORD_BYTES);
        // The heads that are the same in every record are written out: {members, text of 56, tag 1 and 64 bits.
        let has_key = !record.partition_key.is_empty();
        body.push(0xa3 + u8::from(has_key) + u8::from(record.encrypted));
        body.extend_from_slice(b"\x6eSequenceNumber\x78\x38");
        body.extend_from_slice(record.sequence_digits);
        body.extend_from_slice(b"\x78\x1bApproximateArrivalTimestamp\xc1");
        push_int(body, record.arrival_ms);
        body.extend_from_slice(b"\x64Data");
        push_bytes(body, record.data);
        if has_key {
            body.extend_from_slice(b"\x6cPartitionKey");
            push_text(body, record.partition_key);
        }
        if record.encrypted {
            body.extend_from_slice(b"\x6eEncryptionType\x63KMS");
        }
    }
    push_members(body.room(PAGE_BYTES), &tail);
    body.finish()
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    head(body, Header::Text(Some(text.len())));
    body.extend_from_slice(text.as_bytes());
}

fn push_bytes(body: &mut Vec<u8>, data: &[u8]) {
    head(body, Header::Bytes(Some(data.len())));
    body.extend_from_slice(data);
}

fn push_time(body: &mut Vec<u8>, time_ms: i64) {
    head(body, Header::Tag(TIME_TAG));
    push_int(body, time_ms);
}

fn push_int(body: &mut Vec<u8>, number: i64) {
    head(body, u64::try_from(number).map_or_else(|_| Header::Negative(number.unsigned_abs() - 1), Header::Positive));
}
