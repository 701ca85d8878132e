//! The sum of a number that is read from each item.

use super::Aggregate;

/// Sums integers. See [`summing`].
#[derive(Clone, Copy, Debug)]
pub struct Summing<F> {
    number: F,
}

/// Sums `number(item)` over the items of a window, exactly.
///
/// The sum is an `i128`, so it cannot overflow: that would take 2^64 items of the greatest value.
pub const fn summing<F>(number: F) -> Summing<F> {
    Summing { number }
}

impl<T: ?Sized, F: Fn(&T) -> i64 + 'static> Aggregate<T> for Summing<F> {
    type Accumulator = i128;
    type Output = i128;

    #[inline]
    fn identity(&self) -> i128 {
        0
    }

    #[inline]
    fn accumulate(&self, accumulator: &mut i128, item: &T) {
        *accumulator += i128::from((self.number)(item));
    }

    #[inline]
    fn combine(&self, accumulator: &mut i128, other: &i128) {
        *accumulator += other;
    }

    fn deduct(&self) -> Option<impl Fn(&mut i128, &i128)> {
        Some(|accumulator: &mut i128, other: &i128| *accumulator -= other)
    }

    #[inline]
    fn finish(&self, accumulator: &i128) -> i128 {
        *accumulator
    }
}
