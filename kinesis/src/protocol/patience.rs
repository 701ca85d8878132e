//! How long a single call is repeated while nothing depends on it yet: connecting, and what is asked before a start.

use std::time::Duration;

use super::ErrorKind;
use super::errors::{Call, Reaction};
use super::pacing::BackOff;

/// Times that an endpoint is not reached, or that something else answers there, before a start is given up: people who
/// mistyped it should learn so soon.
const UNREACHED_MAX: u32 = 4;

/// Waits between repetitions of one call; see [`Patience::after`].
#[derive(Debug)]
pub struct Patience {
    back_off: BackOff,
    rng: fastrand::Rng,
    unreached: u32,
    unreached_max: u32,
    worked: bool,
}

impl Patience {
    /// For a call before a start: gives up when the endpoint cannot be reached or is none.
    pub fn at_start(seed: u64) -> Patience {
        Patience { unreached_max: UNREACHED_MAX, ..Patience::for_ever(seed) }
    }

    /// For a call of something that runs: passing errors are repeated for as long as it takes.
    pub fn for_ever(seed: u64) -> Patience {
        let back_off = BackOff::new(Duration::from_millis(200), Duration::from_secs(5));
        Patience { back_off, rng: fastrand::Rng::with_seed(seed), unreached: 0, unreached_max: u32::MAX, worked: false }
    }

    /// With settings that have worked before, so that what is refused now may be granted again.
    #[must_use]
    pub fn trusting(self, worked: bool) -> Patience {
        Patience { worked, ..self }
    }

    /// How long to wait before `call`, which failed this way, is repeated; `None`: it will not mend.
    pub fn after(&mut self, call: Call, kind: ErrorKind) -> Option<Duration> {
        use ErrorKind::{Connection, Other, Timeout, Unreached};
        self.unreached += u32::from(matches!(kind, Unreached | Connection | Timeout | Other));
        // Of a call without records, none can be at fault.
        let hopeless = matches!(kind.reaction(call, self.worked), Reaction::Fail | Reaction::Isolate);
        if hopeless || self.unreached > self.unreached_max {
            return None;
        }
        Some(self.back_off.next_wait(&mut self.rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_that_is_not_reached_is_given_up_at_a_start_only() {
        for kind in [ErrorKind::Unreached, ErrorKind::Connection, ErrorKind::Other] {
            let (mut start, mut ever) = (Patience::at_start(1), Patience::for_ever(1));
            for _ in 0..UNREACHED_MAX {
                assert!(start.after(Call::ListShards, kind).is_some());
            }
            assert_eq!(start.after(Call::ListShards, kind), None);
            assert!((0..100).all(|_| { ever.after(Call::ListShards, kind).is_some() }));
        }
    }

    #[test]
    fn throttling_is_waited_out_and_a_missing_stream_is_not() {
        let mut start = Patience::at_start(1);
        assert!((0..100).all(|_| { start.after(Call::ListShards, ErrorKind::Throttled).is_some() }));
        assert_eq!(start.after(Call::ListShards, ErrorKind::NotFound), None);
        assert_eq!(start.after(Call::ListShards, ErrorKind::Credentials), None);
        assert_eq!(start.after(Call::PutRecords, ErrorKind::InvalidArgument), None);
        assert!(start.trusting(true).after(Call::ListShards, ErrorKind::Credentials).is_some());
    }
}
