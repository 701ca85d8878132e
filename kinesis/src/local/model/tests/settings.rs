//! Retention, labels, attributes and consumers.

use super::*;

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn longer_retention_keeps_what_is_there_and_brings_nothing_back() {
    let mut model = with_stream(1);
    put(&mut model, T0, "gone");
    put(&mut model, T0 + HOUR, "kept");
    let now = T0 + 24 * HOUR + 1;
    model.increase_retention(now, "s", 48).unwrap();
    assert_eq!(model.describe_stream_summary(now, "s").unwrap().retention_hours, 48);
    assert_eq!(read(&mut model, now, IteratorPosition::TrimHorizon), ["kept"]);
    let last = T0 + HOUR + 48 * HOUR;
    assert_eq!(read(&mut model, last, IteratorPosition::TrimHorizon), ["kept"]);
    assert!(read(&mut model, last + 1, IteratorPosition::TrimHorizon).is_empty());
}

#[test]
fn shorter_retention_trims_at_once_and_for_good() {
    let mut model = with_stream(1);
    model.increase_retention(T0, "s", 72).unwrap();
    put(&mut model, T0, "old");
    put(&mut model, T0 + 30 * HOUR, "new");
    let now = T0 + 40 * HOUR;
    assert_eq!(read(&mut model, now, IteratorPosition::TrimHorizon), ["old", "new"]);
    model.decrease_retention(now, "s", 24).unwrap();
    assert_eq!(model.all_records("s").count(), 1, "nobody has to read for it to go");
    model.increase_retention(now, "s", 72).unwrap();
    assert_eq!(read(&mut model, now, IteratorPosition::TrimHorizon), ["new"]);
}

#[test]
fn retention_is_24_to_8760_hours_and_goes_where_the_call_says() {
    let mut model = with_stream(1);
    refused(
        model.decrease_retention(T0, "s", 23),
        ErrorCode::InvalidArgument,
        "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
    );
    refused(
        model.increase_retention(T0, "s", 8_761),
        ErrorCode::InvalidArgument,
        "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.",
    );
    model.increase_retention(T0, "s", 8_760).unwrap();
    refused(
        model.increase_retention(T0, "s", 48),
        ErrorCode::InvalidArgument,
        "Requested retention period (48 hours) for stream s can not be shorter than existing retention period (8760 \
         hours). Use DecreaseRetentionPeriod API.",
    );
    model.decrease_retention(T0, "s", 24).unwrap();
    refused(model.decrease_retention(T0, "s", 25), ErrorCode::InvalidArgument, "Use IncreaseRetentionPeriod API.");
}

#[test]
fn labels_are_put_on_replaced_taken_off_and_listed_by_key() {
    let mut model = with_stream(1);
    model.add_tags(T0, "s", tags(&[("b", "1"), ("a", ""), ("c", "3")])).unwrap();
    model.tag_resource(T0, ARN, tags(&[("b", "2")])).unwrap();
    let page = model.list_tags(T0, "s", None, Some(2)).unwrap();
    assert_eq!(page.tags, [("a".into(), "".into()), ("b".into(), "2".into())]);
    assert!(page.has_more_tags);
    let page = model.list_tags(T0, "s", Some("b"), None).unwrap();
    assert_eq!((page.tags.len(), page.has_more_tags), (1, false));
    model.remove_tags(T0, "s", &["a".into(), "never there".into()]).unwrap();
    model.untag_resource(T0, ARN, &["c".into()]).unwrap();
    assert_eq!(model.list_tags_of_resource(T0, ARN).unwrap(), [("b".into(), "2".into())]);
}

#[test]
fn labels_that_are_too_many_too_long_or_reserved_are_refused() {
    let mut model = with_stream(1);
    let many: Tags = (0..51).map(|n| (n.to_string(), String::new())).collect();
    refused(model.add_tags(T0, "s", many), ErrorCode::InvalidArgument, "more than 50 tags");
    refused(model.add_tags(T0, "s", tags(&[])), ErrorCode::Validation, "at 'tags' failed to satisfy constraint");
    let (long, longer) = ("k".repeat(129), "v".repeat(257));
    refused(model.add_tags(T0, "s", tags(&[(&long, &longer)])), ErrorCode::Validation, "2 validation errors detected");
    refused(model.add_tags(T0, "s", tags(&[("a*", "")])), ErrorCode::InvalidArgument, "illegal characters");
    refused(model.add_tags(T0, "s", tags(&[("AWS:x", "")])), ErrorCode::InvalidArgument, "reserved");
    refused(model.remove_tags(T0, "s", &[]), ErrorCode::Validation, "at 'tagKeys'");
    refused(model.list_tags(T0, "s", None, Some(51)), ErrorCode::Validation, "at 'limit'");
    refused(model.tag_resource(T0, "arn", tags(&[("a", "")])), ErrorCode::Validation, "at 'resourceARN'");
    assert!(model.list_tags(T0, "s", None, None).unwrap().tags.is_empty());
}

