//! What control knows of one job: its lineage, who reads what, and when it is over. A plain machine.

mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use weir_window::{EventTime, ShardName};

use super::assignment::Assignments;
use super::lineage::{Awaited, Drained, MISSING_LISTINGS, SourceState};
use crate::error::JobError;
use crate::ledger::{Ledger, Loss, Reason};
use crate::pipeline::{DrainedShard, RunCounters, SourceStart};
use crate::source::{Listing, ShardListing};
use crate::worker::{AttachAt, Attachment, BegunBefore};

/// One job as control sees it: a plain machine, told what happened, asked what follows.
pub struct Job {
    sources: Vec<SourceState>,
    workers: Vec<WorkerState>,
    /// See [`Job::take_begun`].
    begun: Vec<(usize, BegunBefore)>,
    error: Option<JobError>,
    pub(crate) ledger: Ledger,
    /// Shards may open as long as nobody stops it, so it is not over when all have ended.
    endless: bool,
    stopped: bool,
    finishing: bool,
    hurried: bool,
}

#[derive(Default)]
struct WorkerState {
    attachments: usize,
    settled: bool,
    finished: Option<RunCounters>,
}

impl Job {
    /// A job whose sources listed these. `endless`: some source is asked again for shards that opened since.
    pub fn new(worker_count: usize, listings: Vec<Listing>, endless: bool) -> Job {
        let sources = listings.into_iter().map(|listing| {
            let listed: BTreeSet<ShardName> = listing.shards.iter().map(|shard| shard.name.clone()).collect();
            let parents = listing.shards.iter().flat_map(|shard| &shard.parents);
            SourceState {
                stream: listing.stream,
                gone: parents.filter(|parent| !listed.contains(*parent)).cloned().collect(),
                waiting: listing.shards.into_iter().map(|shard| (shard.name.clone(), shard)).collect(),
                ..SourceState::default()
            }
        });
        let workers = (0..worker_count).map(|_| WorkerState::default()).collect();
        Job {
            sources: sources.collect(),
            workers,
            begun: Vec::new(),
            error: None,
            ledger: Ledger::default(),
            endless,
            stopped: false,
            finishing: false,
            hurried: false,
        }
    }

    /// What every worker is told of the listings: each listed shard is a hold before the first is read.
    pub fn starts(listings: &[Listing]) -> Vec<SourceStart> {
        let start = |listing: &Listing| SourceStart {
            holds: listing.shards.iter().map(|shard| (shard.name.clone(), EventTime::MIN)).collect(),
            started_at: listing.started_at,
        };
        listings.iter().map(start).collect()
    }

    /// Shards whose parents are all drained or none of ours, each with the worker that is to read it. None once the job
    /// finishes.
    pub fn attach(&mut self, assignments: &mut Assignments) -> Vec<(usize, Attachment)> {
        let mut attached = Vec::new();
        if self.finishing {
            return attached;
        }
        for (index, source) in self.sources.iter_mut().enumerate() {
            let ready = source.take_ready();
            for name in ready {
                let mut shard = source.waiting.remove(&name).expect("it was waiting just now");
                // From the minimum of its parents' ends; without parents from the beginning of time.
                let ends = shard.parents.iter().filter_map(|parent| source.drained.get(parent));
                let at = match ends.map(|drained| drained.at).min() {
                    _ if source.found_late.remove(&name) => AttachAt::Highest,
                    end => AttachAt::Time(end.unwrap_or(EventTime::MIN)),
                };
                // Owners are told of those in whose name they hold it, or will: they remember each until its word has come,
                // and one that was abandoned, or is of another run, has no word for them.
                let drained = &source.drained;
                let has_named = |parent: &ShardName| drained.get(parent).is_some_and(|own| own.named.contains(&name));
                shard.parents.retain(has_named);
                let worker = assignments.assign(&source.stream, &name);
                let _ = source.reading.insert(name, worker);
                self.workers[worker].attachments += 1;
                self.workers[worker].settled = false;
                attached.push((worker, Attachment { source: index, shard, at, awaited: false }));
            }
        }
        let awaited: Vec<Awaited> = self.sources.iter().map(SourceState::awaited_now).collect();
        for (_, attachment) in &mut attached {
            let source = &mut self.sources[attachment.source];
            attachment.awaited = awaited[attachment.source].is(&attachment.shard.name);
            if attachment.awaited {
                let _ = source.awaited.insert(attachment.shard.name.clone());
            }
        }
        attached
    }

