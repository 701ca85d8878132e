//! What control knows of one job: its lineage, who reads what, and when it is over. A plain machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_window::{EventTime, ShardName};

use super::assignment::Assignments;
use crate::error::JobError;
use crate::pipeline::{DrainedShard, RunCounters, SourceStart};
use crate::source::{Listing, ShardListing};
use crate::worker::Attachment;

/// One job as control sees it.
pub(crate) struct Job {
    sources: Vec<SourceState>,
    workers: Vec<WorkerState>,
    pub(crate) error: Option<JobError>,
    finishing: bool,
}

/// One source's shards: waiting for their parents, being read, drained.
#[derive(Default)]
struct SourceState {
    stream: Arc<str>,
    waiting: BTreeMap<ShardName, ShardListing>,
    reading: BTreeMap<ShardName, usize>,
    drained: BTreeMap<ShardName, EventTime>,
    /// Shards being read whose workers know that others wait for them.
    awaited: BTreeSet<ShardName>,
}

#[derive(Default)]
struct WorkerState {
    attachments: usize,
    settled: bool,
    finished: Option<RunCounters>,
}

impl Job {
    pub(crate) fn new(worker_count: usize, listings: Vec<Listing>) -> Job {
        let sources = listings.into_iter().map(|listing| SourceState {
            stream: listing.stream,
            waiting: listing.shards.into_iter().map(|shard| (shard.name.clone(), shard)).collect(),
            ..SourceState::default()
        });
        let workers = (0..worker_count).map(|_| WorkerState::default()).collect();
        Job { sources: sources.collect(), workers, error: None, finishing: false }
    }

    /// What every worker is told of the listings: each listed shard is a hold before the first is read.
    pub(crate) fn starts(listings: &[Listing]) -> Vec<SourceStart> {
        let start = |listing: &Listing| SourceStart {
            holds: listing.shards.iter().map(|shard| (shard.name.clone(), EventTime::MIN)).collect(),
            started_at: listing.started_at,
        };
        listings.iter().map(start).collect()
    }

    /// Shards whose parents are all drained or none of ours, each with the worker that is to read it.
    pub(crate) fn attach(&mut self, assignments: &mut Assignments) -> Vec<(usize, Attachment)> {
        let mut attached = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            let ready: Vec<ShardName> = source.ready().collect();
            for name in ready {
                let mut shard = source.waiting.remove(&name).expect("it was waiting just now");
                // Owners wait for those that are drained in this run, and for no other.
                shard.parents.retain(|parent| source.drained.contains_key(parent));
                // From the minimum of its parents' ends; without parents from the beginning of time.
                let ends = shard.parents.iter().filter_map(|parent| source.drained.get(parent));
                let at = ends.min().copied().unwrap_or(EventTime::MIN);
                let worker = assignments.assign(&source.stream, &name);
                let _ = source.reading.insert(name, worker);
                self.workers[worker].attachments += 1;
                self.workers[worker].settled = false;
                attached.push((worker, Attachment { source: index, shard, at, awaited: false }));
            }
        }
        for (_, attachment) in &mut attached {
            let source = &mut self.sources[attachment.source];
            attachment.awaited = source.is_awaited(&attachment.shard.name);
            if attachment.awaited {
                let _ = source.awaited.insert(attachment.shard.name.clone());
            }
        }
        attached
    }

    /// Shards that others have come to wait for since last asked, each with its worker and source: a hold stands for the
    /// others until these are drained, so these must be read on whatever `W` is.
    pub(crate) fn take_awaited(&mut self) -> Vec<(usize, usize, ShardName)> {
        let mut awaited = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            let new: Vec<(ShardName, usize)> = source
                .reading
                .iter()
                .filter(|(shard, _)| !source.awaited.contains(*shard) && source.is_awaited(shard))
                .map(|(shard, worker)| (shard.clone(), *worker))
                .collect();
            for (shard, worker) in new {
                let _ = source.awaited.insert(shard.clone());
                awaited.push((worker, index, shard));
            }
        }
        awaited
    }

    /// A shard came to its end; its children wait for their other parents, if they have any.
    pub(crate) fn on_drained(&mut self, drained: DrainedShard, assignments: &mut Assignments) {
        let source = &mut self.sources[drained.source];
        if let Some(worker) = source.reading.remove(&drained.shard) {
            assignments.release(&source.stream, &drained.shard, worker);
        }
        let _ = source.awaited.remove(&drained.shard);
        let _ = source.drained.insert(drained.shard, drained.watermark);
        for child in drained.children {
            let known = source.reading.contains_key(&child.name) || source.drained.contains_key(&child.name);
            if !known {
                let _ = source.waiting.entry(child.name.clone()).or_insert(child);
            }
        }
    }

    /// A worker has nothing left to do, as of so many attachments.
    pub(crate) fn on_settled(&mut self, worker: usize, attachments: usize) {
        let state = &mut self.workers[worker];
        state.settled = attachments == state.attachments;
    }

    /// A stop may unsettle every worker.
    pub(crate) fn on_stop(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.settled = false);
    }

    /// A worker has forgotten the job. Returns whether it was the last.
    pub(crate) fn on_finished(&mut self, worker: usize, counters: RunCounters) -> bool {
        self.workers[worker].finished = Some(counters);
        self.workers.iter().all(|worker| worker.finished.is_some())
    }

    /// Whether everything is done, or has failed, and the workers are to finish; true once.
    pub(crate) fn begin_finish(&mut self) -> bool {
        let done = self.workers.iter().all(|worker| worker.settled)
            && self.sources.iter().all(|source| source.waiting.is_empty());
        let begin = !self.finishing && (done || self.error.is_some());
        self.finishing |= begin;
        begin
    }

    /// To finish whatever is open; true once.
    pub(crate) fn force_finish(&mut self) -> bool {
        !std::mem::replace(&mut self.finishing, true)
    }

    /// Gives back what the job still reads.
    pub(crate) fn release(&mut self, assignments: &mut Assignments) {
        for source in &mut self.sources {
            for (shard, worker) in std::mem::take(&mut source.reading) {
                assignments.release(&source.stream, &shard, worker);
            }
        }
    }

    /// Workers that read something now.
    pub(crate) fn readers(&self) -> Vec<usize> {
        let readers: BTreeSet<usize> =
            self.sources.iter().flat_map(|source| source.reading.values().copied()).collect();
        readers.into_iter().collect()
    }

    /// Each shard that is read now, and on which worker.
    pub(crate) fn reading(&self) -> Vec<(ShardName, usize)> {
        self.sources.iter().flat_map(|source| source.reading.clone()).collect()
    }

    /// Of each worker. Records that were between two workers at the end are open too, and counted at the first.
    pub(crate) fn counters(&self) -> Vec<RunCounters> {
        let mut counters: Vec<RunCounters> =
            self.workers.iter().map(|worker| worker.finished.unwrap_or_default()).collect();
        let sent: u64 = counters.iter().map(|worker| worker.records_sent).sum();
        let received: u64 = counters.iter().map(|worker| worker.records_received).sum();
        if let Some(first) = counters.first_mut() {
            first.open += sent.saturating_sub(received);
        }
        counters
    }
}

