//! Whole seconds as signatures write them: `20150830T123600Z`.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_S: i64 = 86_400;
/// 9999-12-31T23:59:59Z: four digits of year are all there is room for.
const LAST_S: i64 = 253_402_300_799;

/// A second since the epoch, until the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(i64);

impl Stamp {
    /// The second that this ms since the epoch lies in; the ends of time are taken for what is beyond them.
    pub fn of_millis(time_ms: i64) -> Stamp {
        Stamp(time_ms.div_euclid(1_000).clamp(0, LAST_S))
    }

    /// Reads the basic form of ISO 8601, and HTTP's form of a date.
    pub fn parse(text: &str) -> Option<Stamp> {
        let basic = Stamp::parse_basic(text);
        basic.or_else(|| httpdate::parse_http_date(text).ok().and_then(Stamp::of_system))
    }

    fn of_system(time: SystemTime) -> Option<Stamp> {
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok().map(Stamp)
    }

    fn parse_basic(text: &str) -> Option<Stamp> {
        let whole = text.len() == 16
            && text.bytes().enumerate().all(|(i, byte)| match i {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
        let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
        let stamp = Stamp(days_before(year, month, day) * DAY_S + hour * 3_600 + minute * 60 + second);
        (whole && fits && stamp.0 >= 0).then_some(stamp)
    }

    /// As signatures write it.
    pub fn text(self) -> String {
        let (days, second) = (self.0.div_euclid(DAY_S), self.0.rem_euclid(DAY_S));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }
}

/// Days from the epoch to a date of the Gregorian calendar.
///
/// Source of both: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". Years begin in March in here, so that
/// the day that some of them lack is their last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of so many days after the epoch.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_is_read_as_it_is_written() {
        for (text, second) in [
            ("19700101T000000Z", 0),
            ("20000229T235959Z", 951_868_799),
            ("20150830T123600Z", 1_440_938_160),
            ("21000301T000000Z", 4_107_542_400),
            ("99991231T235959Z", LAST_S),
        ] {
            assert_eq!(Stamp::parse(text), Some(Stamp(second)), "{text}");
            assert_eq!(Stamp(second).text(), text);
        }
        assert_eq!(Stamp::parse("Sun, 30 Aug 2015 12:36:00 GMT"), Some(Stamp(1_440_938_160)));
        for text in ["", "20150830", "20150830T123600", "20151330T123600Z", "2015083xT123600Z", "19690101T000000Z", "é"]
        {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_its_own() {
        for days in (0..146_097).step_by(13).chain([59, 60, 789, 790]) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_before(year, month, day), days);
            let http =
                httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_secs(days.unsigned_abs() * 86_400));
            assert_eq!(Stamp::parse(&http), Stamp::parse(&Stamp(days * DAY_S).text()), "{http}");
        }
    }
}
