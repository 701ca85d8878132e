//! A wake across threads: one flag and one waker, without a message.
//!
//! A receiver of several queues has one [`Listener`]; every sender holds a [`Notifier`]. Notifications that
//! come while nobody waits are kept, and any number of them is one: the receiver looks at all its queues anyway.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

#[derive(Debug, Default)]
struct Shared {
    notified: AtomicBool,
    waker: AtomicWaker,
}

/// Wakes the listener of its pair, from any thread.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<Shared>);

/// Waits for the notifiers of its pair. One listener a pair, so that one waker is enough.
#[derive(Debug)]
pub struct Listener(Arc<Shared>);

/// Makes a pair. Cost: one allocation; `notify` on an already notified pair is one atomic read-modify-write.
#[must_use]
pub fn signal() -> (Notifier, Listener) {
    let shared = Arc::new(Shared::default());
    (Notifier(Arc::clone(&shared)), Listener(shared))
}

impl Notifier {
    /// Wakes the listener, now or at its next `wait`.
    pub fn notify(&self) {
        if !self.0.notified.swap(true, Ordering::AcqRel) {
            self.0.waker.wake();
        }
    }
}

impl Listener {
    /// Returns when notified since the last `wait` returned; at once when that has happened already.
    /// Everything that a sender wrote before `notify` is visible afterwards.
    pub fn wait(&mut self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| {
            if self.take() {
                return Poll::Ready(());
            }
            self.0.waker.register(cx.waker());
            // A notifier may have set the flag between the look and the registration; it found no waker then.
            if self.take() { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Whether it was notified since the last look; the notification is used up.
    #[must_use]
    pub fn take(&self) -> bool {
        self.0.notified.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::{self, ExecutorSettings};
    use std::time::Duration;

    #[test]
    fn notification_before_the_wait_is_kept_and_many_are_one() {
        facade::run_here(async {
            let (notifier, mut listener) = signal();
            notifier.notify();
            notifier.clone().notify();
            listener.wait().await;
            assert!(!listener.take(), "two notifications were kept as two");
        })
        .expect("an executor starts here");
    }

    #[test]
    fn notification_from_a_plain_thread_wakes_a_parked_executor() {
        facade::run_here(async {
            let (notifier, mut listener) = signal();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                notifier.notify();
            });
            listener.wait().await;
            thread.join().expect("the thread ends by itself");
        })
        .expect("an executor starts here");
    }

    #[test]
    fn two_executors_wake_each_other_many_times() {
        const ROUNDS: usize = 2_000;
        let (ping, mut pinged) = signal();
        let (pong, mut ponged) = signal();
        let settings = ExecutorSettings { name: "pong".into(), core: None };
        let other = facade::start_executor(settings, move || async move {
            for _ in 0..ROUNDS {
                pinged.wait().await;
                pong.notify();
            }
        })
        .expect("an executor starts");
        facade::run_here(async {
            for _ in 0..ROUNDS {
                ping.notify();
                ponged.wait().await;
            }
        })
        .expect("an executor starts here");
        other.join().expect("it ends without a panic");
    }
}
