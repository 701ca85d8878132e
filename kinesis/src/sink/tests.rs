//! The driver of the batching machine against a stream that is made up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use weir_runtime::error::{JobError, Kind};
use weir_runtime::facade;
use weir_runtime::signal::signal;
use weir_runtime::sink::{SinkContext, SinkCounters, SinkWriter};

use super::calls::{Connect, PutCalls, Target};
use super::writer::StreamWriter;
use super::{StreamSink, prepared, sink};
use crate::client::{ErrorKind, PutEntry, ServiceError};
use crate::protocol::HashKeyRange;
use crate::protocol::shard_map::OpenShard;
use crate::source::calls::Called;

/// Takes what it is given after 5 ms; the first calls end as told.
#[derive(Default)]
pub(super) struct Made {
    pub taken: RefCell<Vec<String>>,
    hashes: RefCell<Vec<Option<String>>>,
    calls: Cell<usize>,
    pub failures: RefCell<Vec<ErrorKind>>,
    /// Data for which a call is refused as invalid.
    pub guilty: RefCell<Vec<&'static str>>,
    /// Streams that records went to, with them.
    pub streams: RefCell<Vec<(String, String)>>,
    refusing_first: Cell<bool>,
    /// Looks at the stream while it is being created.
    creating: Cell<usize>,
}

impl PutCalls for Rc<Made> {
    fn describe(&self, _: &str) -> Called<Target> {
        let made = Rc::clone(self);
        Box::pin(async move {
            facade::sleep(Duration::from_millis(5)).await;
            let left = made.creating.get();
            made.creating.set(left.saturating_sub(1));
            let status = if left > 0 { "CREATING" } else { "ACTIVE" }.to_owned();
            Ok(Target { status, record_bytes_max: 2 << 20 })
        })
    }

    fn put_records(&self, stream: &str, entries: Vec<PutEntry>) -> Called<Vec<Result<String, String>>> {
        let (made, stream) = (Rc::clone(self), stream.to_owned());
        Box::pin(async move {
            facade::sleep(Duration::from_millis(5)).await;
            made.calls.set(made.calls.get() + 1);
            if let Some(kind) = made.failures.borrow_mut().pop() {
                let message = "planted".to_owned();
                return Err(ServiceError { kind, code: "Planted".to_owned(), message, operation: "PutRecords" });
            }
            let is_guilty =
                |entry: &PutEntry| made.guilty.borrow().iter().any(|guilty| entry.data == guilty.as_bytes());
            if entries.iter().any(is_guilty) {
                let (kind, message) = (ErrorKind::InvalidArgument, "not of our taste".to_owned());
                return Err(ServiceError { kind, code: "Planted".to_owned(), message, operation: "PutRecords" });
            }
            let refused = made.refusing_first.take();
            let outcomes = entries.iter().enumerate().map(|(index, entry)| {
                if refused && index == 0 {
                    return Err("ProvisionedThroughputExceededException".to_owned());
                }
                made.hashes.borrow_mut().push(entry.explicit_hash.clone());
                let text = String::from_utf8(entry.data.to_vec()).unwrap();
                made.streams.borrow_mut().push((stream.clone(), text));
                made.taken.borrow_mut().push(String::from_utf8(entry.data.to_vec()).unwrap());
                Ok("shardId-0".to_owned())
            });
            Ok(outcomes.collect())
        })
    }

    fn list_shards(&self, _: &str) -> Called<Vec<OpenShard>> {
        let range = HashKeyRange { first: 0, last: u128::MAX };
        Box::pin(async move { Ok(vec![OpenShard { id: "shardId-0".into(), range }]) })
    }
}

pub(super) type Failures = Rc<RefCell<Vec<JobError>>>;

pub(super) fn open(sink: &StreamSink, made: &Rc<Made>) -> (StreamWriter, SinkContext, Failures) {
    let (cx, failures) = context();
    (open_in(&cx, sink, made), cx, failures)
}

fn context() -> (SinkContext, Failures) {
    let failures = Failures::default();
    let seen = Rc::clone(&failures);
    let cx = SinkContext {
        worker: 0,
        job: "test".into(),
        waker: signal().0,
        failure: Rc::new(move |error| seen.borrow_mut().push(error)),
        counters: Rc::new(SinkCounters::default()),
    };
    (cx, failures)
}

fn open_in(cx: &SinkContext, sink: &StreamSink, made: &Rc<Made>) -> StreamWriter {
    sink.writer_over(connect(made), cx)
}

fn connect(made: &Rc<Made>) -> Connect {
    let made = Rc::clone(made);
    Rc::new(move || {
        let calls = Rc::new(Rc::clone(&made)) as Rc<dyn PutCalls>;
        Box::pin(async move { Ok(calls) })
    })
}

pub(super) fn pairs(pairs: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    pairs.to_vec()
}

#[test]
fn tail_is_written_after_the_linger_without_another_item() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        let (mut writer, cx, _) = open(&sink("s").linger(Duration::from_millis(20)), &made);
        writer.write(&mut pairs(&[("1", "a"), ("2", "b")]));
        facade::sleep(Duration::from_millis(200)).await;
        assert_eq!(*made.taken.borrow(), ["a", "b"]);
        writer.write(&mut pairs(&[("1", "c")]));
        facade::sleep(Duration::from_millis(200)).await;
        assert_eq!((made.taken.borrow().len(), made.calls.get(), cx.counters.written.get()), (3, 2, 3));
    })
    .unwrap();
}

