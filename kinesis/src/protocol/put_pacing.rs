//! How fast a writer may put, learnt from refusals: for the writer as a whole a pause between calls that doubles when
//! records are throttled and halves when none is; for a shard that is known, its own pace.

mod shard;

use std::time::Duration;

use super::{ErrorKind, Moment};

/// First pause after a throttled answer.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

pub use shard::{ShardPutPace, Tally};

/// The pause between calls: after a call was refused as a whole, or a record of which it is not known to what shard it goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutPacing {
    pause: Duration,
    due: Moment,
}

impl PutPacing {
    /// No pause.
    pub fn new() -> PutPacing {
        PutPacing::default()
    }

    /// Every record of an answer that came at `now` was taken: the pause halves, and ends below its least.
    pub fn on_taken(&mut self, now: Moment) {
        self.pause = match self.pause / 2 {
            short if short < PAUSE_MIN => Duration::ZERO,
            pause => pause,
        };
        self.due = self.due.max(now + self.pause);
    }

    /// Some record, or the whole call, was refused for now: the pause doubles, shortened by up to half at random.
    pub fn on_refused(&mut self, now: Moment, rng: &mut fastrand::Rng) {
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        self.due = self.due.max(now + self.pause.mul_f64(0.5 + 0.5 * rng.f64()));
    }

    /// No call before `moment`, for a reason of its own.
    pub fn hold_until(&mut self, moment: Moment) {
        self.due = self.due.max(moment);
    }

    /// The earliest moment for the next call.
    pub fn due(&self) -> Moment {
        self.due
    }
}

/// The kind of a refusal inside a `PutRecords` answer, by its code. The service documents two; all are put again.
pub fn refusal_kind(code: &str) -> ErrorKind {
    match code {
        "ProvisionedThroughputExceededException" | "ThrottlingException" => ErrorKind::Throttled,
        "KMSThrottlingException" => ErrorKind::KmsThrottled,
        "InternalFailure" | "InternalFailureException" => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_on_refusals_and_ends_after_answers_without() {
        let (mut pacing, mut rng) = (PutPacing::new(), fastrand::Rng::with_seed(3));
        let now = Moment::from_millis(1_000);
        for whole_ms in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            pacing.due = now;
            pacing.on_refused(now, &mut rng);
            let (pause, whole) = (pacing.due().since(now), Duration::from_millis(whole_ms));
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
        }
        for _ in 0..7 {
            pacing.due = now;
            pacing.on_taken(now);
        }
        assert_eq!(pacing.due(), now);
    }

    #[test]
    fn codes_of_refused_records_are_told_apart() {
        assert_eq!(refusal_kind("ProvisionedThroughputExceededException"), ErrorKind::Throttled);
        assert_eq!(refusal_kind("InternalFailure"), ErrorKind::Unavailable);
        assert_eq!(refusal_kind("SomethingNew"), ErrorKind::Other);
    }
}
