//! Where a source enters a worker: its shards' inlets, their watermarks, and the first stage behind them.

use std::cell::RefCell;
use std::rc::Rc;

use weir_window::{EventTime, ShardName, ShardWatermark, TimeSpan, WorkerMark, WorkerWatermark};

use super::operator::{Batch, Operator, OperatorContext, Progress, RunCounters};
use crate::error::JobError;
use crate::inlet::{INLET_INPUTS_MAX, Losses, Outlet, inlet};
use crate::ledger::Loss;
use crate::memory::MemoryBudget;
use crate::signal::Notifier;
use crate::source::{LocalFuture, Position, ShardInput, ShardListing, SourceReader, Stop};

/// A shard that came to its end with children, told to control so that they are attached.
#[derive(Clone, Debug)]
pub struct DrainedShard {
    /// Index of the source in its pipeline.
    pub source: usize,
    /// The shard.
    pub shard: ShardName,
    /// Its final watermark, at which its children attach.
    pub watermark: EventTime,
    /// Its children, perhaps told by the other parent of a merge as well.
    pub children: Vec<ShardListing>,
}

/// A loss that a reader noticed, on its way to the job's ledger.
#[derive(Clone, Debug)]
pub struct ShardLoss {
    /// The shard.
    pub shard: ShardName,
    /// What was lost.
    pub loss: Loss,
}

/// A shard that begins on a worker.
pub(crate) struct ShardBegin {
    pub(crate) shard: ShardListing,
    /// Where its watermark begins.
    pub(crate) at: EventTime,
    /// Whether another shard waits for its end.
    pub(crate) awaited: bool,
}

