//! Parents before children: which shards may be attached, given which are drained.
//!
//! Writes to a parent stop when its child opens, so a child that waits for all its parents keeps the order of every
//! hash key. A merge waits for both. A parent that is not known has aged out: what it held is gone, the child is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ShardInfo;

/// The shards of a stream that is read, and how far each has come. Plain data; ordered by shard id.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    shards: BTreeMap<Arc<str>, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    parents: Vec<Arc<str>>,
    state: State,
    /// Known from the first listing: a parent missing then was gone before we began, which loses nothing of ours.
    first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Attached,
    Drained,
}

/// A shard that may be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// Which.
    pub shard: ShardInfo,
    /// Parents that we should have read and never did: what they held is lost.
    pub missing_parents: Vec<Arc<str>>,
}

impl Lineage {
    /// Knows what the first listing, all pages, named.
    pub fn first(listing: impl IntoIterator<Item = ShardInfo>) -> Lineage {
        let mut lineage = Lineage::default();
        lineage.learn(listing, true);
        lineage
    }

    /// A later listing, all pages. Shards that are known already stay as they are.
    pub fn on_listing(&mut self, listing: impl IntoIterator<Item = ShardInfo>) {
        self.learn(listing, false);
    }

    /// `shard` has been read to its end, which named `children`.
    pub fn on_drained(&mut self, shard: &str, children: impl IntoIterator<Item = ShardInfo>) {
        if let Some(entry) = self.shards.get_mut(shard) {
            entry.state = State::Drained;
        }
        self.learn(children, false);
    }

    /// Shards that may be attached now, parents drained or gone, each given once, in the order of their ids.
    ///
    /// Call it after a listing or a drain is complete: a child named by its first parent waits for its second only if
    /// that one is known.
    pub fn take_ready(&mut self) -> Vec<Attach> {
        let ready: Vec<Attach> = self
            .shards
            .iter()
            .filter(|(_, entry)| entry.state == State::Waiting)
            .filter(|(_, entry)| entry.parents.iter().all(|parent| self.is_done(parent)))
            .map(|(id, entry)| Attach {
                shard: ShardInfo { id: Arc::clone(id), parents: entry.parents.clone() },
                missing_parents: match entry.first {
                    true => Vec::new(),
                    false => {
                        entry.parents.iter().filter(|parent| !self.shards.contains_key(*parent)).cloned().collect()
                    }
                },
            })
            .collect();
        for attach in &ready {
            if let Some(entry) = self.shards.get_mut(&attach.shard.id) {
                entry.state = State::Attached;
            }
        }
        ready
    }

    /// Forgets drained shards that a complete listing no longer names; their children are attached or drained by then.
    pub fn forget_aged_out(&mut self, listing: &[ShardInfo]) {
        let waited_for: Vec<Arc<str>> = self
            .shards
            .values()
            .filter(|entry| entry.state == State::Waiting)
            .flat_map(|entry| entry.parents.iter().cloned())
            .collect();
        self.shards.retain(|id, entry| {
            entry.state != State::Drained || waited_for.contains(id) || listing.iter().any(|shard| shard.id == *id)
        });
    }

    fn is_done(&self, parent: &Arc<str>) -> bool {
        self.shards.get(parent).is_none_or(|entry| entry.state == State::Drained)
    }

    fn learn(&mut self, shards: impl IntoIterator<Item = ShardInfo>, first: bool) {
        for ShardInfo { id, parents } in shards {
            self.shards.entry(id).or_insert(Entry { parents, state: State::Waiting, first });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> ShardInfo {
        ShardInfo { id: Arc::from(id), parents: parents.iter().map(|parent| Arc::from(*parent)).collect() }
    }

    fn ready(lineage: &mut Lineage) -> Vec<String> {
        lineage.take_ready().into_iter().map(|attach| attach.shard.id.to_string()).collect()
    }

    // 0 --split--> 1, 2        2 and 3 --merge--> 4
    #[test]
    fn children_wait_for_all_their_parents() {
        let listing =
            [shard("0", &[]), shard("1", &["0"]), shard("2", &["0"]), shard("3", &[]), shard("4", &["2", "3"])];
        let mut lineage = Lineage::first(listing);
        assert_eq!(ready(&mut lineage), ["0", "3"]);
        assert!(ready(&mut lineage).is_empty(), "each is given once");
        lineage.on_drained("3", []);
        assert!(ready(&mut lineage).is_empty(), "the merge waits for its other parent");
        lineage.on_drained("0", []);
        assert_eq!(ready(&mut lineage), ["1", "2"]);
        lineage.on_drained("2", []);
        assert_eq!(ready(&mut lineage), ["4"]);
    }

    #[test]
    fn child_named_by_the_end_of_its_parent_is_attached_without_a_listing() {
        let mut lineage = Lineage::first([shard("0", &[])]);
        assert_eq!(ready(&mut lineage), ["0"]);
        lineage.on_drained("0", [shard("1", &["0"]), shard("2", &["0"])]);
        assert_eq!(ready(&mut lineage), ["1", "2"]);
        lineage.on_listing([shard("1", &["0"])]);
        assert!(ready(&mut lineage).is_empty(), "known already");
    }

    #[test]
    fn parent_gone_before_the_first_listing_is_no_gap_and_one_gone_later_is() {
        let mut lineage = Lineage::first([shard("5", &["1"])]);
        assert_eq!(lineage.take_ready(), [Attach { shard: shard("5", &["1"]), missing_parents: vec![] }]);
        lineage.on_listing([shard("9", &["5", "7"])]);
        assert!(ready(&mut lineage).is_empty(), "the parent that is still read is waited for");
        lineage.on_drained("5", []);
        assert_eq!(lineage.take_ready()[0].missing_parents, [Arc::from("7")]);
    }

    #[test]
    fn aged_out_parent_is_remembered_while_a_child_waits() {
        let mut lineage = Lineage::first([shard("0", &[]), shard("1", &[]), shard("2", &["0", "1"])]);
        assert_eq!(ready(&mut lineage), ["0", "1"]);
        lineage.on_drained("0", []);
        lineage.forget_aged_out(&[shard("1", &[]), shard("2", &["0", "1"])]);
        lineage.on_drained("1", []);
        let attach = lineage.take_ready();
        assert_eq!((attach.len(), attach[0].missing_parents.len()), (1, 0));
        lineage.forget_aged_out(&[shard("2", &["0", "1"])]);
        assert_eq!(lineage.shards.len(), 1);
    }
}
