//! GetShardIterator and GetRecords.

use std::collections::vec_deque;

use bytes::Bytes;

use super::hash_key::HashKeyRange;
use super::sequence::{SEQUENCE_DIGITS, SequenceNumber};
use super::shard::{Shard, ShardId, StoredRecord};
use super::stream::Stream;
use super::token::{IteratorToken, TOKEN_LIFE_MS};
use super::validation::{GET_RECORDS_LIMIT_MAX, Violations};
use super::{Context, ErrorCode, Model, ModelError, invalid};

/// Keys and data of one GetRecords answer (API reference, GetRecords).
const ANSWER_BYTES_MAX: usize = 10 << 20;
/// Characters of a shard iterator.
const ITERATOR_CHARS_MAX: usize = 512;

/// Where a shard iterator begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IteratorPosition<'a> {
    /// At the oldest record still held.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
    /// At this record.
    AtSequence(&'a str),
    /// Behind this record.
    AfterSequence(&'a str),
    /// At the first record that came at this time, in ms, or later.
    AtTimestamp(i64),
}

/// One page of records, borrowed from the model.
#[derive(Clone, Debug)]
pub struct GetRecordsAnswer<'a> {
    /// At most 10,000 records and 10 MiB; may be none although more lie ahead.
    pub records: Records<'a>,
    /// Where to go on; `None` at the end of a closed shard.
    pub next_iterator: Option<String>,
    /// How far the page's end is behind the newest record, in ms; 0 exactly when nothing lies ahead.
    pub millis_behind_latest: i64,
    /// At the end of a closed shard: the shards that took over.
    pub child_shards: Vec<ChildShard>,
}

/// A shard that took over from a closed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildShard {
    /// The child.
    pub id: ShardId,
    /// All its parents: one after a split, two after a merge.
    pub parents: Vec<ShardId>,
    /// The hash keys it takes.
    pub range: HashKeyRange,
}

/// A record as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its number, rising in its shard.
    pub sequence: SequenceNumber,
    /// The number in decimal, made when the record was put.
    pub sequence_digits: &'a [u8; SEQUENCE_DIGITS],
    /// When it was taken, ms since the epoch; does not fall unless the settings say so.
    pub arrival_ms: i64,
    /// As it was put; empty if it was put without.
    pub partition_key: &'a str,
    /// As it was put.
    pub data: &'a Bytes,
    /// Was its stream encrypted when it was put?
    pub encrypted: bool,
}

/// Records of one shard in order.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    shard: &'a Shard,
    rest: vec_deque::Iter<'a, StoredRecord>,
    of: &'a Stream,
}

