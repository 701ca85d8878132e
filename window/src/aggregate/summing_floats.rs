//! The sum of a floating number that is read from each item.

use super::Aggregate;

/// Sums floats. See [`summing_floats`].
#[derive(Clone, Copy, Debug)]
pub struct SummingFloats<F> {
    number: F,
}

/// Sums `number(item)` over the items of a window, compensated: what rounding takes from the sum is summed beside it.
///
/// For `n` finite numbers whose partial sums do not overflow, in whatever order they are combined, the result is at most
/// `u |s| + 4 (n u)² Σ|x|` from the exact sum `s`, where `u` is 2^−53 and `n` at most 2^24. A number that is not finite
/// makes the result infinite or NaN, as in any order, in the windows that hold it and in no other, because nothing is deducted.
///
/// Source: Ogita, Rump, Oishi, "Accurate sum and dot product" (SIAM J. Sci. Comput. 2005), Sum2; a tree of additions has no
/// more of them than a row.
pub const fn summing_floats<F>(number: F) -> SummingFloats<F> {
    SummingFloats { number }
}

/// Adds `x`, and what rounding took from the sum.
#[inline]
fn add(accumulator: &mut (f64, f64), x: f64, lost: f64) {
    let sum = accumulator.0 + x;
    let of_x = sum - accumulator.0;
    let error = (accumulator.0 - (sum - of_x)) + (x - of_x);
    *accumulator = (sum, accumulator.1 + (error + lost));
}

impl<T: ?Sized, F: Fn(&T) -> f64 + 'static> Aggregate<T> for SummingFloats<F> {
    /// The rounded sum, and what rounding took from it.
    type Accumulator = (f64, f64);
    type Output = f64;

    #[inline]
    fn identity(&self) -> (f64, f64) {
        (0.0, 0.0)
    }

    #[inline]
    fn accumulate(&self, accumulator: &mut (f64, f64), item: &T) {
        add(accumulator, (self.number)(item), 0.0);
    }

    #[inline]
    fn combine(&self, accumulator: &mut (f64, f64), other: &(f64, f64)) {
        add(accumulator, other.0, other.1);
    }

    #[inline]
    fn finish(&self, accumulator: &(f64, f64)) -> f64 {
        // Beside a sum that is not finite, what was lost is NaN.
        if accumulator.1.is_finite() { accumulator.0 + accumulator.1 } else { accumulator.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(items: &[f64]) -> (f64, f64) {
        let (sum, mut part) = (summing_floats(|x: &f64| *x), (0.0, 0.0));
        items.iter().for_each(|item| sum.accumulate(&mut part, item));
        part
    }

    proptest! {
        /// Numbers are integers times a power of two, so that an integer of 128 bits has their exact sum.
        #[test]
        fn sum_is_within_the_bound_however_it_is_combined(
            numbers in prop::collection::vec((-(1_i64 << 52)..1 << 52, 0_u32..60), 0..60), cut in 0_usize..60,
        ) {
            let exact: i128 = numbers.iter().map(|(number, up)| i128::from(*number) << up).sum();
            let floats: Vec<f64> = numbers.iter().map(|(number, up)| *number as f64 * 2_f64.powi(up.cast_signed())).collect();
            let (left, right) = floats.split_at(cut.min(floats.len()));
            let sum = summing_floats(|x: &f64| *x);
            let (mut one, mut two) = (part(left), part(right));
            Aggregate::<f64>::combine(&sum, &mut one, &part(right));
            Aggregate::<f64>::combine(&sum, &mut two, &part(left));
            let (u, n) = (2_f64.powi(-53), floats.len() as f64);
            let bound = u * (exact as f64).abs() + 4.0 * (n * u).powi(2) * floats.iter().map(|x| x.abs()).sum::<f64>();
            for all in [one, two, part(&floats)] {
                let result = Aggregate::<f64>::finish(&sum, &all);
                // Sums of integers, rounded or not, are integers here: nothing is cut off.
                #[expect(clippy::cast_possible_truncation, reason = "an integer of less than 120 bits")]
                let distance = (result as i128 - exact).unsigned_abs() as f64;
                prop_assert!(distance <= bound, "{result} for {exact}, bound {bound}");
            }
        }
    }

    #[test]
    fn what_a_plain_sum_loses_is_kept_and_what_is_not_finite_shows() {
        let finish = |part| Aggregate::<f64>::finish(&summing_floats(|x: &f64| *x), &part);
        assert_eq!(finish(part(&[1e100, 1.0, -1e100])), 1.0);
        assert_eq!(finish(part(&[1.0, f64::INFINITY, 5.0])), f64::INFINITY);
        assert!(finish(part(&[f64::NEG_INFINITY, f64::INFINITY])).is_nan() && finish(part(&[f64::NAN, 1.0])).is_nan());
        assert!(Aggregate::<f64>::deduct(&summing_floats(|x: &f64| *x)).is_none());
    }
}
