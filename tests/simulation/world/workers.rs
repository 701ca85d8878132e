//! Workers in the world: what their drivers do, in virtual time.

use std::collections::VecDeque;
use std::rc::Rc;

use weir_kinesis::protocol::polling::Polling;
use weir_kinesis::protocol::position::ReadFrom;
use weir_kinesis::protocol::service_clock::ServiceClock;
use weir_runtime::error::JobError;
use weir_runtime::pipeline::SourceStart;
use weir_runtime::signal::{Listener, signal};
use weir_runtime::sink::{SinkContext, SinkCounters};
use weir_runtime::source::Stop;
use weir_runtime::worker::{Attachment, BegunBefore, Run, RunSettings};
use weir_window::{Budget, EventTime, ShardName};

use super::super::reader::Reader;
use super::super::stage;
use super::control::Report;
use super::{Event, NS_PER_MS, World};

/// What control tells a worker.
#[derive(Debug)]
pub enum Order {
    Start(Vec<SourceStart>),
    Attach(Attachment),
    Await(usize, ShardName, bool),
    BegunBefore(BegunBefore),
    Stop(Stop),
    Finish,
}

#[derive(Default)]
pub struct Worker {
    pub run: Option<Run>,
    pub clock: ServiceClock,
    listener: Option<Listener>,
    /// Whether a turn is coming.
    awake: bool,
    attachments: usize,
    settled: bool,
    pub stop: Option<Stop>,
    /// A reader's error that the worker has not seen yet.
    pub failure: Option<JobError>,
    pub failed: bool,
    pub finished: bool,
    /// Answers with an honest `Date` that it is still to get before one that is off.
    pub honest_dates_due: u32,
}

impl World {
    pub(super) fn on_order(&mut self, worker: usize, order: Order) -> Result<(), String> {
        if self.workers[worker].finished {
            return Ok(());
        }
        match order {
            Order::Finish => return self.finish_here(worker),
            Order::Start(starts) => self.start(worker, starts),
            Order::Attach(attachment) => self.attach_here(worker, attachment),
            Order::Await(source, shard, awaited) => self.run_of(worker).on_awaited(source, &shard, awaited),
            Order::BegunBefore(begun) => self.run_of(worker).on_begun_before(begun),
            Order::Stop(stop) => {
                self.run_of(worker).stop(stop);
                stage::with(|shared| shared.stopped.push(worker));
                self.workers[worker].stop = Some(stop);
                self.workers[worker].settled = false;
                let end = stop_ms(stop);
                self.readers.iter_mut().filter(|reader| reader.worker == worker).for_each(|reader| {
                    reader.machine.stop_at(end);
                });
            }
        }
        self.wake(worker);
        Ok(())
    }

    fn run_of(&mut self, worker: usize) -> &mut Run {
        self.workers[worker].run.as_mut().expect("its start was ordered first")
    }

    fn start(&mut self, worker: usize, listings: Vec<SourceStart>) {
        let (waker, listener) = signal();
        let sink = SinkContext {
            worker,
            job: "simulated".into(),
            waker,
            failure: Rc::new(|error| panic!("the sink never fails: {error}")),
            counters: Rc::new(SinkCounters::default()),
        };
        let settings = RunSettings {
            worker,
            worker_count: self.history.workers,
            owners: self.owners.clone(),
            seed: self.history.seed,
            listings,
            sink,
            memory: self.memory.clone(),
        };
        let run = Run::build(&*self.function, settings).expect("the pipeline is sound");
        self.workers[worker].run = Some(run);
        self.workers[worker].listener = Some(listener);
    }

    fn attach_here(&mut self, worker: usize, attachment: Attachment) {
        let position: ReadFrom = attachment.shard.position.0.parse().expect("made by the same type");
        let name = attachment.shard.name.clone();
        self.workers[worker].attachments += 1;
        self.workers[worker].settled = false;
        // The future is the real driver's; here the world reads.
        drop(self.run_of(worker).attach(attachment));
        let inlet = stage::with(|shared| shared.inlet.take()).expect("attached just now");
        let settings = self.polling_settings();
        let mut machine = Polling::new(settings, name.clone(), position);
        if let Some(stop) = self.workers[worker].stop {
            machine.stop_at(stop_ms(stop));
        }
        let reader = self.readers.len();
        self.readers.push(Reader::new(worker, name, machine, inlet));
        self.schedule(self.now_ns, Event::Wake(reader));
    }

    /// Whoever was notified gets a turn.
    pub(super) fn ring(&mut self) {
        for worker in 0..self.workers.len() {
            if self.workers[worker].listener.as_ref().is_some_and(Listener::take) {
                self.wake(worker);
            }
        }
    }

    pub(super) fn wake(&mut self, worker: usize) {
        let turns = self.workers[worker].run.is_some() && !self.workers[worker].finished;
        if turns && !std::mem::replace(&mut self.workers[worker].awake, true) {
            let next_us = self.draw(&self.history.turn_every_us.clone());
            self.schedule(self.now_ns + next_us * 1_000, Event::Turn(worker));
        }
    }

