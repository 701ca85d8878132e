//! Aggregates to which the order of records matters see event time first, then place, whatever came first.

use proptest::prelude::*;
use weir_window::{
    Aggregate, Budget, EventTime, Fold, HashSeed, Owner, OwnerPoll, Rows, WindowSpec, all_of, first, last, max_by,
    millis, min_by,
};

/// Event time, value, and a place that is its own.
type Item = (i64, i64, usize);

fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec((0_i64..40, -3_i64..4), 1..60)
        .prop_map(|items| items.into_iter().enumerate().map(|(place, (time, value))| (time, value, place)).collect())
}

fn part<G: Aggregate<Item>>(aggregate: &G, items: &[Item]) -> G::Accumulator {
    let mut part = aggregate.identity();
    items.iter().for_each(|item| aggregate.accumulate_at(&mut part, item, EventTime::from_millis(item.0)));
    part
}

fn picks() -> impl Aggregate<
    Item,
    Output = (Option<Item>, Option<Item>, Option<Item>, Option<Item>),
    Accumulator: PartialEq + std::fmt::Debug,
> {
    let place = |item: &Item| item.2;
    let value = |item: &Item| item.1;
    all_of((first(place), last(place), min_by(value, place), max_by(value, place)))
}

proptest! {
    #[test]
    fn picks_are_what_sorting_says_in_every_window(items in items(), shuffled in items(), directly: bool) {
        let mut arrived = items.clone();
        arrived.sort_by_key(|item| shuffled.get(item.2).map(|other| other.1));
        let (spec, seed, picks) = (WindowSpec::sliding(millis(20), millis(5)).expect("valid"), HashSeed::new(1), picks());
        let times: Vec<_> = arrived.iter().map(|item| EventTime::from_millis(item.0)).collect();
        let keys = vec![&(); arrived.len()];
        let (mut fold, mut owner) = (Fold::<(), _>::new(spec, seed.clone(), 1), Owner::<(), _>::new(spec, None));
        if directly {
            owner.accumulate_all(&picks, &seed, &times, &keys, &arrived);
        } else {
            fold.accumulate_all(&picks, &times, &keys, &arrived);
            fold.hand_over_all(&mut |_, block| drop(owner.combine(&picks, block)));
        }
        owner.advance(EventTime::MAX);
        let (mut rows, mut windows) = (Rows::new(), 0);
        while owner.poll(&picks, &mut Budget::of(10_000), &mut rows) == OwnerPoll::Emitted {
            let (start, end) = (rows.start.as_millis(), rows.end.as_millis());
            let held = || items.iter().copied().filter(|item| (start..end).contains(&item.0));
            let order = |item: &Item| (item.0, item.2);
            let expected = (
                held().min_by_key(order),
                held().max_by_key(order),
                held().min_by_key(|item| (item.1, order(item))),
                held().min_by_key(|item| (-item.1, order(item))),
            );
            prop_assert_eq!(&rows.values, &[expected]);
            windows += 1;
        }
        prop_assert!(windows >= 4);
    }

    #[test]
    fn picks_keep_the_laws(items in items(), one in 0_usize..60, two in 0_usize..60) {
        let picks = picks();
        let (one, two) = (one.min(items.len()), two.min(items.len()));
        let (x, y, z) = (&items[..one.min(two)], &items[one.min(two)..one.max(two)], &items[one.max(two)..]);
        let (a, b, c) = (part(&picks, x), part(&picks, y), part(&picks, z));
        let combined = |a: &_, b: &_| {
            let mut all = Clone::clone(a);
            picks.combine(&mut all, b);
            all
        };
        prop_assert_eq!(combined(&combined(&a, &b), &c), combined(&a, &combined(&b, &c)));
        prop_assert_eq!(combined(&a, &b), combined(&b, &a));
        prop_assert_eq!(combined(&picks.identity(), &a), a.clone());
        prop_assert_eq!(part(&picks, &items), combined(&combined(&a, &b), &c));
    }
}
