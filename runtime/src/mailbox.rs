//! A bounded queue between threads for control traffic: many senders, one receiver.
//!
//! A lock and a deque, deliberately: a few messages a second pass here, and both ends may be a plain thread or a
//! task. Records never do; they have the exchange. Messages left when an end goes are dropped.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Why a message was not taken, and the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// No room now; it may be tried again.
    Full(T),
    /// The receiver is gone; it will never be taken.
    Closed(T),
}

impl<T> SendError<T> {
    /// The message that was not taken.
    pub fn into_inner(self) -> T {
        match self {
            SendError::Full(message) | SendError::Closed(message) => message,
        }
    }
}

/// What `recv_timeout` of a plain thread found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing came in time.
    TimedOut,
    /// All senders are gone and nothing is left.
    Closed,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    bound: usize,
    senders: usize,
    receiver_gone: bool,
    receiver: Option<Waker>,
    /// Tasks that wait for room, each by the ticket of its `send`; all are woken when a message leaves, since one alone may have been cancelled.
    waiting: Vec<(u64, Waker)>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    left: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of others runs under the lock but `Drop` of nothing: a poisoned state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mut state: MutexGuard<'_, State<T>>) -> Option<T> {
        let message = state.queue.pop_front()?;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.left.notify_one();
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
        Some(message)
    }
}

/// The sending end; clone it for each sender.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// Makes a queue of at most `bound` messages (at least one).
#[must_use]
pub fn mailbox<T: Send>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            queue: VecDeque::new(),
            bound: bound.max(1),
            senders: 1,
            receiver_gone: false,
            receiver: None,
            waiting: Vec::new(),
            next_ticket: 0,
        }),
        arrived: Condvar::new(),
        left: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T: Send> Sender<T> {
    /// Gives the message without waiting.
    ///
    /// # Errors
    /// `Full` or `Closed`, with the message.
    pub fn try_send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        if state.receiver_gone {
            return Err(SendError::Closed(message));
        }
        if state.queue.len() >= state.bound {
            return Err(SendError::Full(message));
        }
        state.queue.push_back(message);
        let receiver = state.receiver.take();
        drop(state);
        self.0.arrived.notify_one();
        if let Some(waker) = receiver {
            waker.wake();
        }
        Ok(())
    }

    /// Gives the message, waiting for room. For tasks.
    ///
    /// # Errors
    /// `Closed`, with the message, when the receiver is gone.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut place = Place { shared: &self.0, ticket: None };
        let mut held = Some(message);
        poll_fn(|cx| {
            let message = held.take().expect("polled once more only after it was put back");
            match self.try_send(message) {
                Err(SendError::Full(message)) => {
                    place.wait(cx.waker());
                    // Room may have come between the refusal and the registration.
                    match self.try_send(message) {
                        Err(SendError::Full(message)) => {
                            held = Some(message);
                            Poll::Pending
                        }
                        done => Poll::Ready(done),
                    }
                }
                done => Poll::Ready(done),
            }
        })
        .await
    }

    /// Gives the message, waiting for room on a plain thread. On an executor it would stop the core: use `send`.
    ///
    /// # Errors
    /// `Closed`, with the message, when the receiver is gone.
    pub fn send_blocking(&self, mut message: T) -> Result<(), SendError<T>> {
        loop {
            message = match self.try_send(message) {
                Err(SendError::Full(message)) => message,
                done => return done,
            };
            let state = self.0.lock();
            if state.queue.len() >= state.bound && !state.receiver_gone {
                drop(self.0.left.wait(state));
            }
        }
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().receiver_gone
    }
}

/// One waiting `send`; it leaves its place when it ends or is dropped.
struct Place<'a, T> {
    shared: &'a Shared<T>,
    ticket: Option<u64>,
}

impl<T> Place<'_, T> {
    fn wait(&mut self, waker: &Waker) {
        let mut state = self.shared.lock();
        let ticket = *self.ticket.get_or_insert_with(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        match state.waiting.iter_mut().find(|(taken, _)| *taken == ticket) {
            Some((_, old)) => old.clone_from(waker),
            None => state.waiting.push((ticket, waker.clone())),
        }
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.lock().waiting.retain(|(taken, _)| *taken != ticket);
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders > 0 {
            return;
        }
        let receiver = state.receiver.take();
        drop(state);
        self.0.arrived.notify_all();
        if let Some(waker) = receiver {
            waker.wake();
        }
    }
}

impl<T: Send> Receiver<T> {
    /// The next message, if there is one now.
    pub fn try_recv(&self) -> Option<T> {
        self.0.take(self.0.lock())
    }

    /// The next message; `None` when all senders are gone and nothing is left. For tasks.
    pub fn recv(&self) -> impl Future<Output = Option<T>> + '_ {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if !state.queue.is_empty() {
                return Poll::Ready(self.0.take(state));
            }
            if state.senders == 0 {
                return Poll::Ready(None);
            }
            state.receiver = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// As `recv`, for plain threads.
    pub fn recv_blocking(&self) -> Option<T> {
        let mut state = self.0.lock();
        while state.queue.is_empty() && state.senders > 0 {
            state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.0.take(state)
    }

    /// As `recv_blocking`, for at most `patience`.
    pub fn recv_timeout(&self, patience: Duration) -> Received<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        while state.queue.is_empty() {
            if state.senders == 0 {
                return Received::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::TimedOut;
            }
            state = self.0.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.0.take(state).map_or(Received::TimedOut, Received::Message)
    }

    /// Whether all senders are gone; messages may still be left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().senders == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver_gone = true;
        let queue = std::mem::take(&mut state.queue);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        // Dropped outside the lock: a message may hold a sender of this very mailbox.
        drop(queue);
        self.0.left.notify_all();
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

#[cfg(test)]
mod tests;
