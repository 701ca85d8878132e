//! The driver of control: requests and events in, commands out, on the one unpinned executor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::assignment::{Assignments, owners};
use super::job::Job;
use super::{Ending, JobReport, JobSettings, JobStart, Until};
use futures_util::lock::Mutex;

use crate::error::JobError;
use crate::facade;
use crate::guarded::{guarded, guarded_async};
use crate::mailbox::{Receiver, Sender};
use crate::pipeline::graph::{Graph, Place};
use crate::pipeline::{Pipeline, PipelineFn, ShardLoss};
use crate::signal::Notifier;
use crate::source::{ShardListing, SourceControl, Stop};
use crate::worker::driver::{Command, Event, JobId, Start};
use crate::worker::link::links;
use weir_window::EventTime;

/// A drain may take the sizes of the windows + lag + the source's margin, and this much for polls, puts and scheduling.
const DRAIN_EXTRA: Duration = Duration::from_secs(4);

/// From any thread to control.
pub(crate) enum Request {
    Submit {
        settings: JobSettings,
        pipeline: Arc<PipelineFn>,
        reply: Sender<Result<(JobId, JobStart), JobError>>,
        ending: Arc<Ending>,
    },
    Drain(JobId),
    Cancel(JobId),
    Shutdown,
}

#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) commands: Sender<Command>,
    pub(crate) bell: Notifier,
}

pub(crate) struct ControlSettings {
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) events: Receiver<Event>,
    pub(crate) requests: Receiver<Request>,
}

/// All of control's state; shared by its few tasks on one executor, never borrowed across an await.
struct Control {
    workers: Vec<WorkerHandle>,
    assignments: Assignments,
    jobs: BTreeMap<JobId, Running>,
    next_job: JobId,
}

struct Running {
    job: Job,
    ending: Arc<Ending>,
    controls: Controls,
    /// How long a drain may take.
    patience: Duration,
    draining: bool,
}

type Shared = Rc<RefCell<Control>>;

/// The sources' parts on control: one task at a time asks them something.
type Controls = Rc<Mutex<Vec<Box<dyn SourceControl>>>>;

/// Runs until shut down.
pub(crate) async fn run_control(settings: ControlSettings) {
    let assignments = Assignments::new(settings.workers.len());
    let control = Control { workers: settings.workers, assignments, jobs: BTreeMap::new(), next_job: 1 };
    let control: Shared = Rc::new(RefCell::new(control));
    let (events, on_event) = (settings.events, control.clone());
    let listening = facade::spawn(async move {
        while let Some(event) = events.recv().await {
            on_event.borrow_mut().on_event(event);
        }
    });
    while let Some(request) = settings.requests.recv().await {
        match request {
            Request::Submit { settings, pipeline, reply, ending } => {
                let control = control.clone();
                facade::spawn(async move {
                    let started = submit(&control, settings, pipeline, ending).await;
                    // Whoever asked may have given up waiting.
                    let _ = reply.try_send(started);
                })
                .detach();
            }
            Request::Drain(job) => facade::spawn(drain(control.clone(), job)).detach(),
            Request::Cancel(job) => control.borrow_mut().cancel(job),
            Request::Shutdown => break,
        }
    }
    let jobs: Vec<JobId> = control.borrow().jobs.keys().copied().collect();
    jobs.iter().for_each(|job| control.borrow_mut().cancel(*job));
    while !control.borrow().jobs.is_empty() {
        facade::sleep(Duration::from_millis(1)).await;
    }
    control.borrow_mut().command_all(|| Command::Shutdown);
    let _ = listening.cancel().await;
}

/// From a pipeline function to runs on all workers.
async fn submit(
    control: &Shared,
    settings: JobSettings,
    pipeline: Arc<PipelineFn>,
    ending: Arc<Ending>,
) -> Result<(JobId, JobStart), JobError> {
    let built = guarded("while it was built", || Pipeline::build(&*pipeline, Place::Plan));
    let mut graph = built.map_err(|panic| {
        let message = format!("pipeline {} {}", settings.name, panic.message);
        JobError { message, ..panic }
    })??;
    let mut listings = Vec::new();
    for preparation in &graph.preparations {
        guarded_async("while a sink was prepared", move || preparation.prepare()).await?;
    }
    for source in &mut graph.controls {
        listings.push(guarded_async("while a source was prepared", move || source.prepare()).await?);
    }
    let until = match settings.until {
        Until::Stopped => None,
        Until::Now => Some(end_of_now(stop_time(&mut graph.controls).await?)),
    };
    let discover_every = graph.controls.iter().filter_map(|source| source.discover_every()).min();
    let (id, start) = control.borrow_mut().launch(&settings, pipeline, graph, listings, ending)?;
    if let Some(end) = until {
        control.borrow_mut().stop(id, Stop::Until(end));
    }
    if let Some(period) = discover_every {
        facade::spawn(discover(control.clone(), id, period)).detach();
    }
    Ok((id, start))
}

