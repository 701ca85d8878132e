//! HTTP over TCP and TLS: a client of HTTP/1.1 with a pool for each executor, and a small server of HTTP/1.1 and HTTP/2.

pub mod client;
mod collect;
mod error;
mod names;
mod pool;
pub mod server;

#[cfg(test)]
mod scripted;

pub use client::{ClientSettings, Exchange, HttpClient, Patience, Poison};
pub use error::{HttpError, Waited};
