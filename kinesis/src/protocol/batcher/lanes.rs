//! Records waiting in lanes, one for each pair of partition key and hash key of the producer's own: which may go now, and
//! which wait for one before them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::KeyOrder;
use super::targets::Targets;
use crate::protocol::Moment;
use crate::protocol::shard_map::OpenShard;

/// A record waiting.
#[derive(Debug)]
pub(super) struct Entry {
    pub data: Bytes,
    pub given: Moment,
    /// Calls it was part of.
    pub attempts: u32,
}

/// Where records go: those that have both in common are kept in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub key: Arc<str>,
    /// Instead of the key's own.
    pub hash_key: Option<u128>,
}

/// Index of a lane; it belongs to its address until the lane is empty and nothing of it is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LaneId(usize);

#[derive(Debug, Default)]
struct Lane {
    address: Address,
    waiting: VecDeque<Entry>,
    /// Records on their way. While there is one, the lane is not ready.
    on_the_way: usize,
    /// Since when nothing of it was taken though it was tried.
    failing_since: Option<Moment>,
    /// The shard it leads to, if that is known; and whether it waits for that.
    target: Option<usize>,
    parked: bool,
}

/// All lanes of a writer.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    free: Vec<usize>,
    by_key: HashMap<Arc<str>, usize>,
    /// Those with a hash key of their own.
    by_address: HashMap<Address, usize>,
    targets: Targets,
    /// Lanes with something waiting and nothing on its way, each once, in the order of their turns; but for those that wait for
    /// their shard.
    ready: VecDeque<usize>,
    /// Records and bytes of ready lanes; the bytes count the first record of each only.
    ready_records: usize,
    ready_head_bytes: usize,
    /// When the record that has waited longest of those next in their ready lanes was given.
    oldest_ready: Option<Moment>,
}

impl Lanes {
    pub fn new() -> Lanes {
        Lanes::default()
    }

    pub fn address(&self, lane: LaneId) -> &Address {
        &self.lanes[lane.0].address
    }

    pub fn push(&mut self, key: &str, hash_key: Option<u128>, entry: Entry) {
        let index = match hash_key {
            None => self.by_key.get(key).copied().unwrap_or_else(|| self.open(key, None)),
            Some(_) => {
                let address = Address { key: Arc::from(key), hash_key };
                self.by_address.get(&address).copied().unwrap_or_else(|| self.open(key, hash_key))
            }
        };
        let lane = &mut self.lanes[index];
        lane.waiting.push_back(entry);
        if lane.on_the_way > 0 {
            return;
        }
        if lane.waiting.len() == 1 {
            self.make_ready(index);
        } else if !lane.parked {
            self.ready_records += 1;
        }
    }

    /// From now on these shards are known.
    pub fn lead_to(&mut self, shards: Vec<OpenShard>) {
        let parked = self.targets.replace(shards);
        for lane in &mut self.lanes {
            if lane.on_the_way > 0 || !lane.waiting.is_empty() {
                lane.target = self.targets.of(&lane.address);
            }
        }
        parked.into_iter().for_each(|index| self.unpark(index));
    }

    /// Lanes whose shards may be put to again are ready.
    pub fn release(&mut self, now: Moment) {
        self.targets.release(now).into_iter().for_each(|index| self.unpark(index));
    }

    /// When a lane that waits for its shard comes back, if one does.
    pub fn next_release(&self) -> Option<Moment> {
        self.targets.next_release()
    }

    /// The shards.
    pub fn targets(&mut self) -> &mut Targets {
        &mut self.targets
    }

    /// The shard that a lane leads to, if that is known.
    pub fn target(&self, lane: LaneId) -> Option<usize> {
        self.lanes[lane.0].target
    }

    fn unpark(&mut self, index: usize) {
        self.lanes[index].parked = false;
        self.line_up(index);
    }

    /// When the record that has waited longest, of those that may go next, was given.
    pub fn oldest_ready(&self) -> Option<Moment> {
        self.oldest_ready
    }

    /// Records that could go in the next batch, were it large enough.
    pub fn ready_records(&self, order: KeyOrder) -> usize {
        match order {
            KeyOrder::Kept => self.ready.len(),
            KeyOrder::WhileNothingFails => self.ready_records,
        }
    }

    /// Whether a lane that may go has a second record, which waits until the first is in the stream. O(1).
    pub fn holds_back(&self) -> bool {
        self.ready_records > self.ready.len()
    }

    /// At least so many bytes could go in the next batch.
    pub fn ready_bytes(&self) -> usize {
        self.ready_head_bytes
    }

