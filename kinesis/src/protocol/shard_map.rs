//! Which open shard a hash key belongs to, as a listing had it.

use std::sync::Arc;

use super::HashKeyRange;

/// An open shard and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenShard {
    /// The shard id.
    pub id: Arc<str>,
    /// The hash keys it takes.
    pub range: HashKeyRange,
}

/// The open shards of a stream. Each has an index, valid for this map alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardMap {
    /// In the order of their ranges.
    shards: Vec<OpenShard>,
}

impl ShardMap {
    /// The map of these shards, in any order. Where ranges overlap, which no stream's do, one of them is taken.
    pub fn new(mut shards: Vec<OpenShard>) -> ShardMap {
        shards.sort_by_key(|shard| shard.range.last);
        ShardMap { shards }
    }

    /// In the order of their indexes.
    pub fn shards(&self) -> &[OpenShard] {
        &self.shards
    }

    /// The index of the shard that takes this hash key, if there is one. O(log n).
    pub fn shard_of(&self, hash_key: u128) -> Option<usize> {
        let index = self.shards.partition_point(|shard| shard.range.last < hash_key);
        let shard = self.shards.get(index)?;
        (shard.range.first <= hash_key).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(ranges: &[(u128, u128)]) -> ShardMap {
        let shard = |(first, last): &(u128, u128)| OpenShard {
            id: Arc::from(first.to_string()),
            range: HashKeyRange { first: *first, last: *last },
        };
        ShardMap::new(ranges.iter().map(shard).collect())
    }

    fn found(map: &ShardMap, hash_key: u128) -> Option<&str> {
        map.shard_of(hash_key).map(|index| &*map.shards()[index].id)
    }

    #[test]
    fn both_ends_of_a_range_belong_to_it_and_what_no_shard_takes_has_none() {
        let map = map(&[(10, 19), (0, 9), (30, u128::MAX)]);
        let expected = [(0, "0"), (9, "0"), (10, "10"), (19, "10"), (30, "30"), (u128::MAX, "30")];
        expected.iter().for_each(|(hash_key, id)| assert_eq!(found(&map, *hash_key), Some(*id), "{hash_key}"));
        assert_eq!((found(&map, 20), found(&map, 29), ShardMap::default().shard_of(0)), (None, None, None));
    }

    proptest! {
        #[test]
        fn shards_that_cover_all_take_each_hash_key_as_a_search_through_all_says(
            cuts in prop::collection::btree_set(1u128.., 0..50), hash_keys in prop::collection::vec(any::<u128>(), 1..50),
        ) {
            let firsts: Vec<u128> = std::iter::once(0).chain(cuts).collect();
            let last = |index: usize| firsts.get(index + 1).map_or(u128::MAX, |next| next - 1);
            let ranges: Vec<(u128, u128)> = firsts.iter().enumerate().map(|(index, first)| (*first, last(index))).collect();
            let map = map(&ranges);
            for hash_key in hash_keys.iter().chain(&firsts) {
                let slow = ranges.iter().find(|(first, last)| first <= hash_key && hash_key <= last).unwrap().0;
                let slow = slow.to_string();
                prop_assert_eq!(found(&map, *hash_key), Some(slow.as_str()));
            }
        }
    }
}
