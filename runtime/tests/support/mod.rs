//! Sources and sinks that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use weir_runtime::error::{JobError, Kind};
use weir_runtime::facade;
use weir_runtime::ledger::{Loss, Reason};
use weir_runtime::sink::{Sink, SinkContext, SinkWriter};
use weir_runtime::source::{
    Inlet, Listing, LocalFuture, NativeTimestamps, Position, ShardInput, ShardListing, Source, SourceControl,
    SourceReader, StartPosition,
};
use weir_window::EventTime;

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

/// A source of two shards with the same hundred numbers in the same ten milliseconds; worker 1 reads its own a little later,
/// so that at each owner its deltas meet those of worker 0.
#[derive(Clone, Copy, Debug)]
pub struct Late;

impl Source for Late {
    type Item = u64;
    fn describe(&self) -> String {
        "late".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(*self)
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(*self)
    }
}

impl NativeTimestamps for Late {}

impl SourceControl for Late {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async { Ok(Listing { shards: vec![shard("0"), shard("1")], ..Listing::default() }) })
    }
}

impl SourceReader<u64> for Late {
    fn read(&self, _: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async move {
            if std::thread::current().name() == Some("worker-1") {
                facade::sleep(Duration::from_millis(50)).await;
            }
            for ms in [1, 1_000] {
                let times = vec![EventTime::from_millis(ms); 100];
                let items = ShardInput::Items { items: (0..100).collect(), times, position: Position::default() };
                inlet.send(items).await;
            }
            let _ = inlet.stop_changed(None).await;
            Ok(())
        })
    }
}

fn shard(name: &str) -> ShardListing {
    ShardListing { name: name.into(), parents: Vec::new(), open: true, position: StartPosition("0".into()) }
}

/// A source of one shard that notices a loss and then fails; or, if `full`, notices it while nobody takes what it sends.
#[derive(Clone, Default)]
pub struct Losing {
    pub full: bool,
    /// Whether it has come to its loss.
    pub noticed: Arc<AtomicBool>,
}

impl Source for Losing {
    type Item = u64;
    fn describe(&self) -> String {
        "losing".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(self.clone())
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(self.clone())
    }
}

impl SourceControl for Losing {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async { Ok(Listing { shards: vec![shard("0")], ..Listing::default() }) })
    }
}

impl SourceReader<u64> for Losing {
    fn read(&self, _: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        let Losing { full, noticed } = self.clone();
        Box::pin(async move {
            while full && inlet.try_send(ShardInput::Lagging { behind_ms: 1 }).is_ok() {}
            let loss = Loss { reason: Reason::Gap, records: None, range: None, what: "planted".to_owned() };
            noticed.store(true, Ordering::SeqCst);
            inlet.note_loss(loss);
            if full {
                std::future::pending::<()>().await;
            }
            Err(JobError::new(Kind::Service, "planted behind a loss"))
        })
    }
}

/// A sink that never takes anything.
pub struct Refusing;

impl<T: 'static> Sink<T> for Refusing {
    fn describe(&self) -> String {
        "refusing".to_owned()
    }
    fn open(&self, _: &SinkContext) -> Box<dyn SinkWriter<T>> {
        Box::new(Refusing)
    }
}

impl<T> SinkWriter<T> for Refusing {
    fn ready(&self) -> bool {
        false
    }
    fn write(&mut self, _: &mut Vec<T>) {
        unreachable!("it is never ready");
    }
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A silent source of one shard whose listings never come back.
#[derive(Clone, Default)]
pub struct Stalled(pub Arc<Seen>);

/// What became of a source's part on control.
#[derive(Default)]
pub struct Seen {
    pub listings: AtomicUsize,
    /// Parts that are there now.
    pub parts: AtomicUsize,
}

struct StalledControl(Arc<Seen>);

impl Drop for StalledControl {
    fn drop(&mut self) {
        let _ = self.0.parts.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source for Stalled {
    type Item = u64;
    fn describe(&self) -> String {
        "stalled".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        let _ = self.0.parts.fetch_add(1, Ordering::SeqCst);
        Box::new(StalledControl(self.0.clone()))
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(self.clone())
    }
}

impl NativeTimestamps for Stalled {}

impl SourceControl for StalledControl {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async { Ok(Listing { shards: vec![shard("0")], ..Listing::default() }) })
    }
    fn discover_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(2))
    }
    fn discover(&mut self) -> LocalFuture<'_, Result<Vec<ShardListing>, JobError>> {
        let _ = self.0.listings.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }
}

impl SourceReader<u64> for Stalled {
    fn read(&self, _: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async move {
            let _ = inlet.stop_changed(None).await;
            Ok(())
        })
    }
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

/// A source of one shard, or a sink, that breaks in one place; elsewhere it is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A task that its reader spawned panics.
    Task,
    /// Discovery panics.
    Prepare,
    /// Discovery panics after it has waited.
    PrepareLater,
    /// Making the reader's future panics.
    Read,
    /// The reader's future panics after it has waited.
    ReadLater,
    /// The stop time's future panics.
    StopTime,
    /// The stop time never comes.
    NoStopTime,
    /// The sink's preparation panics.
    SinkPrepare,
    /// Making the sink's flush panics.
    Flush,
    /// The sink's flush panics after it has waited.
    FlushLater,
}

/// How often a stop time was asked for, in this process.
pub static STOP_TIMES_ASKED: AtomicUsize = AtomicUsize::new(0);

impl Broken {
    fn breaks(self, here: Broken) {
        assert!(self != here, "planted in {here:?}");
    }

    async fn breaks_later(self, here: Broken) {
        facade::yield_now().await;
        self.breaks(here);
    }
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
        self.breaks(Broken::Prepare);
        Box::pin(async {
            self.breaks_later(Broken::PrepareLater).await;
            Ok(Listing { shards: vec![shard("0")], ..Listing::default() })
        })
    }
    fn stop_time(&mut self) -> LocalFuture<'_, Result<Option<EventTime>, JobError>> {
        Box::pin(async {
            STOP_TIMES_ASKED.fetch_add(1, Ordering::SeqCst);
            self.breaks_later(Broken::StopTime).await;
            if *self == Broken::NoStopTime {
                std::future::pending::<()>().await;
            }
            Ok(None)
        })
    }
}

impl SourceReader<u64> for Broken {
    fn read(&self, _: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        let broken = *self;
        broken.breaks(Broken::Read);
        Box::pin(async move {
            broken.breaks_later(Broken::ReadLater).await;
            if broken == Broken::Task {
                facade::spawn(broken.breaks_later(Broken::Task)).detach();
            }
            let _ = inlet.stop_changed(None).await;
            Ok(())
        })
    }
}

impl<T: 'static> Sink<T> for Broken {
    fn describe(&self) -> String {
        format!("broken: {self:?}")
    }
    fn prepare(&self) -> LocalFuture<'_, Result<(), JobError>> {
        self.breaks(Broken::SinkPrepare);
        Box::pin(async { Ok(()) })
    }
    fn open(&self, _: &SinkContext) -> Box<dyn SinkWriter<T>> {
        Box::new(*self)
    }
}

impl<T> SinkWriter<T> for Broken {
    fn ready(&self) -> bool {
        true
    }
    fn write(&mut self, items: &mut Vec<T>) {
        items.clear();
    }
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        let broken = *self;
        broken.breaks(Broken::Flush);
        Box::pin(async move {
            broken.breaks_later(Broken::FlushLater).await;
            Ok(())
        })
    }
}
