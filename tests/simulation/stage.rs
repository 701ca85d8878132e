//! The pipeline under test and what it shares with the world: its inlets, its rows, what was folded.
//!
//! A pipeline function is the same on every worker and may not capture what is not `Sync`; the world is one thread, so
//! what they share is a thread-local of the world's.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use weir_kinesis::record::Record;
use weir_runtime::error::JobError;
use weir_runtime::pipeline::{Pipeline, PipelineFn, WindowResult};
use weir_runtime::sink::{Sink, SinkContext, SinkCounters, SinkWriter};
use weir_runtime::source::{
    Inlet, Listing, LocalFuture, NativeTimestamps, ShardListing, Source, SourceControl, SourceReader,
};
use weir_window::{TimeSpan, counting};

use super::history::History;

/// One result row as the sink saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub end_ms: i64,
    pub key: String,
    pub start_ms: i64,
    pub value: u64,
    pub partial: bool,
    pub worker: usize,
    /// The service's time when the sink took it.
    pub taken_ms: i64,
    /// Whether its worker had heard of the stop.
    pub knew_the_stop: bool,
}

#[derive(Default)]
pub struct Shared {
    pub rows: Vec<Row>,
    /// (shard, sequence) in the order of folding.
    pub folded: Vec<(String, String)>,
    /// The inlet of the shard attached last.
    pub inlet: Option<Inlet<Record>>,
    pub sink_refuses: u64,
    /// Since the world last looked.
    pub refused: bool,
    pub now_ms: i64,
    /// Workers that have heard of the stop.
    pub stopped: Vec<usize>,
    pub rng: fastrand::Rng,
}

thread_local! {
    pub static SHARED: RefCell<Shared> = RefCell::new(Shared::default());
}

pub fn with<R>(f: impl FnOnce(&mut Shared) -> R) -> R {
    SHARED.with(|shared| f(&mut shared.borrow_mut()))
}

pub fn pipeline(history: &History) -> Arc<PipelineFn> {
    let (lag, window, keyed) = (TimeSpan::from_millis(history.lag_ms), history.window(), history.keyed);
    Arc::new(move |p: &Pipeline| {
        let records = p.read_from(Tap).native_timestamps(lag).filter(|record: &Record| {
            with(|shared| shared.folded.push((record.shard().to_owned(), record.sequence().to_owned())));
            true
        });
        if keyed {
            records.group_by(|record| record.partition_key()).window(window).aggregate(counting()).write_to(Rows);
        } else {
            records.window(window).aggregate(counting()).write_to(Rows);
        }
    })
}

/// A source whose readers are the world's: attaching a shard leaves its inlet in [`Shared`].
struct Tap;

impl Source for Tap {
    type Item = Record;
    fn describe(&self) -> String {
        "simulated".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(Tap)
    }
    fn reader(&self) -> Box<dyn SourceReader<Record>> {
        Box::new(Tap)
    }
}

impl NativeTimestamps for Tap {}

impl SourceControl for Tap {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        unreachable!("the world lists")
    }
}

impl SourceReader<Record> for Tap {
    fn read(&self, _shard: ShardListing, inlet: Inlet<Record>) -> LocalFuture<'static, Result<(), JobError>> {
        with(|shared| shared.inlet = Some(inlet));
        Box::pin(std::future::pending())
    }
}

/// Where rows go; it refuses as often as the history says.
struct Rows;

trait KeyText {
    fn text(&self) -> String;
}

impl KeyText for () {
    fn text(&self) -> String {
        String::new()
    }
}

impl KeyText for String {
    fn text(&self) -> String {
        self.clone()
    }
}

impl<K: KeyText + 'static> Sink<WindowResult<u64, K>> for Rows {
    fn describe(&self) -> String {
        "rows".to_owned()
    }
    fn open(&self, cx: &SinkContext) -> Box<dyn SinkWriter<WindowResult<u64, K>>> {
        Box::new(RowWriter { worker: cx.worker, counters: cx.counters.clone() })
    }
}

struct RowWriter {
    worker: usize,
    counters: Rc<SinkCounters>,
}

impl<K: KeyText> SinkWriter<WindowResult<u64, K>> for RowWriter {
    fn ready(&self) -> bool {
        with(|shared| {
            let ready = shared.rng.u64(..1_000) >= shared.sink_refuses;
            shared.refused |= !ready;
            ready
        })
    }
    fn write(&mut self, items: &mut Vec<WindowResult<u64, K>>) {
        let worker = self.worker;
        self.counters.written.set(self.counters.written.get() + items.len() as u64);
        let (taken_ms, knew_the_stop) = with(|shared| (shared.now_ms, shared.stopped.contains(&worker)));
        let rows = items.drain(..).map(|row| Row {
            end_ms: row.end.as_millis(),
            key: row.key.text(),
            start_ms: row.start.as_millis(),
            value: row.value,
            partial: row.partial,
            worker,
            taken_ms,
            knew_the_stop,
        });
        with(|shared| shared.rows.extend(rows));
    }
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}
