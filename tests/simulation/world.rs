//! The loop: one queue of (virtual time, event), one seed, and every machine of a job in one thread.
//!
//! ```text
//! publisher -> stream model <- calls (delayed, lost, throttled) <- readers (polling machines)
//!                                                                    | inlets
//! queues of capacity 1 or 16 between workers <-> runs (fold, hand over, slide, emit) -> rows
//! ```

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use weir_kinesis::local::model::{CreateStreamRequest, IteratorPosition, Model, ModelSettings, PutEntry};
use weir_kinesis::protocol::polling::{Action, Input, IteratorFrom, Polling, PollingSettings};
use weir_kinesis::protocol::position::ReadFrom;
use weir_kinesis::protocol::service_clock::{ServiceClock, Timing};
use weir_kinesis::protocol::{ErrorKind, Moment};
use weir_kinesis::record::RecordBatchBuilder;
use weir_runtime::exchange::{Message, Return};
use weir_runtime::memory::MemoryBudget;
use weir_runtime::pipeline::{PipelineFn, RunCounters, SourceStart};
use weir_runtime::signal::{Listener, signal};
use weir_runtime::sink::{SinkContext, SinkCounters};
use weir_runtime::source::{ShardListing, StartPosition, Stop};
use weir_runtime::worker::{Attachment, Run, RunSettings};
use weir_window::{Budget, EventTime};

use super::check::Ledger;
use super::history::History;
use super::reader::{Reader, answer_of};
use super::stage;

pub const STREAM: &str = "Tweets";
/// The service's clock at virtual time zero and skew zero.
const EPOCH_MS: i64 = 1_800_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
const CALL_TIMEOUT_NS: u64 = 1_000 * NS_PER_MS;
/// Beyond what lag, margin, size and the worst run of faults can take, nothing has to move any more.
const PATIENCE_MS: i64 = 300_000;

#[derive(Debug)]
pub enum Event {
    Put,
    Start(usize),
    Turn(usize),
    Wake(usize),
    /// A request reaches the service.
    Serve {
        reader: usize,
        action: Action,
        sent: Moment,
    },
    Answer {
        reader: usize,
        input: Box<Input>,
        timing: Option<Timing>,
    },
    Barrier(u64),
    Stop,
}

struct Scheduled {
    at_ns: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.order == other.order
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.at_ns, self.order).cmp(&(other.at_ns, other.order))
    }
}

struct Worker {
    run: Option<Run>,
    clock: ServiceClock,
    /// Kept so that notifiers have somebody to notify; the world gives turns by its own clock.
    _listener: Option<Listener>,
}

pub struct World {
    history: History,
    rng: fastrand::Rng,
    now_ns: u64,
    order: u64,
    events: BinaryHeap<Reverse<Scheduled>>,
    model: Model,
    function: Arc<PipelineFn>,
    workers: Vec<Worker>,
    owners: Arc<[usize]>,
    readers: Vec<Reader>,
    /// By sender, then receiver.
    messages: Vec<Vec<VecDeque<Message>>>,
    returns: Vec<Vec<VecDeque<Return>>>,
    listing: Vec<ShardListing>,
    memory: MemoryBudget,
    ledger: Ledger,
    cuts: u64,
    barriers: u64,
}

/// What a history came to.
#[derive(Debug)]
pub struct Outcome {
    pub rows: Vec<stage::Row>,
    pub records: u64,
    pub counters: Vec<RunCounters>,
    pub cuts: u64,
    /// Memory that deltas, panes and directories were charged with at the end.
    pub held_bytes: u64,
}

impl World {
    /// Plays one history to its end and checks it.
    pub fn play(history: History) -> Result<Outcome, String> {
        let mut world = World::new(history);
        let deadline_ms = world.history.before_ms + world.history.run_ms + PATIENCE_MS;
        while let Some(Reverse(scheduled)) = world.events.pop() {
            world.now_ns = scheduled.at_ns;
            if world.now_ns / NS_PER_MS > deadline_ms.unsigned_abs() {
                return Err(format!("nothing settled after {deadline_ms} ms; {}", world.describe()));
            }
            world.on(scheduled.event)?;
            if world.is_settled() {
                return world.finish();
            }
        }
        Err("the world stood still".to_owned())
    }

