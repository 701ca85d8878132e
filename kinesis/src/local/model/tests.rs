//! The rules of the service, one test each, with the clock in the tests' hands.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

mod journal;
mod memory;
mod reshard;
mod settings;
mod throughput;

const T0: i64 = 1_795_395_060_708;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

fn model() -> Model {
    Model::new(ModelSettings { create_delay_ms: 0, delete_delay_ms: 0, ..ModelSettings::default() })
}

/// A model with the stream `s` of so many shards, ACTIVE since `T0`.
fn with_stream(shards: u32) -> Model {
    let mut model = model();
    model.create_stream(T0, CreateStreamRequest::provisioned("s", shards)).unwrap();
    model
}

fn entry(partition_key: &str, data: impl Into<Bytes>) -> PutEntry<'_> {
    PutEntry { partition_key, explicit_hash_key: None, data: data.into() }
}

fn put(model: &mut Model, now_ms: i64, data: &'static str) -> Placed {
    model.put_record(now_ms, "s", entry("key", data), None).unwrap().unwrap()
}

fn iterator(model: &mut Model, now_ms: i64, position: IteratorPosition<'_>) -> String {
    model.get_shard_iterator(now_ms, "s", "shardId-000000000000", position).unwrap()
}

/// The data of one page at a position of shard 0.
fn read(model: &mut Model, now_ms: i64, position: IteratorPosition<'_>) -> Vec<String> {
    let iterator = iterator(model, now_ms, position);
    texts(&model.get_records(now_ms, &iterator, None).unwrap())
}

fn texts(page: &GetRecordsAnswer<'_>) -> Vec<String> {
    page.records.clone().map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ModelError>, code: ErrorCode, part: &str) {
    let error = result.expect_err("the call is refused");
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(part), "{error}");
}

#[test]
fn stream_is_creating_until_the_delay_has_passed() {
    let mut model = Model::new(ModelSettings { create_delay_ms: 500, ..ModelSettings::default() });
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 2)).unwrap();

    let described = model.describe_stream(T0 + 499, "s", None, None).unwrap();
    assert_eq!(described.summary.status, StreamStatus::Creating);
    assert_eq!((described.shards.len(), described.summary.open_shards), (0, 0));
    let early = model.put_record(T0 + 499, "s", entry("k", "d"), None);
    refused(early, ErrorCode::ResourceNotFound, "Stream s under account 000000000000 not found.");
    refused(
        model.list_shards(T0 + 499, ListShardsRequest::of("s")),
        ErrorCode::ResourceInUse,
        "Stream s under account 000000000000 not ACTIVE, instead in state CREATING",
    );
    refused(model.delete_stream(T0 + 499, "s", false), ErrorCode::ResourceInUse, "CREATING");

    let described = model.describe_stream(T0 + 500, "s", None, None).unwrap();
    assert_eq!(described.summary.status, StreamStatus::Active);
    assert_eq!((described.shards.len(), described.summary.open_shards), (2, 2));
    assert_eq!(described.summary.created_ms, T0);
    model.put_record(T0 + 500, "s", entry("k", "d"), None).unwrap().unwrap();
}

#[test]
fn stream_made_active_by_hand_need_not_be_waited_for() {
    let mut model = Model::new(ModelSettings { create_delay_ms: HOUR, ..ModelSettings::default() });
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    model.activate("s");
    assert_eq!(model.describe_stream_summary(T0, "s").unwrap().status, StreamStatus::Active);
}

#[test]
fn name_taken_is_refused_and_so_are_too_many_at_once_and_too_many_shards() {
    let mut model = Model::new(ModelSettings { shard_limit: 10, create_delay_ms: 10, ..ModelSettings::default() });
    for name in ["a", "b", "c", "d", "e"] {
        model.create_stream(T0, CreateStreamRequest::provisioned(name, 1)).unwrap();
    }
    let again = model.create_stream(T0, CreateStreamRequest::provisioned("a", 1));
    refused(again, ErrorCode::ResourceInUse, "Stream a under account 000000000000 already exists.");
    let sixth = model.create_stream(T0, CreateStreamRequest::provisioned("f", 1));
    refused(sixth, ErrorCode::LimitExceeded, "CREATING");
    let large = model.create_stream(T0 + 10, CreateStreamRequest::provisioned("f", 6));
    refused(large, ErrorCode::LimitExceeded, "Current shard count for the account: 5. Limit: 10.");
    model.create_stream(T0 + 10, CreateStreamRequest::provisioned("f", 5)).unwrap();
}

