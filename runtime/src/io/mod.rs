//! TCP, TLS and HTTP on the executors. Knows bytes and requests, and nothing of what they are for.

mod for_hyper;
pub mod http;
mod socket;
mod tcp;
pub mod tls;
