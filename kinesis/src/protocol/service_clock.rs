//! The service's clock, bounded from both sides by the `Date` headers of its answers.
//!
//! An answer sent for at `s`, received at `r` (our monotonic clock) with `Date: D` (whole seconds, rounded down) was
//! stamped at some moment between `s` and `r`, when the service's clock showed something in `[D, D + 1 s)`:
//!
//! ```text
//!   ours       s ------- stamped ------- r            D - r  <=  service's clock - ours  <  D + 1 s - s
//!   service        D <= . < D + 1 s
//! ```
//!
//! The greatest left side of ten minutes is a lower bound that closes in to within a round trip although `D` has whole
//! seconds; evidence and `T0` use it (too early is safe). The least right side is the upper bound; `T_stop` uses it.
//! Front ends differ and clocks are set: what lies further than 1.5 s from the median is dropped and counted. A service
//! clock that steps back leaves the lower bound too high until the median has followed; that is counted too.

use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;

/// How long a bound is believed.
const MEMORY: Duration = Duration::from_secs(600);
/// A sample this far from the median is not believed: `Date` hides up to 1 s, the rest is room for the round trip.
const OUTLIER_NS: i128 = 1_500_000_000;
/// Samples the median is taken over.
const MEDIAN_SAMPLES: usize = 31;
/// Samples before the median is asked at all.
const MEDIAN_SAMPLES_MIN: usize = 3;
/// `Date` has whole seconds.
const DATE_RESOLUTION_NS: i128 = 1_000_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// When a call was sent and answered, on our monotonic clock, and what the service's clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Taken before the first byte was written.
    pub sent: Moment,
    /// Taken after the answer's head was read.
    pub received: Moment,
    /// The `Date` header in ms since 1970, if there was a usable one.
    pub date_ms: Option<i64>,
}

/// Bounds of the service's clock. One for each endpoint and worker; plain data.
#[derive(Debug, Default)]
pub struct ServiceClock {
    /// Best lower bounds of `service - ours` in ns: strictly falling values, rising moments (a sliding maximum).
    lower: VecDeque<Bound>,
    /// Best upper bounds: strictly rising values, rising moments.
    upper: VecDeque<Bound>,
    recent: VecDeque<i128>,
    /// This host's clock at the origin of moments, in ms since 1970.
    host_ms_at_zero: Option<i64>,
    counters: ClockCounters,
}

#[derive(Debug, Clone, Copy)]
struct Bound {
    offset_ns: i128,
    at: Moment,
}

/// What the clock has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockCounters {
    /// Answers with a usable `Date`.
    pub samples: u64,
    /// Of these, how many lay further than 1.5 s from the median and were not believed.
    pub outliers: u64,
    /// How often a bound that had been believed was given up because the median had moved away.
    pub steps: u64,
}

impl ServiceClock {
    /// One that has seen nothing.
    pub fn new() -> ServiceClock {
        ServiceClock::default()
    }

    /// The same beside this host's own clock, for endpoints whose answers have no `Date`.
    pub fn beside_host(host_ms_at_zero: i64) -> ServiceClock {
        ServiceClock { host_ms_at_zero: Some(host_ms_at_zero), ..ServiceClock::default() }
    }

    /// This host's clock at `moment`, in ms since 1970, if it was told; says nothing about the service's.
    pub fn host_ms(&self, moment: Moment) -> Option<i64> {
        let since_ms = i64::try_from(moment.as_nanos() / 1_000_000).ok()?;
        self.host_ms_at_zero?.checked_add(since_ms)
    }

    /// Learns from an answer. O(1) amortised but for a median over 31 samples; memory bounded by one bound a second.
    pub fn on_answer(&mut self, timing: Timing) {
        let Some(date_ms) = timing.date_ms else {
            return;
        };
        let date_ns = i128::from(date_ms) * NS_PER_MS;
        let offset_ns = date_ns - i128::from(timing.received.as_nanos());
        self.counters.samples += 1;
        if self.recent.len() == MEDIAN_SAMPLES {
            self.recent.pop_front();
        }
        self.recent.push_back(offset_ns);
        if let Some(median) = self.median() {
            self.give_up_bounds_far_from(median);
            if (offset_ns - median).abs() > OUTLIER_NS {
                self.counters.outliers += 1;
                return;
            }
        }
        let upper_ns = date_ns + DATE_RESOLUTION_NS - i128::from(timing.sent.as_nanos());
        keep(&mut self.lower, Bound { offset_ns, at: timing.received }, |new, old| new >= old);
        keep(&mut self.upper, Bound { offset_ns: upper_ns, at: timing.received }, |new, old| new <= old);
        self.forget_before(timing.received);
    }

