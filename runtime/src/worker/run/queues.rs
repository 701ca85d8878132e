//! What passes between a run and the others of its job: messages to owners, and what owners return.

use std::collections::VecDeque;

use weir_window::{Arena, EventTime};

use super::Run;
use crate::exchange::{Message, OperatorIndex, Return};
use crate::pipeline::operator::OperatorContext;

/// Empty arenas that wait to go home, for each worker; more are freed.
const HOMES_MAX: usize = 4;

/// What waits to go back to one worker. `W` only rises, so the newest is enough.
pub(super) struct ReturnBox {
    pub(super) taken: Vec<Option<EventTime>>,
    pub(super) homes: VecDeque<(OperatorIndex, Arena)>,
}

impl Run {
    /// Whether a message of this worker may be delivered now: not while it has marked a checkpoint and others have not.
    pub fn accepts(&self, from: usize) -> bool {
        self.marked[from].is_none()
    }

    /// A message of one worker to this one as an owner. Only while [`Run::accepts`].
    pub fn on_message(&mut self, from: usize, message: Message) {
        assert!(self.accepts(from), "worker {from} was read behind its marker: {message:?}");
        let operator = match &message {
            Message::Marker { checkpoint } => return self.on_marker(from, *checkpoint),
            Message::Block { operator, .. }
            | Message::Watermark { operator, .. }
            | Message::Done { operator, .. }
            | Message::Begun { operator, .. } => *operator,
        };
        if from != self.worker {
            self.counters.records_received += message.records();
        }
        let mut cx = OperatorContext {
            worker: self.worker,
            owners: &self.owners,
            outboxes: &mut self.outboxes,
            counters: &mut self.counters,
        };
        let part = self.parts[usize::from(operator.0)].as_mut().expect("messages go to owners only");
        if let Some(arena) = part.on_message(from, message, &mut cx) {
            if from == self.worker {
                self.folds[usize::from(operator.0)].take_home(arena);
            } else if self.returns[from].homes.len() < HOMES_MAX {
                self.returns[from].homes.push_back((operator, arena));
            }
        }
    }

    /// An owner's return to this worker.
    pub fn on_return(&mut self, from: usize, back: Return) {
        match back {
            Return::Taken { operator, watermark } => {
                let owner = self.owners.iter().position(|worker| *worker == from).expect("only owners return");
                let taken = &mut self.taken[usize::from(operator.0)][owner];
                *taken = watermark.max(*taken);
            }
            Return::Home { operator, arena } => self.folds[usize::from(operator.0)].take_home(arena),
        }
    }

    /// What this worker says to itself needs no queue.
    pub(super) fn deliver_own(&mut self) -> bool {
        let mut own = Vec::new();
        if !self.accepts(self.worker) {
            return false;
        }
        let _ = self.outboxes[self.worker].drain(|message| {
            own.push(message);
            Ok(())
        });
        let any = !own.is_empty();
        let mut own = own.into_iter();
        for message in own.by_ref() {
            self.on_message(self.worker, message);
            if !self.accepts(self.worker) {
                break;
            }
        }
        // Behind its own marker a worker waits for the others like everybody else.
        own.for_each(|message| self.outboxes[self.worker].push(message));
        any
    }

    /// Offers what waits for `to` until `accept` gives a message back. Returns how many it took.
    pub fn send_to(&mut self, to: usize, mut accept: impl FnMut(Message) -> Result<(), Message>) -> usize {
        assert_ne!(to, self.worker, "a worker delivers its own messages in its turn");
        let mut sent = 0;
        let taken = self.outboxes[to].drain(|message| {
            let records = message.records();
            accept(message).inspect(|()| sent += records)
        });
        self.counters.records_sent += sent;
        taken
    }

    /// Offers what goes back to `to`. An arena that is refused is freed; a `W` that is refused is offered again.
    pub fn return_to(&mut self, to: usize, mut accept: impl FnMut(Return) -> Result<(), Return>) -> usize {
        let mut taken = 0;
        let back = &mut self.returns[to];
        for (operator, slot) in back.taken.iter_mut().enumerate() {
            let Some(watermark) = *slot else { continue };
            let operator = OperatorIndex(u16::try_from(operator).expect("operators are counted in 16 bits"));
            if to != self.worker && accept(Return::Taken { operator, watermark }).is_err() {
                return taken;
            }
            *slot = None;
            taken += 1;
        }
        for (operator, arena) in back.homes.drain(..) {
            taken += usize::from(accept(Return::Home { operator, arena }).is_ok());
        }
        taken
    }
}