#[test]
fn shard_count_goes_with_the_mode() {
    let mut model = model();
    let on_demand = |shard_count| CreateStreamRequest {
        stream: "d",
        shard_count,
        mode: StreamMode::OnDemand,
        ..CreateStreamRequest::default()
    };
    refused(model.create_stream(T0, on_demand(Some(2))), ErrorCode::InvalidArgument, "ShardCount");
    let none = CreateStreamRequest { stream: "p", ..CreateStreamRequest::default() };
    refused(model.create_stream(T0, none), ErrorCode::InvalidArgument, "ShardCount");
    model.create_stream(T0, on_demand(None)).unwrap();
    assert_eq!(model.describe_stream_summary(T0, "d").unwrap().open_shards, 4);
}

#[test]
fn broken_constraints_are_listed_in_the_service_s_words() {
    let mut model = model();
    let error = model.create_stream(T0, CreateStreamRequest::provisioned("no spaces", 0)).unwrap_err();
    assert_eq!(
        error.message,
        "2 validation errors detected: Value '0' at 'shardCount' failed to satisfy constraint: Member must have value \
         greater than or equal to 1; Value 'no spaces' at 'streamName' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    );
    let long = "n".repeat(129);
    let error = model.describe_stream_summary(T0, &long).unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "1 validation error detected: Value '{long}' at 'streamName' failed to satisfy constraint: Member must \
             have length less than or equal to 128"
        )
    );
}

#[test]
fn deleted_stream_refuses_calls_at_once_and_is_gone_after_the_delay() {
    let mut model = Model::new(ModelSettings { create_delay_ms: 0, delete_delay_ms: 500, ..ModelSettings::default() });
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    let iterator = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    model.delete_stream(T0, "s", false).unwrap();
    assert_eq!(model.describe_stream_summary(T0 + 499, "s").unwrap().status, StreamStatus::Deleting);
    let write = model.put_record(T0 + 499, "s", entry("k", "d"), None);
    refused(write, ErrorCode::ResourceNotFound, "not found");
    refused(model.get_records(T0 + 499, &iterator, None), ErrorCode::ResourceNotFound, "does not exist");
    refused(model.describe_stream_summary(T0 + 500, "s"), ErrorCode::ResourceNotFound, "not found");

    model.create_stream(T0 + 500, CreateStreamRequest::provisioned("s", 1)).unwrap();
    refused(model.get_records(T0 + 500, &iterator, None), ErrorCode::ResourceNotFound, "does not exist");
}

#[test]
fn partition_key_has_1_to_256_characters_of_any_script() {
    let mut model = with_stream(1);
    let longest = "ж".repeat(256);
    model.put_record(T0, "s", entry(&longest, ""), None).unwrap().unwrap();
    let too_long = "ж".repeat(257);
    refused(
        model.put_record(T0, "s", entry(&too_long, ""), None),
        ErrorCode::Validation,
        "at 'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256",
    );
    refused(
        model.put_records(T0, "s", vec![entry("k", ""), entry("", "")]),
        ErrorCode::Validation,
        "Value '' at 'records.2.member.partitionKey' failed to satisfy constraint: Member must have length greater \
         than or equal to 1",
    );
}

#[test]
fn key_and_data_have_a_mebibyte_unless_the_stream_allows_more() {
    let mut model = with_stream(1);
    let data = |bytes: usize| Bytes::from(vec![7; bytes]);
    model.put_record(T0, "s", entry("key", data((1 << 20) - 3)), None).unwrap().unwrap();
    let whole = model.put_record(T0, "s", entry("key", data((1 << 20) - 2)), None);
    refused(whole, ErrorCode::InvalidArgument, "1048577 bytes exceeds the maximum record size of 1048576 bytes");
    refused(
        model.put_record(T0, "s", entry("key", data((10 << 20) + 1)), None),
        ErrorCode::Validation,
        "Value 'java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]' at 'data' failed to satisfy constraint: \
         Member must have length less than or equal to 10485760",
    );
    let large = CreateStreamRequest { record_kib_max: Some(10_240), ..CreateStreamRequest::provisioned("large", 1) };
    model.create_stream(T0, large).unwrap();
    model.put_record(T0, "large", entry("k", data((10 << 20) - 1)), None).unwrap().unwrap();
}

