//! What a program with pipelines needs: `use weir::prelude::*;`.

pub use std::process::ExitCode;

pub use weir_runtime::{
    connect::{Item, item_stream, lines, logger},
    pipeline::{Pipeline, Stage, Timed, Untimed, WindowResult},
};
pub use weir_window::{
    EventTime, TimeSpan, WindowSpec, all_of, averaging, counting, first, last, max, max_by, millis, min, min_by, secs,
    summing, summing_floats,
};

pub use crate::{
    json::stdout,
    kinesis::{self, Record, Start},
    text::{LocalTime, grouped},
    windows::{sliding, tumbling},
};
