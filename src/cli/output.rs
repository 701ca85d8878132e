//! What the commands print: text for people or one JSON object for programs; the log beside it.

use std::{fmt, io::Write as _};

use clap::ValueEnum;
use weir_runtime::connect::StandardOutput;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format},
    registry::LookupSpan,
};

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// One JSON object, on the last line of standard output
    Json,
}

/// What the sink `logger` logs under: the one thing in the log that is a result.
const LOGGER_TARGET: &str = "weir::logger";

/// Below warnings of our own: the SDK warns of each credential provider that has none, with all that it knows.
const FILTER: &str = "warn,aws_config=error,aws_runtime=error,aws_smithy_runtime=error";

/// Prints a line on standard output. A reader that has gone, as `head` does, ends the process quietly.
pub(super) fn say(line: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Starts the log: the lines of `logger` sinks go to standard output as they are; warnings of the program itself, or
/// what the variable `WEIR_LOG` asks for (`info`, `weir_kinesis=debug`), go to standard error.
pub(super) fn start_log() {
    let asked = std::env::var("WEIR_LOG").unwrap_or_else(|_| FILTER.to_owned());
    let filter = EnvFilter::builder().parse_lossy(format!("{asked},{LOGGER_TARGET}=info"));
    // Fails only when the program that embeds us has a log of its own, and then that one is used.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(ByTarget)
        .event_format(Line)
        .try_init();
}

/// Chooses the stream by the event's target.
struct ByTarget;

impl<'a> MakeWriter<'a> for ByTarget {
    type Writer = Box<dyn std::io::Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Box::new(std::io::stderr())
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Self::Writer {
        if about.target() == LOGGER_TARGET { Box::new(StandardOutput::default()) } else { Box::new(std::io::stderr()) }
    }
}

/// A line of a logger as it is; anything else as `weir: warning: …`.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut out: format::Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() == LOGGER_TARGET {
            event.record(&mut MessageOnly(&mut out));
            return writeln!(out);
        }
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(out, "weir: {level}: ")?;
        cx.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

struct MessageOnly<'a, 'w>(&'a mut format::Writer<'w>);

impl tracing::field::Visit for MessageOnly<'_, '_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Into memory, which takes all.
            let _ = write!(self.0, "{value:?}");
        }
    }
}
