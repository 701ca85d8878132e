//! Job files: a pipeline as plain data, read from TOML and interpreted by the library's builders.
//!
//! There is no second engine and no expression language here: what does not fit is Rust. A file
//! says one source, at most one window, and one sink; `docs/job-files.md` is its reference.

mod build;
mod parse;
mod table;

use std::time::Duration;

use weir_kinesis::{
    client::ServiceSettings,
    sink::{DeadLetters, KeyOrder},
    source::ShardStart,
};

use crate::text::template::Template;

pub(crate) use build::pipeline;
pub(crate) use parse::{check_endpoint, check_name, parse_start, read_file};

/// A job file that has been read and checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobFile {
    /// The job's name: what the file says, else its file name without `.toml`.
    pub name: String,
    /// Where items come from.
    pub source: SourceSettings,
    /// What is counted, if anything; else items go to the sink as they are.
    pub window: Option<WindowSettings>,
    /// Where results go.
    pub sink: SinkSettings,
}

/// `[source]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SourceSettings {
    /// `type = "kinesis"`.
    Kinesis(Box<KinesisSource>),
    /// `type = "tweets"`: the tutorial's test data.
    Tweets(Tweets),
}

/// A stream to read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KinesisSource {
    /// The stream's name.
    pub stream: String,
    /// Where to begin, shard by shard: the first rule that matches a shard's whole id.
    pub start: Vec<StartRule>,
    /// Where single shards begin, by id; above the rules.
    pub positions: Vec<(String, ShardStart)>,
    /// How long a record may be under way, in ms, for `timestamps = "native"`; `None` when the
    /// items carry no time.
    pub lag_ms: Option<i64>,
    /// How long a shard must be silent at an endpoint that does not tell the time, in ms; `None`: the source's own.
    pub idle_after_ms: Option<i64>,
    /// The part of each shard's limits that may be taken; `None`: the source's own.
    pub share: Option<f64>,
    /// How to reach the service.
    pub service: ServiceKeys,
}

/// `{ shards = ".*", at = "latest" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartRule {
    /// A regular expression that must match a whole shard id.
    pub shards: String,
    /// Where those shards begin.
    pub at: StartAt,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartAt {
    /// The oldest record kept.
    Oldest,
    /// What arrives from now on.
    Latest,
    /// The first record that arrived at this time or later, in ms since the epoch.
    Timestamp(i64),
}

/// The tutorial's test data: so many items a second, each a burst of tweets over a few keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tweets {
    /// Items a second.
    pub rate: u32,
    /// Fewest tweets an item.
    pub burst_first: u32,
    /// Most tweets an item.
    pub burst_last: u32,
    /// How many keys; a tweet's key is its number modulo this.
    pub keys: u64,
}

impl Default for Tweets {
    fn default() -> Tweets {
        Tweets { rate: 3, burst_first: 1, burst_last: 9, keys: 10 }
    }
}

/// `[window]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowSettings {
    /// How long a window is, in ms.
    pub size_ms: i64,
    /// How far apart two windows begin, in ms; the size itself for tumbling windows.
    pub slide_ms: i64,
    /// What windows are kept apart by.
    pub group_by: GroupBy,
}

/// `group_by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupBy {
    /// One window for all records.
    Nothing,
    /// One window a partition key.
    PartitionKey,
}

/// `[sink]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SinkSettings {
    /// `type = "logger"`: a line a row, by a template.
    Logger(Template),
    /// `type = "stdout"`: a JSON object a line.
    Stdout,
    /// `type = "kinesis"`: a record a row.
    Kinesis(Box<KinesisSink>),
}

/// A stream to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KinesisSink {
    /// The stream's name.
    pub stream: String,
    /// What is promised about records of one key.
    pub key_order: KeyOrder,
    /// Longest wait of a record for others to travel with; `None`: the writer's own.
    pub linger: Option<Duration>,
    /// How long a refused record is tried; `None`: for ever.
    pub retry_for: Option<Duration>,
    /// Where records are kept that cannot be written.
    pub dead_letters: Option<DeadLetters>,
    /// How to reach the service.
    pub service: ServiceKeys,
}

impl KinesisSink {
    /// As a file that says no more than the stream.
    pub(crate) fn to(stream: String) -> KinesisSink {
        KinesisSink {
            stream,
            key_order: KeyOrder::default(),
            linger: None,
            retry_for: None,
            dead_letters: None,
            service: ServiceKeys::default(),
        }
    }
}

/// How to reach the service, as said in a file or on a command line; what is not said comes from
/// the environment and the profile, as for the AWS command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServiceKeys {
    /// Where to send requests instead of the region's own endpoint.
    pub endpoint_url: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The profile to take settings and credentials from.
    pub profile: Option<String>,
    /// Half of a fixed pair of keys.
    pub access_key_id: Option<String>,
    /// The other half.
    pub secret_access_key: Option<Secret>,
    /// Goes with temporary keys.
    pub session_token: Option<Secret>,
}

impl ServiceKeys {
    /// As the client takes it.
    pub(crate) fn into_settings(self) -> ServiceSettings {
        ServiceSettings {
            endpoint_url: self.endpoint_url,
            region: self.region,
            profile: self.profile,
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key.map(|secret| secret.0),
            session_token: self.session_token.map(|token| token.0),
        }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("(secret)")
    }
}
