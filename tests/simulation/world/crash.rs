//! Readers that end before their shard does, and jobs that end before their time.
//!
//! What the program does when a reader ends by an error or a panic: its worker takes no more turns in that job and tells
//! control, control has every worker finish, and what is open is counted. A worker's own panic ends the process, and a
//! process without snapshots begins again at its start position: that is another run, and no history here.

use weir_kinesis::protocol::polling::{Input, Polling, PollingSettings};
use weir_runtime::error::{JobError, Kind};
use weir_runtime::pipeline::RunCounters;
use weir_runtime::source::Stop;

use super::super::check::Ending;
use super::super::faults::{Crash, CrashKind};
use super::World;
use super::control::Report;
use super::workers::Order;

impl World {
    pub(super) fn crash(&mut self, crash: Crash) -> Result<(), String> {
        let reading: Vec<usize> = (0..self.readers.len()).filter(|index| self.readers[*index].is_reading()).collect();
        if reading.is_empty() {
            return Ok(());
        }
        let reader = reading[self.rng.usize(..reading.len())];
        match crash.kind {
            CrashKind::Dies => self.fail_reader(reader),
            CrashKind::Refused => self.readers[reader].refused = true,
            // Behind a stop positions stay before what is held back, and reading on from there repeats records.
            CrashKind::Reborn if self.workers[self.readers[reader].worker].stop.is_some() => {}
            CrashKind::Reborn => {
                self.see("readers begun again at their last position");
                let settings = self.polling_settings();
                let successor = self.readers[reader].reborn(|shard, from| Polling::new(settings, shard, from));
                self.readers.push(successor);
                return self.step_reader(self.readers.len() - 1, Input::Wake);
            }
        }
        Ok(())
    }

    pub(super) fn polling_settings(&mut self) -> PollingSettings {
        PollingSettings {
            margin_ms: self.history.margin_ms,
            seed: self.rng.u64(..),
            // Five calls a second: fewer records a call and a busy history would take hours of its time.
            records_per_call_max: [1_500, 10_000][self.rng.usize(..2)],
            ..PollingSettings::default()
        }
    }

    /// Its task has ended; its worker learns it in its next turn.
    pub(super) fn fail_reader(&mut self, reader: usize) {
        let why = if self.readers[reader].refused { "readers refused for good" } else { "readers that died" };
        self.see(why);
        let (worker, shard) = (self.readers[reader].worker, self.readers[reader].shard.clone());
        self.readers[reader].die();
        let error = JobError::new(Kind::Service, "planned").at(format_args!("shard {shard}"));
        let _ = self.workers[worker].failure.get_or_insert(error);
        self.wake(worker);
    }

    /// What a worker does with a failure: says it once, and has no turn in this job any more.
    pub(super) fn take_failure(&mut self, worker: usize) -> bool {
        if let Some(error) = self.workers[worker].failure.take() {
            self.workers[worker].failed = true;
            self.report(worker, Report::Failed(error));
        }
        self.workers[worker].failed
    }

    /// Finishes whatever is open.
    pub(super) fn cancel(&mut self) {
        if self.control.force_finish() {
            self.ending = if self.ledger.stop_ms().is_some() { Ending::CutOff } else { Ending::Cancelled };
            self.finish_all();
        }
    }

    pub(super) fn finish_all(&mut self) {
        (0..self.history.workers).for_each(|worker| self.order(worker, Order::Finish));
    }

    /// A worker ends its readers, reports what it counted and forgets the job.
    pub(super) fn finish_here(&mut self, worker: usize) -> Result<(), String> {
        let counters = match &mut self.workers[worker].run {
            Some(run) => {
                run.stop(Stop::Cancel);
                if let Some(lost) = run.take_lost().first() {
                    return Err(format!("lost: {lost:?}"));
                }
                run.counters()
            }
            None => RunCounters::default(),
        };
        self.workers[worker].finished = true;
        self.readers.iter_mut().filter(|reader| reader.worker == worker).for_each(|reader| reader.die());
        self.report(worker, Report::Finished(worker, Box::new(counters)));
        Ok(())
    }
}
