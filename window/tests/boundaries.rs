//! Windows by hand: where they begin and end, what is emitted and what is not, and how much work a slide is.

mod harness;

use harness::{Record, SEED, Stats, World, at};
use weir_window::{
    Aggregate, Budget, EventTime, Fold, Owner, OwnerPoll, ROWS_MAX, Rows, WindowSpec, counting, millis, summing,
};

fn spec(size: i64, slide: i64) -> WindowSpec {
    WindowSpec::sliding(millis(size), millis(slide)).expect("valid")
}

fn world(spec: WindowSpec, deducts: bool) -> World<u64> {
    World::new(spec, Stats { deducts }, 1, 1)
}

/// Records of one key at these times; (window end, count) of what is emitted, when all is told at the end.
fn counts(spec: WindowSpec, times: &[i64]) -> Vec<(i64, u64)> {
    let mut both = Vec::new();
    for deducts in [true, false] {
        let mut world = world(spec, deducts);
        times.iter().for_each(|time| world.fold(0, Record { time: *time, key: 1, value: 1 }));
        world.finish(1_000);
        both.push(world.rows().iter().map(|((end, _), acc)| (*end, acc.0)).collect::<Vec<_>>());
    }
    assert_eq!(both[0], both[1]);
    both.swap_remove(0)
}

#[test]
fn window_holds_its_start_and_not_its_end() {
    assert_eq!(counts(spec(10, 10), &[0, 9]), [(10, 2)]);
    assert_eq!(counts(spec(10, 10), &[-1, 0, 10]), [(0, 1), (10, 1), (20, 1)]);
    assert_eq!(counts(spec(20, 10), &[10]), [(20, 1), (30, 1)]);
}

#[test]
fn leading_and_trailing_windows_are_emitted_too() {
    assert_eq!(counts(spec(30, 10), &[5, 15, 25]), [(10, 1), (20, 2), (30, 3), (40, 2), (50, 1)]);
}

#[test]
fn offset_moves_windows() {
    assert_eq!(counts(spec(10, 10).with_offset(3), &[2, 3, 12]), [(3, 1), (13, 2)]);
    assert_eq!(counts(spec(10, 10).with_offset(-7), &[2, 3, 12]), [(3, 1), (13, 2)]);
}

#[test]
fn size_need_not_be_a_multiple_of_the_slide() {
    // [-30, 60), [30, 120), [90, 180)
    assert_eq!(counts(spec(90, 60), &[0, 30, 59, 60, 100]), [(60, 3), (120, 4), (180, 1)]);
}

#[test]
fn records_at_both_ends_of_time_are_in_windows() {
    let max = i64::MAX;
    assert_eq!(counts(spec(10, 10), &[max, max]), [(max, 2)]);
    let first = spec(10, 10).pane_end(EventTime::MIN).as_millis();
    assert_eq!(counts(spec(10, 10), &[i64::MIN]), [(first, 1)]);
    // One window for the whole of time after the offset.
    assert_eq!(counts(spec(max, max), &[0, max - 1, max]), [(max, 3)]);
}

#[test]
fn without_records_there_are_no_rows_and_the_watermark_settles_at_once() {
    let mut owner = Owner::<u64, u64>::new(spec(20, 10), None);
    let mut rows = Rows::new();
    for w in [EventTime::MIN, at(5), at(1_000_000_000_000), EventTime::MAX] {
        owner.advance(w);
        let polled = owner.poll::<(), _>(&counting(), &mut Budget::of(0), &mut rows);
        assert_eq!(polled, OwnerPoll::Settled(w));
    }
    assert!(owner.is_empty() && owner.counters() == Default::default());
}

#[test]
fn nothing_is_emitted_before_the_watermark_reaches_the_end() {
    let mut world = world(spec(20, 10), true);
    world.fold(0, Record { time: 5, key: 1, value: 1 });
    world.hand_over(0, EventTime::MAX);
    world.deliver_all();
    world.advance(at(9));
    world.settle(10);
    assert!(world.rows().is_empty());
    world.advance(at(10));
    world.advance(at(3)); // does not fall
    world.settle(10);
    assert_eq!(world.rows().keys().copied().collect::<Vec<_>>(), [(10, 1)]);
    assert_eq!(world.owners[0].owner.open_records(), 1);
}

#[test]
fn key_whose_sum_is_zero_is_emitted_and_one_without_records_is_not() {
    for deducts in [true, false] {
        let mut world = world(spec(20, 10), deducts);
        for (time, key, value) in [(5, 1, 3), (15, 1, -3), (6, 2, 0), (25, 3, 1)] {
            world.fold(0, Record { time, key, value });
        }
        world.finish(1);
        let rows: Vec<_> = world.rows().iter().map(|(row, acc)| (*row, *acc)).collect();
        assert_eq!(
            rows,
            [
                ((10, 1), (1, 3)),
                ((10, 2), (1, 0)),
                ((20, 1), (2, 0)),
                ((20, 2), (1, 0)),
                ((30, 1), (1, -3)),
                ((30, 3), (1, 1)),
                ((40, 3), (1, 1)),
            ]
        );
    }
}

