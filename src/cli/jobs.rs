//! What commands that run jobs share: their events, and a job's error as the program's failure.

use std::sync::mpsc::Sender;

use serde::Serialize;
use weir_runtime::{
    control::{JobHandle, JobReport},
    error::{JobError, Kind},
    pipeline::RunCounters,
    placement::Cores,
};

use crate::failure::{Exit, Failure};

/// What a command that runs jobs waits for.
pub(super) enum Event {
    /// The first Ctrl-C or SIGTERM.
    Interrupt,
    /// A job runs.
    Started(usize, JobHandle),
    /// A job could not be started.
    Refused(usize, JobError),
    /// A job has ended.
    Ended(usize, JobReport),
}

/// Sends [`Event::Ended`] when the job has ended.
pub(super) fn watch(index: usize, handle: JobHandle, events: Sender<Event>) -> Result<(), Failure> {
    let wait = move || {
        // Nobody listens any more when the command is over already.
        let _ = events.send(Event::Ended(index, handle.join()));
    };
    thread(&format!("job-{index}"), wait)
}

/// Runs `work` on a plain thread.
pub(super) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    match std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(Exit::Environment, format!("cannot start a thread: {error}"))
            .with_remedy("raise the limit on processes and threads (ulimit -u)")),
    }
}

/// A job's error under its name, with the exit code of whoever has to act.
pub(super) fn failure(name: &str, error: &JobError) -> Failure {
    let message = if name.is_empty() { error.message.clone() } else { format!("job {name}: {}", error.message) };
    Failure::new(exit(error.kind), message).with_remedy(error.remedy.clone())
}

fn exit(kind: Kind) -> Exit {
    match kind {
        Kind::Settings => Exit::Usage,
        Kind::Environment => Exit::Environment,
        Kind::Service => Exit::Service,
        Kind::Data | Kind::Bug => Exit::Job,
    }
}

/// What one core did for one job.
#[derive(Debug, Serialize)]
pub(super) struct CoreSummary {
    pub core: usize,
    pub records_folded: u64,
    /// Blocks that came to this core's part of the keys, its own among them.
    pub blocks_combined: u64,
    /// Those of them that other cores had folded.
    pub blocks_from_others: u64,
}

/// What each core did, in the order of the workers.
pub(super) fn by_core(cores: &Cores, report: &JobReport) -> Vec<CoreSummary> {
    let summary = |(core, worker): (&usize, &RunCounters)| CoreSummary {
        core: *core,
        records_folded: worker.records_folded,
        blocks_combined: worker.blocks_combined,
        blocks_from_others: worker.blocks_from_others,
    };
    cores.ids().iter().zip(&report.workers).map(summary).collect()
}

/// What all workers did, together.
pub(super) fn total(report: &JobReport, count: impl Fn(&RunCounters) -> u64) -> u64 {
    report.workers.iter().map(count).sum()
}
