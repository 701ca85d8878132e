//! Says who holds a job's event time when it stands for long: a plain machine, told what is seen and when.

use std::time::{Duration, Instant};

use weir_window::EventTime;

/// How often it is worth looking.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long event time may stand before it is said.
const STILL: Duration = Duration::from_secs(5);
/// How long until it is said again.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Watch {
    looked: Option<Instant>,
    /// Where event time stands, and since when.
    stands: Option<(EventTime, Instant)>,
    said: Option<Instant>,
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch { looked: None, stands: None, said: None }
    }

    /// Whether to look now; cheap, for every turn.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY);
        if due {
            self.looked = Some(now);
        }
        due
    }

    /// Whether some shard is in trouble.
    pub(crate) fn is_watching(&self) -> bool {
        self.stands.is_some()
    }

    /// `troubled`: the shard in trouble that holds event time, and where it stands. Gives what is to be said.
    pub(crate) fn on(&mut self, troubled: Option<(EventTime, String)>, now: Instant) -> Option<String> {
        let Some((time, holder)) = troubled else {
            (self.stands, self.said) = (None, None);
            return None;
        };
        let since = match self.stands {
            Some((stood, since)) if stood == time => since,
            _ => {
                (self.stands, self.said) = (Some((time, now)), None);
                return None;
            }
        };
        let still = now.saturating_duration_since(since);
        let said_lately = self.said.is_some_and(|said| now.saturating_duration_since(said) < SAID_EVERY);
        if still < STILL || said_lately {
            return None;
        }
        self.said = Some(now);
        Some(format!("event time has stood still for {} s, held by {holder}", still.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_is_said_when_time_stands_and_again_after_a_minute() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let troubled = |ms| Some((EventTime::from_millis(ms), "shard a: throttled".to_owned()));
        let mut watch = Watch::new();
        assert!(watch.is_due(began) && !watch.is_due(began) && watch.is_due(at(1)) && !watch.is_due(at(1)));
        let said: Vec<u64> = (0..130).filter(|second| watch.on(troubled(7), at(*second)).is_some()).collect();
        assert_eq!(said, [5, 65, 125]);
        assert_eq!(
            watch.on(troubled(7), at(200)).as_deref(),
            Some("event time has stood still for 200 s, held by shard a: throttled")
        );
        // It moves, or is well: from the beginning.
        assert_eq!(watch.on(troubled(8), at(201)), None);
        assert_eq!(watch.on(None, at(210)), None);
        assert_eq!(watch.on(troubled(8), at(211)), None);
        assert_eq!(watch.on(troubled(8), at(215)), None);
        assert!(watch.on(troubled(8), at(216)).is_some());
    }
}
