//! Limits as callers meet them.

use super::*;

fn limited(shards: u32) -> Model {
    let mut model =
        Model::new(ModelSettings { create_delay_ms: 0, throughput_limits: true, ..ModelSettings::default() });
    let request = CreateStreamRequest { record_kib_max: Some(10_240), ..CreateStreamRequest::provisioned("s", shards) };
    model.create_stream(T0, request).unwrap();
    model
}

const RATE: &str = "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.";

#[test]
fn records_beyond_a_shard_s_second_fail_one_by_one_and_use_up_nothing() {
    let mut model = limited(2);
    let last = u128::MAX.to_string();
    let to = |hash_key| PutEntry { explicit_hash_key: Some(hash_key), ..entry("k", "d") };
    for _ in 0..2 {
        assert!(model.put_records(T0, "s", vec![to("0"); 500]).unwrap().iter().all(Result::is_ok));
    }
    let answer = model.put_records(T0, "s", vec![to("0"), to(&last), to("0"), to(&last)]).unwrap();
    let failure = PutFailure { code: "ProvisionedThroughputExceededException", message: RATE.to_owned() };
    assert_eq!([&answer[0], &answer[2]].map(|record| record.clone().unwrap_err()), [failure.clone(), failure]);
    let [one, two] = [&answer[1], &answer[3]].map(|record| record.clone().unwrap());
    assert!(one.sequence < two.sequence);
    assert_eq!(model.record_count("s"), 1_002);
    assert!(model.put_record(T0, "s", to("0"), None).unwrap().is_err(), "a whole call fails alike");
    assert!(model.put_record(T0 + 1, "s", to("0"), None).unwrap().is_ok());
}

#[test]
fn reads_beyond_a_shard_s_second_are_refused_and_the_iterator_stays_good() {
    let mut model = limited(1);
    put(&mut model, T0, "d");
    let first = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    for _ in 0..4 {
        let _ = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    }
    let sixth = model.get_shard_iterator(T0, "s", "0", IteratorPosition::Latest);
    refused(sixth, ErrorCode::ProvisionedThroughputExceeded, RATE);
    for _ in 0..5 {
        assert_eq!(model.get_records(T0, &first, None).unwrap().records.len(), 1);
    }
    refused(model.get_records(T0, &first, None), ErrorCode::ProvisionedThroughputExceeded, RATE);
    assert_eq!(model.get_records(T0 + 200, &first, None).unwrap().records.len(), 1);
}

#[test]
fn page_of_ten_mebibytes_is_paid_off_in_five_seconds() {
    let mut model = limited(1);
    let large = entry("k", Bytes::from(vec![0; (10 << 20) - 1]));
    model.put_record(T0, "s", large, None).unwrap().unwrap();
    let first = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    assert_eq!(model.get_records(T0, &first, None).unwrap().records.len(), 1);
    refused(model.get_records(T0 + 4_999, &first, None), ErrorCode::ProvisionedThroughputExceeded, RATE);
    assert!(model.get_records(T0 + 5_000, &first, None).is_ok());
}

#[test]
fn children_begin_with_full_buckets() {
    let mut model = limited(1);
    for _ in 0..2 {
        model.put_records(T0, "s", vec![entry("k", "d"); 500]).unwrap();
    }
    model.split_shard(T0, "s", "0", "1000").unwrap();
    let answer = model.put_records(T0 + 500, "s", vec![entry("k", "d"); 500]).unwrap();
    assert!(answer.iter().all(Result::is_ok));
}
