//! Kinesis streams as pipelines name them: `kinesis::source("Tweets")`, `kinesis::sink("Tweets")`.
//!
//! These are the ends of `weir_kinesis` under the command line: what it says about the service (`--endpoint-url`,
//! `--region`, `--profile`, `--from`) is above what a pipeline says, and what neither says comes from the environment
//! and the profile.

use std::{sync::OnceLock, time::Duration};

use weir_kinesis::{client::ServiceSettings, sink::StreamSink, source::StreamSource};
use weir_runtime::{
    error::JobError,
    sink::{Sink, SinkContext, SinkWriter},
    source::{LocalFuture, NativeTimestamps, Source, SourceControl, SourceReader},
};
use weir_window::TimeSpan;

use crate::job::ServiceKeys;

pub use weir_kinesis::{
    record::{OwnedRecord, Record},
    sink::{DeadLetters, KeyOrder},
    source::{ShardStart, Start},
};

/// What the command line of this process says, above all pipelines.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    /// How to reach the service.
    pub service: ServiceKeys,
    /// Where every shard begins.
    pub from: Option<Start>,
}

static OVERRIDES: OnceLock<Overrides> = OnceLock::new();

/// Sets what stands above all pipelines; once a process, before the first is built.
pub(crate) fn set_overrides(overrides: Overrides) {
    assert!(OVERRIDES.set(overrides).is_ok(), "the command line is read once");
}

fn overrides() -> &'static Overrides {
    OVERRIDES.get_or_init(Overrides::default)
}

/// A stream to be read; its items are [`Record`]s.
///
/// Each shard is read by one worker, from its oldest record unless [`KinesisSource::start_at`] says otherwise.
pub fn source(stream: &str) -> KinesisSource {
    KinesisSource(weir_kinesis::source(stream))
}

/// A stream to be written; its items are pairs of partition key and data.
///
/// Records of one key that one worker writes arrive in the order written, and none waits longer than the linger.
pub fn sink(stream: &str) -> KinesisSink {
    KinesisSink(weir_kinesis::sink(stream))
}

/// See [`source`].
#[derive(Debug, Clone)]
#[must_use]
pub struct KinesisSource(StreamSource);

/// See [`sink`].
#[derive(Debug, Clone)]
#[must_use]
pub struct KinesisSink(StreamSink);

impl KinesisSource {
    /// Adds a rule: shards whose whole id matches the regular expression begin at `start`. The first that matches
    /// counts. A pattern that is none fails the job when it is submitted.
    pub fn start_at(self, shards: &str, start: Start) -> KinesisSource {
        KinesisSource(self.0.start_at(shards, start))
    }

    /// This shard begins at or behind a sequence number, whatever the rules say.
    ///
    /// A shard that no position names is read from its beginning if it descends from one that is named, and not at all
    /// if one that is named descends from it; all others begin by their rules. A shard that the stream does not have
    /// fails the job when it is submitted. A record that is not held any more leaves a gap in the job's ledger.
    pub fn start_shard(self, shard: &str, start: ShardStart) -> KinesisSource {
        KinesisSource(self.0.start_shard(shard, start))
    }

    /// How long a record may be stamped before it can be read: 1 s unless said, 0 at an endpoint on this machine.
    pub fn margin(self, margin: TimeSpan) -> KinesisSource {
        KinesisSource(self.0.margin(margin))
    }

    /// The part of each shard's limits that this process may take, 0.01 to 1; all of it unless said. Jobs of one process
    /// that read a shard share it, by the least that any of them was given.
    pub fn share(self, share: f64) -> KinesisSource {
        KinesisSource(self.0.share(share))
    }

    /// At an endpoint whose answers have no `Date`: how long a shard must be silent before its silence counts, by this
    /// host's clock. 10 s unless said, 0 for never.
    pub fn idle_after(self, idle_after: TimeSpan) -> KinesisSource {
        KinesisSource(self.0.idle_after(idle_after))
    }

    fn resolved(&self) -> StreamSource {
        let source = self.clone().overridden(&overrides().service).0;
        match overrides().from {
            Some(start) => source.start_all_at(start),
            None => source,
        }
    }
}

