//! How a run comes to its end: what a stop cuts off, and when nothing is left to do.

use weir_window::{EventTime, millis};

use super::Run;
use crate::error::JobError;
use crate::exchange::Outbox;
use crate::pipeline::graph::Upstream;
use crate::source::{LocalFuture, Stop};

impl Run {
    /// Asks every reader to end.
    pub fn stop(&mut self, stop: Stop) {
        let stop = match stop {
            Stop::Drain(Some(end)) => Stop::Drain(Some(self.cut_at(end))),
            Stop::Until(end) => Stop::Until(self.cut_at(end)),
            Stop::Drain(None) | Stop::Cancel => stop,
        };
        if self.stop != Some(Stop::Cancel) {
            self.stop = Some(stop);
        }
        self.intakes.iter_mut().for_each(|intake| intake.stop(stop));
    }

    /// Nothing stamped later than `end` is read any more, so windows that reach beyond it are partial. Gives the least end
    /// so far, which holds: readers keep to their first stop, and those of shards that begin later are given the same.
    fn cut_at(&mut self, end: EventTime) -> EventTime {
        self.cut = self.cut.min(end);
        let mut rows = Vec::with_capacity(self.parts.len());
        for (part, (upstream, _)) in self.parts.iter_mut().zip(&self.upstreams) {
            let complete = match upstream {
                Upstream::Source(_) => self.cut,
                Upstream::Window(earlier) => rows[usize::from(*earlier)],
            };
            rows.push(part.as_mut().map_or(complete, |part| part.cut_at(complete)));
        }
        self.cut
    }

    /// Whether nothing is left to do here: every shard is past the end, every message on its way, every window fired.
    pub fn is_settled(&mut self) -> bool {
        let end = match self.stop {
            Some(Stop::Drain(end)) => end,
            Some(Stop::Cancel) => return true,
            // Shards that have passed it are at the end of time, and so is `W` then.
            Some(Stop::Until(_)) => Some(EventTime::from_millis(i64::MAX - 1)),
            None => None,
        };
        self.intakes.iter_mut().all(|intake| intake.is_past(end))
            && self.outboxes.iter().all(Outbox::is_empty)
            && self.parts_are_settled(end.unwrap_or(EventTime::MAX))
    }

    /// What one window emits is input to the next, at the last moment of its window, so the end moves on from each to
    /// the next.
    fn parts_are_settled(&self, stop: EventTime) -> bool {
        let mut row_ends = Vec::with_capacity(self.parts.len());
        self.parts.iter().zip(&self.upstreams).all(|(part, (upstream, _))| {
            let end = match upstream {
                Upstream::Source(_) => stop,
                Upstream::Window(earlier) => row_ends[usize::from(*earlier)],
            };
            let Some(part) = part else {
                row_ends.push(end);
                return true;
            };
            let last_end = part.last_end(end);
            row_ends.push(if last_end == EventTime::MAX { last_end } else { last_end.saturating_sub(millis(1)) });
            part.is_settled(last_end.max(end))
        })
    }

    /// Resolves when every sink of this worker has written what it took.
    pub fn flush(&mut self) -> Vec<LocalFuture<'static, Result<(), JobError>>> {
        self.writers.iter_mut().map(|writer| writer.flush()).collect()
    }
}
