//! The same service in CBOR, spoken to by an encoder that is not ours.

use ciborium::Value as Cbor;

use super::*;

const CBOR: &str = Codec::Cbor.content_type();

fn map(members: Vec<(&str, Cbor)>) -> Cbor {
    Cbor::Map(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn member<'a>(value: &'a Cbor, name: &str) -> &'a Cbor {
    let members = value.as_map().unwrap_or_else(|| panic!("{value:?} is no map"));
    let found = members.iter().find(|(key, _)| key.as_text() == Some(name));
    &found.unwrap_or_else(|| panic!("no {name} in {value:?}")).1
}

impl Endpoint {
    fn send_cbor(&mut self, operation: &str, body: &[u8]) -> (StatusCode, Option<Cbor>) {
        let mut request = request(&format!("Kinesis_20131202.{operation}"), "");
        request.headers_mut().insert("content-type", HeaderValue::from_static(CBOR));
        *request.body_mut() = Bytes::copy_from_slice(body);
        let response = self.front.answer(&mut self.model, self.now_ms, request).map(Pieces::into_bytes);
        assert_eq!(response.headers()["content-type"], CBOR);
        let body = response.body();
        (response.status(), (!body.is_empty()).then(|| ciborium::from_reader(&body[..]).unwrap()))
    }

    fn call_cbor(&mut self, operation: &str, members: Vec<(&str, Cbor)>) -> (StatusCode, Option<Cbor>) {
        let mut body = Vec::new();
        ciborium::into_writer(&map(members), &mut body).unwrap();
        self.send_cbor(operation, &body)
    }

    #[track_caller]
    fn ok_cbor(&mut self, operation: &str, members: Vec<(&str, Cbor)>) -> Cbor {
        let (status, answer) = self.call_cbor(operation, members);
        assert_eq!(status, StatusCode::OK, "{answer:?}");
        answer.expect("a body")
    }
}

#[test]
fn record_put_in_one_encoding_is_read_in_the_other() {
    let mut endpoint = endpoint().with_stream();
    let bytes = Cbor::Bytes(vec![0, 1, 2, 255]);
    let mut by_cbor = vec![("StreamName", "s".into()), ("PartitionKey", "ключ".into()), ("Data", bytes.clone())];
    let put = endpoint.ok_cbor("PutRecord", by_cbor.clone());
    assert_eq!(member(&put, "ShardId").as_text(), Some("shardId-000000000000"));
    endpoint.ok("PutRecord", &json!({"StreamName": "s", "PartitionKey": "ключ", "Data": "AAEC/w=="}));
    by_cbor.remove(0);
    let records = vec![map(by_cbor.clone()), map(by_cbor)];
    let put = endpoint.ok_cbor("PutRecords", vec![("StreamName", "s".into()), ("Records", Cbor::Array(records))]);
    assert_eq!(member(&put, "FailedRecordCount"), &0.into());

    let at = Cbor::Tag(1, Box::new(T0.into()));
    let asked = vec![
        ("StreamName", "s".into()),
        ("ShardId", "shardId-000000000000".into()),
        ("ShardIteratorType", "AT_TIMESTAMP".into()),
        ("Timestamp", at.clone()),
    ];
    let token = member(&endpoint.ok_cbor("GetShardIterator", asked), "ShardIterator").clone();
    let page = endpoint.ok_cbor("GetRecords", vec![("ShardIterator", token.clone()), ("Limit", 10.into())]);
    let records = member(&page, "Records").as_array().unwrap();
    assert_eq!(records.len(), 4);
    for record in records {
        assert_eq!(member(record, "Data"), &bytes);
        assert_eq!(member(record, "PartitionKey").as_text(), Some("ключ"));
        assert_eq!(member(record, "ApproximateArrivalTimestamp"), &at, "milliseconds, as the Java SDK reads them");
        assert_eq!(member(record, "SequenceNumber").as_text().unwrap().len(), 56);
    }
    assert_eq!(member(&page, "MillisBehindLatest"), &0.into());
    assert!(member(&page, "NextShardIterator").is_text());

    let by_json = endpoint.ok("GetRecords", &json!({"ShardIterator": token.as_text()}));
    let by_json = by_json["Records"].as_array().unwrap();
    assert!(by_json.iter().all(|record| record["Data"] == "AAEC/w=="));
    let numbers = |name| records.iter().map(move |record| member(record, name).as_text().unwrap());
    assert!(by_json.iter().map(|record| record["SequenceNumber"].as_str().unwrap()).eq(numbers("SequenceNumber")));
}

#[test]
fn description_is_the_same_in_both_encodings() {
    let mut endpoint = endpoint().with_stream();
    let by_json = endpoint.ok("DescribeStream", &json!({"StreamName": "s"}));
    let by_cbor = endpoint.ok_cbor("DescribeStream", vec![("StreamName", "s".into())]);
    let created = member(member(&by_cbor, "StreamDescription"), "StreamCreationTimestamp");
    assert_eq!(created, &Cbor::Tag(1, Box::new(T0.into())));
    assert_eq!(as_json(&by_cbor), by_json);
}

/// Tagged milliseconds as JSON has times, all else as it is.
fn as_json(value: &Cbor) -> Value {
    match value {
        Cbor::Tag(1, millis) => {
            json!(i128::from(millis.as_integer().unwrap()) as f64 / 1_000.0)
        }
        Cbor::Map(members) => {
            members.iter().map(|(name, value)| (name.as_text().unwrap().to_owned(), as_json(value))).collect()
        }
        Cbor::Array(items) => items.iter().map(as_json).collect(),
        Cbor::Text(text) => json!(text),
        Cbor::Bool(value) => json!(value),
        Cbor::Integer(number) => json!(i64::try_from(*number).unwrap()),
        other => panic!("{other:?} has no place in this answer"),
    }
}

#[test]
fn void_operation_answers_an_empty_body_in_cbor_too() {
    let mut endpoint = endpoint();
    let answer = endpoint.call_cbor("CreateStream", vec![("StreamName", "s".into()), ("ShardCount", 1.into())]);
    assert_eq!(answer, (StatusCode::OK, None));
}

#[test]
fn refusal_comes_in_cbor() {
    let mut endpoint = endpoint();
    let (status, refusal) = endpoint.call_cbor("DescribeStream", vec![("StreamName", "nowhere".into())]);
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let refusal = refusal.expect("a body");
    assert_eq!(member(&refusal, "__type").as_text(), Some("ResourceNotFoundException"));
    let message = member(&refusal, "message").as_text();
    assert_eq!(message, Some("Stream nowhere under account 000000000000 not found."));
    for body in [&b""[..], b"{}", b"\xbf", b"\x80", b"\xa1\x6aStreamName\x05"] {
        let (status, refusal) = endpoint.send_cbor("DescribeStream", body);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let refusal = refusal.expect("a body");
        assert_eq!(member(&refusal, "__type").as_text(), Some("SerializationException"), "{body:x?}");
    }
    let (_, refusal) = endpoint.send_cbor("Nonsense", b"\xa0");
    assert_eq!(member(&refusal.expect("a body"), "__type").as_text(), Some("UnknownOperationException"));
}
