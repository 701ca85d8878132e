//! Requests as clients send them, answers as they must read.

mod cbor;
mod faults;
mod hostile;
mod settings;

use http::Request;
use serde_json::{Value, json};

use super::*;
use crate::local::model::ModelSettings;

const JSON: &str = Codec::Json.content_type();
const T0: i64 = 1_795_395_060_708;

struct Endpoint {
    front: Front,
    model: Model,
    now_ms: i64,
}

fn endpoint() -> Endpoint {
    let settings = ModelSettings { create_delay_ms: 0, update_delay_ms: 0, ..ModelSettings::default() };
    Endpoint { front: Front::new(1), model: Model::new(settings), now_ms: T0 }
}

fn request(target: &str, body: &str) -> Request<Bytes> {
    Request::post("/")
        .header("content-type", JSON)
        .header("x-amz-target", target)
        .header("authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

impl Endpoint {
    fn send(&mut self, request: Request<Bytes>) -> (StatusCode, Value) {
        let response = self.front.answer(&mut self.model, self.now_ms, request).map(Pieces::into_bytes);
        let body = response.body();
        let value = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
        (response.status(), value)
    }

    fn call(&mut self, operation: &str, body: &Value) -> (StatusCode, Value) {
        self.send(request(&format!("Kinesis_20131202.{operation}"), &body.to_string()))
    }

    #[track_caller]
    fn ok(&mut self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(operation, body);
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// `__type` and message of a refusal.
    #[track_caller]
    fn refused(&mut self, operation: &str, body: &Value) -> (String, String) {
        let (status, answer) = self.call(operation, body);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (text("__type"), text("message"))
    }

    fn with_stream(mut self) -> Endpoint {
        self.ok("CreateStream", &json!({"StreamName": "s", "ShardCount": 1}));
        self
    }
}

#[test]
fn void_operation_answers_an_empty_body() {
    let mut endpoint = endpoint();
    assert_eq!(endpoint.ok("CreateStream", &json!({"StreamName": "s", "ShardCount": 1})), Value::Null);
    assert_eq!(endpoint.ok("DeleteStream", &json!({"StreamName": "s"})), Value::Null);
}

#[test]
fn answer_carries_date_of_whole_seconds_and_a_request_id() {
    let mut endpoint = endpoint();
    let mut ask = || {
        let request = request("Kinesis_20131202.ListStreams", "{}");
        let response = endpoint.front.answer(&mut endpoint.model, T0, request).map(Pieces::into_bytes);
        response.headers().clone()
    };
    let (first, second) = (ask(), ask());
    assert_eq!(first["date"], "Mon, 23 Nov 2026 00:51:00 GMT");
    assert_eq!(first["content-type"], JSON);
    let id = first["x-amzn-requestid"].to_str().unwrap();
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
    assert_eq!(&id[14..15], "4", "{id}");
    assert_ne!(first["x-amzn-requestid"], second["x-amzn-requestid"]);
}

#[test]
fn record_comes_back_as_it_was_put_with_decimal_seconds() {
    let mut endpoint = endpoint().with_stream();
    let key = "ключ \"с\\кавычками\"\n";
    let put = endpoint.ok("PutRecord", &json!({"StreamName": "s", "PartitionKey": key, "Data": "AAEC/w=="}));
    assert_eq!(put["ShardId"], "shardId-000000000000");
    let asked = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = endpoint.ok("GetShardIterator", &asked)["ShardIterator"].clone();
    let page = endpoint.ok("GetRecords", &json!({"ShardIterator": iterator}));
    assert_eq!(
        page["Records"],
        json!([{
            "SequenceNumber": put["SequenceNumber"],
            "ApproximateArrivalTimestamp": 1_795_395_060.708,
            "Data": "AAEC/w==",
            "PartitionKey": key,
        }])
    );
    assert_eq!(page["MillisBehindLatest"], 0);
    assert!(page["NextShardIterator"].is_string());
    assert_eq!(page.get("ChildShards"), None);
}

#[test]
fn records_of_one_call_keep_their_order_and_their_data() {
    let mut endpoint = endpoint().with_stream();
    let data = ["", "AA==", "AAE=", "AAEC"];
    let records: Vec<_> = data.iter().map(|data| json!({"PartitionKey": "k", "Data": data})).collect();
    let put = endpoint.ok("PutRecords", &json!({"StreamName": "s", "Records": records}));
    assert_eq!(put["FailedRecordCount"], 0);
    let numbers: Vec<_> = put["Records"].as_array().unwrap().iter().map(|r| r["SequenceNumber"].clone()).collect();
    let asked = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = endpoint.ok("GetShardIterator", &asked)["ShardIterator"].clone();
    let page = endpoint.ok("GetRecords", &json!({"ShardIterator": iterator}));
    let read: Vec<_> = page["Records"].as_array().unwrap().iter().collect();
    assert_eq!(read.iter().map(|r| r["Data"].as_str().unwrap()).collect::<Vec<_>>(), data);
    assert_eq!(read.iter().map(|r| r["SequenceNumber"].clone()).collect::<Vec<_>>(), numbers);
}

#[test]
fn stream_is_described_with_the_members_that_clients_require() {
    let mut endpoint = endpoint().with_stream();
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let described = endpoint.ok("DescribeStream", &json!({"StreamARN": arn}))["StreamDescription"].clone();
    let first = described["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"].clone();
    assert_eq!(first.as_str().unwrap().len(), 56);
    assert_eq!(
        described,
        json!({
            "StreamName": "s",
            "StreamARN": arn,
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 1_795_395_060.708,
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "HasMoreShards": false,
            "Shards": [{
                "ShardId": "shardId-000000000000",
                "HashKeyRange": {
                    "StartingHashKey": "0",
                    "EndingHashKey": "340282366920938463463374607431768211455",
                },
                "SequenceNumberRange": {"StartingSequenceNumber": first},
            }],
        })
    );
    let summary = endpoint.ok("DescribeStreamSummary", &json!({"StreamName": "s"}));
    let summary = &summary["StreamDescriptionSummary"];
    assert_eq!(summary["OpenShardCount"], 1);
    assert_eq!(summary["ConsumerCount"], 0);
    assert_eq!(summary["MaxRecordSizeInKiB"], 1_024);
    let listed = endpoint.ok("ListStreams", &json!({}));
    assert_eq!(listed["StreamNames"], json!(["s"]));
    assert_eq!(listed["StreamSummaries"][0]["StreamARN"], arn);
}

#[test]
fn unknown_operation_and_service_are_refused() {
    let mut endpoint = endpoint();
    for target in ["Kinesis_20131202.Nonsense", "DynamoDB_20120810.ListTables", "ListStreams"] {
        let (status, answer) = endpoint.send(request(target, "{}"));
        assert_eq!((status, answer), (StatusCode::BAD_REQUEST, json!({"__type": "UnknownOperationException"})));
    }
}

#[test]
fn body_that_is_no_json_object_is_refused() {
    let mut endpoint = endpoint();
    for body in ["", "{", "[]", "null", "\"s\"", "{\"StreamName\": }", "["] {
        let (status, answer) = endpoint.send(request("Kinesis_20131202.DeleteStream", body));
        assert_eq!((status, answer), (StatusCode::BAD_REQUEST, json!({"__type": "SerializationException"})), "{body}");
    }
    let (exception, message) = endpoint.refused("CreateStream", &json!({"StreamName": 3, "ShardCount": 1}));
    assert_eq!(exception, "SerializationException");
    assert!(message.contains("integer `3`"), "{message}");
    let record = json!({"StreamName": "s", "PartitionKey": "k", "Data": "no base64"});
    assert_eq!(endpoint.refused("PutRecord", &record).0, "SerializationException");
}

#[test]
fn unsigned_request_is_refused() {
    let mut endpoint = endpoint();
    let mut unsigned = request("Kinesis_20131202.ListStreams", "{}");
    unsigned.headers_mut().remove("authorization");
    assert_eq!(
        endpoint.send(unsigned),
        (
            StatusCode::BAD_REQUEST,
            json!({"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"})
        )
    );
}

#[test]
fn request_of_another_protocol_is_refused_in_xml() {
    let mut endpoint = endpoint();
    let mut answer = |request| {
        let response = endpoint.front.answer(&mut endpoint.model, T0, request).map(Pieces::into_bytes);
        (response.status(), String::from_utf8(response.body().to_vec()).unwrap())
    };
    let get = Request::get("/").body(Bytes::new()).unwrap();
    let (status, body) = answer(get);
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.starts_with("<AccessDeniedException>"), "{body}");
    let mut rpc = request("Kinesis_20131202.ListStreams", "{}");
    rpc.headers_mut().insert("content-type", HeaderValue::from_static("application/cbor"));
    assert_eq!(answer(rpc), (StatusCode::NOT_FOUND, "<UnknownOperationException/>\n".to_owned()));
}

#[test]
fn absent_members_are_named() {
    let mut endpoint = endpoint().with_stream();
    assert_eq!(
        endpoint.refused("GetShardIterator", &json!({"StreamName": "s"})),
        (
            "ValidationException".to_owned(),
            "2 validation errors detected: Value null at 'shardId' failed to satisfy constraint: Member must not be \
             null; Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null"
                .to_owned()
        )
    );
    let records = json!({"StreamName": "s", "Records": [{"PartitionKey": "k", "Data": ""}, {"PartitionKey": "k"}]});
    let (exception, message) = endpoint.refused("PutRecords", &records);
    assert_eq!(exception, "ValidationException");
    assert!(message.contains("Value null at 'records.2.member.data'"), "{message}");
    assert_eq!(endpoint.refused("PutRecords", &json!({"StreamName": "s"})).0, "ValidationException");
    assert_eq!(endpoint.refused("DescribeStream", &json!({})).0, "InvalidArgumentException");
}

#[test]
fn more_records_than_a_call_may_have_are_refused_and_not_kept() {
    let mut endpoint = endpoint().with_stream();
    let record = json!({"PartitionKey": "k", "Data": ""});
    for count in [501, 2_000] {
        let records = vec![record.clone(); count];
        let (exception, message) = endpoint.refused("PutRecords", &json!({"StreamName": "s", "Records": records}));
        assert_eq!(exception, "ValidationException");
        assert!(message.contains("at 'records' failed to satisfy constraint"), "{message}");
    }
    let records = vec![record; 500];
    let taken = endpoint.ok("PutRecords", &json!({"StreamName": "s", "Records": records}));
    assert_eq!(taken["Records"].as_array().unwrap().len(), 500);
    // Broken behind what is kept is broken all the same.
    let broken = format!(r#"{{"StreamName":"s","Records":[{}}}"#, "{},".repeat(2_000));
    let (status, _) = endpoint.send(request("Kinesis_20131202.PutRecords", &broken));
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[test]
fn iterator_kind_must_go_with_its_arguments() {
    let mut endpoint = endpoint().with_stream();
    let mut ask = |kind: &str, more: Value| {
        let mut body = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": kind});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        endpoint.refused("GetShardIterator", &body)
    };
    let either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) \
                  TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified ";
    let invalid = |message: String| ("InvalidArgumentException".to_owned(), message);
    assert_eq!(
        ask("AT_SEQUENCE_NUMBER", json!({})),
        invalid(format!("{either}AT_SEQUENCE_NUMBER and no StartingSequenceNumber."))
    );
    assert_eq!(
        ask("LATEST", json!({"StartingSequenceNumber": "5"})),
        invalid(format!("{either}LATEST and also a StartingSequenceNumber."))
    );
    let (exception, message) = ask("AT_TIMESTAMP", json!({}));
    assert_eq!(exception, "InvalidArgumentException");
    assert!(message.contains("has no timestamp parameter"), "{message}");
    let (exception, message) = ask("AT_TIMESTAMP", json!({"Timestamp": 1_795_395_060.709}));
    assert_eq!(exception, "InvalidArgumentException");
    assert!(message.ends_with("currentTimestampInMillis: 1795395060708"), "{message}");
    let (exception, message) = ask("NEWEST", json!({}));
    assert_eq!(exception, "ValidationException");
    assert!(message.contains("Value 'NEWEST' at 'shardIteratorType' failed"), "{message}");
}

#[test]
fn shard_filter_is_understood() {
    let mut endpoint = endpoint();
    endpoint.ok("CreateStream", &json!({"StreamName": "s", "ShardCount": 3}));
    let mut ask = |filter: Value| endpoint.call("ListShards", &json!({"StreamName": "s", "ShardFilter": filter})).1;
    let after = ask(json!({"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000001"}));
    assert_eq!(after["Shards"].as_array().unwrap().len(), 1);
    assert_eq!(after["Shards"][0]["ShardId"], "shardId-000000000002");
    for kind in ["AT_LATEST", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON"] {
        assert_eq!(ask(json!({"Type": kind}))["Shards"].as_array().unwrap().len(), 3, "{kind}");
    }
    for kind in ["AT_TIMESTAMP", "FROM_TIMESTAMP"] {
        let now = json!({"Type": kind, "Timestamp": 1_795_395_060.708});
        assert_eq!(ask(now)["Shards"].as_array().unwrap().len(), 3, "{kind}");
        assert_eq!(ask(json!({"Type": kind}))["__type"], "InvalidArgumentException", "{kind}");
    }
    assert_eq!(ask(json!({"Type": "SOME"}))["__type"], "ValidationException");
}

#[test]
fn unknown_members_are_ignored() {
    let mut endpoint = endpoint().with_stream();
    endpoint.ok(
        "PutRecord",
        &json!({"StreamName": "s", "PartitionKey": "k", "Data": "", "StreamId": null, "Novelty": {"a": [1]}}),
    );
    endpoint.ok("ListStreams", &json!({"Novelty": 1}));
}

#[test]
fn request_that_did_not_come_whole_is_refused_in_its_own_encoding_with_a_request_id() {
    let mut endpoint = endpoint();
    let whole = request("Kinesis_20131202.PutRecords", "");
    for (unread, status, exception, message) in [
        (Unread::TooLong { bytes_max: 9 }, 413, "RequestEntityTooLargeException", "the body is longer than 9 bytes"),
        (Unread::Stalled, 408, "RequestTimeoutException", "the rest of the body did not come in time"),
        (Unread::Broken, 400, "SerializationException", "the body is broken"),
    ] {
        let response = endpoint.front.refuse(T0, &whole.clone().map(|_| unread)).map(Pieces::into_bytes);
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], JSON);
        assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);
        let said: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(said, json!({"__type": exception, "message": message}));
    }
}
