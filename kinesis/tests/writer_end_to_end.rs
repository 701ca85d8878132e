//! The sink against the local endpoint over the network, with limits and faults: what is in the stream is what was
//! written, each key's records in their order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use weir_kinesis::local::model::ModelSettings;
use weir_kinesis::local::{LocalEndpoint, LocalSettings, LocalThread};
use weir_kinesis::sink;
use weir_kinesis::sink::{DeadLetters, StreamSink};
use weir_runtime::error::JobError;
use weir_runtime::facade;
use weir_runtime::signal::signal;
use weir_runtime::sink::{Sink, SinkContext, SinkCounters};

/// A stream `s` of so many shards, with limits, and with these faults.
fn endpoint(shards: u32, faults: &[&str]) -> LocalThread {
    let settings = LocalSettings {
        model: ModelSettings { throughput_limits: true, ..ModelSettings::default() },
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..LocalSettings::default()
    };
    let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", settings).unwrap();
    endpoint.create_stream("s", shards).unwrap();
    endpoint
}

fn to(endpoint: &LocalThread) -> StreamSink {
    sink("s").endpoint(endpoint.url()).region("us-east-1").credentials("id", "secret").linger(Duration::from_millis(5))
}

/// Record `number` of so many keys.
fn record(number: usize, keys: usize) -> (String, String) {
    (format!("key-{}", number % keys), format!("{number}"))
}

/// Writes the records as a worker does, as long as the writer is ready, and flushes.
fn write(
    sink: &StreamSink,
    records: impl IntoIterator<Item = (String, String)>,
) -> (Rc<SinkCounters>, Option<JobError>) {
    let written = facade::run_here(async {
        let (waker, mut listener) = signal();
        let failed = Rc::new(RefCell::new(None));
        let (failure, woken) = (Rc::clone(&failed), waker.clone());
        let cx = SinkContext {
            worker: 0,
            job: "test".into(),
            waker,
            failure: Rc::new(move |error| {
                let _ = failure.borrow_mut().get_or_insert(error);
                woken.notify();
            }),
            counters: Rc::new(SinkCounters::default()),
        };
        Sink::<(String, String)>::prepare(sink).await.unwrap();
        let mut writer = sink.open(&cx);
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() && failed.borrow().is_none() {
            if writer.ready() {
                writer.write(&mut records.by_ref().take(100).collect());
            } else {
                listener.wait().await;
            }
        }
        let _ = writer.flush().await;
        let failed = failed.take();
        (cx.counters, failed)
    });
    written.unwrap()
}

/// Each key's records in the order of its shard, with those that came twice in a row once; and how many came twice.
fn read_back(endpoint: &LocalThread) -> (BTreeMap<String, Vec<usize>>, u64) {
    let mut keys = BTreeMap::<String, Vec<usize>>::new();
    endpoint.with_model(|model| {
        for (_, record) in model.all_records("s") {
            let number = std::str::from_utf8(record.data).unwrap().parse().unwrap();
            keys.entry(record.partition_key.to_owned()).or_default().push(number);
        }
    });
    let before: usize = keys.values().map(Vec::len).sum();
    keys.values_mut().for_each(Vec::dedup);
    (keys.clone(), (before - keys.values().map(Vec::len).sum::<usize>()) as u64)
}

fn expected(count: usize, keys: usize, but: impl Fn(usize) -> bool) -> BTreeMap<String, Vec<usize>> {
    let mut expected = BTreeMap::<String, Vec<usize>>::new();
    for number in (0..count).filter(|number| !but(*number)) {
        expected.entry(record(number, keys).0).or_default().push(number);
    }
    expected
}

/// Takes all faults off an endpoint.
fn lift_faults(endpoint: &LocalThread) {
    let mut socket = TcpStream::connect(endpoint.address()).unwrap();
    socket.write_all(b"DELETE /_weir/faults HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
}

// Shard 0 throttles all of its records until the others have taken all of theirs.
#[test]
fn while_one_shard_throttles_the_others_take_all_that_is_theirs() {
    let endpoint = endpoint(4, &["throttle:PutRecords:shard=0"]);
    let sink = to(&endpoint);
    let of_others = (0..2_000).filter(|number| !is_of_first_quarter(&record(*number, 400).0)).count() as u64;
    let (counters, failed) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Instant::now() + Duration::from_secs(30);
            while endpoint.record_count("s") < of_others {
                assert!(Instant::now() < deadline, "{} of {of_others}", endpoint.record_count("s"));
                std::thread::sleep(Duration::from_millis(5));
            }
            lift_faults(&endpoint);
        });
        // The runtime's counters stay on their thread.
        write(&sink, (0..2_000).map(|number| record(number, 400)))
    });
    assert_eq!(failed, None);
    assert_eq!(read_back(&endpoint), (expected(2_000, 400, |_| false), 0));
    assert_eq!((counters.written.get(), counters.repeated.get()), (2_000, 0));
    // Each key of the shard once or twice until the shards are known, then some 20 a look, seldom.
    assert!((50..700).contains(&counters.retried.get()), "{} were put again", counters.retried.get());
}

/// Whether the first of four equal shards takes this key.
fn is_of_first_quarter(key: &str) -> bool {
    weir_kinesis::protocol::hash_key::hash_key_of(key) >> 126 == 0
}

