//! Writes records: decides which go together, when, and what becomes of those that are refused.
//!
//! Records wait in lanes, one a key, and a lane has at most one record on its way: `PutRecords` promises no order even
//! within one call, and a refused record put again would arrive behind a later one. So records of one key are in the
//! stream in the order they were given, whatever is refused; the price is one record a key and call.
//! [`KeyOrder::WhileNothingFails`] gives that up for throughput with few keys.
//!
//! A producer may say a hash key beside the partition key. Then both together are the key of this page: records that
//! share them go to one shard in order, and of records that share but the partition key, which may be in different
//! shards, nobody could see the order.
//!
//! ```text
//!   push --> lane of "a": [a1 a2 a3]  a1 on its way ------> taken: a2 is next
//!            lane of "b": [b1]        ready ---- batch --'  refused: a1 again, before a2
//! ```
//!
//! While a shard throttles, records for it go at the pace it takes, and their lanes wait for it in a line of their own, so
//! that those of other shards go on. Which shard a lane leads to is asked of the stream when one first throttles, and again
//! when answers name another; until it is known, or if it may not be, the whole writer slows down.
//!
//! A batch goes out when it is full, when its oldest record has waited for the linger, when a record waits for one of the
//! batch to be in the stream, or at once while flushing; so no tail ever waits for the next record, and a key's next
//! never for company of the one before. Each lane's turn comes round-robin.

mod isolation;
mod lanes;
mod listing;
mod outcome;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod shard_rules;
mod targets;
mod turn;

use std::time::Duration;

use bytes::Bytes;

use self::isolation::Isolation;
use self::lanes::{Address, Entry, LaneId, Lanes};
use self::listing::Listing;
pub use turn::{
    BatcherCounters, BatcherSettings, Cause, GivenUp, KeyOrder, PUT_BYTES_MAX, PUT_RECORDS_MAX, PutAction, PutId,
    PutInput, PutRecord, Refused, is_usable_key,
};

use super::Moment;
use super::errors::ErrorKind;
use super::pacing::BackOff;
use super::put_pacing::PutPacing;
use super::seldom::Seldom;

/// Wait before a mended setting is looked for.
const SLOW_RETRY: Duration = Duration::from_secs(30);

/// Between two words about what is put again.
const TROUBLES_APART: Duration = Duration::from_secs(5);

/// The writer to one stream. See the module.
#[derive(Debug)]
pub struct Batcher {
    settings: BatcherSettings,
    lanes: Lanes,
    /// Calls under way and the records they carry, oldest first; at most `calls_in_flight_max`.
    calls: Vec<CallUnderWay>,
    next_call: u64,
    isolation: Isolation,
    listing: Listing,
    pacing: PutPacing,
    failing: BackOff,
    troubles: Seldom,
    rng: fastrand::Rng,
    flushing: bool,
    worked: bool,
    /// The last failure was one of credentials, and fresh ones were waited for.
    credentials_refused: bool,
    failed: bool,
    records: usize,
    bytes: usize,
    counters: BatcherCounters,
}

#[derive(Debug)]
struct CallUnderWay {
    id: PutId,
    entries: Vec<(LaneId, Entry)>,
}

impl Batcher {
    /// An empty one.
    pub fn new(settings: BatcherSettings) -> Batcher {
        Batcher {
            lanes: Lanes::new(),
            calls: Vec::new(),
            next_call: 0,
            isolation: Isolation::default(),
            listing: Listing::new(),
            pacing: PutPacing::new(),
            failing: BackOff::new(Duration::from_millis(100), Duration::from_secs(5)),
            troubles: Seldom::each(TROUBLES_APART),
            rng: fastrand::Rng::with_seed(settings.seed),
            flushing: false,
            worked: false,
            credentials_refused: false,
            failed: false,
            records: 0,
            bytes: 0,
            counters: BatcherCounters::default(),
            settings,
        }
    }

    /// Takes a record, or says why it can never be written. Follow a run of pushes by [`PutInput::Wake`].
    ///
    /// Never refuses for lack of room: ask [`ready`](Self::ready) before a run.
    pub fn push(&mut self, key: &str, hash_key: Option<u128>, data: Bytes, now: Moment) -> Result<(), Refused> {
        if let Some(refused) = Refused::judge(key, data.len(), self.settings.record_bytes_max) {
            self.counters.unwritable += 1;
            return Err(refused);
        }
        self.records += 1;
        self.bytes += key.len() + data.len();
        self.lanes.push(key, hash_key, Entry { data, given: now, attempts: 0 });
        Ok(())
    }

    /// From now on, takes records up to so many bytes of key and data: what the stream says it allows.
    pub fn allow_records_to(&mut self, bytes_max: usize) {
        self.settings.record_bytes_max = bytes_max;
    }

    /// Whether there is room for another run of records.
    pub fn ready(&self) -> bool {
        !self.failed && self.records < self.settings.pending_records_max && self.bytes < self.settings.pending_bytes_max
    }

    /// Records taken and not yet in the stream.
    pub fn pending(&self) -> usize {
        self.records
    }

    /// Whether every record taken is in the stream.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether nothing is left that it could write: all is in the stream, or it has failed.
    pub fn has_ended(&self) -> bool {
        self.failed || self.is_empty()
    }

    /// What it has done so far.
    pub fn counters(&self) -> BatcherCounters {
        self.counters
    }

