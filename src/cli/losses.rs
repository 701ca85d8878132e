//! A job's loss ledger as the commands say it: a line for people, an object for programs.

use std::fmt;

use serde::Serialize;
use weir_runtime::{control::JobReport, ledger::Entry};

use crate::text::grouped;

/// One entry of the ledger.
#[derive(Debug, Serialize)]
pub(super) struct Loss {
    /// A shard, or `all`.
    place: String,
    /// `gap`, `found-late`, `late`, `partly-late`, `behind-evidence`, `open`, `repeated`, `unwritable`, `given-up`,
    /// `diverted`, `unwritten`, `unlisted`.
    reason: String,
    /// How many records, if known.
    records: Option<u64>,
    /// How often it was noticed.
    times: u64,
    /// When last, ms since 1970; 0 for what was counted over the whole run.
    at_ms: i64,
    /// Where in the shard, if known.
    range: Option<String>,
    what: String,
}

/// All entries of a job.
pub(super) fn of(report: &JobReport) -> impl Iterator<Item = Loss> {
    let unlisted = report.ledger.unlisted();
    let rest = (unlisted > 0).then(|| Loss {
        place: "elsewhere".to_owned(),
        reason: "unlisted".to_owned(),
        records: None,
        times: unlisted,
        at_ms: 0,
        range: None,
        what: "losses at further shards, which are only counted".to_owned(),
    });
    report.ledger.entries().map(Loss::from).chain(rest)
}

impl From<&Entry> for Loss {
    fn from(entry: &Entry) -> Loss {
        Loss {
            place: entry.place.to_string(),
            reason: entry.reason.to_string(),
            records: entry.records,
            times: entry.times,
            at_ms: entry.at_ms,
            range: entry.range.clone(),
            what: entry.what.clone(),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: ", self.place, self.reason)?;
        match self.records {
            Some(records) => write!(f, "{} records {}", grouped(records, 0), self.what),
            None => f.write_str(&self.what),
        }?;
        if let Some(range) = &self.range {
            write!(f, " ({range})")?;
        }
        if self.times > 1 {
            write!(f, ", {} times", grouped(self.times, 0))?;
        }
        Ok(())
    }
}