impl SourceState {
    fn ready(&self) -> impl Iterator<Item = ShardName> {
        let pending = |parent: &ShardName| self.waiting.contains_key(parent) || self.reading.contains_key(parent);
        self.waiting.values().filter(move |shard| !shard.parents.iter().any(pending)).map(|shard| shard.name.clone())
    }

    fn is_awaited(&self, shard: &ShardName) -> bool {
        self.waiting.values().any(|waiting| waiting.parents.contains(shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::StartPosition;

    fn listing(name: &str, parents: &[&str]) -> ShardListing {
        ShardListing {
            name: name.into(),
            parents: parents.iter().map(|parent| (*parent).into()).collect(),
            open: true,
            position: StartPosition("trim-horizon".into()),
        }
    }

    fn attached(job: &mut Job, assignments: &mut Assignments) -> Vec<(String, i64)> {
        let attached = job.attach(assignments).into_iter();
        attached.map(|(_, a)| (a.shard.name.to_string(), a.at.as_millis())).collect()
    }

    fn drained(shard: &str, at: i64, children: Vec<ShardListing>) -> DrainedShard {
        DrainedShard { source: 0, shard: shard.into(), watermark: EventTime::from_millis(at), children }
    }

    #[test]
    fn merged_child_waits_for_both_parents_and_starts_at_the_lesser_end() {
        let mut assignments = Assignments::new(2);
        let shards = vec![listing("a", &[]), listing("b", &[])];
        let mut job = Job::new(2, vec![Listing { shards, ..Listing::default() }]);
        let min = EventTime::MIN.as_millis();
        assert_eq!(attached(&mut job, &mut assignments), [("a".into(), min), ("b".into(), min)]);
        job.on_drained(drained("a", 70, vec![listing("c", &["a", "b"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), []);
        job.on_drained(drained("b", 50, vec![listing("c", &["a", "b"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 50)]);
    }

    #[test]
    fn child_listed_beside_its_parent_waits_for_it() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("child", &["parent"]), listing("parent", &["gone"])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }]);
        let min = EventTime::MIN.as_millis();
        assert_eq!(attached(&mut job, &mut assignments), [("parent".into(), min)]);
        job.on_drained(drained("parent", 9, vec![]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("child".into(), 9)]);
    }

    #[test]
    fn settled_before_an_attachment_arrived_does_not_count() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("a", &[])], ..Listing::default() }]);
        let _ = job.attach(&mut assignments);
        job.on_settled(0, 0);
        assert!(!job.begin_finish());
        job.on_settled(0, 1);
        assert!(job.begin_finish());
        assert!(!job.begin_finish(), "only once");
    }
}
