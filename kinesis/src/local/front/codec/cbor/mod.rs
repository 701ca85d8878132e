//! CBOR 1.1: blobs as byte strings, timestamps as tag 1 with milliseconds.
//!
//! That tag means seconds in RFC 8949; the service and Amazon's Java SDKs put milliseconds there. Answers have definite
//! lengths only; requests may have either.

mod read;
mod write;

pub use read::read;
pub use write::{get_records, push_map};

/// The tag of a timestamp (RFC 8949, section 3.4.2).
const TIME_TAG: u64 = 1;
/// Simple values (RFC 8949, section 3.3).
const FALSE: u8 = 20;
const TRUE: u8 = 21;
const NULL: u8 = 22;
const UNDEFINED: u8 = 23;

#[cfg(test)]
mod tests;
