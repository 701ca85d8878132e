//! One job on one worker as a pure machine: inputs and messages in, messages and rows out; no clock and no waiting.
//!
//! Whoever drives it moves messages between runs, gives it turns and runs its readers' futures: on a core that is
//! `driver`, in a test it is the simulator. The machine's rules are that it always takes what others send it (but
//! behind a checkpoint's marker), that it folds only while every outbox has room, and that it reads no shard further
//! ahead of what sinks have taken than it may.

mod cut;
mod ending;
mod queues;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use weir_window::{Budget, EventTime, HashSeed, ShardName, TimeSpan};

use crate::error::JobError;
use crate::exchange::{OperatorIndex, Outbox, Return};
use crate::memory::{Charge, MemoryBudget};
use crate::pipeline::fold::FoldShare;
use crate::pipeline::graph::{Flush, Graph, Place, Upstream, WorkerPlace};
use crate::pipeline::intake::{IntakePart, ShardBegin};
use crate::pipeline::operator::OperatorContext;
use crate::pipeline::owner::OwnerPart;
use crate::pipeline::{DrainedShard, Pipeline, PipelineFn, RunCounters, ShardLoss, SourceStart};
use crate::sink::{SinkContext, SinkCounters};
use crate::source::{LocalFuture, ShardListing, Stop};
pub use cut::Cut;
use queues::ReturnBox;

/// Shards may be read this much beyond what sinks have taken, or a window's size if that is more.
const AHEAD_MIN: TimeSpan = TimeSpan::from_millis(10_000);

/// Turns between two looks at how much memory the run holds: adding it up takes as long as sliding a few entries a pane.
const WEIGHED_EVERY: u32 = 64;

/// What a run is made from, the same on all workers but for `worker` and the sink's context.
pub struct RunSettings {
    /// This worker.
    pub worker: usize,
    /// How many there are.
    pub worker_count: usize,
    /// Workers that are owners, in order of their hash ranges.
    pub owners: Arc<[usize]>,
    /// Seed of the job's key hashes.
    pub seed: u64,
    /// What each source listed, in the pipeline's order.
    pub listings: Vec<SourceStart>,
    /// For sinks; its waker also wakes this worker.
    pub sink: SinkContext,
    /// The process-wide budget.
    pub memory: MemoryBudget,
}

/// A shard that began before a parent of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunBefore {
    /// Index of the source in its pipeline.
    pub source: usize,
    /// The shard.
    pub shard: ShardName,
    /// Its parent.
    pub parent: ShardName,
}

/// A shard that begins on a worker.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Index of the source in its pipeline.
    pub source: usize,
    /// The shard.
    pub shard: ShardListing,
    /// Where its watermark begins.
    pub at: AttachAt,
    /// Whether another shard waits for its end, so that it is read however far ahead it is.
    pub awaited: bool,
}

/// Where the watermark of a shard begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachAt {
    /// At the minimum of its parents' final watermarks, or at the beginning of time.
    Time(EventTime),
    /// At the highest `W` that owners have returned: its parents were never read, and what it brings of before is late.
    Highest,
}

/// One job on one worker.
pub struct Run {
    worker: usize,
    owners: Rc<[usize]>,
    digest: u64,
    intakes: Vec<Box<dyn IntakePart>>,
    parts: Vec<Option<Box<dyn OwnerPart>>>,
    folds: Vec<Rc<FoldShare>>,
    /// Arenas, indexes and directories of this run, in the process's budget.
    held: Charge,
    turns: u32,
    writers: Vec<Box<dyn Flush>>,
    sink_counters: Rc<SinkCounters>,
    outboxes: Vec<Outbox>,
    returns: Vec<ReturnBox>,
    /// By operator: what is in front of it, and the source that it all comes from.
    upstreams: Vec<(Upstream, usize)>,
    /// For each operator and owner, the last `W` it returned.
    taken: Vec<Vec<EventTime>>,
    /// For each worker, the marker that it has sent and not all others yet.
    marked: Vec<Option<u64>>,
    cuts: Vec<Cut>,
    ahead: TimeSpan,
    stop: Option<Stop>,
    /// What is stamped later is not read any more.
    cut: EventTime,
    next_intake: usize,
    counters: RunCounters,
}

