//! What a slide costs: one pane enters, every live key is emitted, one pane leaves; every key is in every pane.
//!
//! * `weir`: the owner from the moment its watermark passes the window's end until it has settled. Combining blocks into
//!   panes is not in it: that is done as they arrive.
//! * `dense array`: the same additions, rows and subtractions over plain arrays whose index is the key. No presence, no
//!   directory, no late records: a floor and no competitor.
//!
//! The time for one key should not depend on how many panes the window has: that is what the two sizes are for.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use weir_bench::{Counts, agree, is_smoke};
use weir_window::{Budget, EventTime, Fold, HashSeed, Owner, OwnerPoll, Rows, WindowSpec, counting, millis};

const SEED: HashSeed = HashSeed::new(weir_bench::SEED);
/// Entries a slice of work, about what a worker gives an owner at a time.
const BUDGET: usize = 4_096;

/// Records of `key` in `pane`: few, different, and known to both sides.
fn records_of(pane: i64, key: u64) -> u64 {
    1 + (key + pane.cast_unsigned()) % 3
}

struct Engine {
    fold: Fold<u64, u64>,
    owner: Owner<u64, u64>,
    rows: Rows<u64, u64>,
    pane: i64,
    keys: u64,
}

impl Engine {
    fn new(panes: i64, keys: u64) -> Self {
        let spec = WindowSpec::sliding(millis(panes), millis(1)).expect("a valid window");
        let (fold, owner) = (Fold::new(spec, SEED, 1), Owner::new(spec, None));
        Self { fold, owner, rows: Rows::new(), pane: 0, keys }
    }

    /// Lets one pane arrive, then times its slide; `take` sees every block of rows.
    fn slide(&mut self, mut take: impl FnMut(&mut Rows<u64, u64>)) -> Duration {
        let time = EventTime::from_millis(self.pane);
        for key in 0..self.keys {
            (0..records_of(self.pane, key)).for_each(|_| self.fold.accumulate(&counting(), time, &key, &()));
        }
        let (mut home, owner) = (None, &mut self.owner);
        self.fold.hand_over_all(&mut |_, block| home = Some(owner.combine::<(), _>(&counting(), block)));
        home.into_iter().for_each(|arena| self.fold.take_home(arena));
        self.pane += 1;

        let start = Instant::now();
        self.owner.advance(EventTime::from_millis(self.pane));
        loop {
            match self.owner.poll::<(), _>(&counting(), &mut Budget::of(BUDGET), &mut self.rows) {
                OwnerPoll::Emitted => take(&mut self.rows),
                OwnerPoll::Working => (),
                OwnerPoll::Settled(_) => return start.elapsed(),
            }
        }
    }
}

/// The same by arrays: a ring of panes and one of totals.
struct Arrays {
    ring: Vec<Vec<u64>>,
    totals: Vec<u64>,
    rows: Vec<(u64, u64)>,
    pane: i64,
}

impl Arrays {
    fn new(panes: i64, keys: u64) -> Self {
        let keys = usize::try_from(keys).expect("few keys");
        let ring = (0..panes).map(|_| vec![0; keys]).collect();
        Self { ring, totals: vec![0; keys], rows: Vec::with_capacity(keys), pane: 0 }
    }

    fn slide(&mut self, mut take: impl FnMut(&[(u64, u64)])) -> Duration {
        let count = self.ring.len();
        let at = usize::try_from(self.pane).expect("ascending from 0") % count;
        (0..).zip(&mut self.ring[at]).for_each(|(key, n)| *n = records_of(self.pane, key));
        self.pane += 1;

        let start = Instant::now();
        self.totals.iter_mut().zip(&self.ring[at]).for_each(|(total, n)| *total += n);
        self.rows.clear();
        self.rows.extend((0..).zip(self.totals.iter().copied()));
        take(&self.rows);
        let leaving = &mut self.ring[(at + 1) % count];
        self.totals.iter_mut().zip(&*leaving).for_each(|(total, n)| *total -= n);
        start.elapsed()
    }
}

/// A few windows of both, to be compared.
fn compare(name: &str, panes: i64, keys: u64) {
    let (mut engine, mut arrays) = (Engine::new(panes, keys), Arrays::new(panes, keys));
    let (mut result, mut reference) = (Counts::new(), Counts::new());
    for end in 1..=panes + 3 {
        let _ = engine.slide(|rows| result.extend(rows.drain().map(|(key, n)| ((end, key), n))));
        let _ = arrays.slide(|rows| reference.extend(rows.iter().map(|(key, n)| ((end, *key), *n))));
        if end <= panes && end > 2 {
            // Enough to compare: the first windows, and those from which a pane has left.
            result.retain(|(at, _), _| *at != end);
            reference.retain(|(at, _), _| *at != end);
        }
    }
    agree(name, &result, &reference);
}

fn slide(c: &mut Criterion) {
    let smoke = is_smoke();
    let sizes = if smoke { vec![(4, 50)] } else { vec![(4, 10_000), (64, 10_000), (8, 200_000)] };
    for (panes, keys) in sizes {
        let name = format!("slide/{keys} keys, {panes} panes");
        compare(&name, panes, keys);
        let mut group = c.benchmark_group(name);
        let _ = group.throughput(Throughput::Elements(keys)).sample_size(10);
        let _ = group.bench_function(BenchmarkId::from_parameter("weir"), |b| {
            let mut engine = Engine::new(panes, keys);
            let _: Duration = (0..panes).map(|_| engine.slide(|_| ())).sum();
            b.iter_custom(|slides| (0..slides).map(|_| engine.slide(|rows| _ = black_box(rows))).sum());
        });
        let _ = group.bench_function(BenchmarkId::from_parameter("dense array (floor)"), |b| {
            let mut arrays = Arrays::new(panes, keys);
            let _: Duration = (0..panes).map(|_| arrays.slide(|_| ())).sum();
            b.iter_custom(|slides| (0..slides).map(|_| arrays.slide(|rows| _ = black_box(rows))).sum());
        });
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    slide(&mut criterion);
    criterion.final_summary();
}
