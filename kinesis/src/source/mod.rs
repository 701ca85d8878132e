//! Reads a Kinesis stream: settings here, discovery in `control`, the driver of a shard's machine in `reader`.

pub(crate) mod calls;
mod claims;
mod control;
mod paces;
mod reader;
mod starts;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weir_runtime::error::JobError;
use weir_runtime::source::{NativeTimestamps, Source, SourceControl, SourceReader};
use weir_window::TimeSpan;

use self::calls::{Connect, Origin, over_network};
use self::control::StreamControl;
use self::reader::StreamReader;
pub use self::starts::ShardStart;
use self::starts::{JudgedStarts, Starts};
use crate::client::{ServiceSettings, is_local};
use crate::protocol::pacing::Share;
pub use crate::protocol::position::Start;
use crate::protocol::service_clock::ServiceClock;
use crate::record::Record;

/// What is stamped but not yet readable at AWS; nothing at an endpoint on this machine.
const MARGIN_MS: i64 = 1_000;

/// How long silence lasts before it is believed where the service does not tell the time.
const IDLE_AFTER: TimeSpan = TimeSpan::from_millis(10_000);

/// A stream to be read, with every shard from its oldest record unless rules say otherwise.
///
/// ```
/// use weir_kinesis::source::Start;
///
/// let tweets = weir_kinesis::source("Tweets").start_at(".*", Start::Latest).region("eu-central-1");
/// ```
pub fn source(stream: impl Into<String>) -> StreamSource {
    StreamSource {
        stream: Arc::from(stream.into()),
        service: ServiceSettings::default(),
        starts: Starts::default(),
        margin: None,
        share: 1.0,
        idle_after: IDLE_AFTER,
    }
}

/// Settings of a stream that is read; made by [`source`].
#[derive(Clone, Debug)]
pub struct StreamSource {
    stream: Arc<str>,
    service: ServiceSettings,
    starts: Starts,
    margin: Option<TimeSpan>,
    share: f64,
    idle_after: TimeSpan,
}

impl StreamSource {
    /// Shards whose whole id matches `pattern`, a regular expression, start there. The first matching rule wins.
    ///
    /// A bad pattern is an error when the job is submitted.
    #[must_use]
    pub fn start_at(mut self, pattern: impl Into<String>, start: Start) -> Self {
        self.starts.rules.push((pattern.into(), start));
        self
    }

    /// This shard starts there, whatever the rules say. The last position of a shard counts.
    ///
    /// A shard that no position names is read from its beginning if it descends from one that is named, and not at all if
    /// one that is named descends from it; all others start by their rules. When the job is submitted, a shard that the
    /// stream does not have is an error, and so is a number that its shard cannot have. A record that is not held any more
    /// leaves a gap in the job's ledger, and reading goes on with the next one.
    #[must_use]
    pub fn start_shard(mut self, shard: impl Into<String>, start: ShardStart) -> Self {
        let _ = self.starts.named.insert(shard.into(), start);
        self
    }

    /// Every shard starts there, whatever rules and positions were given.
    #[must_use]
    pub fn start_all_at(mut self, start: Start) -> Self {
        self.starts = Starts { rules: vec![(".*".to_owned(), start)], ..Starts::default() };
        self
    }

