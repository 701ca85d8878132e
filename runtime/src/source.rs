//! What a connector implements to be read from: discovery on control, one reader a worker, lineage in the trait.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt as _;
use weir_window::{EventTime, ShardName, TimeSpan};

use crate::error::JobError;
pub use crate::inlet::{Inlet, Refused};

/// A future that stays on its executor.
pub type LocalFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + 'a>>;

/// Most items that travel in one batch.
pub const BATCH_ITEMS_MAX: usize = 1_024;
/// Most payload bytes that travel in one batch, unless a single item is larger.
pub const BATCH_BYTES_MAX: usize = 256 * 1_024;

/// Something with shards that can be read.
///
/// The value is made by the pipeline function, once on control and once on each worker, and is plain settings;
/// the work is done by the two parts that it makes.
pub trait Source: 'static {
    /// What one item is.
    type Item: 'static;

    /// Kind and settings in words, the same on every worker; part of the plan's digest. No secrets.
    fn describe(&self) -> String;

    /// The part that lives on control.
    fn control(&self) -> Box<dyn SourceControl>;

    /// The part that lives on one worker and reads the shards assigned there.
    fn reader(&self) -> Box<dyn SourceReader<Self::Item>>;
}

/// A source whose items carry a time of their own (arrival time at the service).
pub trait NativeTimestamps: Source {}

/// Discovery: which shards there are and where each is to be read from.
pub trait SourceControl {
    /// Lists every shard (all pages) and resolves the start once: what `latest` means is pinned here, before the
    /// first read.
    ///
    /// Errors: permanent ones only (missing stream, access denied, no credentials); passing ones are retried inside.
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>>;

    /// How much longer than the lag evidence of silence waits for what is stamped but not yet readable. A drain has to
    /// wait for it.
    fn margin(&self) -> TimeSpan {
        TimeSpan::ZERO
    }

    /// How often [`SourceControl::discover`] is asked. `None`: what was listed at the start and what readers name as
    /// children is all there ever is, and a job whose shards have all ended is over.
    fn discover_every(&self) -> Option<Duration> {
        None
    }

    /// Every shard there is now, each to be read from its beginning: the safety net for those that no parent named.
    ///
    /// Errors are said and the next time comes.
    fn discover(&mut self) -> LocalFuture<'_, Result<Vec<ShardListing>, JobError>> {
        async { Ok(Vec::new()) }.boxed_local()
    }

    /// Now on the service's clock, as `T_stop` of a drain. `None`: the source has no clock, it just stops.
    ///
    /// Errors: permanent ones only; passing ones are retried inside, for as long as the drain has time.
    fn stop_time(&mut self) -> LocalFuture<'_, Result<Option<EventTime>, JobError>> {
        async { Ok(None) }.boxed_local()
    }
}

/// What [`SourceControl::prepare`] found.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// What is read, such as the stream's ARN, the same for every job of the process that reads it: its shards are
    /// then read on the same workers. Empty if it is this job's alone.
    pub stream: Arc<str>,
    /// Every shard to be read from the start.
    pub shards: Vec<ShardListing>,
    /// `T0`, to which `latest` was pinned: windows that began before it are partial.
    pub started_at: Option<EventTime>,
    /// Said once to people, such as what history is skipped.
    pub notes: Vec<String>,
}

/// One shard to be read, and its place in the lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardListing {
    /// Unique in its source.
    pub name: ShardName,
    /// Shards that must be drained first; empty if there are none or they are gone.
    pub parents: Vec<ShardName>,
    /// Whether it still takes records.
    pub open: bool,
    /// Where to begin.
    pub position: StartPosition,
}

/// Where to begin in a shard, in the source's own words. Opaque to the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPosition(pub Arc<str>);

/// Reads shards on one worker.
pub trait SourceReader<T> {
    /// Reads one shard until its end or until told to stop; sends what it finds, in order, into `inlet`.
    ///
    /// `Ok` means that the shard will yield nothing more. An error fails the job; passing troubles are retried inside
    /// and told by [`ShardInput::Trouble`].
    fn read(&self, shard: ShardListing, inlet: Inlet<T>) -> LocalFuture<'static, Result<(), JobError>>;
}

/// What a reader says of its shard, in the order in which it holds.
#[derive(Debug)]
pub enum ShardInput<T> {
    /// Items, at most [`BATCH_ITEMS_MAX`].
    Items {
        /// The items in shard order.
        items: Vec<T>,
        /// Their native times, as many as items; empty if the source has none.
        times: Vec<EventTime>,
        /// Of the last item.
        position: Position,
    },
    /// Items behind those sent were read up to this time and held back, because they are stamped later than a stop.
    /// For the watermark they count as folded.
    Withheld(EventTime),
    /// Proof that all records stamped before this time have been sent (the source's margin is already taken off).
    Evidence(EventTime),
    /// How far the reader is behind the shard's tip, in ms. Moves nothing; for people.
    Lagging {
        /// Milliseconds, as the service says.
        behind_ms: u64,
    },
    /// A passing trouble in words. Moves nothing: the shard holds its watermark.
    Trouble(String),
    /// The shard is gone, and nobody knows what follows it: it is not waited for any more, and says nothing of what is to
    /// come. A reader that has sent this returns.
    Abandoned,
    /// The shard is at its end. A reader that has sent this returns.
    Drained {
        /// Its children; empty if there are none, and then the shard is no longer waited for.
        children: Vec<ShardListing>,
    },
}

/// The last item of a batch: what a checkpoint notes for its shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Sequence number, as the service writes it.
    pub sequence: Arc<str>,
    /// Index inside an aggregated record; 0 otherwise.
    pub sub_sequence: u64,
}

/// How a reader is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Return at once; nothing more is wanted.
    Cancel,
    /// Drain. A generator returns. A service's reader sends nothing stamped later than the given `T_stop` and goes on
    /// giving evidence until it is cancelled.
    Drain(Option<EventTime>),
    /// Read everything stamped up to this `T_stop`, however long that takes; once a shard has passed it, it is over, and
    /// windows that are still open then fire at once. For a reader it is a drain.
    Until(EventTime),
}
