//! A shard just good enough to read from, on virtual time: what it holds is known, how it fails is seeded.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Answer, Input, IteratorFrom, Notice, Polling, PollingSettings};
use crate::protocol::position::ReadFrom;
use crate::protocol::service_clock::{ServiceClock, Timing};
use crate::protocol::{ErrorKind, Moment, ShardInfo};
use crate::record::{RecordBatch, RecordBatchBuilder};

pub(super) const SHARD: &str = "shardId-000000000000";
/// The service's clock when ours shows zero.
pub(super) const SERVICE_MS: i64 = 1_795_395_060_321;

#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    /// On our clock; the stamp is the service's clock then, `skew_ms` earlier.
    pub at_ms: u64,
    pub skew_ms: u64,
    pub bytes: usize,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Each of 100 calls: fails, before or after the service acted.
    pub failing_percent: u8,
    /// Each of 100 answers is empty although records follow.
    pub hollow_percent: u8,
    /// The end of the shard rides on the last records instead of on an extra page.
    pub end_on_last_page: bool,
}

pub(super) struct FakeShard {
    pub puts: Vec<Put>,
    pub closed_at_ms: Option<u64>,
    pub faults: Faults,
    pub page_records: usize,
    /// So many records at the head are not held any more.
    pub trimmed: usize,
    rng: fastrand::Rng,
}

/// What a reader did and said.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Of answered calls: when sent, and bytes brought.
    pub calls: Vec<(Moment, usize)>,
    /// Every `GetRecords` sent, answered or not.
    pub sent: Vec<Moment>,
    pub sequences: Vec<usize>,
    /// Evidence, the service's true clock when the request was sent, and how many records had been passed on.
    pub evidence: Vec<(i64, i64, usize)>,
    pub troubles: Vec<String>,
    /// Ranges.
    pub gaps: Vec<Option<String>>,
    pub drained: Option<Vec<ShardInfo>>,
    pub failed: Option<(ErrorKind, String)>,
}