    /// A time that the service's clock had reached at `moment`, in ms since 1970, rounded down; never later than the
    /// truth while its clock only runs. `None` until an answer had a usable `Date`.
    pub fn earliest_ms(&self, moment: Moment) -> Option<i64> {
        let bound = self.lower.front()?;
        to_ms((bound.offset_ns + i128::from(moment.as_nanos())).div_euclid(NS_PER_MS))
    }

    /// The same once enough answers have been compared: front ends differ, and of the first two nobody can tell which is
    /// off. For what would lose records if it were wrong.
    pub fn agreed_ms(&self, moment: Moment) -> Option<i64> {
        self.earliest_ms(moment).filter(|_| self.recent.len() >= MEDIAN_SAMPLES_MIN)
    }

    /// A time that the service's clock had not passed at `moment`, in ms since 1970, rounded up; never earlier than the
    /// truth. `None` until an answer had a usable `Date`.
    pub fn latest_ms(&self, moment: Moment) -> Option<i64> {
        let bound = self.upper.front()?;
        to_ms(-(-(bound.offset_ns + i128::from(moment.as_nanos()))).div_euclid(NS_PER_MS))
    }

    /// What it has seen.
    pub fn counters(&self) -> ClockCounters {
        self.counters
    }

    fn median(&self) -> Option<i128> {
        if self.recent.len() < MEDIAN_SAMPLES_MIN {
            return None;
        }
        let mut sorted: Vec<i128> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        Some(sorted[sorted.len() / 2])
    }

    fn forget_before(&mut self, now: Moment) {
        for bounds in [&mut self.lower, &mut self.upper] {
            // The last one is kept: an old bound is better than none.
            while bounds.len() > 1 && bounds.front().is_some_and(|bound| now.since(bound.at) > MEMORY) {
                bounds.pop_front();
            }
        }
    }

    fn give_up_bounds_far_from(&mut self, median: i128) {
        let before = self.lower.len() + self.upper.len();
        self.lower.retain(|bound| (bound.offset_ns - median).abs() <= OUTLIER_NS);
        // The median is of lower bounds; an honest upper bound lies up to 1 s and a round trip above.
        self.upper
            .retain(|bound| (bound.offset_ns - DATE_RESOLUTION_NS - median).abs() <= OUTLIER_NS + DATE_RESOLUTION_NS);
        self.counters.steps += u64::from(self.lower.len() + self.upper.len() < before);
    }
}

/// Puts `new` behind the bounds that are `better` than it; worse ones can never be the best again.
fn keep(bounds: &mut VecDeque<Bound>, new: Bound, as_good: impl Fn(i128, i128) -> bool) {
    while bounds.back().is_some_and(|old| as_good(new.offset_ns, old.offset_ns)) {
        bounds.pop_back();
    }
    // One second is fine enough to forget by, and bounds the memory whatever the rate of calls.
    let crowded = bounds.back().is_some_and(|old| new.at.since(old.at) < Duration::from_secs(1));
    if !crowded {
        bounds.push_back(new);
    }
}

