//! Random streams through random worlds, compared with a recount of every window.
//!
//! On time: the watermark never passes a record that was not delivered, and every window must be exact. Late: the
//! watermark goes where it likes; every window that has not begun must get what is taken, and nothing that could still
//! count may be refused.

mod harness;

use harness::{Bounds, Expected, Record, Stats, TestKey, World, at, recount};
use proptest::prelude::*;
use weir_window::{EventTime, Key, WindowSpec, millis};

#[derive(Clone, Debug)]
struct Setting {
    spec: WindowSpec,
    workers: u16,
    owners: u16,
    deducts: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Fold {
        worker: usize,
    },
    HandOver {
        worker: usize,
        all: bool,
    },
    Deliver {
        index: usize,
    },
    /// By how much of what is allowed, in 255ths.
    Advance {
        share: u8,
    },
    Poll {
        owner: usize,
        budget: usize,
    },
    Settle,
}

fn setting() -> impl Strategy<Value = Setting> {
    let shape = prop_oneof![
        Just((20, 10)),
        Just((10, 10)),
        Just((9, 6)),
        Just((7, 3)),
        Just((1, 1)),
        Just((50, 1)),
        Just((24, 5)),
        Just((100, 20)),
    ];
    let counts = prop_oneof![Just(1_u16), Just(2), Just(3), Just(16)];
    (shape, -30_i64..30, counts.clone(), counts, any::<bool>()).prop_map(
        |((size, slide), offset, workers, owners, deducts)| Setting {
            spec: WindowSpec::sliding(millis(size), millis(slide)).expect("valid").with_offset(offset),
            workers,
            owners,
            deducts,
        },
    )
}

/// Streams by shape: ordered, shuffled, ties, and with silence in between; around zero and at both ends of time.
fn stream() -> impl Strategy<Value = Vec<Record>> {
    let base = prop_oneof![4 => Just(0_i64), 1 => Just(i64::MIN), 1 => Just(i64::MAX - 300), 1 => Just(-1_000_000_007)];
    let times = prop::collection::vec(0_i64..300, 1..120);
    (base, times, prop::collection::vec((0_u64..12, -3_i64..4), 120), 0..4, 0..3).prop_map(
        |(base, mut times, rest, order, gaps)| {
            match order {
                0 => times.sort_unstable(),
                1 => {
                    times.sort_unstable();
                    times.reverse();
                }
                2 => times.iter_mut().for_each(|t| *t -= *t % 50), // ties, on boundaries
                _ => (),                                           // shuffled
            }
            if gaps == 0 && base < 1_000_000 {
                // Silence of an hour and of 300 years.
                times.iter_mut().filter(|t| **t > 100).for_each(|t| *t += 3_600_000);
                times.iter_mut().filter(|t| **t > 3_600_200).for_each(|t| *t += 10_000_000_000_000);
            }
            times.iter().zip(rest).map(|(t, (key, value))| Record { time: base + t, key, value }).collect()
        },
    )
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let budget = prop_oneof![Just(1_usize), Just(2), Just(7), Just(10_000)];
    let step = prop_oneof![
        6 => (0_usize..16).prop_map(|worker| Step::Fold { worker }),
        2 => (0_usize..16, any::<bool>()).prop_map(|(worker, all)| Step::HandOver { worker, all }),
        4 => (0_usize..64).prop_map(|index| Step::Deliver { index }),
        2 => any::<u8>().prop_map(|share| Step::Advance { share }),
        4 => (0_usize..16, budget).prop_map(|(owner, budget)| Step::Poll { owner, budget }),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, length)
}

fn world<K: TestKey + ?Sized>(setting: &Setting) -> World<K> {
    World::new(setting.spec, Stats { deducts: setting.deducts }, setting.workers, setting.owners)
}

/// The earliest record that no owner has yet.
fn undelivered<K: Key + ?Sized>(world: &World<K>, to_come: &[Record]) -> Option<i64> {
    let unsent = world.unsent.iter().flat_map(|unsent| unsent.values().flatten());
    let in_flight = world.in_flight.iter().flat_map(|flight| &flight.records);
    to_come.iter().chain(unsent).chain(in_flight).map(|record| record.time).min()
}

fn between(low: i64, high: i64, share: u8) -> i64 {
    let (low, high) = (i128::from(low), i128::from(high));
    i64::try_from(low + (high - low).max(0) * i128::from(share) / 255).expect("between two i64")
}

