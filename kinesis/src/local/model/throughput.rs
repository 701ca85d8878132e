//! How much a shard takes and gives in a second: buckets of the shard's own, shared by all its callers.
//!
//! A bucket is kept as the time at which it will be full again: taking moves that time on by what was taken, divided by
//! the rate, and a bucket holds one second. So nothing has to be refilled, and the sums are whole nanoseconds.
//!
//! Source: Quotas and limits page; API reference of PutRecords, GetRecords and GetShardIterator (read 2026-11).

use super::shard::ShardId;
use super::{Context, ErrorCode, ModelError};

/// Into a shard, in a second.
const RECORDS_IN: u64 = 1_000;
const BYTES_IN: u64 = 1 << 20;
/// Out of a shard, in a second. A page of more than that closes the shard until all of it is paid off, which after 10
/// MiB is five seconds.
const BYTES_OUT: u64 = 2 << 20;
const READS: u64 = 5;
const ITERATORS: u64 = 5;

const SECOND_NS: i64 = 1_000_000_000;

/// The buckets of one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    records_in: Bucket,
    bytes_in: Bucket,
    bytes_out: Bucket,
    reads: Bucket,
    iterators: Bucket,
    /// Not read before this, after a page that was more than a second's worth.
    closed_until_ns: i64,
}

impl Throughput {
    pub const fn new() -> Throughput {
        Throughput {
            records_in: Bucket::of(RECORDS_IN),
            bytes_in: Bucket::of(BYTES_IN),
            bytes_out: Bucket::of(BYTES_OUT),
            reads: Bucket::of(READS),
            iterators: Bucket::of(ITERATORS),
            closed_until_ns: i64::MIN,
        }
    }

    /// Takes a record of so many bytes, key and data. One larger than a second's worth needs a full bucket, and leaves it
    /// in debt.
    ///
    /// # Errors
    /// When a second has had its records or bytes. Then nothing is taken.
    pub fn put(&mut self, now_ms: i64, bytes: usize) -> Result<(), RateExceeded> {
        let bytes = u64::try_from(bytes).expect("at most 10 MiB");
        let now = nanos(now_ms);
        if self.records_in.has(now, 1) && self.bytes_in.has(now, bytes) {
            self.records_in.take(now, 1);
            self.bytes_in.take(now, bytes);
            return Ok(());
        }
        Err(RateExceeded)
    }

    /// Takes a GetRecords call, whose page is then told by [`Throughput::page`].
    ///
    /// # Errors
    /// When a second has had its calls or bytes.
    pub fn read(&mut self, now_ms: i64) -> Result<(), RateExceeded> {
        let now = nanos(now_ms);
        if now >= self.closed_until_ns && self.reads.has(now, 1) && self.bytes_out.has(now, 1) {
            self.reads.take(now, 1);
            return Ok(());
        }
        Err(RateExceeded)
    }

    /// A page of so many bytes went out.
    pub fn page(&mut self, now_ms: i64, bytes: usize) {
        let bytes = u64::try_from(bytes).expect("at most 10 MiB");
        let now = nanos(now_ms);
        self.bytes_out.take(now, bytes);
        if bytes > BYTES_OUT {
            self.closed_until_ns = self.bytes_out.full_at_ns;
        }
    }

    /// Takes a GetShardIterator call.
    ///
    /// # Errors
    /// When a second has had its calls.
    pub fn iterator(&mut self, now_ms: i64) -> Result<(), RateExceeded> {
        let now = nanos(now_ms);
        if self.iterators.has(now, 1) {
            self.iterators.take(now, 1);
            return Ok(());
        }
        Err(RateExceeded)
    }
}

/// The shard has had enough for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateExceeded;

impl RateExceeded {
    /// The service's sentence.
    pub fn message(self, shard: ShardId, stream: &str, cx: Context<'_>) -> String {
        format!("Rate exceeded for shard {shard} in stream {stream} under account {}.", cx.account)
    }

    /// The whole call refused.
    pub fn error(self, shard: ShardId, stream: &str, cx: Context<'_>) -> ModelError {
        ModelError::new(ErrorCode::ProvisionedThroughputExceeded, self.message(shard, stream, cx))
    }
}

/// A second's worth of something.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: u64,
    full_at_ns: i64,
}

impl Bucket {
    const fn of(per_second: u64) -> Bucket {
        Bucket { per_second, full_at_ns: i64::MIN }
    }

