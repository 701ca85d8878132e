//! Faults as callers meet them.

use super::*;

impl Endpoint {
    fn with_faults(mut self, faults: &[&str]) -> Endpoint {
        faults.iter().for_each(|fault| self.front.faults_mut().add(fault.parse().unwrap()));
        self
    }

    fn iterator(&mut self, shard: u32) -> String {
        let body = json!({"StreamName": "s", "ShardId": shard.to_string(), "ShardIteratorType": "TRIM_HORIZON"});
        self.ok("GetShardIterator", &body)["ShardIterator"].as_str().unwrap().to_owned()
    }
}

fn two_shards() -> Endpoint {
    let mut endpoint = endpoint();
    endpoint.ok("CreateStream", &json!({"StreamName": "s", "ShardCount": 2}));
    endpoint
}

fn record(hash_key: &str) -> Value {
    json!({"PartitionKey": "k", "ExplicitHashKey": hash_key, "Data": "AAAA"})
}

const LAST: &str = "340282366920938463463374607431768211455";

#[test]
fn reads_of_one_shard_are_throttled_and_of_the_other_not() {
    let mut endpoint = two_shards().with_faults(&["throttle:GetRecords:shard=shardId-000000000001"]);
    let [zero, one] = [0, 1].map(|shard| endpoint.iterator(shard));
    endpoint.ok("GetRecords", &json!({"ShardIterator": zero}));
    let (exception, message) = endpoint.refused("GetRecords", &json!({"ShardIterator": one}));
    assert_eq!((&*exception, &*message), ("ProvisionedThroughputExceededException", "Rate exceeded (by a fault)."));
}

#[test]
fn puts_are_throttled_record_by_record_where_the_shard_is_known() {
    let mut endpoint = two_shards().with_faults(&["throttle:PutRecords:shard=1:count=3"]);
    let records = json!({"StreamName": "s", "Records": [record("0"), record(LAST), record("0"), record(LAST)]});
    let answer = endpoint.ok("PutRecords", &records);
    assert_eq!(answer["FailedRecordCount"], 2);
    assert_eq!(answer["Records"][1]["ErrorCode"], "ProvisionedThroughputExceededException");
    assert!(answer["Records"][0]["SequenceNumber"].is_string());
    assert_eq!(endpoint.ok("PutRecords", &records)["FailedRecordCount"], 1, "three in all");
    assert_eq!(endpoint.ok("PutRecords", &records)["FailedRecordCount"], 0);
    assert_eq!(endpoint.model.record_count("s"), 9);
    assert_eq!(endpoint.front.faults_mut().all()[0].happened, 3);

    let mut endpoint = two_shards().with_faults(&["throttle:PutRecord"]);
    let mut single = record("0");
    single["StreamName"] = json!("s");
    assert_eq!(endpoint.refused("PutRecord", &single).0, "ProvisionedThroughputExceededException");
}

#[test]
fn failed_call_has_no_effect_and_a_lost_answer_has_one() {
    for (fault, taken, status) in [("5xx:PutRecords", 0, 500), ("5xx:PutRecords:status=503:after", 1, 503)] {
        let mut endpoint = two_shards().with_faults(&[fault]);
        let (seen, answer) = endpoint.call("PutRecords", &json!({"StreamName": "s", "Records": [record("0")]}));
        assert_eq!(seen.as_u16(), status);
        let exception = if status == 500 { "InternalFailureException" } else { "ServiceUnavailableException" };
        assert_eq!(answer["__type"], exception);
        assert_eq!(endpoint.model.record_count("s"), taken, "{fault}");
    }
}

#[test]
fn iterator_expires_early_and_control_calls_are_limited() {
    let mut endpoint = two_shards().with_faults(&["expire:GetRecords:count=1", "throttle:ListShards"]);
    let iterator = endpoint.iterator(0);
    let read = json!({"ShardIterator": iterator});
    assert_eq!(endpoint.refused("GetRecords", &read).0, "ExpiredIteratorException");
    endpoint.ok("GetRecords", &read);
    assert_eq!(endpoint.refused("ListShards", &json!({"StreamName": "s"})).0, "LimitExceededException");
}

#[test]
fn listing_s_token_expires_early_and_a_listing_without_one_does_not() {
    let mut endpoint = two_shards().with_faults(&["expire:ListShards:count=1"]);
    let token = endpoint.ok("ListShards", &json!({"StreamName": "s", "MaxResults": 1}))["NextToken"].clone();
    assert_eq!(endpoint.refused("ListShards", &json!({"NextToken": token})).0, "ExpiredNextTokenException");
    endpoint.ok("ListShards", &json!({"NextToken": token}));
}

#[test]
fn call_without_an_answer_has_its_effect_only_if_told_to() {
    for (fault, taken) in [("reset:PutRecord", 0), ("reset:PutRecord:after", 1)] {
        let mut endpoint = two_shards().with_faults(&[fault]);
        let put = request("Kinesis_20131202.PutRecord", r#"{"StreamName":"s","PartitionKey":"k","Data":"AAAA"}"#);
        let response = endpoint.front.answer(&mut endpoint.model, T0, put);
        assert!(response.extensions().get::<Disturbance>().is_some_and(|disturbance| disturbance.reset), "{fault}");
        assert_eq!(endpoint.model.record_count("s"), taken, "{fault}");
        assert_eq!(endpoint.front.faults_mut().all()[0].happened, 1);
    }
}

#[test]
fn answer_to_be_delayed_or_cut_says_so_to_whoever_sends_it() {
    let mut endpoint = two_shards().with_faults(&["delay:ListShards:ms=70", "cut:ListShards", "cut:*:stream=t"]);
    let mut disturbance = |operation: &str| {
        let request = request(&format!("Kinesis_20131202.{operation}"), "{\"StreamName\": \"s\"}");
        let response = endpoint.front.answer(&mut endpoint.model, T0, request).map(Pieces::into_bytes);
        assert_eq!(response.status(), StatusCode::OK);
        response.extensions().get::<Disturbance>().copied()
    };
    assert_eq!(disturbance("ListShards"), Some(Disturbance { delay_ms: 70, cut: true, reset: false }));
    assert_eq!(disturbance("DescribeStream"), None);
}
