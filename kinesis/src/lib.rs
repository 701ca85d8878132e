//! Placeholder.

pub mod local;
