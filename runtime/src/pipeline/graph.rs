//! A pipeline as it is being built: on control to be checked and digested, on a worker to be run.

use std::cell::RefCell;
use std::rc::Rc;

use weir_window::{EventTime, HashSeed, ShardName, TimeSpan, WindowSpec, millis};

use super::fold::FoldShare;
use super::intake::IntakePart;
use super::owner::OwnerPart;
use crate::error::JobError;
use crate::memory::MemoryBudget;
use crate::sink::SinkContext;
use crate::source::{LocalFuture, SourceControl};

/// Where a pipeline function is being called.
pub(crate) enum Place {
    /// On control: nothing is opened.
    Plan,
    /// On a worker: everything becomes operators.
    Worker(WorkerPlace),
}

/// What a worker knows when it builds a pipeline. The same on all workers but for `worker` and what belongs to it.
pub(crate) struct WorkerPlace {
    pub(crate) worker: usize,
    pub(crate) worker_count: usize,
    /// Workers that are owners, in order of their hash ranges.
    pub(crate) owners: Rc<[usize]>,
    pub(crate) seed: HashSeed,
    /// For each source of the pipeline: its shards as holds, and `T0`.
    pub(crate) listings: Vec<SourceStart>,
    pub(crate) sink: SinkContext,
    pub(crate) memory: MemoryBudget,
}

/// What every worker has to know of a source before the first read.
#[derive(Clone, Debug, Default)]
pub struct SourceStart {
    /// Every listed shard and where its watermark begins: a hold, until a worker says that it is its own.
    pub holds: Vec<(ShardName, EventTime)>,
    /// `T0`, if `latest` was pinned.
    pub started_at: Option<EventTime>,
}

/// Where a stage's watermarks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// A source, by its place.
    Source(usize),
    /// The owners of an earlier window, by its operator.
    Window(u16),
}

/// The pipeline as built, filled in by the stages.
pub(crate) struct Graph {
    pub(crate) place: Place,
    /// One line a stage, the same everywhere: the plan, and the digest's input.
    pub(crate) plan: Vec<String>,
    pub(crate) errors: Vec<JobError>,
    /// On control.
    pub(crate) controls: Vec<Box<dyn SourceControl>>,
    pub(crate) preparations: Vec<Box<dyn Prepare>>,
    /// On a worker; index is the source's.
    pub(crate) intakes: Vec<Option<Box<dyn IntakePart>>>,
    /// On a worker; index is the operator's. `None` where this worker is no owner.
    pub(crate) owners: Vec<Option<Box<dyn OwnerPart>>>,
    pub(crate) folds: Vec<Rc<FoldShare>>,
    /// By operator: what is in front of it.
    pub(crate) upstreams: Vec<Upstream>,
    /// By operator: its window; `None` if it is none.
    pub(crate) specs: Vec<Option<WindowSpec>>,
    /// By operator: its name, for people and for checkpoints.
    pub(crate) names: Vec<String>,
    pub(crate) writers: Vec<Box<dyn Flush>>,
    /// The largest window, from which the default of `ahead_max` follows.
    pub(crate) size_max: TimeSpan,
    /// How long after a stop the last row of the slowest branch is due: its source's margin, its lag, and the sizes of its
    /// windows, for each waits for the one before it.
    pub(crate) drain_max: TimeSpan,
    /// Whether some window has groups; else there is one group in all, and one owner.
    pub(crate) grouped: bool,
    pub(crate) sources: usize,
    pub(crate) windows: usize,
    pub(crate) unfinished: usize,
}

/// A sink asked before the start, its item type forgotten.
pub(crate) trait Prepare {
    fn prepare(&self) -> LocalFuture<'_, Result<(), JobError>>;
}

/// A writer asked to write all it has, its item type forgotten.
pub(crate) trait Flush {
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>>;
}

pub(crate) type SharedGraph = Rc<RefCell<Graph>>;