#[test]
fn sums_of_the_greatest_values_are_exact() {
    let sum = summing(|n: &i64| *n);
    let mut acc = Aggregate::identity(&sum);
    (0..3).for_each(|_| sum.accumulate(&mut acc, &i64::MIN));
    let part = acc;
    (0..5).for_each(|_| sum.accumulate(&mut acc, &i64::MAX));
    assert_eq!(sum.finish(&acc), 3 * i128::from(i64::MIN) + 5 * i128::from(i64::MAX));
    Aggregate::<i64>::deduct(&sum).expect("sums deduct")(&mut acc, &part);
    assert_eq!(sum.finish(&acc), 5 * i128::from(i64::MAX));
}

#[test]
fn windows_that_began_before_the_first_record_could_be_read_are_partial() {
    let (spec, count) = (spec(20, 10), counting());
    let mut fold = Fold::<(), u64>::new(spec, SEED, 1);
    (0..50).for_each(|t| fold.accumulate(&count, at(t), &(), &()));
    let mut owner = Owner::new(spec, Some(at(10)));
    fold.hand_over_all(&mut |_, block| drop(owner.combine::<(), _>(&count, block)));
    owner.advance(EventTime::MAX);
    let (mut rows, mut partial) = (Rows::new(), Vec::new());
    while owner.poll::<(), _>(&count, &mut Budget::of(9), &mut rows) == OwnerPoll::Emitted {
        assert!(rows.last && rows.firing == 0 && rows.len() == 1);
        partial.push((rows.start.as_millis(), rows.partial));
    }
    assert_eq!(partial, [(-10, true), (0, true), (10, false), (20, false), (30, false), (40, false)]);
}

/// One block per window in each of `windows` slides, `keys` keys each; what the last slide touched.
fn slid_per_slide(size: i64, keys: u64, windows: i64) -> u64 {
    let mut world = world(spec(size, 10), true);
    let mut last = 0;
    for window in 0..windows {
        (0..keys).for_each(|key| world.fold(0, Record { time: window * 10, key, value: 1 }));
        world.hand_over(0, EventTime::MAX);
        world.deliver_all();
        world.advance(at(window * 10 + 10));
        let before = world.owners[0].owner.counters().entries_slid;
        world.settle(1_000);
        last = world.owners[0].owner.counters().entries_slid - before;
    }
    last
}

#[test]
fn slide_touches_entering_and_leaving_entries_only_whatever_the_window_size() {
    for size in [10, 20, 100, 1_000] {
        assert_eq!(slid_per_slide(size, 7, 2 * size / 10), 14, "size {size}");
    }
}

#[test]
fn silence_of_a_thousand_years_is_one_step() {
    let year = 365 * 86_400_000_i64;
    let mut world = world(spec(20, 1), true);
    world.fold(0, Record { time: 0, key: 1, value: 1 });
    world.fold(0, Record { time: 1_000 * year, key: 1, value: 1 });
    world.hand_over(0, EventTime::MAX);
    world.deliver_all();
    world.advance(at(1_000 * year));
    let mut polls = 0;
    while !world.poll(0, 1_000) {
        polls += 1;
    }
    assert_eq!((polls, world.rows().len()), (20, 20));
}

#[test]
fn window_with_many_keys_leaves_in_blocks_of_which_the_last_is_marked() {
    for keys in [ROWS_MAX as u64 - 1, ROWS_MAX as u64, ROWS_MAX as u64 + 1, 2 * ROWS_MAX as u64] {
        let (spec, count) = (spec(10, 10), counting());
        let mut fold = Fold::<u64, u64>::new(spec, SEED, 1);
        (0..keys).for_each(|key| fold.accumulate(&count, at(1), &key, &()));
        let mut owner = Owner::new(spec, None);
        fold.hand_over_all(&mut |_, block| drop(owner.combine::<(), _>(&count, block)));
        owner.advance(at(10));
        let (mut rows, mut blocks) = (Rows::new(), Vec::new());
        while owner.poll::<(), _>(&count, &mut Budget::of(1_000_000), &mut rows) == OwnerPoll::Emitted {
            blocks.push((rows.len() as u64, rows.last));
        }
        let full = ROWS_MAX as u64;
        let expected = match keys {
            1_023 | 1_024 => vec![(keys, true)],
            _ => vec![(full, false), (keys - full, true)],
        };
        assert_eq!((blocks, owner.keys()), (expected, 0));
    }
}