    fn new(history: History) -> World {
        let mut rng = fastrand::Rng::with_seed(history.seed ^ 0x5eed);
        let mut model = Model::new(ModelSettings {
            seed: history.seed,
            create_delay_ms: 0,
            empty_page_one_in: history.empty_page_one_in,
            ..ModelSettings::default()
        });
        let epoch = EPOCH_MS + history.clock_skew_ms;
        model
            .create_stream(epoch, CreateStreamRequest::provisioned(STREAM, history.shards))
            .expect("a fresh model takes a stream");
        let function = stage::pipeline(&history);
        stage::with(|shared| {
            *shared = stage::Shared {
                sink_refuses: history.sink_refuses,
                rng: fastrand::Rng::with_seed(history.seed ^ 0x51),
                ..stage::Shared::default()
            }
        });
        let count = history.workers;
        // Any number of owners must do, not only the default.
        let mut owners: Vec<usize> = (0..count).collect();
        rng.shuffle(&mut owners);
        owners.truncate(rng.usize(1..=count.min(4)));
        owners.sort_unstable();
        let workers = (0..count).map(|_| Worker { run: None, clock: ServiceClock::new(), _listener: None });
        let mut world = World {
            ledger: Ledger::new(&history),
            rng,
            now_ns: 0,
            order: 0,
            events: BinaryHeap::new(),
            model,
            function,
            workers: workers.collect(),
            owners: owners.into(),
            readers: Vec::new(),
            messages: (0..count).map(|_| (0..count).map(|_| VecDeque::new()).collect()).collect(),
            returns: (0..count).map(|_| (0..count).map(|_| VecDeque::new()).collect()).collect(),
            listing: Vec::new(),
            cuts: 0,
            barriers: 0,
            memory: MemoryBudget::of(1 << 30),
            history,
        };
        world.schedule(0, Event::Put);
        let start_ns = world.history.before_ms.unsigned_abs() * NS_PER_MS;
        let stop_ns = start_ns + world.history.run_ms.unsigned_abs() * NS_PER_MS;
        for worker in 0..count {
            let delay_us = world.draw(&world.history.start_delay_us.clone());
            world.schedule(start_ns + 1 + delay_us * 1_000, Event::Start(worker));
        }
        // A stop before the last worker has started is what an impatient operator does.
        world.schedule(stop_ns, Event::Stop);
        if world.history.barrier_every_ms > 0 {
            world.schedule(start_ns, Event::Barrier(1));
        }
        world
    }

    fn draw(&mut self, range: &std::ops::Range<u64>) -> u64 {
        self.rng.u64(range.clone())
    }

