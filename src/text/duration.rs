//! Durations as people write them: `500ms`, `3s`, `1.5s`, `2m`, `1h`, `1d`.

use std::fmt;

/// What was wrong with a duration; says how one is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadDuration(String);

impl fmt::Display for BadDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Units and their length in ms.
const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Longest duration that is taken: a hundred years of 365 days, in ms. Far beyond any use, and
/// far below where adding one to a time could saturate.
const MILLIS_MAX: i64 = 100 * 365 * 86_400_000;

/// Reads a duration; the answer is in ms, from 0 to a hundred years.
///
/// A number, which may have decimals as long as it comes to whole ms, and a unit.
pub(crate) fn parse_millis(text: &str) -> Result<i64, BadDuration> {
    let shown = text.escape_debug();
    let trimmed = text.trim();
    let digits_end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits_end);
    let unit = unit.trim_start();
    let how = "write a number and a unit, ms, s, m, h or d, such as 500ms or 3s";
    if number.is_empty() {
        return Err(BadDuration(format!("`{shown}` is not a duration: {how}")));
    }
    if unit.is_empty() {
        return Err(BadDuration(format!("`{shown}` has no unit: {how}")));
    }
    let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let unit = unit.escape_debug();
        return Err(BadDuration(format!("`{shown}` has the unknown unit `{unit}`: {how}")));
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || number.ends_with('.') || decimals.contains('.') {
        return Err(BadDuration(format!("`{shown}` is not a duration: {how}")));
    }
    let too_long = || BadDuration(format!("`{shown}` is too long: at most 36500d"));
    let total = whole.parse::<i64>().ok().and_then(|whole| whole.checked_mul(*millis)).ok_or_else(too_long)?;
    let mut part = *millis;
    let mut fraction = 0;
    for digit in decimals.bytes().map(|digit| i64::from(digit - b'0')) {
        if digit != 0 && part % 10 != 0 {
            return Err(BadDuration(format!("`{shown}` does not come to whole milliseconds")));
        }
        part /= 10;
        fraction += digit * part;
    }
    match total.checked_add(fraction) {
        Some(total) if total <= MILLIS_MAX => Ok(total),
        _ => Err(too_long()),
    }
}

/// A length of time as people write it, in the greatest unit that holds it whole.
pub(crate) fn show_millis(millis: i64) -> String {
    let (unit, length) =
        UNITS.iter().rev().find(|(_, length)| millis % length == 0 && millis != 0).unwrap_or(&UNITS[1]);
    format!("{}{unit}", millis / length)
}

#[cfg(test)]
mod tests {
    use super::{parse_millis, show_millis};

    #[test]
    fn each_unit_is_read() {
        let texts = ["500ms", "3s", "2m", "1h", "1d", "1.5s", "0.25h", " 10 s ", "0s"];
        let read = texts.map(|text| parse_millis(text).expect("a duration"));
        assert_eq!(read, [500, 3_000, 120_000, 3_600_000, 86_400_000, 1_500, 900_000, 10_000, 0]);
    }

    #[test]
    fn bad_durations_say_how_one_is_written() {
        let said = |text: &str| parse_millis(text).expect_err("bad").to_string();
        let how = "write a number and a unit, ms, s, m, h or d, such as 500ms or 3s";
        assert_eq!(said("soon"), format!("`soon` is not a duration: {how}"));
        assert_eq!(said(""), format!("`` is not a duration: {how}"));
        assert_eq!(said("10"), format!("`10` has no unit: {how}"));
        assert_eq!(said("-1s"), format!("`-1s` is not a duration: {how}"));
        assert_eq!(said("1..5s"), format!("`1..5s` is not a duration: {how}"));
        assert_eq!(said(".s"), format!("`.s` is not a duration: {how}"));
        assert_eq!(said("1.s"), format!("`1.s` is not a duration: {how}"));
        assert_eq!(said("3 sec"), format!("`3 sec` has the unknown unit `sec`: {how}"));
        assert_eq!(said("0.5ms"), "`0.5ms` does not come to whole milliseconds");
        assert_eq!(said("1.0005s"), "`1.0005s` does not come to whole milliseconds");
        assert_eq!(said("99999999999999999999s"), "`99999999999999999999s` is too long: at most 36500d");
        assert_eq!(said("36501d"), "`36501d` is too long: at most 36500d");
        assert!(said("\u{1b}[31m").starts_with("`\\u{1b}[31m`"));
    }

    #[test]
    fn trailing_zeros_of_a_fraction_do_no_harm() {
        assert_eq!(parse_millis("1.50000s"), Ok(1_500));
    }

    #[test]
    fn durations_are_shown_in_the_greatest_whole_unit() {
        let shown = [500, 1_000, 1_500, 120_000, 0].map(show_millis);
        assert_eq!(shown, ["500ms", "1s", "1500ms", "2m", "0s"].map(String::from));
    }
}
