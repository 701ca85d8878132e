//! Reads one shard: decides what to ask next, when, and what an answer proves.
//!
//! ```text
//!            FetchIterator ----> FetchRecords <----------- Sleep until due
//!   start ------^                  |  |  '--- records, or empty --^
//!               '---- expired -----'  '--- no next iterator ---> all children known? -> Finished
//! ```
//!
//! Every input yields a [`Turn`]: notices in order, then exactly one [`Action`]. Whoever drives the machine passes the
//! notices on, performs the action and comes back with what came of it. One call is under way at a time, and the next
//! is sent only after everything fetched before has been passed on: that is the reader's back-pressure, and the reason
//! why evidence needs no bookkeeping. Rules in the tests of `rules`; the arithmetic of pace is in [`pacing`](super::pacing).
//!
//! *Evidence.* An empty answer that is not behind the tip and gives a next iterator proves that every record stamped
//! before the request was sent has been read. An answer with records proves nothing about what follows them.

mod answers;
mod emission;
mod ends;
mod failures;
#[cfg(test)]
mod fake_shard;
mod resume;
#[cfg(test)]
mod rules;
mod turn;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub use emission::{Emission, PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Page};
use resume::Resumed;
pub use turn::{Action, Answer, Input, IteratorFrom, Notice, PollingCounters, PollingSettings, Turn};

use super::Moment;
use super::errors::ErrorKind;
use super::pacing::BackOff;
use super::position::ReadFrom;
use super::service_clock::ServiceClock;
use super::shard_pace::{PaceOfReader, SharedPace};

/// Wait before a mended setting is looked for.
const SLOW_RETRY: Duration = Duration::from_secs(30);

/// The reader of one shard. See the module.
#[derive(Debug)]
pub struct Polling {
    settings: PollingSettings,
    shard: Arc<str>,
    /// Where an iterator is taken: the start, or after the last record fetched.
    position: ReadFrom,
    step: Step,
    /// Earliest moment for `step`.
    due: Moment,
    pace: PaceOfReader,
    throttling: BackOff,
    failing: BackOff,
    /// Between fresh iterators that expire again; an iterator is no success, only an answer to one is.
    expiring: BackOff,
    /// Answers in a row that proved the shard idle.
    idle_answers: u32,
    /// When the first of an unbroken row of answers was sent for that found the shard read to its tip.
    idle_since: Option<Moment>,
    /// How often the service refused the start time.
    start_refusals: u32,
    rng: fastrand::Rng,
    /// Records of the stream have been read with these settings, by this reader or by another that shares it.
    worked: Rc<Cell<bool>>,
    /// The last failure was one of credentials, and fresh ones were waited for.
    credentials_refused: bool,
    /// Iterators in a row that expired without an answer in between.
    expired_in_a_row: u32,
    /// The iterator was taken because the service refused the one before as invalid.
    renewed_once: bool,
    last_evidence_ms: Option<i64>,
    /// Everything stamped up to here has been read: the latest stamp read, or proved.
    read_up_to_ms: Option<i64>,
    /// An iterator was taken at a record that may be gone.
    resumed: Option<Resumed>,
    /// The record behind which a gap was told last.
    gap_told_at: Option<super::id::SequenceNumber>,
    behind_ms: u64,
    dateless_said: bool,
    stop_ms: Option<i64>,
    /// The position that may be stored once a record was held back: behind it a record is missing.
    frozen: Option<ReadFrom>,
    counters: PollingCounters,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    FetchIterator,
    FetchRecords {
        iterator: String,
    },
    /// The shard has ended, but its answer named no usable children.
    ListForChildren {
        listings: u32,
        /// Listings in a row without the shard itself.
        missing: u32,
    },
    /// The service does not know the shard, or the stream.
    ListForShard {
        /// Listings in a row without it.
        missing: u32,
    },
    Finished,
    Failed {
        kind: ErrorKind,
        message: String,
    },
}

impl Polling {
    /// A reader of `shard` from `position`. Feed it [`Input::Wake`] first.
    pub fn new(settings: PollingSettings, shard: Arc<str>, position: ReadFrom) -> Polling {
        Polling {
            settings,
            shard,
            position,
            step: Step::FetchIterator,
            due: Moment::ZERO,
            pace: PaceOfReader::join(SharedPace::default(), settings.share),
            throttling: BackOff::new(Duration::from_secs(2), Duration::from_secs(8)),
            failing: BackOff::new(Duration::from_millis(100), Duration::from_secs(5)),
            expiring: BackOff::new(Duration::from_millis(200), Duration::from_secs(5)),
            idle_answers: 0,
            idle_since: None,
            start_refusals: 0,
            rng: fastrand::Rng::with_seed(settings.seed),
            worked: Rc::default(),
            credentials_refused: false,
            expired_in_a_row: 0,
            renewed_once: false,
            last_evidence_ms: None,
            read_up_to_ms: None,
            resumed: None,
            gap_told_at: None,
            behind_ms: 0,
            dateless_said: false,
            stop_ms: None,
            frozen: None,
            counters: PollingCounters::default(),
        }
    }

