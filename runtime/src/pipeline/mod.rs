//! What a user writes: a pipeline is a function over these stages, called once on each worker.
//!
//! It is also called once on control, to check it and to take the digest of its plan; a worker whose digest differs
//! is an error. So closures need neither `Send` nor `Clone`, and may hold `Rc` state of their own worker.

pub(crate) mod fold;
pub(crate) mod graph;
pub(crate) mod intake;
pub(crate) mod operator;
pub(crate) mod owner;
mod stage;
mod transform;

use std::cell::RefCell;
use std::rc::Rc;

use weir_window::EventTime;

use crate::error::JobError;
use crate::source::Source;
use graph::{Graph, Place, SharedGraph};

pub use fold::KeyOf;
pub use graph::SourceStart;
pub use intake::{DrainedShard, ShardLoss};
pub use operator::RunCounters;
pub use stage::{GroupedStage, IntoWindow, SourceStage, Stage, Timed, Untimed, WindowStage};

/// What a pipeline function is: the same program on control and on every worker.
pub type PipelineFn = dyn Fn(&Pipeline) + Send + Sync;

/// A pipeline being written.
pub struct Pipeline {
    graph: SharedGraph,
}

/// One row of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowResult<V, K = ()> {
    /// First moment of the window.
    pub start: EventTime,
    /// First moment after it, by which it is labelled.
    pub end: EventTime,
    /// The group.
    pub key: K,
    /// The aggregate's result.
    pub value: V,
    /// Whether the window began before the job's start and so lacks records.
    pub partial: bool,
    /// 0 on time, then one more for each correction by late records.
    pub firing: u32,
}

impl Pipeline {
    /// Begins a branch.
    pub fn read_from<S: Source>(&self, source: S) -> SourceStage<S> {
        SourceStage::new(self.graph.clone(), source)
    }

    /// Calls the function for `place` and gives what it built.
    pub(crate) fn build(function: &PipelineFn, place: Place) -> Result<Graph, JobError> {
        let graph = Rc::new(RefCell::new(Graph::new(place)));
        function(&Pipeline { graph: graph.clone() });
        let mut graph = Rc::try_unwrap(graph)
            .map_err(|_| {
                JobError::settings("pipeline function kept a stage").with_remedy("end every branch with write_to")
            })?
            .into_inner();
        graph.check()?;
        Ok(graph)
    }
}