#[test]
fn one_call_puts_1_to_500_records_of_10_mebibytes_in_all() {
    let mut model = with_stream(3);
    let many = |count: usize| vec![entry("k", "d"); count];
    assert_eq!(model.put_records(T0, "s", many(500)).unwrap().len(), 500);
    refused(model.put_records(T0, "s", many(501)), ErrorCode::Validation, "at 'records' failed");
    refused(model.put_records(T0, "s", many(0)), ErrorCode::Validation, "at 'records' failed");
    let mebibyte = Bytes::from(vec![0; (1 << 20) - 1]);
    model.put_records(T0, "s", vec![entry("k", mebibyte.clone()); 10]).unwrap();
    let mut over = vec![entry("k", mebibyte); 10];
    over.push(entry("k", ""));
    refused(model.put_records(T0, "s", over), ErrorCode::InvalidArgument, "Records size exceeds 10 MB limit");
    assert_eq!(model.record_count("s"), 510);
}

#[test]
fn one_bad_record_refuses_the_whole_call() {
    let mut model = with_stream(1);
    let far = PutEntry { explicit_hash_key: Some("340282366920938463463374607431768211456"), ..entry("k", "b") };
    refused(
        model.put_records(T0, "s", vec![entry("k", "a"), far]),
        ErrorCode::InvalidArgument,
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was \
         340282366920938463463374607431768211456",
    );
    assert_eq!(model.record_count("s"), 0);
    assert_eq!(model.all_records("s").count(), 0);
}

#[test]
fn explicit_hash_key_decides_the_shard() {
    let mut model = with_stream(3);
    let mut shard_at = |hash_key: &str| {
        let entry = PutEntry { explicit_hash_key: Some(hash_key), ..entry("k", "") };
        model.put_record(T0, "s", entry, None).map(|placed| placed.unwrap().shard.number())
    };
    assert_eq!(shard_at("0"), Ok(0));
    assert_eq!(shard_at("113427455640312821154458202477256070484"), Ok(0));
    assert_eq!(shard_at("113427455640312821154458202477256070485"), Ok(1));
    assert_eq!(shard_at("340282366920938463463374607431768211455"), Ok(2));
    for malformed in ["", "abc", "-1", "01", "1000000000000000000000000000000000000000"] {
        refused(shard_at(malformed), ErrorCode::Validation, "0|([1-9]\\d{0,38})");
    }
}

#[test]
fn sequence_numbers_rise_in_a_shard_and_leave_gaps() {
    let mut model = with_stream(1);
    let numbers: Vec<_> = (0..100).map(|_| put(&mut model, T0, "d").sequence).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(numbers.windows(2).any(|pair| pair[0].index() + 1 < pair[1].index()), "nobody may count on plus one");
    let first = model.list_shards(T0, ListShardsRequest::of("s")).unwrap().shards[0].first_sequence;
    assert!(first < numbers[0]);
}

#[test]
fn number_for_ordering_must_be_one_of_ours() {
    let mut model = with_stream(1);
    let first = put(&mut model, T0, "d").sequence.to_string();
    let second = model.put_record(T0, "s", entry("k", "d"), Some(&first)).unwrap().unwrap();
    assert!(second.sequence.to_string() > first);
    let foreign = model.put_record(T0, "s", entry("k", "d"), Some("5"));
    refused(foreign, ErrorCode::InvalidArgument, "ExclusiveMinimumSequenceNumber 5 used in PutRecord on stream s");
    let malformed = model.put_record(T0, "s", entry("k", "d"), Some("five"));
    refused(malformed, ErrorCode::Validation, "sequenceNumberForOrdering");
}

