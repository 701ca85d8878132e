//! When a writer asks which shards its stream has: once one has throttled, and when answers do not fit what it knows.

use std::time::Duration;

use super::SLOW_RETRY;
use crate::protocol::errors::{Call, Reaction};
use crate::protocol::pacing::BackOff;
use crate::protocol::{ErrorKind, Moment};

/// Least time between two listings. A reshard takes some seconds.
const APART: Duration = Duration::from_secs(2);
/// A listing so old is not trusted to say which shard throttles.
const AGE_MAX: Duration = Duration::from_secs(60);
/// How long a refusal that will not pass by itself is taken for an answer.
const REFUSED_FOR: Duration = SLOW_RETRY.saturating_mul(10);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Listing {
    wanted: bool,
    under_way: bool,
    due: Moment,
    made: Option<Moment>,
    failing: BackOff,
    said: bool,
}

impl Listing {
    pub fn new() -> Listing {
        let failing = BackOff::new(Duration::from_secs(1), Duration::from_secs(30));
        Listing { wanted: false, under_way: false, due: Moment::ZERO, made: None, failing, said: false }
    }

    /// A record was throttled.
    pub fn on_throttled(&mut self, now: Moment) {
        self.wanted |= !self.under_way && self.made.is_none_or(|made| now.since(made) >= AGE_MAX);
    }

    /// A record went to another shard than was thought.
    pub fn on_misplaced(&mut self) {
        self.wanted = true;
    }

    /// Whether to ask now; then it counts as asked.
    pub fn ask(&mut self, now: Moment) -> bool {
        let ask = self.wanted && !self.under_way && now >= self.due;
        self.under_way |= ask;
        self.wanted &= !ask;
        ask
    }

    pub fn on_made(&mut self, now: Moment) {
        self.under_way = false;
        self.made = Some(now);
        self.due = now + APART;
        self.failing.reset();
    }

    /// Words for people, once, if it will not pass.
    pub fn on_failed(
        &mut self,
        kind: ErrorKind,
        message: &str,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Option<String> {
        self.under_way = false;
        self.wanted = true;
        if !matches!(kind.reaction(Call::ListShards, true), Reaction::Fail | Reaction::RetrySlowly) {
            self.due = now + self.failing.next_wait(rng);
            return None;
        }
        self.due = now + REFUSED_FOR;
        let first = !std::mem::replace(&mut self.said, true);
        first.then(|| format!("ListShards: {message}; without it a throttled shard slows down all that is put"))
    }
}
