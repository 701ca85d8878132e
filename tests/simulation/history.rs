//! What one seed decides: the topology, the stream, the faults and the pace of one simulated history.

use std::ops::Range;

use weir_window::{WindowSpec, millis};

use super::faults::Faults;

/// One history's settings. Everything else that is random comes from the same seed, later.
#[derive(Clone, Debug)]
pub struct History {
    pub seed: u64,
    pub workers: usize,
    pub queue_capacity: usize,
    pub shards: u32,
    pub keyed: bool,
    pub keys: u64,
    pub size_ms: i64,
    pub slide_ms: i64,
    pub lag_ms: i64,
    pub margin_ms: i64,
    /// Read from `LATEST`, or everything from the oldest record.
    pub latest: bool,
    /// Virtual time between the first put and the start of the job, and between that and the stop.
    pub before_ms: i64,
    pub run_ms: i64,
    /// Whether records go on coming after the stop.
    pub publish_after_stop: bool,
    pub put_every_us: Range<u64>,
    pub burst_max: u64,
    pub start_delay_us: Range<u64>,
    pub turn_every_us: Range<u64>,
    pub call_delay_us: Range<u64>,
    /// Of 1 000 calls, how many lose their request, lose their answer, have it cut half-way, are throttled, fail with a
    /// 5xx. Those whose answer is lost or cut have been served.
    pub lost_requests: u64,
    pub lost_answers: u64,
    pub cut_answers: u64,
    pub throttled: u64,
    pub unavailable: u64,
    /// Of 1 000 reads, how many find their iterator expired; of 1 000 listings, how many are behind.
    pub expired: u64,
    pub stale_listings: u64,
    /// Of 1 000 turns of a sink, how often it refuses.
    pub sink_refuses: u64,
    pub budget: Range<usize>,
    pub empty_page_one_in: u32,
    /// The service's clock against ours, in ms.
    pub clock_skew_ms: i64,
    /// A barrier is injected this often, so that markers travel too; 0: never.
    pub barrier_every_ms: i64,
    /// A shard is split, or two are merged, about this often, from before the job's start on; 0: never.
    pub reshard_every_ms: i64,
    /// How long a split or a merge takes.
    pub update_delay_ms: i64,
    /// Control lists the stream again this often; 0: never.
    pub discover_every_ms: i64,
    /// How long orders of control and reports to it are under way.
    pub control_delay_us: Range<u64>,
    /// A record can be read so long after it was stamped: no longer than the margin, or the margin would be wrong.
    pub visible_after_ms: i64,
    /// The job runs until now: its stop is fixed at its start. Otherwise it is drained.
    pub until_now: bool,
    /// Records after which nobody puts any more.
    pub records_max: u64,
    /// Bytes of a record's data.
    pub data_bytes: usize,
    pub faults: Faults,
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

impl History {
    pub fn of(seed: u64) -> History {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let (size_ms, slide_ms) =
            pick(rng, &[(1_000, 500), (1_000, 500), (500, 500), (1_000, 100), (700, 300), (2_000, 250), (90, 60)]);
        let faulty = rng.bool();
        let mut per_mille = |max: u64| if faulty { rng.u64(0..=max) } else { 0 };
        let (lost_requests, lost_answers) = (per_mille(60), per_mille(60));
        let (cut_answers, throttled, unavailable) = (per_mille(60), per_mille(100), per_mille(60));
        let (expired, stale_listings) = (per_mille(60), per_mille(500));
        let slow = rng.u8(..4) == 0;
        let margin_ms = pick(rng, &[0, 0, 40, 1_000]);
        let start_delay_us = if rng.bool() { 0..1_000 } else { 0..4_000_000 };
        // Some 3 000 records a second are busy enough for a world that is one thread.
        let (every, burst_max) = pick(
            rng,
            &[
                ((300, 900), 3),
                ((1_000, 50_000), 9),
                ((1_000, 50_000), 40),
                ((10_000, 900_000), 9),
                ((200_000, 3_000_000), 9),
            ],
        );
        let lag_ms = pick(rng, &[0, 0, 50, 400, 3_000]);
        let run_ms = rng.i64(500..6_000);
        let visible_after_ms = rng.i64(0..=margin_ms);
        let history = History {
            seed,
            workers: pick(rng, &[1, 2, 2, 3, 16]),
            queue_capacity: pick(rng, &[1, 16]),
            shards: pick(rng, &[1, 2, 2, 3, 5]),
            keyed: rng.bool(),
            keys: pick(rng, &[1, 3, 10, 200]),
            size_ms,
            slide_ms,
            lag_ms,
            margin_ms,
            latest: rng.bool(),
            before_ms: pick(rng, &[0, 10, 700, 5_000]),
            run_ms,
            publish_after_stop: rng.bool(),
            put_every_us: every.into_range(),
            burst_max,
            start_delay_us,
            turn_every_us: if slow { 1_000..200_000 } else { 50..5_000 },
            call_delay_us: if slow { 1_000..400_000 } else { 100..20_000 },
            lost_requests,
            lost_answers,
            cut_answers,
            throttled,
            unavailable,
            expired,
            stale_listings,
            sink_refuses: pick(rng, &[0, 0, 300, 700]),
            // A worker whose turns are rare and tiny would need hours of its time.
            budget: if slow { 500..1_000 } else { pick(rng, &[(10, 40), (1, 100), (4_096, 4_097)]).into_range() },
            empty_page_one_in: pick(rng, &[0, 0, 3]),
            clock_skew_ms: pick(rng, &[0, 0, -5_000, 600_000, -600_000]),
            barrier_every_ms: pick(rng, &[0, 0, 300]),
            reshard_every_ms: pick(rng, &[0, 0, 150, 700, 2_000]),
            // At least 1: the model closes a shard behind its last record, and would stamp what comes in the same ms later.
            update_delay_ms: pick(rng, &[1, 30, 400]),
            discover_every_ms: pick(rng, &[0, 900]),
            control_delay_us: if slow { 0..300_000 } else { 0..3_000 },
            visible_after_ms,
            until_now: rng.u8(..3) == 0,
            records_max: if rng.u8(..50) == 0 { 40_000 } else { 4_000 },
            data_bytes: 5,
            faults: Faults::default(),
        };
        history.with_faults(&mut fastrand::Rng::with_seed(seed ^ 0xfa_0175))
    }

