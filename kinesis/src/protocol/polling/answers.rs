//! What an answer with records, or without, means: what is passed on, how far behind it is, what it proves, and when the
//! next call is due.

use std::time::Duration;

use super::{Answer, Emission, Notice, Polling, Step};
use crate::protocol::Moment;
use crate::protocol::id::SequenceNumber;
use crate::protocol::position::ReadFrom;
use crate::protocol::sabotage::{self, Sabotage};
use crate::protocol::service_clock::{ServiceClock, Timing};
use crate::record::RecordBatch;

/// Longest pause between calls on a shard that is proved idle.
const IDLE_INTERVAL_MAX: Duration = Duration::from_secs(1);

impl Polling {
    pub(super) fn on_records(
        &mut self,
        answer: Answer,
        now: Moment,
        clock: &mut ServiceClock,
        notices: &mut Vec<Notice>,
    ) {
        let Answer { batch, next_iterator, behind_ms, children, timing } = answer;
        clock.on_answer(timing);
        self.succeeded();
        // Not by an iterator: who may have one may not therefore read.
        self.worked.set(true);
        self.renewed_once = false;
        self.expired_in_a_row = 0;
        self.expiring.reset();
        let bytes = batch.payload_bytes();
        self.pace.on_answer(timing.sent, bytes);
        self.counters.answers += 1;
        self.counters.bytes += bytes as u64;
        self.counters.records += batch.len() as u64;
        let empty = batch.is_empty();
        let caught_up = empty && behind_ms == Some(0);
        self.idle_since = caught_up.then(|| self.idle_since.unwrap_or(timing.sent));
        let skipped = self.judge_resumed(&batch, caught_up || next_iterator.is_none(), notices);
        if empty {
            self.counters.empty_answers += 1;
        } else {
            self.take(batch, skipped, notices);
        }
        self.note_lag(behind_ms, notices);
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

    /// Takes what is behind the first `skipped` records.
    fn take(&mut self, batch: RecordBatch, skipped: usize, notices: &mut Vec<Notice>) {
        let last = batch.sequence(batch.len() - 1).to_owned();
        let highest_ms = (0..batch.len()).map(|index| batch.arrival_ms(index)).max();
        self.read_up_to_ms = self.read_up_to_ms.max(highest_ms);
        let emission = Emission::new(batch, skipped, self.stop_ms, &self.position, &mut self.frozen);
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
        if let Ok(sequence) = SequenceNumber::parse(&last)
            && !sabotage::is_planted(Sabotage::PositionNotKept)
        {
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
        let receipt = sabotage::is_planted(Sabotage::EvidenceOfReceipt);
        let at = if receipt { timing.received } else { timing.sent };
        let rash = sabotage::is_planted(Sabotage::FirstDateBelieved);
        let proved_ms = match if rash { clock.earliest_ms(at) } else { clock.agreed_ms(at) } {
            Some(sent_ms) => {
                let forgotten = sabotage::is_planted(Sabotage::MarginForgotten);
                Some(sent_ms.saturating_sub(if forgotten { 0 } else { self.settings.margin_ms }))
            }
            // One that does say the time is believed soon.
            None if clock.earliest_ms(at).is_some() => None,
            None => self.proved_by_host_ms(timing.sent, clock, notices),
        };
        if let Some(time_ms) = proved_ms
            && self.last_evidence_ms.is_none_or(|last| time_ms > last)
        {
            self.last_evidence_ms = Some(time_ms);
            self.read_up_to_ms = self.read_up_to_ms.max(Some(time_ms));
            notices.push(Notice::Evidence { time_ms });
        }
    }

    /// What silence proves where the service does not tell the time: late and on trust, but better than that a silent shard
    /// holds all windows for ever. If this host's clock is ahead by more than it is late, records are counted as behind it.
    fn proved_by_host_ms(&mut self, sent: Moment, clock: &ServiceClock, notices: &mut Vec<Notice>) -> Option<i64> {
        let after = self.settings.idle_after;
        let trusted = clock.host_ms(sent).filter(|_| !after.is_zero());
        if !std::mem::replace(&mut self.dateless_said, true) {
            let what = match trusted {
                Some(_) => format!("counts by this host's clock, {} s late", after.as_secs_f64()),
                None => "proves nothing".to_owned(),
            };
            notices.push(Notice::Trouble(format!(
                "{}: the endpoint's answers carry no usable Date header, so silence {what}",
                self.shard
            )));
        }
        let silent = self.idle_since.is_some_and(|since| sent.since(since) >= after);
        let late_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX).max(self.settings.margin_ms);
        trusted.filter(|_| silent).map(|host_ms| host_ms.saturating_sub(late_ms))
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
        let grown = self.pace.call_interval().mul_f64(growth);
        let interval = grown.min(IDLE_INTERVAL_MAX).mul_f64(0.9 + 0.1 * self.rng.f64());
        self.pace.due().max(sent + interval)
    }
}
