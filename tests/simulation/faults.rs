//! What goes wrong in a history beside single calls: storms, clocks that step, readers that die, another consumer.

/// All of it; times are in ms after the job's start.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub storms: Vec<Storm>,
    /// Steps of the service's clock.
    pub steps: Vec<Step>,
    /// Readers that end before their shard does.
    pub crashes: Vec<Crash>,
    /// The job is cancelled, not drained.
    pub cancel_at_ms: Option<i64>,
    /// A drain has the limit that the program gives it; otherwise all the time it needs.
    pub impatient: bool,
    /// Of 1 000 answers with records or none, how many come from a front end whose clock is off by up to ten minutes.
    pub odd_dates: u64,
    pub limits: Option<Limits>,
}

/// A spell in which calls fail.
#[derive(Clone, Debug)]
pub struct Storm {
    pub from_ms: i64,
    pub to_ms: i64,
    pub kind: StormKind,
    /// Only calls for shards of even numbers.
    pub spares_odd: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StormKind {
    /// Nobody takes the request.
    Refused,
    /// The connection is closed, with half of the requests served before.
    Reset,
    /// The request is served; of the answer half arrives.
    Cut,
    /// Served, late: some answers come after the caller has given up.
    Slow,
    /// 500, 503.
    Unavailable,
    Throttled,
}

/// The service's clock is set.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub at_ms: i64,
    pub by_ms: i64,
}

/// A reader ends.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    pub at_ms: i64,
    pub kind: CrashKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// Its task ends by an error or a panic, wherever it is: the job fails.
    Dies,
    /// Its next call is refused for good: the machine gives up, and the job fails.
    Refused,
    /// It is begun again at the position of what it passed on last. Nothing in the program does that yet; restoring a
    /// checkpoint will, and this shows that the positions are good for it.
    Reborn,
}

/// The service's limits on what a shard gives and takes in a second are kept.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Another consumer reads every shard this often; 0: there is none.
    pub rival_every_ms: i64,
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

/// Of so many histories one.
fn one_in(rng: &mut fastrand::Rng, n: u32) -> bool {
    rng.u32(..n) == 0
}

impl Faults {
    /// Half of all histories have none. `unnoticed_ms` is how far the service's clock may step back unnoticed.
    pub fn of(rng: &mut fastrand::Rng, run_ms: i64, unnoticed_ms: i64) -> Faults {
        if rng.bool() {
            return Faults::default();
        }
        // Some come before a worker has begun, some after the stop.
        let until_ms = run_ms + 2_000;
        let storms = if rng.bool() { 0 } else { rng.usize(1..=3) };
        let storm = |rng: &mut fastrand::Rng| {
            let from_ms = rng.i64(0..until_ms);
            use StormKind::{Cut, Refused, Reset, Slow, Throttled, Unavailable};
            Storm {
                from_ms,
                to_ms: from_ms + if one_in(rng, 10) { 30_000 } else { rng.i64(100..3_000) },
                kind: pick(rng, &[Refused, Reset, Cut, Slow, Unavailable, Throttled]),
                spares_odd: rng.bool(),
            }
        };
        let steps = if one_in(rng, 3) { rng.usize(1..=2) } else { 0 };
        let step = |rng: &mut fastrand::Rng| {
            let by_ms = match rng.u8(..6) {
                0 => 600_000,
                1 => rng.i64(1..3_000),
                2 => -600_000,
                3 => -rng.i64(1..5_000),
                _ => -rng.i64(0..=unnoticed_ms),
            };
            Step { at_ms: rng.i64(0..until_ms), by_ms }
        };
        let crash = |rng: &mut fastrand::Rng, kind| Crash { at_ms: rng.i64(0..until_ms), kind };
        let mut crashes = Vec::new();
        if one_in(rng, 8) {
            let kind = pick(rng, &[CrashKind::Dies, CrashKind::Refused]);
            crashes.push(crash(rng, kind));
        }
        if one_in(rng, 3) {
            crashes.extend((0..rng.usize(1..20)).map(|_| crash(rng, CrashKind::Reborn)));
        }
        Faults {
            storms: (0..storms).map(|_| storm(rng)).collect(),
            steps: (0..steps).map(|_| step(rng)).collect(),
            crashes,
            cancel_at_ms: one_in(rng, 12).then(|| rng.i64(0..until_ms)),
            impatient: rng.bool(),
            limits: one_in(rng, 3).then(|| Limits { rival_every_ms: pick(rng, &[0, 450, 700, 3_000]) }),
            odd_dates: if one_in(rng, 3) { rng.u64(1..300) } else { 0 },
        }
    }

    /// Whether nothing here delays a result.
    pub fn are_none(&self) -> bool {
        self.storms.is_empty()
            && self.steps.is_empty()
            && self.crashes.is_empty()
            && self.cancel_at_ms.is_none()
            && self.odd_dates == 0
            && self.limits.is_none()
    }

    /// Whether the service's clock ever goes back by so much that records may be late.
    pub fn may_make_late(&self, unnoticed_ms: i64) -> bool {
        let (mut offset, mut highest, mut lowest) = (0_i64, 0_i64, 0_i64);
        let mut steps = self.steps.clone();
        steps.sort_by_key(|step| step.at_ms);
        for step in steps {
            offset += step.by_ms;
            highest = highest.max(offset);
            lowest = lowest.max(highest - offset);
        }
        lowest > unnoticed_ms
    }
}
