//! What a dead letter says of its record.

use serde::Serialize;
use weir_runtime::facade;

use crate::protocol::batcher::GivenUp;
use crate::protocol::{Moment, batcher};

/// A dead letter. Its JSON is one line.
#[derive(Serialize)]
pub(in crate::sink) struct Letter<'a> {
    /// Where the record was to go.
    stream: &'a str,
    partition_key: &'a str,
    /// Decimal, for numbers of JSON end at 2^53 for many.
    #[serde(skip_serializing_if = "Option::is_none")]
    explicit_hash_key: Option<String>,
    /// In base64.
    data: String,
    /// Of key and data, as the stream counts them.
    bytes: usize,
    reason: &'a str,
    /// Calls that the record was part of.
    attempts: u32,
    /// When the sink took it and when it gave it up, ms since 1970 by this host's clock.
    first_ms: i64,
    last_ms: i64,
}

impl<'a> Letter<'a> {
    pub(in crate::sink) fn of(stream: &'a str, given_up: &'a GivenUp, now: Moment) -> Letter<'a> {
        let GivenUp { record, reason, attempts, given, .. } = given_up;
        let last_ms = facade::wall_clock_ms();
        let waited_ms = i64::try_from(now.since(*given).as_millis()).unwrap_or(i64::MAX);
        Letter {
            stream,
            partition_key: &record.key,
            explicit_hash_key: record.hash_key.map(|hash_key| hash_key.to_string()),
            data: base64_simd::STANDARD.encode_to_string(&record.data),
            bytes: record.key.len() + record.data.len(),
            reason,
            attempts: *attempts,
            first_ms: last_ms.saturating_sub(waited_ms),
            last_ms,
        }
    }

    /// The object, without a line break.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }

    /// A partition key that a stream takes.
    pub(super) fn usable_key(&self) -> &'a str {
        if batcher::is_usable_key(self.partition_key) { self.partition_key } else { self.stream }
    }
}
