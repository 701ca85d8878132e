//! The few threads that do blocking work for all executors of the process.
//!
//! Started by the first executor, from a thread that is pinned nowhere, since threads inherit affinity: work handed over by
//! a pinned executor must not compete for its core. They live as long as the process.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::mailbox::{Receiver, Sender, mailbox};

/// One may hang on a name server, one on a disk, and there is still one.
const THREADS: usize = 3;

/// Work that may wait for a thread. Whoever has more waits for room.
const WAITING_MAX: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// `None` if not one thread could be started.
static POOL: OnceLock<Option<Sender<Work>>> = OnceLock::new();

/// Starts the threads, once.
pub(super) fn start() -> Option<&'static Sender<Work>> {
    let start = || {
        let (sender, receiver) = mailbox::<Work>(WAITING_MAX);
        // Leaked on purpose: as long-lived as the process.
        let receiver: &'static Mutex<Receiver<Work>> = Box::leak(Box::new(Mutex::new(receiver)));
        let started = (0..THREADS).filter(|_| {
            let work = || {
                while let Some(work) = next(receiver) {
                    work()
                }
            };
            std::thread::Builder::new().name("weir-blocking".to_owned()).spawn(work).is_ok()
        });
        (started.count() > 0).then_some(sender)
    };
    POOL.get_or_init(start).as_ref()
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_blocking()
}

/// Hands work to the first free thread, waiting for room in its queue. Without any thread it is done here, which stops the
/// core; a machine that can start none has greater troubles.
pub(super) async fn run(work: Work) {
    match start() {
        Some(pool) => {
            let sent = pool.send(work).await;
            assert!(sent.is_ok(), "the receiver is never dropped");
        }
        None => work(),
    }
}

/// Work that may be withdrawn before it begins, by dropping this.
pub(super) struct Wanted<F>(Shared<F>);

/// The thread's share of it.
pub(super) struct Shared<F>(Arc<Mutex<Option<F>>>);

impl<F> Wanted<F> {
    pub(super) fn new(work: F) -> Wanted<F> {
        Wanted(Shared(Arc::new(Mutex::new(Some(work)))))
    }

    pub(super) fn share(&self) -> Shared<F> {
        Shared(Arc::clone(&self.0.0))
    }
}

impl<F> Shared<F> {
    /// The work, unless it was withdrawn or taken.
    pub(super) fn take(&self) -> Option<F> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F> Drop for Wanted<F> {
    fn drop(&mut self) {
        // Not under the lock: what it holds may be anything.
        drop(self.0.take());
    }
}
