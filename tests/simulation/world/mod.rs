//! The loop: one queue of (virtual time, event), one seed, and every machine of a job in one thread.
//!
//! ```text
//! publisher, resharding -> stream model <- calls (delayed, lost, cut, throttled) <- readers (polling machines)
//! another consumer, clock steps ----^                                            | inlets
//! control: lineage, assignment, stop -> commands ->                              |
//! queues of capacity 1 or 16 between workers <-> runs (fold, hand over, slide, emit) -> rows
//! ```
//! A worker gets a turn only when something woke it, as its driver does: work that nobody is woken for stands still, and
//! that is found.

mod calls;
mod control;
mod crash;
mod service;
mod workers;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use weir_kinesis::local::model::{CreateStreamRequest, Model, ModelSettings};
use weir_kinesis::protocol::Moment;
use weir_kinesis::protocol::polling::{Action, Input};
use weir_kinesis::protocol::service_clock::Timing;
use weir_runtime::exchange::{Message, Return};
use weir_runtime::memory::MemoryBudget;
use weir_runtime::pipeline::{PipelineFn, RunCounters};

use super::check::{Ending, Ledger};
use super::faults::{Crash, Step};
use super::history::History;
use super::reader::Reader;
use super::stage;
use control::{Control, Report};
use workers::{Order, Worker};

pub const STREAM: &str = "Tweets";
/// The service's clock at virtual time zero and skew zero.
const EPOCH_MS: i64 = 1_800_000_000_000;
pub const NS_PER_MS: u64 = 1_000_000;
const CALL_TIMEOUT_NS: u64 = 1_000 * NS_PER_MS;
/// Beyond what lag, margin, size and the worst run of faults can take, nothing has to move any more. A service's clock that
/// steps back before it has passed the stop takes so much longer.
const PATIENCE_MS: i64 = 300_000;

#[derive(Debug)]
pub enum Event {
    Put,
    Reshard,
    /// Another consumer reads.
    Rival,
    /// The service's clock is set.
    Step(Step),
    Crash(Crash),
    /// The job is cancelled, or its drain took too long.
    Cancel,
    /// Control lists the stream and starts the job.
    Submit,
    /// Control lists the stream again; what it saw arrives later.
    Discover,
    /// What it saw; nothing, if the call failed.
    Discovered(Option<Vec<weir_runtime::source::ShardListing>>),
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
    },
    Order(usize, Box<Order>),
    Report(Report),
    Barrier(u64),
    Stop,
    /// A sink that refused takes again.
    SinkReady(usize),
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

/// The service's clock at virtual time zero.
pub fn epoch_ms(history: &History) -> i64 {
    EPOCH_MS + history.clock_skew_ms
}

pub struct World {
    history: History,
    rng: fastrand::Rng,
    now_ns: u64,
    order: u64,
    events: BinaryHeap<Reverse<Scheduled>>,
    model: Model,
    function: Arc<PipelineFn>,
    control: Control,
    workers: Vec<Worker>,
    owners: Arc<[usize]>,
    readers: Vec<Reader>,
    /// By sender, then receiver.
    messages: Vec<Vec<VecDeque<Message>>>,
    returns: Vec<Vec<VecDeque<Return>>>,
    memory: MemoryBudget,
    ledger: Ledger,
    /// By how much the service's clock was set forward, and back, in all.
    forward_ms: i64,
    back_ms: i64,
    /// How far it ever was behind where it had been.
    fallen_ms: i64,
    highest_ms: i64,
    ending: Ending,
    seen: Seen,
    cuts: u64,
    barriers: u64,
    reshards: u64,
    waiting_max: usize,
}

/// What happened in a history, by name, and how often.
pub type Seen = BTreeMap<&'static str, u64>;

