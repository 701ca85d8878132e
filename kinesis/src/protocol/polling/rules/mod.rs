//! The rules of reading a shard, one by one, and all of them at once against a shard that fails at random.

mod ends;
mod evidence;
mod failures;
mod pace;
mod pages;
mod position;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use super::fake_shard::{SERVICE_MS, SHARD, child, child_of_range};
use super::{Action, Answer, Input, IteratorFrom, Notice, PAGE_ITEMS_MAX, Polling, PollingSettings, Turn};
use crate::protocol::id::SequenceNumber;
use crate::protocol::position::ReadFrom;
use crate::protocol::service_clock::{ServiceClock, Timing};
use crate::protocol::{ErrorKind, Moment};
use crate::record::{RecordBatch, RecordBatchBuilder};

/// A reader and its two clocks, told what happens step by step. Calls take no time unless `sent` says so.
struct Reader {
    machine: Polling,
    clock: ServiceClock,
    now: Moment,
    sent: Moment,
    notices: Vec<Notice>,
    action: Action,
}

impl Reader {
    fn at(position: ReadFrom) -> Reader {
        let settings = PollingSettings { margin_ms: 0, ..PollingSettings::default() };
        let mut clock = ServiceClock::new();
        // Answers of others, worse than those to come: from now on this clock is believed.
        let (long_ago, date_ms) = (Moment::from_millis(900), Some(SERVICE_MS - 1_000));
        for _ in 0..2 {
            clock.on_answer(Timing { sent: long_ago, received: long_ago, date_ms });
        }
        let mut reader = Reader {
            machine: Polling::new(settings, Arc::from(SHARD), position),
            clock,
            now: Moment::from_millis(1_000),
            sent: Moment::from_millis(1_000),
            notices: Vec::new(),
            action: Action::Finished,
        };
        reader.tell(Input::Wake);
        reader
    }

    /// One that has its first iterator and asks for records.
    fn reading() -> Reader {
        let mut reader = Reader::at(ReadFrom::TrimHorizon);
        assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::TrimHorizon));
        reader.tell(Input::Iterator("i0".to_owned()));
        assert_eq!(reader.action, records_from("i0"));
        reader
    }

    fn tell(&mut self, input: Input) {
        let Turn { notices, action } = self.machine.on(input, self.now, &mut self.clock);
        if matches!(action, Action::FetchRecords { .. } | Action::FetchIterator(_)) {
            assert_eq!(self.machine.try_send(self.now), Ok(()), "nobody else reads here");
        }
        self.notices = notices;
        self.action = action;
    }

    /// How long it sleeps before the next call; then it is that call's turn.
    fn sleep_ms(&mut self) -> u64 {
        let Action::Sleep { until } = self.action else { panic!("not asleep: {:?}", self.action) };
        let slept = until.since(self.now);
        self.now = until;
        self.sent = until;
        self.tell(Input::Wake);
        u64::try_from(slept.as_millis()).unwrap()
    }

    fn fail(&mut self, kind: ErrorKind) {
        self.tell(Input::Failed { kind, message: "because".to_owned() });
    }

    fn answer(&mut self, batch: RecordBatch, next: Option<&str>, behind_ms: Option<u64>) {
        self.answer_with(batch, next, behind_ms, Some(SERVICE_MS), vec![]);
    }

    fn answer_with(
        &mut self,
        batch: RecordBatch,
        next: Option<&str>,
        behind_ms: Option<u64>,
        date_ms: Option<i64>,
        children: Vec<crate::protocol::ShardInfo>,
    ) {
        let timing = Timing { sent: self.sent, received: self.now, date_ms };
        let next_iterator = next.map(str::to_owned);
        self.tell(Input::Records(Answer { batch, next_iterator, behind_ms, children, timing }));
    }

    /// One at an endpoint without `Date`, beside this host's clock.
    fn dateless(idle_after: Duration) -> Reader {
        let mut reader = Reader::reading();
        reader.machine.settings.idle_after = idle_after;
        reader.clock = ServiceClock::beside_host(SERVICE_MS);
        reader
    }

    fn evidence(&self) -> Option<i64> {
        self.notices.iter().find_map(|notice| match notice {
            Notice::Evidence { time_ms } => Some(*time_ms),
            _ => None,
        })
    }

    fn troubled(&self) -> bool {
        self.notices.iter().any(|notice| matches!(notice, Notice::Trouble(_)))
    }
}

fn records_from(iterator: &str) -> Action {
    Action::FetchRecords { iterator: iterator.to_owned(), limit: 10_000 }
}

fn batch(records: &[(u64, i64)]) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new();
    for (sequence, arrival_ms) in records {
        builder.push("k", b"x", &sequence.to_string(), *arrival_ms).unwrap();
    }
    builder.finish()
}

fn after(sequence: u64) -> ReadFrom {
    ReadFrom::After(SequenceNumber::parse(&sequence.to_string()).unwrap())
}