// Both shards are over their limit of 1 000 a second after the first thousand; a pace is learnt, not a storm of refusals.
#[test]
fn shards_at_their_limit_take_all_in_order_with_fewer_refusals_than_records() {
    let endpoint = endpoint(2, &[]);
    let placed = to(&endpoint).hash_key(|_, data| (data.len() % 3 > 0).then_some(7));
    let (counters, failed) = write(&placed, (0..3_500).map(|number| record(number, 700)));
    assert_eq!(failed, None);
    let (mut taken, twice) = read_back(&endpoint);
    // Records of one key with different hash keys are in different shards.
    taken.values_mut().for_each(|numbers| numbers.sort_unstable());
    assert_eq!((taken, twice), (expected(3_500, 700, |_| false), 0));
    let retried = counters.retried.get();
    assert!(retried < 3_500, "{retried} of 3 500 records were put again");
}

#[test]
fn storm_of_refusals_errors_and_lost_answers_loses_nothing_and_keeps_each_keys_order() {
    let faults = [
        "throttle:PutRecords:rate=0.2:count=400",
        "5xx:PutRecords:rate=0.2:count=6",
        "5xx:PutRecords:after:count=2",
        "cut:PutRecords:rate=0.2:count=3",
    ];
    let endpoint = endpoint(3, &faults);
    let (counters, failed) = write(&to(&endpoint), (0..3_000).map(|number| record(number, 600)));
    assert_eq!(failed, None);
    let (taken, twice) = read_back(&endpoint);
    assert_eq!(taken, expected(3_000, 600, |_| false));
    assert_eq!(counters.written.get(), 3_000);
    assert!(twice <= counters.repeated.get(), "{twice} came twice, {} were counted", counters.repeated.get());
    assert!(twice > 0, "an answer that is lost leaves records in the stream");
}

fn letters(path: &std::path::Path) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// The sink is told a wrong limit, so that the service finds what is too large, and refuses whole calls for it.
#[test]
fn records_at_fault_for_refused_calls_are_dead_letters_and_all_others_are_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let endpoint = endpoint(2, &[]);
    let too_large = |number: usize| number == 150 || number == 571;
    let records = (0..1_000).map(|number| {
        let (key, data) = record(number, 250);
        if too_large(number) { (key, format!("{data}{}", " ".repeat(1 << 20))) } else { (key, data) }
    });
    let limit = 2 << 20;
    let (counters, failed) =
        write(&to(&endpoint).record_bytes_max(limit).dead_letters(DeadLetters::File(path.clone())), records);
    assert_eq!(failed, None);
    assert_eq!(read_back(&endpoint), (expected(1_000, 250, too_large), 0));
    let letters = letters(&path);
    assert_eq!((counters.written.get(), counters.diverted.get(), counters.unwritable.get()), (998, 2, 0));
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains("ValidationException") || reason.contains("InvalidArgumentException"), "{reason}");
        assert!(letter["bytes"].as_u64().unwrap() > 1 << 20 && letter["attempts"].as_u64().unwrap() > 1, "{reason}");
    }
}

#[test]
fn records_at_fault_fail_the_job_if_there_is_no_place_for_them_and_those_beside_them_are_written() {
    let endpoint = endpoint(1, &[]);
    let records = (0..100).map(|number| {
        let (key, data) = record(number, 100);
        if number == 70 { (key, "x".repeat(1 << 20)) } else { (key, data) }
    });
    let (counters, failed) = write(&to(&endpoint).record_bytes_max(2 << 20), records);
    let failed = failed.unwrap();
    assert!(failed.message.starts_with("stream s: PutRecords: "), "{failed}");
    assert_eq!((counters.written.get(), counters.unwritable.get()), (99, 1));
    assert_eq!(read_back(&endpoint), (expected(100, 100, |number| number == 70), 0));
}

#[test]
fn records_of_a_shard_that_takes_nothing_are_dead_letters_after_their_time_and_the_others_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let endpoint = endpoint(2, &["throttle:PutRecords:shard=0"]);
    let settings = to(&endpoint).retry_for(Duration::from_millis(300)).dead_letters(DeadLetters::File(path.clone()));
    let (counters, failed) = write(&settings, (0..600).map(|number| record(number, 200)));
    assert_eq!(failed, None);
    let letters = letters(&path);
    let dead: Vec<usize> = letters
        .iter()
        .map(|letter| {
            let key = letter["partition_key"].as_str().unwrap();
            assert!(letter["reason"].as_str().unwrap().starts_with("not in the stream after "), "{letter}");
            let waited = letter["last_ms"].as_i64().unwrap() - letter["first_ms"].as_i64().unwrap();
            assert!(waited >= 300, "{letter}");
            assert_eq!(key, record(number_of(letter), 200).0);
            number_of(letter)
        })
        .collect();
    assert!(!dead.is_empty());
    assert_eq!(read_back(&endpoint), (expected(600, 200, |number| dead.contains(&number)), 0));
    let counted = (counters.written.get(), counters.given_up.get(), counters.diverted.get());
    assert_eq!(counted, (600 - dead.len() as u64, 0, dead.len() as u64));
}

/// A letter's data, which is a number in base64.
fn number_of(letter: &serde_json::Value) -> usize {
    let data = base64_simd::STANDARD.decode_to_vec(letter["data"].as_str().unwrap()).unwrap();
    String::from_utf8(data).unwrap().parse().unwrap()
}
