//! Sequence numbers: decimal text that is compared as a number.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Place of a record in its shard: a decimal number of up to 129 digits, without leading zeros.
///
/// Ordered by value, not as text: the service's numbers need not be equally long. Not comparable between shards.
/// Cloning counts a reference up. Source: *Kinesis API Reference*, `SequenceNumber` pattern `0|([1-9]\d{0,128})`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Arc<str>);

/// Text that is no sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence number: {0:?}")]
pub struct NotASequenceNumber(String);

impl SequenceNumber {
    /// Longest one the service gives, in digits.
    pub const DIGITS_MAX: usize = 129;

    /// Reads decimal text; leading zeros, signs and blanks are refused, so that equal numbers are equal text.
    pub fn parse(text: &str) -> Result<SequenceNumber, NotASequenceNumber> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = text == "0" || !text.starts_with('0');
        if text.is_empty() || text.len() > Self::DIGITS_MAX || !digits || !canonical {
            return Err(NotASequenceNumber(text.chars().take(Self::DIGITS_MAX + 1).collect()));
        }
        Ok(SequenceNumber(Arc::from(text)))
    }

    /// The decimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The decimal text, shared.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without leading zeros the longer number is the greater one.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::parse(text).unwrap()
    }

    #[test]
    fn numbers_of_unequal_length_compare_by_value() {
        assert!(number("9") < number("10"), "as text it would be the other way round");
        assert!(number("0") < number("1"));
        assert!(number("49590338271490256608559692538361571095921575989136588898") < number(&"9".repeat(57)));
    }

    #[test]
    fn text_that_is_no_canonical_number_is_refused() {
        for text in ["", "007", "-1", "+1", " 1", "1e5", "LATEST", &"1".repeat(130)] {
            assert!(SequenceNumber::parse(text).is_err(), "{text:?}");
        }
        assert!(SequenceNumber::parse(&"1".repeat(129)).is_ok());
    }
}
