//! Drives the batching machine of one worker: performs what it asks for, tells it what came of it. Decides nothing.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use weir_runtime::error::{JobError, Kind};
use weir_runtime::facade::{self, Task};
use weir_runtime::sink::{SinkContext, SinkWriter};
use weir_runtime::source::LocalFuture;

use super::HashKeyOf;
use super::calls::{Connect, PutCalls, Target};
use super::letters::{DeadLetters, Letter, LetterBox};
use crate::client::{PutEntry, ServiceError};
use crate::protocol::Moment;
use crate::protocol::batcher::{
    Batcher, BatcherCounters, BatcherSettings, Cause, GivenUp, PutAction, PutId, PutInput, PutRecord,
};
use crate::protocol::errors::Call;
use crate::protocol::patience::Patience;
use crate::protocol::seldom::Seldom;
use crate::source::calls::{Called, Origin, patiently};

/// Between two words about records that become dead letters.
const DIVERTING_APART: Duration = Duration::from_secs(5);

/// Learns how many records more are written.
pub(super) type Watcher = Rc<dyn Fn(u64)>;

/// What a writer is told of its stream and of how to write.
pub(super) struct WriterSettings {
    pub stream: Arc<str>,
    pub batching: BatcherSettings,
    /// `None` is asked of the stream, and until it has answered the writer is not ready.
    pub record_bytes_max: Option<usize>,
    pub hash_key: Option<HashKeyOf>,
    pub dead_letters: Option<DeadLetters>,
}

/// The writer of one worker. Dropping it drops what was not yet sent.
pub(super) struct StreamWriter(Rc<Shared>);

struct Shared {
    stream: Arc<str>,
    hash_key: Option<HashKeyOf>,
    machine: RefCell<Batcher>,
    connect: Connect,
    /// Kept, or the client would be made anew for each call.
    calls: RefCell<Option<Rc<dyn PutCalls>>>,
    cx: SinkContext,
    origin: Origin,
    /// The next wake, and the task that sleeps till then.
    timer: RefCell<Option<(Moment, Task<()>)>>,
    /// Why the job was failed, once it was.
    failed: RefCell<Option<JobError>>,
    flushing: RefCell<Vec<Waker>>,
    was_ready: Cell<bool>,
    /// Where records go that will not be written; how many are on their way there, and whether they can go no more.
    letters: OnceCell<LetterBox>,
    letters_pending: Cell<u64>,
    letters_broken: Cell<bool>,
    diverting: RefCell<Seldom>,
    /// Told of records written.
    watcher: Option<Watcher>,
    /// What the worker's counters have of this writer.
    published: Cell<BatcherCounters>,
    closed: Cell<bool>,
    /// Whether the stream has said how large a record may be; and the task that asks it.
    limit_known: Cell<bool>,
    asking: RefCell<Option<Task<()>>>,
}

impl StreamWriter {
    pub(super) fn new(settings: WriterSettings, connect: Connect, cx: SinkContext) -> StreamWriter {
        StreamWriter::watched(settings, connect, cx, None)
    }

    /// One of which `watcher` learns how many records it has written.
    pub(super) fn watched(
        settings: WriterSettings,
        connect: Connect,
        cx: SinkContext,
        watcher: Option<Watcher>,
    ) -> StreamWriter {
        let WriterSettings { stream, batching, record_bytes_max, hash_key, dead_letters } = settings;
        let shared = Rc::new(Shared {
            stream,
            hash_key,
            machine: RefCell::new(Batcher::new(batching)),
            connect,
            calls: RefCell::default(),
            cx,
            origin: Origin::now(),
            timer: RefCell::default(),
            failed: RefCell::default(),
            flushing: RefCell::default(),
            was_ready: Cell::new(true),
            letters: OnceCell::new(),
            letters_pending: Cell::new(0),
            letters_broken: Cell::new(false),
            diverting: RefCell::new(Seldom::each(DIVERTING_APART)),
            watcher,
            published: Cell::default(),
            closed: Cell::new(false),
            limit_known: Cell::new(record_bytes_max.is_some()),
            asking: RefCell::default(),
        });
        if let Some(place) = &dead_letters {
            let writer = Rc::downgrade(&shared);
            let on_kept = Rc::new(move |kept| {
                if let Some(writer) = writer.upgrade() {
                    writer.on_kept(kept);
                }
            });
            let _ = shared.letters.set(LetterBox::open(place, &shared.connect, &shared.cx, on_kept));
        }
        match record_bytes_max {
            Some(bytes) => shared.machine.borrow_mut().allow_records_to(bytes),
            None => shared.ask_limit(),
        }
        StreamWriter(shared)
    }

