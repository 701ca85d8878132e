//! Finds the record for which a whole call was refused: the call is put again in halves, and a half of one record has it.
//!
//! Meanwhile all records of the call count as on their way, so that nothing overtakes them. A refusal may as well be of
//! the settings, which every call has in common: so nobody is found guilty before some call of this writer was answered.

use std::collections::VecDeque;

use super::lanes::{Entry, LaneId};

/// So many records refused for themselves, and no call answered: it is the settings.
const ACCUSED_MAX: usize = 4;

/// Records of one call.
type Group = Vec<(LaneId, Entry)>;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// Each has a record at fault, or had a neighbour that has; put again as they are, first to last.
    suspects: VecDeque<Group>,
    /// Refused alone, and in which words.
    accused: Vec<(LaneId, Entry, String)>,
}

impl Isolation {
    pub fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// The records of the next call.
    pub fn next_suspects(&mut self) -> Option<Group> {
        self.suspects.pop_front()
    }

    /// A call of these was refused as invalid.
    pub fn on_invalid(&mut self, mut entries: Group, message: String) {
        let upper = entries.split_off(entries.len().div_ceil(2));
        if !upper.is_empty() {
            self.suspects.push_front(upper);
            self.suspects.push_front(entries);
            return;
        }
        self.accused.extend(entries.into_iter().map(|(lane, entry)| (lane, entry, message.clone())));
    }

    /// Those found guilty, once a call was answered.
    pub fn take_accused(&mut self) -> Vec<(LaneId, Entry, String)> {
        std::mem::take(&mut self.accused)
    }

    /// Before any call was answered: the words of a refusal that must be of the settings, since it met too many records,
    /// or all that there are. `others`: there are records yet that may tell.
    pub fn verdict_without_witness(&self, others: bool) -> Option<&str> {
        let (_, _, message) = self.accused.first()?;
        let more = self.has_suspects() || others;
        (!more || self.accused.len() >= ACCUSED_MAX).then_some(message)
    }
}
