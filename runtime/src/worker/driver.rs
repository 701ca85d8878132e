//! The driver of a worker: one loop on its executor that moves messages between queues and runs. It decides nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use weir_window::{Budget, ShardName};

use super::link::{Links, push};
use super::watch::Watch;
use super::{Attachment, BegunBefore, Run, RunSettings};
use crate::error::{JobError, Kind};
use crate::facade;
use crate::guarded::{guarded, guarded_async};
use crate::mailbox::{Receiver, Sender};
use crate::memory::MemoryBudget;
use crate::pipeline::{DrainedShard, PipelineFn, RunCounters, ShardLoss, SourceStart};
use crate::signal::{Listener, Notifier, signal};
use crate::sink::{SinkContext, SinkCounters};
use crate::source::Stop;

/// Entries that a run may slide, combine or emit in one turn: about 100 µs.
const TURN_ENTRIES: usize = 4_096;

/// How long the sinks of a job that was cancelled or has failed may go on writing what they took.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// How often a worker looks at shards in trouble while nothing wakes it.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Names a job in its process.
pub(crate) type JobId = u64;

/// What control tells a worker.
pub(crate) enum Command {
    Start(Box<Start>),
    /// One command for all of them: a job may have more shards than a mailbox has room.
    Lineage(JobId, Box<Lists>),
    Stop(JobId, Stop),
    /// Stop readers, flush sinks, report, forget.
    Finish(JobId),
    /// A job that finishes has waited long enough for its sinks.
    Hurry(JobId),
    Shutdown,
}

/// What has become of a job's shards, each with the index of its source.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) attach: Vec<Attachment>,
    /// Whether others wait for it.
    pub(crate) awaited: Vec<(usize, ShardName, bool)>,
    pub(crate) begun: Vec<BegunBefore>,
}

/// A job's beginning on one worker.
pub(crate) struct Start {
    pub(crate) job: JobId,
    pub(crate) name: Arc<str>,
    pub(crate) function: Arc<PipelineFn>,
    pub(crate) digest: u64,
    pub(crate) seed: u64,
    pub(crate) owners: Arc<[usize]>,
    pub(crate) listings: Vec<SourceStart>,
    pub(crate) links: Links,
    pub(crate) attachments: Vec<Attachment>,
}

/// What a worker tells control.
#[derive(Debug)]
pub(crate) enum Event {
    Started(JobId),
    Drained(JobId, DrainedShard),
    Lost(JobId, ShardLoss),
    /// Nothing left to do on this worker, which has seen so many attachments.
    Settled(JobId, usize, usize),
    Failed(JobId, JobError),
    Finished(JobId, usize, RunCounters),
}

/// What a worker's loop is made from.
pub(crate) struct WorkerSettings {
    pub(crate) worker: usize,
    pub(crate) worker_count: usize,
    pub(crate) memory: MemoryBudget,
    pub(crate) bell: Notifier,
    pub(crate) listener: Listener,
    pub(crate) commands: Receiver<Command>,
    pub(crate) events: Sender<Event>,
}

/// One job here: its machine, its queues, its readers.
struct Seat {
    /// For people: `on worker 3`.
    place: Arc<str>,
    name: Arc<str>,
    watch: Watch,
    run: Run,
    links: Links,
    readers: Vec<facade::Task<()>>,
    failures: Rc<RefCell<Vec<JobError>>>,
    attachments: usize,
    settled: bool,
    failed: bool,
}

/// Jobs whose sinks are being flushed, and how each is told to hurry.
type Finishing = Rc<RefCell<BTreeMap<JobId, Notifier>>>;

/// Runs until shut down.
pub(crate) async fn run_worker(mut settings: WorkerSettings) {
    let mut seats: BTreeMap<JobId, Seat> = BTreeMap::new();
    let finishing = Finishing::default();
    loop {
        let mut moved = false;
        while let Some(command) = settings.commands.try_recv() {
            moved = true;
            match command {
                Command::Start(start) => start_job(&settings, &mut seats, *start).await,
                Command::Lineage(job, lists) => {
                    if let Some(seat) = seats.get_mut(&job) {
                        seat.on_lineage(&settings, *lists);
                    }
                }
                Command::Stop(job, stop) => {
                    if let Some(seat) = seats.get_mut(&job) {
                        seat.run.stop(stop);
                        seat.settled = false;
                    }
                }
                Command::Finish(job) => match seats.remove(&job) {
                    Some(seat) => finish(&settings, job, seat, &finishing),
                    // It never began here; control waits for every worker all the same.
                    None => tell(&settings, Event::Finished(job, settings.worker, RunCounters::default())).await,
                },
                Command::Hurry(job) => finishing.borrow().get(&job).into_iter().for_each(Notifier::notify),
                Command::Shutdown => return,
            }
        }
        for (job, seat) in &mut seats {
            moved |= seat.turn(&settings, *job).await;
        }
        if moved {
            facade::yield_now().await;
        } else if seats.values().any(|seat| seat.watch.is_watching()) {
            // Who is in trouble may have nothing to say for long.
            futures_lite::future::or(settings.listener.wait(), facade::sleep(WATCH_EVERY)).await;
        } else {
            settings.listener.wait().await;
        }
    }
}