    /// What a driver does in one turn of its loop.
    pub(super) fn turn(&mut self, worker: usize) -> Result<(), String> {
        self.workers[worker].awake = false;
        if self.workers[worker].finished || self.workers[worker].failed {
            return Ok(());
        }
        let mut moved = self.receive(worker)?;
        let entries = self.rng.usize(self.history.budget.clone());
        let now_ms = self.service_ms();
        let run = self.workers[worker].run.as_mut().expect("turns begin with the start");
        moved |= run.step(&mut Budget::of(entries));
        if self.take_failure(worker) {
            // Whatever was left half done goes nowhere; but what was folded was.
            return stage::with(|shared| self.ledger.on_folded(&mut shared.folded));
        }
        let run = self.run_of(worker);
        let (drained, lost) = (run.take_drained(), run.take_lost());
        self.cuts += run.take_cuts().len() as u64;
        moved |= self.send(worker);
        if let Some(lost) = lost.first() {
            return Err(format!("lost: {lost:?}"));
        }
        stage::with(|shared| self.ledger.on_folded(&mut shared.folded))?;
        self.check_watermarks(worker, now_ms)?;
        for drained in drained {
            self.report(worker, Report::Drained(drained));
        }
        for reader in 0..self.readers.len() {
            if self.readers[reader].worker == worker {
                self.pump(reader)?;
            }
        }
        if !self.workers[worker].settled && self.run_of(worker).is_settled() {
            self.workers[worker].settled = true;
            self.report(worker, Report::Settled(worker, self.workers[worker].attachments));
        }
        if stage::with(|shared| std::mem::take(&mut shared.refused)) {
            self.see("sinks that refused");
            let next_us = self.draw(&self.history.turn_every_us.clone());
            self.schedule(self.now_ns + next_us * 1_000, Event::SinkReady(worker));
        }
        if moved {
            self.wake(worker);
        }
        Ok(())
    }

    /// After each message: a `W` that is right only at the end of a turn is wrong.
    fn receive(&mut self, worker: usize) -> Result<bool, String> {
        let (now_ms, mut moved) = (self.service_ms(), false);
        for from in 0..self.history.workers {
            let mut taken = false;
            while self.run_of(worker).accepts(from) {
                let Some(message) = self.messages[from][worker].pop_front() else {
                    break;
                };
                self.run_of(worker).on_message(from, message);
                self.check_watermarks(worker, now_ms)?;
                taken = true;
            }
            let returns: Vec<_> = self.returns[from][worker].drain(..).collect();
            for back in returns {
                self.run_of(worker).on_return(from, back);
                taken = true;
            }
            if taken {
                // There is room again in what the other sends into.
                self.wake(from);
                moved = true;
            }
        }
        Ok(moved)
    }

    fn send(&mut self, worker: usize) -> bool {
        let (capacity, mut moved) = (self.history.queue_capacity, false);
        for to in (0..self.history.workers).filter(|to| *to != worker) {
            let run = self.workers[worker].run.as_mut().expect("it has a turn");
            let queue = &mut self.messages[worker][to];
            let sent = run.send_to(to, |message| offer(queue, capacity, message));
            let queue = &mut self.returns[worker][to];
            let returned = run.return_to(to, |back| offer(queue, capacity, back));
            if sent + returned > 0 {
                self.wake(to);
                moved = true;
            }
        }
        moved
    }

    fn check_watermarks(&self, worker: usize, now_ms: i64) -> Result<(), String> {
        let run = self.workers[worker].run.as_ref().expect("it has a turn");
        run.watermarks().try_for_each(|watermark| self.ledger.check_watermark(watermark.as_millis(), now_ms))
    }

    /// The next barrier begins once the last one's cut is complete at every owner.
    pub(super) fn barrier(&mut self, checkpoint: u64) -> Result<(), String> {
        let started = self.workers.iter().all(|worker| worker.run.is_some() && !worker.failed && !worker.finished);
        let complete = self.cuts == self.barriers * self.owners.len() as u64;
        let mut next = checkpoint;
        if started && complete {
            for worker in 0..self.workers.len() {
                for (shard, position) in self.run_of(worker).barrier(checkpoint) {
                    self.ledger.check_position(&shard, &position.sequence)?;
                }
                self.wake(worker);
            }
            self.barriers += 1;
            next += 1;
        }
        let period_ns = self.history.barrier_every_ms.unsigned_abs() * NS_PER_MS;
        self.schedule(self.now_ns + period_ns, Event::Barrier(next));
        Ok(())
    }
}

fn stop_ms(stop: Stop) -> i64 {
    match stop {
        Stop::Drain(Some(end)) | Stop::Until(end) => end.as_millis(),
        Stop::Drain(None) | Stop::Cancel => EventTime::MIN.as_millis(),
    }
}

fn offer<T>(queue: &mut VecDeque<T>, capacity: usize, value: T) -> Result<(), T> {
    if queue.len() >= capacity {
        return Err(value);
    }
    queue.push_back(value);
    Ok(())
}
