//! Sinks that make a line of text of each item: to the log, or to standard output.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::output::{Lines, Listening, Output, standard_output};
use crate::error::JobError;
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

/// Writes a line for each item to standard output, a batch in one write so that lines of workers do not mix. While its reader
/// does not read, the sink is not ready, and in the end the job waits; its core does not.
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
        Box::new(LineWriter::new(self.format.clone(), self.target, cx, standard_output()))
    }
}

struct LineWriter<F> {
    format: Rc<F>,
    target: Target,
    cx: SinkContext,
    output: Arc<Output>,
    _listening: Listening,
    /// By the thread, since last looked.
    written: Arc<AtomicU64>,
    failed: Cell<bool>,
}

impl<F> LineWriter<F> {
    fn new(format: Rc<F>, target: Target, cx: &SinkContext, output: Arc<Output>) -> LineWriter<F> {
        let _listening = output.listen(cx.waker.clone());
        let (cx, written) = (cx.clone(), Arc::default());
        LineWriter { format, target, cx, output, _listening, written, failed: Cell::new(false) }
    }

    /// Counts what the thread has written, and fails the job once if it cannot write any more.
    fn look(&self) {
        self.cx.counters.add_written(self.written.swap(0, Ordering::Relaxed));
        if !self.failed.get()
            && let Some(error) = self.output.failure()
        {
            self.failed.set(true);
            (self.cx.failure)(error);
        }
    }
}

impl<T, F: Fn(&T) -> String> SinkWriter<T> for LineWriter<F> {
    /// The log as well: the program sends the lines of `logger` to standard output.
    fn ready(&self) -> bool {
        self.look();
        self.output.has_room()
    }

    fn write(&mut self, items: &mut Vec<T>) {
        let mut text = String::new();
        for item in items.iter() {
            let line = (self.format)(item);
            match self.target {
                Target::Log => tracing::info!(target: "weir::logger", job = %self.cx.job, "{line}"),
                Target::StandardOutput => writeln!(text, "{line}").expect("a string takes all"),
            }
        }
        let count = items.len() as u64;
        items.clear();
        match self.target {
            // Where it goes from there is the log's affair.
            Target::Log => self.cx.counters.add_written(count),
            Target::StandardOutput => {
                self.output.print(Lines { text: text.into_bytes(), items: count, written: self.written.clone() });
            }
        }
    }

    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        let (output, counters, written) = (self.output.clone(), self.cx.counters.clone(), self.written.clone());
        Box::pin(async move {
            let flushed = output.flush().await;
            counters.add_written(written.swap(0, Ordering::Relaxed));
            flushed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::facade;
    use crate::signal::{Listener, signal};
    use crate::sink::SinkCounters;
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::sync::{Condvar, Mutex};

    /// A target that takes nothing until the test says whether it works or is gone.
    #[derive(Clone, Default)]
    struct Pipe {
        works: Arc<(Mutex<Option<bool>>, Condvar)>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Pipe {
        fn say(&self, works: bool) {
            *self.works.0.lock().expect("no panic") = Some(works);
            self.works.1.notify_all();
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let said = self.works.1.wait_while(self.works.0.lock().expect("no panic"), |works| works.is_none());
            if *said.expect("no panic") != Some(true) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.taken.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Failures = Rc<RefCell<Vec<JobError>>>;

    fn writer(pipe: &Pipe) -> (impl SinkWriter<u64>, SinkContext, Listener, Failures) {
        let (waker, listener) = signal();
        let failures = Failures::default();
        let told = failures.clone();
        let cx = SinkContext {
            worker: 0,
            job: "test".into(),
            waker,
            failure: Rc::new(move |error| told.borrow_mut().push(error)),
            counters: Rc::new(SinkCounters::default()),
        };
        let pipe = pipe.clone();
        let output = Output::start(move || pipe.clone());
        let format = Rc::new(|number: &u64| format!("{number:0>1000}"));
        (LineWriter::new(format, Target::StandardOutput, &cx, output), cx, listener, failures)
    }

    #[test]
    fn reader_that_does_not_read_makes_the_sink_refuse_and_stops_no_core() {
        let pipe = Pipe::default();
        facade::run_here(async {
            let (mut writer, cx, mut told, failures) = writer(&pipe);
            let mut next = 0;
            while writer.ready() {
                assert!(next < 10_000, "it takes without end");
                writer.write(&mut (next..next + 100).collect());
                next += 100;
            }
            assert_eq!(cx.counters.written.get(), 0, "nothing is out yet");
            let mut flushing = std::pin::pin!(writer.flush());
            assert!(futures_util::poll!(flushing.as_mut()).is_pending());
            pipe.say(true);
            while !writer.ready() {
                told.wait().await;
            }
            flushing.await.expect("all is written");
            assert_eq!(cx.counters.written.get(), next);
            let text = String::from_utf8(pipe.taken.lock().expect("no panic").clone()).expect("text");
            let lines: Vec<u64> = text.lines().map(|line| line.parse().expect("a whole line")).collect();
            assert_eq!(lines, (0..next).collect::<Vec<_>>());
            assert!(failures.borrow().is_empty());
        })
        .expect("an executor starts here");
    }

    #[test]
    fn reader_that_is_gone_fails_the_job_once() {
        let pipe = Pipe::default();
        pipe.say(false);
        facade::run_here(async {
            let (mut writer, _, mut told, failures) = writer(&pipe);
            writer.write(&mut vec![1, 2, 3]);
            told.wait().await;
            assert!(writer.ready() && writer.ready(), "a job that has failed is not held up as well");
            let error = writer.flush().await.expect_err("nothing can be written");
            assert_eq!(*failures.borrow(), std::slice::from_ref(&error));
            assert_eq!(error.kind, Kind::Environment);
            assert_eq!(error.message, "standard output cannot be written: broken pipe");
        })
        .expect("an executor starts here");
    }
}
