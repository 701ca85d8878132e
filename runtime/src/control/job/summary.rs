//! What is said of a job at its end: the counters of its workers and its ledger.

use super::Job;
use crate::error::JobError;
use crate::ledger::{Ledger, Reason};
use crate::pipeline::RunCounters;

impl Job {
    /// Why it failed, if it did. Once, at the end.
    pub fn take_error(&mut self) -> Option<JobError> {
        self.error.take()
    }

    /// The ledger, with what the workers counted over the whole run. Once, at the end.
    pub fn take_ledger(&mut self) -> Ledger {
        let counters = self.counters();
        let sum = |counter: fn(&RunCounters) -> u64| counters.iter().map(counter).sum::<u64>();
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.count(Reason::Late, sum(|worker| worker.late), || "came after all of their windows".to_owned());
        ledger.count(Reason::PartlyLate, sum(|worker| worker.partly_late), || {
            "came after some of their windows, and are in the others".to_owned()
        });
        ledger.count(Reason::Open, sum(|worker| worker.open), || {
            "are in windows that had not all fired when the job ended".to_owned()
        });
        let worst_ms = counters.iter().map(|worker| worker.behind_evidence_ms_max).max().unwrap_or(0);
        ledger.count(Reason::BehindEvidence, sum(|worker| worker.behind_evidence), || {
            format!(
                "were stamped up to {worst_ms} ms before their shard had been proved silent: the margin is too small"
            )
        });
        ledger.count(Reason::Repeated, sum(|worker| worker.repeated), || {
            "were sent again because no answer came, and may be in the target twice".to_owned()
        });
        ledger.count(Reason::Unwritable, sum(|worker| worker.unwritable), || {
            "can never be written: the sink's target refuses such records for ever".to_owned()
        });
        ledger.count(Reason::GivenUp, sum(|worker| worker.given_up), || {
            "were refused by the sink's target for longer than the job allows".to_owned()
        });
        ledger.count(Reason::Diverted, sum(|worker| worker.diverted), || {
            "could not be written, and are among the sink's dead letters".to_owned()
        });
        ledger.count(Reason::Unwritten, sum(RunCounters::pending), || {
            "were given to sinks and are not known to be written".to_owned()
        });
        ledger
    }

    /// Of each worker. Records that were between two workers at the end are open too, and counted at the first.
    pub fn counters(&self) -> Vec<RunCounters> {
        let mut counters: Vec<RunCounters> =
            self.workers.iter().map(|worker| worker.finished.unwrap_or_default()).collect();
        let sent: u64 = counters.iter().map(|worker| worker.records_sent).sum();
        let received: u64 = counters.iter().map(|worker| worker.records_received).sum();
        if let Some(first) = counters.first_mut() {
            first.open += sent.saturating_sub(received);
        }
        counters
    }
}
