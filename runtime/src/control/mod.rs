//! Jobs on a node: submitted, drained, cancelled and joined from any thread; never in the way of a record.

mod assignment;
mod driver;
mod job;
mod lineage;
mod sources;

pub use assignment::{Assignments, owners};
pub use job::Job;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use weir_window::{ShardName, TimeSpan};

use crate::error::{JobError, Kind};
use crate::facade::{self, EnvironmentError, ExecutorHandle, ExecutorSettings};
use crate::ledger::Ledger;
use crate::mailbox::{Sender, mailbox};
use crate::memory::MemoryBudget;
use crate::pipeline::{PipelineFn, RunCounters};
use crate::placement::Cores;
use crate::signal::signal;
use crate::worker::driver::{Command, JobId, WorkerSettings, run_worker};
use driver::{ControlSettings, Request, WorkerHandle, run_control};

/// Requests that may wait for control, commands that may wait for a worker, events that may wait for control. A worker
/// takes all its commands each turn and control all its events, so only a closure that does not return fills them.
const MAILBOX_BOUND: usize = 1_024;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// One worker is pinned to each.
    pub cores: Cores,
    /// Fetched bytes and arenas together.
    pub memory_bytes: u64,
}

impl NodeSettings {
    /// These cores and 1 GiB.
    pub fn on(cores: Cores) -> NodeSettings {
        NodeSettings { cores, memory_bytes: 1 << 30 }
    }
}

/// Workers on their cores and one control executor beside them.
pub struct Node {
    requests: Sender<Request>,
    control: Option<ExecutorHandle>,
    workers: Vec<ExecutorHandle>,
    cores: Cores,
    memory: MemoryBudget,
}

/// What a job is submitted with.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// For people and logs.
    pub name: String,
    /// Until when it runs.
    pub until: Until,
}

impl JobSettings {
    /// A job that runs until it is stopped.
    pub fn named(name: impl Into<String>) -> JobSettings {
        JobSettings { name: name.into(), until: Until::Stopped }
    }
}

/// Until when a job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Somebody stops it, or its sources end.
    #[default]
    Stopped,
    /// It has read everything that was there when it started, however long that takes; windows that reach beyond that
    /// moment fire then, flagged as partial.
    Now,
}

/// What a job got when it started.
#[derive(Clone, Debug)]
pub struct JobStart {
    /// Workers that own a hash range of its keys.
    pub owners: Vec<usize>,
    /// Its shards and the workers that read them.
    pub shards: Vec<(ShardName, usize)>,
    /// What its sources had to say, such as which history is skipped.
    pub notes: Vec<String>,
    /// Its largest window.
    pub window_size: TimeSpan,
    /// Its plan, a line a stage.
    pub plan: Vec<String>,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobReport {
    /// What each worker did, in order.
    pub workers: Vec<RunCounters>,
    /// Why it failed, if it did.
    pub error: Option<JobError>,
    /// What it lost, left out or perhaps repeated.
    pub ledger: Ledger,
}

/// A running job, from any thread.
#[derive(Clone)]
pub struct JobHandle {
    job: JobId,
    requests: Sender<Request>,
    ending: Arc<Ending>,
    start: Arc<JobStart>,
}

/// Where a job's report is put and waited for.
#[derive(Default)]
pub(crate) struct Ending {
    report: Mutex<Option<JobReport>>,
    ended: Condvar,
}

impl Ending {
    pub(crate) fn set(&self, report: JobReport) {
        let mut slot = self.report.lock().expect("nobody panics while holding a report");
        let _ = slot.get_or_insert(report);
        self.ended.notify_all();
    }
}

impl From<EnvironmentError> for JobError {
    fn from(error: EnvironmentError) -> JobError {
        JobError::new(Kind::Environment, error.message).with_remedy(error.remedy)
    }
}

impl Node {
    /// Pins a worker to each core and starts control.
    ///
    /// Errors: what this host does not allow, in a sentence with the remedy.
    pub fn start(settings: NodeSettings) -> Result<Node, JobError> {
        let mut started = Started::default();
        let node = Node::start_all(settings, &mut started);
        if node.is_err() {
            started.end();
        }
        node
    }

