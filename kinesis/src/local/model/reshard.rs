//! SplitShard, MergeShards and UpdateShardCount: what is asked for, refused, and then done when its time has come.
//!
//! A call leaves the stream UPDATING. After `update_delay_ms` the parents close and their children open, in one moment
//! that is later than every record the parents hold. UpdateShardCount does so in rounds, first splitting at every
//! boundary that is to be and is not yet, then merging over every boundary that is and is not to be, each round
//! `update_delay_ms` after the one before; shards of a round in between are short-lived, as the service's are.

use serde::{Deserialize, Serialize};

use super::hash_key::even_range;
use super::shard::{Shard, ShardId};
use super::shards::Shards;
use super::stream::{Stream, StreamMode};
use super::validation::Violations;
use super::{Context, ErrorCode, Model, ModelError, invalid, shard_limit_exceeded};

/// Shards of one stream after UpdateShardCount (API reference, UpdateShardCount).
const SCALE_MAX: i64 = 10_000;
/// UpdateShardCount calls for one stream in 24 hours (API reference, UpdateShardCount).
const SCALINGS_MAX: usize = 10;
const DAY_MS: i64 = 86_400_000;

/// A change under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reshaping {
    /// When the next of it is done.
    pub due_ms: i64,
    goal: Goal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Goal {
    Step(Step),
    /// So many even ranges.
    Even(u32),
}

/// One change of open shards into their children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Split { parent: ShardId, at: u128 },
    Merge { parents: [ShardId; 2] },
}

/// What UpdateShardCount says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCountUpdate {
    /// Open shards when it was called.
    pub current: usize,
    /// Open shards it will come to.
    pub target: u32,
}

