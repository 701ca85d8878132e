//! Cores and pipelines: workers, exchange, control, and I/O on glommio.
//!
//! A [`pipeline`] is a function over stages. [`control`] calls it to check it, lists its sources' shards, assigns them
//! to workers and starts a run on each; a [`worker`] folds what its shards' readers send, hands deltas to owners
//! through the [`exchange`], and as an owner slides windows and writes rows to sinks. Connectors implement [`source`]
//! and [`sink`]. Only `facade`, `placement` and `io` name the executor library.

pub mod connect;
pub mod control;
pub mod error;
pub mod exchange;
pub mod facade;
mod guarded;
pub mod inlet;
pub mod io;
pub mod ledger;
pub mod mailbox;
pub mod memory;
pub mod pipeline;
pub mod placement;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod signal;
pub mod sink;
pub mod source;
pub mod worker;
