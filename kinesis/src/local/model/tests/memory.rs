//! The bound on memory, and what it leaves.

use super::*;

const BOUND: u64 = 1_000_000;

fn bounded(shards: u32) -> Model {
    let mut model = Model::new(ModelSettings {
        create_delay_ms: 0,
        memory_bytes_max: Some(BOUND),
        shard_end: ShardEnd::WithLastRecords,
        ..ModelSettings::default()
    });
    model.create_stream(T0, CreateStreamRequest::provisioned("s", shards)).unwrap();
    model
}

#[test]
fn oldest_records_of_all_shards_go_when_the_bound_is_reached() {
    let mut model = bounded(4);
    let data = Bytes::from(vec![7; 1_000]);
    for n in 0..5_000 {
        let key = n.to_string();
        model.put_record(T0 + n, "s", entry(&key, data.clone()), None).unwrap().unwrap();
        assert!(model.held_bytes() <= BOUND, "{} after {n}", model.held_bytes());
    }
    let mut stamps: Vec<_> = model.all_records("s").map(|(_, record)| record.arrival_ms - T0).collect();
    stamps.sort_unstable();
    let kept = i64::try_from(stamps.len()).unwrap();
    assert_eq!(stamps, (5_000 - kept..5_000).collect::<Vec<_>>(), "the newest, without a hole");
    assert!(kept > 600, "{kept}: room is not made by more than it takes");
    assert_eq!(model.trimmed_for_memory(), u64::try_from(5_000 - kept).unwrap());
    assert_eq!(model.record_count("s"), 5_000);
}

#[test]
fn closed_shard_that_lost_all_it_held_is_gone_and_listings_agree() {
    let mut model = bounded(1);
    put(&mut model, T0, "old");
    model.split_shard(T0, "s", "0", "1000").unwrap();
    let data = Bytes::from(vec![7; 1_000]);
    for n in 0..2_000 {
        model.put_record(T0 + 1_000 + n, "s", entry("k", data.clone()), None).unwrap().unwrap();
    }
    let now = T0 + 3_000;
    for filter in [ShardFilter::AtTrimHorizon, ShardFilter::FromTrimHorizon] {
        let request = ListShardsRequest { filter: Some(filter), ..ListShardsRequest::of("s") };
        let ids: Vec<_> = model.list_shards(now, request).unwrap().shards.iter().map(|s| s.id.number()).collect();
        assert_eq!(ids, [1, 2], "{filter:?}");
    }
}

#[test]
fn records_of_one_millisecond_stay_until_it_is_over() {
    let mut model = bounded(1);
    let data = Bytes::from(vec![7; 1_000]);
    let mut put = |now_ms| model.put_records(now_ms, "s", vec![entry("k", data.clone()); 500]).unwrap().len();
    assert_eq!([put(T0), put(T0), put(T0), put(T0 + 1)], [500; 4]);
    assert_eq!(model.all_records("s").count(), 500);
    assert_eq!(model.trimmed_for_memory(), 1_500);
}

#[test]
fn what_has_aged_out_goes_first_and_is_not_counted_as_a_loss() {
    let mut model = bounded(1);
    model.create_stream(T0, CreateStreamRequest::provisioned("idle", 1)).unwrap();
    let data = Bytes::from(vec![7; 1_000]);
    model.put_records(T0, "idle", vec![entry("k", data.clone()); 500]).unwrap();
    let later = T0 + 24 * HOUR + 1;
    for n in 0..2 {
        model.put_records(later + n, "s", vec![entry("k", data.clone()); 400]).unwrap();
    }
    assert_eq!(model.trimmed_for_memory(), 0);
    assert_eq!((model.all_records("idle").count(), model.all_records("s").count()), (0, 800));
}
