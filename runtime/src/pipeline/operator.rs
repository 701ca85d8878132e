//! What a stage becomes on a worker: one dynamic call a batch, generic code inside.

use weir_window::{EventTime, ShardName, WorkerMark};

use crate::exchange::{Message, Outbox};

/// Items that travel together, with their event times where the pipeline has them.
#[derive(Debug)]
pub struct Batch<T> {
    /// The items, in the order of their shard.
    pub items: Vec<T>,
    /// As many times as items; empty in a pipeline without timestamps.
    pub times: Vec<EventTime>,
}

impl<T> Default for Batch<T> {
    fn default() -> Batch<T> {
        Batch { items: Vec::new(), times: Vec::new() }
    }
}

impl<T> Batch<T> {
    /// Takes everything out and keeps the buffers.
    pub fn clear(&mut self) {
        self.items.clear();
        self.times.clear();
    }
}

/// What moves event time forward, from a stage's upstream. The words are those of the exchange.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The upstream's watermark on this worker.
    Mark(WorkerMark),
    /// A part of the upstream begins here; the watermark may fall by this.
    Begun {
        /// The part: a shard, or an owner of an earlier window.
        shard: ShardName,
        /// Its parents.
        parents: Vec<ShardName>,
        /// The watermark with it.
        mark: WorkerMark,
    },
    /// A part of the upstream is at its end.
    Done {
        /// The part.
        shard: ShardName,
        /// To be held at these times until they begin.
        children: Vec<(ShardName, EventTime)>,
        /// The watermark without it.
        mark: WorkerMark,
    },
    /// A checkpoint barrier: hand over everything folded so far.
    Barrier,
}

/// One stage on one worker, and all that is behind it.
pub trait Operator<T>: 'static {
    /// Whether a batch may be given now: false while a sink refuses.
    fn ready(&self) -> bool;

    /// Takes everything out of `batch`, leaving its buffers to be filled again.
    fn on_batch(&mut self, batch: &mut Batch<T>, cx: &mut OperatorContext<'_>);

    /// Event time moved.
    fn on_progress(&mut self, progress: &Progress, cx: &mut OperatorContext<'_>);
}

/// What an operator can reach while it works.
pub struct OperatorContext<'a> {
    /// This worker's index among all.
    pub worker: usize,
    pub(crate) owners: &'a [usize],
    pub(crate) outboxes: &'a mut [Outbox],
    pub(crate) counters: &'a mut RunCounters,
}

impl OperatorContext<'_> {
    /// Puts a message into the outbox of one owner, counted among the owners and not among the workers.
    pub fn send(&mut self, owner: usize, message: Message) {
        self.outboxes[self.owners[owner]].push(message);
    }

    /// Puts a message, made anew for each, into the outboxes of all owners.
    pub fn send_all(&mut self, mut message: impl FnMut() -> Message) {
        for owner in 0..self.owners.len() {
            self.send(owner, message());
        }
    }
}

/// What one run of a job did on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounters {
    /// Items that sources gave to this worker.
    pub records_in: u64,
    /// Records folded here, into deltas or straight into panes.
    pub records_folded: u64,
    /// Blocks combined here, as an owner; none where one worker is all there is.
    pub blocks_combined: u64,
    /// Of these, blocks that other workers folded.
    pub blocks_from_others: u64,
    /// Pane entries touched by sliding here.
    pub entries_slid: u64,
    /// Result rows emitted here.
    pub rows: u64,
    /// Windows of which this owner emitted the last block.
    pub windows: u64,
    /// Records dropped because no window still open wanted them.
    pub late: u64,
    /// Records dropped from some of their windows and counted in others, for which they came in time.
    pub partly_late: u64,
    /// Records folded whose windows have not all fired, wherever on this worker they are.
    pub open: u64,
    /// Records that left for other workers in blocks, and that came from them: what was sent and did not arrive is open.
    pub records_sent: u64,
    /// See `records_sent`.
    pub records_received: u64,
    /// Records stamped before a moment up to which their shard had been proved silent: the margin is too small, or the
    /// service's clock stepped back.
    pub behind_evidence: u64,
    /// By how much the worst of them, in ms.
    pub behind_evidence_ms_max: u64,
    /// Items given to sinks.
    pub taken: u64,
    /// Items acknowledged by sinks' targets.
    pub written: u64,
    /// Items sent again by sinks after a refusal.
    pub retried: u64,
    /// Items perhaps written twice by sinks.
    pub repeated: u64,
    /// Items that sinks can never write.
    pub unwritable: u64,
    /// Items that sinks were refused for longer than the job allows.
    pub given_up: u64,
    /// Items among the dead letters of sinks.
    pub diverted: u64,
}

impl RunCounters {
    /// Items given to sinks of which it is not known yet what becomes of them.
    pub(crate) fn pending(&self) -> u64 {
        self.taken.saturating_sub(self.written + self.unwritable + self.given_up + self.diverted)
    }
}
