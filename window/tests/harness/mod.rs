//! A small world of workers and owners, and the oracle they are compared to: a recount of the records of every window.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

use weir_window::{
    Aggregate, Arena, Block, Budget, EventTime, Fold, HashSeed, Key, Owner, OwnerPoll, ROWS_MAX, Rows, WindowSpec,
    owner_of,
};

pub const SEED: HashSeed = HashSeed::new(42);

pub fn at(ms: i64) -> EventTime {
    EventTime::from_millis(ms)
}

/// Count and sum together; can do as if it had no inverse.
#[derive(Clone, Copy)]
pub struct Stats {
    pub deducts: bool,
}

pub type Acc = (u64, i128);

impl Aggregate<i64> for Stats {
    type Accumulator = Acc;
    type Output = Acc;

    fn identity(&self) -> Acc {
        (0, 0)
    }
    fn accumulate(&self, acc: &mut Acc, item: &i64) {
        *acc = (acc.0 + 1, acc.1 + i128::from(*item));
    }
    fn combine(&self, acc: &mut Acc, other: &Acc) {
        *acc = (acc.0 + other.0, acc.1 + other.1);
    }
    fn deduct(&self) -> Option<impl Fn(&mut Acc, &Acc)> {
        self.deducts.then_some(|acc: &mut Acc, other: &Acc| *acc = (acc.0 - other.0, acc.1 - other.1))
    }
    fn finish(&self, acc: &Acc) -> Acc {
        *acc
    }
}

/// A kind of key that tests can make from a small number.
pub trait TestKey: Key {
    fn borrowed(owned: &Self::Owned) -> &Self;
    fn with<R>(number: u64, use_it: impl FnOnce(&Self) -> R) -> R;
    fn number(owned: &Self::Owned) -> u64;
}

impl TestKey for u64 {
    fn borrowed(owned: &u64) -> &Self {
        owned
    }
    fn with<R>(number: u64, use_it: impl FnOnce(&Self) -> R) -> R {
        use_it(&number)
    }
    fn number(owned: &u64) -> u64 {
        *owned
    }
}

impl TestKey for i64 {
    fn borrowed(owned: &i64) -> &Self {
        owned
    }
    fn with<R>(number: u64, use_it: impl FnOnce(&Self) -> R) -> R {
        use_it(&-number.cast_signed())
    }
    fn number(owned: &i64) -> u64 {
        owned.unsigned_abs()
    }
}

impl TestKey for str {
    fn borrowed(owned: &String) -> &Self {
        owned
    }
    fn with<R>(number: u64, use_it: impl FnOnce(&Self) -> R) -> R {
        use_it(&format!("{number:0>width$}", width = usize::try_from(number % 20).expect("small")))
    }
    fn number(owned: &String) -> u64 {
        owned.parse().expect("made from a number")
    }
}

impl TestKey for [u8] {
    fn borrowed(owned: &Vec<u8>) -> &Self {
        owned
    }
    fn with<R>(number: u64, use_it: impl FnOnce(&Self) -> R) -> R {
        use_it(&number.to_le_bytes())
    }
    fn number(owned: &Vec<u8>) -> u64 {
        u64::from_le_bytes(owned.as_slice().try_into().expect("made from eight bytes"))
    }
}

impl TestKey for () {
    fn borrowed(owned: &()) -> &Self {
        owned
    }
    fn with<R>(_number: u64, use_it: impl FnOnce(&Self) -> R) -> R {
        use_it(&())
    }
    fn number(_owned: &()) -> u64 {
        0
    }
}

/// What the oracle needs to know of a record.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub time: i64,
    pub key: u64,
    pub value: i64,
}

/// The ends of all windows that hold a record of `time`, by trying one after the other in numbers that cannot overflow.
///
/// The windows that would end at or after the end of time are one, labelled by it, and hold the panes that end less than
/// a window's size before it.
pub fn window_ends(spec: &WindowSpec, time: i64) -> Vec<i64> {
    let (size, slide) = (i128::from(spec.size().as_millis()), i128::from(spec.slide().as_millis()));
    let (offset, pane) = (i128::from(spec.offset().as_millis()), i128::from(spec.pane().as_millis()));
    let (time, max) = (i128::from(time), i128::from(i64::MAX));
    let past = |step: i128| (time - offset) - (time - offset).div_euclid(step) * step;
    let mut ends = Vec::new();
    let mut end = time - past(slide) + slide;
    while end - size <= time && end < max {
        ends.push(i64::try_from(end).expect("less than the end of time"));
        end += slide;
    }
    let pane_end = (time - past(pane) + pane).min(max);
    if pane_end > max - size {
        ends.push(i64::MAX);
    }
    ends
}

/// What the windows hold: (window end, key) -> count and sum.
pub type Expected = BTreeMap<(i64, u64), Acc>;

pub fn recount(spec: &WindowSpec, records: &[Record], one_key: bool) -> Expected {
    let mut expected = Expected::new();
    for record in records {
        for end in window_ends(spec, record.time) {
            let acc = expected.entry((end, if one_key { 0 } else { record.key })).or_default();
            *acc = (acc.0 + 1, acc.1 + i128::from(record.value));
        }
    }
    expected
}

