//! Running totals: for every key what the panes of the current window hold together, kept up by adding what enters and
//! deducting what leaves.
//!
//! A key is in the window as long as some pane of the window has an entry for it. That is counted; it is never guessed
//! from the value, for a sum of zero is a result.

use std::mem::needs_drop;

use crate::index::small;

/// Running totals by id, and the list of ids that are in the window.
pub(crate) struct Totals<A> {
    totals: Vec<Total<A>>,
    live: Vec<u32>, // in no order; where each id is, its total knows
}

/// What the slide touches of a key, side by side.
struct Total<A> {
    value: A,     // meaningless while no pane is in
    entries: u32, // of panes of the window: the key's presence
    place: u32,   // in `live`, while present
}

impl<A: Clone> Totals<A> {
    pub(crate) fn new() -> Self {
        Self { totals: Vec::new(), live: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.totals.capacity() * size_of::<Total<A>>() + self.live.capacity() * size_of::<u32>()
    }

    /// Makes room for ids less than `ids`; `filler` is never seen.
    #[inline]
    pub(crate) fn reach(&mut self, ids: usize, filler: impl Fn() -> A) {
        if self.totals.len() < ids {
            self.totals.resize_with(ids, || Total { value: filler(), entries: 0, place: 0 });
        }
    }

    /// Ids of the keys in the window.
    pub(crate) fn live(&self) -> &[u32] {
        &self.live
    }

    /// The total of a key that is in the window.
    #[inline]
    pub(crate) fn value(&self, id: usize) -> &A {
        debug_assert!(self.totals[id].entries > 0, "id {id} is not in the window");
        &self.totals[id].value
    }

    /// A pane's entry enters the window.
    #[inline]
    pub(crate) fn enter(&mut self, id: usize, entry: &A, combine: impl FnOnce(&mut A, &A)) {
        let total = &mut self.totals[id];
        if total.entries == 0 {
            total.value.clone_from(entry);
            total.place = small(self.live.len());
            self.live.push(small(id));
        } else {
            combine(&mut total.value, entry);
        }
        total.entries += 1;
    }

    /// An entry that is in the window grows.
    #[inline]
    pub(crate) fn add(&mut self, id: usize, more: &A, combine: impl FnOnce(&mut A, &A)) {
        debug_assert!(self.totals[id].entries > 0, "id {id} is not in the window");
        combine(&mut self.totals[id].value, more);
    }

    /// A pane's entry leaves the window. With its last one, what the total owns is given back: `filler` is never seen.
    #[inline]
    pub(crate) fn leave(&mut self, id: usize, entry: &A, deduct: impl FnOnce(&mut A, &A), filler: impl FnOnce() -> A) {
        let total = &mut self.totals[id];
        total.entries -= 1;
        if total.entries == 0 {
            if needs_drop::<A>() {
                total.value = filler();
            }
            let place = total.place as usize;
            let _ = self.live.swap_remove(place);
            if let Some(moved) = self.live.get(place) {
                self.totals[*moved as usize].place = small(place);
            }
        } else {
            deduct(&mut total.value, entry);
        }
    }

    /// Takes the last `count` live keys out of the window, whatever panes they are in.
    pub(crate) fn drop_last(&mut self, count: usize, filler: impl Fn() -> A) {
        let keep = self.live.len() - count;
        for id in self.live.drain(keep..) {
            let total = &mut self.totals[id as usize];
            total.entries = 0;
            if needs_drop::<A>() {
                total.value = filler();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(total: &mut i64, entry: &i64) {
        *total += entry;
    }

    fn deduct(total: &mut i64, entry: &i64) {
        *total -= entry;
    }

    #[test]
    fn key_is_in_the_window_while_a_pane_has_it_whatever_its_value() {
        let mut totals = Totals::new();
        totals.reach(3, || 0);
        totals.enter(0, &5, add);
        totals.enter(2, &7, add);
        totals.enter(0, &-5, add);
        assert_eq!((totals.live(), *totals.value(0)), ([0, 2].as_slice(), 0));
        totals.leave(0, &5, deduct, || 0);
        assert_eq!(*totals.value(0), -5);
        totals.leave(0, &-5, deduct, || 0);
        assert_eq!((totals.live(), *totals.value(2)), ([2].as_slice(), 7));
        totals.enter(0, &1, add);
        totals.leave(2, &7, deduct, || 0);
        assert_eq!((totals.live(), *totals.value(0)), ([0].as_slice(), 1));
        totals.drop_last(1, || 0);
        totals.enter(0, &3, add);
        assert_eq!(*totals.value(0), 3);
    }
}