#[test]
fn each_kind_of_iterator_begins_where_it_says() {
    let mut model = with_stream(1);
    let a = put(&mut model, T0, "a");
    let b = put(&mut model, T0 + 10, "b");
    put(&mut model, T0 + 10, "c");
    let d = put(&mut model, T0 + 20, "d");
    let now = T0 + 30;
    let (a, b, d) = (a.sequence.to_string(), b.sequence.to_string(), d.sequence.to_string());

    let model = &mut model;
    assert_eq!(read(model, now, IteratorPosition::TrimHorizon), ["a", "b", "c", "d"]);
    assert_eq!(read(model, now, IteratorPosition::AtSequence(&b)), ["b", "c", "d"]);
    assert_eq!(read(model, now, IteratorPosition::AfterSequence(&b)), ["c", "d"]);
    assert_eq!(read(model, now, IteratorPosition::AfterSequence(&a)), ["b", "c", "d"]);
    assert!(read(model, now, IteratorPosition::AfterSequence(&d)).is_empty());
    assert_eq!(read(model, now, IteratorPosition::AtTimestamp(0)), ["a", "b", "c", "d"]);
    assert_eq!(read(model, now, IteratorPosition::AtTimestamp(T0 + 1)), ["b", "c", "d"]);
    assert_eq!(read(model, now, IteratorPosition::AtTimestamp(T0 + 10)), ["b", "c", "d"]);
    assert!(read(model, now, IteratorPosition::AtTimestamp(now)).is_empty());
    assert!(read(model, now, IteratorPosition::Latest).is_empty());

    // The shard's own start is a place too: where a reader begins that knows ListShards only.
    let start = model.list_shards(now, ListShardsRequest::of("s")).unwrap().shards[0].first_sequence.to_string();
    assert_eq!(read(model, now, IteratorPosition::AtSequence(&start)), ["a", "b", "c", "d"]);
    assert_eq!(read(model, now, IteratorPosition::AfterSequence(&start)), ["a", "b", "c", "d"]);
}

#[test]
fn iterator_at_the_end_sees_what_comes_after_it_was_issued() {
    let mut model = with_stream(1);
    put(&mut model, T0, "old");
    let latest = iterator(&mut model, T0, IteratorPosition::Latest);
    let since = iterator(&mut model, T0 + 5, IteratorPosition::AtTimestamp(T0 + 5));
    put(&mut model, T0 + 5, "new");
    for iterator in [latest, since] {
        assert_eq!(texts(&model.get_records(T0 + 9, &iterator, None).unwrap()), ["new"]);
    }
}

#[test]
fn sequence_number_within_a_gap_is_a_place_like_any_other() {
    let mut model = with_stream(2);
    let mut zero = || {
        let entry = PutEntry { explicit_hash_key: Some("0"), ..entry("k", "d") };
        model.put_record(T0, "s", entry, None).unwrap().unwrap().sequence
    };
    let numbers: Vec<_> = (0..20).map(|_| zero()).collect();
    let (a, b) = numbers.windows(2).map(|pair| (pair[0], pair[1])).find(|(a, b)| a.index() + 1 < b.index()).unwrap();
    let behind = numbers.iter().filter(|number| **number >= b).count();
    for index in a.index() + 1..b.index() {
        let between = SequenceNumber::new(ShardId::new(0), a.created_s(), index, a.time_s()).to_string();
        assert_eq!(read(&mut model, T0, IteratorPosition::AtSequence(&between)).len(), behind);
        assert_eq!(read(&mut model, T0, IteratorPosition::AfterSequence(&between)).len(), behind);
    }
}

#[test]
fn sequence_number_from_elsewhere_is_refused() {
    let mut model = with_stream(2);
    let of_shard_1 = PutEntry { explicit_hash_key: Some("340282366920938463463374607431768211455"), ..entry("k", "") };
    let of_shard_1 = model.put_record(T0, "s", of_shard_1, None).unwrap().unwrap().sequence.to_string();
    model.create_stream(T0 + 5_000, CreateStreamRequest::provisioned("other", 1)).unwrap();
    let of_other = model.put_record(T0 + 5_000, "other", entry("k", ""), None).unwrap().unwrap().sequence.to_string();
    let mut at = |number: &str| {
        let shard = "shardId-000000000000";
        model.get_shard_iterator(T0 + 5_000, "s", shard, IteratorPosition::AtSequence(number)).map(|_| ())
    };
    refused(
        at(&of_shard_1),
        ErrorCode::InvalidArgument,
        "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with \
         shardId-000000000000",
    );
    refused(at(&of_other), ErrorCode::InvalidArgument, "is invalid because it did not come from this stream.");
    refused(at("5"), ErrorCode::InvalidArgument, "StartingSequenceNumber 5 used in GetShardIterator on shard");
    refused(at("007"), ErrorCode::Validation, "startingSequenceNumber");
}

