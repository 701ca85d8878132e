//! A shard's place among the others: its name, what it came from, and which hash keys it takes.

use std::sync::Arc;

/// Hash keys from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKeyRange {
    /// The least.
    pub first: u128,
    /// The greatest.
    pub last: u128,
}

/// A shard as a listing or the last answer of its parent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// The shard id, `shardId-000000000007`.
    pub id: Arc<str>,
    /// None for an original shard, one after a split, two after a merge.
    pub parents: Vec<Arc<str>>,
    /// The hash keys it takes, if said.
    pub range: Option<HashKeyRange>,
}

impl ShardInfo {
    /// Whether it came from `shard`, alone or with another.
    pub fn is_child_of(&self, shard: &str) -> bool {
        self.parents.iter().any(|parent| &**parent == shard)
    }
}

/// Whether `children` are all that `parent` became: one that has another parent too, of a merge, or several that meet each
/// other's ranges, of a split. A listing that is behind names one of two; reading on from that one alone would lose what
/// the other takes.
pub fn are_whole(children: &[ShardInfo], parent: &str) -> bool {
    if children.iter().any(|child| !child.is_child_of(parent)) {
        return false;
    }
    match children {
        [] => false,
        [child] => child.parents.len() > 1,
        _ => {
            let ranges: Option<Vec<HashKeyRange>> = children.iter().map(|child| child.range).collect();
            let Some(mut ranges) = ranges else {
                // An endpoint that says no ranges is taken at its word.
                return true;
            };
            ranges.sort_by_key(|range| range.first);
            ranges.windows(2).all(|pair| pair[0].last.checked_add(1) == Some(pair[1].first))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(id: &str, parents: &[&str], range: Option<(u128, u128)>) -> ShardInfo {
        ShardInfo {
            id: Arc::from(id),
            parents: parents.iter().map(|parent| Arc::from(*parent)).collect(),
            range: range.map(|(first, last)| HashKeyRange { first, last }),
        }
    }

    #[test]
    fn half_of_a_split_is_not_whole() {
        let (low, high) = (child("l", &["p"], Some((0, 9))), child("h", &["p"], Some((10, u128::MAX))));
        assert!(are_whole(&[low.clone(), high.clone()], "p") && are_whole(&[high.clone(), low.clone()], "p"));
        assert!(
            !are_whole(std::slice::from_ref(&low), "p")
                && !are_whole(std::slice::from_ref(&high), "p")
                && !are_whole(&[], "p")
        );
        let apart = child("h", &["p"], Some((11, u128::MAX)));
        assert!(!are_whole(&[low.clone(), apart], "p"), "hash key 10 is nobody's");
        assert!(!are_whole(&[low, high], "other"));
        assert!(are_whole(&[child("l", &["p"], None), child("h", &["p"], None)], "p"));
    }

    #[test]
    fn child_of_a_merge_is_whole_alone() {
        assert!(are_whole(&[child("m", &["p", "q"], Some((0, 9)))], "q"));
    }
}