impl Graph {
    pub(crate) fn new(place: Place) -> Graph {
        Graph {
            place,
            plan: Vec::new(),
            errors: Vec::new(),
            controls: Vec::new(),
            preparations: Vec::new(),
            intakes: Vec::new(),
            owners: Vec::new(),
            folds: Vec::new(),
            upstreams: Vec::new(),
            specs: Vec::new(),
            names: Vec::new(),
            writers: Vec::new(),
            size_max: TimeSpan::ZERO,
            drain_max: TimeSpan::ZERO,
            grouped: false,
            sources: 0,
            windows: 0,
            unfinished: 0,
        }
    }

    /// First error of the settings, or that a stage leads nowhere.
    pub(crate) fn check(&mut self) -> Result<(), JobError> {
        if !self.errors.is_empty() {
            return Err(self.errors.remove(0));
        }
        if self.sources == 0 {
            return Err(JobError::settings("pipeline reads from nothing").with_remedy("begin it with read_from"));
        }
        if self.unfinished > 0 {
            let message = format!("{} of the pipeline's {} branches end nowhere", self.unfinished, self.sources);
            return Err(JobError::settings(message).with_remedy("end each with write_to"));
        }
        Ok(())
    }

    /// The source that everything an operator gets comes from.
    pub(crate) fn root(&self, operator: u16) -> usize {
        match self.upstreams[usize::from(operator)] {
            Upstream::Source(source) => source,
            Upstream::Window(earlier) => self.root(earlier),
        }
    }

    /// Windows of an operator that start before this hold less than they would have, had the source been read from its
    /// beginning: those of before `T0`, and those that rows of such windows fall into.
    pub(crate) fn partial_before(&self, operator: u16, starts: &[SourceStart]) -> Option<EventTime> {
        match self.upstreams[usize::from(operator)] {
            Upstream::Source(source) => starts[source].started_at,
            Upstream::Window(earlier) => {
                let from = self.partial_before(earlier, starts)?;
                let spec = self.specs[usize::from(earlier)]?;
                // The last window in front that starts before; its row falls into the moment before its end.
                Some(spec.last_window_end(spec.pane_end(from.saturating_sub(millis(1)))))
            }
        }
    }

    /// Differs, almost surely, when two plans differ.
    pub(crate) fn digest(&self) -> u64 {
        // FNV-1a: stable over versions and machines, which a seeded hasher is not; collisions need no defence here.
        let bytes = self.plan.iter().flat_map(|line| line.bytes().chain([b'\n']));
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::{Item, ItemStream, item_stream, logger};
    use crate::error::JobError;
    use crate::pipeline::Pipeline;
    use crate::source::{Listing, NativeTimestamps, Source, SourceReader};
    use weir_window::{WindowSpec, counting, millis, secs};

    /// Says only how long what it stamps may stay unreadable.
    struct Unready;

    impl Source for Unready {
        type Item = Item;
        fn describe(&self) -> String {
            String::new()
        }
        fn control(&self) -> Box<dyn SourceControl> {
            Box::new(Unready)
        }
        fn reader(&self) -> Box<dyn SourceReader<Item>> {
            <ItemStream as Source>::reader(&item_stream(0))
        }
    }

    impl NativeTimestamps for Unready {}

    impl SourceControl for Unready {
        fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
            unreachable!("it is only planned")
        }
        fn margin(&self) -> TimeSpan {
            secs(30)
        }
    }

    #[test]
    fn drain_waits_for_the_margin_the_lag_and_each_window_of_the_slowest_branch() {
        let pipeline = |p: &Pipeline| {
            p.read_from(item_stream(1)).without_timestamps().write_to(logger(|_| String::new()));
            p.read_from(Unready)
                .native_timestamps(secs(3))
                .window(WindowSpec::tumbling(secs(10)))
                .aggregate(counting())
                .map(|row| row)
                .window(WindowSpec::sliding(secs(60), millis(500)))
                .aggregate(counting())
                .filter(|_| true)
                .write_to(logger(|_| String::new()));
        };
        let graph = Pipeline::build(&pipeline, Place::Plan).expect("it is well made");
        assert_eq!((graph.drain_max, graph.size_max), (secs(30 + 3 + 10 + 60), secs(60)));
    }
}
