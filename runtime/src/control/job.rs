//! What control knows of one job: its lineage, who reads what, and when it is over. A plain machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_window::{EventTime, ShardName};

use super::assignment::Assignments;
use crate::error::JobError;
use crate::ledger::{Ledger, Loss, Reason};
use crate::pipeline::{DrainedShard, RunCounters, SourceStart};
use crate::source::{Listing, ShardListing};
use crate::worker::{AttachAt, Attachment};

/// One job as control sees it: a plain machine, told what happened, asked what follows.
pub struct Job {
    sources: Vec<SourceState>,
    workers: Vec<WorkerState>,
    /// See [`Job::take_begun`].
    begun: Vec<BegunBefore>,
    pub(crate) error: Option<JobError>,
    pub(crate) ledger: Ledger,
    /// Shards may open as long as nobody stops it, so it is not over when all have ended.
    endless: bool,
    stopped: bool,
    finishing: bool,
    hurried: bool,
}

/// A shard that began before a parent of it was read, and who drained that parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunBefore {
    /// The worker that drained the parent.
    pub worker: usize,
    /// Index of the source in its pipeline.
    pub source: usize,
    /// The shard.
    pub shard: ShardName,
    /// Its parent.
    pub parent: ShardName,
}

/// One source's shards: waiting for their parents, being read, drained.
#[derive(Default)]
struct SourceState {
    stream: Arc<str>,
    waiting: BTreeMap<ShardName, ShardListing>,
    reading: BTreeMap<ShardName, usize>,
    drained: BTreeMap<ShardName, Drained>,
    /// Shards being read whose workers know that others wait for them.
    awaited: BTreeSet<ShardName>,
    /// Shards waiting whose parents were never read.
    found_late: BTreeSet<ShardName>,
    /// Parents of listed shards that are not listed themselves: nobody will read them. A parent that is merely not known
    /// yet is another matter: the news of it may be on its way.
    gone: BTreeSet<ShardName>,
    /// For each drained shard, in how many listings in a row it was missing.
    missing: BTreeMap<ShardName, u32>,
}

/// A shard that was read to its end, or for as long as it was there.
struct Drained {
    at: EventTime,
    /// Children it named, and that owners hold in its name.
    named: BTreeSet<ShardName>,
}