fn to_ms(ms: i128) -> Option<i64> {
    i64::try_from(ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A service whose clock shows `ours + offset`, answering with whole seconds.
    fn answer(offset_ms: i64, sent_ms: u64, stamped_ms: u64, received_ms: u64) -> Timing {
        let clock = offset_ms + i64::try_from(stamped_ms).unwrap();
        Timing {
            sent: Moment::from_millis(sent_ms),
            received: Moment::from_millis(received_ms),
            date_ms: Some(clock.div_euclid(1000) * 1000),
        }
    }

    #[test]
    fn nothing_is_claimed_without_a_date() {
        let mut clock = ServiceClock::new();
        clock.on_answer(Timing { sent: Moment::ZERO, received: Moment::from_millis(3), date_ms: None });
        assert_eq!((clock.earliest_ms(Moment::ZERO), clock.latest_ms(Moment::ZERO)), (None, None));
    }

    // service's clock = ours + 5_000_300 ms; answers of 10 ms; Date rounds down
    // ours      0        500        690        700
    // service   5000.300 5000.800   5000.990   5001.000
    // Date      5000     5000       5000       5001          lower bound: 300+, 800+ ms short, then 5 ms short
    #[test]
    fn lower_bound_closes_in_when_a_second_turns() {
        let mut clock = ServiceClock::new();
        let short_by = |clock: &ServiceClock| 5_000_300 - clock.earliest_ms(Moment::ZERO).unwrap();
        clock.on_answer(answer(5_000_300, 0, 5, 10));
        assert_eq!(short_by(&clock), 310);
        clock.on_answer(answer(5_000_300, 500, 505, 510));
        assert_eq!(short_by(&clock), 310, "a worse sample does not lower it");
        clock.on_answer(answer(5_000_300, 695, 700, 705));
        assert_eq!(short_by(&clock), 5);
    }

    #[test]
    fn front_end_with_another_clock_is_not_believed_and_counted() {
        let mut clock = ServiceClock::new();
        for at in 0..10 {
            clock.on_answer(answer(1_000_000, at * 200, at * 200, at * 200));
        }
        let before = clock.earliest_ms(Moment::ZERO);
        clock.on_answer(answer(1_030_000, 2_000, 2_000, 2_000));
        assert_eq!(clock.earliest_ms(Moment::ZERO), before);
        assert_eq!(clock.counters().outliers, 1);
    }

    #[test]
    fn wrong_first_sample_is_given_up_once_others_disagree() {
        let mut clock = ServiceClock::new();
        clock.on_answer(answer(1_030_000, 0, 0, 0));
        for at in 1..4 {
            clock.on_answer(answer(1_000_000, at * 200, at * 200, at * 200));
        }
        assert!(clock.earliest_ms(Moment::ZERO).unwrap() <= 1_000_000);
        assert_eq!(clock.counters().steps, 1);
    }

    // The first answer is of a front end that is ten minutes ahead; the second may be.
    #[test]
    fn nothing_is_agreed_before_one_of_three_answers_is_outvoted() {
        let mut clock = ServiceClock::new();
        let now = Moment::from_millis(400);
        clock.on_answer(answer(1_600_000, 0, 0, 0));
        assert_eq!(clock.agreed_ms(now), None);
        clock.on_answer(answer(1_000_000, 200, 200, 200));
        assert_eq!((clock.agreed_ms(now), clock.earliest_ms(now)), (None, Some(1_600_400)));
        clock.on_answer(answer(1_000_000, 400, 400, 400));
        assert!(clock.agreed_ms(now).is_none_or(|agreed_ms| agreed_ms <= 1_000_400), "{clock:?}");
        clock.on_answer(answer(1_000_000, 2_000, 2_000, 2_000));
        assert_eq!(clock.agreed_ms(Moment::from_millis(2_000)), Some(1_002_000));
    }

    #[test]
    fn bound_older_than_ten_minutes_is_forgotten() {
        let mut clock = ServiceClock::new();
        clock.on_answer(answer(1_000_000, 0, 0, 0)); // exact
        clock.on_answer(answer(999_900, 601_000, 601_000, 601_000)); // the service drifted: 900 ms hidden by Date
        assert_eq!(clock.earliest_ms(Moment::ZERO), Some(999_000));
    }

    proptest! {
        #[test]
        fn bounds_hold_the_truth_between_them(
            offset_ms in -5_000i64..2_000_000_000_000,
            calls in prop::collection::vec((0u64..3_000, 0u64..400, 0u64..400), 1..200),
        ) {
            let mut clock = ServiceClock::new();
            let mut now = 0;
            for (pause, there, back) in calls {
                let sent = now + pause;
                now = sent + there + back;
                clock.on_answer(answer(offset_ms, sent, sent + there, now));
                let truth = offset_ms + i64::try_from(now).unwrap();
                let (earliest, latest) = (clock.earliest_ms(Moment::from_millis(now)), clock.latest_ms(Moment::from_millis(now)));
                prop_assert!(earliest.unwrap() <= truth, "{earliest:?} > {truth}");
                prop_assert!(latest.unwrap() >= truth, "{latest:?} < {truth}");
                prop_assert!(latest.unwrap() - earliest.unwrap() <= 2_000 + 800);
            }
        }
    }
}
