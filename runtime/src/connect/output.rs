//! Standard output, written by a thread of its own: a reader that does not read stops that thread, and no core.
//!
//! What is handed over waits in a queue, whole lines at a time, so that lines of different workers do not mix. Its bound is
//! kept by those who hand over: they ask for room first, and each may then give one batch.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{JobError, Kind};
use crate::signal::{Notifier, signal};

/// With so many bytes waiting nobody should hand over more: some thousands of lines, far more than a pipe takes at once.
const QUEUE_BYTES_MAX: usize = 1 << 20;

static OUTPUT: OnceLock<Arc<Output>> = OnceLock::new();

/// The standard output of this process.
pub(super) fn standard_output() -> Arc<Output> {
    OUTPUT.get_or_init(|| Output::start(io::stdout)).clone()
}

/// Where a log that standard output is meant for writes its lines, so that it stops no core either. The sinks of
/// [`super::logger`] ask for room here before they log.
#[derive(Debug, Default)]
pub struct StandardOutput(());

impl StandardOutput {
    /// Blocks until all that was handed over is written or can never be, but not longer than `limit`: for whoever is about to
    /// write there itself, or to end the process. Returns whether nothing waits any more.
    pub fn wait(&self, limit: Duration) -> bool {
        OUTPUT.get().is_none_or(|output| output.wait(limit))
    }
}

impl Write for StandardOutput {
    /// Hands over all of `lines`, which should end with a line break.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        standard_output().print(Lines { text: lines.to_vec(), items: 0, written: Arc::default() });
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines on their way, and whose they are.
pub(super) struct Lines {
    pub(super) text: Vec<u8>,
    pub(super) items: u64,
    /// Grows by `items` when the lines are out.
    pub(super) written: Arc<AtomicU64>,
}

/// The queue and its thread, which lives as long as the process.
pub(super) struct Output {
    state: Mutex<State>,
    arrived: Condvar,
    /// As the listeners are told, for plain threads.
    told: Condvar,
    /// Waiting and being written.
    bytes: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Lines>,
    /// Why nothing can be written any more.
    failed: Option<String>,
    /// Told when there is room again, nothing is left, or nothing can be written any more.
    listeners: Vec<(u64, Notifier)>,
    next_listener: u64,
}

/// Keeps a listener told until it is dropped.
pub(super) struct Listening {
    output: Arc<Output>,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.output.lock().listeners.retain(|(number, _)| *number != self.number);
    }
}

impl Output {
    /// `open` is called on the thread, for each batch, so that a lock of the target is not held between them.
    pub(super) fn start<W: Write>(open: impl Fn() -> W + Send + 'static) -> Arc<Output> {
        let output = Arc::new(Output {
            state: Mutex::default(),
            arrived: Condvar::new(),
            told: Condvar::new(),
            bytes: AtomicUsize::new(0),
        });
        let own = Arc::clone(&output);
        let started = std::thread::Builder::new().name("weir-stdout".to_owned()).spawn(move || own.write_all(&open));
        if let Err(error) = started {
            output.fail(&format!("its thread cannot be started: {error}"));
        }
        output
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock: a poisoned state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all<W: Write>(&self, open: &impl Fn() -> W) {
        loop {
            let mut state = self.lock();
            let lines = loop {
                match state.queue.pop_front() {
                    Some(lines) => break lines,
                    None => state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            let mut target = open();
            if let Err(error) = target.write_all(&lines.text).and_then(|()| target.flush()) {
                return self.fail(&error.to_string());
            }
            lines.written.fetch_add(lines.items, Ordering::Relaxed);
            let before = self.bytes.fetch_sub(lines.text.len(), Ordering::AcqRel);
            let after = before - lines.text.len();
            if after == 0 || (before >= QUEUE_BYTES_MAX && after < QUEUE_BYTES_MAX) {
                self.tell_all(&self.lock());
            }
        }
    }

    fn fail(&self, why: &str) {
        let mut state = self.lock();
        state.failed = Some(format!("standard output cannot be written: {why}"));
        state.queue.clear();
        self.bytes.store(0, Ordering::Release);
        self.tell_all(&state);
    }

    fn tell_all(&self, state: &State) {
        state.listeners.iter().for_each(|(_, listener)| listener.notify());
        self.told.notify_all();
    }

    /// Whether more may be handed over. Never blocks.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Acquire) < QUEUE_BYTES_MAX
    }

    /// Hands over lines; to be asked for room before. Never blocks.
    pub(super) fn print(&self, lines: Lines) {
        let mut state = self.lock();
        if state.failed.is_none() && !lines.text.is_empty() {
            self.bytes.fetch_add(lines.text.len(), Ordering::AcqRel);
            state.queue.push_back(lines);
            self.arrived.notify_one();
        }
    }

    /// Why nothing can be written any more, if so.
    pub(super) fn failure(&self) -> Option<JobError> {
        self.lock().failed.as_ref().map(|why| JobError::new(Kind::Environment, why.as_str()))
    }

    /// Tells `listener` from now on.
    pub(super) fn listen(self: &Arc<Self>, listener: Notifier) -> Listening {
        let mut state = self.lock();
        let number = state.next_listener;
        state.next_listener += 1;
        state.listeners.push((number, listener));
        Listening { output: Arc::clone(self), number }
    }

    fn wait(&self, limit: Duration) -> bool {
        let waits = |_: &mut State| self.bytes.load(Ordering::Acquire) > 0;
        let waited = self.told.wait_timeout_while(self.lock(), limit, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Resolves when all that was handed over is written, or nothing can be any more.
    pub(super) async fn flush(self: Arc<Self>) -> Result<(), JobError> {
        let (notifier, mut listener) = signal();
        let _listening = self.listen(notifier);
        loop {
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if self.bytes.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            listener.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_waits_for_what_was_handed_over_and_no_longer_than_said() {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let output = Output::start(move || {
            let _ = gate.recv();
            io::sink()
        });
        assert!(output.wait(Duration::ZERO), "nothing was handed over");
        let written = Arc::new(AtomicU64::new(0));
        output.print(Lines { text: b"a\nb\n".to_vec(), items: 2, written: written.clone() });
        assert!(!output.wait(Duration::from_millis(10)));
        open.send(()).expect("the thread waits");
        assert!(output.wait(Duration::from_secs(5)));
        assert_eq!(written.load(Ordering::Relaxed), 2);
    }
}