#[test]
fn flush_resolves_when_all_is_written_whatever_was_refused() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        made.failures.borrow_mut().push(ErrorKind::Timeout);
        made.refusing_first.set(true);
        let (mut writer, cx, failures) = open(&sink("s").linger(Duration::from_secs(3_600)), &made);
        writer.write(&mut pairs(&[("1", "a1"), ("1", "a2"), ("2", "b1"), ("1", "a3")]));
        let flushed = SinkWriter::<(&str, &str)>::flush(&mut writer);
        flushed.await.unwrap();
        let taken = made.taken.borrow();
        let of_a: Vec<&str> = taken.iter().map(String::as_str).filter(|text| text.starts_with('a')).collect();
        assert_eq!((of_a, taken.len()), (vec!["a1", "a2", "a3"], 4));
        assert!(failures.borrow().is_empty());
        let counters = (cx.counters.written.get(), cx.counters.retried.get(), cx.counters.repeated.get());
        assert_eq!(counters, (4, 1, 2));
    })
    .unwrap();
}

#[test]
fn records_carry_the_hash_key_that_the_pipeline_gives_them() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        let placed = sink("s").hash_key(|key, data| (key == "1").then(|| u128::MAX - data.len() as u128));
        let (mut writer, ..) = open(&placed, &made);
        writer.write(&mut pairs(&[("1", "a"), ("2", "b"), ("1", "cc")]));
        SinkWriter::<(&str, &str)>::flush(&mut writer).await.unwrap();
        let hashes = made.hashes.borrow().clone();
        let of = |bytes: u128| Some((u128::MAX - bytes).to_string());
        assert_eq!((hashes, made.calls.get()), (vec![of(1), None, of(2)], 1));
    })
    .unwrap();
}

#[test]
fn record_that_can_never_be_written_fails_the_job_as_data() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        let (mut writer, _, failures) = open(&sink("Tweets"), &made);
        writer.write(&mut pairs(&[("", "a")]));
        let error = failures.borrow()[0].clone();
        assert_eq!(error.kind, Kind::Data);
        assert_eq!(error.message, "stream Tweets: record of 1 bytes has an empty partition key");
    })
    .unwrap();
}

#[test]
fn records_beside_one_that_can_never_be_written_are_flushed() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        let (mut writer, cx, failures) = open(&sink("s").linger(Duration::from_secs(3_600)), &made);
        writer.write(&mut pairs(&[("1", "a"), ("", "bad"), ("2", "b")]));
        let flushed = SinkWriter::<(&str, &str)>::flush(&mut writer).await;
        assert_eq!(flushed.unwrap_err(), failures.borrow()[0]);
        assert_eq!(*made.taken.borrow(), ["a", "b"]);
        assert_eq!((cx.counters.written.get(), cx.counters.unwritable.get()), (2, 1));
        assert!(!SinkWriter::<(&str, &str)>::ready(&writer));
    })
    .unwrap();
}

#[test]
fn permanent_refusal_fails_the_job_and_the_flush() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        made.failures.borrow_mut().push(ErrorKind::NotFound);
        let (mut writer, _, failures) = open(&sink("Tweets"), &made);
        writer.write(&mut pairs(&[("1", "a")]));
        let flushed = SinkWriter::<(&str, &str)>::flush(&mut writer).await;
        assert_eq!(flushed.unwrap_err().message, "stream Tweets: PutRecords: planted");
        assert_eq!(failures.borrow().len(), 1);
        assert!(!SinkWriter::<(&str, &str)>::ready(&writer));
    })
    .unwrap();
}

#[test]
fn dropped_writer_is_gone_although_records_were_waiting() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        let (mut writer, cx, _) = open(&sink("s").linger(Duration::from_secs(3_600)), &made);
        writer.write(&mut pairs(&[("1", "a")]));
        facade::yield_now().await;
        drop(writer);
        facade::yield_now().await;
        assert_eq!(Rc::strong_count(&cx.counters), 1, "no task keeps it");
    })
    .unwrap();
}

#[test]
fn two_sinks_of_a_worker_count_together() {
    facade::run_here(async {
        let (cx, _) = context();
        let (mades, mut writers) = ([Rc::new(Made::default()), Rc::new(Made::default())], Vec::new());
        for made in &mades {
            made.refusing_first.set(true);
            made.failures.borrow_mut().push(ErrorKind::Timeout);
            writers.push(open_in(&cx, &sink("s"), made));
        }
        for writer in &mut writers {
            writer.write(&mut pairs(&[("1", "a"), ("2", "b")]));
            SinkWriter::<(&str, &str)>::flush(writer).await.unwrap();
        }
        let counters = (cx.counters.written.get(), cx.counters.retried.get(), cx.counters.repeated.get());
        assert_eq!(counters, (4, 2, 4));
    })
    .unwrap();
}

#[test]
fn writer_is_ready_when_the_stream_has_said_how_large_a_record_may_be() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        let (mut writer, _, failures) = open(&sink("s"), &made);
        assert!(!SinkWriter::<(String, String)>::ready(&writer));
        facade::sleep(Duration::from_millis(50)).await;
        assert!(SinkWriter::<(String, String)>::ready(&writer));
        writer.write(&mut vec![("k".to_owned(), "x".repeat((2 << 20) - 1))]);
        assert!(failures.borrow().is_empty());
        writer.write(&mut vec![("k".to_owned(), "x".repeat(2 << 20))]);
        assert!(failures.borrow()[0].message.ends_with("1 + 2097152 bytes of key and data, at most 2097152"));

        let (said, _, _) = open(&sink("s").record_bytes_max(100), &made);
        assert!(SinkWriter::<(String, String)>::ready(&said));
    })
    .unwrap();
}

#[test]
fn stream_that_is_being_created_is_waited_for() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        made.creating.set(1);
        prepared(&"s".into(), connect(&made)).await.unwrap();
        assert_eq!(made.creating.get(), 0);
    })
    .unwrap();
}
