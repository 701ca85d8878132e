//! What became of a call: records taken, to go again, or given up; and how fast the next may follow.

use std::collections::BTreeMap;

use super::lanes::{Entry, LaneId};
use super::{Batcher, PutAction, PutId, SLOW_RETRY};
use crate::protocol::errors::{Call, Reaction};
use crate::protocol::put_pacing::{self, Tally};
use crate::protocol::{ErrorKind, Moment};

/// What an answer said, by shard; `None` for records of which it is not known where they go.
type Tallies = BTreeMap<Option<usize>, Tally>;

impl Batcher {
    pub(super) fn on_answer(
        &mut self,
        id: PutId,
        outcomes: &[Result<String, String>],
        now: Moment,
        actions: &mut Vec<PutAction>,
    ) {
        let expected = self.calls.iter().find(|call| call.id == id).map_or(0, |call| call.entries.len());
        if expected != outcomes.len() {
            let message = format!("{} outcomes for {expected} records", outcomes.len());
            return self.on_failure(id, ErrorKind::Other, &message, now, actions);
        }
        let Some(entries) = self.finish_call(id) else {
            return;
        };
        self.worked = true;
        self.credentials_refused = false;
        self.failing.reset();
        let (mut refused, mut tallies, mut first_code) = (Vec::new(), Tallies::new(), None);
        for ((lane, entry), outcome) in entries.into_iter().zip(outcomes) {
            let tally = tallies.entry(self.lanes.target(lane)).or_default();
            match outcome {
                Ok(shard) => {
                    tally.taken += 1;
                    self.on_taken(lane, &entry, shard);
                }
                Err(code) => {
                    if put_pacing::refusal_kind(code) == ErrorKind::Throttled {
                        tally.throttled += 1;
                        self.counters.records_throttled += 1;
                    } else {
                        tally.refused += 1;
                        self.counters.records_refused += 1;
                    }
                    first_code.get_or_insert(code);
                    refused.push((lane, entry));
                }
            }
        }
        self.pace(&tallies, now);
        if let Some(code) = first_code {
            let words = || format!("PutRecords: {} of {expected} records put again: {code}", refused.len());
            actions.extend(self.troubles.say(now, words).map(PutAction::Trouble));
            self.put_back(refused, code, now, actions);
        }
    }

    fn on_taken(&mut self, lane: LaneId, entry: &Entry, shard: &str) {
        let address = self.lanes.address(lane).clone();
        let target = self.lanes.target(lane);
        let targets = self.lanes.targets();
        if targets.are_known() && target.is_none_or(|target| targets.id(target) != shard) {
            self.listing.on_misplaced();
        }
        self.counters.records_put += 1;
        self.counters.bytes_put += self.let_go(&address, entry) as u64;
        self.lanes.taken(lane);
    }

    fn pace(&mut self, tallies: &Tallies, now: Moment) {
        let unknown = tallies.get(&None).copied().unwrap_or_default();
        if unknown.throttled + unknown.refused > 0 {
            self.pacing.on_refused(now, &mut self.rng);
        } else {
            self.pacing.on_taken(now);
        }
        for (target, tally) in tallies {
            if tally.throttled > 0 {
                self.listing.on_throttled(now);
            }
            if let Some(target) = target {
                self.lanes.targets().on_answer(*target, *tally, now, &mut self.rng);
            }
        }
    }

    pub(super) fn on_failure(
        &mut self,
        id: PutId,
        kind: ErrorKind,
        message: &str,
        now: Moment,
        actions: &mut Vec<PutAction>,
    ) {
        let Some(entries) = self.finish_call(id) else {
            return;
        };
        self.counters.calls_failed += 1;
        if kind.may_have_landed() {
            self.counters.maybe_repeated += entries.len() as u64;
        }
        let count = entries.len();
        let reaction = kind.reaction(Call::PutRecords, self.worked);
        if reaction == Reaction::Isolate {
            if count > 1 {
                let words = || format!("PutRecords: {kind}; looking for the record at fault among {count}: {message}");
                actions.extend(self.troubles.say(now, words).map(PutAction::Trouble));
            }
            return self.isolation.on_invalid(entries, format!("PutRecords: {message}"));
        }
        self.failed = reaction == Reaction::Fail;
        self.put_back(entries, message, now, actions);
        let wait = match reaction {
            Reaction::SlowDown => {
                self.pacing.on_refused(now, &mut self.rng);
                self.pacing.due().since(now)
            }
            Reaction::RefreshCredentials if !std::mem::replace(&mut self.credentials_refused, true) => {
                self.failing.next_wait(&mut self.rng)
            }
            Reaction::RetrySlowly | Reaction::RefreshCredentials => SLOW_RETRY,
            Reaction::Fail => {
                actions.push(PutAction::Failed { kind, message: format!("PutRecords: {message}") });
                return;
            }
            _ => self.failing.next_wait(&mut self.rng),
        };
        self.pacing.hold_until(now + wait);
        let words = || format!("PutRecords: {kind}; {count} records again in {} ms: {message}", wait.as_millis());
        actions.extend(self.troubles.say(now, words).map(PutAction::Trouble));
    }
}
