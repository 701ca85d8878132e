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
//! why evidence needs no bookkeeping. Rules in `rules.rs`' tests; the arithmetic of pace is in [`pacing`](super::pacing).
//!
//! *Evidence.* An empty answer that is not behind the tip and gives a next iterator proves that every record stamped
//! before the request was sent has been read. An answer with records proves nothing about what follows them.

mod emission;
#[cfg(test)]
mod fake_shard;
#[cfg(test)]
mod rules;
mod turn;

use std::sync::Arc;
use std::time::Duration;

pub use emission::{Emission, PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Page};
pub use turn::{Action, Answer, Input, IteratorFrom, Notice, PollingCounters, PollingSettings, Turn};

use super::Moment;
use super::errors::{Call, ErrorKind, Reaction};
use super::id::SequenceNumber;
use super::pacing::{BackOff, CALL_INTERVAL};
use super::position::ReadFrom;
use super::sabotage::{self, Sabotage};
use super::service_clock::{ServiceClock, Timing};
use super::shard::{ShardInfo, are_whole};
use super::shard_pace::{PaceOfReader, SharedPace};
use crate::record::RecordBatch;

/// Longest pause between calls on a shard that is proved idle.
const IDLE_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Wait before a mended setting is looked for.
const SLOW_RETRY: Duration = Duration::from_secs(30);
/// Listings without all children after which that is said, and the next are further apart.
const CHILDLESS_LISTINGS_MAX: u32 = 5;
/// Listings in a row without a shard after which it is believed to be gone: one may be behind.
const MISSING_LISTINGS: u32 = 3;
/// Fresh iterators in a row that expire before they are used: beyond, something is wrong with a clock.
const EXPIRED_IN_A_ROW_MAX: u32 = 1;
/// How often a start time that the service calls the future is asked for again; its front ends' clocks differ.
const FUTURE_START_TRIES: u32 = 6;

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
    /// How often the service refused the start time.
    start_refusals: u32,
    rng: fastrand::Rng,
    /// Some call has succeeded.
    worked: bool,
    /// Iterators in a row that expired without an answer in between.
    expired_in_a_row: u32,
    /// The iterator was taken because the service refused the one before as invalid.
    renewed_once: bool,
    last_evidence_ms: Option<i64>,
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
            pace: PaceOfReader::join(SharedPace::default()),
            throttling: BackOff::new(Duration::from_secs(2), Duration::from_secs(8)),
            failing: BackOff::new(Duration::from_millis(100), Duration::from_secs(5)),
            expiring: BackOff::new(Duration::from_millis(200), Duration::from_secs(5)),
            idle_answers: 0,
            start_refusals: 0,
            rng: fastrand::Rng::with_seed(settings.seed),
            worked: false,
            expired_in_a_row: 0,
            renewed_once: false,
            last_evidence_ms: None,
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
        self.pace = PaceOfReader::join(pace);
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
        Turn { notices, action: self.act(now) }
    }

    /// What it has done so far.
    pub fn counters(&self) -> PollingCounters {
        self.counters
    }

    /// Where it would read on: the start, or after the last record fetched.
    pub fn position(&self) -> &ReadFrom {
        &self.position
    }

    fn last_read(&self) -> Option<SequenceNumber> {
        match &self.position {
            ReadFrom::After(sequence) => Some(sequence.clone()),
            ReadFrom::TrimHorizon | ReadFrom::AtTimestamp(_) => None,
        }
    }

    fn act(&mut self, now: Moment) -> Action {
        if now < self.due {
            return Action::Sleep { until: self.due };
        }
        match &self.step {
            Step::FetchIterator => match self.pace.try_iterator(now) {
                Ok(()) => Action::FetchIterator(self.iterator_from()),
                Err(until) => Action::Sleep { until },
            },
            Step::FetchRecords { iterator } => {
                if let Err(until) = self.pace.try_read(now) {
                    return Action::Sleep { until };
                }
                Action::FetchRecords { iterator: iterator.clone(), limit: self.settings.records_per_call_max }
            }
            Step::ListForChildren { .. } | Step::ListForShard { .. } => Action::ListShards,
            Step::Finished => Action::Finished,
            Step::Failed { kind, message } => Action::Failed { kind: *kind, message: message.clone() },
        }
    }

    fn iterator_from(&self) -> IteratorFrom {
        match &self.position {
            ReadFrom::TrimHorizon => IteratorFrom::TrimHorizon,
            ReadFrom::AtTimestamp(_) if sabotage::is_planted(Sabotage::LatestNotPinned) => IteratorFrom::Latest,
            ReadFrom::AtTimestamp(ms) => IteratorFrom::AtTimestamp(*ms),
            ReadFrom::After(sequence) => IteratorFrom::After(sequence.clone()),
        }
    }

    fn proceed_with(&mut self, step: Step, due: Moment) {
        self.step = step;
        self.due = due;
    }

    fn succeeded(&mut self) {
        self.worked = true;
        self.throttling.reset();
        self.failing.reset();
    }

    fn on_records(&mut self, answer: Answer, now: Moment, clock: &mut ServiceClock, notices: &mut Vec<Notice>) {
        let Answer { batch, next_iterator, behind_ms, children, timing } = answer;
        clock.on_answer(timing);
        self.succeeded();
        self.renewed_once = false;
        self.expired_in_a_row = 0;
        self.expiring.reset();
        let bytes = batch.payload_bytes();
        self.pace.on_answer(timing.sent, bytes);
        self.counters.answers += 1;
        self.counters.bytes += bytes as u64;
        self.counters.records += batch.len() as u64;
        let empty = batch.is_empty();
        if empty {
            self.counters.empty_answers += 1;
        } else {
            self.take(batch, notices);
        }
        self.note_lag(behind_ms, notices);
        let caught_up = empty && behind_ms == Some(0);
        match next_iterator {
            Some(iterator) => {
                if caught_up {
                    self.note_evidence(timing, clock, notices);
                }
                let due = if caught_up { self.idle_due(timing.sent) } else { self.busy_due() };
                self.proceed_with(Step::FetchRecords { iterator }, due);
            }
            None => self.on_end(children, now, notices),
        }
    }

    fn take(&mut self, batch: RecordBatch, notices: &mut Vec<Notice>) {
        let last = batch.sequence(batch.len() - 1).to_owned();
        let emission = Emission::new(batch, self.stop_ms, &self.position, &mut self.frozen);
        self.counters.withheld += emission.withheld();
        let withheld_highest_ms = emission.withheld_highest_ms();
        if !emission.is_empty() {
            notices.push(Notice::Records(emission));
        }
        // Held back or not, a record says how far its shard has come; on a stream that is never silent nothing else
        // would bring a drain to its end.
        if let Some(highest_ms) = withheld_highest_ms {
            notices.push(Notice::Withheld { highest_ms });
        }
        // The client's decoder took the number from the service; one it cannot read is no place to resume from, and
        // the position stays where it was: records come twice rather than not at all.
        if let Ok(sequence) = SequenceNumber::parse(&last) {
            self.position = ReadFrom::After(sequence);
        }
    }

    fn note_lag(&mut self, behind_ms: Option<u64>, notices: &mut Vec<Notice>) {
        if let Some(behind_ms) = behind_ms
            && (behind_ms > 0 || self.behind_ms > 0)
        {
            self.behind_ms = behind_ms;
            notices.push(Notice::Lagging { behind_ms });
        }
    }

    fn note_evidence(&mut self, timing: Timing, clock: &ServiceClock, notices: &mut Vec<Notice>) {
        let Some(sent_ms) = clock.earliest_ms(timing.sent) else {
            if !self.dateless_said {
                self.dateless_said = true;
                notices.push(Notice::Trouble(format!(
                    "{}: the endpoint's answers carry no usable Date header, so silence proves nothing",
                    self.shard
                )));
            }
            return;
        };
        let margin_ms = if sabotage::is_planted(Sabotage::MarginForgotten) { 0 } else { self.settings.margin_ms };
        let time_ms = sent_ms.saturating_sub(margin_ms);
        if self.last_evidence_ms.is_none_or(|last| time_ms > last) {
            self.last_evidence_ms = Some(time_ms);
            notices.push(Notice::Evidence { time_ms });
        }
    }

    /// Records came, or are still to come: the next call as soon as the quota allows.
    fn busy_due(&mut self) -> Moment {
        self.idle_answers = 0;
        self.pace.due()
    }

    /// Nothing to read: the interval grows. Jittered downwards, so that calls do not meet the service's `Date` at the
    /// same part of a second for ever, which would keep our estimate of its clock as far off as it is.
    fn idle_due(&mut self, sent: Moment) -> Moment {
        let growth = 1.5f64.powi(self.idle_answers.min(10).cast_signed());
        self.idle_answers = self.idle_answers.saturating_add(1);
        let grown = CALL_INTERVAL.mul_f64(growth);
        let interval = grown.min(IDLE_INTERVAL_MAX).mul_f64(0.9 + 0.1 * self.rng.f64());
        self.pace.due().max(sent + interval)
    }

    fn on_end(&mut self, children: Vec<ShardInfo>, now: Moment, notices: &mut Vec<Notice>) {
        if are_whole(&children, &self.shard) {
            notices.push(Notice::Drained { children });
            self.proceed_with(Step::Finished, now);
        } else {
            self.proceed_with(Step::ListForChildren { listings: 0, missing: 0 }, now);
        }
    }

    fn on_shards(&mut self, shards: Vec<ShardInfo>, now: Moment, notices: &mut Vec<Notice>) {
        let listed = shards.iter().any(|shard| shard.id == self.shard);
        let children: Vec<ShardInfo> = shards.into_iter().filter(|shard| shard.is_child_of(&self.shard)).collect();
        let whole = are_whole(&children, &self.shard);
        match self.step {
            Step::ListForChildren { .. } if whole => {
                notices.push(Notice::Drained { children });
                self.proceed_with(Step::Finished, now);
            }
            // Listed for as long as the stream keeps it, and its children are kept longer: those not named by now are gone.
            Step::ListForChildren { missing, .. } if !listed && missing + 1 >= MISSING_LISTINGS => {
                let what = format!(
                    "{}: the shard was read to its end, but aged out of the listings before they named all of its \
                     children: what those held that are not named ({} are) is missing",
                    self.shard,
                    children.len()
                );
                self.finish_gone(what, children, now, notices);
            }
            // While it is listed never without all of them: what the missing ones take would be lost, and no hold would stand
            // for it.
            Step::ListForChildren { listings, missing } => {
                let (listings, missing) = (listings + 1, if listed { 0 } else { missing + 1 });
                let mut wait = self.failing.next_wait(&mut self.rng);
                if listings >= CHILDLESS_LISTINGS_MAX {
                    wait = SLOW_RETRY;
                    let named = children.len();
                    notices.push(Notice::Trouble(format!(
                        "{}: the shard is closed, but {listings} listings name {named} of its children, which are not \
                         all; asking again in {} s",
                        self.shard,
                        wait.as_secs()
                    )));
                }
                self.proceed_with(Step::ListForChildren { listings, missing }, now + wait);
            }
            // It exists after all: the listing and the data plane disagree for a while after a stream is made.
            Step::ListForShard { .. } if listed => {
                let due = self.pace.iterator_due().max(now + self.failing.next_wait(&mut self.rng));
                self.proceed_with(Step::FetchIterator, due);
            }
            Step::ListForShard { missing } if missing + 1 < MISSING_LISTINGS => {
                let due = now + self.failing.next_wait(&mut self.rng);
                self.proceed_with(Step::ListForShard { missing: missing + 1 }, due);
            }
            _ => {
                let what = format!("{}: the shard aged out before it was read to its end", self.shard);
                self.finish_gone(what, children, now, notices);
            }
        }
    }

    /// The shard is gone. Children that are named are held in its place also if they are not all: more are not to come.
    fn finish_gone(&mut self, what: String, children: Vec<ShardInfo>, now: Moment, notices: &mut Vec<Notice>) {
        notices.push(Notice::Gap { after: self.last_read(), what });
        notices.push(if children.is_empty() { Notice::Abandoned } else { Notice::Drained { children } });
        self.proceed_with(Step::Finished, now);
    }

    fn on_failure(&mut self, kind: ErrorKind, message: String, now: Moment, notices: &mut Vec<Notice>) {
        let call = match self.step {
            Step::FetchIterator => Call::GetShardIterator,
            Step::FetchRecords { .. } => Call::GetRecords,
            _ => Call::ListShards,
        };
        if call == Call::GetRecords {
            self.pace.on_failure(now);
        }
        match kind {
            ErrorKind::Throttled | ErrorKind::LimitExceeded => self.counters.throttled += 1,
            ErrorKind::ExpiredIterator => self.counters.iterators_expired += 1,
            _ => self.counters.failures += 1,
        }
        match kind.reaction(call, self.worked) {
            Reaction::SlowDown => {
                let wait = self.throttling.next_wait(&mut self.rng);
                self.wait_out(call, kind, &message, wait, now, notices);
            }
            Reaction::BackOff => {
                let wait = self.failing.next_wait(&mut self.rng);
                self.wait_out(call, kind, &message, wait, now, notices);
            }
            Reaction::RetrySlowly => self.wait_out(call, kind, &message, SLOW_RETRY, now, notices),
            Reaction::RenewIterator => {
                self.expired_in_a_row += 1;
                let mut due = self.pace.iterator_due().max(now);
                if self.expired_in_a_row > EXPIRED_IN_A_ROW_MAX {
                    due = due.max(now + self.expiring.next_wait(&mut self.rng));
                    notices.push(Notice::Trouble(format!(
                        "{}: {} fresh iterators in a row expired before they were used: {message}",
                        self.shard, self.expired_in_a_row
                    )));
                }
                self.proceed_with(Step::FetchIterator, due);
            }
            Reaction::RenewIteratorOnce if !self.renewed_once => {
                self.renewed_once = true;
                notices.push(Notice::Trouble(format!(
                    "{}: {call}: {kind}; a fresh iterator is taken: {message}",
                    self.shard
                )));
                self.proceed_with(Step::FetchIterator, self.pace.iterator_due().max(now));
            }
            Reaction::FromOldest => self.on_position_refused(kind, message, now, notices),
            Reaction::AskListing => {
                notices
                    .push(Notice::Trouble(format!("{}: {call}: {kind}; asking for a listing: {message}", self.shard)));
                self.proceed_with(Step::ListForShard { missing: 0 }, now);
            }
            Reaction::RenewIteratorOnce | Reaction::Fail => self.fail(call, kind, &message, now),
        }
    }

    fn on_position_refused(&mut self, kind: ErrorKind, message: String, now: Moment, notices: &mut Vec<Notice>) {
        let call = Call::GetShardIterator;
        match self.position {
            ReadFrom::After(ref sequence) => {
                let what = format!(
                    "{}: the position after {sequence} is no longer held; reading on from the oldest record: {message}",
                    self.shard
                );
                notices.push(Notice::Gap { after: self.last_read(), what });
                self.position = ReadFrom::TrimHorizon;
                self.proceed_with(Step::FetchIterator, self.pace.iterator_due().max(now));
            }
            // Never from the oldest record instead: that would bring what was not asked for.
            ReadFrom::AtTimestamp(_) if self.start_refusals < FUTURE_START_TRIES => {
                self.start_refusals += 1;
                let wait = self.failing.next_wait(&mut self.rng);
                self.wait_out(call, kind, &message, wait, now, notices);
            }
            ReadFrom::AtTimestamp(_) | ReadFrom::TrimHorizon => self.fail(call, kind, &message, now),
        }
    }

    /// The same step again after `wait`.
    fn wait_out(
        &mut self,
        call: Call,
        kind: ErrorKind,
        message: &str,
        wait: Duration,
        now: Moment,
        notices: &mut Vec<Notice>,
    ) {
        notices.push(Notice::Trouble(format!(
            "{}: {call}: {kind}; again in {} ms: {message}",
            self.shard,
            wait.as_millis()
        )));
        let pace = match call {
            Call::GetRecords => self.pace.due(),
            Call::GetShardIterator => self.pace.iterator_due(),
            Call::ListShards | Call::PutRecords => Moment::ZERO,
        };
        self.due = pace.max(now + wait);
    }

    fn fail(&mut self, call: Call, kind: ErrorKind, message: &str, now: Moment) {
        let message = format!("{}: {call}: {message}", self.shard);
        self.proceed_with(Step::Failed { kind, message }, now);
    }
}