/// A source on one worker, its item type forgotten: what a run drives.
pub(crate) trait IntakePart {
    /// Adds a shard, whose watermark starts at `at`, and gives the future that reads it, to be run on this executor.
    fn attach(&mut self, begin: ShardBegin, cx: &mut OperatorContext<'_>)
    -> LocalFuture<'static, Result<(), JobError>>;
    /// Whether another shard waits for the end of this one, which then is read however far ahead it is.
    fn on_awaited(&mut self, shard: &str, awaited: bool);
    /// Tells owners that a shard has begun that they hold in the name of this parent, which was drained here.
    fn on_begun_before(&mut self, shard: ShardName, parent: ShardName, cx: &mut OperatorContext<'_>);
    /// Takes one input of one shard that is not more than `ahead` beyond `taken`. Returns whether it did.
    fn step(&mut self, taken: EventTime, ahead: TimeSpan, cx: &mut OperatorContext<'_>) -> bool;
    /// Asks every reader to end.
    fn stop(&mut self, stop: Stop);
    /// Passes a checkpoint barrier down the stages; gives the last folded position of each shard that is still read.
    fn barrier(&mut self, cx: &mut OperatorContext<'_>) -> Vec<(ShardName, Position)>;
    /// Shards that have come to their end since last asked.
    fn take_drained(&mut self) -> Vec<DrainedShard>;
    /// Losses noticed since last asked.
    fn take_lost(&mut self) -> Vec<ShardLoss>;
    /// Whether no shard here will yield anything stamped at or before `end`.
    fn is_past(&mut self, end: Option<EventTime>) -> bool;
    /// What keeps this worker's watermark from rising, and why, in words.
    fn holder(&self) -> Option<String>;
    /// The same with the time at which it stands, if it is a trouble and not merely the slowest.
    fn troubled(&self) -> Option<(EventTime, String)>;
}

pub(super) struct IntakeSettings {
    pub(super) source: usize,
    /// How far event times may be out of order; `None` without timestamps.
    pub(super) lag: Option<TimeSpan>,
    pub(super) worker: Notifier,
    pub(super) memory: MemoryBudget,
}

pub(super) struct Intake<T> {
    settings: IntakeSettings,
    reader: Box<dyn SourceReader<T>>,
    head: Box<dyn Operator<T>>,
    shards: Vec<Shard<T>>,
    /// Where the next look for an input begins, so that no shard starves another.
    next: usize,
    watermark: WorkerWatermark,
    drained: Vec<DrainedShard>,
    lost: Rc<RefCell<Vec<ShardLoss>>>,
    /// Shards are over once they have passed this.
    until: Option<EventTime>,
}

struct Shard<T> {
    name: ShardName,
    outlet: Outlet<T>,
    awaited: bool,
    /// Up to here it was proved that everything had been read.
    evidence: EventTime,
    /// Up to here nothing more is to come before a stop: proved, or seen in what a stop holds back.
    passed: EventTime,
    position: Position,
    trouble: Option<String>,
}

impl<T: 'static> Intake<T> {
    pub(super) fn new(
        settings: IntakeSettings,
        reader: Box<dyn SourceReader<T>>,
        head: Box<dyn Operator<T>>,
    ) -> Intake<T> {
        let watermark = WorkerWatermark::default();
        Intake {
            settings,
            reader,
            head,
            shards: Vec::new(),
            next: 0,
            watermark,
            drained: Vec::new(),
            lost: Rc::default(),
            until: None,
        }
    }

    fn is_timed(&self) -> bool {
        self.settings.lag.is_some()
    }

    fn mark(&mut self, cx: &mut OperatorContext<'_>) {
        if let Some(until) = self.until {
            for shard in &self.shards {
                if let Some(own) = self.watermark.shard_mut(&shard.name).filter(|own| own.current() > until) {
                    own.end();
                }
            }
        }
        if self.is_timed() {
            self.head.on_progress(&Progress::Mark(self.watermark.mark()), cx);
        }
    }

    fn on_input(&mut self, index: usize, input: ShardInput<T>, cx: &mut OperatorContext<'_>) {
        let timed = self.is_timed();
        let shard = &mut self.shards[index];
        match input {
            ShardInput::Items { items, times, position } => {
                cx.counters.records_in += items.len() as u64;
                (shard.position, shard.trouble) = (position, None);
                let highest = times.iter().max().copied();
                if times.iter().min().is_some_and(|lowest| *lowest < shard.evidence) {
                    count_behind(&times, shard.evidence, cx.counters);
                }
                let times = if timed { times } else { Vec::new() };
                self.head.on_batch(&mut Batch { items, times }, cx);
                if let (true, Some(highest)) = (timed, highest) {
                    self.watermark.shard_mut(&shard.name).expect("attached with its shard").on_folded(highest);
                }
                self.mark(cx);
            }
            ShardInput::Withheld(time) => {
                shard.passed = shard.passed.max(time);
                if timed {
                    let own = self.watermark.shard_mut(&shard.name).expect("attached with its shard");
                    own.on_folded(time);
                }
                self.mark(cx);
            }
            ShardInput::Evidence(time) => {
                shard.trouble = None;
                shard.evidence = shard.evidence.max(time);
                shard.passed = shard.passed.max(time);
                if timed {
                    self.watermark.shard_mut(&shard.name).expect("attached with its shard").on_evidence(time);
                }
                self.mark(cx);
            }
            ShardInput::Lagging { .. } => {}
            ShardInput::Trouble(trouble) => shard.trouble = Some(trouble),
            ShardInput::Drained { children } => {
                let ending = if children.is_empty() { Ending::Over } else { Ending::Followed };
                self.on_ended(index, ending, children, cx);
            }
            ShardInput::Abandoned => self.on_ended(index, Ending::Abandoned, Vec::new(), cx),
        }
    }

    /// A shard without children is over: its watermark is infinite. One with children leaves the minimum in the same
    /// breath in which its children become holds; one that is gone leaves it without a word of what is to come.
    fn on_ended(&mut self, index: usize, ending: Ending, children: Vec<ShardListing>, cx: &mut OperatorContext<'_>) {
        // Forgotten here and now: a stream that is resharded every minute would leave more of them each day. Its outlet goes
        // with it, and so its reader, whatever that still has to say.
        let name = self.shards.remove(index).name;
        self.next = index;
        let mut watermark = EventTime::MAX;
        if self.is_timed() {
            let own = self.watermark.shard_mut(&name).expect("attached with its shard");
            // Also of a shard that names no child: one that was listed beside it may wait for it.
            watermark = own.current();
            if ending == Ending::Over {
                own.end();
                self.mark(cx);
            } else {
                self.watermark.detach(&name);
                let held = children.iter().map(|child| (child.name.clone(), watermark)).collect();
                let mark = self.watermark.mark();
                let done = Progress::Done { shard: name.clone(), children: held, mark };
                self.head.on_progress(&done, cx);
            }
        }
        let source = self.settings.source;
        self.drained.push(DrainedShard { source, shard: name, watermark, children });
    }
}

/// What a shard's end means for event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Over,
    Followed,
    Abandoned,
}

#[cold]
#[inline(never)]
fn count_behind(times: &[EventTime], evidence: EventTime, counters: &mut RunCounters) {
    for time in times.iter().filter(|time| **time < evidence) {
        let excess = evidence.as_millis().saturating_sub(time.as_millis()).unsigned_abs();
        counters.behind_evidence += 1;
        counters.behind_evidence_ms_max = counters.behind_evidence_ms_max.max(excess);
    }
}

impl<T: 'static> IntakePart for Intake<T> {
    fn attach(
        &mut self,
        begin: ShardBegin,
        cx: &mut OperatorContext<'_>,
    ) -> LocalFuture<'static, Result<(), JobError>> {
        let ShardBegin { shard: listing, at, awaited } = begin;
        let name = listing.name.clone();
        let losses = Losses { shard: name.clone(), noticed: self.lost.clone() };
        let (worker, memory) = (self.settings.worker.clone(), self.settings.memory.clone());
        let (inlet, outlet) = inlet(INLET_INPUTS_MAX, worker, memory, losses);
        self.shards.push(Shard {
            name: name.clone(),
            outlet,
            awaited,
            evidence: EventTime::MIN,
            passed: EventTime::MIN,
            position: Position::default(),
            trouble: None,
        });
        if let Some(lag) = self.settings.lag {
            self.watermark.attach(name.clone(), ShardWatermark::new(lag, at));
            let (parents, mark) = (listing.parents.clone(), self.watermark.mark());
            self.head.on_progress(&Progress::Begun { shard: name, parents, mark }, cx);
        }
        let reading = self.reader.read(listing, inlet.clone());
        Box::pin(async move {
            reading.await?;
            // Nothing more will come; a reader that said so itself is not heard any more.
            inlet.send(ShardInput::Drained { children: Vec::new() }).await;
            Ok(())
        })
    }

