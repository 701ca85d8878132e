//! Sequence numbers: 56 decimal digits that hold when the shard began, which shard it is, and a rising index.
//!
//! The layout is that of the service's present numbers, read from public samples: 188 bits, most significant first,
//!
//! ```text
//!   4 bits  36 bits          4 bits          64 bits  8 bits  36 bits         32 bits  4 bits
//!   2     | shard created s | low of shard | index  | 0     | record's time s | shard | 2
//! ```
//!
//! The leading 2 makes every number between 2^185 and 3*2^184, which is 56 digits without a leading zero. A shard's
//! numbers differ in index and time only, and the index rises, so their order is the index's order.

use std::fmt;
use std::str::FromStr;

use super::shard::ShardId;

/// Digits of every number this model makes.
pub const SEQUENCE_DIGITS: usize = 56;
/// The index of a closed shard's ending sequence number: no record's index reaches it.
pub(super) const INDEX_MAX: u64 = i64::MAX as u64;

/// Digits that one round of division gives: 10^9 is the greatest power of ten below 2^32.
const CHUNK_DIGITS: usize = 9;
const CHUNK: u64 = 1_000_000_000;
const LIMB_MASK: u64 = (1 << 32) - 1;

/// One sequence number. Ordered as the decimal numbers are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    high: u64, // < 2^60; first, so that the derived order is the numeric order
    low: u128,
}

impl SequenceNumber {
    pub(super) fn new(shard: ShardId, created_s: u64, index: u64, time_s: u64) -> SequenceNumber {
        const SECONDS: u64 = (1 << 36) - 1;
        let number = shard.number();
        let high = 2 << 56 | (created_s & SECONDS) << 20 | u64::from(number & 0xf) << 16 | index >> 48;
        let low = u128::from(index) << 80 | u128::from(time_s & SECONDS) << 36 | u128::from(number) << 4 | 2;
        SequenceNumber { high, low }
    }

    /// The shard that the number names, `None` if the number is not of the layout above.
    pub fn shard(self) -> Option<ShardId> {
        let number = u32::try_from(self.low >> 4 & 0xffff_ffff).expect("masked to 32 bits");
        let whole = self.high >> 56 == 2 && self.low & 0xf == 2 && self.index() <= INDEX_MAX;
        (whole && number <= ShardId::NUMBER_MAX).then_some(ShardId::new(number))
    }

    pub(super) fn index(self) -> u64 {
        let low = u64::try_from(self.low >> 80).expect("48 bits remain");
        (self.high & 0xffff) << 48 | low
    }

    /// Seconds since the epoch at which the shard was created.
    pub(super) fn created_s(self) -> u64 {
        self.high >> 20 & ((1 << 36) - 1)
    }

    /// Seconds since the epoch at which the record was taken.
    pub(super) fn time_s(self) -> u64 {
        u64::try_from(self.low >> 36 & ((1 << 36) - 1)).expect("masked to 36 bits")
    }

    /// The decimal digits, without allocating.
    pub fn digits(self) -> [u8; SEQUENCE_DIGITS] {
        let (middle, low) = (upper(self.low), lower(self.low));
        // Limbs of 32 bits, most significant first: their division by a constant is a multiplication.
        let mut limbs = [self.high >> 32, self.high, middle >> 32, middle, low >> 32, low].map(|limb| limb & LIMB_MASK);
        let (mut digits, mut end, mut first) = ([b'0'; SEQUENCE_DIGITS], SEQUENCE_DIGITS, 0);
        while end > 0 {
            let mut remainder = 0;
            for limb in &mut limbs[first..] {
                let dividend = remainder << 32 | *limb;
                *limb = dividend / CHUNK;
                remainder = dividend % CHUNK;
            }
            while limbs.get(first) == Some(&0) {
                first += 1;
            }
            let start = end.saturating_sub(CHUNK_DIGITS);
            for digit in digits[start..end].iter_mut().rev() {
                *digit = b'0' + u8::try_from(remainder % 10).expect("a digit");
                remainder /= 10;
            }
            end = start;
        }
        digits
    }
}

