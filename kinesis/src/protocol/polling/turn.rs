//! What a shard's reader is told, and what it answers.

use std::time::Duration;

use super::Emission;
use crate::protocol::id::SequenceNumber;
use crate::protocol::pacing::Share;
use crate::protocol::service_clock::Timing;
use crate::protocol::{ErrorKind, Moment, ShardInfo};
use crate::record::RecordBatch;

/// How a shard is read.
#[derive(Debug, Clone, Copy)]
pub struct PollingSettings {
    /// What is stamped but not yet readable: taken off evidence, in ms.
    pub margin_ms: i64,
    /// At an endpoint whose answers have no `Date`: silence that has lasted for so long without a failure proves as much,
    /// so much later, by this host's clock. Zero: it proves nothing.
    pub idle_after: Duration,
    /// Most records asked for in one call, 1 to 10 000.
    pub records_per_call_max: u32,
    /// The part of the shard's limits that this process may take; of several readers' the least counts.
    pub share: Share,
    /// Seeds the jitter of waits.
    pub seed: u64,
}

impl Default for PollingSettings {
    fn default() -> PollingSettings {
        PollingSettings {
            margin_ms: 1_000,
            idle_after: Duration::from_secs(10),
            records_per_call_max: 10_000,
            share: Share::WHOLE,
            seed: 0,
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Nothing was asked yet, or the sleep is over (it may end early; the machine sleeps on).
    Wake,
    /// The shard iterator asked for.
    Iterator(String),
    /// The answer to `FetchRecords`.
    Records(Answer),
    /// The answer to `ListShards`: every page.
    Shards(Vec<ShardInfo>),
    /// The call under way failed.
    Failed {
        /// Decides what is done.
        kind: ErrorKind,
        /// For people.
        message: String,
    },
}

/// A `GetRecords` answer.
#[derive(Debug)]
pub struct Answer {
    /// The records, in the order of the shard.
    pub batch: RecordBatch,
    /// None at the end of a closed shard.
    pub next_iterator: Option<String>,
    /// `MillisBehindLatest`, if the service said it.
    pub behind_ms: Option<u64>,
    /// `ChildShards`, at the end of a closed shard.
    pub children: Vec<ShardInfo>,
    /// When the request was sent and answered, and the service's clock.
    pub timing: Timing,
}

/// What follows from an input.
#[derive(Debug)]
#[must_use = "the machine waits for the outcome of the action"]
pub struct Turn {
    /// To be passed on in this order, before the action.
    pub notices: Vec<Notice>,
    /// To be performed, a call only once [`Polling::try_send`](super::Polling::try_send) lets it go; its outcome is the next input.
    pub action: Action,
}

/// What the rest of the engine has to know.
#[derive(Debug)]
pub enum Notice {
    /// Records, to be passed on in pages.
    Records(Emission),
    /// Records were held back because they are stamped later than the stop; for the watermark they count as read.
    Withheld {
        /// The latest stamp among them, ms since 1970.
        highest_ms: i64,
    },
    /// Every record stamped before this time (ms since 1970, margin taken off) has been passed on.
    Evidence {
        /// Rises from notice to notice.
        time_ms: i64,
    },
    /// How far the shard's reader is behind its tip; said when it is, and once when it no longer is.
    Lagging {
        /// As the service says it, in ms.
        behind_ms: u64,
    },
    /// A call failed and will be tried again, or the service does not do its part.
    Trouble(String),
    /// Records are gone that should have been read.
    Gap {
        /// From where to where, as far as it is known: `after 4957…`, `from 4957… before 4958…`.
        range: Option<String>,
        /// What happened.
        what: String,
    },
    /// The shard is at its end; all its records have been passed on. Children are read from their beginning.
    Drained {
        /// All that the shard became; behind a gap those that are still listed.
        children: Vec<ShardInfo>,
    },
    /// The shard is gone with whatever was not read of it, and nobody knows what it became: it says nothing of what is
    /// to come, and is not waited for.
    Abandoned,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `GetShardIterator`.
    FetchIterator(IteratorFrom),
    /// `GetRecords`.
    FetchRecords {
        /// Where to read on.
        iterator: String,
        /// Most records wanted.
        limit: u32,
    },
    /// `ListShards`, every page.
    ListShards,
    /// Come back at this moment.
    Sleep {
        /// May have passed already.
        until: Moment,
    },
    /// Nothing more to read.
    Finished,
    /// Nothing the machine can do mends it.
    Failed {
        /// What it was.
        kind: ErrorKind,
        /// The call and the service's words.
        message: String,
    },
}

/// The kinds of shard iterator that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IteratorFrom {
    /// `TRIM_HORIZON`.
    TrimHorizon,
    /// `LATEST`: asked for only when [`LatestNotPinned`](crate::protocol::sabotage::Sabotage::LatestNotPinned) is planted.
    Latest,
    /// `AT_TIMESTAMP`, in ms since 1970.
    AtTimestamp(i64),
    /// `AT_SEQUENCE_NUMBER`.
    At(SequenceNumber),
    /// `AFTER_SEQUENCE_NUMBER`.
    After(SequenceNumber),
}

/// What a reader has done, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PollingCounters {
    /// `GetRecords` calls answered.
    pub answers: u64,
    /// Of these, how many brought nothing.
    pub empty_answers: u64,
    /// Records fetched.
    pub records: u64,
    /// Of these, how many were held back because they were stamped later than the stop.
    pub withheld: u64,
    /// Bytes of keys and data fetched.
    pub bytes: u64,
    /// Calls refused for going too fast.
    pub throttled: u64,
    /// Iterators that had expired.
    pub iterators_expired: u64,
    /// Other calls that failed.
    pub failures: u64,
}
