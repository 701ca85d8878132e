//! The first half of a windowed aggregation: a worker folds records into deltas and hands them to their owners, or puts them
//! into the panes at once where there is only one of each.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use weir_window::{Aggregate, Arena, EventTime, Fold, HashSeed, Key, LOT, WorkerMark};

use super::operator::{Batch, Operator, OperatorContext, Progress};
use super::owner::SharedOwner;
use crate::exchange::{Message, OperatorIndex};

/// Batches between two looks at how much memory a fold holds: adding it up costs as much as folding a few records.
const WEIGHED_EVERY: u32 = 16;

/// What a run shares with one of its folds.
#[derive(Default)]
pub(crate) struct FoldShare {
    /// Empty arenas on their way back into the fold.
    home: RefCell<Vec<Arena>>,
    /// What the fold held when it was last weighed.
    bytes: Cell<usize>,
    /// Records folded and not handed over.
    waiting: Cell<u64>,
}

impl FoldShare {
    pub(crate) fn take_home(&self, arena: Arena) {
        self.home.borrow_mut().push(arena);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    pub(crate) fn records_waiting(&self) -> u64 {
        self.waiting.get()
    }
}

/// How items are keyed: what `group_by`, `group_by_key` and a window without keys make, and nothing else.
///
/// A trait and not a closure, because a key is borrowed from the item or made from it, and both must be one loop; for many
/// items at once, because that is what makes the loop fast.
pub trait KeyOf<T>: sealed::Sealed + 'static {
    /// The key.
    type Key: Key + ?Sized + 'static;
    /// Whether there can be more than one group, so that more than one owner has something to own.
    #[doc(hidden)]
    const HAS_GROUPS: bool = true;
    /// Calls `with` with the keys of these items, at most [`LOT`].
    #[doc(hidden)]
    fn with_keys(&mut self, items: &[T], with: impl FnOnce(&[&Self::Key]));
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Unkeyed {}
    impl<F, K: ?Sized> Sealed for super::Borrowed<F, K> {}
    impl<F, K> Sealed for super::Computed<F, K> {}
}

/// The one group of a window without keys.
pub struct Unkeyed;

impl<T> KeyOf<T> for Unkeyed {
    type Key = ();
    const HAS_GROUPS: bool = false;
    fn with_keys(&mut self, items: &[T], with: impl FnOnce(&[&()])) {
        with(&[&(); LOT][..items.len()]);
    }
}

/// A key that is part of the item.
pub struct Borrowed<F, K: ?Sized>(pub(super) F, pub(super) PhantomData<fn(&K)>);

impl<T: 'static, K: Key + ?Sized + 'static, F: Fn(&T) -> &K + 'static> KeyOf<T> for Borrowed<F, K> {
    type Key = K;
    fn with_keys(&mut self, items: &[T], with: impl FnOnce(&[&K])) {
        let Some(first) = items.first() else { return };
        // Filled with the first, because a reference has no empty value.
        let mut keys = [(self.0)(first); LOT];
        for (key, item) in keys.iter_mut().zip(items).skip(1) {
            *key = (self.0)(item);
        }
        with(&keys[..items.len()]);
    }
}

/// A key computed from the item.
pub struct Computed<F, K> {
    of: F,
    /// Those of one lot; kept for their memory.
    keys: Vec<K>,
}

impl<F, K> Computed<F, K> {
    pub(super) fn new(of: F) -> Computed<F, K> {
        Computed { of, keys: Vec::new() }
    }
}

impl<T: 'static, K: Key + 'static, F: Fn(&T) -> K + 'static> KeyOf<T> for Computed<F, K> {
    type Key = K;
    fn with_keys(&mut self, items: &[T], with: impl FnOnce(&[&K])) {
        self.keys.clear();
        self.keys.extend(items.iter().map(&self.of));
        let Some(first) = self.keys.first() else { return };
        let mut keys = [first; LOT];
        for (key, own) in keys.iter_mut().zip(&self.keys) {
            *key = own;
        }
        with(&keys[..items.len()]);
    }
}

/// Where records go.
pub(super) enum Way<K: Key + ?Sized, A> {
    /// Into deltas, which are handed over to the owners of their keys.
    Deltas(Deltas<K, A>),
    /// Straight into the panes of the only owner, which is on the only worker: nothing to exchange, nothing to fold twice.
    Direct(SharedOwner<K, A>, HashSeed),
}

/// A fold, and what the run knows of it.
pub(super) struct Deltas<K: Key + ?Sized, A> {
    fold: Box<Fold<K, A>>,
    share: Rc<FoldShare>,
    unweighed: u32,
}