    /// Shards being read that others have come to wait for since last asked, or wait for no more, each with its worker and
    /// source: a hold stands for who waits until these are drained, so these must be read on whatever `W` is.
    pub fn take_awaited(&mut self) -> Vec<(usize, usize, ShardName, bool)> {
        let mut changed = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            let now = source.awaited_now();
            let new: Vec<(usize, ShardName, bool)> = source
                .reading
                .iter()
                .map(|(shard, worker)| (*worker, shard.clone(), now.is(shard)))
                .filter(|(_, shard, awaited)| source.awaited.contains(shard) != *awaited)
                .collect();
            for (worker, shard, awaited) in new {
                if awaited {
                    let _ = source.awaited.insert(shard.clone());
                } else {
                    let _ = source.awaited.remove(&shard);
                }
                changed.push((worker, index, shard, awaited));
            }
        }
        changed
    }

    /// A shard came to its end; its children wait for their other parents, if they have any.
    pub fn on_drained(&mut self, drained: DrainedShard, assignments: &mut Assignments) {
        let index = drained.source;
        let source = &mut self.sources[index];
        let worker = source.reading.remove(&drained.shard);
        if let Some(worker) = worker {
            assignments.release(&source.stream, &drained.shard, worker);
        }
        let _ = source.awaited.remove(&drained.shard);
        let named = drained.children.iter().map(|child| child.name.clone()).collect();
        let _ = source.drained.insert(drained.shard.clone(), Drained { at: drained.watermark, named });
        for child in drained.children {
            if !source.has_begun(&child.name) {
                let _ = source.waiting.entry(child.name.clone()).or_insert(child);
            } else if let Some(worker) = worker {
                let (shard, parent) = (child.name, drained.shard.clone());
                self.begun.push((worker, BegunBefore { source: index, shard, parent }));
            }
        }
    }

    /// Shards, since last asked, that had begun when a parent of theirs was drained: when they began, listings named them
    /// and not the parent, so nobody waited for it. Owners now hold them in its name, and nobody would ever begin them
    /// again; the worker that drained the parent is to say that they have begun.
    pub fn take_begun(&mut self) -> Vec<(usize, BegunBefore)> {
        std::mem::take(&mut self.begun)
    }

    /// A source was listed again. Shards that are not known yet wait for their parents, if those are read; of the others the
    /// parents were never read, which is a gap. Drained shards that are not listed any more are forgotten.
    ///
    /// After a stop a listing still says which parents are gone and brings what nobody leads to: that may hold records of
    /// before the stop. What follows a shard that is read is left to that shard's last word, for a reader that has passed
    /// the stop need not come to its shard's end. Once the job finishes no listing counts any more.
    pub fn on_listing(&mut self, source: usize, shards: Vec<ShardListing>, now_ms: i64) {
        if self.finishing {
            return;
        }
        let state = &mut self.sources[source];
        let listed: BTreeSet<ShardName> = shards.iter().map(|shard| shard.name.clone()).collect();
        let left_out = if self.stopped { state.led_to(&shards) } else { BTreeSet::new() };
        let brings = |shard: &ShardListing| !state.knows(&shard.name) && !left_out.contains(&shard.name);
        for shard in shards.into_iter().filter(brings).collect::<Vec<_>>() {
            let followed = shard.parents.iter().any(|parent| state.is_to_be_drained(parent) || listed.contains(parent));
            if !followed {
                let what = format!(
                    "found while running, and its parents {} were not read to their end: what was left of them is missing, and what is \
                     older than the windows still open is late",
                    if shard.parents.is_empty() { "(none named)".to_owned() } else { shard.parents.join(", ") }
                );
                let loss = Loss { reason: Reason::FoundLate, records: None, range: None, what };
                self.ledger.note(&shard.name, now_ms, loss);
                let _ = state.found_late.insert(shard.name.clone());
            }
            let _ = state.waiting.insert(shard.name.clone(), shard);
        }
        state.note_gone(|shard| listed.contains(shard), |shard| listed.contains(shard));
        let waiting = &state.waiting;
        let missing = &mut state.missing;
        state.drained.retain(|shard, _| {
            if listed.contains(shard) {
                let _ = missing.remove(shard);
                return true;
            }
            let times = missing.entry(shard.clone()).or_default();
            *times += 1;
            let kept = *times < MISSING_LISTINGS || waiting.values().any(|waiting| waiting.parents.contains(shard));
            if !kept {
                let _ = missing.remove(shard);
            }
            kept
        });
    }

    /// A worker has nothing left to do, as of so many attachments.
    pub fn on_settled(&mut self, worker: usize, attachments: usize) {
        let state = &mut self.workers[worker];
        state.settled = attachments == state.attachments;
    }

    /// A stop may unsettle every worker.
    pub fn on_stop(&mut self) {
        self.stopped = true;
        self.workers.iter_mut().for_each(|worker| worker.settled = false);
    }

    /// A worker cannot go on: the job ends. The first error is the reason, those that follow are its echoes.
    pub fn on_failed(&mut self, error: JobError) {
        let _ = self.error.get_or_insert(error);
    }

    /// A worker has forgotten the job. Returns whether it was the last.
    pub fn on_finished(&mut self, worker: usize, counters: RunCounters) -> bool {
        self.workers[worker].finished = Some(counters);
        self.workers.iter().all(|worker| worker.finished.is_some())
    }

    /// Whether everything is done, or has failed, and the workers are to finish; true once.
    pub fn begin_finish(&mut self) -> bool {
        let done = (self.stopped || !self.endless)
            && self.workers.iter().all(|worker| worker.settled)
            && self.sources.iter().all(|source| source.waiting.is_empty());
        let begin = !self.finishing && (done || self.error.is_some());
        self.finishing |= begin;
        begin
    }

    /// To finish whatever is open; true once.
    pub fn force_finish(&mut self) -> bool {
        !std::mem::replace(&mut self.finishing, true)
    }

    /// To wait no longer for sinks than they may after a cancel or a failure; true once, so that who cancels again and again
    /// fills no mailbox.
    pub fn hurry(&mut self) -> bool {
        !std::mem::replace(&mut self.hurried, true)
    }

    /// Gives back what the job still reads.
    pub fn release(&mut self, assignments: &mut Assignments) {
        for source in &mut self.sources {
            for (shard, worker) in std::mem::take(&mut source.reading) {
                assignments.release(&source.stream, &shard, worker);
            }
        }
    }

    /// Workers that read something now.
    pub fn readers(&self) -> Vec<usize> {
        let readers: BTreeSet<usize> =
            self.sources.iter().flat_map(|source| source.reading.values().copied()).collect();
        readers.into_iter().collect()
    }

    /// Each shard that is read now, and on which worker.
    pub fn reading(&self) -> Vec<(ShardName, usize)> {
        self.sources.iter().flat_map(|source| source.reading.clone()).collect()
    }
}