    fn on_awaited(&mut self, shard: &str, awaited: bool) {
        self.shards.iter_mut().filter(|own| &*own.name == shard).for_each(|own| own.awaited = awaited);
    }

    fn on_begun_before(&mut self, shard: ShardName, parent: ShardName, cx: &mut OperatorContext<'_>) {
        if self.is_timed() {
            // Behind the parent's own word in every queue, so no owner waits for that any more.
            let begun = Progress::Begun { shard, parents: vec![parent], mark: self.watermark.mark() };
            self.head.on_progress(&begun, cx);
        }
    }

    fn step(&mut self, taken: EventTime, ahead: TimeSpan, cx: &mut OperatorContext<'_>) -> bool {
        if !self.head.ready() {
            return false;
        }
        let limit = if taken == EventTime::MIN { EventTime::MIN } else { taken.saturating_add(ahead) };
        for turn in 0..self.shards.len() {
            let index = (self.next + turn) % self.shards.len();
            let shard = &self.shards[index];
            if self.is_timed() {
                let own = self.watermark.shard_mut(&shard.name).map_or(EventTime::MIN, |own| own.current());
                // Who is waited for is at the minimum in its descendant's place, and only its end moves that.
                if own > limit && own != EventTime::MAX && !shard.awaited {
                    continue;
                }
            }
            if let Some(input) = shard.outlet.take() {
                self.next = index + 1;
                self.on_input(index, input, cx);
                return true;
            }
        }
        false
    }

    fn stop(&mut self, stop: Stop) {
        if let Stop::Until(end) = stop {
            self.until = Some(end);
        }
        self.shards.iter().for_each(|shard| shard.outlet.stop(stop));
    }

    fn barrier(&mut self, cx: &mut OperatorContext<'_>) -> Vec<(ShardName, Position)> {
        self.head.on_progress(&Progress::Barrier, cx);
        self.shards.iter().map(|shard| (shard.name.clone(), shard.position.clone())).collect()
    }

    fn take_drained(&mut self) -> Vec<DrainedShard> {
        std::mem::take(&mut self.drained)
    }

    fn take_lost(&mut self) -> Vec<ShardLoss> {
        self.lost.take()
    }

    fn is_past(&mut self, end: Option<EventTime>) -> bool {
        let timed = self.is_timed();
        // Without timestamps no shard comes to the end of time; it is past once it has passed the stop.
        let end = if timed { end } else { self.until.or(end) };
        self.shards.iter().all(|shard| {
            end.is_some_and(|end| {
                if timed {
                    self.watermark.shard_mut(&shard.name).is_none_or(|own| own.current() > end)
                } else {
                    shard.passed > end
                }
            })
        })
    }

    fn troubled(&self) -> Option<(EventTime, String)> {
        let holder = self.watermark.holder()?;
        let shard = self.shards.iter().find(|shard| shard.name == *holder)?;
        let trouble = shard.trouble.as_ref()?;
        let WorkerMark::At(time) = self.watermark.mark() else { return None };
        Some((time, format!("shard {holder}: {trouble}")))
    }

    fn holder(&self) -> Option<String> {
        let holder = self.watermark.holder()?;
        let shard = self.shards.iter().find(|shard| shard.name == *holder)?;
        Some(match &shard.trouble {
            Some(trouble) => format!("shard {holder}: {trouble}"),
            None => format!("shard {holder}"),
        })
    }
}

#[cfg(test)]
mod tests;
