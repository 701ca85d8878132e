//! A bound on what a model holds: when it is reached, the oldest records go, whichever shard or stream they are in.
//!
//! They go as if their stream's retention had ended for them: its trim horizon rises, so that every listing and
//! iterator agrees about what is left. A horizon is a moment, so records go by the millisecond, and those of the present
//! one stay: what a single millisecond takes is the most by which the bound is overstepped.

use super::Model;
use super::shard::StoredRecord;

/// What a record costs beside its key and data: its place in the shard and the allocator's own.
const RECORD_BYTES: usize = size_of::<StoredRecord>() + 32;
/// One step forgets this part of the time between the oldest record and now.
const STEPS: i64 = 32;

impl StoredRecord {
    /// Memory that goes with the record, about.
    pub fn held_bytes(&self) -> usize {
        self.bytes() + RECORD_BYTES
    }
}

impl Model {
    /// Memory that all records take, about. O(shards).
    pub fn held_bytes(&self) -> u64 {
        self.streams.values().map(|stream| stream.shards.held_bytes()).sum()
    }

    /// Records that had to go before their retention was over, since the model was made.
    pub fn trimmed_for_memory(&self) -> u64 {
        self.trimmed_for_memory
    }

    /// Notes what a put call added, and makes room if that was too much. Usually O(1).
    pub(super) fn keep_within_memory(&mut self, added_bytes: u64) {
        let Some(bytes_max) = self.settings.memory_bytes_max else { return };
        self.held_bytes_at_most = self.held_bytes_at_most.saturating_add(added_bytes);
        if self.held_bytes_at_most <= bytes_max {
            return;
        }
        // Reading has trimmed since it was counted last, and what has aged out by now is no loss.
        let now_ms = self.now_ms;
        self.streams.values_mut().for_each(|stream| stream.shards.trim(stream.horizon_ms(now_ms)));
        self.held_bytes_at_most = self.held_bytes();
        if self.held_bytes_at_most <= bytes_max {
            return;
        }
        // A tenth below the bound: making room goes over all shards, and is not to be done for each call.
        while self.held_bytes_at_most > bytes_max - bytes_max / 10 && self.trim_oldest() {
            self.held_bytes_at_most = self.held_bytes();
        }
    }

    /// Forgets the oldest part of what is held; not if all of it is of this millisecond.
    fn trim_oldest(&mut self) -> bool {
        let now_ms = self.now_ms;
        let shards = self.streams.values().flat_map(|stream| stream.shards.all());
        let oldest_ms = shards.filter_map(|shard| shard.records.front()).map(|record| record.arrival_ms).min();
        let Some(oldest_ms) = oldest_ms.filter(|oldest_ms| *oldest_ms < now_ms) else { return false };
        let floor_ms = (oldest_ms + 1 + (now_ms - oldest_ms) / STEPS).min(now_ms);
        for stream in self.streams.values_mut() {
            let before = stream.shards.record_count();
            stream.raise_floor(floor_ms);
            self.journal.iter_mut().for_each(|journal| journal.changed(&stream.name));
            self.trimmed_for_memory += u64::try_from(before - stream.shards.record_count()).expect("a count");
        }
        true
    }
}
