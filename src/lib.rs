//! Weir
#![allow(dead_code)]
mod failure;
mod job;
mod text;
mod windows;
pub mod prelude {
    pub use crate::text::grouped;
}