/// Control reads its mailbox without waiting for anything, so this waits briefly if at all.
async fn tell(settings: &WorkerSettings, event: Event) {
    // Control is gone only when the process is going; then nobody is left to be told.
    let _ = settings.events.send(event).await;
}

async fn start_job(settings: &WorkerSettings, seats: &mut BTreeMap<JobId, Seat>, start: Start) {
    let failures: Rc<RefCell<Vec<JobError>>> = Rc::default();
    let (told, bell) = (failures.clone(), settings.bell.clone());
    let sink = SinkContext {
        worker: settings.worker,
        job: start.name.clone(),
        waker: settings.bell.clone(),
        failure: Rc::new(move |error| {
            told.borrow_mut().push(error);
            bell.notify();
        }),
        counters: Rc::new(SinkCounters::default()),
    };
    let run = RunSettings {
        worker: settings.worker,
        worker_count: settings.worker_count,
        owners: start.owners,
        seed: start.seed,
        listings: start.listings,
        sink,
        memory: settings.memory.clone(),
    };
    let place: Arc<str> = format!("on worker {}", settings.worker).into();
    let run = match guarded(&place, || Run::build(&*start.function, run)).flatten() {
        Ok(run) => run,
        Err(error) => return tell(settings, Event::Failed(start.job, error)).await,
    };
    if run.digest() != start.digest {
        let message = format!("pipeline {} was built differently on worker {}", start.name, settings.worker);
        let error = JobError::settings(message)
            .with_remedy("a pipeline function must build the same stages each time it is called");
        return tell(settings, Event::Failed(start.job, error)).await;
    }
    let mut seat = Seat {
        place,
        name: start.name.clone(),
        watch: Watch::new(),
        run,
        links: start.links,
        readers: Vec::new(),
        failures,
        attachments: 0,
        settled: false,
        failed: false,
    };
    for attachment in start.attachments {
        seat.attach(settings, attachment);
    }
    let _ = seats.insert(start.job, seat);
    tell(settings, Event::Started(start.job)).await;
}

impl Seat {
    fn attach(&mut self, settings: &WorkerSettings, attachment: Attachment) {
        self.settled = false;
        self.attachments += 1;
        let shard = format!("shard {}", attachment.shard.name);
        let reading = match guarded(&self.place, || self.run.attach(attachment)) {
            Ok(reading) => reading,
            Err(error) => return self.failures.borrow_mut().push(error.at(shard)),
        };
        let (place, failures, bell) = (self.place.clone(), self.failures.clone(), settings.bell.clone());
        self.readers.push(facade::spawn(async move {
            if let Err(error) = guarded_async(place, || reading).await {
                failures.borrow_mut().push(error.at(shard));
                bell.notify();
            }
        }));
    }

    fn on_lineage(&mut self, settings: &WorkerSettings, lists: Lists) {
        // Those that have ended leave here: there is one for each shard the job ever reads.
        self.readers.retain_mut(|reader| reader.now_or_never().is_none());
        lists.attach.into_iter().for_each(|attachment| self.attach(settings, attachment));
        for (source, shard, awaited) in lists.awaited {
            self.run.on_awaited(source, &shard, awaited);
        }
        for begun in lists.begun {
            self.run.on_begun_before(begun);
        }
    }

    /// Says who holds event time, if it has stood for long.
    fn look(&mut self) {
        let now = facade::now();
        if self.watch.is_due(now)
            && let Some(said) = self.watch.on(self.run.troubled(), now)
        {
            tracing::warn!("job {}: {said}", self.name);
        }
    }