#[test]
fn shard_that_is_not_there_is_refused() {
    let mut model = with_stream(1);
    let latest = IteratorPosition::Latest;
    let missing = model.get_shard_iterator(T0, "s", "shardId-000000000001", latest);
    refused(missing, ErrorCode::ResourceNotFound, "Shard shardId-000000000001 in stream s under account 000000000000");
    let nameless = model.get_shard_iterator(T0, "s", "first", latest);
    refused(
        nameless,
        ErrorCode::ResourceNotFound,
        "Could not find shard first in stream s under account 000000000000.",
    );
    let streamless = model.get_shard_iterator(T0, "t", "shardId-000000000000", latest);
    refused(streamless, ErrorCode::ResourceNotFound, "Stream t under account 000000000000 not found.");
}

#[test]
fn time_still_to_come_is_refused() {
    let mut model = with_stream(1);
    let future = IteratorPosition::AtTimestamp(T0 + 1);
    let error = model.get_shard_iterator(T0, "s", "shardId-000000000000", future).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert_eq!(
        error.message,
        format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: \
             {}, currentTimestampInMillis: {T0}",
            T0 + 1
        )
    );
}

#[test]
fn iterator_serves_any_number_of_calls_and_expires_after_five_minutes() {
    let mut model = with_stream(1);
    put(&mut model, T0, "a");
    let iterator = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    for now in [T0, T0 + 1, T0 + 5 * MINUTE] {
        assert_eq!(texts(&model.get_records(now, &iterator, None).unwrap()), ["a"]);
    }
    let late = model.get_records(T0 + 5 * MINUTE + 1, &iterator, None);
    refused(late, ErrorCode::ExpiredIterator, "the tolerated delay of 300000 milliseconds.");
}

#[test]
fn iterator_that_is_none_of_ours_is_refused() {
    let mut model = with_stream(1);
    refused(model.get_records(T0, "garbage", None), ErrorCode::InvalidArgument, "Invalid ShardIterator.");
    refused(model.get_records(T0, "", None), ErrorCode::Validation, "shardIterator");
    refused(model.get_records(T0, &"A".repeat(513), None), ErrorCode::Validation, "shardIterator");
}

#[test]
fn limit_of_a_page_is_1_to_10_000_and_10_000_if_not_given() {
    let mut model = with_stream(1);
    for _ in 0..21 {
        model.put_records(T0, "s", vec![entry("k", ""); 500]).unwrap();
    }
    let first = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    for limit in [0, 10_001, -1] {
        refused(model.get_records(T0, &first, Some(limit)), ErrorCode::Validation, "at 'limit' failed to satisfy");
    }
    assert_eq!(model.get_records(T0, &first, Some(1)).unwrap().records.len(), 1);
    let page = model.get_records(T0, &first, None).unwrap();
    assert_eq!(page.records.len(), 10_000);
    let next = page.next_iterator.unwrap();
    assert_eq!(model.get_records(T0, &next, Some(10_000)).unwrap().records.len(), 500);
}

#[test]
fn page_holds_10_mebibytes_but_always_a_record() {
    let mut model = model();
    let large = CreateStreamRequest { record_kib_max: Some(10_240), ..CreateStreamRequest::provisioned("s", 1) };
    model.create_stream(T0, large).unwrap();
    for bytes in [4 << 20, 6 << 20, 10 << 20] {
        let data = Bytes::from(vec![0; bytes - 1]);
        model.put_record(T0, "s", entry("k", data), None).unwrap().unwrap();
    }
    let mut next = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    let mut counts = Vec::new();
    for _ in 0..3 {
        let page = model.get_records(T0, &next, None).unwrap();
        counts.push(page.records.len());
        next = page.next_iterator.unwrap();
    }
    assert_eq!(counts, [2, 1, 0], "4 + 6 MiB fill one page to the byte");
}