    /// Takes these pairs of partition key and data.
    pub(super) fn give<K: AsRef<str>, V: AsRef<[u8]>>(&self, items: impl IntoIterator<Item = (K, V)>) {
        let now = self.0.origin.moment_now();
        for (key, data) in items {
            let (key, data) = (key.as_ref(), data.as_ref());
            let hash_key = self.0.hash_key.as_ref().and_then(|of| (of.0)(key, data));
            let data = Bytes::copy_from_slice(data);
            let pushed = self.0.machine.borrow_mut().push(key, hash_key, data.clone(), now);
            if let Err(refused) = pushed {
                let record = PutRecord { key: key.to_owned(), hash_key, data };
                let (cause, reason) = (Cause::Unwritable, refused.to_string());
                self.0.give_up(&GivenUp { record, cause, reason, attempts: 0, given: now });
            }
        }
        self.0.tell(PutInput::Wake);
    }
}

impl<K: AsRef<str>, V: AsRef<[u8]>> SinkWriter<(K, V)> for StreamWriter {
    fn ready(&self) -> bool {
        let ready = self.0.is_ready();
        self.0.was_ready.set(ready);
        ready
    }

    fn write(&mut self, items: &mut Vec<(K, V)>) {
        self.give(items.drain(..));
    }

    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        let shared = Rc::clone(&self.0);
        Box::pin(async move {
            shared.tell(PutInput::Flush);
            std::future::poll_fn(|cx| {
                // A record that can never be written may fail the job, but those taken beside it can be, and are.
                if shared.has_ended() {
                    return Poll::Ready(shared.failed.borrow().clone().map_or(Ok(()), Err));
                }
                shared.flushing.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            })
            .await
        })
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.0.closed.set(true);
        // The sleeping task and the asking one hold the other halves of circles.
        drop(self.0.timer.take());
        drop(self.0.asking.take());
    }
}

impl Shared {
    fn is_ready(&self) -> bool {
        self.failed.borrow().is_none() && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.limit_known.get() && self.machine.borrow().ready() && self.letters.get().is_none_or(LetterBox::ready)
    }

    /// Whether of all that was taken it is known what became of it, or never will be.
    fn has_ended(&self) -> bool {
        self.machine.borrow().has_ended() && (self.letters_pending.get() == 0 || self.letters_broken.get())
    }

    fn ask_limit(self: &Rc<Self>) {
        let shared = Rc::clone(self);
        let task = facade::spawn(async move {
            // As in `wake_at`.
            facade::yield_now().await;
            let describe = || -> Called<Target> {
                let shared = Rc::clone(&shared);
                Box::pin(async move { shared.calls().await?.describe(&shared.stream).await })
            };
            let answer =
                patiently(&shared.stream, Patience::for_ever(fastrand::u64(..)), Call::PutRecords, describe).await;
            if let Some(myself) = shared.asking.take() {
                myself.detach();
            }
            match answer {
                Ok(target) => shared.machine.borrow_mut().allow_records_to(target.record_bytes_max),
                Err(error) => shared.fail(error),
            }
            shared.limit_known.set(true);
            shared.publish();
        });
        *self.asking.borrow_mut() = Some(task);
    }

    fn tell(self: &Rc<Self>, input: PutInput) {
        if self.closed.get() {
            return;
        }
        let actions = self.machine.borrow_mut().on(input, self.origin.moment_now());
        for action in actions {
            match action {
                PutAction::Put { id, records } => self.put(id, records),
                PutAction::ListShards => self.list_shards(),
                PutAction::WakeAt(at) => self.wake_at(at),
                PutAction::Trouble(trouble) => tracing::warn!("stream {}: {trouble}", self.stream),
                PutAction::GiveUp(given_up) => self.give_up(&given_up),
                PutAction::Failed { kind, message } => {
                    self.fail(JobError::new(kind.who_acts(), format!("stream {}: {message}", self.stream)));
                }
            }
        }
        self.publish();
    }

    fn put(self: &Rc<Self>, id: PutId, records: Vec<PutRecord>) {
        let shared = Rc::clone(self);
        let entries = records
            .into_iter()
            .map(|PutRecord { key, hash_key, data }| PutEntry {
                key,
                explicit_hash: hash_key.map(|hash_key| hash_key.to_string()),
                data,
            })
            .collect();
        facade::spawn(async move {
            let putting = async { shared.calls().await?.put_records(&shared.stream, entries).await };
            let input = match putting.await {
                Ok(outcomes) => PutInput::Answered { id, outcomes },
                Err(error) => PutInput::Failed { id, kind: error.kind, message: error.message },
            };
            shared.tell(input);
        })
        .detach();
    }

