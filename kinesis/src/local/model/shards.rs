//! A stream's shards: those that take records, those that are closed but still hold some, and how one becomes another.
//!
//! The open shards cover every hash key exactly once, at every moment: a parent closes and its children open in one step.

use serde::{Deserialize, Serialize};

use super::hash_key::{HashKeyRange, even_range};
use super::shard::{Closed, Shard, ShardId};

#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Shards {
    /// By rising id. Those that are gone leave gaps.
    all: Vec<Shard>,
    /// By rising range.
    #[serde(skip)]
    open: Vec<Open>,
    /// The number of the next shard: numbers rise over the stream's life and are never used twice.
    next: u32,
    /// When the first of the closed shards was closed; `i64::MAX` if none is.
    #[serde(skip)]
    first_closed_ms: i64,
}

/// Shards as they are written down, from which all else follows.
#[derive(Deserialize)]
struct Written {
    all: Vec<Shard>,
    next: u32,
}

impl TryFrom<Written> for Shards {
    type Error = &'static str;

    fn try_from(Written { all, next }: Written) -> Result<Shards, &'static str> {
        if !all.is_sorted_by(|a, b| a.id < b.id) || all.last().is_some_and(|last| last.id.number() >= next) {
            return Err("shards are not in the order of their numbers");
        }
        let mut open: Vec<_> = all.iter().filter(|shard| shard.closed.is_none()).collect();
        open.sort_by_key(|shard| shard.range.first);
        let mut expected = Some(0);
        for shard in &open {
            if expected != Some(shard.range.first) || shard.range.last < shard.range.first {
                return Err("open shards do not cover every hash key once");
            }
            expected = shard.range.last.checked_add(1);
        }
        if open.is_empty() || expected.is_some() {
            return Err("open shards do not cover every hash key once");
        }
        let open = open.into_iter().map(|shard| Open { last: shard.range.last, id: shard.id }).collect();
        let first_closed_ms = all.iter().filter_map(|shard| shard.closed).map(|closed| closed.at_ms).min();
        Ok(Shards { all, open, next, first_closed_ms: first_closed_ms.unwrap_or(i64::MAX) })
    }
}

/// An open shard as routing needs it.
#[derive(Clone, Copy, Debug)]
struct Open {
    last: u128,
    id: ShardId,
}

impl Shards {
    /// The even ones that a stream begins with.
    pub fn new(count: u32, now_ms: i64) -> Shards {
        let all: Vec<_> = (0..count)
            .map(|number| Shard::new(ShardId::new(number), even_range(number, count), Vec::new(), now_ms, 0))
            .collect();
        let open = all.iter().map(|shard| Open { last: shard.range.last, id: shard.id }).collect();
        Shards { all, open, next: count, first_closed_ms: i64::MAX }
    }

    /// All that are there, by rising id.
    pub fn all(&self) -> &[Shard] {
        &self.all
    }

    /// Takes over the records of those that are the same shards.
    pub fn take_records(&mut self, from: &mut Shards) {
        for shard in &mut self.all {
            if let Some(from) = from.get_mut(shard.id) {
                shard.records = std::mem::take(&mut from.records);
                shard.held_bytes = std::mem::take(&mut from.held_bytes);
            }
        }
    }

    /// Forgets records that came before this.
    pub fn trim(&mut self, horizon_ms: i64) {
        self.all.iter_mut().for_each(|shard| shard.trim(horizon_ms));
    }

    /// Memory that all records take, about.
    pub fn held_bytes(&self) -> u64 {
        self.all.iter().map(|shard| shard.held_bytes).sum()
    }

    pub fn record_count(&self) -> usize {
        self.all.iter().map(|shard| shard.records.len()).sum()
    }

    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The open shards by rising range.
    pub fn open(&self) -> impl Iterator<Item = &Shard> {
        self.open.iter().map(|open| self.get(open.id).expect("an open shard is a shard"))
    }

    pub fn get(&self, id: ShardId) -> Option<&Shard> {
        self.all.get(self.index_of(id)?)
    }

