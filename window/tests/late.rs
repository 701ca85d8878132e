//! Late records, and blocks that arrive in the middle of a slide: what a window still wants is in it, anything else is
//! counted.

mod harness;

use harness::{Bounds, Record, Stats, World, at};
use weir_window::{EventTime, WindowSpec, millis};

fn world(size: i64, slide: i64, deducts: bool) -> World<u64> {
    let spec = WindowSpec::sliding(millis(size), millis(slide)).expect("valid");
    World::new(spec, Stats { deducts }, 1, 1)
}

fn deliver(world: &mut World<u64>, records: &[(i64, u64)], w: i64, bounds: &mut Bounds) {
    for (time, key) in records {
        world.fold(0, Record { time: *time, key: *key, value: 1 });
    }
    world.hand_over(0, EventTime::MAX);
    while !world.in_flight.is_empty() {
        world.deliver_late(0, w, bounds);
    }
}

fn partly_late_records(world: &World<u64>) -> u64 {
    world.owners[0].owner.counters().partly_late_records
}

fn late_records(world: &World<u64>) -> u64 {
    world.owners[0].owner.counters().late_records
}

/// Late blocks of every pane, for keys old and new, at every step of a run cut into slices of one entry: while panes
/// enter, while rows are emitted, while panes leave, and behind a silence that was jumped over.
#[test]
fn late_block_is_right_at_every_cut_of_a_slide() {
    for (size, slide) in [(40, 10), (40, 20), (30, 20), (20, 20)] {
        for deducts in [true, false] {
            for (late, key) in
                [2, 12, 22, 32, 42, 52, 72, 512, 992, 1_002].into_iter().flat_map(|t| [(t, 1), (t, 2), (t, 3), (t, 9)])
            {
                late_at_every_cut(size, slide, deducts, (late, key));
            }
        }
    }
}

fn late_at_every_cut(size: i64, slide: i64, deducts: bool, late: (i64, u64)) {
    for cut in 1.. {
        let (mut world, mut bounds, mut polls) = (world(size, slide, deducts), Bounds::new(), 0);
        // Nothing in the pane of 20 to 30, so that it may be opened among others; then silence.
        let on_time = [(1, 1), (3, 2), (11, 1), (11, 3), (33, 1), (34, 4), (41, 2), (1_000, 1), (1_000, 5)];
        deliver(&mut world, &on_time, i64::MIN, &mut bounds);
        let mut done = true;
        for w in [15, 45, 1_010, 2_000] {
            world.advance(at(w));
            while !world.poll(0, 1) {
                polls += 1;
                if polls == cut {
                    deliver(&mut world, &[late], w, &mut bounds);
                    done = false;
                }
            }
        }
        world.finish(1);
        world.check_bounds(&bounds);
        if done {
            assert!(cut > 10, "only {cut} cuts");
            return;
        }
    }
}

#[test]
fn record_for_no_window_to_come_is_counted_and_not_emitted() {
    let (mut world, mut bounds) = (world(20, 10, true), Bounds::new());
    deliver(&mut world, &[(5, 1), (15, 1)], i64::MIN, &mut bounds);
    world.advance(at(20));
    world.settle(100);
    // [0, 10) is in the windows to 10 and 20 only; both have fired.
    deliver(&mut world, &[(5, 1), (5, 1), (6, 2)], 20, &mut bounds);
    assert_eq!(late_records(&world), 3);
    // [10, 20) is wanted by the window to 30: late for the one to 20, but not lost.
    assert_eq!(partly_late_records(&world), 0);
    deliver(&mut world, &[(15, 1), (15, 2)], 20, &mut bounds);
    assert_eq!((late_records(&world), partly_late_records(&world)), (3, 2));
    world.finish(100);
    let counts: Vec<_> = world.rows().iter().map(|(row, acc)| (*row, acc.0)).collect();
    assert_eq!(counts, [((10, 1), 1), ((20, 1), 2), ((30, 1), 2), ((30, 2), 1)]);
}

#[test]
fn record_behind_the_watermark_whose_window_has_not_fired_is_on_time() {
    let (mut world, mut bounds) = (world(20, 10, true), Bounds::new());
    world.advance(at(19));
    world.settle(100);
    deliver(&mut world, &[(12, 1)], 19, &mut bounds);
    deliver(&mut world, &[(1, 1)], 19, &mut bounds);
    assert_eq!(late_records(&world), 0);
    world.finish(100);
    let counts: Vec<_> = world.rows().iter().map(|(row, acc)| (*row, acc.0)).collect();
    assert_eq!(counts, [((20, 1), 2), ((30, 1), 1)]);
}

#[test]
fn silence_settles_windows_so_that_what_comes_for_them_is_late() {
    let (mut world, mut bounds) = (world(20, 10, true), Bounds::new());
    world.advance(at(1_000));
    world.settle(1);
    deliver(&mut world, &[(985, 1)], 1_000, &mut bounds);
    deliver(&mut world, &[(500, 2), (979, 3)], 1_000, &mut bounds);
    assert_eq!(late_records(&world), 3);
    deliver(&mut world, &[(990, 1)], 1_000, &mut bounds);
    assert_eq!(late_records(&world), 3);
    world.finish(1);
    assert_eq!(world.rows().keys().copied().collect::<Vec<_>>(), [(1_010, 1)]);
}

#[test]
fn after_the_end_of_time_everything_is_late() {
    let (mut world, mut bounds) = (world(20, 10, true), Bounds::new());
    world.advance(EventTime::MAX);
    world.settle(1);
    deliver(&mut world, &[(i64::MAX, 1)], i64::MAX, &mut bounds);
    assert_eq!((late_records(&world), world.rows().len()), (1, 0));
}
