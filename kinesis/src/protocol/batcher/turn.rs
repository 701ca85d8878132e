//! What a writer is told, what it answers, and the limits it keeps.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::shard_map::OpenShard;
use crate::protocol::{ErrorKind, Moment};

/// Most records in a `PutRecords` call. Source: *Kinesis API Reference*, PutRecords, read 2026-11-23.
pub const PUT_RECORDS_MAX: usize = 500;
/// Most bytes of keys and data in a `PutRecords` call. Source: as above; endpoints of before 2025-10 take 5 MiB.
pub const PUT_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Longest partition key, in Unicode characters. Source: as above.
const KEY_CHARS_MAX: usize = 256;
/// How much of a key an error shows, in characters.
const KEY_CHARS_SHOWN: usize = 40;

/// How records are put.
#[derive(Debug, Clone, Copy)]
pub struct BatcherSettings {
    /// Longest wait of a record for others to travel with. 100 ms, as the service's own producer library waits.
    pub linger: Duration,
    /// Most bytes of keys and data in a call, up to [`PUT_BYTES_MAX`]; a single larger record travels alone. 5 MiB.
    pub put_bytes_max: usize,
    /// Most bytes of key and data in a record: what the stream allows. 1 MiB unless the stream says more.
    pub record_bytes_max: usize,
    /// Most calls under way at a time, at least 1. 2, so that one is filled while another travels.
    pub calls_in_flight_max: usize,
    /// Records taken beyond which the writer is not ready. 4 000.
    pub pending_records_max: usize,
    /// Bytes taken beyond which the writer is not ready. 16 MiB.
    pub pending_bytes_max: usize,
    /// How long a record is tried: one that is refused so long after it was taken, its key or its shard having been refused
    /// for as long, is given up. For ever.
    pub retry_for: Option<Duration>,
    /// What is promised about records of one key.
    pub order: KeyOrder,
    /// Seeds the jitter of waits.
    pub seed: u64,
}

impl Default for BatcherSettings {
    fn default() -> BatcherSettings {
        BatcherSettings {
            linger: Duration::from_millis(100),
            put_bytes_max: 5 * 1024 * 1024,
            record_bytes_max: 1024 * 1024,
            calls_in_flight_max: 2,
            pending_records_max: 4_000,
            pending_bytes_max: 16 * 1024 * 1024,
            retry_for: None,
            order: KeyOrder::Kept,
            seed: 0,
        }
    }
}

/// What is promised about the order of records of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyOrder {
    /// They are in the stream in the order given, whatever is refused. One record of a key in a call.
    #[default]
    Kept,
    /// They travel in order, several in a call; one that is refused arrives behind later ones of its call.
    WhileNothingFails,
}

/// Names a call under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PutId(pub(super) u64);

/// A record of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRecord {
    /// Partition key.
    pub key: String,
    /// Places the record instead of the key's own hash key.
    pub hash_key: Option<u128>,
    /// Data.
    pub data: Bytes,
}

/// What happened.
#[derive(Debug)]
pub enum PutInput {
    /// Records were pushed, or a moment has come.
    Wake,
    /// Send without lingering until nothing is left.
    Flush,
    /// The call was answered.
    Answered {
        /// Which call.
        id: PutId,
        /// For each record in order: the id of the shard that took it, or the code it was refused with.
        outcomes: Vec<Result<String, String>>,
    },
    /// The stream has these shards.
    Shards(Vec<OpenShard>),
    /// Which shards the stream has could not be learnt.
    ShardsUnknown {
        /// Decides when it is asked again.
        kind: ErrorKind,
        /// For people.
        message: String,
    },
    /// The call as a whole failed.
    Failed {
        /// Which call.
        id: PutId,
        /// Decides what is done.
        kind: ErrorKind,
        /// For people.
        message: String,
    },
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum PutAction {
    /// `PutRecords`; its outcome is an input.
    Put {
        /// Names the call.
        id: PutId,
        /// 1 to [`PUT_RECORDS_MAX`].
        records: Vec<PutRecord>,
    },
    /// `ListShards`; the open ones are an input.
    ListShards,
    /// Wake it at this moment, unless something else happens before.
    WakeAt(Moment),
    /// For people, and not more often than they can read: something is put again.
    Trouble(String),
    /// A record that will not be written.
    GiveUp(GivenUp),
    /// Nothing the machine can do mends it. Said once; it sends no more and is never ready again.
    Failed {
        /// What it was.
        kind: ErrorKind,
        /// The call and the service's words.
        message: String,
    },
}

/// Why a record will not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Refused for itself; that is for ever.
    Unwritable,
    /// Tried for as long as the settings allow.
    TriedTooLong,
}