impl Model {
    /// SplitShard: in `update_delay_ms` the shard closes for two, whose ranges meet at the new starting hash key.
    ///
    /// # Errors
    /// `ValidationException`, also for a stream on demand; `ResourceNotFoundException` for the stream or shard;
    /// `LimitExceededException` beyond the shard limit; `ResourceInUseException` unless the stream is ACTIVE;
    /// `InvalidArgumentException` for a closed shard or a key that leaves a child less than two hash keys.
    pub fn split_shard(
        &mut self,
        now_ms: i64,
        stream: &str,
        shard: &str,
        new_starting_hash_key: &str,
    ) -> Result<(), ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.decimal(|| "newStartingHashKey".to_owned(), new_starting_hash_key, 39);
        violations.name("shardToSplit", shard);
        violations.finish()?;
        let (present, limit) = (self.open_shard_count(), self.settings.shard_limit);
        let region = self.settings.region.clone();
        let due_ms = now_ms.saturating_add(self.settings.update_delay_ms);
        let (found, cx) = self.stream_mut(stream)?;
        found.provisioned(cx)?;
        let parent = found.shard_to_change(shard, now_ms, cx)?;
        let (id, range) = (parent.id, parent.range);
        if present >= limit as usize {
            return Err(shard_limit_exceeded(cx.account, &region, present, limit, 1));
        }
        found.active(now_ms, cx)?;
        found.still_open(id, cx)?;
        // A number of 39 digits may be beyond every hash key.
        let at = new_starting_hash_key.parse().ok();
        let at = at.filter(|at| *at > range.first.saturating_add(1) && *at < range.last);
        let Some(at) = at else {
            return Err(invalid(format!(
                "NewStartingHashKey {new_starting_hash_key} used in SplitShard() on shard {id} in stream {stream} under \
                 account {} is not both greater than one plus the shard's StartingHashKey {} and less than the shard's \
                 EndingHashKey {}.",
                cx.account, range.first, range.last
            )));
        };
        found.reshaping = Some(Reshaping { due_ms, goal: Goal::Step(Step::Split { parent: id, at }) });
        let _ = self.advance(now_ms);
        Ok(())
    }

    /// MergeShards: in `update_delay_ms` both shards close for one that takes both their ranges.
    ///
    /// # Errors
    /// `ValidationException`, also for a stream on demand; `ResourceNotFoundException` for the stream or a shard;
    /// `ResourceInUseException` unless the stream is ACTIVE; `InvalidArgumentException` for a closed shard and for two
    /// whose ranges do not touch.
    pub fn merge_shards(&mut self, now_ms: i64, stream: &str, shard: &str, adjacent: &str) -> Result<(), ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.name("adjacentShardToMerge", adjacent);
        violations.name("shardToMerge", shard);
        violations.finish()?;
        let due_ms = now_ms.saturating_add(self.settings.update_delay_ms);
        let (found, cx) = self.stream_mut(stream)?;
        found.provisioned(cx)?;
        let one = found.shard_to_change(shard, now_ms, cx)?;
        let other = found.shard_to_change(adjacent, now_ms, cx)?;
        let parents = [one.id, other.id];
        let touch = [(one, other), (other, one)].iter().any(|(low, high)| {
            // The greatest hash key has no next one: `checked_add` keeps it from touching 0.
            low.range.last.checked_add(1) == Some(high.range.first)
        });
        found.active(now_ms, cx)?;
        found.still_open(parents[0], cx)?;
        found.still_open(parents[1], cx)?;
        if !touch {
            return Err(invalid(format!(
                "Shards {} and {} in stream {stream} under account {} are not an adjacent pair of shards eligible for \
                 merging",
                parents[0], parents[1], cx.account
            )));
        }
        found.reshaping = Some(Reshaping { due_ms, goal: Goal::Step(Step::Merge { parents }) });
        let _ = self.advance(now_ms);
        Ok(())
    }

    /// UpdateShardCount with UNIFORM_SCALING: splits and merges until there are so many shards of even ranges.
    ///
    /// # Errors
    /// `ValidationException`, also for a stream on demand; `ResourceNotFoundException`; `LimitExceededException` above
    /// double or below half of the open shards, beyond 10,000 or the account's limit, and for the eleventh call in a
    /// day; `ResourceInUseException` unless the stream is ACTIVE.
    pub fn update_shard_count(
        &mut self,
        now_ms: i64,
        stream: &str,
        target: i64,
    ) -> Result<ShardCountUpdate, ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.range("targetShardCount", Some(target), 1, i64::MAX);
        violations.finish()?;
        let (present, limit) = (self.open_shard_count(), self.settings.shard_limit);
        let region = self.settings.region.clone();
        let due_ms = now_ms.saturating_add(self.settings.update_delay_ms);
        let (found, cx) = self.stream_mut(stream)?;
        found.provisioned(cx)?;
        let current = found.shards.open_count();
        let open = i64::try_from(current).expect("shards are numbered with 31 bits");
        let counts = format!("Current open shard count: {open}, Target shard count: {target}");
        let too_far = |sentence: String| ModelError::new(ErrorCode::LimitExceeded, format!("{sentence} {counts}"));
        if target > SCALE_MAX {
            return Err(too_far(format!(
                "Target shard count or number of open shards cannot be greater than {SCALE_MAX}."
            )));
        }
        if target > open * 2 {
            let sentence = "UpdateShardCount cannot scale up over double your current open shard count.";
            return Err(too_far(sentence.to_owned()));
        }
        if target * 2 < open {
            let sentence = "UpdateShardCount cannot scale down below half your current open shard count.";
            return Err(too_far(sentence.to_owned()));
        }
        found.active(now_ms, cx)?;
        let additional = usize::try_from(target - open).unwrap_or(0);
        if present + additional > limit as usize {
            return Err(shard_limit_exceeded(cx.account, &region, present, limit, additional));
        }
        found.scaled_ms.retain(|at_ms| now_ms - at_ms < DAY_MS);
        if found.scaled_ms.len() >= SCALINGS_MAX {
            let message = format!(
                "Stream {stream} under account {} has been scaled {SCALINGS_MAX} times in the last 24 hours, which is \
                 the limit.",
                cx.account
            );
            return Err(ModelError::new(ErrorCode::LimitExceeded, message));
        }
        found.scaled_ms.push(now_ms);
        let target = u32::try_from(target).expect("within 1..=10_000");
        found.reshaping = Some(Reshaping { due_ms, goal: Goal::Even(target) });
        let _ = self.advance(now_ms);
        Ok(ShardCountUpdate { current, target })
    }
}

