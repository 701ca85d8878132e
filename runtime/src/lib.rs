//! Cores and pipelines: workers, exchange, control, and I/O on glommio.

pub mod facade;
pub mod io;
pub mod mailbox;
pub mod placement;
pub mod signal;
