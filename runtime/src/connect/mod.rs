//! Sources and sinks that need nothing outside the process.

mod items;
mod lines;
mod output;

pub use items::{Item, ItemStream, item_stream};
pub use lines::{LineSink, lines, logger};
pub use output::StandardOutput;
