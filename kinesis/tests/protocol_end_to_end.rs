//! Source and sink against the local endpoint on real executors: every record published is counted, once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir_kinesis::local::{LocalEndpoint, LocalSettings, LocalThread};
use weir_kinesis::{Record, Start, sink, source};
use weir_runtime::connect::item_stream;
use weir_runtime::control::{JobSettings, Node, NodeSettings};
use weir_runtime::error::{JobError, Kind};
use weir_runtime::ledger::Reason;
use weir_runtime::pipeline::{Pipeline, WindowResult};
use weir_runtime::placement::Cores;
use weir_runtime::sink::{Sink, SinkContext, SinkWriter};
use weir_runtime::source::LocalFuture;
use weir_window::{EventTime, WindowSpec, counting, millis, secs};

/// Windows by end, and their counts.
type Counted = Arc<Mutex<Vec<(EventTime, u64)>>>;

/// Keeps every window where the test can see it.
struct Keep(Counted);

impl Sink<WindowResult<u64>> for Keep {
    fn describe(&self) -> String {
        "kept by a test".to_owned()
    }

    fn open(&self, _: &SinkContext) -> Box<dyn SinkWriter<WindowResult<u64>>> {
        Box::new(Keep(Arc::clone(&self.0)))
    }
}

impl SinkWriter<WindowResult<u64>> for Keep {
    fn ready(&self) -> bool {
        true
    }

    fn write(&mut self, items: &mut Vec<WindowResult<u64>>) {
        let mut kept = self.0.lock().unwrap();
        kept.extend(items.drain(..).map(|window| (window.end, window.value)));
    }

    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}

fn endpoint(shards: u32) -> LocalThread {
    let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).unwrap();
    endpoint.create_stream("Tweets", shards).unwrap();
    endpoint
}

fn node(cores: usize) -> Node {
    let cores = Cores::first(cores.min(Cores::available().unwrap().count())).unwrap();
    Node::start(NodeSettings::on(cores)).unwrap()
}

fn named(name: &str) -> JobSettings {
    JobSettings::named(name.to_owned())
}

fn publish(p: &Pipeline, url: &str, items_per_s: u64) {
    p.read_from(item_stream(items_per_s))
        .without_timestamps()
        .flat_map(|item, out| {
            for number in 0..3 {
                let number = item.sequence * 3 + number;
                out.push(((number % 10).to_string(), format!("tweet-{number}")));
            }
        })
        .write_to(sink("Tweets").endpoint(url).region("us-east-1").credentials("id", "secret"));
}

/// Windows of 1 s by 500 ms, every record in two of them.
fn monitor(p: &Pipeline, url: &str, start: Start, counted: Counted) {
    p.read_from(source("Tweets").start_at(".*", start).endpoint(url).region("us-east-1").credentials("id", "secret"))
        .native_timestamps(millis(500))
        .window(WindowSpec::sliding(secs(1), millis(500)))
        .aggregate(counting())
        .write_to(Keep(counted));
}

/// What the stream's own records say the windows should be.
fn recount(endpoint: &LocalThread) -> Vec<(EventTime, u64)> {
    let mut windows = std::collections::BTreeMap::new();
    endpoint.with_model(|model| {
        for (_, record) in model.all_records("Tweets") {
            let first_end = (record.arrival_ms.div_euclid(500) + 1) * 500;
            for end in [first_end, first_end + 500] {
                *windows.entry(EventTime::from_millis(end)).or_insert(0) += 1;
            }
        }
    });
    windows.into_iter().collect()
}

fn published_is_counted(cores: usize, start: Start) {
    let endpoint = endpoint(2);
    let (url, counted) = (endpoint.url(), Counted::default());
    let node = node(cores);
    let (reads, into) = (url.clone(), Arc::clone(&counted));
    let monitoring =
        node.submit(named("monitor"), Arc::new(move |p: &Pipeline| monitor(p, &reads, start, into.clone()))).unwrap();
    let publishing = node.submit(named("publisher"), Arc::new(move |p: &Pipeline| publish(p, &url, 40))).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    publishing.drain();
    let published = publishing.join();
    assert_eq!(published.error, None);
    monitoring.drain();
    let report = monitoring.join();
    assert_eq!(report.error, None);
    let records = endpoint.record_count("Tweets");
    assert!(records >= 100, "{records} records in 3 s");
    assert_eq!(published.workers.iter().map(|worker| worker.written).sum::<u64>(), records);
    let mut windows = counted.lock().unwrap().clone();
    windows.sort_unstable();
    assert_eq!(windows, recount(&endpoint));
    assert_eq!(
        report.workers.iter().map(|worker| (worker.open, worker.late)).collect::<Vec<_>>(),
        vec![(0, 0); report.workers.len()]
    );
    assert_eq!(windows.iter().map(|(_, count)| count).sum::<u64>(), 2 * records);
    node.stop();
    endpoint.stop().unwrap();
}

#[test]
fn every_record_published_is_counted_on_one_core_from_the_latest() {
    published_is_counted(1, Start::Latest);
}

#[test]
fn every_record_published_is_counted_on_two_cores_from_the_oldest() {
    published_is_counted(2, Start::TrimHorizon);
}

#[test]
fn missing_stream_fails_the_job_before_it_starts() {
    let endpoint = endpoint(1);
    let url = endpoint.url();
    let node = node(1);
    let submitted = node.submit(
        named("monitor"),
        Arc::new(move |p: &Pipeline| {
            p.read_from(source("Twets").endpoint(url.as_str()).region("us-east-1").credentials("id", "secret"))
                .without_timestamps()
                .map(|record: Record| (record.partition_key().to_owned(), record.data().to_owned()))
                .write_to(sink("Tweets").endpoint(url.as_str()).region("us-east-1").credentials("id", "secret"));
        }),
    );
    let Err(error) = submitted else { panic!("there is no such stream") };
    assert_eq!(error.kind, Kind::Service);
    assert!(error.message.contains("Twets") && error.message.contains("ResourceNotFoundException"), "{error}");
    node.stop();
    endpoint.stop().unwrap();
}

#[test]
fn records_before_one_that_can_never_be_written_are_in_the_stream_when_the_job_fails() {
    let endpoint = endpoint(2);
    let (url, node) = (endpoint.url(), node(1));
    let publish = move |p: &Pipeline| {
        let target = sink("Tweets").linger(Duration::from_secs(3_600));
        p.read_from(item_stream(200))
            .without_timestamps()
            .map(|item| (if item.sequence == 20 { String::new() } else { item.sequence.to_string() }, "x"))
            .write_to(target.endpoint(&url).region("us-east-1").credentials("id", "secret"));
    };
    let report = node.submit(named("publisher"), Arc::new(publish)).unwrap().join();
    let error = report.error.expect("it failed");
    assert_eq!((error.kind, error.message.contains("has an empty partition key")), (Kind::Data, true), "{error:?}");
    let records = endpoint.record_count("Tweets");
    assert!(records >= 20, "{records} of the 20 before it are in the stream");
    assert_eq!(report.workers.iter().map(|worker| worker.written).sum::<u64>(), records);
    let lost: Vec<_> = report.ledger.entries().map(|entry| (entry.reason, entry.records)).collect();
    assert_eq!(lost, [(Reason::Unwritable, Some(1))]);
}