impl FakeShard {
    pub fn new(puts: Vec<Put>, faults: Faults, seed: u64) -> FakeShard {
        FakeShard {
            puts,
            closed_at_ms: None,
            faults,
            page_records: 100,
            trimmed: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    pub fn stamp_ms(&self, index: usize) -> i64 {
        let put = self.puts[index];
        SERVICE_MS + i64::try_from(put.at_ms).unwrap() - i64::try_from(put.skew_ms).unwrap()
    }

    /// Reads until the shard is drained, the reader fails, or `until_ms` has come.
    pub fn read(&mut self, settings: PollingSettings, from: ReadFrom, until_ms: u64) -> (Trace, Polling) {
        let mut machine = Polling::new(settings, Arc::from(SHARD), from);
        let trace = self.drive(&mut machine, until_ms);
        (trace, machine)
    }

    pub fn drive(&mut self, machine: &mut Polling, until_ms: u64) -> Trace {
        let mut clock = ServiceClock::new();
        let mut trace = Trace::default();
        let mut now = Moment::ZERO;
        let mut input = Input::Wake;
        let mut sent_truth_ms = 0;
        while now < Moment::from_millis(until_ms) {
            let turn = machine.on(input, now, &mut clock);
            for notice in turn.notices {
                self.note(notice, sent_truth_ms, &mut trace);
            }
            input = match turn.action {
                Action::Sleep { until } => {
                    now = now.max(until);
                    Input::Wake
                }
                Action::Finished => return trace,
                Action::Failed { kind, message } => {
                    trace.failed = Some((kind, message));
                    return trace;
                }
                action => {
                    assert_eq!(machine.try_send(now), Ok(()), "nobody else reads here");
                    let sent = now;
                    sent_truth_ms = truth_ms(sent);
                    let acted = sent + Duration::from_millis(self.rng.u64(0..40));
                    now = acted + Duration::from_millis(self.rng.u64(0..40));
                    if matches!(action, Action::FetchRecords { .. }) {
                        trace.sent.push(sent);
                    }
                    let input = self.answer(action, sent, acted, now);
                    if let Input::Records(answer) = &input {
                        trace.calls.push((sent, answer.batch.payload_bytes()));
                    }
                    input
                }
            };
        }
        trace
    }

    fn note(&self, notice: Notice, sent_truth_ms: i64, trace: &mut Trace) {
        match notice {
            Notice::Records(emission) => {
                let (batch, pages) = emission.into_parts();
                for page in pages {
                    for index in page.indices {
                        trace.sequences.push(batch.sequence(index as usize).parse().unwrap());
                    }
                }
            }
            Notice::Evidence { time_ms } => trace.evidence.push((time_ms, sent_truth_ms, trace.sequences.len())),
            Notice::Trouble(text) => trace.troubles.push(text),
            Notice::Gap { range, .. } => trace.gaps.push(range),
            Notice::Lagging { .. } | Notice::Withheld { .. } => {}
            Notice::Drained { children } => trace.drained = Some(children),
            Notice::Abandoned => panic!("the listing names the children"),
        }
    }

    fn answer(&mut self, action: Action, sent: Moment, acted: Moment, received: Moment) -> Input {
        if self.rng.u8(0..100) < self.faults.failing_percent {
            let mut kinds =
                vec![ErrorKind::Throttled, ErrorKind::Connection, ErrorKind::Unavailable, ErrorKind::Timeout];
            if matches!(action, Action::FetchRecords { .. }) {
                kinds.push(ErrorKind::ExpiredIterator);
            }
            let kind = kinds[self.rng.usize(0..kinds.len())];
            return Input::Failed { kind, message: "planted".to_owned() };
        }
        match action {
            Action::FetchIterator(from) => Input::Iterator(self.index_of(&from, acted).to_string()),
            Action::FetchRecords { iterator, limit } => {
                let timing = Timing { sent, received, date_ms: Some(truth_ms(acted).div_euclid(1_000) * 1_000) };
                Input::Records(self.records(iterator.parse().unwrap(), limit as usize, acted, timing))
            }
            _ => Input::Shards(vec![
                ShardInfo { id: Arc::from(SHARD), parents: vec![], range: None },
                child("shardId-000000000001"),
                child("shardId-000000000002"),
            ]),
        }
    }

    fn index_of(&self, from: &IteratorFrom, now: Moment) -> usize {
        match from {
            IteratorFrom::TrimHorizon => 0,
            IteratorFrom::Latest => self.held(now),
            IteratorFrom::AtTimestamp(ms) => {
                (0..self.puts.len()).find(|index| self.stamp_ms(*index) >= *ms).unwrap_or(self.puts.len())
            }
            IteratorFrom::At(sequence) => sequence.as_str().parse().unwrap(),
            IteratorFrom::After(sequence) => sequence.as_str().parse::<usize>().unwrap() + 1,
        }
    }

    fn held(&self, now: Moment) -> usize {
        self.puts.partition_point(|put| Moment::from_millis(put.at_ms) <= now)
    }

    fn records(&mut self, begin: usize, limit: usize, now: Moment, timing: Timing) -> Answer {
        let (held, begin) = (self.held(now), begin.max(self.trimmed));
        let hollow = self.rng.u8(0..100) < self.faults.hollow_percent;
        let end = if hollow { begin } else { held.min(begin + limit.min(self.page_records)).max(begin) };
        let batch = self.batch(begin, end);
        let behind_ms =
            if end < held { now.since(Moment::from_millis(self.puts[end].at_ms)).as_millis() + 1 } else { 0 };
        let closed = self.closed_at_ms.is_some_and(|at| Moment::from_millis(at) <= now);
        let ended = closed && end == held && (batch.is_empty() || self.faults.end_on_last_page);
        Answer {
            batch,
            next_iterator: (!ended).then(|| end.to_string()),
            behind_ms: Some(u64::try_from(behind_ms).unwrap()),
            children: if ended { vec![child("shardId-000000000001"), child("shardId-000000000002")] } else { vec![] },
            timing,
        }
    }

    fn batch(&self, begin: usize, end: usize) -> RecordBatch {
        let mut builder = RecordBatchBuilder::new();
        for index in begin..end {
            let data = vec![0; self.puts[index].bytes];
            builder.push("k", &data, &index.to_string(), self.stamp_ms(index)).unwrap();
        }
        builder.finish()
    }
}

pub(super) fn child(id: &str) -> ShardInfo {
    ShardInfo { id: Arc::from(id), parents: vec![Arc::from(SHARD)], range: None }
}

fn truth_ms(moment: Moment) -> i64 {
    SERVICE_MS + i64::try_from(moment.as_nanos() / 1_000_000).unwrap()
}

/// One that takes these hash keys.
pub(super) fn child_of_range(id: &str, first: u128, last: u128) -> ShardInfo {
    ShardInfo { range: Some(crate::protocol::HashKeyRange { first, last }), ..child(id) }
}
