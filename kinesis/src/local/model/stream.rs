//! One stream: its state over time and its settings. Its shards have a room of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::attributes::SHARD_METRICS;
use super::consumers::Consumer;
use super::hash_key::hash_key_of;
use super::reshard::Reshaping;
use super::shard::Shard;
use super::shards::Shards;
use super::tags::Tags;

/// Hours that a new stream keeps its records (Quotas and limits page, read 2026-11).
pub(super) const RETENTION_HOURS_DEFAULT: i64 = 24;
const HOUR_MS: i64 = 3_600_000;

/// Where a stream stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// Being made; no shards to be seen yet.
    Creating,
    /// Open for every call.
    Active,
    /// Shards are being split or merged; reads and writes go on.
    Updating,
    /// Going away; refuses reads and writes.
    Deleting,
}

impl StreamStatus {
    /// The service's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            StreamStatus::Creating => "CREATING",
            StreamStatus::Active => "ACTIVE",
            StreamStatus::Updating => "UPDATING",
            StreamStatus::Deleting => "DELETING",
        }
    }
}

/// Who decides how many shards there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamMode {
    /// The caller does.
    #[default]
    Provisioned,
    /// The service does; here it stays with the four it starts with.
    OnDemand,
}

impl StreamMode {
    /// The service's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            StreamMode::Provisioned => "PROVISIONED",
            StreamMode::OnDemand => "ON_DEMAND",
        }
    }
}

/// Who decides which shard takes a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distribution {
    /// The hash of its partition key, or the hash key that is given, does.
    #[default]
    UserPartitionKey,
    /// The service does, evenly. A partition key need not be given.
    Auto,
}

impl Distribution {
    /// The service's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Distribution::UserPartitionKey => "USER_PARTITION_KEY",
            Distribution::Auto => "AUTO",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stream {
    pub name: Box<str>,
    pub arn: String,
    /// Tells this stream from an earlier one of the same name, in tokens.
    pub generation: u64,
    pub mode: StreamMode,
    #[serde(default)] // as whatever was not in the first files of version 1
    pub distribution: Distribution,
    pub created_ms: i64,
    pub active_from_ms: i64,
    /// Set by DeleteStream: when the stream is gone.
    pub gone_at_ms: Option<i64>,
    pub retention_hours: i64,
    /// What came before this is gone whatever the retention period is. Never falls.
    pub floor_ms: i64,
    pub record_bytes_max: usize,
    pub tags: Tags,
    pub consumers: BTreeMap<Box<str>, Consumer>,
    /// The key that it would be encrypted with.
    pub key_id: Option<String>,
    /// Between which records encryption began or ended: the first index behind each change, oldest first.
    #[serde(default)]
    pub encryption_changes: Vec<u64>,
    /// When StartStreamEncryption was called within the last day, oldest first.
    #[serde(default)]
    pub keys_applied_ms: Vec<i64>,
    /// When StopStreamEncryption was.
    #[serde(default)]
    pub keys_dropped_ms: Vec<i64>,
    /// The metrics wanted of each shard, in the service's order.
    #[serde(deserialize_with = "known_metrics")]
    pub shard_metrics: Vec<&'static str>,
    /// UPDATING until then because a setting was changed.
    pub updating_until_ms: i64,
    /// When UpdateStreamMode was called within the last day, oldest first.
    pub mode_changed_ms: Vec<i64>,
    pub shards: Shards,
    /// What is being made of the shards while UPDATING.
    pub reshaping: Option<Reshaping>,
    /// When UpdateShardCount was called within the last day, oldest first.
    pub scaled_ms: Vec<i64>,
    /// The latest stamp given to a record.
    pub last_arrival_ms: i64,
    /// The next record's index is greater than this.
    pub last_index: u64,
    /// Records ever taken, trimmed ones too.
    pub records_taken: u64,
}

fn known_metrics<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
    let known = |name: String| {
        let metric = SHARD_METRICS.into_iter().find(|metric| **metric == name);
        metric.ok_or_else(|| serde::de::Error::custom(format_args!("`{name}` is no metric of a shard")))
    };
    Vec::<String>::deserialize(from)?.into_iter().map(known).collect()
}

pub(super) struct NewStream<'a> {
    pub name: &'a str,
    pub arn: String,
    pub generation: u64,
    pub mode: StreamMode,
    pub distribution: Distribution,
    pub now_ms: i64,
    pub active_from_ms: i64,
    pub record_bytes_max: usize,
    pub tags: Tags,
    pub shard_count: u32,
}

impl Stream {
    pub fn new(new: NewStream<'_>) -> Stream {
        Stream {
            name: new.name.into(),
            arn: new.arn,
            generation: new.generation,
            mode: new.mode,
            distribution: new.distribution,
            created_ms: new.now_ms,
            active_from_ms: new.active_from_ms,
            gone_at_ms: None,
            retention_hours: RETENTION_HOURS_DEFAULT,
            floor_ms: i64::MIN,
            record_bytes_max: new.record_bytes_max,
            tags: new.tags,
            consumers: BTreeMap::new(),
            key_id: None,
            encryption_changes: Vec::new(),
            keys_applied_ms: Vec::new(),
            keys_dropped_ms: Vec::new(),
            shard_metrics: Vec::new(),
            updating_until_ms: i64::MIN,
            mode_changed_ms: Vec::new(),
            shards: Shards::new(new.shard_count, new.now_ms),
            reshaping: None,
            scaled_ms: Vec::new(),
            last_arrival_ms: i64::MIN,
            last_index: 0,
            records_taken: 0,
        }
    }

    pub fn status(&self, now_ms: i64) -> StreamStatus {
        if self.gone_at_ms.is_some() {
            StreamStatus::Deleting
        } else if now_ms < self.active_from_ms {
            StreamStatus::Creating
        } else if self.reshaping.is_some() || now_ms < self.updating_until_ms {
            StreamStatus::Updating
        } else {
            StreamStatus::Active
        }
    }

    /// Takes reads and writes now?
    pub fn is_usable(&self, now_ms: i64) -> bool {
        matches!(self.status(now_ms), StreamStatus::Active | StreamStatus::Updating)
    }

    /// The next records are encrypted with this key, or not.
    pub fn encrypt(&mut self, key_id: Option<String>) {
        if key_id.is_some() != self.key_id.is_some() {
            self.encryption_changes.push(self.last_index + 1);
        }
        self.key_id = key_id;
    }

    /// Was the record of this index put while it was encrypted? Counted back from now, so that it is also right of data that
    /// were kept before changes were noted.
    pub fn was_encrypted(&self, index: u64) -> bool {
        let since = self.encryption_changes.len() - self.encryption_changes.partition_point(|first| *first <= index);
        self.key_id.is_some() != (since % 2 == 1)
    }

    /// Records that came before this are no longer to be read.
    pub fn horizon_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.retention_hours.saturating_mul(HOUR_MS)).max(self.floor_ms)
    }

    /// The shards as listed: none before the stream is active.
    pub fn visible_shards(&self, now_ms: i64) -> &[Shard] {
        if self.status(now_ms) == StreamStatus::Creating { &[] } else { self.shards.all() }
    }

    /// The hash key of a record: the explicit one, else that of its partition key.
    pub fn hash_key(partition_key: &str, explicit: Option<u128>) -> u128 {
        explicit.unwrap_or_else(|| hash_key_of(partition_key))
    }
}
