//! Bodies and headers that nobody means well with: every one is answered, none panics.

use proptest::prelude::*;

use super::*;

const OPERATIONS: [&str; 10] = [
    "CreateStream",
    "DeleteStream",
    "DescribeStream",
    "DescribeStreamSummary",
    "GetRecords",
    "GetShardIterator",
    "ListShards",
    "ListStreams",
    "PutRecord",
    "PutRecords",
];

/// A request that has something of everything, in the encoding asked for.
fn whole(codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Json => br#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP",
            "Timestamp":1795395060.708,"ShardFilter":{"Type":"AT_LATEST"},"Limit":5,"PartitionKey":"k","Data":"AAEC",
            "Records":[{"PartitionKey":"k","Data":"AAEC"},{"PartitionKey":"k","Data":"","ExplicitHashKey":"7"}]}"#
            .to_vec(),
        Codec::Cbor => [
            &b"\xbf\x6aStreamName\x61s\x67ShardId\x74shardId-000000000000\x71ShardIteratorType\x6cAT_TIMESTAMP"[..],
            b"\x69Timestamp\xc1\x1b\x00\x00\x01\xa2\x05\x00\x00\x00\x6bShardFilter\xa1\x64Type\x69AT_LATEST\x65Limit\x05",
            b"\x6cPartitionKey\x61k\x64Data\x43\x00\x01\x02\x67Records\x9f\xbf\x6cPartitionKey\x61k\x64Data\x5f\x41\x00",
            b"\x41\x01\xff\xff\xa2\x6cPartitionKey\x61k\x64Data\x40\xff\xff",
        ]
        .concat(),
    }
}

/// Sends it to every operation; the answer must be readable and of a status that the service has.
fn answered(endpoint: &mut Endpoint, codec: Codec, authorization: &[u8], body: &[u8]) {
    for operation in OPERATIONS {
        let mut request = request(&format!("Kinesis_20131202.{operation}"), "");
        let headers = request.headers_mut();
        let _ = headers.insert("content-type", HeaderValue::from_static(codec.content_type()));
        if let Ok(value) = HeaderValue::from_bytes(authorization) {
            let _ = headers.insert("authorization", value);
        }
        *request.body_mut() = Bytes::copy_from_slice(body);
        let response = endpoint.front.answer(&mut endpoint.model, endpoint.now_ms, request).map(Pieces::into_bytes);
        let status = response.status();
        assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{operation}: {response:?}");
        let body = response.body();
        let readable = match codec {
            Codec::Json => serde_json::from_slice::<Value>(body).is_ok(),
            Codec::Cbor => ciborium::from_reader::<ciborium::Value, _>(&body[..]).is_ok(),
        };
        assert!(readable || (body.is_empty() && status == StatusCode::OK), "{operation}: {response:?}");
    }
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Json), Just(Codec::Cbor)]
}

#[test]
fn whole_request_is_understood_by_who_must_be_told_all_of_it() {
    for codec in [Codec::Json, Codec::Cbor] {
        let mut endpoint = endpoint().with_stream();
        for operation in ["PutRecord", "PutRecords", "GetShardIterator", "DescribeStream", "ListShards"] {
            let mut request = request(&format!("Kinesis_20131202.{operation}"), "");
            let _ = request.headers_mut().insert("content-type", HeaderValue::from_static(codec.content_type()));
            *request.body_mut() = whole(codec).into();
            let response = endpoint.front.answer(&mut endpoint.model, endpoint.now_ms, request).map(Pieces::into_bytes);
            assert_eq!(response.status(), StatusCode::OK, "{operation}: {response:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_answered(codec in codec(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        answered(&mut endpoint().with_stream(), codec, b"AWS4-HMAC-SHA256 Credential=x", &body);
    }

    #[test]
    fn request_with_bytes_changed_or_cut_is_answered(
        codec in codec(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut body = whole(codec);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if cut {
            body.truncate(end.index(body.len()));
        }
        answered(&mut endpoint().with_stream(), codec, b"AWS4-HMAC-SHA256 Credential=x", &body);
    }

    #[test]
    fn any_signature_is_judged(
        codec in codec(),
        authorization in "(AWS4-HMAC-SHA256 )?(Credential=[a-z/0-9é]{0,40},? ?)?(SignedHeaders=[a-z;-]{0,20},? ?)?(Signature=[0-9a-fé]{0,70})?",
        date in "[0-9TZ]{0,20}",
    ) {
        let keys = Keys { access_key_id: None, secret_access_key: "secret".to_owned() };
        let mut endpoint = endpoint().with_stream();
        endpoint.front = Front::new(1).with_keys(Some(keys));
        let mut signed = request("Kinesis_20131202.ListStreams", "{}");
        let headers = signed.headers_mut();
        let _ = headers.insert("x-amz-date", HeaderValue::from_str(&date).expect("visible"));
        let _ = headers.insert("authorization", HeaderValue::from_bytes(authorization.as_bytes()).expect("visible"));
        prop_assert_eq!(endpoint.send(signed).0, StatusCode::BAD_REQUEST);
        answered(&mut endpoint, codec, authorization.as_bytes(), b"");
    }
}
