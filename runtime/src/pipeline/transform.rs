//! Stateless stages: each turns a batch into a batch and passes event time on.

use super::operator::{Batch, Operator, OperatorContext, Progress};

/// One item in, any number out, all with the time of the one. Map and filter are the same with less.
pub(super) struct FlatMap<T, U, F> {
    stage: F,
    out: Batch<U>,
    next: Box<dyn Operator<U>>,
    items: std::marker::PhantomData<fn(T)>,
}

impl<T, U, F: FnMut(T, &mut Vec<U>)> FlatMap<T, U, F> {
    pub(super) fn new(stage: F, next: Box<dyn Operator<U>>) -> FlatMap<T, U, F> {
        FlatMap { stage, out: Batch::default(), next, items: std::marker::PhantomData }
    }
}

impl<T: 'static, U: 'static, F: FnMut(T, &mut Vec<U>) + 'static> Operator<T> for FlatMap<T, U, F> {
    fn ready(&self) -> bool {
        self.next.ready()
    }

    fn on_batch(&mut self, batch: &mut Batch<T>, cx: &mut OperatorContext<'_>) {
        self.out.clear();
        let timed = !batch.times.is_empty();
        for (index, item) in batch.items.drain(..).enumerate() {
            (self.stage)(item, &mut self.out.items);
            if timed {
                self.out.times.resize(self.out.items.len(), batch.times[index]);
            }
        }
        batch.times.clear();
        if !self.out.items.is_empty() {
            self.next.on_batch(&mut self.out, cx);
        }
    }

    fn on_progress(&mut self, progress: &Progress, cx: &mut OperatorContext<'_>) {
        self.next.on_progress(progress, cx);
    }
}

/// Keeps the items that a predicate wants, in place.
pub(super) struct Filter<T, F> {
    keep: F,
    next: Box<dyn Operator<T>>,
}

impl<T, F: FnMut(&T) -> bool> Filter<T, F> {
    pub(super) fn new(keep: F, next: Box<dyn Operator<T>>) -> Filter<T, F> {
        Filter { keep, next }
    }
}

impl<T: 'static, F: FnMut(&T) -> bool + 'static> Operator<T> for Filter<T, F> {
    fn ready(&self) -> bool {
        self.next.ready()
    }

    fn on_batch(&mut self, batch: &mut Batch<T>, cx: &mut OperatorContext<'_>) {
        let Batch { items, times } = batch;
        let (mut read, mut kept) = (0, 0);
        items.retain(|item| {
            let keep = (self.keep)(item);
            if keep && !times.is_empty() {
                times[kept] = times[read];
                kept += 1;
            }
            read += 1;
            keep
        });
        times.truncate(kept);
        if items.is_empty() {
            times.clear();
        } else {
            self.next.on_batch(batch, cx);
        }
    }

    fn on_progress(&mut self, progress: &Progress, cx: &mut OperatorContext<'_>) {
        self.next.on_progress(progress, cx);
    }
}
