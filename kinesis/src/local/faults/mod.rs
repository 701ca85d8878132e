//! Faults on purpose: which call is throttled, delayed, cut, failed or told that its iterator is too old.
//!
//! A plain machine: told what is called and where, it says what is to become of it, by a generator of its own, seeded.
//! The front and the server only do as it says. A fault is written as one text, the same on the command line, in an
//! admin call and in what is said of it:
//!
//! ```text
//! KIND[:OPERATION][:stream=NAME][:shard=ID][:rate=0.5][:count=3][:ms=200][:mean=200][:status=503][:after]
//! ```
//!
//! | kind | what happens |
//! |---|---|
//! | `throttle` | `ProvisionedThroughputExceededException` (control plane: `LimitExceededException`); in PutRecords record by record |
//! | `delay` | the answer is given later: by `ms=200`, by anything from `ms=50-500`, or by `mean=200`, exponentially spread |
//! | `cut` | the answer's head is whole, its body ends half-way, the connection breaks |
//! | `reset` | no answer at all: the connection is closed; with `after` only once the call has had its effect |
//! | `5xx` | `status`, 500 unless said; with `after` only once the call has had its effect |
//! | `expire` | `ExpiredIteratorException` of GetRecords; `ExpiredNextTokenException` of listings that go on at a token |
//!
//! Without an operation, or with `*`, any is meant. `rate` is the part of calls (of records, for throttled puts) that
//! it happens to, all unless said; after `count` times it is over. A shard is known of GetRecords and GetShardIterator,
//! and for throttled puts of each record; a fault with a shard happens to nothing else.

mod text;

use std::fmt;

use super::model::{PutThrottle, ShardId};

pub use text::FaultError;

/// One thing that goes wrong. See the module's head; made by parsing.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: Kind,
    operation: Option<String>,
    stream: Option<String>,
    shard: Option<ShardId>,
    /// Above 0, up to 1.
    rate: f64,
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Throttle,
    Delay(Delay),
    Cut,
    Reset { after: bool },
    Fail { status: u16, after: bool },
    Expire,
}

/// By how many ms an answer is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delay {
    By(u64),
    Between(u64, u64),
    /// Exponentially spread: most are shorter, some much longer.
    Mean(u64),
}

/// No answer is later than by an hour.
const DELAY_MS_MAX: u64 = 3_600_000;

impl Delay {
    fn draw(self, rng: &mut fastrand::Rng) -> u64 {
        match self {
            Delay::By(ms) => ms,
            Delay::Between(least, most) => rng.u64(least..=most),
            Delay::Mean(ms) => {
                #[expect(clippy::cast_precision_loss, reason = "at most an hour")]
                let drawn = -(1.0 - rng.f64()).ln() * ms as f64;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; not negative")]
                let drawn = drawn as u64;
                drawn.min(DELAY_MS_MAX)
            }
        }
    }
}

/// What is called, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub operation: String,
    pub stream: Option<String>,
    pub shard: Option<ShardId>,
    /// Does it give an iterator or a listing's token, which may have expired?
    pub goes_on: bool,
}

/// What is to become of a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// The answer is given so much later.
    pub delay_ms: u64,
    /// The answer breaks off.
    pub cut: bool,
    /// It is refused and has no effect.
    pub refusal: Option<Refused>,
    /// It has its effect, and then fails with this status.
    pub lost: Option<u16>,
    /// It has its effect, and then nothing is answered.
    pub reset: bool,
    /// Its records fail one by one.
    pub puts: Option<PutThrottle>,
}

/// How a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Throttled,
    Expired,
    Failed(u16),
    /// Nothing is answered.
    Reset,
}

/// The faults that are in force.
#[derive(Debug)]
pub struct Faults {
    rng: fastrand::Rng,
    armed: Vec<Armed>,
    /// Whose throttled puts are counted next.
    putting: Option<usize>,
}

