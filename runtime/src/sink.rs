//! What a connector implements to be written to: one writer a worker, which may refuse but never loses.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::FutureExt as _;

use crate::error::JobError;
use crate::signal::Notifier;
use crate::source::LocalFuture;

/// Somewhere results go. Plain settings, made by the pipeline function; the work is done by the writers.
pub trait Sink<T>: 'static {
    /// Kind and settings in words, the same on every worker; part of the plan's digest. No secrets.
    fn describe(&self) -> String;

    /// Asked once on control before the job starts, so that what can never work fails at once.
    fn prepare(&self) -> LocalFuture<'_, Result<(), JobError>> {
        async { Ok(()) }.boxed_local()
    }

    /// The writer of one worker.
    fn open(&self, cx: &SinkContext) -> Box<dyn SinkWriter<T>>;
}

/// Writes what one worker emits.
pub trait SinkWriter<T> {
    /// Whether a batch may be written now. While it is false, nothing is emitted into this sink and, in the end, the
    /// sources are not read on. A writer that turns ready again calls [`SinkContext::waker`].
    fn ready(&self) -> bool;

    /// Takes every item out of `items`; called only when ready. Never blocks and never awaits.
    fn write(&mut self, items: &mut Vec<T>);

    /// Resolves when all that was taken is written, or can never be.
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>>;
}

/// What a writer gets from its worker.
#[derive(Clone)]
pub struct SinkContext {
    /// Index of the worker in its node.
    pub worker: usize,
    /// The job's name.
    pub job: Arc<str>,
    /// Notified by the writer when it turns ready again.
    pub waker: Notifier,
    /// Fails the job.
    pub failure: Rc<dyn Fn(JobError)>,
    /// Counted by the writer, read by the worker.
    pub counters: Rc<SinkCounters>,
}

/// What a writer did, in items.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Given to the writers; counted by the worker.
    pub taken: Cell<u64>,
    /// Acknowledged by the target.
    pub written: Cell<u64>,
    /// Sent again after a refusal of the target.
    pub retried: Cell<u64>,
    /// Perhaps written twice: sent again because no answer came.
    pub repeated: Cell<u64>,
    /// Can never be written, whatever is mended: the target would refuse them for ever. Not those in `diverted`.
    pub unwritable: Cell<u64>,
    /// Refused by the target for longer than the job allows. Not those in `diverted`.
    pub given_up: Cell<u64>,
    /// Unwritable or given up, and kept among the sink's dead letters.
    pub diverted: Cell<u64>,
}

impl SinkCounters {
    /// Adds to [`SinkCounters::written`].
    pub fn add_written(&self, items: u64) {
        self.written.set(self.written.get() + items);
    }
}