#[test]
fn mode_changes_twice_a_day_and_the_shards_stay() {
    let mut model = with_stream(3);
    model.update_stream_mode(T0, "s", StreamMode::OnDemand).unwrap();
    let summary = model.describe_stream_summary(T0, "s").unwrap();
    assert_eq!((summary.mode, summary.status, summary.open_shards), (StreamMode::OnDemand, StreamStatus::Updating, 3));
    refused(model.update_stream_mode(T0, "s", StreamMode::OnDemand), ErrorCode::ResourceInUse, "in state UPDATING");
    model.update_stream_mode(T0 + 500, "s", StreamMode::Provisioned).unwrap();
    let third = model.update_stream_mode(T0 + 24 * HOUR - 1, "s", StreamMode::OnDemand);
    refused(third, ErrorCode::LimitExceeded, "2 times in the last 24 hours");
    model.update_stream_mode(T0 + 24 * HOUR, "s", StreamMode::OnDemand).unwrap();
}

#[test]
fn larger_records_are_taken_once_the_stream_allows_them() {
    let mut model = with_stream(1);
    let large = || entry("k", Bytes::from(vec![0; 2 << 20]));
    refused(model.put_record(T0, "s", large(), None), ErrorCode::InvalidArgument, "maximum record size of 1048576");
    refused(model.update_max_record_size(T0, "s", 10_241), ErrorCode::Validation, "at 'maxRecordSizeInKiB'");
    model.update_max_record_size(T0, "s", 10_240).unwrap();
    assert!(model.put_record(T0, "s", large(), None).is_ok());
}

#[test]
fn encryption_and_monitoring_are_noted() {
    let mut model = with_stream(1);
    model.start_encryption(T0, "s", "alias/aws/kinesis").unwrap();
    let now = T0 + 500;
    assert_eq!(model.describe_stream_summary(now, "s").unwrap().key_id.as_deref(), Some("alias/aws/kinesis"));
    model.stop_encryption(now, "s", "alias/aws/kinesis").unwrap();
    let now = now + 500;
    assert_eq!(model.describe_stream_summary(now, "s").unwrap().key_id, None);
    refused(model.start_encryption(now, "s", ""), ErrorCode::Validation, "at 'keyId'");

    let metrics = ["OutgoingBytes", "IncomingBytes"];
    let change = model.change_monitoring(now, "s", true, metrics.into_iter()).unwrap();
    assert_eq!((change.current, change.desired), (vec![], vec!["IncomingBytes", "OutgoingBytes"]));
    let now = now + 500;
    let change = model.change_monitoring(now, "s", false, ["IncomingBytes"].into_iter()).unwrap();
    assert_eq!(change.desired, ["OutgoingBytes"]);
    let now = now + 500;
    let change = model.change_monitoring(now, "s", true, ["ALL"].into_iter()).unwrap();
    assert_eq!((change.current, change.desired.len()), (vec!["OutgoingBytes"], 7));
    let odd = model.change_monitoring(now, "s", true, ["Odd"].into_iter());
    refused(odd, ErrorCode::Validation, "Value 'Odd' at 'shardLevelMetrics.1.member' failed");
}

#[test]
fn limits_count_open_shards_and_streams_on_demand() {
    let mut model = with_stream(3);
    let on_demand = CreateStreamRequest { stream: "d", mode: StreamMode::OnDemand, ..CreateStreamRequest::default() };
    model.create_stream(T0, on_demand).unwrap();
    let limits = model.limits(T0);
    assert_eq!((limits.open_shards, limits.on_demand_streams, limits.shard_limit), (7, 1, 20_000));
}

#[test]
fn consumer_is_creating_then_active_then_deleting_then_gone() {
    let mut model = Model::new(ModelSettings::default());
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    let now = T0 + 500;
    let made = model.register_consumer(now, ARN, "c", Some(tags(&[("a", "1")]))).unwrap();
    assert_eq!(made.arn, format!("{ARN}/consumer/c:{}", now / 1_000));
    assert_eq!(made.status, ConsumerStatus::Creating);
    let by_arn = ConsumerName::Arn(&made.arn);
    let by_name = ConsumerName::Of { stream_arn: ARN, name: "c" };
    for name in [by_arn, by_name] {
        let described = model.describe_consumer(now + 500, name).unwrap();
        assert_eq!(described, ConsumerDescription { status: ConsumerStatus::Active, ..made.clone() });
    }
    assert_eq!(model.list_tags_of_resource(now, &made.arn).unwrap(), [("a".into(), "1".into())]);
    assert_eq!(model.describe_stream_summary(now, "s").unwrap().consumers, 1);
    let in_use = model.delete_stream(now + 500, "s", false);
    refused(in_use, ErrorCode::ResourceInUse, "1 registered consumers");

    model.deregister_consumer(now + 500, by_arn).unwrap();
    assert_eq!(model.describe_consumer(now + 999, by_name).unwrap().status, ConsumerStatus::Deleting);
    refused(
        model.describe_consumer(now + 1_000, by_name),
        ErrorCode::ResourceNotFound,
        "Consumer c, account 000000000000 not found.",
    );
    model.delete_stream(now + 1_000, "s", false).unwrap();
}

