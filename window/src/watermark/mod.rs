//! Watermarks: what each shard has promised, the minimum over shards and workers, and the holds that keep it down.
//!
//! A watermark `W` says: no further record with an event time less than `W` is expected. Nobody computes it centrally. A
//! worker sends the minimum over its shards, each owner takes the minimum over workers and holds. A *hold* stands in for
//! a shard that nobody reads yet: one that was listed at the start, or the child of a drained parent.

mod owner;
mod worker;

pub use owner::{Holder, OwnerWatermark};
pub use worker::{ShardWatermark, WorkerMark, WorkerWatermark};

/// The name of a shard, of whatever kind the source has.
pub type ShardName = std::sync::Arc<str>;

#[cfg(test)]
mod tests;
