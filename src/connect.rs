//! What a job writes to standard output as JSON, an object a line.

use std::io::Write as _;

use serde::Serialize;
use weir_runtime::{
    connect::{LineSink, lines},
    pipeline::WindowResult,
};