    fn start_all(settings: NodeSettings, started: &mut Started) -> Result<Node, JobError> {
        let memory = MemoryBudget::of(settings.memory_bytes);
        let (events, events_in) = mailbox(MAILBOX_BOUND);
        let (requests, requests_in) = mailbox(MAILBOX_BOUND);
        let mut handles = Vec::new();
        let worker_count = settings.cores.count();
        for (worker, core) in settings.cores.ids().iter().copied().enumerate() {
            let (commands, commands_in) = mailbox(MAILBOX_BOUND);
            let (bell, listener) = signal();
            let handle = WorkerHandle { commands, bell: bell.clone() };
            let (memory, events) = (memory.clone(), events.clone());
            let name = format!("worker-{worker}");
            let make = move || {
                run_worker(WorkerSettings {
                    worker,
                    worker_count,
                    memory,
                    bell,
                    listener,
                    commands: commands_in,
                    events,
                })
            };
            let executor = facade::start_executor(ExecutorSettings { name, core: Some(core) }, make)?;
            started.0.push((handle.clone(), executor));
            handles.push(handle);
        }
        drop(events);
        let control = ControlSettings { workers: handles, events: events_in, requests: requests_in };
        let executor = ExecutorSettings { name: "control".to_owned(), core: None };
        let control = facade::start_executor(executor, move || run_control(control))?;
        let workers = started.0.drain(..).map(|(_, executor)| executor).collect();
        Ok(Node { requests, control: Some(control), workers, cores: settings.cores, memory })
    }

    /// The cores of the workers, in their order.
    pub fn cores(&self) -> &Cores {
        &self.cores
    }

    /// The process-wide budget.
    pub fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    /// Checks the pipeline, lists its shards and starts it; returns when it runs. Blocks: not for executors.
    ///
    /// Errors: what is wrong with the pipeline, or what the service refused for good.
    pub fn submit(&self, settings: JobSettings, pipeline: Arc<PipelineFn>) -> Result<JobHandle, JobError> {
        let (reply, replied) = mailbox(1);
        let ending = Arc::new(Ending::default());
        let submit = Request::Submit { settings, pipeline, reply, ending: ending.clone() };
        let gone = || JobError::bug("control is gone");
        self.requests.send_blocking(submit).map_err(|_| gone())?;
        let (job, start) = replied.recv_blocking().ok_or_else(gone)??;
        Ok(JobHandle { job, requests: self.requests.clone(), ending, start: Arc::new(start) })
    }

    /// Cancels what still runs and ends the executors. Blocks until they have ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(control) = self.control.take() else {
            return;
        };
        let _ = self.requests.send_blocking(Request::Shutdown);
        for executor in std::iter::once(control).chain(self.workers.drain(..)) {
            if let Err(panic) = executor.join() {
                // Those behind it wait for what it will never say; and a node that broke has not done what it was told.
                tracing::error!("{panic}; this is a bug in Weir, please report it");
                std::process::exit(1);
            }
        }
    }
}

/// Workers that run while the rest of their node is being started.
#[derive(Default)]
struct Started(Vec<(WorkerHandle, ExecutorHandle)>);

impl Started {
    /// Ends them, for there will be no node: they would hold their cores for ever.
    fn end(self) {
        for (worker, _) in &self.0 {
            // It has room: nobody has sent it anything yet.
            let _ = worker.commands.try_send(Command::Shutdown);
            worker.bell.notify();
        }
        for (_, executor) in self.0 {
            if let Err(panic) = executor.join() {
                tracing::error!("{panic}; this is a bug in Weir, please report it");
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

impl JobHandle {
    /// What the job got when it started.
    pub fn start(&self) -> &JobStart {
        &self.start
    }

    /// Ends the job without loss: its sources fix a stop time and are read until the last windows have fired.
    /// Returns at once; [`JobHandle::join`] waits.
    pub fn drain(&self) {
        // A node that is gone has ended its jobs.
        let _ = self.requests.send_blocking(Request::Drain(self.job));
    }

    /// Ends the job without draining: sources stop, sinks are flushed for at most 2 s. Returns at once.
    pub fn cancel(&self) {
        let _ = self.requests.send_blocking(Request::Cancel(self.job));
    }

    /// Waits for the job's end.
    pub fn join(&self) -> JobReport {
        let slot = self.ending.report.lock().expect("nobody panics while holding a report");
        let slot = self.ending.ended.wait_while(slot, |report| report.is_none());
        slot.expect("nobody panics while holding a report").clone().expect("waited for it")
    }

    /// Waits for the job's end, but not longer than this.
    pub fn join_for(&self, patience: Duration) -> Option<JobReport> {
        let slot = self.ending.report.lock().expect("nobody panics while holding a report");
        let slot = self.ending.ended.wait_timeout_while(slot, patience, |report| report.is_none());
        slot.expect("nobody panics while holding a report").0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_that_cannot_start_leaves_no_worker_on_its_core() {
        let allowed = Cores::available().expect("a test runs somewhere").ids()[0];
        let settings = NodeSettings::on(Cores::unchecked(vec![allowed, 100_000]));
        let error = Node::start(settings).err().expect("there is no such core");
        assert_eq!(error.message, "core 100000 may not be used by this process");
        let workers = || {
            let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
            let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
            names.filter(|name| name.starts_with("worker-")).count()
        };
        // The kernel lists a thread for a moment after it was joined.
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            workers() == 0
        });
        assert!(gone, "{} workers are left", workers());
    }
}