    /// Is so much left, or is it full if that is more than it can hold?
    fn has(&self, now_ns: i64, amount: u64) -> bool {
        let missing_ns = self.full_at_ns.saturating_sub(now_ns).max(0);
        missing_ns + self.time_of(amount.min(self.per_second)) <= SECOND_NS
    }

    fn take(&mut self, now_ns: i64, amount: u64) {
        self.full_at_ns = self.full_at_ns.max(now_ns) + self.time_of(amount);
    }

    fn time_of(&self, amount: u64) -> i64 {
        // At most 10 MiB: far from 2^63 ns.
        i64::try_from(amount * SECOND_NS.unsigned_abs() / self.per_second).expect("amounts are of one call")
    }
}

fn nanos(time_ms: i64) -> i64 {
    time_ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shard_takes_a_thousand_records_at_once_and_one_more_each_millisecond() {
        let mut shard = Throughput::new();
        let mut taken = |now_ms, count: usize| (0..count).filter(|_| shard.put(now_ms, 100).is_ok()).count();
        assert_eq!(taken(0, 1_500), 1_000);
        assert_eq!(taken(1, 10), 1);
        assert_eq!(taken(500, 1_000), 499);
        assert_eq!(taken(10_000, 1_500), 1_000, "no more than a second is saved up");
    }

    #[test]
    fn shard_takes_a_mebibyte_a_second_and_a_larger_record_when_rested() {
        let mut shard = Throughput::new();
        let half = 1 << 19;
        assert_eq!([shard.put(0, half), shard.put(0, half), shard.put(0, 1)], [Ok(()), Ok(()), Err(RateExceeded)]);
        assert_eq!([shard.put(500, half), shard.put(500, 1)], [Ok(()), Err(RateExceeded)]);
        let large = 10 << 20;
        assert_eq!(shard.put(1_000, large), Err(RateExceeded), "half full is not rested");
        assert_eq!(shard.put(1_500, large), Ok(()));
        assert_eq!(shard.put(1_500 + 8_999, half), Err(RateExceeded), "ten seconds' worth is owed");
        assert_eq!(shard.put(1_500 + 9_500, half), Ok(()));
    }

    #[test]
    fn shard_is_read_five_times_a_second() {
        let mut shard = Throughput::new();
        let mut read = |now_ms| shard.read(now_ms).is_ok();
        assert_eq!([0; 6].map(&mut read), [true, true, true, true, true, false]);
        assert_eq!([199, 200, 200, 400].map(&mut read), [false, true, false, true]);
    }

    #[test]
    fn page_of_ten_mebibytes_closes_the_shard_for_five_seconds() {
        let mut shard = Throughput::new();
        shard.read(0).unwrap();
        shard.page(0, 10 << 20);
        assert_eq!(shard.read(4_999), Err(RateExceeded));
        assert_eq!(shard.read(5_000), Ok(()));
        assert_eq!(shard.put(0, 100), Ok(()), "in and out are apart");
    }

    #[test]
    fn pages_of_a_second_s_worth_are_two_mebibytes() {
        let mut shard = Throughput::new();
        for _ in 0..2 {
            shard.read(0).unwrap();
            shard.page(0, 1 << 20);
        }
        assert_eq!(shard.read(0), Err(RateExceeded));
        assert_eq!(shard.read(1), Ok(()));
    }

    #[test]
    fn iterators_are_five_a_second() {
        let mut shard = Throughput::new();
        assert_eq!((0..9).filter(|_| shard.iterator(7).is_ok()).count(), 5);
        assert_eq!(shard.iterator(207), Ok(()));
    }

    proptest! {
        /// Whatever is asked for and when, no second and its burst give more than two seconds' worth.
        #[test]
        fn no_window_of_a_second_takes_more_than_twice_the_rate(
            puts in prop::collection::vec((0_i64..300, 1_usize..200_000), 1..200),
        ) {
            let mut shard = Throughput::new();
            let (mut now, mut taken) = (0, Vec::new());
            for (elapsed_ms, bytes) in puts {
                now += elapsed_ms;
                if shard.put(now, bytes).is_ok() {
                    taken.push((now, bytes));
                }
            }
            for (from, _) in &taken {
                let second = taken.iter().filter(|(at, _)| (*from..from + 1_000).contains(at));
                let bytes: usize = second.map(|(_, bytes)| bytes).sum();
                prop_assert!(bytes <= 2 << 20, "{bytes} from {from}");
            }
        }
    }
}
