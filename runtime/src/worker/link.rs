//! The queues that join the workers of one job to its owners, and the bell of whoever is at the other end.
//!
//! A queue is made only where messages can flow: from each worker to each owner, and back. A job with one owner on `n`
//! workers has `n - 1` pairs of queues and not `n²`; what a worker says to itself needs none.

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::exchange::{Message, QUEUE_SLOTS, Return};
use crate::signal::Notifier;

/// A worker's ends of its queues with one owner.
pub(crate) struct OwnerLink {
    pub(crate) owner: usize,
    pub(crate) messages: Producer<Message>,
    pub(crate) returns: Consumer<Return>,
    pub(crate) bell: Notifier,
}

/// An owner's ends of its queues with one worker.
pub(crate) struct WorkerLink {
    pub(crate) worker: usize,
    pub(crate) messages: Consumer<Message>,
    pub(crate) returns: Producer<Return>,
    pub(crate) bell: Notifier,
}

/// All queues that end at one worker, for one job.
#[derive(Default)]
pub(crate) struct Links {
    /// To each other worker that is an owner.
    pub(crate) owners: Vec<OwnerLink>,
    /// To every other worker, if this one is an owner.
    pub(crate) workers: Vec<WorkerLink>,
}

/// The links of each worker; `bells` are the workers', `owners` those among them that own a range of keys.
pub(crate) fn links(bells: &[Notifier], owners: &[usize]) -> Vec<Links> {
    let mut links: Vec<Links> = bells.iter().map(|_| Links::default()).collect();
    for &owner in owners {
        for worker in (0..bells.len()).filter(|worker| *worker != owner) {
            let (messages_to, messages) = RingBuffer::new(QUEUE_SLOTS);
            let (returns, returns_from) = RingBuffer::new(QUEUE_SLOTS);
            let bell = bells[owner].clone();
            links[worker].owners.push(OwnerLink { owner, messages: messages_to, returns: returns_from, bell });
            links[owner].workers.push(WorkerLink { worker, messages, returns, bell: bells[worker].clone() });
        }
    }
    links
}

/// Pushes, or gives the value back when the queue is full.
pub(crate) fn push<T>(queue: &mut Producer<T>, value: T) -> Result<(), T> {
    queue.push(value).map_err(|PushError::Full(value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::signal;

    #[test]
    fn queues_lead_to_owners_and_back_and_nowhere_else() {
        let bells: Vec<Notifier> = (0..4).map(|_| signal().0).collect();
        let links = links(&bells, &[1, 3]);
        let to_owners: Vec<Vec<usize>> =
            links.iter().map(|links| links.owners.iter().map(|link| link.owner).collect()).collect();
        assert_eq!(to_owners, [vec![1, 3], vec![3], vec![1, 3], vec![1]]);
        let to_workers: Vec<Vec<usize>> =
            links.iter().map(|links| links.workers.iter().map(|link| link.worker).collect()).collect();
        assert_eq!(to_workers, [vec![], vec![0, 2, 3], vec![], vec![0, 1, 2]]);
    }
}
