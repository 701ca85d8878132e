//! How many items.

use super::Aggregate;

/// Counts items. See [`counting`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// Counts the items of a window, whatever they are.
pub const fn counting() -> Counting {
    Counting
}

impl<T: ?Sized> Aggregate<T> for Counting {
    type Accumulator = u64;
    type Output = u64;

    #[inline]
    fn identity(&self) -> u64 {
        0
    }

    #[inline]
    fn accumulate(&self, accumulator: &mut u64, _item: &T) {
        *accumulator += 1;
    }

    #[inline]
    fn combine(&self, accumulator: &mut u64, other: &u64) {
        *accumulator += other;
    }

    fn deduct(&self) -> Option<impl Fn(&mut u64, &u64)> {
        Some(|accumulator: &mut u64, other: &u64| *accumulator -= other)
    }

    #[inline]
    fn finish(&self, accumulator: &u64) -> u64 {
        *accumulator
    }
}
