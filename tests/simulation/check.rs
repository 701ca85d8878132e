//! What must hold in every history: order and completeness of folding, no watermark ahead of what is to come, and rows
//! equal to a plain recount of the stream by arrival time.

use std::collections::BTreeMap;

use weir_runtime::pipeline::RunCounters;

use super::history::History;
use super::stage::Row;

struct Put {
    /// Among all records of the stream.
    number: u64,
    sequence: String,
    arrival_ms: i64,
    key: String,
}

/// The world's own notes of the stream, kept apart from everything under test.
pub struct Ledger {
    history: History,
    puts: u64,
    shards: BTreeMap<String, Vec<Put>>,
    /// For each shard the index of the next record to be folded.
    next: BTreeMap<String, usize>,
    /// For each shard the last record folded.
    last_folded: BTreeMap<String, String>,
    /// For each key the number of its last record folded.
    last_of_key: BTreeMap<String, u64>,
    folded: u64,
    start_ms: Option<i64>,
    stop_ms: Option<i64>,
    /// The service's time when the stop was fixed, which is later or the same.
    stopped_ms: i64,
}

/// Rows by window end and key.
type Windows = BTreeMap<(i64, String), u64>;

impl Ledger {
    pub fn new(history: &History) -> Ledger {
        Ledger {
            history: history.clone(),
            puts: 0,
            shards: BTreeMap::new(),
            next: BTreeMap::new(),
            last_folded: BTreeMap::new(),
            last_of_key: BTreeMap::new(),
            folded: 0,
            start_ms: None,
            stop_ms: None,
            stopped_ms: i64::MAX,
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

    pub fn stop_at(&mut self, stop_ms: i64, now_ms: i64) {
        assert!(stop_ms >= now_ms, "a stop at {stop_ms} leaves out what came until {now_ms}");
        (self.stop_ms, self.stopped_ms) = (Some(stop_ms), now_ms);
    }

    pub fn on_put(&mut self, shard: &str, sequence: String, arrival_ms: i64, key: String) {
        let number = self.puts;
        self.puts += 1;
        self.shards.entry(shard.to_owned()).or_default().push(Put { number, sequence, arrival_ms, key });
    }

    /// Every record of a shard is folded once, in order, none left out; those of a key in order, whatever its shard.
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
            *next += 1;
            self.folded += 1;
            let before = self.last_of_key.insert(expected.key.clone(), expected.number);
            if before.is_some_and(|before| before > expected.number) {
                let (key, number) = (&expected.key, expected.number);
                return Err(format!("{shard}: folded record {number} of {key} after {before:?}"));
            }
            let _ = self.last_folded.insert(shard, sequence);
        }
        Ok(())
    }

    /// A checkpoint's position is that of the last record folded; while the end is not fixed, behind which some are held
    /// back.
    pub fn check_position(&self, shard: &str, sequence: &str) -> Result<(), String> {
        let last = self.last_folded.get(shard).map_or("", String::as_str);
        if self.stop_ms.is_none() && last != sequence {
            return Err(format!("{shard}: a barrier notes {sequence:?} where {last:?} was folded last"));
        }
        Ok(())
    }

    /// No owner's `W` exceeds the time of a record still to come, less the lag.
    pub fn check_watermark(&self, watermark_ms: i64, now_ms: i64) -> Result<(), String> {
        let lag_ms = self.history.lag_ms;
        // Some shard is open at every moment, so a record may come now; but nothing is wanted beyond the stop.
        let wanted_ms = self.stop_ms.unwrap_or(i64::MAX);
        if now_ms <= wanted_ms && watermark_ms > now_ms.saturating_sub(lag_ms) {
            return Err(format!("W {watermark_ms}, but it is {now_ms} only, lag {lag_ms} ms"));
        }
        for (shard, puts) in &self.shards {
            let next = self.next.get(shard).copied().unwrap_or_default();
            let Some(put) = puts.get(next).filter(|put| put.arrival_ms <= wanted_ms) else {
                continue;
            };
            if watermark_ms > put.arrival_ms.saturating_sub(lag_ms) {
                return Err(format!("W {watermark_ms}, but {shard} still brings {}, lag {lag_ms} ms", put.arrival_ms));
            }
        }
        Ok(())
    }

    fn wanted(&self, up_to_ms: i64) -> impl Iterator<Item = &Put> {
        let start_ms = self.start_ms.unwrap_or(i64::MIN);
        self.shards.values().flatten().filter(move |put| (start_ms..=up_to_ms).contains(&put.arrival_ms))
    }

