//! Many shards and a small budget, through the reader and a run of a real pipeline on one executor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weir_runtime::facade;
use weir_runtime::memory::MemoryBudget;
use weir_runtime::pipeline::{Pipeline, SourceStart};
use weir_runtime::signal::signal;
use weir_runtime::sink::{Sink, SinkContext, SinkCounters, SinkWriter};
use weir_runtime::source::{Listing, LocalFuture, ShardListing, StartPosition, Stop};
use weir_runtime::worker::{AttachAt, Attachment, Run, RunSettings};
use weir_window::{Budget, EventTime};

use super::calls::{Called, ReadCalls};
use super::*;
use crate::client::{CallTiming, GetRecordsAnswer, IteratorPosition, ServiceError, ShardDescription};
use crate::record::RecordBatchBuilder;

const SHARDS: usize = 12;
const ANSWERS: usize = 4;
const RECORDS: usize = 40;
const RECORD_BYTES: usize = 10_000;
/// What an answer takes while it is decoded: its records, and their body.
const BODY_BYTES: usize = RECORDS * RECORD_BYTES * 4 / 3;

/// What calls and sink have seen.
#[derive(Debug, Default)]
struct Seen {
    records: AtomicU64,
    peak_bytes: AtomicU64,
}

/// A stream whose every shard has the same answers; each fetch and each write looks at the budget.
#[derive(Clone)]
struct Wide {
    budget: MemoryBudget,
    seen: Arc<Seen>,
}

impl Wide {
    fn look(&self) {
        self.seen.peak_bytes.fetch_max(self.budget.used_bytes(), Ordering::Relaxed);
    }
}

impl ReadCalls for Wide {
    fn endpoint(&self) -> Option<&str> {
        None
    }
    fn describe(&self, _: &str) -> Called<(String, Option<CallTiming>)> {
        unreachable!("readers describe nothing")
    }
    fn list_shards(&self, _: &str) -> Called<Vec<ShardDescription>> {
        unreachable!("no shard ends")
    }
    fn shard_iterator(&self, _: &str, _: &str, _: IteratorPosition) -> Called<String> {
        Box::pin(async { Ok("0".to_owned()) })
    }
    fn get_records(&self, iterator: String, _: u32) -> Called<GetRecordsAnswer> {
        let this = self.clone();
        Box::pin(async move {
            this.look();
            let sent_at = facade::now();
            facade::sleep(Duration::from_millis(5)).await;
            let number: usize = iterator.parse().expect("ours");
            let mut builder = RecordBatchBuilder::new();
            for record in 0..if number < ANSWERS { RECORDS } else { 0 } {
                let sequence = (number * RECORDS + record + 1).to_string();
                builder.push("k", &vec![0; RECORD_BYTES], &sequence, facade::wall_clock_ms()).expect("small");
            }
            this.look();
            let left = ANSWERS.saturating_sub(number + 1);
            Ok::<_, ServiceError>(GetRecordsAnswer {
                batch: builder.finish(),
                next_iterator: Some((number + 1).to_string()),
                behind_ms: Some(left as u64),
                children: Vec::new(),
                timing: CallTiming { sent_at, received_at: facade::now(), date_ms: None },
                bytes: if number < ANSWERS { BODY_BYTES } else { 300 },
            })
        })
    }
}

impl Source for Wide {
    type Item = Record;
    fn describe(&self) -> String {
        "wide".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(Unasked)
    }
    fn reader(&self) -> Box<dyn SourceReader<Record>> {
        let calls = self.clone();
        let connect: Connect = Rc::new(move || {
            let calls = Rc::new(calls.clone()) as Rc<dyn ReadCalls>;
            Box::pin(async move { Ok(calls) })
        });
        Box::new(source("Wide").reader_over(connect))
    }
}

/// Nobody prepares it: the test attaches the shards.
struct Unasked;

