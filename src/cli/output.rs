//! What the commands print: text for people or one JSON object for programs; the log beside it.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// One JSON object, on the last line of standard output
    Json,
}

/// Starts the log on standard error: warnings, or what the variable `WEIR_LOG` says, such as
/// `info` or `weir_kinesis=debug`.
pub(super) fn start_log() {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // Fails only when the program that embeds us has a log of its own, and then that one is used.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