/// What a history came to.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub rows: Vec<stage::Row>,
    pub records: u64,
    pub counters: Vec<RunCounters>,
    pub cuts: u64,
    /// Memory that deltas, panes and directories were charged with at the end.
    pub held_bytes: u64,
    /// Splits and merges that the stream saw.
    pub reshards: u64,
    /// Events played, and the virtual time at the end: two histories that differ anywhere differ here.
    pub events: u64,
    pub ended_ns: u64,
    /// The most events that ever waited.
    pub waiting_max: usize,
    pub seen: Seen,
}

impl World {
    /// Plays one history to its end and checks it.
    pub fn play(history: History) -> Result<Outcome, String> {
        let mut world = World::new(history);
        let deadline_ms = world.history.before_ms + world.history.run_ms + PATIENCE_MS;
        while let Some(Reverse(scheduled)) = world.events.pop() {
            world.now_ns = scheduled.at_ns;
            if world.now_ns / NS_PER_MS > (deadline_ms + world.back_ms).unsigned_abs() {
                return Err(format!("nothing settled after {deadline_ms} ms; {}", world.describe()));
            }
            let now_ms = world.service_ms();
            stage::with(|shared| shared.now_ms = now_ms);
            world.on(scheduled.event)?;
            world.ring();
            world.waiting_max = world.waiting_max.max(world.events.len());
            if world.control.is_over() {
                return world.finish();
            }
        }
        Err(format!("the world stood still at {} ms; {}", world.now_ns / NS_PER_MS, world.describe()))
    }

    fn new(history: History) -> World {
        let mut rng = fastrand::Rng::with_seed(history.seed ^ 0x5eed);
        let mut model = Model::new(ModelSettings {
            seed: Some(history.seed),
            create_delay_ms: 0,
            update_delay_ms: history.update_delay_ms,
            visible_after_ms: history.visible_after_ms,
            empty_page_one_in: history.empty_page_one_in,
            throughput_limits: history.faults.limits.is_some(),
            stamps_may_fall: true,
            ..ModelSettings::default()
        });
        let epoch = epoch_ms(&history);
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
        owners.truncate(rng.usize(1..=count));
        owners.sort_unstable();
        let mut world = World {
            ledger: Ledger::new(&history),
            rng,
            now_ns: 0,
            order: 0,
            events: BinaryHeap::new(),
            model,
            function,
            control: Control::new(count),
            workers: (0..count).map(|_| Worker::default()).collect(),
            owners: owners.into(),
            readers: Vec::new(),
            messages: (0..count).map(|_| (0..count).map(|_| VecDeque::new()).collect()).collect(),
            returns: (0..count).map(|_| (0..count).map(|_| VecDeque::new()).collect()).collect(),
            memory: MemoryBudget::of(1 << 30),
            forward_ms: 0,
            back_ms: 0,
            fallen_ms: 0,
            highest_ms: 0,
            ending: Ending::Settled,
            seen: Seen::new(),
            cuts: 0,
            barriers: 0,
            reshards: 0,
            waiting_max: 0,
            history,
        };
        world.plan();
        world
    }

