//! What to ask the service and when: pure machines, `on(input, now) -> outputs`.
//!
//! No file in here opens a socket, reads a clock, awaits, or uses unseeded randomness, so that every schedule a
//! simulator can think of is replayed exactly. Time comes in as [`Moment`]; jitter from a generator seeded by the caller.

pub mod batcher;
pub mod errors;
pub mod hash_key;
pub mod id;
mod moment;
pub mod pacing;
pub mod patience;
pub mod polling;
pub mod position;
pub mod put_pacing;
pub mod sabotage;
pub mod seldom;
pub mod service_clock;
mod shard;
pub mod shard_map;
pub mod shard_pace;

pub use errors::ErrorKind;
pub use moment::Moment;
pub use shard::{HashKeyRange, ShardInfo, are_whole};
