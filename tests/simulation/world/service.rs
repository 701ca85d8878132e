//! The service in the world: the stream model behind calls that are delayed, lost, throttled or answered from behind.

use std::sync::Arc;

use weir_kinesis::local::model::{IteratorPosition, PutEntry, ShardDescription};
use weir_kinesis::protocol::polling::{Action, Input, IteratorFrom};
use weir_kinesis::protocol::service_clock::Timing;
use weir_kinesis::protocol::{ErrorKind, HashKeyRange, Moment, ShardInfo};
use weir_kinesis::record::RecordBatchBuilder;

use super::super::reader::answer_of;
use super::{CALL_TIMEOUT_NS, Event, NS_PER_MS, STREAM, World};

/// More open shards than this are not split any further.
const OPEN_SHARDS_MAX: usize = 7;

/// Enough for every shape of lineage; a slow history would come to thousands.
const RESHARDS_MAX: u64 = 100;

impl World {
    pub(super) fn put(&mut self) {
        if self.ledger.stop_ms().is_some() && !self.history.publish_after_stop {
            return;
        }
        let now_ms = self.service_ms();
        let keys: Vec<String> = (0..self.rng.u64(1..=self.history.burst_max))
            .map(|_| format!("key-{}", self.rng.u64(..self.history.keys)))
            .collect();
        let entries = keys.iter().map(|key| PutEntry {
            partition_key: key,
            explicit_hash_key: None,
            data: bytes::Bytes::from_static(b"tweet"),
        });
        let entries = entries.collect();
        let placed = self.model.put_records(now_ms, STREAM, entries).expect("small records are taken");
        for (key, placed) in keys.into_iter().zip(placed) {
            let placed = placed.expect("no limits in histories");
            self.ledger.on_put(&placed.shard.to_string(), placed.sequence.to_string(), now_ms, key);
        }
        let next_us = self.draw(&self.history.put_every_us.clone());
        self.schedule(self.now_ns + next_us * 1_000, Event::Put);
    }

    /// Splits a shard or merges two. Refused while the last one is under way, as by the service.
    pub(super) fn reshard(&mut self) {
        let now_ms = self.service_ms();
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
        self.reshards += u64::from(done.is_ok());
        let goes_on = self.ledger.stop_ms().is_none() || self.history.publish_after_stop;
        if goes_on && self.reshards < RESHARDS_MAX {
            let period_ns = self.history.reshard_every_ms.unsigned_abs() * NS_PER_MS;
            let jitter_ns = self.rng.u64(..period_ns);
            self.schedule(self.now_ns + period_ns / 2 + jitter_ns, Event::Reshard);
        }
    }

    /// The service takes a request and answers it, unless the answer is lost.
    pub(super) fn serve(&mut self, reader: usize, action: &Action, sent: Moment) {
        let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
        let fate = self.rng.u64(..1_000);
        let history = &self.history;
        let bounds = [history.lost_answers, history.throttled, history.unavailable, history.expired];
        if fate < bounds[0] {
            return self.fail(reader, ErrorKind::Timeout, CALL_TIMEOUT_NS);
        } else if fate < bounds[0] + bounds[1] {
            return self.fail(reader, ErrorKind::Throttled, delay_ns);
        } else if fate < bounds[..3].iter().sum() {
            return self.fail(reader, ErrorKind::Unavailable, delay_ns);
        } else if fate < bounds.iter().sum() && matches!(action, Action::FetchRecords { .. }) {
            return self.fail(reader, ErrorKind::ExpiredIterator, delay_ns);
        }
        let now_ms = self.service_ms();
        let timing = Timing {
            sent,
            received: Moment::from_nanos(self.now_ns + delay_ns),
            date_ms: Some(now_ms.div_euclid(1_000) * 1_000),
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
                    let _ = shards.pop();
                }
                Ok(Input::Shards(shards))
            }
            other => unreachable!("no call: {other:?}"),
        };
        let input = input.unwrap_or_else(|error| Input::Failed {
            kind: ErrorKind::InvalidArgument,
            message: format!("{}: {}", error.code.name(), error.message),
        });
        self.schedule(self.now_ns + delay_ns, Event::Answer { reader, input: Box::new(input) });
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
