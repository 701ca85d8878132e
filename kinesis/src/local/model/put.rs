//! PutRecord and PutRecords: limits, routing, stamping.

use bytes::Bytes;

use super::journal::PutNote;
use super::sequence::SequenceNumber;
use super::shard::{ShardId, StoredRecord};
use super::stream::{Distribution, Stream};
use super::throughput::RateExceeded;
use super::validation::{PARTITION_KEY_CHARS_MAX, Violations};
use super::{Context, ErrorCode, Model, ModelError, invalid};

/// Records in one PutRecords call (API reference, PutRecords).
pub const RECORDS_MAX: usize = 500;
/// Data of any record, by its stated constraint; a stream may allow less (API reference, PutRecord).
const DATA_BYTES_MAX: usize = 10 << 20;
/// Keys and data of one PutRecords call.
const REQUEST_BYTES_MAX: usize = 10 << 20;
/// Sequence numbers of neighbours in a shard differ by up to so much; clients must not count on one.
const INDEX_STEP_MAX: u64 = 8;
/// How far beyond now a number given for ordering may lie before it cannot be one of ours.
const ORDERING_SLACK_S: u64 = 2;

/// A record to be put.
#[derive(Clone, Debug)]
pub struct PutEntry<'a> {
    /// 1 to 256 characters; empty if there is none, where the service chooses the shard.
    pub partition_key: &'a str,
    /// Decimal hash key in place of the partition key's MD5.
    pub explicit_hash_key: Option<&'a str>,
    /// Kept as it is, not copied.
    pub data: Bytes,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The shard that took it.
    pub shard: ShardId,
    /// Its number there.
    pub sequence: SequenceNumber,
}

/// Why one record of a call was not taken while others were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutFailure {
    /// `ProvisionedThroughputExceededException` or `InternalFailure`.
    pub code: &'static str,
    /// The service's sentence.
    pub message: String,
}

/// Records to be throttled on purpose, whatever their shard has had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PutThrottle {
    /// Only those of this shard.
    pub shard: Option<ShardId>,
    /// The part of them, 0 to 1.
    pub rate: f64,
    /// So many at most.
    pub left: u64,
    /// Decides which.
    pub seed: u64,
}

/// What became of each record, in the order they were given.
pub type PutAnswer = Vec<Result<Placed, PutFailure>>;

impl Model {
    /// PutRecord. `ordering` is a sequence number that the record's must exceed, which here it always does.
    ///
    /// # Errors
    /// `ValidationException`, `InvalidArgumentException`, `ResourceNotFoundException` (also while CREATING).
    pub fn put_record(
        &mut self,
        now_ms: i64,
        stream: &str,
        entry: PutEntry<'_>,
        ordering: Option<&str>,
    ) -> Result<Result<Placed, PutFailure>, ModelError> {
        let hash_key = self.check_put_record(now_ms, stream, &entry, ordering)?;
        Ok(self.take(self.now_ms, stream, [(hash_key, entry)]).pop().expect("one for one"))
    }

