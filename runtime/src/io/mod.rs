//! TCP and HTTP on the executors. Knows bytes and requests, and nothing of what they are for.

pub mod http;
mod socket;
mod tcp;