    /// The service's address, `http://HOST:PORT` or `https://HOST`; else the environment's, else AWS.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.service.endpoint_url = Some(url.into());
        self
    }

    /// The region; else the environment's or the profile's.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.service.region = Some(region.into());
        self
    }

    /// The profile of the AWS configuration files.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.service.profile = Some(profile.into());
        self
    }

    /// An access key and its secret; else the environment's or the profile's.
    #[must_use]
    pub fn credentials(mut self, access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        self.service.access_key_id = Some(access_key_id.into());
        self.service.secret_access_key = Some(secret_access_key.into());
        self
    }

    /// Takes a pair of keys back, so that the environment's or the profile's are used.
    #[must_use]
    pub fn without_credentials(mut self) -> Self {
        self.service = self.service.without_credentials();
        self
    }

    /// Where the service is and who we are, all at once; replaces what was said before.
    #[must_use]
    pub fn service(mut self, settings: ServiceSettings) -> Self {
        self.service = settings;
        self
    }

    /// How long a record may be stamped before it can be read: taken off what silence proves. Default 1 s; 0 if the
    /// endpoint is on this machine.
    #[must_use]
    pub fn margin(mut self, margin: TimeSpan) -> Self {
        self.margin = Some(margin);
        self
    }

    /// The part of each shard's limits (5 calls and 2 MiB a second) that this process may take, 0.01 to 1, so that others
    /// who read the stream have room. All of it unless said. What jobs of one process read of a shard they read together:
    /// they take turns within the least share that any of them was given. Another number fails the job when it is submitted.
    ///
    /// A part makes polling so much slower: with 0.2 a shard is asked once a second, and what happens is known so much later.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// For an endpoint whose answers have no `Date` header, which AWS's have: how long a shard must have been silent before
    /// silence counts, by this host's clock and so much late. Default 10 s; 0: never, and a silent shard then holds back all
    /// windows. Records behind it, if the two clocks differ by more, are late and in the job's ledger.
    #[must_use]
    pub fn idle_after(mut self, idle_after: TimeSpan) -> Self {
        self.idle_after = idle_after;
        self
    }

    fn judged_share(&self) -> Result<Share, JobError> {
        Share::of(self.share).ok_or_else(|| {
            self.refused(&format!("a share of {} of each shard: give a part, {} to 1", self.share, Share::MIN))
        })
    }

    /// By how much longer than a second the share lets a silent shard wait for its next call: a drain waits for it too.
    fn poll_ms_beyond_a_second(&self) -> i64 {
        let interval = self.judged_share().unwrap_or_default().call_interval();
        let beyond = interval.saturating_sub(Duration::from_secs(1));
        i64::try_from(beyond.as_millis()).unwrap_or(i64::MAX)
    }

    fn starts(&self) -> Result<JudgedStarts, JobError> {
        self.starts.judge().map_err(|problem| self.refused(&problem))
    }

    fn refused(&self, problem: &str) -> JobError {
        JobError::settings(format!("stream {}: {problem}", self.stream))
    }

    /// The most that it can be: where requests go is known for certain only once a client has read the profile.
    fn margin_ms_max(&self) -> i64 {
        margin_ms_at(self.margin, self.service.endpoint_url.as_deref())
    }

    fn reader_over(&self, connect: Connect) -> StreamReader {
        StreamReader {
            stream: Arc::clone(&self.stream),
            margin: self.margin,
            // Control has refused what is none.
            share: self.judged_share().unwrap_or_default(),
            idle_after: Duration::from_millis(u64::try_from(self.idle_after.as_millis()).unwrap_or(0)),
            connect,
            origin: Origin::of_thread(),
            clock: Rc::new(RefCell::new(ServiceClock::beside_host(Origin::of_thread().host_ms_at_zero()))),
            claims: Rc::default(),
            worked: Rc::new(Cell::new(false)),
        }
    }
}

/// What silence is trusted less by, at this endpoint.
fn margin_ms_at(margin: Option<TimeSpan>, endpoint: Option<&str>) -> i64 {
    margin.map_or(if is_local(endpoint) { 0 } else { MARGIN_MS }, TimeSpan::as_millis)
}

/// Tells a stream from those of other endpoints, which give the same ARN to different streams.
fn scoped(endpoint: Option<&str>, stream: &str) -> String {
    endpoint.map_or_else(|| stream.to_owned(), |url| format!("{url} {stream}"))
}

impl Source for StreamSource {
    type Item = Record;

    fn describe(&self) -> String {
        let ServiceSettings { endpoint_url, region, profile, .. } = &self.service;
        format!(
            "kinesis stream {} start {:?} {:?} margin {:?} share {} idle after {:?} endpoint {endpoint_url:?} region {region:?} profile {profile:?}",
            self.stream, self.starts.rules, self.starts.named, self.margin, self.share, self.idle_after
        )
    }

    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(StreamControl::new(self.clone(), over_network(&self.service)))
    }

    fn reader(&self) -> Box<dyn SourceReader<Record>> {
        Box::new(self.reader_over(over_network(&self.service)))
    }
}

impl NativeTimestamps for StreamSource {}

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
