//! The few threads that do blocking work for all executors of the process.
//!
//! Started by the first executor, from a thread that is pinned nowhere, since threads inherit affinity: work handed over by
//! a pinned executor must not compete for its core. They live as long as the process.

use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

/// One may hang on a name server, one on a disk, and there is still one.
const THREADS: usize = 3;

type Work = Box<dyn FnOnce() + Send>;

static POOL: OnceLock<mpsc::Sender<Work>> = OnceLock::new();

/// Starts the threads, once.
pub(super) fn start() {
    POOL.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Work>();
        // Leaked on purpose: as long-lived as the process.
        let receiver: &'static Mutex<mpsc::Receiver<Work>> = Box::leak(Box::new(Mutex::new(receiver)));
        for _ in 0..THREADS {
            // A thread that cannot be started is missed by nobody unless all are; then work runs where it is asked for.
            let _ = std::thread::Builder::new().name("weir-blocking".to_owned()).spawn(move || {
                loop {
                    let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match next {
                        Ok(work) => work(),
                        Err(mpsc::RecvError) => return,
                    }
                }
            });
        }
        sender
    });
}

/// Hands work to the first free thread; it waits its turn if there is none.
pub(super) fn run(work: Work) {
    start();
    let pool = POOL.get().expect("started above");
    pool.send(work).expect("the receiver is never dropped");
}