impl KinesisSink {
    /// Longest wait of a record for others to travel with; 100 ms unless said.
    pub fn linger(self, linger: Duration) -> KinesisSink {
        KinesisSink(self.0.linger(linger))
    }

    /// What is promised about records of one key: their order is kept unless said.
    pub fn key_order(self, order: KeyOrder) -> KinesisSink {
        KinesisSink(self.0.key_order(order))
    }

    /// Says which records are placed by a hash key of the pipeline's own instead of their partition key's, by partition key
    /// and data. Records of one partition key that have different hash keys are not kept in order.
    pub fn hash_key(self, of: impl Fn(&str, &[u8]) -> Option<u128> + 'static) -> KinesisSink {
        KinesisSink(self.0.hash_key(of))
    }

    /// How long a record is tried that the stream refuses: for ever unless said. What is given up then is counted, and
    /// kept among the dead letters if there are any.
    pub fn retry_for(self, limit: Duration) -> KinesisSink {
        KinesisSink(self.0.retry_for(limit))
    }

    /// Where records are kept that can never be written, or were given up. Unless said they are lost, and the former fail
    /// the job.
    pub fn dead_letters(self, place: DeadLetters) -> KinesisSink {
        KinesisSink(self.0.dead_letters(place))
    }

    fn resolved(&self) -> StreamSink {
        self.clone().overridden(&overrides().service).0
    }
}

/// How to reach the service: the same for both ends.
macro_rules! service_methods {
    ($end:ident) => {
        impl $end {
            /// Where to send requests instead of the region's own endpoint, such as `http://127.0.0.1:4567`.
            pub fn endpoint(self, url: &str) -> $end {
                $end(self.0.endpoint(url))
            }

            /// The region.
            pub fn region(self, region: &str) -> $end {
                $end(self.0.region(region))
            }

            /// The profile to take settings and credentials from.
            pub fn profile(self, name: &str) -> $end {
                $end(self.0.profile(name))
            }

            /// A fixed pair of keys.
            pub fn credentials(self, access_key_id: &str, secret_access_key: &str) -> $end {
                $end(self.0.credentials(access_key_id, secret_access_key))
            }

            /// All of it, as a job file says it.
            pub(crate) fn service(self, settings: ServiceSettings) -> $end {
                $end(self.0.service(settings))
            }

            /// What was typed stands above what was written.
            fn overridden(mut self, typed: &ServiceKeys) -> $end {
                if let Some(url) = &typed.endpoint_url {
                    self = self.endpoint(url);
                }
                if let Some(region) = &typed.region {
                    self = self.region(region);
                }
                if let Some(name) = &typed.profile {
                    // Keys that were written would stand above those of the profile.
                    self = $end(self.0.without_credentials()).profile(name);
                }
                if let (Some(id), Some(secret)) = (&typed.access_key_id, &typed.secret_access_key) {
                    self = self.credentials(id, &secret.0);
                }
                self
            }
        }
    };
}

service_methods!(KinesisSource);
service_methods!(KinesisSink);

impl Source for KinesisSource {
    type Item = Record;

    fn describe(&self) -> String {
        self.resolved().describe()
    }

    fn control(&self) -> Box<dyn SourceControl> {
        self.resolved().control()
    }

    fn reader(&self) -> Box<dyn SourceReader<Record>> {
        self.resolved().reader()
    }
}

impl NativeTimestamps for KinesisSource {}

impl<K: AsRef<str> + 'static, V: AsRef<[u8]> + 'static> Sink<(K, V)> for KinesisSink {
    fn describe(&self) -> String {
        Sink::<(K, V)>::describe(&self.resolved())
    }

    fn prepare(&self) -> LocalFuture<'_, Result<(), JobError>> {
        Box::pin(async move {
            let sink = self.resolved();
            Sink::<(K, V)>::prepare(&sink).await
        })
    }

    fn open(&self, cx: &SinkContext) -> Box<dyn SinkWriter<(K, V)>> {
        self.resolved().open(cx)
    }
}