    /// Records that windows had to count.
    pub fn counted(&self) -> u64 {
        self.wanted(self.stop_ms.unwrap_or(i64::MAX)).count() as u64
    }

    /// The slow, obvious evaluator: every window that holds a record of up to this time, counted.
    fn recount(&self, up_to_ms: i64) -> Windows {
        let (size, slide) = (self.history.size_ms, self.history.slide_ms);
        let mut windows = BTreeMap::new();
        for put in self.wanted(up_to_ms) {
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
        let stop_ms = self.stop_ms.unwrap_or(i64::MAX);
        let mut emitted = BTreeMap::new();
        let mut last_end = BTreeMap::new();
        for row in rows {
            if emitted.insert((row.end_ms, row.key.clone()), row.value).is_some() {
                return Err(format!("emitted twice: {row:?}"));
            }
            if row.start_ms != row.end_ms - self.history.size_ms {
                return Err(format!("wrong start: {row:?}"));
            }
            let cut = row.end_ms - 1 > stop_ms && row.knew_the_stop;
            let begun = self.start_ms.is_some_and(|start_ms| row.start_ms < start_ms);
            if row.partial != (cut || begun) {
                let start_ms = self.start_ms;
                return Err(format!("wrongly partial or whole, from {start_ms:?} to {stop_ms}: {row:?}"));
            }
            if let Some(before) = last_end.insert(row.worker, row.end_ms)
                && before > row.end_ms
            {
                return Err(format!("worker {} emitted {} after {before}", row.worker, row.end_ms));
            }
            self.check_promptness(row)?;
        }
        let total = |field: fn(&RunCounters) -> u64| counters.iter().map(field).sum::<u64>();
        let counted = (total(|c| c.records_folded), total(|c| c.late), total(|c| c.partly_late), total(|c| c.open));
        self.check_values(&emitted, stop_ms)
            .map_err(|error| format!("{error}; folded, late, partly late, open: {counted:?} of {}", self.folded))?;
        if counted != (self.folded, 0, 0, 0) || self.folded < self.counted() || total(|c| c.behind_evidence) > 0 {
            return Err(format!(
                "folded, late, partly late, open: {counted:?}; {} were folded, {} wanted",
                self.folded,
                self.counted()
            ));
        }
        let (sent, received) = (total(|c| c.records_sent), total(|c| c.records_received));
        if sent != received {
            return Err(format!("{sent} records left workers, {received} arrived"));
        }
        Ok(())
    }

    /// Windows up to the stop are exact. Those that reach beyond it hold what came before it, and perhaps some of what
    /// came after and was folded before its worker heard of the stop.
    fn check_values(&self, emitted: &Windows, stop_ms: i64) -> Result<(), String> {
        let (least, most) = (self.recount(stop_ms), self.recount(i64::MAX));
        for (window, value) in &least {
            if emitted.get(window).is_none_or(|emitted| emitted < value) {
                return Err(format!("{window:?} holds {value} records, emitted {:?}", emitted.get(window)));
            }
        }
        for (window, value) in emitted {
            let bound = if window.0 - 1 <= stop_ms { &least } else { &most };
            if bound.get(window).is_none_or(|most| most < value) {
                return Err(format!("{window:?} emitted {value}, but holds {:?}", bound.get(window)));
            }
        }
        let (size, slide) = (self.history.size_ms.unsigned_abs(), self.history.slide_ms.unsigned_abs());
        let sum: u64 = emitted.values().sum();
        if size % slide == 0 && self.folded == self.counted() && sum != size / slide * self.folded {
            return Err(format!("windows sum to {sum}, expected {} times {} records", size / slide, self.folded));
        }
        Ok(())
    }

    /// Where nothing fails, a result comes soon after it can be known, not merely some time.
    fn check_promptness(&self, row: &Row) -> Result<(), String> {
        let Some(patience_ms) = self.history.promptness_ms() else {
            return Ok(());
        };
        let began_ms = self.history.began_ms_latest().saturating_add(super::world::epoch_ms(&self.history));
        let due_ms = row.end_ms.max(began_ms) + patience_ms;
        if row.taken_ms > due_ms && row.taken_ms < self.stopped_ms {
            return Err(format!("{} ms after it was due: {row:?}", row.taken_ms - due_ms));
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
