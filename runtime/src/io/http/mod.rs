//! HTTP/1.1 over plain TCP: a client with a pool for each executor, and a small server.

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
