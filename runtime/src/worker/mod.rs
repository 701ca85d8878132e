//! One worker: a pure machine for each job's run, and a thin driver that moves messages for it.

pub(crate) mod driver;
pub(crate) mod link;
mod run;
mod watch;

pub use run::{AttachAt, Attachment, BegunBefore, Cut, Run, RunSettings};
