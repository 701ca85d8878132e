//! Words that would be said again and again, said seldom: at once, then once an interval, with how often they were not.

use std::time::Duration;

use super::Moment;

/// See the module's head.
#[derive(Debug, Clone, Copy)]
pub struct Seldom {
    interval: Duration,
    next: Moment,
    unsaid: u64,
}

impl Seldom {
    /// One that has said nothing.
    pub const fn each(interval: Duration) -> Seldom {
        Seldom { interval, next: Moment::ZERO, unsaid: 0 }
    }

    /// `words` if they may be said now, with how often such were kept back since the last.
    pub fn say(&mut self, now: Moment, words: impl FnOnce() -> String) -> Option<String> {
        if now < self.next {
            self.unsaid += 1;
            return None;
        }
        self.next = now + self.interval;
        match std::mem::take(&mut self.unsaid) {
            0 => Some(words()),
            unsaid => Some(format!("{} ({unsaid} more like this since the last time)", words())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_at_once_and_then_once_an_interval_with_the_number_of_those_kept_back() {
        let mut seldom = Seldom::each(Duration::from_secs(5));
        let said: Vec<Option<String>> = [0, 10, 4_999, 5_000, 5_001, 20_000, 30_000]
            .map(|ms| seldom.say(Moment::from_millis(ms), || "no".to_owned()))
            .into();
        let more = |count| Some(format!("no ({count} more like this since the last time)"));
        assert_eq!(said, [Some("no".to_owned()), None, None, more(2), None, more(1), Some("no".to_owned())]);
    }
}
