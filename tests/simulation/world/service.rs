//! The service in the world: the stream model, who else puts into it and reads from it, and how it answers.

use std::sync::Arc;

use weir_kinesis::local::model::{ErrorCode, IteratorPosition, PutEntry, ShardDescription};
use weir_kinesis::protocol::polling::{Action, Input, IteratorFrom};
use weir_kinesis::protocol::service_clock::Timing;
use weir_kinesis::protocol::{ErrorKind, HashKeyRange, Moment, ShardInfo};
use weir_kinesis::record::RecordBatchBuilder;

use super::super::check::Put;
use super::super::reader::answer_of;
use super::{Event, NS_PER_MS, STREAM, World};

/// Data of the largest record.
static DATA: [u8; 500_000] = [b'.'; 500_000];

/// More open shards than this are not split any further.
const OPEN_SHARDS_MAX: usize = 7;

/// Enough for every shape of lineage; a slow history would come to thousands.
const RESHARDS_MAX: u64 = 100;

impl World {
    pub(super) fn put(&mut self) {
        let stopped = self.ledger.stop_ms().is_some() && !self.history.publish_after_stop;
        if stopped || self.ledger.puts() >= self.history.records_max {
            return;
        }
        // The model takes the later of its own time and this one, and stamps with this one.
        let (stamp_ms, taken_ms) = (self.service_ms(), self.model_ms());
        let _ = self.list();
        let data = bytes::Bytes::from_static(&DATA[..self.history.data_bytes]);
        let keys: Vec<String> = (0..self.rng.u64(1..=self.history.burst_max))
            .map(|_| format!("key-{}", self.rng.u64(..self.history.keys)))
            .collect();
        let entries =
            keys.iter().map(|key| PutEntry { partition_key: key, explicit_hash_key: None, data: data.clone() });
        let entries = entries.collect();
        let placed = self.model.put_records(stamp_ms, STREAM, entries).expect("small records are taken");
        for (key, placed) in keys.into_iter().zip(placed) {
            // Nobody puts again what its shard refused: it is not in the stream.
            match placed {
                Ok(placed) => {
                    let (shard, sequence) = (placed.shard.to_string(), placed.sequence.to_string());
                    self.ledger.on_put(&shard, Put { number: 0, sequence, taken_ms, stamp_ms, key, folded: false });
                }
                Err(_) => self.see("puts throttled by the limits"),
            }
        }
        let next_us = self.draw(&self.history.put_every_us.clone());
        self.schedule(self.now_ns + next_us * 1_000, Event::Put);
    }

    /// Splits a shard or merges two. Refused while the last one is under way, as by the service.
    pub(super) fn reshard(&mut self) {
        let now_ms = self.model_ms();
        let mut open: Vec<ShardDescription> =
            self.list().into_iter().filter(|shard| shard.last_sequence.is_none()).collect();
        open.sort_by_key(|shard| shard.range.first);
        let chosen = self.rng.usize(..open.len());
        let split = open.len() < 2 || (open.len() < OPEN_SHARDS_MAX && self.rng.bool());
        let done = if split {
            let range = open[chosen].range;
            let middle = range.first + (range.last - range.first) / 2;
            self.model.split_shard(now_ms, STREAM, &open[chosen].id.to_string(), &middle.to_string())
        } else {
            let first = chosen.min(open.len() - 2);
            let (one, other) = (open[first].id.to_string(), open[first + 1].id.to_string());
            self.model.merge_shards(now_ms, STREAM, &one, &other)
        };
        if done.is_ok() {
            self.reshards += 1;
            self.see(if split { "splits" } else { "merges" });
        }
        let goes_on = self.ledger.stop_ms().is_none() || self.history.publish_after_stop;
        if goes_on && self.reshards < RESHARDS_MAX {
            let period_ns = self.history.reshard_every_ms.unsigned_abs() * NS_PER_MS;
            let jitter_ns = self.rng.u64(..period_ns);
            self.schedule(self.now_ns + period_ns / 2 + jitter_ns, Event::Reshard);
        }
    }

