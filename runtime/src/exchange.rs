//! What workers say to each other: deltas, watermarks and markers one way, `W` and empty arenas the other.
//!
//! A worker is joined to each owner by two bounded single-producer queues for each job, one for messages and one for what
//! comes back. Hand-over never awaits: what a queue refuses waits in the sender's [`Outbox`], and while an outbox is full its worker stops folding
//! but goes on draining, sliding, emitting and answering barriers. So no worker ever waits for room in another's queue
//! with its own unread.

use std::any::Any;
use std::collections::VecDeque;

use weir_window::{EventTime, ShardName, WorkerMark};

/// Slots of a queue between two workers.
pub const QUEUE_SLOTS: usize = 16;

/// Messages that may wait in an outbox before its worker stops folding. One watermark may hand over several panes at
/// once, so an outbox may grow beyond this by what one batch and one watermark make; and, where a window follows a
/// window, by what the first one's owner emits of windows that are complete already.
pub const OUTBOX_FULL: usize = 16;

/// Which exchanging operator of a pipeline a message is for: its place in the order of building, the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorIndex(pub u16);

/// From a worker to an owner.
pub enum Message {
    /// A worker's contribution to one pane, for this owner: a `weir_window::Block<K, A>` of the operator's types.
    Block {
        /// For whom.
        operator: OperatorIndex,
        /// How many records were folded into it.
        records: u64,
        /// The block.
        block: Box<dyn Any + Send>,
    },
    /// The worker's watermark, behind every delta that it covers.
    Watermark {
        /// For whom.
        operator: OperatorIndex,
        /// The worker's minimum, or that it has no shard.
        mark: WorkerMark,
    },
    /// "Parent done; hold each child at this time." The parent's own entry is already out of the watermark that
    /// follows.
    Done {
        /// For whom.
        operator: OperatorIndex,
        /// The parent.
        shard: ShardName,
        /// Its children and the parent's final watermark.
        children: Vec<(ShardName, EventTime)>,
    },
    /// "This shard is mine; my watermark is now so." The worker's entry may fall by this message.
    Begun {
        /// For whom.
        operator: OperatorIndex,
        /// The shard.
        shard: ShardName,
        /// The parents it expects, so that a hold arriving later is dropped.
        parents: Vec<ShardName>,
        /// The worker's watermark with this shard in it.
        mark: WorkerMark,
    },
    /// A barrier's line through this queue, for all operators: everything before it belongs to the checkpoint.
    Marker {
        /// Which checkpoint.
        checkpoint: u64,
    },
}

impl Message {
    /// How many folded records it carries.
    pub fn records(&self) -> u64 {
        if let Message::Block { records, .. } = self { *records } else { 0 }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Message::Block { operator, .. } => write!(f, "Block({})", operator.0),
            Message::Watermark { operator, mark } => {
                write!(f, "Watermark({}, {mark:?})", operator.0)
            }
            Message::Done { operator, shard, children } => write!(f, "Done({}, {shard}, {children:?})", operator.0),
            Message::Begun { operator, shard, parents, mark } => {
                write!(f, "Begun({}, {shard}, {parents:?}, {mark:?})", operator.0)
            }
            Message::Marker { checkpoint } => write!(f, "Marker({checkpoint})"),
        }
    }
}

/// From an owner back to a worker.
pub enum Return {
    /// The `W` up to which this owner's sinks have taken the rows; how far ahead shards may be read is measured from it.
    Taken {
        /// Of which operator.
        operator: OperatorIndex,
        /// Up to here.
        watermark: EventTime,
    },
    /// An emptied arena for its origin; best effort, an owner whose queue is full frees it instead.
    Home {
        /// Of which operator.
        operator: OperatorIndex,
        /// The arena.
        arena: weir_window::Arena,
    },
}

/// What waits for one owner because its queue had no room.
#[derive(Default)]
pub struct Outbox {
    messages: VecDeque<Message>,
}

impl Outbox {
    /// Puts a message behind those waiting. Never refuses: see [`Outbox::is_full`].
    pub fn push(&mut self, message: Message) {
        self.messages.push_back(message);
    }

    /// Whether its worker should stop folding.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= OUTBOX_FULL
    }

    /// How many folded records wait.
    pub fn records(&self) -> u64 {
        self.messages.iter().map(Message::records).sum()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Hands messages to `accept` in order until it gives one back. Returns how many it took.
    pub fn drain(&mut self, mut accept: impl FnMut(Message) -> Result<(), Message>) -> usize {
        let mut taken = 0;
        while let Some(message) = self.messages.pop_front() {
            if let Err(back) = accept(message) {
                self.messages.push_front(back);
                break;
            }
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_message_keeps_its_place() {
        let mut outbox = Outbox::default();
        (1..=3).for_each(|checkpoint| outbox.push(Message::Marker { checkpoint }));
        let mut seen = Vec::new();
        let taken = outbox.drain(|message| {
            if seen.len() == 1 {
                return Err(message);
            }
            seen.push(format!("{message:?}"));
            Ok(())
        });
        assert_eq!(taken, 1);
        let taken = outbox.drain(|message| {
            seen.push(format!("{message:?}"));
            Ok(())
        });
        assert_eq!((taken, outbox.is_empty()), (2, true));
        assert_eq!(seen, ["Marker(1)", "Marker(2)", "Marker(3)"]);
    }
}