    /// Takes what came, gives the machine its turn, sends what it made. Returns whether anything moved.
    async fn turn(&mut self, settings: &WorkerSettings, job: JobId) -> bool {
        let mut moved = false;
        if !self.failed {
            let mut budget = Budget::of(TURN_ENTRIES);
            let place = self.place.clone();
            match guarded(&place, || self.receive() | self.run.step(&mut budget)) {
                Ok(more) => moved = more,
                Err(panic) => self.failures.borrow_mut().push(panic),
            }
        }
        let failures = std::mem::take(&mut *self.failures.borrow_mut());
        for error in failures {
            // The first failure is the reason; those that follow are its echoes.
            if !std::mem::replace(&mut self.failed, true) {
                tell(settings, Event::Failed(job, error)).await;
            }
        }
        if self.failed {
            // Whatever was left half done goes nowhere, and takes nothing more.
            return false;
        }
        moved |= self.send();
        self.look();
        for lost in self.run.take_lost() {
            tell(settings, Event::Lost(job, lost)).await;
        }
        for drained in self.run.take_drained() {
            tell(settings, Event::Drained(job, drained)).await;
        }
        if !self.settled && self.run.is_settled() {
            self.settled = true;
            tell(settings, Event::Settled(job, settings.worker, self.attachments)).await;
        }
        moved
    }

    fn receive(&mut self) -> bool {
        let mut moved = false;
        for link in &mut self.links.workers {
            let mut taken = false;
            while self.run.accepts(link.worker) {
                let Ok(message) = link.messages.pop() else {
                    break;
                };
                self.run.on_message(link.worker, message);
                taken = true;
            }
            if taken {
                // There is room again in what the other sends into.
                link.bell.notify();
                moved = true;
            }
        }
        for link in &mut self.links.owners {
            let mut taken = false;
            while let Ok(back) = link.returns.pop() {
                self.run.on_return(link.owner, back);
                taken = true;
            }
            if taken {
                link.bell.notify();
                moved = true;
            }
        }
        moved
    }

    fn send(&mut self) -> bool {
        let mut moved = false;
        for link in &mut self.links.owners {
            if self.run.send_to(link.owner, |message| push(&mut link.messages, message)) > 0 {
                link.bell.notify();
                moved = true;
            }
        }
        for link in &mut self.links.workers {
            if self.run.return_to(link.worker, |back| push(&mut link.returns, back)) > 0 {
                link.bell.notify();
                moved = true;
            }
        }
        moved
    }
}

/// Flushing may take as long as a service takes, so it does not hold up the loop; and no longer than `FLUSH_MAX` once it is
/// told to hurry.
fn finish(settings: &WorkerSettings, job: JobId, mut seat: Seat, finishing: &Finishing) {
    seat.run.stop(Stop::Cancel);
    let (worker, events) = (settings.worker, settings.events.clone());
    let (hurry, mut hurried) = signal();
    let _ = finishing.borrow_mut().insert(job, hurry);
    let finishing = finishing.clone();
    facade::spawn(async move {
        for reader in seat.readers.drain(..) {
            let _ = reader.cancel().await;
        }
        // What was noticed since the last turn, and since the failure if there was one.
        for lost in seat.run.take_lost() {
            let _ = events.send(Event::Lost(job, lost)).await;
        }
        // After a failure too: what sinks took before it is good, and one that failed for ever says so at once.
        let flushes = guarded(&seat.place, || seat.run.flush());
        let flushed = async {
            let flushes = match flushes {
                Ok(flushes) => flushes,
                Err(panic) => return Some(panic),
            };
            let flushes = flushes.into_iter().map(|flush| guarded_async(seat.place.clone(), || flush));
            join_all(flushes).await.into_iter().find_map(Result::err)
        };
        let given_up = async {
            hurried.wait().await;
            facade::sleep(FLUSH_MAX).await;
            Some(unflushed(seat.run.counters().pending()).at(format_args!("worker {worker}")))
        };
        if let Some(error) = futures_lite::future::or(flushed, given_up).await {
            let _ = events.send(Event::Failed(job, error)).await;
        }
        let _ = finishing.borrow_mut().remove(&job);
        let _ = events.send(Event::Finished(job, worker, seat.run.counters())).await;
    })
    .detach();
}

fn unflushed(left: u64) -> JobError {
    let message = format!("{left} items are not known to be written {} s after the stop", FLUSH_MAX.as_secs());
    JobError::new(Kind::Service, message).with_remedy("see the sink's warnings for what keeps it from writing")
}

#[cfg(test)]
mod tests;
