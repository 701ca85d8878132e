//! The second half of a windowed aggregation: an owner has panes, of deltas that it combines or of records that come straight
//! in; it slides, and emits downstream.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use weir_window::{
    Aggregate, Arena, Block, Budget, EventTime, Holder, Key, Owner, OwnerPoll, OwnerWatermark, Rows, ShardName,
    WindowSpec, WorkerMark, millis,
};

use super::WindowResult;
use super::operator::{Batch, Operator, OperatorContext, Progress};
use crate::exchange::Message;

/// An owner's half of one operator, its types forgotten: what a run drives.
pub(crate) trait OwnerPart {
    /// A message for this operator, from one worker. Gives back the arena that a block came in.
    fn on_message(&mut self, from: usize, message: Message, cx: &mut OperatorContext<'_>) -> Option<Arena>;
    /// Slides and emits within the budget. Returns whether more work waits that needs no message.
    fn poll(&mut self, budget: &mut Budget, cx: &mut OperatorContext<'_>) -> bool;
    /// This owner's `W`: its sinks may not have taken so much yet.
    fn watermark(&self) -> EventTime;
    /// The `W` up to which every row has been taken downstream.
    fn taken(&self) -> EventTime;
    /// What is stamped later than this is not all in. Gives the same for this operator's rows.
    fn cut_at(&mut self, complete_up_to: EventTime) -> EventTime;
    /// End of the last window that may hold a record stamped at `time`.
    fn last_end(&self, time: EventTime) -> EventTime;
    /// Whether nothing is open and `W` has reached `end`.
    fn is_settled(&self, end: EventTime) -> bool;
    /// What keeps `W` from rising, in words.
    fn holder(&self) -> Option<String>;
    /// Memory its panes, directory and totals hold, in bytes. O(panes).
    fn bytes(&self) -> usize;
    /// Adds its own counters to the run's.
    fn count(&self, counters: &mut super::operator::RunCounters);
}

/// The name under which one owner is a part of the upstream of a later window.
fn part_name(operator: u16, owner: usize) -> ShardName {
    format!("owner {owner} of operator {operator}").into()
}

/// All owners of an operator, as what a later window has to wait for from its start.
pub(crate) fn part_holds(operator: u16, owners: usize) -> Vec<(ShardName, EventTime)> {
    (0..owners).map(|owner| (part_name(operator, owner), EventTime::MIN)).collect()
}

/// An owner's engine, shared with the first half on the same worker.
pub(super) type SharedOwner<K, A> = Rc<RefCell<Owner<K, A>>>;

pub(super) struct OwnerHalf<T, K: Key + ?Sized, A: Aggregate<T>> {
    spec: WindowSpec,
    part: ShardName,
    begun: bool,
    aggregate: Rc<A>,
    owner: SharedOwner<K, A::Accumulator>,
    watermark: OwnerWatermark,
    taken: EventTime,
    rows: Rows<K, A::Output>,
    batch: Batch<WindowResult<A::Output, K::Owned>>,
    next: Box<dyn Operator<WindowResult<A::Output, K::Owned>>>,
    items: std::marker::PhantomData<fn(&T)>,
}

/// What an owner is made from, beside its types.
pub(super) struct OwnerSettings {
    pub(super) operator: u16,
    /// Its place among the owners.
    pub(super) owner: usize,
    pub(super) spec: WindowSpec,
    pub(super) worker_count: usize,
    pub(super) holds: Vec<(ShardName, EventTime)>,
}

impl<T, K: Key + ?Sized, A: Aggregate<T>> OwnerHalf<T, K, A> {
    pub(super) fn new(
        settings: OwnerSettings,
        owner: SharedOwner<K, A::Accumulator>,
        aggregate: Rc<A>,
        next: Box<dyn Operator<WindowResult<A::Output, K::Owned>>>,
    ) -> OwnerHalf<T, K, A> {
        OwnerHalf {
            spec: settings.spec,
            part: part_name(settings.operator, settings.owner),
            begun: false,
            aggregate,
            owner,
            watermark: OwnerWatermark::new(settings.worker_count, settings.holds),
            taken: EventTime::MIN,
            rows: Rows::default(),
            batch: Batch::default(),
            next,
            items: std::marker::PhantomData,
        }
    }

    /// Rows are columns; whoever is downstream wants items, and only then are they made.
    fn emit(&mut self, cx: &mut OperatorContext<'_>) {
        let rows = &mut self.rows;
        let (start, end, partial, firing) = (rows.start, rows.end, rows.partial, rows.firing);
        // The event time of a result is the last moment of its window.
        let time = EventTime::from_millis(end.as_millis().saturating_sub(1));
        for (key, value) in rows.keys.drain(..).zip(rows.values.drain(..)) {
            self.batch.items.push(WindowResult { start, end, key, value, partial, firing });
            self.batch.times.push(time);
        }
        if !self.batch.items.is_empty() {
            self.next.on_batch(&mut self.batch, cx);
        }
    }
}

impl<T, K, A> OwnerPart for OwnerHalf<T, K, A>
where
    T: 'static,
    K: Key + ?Sized + 'static,
    A: Aggregate<T>,
{
    fn on_message(&mut self, from: usize, message: Message, cx: &mut OperatorContext<'_>) -> Option<Arena> {
        match message {
            Message::Block { block, .. } => {
                let block: Box<dyn Any> = block;
                let block =
                    block.downcast::<Block<K, A::Accumulator>>().expect("an operator's index fixes its block's types");
                cx.counters.blocks_combined += 1;
                cx.counters.blocks_from_others += u64::from(from != cx.worker);
                return Some(self.owner.borrow_mut().combine(&*self.aggregate, *block));
            }
            Message::Watermark { mark, .. } => self.watermark.on_watermark(from, mark),
            Message::Done { shard, children, .. } => self.watermark.on_done(from, &shard, &children),
            Message::Begun { shard, parents, mark, .. } => self.watermark.on_begun(from, &shard, &parents, mark),
            Message::Marker { checkpoint } => {
                unreachable!("marker {checkpoint} is for the run and not for an operator")
            }
        }
        None
    }

    fn poll(&mut self, budget: &mut Budget, cx: &mut OperatorContext<'_>) -> bool {
        if !self.begun {
            self.begun = true;
            let begun =
                Progress::Begun { shard: self.part.clone(), parents: Vec::new(), mark: WorkerMark::At(self.taken) };
            self.next.on_progress(&begun, cx);
        }
        self.owner.borrow_mut().advance(self.watermark.current());
        loop {
            if !self.next.ready() {
                return false;
            }
            let polled = self.owner.borrow_mut().poll(&*self.aggregate, budget, &mut self.rows);
            match polled {
                OwnerPoll::Emitted => self.emit(cx),
                OwnerPoll::Working => return true,
                OwnerPoll::Settled(watermark) => {
                    if watermark > self.taken {
                        self.taken = watermark;
                        self.next.on_progress(&Progress::Mark(WorkerMark::At(watermark)), cx);
                    }
                    return false;
                }
            }
        }
    }

    fn watermark(&self) -> EventTime {
        self.watermark.current()
    }

    fn taken(&self) -> EventTime {
        self.taken
    }

    fn is_settled(&self, end: EventTime) -> bool {
        self.taken >= end && self.owner.borrow().is_empty()
    }

    fn cut_at(&mut self, complete_up_to: EventTime) -> EventTime {
        self.owner.borrow_mut().cut_at(complete_up_to);
        self.spec.window_end_up_to(complete_up_to.saturating_add(millis(1))).saturating_sub(millis(1))
    }

    fn last_end(&self, time: EventTime) -> EventTime {
        if time == EventTime::MAX { time } else { self.spec.last_window_end(self.spec.pane_end(time)) }
    }

    fn holder(&self) -> Option<String> {
        Some(match self.watermark.holder()? {
            Holder::Worker(worker) => format!("worker {worker}"),
            Holder::Unread { shard, parent: None } => format!("shard {shard}, not read yet"),
            Holder::Unread { shard, parent: Some(parent) } => {
                format!("shard {shard}, child of {parent}, not read yet")
            }
        })
    }

    fn bytes(&self) -> usize {
        self.owner.borrow().bytes()
    }

    fn count(&self, counters: &mut super::operator::RunCounters) {
        let owner = self.owner.borrow();
        let own = owner.counters();
        counters.entries_slid += own.entries_slid;
        counters.rows += own.rows;
        counters.windows += own.windows;
        counters.late += own.late_records;
        counters.partly_late += own.partly_late_records;
        counters.open += owner.open_records();
    }
}
