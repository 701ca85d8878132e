//! The end of a shard: all that it became must be known before it is over, and a shard that is gone leaves a gap.

use super::{Notice, Polling, SLOW_RETRY, Step};
use crate::protocol::Moment;
use crate::protocol::shard::{ShardInfo, are_whole};

/// Listings without all children after which that is said, and the next are further apart.
const CHILDLESS_LISTINGS_MAX: u32 = 5;
/// Listings in a row without a shard after which it is believed to be gone: one may be behind.
const MISSING_LISTINGS: u32 = 3;

impl Polling {
    pub(super) fn on_end(&mut self, children: Vec<ShardInfo>, now: Moment, notices: &mut Vec<Notice>) {
        if are_whole(&children, &self.shard) {
            notices.push(Notice::Drained { children });
            self.proceed_with(Step::Finished, now);
        } else {
            self.proceed_with(Step::ListForChildren { listings: 0, missing: 0 }, now);
        }
    }

    pub(super) fn on_shards(&mut self, shards: Vec<ShardInfo>, now: Moment, notices: &mut Vec<Notice>) {
        let listed = shards.iter().any(|shard| shard.id == self.shard);
        let children: Vec<ShardInfo> = shards.into_iter().filter(|shard| shard.is_child_of(&self.shard)).collect();
        let whole = are_whole(&children, &self.shard);
        match self.step {
            Step::ListForChildren { .. } if whole => {
                notices.push(Notice::Drained { children });
                self.proceed_with(Step::Finished, now);
            }
            // Listed for as long as the stream keeps it, and its children are kept longer: those not named by now are gone.
            Step::ListForChildren { missing, .. } if !listed && missing + 1 >= MISSING_LISTINGS => {
                let what = format!(
                    "{}: the shard was read to its end, but aged out of the listings before they named all of its \
                     children: what those held that are not named ({} are) is missing",
                    self.shard,
                    children.len()
                );
                self.finish_gone(what, children, now, notices);
            }
            // While it is listed never without all of them: what the missing ones take would be lost, and no hold would stand
            // for it.
            Step::ListForChildren { listings, missing } => {
                let (listings, missing) = (listings + 1, if listed { 0 } else { missing + 1 });
                let mut wait = self.failing.next_wait(&mut self.rng);
                if listings >= CHILDLESS_LISTINGS_MAX {
                    wait = SLOW_RETRY;
                    let named = children.len();
                    notices.push(Notice::Trouble(format!(
                        "{}: the shard is closed, but {listings} listings name {named} of its children, which are not \
                         all; asking again in {} s",
                        self.shard,
                        wait.as_secs()
                    )));
                }
                self.proceed_with(Step::ListForChildren { listings, missing }, now + wait);
            }
            // It exists after all: the listing and the data plane disagree for a while after a stream is made.
            Step::ListForShard { .. } if listed => {
                let due = self.pace.iterator_due().max(now + self.failing.next_wait(&mut self.rng));
                self.proceed_with(Step::FetchIterator, due);
            }
            Step::ListForShard { missing } if missing + 1 < MISSING_LISTINGS => {
                let due = now + self.failing.next_wait(&mut self.rng);
                self.proceed_with(Step::ListForShard { missing: missing + 1 }, due);
            }
            _ => {
                let what = format!("{}: the shard aged out before it was read to its end", self.shard);
                self.finish_gone(what, children, now, notices);
            }
        }
    }

    /// The shard is gone. Children that are named are held in its place also if they are not all: more are not to come.
    fn finish_gone(&mut self, what: String, children: Vec<ShardInfo>, now: Moment, notices: &mut Vec<Notice>) {
        notices.push(Notice::Gap { range: self.rest(), what });
        notices.push(if children.is_empty() { Notice::Abandoned } else { Notice::Drained { children } });
        self.proceed_with(Step::Finished, now);
    }
}
