//! Control in the world: the real machines of lineage and assignment, and the orders that follow from them.

use weir_kinesis::local::model::{ListShardsRequest, ShardDescription};
use weir_kinesis::protocol::position::ReadFrom;
use weir_kinesis::protocol::service_clock::ServiceClock;
use weir_runtime::control::{Assignments, Job};
use weir_runtime::pipeline::{DrainedShard, SourceStart};
use weir_runtime::source::{Listing, ShardListing, StartPosition, Stop};
use weir_window::EventTime;

use super::workers::Order;
use super::{Event, STREAM, World};

/// What a worker tells control.
#[derive(Debug)]
pub enum Report {
    Drained(DrainedShard),
    Settled(usize, usize),
}

pub struct Control {
    job: Option<Job>,
    assignments: Assignments,
    /// When the last order to each worker arrives: orders do not overtake each other.
    orders_ns: Vec<u64>,
    /// The same for what workers report.
    reports_ns: Vec<u64>,
    pub clock: ServiceClock,
    finished: bool,
}

impl Control {
    pub fn new(worker_count: usize) -> Control {
        Control {
            job: None,
            assignments: Assignments::new(worker_count),
            orders_ns: vec![0; worker_count],
            reports_ns: vec![0; worker_count],
            clock: ServiceClock::new(),
            finished: false,
        }
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

impl World {
    /// What control does before any worker begins: list, pin `T0`, assign.
    pub(super) fn submit(&mut self) {
        self.control.clock.on_answer(self.timing_now());
        let t0 = self.control.clock.earliest_ms(self.now()).expect("it has a sample");
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
    }

    pub(super) fn list(&mut self) -> Vec<ShardDescription> {
        let now_ms = self.service_ms();
        let answer = self.model.list_shards(now_ms, ListShardsRequest::of(STREAM)).expect("the stream is there");
        assert_eq!(answer.next_token, None, "histories have few shards");
        answer.shards
    }

    /// Control asks again, and learns later what was there.
    pub(super) fn discover(&mut self) {
        let shards = self.list().iter().map(|shard| listing(shard, &ReadFrom::TrimHorizon)).collect();
        let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
        self.schedule(self.now_ns + delay_ns, Event::Discovered(shards));
        let period_ns = self.history.discover_every_ms.unsigned_abs() * super::NS_PER_MS;
        self.schedule(self.now_ns + period_ns, Event::Discover);
    }

    pub(super) fn on_discovered(&mut self, shards: Vec<ShardListing>) {
        if self.ledger.stop_ms().is_none() {
            let job = self.control.job.as_mut().expect("submitted before");
            job.on_listing(0, shards, 0);
            self.attach();
        }
    }

    /// Sends an order, behind those sent before.
    fn order(&mut self, worker: usize, order: Order) {
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
        }
        let job = self.control.job.as_mut().expect("submitted before");
        self.control.finished |= job.begin_finish();
    }

    fn attach(&mut self) {
        let job = self.control.job.as_mut().expect("submitted before");
        let attached = job.attach(&mut self.control.assignments);
        let awaited = job.take_awaited();
        for (worker, attachment) in attached {
            self.order(worker, Order::Attach(attachment));
        }
        for (worker, source, shard, awaited) in awaited {
            self.order(worker, Order::Await(source, shard, awaited));
        }
    }

    /// Fixes `T_stop`, not before the true time, and tells the workers, each when its order arrives.
    pub(super) fn stop(&mut self) {
        self.control.clock.on_answer(self.timing_now());
        let stop_ms = self.control.clock.latest_ms(self.now()).expect("it has samples");
        self.ledger.stop_at(stop_ms, self.service_ms());
        self.control.job.as_mut().expect("submitted before").on_stop();
        let end = EventTime::from_millis(stop_ms);
        let stop = if self.history.until_now { Stop::Until(end) } else { Stop::Drain(Some(end)) };
        (0..self.history.workers).for_each(|worker| self.order(worker, Order::Stop(stop)));
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
