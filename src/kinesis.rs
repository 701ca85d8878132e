//! Kinesis streams as pipelines name them: `kinesis::source("Tweets")`, `kinesis::sink("Tweets")`.
//!
//! What the command line says about the service (`--endpoint-url`, `--region`, `--profile`, `--from`) is above what a
//! pipeline says, and what neither says comes from the environment and the profile.

use std::sync::OnceLock;

use weir_runtime::{
    error::JobError,
    sink::{Sink, SinkContext, SinkWriter},
    source::{LocalFuture, NativeTimestamps, Source, SourceControl, SourceReader},
};
use weir_window::TimeSpan;

use crate::job::{Secret, ServiceKeys};

pub use weir_kinesis::{
    protocol::position::Start,
    record::{OwnedRecord, Record},
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
#[must_use]
pub fn source(stream: &str) -> KinesisSource {
    KinesisSource { stream: stream.to_owned(), rules: Vec::new(), margin: None, service: ServiceKeys::default() }
}

/// A stream to be written; its items are pairs of partition key and data.
#[must_use]
pub fn sink(stream: &str) -> KinesisSink {
    KinesisSink { stream: stream.to_owned(), service: ServiceKeys::default() }
}

/// See [`source`].
#[derive(Debug, Clone)]
#[must_use]
pub struct KinesisSource {
    stream: String,
    rules: Vec<(String, Start)>,
    margin: Option<TimeSpan>,
    service: ServiceKeys,
}

/// See [`sink`].
#[derive(Debug, Clone)]
#[must_use]
pub struct KinesisSink {
    stream: String,
    service: ServiceKeys,
}

impl KinesisSource {
    /// Adds a rule: shards whose whole id matches the regular expression begin at `start`. The first that matches
    /// counts. A pattern that is none fails the job when it is submitted.
    pub fn start_at(mut self, shards: &str, start: Start) -> KinesisSource {
        self.rules.push((shards.to_owned(), start));
        self
    }

    /// How long a record may be stamped but not yet readable; 1 s unless said, 0 is right for a local endpoint.
    pub fn margin(mut self, margin: TimeSpan) -> KinesisSource {
        self.margin = Some(margin);
        self
    }

    fn resolved(&self) -> weir_kinesis::KinesisSource {
        let mut source = weir_kinesis::source(&self.stream).service(resolve(&self.service));
        let from = overrides().from.map(|start| vec![(".*".to_owned(), start)]);
        for (shards, start) in from.as_ref().unwrap_or(&self.rules) {
            source = source.start_at(shards, *start);
        }
        match self.margin {
            Some(margin) => source.margin(margin),
            None => source,
        }
    }
}

fn resolve(own: &ServiceKeys) -> weir_kinesis::client::ServiceSettings {
    overrides().service.clone().or(own).into_settings()
}

/// How to reach the service: the same for both ends.
macro_rules! service_methods {
    ($end:ident) => {
        impl $end {
            /// Where to send requests instead of the region's own endpoint, such as `http://127.0.0.1:4567`.
            pub fn endpoint(mut self, url: &str) -> $end {
                self.service.endpoint_url = Some(url.to_owned());
                self
            }

            /// The region.
            pub fn region(mut self, region: &str) -> $end {
                self.service.region = Some(region.to_owned());
                self
            }

            /// The profile to take settings and credentials from.
            pub fn profile(mut self, profile: &str) -> $end {
                self.service.profile = Some(profile.to_owned());
                self
            }

            /// A fixed pair of keys.
            pub fn credentials(mut self, access_key_id: &str, secret_access_key: &str) -> $end {
                self.service.access_key_id = Some(access_key_id.to_owned());
                self.service.secret_access_key = Some(Secret(secret_access_key.to_owned()));
                self
            }

            /// All of it, as a job file or a command says it.
            pub(crate) fn service(mut self, service: ServiceKeys) -> $end {
                self.service = service;
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

impl KinesisSink {
    fn resolved(&self) -> weir_kinesis::KinesisSink {
        weir_kinesis::sink(&self.stream).service(resolve(&self.service))
    }
}