    /// What the service answers to a request that has reached it.
    pub(super) fn answer(&mut self, reader: usize, action: &Action, sent: Moment, delay_ns: u64) -> Input {
        let now_ms = self.model_ms();
        let timing = Timing {
            sent,
            received: Moment::from_nanos(self.now_ns + delay_ns),
            date_ms: Some(self.date_ms(reader, action).div_euclid(1_000) * 1_000),
        };
        let shard = self.readers[reader].shard.clone();
        let input = match action {
            Action::FetchIterator(from) => {
                let position = match from {
                    IteratorFrom::TrimHorizon => IteratorPosition::TrimHorizon,
                    IteratorFrom::Latest => IteratorPosition::Latest,
                    IteratorFrom::AtTimestamp(ms) => IteratorPosition::AtTimestamp(*ms),
                    IteratorFrom::At(sequence) => IteratorPosition::AtSequence(sequence.as_str()),
                    IteratorFrom::After(sequence) => IteratorPosition::AfterSequence(sequence.as_str()),
                };
                let iterator = self.model.get_shard_iterator(now_ms, STREAM, &shard, position);
                iterator.map(Input::Iterator)
            }
            Action::FetchRecords { iterator, limit } => {
                let answer = self.model.get_records(now_ms, iterator, Some(i64::from(*limit)));
                answer.map(|answer| Input::Records(answer_of(answer, &shard, timing, RecordBatchBuilder::new())))
            }
            Action::ListShards => {
                let mut shards: Vec<ShardInfo> = self.list().iter().map(info).collect();
                // A listing may be behind: what opened last is not in it.
                if self.rng.u64(..1_000) < self.history.stale_listings {
                    self.see("listings that were behind");
                    let _ = shards.pop();
                }
                Ok(Input::Shards(shards))
            }
            other => unreachable!("no call: {other:?}"),
        };
        if let Ok(Input::Records(answer)) = &input
            && answer.batch.payload_bytes() > 2 << 20
        {
            self.see("answers of more than a second's bytes");
        }
        input.unwrap_or_else(|error| {
            let kind = match error.code {
                ErrorCode::ProvisionedThroughputExceeded => ErrorKind::Throttled,
                ErrorCode::ExpiredIterator => ErrorKind::ExpiredIterator,
                ErrorCode::ResourceNotFound => ErrorKind::NotFound,
                _ => ErrorKind::InvalidArgument,
            };
            match (kind, action) {
                (ErrorKind::Throttled, Action::FetchIterator(_)) => self.see("iterators throttled by the limits"),
                (ErrorKind::Throttled, _) => self.see("reads throttled by the limits"),
                (ErrorKind::ExpiredIterator, _) => self.see("iterators expired by the clock"),
                _ => {}
            }
            Input::Failed { kind, message: format!("{}: {}", error.code.name(), error.message) }
        })
    }

    /// What the clock of the front end shows that answers: the service's, but for a few that are off. Between two of them
    /// a worker gets three that are not, or nobody could tell which are.
    fn date_ms(&mut self, reader: usize, action: &Action) -> i64 {
        let (worker, rate) = (self.readers[reader].worker, self.history.faults.odd_dates);
        let read = matches!(action, Action::FetchRecords { .. });
        if !read || rate == 0 || self.workers[worker].honest_dates_due > 0 || self.rng.u64(..1_000) >= rate {
            return self.service_ms();
        }
        self.workers[worker].honest_dates_due = 3;
        self.see("answers of a front end whose clock is off");
        let off_ms = [10_000, 30_000, 600_000][self.rng.usize(..3)];
        self.service_ms() + if self.rng.bool() { off_ms } else { -off_ms }
    }

    /// Another consumer reads every open shard, and needs an iterator now and then.
    pub(super) fn rival(&mut self) {
        let Some(limits) = self.history.faults.limits.clone() else {
            return;
        };
        let now_ms = self.model_ms();
        for shard in self.list() {
            let shard = shard.id.to_string();
            // Now and then it asks for all that a second gives, as consumers do that have just been started.
            for _ in 0..self.rng.u32(1..=5) {
                let iterator = self.model.get_shard_iterator(now_ms, STREAM, &shard, IteratorPosition::Latest);
                if let Ok(iterator) = iterator
                    && self.rng.bool()
                    && self.model.get_records(now_ms, &iterator, None).is_ok()
                {
                    self.see("reads of another consumer");
                }
            }
        }
        let period_ns = limits.rival_every_ms.unsigned_abs() * NS_PER_MS;
        let next_ns = self.now_ns + self.rng.u64(period_ns / 2..period_ns * 3 / 2);
        self.schedule(next_ns, Event::Rival);
    }
}

fn info(shard: &ShardDescription) -> ShardInfo {
    let parents = shard.parent.iter().chain(&shard.adjacent_parent);
    ShardInfo {
        id: Arc::from(shard.id.to_string()),
        parents: parents.map(|parent| Arc::from(parent.to_string())).collect(),
        range: Some(HashKeyRange { first: shard.range.first, last: shard.range.last }),
    }
}
