//! How numbers, times, durations and names are read from people and shown to them.

pub(crate) mod bytes;
pub(crate) mod duration;
mod grouped;
pub(crate) mod local_time;
pub(crate) mod nearest;
pub(crate) mod template;

pub use grouped::grouped;
pub use local_time::LocalTime;
