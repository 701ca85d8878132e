//! When credentials are fetched anew. Arithmetic only.

use std::time::{Duration, SystemTime};

/// That long before they expire, or a third of what they live if they live shortly.
const AHEAD_MAX: Duration = Duration::from_secs(300);
/// Between two attempts: an eighth of what is left, within these bounds.
const GAP_MIN: Duration = Duration::from_millis(100);
const GAP_MAX: Duration = Duration::from_secs(60);
/// Between two attempts when nothing is left.
const GAP_EXPIRED: Duration = Duration::from_secs(30);

/// The time of the next attempt at credentials that were fetched at `fetched` and die at `expiry`, when the last attempt,
/// good or bad, was at `attempted`. An attempt may bring the same ones again: some services give new ones only when the old
/// ones are about to expire.
pub(super) fn next_attempt(fetched: SystemTime, expiry: SystemTime, attempted: SystemTime) -> SystemTime {
    let span = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
    let ahead = AHEAD_MAX.min(span(fetched, expiry) / 3);
    let left = span(attempted, expiry);
    let gap = if left.is_zero() { GAP_EXPIRED } else { (left / 8).clamp(GAP_MIN, GAP_MAX) };
    (expiry - ahead).max(attempted + gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1e6 + seconds)
    }

    /// Seconds from 0 to the next attempt.
    fn next(fetched: f64, expiry: f64, attempted: f64) -> f64 {
        next_attempt(at(fetched), at(expiry), at(attempted)).duration_since(at(0.0)).expect("later").as_secs_f64()
    }

    #[test]
    fn long_lived_ones_are_fetched_five_minutes_before_their_end_and_short_lived_ones_after_two_thirds() {
        assert!((next(0.0, 3_600.0, 0.0) - 3_300.0).abs() < 1e-3);
        assert!((next(0.0, 60.0, 0.0) - 40.0).abs() < 1e-3);
        assert!((next(0.0, 1.5, 0.0) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn failed_attempt_is_repeated_ever_sooner_until_they_are_dead_and_then_every_half_minute() {
        let mut attempted = 3_300.0;
        let mut attempts = 0;
        while attempted < 3_600.0 {
            let after = next(0.0, 3_600.0, attempted);
            assert!(after >= attempted + 0.099 && after <= attempted + 60.0, "{attempted} {after}");
            attempted = after;
            attempts += 1;
        }
        assert!((10..100).contains(&attempts), "{attempts}");
        let after = next(0.0, 3_600.0, attempted);
        assert!((after - attempted - 30.0).abs() < 1e-3, "{after}");
    }
}