    /// Draws what else goes wrong, and makes the history fit it.
    fn with_faults(self, rng: &mut fastrand::Rng) -> History {
        let faults = Faults::of(rng, self.run_ms, self.unnoticed_ms());
        let mut history = History { faults, ..self };
        if history.may_make_late() {
            // Each record is in one window or in two: then the counters say exactly what windows must lack.
            (history.size_ms, history.slide_ms) = pick(rng, &[(1_000, 500), (500, 500)]);
        }
        if history.faults.limits.is_some() && rng.u8(..3) == 0 {
            // A mebibyte a second goes into a shard and 2 MiB out of it: what waits at the start makes pages of 10 MiB,
            // behind which a shard is closed for seconds.
            history.data_bytes = pick(rng, &[20_000, 100_000, 500_000]);
            history.before_ms = 13_000;
            history.run_ms += 10_000;
            history.shards = history.shards.min(2);
            history.latest = false;
            history.put_every_us = 20_000..200_000;
            history.burst_max = 3;
            history.records_max = 48_000_000 / history.data_bytes as u64;
        }
        history
    }

    /// By how much the service's clock may step back without making a record late: evidence gives way by what the margin
    /// has beyond what is stamped and not yet readable, what was folded by the lag.
    pub fn unnoticed_ms(&self) -> i64 {
        self.lag_ms.min(self.margin_ms - self.visible_after_ms)
    }

    /// Whether the service's clock steps back by more than that.
    pub fn may_make_late(&self) -> bool {
        self.faults.may_make_late(self.unnoticed_ms())
    }

    /// How long a drain may take, as the program has it where asking for the stop time costs nothing, as it does here.
    pub fn drain_patience_ms(&self) -> i64 {
        self.size_ms + self.lag_ms + self.margin_ms + 4_000
    }

    /// A few records, and then hours of silence.
    pub fn idle(hours: u32) -> History {
        const US_PER_DAY: u64 = 86_400 * 1_000_000;
        let calm = History::of(0);
        History {
            workers: 2,
            shards: 2,
            before_ms: 0,
            run_ms: i64::from(hours) * 3_600_000,
            put_every_us: 100 * US_PER_DAY..101 * US_PER_DAY,
            burst_max: 9,
            start_delay_us: 0..1_000,
            turn_every_us: 50..5_000,
            call_delay_us: 100..20_000,
            lost_requests: 0,
            lost_answers: 0,
            cut_answers: 0,
            throttled: 0,
            unavailable: 0,
            expired: 0,
            stale_listings: 0,
            sink_refuses: 0,
            budget: 4_096..4_097,
            barrier_every_ms: 0,
            reshard_every_ms: 0,
            discover_every_ms: 30_000,
            control_delay_us: 0..3_000,
            until_now: false,
            faults: Faults::default(),
            data_bytes: 5,
            size_ms: 1_000,
            slide_ms: 500,
            ..calm
        }
    }

    /// How long after its end a window's rows are taken at the latest where nothing fails, stops or is slow, in ms; else
    /// `None`. Lag and margin, a second of an idle shard's pace, a second by which a whole-second `Date` may be off, and
    /// some turns and calls.
    pub fn promptness_ms(&self) -> Option<i64> {
        let lossless = self.lost_requests + self.lost_answers + self.cut_answers == 0;
        let calm = lossless
            && self.throttled + self.unavailable + self.expired == 0
            && self.faults.are_none()
            && self.sink_refuses == 0
            && self.empty_page_one_in == 0
            && self.reshard_every_ms == 0
            && self.budget.start >= 4_096
            && self.call_delay_us.end <= 20_000;
        calm.then_some(self.lag_ms + self.margin_ms + 1_000 + 1_000 + 300)
    }

    /// When the last worker may have begun, and have read what was there, in ms of virtual time.
    pub fn began_ms_latest(&self) -> i64 {
        self.before_ms + i64::try_from(self.start_delay_us.end / 1_000).unwrap_or(0) + 3_000
    }

    pub fn window(&self) -> WindowSpec {
        WindowSpec::sliding(millis(self.size_ms), millis(self.slide_ms)).expect("a valid window")
    }
}

/// A pair as a range, because ranges are not `Copy`.
trait IntoRange<T> {
    fn into_range(self) -> Range<T>;
}

impl<T> IntoRange<T> for (T, T) {
    fn into_range(self) -> Range<T> {
        self.0..self.1
    }
}