impl Stream {
    /// Does what is due by now. The latest moment at which something changed, if anything did: it may be later than
    /// now by the least that keeps a parent's records before its end.
    pub fn reshape(&mut self, now_ms: i64, round_ms: i64) -> Option<i64> {
        let mut changed_ms = None;
        while let Some(reshaping) = self.reshaping.take() {
            if reshaping.due_ms > now_ms {
                self.reshaping = Some(reshaping);
                break;
            }
            let at_ms = reshaping.due_ms.max(self.last_arrival_ms.saturating_add(1));
            let steps = match reshaping.goal {
                Goal::Step(step) => vec![step],
                Goal::Even(count) => round(&self.shards, count),
            };
            for step in &steps {
                match *step {
                    Step::Split { parent, at } => self.shards.split(parent, at, at_ms),
                    Step::Merge { parents } => self.shards.merge(parents, at_ms),
                }
            }
            if !steps.is_empty() {
                changed_ms = Some(at_ms);
            }
            match reshaping.goal {
                Goal::Even(count) if !round(&self.shards, count).is_empty() => {
                    let due_ms = at_ms.saturating_add(round_ms);
                    self.reshaping = Some(Reshaping { due_ms, goal: reshaping.goal });
                }
                _ => break,
            }
        }
        changed_ms
    }

    /// Refuses what only a caller-scaled stream takes.
    fn provisioned(&self, cx: Context<'_>) -> Result<(), ModelError> {
        match self.mode {
            StreamMode::Provisioned => Ok(()),
            StreamMode::OnDemand => Err(ModelError::new(
                ErrorCode::Validation,
                format!("Request is invalid. Stream {} under account {} is in On-Demand mode.", self.name, cx.account),
            )),
        }
    }

    fn shard_to_change(&self, shard: &str, now_ms: i64, cx: Context<'_>) -> Result<&Shard, ModelError> {
        let id = cx.shard_id(shard, &self.name)?;
        let visible = self.visible_shards(now_ms).iter().find(|shard| shard.id == id);
        visible.map_or_else(|| cx.shard_id_missing(&id.to_string(), &self.name), Ok)
    }

    fn still_open(&self, id: ShardId, cx: Context<'_>) -> Result<(), ModelError> {
        if self.shards.get(id).is_some_and(|shard| shard.closed.is_none()) {
            return Ok(());
        }
        Err(invalid(format!(
            "Shard {id} in stream {} under account {} has already been merged or split, and thus is not eligible for \
             merging or splitting.",
            self.name, cx.account
        )))
    }
}

/// What is next to be done at once on the way to so many even ranges; nothing if they are there.
fn round(shards: &Shards, count: u32) -> Vec<Step> {
    let wanted: Vec<u128> = (0..count).map(|index| even_range(index, count).first).collect();
    let splits: Vec<_> = shards
        .open()
        .filter_map(|shard| {
            let from = wanted.partition_point(|first| *first <= shard.range.first);
            let to = wanted.partition_point(|first| *first <= shard.range.last);
            let inside = &wanted[from..to];
            inside.get(inside.len() / 2).map(|at| Step::Split { parent: shard.id, at: *at })
        })
        .collect();
    if !splits.is_empty() {
        return splits;
    }
    let mut merges = Vec::new();
    let mut open = shards.open().peekable();
    while let Some(low) = open.next() {
        if let Some(high) = open.next_if(|high| wanted.binary_search(&high.range.first).is_err()) {
            merges.push(Step::Merge { parents: [low.id, high.id] });
        }
    }
    merges
}
