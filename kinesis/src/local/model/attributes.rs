//! What a stream is set to: UpdateStreamMode, UpdateStreamRecordDistributionStrategy, UpdateMaxRecordSize, encryption,
//! enhanced monitoring. And the account's DescribeLimits.
//!
//! Each change counts at once, and the stream is UPDATING for `update_delay_ms` where the service's is.

use super::lifecycle::{RECORD_KIB, RECORD_KIB_MAX};
use super::stream::{Distribution, Stream, StreamMode};
use super::validation::Violations;
use super::{ErrorCode, Model, ModelError, invalid};

/// Changes of a stream's mode in 24 hours (developer guide, capacity modes).
const MODE_CHANGES_MAX: usize = 2;
/// New keys and ends of encryption, each, in 24 hours (API reference, StartStreamEncryption and StopStreamEncryption).
const ENCRYPTION_CHANGES_MAX: usize = 25;
const DAY_MS: i64 = 86_400_000;
/// On-demand streams of an account (Quotas and limits page, read 2026-11).
const ON_DEMAND_STREAMS_MAX: usize = 50;
const KEY_ID_CHARS_MAX: usize = 2_048;

/// Metrics that can be had of each shard, and the word for all of them.
pub const SHARD_METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
];
const ALL_METRICS: &str = "ALL";

/// What EnableEnhancedMonitoring and DisableEnhancedMonitoring say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoringChange {
    /// Metrics of each shard before the call.
    pub current: Vec<&'static str>,
    /// Metrics of each shard from now on.
    pub desired: Vec<&'static str>,
}

/// What DescribeLimits says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shards the account may have.
    pub shard_limit: u32,
    /// Shards that are open.
    pub open_shards: usize,
    /// Streams on demand.
    pub on_demand_streams: usize,
    /// Streams on demand that the account may have.
    pub on_demand_stream_limit: usize,
}

impl Model {
    /// UpdateStreamMode. A stream on demand keeps the shards that it had.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` unless the stream is ACTIVE;
    /// `LimitExceededException` for the third change in a day.
    pub fn update_stream_mode(&mut self, now_ms: i64, stream: &str, mode: StreamMode) -> Result<(), ModelError> {
        let (found, now_ms) = self.active_stream(now_ms, stream)?;
        within_a_day(&mut found.mode_changed_ms, now_ms, MODE_CHANGES_MAX, || {
            format!("Stream {stream} has changed its capacity mode")
        })?;
        found.mode = mode;
        if mode == StreamMode::Provisioned {
            found.distribution = Distribution::UserPartitionKey;
        }
        self.updating(stream);
        Ok(())
    }

    /// UpdateStreamRecordDistributionStrategy: counts at once, for the records to come.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` unless the stream is ACTIVE;
    /// `InvalidArgumentException` for AUTO on a provisioned stream.
    pub fn update_distribution(
        &mut self,
        now_ms: i64,
        stream: &str,
        distribution: Distribution,
    ) -> Result<(), ModelError> {
        let (found, _) = self.active_stream(now_ms, stream)?;
        check_distribution(found.mode, distribution)?;
        found.distribution = distribution;
        Ok(())
    }

    /// May a record be put into this stream without a partition key?
    pub fn takes_records_without_key(&self, stream: &str) -> bool {
        self.streams.get(stream).is_some_and(|stream| stream.distribution == Distribution::Auto)
    }

    /// UpdateMaxRecordSize: key and data of one record, in KiB.
    ///
    /// # Errors
    /// `ValidationException` outside 1,024 to 10,240; `ResourceNotFoundException`; `ResourceInUseException` unless the
    /// stream is ACTIVE.
    pub fn update_max_record_size(&mut self, now_ms: i64, stream: &str, record_kib: i64) -> Result<(), ModelError> {
        let mut violations = Violations::new();
        violations.range("maxRecordSizeInKiB", Some(record_kib), RECORD_KIB, RECORD_KIB_MAX);
        violations.finish()?;
        let (found, _) = self.active_stream(now_ms, stream)?;
        found.record_bytes_max = usize::try_from(record_kib * 1_024).expect("within 10 MiB");
        self.updating(stream);
        Ok(())
    }

    /// StartStreamEncryption: notes the key. Records from now on say that they are encrypted; nothing here is.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` unless the stream is ACTIVE;
    /// `LimitExceededException` for the 26th in a day.
    pub fn start_encryption(&mut self, now_ms: i64, stream: &str, key_id: &str) -> Result<(), ModelError> {
        check_key_id(key_id)?;
        let (found, now_ms) = self.active_stream(now_ms, stream)?;
        within_a_day(&mut found.keys_applied_ms, now_ms, ENCRYPTION_CHANGES_MAX, || {
            format!("Stream {stream} has been encrypted with a new key")
        })?;
        found.encrypt(Some(key_id.to_owned()));
        self.updating(stream);
        Ok(())
    }

