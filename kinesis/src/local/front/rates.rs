//! How often in a second the control plane may be called, as the service has it.
//!
//! Source: the operations' pages of the API reference, and of those that state none there "Quotas and limits" of the
//! developer guide, read 2026-11. What a shard takes and gives is the model's to limit. A second's worth is saved up, as
//! there it seems to be.

use std::collections::BTreeMap;

/// Streams by whose name calls are counted; beyond them those that have rested are forgotten.
const COUNTED_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    /// All of the account's calls of this operation.
    ByAccount,
    /// Those for one stream.
    ByStream,
}

/// Calls a second, and who shares them. `None`: the service states no limit.
fn limit(operation: &str) -> Option<(i64, Shared)> {
    use Shared::{ByAccount, ByStream};
    Some(match operation {
        "DescribeLimits" => (1, ByAccount),
        "AddTagsToStream"
        | "CreateStream"
        | "DeleteStream"
        | "DescribeAccountSettings"
        | "ListStreams"
        | "ListTagsForStream"
        | "MergeShards"
        | "RegisterStreamConsumer"
        | "RemoveTagsFromStream"
        | "SplitShard" => (5, ByAccount),
        "DecreaseStreamRetentionPeriod"
        | "DeregisterStreamConsumer"
        | "DisableEnhancedMonitoring"
        | "EnableEnhancedMonitoring"
        | "IncreaseStreamRetentionPeriod"
        | "ListStreamConsumers" => (5, ByStream),
        "DescribeStream" | "UpdateShardCount" => (10, ByAccount),
        "DescribeStreamSummary" => (20, ByAccount),
        "DescribeStreamConsumer" => (20, ByStream),
        "ListShards" => (1_000, ByStream),
        _ => return None,
    })
}

/// Is there a limit to this operation at all?
pub fn is_limited(operation: &str) -> bool {
    limit(operation).is_some()
}

/// Counts calls. Time is told, and never goes back in here.
#[derive(Debug, Default)]
pub struct Rates {
    latest_ms: i64,
    /// By operation and, if it is shared by stream, its name: when all that was saved up will be there again, in ms.
    rested_ms: BTreeMap<(String, Option<String>), i64>,
}

impl Rates {
    /// Is one more call allowed now? A refused one costs nothing.
    pub fn allow(&mut self, now_ms: i64, operation: &str, stream: Option<&str>) -> bool {
        const SECOND_MS: i64 = 1_000;
        let Some((calls_per_s, shared)) = limit(operation) else { return true };
        self.latest_ms = self.latest_ms.max(now_ms);
        let now_ms = self.latest_ms;
        if self.rested_ms.len() >= COUNTED_MAX {
            self.rested_ms.retain(|_, rested_ms| *rested_ms > now_ms);
        }
        let stream = stream.filter(|_| shared == Shared::ByStream).map(str::to_owned);
        let rested_ms = self.rested_ms.entry((operation.to_owned(), stream)).or_insert(now_ms);
        let after_ms = (*rested_ms).max(now_ms) + SECOND_MS / calls_per_s;
        let allowed = after_ms - now_ms <= SECOND_MS;
        if allowed {
            *rested_ms = after_ms;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rates: &mut Rates, now_ms: i64, operation: &str, stream: &str) -> usize {
        (0..2_000).take_while(|_| rates.allow(now_ms, operation, Some(stream))).count()
    }

    #[test]
    fn second_s_worth_is_allowed_and_comes_back_evenly() {
        for (operation, calls) in
            [("DescribeLimits", 1), ("ListStreams", 5), ("DescribeStream", 10), ("ListShards", 1_000)]
        {
            let mut rates = Rates::default();
            assert_eq!(allowed(&mut rates, 7, operation, "s"), calls);
            assert_eq!(
                allowed(&mut rates, 7 + 1_000 / i64::try_from(calls).unwrap(), operation, "s"),
                1,
                "{operation}"
            );
            assert_eq!(allowed(&mut rates, 9_000, operation, "s"), calls, "no more is saved up than a second's worth");
        }
        assert_eq!(allowed(&mut Rates::default(), 0, "TagResource", "s"), 2_000, "none is stated");
    }

    #[test]
    fn limit_of_the_account_is_shared_by_its_streams_and_that_of_a_stream_is_not() {
        let mut rates = Rates::default();
        assert_eq!(["s", "t"].map(|stream| allowed(&mut rates, 0, "DescribeStreamSummary", stream)), [20, 0]);
        assert_eq!(["s", "t"].map(|stream| allowed(&mut rates, 0, "ListStreamConsumers", stream)), [5, 5]);
        assert_eq!(allowed(&mut rates, 0, "SplitShard", "s"), 5, "another operation");
    }

    #[test]
    fn clock_that_is_set_back_gives_and_takes_nothing() {
        let mut rates = Rates::default();
        assert_eq!(allowed(&mut rates, 10_000, "ListStreams", ""), 5);
        assert_eq!(allowed(&mut rates, 0, "ListStreams", ""), 0);
        assert_eq!(allowed(&mut rates, 10_200, "ListStreams", ""), 1);
    }

    #[test]
    fn many_names_do_not_grow_without_end() {
        let mut rates = Rates::default();
        for n in 0..10_000 {
            assert!(rates.allow(n * 10, "ListShards", Some(&n.to_string())));
        }
        assert!(rates.rested_ms.len() <= COUNTED_MAX);
    }
}
