//! The two queues that join one worker to one other for one job, and the bell of the other's worker.

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::exchange::{Message, QUEUE_SLOTS, Return};
use crate::signal::Notifier;

/// One worker's ends of its queues with one other worker.
pub(crate) struct Link {
    pub(crate) messages_to: Producer<Message>,
    pub(crate) messages_from: Consumer<Message>,
    pub(crate) returns_to: Producer<Return>,
    pub(crate) returns_from: Consumer<Return>,
    pub(crate) bell: Notifier,
}

/// The links between every two workers of a job, by worker and other; `None` on the diagonal.
pub(crate) fn mesh(bells: &[Notifier]) -> Vec<Vec<Option<Link>>> {
    let count = bells.len();
    let mut mesh: Vec<Vec<Option<Link>>> = (0..count).map(|_| (0..count).map(|_| None).collect()).collect();
    for one in 0..count {
        for other in one + 1..count {
            let (out, to) = (RingBuffer::new(QUEUE_SLOTS), RingBuffer::new(QUEUE_SLOTS));
            let (back_out, back_to) = (RingBuffer::new(QUEUE_SLOTS), RingBuffer::new(QUEUE_SLOTS));
            mesh[one][other] = Some(Link {
                messages_to: out.0,
                messages_from: to.1,
                returns_to: back_out.0,
                returns_from: back_to.1,
                bell: bells[other].clone(),
            });
            mesh[other][one] = Some(Link {
                messages_to: to.0,
                messages_from: out.1,
                returns_to: back_to.0,
                returns_from: back_out.1,
                bell: bells[one].clone(),
            });
        }
    }
    mesh
}

/// Pushes, or gives the value back when the queue is full.
pub(crate) fn push<T>(queue: &mut Producer<T>, value: T) -> Result<(), T> {
    queue.push(value).map_err(|PushError::Full(value)| value)
}
