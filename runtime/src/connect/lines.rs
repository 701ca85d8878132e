//! Sinks that make a line of text of each item: to the log, or to standard output.

use std::fmt::Write as _;
use std::io::Write as _;
use std::rc::Rc;

use crate::error::{JobError, Kind};
use crate::sink::{Sink, SinkContext, SinkWriter};
use crate::source::LocalFuture;

/// A line for each item; see [`logger`] and [`lines`].
pub struct LineSink<F> {
    format: Rc<F>,
    target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Log,
    StandardOutput,
}

/// Logs a line for each item, at level INFO and with the job's name.
pub fn logger<T, F: Fn(&T) -> String + 'static>(format: F) -> LineSink<F> {
    LineSink { format: Rc::new(format), target: Target::Log }
}

/// Writes a line for each item to standard output, a batch in one write so that lines of workers do not mix.
pub fn lines<T, F: Fn(&T) -> String + 'static>(format: F) -> LineSink<F> {
    LineSink { format: Rc::new(format), target: Target::StandardOutput }
}

impl<T: 'static, F: Fn(&T) -> String + 'static> Sink<T> for LineSink<F> {
    fn describe(&self) -> String {
        match self.target {
            Target::Log => "logger".to_owned(),
            Target::StandardOutput => "standard output".to_owned(),
        }
    }

    fn open(&self, cx: &SinkContext) -> Box<dyn SinkWriter<T>> {
        Box::new(LineWriter {
            format: self.format.clone(),
            target: self.target,
            cx: cx.clone(),
            text: String::new(),
            failed: false,
        })
    }
}

struct LineWriter<F> {
    format: Rc<F>,
    target: Target,
    cx: SinkContext,
    text: String,
    failed: bool,
}

impl<F> LineWriter<F> {
    /// Writes to a pipe or terminal may block; its reader's pace is then the job's, as with any program.
    fn print(&mut self) {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(self.text.as_bytes()).and_then(|()| out.flush()) {
            // Said once: whoever closed the pipe knows.
            if !std::mem::replace(&mut self.failed, true) {
                let message = format!("standard output cannot be written: {error}");
                (self.cx.failure)(JobError::new(Kind::Environment, message));
            }
        }
    }
}

impl<T, F: Fn(&T) -> String> SinkWriter<T> for LineWriter<F> {
    fn ready(&self) -> bool {
        true
    }

    fn write(&mut self, items: &mut Vec<T>) {
        self.text.clear();
        for item in items.iter() {
            let line = (self.format)(item);
            match self.target {
                Target::Log => tracing::info!(target: "weir::logger", job = %self.cx.job, "{line}"),
                Target::StandardOutput => writeln!(self.text, "{line}").expect("a string takes all"),
            }
        }
        if self.target == Target::StandardOutput {
            self.print();
        }
        self.cx.counters.add_written(items.len() as u64);
        items.clear();
    }

    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}