impl Run {
    /// Builds the pipeline here.
    ///
    /// Errors: what is wrong with the pipeline's settings; control has found them already.
    pub fn build(function: &PipelineFn, settings: RunSettings) -> Result<Run, JobError> {
        let owners: Rc<[usize]> = settings.owners.iter().copied().collect();
        let place = WorkerPlace {
            worker: settings.worker,
            worker_count: settings.worker_count,
            owners: owners.clone(),
            seed: HashSeed::new(settings.seed),
            listings: settings.listings,
            sink: settings.sink.clone(),
            memory: settings.memory,
        };
        let held = place.memory.charge(0);
        let graph = Pipeline::build(function, Place::Worker(place))?;
        let digest = graph.digest();
        let upstreams =
            (0..).zip(&graph.upstreams).map(|(operator, upstream)| (*upstream, graph.root(operator))).collect();
        let Graph { intakes, owners: parts, folds, writers, size_max, .. } = graph;
        let intakes = intakes.into_iter().map(|intake| intake.expect("every finished branch made its intake"));
        let empty_returns = || ReturnBox { taken: vec![None; parts.len()], homes: VecDeque::new() };
        Ok(Run {
            worker: settings.worker,
            digest,
            intakes: intakes.collect(),
            folds,
            held,
            turns: 0,
            writers,
            sink_counters: settings.sink.counters,
            outboxes: (0..settings.worker_count).map(|_| Outbox::default()).collect(),
            returns: (0..settings.worker_count).map(|_| empty_returns()).collect(),
            upstreams,
            taken: vec![vec![EventTime::MIN; owners.len()]; parts.len()],
            marked: vec![None; settings.worker_count],
            cuts: Vec::new(),
            ahead: size_max.max(AHEAD_MIN),
            stop: None,
            cut: EventTime::MAX,
            next_intake: 0,
            counters: RunCounters::default(),
            owners,
            parts,
        })
    }

