//! The stated constraints of parameters, and the service's way of listing what breaks them.
//!
//! Source: the service's API model (`service-2.json` of botocore 1.44.5); wording as clients have long seen it.

use super::error::{ErrorCode, ModelError};

/// Bounds of a GetRecords `Limit`.
pub(super) const GET_RECORDS_LIMIT_MAX: i64 = 10_000;
/// Bound of the page sizes of the listing calls. What is returned may be less.
pub(super) const LISTING_LIMIT_MAX: i64 = 10_000;
/// Characters in a partition key: 1 to 256 (API reference, PutRecord).
pub const PARTITION_KEY_CHARS_MAX: usize = 256;
/// Characters in a stream's name or a shard's id: 1 to 128.
const NAME_CHARS_MAX: usize = 128;
/// The service lists at most so many violations in one answer.
const REPORTED_MAX: usize = 10;

/// Gathers broken constraints, so that one answer names them all.
#[derive(Debug, Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// None so far.
    pub fn new() -> Violations {
        Violations::default()
    }

    /// A required parameter that is absent.
    pub fn missing(&mut self, at: &str) {
        self.push(format!("Value null at '{at}' failed to satisfy constraint: Member must not be null"));
    }

    /// `value` at `at` must satisfy `constraint`, and does not.
    fn broken(&mut self, at: &str, value: impl std::fmt::Display, constraint: impl std::fmt::Display) {
        self.push(format!("Value '{value}' at '{at}' failed to satisfy constraint: {constraint}"));
    }

    fn push(&mut self, sentence: String) {
        if self.0.len() < REPORTED_MAX {
            self.0.push(sentence);
        }
    }

    /// A whole number in a closed range.
    pub(in crate::local) fn range(&mut self, at: &str, value: Option<i64>, first: i64, last: i64) {
        let Some(value) = value else { return };
        if value < first {
            self.broken(at, value, format_args!("Member must have value greater than or equal to {first}"));
        } else if value > last {
            self.broken(at, value, format_args!("Member must have value less than or equal to {last}"));
        }
    }

    /// A text of `first..=last` characters.
    pub(in crate::local) fn characters(&mut self, at: &str, value: &str, first: usize, last: usize) {
        // Counting bytes first spares the walk over nearly every key: bytes bound characters from above.
        if value.len() < first {
            self.broken(at, value, format_args!("Member must have length greater than or equal to {first}"));
        } else if value.len() > last && value.chars().count() > last {
            self.broken(at, value, format_args!("Member must have length less than or equal to {last}"));
        }
    }

    /// A blob of at most `last` bytes.
    pub(super) fn bytes(&mut self, at: impl FnOnce() -> String, length: usize, last: usize) {
        if length > last {
            self.broken(
                &at(),
                format_args!("java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]"),
                format_args!("Member must have length less than or equal to {last}"),
            );
        }
    }

    /// The name of a stream or the id of a shard.
    pub(in crate::local) fn name(&mut self, at: &str, value: &str) {
        const PATTERN: &str = "[a-zA-Z0-9_.-]+";
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if value.is_empty() || !value.chars().all(fits) {
            self.broken(at, value, format_args!("Member must satisfy regular expression pattern: {PATTERN}"));
        }
        self.characters(at, value, 1, NAME_CHARS_MAX);
    }

    /// A decimal number without leading zeros, of at most `digits_max` digits.
    pub(in crate::local) fn decimal(&mut self, at: impl FnOnce() -> String, value: &str, digits_max: usize) {
        let digits = value.as_bytes();
        let fits = value == "0"
            || (!digits.is_empty()
                && digits.len() <= digits_max
                && digits[0] != b'0'
                && digits.iter().all(u8::is_ascii_digit));
        if !fits {
            let more = digits_max - 1;
            self.broken(
                &at(),
                value,
                format_args!("Member must satisfy regular expression pattern: 0|([1-9]\\d{{0,{more}}})"),
            );
        }
    }

    /// A list of `first..=last` members; `shown` stands for the list in the sentence.
    pub(super) fn members(&mut self, at: &str, shown: &str, count: usize, first: usize, last: usize) {
        if count < first {
            self.broken(at, shown, format_args!("Member must have length greater than or equal to {first}"));
        } else if count > last {
            self.broken(at, shown, format_args!("Member must have length less than or equal to {last}"));
        }
    }

    /// A stream's ARN.
    pub(in crate::local) fn stream_arn(&mut self, at: &str, value: &str) {
        if super::take_arn_apart(value).is_none() {
            self.pattern(at, value, "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+");
        }
    }

    /// A text that does not satisfy the stated pattern.
    pub(in crate::local) fn pattern(&mut self, at: &str, value: &str, pattern: &str) {
        self.broken(at, value, format_args!("Member must satisfy regular expression pattern: {pattern}"));
    }

    /// A word that is none of the `allowed` ones.
    pub fn not_in_set(&mut self, at: &str, value: &str, allowed: &[&str]) {
        self.broken(at, value, format_args!("Member must satisfy enum value set: [{}]", allowed.join(", ")));
    }

    /// Refuses the call if anything was broken.
    ///
    /// # Errors
    /// `ValidationException` naming up to ten violations.
    pub fn finish(self) -> Result<(), ModelError> {
        match self.0.len() {
            0 => Ok(()),
            count => {
                let plural = if count == 1 { "" } else { "s" };
                let message = format!("{count} validation error{plural} detected: {}", self.0.join("; "));
                Err(ModelError::new(ErrorCode::Validation, message))
            }
        }
    }
}
