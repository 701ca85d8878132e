//! A job's sources on control: each is asked one thing at a time, and a stop time goes before a listing.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::lock::Mutex;
use weir_window::EventTime;

use crate::error::JobError;
use crate::facade;
use crate::guarded::guarded_async;
use crate::signal::{Listener, Notifier, signal};
use crate::source::{Listing, ShardListing, SourceControl};
use crate::worker::driver::JobId;

/// One source. Its connector may take as long as its service does, so nobody is borrowed while it is asked.
pub(super) struct SourcePart {
    asked: Mutex<Asked>,
    /// Rung by who cannot wait until a listing ends.
    urgent: Notifier,
    /// How often it is asked for shards that opened since; never if `None`.
    pub(super) discover_every: Option<Duration>,
}

struct Asked {
    control: Box<dyn SourceControl>,
    urgent: Listener,
}

impl SourcePart {
    pub(super) fn new(control: Box<dyn SourceControl>) -> SourcePart {
        let discover_every = control.discover_every();
        let (urgent, rung) = signal();
        SourcePart { asked: Mutex::new(Asked { control, urgent: rung }), urgent, discover_every }
    }

    pub(super) async fn prepare(&self) -> Result<Listing, JobError> {
        let mut asked = self.asked.lock().await;
        guarded_async("while a source was prepared", || asked.control.prepare()).await
    }

    /// Every shard there is now. `None`: somebody came who could not wait, and it is asked again another time.
    async fn discover(&self) -> Option<Result<Vec<ShardListing>, JobError>> {
        let mut asked = self.asked.lock().await;
        let Asked { control, urgent } = &mut *asked;
        let listed = async { Some(guarded_async("while a source was listed", || control.discover()).await) };
        let given_up = async {
            urgent.wait().await;
            None
        };
        futures_lite::future::or(listed, given_up).await
    }

    /// Cuts a listing short that is under way: it may be stalled for longer than a drain may take.
    async fn stop_time(&self) -> Result<Option<EventTime>, JobError> {
        self.urgent.notify();
        let mut asked = self.asked.lock().await;
        let _ = asked.urgent.take();
        guarded_async("while its stop time was asked for", || asked.control.stop_time()).await
    }
}

/// The latest of the sources' stop times; `None` if none of them has a clock.
pub(super) async fn stop_time(sources: &[SourcePart]) -> Result<Option<EventTime>, JobError> {
    let ends = try_join_all(sources.iter().map(SourcePart::stop_time)).await?;
    Ok(ends.into_iter().flatten().max())
}

/// Asks a source for shards that opened since, again and again, and passes on what it lists.
pub(super) async fn discover(
    sources: Rc<[SourcePart]>,
    index: usize,
    period: Duration,
    job: JobId,
    on_listing: impl Fn(Vec<ShardListing>),
) {
    loop {
        // Jobs of many nodes do not all ask at once.
        facade::sleep(period.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        match sources[index].discover().await {
            Some(Ok(shards)) => on_listing(shards),
            Some(Err(error)) => {
                tracing::warn!("job {job}: its stream could not be listed: {error}; it is tried again");
            }
            None => {}
        }
    }
}
