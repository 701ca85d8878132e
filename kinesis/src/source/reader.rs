//! Drives the polling machine of one shard: performs what it asks for, passes on what it says. Decides nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use weir_runtime::error::JobError;
use weir_runtime::facade;
use weir_runtime::ledger::{Loss, Reason};
use weir_runtime::source::{Inlet, LocalFuture, Position, ShardInput, ShardListing, SourceReader, StartPosition, Stop};
use weir_window::{EventTime, TimeSpan};

use super::calls::{Connect, Origin, ReadCalls, iterator_position, patiently, shard_info};
use super::claims::{Claimant, Claims, Grant};
use super::{margin_ms_at, paces, scoped};
use crate::client::ServiceError;
use crate::protocol::ShardInfo;
use crate::protocol::errors::Call;
use crate::protocol::pacing::Share;
use crate::protocol::patience::Patience;
use crate::protocol::polling::{Action, Emission, Input, Notice, Polling, PollingSettings, Turn};
use crate::protocol::position::ReadFrom;
use crate::protocol::service_clock::ServiceClock;
use crate::record::Record;

/// How often a reader that waits for memory looks again.
const MEMORY_LOOK: Duration = Duration::from_millis(10);

/// Reads the shards of one stream that one worker was given. They share the estimate of the service's clock.
pub(super) struct StreamReader {
    pub(super) stream: Arc<str>,
    /// As people said it; else it depends on the endpoint.
    pub(super) margin: Option<TimeSpan>,
    pub(super) share: Share,
    pub(super) idle_after: Duration,
    pub(super) connect: Connect,
    pub(super) origin: Origin,
    pub(super) clock: Rc<RefCell<ServiceClock>>,
    /// Memory for what its shards fetch.
    pub(super) claims: Rc<RefCell<Claims>>,
    /// Whether records of any shard have been answered.
    pub(super) worked: Rc<Cell<bool>>,
}

impl SourceReader<Record> for StreamReader {
    fn read(&self, shard: ShardListing, inlet: Inlet<Record>) -> LocalFuture<'static, Result<(), JobError>> {
        let mut settings = PollingSettings {
            // Known once connected.
            margin_ms: 0,
            share: self.share,
            idle_after: self.idle_after,
            seed: fastrand::u64(..),
            ..PollingSettings::default()
        };
        let claimant = Claimant::join(self.claims.clone());
        let (connect, stream, margin, origin, clock, worked) = (
            self.connect.clone(),
            self.stream.clone(),
            self.margin,
            self.origin,
            self.clock.clone(),
            self.worked.clone(),
        );
        // Parents are named only if this job read them to their end, perhaps on another worker.
        worked.set(worked.get() || !shard.parents.is_empty());
        Box::pin(async move {
            let position: ReadFrom =
                shard.position.0.parse().map_err(|error| JobError::bug(format!("{}: {error}", shard.name)))?;
            if let ReadFrom::AtTimestamp(ms) = &position {
                claimant.read_to(*ms);
            }
            let patience = Patience::for_ever(settings.seed).trusting(worked.get());
            let connecting = patiently(&stream, patience, Call::GetShardIterator, &*connect);
            let Some(calls) = until_cancelled(&inlet, connecting).await else {
                return Ok(());
            };
            let calls = calls?;
            settings.margin_ms = margin_ms_at(margin, calls.endpoint());
            let pace = paces::of(&scoped(calls.endpoint(), &stream), &shard.name);
            let machine = Polling::new(settings, shard.name.clone(), position).sharing(pace).trusting(worked);
            let reader = ShardReader { calls, stream, shard: shard.name, inlet, origin, claimant };
            reader.run(machine, &clock).await
        })
    }
}

struct ShardReader {
    calls: Rc<dyn ReadCalls>,
    stream: Arc<str>,
    shard: Arc<str>,
    inlet: Inlet<Record>,
    origin: Origin,
    claimant: Claimant,
}

impl ShardReader {
    async fn run(&self, mut machine: Polling, clock: &RefCell<ServiceClock>) -> Result<(), JobError> {
        let mut input = Input::Wake;
        loop {
            match self.inlet.stop() {
                Some(Stop::Cancel) => return Ok(()),
                Some(Stop::Drain(Some(end)) | Stop::Until(end)) => machine.stop_at(end.as_millis()),
                Some(Stop::Drain(None)) | None => {}
            }
            let Turn { notices, action } = machine.on(input, self.origin.moment_now(), &mut clock.borrow_mut());
            for notice in notices {
                self.pass_on(notice).await;
            }
            let outcome = match action {
                Action::Finished => return Ok(()),
                Action::Failed { kind, message } => {
                    return Err(JobError::new(kind.who_acts(), format!("stream {}: {message}", self.stream)));
                }
                action => until_cancelled(&self.inlet, self.perform(action, &machine)).await,
            };
            let Some(next) = outcome else { return Ok(()) };
            input = next;
        }
    }