impl SourceControl for Unasked {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        unreachable!("the test lists")
    }
}

impl Sink<Record> for Wide {
    fn describe(&self) -> String {
        "counted".to_owned()
    }
    fn open(&self, _: &SinkContext) -> Box<dyn SinkWriter<Record>> {
        Box::new(self.clone())
    }
}

impl SinkWriter<Record> for Wide {
    fn ready(&self) -> bool {
        true
    }
    fn write(&mut self, items: &mut Vec<Record>) {
        self.look();
        self.seen.records.fetch_add(items.drain(..).count() as u64, Ordering::Relaxed);
    }
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Reads all shards with a budget of `limit_bytes`; the most that was charged at any time.
fn peak_of(limit_bytes: u64) -> u64 {
    let wide = Wide { budget: MemoryBudget::of(limit_bytes), seen: Arc::default() };
    let (budget, seen) = (wide.budget.clone(), wide.seen.clone());
    facade::run_here(async move {
        let (waker, mut listener) = signal();
        let failure = Rc::new(|error: JobError| panic!("{error}"));
        let counters = Rc::new(SinkCounters::default());
        let settings = RunSettings {
            worker: 0,
            worker_count: 1,
            owners: Arc::from([0]),
            seed: 0,
            listings: vec![SourceStart::default()],
            sink: SinkContext { worker: 0, job: "wide".into(), waker, failure, counters },
            memory: wide.budget.clone(),
        };
        let pipeline = move |p: &Pipeline| {
            p.read_from(wide.clone()).without_timestamps().write_to(wide.clone());
        };
        let mut run = Run::build(&pipeline, settings).expect("the pipeline is sound");
        let readers: Vec<_> = (0..SHARDS)
            .map(|number| {
                let position = StartPosition("trim-horizon".into());
                let name = format!("shardId-{number:012}").into();
                let shard = ShardListing { name, parents: Vec::new(), open: true, position };
                let at = AttachAt::Time(EventTime::MIN);
                facade::spawn(run.attach(Attachment { source: 0, shard, at, awaited: false }))
            })
            .collect();
        let all = (SHARDS * ANSWERS * RECORDS) as u64;
        let give_up = facade::now() + Duration::from_secs(60);
        while seen.records.load(Ordering::Relaxed) < all {
            assert!(facade::now() < give_up, "{} of {all} records", seen.records.load(Ordering::Relaxed));
            if run.step(&mut Budget::of(1_000)) {
                facade::yield_now().await;
            } else {
                let patience = facade::sleep(Duration::from_millis(50));
                futures_lite::future::or(async { listener.wait().await }, patience).await;
            }
        }
        run.stop(Stop::Cancel);
        for reader in readers {
            reader.await.expect("cancelled without an error");
        }
        assert_eq!(seen.records.load(Ordering::Relaxed), all, "once each");
        drop(run);
        assert_eq!(budget.used_bytes(), 0, "everything is given back");
        seen.peak_bytes.load(Ordering::Relaxed)
    })
    .expect("an executor starts here")
}

/// The truth is what the batch takes beside its body, and what is not known yet is taken for a mebibyte.
const ONE_ANSWER: u64 = (RECORDS * RECORD_BYTES * 2 + BODY_BYTES) as u64;

#[test]
fn many_shards_keep_a_small_budget_but_for_one_answer_and_all_records_come() {
    let limit = 3 << 20;
    let peak = peak_of(limit);
    assert!(peak <= limit + ONE_ANSWER, "{peak} bytes");
}

#[test]
fn budget_smaller_than_an_answer_lets_one_pass_at_a_time() {
    let peak = peak_of(1_000);
    assert!(peak <= 1_000 + ONE_ANSWER, "{peak} bytes");
}

#[test]
fn budget_with_room_keeps_nobody_waiting() {
    let peak = peak_of(1 << 30);
    assert!(peak > 6 << 20, "{peak} bytes: shards are read side by side");
}
