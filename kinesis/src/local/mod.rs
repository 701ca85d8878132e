//! A faithful Kinesis inside this process: for demos, for tests, and for people without an account.
//!
//! Three layers, each usable alone. [`model`] is the service as a plain value: streams, shards and records, with the
//! time passed into every call and no clock, socket or unseeded randomness of its own, so that a simulator can drive it.
//! [`front`] turns an HTTP request into an HTTP answer over a model, again without I/O. [`LocalEndpoint`] puts both on a
//! socket, on an executor that is there or on one of its own, and keeps the model's changes in a directory if it is given
//! one. What differs from the service on
//! purpose is listed at the head of each.
//!
//! `model` never names the rest of this crate: a fake that shared code with the client would share its mistakes.

mod admin;
mod certificate;
mod data;
pub mod faults;
pub mod front;
pub mod model;
mod server;

pub use certificate::{Certificate, CertificateError};
pub use data::DataError;
pub use front::{Front, Keys};
pub use model::{Model, ModelSettings};
pub use server::{LocalEndpoint, LocalSettings, LocalThread, StartError};
