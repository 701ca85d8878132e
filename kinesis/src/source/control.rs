//! The source's part on control: lists the shards, pins `T0`, and finds the stop time.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weir_runtime::error::JobError;
use weir_runtime::facade;
use weir_runtime::source::{Listing, LocalFuture, ShardListing, SourceControl};
use weir_window::{EventTime, TimeSpan};

use super::calls::{Connect, Origin, ReadCalls, job_error, patiently, shard_info};
use super::reader::from_its_beginning;
use super::{StreamSource, scoped};
use crate::client::ShardDescription;
use crate::protocol::errors::Call;
use crate::protocol::patience::Patience;
use crate::protocol::service_clock::ServiceClock;

/// How often the stream is listed again: shards are named by their parents' last answers, so this is only the net below.
const DISCOVER_EVERY: Duration = Duration::from_secs(30);

/// Discovery of one stream.
pub(super) struct StreamControl {
    source: StreamSource,
    connect: Connect,
    calls: Option<Rc<dyn ReadCalls>>,
    origin: Origin,
    clock: ServiceClock,
    /// Shards that are not to be read, though they are listed.
    left_out: BTreeSet<String>,
}

impl StreamControl {
    pub(super) fn new(source: StreamSource, connect: Connect) -> StreamControl {
        StreamControl {
            source,
            connect,
            calls: None,
            origin: Origin::now(),
            clock: ServiceClock::new(),
            left_out: BTreeSet::new(),
        }
    }

    async fn calls(&mut self) -> Result<Rc<dyn ReadCalls>, JobError> {
        if let Some(calls) = &self.calls {
            return Ok(Rc::clone(calls));
        }
        let calls = patiently(&self.source.stream, self.patience(), Call::ListShards, &*self.connect).await?;
        self.calls = Some(Rc::clone(&calls));
        Ok(calls)
    }

    fn patience(&self) -> Patience {
        Patience::at_start(fastrand::u64(..))
    }

    /// Describes the stream and learns the service's time from the answer, and from that alone: between two of them lie
    /// hours, in which a clock may be set, or this host sleep while the service's goes on. Gives the ARN.
    async fn describe(&mut self, patience: Patience) -> Result<String, JobError> {
        let calls = self.calls().await?;
        let stream = &self.source.stream;
        let (arn, timing) = patiently(stream, patience, Call::ListShards, || calls.describe(stream)).await?;
        if let Some(timing) = timing {
            self.clock = ServiceClock::new();
            self.clock.on_answer(self.origin.timing(timing));
        }
        Ok(arn)
    }

    async fn list(&mut self) -> Result<Listing, JobError> {
        let starts = self.source.starts()?;
        let _ = self.source.judged_share()?;
        let arn = self.describe(self.patience()).await?;
        // Before the listing: what opens after it is a child, and is read from its beginning.
        let t0_ms = self.clock.earliest_ms(self.origin.moment_now());
        let calls = self.calls().await?;
        let stream = self.source.stream.clone();
        let shards = patiently(&stream, self.patience(), Call::ListShards, || calls.list_shards(&stream)).await?;
        let now_ms = t0_ms.unwrap_or_else(facade::wall_clock_ms);
        let plan = starts.plan(&shards, now_ms).map_err(|problem| self.source.refused(&problem))?;
        let mut notes: Vec<String> = plan.notes.iter().map(|note| format!("stream {stream}: {note}")).collect();
        if plan.needs_now && t0_ms.is_none() {
            notes.insert(
                0,
                format!(
                    "stream {stream}: the endpoint sends no Date header; \"latest\" is taken from this host's clock"
                ),
            );
        }
        self.left_out = plan.left_out;
        Ok(Listing {
            stream: Arc::from(scoped(calls.endpoint(), &arn)),
            shards: plan.shards,
            started_at: plan.needs_now.then(|| EventTime::from_millis(now_ms)),
            notes,
        })
    }
}

impl SourceControl for StreamControl {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(self.list())
    }

    fn discover_every(&self) -> Option<Duration> {
        Some(DISCOVER_EVERY)
    }

    fn discover(&mut self) -> LocalFuture<'_, Result<Vec<ShardListing>, JobError>> {
        Box::pin(async {
            let calls = self.calls().await?;
            let listed = calls.list_shards(&self.source.stream).await.map_err(|error| job_error(&error))?;
            let left_out = &self.left_out;
            Ok(listed.iter().filter(|shard| !left_out.contains(&shard.id)).map(found).collect())
        })
    }

    fn margin(&self) -> TimeSpan {
        TimeSpan::from_millis(self.source.margin_ms_max().saturating_add(self.source.poll_ms_beyond_a_second()))
    }

    /// Not before the true time there, so that nothing which has already arrived is left out. An outage is waited out: the
    /// job runs, and who drains it has a limit.
    fn stop_time(&mut self) -> LocalFuture<'_, Result<Option<EventTime>, JobError>> {
        Box::pin(async {
            self.describe(Patience::for_ever(fastrand::u64(..))).await?;
            Ok(self.clock.latest_ms(self.origin.moment_now()).map(EventTime::from_millis))
        })
    }
}

/// A shard that opened while the job ran: read from its beginning, whatever the rules for the start say.
fn found(shard: &ShardDescription) -> ShardListing {
    ShardListing { open: shard.last_sequence.is_none(), ..from_its_beginning(shard_info(shard)) }
}
