//! Writes to a Kinesis stream: settings here, the driver of the batching machine in `writer`.

mod calls;
mod letters;
#[cfg(test)]
mod letters_tests;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weir_runtime::error::{JobError, Kind};
use weir_runtime::facade;
use weir_runtime::sink::{Sink, SinkContext, SinkWriter};
use weir_runtime::source::LocalFuture;

use self::calls::{Connect, over_network};
pub use self::letters::DeadLetters;
use self::writer::{StreamWriter, WriterSettings};
use crate::client::ServiceSettings;
use crate::protocol::batcher::BatcherSettings;
pub use crate::protocol::batcher::KeyOrder;
use crate::protocol::errors::Call;
use crate::protocol::patience::Patience;
use crate::source::calls::{Called, patiently};

/// Between two looks at a stream that is being created; DescribeStreamSummary may be called 20 times a second.
/// Source: *Kinesis API Reference*, DescribeStreamSummary, read 2026-11-24.
const CREATING_PAUSE: Duration = Duration::from_millis(500);

/// A stream to be written to: items are pairs of partition key and data.
///
/// Records of one key that one worker writes arrive in the order written. None waits longer than the linger for others.
pub fn sink(stream: impl Into<String>) -> StreamSink {
    StreamSink {
        stream: Arc::from(stream.into()),
        service: ServiceSettings::default(),
        batching: BatcherSettings::default(),
        record_bytes_max: None,
        hash_key: None,
        dead_letters: None,
    }
}

/// Gives a record's own hash key, by partition key and data.
#[derive(Clone)]
pub(crate) struct HashKeyOf(Rc<HashKeyFn>);

type HashKeyFn = dyn Fn(&str, &[u8]) -> Option<u128>;

impl fmt::Debug for HashKeyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKeyOf")
    }
}

/// Settings of a stream that is written to; made by [`sink`].
#[derive(Clone, Debug)]
pub struct StreamSink {
    stream: Arc<str>,
    service: ServiceSettings,
    batching: BatcherSettings,
    /// `None`: what the stream says.
    record_bytes_max: Option<usize>,
    hash_key: Option<HashKeyOf>,
    dead_letters: Option<DeadLetters>,
}

impl StreamSink {
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

    /// Longest wait of a record for others to travel with. Default 100 ms.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.batching.linger = linger;
        self
    }

    /// What is promised about records of one key. Default: their order is kept, at the price of one a key and call.
    #[must_use]
    pub fn key_order(mut self, order: KeyOrder) -> Self {
        self.batching.order = order;
        self
    }

    /// Most bytes of key and data in a record. Unless said, each writer asks the stream before it takes the first.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.record_bytes_max = Some(bytes);
        self
    }

    /// Says which records are placed by a hash key of the pipeline's own instead of their partition key's, by partition key
    /// and data; 0 is the beginning of the first shard's range. Records of one partition key that have different hash keys
    /// are not kept in order.
    #[must_use]
    pub fn hash_key(mut self, of: impl Fn(&str, &[u8]) -> Option<u128> + 'static) -> Self {
        self.hash_key = Some(HashKeyOf(Rc::new(of)));
        self
    }

    /// How long a record is tried that the stream refuses. One that is refused so long after it was taken, while no other of
    /// its key, or of its shard, was taken, is given up, and those waiting behind it that are as old; a record whose call got no answer may
    /// be in the stream all the same. Unless said, records are tried for ever.
    #[must_use]
    pub fn retry_for(mut self, limit: Duration) -> Self {
        self.batching.retry_for = Some(limit);
        self
    }

    /// Where records are kept that can never be written: too large, without a usable key, refused by the service for
    /// themselves; and those given up after [`StreamSink::retry_for`]. Unless said they are lost, and the former fail the
    /// job.
    #[must_use]
    pub fn dead_letters(mut self, place: DeadLetters) -> Self {
        self.dead_letters = Some(place);
        self
    }

    fn writer_over(&self, connect: Connect, cx: &SinkContext) -> StreamWriter {
        let batching = BatcherSettings { seed: fastrand::u64(..), ..self.batching };
        let settings = WriterSettings {
            stream: self.stream.clone(),
            batching,
            record_bytes_max: self.record_bytes_max,
            hash_key: self.hash_key.clone(),
            dead_letters: self.dead_letters.clone(),
        };
        StreamWriter::new(settings, connect, cx.clone())
    }
}

impl<K: AsRef<str> + 'static, V: AsRef<[u8]> + 'static> Sink<(K, V)> for StreamSink {
    fn describe(&self) -> String {
        let ServiceSettings { endpoint_url, region, profile, .. } = &self.service;
        let BatcherSettings { linger, order, retry_for, .. } = self.batching;
        format!(
            "kinesis stream {} linger {linger:?} order {order:?} records to {:?} own hash keys {} \
             dead letters {:?} retry for {retry_for:?} endpoint {endpoint_url:?} region {region:?} profile {profile:?}",
            self.stream,
            self.record_bytes_max,
            self.hash_key.is_some(),
            self.dead_letters
        )
    }

    fn prepare(&self) -> LocalFuture<'_, Result<(), JobError>> {
        Box::pin(async move {
            let connect = over_network(&self.service);
            match &self.dead_letters {
                Some(DeadLetters::File(path)) => letters::check_file(path).await?,
                Some(DeadLetters::Stream(stream)) if **stream == *self.stream => {
                    let message = format!("stream {stream}: its dead letters cannot go into itself");
                    return Err(JobError::new(Kind::Settings, message).with_remedy("name another stream, or a file"));
                }
                Some(DeadLetters::Stream(stream)) => {
                    let stream: Arc<str> = Arc::from(stream.as_str());
                    prepared(&stream, Rc::clone(&connect)).await.map_err(|error| error.at("dead letters"))?;
                }
                None => {}
            }
            prepared(&self.stream, connect).await
        })
    }

    fn open(&self, cx: &SinkContext) -> Box<dyn SinkWriter<(K, V)>> {
        Box::new(self.writer_over(over_network(&self.service), cx))
    }
}

/// Waits for a stream that is being created, for until it is there every put is refused as if it did not exist.
async fn prepared(stream: &Arc<str>, connect: Connect) -> Result<(), JobError> {
    let mut said = false;
    loop {
        let describe = || -> Called<_> {
            let (connecting, stream) = (connect(), stream.clone());
            Box::pin(async move { connecting.await?.describe(&stream).await })
        };
        let target = patiently(stream, Patience::at_start(fastrand::u64(..)), Call::PutRecords, describe).await?;
        match target.status.as_str() {
            "CREATING" => {}
            "DELETING" => {
                let message = format!("stream {stream} is being deleted; nothing can be written to it");
                return Err(JobError::new(Kind::Service, message));
            }
            _ => return Ok(()),
        }
        if !said {
            tracing::warn!("stream {stream} is being created; the job begins when it is there");
            said = true;
        }
        facade::sleep(CREATING_PAUSE).await;
    }
}
