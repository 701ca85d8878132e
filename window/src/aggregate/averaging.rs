//! The mean of an integer that is read from each item.

use super::Aggregate;

/// Averages integers. See [`averaging`].
#[derive(Clone, Copy, Debug)]
pub struct Averaging<F> {
    number: F,
}

/// The mean of `number(item)` over the items of a window: exact until it is rounded once, to the nearest `f64`.
///
/// NaN for no items, which no row shows.
pub const fn averaging<F>(number: F) -> Averaging<F> {
    Averaging { number }
}

impl<T: ?Sized, F: Fn(&T) -> i64 + 'static> Aggregate<T> for Averaging<F> {
    /// Sum and count.
    type Accumulator = (i128, u64);
    type Output = f64;

    #[inline]
    fn identity(&self) -> (i128, u64) {
        (0, 0)
    }

    #[inline]
    fn accumulate(&self, accumulator: &mut (i128, u64), item: &T) {
        accumulator.0 += i128::from((self.number)(item));
        accumulator.1 += 1;
    }

    #[inline]
    fn combine(&self, accumulator: &mut (i128, u64), other: &(i128, u64)) {
        accumulator.0 += other.0;
        accumulator.1 += other.1;
    }

    fn deduct(&self) -> Option<impl Fn(&mut (i128, u64), &(i128, u64))> {
        Some(|accumulator: &mut (i128, u64), other: &(i128, u64)| {
            accumulator.0 -= other.0;
            accumulator.1 -= other.1;
        })
    }

    fn finish(&self, accumulator: &(i128, u64)) -> f64 {
        quotient(accumulator.0, accumulator.1)
    }
}

/// `sum ÷ count`, rounded once.
///
/// The sum is moved up until it fills the word, so that the integer quotient has at least 63 bits, ten more than the result;
/// what the division leaves is kept as its lowest bit, which then decides ties only.
#[expect(clippy::cast_precision_loss, reason = "this is where it is rounded, to the nearest")]
fn quotient(sum: i128, count: u64) -> f64 {
    if count == 0 {
        return f64::NAN;
    }
    if sum == 0 {
        return 0.0;
    }
    let (size, count) = (sum.unsigned_abs(), u128::from(count));
    let up = size.leading_zeros();
    let (whole, rest) = ((size << up) / count, (size << up) % count);
    let value = (whole | u128::from(rest != 0)) as f64 / 2_f64.powi(up.cast_signed());
    if sum < 0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_is_the_nearest_float() {
        assert_eq!(quotient(1, 3), 1.0 / 3.0);
        assert_eq!(quotient(-7, 2), -3.5);
        assert_eq!(quotient(1, u64::MAX), 2_f64.powi(-64));
        assert_eq!(quotient(i128::from(i64::MIN) * 5, 5), -2_f64.powi(63));
        assert_eq!((quotient(0, 9), quotient(0, 0).is_nan()), (0.0, true));
        // Half way between two floats, and a little more: the sum as a float would lose the little.
        let half_way = (1_i128 << 53) + 1;
        assert_eq!(quotient(half_way * 4, 4), 2_f64.powi(53));
        assert_eq!(quotient(half_way * 4 + 1, 4), 2_f64.powi(53) + 2.0);
        for (sum, count) in (-500..500).zip(1..) {
            assert_eq!(quotient(sum, count), sum as f64 / count as f64, "{sum} / {count}");
        }
    }
}
