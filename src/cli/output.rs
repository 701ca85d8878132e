//! What the commands print: text for people or one JSON object for programs; the log beside it.

use std::{fmt, io::Write as _, time::Duration};

use clap::ValueEnum;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format},
    registry::LookupSpan,
};
use weir_runtime::connect::StandardOutput;

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

/// Unless `WEIR_LOG` says otherwise.
const FILTER: &str = "warn";

/// Whatever `WEIR_LOG` says. At their finer levels these log requests and answers whole, also those by which an instance or a
/// container gets its secrets; and they warn of each credential provider that has none.
const CAPS: &str = "aws_config=error,aws_credential_types=error,aws_runtime=error,aws_sdk_sso=error,aws_sdk_ssooidc=error,\
                    aws_sdk_sts=error,aws_sigv4=error,aws_smithy_runtime=error,aws_smithy_runtime_api=error,\
                    aws_smithy_http_client=error";

/// How long what sinks have handed over may take to be written: a reader that does not read must not keep us.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Lets standard output take what sinks have handed over.
pub(super) fn settle() {
    let _ = StandardOutput::default().wait(LAST_LINES);
}

/// Prints a line on standard output, behind those of the jobs so far. A reader that has gone, as `head` does, ends the process quietly.
pub(super) fn say(line: impl fmt::Display) {
    settle();
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Starts the log: the lines of `logger` sinks go to standard output as they are; warnings of the program itself, or
/// what the variable `WEIR_LOG` asks for (`info`, `weir_kinesis=debug`), go to standard error.
pub(super) fn start_log() {
    let asked = std::env::var("WEIR_LOG").unwrap_or_else(|_| FILTER.to_owned());
    let filter = filter(&asked);
    // Fails only when the program that embeds us has a log of its own, and then that one is used.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(ByTarget)
        .event_format(Line)
        .try_init();
}

/// What was asked for under our caps. A directive for a module within a capped crate or for a span would be more special than
/// the cap, and is left out.
fn filter(asked: &str) -> EnvFilter {
    let uncapped =
        |directive: &&str| !directive.trim_start().starts_with("aws_") && !directive.contains(['[', ']', '{', '}']);
    let asked: Vec<&str> = asked.split(',').filter(uncapped).collect();
    EnvFilter::builder().parse_lossy(format!("{},{CAPS},{LOGGER_TARGET}=info", asked.join(",")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_for_credentials_are_not_logged_whatever_is_asked_for() {
        for asked in
            ["trace", "aws_smithy_runtime=trace", "aws_config::imds=trace,debug", "[invoke]=trace", "info,aws=trace"]
        {
            let kept = Kept::default();
            let writer = kept.clone();
            let subscriber =
                tracing_subscriber::fmt().with_env_filter(filter(asked)).with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(subscriber, || {
                let _span = tracing::debug_span!(target: "aws_smithy_runtime", "invoke").entered();
                tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "hunter2");
                tracing::debug!(target: "aws_config::imds::client", "hunter2");
                tracing::warn!(target: "aws_runtime::env_config", "hunter2");
                tracing::trace!(target: "aws_sdk_sts::operation", "hunter2");
                tracing::info!(target: "weir_kinesis::source", "ours");
                tracing::info!(target: LOGGER_TARGET, "a result");
            });
            let said = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("text");
            assert!(!said.contains("hunter2"), "{asked}: {said}");
            assert!(said.contains("a result"), "{asked}: {said}");
            assert_eq!(
                said.contains("ours"),
                asked.contains("trace,debug") || asked == "trace" || asked.contains("info")
            );
        }
    }
}
