//! The shards that lanes lead to, as far as a listing says: each with its pace, and the lanes that wait for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::lanes::Address;
use crate::protocol::Moment;
use crate::protocol::hash_key::hash_key_of;
use crate::protocol::put_pacing::{ShardPutPace, Tally};
use crate::protocol::shard_map::{OpenShard, ShardMap};

/// Lanes that wait for a shard come back this long after they might, so that more than one record goes in a call.
const GATHERING: Duration = Duration::from_millis(20);
/// Most lanes that come back at once: what a call can carry.
const RELEASED_MAX: usize = super::PUT_RECORDS_MAX;

#[derive(Debug)]
struct Target {
    id: Arc<str>,
    pace: ShardPutPace,
    /// Since when it has taken nothing though it was tried.
    failing_since: Option<Moment>,
    parked: VecDeque<usize>,
}

/// All shards of the stream, or none while they are not known. A target is an index, until the next map.
#[derive(Debug, Default)]
pub(super) struct Targets {
    map: ShardMap,
    targets: Vec<Target>,
    /// Those for which lanes wait.
    closed: Vec<usize>,
}

impl Targets {
    /// From now on these shards; the pace of one that was known stays. Gives the lanes that waited.
    pub fn replace(&mut self, shards: Vec<OpenShard>) -> Vec<usize> {
        self.map = ShardMap::new(shards);
        self.closed.clear();
        let before = std::mem::take(&mut self.targets);
        let paces: HashMap<&str, ShardPutPace> = before.iter().map(|target| (&*target.id, target.pace)).collect();
        let target = |shard: &OpenShard| Target {
            id: Arc::clone(&shard.id),
            pace: paces.get(&*shard.id).copied().unwrap_or_default(),
            failing_since: None,
            parked: VecDeque::new(),
        };
        self.targets = self.map.shards().iter().map(target).collect();
        before.into_iter().flat_map(|target| target.parked).collect()
    }

    /// Where records of this address go, if that is known.
    pub fn of(&self, address: &Address) -> Option<usize> {
        if self.targets.is_empty() {
            return None;
        }
        self.map.shard_of(address.hash_key.unwrap_or_else(|| hash_key_of(&address.key)))
    }

    pub fn id(&self, target: usize) -> &str {
        &self.targets[target].id
    }

    /// Whether any shard is known.
    pub fn are_known(&self) -> bool {
        !self.targets.is_empty()
    }

    pub fn admits(&self, target: usize, now: Moment) -> bool {
        self.targets[target].pace.due() <= now
    }

    pub fn on_sent(&mut self, target: usize, bytes: usize, now: Moment) {
        self.targets[target].pace.on_sent(bytes, now);
    }

    pub fn on_answer(&mut self, target: usize, tally: Tally, now: Moment, rng: &mut fastrand::Rng) {
        let target = &mut self.targets[target];
        target.pace.on_answer(tally, now, rng);
        target.failing_since = if tally.taken > 0 { None } else { target.failing_since.or(Some(now)) };
    }

    /// Since when a shard has taken nothing though it was tried.
    pub fn failing_since(&self, target: usize) -> Option<Moment> {
        self.targets[target].failing_since
    }

    /// Takes out all lanes that wait for a shard.
    pub fn take_parked(&mut self, target: usize) -> VecDeque<usize> {
        self.closed.retain(|closed| *closed != target);
        std::mem::take(&mut self.targets[target].parked)
    }

    /// Whether lanes wait for it, so that others have to wait behind them.
    pub fn is_closed(&self, target: usize) -> bool {
        !self.targets[target].parked.is_empty()
    }

    pub fn park(&mut self, target: usize, lane: usize) {
        let parked = &mut self.targets[target].parked;
        if parked.is_empty() {
            self.closed.push(target);
        }
        parked.push_back(lane);
    }

    /// Takes out the lanes whose shards may be put to again.
    pub fn release(&mut self, now: Moment) -> Vec<usize> {
        let mut released = Vec::new();
        self.closed.retain(|target| {
            let Target { pace, parked, .. } = &mut self.targets[*target];
            if pace.due() + GATHERING <= now {
                released.extend(parked.drain(..parked.len().min(RELEASED_MAX)));
            }
            !parked.is_empty()
        });
        released
    }

    /// When the next lanes come back, if any wait.
    pub fn next_release(&self) -> Option<Moment> {
        self.closed.iter().map(|target| self.targets[*target].pace.due() + GATHERING).min()
    }
}
