//! One source's lineage on control: which shards wait for their parents, which are read, and which are drained.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_window::{EventTime, ShardName};

use crate::source::ShardListing;

/// One source's shards: waiting for their parents, being read, drained.
#[derive(Default)]
pub(super) struct SourceState {
    pub(super) stream: Arc<str>,
    pub(super) waiting: BTreeMap<ShardName, ShardListing>,
    pub(super) reading: BTreeMap<ShardName, usize>,
    pub(super) drained: BTreeMap<ShardName, Drained>,
    /// Shards being read whose workers know that others wait for them.
    pub(super) awaited: BTreeSet<ShardName>,
    /// Shards waiting whose parents were never read.
    pub(super) found_late: BTreeSet<ShardName>,
    /// Parents of listed shards that are not listed themselves: nobody will read them. A parent that is merely not known
    /// yet is another matter: the news of it may be on its way.
    pub(super) gone: BTreeSet<ShardName>,
    /// For each drained shard, in how many listings in a row it was missing.
    pub(super) missing: BTreeMap<ShardName, u32>,
}

/// A shard that was read to its end, or for as long as it was there.
pub(super) struct Drained {
    pub(super) at: EventTime,
    /// Children it named, and that owners hold in its name.
    pub(super) named: BTreeSet<ShardName>,
}

/// Listings in a row without a drained shard after which it is forgotten: one may be older than what is known, and to read
/// a shard again from its beginning would count it twice.
pub(super) const MISSING_LISTINGS: u32 = 5;

/// Shards that others wait for.
#[derive(Default)]
pub(super) struct Awaited {
    parents: BTreeSet<ShardName>,
    /// Somebody waits for a shard that nobody has heard of yet, and that may follow any that is read.
    all: bool,
}

impl Awaited {
    pub(super) fn is(&self, shard: &ShardName) -> bool {
        self.all || self.parents.contains(shard)
    }
}

impl SourceState {
    /// Waiting shards that wait for nobody any more.
    pub(super) fn take_ready(&mut self) -> Vec<ShardName> {
        let ready = self.ready();
        if ready.is_empty() && self.reading.is_empty() {
            // Nobody is left who could bring news of a parent.
            self.note_gone(|_| true, |_| false);
            return self.ready();
        }
        ready
    }

    fn ready(&self) -> Vec<ShardName> {
        let over = |parent: &ShardName| {
            #[cfg(feature = "sabotage")]
            if crate::sabotage::is_planted(crate::sabotage::Bug::ChildBeforeParents) {
                return true;
            }
            self.drained.contains_key(parent) || self.gone.contains(parent)
        };
        let ready = self.waiting.values().filter(|shard| shard.parents.iter().all(over));
        ready.map(|shard| shard.name.clone()).collect()
    }

    /// Of the waiting shards that `concerned` picks, parents that are neither known nor `present` are gone.
    pub(super) fn note_gone(&mut self, concerned: impl Fn(&ShardName) -> bool, present: impl Fn(&ShardName) -> bool) {
        let waiting = self.waiting.values().filter(|shard| concerned(&shard.name));
        let parents = waiting.flat_map(|shard| &shard.parents);
        let gone = parents.filter(|parent| !self.knows(parent) && !present(parent)).cloned();
        self.gone = gone.chain(self.gone.iter().cloned()).collect();
        let wanted: BTreeSet<&ShardName> = self.waiting.values().flat_map(|shard| &shard.parents).collect();
        // One that has been found after all is waited for like any other.
        let kept = self.gone.iter().filter(|shard| wanted.contains(shard) && !self.knows(shard));
        let kept: BTreeSet<ShardName> = kept.cloned().collect();
        self.gone = kept;
    }

    pub(super) fn knows(&self, shard: &ShardName) -> bool {
        self.waiting.contains_key(shard) || self.has_begun(shard)
    }

    pub(super) fn has_begun(&self, shard: &ShardName) -> bool {
        self.reading.contains_key(shard) || self.drained.contains_key(shard)
    }

    /// Of a listing, the shards that are not known and follow, through whatever chain, one that is to be drained.
    pub(super) fn led_to(&self, listing: &[ShardListing]) -> BTreeSet<ShardName> {
        let mut led = BTreeSet::new();
        loop {
            let before = led.len();
            for shard in listing.iter().filter(|shard| !self.knows(&shard.name)) {
                if shard.parents.iter().any(|parent| self.is_to_be_drained(parent) || led.contains(parent)) {
                    let _ = led.insert(shard.name.clone());
                }
            }
            if led.len() == before {
                return led;
            }
        }
    }

    pub(super) fn is_to_be_drained(&self, shard: &ShardName) -> bool {
        self.waiting.contains_key(shard) || self.reading.contains_key(shard)
    }

    /// Whom waiting shards follow, as of now. Once for many questions: it costs a pass over all who wait.
    pub(super) fn awaited_now(&self) -> Awaited {
        let parents = self.waiting.values().flat_map(|waiting| &waiting.parents);
        let unheard_of = |parent: &ShardName| !(self.knows(parent) || self.gone.contains(parent));
        let mut awaited = Awaited::default();
        for parent in parents {
            awaited.all |= unheard_of(parent);
            let _ = awaited.parents.insert(parent.clone());
        }
        awaited
    }
}
