//! Reshards, and everything a stream is set to.

use super::*;

#[test]
fn stream_is_split_merged_and_scaled_over_the_wire() {
    let mut endpoint = endpoint();
    endpoint.ok("CreateStream", &json!({"StreamName": "s", "ShardCount": 2}));
    let (zero, one) = ("shardId-000000000000", "shardId-000000000001");
    let split = json!({"StreamName": "s", "ShardToSplit": zero, "NewStartingHashKey": "1000"});
    assert_eq!(endpoint.ok("SplitShard", &split), Value::Null, "the answer has no body");
    let merge = json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "ShardToMerge": "shardId-3",
        "AdjacentShardToMerge": one});
    endpoint.ok("MergeShards", &merge);
    let scale = json!({"StreamName": "s", "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING"});
    let scaled = endpoint.ok("UpdateShardCount", &scale);
    assert_eq!(
        scaled,
        json!({"StreamName": "s", "CurrentShardCount": 2, "TargetShardCount": 4,
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s"})
    );
    let listed = endpoint.ok("ListShards", &json!({"StreamName": "s"}));
    let merged = &listed["Shards"][4];
    assert_eq!(merged["ShardId"], "shardId-000000000004");
    assert_eq!(
        (&merged["ParentShardId"], &merged["AdjacentParentShardId"]),
        (&json!("shardId-000000000003"), &json!(one))
    );
    assert!(merged["SequenceNumberRange"]["EndingSequenceNumber"].is_string(), "scaling went on from there");

    let (exception, message) = endpoint.refused("UpdateShardCount", &json!({"StreamName": "s"}));
    assert_eq!(exception, "ValidationException");
    assert!(message.starts_with("2 validation errors detected: Value null at 'targetShardCount'"), "{message}");
    let other = json!({"StreamName": "s", "TargetShardCount": 4, "ScalingType": "ODD"});
    assert!(endpoint.refused("UpdateShardCount", &other).1.contains("enum value set: [UNIFORM_SCALING]"));
}

#[test]
fn every_setting_of_a_stream_goes_over_the_wire() {
    let mut endpoint = endpoint().with_stream();
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let by_name = |more: Value| {
        let mut body = json!({"StreamName": "s"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (operation, body) in [
        ("IncreaseStreamRetentionPeriod", by_name(json!({"RetentionPeriodHours": 72}))),
        ("DecreaseStreamRetentionPeriod", by_name(json!({"RetentionPeriodHours": 48}))),
        ("AddTagsToStream", by_name(json!({"Tags": {"a": "1", "b": "2"}}))),
        ("RemoveTagsFromStream", by_name(json!({"TagKeys": ["a"]}))),
        ("TagResource", json!({"ResourceARN": arn, "Tags": {"c": "3"}})),
        ("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["c"]})),
        ("UpdateMaxRecordSize", json!({"StreamARN": arn, "MaxRecordSizeInKiB": 2048})),
        ("StartStreamEncryption", by_name(json!({"EncryptionType": "KMS", "KeyId": "alias/k"}))),
        ("UpdateStreamMode", json!({"StreamARN": arn, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}})),
    ] {
        assert_eq!(endpoint.ok(operation, &body), Value::Null, "{operation} has no body");
    }
    let monitoring = endpoint.ok("EnableEnhancedMonitoring", &by_name(json!({"ShardLevelMetrics": ["IncomingBytes"]})));
    assert_eq!(monitoring["DesiredShardLevelMetrics"], json!(["IncomingBytes"]));
    let made = endpoint.ok("RegisterStreamConsumer", &json!({"StreamARN": arn, "ConsumerName": "c"}));
    let consumer = made["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned();

    let summary = endpoint.ok("DescribeStreamSummary", &json!({"StreamARN": arn}));
    let summary = &summary["StreamDescriptionSummary"];
    for (member, value) in [
        ("RetentionPeriodHours", json!(48)),
        ("MaxRecordSizeInKiB", json!(2048)),
        ("EncryptionType", json!("KMS")),
        ("KeyId", json!("alias/k")),
        ("StreamModeDetails", json!({"StreamMode": "ON_DEMAND"})),
        ("EnhancedMonitoring", json!([{"ShardLevelMetrics": ["IncomingBytes"]}])),
        ("ConsumerCount", json!(1)),
    ] {
        assert_eq!(summary[member], value, "{member}");
    }
    let tags = json!([{"Key": "b", "Value": "2"}]);
    assert_eq!(endpoint.ok("ListTagsForStream", &by_name(json!({}))), json!({"Tags": tags, "HasMoreTags": false}));
    assert_eq!(endpoint.ok("ListTagsForResource", &json!({"ResourceARN": arn})), json!({"Tags": tags}));
    let described = endpoint.ok("DescribeStreamConsumer", &json!({"ConsumerARN": consumer}));
    assert_eq!(described["ConsumerDescription"]["StreamARN"], arn);
    let listed = endpoint.ok("ListStreamConsumers", &json!({"StreamARN": arn}));
    assert_eq!(listed["Consumers"][0]["ConsumerStatus"], "ACTIVE");
    assert_eq!(endpoint.ok("DescribeLimits", &json!({}))["OnDemandStreamCount"], 1);
    let account = endpoint.ok("DescribeAccountSettings", &json!({}));
    assert_eq!(account["MinimumThroughputBillingCommitment"]["Status"], "DISABLED");

    let subscribe =
        json!({"ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}});
    let (exception, message) = endpoint.refused("SubscribeToShard", &subscribe);
    assert_eq!(exception, "InvalidArgumentException");
    assert!(message.contains("read the shard with GetRecords"), "{message}");
    assert_eq!(endpoint.ok("DeregisterStreamConsumer", &json!({"StreamARN": arn, "ConsumerName": "c"})), Value::Null);
}

#[test]
fn absent_and_odd_settings_are_refused_by_name() {
    let mut endpoint = endpoint().with_stream();
    for (operation, part) in [
        ("IncreaseStreamRetentionPeriod", "'retentionPeriodHours'"),
        ("AddTagsToStream", "'tags'"),
        ("RemoveTagsFromStream", "'tagKeys'"),
        ("TagResource", "'resourceARN'"),
        ("UpdateStreamMode", "'streamModeDetails'"),
        ("UpdateMaxRecordSize", "'maxRecordSizeInKiB'"),
        ("StartStreamEncryption", "'encryptionType'"),
        ("DisableEnhancedMonitoring", "'shardLevelMetrics'"),
        ("RegisterStreamConsumer", "'consumerName'"),
        ("ListStreamConsumers", "'streamARN'"),
        ("SubscribeToShard", "'startingPosition'"),
        ("SplitShard", "'shardToSplit'"),
        ("MergeShards", "'adjacentShardToMerge'"),
    ] {
        let (exception, message) = endpoint.refused(operation, &json!({"StreamName": "s"}));
        assert_eq!(exception, "ValidationException", "{operation}");
        assert!(message.contains(part) && message.contains("must not be null"), "{operation}: {message}");
    }
    let odd = json!({"StreamName": "s", "EncryptionType": "ROT13", "KeyId": "k"});
    assert!(endpoint.refused("StartStreamEncryption", &odd).1.contains("enum value set: [NONE, KMS]"));
    let wrong = json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST", "ShardId": "0"}});
    assert_eq!(endpoint.refused("ListShards", &wrong).0, "InvalidArgumentException");
}

#[test]
fn dry_run_checks_everything_and_does_nothing() {
    let mut endpoint = endpoint().with_stream();
    let shard = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = endpoint.ok("GetShardIterator", &shard)["ShardIterator"].clone();
    let record = json!({"PartitionKey": "k", "Data": "AAAA"});
    for (operation, body) in [
        ("PutRecord", json!({"StreamName": "s", "PartitionKey": "k", "Data": "AAAA", "DryRun": true})),
        ("PutRecords", json!({"StreamName": "s", "Records": [record], "DryRun": true})),
        ("GetShardIterator", json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST", "DryRun": true})),
        ("GetRecords", json!({"ShardIterator": iterator, "DryRun": true})),
    ] {
        let (exception, message) = endpoint.refused(operation, &body);
        assert_eq!(exception, "DryRunOperationException", "{operation}");
        assert_eq!(message, "The request was rejected because the DryRun parameter was specified.");
    }
    let bad = json!({"StreamName": "s", "PartitionKey": "k", "Data": "", "ExplicitHashKey": "x", "DryRun": true});
    assert_eq!(endpoint.refused("PutRecord", &bad).0, "ValidationException");
    let nowhere = json!({"StreamName": "t", "Records": [record], "DryRun": true});
    assert_eq!(endpoint.refused("PutRecords", &nowhere).0, "ResourceNotFoundException");
    assert_eq!(endpoint.model.record_count("s"), 0);
    endpoint.ok("PutRecord", &json!({"StreamName": "s", "PartitionKey": "k", "Data": "AAAA", "DryRun": false}));
}

#[test]
fn iterator_of_another_stream_than_the_arn_names_is_refused() {
    let mut endpoint = endpoint().with_stream();
    endpoint.ok("CreateStream", &json!({"StreamName": "t", "ShardCount": 1}));
    let shard = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = endpoint.ok("GetShardIterator", &shard)["ShardIterator"].clone();
    let read = |stream: &str| json!({"ShardIterator": iterator, "StreamARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{stream}")});
    endpoint.ok("GetRecords", &read("s"));
    assert_eq!(endpoint.refused("GetRecords", &read("t")).0, "InvalidArgumentException");
}

#[test]
fn control_plane_is_limited_where_throughput_is_and_says_which_stream() {
    let mut limited = endpoint();
    let settings = ModelSettings { throughput_limits: true, ..limited.model.settings().clone() };
    limited.model = Model::new(settings);
    let mut limited = limited.with_stream();
    let mut free = endpoint().with_stream();
    let by_name = json!({"StreamName": "s"});
    for _ in 0..10 {
        limited.ok("DescribeStream", &by_name);
    }
    let by_arn = json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s"});
    let said = "Rate exceeded for stream s under account 000000000000.".to_owned();
    assert_eq!(limited.refused("DescribeStream", &by_arn), ("LimitExceededException".to_owned(), said));
    limited.ok("DescribeLimits", &json!({}));
    let said = "Rate exceeded under account 000000000000.".to_owned();
    assert_eq!(limited.refused("DescribeLimits", &json!({})), ("LimitExceededException".to_owned(), said));
    limited.now_ms += 100;
    limited.ok("DescribeStream", &by_name);
    for _ in 0..30 {
        free.ok("DescribeStream", &by_name);
    }
}

#[test]
fn records_say_whether_their_stream_was_encrypted_when_they_were_put() {
    let mut endpoint = endpoint().with_stream();
    let kms = json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/k"});
    let record = json!({"PartitionKey": "k", "Data": "AAAA"});
    let mut said = Vec::new();
    for change in [None, Some("StartStreamEncryption"), Some("StartStreamEncryption"), Some("StopStreamEncryption")] {
        change.into_iter().for_each(|change| drop(endpoint.ok(change, &kms)));
        let put = endpoint.ok("PutRecord", &json!({"StreamName": "s", "PartitionKey": "k", "Data": "AAAA"}));
        let many = endpoint.ok("PutRecords", &json!({"StreamName": "s", "Records": [record.clone()]}));
        assert_eq!(put["EncryptionType"], many["EncryptionType"]);
        said.extend([put["EncryptionType"].clone(), many["EncryptionType"].clone()]);
    }
    let [none, kms] = [Value::Null, json!("KMS")];
    assert_eq!(said, [&none, &none, &kms, &kms, &kms, &kms, &none, &none].map(Clone::clone));
    let asked = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = endpoint.ok("GetShardIterator", &asked)["ShardIterator"].clone();
    let page = endpoint.ok("GetRecords", &json!({"ShardIterator": iterator}));
    let read: Vec<_> = page["Records"].as_array().unwrap().iter().map(|r| r["EncryptionType"].clone()).collect();
    assert_eq!(read, said);
}

#[test]
fn stream_that_distributes_records_takes_them_without_keys_and_evenly() {
    let mut endpoint = endpoint();
    let auto = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        "RecordDistributionStrategy": "AUTO"});
    endpoint.ok("CreateStream", &auto);
    let summary = endpoint.ok("DescribeStreamSummary", &json!({"StreamName": "s"}));
    assert_eq!(summary["StreamDescriptionSummary"]["RecordDistributionStrategy"], "AUTO");

    // Not a hash key, which nobody looks at here.
    let keyed = json!({"Data": "AAAA", "PartitionKey": "k", "ExplicitHashKey": "0"});
    let records: Vec<_> = (0..400).map(|n| if n == 7 { keyed.clone() } else { json!({"Data": "AAAA"}) }).collect();
    let put = endpoint.ok("PutRecords", &json!({"StreamName": "s", "Records": records}));
    let mut per_shard = std::collections::BTreeMap::new();
    for placed in put["Records"].as_array().unwrap() {
        *per_shard.entry(placed["ShardId"].to_string()).or_insert(0) += 1;
    }
    assert!(per_shard.len() == 4 && per_shard.values().all(|count| (60..140).contains(count)), "{per_shard:?}");

    let asked =
        json!({"StreamName": "s", "ShardId": put["Records"][7]["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = endpoint.ok("GetShardIterator", &asked)["ShardIterator"].clone();
    let page = endpoint.ok("GetRecords", &json!({"ShardIterator": iterator}));
    let keys: Vec<_> = page["Records"].as_array().unwrap().iter().filter_map(|r| r.get("PartitionKey")).collect();
    assert_eq!(keys, [&json!("k")], "the one that was given");

    let empty = json!({"StreamName": "s", "Data": "", "PartitionKey": ""});
    assert_eq!(endpoint.refused("PutRecord", &empty).0, "ValidationException");
    let ordered = json!({"StreamName": "s", "Data": "", "SequenceNumberForOrdering": "0"});
    assert_eq!(endpoint.refused("PutRecord", &ordered).0, "InvalidArgumentException");

    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let by_key = json!({"StreamARN": arn, "RecordDistributionStrategy": "USER_PARTITION_KEY"});
    assert_eq!(endpoint.ok("UpdateStreamRecordDistributionStrategy", &by_key), Value::Null);
    let (exception, message) = endpoint.refused("PutRecord", &json!({"StreamName": "s", "Data": ""}));
    assert_eq!(exception, "ValidationException");
    assert!(message.contains("Value null at 'partitionKey'"), "{message}");
}

#[test]
fn provisioned_stream_does_not_distribute_records() {
    let mut endpoint = endpoint().with_stream();
    let auto = json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        "RecordDistributionStrategy": "AUTO"});
    assert_eq!(endpoint.refused("UpdateStreamRecordDistributionStrategy", &auto).0, "InvalidArgumentException");
    let made = json!({"StreamName": "t", "ShardCount": 1, "RecordDistributionStrategy": "AUTO"});
    assert_eq!(endpoint.refused("CreateStream", &made).0, "InvalidArgumentException");
    let summary = endpoint.ok("DescribeStreamSummary", &json!({"StreamName": "s"}));
    assert_eq!(summary["StreamDescriptionSummary"].get("RecordDistributionStrategy"), None);
}
