//! The loss ledger: what a job did not read, did not count or may have counted twice, each with shard, reason and number.
//!
//! Bounded: entries of one place and reason are put together, and beyond [`ENTRIES_MAX`] places only numbers are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Entries kept; what comes for further places is counted in [`Ledger::unlisted`].
pub const ENTRIES_MAX: usize = 1_000;

/// The place of what is counted over the whole run.
const WHOLE_RUN: &str = "all";

/// Why records were lost, left out or perhaps repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// They were no longer held when they were asked for.
    Gap,
    /// A shard was found whose parents were never read.
    FoundLate,
    /// They came too late for all of their windows.
    Late,
    /// They came too late for some of their windows.
    PartlyLate,
    /// They were stamped before a moment up to which their shard had been proved silent.
    BehindEvidence,
    /// Their windows had not all fired when the job ended.
    Open,
    /// They were sent again because no answer came, and may be in the target twice.
    Repeated,
    /// They can never be written: their sink's target would refuse them for ever.
    Unwritable,
    /// Their sink's target went on refusing them for longer than the job allows.
    GivenUp,
    /// They are among their sink's dead letters instead of in its target.
    Diverted,
    /// They were taken by a sink and are not known to be written.
    Unwritten,
}

impl Reason {
    /// The word for it in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Gap => "gap",
            Reason::FoundLate => "found-late",
            Reason::Late => "late",
            Reason::PartlyLate => "partly-late",
            Reason::BehindEvidence => "behind-evidence",
            Reason::Open => "open",
            Reason::Repeated => "repeated",
            Reason::Unwritable => "unwritable",
            Reason::GivenUp => "given-up",
            Reason::Diverted => "diverted",
            Reason::Unwritten => "unwritten",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that was lost, as whoever noticed it says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub reason: Reason,
    /// How many records, if anybody knows.
    pub records: Option<u64>,
    /// Where in the shard: from behind one position to before another, in the source's own words.
    pub range: Option<String>,
    /// What happened, in a sentence.
    pub what: String,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The shard, or `all` where it is counted for the job.
    pub place: Arc<str>,
    /// Why.
    pub reason: Reason,
    /// When it was last noticed, ms since 1970 on this host's clock; 0 for what was counted over the whole run.
    pub at_ms: i64,
    /// How often it was noticed.
    pub times: u64,
    /// Records in all, as far as anybody knows.
    pub records: Option<u64>,
    /// The last one's range.
    pub range: Option<String>,
    /// The last one's sentence.
    pub what: String,
}

/// All that a job lost. See the module's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: BTreeMap<(Arc<str>, Reason), Entry>,
    unlisted: u64,
}

impl Ledger {
    /// Notes a loss at `place`.
    pub fn note(&mut self, place: &Arc<str>, at_ms: i64, loss: Loss) {
        let Loss { reason, records, range, what } = loss;
        let key = (place.clone(), reason);
        // What is counted over the whole run is a handful, and always has its place.
        let full = self.entries.len() >= ENTRIES_MAX && &**place != WHOLE_RUN;
        match self.entries.get_mut(&key) {
            Some(entry) => {
                entry.times += 1;
                entry.at_ms = at_ms;
                // A number that is not known for all of them is not known.
                entry.records = entry.records.zip(records).map(|(before, more)| before + more);
                (entry.range, entry.what) = (range, what);
            }
            None if !full => {
                let entry = Entry { place: place.clone(), reason, at_ms, times: 1, records, range, what };
                let _ = self.entries.insert(key, entry);
            }
            None => self.unlisted += 1,
        }
    }

    /// Notes a number that was counted over the whole run; nothing if it is 0.
    pub fn count(&mut self, reason: Reason, records: u64, what: impl FnOnce() -> String) {
        if records > 0 {
            self.note(&Arc::from(WHOLE_RUN), 0, Loss { reason, records: Some(records), range: None, what: what() });
        }
    }

    /// By place, then reason.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Losses at places beyond the bound.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.unlisted == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(records: Option<u64>) -> Loss {
        Loss { reason: Reason::Gap, records, range: None, what: "gone".to_owned() }
    }

    #[test]
    fn losses_of_one_place_and_reason_are_one_entry() {
        let mut ledger = Ledger::default();
        let place: Arc<str> = "shardId-1".into();
        ledger.note(&place, 5, loss(Some(3)));
        ledger.note(&place, 7, loss(Some(4)));
        let entry = ledger.entries().next().expect("one").clone();
        assert_eq!((entry.at_ms, entry.times, entry.records), (7, 2, Some(7)));
        ledger.note(&place, 8, loss(None));
        ledger.note(&place, 9, loss(Some(1)));
        assert_eq!(ledger.entries().next().expect("one").records, None, "not known for all is not known");
    }

    #[test]
    fn ledger_is_bounded_and_says_so() {
        let mut ledger = Ledger::default();
        (0..ENTRIES_MAX + 5).for_each(|n| ledger.note(&Arc::from(n.to_string()), 0, loss(None)));
        assert_eq!((ledger.entries().count(), ledger.unlisted()), (ENTRIES_MAX, 5));
        ledger.count(Reason::Unwritten, 7, || "unwritten".to_owned());
        assert_eq!((ledger.entries().count(), ledger.unlisted()), (ENTRIES_MAX + 1, 5), "totals have their place");
    }

    #[test]
    fn nothing_counted_is_no_entry() {
        let mut ledger = Ledger::default();
        ledger.count(Reason::Late, 0, || unreachable!("nobody asks"));
        assert!(ledger.is_empty());
        ledger.count(Reason::Late, 2, || "late".to_owned());
        assert!(!ledger.is_empty());
    }
}