    pub fn get_mut(&mut self, id: ShardId) -> Option<&mut Shard> {
        let index = self.index_of(id)?;
        self.all.get_mut(index)
    }

    fn index_of(&self, id: ShardId) -> Option<usize> {
        // Right at once unless shards have gone from the middle.
        let offset = id.number().checked_sub(self.all.first()?.id.number())?;
        let guess = usize::try_from(offset).expect("at least 32 bits");
        if self.all.get(guess).is_some_and(|shard| shard.id == id) {
            return Some(guess);
        }
        self.all.binary_search_by_key(&id, |shard| shard.id).ok()
    }

    /// The open shard that takes this hash key. O(log shards).
    pub fn taking(&self, hash_key: u128) -> ShardId {
        self.open[self.open.partition_point(|open| open.last < hash_key)].id
    }

    /// Those that took over from a shard, by rising range.
    pub fn children(&self, parent: ShardId) -> impl Iterator<Item = &Shard> {
        self.all.iter().filter(move |child| child.parents.contains(&parent))
    }

    /// Closes an open shard for two that meet at `at`, the lower first.
    ///
    /// # Panics
    /// If the shard is not open or `at` is not above its first hash key and up to its last.
    pub fn split(&mut self, parent: ShardId, at: u128, at_ms: i64) {
        let place = self.place(parent);
        let HashKeyRange { first, last } = self.close(parent, at_ms);
        assert!(first < at && at <= last, "split of {first}..={last} at {at}");
        let low = self.add(HashKeyRange { first, last: at - 1 }, vec![parent], at_ms);
        let high = self.add(HashKeyRange { first: at, last }, vec![parent], at_ms);
        self.open.splice(place..=place, [low, high]);
    }

    /// Closes two open shards for one. The order of the parents is the caller's.
    ///
    /// # Panics
    /// If one is not open or their ranges do not touch.
    pub fn merge(&mut self, parents: [ShardId; 2], at_ms: i64) {
        let mut places = parents.map(|parent| self.place(parent));
        places.sort_unstable();
        assert_eq!(places[0] + 1, places[1], "{} and {} are neighbours", parents[0], parents[1]);
        let ranges = parents.map(|parent| self.close(parent, at_ms));
        let first = ranges[0].first.min(ranges[1].first);
        let last = ranges[0].last.max(ranges[1].last);
        let child = self.add(HashKeyRange { first, last }, parents.to_vec(), at_ms);
        self.open.splice(places[0]..=places[1], [child]);
    }

    /// Forgets the closed shards that were closed before this. Usually O(1).
    pub fn forget_closed_before(&mut self, horizon_ms: i64) {
        if self.first_closed_ms >= horizon_ms {
            return;
        }
        self.all.retain(|shard| shard.closed.is_none_or(|closed| closed.at_ms >= horizon_ms));
        let closed = self.all.iter().filter_map(|shard| shard.closed);
        self.first_closed_ms = closed.map(|closed| closed.at_ms).min().unwrap_or(i64::MAX);
    }

    fn place(&self, id: ShardId) -> usize {
        self.open.iter().position(|open| open.id == id).expect("only open shards are split or merged")
    }

    fn close(&mut self, id: ShardId, at_ms: i64) -> HashKeyRange {
        self.first_closed_ms = self.first_closed_ms.min(at_ms);
        let shard = self.get_mut(id).expect("an open shard is a shard");
        shard.closed = Some(Closed { at_ms });
        shard.range
    }

    fn add(&mut self, range: HashKeyRange, parents: Vec<ShardId>, at_ms: i64) -> Open {
        let id = ShardId::new(self.next);
        self.next += 1;
        // Numbers of a child are greater than all of its parents', even if those lived for less than a second.
        let parents_s = parents.iter().filter_map(|parent| self.get(*parent)).map(|parent| parent.created_s);
        let created_s_min = parents_s.max().map_or(0, |parent_s| parent_s + 1);
        self.all.push(Shard::new(id, range, parents, at_ms, created_s_min));
        Open { last: range.last, id }
    }
}
