//! The way into a worker for one shard: a bounded queue between its reader and the worker's machine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use weir_window::ShardName;

use crate::ledger::Loss;
use crate::memory::MemoryBudget;
use crate::pipeline::ShardLoss;
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
    losses: Losses,
}

/// Where a shard's reader leaves its losses: beside the queue, because whoever stops a job takes no input any more and yet
/// must not miss a loss that was noticed before. A worker empties it each turn, so it is as short as what one turn of its
/// readers finds.
#[derive(Clone)]
pub(crate) struct Losses {
    pub(crate) shard: ShardName,
    pub(crate) noticed: Rc<RefCell<Vec<ShardLoss>>>,
}

impl Losses {
    fn note(&self, loss: Loss) {
        self.noticed.borrow_mut().push(ShardLoss { shard: self.shard.clone(), loss });
    }
}

/// The worker's end.
pub(crate) struct Outlet<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

struct Shared<T> {
    queue: VecDeque<ShardInput<T>>,
    capacity: usize,
    stop: Option<Stop>,
    /// The reader, waiting for room or for a stop: one waker for each wait, however often it is polled. glommio counts a
    /// task's wakers in 16 bits, and a reader is polled at every frame of an answer while nothing is taken here.
    waiting: Vec<(u64, Waker)>,
    next_ticket: u64,
}

impl<T> Shared<T> {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(|(_, waker)| waker.wake());
    }
}

/// One wait of a reader; it leaves its place when it ends or is dropped.
struct Place<'a, T> {
    shared: &'a RefCell<Shared<T>>,
    ticket: Option<u64>,
}

impl<T> Place<'_, T> {
    fn wait(&mut self, waker: &Waker) {
        let mut shared = self.shared.borrow_mut();
        let ticket = *self.ticket.get_or_insert_with(|| {
            shared.next_ticket += 1;
            shared.next_ticket
        });
        match shared.waiting.iter_mut().find(|(taken, _)| *taken == ticket) {
            Some((_, old)) => old.clone_from(waker),
            None => shared.waiting.push((ticket, waker.clone())),
        }
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.borrow_mut().waiting.retain(|(taken, _)| *taken != ticket);
        }
    }
}

/// A connected pair of at most `capacity` waiting inputs; `worker` is notified of each.
pub(crate) fn inlet<T>(
    capacity: usize,
    worker: Notifier,
    memory: MemoryBudget,
    losses: Losses,
) -> (Inlet<T>, Outlet<T>) {
    assert!(capacity > 0, "an inlet holds at least one input");
    let queue = VecDeque::with_capacity(capacity);
    let shared = Rc::new(RefCell::new(Shared { queue, capacity, stop: None, waiting: Vec::new(), next_ticket: 0 }));
    (Inlet { shared: shared.clone(), worker, memory, losses }, Outlet { shared })
}

impl<T> Clone for Inlet<T> {
    fn clone(&self) -> Inlet<T> {
        Inlet {
            shared: self.shared.clone(),
            worker: self.worker.clone(),
            memory: self.memory.clone(),
            losses: self.losses.clone(),
        }
    }
}

impl<T> Inlet<T> {
    /// Notes that records were lost, in the job's ledger. It moves nothing, waits for nothing, and counts although the shard is
    /// being cancelled.
    pub fn note_loss(&self, loss: Loss) {
        self.losses.note(loss);
        self.worker.notify();
    }

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
        let mut place = self.place();
        std::future::poll_fn(|cx| {
            let next = input.take().expect("polled again only after a refusal");
            if self.stop() == Some(Stop::Cancel) {
                return Poll::Ready(());
            }
            match self.try_send(next) {
                Ok(()) => Poll::Ready(()),
                Err(Refused(back)) => {
                    input = Some(back);
                    place.wait(cx.waker());
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
        let mut place = self.place();
        std::future::poll_fn(|cx| {
            let stop = self.stop();
            if stop != known {
                return Poll::Ready(stop);
            }
            place.wait(cx.waker());
            Poll::Pending
        })
        .await
    }

    fn place(&self) -> Place<'_, T> {
        Place { shared: &self.shared, ticket: None }
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

impl<T> Drop for Outlet<T> {
    /// Nobody takes anything any more, so nobody may wait for room.
    fn drop(&mut self) {
        self.stop(Stop::Cancel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade;
    use crate::signal::signal;
    use std::pin::pin;

    fn pair(capacity: usize) -> (Inlet<u64>, Outlet<u64>) {
        let losses = Losses { shard: "a".into(), noticed: Rc::default() };
        inlet(capacity, signal().0, MemoryBudget::of(1 << 20), losses)
    }

    #[test]
    fn reader_may_be_polled_any_number_of_times_while_it_waits() {
        facade::run_here(async {
            let (inlet, outlet) = pair(1);
            inlet.try_send(ShardInput::Lagging { behind_ms: 1 }).expect("there is room");
            let mut polls = 0;
            {
                let mut stopped = pin!(inlet.stop_changed(None));
                let mut sent = pin!(inlet.send(ShardInput::Lagging { behind_ms: 2 }));
                // More than the wakers of one task that the executor can count.
                std::future::poll_fn(|cx| {
                    polls += 1;
                    assert!(stopped.as_mut().poll(cx).is_pending() && sent.as_mut().poll(cx).is_pending());
                    if polls == 40_000 {
                        Poll::Ready(())
                    } else {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                })
                .await;
                assert_eq!(outlet.shared.borrow().waiting.len(), 2);
                assert!(matches!(outlet.take(), Some(ShardInput::Lagging { behind_ms: 1 })));
                sent.await;
                outlet.stop(Stop::Cancel);
                assert_eq!(stopped.await, Some(Stop::Cancel));
            }
            assert!(outlet.shared.borrow().waiting.is_empty(), "a wait that is over keeps its place");
        })
        .expect("an executor starts here");
    }

    #[test]
    fn stop_wakes_a_reader_that_waits_for_room() {
        facade::run_here(async {
            let (inlet, outlet) = pair(1);
            inlet.try_send(ShardInput::Lagging { behind_ms: 1 }).expect("there is room");
            let sending = facade::spawn(async move { inlet.send(ShardInput::Lagging { behind_ms: 2 }).await });
            facade::yield_now().await;
            outlet.stop(Stop::Cancel);
            sending.await;
        })
        .expect("an executor starts here");
    }
}