#[test]
fn millis_behind_latest_is_0_exactly_when_nothing_lies_ahead() {
    let mut model = with_stream(1);
    put(&mut model, T0, "a");
    put(&mut model, T0 + 1_000, "b");
    put(&mut model, T0 + 1_000, "c");
    let now = T0 + 4_000;
    let first = iterator(&mut model, now, IteratorPosition::TrimHorizon);
    let mut behind = |limit| model.get_records(now, &first, Some(limit)).unwrap().millis_behind_latest;
    assert_eq!(behind(1), 4_000);
    assert_eq!(behind(2), 3_000);
    assert_eq!(behind(3), 0);
    let at_once = iterator(&mut model, now, IteratorPosition::Latest);
    put(&mut model, now, "d");
    put(&mut model, now, "e");
    let page = model.get_records(now, &at_once, Some(1)).unwrap();
    assert_eq!(page.millis_behind_latest, 1, "the same ms, yet not caught up");
}

#[test]
fn arrival_stamps_do_not_fall_when_the_clock_does() {
    let mut model = with_stream(1);
    put(&mut model, T0 + 100, "a");
    put(&mut model, T0 + 40, "b");
    put(&mut model, T0 + 140, "c");
    let stamps: Vec<_> = model.all_records("s").map(|(_, record)| record.arrival_ms - T0).collect();
    assert_eq!(stamps, [100, 100, 140]);
}

#[test]
fn arrival_stamps_follow_a_clock_that_steps_back_if_they_may() {
    let settings = ModelSettings { create_delay_ms: 0, stamps_may_fall: true, ..ModelSettings::default() };
    let mut model = Model::new(settings);
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    for (now, data) in [(T0 + 100, "a"), (T0 + 40, "b"), (T0 + 140, "c")] {
        put(&mut model, now, data);
    }
    let stamps: Vec<_> = model.all_records("s").map(|(_, record)| record.arrival_ms - T0).collect();
    assert_eq!(stamps, [100, 40, 140]);
    // Who reads from a time on may be given earlier stamps, and misses none of later ones.
    assert_eq!(read(&mut model, T0 + 140, IteratorPosition::AtTimestamp(T0 + 50)), ["a", "b", "c"]);
    assert_eq!(read(&mut model, T0 + 140, IteratorPosition::AtTimestamp(T0 + 120)), ["c"]);
}

#[test]
fn record_is_read_some_time_after_its_stamp_and_until_then_the_reader_has_caught_up() {
    let settings = ModelSettings { create_delay_ms: 0, visible_after_ms: 300, ..ModelSettings::default() };
    let mut model = Model::new(ModelSettings { shard_end: ShardEnd::WithLastRecords, update_delay_ms: 0, ..settings });
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    put(&mut model, T0, "a");
    let mut next = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    put(&mut model, T0 + 200, "b");
    let mut seen = Vec::new();
    for now in [T0 + 299, T0 + 300, T0 + 499] {
        let page = model.get_records(now, &next, None).unwrap();
        seen.push((now - T0, texts(&page), page.millis_behind_latest));
        next = page.next_iterator.unwrap();
    }
    let nothing = Vec::<String>::new();
    assert_eq!(seen, [(299, nothing.clone(), 0), (300, vec!["a".to_owned()], 0), (499, nothing, 0)]);
    // A closed shard has not ended while a record of it is still to be seen.
    model.split_shard(T0 + 499, "s", "0", "1000").unwrap();
    let page = model.get_records(T0 + 499, &next, None).unwrap();
    assert!(page.next_iterator.is_some() && page.child_shards.is_empty());
    next = page.next_iterator.unwrap();
    let page = model.get_records(T0 + 500, &next, None).unwrap();
    assert_eq!((texts(&page), page.next_iterator.is_none(), page.child_shards.len()), (vec!["b".to_owned()], true, 2));
}

#[test]
fn latest_is_behind_what_is_not_to_be_seen_yet() {
    let settings = ModelSettings { create_delay_ms: 0, visible_after_ms: 300, ..ModelSettings::default() };
    let mut model = Model::new(settings);
    model.create_stream(T0, CreateStreamRequest::provisioned("s", 1)).unwrap();
    put(&mut model, T0, "before");
    let latest = iterator(&mut model, T0, IteratorPosition::Latest);
    put(&mut model, T0, "behind");
    let next = model.get_records(T0 + 1, &latest, None).unwrap().next_iterator.unwrap();
    assert_eq!(texts(&model.get_records(T0 + 300, &next, None).unwrap()), ["behind"]);
}

