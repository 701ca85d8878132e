//! Event-time windows over keyed records: plain data and pure functions, without I/O, clocks, threads or async.
//!
//! The way of a record: a [`Fold`] (one per worker) folds records into *deltas*, one per pane; a delta is handed over
//! as [`Block`]s, one per [`Owner`] of a range of key hashes; an owner combines blocks into its panes as they arrive
//! and, when its watermark passes a window's end, slides: add the entering panes, emit [`Rows`], deduct the leaving
//! panes. Watermarks are minima over shards and workers, kept down by holds ([`OwnerWatermark`]).
//!
//! ```
//! use weir_window::*;
//!
//! let (spec, seed, count) = (WindowSpec::sliding(secs(1), millis(500))?, HashSeed::new(7), counting());
//! let mut fold = Fold::<str, u64>::new(spec, seed, 1);
//! for (ms, key) in [(100, "a"), (700, "a"), (900, "b")] {
//!     fold.accumulate(&count, EventTime::from_millis(ms), key, &());
//! }
//!
//! let mut owner = Owner::<str, u64>::new(spec, None);
//! fold.hand_over_all(&mut |_owner, block| drop(owner.combine::<(), _>(&count, block)));
//! owner.advance(EventTime::from_millis(1_000));
//!
//! let (mut rows, mut seen) = (Rows::new(), Vec::new());
//! while owner.poll::<(), _>(&count, &mut Budget::of(1_000), &mut rows) == OwnerPoll::Emitted {
//!     let end = rows.end.as_millis();
//!     seen.extend(rows.drain().map(|(key, n)| format!("{end}: {key} {n}")));
//! }
//! seen.sort();
//! assert_eq!(seen, ["1000: a 2", "1000: b 1", "500: a 1"]);
//! # Ok::<(), SpecError>(())
//! ```
//!
//! What is *not* here: nothing awaits, nothing reads a clock, and nothing allocates per record once warm. The only
//! `unsafe` is in `arena.rs`.

mod aggregate;
mod arena;
mod block;
mod budget;
mod directory;
mod fold;
mod index;
mod key;
mod owner;
mod pane;
mod rows;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod slide;
mod spec;
mod time;
mod watermark;

pub use aggregate::{
    Aggregate, AllOf, Averaging, Counting, First, Last, Max, MaxBy, Min, MinBy, Pick, Summing, SummingFloats, all_of,
    averaging, counting, first, last, max, max_by, min, min_by, summing, summing_floats,
};
pub use arena::{Arena, Column};
pub use block::Block;
pub use budget::Budget;
pub use fold::{Fold, owner_of};
pub use index::LOT;
pub use key::{BytesColumn, HashSeed, IntColumn, Key, KeyColumn, NoColumn};
pub use owner::{Owner, OwnerCounters, OwnerPoll};
pub use rows::{ROWS_MAX, Rows};
pub use spec::{PANES_PER_WINDOW_MAX, SpecError, WindowSpec};
pub use time::{EventTime, TimeSpan, millis, secs};
pub use watermark::{Holder, OwnerWatermark, ShardName, ShardWatermark, WorkerMark, WorkerWatermark};