    async fn perform(&self, action: Action, machine: &Polling) -> Input {
        let grant = match action {
            Action::FetchRecords { .. } => Some(self.memory(machine).await),
            _ => None,
        };
        if let Err(until) = machine.try_send(self.origin.moment_now()) {
            facade::sleep(self.origin.until(until)).await;
            return Input::Wake;
        }
        let called = match action {
            Action::FetchIterator(from) => {
                self.calls.shard_iterator(&self.stream, &self.shard, iterator_position(from)).await.map(Input::Iterator)
            }
            Action::FetchRecords { iterator, limit } => {
                let answer = self.calls.get_records(iterator, limit).await;
                answer.map(|mut answer| {
                    let kept = answer.batch.bytes() as u64;
                    let grant = grant.expect("asked for above");
                    answer.batch.hold(Box::new(self.claimant.settle(grant, answer.bytes as u64 + kept, kept)));
                    Input::Records(self.origin.answer(answer))
                })
            }
            Action::ListShards => {
                let listed = self.calls.list_shards(&self.stream).await;
                listed.map(|shards| Input::Shards(shards.iter().map(shard_info).collect()))
            }
            Action::Sleep { until } => {
                facade::sleep(self.origin.until(until)).await;
                Ok(Input::Wake)
            }
            Action::Finished | Action::Failed { .. } => unreachable!("the loop ends with these"),
        };
        called.unwrap_or_else(|ServiceError { kind, message, .. }| Input::Failed { kind, message })
    }

    /// Waits until there is memory for an answer; others of the shard need not wait for that.
    async fn memory(&self, machine: &Polling) -> Grant {
        loop {
            if let Some(grant) = self.claimant.ask(self.inlet.memory(), self.origin.moment_now()) {
                return grant;
            }
            machine.stand_aside();
            facade::sleep(MEMORY_LOOK).await;
        }
    }

    async fn pass_on(&self, notice: Notice) {
        let input = match notice {
            Notice::Records(emission) => return self.pass_on_records(emission).await,
            Notice::Evidence { time_ms } => {
                self.claimant.read_to(time_ms);
                ShardInput::Evidence(EventTime::from_millis(time_ms))
            }
            Notice::Withheld { highest_ms } => {
                self.claimant.read_to(highest_ms);
                ShardInput::Withheld(EventTime::from_millis(highest_ms))
            }
            Notice::Lagging { behind_ms } => ShardInput::Lagging { behind_ms },
            Notice::Trouble(trouble) => {
                tracing::warn!("stream {}: {trouble}", self.stream);
                ShardInput::Trouble(trouble)
            }
            Notice::Gap { range, what } => {
                return self.inlet.note_loss(Loss { reason: Reason::Gap, records: None, range, what });
            }
            Notice::Abandoned => ShardInput::Abandoned,
            Notice::Drained { children } => {
                ShardInput::Drained { children: children.into_iter().map(from_its_beginning).collect() }
            }
        };
        self.inlet.send(input).await;
    }

    async fn pass_on_records(&self, emission: Emission) {
        let (mut batch, pages) = emission.into_parts();
        batch.attribute(Arc::clone(&self.shard));
        let batch = Rc::new(batch);
        for page in pages {
            let times = page.indices.iter().map(|index| EventTime::from_millis(batch.arrival_ms(*index as usize)));
            let position = match page.position {
                ReadFrom::After(sequence) => Position { sequence: sequence.to_shared(), sub_sequence: 0 },
                // Still where it began: nothing may be noted yet.
                ReadFrom::TrimHorizon | ReadFrom::AtTimestamp(_) | ReadFrom::At(_) => Position::default(),
            };
            let times: Vec<EventTime> = times.collect();
            times.iter().for_each(|time| self.claimant.read_to(time.as_millis()));
            let items = page.indices.iter().map(|index| batch.record(*index)).collect();
            self.inlet.send(ShardInput::Items { items, times, position }).await;
        }
    }
}

pub(super) fn from_its_beginning(child: ShardInfo) -> ShardListing {
    let position = StartPosition(Arc::from(ReadFrom::TrimHorizon.to_string()));
    ShardListing { name: child.id, parents: child.parents, open: true, position }
}

/// What `work` gives, or `None` if the reader is cancelled before.
async fn until_cancelled<T>(inlet: &Inlet<Record>, work: impl Future<Output = T>) -> Option<T> {
    let cancelled = async {
        let mut stop = inlet.stop();
        while stop != Some(Stop::Cancel) {
            stop = inlet.stop_changed(stop).await;
        }
        None
    };
    future::or(cancelled, async { Some(work.await) }).await
}