/// A fault and how often it has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Armed {
    /// The fault.
    pub fault: Fault,
    /// Calls it has happened to; records, for throttled puts.
    pub happened: u64,
}

impl Faults {
    /// None in force; coins are thrown by this seed.
    pub fn new(seed: u64) -> Faults {
        Faults { rng: fastrand::Rng::with_seed(seed ^ 0xfa17), armed: Vec::new(), putting: None }
    }

    /// One more in force.
    pub fn add(&mut self, fault: Fault) {
        self.armed.push(Armed { fault, happened: 0 });
    }

    /// None in force.
    pub fn clear(&mut self) {
        self.armed.clear();
        self.putting = None;
    }

    /// Those in force, and those that are over.
    pub fn all(&self) -> &[Armed] {
        &self.armed
    }

    /// What is to become of a call. The place is asked for only if it matters.
    pub(super) fn verdict(&mut self, place: impl FnOnce() -> Place) -> Verdict {
        let mut verdict = Verdict::default();
        self.putting = None;
        if self.armed.iter().all(Armed::is_over) {
            return verdict;
        }
        let place = place();
        let puts = matches!(place.operation.as_str(), "PutRecord" | "PutRecords");
        for (index, armed) in self.armed.iter_mut().enumerate() {
            let fault = &armed.fault;
            if armed.is_over() || !fault.meets(&place, puts) {
                continue;
            }
            if fault.kind == Kind::Throttle && puts {
                if self.putting.is_none() {
                    let left = fault.count.map_or(u64::MAX, |count| count - armed.happened);
                    let seed = self.rng.u64(..);
                    verdict.puts = Some(PutThrottle { shard: fault.shard, rate: fault.rate, left, seed });
                    self.putting = Some(index);
                }
                continue;
            }
            // A coin for each call, also at rate 1: what one fault does must not change another's coins.
            let drawn_ms = if let Kind::Delay(delay) = fault.kind { delay.draw(&mut self.rng) } else { 0 };
            if self.rng.f64() >= fault.rate {
                continue;
            }
            let refused = match fault.kind {
                Kind::Throttle => Some(Refused::Throttled),
                Kind::Expire => Some(Refused::Expired),
                Kind::Fail { status, after: false } => Some(Refused::Failed(status)),
                Kind::Fail { status, after: true } => {
                    verdict.lost = Some(status);
                    None
                }
                Kind::Delay(_) => {
                    verdict.delay_ms = verdict.delay_ms.saturating_add(drawn_ms);
                    None
                }
                Kind::Reset { after: false } => Some(Refused::Reset),
                Kind::Reset { after: true } => {
                    verdict.reset = true;
                    None
                }
                Kind::Cut => {
                    verdict.cut = true;
                    None
                }
            };
            if refused.is_some() && verdict.refusal.is_some() {
                continue;
            }
            verdict.refusal = verdict.refusal.or(refused);
            armed.happened += 1;
        }
        verdict
    }

    /// So many records of the call just judged were throttled.
    pub(super) fn on_throttled_puts(&mut self, count: u64) {
        if let Some(armed) = self.putting.take().and_then(|index| self.armed.get_mut(index)) {
            armed.happened += count;
        }
    }
}

impl Armed {
    /// Has it happened as often as it should?
    pub fn is_over(&self) -> bool {
        self.fault.count.is_some_and(|count| self.happened >= count)
    }
}

impl Fault {
    fn meets(&self, place: &Place, puts: bool) -> bool {
        let expirable = self.kind != Kind::Expire || place.goes_on;
        let by_record = self.kind == Kind::Throttle && puts;
        let shard = by_record || self.shard.is_none() || self.shard == place.shard;
        let operation = self.operation.as_ref().is_none_or(|operation| *operation == place.operation);
        let stream = self.stream.is_none() || self.stream == place.stream;
        expirable && shard && operation && stream
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(self, f)
    }
}

#[cfg(test)]
mod tests;
