//! The driver of control: requests and events in, commands out, on the one unpinned executor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::assignment::{Assignments, owners};
use super::job::Job;
use super::sources::{SourcePart, discover, stop_time};
use super::{Ending, JobReport, JobSettings, JobStart, Until};

use crate::error::JobError;
use crate::facade;
use crate::guarded::{guarded, guarded_async};
use crate::mailbox::{Receiver, Sender};
use crate::pipeline::graph::{Graph, Place};
use crate::pipeline::{Pipeline, PipelineFn, ShardLoss};
use crate::signal::Notifier;
use crate::source::{Listing, ShardListing, Stop};
use crate::worker::driver::{Command, Event, JobId, Lists, Start};
use crate::worker::link::links;
use weir_window::EventTime;

/// A drain may take the sizes of the windows + lag + the source's margin, and this much: a stop time may lie 1 s and a call
/// ahead of the service's clock, the estimate that has to pass it 1 s and a call behind, a silent shard is asked once a
/// second, and a second is for puts and scheduling. What calls take comes on top, see [`with_calls`].
const DRAIN_EXTRA: Duration = Duration::from_secs(4);

/// Calls that a drain waits for one after the other: the poll under way at the stop, the one that proves it, a put.
const CALLS_OF_A_DRAIN: u32 = 3;
/// Longer than a call should take; asking for the stop time may have waited out an outage.
const CALL_MAX: Duration = Duration::from_secs(2);

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
    sources: Rc<[SourcePart]>,
    /// How long a drain may take.
    patience: Duration,
    draining: bool,
    /// Discovery and the drain: they end with the job, whatever they wait for.
    tasks: Vec<facade::Task<()>>,
}

/// A job that was checked and listed.
struct Prepared {
    settings: JobSettings,
    pipeline: Arc<PipelineFn>,
    graph: Graph,
    sources: Rc<[SourcePart]>,
    listings: Vec<Listing>,
    ending: Arc<Ending>,
}

type Shared = Rc<RefCell<Control>>;

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
            Request::Drain(job) => begin_drain(&control, job),
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
    for preparation in &graph.preparations {
        guarded_async("while a sink was prepared", move || preparation.prepare()).await?;
    }
    let sources: Rc<[SourcePart]> = std::mem::take(&mut graph.controls).into_iter().map(SourcePart::new).collect();
    let mut listings = Vec::new();
    for source in sources.iter() {
        listings.push(source.prepare().await?);
    }
    let until = match settings.until {
        Until::Stopped => None,
        Until::Now => Some(end_of_now(stop_time(&sources).await?)),
    };
    let prepared = Prepared { settings, pipeline, graph, sources: sources.clone(), listings, ending };
    let (id, start) = control.borrow_mut().launch(prepared);
    if let Some(end) = until {
        control.borrow_mut().stop(id, Stop::Until(end));
    }
    for (index, source) in sources.iter().enumerate() {
        let Some(period) = source.discover_every else { continue };
        let on_listing = control.clone();
        let on_listing = move |shards| on_listing.borrow_mut().on_listing(id, index, shards);
        let task = facade::spawn(discover(sources.clone(), index, period, id, on_listing));
        control.borrow_mut().keep_task(id, task);
    }
    Ok((id, start))
}

/// Sources without a clock of their own stop at once, whatever the time.
fn end_of_now(stop: Option<EventTime>) -> EventTime {
    stop.unwrap_or_else(|| EventTime::from_millis(facade::wall_clock_ms()))
}

/// Once a job. A task may begin where it is spawned, so nothing is borrowed there.
fn begin_drain(control: &Shared, id: JobId) {
    let Some((sources, patience)) = control.borrow_mut().begin_drain(id) else {
        return;
    };
    let draining = facade::spawn(drain(control.clone(), id, sources, patience));
    control.borrow_mut().keep_task(id, draining);
}

/// Asks the sources for the stop time, tells the workers, and sees to it that the drain ends, asking included.
async fn drain(control: Shared, id: JobId, sources: Rc<[SourcePart]>, patience: Duration) {
    let began = facade::now();
    let asked = futures_lite::future::or(async { Some(stop_time(&sources).await) }, async {
        facade::sleep(patience).await;
        None
    });
    let asked = asked.await;
    // One that never came says nothing of how long a call takes.
    let patience = asked.as_ref().map_or(patience, |_| with_calls(patience, facade::now() - began));
    match asked {
        Some(Ok(end)) => {
            control.borrow_mut().stop(id, Stop::Drain(end));
        }
        // The job itself is well: it goes on for as long as a drain may, and only then is it cut off.
        Some(Err(error)) => tracing::warn!("job {id} cannot be drained: {error}; it is stopped in {patience:?}"),
        None => {}
    }
    facade::sleep(patience.saturating_sub(facade::now() - began)).await;
    tracing::warn!("job {id} did not drain within {patience:?}; what is still open is counted");
    control.borrow_mut().cancel(id);
}