/// Windows by what they must hold at least, and may hold at most, of late records.
pub type Bounds = BTreeMap<(i64, u64), (u64, u64)>;

/// A block on its way, with the records the test knows to be in it.
pub struct InFlight<K: Key + ?Sized> {
    pub owner: usize,
    pub from: usize,
    pub block: Block<K, Acc>,
    pub records: Vec<Record>,
}

/// One owner with what it has emitted.
pub struct OwnerSide<K: Key + ?Sized> {
    pub owner: Owner<K, Acc>,
    pub rows: Expected,
    /// The window of the last rows, and whether it was complete.
    pub at: Option<(i64, bool)>,
    pub settled: i64,
    buffer: Rows<K, Acc>,
}

/// Workers, blocks in flight and owners; every rule that holds at any time is checked as it goes.
pub struct World<K: Key + ?Sized> {
    pub spec: WindowSpec,
    pub stats: Stats,
    pub folds: Vec<Fold<K, Acc>>,
    pub unsent: Vec<BTreeMap<(i64, usize), Vec<Record>>>,
    pub in_flight: Vec<InFlight<K>>,
    pub owners: Vec<OwnerSide<K>>,
}

impl<K: TestKey + ?Sized> World<K> {
    pub fn new(spec: WindowSpec, stats: Stats, workers: u16, owners: u16) -> Self {
        Self {
            spec,
            stats,
            folds: (0..workers).map(|_| Fold::new(spec, SEED, owners)).collect(),
            unsent: (0..workers).map(|_| BTreeMap::new()).collect(),
            in_flight: Vec::new(),
            owners: (0..owners)
                .map(|_| OwnerSide {
                    owner: Owner::new(spec, None),
                    rows: Expected::new(),
                    at: None,
                    settled: i64::MIN,
                    buffer: Rows::new(),
                })
                .collect(),
        }
    }

    pub fn fold(&mut self, worker: usize, record: Record) {
        let owners = u16::try_from(self.owners.len()).expect("few");
        let owner = K::with(record.key, |key| {
            self.folds[worker].accumulate(&self.stats, at(record.time), key, &record.value);
            owner_of(key.hash(&SEED), owners)
        });
        let pane = self.spec.pane_end(at(record.time)).as_millis();
        self.unsent[worker].entry((pane, usize::from(owner))).or_default().push(record);
    }

    pub fn hand_over(&mut self, worker: usize, up_to: EventTime) {
        let (unsent, in_flight) = (&mut self.unsent[worker], &mut self.in_flight);
        let mut last_pane = EventTime::MIN;
        self.folds[worker].hand_over(up_to, &mut |owner, block| {
            assert!(block.pane_end() >= last_pane && block.pane_end() <= up_to);
            last_pane = block.pane_end();
            let owner = usize::from(owner);
            let records = unsent.remove(&(block.pane_end().as_millis(), owner)).expect("no block without records");
            assert_eq!(block.records(), records.len() as u64);
            assert!(block.entries() >= 1 && block.entries() <= records.len());
            in_flight.push(InFlight { owner, from: worker, block, records });
        });
        assert!(unsent.keys().all(|(pane, _)| at(*pane) > up_to), "a due delta was kept");
    }

    /// Delivers one block; says which records the owner took, and which it counted as late.
    pub fn deliver(&mut self, index: usize) -> (usize, Vec<Record>, bool) {
        let InFlight { owner, from, block, records } = self.in_flight.swap_remove(index);
        let side = &mut self.owners[owner];
        let (late_before, open_before) = (side.owner.counters().late_records, side.owner.open_records());
        let arena: Arena = side.owner.combine(&self.stats, block);
        self.folds[from].take_home(arena);
        let late = side.owner.counters().late_records - late_before;
        assert!(late == 0 || late == records.len() as u64, "a block is late as a whole");
        let taken = side.owner.open_records() - open_before;
        assert_eq!(late + taken, records.len() as u64, "records are open or late");
        (owner, records, late == 0)
    }

    /// Delivers one block while the watermark is at `w`, late or not, and notes in which windows its records must and may
    /// count. A window that is being emitted, or could be, may or may not have them; the last window of a block that was
    /// taken must, or the block was lost without being counted.
    pub fn deliver_late(&mut self, index: usize, w: i64, bounds: &mut Bounds) {
        let (owner, records, taken) = self.deliver(index);
        self.note(owner, records, taken, w, bounds);
    }

