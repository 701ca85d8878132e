//! Sources and sinks that break, and nodes to run them on.

use std::sync::Arc;

use weir_runtime::control::{JobHandle, JobSettings, Node, NodeSettings};
use weir_runtime::error::JobError;
use weir_runtime::facade;
use weir_runtime::pipeline::Pipeline;
use weir_runtime::placement::Cores;
use weir_runtime::sink::{Sink, SinkContext, SinkWriter};
use weir_runtime::source::{
    Inlet, Listing, LocalFuture, ShardListing, Source, SourceControl, SourceReader, StartPosition,
};

/// A node of so many workers, or of as many as there are cores.
pub fn node(workers: usize) -> Node {
    let available = Cores::available().expect("a test runs somewhere").count();
    Node::start(NodeSettings::on(Cores::first(workers.min(available)).expect("allowed"))).expect("a node starts")
}

pub fn submit(node: &Node, pipeline: impl Fn(&Pipeline) + Send + Sync + 'static) -> Result<JobHandle, JobError> {
    node.submit(JobSettings { name: "test".to_owned() }, Arc::new(pipeline))
}

/// Runs the named test alone in a process of its own; `None` in that process.
pub fn run_alone(name: &str) -> Option<std::process::Output> {
    const ALONE: &str = "WEIR_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return None;
    }
    let mut command = std::process::Command::new(std::env::current_exe().expect("a test has a path"));
    let command = command.args(["--exact", name, "--nocapture"]).env(ALONE, "1");
    Some(command.output().expect("it starts"))
}

/// A sink that takes everything, counts nothing as written, and whose flush never ends.
pub struct Hanging;

impl<T: 'static> Sink<T> for Hanging {
    fn describe(&self) -> String {
        "hanging".to_owned()
    }
    fn open(&self, _: &SinkContext) -> Box<dyn SinkWriter<T>> {
        Box::new(Hanging)
    }
}

impl<T> SinkWriter<T> for Hanging {
    fn ready(&self) -> bool {
        true
    }
    fn write(&mut self, items: &mut Vec<T>) {
        items.clear();
    }
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(std::future::pending())
    }
}

/// A source of one shard that breaks in one place.
#[derive(Clone, Copy, Debug)]
pub enum Broken {
    /// A task that its reader spawned panics.
    Task,
}

impl Source for Broken {
    type Item = u64;
    fn describe(&self) -> String {
        format!("broken: {self:?}")
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(*self)
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(*self)
    }
}

impl SourceControl for Broken {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async {
            let position = StartPosition("0".into());
            let shard = ShardListing { name: "0".into(), parents: Vec::new(), open: true, position };
            Ok(Listing { shards: vec![shard], ..Listing::default() })
        })
    }
}

impl SourceReader<u64> for Broken {
    fn read(&self, _: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        let broken = *self;
        Box::pin(async move {
            match broken {
                Broken::Task => facade::spawn(async {
                    facade::yield_now().await;
                    panic!("planted in a task");
                })
                .detach(),
            }
            let _ = inlet.stop_changed(None).await;
            Ok(())
        })
    }
}