    /// What [`Model::put_record`] checks before it takes the record: its hash key.
    ///
    /// # Errors
    /// As there.
    pub fn check_put_record(
        &mut self,
        now_ms: i64,
        stream: &str,
        entry: &PutEntry<'_>,
        ordering: Option<&str>,
    ) -> Result<u128, ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        let auto = self.takes_records_without_key(stream);
        check_entry(&mut violations, entry, auto, lower_first);
        if let Some(ordering) = ordering {
            violations.decimal(|| "sequenceNumberForOrdering".to_owned(), ordering, 129);
        }
        violations.name("streamName", stream);
        violations.finish()?;
        let (found, cx) = self.look_up(stream)?;
        found.usable(now_ms, cx)?;
        if let Some(ordering) = ordering {
            if auto {
                return Err(invalid(
                    "SequenceNumberForOrdering must not be given to a stream that distributes records.",
                ));
            }
            check_ordering(ordering, now_ms, found, cx)?;
        }
        checked_hash_key(entry, found)
    }

    /// PutRecords: each record is taken or, if its shard has had enough, not; or the whole call is refused. The answer
    /// has one entry for each, in order.
    ///
    /// # Errors
    /// `ValidationException`, `InvalidArgumentException`, `ResourceNotFoundException` (also while CREATING).
    pub fn put_records(
        &mut self,
        now_ms: i64,
        stream: &str,
        entries: Vec<PutEntry<'_>>,
    ) -> Result<PutAnswer, ModelError> {
        let hash_keys = self.check_put_records(now_ms, stream, &entries)?;
        Ok(self.take(self.now_ms, stream, hash_keys.into_iter().zip(entries)))
    }

    /// What [`Model::put_records`] checks before it takes any record: their hash keys.
    ///
    /// # Errors
    /// As there.
    pub fn check_put_records(
        &mut self,
        now_ms: i64,
        stream: &str,
        entries: &[PutEntry<'_>],
    ) -> Result<Vec<u128>, ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.members("records", &format!("[{} records]", entries.len()), entries.len(), 1, RECORDS_MAX);
        let auto = self.takes_records_without_key(stream);
        for (i, entry) in entries.iter().enumerate() {
            check_entry(&mut violations, entry, auto, |name| format!("records.{}.member.{}", i + 1, lower_first(name)));
        }
        violations.name("streamName", stream);
        violations.finish()?;
        let (found, cx) = self.look_up(stream)?;
        found.usable(now_ms, cx)?;
        let bytes: usize = entries.iter().map(|entry| entry.partition_key.len() + entry.data.len()).sum();
        if bytes > REQUEST_BYTES_MAX {
            return Err(invalid("Records size exceeds 10 MB limit"));
        }
        let found = &*found;
        entries.iter().map(|entry| checked_hash_key(entry, found)).collect()
    }

    /// From the next put call on, until told otherwise: throttles records on purpose. Counts anew.
    pub fn throttle_puts(&mut self, throttle: Option<PutThrottle>) {
        self.put_throttle = throttle;
        self.throttled_puts = 0;
    }

    /// Records throttled on purpose since that was asked for.
    pub fn throttled_puts(&self) -> u64 {
        self.throttled_puts
    }

    /// Stores records that passed every check, one result for each.
    fn take<'e>(
        &mut self,
        now_ms: i64,
        stream: &str,
        entries: impl IntoIterator<Item = (u128, PutEntry<'e>)>,
    ) -> PutAnswer {
        // Where records go depends on what was changed before them.
        self.note_changed();
        let Model { streams, rng, settings, told_ms, put_throttle, throttled_puts, journal, .. } = self;
        let mut coins = fastrand::Rng::with_seed(put_throttle.map_or(0, |throttle| throttle.seed));
        let cx = Context { account: &settings.account };
        let limited = settings.throughput_limits;
        let stamp_ms = if settings.stamps_may_fall { *told_ms } else { now_ms };
        let stream = streams.get_mut(stream).expect("looked up by the caller");
        let horizon_ms = stream.horizon_ms(now_ms);
        let mut noted = journal.as_ref().map(|_| PutNote::new(stream.generation, now_ms, stamp_ms));
        let mut added_bytes = 0;
        let auto = stream.distribution == Distribution::Auto;
        let answer = entries.into_iter().map(|(hash_key, entry)| {
            let hash_key = if auto { rng.u128(..) } else { hash_key };
            let id = stream.shards.taking(hash_key);
            let shard = stream.shards.get_mut(id).expect("an open shard is a shard");
            let mut on_purpose = || {
                let throttle = put_throttle.as_mut().filter(|throttle| {
                    throttle.left > 0 && throttle.shard.is_none_or(|shard| shard == id) && coins.f64() < throttle.rate
                });
                throttle.map(|throttle| throttle.left -= 1).is_some()
            };
            if on_purpose() {
                *throttled_puts += 1;
                return Err(failure(RateExceeded, id, &stream.name, cx));
            }
            if limited && let Err(exceeded) = shard.throughput.put(now_ms, entry.partition_key.len() + entry.data.len())
            {
                return Err(failure(exceeded, id, &stream.name, cx));
            }
            stream.last_index += rng.u64(1..=INDEX_STEP_MAX);
            stream.records_taken += 1;
            let index = stream.last_index;
            shard.trim(horizon_ms);
            let sequence = shard.sequence(index, now_ms);
            stream.last_arrival_ms = now_ms;
            noted.iter_mut().for_each(|noted| noted.record(id, index, entry.partition_key, &entry.data));
            let before = shard.held_bytes;
            shard.push(StoredRecord {
                index,
                digits: sequence.digits(),
                arrival_ms: now_ms,
                stamp_ms,
                partition_key: entry.partition_key.into(),
                data: entry.data,
            });
            added_bytes += shard.held_bytes - before;
            Ok(Placed { shard: id, sequence })
        });
        let answer = answer.collect();
        if let (Some(journal), Some(noted)) = (journal, noted) {
            journal.put(noted);
        }
        self.keep_within_memory(added_bytes);
        answer
    }
}

fn failure(exceeded: RateExceeded, shard: ShardId, stream: &str, cx: Context<'_>) -> PutFailure {
    let message = exceeded.message(shard, stream, cx);
    PutFailure { code: ErrorCode::ProvisionedThroughputExceeded.name(), message }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

fn check_entry(violations: &mut Violations, entry: &PutEntry<'_>, auto: bool, at: impl Fn(&str) -> String) {
    // Spells a parameter's place only when it is broken: this runs for every record.
    let key = entry.partition_key;
    if (key.is_empty() && !auto) || key.len() > PARTITION_KEY_CHARS_MAX {
        violations.characters(&at("PartitionKey"), key, 1, PARTITION_KEY_CHARS_MAX);
    }
    violations.bytes(|| at("Data"), entry.data.len(), DATA_BYTES_MAX);
    if let Some(explicit) = entry.explicit_hash_key {
        violations.decimal(|| at("ExplicitHashKey"), explicit, 39);
    }
}

/// Of no consequence where the service distributes records: it ignores what a producer says of that.
fn checked_hash_key(entry: &PutEntry<'_>, stream: &Stream) -> Result<u128, ModelError> {
    let record_bytes_max = stream.record_bytes_max;
    let bytes = entry.partition_key.len() + entry.data.len();
    if bytes > record_bytes_max {
        return Err(invalid(format!(
            "Size of partition key and data of {bytes} bytes exceeds the maximum record size of {record_bytes_max} bytes."
        )));
    }
    if stream.distribution == Distribution::Auto {
        return Ok(0);
    }
    let explicit = entry.explicit_hash_key.map(|text| {
        text.parse().map_err(|_| {
            invalid(format!(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
            ))
        })
    });
    Ok(Stream::hash_key(entry.partition_key, explicit.transpose()?))
}

fn check_ordering(ordering: &str, now_ms: i64, stream: &Stream, cx: Context<'_>) -> Result<(), ModelError> {
    let now_s = u64::try_from(now_ms.div_euclid(1_000)).unwrap_or(0);
    let ours = ordering
        .parse::<SequenceNumber>()
        .is_ok_and(|number| number.shard().is_some() && number.time_s() < now_s + ORDERING_SLACK_S);
    if ours {
        return Ok(());
    }
    Err(invalid(format!(
        "ExclusiveMinimumSequenceNumber {ordering} used in PutRecord on stream {} under account {} is invalid.",
        stream.name, cx.account
    )))
}
