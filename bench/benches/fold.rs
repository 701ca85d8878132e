//! What folding a record costs: counting by a `u64` key in panes, one core, records in memory and in order.
//!
//! * `weir`: the worker's fold as the engine runs it, hand-over of the blocks and return of their memory included.
//! * `hash map`: a `HashMap` with the same hash, emptied after each pane: what one would write by hand.
//! * `dense array`: `counts[key] += 1`, for keys that happen to be small numbers. No hash, no probe, no hand-over: a floor
//!   and no competitor, for it cannot do the task.
//!
//! Not in it: reading, decoding and whatever the owner does.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use foldhash::fast::FixedState;
use weir_bench::{Counts, Event, agree, events, is_smoke};
use weir_window::{Arena, Budget, EventTime, Fold, HashSeed, Owner, OwnerPoll, Rows, WindowSpec, counting, millis};

const PANE_MS: i64 = 100;
const PANES: usize = 4;
/// As many as an operator gets at once.
const BATCH: usize = 1_024;
const SEED: HashSeed = HashSeed::new(weir_bench::SEED);

fn spec() -> WindowSpec {
    WindowSpec::tumbling(millis(PANE_MS)).expect("a valid window")
}

/// Folds all events, `base` ms later, in batches, after each of which the panes that have ended are handed over; the
/// arenas go home.
fn weir(fold: &mut Fold<u64, u64>, events: &[Event], base: i64, home: &mut Vec<Arena>) {
    let count = counting();
    for batch in events.chunks(BATCH) {
        let (mut times, mut keys) = ([EventTime::MIN; BATCH], [&0; BATCH]);
        for ((time, key), event) in times.iter_mut().zip(&mut keys).zip(batch) {
            (*time, *key) = (EventTime::from_millis(base + event.time), &event.key);
        }
        fold.accumulate_all(&count, &times[..batch.len()], &keys[..batch.len()], batch);
        let highest = batch.last().map_or(0, |event| base + event.time);
        fold.hand_over(EventTime::from_millis(highest), &mut |_, block| home.push(black_box(block).into_arena()));
        home.drain(..).for_each(|arena| fold.take_home(arena));
    }
}

/// Runs `add(key)` for each event and `close(end)` after each pane, with cached bounds like the fold's.
fn panes<S>(events: &[Event], state: &mut S, add: impl Fn(&mut S, u64), mut close: impl FnMut(&mut S, i64)) {
    let mut end = PANE_MS;
    for event in events {
        while event.time >= end {
            close(state, end);
            end += PANE_MS;
        }
        add(state, event.key);
    }
    close(state, end);
}

fn as_array(key: u64) -> usize {
    usize::try_from(key).expect("keys of the workload are small")
}

/// The counts of each pane by the dense array.
fn reference(events: &[Event], keys: u64) -> Counts {
    let (mut counts, mut array) = (Counts::new(), vec![0_u64; as_array(keys)]);
    panes(
        events,
        &mut array,
        |array, key| array[as_array(key)] += 1,
        |array, end| {
            let present = (0..keys).zip(array.iter_mut()).filter(|(_, count)| **count > 0);
            counts.extend(present.map(|(key, count)| ((end, key), std::mem::take(count))));
        },
    );
    counts
}

/// The counts of each pane by fold and owner.
fn through_owner(events: &[Event]) -> Counts {
    let mut fold = Fold::new(spec(), SEED, 1);
    let mut owner = Owner::<u64, u64>::new(spec(), None);
    events.iter().for_each(|event| {
        fold.accumulate(&counting(), EventTime::from_millis(event.time), &event.key, event);
    });
    fold.hand_over_all(&mut |_, block| drop(owner.combine::<Event, _>(&counting(), block)));
    owner.advance(EventTime::MAX);
    let (mut rows, mut counts) = (Rows::new(), Counts::new());
    while owner.poll::<Event, _>(&counting(), &mut Budget::of(usize::MAX), &mut rows) == OwnerPoll::Emitted {
        let end = rows.end.as_millis();
        counts.extend(rows.drain().map(|(key, count)| ((end, key), count)));
    }
    counts
}

fn fold(c: &mut Criterion) {
    let smoke = is_smoke();
    let span = PANE_MS * i64::try_from(PANES).expect("few panes");
    for keys in if smoke { vec![10] } else { vec![1, 10, 10_000, 1_000_000] } {
        let count = if smoke { 1_000 } else { 4_000_000 };
        let events = events(count, PANES, PANE_MS, keys);
        agree(&format!("fold/{keys} keys"), &through_owner(&events), &reference(&events, keys));

        let mut group = c.benchmark_group(format!("fold/{keys} keys"));
        let _ = group.throughput(Throughput::Elements(count as u64)).sample_size(10);
        let _ = group.bench_function(BenchmarkId::from_parameter("weir"), |b| {
            let (mut fold, mut home, mut base) = (Fold::new(spec(), SEED, 1), Vec::new(), 0);
            b.iter(|| {
                weir(&mut fold, &events, base, &mut home);
                base += span;
            });
        });
        let _ = group.bench_function(BenchmarkId::from_parameter("hash map"), |b| {
            let mut map = HashMap::<u64, u64, _>::with_hasher(FixedState::with_seed(SEED.number()));
            let add = |map: &mut HashMap<u64, u64, _>, key| *map.entry(key).or_default() += 1;
            b.iter(|| {
                panes(&events, &mut map, add, |map, _| {
                    black_box(&*map);
                    map.clear();
                });
            });
        });
        let _ = group.bench_function(BenchmarkId::from_parameter("dense array (floor)"), |b| {
            let mut array = vec![0_u64; as_array(keys)];
            b.iter(|| {
                panes(
                    &events,
                    &mut array,
                    |array, key| array[as_array(key)] += 1,
                    |array, _| {
                        black_box(&*array);
                        array.fill(0);
                    },
                );
            });
        });
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    fold(&mut criterion);
    criterion.final_summary();
}
