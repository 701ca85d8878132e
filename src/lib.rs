//! Weir: thread-per-core windowed aggregation of Amazon Kinesis Data Streams.
//!
//! A pipeline is a function over stages; a program is pipelines by name with a command line around them. Start with
//! [`prelude`] and [`node`]; `examples/tutorial.rs` is a whole program. The rooms below this one are `weir_window`
//! (event time and windows), `weir_runtime` (cores and pipelines) and `weir_kinesis` (the service).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "Weir runs on Linux only: its executor needs io_uring. Build it on Linux 5.8 or later, in a virtual machine or a \
     container with io_uring allowed if need be."
);

mod cli;
mod endpoint;
mod failure;
mod job;
mod json;
pub mod kinesis;
pub mod prelude;
mod program;
mod text;
mod windows;

pub use program::{Binding, IntoPipeline, Program, node};