/// The limit of a drain where asking for the stop time, a call there and back, took `asked`: nearby that is nothing.
fn with_calls(patience: Duration, asked: Duration) -> Duration {
    patience.saturating_add(asked.min(CALL_MAX) * CALLS_OF_A_DRAIN)
}

impl Control {
    fn launch(&mut self, prepared: Prepared) -> (JobId, JobStart) {
        let Prepared { settings, pipeline, graph, sources, listings, ending } = prepared;
        let worker_count = self.workers.len();
        let starts = Job::starts(&listings);
        let notes = listings.iter().flat_map(|listing| listing.notes.clone()).collect();
        let open = listings.iter().flat_map(|listing| &listing.shards).filter(|shard| shard.open).count();
        let endless = sources.iter().any(|source| source.discover_every.is_some());
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
            sources,
            patience: Duration::from_millis(drain_ms).saturating_add(DRAIN_EXTRA),
            draining: false,
            tasks: Vec::new(),
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
        (id, start)
    }

    /// A task that ends with its job; at once if that has ended already.
    fn keep_task(&mut self, id: JobId, task: facade::Task<()>) {
        if let Some(running) = self.jobs.get_mut(&id) {
            running.tasks.push(task);
        }
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
                job.on_failed(error);
            }
            Event::Finished(_, worker, counters) => {
                if job.on_finished(worker, counters) {
                    let mut running = self.jobs.remove(&id).expect("found just now");
                    running.job.release(&mut self.assignments);
                    let report = JobReport {
                        workers: running.job.counters(),
                        error: running.job.take_error(),
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
            self.hurry(id);
        }
    }

    fn on_listing(&mut self, id: JobId, source: usize, shards: Vec<ShardListing>) {
        if let Some(running) = self.jobs.get_mut(&id) {
            running.job.on_listing(source, shards, facade::wall_clock_ms());
            self.attach(id);
        }
    }

    /// Begins the shards that wait for nobody any more, and tells whom others have come to wait for or waited for in vain.
    fn attach(&mut self, id: JobId) {
        let Some(running) = self.jobs.get_mut(&id) else {
            return;
        };
        let attached = running.job.attach(&mut self.assignments);
        let (awaited, begun) = (running.job.take_awaited(), running.job.take_begun());
        // One command a worker for all of them: there may be more shards than a mailbox has room.
        let mut lists = BTreeMap::<usize, Lists>::new();
        for (worker, attachment) in attached {
            lists.entry(worker).or_default().attach.push(attachment);
        }
        for (worker, source, shard, awaited) in awaited {
            lists.entry(worker).or_default().awaited.push((source, shard, awaited));
        }
        for (worker, begun) in begun {
            lists.entry(worker).or_default().begun.push(begun);
        }
        lists.into_iter().for_each(|(worker, lists)| self.command(worker, Command::Lineage(id, Box::new(lists))));
    }

    fn stop(&mut self, id: JobId, stop: Stop) {
        if let Some(running) = self.jobs.get_mut(&id) {
            running.job.on_stop();
            self.command_all(|| Command::Stop(id, stop));
        }
    }

    /// The sources and how long the drain may take; once a job.
    fn begin_drain(&mut self, id: JobId) -> Option<(Rc<[SourcePart]>, Duration)> {
        let running = self.jobs.get_mut(&id).filter(|running| !running.draining)?;
        running.draining = true;
        Some((running.sources.clone(), running.patience))
    }

    /// Also what is finishing already, and whose sinks are waited for, ends soon.
    fn cancel(&mut self, id: JobId) {
        let Some(running) = self.jobs.get_mut(&id) else {
            return;
        };
        if running.job.force_finish() {
            self.command_all(|| Command::Finish(id));
        }
        self.hurry(id);
    }

    fn hurry(&mut self, id: JobId) {
        if self.jobs.get_mut(&id).is_some_and(|running| running.job.hurry()) {
            self.command_all(|| Command::Hurry(id));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drain_of_a_far_endpoint_may_take_its_calls_longer_and_no_outage() {
        let limit = Duration::from_secs(10);
        assert_eq!(with_calls(limit, Duration::ZERO), limit);
        assert_eq!(with_calls(limit, Duration::from_millis(300)), Duration::from_millis(10_900));
        assert_eq!(with_calls(limit, Duration::from_secs(60)), Duration::from_secs(16));
    }
}
