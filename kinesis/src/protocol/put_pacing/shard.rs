//! How fast one shard may be put to, learnt from its refusals.
//!
//! A shard that refuses nothing is not slowed. One that throttles is taken to have its share of what the service promises
//! for a shard; the share is cut by each further throttling, and grows back slowly while nothing is refused (additive
//! increase, multiplicative decrease: so that several producers of a shard come to equal shares). Source for what a shard
//! takes: *Kinesis Developer Guide*, "Quotas and limits", read 2026-11-24.

use std::time::Duration;

use super::{PAUSE_MAX, PAUSE_MIN};
use crate::protocol::Moment;

/// A record's part of a second of its shard: a thousandth, or its part of 1 MiB.
const NANOS_PER_RECORD: u128 = 1_000_000;
const BYTES_PER_S: u128 = 1 << 20;
/// How much may go at once after a rest.
const BURST: Duration = Duration::from_millis(100);
/// What is left of a share that was too much; calls under way say the same thing again, so not more often than that.
const CUT: f64 = 0.7;
const CUTS_APART: Duration = Duration::from_millis(200);
const SHARE_MIN: f64 = 0.01;
/// A shard that takes nothing is paused, and says little of our share of it; so much stays, to look with and to go on from.
const SHARE_BLOCKED: f64 = 0.25;
/// By how much a share grows in a second.
const GROWTH_PER_S: f64 = 0.1;
/// A share that grew so far needs no bound: the shard takes more than was promised, or we want less.
const SHARE_FREE: f64 = 1.5;

/// What an answer said of the records that went to one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records in the stream.
    pub taken: u64,
    /// Records refused for going too fast.
    pub throttled: u64,
    /// Records refused for something else that passes.
    pub refused: u64,
}

/// See the module's head.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShardPutPace {
    /// Of a shard's promised rate; `None`: no bound.
    share: Option<f64>,
    /// When all that was sent will have had its time.
    spent: Moment,
    /// Nothing goes before.
    hold: Moment,
    pause: Duration,
    changed: Moment,
}

impl ShardPutPace {
    /// No bound.
    pub fn new() -> ShardPutPace {
        ShardPutPace::default()
    }

    /// The earliest moment for the next record.
    pub fn due(&self) -> Moment {
        let burst = u64::try_from(BURST.as_nanos()).expect("a tenth of a second");
        let by_rate = Moment::from_nanos(self.spent.as_nanos().saturating_sub(burst));
        if self.share.is_some() { by_rate.max(self.hold) } else { self.hold }
    }