    fn schedule(&mut self, at_ns: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse(Scheduled { at_ns, order: self.order, event }));
    }

    fn now(&self) -> Moment {
        Moment::from_nanos(self.now_ns)
    }

    fn service_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.now_ns / NS_PER_MS).expect("histories are short");
        EPOCH_MS + self.history.clock_skew_ms + elapsed
    }

    fn on(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Put => self.put(),
            Event::Start(worker) => self.start(worker),
            Event::Turn(worker) => return self.turn(worker),
            Event::Wake(reader) => self.step_reader(reader, Input::Wake)?,
            Event::Serve { reader, action, sent } => self.serve(reader, &action, sent),
            Event::Answer { reader, input, timing } => {
                let worker = self.readers[reader].worker;
                if let Some(timing) = timing {
                    self.workers[worker].clock.on_answer(timing);
                }
                self.step_reader(reader, *input)?;
            }
            Event::Barrier(checkpoint) => self.barrier(checkpoint),
            Event::Stop => self.stop(),
        }
        Ok(())
    }

    fn put(&mut self) {
        if self.ledger.stop_ms().is_some() && !self.history.publish_after_stop {
            return;
        }
        let now_ms = self.service_ms();
        let keys: Vec<String> = (0..self.rng.u64(1..=self.history.burst_max))
            .map(|_| format!("key-{}", self.rng.u64(..self.history.keys)))
            .collect();
        let entries = keys.iter().map(|key| PutEntry {
            partition_key: key,
            explicit_hash_key: None,
            data: bytes::Bytes::from_static(b"tweet"),
        });
        let entries = entries.collect();
        let placed = self.model.put_records(now_ms, STREAM, entries).expect("small records are taken");
        for (key, placed) in keys.into_iter().zip(placed) {
            let placed = placed.expect("the model has no limits yet");
            self.ledger.on_put(&placed.shard.to_string(), placed.sequence.to_string(), now_ms, key);
        }
        let next_us = self.draw(&self.history.put_every_us.clone());
        self.schedule(self.now_ns + next_us * 1_000, Event::Put);
    }

    /// What control does before any worker begins: list, pin `T0`, assign.
    fn prepare(&mut self) {
        let now_ms = self.service_ms();
        let mut clock = ServiceClock::new();
        clock.on_answer(Timing {
            sent: self.now(),
            received: self.now(),
            date_ms: Some(now_ms.div_euclid(1_000) * 1_000),
        });
        let t0 = clock.earliest_ms(self.now()).expect("it has a sample");
        let position = if self.history.latest {
            self.ledger.start_at(t0);
            ReadFrom::AtTimestamp(t0)
        } else {
            ReadFrom::TrimHorizon
        };
        self.listing = (0..self.history.shards)
            .map(|number| ShardListing {
                name: format!("shardId-{number:012}").into(),
                parents: Vec::new(),
                open: true,
                position: StartPosition(position.to_string().into()),
            })
            .collect();
    }

    fn start(&mut self, worker: usize) {
        if self.listing.is_empty() {
            self.prepare();
        }
        let (waker, listener) = signal();
        let sink = SinkContext {
            worker,
            job: "simulated".into(),
            waker,
            failure: Rc::new(|error| panic!("the sink never fails: {error}")),
            counters: Rc::new(SinkCounters::default()),
        };
        let start = SourceStart {
            holds: self.listing.iter().map(|shard| (shard.name.clone(), EventTime::MIN)).collect(),
            started_at: self.ledger.start_ms().map(EventTime::from_millis),
        };
        let settings = RunSettings {
            worker,
            worker_count: self.history.workers,
            owners: self.owners.clone(),
            seed: self.history.seed,
            listings: vec![start],
            sink,
            memory: self.memory.clone(),
        };
        let mut run = Run::build(&*self.function, settings).expect("the pipeline is sound");
        let mine: Vec<ShardListing> = self.listing.iter().skip(worker).step_by(self.history.workers).cloned().collect();
        let mut begun = Vec::new();
        for shard in mine {
            let position: ReadFrom = shard.position.0.parse().expect("made by the same type");
            let name = shard.name.clone();
            // The future is the real driver's; here the world reads.
            drop(run.attach(Attachment { source: 0, shard, at: EventTime::MIN, awaited: false }));
            let inlet = stage::with(|shared| shared.inlet.take()).expect("attached just now");
            let settings = PollingSettings {
                margin_ms: self.history.margin_ms,
                seed: self.rng.u64(..),
                // Five calls a second: fewer records a call and a busy history would take hours of its time.
                records_per_call_max: [1_500, 10_000][self.rng.usize(..2)],
            };
            let mut machine = Polling::new(settings, name.clone(), position);
            if let Some(stop_ms) = self.ledger.stop_ms() {
                machine.stop_at(stop_ms);
            }
            begun.push(self.readers.len());
            self.readers.push(Reader::new(worker, name, machine, inlet));
        }
        if let Some(stop_ms) = self.ledger.stop_ms() {
            run.stop(Stop::Drain(Some(EventTime::from_millis(stop_ms))));
        }
        self.workers[worker].run = Some(run);
        self.workers[worker]._listener = Some(listener);
        for reader in begun {
            self.schedule(self.now_ns, Event::Wake(reader));
        }
        self.schedule(self.now_ns, Event::Turn(worker));
    }

    /// What a driver does in one turn of its loop.
    fn turn(&mut self, worker: usize) -> Result<(), String> {
        let run = self.workers[worker].run.as_mut().expect("turns begin with the start");
        for from in 0..self.history.workers {
            while run.accepts(from) {
                let Some(message) = self.messages[from][worker].pop_front() else {
                    break;
                };
                run.on_message(from, message);
            }
            for back in self.returns[from][worker].drain(..) {
                run.on_return(from, back);
            }
        }
        let entries = self.rng.usize(self.history.budget.clone());
        let _ = run.step(&mut Budget::of(entries));
        let capacity = self.history.queue_capacity;
        for to in (0..self.history.workers).filter(|to| *to != worker) {
            let queue = &mut self.messages[worker][to];
            let _ = run.send_to(to, |message| offer(queue, capacity, message));
            let queue = &mut self.returns[worker][to];
            let _ = run.return_to(to, |back| offer(queue, capacity, back));
        }
        self.cuts += run.take_cuts().len() as u64;
        assert!(run.take_drained().is_empty(), "no shard ends in these histories");
        let watermarks: Vec<EventTime> = run.watermarks().collect();
        let now_ms = self.service_ms();
        stage::with(|shared| self.ledger.on_folded(&mut shared.folded))?;
        for watermark in watermarks {
            self.ledger.check_watermark(watermark.as_millis(), now_ms)?;
        }
        for reader in 0..self.readers.len() {
            if self.readers[reader].worker == worker {
                self.pump(reader)?;
            }
        }
        let next_us = self.draw(&self.history.turn_every_us.clone());
        self.schedule(self.now_ns + next_us * 1_000, Event::Turn(worker));
        Ok(())
    }

    fn step_reader(&mut self, reader: usize, input: Input) -> Result<(), String> {
        let now = self.now();
        let own = &mut self.readers[reader];
        own.on(input, now, &mut self.workers[own.worker].clock)?;
        self.pump(reader)
    }

    /// Passes on what waits, then does what the machine asked for.
    fn pump(&mut self, reader: usize) -> Result<(), String> {
        let Some(action) = self.readers[reader].pump() else {
            return Ok(());
        };
        match action {
            Action::Sleep { until } => {
                self.schedule(until.as_nanos().max(self.now_ns), Event::Wake(reader));
            }
            Action::Finished => {}
            Action::Failed { kind, message } => {
                return Err(format!("reader failed, {kind:?}: {message}"));
            }
            action => {
                let sent = self.now();
                let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
                if self.rng.u64(..1_000) < self.history.lost_requests {
                    self.fail(reader, ErrorKind::Timeout, CALL_TIMEOUT_NS);
                } else {
                    self.schedule(self.now_ns + delay_ns, Event::Serve { reader, action, sent });
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, reader: usize, kind: ErrorKind, after_ns: u64) {
        let input = Box::new(Input::Failed { kind, message: "planned".to_owned() });
        self.schedule(self.now_ns + after_ns, Event::Answer { reader, input, timing: None });
    }

    /// The service takes a request and answers it, unless the answer is lost.
    fn serve(&mut self, reader: usize, action: &Action, sent: Moment) {
        let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
        let fate = self.rng.u64(..1_000);
        let bounds = [self.history.lost_answers, self.history.throttled, self.history.unavailable];
        if fate < bounds[0] {
            return self.fail(reader, ErrorKind::Timeout, CALL_TIMEOUT_NS);
        } else if fate < bounds[0] + bounds[1] {
            return self.fail(reader, ErrorKind::Throttled, delay_ns);
        } else if fate < bounds.iter().sum() {
            return self.fail(reader, ErrorKind::Unavailable, delay_ns);
        }
        let now_ms = self.service_ms();
        let timing = Timing {
            sent,
            received: Moment::from_nanos(self.now_ns + delay_ns),
            date_ms: Some(now_ms.div_euclid(1_000) * 1_000),
        };
        let shard = self.readers[reader].shard.clone();
        let input = match action {
            Action::FetchIterator(from) => {
                let position = match from {
                    IteratorFrom::TrimHorizon => IteratorPosition::TrimHorizon,
                    IteratorFrom::Latest => IteratorPosition::Latest,
                    IteratorFrom::AtTimestamp(ms) => IteratorPosition::AtTimestamp(*ms),
                    IteratorFrom::After(sequence) => IteratorPosition::AfterSequence(sequence.as_str()),
                };
                let iterator = self.model.get_shard_iterator(now_ms, STREAM, &shard, position);
                iterator.map(Input::Iterator)
            }
            Action::FetchRecords { iterator, limit } => {
                let answer = self.model.get_records(now_ms, iterator, Some(i64::from(*limit)));
                answer.map(|answer| Input::Records(answer_of(answer, &shard, timing, RecordBatchBuilder::new())))
            }
            other => unreachable!("not a call of these histories: {other:?}"),
        };
        let input = input.unwrap_or_else(|error| Input::Failed {
            kind: ErrorKind::InvalidArgument,
            message: format!("{}: {}", error.code.name(), error.message),
        });
        let (input, timing) = (Box::new(input), Some(timing));
        self.schedule(self.now_ns + delay_ns, Event::Answer { reader, input, timing });
    }

    /// The next barrier begins once the last one's cut is complete at every owner.
    fn barrier(&mut self, checkpoint: u64) {
        let started = self.workers.iter().all(|worker| worker.run.is_some());
        let complete = self.cuts == self.barriers * self.owners.len() as u64;
        let mut next = checkpoint;
        if started && complete {
            for worker in &mut self.workers {
                let _ = worker.run.as_mut().expect("all have started").barrier(checkpoint);
            }
            self.barriers += 1;
            next += 1;
        }
        let period_ns = self.history.barrier_every_ms.unsigned_abs() * NS_PER_MS;
        self.schedule(self.now_ns + period_ns, Event::Barrier(next));
    }

    fn stop(&mut self) {
        let stop_ms = self.service_ms();
        self.ledger.stop_at(stop_ms);
        for worker in &mut self.workers {
            if let Some(run) = &mut worker.run {
                run.stop(Stop::Drain(Some(EventTime::from_millis(stop_ms))));
            }
        }
        self.readers.iter_mut().for_each(|reader| reader.machine.stop_at(stop_ms));
    }

    fn is_settled(&mut self) -> bool {
        self.ledger.stop_ms().is_some()
            && self.workers.iter_mut().all(|worker| worker.run.as_mut().is_some_and(Run::is_settled))
    }

    fn finish(mut self) -> Result<Outcome, String> {
        let rows = stage::with(|shared| std::mem::take(&mut shared.rows));
        let counters: Vec<RunCounters> =
            self.workers.iter().map(|worker| worker.run.as_ref().expect("settled").counters()).collect();
        self.ledger.check_end(&rows, &counters)?;
        let records = self.ledger.counted();
        let held_bytes = self.memory.used_bytes();
        self.workers.clear();
        match self.memory.used_bytes() {
            0 => Ok(Outcome { rows, records, counters, cuts: self.cuts, held_bytes }),
            left => Err(format!("{left} bytes are still charged after the end, of {held_bytes}")),
        }
    }

    fn describe(&self) -> String {
        let holders = self.workers.iter().map(|worker| match &worker.run {
            Some(run) => format!("{:?}", run.holders()),
            None => "not started".to_owned(),
        });
        let holders: Vec<String> = holders.collect();
        format!("holders by worker: {}; {}", holders.join(" "), self.ledger.describe())
    }
}

fn offer<T>(queue: &mut VecDeque<T>, capacity: usize, value: T) -> Result<(), T> {
    if queue.len() >= capacity {
        return Err(value);
    }
    queue.push_back(value);
    Ok(())
}
