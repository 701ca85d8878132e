//! Detached tasks, so that none outlives its executor.
//!
//! When glommio's executor ends it drops only what is about to run. A task that sleeps is owned by its wakers alone and is
//! leaked, with the socket it reads from; so each is noted here, and cancelled before the executor returns.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

/// Rounds in which tasks that are dropped may leave new ones behind.
const ROUNDS_MAX: usize = 16;
/// So many notes are not worth tidying.
const NOTES_MIN: usize = 64;

/// A detached task that has perhaps ended.
struct Note {
    ended: Rc<Cell<bool>>,
    /// Cancels it and waits until its future is dropped.
    cancel: Box<dyn FnOnce() -> LocalBoxFuture<'static, ()>>,
}

#[derive(Default)]
struct Notes {
    notes: Vec<Note>,
    tidy_at: usize,
}

thread_local! {
    /// Of the executor on this thread. Never dropped with the thread: after a panic they belong to an executor that is gone.
    static NOTES: RefCell<ManuallyDrop<Notes>> = RefCell::default();
}

/// Held by a task's future, it says that the future is gone.
pub(super) struct SetOnDrop(pub(super) Rc<Cell<bool>>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Detaches a task that sets `ended` when its future is dropped.
pub(super) fn detach<T: 'static>(task: glommio::Task<T>, ended: Rc<Cell<bool>>) {
    let handle = task.detach();
    if ended.get() {
        return;
    }
    let cancel = move || {
        handle.cancel();
        handle.map(drop).boxed_local()
    };
    NOTES.with_borrow_mut(|notes| {
        if notes.notes.len() >= notes.tidy_at.max(NOTES_MIN) {
            notes.notes.retain(|note| !note.ended.get());
            notes.tidy_at = 2 * notes.notes.len();
        }
        notes.notes.push(Note { ended, cancel: Box::new(cancel) });
    });
}

/// Forgets what an executor that panicked left on this thread.
pub(super) fn begin() {
    let _ = NOTES.take();
}

/// Cancels all that still runs on this executor. To be awaited last of all.
pub(super) async fn end() {
    for _ in 0..ROUNDS_MAX {
        // Tasks whose handles were dropped just now are dropped themselves at their next turn.
        super::yield_now().await;
        let notes = ManuallyDrop::into_inner(NOTES.take()).notes;
        if notes.is_empty() {
            return;
        }
        for note in notes {
            (note.cancel)().await;
        }
    }
}

/// How many notes there are.
#[cfg(test)]
pub(super) fn noted() -> usize {
    NOTES.with_borrow(|notes| notes.notes.len())
}
