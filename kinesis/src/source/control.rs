//! The source's part on control: lists the shards, pins `T0`, and finds the stop time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weir_runtime::error::JobError;
use weir_runtime::facade;
use weir_runtime::source::{Listing, LocalFuture, ShardListing, SourceControl, StartPosition};
use weir_window::{EventTime, TimeSpan};

use super::StreamSource;
use super::calls::{Connect, Origin, ReadCalls, job_error, patiently, shard_info};
use super::reader::from_its_beginning;
use crate::client::ShardDescription;
use crate::protocol::errors::Call;
use crate::protocol::patience::Patience;
use crate::protocol::position::{Start, StartRules};
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
}

impl StreamControl {
    pub(super) fn new(source: StreamSource, connect: Connect) -> StreamControl {
        StreamControl { source, connect, calls: None, origin: Origin::now(), clock: ServiceClock::new() }
    }

    async fn calls(&mut self) -> Result<Rc<dyn ReadCalls>, JobError> {
        if let Some(calls) = &self.calls {
            return Ok(Rc::clone(calls));
        }
        let calls = patiently(self.patience(), Call::ListShards, &*self.connect).await?;
        self.calls = Some(Rc::clone(&calls));
        Ok(calls)
    }

    fn patience(&self) -> Patience {
        Patience::at_start(fastrand::u64(..))
    }

    /// Describes the stream and learns the service's time from the answer; gives the ARN.
    async fn describe(&mut self, patience: Patience) -> Result<String, JobError> {
        let calls = self.calls().await?;
        let stream = &self.source.stream;
        let (arn, timing) = patiently(patience, Call::ListShards, || calls.describe(stream)).await?;
        if let Some(timing) = timing {
            self.clock.on_answer(self.origin.timing(timing));
        }
        Ok(arn)
    }

    async fn list(&mut self) -> Result<Listing, JobError> {
        let rules = self.source.rules()?;
        let arn = self.describe(self.patience()).await?;
        // Before the listing: what opens after it is a child, and is read from its beginning.
        let t0_ms = self.clock.earliest_ms(self.origin.moment_now());
        let calls = self.calls().await?;
        let stream = self.source.stream.clone();
        let shards = patiently(self.patience(), Call::ListShards, || calls.list_shards(&stream)).await?;
        let mut notes = Vec::new();
        let needs_now = shards.iter().any(|shard| rules.start_of(&shard.id) == Start::Latest);
        if needs_now && t0_ms.is_none() {
            notes.push(format!(
                "stream {stream}: the endpoint sends no Date header; \"latest\" is taken from this host's clock"
            ));
        }
        let t0_ms = t0_ms.unwrap_or_else(facade::wall_clock_ms);
        notes.extend(skipped_history(&stream, &shards, &rules));
        Ok(Listing {
            stream: Arc::from(format!("{}{arn}", self.source.endpoint_prefix())),
            shards: shards.iter().map(|shard| listing(shard, &rules, t0_ms)).collect(),
            started_at: needs_now.then(|| EventTime::from_millis(t0_ms)),
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
            Ok(listed.iter().map(found).collect())
        })
    }

    fn margin(&self) -> TimeSpan {
        TimeSpan::from_millis(self.source.margin_ms())
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

fn listing(shard: &ShardDescription, rules: &StartRules, t0_ms: i64) -> ShardListing {
    let info = shard_info(shard);
    let position = rules.start_of(&info.id).resolve(t0_ms).to_string();
    ShardListing {
        name: info.id,
        parents: info.parents,
        open: shard.last_sequence.is_none(),
        position: StartPosition(Arc::from(position)),
    }
}

/// What people should know about records that are there and will not be read.
fn skipped_history(stream: &str, shards: &[ShardDescription], rules: &StartRules) -> Option<String> {
    let skipping = shards.iter().filter(|shard| rules.start_of(&shard.id) != Start::TrimHorizon).count();
    (skipping > 0).then(|| {
        format!(
            "stream {stream}: {skipping} of {} shards are read from their start rule on; older records are skipped \
             (trim-horizon reads them)",
            shards.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>, closed: bool) -> ShardDescription {
        ShardDescription {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            adjacent_parent: None,
            first_hash: 0,
            last_hash: u128::MAX,
            first_sequence: "1".to_owned(),
            last_sequence: closed.then(|| "9".to_owned()),
        }
    }

    // A closed shard may hold records of between T0 and its end, so it is read too, from T0.
    #[test]
    fn every_listed_shard_starts_by_its_rule_with_latest_pinned() {
        let mut rules = StartRules::new();
        rules.add("b|c", Start::Latest).unwrap();
        let texts = |shard: &ShardDescription| {
            let listing = listing(shard, &rules, 77);
            (listing.position.0.to_string(), listing.open, listing.parents.len())
        };
        assert_eq!(texts(&shard("a", None, false)), ("trim-horizon".to_owned(), true, 0));
        assert_eq!(texts(&shard("b", None, true)), ("at-timestamp 77".to_owned(), false, 0));
        assert_eq!(texts(&shard("c", Some("b"), false)), ("at-timestamp 77".to_owned(), true, 1));
    }

    #[test]
    fn skipped_history_is_said_only_if_some_is() {
        let shards = [shard("a", None, false), shard("b", None, false)];
        let mut rules = StartRules::new();
        assert_eq!(skipped_history("s", &shards, &rules), None);
        rules.add("a", Start::Latest).unwrap();
        assert!(skipped_history("s", &shards, &rules).unwrap().starts_with("stream s: 1 of 2 shards"));
    }
}