    /// Takes the next batch: all of a ready lane that the order allows, then the next. It is empty only if the shards of all
    /// ready lanes are to be left alone for now; then none is ready any more.
    pub fn take_batch(
        &mut self,
        order: KeyOrder,
        records_max: usize,
        bytes_max: usize,
        now: Moment,
    ) -> Vec<(LaneId, Entry)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < records_max
            && let Some(index) = self.ready.front().copied()
        {
            let first = self.entry_bytes(index);
            if !batch.is_empty() && bytes + first > bytes_max {
                break;
            }
            self.ready.pop_front();
            self.ready_records -= self.lanes[index].waiting.len();
            self.ready_head_bytes -= first;
            let target = self.lanes[index].target;
            if let Some(target) = target.filter(|target| !self.targets.admits(*target, now)) {
                self.park(index, target);
                continue;
            }
            loop {
                let size = self.entry_bytes(index);
                if !batch.is_empty() && (batch.len() == records_max || bytes + size > bytes_max) {
                    break;
                }
                if target.is_some_and(|target| !self.targets.admits(target, now)) {
                    break;
                }
                let lane = &mut self.lanes[index];
                let Some(entry) = lane.waiting.pop_front() else {
                    break;
                };
                lane.on_the_way += 1;
                bytes += size;
                if let Some(target) = target {
                    self.targets.on_sent(target, size, now);
                }
                batch.push((LaneId(index), entry));
                if order == KeyOrder::Kept {
                    break;
                }
            }
        }
        // A lane that was busy may hold an older record than lanes before it, so all that is left is looked at.
        self.oldest_ready = self.ready.iter().filter_map(|index| self.head_given(*index)).min();
        batch
    }

    /// A record of the lane that was on its way is in the stream.
    pub fn taken(&mut self, lane: LaneId) {
        self.lanes[lane.0].failing_since = None;
        self.given_up(lane);
    }

    /// A record of the lane that was on its way never will be in the stream.
    pub fn given_up(&mut self, lane: LaneId) {
        self.lanes[lane.0].on_the_way -= 1;
        self.settle(lane.0);
    }

    /// These records, in the order they were taken, were refused, and are to go again before what waits behind them. Gives
    /// those that are not, since they and their lanes, or their shards, have been tried for `retry_for`.
    pub fn put_back(
        &mut self,
        entries: Vec<(LaneId, Entry)>,
        now: Moment,
        retry_for: Option<Duration>,
    ) -> Vec<(Address, Entry)> {
        let mut expired = Vec::new();
        let lanes: Vec<usize> = entries.iter().map(|(lane, _)| lane.0).collect();
        for (lane, entry) in entries.into_iter().rev() {
            let lane = &mut self.lanes[lane.0];
            lane.waiting.push_front(entry);
            lane.on_the_way -= 1;
        }
        // In the order of the call, and each lane once: after the first time it is ready already.
        let (mut last, mut targets) = (None, BTreeSet::new());
        for lane in lanes {
            if last != Some(lane) {
                targets.extend(self.lanes[lane].target);
                self.lanes[lane].failing_since.get_or_insert(now);
                self.expire(lane, now, retry_for, &mut expired);
                self.settle(lane);
                last = Some(lane);
            }
        }
        targets.into_iter().for_each(|target| self.expire_parked(target, now, retry_for, &mut expired));
        expired
    }

    /// A shard that takes nothing is asked so seldom, and with so few records, that those of most lanes would wait for long
    /// to be refused: they have been for as long as it.
    fn expire_parked(
        &mut self,
        target: usize,
        now: Moment,
        retry_for: Option<Duration>,
        expired: &mut Vec<(Address, Entry)>,
    ) {
        let since = self.targets.failing_since(target);
        if since.zip(retry_for).is_none_or(|(since, retry_for)| since + retry_for > now) {
            return;
        }
        for index in self.targets.take_parked(target) {
            self.lanes[index].parked = false;
            self.expire(index, now, retry_for, expired);
            if self.lanes[index].waiting.is_empty() {
                self.settle(index);
            } else {
                self.park(index, target);
            }
        }
    }

    fn expire(&mut self, index: usize, now: Moment, retry_for: Option<Duration>, expired: &mut Vec<(Address, Entry)>) {
        let lane = &mut self.lanes[index];
        let of_shard = lane.target.and_then(|target| self.targets.failing_since(target));
        let since = lane.failing_since.into_iter().chain(of_shard).min();
        let Some(retry_for) = retry_for.filter(|limit| since.is_some_and(|since| since + *limit <= now)) else {
            return;
        };
        while let Some(entry) = lane.waiting.pop_front_if(|entry| entry.given + retry_for <= now) {
            expired.push((lane.address.clone(), entry));
        }
    }

    fn settle(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.on_the_way > 0 {
            return;
        }
        if lane.waiting.is_empty() {
            match lane.address.hash_key {
                None => self.by_key.remove(&lane.address.key),
                Some(_) => self.by_address.remove(&lane.address),
            };
            lane.failing_since = None;
            self.free.push(index);
        } else {
            self.make_ready(index);
        }
    }

    fn open(&mut self, key: &str, hash_key: Option<u128>) -> usize {
        let address = Address { key: Arc::from(key), hash_key };
        let index = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(Lane::default());
            self.lanes.len() - 1
        });
        self.lanes[index].target = self.targets.of(&address);
        self.lanes[index].address = address.clone();
        match hash_key {
            None => self.by_key.insert(address.key, index),
            Some(_) => self.by_address.insert(address, index),
        };
        index
    }

    fn make_ready(&mut self, index: usize) {
        match self.lanes[index].target {
            Some(target) if self.targets.is_closed(target) => self.park(index, target),
            _ => self.line_up(index),
        }
    }

    fn park(&mut self, index: usize, target: usize) {
        self.lanes[index].parked = true;
        self.targets.park(target, index);
    }

    fn line_up(&mut self, index: usize) {
        self.ready.push_back(index);
        self.ready_records += self.lanes[index].waiting.len();
        self.ready_head_bytes += self.entry_bytes(index);
        let given = self.head_given(index);
        self.oldest_ready = match (self.oldest_ready, given) {
            (Some(oldest), Some(given)) => Some(oldest.min(given)),
            (oldest, given) => oldest.or(given),
        };
    }

    fn head_given(&self, index: usize) -> Option<Moment> {
        self.lanes[index].waiting.front().map(|entry| entry.given)
    }

    /// Key and data of the lane's next record.
    fn entry_bytes(&self, index: usize) -> usize {
        let lane = &self.lanes[index];
        lane.waiting.front().map_or(0, |entry| lane.address.key.len() + entry.data.len())
    }
}