    /// Reacts to `input` at `now`: calls to send, words for people, and last, if anything waits, when to wake it.
    /// A later answer replaces the moment given before.
    pub fn on(&mut self, input: PutInput, now: Moment) -> Vec<PutAction> {
        let mut actions = Vec::new();
        match input {
            PutInput::Wake => {}
            PutInput::Flush => self.flushing = true,
            PutInput::Answered { id, outcomes } => self.on_answer(id, &outcomes, now, &mut actions),
            PutInput::Failed { id, kind, message } => self.on_failure(id, kind, &message, now, &mut actions),
            PutInput::Shards(shards) => {
                self.listing.on_made(now);
                self.lanes.lead_to(shards);
            }
            PutInput::ShardsUnknown { kind, message } => {
                let words = self.listing.on_failed(kind, &message, now, &mut self.rng);
                actions.extend(words.map(PutAction::Trouble));
            }
        }
        self.judge(&mut actions);
        if !self.failed && self.listing.ask(now) {
            actions.push(PutAction::ListShards);
        }
        self.send(now, &mut actions);
        actions
    }

    fn send(&mut self, now: Moment, actions: &mut Vec<PutAction>) {
        self.flushing &= self.records > 0;
        while !self.failed && self.calls.len() < self.settings.calls_in_flight_max {
            self.lanes.release(now);
            let due = if self.isolation.has_suspects() { Some(self.pacing.due()) } else { self.batch_due(now) };
            if due.is_none_or(|due| due > now) {
                let released = self.lanes.next_release().map(|at| at.max(self.pacing.due()));
                actions.extend(due.into_iter().chain(released).min().map(PutAction::WakeAt));
                return;
            }
            let (order, bytes_max) = (self.settings.order, self.settings.put_bytes_max);
            let next = self.isolation.next_suspects();
            let entries = next.unwrap_or_else(|| self.lanes.take_batch(order, PUT_RECORDS_MAX, bytes_max, now));
            if !entries.is_empty() {
                actions.push(self.put(entries));
            }
        }
    }

    /// When the next batch is to go: `None` if no record may.
    fn batch_due(&self, now: Moment) -> Option<Moment> {
        let oldest = self.lanes.oldest_ready()?;
        let full = self.lanes.ready_records(self.settings.order) >= PUT_RECORDS_MAX
            || self.lanes.ready_bytes() >= self.settings.put_bytes_max
            // What a record that is held back waits for is an answer, so the sooner its predecessor goes, the better.
            || (self.settings.order == KeyOrder::Kept && self.lanes.holds_back());
        let due = if full || self.flushing { now } else { oldest + self.settings.linger };
        Some(due.max(self.pacing.due()))
    }

    fn put(&mut self, mut entries: Vec<(LaneId, Entry)>) -> PutAction {
        let id = PutId(self.next_call);
        self.next_call += 1;
        entries.iter_mut().for_each(|(_, entry)| entry.attempts += 1);
        let records = entries.iter().map(|(lane, entry)| record(self.lanes.address(*lane), entry)).collect();
        self.counters.calls += 1;
        self.calls.push(CallUnderWay { id, entries });
        PutAction::Put { id, records }
    }

    /// A record is no longer ours: it is in the stream, or given up. Its bytes.
    fn let_go(&mut self, address: &Address, entry: &Entry) -> usize {
        let bytes = address.key.len() + entry.data.len();
        self.records -= 1;
        self.bytes -= bytes;
        bytes
    }

    fn give_up(&mut self, address: &Address, entry: &Entry, cause: Cause, reason: String) -> PutAction {
        match cause {
            Cause::Unwritable => self.counters.unwritable += 1,
            Cause::TriedTooLong => self.counters.given_up += 1,
        }
        let _ = self.let_go(address, entry);
        let Entry { given, attempts, .. } = *entry;
        PutAction::GiveUp(GivenUp { record: record(address, entry), cause, reason, attempts, given })
    }

    /// Records that were refused as `words` say are to go again; those that were tried for long enough are not.
    fn put_back(&mut self, entries: Vec<(LaneId, Entry)>, words: &str, now: Moment, actions: &mut Vec<PutAction>) {
        let retry_for = self.settings.retry_for.filter(|_| !self.failed);
        for (address, entry) in self.lanes.put_back(entries, now, retry_for) {
            let waited_ms = now.since(entry.given).as_millis();
            let reason = format!("not in the stream after {waited_ms} ms: PutRecords: {words}");
            actions.push(self.give_up(&address, &entry, Cause::TriedTooLong, reason));
        }
    }

    /// Gives up the records that were found to be at fault; or fails, if it cannot be they.
    fn judge(&mut self, actions: &mut Vec<PutAction>) {
        if self.worked {
            for (lane, entry, reason) in self.isolation.take_accused() {
                let address = self.lanes.address(lane).clone();
                actions.push(self.give_up(&address, &entry, Cause::Unwritable, reason));
                self.lanes.given_up(lane);
            }
            return;
        }
        let witnesses = !self.calls.is_empty() || self.lanes.oldest_ready().is_some();
        if let Some(message) = self.isolation.verdict_without_witness(witnesses).filter(|_| !self.failed) {
            self.failed = true;
            actions.push(PutAction::Failed { kind: ErrorKind::InvalidArgument, message: message.to_owned() });
        }
    }

    fn finish_call(&mut self, id: PutId) -> Option<Vec<(LaneId, Entry)>> {
        let place = self.calls.iter().position(|call| call.id == id)?;
        Some(self.calls.remove(place).entries)
    }
}

fn record(address: &Address, entry: &Entry) -> PutRecord {
    PutRecord { key: (*address.key).to_owned(), hash_key: address.hash_key, data: entry.data.clone() }
}
