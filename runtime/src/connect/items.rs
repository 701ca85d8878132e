//! A test source: numbered items at a steady rate, for trying a pipeline without a stream.

use std::time::Duration;

use weir_window::EventTime;

use crate::error::JobError;
use crate::facade;
use crate::inlet::Inlet;
use crate::source::{
    BATCH_ITEMS_MAX, Listing, LocalFuture, Position, ShardInput, ShardListing, Source, SourceControl, SourceReader,
    StartPosition,
};

/// One item of [`item_stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Counts from 0.
    pub sequence: u64,
    /// When the item was due, by the wall clock.
    pub timestamp: EventTime,
}

/// Items at a steady rate; see [`item_stream`].
#[derive(Clone, Debug)]
pub struct ItemStream {
    items_per_s: u64,
}

/// A source of `items_per_s` items a second on one worker.
///
/// Items are due at fixed moments from the start; after a hiccup those overdue come at once, and none is left out. A
/// drain ends the source. Cost: a timer a batch. A rate of 0 yields nothing.
pub fn item_stream(items_per_s: u64) -> ItemStream {
    ItemStream { items_per_s }
}

impl Source for ItemStream {
    type Item = Item;

    fn describe(&self) -> String {
        format!("{} items/s", self.items_per_s)
    }

    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(self.clone())
    }

    fn reader(&self) -> Box<dyn SourceReader<Item>> {
        Box::new(self.clone())
    }
}

impl SourceControl for ItemStream {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async {
            let shard = ShardListing {
                name: "items".into(),
                parents: Vec::new(),
                open: true,
                position: StartPosition("0".into()),
            };
            Ok(Listing { shards: vec![shard], ..Listing::default() })
        })
    }
}

impl SourceReader<Item> for ItemStream {
    fn read(&self, _shard: ShardListing, inlet: Inlet<Item>) -> LocalFuture<'static, Result<(), JobError>> {
        let items_per_s = self.items_per_s;
        Box::pin(async move {
            let (began, began_ms) = (facade::now(), facade::wall_clock_ms());
            let mut next = 0;
            while inlet.stop().is_none() {
                let elapsed = facade::now() - began;
                let due = items_due(items_per_s, elapsed).min(next + BATCH_ITEMS_MAX as u64);
                if due > next {
                    let items = (next..due).map(|sequence| {
                        let offset = i64::try_from(due_at(items_per_s, sequence).as_millis()).unwrap_or(i64::MAX);
                        let timestamp = EventTime::from_millis(began_ms.saturating_add(offset));
                        Item { sequence, timestamp }
                    });
                    let position = Position { sequence: (due - 1).to_string().into(), sub_sequence: 0 };
                    let items = ShardInput::Items { items: items.collect(), times: Vec::new(), position };
                    inlet.send(items).await;
                    next = due;
                    continue;
                }
                let wait = match items_per_s {
                    0 => Duration::from_secs(3_600),
                    _ => due_at(items_per_s, next).saturating_sub(elapsed),
                };
                let stopped = async {
                    let _ = inlet.stop_changed(None).await;
                };
                futures_lite::future::or(stopped, facade::sleep(wait)).await;
            }
            Ok(())
        })
    }
}

/// How many items are due so far; the first at once.
fn items_due(items_per_s: u64, elapsed: Duration) -> u64 {
    if items_per_s == 0 {
        return 0;
    }
    let due = elapsed.as_nanos() * u128::from(items_per_s) / 1_000_000_000;
    u64::try_from(due).unwrap_or(u64::MAX - 1) + 1
}

/// When an item is due: the least time at which [`items_due`] counts it.
fn due_at(items_per_s: u64, sequence: u64) -> Duration {
    let nanos = (u128::from(sequence) * 1_000_000_000).div_ceil(u128::from(items_per_s.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_is_due_at_its_moment_and_not_before() {
        for items_per_s in [1, 3, 7, 1_000, 999_983] {
            for sequence in [0, 1, 2, 5, 1_000_000] {
                let at = due_at(items_per_s, sequence);
                assert_eq!(items_due(items_per_s, at), sequence + 1, "{items_per_s}/s, item {sequence}");
                if let Some(before) = at.checked_sub(Duration::from_nanos(1)) {
                    assert_eq!(items_due(items_per_s, before), sequence, "{items_per_s}/s, item {sequence}");
                }
            }
        }
    }
}