    /// A record of so many bytes of key and data is sent.
    pub fn on_sent(&mut self, bytes: usize, now: Moment) {
        let Some(share) = self.share else {
            return;
        };
        let whole = NANOS_PER_RECORD.max(bytes as u128 * 1_000_000_000 / BYTES_PER_S);
        let cost = Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX)).div_f64(share);
        self.spent = self.spent.max(now) + cost;
    }

    /// An answer came.
    pub fn on_answer(&mut self, tally: Tally, now: Moment, rng: &mut fastrand::Rng) {
        if tally.throttled > 0 {
            self.cut(if tally.taken > 0 { SHARE_MIN } else { SHARE_BLOCKED }, now);
        }
        if tally.throttled + tally.refused > 0 {
            // Where something was taken there is room soon; where nothing was, each look costs a call.
            let again = if tally.taken > 0 { PAUSE_MIN } else { self.pause * 2 };
            self.pause = again.clamp(PAUSE_MIN, PAUSE_MAX);
            self.hold = self.hold.max(now + self.pause.mul_f64(0.5 + 0.5 * rng.f64()));
            if tally.taken == 0 {
                // No burst after a rest in which, as far as we know, nothing was gained.
                self.spent = self.spent.max(self.hold + BURST);
            }
            return;
        }
        self.pause = Duration::ZERO;
        self.share = self.share.map(|share| share + GROWTH_PER_S * now.since(self.changed).as_secs_f64().min(1.0));
        self.changed = now;
        self.share = self.share.filter(|share| *share < SHARE_FREE);
    }

    fn cut(&mut self, least: f64, now: Moment) {
        let share = match self.share {
            None => 1.0,
            Some(share) if now.since(self.changed) >= CUTS_APART => (share * CUT).max(least.min(share)),
            Some(_) => return,
        };
        self.share = Some(share);
        self.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(1)
    }

    const TAKEN: Tally = Tally { taken: 10, throttled: 0, refused: 0 };
    const THROTTLED: Tally = Tally { taken: 10, throttled: 1, refused: 0 };
    const BLOCKED: Tally = Tally { taken: 0, throttled: 5, refused: 0 };

    /// Records of so many bytes sent within a second, each as soon as it may go.
    fn sent_in_a_second(pace: &mut ShardPutPace, from: Moment, bytes: usize) -> u64 {
        let mut sent = 0;
        for at in 0..1_000 {
            let now = from + Duration::from_millis(at);
            while pace.due() <= now && sent < 100_000 {
                pace.on_sent(bytes, now);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn shard_that_refuses_nothing_is_not_slowed() {
        let mut pace = ShardPutPace::new();
        assert_eq!(sent_in_a_second(&mut pace, ms(0), 100), 100_000);
        pace.on_answer(TAKEN, ms(1_000), &mut rng());
        assert_eq!(pace.due(), Moment::ZERO);
    }

    #[test]
    fn throttled_shard_gets_what_a_shard_takes_in_records_or_bytes_and_then_less() {
        let mut pace = ShardPutPace::new();
        pace.on_answer(THROTTLED, ms(0), &mut rng());
        let sent = sent_in_a_second(&mut pace, ms(1_000), 100);
        assert!((1_000..=1_101).contains(&sent), "{sent} with the burst");
        let sent = sent_in_a_second(&mut pace, ms(3_000), 64 << 10);
        assert!((16..=19).contains(&sent), "{sent} of 64 KiB");
        pace.on_answer(THROTTLED, ms(5_000), &mut rng());
        pace.on_answer(THROTTLED, ms(5_010), &mut rng());
        let sent = sent_in_a_second(&mut pace, ms(6_000), 100);
        assert!((700..=771).contains(&sent), "{sent}: one cut, though two calls said it");
    }

    #[test]
    fn share_grows_back_and_its_bound_goes() {
        let mut pace = ShardPutPace::new();
        pace.on_answer(THROTTLED, ms(0), &mut rng());
        pace.on_answer(THROTTLED, ms(500), &mut rng());
        // From 0.7 to 1.5, a tenth a second.
        for second in 1..=9 {
            assert!(pace.share.is_some(), "after {second} s");
            pace.on_answer(TAKEN, ms(second * 1_000), &mut rng());
        }
        assert_eq!(pace.share, None);
    }

    #[test]
    fn shard_that_takes_nothing_is_asked_less_and_less_often() {
        let (mut pace, mut rng, mut now, mut looks) = (ShardPutPace::new(), rng(), ms(0), 0);
        while now < ms(60_000) {
            pace.on_answer(BLOCKED, now, &mut rng);
            assert!(pace.due() > now && pace.due() <= now + Duration::from_secs(11), "{:?}", pace.due());
            now = pace.due();
            pace.on_sent(100, now);
            looks += 1;
        }
        assert!((8..40).contains(&looks), "{looks} in a minute");
    }

    proptest! {
        #[test]
        fn pace_is_never_stuck_and_never_beyond_a_pause_and_a_records_time(
            answers in prop::collection::vec((0u64..3, 0u64..3, 0u64..3, 1usize..(1 << 20), 0u64..500), 1..200), seed: u64,
        ) {
            let (mut pace, mut rng, mut now) = (ShardPutPace::new(), fastrand::Rng::with_seed(seed), ms(0));
            for (taken, throttled, refused, bytes, wait_ms) in answers {
                now = now.max(pace.due());
                pace.on_sent(bytes, now);
                pace.on_answer(Tally { taken, throttled, refused }, now, &mut rng);
                // At the least share a second's worth of bytes takes 100 s.
                prop_assert!(pace.due().since(now) <= Duration::from_secs(100), "{:?}", pace.due().since(now));
                now = now + Duration::from_millis(wait_ms);
            }
        }
    }
}
