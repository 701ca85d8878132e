//! Accumulators that own memory: every one is dropped once, no later than its pane.

use std::cell::Cell;

use weir_window::{Aggregate, Budget, EventTime, Fold, HashSeed, Owner, OwnerPoll, Rows, WindowSpec, millis};

thread_local!(static ALIVE: Cell<i64> = const { Cell::new(0) });

/// A value whose clones are counted.
#[derive(Debug)]
struct Counted(u64);

impl Counted {
    fn new(value: u64) -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Self(value)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}

/// All items, in no order.
struct Bag {
    deducts: bool,
}

impl Aggregate<u64> for Bag {
    type Accumulator = Vec<Counted>;
    type Output = Vec<u64>;
    fn identity(&self) -> Vec<Counted> {
        Vec::new()
    }
    fn accumulate(&self, bag: &mut Vec<Counted>, item: &u64) {
        bag.push(Counted::new(*item));
    }
    fn combine(&self, bag: &mut Vec<Counted>, other: &Vec<Counted>) {
        bag.extend(other.iter().cloned());
    }
    fn deduct(&self) -> Option<impl Fn(&mut Vec<Counted>, &Vec<Counted>)> {
        self.deducts.then_some(|bag: &mut Vec<Counted>, other: &Vec<Counted>| {
            for gone in other {
                let at = bag.iter().position(|kept| kept.0 == gone.0).expect("what leaves has entered");
                drop(bag.swap_remove(at));
            }
        })
    }
    fn finish(&self, bag: &Vec<Counted>) -> Vec<u64> {
        let mut items: Vec<_> = bag.iter().map(|counted| counted.0).collect();
        items.sort_unstable();
        items
    }
}

/// Every item is its time; keys are its remainder by 7.
fn windows(spec: WindowSpec, bag: &Bag, direct: bool, budget: usize) {
    let seed = HashSeed::new(5);
    let mut fold = Fold::<u64, Vec<Counted>>::new(spec, seed.clone(), 1);
    let mut owner = Owner::<u64, Vec<Counted>>::new(spec, None);
    let mut rows = Rows::new();
    let mut seen = 0;
    for step in 0..60_u64 {
        // Ahead, in time and late, to and fro.
        let items: Vec<u64> = (0..50).map(|i| (step * 10 + i * 17 % 40).saturating_sub(25)).collect();
        let times: Vec<_> = items.iter().map(|item| EventTime::from_millis(item.cast_signed())).collect();
        let keys: Vec<_> = items.iter().map(|item| item % 7).collect();
        let keys: Vec<_> = keys.iter().collect();
        if direct {
            owner.accumulate_all(bag, &seed, &times, &keys, &items);
        } else {
            fold.accumulate_all(bag, &times, &keys, &items);
            fold.hand_over_all(&mut |_, block| drop(owner.combine(bag, block)));
        }
        owner.advance(EventTime::from_millis((step * 10).cast_signed()));
        while !matches!(owner.poll(bag, &mut Budget::of(budget), &mut rows), OwnerPoll::Settled(_)) {
            let (start, end) = (rows.start.as_millis(), rows.end.as_millis());
            for (key, items) in rows.drain() {
                seen += items.len();
                assert!(items.iter().all(|item| item % 7 == key && (start..end).contains(&item.cast_signed())));
            }
        }
    }
    assert!(seen > 1_000 && ALIVE.get() > 0, "{seen} seen, {} alive", ALIVE.get());
    owner.advance(EventTime::MAX);
    while !matches!(owner.poll(bag, &mut Budget::of(budget), &mut rows), OwnerPoll::Settled(_)) {}
    assert!(owner.is_empty());
    assert_eq!(ALIVE.get(), 0, "panes are gone, and something in them is not");
    // Nor does anything leak when owner and fold are dropped as they are.
    let at = EventTime::from_millis(1_000_000);
    fold.accumulate(bag, at, &1, &1_000_000);
    owner.accumulate_all(bag, &seed, &[EventTime::MAX], &[&2], &[0]);
    assert!(ALIVE.get() <= 2 && ALIVE.get() > 0);
    drop((fold, owner));
    assert_eq!(ALIVE.get(), 0, "dropped, and something in them is not");
}

#[test]
fn nothing_leaks_and_nothing_is_dropped_twice() {
    for (size, slide) in [(20, 10), (10, 10), (9, 6), (50, 5)] {
        let spec = WindowSpec::sliding(millis(size), millis(slide)).expect("valid");
        for (deducts, direct, budget) in
            [(true, true, 3), (true, false, 1_000), (false, true, 1_000), (false, false, 3), (true, false, 1)]
        {
            windows(spec, &Bag { deducts }, direct, budget);
        }
    }
}

#[test]
fn block_that_is_late_or_never_arrives_drops_what_is_in_it() {
    let (spec, bag) = (WindowSpec::tumbling(millis(10)).expect("valid"), Bag { deducts: true });
    let mut fold = Fold::<u64, Vec<Counted>>::new(spec, HashSeed::new(5), 1);
    let mut owner = Owner::<u64, Vec<Counted>>::new(spec, None);
    owner.advance(EventTime::from_millis(100));
    assert!(matches!(owner.poll(&bag, &mut Budget::of(9), &mut Rows::new()), OwnerPoll::Settled(_)));
    for lost in [true, false] {
        for item in 0..20 {
            fold.accumulate(&bag, EventTime::from_millis(item), &(item.unsigned_abs() % 3), &7);
        }
        fold.hand_over_all(&mut |_, block| if lost { drop(block) } else { drop(owner.combine(&bag, block)) });
        assert_eq!(ALIVE.get(), 0);
    }
    assert_eq!(owner.counters().late_records, 20);
}