    fn list_shards(self: &Rc<Self>) {
        let shared = Rc::clone(self);
        facade::spawn(async move {
            let listing = async { shared.calls().await?.list_shards(&shared.stream).await };
            let input = match listing.await {
                Ok(shards) => PutInput::Shards(shards),
                Err(error) => PutInput::ShardsUnknown { kind: error.kind, message: error.message },
            };
            shared.tell(input);
        })
        .detach();
    }

    async fn calls(&self) -> Result<Rc<dyn PutCalls>, ServiceError> {
        let known = self.calls.borrow().clone();
        if let Some(calls) = known {
            return Ok(calls);
        }
        let calls = (self.connect)().await?;
        *self.calls.borrow_mut() = Some(Rc::clone(&calls));
        Ok(calls)
    }

    /// An earlier wake that is set already is kept: the machine says then when to come again.
    fn wake_at(self: &Rc<Self>, at: Moment) {
        if self.timer.borrow().as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        let shared = Rc::clone(self);
        let task = facade::spawn(async move {
            // A spawned task may run at once, inside `spawn`: not before its timer is noted below.
            facade::yield_now().await;
            facade::sleep(shared.origin.until(at)).await;
            // Taken out before the machine may set another; and let go, for a task must not cancel itself.
            if let Some((_, myself)) = shared.timer.take() {
                myself.detach();
            }
            shared.tell(PutInput::Wake);
        });
        *self.timer.borrow_mut() = Some((at, task));
    }

    /// A record will not be written: it becomes a dead letter, or else it is lost. Then the job must not go on, unless its
    /// settings say when to lose a record.
    fn give_up(&self, given_up: &GivenUp) {
        let said = || format!("stream {}: {}", self.stream, given_up.reason);
        let (now, letters) = (self.origin.moment_now(), self.letters.get());
        let counters = &self.cx.counters;
        match (letters, given_up.cause) {
            (None, Cause::Unwritable) => {
                counters.unwritable.set(counters.unwritable.get() + 1);
                return self.fail(JobError::new(Kind::Data, said()));
            }
            (None, Cause::TriedTooLong) => counters.given_up.set(counters.given_up.get() + 1),
            (Some(_), _) => {}
        }
        if let Some(words) = self.diverting.borrow_mut().say(now, said) {
            let what = if letters.is_some() { "among the dead letters" } else { "lost" };
            tracing::warn!("{words}; the record is {what}");
        }
        let Some(letters) = letters else {
            return;
        };
        self.letters_pending.set(self.letters_pending.get() + 1);
        letters.post(&Letter::of(&self.stream, given_up, now));
    }

    /// Dead letters are kept, or can be no more.
    fn on_kept(&self, kept: Result<u64, JobError>) {
        match kept {
            Ok(letters) => {
                self.letters_pending.set(self.letters_pending.get() - letters);
                self.cx.counters.diverted.set(self.cx.counters.diverted.get() + letters);
            }
            Err(error) => {
                self.letters_broken.set(true);
                self.fail(error.at(format_args!("stream {}", self.stream)));
            }
        }
        self.publish();
    }

    fn fail(&self, error: JobError) {
        if self.failed.borrow().is_none() {
            *self.failed.borrow_mut() = Some(error.clone());
            (self.cx.failure)(error);
        }
    }

    /// Adds what the machine did since the last time, for a worker's counters belong to all of its sinks; and wakes whoever waits for room or the flush.
    fn publish(&self) {
        let now = self.machine.borrow().counters();
        let before = self.published.replace(now);
        let refused = |counters: BatcherCounters| counters.records_throttled + counters.records_refused;
        let add = |counter: &Cell<u64>, more: u64| counter.set(counter.get() + more);
        add(&self.cx.counters.written, now.records_put - before.records_put);
        add(&self.cx.counters.retried, refused(now) - refused(before));
        add(&self.cx.counters.repeated, now.maybe_repeated - before.maybe_repeated);
        if let Some(watcher) = self.watcher.as_ref().filter(|_| now.records_put > before.records_put) {
            watcher(now.records_put - before.records_put);
        }
        if self.has_room() && !self.was_ready.replace(true) {
            self.cx.waker.notify();
        }
        if self.has_ended() {
            self.flushing.take().into_iter().for_each(Waker::wake);
        }
    }
}
