//! What follows from a call that failed: the table of [`errors`](crate::protocol::errors), put into steps and waits.

use std::time::Duration;

use super::{Notice, Polling, SLOW_RETRY, Step};
use crate::protocol::Moment;
use crate::protocol::errors::{Call, ErrorKind, Reaction};
use crate::protocol::position::ReadFrom;

/// Fresh iterators in a row that expire before they are used: beyond, something is wrong with a clock.
const EXPIRED_IN_A_ROW_MAX: u32 = 1;
/// How often a start time that the service calls the future is asked for again; its front ends' clocks differ.
const FUTURE_START_TRIES: u32 = 6;

impl Polling {
    pub(super) fn on_failure(&mut self, kind: ErrorKind, message: String, now: Moment, notices: &mut Vec<Notice>) {
        let call = match self.step {
            Step::FetchIterator => Call::GetShardIterator,
            Step::FetchRecords { .. } => Call::GetRecords,
            _ => Call::ListShards,
        };
        // Who cannot ask does not know whether there is silence.
        self.idle_since = None;
        if call == Call::GetRecords {
            self.pace.on_failure(now);
        }
        match kind {
            ErrorKind::Throttled | ErrorKind::LimitExceeded => self.counters.throttled += 1,
            ErrorKind::ExpiredIterator => self.counters.iterators_expired += 1,
            _ => self.counters.failures += 1,
        }
        // Control has listed the stream with the same credentials, so they were good a moment ago.
        let worked = self.worked.get() || kind == ErrorKind::Credentials;
        match kind.reaction(call, worked) {
            Reaction::SlowDown => {
                let wait = self.throttling.next_wait(&mut self.rng);
                self.wait_out(call, kind, &message, wait, now, notices);
            }
            Reaction::BackOff => {
                let wait = self.failing.next_wait(&mut self.rng);
                self.wait_out(call, kind, &message, wait, now, notices);
            }
            Reaction::RefreshCredentials if !self.credentials_refused => {
                self.credentials_refused = true;
                let wait = self.failing.next_wait(&mut self.rng);
                self.wait_out(call, kind, &message, wait, now, notices);
            }
            Reaction::RetrySlowly | Reaction::RefreshCredentials => {
                self.wait_out(call, kind, &message, SLOW_RETRY, now, notices);
            }
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
            Reaction::RenewIteratorOnce | Reaction::Isolate | Reaction::Fail => self.fail(call, kind, &message, now),
        }
    }

    fn on_position_refused(&mut self, kind: ErrorKind, message: String, now: Moment, notices: &mut Vec<Notice>) {
        let call = Call::GetShardIterator;
        match self.position {
            ReadFrom::After(ref sequence) | ReadFrom::At(ref sequence) => {
                let what = format!(
                    "{}: the position {sequence} is not held any more; reading on from the oldest record: {message}",
                    self.shard
                );
                notices.push(Notice::Gap { range: self.rest(), what });
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