    /// StopStreamEncryption: forgets the key.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` unless the stream is ACTIVE;
    /// `LimitExceededException` for the 26th in a day.
    pub fn stop_encryption(&mut self, now_ms: i64, stream: &str, key_id: &str) -> Result<(), ModelError> {
        check_key_id(key_id)?;
        let (found, now_ms) = self.active_stream(now_ms, stream)?;
        within_a_day(&mut found.keys_dropped_ms, now_ms, ENCRYPTION_CHANGES_MAX, || {
            format!("Stream {stream} has ended its encryption")
        })?;
        found.encrypt(None);
        self.updating(stream);
        Ok(())
    }

    /// Are records that are put into this stream encrypted?
    pub fn is_encrypted(&self, stream: &str) -> bool {
        self.streams.get(stream).is_some_and(|stream| stream.key_id.is_some())
    }

    /// EnableEnhancedMonitoring (`on`) and DisableEnhancedMonitoring: notes which metrics are wanted. None is made here.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` unless the stream is ACTIVE.
    pub fn change_monitoring<'a>(
        &mut self,
        now_ms: i64,
        stream: &str,
        on: bool,
        metrics: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<MonitoringChange, ModelError> {
        let words = [&SHARD_METRICS[..], &[ALL_METRICS]].concat();
        let mut violations = Violations::new();
        let count = metrics.len();
        violations.members("shardLevelMetrics", &format!("[{count} metrics]"), count, 1, SHARD_METRICS.len());
        let mut named = Vec::new();
        for (i, metric) in metrics.enumerate() {
            if !words.contains(&metric) {
                violations.not_in_set(&format!("shardLevelMetrics.{}.member", i + 1), metric, &words);
            }
            named.push(metric);
        }
        violations.finish()?;
        let (found, _) = self.active_stream(now_ms, stream)?;
        let is_named = |metric: &&str| named.contains(&ALL_METRICS) || named.contains(metric);
        let current = found.shard_metrics.clone();
        let desired = |metric: &&str| if is_named(metric) { on } else { current.contains(metric) };
        found.shard_metrics = SHARD_METRICS.into_iter().filter(desired).collect();
        let desired = found.shard_metrics.clone();
        Ok(MonitoringChange { current, desired })
    }

    /// DescribeLimits.
    pub fn limits(&mut self, now_ms: i64) -> Limits {
        let _ = self.advance(now_ms);
        Limits {
            shard_limit: self.settings.shard_limit,
            open_shards: self.open_shard_count(),
            on_demand_streams: self.streams.values().filter(|stream| stream.mode == StreamMode::OnDemand).count(),
            on_demand_stream_limit: ON_DEMAND_STREAMS_MAX,
        }
    }

    /// The stream, if it is ACTIVE.
    fn active_stream(&mut self, now_ms: i64, stream: &str) -> Result<(&mut Stream, i64), ModelError> {
        let now_ms = self.advance(now_ms);
        let (found, cx) = self.stream_mut(stream)?;
        found.active(now_ms, cx)?;
        Ok((found, now_ms))
    }

    /// The stream is UPDATING for a while.
    fn updating(&mut self, stream: &str) {
        let until_ms = self.now_ms.saturating_add(self.settings.update_delay_ms);
        self.streams.get_mut(stream).into_iter().for_each(|stream| stream.updating_until_ms = until_ms);
    }
}

/// Notes one more change at this time, unless there were so many in the 24 hours before it.
fn within_a_day(
    changes_ms: &mut Vec<i64>,
    now_ms: i64,
    most: usize,
    what: impl FnOnce() -> String,
) -> Result<(), ModelError> {
    changes_ms.retain(|at_ms| now_ms - at_ms < DAY_MS);
    if changes_ms.len() >= most {
        let message = format!("{} {most} times in the last 24 hours, which is the limit.", what());
        return Err(ModelError::new(ErrorCode::LimitExceeded, message));
    }
    changes_ms.push(now_ms);
    Ok(())
}

pub(super) fn check_distribution(mode: StreamMode, distribution: Distribution) -> Result<(), ModelError> {
    match (mode, distribution) {
        (StreamMode::Provisioned, Distribution::Auto) => {
            Err(invalid("RecordDistributionStrategy AUTO is not supported by streams in PROVISIONED mode."))
        }
        _ => Ok(()),
    }
}

fn check_key_id(key_id: &str) -> Result<(), ModelError> {
    let mut violations = Violations::new();
    violations.characters("keyId", key_id, 1, KEY_ID_CHARS_MAX);
    violations.finish()?;
    if key_id.contains(char::is_whitespace) {
        return Err(invalid(format!("KeyId {key_id} is invalid.")));
    }
    Ok(())
}
