//! Event time: signed milliseconds since the Unix epoch, with arithmetic that saturates instead of wrapping.

use std::fmt;

/// When something happened, by the record: milliseconds since the Unix epoch, negative before it.
///
/// The two ends of the range stand for "before everything" and "after everything": arithmetic saturates there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// Before everything: a watermark that promises nothing.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything: a watermark behind which nothing follows.
    pub const MAX: Self = Self(i64::MAX);

    /// The time `ms` milliseconds after the Unix epoch.
    #[inline]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[inline]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time and `span` later; at most [`EventTime::MAX`].
    #[inline]
    #[must_use]
    pub const fn saturating_add(self, span: TimeSpan) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This time and `span` earlier; at least [`EventTime::MIN`].
    #[inline]
    #[must_use]
    pub const fn saturating_sub(self, span: TimeSpan) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("EventTime::MIN"),
            Self::MAX => f.write_str("EventTime::MAX"),
            Self(ms) => write!(f, "{ms} ms"),
        }
    }
}

/// A length of event time in milliseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(i64);

impl TimeSpan {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `ms` milliseconds.
    ///
    /// # Panics
    /// If `ms` is negative: check what people typed before it becomes a span.
    #[inline]
    pub const fn from_millis(ms: i64) -> Self {
        assert!(ms >= 0, "a span of time cannot be negative");
        Self(ms)
    }

    /// The length in milliseconds, at least 0.
    #[inline]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl fmt::Debug for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// A span of `n` milliseconds. Panics if `n` is negative.
pub const fn millis(n: i64) -> TimeSpan {
    TimeSpan::from_millis(n)
}

/// A span of `n` seconds; saturates. Panics if `n` is negative.
pub const fn secs(n: i64) -> TimeSpan {
    TimeSpan::from_millis(n.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(EventTime::MAX.saturating_add(millis(1)), EventTime::MAX);
        assert_eq!(EventTime::MIN.saturating_sub(secs(1)), EventTime::MIN);
        assert_eq!(EventTime::from_millis(-1).saturating_add(millis(2)).as_millis(), 1);
        assert_eq!(secs(i64::MAX).as_millis(), i64::MAX);
    }

    #[test]
    #[should_panic(expected = "cannot be negative")]
    fn negative_span_panics() {
        let _ = millis(-1);
    }
}
