//! The records of one answer that may be passed on, in pages, each with the position behind it.

use crate::protocol::id::SequenceNumber;
use crate::protocol::position::ReadFrom;
use crate::protocol::sabotage::{self, Sabotage};
use crate::record::RecordBatch;

/// Most records in a page.
pub const PAGE_ITEMS_MAX: usize = 1_024;
/// Most bytes of keys and data in a page, unless a single record has more.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;

/// What of an answer may be passed on. Never empty when it comes with a notice.
#[derive(Debug)]
pub struct Emission {
    batch: RecordBatch,
    pages: Vec<Page>,
    withheld: u64,
    withheld_highest_ms: Option<i64>,
}

/// Records that are passed on together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Indices into the batch, rising; 1 to [`PAGE_ITEMS_MAX`] of them.
    pub indices: Vec<u32>,
    /// Reading from here loses nothing and repeats nothing of what was passed on up to this page, unless a record
    /// before it was held back: then it stays before that one.
    pub position: ReadFrom,
}

impl Emission {
    /// Leaves out the first `skipped` records, and what is stamped later than `stop_ms`. `before` is the position before the batch; `frozen` the one kept
    /// since a record was first held back, and set here when that happens.
    pub(super) fn new(
        batch: RecordBatch,
        skipped: usize,
        stop_ms: Option<i64>,
        before: &ReadFrom,
        frozen: &mut Option<ReadFrom>,
    ) -> Emission {
        let mut emission = Emission { pages: Vec::new(), withheld: 0, withheld_highest_ms: None, batch };
        let mut open = Page { indices: Vec::new(), position: before.clone() };
        let mut open_bytes = 0;
        for (index, number) in (0..emission.batch.len()).zip(0u32..).skip(skipped) {
            if stop_ms.is_some_and(|stop| emission.batch.arrival_ms(index) > stop) {
                emission.withheld += 1;
                let arrival_ms = emission.batch.arrival_ms(index);
                emission.withheld_highest_ms = emission.withheld_highest_ms.max(Some(arrival_ms));
                frozen.get_or_insert_with(|| last_sequence(&emission.batch, index).unwrap_or_else(|| before.clone()));
                continue;
            }
            let bytes = emission.batch.partition_key(index).len() + emission.batch.data(index).len();
            let full = open.indices.len() == PAGE_ITEMS_MAX || open_bytes + bytes > PAGE_BYTES_MAX;
            if full && !open.indices.is_empty() {
                emission.close(&mut open, frozen.as_ref());
                open_bytes = 0;
            }
            open.indices.push(number);
            open_bytes += bytes;
        }
        if !open.indices.is_empty() {
            emission.close(&mut open, frozen.as_ref());
        }
        emission
    }

    fn close(&mut self, open: &mut Page, frozen: Option<&ReadFrom>) {
        let mut last = open.indices.last().map_or(0, |index| *index as usize + 1);
        if sabotage::is_planted(Sabotage::PositionOfAnswer) {
            last = self.batch.len();
        }
        let position =
            frozen.cloned().or_else(|| last_sequence(&self.batch, last)).unwrap_or_else(|| open.position.clone());
        let next = Page { indices: Vec::new(), position: position.clone() };
        let mut page = std::mem::replace(open, next);
        page.position = position;
        self.pages.push(page);
    }

    /// Whether nothing of the answer may be passed on.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Records held back.
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// The latest stamp among them, ms since 1970.
    pub fn withheld_highest_ms(&self) -> Option<i64> {
        self.withheld_highest_ms
    }

    /// The batch, to be charged and shared, and the pages of it, in order.
    pub fn into_parts(self) -> (RecordBatch, Vec<Page>) {
        (self.batch, self.pages)
    }
}

/// The position behind the record before `index`.
fn last_sequence(batch: &RecordBatch, index: usize) -> Option<ReadFrom> {
    let sequence = batch.sequence(index.checked_sub(1)?);
    SequenceNumber::parse(sequence).ok().map(ReadFrom::After)
}
