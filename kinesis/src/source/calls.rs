//! The calls a source makes, as it sees them: over the network by the client, made up in tests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_runtime::error::JobError;
use weir_runtime::facade;
use weir_runtime::source::LocalFuture;

use crate::client::{
    CallTiming, Client, GetRecordsAnswer, IteratorPosition, ServiceError, ServiceSettings, ShardDescription,
};
use crate::protocol::errors::Call;
use crate::protocol::patience::Patience;
use crate::protocol::polling::{Answer, IteratorFrom};
use crate::protocol::service_clock::Timing;
use crate::protocol::{HashKeyRange, Moment, ShardInfo};

/// What became of a call.
pub(crate) type Called<T> = LocalFuture<'static, Result<T, ServiceError>>;

/// The calls of a source.
pub(crate) trait ReadCalls {
    /// Where they go, if not to AWS itself.
    fn endpoint(&self) -> Option<&str>;
    /// The stream's ARN, and the timing of the answer.
    fn describe(&self, stream: &str) -> Called<(String, Option<CallTiming>)>;
    /// Every shard.
    fn list_shards(&self, stream: &str) -> Called<Vec<ShardDescription>>;
    fn shard_iterator(&self, stream: &str, shard: &str, from: IteratorPosition) -> Called<String>;
    fn get_records(&self, iterator: String, limit: u32) -> Called<GetRecordsAnswer>;
}

/// Makes the calls' other end, once on each executor.
pub(crate) type Connect = Rc<dyn Fn() -> Called<Rc<dyn ReadCalls>>>;

/// Over the network.
pub(crate) fn over_network(settings: &ServiceSettings) -> Connect {
    let settings = settings.clone();
    Rc::new(move || {
        let connecting = Client::connect(&settings);
        Box::pin(async move { Ok(Rc::new(connecting.await?) as Rc<dyn ReadCalls>) })
    })
}

impl ReadCalls for Client {
    fn endpoint(&self) -> Option<&str> {
        Client::endpoint(self)
    }

    fn describe(&self, stream: &str) -> Called<(String, Option<CallTiming>)> {
        let describing = Client::describe(self, stream);
        Box::pin(async move { describing.await.map(|summary| (summary.arn, summary.timing)) })
    }

    fn list_shards(&self, stream: &str) -> Called<Vec<ShardDescription>> {
        Client::list_shards(self, stream)
    }

    fn shard_iterator(&self, stream: &str, shard: &str, from: IteratorPosition) -> Called<String> {
        Client::shard_iterator(self, stream, shard, from)
    }

    fn get_records(&self, iterator: String, limit: u32) -> Called<GetRecordsAnswer> {
        Client::get_records(self, iterator, limit)
    }
}

/// Repeats `make` while its errors pass; says so each time, and of which stream.
pub(crate) async fn patiently<T>(
    stream: &str,
    mut patience: Patience,
    call: Call,
    mut make: impl FnMut() -> Called<T>,
) -> Result<T, JobError> {
    loop {
        let error = match make().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(wait) = patience.after(call, error.kind) else {
            return Err(job_error(&error));
        };
        tracing::warn!("stream {stream}: {error}; again in {} ms", wait.as_millis());
        facade::sleep(wait).await;
    }
}

/// The client's sentence says what to do; its kind says who.
pub(crate) fn job_error(error: &ServiceError) -> JobError {
    JobError::new(error.kind.who_acts(), error.to_string())
}

/// Where the machines' time begins on this executor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(Instant);

impl Origin {
    pub(crate) fn now() -> Origin {
        Origin(facade::now())
    }

    /// The same for all readers of a core, so that what they share has one time.
    pub(crate) fn of_thread() -> Origin {
        thread_local! {
            static ORIGIN: Origin = Origin::now();
        }
        ORIGIN.with(|origin| *origin)
    }

    pub(crate) fn moment(self, at: Instant) -> Moment {
        let nanos = at.saturating_duration_since(self.0).as_nanos();
        Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// This host's clock at the origin, in ms since 1970.
    pub(crate) fn host_ms_at_zero(self) -> i64 {
        let since_ms = self.moment_now().as_nanos() / 1_000_000;
        facade::wall_clock_ms().saturating_sub(i64::try_from(since_ms).unwrap_or(i64::MAX))
    }

    pub(crate) fn moment_now(self) -> Moment {
        self.moment(facade::now())
    }

    /// How long until `moment`; zero if it has passed.
    pub(crate) fn until(self, moment: Moment) -> Duration {
        moment.since(self.moment_now())
    }

    pub(crate) fn timing(self, timing: CallTiming) -> Timing {
        let CallTiming { sent_at, received_at, date_ms } = timing;
        Timing { sent: self.moment(sent_at), received: self.moment(received_at), date_ms }
    }

    pub(crate) fn answer(self, answer: GetRecordsAnswer) -> Answer {
        let children = answer.children.into_iter().map(|child| ShardInfo {
            id: Arc::from(child.id),
            parents: child.parents.into_iter().map(Arc::from).collect(),
            range: child.hash_range.map(|(first, last)| HashKeyRange { first, last }),
        });
        Answer {
            batch: answer.batch,
            next_iterator: answer.next_iterator,
            behind_ms: answer.behind_ms,
            children: children.collect(),
            timing: self.timing(answer.timing),
        }
    }
}

/// A listed shard's place among the others.
pub(crate) fn shard_info(shard: &ShardDescription) -> ShardInfo {
    let parents = shard.parent.iter().chain(&shard.adjacent_parent);
    ShardInfo {
        id: Arc::from(shard.id.as_str()),
        parents: parents.map(|parent| Arc::from(parent.as_str())).collect(),
        range: Some(HashKeyRange { first: shard.first_hash, last: shard.last_hash }),
    }
}

pub(crate) fn iterator_position(from: IteratorFrom) -> IteratorPosition {
    match from {
        IteratorFrom::TrimHorizon => IteratorPosition::TrimHorizon,
        IteratorFrom::Latest => IteratorPosition::Latest,
        IteratorFrom::AtTimestamp(ms) => IteratorPosition::AtTimestamp(ms),
        IteratorFrom::At(sequence) => IteratorPosition::AtSequence(sequence.as_str().to_owned()),
        IteratorFrom::After(sequence) => IteratorPosition::AfterSequence(sequence.as_str().to_owned()),
    }
}