    /// Gives records to an owner without blocks, all at once; says which of them it took.
    pub fn give(&mut self, owner: usize, records: &[Record]) -> Vec<(Record, bool)> {
        let side = &mut self.owners[owner];
        let (late_before, open_before) = (side.owner.counters().late_records, side.owner.open_records());
        let times: Vec<_> = records.iter().map(|record| at(record.time)).collect();
        let values: Vec<_> = records.iter().map(|record| record.value).collect();
        let mut keys = Vec::new();
        records.iter().for_each(|record| K::with(record.key, |key| keys.push(key.to_owned_key())));
        let keys: Vec<&K> = keys.iter().map(K::borrowed).collect();
        side.owner.accumulate_all(&self.stats, &SEED, &times, &keys, &values);
        let late = side.owner.counters().late_records - late_before;
        let taken = side.owner.open_records() - open_before;
        assert_eq!(late + taken, records.len() as u64, "records are open or late");
        // Lateness is monotone in time: the earliest so many were refused.
        let mut by_time: Vec<_> = records.iter().map(|record| record.time).collect();
        by_time.sort_unstable();
        let refused_to = usize::try_from(late).expect("few").checked_sub(1).map_or(i64::MIN, |last| by_time[last]);
        records.iter().map(|record| (*record, late == 0 || record.time > refused_to)).collect()
    }

    /// Notes what must and may count of records that an owner took or refused.
    pub fn note(&self, owner: usize, records: Vec<Record>, taken: bool, w: i64, bounds: &mut Bounds) {
        let side = &self.owners[owner];
        let emitted = side.at.map_or(i64::MIN, |(end, complete)| if complete { end } else { end - 1 });
        let done = side.settled.max(emitted);
        for record in records {
            let ends = window_ends(&self.spec, record.time);
            let last_end = *ends.last().expect("every record is in a window");
            assert!(taken || last_end <= w, "refused, although the window to {last_end} may not fire before {w}");
            assert!(!taken || last_end > done, "taken, although the window to {last_end} is done");
            for end in ends.into_iter().filter(|end| taken && *end > done) {
                let bound = bounds.entry((end, if K::ONLY_ONE { 0 } else { record.key })).or_default();
                bound.0 += u64::from(end > w || end == last_end);
                bound.1 += 1;
            }
        }
    }

    /// Compares all rows with what was noted.
    pub fn check_bounds(&self, bounds: &Bounds) {
        let rows = self.rows();
        for (row, (count, _)) in &rows {
            let (low, high) = bounds.get(row).copied().unwrap_or_default();
            assert!((low..=high).contains(count), "{row:?}: {count} records, not {low} to {high}");
        }
        for (row, (low, _)) in bounds {
            assert!(*low == 0 || rows.contains_key(row), "{row:?} with {low} records is missing");
        }
    }

    pub fn deliver_all(&mut self) {
        while !self.in_flight.is_empty() {
            let (_, _, taken) = self.deliver(0);
            assert!(taken, "nothing is late here");
        }
    }

    /// Polls one owner once; says whether it has settled.
    pub fn poll(&mut self, owner: usize, budget: usize) -> bool {
        let side = &mut self.owners[owner];
        let mut budget = Budget::of(budget);
        match side.owner.poll(&self.stats, &mut budget, &mut side.buffer) {
            OwnerPoll::Working => {
                assert!(budget.is_spent());
                false
            }
            OwnerPoll::Settled(w) => {
                assert!(w.as_millis() >= side.settled, "settled falls");
                assert!(side.at.is_none_or(|(_, complete)| complete), "settled within a window");
                side.settled = w.as_millis();
                true
            }
            OwnerPoll::Emitted => {
                let end = side.buffer.end.as_millis();
                assert!(!side.buffer.is_empty() && side.buffer.len() <= ROWS_MAX);
                assert_eq!(side.buffer.start, side.buffer.end.saturating_sub(self.spec.size()));
                match side.at {
                    Some((before, true)) => {
                        assert!(end > before, "windows come in ascending order, once")
                    }
                    Some((before, false)) => {
                        assert_eq!(end, before, "a window is finished before the next")
                    }
                    None => (),
                }
                assert!(end > side.settled, "window {end} after settled {}", side.settled);
                side.at = Some((end, side.buffer.last));
                for (key, value) in side.buffer.drain() {
                    let key = K::number(&key);
                    assert!(side.rows.insert((end, key), value).is_none(), "{key} twice in window {end}");
                }
                false
            }
        }
    }

    pub fn settle(&mut self, budget: usize) {
        for owner in 0..self.owners.len() {
            let mut polls = 0_usize;
            while !self.poll(owner, budget) {
                polls += 1;
                assert!(polls < 10_000_000, "does not settle");
            }
        }
    }

    pub fn advance(&mut self, w: EventTime) {
        self.owners.iter_mut().for_each(|side| side.owner.advance(w));
    }

    /// What all owners have emitted; each key comes from one owner only.
    pub fn rows(&self) -> Expected {
        let mut all = Expected::new();
        for (row, value) in self.owners.iter().flat_map(|side| &side.rows) {
            assert!(all.insert(*row, *value).is_none(), "{row:?} from two owners");
        }
        all
    }

    /// Everything is handed over, fired and forgotten.
    pub fn finish(&mut self, budget: usize) {
        (0..self.folds.len()).for_each(|worker| self.hand_over(worker, EventTime::MAX));
        self.deliver_all();
        self.advance(EventTime::MAX);
        self.settle(budget);
        for side in &self.owners {
            assert!(side.owner.is_empty());
            assert_eq!((side.owner.open_records(), side.owner.keys()), (0, 0), "something is left");
        }
    }
}