#[test]
fn record_older_than_a_day_is_no_longer_read_but_still_counted() {
    let mut model = with_stream(1);
    let a = put(&mut model, T0, "a").sequence.to_string();
    put(&mut model, T0 + HOUR, "b");
    let now = T0 + 24 * HOUR + 1;
    assert_eq!(read(&mut model, now, IteratorPosition::TrimHorizon), ["b"]);
    assert_eq!(read(&mut model, now, IteratorPosition::AtSequence(&a)), ["b"]);
    assert_eq!(model.record_count("s"), 2);
    assert_eq!(model.all_records("s").count(), 1);
}

#[test]
fn shards_are_listed_in_pages_that_hold_each_once() {
    let mut model = with_stream(2_500);
    let mut request = ListShardsRequest::of("s");
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    let mut token;
    loop {
        let page = model.list_shards(T0, request).unwrap();
        sizes.push(page.shards.len());
        ids.extend(page.shards.iter().map(|shard| shard.id.number()));
        let Some(next) = page.next_token else { break };
        token = next;
        request = ListShardsRequest { next_token: Some(&token), max_results: Some(900), ..Default::default() };
    }
    assert_eq!(sizes, [1_000, 900, 600]);
    assert_eq!(ids, (0..2_500).collect::<Vec<_>>());
    let page = model.describe_stream(T0, "s", Some("shardId-000000002450"), Some(10_000)).unwrap();
    assert_eq!((page.shards.len(), page.has_more_shards), (49, false));
    let page = model.describe_stream(T0, "s", None, Some(10_000)).unwrap();
    assert_eq!((page.shards.len(), page.has_more_shards), (100, true));
}

#[test]
fn listing_token_stands_alone_keeps_its_filter_and_expires() {
    let mut model = with_stream(3);
    let filter = Some(ShardFilter::AfterShardId(ShardId::new(0)));
    let first = ListShardsRequest { max_results: Some(1), filter, ..ListShardsRequest::of("s") };
    let token = model.list_shards(T0, first).unwrap().next_token.unwrap();
    let with_name = ListShardsRequest { next_token: Some(&token), ..ListShardsRequest::of("s") };
    refused(
        model.list_shards(T0, with_name),
        ErrorCode::InvalidArgument,
        "NextToken and StreamName cannot be provided together.",
    );
    let alone = ListShardsRequest { next_token: Some(&token), ..Default::default() };
    let rest = model.list_shards(T0 + 5 * MINUTE, alone).unwrap();
    assert_eq!(rest.shards.iter().map(|shard| shard.id.number()).collect::<Vec<_>>(), [2]);
    refused(model.list_shards(T0 + 5 * MINUTE + 1, alone), ErrorCode::ExpiredNextToken, "expired");
    let made_up = ListShardsRequest { next_token: Some("made-up"), ..Default::default() };
    refused(model.list_shards(T0, made_up), ErrorCode::InvalidArgument, "Invalid NextToken.");
    refused(model.list_shards(T0, Default::default()), ErrorCode::InvalidArgument, "NextToken or StreamName");
}

#[test]
fn streams_are_listed_by_name_in_pages() {
    let mut model = model();
    let names: Vec<_> = (0..120).map(|i| format!("stream-{i:03}")).collect();
    for name in &names {
        model.create_stream(T0, CreateStreamRequest::provisioned(name, 1)).unwrap();
    }
    let listed = |answer: &ListStreamsAnswer| answer.streams.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let first = model.list_streams(T0, ListStreamsRequest::default()).unwrap();
    assert_eq!((listed(&first), first.has_more_streams), (names[..100].to_vec(), true));
    let next = ListStreamsRequest { next_token: first.next_token.as_deref(), ..Default::default() };
    let rest = model.list_streams(T0, next).unwrap();
    assert_eq!((listed(&rest), rest.has_more_streams, rest.next_token), (names[100..].to_vec(), false, None));
    let behind = ListStreamsRequest { exclusive_start: Some("stream-004"), limit: Some(2), ..Default::default() };
    assert_eq!(listed(&model.list_streams(T0, behind).unwrap()), names[5..7]);
}

