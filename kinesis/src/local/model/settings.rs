//! What a model is like.

use super::ShardId;

/// What a model is like.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Region in ARNs.
    pub region: String,
    /// Account number in ARNs and messages.
    pub account: String,
    /// Seeds sequence gaps, empty pages, how closed shards end, and the check in tokens. `None`: an endpoint draws one at
    /// each start, so that no token of an earlier life is taken for one of this; a bare model has 0.
    pub seed: Option<u64>,
    /// How long a stream stays CREATING, in ms; 0: it is ACTIVE at once.
    pub create_delay_ms: i64,
    /// How long a stream stays DELETING, in ms; 0: it is gone at once.
    pub delete_delay_ms: i64,
    /// How long a split, a merge, and each round of UpdateShardCount takes, in ms; 0: it is done at once.
    pub update_delay_ms: i64,
    /// How a reader learns that a closed shard has ended.
    pub shard_end: ShardEnd,
    /// Shards the account may have.
    pub shard_limit: u32,
    /// A record is to be read so many ms after it was stamped, as with the service; until then a reader is told that it
    /// has caught up. 0: at once.
    pub visible_after_ms: i64,
    /// May a record's stamp be earlier than its predecessor's when the clock has stepped back?
    pub stamps_may_fall: bool,
    /// Memory that records may take; the oldest go when it is reached. `None`: any.
    pub memory_bytes_max: Option<u64>,
    /// Are the limits kept on what a shard takes and gives in a second?
    pub throughput_limits: bool,
    /// One of so many GetRecords calls with records ahead answers none of them, as the service may; 0: never.
    pub empty_page_one_in: u32,
}

impl Default for ModelSettings {
    fn default() -> ModelSettings {
        ModelSettings {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            seed: None,
            create_delay_ms: 500,
            delete_delay_ms: 500,
            update_delay_ms: 500,
            shard_end: ShardEnd::BySeed,
            shard_limit: 20_000,
            visible_after_ms: 0,
            stamps_may_fall: false,
            memory_bytes_max: None,
            throughput_limits: false,
            empty_page_one_in: 0,
        }
    }
}

impl ModelSettings {
    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }
}

/// Where GetRecords says that a closed shard has ended: both are legal, and the service does either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShardEnd {
    /// On the page with its last records.
    WithLastRecords,
    /// On a page of its own, without records, behind that.
    OnExtraPage,
    /// Either, as the settings' seed has it for each shard.
    #[default]
    BySeed,
}

impl ShardEnd {
    pub(super) fn is_on_extra_page(self, seed: u64, shard: ShardId) -> bool {
        match self {
            ShardEnd::WithLastRecords => false,
            ShardEnd::OnExtraPage => true,
            ShardEnd::BySeed => fastrand::Rng::with_seed(seed ^ u64::from(shard.number()) << 32).bool(),
        }
    }
}