    /// Keeps the shard's limits together with the others that hold this pace; alone otherwise.
    #[must_use]
    pub fn sharing(mut self, pace: SharedPace) -> Polling {
        self.pace = PaceOfReader::join(pace, self.settings.share);
        self
    }

    /// Shares with other readers of the stream whether a call on it has ever succeeded: what is refused where the same was
    /// granted before may be granted again, and is waited for.
    #[must_use]
    pub fn trusting(mut self, worked: Rc<Cell<bool>>) -> Polling {
        self.worked = worked;
        self
    }

    /// From now on passes on nothing stamped later than `stop_ms` (service's clock, ms since 1970); polling goes on, for
    /// the evidence. The position given with later records stays before the first one held back. The first stop holds.
    pub fn stop_at(&mut self, stop_ms: i64) {
        self.stop_ms.get_or_insert(stop_ms);
    }

    /// Reacts to `input` at `now`. `clock` is the worker's estimate of the service's clock; it learns from answers.
    ///
    /// Allocates the notices; the cost is a pass over the answer's arrival times.
    pub fn on(&mut self, input: Input, now: Moment, clock: &mut ServiceClock) -> Turn {
        let mut notices = Vec::new();
        match input {
            Input::Wake => {}
            Input::Iterator(iterator) => {
                self.succeeded();
                self.proceed_with(Step::FetchRecords { iterator }, self.pace.due());
            }
            Input::Records(answer) => self.on_records(answer, now, clock, &mut notices),
            Input::Shards(shards) => self.on_shards(shards, now, &mut notices),
            Input::Failed { kind, message } => self.on_failure(kind, message, now, &mut notices),
        }
        Turn { notices, action: self.act(now, clock) }
    }

    /// To be asked at the very moment at which the call of the last action is sent: only then it counts for those who share
    /// the shard. Between the action and this its driver may take its time.
    ///
    /// # Errors
    /// Another reader went first: sleep until this moment, then [`Input::Wake`].
    pub fn try_send(&self, now: Moment) -> Result<(), Moment> {
        match self.step {
            Step::FetchIterator => self.pace.try_iterator(now),
            Step::FetchRecords { .. } => self.pace.try_read(now),
            _ => Ok(()),
        }
    }

    /// The driver is not ready to send what the machine asked for: other readers of the shard need not wait for it.
    pub fn stand_aside(&self) {
        self.pace.stand_aside();
    }

    /// What it has done so far.
    pub fn counters(&self) -> PollingCounters {
        self.counters
    }

    /// Where it would read on: the start, or after the last record fetched.
    pub fn position(&self) -> &ReadFrom {
        &self.position
    }

    /// What was not read, in words, if it was to be read on from a record.
    fn rest(&self) -> Option<String> {
        match &self.position {
            ReadFrom::After(sequence) => Some(format!("after {sequence}")),
            ReadFrom::At(sequence) => Some(format!("from {sequence}")),
            ReadFrom::TrimHorizon | ReadFrom::AtTimestamp(_) => None,
        }
    }

    fn act(&mut self, now: Moment, clock: &ServiceClock) -> Action {
        if now < self.due {
            return Action::Sleep { until: self.due };
        }
        match &self.step {
            Step::FetchIterator if now < self.pace.iterator_due() => Action::Sleep { until: self.pace.iterator_due() },
            Step::FetchIterator => Action::FetchIterator(self.iterator_from(now, clock)),
            Step::FetchRecords { iterator } => {
                if let Err(until) = self.pace.queue_to_read(now) {
                    return Action::Sleep { until };
                }
                Action::FetchRecords { iterator: iterator.clone(), limit: self.settings.records_per_call_max }
            }
            Step::ListForChildren { .. } | Step::ListForShard { .. } => Action::ListShards,
            Step::Finished => Action::Finished,
            Step::Failed { kind, message } => Action::Failed { kind: *kind, message: message.clone() },
        }
    }

    fn proceed_with(&mut self, step: Step, due: Moment) {
        self.step = step;
        self.due = due;
    }

    fn succeeded(&mut self) {
        self.credentials_refused = false;
        self.throttling.reset();
        self.failing.reset();
    }
}