    /// Digest of the plan as built here.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Adds a shard; the future reads it and has to be run on this executor. Its error fails the job.
    pub fn attach(&mut self, attachment: Attachment) -> LocalFuture<'static, Result<(), JobError>> {
        let Attachment { source, shard, at, awaited } = attachment;
        let (intake, stop) = (source, self.stop);
        let at = match at {
            AttachAt::Time(at) => at,
            AttachAt::Highest => self.returned_from(source).max().unwrap_or(EventTime::MIN),
        };
        let begin = ShardBegin { shard, at, awaited };
        let reading = self.with_intake(intake, |intake, cx| intake.attach(begin, cx));
        if let Some(stop) = stop {
            self.intakes[source].stop(stop);
        }
        reading
    }

    /// Whether another shard waits for the end of this one.
    pub fn on_awaited(&mut self, source: usize, shard: &str, awaited: bool) {
        self.intakes[source].on_awaited(shard, awaited);
    }

    /// A shard, on whatever worker, had begun before its parent was drained here: owners need not hold it.
    pub fn on_begun_before(&mut self, begun: BegunBefore) {
        let BegunBefore { source, shard, parent } = begun;
        self.with_intake(source, |intake, cx| intake.on_begun_before(shard, parent, cx));
    }

    /// One turn: takes its own messages, slides and emits within the budget, then folds one input of each source if
    /// the outboxes have room. Returns whether another turn would find work without anything coming in.
    pub fn step(&mut self, budget: &mut Budget) -> bool {
        self.turns += 1;
        if self.turns >= WEIGHED_EVERY {
            self.turns = 0;
            let folds: usize = self.folds.iter().map(|fold| fold.bytes()).sum();
            let parts: usize = self.parts.iter().flatten().map(|part| part.bytes()).sum();
            self.held.set((folds + parts) as u64);
        }
        let mut more = self.deliver_own();
        for operator in 0..self.parts.len() {
            more |= self.poll_part(operator, budget);
        }
        more |= self.deliver_own();
        // Where records go straight into panes, none may go between this worker's own marker and whoever takes the cut.
        if self.outboxes.iter().any(Outbox::is_full) || self.stop == Some(Stop::Cancel) || !self.cuts.is_empty() {
            return more;
        }
        let ahead = self.ahead;
        for turn in 0..self.intakes.len() {
            let index = (self.next_intake + turn) % self.intakes.len();
            let taken = self.taken_from(index);
            more |= self.with_intake(index, |intake, cx| intake.step(taken, ahead, cx));
        }
        self.next_intake = self.next_intake.wrapping_add(1);
        more
    }

    /// The least `W` up to which sinks have taken what comes from a source. What comes from others does not hold it back.
    fn taken_from(&self, source: usize) -> EventTime {
        self.returned_from(source).min().unwrap_or(EventTime::MAX)
    }

    /// What owners of operators behind a source have returned.
    fn returned_from(&self, source: usize) -> impl Iterator<Item = EventTime> {
        let behind = self.upstreams.iter().zip(&self.taken).filter(move |((_, root), _)| *root == source);
        behind.flat_map(|(_, taken)| taken).copied()
    }

    fn poll_part(&mut self, operator: usize, budget: &mut Budget) -> bool {
        let Some(part) = self.parts[operator].as_mut() else {
            return false;
        };
        let mut cx = OperatorContext {
            worker: self.worker,
            owners: &self.owners,
            outboxes: &mut self.outboxes,
            counters: &mut self.counters,
        };
        let before = part.taken();
        let more = part.poll(budget, &mut cx);
        let taken = part.taken();
        if taken > before {
            self.returns.iter_mut().for_each(|back| back.taken[operator] = Some(taken));
            let index = OperatorIndex(u16::try_from(operator).expect("operators are counted in 16 bits"));
            self.on_return(self.worker, Return::Taken { operator: index, watermark: taken });
        }
        more
    }

    fn with_intake<R>(
        &mut self,
        index: usize,
        with: impl FnOnce(&mut dyn IntakePart, &mut OperatorContext<'_>) -> R,
    ) -> R {
        let mut cx = OperatorContext {
            worker: self.worker,
            owners: &self.owners,
            outboxes: &mut self.outboxes,
            counters: &mut self.counters,
        };
        with(&mut *self.intakes[index], &mut cx)
    }

    /// Shards that came to their end since last asked.
    pub fn take_drained(&mut self) -> Vec<DrainedShard> {
        self.intakes.iter_mut().flat_map(|intake| intake.take_drained()).collect()
    }

    /// Losses noticed since last asked.
    pub fn take_lost(&mut self) -> Vec<ShardLoss> {
        self.intakes.iter_mut().flat_map(|intake| intake.take_lost()).collect()
    }

    /// What it did so far.
    pub fn counters(&self) -> RunCounters {
        let mut counters = self.counters;
        self.parts.iter().flatten().for_each(|part| part.count(&mut counters));
        counters.open += self.folds.iter().map(|fold| fold.records_waiting()).sum::<u64>();
        counters.open += self.outboxes.iter().map(Outbox::records).sum::<u64>();
        counters.taken = self.sink_counters.taken.get();
        counters.written = self.sink_counters.written.get();
        counters.retried = self.sink_counters.retried.get();
        counters.repeated = self.sink_counters.repeated.get();
        counters.unwritable = self.sink_counters.unwritable.get();
        counters.given_up = self.sink_counters.given_up.get();
        counters.diverted = self.sink_counters.diverted.get();
        counters
    }

    /// This worker's `W` as an owner, for each operator that it owns a part of.
    pub fn watermarks(&self) -> impl Iterator<Item = EventTime> {
        self.parts.iter().flatten().map(|part| part.watermark())
    }

    /// The shard in trouble that holds this worker's event time, and where it stands, if there is one.
    pub fn troubled(&self) -> Option<(EventTime, String)> {
        self.intakes.iter().find_map(|intake| intake.troubled())
    }

    /// What keeps event time from moving, in words: this worker's slowest shard, then what its owners wait for.
    pub fn holders(&self) -> Vec<String> {
        let shards = self.intakes.iter().filter_map(|intake| intake.holder());
        shards.chain(self.parts.iter().flatten().filter_map(|part| part.holder())).collect()
    }
}

#[cfg(test)]
mod tests;