#[test]
fn consumers_are_at_most_20_five_at_a_time_and_listed_in_pages() {
    let mut model = Model::new(ModelSettings::default());
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    let mut now = T0 + 500;
    let names: Vec<_> = (0..20).map(|n| format!("c{n:02}")).collect();
    for five in names.chunks(5) {
        for name in five {
            model.register_consumer(now, ARN, name, None).unwrap();
        }
        refused(model.register_consumer(now, ARN, "x", None), ErrorCode::LimitExceeded, "in the CREATING state");
        now += 500;
    }
    refused(model.register_consumer(now, ARN, "x", None), ErrorCode::LimitExceeded, "may have 20 consumers");
    refused(model.register_consumer(now, ARN, "c07", None), ErrorCode::ResourceInUse, "already exists");
    let mut listed = Vec::new();
    let mut token = None;
    loop {
        let page = model.list_consumers(now, ARN, Some(8), token.as_deref()).unwrap();
        listed.extend(page.consumers.into_iter().map(|consumer| consumer.name));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(listed, names);
}

#[test]
fn token_of_one_listing_is_no_use_to_another() {
    let mut model = with_stream(3);
    model.create_stream(T0, CreateStreamRequest::provisioned("t", 1)).unwrap();
    let streams = ListStreamsRequest { limit: Some(1), ..ListStreamsRequest::default() };
    let of_streams = model.list_streams(T0, streams).unwrap().next_token.unwrap();
    let shards = ListShardsRequest { max_results: Some(1), ..ListShardsRequest::of("s") };
    let of_shards = model.list_shards(T0, shards).unwrap().next_token.unwrap();
    let shards = ListShardsRequest { next_token: Some(&of_streams), ..ListShardsRequest::default() };
    refused(model.list_shards(T0, shards), ErrorCode::InvalidArgument, "Invalid NextToken.");
    let streams = ListStreamsRequest { next_token: Some(&of_shards), ..ListStreamsRequest::default() };
    refused(model.list_streams(T0, streams), ErrorCode::InvalidArgument, "Invalid NextToken.");
    let consumers = model.list_consumers(T0, ARN, None, Some(&of_shards));
    refused(consumers, ErrorCode::InvalidArgument, "Invalid NextToken.");
}

#[test]
fn iterator_of_an_earlier_life_is_refused() {
    let mut earlier = with_stream(1);
    let iterator = iterator(&mut earlier, T0, IteratorPosition::TrimHorizon);
    let mut model = model();
    model.create_stream(T0 + 1, CreateStreamRequest::provisioned("s", 1)).unwrap();
    refused(model.get_records(T0 + 1, &iterator, None), ErrorCode::ResourceNotFound, "does not exist");
}

#[test]
fn stream_of_that_name_made_at_another_time_is_not_listed() {
    let mut model = with_stream(1);
    let made = |created_ms| ListShardsRequest { created_ms: Some(created_ms), ..ListShardsRequest::of("s") };
    assert_eq!(model.list_shards(T0, made(T0)).unwrap().shards.len(), 1);
    assert_eq!(model.list_shards(T0, made(T0 / 1_000 * 1_000)).unwrap().shards.len(), 1, "whole seconds will do");
    refused(model.list_shards(T0, made(T0 - 1_000)), ErrorCode::ResourceNotFound, "not found");
}

#[test]
fn sequence_number_that_no_record_has_had_is_refused() {
    let mut model = with_stream(1);
    let last = put(&mut model, T0, "a").sequence;
    let coming = SequenceNumber::new(ShardId::new(0), last.created_s(), last.index() + 1, last.time_s()).to_string();
    let at = IteratorPosition::AtSequence(&coming);
    let refusal = model.get_shard_iterator(T0, "s", "shardId-000000000000", at);
    refused(refusal, ErrorCode::InvalidArgument, "is invalid.");
}

#[test]
fn keys_are_changed_25_times_in_a_day() {
    let mut model = with_stream(1);
    let at = |n: i64| T0 + n * HOUR / 2;
    for n in 0..25 {
        model.start_encryption(at(n), "s", &format!("alias/{n}")).unwrap();
    }
    refused(model.start_encryption(at(47), "s", "alias/x"), ErrorCode::LimitExceeded, "25 times in the last 24 hours");
    model.stop_encryption(at(47), "s", "alias/x").unwrap();
    model.start_encryption(at(49), "s", "alias/x").unwrap();
}
