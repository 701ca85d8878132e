//! Records that go straight into an owner: the same windows as by blocks, compared with a recount of every window.

mod harness;

use harness::{Bounds, Record, Stats, TestKey, World, at, recount};
use proptest::prelude::*;
use weir_window::{EventTime, WindowSpec, millis};

#[derive(Clone, Copy, Debug)]
enum Step {
    Give {
        records: usize,
    },
    /// By how much, in ms.
    Advance {
        by: i64,
    },
    Poll {
        budget: usize,
    },
    Settle,
}

fn specs() -> impl Strategy<Value = WindowSpec> {
    let shape = prop_oneof![Just((20, 10)), Just((10, 10)), Just((9, 6)), Just((1, 1)), Just((50, 1)), Just((100, 20))];
    (shape, -30_i64..30).prop_map(|((size, slide), offset)| {
        WindowSpec::sliding(millis(size), millis(slide)).expect("valid").with_offset(offset)
    })
}

/// A stream that is in order, or out of order by up to `disorder`; few keys, so that they go to and fro between panes.
fn stream() -> impl Strategy<Value = Vec<Record>> {
    let record = (0_u64..9, -3_i64..4, 0_i64..3, 0_i64..60);
    let base = prop_oneof![3 => Just(0_i64), 1 => Just(i64::MIN), 1 => Just(i64::MAX - 700), 1 => Just(-1_000_000_007)];
    (base, prop::collection::vec(record, 1..700), any::<bool>()).prop_map(|(base, records, ordered)| {
        let mut now = 0;
        let times = |(key, value, step, back)| {
            now += step;
            let back = if ordered { 0 } else { i64::min(back, now) };
            Record { time: base.saturating_add(now - back), key, value }
        };
        records.into_iter().map(times).collect()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let budget = prop_oneof![Just(1_usize), Just(2), Just(7), Just(10_000)];
    let step = prop_oneof![
        5 => prop_oneof![Just(1_usize), 2..30_usize, 100..400_usize].prop_map(|records| Step::Give { records }),
        3 => (0_i64..40).prop_map(|by| Step::Advance { by }),
        4 => budget.prop_map(|budget| Step::Poll { budget }),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 60)
}

fn run<K: TestKey + ?Sized>(spec: WindowSpec, deducts: bool, stream: &[Record], steps: &[Step], on_time: bool) {
    let mut world = World::<K>::new(spec, Stats { deducts }, 0, 1);
    let (mut next, mut w, mut bounds) = (0, i64::MIN, Bounds::new());
    let give = |world: &mut World<K>, records: &[Record], w: i64, bounds: &mut Bounds| {
        for (record, taken) in world.give(0, records) {
            assert!(taken || !on_time, "on time, yet refused");
            world.note(0, vec![record], taken, w, bounds);
        }
    };
    for step in steps {
        match *step {
            Step::Give { records } => {
                let to = stream.len().min(next + records);
                give(&mut world, &stream[next..to], w, &mut bounds);
                next = to;
            }
            Step::Advance { by } => {
                let earliest = stream[next..].iter().map(|record| record.time).min();
                let first = stream.iter().map(|record| record.time).min().expect("not empty");
                w = match earliest {
                    Some(earliest) if on_time => w.max(earliest.min(w.max(first).saturating_add(by))),
                    _ => w.max(first).saturating_add(by),
                };
                if earliest.is_some() {
                    world.advance(at(w));
                }
            }
            Step::Poll { budget } => {
                let _ = world.poll(0, budget);
            }
            Step::Settle => world.settle(5),
        }
    }
    give(&mut world, &stream[next..], w, &mut bounds);
    world.finish(3);
    world.check_bounds(&bounds);
    if on_time {
        assert_eq!(world.rows(), recount(&spec, stream, K::ONLY_ONE));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_what_a_recount_says(
        spec in specs(), deducts: bool, stream in stream(), steps in steps(), on_time: bool, kind in 0..4,
    ) {
        match kind {
            0 => run::<u64>(spec, deducts, &stream, &steps, on_time),
            1 => run::<str>(spec, deducts, &stream, &steps, on_time),
            2 => run::<[u8]>(spec, deducts, &stream, &steps, on_time),
            _ => run::<()>(spec, deducts, &stream, &steps, on_time),
        }
    }
}

/// Two panes turn and turn about make an entry for each record; they must not stay.
#[test]
fn entries_made_twice_are_merged_before_they_are_many() {
    let spec = WindowSpec::sliding(millis(100), millis(10)).expect("valid");
    let mut world = World::<u64>::new(spec, Stats { deducts: true }, 0, 1);
    let record = |i: i64| Record { time: 5 + i % 2 * 10, key: i.unsigned_abs() / 2 % 3, value: 1 };
    let records: Vec<_> = (0..100_000).map(record).collect();
    let mut most = 0;
    for lot in records.chunks(500) {
        assert!(world.give(0, lot).iter().all(|(_, taken)| *taken));
        most = most.max(world.owners[0].owner.bytes());
    }
    assert!(most < 64 * 1_024, "{most} bytes for three keys in two panes");
    world.advance(EventTime::MAX);
    world.finish(100);
    assert_eq!(world.rows(), recount(&spec, &records, false));
}