fn on_time<K: TestKey + ?Sized>(setting: &Setting, stream: &[Record], steps: &[Step]) {
    let mut world = world::<K>(setting);
    let (workers, owners) = (usize::from(setting.workers), usize::from(setting.owners));
    let mut w = i64::MIN;
    let mut next = 0;
    for step in steps {
        match *step {
            Step::Fold { worker } => {
                if let Some(record) = stream.get(next) {
                    world.fold(worker % workers, *record);
                    next += 1;
                }
            }
            Step::HandOver { worker, all } => {
                world.hand_over(worker % workers, if all { EventTime::MAX } else { at(w) });
            }
            Step::Deliver { index } => {
                if !world.in_flight.is_empty() {
                    let (_, _, taken) = world.deliver(index % world.in_flight.len());
                    assert!(taken, "on time, yet refused");
                }
            }
            Step::Advance { share } => {
                if let Some(limit) = undelivered(&world, &stream[next..]) {
                    let low = w.max(limit.saturating_sub(400));
                    w = w.max(between(low, limit, share));
                    world.advance(at(w));
                }
            }
            Step::Poll { owner, budget } => {
                let _ = world.poll(owner % owners, budget);
            }
            Step::Settle => {
                world.settle(5);
                // Everything that ends by now is out, and right.
                let expected = recount(&setting.spec, stream, K::ONLY_ONE);
                let due: Expected = expected.into_iter().filter(|((end, _), _)| *end <= w).collect();
                assert_eq!(world.rows(), due);
            }
        }
    }
    for record in &stream[next..] {
        world.fold(0, *record);
    }
    world.finish(3);
    assert_eq!(world.rows(), recount(&setting.spec, stream, K::ONLY_ONE));
    check_work(&world, setting, stream.len() as u64);
}

/// Each entry of a pane enters once and leaves once, whatever the size of the window.
fn check_work<K: TestKey + ?Sized>(world: &World<K>, setting: &Setting, records: u64) {
    let counters = world.owners.iter().map(|side| side.owner.counters());
    let (mut slid, mut combined, mut late) = (0, 0, 0);
    counters.for_each(|c| {
        slid += c.entries_slid;
        combined += c.entries_combined;
        late += c.late_records;
    });
    assert_eq!((late, world.folds.iter().map(|fold| fold.records_folded()).sum::<u64>()), (0, records));
    if setting.deducts || setting.spec.panes_per_window() == setting.spec.panes_per_slide() {
        assert!(slid <= 2 * combined, "{slid} entries slid for {combined}");
    }
}

fn late<K: TestKey + ?Sized>(setting: &Setting, stream: &[Record], steps: &[Step]) {
    let mut world = world::<K>(setting);
    let (workers, owners) = (usize::from(setting.workers), usize::from(setting.owners));
    let (first, last) = stream.iter().fold((i64::MAX, i64::MIN), |(a, b), r| (a.min(r.time), b.max(r.time)));
    let (mut w, mut next, mut bounds) = (i64::MIN, 0, Bounds::new());
    for step in steps {
        match *step {
            Step::Fold { worker } => {
                if let Some(record) = stream.get(next) {
                    world.fold(worker % workers, *record);
                    next += 1;
                }
            }
            Step::HandOver { worker, .. } => world.hand_over(worker % workers, EventTime::MAX),
            Step::Deliver { index } if world.in_flight.is_empty() => {
                let _ = index;
            }
            Step::Deliver { index } => {
                let index = index % world.in_flight.len();
                world.deliver_late(index, w, &mut bounds);
            }
            Step::Advance { share } => {
                let reach = w.max(first).saturating_add(60);
                w = w.max(between(first.saturating_sub(10), reach.min(last), share));
                world.advance(at(w));
            }
            Step::Poll { owner, budget } => {
                let _ = world.poll(owner % owners, budget);
            }
            Step::Settle => world.settle(2),
        }
    }
    (0..workers).for_each(|worker| world.hand_over(worker, EventTime::MAX));
    while !world.in_flight.is_empty() {
        world.deliver_late(0, w, &mut bounds);
    }
    world.finish(100);
    world.check_bounds(&bounds);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_time_windows_are_what_a_recount_says(s in setting(), stream in stream(), steps in steps(250), kind in 0..5) {
        match kind {
            0 => on_time::<u64>(&s, &stream, &steps),
            1 => on_time::<str>(&s, &stream, &steps),
            2 => on_time::<()>(&s, &stream, &steps),
            3 => on_time::<i64>(&s, &stream, &steps),
            _ => on_time::<[u8]>(&s, &stream, &steps),
        }
    }

    #[test]
    fn late_records_count_in_every_window_that_has_not_begun(s in setting(), stream in stream(), steps in steps(400), keyed: bool) {
        if keyed { late::<u64>(&s, &stream, &steps) } else { late::<()>(&s, &stream, &steps) }
    }
}
