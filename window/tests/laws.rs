//! The laws of the aggregate trait, held by every aggregate of this crate.

use proptest::prelude::*;
use std::fmt::Debug;
use weir_window::{Aggregate, all_of, averaging, counting, max, min, summing};

fn part<G: Aggregate<i64>>(aggregate: &G, items: &[i64]) -> G::Accumulator {
    let mut acc = aggregate.identity();
    items.iter().for_each(|item| aggregate.accumulate(&mut acc, item));
    acc
}

fn combined<G: Aggregate<i64>>(aggregate: &G, mut a: G::Accumulator, b: &G::Accumulator) -> G::Accumulator {
    aggregate.combine(&mut a, b);
    a
}

fn hold<G: Aggregate<i64, Accumulator: Copy + PartialEq + Debug>>(aggregate: &G, [x, y, z]: [&[i64]; 3]) {
    let [a, b, c] = [x, y, z].map(|items| part(aggregate, items));
    let left = combined(aggregate, combined(aggregate, a, &b), &c);
    assert_eq!(left, combined(aggregate, a, &combined(aggregate, b, &c)), "associative");
    assert_eq!(combined(aggregate, a, &b), combined(aggregate, b, &a), "commutative");
    assert_eq!(combined(aggregate, aggregate.identity(), &a), a, "identity");
    assert_eq!(part(aggregate, &[x, y].concat()), combined(aggregate, a, &b), "accumulate is combine");
    if let Some(deduct) = aggregate.deduct() {
        let mut rest = combined(aggregate, a, &b);
        deduct(&mut rest, &b);
        assert_eq!(rest, a, "deduct undoes combine");
    }
}

proptest! {
    #[test]
    fn aggregates_keep_the_laws(
        x in prop::collection::vec(any::<i64>(), 0..9),
        y in prop::collection::vec(any::<i64>(), 0..9),
        z in prop::collection::vec(any::<i64>(), 0..9),
    ) {
        hold(&counting(), [&x, &y, &z]);
        hold(&summing(|n: &i64| *n), [&x, &y, &z]);
        hold(&averaging(|n: &i64| *n), [&x, &y, &z]);
        hold(&min(|n: &i64| *n), [&x, &y, &z]);
        hold(&max(|n: &i64| n % 7), [&x, &y, &z]);
        let both = all_of((counting(), summing(|n: &i64| *n)));
        hold(&both, [&x, &y, &z]);
        prop_assert!(Aggregate::<i64>::deduct(&both).is_some());
        let mixed = all_of((counting(), min(|n: &i64| *n), max(|n: &i64| *n)));
        hold(&mixed, [&x, &y, &z]);
        prop_assert!(Aggregate::<i64>::deduct(&mixed).is_none());
        let (least, greatest) = (x.iter().min().copied(), x.iter().max().copied());
        prop_assert_eq!(mixed.finish(&part(&mixed, &x)), (x.len() as u64, least, greatest));
    }
}
