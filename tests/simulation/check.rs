//! What must hold in every history: order and completeness of folding, no watermark ahead of what is to come, and rows
//! equal to a plain recount of the stream by arrival time.

use std::collections::BTreeMap;

use weir_runtime::pipeline::RunCounters;

use super::history::History;
use super::stage::Row;

struct Put {
    sequence: String,
    arrival_ms: i64,
    key: String,
}

/// The world's own notes of the stream, kept apart from everything under test.
pub struct Ledger {
    history: History,
    shards: BTreeMap<String, Vec<Put>>,
    /// For each shard the index of the next record to be folded.
    next: BTreeMap<String, usize>,
    start_ms: Option<i64>,
    stop_ms: Option<i64>,
}

impl Ledger {
    pub fn new(history: &History) -> Ledger {
        Ledger {
            history: history.clone(),
            shards: BTreeMap::new(),
            next: BTreeMap::new(),
            start_ms: None,
            stop_ms: None,
        }
    }

    pub fn start_ms(&self) -> Option<i64> {
        self.start_ms
    }

    pub fn stop_ms(&self) -> Option<i64> {
        self.stop_ms
    }

    pub fn start_at(&mut self, start_ms: i64) {
        self.start_ms = Some(start_ms);
        for (shard, puts) in &self.shards {
            let first = puts.iter().position(|put| put.arrival_ms >= start_ms).unwrap_or(puts.len());
            let _ = self.next.insert(shard.clone(), first);
        }
    }

    pub fn stop_at(&mut self, stop_ms: i64) {
        self.stop_ms = Some(stop_ms);
    }

    pub fn on_put(&mut self, shard: &str, sequence: String, arrival_ms: i64, key: String) {
        self.shards.entry(shard.to_owned()).or_default().push(Put { sequence, arrival_ms, key });
    }

    /// Every record of a shard is folded once, in order, none left out.
    pub fn on_folded(&mut self, folded: &mut Vec<(String, String)>) -> Result<(), String> {
        for (shard, sequence) in folded.drain(..) {
            let next = self.next.entry(shard.clone()).or_default();
            let expected = self.shards.get(&shard).and_then(|puts| puts.get(*next));
            let Some(expected) = expected else {
                return Err(format!("{shard}: folded {sequence}, which was never put"));
            };
            if expected.sequence != sequence {
                return Err(format!("{shard}: folded {sequence}, expected {}", expected.sequence));
            }
            if self.stop_ms.is_some_and(|stop_ms| expected.arrival_ms > stop_ms) {
                return Err(format!("{shard}: folded {sequence}, stamped after the stop"));
            }
            *next += 1;
        }
        Ok(())
    }

    /// No owner's `W` exceeds the time of a record still to come, less the lag.
    pub fn check_watermark(&self, watermark_ms: i64, now_ms: i64) -> Result<(), String> {
        for number in 0..self.history.shards {
            let shard = format!("shardId-{number:012}");
            let next = self.next.get(&shard).copied().unwrap_or_default();
            let put = self.shards.get(&shard).and_then(|puts| puts.get(next));
            let to_come = match (put, self.stop_ms) {
                (Some(put), Some(stop_ms)) if put.arrival_ms > stop_ms => continue,
                (None, Some(_)) => continue,
                (Some(put), _) => put.arrival_ms,
                (None, None) => now_ms,
            };
            if watermark_ms > to_come.saturating_sub(self.history.lag_ms) {
                let lag_ms = self.history.lag_ms;
                return Err(format!("W {watermark_ms}, but {shard} still brings {to_come}, lag {lag_ms} ms"));
            }
        }
        Ok(())
    }

    fn wanted(&self) -> impl Iterator<Item = &Put> {
        let (start, stop) = (self.start_ms.unwrap_or(i64::MIN), self.stop_ms.unwrap_or(i64::MAX));
        self.shards.values().flatten().filter(move |put| (start..=stop).contains(&put.arrival_ms))
    }

    /// Records that windows had to count.
    pub fn counted(&self) -> u64 {
        self.wanted().count() as u64
    }

    /// The slow, obvious evaluator: every window that holds a record, counted.
    fn recount(&self) -> BTreeMap<(i64, String), u64> {
        let (size, slide) = (self.history.size_ms, self.history.slide_ms);
        let mut windows = BTreeMap::new();
        for put in self.wanted() {
            let mut end = put.arrival_ms.div_euclid(slide) * slide + slide;
            while end - size <= put.arrival_ms {
                let key = if self.history.keyed { put.key.clone() } else { String::new() };
                *windows.entry((end, key)).or_default() += 1;
                end += slide;
            }
        }
        windows
    }

    pub fn check_end(&self, rows: &[Row], counters: &[RunCounters]) -> Result<(), String> {
        let mut emitted = BTreeMap::new();
        let mut last_end = BTreeMap::new();
        for row in rows {
            if emitted.insert((row.end_ms, row.key.clone()), row.value).is_some() {
                return Err(format!("emitted twice: {row:?}"));
            }
            if row.start_ms != row.end_ms - self.history.size_ms {
                return Err(format!("wrong start: {row:?}"));
            }
            if row.partial != self.start_ms.is_some_and(|start_ms| row.start_ms < start_ms) {
                return Err(format!("wrongly partial or whole, started at {:?}: {row:?}", self.start_ms));
            }
            if let Some(before) = last_end.insert(row.worker, row.end_ms)
                && before > row.end_ms
            {
                return Err(format!("worker {} emitted {} after {before}", row.worker, row.end_ms));
            }
        }
        let expected = self.recount();
        if emitted != expected {
            let missing = expected.iter().find(|(key, value)| emitted.get(*key) != Some(*value));
            let extra = emitted.iter().find(|(key, value)| expected.get(*key) != Some(*value));
            return Err(format!("rows differ from the recount; expected {missing:?}, emitted {extra:?}"));
        }
        let records = self.counted();
        let sum: u64 = rows.iter().map(|row| row.value).sum();
        let (size, slide) = (self.history.size_ms.unsigned_abs(), self.history.slide_ms.unsigned_abs());
        if size % slide == 0 && sum != size / slide * records {
            return Err(format!("windows sum to {sum}, expected {} times {records} records", size / slide));
        }
        let total = |field: fn(&RunCounters) -> u64| counters.iter().map(field).sum::<u64>();
        let (folded, late, open) = (total(|c| c.records_folded), total(|c| c.late), total(|c| c.open));
        if (folded, late, open) != (records, 0, 0) {
            return Err(format!("{folded} folded of {records}, {late} late, {open} open"));
        }
        Ok(())
    }

    pub fn describe(&self) -> String {
        let shards = self.shards.iter().map(|(shard, puts)| {
            let next = self.next.get(shard).copied().unwrap_or_default();
            format!("{shard}: {next} of {} folded", puts.len())
        });
        shards.collect::<Vec<_>>().join(", ")
    }
}
