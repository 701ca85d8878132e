//! Reading on at a record that may have been trimmed meanwhile: then the service answers from the oldest record it holds,
//! without a word, and what lay between is missing.
//!
//! Where something may have been trimmed since the shard was last read, the iterator is taken *at* the last record and not
//! behind it. If that record comes again it is skipped, and nothing is missing; if a later one comes, the gap is told.

use super::{IteratorFrom, Notice, Polling};
use crate::protocol::Moment;
use crate::protocol::id::SequenceNumber;
use crate::protocol::position::ReadFrom;
use crate::protocol::sabotage::{self, Sabotage};
use crate::protocol::service_clock::ServiceClock;
use crate::record::RecordBatch;

/// Records younger than this are held: streams keep theirs for a day at least, and an hour is room for clocks that differ.
/// Source: *Kinesis Developer Guide*, "Change the data retention period", read 2026-11-24.
const HELD_MS: i64 = 23 * 3_600_000;

/// The record at which an iterator was taken, until an answer says whether it is still held.
#[derive(Debug)]
pub(super) struct Resumed {
    at: SequenceNumber,
    /// It was read before, and is not passed on again.
    read_before: bool,
}

impl Polling {
    /// What iterator to ask for now.
    pub(super) fn iterator_from(&mut self, now: Moment, clock: &ServiceClock) -> IteratorFrom {
        self.resumed = None;
        let (at, read_before) = match &self.position {
            ReadFrom::TrimHorizon => return IteratorFrom::TrimHorizon,
            ReadFrom::AtTimestamp(_) if sabotage::is_planted(Sabotage::LatestNotPinned) => return IteratorFrom::Latest,
            ReadFrom::AtTimestamp(ms) => return IteratorFrom::AtTimestamp(*ms),
            ReadFrom::After(sequence) if self.is_surely_held(now, clock) => {
                return IteratorFrom::After(sequence.clone());
            }
            ReadFrom::At(sequence) => (sequence.clone(), false),
            ReadFrom::After(sequence) => (sequence.clone(), true),
        };
        self.resumed = Some(Resumed { at: at.clone(), read_before });
        IteratorFrom::At(at)
    }

    /// Whether what follows the last record read is too young to have been trimmed.
    fn is_surely_held(&self, now: Moment, clock: &ServiceClock) -> bool {
        let now_ms = clock.latest_ms(now).or(clock.host_ms(now));
        let age_ms = now_ms.zip(self.read_up_to_ms).map(|(now_ms, read_ms)| now_ms - read_ms);
        age_ms.is_some_and(|age_ms| age_ms < HELD_MS)
    }

    /// Tells a gap if the record at which reading resumed is not there any more; `at_tip`: the answer says that nothing
    /// follows it now. Gives the number of records at the head of `batch` that were read before.
    pub(super) fn judge_resumed(&mut self, batch: &RecordBatch, at_tip: bool, notices: &mut Vec<Notice>) -> usize {
        let Some(resumed) = self.resumed.take() else {
            return 0;
        };
        let Resumed { at, read_before } = &resumed;
        let (mut skipped, mut held, mut first) = (0, false, None);
        for index in 0..batch.len() {
            match SequenceNumber::parse(batch.sequence(index)) {
                Ok(sequence) if sequence < *at => skipped += 1,
                Ok(sequence) if sequence == *at => {
                    held = true;
                    skipped += usize::from(*read_before);
                }
                _ => {
                    first = Some(index);
                    break;
                }
            }
        }
        if held {
            return skipped;
        }
        if first.is_none() && !at_tip {
            // Nothing is known yet: what follows comes with a later answer.
            self.resumed = Some(resumed);
            return skipped;
        }
        // An iterator that failed meanwhile leads here again.
        if self.gap_told_at.as_ref() == Some(at) {
            return skipped;
        }
        let from = if *read_before { "after" } else { "from" };
        let mut range = format!("{from} {at}");
        let goes_on = match first {
            Some(index) => {
                let next = batch.sequence(index);
                range.push_str(&format!(" before {next}"));
                format!("the next one is {next} of {}", in_words(batch.arrival_ms(index)))
            }
            None => "and none that follows it".to_owned(),
        };
        let read_to = self.read_up_to_ms.map(|ms| format!(", all up to {} had been read", in_words(ms)));
        let what = format!(
            "{}: record {at} is not held any more, {goes_on}{}: what came between, if anything did, is missing",
            self.shard,
            read_to.unwrap_or_default()
        );
        notices.push(Notice::Gap { range: Some(range), what });
        self.gap_told_at = Some(resumed.at);
        skipped
    }
}

/// `Tue, 24 Nov 2026 13:20:43 GMT`.
fn in_words(time_ms: i64) -> String {
    let since_epoch = std::time::Duration::from_millis(u64::try_from(time_ms).unwrap_or(0));
    std::time::UNIX_EPOCH.checked_add(since_epoch).map_or_else(|| time_ms.to_string(), httpdate::fmt_http_date)
}