    /// Schedules what is fixed from the beginning.
    fn plan(&mut self) {
        let start_ns = self.history.before_ms.unsigned_abs() * NS_PER_MS;
        let after = |ms: i64| start_ns + ms.unsigned_abs() * NS_PER_MS;
        self.schedule(0, Event::Put);
        self.schedule(start_ns + 1, Event::Submit);
        if !self.history.until_now {
            // A stop before the last worker has started is what an impatient operator does.
            self.schedule(after(self.history.run_ms), Event::Stop);
        }
        if self.history.barrier_every_ms > 0 {
            self.schedule(start_ns, Event::Barrier(1));
        }
        if self.history.reshard_every_ms > 0 {
            self.schedule(0, Event::Reshard);
        }
        if self.history.discover_every_ms > 0 {
            self.schedule(start_ns + 2, Event::Discover);
        }
        let faults = self.history.faults.clone();
        if faults.limits.is_some_and(|limits| limits.rival_every_ms > 0) {
            self.schedule(start_ns / 2, Event::Rival);
        }
        faults.steps.iter().for_each(|step| self.schedule(after(step.at_ms), Event::Step(*step)));
        // Behind the start, or nobody would be there to die or to be cancelled.
        faults.crashes.iter().for_each(|crash| self.schedule(after(crash.at_ms) + 2, Event::Crash(*crash)));
        faults.cancel_at_ms.iter().for_each(|at_ms| self.schedule(after(*at_ms) + 2, Event::Cancel));
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

    /// What the service's clock shows: in `Date` and in the stamps of records.
    fn service_ms(&self) -> i64 {
        self.model_ms() - self.back_ms
    }

    /// By what time the service does what is due: it goes forward with the clock, and never back.
    fn model_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.now_ns / NS_PER_MS).expect("histories are short");
        epoch_ms(&self.history) + elapsed + self.forward_ms
    }

    fn step_clock(&mut self, step: Step) {
        self.see(match step.by_ms {
            0.. => "service's clock stepped forward",
            by_ms if -by_ms <= self.history.unnoticed_ms() => "service's clock stepped back within the margin",
            _ => "service's clock stepped back beyond the margin",
        });
        self.forward_ms += step.by_ms.max(0);
        self.back_ms -= step.by_ms.min(0);
        let offset_ms = self.forward_ms - self.back_ms;
        self.highest_ms = self.highest_ms.max(offset_ms);
        self.fallen_ms = self.fallen_ms.max(self.highest_ms - offset_ms);
        self.ledger.on_clock_fallen(self.fallen_ms);
    }

    fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// An answer that is sent now, as a clock sees it that is told at once.
    fn timing_now(&self) -> Timing {
        let date_ms = Some(self.service_ms().div_euclid(1_000) * 1_000);
        Timing { sent: self.now(), received: self.now(), date_ms }
    }

    fn on(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Put => self.put(),
            Event::Reshard => self.reshard(),
            Event::Rival => self.rival(),
            Event::Step(step) => self.step_clock(step),
            Event::Crash(crash) => return self.crash(crash),
            Event::Cancel => self.cancel(),
            Event::Submit => self.submit(),
            Event::Discover => self.discover(),
            Event::Discovered(shards) => self.on_discovered(shards),
            Event::Turn(worker) => return self.turn(worker),
            Event::Wake(reader) => self.step_reader(reader, Input::Wake)?,
            Event::Serve { reader, action, sent } => self.serve(reader, &action, sent),
            Event::Answer { reader, input } => self.step_reader(reader, *input)?,
            Event::Order(worker, order) => self.on_order(worker, *order)?,
            Event::Report(report) => self.on_report(report),
            Event::Barrier(checkpoint) => self.barrier(checkpoint)?,
            Event::Stop => self.stop(),
            Event::SinkReady(worker) => self.wake(worker),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome, String> {
        let rows = stage::with(|shared| std::mem::take(&mut shared.rows));
        let (counters, losses) = self.control.take_end();
        self.ledger.check_end(self.ending, &rows, &counters, &losses)?;
        let total = |field: fn(&RunCounters) -> u64| counters.iter().map(field).sum::<u64>();
        for (what, count) in [
            ("records late, all of them counted", total(|c| c.late + c.partly_late)),
            ("records behind evidence, all of them counted", total(|c| c.behind_evidence)),
            ("records open at the end, all of them counted", total(|c| c.open)),
            ("records in windows", self.ledger.counted()),
            ("blocks between workers", total(|c| c.blocks_from_others)),
            ("cuts of checkpoints", self.cuts),
            (self.ending.name(), 1),
        ] {
            if count > 0 {
                let _ = self.seen.insert(what, count);
            }
        }
        let records = self.ledger.counted();
        let held_bytes = self.memory.used_bytes();
        self.workers.clear();
        match self.memory.used_bytes() {
            0 => Ok(Outcome {
                rows,
                records,
                counters,
                cuts: self.cuts,
                held_bytes,
                reshards: self.reshards,
                events: self.order,
                ended_ns: self.now_ns,
                waiting_max: self.waiting_max,
                seen: self.seen,
            }),
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
