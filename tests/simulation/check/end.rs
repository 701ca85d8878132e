//! What must hold when a history is over: rows against a plain recount, counters against what is missing, and the job's
//! ledger against the counters.

use std::collections::BTreeMap;

use weir_runtime::ledger::{Ledger as Losses, Reason};
use weir_runtime::pipeline::RunCounters;

use super::super::stage::Row;
use super::super::world::epoch_ms;
use super::{Ending, Ledger, Put};

/// Rows by window end and key.
type Windows = BTreeMap<(i64, String), u64>;

impl Ledger {
    /// Ends of the windows that a record is in.
    fn windows_of(&self, put: &Put) -> impl Iterator<Item = (i64, String)> {
        let (size, slide) = (self.history.size_ms, self.history.slide_ms);
        let (stamp_ms, key) = (put.stamp_ms, if self.history.keyed { put.key.clone() } else { String::new() });
        let first = stamp_ms.div_euclid(slide) * slide + slide;
        let ends = (0..).map(move |n| first + n * slide).take_while(move |end| end - size <= stamp_ms);
        ends.map(move |end| (end, key.clone()))
    }

    /// The slow, obvious evaluator: every window that holds one of these records, counted.
    fn recount<'a>(&'a self, puts: impl Iterator<Item = &'a Put>) -> Windows {
        let mut windows = BTreeMap::new();
        puts.flat_map(|put| self.windows_of(put)).for_each(|window| *windows.entry(window).or_default() += 1);
        windows
    }

    /// Records that were folded.
    fn folded(&self) -> impl Iterator<Item = &Put> {
        self.shards.values().flatten().filter(|put| put.folded)
    }

    pub fn check_end(
        &self,
        ending: Ending,
        rows: &[Row],
        counters: &[RunCounters],
        losses: &Losses,
    ) -> Result<(), String> {
        let emitted = self.check_rows(ending, rows)?;
        let total = |field: fn(&RunCounters) -> u64| counters.iter().map(field).sum::<u64>();
        let said = Said {
            folded: total(|c| c.records_folded),
            late: total(|c| c.late),
            partly_late: total(|c| c.partly_late),
            open: total(|c| c.open),
        };
        let checked = match ending {
            Ending::Settled => self.check_settled(&emitted, &said),
            Ending::CutOff | Ending::Cancelled | Ending::Failed => self.check_cut(&emitted, &said),
        };
        checked.and_then(|()| self.check_said(&said)).map_err(|error| {
            format!("{error}; {said:?}; {} were folded, {} wanted, {ending:?}", self.folded, self.counted())
        })?;
        let behind = counters.iter().map(|c| c.behind_evidence_ms_max).max().unwrap_or(0);
        let behind = (total(|c| c.behind_evidence), behind);
        if behind != self.folded_behind {
            return Err(format!("behind evidence, in all and at most: {behind:?}, and not {:?}", self.folded_behind));
        }
        if behind.0 > 0 && !self.may_be_late() {
            return Err(format!("{} records by up to {} ms behind evidence", behind.0, behind.1));
        }
        let (sent, received) = (total(|c| c.records_sent), total(|c| c.records_received));
        // What is on its way at the end is open.
        if sent != received && said.open == 0 {
            return Err(format!("{sent} records left workers, {received} arrived"));
        }
        check_losses(losses, &said, behind.0)
    }

    /// What holds of rows however the job ended; gives the values by window.
    fn check_rows(&self, ending: Ending, rows: &[Row]) -> Result<Windows, String> {
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
            if ending == Ending::Settled {
                self.check_promptness(row)?;
            }
        }
        Ok(emitted)
    }

    /// Windows up to the stop are exact. Those that reach beyond it hold what came before it, and perhaps some of what
    /// came after and was folded before its worker heard of the stop. What the service's clock made late is missing,
    /// exactly as often as the counters say.
    fn check_settled(&self, emitted: &Windows, said: &Said) -> Result<(), String> {
        let stop_ms = self.stop_ms.unwrap_or(i64::MAX);
        let (least, most) = (self.recount(self.wanted(stop_ms)), self.recount(self.wanted(i64::MAX)));
        for (window, value) in least.iter().filter(|_| !self.may_be_late()) {
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
        if said.open > 0 {
            // A clock that fell by minutes before the stop leaves records with stamps behind it; what of them was on its way
            // when their worker had settled is in no window that the stop wants.
            return if self.may_be_late() {
                self.check_cut(emitted, said)
            } else {
                Err("a settled job is open".to_owned())
            };
        }
        if self.folded < self.counted() && !self.may_be_late() {
            return Err("a job that has settled has read everything".to_owned());
        }
        let (size, slide) = (self.history.size_ms.unsigned_abs(), self.history.slide_ms.unsigned_abs());
        let (each, sum) = (size / slide, emitted.values().sum::<u64>());
        // A record that is partly late is missing in one of two windows. Not even there, if its key's row was still to
        // come: the counter is of windows that have begun to be emitted, and that is done in slices.
        let sliced = self.history.keyed || self.history.budget.start < 4_096;
        let (least, most) = match each {
            _ if size % slide != 0 => return Ok(()),
            1 => (said.late, said.late),
            2 if sliced => (2 * said.late, 2 * said.late + said.partly_late),
            2 => (2 * said.late + said.partly_late, 2 * said.late + said.partly_late),
            _ => (0, 0),
        };
        if !(sum + least..=sum + most).contains(&(each * self.folded)) {
            return Err(format!("windows sum to {sum}, {least} to {most} are missing, of {each} a record"));
        }
        Ok(())
    }

    /// What was emitted before the end is exact; of each record that is not in all of its windows the ledger knows.
    fn check_cut(&self, emitted: &Windows, said: &Said) -> Result<(), String> {
        let most = self.recount(self.wanted(i64::MAX));
        let mut whole = 0;
        for put in self.folded() {
            whole += u64::from(self.windows_of(put).all(|window| emitted.contains_key(&window)));
        }
        for (window, value) in emitted {
            let held = most.get(window).copied().unwrap_or(0);
            let reaches_beyond_stop = self.stop_ms.is_some_and(|stop_ms| window.0 - 1 > stop_ms);
            if held < *value || (held > *value && !self.may_be_late() && !reaches_beyond_stop) {
                return Err(format!("{window:?} emitted {value}, but holds {held}"));
            }
        }
        if said.open + said.late + said.partly_late + whole < self.folded {
            return Err(format!("only {whole} are in all of their windows"));
        }
        Ok(())
    }

    fn check_said(&self, said: &Said) -> Result<(), String> {
        if said.folded != self.folded || said.open + said.late > self.folded {
            return Err("wrongly counted".to_owned());
        }
        if said.late + said.partly_late > 0 && !self.may_be_late() {
            return Err("late, and the service's clock is not why".to_owned());
        }
        Ok(())
    }

    /// Where nothing fails, a result comes soon after it can be known, not merely some time.
    fn check_promptness(&self, row: &Row) -> Result<(), String> {
        let Some(patience_ms) = self.history.promptness_ms() else {
            return Ok(());
        };
        let began_ms = self.history.began_ms_latest().saturating_add(epoch_ms(&self.history));
        let due_ms = row.end_ms.max(began_ms) + patience_ms;
        if row.taken_ms > due_ms && row.taken_ms < self.stopped_ms {
            return Err(format!("{} ms after it was due: {row:?}", row.taken_ms - due_ms));
        }
        Ok(())
    }
}

/// What the workers counted.
#[derive(Debug)]
struct Said {
    folded: u64,
    late: u64,
    partly_late: u64,
    open: u64,
}

/// The job's ledger has an entry for each kind of loss, and no other.
fn check_losses(losses: &Losses, said: &Said, behind: u64) -> Result<(), String> {
    let expected = [
        (Reason::Late, said.late),
        (Reason::PartlyLate, said.partly_late),
        (Reason::BehindEvidence, behind),
        (Reason::Open, said.open),
    ];
    let expected: BTreeMap<Reason, Option<u64>> =
        expected.into_iter().filter(|(_, count)| *count > 0).map(|(reason, count)| (reason, Some(count))).collect();
    let entries: BTreeMap<Reason, Option<u64>> = losses.entries().map(|entry| (entry.reason, entry.records)).collect();
    if entries != expected {
        return Err(format!("the ledger says {entries:?}, and not {expected:?}"));
    }
    Ok(())
}
