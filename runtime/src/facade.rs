//! All of the executor that the rest of Weir sees: start, spawn, sleep, now, blocking work, yield.
//!
//! The executor is glommio: one thread, one core, io_uring, no work stealing. Everything that would have to be
//! written again for another one is here, in `placement` and in `io`. Its traps, met on our way, are guarded here:
//! the first timer of a process is some 15 ms late, so one is thrown away at start; a panic in its blocking pool leaves
//! the waiting task asleep for ever, so we have a pool of our own; it fails or panics when io_uring is barred or too
//! little memory may be locked, so both are looked at first. Never poll thousands of timers in one task: it counts a
//! task's wakers in 16 bits.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};

use crate::signal::signal;

mod blocking;
mod detached;
mod environment;

pub use environment::EnvironmentError;

/// io_uring's registered buffers, in bytes: the least, for we only use sockets.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// Monotonic time.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time in ms since the epoch; 0 if the clock stands before it.
#[must_use]
pub fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Returns after `d`, or a little later.
///
/// # Panics
/// Outside an executor, as everything below.
pub async fn sleep(d: Duration) {
    glommio::timer::Timer::new(d).await;
}

/// Lets every other ready task run once.
pub async fn yield_now() {
    glommio::executor().yield_now().await;
}

/// Lets others run if the executor wants to; cheap enough for inner loops over batches.
pub async fn yield_if_needed() {
    glommio::yield_if_needed().await;
}

/// Which executor runs the caller; never given twice in a process. For caches of things that belong to one.
#[must_use]
pub fn executor_id() -> usize {
    glommio::executor().id()
}

/// A spawned task. Dropping it cancels the task.
#[must_use = "a task is cancelled when dropped; `detach` lets it run"]
#[derive(Debug)]
pub struct Task<T> {
    task: glommio::Task<T>,
    ended: Rc<Cell<bool>>,
}

impl<T: 'static> Task<T> {
    /// Lets it run unheeded, until its executor ends.
    pub fn detach(self) {
        detached::detach(self.task, self.ended);
    }

    /// Cancels it and waits until its future is dropped; its result if it had ended just before.
    pub async fn cancel(self) -> Option<T> {
        self.task.cancel().await
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.task).poll(cx)
    }
}

/// Runs a future beside the caller on the same executor. A panic in it ends the executor, and so the process: see
/// [`start_executor`].
pub fn spawn<T: 'static>(f: impl Future<Output = T> + 'static) -> Task<T> {
    let ended = Rc::new(Cell::new(false));
    let end = detached::SetOnDrop(Rc::clone(&ended));
    let task = glommio::spawn_local(async move {
        let _end = end;
        f.await
    });
    Task { task, ended }
}

/// Runs blocking work (a name look-up, a file) on a thread that is pinned nowhere. Its panic is the caller's.
///
/// Dropping the future withdraws work that has not begun; it does not stop work that has, whose result is dropped.
pub async fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(f: F) -> T {
    let (notifier, mut listener) = signal();
    let result = Arc::new(Mutex::new(None));
    let wanted = blocking::Wanted::new(f);
    let (slot, work) = (Arc::clone(&result), wanted.share());
    blocking::run(Box::new(move || {
        if let Some(f) = work.take() {
            let done = catch_unwind(AssertUnwindSafe(f));
            *slot.lock().expect("nothing panics under this lock") = Some(done);
            notifier.notify();
        }
    }))
    .await;
    listener.wait().await;
    match result.lock().expect("nothing panics under this lock").take() {
        Some(Ok(value)) => value,
        Some(Err(panic)) => resume_unwind(panic),
        None => unreachable!("notified only after the result is there"),
    }
}

/// Where and under what name an executor runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorSettings {
    /// The thread's name; the kernel shows its first 15 bytes.
    pub name: String,
    /// The core it is pinned to; `None` leaves it to the kernel.
    pub core: Option<usize>,
}

/// A running executor. Dropping it does not stop it.
#[derive(Debug)]
pub struct ExecutorHandle {
    name: String,
    thread: JoinHandle<()>,
    /// Somebody waits, and will be told of a panic.
    joined: Arc<AtomicBool>,
}

/// What a panic said, and where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicMessage {
    /// The executor's name.
    pub executor: String,
    /// The panic's words.
    pub message: String,
}

