//! Control in the world: the real machines of lineage and assignment, and the orders that follow from them.

use weir_kinesis::local::model::{ListShardsRequest, ShardDescription};
use weir_kinesis::protocol::position::ReadFrom;
use weir_kinesis::protocol::service_clock::ServiceClock;
use weir_runtime::control::{Assignments, Job};
use weir_runtime::error::JobError;
use weir_runtime::ledger::Ledger as Losses;
use weir_runtime::pipeline::{DrainedShard, RunCounters, SourceStart};
use weir_runtime::source::{Listing, ShardListing, StartPosition, Stop};
use weir_window::EventTime;

use super::super::check::Ending;
use super::workers::Order;
use super::{Event, STREAM, World};

/// What a worker tells control.
#[derive(Debug)]
pub enum Report {
    Drained(DrainedShard),
    Settled(usize, usize),
    Failed(JobError),
    Finished(usize, Box<RunCounters>),
}

pub struct Control {
    job: Option<Job>,
    assignments: Assignments,
    /// When the last order to each worker arrives: orders do not overtake each other.
    orders_ns: Vec<u64>,
    /// The same for what workers report.
    reports_ns: Vec<u64>,
    over: bool,
}

impl Control {
    pub fn new(worker_count: usize) -> Control {
        Control {
            job: None,
            assignments: Assignments::new(worker_count),
            orders_ns: vec![0; worker_count],
            reports_ns: vec![0; worker_count],
            over: false,
        }
    }

    /// Whether every worker has forgotten the job.
    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn force_finish(&mut self) -> bool {
        self.job.as_mut().expect("submitted before").force_finish()
    }

    /// What the workers counted, and what the job's ledger says.
    pub fn take_end(&mut self) -> (Vec<RunCounters>, Losses) {
        let job = self.job.as_mut().expect("submitted before");
        (job.counters(), job.take_ledger())
    }
}

impl World {
    /// What control does before any worker begins: list, pin `T0`, assign.
    pub(super) fn submit(&mut self) {
        let t0 = self.clock_now().earliest_ms(self.now()).expect("it has a sample");
        let position = if self.history.latest {
            self.ledger.start_at(t0);
            ReadFrom::AtTimestamp(t0)
        } else {
            ReadFrom::TrimHorizon
        };
        let shards: Vec<ShardListing> = self.list().iter().map(|shard| listing(shard, &position)).collect();
        let started_at = self.ledger.start_ms().map(EventTime::from_millis);
        let listing = Listing { stream: STREAM.into(), shards, started_at, ..Listing::default() };
        let starts: Vec<SourceStart> = Job::starts(std::slice::from_ref(&listing));
        let mut job = Job::new(self.history.workers, vec![listing], true);
        let attached = job.attach(&mut self.control.assignments);
        self.control.job = Some(job);
        for worker in 0..self.history.workers {
            let delay_us = self.draw(&self.history.start_delay_us.clone());
            self.control.orders_ns[worker] = self.now_ns + delay_us * 1_000;
            self.order(worker, Order::Start(starts.clone()));
        }
        for (worker, attachment) in attached {
            self.order(worker, Order::Attach(attachment));
        }
        if self.history.until_now {
            self.stop();
        }
    }

    /// The service's clock as control knows it: from the answer to a call that it makes then and there.
    fn clock_now(&self) -> ServiceClock {
        let mut clock = ServiceClock::new();
        clock.on_answer(self.timing_now());
        clock
    }

    pub(super) fn list(&mut self) -> Vec<ShardDescription> {
        let now_ms = self.model_ms();
        let answer = self.model.list_shards(now_ms, ListShardsRequest::of(STREAM)).expect("the stream is there");
        assert_eq!(answer.next_token, None, "histories have few shards");
        answer.shards
    }

    /// Control asks again, and learns later what was there.
    pub(super) fn discover(&mut self) {
        let mut shards: Vec<ShardListing> =
            self.list().iter().map(|shard| listing(shard, &ReadFrom::TrimHorizon)).collect();
        if self.rng.u64(..1_000) < self.history.stale_listings {
            self.see("listings that were behind");
            let _ = shards.pop();
        }
        let history = &self.history;
        let failing = history.lost_requests + history.lost_answers + history.throttled + history.unavailable;
        let fails = self.rng.u64(..1_000) < failing;
        let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
        self.schedule(self.now_ns + delay_ns, Event::Discovered((!fails).then_some(shards)));
        let period_ns = self.history.discover_every_ms.unsigned_abs() * super::NS_PER_MS;
        self.schedule(self.now_ns + period_ns, Event::Discover);
    }

