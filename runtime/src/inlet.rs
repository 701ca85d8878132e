//! The way into a worker for one shard: a bounded queue between its reader and the worker's machine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::memory::MemoryBudget;
use crate::signal::Notifier;
use crate::source::{ShardInput, Stop};

/// Inputs that may wait in one inlet. A GetRecords answer of 10 000 records is ten batches; four keep the reader from
/// running ahead and the worker from running dry.
pub const INLET_INPUTS_MAX: usize = 4;

/// A refused input, given back.
#[derive(Debug)]
pub struct Refused<T>(pub ShardInput<T>);

/// The reader's end. Cheap to clone; stays on its worker.
pub struct Inlet<T> {
    shared: Rc<RefCell<Shared<T>>>,
    worker: Notifier,
    memory: MemoryBudget,
}

/// The worker's end.
pub(crate) struct Outlet<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

struct Shared<T> {
    queue: VecDeque<ShardInput<T>>,
    capacity: usize,
    stop: Option<Stop>,
    /// The reader, waiting for room or for a stop.
    waiting: Vec<Waker>,
}

impl<T> Shared<T> {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// A connected pair of at most `capacity` waiting inputs; `worker` is notified of each.
pub(crate) fn inlet<T>(capacity: usize, worker: Notifier, memory: MemoryBudget) -> (Inlet<T>, Outlet<T>) {
    assert!(capacity > 0, "an inlet holds at least one input");
    let queue = VecDeque::with_capacity(capacity);
    let shared = Rc::new(RefCell::new(Shared { queue, capacity, stop: None, waiting: Vec::new() }));
    (Inlet { shared: shared.clone(), worker, memory }, Outlet { shared })
}

impl<T> Clone for Inlet<T> {
    fn clone(&self) -> Inlet<T> {
        Inlet { shared: self.shared.clone(), worker: self.worker.clone(), memory: self.memory.clone() }
    }
}

impl<T> Inlet<T> {
    /// Puts one input behind those already there, or gives it back if there is no room.
    pub fn try_send(&self, input: ShardInput<T>) -> Result<(), Refused<T>> {
        let mut shared = self.shared.borrow_mut();
        if shared.queue.len() >= shared.capacity {
            return Err(Refused(input));
        }
        shared.queue.push_back(input);
        self.worker.notify();
        Ok(())
    }

    /// Puts one input behind those already there, waiting for room. Returns without it once the shard is cancelled.
    pub async fn send(&self, input: ShardInput<T>) {
        let mut input = Some(input);
        std::future::poll_fn(|cx| {
            if self.stop() == Some(Stop::Cancel) {
                return Poll::Ready(());
            }
            match self.try_send(input.take().expect("polled again only after a refusal")) {
                Ok(()) => Poll::Ready(()),
                Err(Refused(back)) => {
                    input = Some(back);
                    self.shared.borrow_mut().waiting.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Whether the reader was asked to end.
    pub fn stop(&self) -> Option<Stop> {
        self.shared.borrow().stop
    }

    /// Waits until the stop differs from `known`, which is what the reader has already acted upon.
    pub async fn stop_changed(&self, known: Option<Stop>) -> Option<Stop> {
        std::future::poll_fn(|cx| {
            let stop = self.stop();
            if stop != known {
                return Poll::Ready(stop);
            }
            self.shared.borrow_mut().waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The process-wide budget that fetched bytes are charged to.
    pub fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    /// Whether everything sent so far has been taken by the worker.
    pub fn is_empty(&self) -> bool {
        self.shared.borrow().queue.is_empty()
    }
}

impl<T> Outlet<T> {
    /// The next input, if any; makes room and wakes the reader.
    pub(crate) fn take(&self) -> Option<ShardInput<T>> {
        let mut shared = self.shared.borrow_mut();
        let input = shared.queue.pop_front()?;
        shared.wake();
        Some(input)
    }

    pub(crate) fn stop(&self, stop: Stop) {
        let mut shared = self.shared.borrow_mut();
        // A cancel is final: a later drain does not soften it.
        if shared.stop != Some(Stop::Cancel) {
            shared.stop = Some(stop);
        }
        shared.wake();
    }
}