impl<K: Key + ?Sized, A: Clone + Send + 'static> Deltas<K, A> {
    pub(super) fn new(fold: Fold<K, A>, share: Rc<FoldShare>) -> Deltas<K, A> {
        Deltas { fold: Box::new(fold), share, unweighed: 0 }
    }

    /// Notes that records were folded.
    fn on_folded(&mut self, records: u64) {
        self.share.waiting.set(self.share.waiting.get() + records);
        self.unweighed += 1;
        if self.unweighed >= WEIGHED_EVERY {
            self.unweighed = 0;
            self.share.bytes.set(self.fold.bytes());
        }
    }

    fn take_home(&mut self) {
        self.share.home.borrow_mut().drain(..).for_each(|arena| self.fold.take_home(arena));
    }

    fn hand_over(&mut self, operator: OperatorIndex, up_to: EventTime, cx: &mut OperatorContext<'_>) {
        let waiting = &self.share.waiting;
        self.fold.hand_over(up_to, &mut |owner, block| {
            let records = block.records();
            waiting.set(waiting.get() - records);
            cx.send(usize::from(owner), Message::Block { operator, records, block: Box::new(block) });
        });
    }
}

/// The operator. Its owners' half is [`super::owner::OwnerHalf`].
pub(super) struct FoldHalf<T, G: KeyOf<T>, A: Aggregate<T>> {
    operator: OperatorIndex,
    way: Way<G::Key, A::Accumulator>,
    group: G,
    aggregate: Rc<A>,
    /// What owners were last told, so that an unchanged watermark is not sent again.
    told: WorkerMark,
}

impl<T, G: KeyOf<T>, A: Aggregate<T>> FoldHalf<T, G, A> {
    pub(super) fn new(
        operator: OperatorIndex,
        way: Way<G::Key, A::Accumulator>,
        group: G,
        aggregate: Rc<A>,
    ) -> FoldHalf<T, G, A> {
        FoldHalf { operator, way, group, aggregate, told: WorkerMark::Absent }
    }

    /// Hands over what the watermark covers; everything, if this worker is about to leave the minimum, for then nothing
    /// would hold `W` back for what stayed here.
    fn hand_over(&mut self, mark: WorkerMark, cx: &mut OperatorContext<'_>) {
        if let Way::Deltas(deltas) = &mut self.way {
            let up_to = if let WorkerMark::At(up_to) = mark { up_to } else { EventTime::MAX };
            deltas.hand_over(self.operator, up_to, cx);
        }
    }
}

impl<T, G, A> Operator<T> for FoldHalf<T, G, A>
where
    T: 'static,
    G: KeyOf<T>,
    <G::Key as Key>::Column: Send,
    A: Aggregate<T>,
{
    fn ready(&self) -> bool {
        // Whether the outboxes have room is asked once a batch by the run, for all operators alike.
        true
    }

    fn on_batch(&mut self, batch: &mut Batch<T>, cx: &mut OperatorContext<'_>) {
        assert_eq!(batch.items.len(), batch.times.len(), "a window needs one event time an item");
        let aggregate = &*self.aggregate;
        let lots = batch.items.chunks(LOT).zip(batch.times.chunks(LOT));
        let records = batch.items.len() as u64;
        // Before they are: where a closure panics, more may then be folded than open, but never the other way round.
        cx.counters.records_folded += records;
        match &mut self.way {
            Way::Deltas(deltas) => {
                let fold = &mut deltas.fold;
                for (items, times) in lots {
                    self.group.with_keys(items, |keys| fold.accumulate_all(aggregate, times, keys, items));
                }
                deltas.on_folded(records);
            }
            Way::Direct(owner, seed) => {
                let mut owner = owner.borrow_mut();
                for (items, times) in lots {
                    self.group.with_keys(items, |keys| owner.accumulate_all(aggregate, seed, times, keys, items));
                }
            }
        }
        batch.clear();
    }

    fn on_progress(&mut self, progress: &Progress, cx: &mut OperatorContext<'_>) {
        let operator = self.operator;
        if let Way::Deltas(deltas) = &mut self.way {
            deltas.take_home();
        }
        match progress {
            Progress::Mark(mark) => {
                // A late record may have made a delta that is due although the watermark did not move.
                #[cfg(feature = "sabotage")]
                if crate::sabotage::is_planted(crate::sabotage::Bug::WatermarkBeforeDelta) {
                    cx.send_all(|| Message::Watermark { operator, mark: *mark });
                    self.told = *mark;
                }
                self.hand_over(*mark, cx);
                if self.told != *mark {
                    cx.send_all(|| Message::Watermark { operator, mark: *mark });
                }
                self.told = *mark;
            }
            Progress::Begun { shard, parents, mark } => {
                cx.send_all(|| Message::Begun {
                    operator,
                    shard: shard.clone(),
                    parents: parents.clone(),
                    mark: *mark,
                });
                self.told = *mark;
            }
            Progress::Done { shard, children, mark } => {
                self.hand_over(*mark, cx);
                cx.send_all(|| Message::Done { operator, shard: shard.clone(), children: children.clone() });
                cx.send_all(|| Message::Watermark { operator, mark: *mark });
                self.told = *mark;
            }
            Progress::Barrier => self.hand_over(WorkerMark::At(EventTime::MAX), cx),
        }
    }
}