/// Sources without a clock of their own stop at once, whatever the time.
fn end_of_now(stop: Option<EventTime>) -> EventTime {
    stop.unwrap_or_else(|| EventTime::from_millis(facade::wall_clock_ms()))
}

/// Asks the sources for shards that opened since, again and again until the job ends.
async fn discover(control: Shared, id: JobId, period: Duration) {
    loop {
        // Jobs of many nodes do not all ask at once.
        facade::sleep(period.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        let Some(controls) = control.borrow().jobs.get(&id).map(|running| running.controls.clone()) else {
            return;
        };
        let mut controls = controls.lock().await;
        for (index, source) in controls.iter_mut().enumerate() {
            if source.discover_every().is_none() {
                continue;
            }
            match guarded_async("while a source was listed", move || source.discover()).await {
                Ok(shards) => control.borrow_mut().on_listing(id, index, shards),
                Err(error) => tracing::warn!("job {id}: its stream could not be listed: {error}; it is tried again"),
            }
        }
    }
}

/// Asks the sources for the stop time, tells the workers, and sees to it that the drain ends, asking included.
async fn drain(control: Shared, id: JobId) {
    let began = facade::now();
    let Some((controls, patience)) = control.borrow_mut().begin_drain(id) else {
        return;
    };
    let asked = futures_lite::future::or(async { Some(stop_time(&mut controls.lock().await).await) }, async {
        facade::sleep(patience).await;
        None
    });
    match asked.await {
        Some(Ok(end)) => {
            control.borrow_mut().stop(id, Stop::Drain(end));
        }
        // The job itself is well: it goes on for as long as a drain may, and only then is it cut off.
        Some(Err(error)) => tracing::warn!("job {id} cannot be drained: {error}; it is stopped in {patience:?}"),
        None => {}
    }
    facade::sleep(patience.saturating_sub(facade::now() - began)).await;
    let mut control = control.borrow_mut();
    if control.jobs.contains_key(&id) {
        tracing::warn!("job {id} did not drain within {patience:?}; what is still open is counted");
        control.cancel(id);
    }
}

/// The latest of the sources' stop times; `None` if none of them has a clock.
async fn stop_time(controls: &mut [Box<dyn SourceControl>]) -> Result<Option<EventTime>, JobError> {
    let mut end = None;
    for source in controls {
        let asked = guarded_async("while its stop time was asked for", move || source.stop_time());
        end = end.max(asked.await?);
    }
    Ok(end)
}

impl Control {
    fn launch(
        &mut self,
        settings: &JobSettings,
        pipeline: Arc<PipelineFn>,
        graph: Graph,
        listings: Vec<crate::source::Listing>,
        ending: Arc<Ending>,
    ) -> Result<(JobId, JobStart), JobError> {
        let worker_count = self.workers.len();
        let starts = Job::starts(&listings);
        let notes = listings.iter().flat_map(|listing| listing.notes.clone()).collect();
        let open = listings.iter().flat_map(|listing| &listing.shards).filter(|shard| shard.open).count();
        let endless = graph.controls.iter().any(|source| source.discover_every().is_some());
        let mut job = Job::new(worker_count, listings, endless);
        let attached = job.attach(&mut self.assignments);
        let owner_count = if graph.grouped { open } else { 1 };
        let owners = owners(worker_count, owner_count, &job.readers());
        let id = self.next_job;
        self.next_job += 1;
        let mut attachments: Vec<Vec<_>> = vec![Vec::new(); worker_count];
        attached.into_iter().for_each(|(worker, attachment)| attachments[worker].push(attachment));
        let bells: Vec<Notifier> = self.workers.iter().map(|worker| worker.bell.clone()).collect();
        // Seeds differ from job to job and from process to process, so that nobody can choose keys that collide.
        let seed = fastrand::u64(..);
        let digest = graph.digest();
        let drain_ms = u64::try_from(graph.drain_max.as_millis()).unwrap_or(0);
        let start = JobStart {
            owners: owners.to_vec(),
            shards: job.reading(),
            notes,
            window_size: graph.size_max,
            plan: graph.plan,
        };
        let running = Running {
            job,
            ending,
            controls: Rc::new(Mutex::new(graph.controls)),
            patience: Duration::from_millis(drain_ms).saturating_add(DRAIN_EXTRA),
            draining: false,
        };
        let _ = self.jobs.insert(id, running);
        let name: Arc<str> = settings.name.as_str().into();
        for ((worker, attachments), links) in attachments.into_iter().enumerate().zip(links(&bells, &owners)) {
            let start = Start {
                job: id,
                name: name.clone(),
                function: pipeline.clone(),
                digest,
                seed,
                owners: owners.clone(),
                listings: starts.clone(),
                links,
                attachments,
            };
            self.command(worker, Command::Start(Box::new(start)));
        }
        Ok((id, start))
    }

    fn on_event(&mut self, event: Event) {
        let (Event::Started(id)
        | Event::Drained(id, _)
        | Event::Lost(id, _)
        | Event::Settled(id, ..)
        | Event::Failed(id, _)
        | Event::Finished(id, ..)) = event;
        let Some(running) = self.jobs.get_mut(&id) else {
            return;
        };
        let job = &mut running.job;
        let failed = matches!(event, Event::Failed(..));
        match event {
            Event::Started(_) => {}
            Event::Drained(_, drained) => {
                job.on_drained(drained, &mut self.assignments);
                self.attach(id);
            }
            Event::Lost(_, ShardLoss { shard, loss }) => {
                tracing::error!("job {id}, shard {shard}: {}", loss.what);
                job.ledger.note(&shard, facade::wall_clock_ms(), loss);
            }
            Event::Settled(_, worker, attachments) => job.on_settled(worker, attachments),
            Event::Failed(_, error) => {
                tracing::debug!("job {id} failed: {error}");
                let _ = job.error.get_or_insert(error);
            }
            Event::Finished(_, worker, counters) => {
                if job.on_finished(worker, counters) {
                    let mut running = self.jobs.remove(&id).expect("found just now");
                    running.job.release(&mut self.assignments);
                    let report = JobReport {
                        workers: running.job.counters(),
                        error: running.job.error.take(),
                        ledger: running.job.take_ledger(),
                    };
                    running.ending.set(report);
                }
                return;
            }
        }
        if self.jobs.get_mut(&id).is_some_and(|running| running.job.begin_finish()) {
            self.command_all(|| Command::Finish(id));
        }
        if failed {
            self.command_all(|| Command::Hurry(id));
        }
    }

    fn on_listing(&mut self, id: JobId, source: usize, shards: Vec<ShardListing>) {
        if let Some(running) = self.jobs.get_mut(&id) {
            running.job.on_listing(source, shards, facade::wall_clock_ms());
            self.attach(id);
        }
    }

    /// Begins the shards that wait for nobody any more, and tells whom others have come to wait for.
    fn attach(&mut self, id: JobId) {
        let Some(running) = self.jobs.get_mut(&id) else {
            return;
        };
        let attached = running.job.attach(&mut self.assignments);
        let awaited = running.job.take_awaited();
        for (worker, attachment) in attached {
            self.command(worker, Command::Attach(id, attachment));
        }
        let mut changed = BTreeMap::<usize, Vec<_>>::new();
        for (worker, source, shard, awaited) in awaited {
            changed.entry(worker).or_default().push((source, shard, awaited));
        }
        changed.into_iter().for_each(|(worker, shards)| self.command(worker, Command::Await(id, shards)));
    }

    fn stop(&mut self, id: JobId, stop: Stop) {
        if let Some(running) = self.jobs.get_mut(&id) {
            running.job.on_stop();
            self.command_all(|| Command::Stop(id, stop));
        }
    }

    /// The sources' control parts and how long the drain may take; once a job.
    fn begin_drain(&mut self, id: JobId) -> Option<(Controls, Duration)> {
        let running = self.jobs.get_mut(&id).filter(|running| !running.draining)?;
        running.draining = true;
        Some((running.controls.clone(), running.patience))
    }

    /// Also what is finishing already, and whose sinks are waited for, ends soon.
    fn cancel(&mut self, id: JobId) {
        let Some(running) = self.jobs.get_mut(&id) else {
            return;
        };
        if running.job.force_finish() {
            self.command_all(|| Command::Finish(id));
        }
        self.command_all(|| Command::Hurry(id));
    }

    fn command_all(&self, mut command: impl FnMut() -> Command) {
        (0..self.workers.len()).for_each(|worker| self.command(worker, command()));
    }

    /// Never waits, or control and a worker could wait for each other.
    fn command(&self, worker: usize, command: Command) {
        let handle = &self.workers[worker];
        if handle.commands.try_send(command).is_err() {
            // A worker takes all its commands each turn; one that has not in so long is inside a closure for good.
            tracing::error!("worker {worker} does not take commands; a pipeline's closure on it does not return");
            std::process::exit(1);
        }
        handle.bell.notify();
    }
}
