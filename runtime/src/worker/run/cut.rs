//! A checkpoint's line through a run: its barrier, the markers of others, and the cut once all have marked.

use weir_window::ShardName;

use super::Run;
use crate::exchange::Message;
use crate::source::Position;

/// An owner's cut: all workers have marked, and everything before the markers is combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which checkpoint.
    pub checkpoint: u64,
}

impl Run {
    pub(super) fn on_marker(&mut self, from: usize, checkpoint: u64) {
        self.marked[from] = Some(checkpoint);
        if self.marked.iter().all(|marked| *marked == Some(checkpoint)) {
            self.cuts.push(Cut { checkpoint });
        }
    }

    /// A checkpoint's barrier: hands over every delta, marks every queue, and gives the positions of this line.
    pub fn barrier(&mut self, checkpoint: u64) -> Vec<(ShardName, Position)> {
        let mut positions = Vec::new();
        for index in 0..self.intakes.len() {
            positions.extend(self.with_intake(index, |intake, cx| intake.barrier(cx)));
        }
        for owner in self.owners.iter() {
            self.outboxes[*owner].push(Message::Marker { checkpoint });
        }
        positions
    }

    /// Cuts completed since last asked. Until they are taken nothing behind their markers is read, so that who takes one
    /// finds this owner as it is at the line.
    pub fn take_cuts(&mut self) -> Vec<Cut> {
        if !self.cuts.is_empty() {
            self.marked.fill(None);
        }
        std::mem::take(&mut self.cuts)
    }
}