fn upper(value: u128) -> u64 {
    u64::try_from(value >> 64).expect("64 bits remain")
}

fn lower(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).expect("masked to 64 bits")
}

/// A text that is no decimal number, or one beyond 192 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASequenceNumber;

impl FromStr for SequenceNumber {
    type Err = NotASequenceNumber;

    fn from_str(text: &str) -> Result<SequenceNumber, NotASequenceNumber> {
        if text.is_empty() {
            return Err(NotASequenceNumber);
        }
        let mut limbs = [0_u64; 3]; // least significant first
        for byte in text.bytes() {
            let mut carry = match byte {
                b'0'..=b'9' => u128::from(byte - b'0'),
                _ => return Err(NotASequenceNumber),
            };
            for limb in &mut limbs {
                let value = u128::from(*limb) * 10 + carry;
                *limb = lower(value);
                carry = value >> 64;
            }
            if carry != 0 {
                return Err(NotASequenceNumber);
            }
        }
        Ok(SequenceNumber { high: limbs[2], low: u128::from(limbs[1]) << 64 | u128::from(limbs[0]) })
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        f.write_str(std::str::from_utf8(&digits).expect("digits are ASCII"))
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that the service itself gave out in 2014, as its own documents and tests show it.
    const SAMPLE: &str = "49543463076548007577105092703039560359975228518395019266";

    #[test]
    fn number_of_the_service_is_taken_apart_and_put_together_again() {
        let sample: SequenceNumber = SAMPLE.parse().unwrap();
        assert_eq!(sample.shard(), Some(ShardId::new(0)));
        assert_eq!(sample.created_s(), 1_411_403_981);
        assert_eq!(sample.time_s(), 1_411_431_220);
        assert_eq!(sample.index(), 0x157d);
        let again = SequenceNumber::new(ShardId::new(0), 1_411_403_981, 0x157d, 1_411_431_220);
        assert_eq!(again.to_string(), SAMPLE);
    }

    #[test]
    fn starts_of_neighbouring_shards_differ_as_the_service_s_do() {
        let [zero, one] = [0, 1].map(|n| SequenceNumber::new(ShardId::new(n), 1_700_000_000, 0, 1_700_000_000));
        // 22300745198530623141535718272648361505980432 = 2^144 + 2^4
        assert_eq!(one.high - zero.high, 1 << 16);
        assert_eq!(one.low - zero.low, 1 << 4);
    }

    #[test]
    fn every_number_has_56_digits_and_no_leading_zero() {
        for (shard, created, index, time) in
            [(0, 0, 0, 0), (ShardId::NUMBER_MAX, (1 << 36) - 1, INDEX_MAX, (1 << 36) - 1), (7, 1_795_395_060, 1, 9)]
        {
            let number = SequenceNumber::new(ShardId::new(shard), created, index, time);
            let text = number.to_string();
            assert_eq!(text.len(), SEQUENCE_DIGITS);
            assert!(!text.starts_with('0'), "{text}");
            assert_eq!(text.parse(), Ok(number));
            assert_eq!(number.shard(), Some(ShardId::new(shard)));
            assert_eq!((number.created_s(), number.index(), number.time_s()), (created, index, time));
        }
    }

    #[test]
    fn index_decides_the_order_within_a_shard() {
        let at = |index, time| SequenceNumber::new(ShardId::new(3), 1_700_000_000, index, time);
        assert!(at(1, 2_000_000_000) < at(2, 1_800_000_000));
        assert!(at(2, 1_800_000_000).to_string() > at(1, 2_000_000_000).to_string());
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in ["", "-1", "4x", " 1", &"9".repeat(59)] {
            assert_eq!(text.parse::<SequenceNumber>(), Err(NotASequenceNumber), "{text}");
        }
        assert_eq!("5".parse::<SequenceNumber>().unwrap().shard(), None, "not of our layout");
    }
}