/// A record that was taken and will not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The record.
    pub record: PutRecord,
    /// What will not change any more.
    pub cause: Cause,
    /// Why, for people.
    pub reason: String,
    /// Calls it was part of.
    pub attempts: u32,
    /// When it was taken.
    pub given: Moment,
}

/// What a writer has done, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatcherCounters {
    /// Records in the stream.
    pub records_put: u64,
    /// Their keys and data, in bytes.
    pub bytes_put: u64,
    /// Calls sent.
    pub calls: u64,
    /// Calls that failed as a whole.
    pub calls_failed: u64,
    /// Records refused for going too fast, and put again.
    pub records_throttled: u64,
    /// Records refused for another reason, and put again.
    pub records_refused: u64,
    /// Records put again after a call that may have landed: as many may be in the stream twice.
    pub maybe_repeated: u64,
    /// Records that can never be written: refused by us, or by the service each for itself.
    pub unwritable: u64,
    /// Records tried for as long as the settings allow, and given up.
    pub given_up: u64,
}

/// A record that can never be written, and why. Keys are cut and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Keys have at least one character.
    #[error("record of {data_bytes} bytes has an empty partition key")]
    KeyEmpty {
        /// Size of its data.
        data_bytes: usize,
    },
    /// Keys have at most 256 characters.
    #[error("partition key {key} has {chars} characters, at most {KEY_CHARS_MAX}")]
    KeyTooLong {
        /// The key, as shown to people.
        key: String,
        /// Its length.
        chars: usize,
    },
    /// The stream takes records up to a size.
    #[error(
        "record with partition key {key} has {key_bytes} + {data_bytes} bytes of key and data, at most {bytes_max}"
    )]
    TooLarge {
        /// The key, as shown to people.
        key: String,
        /// Size of the key.
        key_bytes: usize,
        /// Size of the data.
        data_bytes: usize,
        /// What the stream takes.
        bytes_max: usize,
    },
}

impl Refused {
    pub(super) fn judge(key: &str, data_bytes: usize, bytes_max: usize) -> Option<Refused> {
        if key.is_empty() {
            return Some(Refused::KeyEmpty { data_bytes });
        }
        // Bytes first: a key of few bytes cannot have too many characters, and counting them is not free.
        if key.len() > KEY_CHARS_MAX {
            let chars = key.chars().count();
            if chars > KEY_CHARS_MAX {
                return Some(Refused::KeyTooLong { key: shown(key), chars });
            }
        }
        let too_large = key.len() + data_bytes > bytes_max;
        too_large.then(|| Refused::TooLarge { key: shown(key), key_bytes: key.len(), data_bytes, bytes_max })
    }
}

/// Whether a stream takes records with this partition key.
pub fn is_usable_key(key: &str) -> bool {
    Refused::judge(key, 0, usize::MAX).is_none()
}

/// A key as errors show it: escaped, and cut with a mark if it is long.
fn shown(key: &str) -> String {
    let mut shown: String = key.chars().take(KEY_CHARS_SHOWN).flat_map(char::escape_debug).collect();
    if key.chars().nth(KEY_CHARS_SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: &str, data_bytes: usize) -> String {
        Refused::judge(key, data_bytes, 1_000).unwrap().to_string()
    }

    #[test]
    fn refusals_name_key_and_sizes() {
        assert_eq!(message("", 7), "record of 7 bytes has an empty partition key");
        assert_eq!(
            message(&"é".repeat(257), 7),
            format!("partition key \"{}…\" has 257 characters, at most 256", "é".repeat(40))
        );
        assert_eq!(
            message("a\nb", 998),
            "record with partition key \"a\\nb\" has 3 + 998 bytes of key and data, at most 1000"
        );
    }

    #[test]
    fn longest_key_and_largest_record_pass() {
        assert_eq!(Refused::judge(&"é".repeat(256), 1_000 - 512, 1_000), None);
    }
}