/// Listings in a row without a drained shard after which it is forgotten: one may be older than what is known, and to read
/// a shard again from its beginning would count it twice.
const MISSING_LISTINGS: u32 = 5;

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
                self.begun.push(BegunBefore { worker, source: index, shard, parent });
            }
        }
    }

    /// Shards, since last asked, that had begun when a parent of theirs was drained: when they began, listings named them
    /// and not the parent, so nobody waited for it. Owners now hold them in its name, and nobody would ever begin them
    /// again; the worker that drained the parent is to say that they have begun.
    pub fn take_begun(&mut self) -> Vec<BegunBefore> {
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

    /// The ledger, with what the workers counted over the whole run. Once, at the end.
    pub(crate) fn take_ledger(&mut self) -> Ledger {
        let counters = self.counters();
        let sum = |counter: fn(&RunCounters) -> u64| counters.iter().map(counter).sum::<u64>();
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.count(Reason::Late, sum(|worker| worker.late), || "came after all of their windows".to_owned());
        ledger.count(Reason::PartlyLate, sum(|worker| worker.partly_late), || {
            "came after some of their windows, and are in the others".to_owned()
        });
        ledger.count(Reason::Open, sum(|worker| worker.open), || {
            "are in windows that had not all fired when the job ended".to_owned()
        });
        let worst_ms = counters.iter().map(|worker| worker.behind_evidence_ms_max).max().unwrap_or(0);
        ledger.count(Reason::BehindEvidence, sum(|worker| worker.behind_evidence), || {
            format!(
                "were stamped up to {worst_ms} ms before their shard had been proved silent: the margin is too small"
            )
        });
        ledger.count(Reason::Repeated, sum(|worker| worker.repeated), || {
            "were sent again because no answer came, and may be in the target twice".to_owned()
        });
        ledger.count(Reason::Unwritable, sum(|worker| worker.unwritable), || {
            "can never be written: the sink's target refuses such records for ever".to_owned()
        });
        let unwritten = sum(|worker| worker.taken.saturating_sub(worker.written + worker.unwritable));
        ledger.count(Reason::Unwritten, unwritten, || "were given to sinks and are not known to be written".to_owned());
        ledger
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

/// Shards that others wait for.
#[derive(Default)]
struct Awaited {
    parents: BTreeSet<ShardName>,
    /// Somebody waits for a shard that nobody has heard of yet, and that may follow any that is read.
    all: bool,
}

impl Awaited {
    fn is(&self, shard: &ShardName) -> bool {
        self.all || self.parents.contains(shard)
    }
}

impl SourceState {
    /// Waiting shards that wait for nobody any more.
    fn take_ready(&mut self) -> Vec<ShardName> {
        let ready = self.ready();
        if ready.is_empty() && self.reading.is_empty() {
            // Nobody is left who could bring news of a parent.
            self.note_gone(|_| true, |_| false);
            return self.ready();
        }
        ready
    }

    fn ready(&self) -> Vec<ShardName> {
        let over = |parent: &ShardName| {
            #[cfg(feature = "sabotage")]
            if crate::sabotage::is_planted(crate::sabotage::Bug::ChildBeforeParents) {
                return true;
            }
            self.drained.contains_key(parent) || self.gone.contains(parent)
        };
        let ready = self.waiting.values().filter(|shard| shard.parents.iter().all(over));
        ready.map(|shard| shard.name.clone()).collect()
    }

    /// Of the waiting shards that `concerned` picks, parents that are neither known nor `present` are gone.
    fn note_gone(&mut self, concerned: impl Fn(&ShardName) -> bool, present: impl Fn(&ShardName) -> bool) {
        let waiting = self.waiting.values().filter(|shard| concerned(&shard.name));
        let parents = waiting.flat_map(|shard| &shard.parents);
        let gone = parents.filter(|parent| !self.knows(parent) && !present(parent)).cloned();
        self.gone = gone.chain(self.gone.iter().cloned()).collect();
        let wanted: BTreeSet<&ShardName> = self.waiting.values().flat_map(|shard| &shard.parents).collect();
        // One that has been found after all is waited for like any other.
        let kept = self.gone.iter().filter(|shard| wanted.contains(shard) && !self.knows(shard));
        let kept: BTreeSet<ShardName> = kept.cloned().collect();
        self.gone = kept;
    }

    fn knows(&self, shard: &ShardName) -> bool {
        self.waiting.contains_key(shard) || self.has_begun(shard)
    }

    fn has_begun(&self, shard: &ShardName) -> bool {
        self.reading.contains_key(shard) || self.drained.contains_key(shard)
    }

    /// Of a listing, the shards that are not known and follow, through whatever chain, one that is to be drained.
    fn led_to(&self, listing: &[ShardListing]) -> BTreeSet<ShardName> {
        let mut led = BTreeSet::new();
        loop {
            let before = led.len();
            for shard in listing.iter().filter(|shard| !self.knows(&shard.name)) {
                if shard.parents.iter().any(|parent| self.is_to_be_drained(parent) || led.contains(parent)) {
                    let _ = led.insert(shard.name.clone());
                }
            }
            if led.len() == before {
                return led;
            }
        }
    }

    fn is_to_be_drained(&self, shard: &ShardName) -> bool {
        self.waiting.contains_key(shard) || self.reading.contains_key(shard)
    }

    /// Whom waiting shards follow, as of now. Once for many questions: it costs a pass over all who wait.
    fn awaited_now(&self) -> Awaited {
        let parents = self.waiting.values().flat_map(|waiting| &waiting.parents);
        let unheard_of = |parent: &ShardName| !(self.knows(parent) || self.gone.contains(parent));
        let mut awaited = Awaited::default();
        for parent in parents {
            awaited.all |= unheard_of(parent);
            let _ = awaited.parents.insert(parent.clone());
        }
        awaited
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
        let at = |at: AttachAt| match at {
            AttachAt::Time(at) => at.as_millis(),
            AttachAt::Highest => i64::MAX,
        };
        attached.map(|(_, a)| (a.shard.name.to_string(), at(a.at))).collect()
    }

    fn drained(shard: &str, at: i64, children: Vec<ShardListing>) -> DrainedShard {
        DrainedShard { source: 0, shard: shard.into(), watermark: EventTime::from_millis(at), children }
    }

    #[test]
    fn merged_child_waits_for_both_parents_and_starts_at_the_lesser_end() {
        let mut assignments = Assignments::new(2);
        let shards = vec![listing("a", &[]), listing("b", &[])];
        let mut job = Job::new(2, vec![Listing { shards, ..Listing::default() }], false);
        let min = EventTime::MIN.as_millis();
        assert_eq!(attached(&mut job, &mut assignments), [("a".into(), min), ("b".into(), min)]);
        job.on_drained(drained("a", 70, vec![listing("c", &["a", "b"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), []);
        job.on_drained(drained("b", 50, vec![listing("c", &["a", "b"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 50)]);
    }

    // Owners remember a parent of a shard that began until the parent's word has come. One that was abandoned says none.
    #[test]
    fn shard_begins_in_the_name_of_those_parents_alone_that_named_it() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("a", &[]), listing("b", &[]), listing("c", &["a", "b", "gone"])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        job.on_drained(drained("a", 7, Vec::new()), &mut assignments);
        job.on_drained(drained("b", 9, vec![listing("c", &["a", "b"])]), &mut assignments);
        let (_, child) = job.attach(&mut assignments).remove(0);
        assert_eq!(child.shard.parents, ["b".into()]);
        assert_eq!(child.at, AttachAt::Time(EventTime::from_millis(7)), "it follows both");
    }

    #[test]
    fn child_listed_beside_its_parent_waits_for_it() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("child", &["parent"]), listing("parent", &["gone"])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }], false);
        let min = EventTime::MIN.as_millis();
        assert_eq!(attached(&mut job, &mut assignments), [("parent".into(), min)]);
        job.on_drained(drained("parent", 9, vec![]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("child".into(), 9)]);
    }

    // y becomes x, x and p become c; the news that p became c comes before the news of x.
    #[test]
    fn child_waits_for_a_parent_that_nobody_has_heard_of_yet() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("y", &[]), listing("p", &[])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        job.on_drained(drained("p", 5, vec![listing("c", &["p", "x"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), []);
        assert_eq!(job.take_awaited(), [(0, 0, "y".into(), true)], "x may follow it");
        // A listing from before c says nothing of its parents.
        job.on_listing(0, vec![listing("y", &[]), listing("p", &[])], 0);
        assert_eq!(attached(&mut job, &mut assignments), []);
        job.on_drained(drained("y", 4, vec![listing("x", &["y"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("x".into(), 4)]);
        job.on_drained(drained("x", 7, vec![listing("c", &["p", "x"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 5)]);
    }

    #[test]
    fn parent_that_a_listing_with_its_child_does_not_name_is_not_waited_for() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("y", &[]), listing("p", &[])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        job.on_drained(drained("p", 5, vec![listing("c", &["p", "aged"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), []);
        job.on_listing(0, vec![listing("y", &[]), listing("p", &[]), listing("c", &["p", "aged"])], 0);
        assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 5)]);
    }

    #[test]
    fn parents_of_a_waiting_shard_are_awaited_and_told_once() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("cold", &[]), listing("warm", &[])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }], true);
        assert!(job.attach(&mut assignments).iter().all(|(_, attachment)| !attachment.awaited));
        assert_eq!(job.take_awaited(), []);
        job.on_drained(drained("cold", 7, vec![listing("c", &["cold", "warm"])]), &mut assignments);
        assert_eq!(job.attach(&mut assignments).len(), 0);
        assert_eq!(job.take_awaited(), [(0, 0, "warm".into(), true)]);
        assert_eq!(job.take_awaited(), []);
    }

    #[test]
    fn shard_found_by_a_listing_waits_for_its_parents_or_is_late() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("a", &[])], ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        let found = vec![listing("a", &[]), listing("b", &["a"]), listing("lost", &["gone"]), listing("c", &["lost"])];
        job.on_listing(0, found, 5);
        assert_eq!(attached(&mut job, &mut assignments), [("lost".into(), i64::MAX)]);
        let entries: Vec<_> = job.ledger.entries().map(|entry| (&*entry.place, entry.reason, entry.at_ms)).collect();
        assert_eq!(entries, [("lost", Reason::FoundLate, 5)], "c follows a shard that is read");
        assert_eq!(job.take_awaited(), [(0, 0, "a".into(), true)], "and lost was told when it was attached");
        job.on_drained(drained("a", 9, vec![listing("b", &["a"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("b".into(), 9)]);
        for times in 0..MISSING_LISTINGS {
            assert!(job.sources[0].drained.contains_key("a"), "forgotten after {times} listings without it");
            job.on_listing(0, vec![listing("b", &["a"]), listing("lost", &[])], 6);
        }
        assert!(!job.sources[0].drained.contains_key("a"), "aged out, and nobody waits for it");
        assert_eq!(job.ledger.entries().count(), 1);
    }

    // p becomes c, c becomes d; a listing from before c arrives last.
    #[test]
    fn listing_that_is_older_than_what_is_known_brings_no_shard_back() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("p", &[])], ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        for (parent, child) in [("p", "c"), ("c", "d")] {
            job.on_drained(drained(parent, 5, vec![listing(child, &[parent])]), &mut assignments);
            assert_eq!(attached(&mut job, &mut assignments), [(child.into(), 5)]);
        }
        job.on_listing(0, vec![listing("p", &[])], 0);
        job.on_listing(0, vec![listing("p", &[]), listing("c", &["p"]), listing("d", &["c"])], 0);
        assert_eq!(attached(&mut job, &mut assignments), []);
    }

    // c is listed without its parents; then p is found after all, and names c.
    #[test]
    fn parent_that_is_found_after_its_child_began_holds_nobody() {
        let mut assignments = Assignments::new(2);
        let shards = vec![listing("a", &[]), listing("c", &["p"]), listing("m", &["a", "p"])];
        let mut job = Job::new(2, vec![Listing { shards, ..Listing::default() }], true);
        assert_eq!(attached(&mut job, &mut assignments).len(), 2);
        let found = vec![listing("a", &[]), listing("c", &["p"]), listing("m", &["a", "p"]), listing("p", &[])];
        job.on_listing(0, found, 5);
        assert_eq!(attached(&mut job, &mut assignments), [("p".into(), i64::MAX)]);
        job.on_drained(drained("a", 3, vec![listing("m", &["a", "p"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [], "m had not begun, and waits for p");
        let worker = job.reading().iter().find(|(shard, _)| &**shard == "p").expect("it is read").1;
        job.on_drained(drained("p", 9, vec![listing("c", &["p"]), listing("m", &["a", "p"])]), &mut assignments);
        let begun = BegunBefore { worker, source: 0, shard: "c".into(), parent: "p".into() };
        assert_eq!((job.take_begun(), job.take_begun()), (vec![begun], Vec::new()));
        assert_eq!(attached(&mut job, &mut assignments), [("m".into(), 3)]);
    }

    #[test]
    fn job_that_looks_for_shards_is_not_over_until_it_is_stopped() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("a", &[])], ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        job.on_settled(0, 1);
        assert!(!job.begin_finish());
        job.on_stop();
        job.on_settled(0, 1);
        assert!(job.begin_finish());
    }

    // p is read; c and d follow it, x leads to y, and nobody leads to x.
    #[test]
    fn listing_after_a_stop_brings_only_what_no_shard_that_is_read_leads_to() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("p", &[])], ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        job.on_stop();
        job.on_settled(0, 1);
        let found = vec![
            listing("d", &["c"]),
            listing("p", &[]),
            listing("c", &["p"]),
            listing("x", &[]),
            listing("y", &["x"]),
        ];
        job.on_listing(0, found.clone(), 5);
        assert_eq!(attached(&mut job, &mut assignments), [("x".into(), i64::MAX)]);
        job.on_settled(0, 2);
        assert!(job.sources[0].waiting.keys().all(|shard| &**shard == "y"), "d and c keep nobody up");
        job.on_drained(drained("p", 9, vec![listing("c", &["p"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 9)], "its parent's word counts all the same");
    }

    #[test]
    fn parent_that_aged_out_is_known_to_be_gone_after_a_stop_too() {
        let mut assignments = Assignments::new(1);
        let shards = vec![listing("p", &[]), listing("open", &[])];
        let mut job = Job::new(1, vec![Listing { shards, ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        job.on_stop();
        job.on_drained(drained("p", 5, vec![listing("c", &["p", "x"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), []);
        job.on_listing(0, vec![listing("open", &[]), listing("c", &["p", "x"])], 5);
        assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 5)]);
    }

    #[test]
    fn finishing_job_begins_no_shard_and_loses_none() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("p", &[])], ..Listing::default() }], true);
        let _ = job.attach(&mut assignments);
        assert!(job.force_finish());
        job.on_listing(0, vec![listing("p", &[]), listing("lost", &["gone"])], 5);
        job.on_drained(drained("p", 9, vec![listing("c", &["p"])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), []);
        assert!(job.ledger.is_empty(), "nobody reads any more, so nobody misses a shard");
    }

    #[test]
    fn settled_before_an_attachment_arrived_does_not_count() {
        let mut assignments = Assignments::new(1);
        let mut job = Job::new(1, vec![Listing { shards: vec![listing("a", &[])], ..Listing::default() }], false);
        let _ = job.attach(&mut assignments);
        job.on_settled(0, 0);
        assert!(!job.begin_finish());
        job.on_settled(0, 1);
        assert!(job.begin_finish());
        assert!(!job.begin_finish(), "only once");
    }
}