    pub(super) fn on_discovered(&mut self, shards: Option<Vec<ShardListing>>) {
        let Some(shards) = shards else {
            return self.see("listings of control that failed");
        };
        // Our wall clock may show anything: it is for people, and nothing is decided by it.
        let wall_ms = self.service_ms() + self.rng.i64(-600_000..600_000);
        let job = self.control.job.as_mut().expect("submitted before");
        job.on_listing(0, shards, wall_ms);
        self.attach();
    }

    /// Sends an order, behind those sent before.
    pub(super) fn order(&mut self, worker: usize, order: Order) {
        let delay_ns = self.draw(&self.history.control_delay_us.clone()) * 1_000;
        let at_ns = (self.now_ns + delay_ns).max(self.control.orders_ns[worker]);
        self.control.orders_ns[worker] = at_ns;
        self.schedule(at_ns, Event::Order(worker, Box::new(order)));
    }

    /// Sends a report to control, behind those sent before.
    pub(super) fn report(&mut self, worker: usize, report: Report) {
        let delay_ns = self.draw(&self.history.control_delay_us.clone()) * 1_000;
        let at_ns = (self.now_ns + delay_ns).max(self.control.reports_ns[worker]);
        self.control.reports_ns[worker] = at_ns;
        self.schedule(at_ns, Event::Report(report));
    }

    pub(super) fn on_report(&mut self, report: Report) {
        let job = self.control.job.as_mut().expect("submitted before");
        match report {
            Report::Drained(drained) => {
                job.on_drained(drained, &mut self.control.assignments);
                self.attach();
            }
            Report::Settled(worker, attachments) => job.on_settled(worker, attachments),
            Report::Failed(error) => job.on_failed(error),
            Report::Finished(worker, counters) => {
                self.control.over = job.on_finished(worker, *counters);
                return;
            }
        }
        let job = self.control.job.as_mut().expect("submitted before");
        if job.begin_finish() {
            self.ending = match job.take_error() {
                Some(_) => Ending::Failed,
                None => Ending::Settled,
            };
            self.finish_all();
        }
    }

    fn attach(&mut self) {
        let job = self.control.job.as_mut().expect("submitted before");
        let attached = job.attach(&mut self.control.assignments);
        let (awaited, begun) = (job.take_awaited(), job.take_begun());
        for (worker, attachment) in attached {
            self.order(worker, Order::Attach(attachment));
        }
        for (worker, source, shard, awaited) in awaited {
            self.order(worker, Order::Await(source, shard, awaited));
        }
        for (worker, begun) in begun {
            self.order(worker, Order::BegunBefore(begun));
        }
    }

    /// Fixes `T_stop`, not before the true time, and tells the workers, each when its order arrives.
    pub(super) fn stop(&mut self) {
        let stop_ms = self.clock_now().latest_ms(self.now()).expect("it has a sample");
        self.ledger.stop_at(stop_ms, self.service_ms());
        self.control.job.as_mut().expect("submitted before").on_stop();
        let end = EventTime::from_millis(stop_ms);
        let stop = if self.history.until_now { Stop::Until(end) } else { Stop::Drain(Some(end)) };
        (0..self.history.workers).for_each(|worker| self.order(worker, Order::Stop(stop)));
        if !self.history.until_now && self.history.faults.impatient {
            let patience_ns = self.history.drain_patience_ms().unsigned_abs() * super::NS_PER_MS;
            self.schedule(self.now_ns + patience_ns, Event::Cancel);
        }
    }
}

fn listing(shard: &ShardDescription, position: &ReadFrom) -> ShardListing {
    let parents = shard.parent.iter().chain(&shard.adjacent_parent);
    ShardListing {
        name: shard.id.to_string().into(),
        parents: parents.map(|parent| parent.to_string().into()).collect(),
        open: shard.last_sequence.is_none(),
        position: StartPosition(position.to_string().into()),
    }
}
