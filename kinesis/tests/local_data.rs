//! An endpoint in this process that keeps its data: what the next one started with them knows.

use std::path::Path;

use weir_kinesis::local::model::{CreateStreamRequest, IteratorPosition, PutEntry};
use weir_kinesis::local::{LocalEndpoint, LocalSettings, LocalThread, ModelSettings, StartError};
use weir_runtime::facade;

fn start(dir: &Path) -> LocalThread {
    let model = ModelSettings { create_delay_ms: 0, ..ModelSettings::default() };
    let settings = LocalSettings { model, data: Some(dir.to_owned()), ..LocalSettings::default() };
    LocalEndpoint::spawn_thread("127.0.0.1:0", settings).expect("loopback, and a folder of our own")
}

fn put(endpoint: &LocalThread, data: &'static str) {
    let entry = PutEntry { partition_key: "k", explicit_hash_key: None, data: data.into() };
    let now_ms = facade::wall_clock_ms();
    let put = endpoint.with_model(|model| model.put_record(now_ms, "s", entry, None));
    let _ = put.expect("a good record").expect("no limits");
}

#[test]
fn endpoint_started_again_goes_on_and_takes_the_iterators_of_its_earlier_life() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let endpoint = start(folder.path());
    endpoint.create_stream("s", 1).expect("a new stream");
    put(&endpoint, "before");
    let now_ms = facade::wall_clock_ms();
    let horizon = IteratorPosition::TrimHorizon;
    let iterator = endpoint.with_model(|model| model.get_shard_iterator(now_ms, "s", "shardId-000000000000", horizon));
    let iterator = iterator.expect("a shard of the stream");
    endpoint.stop().expect("no panic");

    let endpoint = start(folder.path());
    put(&endpoint, "after");
    assert_eq!(endpoint.record_count("s"), 2);
    let read = endpoint.with_model(|model| {
        let page = model.get_records(facade::wall_clock_ms(), &iterator, None).expect("an iterator of ours");
        page.records.map(|record| record.data.to_vec()).collect::<Vec<_>>()
    });
    assert_eq!(read, [b"before".to_vec(), b"after".to_vec()]);
    endpoint.stop().expect("no panic");
}

#[test]
fn endpoints_without_a_seed_do_not_take_each_others_iterators() {
    let iterators = [(); 2].map(|()| {
        let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).expect("loopback");
        endpoint.create_stream("s", 1).expect("a new stream");
        let shard = "shardId-000000000000";
        let iterator = |model: &mut _| {
            weir_kinesis::local::Model::get_shard_iterator(
                model,
                facade::wall_clock_ms(),
                "s",
                shard,
                IteratorPosition::TrimHorizon,
            )
        };
        let iterator = endpoint.with_model(iterator).expect("a shard of the stream");
        (endpoint, iterator)
    });
    let [(one, of_one), (other, of_other)] = &iterators;
    let takes = |endpoint: &LocalThread, iterator: &str| {
        endpoint.with_model(|model| model.get_records(facade::wall_clock_ms(), iterator, None).is_ok())
    };
    assert_eq!([takes(one, of_one), takes(other, of_other)], [true, true]);
    assert_eq!([takes(one, of_other), takes(other, of_one)], [false, false]);
}

#[test]
fn clock_goes_on_from_data_of_a_later_time() {
    const HOUR: i64 = 3_600_000;
    let folder = tempfile::tempdir().expect("a folder of our own");
    let endpoint = start(folder.path());
    let later_ms = facade::wall_clock_ms() + HOUR;
    let create = |model: &mut weir_kinesis::local::Model| {
        model.create_stream(later_ms, CreateStreamRequest::provisioned("early", 1))
    };
    endpoint.with_model(create).expect("a new stream");
    endpoint.stop().expect("no panic");
    let endpoint = start(folder.path());
    // A clock that stood still until the machine's has come so far would still say `later_ms`.
    std::thread::sleep(std::time::Duration::from_millis(5));
    endpoint.create_stream("s", 1).expect("a new stream");
    let created_ms =
        endpoint.with_model(|model| model.describe_stream_summary(later_ms, "s").expect("it is there").created_ms);
    assert!((later_ms + 1..later_ms + HOUR / 2).contains(&created_ms), "{}", created_ms - later_ms);
}

#[test]
fn endpoint_in_this_process_holds_its_directory_until_it_has_stopped() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let settings = || LocalSettings { data: Some(folder.path().to_owned()), ..LocalSettings::default() };
    facade::run_here(async {
        let endpoint = LocalEndpoint::start("127.0.0.1:0", settings()).await.expect("loopback");
        let second = LocalEndpoint::start("127.0.0.1:0", settings()).await;
        assert!(matches!(second, Err(StartError::Data(_))), "{second:?}");
        endpoint.stop().await;
        let _ = LocalEndpoint::start("127.0.0.1:0", settings()).await.expect("it is free again");
    })
    .expect("an executor");
}
