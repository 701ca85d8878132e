//! Event times as the clock on the wall shows them.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use weir_window::EventTime;

/// Shows an event time by the clock on the wall.
pub trait LocalTime {
    /// The time in the machine's time zone by a `strftime` format, such as `%H:%M:%S:%3f`.
    ///
    /// # Panics
    /// When the format holds a directive that does not exist; in a pipeline's closure that fails the job alone.
    fn local(&self, format: &str) -> String;
}

impl LocalTime for EventTime {
    fn local(&self, format: &str) -> String {
        format_local(self.as_millis(), format).unwrap_or_else(|problem| panic!("bad time format {format:?}: {problem}"))
    }
}

/// The moment `millis` after the Unix epoch in the machine's time zone; times that no calendar
/// holds (before the year -9999, after 9999) are moved to its end.
fn zoned(millis: i64) -> Zoned {
    let moment =
        Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX });
    moment.to_zoned(TimeZone::system())
}

/// Shows a time by a `strftime` format such as `%H:%M:%S:%3f`.
///
/// # Errors
/// When the format holds a directive that does not exist; the text says which.
pub(crate) fn format_local(millis: i64, format: &str) -> Result<String, String> {
    jiff::fmt::strtime::format(format, &zoned(millis)).map_err(|error| error.to_string())
}

/// A time with date and offset, for places that give no format: `2026-11-23T16:11:27.500+01:00`.
pub(crate) fn show_local(millis: i64) -> String {
    format_local(millis, "%Y-%m-%dT%H:%M:%S.%3f%:z").expect("the format above is right")
}

#[cfg(test)]
mod tests {
    use super::{format_local, show_local};

    #[test]
    fn milliseconds_follow_a_colon_as_in_the_tutorial() {
        let shown = format_local(1_795_395_060_708, "%M:%S:%3f").expect("a right format");
        assert_eq!(shown, "51:00:708");
    }

    #[test]
    fn an_unknown_directive_is_an_error() {
        let said = format_local(0, "%H:%!").expect_err("no such directive");
        assert!(said.contains('!'), "{said}");
    }

    #[test]
    fn times_beyond_the_calendar_are_shown_at_its_ends() {
        assert!(show_local(i64::MAX).starts_with("9999-") || show_local(i64::MAX).starts_with("+9999"));
        assert!(show_local(i64::MIN).starts_with("-9999"));
    }
}