impl fmt::Display for PanicMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "executor {} panicked: {}", self.executor, self.message)
    }
}

impl std::error::Error for PanicMessage {}

impl ExecutorHandle {
    /// Waits, blocking, until the executor's future has ended.
    ///
    /// # Errors
    /// The panic of any of its tasks, if it comes while this waits.
    pub fn join(self) -> Result<(), PanicMessage> {
        self.joined.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|panic| PanicMessage { executor: self.name, message: panic_text(panic.as_ref()) })
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The words of a caught panic.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

/// Starts an executor on a thread of its own and returns when it runs: `make` is called there, its future run to
/// the end. Detached tasks that are left then are cancelled, and their sockets closed, before its thread ends.
/// What stays open is one eventfd, which glommio closes for no executor: start few.
///
/// A panic in any of its tasks stops the process with exit code 1, after saying why: what the executor held can no longer be
/// trusted, and others may wait for it for ever. Only if somebody waits in [`ExecutorHandle::join`] already, they are told
/// instead.
///
/// # Errors
/// When io_uring is barred, too little memory may be locked, or the core may not be used.
pub fn start_executor<F, Fut>(settings: ExecutorSettings, make: F) -> Result<ExecutorHandle, EnvironmentError>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    // The pool's threads inherit the affinity of this thread, which must not be a pinned one's.
    let _ = blocking::start();
    let (started, outcome) = mpsc::sync_channel(1);
    let name = settings.name.clone();
    let joined = Arc::new(AtomicBool::new(false));
    let guard = DieOnPanic { executor: name.clone(), joined: Arc::clone(&joined) };
    let thread = std::thread::Builder::new()
        .name(settings.name.clone())
        .spawn(move || match make_executor(&settings) {
            Ok(executor) => {
                // On the thread's own stack. A panic unwinds the whole executor but drops only the future that it came from, so
                // a guard inside of another task would never learn of it.
                let _guard = guard;
                executor.run(async move {
                    detached::begin();
                    warm_timers().await;
                    let _ = started.send(Ok(()));
                    make().await;
                    detached::end().await;
                });
            }
            Err(error) => drop(started.send(Err(error))),
        })
        .map_err(|error| EnvironmentError::thread(&error))?;
    match outcome.recv() {
        Ok(Ok(())) => Ok(ExecutorHandle { name, thread, joined }),
        Ok(Err(error)) => Err(error),
        Err(mpsc::RecvError) => {
            let panic =
                thread.join().err().map_or_else(|| "it ended at once".to_owned(), |panic| panic_text(panic.as_ref()));
            Err(EnvironmentError::other(&panic))
        }
    }
}

/// Stops the process when its thread unwinds and nobody waits for it.
struct DieOnPanic {
    executor: String,
    joined: Arc<AtomicBool>,
}

impl Drop for DieOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.joined.load(Ordering::SeqCst) {
            // The panic's own message is out already.
            tracing::error!("{} panicked; this is a bug in Weir, please report it", self.executor);
            std::process::exit(1);
        }
    }
}

/// Runs a future on an unpinned executor on the calling thread: for commands and tests.
///
/// # Errors
/// As `start_executor`. Panics when called on an executor.
pub fn run_here<F: Future>(f: F) -> Result<F::Output, EnvironmentError> {
    let _ = blocking::start();
    let name = std::thread::current().name().unwrap_or("main").to_owned();
    let executor = make_executor(&ExecutorSettings { name, core: None })?;
    Ok(executor.run(async {
        detached::begin();
        warm_timers().await;
        let output = f.await;
        detached::end().await;
        output
    }))
}

fn make_executor(settings: &ExecutorSettings) -> Result<LocalExecutor, EnvironmentError> {
    environment::probe()?;
    let placement = settings.core.map_or(Placement::Unbound, Placement::Fixed);
    let make = || {
        LocalExecutorBuilder::new(placement)
            .name(&settings.name)
            .io_memory(IO_MEMORY_BYTES)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .make()
    };
    environment::quietly(make)?.map_err(|error| environment::explain(error, settings.core))
}

/// The first timer of a process waits for the kernel's membarrier registration, 11 to 80 ms.
async fn warm_timers() {
    sleep(Duration::from_millis(1)).await;
}

#[cfg(test)]
mod tests;
