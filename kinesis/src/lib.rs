//! Amazon Kinesis Data Streams for Weir: protocol machines, the SDK client, source and sink drivers, a local endpoint.
//!
//! `protocol` decides (pure machines: input and time in, outputs out), `client` speaks to the service, `source` and
//! `sink` drive one with the other. Nothing here knows jobs or files of settings.

pub mod client;
pub mod local;
pub mod protocol;
pub mod record;
pub mod sink;
pub mod source;

pub use record::Record;
pub use sink::sink;
pub use source::{Start, source};
