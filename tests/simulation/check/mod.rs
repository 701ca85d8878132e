//! What must hold in every history: order and completeness of folding, no watermark ahead of what is to come, rows equal
//! to a plain recount of the stream by arrival time, and every record that is in no row, or not in all of its rows,
//! counted in the ledger.

mod end;

use std::collections::BTreeMap;

use super::history::History;

/// How a history ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything up to the stop was counted.
    Settled,
    /// Its drain took longer than a drain may.
    CutOff,
    Cancelled,
    Failed,
}

impl Ending {
    pub fn name(self) -> &'static str {
        match self {
            Ending::Settled => "jobs that settled",
            Ending::CutOff => "drains that were cut off",
            Ending::Cancelled => "jobs that were cancelled",
            Ending::Failed => "jobs that failed",
        }
    }
}

pub struct Put {
    /// Among all records of the stream.
    pub number: u64,
    pub sequence: String,
    /// By a clock that never goes back.
    pub taken_ms: i64,
    /// As the service's clock had it.
    pub stamp_ms: i64,
    pub key: String,
    pub folded: bool,
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
    /// Records on their way to a worker that are stamped behind what it was told, by shard and sequence number.
    behind: BTreeMap<(String, String), u64>,
    /// Of those folded, how many, and by how much at most.
    folded_behind: (u64, u64),
    /// How far the service's clock has fallen.
    fallen_ms: i64,
    start_ms: Option<i64>,
    stop_ms: Option<i64>,
    /// The service's time when the stop was fixed, which is later or the same.
    stopped_ms: i64,
}

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
            behind: BTreeMap::new(),
            folded_behind: (0, 0),
            fallen_ms: 0,
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
            let first = puts.iter().position(|put| put.taken_ms >= start_ms).unwrap_or(puts.len());
            let _ = self.next.insert(shard.clone(), first);
        }
    }

    pub fn stop_at(&mut self, stop_ms: i64, now_ms: i64) {
        assert!(stop_ms >= now_ms, "a stop at {stop_ms} leaves out what came until {now_ms}");
        (self.stop_ms, self.stopped_ms) = (Some(stop_ms), now_ms);
    }

    pub fn puts(&self) -> u64 {
        self.puts
    }

    pub fn on_put(&mut self, shard: &str, put: Put) {
        let number = self.puts;
        self.puts += 1;
        self.shards.entry(shard.to_owned()).or_default().push(Put { number, ..put });
    }

    /// The service's clock is, or was, so far behind where it had been.
    pub fn on_clock_fallen(&mut self, by_ms: i64) {
        self.fallen_ms = by_ms;
    }

    /// Whether records may be late, because the service's clock stepped back by more than anything gives way.
    fn may_be_late(&self) -> bool {
        self.fallen_ms > self.history.unnoticed_ms()
    }

    /// A worker is given this record after evidence of a later time.
    pub fn expect_behind(&mut self, shard: &str, sequence: String, by_ms: u64) {
        let _ = self.behind.insert((shard.to_owned(), sequence), by_ms);
    }

    /// Every record of a shard is folded once, in order, none left out but what a stop holds back; those of a key in order,
    /// whatever its shard.
    pub fn on_folded(&mut self, folded: &mut Vec<(String, String)>) -> Result<(), String> {
        for (shard, sequence) in folded.drain(..) {
            let next = self.next.entry(shard.clone()).or_default();
            let puts = self.shards.get_mut(&shard).map_or(&mut [][..], Vec::as_mut_slice);
            let held_back =
                |put: &Put| put.sequence != sequence && self.stop_ms.is_some_and(|stop| put.stamp_ms > stop);
            *next += puts[*next..].iter().take_while(|put| held_back(put)).count();
            let expected = puts.get_mut(*next);
            let Some(expected) = expected else {
                return Err(format!("{shard}: folded {sequence}, which was never put"));
            };
            if expected.sequence != sequence {
                return Err(format!("{shard}: folded {sequence}, expected {}", expected.sequence));
            }
            expected.folded = true;
            *next += 1;
            self.folded += 1;
            let before = self.last_of_key.insert(expected.key.clone(), expected.number);
            if before.is_some_and(|before| before > expected.number) {
                let (key, number) = (&expected.key, expected.number);
                return Err(format!("{shard}: folded record {number} of {key} after {before:?}"));
            }
            if !self.behind.is_empty()
                && let Some(by_ms) = self.behind.remove(&(shard.clone(), sequence.clone()))
            {
                self.folded_behind = (self.folded_behind.0 + 1, self.folded_behind.1.max(by_ms));
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

    /// No owner's `W` exceeds the time of a record still to come, less the lag, by more than what the service's clock has
    /// fallen: up to what margin and lag give way by nothing is late then, and beyond it nothing by more than that.
    pub fn check_watermark(&self, watermark_ms: i64, now_ms: i64) -> Result<(), String> {
        // A shard that has passed the stop is over, and one that fell back behind it does not come to life again.
        if self.may_be_late() && self.stop_ms.is_some() {
            return Ok(());
        }
        let lag_ms = self.history.lag_ms - self.fallen_ms;
        // Some shard is open at every moment, so a record may come now; but nothing is wanted beyond the stop.
        let wanted_ms = self.stop_ms.unwrap_or(i64::MAX);
        if now_ms <= wanted_ms && watermark_ms > now_ms.saturating_sub(lag_ms) {
            return Err(format!("W {watermark_ms}, but it is {now_ms} only, lag {lag_ms} ms"));
        }
        for (shard, puts) in &self.shards {
            let next = self.next.get(shard).copied().unwrap_or_default();
            let Some(put) = puts.get(next).filter(|put| put.stamp_ms <= wanted_ms) else {
                continue;
            };
            if watermark_ms > put.stamp_ms.saturating_sub(lag_ms) {
                return Err(format!("W {watermark_ms}, but {shard} still brings {}, lag {lag_ms} ms", put.stamp_ms));
            }
        }
        Ok(())
    }

    /// Records taken after the start and stamped up to a time.
    fn wanted(&self, up_to_ms: i64) -> impl Iterator<Item = &Put> {
        let start_ms = self.start_ms.unwrap_or(i64::MIN);
        let puts = self.shards.values().flatten();
        puts.filter(move |put| put.taken_ms >= start_ms && put.stamp_ms <= up_to_ms)
    }

    /// Records that windows had to count.
    pub fn counted(&self) -> u64 {
        self.wanted(self.stop_ms.unwrap_or(i64::MAX)).count() as u64
    }

    pub fn describe(&self) -> String {
        let shards = self.shards.iter().map(|(shard, puts)| {
            let next = self.next.get(shard).copied().unwrap_or_default();
            format!("{shard}: {next} of {} folded", puts.len())
        });
        shards.collect::<Vec<_>>().join(", ")
    }
}
