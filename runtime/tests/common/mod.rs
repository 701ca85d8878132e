//! What the tests of whole jobs share: a node, a source of made-up shards, a sink that keeps its rows.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir_runtime::control::{JobHandle, JobReport, JobSettings, Node, NodeSettings};
use weir_runtime::error::JobError;
use weir_runtime::pipeline::{Pipeline, RunCounters, WindowResult};
use weir_runtime::placement::Cores;
use weir_runtime::sink::{Sink, SinkContext, SinkWriter};
use weir_runtime::source::{
    BATCH_ITEMS_MAX, Inlet, Listing, LocalFuture, NativeTimestamps, Position, ShardInput, ShardListing, Source,
    SourceControl, SourceReader, StartPosition,
};
use weir_window::EventTime;

/// A node on as many cores as are wanted and allowed.
pub fn node(cores: usize) -> Node {
    let available = Cores::available().expect("a test runs somewhere").count();
    if available < cores {
        skip(&format!("in part: {cores} cores wanted, {available} allowed"));
    }
    Node::start(NodeSettings::on(Cores::first(cores.min(available)).expect("allowed"))).expect("a node starts")
}

/// Skips a test loudly; under CI a skipped test is a failed one.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "may not be skipped under CI: {reason}");
    eprintln!("SKIPPED: {reason}");
}

pub fn submit(node: &Node, pipeline: impl Fn(&Pipeline) + Send + Sync + 'static) -> Result<JobHandle, JobError> {
    node.submit(JobSettings::named("test"), Arc::new(pipeline))
}

pub fn total(report: &JobReport, counter: fn(&RunCounters) -> u64) -> u64 {
    report.workers.iter().map(counter).sum()
}

/// How a made-up shard ends.
#[derive(Clone)]
pub enum End {
    /// At children that it names.
    Children(Vec<&'static str>),
    /// Without a word.
    Over,
    /// Not at all.
    Never,
    /// It is gone, and nobody knows what follows it.
    Abandoned,
}

/// A made-up shard: what it holds are event times in ms.
#[derive(Clone)]
pub struct Script {
    pub name: &'static str,
    pub parents: Vec<&'static str>,
    /// Whether it is in the first listing; else it is only known once a parent names it.
    pub listed: bool,
    pub times: Vec<i64>,
    pub end: End,
}

/// A source of made-up shards.
#[derive(Clone, Default)]
pub struct Scripts {
    pub shards: Vec<Script>,
    /// `latest` was pinned to this time, in ms.
    pub started_at: Option<i64>,
    /// How often all of them are listed, those that were not at the start among them.
    pub discover_every: Option<Duration>,
}

impl Scripts {
    pub fn listing(&self, name: &str) -> ShardListing {
        let script = self.script(name);
        ShardListing {
            name: script.name.into(),
            parents: script.parents.iter().map(|parent| (*parent).into()).collect(),
            open: !matches!(script.end, End::Children(_)),
            position: StartPosition("its beginning".into()),
        }
    }

    fn script(&self, name: &str) -> &Script {
        self.shards.iter().find(|script| script.name == name).expect("a shard of the test")
    }
}

impl Source for Scripts {
    type Item = i64;
    fn describe(&self) -> String {
        format!("{} shards", self.shards.len())
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(self.clone())
    }
    fn reader(&self) -> Box<dyn SourceReader<i64>> {
        Box::new(self.clone())
    }
}

impl NativeTimestamps for Scripts {}

impl SourceControl for Scripts {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        let listed = self.shards.iter().filter(|script| script.listed);
        let shards = listed.map(|script| self.listing(script.name)).collect();
        let started_at = self.started_at.map(EventTime::from_millis);
        let listing = Listing { stream: "scripts".into(), shards, started_at, ..Listing::default() };
        Box::pin(async { Ok(listing) })
    }
    fn discover_every(&self) -> Option<Duration> {
        self.discover_every
    }
    fn discover(&mut self) -> LocalFuture<'_, Result<Vec<ShardListing>, JobError>> {
        let all = self.shards.iter().map(|script| self.listing(script.name)).collect();
        Box::pin(async { Ok(all) })
    }
}

impl SourceReader<i64> for Scripts {
    fn read(&self, shard: ShardListing, inlet: Inlet<i64>) -> LocalFuture<'static, Result<(), JobError>> {
        let scripts = self.clone();
        Box::pin(async move {
            let script = scripts.script(&shard.name);
            for chunk in script.times.chunks(BATCH_ITEMS_MAX / 16) {
                let times = chunk.iter().map(|ms| EventTime::from_millis(*ms)).collect();
                inlet.send(ShardInput::Items { items: chunk.to_vec(), times, position: Position::default() }).await;
            }
            match &script.end {
                End::Over => {}
                End::Never => std::future::pending().await,
                End::Abandoned => inlet.send(ShardInput::Abandoned).await,
                End::Children(names) => {
                    let children = names.iter().map(|name| scripts.listing(name)).collect();
                    inlet.send(ShardInput::Drained { children }).await;
                }
            }
            Ok(())
        })
    }
}

pub type Rows<K> = Arc<Mutex<Vec<WindowResult<u64, K>>>>;

/// Keeps rows for the test. `Arc` because workers are threads.
pub struct Keep<K>(pub Rows<K>);

impl<K: Send + 'static> Sink<WindowResult<u64, K>> for Keep<K> {
    fn describe(&self) -> String {
        "kept".to_owned()
    }
    fn open(&self, _cx: &SinkContext) -> Box<dyn SinkWriter<WindowResult<u64, K>>> {
        Box::new(Keep(self.0.clone()))
    }
}

impl<K> SinkWriter<WindowResult<u64, K>> for Keep<K> {
    fn ready(&self) -> bool {
        true
    }
    fn write(&mut self, items: &mut Vec<WindowResult<u64, K>>) {
        self.0.lock().expect("no test panics here").append(items);
    }
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}
