//! How fast a shard may be read, and how long to wait after a failure.

use std::time::Duration;

use super::Moment;

/// Least time between two `GetRecords` calls on a shard: 5 a second, all readers of the shard together.
/// Source: *Kinesis Developer Guide*, "Quotas and limits", read 2026-11-23.
pub const CALL_INTERVAL: Duration = Duration::from_millis(200);
/// What a shard gives its polling readers together, in bytes a second. Source: as above; an answer of 10 MiB costs 5 s.
pub const READ_BYTES_PER_S: u64 = 2 * 1024 * 1024;

/// The part of a shard's limits that this process may take, so that others who read the shard have room: 1 is all of it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// All of it.
    pub const WHOLE: Share = Share(1.0);
    /// Less would let an iterator expire between two calls before long.
    pub const MIN: f64 = 0.01;

    /// A part, [`Share::MIN`] to 1.
    pub fn of(part: f64) -> Option<Share> {
        (Share::MIN..=1.0).contains(&part).then_some(Share(part))
    }

    /// Least time between two calls.
    pub fn call_interval(self) -> Duration {
        CALL_INTERVAL.div_f64(self.0)
    }

    /// How long bytes take.
    fn cost(self, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let whole_ns = u128::from(bytes) * 1_000_000_000 / u128::from(READ_BYTES_PER_S);
        Duration::from_nanos(u64::try_from(whole_ns).unwrap_or(u64::MAX)).div_f64(self.0)
    }
}

impl Default for Share {
    fn default() -> Share {
        Share::WHOLE
    }
}

/// When a shard may be asked again, by calls and by bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadPacing {
    due: Moment,
}

impl ReadPacing {
    /// A shard that was not asked yet: due at once.
    pub fn new() -> ReadPacing {
        ReadPacing::default()
    }

    /// A call goes out: the next comes no sooner than the interval allows, whatever this one brings.
    pub fn on_sent(&mut self, now: Moment, share: Share) {
        self.due = self.due.max(now + share.call_interval());
    }

    /// A call sent at `sent` brought `bytes` of keys and data.
    pub fn on_answer(&mut self, sent: Moment, bytes: usize, share: Share) {
        self.due = self.due.max(sent + share.cost(bytes).max(share.call_interval()));
    }

    /// A call failed, the news came at `now`: it counts as a call all the same.
    pub fn on_failure(&mut self, now: Moment, share: Share) {
        self.due = self.due.max(now + share.call_interval());
    }

    /// The earliest moment for the next call.
    pub fn due(&self) -> Moment {
        self.due
    }
}

/// Waits that double from `first` to `last`, each shortened by up to half at random so that readers do not march in step.
#[derive(Debug, Clone, Copy)]
pub struct BackOff {
    first: Duration,
    last: Duration,
    failures: u32,
}

impl BackOff {
    /// One that has seen no failure.
    pub const fn new(first: Duration, last: Duration) -> BackOff {
        BackOff { first, last, failures: 0 }
    }

    /// How long to wait after one more failure: between half and the whole of `first * 2^failures`, at most `last`.
    pub fn next_wait(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(20)).min(self.last);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + 0.5 * rng.f64())
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A success: the next failure waits short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_answer_costs_a_call_and_ten_mebibytes_cost_five_seconds() {
        let mut pacing = ReadPacing::new();
        assert_eq!(pacing.due(), Moment::ZERO);
        pacing.on_answer(Moment::from_millis(1_000), 100, Share::WHOLE);
        assert_eq!(pacing.due(), Moment::from_millis(1_200));
        pacing.on_answer(Moment::from_millis(1_200), 10 * 1024 * 1024, Share::WHOLE);
        assert_eq!(pacing.due(), Moment::from_millis(6_200));
        pacing.on_failure(Moment::from_millis(2_000), Share::WHOLE);
        assert_eq!(pacing.due(), Moment::from_millis(6_200), "a failure does not forgive the bytes");
    }

    #[test]
    fn part_of_a_shard_is_so_much_slower_in_calls_and_bytes() {
        let share = Share::of(0.4).expect("a part");
        let mut pacing = ReadPacing::new();
        pacing.on_answer(Moment::ZERO, 100, share);
        assert_eq!(pacing.due(), Moment::from_millis(500));
        pacing.on_answer(Moment::from_millis(500), 2 * 1024 * 1024, share);
        assert_eq!(pacing.due(), Moment::from_millis(3_000));
        for part in [0.0, 0.009, 1.01, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::of(part), None, "{part}");
        }
        assert_eq!(Share::of(1.0), Some(Share::WHOLE));
    }

    #[test]
    fn back_off_doubles_to_its_limit_and_starts_anew_after_a_success() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(5));
        for whole_ms in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let wait = back_off.next_wait(&mut rng);
            let whole = Duration::from_millis(whole_ms);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
        back_off.reset();
        assert!(back_off.next_wait(&mut rng) <= Duration::from_millis(100));
    }
}