impl<'a> Records<'a> {
    pub(super) fn whole(stream: &'a Stream, shard: &'a Shard) -> Records<'a> {
        Records { shard, rest: shard.records.iter(), of: stream }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    fn next(&mut self) -> Option<RecordView<'a>> {
        self.rest.next().map(|record| RecordView {
            sequence: self.shard.sequence(record.index, record.arrival_ms),
            sequence_digits: &record.digits,
            arrival_ms: record.stamp_ms,
            partition_key: &record.partition_key,
            data: &record.data,
            encrypted: self.of.was_encrypted(record.index),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl ExactSizeIterator for Records<'_> {}

impl Model {
    /// GetShardIterator: a token for [`Model::get_records`], good for five minutes and for any number of calls.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException` for the stream or shard; `InvalidArgumentException` for a
    /// sequence number of another shard or stream and for a time that is still to come;
    /// `ProvisionedThroughputExceededException` if limits are kept.
    pub fn get_shard_iterator(
        &mut self,
        now_ms: i64,
        stream: &str,
        shard: &str,
        position: IteratorPosition<'_>,
    ) -> Result<String, ModelError> {
        let mut violations = Violations::new();
        violations.name("shardId", shard);
        if let IteratorPosition::AtSequence(number) | IteratorPosition::AfterSequence(number) = position {
            violations.decimal(|| "startingSequenceNumber".to_owned(), number, 129);
        }
        violations.finish()?;
        let now_ms = self.advance(now_ms);
        let (seed, limited) = (self.token_seed, self.settings.throughput_limits);
        let (found, cx) = self.look_up(stream)?;
        let id = cx.shard_id(shard, stream)?;
        if let Some(shard) = found.shards.get_mut(id).filter(|_| limited) {
            shard.throughput.iterator(now_ms).map_err(|exceeded| exceeded.error(id, stream, cx))?;
        }
        let shard = found.shards.get(id).filter(|_| found.is_usable(now_ms)).ok_or_else(|| cx.no_shard(id, stream))?;
        let (index, since_ms) = match position {
            IteratorPosition::TrimHorizon => (0, i64::MIN),
            IteratorPosition::Latest => (found.last_index + 1, i64::MIN),
            IteratorPosition::AtSequence(number) => (index_in(found, shard, number, cx)?, i64::MIN),
            IteratorPosition::AfterSequence(number) => {
                (index_in(found, shard, number, cx)?.saturating_add(1), i64::MIN)
            }
            IteratorPosition::AtTimestamp(at_ms) if at_ms > now_ms => {
                return Err(invalid(format!(
                    "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
                     timestampInMillis: {at_ms}, currentTimestampInMillis: {now_ms}"
                )));
            }
            IteratorPosition::AtTimestamp(at_ms) => (0, at_ms),
        };
        let token = IteratorToken {
            issued_ms: now_ms,
            generation: found.generation,
            shard: id,
            index,
            since_ms,
            stream: stream.to_owned(),
        };
        Ok(token.seal(seed))
    }

    /// The stream and shard that an iterator of ours is for, expired or not.
    pub fn place_of(&self, iterator: &str) -> Option<(String, ShardId)> {
        IteratorToken::open(self.token_seed, iterator).map(|token| (token.stream, token.shard))
    }

    /// GetRecords: the next page at an iterator.
    ///
    /// # Errors
    /// `ValidationException`; `InvalidArgumentException` for an iterator that is not ours; `ExpiredIteratorException`
    /// after five minutes; `ResourceNotFoundException` if the stream is gone; `ProvisionedThroughputExceededException`
    /// if limits are kept: the iterator stays good.
    pub fn get_records(
        &mut self,
        now_ms: i64,
        iterator: &str,
        limit: Option<i64>,
    ) -> Result<GetRecordsAnswer<'_>, ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.range("limit", limit, 1, GET_RECORDS_LIMIT_MAX);
        violations.characters("shardIterator", iterator, 1, ITERATOR_CHARS_MAX);
        violations.finish()?;
        let (seed, limited) = (self.token_seed, self.settings.throughput_limits);
        let token = IteratorToken::open(seed, iterator).ok_or_else(|| invalid("Invalid ShardIterator."))?;
        if now_ms - token.issued_ms > TOKEN_LIFE_MS {
            return Err(ModelError::new(ErrorCode::ExpiredIterator, expiry(token.issued_ms, now_ms)));
        }
        let on_extra_page = self.settings.shard_end.is_on_extra_page(self.settings.seed(), token.shard);
        let visible_after_ms = self.settings.visible_after_ms;
        let one_in = self.settings.empty_page_one_in;
        let may_be_empty = one_in > 0 && self.rng.u32(0..one_in) == 0;
        let (found, cx) = self.look_up(&token.stream)?;
        let there = found.is_usable(now_ms) && found.generation == token.generation;
        let horizon_ms = found.horizon_ms(now_ms);
        let shard = found.shards.get_mut(token.shard).filter(|_| there);
        let shard = shard.ok_or_else(|| cx.no_shard(token.shard, &token.stream))?;
        shard.trim(horizon_ms);
        let start = shard.position(token.index, token.since_ms);
        let limit = usize::try_from(limit.unwrap_or(GET_RECORDS_LIMIT_MAX)).expect("within 1..=10_000");
        if limited {
            shard.throughput.read(now_ms).map_err(|exceeded| exceeded.error(token.shard, &token.stream, cx))?;
        }
        let visible = match visible_after_ms {
            0 => shard.records.len(),
            after_ms => shard.records.partition_point(|record| record.arrival_ms <= now_ms.saturating_sub(after_ms)),
        };
        let limit = limit.min(visible.saturating_sub(start));
        let end = if may_be_empty { start } else { start + page_length(shard, start, limit) };
        if limited {
            shard.throughput.page(now_ms, shard.records.range(start..end).map(StoredRecord::bytes).sum());
        }

        let (found, _) = self.look_up(&token.stream)?;
        let found = &*found;
        let shard = found.shards.get(token.shard).expect("found above");
        let rest = shard.records.range(start..end);

        let ahead = shard.records.get(end).filter(|_| end < visible);
        let hidden = visible < shard.records.len();
        let next = match ahead {
            Some(record) => Some(IteratorToken { issued_ms: now_ms, index: record.index, since_ms: i64::MIN, ..token }),
            None if shard.closed.is_some() && !hidden && (end == start || !on_extra_page) => None,
            // Behind everything there is to be seen: the timestamp, if there was one, still holds for what comes.
            None => {
                let last = visible.checked_sub(1).and_then(|last| shard.records.get(last));
                let index = last.map_or(token.index, |last| token.index.max(last.index + 1));
                Some(IteratorToken { issued_ms: now_ms, index, ..token })
            }
        };
        let millis_behind_latest = ahead.map_or(0, |ahead| {
            let reached = rest.clone().next_back().unwrap_or(ahead);
            (now_ms - reached.arrival_ms).max(1)
        });
        let child_shards = match next {
            Some(_) => Vec::new(),
            None => {
                let children = found.shards.children(shard.id);
                let child =
                    |child: &Shard| ChildShard { id: child.id, parents: child.parents.clone(), range: child.range };
                children.map(child).collect()
            }
        };
        Ok(GetRecordsAnswer {
            records: Records { shard, rest, of: found },
            next_iterator: next.map(|token| token.seal(seed)),
            millis_behind_latest,
            child_shards,
        })
    }
}

/// Records of a page that begins at `start`: as many as fit, and always one if there is one.
fn page_length(shard: &Shard, start: usize, limit: usize) -> usize {
    let mut bytes = 0;
    shard
        .records
        .range(start..)
        .take(limit)
        .take_while(|record| {
            let first = bytes == 0;
            bytes += record.bytes();
            first || bytes <= ANSWER_BYTES_MAX
        })
        .count()
}

/// The index that a caller's sequence number stands for in this shard.
fn index_in(stream: &Stream, shard: &Shard, number: &str, cx: Context<'_>) -> Result<u64, ModelError> {
    let (id, name) = (shard.id, &stream.name);
    let refuse = |why: &str| {
        invalid(format!(
            "StartingSequenceNumber {number} used in GetShardIterator on shard {id} in stream {name} under account {} \
             is invalid{why}.",
            cx.account
        ))
    };
    let parsed = number.parse::<SequenceNumber>().ok();
    let Some((sequence, encoded)) = parsed.and_then(|sequence| Some((sequence, sequence.shard()?))) else {
        return Err(refuse(""));
    };
    if encoded != id {
        return Err(invalid(format!(
            "Invalid StartingSequenceNumber. It encodes {encoded}, while it was used in a call to a shard with {id}"
        )));
    }
    if sequence.created_s() != shard.created_s {
        return Err(refuse(" because it did not come from this stream"));
    }
    // The end of a closed shard is the one number that is ours although no record had it or will.
    let index = sequence.index();
    let known = index <= stream.last_index || Some(sequence) == shard.last_sequence();
    if known { Ok(index) } else { Err(refuse("")) }
}

#[cold]
fn expiry(issued_ms: i64, now_ms: i64) -> String {
    format!(
        "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future \
         than the tolerated delay of {TOKEN_LIFE_MS} milliseconds.",
        in_words(issued_ms),
        in_words(now_ms)
    )
}

/// `Thu Jan 22 01:22:02 UTC 2015`, as the service writes a time in a sentence.
fn in_words(time_ms: i64) -> String {
    let since_epoch = std::time::Duration::from_millis(u64::try_from(time_ms).unwrap_or(0));
    // Thu, 22 Jan 2015 01:22:02 GMT
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch);
    let words: Vec<&str> = date.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words[..] {
        [weekday, day, month, year, clock, _] => {
            format!("{weekday} {month} {day} {clock} UTC {year}")
        }
        _ => date,
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn time_is_written_as_the_service_writes_it() {
        assert_eq!(in_words(1_421_889_722_999), "Thu Jan 22 01:22:02 UTC 2015");
    }
}