#[test]
fn stream_is_named_by_name_or_arn() {
    let mut model = with_stream(1);
    let arn = model.describe_stream_summary(T0, "s").unwrap().arn;
    assert_eq!(arn, "arn:aws:kinesis:us-east-1:000000000000:stream/s");
    assert_eq!(model.stream_name(None, Some(&arn)), Ok("s"));
    assert_eq!(model.stream_name(Some("s"), Some(&arn)), Ok("s"));
    refused(model.stream_name(Some("t"), Some(&arn)), ErrorCode::InvalidArgument, "do not name the same stream");
    refused(model.stream_name(None, None), ErrorCode::InvalidArgument, "StreamName or StreamARN");
    let foreign = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
    refused(model.stream_name(None, Some(foreign)), ErrorCode::ResourceNotFound, "under account 123456789012");
    for malformed in ["s", "arn:aws:sqs:us-east-1:000000000000:stream/s", "arn:aws:kinesis:us-east-1:1:stream/s"] {
        refused(model.stream_name(None, Some(malformed)), ErrorCode::Validation, "arn:aws.*:kinesis:.*:\\d{12}");
    }
}

#[test]
fn same_calls_give_the_same_answers() {
    let run = || {
        let mut model = with_stream(3);
        let keys = ["a", "b", "c", "d", "e"];
        let put = keys.map(|key| model.put_record(T0, "s", entry(key, "x"), None).unwrap().unwrap());
        (put, iterator(&mut model, T0, IteratorPosition::Latest))
    };
    assert_eq!(run(), run());
}

proptest! {
    #[test]
    fn record_lands_in_the_shard_that_holds_its_hash_key(key in "\\PC{1,40}", shards in 1_u32..200) {
        let mut model = with_stream(shards);
        let placed = model.put_record(T0, "s", entry(&key, ""), None).unwrap().unwrap();
        let hash_key = hash_key_of(&key);
        let holders: Vec<_> = (0..shards).filter(|i| even_range(*i, shards).contains(hash_key)).collect();
        prop_assert_eq!(holders, [placed.shard.number()]);
    }

    /// Puts and reads interleaved at random, with pages of random size and some that are empty without need.
    #[test]
    fn walk_by_iterators_sees_each_record_once_in_order(
        steps in prop::collection::vec((0_usize..6, 1_i64..8, 0_i64..50), 1..60),
        seed in 0_u64..1_000,
        visible_after_ms in 0_i64..40,
    ) {
        let settings = ModelSettings {
            seed: Some(seed),
            create_delay_ms: 0,
            empty_page_one_in: 4,
            visible_after_ms,
            ..ModelSettings::default()
        };
        let mut model = Model::new(settings);
        model.create_stream(T0, CreateStreamRequest::provisioned("s", 2)).unwrap();
        let mut now = T0;
        let mut iterators: Vec<String> = ["0", "1"]
            .map(|shard| model.get_shard_iterator(now, "s", shard, IteratorPosition::TrimHorizon).unwrap())
            .into();
        let mut put = Vec::new();
        let mut seen = Vec::new();
        let catching_up = std::iter::repeat_n((0, 8, 1), 400);
        for (puts, limit, elapsed_ms) in steps.into_iter().chain(catching_up) {
            now += elapsed_ms;
            let keys: Vec<String> = (0..puts).map(|i| format!("{}-{i}", put.len())).collect();
            if puts > 0 {
                let entries = keys.iter().map(|key| entry(key, "d")).collect();
                for placed in model.put_records(now, "s", entries).unwrap() {
                    let placed = placed.unwrap();
                    put.push((placed.shard, placed.sequence));
                }
            }
            for (shard, iterator) in iterators.iter_mut().enumerate() {
                let page = model.get_records(now, iterator, Some(limit)).unwrap();
                let id = ShardId::new(u32::try_from(shard).unwrap());
                seen.extend(page.records.clone().map(|record| (id, record.sequence)));
                let next = page.next_iterator.clone().unwrap();
                *iterator = next;
            }
        }
        for id in [0, 1].map(ShardId::new) {
            let of = |all: &[(ShardId, SequenceNumber)]| -> Vec<_> {
                all.iter().filter(|(shard, _)| *shard == id).map(|(_, sequence)| *sequence).collect()
            };
            prop_assert_eq!(of(&seen), of(&put));
        }
        prop_assert_eq!(model.record_count("s"), u64::try_from(put.len()).unwrap());
    }
}
